/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/vit.h"

/*
 * What tells one family of checkpoints in Hugging Face layout from another, as data: the keys of
 * its config.json and the names and shapes of its tensors. One file (hf-vit.c, ...) and one line in
 * hf-config.c per family.
 */

typedef struct _SeedHfFamily SeedHfFamily;

/* What config.json and preprocessor_config.json say. */
typedef struct {
  const SeedHfFamily *family;
  SeedVitConfig vit;
  guint channels;
  gboolean qkv_bias;
  const char *interpolation; /* "bilinear" or "bicubic", or NULL when nothing says; static */
} SeedHfConfig;

typedef enum {
  SEED_HF_UINT,       /* guint */
  SEED_HF_SQUARE,     /* guint, written as one number or as two equal ones */
  SEED_HF_NUMBER,     /* double */
  SEED_HF_BOOLEAN,    /* gboolean */
  SEED_HF_ACTIVATION, /* SeedActivation */
} SeedHfKeyType;

typedef struct {
  const char *key;
  SeedHfKeyType type;
  gsize offset; /* in SeedHfConfig */
  gboolean required;
} SeedHfKey;

/*
 * One parameter of the transformer (SeedParams) and where it is in a checkpoint. "%u" in a name is
 * the block. Several tensors are stacked along the first axis, in order.
 *
 * @shape: of each tensor, one letter a dimension: d dim, m mlp_dim, n 1 + words, p patch_size, or a
 * digit for itself.
 */
typedef struct {
  const char *parameter;
  const char *tensors[3];
  const char *shape;
  gboolean qkv_bias; /* not in the file, and zero, when the configuration says qkv_bias: false */
} SeedHfTensor;

struct _SeedHfFamily {
  const char *model_type;
  const char *architecture;    /* what a written config.json asks a reader to build */
  const char *image_processor; /* the same for preprocessor_config.json */
  SeedHfConfig defaults;       /* for the keys that are not required */
  const SeedHfKey *keys;
  guint n_keys;                /* at most 32 */
  const char *const *prefixes; /* before every tensor's name, one of these; NULL at the end */
  const SeedHfTensor *tensors; /* the first without a "%u" */
  guint n_tensors;
  const char *const *ignored; /* tensors that begin so are no part of the transformer; NULL-ended */
};

extern const SeedHfFamily seed_hf_vit;
