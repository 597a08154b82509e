/* SPDX-License-Identifier: MIT */
#pragma once

#include "student/learner.h"

/*
 * A learning student: parameters, AdamW state, moving average, what is known of its teachers, and
 * one step on a batch. Used by one thread at a time. The same seed, batches, thread count and
 * backend give the same bits, also when it was saved and resumed in between.
 */
typedef struct {
  SeedLearnerConfig learner;
  const SeedBackend *backend; /* who multiplies; NULL: seed_backend_get */
  guint64 seed;               /* of the initial weights, the dropping and the mixing */
  guint64 steps;       /* length of the schedule; 0: without end, constant rate after warm-up */
  guint warmup;        /* steps of linear warm-up */
  double lr;           /* peak learning rate */
  double weight_decay; /* decoupled; none on norms, biases, tokens */
  double clip;         /* gradient norm */
  double ema;          /* decay of the moving average, ramped from 0 */
  double mixup;        /* alpha of Beta (alpha, alpha); 0: images are not mixed */
  guint calibration;   /* frames that teachers' features are standardised by */
} SeedTrainerConfig;

/* AdamW 0.9/0.95, weight decay 0.05, clip 1, EMA 0.996, lr 1e-4, warm-up 20 steps, no mixup,
 * calibration 10000 frames, and seed_learner_config_init. */
void seed_trainer_config_init (SeedTrainerConfig *config);

/* One whose features a student learns. Strings are copied. */
typedef struct {
  const char *name;  /* for messages and reports */
  const char *space; /* names the model: another space is another teacher */
  guint summary_dim;
  guint token_dim, grid; /* 0: no tokens; else grid^2 of them */
} SeedTrainerTeacher;

/* One teacher's features of a batch, as they are. */
typedef struct {
  const float *summary; /* [b, 2, D] */
  const float *tokens;  /* [b, 2, grid^2, Dt]; NULL without */
} SeedTrainerFeatures;

/* A batch: words, and whatever there is to learn from. */
typedef struct {
  guint b;
  const guint8 *words;                 /* [b, 2, N, 3*P*P]: items, then views, as patchify does */
  const float *target;                 /* [b, b] fused similarities, or NULL */
  const SeedTrainerFeatures *teachers; /* of every teacher, or NULL */
  const gint32 *labels;                /* [b], -1: unlabelled; or NULL */
  const float *captions;               /* [b, text_dim] embeddings of texts, or NULL */
  const gboolean *has_caption;         /* [b]; NULL: all have */
} SeedTrainerBatch;

typedef struct {
  guint64 step;     /* steps done, this one included */
  gboolean learned; /* FALSE: the batch had nothing to learn from, nothing changed */
  SeedLearnerReport losses;
  double lr;
  double grad_norm; /* before clipping */
} SeedTrainerReport;

typedef struct _SeedTrainer SeedTrainer;

/* With seeded random weights. */
SeedTrainer *seed_trainer_new (const SeedTrainerConfig *config, GError **error);
void seed_trainer_free (SeedTrainer *trainer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedTrainer, seed_trainer_free)

/*
 * Adds the heads of teachers, once, before any seed_trainer_reserve. When there are some already
 * (resumed), they must be the same in the same order: SEED_ERROR_MISMATCH.
 */
gboolean seed_trainer_set_teachers (
    SeedTrainer *trainer, const SeedTrainerTeacher *teachers, guint n_teachers, GError **error);
guint seed_trainer_n_teachers (const SeedTrainer *trainer);
const SeedTrainerTeacher *seed_trainer_get_teacher (const SeedTrainer *trainer, guint index);

/* Starts from the parameters of a student's checkpoint folder instead. */
gboolean seed_trainer_load_model (SeedTrainer *trainer, const char *folder, GError **error);

/*
 * Saves a generation (generations.h): the moving average as a model anybody can load, and
 * state.safetensors with what resuming needs: weights with their heads, moments, moving average,
 * step, random numbers, queues, standardisation. Model and state are of the same step, or the
 * generation before is still whole. The folder itself can be loaded as a model.
 */
gboolean seed_trainer_save (SeedTrainer *trainer, const char *folder, GError **error);

/*
 * Goes on from the newest whole generation of a folder. *@resumed is FALSE, without an error, when
 * there is none yet. *@damaged (may be NULL): set to what was wrong with newer generations, or
 * NULL; free it. Generations of which none is whole are an error. After an error the trainer is to
 * be freed.
 */
gboolean seed_trainer_resume (
    SeedTrainer *trainer, const char *folder, gboolean *resumed, char **damaged, GError **error);

/* Makes room for batches of up to @max_items pairs of views. */
gboolean seed_trainer_reserve (SeedTrainer *trainer, guint max_items, GError **error);

/* FALSE while teachers' features are still to be standardised: call calibrate, not step. */
gboolean seed_trainer_is_calibrated (const SeedTrainer *trainer);
/* Counts the teachers' features of a batch in; all of it, or on an error nothing of a teacher. */
gboolean
seed_trainer_calibrate (SeedTrainer *trainer, const SeedTrainerBatch *batch, GError **error);

/*
 * One step, 2 <= b <= max_items. SEED_ERROR_NUMERIC when loss or gradient is not finite,
 * SEED_ERROR_MISMATCH for a label beyond the classes; nothing has changed then.
 */
gboolean seed_trainer_step (
    SeedTrainer *trainer, const SeedTrainerBatch *batch, SeedTrainerReport *report, GError **error);

guint64 seed_trainer_get_step (const SeedTrainer *trainer);
gboolean seed_trainer_is_finished (const SeedTrainer *trainer);
/* Of the student alone, without what only learning needs; a beginning of every flat array. */
const SeedParams *seed_trainer_get_params (const SeedTrainer *trainer);
/* The weights that serve: the moving average. */
const float *seed_trainer_get_ema (const SeedTrainer *trainer);
gsize seed_trainer_memory_bytes (const SeedTrainer *trainer);
