/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/hf-reader.h"

#define MAX_KEY 256u

void
seed_hf_reader_init (SeedHfReader *reader, const char *label, const char *text, gsize length)
{
  *reader = (SeedHfReader){ .key = g_string_new (NULL), .word = g_string_new (NULL) };
  seed_json_init (&reader->json, label, text, length, 0);
}

gboolean
seed_hf_reader_finish (SeedHfReader *reader, GError **error)
{
  g_string_free (reader->key, TRUE);
  g_string_free (reader->word, TRUE);
  return seed_json_finish (&reader->json, error);
}

gboolean
seed_hf_reader_next_key (SeedHfReader *reader)
{
  SeedJson *json = &reader->json;

  json->kind = NULL;
  if (!seed_json_next_member (json, reader->key, MAX_KEY))
    return FALSE;
  json->kind = "key";
  json->subject = reader->key->str;
  seed_json_peek (json);
  reader->pos = json->pos;
  return TRUE;
}

gboolean
seed_hf_reader_read_uint (SeedHfReader *reader, guint *value)
{
  guint64 wide;

  if (!seed_json_read_uint (&reader->json, G_MAXINT32, &wide))
    return FALSE;
  *value = (guint) wide;
  return TRUE;
}

gboolean
seed_hf_reader_fail_not_square (SeedHfReader *reader)
{
  return seed_json_fail (
      &reader->json, reader->pos, SEED_ERROR_UNSUPPORTED, "only squares are supported");
}

gboolean
seed_hf_reader_read_square (SeedHfReader *reader, guint *value)
{
  SeedJson *json = &reader->json;
  guint sides[2], n = 0;

  if (seed_json_peek (json) != '[')
    return seed_hf_reader_read_uint (reader, value);
  seed_json_open (json, '[');
  while (seed_json_next_element (json)) {
    if (n == 2)
      return seed_hf_reader_fail_not_square (reader);
    if (!seed_hf_reader_read_uint (reader, &sides[n++]))
      return FALSE;
  }
  if (json->error)
    return FALSE;
  if (n != 2 || sides[0] != sides[1])
    return seed_hf_reader_fail_not_square (reader);
  *value = sides[0];
  return TRUE;
}

gboolean
seed_hf_reader_read_image (SeedHfReader *reader, guint *value)
{
  SeedJson *json = &reader->json;
  guint sides[3], n = 0;

  seed_json_open (json, '[');
  while (seed_json_next_element (json)) {
    if (n == 3)
      return seed_json_fail (json, reader->pos, SEED_ERROR_FORMAT, "expected 3 numbers");
    if (!seed_hf_reader_read_uint (reader, &sides[n++]))
      return FALSE;
  }
  if (json->error)
    return FALSE;
  if (n != 3)
    return seed_json_fail (json, reader->pos, SEED_ERROR_FORMAT, "expected 3 numbers");
  if (sides[0] != 3)
    return seed_json_fail (json, reader->pos, SEED_ERROR_UNSUPPORTED,
        "%u channels are not supported, images have 3", sides[0]);
  if (sides[1] != sides[2])
    return seed_hf_reader_fail_not_square (reader);
  *value = sides[1];
  return TRUE;
}

gboolean
seed_hf_reader_read_three (SeedHfReader *reader, float values[3], gboolean positive)
{
  SeedJson *json = &reader->json;
  guint n = 0;

  seed_json_open (json, '[');
  while (seed_json_next_element (json)) {
    double value;

    if (!seed_json_read_number (json, &value))
      return FALSE;
    if (!isfinite ((float) value) || (positive && (float) value <= 0))
      return seed_json_fail (json, reader->pos, SEED_ERROR_INVALID, "a number out of range");
    if (n < 3)
      values[n] = (float) value;
    n++;
  }
  if (!json->error && n != 3)
    seed_json_fail (json, reader->pos, SEED_ERROR_INVALID, "expected 3 numbers, found %u", n);
  return !json->error;
}

gboolean
seed_hf_reader_mark_seen (SeedHfReader *reader, guint key, guint32 *seen)
{
  if (*seen & (1u << key))
    return seed_json_fail (&reader->json, reader->pos, SEED_ERROR_FORMAT, "is here twice");
  if (seed_json_peek (&reader->json) != 'n')
    *seen |= 1u << key;
  return TRUE;
}

gboolean
seed_hf_read_text (const char *path, guint max_bytes, char **text, gsize *length, GError **error)
{
  struct stat stat;
  gsize room;
  FILE *file = NULL;
  gboolean ok = FALSE;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */

  if (fd < 0 || fstat (fd, &stat) < 0 || !(file = fdopen (fd, "r"))) {
    int saved = errno;
    g_set_error (error, SEED_ERROR, saved == ENOENT ? SEED_ERROR_NOT_FOUND : SEED_ERROR_IO,
        "%s: cannot read: %s", path, g_strerror (saved));
    if (fd >= 0)
      close (fd);
    return FALSE;
  }
  if (!S_ISREG (stat.st_mode)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: is not a file", path);
    fclose (file);
    return FALSE;
  }
  room = (gsize) MIN (stat.st_size, max_bytes) + 1;
  *text = g_malloc (room);
  *length = fread (*text, 1, room, file);
  if (ferror (file))
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot read", path);
  else if (*length > max_bytes)
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "%s: longer than %u bytes", path, max_bytes);
  else
    ok = TRUE;
  fclose (file);
  return ok;
}
