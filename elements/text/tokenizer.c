/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "nn/hf-reader.h"
#include "text/tokenizer-private.h"

gboolean
seed_tokenizer_has_file (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  return g_file_test (path, G_FILE_TEST_IS_REGULAR);
}

gboolean
seed_tokenizer_read_json (SeedTokenizer *tokenizer, const char *folder, const char *type,
    SeedVocab **vocab, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "tokenizer.json", NULL);
  g_autofree char *text = NULL;
  gsize length;

  return seed_hf_read_text (path, SEED_VOCAB_MAX_FILE, &text, &length, error) &&
         seed_tokenizer_parse_json (&tokenizer->config, type, vocab, path, text, length, error);
}

/* The id of a token by name, looked up among the added ones first. */
static guint32
lookup (const SeedTokenizer *tokenizer, const char *token)
{
  const SeedAddedToken *added = seed_added_tokens_lookup (&tokenizer->config.added, token);

  return added ? added->id : tokenizer->klass->lookup (tokenizer, token);
}

static gboolean
find_specials (SeedTokenizer *tokenizer, const char *folder, GError **error)
{
  const SeedTokenizerClass *klass = tokenizer->klass;
  SeedTokenizerConfig *config = &tokenizer->config;

  for (guint i = 0; i < SEED_N_SPECIALS; i++) {
    tokenizer->ids[i] = SEED_VOCAB_NONE;
    if (!klass->special[i])
      continue;
    if (!config->special[i])
      config->special[i] = g_strdup (klass->special[i]);
    tokenizer->ids[i] = lookup (tokenizer, config->special[i]);
    if (tokenizer->ids[i] == SEED_VOCAB_NONE && i != SEED_SPECIAL_MASK) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
          "%s: the %s tokenizer's special token %s is not in its vocabulary", folder, klass->name,
          config->special[i]);
      return FALSE;
    }
    if (tokenizer->ids[i] != SEED_VOCAB_NONE &&
        !seed_added_tokens_lookup (&config->added, config->special[i])) {
      SeedAddedToken token = { .content = config->special[i],
        .id = tokenizer->ids[i],
        .normalized = klass->normalized && i != SEED_SPECIAL_PAD };

      seed_added_tokens_add (&config->added, &token);
    }
  }
  return TRUE;
}

/* Normalised text has to be searched for normalised tokens. */
static void
normalize_added (SeedTokenizer *tokenizer)
{
  SeedAddedTokens added;

  seed_added_tokens_init (&added);
  for (guint i = 0; i < tokenizer->config.added.items->len; i++) {
    SeedAddedToken token = g_array_index (tokenizer->config.added.items, SeedAddedToken, i);
    g_autoptr (GString) content = g_string_new (NULL);

    tokenizer->end = MAX (tokenizer->end, token.id + 1);
    if (tokenizer->klass->keeps_added) {
      token.normalized = TRUE;
    } else if (token.normalized) {
      tokenizer->klass->normalize (tokenizer, token.content, token.length, content);
      token.content = content->str;
    }
    seed_added_tokens_add (&added, &token);
  }
  seed_added_tokens_clear (&tokenizer->config.added);
  tokenizer->config.added = added;
}

SeedTokenizer *
seed_tokenizer_load (SeedTokenizerKind kind, const char *folder, GError **error)
{
  static const SeedTokenizerClass *const classes[] = {
    [SEED_TOKENIZER_CLIP] = &seed_tokenizer_clip,
    [SEED_TOKENIZER_BERT] = &seed_tokenizer_bert,
    [SEED_TOKENIZER_SIGLIP] = &seed_tokenizer_siglip,
  };
  g_autofree SeedTokenizer *loading = g_new0 (SeedTokenizer, 1);
  g_autoptr (SeedTokenizer) tokenizer = NULL;

  loading->klass = classes[kind];
  if (!seed_tokenizer_config_load (&loading->config, folder, error))
    return NULL;
  tokenizer = g_steal_pointer (&loading);
  if (!tokenizer->klass->load (tokenizer, folder, error) ||
      !find_specials (tokenizer, folder, error))
    return NULL;
  normalize_added (tokenizer);
  return g_steal_pointer (&tokenizer);
}

void
seed_tokenizer_free (SeedTokenizer *tokenizer)
{
  if (!tokenizer)
    return;
  seed_tokenizer_config_clear (&tokenizer->config);
  seed_bpe_free (tokenizer->bpe);
  seed_vocab_free (tokenizer->vocab);
  seed_unigram_free (tokenizer->unigram);
  g_free (tokenizer);
}

static void
encode_normalized (
    const SeedTokenizer *tokenizer, const char *text, gsize length, guint limit, GArray *ids)
{
  gsize from = 0;

  while (from < length && ids->len < limit) {
    gsize begin = length, end = length;
    const SeedAddedToken *token =
        seed_added_tokens_find (&tokenizer->config.added, TRUE, text, length, from, &begin, &end);

    if (begin > from)
      tokenizer->klass->encode (tokenizer, text + from, begin - from, limit, ids);
    if (token)
      g_array_append_val (ids, token->id);
    from = end;
  }
}

/* Added tokens of the raw text, between them text to normalise. */
static void
encode_raw (
    const SeedTokenizer *tokenizer, const char *text, gsize length, guint limit, GArray *ids)
{
  g_autoptr (GString) normalized = g_string_new (NULL);
  gsize from = 0;

  while (from < length && ids->len < limit) {
    gsize begin = length, end = length;
    const SeedAddedToken *token =
        seed_added_tokens_find (&tokenizer->config.added, FALSE, text, length, from, &begin, &end);

    if (begin > from) {
      g_string_truncate (normalized, 0);
      tokenizer->klass->normalize (tokenizer, text + from, begin - from, normalized);
      encode_normalized (tokenizer, normalized->str, normalized->len, limit, ids);
    }
    if (token)
      g_array_append_val (ids, token->id);
    from = end;
  }
}

static void
encode_whole (
    const SeedTokenizer *tokenizer, const char *text, gsize length, guint limit, GArray *ids)
{
  g_autoptr (GString) normalized = g_string_new (NULL);

  tokenizer->klass->normalize (tokenizer, text, length, normalized);
  encode_normalized (tokenizer, normalized->str, normalized->len, limit, ids);
}

gboolean
seed_tokenizer_encode (
    const SeedTokenizer *tokenizer, const char *text, guint max_tokens, GArray *ids, GError **error)
{
  const SeedTokenizerClass *klass = tokenizer->klass;
  g_autoptr (GArray) content = g_array_new (FALSE, FALSE, sizeof (guint32));
  gboolean framed = klass->first != SEED_N_SPECIALS;
  guint limit = max_tokens - (framed ? 2 : 1);
  gsize length = strlen (text);
  const char *invalid;

  g_return_val_if_fail (max_tokens >= 2, FALSE);

  if (length > SEED_TOKENIZER_MAX_TEXT) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "a text of %" G_GSIZE_FORMAT " bytes; at most %u are supported", length,
        SEED_TOKENIZER_MAX_TEXT);
    return FALSE;
  }
  if (!g_utf8_validate_len (text, length, &invalid)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "the text is not UTF-8 at byte %" G_GSIZE_FORMAT, (gsize) (invalid - text));
    return FALSE;
  }

  if (klass->keeps_added)
    encode_whole (tokenizer, text, length, limit, content);
  else
    encode_raw (tokenizer, text, length, limit, content);
  if (content->len > limit)
    g_array_set_size (content, limit);
  if (framed)
    g_array_append_val (ids, tokenizer->ids[klass->first]);
  g_array_append_vals (ids, content->data, content->len);
  /* what has no first token has its last one already when the text brought it */
  if (framed || content->len == 0 ||
      g_array_index (content, guint32, content->len - 1) != tokenizer->ids[klass->last])
    g_array_append_val (ids, tokenizer->ids[klass->last]);
  return TRUE;
}

gboolean
seed_tokenizer_is_cased (const SeedTokenizer *tokenizer)
{
  return tokenizer->config.lower_case == SEED_NO && tokenizer->klass != &seed_tokenizer_clip;
}

guint32
seed_tokenizer_pad_id (const SeedTokenizer *tokenizer)
{
  return tokenizer->ids[SEED_SPECIAL_PAD];
}

guint32
seed_tokenizer_end (const SeedTokenizer *tokenizer)
{
  return tokenizer->end;
}

guint64
seed_tokenizer_max_length (const SeedTokenizer *tokenizer)
{
  return tokenizer->config.max_length ? tokenizer->config.max_length : tokenizer->klass->max_length;
}

gsize
seed_tokenizer_bytes (const SeedTokenizer *tokenizer)
{
  return sizeof *tokenizer + (tokenizer->bpe ? seed_bpe_bytes (tokenizer->bpe) : 0) +
         (tokenizer->vocab ? seed_vocab_bytes (tokenizer->vocab) : 0) +
         (tokenizer->unigram ? seed_unigram_bytes (tokenizer->unigram) : 0);
}
