/* SPDX-License-Identifier: MIT */
#include "seed-run-latency.h"

#include <string.h>

#include <seed/stream-meta.h>

#include "histogram.h"

/* One node without an output. */
typedef struct {
  SeedRunLatency *latency;
  char *name;
  GHashTable *streams; /* name -> SeedHistogram */
} End;

struct _SeedRunLatency {
  GMutex lock; /* the histograms */
  GPtrArray *ends;
};

static void
end_free (gpointer data)
{
  End *end = data;

  g_hash_table_unref (end->streams);
  g_free (end->name);
  g_free (end);
}

static SeedHistogram *
find_locked (End *end, const char *stream)
{
  SeedHistogram *histogram = g_hash_table_lookup (end->streams, stream);

  if (histogram)
    return histogram;
  if (g_hash_table_size (end->streams) >= SEED_RUN_LATENCY_MAX_STREAMS && strcmp (stream, "-") != 0)
    return find_locked (end, "-");
  histogram = g_new0 (SeedHistogram, 1);
  g_hash_table_insert (end->streams, g_strdup (stream), histogram);
  return histogram;
}

static void
count (End *end, GstBuffer *buffer)
{
  gint64 now_ns = g_get_real_time () * 1000;
  const SeedStreamMeta *meta;
  gpointer state = NULL;

  g_mutex_lock (&end->latency->lock);
  while ((meta = seed_buffer_iterate_stream_meta (buffer, &state))) {
    if (meta->capture_ns > 0 && meta->repeat == 0) /* what is remembered is old on purpose */
      seed_histogram_add (find_locked (end, meta->stream), now_ns - meta->capture_ns);
  }
  g_mutex_unlock (&end->latency->lock);
}

static GstPadProbeReturn
look (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  count (data, GST_PAD_PROBE_INFO_BUFFER (info));
  return GST_PAD_PROBE_OK;
}

static gboolean
watch_pad (GstElement *element, GstPad *pad, gpointer end)
{
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, look, end, NULL);
  return TRUE;
}

SeedRunLatency *
seed_run_latency_new (const SeedPipeline *pipeline)
{
  SeedRunLatency *latency = g_new0 (SeedRunLatency, 1);

  g_mutex_init (&latency->lock);
  latency->ends = g_ptr_array_new_with_free_func (end_free);
  for (guint i = 0; i < pipeline->stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (pipeline->stages, SeedPipelineStage, i);
    End *end;

    if (stage->element->numsrcpads > 0 || stage->element->numsinkpads == 0)
      continue;
    end = g_new0 (End, 1);
    end->latency = latency;
    end->name = g_strdup (stage->node->name);
    end->streams = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
    g_ptr_array_add (latency->ends, end);
    gst_element_foreach_sink_pad (stage->element, watch_pad, end);
  }
  return latency;
}

void
seed_run_latency_free (SeedRunLatency *latency)
{
  if (!latency)
    return;
  g_ptr_array_unref (latency->ends);
  g_mutex_clear (&latency->lock);
  g_free (latency);
}

static void
add_histogram (
    JsonBuilder *json, const char *node, const char *stream, const SeedHistogram *histogram)
{
  json_builder_begin_object (json);
  json_builder_set_member_name (json, "node");
  json_builder_add_string_value (json, node);
  json_builder_set_member_name (json, "stream");
  json_builder_add_string_value (json, stream);
  json_builder_set_member_name (json, "counts");
  json_builder_begin_array (json);
  for (guint i = 0; i < G_N_ELEMENTS (histogram->counts); i++)
    json_builder_add_int_value (json, (gint64) histogram->counts[i]);
  json_builder_end_array (json);
  json_builder_set_member_name (json, "sum_s");
  json_builder_add_double_value (json, histogram->sum_s);
  json_builder_end_object (json);
}

void
seed_run_latency_add_json (SeedRunLatency *latency, JsonBuilder *json)
{
  json_builder_begin_object (json);
  json_builder_set_member_name (json, "bounds_s");
  json_builder_begin_array (json);
  for (guint i = 0; i < SEED_HISTOGRAM_N_BOUNDS; i++)
    json_builder_add_double_value (json, seed_histogram_bounds_s[i]);
  json_builder_end_array (json);
  json_builder_set_member_name (json, "histograms");
  json_builder_begin_array (json);
  g_mutex_lock (&latency->lock);
  for (guint i = 0; i < latency->ends->len; i++) {
    const End *end = g_ptr_array_index (latency->ends, i);
    GHashTableIter iter;
    gpointer stream, histogram;

    g_hash_table_iter_init (&iter, end->streams);
    while (g_hash_table_iter_next (&iter, &stream, &histogram))
      add_histogram (json, end->name, stream, histogram);
  }
  g_mutex_unlock (&latency->lock);
  json_builder_end_array (json);
  json_builder_end_object (json);
}
