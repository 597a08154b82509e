/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "anchors/anchors-private.h"

/* G (u, v) = exp (-|u - v|^2 / (2 sigma^2)), scaled to sum to 1 over u of the grid. */
void
seed_anchors_fill_smoothing (SeedAnchors *anchors)
{
  guint grid = anchors->shape.grid, n = anchors->n_words;
  double sigma = anchors->config.sigma;

  for (guint v = 0; v < n; v++) {
    real *row = anchors->smoothing + (gsize) v * n;
    double sum = 0;

    for (guint u = 0; u < n; u++) {
      double x = (double) (u % grid) - (double) (v % grid);
      double y = (double) (u / grid) - (double) (v / grid);
      double g = sigma > 0 ? exp (-(x * x + y * y) / (2 * sigma * sigma)) : u == v;

      row[u] = (real) g;
      sum += g;
    }
    for (guint u = 0; u < n; u++)
      row[u] = (real) ((double) row[u] / sum);
  }
}

/* A chunk: images @first .. @first + @images - 1. */
typedef struct {
  SeedAnchors *anchors;
  const gint32 *match; /* of the chunk's words */
  guint first, images, n_query, rows;
  double scale; /* of a row's loss in the total */
} Chunk;

/*
 * @logits [N] become the gradient scale (mass softmax - y) of the loss mass lse - y . logits.
 * @hit: whether the largest logit is at @cell. Returns the loss.
 */
static double
cross_entropy (const SeedAnchors *anchors, real *logits, const real *y, gint32 cell, double scale,
    gboolean *hit)
{
  const SeedKernels *kernels = anchors->pass.layers.kernels;
  guint n = anchors->n_words, best = 0;
  double mass = cell >= 0, dot = cell >= 0 ? (double) logits[cell] : 0, largest, loss;

  for (guint u = 0; u < n; u++) {
    if (logits[u] > logits[best])
      best = u;
    if (y) {
      mass += (double) y[u];
      dot += (double) y[u] * (double) logits[u];
    }
  }
  *hit = best == (guint) cell;
  largest = (double) logits[best];
  kernels->softmax (logits, 1, n, 1);
  loss = mass * (largest - log ((double) logits[best])) - dot;

  kernels->scale (logits, n, (real) (scale * mass));
  if (y)
    kernels->add_scaled (y, n, (real) -scale, logits);
  else
    logits[cell] -= (real) scale;
  return loss;
}

/* Anchors: the target of a row is spread over cells and weighs what the anchor has in the image. */
static void
anchors_rows (gsize begin, gsize count, gpointer data)
{
  const Chunk *chunk = data;
  SeedAnchors *anchors = chunk->anchors;
  gsize n = anchors->n_words;
  gboolean hit;

  for (gsize r = begin; r < begin + count; r++)
    anchors->row_losses[r] = cross_entropy (
        anchors, anchors->logits + r * n, anchors->targets + r * n, -1, chunk->scale, &hit);
}

/* Words: the cell of the reference word that covers it; nothing for the others. */
static void
words_rows (gsize begin, gsize count, gpointer data)
{
  const Chunk *chunk = data;
  SeedAnchors *anchors = chunk->anchors;
  gsize n = anchors->n_words;

  for (gsize r = begin; r < begin + count; r++) {
    real *logits = anchors->logits + r * n;

    anchors->hits[r] = FALSE;
    anchors->row_losses[r] = 0;
    if (chunk->match[r] < 0)
      memset (logits, 0, n * sizeof *logits);
    else
      anchors->row_losses[r] =
          cross_entropy (anchors, logits, NULL, chunk->match[r], chunk->scale, &anchors->hits[r]);
  }
}

/* targets [images, K, N]: m_k T_k (u) = sum_v Q_vk G (u, v) */
static void
targets_task (guint image, gpointer data)
{
  const Chunk *chunk = data;
  const SeedAnchors *anchors = chunk->anchors;
  guint n = anchors->n_words, k = anchors->shape.n_anchors;
  SeedGemm gemm = { .transpose_a = TRUE,
    .m = k,
    .n = n,
    .k = n,
    .alpha = 1,
    .a = anchors->assignment + (gsize) (chunk->first + image) * n * k,
    .stride_a = k,
    .b = anchors->smoothing,
    .stride_b = n,
    .c = anchors->targets + (gsize) image * k * n,
    .stride_c = n };

  anchors->exact->gemm_serial (&gemm);
}

static void
backward (const Chunk *chunk, const SeedLayer *head, const SeedCrossQueries *queries, const real *y,
    real *d_x, real *d_context)
{
  SeedAnchors *anchors = chunk->anchors;

  seed_pass_linear_backward (
      &anchors->pass, head, y, anchors->logits, chunk->rows, SEED_GRADIENT_SET, anchors->d_rows);
  seed_cross_backward (&anchors->pass, &anchors->cross, queries, anchors->d_rows, d_x, d_context);
}

/* Each anchor asks the query's words where it is in the reference. */
static double
anchors_ask (Chunk *chunk, double weight)
{
  SeedAnchors *anchors = chunk->anchors;
  gsize at = (gsize) chunk->first * chunk->n_query * anchors->shape.dim;
  const real *y = seed_cross_forward (&anchors->pass, &anchors->cross, &anchors->of_anchors,
      chunk->images, anchors->shape.n_anchors, anchors->queries + at, chunk->n_query);
  double mean = 1.0 / ((double) anchors->n_assigned * anchors->n_words), loss = 0;

  chunk->rows = chunk->images * anchors->shape.n_anchors;
  chunk->scale = weight * anchors->config.w_location * mean;
  seed_pass_linear (&anchors->pass, &anchors->location, y, chunk->rows, anchors->logits);
  seed_pool_run (chunk->images, targets_task, chunk);
  seed_for_rows (chunk->rows, anchors->n_words, anchors_rows, chunk);
  for (guint r = 0; r < chunk->rows; r++)
    loss += anchors->row_losses[r] * mean;
  if (anchors->pass.grads)
    backward (chunk, &anchors->location, &anchors->of_anchors, y, anchors->d_anchor_rows,
        anchors->d_queries + at);
  return loss;
}

/* Each word of the query asks the reference where it belongs. */
static void
words_ask (Chunk *chunk, double weight, SeedAnchorsLosses *losses)
{
  SeedAnchors *anchors = chunk->anchors;
  gsize at = (gsize) chunk->first * chunk->n_query * anchors->shape.dim;
  guint matched = MAX (losses->n_matched, 1);
  const real *y;

  chunk->rows = chunk->images * chunk->n_query;
  chunk->scale = weight * anchors->config.w_word / matched;
  anchors->of_words.x = anchors->queries + at;
  seed_anchors_gather (
      anchors, &anchors->reference, chunk->first, chunk->images, anchors->n_words, anchors->keys);
  seed_cross_queries (&anchors->pass, &anchors->cross, &anchors->of_words, chunk->rows);
  y = seed_cross_forward (&anchors->pass, &anchors->cross, &anchors->of_words, chunk->images,
      chunk->n_query, anchors->keys, anchors->n_words);
  seed_pass_linear (&anchors->pass, &anchors->word_location, y, chunk->rows, anchors->logits);
  seed_for_rows (chunk->rows, anchors->n_words, words_rows, chunk);
  for (guint r = 0; r < chunk->rows; r++) {
    losses->word_location += anchors->row_losses[r] / matched;
    losses->word_accuracy += (double) anchors->hits[r] / matched;
  }
  if (anchors->pass.grads) {
    backward (chunk, &anchors->word_location, &anchors->of_words, y, anchors->d_queries + at, NULL);
    seed_cross_queries_backward (
        &anchors->pass, &anchors->cross, &anchors->of_words, chunk->rows, anchors->d_queries + at);
  }
}

/* W c_k, the same for every image, and its norm and projection. */
static void
anchors_begin (SeedAnchors *anchors)
{
  guint k = anchors->shape.n_anchors;
  gsize size = (gsize) k * anchors->shape.dim * sizeof (real);

  seed_pass_linear (&anchors->pass, &anchors->project,
      anchors->pass.values + anchors->anchors_offset, k, anchors->anchor_rows);
  anchors->of_anchors.x = anchors->anchor_rows;
  seed_cross_queries (&anchors->pass, &anchors->cross, &anchors->of_anchors, k);
  memset (anchors->d_anchor_rows, 0, size);
  memset (anchors->of_anchors.d_q, 0, size);
}

static void
anchors_end (SeedAnchors *anchors)
{
  guint k = anchors->shape.n_anchors;

  seed_cross_queries_backward (
      &anchors->pass, &anchors->cross, &anchors->of_anchors, k, anchors->d_anchor_rows);
  seed_pass_linear_backward (&anchors->pass, &anchors->project,
      anchors->pass.values + anchors->anchors_offset, anchors->d_anchor_rows, k, SEED_GRADIENT_ADD,
      anchors->pass.grads + anchors->anchors_offset);
}

void
seed_anchors_location_loss (SeedAnchors *anchors, guint n_query, const gint32 *match, double weight,
    SeedAnchorsLosses *losses)
{
  Chunk chunk = { .anchors = anchors, .n_query = n_query };

  anchors_begin (anchors);
  for (; chunk.first < anchors->n_assigned; chunk.first += chunk.images) {
    chunk.images = MIN (anchors->chunk, anchors->n_assigned - chunk.first);
    chunk.match = match + (gsize) chunk.first * n_query;
    losses->location += anchors_ask (&chunk, weight);
    words_ask (&chunk, weight, losses);
  }
  if (anchors->pass.grads)
    anchors_end (anchors);
}
