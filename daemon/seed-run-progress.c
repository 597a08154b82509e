/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "seed-run.h"

#define TERMINAL_INTERVAL_MS 250
#define LOG_INTERVAL_MS 5000
#define MIN_INTERVAL_US 50000 /* a shorter one gives no rate */

struct _SeedProgress {
  SeedRun *run;
  gboolean terminal;
  guint timer;
  gint64 last_us;
  GHashTable *counts; /* "STAGE/STREAM" -> frames given out by a source so far */
};

/* Numbers of a stage's stats worth a place in one line, in this order; lists with a number for each
 * teacher are joined by '/'. */
static const struct {
  const char *field, *label, *format;
} highlights[] = {
  { "calibration-frames", "calibrated on", "%.0f" },
  { "diagonal", "wins", "%.2f" },
  { "off-diagonal", "vetoes", "%.2f" },
  { "step", "step", "%.0f" },
  { "loss", "loss", "%.4g" },
  { "agreement", "agreement", "%.3f" },
  { "stride", "stride", "%.0f" },
  { "images-per-s", "images/s", "%.1f" },
  { "epoch", "epoch", "%.0f" },
  { "sent", "sent", "%.0f" },
};

/* FALSE when @value is no number; of text a number would be a guess. */
static gboolean
append_number (GString *text, const GValue *value, const char *format)
{
  char number[32];
  GValue wide = G_VALUE_INIT;

  if (G_VALUE_HOLDS_STRING (value) ||
      !g_value_type_transformable (G_VALUE_TYPE (value), G_TYPE_DOUBLE))
    return FALSE;
  g_value_init (&wide, G_TYPE_DOUBLE);
  g_value_transform (value, &wide);
  g_string_append (
      text, g_ascii_formatd (number, sizeof number, format, g_value_get_double (&wide)));
  g_value_unset (&wide);
  return TRUE;
}

static gboolean
append_numbers (GString *text, const GValue *value, const char *format)
{
  gboolean ok = TRUE;

  if (!GST_VALUE_HOLDS_ARRAY (value))
    return append_number (text, value, format);
  for (guint i = 0; ok && i < gst_value_array_get_size (value); i++) {
    if (i)
      g_string_append_c (text, '/');
    ok = append_number (text, gst_value_array_get_value (value, i), format);
  }
  return ok && gst_value_array_get_size (value) > 0;
}

static void
append_highlights (GString *line, const SeedPipelineStage *stage)
{
  g_autoptr (GstStructure) stats = seed_run_element_stats (stage->element);
  gboolean any = FALSE;

  for (guint i = 0; stats && i < G_N_ELEMENTS (highlights); i++) {
    const GValue *value = gst_structure_get_value (stats, highlights[i].field);
    g_autoptr (GString) numbers = g_string_new (NULL);

    if (!value || !append_numbers (numbers, value, highlights[i].format))
      continue;
    if (!any)
      g_string_append_printf (line, "  %s:", GST_OBJECT_NAME (stage->element));
    any = TRUE;
    g_string_append_printf (line, " %s %s", highlights[i].label, numbers->str);
  }
}

SeedLedger *
seed_run_source_ledger (const SeedPipeline *pipeline, const SeedPipelineStage *stage, gboolean *own)
{
  SeedLedger *ledger = seed_run_element_ledger (stage->element);

  *own = ledger != NULL;
  for (guint i = 0; !ledger && i < pipeline->links->len; i++) {
    const SeedPipelineLink *link = &g_array_index (pipeline->links, SeedPipelineLink, i);

    if (link->plan->from == stage->node)
      ledger = seed_ledger_ref (seed_graph_queue_ledger (link->queue));
  }
  return ledger;
}

static void
append_rates (SeedProgress *progress, GString *line, const SeedPipelineStage *stage, double seconds)
{
  gboolean own;
  g_autoptr (SeedLedger) ledger = seed_run_source_ledger (progress->run->pipeline, stage, &own);
  g_autoptr (GArray) entries = ledger ? seed_ledger_snapshot (ledger) : NULL;

  for (guint i = 0; entries && i < entries->len; i++) {
    const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, i);
    guint64 *last, now = own ? entry->out : entry->in;
    char *key = g_strdup_printf ("%s/%s", stage->node->name, entry->stream);

    last = g_hash_table_lookup (progress->counts, key);
    g_string_append_printf (line, "  %s %.1f fps",
        strcmp (entry->stream, "-") == 0 ? stage->node->name : entry->stream,
        (double) (now - (last ? *last : 0)) / seconds);
    last = g_new (guint64, 1);
    *last = now;
    g_hash_table_replace (progress->counts, key, last);
  }
}

static void
cut_to_terminal (GString *line)
{
  struct winsize size = { 0 };
  long width = 80;

  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
    width = size.ws_col;
  if (g_utf8_strlen (line->str, -1) >= width)
    g_string_truncate (line, (gsize) (g_utf8_offset_to_pointer (line->str, width - 1) - line->str));
}

static gboolean
show (gpointer data)
{
  SeedProgress *progress = data;
  const GArray *stages = progress->run->pipeline->stages;
  gint64 now = g_get_monotonic_time ();
  gint64 elapsed = (now - progress->run->begin_us) / G_USEC_PER_SEC;
  g_autoptr (GString) line = g_string_new (NULL);

  if (now - progress->last_us < MIN_INTERVAL_US)
    return G_SOURCE_CONTINUE;
  g_string_append_printf (line, "%s %02d:%02d:%02d", progress->run->graph->name,
      (int) (elapsed / 3600), (int) (elapsed / 60 % 60), (int) (elapsed % 60));
  for (guint i = 0; i < stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (stages, SeedPipelineStage, i);

    if (stage->node->inputs->len == 0)
      append_rates (progress, line, stage, (double) (now - progress->last_us) / G_USEC_PER_SEC);
  }
  for (guint i = 0; i < stages->len; i++)
    append_highlights (line, &g_array_index (stages, SeedPipelineStage, i));
  progress->last_us = now;
  if (progress->terminal) {
    cut_to_terminal (line);
    g_printerr ("\r\033[K%s", line->str);
  } else {
    g_printerr ("%s\n", line->str);
  }
  return G_SOURCE_CONTINUE;
}

SeedProgress *
seed_progress_new (SeedRun *run)
{
  SeedProgress *progress = g_new0 (SeedProgress, 1);

  progress->run = run;
  progress->terminal = isatty (STDERR_FILENO);
  progress->counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  progress->last_us = g_get_monotonic_time ();
  progress->timer =
      g_timeout_add (progress->terminal ? TERMINAL_INTERVAL_MS : LOG_INTERVAL_MS, show, progress);
  return progress;
}

void
seed_progress_clear (SeedProgress *progress)
{
  if (progress && progress->terminal)
    g_printerr ("\r\033[K");
}

void
seed_progress_free (SeedProgress *progress)
{
  if (!progress)
    return;
  /* The last state stays readable on a terminal. */
  if (progress->terminal) {
    show (progress);
    g_printerr ("\n");
  }
  g_source_remove (progress->timer);
  g_hash_table_unref (progress->counts);
  g_free (progress);
}
