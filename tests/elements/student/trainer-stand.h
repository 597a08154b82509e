/* SPDX-License-Identifier: MIT */
#pragma once

#include <string.h>

#include "student/trainer.h"

/*
 * A small trainer with two teachers, one with tokens on another grid than the student's, and
 * batches that are a pure function of their number: noisy patterns, and features of them.
 */
enum {
  STAND_BATCH = 6,
  STAND_IMAGE = 3 * 32 * 32,
  STAND_DIM0 = 8,
  STAND_DIM1 = 12,
  STAND_TOKENS = 4,
  STAND_GRID = 3,
  STAND_CLASSES = 6,
};

static const SeedTrainerTeacher stand_teachers[2] = {
  { "a", "test/a", STAND_DIM0, STAND_TOKENS, STAND_GRID },
  { "b", "test/b", STAND_DIM1, 0, 0 },
};

typedef struct {
  guint8 words[2 * STAND_BATCH * STAND_IMAGE];
  float target[STAND_BATCH * STAND_BATCH];
  float summary0[2 * STAND_BATCH * STAND_DIM0], summary1[2 * STAND_BATCH * STAND_DIM1];
  float tokens[2 * STAND_BATCH * STAND_GRID * STAND_GRID * STAND_TOKENS];
  gint32 labels[STAND_BATCH];
  SeedTrainerFeatures features[2];
  SeedTrainerBatch batch;
} StandBatch;

static inline SeedTrainerConfig
stand_config (void)
{
  SeedTrainerConfig config;

  seed_trainer_config_init (&config);
  config.learner.shape = (SeedStudentShape){ .vit = { .image_size = 32,
                                                 .patch_size = 16,
                                                 .dim = 24,
                                                 .depth = 2,
                                                 .heads = 3,
                                                 .mlp_dim = 48,
                                                 .ln_eps = 1e-6,
                                                 .activation = SEED_ACTIVATION_GELU,
                                                 .mean = { 0.5f, 0.5f, 0.5f },
                                                 .std = { 0.5f, 0.5f, 0.5f } },
    .embed_dim = 16 };
  config.learner.queue_size = 30;
  config.calibration = 4 * STAND_BATCH;
  config.seed = 1;
  config.lr = 3e-3;
  config.warmup = 5;
  return config;
}

/* What a teacher says of pattern @kind: a point of its own and some noise. */
static inline void
stand_features (SeedRng *rng, guint kind, guint teacher, float *x, guint dim)
{
  SeedRng point;

  seed_rng_init (&point, seed_hash (100 + teacher, kind));
  for (guint k = 0; k < dim; k++)
    x[k] = (float) (5 + 3 * seed_rng_normal (&point) + 0.1 * seed_rng_normal (rng));
}

static inline void
stand_fill (StandBatch *stand, guint64 number)
{
  SeedRng rng;

  seed_rng_init (&rng, seed_hash (7, number));
  for (guint i = 0; i < STAND_BATCH; i++) {
    guint kind = (guint) seed_rng_below (&rng, STAND_CLASSES);

    stand->labels[i] = i == 1 ? -1 : (gint32) kind;
    for (guint row = 2 * i; row < 2 * i + 2; row++) {
      guint grid = STAND_GRID * STAND_GRID;

      for (guint k = 0; k < STAND_IMAGE; k++)
        stand->words[row * STAND_IMAGE + k] =
            (guint8) (k * (kind + 3) % 200 + seed_rng_below (&rng, 40));
      stand_features (&rng, kind, 0, stand->summary0 + row * STAND_DIM0, STAND_DIM0);
      stand_features (&rng, kind, 1, stand->summary1 + row * STAND_DIM1, STAND_DIM1);
      for (guint t = 0; t < grid; t++)
        stand_features (&rng, kind * grid + t, 2, stand->tokens + (row * grid + t) * STAND_TOKENS,
            STAND_TOKENS);
    }
    for (guint j = 0; j < STAND_BATCH; j++)
      stand->target[i * STAND_BATCH + j] = i == j ? 1.0f : 0.0f;
  }
  stand->features[0] = (SeedTrainerFeatures){ stand->summary0, stand->tokens };
  stand->features[1] = (SeedTrainerFeatures){ stand->summary1, NULL };
  stand->batch = (SeedTrainerBatch){
    .b = STAND_BATCH, .words = stand->words, .target = stand->target, .teachers = stand->features
  };
}

/* Ready for its first step: teachers known, their features standardised. */
static inline SeedTrainer *
stand_trainer (const SeedTrainerConfig *config)
{
  SeedTrainer *trainer = seed_trainer_new (config, NULL);
  g_autofree StandBatch *stand = g_new0 (StandBatch, 1);

  g_assert_nonnull (trainer);
  g_assert_true (seed_trainer_set_teachers (trainer, stand_teachers, 2, NULL));
  g_assert_true (seed_trainer_reserve (trainer, STAND_BATCH, NULL));
  for (guint64 i = 0; !seed_trainer_is_calibrated (trainer); i++) {
    g_assert_cmpuint (i, <, 4);
    stand_fill (stand, 1000 + i);
    g_assert_true (seed_trainer_calibrate (trainer, &stand->batch, NULL));
  }
  return trainer;
}

static inline SeedTrainerReport
stand_step (SeedTrainer *trainer)
{
  g_autofree StandBatch *stand = g_new0 (StandBatch, 1);
  SeedTrainerReport report;
  guint64 before = seed_trainer_get_step (trainer);

  stand_fill (stand, before);
  g_assert_true (seed_trainer_step (trainer, &stand->batch, &report, NULL));
  g_assert_cmpuint (report.step, ==, before + 1);
  return report;
}
