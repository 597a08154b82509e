/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <glib/gstdio.h>

#include <seed/error.h>

#include "text/bpe.h"
#include "text/text-sentence.h"
#include "text/tokenizer-config.h"
#include "text/tokenizer.h"
#include "text/unigram.h"

#include "fuzz.h"

/*
 * The first byte says what the rest is:
 *   u  a line of text, then a SentencePiece model that encodes it
 *   j  a tokenizer.json of byte pairs, whose vocabulary encodes some words
 *   c  tokenizer_config.json and the files of a sentence encoder
 *   m  merges.txt over a small vocabulary
 *   v  vocab.txt
 *   C, B  a text for CLIP's and BERT's tokenizers
 */
#define MAX_TOKENS 77u

static const char vocab_json[] =
    "{\"a\":0,\"b\":1,\"a</w>\":2,\"b</w>\":3,\"ab\":4,\"ab</w>\":5,\"!\":6,\"!</w>\":7,"
    "\"<|startoftext|>\":8,\"<|endoftext|>\":9}";
static const char vocab_txt[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\nb\n##b\nab\n!\ne\n##e\n";
static const char merges_txt[] = "#version: 0.2\na b\na b</w>\n";

static void
write_file (const char *folder, const char *name, const char *text, gboolean discard)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  if (discard)
    g_remove (path);
  else
    g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
each_file (const char *folder, gboolean discard)
{
  write_file (folder, "vocab.json", vocab_json, discard);
  write_file (folder, "merges.txt", merges_txt, discard);
  write_file (folder, "vocab.txt", vocab_txt, discard);
}

static SeedTokenizer *
load (SeedTokenizerKind kind)
{
  g_autofree char *folder = g_dir_make_tmp ("fuzz-tokenizer-XXXXXX", NULL);
  SeedTokenizer *tokenizer;

  each_file (folder, FALSE);
  tokenizer = seed_tokenizer_load (kind, folder, NULL);
  each_file (folder, TRUE);
  g_rmdir (folder);
  g_assert_nonnull (tokenizer);
  return tokenizer;
}

static void
fuzz_text (SeedTokenizerKind kind, const char *data, gsize size)
{
  static SeedTokenizer *tokenizers[2]; /* kept: a fuzzer calls a million times */
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autofree char *text = g_strndup (data, size);
  g_autoptr (GError) error = NULL;

  if (!tokenizers[kind])
    tokenizers[kind] = load (kind);
  if (seed_tokenizer_encode (tokenizers[kind], text, MAX_TOKENS, ids, &error)) {
    g_assert_cmpuint (ids->len, >=, 2);
    g_assert_cmpuint (ids->len, <=, MAX_TOKENS);
    for (guint i = 0; i < ids->len; i++)
      g_assert_cmpuint (g_array_index (ids, guint32, i), <, seed_tokenizer_end (tokenizers[kind]));
  } else
    g_assert_nonnull (error);
}

static void
fuzz_unigram (const char *data, gsize size)
{
  const char *newline = memchr (data, '\n', size);
  gsize n = newline ? (gsize) (newline - data) : 0;
  g_autoptr (GBytes) bytes =
      newline ? g_bytes_new_static (newline + 1, size - n - 1) : g_bytes_new_static ("", 0);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedUnigram) unigram = seed_unigram_parse (bytes, "fuzz", &error);
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint32));

  g_assert_true (!unigram == !!error);
  if (!unigram || !g_utf8_validate_len (data, n, NULL))
    return;
  seed_unigram_encode (unigram, data, n, ids);
  for (guint i = 0; i < ids->len; i++)
    g_assert_cmpuint (g_array_index (ids, guint32, i), <, seed_unigram_n_pieces (unigram));
}

static void
encode_words (SeedBpe *bpe)
{
  static const char *const words[] = { "a", "abab", "\xc3\xa9t\xc3\xa9",
    "aaaaaaaaaaaaaaaaaaaaaab" };
  g_autoptr (SeedBpeScratch) scratch = seed_bpe_scratch_new ();
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint32));

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    seed_bpe_encode_word (bpe, scratch, words[i], strlen (words[i]), ids);
  for (guint i = 0; i < ids->len; i++)
    g_assert_cmpuint (
        g_array_index (ids, guint32, i), <, MAX (seed_vocab_end (seed_bpe_vocab (bpe)), 1));
}

static void
fuzz_tokenizer_json (const char *data, gsize size)
{
  SeedTokenizerConfig config;
  SeedVocab *vocab = NULL;
  g_autoptr (GError) error = NULL;
  gboolean ok;

  seed_tokenizer_config_init (&config);
  ok = seed_tokenizer_parse_json (&config, "BPE", &vocab, "fuzz", data, size, &error);
  g_assert_true (ok == !error && ok == !!vocab);
  if (ok) {
    g_autoptr (SeedBpe) bpe = seed_bpe_new (vocab, 0);

    if (seed_tokenizer_parse_json_merges (bpe, "fuzz", data, size, &error))
      encode_words (bpe);
  }
  seed_tokenizer_config_clear (&config);
}

static void
fuzz_configs (const char *data, gsize size)
{
  SeedTokenizerConfig tokenizer;
  SeedTextConfig config = { 0 };
  g_autofree char *pooling = NULL;

  seed_tokenizer_config_init (&tokenizer);
  seed_tokenizer_config_parse (&tokenizer, "fuzz", data, size, NULL);
  seed_tokenizer_config_clear (&tokenizer);
  seed_text_sentence_parse (&config, "fuzz", data, size, NULL);
  seed_text_pooling_parse (&config, "fuzz", data, size, NULL);
  seed_text_modules_parse (&config, &pooling, "fuzz", data, size, NULL);
  if (seed_text_config_parse (&config, "fuzz", data, size, NULL))
    g_assert_cmpuint (config.dim % config.heads, ==, 0);
}

static void
fuzz_merges (const char *data, gsize size)
{
  SeedVocab *vocab =
      seed_tokenizer_parse_vocab_json ("vocab.json", vocab_json, strlen (vocab_json), NULL);
  g_autoptr (SeedBpe) bpe = seed_bpe_new (vocab, 9);
  g_autoptr (GError) error = NULL;

  g_assert_true (seed_bpe_parse_merges (bpe, "fuzz", data, size, &error) == !error);
  encode_words (bpe);
}

static void
fuzz_vocab (const char *data, gsize size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedVocab) vocab = seed_vocab_parse_lines ("fuzz", data, size, &error);

  g_assert_true (!vocab == !!error);
  if (vocab)
    seed_vocab_lookup (vocab, "a", 1);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *rest = (const char *) data + 1;

  if (size == 0)
    return 0;
  switch (*data) {
  case 'u':
    fuzz_unigram (rest, size - 1);
    break;
  case 'j':
    fuzz_tokenizer_json (rest, size - 1);
    break;
  case 'c':
    fuzz_configs (rest, size - 1);
    break;
  case 'm':
    fuzz_merges (rest, size - 1);
    break;
  case 'v':
    fuzz_vocab (rest, size - 1);
    break;
  case 'C':
    fuzz_text (SEED_TOKENIZER_CLIP, rest, size - 1);
    break;
  case 'B':
    fuzz_text (SEED_TOKENIZER_BERT, rest, size - 1);
    break;
  }
  return 0;
}
