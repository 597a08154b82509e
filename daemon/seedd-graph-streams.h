/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-graph.h"

G_BEGIN_DECLS

/**
 * What operators changed of a graph's streams while it ran. The file knows nothing of it, so the
 * changes are made again in every process that takes the place of another: after a crash, a restart
 * by order, another file. What the new process refuses is tried for a while, then told: a warning,
 * an event `stream-lost`, and the status. Forgotten when the graph is stopped, and with the daemon.
 *
 * A file that is another than before is a new word of the operator: streams of it that were removed
 * are there again, and one that has got the name of an added stream takes its place.
 */
typedef struct _SeeddStreams SeeddStreams;

SeeddStreams *seedd_streams_new (void);
void seedd_streams_free (SeeddStreams *streams);

/** Asks the process for "stream-add" or "stream-remove" as seedd_graph_request does, and keeps what
 * it did. Removing a stream that is still to be added again forgets it. */
void seedd_streams_request (
    SeeddGraph *graph, const char *method, JsonObject *params, SeeddReply reply, gpointer data);

/** The process that runs now is a new one: all changes are to be made again. */
void seedd_streams_restore (SeeddGraph *graph);
/** The process has been made to match its file as that is now. */
void seedd_streams_note_file (SeeddGraph *graph);
/** Makes those changes whose time has come. To be called a few times a second. */
void seedd_streams_tick (SeeddGraph *graph);
void seedd_streams_forget (SeeddGraph *graph);

/** [{stream, node, change: added|removed|replaced, state: done|pending|lost, reason}]; URIs may
 * hold passwords and are not in it. Caller unrefs. */
JsonArray *seedd_streams_describe (const SeeddGraph *graph);

G_END_DECLS
