/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/backend.h"
#include "nn/kernels.h"

/*
 * Linear layers, layer norms and GELU over rows, forward and backward, as heads on a transformer
 * are made of. Matrices are row-major without gaps. Every function spreads its work over seed_pool
 * ("region" in backend.h), allocates nothing, and gives the same bits for the same input, shapes
 * and number of threads.
 */
#define SEED_LAYERS_PARTS 32 /* partial sums of a norm's gradient */

/* Where a layer's tensors lie in the flat parameters. */
typedef struct {
  gsize weight, bias; /* [out, in], [out] */
  guint out, in;
  gboolean no_bias;
} SeedLinear;

typedef struct {
  gsize weight, bias; /* [dim] */
  guint dim;
} SeedNorm;

/* With whom and on what parameters the functions below compute. */
typedef struct {
  const SeedBackend *backend;
  const SeedKernels *kernels;
  const real *values; /* flat parameters */
  real *grads;        /* laid out alike, ADDED to by the backward functions */
  double ln_eps;
  real *parts; /* scratch [SEED_LAYERS_PARTS, 2 dim] of the widest norm */
} SeedLayers;

/* y [rows, out] = x [rows, in] W^T + b */
void seed_layers_linear (
    const SeedLayers *layers, const SeedLinear *linear, const real *x, guint rows, real *y);

/* dW += dy^T x, db += sum of dy; dx = dy W + @beta dx unless @dx is NULL (beta 0 does not read it).
 */
void seed_layers_linear_backward (const SeedLayers *layers, const SeedLinear *linear, const real *x,
    const real *dy, guint rows, real beta, real *dx);

/* @mean, @rstd [rows] are what the backward pass needs. */
void seed_layers_norm (const SeedLayers *layers, const SeedNorm *norm, const real *x, guint rows,
    real *y, real *mean, real *rstd);

/* ADDS to @dx. */
void seed_layers_norm_backward (const SeedLayers *layers, const SeedNorm *norm, const real *x,
    const real *mean, const real *rstd, const real *dy, guint rows, real *dx);

/* Exact GELU of n rows of width @dim; backward: @d is dL/dy and becomes dL/dx, @y = gelu (x) again.
 */
void seed_layers_gelu (const SeedLayers *layers, const real *x, guint rows, guint dim, real *y);
void seed_layers_gelu_backward (
    const SeedLayers *layers, const real *x, guint rows, guint dim, real *d, real *y);

/* x <- x / |x|, |x| to @norms [rows]; an all-zero row stays zero. */
void seed_layers_unit_rows (guint rows, guint dim, real *x, real *norms);

/* @z and @norms of the above; @d is dL/dz and becomes dL/dx. */
void
seed_layers_unit_rows_backward (const real *z, const real *norms, guint rows, guint dim, real *d);

/* Tasks for @rows rows of light work: a pure function of the two and the number of threads. */
guint seed_layers_tasks (gsize rows);
