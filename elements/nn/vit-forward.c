/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "nn/vit-private.h"

/* Rows that a task takes from one attention to the next; their activations should stay in L2. */
#define BLOCK_ROWS 96

typedef struct {
  SeedVit *vit;
  const SeedVitWeights *weights;
  const guint8 *words;
  const float *scale, *shift;
  guint n_tasks;
} Words;

static void
words_task (guint task, gpointer data)
{
  const Words *region = data;
  const SeedVit *vit = region->vit;
  SeedRange range = seed_split ((gsize)vit->n * vit->n_words, region->n_tasks, task, 1);

  const guint8 *words = region->words + range.begin * vit->word_size;
  void *values = seed_vit_row (vit, vit->word_values, range.begin, vit->word_size);
  guint channel_size = vit->word_size / 3;

  if (vit->rows_type == SEED_ROWS_BF16)
    vit->kernels->words_bf16 (
        words, range.n, channel_size, region->scale, region->shift, values);
  else
    vit->kernels->words (words, range.n, channel_size, region->scale, region->shift, values);
}

/* Row 0 of an image is the CLS token, the others are its embedded words; each plus its position. */
static void
tokens_task (guint image, gpointer data)
{
  const Words *region = data;
  const SeedVit *vit = region->vit;
  const SeedVitLayout *layout = &region->weights->layout;
  gsize d = vit->config.dim;
  real *rows = vit->blocks[0].in + image * vit->n_tokens * d;

  memcpy (rows, region->weights->values + layout->offset[SEED_VIT_CLS], d * sizeof *rows);
  memcpy (rows + d, vit->embedded + image * vit->n_words * d, vit->n_words * d * sizeof *rows);
  vit->kernels->add (region->weights->values + layout->offset[SEED_VIT_POS], vit->n_tokens * d, rows);
}

static void
embed (SeedVit *vit, const SeedVitWeights *weights, const float scale[3], const float shift[3],
    const guint8 *words)
{
  guint n_words = vit->n * vit->n_words;
  SeedEpilogue epilogue = { .bias = weights->values + weights->layout.offset[SEED_VIT_PATCH_BIAS],
    .x_type = vit->rows_type };
  Words region = { vit, weights, words, scale, shift, seed_vit_row_tasks (n_words) };

  seed_pool_run (region.n_tasks, words_task, &region);
  vit->backend->linear (weights->patch, vit->word_values, vit->word_size, n_words, &epilogue,
      vit->embedded, vit->config.dim);
  seed_pool_run (vit->n, tokens_task, &region);
}

/*
 * Most of a block looks at one row at a time. These functions take some rows through it: all of
 * them, spread over the pool; or, inside a task, a few that stay in cache from layer to layer.
 */
typedef struct {
  SeedVit *vit;
  const SeedVitWeights *weights;
  SeedRange rows;
  gboolean serial; /* inside a task */
} Rows;

typedef struct {
  const Rows *rows;
  const real *x, *gamma, *beta;
  void *y;
  SeedRowsType y_type;
  real *mean, *rstd;
  guint n_tasks;
} Norm;

static void
norm_task (guint task, gpointer data)
{
  const Norm *region = data;
  const SeedVit *vit = region->rows->vit;
  gsize d = vit->config.dim;
  SeedRange part = seed_split (region->rows->rows.n, region->n_tasks, task, 1);
  gsize begin = region->rows->rows.begin + part.begin;

  if (region->y_type == SEED_ROWS_BF16)
    vit->kernels->norm_forward_bf16 (region->x + begin * d, (guint)part.n, (guint)d, region->gamma,
        region->beta, vit->config.ln_eps, (SeedBf16 *)region->y + begin * d, region->mean + begin,
        region->rstd + begin);
  else
    vit->kernels->norm_forward (region->x + begin * d, (guint)part.n, (guint)d, region->gamma,
        region->beta, vit->config.ln_eps, (real *)region->y + begin * d, region->mean + begin,
        region->rstd + begin);
}

static void
norm_rows (const Rows *rows, Norm *region)
{
  region->rows = rows;
  region->n_tasks = rows->serial ? 1 : seed_vit_row_tasks (rows->rows.n);
  if (rows->serial)
    norm_task (0, region);
  else
    seed_pool_run (region->n_tasks, norm_task, region);
}

static void
norm (const Rows *rows, const real *x, gsize gamma, gsize beta, real *mean, real *rstd)
{
  const real *values = rows->weights->values;
  Norm region = { .x = x,
    .gamma = values + gamma,
    .beta = values + beta,
    .y = rows->vit->normed,
    .y_type = rows->vit->rows_type,
    .mean = mean,
    .rstd = rstd };

  norm_rows (rows, &region);
}

/* @x [R, in] and @y [R, out] of the whole batch, of the types that the epilogue says. */
static void
linear (const Rows *rows, const SeedPackedLinear *packed, const void *x, guint in,
    SeedEpilogue epilogue, void *y, guint out)
{
  const SeedBackend *backend = rows->vit->backend;
  gsize begin = rows->rows.begin;
  gsize x_size = epilogue.x_type == SEED_ROWS_BF16 ? sizeof (SeedBf16) : sizeof (real);
  gsize y_size = epilogue.y_type == SEED_ROWS_BF16 ? sizeof (SeedBf16) : sizeof (real);

  if (epilogue.residual)
    epilogue.residual += begin * epilogue.residual_stride;
  (rows->serial ? backend->linear_rows : backend->linear) (packed,
      (const char *)x + begin * in * x_size, in, (guint)rows->rows.n, &epilogue,
      (char *)y + begin * out * y_size, out);
}

typedef struct {
  const Rows *rows;
  const real *x;
  real *y;
  guint n_tasks;
} Activation;

static void
activation_task (guint task, gpointer data)
{
  const Activation *region = data;
  const SeedVit *vit = region->rows->vit;
  gsize m = vit->config.mlp_dim;
  SeedRange part = seed_split (region->rows->rows.n, region->n_tasks, task, 1);
  gsize begin = region->rows->rows.begin + part.begin;

  vit->kernels->activation[vit->config.activation](
      region->x + begin * m, part.n * m, region->y + begin * m);
}

static void
activate (const Rows *rows, const real *x, real *y)
{
  Activation region = { rows, x, y, rows->serial ? 1 : seed_vit_row_tasks (rows->rows.n) };

  if (rows->serial)
    activation_task (0, &region);
  else
    seed_pool_run (region.n_tasks, activation_task, &region);
}

static void
attention_in (const Rows *rows, guint index)
{
  SeedVit *vit = rows->vit;
  const SeedVitBlock *block = &vit->blocks[index];
  const gsize *offset = rows->weights->layout.block[index];
  guint d = vit->config.dim;
  SeedEpilogue qkv = { .bias = rows->weights->values + offset[SEED_VIT_QKV_BIAS],
    .x_type = vit->rows_type,
    .y_type = vit->rows_type };

  norm (rows, block->in, offset[SEED_VIT_NORM1_WEIGHT], offset[SEED_VIT_NORM1_BIAS], block->mean1,
      block->rstd1);
  linear (
      rows, rows->weights->block[index][SEED_VIT_QKV], vit->normed, d, qkv, block->qkv, 3 * d);
}

static void
attention_out (const Rows *rows, guint index)
{
  SeedVit *vit = rows->vit;
  const SeedVitBlock *block = &vit->blocks[index];
  const gsize *offset = rows->weights->layout.block[index];
  guint d = vit->config.dim;
  SeedEpilogue proj = { .bias = rows->weights->values + offset[SEED_VIT_PROJ_BIAS],
    .residual = block->in,
    .residual_stride = d,
    .x_type = vit->rows_type };

  linear (
      rows, rows->weights->block[index][SEED_VIT_PROJ], block->attended, d, proj, block->mid, d);
}

static void
mlp (const Rows *rows, guint index)
{
  SeedVit *vit = rows->vit;
  const SeedVitBlock *block = &vit->blocks[index];
  const gsize *offset = rows->weights->layout.block[index];
  const real *values = rows->weights->values;
  guint d = vit->config.dim, m = vit->config.mlp_dim;
  SeedEpilogue fc1 = { .bias = values + offset[SEED_VIT_FC1_BIAS],
    .activate = !vit->train,
    .activation = vit->config.activation,
    .x_type = vit->rows_type,
    .y_type = vit->rows_type };
  SeedEpilogue fc2 = { .bias = values + offset[SEED_VIT_FC2_BIAS],
    .residual = block->mid,
    .residual_stride = d,
    .x_type = vit->rows_type };

  norm (rows, block->mid, offset[SEED_VIT_NORM2_WEIGHT], offset[SEED_VIT_NORM2_BIAS], block->mean2,
      block->rstd2);
  linear (rows, rows->weights->block[index][SEED_VIT_FC1], vit->normed, d, fc1,
      vit->train ? block->pre : vit->hidden, m);
  if (vit->train)
    activate (rows, block->pre, vit->hidden);
  linear (rows, rows->weights->block[index][SEED_VIT_FC2], vit->hidden, m, fc2, block->out, d);
}

static void
final_norm (const Rows *rows)
{
  SeedVit *vit = rows->vit;
  const gsize *offset = rows->weights->layout.offset;
  Norm region = { .x = vit->blocks[vit->config.depth - 1].out,
    .gamma = rows->weights->values + offset[SEED_VIT_NORM_WEIGHT],
    .beta = rows->weights->values + offset[SEED_VIT_NORM_BIAS],
    .y = vit->out,
    .y_type = SEED_ROWS_REAL,
    .mean = vit->mean,
    .rstd = vit->rstd };

  norm_rows (rows, &region);
}

/* From the attention of block @index - 1 to that of block @index: what is between looks at rows. */
static void
between_attentions (const Rows *rows, guint index)
{
  if (index > 0) {
    attention_out (rows, index - 1);
    mlp (rows, index - 1);
  }
  if (index < rows->vit->config.depth)
    attention_in (rows, index);
  else
    final_norm (rows);
}

typedef struct {
  Rows all;
  guint index, n_tasks;
} Between;

static void
between_task (guint task, gpointer data)
{
  const Between *region = data;
  Rows rows = region->all;

  rows.rows = seed_split (region->all.rows.n, region->n_tasks, task, 1);
  rows.serial = TRUE;
  between_attentions (&rows, region->index);
}

/* The same number of tasks for every thread, of at most BLOCK_ROWS rows. */
static guint
n_row_blocks (gsize rows)
{
  guint threads = seed_pool_n_threads ();
  guint blocks = (guint)((rows + BLOCK_ROWS - 1) / BLOCK_ROWS);

  return (guint)MIN ((blocks + threads - 1) / threads * threads, rows);
}

const real *
seed_vit_forward_packed (SeedVit *vit, const SeedVitWeights *weights, const float scale[3],
    const float shift[3], const guint8 *words, guint n)
{
  Between region = { .all = { .vit = vit, .weights = weights } };

  g_return_val_if_fail (n >= 1 && n <= vit->max_batch, NULL);
  g_return_val_if_fail (weights->values && weights->depth == vit->config.depth, NULL);
  g_return_val_if_fail (weights->backend == vit->backend, NULL);

  vit->n = n;
  embed (vit, weights, scale, shift, words);
  region.all.rows.n = (gsize)n * vit->n_tokens;
  region.n_tasks = n_row_blocks (region.all.rows.n);
  for (region.index = 0; region.index <= vit->config.depth; region.index++) {
    if (vit->backend->linear_rows)
      seed_pool_run (region.n_tasks, between_task, &region);
    else
      between_attentions (&region.all, region.index);
    if (region.index < vit->config.depth)
      seed_vit_attention_forward (vit, &vit->blocks[region.index]);
  }
  return vit->out;
}

const real *
seed_vit_forward (SeedVit *vit, const real *values, const float scale[3], const float shift[3],
    const guint8 *words, guint n)
{
  seed_vit_weights_pack (vit->weights, values);
  return seed_vit_forward_packed (vit, vit->weights, scale, shift, words, n);
}
