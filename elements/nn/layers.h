/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/backend.h"
#include "nn/kernels.h"

/*
 * The few layers that heads are made of, over @rows rows at a time; every function is a region: it
 * spreads its work over seed_pool and must not be called from a task. Weights are [out, in], rows
 * of x, y and their gradients are dense unless a stride is given. The same input gives the same
 * bits for any number of threads as far as the backend's products do.
 */
typedef struct {
  const SeedBackend *backend;
  const SeedKernels *kernels;
  double norm_eps;
} SeedLayers;

/* @backend NULL: seed_backend_get. Norms with eps 1e-6. */
SeedLayers seed_layers (const SeedBackend *backend);

/* Where a linear layer or a norm has its parameters, in elements of the flat array. */
typedef struct {
  gsize weight, bias;
  guint out, in; /* of a norm: both its width */
  gboolean no_bias;
} SeedLayer;

/* Appends "NAME.weight" [out, in] and "NAME.bias" [out]. */
SeedLayer seed_layer_append_linear (SeedParams *params, const char *name, guint out, guint in);
/* Appends "NAME.weight" [dim], one at the start, and "NAME.bias" [dim]. */
SeedLayer seed_layer_append_norm (SeedParams *params, const char *name, guint dim);
/* Finds one of those again. */
SeedLayer seed_layer_find (const SeedParams *params, const char *name);

/* What becomes of a gradient that is there already. */
typedef enum {
  SEED_GRADIENT_ADD,
  SEED_GRADIENT_SET,
} SeedGradientMode;

/* y = x W^T + b */
void seed_linear_forward (const SeedLayers *layers, const SeedLayer *layer, const real *values,
    const real *x, gsize x_stride, guint rows, real *y);
/* ADDS to the gradients of W and b; @mode is for @dx, which may be NULL. */
void seed_linear_backward (const SeedLayers *layers, const SeedLayer *layer, const real *values,
    const real *x, gsize x_stride, const real *dy, guint rows, SeedGradientMode mode, real *dx,
    gsize dx_stride, real *grads);

/* Layer normalisation; @mean and @rstd [rows] are for the way back. */
void seed_norm_forward (const SeedLayers *layers, const SeedLayer *layer, const real *values,
    const real *x, guint rows, real *y, real *mean, real *rstd);
/* ADDS to the gradients of the norm; @mode is for @dx [rows, dim]. */
void seed_norm_backward (const SeedLayers *layers, const SeedLayer *layer, const real *values,
    const real *x, guint rows, const real *mean, const real *rstd, const real *dy,
    SeedGradientMode mode, real *dx, real *grads);

/* y = gelu (x), exact */
void seed_gelu_forward (const SeedLayers *layers, const real *x, gsize n, real *y);
/* @d: dL/dy becomes dL/dx; @y = gelu (x) once more */
void seed_gelu_backward (const SeedLayers *layers, const real *x, gsize n, real *d, real *y);

/* y += x */
void seed_add_forward (const SeedLayers *layers, const real *x, gsize n, real *y);

/* Unit rows in place; @norms [rows] keeps what they were divided by. Zero rows stay zero. */
void seed_unit_rows (real *x, guint rows, guint dim, real *norms);
/* z = x/|x|: @d is dL/dz and becomes dL/dx = (d - z (z.d)) / |x|. */
void seed_unit_rows_backward (const real *z, const real *norms, guint rows, guint dim, real *d);

/* Zeroed, 64-byte aligned; g_aligned_free. */
real *seed_reals_new (gsize n);

/* Calls @func for parts of 0..@rows that are large enough to be worth a task. */
typedef void (*SeedRowsFunc) (gsize begin, gsize n, gpointer data);
void seed_for_rows (gsize rows, gsize row_work, SeedRowsFunc func, gpointer data);
