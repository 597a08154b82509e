/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <seed/error.h>
#include <seed/pool.h>

#include "nn/kernels.h"
#include "nn/split.h"
#include "text/text-encoder.h"

#define ALIGN 64u
#define ATTENTION_ROWS 128u /* queries whose scores a task keeps at a time */
#define CHUNKS_PER_THREAD 4u
#define MIN_ROWS_PER_TASK 16u
#define MIN_LENGTH 1e-12f /* of a vector that is to have unit length */

/*
 * Shapes below: R rows, one per token of all texts, d the width, m the MLP's, H heads of width
 * e = d / H. A block is that of Radford et al. 2019 (norms first), or of Vaswani et al. 2017
 * (norms after the residuals).
 */
typedef struct {
  const SeedTextConfig *config;
  const SeedTextWeights *weights;
  const SeedTextBatch *batch;
  const SeedKernels *kernels;
  const guint *text_of_item; /* [n_items]: a text, some of its queries and one head each */
  const guint *first_of_item;
  guint n_items, n_chunks;
  guint rows;
  real *stream;      /* [R, d] */
  real *normed;      /* [R, d] */
  real *qkv;         /* [R, 3d] */
  real *attended;    /* [R, d] */
  real *hidden;      /* [R, m] */
  real *mean, *rstd; /* [R] */
  real *scores;      /* [n_chunks, scores_size] */
  gsize scores_size;
  const SeedTextBlock *block; /* the one at hand */
} Forward;

static guint
row_tasks (guint rows)
{
  return CLAMP (rows / MIN_ROWS_PER_TASK, 1, CHUNKS_PER_THREAD * seed_pool_n_threads ());
}

/* Sum of what a token is, where it stands, and (BERT) that it is of the first type. */
static void
embed_task (guint text, gpointer data)
{
  const Forward *f = data;
  gsize d = f->config->dim;
  const real *const *tensors = f->weights->tensors;

  for (guint row = f->batch->starts[text]; row < f->batch->starts[text + 1]; row++) {
    real *y = f->stream + row * d;

    memcpy (y, tensors[SEED_TEXT_TOKEN] + f->batch->ids[row] * d, d * sizeof *y);
    f->kernels->add (tensors[SEED_TEXT_POSITION] + (row - f->batch->starts[text]) * d, d, y);
    if (tensors[SEED_TEXT_TYPE])
      f->kernels->add (tensors[SEED_TEXT_TYPE], d, y);
  }
}

typedef struct {
  const Forward *f;
  const real *x, *gamma, *beta;
  real *y;
  guint rows, n_tasks;
} Norm;

static void
norm_task (guint task, gpointer data)
{
  const Norm *norm = data;
  gsize d = norm->f->config->dim;
  SeedRange rows = seed_split (norm->rows, norm->n_tasks, task, 1);

  norm->f->kernels->norm_forward (norm->x + rows.begin * d, (guint) rows.n, (guint) d, norm->gamma,
      norm->beta, norm->f->config->ln_eps, norm->y + rows.begin * d, norm->f->mean + rows.begin,
      norm->f->rstd + rows.begin);
}

static void
normalise_rows (
    const Forward *f, const real *x, guint rows, const real *gamma, const real *beta, real *y)
{
  Norm norm = { f, x, gamma, beta, y, rows, row_tasks (rows) };

  seed_pool_run (norm.n_tasks, norm_task, &norm);
}

/* Softmax over what a query may see; the rest gets no weight. */
static void
weigh (const Forward *f, real *scores, guint first, guint queries, guint tokens)
{
  real scale = (real) (1 / sqrt ((double) (f->config->dim / f->config->heads)));

  if (!f->config->causal) {
    f->kernels->softmax (scores, queries, tokens, scale);
    return;
  }
  for (guint q = 0; q < queries; q++) {
    real *row = scores + (gsize) q * tokens;
    guint seen = first + q + 1;

    f->kernels->softmax (row, 1, seen, scale);
    memset (row + seen, 0, (tokens - seen) * sizeof *row);
  }
}

static void
attend (const Forward *f, guint item, real *scores)
{
  guint d = f->config->dim, e = d / f->config->heads;
  guint text = f->text_of_item[item / f->config->heads];
  guint first = f->first_of_item[item / f->config->heads];
  gsize head = (gsize) (item % f->config->heads) * e;
  guint start = f->batch->starts[text], tokens = f->batch->starts[text + 1] - start;
  guint queries = MIN (tokens - first, ATTENTION_ROWS);
  const real *q = f->qkv + (gsize) start * 3 * d + head;
  SeedGemm score = { .transpose_b = TRUE,
    .m = queries,
    .n = tokens,
    .k = e,
    .alpha = 1,
    .a = q + (gsize) first * 3 * d,
    .stride_a = 3 * (gsize) d,
    .b = q + d,
    .stride_b = 3 * (gsize) d,
    .c = scores,
    .stride_c = tokens };
  SeedGemm mix = { .m = queries,
    .n = e,
    .k = tokens,
    .alpha = 1,
    .a = scores,
    .stride_a = tokens,
    .b = q + 2 * (gsize) d,
    .stride_b = 3 * (gsize) d,
    .c = f->attended + ((gsize) start + first) * d + head,
    .stride_c = d };

  f->weights->backend->gemm_serial (&score);
  weigh (f, scores, first, queries, tokens);
  f->weights->backend->gemm_serial (&mix);
}

static void
attention_task (guint task, gpointer data)
{
  const Forward *f = data;
  SeedRange items = seed_split ((gsize) f->n_items * f->config->heads, f->n_chunks, task, 1);

  for (gsize i = 0; i < items.n; i++)
    attend (f, (guint) (items.begin + i), f->scores + task * f->scores_size);
}

static void
linear (const Forward *f, SeedTextLinear which, const real *x, guint in, real *y, guint out,
    const real *bias, gboolean activate)
{
  SeedEpilogue epilogue = { .bias = bias,
    .activate = activate,
    .activation = f->config->activation,
    .residual = y == f->stream ? y : NULL,
    .residual_stride = out };

  f->weights->backend->linear (f->block->linears[which], x, in, f->rows, &epilogue, y, out);
}

static void
run_block (Forward *f, const SeedTextBlock *block)
{
  const real *const *t = block->tensors;
  guint d = f->config->dim, m = f->config->mlp_dim;
  const real *in = f->config->post_norm ? f->stream : f->normed;

  f->block = block;
  if (!f->config->post_norm)
    normalise_rows (
        f, f->stream, f->rows, t[SEED_TEXT_NORM1_WEIGHT], t[SEED_TEXT_NORM1_BIAS], f->normed);
  linear (f, SEED_TEXT_QKV, in, d, f->qkv, 3 * d, t[SEED_TEXT_QKV_BIAS], FALSE);
  seed_pool_run (f->n_chunks, attention_task, f);
  linear (f, SEED_TEXT_PROJ, f->attended, d, f->stream, d, t[SEED_TEXT_PROJ_BIAS], FALSE);
  if (f->config->post_norm)
    normalise_rows (
        f, f->stream, f->rows, t[SEED_TEXT_NORM1_WEIGHT], t[SEED_TEXT_NORM1_BIAS], f->stream);
  else
    normalise_rows (
        f, f->stream, f->rows, t[SEED_TEXT_NORM2_WEIGHT], t[SEED_TEXT_NORM2_BIAS], f->normed);
  linear (f, SEED_TEXT_FC1, in, d, f->hidden, m, t[SEED_TEXT_FC1_BIAS], TRUE);
  linear (f, SEED_TEXT_FC2, f->hidden, m, f->stream, d, t[SEED_TEXT_FC2_BIAS], FALSE);
  if (f->config->post_norm)
    normalise_rows (
        f, f->stream, f->rows, t[SEED_TEXT_NORM2_WEIGHT], t[SEED_TEXT_NORM2_BIAS], f->stream);
}

/* One row a text, into the memory of `normed`. */
static void
pool_rows (const Forward *f)
{
  gsize d = f->config->dim;

  for (guint i = 0; i < f->batch->n; i++) {
    guint start = f->batch->starts[i], end = f->batch->starts[i + 1];
    real *y = f->normed + i * d;

    if (f->config->pooling != SEED_TEXT_POOL_MEAN) {
      memcpy (y, f->stream + (start + f->batch->pooled[i]) * d, d * sizeof *y);
      continue;
    }
    memset (y, 0, d * sizeof *y);
    f->kernels->column_sum (f->stream + start * d, d, end - start, (guint) d, y);
    for (gsize j = 0; j < d; j++)
      y[j] /= (real) (end - start);
  }
}

static void
to_unit_length (real *x, guint n)
{
  double sum = 0;
  real length;

  for (guint i = 0; i < n; i++)
    sum += (double) x[i] * (double) x[i];
  length = MAX ((real) sqrt (sum), MIN_LENGTH);
  for (guint i = 0; i < n; i++)
    x[i] /= length;
}

static void
finish (const Forward *f, real *out)
{
  const SeedTextWeights *weights = f->weights;
  const real *const *tensors = weights->tensors;
  guint n = f->batch->n, d = f->config->dim;
  SeedEpilogue epilogue = { .bias = tensors[SEED_TEXT_HEAD_BIAS] };

  pool_rows (f);
  if (!f->config->post_norm)
    normalise_rows (
        f, f->normed, n, tensors[SEED_TEXT_NORM_WEIGHT], tensors[SEED_TEXT_NORM_BIAS], f->normed);
  if (weights->head)
    weights->backend->linear (weights->head, f->normed, d, n, &epilogue, out, weights->out_dim);
  else
    memcpy (out, f->normed, (gsize) n * d * sizeof *out);
  for (guint i = 0; f->config->normalise && i < n; i++)
    to_unit_length (out + (gsize) i * weights->out_dim, weights->out_dim);
}

/* Parts of one allocation, each on a line of its own; only added up when there is no @base. */
static real *
carve (char *base, gsize *used, gsize values)
{
  gsize start = *used;

  *used += (values * sizeof (real) + ALIGN - 1) / ALIGN * ALIGN;
  return base ? (real *) (base + start) : NULL;
}

/* The limits of configurations keep all of it far below what gsize holds. */
static gsize
place (Forward *f, char *base)
{
  gsize used = 0, rows = f->rows, d = f->config->dim;

  f->stream = carve (base, &used, rows * d);
  f->normed = carve (base, &used, rows * d);
  f->qkv = carve (base, &used, rows * 3 * d);
  f->attended = carve (base, &used, rows * d);
  f->hidden = carve (base, &used, rows * f->config->mlp_dim);
  f->mean = carve (base, &used, rows);
  f->rstd = carve (base, &used, rows);
  f->scores = carve (base, &used, f->n_chunks * f->scores_size);
  return used;
}

/* Every text in groups of ATTENTION_ROWS queries. */
static void
list_items (Forward *f, GArray *texts, GArray *firsts)
{
  guint longest = 0;

  for (guint i = 0; i < f->batch->n; i++) {
    guint tokens = f->batch->starts[i + 1] - f->batch->starts[i];

    longest = MAX (longest, tokens);
    for (guint first = 0; first < tokens; first += ATTENTION_ROWS) {
      g_array_append_val (texts, i);
      g_array_append_val (firsts, first);
    }
  }
  f->text_of_item = (const guint *) (gpointer) texts->data;
  f->first_of_item = (const guint *) (gpointer) firsts->data;
  f->n_items = texts->len;
  f->n_chunks = MIN (f->n_items * f->config->heads, CHUNKS_PER_THREAD * seed_pool_n_threads ());
  f->scores_size = ((gsize) MIN (longest, ATTENTION_ROWS) * longest + 15) & ~(gsize) 15;
}

gboolean
seed_text_forward (const SeedTextConfig *config, const SeedTextWeights *weights,
    const SeedTextBatch *batch, real *out, GError **error)
{
  g_autoptr (GArray) texts = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (GArray) firsts = g_array_new (FALSE, FALSE, sizeof (guint));
  Forward f = { .config = config,
    .weights = weights,
    .batch = batch,
    .kernels = seed_kernels_get (),
    .rows = batch->starts[batch->n] };
  void *memory = NULL;
  gsize size;

  list_items (&f, texts, firsts);
  size = place (&f, NULL);
  if (posix_memalign (&memory, ALIGN, size) != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "no memory for the activations of %u tokens (%.1f MiB)", f.rows, (double) size / (1 << 20));
    return FALSE;
  }
  place (&f, memory);

  seed_pool_run (batch->n, embed_task, &f);
  if (config->post_norm)
    normalise_rows (&f, f.stream, f.rows, weights->tensors[SEED_TEXT_NORM_WEIGHT],
        weights->tensors[SEED_TEXT_NORM_BIAS], f.stream);
  for (guint b = 0; b < weights->depth; b++)
    run_block (&f, &weights->blocks[b]);
  finish (&f, out);
  free (memory);
  return TRUE;
}
