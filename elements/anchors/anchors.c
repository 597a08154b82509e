/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <seed/error.h>
#include <seed/pool.h>

#include "anchors/anchors-private.h"
#include "nn/arena.h"

#define CHUNK_ROWS 2048 /* of a chunk: some MiB at the widths of students */

void
seed_anchors_config_init (SeedAnchorsConfig *config)
{
  *config = (SeedAnchorsConfig){
    .assignment_temperature = 0.05,
    .iterations = 3,
    .temperature = 0.1,
    .sigma = 1,
    .min_frames = 16,
    .w_location = 1,
    .w_word = 1,
    .w_assignment = 1,
    .w_guard = 1,
  };
}

static gboolean
check_config (const SeedAnchorsConfig *config, GError **error)
{
  if (config->assignment_temperature > 0 && config->temperature > 0 && config->sigma >= 0 &&
      config->iterations >= 1 && config->min_frames >= 1)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
      "anchors: temperatures %g and %g must be above 0, sigma %g not below, %u iterations and %u "
      "frames at least 1",
      config->assignment_temperature, config->temperature, config->sigma, config->iterations,
      config->min_frames);
  return FALSE;
}

static void
carve_head (SeedAnchors *anchors, SeedArena *arena, gsize rows)
{
  SeedAnchorsHead *head = &anchors->head;
  gsize hidden = anchors->shape.head_dim, e = anchors->shape.anchor_dim;

  head->x = seed_arena_carve (arena, rows, anchors->shape.dim);
  head->pre = seed_arena_carve (arena, rows, hidden);
  head->activated = seed_arena_carve (arena, rows, hidden);
  head->z = seed_arena_carve (arena, rows, e);
  head->norms = seed_arena_carve (arena, rows, 1);
  anchors->probs = seed_arena_carve (arena, rows, anchors->shape.n_anchors);
  if (anchors->max_query > 0) {
    head->d_z = seed_arena_carve (arena, rows, e);
    head->d_hidden = seed_arena_carve (arena, rows, hidden);
    anchors->d_probs = seed_arena_carve (arena, rows, anchors->shape.n_anchors);
  }
}

static void
carve_queries (SeedArena *arena, SeedCrossQueries *queries, gsize rows, gsize d)
{
  queries->normed = seed_arena_carve (arena, rows, d);
  queries->mean = seed_arena_carve (arena, rows, 1);
  queries->rstd = seed_arena_carve (arena, rows, 1);
  queries->q = seed_arena_carve (arena, rows, d);
  queries->d_q = seed_arena_carve (arena, rows, d);
}

/* @rows of queries and @keys: of a chunk */
static void
carve_cross (SeedAnchors *anchors, SeedArena *arena, gsize rows, gsize keys)
{
  SeedCross *cross = &anchors->cross;
  gsize d = anchors->shape.dim, m = anchors->shape.mlp_dim;
  gsize probs = rows * anchors->shape.heads;

  cross->kv = seed_arena_carve (arena, keys, 2 * d);
  cross->d_kv = seed_arena_carve (arena, keys, 2 * d);
  cross->probs = seed_arena_carve (arena, probs, anchors->n_words);
  cross->d_probs = seed_arena_carve (arena, probs, anchors->n_words);
  cross->attended = seed_arena_carve (arena, rows, d);
  cross->mid = seed_arena_carve (arena, rows, d);
  cross->normed = seed_arena_carve (arena, rows, d);
  cross->mean2 = seed_arena_carve (arena, rows, 1);
  cross->rstd2 = seed_arena_carve (arena, rows, 1);
  cross->pre = seed_arena_carve (arena, rows, m);
  cross->activated = seed_arena_carve (arena, rows, m);
  cross->d_hidden = seed_arena_carve (arena, rows, m);
  cross->out = seed_arena_carve (arena, rows, d);
  cross->mean3 = seed_arena_carve (arena, rows, 1);
  cross->rstd3 = seed_arena_carve (arena, rows, 1);
  cross->y = seed_arena_carve (arena, rows, d);
  cross->d_stream = seed_arena_carve (arena, rows, d);
  cross->d_rows = seed_arena_carve (arena, rows, d);
}

static void
carve_all (SeedAnchors *anchors, SeedArena *arena)
{
  gsize d = anchors->shape.dim, n = anchors->n_words, k = anchors->shape.n_anchors;
  gsize query_rows = (gsize) anchors->max_batch * anchors->max_query;
  gsize chunk_rows = (gsize) anchors->chunk * MAX (k, anchors->max_query);

  carve_head (anchors, arena, MAX (query_rows, anchors->chunk * n));
  anchors->columns = seed_arena_carve (arena, k, 1);
  if (anchors->max_query == 0)
    return;
  carve_cross (anchors, arena, chunk_rows, anchors->chunk * n);
  carve_queries (arena, &anchors->of_anchors, k, d);
  carve_queries (arena, &anchors->of_words, (gsize) anchors->chunk * anchors->max_query, d);
  anchors->assignment = seed_arena_carve (arena, anchors->max_batch * n, k);
  anchors->frames = seed_arena_carve_bytes (arena, anchors->max_batch, 1, sizeof (guint64));
  anchors->smoothing = seed_arena_carve (arena, n, n);
  anchors->queries = seed_arena_carve (arena, query_rows, d);
  anchors->d_queries = seed_arena_carve (arena, query_rows, d);
  anchors->keys = seed_arena_carve (arena, anchors->chunk * n, d);
  anchors->logits = seed_arena_carve (arena, chunk_rows, n);
  anchors->targets = seed_arena_carve (arena, anchors->chunk * k, n);
  anchors->d_rows = seed_arena_carve (arena, chunk_rows, d);
  anchors->anchor_rows = seed_arena_carve (arena, k, d);
  anchors->d_anchor_rows = seed_arena_carve (arena, k, d);
  anchors->row_losses =
      seed_arena_carve_bytes (arena, MAX (chunk_rows, query_rows), 1, sizeof (double));
  anchors->hits = seed_arena_carve_bytes (
      arena, (gsize) anchors->chunk * anchors->max_query, 1, sizeof (gboolean));
}

static gboolean
allocate (SeedAnchors *anchors, GError **error)
{
  guint64 rows = (guint64) anchors->max_batch * anchors->n_words;
  SeedArena arena = { 0 };

  carve_all (anchors, &arena);
  if (rows > G_MAXINT32 || arena.overflow || arena.used > G_MAXSSIZE ||
      posix_memalign (&anchors->memory, SEED_ARENA_ALIGN, arena.used) != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "no memory for image anchors over %u images of %u words (%.1f GiB); use a smaller batch or "
        "image size",
        anchors->max_batch, anchors->n_words,
        arena.overflow ? INFINITY : (double) arena.used / (1 << 30));
    return FALSE;
  }
  memset (anchors->memory, 0, arena.used);
  anchors->memory_size = arena.used;
  arena = (SeedArena){ .base = anchors->memory };
  carve_all (anchors, &arena);
  return TRUE;
}

SeedAnchors *
seed_anchors_new (const SeedAnchorsShape *shape, const SeedAnchorsConfig *config,
    const SeedParams *params, guint max_batch, guint max_query, const SeedBackend *backend,
    GError **error)
{
  g_autoptr (SeedAnchors) anchors = NULL;
  guint n_words = shape->grid * shape->grid;

  if (!seed_anchors_shape_check (shape, error) || !check_config (config, error) ||
      !seed_backend_self_test (error))
    return NULL;
  if (max_batch == 0 || max_query > n_words) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "anchors: a batch of %u images with %u words kept of each; it must be at least 1 image and "
        "at most %u words",
        max_batch, max_query, n_words);
    return NULL;
  }

  anchors = g_new0 (SeedAnchors, 1);
  anchors->shape = *shape;
  anchors->config = *config;
  anchors->max_batch = max_batch;
  anchors->max_query = max_query;
  anchors->n_words = n_words;
  anchors->chunk = CLAMP (CHUNK_ROWS / MAX (shape->n_anchors, n_words), 1, max_batch);
  anchors->pass.layers = seed_layers (backend);
  anchors->exact = seed_backend_get ();
  anchors->pass.layers.norm_eps = shape->ln_eps;
  anchors->of_anchors.shared = TRUE;
  if (!seed_anchors_find_params (anchors, params, max_query > 0, error) ||
      !allocate (anchors, error))
    return NULL;
  if (max_query > 0)
    seed_anchors_fill_smoothing (anchors);
  return g_steal_pointer (&anchors);
}

void
seed_anchors_free (SeedAnchors *anchors)
{
  if (!anchors)
    return;
  free (anchors->memory);
  g_free (anchors);
}

gsize
seed_anchors_memory_bytes (const SeedAnchors *anchors)
{
  return sizeof *anchors + anchors->memory_size;
}

void
seed_anchors_set_sigma (SeedAnchors *anchors, double sigma)
{
  g_return_if_fail (anchors->max_query > 0 && sigma >= 0);

  anchors->config.sigma = sigma;
  seed_anchors_fill_smoothing (anchors);
}

void
seed_anchors_normalise (const SeedAnchors *anchors, real *values)
{
  /* columns of the workspace are as many numbers as there are anchors */
  seed_unit_rows (values + anchors->anchors_offset, anchors->shape.n_anchors,
      anchors->shape.anchor_dim, anchors->columns);
}

static void
scatter (const SeedAnchors *anchors, guint n_query, gsize stride, real *d_query)
{
  gsize size = (gsize) n_query * anchors->shape.dim;

  for (guint i = 0; i < anchors->n_assigned; i++)
    anchors->pass.layers.kernels->add (anchors->d_queries + i * size, size, d_query + i * stride);
}

void
seed_anchors_loss (SeedAnchors *anchors, const real *values, const SeedAnchorsRows *query,
    guint n_query, const gint32 *match, double weight, SeedAnchorsLosses *losses, real *grads,
    real *d_query)
{
  const SeedAnchorsConfig *config = &anchors->config;
  gsize rows = (gsize) anchors->n_assigned * n_query;

  *losses = (SeedAnchorsLosses){ 0 };
  g_return_if_fail (anchors->n_assigned > 0 && n_query >= 1 && n_query <= anchors->max_query);
  g_return_if_fail ((grads == NULL) == (d_query == NULL));

  for (gsize r = 0; r < rows; r++) {
    g_return_if_fail (match[r] < (gint32) anchors->n_words);
    losses->n_matched += match[r] >= 0;
  }
  anchors->pass.values = values;
  anchors->pass.grads = grads;
  seed_anchors_gather (anchors, query, 0, anchors->n_assigned, n_query, anchors->queries);
  memset (anchors->d_queries, 0, rows * anchors->shape.dim * sizeof (real));
  seed_anchors_assignment_loss (anchors, n_query, match, weight, losses);
  seed_anchors_location_loss (anchors, n_query, match, weight, losses);
  losses->total = config->w_location * losses->location + config->w_word * losses->word_location +
                  config->w_assignment * losses->assignment + config->w_guard * losses->guard;
  if (d_query)
    scatter (anchors, n_query, query->stride, d_query);
  anchors->pass.grads = NULL;
}

typedef struct {
  const SeedAnchors *anchors;
  float *histogram, *heat; /* of the chunk */
} Describe;

/* An image's softmax over anchors, word by word. */
static void
describe_task (guint image, gpointer data)
{
  const Describe *region = data;
  const SeedAnchors *anchors = region->anchors;
  gsize k = anchors->shape.n_anchors, n = anchors->n_words;
  real *p = anchors->probs + image * n * k;
  float *histogram = region->histogram + image * k;

  anchors->pass.layers.kernels->softmax (
      p, (guint) n, (guint) k, (real) (1 / anchors->config.temperature));
  for (gsize i = 0; i < k; i++) {
    double sum = 0;

    for (gsize u = 0; u < n; u++) {
      sum += (double) p[u * k + i];
      if (region->heat)
        region->heat[(image * k + i) * n + u] = (float) p[u * k + i];
    }
    histogram[i] = (float) (sum / (double) n);
  }
}

/* Cosines with the anchors [images * N, K] of the words of a chunk's images from @first on. */
static void
score_words (
    SeedAnchors *anchors, const SeedAnchorsRows *words, guint first, guint images, real *cosines)
{
  guint rows = images * anchors->n_words;

  seed_anchors_gather (anchors, words, first, images, anchors->n_words, anchors->head.x);
  seed_anchors_head_forward (&anchors->pass, &anchors->head, rows);
  seed_anchors_scores (anchors, anchors->head.z, rows, cosines);
}

void
seed_anchors_describe (SeedAnchors *anchors, const real *values, const SeedAnchorsRows *words,
    guint n, float *histogram, float *heat)
{
  gsize k = anchors->shape.n_anchors, n_words = anchors->n_words;

  g_return_if_fail (n >= 1 && n <= anchors->max_batch);

  anchors->pass.values = values;
  for (guint first = 0; first < n; first += anchors->chunk) {
    guint images = MIN (anchors->chunk, n - first);
    Describe region = { anchors, histogram + first * k, heat ? heat + first * k * n_words : NULL };

    score_words (anchors, words, first, images, anchors->probs);
    seed_pool_run (images, describe_task, &region);
  }
}

void
seed_anchors_cosines (
    SeedAnchors *anchors, const real *values, const SeedAnchorsRows *words, guint n, real *cosines)
{
  gsize size = (gsize) anchors->n_words * anchors->shape.n_anchors;

  g_return_if_fail (n >= 1 && n <= anchors->max_batch);

  anchors->pass.values = values;
  for (guint first = 0; first < n; first += anchors->chunk)
    score_words (
        anchors, words, first, MIN (anchors->chunk, n - first), cosines + (gsize) first * size);
}
