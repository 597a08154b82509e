/* SPDX-License-Identifier: MIT */
#pragma once

#include "student/trainer.h"

struct _SeedTrainer {
  SeedTrainerConfig config;
  SeedParams params;
  guint64 step;

  /* flat, params.total each, laid out by params */
  float *values, *grads;
  float *moment1, *moment2; /* of AdamW */
  float *ema;

  SeedStudent *student; /* workspace, for max_items pairs */
  guint max_items;
  float *d_embedding;
  void *scratch;
};
