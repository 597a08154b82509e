/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/text.h>

/*
 * Text -> token ids, exactly as the tokenizers of Hugging Face transformers that the models were
 * published with: CLIPTokenizerFast, BertTokenizerFast, SiglipTokenizer. Immutable once loaded; may
 * be used from any thread.
 */
typedef enum {
  SEED_TOKENIZER_CLIP,   /* byte-pair encoding: vocab.json and merges.txt, or tokenizer.json */
  SEED_TOKENIZER_BERT,   /* WordPiece: vocab.txt, or tokenizer.json */
  SEED_TOKENIZER_SIGLIP, /* SentencePiece unigram: spiece.model */
} SeedTokenizerKind;

typedef struct _SeedTokenizer SeedTokenizer;

/* A longer text is refused, although only its first words would count. */
#define SEED_TOKENIZER_MAX_TEXT SEED_TEXT_MAX_BYTES

/* Errors name the file and, in texts, line or byte. */
SeedTokenizer *seed_tokenizer_load (SeedTokenizerKind kind, const char *folder, GError **error);
void seed_tokenizer_free (SeedTokenizer *tokenizer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedTokenizer, seed_tokenizer_free)

/*
 * The ids of @text with the tokens that frame it, cut to @max_tokens (at least 2), not padded.
 * Appends to @ids (guint32). SEED_ERROR_FORMAT (not UTF-8) or SEED_ERROR_LIMIT.
 */
gboolean seed_tokenizer_encode (const SeedTokenizer *tokenizer, const char *text, guint max_tokens,
    GArray *ids, GError **error);

/* Whether capitals make a difference. */
gboolean seed_tokenizer_is_cased (const SeedTokenizer *tokenizer);

guint32 seed_tokenizer_pad_id (const SeedTokenizer *tokenizer);
/* The largest id it may give out plus one. */
guint32 seed_tokenizer_end (const SeedTokenizer *tokenizer);
/* Tokens, from tokenizer_config.json or what the kind always has; 0 when nothing says. */
guint64 seed_tokenizer_max_length (const SeedTokenizer *tokenizer);
gsize seed_tokenizer_bytes (const SeedTokenizer *tokenizer);
