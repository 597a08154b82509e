/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include <seed/pool.h>

#include "eval/rank.h"

/* Queries of one task: enough to multiply well, few enough for their cosines to stay small. */
#define BLOCK 32u
/* Bytes of cosines of one task at most. */
#define MAX_BLOCK_BYTES ((gsize) 64 << 20)

gboolean
seed_eval_normalise (float *rows, guint n, guint dim, GError **error)
{
  for (guint i = 0; i < n; i++) {
    float *row = rows + (gsize) i * dim;
    double sum = 0;

    for (guint d = 0; d < dim; d++)
      sum += (double) row[d] * row[d];
    if (!isfinite (sum) || sum == 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
          "vector %u of %u %s; the model gives no usable features", i, n,
          sum == 0 ? "is zero" : "has a value that is not finite");
      return FALSE;
    }
    for (guint d = 0; d < dim; d++)
      row[d] = (float) (row[d] / sqrt (sum)) + 0.0f; /* no -0: order is by bits */
  }
  return TRUE;
}

gboolean
seed_eval_check_classes (const SeedEvalSet *set, const char *what, GError **error)
{
  gint32 first = -1;
  gboolean several = FALSE;

  if (set->n == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "the %s is empty", what);
    return FALSE;
  }
  for (guint i = 0; i < set->n; i++) {
    if (!set->labels || set->labels[i] < 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
          "item %u of the %s has no label; every one needs a class", i, what);
      return FALSE;
    }
    if (i == 0)
      first = set->labels[i];
    several = several || set->labels[i] != first;
  }
  if (!several) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "the %s has one class only; there is nothing to tell apart", what);
    return FALSE;
  }
  return TRUE;
}

guint
seed_eval_n_classes (const SeedEvalSet *set)
{
  gint32 most = -1;

  for (guint i = 0; set->labels && i < set->n; i++)
    most = MAX (most, set->labels[i]);
  return (guint) (most + 1);
}

gboolean
seed_eval_check_widths (const SeedEvalSet *a, const SeedEvalSet *b, GError **error)
{
  if (a->dim == b->dim)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
      "vectors of %u numbers do not compare with vectors of %u; they are of different spaces",
      a->dim, b->dim);
  return FALSE;
}

typedef struct {
  const SeedEvalSet *queries, *gallery;
  guint block;
  SeedEvalRowFunc func;
  gpointer data;
} Ranking;

static void
rank_block (guint task, gpointer data)
{
  const Ranking *ranking = data;
  const SeedEvalSet *queries = ranking->queries, *gallery = ranking->gallery;
  guint first = task * ranking->block, n = MIN (ranking->block, queries->n - first);
  g_autofree float *cosines = g_new (float, (gsize) ranking->block * gallery->n);
  g_autofree guint64 *scratch = g_new (guint64, 2 * (gsize) gallery->n);

  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, (blasint) n, (blasint) gallery->n,
      (blasint) gallery->dim, 1, queries->rows + (gsize) first * queries->dim,
      (blasint) queries->dim, gallery->rows, (blasint) gallery->dim, 0, cosines,
      (blasint) gallery->n);
  for (guint i = 0; i < n; i++)
    ranking->func (first + i, cosines + (gsize) i * gallery->n, scratch, ranking->data);
}

gboolean
seed_eval_rank (const SeedEvalSet *queries, const SeedEvalSet *gallery, SeedEvalRowFunc func,
    gpointer data, GError **error)
{
  Ranking ranking = { queries, gallery, BLOCK, func, data };
  gsize row = MAX (1, gallery->n) * sizeof (float);

  if (!seed_eval_check_widths (queries, gallery, error))
    return FALSE;
  ranking.block = (guint) CLAMP (MAX_BLOCK_BYTES / row, 1, BLOCK);
  if (queries->n == 0 || gallery->n == 0)
    return TRUE;
  openblas_set_num_threads (1); /* the pool's tasks call it side by side */
  seed_pool_run ((queries->n + ranking.block - 1) / ranking.block, rank_block, &ranking);
  return TRUE;
}

/* Ascending order of the result is descending order of @x. */
static guint32
descending_bits (float x)
{
  guint32 bits;

  x += 0.0f;
  memcpy (&bits, &x, sizeof bits);
  return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

/* By the upper 33 bits: cosine, then relevance; the order of the indices is kept. */
static void
radix_sort (guint64 *keys, guint64 *other, guint n)
{
  for (guint shift = 31; shift < 64; shift += 11) {
    guint starts[2048] = { 0 }, sum = 0;

    for (guint i = 0; i < n; i++)
      starts[keys[i] >> shift & 2047]++;
    for (guint b = 0; b < 2048; b++) {
      guint count = starts[b];

      starts[b] = sum;
      sum += count;
    }
    for (guint i = 0; i < n; i++)
      other[starts[keys[i] >> shift & 2047]++] = keys[i];
    memcpy (keys, other, n * sizeof *keys);
  }
}

guint
seed_eval_order (
    const float *cosines, guint n, const guint8 *relevant, gint64 skip, guint64 *scratch)
{
  guint count = 0;

  for (guint i = 0; i < n; i++) {
    if (i == skip)
      continue;
    scratch[count++] = (guint64) descending_bits (cosines[i]) << 32 |
                       (guint64) (relevant && relevant[i]) << 31 | i;
  }
  radix_sort (scratch, scratch + n, count);
  return count;
}

double
seed_eval_average_precision (const guint64 *order, guint n)
{
  double sum = 0;
  guint found = 0;

  for (guint i = 0; i < n; i++) {
    if (seed_eval_order_is_relevant (order[i]))
      sum += (double) ++found / (i + 1);
  }
  return found ? sum / found : 0;
}

guint
seed_eval_first_relevant (const guint64 *order, guint n)
{
  for (guint i = 0; i < n; i++) {
    if (seed_eval_order_is_relevant (order[i]))
      return i + 1;
  }
  return 0;
}
