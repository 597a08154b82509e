/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "student/histogram.h"

struct _SeedHistogramTerm {
  SeedLayers layers;
  SeedLayer embed, predict;
  guint max_items;
  real *z, *norms;             /* [n, E], [n] */
  real *features, *d_features; /* sqrt (E) z [n, E] */
  real *logits;                /* [n, K]; becomes its gradient */
  real *targets;               /* [n, K] */
};

void
seed_histogram_append_params (guint n_anchors, guint embed_dim, SeedParams *params)
{
  seed_layer_append_linear (params, "anchor_histogram", n_anchors, embed_dim);
}

SeedHistogramTerm *
seed_histogram_new (const SeedParams *params, guint max_items, const SeedBackend *backend)
{
  SeedHistogramTerm *term = g_new0 (SeedHistogramTerm, 1);
  gsize e, k;

  term->layers = seed_layers (backend);
  term->embed = seed_layer_find (params, "embed_head");
  term->predict = seed_layer_find (params, "anchor_histogram");
  term->max_items = max_items;
  e = term->embed.out;
  k = term->predict.out;
  term->z = seed_reals_new (max_items * e);
  term->norms = seed_reals_new (max_items);
  term->features = seed_reals_new (max_items * e);
  term->d_features = seed_reals_new (max_items * e);
  term->logits = seed_reals_new (max_items * k);
  term->targets = seed_reals_new (max_items * k);
  return term;
}

void
seed_histogram_free (SeedHistogramTerm *term)
{
  if (!term)
    return;
  g_aligned_free (term->z);
  g_aligned_free (term->norms);
  g_aligned_free (term->features);
  g_aligned_free (term->d_features);
  g_aligned_free (term->logits);
  g_aligned_free (term->targets);
  g_free (term);
}

gsize
seed_histogram_memory_bytes (const SeedHistogramTerm *term)
{
  gsize numbers = 3 * (gsize) term->embed.out + 1 + 2 * (gsize) term->predict.out;

  return term->max_items * numbers * sizeof (real);
}

static void
fill_targets (SeedHistogramTerm *term, const real *assignment, guint n_words, guint n)
{
  gsize k = term->predict.out;

  memset (term->targets, 0, n * k * sizeof (real));
  for (guint i = 0; i < n; i++) {
    real *target = term->targets + i * k;

    for (guint u = 0; u < n_words; u++)
      term->layers.kernels->add (assignment + ((gsize) i * n_words + u) * k, k, target);
    term->layers.kernels->scale (target, k, (real) (1.0 / n_words));
  }
}

/* KL of one image; its logits become @scale times the gradient. */
static double
divergence (const real *target, real *logits, guint k, double scale)
{
  double largest = logits[0], sum = 0, loss = 0;

  for (guint c = 1; c < k; c++)
    largest = MAX (largest, logits[c]);
  for (guint c = 0; c < k; c++)
    sum += exp (logits[c] - largest);
  for (guint c = 0; c < k; c++) {
    double log_q = logits[c] - largest - log (sum);

    if (target[c] > 0)
      loss += target[c] * (log (target[c]) - log_q);
    logits[c] = (real) (scale * (exp (log_q) - target[c]));
  }
  return loss;
}

static void
backward (SeedHistogramTerm *term, const real *values, const real *cls, gsize stride, guint n,
    real *grads, real *d_cls)
{
  gsize e = term->embed.out;

  seed_linear_backward (&term->layers, &term->predict, values, term->features, e, term->logits, n,
      SEED_GRADIENT_SET, term->d_features, e, grads);
  term->layers.kernels->scale (term->d_features, n * e, (real) sqrt ((double) e));
  seed_unit_rows_backward (term->z, term->norms, n, (guint) e, term->d_features);
  seed_linear_backward (&term->layers, &term->embed, values, cls, stride, term->d_features, n,
      SEED_GRADIENT_ADD, d_cls, stride, grads);
}

double
seed_histogram_loss (SeedHistogramTerm *term, const real *values, const real *cls, gsize stride,
    const real *assignment, guint n_words, guint n, double weight, real *grads, real *d_cls)
{
  gsize e = term->embed.out, k = term->predict.out;
  double loss = 0;

  fill_targets (term, assignment, n_words, n);
  seed_linear_forward (&term->layers, &term->embed, values, cls, stride, n, term->z);
  seed_unit_rows (term->z, n, (guint) e, term->norms);
  memcpy (term->features, term->z, n * e * sizeof (real));
  term->layers.kernels->scale (term->features, n * e, (real) sqrt ((double) e));
  seed_linear_forward (&term->layers, &term->predict, values, term->features, e, n, term->logits);
  for (guint i = 0; i < n; i++)
    loss += divergence (term->targets + i * k, term->logits + i * k, (guint) k, weight / n) / n;
  if (grads)
    backward (term, values, cls, stride, n, grads, d_cls);
  return loss;
}
