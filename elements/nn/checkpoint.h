/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/safetensors.h>

#include "nn/vit.h"

/*
 * Folders in Hugging Face layout <-> configuration and flat parameters. The only place that knows
 * how checkpoints name their tensors.
 */
typedef struct {
  char *family;        /* "vit", "dinov2", ... */
  char *interpolation; /* "bilinear" or "bicubic" as the checkpoint's own files say, or NULL */
  char *fit;           /* "squash" or "crop", likewise */
  guint resize_size;   /* pixels that the image, or its shorter side, is resized to */
  guint crop_size;     /* the centred square of that; config.image_size is its upper left part */
  char *sha256;        /* hex, of model.safetensors; of several files, see hf-weights.h */
  guint64 n_params;    /* values taken from the files */
  SeedVitConfig config;
  SeedParams params; /* of the transformer, then of extra tensors asked for */
  float *values;     /* params.total floats, 64-byte aligned (g_aligned_alloc) */
} SeedCheckpoint;

/* A tensor beyond the transformer that a caller wants loaded too (a student's embed head). */
typedef struct {
  const char *name;
  gboolean decay;
  guint n_dims;
  gsize shape[3]; /* 0 in a dimension: take it from the file */
} SeedExtraTensor;

/*
 * Loads @folder. @extras may be NULL; each must be in the files, heads.safetensors among them when
 * there is one, and is appended to params under its own name. Tensors that neither the family nor
 * @extras takes are passed over when the family lists them (heads of other tasks, another tower);
 * any other is an error naming it.
 */
gboolean seed_checkpoint_load (SeedCheckpoint *checkpoint, const char *folder,
    const SeedExtraTensor *extras, guint n_extras, GError **error);
/* The same for images of another size than the checkpoint's (0: that one): the positions of words
 * are resampled as the family's reference does. A multiple of the patch size. */
gboolean seed_checkpoint_load_sized (SeedCheckpoint *checkpoint, const char *folder,
    guint image_size, const SeedExtraTensor *extras, guint n_extras, GError **error);
void seed_checkpoint_clear (SeedCheckpoint *checkpoint);

/*
 * Writes config.json, preprocessor_config.json and model.safetensors (float32) into @folder, made
 * when missing, so that seed_checkpoint_load and other readers of the layout (transformers'
 * ViTModel) load it. model.safetensors is written atomically and last. @extras as above (may be
 * NULL). SEED_ERROR_NUMERIC, and nothing is written, when a value is not finite.
 */
gboolean
seed_checkpoint_save (const char *folder, const SeedVitConfig *config, const SeedParams *params,
    const float *values, const SeedExtraTensor *extras, guint n_extras, GError **error);

/*
 * Writes what was loaded as a plain ViT in the layout of transformers, whatever family it came
 * from: config.json, preprocessor_config.json as the checkpoint wants images made, and
 * model.safetensors with the transformer's tensors alone, in @dtype (SEED_DTYPE_F32, F16 or BF16,
 * rounded to nearest even). @extras (may be NULL) go into heads.safetensors in the same dtype, so
 * that other readers find nothing that they do not know. Weights are written atomically, heads
 * before the model; config.json comes first.
 * SEED_ERROR_UNSUPPORTED for what a plain ViT cannot say, SEED_ERROR_NUMERIC for a value that
 * @dtype cannot hold; nothing is written then.
 */
gboolean seed_checkpoint_export (const char *folder, const SeedCheckpoint *checkpoint,
    SeedDtype dtype, const SeedExtraTensor *extras, guint n_extras, GError **error);
