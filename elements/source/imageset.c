/* SPDX-License-Identifier: MIT */
#include "source/imageset.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <glib/gstdio.h>
#include <seed/error.h>
#include <seed/rng.h>

#define MAX_PROBLEMS 100
#define MAX_LIST_BYTES (1024 * 1024 * 1024)

typedef struct {
  const char *path; /* in the chunk, relative to the root */
  gint32 label;
} Image;

struct _SeedImageSet {
  char *root;
  GStringChunk *chunk;
  GArray *images;     /* of Image */
  GPtrArray *classes; /* char*, NULL at the end */
  GPtrArray *problems;
  guint n_ignored;
};

typedef struct {
  SeedImageSet *set;
  GHashTable *visited; /* folders, by device and inode */
  guint n_entries;
} Walk;

static const char *const endings[] = { ".jpg", ".jpeg", ".jpe", ".png", ".gif", ".bmp", ".webp",
  ".tif", ".tiff" };

static gboolean
is_image_name (const char *name)
{
  gsize length = strlen (name);

  for (guint i = 0; i < G_N_ELEMENTS (endings); i++) {
    gsize n = strlen (endings[i]);

    if (length > n && g_ascii_strcasecmp (name + length - n, endings[i]) == 0)
      return TRUE;
  }
  return FALSE;
}

static void
note_problem (SeedImageSet *set, const char *path, const char *why)
{
  g_autofree char *shown = g_filename_display_name (path);

  if (set->problems->len < MAX_PROBLEMS)
    g_ptr_array_add (set->problems, g_strdup_printf ("%s: %s; left out", shown, why));
}

static gboolean
too_many (GError **error, const char *what)
{
  g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
      "%s: more than %u entries; split it into several sets", what, SEED_IMAGE_SET_MAX);
  return FALSE;
}

static void
add_image (SeedImageSet *set, const char *path, gint32 label)
{
  Image image = { g_string_chunk_insert (set->chunk, path), label };

  g_array_append_val (set->images, image);
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

static gint32
add_class (SeedImageSet *set, const char *name)
{
  g_ptr_array_add (set->classes, g_filename_display_name (name));
  return (gint32) set->classes->len - 1;
}

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
      label = add_class (walk->set, name);
    if (!visit (walk, &st)) {
      note_problem (walk->set, full, "this folder was visited by another way already");
      return TRUE;
    }
    return walk_folder (walk, path, depth + 1, label, FALSE, error);
  }
  if (is_image_name (name) && (!exists || S_ISREG (st.st_mode)))
    add_image (walk->set, path, label); /* a dangling link counts: reading it says what is wrong */
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
    note_problem (walk->set, full, "more than 64 folders deep");
    return TRUE;
  }
  names = read_names (full, &local);
  if (!names && depth == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s", local->message);
    return FALSE;
  }
  if (!names) {
    note_problem (walk->set, full, local->message);
    return TRUE;
  }
  walk->n_entries += names->len;
  if (walk->n_entries > SEED_IMAGE_SET_MAX)
    return too_many (error, walk->set->root);
  for (guint i = 0; i < names->len; i++) {
    const char *name = g_ptr_array_index (names, i);
    g_autofree char *below = *path ? g_build_filename (path, name, NULL) : g_strdup (name);

    if (!walk_entry (walk, below, name, depth, label, folders_are_classes, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
open_folder (SeedImageSet *set, const struct stat *st, SeedImageLabels labels, GError **error)
{
  g_autoptr (GHashTable) visited = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Walk walk = { set, visited, 0 };

  visit (&walk, st);
  if (!walk_folder (&walk, "", 0, -1, labels == SEED_IMAGE_LABELS_FOLDERS, error))
    return FALSE;
  if (set->images->len > 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
      "%s: no image in this folder or below it (%u other files); names must end in .jpg, .png, "
      ".gif, .bmp, .webp or .tif",
      set->root, set->n_ignored);
  return FALSE;
}

/* --- list files ------------------------------------------------------------------------------- */

/* Splits "path,label" in place; NULL: no label. */
static char *
split_label (char *line)
{
  char *comma = strrchr (line, ',');

  if (!comma)
    return NULL;
  *comma = '\0';
  return comma[1] ? comma + 1 : NULL;
}

static gboolean
add_line (SeedImageSet *set, char *line, guint number, GPtrArray *labels, GError **error)
{
  gsize length = strlen (line);
  char *label;

  if (length > 0 && line[length - 1] == '\r')
    line[length - 1] = '\0';
  if (*line == '\0')
    return TRUE;
  if (set->images->len == SEED_IMAGE_SET_MAX)
    return too_many (error, "the list");
  label = split_label (line);
  if (*line == '\0') {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "line %u of the list: the path is missing; write path,label", number);
    return FALSE;
  }
  add_image (set, line, -1);
  g_ptr_array_add (labels, label ? g_string_chunk_insert_const (set->chunk, label) : NULL);
  return TRUE;
}

static gboolean
all_numbers (GPtrArray *labels)
{
  for (guint i = 0; i < labels->len; i++) {
    const char *label = g_ptr_array_index (labels, i);

    if (label && !g_ascii_string_to_unsigned (label, 10, 0, G_MAXINT32, NULL, NULL))
      return FALSE;
  }
  return TRUE;
}

static void
name_classes (SeedImageSet *set, GPtrArray *labels)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();

  for (guint i = 0; i < labels->len; i++) {
    char *label = g_ptr_array_index (labels, i);

    if (label && g_hash_table_add (seen, label))
      g_ptr_array_add (sorted, label);
  }
  g_ptr_array_sort (sorted, compare_names);
  for (guint i = 0; i < sorted->len; i++)
    g_hash_table_insert (seen, g_ptr_array_index (sorted, i),
        GINT_TO_POINTER (add_class (set, g_ptr_array_index (sorted, i))));
  for (guint i = 0; i < labels->len; i++) {
    char *label = g_ptr_array_index (labels, i);

    if (label)
      g_array_index (set->images, Image, i).label =
          GPOINTER_TO_INT (g_hash_table_lookup (seen, label));
  }
}

static void
number_classes (SeedImageSet *set, GPtrArray *labels)
{
  for (guint i = 0; i < labels->len; i++) {
    const char *label = g_ptr_array_index (labels, i);

    if (label)
      g_array_index (set->images, Image, i).label = (gint32) g_ascii_strtoull (label, NULL, 10);
  }
}

static gboolean
open_list (SeedImageSet *set, const char *location, const struct stat *st, SeedImageLabels wanted,
    GError **error)
{
  g_autoptr (GPtrArray) labels = g_ptr_array_new ();
  g_autoptr (GError) local = NULL;
  g_autofree char *text = NULL;
  gsize length;
  guint number = 0;

  if (st->st_size > MAX_LIST_BYTES)
    return too_many (error, location);
  if (!g_file_get_contents (location, &text, &length, &local)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s", local->message);
    return FALSE;
  }
  if (memchr (text, '\0', length)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s: not a list of images (it holds a NUL byte); write one path,label a line", location);
    return FALSE;
  }
  for (char *line = text, *end; line; line = end) {
    end = strchr (line, '\n');
    if (end)
      *end++ = '\0';
    if (!add_line (set, line, ++number, labels, error))
      return FALSE;
  }
  if (wanted == SEED_IMAGE_LABELS_FOLDERS && all_numbers (labels))
    number_classes (set, labels);
  else if (wanted == SEED_IMAGE_LABELS_FOLDERS)
    name_classes (set, labels);
  if (set->images->len > 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND, "%s: the list is empty", location);
  return FALSE;
}

/* --- the set ---------------------------------------------------------------------------------- */

SeedImageSet *
seed_image_set_open (const char *location, SeedImageLabels labels, GError **error)
{
  g_autoptr (SeedImageSet) set = g_new0 (SeedImageSet, 1);
  gboolean ok, is_folder;
  struct stat st;

  set->chunk = g_string_chunk_new (64 * 1024);
  set->images = g_array_new (FALSE, FALSE, sizeof (Image));
  set->classes = g_ptr_array_new_with_free_func (g_free);
  set->problems = g_ptr_array_new_with_free_func (g_free);
  if (g_stat (location, &st) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: %s; give a folder of images or a list file",
        location, g_strerror (errno));
    return NULL;
  }
  is_folder = S_ISDIR (st.st_mode);
  if (!is_folder && !S_ISREG (st.st_mode)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "%s: neither a folder nor a file; give a folder of images or a list file", location);
    return NULL;
  }
  set->root = is_folder ? g_strdup (location) : g_path_get_dirname (location);
  ok = is_folder ? open_folder (set, &st, labels, error)
                 : open_list (set, location, &st, labels, error);
  if (!ok)
    return NULL;
  g_ptr_array_add (set->classes, NULL);
  g_ptr_array_add (set->problems, NULL);
  return g_steal_pointer (&set);
}

void
seed_image_set_free (SeedImageSet *set)
{
  if (!set)
    return;
  g_free (set->root);
  g_string_chunk_free (set->chunk);
  g_array_unref (set->images);
  g_ptr_array_unref (set->classes);
  g_ptr_array_unref (set->problems);
  g_free (set);
}

guint
seed_image_set_n_images (const SeedImageSet *set)
{
  return set->images->len;
}

char *
seed_image_set_dup_path (const SeedImageSet *set, guint image)
{
  const char *path = g_array_index (set->images, Image, image).path;

  return g_path_is_absolute (path) ? g_strdup (path) : g_build_filename (set->root, path, NULL);
}

gint32
seed_image_set_get_label (const SeedImageSet *set, guint image)
{
  return g_array_index (set->images, Image, image).label;
}

const char *const *
seed_image_set_get_classes (const SeedImageSet *set)
{
  return (const char *const *) set->classes->pdata;
}

const char *const *
seed_image_set_get_problems (const SeedImageSet *set)
{
  return (const char *const *) set->problems->pdata;
}

guint
seed_image_set_n_ignored (const SeedImageSet *set)
{
  return set->n_ignored;
}

/* --- order ------------------------------------------------------------------------------------ */

void
seed_image_order (guint32 *order, guint n, gboolean shuffle, guint64 seed, guint64 epoch)
{
  SeedRng rng;

  for (guint i = 0; i < n; i++)
    order[i] = i;
  if (!shuffle)
    return;
  seed_rng_init (&rng, seed_hash (seed, epoch));
  for (guint i = n; i > 1; i--) {
    guint j = (guint) seed_rng_below (&rng, i);
    guint32 swap = order[i - 1];

    order[i - 1] = order[j];
    order[j] = swap;
  }
}

void
seed_image_cursor_init (
    SeedImageCursor *cursor, guint n, guint64 n_epochs, gboolean shuffle, guint64 seed)
{
  g_return_if_fail (n > 0);
  *cursor = (SeedImageCursor){ .n = n, .n_epochs = n_epochs, .shuffle = shuffle, .seed = seed };
  cursor->order = g_new (guint32, n);
  seed_image_order (cursor->order, n, shuffle, seed, 0);
}

void
seed_image_cursor_clear (SeedImageCursor *cursor)
{
  g_clear_pointer (&cursor->order, g_free);
}

void
seed_image_cursor_seek (SeedImageCursor *cursor, guint64 epoch, guint index)
{
  g_return_if_fail (index < cursor->n);
  if (epoch != cursor->epoch)
    seed_image_order (cursor->order, cursor->n, cursor->shuffle, cursor->seed, epoch);
  cursor->epoch = epoch;
  cursor->index = index;
}

gboolean
seed_image_cursor_next (SeedImageCursor *cursor, guint *image)
{
  if (cursor->n_epochs > 0 && cursor->epoch >= cursor->n_epochs)
    return FALSE;
  *image = cursor->order[cursor->index];
  if (cursor->index + 1 < cursor->n)
    cursor->index++;
  else
    seed_image_cursor_seek (cursor, cursor->epoch + 1, 0);
  return TRUE;
}
