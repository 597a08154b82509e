/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>
#include <seed/error.h>

/*
 * Files of JSON: whole ones and JSON lines, plain or in gzip, written by strangers. Errors are
 * "FILE:LINE: ..." or "FILE:LINE:COLUMN: ...".
 */
#define SEED_JSONL_MAX_BYTES ((gsize) 1 << 30) /* unpacked */

/* The text of @path, unpacked when it is in gzip. SEED_ERROR_IO, _LIMIT, _FORMAT (broken gzip). */
GBytes *seed_jsonl_read (const char *path, GError **error);
/* Its characters, of an empty file too; they live as long as @bytes, and no NUL ends them. */
const char *seed_jsonl_text (GBytes *bytes, gsize *length);

/* @line: from 1. FALSE, with @error set, ends the reading. @object lives for the call. */
typedef gboolean (*SeedJsonlFunc) (JsonObject *object, guint line, gpointer data, GError **error);

/* Every line that is not blank holds one object: SEED_ERROR_FORMAT otherwise. */
gboolean seed_jsonl_parse (const char *label, const char *text, gsize length, SeedJsonlFunc func,
    gpointer data, GError **error);

/* A file that is one object. */
JsonNode *seed_jsonl_load_object (const char *path, GError **error);
JsonNode *
seed_jsonl_parse_object (const char *label, const char *text, gsize length, GError **error);

/*
 * Members of an object, or what is missing: FALSE (NULL) when there is none of that name and type.
 * A number is any finite one.
 */
gboolean seed_jsonl_get_number (JsonObject *object, const char *name, double *value);
const char *seed_jsonl_get_string (JsonObject *object, const char *name);
JsonObject *seed_jsonl_get_object (JsonObject *object, const char *name);
JsonArray *seed_jsonl_get_array (JsonObject *object, const char *name);
/* @node as a number. FALSE when it is none. */
gboolean seed_jsonl_is_number (JsonNode *node, double *value);
