/* SPDX-License-Identifier: MIT */
#pragma once

#include "student/standardise.h"
#include "student/trainer.h"

/* What a trainer keeps of a teacher. */
typedef struct {
  SeedTrainerTeacher info;                     /* owns its strings */
  SeedStandardise *summary, *tokens;           /* NULL until calibrated; tokens: without, always */
  SeedStandardiseFit *summary_fit, *token_fit; /* until then */
  /* of a batch, for max_items */
  float *summary_target; /* [2b, D] */
  float *resampled;      /* [2b N, Dt]: tokens on the student's grid, when they are on another */
  float *token_target;   /* [2b N, Dt] */
} SeedTrainerTeacherState;

struct _SeedTrainer {
  SeedTrainerConfig config;
  SeedParams student_params; /* the beginning of params */
  SeedParams params;
  guint64 step;
  SeedRng rng;

  /* flat, params.total each, laid out by params */
  float *values, *grads;
  float *moment1, *moment2; /* of AdamW */
  float *ema;

  guint n_teachers;
  SeedTrainerTeacherState teachers[SEED_LEARNER_MAX_TEACHERS];
  SeedEmbedQueue queues[SEED_LEARNER_MAX_TEACHERS];
  guint n_calibrated; /* frames */

  SeedLearner *learner; /* workspace, for max_items pairs */
  guint max_items;
  guint8 *mixed;      /* [2b, N, 3*P*P]; with mixup */
  gint32 *mixed_with; /* [b] */

  guint generation; /* the last one saved or resumed; 0: none */
};

/* trainer-teachers.c */
gboolean seed_trainer_uses_tokens (const SeedTrainer *trainer, guint teacher);
void seed_trainer_reserve_teachers (SeedTrainer *trainer);
void seed_trainer_release_teachers (SeedTrainer *trainer); /* what reserve made */
void seed_trainer_clear_teachers (SeedTrainer *trainer);
/* Standardises a batch into @targets [n_teachers]. */
void seed_trainer_make_targets (
    SeedTrainer *trainer, const SeedTrainerBatch *batch, SeedDistilTarget *targets);

/* trainer.c: the flat arrays grow with params; new parameters are drawn from @rng. */
void seed_trainer_grow (SeedTrainer *trainer, guint first_param, SeedRng *rng);
