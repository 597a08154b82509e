/* SPDX-License-Identifier: MIT */
#include "nn/vit-layout.h"
#include "nn/vit-weights.h"

/*
 * After SmoothQuant (Xiao et al. 2023, arXiv 2211.10438): when one channel of a layer's input is
 * much larger than the others, its share of int8 is taken from them. Dividing the channel by s and
 * multiplying the weights that read it by s changes nothing in real numbers; s = sqrt (a / b) with
 * a the channel's magnitude and b that of its weights leaves both factors equally hard to quantise.
 *
 * The magnitudes need no samples where a norm makes the input: a normalised value is about 1, so
 * the channel is about |gamma| + |beta|. What attention hands to its output layer is a mean of
 * values, each a sum over such channels.
 */
typedef struct {
  real *values;
  const gsize *offset; /* of the block's tensors */
  guint d, m;
} Block;

static real *
tensor (const Block *block, SeedVitBlockTensor t)
{
  return block->values + block->offset[t];
}

static double
column_max (const real *weight, guint out, guint in, guint column)
{
  double max = 0;

  for (gsize i = 0; i < out; i++)
    max = MAX (max, fabs ((double) weight[i * in + column]));
  return max;
}

/* 1 when there is nothing to balance. */
static double
balance (double input, double weight)
{
  return input > 0 && weight > 0 ? sqrt (input / weight) : 1;
}

static void
scale_column (real *weight, guint out, guint in, guint column, double scale)
{
  for (gsize i = 0; i < out; i++)
    weight[i * in + column] = (real) (weight[i * in + column] * scale);
}

/* A norm and the linear layer that alone reads it. */
static void
smooth_norm (const Block *block, SeedVitBlockTensor gamma_at, SeedVitBlockTensor beta_at,
    SeedVitBlockTensor weight_at, guint out)
{
  real *gamma = tensor (block, gamma_at), *beta = tensor (block, beta_at);
  real *weight = tensor (block, weight_at);

  for (guint j = 0; j < block->d; j++) {
    double s = balance (
        fabs ((double) gamma[j]) + fabs ((double) beta[j]), column_max (weight, out, block->d, j));

    gamma[j] = (real) (gamma[j] / s);
    beta[j] = (real) (beta[j] / s);
    scale_column (weight, out, block->d, j, s);
  }
}

/* The rows of qkv that make the values, and the output layer that alone reads them. */
static void
smooth_values (const Block *block)
{
  guint d = block->d;
  const real *gamma = tensor (block, SEED_VIT_NORM1_WEIGHT);
  const real *beta = tensor (block, SEED_VIT_NORM1_BIAS);
  real *weight = tensor (block, SEED_VIT_QKV_WEIGHT) + (gsize) 2 * d * d;
  real *bias = tensor (block, SEED_VIT_QKV_BIAS) + 2 * d;
  real *proj = tensor (block, SEED_VIT_PROJ_WEIGHT);

  for (guint j = 0; j < d; j++, weight += d) {
    double mean = (double) bias[j], variance = 0, s;

    for (guint k = 0; k < d; k++) {
      mean += (double) weight[k] * (double) beta[k];
      variance += (double) weight[k] * (double) gamma[k] * (double) weight[k] * (double) gamma[k];
    }
    s = balance (sqrt (variance) + fabs (mean), column_max (proj, d, d, j));
    for (guint k = 0; k < d; k++)
      weight[k] = (real) (weight[k] / s);
    bias[j] = (real) (bias[j] / s);
    scale_column (proj, d, d, j, s);
  }
}

gboolean
seed_vit_smooth (
    const SeedVitConfig *config, const SeedParams *params, real *values, GError **error)
{
  SeedVitLayout layout;

  if (!seed_vit_layout_find (&layout, config, params, error))
    return FALSE;
  for (guint i = 0; i < config->depth; i++) {
    Block block = { values, layout.block[i], config->dim, config->mlp_dim };

    smooth_values (&block);
    smooth_norm (
        &block, SEED_VIT_NORM1_WEIGHT, SEED_VIT_NORM1_BIAS, SEED_VIT_QKV_WEIGHT, 3 * config->dim);
    smooth_norm (&block, SEED_VIT_NORM2_WEIGHT, SEED_VIT_NORM2_BIAS, SEED_VIT_FC1_WEIGHT,
        (config->gated ? 2 : 1) * config->mlp_dim);
  }
  seed_vit_layout_clear (&layout);
  return TRUE;
}
