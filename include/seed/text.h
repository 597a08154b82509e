/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * A frozen text encoder with its tokenizer: the text tower of CLIP or SigLIP, whose embeddings lie
 * in one space with those of its images, or a BERT-like sentence encoder.
 *
 * A model is immutable once loaded and may be used by any number of threads at once; the arithmetic
 * is spread over seed_pool, so none of the functions below may be called from a pool's task.
 */
typedef struct _SeedTextModel SeedTextModel;

typedef struct {
  const char *name;    /* folder's base name */
  const char *family;  /* "clip", "siglip" or "bert" */
  const char *sha256;  /* of the weights, hex; of several files, of theirs one after another */
  guint dim;           /* D: width of an embedding */
  gboolean normalised; /* embeddings have unit length already */
  guint max_tokens;    /* longer texts are cut; the tokens that frame a text count */
  guint n_vocabulary;  /* tokens the model has embeddings for */
  guint64 n_params;
  guint64 memory_bytes; /* what weights and tokenizer take */
} SeedTextModelInfo;

/** A longer text is refused by seed_text_encode and seed_text_tokenize. */
#define SEED_TEXT_MAX_BYTES (256u << 10)

/**
 * Loads a folder in Hugging Face layout: config.json of model_type clip, clip_text_model, siglip,
 * siglip_text_model or bert; model.safetensors or a sharded index; the tokenizer's files
 * (vocab.json and merges.txt or tokenizer.json; spiece.model; vocab.txt or tokenizer.json) with
 * tokenizer_config.json and special_tokens_map.json when present. For bert also the files of the
 * sentence-transformers layout when present: modules.json, sentence_bert_config.json and the
 * pooling module's config.json; without them the embedding is the mean of the tokens.
 *
 * The folder is read every time: share the model. Errors name the file and the key or tensor.
 */
SeedTextModel *seed_text_model_load (const char *folder, GError **error);
SeedTextModel *seed_text_model_ref (SeedTextModel *model);
void seed_text_model_unref (SeedTextModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedTextModel, seed_text_model_unref)

/** Lives as long as the model. */
const SeedTextModelInfo *seed_text_model_get_info (const SeedTextModel *model);

/**
 * @texts: @n UTF-8 strings; an empty one is valid. @out: float32 [n, D], as the model gives them:
 * what transformers' get_text_features (CLIP: text_embeds, SigLIP: pooler_output) and
 * sentence-transformers' encode give. A text that is refused (SEED_ERROR_FORMAT: not UTF-8,
 * SEED_ERROR_LIMIT) is named by its index from 0, and @out is untouched then.
 *
 * Workspace is allocated per call and grows with the texts up to a bound of some thousand tokens;
 * longer batches are worked through in parts.
 */
gboolean seed_text_encode (
    SeedTextModel *model, const char *const *texts, guint n, float *out, GError **error);

/**
 * The token ids of @text: @ids [max_tokens], padded as the model's tokenizer pads. @n_used, when
 * not NULL: how many come before the padding. Errors as above; @ids is untouched then.
 */
gboolean seed_text_tokenize (
    SeedTextModel *model, const char *text, guint32 *ids, guint *n_used, GError **error);

G_END_DECLS
