/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the tables for AVX-512 and for AMX have in common: how units are loaded and transposed, the
 * activations, and what happens to sums before they are stored. To be included by a file that has
 * turned the instruction sets on and has <immintrin.h>.
 */
#include "nn/math-avx512.h"
#include "nn/tiles.h"

#define LANES 16 /* units in a register */
#define ALWAYS_INLINE inline __attribute__ ((always_inline))

static ALWAYS_INLINE __mmask64
first (gsize n)
{
  return n >= 64 ? ~(__mmask64) 0 : ((__mmask64) 1 << n) - 1;
}

static ALWAYS_INLINE __m512i
to_bf16 (__m512 high, __m512 low)
{
  return (__m512i) _mm512_cvtne2ps_pbh (high, low);
}

/* 16 units of a row, of which @left elements are there. */
static ALWAYS_INLINE __m512i
load_units (SeedPrecision precision, SeedRowsType type, const void *x, gsize left)
{
  if (precision == SEED_PRECISION_INT8)
    return _mm512_maskz_loadu_epi8 (first (left), x);
  if (precision == SEED_PRECISION_FLOAT32)
    return _mm512_castps_si512 (_mm512_maskz_loadu_ps ((__mmask16) first (left), x));
  if (type == SEED_ROWS_BF16)
    return _mm512_maskz_loadu_epi16 ((__mmask32) first (left), x);
  return to_bf16 (left > LANES ? _mm512_maskz_loadu_ps (
                                     (__mmask16) first (left - LANES), (const float *) x + LANES)
                               : _mm512_setzero_ps (),
      _mm512_maskz_loadu_ps ((__mmask16) first (left), x));
}

/* 16 registers of 16 units become their transpose. */
static ALWAYS_INLINE void
transpose (__m512i r[LANES])
{
  __m512i t[LANES];

#pragma GCC unroll 8
  for (guint i = 0; i < LANES; i += 2) {
    t[i] = _mm512_unpacklo_epi32 (r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32 (r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (guint i = 0; i < LANES; i += 4) {
    r[i] = _mm512_unpacklo_epi64 (t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64 (t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64 (t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64 (t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 8
  for (guint i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4 (r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4 (r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4 (r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4 (r[i + 8], r[i + 12], 0xdd);
  }
#pragma GCC unroll 8
  for (guint i = 0; i < 8; i++) {
    r[i] = _mm512_shuffle_i32x4 (t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4 (t[i], t[i + 8], 0xdd);
  }
}

/* Two rows of bfloat16 side by side, as pairs; @high may be NULL. */
static ALWAYS_INLINE __m512i
load_pairs (SeedRowsType type, const void *low, const void *high, __mmask16 mask)
{
  if (type == SEED_ROWS_BF16) {
    __m512i l = _mm512_cvtepu16_epi32 (_mm256_maskz_loadu_epi16 (mask, low));

    if (high)
      l = _mm512_or_si512 (
          l, _mm512_slli_epi32 (_mm512_cvtepu16_epi32 (_mm256_maskz_loadu_epi16 (mask, high)), 16));
    return l;
  } else {
    __m512 l = _mm512_maskz_loadu_ps (mask, low);
    __m512 h = high ? _mm512_maskz_loadu_ps (mask, high) : _mm512_setzero_ps ();
    __m512i both = to_bf16 (h, l);
    const __m512i pairs = _mm512_set_epi16 (31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9,
        24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);

    return _mm512_permutexvar_epi16 (pairs, both);
  }
}

static ALWAYS_INLINE __m512
load_floats (SeedRowsType type, const void *x, gsize at, __mmask16 mask)
{
  if (type == SEED_ROWS_BF16)
    return _mm512_castsi512_ps (_mm512_slli_epi32 (
        _mm512_cvtepu16_epi32 (_mm256_maskz_loadu_epi16 (mask, (const SeedBf16 *) x + at)), 16));
  return _mm512_maskz_loadu_ps (mask, (const float *) x + at);
}

/*
 * Activations for outputs that are rounded to bfloat16 next: an error of 5e-5 disappears in that.
 */

/* 2^x, relative error < 2e-7: a minimax fit on [-1/2, 1/2]; saturates */
static ALWAYS_INLINE __m512
fast_exp2 (__m512 x)
{
  __m512 n = _mm512_roundscale_ps (x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 r = _mm512_sub_ps (x, n);
  __m512 p = _mm512_set1_ps (1.53533621e-4f);

  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (1.33988746e-3f));
  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (9.61843736e-3f));
  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (5.55033247e-2f));
  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (2.40226479e-1f));
  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (6.93147203e-1f));
  p = _mm512_fmadd_ps (p, r, _mm512_set1_ps (1.0f));
  return _mm512_scalef_ps (p, n);
}

/* x sigmoid (z) */
static ALWAYS_INLINE __m512
gate (__m512 x, __m512 z)
{
  __m512 e = fast_exp2 (_mm512_mul_ps (z, _mm512_set1_ps (-1.44269504f)));

  return _mm512_mul_ps (x, _mm512_rcp14_ps (_mm512_add_ps (e, _mm512_set1_ps (1.0f))));
}

static ALWAYS_INLINE __m512
fast_gelu (__m512 x)
{
  return _mm512_mul_ps (x, seed_avx512_normal_cdf (x));
}

static ALWAYS_INLINE __m512
fast_activation (SeedActivation activation, __m512 x)
{
  __m512 u;

  switch (activation) {
  case SEED_ACTIVATION_GELU:
    return fast_gelu (x);
  case SEED_ACTIVATION_GELU_TANH:
    u = _mm512_fmadd_ps (_mm512_mul_ps (x, x), _mm512_set1_ps (2 * 0.79788456f * 0.044715f),
        _mm512_set1_ps (2 * 0.79788456f));
    return gate (x, _mm512_mul_ps (x, u));
  case SEED_ACTIVATION_QUICK_GELU:
    return gate (x, _mm512_mul_ps (x, _mm512_set1_ps (1.702f)));
  case SEED_ACTIVATION_SILU:
    return gate (x, x);
  case SEED_ACTIVATION_RELU:
    break;
  }
  return _mm512_max_ps (_mm512_setzero_ps (), x); /* what is not a number stays */
}

static ALWAYS_INLINE void
activate_with (SeedActivation activation, float *x, guint n)
{
  for (guint i = 0; i < n; i += LANES)
    _mm512_store_ps (x + i, fast_activation (activation, _mm512_load_ps (x + i)));
}
