/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include <seed/error.h>

#include "nn/atomic-file.h"
#include "student/generations.h"

#define PREFIX "generation-"
#define UNFINISHED ".generation"
#define CURRENT "current"
#define CHUNK (1u << 20)
#define MAX_SUMS (64u << 10) /* bytes of SHA256SUMS */

static gboolean
fail (const char *path, const char *action, GError **error)
{
  int saved = errno;

  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: %s: %s", path, action, g_strerror (saved));
  return FALSE;
}

char *
seed_generation_path (const char *folder, guint number)
{
  g_autofree char *name = g_strdup_printf (PREFIX "%08u", number);

  return g_build_filename (folder, name, NULL);
}

static gboolean
parse_name (const char *name, guint *number)
{
  guint64 value;

  if (!g_str_has_prefix (name, PREFIX) ||
      !g_ascii_string_to_unsigned (name + strlen (PREFIX), 10, 1, G_MAXUINT32, &value, NULL))
    return FALSE;
  *number = (guint) value;
  return TRUE;
}

static int
newest_first (gconstpointer a, gconstpointer b)
{
  guint x = *(const guint *) a, y = *(const guint *) b;

  return x < y ? 1 : x > y ? -1 : 0;
}

GArray *
seed_generations_list (const char *folder)
{
  GArray *numbers = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  guint number;

  while (dir && (name = g_dir_read_name (dir)))
    if (parse_name (name, &number))
      g_array_append_val (numbers, number);
  g_array_sort (numbers, newest_first);
  return numbers;
}

/* Files of a folder and the folder; neither holds folders. */
static void
remove_folder (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *file = g_build_filename (path, name, NULL);

    g_unlink (file);
  }
  g_rmdir (path);
}

char *
seed_generation_begin (const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, UNFINISHED, NULL);

  if (g_mkdir_with_parents (folder, 0777) < 0) {
    fail (folder, "cannot make the folder", error);
    return NULL;
  }
  remove_folder (path);
  if (g_mkdir (path, 0777) < 0) {
    fail (path, "cannot make the folder", error);
    return NULL;
  }
  return g_steal_pointer (&path);
}

static gboolean
sync_folder (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok = fd >= 0 && (fsync (fd) == 0 || errno == EINVAL); /* some have no such thing */

  if (!ok)
    fail (path, "cannot sync the folder", error);
  if (fd >= 0)
    close (fd);
  return ok;
}

/* Hex SHA-256 of a file; NULL on failure. */
static char *
sum_file (const char *path, GError **error)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guchar *chunk = g_malloc (CHUNK);
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gssize n;

  if (fd < 0) {
    fail (path, "cannot open", error);
    return NULL;
  }
  while ((n = read (fd, chunk, CHUNK)) > 0 || (n < 0 && errno == EINTR))
    if (n > 0)
      g_checksum_update (checksum, chunk, n);
  if (n < 0)
    fail (path, "cannot read", error);
  close (fd);
  return n < 0 ? NULL : g_strdup (g_checksum_get_string (checksum));
}

static gboolean
write_sums (const char *path, const char *const *files, GError **error)
{
  g_autofree char *sums_path = g_build_filename (path, SEED_GENERATION_SUMS, NULL);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; files[i]; i++) {
    g_autofree char *file = g_build_filename (path, files[i], NULL);
    g_autofree char *sum = sum_file (file, error);

    if (!sum)
      return FALSE;
    g_string_append_printf (text, "%s  %s\n", sum, files[i]);
  }
  return seed_atomic_file_set_contents (sums_path, text->str, error);
}

/* A symbolic link that is the old one or the new one at any moment. */
static gboolean
replace_link (const char *folder, const char *name, const char *target, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *temp_name = g_strdup_printf (".%s.link", name);
  g_autofree char *temp = g_build_filename (folder, temp_name, NULL);
  g_autofree char *old = g_file_read_link (path, NULL);

  if (g_strcmp0 (old, target) == 0)
    return TRUE;
  g_unlink (temp);
  if (symlink (target, temp) < 0)
    return fail (path, "cannot make a symbolic link in its folder", error);
  if (g_rename (temp, path) < 0) {
    fail (path, "cannot rename the new link over it", error);
    g_unlink (temp);
    return FALSE;
  }
  return TRUE;
}

gboolean
seed_generation_select (const char *folder, guint number, GError **error)
{
  g_autofree char *path = seed_generation_path (folder, number);
  g_autofree char *name = g_path_get_basename (path);

  return replace_link (folder, CURRENT, name, error) && sync_folder (folder, error);
}

gboolean
seed_generation_commit (const char *folder, const char *path, guint number,
    const char *const *files, const char *const *shown, GError **error)
{
  g_autofree char *final = seed_generation_path (folder, number);

  if (!write_sums (path, files, error) || !sync_folder (path, error))
    return FALSE;
  if (g_rename (path, final) < 0)
    return fail (final, "cannot rename the finished generation", error);
  if (!sync_folder (folder, error) || !seed_generation_select (folder, number, error))
    return FALSE;
  for (guint i = 0; shown[i]; i++) {
    g_autofree char *target = g_build_filename (CURRENT, shown[i], NULL);

    if (!replace_link (folder, shown[i], target, error))
      return FALSE;
  }
  return sync_folder (folder, error);
}

/* The line of @file in @sums, as write_sums has it. */
static gboolean
check_file (
    const char *path, const char *sums_path, const char *sums, const char *name, GError **error)
{
  g_autofree char *file = g_build_filename (path, name, NULL);
  g_autofree char *sum = sum_file (file, error);
  g_autofree char *line = NULL;
  const char *found;

  if (!sum)
    return FALSE;
  line = g_strdup_printf ("%s  %s\n", sum, name);
  found = strstr (sums, line);
  if (found && (found == sums || found[-1] == '\n'))
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s: damaged: its sum is not the one in %s",
      file, sums_path);
  return FALSE;
}

gboolean
seed_generation_verify (const char *folder, guint number, const char *const *files, GError **error)
{
  g_autofree char *path = seed_generation_path (folder, number);
  g_autofree char *sums_path = g_build_filename (path, SEED_GENERATION_SUMS, NULL);
  g_autofree char *sums = NULL;
  gsize length;
  GStatBuf info;

  if (g_stat (sums_path, &info) < 0)
    return fail (sums_path, "cannot be read", error);
  if (info.st_size > MAX_SUMS || !g_file_get_contents (sums_path, &sums, &length, NULL) ||
      strlen (sums) != length) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s: damaged: no list of sums", sums_path);
    return FALSE;
  }
  for (guint i = 0; files[i]; i++)
    if (!check_file (path, sums_path, sums, files[i], error))
      return FALSE;
  return TRUE;
}

void
seed_generations_prune (const char *folder, guint newest, guint previous)
{
  g_autoptr (GArray) numbers = seed_generations_list (folder);

  for (guint i = 0; i < numbers->len; i++) {
    guint number = g_array_index (numbers, guint, i);
    g_autofree char *path = seed_generation_path (folder, number);

    if (number != newest && number != previous)
      remove_folder (path);
  }
}
