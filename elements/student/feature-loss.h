/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/layers.h"

/*
 * How far adapted features are from a teacher's (AM-RADIO, arXiv 2312.06709), row by row:
 *
 *   l = w_cos (1 - cos (y, t)) + w_smooth mean_k SmoothL1 (y_k - t_k),   SmoothL1 with beta 1
 */
typedef struct {
  double w_cos, w_smooth;
} SeedFeatureWeights;

extern const SeedFeatureWeights seed_feature_summary; /* 1 and 0 */
extern const SeedFeatureWeights seed_feature_tokens;  /* 0.9 and 0.1 */

/*
 * @y, @target: [rows, dim]; @row_loss: [rows], written; @d_y: [rows, dim], @scale times the
 * gradient of every row's loss is written, or NULL. A row without direction has cosine 0.
 * A region: not to be called from a task.
 */
void seed_feature_loss (const SeedFeatureWeights *weights, const real *y, const real *target,
    guint rows, guint dim, double scale, real *row_loss, real *d_y);
