/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "replay/spool-record.h"
#include "replay/spool.h"

/* --- reading -----------------------------------------------------------------------------------
 */

typedef struct {
  const guint8 *data; /* of the file */
  gsize at, end;      /* of what is read: the body of a record */
  SeedReplay *replay;
  SeedSpoolCheck check;
  gpointer check_data;
  gint stream; /* of this record, or -1 */
  guint64 clock, owed;
  SeedRng rng;
} Reader;

static guint32
u32_at (const guint8 *at)
{
  guint32 value;

  memcpy (&value, at, sizeof value);
  return GUINT32_FROM_LE (value);
}

static guint64
u64_at (const guint8 *at)
{
  guint64 value;

  memcpy (&value, at, sizeof value);
  return GUINT64_FROM_LE (value);
}

G_GNUC_PRINTF (4, 5)
static gboolean
refuse (GError **error, SeedErrorCode code, gsize at, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, SEED_ERROR, code, "byte %" G_GSIZE_FORMAT ": %s", at, what);
  return FALSE;
}

static gboolean
need (const Reader *r, gsize n, const char *what, GError **error)
{
  if (r->end - r->at >= n)
    return TRUE;
  return refuse (error, SEED_ERROR_FORMAT, r->at,
      "the record ends within %s: %" G_GSIZE_FORMAT " bytes are left, %" G_GSIZE_FORMAT " needed",
      what, r->end - r->at, n);
}

static gboolean
read_state (Reader *r, GError **error)
{
  const guint8 *at = r->data + r->at;

  if (!need (r, SEED_SPOOL_STATE_SIZE + SEED_SPOOL_COUNTS_SIZE, "the state", error))
    return FALSE;
  for (guint i = 0; i < 4; i++)
    r->rng.s[i] = u64_at (at + 8 * i);
  r->clock = u64_at (at + 32);
  r->owed = u64_at (at + 40);
  if (!(r->rng.s[0] | r->rng.s[1] | r->rng.s[2] | r->rng.s[3]))
    return refuse (error, SEED_ERROR_FORMAT, r->at, "the random state is all zero");
  if (r->owed >> 32 > SEED_REPLAY_MAX_DRAWS)
    return refuse (
        error, SEED_ERROR_LIMIT, r->at + 40, "more than %u frames are due", SEED_REPLAY_MAX_DRAWS);
  r->at += SEED_SPOOL_STATE_SIZE;
  return TRUE;
}

static gboolean
id_is_good (const char id[SEED_REPLAY_STREAM_SIZE])
{
  gsize n = strnlen (id, SEED_REPLAY_STREAM_SIZE);

  for (gsize i = n; i < SEED_REPLAY_STREAM_SIZE; i++) {
    if (id[i])
      return FALSE;
  }
  for (gsize i = 0; i < n; i++) {
    if (g_ascii_iscntrl (id[i]))
      return FALSE;
  }
  return n > 0 && n < SEED_REPLAY_STREAM_SIZE;
}

static gboolean
read_stream (Reader *r, GError **error)
{
  const char *id = (const char *) r->data + r->at;
  guint64 seen;
  guint32 up;

  if (!need (r, SEED_SPOOL_STREAM_SIZE, "a stream", error))
    return FALSE;
  if (!id_is_good (id))
    return refuse (error, SEED_ERROR_FORMAT, r->at, "not the id of a stream");
  seen = u64_at (r->data + r->at + SEED_REPLAY_STREAM_SIZE);
  up = u32_at (r->data + r->at + SEED_REPLAY_STREAM_SIZE + 8);
  if (up > 1 || u32_at (r->data + r->at + SEED_REPLAY_STREAM_SIZE + 12) != 0)
    return refuse (error, SEED_ERROR_FORMAT, r->at + SEED_REPLAY_STREAM_SIZE + 8,
        "a stream is up (1) or not (0), then comes 0");
  r->stream = seed_replay_restore_stream (r->replay, id, seen, up == 1);
  if (r->stream < 0)
    return refuse (error, SEED_ERROR_LIMIT, r->at, "more than %u streams", SEED_REPLAY_MAX_STREAMS);
  r->at += SEED_SPOOL_STREAM_SIZE;
  return TRUE;
}

static gboolean
read_went (Reader *r, guint n, GError **error)
{
  for (guint i = 0; i < n; i++, r->at += 4) {
    guint32 index = u32_at (r->data + r->at);

    if (index >= seed_replay_n_held (r->replay))
      return refuse (error, SEED_ERROR_FORMAT, r->at, "frame %u went, but only %u are held", index,
          seed_replay_n_held (r->replay));
    seed_replay_restore_remove (r->replay, index);
  }
  return TRUE;
}

/* After the frame, since it may be drawn at once. */
static gboolean
read_drawn (Reader *r, gsize at, guint n, GError **error)
{
  for (guint i = 0; i < n; i++, at += 4) {
    guint32 index = u32_at (r->data + at);

    if (index >= seed_replay_n_held (r->replay))
      return refuse (error, SEED_ERROR_FORMAT, at, "frame %u was drawn, but only %u are held",
          index, seed_replay_n_held (r->replay));
    seed_replay_restore_drawn (r->replay, index, r->clock - n + 1 + i);
  }
  return TRUE;
}

/* An interned GRefString, or NULL. */
static char *
read_format (const Reader *r, gsize size, gsize n_pixels, GError **error)
{
  const char *text = (const char *) r->data + r->at;
  g_autofree char *format = NULL;
  g_autoptr (GError) why = NULL;

  if (size == 0 || !g_utf8_validate (text, (gssize) size, NULL)) {
    refuse (error, SEED_ERROR_FORMAT, r->at, "the format of a frame is not a text");
    return NULL;
  }
  format = g_strndup (text, size);
  if (r->check && !r->check (format, n_pixels, r->check_data, &why)) {
    refuse (error, SEED_ERROR_FORMAT, r->at, "%s", why->message);
    return NULL;
  }
  return g_ref_string_new_intern (format);
}

static void
read_fields (const guint8 *at, SeedRemembered *frame)
{
  frame->frame = u64_at (at);
  frame->pts = u64_at (at + 8);
  frame->dropped = u64_at (at + 16);
  frame->capture_ns = (gint64) u64_at (at + 24);
  frame->mark = u64_at (at + 32);
  frame->label = (gint32) u32_at (at + 40);
  frame->repeat = u32_at (at + 44);
  seed_signature_of_cells (&frame->signature, at + 64);
}

static gboolean
read_frame (Reader *r, GError **error)
{
  const guint8 *at = r->data + r->at;
  SeedRemembered frame = { 0 };
  SeedReplayStream stream;
  guint64 n_pixels;
  guint32 n_format;

  if (!need (r, SEED_SPOOL_FRAME_SIZE, "a frame", error))
    return FALSE;
  if (r->stream < 0)
    return refuse (error, SEED_ERROR_FORMAT, r->at, "a frame of no stream");
  if (seed_replay_n_held (r->replay) >= SEED_REPLAY_MAX_CAPACITY)
    return refuse (error, SEED_ERROR_LIMIT, r->at, "more than %u frames", SEED_REPLAY_MAX_CAPACITY);
  n_pixels = u64_at (at + 48);
  n_format = u32_at (at + 56);
  if (n_format > SEED_SPOOL_MAX_FORMAT || u32_at (at + 60) != 0)
    return refuse (error, SEED_ERROR_LIMIT, r->at + 56,
        "the format of a frame has %u bytes; at most %u, then comes 0", n_format,
        SEED_SPOOL_MAX_FORMAT);
  r->at += SEED_SPOOL_FRAME_SIZE;
  if (!need (r, n_format, "the format of a frame", error))
    return FALSE;
  if (n_pixels == 0 || n_pixels > r->end - r->at - n_format)
    return refuse (error, SEED_ERROR_FORMAT, r->at,
        "%" G_GUINT64_FORMAT " bytes of pixels, but %" G_GSIZE_FORMAT " are left in the record",
        n_pixels, r->end - r->at - n_format);
  frame.format = read_format (r, n_format, n_pixels, error);
  if (!frame.format)
    return FALSE;
  r->at += n_format;
  seed_replay_get_stream (r->replay, (guint) r->stream, &stream);
  g_strlcpy (frame.stream, stream.stream, sizeof frame.stream);
  read_fields (at, &frame);
  frame.pixels = g_bytes_new_static (r->data + r->at, n_pixels);
  seed_replay_restore_frame (r->replay, (guint) r->stream, &frame);
  r->at += n_pixels;
  return TRUE;
}

/* Zeros up to the next multiple of 8 bytes. */
static gboolean
read_padding (Reader *r, gsize begin, GError **error)
{
  for (; (r->at - begin) % 8; r->at++) {
    if (!need (r, 1, "its padding", error))
      return FALSE;
    if (r->data[r->at])
      return refuse (error, SEED_ERROR_FORMAT, r->at, "the padding is not zero");
  }
  return TRUE;
}

static gboolean
read_body (Reader *r, GError **error)
{
  gsize begin = r->at, drawn;
  guint32 flags, n_went, n_drawn;

  r->stream = -1;
  if (!read_state (r, error))
    return FALSE;
  flags = u32_at (r->data + r->at);
  n_went = u32_at (r->data + r->at + 4);
  n_drawn = u32_at (r->data + r->at + 8);
  if ((flags & ~(SEED_SPOOL_FLAG_STREAM | SEED_SPOOL_FLAG_FRAME)) ||
      u32_at (r->data + r->at + 12) != 0)
    return refuse (error, SEED_ERROR_FORMAT, r->at, "flags 0x%x are not known", flags);
  r->at += SEED_SPOOL_COUNTS_SIZE;
  if ((flags & SEED_SPOOL_FLAG_STREAM) && !read_stream (r, error))
    return FALSE;
  if (!need (r, 4 * ((gsize) n_went + n_drawn), "its lists of frames", error) ||
      !read_went (r, n_went, error))
    return FALSE;
  drawn = r->at;
  r->at += 4 * (gsize) n_drawn;
  if (!read_padding (r, begin, error))
    return FALSE;
  if ((flags & SEED_SPOOL_FLAG_FRAME) && !read_frame (r, error))
    return FALSE;
  if (!read_drawn (r, drawn, n_drawn, error) || !read_padding (r, begin, error))
    return FALSE;
  if (r->at < r->end)
    return refuse (
        error, SEED_ERROR_FORMAT, r->at, "%" G_GSIZE_FORMAT " bytes too many", r->end - r->at);
  seed_replay_restore_state (r->replay, &r->rng, r->clock, r->owed);
  return TRUE;
}

/* --- files -------------------------------------------------------------------------------------
 */

static gboolean
all_zero (const guint8 *data, gsize size)
{
  for (gsize i = 0; i < size; i++) {
    if (data[i])
      return FALSE;
  }
  return TRUE;
}

static gboolean
read_header (const guint8 *data, gsize size, GError **error)
{
  guint8 expected[SEED_SPOOL_HEADER_SIZE];

  if (size < SEED_SPOOL_HEADER_SIZE || memcmp (data, SEED_SPOOL_MAGIC, 8) != 0)
    return refuse (error, SEED_ERROR_FORMAT, 0,
        "this is not a spool of frames; give another name, or remove it");
  if (u32_at (data + 8) != SEED_SPOOL_VERSION)
    return refuse (error, SEED_ERROR_UNSUPPORTED, 8,
        "version %u of a spool, this program reads version %u; remove it to begin anew",
        u32_at (data + 8), SEED_SPOOL_VERSION);
  seed_spool_put_header (expected);
  for (gsize i = 12; i < SEED_SPOOL_HEADER_SIZE; i++) {
    if (data[i] != expected[i])
      return refuse (error, SEED_ERROR_FORMAT, i, "the header is damaged");
  }
  return TRUE;
}

/*
 * The body of the record at @at lies between @body and @end. TRUE with @end == 0: torn, which a
 * record can only be at the end of the file: cut short there, or zeros that a file system put where
 * it had not written yet. A body that is all there but does not match its check was written in part
 * only if it is the last.
 */
static gboolean
find_record (const guint8 *data, gsize size, gsize at, guint64 number, gsize *end, GError **error)
{
  const guint8 *head = data + at;
  guint64 body;

  *end = 0;
  if (size - at < SEED_SPOOL_RECORD_SIZE || all_zero (head, size - at))
    return TRUE;
  if (u32_at (head) != SEED_SPOOL_RECORD_MAGIC || u32_at (head + 4) != 0 ||
      u64_at (head + 24) != seed_spool_check_mix (seed_spool_check_begin (number), head, 24))
    return refuse (error, SEED_ERROR_FORMAT, at,
        "record %" G_GUINT64_FORMAT " is damaged or not where it was written", number);
  body = u64_at (head + 8);
  if (body > size - at - SEED_SPOOL_RECORD_SIZE)
    return TRUE;
  if (seed_spool_check_mix (seed_spool_check_begin (number), head + SEED_SPOOL_RECORD_SIZE, body) !=
      u64_at (head + 16)) {
    if (body == size - at - SEED_SPOOL_RECORD_SIZE)
      return TRUE;
    return refuse (error, SEED_ERROR_FORMAT, at + SEED_SPOOL_RECORD_SIZE,
        "the contents of record %" G_GUINT64_FORMAT " are damaged", number);
  }
  *end = at + SEED_SPOOL_RECORD_SIZE + body;
  return TRUE;
}

static gboolean
streams_make_sense (const SeedReplay *replay, gsize at, GError **error)
{
  for (guint i = 0; i < seed_replay_n_streams (replay); i++) {
    SeedReplayStream stream;

    seed_replay_get_stream (replay, i, &stream);
    if (stream.held > stream.seen)
      return refuse (error, SEED_ERROR_FORMAT, at,
          "stream \"%s\" has %u frames held of %" G_GUINT64_FORMAT " seen", stream.stream,
          stream.held, stream.seen);
  }
  return TRUE;
}

gboolean
seed_spool_parse (SeedReplay *replay, const guint8 *data, gsize size, SeedSpoolCheck check,
    gpointer check_data, gsize *good, guint64 *n_records, GError **error)
{
  Reader r = { .data = data, .replay = replay, .check = check, .check_data = check_data };
  gsize at = SEED_SPOOL_HEADER_SIZE;
  guint64 n = 0;

  if (!read_header (data, size, error))
    return FALSE;
  while (at < size) {
    gsize end;

    if (!find_record (data, size, at, n, &end, error))
      return FALSE;
    if (end == 0)
      break;
    r.at = at + SEED_SPOOL_RECORD_SIZE;
    r.end = end;
    if (!read_body (&r, error))
      return FALSE;
    at = end;
    n++;
  }
  if (!streams_make_sense (replay, at, error))
    return FALSE;
  *good = at;
  *n_records = n;
  return TRUE;
}
