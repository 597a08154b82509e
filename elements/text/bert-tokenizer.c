/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "nn/hf-reader.h"
#include "text/tokenizer-private.h"
#include "text/unicode.h"

/*
 * BERT's tokenizer (Devlin et al. 2019, arXiv 1810.04805): text without accents in lower case, cut
 * at white space and around punctuation and ideographs; each word is the longest prefix in the
 * vocabulary, then the longest "##" continuations, or unknown as a whole.
 */
#define MAX_WORD_CHARACTERS 100u
#define MAX_WORD_BYTES (4 * MAX_WORD_CHARACTERS)
#define CONTINUATION "##"
#define REPLACEMENT_CHARACTER 0xfffdu

static gboolean
load (SeedTokenizer *tokenizer, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "vocab.txt", NULL);
  g_autofree char *text = NULL;
  gsize length;

  if (seed_tokenizer_has_file (folder, "vocab.txt")) {
    if (!seed_hf_read_text (path, SEED_VOCAB_MAX_FILE, &text, &length, error) ||
        !(tokenizer->vocab = seed_vocab_parse_lines (path, text, length, error)))
      return FALSE;
    if (seed_tokenizer_has_file (folder, "tokenizer.json") &&
        !seed_tokenizer_read_json (tokenizer, folder, "WordPiece", NULL, error))
      return FALSE;
  } else if (seed_tokenizer_has_file (folder, "tokenizer.json")) {
    if (!seed_tokenizer_read_json (tokenizer, folder, "WordPiece", &tokenizer->vocab, error))
      return FALSE;
  } else {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
        "%s: no vocabulary; expected vocab.txt or tokenizer.json", folder);
    return FALSE;
  }
  tokenizer->end = seed_vocab_end (tokenizer->vocab);
  return TRUE;
}

/* No control characters, white space made spaces, ideographs between spaces. */
static void
clean (const SeedTokenizer *tokenizer, const char *text, gsize length, GString *out)
{
  gboolean split = tokenizer->config.split_ideographs != SEED_NO;

  for (const char *p = text, *end = text + length; p < end; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);
    gboolean break_here = c == '\t' || c == '\n' || c == '\r';

    if (!break_here && (c == REPLACEMENT_CHARACTER || seed_unicode_is_other (c)))
      continue;
    if (seed_unicode_is_space (c))
      g_string_append_c (out, ' ');
    else if (split && seed_unicode_is_ideograph (c)) {
      g_string_append_c (out, ' ');
      g_string_append_unichar (out, c);
      g_string_append_c (out, ' ');
    } else
      g_string_append_unichar (out, c);
  }
}

static void
strip_accents (GString *text)
{
  g_autofree char *decomposed =
      g_utf8_normalize (text->str, (gssize) text->len, G_NORMALIZE_DEFAULT);

  g_string_truncate (text, 0);
  for (const char *p = decomposed; *p; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (!seed_unicode_is_nonspacing_mark (c))
      g_string_append_unichar (text, c);
  }
}

static void
normalize (const SeedTokenizer *tokenizer, const char *text, gsize length, GString *out)
{
  gboolean lower = tokenizer->config.lower_case != SEED_NO;
  SeedTristate strip = tokenizer->config.strip_accents;
  g_autoptr (GString) cleaned = g_string_sized_new (length);

  clean (tokenizer, text, length, cleaned);
  if (strip == SEED_YES || (strip == SEED_UNSET && lower))
    strip_accents (cleaned);
  if (lower)
    seed_unicode_append_lower_text (out, cleaned->str, cleaned->len);
  else
    g_string_append_len (out, cleaned->str, (gssize) cleaned->len);
}

/* The longest token that @rest, after @prefix, begins with; its length in bytes of @rest, or 0. */
static gsize
match_piece (
    const SeedVocab *vocab, gboolean continues, const char *rest, gsize length, guint32 *id)
{
  char buffer[sizeof CONTINUATION + MAX_WORD_BYTES];
  gsize prefix = continues ? strlen (CONTINUATION) : 0;

  memcpy (buffer, CONTINUATION, prefix);
  memcpy (buffer + prefix, rest, length);
  while (length > 0) {
    *id = seed_vocab_lookup (vocab, buffer, prefix + length);
    if (*id != SEED_VOCAB_NONE)
      return length;
    length = (gsize) (g_utf8_prev_char (rest + length) - rest);
  }
  return 0;
}

static void
encode_word (const SeedTokenizer *tokenizer, const char *word, gsize length, GArray *ids)
{
  guint before = ids->len;
  gboolean known = length <= MAX_WORD_BYTES &&
                   g_utf8_strlen (word, (gssize) length) <= (glong) MAX_WORD_CHARACTERS;

  for (gsize from = 0; from < length && known;) {
    guint32 id;
    gsize n = match_piece (tokenizer->vocab, from > 0, word + from, length - from, &id);

    known = n > 0;
    if (known)
      g_array_append_val (ids, id);
    from += n;
  }
  if (!known) {
    g_array_set_size (ids, before);
    g_array_append_val (ids, tokenizer->ids[SEED_SPECIAL_UNK]);
  }
}

static gboolean
is_punctuation (gunichar c)
{
  return c < 0x80 ? g_ascii_ispunct ((char) c) : seed_unicode_is_punctuation (c);
}

static void
encode (const SeedTokenizer *tokenizer, const char *text, gsize length, guint limit, GArray *ids)
{
  const char *end = text + length, *word = text;

  for (const char *p = text; p < end && ids->len < limit;) {
    const char *next = g_utf8_next_char (p);
    gunichar c = g_utf8_get_char (p);
    gboolean space = seed_unicode_is_space (c), punctuation = is_punctuation (c);

    if ((space || punctuation) && p > word)
      encode_word (tokenizer, word, (gsize) (p - word), ids);
    if (punctuation)
      encode_word (tokenizer, p, (gsize) (next - p), ids);
    if (space || punctuation)
      word = next;
    p = next;
  }
  if (word < end && ids->len < limit)
    encode_word (tokenizer, word, (gsize) (end - word), ids);
}

static guint32
lookup (const SeedTokenizer *tokenizer, const char *token)
{
  return seed_vocab_lookup (tokenizer->vocab, token, strlen (token));
}

const SeedTokenizerClass seed_tokenizer_bert = {
  .name = "BERT",
  .special = {
    [SEED_SPECIAL_UNK] = "[UNK]",
    [SEED_SPECIAL_PAD] = "[PAD]",
    [SEED_SPECIAL_CLS] = "[CLS]",
    [SEED_SPECIAL_SEP] = "[SEP]",
    [SEED_SPECIAL_MASK] = "[MASK]",
  },
  .first = SEED_SPECIAL_CLS,
  .last = SEED_SPECIAL_SEP,
  .normalized = FALSE,
  .load = load,
  .normalize = normalize,
  .encode = encode,
  .lookup = lookup,
};
