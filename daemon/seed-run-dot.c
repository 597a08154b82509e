/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "seed-run-streams.h"

/* The graph as it plays: caps, queue levels and states of streams, which the plan cannot know. */

static void
append_escaped (GString *dot, const char *text)
{
  for (; text && *text; text++) {
    if (*text == '"' || *text == '\\')
      g_string_append_c (dot, '\\');
    g_string_append_c (dot, *text == '\n' || *text == '\r' ? ' ' : *text);
  }
}

static gboolean
append_stream (GQuark stream, const GValue *value, gpointer data)
{
  GString *dot = data;

  if (!GST_VALUE_HOLDS_STRUCTURE (value))
    return TRUE;
  g_string_append_printf (dot, "\\n%s: ", g_quark_to_string (stream));
  append_escaped (dot, gst_structure_get_string (gst_value_get_structure (value), "state"));
  return TRUE;
}

static void
append_stage (GString *dot, const SeedPipelineStage *stage)
{
  g_autoptr (GstStructure) stats = seed_run_element_stats (stage->element);
  const GstStructure *streams = seed_run_stats_streams (stats);

  g_string_append (dot, "  \"");
  append_escaped (dot, GST_OBJECT_NAME (stage->element));
  g_string_append (dot, "\" [label=\"");
  append_escaped (dot, GST_OBJECT_NAME (stage->element));
  g_string_append (dot, "\\n");
  append_escaped (dot, stage->node->stage ? stage->node->stage->name : stage->node->factory);
  if (streams)
    gst_structure_foreach (streams, append_stream, dot);
  g_string_append_printf (dot, "\"%s];\n", stage->node->inputs->len == 0 ? ", style=bold" : "");
}

/* The media type and what is short enough to be read in a picture. */
static gboolean
append_field (GQuark field, const GValue *value, gpointer data)
{
  GString *dot = data;
  g_autofree char *text = gst_value_serialize (value);

  if (!text || strlen (text) > 40 || dot->len > 1024 * 1024)
    return TRUE;
  g_string_append (dot, "\\n");
  append_escaped (dot, g_quark_to_string (field));
  g_string_append (dot, ": ");
  append_escaped (dot, text);
  return TRUE;
}

static void
append_caps (GString *dot, GstPad *pad)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  const GstStructure *structure = caps ? gst_caps_get_structure (caps, 0) : NULL;

  if (!structure)
    return;
  g_string_append (dot, "\\n");
  append_escaped (dot, gst_structure_get_name (structure));
  gst_structure_foreach (structure, append_field, dot);
}

static char *
name_of_peer (GstPad *pad)
{
  g_autoptr (GstPad) peer = gst_pad_get_peer (pad);
  g_autoptr (GstElement) element = peer ? gst_pad_get_parent_element (peer) : NULL;

  return element ? gst_element_get_name (element) : NULL;
}

static void
append_queue (GString *dot, SeedGraphQueue *queue)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (GST_ELEMENT (queue), "sink");
  g_autoptr (GstPad) src = gst_element_get_static_pad (GST_ELEMENT (queue), "src");
  g_autofree char *from = name_of_peer (sink), *to = name_of_peer (src);
  SeedLeak leak = seed_graph_queue_leak (queue);
  guint peak, level = seed_graph_queue_level (queue, &peak);

  g_string_append (dot, "  \"");
  append_escaped (dot, from ? from : "?");
  g_string_append (dot, "\" -> \"");
  append_escaped (dot, to ? to : "?");
  g_string_append_printf (
      dot, "\" [label=\"%u of %u, peak %u", level, seed_graph_queue_frames (queue), peak);
  if (leak != SEED_LEAK_NONE)
    g_string_append_printf (dot, ", drops %s", seed_leak_name (leak));
  append_caps (dot, sink);
  g_string_append (dot, "\"];\n");
}

/* Tees and what else the builder put between nodes. */
static void
append_helper (GString *dot, const SeedPipeline *pipeline, GstElement *element)
{
  g_autofree char *name = gst_element_get_name (element);

  for (guint i = 0; i < pipeline->stages->len; i++) {
    if (g_array_index (pipeline->stages, SeedPipelineStage, i).element == element)
      return;
  }
  if (SEED_IS_GRAPH_QUEUE (element))
    return;
  g_string_append (dot, "  \"");
  append_escaped (dot, name);
  g_string_append (dot, "\" [shape=point, xlabel=\"");
  append_escaped (dot, name);
  g_string_append (dot, "\"];\n");
}

/* From an element's output straight to what is no queue: a tee, or the sink of an output that
 * nobody takes. */
static void
append_straight (GString *dot, GstElement *element)
{
  GstIterator *pads = gst_element_iterate_src_pads (element);
  GValue item = G_VALUE_INIT;

  while (!SEED_IS_GRAPH_QUEUE (element) && gst_iterator_next (pads, &item) == GST_ITERATOR_OK) {
    g_autoptr (GstPad) peer = gst_pad_get_peer (g_value_get_object (&item));
    g_autoptr (GstElement) to = peer ? gst_pad_get_parent_element (peer) : NULL;

    if (to && !SEED_IS_GRAPH_QUEUE (to)) {
      g_string_append (dot, "  \"");
      append_escaped (dot, GST_OBJECT_NAME (element));
      g_string_append (dot, "\" -> \"");
      append_escaped (dot, GST_OBJECT_NAME (to));
      g_string_append (dot, "\" [label=\"");
      append_caps (dot, peer);
      g_string_append (dot, "\"];\n");
    }
    g_value_unset (&item);
  }
  gst_iterator_free (pads);
}

char *
seed_run_to_dot (const SeedRun *run)
{
  const SeedPipeline *pipeline = run->pipeline;
  GString *dot = g_string_new (NULL);
  GstIterator *elements = gst_bin_iterate_elements (GST_BIN (pipeline->pipeline));
  GValue item = G_VALUE_INIT;

  g_string_append_printf (
      dot, "digraph \"%s\" {\n  rankdir=LR;\n  node [shape=box];\n", run->graph->name);
  for (guint i = 0; i < pipeline->stages->len; i++)
    append_stage (dot, &g_array_index (pipeline->stages, SeedPipelineStage, i));
  while (gst_iterator_next (elements, &item) == GST_ITERATOR_OK) {
    append_helper (dot, pipeline, g_value_get_object (&item));
    append_straight (dot, g_value_get_object (&item));
    g_value_unset (&item);
  }
  gst_iterator_free (elements);
  for (guint i = 0; i < pipeline->queues->len; i++)
    append_queue (dot, g_ptr_array_index (pipeline->queues, i));
  g_string_append (dot, "}\n");
  return g_string_free (dot, FALSE);
}
