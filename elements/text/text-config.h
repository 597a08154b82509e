/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

#include "nn/vit.h"

/* What the JSON files of a folder say about a text encoder. */
typedef enum {
  SEED_TEXT_CLIP,
  SEED_TEXT_SIGLIP,
  SEED_TEXT_BERT,
} SeedTextFamily;

/* Which token's output stands for the text. */
typedef enum {
  SEED_TEXT_POOL_EOS,     /* the first of eos_token_id, else the first token */
  SEED_TEXT_POOL_LARGEST, /* the first of the largest id: CLIP before it knew eos_token_id */
  SEED_TEXT_POOL_LAST,    /* the last of all, padding included */
  SEED_TEXT_POOL_CLS,     /* the first */
  SEED_TEXT_POOL_MEAN,    /* the mean of all but padding */
} SeedTextPooling;

typedef struct {
  SeedTextFamily family;
  const char *family_name; /* "clip", "siglip", "bert"; static */
  guint vocab_size;        /* v */
  guint max_positions;
  guint types; /* of tokens; 0 for a model that has none */
  guint dim, depth, heads, mlp_dim;
  double ln_eps;
  SeedActivation activation;
  gboolean post_norm; /* norms after the residuals, and one after the embeddings, as in BERT */
  gboolean causal;    /* a token attends to itself and those before */
  gboolean pad;       /* computes padding, as if it were text */
  gboolean projected; /* must have a last linear layer; else it has one when there is a tensor */
  guint eos_id;       /* for SEED_TEXT_POOL_EOS */
  SeedTextPooling pooling;
  gboolean normalise;        /* to unit length */
  guint max_tokens;          /* 0 when no file says; at most max_positions once checked */
  gboolean lower_case_first; /* the caller is to lower-case texts before the tokenizer sees them */
} SeedTextConfig;

/* Reads and checks config.json, and for BERT what sentence-transformers adds. */
gboolean seed_text_config_read (SeedTextConfig *config, const char *folder, GError **error);

/* config.json from memory; @label stands for the file. */
gboolean seed_text_config_parse (
    SeedTextConfig *config, const char *label, const char *text, gsize length, GError **error);
