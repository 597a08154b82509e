/* SPDX-License-Identifier: MIT */
#include "seedd-methods.h"

#include <string.h>
#include <unistd.h>

#include "seed-config.h"
#include "seedd-child.h"
#include "seedd-graph-streams.h"

#define MAX_PARAMS 5u

typedef struct _Method Method;
struct _Method {
  const char *name;
  /* Takes @call unless it returns FALSE with an error. */
  gboolean (*run) (SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params,
      GError **error);
  const char *params[MAX_PARAMS + 1];
};

static gboolean
fail (GError **error, SeedRpcErrorCode code, const char *format, const char *text)
{
  g_autofree char *message = g_strdup_printf (format, text);

  g_set_error_literal (error, SEED_RPC_ERROR, code, message);
  return FALSE;
}

static JsonNode *
node_of (JsonObject *object)
{
  return json_node_init_object (json_node_alloc (), object);
}

static gboolean
reply_object (SeeddCall *call, JsonObject *object)
{
  seedd_call_reply (call, node_of (object));
  json_object_unref (object);
  return TRUE;
}

static SeeddGraph *
find_named (SeeddDaemon *daemon, const char *name, GError **error)
{
  SeeddGraph *graph = seedd_supervisor_find (daemon->supervisor, name);
  g_autoptr (GPtrArray) graphs = NULL, names = NULL;
  g_autofree char *quoted = NULL, *hint = NULL;

  if (graph)
    return graph;
  graphs = seedd_supervisor_graphs (daemon->supervisor);
  names = g_ptr_array_new ();
  for (guint i = 0; i < graphs->len; i++)
    g_ptr_array_add (names, (gpointer) seedd_graph_name (g_ptr_array_index (graphs, i)));
  g_ptr_array_add (names, NULL);
  quoted = seed_quote (name);
  hint = seed_did_you_mean (name, (const char *const *) names->pdata);
  g_set_error (
      error, SEED_RPC_ERROR, SEED_RPC_ERROR_NO_GRAPH, "there is no graph %s%s", quoted, hint);
  return NULL;
}

static SeeddGraph *
find_graph (SeeddDaemon *daemon, JsonObject *params, GError **error)
{
  const char *name = seed_rpc_get_text (params, "graph", TRUE, error);

  return name ? find_named (daemon, name, error) : NULL;
}

/* ---- version, list, status ---- */

static gboolean
version (
    SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "version", SEED_VERSION);
  return reply_object (call, object);
}

static JsonArray *
describe_all (SeeddDaemon *daemon, gboolean full)
{
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (daemon->supervisor);
  JsonArray *array = json_array_new ();

  for (guint i = 0; i < graphs->len; i++)
    json_array_add_object_element (
        array, seedd_graph_describe (g_ptr_array_index (graphs, i), full));
  return array;
}

static gboolean
list (
    SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  JsonObject *object = json_object_new ();

  json_object_set_array_member (object, "graphs", describe_all (daemon, FALSE));
  return reply_object (call, object);
}

static void
set_text (JsonObject *object, const char *name, const char *text)
{
  if (text)
    json_object_set_string_member (object, name, text);
  else
    json_object_set_null_member (object, name);
}

static guint
count_fds (void)
{
  g_autoptr (GDir) folder = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (folder && g_dir_read_name (folder))
    n++;
  return n > 0 ? n - 1 : 0; /* one is the folder's own */
}

JsonObject *
seedd_methods_describe (SeeddDaemon *daemon)
{
  const SeeddConfig *config = daemon->context->config;
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "version", SEED_VERSION);
  json_object_set_int_member (object, "pid", getpid ());
  json_object_set_double_member (
      object, "uptime_s", (double) (g_get_monotonic_time () - daemon->begin_us) / G_USEC_PER_SEC);
  json_object_set_int_member (object, "rss_bytes", seedd_child_memory_of (getpid ()));
  json_object_set_int_member (object, "open_fds", count_fds ());
  set_text (object, "config", config->file);
  set_text (object, "graphs_folder", config->graphs);
  set_text (object, "http", daemon->http);
  json_object_set_object_member (object, "results", seedd_proxy_stats (daemon->context->proxy));
  json_object_set_object_member (object, "control", seedd_control_stats (daemon->control));
  return object;
}

static gboolean
status (
    SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  JsonObject *object;
  SeeddGraph *graph;

  if (params && json_object_has_member (params, "graph")) {
    graph = find_graph (daemon, params, error);
    return graph && reply_object (call, seedd_graph_describe (graph, TRUE));
  }
  object = seedd_methods_describe (daemon);
  json_object_set_array_member (object, "graphs", describe_all (daemon, TRUE));
  return reply_object (call, object);
}

/* ---- start, stop, restart ---- */

static void
reply_state (SeeddCall *call, SeeddGraph *graph)
{
  seedd_call_reply (call, node_of (seedd_graph_describe (graph, FALSE)));
}

/* Done when it runs, or has already run to its end. */
static void
on_started (gpointer data, SeeddGraph *graph)
{
  SeeddState state = seedd_graph_state (graph);
  g_autofree char *why = NULL;

  if (state == SEEDD_RUNNING || state == SEEDD_FINISHED) {
    reply_state (data, graph);
    return;
  }
  why = g_strdup_printf ("graph '%s' is %s: %s", seedd_graph_name (graph), seedd_state_name (state),
      seedd_graph_reason (graph));
  seedd_call_fail (data, &(GError){ SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED, why });
}

static void
on_stopped (gpointer data, SeeddGraph *graph)
{
  reply_state (data, graph);
}

static gboolean
move (
    SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  SeeddGraph *graph = find_graph (daemon, params, error);
  gboolean wait = TRUE, stop = strcmp (method->name, "stop") == 0;

  if (!graph || !seed_rpc_get_boolean (params, "wait", &wait, error))
    return FALSE;
  if (stop)
    seedd_graph_stop (graph);
  else if (strcmp (method->name, "restart") == 0)
    seedd_graph_restart (graph);
  else
    seedd_graph_start (graph);
  if (wait)
    seedd_graph_wait (graph, stop ? on_stopped : on_started, call);
  else
    reply_state (call, graph);
  return TRUE;
}

/* ---- reload, check ---- */

static void
on_reloaded (gpointer data, JsonArray *results)
{
  JsonObject *object = json_object_new ();

  json_object_set_array_member (object, "graphs", json_array_ref (results));
  reply_object (data, object);
}

static gboolean
reload (
    SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  const char *name = seed_rpc_get_text (params, "graph", FALSE, error);

  if (*error || (name && !find_named (daemon, name, error)))
    return FALSE;
  seedd_supervisor_reload (daemon->supervisor, name, on_reloaded, call);
  return TRUE;
}

static void
on_checked (gpointer data, const char *errors)
{
  JsonObject *object = json_object_new ();

  json_object_set_boolean_member (object, "ok", errors == NULL);
  set_text (object, "errors", errors);
  reply_object (data, object);
}

static gboolean
check (
    SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  SeeddGraph *graph = find_graph (daemon, params, error);

  if (graph)
    seedd_supervisor_check (daemon->supervisor, graph, on_checked, call);
  return graph != NULL;
}

/* ---- what the graph's process answers ---- */

static void
on_answer (gpointer data, JsonNode *result, const GError *error)
{
  if (error)
    seedd_call_fail (data, error);
  else
    seedd_call_reply (data, json_node_copy (result));
}

static void
copy_member (JsonObject *object, const char *name, JsonNode *node, gpointer to)
{
  if (strcmp (name, "graph") != 0)
    json_object_set_member (to, name, json_node_copy (node));
}

static gboolean
ask (SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  SeeddGraph *graph = find_graph (daemon, params, error);
  g_autoptr (JsonObject) others = json_object_new ();

  if (!graph)
    return FALSE;
  json_object_foreach_member (params, copy_member, others);
  seedd_graph_request (graph, method->name, others, on_answer, call);
  return TRUE;
}

static gboolean
change_stream (
    SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  SeeddGraph *graph = find_graph (daemon, params, error);
  g_autoptr (JsonObject) others = json_object_new ();

  if (!graph)
    return FALSE;
  json_object_foreach_member (params, copy_member, others);
  seedd_streams_request (graph, method->name, others, on_answer, call);
  return TRUE;
}

static gboolean
set (SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  SeeddGraph *graph = find_graph (daemon, params, error);
  g_autoptr (JsonObject) request = json_object_new ();
  JsonArray *settings = json_array_new ();
  JsonObject *setting = json_object_new ();

  json_array_add_object_element (settings, setting);
  json_object_set_array_member (request, "settings", settings);
  if (!graph)
    return FALSE;
  json_object_foreach_member (params, copy_member, setting);
  seedd_graph_request (graph, "set", request, on_answer, call);
  return TRUE;
}

/* ---- snapshot ---- */

static gboolean
has_stream (const SeeddGraph *graph, const char *name)
{
  const SeeddFile *file = seedd_graph_file (graph);

  if (!file || !file->graph || seedd_graph_state (graph) != SEEDD_RUNNING)
    return FALSE;
  for (guint i = 0; i < file->graph->streams->len; i++) {
    if (strcmp (((SeedGraphStream *) g_ptr_array_index (file->graph->streams, i))->id, name) == 0)
      return TRUE;
  }
  for (guint i = 0; i < file->graph->nodes->len; i++) {
    const SeedGraphNode *node = g_ptr_array_index (file->graph->nodes, i);

    if (node->inputs->len == 0 && strcmp (node->name, name) == 0)
      return TRUE;
  }
  return seedd_graph_has_stream (graph, name); /* added while it runs */
}

/* The one running graph that has it. */
static SeeddGraph *
find_stream (SeeddDaemon *daemon, const char *name, GError **error)
{
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (daemon->supervisor);
  SeeddGraph *found = NULL;

  for (guint i = 0; i < graphs->len; i++) {
    if (!has_stream (g_ptr_array_index (graphs, i), name))
      continue;
    if (found) {
      fail (error, SEED_RPC_ERROR_PARAMS,
          "several graphs have a stream '%s'; say which one as well", name);
      return NULL;
    }
    found = g_ptr_array_index (graphs, i);
  }
  if (!found)
    fail (error, SEED_RPC_ERROR_NO_GRAPH, "no running graph has a stream '%s'", name);
  return found;
}

static gboolean
snapshot (
    SeeddDaemon *daemon, const Method *method, SeeddCall *call, JsonObject *params, GError **error)
{
  const char *stream = seed_rpc_get_text (params, "stream", TRUE, error);
  g_autoptr (JsonObject) others = json_object_new ();
  SeeddGraph *graph;

  if (!stream)
    return FALSE;
  graph = json_object_has_member (params, "graph") ? find_graph (daemon, params, error)
                                                   : find_stream (daemon, stream, error);
  if (!graph)
    return FALSE;
  json_object_foreach_member (params, copy_member, others);
  seedd_graph_request (graph, "snapshot", others, on_answer, call);
  return TRUE;
}

void
seedd_methods_dispatch (gpointer data, SeeddCall *call, const SeedRpcMessage *request)
{
  static const Method methods[] = {
    { "version", version, { NULL } },
    { "list", list, { NULL } },
    { "status", status, { "graph", NULL } },
    { "start", move, { "graph", "wait", NULL } },
    { "stop", move, { "graph", "wait", NULL } },
    { "restart", move, { "graph", "wait", NULL } },
    { "reload", reload, { "graph", NULL } },
    { "check", check, { "graph", NULL } },
    { "get", ask, { "graph", "node", "key", NULL } },
    { "set", set, { "graph", "node", "key", "value", NULL } },
    { "stats", ask, { "graph", NULL } },
    { "dot", ask, { "graph", NULL } },
    { "snapshot", snapshot, { "graph", "stream", "width", NULL } },
    { "stream-add", change_stream, { "graph", "node", "stream", "uri", "options", NULL } },
    { "stream-remove", change_stream, { "graph", "node", "stream", NULL } },
    { "stream-list", ask, { "graph", "node", NULL } },
    { "promote", ask, { "graph", "node", NULL } },
    { "rollback", ask, { "graph", "node", NULL } },
  };
  SeeddDaemon *daemon = data;
  const Method *method = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (methods); i++) {
    if (strcmp (methods[i].name, request->method) == 0)
      method = &methods[i];
  }
  if (!method) {
    g_autofree char *quoted = seed_quote (request->method);

    fail (&error, SEED_RPC_ERROR_METHOD, "there is no method %s", quoted);
  } else if (seed_rpc_check_params (request->params, method->params, &error) &&
             method->run (daemon, method, call, request->params, &error)) {
    return;
  }
  seedd_call_fail (call, error);
}
