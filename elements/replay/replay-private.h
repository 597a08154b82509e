/* SPDX-License-Identifier: MIT */
#pragma once

#include "replay/replay.h"

/*
 * How a memory changes, for whoever keeps a second copy of it (the spool): what has happened since
 * the last seed_replay_change_clear, in this order: frames went (each index as of the moment it
 * went; the last frame then takes its place), one was put at the end, frames were drawn.
 */
typedef struct {
  SeedRng rng;     /* after all of it */
  guint64 clock;   /* stored and drawn so far */
  guint64 owed;    /* frames due, times 2^32 */
  gint stream;     /* index of the stream that was counted or went down; -1: none */
  gboolean stored; /* the frame at the end is new */
  GArray *went;    /* guint32 */
  GArray *drawn;   /* guint32 */
} SeedReplayChange;

/* One change per stream: a caller that works on several streams clears in between. */
const SeedReplayChange *seed_replay_get_change (SeedReplay *replay);
void seed_replay_change_clear (SeedReplay *replay);

/* --- building a memory from a copy; everything is checked by the caller ------------------------
 */

/* Finds or makes; -1 when there are too many. */
gint seed_replay_restore_stream (SeedReplay *replay, const char *id, guint64 seen, gboolean up);
void seed_replay_restore_remove (SeedReplay *replay, guint index);
/* Takes what @remembered points to, with its mark and repeat. @stream as restored. */
void seed_replay_restore_frame (SeedReplay *replay, guint stream, const SeedRemembered *remembered);
void seed_replay_restore_drawn (SeedReplay *replay, guint index, guint64 mark);
void
seed_replay_restore_state (SeedReplay *replay, const SeedRng *rng, guint64 clock, guint64 owed);

/* Pixels that lie in somebody else's memory become copies. */
void seed_replay_restore_own (SeedReplay *replay);

/* Forgets random frames of those above their quota until the capacity is kept. */
void seed_replay_trim (SeedReplay *replay);
