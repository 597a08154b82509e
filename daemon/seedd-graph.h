/* SPDX-License-Identifier: MIT */
#pragma once

#include "rpc.h"
#include "seedd-config.h"
#include "seedd-file.h"
#include "seedd-proxy.h"

G_BEGIN_DECLS

/**
 * One graph under supervision: its file, its process, and what to do when that ends. Everything
 * happens in the main thread.
 *
 *     stopped -> starting -> running -> stopping -> stopped
 *                   |           |
 *                   |           +-> finished      its sources ended
 *                   +-> invalid |                 its file has errors; waits for another file
 *                   +-----------+-> backing-off   it crashed, hung or grew too large; starts again
 */
typedef enum {
  SEEDD_STOPPED,
  SEEDD_STARTING,
  SEEDD_RUNNING,
  SEEDD_STOPPING,
  SEEDD_BACKING_OFF,
  SEEDD_INVALID,
  SEEDD_FINISHED,
} SeeddState;

const char *seedd_state_name (SeeddState state);

/** What the graphs of a daemon share. Outlives them. */
typedef struct {
  const SeeddConfig *config;
  const char *seed_run; /* path of the program */
  SeeddProxy *proxy;
  void (*changed) (gpointer data); /* a graph has another state */
  gpointer data;
} SeeddContext;

typedef struct _SeeddGraph SeeddGraph;

SeeddGraph *seedd_graph_new (const SeeddContext *context, const char *name);
SeeddGraph *seedd_graph_ref (SeeddGraph *graph);
/** The last one kills a process that still runs. */
void seedd_graph_unref (SeeddGraph *graph);

const char *seedd_graph_name (const SeeddGraph *graph);
SeeddState seedd_graph_state (const SeeddGraph *graph);
/** Why it is in that state, or "". */
const char *seedd_graph_reason (const SeeddGraph *graph);
/** Whether it is meant to run. */
gboolean seedd_graph_is_wanted (const SeeddGraph *graph);
/** What runs, or ran last; NULL before. */
const SeeddFile *seedd_graph_file (const SeeddGraph *graph);

/** Starts it unless it runs; at once also when it backs off. */
void seedd_graph_start (SeeddGraph *graph);
/** SIGTERM, and SIGKILL after the limit. */
void seedd_graph_stop (SeeddGraph *graph);
void seedd_graph_restart (SeeddGraph *graph);

/** The running process has been made to match @file; takes it. */
void seedd_graph_adopt (SeeddGraph *graph, SeeddFile *file);
/** Errors of a file that was not taken over, or NULL when there is none such (any more). */
void seedd_graph_set_pending_errors (SeeddGraph *graph, const char *errors);

/** Publishes an event of this graph. */
void
seedd_graph_event (SeeddGraph *graph, const char *event, const char *reason, JsonObject *details);

/** To be called a few times a second: heartbeats, memory, limits. @late: the daemon itself was held
 * up, so nobody is to be judged by the clock. */
void seedd_graph_tick (SeeddGraph *graph, gboolean late);

/** FALSE when it should give out frames and does not. */
gboolean seedd_graph_makes_progress (const SeeddGraph *graph);

/** Exactly one of @result and @error is set; both are borrowed. */
typedef void (*SeeddReply) (gpointer data, JsonNode *result, const GError *error);

/** Asks the process. @params borrowed, may be NULL. */
void seedd_graph_request (
    SeeddGraph *graph, const char *method, JsonObject *params, SeeddReply reply, gpointer data);

/** Calls @done once the graph is neither starting nor stopping; at once when it is so now. */
void seedd_graph_wait (
    SeeddGraph *graph, void (*done) (gpointer data, SeeddGraph *graph), gpointer data);

/** What `list` (@full FALSE) and `status` tell. Caller unrefs. */
JsonObject *seedd_graph_describe (const SeeddGraph *graph, gboolean full);

G_END_DECLS
