/* SPDX-License-Identifier: MIT */
#pragma once

#include "text/tokenizer-config.h"
#include "text/tokenizer.h"
#include "text/unigram.h"

/* What the kinds of tokenizers differ in. */
typedef struct {
  const char *name;
  /* Of the special tokens, by content, when no file says; NULL: it has none. */
  const char *special[SEED_N_SPECIALS];
  SeedSpecial first, last; /* frame the text; @first is SEED_N_SPECIALS when nothing precedes it */
  gboolean normalized; /* whether those are looked for in the normalised text, when no file says */
  /* `normalize` is for the whole text and leaves added tokens as they are: all are looked for then
   */
  gboolean keeps_added;

  guint max_length; /* when no file says; 0: none */

  /* Sets vocab or bpe or unigram. */
  gboolean (*load) (SeedTokenizer *tokenizer, const char *folder, GError **error);

  /* Appends @text, made uniform, to @out. */
  void (*normalize) (const SeedTokenizer *tokenizer, const char *text, gsize length, GString *out);

  /* Cuts normalised text without added tokens into ids; may stop once there are @limit. */
  void (*encode) (
      const SeedTokenizer *tokenizer, const char *text, gsize length, guint limit, GArray *ids);

  guint32 (*lookup) (const SeedTokenizer *tokenizer, const char *token);
} SeedTokenizerClass;

struct _SeedTokenizer {
  const SeedTokenizerClass *klass;
  SeedTokenizerConfig config;
  guint32 ids[SEED_N_SPECIALS]; /* SEED_VOCAB_NONE: has none */
  SeedBpe *bpe;
  SeedVocab *vocab;
  SeedUnigram *unigram;
  guint prefix_ids; /* SigLIP: how many ids its unknown token makes */
  guint32 end;
};

extern const SeedTokenizerClass seed_tokenizer_clip, seed_tokenizer_bert, seed_tokenizer_siglip;

/* Whether @folder has a regular file of that name. */
gboolean seed_tokenizer_has_file (const char *folder, const char *name);

/*
 * vocab and, for BPE, merges from tokenizer.json; @vocab NULL: its added tokens only.
 */
gboolean seed_tokenizer_read_json (SeedTokenizer *tokenizer, const char *folder, const char *type,
    SeedVocab **vocab, GError **error);
