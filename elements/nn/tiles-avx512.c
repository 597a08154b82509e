/* SPDX-License-Identifier: MIT */
/*
 * For AVX-512 (Intel since 2017, AMD since Zen 4), with BF16 and VNNI where the CPU has them. A
 * block of 12 rows by two registers of columns leaves enough registers for the operands and has
 * more independent sums than a dot product has cycles of latency.
 */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include <glib.h>

#ifdef __x86_64__
#include <immintrin.h>

#include "nn/kernels.h"

#ifdef __clang__
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni,fma"))),       \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni,fma")
#endif

#include "nn/tiles-avx512.h"

static ALWAYS_INLINE void
pack_rows_in (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride, guint count,
    gsize k, guint32 *units, guint width)
{
  gsize n_units = seed_tile_units (precision, k);
  guint unit = seed_tile_unit (precision);
  gsize size = precision == SEED_PRECISION_INT8 ? 1 : type == SEED_ROWS_BF16 ? 2 : 4;

  for (guint r0 = 0; r0 < count; r0 += LANES) {
    guint rows = MIN (LANES, count - r0);
    __mmask16 mask = (__mmask16) first (rows);

    for (gsize u0 = 0; u0 < n_units; u0 += LANES) {
      gsize left = k - u0 * unit, n = MIN (LANES, n_units - u0);
      __m512i r[LANES];

      for (guint i = 0; i < LANES; i++)
        r[i] = i < rows ? load_units (precision, type,
                              (const char *) x + ((r0 + i) * stride + u0 * unit) * size, left)
                        : _mm512_setzero_si512 ();
      transpose (r);
      for (gsize u = 0; u < n; u++)
        _mm512_mask_storeu_epi32 (units + (u0 + u) * width + r0, mask, r[u]);
    }
  }
}

static void
pack_rows (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride, guint count,
    gsize k, guint32 *units, guint width)
{
  if (precision == SEED_PRECISION_FLOAT32)
    pack_rows_in (SEED_PRECISION_FLOAT32, SEED_ROWS_REAL, x, stride, count, k, units, width);
  else if (precision == SEED_PRECISION_INT8)
    pack_rows_in (SEED_PRECISION_INT8, SEED_ROWS_REAL, x, stride, count, k, units, width);
  else if (type == SEED_ROWS_BF16)
    pack_rows_in (SEED_PRECISION_BFLOAT16, SEED_ROWS_BF16, x, stride, count, k, units, width);
  else
    pack_rows_in (SEED_PRECISION_BFLOAT16, SEED_ROWS_REAL, x, stride, count, k, units, width);
}

static ALWAYS_INLINE void
pack_columns_in (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride,
    guint count, gsize k, guint32 *units, guint width)
{
  gsize size = type == SEED_ROWS_BF16 ? 2 : 4, n_units = seed_tile_units (precision, k);
  guint unit = seed_tile_unit (precision);

  for (gsize u = 0; u < n_units; u++) {
    gsize row = u * unit;
    const char *low = row < k ? (const char *) x + row * stride * size : NULL;
    const char *high = row + 1 < k ? low + stride * size : NULL;
    guint32 *group = units + u * width;

    for (guint begin = 0; begin < count; begin += width, group += n_units * width) {
      guint n = MIN (width, count - begin);

      for (guint c = 0; c < n; c += LANES) {
        __mmask16 mask = (__mmask16) first (n - c);
        gsize at = (begin + c) * size;

        _mm512_mask_storeu_epi32 (group + c, mask,
            !low ? _mm512_setzero_si512 ()
            : precision == SEED_PRECISION_FLOAT32
                ? _mm512_castps_si512 (_mm512_maskz_loadu_ps (mask, low + at))
                : load_pairs (type, low + at, high ? high + at : NULL, mask));
      }
    }
  }
}

static void
pack_columns (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride, guint count,
    gsize k, guint32 *units, guint width)
{
  if (precision == SEED_PRECISION_FLOAT32)
    pack_columns_in (SEED_PRECISION_FLOAT32, SEED_ROWS_REAL, x, stride, count, k, units, width);
  else if (type == SEED_ROWS_BF16)
    pack_columns_in (SEED_PRECISION_BFLOAT16, SEED_ROWS_BF16, x, stride, count, k, units, width);
  else
    pack_columns_in (SEED_PRECISION_BFLOAT16, SEED_ROWS_REAL, x, stride, count, k, units, width);
}

static ALWAYS_INLINE void
quantise_row (SeedRowsType type, const void *x, gsize from, gsize k, guint8 *bytes, gsize n_bytes,
    float *scale)
{
  __m512 max = _mm512_setzero_ps (), inverse;
  const __m512i zero = _mm512_set1_epi32 (128);
  float most;

  for (gsize i = 0; i < k; i += LANES)
    max = _mm512_max_ps (
        max, _mm512_abs_ps (load_floats (type, x, from + i, (__mmask16) first (k - i))));
  most = _mm512_reduce_max_ps (max);
  *scale = most / 127.0f;
  inverse = _mm512_set1_ps (most > 0 ? 127.0f / most : 0.0f);
  for (gsize i = 0; i < n_bytes; i += LANES) {
    __mmask16 mask = (__mmask16) (i < k ? first (k - i) : 0);
    __m512i rounded =
        _mm512_cvtps_epi32 (_mm512_mul_ps (load_floats (type, x, from + i, mask), inverse));

    _mm512_mask_cvtepi32_storeu_epi8 (
        bytes + i, (__mmask16) first (n_bytes - i), _mm512_add_epi32 (rounded, zero));
  }
}

static void
quantise (SeedRowsType type, const void *x, gsize stride, guint rows, gsize k, guint8 *bytes,
    gsize bytes_stride, float *scale)
{
  for (guint r = 0; r < rows; r++)
    if (type == SEED_ROWS_BF16)
      quantise_row (
          SEED_ROWS_BF16, x, r * stride, k, bytes + r * bytes_stride, bytes_stride, scale + r);
    else
      quantise_row (
          SEED_ROWS_REAL, x, r * stride, k, bytes + r * bytes_stride, bytes_stride, scale + r);
}

/* Products */

#define AHEAD 4     /* units of a panel that are fetched early */
#define LINE_ROWS 6 /* lines of floats in a block of four registers of columns */

static ALWAYS_INLINE __m512
dot (SeedPrecision precision, __m512 sum, __m512i a, __m512i b)
{
  if (precision == SEED_PRECISION_FLOAT32)
    return _mm512_fmadd_ps (_mm512_castsi512_ps (a), _mm512_castsi512_ps (b), sum);
  if (precision == SEED_PRECISION_BFLOAT16)
    return _mm512_dpbf16_ps (sum, (__m512bh) a, (__m512bh) b);
  return _mm512_castsi512_ps (_mm512_dpbusd_epi32 (_mm512_castps_si512 (sum), a, b));
}

/* A row of a whole panel that has no activation and is a number already. */
static ALWAYS_INLINE void
store_sums (const SeedTile *t, guint row, guint column, __m512 low, __m512 high)
{
  gsize to = row * t->c_stride + column;

  if (t->bias) {
    low = _mm512_add_ps (low, _mm512_loadu_ps (t->bias + column));
    high = _mm512_add_ps (high, _mm512_loadu_ps (t->bias + column + LANES));
  }
  if (t->residual) {
    const float *residual = t->residual + row * t->residual_stride + column;

    low = _mm512_add_ps (low, _mm512_loadu_ps (residual));
    high = _mm512_add_ps (high, _mm512_loadu_ps (residual + LANES));
  }
  if (t->c_type == SEED_ROWS_BF16) {
    _mm512_storeu_si512 ((SeedBf16 *) t->c + to, to_bf16 (high, low));
  } else {
    _mm512_storeu_ps ((float *) t->c + to, low);
    _mm512_storeu_ps ((float *) t->c + to + LANES, high);
  }
}

/* One strip by one panel, or some lines by two. */
typedef struct {
  const guint32 *a, *b;
  gsize a_stride; /* from one unit to the next, or from one line to the next */
  float *sums; /* [rows, SEED_TILE_COLUMNS] for each panel, for what is yet to be done; or NULL: */
  guint row, column; /* of the result, where they go at once */
  const char *fetch; /* what is needed soon: a line for each unit, @fetch_stride apart */
  gsize fetch_stride;
} Step;

static ALWAYS_INLINE void
block (SeedPrecision precision, guint rows, const SeedTile *t, const Step *step)
{
  __m512 sum[SEED_TILE_ROWS][2];
  const guint32 *a = step->a, *b = step->b;
  gsize a_stride = step->a_stride;

#pragma GCC unroll 12
  for (guint r = 0; r < rows; r++)
    sum[r][0] = sum[r][1] = _mm512_setzero_ps ();
#pragma GCC unroll 1
  for (gsize u = t->units; u > 0; u--, a += a_stride, b += SEED_TILE_COLUMNS) {
    __m512i b0 = _mm512_loadu_si512 (b), b1 = _mm512_loadu_si512 (b + LANES);

    _mm_prefetch ((const char *) (b + 4 * AHEAD * SEED_TILE_COLUMNS), _MM_HINT_T0);
    _mm_prefetch ((const char *) (b + 4 * AHEAD * SEED_TILE_COLUMNS + LANES), _MM_HINT_T0);
#pragma GCC unroll 12
    for (guint r = 0; r < rows; r++) {
      __m512i x = _mm512_set1_epi32 ((int) a[r]);

      sum[r][0] = dot (precision, sum[r][0], x, b0);
      sum[r][1] = dot (precision, sum[r][1], x, b1);
    }
  }
#pragma GCC unroll 12
  for (guint r = 0; r < rows; r++)
    if (step->sums) {
      _mm512_store_ps (step->sums + r * SEED_TILE_COLUMNS, sum[r][0]);
      _mm512_store_ps (step->sums + r * SEED_TILE_COLUMNS + LANES, sum[r][1]);
    } else {
      store_sums (t, step->row + r, step->column, sum[r][0], sum[r][1]);
    }
}

/* Lines of floats by one or two panels: half as many loads as the block above does. */
static ALWAYS_INLINE void
block_of_lines (guint rows, guint panels, const SeedTile *t, const Step *step)
{
  __m512 sum[LINE_ROWS][4];
  const float *a = (const float *) step->a;
  const guint32 *b = step->b;
  const char *fetch = step->fetch;
  gsize a_stride = step->a_stride, next = t->panel_stride, fetch_stride = step->fetch_stride;

#pragma GCC unroll 6
  for (guint r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (guint c = 0; c < 2 * panels; c++)
      sum[r][c] = _mm512_setzero_ps ();
#pragma GCC unroll 1
  for (gsize u = t->units; u > 0; u--, a++, b += SEED_TILE_COLUMNS, fetch += fetch_stride) {
    __m512 y[4];

    _mm_prefetch (fetch, _MM_HINT_T1);
#pragma GCC unroll 4
    for (guint c = 0; c < 2 * panels; c++) {
      const guint32 *at = b + c / 2 * next + c % 2 * LANES;

      y[c] = _mm512_loadu_ps (at);
      _mm_prefetch ((const char *) (at + AHEAD * SEED_TILE_COLUMNS), _MM_HINT_T0);
    }
#pragma GCC unroll 6
    for (guint r = 0; r < rows; r++) {
      __m512 x = _mm512_set1_ps (a[r * a_stride]);

#pragma GCC unroll 4
      for (guint c = 0; c < 2 * panels; c++)
        sum[r][c] = _mm512_fmadd_ps (x, y[c], sum[r][c]);
    }
  }
#pragma GCC unroll 6
  for (guint r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (guint p = 0; p < panels; p++)
      if (step->sums) {
        float *to = step->sums + (p * LINE_ROWS + r) * SEED_TILE_COLUMNS;

        _mm512_store_ps (to, sum[r][2 * p]);
        _mm512_store_ps (to + LANES, sum[r][2 * p + 1]);
      } else {
        store_sums (t, step->row + r, step->column + p * SEED_TILE_COLUMNS, sum[r][2 * p],
            sum[r][2 * p + 1]);
      }
}

typedef void (*Block) (const SeedTile *t, const Step *step);

#define DEFINE_BLOCK(name, precision, rows)                                                        \
  static void name##_##rows (const SeedTile *t, const Step *step)                                  \
  {                                                                                                \
    block (precision, rows, t, step);                                                              \
  }
#define DEFINE_BLOCKS(name, precision)                                                             \
  DEFINE_BLOCK (name, precision, 1)                                                                \
  DEFINE_BLOCK (name, precision, 2)                                                                \
  DEFINE_BLOCK (name, precision, 3)                                                                \
  DEFINE_BLOCK (name, precision, 4)                                                                \
  DEFINE_BLOCK (name, precision, 5)                                                                \
  DEFINE_BLOCK (name, precision, 6)                                                                \
  DEFINE_BLOCK (name, precision, 7)                                                                \
  DEFINE_BLOCK (name, precision, 8)                                                                \
  DEFINE_BLOCK (name, precision, 9)                                                                \
  DEFINE_BLOCK (name, precision, 10)                                                               \
  DEFINE_BLOCK (name, precision, 11)                                                               \
  DEFINE_BLOCK (name, precision, 12)                                                               \
  static const Block name##_blocks[SEED_TILE_ROWS + 1] = { NULL, name##_1, name##_2, name##_3,     \
    name##_4, name##_5, name##_6, name##_7, name##_8, name##_9, name##_10, name##_11, name##_12 };

DEFINE_BLOCKS (float32, SEED_PRECISION_FLOAT32)
DEFINE_BLOCKS (bfloat16, SEED_PRECISION_BFLOAT16)
DEFINE_BLOCKS (int8, SEED_PRECISION_INT8)

#define DEFINE_LINES(rows, panels)                                                                 \
  static void lines_##rows##_##panels (const SeedTile *t, const Step *step)                        \
  {                                                                                                \
    block_of_lines (rows, panels, t, step);                                                        \
  }
DEFINE_LINES (1, 1)
DEFINE_LINES (2, 1)
DEFINE_LINES (3, 1)
DEFINE_LINES (4, 1)
DEFINE_LINES (5, 1)
DEFINE_LINES (6, 1)
DEFINE_LINES (1, 2)
DEFINE_LINES (2, 2)
DEFINE_LINES (3, 2)
DEFINE_LINES (4, 2)
DEFINE_LINES (5, 2)
DEFINE_LINES (6, 2)
static const Block line_blocks[3][LINE_ROWS + 1] = { { NULL },
  { NULL, lines_1_1, lines_2_1, lines_3_1, lines_4_1, lines_5_1, lines_6_1 },
  { NULL, lines_1_2, lines_2_2, lines_3_2, lines_4_2, lines_5_2, lines_6_2 } };

static void
activate (const SeedTile *t, float *x, guint n)
{
  if (t->c_type != SEED_ROWS_BF16) {
    seed_kernels_get ()->activation[t->activation](x, n, x);
    return;
  }
  switch (t->activation) {
  case SEED_ACTIVATION_GELU:
    activate_with (SEED_ACTIVATION_GELU, x, n);
    break;
  case SEED_ACTIVATION_GELU_TANH:
    activate_with (SEED_ACTIVATION_GELU_TANH, x, n);
    break;
  case SEED_ACTIVATION_QUICK_GELU:
    activate_with (SEED_ACTIVATION_QUICK_GELU, x, n);
    break;
  case SEED_ACTIVATION_SILU:
    activate_with (SEED_ACTIVATION_SILU, x, n);
    break;
  case SEED_ACTIVATION_RELU:
    activate_with (SEED_ACTIVATION_RELU, x, n);
    break;
  }
}

/* int8 sums to floats, and the bias; in place, a row of one register at a time. */
static ALWAYS_INLINE void
scale_and_bias (
    SeedPrecision precision, const SeedTile *t, guint row, guint rows, guint column, float *x)
{
  for (guint h = 0; h < SEED_TILE_COLUMNS && column + h < t->n; h += LANES) {
    guint at = column + h;
    __mmask16 mask = (__mmask16) first (t->n - at);
    __m512 bias = t->bias ? _mm512_maskz_loadu_ps (mask, t->bias + at) : _mm512_setzero_ps ();

    if (precision == SEED_PRECISION_INT8) {
      __m512i shift = _mm512_maskz_loadu_epi32 (mask, t->column_shift + at);
      __m512 scale = _mm512_maskz_loadu_ps (mask, t->column_scale + at);

      for (guint r = 0; r < rows; r++) {
        float *to = x + r * SEED_TILE_COLUMNS + h;
        __m512 sum = _mm512_cvtepi32_ps (_mm512_sub_epi32 (_mm512_load_si512 (to), shift));
        __m512 both = _mm512_mul_ps (scale, _mm512_set1_ps (t->row_scale[row + r]));

        _mm512_store_ps (to, _mm512_fmadd_ps (sum, both, bias));
      }
    } else if (t->bias) {
      for (guint r = 0; r < rows; r++) {
        float *to = x + r * SEED_TILE_COLUMNS + h;
        _mm512_store_ps (to, _mm512_add_ps (_mm512_load_ps (to), bias));
      }
    }
  }
}

static ALWAYS_INLINE void
store (const SeedTile *t, guint row, guint rows, guint column, const float *x)
{
  for (guint h = 0; h < SEED_TILE_COLUMNS && column + h < t->n; h += LANES) {
    guint at = column + h;
    __mmask16 mask = (__mmask16) first (t->n - at);

    for (guint r = 0; r < rows; r++) {
      __m512 y = _mm512_load_ps (x + r * SEED_TILE_COLUMNS + h);
      gsize to = (row + r) * t->c_stride + at;

      if (t->residual)
        y = _mm512_add_ps (
            y, _mm512_maskz_loadu_ps (mask, t->residual + (row + r) * t->residual_stride + at));
      if (t->c_type == SEED_ROWS_BF16)
        _mm256_mask_storeu_epi16 ((SeedBf16 *) t->c + to, mask, (__m256i) _mm512_cvtneps_pbh (y));
      else
        _mm512_mask_storeu_ps ((float *) t->c + to, mask, y);
    }
  }
}

/* What a block left to be done, for one panel of it. */
static ALWAYS_INLINE void
finish (
    SeedPrecision precision, const SeedTile *t, guint row, guint rows, guint column, float *sums)
{
  scale_and_bias (precision, t, row, rows, column, sums);
  if (t->activate)
    activate (t, sums, rows * SEED_TILE_COLUMNS);
  store (t, row, rows, column, sums);
}

/* Panels outside: a panel stays in the nearest cache while all strips pass by it. */
static ALWAYS_INLINE void
multiply (SeedPrecision precision, const Block *blocks, const SeedTile *t)
{
  float sums[SEED_TILE_ROWS * SEED_TILE_COLUMNS] __attribute__ ((aligned (64)));
  guint n_strips = seed_tile_n_strips (t->m);
  const guint32 *b = t->b;

  for (guint column = 0; column < t->n; column += SEED_TILE_COLUMNS, b += t->panel_stride) {
    gboolean at_once =
        precision != SEED_PRECISION_INT8 && !t->activate && t->n - column >= SEED_TILE_COLUMNS;

    for (guint s = 0; s < n_strips; s++) {
      guint row = seed_tile_strip (t->m, n_strips, s);
      guint rows = seed_tile_strip (t->m, n_strips, s + 1) - row;
      Step step = { .a = t->a + (t->a_stride ? row : row * t->units),
        .b = b,
        .a_stride = t->a_stride ? t->a_stride : rows,
        .sums = at_once ? NULL : sums,
        .row = row,
        .column = column };

      blocks[rows](t, &step);
      if (!at_once)
        finish (precision, t, row, rows, column, sums);
    }
  }
}

/* The first blocks to come by two panels have the two after them fetched, a part of them each. */
static ALWAYS_INLINE void
fetch_next (const SeedTile *t, const guint32 *b, guint block, Step *step)
{
  const char *next = (const char *) (b + 2 * t->panel_stride);

  step->fetch = block < 4 ? next + block * t->units * 64 : next;
  step->fetch_stride = block < 4 ? 64 : 0;
}

static void
multiply_lines (const SeedTile *t)
{
  float sums[2 * LINE_ROWS * SEED_TILE_COLUMNS] __attribute__ ((aligned (64)));
  guint n_blocks = (t->m + LINE_ROWS - 1) / LINE_ROWS;
  const guint32 *b = t->b;

  for (guint column = 0; column < t->n; column += 2 * SEED_TILE_COLUMNS, b += 2 * t->panel_stride) {
    guint left = t->n - column, panels = left > SEED_TILE_COLUMNS ? 2 : 1;
    gboolean at_once = !t->activate && left >= panels * SEED_TILE_COLUMNS;

    for (guint s = 0; s < n_blocks; s++) {
      guint row = seed_tile_strip (t->m, n_blocks, s);
      guint rows = seed_tile_strip (t->m, n_blocks, s + 1) - row;
      Step step = { .a = t->a + row * t->a_stride,
        .b = b,
        .a_stride = t->a_stride,
        .sums = at_once ? NULL : sums,
        .row = row,
        .column = column };

      fetch_next (t, b, s, &step);
      line_blocks[panels][rows](t, &step);
      for (guint p = 0; p < panels && !at_once; p++)
        finish (SEED_PRECISION_FLOAT32, t, row, rows, column + p * SEED_TILE_COLUMNS,
            sums + p * LINE_ROWS * SEED_TILE_COLUMNS);
    }
  }
}

static void
multiply_float32 (const SeedTile *tile)
{
  if (tile->lines)
    multiply_lines (tile);
  else
    multiply (SEED_PRECISION_FLOAT32, float32_blocks, tile);
}

static void
multiply_bfloat16 (const SeedTile *tile)
{
  multiply (SEED_PRECISION_BFLOAT16, bfloat16_blocks, tile);
}

static void
multiply_int8 (const SeedTile *tile)
{
  multiply (SEED_PRECISION_INT8, int8_blocks, tile);
}

/* Softmax */

static ALWAYS_INLINE void
softmax_row (float *x, gsize stride, guint n, float scale)
{
  const __m512 lowest = _mm512_set1_ps (-INFINITY), k = _mm512_set1_ps (scale * 1.44269504f);
  __m512 max = lowest, sum = _mm512_setzero_ps (), shift, inverse;

  for (guint i = 0; i < n; i += LANES)
    max = _mm512_max_ps (max, _mm512_mask_loadu_ps (lowest, (__mmask16) first (n - i), x + i));
  shift = _mm512_mul_ps (_mm512_set1_ps (_mm512_reduce_max_ps (max)), k);
  for (guint i = 0; i < n; i += LANES) {
    __mmask16 mask = (__mmask16) first (n - i);
    __m512 z = _mm512_fmsub_ps (_mm512_maskz_loadu_ps (mask, x + i), k, shift);
    __m512 e = _mm512_maskz_mov_ps (mask, fast_exp2 (z));

    sum = _mm512_add_ps (sum, e);
    _mm512_mask_storeu_ps (x + i, mask, e);
  }
  inverse = _mm512_set1_ps (1.0f / _mm512_reduce_add_ps (sum));
  for (guint i = 0; i < n; i += LANES) {
    __mmask16 mask = (__mmask16) first (n - i);
    _mm512_mask_storeu_ps (
        x + i, mask, _mm512_mul_ps (_mm512_maskz_loadu_ps (mask, x + i), inverse));
  }
  memset (x + n, 0, (stride - n) * sizeof *x);
}

static void
softmax (float *x, gsize stride, guint rows, guint cols, float scale, int causal)
{
  for (guint r = 0; r < rows; r++, x += stride)
    softmax_row (x, stride, causal >= 0 ? MIN (cols, (guint) causal + r + 1) : cols, scale);
}

static const SeedTiles tiles = {
  .name = "avx512",
  .takes_lines = { [SEED_PRECISION_FLOAT32] = TRUE },
  .pack_rows = pack_rows,
  .pack_columns = pack_columns,
  .quantise = quantise,
  .multiply = { multiply_float32, multiply_bfloat16, multiply_int8 },
  .softmax = softmax,
};

const SeedTiles *
seed_tiles_avx512 (void)
{
  return &tiles;
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
