/* SPDX-License-Identifier: MIT */
#include "source/bytestream.h"

#include <string.h>

#include <seed/error.h>

#define BLOCK (64 * 1024)

struct _SeedByteStream {
  GInputStream *input;
  GConverter *inflate; /* NULL: plain */
  guint64 offset;
  guint64 length;            /* of a plain input that can seek; else G_MAXUINT64 */
  gboolean ended;            /* the input */
  gboolean between;          /* two gzip members, or behind the last */
  guint8 *packed, *unpacked; /* BLOCK each */
  gsize packed_at, packed_end, unpacked_at, unpacked_end;
};

gboolean
seed_bytes_are_gzip (const guint8 *data, gsize size)
{
  return size >= 3 && data[0] == 0x1f && data[1] == 0x8b && data[2] == 8;
}

/* The bytes from here to the end of an input that can seek. */
static guint64
measure (GInputStream *input)
{
  GSeekable *seekable = G_IS_SEEKABLE (input) ? G_SEEKABLE (input) : NULL;
  goffset here, end;

  if (!seekable || !g_seekable_can_seek (seekable))
    return G_MAXUINT64;
  here = g_seekable_tell (seekable);
  if (!g_seekable_seek (seekable, 0, G_SEEK_END, NULL, NULL))
    return G_MAXUINT64;
  end = g_seekable_tell (seekable);
  if (!g_seekable_seek (seekable, here, G_SEEK_SET, NULL, NULL))
    return G_MAXUINT64;
  return (guint64) (end - here);
}

SeedByteStream *
seed_byte_stream_new (GInputStream *input, gboolean gzip)
{
  SeedByteStream *stream = g_new0 (SeedByteStream, 1);

  stream->input = g_object_ref (input);
  stream->length = gzip ? G_MAXUINT64 : measure (input);
  if (gzip) {
    stream->inflate = G_CONVERTER (g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP));
    stream->packed = g_malloc (BLOCK);
    stream->unpacked = g_malloc (BLOCK);
  }
  return stream;
}

void
seed_byte_stream_free (SeedByteStream *stream)
{
  if (!stream)
    return;
  g_object_unref (stream->input);
  g_clear_object (&stream->inflate);
  g_free (stream->packed);
  g_free (stream->unpacked);
  g_free (stream);
}

guint64
seed_byte_stream_tell (const SeedByteStream *stream)
{
  return stream->offset;
}

static gboolean
fail (GError **error, SeedErrorCode code, GError *cause, const char *what)
{
  g_set_error (
      error, SEED_ERROR, code, "%s%s%s", what, cause ? ": " : "", cause ? cause->message : "");
  g_clear_error (&cause);
  return FALSE;
}

/* More packed bytes behind those that are left. */
static gboolean
fetch (SeedByteStream *stream, GError **error)
{
  GError *local = NULL;
  gsize left = stream->packed_end - stream->packed_at;
  gssize n;

  memmove (stream->packed, stream->packed + stream->packed_at, left);
  stream->packed_at = 0;
  stream->packed_end = left;
  if (stream->ended || left == BLOCK)
    return TRUE;
  n = g_input_stream_read (stream->input, stream->packed + left, BLOCK - left, NULL, &local);
  if (n < 0)
    return fail (error, SEED_ERROR_IO, local, "cannot be read");
  stream->ended = n == 0;
  stream->packed_end += (gsize) n;
  return TRUE;
}

/* Behind a gzip member: another one, zeros that fill a tape's block, or the end. */
static gboolean
begin_member (SeedByteStream *stream, GError **error)
{
  while (stream->packed_at < stream->packed_end && stream->packed[stream->packed_at] == 0)
    stream->packed_at++;
  if (stream->packed_at == stream->packed_end)
    return TRUE;
  while (stream->packed_end - stream->packed_at < 3 && !stream->ended) {
    if (!fetch (stream, error))
      return FALSE;
  }
  if (!seed_bytes_are_gzip (
          stream->packed + stream->packed_at, stream->packed_end - stream->packed_at))
    return fail (error, SEED_ERROR_FORMAT, NULL, "something that is not gzip follows its end");
  g_converter_reset (stream->inflate);
  stream->between = FALSE;
  return TRUE;
}

/* One call of zlib's; @stream->unpacked is empty before. */
static gboolean
inflate_some (SeedByteStream *stream, GError **error)
{
  GError *local = NULL;
  gsize used = 0, made = 0;
  GConverterResult result = g_converter_convert (stream->inflate,
      stream->packed + stream->packed_at, stream->packed_end - stream->packed_at, stream->unpacked,
      BLOCK, stream->ended ? G_CONVERTER_INPUT_AT_END : G_CONVERTER_NO_FLAGS, &used, &made, &local);

  if (result == G_CONVERTER_ERROR) {
    if (g_error_matches (local, G_IO_ERROR, G_IO_ERROR_PARTIAL_INPUT) && !stream->ended) {
      g_error_free (local);
      return fetch (stream, error);
    }
    return fail (error, SEED_ERROR_FORMAT, local, "the gzip data is damaged or cut short");
  }
  stream->packed_at += used;
  stream->unpacked_at = 0;
  stream->unpacked_end = made;
  stream->between = result == G_CONVERTER_FINISHED;
  return TRUE;
}

/* Unpacks until there is something; nothing is the end. */
static gboolean
refill (SeedByteStream *stream, GError **error)
{
  while (stream->unpacked_at == stream->unpacked_end) {
    if (stream->packed_at == stream->packed_end && !stream->ended && !fetch (stream, error))
      return FALSE;
    if (stream->between && !begin_member (stream, error))
      return FALSE;
    if (stream->between && stream->ended)
      return TRUE;
    if (!stream->between && !inflate_some (stream, error))
      return FALSE;
  }
  return TRUE;
}

/* @data NULL: thrown away. */
static gssize
read_unpacked (SeedByteStream *stream, guint8 *data, gsize size, GError **error)
{
  gsize done = 0;

  while (done < size) {
    gsize n;

    if (!refill (stream, error))
      return -1;
    n = MIN (size - done, stream->unpacked_end - stream->unpacked_at);
    if (n == 0)
      break;
    if (data)
      memcpy (data + done, stream->unpacked + stream->unpacked_at, n);
    stream->unpacked_at += n;
    stream->offset += n;
    done += n;
    if (stream->offset > SEED_BYTE_STREAM_MAX_BYTES) {
      fail (error, SEED_ERROR_LIMIT, NULL,
          "unpacks to more than 64 GiB; unpack it to a plain tar, which has no such limit");
      return -1;
    }
  }
  return (gssize) done;
}

gssize
seed_byte_stream_read (SeedByteStream *stream, void *data, gsize size, GError **error)
{
  GError *local = NULL;
  gsize done = 0;

  if (stream->inflate)
    return read_unpacked (stream, data, size, error);
  if (!g_input_stream_read_all (stream->input, data, size, &done, NULL, &local)) {
    fail (error, SEED_ERROR_IO, local, "cannot be read");
    return -1;
  }
  stream->offset += done;
  return (gssize) done;
}

static gint64
skip_by_seeking (SeedByteStream *stream, guint64 size, GError **error)
{
  guint64 n = MIN (size, stream->length - MIN (stream->offset, stream->length));
  GError *local = NULL;

  if (!g_seekable_seek (G_SEEKABLE (stream->input), (goffset) n, G_SEEK_CUR, NULL, &local)) {
    fail (error, SEED_ERROR_IO, local, "cannot be read");
    return -1;
  }
  stream->offset += n;
  return (gint64) n;
}

gint64
seed_byte_stream_skip (SeedByteStream *stream, guint64 size, GError **error)
{
  guint64 done = 0;

  if (stream->length != G_MAXUINT64)
    return skip_by_seeking (stream, size, error);
  while (done < size) {
    gsize part = (gsize) MIN (size - done, BLOCK);
    guint8 waste[4096];
    gssize n = stream->inflate
                   ? read_unpacked (stream, NULL, part, error)
                   : seed_byte_stream_read (stream, waste, MIN (part, sizeof waste), error);

    if (n < 0)
      return -1;
    if (n == 0)
      break;
    done += (guint64) n;
  }
  return (gint64) done;
}
