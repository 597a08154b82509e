/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-checker.h"
#include "seedd-graph.h"

G_BEGIN_DECLS

/**
 * All graphs of the folder: finds their files, starts those that are enabled, follows changes of
 * the folder, stops them. Main thread.
 */
typedef struct _SeeddSupervisor SeeddSupervisor;

/** @context outlives it. */
SeeddSupervisor *seedd_supervisor_new (const SeeddContext *context);
/** Kills what still runs. NULL is fine. */
void seedd_supervisor_free (SeeddSupervisor *supervisor);

/** Reads the folder, starts enabled graphs in their order, and begins to watch the folder. */
void seedd_supervisor_begin (SeeddSupervisor *supervisor);

/** In the order of their names: SeeddGraph. Caller unrefs. */
GPtrArray *seedd_supervisor_graphs (SeeddSupervisor *supervisor);
/** NULL when there is none; a file that has just appeared counts. */
SeeddGraph *seedd_supervisor_find (SeeddSupervisor *supervisor, const char *name);

/**
 * Looks at the files again: of one graph, or (@name NULL) of all. A running graph whose file has
 * changed is checked first; then a change of properties that may change while it plays is made
 * there, any other restarts it, and an invalid file leaves it as it is. @done (may be NULL) gets an
 * array of {graph, result, errors}; result is one of unchanged, applied, restarted, started,
 * removed, invalid, added (but not enabled).
 */
void seedd_supervisor_reload (SeeddSupervisor *supervisor, const char *name,
    void (*done) (gpointer data, JsonArray *results), gpointer data);

/** seedd_checker_run of a graph's file. */
void seedd_supervisor_check (
    SeeddSupervisor *supervisor, SeeddGraph *graph, SeeddChecked done, gpointer data);

/** Stops all graphs at once; @done when the last has stopped. Nothing is started any more. */
void
seedd_supervisor_stop (SeeddSupervisor *supervisor, void (*done) (gpointer data), gpointer data);

G_END_DECLS
