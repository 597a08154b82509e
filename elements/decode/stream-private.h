/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/stream-meta.h>

#include "decode/meter.h"
#include "decode/ratecap.h"
#include "decode/stream.h"
#include "decode/timeline.h"

/* Shared by the two files of a stream: stream.c (what it does, and what others ask of it) and
 * stream-frames.c (what its sessions hand on). */
struct _SeedDecodeStream {
  gatomicrefcount refs;
  SeedStreamSpec *spec;
  guint n_queued;
  SeedLedger *ledger;
  SeedLane *lane;

  GMutex lock;                         /* taken before the lanes' own */
  SeedDecodeStreamCallbacks callbacks; /* data NULL: shut down */
  SeedStreamMachine machine;
  char *reason;     /* why it is not up, or is over; never NULL */
  char *last_error; /* or NULL */
  gboolean keep;    /* see seed_lane_close */
  GstState state;   /* PAUSED or PLAYING */

  SeedDecodeSession *session; /* what others say is not listened to; a reference */
  guint epoch;                /* of the lane, of that session */
  GPtrArray *left;            /* sessions to be taken down */
  guint n_closing;            /* those, and those that are being taken down */
  gint64 closing_since_ms;
  GCond all_closed;
  gboolean wants_session, is_shut;
  guint parts;    /* see SeedDecodePart */
  guint n_acting; /* threads that are doing what the machine asked for */

  gboolean live;
  guint passes, complete; /* sessions opened; those that came to the end of the source */
  guint decode_errors;
  guint64 n_decoded, n_thinned, n_kept, n_source_times;
  guint64 session_frames;
  gint64 last_frame_ms; /* -1: never */
  SeedRateCap cap;
  SeedTimeline timeline;
  SeedMeter fps_in, fps_out;
  GstCaps *caps;
  char *codec;
  GstBuffer *last_buffer; /* delivered */
  GstCaps *last_caps;
  GThread *thread; /* that counts busy time */
  gint64 thread_cpu_ns;
};

/* Without data. */
extern const SeedSessionCallbacks seed_decode_stream_session_callbacks;

gint64 seed_decode_now_ms (void);

/* Takes the lock as held and gives it back. @reason: of an input that ends or fails, else NULL. */
void seed_decode_stream_feed (SeedDecodeStream *self, SeedStreamInput input, const char *reason);
