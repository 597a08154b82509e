/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "replay/spool-record.h"
#include "replay/spool.h"

/* --- checks ------------------------------------------------------------------------------------
 */

guint64
seed_spool_check_mix (guint64 h, const guint8 *data, gsize size)
{
  const guint64 m = G_GUINT64_CONSTANT (0xc6a4a7935bd1e995);

  for (gsize i = 0; i < size; i += 8) {
    guint64 k = 0;

    memcpy (&k, data + i, MIN (8, size - i));
    k = GUINT64_FROM_LE (k) * m;
    h = (h ^ ((k ^ (k >> 47)) * m)) * m;
    h ^= h >> 29;
  }
  return h;
}

guint64
seed_spool_check_begin (guint64 number)
{
  return (number + 1) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
}

/* --- writing -----------------------------------------------------------------------------------
 */

static void
put_u32 (GByteArray *to, guint32 value)
{
  value = GUINT32_TO_LE (value);
  g_byte_array_append (to, (const guint8 *) &value, sizeof value);
}

static void
put_u64 (GByteArray *to, guint64 value)
{
  value = GUINT64_TO_LE (value);
  g_byte_array_append (to, (const guint8 *) &value, sizeof value);
}

static void
put_padding (GByteArray *to)
{
  static const guint8 zeros[8];

  g_byte_array_append (to, zeros, -to->len % 8);
}

static void
set_u64 (guint8 *at, guint64 value)
{
  value = GUINT64_TO_LE (value);
  memcpy (at, &value, sizeof value);
}

void
seed_spool_put_header (guint8 header[static 32])
{
  guint32 numbers[2] = { GUINT32_TO_LE (SEED_SPOOL_VERSION),
    GUINT32_TO_LE (SEED_SPOOL_HEADER_SIZE) };

  memset (header, 0, SEED_SPOOL_HEADER_SIZE);
  memcpy (header, SEED_SPOOL_MAGIC, 8);
  memcpy (header + 8, numbers, sizeof numbers);
  set_u64 (header + 24, seed_spool_check_mix (seed_spool_check_begin (G_MAXUINT64), header, 24));
}

static void
put_stream (GByteArray *to, const SeedReplayStream *stream)
{
  char id[SEED_REPLAY_STREAM_SIZE] = { 0 };

  g_strlcpy (id, stream->stream, sizeof id);
  g_byte_array_append (to, (const guint8 *) id, sizeof id);
  put_u64 (to, stream->seen);
  put_u32 (to, stream->up ? 1 : 0);
  put_u32 (to, 0);
}

static void
put_frame (GByteArray *to, const SeedRemembered *frame)
{
  gsize format_size = strlen (frame->format);

  put_u64 (to, frame->frame);
  put_u64 (to, frame->pts);
  put_u64 (to, frame->dropped);
  put_u64 (to, (guint64) frame->capture_ns);
  put_u64 (to, frame->mark);
  put_u32 (to, (guint32) frame->label);
  put_u32 (to, frame->repeat);
  put_u64 (to, g_bytes_get_size (frame->pixels));
  put_u32 (to, (guint32) format_size);
  put_u32 (to, 0);
  g_byte_array_append (to, frame->signature.cell, SEED_SIGNATURE_CELLS);
  g_byte_array_append (to, (const guint8 *) frame->format, (guint) format_size);
}

static void
put_indices (GByteArray *to, const GArray *indices)
{
  for (guint i = 0; i < indices->len; i++)
    put_u32 (to, g_array_index (indices, guint32, i));
}

static void
put_body (GByteArray *to, const SeedReplayChange *change, const SeedReplayStream *stream,
    const SeedRemembered *frame)
{
  for (guint i = 0; i < 4; i++)
    put_u64 (to, change->rng.s[i]);
  put_u64 (to, change->clock);
  put_u64 (to, change->owed);
  put_u32 (to, (stream ? SEED_SPOOL_FLAG_STREAM : 0) | (frame ? SEED_SPOOL_FLAG_FRAME : 0));
  put_u32 (to, change->went->len);
  put_u32 (to, change->drawn->len);
  put_u32 (to, 0);
  if (stream)
    put_stream (to, stream);
  put_indices (to, change->went);
  put_indices (to, change->drawn);
  put_padding (to);
  if (frame)
    put_frame (to, frame);
}

/* The check of a body whose end lies elsewhere: the word where they meet is put together. */
static guint64
check_body (guint64 number, const GByteArray *head, GBytes *pixels, guint *n_pad)
{
  const guint8 *body = head->data + SEED_SPOOL_RECORD_SIZE, *more;
  gsize size = head->len - SEED_SPOOL_RECORD_SIZE, whole = size & ~(gsize) 7, n_more = 0, used;
  guint8 word[8] = { 0 };
  guint64 h = seed_spool_check_mix (seed_spool_check_begin (number), body, whole);

  more = pixels ? g_bytes_get_data (pixels, &n_more) : NULL;
  *n_pad = (guint) (-(size + n_more) % 8);
  used = whole < size ? MIN (8 - (size - whole), n_more) : 0;
  if (whole < size) {
    memcpy (word, body + whole, size - whole);
    if (used > 0)
      memcpy (word + (size - whole), more, used);
    h = seed_spool_check_mix (h, word, 8);
  }
  return n_more > used ? seed_spool_check_mix (h, more + used, n_more - used) : h;
}

void
seed_spool_put_record (GByteArray *head, guint64 number, const SeedReplayChange *change,
    const SeedReplayStream *stream, const SeedRemembered *frame, guint *n_pad)
{
  guint32 magic = GUINT32_TO_LE (SEED_SPOOL_RECORD_MAGIC);
  guint64 check, size;

  g_byte_array_set_size (head, SEED_SPOOL_RECORD_SIZE);
  memset (head->data, 0, SEED_SPOOL_RECORD_SIZE);
  put_body (head, change, stream, frame);
  check = check_body (number, head, frame ? frame->pixels : NULL, n_pad);
  size = head->len - SEED_SPOOL_RECORD_SIZE + *n_pad;
  if (frame)
    size += g_bytes_get_size (frame->pixels);
  memcpy (head->data, &magic, sizeof magic);
  set_u64 (head->data + 8, size);
  set_u64 (head->data + 16, check);
  set_u64 (head->data + 24, seed_spool_check_mix (seed_spool_check_begin (number), head->data, 24));
}
