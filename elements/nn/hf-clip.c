/* SPDX-License-Identifier: MIT */
#include "nn/hf-family.h"

/*
 * CLIP's image tower (arXiv 2103.00020) as transformers names it: inside a whole CLIPModel, whose
 * config.json keeps what differs from the defaults in vision_config, and alone (CLIPVisionModel and
 * CLIPVisionModelWithProjection).
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
      KEY (object "num_channels", SEED_HF_UINT, channels, FALSE)

static const SeedHfKey vision_keys[] = {
  KEYS (""),
  KEY ("projection_dim", SEED_HF_UINT, vit.projection_dim, FALSE),
};

static const SeedHfKey keys[] = {
  KEYS ("vision_config."),
  KEY ("projection_dim", SEED_HF_UINT, vit.projection_dim, FALSE),
};

#define PROJECTION "visual_projection.weight"
#define LAYER "encoder.layers.%u."
#define ATTENTION LAYER "self_attn."

static const SeedHfTensor tensors[] = {
  { "cls", { "embeddings.class_embedding" }, "d" },
  { "pos", { "embeddings.position_embedding.weight" }, "nd", 0, SEED_HF_POSITIONS },
  { "patch.weight", { "embeddings.patch_embedding.weight" }, "d3pp" },
  { "pre_norm.weight", { "pre_layrnorm.weight" }, "d" },
  { "pre_norm.bias", { "pre_layrnorm.bias" }, "d" },
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
  { "projection.weight", { "/" PROJECTION }, "jd", SEED_HF_HAS_PROJECTION },
};

/* config.json names its width whether there is a projection or not. */
static gboolean
infer (SeedHfConfig *config, const SeedHfWeights *weights, GError **error)
{
  if (!seed_hf_weights_lookup (weights, PROJECTION, NULL))
    config->vit.projection_dim = 0;
  return TRUE;
}

static const char *const prefixes[] = { "vision_model.", NULL };
static const char *const ignored[] = { "embeddings.position_ids", "text_model.", "text_projection.",
  "logit_scale", "classifier.", NULL };

#define FAMILY(type, table)                                                                          \
  {                                                                                                  \
    .model_type = type, .image_processor = "CLIPImageProcessor",                                   \
    .defaults = {                                                                                  \
      .vit = {                                                                                     \
        .image_size = 224,                                                                         \
        .patch_size = 32,                                                                          \
        .dim = 768,                                                                                \
        .depth = 12,                                                                               \
        .heads = 12,                                                                               \
        .mlp_dim = 3072,                                                                           \
        .ln_eps = 1e-5,                                                                            \
        .activation = SEED_ACTIVATION_QUICK_GELU,                                                  \
        .mean = { 0.48145466f, 0.4578275f, 0.40821073f },                                          \
        .std = { 0.26862954f, 0.26130258f, 0.27577711f },                                          \
        .pre_norm = TRUE,                                                                          \
        .norm_place = SEED_VIT_NORM_SUMMARY,                                                       \
        .projection_dim = 512,                                                                     \
      },                                                                                           \
      .n_position_prefix = 1,                                                                      \
      .channels = 3,                                                                               \
      .qkv_bias = TRUE,                                                                            \
    },                                                                                             \
    .keys = table, .n_keys = G_N_ELEMENTS (table), .prefixes = prefixes, .tensors = tensors,       \
    .n_tensors = G_N_ELEMENTS (tensors), .ignored = ignored, .infer = infer, \
  }

const SeedHfFamily seed_hf_clip = FAMILY ("clip", keys);
const SeedHfFamily seed_hf_clip_vision = FAMILY ("clip_vision_model", vision_keys);
