/* SPDX-License-Identifier: MIT */
#include "seedd-graph-private.h"

static double
seconds_since (gint64 us)
{
  return (double) (g_get_monotonic_time () - us) / G_USEC_PER_SEC;
}

static void
set_text (JsonObject *object, const char *name, const char *text)
{
  if (text && *text)
    json_object_set_string_member (object, name, text);
  else
    json_object_set_null_member (object, name);
}

static void
add_brief (const SeeddGraph *graph, JsonObject *object)
{
  const SeeddConfig *config = graph->context->config;

  json_object_set_string_member (object, "graph", graph->name);
  json_object_set_string_member (object, "state", seedd_state_name (graph->state));
  set_text (object, "reason", graph->reason);
  json_object_set_boolean_member (object, "enabled", seedd_config_is_enabled (config, graph->name));
  if (graph->child)
    json_object_set_int_member (object, "pid", seedd_child_pid (graph->child));
  else
    json_object_set_null_member (object, "pid");
  if (graph->child && graph->running_us)
    json_object_set_double_member (object, "uptime_s", seconds_since (graph->running_us));
  else
    json_object_set_null_member (object, "uptime_s");
  json_object_set_int_member (object, "restarts", graph->restarts);
  if (graph->backoff_timer)
    json_object_set_double_member (object, "retry_in_s", MAX (-seconds_since (graph->retry_us), 0));
  else
    json_object_set_null_member (object, "retry_in_s");
}

static void
add_causes (const SeeddGraph *graph, JsonObject *object)
{
  static const char *const names[SEEDD_N_CAUSES] = { "signal", "exit", "hang", "stall", "memory",
    "start-limit", "stop-limit", "outside", "spawn" };
  JsonObject *causes = json_object_new ();

  for (guint i = 0; i < SEEDD_N_CAUSES; i++) {
    if (i != SEEDD_CAUSE_STOP_LIMIT) /* which is followed by no restart */
      json_object_set_int_member (causes, names[i], graph->restarts_by[i]);
  }
  json_object_set_object_member (object, "restarts_by_cause", causes);
}

static void
add_limits (const SeeddGraph *graph, JsonObject *object)
{
  JsonObject *limits = json_object_new ();

  json_object_set_int_member (limits, "memory_bytes", graph->limits->memory);
  json_object_set_int_member (limits, "threads", graph->limits->threads);
  json_object_set_int_member (limits, "nice", graph->limits->nice);
  json_object_set_double_member (limits, "stall_s", graph->limits->stall_s);
  json_object_set_object_member (object, "limits", limits);
}

static void
copy_member (JsonObject *object, const char *name, JsonNode *node, gpointer to)
{
  json_object_set_member (to, name, json_node_copy (node));
}

static void
add_process (const SeeddGraph *graph, JsonObject *object)
{
  JsonObject *process;

  if (!graph->child) {
    json_object_set_null_member (object, "process");
    return;
  }
  process = json_object_new ();
  json_object_set_double_member (process, "heartbeat_age_s", seconds_since (graph->beat_us));
  json_object_set_int_member (process, "rss_bytes", graph->memory);
  if (graph->beat)
    json_object_foreach_member (graph->beat, copy_member, process);
  json_object_set_object_member (object, "process", process);
}

gboolean
seedd_graph_has_stream (const SeeddGraph *graph, const char *name)
{
  JsonNode *node = graph->beat ? json_object_get_member (graph->beat, "streams") : NULL;
  JsonArray *streams = node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  for (guint i = 0; streams && i < json_array_get_length (streams); i++) {
    JsonNode *item = json_array_get_element (streams, i);
    JsonObject *stream = JSON_NODE_HOLDS_OBJECT (item) ? json_node_get_object (item) : NULL;

    if (g_strcmp0 (seed_rpc_get_text (stream, "stream", FALSE, NULL), name) == 0)
      return TRUE;
  }
  return FALSE;
}

JsonObject *
seedd_graph_describe (const SeeddGraph *graph, gboolean full)
{
  JsonObject *object = json_object_new ();
  JsonArray *lines;

  add_brief (graph, object);
  if (!full)
    return object;
  set_text (object, "file", graph->file ? graph->file->path : NULL);
  set_text (object, "description",
      graph->file && graph->file->graph ? graph->file->graph->description : NULL);
  set_text (object, "pending_errors", graph->pending_errors);
  json_object_set_boolean_member (object, "last_good", graph->fell_back);
  add_causes (graph, object);
  add_limits (graph, object);
  add_process (graph, object);
  json_object_set_array_member (object, "changed_streams", seedd_streams_describe (graph));
  lines = json_array_new ();
  for (const GList *l = graph->lines.head; l; l = l->next)
    json_array_add_string_element (lines, l->data);
  json_object_set_array_member (object, "last_messages", lines);
  return object;
}
