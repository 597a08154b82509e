/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>
#include <seed/pool.h>

#include "anchors/anchors-private.h"

/* Insertion sort: a batch has tens of frames, and a workspace allocates nothing. */
static guint
count_distinct (guint64 *sorted, const guint64 *frames, guint n)
{
  guint distinct = 0;

  for (guint i = 0; i < n; i++) {
    guint at = distinct;

    while (at > 0 && sorted[at - 1] > frames[i])
      at--;
    if (at > 0 && sorted[at - 1] == frames[i])
      continue;
    memmove (sorted + at + 1, sorted + at, (distinct - at) * sizeof *sorted);
    sorted[at] = frames[i];
    distinct++;
  }
  return distinct;
}

gboolean
seed_anchors_assign (SeedAnchors *anchors, const real *values, const real *ema_values,
    const SeedAnchorsRows *reference, const guint64 *frames, guint n, GError **error)
{
  guint words = anchors->n_words, k = anchors->shape.n_anchors, distinct;

  g_return_val_if_fail (anchors->max_query > 0 && n >= 1 && n <= anchors->max_batch, FALSE);

  anchors->n_assigned = 0;
  distinct = count_distinct (anchors->frames, frames, n);
  if (distinct < anchors->config.min_frames) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "image anchors are assigned over %u distinct frames or more, and this batch of %u has %u; "
        "use a larger batch, or more varied ones (replay)",
        anchors->config.min_frames, n, distinct);
    return FALSE;
  }

  for (guint first = 0; first < n; first += anchors->chunk) {
    guint images = MIN (anchors->chunk, n - first);

    seed_anchors_gather (anchors, reference, first, images, words, anchors->head.x);
    anchors->pass.values = ema_values;
    seed_anchors_head_forward (&anchors->pass, &anchors->head, images * words);
    anchors->pass.values = values;
    seed_anchors_scores (
        anchors, anchors->head.z, images * words, anchors->assignment + (gsize) first * words * k);
  }
  anchors->pass.layers.kernels->sinkhorn (anchors->assignment, n * words, k,
      (real) anchors->config.assignment_temperature, anchors->config.iterations, anchors->columns);
  anchors->reference = *reference;
  anchors->n_assigned = n;
  return TRUE;
}

const real *
seed_anchors_get_assignment (const SeedAnchors *anchors)
{
  return anchors->n_assigned ? anchors->assignment : NULL;
}

typedef struct {
  SeedAnchors *anchors;
  const gint32 *match; /* [rows] */
  guint n_query, rows;
  real scale;       /* of dL_a/d(C z) */
  real guard_scale; /* of dR/dp */
} Words;

/* Row @row's part of Q, or NULL. */
static const real *
target_of (const Words *region, gsize row)
{
  const SeedAnchors *anchors = region->anchors;
  gsize image = row / region->n_query;

  if (region->match[row] < 0)
    return NULL;
  return anchors->assignment +
         (image * anchors->n_words + (gsize) region->match[row]) * anchors->shape.n_anchors;
}

/* -sum_k q_k log softmax (s / t)_k; @s becomes the softmax. */
static double
cross_entropy (const SeedAnchors *anchors, const real *q, real *s)
{
  guint k = anchors->shape.n_anchors, best = 0;
  double t = anchors->config.temperature, mean = 0, mass = 0, largest;

  for (guint i = 0; i < k; i++) {
    if (s[i] > s[best])
      best = i;
    if (q) {
      mean += (double) q[i] * (double) s[i];
      mass += (double) q[i];
    }
  }
  largest = (double) s[best];
  anchors->pass.layers.kernels->softmax (s, 1, k, (real) (1 / t));
  /* the largest probability is at least 1/K, so its logarithm has all digits */
  return q ? mass * (largest / t - log ((double) s[best])) - mean / t : 0;
}

static void
probs_rows (gsize begin, gsize count, gpointer data)
{
  const Words *region = data;
  SeedAnchors *anchors = region->anchors;

  for (gsize r = begin; r < begin + count; r++)
    anchors->row_losses[r] = cross_entropy (
        anchors, target_of (region, r), anchors->probs + r * anchors->shape.n_anchors);
}

/* probs becomes dL/d(C z): (p sum q - q) / t for L_a, and what the guard says through the softmax.
 */
static void
gradient_rows (gsize begin, gsize count, gpointer data)
{
  const Words *region = data;
  const SeedAnchors *anchors = region->anchors;
  const SeedKernels *kernels = anchors->pass.layers.kernels;
  guint k = anchors->shape.n_anchors;
  real inverse = (real) (1 / anchors->config.temperature);

  for (gsize r = begin; r < begin + count; r++) {
    const real *q = target_of (region, r);
    real *p = anchors->probs + r * k, *d = anchors->d_probs + r * k, mass = 0;

    memcpy (d, anchors->columns, k * sizeof *d); /* log of the mean p */
    kernels->scale (d, k, region->guard_scale);
    kernels->softmax_backward (p, 1, k, inverse, d);
    if (q) {
      for (guint i = 0; i < k; i++)
        mass += q[i];
      kernels->add_scaled (p, k, mass * region->scale * inverse, d);
      kernels->add_scaled (q, k, -region->scale * inverse, d);
    }
  }
}

/* The mean over rows of p in columns, which become its logarithm. Returns sum p log p. */
static double
guard (SeedAnchors *anchors, guint rows)
{
  guint k = anchors->shape.n_anchors;
  double sum = 0;

  memset (anchors->columns, 0, k * sizeof *anchors->columns);
  anchors->pass.layers.kernels->column_sum (anchors->probs, k, rows, k, anchors->columns);
  for (guint i = 0; i < k; i++) {
    double p = MAX ((double) anchors->columns[i] / rows, G_MINDOUBLE);

    sum += p * log (p);
    anchors->columns[i] = (real) log (p);
  }
  return sum;
}

static void
backward (SeedAnchors *anchors, Words *region)
{
  guint k = anchors->shape.n_anchors, e = anchors->shape.anchor_dim;
  SeedAnchorsPass *pass = &anchors->pass;
  SeedGemm d_anchors = { .transpose_a = TRUE,
    .m = k,
    .n = e,
    .k = region->rows,
    .alpha = 1,
    .a = anchors->d_probs,
    .stride_a = k,
    .b = anchors->head.z,
    .stride_b = e,
    .beta = 1,
    .c = pass->grads + anchors->anchors_offset,
    .stride_c = e };
  SeedGemm d_z = { .m = region->rows,
    .n = e,
    .k = k,
    .alpha = 1,
    .a = anchors->d_probs,
    .stride_a = k,
    .b = pass->values + anchors->anchors_offset,
    .stride_b = e,
    .c = anchors->head.d_z,
    .stride_c = e };

  seed_for_rows (region->rows, k, gradient_rows, region);
  anchors->exact->gemm (&d_anchors);
  anchors->exact->gemm (&d_z);
  seed_anchors_head_backward (pass, &anchors->head, region->rows, anchors->d_queries);
}

void
seed_anchors_assignment_loss (SeedAnchors *anchors, guint n_query, const gint32 *match,
    double weight, SeedAnchorsLosses *losses)
{
  guint rows = anchors->n_assigned * n_query;
  guint matched = MAX (losses->n_matched, 1);
  Words region = { .anchors = anchors,
    .match = match,
    .n_query = n_query,
    .rows = rows,
    .scale = (real) (weight * anchors->config.w_assignment / matched),
    .guard_scale = (real) (weight * anchors->config.w_guard / rows) };

  memcpy (anchors->head.x, anchors->queries,
      (gsize) rows * anchors->shape.dim * sizeof *anchors->queries);
  seed_anchors_head_forward (&anchors->pass, &anchors->head, rows);
  seed_anchors_scores (anchors, anchors->head.z, rows, anchors->probs);
  seed_for_rows (rows, anchors->shape.n_anchors, probs_rows, &region);
  for (guint r = 0; r < rows; r++)
    losses->assignment += anchors->row_losses[r] / matched;
  losses->guard = guard (anchors, rows);
  losses->perplexity = exp (-losses->guard);
  if (anchors->pass.grads)
    backward (anchors, &region);
}
