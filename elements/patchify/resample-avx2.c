/* SPDX-License-Identifier: MIT */
/* For AVX2 (Intel since 2013, AMD since 2015): what the compiler makes of the loops, and by hand
 * the three kernels that see every sample. */
#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#include <glib.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "patchify/resample-loops.h"
#include "patchify/resample-x86.h"

static inline __m256i
load (gconstpointer from)
{
  return _mm256_loadu_si256 (from);
}

/* Two weights for a multiplication of pairs. */
static inline __m256i
pair (gint16 a, gint16 b)
{
  return _mm256_set1_epi32 ((gint32) ((guint32) (guint16) a | (guint32) (guint16) b << 16));
}

/* 2 x 8 sums, of columns 0..3 and 4..7 of each half, as values between passes. */
static inline __m256i
narrow (__m256i a, __m256i b, __m128i shift)
{
  __m256i packed = _mm256_packus_epi32 (_mm256_sra_epi32 (a, shift), _mm256_sra_epi32 (b, shift));

  return _mm256_min_epu16 (packed, _mm256_set1_epi16 (SEED_MID_MAX));
}

/* 32 columns. Rows a and b meet as a0 b0 a1 b1 .. so that one instruction weighs and adds both. */
static inline void
down_bytes_32 (gint16 *dst, const guint8 *src, gssize stride, const gint16 *weights, guint n,
    guint ahead, gint32 round, __m128i shift)
{
  const __m256i zero = _mm256_setzero_si256 ();
  __m256i s0 = _mm256_set1_epi32 (round), s1 = s0, s2 = s0, s3 = s0;

  for (guint k = 0; k < ahead; k++)
    _mm_prefetch (src + (gssize) (n + k) * stride, _MM_HINT_T1);
  for (guint k = 0; k < n; k += 2, src += 2 * stride) {
    gboolean both = k + 1 < n;
    __m256i w = pair (weights[k], both ? weights[k + 1] : 0);
    __m256i a = load (src), b = load (both ? src + stride : src);
    __m256i low = _mm256_unpacklo_epi8 (a, b), high = _mm256_unpackhi_epi8 (a, b);

    s0 = _mm256_add_epi32 (s0, _mm256_madd_epi16 (_mm256_unpacklo_epi8 (low, zero), w));
    s1 = _mm256_add_epi32 (s1, _mm256_madd_epi16 (_mm256_unpackhi_epi8 (low, zero), w));
    s2 = _mm256_add_epi32 (s2, _mm256_madd_epi16 (_mm256_unpacklo_epi8 (high, zero), w));
    s3 = _mm256_add_epi32 (s3, _mm256_madd_epi16 (_mm256_unpackhi_epi8 (high, zero), w));
  }
  s0 = narrow (s0, s1, shift);
  s2 = narrow (s2, s3, shift);
  _mm256_storeu_si256 ((gpointer) dst, _mm256_permute2x128_si256 (s0, s2, 0x20));
  _mm256_storeu_si256 ((gpointer) (dst + 16), _mm256_permute2x128_si256 (s0, s2, 0x31));
}

void
seed_resample_down_bytes_avx2 (gint16 *dst, const guint8 *src, gssize stride, const gint16 *weights,
    guint n, guint ahead, gsize width, guint shift)
{
  const gint32 round = 1 << shift >> 1;
  const __m128i by = _mm_cvtsi32_si128 ((int) shift);
  gsize x = 0;

  if (width < 32) {
    down_bytes_loop (dst, src, stride, weights, n, ahead, width, shift);
    return;
  }
  for (; x + 32 <= width; x += 32)
    down_bytes_32 (dst + x, src + x, stride, weights, n, ahead, round, by);
  if (x < width) /* some columns twice */
    down_bytes_32 (dst + width - 32, src + width - 32, stride, weights, n, ahead, round, by);
}

static inline void
down_16 (gint16 *dst, const gint16 *const *rows, const gint16 *weights, guint n, guint x,
    gint32 round, __m128i shift)
{
  __m256i s0 = _mm256_set1_epi32 (round), s1 = s0;

  for (guint k = 0; k < n; k += 2) {
    gboolean both = k + 1 < n;
    __m256i w = pair (weights[k], both ? weights[k + 1] : 0);
    __m256i a = load (rows[k] + x), b = load (rows[both ? k + 1 : k] + x);

    s0 = _mm256_add_epi32 (s0, _mm256_madd_epi16 (_mm256_unpacklo_epi16 (a, b), w));
    s1 = _mm256_add_epi32 (s1, _mm256_madd_epi16 (_mm256_unpackhi_epi16 (a, b), w));
  }
  _mm256_storeu_si256 ((gpointer) (dst + x), narrow (s0, s1, shift));
}

static void
down_avx2 (gint16 *dst, const gint16 *const *rows, const gint16 *weights, guint n, guint width,
    guint shift)
{
  const __m128i by = _mm_cvtsi32_si128 ((int) shift);
  guint x = 0;

  for (; x + 16 <= width; x += 16)
    down_16 (dst, rows, weights, n, x, 1 << shift >> 1, by);
  down_loop_from (dst, rows, weights, n, x, width, shift);
}

/* Products of one output, in 8 sums. */
static inline __m256i
weigh (const gint16 *in, const gint16 *w, guint taps)
{
  __m256i sum = _mm256_setzero_si256 ();
  guint k = 0;

  for (; k + 16 <= taps; k += 16)
    sum = _mm256_add_epi32 (sum, _mm256_madd_epi16 (load (in + k), load (w + k)));
  if (k < taps) {
    __m128i last = _mm_madd_epi16 (
        _mm_loadu_si128 ((gconstpointer) (in + k)), _mm_loadu_si128 ((gconstpointer) (w + k)));

    sum = _mm256_add_epi32 (sum, _mm256_zextsi128_si256 (last));
  }
  return sum;
}

/* The sums of 4 outputs, each in two parts. */
static inline __m256i
weigh_4 (const gint16 *line, const guint32 *start, const gint16 *w, guint taps)
{
  __m256i a = weigh (line + start[0], w, taps), b = weigh (line + start[1], w + taps, taps);
  __m256i c = weigh (line + start[2], w + 2 * (gsize) taps, taps);
  __m256i d = weigh (line + start[3], w + 3 * (gsize) taps, taps);

  return _mm256_hadd_epi32 (_mm256_hadd_epi32 (a, b), _mm256_hadd_epi32 (c, d));
}

/* Outputs i..i + 8. */
static inline void
across_8 (gint16 *dst, const gint16 *line, const SeedAxis *axis, guint i, guint taps)
{
  const gint16 *w = axis->weights + (gsize) i * taps;
  __m256i a = weigh_4 (line, axis->start + i, w, taps);
  __m256i b = weigh_4 (line, axis->start + i + 4, w + 4 * (gsize) taps, taps);
  __m256i sum = _mm256_add_epi32 (
      _mm256_permute2x128_si256 (a, b, 0x20), _mm256_permute2x128_si256 (a, b, 0x31));

  sum = _mm256_add_epi32 (sum, _mm256_set1_epi32 (1 << axis->shift >> 1));
  sum = narrow (sum, sum, _mm_cvtsi32_si128 ((int) axis->shift));
  _mm_storeu_si128 (
      (gpointer) (dst + i), _mm256_castsi256_si128 (_mm256_permute4x64_epi64 (sum, 8)));
}

static inline void
across_taps (gint16 *dst, const gint16 *line, const SeedAxis *axis, guint taps)
{
  guint i = 0;

  for (; i + 8 <= axis->n_out; i += 8)
    across_8 (dst, line, axis, i, taps);
  if (i < axis->n_out && i > 0)
    across_8 (dst, line, axis, axis->n_out - 8, taps);
  else if (i < axis->n_out)
    across_loop (dst, line, axis);
}

/* A constant number of taps leaves no inner loop. */
void
seed_resample_across_avx2 (gint16 *dst, const gint16 *line, const SeedAxis *axis)
{
  switch (axis->taps) {
  case 8:
    across_taps (dst, line, axis, 8);
    break;
  case 16:
    across_taps (dst, line, axis, 16);
    break;
  case 24:
    across_taps (dst, line, axis, 24);
    break;
  default:
    across_taps (dst, line, axis, axis->taps);
    break;
  }
}

/* Sums of columns 0..3 and 4..7 of each half, as 16-bit values in order. */
static inline __m256i
colour_words (__m256i a, __m256i b)
{
  return _mm256_packs_epi32 (
      _mm256_srai_epi32 (a, COLOUR_SHIFT), _mm256_srai_epi32 (b, COLOUR_SHIFT));
}

static inline void
store_bytes (guint8 *dst, __m256i words)
{
  __m256i bytes = _mm256_packus_epi16 (words, words);

  _mm_storeu_si128 ((gpointer) dst, _mm256_castsi256_si128 (_mm256_permute4x64_epi64 (bytes, 8)));
}

/* add + x w */
static inline __m256i
plus (__m256i add, __m256i x, __m256i w)
{
  return _mm256_add_epi32 (add, _mm256_madd_epi16 (x, w));
}

/* 16 columns from @i on. */
static inline void
yuv_16 (guint8 *const rgb[3], const gint16 *const yuv[3], guint i, const SeedColour *c)
{
  const __m256i red = pair (c->y, c->r_v), blue = pair (c->y, c->b_u), green = pair (c->y, c->g_u);
  const __m256i green_v = pair (c->g_v, 0), r_add = _mm256_set1_epi32 (c->r_add);
  const __m256i g_add = _mm256_set1_epi32 (c->g_add), b_add = _mm256_set1_epi32 (c->b_add);
  __m256i y = load (yuv[0] + i), u = load (yuv[1] + i), v = load (yuv[2] + i);
  __m256i yu0 = _mm256_unpacklo_epi16 (y, u), yu1 = _mm256_unpackhi_epi16 (y, u);
  __m256i yv0 = _mm256_unpacklo_epi16 (y, v), yv1 = _mm256_unpackhi_epi16 (y, v);
  __m256i v0 = _mm256_unpacklo_epi16 (v, v), v1 = _mm256_unpackhi_epi16 (v, v);

  store_bytes (rgb[0] + i, colour_words (plus (r_add, yv0, red), plus (r_add, yv1, red)));
  store_bytes (rgb[1] + i, colour_words (plus (plus (g_add, yu0, green), v0, green_v),
                               plus (plus (g_add, yu1, green), v1, green_v)));
  store_bytes (rgb[2] + i, colour_words (plus (b_add, yu0, blue), plus (b_add, yu1, blue)));
}

static void
yuv_avx2 (guint8 *const rgb[3], const gint16 *const yuv[3], guint n, const SeedColour *colour)
{
  if (n < 16) {
    yuv_loop (rgb, yuv, n, colour);
    return;
  }
  for (guint i = 0; i + 16 <= n; i += 16)
    yuv_16 (rgb, yuv, i, colour);
  if (n % 16 > 0)
    yuv_16 (rgb, yuv, n - 16, colour);
}

static inline __m128i
shuffle (gconstpointer from, __m128i at)
{
  return _mm_shuffle_epi8 (_mm_loadu_si128 (from), at);
}

/* Every third of 24 bytes. */
static inline __m128i
third_bytes (const guint8 *src)
{
  const __m128i first = _mm_setr_epi8 (0, -1, 3, -1, 6, -1, 9, -1, 12, -1, 15, -1, -1, -1, -1, -1);
  const __m128i rest =
      _mm_setr_epi8 (-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 10, -1, 13, -1);

  return _mm_or_si128 (shuffle (src, first), shuffle (src + 8, rest));
}

/* Every third of 24 words. */
static inline __m128i
third_words (const gint16 *src)
{
  const __m128i a = _mm_setr_epi8 (0, 1, 6, 7, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m128i b = _mm_setr_epi8 (-1, -1, -1, -1, -1, -1, 2, 3, 8, 9, 14, 15, -1, -1, -1, -1);
  const __m128i c = _mm_setr_epi8 (-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 4, 5, 10, 11);

  return _mm_or_si128 (
      _mm_or_si128 (shuffle (src, a), shuffle (src + 8, b)), shuffle (src + 16, c));
}

/* The low words of 8 + 8 values of 32 bits. */
static inline __m256i
join (__m256i a, __m256i b)
{
  return _mm256_permute4x64_epi64 (_mm256_packus_epi32 (a, b), 0xd8);
}

/* Reads whole pixels, so the last ones of a row are left to the loop. */
static void
unpack_avx2 (gint16 *dst, const guint8 *src, guint step, guint n)
{
  const __m256i byte = _mm256_set1_epi32 (0xff);
  guint i = 0;

  for (; step == 2 && i + 16 < n; i += 16, src += 32)
    _mm256_storeu_si256 (
        (gpointer) (dst + i), _mm256_and_si256 (load (src), _mm256_set1_epi16 (0xff)));
  for (; step == 3 && i + 8 < n; i += 8, src += 24)
    _mm_storeu_si128 ((gpointer) (dst + i), third_bytes (src));
  for (; step == 4 && i + 16 < n; i += 16, src += 64)
    _mm256_storeu_si256 ((gpointer) (dst + i),
        join (_mm256_and_si256 (load (src), byte), _mm256_and_si256 (load (src + 32), byte)));
  unpack_loop (dst + i, src, step, n - i);
}

static void
pick_avx2 (gint16 *dst, const gint16 *src, guint step, guint n)
{
  const __m256i low = _mm256_set1_epi32 (0xffff), first = _mm256_set1_epi64x (0xffff);
  const __m256i order = _mm256_setr_epi32 (0, 4, 1, 5, 2, 6, 3, 7);
  guint i = 0;

  for (; step == 2 && i + 16 < n; i += 16, src += 32)
    _mm256_storeu_si256 ((gpointer) (dst + i),
        join (_mm256_and_si256 (load (src), low), _mm256_and_si256 (load (src + 16), low)));
  for (; step == 3 && i + 8 < n; i += 8, src += 24)
    _mm_storeu_si128 ((gpointer) (dst + i), third_words (src));
  for (; step == 4 && i + 16 < n; i += 16, src += 64) {
    __m256i a = _mm256_packus_epi32 (
        _mm256_and_si256 (load (src), first), _mm256_and_si256 (load (src + 16), first));
    __m256i b = _mm256_packus_epi32 (
        _mm256_and_si256 (load (src + 32), first), _mm256_and_si256 (load (src + 48), first));

    _mm256_storeu_si256 (
        (gpointer) (dst + i), _mm256_permutevar8x32_epi32 (_mm256_packus_epi32 (a, b), order));
  }
  pick_loop (dst + i, src, step, n - i);
}

const SeedResampleKernels seed_resample_kernels_avx2 = {
  .name = "avx2",
  .unpack = unpack_avx2,
  .pick = pick_avx2,
  .across = seed_resample_across_avx2,
  .down = down_avx2,
  .down_bytes = seed_resample_down_bytes_avx2,
  .levels = levels_loop,
  .yuv = yuv_avx2,
  .mix = mix_loop,
};

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
