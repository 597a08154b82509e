/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "nn/vit-private.h"

/*
 * From the rows of an image to its summary: a row or the mean of rows, or attention pooling, then
 * maybe a norm and a projection. A few vectors an image, so all of it is float32.
 *
 * Attention pooling (the "MAP head" of Zhai et al. 2022, arXiv 2106.04560, and of SigLIP) has one
 * query, the same for all images: q = Wq probe + bq. The score of row x in head h, (Wk_h x + bk_h)
 * q_h, is x (Wk_h^T q_h) plus a constant that softmax cancels, and the mix of values sum p (Wv_h x
 * + bv_h) is Wv_h (sum p x) + bv_h: neither keys nor values of rows need to be computed.
 */

/* weights->pool_scores [H, d], row h is Wk_h^T q_h */
void
seed_vit_summary_prepare (SeedVitWeights *weights)
{
  const gsize *offset = weights->layout.offset;
  const real *probe = weights->values + offset[SEED_VIT_POOL_PROBE];
  const real *w = weights->values + offset[SEED_VIT_POOL_QKV_WEIGHT];
  const real *b = weights->values + offset[SEED_VIT_POOL_QKV_BIAS];
  guint d = weights->pool_dim, e = d / weights->pool_heads;

  memset (weights->pool_scores, 0, (gsize) weights->pool_heads * d * sizeof (real));
  for (guint i = 0; i < d; i++) {
    const real *key = w + (gsize) (d + i) * d;
    real *scores = weights->pool_scores + (gsize) (i / e) * d;
    double q = b[i];

    for (guint k = 0; k < d; k++)
      q += (double) w[(gsize) i * d + k] * probe[k];
    for (guint k = 0; k < d; k++)
      scores[k] += (real) (q * key[k]);
  }
}

typedef struct {
  SeedVit *vit;
  const SeedVitWeights *weights;
  const real *rows; /* [n, T, d] */
} Summary;

static const real *
parameter (const Summary *summary, SeedVitTensor tensor)
{
  return summary->weights->values + summary->weights->layout.offset[tensor];
}

/* y [n, out] = x [n, in] W^T + b; @bias NULL for none. */
static void
linear (const Summary *summary, const real *x, guint in, const real *weight, const real *bias,
    guint out, real *y)
{
  const SeedVit *vit = summary->vit;
  SeedGemm gemm = { .transpose_b = TRUE,
    .m = vit->n,
    .n = out,
    .k = in,
    .alpha = 1,
    .a = x,
    .stride_a = in,
    .b = weight,
    .stride_b = in,
    .c = y,
    .stride_c = out };

  vit->backend->gemm (&gemm);
  for (guint i = 0; bias && i < vit->n; i++)
    vit->kernels->add (bias, out, y + (gsize) i * out);
}

static void
first_row_task (guint image, gpointer data)
{
  const Summary *summary = data;
  const SeedVit *vit = summary->vit;
  gsize d = vit->config.dim;

  memcpy (vit->pooled + image * d, summary->rows + image * vit->n_tokens * d, d * sizeof (real));
}

static void
mean_task (guint image, gpointer data)
{
  const Summary *summary = data;
  const SeedVit *vit = summary->vit;
  guint d = vit->config.dim;
  const real *words = summary->rows + ((gsize) image * vit->n_tokens + vit->n_prefix) * d;
  real *mean = vit->pooled + (gsize) image * d;

  memset (mean, 0, d * sizeof *mean);
  vit->kernels->column_sum (words, d, vit->n_words, d, mean);
  for (guint i = 0; i < d; i++)
    mean[i] /= (real) vit->n_words;
}

/* The rows of an image mixed as each head weighs them. */
static void
mix_rows (const Summary *summary, guint image)
{
  const SeedVit *vit = summary->vit;
  guint d = vit->config.dim, heads = vit->config.heads, tokens = vit->n_tokens;
  const real *rows = summary->rows + (gsize) image * tokens * d;
  real *probs = vit->pool_probs + (gsize) image * heads * tokens;
  SeedGemm scores = { .transpose_b = TRUE,
    .m = heads,
    .n = tokens,
    .k = d,
    .alpha = 1,
    .a = summary->weights->pool_scores,
    .stride_a = d,
    .b = rows,
    .stride_b = d,
    .c = probs,
    .stride_c = tokens };
  SeedGemm mix = { .m = heads,
    .n = d,
    .k = tokens,
    .alpha = 1,
    .a = probs,
    .stride_a = tokens,
    .b = rows,
    .stride_b = d,
    .c = vit->pool_mixed + (gsize) image * heads * d,
    .stride_c = d };

  vit->backend->gemm_serial (&scores);
  vit->kernels->softmax (probs, heads, tokens, (real) (1 / sqrt ((double) vit->head_dim)));
  vit->backend->gemm_serial (&mix);
}

/* Each head's values of its own mixture, side by side, into pool_normed. */
static void
attend_task (guint image, gpointer data)
{
  const Summary *summary = data;
  const SeedVit *vit = summary->vit;
  guint d = vit->config.dim, e = vit->head_dim;
  const real *weight = parameter (summary, SEED_VIT_POOL_QKV_WEIGHT) + (gsize) 2 * d * d;
  const real *bias = parameter (summary, SEED_VIT_POOL_QKV_BIAS) + 2 * d;
  real *attended = vit->pool_normed + (gsize) image * d;

  mix_rows (summary, image);
  for (guint head = 0; head < vit->config.heads; head++) {
    SeedGemm values = { .transpose_b = TRUE,
      .m = 1,
      .n = e,
      .k = d,
      .alpha = 1,
      .a = vit->pool_mixed + ((gsize) image * vit->config.heads + head) * d,
      .stride_a = d,
      .b = weight + (gsize) head * e * d,
      .stride_b = d,
      .c = attended + head * e,
      .stride_c = d };

    vit->backend->gemm_serial (&values);
  }
  vit->kernels->add (bias, d, attended);
}

/* x = proj (attention), x + fc2 (f (fc1 (norm (x)))) */
static void
attention_pool (const Summary *summary)
{
  SeedVit *vit = summary->vit;
  guint d = vit->config.dim, m = vit->config.mlp_dim;

  seed_pool_run (vit->n, attend_task, (gpointer) summary);
  linear (summary, vit->pool_normed, d, parameter (summary, SEED_VIT_POOL_PROJ_WEIGHT),
      parameter (summary, SEED_VIT_POOL_PROJ_BIAS), d, vit->pooled);
  seed_vit_norm_rows (vit, vit->pooled, vit->n, parameter (summary, SEED_VIT_POOL_NORM_WEIGHT),
      parameter (summary, SEED_VIT_POOL_NORM_BIAS), vit->pool_normed, vit->mean, vit->rstd);
  linear (summary, vit->pool_normed, d, parameter (summary, SEED_VIT_POOL_FC1_WEIGHT),
      parameter (summary, SEED_VIT_POOL_FC1_BIAS), m, vit->pool_hidden);
  vit->kernels->activation[vit->config.activation](
      vit->pool_hidden, (gsize) vit->n * m, vit->pool_hidden);
  linear (summary, vit->pool_hidden, m, parameter (summary, SEED_VIT_POOL_FC2_WEIGHT),
      parameter (summary, SEED_VIT_POOL_FC2_BIAS), d, vit->pool_normed);
  vit->kernels->add (vit->pool_normed, (gsize) vit->n * d, vit->pooled);
}

static void
pool (const Summary *summary)
{
  switch (summary->vit->config.pool) {
  case SEED_VIT_POOL_CLS:
    seed_pool_run (summary->vit->n, first_row_task, (gpointer) summary);
    break;
  case SEED_VIT_POOL_MEAN:
    seed_pool_run (summary->vit->n, mean_task, (gpointer) summary);
    break;
  case SEED_VIT_POOL_ATTENTION:
    attention_pool (summary);
    break;
  }
}

void
seed_vit_summary (SeedVit *vit, const SeedVitWeights *weights, real *values)
{
  Summary summary = { vit, weights, seed_vit_rows (vit) };
  guint d = vit->config.dim;

  pool (&summary);
  if (vit->config.norm_place == SEED_VIT_NORM_SUMMARY)
    seed_vit_norm_rows (vit, vit->pooled, vit->n, parameter (&summary, SEED_VIT_NORM_WEIGHT),
        parameter (&summary, SEED_VIT_NORM_BIAS), vit->pooled, vit->mean, vit->rstd);
  if (vit->config.projection_dim > 0)
    linear (&summary, vit->pooled, d, parameter (&summary, SEED_VIT_PROJECTION), NULL,
        vit->config.projection_dim, values);
  else
    memcpy (values, vit->pooled, (gsize) vit->n * d * sizeof *values);
}
