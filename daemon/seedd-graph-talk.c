/* SPDX-License-Identifier: MIT */
#include "seedd-graph-private.h"

#include <string.h>

#include "line.h"
#include "seedd-log.h"

typedef struct {
  SeeddReply reply;
  gpointer data;
  gint64 deadline_us;
} Request;

/* ---- output ---- */

static int
priority_of (const char *line)
{
  if (strstr (line, "error: ") || strstr (line, "CRITICAL"))
    return LOG_ERR;
  return strstr (line, "warning: ") || strstr (line, "WARNING") ? LOG_WARNING : LOG_INFO;
}

void
seedd_graph_on_output (gpointer data, const char *line)
{
  SeeddGraph *graph = data;
  int priority = priority_of (line);
  g_autofree char *stage = NULL, *stream = NULL;

  seed_line_parse (line, &stage, &stream);
  seedd_log_about (priority, graph->name, stage, stream, line);
  if (priority > LOG_WARNING)
    return;
  g_queue_push_tail (&graph->lines, g_strdup (line));
  if (graph->lines.length > SEEDD_MAX_LINES)
    g_free (g_queue_pop_head (&graph->lines));
}

/* ---- notifications ---- */

static gint64
get_int (JsonObject *object, const char *name)
{
  gint64 value = 0;

  seed_rpc_get_int (object, name, 0, G_MAXINT64, &value, NULL);
  return value;
}

static void
on_heartbeat (SeeddGraph *graph, JsonObject *params)
{
  const double hang_s = graph->context->config->hang_s;
  gint64 frames = get_int (params, "frames");

  g_clear_pointer (&graph->beat, json_object_unref);
  graph->beat = json_object_ref (params);
  graph->beat_us = g_get_monotonic_time ();
  if (frames != graph->frames)
    graph->progress_us = graph->beat_us;
  graph->frames = frames;
  if ((double) get_int (params, "loop_age_ms") > hang_s * 1000)
    seedd_graph_kill (graph, SEEDD_CAUSE_HANG, "hangs: its main loop has not run for %g s", hang_s);
}

/* Only what it was told to bind: a node with an endpoint of its own is its author's business. */
static void
connect_endpoints (SeeddGraph *graph, JsonObject *params)
{
  JsonNode *node = json_object_get_member (params, "endpoints");
  JsonArray *endpoints = node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  g_autofree char *prefix =
      g_strdup_printf ("ipc://%s/graphs/%s.", graph->context->config->runtime, graph->name);

  for (guint i = 0; endpoints && i < json_array_get_length (endpoints); i++) {
    JsonNode *item = json_array_get_element (endpoints, i);

    if (JSON_NODE_HOLDS_VALUE (item) && json_node_get_value_type (item) == G_TYPE_STRING &&
        g_str_has_prefix (json_node_get_string (item), prefix))
      seedd_proxy_connect (graph->context->proxy, graph->name, json_node_get_string (item));
  }
}

static void
copy_text (JsonObject *params, const char *name, char **text)
{
  g_free (*text);
  *text = g_strdup (seed_rpc_get_text (params, name, FALSE, NULL));
}

static void
on_notification (SeeddGraph *graph, const SeedRpcMessage *message)
{
  if (!message->params)
    return;
  if (strcmp (message->method, "heartbeat") == 0) {
    on_heartbeat (graph, message->params);
  } else if (strcmp (message->method, "ready") == 0) {
    connect_endpoints (graph, message->params);
    seedd_graph_set_running (graph);
  } else if (strcmp (message->method, "refused") == 0) {
    copy_text (message->params, "errors", &graph->refusal);
  } else if (strcmp (message->method, "ended") == 0) {
    copy_text (message->params, "result", &graph->end_result);
    copy_text (message->params, "reason", &graph->end_reason);
  }
}

/* ---- requests ---- */

GHashTable *
seedd_graph_new_requests (void)
{
  return g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, g_free);
}

void
seedd_graph_on_message (gpointer data, const SeedRpcMessage *message)
{
  SeeddGraph *graph = data;
  g_autofree Request *request = NULL;
  g_autofree gint64 *key = NULL;
  gint64 id;

  if (message->method) {
    on_notification (graph, message);
    return;
  }
  if (!message->id || !JSON_NODE_HOLDS_VALUE (message->id) ||
      json_node_get_value_type (message->id) != G_TYPE_INT64)
    return;
  id = json_node_get_int (message->id);
  if (g_hash_table_steal_extended (graph->requests, &id, (gpointer *) &key, (gpointer *) &request))
    request->reply (request->data, message->result, message->error);
}

static gboolean
fail (SeeddReply reply, gpointer data, SeedRpcErrorCode code, const char *message)
{
  g_autoptr (GError) error = g_error_new_literal (SEED_RPC_ERROR, code, message);

  reply (data, NULL, error);
  return FALSE;
}

void
seedd_graph_request (
    SeeddGraph *graph, const char *method, JsonObject *params, SeeddReply reply, gpointer data)
{
  g_autofree char *line = NULL, *why = NULL;
  Request *request;
  gint64 *id;

  if (graph->state != SEEDD_RUNNING) {
    why = g_strdup_printf (
        "graph '%s' is %s, it does not run", graph->name, seedd_state_name (graph->state));
    fail (reply, data, SEED_RPC_ERROR_NOT_RUNNING, why);
    return;
  }
  line = seed_rpc_build_request (graph->next_id, method, params);
  if (g_hash_table_size (graph->requests) >= SEEDD_MAX_REQUESTS ||
      !seedd_child_send (graph->child, line)) {
    why = g_strdup_printf ("graph '%s' has too many requests to answer already", graph->name);
    fail (reply, data, SEED_RPC_ERROR_BUSY, why);
    return;
  }
  request = g_new0 (Request, 1);
  request->reply = reply;
  request->data = data;
  request->deadline_us = g_get_monotonic_time () + SEEDD_REQUEST_LIMIT_S * G_USEC_PER_SEC;
  id = g_new (gint64, 1);
  *id = graph->next_id++;
  g_hash_table_insert (graph->requests, id, request);
}

/* Those whose time is over at @now. */
static void
fail_some (SeeddGraph *graph, gint64 now, const char *why)
{
  g_autoptr (GPtrArray) failed = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, graph->requests);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    if (((Request *) value)->deadline_us > now)
      continue;
    g_ptr_array_add (failed, value);
    g_hash_table_iter_steal (&iter);
    g_free (key);
  }
  for (guint i = 0; i < failed->len; i++) {
    Request *request = g_ptr_array_index (failed, i);

    fail (request->reply, request->data, SEED_RPC_ERROR_NOT_RUNNING, why);
  }
}

void
seedd_graph_fail_requests (SeeddGraph *graph, const char *why)
{
  fail_some (graph, G_MAXINT64, why);
}

void
seedd_graph_expire_requests (SeeddGraph *graph)
{
  g_autofree char *why = g_strdup_printf (
      "graph '%s' does not answer within %d s", graph->name, SEEDD_REQUEST_LIMIT_S);

  fail_some (graph, g_get_monotonic_time (), why);
}
