/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <json-glib/json-glib.h>
#include <seed/ledger.h>

/*
 * The pipeline's part of a health message: "elements", an array with an object for @element and
 * every element beside it, under the same top-level bin, that keeps a ledger: element, factory,
 * busy (see seed_health_set_busy), in, out, dropped (totals, by reason) and streams (the same per
 * stream, and in_flight). @with_streams FALSE leaves the streams out and sets "streams_omitted",
 * for pipelines whose account is larger than a header. Safe from any thread.
 */
void seed_health_set_elements (JsonObject *data, GstElement *element, gboolean with_streams);

/* @name: { count, mean_ns, p50_ns, p99_ns, max_ns } of what @ledger's busy times measure. */
void seed_health_set_busy (JsonObject *data, const char *name, SeedLedger *ledger);

/* "rss_bytes": resident memory of the process. */
void seed_health_set_memory (JsonObject *data);
