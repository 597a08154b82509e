/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/**
 * The Prometheus text format 0.0.4, written from what `status` and `stats` tell. docs/metrics.md
 * says every family to operators. Pure; not thread-safe.
 *
 * Bounded whatever the graphs say: SEEDD_METRICS_MAX_STREAMS streams of a graph have series of
 * their own, the rest is added up as the stream "_other" (no stream can be called so); no more than
 * SEEDD_METRICS_MAX_SERIES series are written, what is left out is counted in one of them.
 */
typedef struct _SeeddMetrics SeeddMetrics;

#define SEEDD_METRICS_MAX_STREAMS 256u
#define SEEDD_METRICS_MAX_SERIES 50000u
#define SEEDD_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

SeeddMetrics *seedd_metrics_new (void);
void seedd_metrics_free (SeeddMetrics *metrics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeeddMetrics, seedd_metrics_free)

/** The daemon itself: what `status` says without its graphs. */
void seedd_metrics_add_daemon (SeeddMetrics *metrics, JsonObject *status);
/** A graph: what `status GRAPH` says, and `stats GRAPH` (NULL: it does not run or did not answer).
 */
void seedd_metrics_add_graph (SeeddMetrics *metrics, JsonObject *status, JsonObject *stats);

/** The whole text. Families without a sample are left out. Caller frees. */
char *seedd_metrics_to_text (const SeeddMetrics *metrics);

G_END_DECLS
