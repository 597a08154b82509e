/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/hf-reader.h"
#include "nn/hf-weights.h"
#include "nn/safetensors-file.h"

#define MAX_FILE_NAME 255u

typedef struct {
  char *name, *path;
  SeedSafetensors *st;
} File;

struct _SeedHfWeights {
  char *label;   /* the one file, or the index */
  GArray *files; /* File, by name */
};

/* The index */

static gboolean
read_file_name (SeedHfReader *reader)
{
  const char *name = reader->word->str;

  if (!seed_json_read_string (&reader->json, reader->word, MAX_FILE_NAME))
    return FALSE;
  name = reader->word->str;
  if (*name && !strchr (name, '/') && !g_str_equal (name, ".") && !g_str_equal (name, ".."))
    return TRUE;
  return seed_json_fail (&reader->json, reader->pos, SEED_ERROR_INVALID,
      "must be the name of a file in the same folder");
}

static void
read_map (SeedHfReader *reader, GHashTable *map)
{
  SeedJson *json = &reader->json;
  g_autoptr (GString) name = g_string_new (NULL);

  seed_json_open (json, '{');
  while (seed_json_next_member (json, name, SEED_SAFETENSORS_MAX_NAME)) {
    json->kind = "tensor";
    json->subject = name->str;
    seed_json_peek (json);
    reader->pos = json->pos;
    if (!read_file_name (reader))
      return;
    if (g_hash_table_size (map) == SEED_SAFETENSORS_MAX_TENSORS) {
      seed_json_fail (json, reader->pos, SEED_ERROR_LIMIT, "more than %u tensors",
          SEED_SAFETENSORS_MAX_TENSORS);
      return;
    }
    if (!g_hash_table_insert (map, g_strdup (name->str), g_strdup (reader->word->str))) {
      seed_json_fail (json, reader->pos, SEED_ERROR_FORMAT, "is here twice");
      return;
    }
    json->kind = NULL;
  }
}

GHashTable *
seed_hf_index_parse (const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (GHashTable) map = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  gboolean found = FALSE;
  SeedHfReader reader;

  seed_hf_reader_init (&reader, label, text, length);
  seed_json_open (&reader.json, '{');
  while (seed_hf_reader_next_key (&reader)) {
    if (!g_str_equal (reader.key->str, "weight_map")) {
      seed_json_skip (&reader.json);
      continue;
    }
    if (found)
      seed_json_fail (&reader.json, reader.pos, SEED_ERROR_FORMAT, "is here twice");
    found = TRUE;
    read_map (&reader, map);
  }
  seed_json_end (&reader.json);
  if (g_hash_table_size (map) == 0)
    seed_json_fail (&reader.json, 0, SEED_ERROR_FORMAT,
        "has no key \"weight_map\" with the files of the tensors");
  return seed_hf_reader_finish (&reader, error) ? g_steal_pointer (&map) : NULL;
}

/* The files */

static void
clear_file (gpointer data)
{
  File *file = data;

  g_free (file->name);
  g_free (file->path);
  seed_safetensors_unref (file->st);
}

static gboolean
open_file (SeedHfWeights *weights, const char *folder, const char *name, GError **error)
{
  File file = { g_strdup (name), g_build_filename (folder, name, NULL), NULL };

  file.st = seed_safetensors_open (file.path, error);
  g_array_append_val (weights->files, file); /* also to be freed when it failed */
  return file.st != NULL;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* The files of the map, each once, by name. */
static GPtrArray *
list_files (GHashTable *map)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  GPtrArray *names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, map);
  while (g_hash_table_iter_next (&iter, NULL, &name))
    if (g_hash_table_add (seen, name))
      g_ptr_array_add (names, name);
  g_ptr_array_sort (names, compare_names);
  return names;
}

static gboolean
open_files (SeedHfWeights *weights, const char *folder, GHashTable *map, GError **error)
{
  g_autoptr (GPtrArray) names = list_files (map);

  if (names->len > SEED_HF_INDEX_MAX_FILES) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "%s: names %u files; at most %u are supported", weights->label, names->len,
        SEED_HF_INDEX_MAX_FILES);
    return FALSE;
  }
  for (guint i = 0; i < names->len; i++)
    if (!open_file (weights, folder, g_ptr_array_index (names, i), error)) {
      g_prefix_error (error, "%s: ", weights->label);
      return FALSE;
    }
  return TRUE;
}

static gboolean
fail_disagree (
    const File *file, const char *name, const char *label, const char *said, GError **error)
{
  g_autofree char *shown = seed_json_show (name);

  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH, "%s: tensor %s: is here, but %s %s%s",
      file->path, shown, label, said ? "says it is in " : "does not name it", said ? said : "");
  return FALSE;
}

/* Every tensor of every file is where the map says, and nothing is in the map that is in no file.
 */
static gboolean
check_map (const SeedHfWeights *weights, GHashTable *map, GError **error)
{
  GHashTableIter iter;
  gpointer name, file_name;

  for (guint f = 0; f < weights->files->len; f++) {
    const File *file = &g_array_index (weights->files, File, f);

    for (guint i = 0; i < seed_safetensors_n_tensors (file->st); i++) {
      const char *tensor = seed_safetensors_get (file->st, i)->name;
      const char *said = g_hash_table_lookup (map, tensor);

      if (!said || !g_str_equal (said, file->name))
        return fail_disagree (file, tensor, weights->label, said, error);
    }
  }
  g_hash_table_iter_init (&iter, map);
  while (g_hash_table_iter_next (&iter, &name, &file_name)) {
    if (!seed_hf_weights_lookup (weights, name, NULL)) {
      g_autofree char *shown = seed_json_show (name);

      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH, "%s: tensor %s: is not in %s",
          weights->label, shown, (const char *) file_name);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
open_index (SeedHfWeights *weights, const char *folder, GError **error)
{
  g_autoptr (GHashTable) map = NULL;
  g_autofree char *text = NULL;
  gsize length;

  if (!seed_hf_read_text (weights->label, SEED_HF_INDEX_MAX_BYTES, &text, &length, error))
    return FALSE;
  map = seed_hf_index_parse (weights->label, text, length, error);
  return map && open_files (weights, folder, map, error) && check_map (weights, map, error);
}

SeedHfWeights *
seed_hf_weights_open (const char *folder, GError **error)
{
  g_autofree char *single = g_build_filename (folder, SEED_HF_WEIGHTS_FILE, NULL);
  g_autofree char *index = g_build_filename (folder, SEED_HF_INDEX_FILE, NULL);
  /* a link that leads nowhere is there, and its own error */
  gboolean sharded = !g_file_test (single, G_FILE_TEST_EXISTS | G_FILE_TEST_IS_SYMLINK) &&
                     g_file_test (index, G_FILE_TEST_EXISTS | G_FILE_TEST_IS_SYMLINK);
  g_autoptr (SeedHfWeights) weights = g_new0 (SeedHfWeights, 1);

  weights->label = g_strdup (sharded ? index : single);
  weights->files = g_array_new (FALSE, FALSE, sizeof (File));
  g_array_set_clear_func (weights->files, clear_file);
  if (!(sharded ? open_index (weights, folder, error)
                : open_file (weights, folder, SEED_HF_WEIGHTS_FILE, error)))
    return NULL;
  return g_steal_pointer (&weights);
}

SeedHfWeights *
seed_hf_weights_open_with_heads (const char *folder, GError **error)
{
  g_autofree char *heads = g_build_filename (folder, SEED_HF_HEADS_FILE, NULL);
  g_autoptr (SeedHfWeights) weights = seed_hf_weights_open (folder, error);

  if (weights && g_file_test (heads, G_FILE_TEST_EXISTS | G_FILE_TEST_IS_SYMLINK) &&
      !open_file (weights, folder, SEED_HF_HEADS_FILE, error))
    return NULL;
  return g_steal_pointer (&weights);
}

void
seed_hf_weights_free (SeedHfWeights *weights)
{
  if (!weights)
    return;
  g_array_unref (weights->files);
  g_free (weights->label);
  g_free (weights);
}

const SeedTensor *
seed_hf_weights_lookup (const SeedHfWeights *weights, const char *name, const char **path)
{
  for (guint f = 0; f < weights->files->len; f++) {
    const File *file = &g_array_index (weights->files, File, f);
    const SeedTensor *tensor = seed_safetensors_lookup (file->st, name);

    if (tensor) {
      if (path)
        *path = file->path;
      return tensor;
    }
  }
  if (path)
    *path = weights->label;
  return NULL;
}

guint
seed_hf_weights_n_tensors (const SeedHfWeights *weights)
{
  guint n = 0;

  for (guint f = 0; f < weights->files->len; f++)
    n += seed_safetensors_n_tensors (g_array_index (weights->files, File, f).st);
  return n;
}

const SeedTensor *
seed_hf_weights_get (const SeedHfWeights *weights, guint index, const char **path)
{
  for (guint f = 0; f < weights->files->len; f++) {
    const File *file = &g_array_index (weights->files, File, f);
    guint n = seed_safetensors_n_tensors (file->st);

    if (index < n) {
      *path = file->path;
      return seed_safetensors_get (file->st, index);
    }
    index -= n;
  }
  g_return_val_if_reached (NULL);
}

char *
seed_hf_weights_sha256 (const SeedHfWeights *weights)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);

  for (guint f = 0; f < weights->files->len; f++) {
    g_autofree char *hex = seed_safetensors_sha256 (g_array_index (weights->files, File, f).st);

    if (weights->files->len == 1)
      return g_steal_pointer (&hex);
    g_checksum_update (sum, (const guchar *) hex, (gssize) strlen (hex));
  }
  return g_strdup (g_checksum_get_string (sum));
}

gboolean
seed_hf_weights_check_unchanged (const SeedHfWeights *weights, GError **error)
{
  for (guint f = 0; f < weights->files->len; f++)
    if (!seed_safetensors_check_unchanged (g_array_index (weights->files, File, f).st, error))
      return FALSE;
  return TRUE;
}
