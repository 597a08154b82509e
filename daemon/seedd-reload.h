/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-checker.h"
#include "seedd-graph.h"

G_BEGIN_DECLS

/** One look at files that may have changed, and what came of it; see seedd_supervisor_reload. */
typedef struct _SeeddReload SeeddReload;

SeeddReload *seedd_reload_new (
    const SeeddContext *context, void (*done) (gpointer data, JsonArray *results), gpointer data);
/** Calls `done` once every graph that was begun has come to its result. */
void seedd_reload_unref (SeeddReload *reload);

/** Notes a result. @errors may be NULL. */
void
seedd_reload_note (SeeddReload *reload, const char *graph, const char *result, const char *errors);

/** Looks at the file of @graph, which has one. */
void seedd_reload_graph (SeeddReload *reload, SeeddGraph *graph, SeeddChecker *checker);

G_END_DECLS
