/* SPDX-License-Identifier: MIT */
#include "seedd-ready.h"

#include <string.h>

static void
note (
    JsonArray *array, const char *graph, const char *stream, const char *state, const char *reason)
{
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "graph", graph);
  if (stream)
    json_object_set_string_member (object, "stream", stream);
  json_object_set_string_member (object, "state", state);
  json_object_set_string_member (object, "reason", reason);
  json_array_add_object_element (array, object);
}

static void
look_at_streams (SeeddGraph *graph, JsonArray *down)
{
  g_autoptr (JsonObject) status = seedd_graph_describe (graph, TRUE);
  JsonNode *node = json_object_get_member (status, "process");
  JsonObject *process = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  JsonArray *streams;

  node = process ? json_object_get_member (process, "streams") : NULL;
  streams = node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  for (guint i = 0; streams && i < json_array_get_length (streams); i++) {
    JsonNode *item = json_array_get_element (streams, i);
    JsonObject *stream = JSON_NODE_HOLDS_OBJECT (item) ? json_node_get_object (item) : NULL;
    const char *state = seed_rpc_get_text (stream, "state", FALSE, NULL);
    const char *name = seed_rpc_get_text (stream, "stream", FALSE, NULL);
    const char *reason = seed_rpc_get_text (stream, "reason", FALSE, NULL);

    if (name && state && strcmp (state, "up") != 0 && strcmp (state, "ended") != 0)
      note (down, seedd_graph_name (graph), name, state, reason ? reason : "");
  }
}

static void
look_at (SeeddGraph *graph, JsonArray *not_ready, JsonArray *down)
{
  SeeddState state = seedd_graph_state (graph);
  g_autofree char *silent = NULL;

  if (state == SEEDD_FINISHED)
    return;
  if (state != SEEDD_RUNNING) {
    note (not_ready, seedd_graph_name (graph), NULL, seedd_state_name (state),
        seedd_graph_reason (graph));
    return;
  }
  silent = seedd_graph_why_silent (graph, SEEDD_READY_SILENCE_S);
  if (silent)
    note (not_ready, seedd_graph_name (graph), NULL, seedd_state_name (state), silent);
  look_at_streams (graph, down);
}

JsonObject *
seedd_ready_describe (SeeddDaemon *daemon)
{
  const SeeddConfig *config = daemon->context->config;
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (daemon->supervisor);
  JsonArray *not_ready = json_array_new (), *down = json_array_new ();
  JsonObject *object = json_object_new ();
  guint n = 0;

  for (guint i = 0; i < graphs->len; i++) {
    SeeddGraph *graph = g_ptr_array_index (graphs, i);

    if (!seedd_config_is_enabled (config, seedd_graph_name (graph)))
      continue;
    look_at (graph, not_ready, down);
    n++;
  }
  for (guint i = 0; config->enabled && i < config->enabled->len; i++) {
    const char *name = g_ptr_array_index (config->enabled, i);

    if (seedd_supervisor_find (daemon->supervisor, name))
      continue;
    note (not_ready, name, NULL, "missing", "enabled, but there is no file of that name");
    n++;
  }
  json_object_set_boolean_member (object, "ready", json_array_get_length (not_ready) == 0);
  json_object_set_int_member (object, "graphs", n);
  json_object_set_array_member (object, "not_ready", not_ready);
  json_object_set_array_member (object, "streams_down", down);
  return object;
}
