/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/hf-reader.h"
#include "text/tokenizer-private.h"
#include "text/unicode.h"

/*
 * SigLIP's tokenizer (Zhai et al. 2023, arXiv 2303.15343): lower case, no ASCII punctuation, single
 * spaces, then SentencePiece as T5 trained it. The text is encoded behind the unknown token's
 * spelling, whose ids are dropped again: that is how the reference keeps a space in front of it.
 */
#define SPACE_SYMBOL "\xe2\x96\x81"

static gboolean
load (SeedTokenizer *tokenizer, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "spiece.model", NULL);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint32));
  const char *unknown = tokenizer->config.special[SEED_SPECIAL_UNK];
  g_autofree char *data = NULL;
  gsize length;

  if (!seed_hf_read_text (path, SEED_VOCAB_MAX_FILE, &data, &length, error))
    return FALSE;
  bytes = g_bytes_new_take (g_steal_pointer (&data), length);
  tokenizer->unigram = seed_unigram_parse (bytes, path, error);
  if (!tokenizer->unigram)
    return FALSE;
  seed_unigram_set_dummy_prefix (tokenizer->unigram, FALSE);
  tokenizer->end = seed_unigram_n_pieces (tokenizer->unigram);
  if (!unknown)
    unknown = tokenizer->klass->special[SEED_SPECIAL_UNK];
  seed_unigram_encode (tokenizer->unigram, unknown, strlen (unknown), ids);
  tokenizer->prefix_ids = ids->len;
  return TRUE;
}

/* Lower case but for added tokens, behind a space symbol; those of the text become spaces. */
static void
normalize (const SeedTokenizer *tokenizer, const char *text, gsize length, GString *out)
{
  gboolean lower = tokenizer->config.lower_case != SEED_NO;

  g_string_append (out, SPACE_SYMBOL);
  for (gsize from = 0; from < length;) {
    const SeedAddedToken *token =
        seed_added_tokens_match (&tokenizer->config.added, TRUE, text + from, length - from);
    gunichar c = g_utf8_get_char (text + from);
    gsize n = (gsize) (g_utf8_next_char (text + from) - (text + from));

    if (token) {
      n = token->length;
      g_string_append_len (out, token->content, (gssize) n);
    } else if (n == strlen (SPACE_SYMBOL) && memcmp (text + from, SPACE_SYMBOL, n) == 0)
      g_string_append_c (out, ' ');
    else if (lower)
      seed_unicode_append_lower (out, c);
    else
      g_string_append_unichar (out, c);
    from += n;
  }
}

/* Python's str.isspace */
static gboolean
is_space (gunichar c)
{
  return seed_unicode_is_space (c) || (c >= 0x1c && c <= 0x1f);
}

static void
append_canonical (GString *out, const char *text, gsize length)
{
  gsize start = out->len;
  gboolean after_space = FALSE;

  for (const char *p = text, *end = text + length; p < end; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (c < 0x80 && g_ascii_ispunct ((char) c))
      continue;
    if (is_space (c)) {
      after_space = TRUE;
      continue;
    }
    if (after_space && out->len > start)
      g_string_append_c (out, ' ');
    after_space = FALSE;
    g_string_append_unichar (out, c);
  }
}

static void
encode (const SeedTokenizer *tokenizer, const char *text, gsize length, guint limit, GArray *ids)
{
  g_autoptr (GString) canonical = g_string_new (tokenizer->config.special[SEED_SPECIAL_UNK]);
  guint before = ids->len, prefix = tokenizer->prefix_ids;

  append_canonical (canonical, text, length);
  seed_unigram_encode (tokenizer->unigram, canonical->str, canonical->len, ids);
  if (ids->len - before >= prefix && prefix > 0)
    g_array_remove_range (ids, before, prefix);
}

static guint32
lookup (const SeedTokenizer *tokenizer, const char *token)
{
  guint32 id = seed_unigram_lookup (tokenizer->unigram, token, strlen (token));

  if (id == seed_unigram_unknown (tokenizer->unigram) &&
      !g_str_equal (token, tokenizer->config.special[SEED_SPECIAL_UNK]))
    return SEED_VOCAB_NONE;
  return id;
}

const SeedTokenizerClass seed_tokenizer_siglip = {
  .name = "SigLIP",
  .special = {
    [SEED_SPECIAL_EOS] = "</s>",
    [SEED_SPECIAL_UNK] = "<unk>",
    [SEED_SPECIAL_PAD] = "</s>",
  },
  .first = SEED_N_SPECIALS,
  .last = SEED_SPECIAL_EOS,
  .keeps_added = TRUE,
  .max_length = 64,
  .load = load,
  .normalize = normalize,
  .encode = encode,
  .lookup = lookup,
};
