/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "decode/stream-state.h"

G_BEGIN_DECLS

/*
 * One attempt at the source of a stream: a bin that plays a URI once and hands on the frames of its
 * first video stream. Nothing that goes wrong inside leaves it; its listener is told. It is never
 * started over: the next attempt is another session.
 *
 * Opening and closing a source can block for seconds (a network, a device); both are done in
 * threads of their own, and nothing here waits for them.
 */
#define SEED_TYPE_DECODE_SESSION (seed_decode_session_get_type ())
G_DECLARE_FINAL_TYPE (SeedDecodeSession, seed_decode_session, SEED, DECODE_SESSION, GstBin)

/* What a session hands on; other formats are converted to the nearest of these. */
#define SEED_DECODE_CAPS                                                                           \
  "video/x-raw, format=(string){ I420, NV12, RGB, BGR, RGBx, GRAY8 }, width=(int)[ 1, 16384 ], "   \
  "height=(int)[ 1, 16384 ], framerate=(fraction)[ 0/1, 2147483647/1 ]"

/* Called from the session's threads, without a lock. */
typedef struct {
  /* A frame came out of the decoder: whether it is wanted. In front of the converter, so that a
   * frame too many is never converted. */
  gboolean (*decoded) (SeedDecodeSession *session, GstBuffer *buffer, gpointer data);
  /* Takes @buffer; @running: its running time. In the thread of decoded, right after it. May wait.
   */
  GstFlowReturn (*frame) (SeedDecodeSession *session, GstBuffer *buffer, GstCaps *caps,
      GstClockTime running, gpointer data);
  void (*codec) (SeedDecodeSession *session, const char *codec, gpointer data);
  /* The decoder complained of damaged data and goes on. */
  void (*damaged) (SeedDecodeSession *session, gpointer data);
  /* The source says that it is live. */
  void (*live) (SeedDecodeSession *session, gpointer data);
  /* It ended; @endless: nobody could have known that it would. */
  void (*ended) (SeedDecodeSession *session, gboolean endless, gpointer data);
  /* SEED_STREAM_LOST or _REFUSED */
  void (*failed) (
      SeedDecodeSession *session, SeedStreamInput how, const char *reason, gpointer data);
  /* It is down, after a close: the last call. */
  void (*closed) (SeedDecodeSession *session, gpointer data);
  gpointer data;
  GDestroyNotify unref_data;
} SeedSessionCallbacks;

/*
 * A floating reference. @name: of the element. @n_queued: frames that are held behind it, which a
 * decoder with a fixed set of buffers must be told. @connect_ms: what is passed to sources that
 * have a time-out of their own; 0: theirs. Takes @callbacks->data.
 */
SeedDecodeSession *seed_decode_session_new (const char *name, const char *uri, guint n_queued,
    gint64 connect_ms, const SeedSessionCallbacks *callbacks);

/* PAUSED or PLAYING: opens when it is not open. Never waits. */
void seed_decode_session_run (SeedDecodeSession *self, GstState state);

/* Takes it down for good. Never waits; the callback closed says when it is down. */
void seed_decode_session_close (SeedDecodeSession *self);

/* Realtime, ns, by the clock of the sender, of a frame with the session's running time @running; 0:
 * the sender has not said. */
gint64 seed_decode_session_sender_time (SeedDecodeSession *self, GstClockTime running);

/* The pad its frames come to: queries and upstream events go through it. */
GstPad *seed_decode_session_peek_pad (SeedDecodeSession *self);

G_END_DECLS
