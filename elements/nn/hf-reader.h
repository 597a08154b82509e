/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/json.h"

/* What the two configuration files have in common: one object, some of whose keys matter. */
typedef struct {
  SeedJson json;
  GString *key, *word; /* the key at hand; a buffer */
  gsize pos;           /* of the key's value */
} SeedHfReader;

void seed_hf_reader_init (SeedHfReader *reader, const char *label, const char *text, gsize length);
/* Frees what the reader has and hands its error over. */
gboolean seed_hf_reader_finish (SeedHfReader *reader, GError **error);

/* The next member of the object, with errors from here on naming its key. FALSE at the end. */
gboolean seed_hf_reader_next_key (SeedHfReader *reader);

/* Notes in @seen that key number @key has a value; fails when it had one before. JSON's null says
 * the same as no key, and is not noted. */
gboolean seed_hf_reader_mark_seen (SeedHfReader *reader, guint key, guint32 *seen);

/* Values: 16 */
gboolean seed_hf_reader_read_uint (SeedHfReader *reader, guint *value);
/* 16 or [16, 16] */
gboolean seed_hf_reader_read_square (SeedHfReader *reader, guint *value);
gboolean seed_hf_reader_fail_not_square (SeedHfReader *reader);
/* [3, 224, 224] */
gboolean seed_hf_reader_read_image (SeedHfReader *reader, guint *value);
/* [0.5, 0.5, 0.5], finite and, when @positive, above 0 */
gboolean seed_hf_reader_read_three (SeedHfReader *reader, float values[3], gboolean positive);

/* A file of at most @max_bytes: a regular one, and without waiting. The text is not terminated. */
gboolean
seed_hf_read_text (const char *path, guint max_bytes, char **text, gsize *length, GError **error);
