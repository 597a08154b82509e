/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-metrics.h"

/* What seedd-metrics.c (families and text) and seedd-metrics-json.c (what is read) share. */

typedef enum {
  SEEDD_BUILD_INFO,
  SEEDD_UPTIME,
  SEEDD_PROCESS_RSS,
  SEEDD_PROCESS_FDS,
  SEEDD_SUBSCRIBERS,
  SEEDD_SUBSCRIPTIONS,
  SEEDD_REFUSALS,
  SEEDD_RECEIVED,
  SEEDD_SENT,
  SEEDD_DROPPED,
  SEEDD_SET_ASIDE,
  SEEDD_GRAPH_STATE,
  SEEDD_GRAPH_ENABLED,
  SEEDD_GRAPH_UPTIME,
  SEEDD_GRAPH_RESTARTS,
  SEEDD_GRAPH_FILE_ERRORS,
  SEEDD_GRAPH_LAST_GOOD,
  SEEDD_GRAPH_STATS_UP,
  SEEDD_GRAPH_RSS,
  SEEDD_GRAPH_HEARTBEAT_AGE,
  SEEDD_STREAM_STATE,
  SEEDD_STREAM_FPS,
  SEEDD_STREAM_AGE,
  SEEDD_STREAM_OUTAGES,
  SEEDD_FRAMES,
  SEEDD_IN_FLIGHT,
  SEEDD_QUEUE_LEVEL,
  SEEDD_QUEUE_CAPACITY,
  SEEDD_QUEUE_PEAK,
  SEEDD_BUSY,
  SEEDD_BUFFERS,
  SEEDD_LATENCY,
  SEEDD_TRAIN_STEP,
  SEEDD_TRAIN_LOSS,
  SEEDD_PUBLISH_DROPPED,
  SEEDD_SERIES_LEFT_OUT,
  SEEDD_N_FAMILIES,
} SeeddFamily;

typedef struct {
  const char *name, *value;
} SeeddLabel;

/* Adds to the series of @family with these @labels (ending with a NULL name, those with a NULL
 * value are left out), which begins with 0. @suffix: "", or of a histogram's series "_bucket",
 * "_sum",
 * "_count". A @value that is not finite is left out. */
void seedd_metrics_add (SeeddMetrics *metrics, SeeddFamily family, const char *suffix,
    const SeeddLabel *labels, double value);
