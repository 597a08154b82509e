/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "student/distil.h"
#include "student/feature-loss.h"

struct _SeedDistil {
  SeedDistilConfig config;
  SeedDistilTeacher teacher;
  SeedLayers layers;
  const SeedEmbedQueue *queue;
  guint max_items, b;
  SeedAdaptor *summary, *tokens; /* tokens: NULL without */

  real *z, *z_norms, *d_z;         /* [2b, D], [2b]: of the student, unit rows */
  real *teacher_z, *teacher_norms; /* the same of the teacher */
  real *d_summary, *d_tokens;      /* [2b, D], [2b N, Dt] */
  real *row_loss;                  /* [2b N] */
  real *scratch;                   /* of the queue's loss */
};

static gboolean
wants_tokens (const SeedDistilConfig *config, const SeedDistilTeacher *teacher)
{
  return teacher->token_dim > 0 && config->w_feat > 0;
}

void
seed_distil_append_params (const SeedDistilConfig *config, const SeedDistilTeacher *teacher,
    guint index, SeedParams *params)
{
  g_autofree char *summary = g_strdup_printf ("teacher.%u.summary", index);
  g_autofree char *tokens = g_strdup_printf ("teacher.%u.tokens", index);

  seed_adaptor_append_params (
      params, summary, config->embed_dim, config->hidden_dim, teacher->summary_dim);
  if (wants_tokens (config, teacher))
    seed_adaptor_append_params (
        params, tokens, config->hidden_dim, config->hidden_dim, teacher->token_dim);
}

SeedDistil *
seed_distil_new (const SeedDistilConfig *config, const SeedDistilTeacher *teacher, guint index,
    const SeedParams *params, const SeedEmbedQueue *queue, guint max_items,
    const SeedBackend *backend)
{
  SeedDistil *distil = g_new0 (SeedDistil, 1);
  g_autofree char *summary = g_strdup_printf ("teacher.%u.summary", index);
  g_autofree char *tokens = g_strdup_printf ("teacher.%u.tokens", index);
  gsize rows = SEED_VIEWS * (gsize) max_items, words = rows * config->n_words;

  distil->config = *config;
  distil->teacher = *teacher;
  distil->layers = seed_layers (backend);
  distil->queue = queue;
  distil->max_items = max_items;
  distil->summary = seed_adaptor_new (params, summary, rows, backend);
  distil->d_summary = seed_reals_new (rows * teacher->summary_dim);
  distil->row_loss = seed_reals_new (words);
  if (config->w_seed > 0) {
    distil->z = seed_reals_new (rows * teacher->summary_dim);
    distil->d_z = seed_reals_new (rows * teacher->summary_dim);
    distil->teacher_z = seed_reals_new (rows * teacher->summary_dim);
    distil->z_norms = seed_reals_new (rows);
    distil->teacher_norms = seed_reals_new (rows);
    distil->scratch =
        seed_reals_new (seed_embed_queue_scratch_size ((guint) rows, queue->capacity));
  }
  if (wants_tokens (config, teacher)) {
    distil->tokens = seed_adaptor_new (params, tokens, words, backend);
    distil->d_tokens = seed_reals_new (words * teacher->token_dim);
  }
  return distil;
}

void
seed_distil_free (SeedDistil *distil)
{
  if (!distil)
    return;
  seed_adaptor_free (distil->summary);
  seed_adaptor_free (distil->tokens);
  g_aligned_free (distil->z);
  g_aligned_free (distil->z_norms);
  g_aligned_free (distil->d_z);
  g_aligned_free (distil->teacher_z);
  g_aligned_free (distil->teacher_norms);
  g_aligned_free (distil->d_summary);
  g_aligned_free (distil->d_tokens);
  g_aligned_free (distil->row_loss);
  g_aligned_free (distil->scratch);
  g_free (distil);
}

gsize
seed_distil_memory_bytes (const SeedDistil *distil)
{
  gsize rows = SEED_VIEWS * (gsize) distil->max_items, words = rows * distil->config.n_words;
  gsize reals = rows * distil->teacher.summary_dim + words;

  if (distil->z)
    reals += 3 * rows * distil->teacher.summary_dim + 2 * rows +
             seed_embed_queue_scratch_size ((guint) rows, distil->queue->capacity);
  if (distil->tokens)
    reals += words * distil->teacher.token_dim;
  return reals * sizeof (real) + seed_adaptor_memory_bytes (distil->summary) +
         (distil->tokens ? seed_adaptor_memory_bytes (distil->tokens) : 0);
}

/* The mean over the @per_item rows of item @i. */
static double
item_mean (const SeedDistil *distil, guint i, gsize per_item)
{
  double sum = 0;

  for (gsize r = 0; r < per_item; r++)
    sum += distil->row_loss[i * per_item + r];
  return sum / (double) per_item;
}

/* Adds the gradient of the queue's loss to d_summary. */
static void
forward_queue (SeedDistil *distil, const real *y, const real *summary, gboolean train,
    SeedDistilLosses *losses)
{
  guint rows = SEED_VIEWS * distil->b, dim = distil->teacher.summary_dim;
  gsize size = (gsize) rows * dim * sizeof (real);

  memcpy (distil->z, y, size);
  memcpy (distil->teacher_z, summary, size);
  seed_unit_rows (distil->z, rows, dim, distil->z_norms);
  seed_unit_rows (distil->teacher_z, rows, dim, distil->teacher_norms);
  seed_embed_queue_loss (distil->queue, &distil->layers, distil->z, distil->teacher_z, rows,
      distil->config.w_seed / rows, distil->row_loss, train ? distil->d_z : NULL, distil->scratch);
  for (guint i = 0; i < distil->b; i++)
    losses[i].seed = item_mean (distil, i, SEED_VIEWS);
  if (!train)
    return;
  seed_unit_rows_backward (distil->z, distil->z_norms, rows, dim, distil->d_z);
  distil->layers.kernels->add (distil->d_z, (gsize) rows * dim, distil->d_summary);
}

static void
forward_summary (SeedDistil *distil, const real *values, const real *features, const real *summary,
    gboolean train, SeedDistilLosses *losses)
{
  guint rows = SEED_VIEWS * distil->b, dim = distil->teacher.summary_dim;
  const real *y = seed_adaptor_forward (distil->summary, values, features, rows);

  if (distil->config.w_feat > 0) {
    seed_feature_loss (&seed_feature_summary, y, summary, rows, dim, distil->config.w_feat / rows,
        distil->row_loss, train ? distil->d_summary : NULL);
    for (guint i = 0; i < distil->b; i++)
      losses[i].summary = item_mean (distil, i, SEED_VIEWS);
  } else if (train) {
    memset (distil->d_summary, 0, (gsize) rows * dim * sizeof (real));
  }
  if (distil->z)
    forward_queue (distil, y, summary, train, losses);
}

static void
forward_tokens (SeedDistil *distil, const real *values, const real *tokens, const real *target,
    gboolean train, SeedDistilLosses *losses)
{
  guint per_item = SEED_VIEWS * distil->config.n_words, rows = per_item * distil->b;
  const real *y = seed_adaptor_forward (distil->tokens, values, tokens, rows);

  seed_feature_loss (&seed_feature_tokens, y, target, rows, distil->teacher.token_dim,
      distil->config.w_feat / rows, distil->row_loss, train ? distil->d_tokens : NULL);
  for (guint i = 0; i < distil->b; i++)
    losses[i].tokens = item_mean (distil, i, per_item);
}

void
seed_distil_forward (SeedDistil *distil, const real *values, const real *features,
    const real *tokens, const SeedDistilTarget *target, guint b, gboolean train,
    SeedDistilLosses *losses)
{
  g_return_if_fail (b <= distil->max_items && (!distil->tokens || target->tokens));

  distil->b = b;
  memset (losses, 0, b * sizeof *losses);
  forward_summary (distil, values, features, target->summary, train, losses);
  if (distil->tokens)
    forward_tokens (distil, values, tokens, target->tokens, train, losses);
}

double
seed_distil_weigh (const SeedDistil *distil, const SeedDistilLosses *losses)
{
  return distil->config.w_seed * losses->seed +
         distil->config.w_feat * (losses->summary + losses->tokens);
}

static void
keep_items (const SeedDistil *distil, const real *keep, gsize item_size, real *d)
{
  for (guint i = 0; keep && i < distil->b; i++)
    if (keep[i] != 1)
      distil->layers.kernels->scale (d + i * item_size, item_size, keep[i]);
}

void
seed_distil_backward (SeedDistil *distil, const real *values, const real *keep, real *d_features,
    real *d_tokens, real *grads)
{
  gsize words = distil->config.n_words;

  keep_items (distil, keep, SEED_VIEWS * (gsize) distil->teacher.summary_dim, distil->d_summary);
  seed_adaptor_backward (distil->summary, values, distil->d_summary, d_features, grads);
  if (distil->tokens) {
    keep_items (distil, keep, SEED_VIEWS * words * distil->teacher.token_dim, distil->d_tokens);
    seed_adaptor_backward (distil->tokens, values, distil->d_tokens, d_tokens, grads);
  }
}

const real *
seed_distil_embeddings (const SeedDistil *distil)
{
  return distil->teacher_z;
}
