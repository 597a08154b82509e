/* SPDX-License-Identifier: MIT */
#include "graph/diagnostics.h"

#include <string.h>

#define MAX_QUOTED 80
#define MAX_WORD 64 /* longer words are nobody's misspelling */

struct _SeedDiagnostics {
  char *file;
  GPtrArray *items;
  guint suppressed;
};

static void
diagnostic_free (gpointer data)
{
  SeedDiagnostic *d = data;

  g_free (d->message);
  g_free (d);
}

SeedDiagnostics *
seed_diagnostics_new (const char *file)
{
  SeedDiagnostics *diagnostics = g_new0 (SeedDiagnostics, 1);

  diagnostics->file = g_strdup (file);
  diagnostics->items = g_ptr_array_new_with_free_func (diagnostic_free);
  return diagnostics;
}

void
seed_diagnostics_free (SeedDiagnostics *diagnostics)
{
  if (!diagnostics)
    return;
  g_ptr_array_unref (diagnostics->items);
  g_free (diagnostics->file);
  g_free (diagnostics);
}

static gboolean
already_reported (const SeedDiagnostics *diagnostics, SeedMark mark, const char *message)
{
  for (guint i = 0; i < diagnostics->items->len; i++) {
    const SeedDiagnostic *d = g_ptr_array_index (diagnostics->items, i);

    if (d->mark.line == mark.line && d->mark.column == mark.column &&
        strcmp (d->message, message) == 0)
      return TRUE;
  }
  return FALSE;
}

void
seed_diagnostics_add (SeedDiagnostics *diagnostics, SeedMark mark, const char *format, ...)
{
  SeedDiagnostic *d;
  va_list args;
  char *message;

  if (diagnostics->items->len >= SEED_DIAGNOSTICS_MAX) {
    diagnostics->suppressed++;
    return;
  }
  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  /* A copied alias is wrong at the same place as its anchor; a person needs to hear it once. */
  if (already_reported (diagnostics, mark, message)) {
    g_free (message);
    return;
  }
  d = g_new (SeedDiagnostic, 1);
  d->mark = mark;
  d->message = g_strdelimit (message, "\r\n", ' ');
  g_ptr_array_add (diagnostics->items, d);
}

guint
seed_diagnostics_count (const SeedDiagnostics *diagnostics)
{
  return diagnostics->items->len + diagnostics->suppressed;
}

static int
compare_marks (gconstpointer a, gconstpointer b)
{
  const SeedDiagnostic *x = *(const SeedDiagnostic *const *) a;
  const SeedDiagnostic *y = *(const SeedDiagnostic *const *) b;

  if (x->mark.line != y->mark.line)
    return x->mark.line < y->mark.line ? -1 : 1;
  if (x->mark.column != y->mark.column)
    return x->mark.column < y->mark.column ? -1 : 1;
  return strcmp (x->message, y->message);
}

GPtrArray *
seed_diagnostics_sorted (const SeedDiagnostics *diagnostics)
{
  GPtrArray *sorted = g_ptr_array_new ();

  for (guint i = 0; i < diagnostics->items->len; i++)
    g_ptr_array_add (sorted, g_ptr_array_index (diagnostics->items, i));
  g_ptr_array_sort (sorted, compare_marks);
  return sorted;
}

char *
seed_diagnostics_to_string (const SeedDiagnostics *diagnostics)
{
  g_autoptr (GPtrArray) sorted = seed_diagnostics_sorted (diagnostics);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < sorted->len; i++) {
    const SeedDiagnostic *d = g_ptr_array_index (sorted, i);

    g_string_append_printf (
        text, "%s:%u:%u: error: %s\n", diagnostics->file, d->mark.line, d->mark.column, d->message);
  }
  if (diagnostics->suppressed)
    g_string_append_printf (
        text, "%s: %u more errors are not shown\n", diagnostics->file, diagnostics->suppressed);
  return g_string_free (text, FALSE);
}

char *
seed_quote (const char *text)
{
  GString *quoted = g_string_new ("'");
  guint n = 0;

  for (const char *p = text; *p; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (n++ == MAX_QUOTED) {
      g_string_append (quoted, "…");
      break;
    }
    if (g_unichar_isprint (c))
      g_string_append_unichar (quoted, c);
    else
      g_string_append_printf (quoted, "\\u%04x", c);
  }
  g_string_append_c (quoted, '\'');
  return g_string_free (quoted, FALSE);
}

/* Optimal string alignment: Damerau-Levenshtein where no substring is edited twice. */
static guint
edit_distance (const char *a, gsize n, const char *b, gsize m)
{
  guint rows[3][MAX_WORD + 1];
  guint *before = rows[0], *last = rows[1], *row = rows[2];

  for (gsize j = 0; j <= m; j++)
    last[j] = (guint) j;
  for (gsize i = 1; i <= n; i++) {
    guint *spare = before;

    row[0] = (guint) i;
    for (gsize j = 1; j <= m; j++) {
      guint replace = last[j - 1] + (a[i - 1] != b[j - 1]);

      row[j] = MIN (MIN (last[j], row[j - 1]) + 1, replace);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = MIN (row[j], before[j - 2] + 1);
    }
    before = last;
    last = row;
    row = spare;
  }
  return last[m];
}

const char *
seed_nearest_name (const char *word, const char *const *names)
{
  gsize n = strlen (word);
  guint best = (guint) MAX (n / 3, 1) + 1;
  const char *nearest = NULL;

  if (n == 0 || n > MAX_WORD)
    return NULL;
  for (; *names; names++) {
    gsize m = strlen (*names);
    guint distance;

    if (m > MAX_WORD)
      continue;
    distance = edit_distance (word, n, *names, m);
    /* A one-letter word is not a misspelling of every other letter. */
    if (distance < best && distance < MAX (n, m)) {
      best = distance;
      nearest = *names;
    }
  }
  return nearest;
}

char *
seed_did_you_mean (const char *word, const char *const *names)
{
  const char *nearest = seed_nearest_name (word, names);

  return nearest ? g_strdup_printf ("; did you mean '%s'?", nearest) : g_strdup ("");
}
