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
  const char *family;    /* "vit", ... */
  const char *sha256;    /* of the weights file, hex; "" when the weights were never in a file */
  guint image_size;      /* S: pixels, square */
  guint patch_size;      /* P: pixels, divides S */
  guint n_words;         /* N = (S/P)^2 */
  guint summary_dim;     /* D: width of the summary */
  guint token_dim;       /* Dt: width of a token */
  float mean[3], std[3]; /* of RGB in 0..1; already folded into the weights */
  const char
      *interpolation; /* "bilinear" or "bicubic": how the model wants images resampled, or NULL */
  guint64 n_params;
  guint64 memory_bytes; /* what the loaded weights take */
} SeedModelInfo;

/**
 * Loads a model from a folder in Hugging Face layout: config.json, model.safetensors and, when
 * present, preprocessor_config.json. Errors name the file and the key or tensor.
 */
SeedModel *seed_model_load (const char *folder, GError **error);
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
 * @tokens: float32 [n, N, Dt], after the final norm; may be NULL.
 */
void seed_session_run (
    SeedSession *session, const guint8 *words, guint n, float *summary, float *tokens);

G_END_DECLS
