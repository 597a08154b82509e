/* SPDX-License-Identifier: MIT */
#include "source/imageset-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <seed/error.h>

#include "source/imagefile.h"
#include "source/tar.h"

#define MAX_PROBLEMS 100

/* --- bits ------------------------------------------------------------------------------------- */

static const char *const endings[] = { ".jpg", ".jpeg", ".jpe", ".png", ".gif", ".bmp", ".webp",
  ".tif", ".tiff" };

gboolean
seed_is_image_name (const char *name)
{
  gsize length = strlen (name);

  for (guint i = 0; i < G_N_ELEMENTS (endings); i++) {
    gsize n = strlen (endings[i]);

    if (length > n && g_ascii_strcasecmp (name + length - n, endings[i]) == 0)
      return TRUE;
  }
  return FALSE;
}

int
seed_compare_paths (const char *a, const char *b)
{
  while (*a && *a == *b) {
    a++;
    b++;
  }
  if (*a == *b)
    return 0;
  if (*a == '/' || *b == '/') /* the end of a name comes before everything that goes on */
    return *a == '\0' ? -1 : *b == '\0' ? 1 : *a == '/' ? -1 : 1;
  return (guint8) *a < (guint8) *b ? -1 : 1;
}

SeedImageEntry *
seed_image_set_entry (const SeedImageSet *set, guint image)
{
  return &g_array_index (set->images, SeedImageEntry, image);
}

gboolean
seed_image_set_add (SeedImageSet *set, const SeedImageEntry *entry, GError **error)
{
  SeedImageEntry copy = *entry;

  if (set->images->len == SEED_IMAGE_SET_MAX) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "more than %u images; split them into several sets", SEED_IMAGE_SET_MAX);
    return FALSE;
  }
  copy.path = g_string_chunk_insert (set->chunk, entry->path);
  g_array_append_val (set->images, copy);
  return TRUE;
}

guint
seed_image_set_add_store (SeedImageSet *set, int fd, const char *name)
{
  SeedImageStore store = { fd, g_filename_display_name (name) };

  g_array_append_val (set->stores, store);
  return set->stores->len;
}

gssize
seed_image_store_read (const SeedImageSet *set, guint store, guint64 offset, void *data, gsize size)
{
  int fd = g_array_index (set->stores, SeedImageStore, store - 1).fd;
  gsize done = 0;

  while (done < size) {
    gssize n = pread (fd, (guint8 *) data + done, size - done, (off_t) (offset + done));

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0)
      break;
    done += (gsize) n;
  }
  return (gssize) done;
}

gint32
seed_image_set_add_class (SeedImageSet *set, const char *name)
{
  g_ptr_array_add (set->classes, g_filename_display_name (name));
  return (gint32) set->classes->len - 1;
}

void
seed_image_set_note (SeedImageSet *set, const char *path, const char *why)
{
  g_autofree char *shown = g_filename_display_name (path);

  if (set->problems->len < MAX_PROBLEMS)
    g_ptr_array_add (set->problems, g_strdup_printf ("%s: %s; left out", shown, why));
}

/* --- what a location is ----------------------------------------------------------------------- */

typedef struct {
  char *location;
  char *inside; /* an archive at location, or NULL */
  struct stat st;
  guint8 head[SEED_TAR_BLOCK];
  gsize n; /* bytes of head */
} Place;

static void
place_clear (Place *place)
{
  g_free (place->location);
  g_free (place->inside);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

/* stat, with paths that go on behind a file: "set.tar/train" is train in set.tar. */
static gboolean
find_place (Place *place)
{
  g_autofree char *path = g_strdup (place->location);
  char *slash;

  while (g_stat (path, &place->st) < 0) {
    slash = strrchr (path, '/');
    if (errno != ENOTDIR || !slash || slash == path)
      return FALSE;
    *slash = '\0';
  }
  place->inside = seed_tar_clean_name (place->location + strlen (path));
  place->location[strlen (path)] = '\0';
  return TRUE;
}

static gboolean
look_at (Place *place, GError **error)
{
  g_autofree char *shown = g_filename_display_name (place->location);
  int fd;

  if (!find_place (place)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
        "%s: %s; give a folder of images, a tar file, CIFAR batches or a list file", shown,
        g_strerror (errno));
    return FALSE;
  }
  if (S_ISDIR (place->st.st_mode))
    return TRUE;
  if (!S_ISREG (place->st.st_mode)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "%s: neither a folder nor a file; give a folder of images, a tar file, CIFAR batches or a "
        "list file",
        shown);
    return FALSE;
  }
  fd = g_open (place->location, O_RDONLY | O_CLOEXEC, 0);
  if (fd >= 0) {
    gssize n = pread (fd, place->head, sizeof place->head, 0);

    place->n = n > 0 ? (gsize) n : 0;
    close (fd);
    return TRUE;
  }
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: %s", shown, g_strerror (errno));
  return FALSE;
}

/* The kind of archive that is not read, or NULL. */
static const char *
foreign_archive (const Place *place)
{
  static const struct {
    const char *name;
    guint n;
    guint8 magic[6];
  } kinds[] = {
    { "xz", 6, { 0xfd, '7', 'z', 'X', 'Z', 0 } },
    { "zstd", 4, { 0x28, 0xb5, 0x2f, 0xfd } },
    { "bzip2", 3, { 'B', 'Z', 'h' } },
    { "zip", 4, { 'P', 'K', 3, 4 } },
    { "7z", 6, { '7', 'z', 0xbc, 0xaf, 0x27, 0x1c } },
    { "rar", 4, { 'R', 'a', 'r', '!' } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    if (place->n >= kinds[i].n && memcmp (place->head, kinds[i].magic, kinds[i].n) == 0)
      return kinds[i].name;
  }
  return NULL;
}

static gboolean
is_tar (const Place *place)
{
  return g_str_has_suffix (place->location, ".tar") ||
         (place->n == SEED_TAR_BLOCK && seed_tar_is_header (place->head));
}

static gboolean
open_batch (SeedImageSet *set, const char *location, GError **error)
{
  g_autofree char *name = g_path_get_basename (location);
  const char *names[] = { name };

  set->root = g_path_get_dirname (location);
  return seed_image_set_open_batch_files (set, names, 1, error);
}

static gboolean
open_list (SeedImageSet *set, const Place *place, const char *captions, GError **error)
{
  struct stat st;
  gboolean same = captions && g_stat (captions, &st) == 0 && st.st_dev == place->st.st_dev &&
                  st.st_ino == place->st.st_ino;
  g_autoptr (SeedTable) table = seed_table_load (place->location, error);

  if (!table)
    return FALSE;
  if (!seed_image_set_open_list (set, table, same, error))
    return FALSE;
  return !same || seed_image_set_take_captions (set, g_steal_pointer (&table), error);
}

static gboolean
open_place (SeedImageSet *set, const Place *place, const char *captions, GError **error)
{
  const char *foreign = foreign_archive (place);

  if (S_ISDIR (place->st.st_mode)) {
    set->root = g_strdup (place->location);
    return seed_image_set_open_folder (set, &place->st, error);
  }
  if (foreign) {
    g_autofree char *shown = g_filename_display_name (place->location);

    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "%s: packed with %s, which is not read; make it a plain tar or a tar.gz", shown, foreign);
    return FALSE;
  }
  if (seed_bytes_are_gzip (place->head, place->n) || is_tar (place)) {
    set->root = g_strdup (place->location);
    return seed_image_set_open_tar (
        set, place->location, place->inside, seed_bytes_are_gzip (place->head, place->n), error);
  }
  if (place->inside) {
    g_autofree char *shown = g_filename_display_name (place->location);

    g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
        "%s: neither a folder nor a tar file, so there is no %s in it", shown, place->inside);
    return FALSE;
  }
  if (seed_is_batch_name (place->location))
    return open_batch (set, place->location, error);
  return open_list (set, place, captions, error);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void
forget_labels (SeedImageSet *set)
{
  for (guint i = 0; i < set->images->len; i++)
    seed_image_set_entry (set, i)->label = -1;
  g_ptr_array_set_size (set->classes, 0);
}

static gboolean
apply_labels (SeedImageSet *set, const char *labels, GError **error)
{
  if (!labels || g_str_equal (labels, "folders"))
    return TRUE;
  if (!g_str_equal (labels, "none"))
    return seed_image_set_load_labels (set, labels, error);
  forget_labels (set);
  return TRUE;
}

static gboolean
apply_captions (SeedImageSet *set, const char *captions, GError **error)
{
  g_autoptr (SeedTable) table = NULL;

  if (!captions || set->captions)
    return TRUE;
  table = seed_table_load (captions, error);
  if (!table || !seed_table_split_captions (table, error))
    return FALSE;
  return seed_image_set_take_captions (set, g_steal_pointer (&table), error);
}

static void
store_clear (gpointer data)
{
  SeedImageStore *store = data;

  close (store->fd);
  g_free (store->name);
}

SeedImageSet *
seed_image_set_open (const char *location, const char *labels, const char *captions, GError **error)
{
  g_autoptr (SeedImageSet) set = g_new0 (SeedImageSet, 1);
  g_auto (Place) place = { .location = g_strdup (location) };

  set->chunk = g_string_chunk_new (64 * 1024);
  set->images = g_array_new (FALSE, FALSE, sizeof (SeedImageEntry));
  set->stores = g_array_new (FALSE, FALSE, sizeof (SeedImageStore));
  g_array_set_clear_func (set->stores, store_clear);
  set->classes = g_ptr_array_new_with_free_func (g_free);
  set->problems = g_ptr_array_new_with_free_func (g_free);
  if (captions && *captions == '\0')
    captions = NULL;
  if (!look_at (&place, error) || !open_place (set, &place, captions, error) ||
      !apply_labels (set, labels, error) || !apply_captions (set, captions, error))
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
  g_array_unref (set->stores);
  g_ptr_array_unref (set->classes);
  g_ptr_array_unref (set->problems);
  seed_table_free (set->captions);
  g_free (set->first_caption);
  g_free (set->caption_texts);
  g_free (set);
}

/* --- images ----------------------------------------------------------------------------------- */

static char *
dup_path (const SeedImageSet *set, const SeedImageEntry *entry)
{
  return g_path_is_absolute (entry->path) ? g_strdup (entry->path)
                                          : g_build_filename (set->root, entry->path, NULL);
}

char *
seed_image_set_dup_name (const SeedImageSet *set, guint image)
{
  const SeedImageEntry *entry = seed_image_set_entry (set, image);
  g_autofree char *path = NULL;

  if (entry->store == 0 || entry->coding == SEED_IMAGE_PLANES) {
    path = dup_path (set, entry);
    return g_filename_display_name (path);
  }
  path = g_filename_display_name (entry->path);
  return g_strdup_printf (
      "%s: %s", g_array_index (set->stores, SeedImageStore, entry->store - 1).name, path);
}

static gboolean
refuse (const SeedImageSet *set, guint image, SeedErrorCode code, const char *why, GError **error)
{
  g_autofree char *name = seed_image_set_dup_name (set, image);

  g_set_error (error, SEED_ERROR, code, "%s: %s", name, why);
  return FALSE;
}

static GBytes *
read_stored (const SeedImageSet *set, guint image, GError **error)
{
  const SeedImageEntry *entry = seed_image_set_entry (set, image);
  g_autofree guint8 *data = NULL;
  gssize n;

  if (entry->size == 0) {
    refuse (set, image, SEED_ERROR_FORMAT, "the file is empty", error);
    return NULL;
  }
  data = g_try_malloc (entry->size);
  n = data ? seed_image_store_read (set, entry->store, entry->offset, data, entry->size) : -1;
  if (n < 0) {
    refuse (set, image, SEED_ERROR_IO, g_strerror (data ? errno : ENOMEM), error);
    return NULL;
  }
  if (n < (gssize) entry->size) {
    refuse (set, image, SEED_ERROR_FORMAT, "the archive is cut short within it", error);
    return NULL;
  }
  return g_bytes_new_take (g_steal_pointer (&data), entry->size);
}

GBytes *
seed_image_set_read (const SeedImageSet *set, guint image, SeedImageCoding *coding, GError **error)
{
  const SeedImageEntry *entry = seed_image_set_entry (set, image);
  g_autoptr (GBytes) bytes = NULL;

  *coding = (SeedImageCoding) entry->coding;
  if (entry->store == 0) {
    g_autofree char *path = dup_path (set, entry);

    return seed_image_file_read (path, error);
  }
  if (entry->refused) {
    refuse (set, image, SEED_ERROR_FORMAT, entry->refused, error);
    return NULL;
  }
  bytes = read_stored (set, image, error);
  if (bytes && entry->coding == SEED_IMAGE_ENCODED && seed_image_is_cut_jpeg (bytes)) {
    refuse (set, image, SEED_ERROR_FORMAT, "the JPEG is cut short; get it again", error);
    return NULL;
  }
  return g_steal_pointer (&bytes);
}

guint
seed_image_set_n_images (const SeedImageSet *set)
{
  return set->images->len;
}

const char *
seed_image_set_get_path (const SeedImageSet *set, guint image)
{
  return seed_image_set_entry (set, image)->path;
}

gint32
seed_image_set_get_label (const SeedImageSet *set, guint image)
{
  return seed_image_set_entry (set, image)->label;
}

const char *const *
seed_image_set_get_captions (const SeedImageSet *set, guint image, guint *n)
{
  if (!set->captions) {
    *n = 0;
    return NULL;
  }
  *n = set->first_caption[image + 1] - set->first_caption[image];
  return set->caption_texts + set->first_caption[image];
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

guint
seed_image_set_n_captioned (const SeedImageSet *set)
{
  return set->n_captioned;
}
