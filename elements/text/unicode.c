/* SPDX-License-Identifier: MIT */
#include "text/unicode.h"

#define CAPITAL_I_WITH_DOT 0x130u
#define COMBINING_DOT_ABOVE 0x307u

gboolean
seed_unicode_is_space (gunichar c)
{
  if (c < 0x80)
    return c == ' ' || (c >= '\t' && c <= '\r');
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

gboolean
seed_unicode_is_letter (gunichar c)
{
  switch (g_unichar_type (c)) {
  case G_UNICODE_LOWERCASE_LETTER:
  case G_UNICODE_UPPERCASE_LETTER:
  case G_UNICODE_TITLECASE_LETTER:
  case G_UNICODE_MODIFIER_LETTER:
  case G_UNICODE_OTHER_LETTER:
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean
seed_unicode_is_number (gunichar c)
{
  switch (g_unichar_type (c)) {
  case G_UNICODE_DECIMAL_NUMBER:
  case G_UNICODE_LETTER_NUMBER:
  case G_UNICODE_OTHER_NUMBER:
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean
seed_unicode_is_punctuation (gunichar c)
{
  switch (g_unichar_type (c)) {
  case G_UNICODE_CONNECT_PUNCTUATION:
  case G_UNICODE_DASH_PUNCTUATION:
  case G_UNICODE_OPEN_PUNCTUATION:
  case G_UNICODE_CLOSE_PUNCTUATION:
  case G_UNICODE_INITIAL_PUNCTUATION:
  case G_UNICODE_FINAL_PUNCTUATION:
  case G_UNICODE_OTHER_PUNCTUATION:
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean
seed_unicode_is_nonspacing_mark (gunichar c)
{
  return g_unichar_type (c) == G_UNICODE_NON_SPACING_MARK;
}

gboolean
seed_unicode_is_other (gunichar c)
{
  switch (g_unichar_type (c)) {
  case G_UNICODE_CONTROL:
  case G_UNICODE_FORMAT:
  case G_UNICODE_PRIVATE_USE:
  case G_UNICODE_SURROGATE:
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean
seed_unicode_is_ideograph (gunichar c)
{
  static const struct {
    gunichar first, last;
  } blocks[] = {
    { 0x3400, 0x4dbf },
    { 0x4e00, 0x9fff },
    { 0xf900, 0xfaff },
    { 0x20000, 0x2a6df },
    { 0x2a700, 0x2b73f },
    { 0x2b740, 0x2b81f },
    { 0x2b920, 0x2ceaf },
    { 0x2f800, 0x2fa1f },
  };

  for (guint i = 0; i < G_N_ELEMENTS (blocks) && c >= blocks[i].first; i++)
    if (c <= blocks[i].last)
      return TRUE;
  return FALSE;
}

/* GLib maps letters only; Roman numerals and circled letters have cases as well. */
static gunichar
lower (gunichar c)
{
  if (c >= 0x2160 && c <= 0x216f)
    return c + 0x10;
  if (c >= 0x24b6 && c <= 0x24cf)
    return c + 0x1a;
  return g_unichar_tolower (c);
}

void
seed_unicode_append_lower (GString *out, gunichar c)
{
  if (c < 0x80) {
    g_string_append_c (out, g_ascii_tolower ((char) c));
  } else if (c == CAPITAL_I_WITH_DOT) {
    g_string_append_c (out, 'i');
    g_string_append_unichar (out, COMBINING_DOT_ABOVE);
  } else {
    g_string_append_unichar (out, lower (c));
  }
}

void
seed_unicode_append_lower_text (GString *out, const char *text, gsize length)
{
  for (const char *p = text, *end = text + length; p < end; p = g_utf8_next_char (p))
    seed_unicode_append_lower (out, g_utf8_get_char (p));
}
