/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>

#include "text/tokenizer.h"

/*
 * The published vocabularies of CLIP and BERT on sixty thousand captions. They are too large to
 * ship: SEED_SHARED_DATA names the folder that has them, else the tests are skipped. Every id must
 * be the reference's, of which real.json has digests.
 */
#define N_MERGES 48894u /* what OpenAI's code takes of its list */

static char *
shared_path (const char *name)
{
  const char *folder = g_getenv ("SEED_SHARED_DATA");
  g_autofree char *path = folder ? g_build_filename (folder, name, NULL) : NULL;

  if (path && g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return g_steal_pointer (&path);
  g_test_skip_printf ("SEED_SHARED_DATA has no %s", name);
  return NULL;
}

static char *
read_gzip (const char *path)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GInputStream) raw = G_INPUT_STREAM (g_file_read (file, NULL, NULL));
  g_autoptr (GConverter) unzip =
      G_CONVERTER (g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP));
  g_autoptr (GInputStream) stream = g_converter_input_stream_new (raw, unzip);
  g_autoptr (GOutputStream) memory = g_memory_output_stream_new_resizable ();
  g_autoptr (GError) error = NULL;

  g_output_stream_splice (memory, stream, 0, NULL, &error);
  g_assert_no_error (error);
  g_output_stream_write_all (memory, "", 1, NULL, NULL, NULL);
  g_output_stream_close (memory, NULL, NULL);
  return g_memory_output_stream_steal_data (G_MEMORY_OUTPUT_STREAM (memory));
}

static void
add_token (JsonBuilder *vocab, const char *first, const char *second, guint *id)
{
  g_autofree char *token = g_strconcat (first, second, NULL);

  json_builder_set_member_name (vocab, token);
  json_builder_add_int_value (vocab, (*id)++);
}

/* Bytes that print, in order, then the others as U+0100 and on; all of them again as ends of words.
 */
static void
add_bytes (JsonBuilder *vocab, const char *suffix, guint *id)
{
  gunichar next = 0x100;

  for (guint pass = 0; pass < 2; pass++)
    for (guint b = 0; b < 256; b++) {
      gboolean prints = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
      char text[7] = "";

      if (prints == (pass == 1))
        continue;
      g_unichar_to_utf8 (prints ? b : next++, text);
      add_token (vocab, text, suffix, id);
    }
}

static void
write_clip (const char *folder, const char *list)
{
  g_auto (GStrv) lines = g_strsplit (list, "\n", N_MERGES + 2);
  g_autofree char *vocab_path = g_build_filename (folder, "vocab.json", NULL);
  g_autofree char *merges_path = g_build_filename (folder, "merges.txt", NULL);
  g_autoptr (JsonBuilder) vocab = json_builder_new ();
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autoptr (GString) merges = g_string_new ("#version: 0.2\n");
  guint id = 0;

  json_builder_begin_object (vocab);
  add_bytes (vocab, "", &id);
  add_bytes (vocab, "</w>", &id);
  for (guint i = 1; i <= N_MERGES; i++) {
    g_auto (GStrv) parts = g_strsplit (lines[i], " ", 2);

    add_token (vocab, parts[0], parts[1], &id);
    g_string_append_printf (merges, "%s\n", lines[i]);
  }
  add_token (vocab, "<|startoftext|>", "", &id);
  add_token (vocab, "<|endoftext|>", "", &id);
  g_assert_cmpuint (id, ==, 49408);
  json_builder_end_object (vocab);
  root = json_builder_get_root (vocab);
  json_generator_set_root (generator, root);
  g_assert_true (json_generator_to_file (generator, vocab_path, NULL));
  g_assert_true (g_file_set_contents (merges_path, merges->str, (gssize) merges->len, NULL));
}

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    g_assert_cmpint (g_remove (path), ==, 0);
  }
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

static SeedTokenizer *
load_clip (void)
{
  g_autofree char *path = shared_path ("vocab/bpe_simple_vocab_16e6.txt.gz");
  g_autofree char *list = path ? read_gzip (path) : NULL;
  g_autofree char *folder = NULL;
  g_autoptr (GError) error = NULL;
  SeedTokenizer *tokenizer;

  if (!path)
    return NULL;
  folder = g_dir_make_tmp ("seed-vocabulary-XXXXXX", NULL);
  write_clip (folder, list);
  tokenizer = seed_tokenizer_load (SEED_TOKENIZER_CLIP, folder, &error);
  g_assert_no_error (error);
  remove_folder (folder);
  return tokenizer;
}

static SeedTokenizer *
load_bert (void)
{
  g_autofree char *path = shared_path ("vocab/bert-base-uncased-vocab.txt");
  g_autofree char *folder = NULL, *link = NULL;
  g_autoptr (GError) error = NULL;
  SeedTokenizer *tokenizer;

  if (!path)
    return NULL;
  folder = g_dir_make_tmp ("seed-vocabulary-XXXXXX", NULL);
  link = g_build_filename (folder, "vocab.txt", NULL);
  g_assert_cmpint (symlink (path, link), ==, 0);
  tokenizer = seed_tokenizer_load (SEED_TOKENIZER_BERT, folder, &error);
  g_assert_no_error (error);
  remove_folder (folder);
  return tokenizer;
}

/* Of each caption: the number of ids, then the ids, as little-endian words. */
static void
digest_captions (const SeedTokenizer *tokenizer, const char *text, guint max, GChecksum *sum,
    guint *n_lines, gsize *n_ids)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint32));

  for (guint i = 0; lines[i]; i++) {
    const char *tab = strchr (lines[i], '\t');
    guint32 n;

    if (!tab)
      continue;
    g_array_set_size (ids, 0);
    g_assert_true (seed_tokenizer_encode (tokenizer, tab + 1, max, ids, NULL));
    n = ids->len;
    g_checksum_update (sum, (const guchar *) &n, sizeof n);
    g_checksum_update (sum, (const guchar *) ids->data, n * sizeof (guint32));
    *n_ids += n;
    (*n_lines)++;
  }
}

static void
check_file (const SeedTokenizer *tokenizer, JsonObject *expected)
{
  const char *name = json_object_get_string_member (expected, "file");
  g_autofree char *path = shared_path (name);
  g_autofree char *text = NULL;
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  guint n_lines = 0;
  gsize n_ids = 0;

  if (!path)
    return;
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  digest_captions (
      tokenizer, text, (guint) json_object_get_int_member (expected, "max"), sum, &n_lines, &n_ids);
  g_test_message ("%s: %u captions, %" G_GSIZE_FORMAT " ids", name, n_lines, n_ids);
  g_assert_cmpuint (n_lines, ==, json_object_get_int_member (expected, "lines"));
  g_assert_cmpuint (n_ids, ==, json_object_get_int_member (expected, "ids"));
  g_assert_cmpstr (
      g_checksum_get_string (sum), ==, json_object_get_string_member (expected, "sha256"));
}

static void
test_captions (gconstpointer data)
{
  const char *kind = data;
  g_autoptr (SeedTokenizer) tokenizer = g_str_equal (kind, "clip") ? load_clip () : load_bert ();
  g_autofree char *path = g_build_filename (SEED_TEST_DATA, "text", "real.json", NULL);
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonArray *all;

  if (!tokenizer)
    return;
  g_assert_true (json_parser_load_from_file (parser, path, NULL));
  all = json_node_get_array (json_parser_get_root (parser));
  for (guint i = 0; i < json_array_get_length (all); i++) {
    JsonObject *expected = json_array_get_object_element (all, i);

    if (g_str_equal (json_object_get_string_member (expected, "tokenizer"), kind))
      check_file (tokenizer, expected);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/real-vocabularies/clip", "clip", test_captions);
  g_test_add_data_func ("/real-vocabularies/bert", "bert", test_captions);
  return g_test_run ();
}
