/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "nn/vit-private.h"

typedef struct {
  SeedVit *vit;
  const real *values;
  const guint8 *words;
  const float *scale, *shift;
  guint n_tasks;
} Words;

static void
words_task (guint task, gpointer data)
{
  const Words *region = data;
  const SeedVit *vit = region->vit;
  SeedRange range = seed_split ((gsize) vit->n * vit->n_words, region->n_tasks, task, 1);

  vit->kernels->words (region->words + range.begin * vit->word_size, range.n, vit->word_size / 3,
      region->scale, region->shift, vit->word_values + range.begin * vit->word_size);
}

/* Row 0 of an image is the CLS token, the others are its embedded words; each plus its position. */
static void
tokens_task (guint image, gpointer data)
{
  const Words *region = data;
  const SeedVit *vit = region->vit;
  gsize d = vit->config.dim;
  real *rows = vit->blocks[0].in + image * vit->n_tokens * d;

  memcpy (rows, region->values + vit->layout->offset[SEED_VIT_CLS], d * sizeof *rows);
  memcpy (rows + d, vit->embedded + image * vit->n_words * d, vit->n_words * d * sizeof *rows);
  vit->kernels->add (region->values + vit->layout->offset[SEED_VIT_POS], vit->n_tokens * d, rows);
}

static void
embed (SeedVit *vit, const SeedVitWeights *weights, const float scale[3], const float shift[3],
    const guint8 *words)
{
  guint n_words = vit->n * vit->n_words;
  SeedEpilogue epilogue = { .bias = weights->values + vit->layout->offset[SEED_VIT_PATCH_BIAS] };
  Words region = { vit, weights->values, words, scale, shift, seed_vit_row_tasks (n_words) };

  seed_pool_run (region.n_tasks, words_task, &region);
  vit->backend->linear (weights->patch, vit->word_values, vit->word_size, n_words, &epilogue,
      vit->embedded, vit->config.dim);
  seed_pool_run (vit->n, tokens_task, &region);
}

typedef struct {
  const SeedVit *vit;
  const real *x, *gamma, *beta;
  real *y, *mean, *rstd;
  guint n_tasks;
} Norm;

static void
norm_task (guint task, gpointer data)
{
  const Norm *region = data;
  const SeedVit *vit = region->vit;
  gsize d = vit->config.dim;
  SeedRange rows = seed_split ((gsize) vit->n * vit->n_tokens, region->n_tasks, task, 1);

  vit->kernels->norm_forward (region->x + rows.begin * d, (guint) rows.n, vit->config.dim,
      region->gamma, region->beta, vit->config.ln_eps, region->y + rows.begin * d,
      region->mean + rows.begin, region->rstd + rows.begin);
}

static void
norm (const SeedVit *vit, const real *x, const real *gamma, const real *beta, real *y, real *mean,
    real *rstd)
{
  Norm region = { vit, x, gamma, beta, y, mean, rstd,
    seed_vit_row_tasks ((gsize) vit->n * vit->n_tokens) };

  seed_pool_run (region.n_tasks, norm_task, &region);
}

typedef struct {
  const SeedVit *vit;
  const real *x;
  real *y;
  guint n_tasks;
} Activation;

static void
activation_task (guint task, gpointer data)
{
  const Activation *region = data;
  const SeedVit *vit = region->vit;
  gsize m = vit->config.mlp_dim;
  SeedRange rows = seed_split ((gsize) vit->n * vit->n_tokens, region->n_tasks, task, 1);

  vit->kernels->activation[vit->config.activation](
      region->x + rows.begin * m, rows.n * m, region->y + rows.begin * m);
}

static void
attention (SeedVit *vit, const SeedVitWeights *weights, guint index)
{
  const SeedVitBlock *block = &vit->blocks[index];
  const gsize *offset = vit->layout->block[index];
  const real *values = weights->values;
  guint d = vit->config.dim, rows = vit->n * vit->n_tokens;
  SeedEpilogue qkv = { .bias = values + offset[SEED_VIT_QKV_BIAS] };
  SeedEpilogue proj = {
    .bias = values + offset[SEED_VIT_PROJ_BIAS], .residual = block->in, .residual_stride = d
  };

  norm (vit, block->in, values + offset[SEED_VIT_NORM1_WEIGHT],
      values + offset[SEED_VIT_NORM1_BIAS], vit->normed, block->mean1, block->rstd1);
  vit->backend->linear (
      weights->block[index][SEED_VIT_QKV], vit->normed, d, rows, &qkv, block->qkv, 3 * d);
  seed_vit_attention_forward (vit, block);
  vit->backend->linear (
      weights->block[index][SEED_VIT_PROJ], block->attended, d, rows, &proj, block->mid, d);
}

static void
mlp (SeedVit *vit, const SeedVitWeights *weights, guint index)
{
  const SeedVitBlock *block = &vit->blocks[index];
  const gsize *offset = vit->layout->block[index];
  const real *values = weights->values;
  guint d = vit->config.dim, m = vit->config.mlp_dim, rows = vit->n * vit->n_tokens;
  SeedEpilogue fc1 = { .bias = values + offset[SEED_VIT_FC1_BIAS],
    .activate = !vit->train,
    .activation = vit->config.activation };
  SeedEpilogue fc2 = {
    .bias = values + offset[SEED_VIT_FC2_BIAS], .residual = block->mid, .residual_stride = d
  };

  norm (vit, block->mid, values + offset[SEED_VIT_NORM2_WEIGHT],
      values + offset[SEED_VIT_NORM2_BIAS], vit->normed, block->mean2, block->rstd2);
  vit->backend->linear (weights->block[index][SEED_VIT_FC1], vit->normed, d, rows, &fc1,
      vit->train ? block->pre : vit->hidden, m);
  if (vit->train) {
    Activation region = { vit, block->pre, vit->hidden, seed_vit_row_tasks (rows) };
    seed_pool_run (region.n_tasks, activation_task, &region);
  }
  vit->backend->linear (
      weights->block[index][SEED_VIT_FC2], vit->hidden, m, rows, &fc2, block->out, d);
}

const real *
seed_vit_forward_packed (SeedVit *vit, const SeedVitWeights *weights, const float scale[3],
    const float shift[3], const guint8 *words, guint n)
{
  const gsize *offset = vit->layout->offset;

  g_return_val_if_fail (n >= 1 && n <= vit->max_batch, NULL);
  g_return_val_if_fail (weights->values && weights->depth == vit->config.depth, NULL);

  vit->n = n;
  embed (vit, weights, scale, shift, words);
  for (guint i = 0; i < vit->config.depth; i++) {
    attention (vit, weights, i);
    mlp (vit, weights, i);
  }
  norm (vit, vit->blocks[vit->config.depth - 1].out, weights->values + offset[SEED_VIT_NORM_WEIGHT],
      weights->values + offset[SEED_VIT_NORM_BIAS], vit->out, vit->mean, vit->rstd);
  return vit->out;
}

const real *
seed_vit_forward (SeedVit *vit, const real *values, const float scale[3], const float shift[3],
    const guint8 *words, guint n)
{
  seed_vit_weights_pack (vit->weights, values);
  return seed_vit_forward_packed (vit, vit->weights, scale, shift, words, n);
}
