/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/hf-weights.h"
#include "nn/vit.h"

/*
 * What tells one family of checkpoints from another, as data: the keys of its config.json and the
 * names and shapes of its tensors. Families that share tables share a file (hf-vit.c, ...), and
 * each has one line in hf-config.c. Nothing outside those files names a family.
 */

typedef struct _SeedHfFamily SeedHfFamily;

#define SEED_HF_NAME_SIZE 64u

/* How the checkpoint wants images made; in pixels. */
typedef struct {
  const char *interpolation; /* "bilinear" or "bicubic", or NULL when nothing says; static */
  const char *fit;           /* "squash" or "crop", or NULL when nothing says; static */
  guint resize_size;         /* what the whole image, or its shorter side, is resized to */
  guint crop_size;           /* the centred square of that which the model is given */
} SeedHfImages;

/* What config.json, preprocessor_config.json and, where they say more, the tensors' shapes say. */
typedef struct {
  const SeedHfFamily *family;
  SeedVitConfig vit; /* image_size: of what the words cover, images.crop_size less a rest */
  SeedHfImages images;
  guint native_size;       /* side of the images that the file's positions are for */
  guint n_position_prefix; /* rows of positions before those of words */
  guint channels;
  gboolean qkv_bias, patch_bias, layer_scale;
  gboolean pooling_head; /* SigLIP: there is one */
  gboolean swiglu;       /* DINOv2 */
  double mlp_ratio;
  struct { /* timm */
    char architecture[SEED_HF_NAME_SIZE], pool[SEED_HF_NAME_SIZE], pool_argument[SEED_HF_NAME_SIZE];
    char interpolation[SEED_HF_NAME_SIZE], crop_mode[SEED_HF_NAME_SIZE];
    double crop_share;
  } timm;
} SeedHfConfig;

typedef enum {
  SEED_HF_UINT,       /* guint */
  SEED_HF_SQUARE,     /* guint, written as one number or as two equal ones */
  SEED_HF_IMAGE,      /* guint, written as [3, n, n] */
  SEED_HF_NUMBER,     /* double */
  SEED_HF_BOOLEAN,    /* gboolean */
  SEED_HF_THREE,      /* float[3] */
  SEED_HF_POSITIVE,   /* float[3], each above 0 */
  SEED_HF_NAME,       /* char[SEED_HF_NAME_SIZE] */
  SEED_HF_ACTIVATION, /* SeedActivation */
  SEED_HF_NOTHING,    /* known, and passed over */
} SeedHfKeyType;

typedef struct {
  const char *key; /* "vision_config.hidden_size": in an object of the object */
  SeedHfKeyType type;
  gsize offset; /* in SeedHfConfig */
  gboolean required;
} SeedHfKey;

#define SEED_HF_KEY(key, type, member, required)                                                   \
  {                                                                                                \
    key, type, G_STRUCT_OFFSET (SeedHfConfig, member), required                                    \
  }

/* What a configuration may have; tensors belong to some of it. */
typedef enum {
  SEED_HF_HAS_CLS = 1 << 0,
  SEED_HF_HAS_REGISTERS = 1 << 1,
  SEED_HF_HAS_PATCH_BIAS = 1 << 2,
  SEED_HF_HAS_QKV_BIAS = 1 << 3,
  SEED_HF_HAS_PRE_NORM = 1 << 4,
  SEED_HF_HAS_LAYER_SCALE = 1 << 5,
  SEED_HF_HAS_GATE = 1 << 6,
  SEED_HF_HAS_NO_GATE = 1 << 7,
  SEED_HF_HAS_ROWS_NORM = 1 << 8,
  SEED_HF_HAS_SUMMARY_NORM = 1 << 9,
  SEED_HF_HAS_ATTENTION_POOL = 1 << 10,
  SEED_HF_HAS_PROJECTION = 1 << 11,
} SeedHfFeatures;

/* How a tensor enters its parameter. */
typedef enum {
  SEED_HF_COPY,      /* as it is */
  SEED_HF_POSITIONS, /* rows of words resampled to the image size, see hf-positions.h */
  SEED_HF_SCALE,     /* the outputs of the linear layer named by @parameter are multiplied by it */
} SeedHfUse;

/*
 * One parameter of the transformer (SeedParams) and where it is in a checkpoint. "%u" in a name is
 * the block. Several tensors are stacked along the first axis, in order, and so are the tensors of
 * neighbouring rows with the same parameter.
 *
 * @shape: of each tensor, one letter a dimension: d dim, k 2 dim, q 3 dim, m mlp_dim, g what fc1
 * gives, n rows of positions, r registers, j projection_dim, p patch_size, or a digit for itself.
 */
typedef struct {
  const char *parameter;
  const char *tensors[3]; /* "/name" is without the prefix of the others */
  const char *shape;
  guint needs; /* SeedHfFeatures, all of them; else not in the file, and zero */
  SeedHfUse use;
} SeedHfTensor;

struct _SeedHfFamily {
  const char *model_type;
  const char *architecture;    /* what a written config.json asks a reader to build; NULL: never */
  const char *image_processor; /* the same for preprocessor_config.json, and its default */
  SeedHfConfig defaults;       /* for the keys that are not required */
  const SeedHfKey *keys;
  guint n_keys;                /* at most 32 */
  const char *strict_object;   /* keys of this object that are none of ours are errors; or NULL */
  const char *const *prefixes; /* before every tensor's name, one of these; NULL at the end */
  const SeedHfTensor *tensors; /* the first without a "%u", and always in the file */
  guint n_tensors;
  const char *const *ignored; /* tensors that begin so are no part of the transformer; NULL-ended */
  gboolean any_size;          /* its reference resamples positions to whatever image it is given */
  gboolean antialias;         /* and smooths when it does */

  /* What follows from the keys together; @label stands for the file. May be NULL. */
  gboolean (*derive) (SeedHfConfig *config, const char *label, GError **error);
  /* What only the tensors say. May be NULL. @sizes_inferred: the sizes among it. */
  gboolean (*infer) (SeedHfConfig *config, const SeedHfWeights *weights, GError **error);
  gboolean sizes_inferred;
};

guint seed_hf_config_features (const SeedHfConfig *config);

extern const SeedHfFamily seed_hf_vit;
extern const SeedHfFamily seed_hf_deit;
extern const SeedHfFamily seed_hf_dinov2;
extern const SeedHfFamily seed_hf_dinov2_with_registers;
extern const SeedHfFamily seed_hf_clip;
extern const SeedHfFamily seed_hf_clip_vision;
extern const SeedHfFamily seed_hf_siglip;
extern const SeedHfFamily seed_hf_siglip_vision;
extern const SeedHfFamily seed_hf_timm;
