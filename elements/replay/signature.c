/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "replay/signature.h"

#define MAX_ROWS 8u /* read of each cell */

/* (0.01 * 255)^2 and (0.03 * 255)^2, as Wang et al. have them. */
#define C1 6.5025
#define C2 58.5225

/* The pixels of cell @i of @n along a side of @size: never none, so small frames repeat pixels. */
static void
cell_range (guint i, guint size, guint *from, guint *to)
{
  *from = (guint) ((guint64) i * size / SEED_SIGNATURE_SIDE);
  *to = (guint) ((guint64) (i + 1) * size / SEED_SIGNATURE_SIDE);
  if (*to == *from)
    *to = *from + 1;
}

static guint64
sum_component (const SeedLuma *luma, guint c, guint y, guint x0, guint x1)
{
  const guint8 *row = luma->data[c] + (gssize) y * luma->stride[c];
  const int step = luma->step[c];
  guint32 sum = 0;

  for (guint x = x0; x < x1; x++)
    sum += row[(gssize) x * step];
  return sum;
}

/* Sum of luma times 256 over part of a row. */
static guint64
sum_row (const SeedLuma *luma, guint y, guint x0, guint x1)
{
  static const guint weight[3] = { 77, 150, 29 }; /* 0.299, 0.587, 0.114 */
  guint64 sum = 0;

  if (luma->n_components == 1)
    return sum_component (luma, 0, y, x0, x1) << 8;
  for (guint c = 0; c < 3; c++)
    sum += weight[c] * sum_component (luma, c, y, x0, x1);
  return sum;
}

static guint8
mean_of_cell (const SeedLuma *luma, guint x0, guint x1, guint y0, guint y1)
{
  guint rows = MIN (y1 - y0, MAX_ROWS);
  guint64 sum = 0, n = (guint64) rows * (x1 - x0) * 256;

  for (guint r = 0; r < rows; r++)
    sum += sum_row (luma, y0 + (guint) ((guint64) (y1 - y0) * (2 * r + 1) / (2 * rows)), x0, x1);
  return (guint8) ((sum + n / 2) / n);
}

void
seed_signature_of_luma (SeedSignature *signature, const SeedLuma *luma)
{
  guint8 cells[SEED_SIGNATURE_CELLS];

  for (guint j = 0; j < SEED_SIGNATURE_SIDE; j++) {
    guint y0, y1;

    cell_range (j, luma->height, &y0, &y1);
    for (guint i = 0; i < SEED_SIGNATURE_SIDE; i++) {
      guint x0, x1;

      cell_range (i, luma->width, &x0, &x1);
      cells[j * SEED_SIGNATURE_SIDE + i] = mean_of_cell (luma, x0, x1, y0, y1);
    }
  }
  seed_signature_of_cells (signature, cells);
}

void
seed_signature_of_cells (SeedSignature *signature, const guint8 cells[static SEED_SIGNATURE_CELLS])
{
  memmove (signature->cell, cells, SEED_SIGNATURE_CELLS);
  signature->sum = signature->sum2 = 0;
  for (guint i = 0; i < SEED_SIGNATURE_CELLS; i++) {
    signature->sum += cells[i];
    signature->sum2 += (guint32) cells[i] * cells[i];
  }
}

/* n^2 times the covariance. */
static double
covariance (guint32 dot, guint32 sum_a, guint32 sum_b)
{
  return (double) ((gint64) SEED_SIGNATURE_CELLS * dot - (gint64) sum_a * sum_b);
}

double
seed_signature_likeness (const SeedSignature *a, const SeedSignature *b)
{
  const double n = SEED_SIGNATURE_CELLS, n2 = n * n;
  double mean_a = a->sum / n, mean_b = b->sum / n, variances;
  guint32 dot = 0;

  for (guint i = 0; i < SEED_SIGNATURE_CELLS; i++)
    dot += (guint32) a->cell[i] * b->cell[i];
  variances = (covariance (a->sum2, a->sum, a->sum) + covariance (b->sum2, b->sum, b->sum)) / n2;
  return (2.0 * mean_a * mean_b + C1) / (mean_a * mean_a + mean_b * mean_b + C1) *
         (2.0 * covariance (dot, a->sum, b->sum) / n2 + C2) / (variances + C2);
}
