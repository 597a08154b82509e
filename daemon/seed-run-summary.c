/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/json.h"
#include "publish/json-tree.h"
#include "seed-run.h"

#define SMOOTHING 0.5 /* weight of the newest interval in a rate */

typedef struct {
  guint64 frames;
  gint64 seen_us; /* monotonic, when it was last looked at */
  gint64 last_us; /* monotonic, when it last had moved */
  double fps;
} Stream;

struct _SeedRunSummary {
  GHashTable *streams; /* "NODE/STREAM" -> Stream */
};

SeedRunSummary *
seed_run_summary_new (void)
{
  SeedRunSummary *summary = g_new0 (SeedRunSummary, 1);

  summary->streams = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return summary;
}

void
seed_run_summary_free (SeedRunSummary *summary)
{
  if (!summary)
    return;
  g_hash_table_unref (summary->streams);
  g_free (summary);
}

static Stream *
follow (SeedRunSummary *summary, const char *node, const char *name, guint64 frames)
{
  char *key = g_strdup_printf ("%s/%s", node, name);
  Stream *stream = g_hash_table_lookup (summary->streams, key);
  gint64 now = g_get_monotonic_time ();

  if (!stream) {
    stream = g_new0 (Stream, 1);
    stream->frames = frames;
    stream->seen_us = stream->last_us = now;
    g_hash_table_insert (summary->streams, key, stream);
    return stream;
  }
  g_free (key);
  if (now > stream->seen_us) {
    double rate = (double) (frames - stream->frames) * 1e6 / (double) (now - stream->seen_us);

    stream->fps = stream->fps > 0 ? SMOOTHING * rate + (1 - SMOOTHING) * stream->fps : rate;
  }
  if (frames != stream->frames)
    stream->last_us = now;
  stream->frames = frames;
  stream->seen_us = now;
  return stream;
}

/* Frames a stage lost: not those it was asked to leave out (max-fps, duplicates, calibration). */
static guint64
lost_in (SeedLedger *ledger, const char *stream)
{
  static const SeedDropReason reasons[] = { SEED_DROP_LATE, SEED_DROP_QUEUE_FULL, SEED_DROP_ERROR };
  g_autoptr (GArray) entries = ledger ? seed_ledger_snapshot (ledger) : NULL;
  guint64 lost = 0;

  for (guint i = 0; entries && i < entries->len; i++) {
    const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, i);

    for (guint r = 0; strcmp (entry->stream, stream) == 0 && r < G_N_ELEMENTS (reasons); r++)
      lost += entry->dropped[reasons[r]];
  }
  return lost;
}

static guint64
lost_frames (const SeedPipeline *pipeline, const char *stream)
{
  guint64 lost = 0;

  for (guint i = 0; i < pipeline->stages->len; i++) {
    g_autoptr (SeedLedger) ledger =
        seed_run_element_ledger (g_array_index (pipeline->stages, SeedPipelineStage, i).element);

    lost += lost_in (ledger, stream);
  }
  for (guint i = 0; i < pipeline->queues->len; i++)
    lost += lost_in (seed_graph_queue_ledger (g_ptr_array_index (pipeline->queues, i)), stream);
  return lost;
}

static void
append_stream (GString *text, const char *node, const char *name, const Stream *stream,
    guint64 lost, gint64 now)
{
  g_string_append (text, text->str[text->len - 1] == '[' ? "{\"stream\":" : ",{\"stream\":");
  seed_json_append_quoted (text, name);
  g_string_append (text, ",\"node\":");
  seed_json_append_quoted (text, node);
  g_string_append_printf (text,
      ",\"frames\":%" G_GUINT64_FORMAT ",\"lost\":%" G_GUINT64_FORMAT
      ",\"age_ms\":%" G_GINT64_FORMAT ",\"fps\":",
      stream->frames, lost, (now - stream->last_us) / 1000);
  seed_json_append_double (text, stream->fps);
  g_string_append_c (text, '}');
}

static guint64
append_streams (SeedRunSummary *summary, const SeedPipeline *pipeline,
    const SeedPipelineStage *stage, GString *text)
{
  gboolean own;
  g_autoptr (SeedLedger) ledger = seed_run_source_ledger (pipeline, stage, &own);
  g_autoptr (GArray) entries = ledger ? seed_ledger_snapshot (ledger) : NULL;
  gint64 now = g_get_monotonic_time ();
  guint64 frames = 0;

  for (guint i = 0; entries && i < entries->len; i++) {
    const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, i);
    guint64 n = own ? entry->out : entry->in;
    const Stream *stream = follow (summary, stage->node->name, entry->stream, n);

    append_stream (
        text, stage->node->name, entry->stream, stream, lost_frames (pipeline, entry->stream), now);
    frames += n;
  }
  return frames;
}

static gboolean
get_number (const GstStructure *stats, const char *field, double *number)
{
  const GValue *value = stats ? gst_structure_get_value (stats, field) : NULL;
  GValue wide = G_VALUE_INIT;

  if (!value || G_VALUE_HOLDS_STRING (value) ||
      !g_value_type_transformable (G_VALUE_TYPE (value), G_TYPE_DOUBLE))
    return FALSE;
  g_value_init (&wide, G_TYPE_DOUBLE);
  g_value_transform (value, &wide);
  *number = g_value_get_double (&wide);
  g_value_unset (&wide);
  return *number - *number == 0; /* finite */
}

static void
append_measures (const SeedPipeline *pipeline, GString *text)
{
  double p50 = 0, p99 = 0, latency, step, loss;

  g_string_append (text, ",\"train\":[");
  for (guint i = 0; i < pipeline->stages->len; i++) {
    GstElement *element = g_array_index (pipeline->stages, SeedPipelineStage, i).element;
    g_autoptr (GstStructure) stats = seed_run_element_stats (element);

    if (get_number (stats, "latency-p50-ns", &latency))
      p50 = MAX (p50, latency);
    if (get_number (stats, "latency-p99-ns", &latency))
      p99 = MAX (p99, latency);
    if (!get_number (stats, "step", &step) || !get_number (stats, "loss", &loss))
      continue;
    g_string_append (text, text->str[text->len - 1] == '[' ? "{\"node\":" : ",{\"node\":");
    seed_json_append_quoted (text, GST_OBJECT_NAME (element));
    g_string_append_printf (text, ",\"step\":%.0f,\"loss\":", step);
    seed_json_append_double (text, loss);
    g_string_append_c (text, '}');
  }
  g_string_append_printf (text, "],\"latency_p50_ns\":%.0f,\"latency_p99_ns\":%.0f", p50, p99);
}

char *
seed_run_summary_take (SeedRunSummary *summary, const SeedRun *run)
{
  const SeedPipeline *pipeline = run->pipeline;
  GString *text = g_string_new ("\"streams\":[");
  guint64 frames = 0;

  for (guint i = 0; i < pipeline->stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (pipeline->stages, SeedPipelineStage, i);

    if (stage->node->inputs->len == 0)
      frames += append_streams (summary, pipeline, stage, text);
  }
  g_string_append_printf (text, "],\"frames\":%" G_GUINT64_FORMAT, frames);
  append_measures (pipeline, text);
  return g_string_free (text, FALSE);
}
