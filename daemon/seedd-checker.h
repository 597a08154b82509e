/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-graph.h"

G_BEGIN_DECLS

/**
 * Asks `seed-run --check` about graph files, one after the other: models load in there, and a file
 * that crashes it or makes it hang does no harm. Main thread.
 */
typedef struct _SeeddChecker SeeddChecker;

#define SEEDD_CHECKER_MAX_WAITING 256u
#define SEEDD_CHECKER_MAX_ERRORS (64 * 1024) /* bytes kept of what it says */

SeeddChecker *seedd_checker_new (const SeeddContext *context);
/** What waits is answered: not checked. */
void seedd_checker_free (SeeddChecker *checker);

/** @errors: NULL when the graph is good. */
typedef void (*SeeddChecked) (gpointer data, const char *errors);

void seedd_checker_run (
    SeeddChecker *checker, const char *graph, const char *path, SeeddChecked done, gpointer data);

G_END_DECLS
