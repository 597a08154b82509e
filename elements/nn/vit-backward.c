/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "nn/vit-private.h"

#define BIAS_COLUMNS 64 /* per task; a few cache lines */
#define NORM_PART_ROWS 32

/* What the steps below share. */
typedef struct {
  SeedVit *vit;
  const real *values;
  real *grads;
  guint rows;
} Backward;

/* Sums of columns: the gradient of a bias, and of a position over images. */
typedef struct {
  const SeedKernels *kernels;
  SeedRowsType type;
  const void *x;
  gsize stride;
  guint rows, columns;
  real *sum;
} ColumnSum;

static void
column_sum_task (guint task, gpointer data)
{
  const ColumnSum *region = data;
  guint begin = task * BIAS_COLUMNS;

  guint columns = MIN (BIAS_COLUMNS, region->columns - begin);
  const void *x = seed_rows_at (region->type, region->x, begin);

  if (region->type == SEED_ROWS_BF16)
    region->kernels->column_sum_bf16 (
        x, region->stride, region->rows, columns, region->sum + begin);
  else
    region->kernels->column_sum (x, region->stride, region->rows, columns, region->sum + begin);
}

static void
column_sum (const SeedVit *vit, SeedRowsType type, const void *x, gsize stride, guint rows,
    guint columns, real *sum)
{
  ColumnSum region = { vit->kernels, type, x, stride, rows, columns, sum };

  seed_pool_run ((columns + BIAS_COLUMNS - 1) / BIAS_COLUMNS, column_sum_task, &region);
}

/*
 * y = x W^T + b: dW += dy^T x, db += sum of dy, and dx = dy W unless @dx is NULL. @x is of
 * rows_type, @dy of @dy_type.
 */
static void
linear_backward (const Backward *back, gsize weight, gsize bias, guint out, guint in, const void *x,
    const void *dy, SeedRowsType dy_type, guint rows, real *dx)
{
  const SeedBackend *backend = back->vit->backend;
  SeedGemm d_weight = { .transpose_a = TRUE,
    .m = out,
    .n = in,
    .k = rows,
    .alpha = 1,
    .a = dy,
    .stride_a = out,
    .b = x,
    .stride_b = in,
    .beta = 1,
    .c = back->grads + weight,
    .stride_c = in,
    .a_type = dy_type,
    .b_type = back->vit->rows_type };
  SeedGemm d_input = { .m = rows,
    .n = in,
    .k = out,
    .alpha = 1,
    .a = dy,
    .stride_a = out,
    .b = back->values + weight,
    .stride_b = in,
    .c = dx,
    .stride_c = in,
    .a_type = dy_type };

  backend->gemm (&d_weight);
  column_sum (back->vit, dy_type, dy, out, rows, out, back->grads + bias);
  if (dx)
    backend->gemm (&d_input);
}

typedef struct {
  const SeedVit *vit;
  const real *x, *gamma, *beta, *mean, *rstd;
  const real *dy;
  real *dx; /* added to */
  void *y;  /* of rows_type */
  guint rows, n_tasks;
} Norm;

static void
norm_apply_task (guint task, gpointer data)
{
  const Norm *region = data;
  gsize d = region->vit->config.dim;
  SeedRange rows = seed_split (region->rows, region->n_tasks, task, 1);
  const real *x = region->x + rows.begin * d;
  const real *mean = region->mean + rows.begin, *rstd = region->rstd + rows.begin;
  void *y = seed_vit_row (region->vit, region->y, rows.begin, d);

  if (region->vit->rows_type == SEED_ROWS_BF16)
    region->vit->kernels->norm_apply_bf16 (
        x, (guint) rows.n, (guint) d, region->gamma, region->beta, mean, rstd, y);
  else
    region->vit->kernels->norm_apply (
        x, (guint) rows.n, (guint) d, region->gamma, region->beta, mean, rstd, y);
}

static void
norm_backward_task (guint task, gpointer data)
{
  const Norm *region = data;
  gsize d = region->vit->config.dim;
  SeedRange rows = seed_split (region->rows, region->n_tasks, task, 1);
  real *part = region->vit->d_norm + 2 * d * task;

  memset (part, 0, 2 * d * sizeof *part);
  region->vit->kernels->norm_backward (region->x + rows.begin * d, (guint) rows.n, (guint) d,
      region->gamma, region->mean + rows.begin, region->rstd + rows.begin,
      region->dy + rows.begin * d, region->dx + rows.begin * d, part, part + d);
}

/* The parts depend on the number of rows alone and are added in order. */
static void
norm_backward (const Backward *back, Norm *region, gsize weight, gsize bias)
{
  gsize d = region->vit->config.dim;

  region->n_tasks = CLAMP (region->rows / NORM_PART_ROWS, 1, SEED_VIT_NORM_PARTS);
  seed_pool_run (region->n_tasks, norm_backward_task, region);
  for (guint i = 0; i < region->n_tasks; i++) {
    const real *part = region->vit->d_norm + 2 * d * i;

    region->vit->kernels->add (part, d, back->grads + weight);
    region->vit->kernels->add (part + d, d, back->grads + bias);
  }
}

static const void *
normed_again (Norm *region, void *y)
{
  region->y = y;
  region->n_tasks = seed_vit_row_tasks (region->rows);
  seed_pool_run (region->n_tasks, norm_apply_task, region);
  return y;
}

typedef struct {
  const SeedVit *vit;
  const void *pre;
  guint rows, n_tasks;
} Activation;

/* In place in d_hidden; the activated values come back into hidden. */
static void
activation_task (guint task, gpointer data)
{
  const Activation *region = data;
  const SeedVit *vit = region->vit;
  gsize m = vit->config.mlp_dim;
  SeedRange rows = seed_split (region->rows, region->n_tasks, task, 1);

  seed_vit_activation_backward (vit, seed_vit_row (vit, region->pre, rows.begin, m), rows.n * m,
      seed_vit_row (vit, vit->d_hidden, rows.begin, m),
      seed_vit_row (vit, vit->hidden, rows.begin, m));
}

/* d_stream: from the gradient after the MLP to that before it. */
static void
mlp_backward (const Backward *back, guint index)
{
  SeedVit *vit = back->vit;
  const SeedVitBlock *block = &vit->blocks[index];
  const gsize *offset = vit->layout->block[index];
  guint d = vit->config.dim, m = vit->config.mlp_dim;
  Norm norm = { .vit = vit,
    .x = block->mid,
    .rows = back->rows,
    .mean = block->mean2,
    .rstd = block->rstd2,
    .gamma = back->values + offset[SEED_VIT_NORM2_WEIGHT],
    .beta = back->values + offset[SEED_VIT_NORM2_BIAS],
    .dy = vit->d_rows,
    .dx = vit->d_stream };
  Activation activation = { vit, block->pre, back->rows, seed_vit_row_tasks (back->rows) };
  SeedGemm d_hidden = { .m = back->rows,
    .n = m,
    .k = d,
    .alpha = 1,
    .a = vit->d_stream,
    .stride_a = d,
    .b = back->values + offset[SEED_VIT_FC2_WEIGHT],
    .stride_b = m,
    .c = vit->d_hidden,
    .c_type = vit->rows_type,
    .stride_c = m };

  vit->backend->gemm (&d_hidden);
  seed_pool_run (activation.n_tasks, activation_task, &activation);
  linear_backward (back, offset[SEED_VIT_FC2_WEIGHT], offset[SEED_VIT_FC2_BIAS], d, m, vit->hidden,
      vit->d_stream, SEED_ROWS_REAL, back->rows, NULL);
  linear_backward (back, offset[SEED_VIT_FC1_WEIGHT], offset[SEED_VIT_FC1_BIAS], m, d,
      normed_again (&norm, vit->normed), vit->d_hidden, vit->rows_type, back->rows, vit->d_rows);
  norm_backward (back, &norm, offset[SEED_VIT_NORM2_WEIGHT], offset[SEED_VIT_NORM2_BIAS]);
}

static void
attention_backward (const Backward *back, guint index)
{
  SeedVit *vit = back->vit;
  const SeedVitBlock *block = &vit->blocks[index];
  const gsize *offset = vit->layout->block[index];
  guint d = vit->config.dim;
  Norm norm = { .vit = vit,
    .x = block->in,
    .rows = back->rows,
    .mean = block->mean1,
    .rstd = block->rstd1,
    .gamma = back->values + offset[SEED_VIT_NORM1_WEIGHT],
    .beta = back->values + offset[SEED_VIT_NORM1_BIAS],
    .dy = vit->d_rows,
    .dx = vit->d_stream };

  linear_backward (back, offset[SEED_VIT_PROJ_WEIGHT], offset[SEED_VIT_PROJ_BIAS], d, d,
      block->attended, vit->d_stream, SEED_ROWS_REAL, back->rows, vit->d_rows);
  seed_vit_attention_backward (vit, block, vit->d_rows, vit->d_qkv);
  linear_backward (back, offset[SEED_VIT_QKV_WEIGHT], offset[SEED_VIT_QKV_BIAS], 3 * d, d,
      normed_again (&norm, vit->normed), vit->d_qkv, vit->rows_type, back->rows, vit->d_rows);
  norm_backward (back, &norm, offset[SEED_VIT_NORM1_WEIGHT], offset[SEED_VIT_NORM1_BIAS]);
}

/* The rows of an image's words, without those before them. */
static void
gather_task (guint image, gpointer data)
{
  SeedVit *vit = data;
  gsize d = vit->config.dim;

  memcpy (vit->embedded + image * vit->n_words * d,
      vit->d_stream + (image * (gsize) vit->n_tokens + vit->n_prefix) * d,
      vit->n_words * d * sizeof (real));
}

static void
embed_backward (const Backward *back)
{
  SeedVit *vit = back->vit;
  const gsize *offset = vit->layout->offset;
  guint d = vit->config.dim;
  guint cls = vit->config.no_cls ? 0 : d, registers = vit->config.n_registers * d;
  gsize image_size = (gsize) vit->n_tokens * d;

  column_sum (vit, SEED_ROWS_REAL, vit->d_stream, image_size, vit->n,
      (vit->subset.n_words ? vit->n_prefix : vit->n_tokens) * d,
      back->grads + offset[SEED_VIT_POS]);
  if (vit->subset.n_words > 0)
    seed_vit_subset_positions_backward (vit, back->grads + offset[SEED_VIT_POS]);
  if (cls > 0)
    column_sum (vit, SEED_ROWS_REAL, vit->d_stream, image_size, vit->n, cls,
        back->grads + offset[SEED_VIT_CLS]);
  if (registers > 0)
    column_sum (vit, SEED_ROWS_REAL, vit->d_stream + cls, image_size, vit->n, registers,
        back->grads + offset[SEED_VIT_REGISTERS]);
  seed_pool_run (vit->n, gather_task, vit);
  linear_backward (back, offset[SEED_VIT_PATCH_WEIGHT], offset[SEED_VIT_PATCH_BIAS], d,
      vit->word_size, vit->word_values, vit->embedded, SEED_ROWS_REAL, vit->n * vit->n_words, NULL);
}

void
seed_vit_backward (SeedVit *vit, const real *values, const real *d_out, real *grads)
{
  const gsize *offset = vit->layout->offset;
  Backward back = { vit, values, grads, vit->n * vit->n_tokens };
  Norm norm = { .vit = vit,
    .x = vit->blocks[vit->config.depth - 1].out,
    .rows = back.rows,
    .gamma = values + offset[SEED_VIT_NORM_WEIGHT],
    .mean = vit->mean,
    .rstd = vit->rstd,
    .dy = d_out,
    .dx = vit->d_stream };

  g_return_if_fail (vit->train && vit->n > 0);

  memset (vit->d_stream, 0, (gsize) back.rows * vit->config.dim * sizeof *vit->d_stream);
  norm_backward (&back, &norm, offset[SEED_VIT_NORM_WEIGHT], offset[SEED_VIT_NORM_BIAS]);
  for (guint i = vit->config.depth; i-- > 0;) {
    mlp_backward (&back, i);
    attention_backward (&back, i);
  }
  embed_backward (&back);
}
