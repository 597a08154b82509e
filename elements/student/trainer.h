/* SPDX-License-Identifier: MIT */
#pragma once

#include "student/student.h"

/*
 * A learning student: parameters, AdamW state, moving average, and one step of distillation.
 * Used by one thread at a time. The same seed, batches, thread count and backend give the same
 * bits.
 */
typedef struct {
  SeedStudentShape shape;
  guint64 seed;        /* of the initial weights */
  guint64 steps;       /* length of the schedule; 0: without end, constant rate after warm-up */
  guint warmup;        /* steps of linear warm-up */
  double lr;           /* peak learning rate */
  double weight_decay; /* decoupled; none on norms, biases, tokens */
  double clip;         /* gradient norm */
  double ema;          /* decay of the moving average, ramped from 0 */
  double temperature;  /* tau of the similarity loss */
} SeedTrainerConfig;

/* AdamW 0.9/0.95, weight decay 0.05, clip 1, EMA 0.996, tau 0.05, lr 1e-4, warm-up 20 steps. */
void seed_trainer_config_init (SeedTrainerConfig *config);

typedef struct {
  guint64 step; /* steps done, this one included */
  double loss;  /* the total */
  double loss_similarity;
  double lr;
  double grad_norm; /* before clipping */
} SeedTrainerReport;

typedef struct _SeedTrainer SeedTrainer;

/* With seeded random weights. */
SeedTrainer *seed_trainer_new (const SeedTrainerConfig *config, GError **error);
void seed_trainer_free (SeedTrainer *trainer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedTrainer, seed_trainer_free)

/* Starts from the parameters of a student's checkpoint folder instead. */
gboolean seed_trainer_load_model (SeedTrainer *trainer, const char *folder, GError **error);

/*
 * Writes the folder of a checkpoint: the moving average as a model anybody can load, and
 * state.safetensors with what resuming needs (weights, moments, moving average, step). Each file is
 * replaced atomically; resuming reads the state alone.
 */
gboolean seed_trainer_save (const SeedTrainer *trainer, const char *folder, GError **error);

/* Goes on from a saved folder. *@resumed is FALSE, without an error, when it holds no state yet. */
gboolean
seed_trainer_resume (SeedTrainer *trainer, const char *folder, gboolean *resumed, GError **error);

/* Makes room for batches of up to @max_items pairs of views. */
gboolean seed_trainer_reserve (SeedTrainer *trainer, guint max_items, GError **error);

/*
 * One step of the similarity loss. @words: uint8 [b, 2, N, 3*P*P] (items, then views, as patchify
 * gives them), 2 <= b <= max_items; @target: float32 [b, b]. SEED_ERROR_NUMERIC, with the
 * parameters untouched, when loss or gradient is not finite.
 */
gboolean seed_trainer_step (SeedTrainer *trainer, const guint8 *words, const float *target, guint b,
    SeedTrainerReport *report, GError **error);

guint64 seed_trainer_get_step (const SeedTrainer *trainer);
gboolean seed_trainer_is_finished (const SeedTrainer *trainer);
const SeedParams *seed_trainer_get_params (const SeedTrainer *trainer);
/* The weights that serve: the moving average. */
const float *seed_trainer_get_ema (const SeedTrainer *trainer);
gsize seed_trainer_memory_bytes (const SeedTrainer *trainer);
