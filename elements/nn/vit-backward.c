/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "nn/vit-private.h"

#define BIAS_COLUMNS 64 /* per task; a few cache lines */

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

/*
 * Most of the pass looks at one row at a time, as forward does. A *slot* is a part of the rows that
 * one task takes through everything between two attentions, some rows at a time, so that what is
 * between two layers stays in cache. It sums gradients of its own, which are added up in order.
 */
typedef struct {
  const Backward *back;
  guint index; /* the attention that was passed last; depth: none yet */
  const real *d_out;
} Between;

typedef struct {
  const Backward *back;
  SeedRange rows; /* those that are taken now */
  gsize place;    /* the first row of the slot, where it keeps what is between layers */
  real *grads;    /* of the slot, laid out as a block's */
} Part;

static void *
place (const Part *part, void *rows, gsize columns)
{
  return seed_vit_row (part->back->vit, rows, part->place, columns);
}

static real *
d_place (const Part *part)
{
  return part->back->vit->d_part + part->place * part->back->vit->config.dim;
}

/* The gradient of a tensor of block @index within the slot's. */
static real *
slot_grad (const Part *part, SeedVitBlockTensor tensor)
{
  const SeedVitLayout *layout = part->back->vit->layout;

  return part->grads + layout->block[0][tensor] - layout->block[0][0];
}

/*
 * y = x W^T + b: dW += dy^T x, db += sum of dy, and dx = dy W unless @dx is NULL. @x is of
 * rows_type, @dy of @dy_type.
 */
static void
part_backward (const Part *part, guint index, SeedVitBlockTensor weight, SeedVitBlockTensor bias,
    guint out, guint in, const void *x, const void *dy, SeedRowsType dy_type, void *dx,
    SeedRowsType dx_type)
{
  const SeedVit *vit = part->back->vit;
  guint rows = (guint) part->rows.n;
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
    .c = slot_grad (part, weight),
    .stride_c = in,
    .a_type = dy_type,
    .b_type = vit->rows_type };
  SeedGemm d_input = { .m = rows,
    .n = in,
    .k = out,
    .alpha = 1,
    .a = dy,
    .stride_a = out,
    .b = part->back->values + vit->layout->block[index][weight],
    .stride_b = in,
    .c = dx,
    .stride_c = in,
    .a_type = dy_type,
    .c_type = dx_type };

  if (x)
    vit->backend->gemm_serial (&d_weight);
  if (x && dy_type == SEED_ROWS_BF16)
    vit->kernels->column_sum_bf16 (dy, out, rows, out, slot_grad (part, bias));
  else if (x)
    vit->kernels->column_sum (dy, out, rows, out, slot_grad (part, bias));
  if (dx)
    vit->backend->gemm_serial (&d_input);
}

/* What forward normalised, again. */
static const void *
normed_again (const Part *part, const real *x, const real *mean, const real *rstd,
    const real *gamma, const real *beta)
{
  const SeedVit *vit = part->back->vit;
  gsize d = vit->config.dim, begin = part->rows.begin;
  void *y = place (part, vit->normed, d);

  if (vit->rows_type == SEED_ROWS_BF16)
    vit->kernels->norm_apply_bf16 (
        x + begin * d, (guint) part->rows.n, (guint) d, gamma, beta, mean + begin, rstd + begin, y);
  else
    vit->kernels->norm_apply (
        x + begin * d, (guint) part->rows.n, (guint) d, gamma, beta, mean + begin, rstd + begin, y);
  return y;
}

/* Through a norm of @x: adds to d_stream. */
static void
norm_backward (const Part *part, const real *x, const real *mean, const real *rstd,
    const real *gamma, const real *dy, real *d_gamma, real *d_beta)
{
  const SeedVit *vit = part->back->vit;
  gsize d = vit->config.dim, begin = part->rows.begin;

  vit->kernels->norm_backward (x + begin * d, (guint) part->rows.n, (guint) d, gamma, mean + begin,
      rstd + begin, dy, vit->d_stream + begin * d, d_gamma, d_beta);
}

/* d_stream: from the gradient after the MLP to that before it. */
static void
mlp_backward (const Part *part, guint index)
{
  SeedVit *vit = part->back->vit;
  const SeedVitBlock *block = &vit->blocks[index];
  const gsize *offset = vit->layout->block[index];
  const real *values = part->back->values;
  const real *d_stream = vit->d_stream + part->rows.begin * vit->config.dim;
  guint d = vit->config.dim, m = vit->config.mlp_dim;
  void *hidden = place (part, vit->hidden, m), *d_hidden = place (part, vit->d_hidden, m);
  const void *normed;

  part_backward (part, index, SEED_VIT_FC2_WEIGHT, SEED_VIT_FC2_BIAS, d, m, NULL, d_stream,
      SEED_ROWS_REAL, d_hidden, vit->rows_type);
  seed_vit_activation_backward (
      vit, seed_vit_row (vit, block->pre, part->rows.begin, m), part->rows.n * m, d_hidden, hidden);
  part_backward (part, index, SEED_VIT_FC2_WEIGHT, SEED_VIT_FC2_BIAS, d, m, hidden, d_stream,
      SEED_ROWS_REAL, NULL, SEED_ROWS_REAL);
  normed = normed_again (part, block->mid, block->mean2, block->rstd2,
      values + offset[SEED_VIT_NORM2_WEIGHT], values + offset[SEED_VIT_NORM2_BIAS]);
  part_backward (part, index, SEED_VIT_FC1_WEIGHT, SEED_VIT_FC1_BIAS, m, d, normed, d_hidden,
      vit->rows_type, d_place (part), SEED_ROWS_REAL);
  norm_backward (part, block->mid, block->mean2, block->rstd2,
      values + offset[SEED_VIT_NORM2_WEIGHT], d_place (part),
      slot_grad (part, SEED_VIT_NORM2_WEIGHT), slot_grad (part, SEED_VIT_NORM2_BIAS));
}

/* d_rows: the gradient of what attention gave. */
static void
attention_out_backward (const Part *part, guint index)
{
  SeedVit *vit = part->back->vit;
  gsize d = vit->config.dim, begin = part->rows.begin;

  part_backward (part, index, SEED_VIT_PROJ_WEIGHT, SEED_VIT_PROJ_BIAS, (guint) d, (guint) d,
      seed_vit_row (vit, vit->blocks[index].attended, begin, d), vit->d_stream + begin * d,
      SEED_ROWS_REAL, vit->d_rows + begin * d, SEED_ROWS_REAL);
}

/* From d_qkv to d_stream. */
static void
attention_in_backward (const Part *part, guint index)
{
  SeedVit *vit = part->back->vit;
  const SeedVitBlock *block = &vit->blocks[index];
  const gsize *offset = vit->layout->block[index];
  const real *values = part->back->values;
  guint d = vit->config.dim;
  const void *normed = normed_again (part, block->in, block->mean1, block->rstd1,
      values + offset[SEED_VIT_NORM1_WEIGHT], values + offset[SEED_VIT_NORM1_BIAS]);

  part_backward (part, index, SEED_VIT_QKV_WEIGHT, SEED_VIT_QKV_BIAS, 3 * d, d, normed,
      seed_vit_row (vit, vit->d_qkv, part->rows.begin, 3 * (gsize) d), vit->rows_type,
      d_place (part), SEED_ROWS_REAL);
  norm_backward (part, block->in, block->mean1, block->rstd1,
      values + offset[SEED_VIT_NORM1_WEIGHT], d_place (part),
      slot_grad (part, SEED_VIT_NORM1_WEIGHT), slot_grad (part, SEED_VIT_NORM1_BIAS));
}

/* d_stream begins; the gradient of the final norm takes the place of that of a block's first. */
static void
final_norm_backward (const Part *part, const real *d_out)
{
  SeedVit *vit = part->back->vit;
  gsize d = vit->config.dim, begin = part->rows.begin;

  memset (vit->d_stream + begin * d, 0, part->rows.n * d * sizeof *vit->d_stream);
  norm_backward (part, vit->blocks[vit->config.depth - 1].out, vit->mean, vit->rstd,
      part->back->values + vit->layout->offset[SEED_VIT_NORM_WEIGHT], d_out + begin * d,
      slot_grad (part, SEED_VIT_NORM1_WEIGHT), slot_grad (part, SEED_VIT_NORM1_BIAS));
}

static void
slot_task (guint slot, gpointer data)
{
  const Between *region = data;
  SeedVit *vit = region->back->vit;
  SeedRange rows = seed_split (region->back->rows, vit->n_slots, slot, 1);
  guint n_parts = (guint) ((rows.n + SEED_VIT_BACKWARD_ROWS - 1) / SEED_VIT_BACKWARD_ROWS);
  Part part = {
    .back = region->back, .place = rows.begin, .grads = vit->slot_grads + slot * vit->slot_size
  };

  memset (part.grads, 0, vit->slot_size * sizeof *part.grads);
  for (guint i = 0; i < n_parts; i++) {
    part.rows = seed_split (rows.n, n_parts, i, 1);
    part.rows.begin += rows.begin;
    if (region->index == vit->config.depth)
      final_norm_backward (&part, region->d_out);
    else
      attention_in_backward (&part, region->index);
    if (region->index > 0) {
      mlp_backward (&part, region->index - 1);
      attention_out_backward (&part, region->index - 1);
    }
  }
}

/* The slots' gradients of tensors @first..@last of a block, added to those at @to. */
typedef struct {
  const SeedVit *vit;
  gsize begin, n;
  real *to;
  guint n_tasks;
} Gather;

static void
gather_slots_task (guint task, gpointer data)
{
  const Gather *region = data;
  const SeedVit *vit = region->vit;
  SeedRange range = seed_split (region->n, region->n_tasks, task, 16);

  for (guint slot = 0; slot < vit->n_slots && range.n > 0; slot++)
    vit->kernels->add (vit->slot_grads + slot * vit->slot_size + region->begin + range.begin,
        range.n, region->to + range.begin);
}

static void
gather_slots (const Backward *back, SeedVitBlockTensor first, SeedVitBlockTensor last,
    gsize last_size, real *to)
{
  const gsize *offset = back->vit->layout->block[0];
  Gather region = { .vit = back->vit,
    .begin = offset[first] - offset[0],
    .n = offset[last] + last_size - offset[first],
    .to = to };

  region.n_tasks = seed_vit_row_tasks (region.n);
  seed_pool_run (region.n_tasks, gather_slots_task, &region);
}

/* Everything between attention @index and the one before it. */
static void
between_backward (const Backward *back, guint index, const real *d_out)
{
  Between region = { back, index, d_out };
  SeedVit *vit = back->vit;
  const SeedVitLayout *layout = vit->layout;
  gsize d = vit->config.dim;

  seed_pool_run (vit->n_slots, slot_task, &region);
  if (index == vit->config.depth)
    gather_slots (back, SEED_VIT_NORM1_WEIGHT, SEED_VIT_NORM1_BIAS, d,
        back->grads + layout->offset[SEED_VIT_NORM_WEIGHT]);
  else
    gather_slots (back, SEED_VIT_NORM1_WEIGHT, SEED_VIT_QKV_BIAS, 3 * d,
        back->grads + layout->block[index][SEED_VIT_NORM1_WEIGHT]);
  if (index > 0)
    gather_slots (back, SEED_VIT_PROJ_WEIGHT, SEED_VIT_FC2_BIAS, d,
        back->grads + layout->block[index - 1][SEED_VIT_PROJ_WEIGHT]);
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
  Backward back = { vit, values, grads, vit->n * vit->n_tokens };

  g_return_if_fail (vit->train && vit->n > 0);

  for (guint i = vit->config.depth; i > 0; i--) {
    between_backward (&back, i, d_out);
    seed_vit_attention_backward (vit, &vit->blocks[i - 1], vit->d_rows, vit->d_qkv);
  }
  between_backward (&back, 0, d_out);
  embed_backward (&back);
}
