/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

#include "nn/hf-family.h"

/*
 * SigLIP's image tower (arXiv 2303.15343) as transformers names it, inside a whole SiglipModel and
 * alone: no class token, and a head whose learned query attends to the words.
 */
#define KEY SEED_HF_KEY

#define KEYS(object)                                                                               \
  KEY (object "image_size", SEED_HF_SQUARE, vit.image_size, FALSE),                                \
      KEY (object "patch_size", SEED_HF_SQUARE, vit.patch_size, FALSE),                            \
      KEY (object "hidden_size", SEED_HF_UINT, vit.dim, FALSE),                                    \
      KEY (object "num_hidden_layers", SEED_HF_UINT, vit.depth, FALSE),                            \
      KEY (object "num_attention_heads", SEED_HF_UINT, vit.heads, FALSE),                          \
      KEY (object "intermediate_size", SEED_HF_UINT, vit.mlp_dim, FALSE),                          \
      KEY (object "layer_norm_eps", SEED_HF_NUMBER, vit.ln_eps, FALSE),                            \
      KEY (object "hidden_act", SEED_HF_ACTIVATION, vit.activation, FALSE),                        \
      KEY (object "num_channels", SEED_HF_UINT, channels, FALSE),                                  \
      KEY (object "vision_use_head", SEED_HF_BOOLEAN, pooling_head, FALSE)

static const SeedHfKey keys[] = { KEYS ("vision_config.") };
static const SeedHfKey vision_keys[] = { KEYS ("") };

#define LAYER "encoder.layers.%u."
#define ATTENTION LAYER "self_attn."

static const SeedHfTensor tensors[] = {
  { "patch.weight", { "embeddings.patch_embedding.weight" }, "d3pp" },
  { "patch.bias", { "embeddings.patch_embedding.bias" }, "d" },
  { "pos", { "embeddings.position_embedding.weight" }, "nd", 0, SEED_HF_POSITIONS },
  { "blocks.%u.norm1.weight", { LAYER "layer_norm1.weight" }, "d" },
  { "blocks.%u.norm1.bias", { LAYER "layer_norm1.bias" }, "d" },
  { "blocks.%u.qkv.weight",
      { ATTENTION "q_proj.weight", ATTENTION "k_proj.weight", ATTENTION "v_proj.weight" }, "dd" },
  { "blocks.%u.qkv.bias",
      { ATTENTION "q_proj.bias", ATTENTION "k_proj.bias", ATTENTION "v_proj.bias" }, "d" },
  { "blocks.%u.proj.weight", { ATTENTION "out_proj.weight" }, "dd" },
  { "blocks.%u.proj.bias", { ATTENTION "out_proj.bias" }, "d" },
  { "blocks.%u.norm2.weight", { LAYER "layer_norm2.weight" }, "d" },
  { "blocks.%u.norm2.bias", { LAYER "layer_norm2.bias" }, "d" },
  { "blocks.%u.fc1.weight", { LAYER "mlp.fc1.weight" }, "md" },
  { "blocks.%u.fc1.bias", { LAYER "mlp.fc1.bias" }, "m" },
  { "blocks.%u.fc2.weight", { LAYER "mlp.fc2.weight" }, "dm" },
  { "blocks.%u.fc2.bias", { LAYER "mlp.fc2.bias" }, "d" },
  { "norm.weight", { "post_layernorm.weight" }, "d" },
  { "norm.bias", { "post_layernorm.bias" }, "d" },
  { "pool.probe", { "head.probe" }, "11d" },
  { "pool.qkv.weight", { "head.attention.in_proj_weight" }, "qd" },
  { "pool.qkv.bias", { "head.attention.in_proj_bias" }, "q" },
  { "pool.proj.weight", { "head.attention.out_proj.weight" }, "dd" },
  { "pool.proj.bias", { "head.attention.out_proj.bias" }, "d" },
  { "pool.norm.weight", { "head.layernorm.weight" }, "d" },
  { "pool.norm.bias", { "head.layernorm.bias" }, "d" },
  { "pool.fc1.weight", { "head.mlp.fc1.weight" }, "md" },
  { "pool.fc1.bias", { "head.mlp.fc1.bias" }, "m" },
  { "pool.fc2.weight", { "head.mlp.fc2.weight" }, "dm" },
  { "pool.fc2.bias", { "head.mlp.fc2.bias" }, "d" },
};

static gboolean
derive (SeedHfConfig *config, const char *label, GError **error)
{
  if (config->pooling_head)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
      "%s: key \"vision_use_head\": only true, the default, is supported: without the pooling head "
      "there is no summary of an image",
      label);
  return FALSE;
}

static const char *const prefixes[] = { "vision_model.", NULL };
static const char *const ignored[] = { "embeddings.position_ids", "text_model.", "logit_scale",
  "logit_bias", "classifier.", NULL };

#define FAMILY(type, table)                                                                          \
  {                                                                                                  \
    .model_type = type, .image_processor = "SiglipImageProcessor",                                 \
    .defaults = {                                                                                  \
      .vit = {                                                                                     \
        .image_size = 224,                                                                         \
        .patch_size = 16,                                                                          \
        .dim = 768,                                                                                \
        .depth = 12,                                                                               \
        .heads = 12,                                                                               \
        .mlp_dim = 3072,                                                                           \
        .ln_eps = 1e-6,                                                                            \
        .activation = SEED_ACTIVATION_GELU_TANH,                                                   \
        .mean = { 0.5f, 0.5f, 0.5f },                                                              \
        .std = { 0.5f, 0.5f, 0.5f },                                                               \
        .no_cls = TRUE,                                                                            \
        .pool = SEED_VIT_POOL_ATTENTION,                                                           \
      },                                                                                           \
      .channels = 3,                                                                               \
      .qkv_bias = TRUE,                                                                            \
      .patch_bias = TRUE,                                                                          \
      .pooling_head = TRUE,                                                                        \
    },                                                                                             \
    .keys = table, .n_keys = G_N_ELEMENTS (table), .prefixes = prefixes, .tensors = tensors,       \
    .n_tensors = G_N_ELEMENTS (tensors), .ignored = ignored, .derive = derive, \
  }

const SeedHfFamily seed_hf_siglip = FAMILY ("siglip", keys);
const SeedHfFamily seed_hf_siglip_vision = FAMILY ("siglip_vision_model", vision_keys);
