/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-child.h"
#include "seedd-graph.h"

/* What seedd-graph.c (states), seedd-graph-talk.c (the process's messages) and seedd-graph-status.c
 * (what is told of it) share. */

#define SEEDD_MAX_LINES 20u    /* warnings and errors of a process that are kept */
#define SEEDD_MAX_REQUESTS 64u /* to one process, unanswered */
#define SEEDD_REQUEST_LIMIT_S 15

struct _SeeddGraph {
  guint refs;
  const SeeddContext *context;
  char *name;
  const SeeddLimits *limits;
  SeeddState state;
  gboolean wanted;
  gboolean start_again; /* once it has stopped */
  char *reason;
  SeeddFile *file;
  char *pending_errors;

  SeeddChild *child;
  char *kill_reason; /* why seedd killed it */
  char *refusal;     /* what seed-run says of its file */
  char *end_result, *end_reason;
  JsonObject *beat;                       /* params of the last heartbeat, or NULL */
  gint64 started_us, running_us, beat_us; /* monotonic */
  gint64 frames, progress_us;
  gint64 stop_us; /* when it was told to stop */
  gint64 memory;
  GQueue lines; /* char * */

  double backoff_s;
  guint backoff_timer;
  gint64 retry_us; /* monotonic, when the timer fires */
  guint restarts;

  GHashTable *requests; /* id -> Request */
  gint64 next_id;
  GArray *waiters; /* Waiter */
};

/* Kills the process for @format; it is started again as after a crash. */
void seedd_graph_kill (SeeddGraph *graph, const char *format, ...) G_GNUC_PRINTF (2, 3);
/* The process plays. */
void seedd_graph_set_running (SeeddGraph *graph);

/* Callbacks of the process, and the end of what it was asked. */
void seedd_graph_on_output (gpointer data, const char *line);
void seedd_graph_on_message (gpointer data, const SeedRpcMessage *message);
void seedd_graph_fail_requests (SeeddGraph *graph, const char *why);
void seedd_graph_expire_requests (SeeddGraph *graph);
GHashTable *seedd_graph_new_requests (void);
