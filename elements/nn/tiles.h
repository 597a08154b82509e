/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/backend.h"

/*
 * Products of packed matrices, as a table of functions like kernels.h: a portable C reference, and
 * variants per instruction set. float only.
 *
 * Packed matrices are made of units of 4 bytes along k: one float, two bfloat16 or four bytes, what
 * one lane of a dot-product instruction takes. A *strip* holds up to SEED_TILE_ROWS rows of the
 * left factor, unit by unit: [k units, rows]; where a table takes *lines*, the left factor is
 * [rows, k units] instead, with any stride between rows. A *panel* holds SEED_TILE_COLUMNS columns
 * of the right one: [k units, SEED_TILE_COLUMNS], with zeros where there are fewer columns. Left
 * bytes are unsigned with 128 for zero, right ones signed. Units of less than a float are filled up
 * with zeros to a multiple of SEED_TILE_UNITS.
 */
#define SEED_TILE_ROWS 12
#define SEED_TILE_COLUMNS 32
#define SEED_TILE_UNITS 16

/* Elements in a unit. */
static inline guint
seed_tile_unit (SeedPrecision precision)
{
  return precision == SEED_PRECISION_FLOAT32 ? 1 : precision == SEED_PRECISION_BFLOAT16 ? 2 : 4;
}

static inline gsize
seed_tile_units (SeedPrecision precision, gsize k)
{
  gsize block = (gsize) seed_tile_unit (precision) * SEED_TILE_UNITS;

  return precision == SEED_PRECISION_FLOAT32 ? k : (k + block - 1) / block * SEED_TILE_UNITS;
}

/* Units of all panels of a right factor [k, n]. */
static inline gsize
seed_tile_panels_size (SeedPrecision precision, gsize k, gsize n)
{
  return (n + SEED_TILE_COLUMNS - 1) / SEED_TILE_COLUMNS * SEED_TILE_COLUMNS *
         seed_tile_units (precision, k);
}

/* Where strip @strip of @n_strips of @rows rows begins; strips differ by one row at most. */
static inline guint
seed_tile_strip (guint rows, guint n_strips, guint strip)
{
  return (guint) ((guint64) rows * strip / n_strips);
}

static inline guint
seed_tile_n_strips (guint rows)
{
  return (rows + SEED_TILE_ROWS - 1) / SEED_TILE_ROWS;
}

/*
 * C = f (A B + bias) + residual for strips @a of one set of rows (their bounds from
 * seed_tile_strip), or its lines, and panels @b. int8 sums become row_scale[i] column_scale[j] (sum
 * - column_shift[j]), others row_scale[i] sum where there is one.
 */
typedef struct {
  const guint32 *a;
  const guint32 *b;
  guint m, n;
  gsize units;                /* along k */
  gboolean lines;             /* a is lines, a_stride units from one to the next */
  gsize a_stride;             /* 0: strips one after another, each as wide as it has rows; else:
                               * all rows are one strip, and so wide */
  gsize panel_stride;         /* units from one panel to the next */
  const float *row_scale;     /* [m] int8; of lines of bfloat16 too, or NULL */
  const float *column_scale;  /* [n] int8 */
  const gint32 *column_shift; /* [n] int8: 128 times the sum of a column */
  const float *bias;          /* [n] or NULL */
  gboolean activate;
  SeedActivation activation;
  const float *residual; /* [m, n] or NULL; may be c */
  gsize residual_stride;
  void *c;
  gsize c_stride;
  SeedRowsType c_type;
} SeedTile;

typedef struct {
  const char *name;
  gboolean takes_lines[SEED_N_PRECISIONS]; /* and strips no more, but for float32 */

  /*
   * @count rows of @k elements become columns @at.. of units [k units, width]: strips with width
   * the rows of the strip, panels with width SEED_TILE_COLUMNS. What is beyond @k becomes zero.
   */
  void (*pack_rows) (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride,
      guint count, gsize k, guint32 *units, guint width);

  /*
   * The same of the transpose: @k rows of @count elements, float32 and bfloat16 only. More than
   * @width of them go on in the next strip or panel.
   */
  void (*pack_columns) (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride,
      guint count, gsize k, guint32 *units, guint width);

  /*
   * Lines [count, k units] of bfloat16: of @count rows of @k elements; of @k rows of @count
   * elements. NULL where the table takes none. Those of int8 are what quantise leaves.
   */
  void (*line_rows) (
      SeedRowsType type, const void *x, gsize stride, guint count, gsize k, guint32 *units);
  void (*line_columns) (
      SeedRowsType type, const void *x, gsize stride, guint count, gsize k, guint32 *units);

  /*
   * Rows to bytes around 128, each with the scale that makes its largest magnitude 127, into
   * @bytes [rows, stride rounded up to 4]. A row of zeros has scale 0.
   */
  void (*quantise) (SeedRowsType type, const void *x, gsize stride, guint rows, gsize k,
      guint8 *bytes, gsize bytes_stride, float *scale);

  void (*multiply[SEED_N_PRECISIONS]) (const SeedTile *tile);

  /*
   * Rows of scores become probabilities in place, softmax (scale x) over the first cols elements;
   * the rest of the row up to @stride becomes 0. When @causal >= 0, row i has causal + i + 1
   * columns (at most @cols).
   */
  void (*softmax) (float *x, gsize stride, guint rows, guint cols, float scale, int causal);

  /*
   * The same as lines of bfloat16, in place: line i begins where row i did. They are not divided by
   * their sums, whose inverses go to @inverse [rows]. NULL where line_rows is.
   */
  void (*softmax_lines) (
      float *x, gsize stride, guint rows, guint cols, float scale, int causal, float *inverse);
} SeedTiles;

/* The table for this CPU. */
const SeedTiles *seed_tiles_get (void);
const SeedTiles *seed_tiles_reference (void);

/* Whether the table does @precision at the speed of hardware made for it. */
gboolean seed_tiles_fast (SeedPrecision precision);

#ifdef __x86_64__
/* AVX-512 with F, BW, VL, DQ; bfloat16 and int8 products only where seed_tiles_fast says so. */
const SeedTiles *seed_tiles_avx512 (void);

/* The same with bfloat16 and int8 by AMX; NULL where the CPU or the kernel does not allow it. */
const SeedTiles *seed_tiles_amx (void);
#endif
