/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/rng.h>

#include "replay/signature.h"

G_BEGIN_DECLS

/*
 * A memory of frames that is uniform over the past, and the schedule by which they are shown again
 * among live ones. Pure: no clock, no thread, no I/O; the same seed and the same calls give the
 * same answers bit for bit. Not thread-safe.
 *
 * Each stream has a reservoir of its own (algorithm R, Vitter 1985, ACM TOMS 11(1)): of the n
 * frames offered so far every one is held with the same probability. The memory is shared: a stream
 * takes what is free, and once it is full each has a quota. Streams that are up have equal quotas;
 * one that has ended has half of one, for it gives no more frames but its past is worth
 * remembering. A stream below its quota takes the place of a random frame of the stream that is
 * furthest above its own; a random part of a uniform sample is one too, so who loses frames this
 * way stays uniform. A stream whose quota grows fills it by frames to come, so for a while it knows
 * recent ones better than old ones.
 *
 * Schedule: with s the live share, (1 - s) / s frames are due from memory after each live one, as
 * an exact running sum, so any run of n outputs holds at most ceil (s n) live ones. Nothing is due
 * until the memory is warm (holds warm-up frames, or is half full in frames or bytes). A frame is
 * drawn uniformly among those that were neither stored nor drawn in the last held/2 events of that
 * kind: none comes again before half of the memory has had its turn.
 */
typedef struct _SeedReplay SeedReplay;

#define SEED_REPLAY_STREAM_SIZE 64 /* of a stream id, with the NUL */
#define SEED_REPLAY_MAX_STREAMS 4096u
#define SEED_REPLAY_MAX_CAPACITY 1048576u /* frames */
#define SEED_REPLAY_MIN_SHARE 0.01
#define SEED_REPLAY_MAX_DRAWS 4096u /* due at once */
#define SEED_REPLAY_OVERHEAD 512u   /* bytes that a frame counts besides its pixels */

typedef struct {
  guint capacity;         /* frames, 1..SEED_REPLAY_MAX_CAPACITY */
  guint64 capacity_bytes; /* of all frames, each with SEED_REPLAY_OVERHEAD */
  guint warm_up;          /* frames */
  double live_share;      /* SEED_REPLAY_MIN_SHARE..1 */
  double likeness;        /* of a near-duplicate, above; 1: there are none */
  guint64 seed;
} SeedReplayConfig;

/* A frame that is remembered. */
typedef struct {
  char stream[SEED_REPLAY_STREAM_SIZE];
  guint64 frame, pts, dropped; /* as in SeedStreamMeta */
  gint64 capture_ns;
  gint32 label;
  guint32 repeat; /* how often it was drawn */
  guint64 mark;   /* when it was stored or drawn last, in events */
  char *format;   /* what the pixels are; an interned GRefString */
  GBytes *pixels;
  SeedSignature signature;
} SeedRemembered;

/* Releases what it points to and forgets it. NULL-safe fields. */
void seed_remembered_clear (SeedRemembered *remembered);

typedef struct {
  const char *stream;
  guint held, quota;
  gboolean up;
  guint64 seen;       /* offered */
  guint64 duplicates; /* since the memory was made or loaded */
  guint64 drawn;      /* likewise */
} SeedReplayStream;

SeedReplay *seed_replay_new (const SeedReplayConfig *config);
void seed_replay_free (SeedReplay *replay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedReplay, seed_replay_free)

/* TRUE, and counted, when a frame of @stream that is held looks like @signature. */
gboolean
seed_replay_is_duplicate (SeedReplay *replay, const char *stream, const SeedSignature *signature);

/*
 * A frame of @stream whose pixels would take @n_bytes has come. TRUE: it is to be remembered, give
 * it to seed_replay_store before the next call of this; if that cannot be done it is as if it had
 * been lost. Marks the stream as up.
 */
gboolean seed_replay_offer (SeedReplay *replay, const char *stream, gsize n_bytes);

/* Takes what @remembered points to. Sets its repeat and mark. Makes room first. */
void seed_replay_store (SeedReplay *replay, SeedRemembered *remembered);

/* @stream has ended: it keeps half a quota. One that is not known is not made. */
void seed_replay_stream_down (SeedReplay *replay, const char *stream);

/* A live frame goes out. */
void seed_replay_live (SeedReplay *replay);

/*
 * The next frame that is due after the live ones so far; NULL when none is. Valid until the next
 * store; when few frames are held the next may be the same one, whose repeat then goes on.
 */
const SeedRemembered *seed_replay_draw (SeedReplay *replay);

/*
 * A random order of all that is held, for a last pass: @order gets seed_replay_n_held indices. Each
 * is then fetched with seed_replay_draw_at.
 */
void seed_replay_shuffle (SeedReplay *replay, guint32 *order);
const SeedRemembered *seed_replay_draw_at (SeedReplay *replay, guint index);

guint seed_replay_n_held (const SeedReplay *replay);
guint64 seed_replay_n_bytes (const SeedReplay *replay);
const SeedRemembered *seed_replay_get (const SeedReplay *replay, guint index);
guint seed_replay_n_streams (const SeedReplay *replay);
void seed_replay_get_stream (const SeedReplay *replay, guint index, SeedReplayStream *info);

/* TRUE once frames come from memory. */
gboolean seed_replay_is_warm (const SeedReplay *replay);

G_END_DECLS
