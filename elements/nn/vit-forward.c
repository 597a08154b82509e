/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "nn/vit-private.h"

/* Rows that a task takes from one attention to the next; their activations should stay in L2. */
#define BLOCK_ROWS 400

typedef struct {
  SeedVit *vit;
  const SeedVitWeights *weights;
  const guint8 *words;
  const float *scale, *shift;
  guint n_tasks;
} Words;

static void
words_to_values (const Words *region, const guint8 *words, gsize n, void *values)
{
  const SeedVit *vit = region->vit;
  guint channel_size = vit->word_size / 3;

  if (vit->rows_type == SEED_ROWS_BF16)
    vit->kernels->words_bf16 (words, n, channel_size, region->scale, region->shift, values);
  else
    vit->kernels->words (words, n, channel_size, region->scale, region->shift, values);
}

static void
words_task (guint task, gpointer data)
{
  const Words *region = data;
  const SeedVit *vit = region->vit;
  SeedRange range = seed_split ((gsize) vit->n * vit->n_words, region->n_tasks, task, 1);

  const guint8 *words = region->words + range.begin * vit->word_size;
  void *values = seed_vit_row (vit, vit->word_values, range.begin, vit->word_size);

  if (vit->subset.n_words == 0)
    words_to_values (region, words, range.n, values);
  else /* they do not lie side by side */
    for (gsize row = range.begin; row < range.begin + range.n; row++)
      words_to_values (region, seed_vit_subset_word (vit, region->words, row), 1,
          seed_vit_row (vit, vit->word_values, row, vit->word_size));
}

/* The rows of an image: CLS, registers, its embedded words; each plus its position. */
static void
tokens_task (guint image, gpointer data)
{
  const Words *region = data;
  const SeedVit *vit = region->vit;
  const real *values = region->weights->values;
  const gsize *offset = region->weights->layout.offset;
  gsize d = vit->config.dim, registers = vit->config.n_registers * d;
  real *rows = vit->blocks[0].in + image * vit->n_tokens * d, *next = rows;

  if (!vit->config.no_cls) {
    memcpy (next, values + offset[SEED_VIT_CLS], d * sizeof *rows);
    next += d;
  }
  if (registers > 0)
    memcpy (next, values + offset[SEED_VIT_REGISTERS], registers * sizeof *rows);
  next += registers;
  memcpy (next, vit->embedded + image * vit->n_words * d, vit->n_words * d * sizeof *rows);
  if (vit->subset.n_words == 0) {
    vit->kernels->add (values + offset[SEED_VIT_POS], vit->n_tokens * d, rows);
  } else {
    vit->kernels->add (values + offset[SEED_VIT_POS], vit->n_prefix * d, rows);
    seed_vit_subset_positions (vit, values + offset[SEED_VIT_POS], image, next);
  }
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
    vit->kernels->norm_forward_bf16 (region->x + begin * d, (guint) part.n, (guint) d,
        region->gamma, region->beta, vit->config.ln_eps, (SeedBf16 *) region->y + begin * d,
        region->mean + begin, region->rstd + begin);
  else
    vit->kernels->norm_forward (region->x + begin * d, (guint) part.n, (guint) d, region->gamma,
        region->beta, vit->config.ln_eps, (real *) region->y + begin * d, region->mean + begin,
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

void
seed_vit_norm_rows (const SeedVit *vit, const real *x, guint n, const real *gamma, const real *beta,
    real *y, real *mean, real *rstd)
{
  Rows rows = { .vit = (SeedVit *) vit, .rows = { 0, n } };
  Norm region = { .x = x, .gamma = gamma, .beta = beta, .y = y, .mean = mean, .rstd = rstd };

  norm_rows (&rows, &region);
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

/* @x and @y of the whole batch, of the types that the epilogue says. */
static void
linear (const Rows *rows, const SeedPackedLinear *packed, const void *x, guint x_stride,
    SeedEpilogue epilogue, void *y, guint y_stride)
{
  const SeedBackend *backend = rows->vit->backend;
  gsize begin = rows->rows.begin;
  gsize x_size = epilogue.x_type == SEED_ROWS_BF16 ? sizeof (SeedBf16) : sizeof (real);
  gsize y_size = epilogue.y_type == SEED_ROWS_BF16 ? sizeof (SeedBf16) : sizeof (real);

  if (epilogue.residual)
    epilogue.residual += begin * epilogue.residual_stride;
  (rows->serial ? backend->linear_rows : backend->linear) (packed,
      (const char *) x + begin * x_stride * x_size, x_stride, (guint) rows->rows.n, &epilogue,
      (char *) y + begin * y_stride * y_size, y_stride);
}

typedef struct {
  const Rows *rows;
  const void *x; /* of rows_type, as y */
  void *y;
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

  seed_vit_activation (vit, seed_vit_row (vit, region->x, begin, m), part.n * m,
      seed_vit_row (vit, region->y, begin, m));
}

/* In place: the first half of each row becomes f (first half) * second half. */
static void
gate_task (guint task, gpointer data)
{
  const Activation *region = data;
  SeedVit *vit = region->rows->vit;
  gsize m = vit->config.mlp_dim;
  SeedRange part = seed_split (region->rows->rows.n, region->n_tasks, task, 1);

  for (gsize r = 0; r < part.n; r++)
    seed_vit_gate (
        vit, seed_vit_row (vit, vit->hidden, region->rows->rows.begin + part.begin + r, 2 * m), m);
}

static void
activate (const Rows *rows, const void *x, void *y)
{
  Activation region = { rows, x, y, rows->serial ? 1 : seed_vit_row_tasks (rows->rows.n) };
  SeedPoolFunc task = rows->vit->config.gated ? gate_task : activation_task;

  if (rows->serial)
    task (0, &region);
  else
    seed_pool_run (region.n_tasks, task, &region);
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
  linear (rows, rows->weights->block[index][SEED_VIT_QKV], vit->normed, d, qkv, block->qkv, 3 * d);
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
  guint d = vit->config.dim, in = vit->mlp_in;
  gboolean gated = vit->config.gated;
  SeedEpilogue fc1 = { .bias = values + offset[SEED_VIT_FC1_BIAS],
    .activate = !vit->train && !gated,
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
      vit->train ? block->pre : vit->hidden, in);
  if (vit->train || gated)
    activate (rows, block->pre, vit->hidden);
  linear (rows, rows->weights->block[index][SEED_VIT_FC2], vit->hidden, in, fc2, block->out, d);
}

/* To @y in `real`. */
static void
norm_to (const Rows *rows, const real *x, SeedVitTensor gamma, SeedVitTensor beta, real *y)
{
  const SeedVitWeights *weights = rows->weights;
  Norm region = { .x = x,
    .gamma = weights->values + weights->layout.offset[gamma],
    .beta = weights->values + weights->layout.offset[beta],
    .y = y,
    .mean = rows->vit->mean,
    .rstd = rows->vit->rstd };

  norm_rows (rows, &region);
}

static void
pre_norm (const Rows *rows)
{
  real *x = rows->vit->blocks[0].in;

  norm_to (rows, x, SEED_VIT_PRE_NORM_WEIGHT, SEED_VIT_PRE_NORM_BIAS, x);
}

static void
final_norm (const Rows *rows)
{
  SeedVit *vit = rows->vit;

  norm_to (rows, vit->blocks[vit->config.depth - 1].out, SEED_VIT_NORM_WEIGHT, SEED_VIT_NORM_BIAS,
      vit->out);
}

/* From the attention of block @index - 1 to that of block @index: what is between looks at rows. */
static void
between_attentions (const Rows *rows, guint index)
{
  const SeedVitConfig *config = &rows->vit->config;

  if (index > 0) {
    attention_out (rows, index - 1);
    mlp (rows, index - 1);
  } else if (config->pre_norm) {
    pre_norm (rows);
  }
  if (index < config->depth)
    attention_in (rows, index);
  else if (config->norm_place == SEED_VIT_NORM_ROWS)
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
  guint blocks = (guint) ((rows + BLOCK_ROWS - 1) / BLOCK_ROWS);

  return (guint) MIN ((blocks + threads - 1) / threads * threads, rows);
}

const real *
seed_vit_rows (const SeedVit *vit)
{
  return vit->config.norm_place == SEED_VIT_NORM_ROWS ? vit->out
                                                      : vit->blocks[vit->config.depth - 1].out;
}

static const real *
forward (SeedVit *vit, const SeedVitWeights *weights, const float scale[3], const float shift[3],
    const guint8 *words, guint n, const SeedVitSubset *subset)
{
  Between region = { .all = { .vit = vit, .weights = weights } };

  g_return_val_if_fail (n >= 1 && n <= vit->max_batch, NULL);
  g_return_val_if_fail (subset->n_words <= vit->max_words, NULL);
  g_return_val_if_fail (weights->values && weights->depth == vit->config.depth, NULL);
  g_return_val_if_fail (weights->backend == vit->backend, NULL);

  vit->n = n;
  vit->subset = *subset;
  vit->n_words = subset->n_words ? subset->n_words : vit->max_words;
  vit->n_tokens = vit->n_prefix + vit->n_words;
  embed (vit, weights, scale, shift, words);
  region.all.rows.n = (gsize) n * vit->n_tokens;
  region.n_tasks = n_row_blocks (region.all.rows.n);
  for (region.index = 0; region.index <= vit->config.depth; region.index++) {
    if (vit->backend->linear_rows)
      seed_pool_run (region.n_tasks, between_task, &region);
    else
      between_attentions (&region.all, region.index);
    if (region.index < vit->config.depth)
      seed_vit_attention_forward (vit, &vit->blocks[region.index]);
  }
  return seed_vit_rows (vit);
}

const real *
seed_vit_forward_packed (SeedVit *vit, const SeedVitWeights *weights, const float scale[3],
    const float shift[3], const guint8 *words, guint n)
{
  static const SeedVitSubset all_words = { 0 };

  g_return_val_if_fail (vit->max_words == seed_vit_config_n_words (&vit->config), NULL);
  return forward (vit, weights, scale, shift, words, n, &all_words);
}

static gboolean
subset_is_valid (const SeedVit *vit, const SeedVitSubset *subset, guint n)
{
  guint n_words = seed_vit_config_n_words (&vit->config);

  for (gsize i = 0; i < (gsize) n * subset->n_words; i++)
    if (subset->words[i] >= n_words)
      return FALSE;
  return subset->n_words >= 1;
}

const real *
seed_vit_run_subset (SeedVit *vit, const float scale[3], const float shift[3], const guint8 *words,
    guint n, const SeedVitSubset *subset)
{
  g_return_val_if_fail (subset_is_valid (vit, subset, n), NULL);
  return forward (vit, vit->weights, scale, shift, words, n, subset);
}

void
seed_vit_pack (SeedVit *vit, const real *values)
{
  seed_vit_weights_pack (vit->weights, values);
}

const real *
seed_vit_run (
    SeedVit *vit, const float scale[3], const float shift[3], const guint8 *words, guint n)
{
  return seed_vit_forward_packed (vit, vit->weights, scale, shift, words, n);
}

const real *
seed_vit_forward (SeedVit *vit, const real *values, const float scale[3], const float shift[3],
    const guint8 *words, guint n)
{
  seed_vit_pack (vit, values);
  return seed_vit_run (vit, scale, shift, words, n);
}
