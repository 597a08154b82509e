/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <seed/error.h>

#include "source/imageset-private.h"

typedef struct {
  SeedImageSet *set;
  GHashTable *visited; /* folders, by device and inode */
  GPtrArray *batches;  /* paths of files that may be CIFAR batches */
  guint n_entries;
} Walk;

static gboolean
too_many (Walk *walk, GError **error)
{
  g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
      "%s: more than %u entries; split it into several sets", walk->set->root, SEED_IMAGE_SET_MAX);
  return FALSE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* The names in a folder, sorted, hidden ones left out. NULL: it cannot be read. */
static GPtrArray *
read_names (const char *path, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, error);
  GPtrArray *names;
  const char *name;

  if (!dir)
    return NULL;
  names = g_ptr_array_new_with_free_func (g_free);
  while (names->len <= SEED_IMAGE_SET_MAX && (name = g_dir_read_name (dir))) {
    if (name[0] != '.')
      g_ptr_array_add (names, g_strdup (name));
  }
  g_ptr_array_sort (names, compare_names);
  return names;
}

/* TRUE the first time */
static gboolean
visit (Walk *walk, const struct stat *st)
{
  char *key = g_strdup_printf (
      "%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT, (guint64) st->st_dev, (guint64) st->st_ino);

  return g_hash_table_add (walk->visited, key);
}

static gboolean walk_folder (Walk *walk, const char *path, guint depth, gint32 label,
    gboolean folders_are_classes, GError **error);

/* @path: relative to the root; @name: its last part. */
static gboolean
walk_entry (Walk *walk, const char *path, const char *name, guint depth, gint32 label,
    gboolean folders_are_classes, GError **error)
{
  g_autofree char *full = g_build_filename (walk->set->root, path, NULL);
  gboolean exists;
  struct stat st;

  exists = g_stat (full, &st) == 0;
  if (exists && S_ISDIR (st.st_mode)) {
    if (folders_are_classes)
      label = seed_image_set_add_class (walk->set, name);
    if (!visit (walk, &st)) {
      seed_image_set_note (walk->set, full, "this folder was visited by another way already");
      return TRUE;
    }
    return walk_folder (walk, path, depth + 1, label, FALSE, error);
  }
  if (seed_is_image_name (name) && (!exists || S_ISREG (st.st_mode)))
    return seed_image_set_add (/* a dangling link counts: reading it says what is wrong */
        walk->set, &(SeedImageEntry){ .path = path, .label = label }, error);
  if (seed_is_batch_name (name) && exists && S_ISREG (st.st_mode))
    g_ptr_array_add (walk->batches, g_strdup (path));
  else
    walk->set->n_ignored++;
  return TRUE;
}

static gboolean
walk_folder (Walk *walk, const char *path, guint depth, gint32 label, gboolean folders_are_classes,
    GError **error)
{
  g_autofree char *full = g_build_filename (walk->set->root, path, NULL);
  g_autoptr (GError) local = NULL;
  g_autoptr (GPtrArray) names = NULL;

  if (depth > SEED_IMAGE_SET_MAX_DEPTH) {
    seed_image_set_note (walk->set, full, "more than 64 folders deep");
    return TRUE;
  }
  names = read_names (full, &local);
  if (!names && depth == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s", local->message);
    return FALSE;
  }
  if (!names) {
    seed_image_set_note (walk->set, full, local->message);
    return TRUE;
  }
  walk->n_entries += names->len;
  if (walk->n_entries > SEED_IMAGE_SET_MAX)
    return too_many (walk, error);
  for (guint i = 0; i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *below = *path ? g_build_filename (path, name, NULL) : g_strdup (name);

    if (!walk_entry (walk, below, name, depth, label, folders_are_classes, error))
      return FALSE;
  }
  return TRUE;
}

/* The folder in @path, below the root, that is alone there with no image beside it; else NULL. */
static char *
only_folder (Walk *walk, const char *path)
{
  g_autofree char *full = g_build_filename (walk->set->root, path, NULL), *only = NULL;
  g_autoptr (GPtrArray) names = read_names (full, NULL);

  for (guint i = 0; names && i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *entry = g_build_filename (full, name, NULL);

    if (g_file_test (entry, G_FILE_TEST_IS_DIR)) {
      if (only)
        return NULL;
      only = *path ? g_build_filename (path, name, NULL) : g_strdup (name);
    } else if (seed_is_image_name (name)) {
      return NULL;
    }
  }
  return g_steal_pointer (&only);
}

/* Goes down while there is but one way: a lone "images" or "train" is no class. */
static char *
find_base (Walk *walk, guint *depth)
{
  g_autofree char *base = g_strdup ("");

  for (*depth = 0; *depth < SEED_IMAGE_SET_MAX_DEPTH; ++*depth) {
    g_autofree char *below = only_folder (walk, base), *full = NULL;
    struct stat st;

    if (!below)
      break;
    full = g_build_filename (walk->set->root, below, NULL);
    if (g_stat (full, &st) < 0 || !visit (walk, &st))
      break;
    g_free (base);
    base = g_steal_pointer (&below);
  }
  return g_steal_pointer (&base);
}

/* --- CIFAR batches -----------------------------------------------------------------------------
 */

static gboolean
open_batch (SeedImageSet *set, const char *path, GArray *batches, GError **error)
{
  g_autofree char *full = g_build_filename (set->root, path, NULL);
  g_autofree char *folder = g_path_get_dirname (path);
  SeedBatchFile batch = { 0 };
  struct stat st;
  int fd = g_open (full, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

  if (fd < 0 || fstat (fd, &st) < 0) {
    g_autofree char *shown = g_filename_display_name (full);

    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: %s", shown, g_strerror (errno));
    if (fd >= 0)
      close (fd);
    return FALSE;
  }
  batch.path = g_strdup (path);
  batch.folder = g_str_equal (folder, ".") ? g_strdup ("") : g_strdup (folder);
  batch.store = seed_image_set_add_store (set, fd, full);
  batch.size = (guint64) st.st_size;
  g_array_append_val (batches, batch);
  return TRUE;
}

static void
name_classes (SeedImageSet *set, const char *folder)
{
  g_autofree char *full = g_build_filename (set->root, folder, NULL);
  g_autoptr (GPtrArray) names = read_names (full, NULL);

  for (guint i = 0; names && i < names->len; i++) {
    g_autofree char *path = g_build_filename (full, g_ptr_array_index (names, i), NULL);
    g_autofree char *text = NULL;
    gsize length;

    if (seed_is_batch_classes_name (path) && g_file_test (path, G_FILE_TEST_IS_REGULAR) &&
        g_file_get_contents (path, &text, &length, NULL))
      seed_image_set_name_batch_classes (set, path, text, length);
  }
}

gboolean
seed_image_set_open_batch_files (
    SeedImageSet *set, const char *const *paths, guint n, GError **error)
{
  g_autoptr (GArray) batches = g_array_new (FALSE, TRUE, sizeof (SeedBatchFile));

  g_array_set_clear_func (batches, seed_batch_file_clear);
  for (guint i = 0; i < n; i++) {
    if (!open_batch (set, paths[i], batches, error))
      return FALSE;
  }
  if (!seed_image_set_add_batches (set, batches, error))
    return FALSE;
  name_classes (set, g_array_index (batches, SeedBatchFile, 0).folder);
  return TRUE;
}

/* --- the whole ---------------------------------------------------------------------------------
 */

static gboolean
walk_and_take (Walk *walk, const struct stat *st, GError **error)
{
  SeedImageSet *set = walk->set;
  g_autofree char *base = NULL;
  guint depth;

  visit (walk, st);
  base = find_base (walk, &depth);
  if (!walk_folder (walk, base, depth, -1, TRUE, error))
    return FALSE;
  if (set->images->len == 0 && walk->batches->len > 0) {
    g_ptr_array_set_size (set->classes, 0);
    return seed_image_set_open_batch_files (
        set, (const char *const *) walk->batches->pdata, walk->batches->len, error);
  }
  set->n_ignored += walk->batches->len;
  if (set->images->len > 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
      "%s: no image in this folder or below it (%u other files); names must end in .jpg, .png, "
      ".gif, .bmp, .webp or .tif, or .bin for CIFAR batches",
      set->root, set->n_ignored);
  return FALSE;
}

gboolean
seed_image_set_open_folder (SeedImageSet *set, const struct stat *st, GError **error)
{
  g_autoptr (GHashTable) visited = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GPtrArray) batches = g_ptr_array_new_with_free_func (g_free);
  Walk walk = { set, visited, batches, 0 };

  return walk_and_take (&walk, st, error);
}
