/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "source/imageset-private.h"

#define AMBIGUOUS G_MAXUINT32
#define NOT_FOUND (G_MAXUINT32 - 1)

/* --- labels in words -------------------------------------------------------------------------- */

static int
compare_texts (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static gboolean
all_numbers (const char *const *labels, guint n)
{
  for (guint i = 0; i < n; i++) {
    if (labels[i] && !g_ascii_string_to_unsigned (labels[i], 10, 0, G_MAXINT32, NULL, NULL))
      return FALSE;
  }
  return TRUE;
}

static gboolean
name_classes (SeedImageSet *set, const char *const *labels, guint n, GError **error)
{
  g_autoptr (GHashTable) known = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();

  for (guint i = 0; i < n; i++) {
    if (labels[i] && g_hash_table_add (known, (gpointer) labels[i]))
      g_ptr_array_add (sorted, (gpointer) labels[i]);
  }
  if (sorted->len > SEED_IMAGE_SET_MAX_CLASSES) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "%u different labels; more than %u are hardly classes (captions are named by captions)",
        sorted->len, SEED_IMAGE_SET_MAX_CLASSES);
    return FALSE;
  }
  g_ptr_array_sort (sorted, compare_texts);
  for (guint i = 0; i < sorted->len; i++)
    g_hash_table_insert (known, sorted->pdata[i],
        GINT_TO_POINTER (seed_image_set_add_class (set, sorted->pdata[i])));
  for (guint i = 0; i < n; i++)
    seed_image_set_entry (set, i)->label =
        labels[i] ? GPOINTER_TO_INT (g_hash_table_lookup (known, labels[i])) : -1;
  return TRUE;
}

gboolean
seed_image_set_label_by_text (SeedImageSet *set, const char *const *labels, GError **error)
{
  guint n = set->images->len;

  g_ptr_array_set_size (set->classes, 0);
  if (!all_numbers (labels, n))
    return name_classes (set, labels, n, error);
  for (guint i = 0; i < n; i++)
    seed_image_set_entry (set, i)->label =
        labels[i] ? (gint32) g_ascii_strtoull (labels[i], NULL, 10) : -1;
  return TRUE;
}

/* --- images by name --------------------------------------------------------------------------- */

typedef struct {
  const SeedImageSet *set;
  GHashTable *paths; /* -> index + 1 */
  GHashTable *names; /* last parts of paths -> index + 1, or AMBIGUOUS */
  guint n_missing;
  guint first_missing; /* row */
} Names;

static const char *
last_part (const char *path)
{
  const char *slash = strrchr (path, '/');

  return slash ? slash + 1 : path;
}

static void
names_init (Names *names, const SeedImageSet *set)
{
  *names = (Names){ .set = set,
    .paths = g_hash_table_new (g_str_hash, g_str_equal),
    .names = g_hash_table_new (g_str_hash, g_str_equal) };
  for (guint i = 0; i < set->images->len; i++) {
    const char *path = seed_image_set_entry (set, i)->path;
    gpointer index = GUINT_TO_POINTER (i + 1);

    g_hash_table_insert (names->paths, (gpointer) path, index);
    if (g_hash_table_contains (names->names, last_part (path)))
      index = GUINT_TO_POINTER (AMBIGUOUS);
    g_hash_table_insert (names->names, (gpointer) last_part (path), index);
  }
}

static void
names_clear (Names *names)
{
  g_hash_table_unref (names->paths);
  g_hash_table_unref (names->names);
}

/* An image's index, NOT_FOUND or AMBIGUOUS. */
static guint
names_find (const Names *names, const char *path)
{
  gsize n = strlen (names->set->root);
  guint found;

  while (g_str_has_prefix (path, "./"))
    path += 2;
  if (g_path_is_absolute (path) && strncmp (path, names->set->root, n) == 0 && path[n] == '/')
    path += n + 1;
  found = GPOINTER_TO_UINT (g_hash_table_lookup (names->paths, path));
  if (found == 0)
    found = GPOINTER_TO_UINT (g_hash_table_lookup (names->names, last_part (path)));
  return found == AMBIGUOUS ? AMBIGUOUS : found == 0 ? NOT_FOUND : found - 1;
}

/* The image of each row, or NOT_FOUND. NULL: an error. Free with g_free. */
static guint32 *
find_images (Names *names, const SeedTable *table, GError **error)
{
  guint n = seed_table_n_rows (table);
  g_autofree guint32 *images = g_new (guint32, n + 1);

  for (guint i = 0; i < n; i++) {
    images[i] = names_find (names, seed_table_key (table, i));
    if (images[i] == AMBIGUOUS) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
          "%s:%u: several images are called \"%s\"; write the path below the location",
          seed_table_name (table), seed_table_line (table, i), seed_table_key (table, i));
      return NULL;
    }
    if (images[i] == NOT_FOUND && names->n_missing++ == 0)
      names->first_missing = i;
  }
  if (n == 0 || names->n_missing == n) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
        n > 0 ? "%s:%u: \"%s\" is not an image of %s, nor is any other of its %u lines"
              : "%s: the file is empty",
        seed_table_name (table), n > 0 ? seed_table_line (table, 0) : 0,
        n > 0 ? seed_table_key (table, 0) : "", names->set->root, n);
    return NULL;
  }
  return g_steal_pointer (&images);
}

static void
note_missing (SeedImageSet *set, const Names *names, const SeedTable *table)
{
  g_autofree char *why = NULL;

  if (names->n_missing == 0)
    return;
  why = g_strdup_printf ("%u of %u lines name no image of the set, the first on line %u (\"%s\")",
      names->n_missing, seed_table_n_rows (table), seed_table_line (table, names->first_missing),
      seed_table_key (table, names->first_missing));
  seed_image_set_note (set, seed_table_name (table), why);
}

/* --- a file of labels ------------------------------------------------------------------------- */

static gboolean
label_by_path (SeedImageSet *set, SeedTable *table, GError **error)
{
  g_autofree const char **labels = g_new0 (const char *, set->images->len + 1);
  g_autofree guint32 *images = NULL;
  Names names;

  if (!seed_table_split_labels (table, error))
    return FALSE;
  names_init (&names, set);
  images = find_images (&names, table, error);
  if (images)
    note_missing (set, &names, table);
  names_clear (&names);
  if (!images)
    return FALSE;
  for (guint i = 0; i < seed_table_n_rows (table); i++) {
    const char *label = seed_table_value (table, i);

    if (images[i] == NOT_FOUND || !label)
      continue;
    if (labels[images[i]] && !g_str_equal (labels[images[i]], label)) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
          "%s:%u: \"%s\" is labelled \"%s\", and \"%s\" on a line before", seed_table_name (table),
          seed_table_line (table, i), seed_table_key (table, i), label, labels[images[i]]);
      return FALSE;
    }
    labels[images[i]] = label;
  }
  return seed_image_set_label_by_text (set, labels, error);
}

/* Rows by what they say; NULL: two say the same. */
static GHashTable *
distinct_rows (const SeedTable *table)
{
  g_autoptr (GHashTable) rows = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < seed_table_n_rows (table); i++) {
    if (!g_hash_table_insert (rows, (gpointer) seed_table_key (table, i), GUINT_TO_POINTER (i + 1)))
      return NULL;
  }
  return g_steal_pointer (&rows);
}

static gboolean
all_classes_are_in (const SeedImageSet *set, GHashTable *rows, const char **missing)
{
  for (guint i = 0; i < set->classes->len; i++) {
    *missing = set->classes->pdata[i];
    if (!g_hash_table_contains (rows, *missing))
      return FALSE;
  }
  return TRUE;
}

static gint32
largest_label (const SeedImageSet *set)
{
  gint32 largest = -1;

  for (guint i = 0; i < set->images->len; i++)
    largest = MAX (largest, seed_image_set_entry (set, i)->label);
  return largest;
}

/* The row of a class's name is its new label; labels without names get the names. */
static gboolean
order_classes (SeedImageSet *set, const SeedTable *table, GHashTable *rows, GError **error)
{
  const char *missing;

  if (!all_classes_are_in (set, rows, &missing)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH, "%s: no line names the class \"%s\"",
        seed_table_name (table), missing);
    return FALSE;
  }
  for (guint i = 0; set->classes->len > 0 && i < set->images->len; i++) {
    SeedImageEntry *entry = seed_image_set_entry (set, i);

    if (entry->label >= 0)
      entry->label = (gint32) GPOINTER_TO_UINT (
                         g_hash_table_lookup (rows, set->classes->pdata[entry->label])) -
                     1;
  }
  g_ptr_array_set_size (set->classes, 0);
  for (guint i = 0; i < seed_table_n_rows (table); i++)
    seed_image_set_add_class (set, seed_table_key (table, i));
  return TRUE;
}

/* One column: names of the classes there are, or a label for each image. */
static gboolean
label_by_column (SeedImageSet *set, const SeedTable *table, GError **error)
{
  guint n = seed_table_n_rows (table), n_images = set->images->len;
  g_autoptr (GHashTable) rows = distinct_rows (table);
  gint32 largest = largest_label (set);
  const char *missing;

  if (rows && largest >= 0 && largest < (gint32) n && n <= SEED_IMAGE_SET_MAX_CLASSES &&
      (n != n_images || (set->classes->len > 0 && all_classes_are_in (set, rows, &missing))))
    return order_classes (set, table, rows, error);
  if (n == n_images) {
    g_autofree const char **labels = g_new (const char *, n + 1);

    for (guint i = 0; i < n; i++)
      labels[i] = seed_table_key (table, i);
    return seed_image_set_label_by_text (set, labels, error);
  }
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
      "%s: %u lines are neither a label for each of the %u images nor names for labels up to %d; "
      "write path<TAB>label, one name a class, or one label an image",
      seed_table_name (table), n, n_images, largest);
  return FALSE;
}

gboolean
seed_image_set_load_labels (SeedImageSet *set, const char *path, GError **error)
{
  g_autoptr (SeedTable) table = seed_table_load (path, error);

  if (!table)
    return FALSE;
  if (seed_table_has_tabs (table))
    return label_by_path (set, table, error);
  return seed_table_check_text (table, error) && label_by_column (set, table, error);
}

/* --- captions --------------------------------------------------------------------------------- */

/* Rows sorted by image, in the order of the file: counts, their sums, places. */
static void
sort_captions (SeedImageSet *set, const SeedTable *table, const guint32 *images)
{
  guint n = set->images->len, n_rows = seed_table_n_rows (table);
  g_autofree guint32 *next = NULL;

  set->first_caption = g_new0 (guint32, n + 1);
  set->caption_texts = g_new (const char *, n_rows + 1);
  for (guint i = 0; i < n_rows; i++) {
    if (images[i] != NOT_FOUND)
      set->first_caption[images[i] + 1]++;
  }
  for (guint i = 0; i < n; i++) {
    set->n_captioned += set->first_caption[i + 1] > 0;
    set->first_caption[i + 1] += set->first_caption[i];
  }
  next = g_memdup2 (set->first_caption, n * sizeof *next);
  for (guint i = 0; i < n_rows; i++) {
    if (images[i] != NOT_FOUND)
      set->caption_texts[next[images[i]]++] = seed_table_value (table, i);
  }
}

gboolean
seed_image_set_take_captions (SeedImageSet *set, SeedTable *table, GError **error)
{
  g_autofree guint32 *images = NULL;
  Names names;

  set->captions = table;
  names_init (&names, set);
  images = find_images (&names, table, error);
  if (images) {
    note_missing (set, &names, table);
    sort_captions (set, table, images);
  }
  names_clear (&names);
  return images != NULL;
}
