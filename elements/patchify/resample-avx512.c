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
  return left >= most ? ~G_GUINT64_CONSTANT (0) >> (64 - most)
                      : (G_GUINT64_CONSTANT (1) << left) - 1;
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

      groups->high[g] |= (guint32) (guint8) high << 8 * j;
      groups->low[g] |= (guint32) (guint8) (weights[4 * g + j] - 256 * high) << 8 * j;
    }
  }
}

/* The sums of 64 columns in two parts. */
typedef struct {
  __m512i low[4], high[4];
} Sums;

/* The compiler's own copies every sum before it adds to it. */
static inline __m512i
add_bytes (__m512i sum, __m512i x, __m512i w)
{
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
  return sum;
}

static inline __m512i
add_pairs (__m512i sum, __m512i x, __m512i w)
{
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(x), "vm"(w));
  return sum;
}

static inline __attribute__ ((always_inline)) void
add_rows (Sums *sums, __m512i a, __m512i b, __m512i c, __m512i d, guint32 low, guint32 high)
{
  __m512i w = _mm512_set1_epi32 ((gint32) low), v = _mm512_set1_epi32 ((gint32) high);
  __m512i ab0 = _mm512_unpacklo_epi8 (a, b), ab1 = _mm512_unpackhi_epi8 (a, b);
  __m512i cd0 = _mm512_unpacklo_epi8 (c, d), cd1 = _mm512_unpackhi_epi8 (c, d);
  __m512i x[4] = { _mm512_unpacklo_epi16 (ab0, cd0), _mm512_unpackhi_epi16 (ab0, cd0),
    _mm512_unpacklo_epi16 (ab1, cd1), _mm512_unpackhi_epi16 (ab1, cd1) };

  for (guint i = 0; i < 4; i++) {
    sums->low[i] = add_bytes (sums->low[i], x[i], w);
    sums->high[i] = add_bytes (sums->high[i], x[i], v);
  }
}

/* 64 columns, or as many as @mask has bits. What is read in place of rows there are not has no
 * weight. */
static inline __attribute__ ((always_inline)) void
down_bytes_64 (gint16 *dst, const guint8 *src, gssize stride, const Groups *groups, guint n,
    guint ahead, gint32 round, __m128i shift, __mmask64 mask)
{
  const __m512i first = _mm512_set_epi64 (11, 10, 3, 2, 9, 8, 1, 0);
  const __m512i second = _mm512_set_epi64 (15, 14, 7, 6, 13, 12, 5, 4);
  Sums s;
  guint g = 0;

  for (guint i = 0; i < 4; i++) {
    s.low[i] = _mm512_set1_epi32 (round);
    s.high[i] = _mm512_setzero_si512 ();
  }
  for (guint k = 0; k < ahead; k++)
    _mm_prefetch (src + (gssize) (n + k) * stride, _MM_HINT_T1);
  for (; g < n / 4; g++, src += 4 * stride)
    add_rows (&s, _mm512_maskz_loadu_epi8 (mask, src), _mm512_maskz_loadu_epi8 (mask, src + stride),
        _mm512_maskz_loadu_epi8 (mask, src + 2 * stride),
        _mm512_maskz_loadu_epi8 (mask, src + 3 * stride), groups->low[g], groups->high[g]);
  if (n % 4 > 0)
    add_rows (&s, _mm512_maskz_loadu_epi8 (mask, src),
        _mm512_maskz_loadu_epi8 (mask, src + (n % 4 > 1 ? stride : 0)),
        _mm512_maskz_loadu_epi8 (mask, src + (n % 4 > 2 ? 2 * stride : 0)), _mm512_setzero_si512 (),
        groups->low[g], groups->high[g]);
  for (guint i = 0; i < 4; i++)
    s.low[i] = _mm512_add_epi32 (_mm512_slli_epi32 (s.high[i], 8), s.low[i]);
  s.low[0] = narrow (s.low[0], s.low[1], shift); /* columns 0..7 of each quarter */
  s.low[2] = narrow (s.low[2], s.low[3], shift);
  _mm512_mask_storeu_epi16 (
      dst, (__mmask32) mask, _mm512_permutex2var_epi64 (s.low[0], first, s.low[2]));
  _mm512_mask_storeu_epi16 (
      dst + 32, (__mmask32) (mask >> 32), _mm512_permutex2var_epi64 (s.low[0], second, s.low[2]));
}

static void
down_bytes_avx512 (gint16 *dst, const guint8 *src, gssize stride, const gint16 *weights, guint n,
    guint ahead, gsize width, guint shift)
{
  const __m128i by = _mm_cvtsi32_si128 ((int) shift);
  const gint32 round = 1 << shift >> 1;
  Groups groups;
  gsize x = 0;

  if (n > 4 * MAX_GROUPS) {
    seed_resample_down_bytes_avx2 (dst, src, stride, weights, n, ahead, width, shift);
    return;
  }
  groups_init (&groups, weights, n);
  if (stride % 64 == 0) { /* where one row's columns begin a cache line, those of all do */
    x = MIN (-(guintptr) src % 64, width);
    if (x > 0)
      down_bytes_64 (dst, src, stride, &groups, n, ahead, round, by, mask_of (x, 64));
  }
  for (; x + 64 <= width; x += 64)
    down_bytes_64 (dst + x, src + x, stride, &groups, n, ahead, round, by, ~(__mmask64) 0);
  if (x < width)
    down_bytes_64 (dst + x, src + x, stride, &groups, n, ahead, round, by, mask_of (width - x, 64));
}

static void
down_avx512 (gint16 *dst, const gint16 *const *rows, const gint16 *weights, guint n, guint width,
    guint shift)
{
  const __m128i by = _mm_cvtsi32_si128 ((int) shift);

  for (guint x = 0; x < width; x += 32) {
    __mmask32 mask = (__mmask32) mask_of (width - x, 32);
    __m512i s0 = _mm512_set1_epi32 (1 << shift >> 1), s1 = s0;

    for (guint k = 0; k < n; k += 2) {
      guint next = k + 1 < n ? k + 1 : k;
      guint32 weight = (guint16) weights[k] | (guint32) (guint16) (next > k ? weights[next] : 0)
                                                  << 16;
      __m512i w = _mm512_set1_epi32 ((gint32) weight);
      __m512i a = _mm512_maskz_loadu_epi16 (mask, rows[k] + x);
      __m512i b = _mm512_maskz_loadu_epi16 (mask, rows[next] + x);

      s0 = add_pairs (s0, _mm512_unpacklo_epi16 (a, b), w);
      s1 = add_pairs (s1, _mm512_unpackhi_epi16 (a, b), w);
    }
    _mm512_mask_storeu_epi16 (dst + x, mask, narrow (s0, s1, by));
  }
}

/* Sums of up to 4 groups at once, so that none waits for another: of output d % size in lane d. */
static inline __attribute__ ((always_inline)) void
group_sums (__m512i *sums, const gint16 *line, const SeedAxisGroups *groups, guint g, guint size,
    const guint n)
{
  const __m512i advance = _mm512_set1_epi16 ((gint16) (SEED_GROUP_LANES / size));
  const gsize stride = (gsize) groups->steps * SEED_GROUP_LANES;
  const gint16 *w = groups->weights + g * stride;
  __m512i low[4], high[4], at[4];

#pragma GCC unroll 4
  for (guint j = 0; j < n; j++) {
    low[j] = _mm512_loadu_si512 (line + groups->start[g + j]);
    high[j] = _mm512_loadu_si512 (line + groups->start[g + j] + 32);
    at[j] = _mm512_load_si512 (groups->position + (gsize) (g + j) * SEED_GROUP_LANES);
    sums[j] = _mm512_setzero_si512 ();
  }
  for (guint step = 0; step < groups->steps; step++, w += SEED_GROUP_LANES) {
#pragma GCC unroll 4
    for (guint j = 0; j < n; j++) {
      __m512i samples = _mm512_permutex2var_epi16 (low[j], at[j], high[j]);

      sums[j] = add_pairs (sums[j], samples, _mm512_load_si512 (w + j * stride));
      at[j] = _mm512_add_epi16 (at[j], advance);
    }
  }
}

/* a0 + a1, a2 + a3, b0 + b1, b2 + b3 of quarters */
static inline __m512i
add_quarters (__m512i a, __m512i b)
{
  return _mm512_add_epi32 (_mm512_shuffle_i64x2 (a, b, 0x88), _mm512_shuffle_i64x2 (a, b, 0xdd));
}

/* Two groups of 2, as one of 4. */
static inline __m512i
join_groups (__m512i a, __m512i b)
{
  return _mm512_add_epi32 (_mm512_unpacklo_epi64 (a, b), _mm512_unpackhi_epi64 (a, b));
}

/* The sums of 16 outputs, beginning with group @g. */
static inline __attribute__ ((always_inline)) __m512i
sums_of_16 (const gint16 *line, const SeedAxisGroups *groups, guint g, guint size)
{
  __m512i s[8];

  if (size == 8) {
    group_sums (s, line, groups, g, 8, 2);
    return _mm512_add_epi32 (
        _mm512_shuffle_i64x2 (s[0], s[1], 0x44), _mm512_shuffle_i64x2 (s[0], s[1], 0xee));
  }
  group_sums (s, line, groups, g, size, 4);
  if (size == 2) {
    group_sums (s + 4, line, groups, g + 4, 2, 4);
#pragma GCC unroll 4
    for (guint j = 0; j < 4; j++)
      s[j] = join_groups (s[2 * j], s[2 * j + 1]);
  }
  return add_quarters (add_quarters (s[0], s[1]), add_quarters (s[2], s[3]));
}

static inline __attribute__ ((always_inline)) void
across_groups (gint16 *dst, const gint16 *line, const SeedAxis *axis, guint size)
{
  const __m512i round = _mm512_set1_epi32 (1 << axis->shift >> 1), zero = _mm512_setzero_si512 ();
  const __m512i max = _mm512_set1_epi32 (SEED_MID_MAX);
  const __m128i shift = _mm_cvtsi32_si128 ((int) axis->shift);
  guint g = 0;

  for (guint i = 0; i < axis->n_out; i += 16, g += 16 / size) {
    __m512i sum = _mm512_add_epi32 (sums_of_16 (line, &axis->groups, g, size), round);

    sum = _mm512_min_epi32 (_mm512_max_epi32 (_mm512_sra_epi32 (sum, shift), zero), max);
    _mm256_mask_storeu_epi16 (
        dst + i, (__mmask16) mask_of (axis->n_out - i, 16), _mm512_cvtepi32_epi16 (sum));
  }
}

static void
across_avx512 (gint16 *dst, const gint16 *line, const SeedAxis *axis)
{
  switch (axis->groups.size) {
  case 8:
    across_groups (dst, line, axis, 8);
    break;
  case 4:
    across_groups (dst, line, axis, 4);
    break;
  case 2:
    across_groups (dst, line, axis, 2);
    break;
  default:
    seed_resample_across_avx2 (dst, line, axis);
    break;
  }
}

static inline __m512i
pair (gint16 a, gint16 b)
{
  return _mm512_set1_epi32 ((gint32) ((guint32) (guint16) a | (guint32) (guint16) b << 16));
}

/* 32 sums, of columns 0..3 and 4..7 of each quarter, as bytes: 0..7 twice. */
static inline __m256i
to_bytes (__m512i a, __m512i b)
{
  __m512i words =
      _mm512_packs_epi32 (_mm512_srai_epi32 (a, COLOUR_SHIFT), _mm512_srai_epi32 (b, COLOUR_SHIFT));

  return _mm512_cvtusepi16_epi8 (_mm512_max_epi16 (words, _mm512_setzero_si512 ()));
}

static void
yuv_avx512 (guint8 *const rgb[3], const gint16 *const yuv[3], guint n, const SeedColour *c)
{
  const __m512i red = pair (c->y, c->r_v), blue = pair (c->y, c->b_u), green = pair (c->y, c->g_u);
  const __m512i green_v = pair (c->g_v, 0), r_add = _mm512_set1_epi32 (c->r_add);
  const __m512i g_add = _mm512_set1_epi32 (c->g_add), b_add = _mm512_set1_epi32 (c->b_add);

  for (guint i = 0; i < n; i += 32) {
    __mmask32 mask = (__mmask32) mask_of (n - i, 32);
    __m512i y = _mm512_maskz_loadu_epi16 (mask, yuv[0] + i);
    __m512i u = _mm512_maskz_loadu_epi16 (mask, yuv[1] + i);
    __m512i v = _mm512_maskz_loadu_epi16 (mask, yuv[2] + i);
    __m512i yu0 = _mm512_unpacklo_epi16 (y, u), yu1 = _mm512_unpackhi_epi16 (y, u);
    __m512i yv0 = _mm512_unpacklo_epi16 (y, v), yv1 = _mm512_unpackhi_epi16 (y, v);
    __m512i v0 = _mm512_unpacklo_epi16 (v, v), v1 = _mm512_unpackhi_epi16 (v, v);

    _mm256_mask_storeu_epi8 (
        rgb[0] + i, mask, to_bytes (add_pairs (r_add, yv0, red), add_pairs (r_add, yv1, red)));
    _mm256_mask_storeu_epi8 (rgb[1] + i, mask,
        to_bytes (add_pairs (add_pairs (g_add, yu0, green), v0, green_v),
            add_pairs (add_pairs (g_add, yu1, green), v1, green_v)));
    _mm256_mask_storeu_epi8 (
        rgb[2] + i, mask, to_bytes (add_pairs (b_add, yu0, blue), add_pairs (b_add, yu1, blue)));
  }
}

/* 32 bytes that are @step apart, as words. Reads whole pixels: callers leave the last of a row to
 * the loop. */
static inline __m512i
bytes_of_32 (const guint8 *src, guint step, __m512i at, __m512i by)
{
  const __m512i byte = _mm512_set1_epi16 (0xff);
  __m512i low = _mm512_loadu_si512 (src), words = low;

  if (step == 3)
    words = _mm512_srlv_epi16 (
        _mm512_permutex2var_epi16 (
            low, at, _mm512_castsi256_si512 (_mm256_loadu_si256 ((gconstpointer) (src + 64)))),
        by);
  else if (step == 4)
    words = _mm512_permutex2var_epi16 (low, at, _mm512_loadu_si512 (src + 64));
  return _mm512_and_si512 (words, byte);
}

static void
unpack_avx512 (gint16 *dst, const guint8 *src, guint step, guint n)
{
  gint16 at[32], by[32];
  __m512i position, shift;
  guint i = 0;

  if (step < 2 || step > 4) {
    unpack_loop (dst, src, step, n);
    return;
  }
  for (guint j = 0; j < 32; j++) { /* the word a byte is in, and where in it */
    at[j] = (gint16) (j * step / 2);
    by[j] = j * step % 2 ? 8 : 0;
  }
  position = _mm512_loadu_si512 (at);
  shift = _mm512_loadu_si512 (by);
  for (; i + 32 < n; i += 32, src += (gsize) 32 * step)
    _mm512_storeu_si512 (dst + i, bytes_of_32 (src, step, position, shift));
  unpack_loop (dst + i, src, step, n - i);
}

static void
pick_avx512 (gint16 *dst, const gint16 *src, guint step, guint n)
{
  gint16 at[32];
  __mmask32 beyond = 0; /* lanes that are not in the first 64 words */
  __m512i position;
  guint i = 0;

  if (step < 2 || step > 4) {
    pick_loop (dst, src, step, n);
    return;
  }
  for (guint j = 0; j < 32; j++) {
    at[j] = (gint16) (j * step % 64);
    beyond |= (__mmask32) (j * step >= 64) << j;
  }
  position = _mm512_loadu_si512 (at);
  for (; i + 32 < n; i += 32, src += (gsize) 32 * step) {
    __m512i words = _mm512_permutex2var_epi16 (
        _mm512_loadu_si512 (src), position, _mm512_loadu_si512 (src + 32));

    if (step > 2) {
      __m512i third = _mm512_loadu_si512 (src + 64);
      __m512i fourth = step == 4 ? _mm512_loadu_si512 (src + 96) : third;

      words = _mm512_mask_blend_epi16 (
          beyond, words, _mm512_permutex2var_epi16 (third, position, fourth));
    }
    _mm512_storeu_si512 (dst + i, words);
  }
  pick_loop (dst + i, src, step, n - i);
}

const SeedResampleKernels seed_resample_kernels_avx512 = {
  .name = "avx512",
  .unpack = unpack_avx512,
  .pick = pick_avx512,
  .across = across_avx512,
  .down = down_avx512,
  .down_bytes = down_bytes_avx512,
  .levels = levels_loop,
  .yuv = yuv_avx512,
  .mix = mix_loop,
};

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
