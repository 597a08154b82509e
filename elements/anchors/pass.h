/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/layers.h"

/* Layers on the parameters of one pass, as all of the anchors' parts are computed. Rows are dense.
 */
typedef struct {
  SeedLayers layers;
  const real *values; /* flat parameters */
  real *grads;        /* laid out alike, ADDED to; NULL: the values of losses alone */
} SeedAnchorsPass;

static inline void
seed_pass_linear (
    const SeedAnchorsPass *pass, const SeedLayer *linear, const real *x, guint rows, real *y)
{
  seed_linear_forward (&pass->layers, linear, pass->values, x, linear->in, rows, y);
}

static inline void
seed_pass_linear_backward (const SeedAnchorsPass *pass, const SeedLayer *linear, const real *x,
    const real *dy, guint rows, SeedGradientMode mode, real *dx)
{
  seed_linear_backward (&pass->layers, linear, pass->values, x, linear->in, dy, rows, mode, dx,
      linear->in, pass->grads);
}

static inline void
seed_pass_norm (const SeedAnchorsPass *pass, const SeedLayer *norm, const real *x, guint rows,
    real *y, real *mean, real *rstd)
{
  seed_norm_forward (&pass->layers, norm, pass->values, x, rows, y, mean, rstd);
}

static inline void
seed_pass_norm_backward (const SeedAnchorsPass *pass, const SeedLayer *norm, const real *x,
    const real *mean, const real *rstd, const real *dy, guint rows, SeedGradientMode mode, real *dx)
{
  seed_norm_backward (
      &pass->layers, norm, pass->values, x, rows, mean, rstd, dy, mode, dx, pass->grads);
}
