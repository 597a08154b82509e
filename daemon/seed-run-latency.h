/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>

#include "graph/build.h"

G_BEGIN_DECLS

/**
 * How old frames are when they reach the end of a graph: for every node that has no output
 * (publish, or a sink) and every stream, a histogram of the time from capture to the hand-over to
 * that node. Sending does not wait, so for publish this is the latency from capture to publication
 * less some microseconds. Frames without a capture time and repeats of remembered ones are not
 * counted.
 */
typedef struct _SeedRunLatency SeedRunLatency;

/** Streams counted apart at one node; the rest is the stream "-". */
#define SEED_RUN_LATENCY_MAX_STREAMS 256u

/** Looks at @pipeline's frames from now on; to be called before it plays. */
SeedRunLatency *seed_run_latency_new (const SeedPipeline *pipeline);
/** After the pipeline. NULL is fine. */
void seed_run_latency_free (SeedRunLatency *latency);

/** Adds an object {bounds_s, histograms: [{node, stream, counts, sum_s}]}. From any thread. */
void seed_run_latency_add_json (SeedRunLatency *latency, JsonBuilder *json);

G_END_DECLS
