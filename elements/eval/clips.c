/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "eval/clips.h"
#include "eval/jsonl.h"

enum { FILE_COLUMN, CUTS_COLUMN, LIST_COLUMN, N_COLUMNS };

static const char *const column_names[N_COLUMNS] = { "file", "cut_frames", "cut_list" };
static const char *const list_names[] = { "all", "partial", "none" };

typedef struct {
  const char *label;
  guint line;
  int columns[N_COLUMNS];
} Reader;

static void
clip_free (gpointer data)
{
  SeedClip *clip = data;

  g_free (clip->file);
  g_array_unref (clip->cuts);
  g_free (clip);
}

static gboolean
fail (const Reader *reader, GError **error, const char *what)
{
  g_set_error (
      error, SEED_ERROR, SEED_ERROR_FORMAT, "%s:%u: %s", reader->label, reader->line, what);
  return FALSE;
}

static gboolean
read_header (Reader *reader, char **fields, GError **error)
{
  for (guint c = 0; c < N_COLUMNS; c++) {
    reader->columns[c] = -1;
    for (int i = 0; fields[i]; i++) {
      if (strcmp (fields[i], column_names[c]) == 0)
        reader->columns[c] = i;
    }
    if (reader->columns[c] < 0)
      return fail (
          reader, error, "the first line must name the columns file, cut_frames and cut_list");
  }
  return TRUE;
}

static gboolean
read_cuts (const Reader *reader, const char *text, GArray *cuts, GError **error)
{
  g_auto (GStrv) numbers = g_strsplit (text, ",", -1);
  guint64 before = 0, frame;

  for (guint i = 0; *text && numbers[i]; i++) {
    if (!g_ascii_string_to_unsigned (numbers[i], 10, 0, G_MAXINT64, &frame, NULL) ||
        (i > 0 && frame <= before) || i >= SEED_CLIPS_MAX_CUTS)
      return fail (reader, error, "cut_frames: expected rising frame numbers with commas between");
    g_array_append_val (cuts, frame);
    before = frame;
  }
  return TRUE;
}

static gboolean
read_clip (Reader *reader, char **fields, GPtrArray *clips, GError **error)
{
  SeedClip *clip = g_new0 (SeedClip, 1);
  guint n = g_strv_length (fields), list = 0;

  g_ptr_array_add (clips, clip);
  clip->cuts = g_array_new (FALSE, FALSE, sizeof (guint64));
  clip->line = reader->line;
  for (guint c = 0; c < N_COLUMNS; c++) {
    if ((guint) reader->columns[c] >= n)
      return fail (reader, error, "the line has fewer columns than the first");
  }
  clip->file = g_strdup (fields[reader->columns[FILE_COLUMN]]);
  while (list < G_N_ELEMENTS (list_names) &&
         strcmp (fields[reader->columns[LIST_COLUMN]], list_names[list]) != 0)
    list++;
  if (!*clip->file || list == G_N_ELEMENTS (list_names))
    return fail (reader, error, "expected a file and a cut_list of all, partial or none");
  clip->list = list;
  if (!read_cuts (reader, fields[reader->columns[CUTS_COLUMN]], clip->cuts, error))
    return FALSE;
  return (clip->cuts->len > 0) != (clip->list == SEED_CLIP_NONE)
             ? TRUE
             : fail (reader, error, "cut_frames and cut_list contradict each other");
}

GPtrArray *
seed_clips_parse (const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (GPtrArray) clips = g_ptr_array_new_with_free_func (clip_free);
  g_autofree char *copy = g_strndup (text, length);
  g_auto (GStrv) lines = NULL;
  Reader reader = { .label = label };
  gboolean has_header = FALSE;

  if (strlen (copy) != length || !g_utf8_validate (copy, -1, NULL)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s:1: is no UTF-8 text", label);
    return NULL;
  }
  lines = g_strsplit (copy, "\n", -1);
  for (guint i = 0; lines[i]; i++) {
    g_auto (GStrv) fields = NULL;

    if (g_str_has_suffix (lines[i], "\r"))
      lines[i][strlen (lines[i]) - 1] = 0;
    if (!*lines[i])
      continue;
    reader.line = i + 1;
    fields = g_strsplit (lines[i], "\t", -1);
    if (!(has_header ? read_clip (&reader, fields, clips, error)
                     : read_header (&reader, fields, error)))
      return NULL;
    has_header = TRUE;
  }
  if (clips->len > 0)
    return g_steal_pointer (&clips);
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s:1: names no clip", label);
  return NULL;
}

GPtrArray *
seed_clips_load (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = seed_jsonl_read (path, error);
  gsize length;
  const char *text = bytes ? seed_jsonl_text (bytes, &length) : NULL;

  return text ? seed_clips_parse (path, text, length, error) : NULL;
}
