/* SPDX-License-Identifier: MIT */
#include <string.h>

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
    g_test_add_data_func (path, &kinds[i], test_reference);
  }
  for (guint i = 0; i < G_N_ELEMENTS (unigrams); i++) {
    g_autofree char *path = g_strconcat ("/tokenizer/sentencepiece/", unigrams[i], NULL);
    g_test_add_data_func (path, unigrams[i], test_sentencepiece);
  }
  return g_test_run ();
}
