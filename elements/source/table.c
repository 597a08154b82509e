/* SPDX-License-Identifier: MIT */
#include "source/table.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <glib/gstdio.h>
#include <seed/error.h>

typedef struct {
  char *key, *value; /* in the text */
  guint line;
} Row;

struct _SeedTable {
  char *name, *text;
  GArray *rows; /* of Row */
  gboolean has_tabs;
};

G_GNUC_PRINTF (5, 6)
static gboolean
fail (const char *name, guint line, SeedErrorCode code, GError **error, const char *format, ...)
{
  g_autofree char *shown = g_filename_display_name (name), *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  if (line > 0)
    g_set_error (error, SEED_ERROR, code, "%s:%u: %s", shown, line, what);
  else
    g_set_error (error, SEED_ERROR, code, "%s: %s", shown, what);
  return FALSE;
}

static gboolean
add_row (SeedTable *table, char *line, char *end, guint number, GError **error)
{
  Row row = { line, NULL, number };

  if (end > line && end[-1] == '\r')
    end--;
  *end = '\0';
  if (*line == '\0')
    return TRUE;
  if (table->rows->len == SEED_TABLE_MAX_ROWS)
    return fail (table->name, number, SEED_ERROR_LIMIT, error, "more than %u lines; split it",
        SEED_TABLE_MAX_ROWS);
  table->has_tabs |= memchr (line, '\t', (gsize) (end - line)) != NULL;
  g_array_append_val (table->rows, row);
  return TRUE;
}

/* Takes @text, of which @text[@length] is NUL. */
static SeedTable *
parse (const char *name, char *text, gsize length, GError **error)
{
  g_autoptr (SeedTable) table = g_new0 (SeedTable, 1);
  char *line = text, *end = text + length;
  guint number = 0;

  table->name = g_strdup (name);
  table->text = text;
  table->rows = g_array_new (FALSE, FALSE, sizeof (Row));
  if (memchr (text, '\0', length)) {
    fail (name, 0, SEED_ERROR_FORMAT, error, "not a text file (it holds a NUL byte)");
    return NULL;
  }
  if (g_str_has_prefix (text, "\xef\xbb\xbf"))
    line += 3;
  while (line < end) {
    char *stop = memchr (line, '\n', (gsize) (end - line));

    if (!stop)
      stop = end;
    if (!add_row (table, line, stop, ++number, error))
      return NULL;
    line = stop + 1;
  }
  return g_steal_pointer (&table);
}

SeedTable *
seed_table_parse (const char *name, const char *text, gsize length, GError **error)
{
  char *copy = g_malloc (length + 1);

  memcpy (copy, text, length);
  copy[length] = '\0';
  return parse (name, copy, length, error);
}

SeedTable *
seed_table_load (const char *path, GError **error)
{
  GError *local = NULL;
  struct stat st;
  char *text;
  gsize length;

  if (g_stat (path, &st) < 0) {
    fail (path, 0, SEED_ERROR_IO, error, "%s", g_strerror (errno));
    return NULL;
  }
  if (!S_ISREG (st.st_mode)) {
    fail (path, 0, SEED_ERROR_IO, error, "not a regular file");
    return NULL;
  }
  if (st.st_size > SEED_TABLE_MAX_BYTES) {
    fail (path, 0, SEED_ERROR_LIMIT, error, "larger than %d bytes", SEED_TABLE_MAX_BYTES);
    return NULL;
  }
  if (!g_file_get_contents (path, &text, &length, &local)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s", local->message);
    g_error_free (local);
    return NULL;
  }
  return parse (path, text, length, error);
}

void
seed_table_free (SeedTable *table)
{
  if (!table)
    return;
  g_free (table->name);
  g_free (table->text);
  g_array_unref (table->rows);
  g_free (table);
}

static Row *
row_of (const SeedTable *table, guint row)
{
  return &g_array_index (table->rows, Row, row);
}

guint
seed_table_n_rows (const SeedTable *table)
{
  return table->rows->len;
}

guint
seed_table_line (const SeedTable *table, guint row)
{
  return row_of (table, row)->line;
}

const char *
seed_table_key (const SeedTable *table, guint row)
{
  return row_of (table, row)->key;
}

const char *
seed_table_value (const SeedTable *table, guint row)
{
  return row_of (table, row)->value;
}

gboolean
seed_table_has_tabs (const SeedTable *table)
{
  return table->has_tabs;
}

const char *
seed_table_name (const SeedTable *table)
{
  return table->name;
}

gboolean
seed_table_check_text (const SeedTable *table, GError **error)
{
  for (guint i = 0; i < table->rows->len; i++) {
    if (!g_utf8_validate (row_of (table, i)->key, -1, NULL))
      return fail (table->name, row_of (table, i)->line, SEED_ERROR_FORMAT, error,
          "not UTF-8 text; convert it with iconv");
  }
  return TRUE;
}

/* --- labels ----------------------------------------------------------------------------------- */

static gboolean
split_label (SeedTable *table, Row *row, GError **error)
{
  char *mark = table->has_tabs ? strchr (row->key, '\t') : strrchr (row->key, ',');

  if (!mark)
    return TRUE;
  if (mark == row->key)
    return fail (table->name, row->line, SEED_ERROR_FORMAT, error,
        "the path is missing; write path%slabel", table->has_tabs ? "<TAB>" : ",");
  *mark = '\0';
  row->value = mark[1] ? mark + 1 : NULL;
  if (table->has_tabs && row->value && strchr (row->value, '\t'))
    return fail (table->name, row->line, SEED_ERROR_FORMAT, error,
        "more than path<TAB>label; a list of captions is named by captions");
  if (row->value && !g_utf8_validate (row->value, -1, NULL))
    return fail (table->name, row->line, SEED_ERROR_FORMAT, error, "the label is not UTF-8 text");
  return TRUE;
}

gboolean
seed_table_split_labels (SeedTable *table, GError **error)
{
  for (guint i = 0; i < table->rows->len; i++) {
    if (!split_label (table, row_of (table, i), error))
      return FALSE;
  }
  return TRUE;
}

/* --- captions --------------------------------------------------------------------------------- */

static gboolean
is_number (const char *text, gsize length)
{
  if (length == 0 || length > 9)
    return FALSE;
  for (gsize i = 0; i < length; i++) {
    if (!g_ascii_isdigit (text[i]))
      return FALSE;
  }
  return TRUE;
}

/* The caption of "image<TAB>number<TAB>caption", or NULL. */
static char *
after_number (char *key)
{
  char *tab = strchr (key, '\t'), *second = tab ? strchr (tab + 1, '\t') : NULL;

  return second && is_number (tab + 1, (gsize) (second - tab - 1)) ? second + 1 : NULL;
}

/* Cuts "#number" off the end. */
static void
cut_number (char *key)
{
  char *mark = strrchr (key, '#');

  if (mark && mark > key && is_number (mark + 1, strlen (mark + 1)))
    *mark = '\0';
}

static gboolean
split_caption (SeedTable *table, Row *row, gboolean numbered, GError **error)
{
  char *tab = strchr (row->key, '\t');

  if (!tab || tab == row->key)
    return fail (table->name, row->line, SEED_ERROR_FORMAT, error,
        "%s; write image<TAB>caption or image<TAB>number<TAB>caption",
        tab ? "the image is missing" : "there is no tab");
  row->value = numbered ? after_number (row->key) : tab + 1;
  *tab = '\0';
  if (!numbered)
    cut_number (row->key);
  if (strchr (row->value, '\t'))
    return fail (table->name, row->line, SEED_ERROR_FORMAT, error,
        "more than image<TAB>caption, and no number of the caption in every line's second column");
  if (strlen (row->value) > SEED_TABLE_MAX_CAPTION)
    return fail (table->name, row->line, SEED_ERROR_LIMIT, error, "a caption of more than %d bytes",
        SEED_TABLE_MAX_CAPTION);
  if (!g_utf8_validate (row->value, -1, NULL))
    return fail (table->name, row->line, SEED_ERROR_FORMAT, error,
        "the caption is not UTF-8 text; convert it with iconv");
  g_strstrip (row->value);
  if (*row->value == '\0')
    return fail (table->name, row->line, SEED_ERROR_FORMAT, error, "the caption is empty");
  return TRUE;
}

gboolean
seed_table_split_captions (SeedTable *table, GError **error)
{
  gboolean numbered = TRUE;

  for (guint i = 0; i < table->rows->len && numbered; i++)
    numbered = after_number (row_of (table, i)->key) != NULL;
  for (guint i = 0; i < table->rows->len; i++) {
    if (!split_caption (table, row_of (table, i), numbered, error))
      return FALSE;
  }
  return TRUE;
}
