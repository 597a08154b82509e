/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "nn/json.h"

#define MAX_NUMBER_LENGTH 128u

/* Errors */

static void
append_place (GString *message, const SeedJson *json, gsize pos)
{
  gsize line = 1, column = 1;

  if (json->base > 0) {
    g_string_append_printf (
        message, "%s: byte %" G_GSIZE_FORMAT ": ", json->label, json->base + pos);
    return;
  }
  for (gsize i = 0; i < pos && i < json->length; i++) {
    column++;
    if (json->text[i] == '\n') {
      line++;
      column = 1;
    }
  }
  g_string_append_printf (
      message, "%s:%" G_GSIZE_FORMAT ":%" G_GSIZE_FORMAT ": ", json->label, line, column);
}

gboolean
seed_json_fail (SeedJson *json, gsize pos, SeedErrorCode code, const char *format, ...)
{
  g_autoptr (GString) message = NULL;
  va_list args;

  if (json->error)
    return FALSE;

  message = g_string_new (NULL);
  append_place (message, json, pos);
  if (json->kind) {
    g_autofree char *subject = seed_json_show (json->subject);
    g_string_append_printf (message, "%s %s: ", json->kind, subject);
  }
  va_start (args, format);
  g_string_append_vprintf (message, format, args);
  va_end (args);
  json->error = g_error_new_literal (SEED_ERROR, code, message->str);
  return FALSE;
}

gboolean
seed_json_finish (SeedJson *json, GError **error)
{
  if (!json->error)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&json->error));
  return FALSE;
}

/* The byte at @pos, for "expected ..., found ...". */
static gboolean
fail_expected (SeedJson *json, const char *expected)
{
  gunichar c;

  if (json->error)
    return FALSE;
  if (json->pos >= json->length)
    return seed_json_fail (
        json, json->pos, SEED_ERROR_FORMAT, "expected %s, found the end of the text", expected);
  c = g_utf8_get_char (json->text + json->pos);
  if (g_unichar_isprint (c))
    return seed_json_fail (json, json->pos, SEED_ERROR_FORMAT, "expected %s, found '%.*s'",
        expected, (int) (g_utf8_next_char (json->text + json->pos) - (json->text + json->pos)),
        json->text + json->pos);
  return seed_json_fail (
      json, json->pos, SEED_ERROR_FORMAT, "expected %s, found U+%04X", expected, (guint) c);
}

/* Scanning */

void
seed_json_init (SeedJson *json, const char *label, const char *text, gsize length, gsize base)
{
  const char *end;

  *json = (SeedJson){ .label = label, .text = text, .length = length, .base = base };
  if (length > 0 && !g_utf8_validate_len (text, length, &end))
    seed_json_fail (
        json, end - text, SEED_ERROR_FORMAT, *end ? "this is not UTF-8 text" : "NUL in the text");
}

char
seed_json_peek (SeedJson *json)
{
  if (json->error)
    return 0;
  while (json->pos < json->length && strchr (" \t\n\r", json->text[json->pos]))
    json->pos++;
  return json->pos < json->length ? json->text[json->pos] : 0;
}

static gboolean
take (SeedJson *json, char c, const char *expected)
{
  if (seed_json_peek (json) != c)
    return fail_expected (json, expected);
  json->pos++;
  return TRUE;
}

gboolean
seed_json_open (SeedJson *json, char bracket)
{
  gsize pos;

  if (!take (json, bracket, bracket == '{' ? "an object '{'" : "an array '['"))
    return FALSE;
  pos = json->pos - 1;
  if (json->depth == SEED_JSON_MAX_DEPTH)
    return seed_json_fail (
        json, pos, SEED_ERROR_LIMIT, "nested deeper than %u levels", SEED_JSON_MAX_DEPTH);
  json->begun &= ~(1u << json->depth);
  json->depth++;
  return TRUE;
}

/* Past the comma to the next member or element, or past the closing bracket: then FALSE. */
static gboolean
next (SeedJson *json, char close, const char *comma_or_close)
{
  char c = seed_json_peek (json);
  guint32 bit;

  if (json->error)
    return FALSE;
  bit = 1u << (json->depth - 1);
  if (c == close) {
    json->pos++;
    json->depth--;
    return FALSE;
  }
  if (json->begun & bit)
    return take (json, ',', comma_or_close);
  json->begun |= bit;
  return TRUE;
}

gboolean
seed_json_next_member (SeedJson *json, GString *key, gsize max_bytes)
{
  if (!next (json, '}', "',' or '}'"))
    return FALSE;
  if (seed_json_peek (json) != '"')
    return fail_expected (json, "a key in '\"'");
  return seed_json_read_string (json, key, max_bytes) && take (json, ':', "':'");
}

gboolean
seed_json_next_element (SeedJson *json)
{
  return next (json, ']', "',' or ']'");
}

/* Values */

static gboolean
read_hex4 (SeedJson *json, gunichar *value)
{
  *value = 0;
  for (guint i = 0; i < 4; i++, json->pos++) {
    if (json->pos >= json->length || !g_ascii_isxdigit (json->text[json->pos]))
      return fail_expected (json, "four hexadecimal digits after \\u");
    *value = *value * 16 + (gunichar) g_ascii_xdigit_value (json->text[json->pos]);
  }
  return TRUE;
}

/* After "\u". A character outside the basic plane is a pair of them. */
static gboolean
read_unicode_escape (SeedJson *json, gunichar *c)
{
  gsize pos = json->pos - 2;
  gunichar low;

  if (!read_hex4 (json, c))
    return FALSE;
  if (*c == 0)
    return seed_json_fail (json, pos, SEED_ERROR_FORMAT, "NUL in a string");
  if (*c < 0xd800 || *c > 0xdfff)
    return TRUE;
  if (*c > 0xdbff || json->length - json->pos < 6 || json->text[json->pos] != '\\' ||
      json->text[json->pos + 1] != 'u')
    return seed_json_fail (json, pos, SEED_ERROR_FORMAT, "half of a surrogate pair");
  json->pos += 2;
  if (!read_hex4 (json, &low))
    return FALSE;
  if (low < 0xdc00 || low > 0xdfff)
    return seed_json_fail (json, pos, SEED_ERROR_FORMAT, "half of a surrogate pair");
  *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
  return TRUE;
}

static gboolean
read_escape (SeedJson *json, GString *value)
{
  static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  const char *letter;
  gunichar c;

  if (++json->pos >= json->length)
    return fail_expected (json, "an escaped character");
  if (json->text[json->pos] == 'u') {
    json->pos++;
    if (!read_unicode_escape (json, &c))
      return FALSE;
    g_string_append_unichar (value, c);
    return TRUE;
  }
  letter = strchr (letters, json->text[json->pos]);
  if (!letter)
    return fail_expected (json, "one of \"\\/bfnrtu after '\\'");
  g_string_append_c (value, meanings[letter - letters]);
  json->pos++;
  return TRUE;
}

gboolean
seed_json_read_string (SeedJson *json, GString *value, gsize max_bytes)
{
  gsize begin;

  g_string_truncate (value, 0);
  if (!take (json, '"', "a string"))
    return FALSE;
  begin = json->pos - 1;
  for (;;) {
    guchar c = json->pos < json->length ? (guchar) json->text[json->pos] : 0;

    if (c == '"')
      break;
    if (c < 0x20)
      return fail_expected (json, "the end of the string '\"'");
    if (c == '\\') {
      if (!read_escape (json, value))
        return FALSE;
    } else {
      g_string_append_c (value, (char) c);
      json->pos++;
    }
    if (value->len > max_bytes)
      return seed_json_fail (json, begin, SEED_ERROR_LIMIT,
          "a string longer than %" G_GSIZE_FORMAT " bytes", max_bytes);
  }
  json->pos++;
  return TRUE;
}

static gsize
count_digits (const SeedJson *json, gsize pos)
{
  gsize n = 0;

  while (pos + n < json->length && g_ascii_isdigit (json->text[pos + n]))
    n++;
  return n;
}

/* Past a number of the JSON grammar, which text[begin..pos) then is. */
static gboolean
scan_number (SeedJson *json, gsize *begin)
{
  char c = seed_json_peek (json);
  gsize n;

  *begin = json->pos;
  if (c != '-' && !g_ascii_isdigit (c))
    return fail_expected (json, "a number");
  if (c == '-')
    json->pos++;
  n = count_digits (json, json->pos);
  if (n == 0)
    return fail_expected (json, "a digit");
  if (n > 1 && json->text[json->pos] == '0')
    return seed_json_fail (json, *begin, SEED_ERROR_FORMAT, "a number with a leading zero");
  json->pos += n;
  if (json->pos < json->length && json->text[json->pos] == '.') {
    json->pos++;
    n = count_digits (json, json->pos);
    if (n == 0)
      return fail_expected (json, "a digit after '.'");
    json->pos += n;
  }
  if (json->pos < json->length && (json->text[json->pos] | 0x20) == 'e') {
    json->pos++;
    if (json->pos < json->length && strchr ("+-", json->text[json->pos]))
      json->pos++;
    n = count_digits (json, json->pos);
    if (n == 0)
      return fail_expected (json, "a digit of the exponent");
    json->pos += n;
  }
  if (json->pos - *begin > MAX_NUMBER_LENGTH)
    return seed_json_fail (
        json, *begin, SEED_ERROR_LIMIT, "a number longer than %u characters", MAX_NUMBER_LENGTH);
  return TRUE;
}

gboolean
seed_json_read_uint (SeedJson *json, guint64 max, guint64 *value)
{
  g_autofree char *text = NULL;
  gsize begin;

  if (!scan_number (json, &begin))
    return FALSE;
  text = g_strndup (json->text + begin, json->pos - begin);
  if (strspn (text, "0123456789") != strlen (text))
    return seed_json_fail (json, begin, SEED_ERROR_FORMAT,
        "expected a whole number, not negative and without fraction or exponent, found %s", text);
  if (!g_ascii_string_to_unsigned (text, 10, 0, max, value, NULL))
    return seed_json_fail (
        json, begin, SEED_ERROR_LIMIT, "%s is more than %" G_GUINT64_FORMAT, text, max);
  return TRUE;
}

gboolean
seed_json_read_number (SeedJson *json, double *value)
{
  char text[MAX_NUMBER_LENGTH + 1];
  gsize begin;

  if (!scan_number (json, &begin))
    return FALSE;
  memcpy (text, json->text + begin, json->pos - begin);
  text[json->pos - begin] = 0;
  *value = g_ascii_strtod (text, NULL);
  if (!isfinite (*value))
    return seed_json_fail (
        json, begin, SEED_ERROR_LIMIT, "%s is too large for a double-precision number", text);
  return TRUE;
}

static gboolean
take_word (SeedJson *json, const char *word)
{
  gsize length = strlen (word);

  if (json->length - json->pos < length || memcmp (json->text + json->pos, word, length) != 0)
    return fail_expected (json, "a value");
  json->pos += length;
  return TRUE;
}

gboolean
seed_json_read_boolean (SeedJson *json, gboolean *value)
{
  char c = seed_json_peek (json);

  if (c != 't' && c != 'f')
    return fail_expected (json, "true or false");
  *value = c == 't';
  return take_word (json, *value ? "true" : "false");
}

/* Recursion is bounded by seed_json_open. */
gboolean
seed_json_skip (SeedJson *json)
{
  g_autoptr (GString) scratch = NULL;
  gsize begin;

  switch (seed_json_peek (json)) {
  case '{':
    scratch = g_string_new (NULL);
    if (seed_json_open (json, '{')) {
      while (seed_json_next_member (json, scratch, json->length) && seed_json_skip (json))
        ;
    }
    return !json->error;
  case '[':
    if (seed_json_open (json, '[')) {
      while (seed_json_next_element (json) && seed_json_skip (json))
        ;
    }
    return !json->error;
  case '"':
    scratch = g_string_new (NULL);
    return seed_json_read_string (json, scratch, json->length);
  case 't':
    return take_word (json, "true");
  case 'f':
    return take_word (json, "false");
  case 'n':
    return take_word (json, "null");
  default:
    return scan_number (json, &begin);
  }
}

gboolean
seed_json_end (SeedJson *json)
{
  seed_json_peek (json);
  if (json->error)
    return FALSE;
  return json->pos == json->length || fail_expected (json, "the end of the text");
}

/* Writing */

void
seed_json_append_quoted (GString *out, const char *text)
{
  g_string_append_c (out, '"');
  for (const guchar *p = (const guchar *) text; *p; p++) {
    static const char specials[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *special = strchr (specials, *p);

    if (special)
      g_string_append_printf (out, "\\%c", letters[special - specials]);
    else if (*p < 0x20)
      g_string_append_printf (out, "\\u%04x", *p);
    else
      g_string_append_c (out, (char) *p);
  }
  g_string_append_c (out, '"');
}

char *
seed_json_show (const char *text)
{
  GString *out = g_string_new (NULL);
  gsize length = strlen (text);
  g_autofree char *cut = NULL;

  if (length <= SEED_JSON_MAX_SHOWN) {
    seed_json_append_quoted (out, text);
    return g_string_free (out, FALSE);
  }
  cut = g_strndup (text, SEED_JSON_MAX_SHOWN);
  *(char *) g_utf8_find_prev_char (cut, cut + SEED_JSON_MAX_SHOWN) =
      0; /* may be half a character */
  seed_json_append_quoted (out, cut);
  g_string_append (out, "...");
  return g_string_free (out, FALSE);
}

void
seed_json_append_double (GString *out, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE], format[8];

  for (int digits = 6; digits <= 17; digits++) {
    g_snprintf (format, sizeof format, "%%.%dg", digits);
    g_ascii_formatd (text, sizeof text, format, value);
    if (g_ascii_strtod (text, NULL) == value)
      break;
  }
  g_string_append (out, text);
}

void
seed_json_append_float (GString *out, float value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE], format[8];

  for (int digits = 6; digits <= 9; digits++) {
    g_snprintf (format, sizeof format, "%%.%dg", digits);
    g_ascii_formatd (text, sizeof text, format, value);
    if ((float) g_ascii_strtod (text, NULL) == value)
      break;
  }
  g_string_append (out, text);
}
