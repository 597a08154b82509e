/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <seed/error.h>

#include "nn/hf-family.h"

/*
 * DINOv2 (arXiv 2304.07193) and DINOv2 with registers (arXiv 2309.16588) as transformers'
 * Dinov2Model and Dinov2WithRegistersModel name them. The second smooths positions that it
 * resamples, the first does not.
 */
#define KEY SEED_HF_KEY
#define MAX_MLP_RATIO 64.0

static const SeedHfKey keys[] = {
  KEY ("image_size", SEED_HF_SQUARE, vit.image_size, TRUE),
  KEY ("patch_size", SEED_HF_SQUARE, vit.patch_size, TRUE),
  KEY ("hidden_size", SEED_HF_UINT, vit.dim, TRUE),
  KEY ("num_hidden_layers", SEED_HF_UINT, vit.depth, TRUE),
  KEY ("num_attention_heads", SEED_HF_UINT, vit.heads, TRUE),
  KEY ("mlp_ratio", SEED_HF_NUMBER, mlp_ratio, FALSE),
  KEY ("use_swiglu_ffn", SEED_HF_BOOLEAN, swiglu, FALSE),
  KEY ("layer_norm_eps", SEED_HF_NUMBER, vit.ln_eps, FALSE),
  KEY ("hidden_act", SEED_HF_ACTIVATION, vit.activation, FALSE),
  KEY ("num_channels", SEED_HF_UINT, channels, FALSE),
  KEY ("qkv_bias", SEED_HF_BOOLEAN, qkv_bias, FALSE),
  KEY ("num_register_tokens", SEED_HF_UINT, vit.n_registers, FALSE), /* last: see n_keys below */
};

#define EMBEDDINGS "embeddings."
#define PATCH EMBEDDINGS "patch_embeddings.projection."
#define LAYER "encoder.layer.%u."
#define ATTENTION LAYER "attention.attention."
#define PLAIN SEED_HF_HAS_NO_GATE
#define GATED SEED_HF_HAS_GATE

static const SeedHfTensor tensors[] = {
  { "cls", { EMBEDDINGS "cls_token" }, "11d" },
  { "registers", { EMBEDDINGS "register_tokens" }, "1rd", SEED_HF_HAS_REGISTERS },
  { "pos", { EMBEDDINGS "position_embeddings" }, "1nd", 0, SEED_HF_POSITIONS },
  { "patch.weight", { PATCH "weight" }, "d3pp" },
  { "patch.bias", { PATCH "bias" }, "d" },
  { "blocks.%u.norm1.weight", { LAYER "norm1.weight" }, "d" },
  { "blocks.%u.norm1.bias", { LAYER "norm1.bias" }, "d" },
  { "blocks.%u.qkv.weight",
      { ATTENTION "query.weight", ATTENTION "key.weight", ATTENTION "value.weight" }, "dd" },
  { "blocks.%u.qkv.bias", { ATTENTION "query.bias", ATTENTION "key.bias", ATTENTION "value.bias" },
      "d", SEED_HF_HAS_QKV_BIAS },
  { "blocks.%u.proj.weight", { LAYER "attention.output.dense.weight" }, "dd" },
  { "blocks.%u.proj.bias", { LAYER "attention.output.dense.bias" }, "d" },
  { "blocks.%u.proj", { LAYER "layer_scale1.lambda1" }, "d", 0, SEED_HF_SCALE },
  { "blocks.%u.norm2.weight", { LAYER "norm2.weight" }, "d" },
  { "blocks.%u.norm2.bias", { LAYER "norm2.bias" }, "d" },
  { "blocks.%u.fc1.weight", { LAYER "mlp.fc1.weight" }, "md", PLAIN },
  { "blocks.%u.fc1.bias", { LAYER "mlp.fc1.bias" }, "m", PLAIN },
  { "blocks.%u.fc2.weight", { LAYER "mlp.fc2.weight" }, "dm", PLAIN },
  { "blocks.%u.fc2.bias", { LAYER "mlp.fc2.bias" }, "d", PLAIN },
  { "blocks.%u.fc1.weight", { LAYER "mlp.weights_in.weight" }, "gd", GATED },
  { "blocks.%u.fc1.bias", { LAYER "mlp.weights_in.bias" }, "g", GATED },
  { "blocks.%u.fc2.weight", { LAYER "mlp.weights_out.weight" }, "dm", GATED },
  { "blocks.%u.fc2.bias", { LAYER "mlp.weights_out.bias" }, "d", GATED },
  { "blocks.%u.fc2", { LAYER "layer_scale2.lambda1" }, "d", 0, SEED_HF_SCALE },
  { "norm.weight", { "layernorm.weight" }, "d" },
  { "norm.bias", { "layernorm.bias" }, "d" },
};

/* The MLP's width is a ratio; a gated one has two thirds of it, up to a multiple of 8, and SiLU. */
static gboolean
derive (SeedHfConfig *config, const char *label, GError **error)
{
  guint width;

  if (!(config->mlp_ratio > 0 && config->mlp_ratio <= MAX_MLP_RATIO)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: key \"mlp_ratio\": is %g; it must be above 0 and at most %g", label, config->mlp_ratio,
        MAX_MLP_RATIO);
    return FALSE;
  }
  width = (guint) MIN (floor (config->vit.dim * config->mlp_ratio), G_MAXINT32 / 2);
  config->vit.mlp_dim = config->swiglu ? (width * 2 / 3 + 7) / 8 * 8 : width;
  config->vit.gated = config->swiglu;
  if (config->swiglu)
    config->vit.activation = SEED_ACTIVATION_SILU;
  return TRUE;
}

static const char *const prefixes[] = { "", "dinov2.", "dinov2_with_registers.", NULL };
static const char *const ignored[] = { "embeddings.mask_token", "classifier.", NULL };

#define DEFAULTS                                                                                   \
  .n_position_prefix = 1, .channels = 3, .qkv_bias = TRUE, .patch_bias = TRUE,                     \
  .layer_scale = TRUE, .mlp_ratio = 4

#define VIT_DEFAULTS                                                                               \
  .ln_eps = 1e-6, .activation = SEED_ACTIVATION_GELU, .mean = { 0.485f, 0.456f, 0.406f },          \
  .std = { 0.229f, 0.224f, 0.225f }

const SeedHfFamily seed_hf_dinov2 = {
  .model_type = "dinov2",
  .image_processor = "BitImageProcessor",
  .defaults = { .vit = { VIT_DEFAULTS }, DEFAULTS },
  .keys = keys,
  .n_keys = G_N_ELEMENTS (keys) - 1,
  .prefixes = prefixes,
  .tensors = tensors,
  .n_tensors = G_N_ELEMENTS (tensors),
  .ignored = ignored,
  .any_size = TRUE,
  .derive = derive,
};

const SeedHfFamily seed_hf_dinov2_with_registers = {
  .model_type = "dinov2_with_registers",
  .image_processor = "BitImageProcessor",
  .defaults = { .vit = { VIT_DEFAULTS, .n_registers = 4 }, DEFAULTS },
  .keys = keys,
  .n_keys = G_N_ELEMENTS (keys),
  .prefixes = prefixes,
  .tensors = tensors,
  .n_tensors = G_N_ELEMENTS (tensors),
  .ignored = ignored,
  .any_size = TRUE,
  .antialias = TRUE,
  .derive = derive,
};
