/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <math.h>

#include "anchors/duplicates.h"

struct _SeedDuplicates {
  guint dim, capacity, count, next; /* next: where the next frame goes */
  double cosine;
  float *rows;  /* [capacity, dim], unit */
  float *found; /* [capacity] */
  guint64 *ids;
};

SeedDuplicates *
seed_duplicates_new (guint dim, guint capacity, double cosine)
{
  SeedDuplicates *duplicates = g_new0 (SeedDuplicates, 1);

  g_assert (dim >= 1 && capacity >= 1);
  duplicates->dim = dim;
  duplicates->capacity = capacity;
  duplicates->cosine = cosine;
  duplicates->rows = g_new0 (float, (gsize) capacity *dim);
  duplicates->found = g_new0 (float, capacity);
  duplicates->ids = g_new0 (guint64, capacity);
  return duplicates;
}

void
seed_duplicates_free (SeedDuplicates *duplicates)
{
  if (!duplicates)
    return;
  g_free (duplicates->rows);
  g_free (duplicates->found);
  g_free (duplicates->ids);
  g_free (duplicates);
}

void
seed_duplicates_clear (SeedDuplicates *duplicates)
{
  duplicates->count = duplicates->next = 0;
}

guint
seed_duplicates_count (const SeedDuplicates *duplicates)
{
  return duplicates->count;
}

/* Euclidean length; 0 when it is not a number to divide by. */
static double
length (const float *x, guint n)
{
  double square = 0;

  for (guint i = 0; i < n; i++)
    square += (double) x[i] * (double) x[i];
  return isfinite (square) ? sqrt (square) : 0;
}

/* The nearest frame's place, or -1 when none is remembered; found has its product with @vector. */
static int
nearest (const SeedDuplicates *duplicates, const float *vector)
{
  int best = -1;

  if (duplicates->count == 0)
    return -1;
  cblas_sgemv (CblasRowMajor, CblasNoTrans, (int) duplicates->count, (int) duplicates->dim, 1,
      duplicates->rows, (int) duplicates->dim, vector, 1, 0, duplicates->found, 1);
  for (guint i = 0; i < duplicates->count; i++)
    if (best < 0 || duplicates->found[i] > duplicates->found[best])
      best = (int) i;
  return best;
}

static void
remember (SeedDuplicates *duplicates, const float *vector, double norm, guint64 id)
{
  float *row = duplicates->rows + (gsize) duplicates->next * duplicates->dim;

  for (guint i = 0; i < duplicates->dim; i++)
    row[i] = (float) ((double) vector[i] / norm);
  duplicates->ids[duplicates->next] = id;
  duplicates->next = (duplicates->next + 1) % duplicates->capacity;
  duplicates->count = MIN (duplicates->count + 1, duplicates->capacity);
}

gboolean
seed_duplicates_push (
    SeedDuplicates *duplicates, const float *vector, guint64 id, guint64 *of, double *cosine)
{
  double norm = length (vector, duplicates->dim), found;
  int best;

  if (norm <= 0)
    return FALSE;
  best = nearest (duplicates, vector);
  if (best >= 0) {
    found = (double) duplicates->found[best] / norm;
    if (found > duplicates->cosine) {
      if (of)
        *of = duplicates->ids[best];
      if (cosine)
        *cosine = found;
      return TRUE;
    }
  }
  remember (duplicates, vector, norm, id);
  return FALSE;
}

void
seed_histogram_root (const float *histogram, guint n, float *root)
{
  for (guint i = 0; i < n; i++)
    root[i] = sqrtf (MAX (histogram[i], 0));
}
