/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <seed/error.h>

#include "source/imagefile.h"
#include "source/imageset-private.h"
#include "source/tar.h"

#define MAX_TEXT (64 * 1024) /* of a file that names classes */

typedef struct {
  char *path;
  guint64 offset, size; /* in the store */
} Member;

typedef struct {
  SeedImageSet *set;
  const char *location;
  const char *inside; /* the member or folder that is wanted, or NULL */
  SeedTarReader *reader;
  GArray *members;     /* of Member: images and batches */
  GHashTable *by_name; /* path -> index of it */
  GPtrArray *texts;    /* path, bytes, path, bytes, ... of files that name classes */
  guint store;         /* where the data is: the archive, or what was unpacked */
  int spool;           /* to unpack into, or -1: the archive is read in place */
  guint64 spooled;
  guint n_entries;
} Index;

static void
member_clear (gpointer member)
{
  g_free (((Member *) member)->path);
}

static void
refuse (Index *index, const char *name, const char *why)
{
  g_autofree char *full = g_strdup_printf ("%s: %s", index->location, name);

  index->set->n_ignored++;
  seed_image_set_note (index->set, full, why);
}

static gboolean
is_hidden (const char *path)
{
  return *path == '.' || strstr (path, "/.");
}

/* --- unpacking -------------------------------------------------------------------------------- */

static gboolean
cannot_unpack (Index *index, GError **error)
{
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
      "%s: cannot be unpacked into %s: %s; set TMPDIR to a folder with more room, or give a plain "
      "tar, which is read in place",
      index->location, g_get_tmp_dir (), g_strerror (errno));
  return FALSE;
}

/* A file without a name: it goes when it is closed, however the process ends. */
static gboolean
open_spool (Index *index, GError **error)
{
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "seed-unpacked-XXXXXX", NULL);

  index->spool = g_mkstemp_full (path, O_RDWR | O_CLOEXEC, 0600);
  if (index->spool < 0)
    return cannot_unpack (index, error);
  g_unlink (path);
  index->store = seed_image_set_add_store (index->set, index->spool, index->location);
  return TRUE;
}

static gboolean
write_all (int fd, const guint8 *data, gsize size)
{
  while (size > 0) {
    gssize n = write (fd, data, size);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return FALSE;
    data += n;
    size -= (gsize) n;
  }
  return TRUE;
}

/* Copies the member's data; what is missing at the end is found out when it is read. @damage is
 * what is wrong with the archive, @error with the disc. */
static gboolean
spool_member (Index *index, Member *member, GError **damage, GError **error)
{
  guint8 block[64 * 1024];
  gssize n;

  member->offset = index->spooled;
  while ((n = seed_tar_reader_read (index->reader, block, sizeof block, damage)) > 0) {
    if (!write_all (index->spool, block, (gsize) n))
      return cannot_unpack (index, error);
    index->spooled += (guint64) n;
  }
  return TRUE;
}

/* --- members ---------------------------------------------------------------------------------- */

/* A later member of the same name takes the place of the earlier one, as it would on a disc. */
static void
keep (Index *index, Member *member)
{
  gpointer known;

  if (g_hash_table_lookup_extended (index->by_name, member->path, NULL, &known)) {
    Member *old = &g_array_index (index->members, Member, GPOINTER_TO_UINT (known));

    old->offset = member->offset;
    old->size = member->size;
    g_free (g_steal_pointer (&member->path));
    return;
  }
  g_hash_table_insert (index->by_name, member->path, GUINT_TO_POINTER (index->members->len));
  g_array_append_val (index->members, *member);
}

static void
keep_text (Index *index, const SeedTarMember *member, const char *path, GError **damage)
{
  g_autofree char *text = g_malloc (MAX_TEXT);
  gssize n;

  if (member->size > MAX_TEXT)
    return;
  n = seed_tar_reader_read (index->reader, text, MAX_TEXT, damage);
  if (n < (gssize) member->size)
    return;
  g_ptr_array_add (index->texts, g_bytes_new (path, strlen (path) + 1));
  g_ptr_array_add (index->texts, g_bytes_new (text, (gsize) n));
}

static gboolean
take_file (
    Index *index, const SeedTarMember *found, const char *path, GError **damage, GError **error)
{
  Member member = { .offset = found->offset, .size = found->size };

  if (found->refused) {
    refuse (index, path, found->refused);
    return TRUE;
  }
  if (found->size > SEED_IMAGE_FILE_MAX_BYTES) {
    refuse (index, path, "larger than 256 MiB");
    return TRUE;
  }
  if (index->spool >= 0 && !spool_member (index, &member, damage, error))
    return FALSE;
  member.path = g_strdup (path);
  keep (index, &member);
  return TRUE;
}

static void
take_link (Index *index, const SeedTarMember *found, const char *path)
{
  g_autofree char *target = seed_tar_clean_name (found->target);
  Member member = { 0 };
  gpointer known;

  if (!target || !g_hash_table_lookup_extended (index->by_name, target, NULL, &known)) {
    refuse (index, path, "a link to nothing before it");
    return;
  }
  member = g_array_index (index->members, Member, GPOINTER_TO_UINT (known));
  member.path = g_strdup (path);
  keep (index, &member);
}

static gboolean
take_member (Index *index, const SeedTarMember *found, GError **damage, GError **error)
{
  g_autofree char *path = seed_tar_clean_name (found->name);
  gboolean is_wanted;

  if (found->kind == SEED_TAR_FOLDER)
    return TRUE;
  if (!path) {
    refuse (index, found->name, "its name leads out of the archive, or is none");
    return TRUE;
  }
  is_wanted = seed_is_image_name (path) || seed_is_batch_name (path);
  if (is_hidden (path))
    return TRUE;
  if (found->kind == SEED_TAR_FILE && seed_is_batch_classes_name (path))
    keep_text (index, found, path, damage);
  else if (!is_wanted)
    index->set->n_ignored++;
  else if (found->kind == SEED_TAR_FILE)
    return take_file (index, found, path, damage, error);
  else if (found->kind == SEED_TAR_HARD_LINK)
    take_link (index, found, path);
  else
    refuse (index, path,
        found->kind == SEED_TAR_SYMBOLIC_LINK ? "a symbolic link" : "neither a file nor a link");
  return TRUE;
}

/* What is damaged ends the index; what came before it is good. */
static gboolean
read_members (Index *index, GError **error)
{
  g_autoptr (GError) damage = NULL;
  SeedTarMember found;

  while (!damage && seed_tar_reader_next (index->reader, &found, &damage)) {
    if (++index->n_entries > SEED_IMAGE_SET_MAX) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
          "%s: more than %u members; split it into several sets", index->location,
          SEED_IMAGE_SET_MAX);
      return FALSE;
    }
    if (!take_member (index, &found, &damage, error))
      return FALSE;
  }
  if (!damage)
    return TRUE;
  if (g_error_matches (damage, SEED_ERROR, SEED_ERROR_IO) || index->members->len == 0) {
    g_propagate_prefixed_error (error, g_steal_pointer (&damage), "%s: ", index->location);
    return FALSE;
  }
  seed_image_set_note (index->set, index->location, damage->message);
  return TRUE;
}

/* --- the set ---------------------------------------------------------------------------------- */

static int
compare_members (gconstpointer a, gconstpointer b)
{
  return seed_compare_paths (((const Member *) a)->path, ((const Member *) b)->path);
}

/* Bytes of the folder that all images share, with its slash. */
static gsize
common_folder (const GArray *members)
{
  const char *first = g_array_index (members, Member, 0).path;
  const char *last = g_array_index (members, Member, members->len - 1).path;
  gsize n = 0; /* they are sorted: what these two share, all do */

  for (gsize i = 0; first[i] && first[i] == last[i]; i++) {
    if (first[i] == '/')
      n = i + 1;
  }
  return n;
}

/* Sorted members: those of a class stand together. */
static gboolean
add_images (Index *index, GError **error)
{
  SeedImageSet *set = index->set;
  gsize common = common_folder (index->members);
  g_autofree char *class = NULL;
  gint32 label = -1;

  for (guint i = 0; i < index->members->len; i++) {
    const Member *member = &g_array_index (index->members, Member, i);
    const char *slash = strchr (member->path + common, '/');
    SeedImageEntry entry = { .path = member->path,
      .offset = member->offset,
      .size = (guint32) member->size,
      .store = index->store,
      .label = -1 };

    if (slash) {
      g_autofree char *its =
          g_strndup (member->path + common, (gsize) (slash - member->path) - common);

      if (g_strcmp0 (its, class) != 0)
        label = seed_image_set_add_class (set, its);
      g_free (class);
      class = g_steal_pointer (&its);
      entry.label = label;
    }
    if (!seed_image_set_add (set, &entry, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_batches (Index *index, GError **error)
{
  g_autoptr (GArray) batches = g_array_new (FALSE, TRUE, sizeof (SeedBatchFile));

  g_array_set_clear_func (batches, seed_batch_file_clear);
  for (guint i = 0; i < index->members->len; i++) {
    const Member *member = &g_array_index (index->members, Member, i);
    SeedBatchFile batch = { .path = g_strdup (member->path),
      .folder = g_path_get_dirname (member->path),
      .store = index->store,
      .offset = member->offset,
      .size = member->size };

    g_array_append_val (batches, batch);
  }
  if (!seed_image_set_add_batches (index->set, batches, error))
    return FALSE;
  for (guint i = 0; i + 1 < index->texts->len; i += 2) {
    GBytes *name = index->texts->pdata[i], *text = index->texts->pdata[i + 1];

    seed_image_set_name_batch_classes (index->set, g_bytes_get_data (name, NULL),
        g_bytes_get_data (text, NULL), g_bytes_get_size (text));
  }
  return TRUE;
}

static gboolean
is_inside (const Index *index, const char *path)
{
  gsize n = index->inside ? strlen (index->inside) : 0;

  return n == 0 || (strncmp (path, index->inside, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

/* Leaves those inside what is wanted, and of them images alone if @images. */
static void
filter_members (Index *index, gboolean images)
{
  GArray *members = index->members;

  for (guint i = 0; i < members->len;) {
    const char *path = g_array_index (members, Member, i).path;

    if (is_inside (index, path) && (!images || seed_is_image_name (path))) {
      i++;
      continue;
    }
    g_array_remove_index_fast (members, i);
    index->set->n_ignored++;
  }
}

/* Images, or without any the batches. */
static gboolean
take_members (Index *index, GError **error)
{
  GArray *members = index->members;
  guint n_images = 0;

  filter_members (index, FALSE);
  for (guint i = 0; i < members->len; i++)
    n_images += seed_is_image_name (g_array_index (members, Member, i).path);
  if (n_images > 0)
    filter_members (index, TRUE);
  g_array_sort (members, compare_members);
  if (n_images > 0)
    return add_images (index, error);
  if (members->len > 0)
    return add_batches (index, error);
  g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
      "%s: no image in this archive%s%s (%u other members); names must end in .jpg, .png, .gif, "
      ".bmp, "
      ".webp or .tif, or .bin for CIFAR batches",
      index->location, index->inside ? " below " : "", index->inside ? index->inside : "",
      index->set->n_ignored);
  return FALSE;
}

static gboolean
open_stream (Index *index, gboolean gzip, SeedByteStream **stream, GError **error)
{
  g_autoptr (GFile) file = g_file_new_for_path (index->location);
  g_autoptr (GError) local = NULL;
  g_autoptr (GFileInputStream) input = g_file_read (file, NULL, &local);
  int fd;

  if (!input) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: %s", index->location, local->message);
    return FALSE;
  }
  *stream = seed_byte_stream_new (G_INPUT_STREAM (input), gzip);
  if (gzip)
    return open_spool (index, error);
  fd = g_open (index->location, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: %s", index->location, g_strerror (errno));
    return FALSE;
  }
  index->store = seed_image_set_add_store (index->set, fd, index->location);
  return TRUE;
}

gboolean
seed_image_set_open_tar (
    SeedImageSet *set, const char *location, const char *inside, gboolean gzip, GError **error)
{
  g_autoptr (GArray) members = g_array_new (FALSE, FALSE, sizeof (Member));
  g_autoptr (GHashTable) by_name = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) texts = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  g_autoptr (SeedByteStream) stream = NULL;
  g_autoptr (SeedTarReader) reader = NULL;
  Index index = { .set = set,
    .location = location,
    .inside = inside,
    .members = members,
    .by_name = by_name,
    .texts = texts,
    .spool = -1 };

  g_array_set_clear_func (members, member_clear);
  if (!open_stream (&index, gzip, &stream, error))
    return FALSE;
  reader = index.reader = seed_tar_reader_new (stream);
  return read_members (&index, error) && take_members (&index, error);
}
