/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/bf16.h"
#include "nn/vit.h"

/*
 * Everything of the transformer that is not a matmul, as a table of functions: a portable C
 * reference, and room for variants of it per instruction set. Kernels are plain loops over memory
 * of the caller: no threads, no allocation, no state. Matrices are row-major without gaps unless a
 * stride is given. Unless said otherwise an output may be the very same array as an input of its
 * shape, but must not overlap one in any other way.
 */
#define SEED_N_ACTIVATIONS (SEED_ACTIVATION_RELU + 1)

typedef struct {
  const char *name; /* "c", "avx2" */

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

  void (*to_bf16) (const real *x, gsize n, SeedBf16 *y);
  void (*from_bf16) (const SeedBf16 *x, gsize n, real *y);

  /* y = (sums - shift) scale row_scale, element by element: int8 products become numbers. */
  void (*rescale) (
      const gint32 *sums, const gint32 *shift, const real *scale, real row_scale, gsize n, real *y);

  /* y += x */
  void (*add) (const real *x, gsize n, real *y);

  /* ADDS the sum over @rows of each of @cols columns to @sum; rows are @stride apart. */
  void (*column_sum) (const real *x, gsize stride, guint rows, guint cols, real *sum);
  void (*column_sum_bf16) (const SeedBf16 *x, gsize stride, guint rows, guint cols, real *sum);

  /*
   * @n_words words of 3 channels of @channel_size bytes: y = x scale[c] + shift[c], in the same
   * order.
   */
  void (*words) (const guint8 *words, gsize n_words, guint channel_size, const float scale[3],
      const float shift[3], real *y);
  void (*words_bf16) (const guint8 *words, gsize n_words, guint channel_size, const float scale[3],
      const float shift[3], SeedBf16 *y);
} SeedKernels;

/* The table for this CPU; chosen once. */
const SeedKernels *seed_kernels_get (void);

/* The reference that every other table is tested against. */
const SeedKernels *seed_kernels_reference (void);

#ifdef __x86_64__
/* Only where the CPU has AVX2 and FMA. */
const SeedKernels *seed_kernels_avx2 (void);
#endif
