/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/ledger.h>

#include "decode/lanes.h"
#include "decode/session.h"
#include "decode/streams.h"

G_BEGIN_DECLS

/*
 * One stream of seeddecode, over as many sessions as it takes: it puts frames, as items {
 * GstBuffer, GstCaps, attempts }, on a lane of its own, and where it goes down a mark { NULL, char
 * *cause, seed_decode_down_note }. What it does when a session fails is said by SeedStreamMachine.
 *
 * Reference-counted; every function but seed_decode_stream_work may be called from any thread.
 */
typedef struct _SeedDecodeStream SeedDecodeStream;

/* Of a mark's note */
#define SEED_DECODE_NOTE_ATTEMPTS(note) ((note) >> 1)
#define SEED_DECODE_NOTE_NEW_SPELL(note) ((note) &1)

/* Called from any thread, the stream's own among them: they must not wait for the stream. */
typedef struct {
  /* It failed, for the first time in a bad spell, and tries again or not. */
  void (*warn) (SeedDecodeStream *stream, const char *reason, gboolean tries_again, gpointer data);
  /* seed_decode_stream_work is due. */
  void (*wake) (gpointer data);
  /* It is live after all. */
  void (*live) (gpointer data);
  gpointer data; /* a GObject that lives until seed_decode_stream_shut_down */
} SeedDecodeStreamCallbacks;

typedef enum {
  SEED_DECODE_REMOVED = 1 << 0,  /* its owner wants to forget it */
  SEED_DECODE_END_SAID = 1 << 1, /* the end of its lane was taken */
} SeedDecodePart;

/*
 * @lanes: the stream adds its own lane. @n_queued: frames that a lane holds, which a decoder with a
 * fixed set of buffers must be told. @spec: max_fps 0 for all. NULL: the lanes take no more.
 */
SeedDecodeStream *seed_decode_stream_new (const SeedStreamSpec *spec, SeedLanes *lanes,
    guint n_queued, SeedLedger *ledger, const SeedDecodeStreamCallbacks *callbacks);
SeedDecodeStream *seed_decode_stream_ref (SeedDecodeStream *self);
void seed_decode_stream_unref (SeedDecodeStream *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedDecodeStream, seed_decode_stream_unref)

const char *seed_decode_stream_get_id (SeedDecodeStream *self);

/* Of one thread: opens and closes sessions, in @bin, as is due. Never waits long. Returns when it
 * is due again: ms of the monotonic clock, or -1. */
gint64 seed_decode_stream_work (SeedDecodeStream *self, GstBin *bin);

/* PAUSED or PLAYING, with the times of @bin. */
void seed_decode_stream_set_state (SeedDecodeStream *self, GstElement *bin, GstState state);

/* Ends the stream in good order: what is queued is still delivered. @keep: the lanes go on without
 * any. */
void seed_decode_stream_end (SeedDecodeStream *self, const char *reason, gboolean keep);

/* Ends it at once: nothing is called back any more, sessions go down in threads of their own. */
void seed_decode_stream_shut_down (SeedDecodeStream *self, GstBin *bin);

/* Notes @part. Whether both parts are done: nothing more is to come of the stream. */
gboolean seed_decode_stream_part (SeedDecodeStream *self, SeedDecodePart part);

/* Waits until all sessions are down, at most until @end (monotonic, us). Whether they are. */
gboolean seed_decode_stream_wait_closed (SeedDecodeStream *self, gint64 end);

gboolean seed_decode_stream_has_ended (SeedDecodeStream *self);

/* Ended by a failure; @reason (may be NULL): why it is not up, "" while it is; free with g_free. */
gboolean seed_decode_stream_has_failed (SeedDecodeStream *self, char **reason);

/* Frames put on the lane so far. */
guint64 seed_decode_stream_get_kept (SeedDecodeStream *self);

gboolean seed_decode_stream_is_live (SeedDecodeStream *self);

/* Keeps @buffer, of @caps, as the last frame that was delivered. */
void seed_decode_stream_delivered (SeedDecodeStream *self, GstBuffer *buffer, GstCaps *caps);

/* A GstSample of the frame delivered last, its info "frame": stream, frame, pts, capture-ns; NULL:
 * there is none. */
GstSample *seed_decode_stream_snapshot (SeedDecodeStream *self);

/* See the property "stats" of seeddecode. */
GstStructure *seed_decode_stream_get_stats (SeedDecodeStream *self);

/* A reference to the pad that frames of the session come to, or NULL: queries and upstream events
 * go through it. */
GstPad *seed_decode_stream_get_pad (SeedDecodeStream *self);

G_END_DECLS
