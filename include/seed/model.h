/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * A frozen vision transformer and sessions that run it.
 *
 * A model is immutable once loaded and may be shared by any number of sessions and threads.
 * A session owns the workspace for batches of up to max_batch images and belongs to one thread at a
 * time; running it allocates nothing.
 */
typedef struct _SeedModel SeedModel;
typedef struct _SeedSession SeedSession;

typedef struct {
  const char *name;      /* folder's base name */
  const char *family;    /* "vit", "dinov2", "clip", ...: model_type of config.json, or "timm" */
  const char *sha256;    /* of the weights file, hex (of several, of their hex sums in the order of
                          * names); "" when the weights were never in a file */
  guint image_size;      /* S: pixels, square */
  guint patch_size;      /* P: pixels, divides S */
  guint n_words;         /* N = (S/P)^2 */
  guint summary_dim;     /* D: width of the summary */
  guint token_dim;       /* Dt: width of a token, not always that of the summary */
  float mean[3], std[3]; /* of RGB in 0..1; already folded into the weights */

  /*
   * How the model wants images made, as its own files say: the whole image ("squash") or, aspect
   * kept, its shorter side ("crop") resized to resize_size pixels, of that the centred square of
   * crop_size, of that the upper left square of image_size (all of it unless the patch size does
   * not divide it). resize_size >= crop_size >= image_size; all the same when nothing is said.
   */
  const char *interpolation; /* "bilinear" or "bicubic", or NULL when nothing is said */
  const char *fit;           /* "squash" or "crop", or NULL when nothing is said */
  guint resize_size, crop_size;

  guint64 n_params;
  guint64 memory_bytes; /* what the loaded weights take */

  const char *backend;   /* who multiplies: "native", "onednn" or "openblas" */
  const char *precision; /* in what: "float32", "bfloat16" or "int8" */
  const char *choice;    /* both and why, a sentence for the operator */
} SeedModelInfo;

/** How to load a model; all zero is: as its files say, multiplied as is best on this processor. */
typedef struct {
  guint image_size;      /* pixels, a multiple of the patch size; 0: the model's own */
  const char *backend;   /* as in SeedModelInfo, or NULL or "auto" */
  const char *precision; /* as in SeedModelInfo, or NULL or "auto": bfloat16 where the processor
                          * multiplies it in hardware, else float32; int8 is to be asked for */
} SeedModelOptions;

/**
 * Loads a model from a folder in Hugging Face layout: config.json, model.safetensors (or several
 * files and their index) and, when present, preprocessor_config.json; or as timm saves it. What the
 * families are and what their summary and tokens are: docs/models.md. Errors name the file and the
 * key or tensor. This one multiplies in float32.
 */
SeedModel *seed_model_load (const char *folder, GError **error);

/*
 * The same for images of @image_size pixels, a multiple of the patch size (0: the model's own
 * size): position embeddings are resampled as the family's reference does.
 */
SeedModel *seed_model_load_sized (const char *folder, guint image_size, GError **error);

/**
 * The same with every choice. Models that were loaded with the same outcome are one. Where the
 * backend keeps packed weights of its own, the float32 ones are not kept.
 */
SeedModel *
seed_model_load_full (const char *folder, const SeedModelOptions *options, GError **error);

/**
 * What @backend and @precision come to on this processor, without loading anything: the sentence of
 * SeedModelInfo.choice, or NULL and why it cannot be. Free it.
 */
char *seed_model_describe_choice (const char *backend, const char *precision, GError **error);
SeedModel *seed_model_ref (SeedModel *model);
void seed_model_unref (SeedModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedModel, seed_model_unref)

/** Lives as long as the model. */
const SeedModelInfo *seed_model_get_info (const SeedModel *model);

/** @max_batch: images in one run, 1..4096. */
SeedSession *seed_session_new (SeedModel *model, guint max_batch, GError **error);
void seed_session_free (SeedSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedSession, seed_session_free)

/** Bytes of the session's workspace. */
guint64 seed_session_memory_bytes (const SeedSession *session);

/**
 * @words: uint8 [n, N, 3*P*P], raster order, each word channel-planar (C, P, P).
 * @summary: float32 [n, D], as the model gives it (not normalised); may be NULL.
 * @tokens: float32 [n, N, Dt], of the words alone, after the final norm where the family has one
 * for them (docs/models.md); may be NULL.
 */
void seed_session_run (
    SeedSession *session, const guint8 *words, guint n, float *summary, float *tokens);

G_END_DECLS
