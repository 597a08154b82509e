/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/ledger.h>

#include "decode/lanes.h"
#include "decode/streams.h"

G_BEGIN_DECLS

/*
 * One stream of seeddecode: a bin that plays a URI and puts the frames of its first video stream,
 * as items { GstBuffer, GstCaps }, on a lane. Nothing that goes wrong inside leaves it: the stream
 * ends, its lane is closed and its owner is told.
 *
 * The owner sets its state and calls restart, one call at a time; the rest is thread-safe.
 */
#define SEED_TYPE_DECODE_STREAM (seed_decode_stream_get_type ())
G_DECLARE_FINAL_TYPE (SeedDecodeStream, seed_decode_stream, SEED, DECODE_STREAM, GstBin)

/* What a stream hands on; other formats are converted to the nearest of these. */
#define SEED_DECODE_CAPS                                                                           \
  "video/x-raw, format=(string){ I420, NV12, RGB, BGR, RGBx, GRAY8 }, width=(int)[ 1, 16384 ], "   \
  "height=(int)[ 1, 16384 ], framerate=(fraction)[ 0/1, 2147483647/1 ]"

typedef enum {
  SEED_DECODE_STARTING, /* no frame yet */
  SEED_DECODE_UP,
  SEED_DECODE_ENDED,
  SEED_DECODE_FAILED,
} SeedDecodeState;

/* Called from any thread, the stream's own among them: they must not wait for the stream. */
typedef struct {
  /* It has ended or failed; once in its life. */
  void (*over) (SeedDecodeStream *stream, gpointer data);
  /* It wants seed_decode_stream_restart called, from a thread that is not its own. */
  void (*again) (SeedDecodeStream *stream, gpointer data);
  gpointer data;
} SeedDecodeCallbacks;

/* A floating reference. @lanes must live as long; lane @index is the stream's. @max_fps: 0 for all.
 * @n_queued: frames the lane holds, which a decoder with a fixed set of buffers must be told. */
SeedDecodeStream *seed_decode_stream_new (const SeedStreamSpec *spec, SeedLanes *lanes, guint index,
    guint n_queued, SeedLedger *ledger, const SeedDecodeCallbacks *callbacks);

const char *seed_decode_stream_get_id (SeedDecodeStream *self);

/* Builds the inside anew and takes it to the stream's state. Frame numbers and times go on. */
void seed_decode_stream_restart (SeedDecodeStream *self);

/* Ends the stream in good order: what is queued is still delivered. */
void seed_decode_stream_end (SeedDecodeStream *self, const char *reason);

/* @reason (may be NULL): why it is over, "" while it is not; free with g_free. */
SeedDecodeState seed_decode_stream_get_state (SeedDecodeStream *self, char **reason);

/* Frames put on the lane so far. */
guint64 seed_decode_stream_get_kept (SeedDecodeStream *self);

/* Known once the stream is PAUSED. */
gboolean seed_decode_stream_is_live (SeedDecodeStream *self);

/* "stream": state, live, frames, passes, decode-errors, reason, caps */
GstStructure *seed_decode_stream_get_stats (SeedDecodeStream *self);

/* The pad its frames come to: queries and upstream events go through it. */
GstPad *seed_decode_stream_peek_pad (SeedDecodeStream *self);

G_END_DECLS
