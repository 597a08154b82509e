/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "nn/atomic-file.h"

#define MAX_WRITE (1u << 30) /* Linux writes no more at once */
#define MAX_NAME_TRIES 100u

static gboolean
fail (const SeedAtomicFile *file, const char *action, GError **error)
{
  int saved = errno;

  g_set_error (
      error, SEED_ERROR, SEED_ERROR_IO, "%s: %s: %s", file->path, action, g_strerror (saved));
  return FALSE;
}

gboolean
seed_atomic_file_open (SeedAtomicFile *file, const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *base = g_path_get_basename (path);

  *file = (SeedAtomicFile){ .path = g_strdup (path), .fd = -1 };
  for (guint i = 0; i < MAX_NAME_TRIES && file->fd < 0; i++) {
    g_autofree char *name = g_strdup_printf (".%s.%08x", base, g_random_int ());
    g_autofree char *temp = g_build_filename (folder, name, NULL);

    /* not mkstemp: the file gets the permissions that the umask gives any new file */
    file->fd = open (temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file->fd >= 0)
      file->temp = g_steal_pointer (&temp);
    else if (errno != EEXIST)
      break;
  }
  return file->fd >= 0 || fail (file, "cannot create a file in its folder", error);
}

gboolean
seed_atomic_file_write (SeedAtomicFile *file, const void *data, gsize size, GError **error)
{
  const char *p = data;

  while (size > 0) {
    gssize n = write (file->fd, p, MIN (size, MAX_WRITE));

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (file, "cannot write", error);
    p += n;
    size -= (gsize) n;
  }
  return TRUE;
}

static gboolean
sync_folder (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok;

  if (fd < 0)
    return FALSE;
  ok = fsync (fd) == 0 || errno == EINVAL; /* some file systems have no such thing */
  close (fd);
  return ok;
}

gboolean
seed_atomic_file_commit (SeedAtomicFile *file, GError **error)
{
  int fd = file->fd;

  if (fsync (fd) < 0)
    return fail (file, "cannot sync", error);
  file->fd = -1;
  if (close (fd) < 0)
    return fail (file, "cannot close", error);
  if (g_rename (file->temp, file->path) < 0)
    return fail (file, "cannot rename the new file over it", error);
  g_clear_pointer (&file->temp, g_free);
  return sync_folder (file->path) || fail (file, "written, but cannot sync its folder", error);
}

void
seed_atomic_file_clear (SeedAtomicFile *file)
{
  if (file->fd >= 0)
    close (file->fd);
  file->fd = -1;
  if (file->temp)
    g_unlink (file->temp);
  g_clear_pointer (&file->temp, g_free);
  g_clear_pointer (&file->path, g_free);
}

gboolean
seed_atomic_file_set_contents (const char *path, const char *text, GError **error)
{
  g_auto (SeedAtomicFile) file = { .fd = -1 };

  return seed_atomic_file_open (&file, path, error) &&
         seed_atomic_file_write (&file, text, strlen (text), error) &&
         seed_atomic_file_commit (&file, error);
}
