/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Reader of a trained SentencePiece model (spiece.model): the protocol buffer message ModelProto of
 * https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto, of which it
 * takes what encoding needs. Every length in it is distrusted.
 */
#define SEED_SPM_MAX_PIECES (1u << 20)
#define SEED_SPM_MAX_PIECE_BYTES 1024u

typedef enum {
  SEED_SPM_NORMAL = 1,
  SEED_SPM_UNKNOWN = 2,
  SEED_SPM_CONTROL = 3,
  SEED_SPM_USER_DEFINED = 4,
  SEED_SPM_UNUSED = 5,
  SEED_SPM_BYTE = 6,
} SeedSpmType;

typedef struct {
  const char *text; /* in the model's bytes; UTF-8, not empty, no NUL after it */
  guint32 length;
  float score; /* log probability, finite */
  SeedSpmType type;
} SeedSpmPiece;

typedef struct {
  GBytes *bytes;
  GArray *pieces;     /* SeedSpmPiece; the index is the id */
  guint32 model_type; /* 1: unigram, the only one that is accepted */
  gboolean byte_fallback, whitespace_as_suffix;
  gboolean add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
  const char *charsmap; /* precompiled normalisation in @bytes, see spm-normalizer.h */
  gsize charsmap_length;
} SeedSpmModel;

/*
 * Takes a reference on @bytes; @label stands for the file in errors, which give bytes.
 * @model needs clearing whatever comes back.
 */
gboolean
seed_spm_model_parse (SeedSpmModel *model, GBytes *bytes, const char *label, GError **error);
void seed_spm_model_clear (SeedSpmModel *model);
