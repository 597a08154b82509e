/* SPDX-License-Identifier: MIT */
#pragma once

#include <syslog.h>

#include <glib.h>

G_BEGIN_DECLS

/**
 * What seedd says, one line each, on standard error: "seedd: GRAPH: text". Under systemd (standard
 * error is the stream that JOURNAL_STREAM names) a line begins with its priority, "<3>", as
 * sd-daemon(3) has it. Main thread.
 */
void seedd_log_init (void);

/** @priority: LOG_ERR, LOG_WARNING, LOG_INFO, ... @graph: NULL for what concerns none. */
void seedd_log (int priority, const char *graph, const char *format, ...) G_GNUC_PRINTF (3, 4);

G_END_DECLS
