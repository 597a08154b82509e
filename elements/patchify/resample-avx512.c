/* SPDX-License-Identifier: MIT */
/* For AVX-512 with VNNI (Intel since 2019, AMD since 2022). */
#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#include <glib.h>

#ifdef __clang__
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))),             \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif

#include "patchify/resample-loops.h"
#include "patchify/resample-x86.h"

#define MAX_GROUPS 32 /* of four rows that down_bytes weighs at once */

/* As many of the lowest bits as there are columns left, at most @most. */
static inline guint64
mask_of (gsize left, guint most)
{
  return left >= most ? ~G_GUINT64_CONSTANT (0) >> (64 - most) : (G_GUINT64_CONSTANT (1) << left) - 1;
}

static inline __m512i
narrow (__m512i a, __m512i b, __m128i shift)
{
  __m512i packed = _mm512_packus_epi32 (_mm512_sra_epi32 (a, shift), _mm512_sra_epi32 (b, shift));

  return _mm512_min_epu16 (packed, _mm512_set1_epi16 (SEED_MID_MAX));
}

/*
 * Four rows a b c d meet as a0 b0 c0 d0 a1 .. for vpdpbusd, which multiplies bytes without a sign
 * by bytes with one. A weight is two of these: w = 256 high + low, -128 <= low < 128.
 */
typedef struct {
  guint n; /* groups */
  guint32 low[MAX_GROUPS], high[MAX_GROUPS];
} Groups;

static void
groups_init (Groups *groups, const gint16 *weights, guint n)
{
  groups->n = (n + 3) / 4;
  for (guint g = 0; g < groups->n; g++) {
    groups->low[g] = groups->high[g] = 0;
    for (guint j = 0; j < 4 && 4 * g + j < n; j++) {
      gint32 high = (weights[4 * g + j] + 128) >> 8;

      groups->high[g] |= (guint32)(guint8)high << 8 * j;
      groups->low[g] |= (guint32)(guint8)(weights[4 * g + j] - 256 * high) << 8 * j;
    }
  }
}

static inline __m512i
whole (__m512i high, __m512i low)
{
  return _mm512_add_epi32 (_mm512_slli_epi32 (high, 8), low);
}

/* 64 columns, or as many as @mask has bits. */
static inline void
down_bytes_64 (gint16 *dst, const guint8 *src, gssize stride, const Groups *groups, guint n,
    gint32 round, __m128i shift, __mmask64 mask)
{
  const __m512i first = _mm512_set_epi64 (11, 10, 3, 2, 9, 8, 1, 0);
  const __m512i second = _mm512_set_epi64 (15, 14, 7, 6, 13, 12, 5, 4);
  __m512i l0 = _mm512_set1_epi32 (round), l1 = l0, l2 = l0, l3 = l0;
  __m512i h0 = _mm512_setzero_si512 (), h1 = h0, h2 = h0, h3 = h0;

  for (guint g = 0; g < groups->n; g++, src += 4 * stride) {
    guint left = n - 4 * g; /* what is read in place of rows there are not has no weight */
    __m512i low = _mm512_set1_epi32 ((gint32)groups->low[g]);
    __m512i high = _mm512_set1_epi32 ((gint32)groups->high[g]);
    __m512i a = _mm512_maskz_loadu_epi8 (mask, src);
    __m512i b = _mm512_maskz_loadu_epi8 (mask, src + (left > 1 ? stride : 0));
    __m512i c = _mm512_maskz_loadu_epi8 (mask, src + (left > 2 ? 2 * stride : 0));
    __m512i d = _mm512_maskz_loadu_epi8 (mask, src + (left > 3 ? 3 * stride : 0));
    __m512i ab0 = _mm512_unpacklo_epi8 (a, b), ab1 = _mm512_unpackhi_epi8 (a, b);
    __m512i cd0 = _mm512_unpacklo_epi8 (c, d), cd1 = _mm512_unpackhi_epi8 (c, d);
    __m512i x0 = _mm512_unpacklo_epi16 (ab0, cd0), x1 = _mm512_unpackhi_epi16 (ab0, cd0);
    __m512i x2 = _mm512_unpacklo_epi16 (ab1, cd1), x3 = _mm512_unpackhi_epi16 (ab1, cd1);

    l0 = _mm512_dpbusd_epi32 (l0, x0, low);
    l1 = _mm512_dpbusd_epi32 (l1, x1, low);
    l2 = _mm512_dpbusd_epi32 (l2, x2, low);
    l3 = _mm512_dpbusd_epi32 (l3, x3, low);
    h0 = _mm512_dpbusd_epi32 (h0, x0, high);
    h1 = _mm512_dpbusd_epi32 (h1, x1, high);
    h2 = _mm512_dpbusd_epi32 (h2, x2, high);
    h3 = _mm512_dpbusd_epi32 (h3, x3, high);
  }
  l0 = narrow (whole (h0, l0), whole (h1, l1), shift); /* columns 0..7 of each quarter */
  l2 = narrow (whole (h2, l2), whole (h3, l3), shift);
  _mm512_mask_storeu_epi16 (dst, (__mmask32)mask, _mm512_permutex2var_epi64 (l0, first, l2));
  _mm512_mask_storeu_epi16 (
      dst + 32, (__mmask32)(mask >> 32), _mm512_permutex2var_epi64 (l0, second, l2));
}

static void
down_bytes_avx512 (gint16 *dst, const guint8 *src, gssize stride, const gint16 *weights, guint n,
    gsize width, guint shift)
{
  const __m128i by = _mm_cvtsi32_si128 ((int)shift);
  const gint32 round = 1 << shift >> 1;
  Groups groups;

  if (n > 4 * MAX_GROUPS) {
    seed_resample_down_bytes_avx2 (dst, src, stride, weights, n, width, shift);
    return;
  }
  groups_init (&groups, weights, n);
  for (gsize x = 0; x < width; x += 64)
    down_bytes_64 (dst + x, src + x, stride, &groups, n, round, by, mask_of (width - x, 64));
}

static void
down_avx512 (gint16 *dst, const gint16 *const *rows, const gint16 *weights, guint n, guint width,
    guint shift)
{
  const __m128i by = _mm_cvtsi32_si128 ((int)shift);

  for (guint x = 0; x < width; x += 32) {
    __mmask32 mask = (__mmask32)mask_of (width - x, 32);
    __m512i s0 = _mm512_set1_epi32 (1 << shift >> 1), s1 = s0;

    for (guint k = 0; k < n; k += 2) {
      guint next = k + 1 < n ? k + 1 : k;
      guint32 weight =
          (guint16)weights[k] | (guint32)(guint16)(next > k ? weights[next] : 0) << 16;
      __m512i w = _mm512_set1_epi32 ((gint32)weight);
      __m512i a = _mm512_maskz_loadu_epi16 (mask, rows[k] + x);
      __m512i b = _mm512_maskz_loadu_epi16 (mask, rows[next] + x);

      s0 = _mm512_dpwssd_epi32 (s0, _mm512_unpacklo_epi16 (a, b), w);
      s1 = _mm512_dpwssd_epi32 (s1, _mm512_unpackhi_epi16 (a, b), w);
    }
    _mm512_mask_storeu_epi16 (dst + x, mask, narrow (s0, s1, by));
  }
}

const SeedResampleKernels seed_resample_kernels_avx512 = {
  .name = "avx512",
  .unpack = unpack_loop,
  .pick = pick_loop,
  .across = seed_resample_across_avx2,
  .down = down_avx512,
  .down_bytes = down_bytes_avx512,
  .levels = levels_loop,
  .yuv = yuv_loop,
  .mix = mix_loop,
};

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
