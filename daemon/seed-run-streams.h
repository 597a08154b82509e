/* SPDX-License-Identifier: MIT */
#pragma once

#include "seed-run.h"

G_BEGIN_DECLS

/*
 * Streams of a graph that plays, on the action signals of the elements that have them (seeddecode).
 * Results are new, NULL with an error; main loop.
 */

/** {node, stream, uri, options}: node when several have streams. {node, stream}. */
JsonNode *seed_run_stream_add (SeedRun *run, JsonObject *params, GError **error);
/** {node, stream}: node when several have that stream. {node, stream}. */
JsonNode *seed_run_stream_remove (SeedRun *run, JsonObject *params, GError **error);
/** {node}: or all. [{node, stream, and what the element's stats say of it}]. */
JsonNode *seed_run_stream_list (SeedRun *run, JsonObject *params, GError **error);

/** The frame of @stream delivered last (see seeddecode's signal snapshot), or NULL. Caller unrefs.
 */
GstSample *seed_run_stream_sample (const SeedRun *run, const char *stream);

/** What an element says of its streams: fields named after them, structures. NULL when it has none
 * to tell of. Lives as long as @stats. */
const GstStructure *seed_run_stats_streams (const GstStructure *stats);

G_END_DECLS
