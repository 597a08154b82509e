/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "text/spm-normalizer.h"

/* Bounds how much longer a text can get; the longest of NFKC has 33 bytes. */
#define MAX_REPLACEMENT 64u
#define SPACE_SYMBOL "\xe2\x96\x81"

static guint32
read_u32 (const guint8 *p)
{
  return (guint32) p[0] | (guint32) p[1] << 8 | (guint32) p[2] << 16 | (guint32) p[3] << 24;
}

static gboolean
check_replacements (const char *text, gsize length, const char *label, GError **error)
{
  for (gsize from = 0; from < length;) {
    gsize n = strlen (text + from); /* the last byte of all is NUL */

    if (n > MAX_REPLACEMENT) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
          "%s: precompiled_charsmap replaces a character by %" G_GSIZE_FORMAT
          " bytes; at most %u are supported",
          label, n, MAX_REPLACEMENT);
      return FALSE;
    }
    from += n + 1;
  }
  return TRUE;
}

gboolean
seed_spm_normalizer_init (
    SeedSpmNormalizer *normalizer, const SeedSpmModel *model, const char *label, GError **error)
{
  const guint8 *data = (const guint8 *) model->charsmap;
  gsize length = model->charsmap_length;
  guint32 trie_length;

  *normalizer = (SeedSpmNormalizer){ .model = model, .add_dummy_prefix = model->add_dummy_prefix };
  if (length == 0)
    return TRUE;
  trie_length = length < sizeof trie_length ? 0 : read_u32 (data);
  if (trie_length < 4 || trie_length % 4 != 0 || trie_length > length - 4 ||
      data[length - 1] != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s: precompiled_charsmap of %" G_GSIZE_FORMAT " bytes is damaged (a trie of %u bytes)",
        label, length, trie_length);
    return FALSE;
  }
  normalizer->units = data + 4;
  normalizer->n_units = trie_length / 4;
  normalizer->replacements = (const char *) data + 4 + trie_length;
  normalizer->replacements_length = length - 4 - trie_length;
  return check_replacements (
      normalizer->replacements, normalizer->replacements_length, label, error);
}

/* A unit: leaf value in bits 0-30, or label in 0-7, has-leaf in 8, offset in 10-31 (times 256 if
 * 9). */
static guint32
unit_at (const SeedSpmNormalizer *normalizer, guint32 index)
{
  return read_u32 (normalizer->units + (gsize) index * 4);
}

static guint32
offset_of (guint32 unit)
{
  return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The length of the longest rule that fits, or 0. A step out of the array ends the search. */
static gsize
match_rule (const SeedSpmNormalizer *normalizer, const char *text, gsize length, guint32 *value)
{
  guint32 node, unit;
  gsize longest = 0;

  if (normalizer->n_units == 0)
    return 0;
  node = offset_of (unit_at (normalizer, 0));
  for (gsize i = 0; i < length; i++) {
    node ^= (guchar) text[i];
    if (node >= normalizer->n_units)
      break;
    unit = unit_at (normalizer, node);
    if ((unit & (1u << 31 | 0xff)) != (guchar) text[i])
      break;
    node ^= offset_of (unit);
    if (unit & (1u << 8)) {
      guint32 leaf =
          node < normalizer->n_units ? unit_at (normalizer, node) & 0x7fffffffu : G_MAXUINT32;

      if (leaf >= normalizer->replacements_length)
        break;
      *value = leaf;
      longest = i + 1;
    }
  }
  return longest;
}

typedef struct {
  const SeedSpmNormalizer *normalizer;
  SeedSpmMatchFunc match;
  gconstpointer data;
} Context;

/* What the beginning of @text becomes; returns how much of it that is. */
static gsize
next_prefix (const Context *context, const char *text, gsize length, const char **out, gsize *n)
{
  gsize taken = context->match ? context->match (context->data, text, length) : 0;
  guint32 value;

  if (taken == 0) {
    taken = match_rule (context->normalizer, text, length, &value);
    if (taken > 0) {
      *out = context->normalizer->replacements + value; /* the last byte of all is NUL */
      *n = strlen (*out);
      return taken;
    }
    taken = (gsize) (g_utf8_next_char (text) - text);
    taken = MIN (taken, length);
  }
  *out = text;
  *n = taken;
  return taken;
}

static void
append_space (const SeedSpmModel *model, GString *out)
{
  g_string_append (out, model->escape_whitespaces ? SPACE_SYMBOL : " ");
}

static void
append_escaped (const SeedSpmModel *model, const char *text, gsize n, GString *out)
{
  for (gsize i = 0; i < n; i++)
    if (text[i] == ' ')
      append_space (model, out);
    else
      g_string_append_c (out, text[i]);
}

static gsize
skip_leading_space (const Context *context, const char *text, gsize length)
{
  gsize from = 0;

  while (from < length) {
    const char *piece;
    gsize n, taken = next_prefix (context, text + from, length - from, &piece, &n);

    if (n != 1 || *piece != ' ')
      break;
    from += taken;
  }
  return from;
}

static void
trim_trailing_space (const SeedSpmModel *model, gsize start, GString *out)
{
  const char *space = model->escape_whitespaces ? SPACE_SYMBOL : " ";
  gsize n = strlen (space);

  while (out->len >= start + n && memcmp (out->str + out->len - n, space, n) == 0)
    g_string_truncate (out, out->len - n);
}

void
seed_spm_normalize (const SeedSpmNormalizer *normalizer, SeedSpmMatchFunc match, gconstpointer data,
    const char *text, gsize length, GString *out)
{
  const Context context = { normalizer, match, data };
  const SeedSpmModel *model = normalizer->model;
  gboolean trim = model->remove_extra_whitespaces, after_space = trim;
  gsize start = out->len, from = trim ? skip_leading_space (&context, text, length) : 0;

  if (from == length)
    return;
  if (!model->whitespace_as_suffix && normalizer->add_dummy_prefix)
    append_space (model, out);
  while (from < length) {
    const char *piece;
    gsize n;

    from += next_prefix (&context, text + from, length - from, &piece, &n);
    while (after_space && n > 0 && *piece == ' ') {
      piece++;
      n--;
    }
    append_escaped (model, piece, n, out);
    if (n > 0)
      after_space = trim && piece[n - 1] == ' ';
  }
  if (trim)
    trim_trailing_space (model, start, out);
  if (model->whitespace_as_suffix && normalizer->add_dummy_prefix)
    append_space (model, out);
}
