/* SPDX-License-Identifier: MIT */
#include "nn/hf-family.h"

/*
 * ViT as transformers' ViTConfig and ViTModel name it (also DINO's and undistilled DeiT's, which
 * are saved so), and DeiT with its distillation token, which is a register here.
 */
#define KEY SEED_HF_KEY

static const SeedHfKey keys[] = {
  KEY ("image_size", SEED_HF_SQUARE, vit.image_size, TRUE),
  KEY ("patch_size", SEED_HF_SQUARE, vit.patch_size, TRUE),
  KEY ("hidden_size", SEED_HF_UINT, vit.dim, TRUE),
  KEY ("num_hidden_layers", SEED_HF_UINT, vit.depth, TRUE),
  KEY ("num_attention_heads", SEED_HF_UINT, vit.heads, TRUE),
  KEY ("intermediate_size", SEED_HF_UINT, vit.mlp_dim, TRUE),
  KEY ("layer_norm_eps", SEED_HF_NUMBER, vit.ln_eps, FALSE),
  KEY ("hidden_act", SEED_HF_ACTIVATION, vit.activation, FALSE),
  KEY ("num_channels", SEED_HF_UINT, channels, FALSE),
  KEY ("qkv_bias", SEED_HF_BOOLEAN, qkv_bias, FALSE),
};

#define EMBEDDINGS "embeddings."
#define PATCH EMBEDDINGS "patch_embeddings.projection."
#define LAYER "encoder.layer.%u."
#define ATTENTION LAYER "attention.attention."

static const SeedHfTensor tensors[] = {
  { "cls", { EMBEDDINGS "cls_token" }, "11d" },
  { "registers", { EMBEDDINGS "distillation_token" }, "1rd", SEED_HF_HAS_REGISTERS },
  { "pos", { EMBEDDINGS "position_embeddings" }, "1nd", 0, SEED_HF_POSITIONS },
  { "patch.weight", { PATCH "weight" }, "d3pp" },
  { "patch.bias", { PATCH "bias" }, "d" },
  { "blocks.%u.norm1.weight", { LAYER "layernorm_before.weight" }, "d" },
  { "blocks.%u.norm1.bias", { LAYER "layernorm_before.bias" }, "d" },
  { "blocks.%u.qkv.weight",
      { ATTENTION "query.weight", ATTENTION "key.weight", ATTENTION "value.weight" }, "dd" },
  { "blocks.%u.qkv.bias", { ATTENTION "query.bias", ATTENTION "key.bias", ATTENTION "value.bias" },
      "d", SEED_HF_HAS_QKV_BIAS },
  { "blocks.%u.proj.weight", { LAYER "attention.output.dense.weight" }, "dd" },
  { "blocks.%u.proj.bias", { LAYER "attention.output.dense.bias" }, "d" },
  { "blocks.%u.norm2.weight", { LAYER "layernorm_after.weight" }, "d" },
  { "blocks.%u.norm2.bias", { LAYER "layernorm_after.bias" }, "d" },
  { "blocks.%u.fc1.weight", { LAYER "intermediate.dense.weight" }, "md" },
  { "blocks.%u.fc1.bias", { LAYER "intermediate.dense.bias" }, "m" },
  { "blocks.%u.fc2.weight", { LAYER "output.dense.weight" }, "dm" },
  { "blocks.%u.fc2.bias", { LAYER "output.dense.bias" }, "d" },
  { "norm.weight", { "layernorm.weight" }, "d" },
  { "norm.bias", { "layernorm.bias" }, "d" },
};

static const char *const vit_prefixes[] = { "", "vit.", NULL };
/* The heads of a student: as a teacher it is the transformer behind them. */
static const char *const vit_ignored[] = { "pooler.", "classifier.", "embed_head.", "anchors",
  "anchor_head.", "text_head.", NULL };

const SeedHfFamily seed_hf_vit = {
  .model_type = "vit",
  .architecture = "ViTModel",
  .image_processor = "ViTImageProcessor",
  .defaults = {
    .vit = {
      .ln_eps = 1e-12,
      .activation = SEED_ACTIVATION_GELU,
      .mean = { 0.5f, 0.5f, 0.5f },
      .std = { 0.5f, 0.5f, 0.5f },
    },
    .n_position_prefix = 1,
    .channels = 3,
    .qkv_bias = TRUE,
    .patch_bias = TRUE,
  },
  .keys = keys,
  .n_keys = G_N_ELEMENTS (keys),
  .prefixes = vit_prefixes,
  .tensors = tensors,
  .n_tensors = G_N_ELEMENTS (tensors),
  .ignored = vit_ignored,
};

static const char *const deit_prefixes[] = { "", "deit.", NULL };
static const char *const deit_ignored[] = { "pooler.", "classifier.", "cls_classifier.",
  "distillation_classifier.", NULL };

const SeedHfFamily seed_hf_deit = {
  .model_type = "deit",
  .image_processor = "DeiTImageProcessor",
  .defaults = {
    .vit = {
      .ln_eps = 1e-12,
      .activation = SEED_ACTIVATION_GELU,
      .mean = { 0.5f, 0.5f, 0.5f },
      .std = { 0.5f, 0.5f, 0.5f },
      .n_registers = 1,
    },
    .n_position_prefix = 2,
    .channels = 3,
    .qkv_bias = TRUE,
    .patch_bias = TRUE,
  },
  .keys = keys,
  .n_keys = G_N_ELEMENTS (keys),
  .prefixes = deit_prefixes,
  .tensors = tensors,
  .n_tensors = G_N_ELEMENTS (tensors),
  .ignored = deit_ignored,
};
