/* SPDX-License-Identifier: MIT */
#include "student/anchor-term.h"

#include <string.h>

#include "nn/vit-weights.h"
#include "student/student.h"

struct _SeedAnchorTerm {
  SeedVitConfig config;
  float scale[3], shift[3];
  guint n_words, n_kept, grid, max_items;
  gsize word_size;
  SeedVit *reference, *query;
  SeedAnchors *anchors;
  SeedHistogramTerm *histogram;

  guint8 *view;        /* one view of a batch [max_items, N, 3*P*P] */
  guint32 *kept;       /* [max_items, n_kept] */
  guint8 *no_position; /* likewise */
  gint32 *match;       /* likewise */
  real *d_rows;        /* [max_items, 1 + n_kept, d] */
  guint b;             /* of the last assignment; 0: there is none */
};

static gsize
view_size (const SeedAnchorTerm *term)
{
  return term->n_words * term->word_size;
}

static gsize
query_stride (const SeedAnchorTerm *term)
{
  return (1 + (gsize) term->n_kept) * term->config.dim;
}

SeedAnchorTerm *
seed_anchor_term_new (const SeedVitConfig *vit, const SeedAnchorsConfig *config,
    const SeedParams *params, guint max_items, const SeedBackend *backend, GError **error)
{
  g_autoptr (SeedAnchorTerm) term = g_new0 (SeedAnchorTerm, 1);
  SeedAnchorsShape shape;
  gsize kept;

  if (!backend)
    backend = seed_backend_get ();
  seed_anchors_shape_init (&shape, vit);
  term->config = *vit;
  seed_vit_config_normalisation (vit, term->scale, term->shift);
  term->grid = shape.grid;
  term->n_words = seed_vit_config_n_words (vit);
  term->n_kept = seed_anchors_n_kept (term->n_words, SEED_ANCHORS_KEPT);
  term->word_size = 3 * (gsize) vit->patch_size * vit->patch_size;
  term->max_items = max_items;
  term->reference = seed_vit_new_with (vit, params, max_items, FALSE, backend, error);
  if (!term->reference)
    return NULL;
  term->query =
      seed_vit_new_subset_with (vit, params, max_items, term->n_kept, TRUE, backend, error);
  if (!term->query)
    return NULL;
  term->anchors =
      seed_anchors_new (&shape, config, params, max_items, term->n_kept, backend, error);
  if (!term->anchors)
    return NULL;
  term->histogram = seed_histogram_new (params, max_items, backend);
  kept = (gsize) max_items * term->n_kept;
  term->view = g_malloc (max_items * view_size (term));
  term->kept = g_new (guint32, kept);
  term->no_position = g_new (guint8, kept);
  term->match = g_new (gint32, kept);
  term->d_rows = seed_reals_new (max_items * query_stride (term));
  return g_steal_pointer (&term);
}

void
seed_anchor_term_free (SeedAnchorTerm *term)
{
  if (!term)
    return;
  seed_vit_free (term->reference);
  seed_vit_free (term->query);
  seed_anchors_free (term->anchors);
  seed_histogram_free (term->histogram);
  g_free (term->view);
  g_free (term->kept);
  g_free (term->no_position);
  g_free (term->match);
  g_aligned_free (term->d_rows);
  g_free (term);
}

gsize
seed_anchor_term_memory_bytes (const SeedAnchorTerm *term)
{
  gsize kept = (gsize) term->max_items * term->n_kept;

  return seed_vit_memory_bytes (term->reference) + seed_vit_memory_bytes (term->query) +
         seed_anchors_memory_bytes (term->anchors) + seed_histogram_memory_bytes (term->histogram) +
         term->max_items * view_size (term) + kept * (2 * sizeof (guint32) + 1) +
         term->max_items * query_stride (term) * sizeof (real);
}

static void
take_view (SeedAnchorTerm *term, const guint8 *words, guint b, guint view)
{
  gsize size = view_size (term);

  for (guint i = 0; i < b; i++)
    memcpy (term->view + i * size, words + (SEED_VIEWS * (gsize) i + view) * size, size);
}

static void
draw_queries (SeedAnchorTerm *term, const SeedAnchorTermBatch *batch, guint b)
{
  for (guint i = 0; i < b; i++) {
    gsize at = (gsize) i * term->n_kept;
    const SeedAnchorsView *views = batch->views + SEED_VIEWS * (gsize) i;

    seed_anchors_draw_words (batch->draws[i], term->n_words, term->n_kept, SEED_ANCHORS_DROPPED,
        term->kept + at, term->no_position + at);
    seed_anchors_match (
        &views[0], &views[1], term->grid, term->kept + at, term->n_kept, term->match + at);
  }
}

gboolean
seed_anchor_term_assign (SeedAnchorTerm *term, const real *values, const guint8 *words,
    const SeedAnchorTermBatch *batch, guint b, GError **error)
{
  gsize d = term->config.dim;
  const real *rows;

  g_return_val_if_fail (b >= 1 && b <= term->max_items, FALSE);

  term->b = 0;
  take_view (term, words, b, 0);
  seed_vit_pack (term->reference, batch->ema);
  rows = seed_vit_run (term->reference, term->scale, term->shift, term->view, b);
  if (!seed_anchors_assign (term->anchors, values, batch->ema,
          &(SeedAnchorsRows){ rows + d, (1 + (gsize) term->n_words) * d }, batch->frames, b, error))
    return FALSE;
  draw_queries (term, batch, b);
  term->b = b;
  return TRUE;
}

double
seed_anchor_term_loss (SeedAnchorTerm *term, const real *values, const guint8 *words, double weight,
    double w_histogram, SeedAnchorsLosses *losses, real *grads)
{
  const SeedVitSubset subset = { term->n_kept, term->kept, term->no_position };
  gsize d = term->config.dim, stride = query_stride (term);
  const real *rows;
  double histogram;

  g_return_val_if_fail (term->b > 0, 0);

  take_view (term, words, term->b, 1);
  seed_vit_pack (term->query, values);
  rows = seed_vit_run_subset (term->query, term->scale, term->shift, term->view, term->b, &subset);
  memset (term->d_rows, 0, term->b * stride * sizeof (real));
  seed_anchors_loss (term->anchors, values, &(SeedAnchorsRows){ rows + d, stride }, term->n_kept,
      term->match, weight, losses, grads, grads ? term->d_rows + d : NULL);
  histogram = seed_histogram_loss (term->histogram, values, rows, stride,
      seed_anchors_get_assignment (term->anchors), term->n_words, term->b, w_histogram, grads,
      term->d_rows);
  if (grads)
    seed_vit_backward (term->query, values, term->d_rows, grads);
  return histogram;
}

const real *
seed_anchor_term_get_assignment (const SeedAnchorTerm *term)
{
  return seed_anchors_get_assignment (term->anchors);
}
