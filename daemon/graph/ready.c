/* SPDX-License-Identifier: MIT */
#include "graph/build.h"

#include <string.h>

const char *
seed_pipeline_stage_name (const SeedPipeline *pipeline, GstObject *object)
{
  for (; object; object = GST_OBJECT_PARENT (object)) {
    if (GST_OBJECT_PARENT (object) == GST_OBJECT_CAST (pipeline->pipeline))
      return GST_OBJECT_NAME (object);
  }
  return "-";
}

static const SeedGraphNode *
node_of (const SeedPipeline *pipeline, GstObject *object)
{
  const char *name = seed_pipeline_stage_name (pipeline, object);

  for (guint i = 0; i < pipeline->stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (pipeline->stages, SeedPipelineStage, i);

    if (strcmp (GST_OBJECT_NAME (stage->element), name) == 0)
      return stage->node;
  }
  return NULL;
}

/* GStreamer puts "file(line): function (): path:" on a line of its own before the details. */
static const char *
details_of (const char *debug)
{
  const char *newline = debug ? strchr (debug, '\n') : NULL;

  return newline ? newline + 1 : NULL;
}

char *
seed_pipeline_message_text (GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;
  const char *details;
  char *text;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING)
    gst_message_parse_warning (message, &error, &debug);
  else
    gst_message_parse_error (message, &error, &debug);
  details = details_of (debug);
  if (details && *details && !strstr (error->message, details))
    text = g_strdup_printf ("%s (%s)", error->message, details);
  else
    text = g_strdup (error->message);
  return g_strdelimit (text, "\r\n", ' ');
}

static void
collect_errors (const SeedPipeline *pipeline, SeedDiagnostics *diagnostics)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline->pipeline);
  GstMessage *message;

  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR))) {
    const SeedGraphNode *node = node_of (pipeline, GST_MESSAGE_SRC (message));
    g_autofree char *text = seed_pipeline_message_text (message);

    seed_diagnostics_add (diagnostics, node ? node->mark : (SeedMark){ 1, 1 }, "node '%s': %s",
        seed_pipeline_stage_name (pipeline, GST_MESSAGE_SRC (message)), text);
    gst_message_unref (message);
  }
}

/* One stage after the other, so that all errors are found, not the first alone. */
gboolean
seed_pipeline_make_ready (SeedPipeline *pipeline, gboolean sinks, SeedDiagnostics *diagnostics)
{
  guint before = seed_diagnostics_count (diagnostics);

  for (guint i = 0; i < pipeline->stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (pipeline->stages, SeedPipelineStage, i);
    guint errors = seed_diagnostics_count (diagnostics);

    if (!sinks && GST_OBJECT_FLAG_IS_SET (stage->element, GST_ELEMENT_FLAG_SINK))
      continue;
    if (gst_element_set_state (stage->element, GST_STATE_READY) != GST_STATE_CHANGE_FAILURE)
      continue;
    collect_errors (pipeline, diagnostics);
    if (seed_diagnostics_count (diagnostics) == errors)
      seed_diagnostics_add (diagnostics, stage->node->mark,
          "node '%s': '%s' does not start and does not say why", stage->node->name,
          stage->node->factory);
  }
  collect_errors (pipeline, diagnostics);
  return seed_diagnostics_count (diagnostics) == before;
}
