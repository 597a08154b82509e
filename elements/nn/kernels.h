/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/cpu.h"
#include "nn/bf16.h"
#include "nn/vit.h"

/*
 * Everything of the transformer that is not a matmul, as a table of functions: a portable C
 * reference, and room for variants of it per instruction set. Kernels are plain loops over memory
 * of the caller: no threads, no allocation, no state. Matrices are row-major without gaps unless a
 * stride is given. Unless said otherwise an output may be the very same array as an input of its
 * shape, but must not overlap one in any other way. No array needs an alignment beyond its type's.
 * A table gives the same bits every time, and for each row (or, without rows, each element)
 * whatever the rows or elements beside it: work may be cut anywhere. Sums over rows are taken in
 * the order of the rows, so cutting those keeps the bits too. Two tables differ in the last digits.
 */
#define SEED_N_ACTIVATIONS (SEED_ACTIVATION_RELU + 1)

/* What a step of AdamW needs beside the gradient; by optim.c. */
typedef struct {
  real beta1, beta2, rest1, rest2; /* rest: 1 - beta, taken in double */
  real eps;
  real rate;    /* lr / (1 - beta1^step) */
  real v_scale; /* 1 / (1 - beta2^step) */
} SeedAdamWStep;

typedef struct {
  const char *name; /* "c", "avx2", "avx512" */

  /*
   * Layer normalisation of @rows rows of @dim (Ba et al. 2016, arXiv 1607.06450), biased variance:
   * y = (x - mean) rstd gamma + beta, rstd = 1 / sqrt (var + eps). @mean and @rstd [rows] are
   * written.
   */
  void (*norm_forward) (const real *x, guint rows, guint dim, const real *gamma, const real *beta,
      double eps, real *y, real *mean, real *rstd);

  /* norm_forward with y in bfloat16. */
  void (*norm_forward_bf16) (const real *x, guint rows, guint dim, const real *gamma,
      const real *beta, double eps, SeedBf16 *y, real *mean, real *rstd);

  /* The same y again, from @mean and @rstd of norm_forward. */
  void (*norm_apply) (const real *x, guint rows, guint dim, const real *gamma, const real *beta,
      const real *mean, const real *rstd, real *y);

  void (*norm_apply_bf16) (const real *x, guint rows, guint dim, const real *gamma,
      const real *beta, const real *mean, const real *rstd, SeedBf16 *y);

  /* ADDS to @dx [rows, dim], @dgamma [dim] and @dbeta [dim], which overlap nothing. */
  void (*norm_backward) (const real *x, guint rows, guint dim, const real *gamma, const real *mean,
      const real *rstd, const real *dy, real *dx, real *dgamma, real *dbeta);

  /* In place, over each row: x = softmax (scale x); @scale > 0, @cols > 0. */
  void (*softmax) (real *x, guint rows, guint cols, real scale);

  /* @p: softmax (scale x); @d holds dL/dp and becomes dL/dx. */
  void (*softmax_backward) (const real *p, guint rows, guint cols, real scale, real *d);

  /* y = f(x), by SeedActivation. */
  void (*activation[SEED_N_ACTIVATIONS]) (const real *x, gsize n, real *y);

  /* dx = dy f'(x) and once more y = f(x), which a backward pass needs beside it. */
  void (*activation_backward[SEED_N_ACTIVATIONS]) (
      const real *x, const real *dy, gsize n, real *dx, real *y);

  /* Both for bfloat16: what is computed between may be off by 1e-4, which rounding hides. */
  void (*activation_bf16[SEED_N_ACTIVATIONS]) (const SeedBf16 *x, gsize n, SeedBf16 *y);

  /* @d: dy becomes dx */
  void (*activation_backward_bf16[SEED_N_ACTIVATIONS]) (
      const SeedBf16 *x, gsize n, SeedBf16 *d, SeedBf16 *y);

  void (*to_bf16) (const real *x, gsize n, SeedBf16 *y);
  void (*from_bf16) (const SeedBf16 *x, gsize n, real *y);

  /* y = (sums - shift) scale row_scale, element by element: int8 products become numbers. */
  void (*rescale) (
      const gint32 *sums, const gint32 *shift, const real *scale, real row_scale, gsize n, real *y);

  /* y += x */
  void (*add) (const real *x, gsize n, real *y);

  /* y += scale x: a residual with a scale for all of it */
  void (*add_scaled) (const real *x, gsize n, real scale, real *y);

  /* x *= scale, in place */
  void (*scale) (real *x, gsize n, real scale);

  /* ADDS the sum over @rows of each of @cols columns to @sum; rows are @stride apart. */
  void (*column_sum) (const real *x, gsize stride, guint rows, guint cols, real *sum);
  void (*column_sum_bf16) (const SeedBf16 *x, gsize stride, guint rows, guint cols, real *sum);

  /*
   * @n_words words of 3 channels of @channel_size bytes: y = x scale[c] + shift[c], in the same
   * order.
   */
  void (*words) (const guint8 *words, gsize n_words, guint channel_size, const float scale[3],
      const float shift[3], real *y);

  /* The same rounded to bfloat16. */
  void (*words_bf16) (const guint8 *words, gsize n_words, guint channel_size, const float scale[3],
      const float shift[3], SeedBf16 *y);

  /* Euclidean norms [rows] of @rows rows of @dim; rows are @stride apart. */
  void (*row_norms) (const real *x, gsize stride, guint rows, guint dim, real *norms);

  /* The sum of squares, in double. */
  double (*squares) (const real *x, gsize n);

  /* ema += rest (x - ema) */
  void (*average) (const real *x, gsize n, real rest, real *ema);

  /* One step of AdamW on @n parameters; arrays overlap nothing. See optim.h. */
  void (*adamw) (
      const SeedAdamWStep *step, const real *g, gsize n, real decay, real *m, real *v, real *w);

  /*
   * Sinkhorn and Knopp's scaling towards equal column sums and row sums of 1 (Cuturi 2013, arXiv
   * 1306.0895), in place: x = exp ((x - max) / eps), max over all of it, then @iterations times
   * columns to sum rows / cols, rows to sum 1. @columns: scratch [cols]. Values no more than
   * 87 eps below max count; below that they are taken for it, so nothing divides by zero.
   */
  void (*sinkhorn) (real *x, guint rows, guint cols, real eps, guint iterations, real *columns);
} SeedKernels;

/* The table of seed_cpu_level (): the best for this CPU, or what SEED_CPU forces. */
const SeedKernels *seed_kernels_get (void);

/* The table of a level, or NULL where this build or this CPU has none. */
const SeedKernels *seed_kernels_for (SeedCpuLevel level);

/* The reference that every other table is tested against. */
const SeedKernels *seed_kernels_reference (void);

#ifdef __x86_64__
/* Only where seed_cpu_best_level () says so. */
const SeedKernels *seed_kernels_avx2 (void);
const SeedKernels *seed_kernels_avx512 (void);
#endif
