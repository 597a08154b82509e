/* SPDX-License-Identifier: MIT */
#pragma once

#include <syslog.h>

#include <glib.h>

G_BEGIN_DECLS

/**
 * systemd's journal by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram an
 * entry, so that what a line is about can be asked for, as in "journalctl STREAM=door". Used where
 * standard error is the journal already; anywhere else lines stay lines.
 */

#define SEED_JOURNAL_SOCKET "/run/systemd/journal/socket"

typedef struct {
  const char *name;  /* as in "GRAPH" */
  const char *value; /* NULL: the field is left out */
} SeedJournalField;

/** Whether standard error is the stream that JOURNAL_STREAM names (sd_journal_stream_fd(3)). */
gboolean seed_journal_is_stderr (void);

/** What is sent for @fields: "NAME=value" lines, a value with line breaks as its length (64 bits,
 * little-endian) and itself. Caller unrefs. Any thread. */
GBytes *seed_journal_serialize (const SeedJournalField *fields, guint n);

/** FALSE when the entry could not be handed over as a whole (no journal there, too large, its queue
 * is full): say it on standard error then. Never waits. Any thread. */
gboolean seed_journal_send (const char *path, const SeedJournalField *fields, guint n);

/** The same for one line of @identifier ("seedd") at @priority (LOG_ERR, ...), about @graph, @stage
 * and @stream (each may be NULL). */
gboolean seed_journal_say (int priority, const char *identifier, const char *graph,
    const char *stage, const char *stream, const char *text);

G_END_DECLS
