/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "decode/streams.h"
#include "decode/uri.h"

#define MAX_ID 63
#define ALLOWED_FIELDS                                                                             \
  "id, uri, max-fps, loop, passes, live, reconnect, retry-min-ms, retry-max-ms, stall-ms, "        \
  "connect-ms"

typedef struct {
  const char *text, *p;
  guint number; /* of the stream, from 1 */
  SeedStreamSpec *spec;
} Scanner;

typedef gboolean (*SetField) (Scanner *s, const char *value, GError **error);

gboolean
seed_stream_id_is_valid (const char *id)
{
  gsize length = id ? strspn (id, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;

  return length > 0 && length <= MAX_ID && id[length] == '\0';
}

SeedStreamSpec *
seed_stream_spec_new (const char *id, const char *uri, double max_fps)
{
  SeedStreamSpec *spec = g_new0 (SeedStreamSpec, 1);

  spec->id = g_strdup (id);
  spec->uri = g_strdup (uri);
  spec->max_fps = max_fps;
  spec->passes = 1;
  spec->live = spec->reconnect = -1;
  spec->retry_min_ms = spec->retry_max_ms = spec->stall_ms = spec->connect_ms = -1;
  return spec;
}

SeedStreamSpec *
seed_stream_spec_copy (const SeedStreamSpec *spec)
{
  SeedStreamSpec *copy = g_memdup2 (spec, sizeof *spec);

  copy->id = g_strdup (spec->id);
  copy->uri = g_strdup (spec->uri);
  return copy;
}

gboolean
seed_stream_spec_is_live (const SeedStreamSpec *spec)
{
  return spec->live >= 0 ? spec->live : seed_uri_is_live (spec->uri);
}

static gint64
said_or (gint64 said, gint64 otherwise)
{
  return said >= 0 ? said : otherwise;
}

void
seed_stream_spec_get_policy (const SeedStreamSpec *spec, SeedStreamPolicy *policy)
{
  gboolean live = seed_stream_spec_is_live (spec), watched;
  gint64 min = said_or (spec->retry_min_ms, SEED_STREAMS_RETRY_MIN_MS);
  gint64 max = said_or (spec->retry_max_ms, SEED_STREAMS_RETRY_MAX_MS);

  policy->reconnect =
      spec->reconnect >= 0 ? spec->reconnect : live || seed_uri_is_remote (spec->uri);
  watched = live || policy->reconnect;
  /* with one of them said, the other gives way */
  policy->retry_min_ms = spec->retry_min_ms >= 0 ? min : MIN (min, max);
  policy->retry_max_ms = MAX (max, policy->retry_min_ms);
  policy->stall_ms = said_or (spec->stall_ms, watched ? SEED_STREAMS_STALL_MS : 0);
  policy->connect_ms = said_or (spec->connect_ms, watched ? SEED_STREAMS_CONNECT_MS : 0);
}

void
seed_stream_spec_free (SeedStreamSpec *spec)
{
  if (!spec)
    return;
  g_free (spec->id);
  g_free (spec->uri);
  g_free (spec);
}

G_GNUC_PRINTF (4, 5)
static gboolean
fail (const Scanner *s, SeedErrorCode code, GError **error, const char *format, ...)
{
  g_autofree char *what = NULL;
  const char *id = s->spec && s->spec->id ? s->spec->id : NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, SEED_ERROR, code, "streams: stream %u%s%s%s (byte %u): %s", s->number,
      id ? " \"" : "", id ? id : "", id ? "\"" : "", (guint) (s->p - s->text), what);
  return FALSE;
}

static void
skip_space (Scanner *s)
{
  while (g_ascii_isspace (*s->p))
    s->p++;
}

static gboolean
accept_char (Scanner *s, char c)
{
  skip_space (s);
  if (*s->p != c)
    return FALSE;
  s->p++;
  return TRUE;
}

/* Characters up to a delimiter of the notation. */
static char *
scan_word (Scanner *s)
{
  gsize length;
  char *word;

  skip_space (s);
  length = strcspn (s->p, " \t\r\n,;=()\"");
  word = g_strndup (s->p, length);
  s->p += length;
  return word;
}

static gboolean
scan_escape (Scanner *s, GString *value)
{
  guint code = 0;

  if (*s->p < '0' || *s->p > '3') { /* any other character stands for itself */
    if (*s->p == '\0')
      return FALSE;
    g_string_append_c (value, *s->p++);
    return TRUE;
  }
  for (int i = 0; i < 3; i++, s->p++) {
    if (*s->p < '0' || *s->p > '7')
      return FALSE;
    code = code * 8 + (guint) (*s->p - '0');
  }
  if (code == 0)
    return FALSE;
  g_string_append_c (value, (char) code);
  return TRUE;
}

static char *
scan_quoted (Scanner *s, GError **error)
{
  g_autoptr (GString) value = g_string_new (NULL);

  while (*s->p && *s->p != '"') {
    if (*s->p != '\\') {
      g_string_append_c (value, *s->p++);
      continue;
    }
    s->p++;
    if (!scan_escape (s, value)) {
      fail (s, SEED_ERROR_FORMAT, error,
          "a backslash must be followed by a character or three octal digits");
      return NULL;
    }
  }
  if (*s->p != '"') {
    fail (s, SEED_ERROR_FORMAT, error, "a quoted value does not end; add \"");
    return NULL;
  }
  s->p++;
  if (!g_utf8_validate (value->str, (gssize) value->len, NULL)) {
    fail (s, SEED_ERROR_FORMAT, error, "a value is not UTF-8");
    return NULL;
  }
  return g_strdup (value->str);
}

static gboolean
set_id (Scanner *s, const char *value, GError **error)
{
  if (!seed_stream_id_is_valid (value))
    return fail (s, SEED_ERROR_INVALID, error,
        "id \"%s\" is not a stream id; use 1 to %d of a-z, 0-9 and -", value, MAX_ID);
  s->spec->id = g_strdup (value);
  return TRUE;
}

static gboolean
set_uri (Scanner *s, const char *value, GError **error)
{
  if (*value == '\0')
    return fail (s, SEED_ERROR_INVALID, error, "uri is empty; write for example file:///srv/a.mp4");
  s->spec->uri = g_strdup (value);
  return TRUE;
}

static gboolean
set_max_fps (Scanner *s, const char *value, GError **error)
{
  char *end = NULL;
  double fps = g_ascii_strtod (value, &end);

  if (*value == '\0' || *end != '\0' || !isfinite (fps) || fps < 0)
    return fail (s, SEED_ERROR_INVALID, error,
        "max-fps \"%s\" is not a number of frames a second, 0 (all of them) or more", value);
  s->spec->max_fps = fps;
  return TRUE;
}

static gboolean
read_truth (Scanner *s, const char *name, const char *value, gboolean *truth, GError **error)
{
  static const char *const yes[] = { "true", "yes", "1", NULL };
  static const char *const no[] = { "false", "no", "0", NULL };
  g_autofree char *lower = g_ascii_strdown (value, -1);

  *truth = g_strv_contains (yes, lower);
  if (!*truth && !g_strv_contains (no, lower))
    return fail (s, SEED_ERROR_INVALID, error, "%s \"%s\" is neither true nor false", name, value);
  return TRUE;
}

static gboolean
set_loop (Scanner *s, const char *value, GError **error)
{
  return read_truth (s, "loop", value, &s->spec->loop, error);
}

static gboolean
set_live (Scanner *s, const char *value, GError **error)
{
  return read_truth (s, "live", value, &s->spec->live, error);
}

static gboolean
set_reconnect (Scanner *s, const char *value, GError **error)
{
  return read_truth (s, "reconnect", value, &s->spec->reconnect, error);
}

static gboolean
read_ms (Scanner *s, const char *name, guint64 min, const char *value, gint64 *ms, GError **error)
{
  guint64 number;

  if (!g_ascii_string_to_unsigned (value, 10, min, SEED_STREAMS_MAX_MS, &number, NULL))
    return fail (s, SEED_ERROR_INVALID, error,
        "%s \"%s\" is not a number of milliseconds from %" G_GUINT64_FORMAT " to %d", name, value,
        min, SEED_STREAMS_MAX_MS);
  *ms = (gint64) number;
  return TRUE;
}

static gboolean
set_retry_min (Scanner *s, const char *value, GError **error)
{
  return read_ms (
      s, "retry-min-ms", SEED_STREAMS_LEAST_RETRY_MS, value, &s->spec->retry_min_ms, error);
}

static gboolean
set_retry_max (Scanner *s, const char *value, GError **error)
{
  return read_ms (
      s, "retry-max-ms", SEED_STREAMS_LEAST_RETRY_MS, value, &s->spec->retry_max_ms, error);
}

static gboolean
set_stall (Scanner *s, const char *value, GError **error)
{
  return read_ms (s, "stall-ms", 0, value, &s->spec->stall_ms, error);
}

static gboolean
set_connect (Scanner *s, const char *value, GError **error)
{
  return read_ms (s, "connect-ms", 0, value, &s->spec->connect_ms, error);
}

static gboolean
set_passes (Scanner *s, const char *value, GError **error)
{
  guint64 passes;

  if (!g_ascii_string_to_unsigned (value, 10, 1, SEED_STREAMS_MAX_PASSES, &passes, NULL))
    return fail (s, SEED_ERROR_INVALID, error, "passes \"%s\" is not a number from 1 to %d", value,
        SEED_STREAMS_MAX_PASSES);
  s->spec->passes = (guint) passes;
  return TRUE;
}

static const char *const string_types[] = { "string", "str", "s", NULL };
static const char *const number_types[] = { "double", "d", "float", "f", "int", "i", "uint", "u",
  NULL };
static const char *const count_types[] = { "uint", "u", "int", "i", NULL };
static const char *const boolean_types[] = { "boolean", "bool", "b", NULL };

static const struct {
  const char *name;
  SetField set;
  const char *const *types;
} fields[] = {
  { "id", set_id, string_types },
  { "uri", set_uri, string_types },
  { "max-fps", set_max_fps, number_types },
  { "loop", set_loop, boolean_types },
  { "passes", set_passes, count_types },
  { "live", set_live, boolean_types },
  { "reconnect", set_reconnect, boolean_types },
  { "retry-min-ms", set_retry_min, count_types },
  { "retry-max-ms", set_retry_max, count_types },
  { "stall-ms", set_stall, count_types },
  { "connect-ms", set_connect, count_types },
};

/* "(type)" when there is one */
static gboolean
scan_type (Scanner *s, guint field, GError **error)
{
  g_autofree char *type = NULL;

  if (!accept_char (s, '('))
    return TRUE;
  type = scan_word (s);
  if (!accept_char (s, ')'))
    return fail (s, SEED_ERROR_FORMAT, error, "the type of field %s does not end; add )",
        fields[field].name);
  if (!g_strv_contains (fields[field].types, type))
    return fail (s, SEED_ERROR_INVALID, error, "field %s cannot be of type %s; use (%s)",
        fields[field].name, type, fields[field].types[0]);
  return TRUE;
}

static gboolean
scan_field (Scanner *s, guint *seen, GError **error)
{
  g_autofree char *name = scan_word (s), *value = NULL;
  guint field = 0;

  while (field < G_N_ELEMENTS (fields) && !g_str_equal (fields[field].name, name))
    field++;
  if (field == G_N_ELEMENTS (fields))
    return fail (
        s, SEED_ERROR_INVALID, error, "unknown field \"%s\"; allowed are %s", name, ALLOWED_FIELDS);
  if (*seen & (1u << field))
    return fail (s, SEED_ERROR_INVALID, error, "field %s is given twice", name);
  *seen |= 1u << field;
  if (!accept_char (s, '='))
    return fail (s, SEED_ERROR_FORMAT, error, "expected = after field %s", name);
  if (!scan_type (s, field, error))
    return FALSE;
  value = accept_char (s, '"') ? scan_quoted (s, error) : scan_word (s);
  return value && fields[field].set (s, value, error);
}

static gboolean
scan_stream (Scanner *s, GError **error)
{
  g_autofree char *name = scan_word (s);
  guint seen = 0;

  if (!g_str_equal (name, "stream"))
    return fail (
        s, SEED_ERROR_FORMAT, error, "expected \"stream, id=..., uri=...\", not \"%s\"", name);
  while (accept_char (s, ',')) {
    if (!scan_field (s, &seen, error))
      return FALSE;
  }
  if (!s->spec->id)
    return fail (s, SEED_ERROR_INVALID, error, "field id is missing");
  if (!s->spec->uri)
    return fail (s, SEED_ERROR_INVALID, error, "field uri is missing");
  if (s->spec->retry_min_ms >= 0 && s->spec->retry_max_ms >= 0 &&
      s->spec->retry_min_ms > s->spec->retry_max_ms)
    return fail (s, SEED_ERROR_INVALID, error, "retry-min-ms is more than retry-max-ms");
  skip_space (s);
  if (*s->p && *s->p != ';')
    return fail (s, SEED_ERROR_FORMAT, error, "expected , before the next field or ; at the end");
  return TRUE;
}

static gboolean
is_known (GPtrArray *specs, const char *id)
{
  for (guint i = 0; i < specs->len; i++) {
    if (g_str_equal (((SeedStreamSpec *) g_ptr_array_index (specs, i))->id, id))
      return TRUE;
  }
  return FALSE;
}

static gboolean
add_stream (Scanner *s, GPtrArray *specs, GError **error)
{
  g_autoptr (SeedStreamSpec) spec = seed_stream_spec_new (NULL, NULL, -1);

  s->spec = spec;
  s->number++;
  if (!scan_stream (s, error))
    return FALSE;
  if (is_known (specs, spec->id))
    return fail (s, SEED_ERROR_INVALID, error, "another stream has this id; ids must differ");
  if (specs->len == SEED_STREAMS_MAX)
    return fail (s, SEED_ERROR_LIMIT, error, "more than %d streams; use several decode stages",
        SEED_STREAMS_MAX);
  g_ptr_array_add (specs, g_steal_pointer (&spec));
  return TRUE;
}

GPtrArray *
seed_stream_specs_parse (const char *text, GError **error)
{
  g_autoptr (GPtrArray) specs = NULL;
  Scanner s = { text, text, 0, NULL };

  if (strlen (text) > SEED_STREAMS_MAX_BYTES) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "streams: the text is longer than %d bytes",
        SEED_STREAMS_MAX_BYTES);
    return NULL;
  }
  specs = g_ptr_array_new_with_free_func ((GDestroyNotify) seed_stream_spec_free);
  do {
    skip_space (&s);
    if (*s.p && *s.p != ';' && !add_stream (&s, specs, error))
      return NULL;
  } while (accept_char (&s, ';'));
  if (specs->len == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "streams: no stream given; write stream, id=door, uri=\"file:///srv/door.mp4\"");
    return NULL;
  }
  return g_steal_pointer (&specs);
}
