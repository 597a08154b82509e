/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/hf-weights.h"

#include "fuzz.h"

/* What is accepted names tensors and files within limits, and no file outside the folder. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GHashTable) map = seed_hf_index_parse ("fuzz", (const char *) data, size, &error);
  GHashTableIter iter;
  gpointer tensor, file;

  g_assert_true (!map == !!error);
  if (!map)
    return 0;
  g_assert_cmpuint (g_hash_table_size (map), >, 0);
  g_hash_table_iter_init (&iter, map);
  while (g_hash_table_iter_next (&iter, &tensor, &file)) {
    g_assert_cmpuint (strlen (tensor), <=, SEED_SAFETENSORS_MAX_NAME);
    g_assert_null (strchr (file, '/'));
    g_assert_true (*(const char *) file != '\0');
  }
  return 0;
}
