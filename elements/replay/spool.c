/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "replay/spool-record.h"
#include "replay/spool.h"

#define FIRST_RETRY 64u
#define LAST_RETRY 65536u

struct _SeedSpool {
  char *path;
  SeedReplay *replay;
  int fd; /* -1 until there is a file */
  guint64 size, torn;
  guint64 n_records;
  GByteArray *head;
  gboolean behind;
  guint until_retry, retry; /* changes */
};

static gboolean
fail (const char *path, const char *action, GError **error)
{
  int saved = errno;

  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: %s: %s", path, action, g_strerror (saved));
  return FALSE;
}

/* --- writing -----------------------------------------------------------------------------------
 */

static gboolean
write_all (int fd, struct iovec *parts, int n)
{
  while (n > 0) {
    gssize written = writev (fd, parts, n);

    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return FALSE;
    while (n > 0 && (gsize) written >= parts->iov_len) {
      written -= (gssize) parts->iov_len;
      parts++;
      n--;
    }
    if (n > 0) {
      parts->iov_base = (char *) parts->iov_base + written;
      parts->iov_len -= (gsize) written;
    }
  }
  return TRUE;
}

static gboolean
write_header (int fd, guint64 *size)
{
  guint8 header[SEED_SPOOL_HEADER_SIZE];
  struct iovec part = { header, sizeof header };

  seed_spool_put_header (header);
  *size = sizeof header;
  return write_all (fd, &part, 1);
}

/* Appends to @fd, whose size and number of records are given. */
static gboolean
write_record (SeedSpool *spool, int fd, guint64 *size, guint64 *n_records,
    const SeedReplayChange *change, const SeedReplayStream *stream, const SeedRemembered *frame)
{
  static guint8 zeros[8];
  struct iovec parts[3];
  gsize n_pixels = 0;
  guint n_pad;

  seed_spool_put_record (spool->head, *n_records, change, stream, frame, &n_pad);
  parts[0] = (struct iovec){ spool->head->data, spool->head->len };
  parts[1] = (struct iovec){ NULL, 0 };
  if (frame)
    parts[1].iov_base = (gpointer) g_bytes_get_data (frame->pixels, &n_pixels);
  parts[1].iov_len = n_pixels;
  parts[2] = (struct iovec){ zeros, n_pad };
  *size += spool->head->len + n_pixels + n_pad;
  (*n_records)++;
  return write_all (fd, parts, G_N_ELEMENTS (parts));
}

/* The stream of a frame, by its id. */
static void
stream_of (const SeedReplay *replay, const char *id, SeedReplayStream *stream)
{
  for (guint i = 0; i < seed_replay_n_streams (replay); i++) {
    seed_replay_get_stream (replay, i, stream);
    if (strcmp (stream->stream, id) == 0)
      return;
  }
}

/* The memory as it is: its streams in their order, then its frames in theirs. */
static gboolean
write_everything (SeedSpool *spool, int fd, guint64 *size, guint64 *n_records)
{
  SeedReplayChange state = *seed_replay_get_change (spool->replay);
  g_autoptr (GArray) none = g_array_new (FALSE, FALSE, sizeof (guint32));
  SeedReplayStream stream;

  state.went = state.drawn = none;
  if (!write_header (fd, size))
    return FALSE;
  for (guint i = 0; i < seed_replay_n_streams (spool->replay); i++) {
    seed_replay_get_stream (spool->replay, i, &stream);
    if (!write_record (spool, fd, size, n_records, &state, &stream, NULL))
      return FALSE;
  }
  for (guint i = 0; i < seed_replay_n_held (spool->replay); i++) {
    const SeedRemembered *frame = seed_replay_get (spool->replay, i);

    stream_of (spool->replay, frame->stream, &stream);
    if (!write_record (spool, fd, size, n_records, &state, &stream, frame))
      return FALSE;
  }
  if (*n_records == 0) /* nothing yet but the random state */
    return write_record (spool, fd, size, n_records, &state, NULL, NULL);
  return TRUE;
}

static gboolean
lock_file (int fd)
{
  return flock (fd, LOCK_EX | LOCK_NB) == 0;
}

static gboolean
sync_folder (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok = fd >= 0 && (fsync (fd) == 0 || errno == EINVAL);

  if (fd >= 0)
    close (fd);
  return ok;
}

/* @fd becomes the file. */
static void
adopt (SeedSpool *spool, int fd, guint64 size, guint64 n_records)
{
  if (spool->fd >= 0)
    close (spool->fd);
  spool->fd = fd;
  spool->size = size;
  spool->n_records = n_records;
  spool->behind = FALSE;
  spool->retry = 0;
}

/* On failure the old file is as it was. */
static gboolean
rewrite (SeedSpool *spool, GError **error)
{
  g_autofree char *temp = g_strconcat (spool->path, ".new", NULL);
  guint64 size = 0, n_records = 0;
  int fd, saved;

  fd = open (temp, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return fail (temp, "cannot create", error);
  if (!lock_file (fd)) { /* somebody else's, who begins at the same moment */
    fail (temp, "cannot be locked", error);
    close (fd);
    return FALSE;
  }
  if (ftruncate (fd, 0) == 0 && write_everything (spool, fd, &size, &n_records) &&
      fdatasync (fd) == 0 && g_rename (temp, spool->path) == 0) {
    sync_folder (spool->path); /* only a loss of power could tell */
    adopt (spool, fd, size, n_records);
    return TRUE;
  }
  saved = errno;
  g_unlink (temp);
  close (fd);
  errno = saved;
  return fail (spool->path, "cannot be rewritten", error);
}

static gboolean
append (SeedSpool *spool, const SeedReplayChange *change, GError **error)
{
  guint n_held = seed_replay_n_held (spool->replay);
  guint64 size = spool->size, n_records = spool->n_records;
  const SeedRemembered *frame = NULL;
  SeedReplayStream stream;

  if (change->stream >= 0)
    seed_replay_get_stream (spool->replay, (guint) change->stream, &stream);
  if (change->stored)
    frame = seed_replay_get (spool->replay, n_held - 1);
  if (write_record (spool, spool->fd, &size, &n_records, change,
          change->stream >= 0 ? &stream : NULL, frame)) {
    spool->size = size;
    spool->n_records = n_records;
    return TRUE;
  }
  fail (spool->path, "cannot write", error);
  if (ftruncate (spool->fd, (off_t) spool->size) < 0) {
    /* what is left looks torn to the next who reads it */
  }
  return FALSE;
}

static gboolean
is_mostly_past (const SeedSpool *spool)
{
  return spool->size > 2 * seed_replay_n_bytes (spool->replay) + SEED_SPOOL_SLACK;
}

static void
wait_for_retry (SeedSpool *spool)
{
  spool->behind = TRUE;
  spool->retry = spool->retry ? MIN (2 * spool->retry, LAST_RETRY) : FIRST_RETRY;
  spool->until_retry = spool->retry;
}

/* Changes do not fit a file that lacks those before them: it must be made anew. */
static void
try_again (SeedSpool *spool)
{
  if (--spool->until_retry > 0)
    return;
  if (!rewrite (spool, NULL))
    wait_for_retry (spool);
}

gboolean
seed_spool_update (SeedSpool *spool, GError **error)
{
  const SeedReplayChange *change = seed_replay_get_change (spool->replay);
  gboolean ok = TRUE;

  if (spool->behind) {
    try_again (spool);
  } else {
    ok = append (spool, change, error) && (!is_mostly_past (spool) || rewrite (spool, error));
    if (!ok)
      wait_for_retry (spool);
  }
  seed_replay_change_clear (spool->replay);
  return ok;
}

/* --- opening and closing -----------------------------------------------------------------------
 */

static gboolean
parse_file (SeedSpool *spool, gsize size, SeedSpoolCheck check, gpointer check_data, GError **error)
{
  guint8 *data = mmap (NULL, size, PROT_READ, MAP_PRIVATE, spool->fd, 0);
  gsize good = 0;
  gboolean ok;

  if (data == MAP_FAILED)
    return fail (spool->path, "cannot be mapped", error);
  ok = seed_spool_parse (
      spool->replay, data, size, check, check_data, &good, &spool->n_records, error);
  if (ok) {
    seed_replay_trim (spool->replay);
    seed_replay_restore_own (spool->replay);
    spool->size = good;
    spool->torn = size - good;
  } else {
    g_prefix_error (error, "%s: ", spool->path);
  }
  munmap (data, size);
  return ok;
}

/* FALSE, no error: there is nothing to read. */
static gboolean
open_file (SeedSpool *spool, gsize *size, GError **error)
{
  struct stat info, named;

  spool->fd = open (spool->path, O_RDWR | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (spool->fd < 0)
    return errno == ENOENT ? FALSE : fail (spool->path, "cannot open", error);
  if (fstat (spool->fd, &info) < 0)
    return fail (spool->path, "cannot look at it", error);
  if (!S_ISREG (info.st_mode)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: is not a regular file", spool->path);
    return FALSE;
  }
  /* another process may have renamed its own over the name between open and lock */
  if (!lock_file (spool->fd) || stat (spool->path, &named) < 0 || named.st_ino != info.st_ino) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
        "%s: another process uses this spool; give each graph one of its own", spool->path);
    return FALSE;
  }
  *size = (gsize) info.st_size;
  return info.st_size > 0;
}

SeedSpool *
seed_spool_open (
    const char *path, SeedReplay *replay, SeedSpoolCheck check, gpointer check_data, GError **error)
{
  g_autoptr (SeedSpool) spool = g_new0 (SeedSpool, 1);
  g_autoptr (GError) why = NULL;
  gboolean trimmed;
  gsize size = 0;

  spool->path = g_strdup (path);
  spool->replay = replay;
  spool->fd = -1;
  spool->head = g_byte_array_new ();
  if (open_file (spool, &size, &why) && !parse_file (spool, size, check, check_data, &why))
    spool->size = 0;
  if (why) {
    g_propagate_error (error, g_steal_pointer (&why));
    return NULL;
  }
  trimmed = seed_replay_get_change (replay)->went->len > 0;
  seed_replay_change_clear (replay);
  if (spool->size == 0 || trimmed)
    return rewrite (spool, error) ? g_steal_pointer (&spool) : NULL;
  if (spool->torn > 0 && ftruncate (spool->fd, (off_t) spool->size) < 0) {
    fail (path, "cannot cut off what is torn", error);
    return NULL;
  }
  return g_steal_pointer (&spool);
}

guint64
seed_spool_size (const SeedSpool *spool)
{
  return spool->size;
}

gboolean
seed_spool_is_behind (const SeedSpool *spool)
{
  return spool->behind;
}

guint64
seed_spool_torn (const SeedSpool *spool)
{
  return spool->torn;
}

gboolean
seed_spool_close (SeedSpool *spool, GError **error)
{
  gboolean ok;

  if (!spool)
    return TRUE;
  if (spool->behind)
    ok = rewrite (spool, error);
  else
    ok = fdatasync (spool->fd) == 0 || fail (spool->path, "cannot sync", error);
  seed_spool_free (spool);
  return ok;
}

void
seed_spool_free (SeedSpool *spool)
{
  if (!spool)
    return;
  if (spool->fd >= 0)
    close (spool->fd);
  g_byte_array_unref (spool->head);
  g_free (spool->path);
  g_free (spool);
}
