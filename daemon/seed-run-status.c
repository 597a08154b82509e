/* SPDX-License-Identifier: MIT */
#include "seed-run-status.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"
#include "publish/json-tree.h"
#include "seed-run.h"

#define FLUSH_MS 1000
#define MAX_WAITING 64 /* requests not answered yet */

struct _SeedRunStatus {
  SeedChannel *channel;
  GMainContext *context; /* of the thread */
  GMainLoop *loop;
  GThread *thread;
  guint interval_ms;
  gint n_waiting; /* atomic */

  SeedRun *run; /* of the main thread: the one that plays */
  SeedRunSummary *summary;
  guint tick;

  GMutex lock; /* the rest */
  const char *phase;
  char *news;     /* what the last summary said */
  gint64 loop_us; /* monotonic, when the main loop last ran; 0: it does not run yet */
};

/* ---- in the thread ---- */

static gboolean
beat (gpointer data)
{
  SeedRunStatus *status = data;
  g_autofree char *line = NULL;
  gint64 age_us;

  g_mutex_lock (&status->lock);
  age_us = status->loop_us ? g_get_monotonic_time () - status->loop_us : 0;
  line = g_strdup_printf ("{\"jsonrpc\":\"2.0\",\"method\":\"heartbeat\",\"params\":{\"phase\":"
                          "\"%s\",\"loop_age_ms\":%" G_GINT64_FORMAT "%s%s}}",
      status->phase, age_us / 1000, status->news ? "," : "", status->news ? status->news : "");
  g_mutex_unlock (&status->lock);
  seed_channel_send (status->channel, line);
  return G_SOURCE_CONTINUE;
}

static gpointer
serve (gpointer data)
{
  SeedRunStatus *status = data;

  g_main_context_push_thread_default (status->context);
  g_main_loop_run (status->loop);
  g_main_context_pop_thread_default (status->context);
  return NULL;
}

static void
free_request (SeedRunRequest *request)
{
  g_atomic_int_add (&request->status->n_waiting, -1);
  seed_rpc_message_clear (&request->message);
  g_free (request);
}

void
seed_run_request_reply (SeedRunRequest *request, JsonNode *result)
{
  g_autofree char *line = seed_rpc_build_result (request->message.id, result);

  if (request->message.id && strlen (line) > SEED_RPC_MAX_BYTES) {
    g_free (line);
    line = seed_rpc_build_error (
        request->message.id, &(GError){ SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED,
                                 (char *) "the answer is larger than a message may be" });
  }
  if (request->message.id)
    seed_channel_send (request->status->channel, line);
  json_node_unref (result);
  free_request (request);
}

void
seed_run_request_fail (SeedRunRequest *request, const GError *error)
{
  g_autofree char *line = seed_rpc_build_error (request->message.id, error);

  seed_channel_send (request->status->channel, line);
  free_request (request);
}

static gboolean
answer_in_loop (gpointer data)
{
  SeedRunRequest *request = data;

  if (request->status->run)
    seed_run_answer (request->status->run, request);
  else
    seed_run_request_fail (request, &(GError){ SEED_RPC_ERROR, SEED_RPC_ERROR_NOT_RUNNING,
                                        (char *) "the graph does not play (yet, or any more)" });
  return G_SOURCE_REMOVE;
}

static void
on_line (gpointer data, const char *line, gsize length)
{
  SeedRunStatus *status = data;
  SeedRunRequest *request = g_new0 (SeedRunRequest, 1);
  g_autoptr (GError) error = NULL;
  GSource *source;

  request->status = status;
  if (g_atomic_int_add (&status->n_waiting, 1) >= MAX_WAITING)
    g_set_error (&error, SEED_RPC_ERROR, SEED_RPC_ERROR_BUSY, "too many requests wait already");
  if (error || !seed_rpc_parse_request (line, length, &request->message, &error)) {
    seed_run_request_fail (request, error);
    return;
  }
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, answer_in_loop, request, NULL);
  g_source_attach (source, NULL);
  g_source_unref (source);
}

/* Nobody looks after the graph any more: it ends as it would after a signal. */
static void
on_closed (gpointer data, const char *reason)
{
  kill (getpid (), SIGTERM);
}

/* ---- in the main thread ---- */

SeedRunStatus *
seed_run_status_new (int fd, guint interval_ms)
{
  static const SeedChannelCallbacks callbacks = { on_line, on_closed };
  SeedRunStatus *status = g_new0 (SeedRunStatus, 1);
  g_autoptr (GSource) timer = g_timeout_source_new (interval_ms);

  g_mutex_init (&status->lock);
  status->phase = "loading";
  status->interval_ms = interval_ms;
  status->context = g_main_context_new ();
  status->loop = g_main_loop_new (status->context, FALSE);
  status->channel = seed_channel_new (fd, status->context, &callbacks, status);
  g_source_set_callback (timer, beat, status, NULL);
  g_source_attach (timer, status->context);
  beat (status);
  status->thread = g_thread_new ("status", serve, status);
  return status;
}

static gboolean
end_loop (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

void
seed_run_status_free (SeedRunStatus *status)
{
  g_autoptr (GSource) last = NULL;

  if (!status)
    return;
  seed_run_status_detach (status);
  seed_run_end_changes ();
  last = g_idle_source_new (); /* a quit from here would be lost on a loop that is yet to run */
  g_source_set_callback (last, end_loop, status->loop, NULL);
  g_source_attach (last, status->context);
  g_thread_join (status->thread);
  seed_channel_flush (status->channel, FLUSH_MS);
  if (g_atomic_int_get (&status->n_waiting) > 0)
    return; /* a snapshot is still being made and will want to answer; the process ends anyway */
  seed_channel_free (status->channel);
  g_main_loop_unref (status->loop);
  g_main_context_unref (status->context);
  g_free (status->news);
  g_mutex_clear (&status->lock);
  g_free (status);
}

void
seed_run_status_set_phase (SeedRunStatus *status, const char *phase)
{
  if (!status)
    return;
  g_mutex_lock (&status->lock);
  status->phase = phase;
  g_mutex_unlock (&status->lock);
}

static void
notify (SeedRunStatus *status, const char *method, JsonObject *params)
{
  g_autofree char *line = seed_rpc_build_notification (method, params);

  json_object_unref (params);
  seed_channel_send (status->channel, line);
}

void
seed_run_status_refuse (SeedRunStatus *status, const SeedDiagnostics *diagnostics)
{
  JsonObject *params;
  g_autofree char *text = NULL;

  if (!status)
    return;
  text = seed_diagnostics_to_string (diagnostics);
  params = json_object_new ();
  json_object_set_string_member (params, "errors", text);
  notify (status, "refused", params);
}

static gboolean
tick (gpointer data)
{
  SeedRunStatus *status = data;
  g_autofree char *news = seed_run_summary_take (status->summary, status->run);

  g_mutex_lock (&status->lock);
  g_free (status->news);
  status->news = g_steal_pointer (&news);
  status->loop_us = g_get_monotonic_time ();
  g_mutex_unlock (&status->lock);
  return G_SOURCE_CONTINUE;
}

/* Where the graph's results can be had: what its publish nodes have bound. */
static JsonArray *
endpoints_of (const SeedPipeline *pipeline)
{
  JsonArray *endpoints = json_array_new ();

  for (guint i = 0; i < pipeline->stages->len; i++) {
    GstElement *element = g_array_index (pipeline->stages, SeedPipelineStage, i).element;
    g_autofree char *endpoint = NULL;

    if (!g_object_class_find_property (G_OBJECT_GET_CLASS (element), "bound-endpoint"))
      continue;
    g_object_get (element, "bound-endpoint", &endpoint, NULL);
    if (endpoint)
      json_array_add_string_element (endpoints, endpoint);
  }
  return endpoints;
}

void
seed_run_status_attach (SeedRunStatus *status, SeedRun *run)
{
  JsonObject *params;

  if (!status)
    return;
  status->run = run;
  status->summary = seed_run_summary_new ();
  status->tick = g_timeout_add (status->interval_ms, tick, status);
  tick (status);
  seed_run_status_set_phase (status, "playing");
  params = json_object_new ();
  json_object_set_string_member (params, "graph", run->graph->name);
  json_object_set_array_member (params, "endpoints", endpoints_of (run->pipeline));
  notify (status, "ready", params);
}

void
seed_run_status_detach (SeedRunStatus *status)
{
  if (!status || !status->run)
    return;
  g_source_remove (status->tick);
  g_clear_pointer (&status->summary, seed_run_summary_free);
  status->run = NULL;
  g_mutex_lock (&status->lock);
  status->loop_us = 0; /* stopping takes the main thread as long as it takes */
  g_mutex_unlock (&status->lock);
}

static void
set_text (JsonObject *object, const char *name, const char *text)
{
  if (text)
    json_object_set_string_member (object, name, text);
  else
    json_object_set_null_member (object, name);
}

void
seed_run_status_end (SeedRunStatus *status, const SeedRun *run)
{
  static const char *const results[] = { "done", "stopped", "failed", "refused" };
  JsonObject *params;

  if (!status)
    return;
  params = json_object_new ();
  set_text (params, "result", results[run->result]);
  set_text (params, "reason", run->failure.reason);
  set_text (params, "stage", run->failure.stage);
  set_text (params, "stream", run->failure.stream);
  notify (status, "ended", params);
}
