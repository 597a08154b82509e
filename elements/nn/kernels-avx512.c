/* SPDX-License-Identifier: MIT */
/* For AVX-512 with VNNI (Intel since 2019, AMD since 2022). */
#ifdef __x86_64__
#include <immintrin.h>
#endif

#include <cblas.h>
#include <math.h>
#include <string.h>

#include <glib.h>

#include "nn/bf16.h"

#ifdef __x86_64__

#ifdef __clang__
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#ifndef SEED_REAL_DOUBLE

#include "nn/math-avx512.h"

/*
 * By hand, because rows are short and seldom a multiple of a register: masks do what is left over
 * in one step, where the loops compute it an element at a time.
 */
#define SOFTMAX softmax_masked
#define NORM_FORWARD norm_forward_masked
#define NORM_FORWARD_BF16 norm_forward_bf16_masked
#define NORM_APPLY_BF16 norm_apply_bf16_masked
#define GELU_BF16 gelu_bf16_fitted
#define GELU_BACKWARD_BF16 gelu_backward_bf16_fitted

/* seed_math_exp; an input that is not a number is returned by min and max in second place */
static inline __m512
exp_16 (__m512 x)
{
  __m512 n, r, p;

  x = _mm512_max_ps (_mm512_set1_ps (-87), _mm512_min_ps (_mm512_set1_ps (88), x));
  n = _mm512_roundscale_ps (_mm512_mul_ps (x, _mm512_set1_ps (1.44269504f)), 0);
  r = _mm512_fnmadd_ps (n, _mm512_set1_ps (0.693359375f), x);
  r = _mm512_fmadd_ps (n, _mm512_set1_ps (2.12194440e-4f), r);
  p = _mm512_set1_ps (1.38145e-3f);
  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (8.36876e-3f));
  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (4.166839e-2f));
  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (1.666652e-1f));
  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (4.9999993e-1f));
  p = _mm512_fmadd_ps (_mm512_mul_ps (r, r), p, r);
  return _mm512_scalef_ps (_mm512_add_ps (_mm512_set1_ps (1), p), n);
}

static inline __mmask16
lanes_left (guint left)
{
  return left >= 16 ? 0xffff : (__mmask16) ((1u << left) - 1);
}

static inline float
max_of_row (const float *x, guint n)
{
  __m512 max = _mm512_set1_ps (x[0]);

  for (guint i = 0; i < n; i += 16)
    max = _mm512_mask_max_ps (
        max, lanes_left (n - i), max, _mm512_maskz_loadu_ps (lanes_left (n - i), x + i));
  return _mm512_reduce_max_ps (max);
}

static void
softmax_masked (float *x, guint rows, guint cols, float scale)
{
  const __m512 by = _mm512_set1_ps (scale);

  for (guint r = 0; r < rows; r++, x += cols) {
    const __m512 max = _mm512_set1_ps (max_of_row (x, cols));
    __m512 sum = _mm512_setzero_ps (), inverse;

    for (guint i = 0; i < cols; i += 16) {
      __mmask16 mask = lanes_left (cols - i);
      __m512 y = _mm512_sub_ps (_mm512_maskz_loadu_ps (mask, x + i), max);

      y = exp_16 (_mm512_mul_ps (y, by));
      _mm512_mask_storeu_ps (x + i, mask, y);
      sum = _mm512_mask_add_ps (sum, mask, sum, y);
    }
    inverse = _mm512_set1_ps (1 / _mm512_reduce_add_ps (sum));
    for (guint i = 0; i < cols; i += 16) {
      __mmask16 mask = lanes_left (cols - i);

      _mm512_mask_storeu_ps (
          x + i, mask, _mm512_mul_ps (_mm512_maskz_loadu_ps (mask, x + i), inverse));
    }
  }
}

/* Mean and one over the standard deviation of a row. */
static inline void
moments (const float *x, guint n, float eps, float *mean, float *rstd)
{
  __m512 a = _mm512_setzero_ps (), b = a, m;

  for (guint i = 0; i < n; i += 32) {
    a = _mm512_add_ps (a, _mm512_maskz_loadu_ps (lanes_left (n - i), x + i));
    if (i + 16 < n)
      b = _mm512_add_ps (b, _mm512_maskz_loadu_ps (lanes_left (n - i - 16), x + i + 16));
  }
  *mean = _mm512_reduce_add_ps (_mm512_add_ps (a, b)) / (float) n;
  m = _mm512_set1_ps (*mean);
  a = b = _mm512_setzero_ps ();
  for (guint i = 0; i < n; i += 32) {
    __mmask16 mask = lanes_left (n - i);
    __m512 d = _mm512_maskz_sub_ps (mask, _mm512_maskz_loadu_ps (mask, x + i), m);

    a = _mm512_fmadd_ps (d, d, a);
    if (i + 16 < n) {
      mask = lanes_left (n - i - 16);
      d = _mm512_maskz_sub_ps (mask, _mm512_maskz_loadu_ps (mask, x + i + 16), m);
      b = _mm512_fmadd_ps (d, d, b);
    }
  }
  *rstd = 1 / sqrtf (_mm512_reduce_add_ps (_mm512_add_ps (a, b)) / (float) n + eps);
}

/* seed_bf16_from_float */
static inline __m256i
bf16_16 (__m512 x)
{
  __m512i bits = _mm512_castps_si512 (x), high = _mm512_srli_epi32 (bits, 16);
  __m512i even = _mm512_and_si512 (high, _mm512_set1_epi32 (1));
  __m512i rounded = _mm512_srli_epi32 (
      _mm512_add_epi32 (bits, _mm512_add_epi32 (even, _mm512_set1_epi32 (0x7fff))), 16);
  __mmask16 nan = _mm512_cmp_ps_mask (x, x, _CMP_UNORD_Q);

  return _mm512_cvtepi32_epi16 (
      _mm512_mask_or_epi32 (rounded, nan, high, _mm512_set1_epi32 (0x40)));
}

/* To @y, or rounded to @half. */
static inline void
norm_apply_row (const float *x, guint dim, const float *gamma, const float *beta, float mean,
    float rstd, float *y, SeedBf16 *half)
{
  const __m512 m = _mm512_set1_ps (mean), s = _mm512_set1_ps (rstd);

  for (guint i = 0; i < dim; i += 16) {
    __mmask16 mask = lanes_left (dim - i);
    __m512 z = _mm512_mul_ps (_mm512_sub_ps (_mm512_maskz_loadu_ps (mask, x + i), m), s);

    z = _mm512_fmadd_ps (
        z, _mm512_maskz_loadu_ps (mask, gamma + i), _mm512_maskz_loadu_ps (mask, beta + i));
    if (half)
      _mm256_mask_storeu_epi16 (half + i, mask, bf16_16 (z));
    else
      _mm512_mask_storeu_ps (y + i, mask, z);
  }
}

static void
norm_forward_masked (const float *x, guint rows, guint dim, const float *gamma, const float *beta,
    double eps, float *y, float *mean, float *rstd)
{
  for (guint r = 0; r < rows; r++, x += dim, y += dim) {
    moments (x, dim, (float) eps, mean + r, rstd + r);
    norm_apply_row (x, dim, gamma, beta, mean[r], rstd[r], y, NULL);
  }
}

static void
norm_forward_bf16_masked (const float *x, guint rows, guint dim, const float *gamma,
    const float *beta, double eps, SeedBf16 *y, float *mean, float *rstd)
{
  for (guint r = 0; r < rows; r++, x += dim, y += dim) {
    moments (x, dim, (float) eps, mean + r, rstd + r);
    norm_apply_row (x, dim, gamma, beta, mean[r], rstd[r], NULL, y);
  }
}

static void
norm_apply_bf16_masked (const float *x, guint rows, guint dim, const float *gamma,
    const float *beta, const float *mean, const float *rstd, SeedBf16 *y)
{
  for (guint r = 0; r < rows; r++, x += dim, y += dim)
    norm_apply_row (x, dim, gamma, beta, mean[r], rstd[r], NULL, y);
}

static inline __m512
load_bf16 (const SeedBf16 *x, __mmask16 mask)
{
  return _mm512_castsi512_ps (
      _mm512_slli_epi32 (_mm512_cvtepu16_epi32 (_mm256_maskz_loadu_epi16 (mask, x)), 16));
}

static void
gelu_bf16_fitted (const SeedBf16 *x, gsize n, SeedBf16 *y)
{
  for (gsize i = 0; i < n; i += 16) {
    __mmask16 mask = lanes_left ((guint) MIN (n - i, 16));
    __m512 z = load_bf16 (x + i, mask);

    _mm256_mask_storeu_epi16 (y + i, mask, bf16_16 (_mm512_mul_ps (z, seed_avx512_normal_cdf (z))));
  }
}

/* f' (x) = Phi (x) + x phi (x) */
static void
gelu_backward_bf16_fitted (const SeedBf16 *x, gsize n, SeedBf16 *d, SeedBf16 *y)
{
  for (gsize i = 0; i < n; i += 16) {
    __mmask16 mask = lanes_left ((guint) MIN (n - i, 16));
    __m512 z = load_bf16 (x + i, mask), cdf = seed_avx512_normal_cdf (z);
    __m512 pdf = exp_16 (_mm512_mul_ps (_mm512_mul_ps (z, z), _mm512_set1_ps (-0.5f)));
    __m512 slope = _mm512_fmadd_ps (_mm512_mul_ps (z, _mm512_set1_ps (0.39894228f)), pdf, cdf);

    _mm256_mask_storeu_epi16 (y + i, mask, bf16_16 (_mm512_mul_ps (z, cdf)));
    _mm256_mask_storeu_epi16 (
        d + i, mask, bf16_16 (_mm512_mul_ps (load_bf16 (d + i, mask), slope)));
  }
}

#endif

#define KERNELS_NAME "avx512"
#define KERNELS_TABLE seed_kernels_avx512
#define VECTOR_SIZE 32
#include "nn/kernels-loops.h"

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
