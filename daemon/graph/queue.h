/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/ledger.h>

#include "graph/graph.h"

G_BEGIN_DECLS

/**
 * The bounded queue in front of every input of a graph: a thread boundary that keeps a ledger.
 *
 * Unlike GStreamer's own queue it counts what it drops per stream, exactly and at the moment it
 * happens, and it drops buffers alone: events keep their place, so none is lost with a frame.
 * in = out + dropped + held at any moment; what is held when it stops or is flushed is dropped as
 * SEED_DROP_FLUSHED. A buffer refused because downstream has ended never came in.
 */
#define SEED_TYPE_GRAPH_QUEUE (seed_graph_queue_get_type ())
G_DECLARE_FINAL_TYPE (SeedGraphQueue, seed_graph_queue, SEED, GRAPH_QUEUE, GstElement)

/** @frames: buffers it holds, at least 1; @leak: not SEED_LEAK_UNSET. Pads "sink" and "src".
 * Floating. */
GstElement *seed_graph_queue_new (const char *name, guint frames, SeedLeak leak);

/** Lives as long as the queue. */
SeedLedger *seed_graph_queue_ledger (SeedGraphQueue *queue);

guint seed_graph_queue_frames (SeedGraphQueue *queue);
SeedLeak seed_graph_queue_leak (SeedGraphQueue *queue);

/** Buffers it holds now, and the most it ever held. */
guint seed_graph_queue_level (SeedGraphQueue *queue, guint *peak);

/**
 * Refuses and discards everything until the queue is restarted. Call it on all queues before a
 * pipeline is stopped early: a source that waits in a full queue holds the lock that the event
 * which ends it waits for, and that event holds the one a state change needs.
 */
void seed_graph_queue_abort (SeedGraphQueue *queue);

G_END_DECLS
