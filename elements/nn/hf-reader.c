/* SPDX-License-Identifier: MIT */
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
seed_hf_reader_mark_seen (SeedHfReader *reader, guint key, guint32 *seen)
{
  if (*seen & (1u << key))
    return seed_json_fail (&reader->json, reader->pos, SEED_ERROR_FORMAT, "is here twice");
  if (seed_json_peek (&reader->json) != 'n')
    *seen |= 1u << key;
  return TRUE;
}
