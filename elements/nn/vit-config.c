/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "nn/vit.h"

#define MAX_IMAGE_SIZE 8192
#define MAX_PATCH_SIZE 256
#define MAX_WORDS 65536
#define MAX_DIM 16384
#define MAX_DEPTH 256
#define MAX_MLP_DIM 131072
#define MAX_LN_EPS 0.1
#define MAX_REGISTERS 256

gboolean
seed_vit_config_for_size (SeedVitConfig *config, const char *size, guint image_size)
{
  static const struct {
    const char *name;
    guint dim, depth, heads;
  } sizes[] = {
    { "mini", 192, 6, 3 },
    { "tiny", 192, 12, 3 },
    { "small", 384, 12, 6 },
    { "base", 768, 12, 12 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    if (strcmp (size, sizes[i].name) == 0) {
      *config = (SeedVitConfig){ .image_size = image_size,
        .patch_size = 16,
        .dim = sizes[i].dim,
        .depth = sizes[i].depth,
        .heads = sizes[i].heads,
        .mlp_dim = 4 * sizes[i].dim,
        .ln_eps = 1e-6,
        .activation = SEED_ACTIVATION_GELU,
        .mean = { 0.5f, 0.5f, 0.5f },
        .std = { 0.5f, 0.5f, 0.5f } };
      return TRUE;
    }
  return FALSE;
}

static gboolean
check_range (const char *key, guint value, guint max, GError **error)
{
  if (value == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "%s is 0; it must be 1 to %u", key, max);
    return FALSE;
  }
  if (value > max) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_LIMIT, "%s is %u; at most %u is supported", key, value, max);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_normalisation (const SeedVitConfig *config, GError **error)
{
  for (guint c = 0; c < 3; c++) {
    if (!isfinite (config->mean[c])) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
          "mean (image_mean) of channel %u is not a finite number", c);
      return FALSE;
    }
    if (!isfinite (config->std[c]) || config->std[c] <= 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
          "std (image_std) of channel %u is %g; it must be finite and above 0", c,
          (double) config->std[c]);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_relations (const SeedVitConfig *config, GError **error)
{
  guint side = config->image_size / config->patch_size;

  if (config->image_size % config->patch_size != 0)
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "image_size %u is not a multiple of patch_size %u", config->image_size, config->patch_size);
  else if (side * side > MAX_WORDS)
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "image_size %u over patch_size %u makes %u words; at most %u are supported",
        config->image_size, config->patch_size, side * side, MAX_WORDS);
  else if (config->dim % config->heads != 0)
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "dim (hidden_size) %u is not a multiple of heads (num_attention_heads) %u", config->dim,
        config->heads);
  else if (!(config->ln_eps > 0 && config->ln_eps <= MAX_LN_EPS))
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "ln_eps (layer_norm_eps) is %g; it must be above 0 and at most %g", config->ln_eps,
        MAX_LN_EPS);
  else if (config->n_registers > MAX_REGISTERS || config->projection_dim > MAX_DIM)
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "%u registers and a projection to %u values; at most %d and %d are supported",
        config->n_registers, config->projection_dim, MAX_REGISTERS, MAX_DIM);
  else if (config->no_cls && config->pool == SEED_VIT_POOL_CLS)
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "the summary cannot be the class token of a transformer that has none");
  else if (config->gated && config->pool == SEED_VIT_POOL_ATTENTION)
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "attention pooling is not supported together with a gated MLP");
  else if ((guint) config->activation > SEED_ACTIVATION_RELU)
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "activation (hidden_act) %u is none of the known ones", (guint) config->activation);
  else
    return TRUE;
  return FALSE;
}

gboolean
seed_vit_config_check (const SeedVitConfig *config, GError **error)
{
  return check_range ("image_size", config->image_size, MAX_IMAGE_SIZE, error) &&
         check_range ("patch_size", config->patch_size, MAX_PATCH_SIZE, error) &&
         check_range ("dim (hidden_size)", config->dim, MAX_DIM, error) &&
         check_range ("depth (num_hidden_layers)", config->depth, MAX_DEPTH, error) &&
         check_range ("heads (num_attention_heads)", config->heads, MAX_DIM, error) &&
         check_range ("mlp_dim (intermediate_size)", config->mlp_dim, MAX_MLP_DIM, error) &&
         check_relations (config, error) && check_normalisation (config, error);
}

guint
seed_vit_config_n_words (const SeedVitConfig *config)
{
  guint side = config->image_size / config->patch_size;

  return side * side;
}

guint
seed_vit_config_n_prefix (const SeedVitConfig *config)
{
  return (config->no_cls ? 0 : 1) + config->n_registers;
}

guint
seed_vit_config_n_rows (const SeedVitConfig *config)
{
  return seed_vit_config_n_prefix (config) + seed_vit_config_n_words (config);
}

guint
seed_vit_config_summary_dim (const SeedVitConfig *config)
{
  return config->projection_dim ? config->projection_dim : config->dim;
}

void
seed_vit_config_normalisation (const SeedVitConfig *config, float scale[3], float shift[3])
{
  for (guint c = 0; c < 3; c++) {
    scale[c] = 1.0f / (255.0f * config->std[c]);
    shift[c] = -config->mean[c] / config->std[c];
  }
}
