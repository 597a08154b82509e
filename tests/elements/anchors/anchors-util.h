/* SPDX-License-Identifier: MIT */
#pragma once

#include "../nn/nn-util.h"
#include "anchors/anchors.h"

/* A batch of random rows and everything the objective needs. Works in either number type. */
typedef struct {
  SeedAnchorsShape shape;
  SeedAnchorsConfig config;
  SeedParams params;
  SeedAnchors *anchors;
  guint n, n_query, n_words;
  real *values, *ema, *grads;
  real *reference_rows, *query_rows, *d_query;
  SeedAnchorsRows reference, query; /* with rows of a CLS token between */
  gsize query_size;
  gint32 *match;
  guint64 *frames;
} Batch;

static inline SeedAnchorsShape
small_shape (void)
{
  return (SeedAnchorsShape){ .n_anchors = 6,
    .anchor_dim = 5,
    .dim = 6,
    .grid = 3,
    .heads = 2,
    .mlp_dim = 7,
    .head_dim = 8,
    .ln_eps = 1e-6 };
}

static inline void
batch_assign (Batch *b)
{
  g_autoptr (GError) error = NULL;

  seed_anchors_assign (b->anchors, b->values, b->ema, &b->reference, b->frames, b->n, &error);
  g_assert_no_error (error);
}

static inline void
batch_init (Batch *b, const SeedAnchorsShape *shape, guint n, guint n_query, guint64 seed)
{
  g_autoptr (GError) error = NULL;
  SeedRng rng;

  *b = (Batch){ .shape = *shape, .n = n, .n_query = n_query };
  b->n_words = shape->grid * shape->grid;
  seed_rng_init (&rng, seed);
  seed_params_init (&b->params);
  seed_anchors_append_params (shape, &b->params);
  seed_anchors_config_init (&b->config);
  b->config.min_frames = 2;
  b->anchors = seed_anchors_new (shape, &b->config, &b->params, n, n_query, NULL, &error);
  g_assert_no_error (error);

  b->values = new_reals (b->params.total);
  b->ema = new_reals (b->params.total);
  b->grads = new_reals (b->params.total);
  fill_params (&b->params, b->values, &rng);
  fill_params (&b->params, b->ema, &rng);
  seed_anchors_normalise (b->anchors, b->values);

  b->reference.stride = (gsize) (b->n_words + 1) * shape->dim;
  b->query.stride = (gsize) (n_query + 1) * shape->dim;
  b->reference_rows = new_reals (n * b->reference.stride);
  b->query_size = n * b->query.stride;
  b->query_rows = new_reals (b->query_size);
  b->d_query = new_reals (b->query_size);
  fill_normal (b->reference_rows, n * b->reference.stride, 0, 1, &rng);
  fill_normal (b->query_rows, b->query_size, 0, 1, &rng);
  b->reference.rows = b->reference_rows + shape->dim;
  b->query.rows = b->query_rows + shape->dim;

  b->match = g_new (gint32, n * n_query);
  for (guint i = 0; i < n * n_query; i++) /* one of five has nothing under it */
    b->match[i] = seed_rng_below (&rng, 5) ? (gint32) seed_rng_below (&rng, b->n_words) : -1;
  b->frames = g_new (guint64, n);
  for (guint i = 0; i < n; i++)
    b->frames[i] = seed_rng_next (&rng);
  batch_assign (b);
}

static inline void
batch_clear (Batch *b)
{
  seed_anchors_free (b->anchors);
  seed_params_clear (&b->params);
  g_free (b->values);
  g_free (b->ema);
  g_free (b->grads);
  g_free (b->reference_rows);
  g_free (b->query_rows);
  g_free (b->d_query);
  g_free (b->match);
  g_free (b->frames);
}

static inline SeedAnchorsLosses
batch_losses (Batch *b)
{
  SeedAnchorsLosses losses;

  seed_anchors_loss (
      b->anchors, b->values, &b->query, b->n_query, b->match, 1, &losses, NULL, NULL);
  return losses;
}

static inline void
batch_gradients (Batch *b, double weight)
{
  SeedAnchorsLosses losses;

  seed_anchors_loss (b->anchors, b->values, &b->query, b->n_query, b->match, weight, &losses,
      b->grads, b->d_query + b->shape.dim);
}
