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

/* The rows of an image: CLS, registers, its embedded words; each plus its position. */
static void
tokens_task (guint image, gpointer data)
{
  const Words *region = data;
  const SeedVit *vit = region->vit;
  const gsize *offset = vit->layout->offset;
  gsize d = vit->config.dim, registers = vit->config.n_registers * d;
  real *rows = vit->blocks[0].in + image * vit->n_tokens * d, *next = rows;

  if (!vit->config.no_cls) {
    memcpy (next, region->values + offset[SEED_VIT_CLS], d * sizeof *rows);
    next += d;
  }
  if (registers > 0)
    memcpy (next, region->values + offset[SEED_VIT_REGISTERS], registers * sizeof *rows);
  next += registers;
  memcpy (next, vit->embedded + image * vit->n_words * d, vit->n_words * d * sizeof *rows);
  vit->kernels->add (region->values + offset[SEED_VIT_POS], vit->n_tokens * d, rows);
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
  guint rows, n_tasks;
} Norm;

static void
norm_task (guint task, gpointer data)
{
  const Norm *region = data;
  const SeedVit *vit = region->vit;
  gsize d = vit->config.dim;
  SeedRange rows = seed_split (region->rows, region->n_tasks, task, 1);

  vit->kernels->norm_forward (region->x + rows.begin * d, (guint) rows.n, vit->config.dim,
      region->gamma, region->beta, vit->config.ln_eps, region->y + rows.begin * d,
      region->mean + rows.begin, region->rstd + rows.begin);
}

void
seed_vit_norm_rows (const SeedVit *vit, const real *x, guint rows, const real *gamma,
    const real *beta, real *y, real *mean, real *rstd)
{
  Norm region = { vit, x, gamma, beta, y, mean, rstd, rows, seed_vit_row_tasks (rows) };

  seed_pool_run (region.n_tasks, norm_task, &region);
}

static void
norm (const SeedVit *vit, const real *x, const real *gamma, const real *beta, real *y, real *mean,
    real *rstd)
{
  seed_vit_norm_rows (vit, x, vit->n * vit->n_tokens, gamma, beta, y, mean, rstd);
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

/* In place: the first half of each row becomes f (first half) * second half. */
static void
gate_task (guint task, gpointer data)
{
  const Activation *region = data;
  const SeedVit *vit = region->vit;
  gsize m = vit->config.mlp_dim;
  SeedRange rows = seed_split ((gsize) vit->n * vit->n_tokens, region->n_tasks, task, 1);

  for (gsize r = rows.begin; r < rows.begin + rows.n; r++) {
    real *first = region->y + r * 2 * m;

    vit->kernels->activation[vit->config.activation](first, m, first);
    for (gsize i = 0; i < m; i++)
      first[i] *= first[m + i];
  }
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
  guint d = vit->config.dim, in = vit->mlp_in, rows = vit->n * vit->n_tokens;
  gboolean gated = vit->config.gated;
  Activation region = { vit, block->pre, vit->hidden, seed_vit_row_tasks (rows) };
  SeedEpilogue fc1 = { .bias = values + offset[SEED_VIT_FC1_BIAS],
    .activate = !vit->train && !gated,
    .activation = vit->config.activation };
  SeedEpilogue fc2 = {
    .bias = values + offset[SEED_VIT_FC2_BIAS], .residual = block->mid, .residual_stride = d
  };

  norm (vit, block->mid, values + offset[SEED_VIT_NORM2_WEIGHT],
      values + offset[SEED_VIT_NORM2_BIAS], vit->normed, block->mean2, block->rstd2);
  vit->backend->linear (weights->block[index][SEED_VIT_FC1], vit->normed, d, rows, &fc1,
      vit->train ? block->pre : vit->hidden, in);
  if (vit->train || gated)
    seed_pool_run (region.n_tasks, gated ? gate_task : activation_task, &region);
  vit->backend->linear (
      weights->block[index][SEED_VIT_FC2], vit->hidden, in, rows, &fc2, block->out, d);
}

static void
pre_norm (SeedVit *vit, const SeedVitWeights *weights)
{
  const gsize *offset = weights->layout.offset;
  real *rows = vit->blocks[0].in;

  norm (vit, rows, weights->values + offset[SEED_VIT_PRE_NORM_WEIGHT],
      weights->values + offset[SEED_VIT_PRE_NORM_BIAS], rows, vit->mean, vit->rstd);
}

static void
final_norm (SeedVit *vit, const SeedVitWeights *weights)
{
  const gsize *offset = weights->layout.offset;

  norm (vit, vit->blocks[vit->config.depth - 1].out, weights->values + offset[SEED_VIT_NORM_WEIGHT],
      weights->values + offset[SEED_VIT_NORM_BIAS], vit->out, vit->mean, vit->rstd);
}

const real *
seed_vit_rows (const SeedVit *vit)
{
  return vit->config.norm_place == SEED_VIT_NORM_ROWS ? vit->out
                                                      : vit->blocks[vit->config.depth - 1].out;
}

const real *
seed_vit_forward_packed (SeedVit *vit, const SeedVitWeights *weights, const float scale[3],
    const float shift[3], const guint8 *words, guint n)
{
  g_return_val_if_fail (n >= 1 && n <= vit->max_batch, NULL);
  g_return_val_if_fail (weights->values && weights->depth == vit->config.depth, NULL);

  vit->n = n;
  embed (vit, weights, scale, shift, words);
  if (vit->config.pre_norm)
    pre_norm (vit, weights);
  for (guint i = 0; i < vit->config.depth; i++) {
    attention (vit, weights, i);
    mlp (vit, weights, i);
  }
  if (vit->config.norm_place == SEED_VIT_NORM_ROWS)
    final_norm (vit, weights);
  return seed_vit_rows (vit);
}

const real *
seed_vit_forward (SeedVit *vit, const real *values, const float scale[3], const float shift[3],
    const guint8 *words, guint n)
{
  seed_vit_weights_pack (vit->weights, values);
  return seed_vit_forward_packed (vit, vit->weights, scale, shift, words, n);
}
