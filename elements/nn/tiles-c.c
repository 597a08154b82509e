/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/kernels-math.h"
#include "nn/kernels.h"
#include "nn/tiles.h"

/* The reference: element by element, as tiles.h says it. */

static float
element (SeedRowsType type, const void *x, gsize i)
{
  return type == SEED_ROWS_BF16 ? seed_bf16_to_float (((const SeedBf16 *) x)[i])
                                : ((const float *) x)[i];
}

static void
put (SeedPrecision precision, guint32 *unit, guint part, float value)
{
  if (precision == SEED_PRECISION_FLOAT32)
    ((float *) unit)[0] = value;
  else
    ((SeedBf16 *) unit)[part] = seed_bf16_from_float (value);
}

static void
pack_rows (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride, guint count,
    gsize k, guint32 *units, guint width)
{
  guint unit = seed_tile_unit (precision);

  for (gsize u = 0; u < seed_tile_units (precision, k); u++)
    for (guint r = 0; r < count; r++) {
      guint32 *to = units + u * width + r;

      *to = 0;
      for (guint part = 0; part < unit && u * unit + part < k; part++)
        if (precision == SEED_PRECISION_INT8)
          ((guint8 *) to)[part] = ((const guint8 *) x)[r * stride + u * unit + part];
        else
          put (precision, to, part, element (type, x, r * stride + u * unit + part));
    }
}

static void
pack_columns (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride, guint count,
    gsize k, guint32 *units, guint width)
{
  guint unit = seed_tile_unit (precision);

  for (gsize u = 0; u < seed_tile_units (precision, k); u++)
    for (guint c = 0; c < count; c++) {
      gsize group = c / width * seed_tile_units (precision, k) * width;
      guint32 *to = units + group + u * width + c % width;

      *to = 0;
      for (guint part = 0; part < unit && u * unit + part < k; part++)
        put (precision, to, part, element (type, x, (u * unit + part) * stride + c));
    }
}

static void
quantise (SeedRowsType type, const void *x, gsize stride, guint rows, gsize k, guint8 *bytes,
    gsize bytes_stride, float *scale)
{
  for (guint r = 0; r < rows; r++) {
    float max = 0, inverse;

    for (gsize i = 0; i < k; i++) {
      float value = fabsf (element (type, x, r * stride + i));

      max = value > max ? value : max; /* with fmaxf, GCC 12 for arm64 ends in an internal error */
    }
    scale[r] = max / 127.0f;
    inverse = max > 0 ? 127.0f / max : 0.0f;
    for (gsize i = 0; i < k; i++)
      bytes[r * bytes_stride + i] =
          (guint8) (128 + (int) rintf (element (type, x, r * stride + i) * inverse));
    for (gsize i = k; i < bytes_stride; i++)
      bytes[r * bytes_stride + i] = 128;
  }
}

static float
dot (SeedPrecision precision, const guint32 *a, gsize a_stride, const guint32 *b, gsize units,
    gint32 shift)
{
  float sum = 0;
  gint32 whole = 0;

  for (gsize u = 0; u < units; u++) {
    const guint32 *x = a + u * a_stride, *y = b + u * SEED_TILE_COLUMNS;

    if (precision == SEED_PRECISION_FLOAT32) {
      sum += *(const float *) x * *(const float *) y;
    } else if (precision == SEED_PRECISION_BFLOAT16) {
      for (guint part = 0; part < 2; part++)
        sum += seed_bf16_to_float (((const SeedBf16 *) x)[part]) *
               seed_bf16_to_float (((const SeedBf16 *) y)[part]);
    } else {
      for (guint part = 0; part < 4; part++)
        whole += (gint32) ((const guint8 *) x)[part] * ((const gint8 *) y)[part];
    }
  }
  return precision == SEED_PRECISION_INT8 ? (float) (whole - shift) : sum;
}

static void
finish (const SeedTile *t, guint row, guint column, float value)
{
  gsize at = row * t->c_stride + column;

  if (t->bias)
    value += t->bias[column];
  if (t->activate)
    seed_kernels_reference ()->activation[t->activation](&value, 1, &value);
  if (t->residual)
    value += t->residual[row * t->residual_stride + column];
  if (t->c_type == SEED_ROWS_BF16)
    ((SeedBf16 *) t->c)[at] = seed_bf16_from_float (value);
  else
    ((float *) t->c)[at] = value;
}

static void
multiply (SeedPrecision precision, const SeedTile *t)
{
  guint n_strips = seed_tile_n_strips (t->m);

  for (guint s = 0; s < n_strips; s++) {
    guint begin = seed_tile_strip (t->m, n_strips, s);
    guint rows = seed_tile_strip (t->m, n_strips, s + 1) - begin;

    for (guint r = 0; r < rows; r++)
      for (guint j = 0; j < t->n; j++) {
        gboolean is_int8 = precision == SEED_PRECISION_INT8;
        const guint32 *a = t->lines      ? t->a + (begin + r) * t->a_stride
                           : t->a_stride ? t->a + begin + r
                                         : t->a + begin * t->units + r;
        float value = dot (precision, a,
            t->lines      ? 1
            : t->a_stride ? t->a_stride
                          : rows,
            t->b + j / SEED_TILE_COLUMNS * t->panel_stride + j % SEED_TILE_COLUMNS, t->units,
            is_int8 ? t->column_shift[j] : 0);

        if (t->row_scale)
          value *= t->row_scale[begin + r];
        if (is_int8)
          value *= t->column_scale[j];
        finish (t, begin + r, j, value);
      }
  }
}

static void
multiply_float32 (const SeedTile *tile)
{
  multiply (SEED_PRECISION_FLOAT32, tile);
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

static void
softmax (float *x, gsize stride, guint rows, guint cols, float scale, int causal)
{
  for (guint r = 0; r < rows; r++, x += stride) {
    guint n = causal >= 0 ? MIN (cols, (guint) causal + r + 1) : cols;

    seed_kernels_reference ()->softmax (x, 1, n, scale);
    memset (x + n, 0, (stride - n) * sizeof *x);
  }
}

static const SeedTiles tiles = {
  .name = "c",
  .pack_rows = pack_rows,
  .pack_columns = pack_columns,
  .quantise = quantise,
  .multiply = { multiply_float32, multiply_bfloat16, multiply_int8 },
  .softmax = softmax,
};

const SeedTiles *
seed_tiles_reference (void)
{
  return &tiles;
}
