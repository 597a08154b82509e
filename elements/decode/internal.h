/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "decode/outlet.h"
#include "decode/stream.h"

/* Shared by the two files of the element: seeddecode.c (properties, streams, states) and delivery.c
 * (the task that takes frames from the lanes to the pad). */
#define SEED_TYPE_DECODE (seed_decode_get_type ())
G_DECLARE_FINAL_TYPE (SeedDecode, seed_decode, SEED, DECODE, GstBin)

struct _SeedDecode {
  GstBin parent;

  GstPad *src;
  SeedLedger *ledger;

  /* properties, under the object lock */
  char *uri, *stream, *streams;
  double max_fps;
  gboolean deterministic;

  GPtrArray *specs;   /* READY and above */
  SeedLanes *lanes;   /* PAUSED and above, as are the streams */
  GPtrArray *running; /* of SeedDecodeStream, index = lane; replaced under the object lock */
  gboolean open;      /* under the state lock */
  gint n_alive;       /* atomic: streams that are not over */

  /* the task's */
  SeedOutlet *outlet;
  gboolean is_over;
  GArray *is_up; /* gboolean, by lane */
  guint64 n_delivered;
};

GST_DEBUG_CATEGORY_EXTERN (seed_decode_debug);

/* The pad's task. */
void seed_decode_push_loop (gpointer self);

/* Counts and drops what waits on the lanes; the task is not running. */
void seed_decode_drop_queued (SeedDecode *self);

/* A flush asked for from outside, under the state lock: what is queued is dropped, streams go on.
 */
void seed_decode_flush_start (SeedDecode *self);
void seed_decode_flush_stop (SeedDecode *self, gboolean reset_time);
