/* SPDX-License-Identifier: MIT */
/*
 * For AMX (Intel since Sapphire Rapids): products of bfloat16 and int8 by tile registers of 16 rows
 * by 16 units. Two tiles of the left factor by two of the right one make 32 rows of a panel, so
 * each tile that is loaded is used twice. While the tile unit works, the vector units finish the
 * sums of the product before: a few rows after every step along k.
 */
#include <math.h>
#include <string.h>

#include <glib.h>

#include "core/cpu.h"
#include "nn/tiles.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nn/kernels.h"

#define TARGETS                                                                                    \
  "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni,fma,amx-tile,amx-bf16,amx-int8"
#ifdef __clang__
#pragma clang attribute push(                                                                         \
    __attribute__((target(                                                                            \
        "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni,fma,amx-tile,amx-bf16,amx-int8"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target(                                                                                \
    "avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx512vnni,fma,amx-tile,amx-bf16,amx-int8")
#endif

#include "nn/tiles-avx512.h"

#define GROUP 16              /* rows of a tile */
#define LINE 64               /* bytes of a tile's row */
#define PANEL_LINE (2 * LINE) /* bytes of a panel's unit row */
#define BOTH (2 * GROUP)      /* rows of two tiles */
#define BUFFER (BOTH * SEED_TILE_COLUMNS)

/* What ldtilecfg reads: Intel's manual, volume 1, chapter 18. */
typedef struct {
  guint8 palette, start_row;
  guint8 reserved[14];
  guint16 line_bytes[16];
  guint8 rows[16];
} __attribute__ ((packed, aligned (64))) TileConfig;

/* Sums in 0..3, left factors of @rows rows in 4 and 5, right ones in 6 and 7. */
static void
configure (guint rows)
{
  TileConfig config = { .palette = 1 };

  for (guint i = 0; i < 8; i++) {
    config.line_bytes[i] = LINE;
    config.rows[i] = (guint8) (i < 6 ? rows : GROUP);
  }
  _tile_loadconfig (&config);
}

/* Lines */

static void
line_rows (SeedRowsType type, const void *x, gsize stride, guint count, gsize k, guint32 *units)
{
  gsize n_units = seed_tile_units (SEED_PRECISION_BFLOAT16, k),
        size = type == SEED_ROWS_BF16 ? 2 : 4;

  for (guint r = 0; r < count; r++, units += n_units)
    for (gsize u = 0; u < n_units; u += LANES)
      _mm512_storeu_si512 (
          units + u, load_units (SEED_PRECISION_BFLOAT16, type,
                         (const char *) x + (r * stride + 2 * u) * size, k - 2 * u));
}

/* 16 columns at a time, in pairs of rows: their transpose is 16 lines of 16 units. */
static ALWAYS_INLINE void
line_columns_in (
    SeedRowsType type, const char *x, gsize stride, guint count, gsize k, guint32 *units)
{
  gsize n_units = seed_tile_units (SEED_PRECISION_BFLOAT16, k),
        size = type == SEED_ROWS_BF16 ? 2 : 4;

  for (gsize u = 0; u < n_units; u += LANES)
    for (guint c = 0; c < count; c += LANES) {
      guint n = MIN (LANES, count - c);
      __mmask16 mask = (__mmask16) first (n);
      __m512i r[LANES];

      for (guint i = 0; i < LANES; i++) {
        gsize row = 2 * (u + i);
        const char *low = x + (row * stride + c) * size;

        r[i] = row >= k ? _mm512_setzero_si512 ()
                        : load_pairs (type, low, row + 1 < k ? low + stride * size : NULL, mask);
      }
      transpose (r);
      for (guint i = 0; i < n; i++)
        _mm512_storeu_si512 (units + (c + i) * n_units + u, r[i]);
    }
}

static void
line_columns (SeedRowsType type, const void *x, gsize stride, guint count, gsize k, guint32 *units)
{
  if (type == SEED_ROWS_BF16)
    line_columns_in (SEED_ROWS_BF16, x, stride, count, k, units);
  else
    line_columns_in (SEED_ROWS_REAL, x, stride, count, k, units);
}

/* What is left to do with sums */

typedef enum {
  PLAIN,  /* no activation */
  GELU,   /* the exact one, to bfloat16 */
  OTHER,  /* any, to bfloat16 */
  KERNEL, /* any, in float32 */
} Activation;

static Activation
activation_of (const SeedTile *t)
{
  if (!t->activate)
    return PLAIN;
  if (t->c_type != SEED_ROWS_BF16)
    return KERNEL;
  return t->activation == SEED_ACTIVATION_GELU ? GELU : OTHER;
}

/* Two tiles beside each other by two tiles above each other, and which of their rows count. */
typedef struct {
  const float *sums; /* [BOTH, SEED_TILE_COLUMNS]; int32 of int8 */
  guint column;
  guint row[2];  /* of the result, where each half begins */
  guint skip[2]; /* rows at its beginning that another one stores */
  guint rows;    /* of both halves */
  guint next;    /* to be finished */
} Sums;

/* What is wanted from afar before it is needed: @share lines of cache for every step. */
typedef struct {
  const char *next;
  guint share;
} Fetch;

static ALWAYS_INLINE __m512
value_of (
    SeedPrecision precision, const SeedTile *t, const float *x, guint row, guint at, __mmask16 mask)
{
  __m512 y;

  if (precision == SEED_PRECISION_INT8) {
    __m512i whole = _mm512_sub_epi32 (
        _mm512_load_si512 (x), _mm512_maskz_loadu_epi32 (mask, t->column_shift + at));

    y = _mm512_mul_ps (_mm512_cvtepi32_ps (whole),
        _mm512_mul_ps (_mm512_maskz_loadu_ps (mask, t->column_scale + at),
            _mm512_set1_ps (t->row_scale[row])));
  } else {
    y = _mm512_load_ps (x);
    if (t->row_scale)
      y = _mm512_mul_ps (y, _mm512_set1_ps (t->row_scale[row]));
  }
  return t->bias ? _mm512_add_ps (y, _mm512_maskz_loadu_ps (mask, t->bias + at)) : y;
}

static ALWAYS_INLINE __m512
activated (Activation activation, const SeedTile *t, __m512 y)
{
  float x[LANES] __attribute__ ((aligned (64)));

  switch (activation) {
  case PLAIN:
    break;
  case GELU:
    return fast_gelu (y);
  case OTHER:
    return fast_activation (t->activation, y);
  case KERNEL:
    _mm512_store_ps (x, y);
    seed_kernels_get ()->activation[t->activation](x, LANES, x);
    return _mm512_load_ps (x);
  }
  return y;
}

static ALWAYS_INLINE void
finish_row (SeedPrecision precision, Activation activation, const SeedTile *t, const float *x,
    guint row, guint column)
{
#pragma GCC unroll 2
  for (guint h = 0; h < SEED_TILE_COLUMNS; h += LANES) {
    guint at = column + h;
    gsize to = row * t->c_stride + at;
    __mmask16 mask = (__mmask16) (at < t->n ? first (t->n - at) : 0);
    __m512 y = activated (activation, t, value_of (precision, t, x + h, row, at, mask));

    if (t->residual)
      y = _mm512_add_ps (
          y, _mm512_maskz_loadu_ps (mask, t->residual + row * t->residual_stride + at));
    if (t->c_type == SEED_ROWS_BF16)
      _mm256_mask_storeu_epi16 ((SeedBf16 *) t->c + to, mask, (__m256i) _mm512_cvtneps_pbh (y));
    else
      _mm512_mask_storeu_ps ((float *) t->c + to, mask, y);
  }
}

/* Up to @n rows more of what is there. */
static ALWAYS_INLINE void
finish (SeedPrecision precision, Activation activation, const SeedTile *t, Sums *s, guint n)
{
  for (guint end = MIN (s->next + n, s->rows); s->next < end; s->next++) {
    guint half = s->next / GROUP, row = s->next % GROUP;

    if (row >= s->skip[half])
      finish_row (precision, activation, t, s->sums + s->next * SEED_TILE_COLUMNS,
          s->row[half] + row, s->column);
  }
}

/* Products */

#define DOT(precision, sum, left, right)                                                           \
  G_STMT_START                                                                                     \
  {                                                                                                \
    if (precision == SEED_PRECISION_INT8)                                                          \
      _tile_dpbusd (sum, left, right);                                                             \
    else                                                                                           \
      _tile_dpbf16ps (sum, left, right);                                                           \
  }                                                                                                \
  G_STMT_END

/* Sums of two whole tiles that are the result as they are: nothing is left to do with them. */
static ALWAYS_INLINE gboolean
are_results (SeedPrecision precision, Activation activation, const SeedTile *t, guint column)
{
  return precision != SEED_PRECISION_INT8 && activation == PLAIN && t->c_type == SEED_ROWS_REAL &&
         !t->bias && !t->residual && !t->row_scale && t->n - column >= SEED_TILE_COLUMNS;
}

/*
 * One or two groups of lines by the panel @b, into @out0 and @out1, @out_stride bytes from row to
 * row; meanwhile the sums @before are finished.
 */
static ALWAYS_INLINE void
product (SeedPrecision precision, Activation activation, const SeedTile *t, const char *a0,
    const char *a1, const char *b, float *out0, float *out1, gsize out_stride, Sums *before,
    Fetch *fetch)
{
  gsize stride = t->a_stride * sizeof *t->a, steps = t->units / SEED_TILE_UNITS;
  guint share = (guint) ((before->rows - before->next + steps - 1) / steps);

  _tile_zero (0);
  _tile_zero (1);
  _tile_zero (2);
  _tile_zero (3);
  for (gsize k = steps; k > 0; k--, a0 += LINE, a1 += LINE, b += SEED_TILE_UNITS * PANEL_LINE) {
    _tile_loadd (4, a0, stride);
    _tile_loadd (6, b, PANEL_LINE);
    DOT (precision, 0, 4, 6);
    _tile_loadd (7, b + LINE, PANEL_LINE);
    DOT (precision, 1, 4, 7);
    if (a1 != a0) {
      _tile_loadd (5, a1, stride);
      DOT (precision, 2, 5, 6);
      DOT (precision, 3, 5, 7);
    }
    for (guint i = 0; i < fetch->share; i++, fetch->next += LINE)
      _mm_prefetch (fetch->next, _MM_HINT_T1);
    finish (precision, activation, t, before, share);
  }
  _tile_stored (0, out0, out_stride);
  _tile_stored (1, out0 + LANES, out_stride);
  if (a1 != a0) {
    _tile_stored (2, out1, out_stride);
    _tile_stored (3, out1 + LANES, out_stride);
  }
}

/*
 * Groups begin every 16 rows, but for the last, which ends with the last row and leaves what it has
 * in common with the one before to that. A matrix of fewer rows is one group of so many.
 */
static ALWAYS_INLINE void
multiply_in (SeedPrecision precision, Activation activation, const SeedTile *tile)
{
  const SeedTile copy = *tile, *t = &copy; /* that no store can touch */
  float out[2][BUFFER] __attribute__ ((aligned (64)));
  guint last = t->m > GROUP ? t->m - GROUP : 0, group_rows = MIN (t->m, GROUP), turn = 0;
  gsize stride = t->a_stride * sizeof *t->a;
  guint n_products = (t->m + BOTH - 1) / BOTH;
  const guint32 *b = t->b;
  Sums before = { 0 };

  configure (group_rows);
  for (guint column = 0; column < t->n; column += SEED_TILE_COLUMNS, b += t->panel_stride) {
    Fetch fetch = { (const char *) (b + t->panel_stride),
      (2 * SEED_TILE_UNITS + n_products - 1) / n_products };

    gboolean results = are_results (precision, activation, t, column);

    for (guint row = 0; row < t->m; row += BOTH) {
      guint row0 = MIN (row, last), row1 = MIN (row + GROUP, last);
      gboolean both = row + GROUP < t->m;
      const char *a0 = (const char *) t->a + row0 * stride;
      const char *a1 = (const char *) t->a + (both ? row1 : row0) * stride;

      if (results) {
        float *c = (float *) t->c + column;

        product (precision, activation, t, a0, a1, (const char *) b, c + row0 * t->c_stride,
            c + row1 * t->c_stride, t->c_stride * sizeof *c, &before, &fetch);
        continue;
      }
      product (precision, activation, t, a0, a1, (const char *) b, out[turn],
          out[turn] + BUFFER / 2, PANEL_LINE, &before, &fetch);
      before = (Sums){ .sums = out[turn],
        .column = column,
        .row = { row0, row1 },
        .skip = { row - row0, both ? row + GROUP - row1 : 0 },
        .rows = both ? BOTH : group_rows };
      turn ^= 1;
    }
  }
  finish (precision, activation, t, &before, BOTH);
  _tile_release ();
}

static ALWAYS_INLINE void
multiply (SeedPrecision precision, const SeedTile *t)
{
  switch (activation_of (t)) {
  case PLAIN:
    multiply_in (precision, PLAIN, t);
    break;
  case GELU:
    multiply_in (precision, GELU, t);
    break;
  case OTHER:
    multiply_in (precision, OTHER, t);
    break;
  case KERNEL:
    multiply_in (precision, KERNEL, t);
    break;
  }
}

static void
multiply_bfloat16 (const SeedTile *tile)
{
  multiply (SEED_PRECISION_BFLOAT16, tile);
}

static void
multiply_int8 (const SeedTile *tile)
{
  multiply (SEED_PRECISION_INT8, tile);
}

/* Softmax */

static ALWAYS_INLINE float
softmax_line (float *x, guint n, gsize n_units, float scale)
{
  const __m512 lowest = _mm512_set1_ps (-INFINITY), k = _mm512_set1_ps (scale * 1.44269504f);
  __m512 max0 = lowest, max1 = lowest, sum0 = _mm512_setzero_ps (), sum1 = sum0, shift;
  guint32 *units = (guint32 *) x;

  for (guint i = 0; i < n; i += 2 * LANES) {
    __mmask32 mask = (__mmask32) first (n - i);

    max0 = _mm512_max_ps (max0, _mm512_mask_loadu_ps (lowest, (__mmask16) mask, x + i));
    max1 = _mm512_max_ps (
        max1, _mm512_mask_loadu_ps (lowest, (__mmask16) (mask >> LANES), x + i + LANES));
  }
  shift = _mm512_mul_ps (_mm512_set1_ps (_mm512_reduce_max_ps (_mm512_max_ps (max0, max1))), k);
  for (guint i = 0, u = 0; u < n_units; i += 2 * LANES, u += LANES) {
    __mmask32 mask = (__mmask32) (i < n ? first (n - i) : 0);
    __mmask16 low = (__mmask16) mask, high = (__mmask16) (mask >> LANES);
    __m512 e0 = _mm512_maskz_mov_ps (
        low, fast_exp2 (_mm512_fmsub_ps (_mm512_maskz_loadu_ps (low, x + i), k, shift)));
    __m512 e1 = _mm512_maskz_mov_ps (
        high, fast_exp2 (_mm512_fmsub_ps (_mm512_maskz_loadu_ps (high, x + i + LANES), k, shift)));

    sum0 = _mm512_add_ps (sum0, e0);
    sum1 = _mm512_add_ps (sum1, e1);
    _mm512_storeu_si512 (units + u, to_bf16 (e1, e0));
  }
  return 1.0f / _mm512_reduce_add_ps (_mm512_add_ps (sum0, sum1));
}

static void
softmax_lines (
    float *x, gsize stride, guint rows, guint cols, float scale, int causal, float *inverse)
{
  gsize n_units = seed_tile_units (SEED_PRECISION_BFLOAT16, cols);

  for (guint r = 0; r < rows; r++, x += stride)
    inverse[r] =
        softmax_line (x, causal >= 0 ? MIN (cols, (guint) causal + r + 1) : cols, n_units, scale);
}

#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

/* Linux gives a process the registers when it asks for them (Documentation/arch/x86/xstate.rst). */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static gpointer
make (gpointer unused)
{
  static SeedTiles tiles;

  if (syscall (SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) != 0)
    return NULL;
  tiles = *seed_tiles_avx512 ();
  tiles.name = "amx";
  tiles.takes_lines[SEED_PRECISION_BFLOAT16] = tiles.takes_lines[SEED_PRECISION_INT8] = TRUE;
  tiles.line_rows = line_rows;
  tiles.line_columns = line_columns;
  tiles.multiply[SEED_PRECISION_BFLOAT16] = multiply_bfloat16;
  tiles.multiply[SEED_PRECISION_INT8] = multiply_int8;
  tiles.softmax_lines = softmax_lines;
  return &tiles;
}

const SeedTiles *
seed_tiles_amx (void)
{
  static GOnce once = G_ONCE_INIT;

  return seed_cpu_level () >= SEED_CPU_AMX ? g_once (&once, make, NULL) : NULL;
}

#endif
