/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "decode/outlet.h"
#include "decode/stream.h"

/* Shared by the files of the element: seeddecode.c (properties, signals, states), control.c (the
 * streams of a running element), delivery.c (the task that takes frames from the lanes to the pad)
 * and source-pad.c (what is asked of the pad). */
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

  GMutex control;     /* of what follows; never held while something waits; before other locks */
  GPtrArray *specs;   /* of SeedStreamSpec; READY and above */
  gboolean open;      /* PAUSED and above */
  GstState target;    /* of the streams */
  SeedLanes *lanes;   /* changed when neither the task nor a stream runs */
  GPtrArray *running; /* of SeedDecodeStream; also under the object lock */

  GThread *minder; /* opens and closes sessions as the streams want it */
  GMutex minder_lock;
  GCond minder_cond;
  gboolean minder_is_due, minder_stops;

  /* the task's */
  SeedOutlet *outlet;
  gboolean is_over;
  GHashTable *said; /* SeedDecodeStream -> TRUE for up, FALSE for down, as it was last said */
  guint64 n_delivered;
};

GST_DEBUG_CATEGORY_EXTERN (seed_decode_debug);

/* --- control.c */

/* What the properties ask for. */
GPtrArray *seed_decode_read_specs (SeedDecode *self, GError **error);

/* A GPtrArray of the streams there are now, each with a reference; may be empty. */
GPtrArray *seed_decode_ref_running (SeedDecode *self);

/* Before PAUSED by what the properties say, after it as the sources say too. */
gboolean seed_decode_is_live (SeedDecode *self);

/* READY to PAUSED and back. Closing waits for sources that come down at once, and for no other. */
void seed_decode_open_streams (SeedDecode *self);
void seed_decode_close_streams (SeedDecode *self);

void seed_decode_set_streams_state (SeedDecode *self, GstState state);

/* The streams end where they are; what they have decoded is still delivered, then comes EOS. */
void seed_decode_drain (SeedDecode *self);

/* Actions; any thread, any state. What they return is the caller's: an error, or NULL. */
GError *seed_decode_add_stream (
    SeedDecode *self, const char *name, const char *uri, const GstStructure *options);
GError *seed_decode_remove_stream (SeedDecode *self, const char *name);
GstSample *seed_decode_snapshot (SeedDecode *self, const char *name);

/* The task has said that @stream ended. */
void seed_decode_stream_is_gone (SeedDecode *self, SeedDecodeStream *stream);

/* --- delivery.c */

/* The pad's task. */
void seed_decode_push_loop (gpointer self);

/* Counts and drops what waits on the lanes; the task is not running. */
void seed_decode_drop_queued (SeedDecode *self);

/* A flush asked for from outside, under the state lock: what is queued is dropped, streams go on.
 */
void seed_decode_flush_start (SeedDecode *self);
void seed_decode_flush_stop (SeedDecode *self, gboolean reset_time);

/* --- source-pad.c */

/* Sets up the pad src. */
void seed_decode_init_pad (SeedDecode *self);

gboolean seed_decode_send_event (GstElement *element, GstEvent *event);
