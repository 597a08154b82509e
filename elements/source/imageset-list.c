/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <glib/gstdio.h>
#include <seed/error.h>

#include "source/imageset-private.h"

#define N_TRIED 16 /* rows that are looked for to find out where paths begin */

static gboolean
has_one_of_first (const char *root, const SeedTable *table)
{
  for (guint i = 0; i < MIN (seed_table_n_rows (table), N_TRIED); i++) {
    g_autofree char *path = g_build_filename (root, seed_table_key (table, i), NULL);

    if (g_file_test (path, G_FILE_TEST_EXISTS))
      return TRUE;
  }
  return FALSE;
}

/* Sets keep images beside a list, in images/, or in a folder that is called as the list. */
static void
find_root (SeedImageSet *set, const SeedTable *table)
{
  g_autofree char *folder = g_path_get_dirname (seed_table_name (table));
  g_autofree char *stem = g_path_get_basename (seed_table_name (table));
  char *dot = strrchr (stem, '.');
  const char *const below[][2] = { { ".", "." }, { "images", "." }, { stem, "." },
    { stem, "images" } };

  if (dot)
    *dot = '\0';
  for (guint i = 0; i < G_N_ELEMENTS (below) && !set->root; i++) {
    g_autofree char *root = g_build_filename (folder, below[i][0], below[i][1], NULL);

    if (has_one_of_first (root, table))
      set->root = g_canonicalize_filename (root, NULL);
  }
  if (!set->root)
    set->root = g_strdup (folder);
}

/* One image for each path, in the order in which they first come. */
static gboolean
add_captioned (SeedImageSet *set, const SeedTable *table, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < seed_table_n_rows (table); i++) {
    SeedImageEntry entry = { .path = seed_table_key (table, i), .label = -1 };

    if (g_hash_table_add (seen, (gpointer) entry.path) && !seed_image_set_add (set, &entry, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_labelled (SeedImageSet *set, const SeedTable *table, GError **error)
{
  guint n = seed_table_n_rows (table);
  g_autofree const char **labels = g_new (const char *, n + 1);

  for (guint i = 0; i < n; i++) {
    SeedImageEntry entry = { .path = seed_table_key (table, i), .label = -1 };

    labels[i] = seed_table_value (table, i);
    if (!seed_image_set_add (set, &entry, error))
      return FALSE;
  }
  return seed_image_set_label_by_text (set, labels, error);
}

gboolean
seed_image_set_open_list (SeedImageSet *set, SeedTable *table, gboolean captions, GError **error)
{
  gboolean ok =
      captions ? seed_table_split_captions (table, error) : seed_table_split_labels (table, error);

  if (!ok)
    return FALSE;
  if (seed_table_n_rows (table) == 0) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_NOT_FOUND, "%s: the list is empty", seed_table_name (table));
    return FALSE;
  }
  find_root (set, table);
  return captions ? add_captioned (set, table, error) : add_labelled (set, table, error);
}
