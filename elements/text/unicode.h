/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Character classes and mappings as the reference tokenizers see them; the Unicode tables are
 * GLib's. Pure functions.
 */

/* The White_Space property: what \s of regular expressions and BERT call white space. */
gboolean seed_unicode_is_space (gunichar c);

/* General categories L*, N*, P*, Mn, and C* without unassigned characters. */
gboolean seed_unicode_is_letter (gunichar c);
gboolean seed_unicode_is_number (gunichar c);
gboolean seed_unicode_is_punctuation (gunichar c);
gboolean seed_unicode_is_nonspacing_mark (gunichar c);
gboolean seed_unicode_is_other (gunichar c);

/* The ideographs that BERT takes for words of their own: CJK unified and compatibility blocks. */
gboolean seed_unicode_is_ideograph (gunichar c);

/*
 * The full lower-case mapping of one character, without context or locale: U+0130 becomes two
 * characters, a capital sigma never becomes a final one.
 */
void seed_unicode_append_lower (GString *out, gunichar c);
void seed_unicode_append_lower_text (GString *out, const char *text, gsize length);
