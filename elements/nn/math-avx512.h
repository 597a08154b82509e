/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Functions of 16 floats that more than one table needs. To be included by a file that has turned
 * AVX-512 F on and has <immintrin.h>.
 */

/*
 * Phi: 1/2 and an odd polynomial, a minimax fit of x (Phi (x) - 1/2) on |x| <= 4 which is made to
 * pass 1/2 at the end and cut there.
 */
static inline __attribute__ ((always_inline)) __m512
seed_avx512_normal_cdf (__m512 x)
{
  const __m512 limit = _mm512_set1_ps (4.0f), half = _mm512_set1_ps (0.5f);
  __m512 t = _mm512_max_ps (_mm512_min_ps (x, limit), _mm512_sub_ps (_mm512_setzero_ps (), limit));
  __m512 u = _mm512_mul_ps (t, t), p = _mm512_set1_ps (-1.3022779e-9f);

  p = _mm512_fmadd_ps (p, u, _mm512_set1_ps (1.0427632e-7f));
  p = _mm512_fmadd_ps (p, u, _mm512_set1_ps (-3.6599761e-6f));
  p = _mm512_fmadd_ps (p, u, _mm512_set1_ps (7.4914217e-5f));
  p = _mm512_fmadd_ps (p, u, _mm512_set1_ps (-1.0072900e-3f));
  p = _mm512_fmadd_ps (p, u, _mm512_set1_ps (9.5129819e-3f));
  p = _mm512_fmadd_ps (p, u, _mm512_set1_ps (-6.5940524e-2f));
  p = _mm512_fmadd_ps (p, u, _mm512_set1_ps (3.9899232e-1f));
  p = _mm512_mul_ps (p, t);
  p = _mm512_max_ps (_mm512_min_ps (p, half), _mm512_set1_ps (-0.5f));
  return _mm512_add_ps (p, half);
}
