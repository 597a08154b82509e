/* SPDX-License-Identifier: MIT */
#pragma once

#include "text/added-tokens.h"
#include "text/bpe.h"

/*
 * What the JSON files beside a vocabulary say: tokenizer_config.json, special_tokens_map.json,
 * tokenizer.json. All are optional; errors give file, line and column.
 */
typedef enum {
  SEED_SPECIAL_BOS,
  SEED_SPECIAL_EOS,
  SEED_SPECIAL_UNK,
  SEED_SPECIAL_PAD,
  SEED_SPECIAL_CLS,
  SEED_SPECIAL_SEP,
  SEED_SPECIAL_MASK,
  SEED_N_SPECIALS,
} SeedSpecial;

typedef enum { SEED_UNSET = -1, SEED_NO, SEED_YES } SeedTristate;

typedef struct {
  char *special[SEED_N_SPECIALS]; /* NULL when no file says */
  SeedTristate lower_case, strip_accents, split_ideographs;
  guint64 max_length; /* tokens; 0 when no file says */
  SeedAddedTokens added;
} SeedTokenizerConfig;

void seed_tokenizer_config_clear (SeedTokenizerConfig *config);

/* Reads what @folder has of the first two; @config needs no clearing after a failure. */
gboolean
seed_tokenizer_config_load (SeedTokenizerConfig *config, const char *folder, GError **error);

/*
 * One text as each of the files. @config is initialised with seed_tokenizer_config_init, and needs
 * clearing whatever comes back.
 */
void seed_tokenizer_config_init (SeedTokenizerConfig *config);
gboolean seed_tokenizer_config_parse (
    SeedTokenizerConfig *config, const char *label, const char *text, gsize length, GError **error);

/* vocab.json: an object token -> id. */
SeedVocab *
seed_tokenizer_parse_vocab_json (const char *label, const char *text, gsize length, GError **error);

/*
 * tokenizer.json, once for its added tokens (those that @config has keep all but `normalized`) and
 * its vocabulary when @vocab is not NULL, and once for its merges: those need the vocabulary, which
 * may come after them. The model must be of @type: "BPE" or "WordPiece".
 */
gboolean seed_tokenizer_parse_json (SeedTokenizerConfig *config, const char *type,
    SeedVocab **vocab, const char *label, const char *text, gsize length, GError **error);
gboolean seed_tokenizer_parse_json_merges (
    SeedBpe *bpe, const char *label, const char *text, gsize length, GError **error);
