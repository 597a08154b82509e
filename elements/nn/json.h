/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>

/*
 * A strict pull reader of JSON text (RFC 8259) for files that strangers wrote: safetensors headers
 * and model configurations. It accepts exactly the grammar: no comments, no trailing commas, no
 * NaN, no lone surrogates, no NUL in strings; it never recurses deeper than SEED_JSON_MAX_DEPTH and
 * never allocates more than the caller allows. The caller asks for what it expects in the order of
 * the text, so a value of the wrong type is an error at its place.
 *
 * The first error sticks: from then on every call returns FALSE at once, so that loops end and the
 * caller asks once, with seed_json_finish. Plain data for one thread.
 */
#define SEED_JSON_MAX_DEPTH 32u

typedef struct {
  const char *label; /* the file in errors */
  const char *text;
  gsize length, pos;
  gsize base;          /* byte of text in its file; 0: errors give line and column instead */
  const char *kind;    /* what the text at hand is about, "tensor" or "key", in errors; or NULL */
  const char *subject; /* its name, as it was read */
  guint depth;
  guint32 begun; /* bit per depth: a member or element was read */
  GError *error;
} SeedJson;

/* @label and @text must outlive the reader. Text that is not UTF-8 or has a NUL fails here. */
void seed_json_init (SeedJson *json, const char *label, const char *text, gsize length, gsize base);

/* The first byte of the next value, or 0 at the end of the text and after an error. */
char seed_json_peek (SeedJson *json);

/* @bracket: '{' or '['. */
gboolean seed_json_open (SeedJson *json, char bracket);
/* Goes to the next member of the open object and puts its key (@max_bytes at most) into @key.
 * FALSE after the last one, with the object closed. Keys are not checked for doubles. */
gboolean seed_json_next_member (SeedJson *json, GString *key, gsize max_bytes);
/* The same for the open array. */
gboolean seed_json_next_element (SeedJson *json);

gboolean seed_json_read_string (SeedJson *json, GString *value, gsize max_bytes);
/* A whole number 0..@max, written with digits only. */
gboolean seed_json_read_uint (SeedJson *json, guint64 max, guint64 *value);
/* Any number that a double holds without becoming infinite. */
gboolean seed_json_read_number (SeedJson *json, double *value);
gboolean seed_json_read_boolean (SeedJson *json, gboolean *value);
/* Passes over a value of any type, checking its grammar. */
gboolean seed_json_skip (SeedJson *json);

/* Fails unless only white space is left. */
gboolean seed_json_end (SeedJson *json);

/* Sets the error, "FILE: byte N: KIND "SUBJECT": message", unless there is one. Returns FALSE. */
gboolean seed_json_fail (SeedJson *json, gsize pos, SeedErrorCode code, const char *format, ...)
    G_GNUC_PRINTF (4, 5);

/* Hands the error over. TRUE when there was none. To be called once, last. */
gboolean seed_json_finish (SeedJson *json, GError **error);

/* @text as a JSON string with its quotes, appended to @out. @text is UTF-8. */
void seed_json_append_quoted (GString *out, const char *text);
/* The same for messages: cut after @SEED_JSON_MAX_SHOWN bytes. Caller frees. */
#define SEED_JSON_MAX_SHOWN 200u
char *seed_json_show (const char *text);
/* The shortest decimal that reads back as @value (finite), in the precision of float or double. */
void seed_json_append_float (GString *out, float value);
void seed_json_append_double (GString *out, double value);
