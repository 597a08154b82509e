/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/safetensors.h>

#include "nn/vit.h"

/*
 * Folders in Hugging Face layout <-> configuration and flat parameters. The only place that knows
 * how checkpoints name their tensors.
 */
typedef struct {
  char *family;        /* "vit" */
  char *interpolation; /* "bilinear" or "bicubic" from preprocessor_config.json, or NULL */
  char *sha256;        /* hex, of model.safetensors */
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
 * Loads @folder. @extras may be NULL; each must be in the file and is appended to params under its
 * own name. Tensors of the file that neither the family nor @extras knows: "pooler.", "classifier."
 * and names in @extras are passed over or taken; any other is an error naming it.
 */
gboolean seed_checkpoint_load (SeedCheckpoint *checkpoint, const char *folder,
    const SeedExtraTensor *extras, guint n_extras, GError **error);
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
