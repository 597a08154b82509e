/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include <seed/error.h>

#include "text/tokenizer.h"
#include "text/unigram.h"

/*
 * Every id must be the one of the reference tokenizers; tests/data/text is made by
 * generate-text-fixtures.py.
 */
static char *
data_path (const char *first, const char *second)
{
  return g_build_filename (SEED_TEST_DATA, "text", first, second, NULL);
}

static JsonParser *
load_json (const char *name)
{
  g_autofree char *path = data_path (name, NULL);
  g_autoptr (GError) error = NULL;
  JsonParser *parser = json_parser_new ();

  json_parser_load_from_file (parser, path, &error);
  g_assert_no_error (error);
  return parser;
}

static void
assert_ids (const char *name, const char *text, GArray *ids, JsonArray *expected)
{
  gboolean same = ids->len == json_array_get_length (expected);

  for (guint i = 0; i < ids->len && same; i++)
    same = g_array_index (ids, guint32, i) == json_array_get_int_element (expected, i);
  if (same)
    return;
  for (guint i = 0; i < ids->len; i++)
    g_test_message ("found %u: %u", i, g_array_index (ids, guint32, i));
  for (guint i = 0; i < json_array_get_length (expected); i++)
    g_test_message ("expected %u: %d", i, (int) json_array_get_int_element (expected, i));
  g_test_fail_printf ("%s: other ids for \"%s\"", name, text);
}

static SeedTokenizer *
load_tokenizer (SeedTokenizerKind kind, const char *name)
{
  g_autofree char *folder = data_path (name, NULL);
  g_autoptr (GError) error = NULL;
  SeedTokenizer *tokenizer = seed_tokenizer_load (kind, folder, &error);

  g_assert_no_error (error);
  return tokenizer;
}

typedef struct {
  const char *name;
  SeedTokenizerKind kind;
} Kind;

static void
test_reference (gconstpointer data)
{
  const Kind *kind = data;
  g_autoptr (JsonParser) parser = load_json ("cases.json");
  JsonObject *root = json_node_get_object (json_parser_get_root (parser));
  JsonArray *texts = json_object_get_array_member (root, "texts");
  JsonArray *all =
      json_object_get_array_member (json_object_get_object_member (root, "ids"), kind->name);
  guint max =
      (guint) json_object_get_int_member (json_object_get_object_member (root, "max"), kind->name);
  g_autoptr (SeedTokenizer) tokenizer = load_tokenizer (kind->kind, kind->name);

  g_assert_cmpuint (json_array_get_length (texts), >, 100);
  for (guint i = 0; i < json_array_get_length (texts); i++) {
    const char *text = json_array_get_string_element (texts, i);
    g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint32));
    g_autoptr (GError) error = NULL;

    if (json_array_get_null_element (all, i))
      continue;
    seed_tokenizer_encode (tokenizer, text, max, ids, &error);
    g_assert_no_error (error);
    assert_ids (kind->name, text, ids, json_array_get_array_element (all, i));
    for (guint j = 0; j < ids->len; j++)
      g_assert_cmpuint (g_array_index (ids, guint32, j), <, seed_tokenizer_end (tokenizer));
  }
}

static SeedUnigram *
load_unigram (const char *name)
{
  g_autofree char *path = data_path (name, "spiece.model");
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = NULL;
  SeedUnigram *unigram;
  char *contents;
  gsize length;

  g_assert_true (g_file_get_contents (path, &contents, &length, NULL));
  bytes = g_bytes_new_take (contents, length);
  unigram = seed_unigram_parse (bytes, path, &error);
  g_assert_no_error (error);
  return unigram;
}

/* The library's own answers, without what transformers does around it. */
static void
test_sentencepiece (gconstpointer data)
{
  const char *name = data;
  g_autoptr (JsonParser) parser = load_json ("cases.json");
  JsonObject *root = json_node_get_object (json_parser_get_root (parser));
  JsonArray *texts = json_object_get_array_member (root, "texts");
  JsonArray *all = json_object_get_array_member (json_object_get_object_member (root, "ids"), name);
  g_autoptr (SeedUnigram) unigram = load_unigram (g_str_equal (name, "unigram") ? "siglip" : name);

  for (guint i = 0; i < json_array_get_length (texts); i++) {
    const char *text = json_array_get_string_element (texts, i);
    g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint32));

    if (json_array_get_null_element (all, i))
      continue;
    seed_unigram_encode (unigram, text, strlen (text), ids);
    assert_ids (name, text, ids, json_array_get_array_element (all, i));
  }
}

/* A word of the length of the longest text: byte pairs are not quadratic, and BERT gives up at
 * once. */
static void
test_long_words (gconstpointer data)
{
  const Kind *kind = data;
  g_autoptr (SeedTokenizer) tokenizer = load_tokenizer (kind->kind, kind->name);
  g_autofree char *word = g_strnfill (SEED_TOKENIZER_MAX_TEXT, 'a');
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint32));
  gint64 start = g_get_monotonic_time ();

  g_assert_true (seed_tokenizer_encode (tokenizer, word, 77, ids, NULL));
  g_assert_cmpuint (ids->len, >=, 2);
  g_assert_cmpuint (ids->len, <=, 77);
  /* a quarter of a million bytes, quadratically, would take minutes */
  g_assert_cmpint (g_get_monotonic_time () - start, <, 10 * G_TIME_SPAN_SECOND);
}

typedef struct {
  const char *name;
  SeedTokenizerKind kind;
  const char *files[4]; /* name, contents, ... */
  SeedErrorCode code;
  const char *message; /* after the folder */
} Broken;

#define CLIP_VOCAB                                                                                 \
  "{\"a\": 0, \"b</w>\": 1, \"ab</w>\": 2, \"<|startoftext|>\": 3, \"<|endoftext|>\": 4}"

static const Broken broken_folders[] = {
  { "merge", SEED_TOKENIZER_CLIP,
      { "vocab.json", CLIP_VOCAB, "merges.txt", "#version: 0.2\na b</w>\na q\n" },
      SEED_ERROR_FORMAT,
      "/merges.txt:3: this merge cannot be used: its right part is not in the vocabulary" },
  { "merge-parts", SEED_TOKENIZER_CLIP,
      { "vocab.json", CLIP_VOCAB, "merges.txt", "#version: 0.2\nab</w>\n" }, SEED_ERROR_FORMAT,
      "/merges.txt:2: this merge cannot be used: expected two parts" },
  { "vocab-json", SEED_TOKENIZER_CLIP,
      { "vocab.json", "{\"a\": 0,\n \"b\": -1}", "merges.txt", "" }, SEED_ERROR_FORMAT,
      "/vocab.json:2:7: " },
  { "vocab-id", SEED_TOKENIZER_CLIP, { "vocab.json", "{\"a\": 4294967295}", "merges.txt", "" },
      SEED_ERROR_LIMIT, "/vocab.json:1:7: " },
  { "no-start", SEED_TOKENIZER_CLIP, { "vocab.json", "{\"<|endoftext|>\": 0}", "merges.txt", "" },
      SEED_ERROR_NOT_FOUND,
      ": the CLIP tokenizer's special token <|startoftext|> is not in its vocabulary" },
  { "added-single-word", SEED_TOKENIZER_CLIP,
      { "tokenizer_config.json",
          "{\"added_tokens_decoder\": {\"9\": {\"content\": \"x\", \"single_word\": true}}}" },
      SEED_ERROR_UNSUPPORTED, "/tokenizer_config.json:1:" },
  { "max-length", SEED_TOKENIZER_BERT, { "tokenizer_config.json", "{\"model_max_length\": 1}" },
      SEED_ERROR_INVALID, "/tokenizer_config.json:1:" },
  { "no-cls", SEED_TOKENIZER_BERT, { "vocab.txt", "[PAD]\n[UNK]\n[SEP]\n" }, SEED_ERROR_NOT_FOUND,
      ": the BERT tokenizer's special token [CLS]" },
  { "vocab-not-utf8", SEED_TOKENIZER_BERT, { "vocab.txt", "[PAD]\n[UNK]\n\xff\n" },
      SEED_ERROR_FORMAT, "/vocab.txt:3: this is not UTF-8 text" },
  { "wrong-model", SEED_TOKENIZER_BERT, { "tokenizer.json", "{\"model\": {\"type\": \"BPE\"}}" },
      SEED_ERROR_UNSUPPORTED, "/tokenizer.json:1:" },
  { "nothing", SEED_TOKENIZER_BERT, { NULL }, SEED_ERROR_NOT_FOUND, ": no vocabulary" },
  { "spiece", SEED_TOKENIZER_SIGLIP, { "spiece.model", "\n\005\n\003abc\n\177" }, SEED_ERROR_FORMAT,
      "/spiece.model: byte 7: a field reaches past its message's end" },
  { "spiece-empty", SEED_TOKENIZER_SIGLIP, { "spiece.model", "" }, SEED_ERROR_FORMAT,
      "/spiece.model: byte 0: no pieces" },
};

static void
test_broken (gconstpointer data)
{
  const Broken *broken = data;
  g_autofree char *folder = g_dir_make_tmp ("seed-tokenizer-XXXXXX", NULL);
  g_autofree char *expected = g_strconcat (folder, broken->message, NULL);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (broken->files) && broken->files[i]; i += 2) {
    g_autofree char *path = g_build_filename (folder, broken->files[i], NULL);
    g_assert_true (g_file_set_contents (path, broken->files[i + 1], -1, NULL));
  }
  g_assert_null (seed_tokenizer_load (broken->kind, folder, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, SEED_ERROR, (int) broken->code);
  g_assert_true (g_str_has_prefix (error->message, expected));
  for (guint i = 0; i < G_N_ELEMENTS (broken->files) && broken->files[i]; i += 2) {
    g_autofree char *path = g_build_filename (folder, broken->files[i], NULL);
    g_assert_cmpint (g_remove (path), ==, 0);
  }
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

int
main (int argc, char **argv)
{
  static const Kind kinds[] = {
    { "clip", SEED_TOKENIZER_CLIP },
    { "clip-json", SEED_TOKENIZER_CLIP },
    { "bert", SEED_TOKENIZER_BERT },
    { "bert-cased", SEED_TOKENIZER_BERT },
    { "siglip", SEED_TOKENIZER_SIGLIP },
  };
  static const char *const unigrams[] = { "unigram", "unigram-bytes", "unigram-symbols" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree char *path = g_strconcat ("/tokenizer/reference/", kinds[i].name, NULL);
    g_autofree char *long_path = g_strconcat ("/tokenizer/long-words/", kinds[i].name, NULL);

    g_test_add_data_func (path, &kinds[i], test_reference);
    g_test_add_data_func (long_path, &kinds[i], test_long_words);
  }
  for (guint i = 0; i < G_N_ELEMENTS (unigrams); i++) {
    g_autofree char *path = g_strconcat ("/tokenizer/sentencepiece/", unigrams[i], NULL);
    g_test_add_data_func (path, unigrams[i], test_sentencepiece);
  }
  for (guint i = 0; i < G_N_ELEMENTS (broken_folders); i++) {
    g_autofree char *path = g_strconcat ("/tokenizer/broken/", broken_folders[i].name, NULL);

    g_test_add_data_func (path, &broken_folders[i], test_broken);
  }
  return g_test_run ();
}
