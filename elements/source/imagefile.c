/* SPDX-License-Identifier: MIT */
#include "source/imagefile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <seed/error.h>

#define JPEG_SOI 0xd8
#define JPEG_EOI 0xd9
#define JPEG_SOS 0xda

/* TEM, RSTn and SOI stand alone; every other marker has a length behind it. */
static gboolean
has_length (guint8 marker)
{
  return marker != 0x01 && !(marker >= 0xd0 && marker <= JPEG_SOI);
}

/* The next marker at or after @at, past fill bytes and, in entropy-coded data, stuffed zeros. */
static gsize
find_marker (const guint8 *data, gsize size, gsize at)
{
  while (at + 1 < size) {
    const guint8 *ff = memchr (data + at, 0xff, size - 1 - at);

    if (!ff)
      return size;
    at = (gsize) (ff - data);
    if (data[at + 1] != 0x00 && data[at + 1] != 0xff)
      return at;
    at++;
  }
  return size;
}

gboolean
seed_jpeg_is_whole (const guint8 *data, gsize size)
{
  gsize at = 0;

  while ((at = find_marker (data, size, at)) < size) {
    guint8 marker = data[at + 1];

    if (marker == JPEG_EOI)
      return TRUE;
    at += 2;
    if (has_length (marker)) {
      if (at + 2 > size)
        return FALSE;
      at += (gsize) data[at] << 8 | data[at + 1];
    }
  }
  return FALSE;
}

G_GNUC_PRINTF (4, 5)
static GBytes *
fail (const char *path, SeedErrorCode code, GError **error, const char *format, ...)
{
  g_autofree char *shown = g_filename_display_name (path), *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, SEED_ERROR, code, "%s: %s", shown, what);
  return NULL;
}

static GBytes *
read_all (int fd, gsize size)
{
  g_autofree guint8 *data = g_try_malloc (size);
  gsize done = 0;

  if (!data)
    errno = ENOMEM;
  while (data && done < size) {
    gssize n = read (fd, data + done, size - done);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return NULL;
    if (n == 0)
      break; /* it was cut while being read: what is there decides */
    done += (gsize) n;
  }
  return data ? g_bytes_new_take (g_steal_pointer (&data), done) : NULL;
}

gboolean
seed_image_is_cut_jpeg (GBytes *bytes)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  return size >= 2 && data[0] == 0xff && data[1] == JPEG_SOI && !seed_jpeg_is_whole (data, size);
}

GBytes *
seed_image_file_read (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = NULL;
  struct stat st;
  int fd, saved;

  fd = g_open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0); /* a FIFO must not hold us up */
  if (fd < 0)
    return fail (path, SEED_ERROR_IO, error, "cannot be opened: %s", g_strerror (errno));
  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode)) {
    close (fd);
    return fail (path, SEED_ERROR_IO, error, "not a regular file");
  }
  if (st.st_size == 0 || st.st_size > SEED_IMAGE_FILE_MAX_BYTES) {
    close (fd);
    return st.st_size == 0 ? fail (path, SEED_ERROR_FORMAT, error, "the file is empty")
                           : fail (path, SEED_ERROR_LIMIT, error, "larger than %d bytes",
                                 SEED_IMAGE_FILE_MAX_BYTES);
  }
  bytes = read_all (fd, (gsize) st.st_size);
  saved = errno;
  close (fd);
  if (!bytes)
    return fail (path, SEED_ERROR_IO, error, "cannot be read: %s", g_strerror (saved));
  if (seed_image_is_cut_jpeg (bytes))
    return fail (path, SEED_ERROR_FORMAT, error,
        "the JPEG is cut short at byte %" G_GSIZE_FORMAT "; get it again",
        g_bytes_get_size (bytes));
  return g_steal_pointer (&bytes);
}
