/* SPDX-License-Identifier: MIT */
#include "seedd-graph-private.h"

#include <signal.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "seedd-log.h"

typedef struct {
  void (*done) (gpointer data, SeeddGraph *graph);
  gpointer data;
} Waiter;

static void spawn (SeeddGraph *graph);
static void spawn_with (SeeddGraph *graph, const char *refusal);

const char *
seedd_state_name (SeeddState state)
{
  static const char *const names[] = { "stopped", "starting", "running", "stopping", "backing-off",
    "invalid", "finished" };

  return names[state];
}

static gboolean
is_settled (SeeddState state)
{
  return state != SEEDD_STARTING && state != SEEDD_STOPPING;
}

static void
settle_waiters (SeeddGraph *graph)
{
  g_autoptr (GArray) waiters = NULL;

  if (!is_settled (graph->state) || graph->waiters->len == 0)
    return;
  waiters = graph->waiters;
  graph->waiters = g_array_new (FALSE, FALSE, sizeof (Waiter));
  for (guint i = 0; i < waiters->len; i++) {
    const Waiter *waiter = &g_array_index (waiters, Waiter, i);

    waiter->done (waiter->data, graph);
  }
}

static void
set_state (SeeddGraph *graph, SeeddState state, const char *reason)
{
  char *copy = g_strdup (reason ? reason : "");

  g_free (graph->reason);
  graph->reason = copy;
  graph->state = state;
  settle_waiters (graph);
  graph->context->changed (graph->context->data);
}

void
seedd_graph_event (SeeddGraph *graph, const char *event, const char *reason, JsonObject *details)
{
  seedd_proxy_publish_event (graph->context->proxy, graph->name, event, reason, details);
}

void
seedd_graph_kill (SeeddGraph *graph, SeeddCause cause, const char *format, ...)
{
  va_list args;

  if (graph->kill_reason || !graph->child)
    return;
  va_start (args, format);
  graph->kill_reason = g_strdup_vprintf (format, args);
  va_end (args);
  graph->kill_cause = cause;
  seedd_log (LOG_ERR, graph->name, "%s; killed", graph->kill_reason);
  seedd_child_signal (graph->child, SIGKILL);
}

/* ---- the end of a process ---- */

static gboolean
on_backoff_over (gpointer data)
{
  SeeddGraph *graph = data;

  graph->backoff_timer = 0;
  graph->restarts++;
  graph->restarts_by[graph->cause]++;
  graph->may_fall_back = TRUE;
  spawn (graph);
  return G_SOURCE_REMOVE;
}

static void
back_off (SeeddGraph *graph, SeeddCause cause, const char *why)
{
  const SeeddConfig *config = graph->context->config;
  gint64 now = g_get_monotonic_time ();
  g_autoptr (JsonObject) details = json_object_new ();
  double pause;

  graph->cause = cause;
  if (graph->running_us && (double) (now - graph->running_us) / G_USEC_PER_SEC >= config->healthy_s)
    graph->backoff_s = config->backoff_s;
  pause = graph->backoff_s;
  graph->backoff_s = MIN (2 * graph->backoff_s, config->backoff_max_s);
  graph->retry_us = now + (gint64) (pause * G_USEC_PER_SEC);
  graph->backoff_timer = g_timeout_add ((guint) (pause * 1000), on_backoff_over, graph);
  seedd_log (LOG_WARNING, graph->name, "%s; starts again in %g s", why, pause);
  json_object_set_double_member (details, "retry_in_s", pause);
  json_object_set_int_member (details, "restarts", graph->restarts);
  seedd_graph_event (graph, "backing-off", why, details);
  set_state (graph, SEEDD_BACKING_OFF, why);
}

static void
crashed (SeeddGraph *graph, int status)
{
  g_autofree char *how = seedd_child_describe_status (status), *why = NULL;
  g_autoptr (JsonObject) details = json_object_new ();
  SeeddCause cause = WIFSIGNALED (status) ? SEEDD_CAUSE_SIGNAL : SEEDD_CAUSE_EXIT;

  if (graph->kill_reason)
    cause = graph->kill_cause;
  else if (!graph->end_reason && g_strcmp0 (graph->end_result, "stopped") == 0)
    cause = SEEDD_CAUSE_OUTSIDE;
  if (graph->kill_reason)
    why = g_strdup (graph->kill_reason);
  else if (graph->end_reason)
    why = g_strdup_printf ("%s: %s", how, graph->end_reason);
  else if (g_strcmp0 (graph->end_result, "stopped") == 0)
    why = g_strdup ("stopped by somebody else");
  else
    why = g_strdup (how);
  json_object_set_string_member (details, "status", how);
  json_object_set_int_member (details, "restarts", graph->restarts);
  seedd_graph_event (graph, "crashed", why, details);
  back_off (graph, cause, why);
}

static void
forget_process (SeeddGraph *graph)
{
  seedd_graph_fail_requests (graph, "the graph's process ended");
  g_clear_pointer (&graph->child, seedd_child_free);
  g_clear_pointer (&graph->beat, json_object_unref);
  graph->memory = 0;
  seedd_proxy_disconnect (graph->context->proxy, graph->name, FALSE);
}

static void
stopped (SeeddGraph *graph)
{
  seedd_log (LOG_INFO, graph->name, "stopped");
  seedd_graph_event (graph, "stopped", graph->kill_reason, NULL);
  if (graph->start_again) {
    graph->start_again = FALSE;
    spawn (graph);
  } else {
    set_state (graph, SEEDD_STOPPED, graph->kill_reason);
  }
}

/* Its process found errors that reading alone does not. */
static gboolean
can_fall_back (const SeeddGraph *graph)
{
  g_autoptr (SeeddFile) copy =
      graph->may_fall_back && !graph->fell_back ? seedd_graph_load_copy (graph) : NULL;

  return copy && (copy->length != graph->file->length ||
                     memcmp (copy->text, graph->file->text, copy->length) != 0);
}

static void
fall_back (SeeddGraph *graph)
{
  g_autofree char *errors = g_steal_pointer (&graph->refusal);

  spawn_with (graph, errors);
}

static void
on_ended (gpointer data, int status)
{
  SeeddGraph *graph = data;

  forget_process (graph);
  if (graph->state == SEEDD_STOPPING) {
    stopped (graph);
  } else if (graph->refusal && !graph->kill_reason && can_fall_back (graph)) {
    fall_back (graph);
  } else if (graph->refusal && !graph->kill_reason) {
    seedd_log (LOG_ERR, graph->name, "the graph is not started: %s", graph->refusal);
    seedd_graph_event (graph, "invalid", graph->refusal, NULL);
    set_state (graph, SEEDD_INVALID, graph->refusal);
  } else if (WIFEXITED (status) && WEXITSTATUS (status) == 0 &&
             g_strcmp0 (graph->end_result, "done") == 0) {
    seedd_log (LOG_INFO, graph->name, "finished: its sources ended");
    seedd_graph_event (graph, "finished", "its sources ended", NULL);
    graph->backoff_s = graph->context->config->backoff_s;
    set_state (graph, SEEDD_FINISHED, "its sources ended");
  } else {
    crashed (graph, status);
  }
}

/* ---- its begin ---- */

static void
add (GPtrArray *argv, char *text)
{
  g_ptr_array_add (argv, text);
}

static GPtrArray *
make_arguments (const SeeddGraph *graph)
{
  const SeeddConfig *config = graph->context->config;
  const SeeddLimits *limits = graph->limits;
  GPtrArray *argv = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer key, value;

  add (argv, g_strdup (graph->context->seed_run));
  add (argv, g_strdup ("--quiet"));
  add (argv, g_strdup_printf ("--status-fd=%d", SEEDD_CHILD_STATUS_FD));
  add (argv, g_strdup_printf ("--status-interval=%d", (int) (config->heartbeat_s * 1000)));
  add (argv, g_strdup_printf ("--publish-base=ipc://%s/graphs/%s", config->runtime, graph->name));
  /* it gives up by itself a little earlier than it is killed, and says what it lost */
  add (argv, g_strdup_printf ("--drain=%d", (int) MAX (config->stop_limit_s * 0.8, 1)));
  add (argv, g_strdup_printf ("--threads=%" G_GINT64_FORMAT, limits->threads));
  if (limits->backend)
    add (argv, g_strdup_printf ("--backend=%s", limits->backend));
  g_hash_table_iter_init (&iter, limits->set);
  while (g_hash_table_iter_next (&iter, &key, &value))
    add (argv, g_strdup_printf ("--set=%s=%s", (char *) key, (char *) value));
  if (graph->fell_back)
    add (argv, g_strdup_printf ("--folder=%s", config->graphs));
  add (argv, g_strdup (graph->file->path));
  add (argv, NULL);
  return argv;
}

static void
reset (SeeddGraph *graph)
{
  g_clear_pointer (&graph->kill_reason, g_free);
  g_clear_pointer (&graph->refusal, g_free);
  g_clear_pointer (&graph->end_result, g_free);
  g_clear_pointer (&graph->end_reason, g_free);
  g_clear_pointer (&graph->pending_errors, g_free);
  g_clear_pointer (&graph->beat, json_object_unref);
  graph->started_us = graph->beat_us = graph->progress_us = g_get_monotonic_time ();
  graph->running_us = 0;
  graph->frames = 0;
}

/* Runs the last good copy of a file that has @errors. FALSE when there is none. */
static gboolean
load_copy (SeeddGraph *graph, const char *errors)
{
  SeeddFile *copy = graph->may_fall_back ? seedd_graph_load_copy (graph) : NULL;

  if (!copy)
    return FALSE;
  graph->pending_errors = g_strdup (errors); /* which may be those of the file that goes now */
  graph->fell_back = TRUE;
  seedd_file_free (graph->file);
  graph->file = copy;
  seedd_log (
      LOG_ERR, graph->name, "its last good file runs (%s): %s", copy->path, graph->pending_errors);
  seedd_graph_event (graph, "last-good", graph->pending_errors, NULL);
  return TRUE;
}

/* FALSE when the file cannot be run. @refusal: what its process says of it, or NULL. */
static gboolean
load (SeeddGraph *graph, const char *refusal)
{
  const SeeddConfig *config = graph->context->config;

  graph->fell_back = FALSE;
  if (refusal)
    return load_copy (graph, refusal);
  seedd_file_free (graph->file);
  graph->file = seedd_file_load (config->graphs, graph->name, graph->limits->set);
  if (!graph->file->errors || load_copy (graph, graph->file->errors))
    return TRUE;
  seedd_log (LOG_ERR, graph->name, "the graph is not started: %s", graph->file->errors);
  seedd_graph_event (graph, "invalid", graph->file->errors, NULL);
  set_state (graph, SEEDD_INVALID, graph->file->errors);
  return FALSE;
}

static void
spawn (SeeddGraph *graph)
{
  spawn_with (graph, NULL);
}

static void
spawn_with (SeeddGraph *graph, const char *refusal)
{
  static const SeeddChildCallbacks callbacks = { seedd_graph_on_output, seedd_graph_on_message,
    on_ended };
  g_autoptr (GPtrArray) argv = NULL;
  g_autoptr (GError) error = NULL;

  reset (graph);
  if (!load (graph, refusal))
    return;
  argv = make_arguments (graph);
  graph->child = seedd_child_spawn (
      (const char *const *) argv->pdata, (int) graph->limits->nice, &callbacks, graph, &error);
  if (!graph->child) {
    back_off (graph, SEEDD_CAUSE_SPAWN, error->message);
    return;
  }
  seedd_log (LOG_INFO, graph->name, "starting, pid %d", (int) seedd_child_pid (graph->child));
  set_state (graph, SEEDD_STARTING, NULL);
}

void
seedd_graph_set_running (SeeddGraph *graph)
{
  g_autoptr (JsonObject) details = json_object_new ();

  graph->running_us = graph->progress_us = g_get_monotonic_time ();
  if (graph->state != SEEDD_STARTING)
    return; /* it was told to stop meanwhile */
  seedd_log (LOG_INFO, graph->name, "running after %.2f s",
      (double) (graph->running_us - graph->started_us) / G_USEC_PER_SEC);
  json_object_set_int_member (details, "pid", seedd_child_pid (graph->child));
  json_object_set_int_member (details, "restarts", graph->restarts);
  seedd_graph_event (graph, "started", NULL, details);
  if (!graph->fell_back)
    seedd_graph_keep_copy (graph);
  seedd_streams_restore (graph);
  set_state (graph, SEEDD_RUNNING, NULL);
}

/* ---- orders ---- */

static void
end_backoff (SeeddGraph *graph)
{
  if (graph->backoff_timer)
    g_source_remove (graph->backoff_timer);
  graph->backoff_timer = 0;
  graph->backoff_s = graph->context->config->backoff_s;
}

static void
start (SeeddGraph *graph, gboolean may_fall_back)
{
  graph->wanted = TRUE;
  graph->may_fall_back = may_fall_back;
  if (graph->state == SEEDD_STOPPING) {
    graph->start_again = TRUE;
    return;
  }
  if (graph->child)
    return;
  end_backoff (graph);
  spawn (graph);
}

void
seedd_graph_begin (SeeddGraph *graph)
{
  start (graph, TRUE);
}

void
seedd_graph_start (SeeddGraph *graph)
{
  start (graph, FALSE);
}

static void
end_process (SeeddGraph *graph)
{
  if (graph->state == SEEDD_STOPPING)
    return;
  graph->stop_us = g_get_monotonic_time ();
  seedd_child_signal (graph->child, SIGTERM);
  set_state (graph, SEEDD_STOPPING, NULL);
}

void
seedd_graph_stop (SeeddGraph *graph)
{
  graph->wanted = FALSE;
  graph->start_again = FALSE;
  seedd_streams_forget (graph);
  end_backoff (graph);
  if (graph->child)
    end_process (graph);
  else if (graph->state != SEEDD_STOPPED)
    set_state (graph, SEEDD_STOPPED, NULL);
}

void
seedd_graph_restart (SeeddGraph *graph)
{
  graph->may_fall_back = FALSE;
  if (graph->child) {
    graph->wanted = graph->start_again = TRUE;
    end_process (graph);
  } else {
    seedd_graph_start (graph);
  }
}

void
seedd_graph_adopt (SeeddGraph *graph, SeeddFile *file)
{
  seedd_file_free (graph->file);
  graph->file = file;
  graph->fell_back = FALSE;
  seedd_graph_keep_copy (graph);
  seedd_streams_note_file (graph);
  seedd_graph_set_pending_errors (graph, NULL);
}

void
seedd_graph_set_pending_errors (SeeddGraph *graph, const char *errors)
{
  if (errors && g_strcmp0 (errors, graph->pending_errors) != 0) {
    seedd_log (LOG_ERR, graph->name, "the changed file is not taken over: %s", errors);
    seedd_graph_event (graph, "reload-refused", errors, NULL);
  }
  g_free (graph->pending_errors);
  graph->pending_errors = g_strdup (errors);
  graph->context->changed (graph->context->data);
}

/* ---- watching ---- */

static double
seconds_since (gint64 us)
{
  return (double) (g_get_monotonic_time () - us) / G_USEC_PER_SEC;
}

static void
check_clock (SeeddGraph *graph)
{
  const SeeddConfig *config = graph->context->config;

  if (graph->state == SEEDD_STOPPING) {
    if (seconds_since (graph->stop_us) > config->stop_limit_s)
      seedd_graph_kill (
          graph, SEEDD_CAUSE_STOP_LIMIT, "not stopped within %g s", config->stop_limit_s);
    return;
  }
  if (seconds_since (graph->beat_us) > config->hang_s)
    seedd_graph_kill (graph, SEEDD_CAUSE_HANG, "hangs: no heartbeat for %g s", config->hang_s);
  else if (graph->state == SEEDD_STARTING &&
           seconds_since (graph->started_us) > config->start_limit_s)
    seedd_graph_kill (
        graph, SEEDD_CAUSE_START_LIMIT, "does not play within %g s", config->start_limit_s);
  else if (!seedd_graph_makes_progress (graph))
    seedd_graph_kill (graph, SEEDD_CAUSE_STALL, "no frame for %g s", graph->limits->stall_s);
}

void
seedd_graph_tick (SeeddGraph *graph, gboolean late)
{
  if (!graph->child)
    return;
  seedd_graph_expire_requests (graph);
  seedd_streams_tick (graph);
  graph->memory = seedd_child_memory (graph->child);
  if (graph->limits->memory && graph->memory > graph->limits->memory)
    seedd_graph_kill (graph, SEEDD_CAUSE_MEMORY,
        "takes %" G_GINT64_FORMAT " MiB of memory, allowed are %" G_GINT64_FORMAT " MiB",
        graph->memory >> 20, graph->limits->memory >> 20);
  if (late)
    graph->beat_us = graph->progress_us = g_get_monotonic_time ();
  else
    check_clock (graph);
}

gboolean
seedd_graph_makes_progress (const SeeddGraph *graph)
{
  return graph->state != SEEDD_RUNNING || graph->limits->stall_s == 0 ||
         seconds_since (graph->progress_us) <= graph->limits->stall_s;
}

char *
seedd_graph_why_silent (const SeeddGraph *graph, double limit_s)
{
  double beat_s = seconds_since (graph->beat_us), frame_s = seconds_since (graph->progress_us);
  double late_s = MAX (4 * graph->context->config->heartbeat_s, 2);
  double stall_s = graph->limits->stall_s;

  if (graph->state != SEEDD_RUNNING)
    return NULL;
  if (beat_s > late_s)
    return g_strdup_printf ("no heartbeat for %.1f s", beat_s);
  if (stall_s > 0 && graph->frames == 0)
    return g_strdup ("no frame yet");
  if (stall_s > 0 && frame_s > MIN (limit_s, stall_s))
    return g_strdup_printf ("no frame for %.1f s", frame_s);
  return NULL;
}

void
seedd_graph_wait (SeeddGraph *graph, void (*done) (gpointer data, SeeddGraph *graph), gpointer data)
{
  const Waiter waiter = { done, data };

  g_array_append_val (graph->waiters, waiter);
  settle_waiters (graph);
}

/* ---- life ---- */

SeeddGraph *
seedd_graph_new (const SeeddContext *context, const char *name)
{
  SeeddGraph *graph = g_new0 (SeeddGraph, 1);

  graph->refs = 1;
  graph->context = context;
  graph->name = g_strdup (name);
  graph->reason = g_strdup ("");
  graph->limits = seedd_config_limits (context->config, name);
  graph->backoff_s = context->config->backoff_s;
  graph->streams = seedd_streams_new ();
  graph->requests = seedd_graph_new_requests ();
  graph->waiters = g_array_new (FALSE, FALSE, sizeof (Waiter));
  g_queue_init (&graph->lines);
  return graph;
}

SeeddGraph *
seedd_graph_ref (SeeddGraph *graph)
{
  graph->refs++;
  return graph;
}

void
seedd_graph_unref (SeeddGraph *graph)
{
  if (--graph->refs > 0)
    return;
  if (graph->backoff_timer)
    g_source_remove (graph->backoff_timer);
  if (graph->child)
    forget_process (graph);
  graph->state = SEEDD_STOPPED;
  settle_waiters (graph);
  reset (graph);
  seedd_file_free (graph->file);
  g_queue_clear_full (&graph->lines, g_free);
  seedd_streams_free (graph->streams);
  g_hash_table_unref (graph->requests);
  g_array_unref (graph->waiters);
  g_free (graph->reason);
  g_free (graph->name);
  g_free (graph);
}

const char *
seedd_graph_name (const SeeddGraph *graph)
{
  return graph->name;
}

SeeddState
seedd_graph_state (const SeeddGraph *graph)
{
  return graph->state;
}

const char *
seedd_graph_reason (const SeeddGraph *graph)
{
  return graph->reason;
}

gboolean
seedd_graph_is_wanted (const SeeddGraph *graph)
{
  return graph->wanted;
}

const SeeddFile *
seedd_graph_file (const SeeddGraph *graph)
{
  return graph->file;
}
