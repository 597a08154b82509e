/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-child.h"
#include "seedd-graph.h"
#include "seedd-graph-streams.h"

/* What seedd-graph.c (states), seedd-graph-talk.c (the process's messages) and seedd-graph-status.c
 * (what is told of it) share. */

#define SEEDD_MAX_LINES 20u    /* warnings and errors of a process that are kept */
#define SEEDD_MAX_REQUESTS 64u /* to one process, unanswered */
#define SEEDD_REQUEST_LIMIT_S 15

/* Why a graph was started again. */
typedef enum {
  SEEDD_CAUSE_SIGNAL,      /* ended by a signal that nobody here sent: a crash */
  SEEDD_CAUSE_EXIT,        /* ended by itself, with an error */
  SEEDD_CAUSE_HANG,        /* no heartbeat, or its main loop does not run */
  SEEDD_CAUSE_STALL,       /* no frames */
  SEEDD_CAUSE_MEMORY,      /* too much of it */
  SEEDD_CAUSE_START_LIMIT, /* did not play in time */
  SEEDD_CAUSE_STOP_LIMIT,  /* did not stop in time; then it is not started again */
  SEEDD_CAUSE_OUTSIDE,     /* stopped by somebody else */
  SEEDD_CAUSE_SPAWN,       /* its process could not be made */
  SEEDD_N_CAUSES,
} SeeddCause;

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
  SeeddCause kill_cause;
  char *refusal; /* what seed-run says of its file */
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
  SeeddCause cause; /* of the restart that comes */
  guint restarts_by[SEEDD_N_CAUSES];

  gboolean may_fall_back; /* a file with errors: the last good copy may run instead */
  gboolean fell_back;     /* it does; pending_errors says what the file has */

  SeeddStreams *streams; /* changed while it runs */

  GHashTable *requests; /* id -> Request */
  gint64 next_id;
  GArray *waiters; /* Waiter */
};

/* Kills the process for @format; it is started again as after a crash. */
void seedd_graph_kill (SeeddGraph *graph, SeeddCause cause, const char *format, ...)
    G_GNUC_PRINTF (3, 4);
/* The process plays. */
void seedd_graph_set_running (SeeddGraph *graph);

/* seedd-graph-copy.c: the last good file. Folder of copies; caller frees. */
char *seedd_graph_copies (const SeeddGraph *graph);
/* Keeps the file that plays. */
void seedd_graph_keep_copy (const SeeddGraph *graph);
/* The copy when there is one without errors, else NULL. Caller frees. */
SeeddFile *seedd_graph_load_copy (const SeeddGraph *graph);

/* Callbacks of the process, and the end of what it was asked. */
void seedd_graph_on_output (gpointer data, const char *line);
void seedd_graph_on_message (gpointer data, const SeedRpcMessage *message);
void seedd_graph_fail_requests (SeeddGraph *graph, const char *why);
void seedd_graph_expire_requests (SeeddGraph *graph);
GHashTable *seedd_graph_new_requests (void);
