/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "nn/hf-reader.h"
#include "text/tokenizer-private.h"
#include "text/unicode.h"

/*
 * CLIP's tokenizer (Radford et al. 2021, arXiv 2103.00020): text in lower case, cut into words by
 *   's|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+
 * and each word encoded by byte pairs.
 */
static gboolean
load_bpe (SeedTokenizer *tokenizer, const char *folder, SeedVocab *vocab, GError **error)
{
  const char *unknown = tokenizer->config.special[SEED_SPECIAL_UNK];
  guint32 id;

  if (!unknown)
    unknown = tokenizer->klass->special[SEED_SPECIAL_UNK];
  tokenizer->end = seed_vocab_end (vocab);
  id = seed_vocab_lookup (vocab, unknown, strlen (unknown));
  tokenizer->bpe = seed_bpe_new (vocab, id);
  if (id != SEED_VOCAB_NONE)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
      "%s: the unknown token %s is not in the vocabulary", folder, unknown);
  return FALSE;
}

static gboolean
load_pair_of_files (SeedTokenizer *tokenizer, const char *folder, GError **error)
{
  g_autofree char *vocab_path = g_build_filename (folder, "vocab.json", NULL);
  g_autofree char *merges_path = g_build_filename (folder, "merges.txt", NULL);
  g_autofree char *vocab_text = NULL, *merges_text = NULL;
  gsize length;
  SeedVocab *vocab;

  if (!seed_hf_read_text (vocab_path, SEED_VOCAB_MAX_FILE, &vocab_text, &length, error))
    return FALSE;
  vocab = seed_tokenizer_parse_vocab_json (vocab_path, vocab_text, length, error);
  if (!vocab || !load_bpe (tokenizer, folder, vocab, error) ||
      !seed_hf_read_text (merges_path, SEED_VOCAB_MAX_FILE, &merges_text, &length, error) ||
      !seed_bpe_parse_merges (tokenizer->bpe, merges_path, merges_text, length, error))
    return FALSE;
  return !seed_tokenizer_has_file (folder, "tokenizer.json") ||
         seed_tokenizer_read_json (tokenizer, folder, "BPE", NULL, error);
}

static gboolean
load_tokenizer_json (SeedTokenizer *tokenizer, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "tokenizer.json", NULL);
  g_autofree char *text = NULL;
  SeedVocab *vocab = NULL;
  gsize length;

  return seed_hf_read_text (path, SEED_VOCAB_MAX_FILE, &text, &length, error) &&
         seed_tokenizer_parse_json (&tokenizer->config, "BPE", &vocab, path, text, length, error) &&
         load_bpe (tokenizer, folder, vocab, error) &&
         seed_tokenizer_parse_json_merges (tokenizer->bpe, path, text, length, error);
}

static gboolean
load (SeedTokenizer *tokenizer, const char *folder, GError **error)
{
  if (seed_tokenizer_has_file (folder, "vocab.json") &&
      seed_tokenizer_has_file (folder, "merges.txt"))
    return load_pair_of_files (tokenizer, folder, error);
  if (seed_tokenizer_has_file (folder, "tokenizer.json"))
    return load_tokenizer_json (tokenizer, folder, error);
  g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
      "%s: no vocabulary; expected vocab.json and merges.txt, or tokenizer.json", folder);
  return FALSE;
}

/* Composed (NFC), white space made single spaces, lower case. */
static void
normalize (const SeedTokenizer *tokenizer, const char *text, gsize length, GString *out)
{
  g_autofree char *composed = g_utf8_normalize (text, (gssize) length, G_NORMALIZE_DEFAULT_COMPOSE);
  gboolean in_space = FALSE;

  for (const char *p = composed; *p; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);
    gboolean space = seed_unicode_is_space (c);

    if (!space)
      seed_unicode_append_lower (out, c);
    else if (!in_space)
      g_string_append_c (out, ' ');
    in_space = space;
  }
}

typedef enum { SPACE, LETTER, NUMBER, OTHER } Class;

static Class
classify (gunichar c)
{
  if (seed_unicode_is_letter (c))
    return LETTER;
  if (seed_unicode_is_space (c))
    return SPACE;
  return seed_unicode_is_number (c) ? NUMBER : OTHER;
}

static gsize
match_contraction (const char *text, gsize length)
{
  static const char *const endings[] = { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d" };

  for (guint i = 0; i < G_N_ELEMENTS (endings) && *text == '\''; i++) {
    gsize n = strlen (endings[i]);

    if (n <= length && memcmp (text, endings[i], n) == 0)
      return n;
  }
  return 0;
}

/* The length of the word, or the space, that @text begins with. */
static gsize
match_word (const char *text, gsize length, Class class)
{
  const char *p = g_utf8_next_char (text), *end = text + length;
  gsize contraction = match_contraction (text, length);

  if (contraction > 0)
    return contraction;
  while (class != NUMBER && p < end && classify (g_utf8_get_char (p)) == class)
    p = g_utf8_next_char (p);
  return (gsize) (p - text);
}

static void
encode (const SeedTokenizer *tokenizer, const char *text, gsize length, guint limit, GArray *ids)
{
  g_autoptr (SeedBpeScratch) scratch = seed_bpe_scratch_new ();

  for (gsize from = 0; from < length && ids->len < limit;) {
    Class class = classify (g_utf8_get_char (text + from));
    gsize n = match_word (text + from, length - from, class);

    if (class != SPACE)
      seed_bpe_encode_word (tokenizer->bpe, scratch, text + from, n, ids);
    from += n;
  }
}

static guint32
lookup (const SeedTokenizer *tokenizer, const char *token)
{
  return seed_vocab_lookup (seed_bpe_vocab (tokenizer->bpe), token, strlen (token));
}

const SeedTokenizerClass seed_tokenizer_clip = {
  .name = "CLIP",
  .special = {
    [SEED_SPECIAL_BOS] = "<|startoftext|>",
    [SEED_SPECIAL_EOS] = "<|endoftext|>",
    [SEED_SPECIAL_UNK] = "<|endoftext|>",
    [SEED_SPECIAL_PAD] = "<|endoftext|>",
  },
  .first = SEED_SPECIAL_BOS,
  .last = SEED_SPECIAL_EOS,
  .normalized = TRUE,
  .load = load,
  .normalize = normalize,
  .encode = encode,
  .lookup = lookup,
};
