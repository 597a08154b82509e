/* SPDX-License-Identifier: MIT */
#pragma once

#include <syslog.h>

#include <glib.h>

G_BEGIN_DECLS

/**
 * What seedd says, one line each, on standard error: "seedd: GRAPH: text". Under systemd (standard
 * error is the stream that JOURNAL_STREAM names) it goes to the journal with the fields GRAPH,
 * STAGE and STREAM, and where the journal does not take entries, to standard error with its
 * priority before it, "<3>", as sd-daemon(3) has it. Main thread; seedd_log in any, once it has
 * run.
 */
void seedd_log_init (void);

/** @priority: LOG_ERR, LOG_WARNING, LOG_INFO, ... @graph: NULL for what concerns none. */
void seedd_log (int priority, const char *graph, const char *format, ...) G_GNUC_PRINTF (3, 4);

/** The same of a stage and a stream of the graph; each may be NULL. */
void seedd_log_about (
    int priority, const char *graph, const char *stage, const char *stream, const char *text);

G_END_DECLS
