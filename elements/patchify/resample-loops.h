/* SPDX-License-Identifier: MIT */
/*
 * The loops of a table of resampling kernels, included once for each instruction set. Written for
 * the auto-vectoriser: 16-bit factors into 32-bit sums, blocks of a fixed width, no aliasing.
 */
#pragma once

#include "patchify/resample.h"

/* More columns than the compiler unrolls into scalars, few enough for the sums to stay in cache. */
#define BLOCK 64
#define COLOUR_SHIFT (SEED_COLOUR_BITS + SEED_MID_BITS)

static inline gint32
clip (gint32 value, gint32 max)
{
  value = value < 0 ? 0 : value;
  return value > max ? max : value;
}

static void
unpack_loop (gint16 *restrict dst, const guint8 *restrict src, guint step, guint n)
{
  /* a constant step is what lets the compiler shuffle vectors */
  switch (step) {
  case 1:
    for (guint i = 0; i < n; i++)
      dst[i] = src[i];
    break;
  case 2:
    for (guint i = 0; i < n; i++)
      dst[i] = src[(gsize) 2 * i];
    break;
  case 4:
    for (guint i = 0; i < n; i++)
      dst[i] = src[(gsize) 4 * i];
    break;
  default:
    for (guint i = 0; i < n; i++)
      dst[i] = src[(gsize) step * i];
    break;
  }
}

static void
pick_loop (gint16 *restrict dst, const gint16 *restrict src, guint step, guint n)
{
  switch (step) {
  case 2:
    for (guint i = 0; i < n; i++)
      dst[i] = src[(gsize) 2 * i];
    break;
  case 4:
    for (guint i = 0; i < n; i++)
      dst[i] = src[(gsize) 4 * i];
    break;
  default:
    for (guint i = 0; i < n; i++)
      dst[i] = src[(gsize) step * i];
    break;
  }
}

/* A block's sums first, then their rounding and clipping as vectors. */
static inline void
across_block (
    gint16 *restrict dst, const gint16 *restrict line, const SeedAxis *axis, guint i, guint n)
{
  const guint taps = axis->taps & ~(guint) (SEED_TAPS_ALIGN - 1); /* says: no remainder */
  const gint16 *restrict w = axis->weights + (gsize) i * taps;
  const guint shift = axis->shift;
  gint32 sums[BLOCK];

  for (guint j = 0; j < n; j++, w += taps) {
    const gint16 *restrict in = line + axis->start[i + j];
    gint32 sum = 0;

    for (guint k = 0; k < taps; k++)
      sum += (gint32) in[k] * w[k];
    sums[j] = sum;
  }
  for (guint j = 0; j < n; j++)
    dst[i + j] = (gint16) clip ((sums[j] + (1 << shift >> 1)) >> shift, SEED_MID_MAX);
}

static G_GNUC_UNUSED void
across_loop (gint16 *restrict dst, const gint16 *restrict line, const SeedAxis *axis)
{
  guint i = 0;

  for (; i + BLOCK <= axis->n_out; i += BLOCK)
    across_block (dst, line, axis, i, BLOCK);
  if (i < axis->n_out)
    across_block (dst, line, axis, i, axis->n_out - i);
}

/* Columns x..x + n of the output. Two rows at a time: half the traffic of the sums. */
static inline void
down_block (gint16 *restrict dst, const gint16 *const *rows, const gint16 *weights, guint n_rows,
    guint x, guint n, guint shift)
{
  gint32 sums[BLOCK];
  guint k = 0;

  for (guint j = 0; j < n; j++)
    sums[j] = 1 << shift >> 1;
  for (; k + 2 <= n_rows; k += 2) {
    const gint16 *restrict a = rows[k] + x, *restrict b = rows[k + 1] + x;
    const gint16 wa = weights[k], wb = weights[k + 1];

    for (guint j = 0; j < n; j++)
      sums[j] += (gint32) a[j] * wa + (gint32) b[j] * wb;
  }
  for (; k < n_rows; k++) {
    const gint16 *restrict a = rows[k] + x;

    for (guint j = 0; j < n; j++)
      sums[j] += (gint32) a[j] * weights[k];
  }
  for (guint j = 0; j < n; j++)
    dst[x + j] = (gint16) clip (sums[j] >> shift, SEED_MID_MAX);
}

static G_GNUC_UNUSED void
down_loop_from (gint16 *restrict dst, const gint16 *const *rows, const gint16 *weights, guint n,
    guint x, guint width, guint shift)
{
  for (; x + BLOCK <= width; x += BLOCK)
    down_block (dst, rows, weights, n, x, BLOCK, shift);
  if (x < width)
    down_block (dst, rows, weights, n, x, width - x, shift);
}

static inline void
down_bytes_block (gint16 *restrict dst, const guint8 *restrict src, gssize stride,
    const gint16 *weights, guint n_rows, guint n, guint shift)
{
  gint32 sums[BLOCK];

  for (guint j = 0; j < n; j++)
    sums[j] = 1 << shift >> 1;
  for (guint k = 0; k < n_rows; k++, src += stride)
    for (guint j = 0; j < n; j++)
      sums[j] += (gint32) src[j] * weights[k];
  for (guint j = 0; j < n; j++)
    dst[j] = (gint16) clip (sums[j] >> shift, SEED_MID_MAX);
}

static G_GNUC_UNUSED void
down_bytes_loop (gint16 *restrict dst, const guint8 *restrict src, gssize stride,
    const gint16 *weights, guint n, guint ahead, gsize width, guint shift)
{
  gsize x = 0;

  for (; x + BLOCK <= width; x += BLOCK)
    down_bytes_block (dst + x, src + x, stride, weights, n, BLOCK, shift);
  if (x < width)
    down_bytes_block (dst + x, src + x, stride, weights, n, (guint) (width - x), shift);
}

static void
levels_loop (guint8 *restrict dst, const gint16 *restrict y, guint n, const SeedColour *colour)
{
  const SeedColour c = *colour;

  for (guint i = 0; i < n; i++)
    dst[i] = (guint8) clip (((gint32) y[i] * c.y + c.y_add) >> COLOUR_SHIFT, 255);
}

static G_GNUC_UNUSED void
yuv_loop (guint8 *const rgb[3], const gint16 *const yuv[3], guint n, const SeedColour *colour)
{
  guint8 *restrict r = rgb[0], *restrict g = rgb[1], *restrict b = rgb[2];
  const gint16 *restrict y = yuv[0], *restrict u = yuv[1], *restrict v = yuv[2];
  const SeedColour c = *colour;

  for (guint i = 0; i < n; i++) {
    gint32 luma = (gint32) y[i] * c.y;
    gint32 red = luma + (gint32) v[i] * c.r_v + c.r_add;
    gint32 green = luma + (gint32) u[i] * c.g_u + (gint32) v[i] * c.g_v + c.g_add;
    gint32 blue = luma + (gint32) u[i] * c.b_u + c.b_add;

    r[i] = (guint8) clip (red >> COLOUR_SHIFT, 255);
    g[i] = (guint8) clip (green >> COLOUR_SHIFT, 255);
    b[i] = (guint8) clip (blue >> COLOUR_SHIFT, 255);
  }
}

static void
mix_loop (guint8 *const rgb[3], gsize n, const gint16 matrix[9], const gint32 add[3])
{
  guint8 *restrict r = rgb[0], *restrict g = rgb[1], *restrict b = rgb[2];
  const gint16 m0 = matrix[0], m1 = matrix[1], m2 = matrix[2], m3 = matrix[3], m4 = matrix[4];
  const gint16 m5 = matrix[5], m6 = matrix[6], m7 = matrix[7], m8 = matrix[8];
  const gint32 a0 = add[0], a1 = add[1], a2 = add[2];

  for (gsize i = 0; i < n; i++) {
    gint16 x = r[i], y = g[i], z = b[i];

    r[i] = (guint8) clip (((gint32) x * m0 + (gint32) y * m1 + (gint32) z * m2 + a0) >> 12, 255);
    g[i] = (guint8) clip (((gint32) x * m3 + (gint32) y * m4 + (gint32) z * m5 + a1) >> 12, 255);
    b[i] = (guint8) clip (((gint32) x * m6 + (gint32) y * m7 + (gint32) z * m8 + a2) >> 12, 255);
  }
}
