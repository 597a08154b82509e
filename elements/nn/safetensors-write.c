/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <seed/error.h>
#include <seed/safetensors.h>

#include "nn/atomic-file.h"
#include "nn/json.h"

#define ALIGNMENT 8u

/*
 * The layout of the reference implementation: tensors by dtype, widest first (the order of
 * SeedDtype, backwards), then by name, so that with an aligned start every element is aligned.
 */
static gint
compare_tensors (gconstpointer a, gconstpointer b)
{
  const SeedTensor *x = *(const SeedTensor *const *) a, *y = *(const SeedTensor *const *) b;

  if (x->dtype != y->dtype)
    return x->dtype > y->dtype ? -1 : 1;
  return strcmp (x->name, y->name);
}

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static gboolean
refuse (const char *path, const SeedTensor *tensor, const char *reason, GError **error)
{
  g_autofree char *name =
      seed_json_show (g_utf8_validate (tensor->name, -1, NULL) ? tensor->name : "?");

  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "%s: tensor %s: %s", path, name, reason);
  return FALSE;
}

static gboolean
check_tensor (const char *path, const SeedTensor *tensor, GError **error)
{
  gsize size;

  if (!g_utf8_validate (tensor->name, -1, NULL) ||
      strlen (tensor->name) > SEED_SAFETENSORS_MAX_NAME ||
      g_str_equal (tensor->name, "__metadata__"))
    return refuse (path, tensor, "cannot be a name: too long, reserved or not UTF-8", error);
  if ((guint) tensor->dtype >= SEED_N_DTYPES || tensor->n_dims > SEED_TENSOR_MAX_DIMS)
    return refuse (path, tensor, "no such dtype, or too many dimensions", error);
  if (!seed_tensor_byte_size (tensor->dtype, tensor->shape, tensor->n_dims, &size) ||
      size != tensor->size)
    return refuse (path, tensor, "the size of its data is not that of its shape", error);
  return TRUE;
}

/* Tensors in the order of the file. The array points to @tensors. */
static GPtrArray *
sort_tensors (const char *path, const SeedTensor *tensors, guint n_tensors, GError **error)
{
  g_autoptr (GPtrArray) sorted = g_ptr_array_sized_new (n_tensors);
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < n_tensors; i++) {
    if (!check_tensor (path, &tensors[i], error))
      return NULL;
    if (!g_hash_table_add (names, (char *) tensors[i].name)) {
      refuse (path, &tensors[i], "a second tensor of this name", error);
      return NULL;
    }
    g_ptr_array_add (sorted, (SeedTensor *) &tensors[i]);
  }
  g_ptr_array_sort (sorted, compare_tensors);
  return g_steal_pointer (&sorted);
}

static gboolean
append_metadata (GString *header, const char *path, GHashTable *metadata, GError **error)
{
  guint n_keys;
  g_autofree const char **keys = (const char **) g_hash_table_get_keys_as_array (metadata, &n_keys);

  qsort (keys, n_keys, sizeof *keys, compare_strings);
  g_string_append (header, "\"__metadata__\":{");
  for (guint i = 0; i < n_keys; i++) {
    const char *key = keys[i], *value = g_hash_table_lookup (metadata, key);

    if (!g_utf8_validate (key, -1, NULL) || strlen (key) > SEED_SAFETENSORS_MAX_NAME ||
        !g_utf8_validate (value, -1, NULL)) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
          "%s: metadata key %u of %u is too long or not UTF-8, or its value is not", path, i + 1,
          n_keys);
      return FALSE;
    }
    if (i > 0)
      g_string_append_c (header, ',');
    seed_json_append_quoted (header, key);
    g_string_append_c (header, ':');
    seed_json_append_quoted (header, value);
  }
  g_string_append_c (header, '}');
  return TRUE;
}

static void
append_tensor (GString *header, const SeedTensor *tensor, guint64 begin)
{
  seed_json_append_quoted (header, tensor->name);
  g_string_append_printf (
      header, ":{\"dtype\":\"%s\",\"shape\":[", seed_dtype_name (tensor->dtype));
  for (guint d = 0; d < tensor->n_dims; d++)
    g_string_append_printf (header, "%s%" G_GUINT64_FORMAT, d ? "," : "", tensor->shape[d]);
  g_string_append_printf (header,
      "],\"data_offsets\":[%" G_GUINT64_FORMAT ",%" G_GUINT64_FORMAT "]}", begin,
      begin + tensor->size);
}

static GString *
make_header (const char *path, GPtrArray *sorted, GHashTable *metadata, GError **error)
{
  g_autoptr (GString) header = g_string_new ("{");
  gboolean has_metadata = metadata && g_hash_table_size (metadata) > 0;
  guint64 begin = 0;

  if (has_metadata && !append_metadata (header, path, metadata, error))
    return NULL;
  for (guint i = 0; i < sorted->len; i++) {
    const SeedTensor *tensor = sorted->pdata[i];

    if (i > 0 || has_metadata)
      g_string_append_c (header, ',');
    append_tensor (header, tensor, begin);
    begin += tensor->size; /* of data in memory: no overflow */
  }
  g_string_append_c (header, '}');
  while (header->len % ALIGNMENT != 0)
    g_string_append_c (header, ' ');
  if (sorted->len > SEED_SAFETENSORS_MAX_TENSORS || header->len > SEED_SAFETENSORS_MAX_HEADER ||
      (has_metadata && g_hash_table_size (metadata) > SEED_SAFETENSORS_MAX_TENSORS)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "%s: %u tensors with a header of %" G_GSIZE_FORMAT " bytes are more than a reader accepts",
        path, sorted->len, header->len);
    return NULL;
  }
  return g_steal_pointer (&header);
}

gboolean
seed_safetensors_write (const char *path, const SeedTensor *tensors, guint n_tensors,
    GHashTable *metadata, GError **error)
{
  g_auto (SeedAtomicFile) file = { .fd = -1 };
  g_autoptr (GPtrArray) sorted = sort_tensors (path, tensors, n_tensors, error);
  g_autoptr (GString) header = sorted ? make_header (path, sorted, metadata, error) : NULL;
  guint64 length;

  if (!header)
    return FALSE;
  length = GUINT64_TO_LE ((guint64) header->len);
  if (!seed_atomic_file_open (&file, path, error) ||
      !seed_atomic_file_write (&file, &length, sizeof length, error) ||
      !seed_atomic_file_write (&file, header->str, header->len, error))
    return FALSE;
  for (guint i = 0; i < sorted->len; i++) {
    const SeedTensor *tensor = sorted->pdata[i];

    if (!seed_atomic_file_write (&file, tensor->data, tensor->size, error))
      return FALSE;
  }
  return seed_atomic_file_commit (&file, error);
}
