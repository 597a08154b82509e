/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Times of one stream over many sessions: whatever the sessions' own times are, those of the stream
 * never go back. All in ns; G_MAXUINT64 is "no time".
 *
 * - A file that is played again goes on where it stopped: time 0 of the new session is the end of
 *   the last frame of the one before. Nothing but the data decides, so that runs repeat exactly.
 * - A live stream lives on the clock. A session whose first frame has a time near the present is
 *   taken at its word; another (a sender that starts at 0 with every connection) is moved so that
 *   its first frame is now. An outage is a gap as long as it was.
 * - Within a session a time that goes back by more than a second, or of a live stream gets more
 *   than ten seconds ahead of the present, starts anew: at the present for a live stream, right
 *   behind the frame before for another. Smaller steps back repeat the time of the frame before.
 *
 * Plain data, not thread-safe.
 */
typedef struct {
  gint64 offset_ns; /* from the session's times to the stream's */
  guint64 last_ns;  /* of the stream: the frame before */
  guint64 end_ns;   /* its end */
  guint64 raw_ns;   /* the session's: the frame before */
  gboolean is_placed;
} SeedTimeline;

void seed_timeline_init (SeedTimeline *timeline);

/** What follows is of another session. */
void seed_timeline_begin_session (SeedTimeline *timeline);

/**
 * The stream's time of the next frame. @running: the session's running time of it; @duration: may
 * be "no time"; @now: running time now of a live stream, "no time" for one that is not. Without a
 * time, a live frame is of now and another has none.
 */
guint64 seed_timeline_next (SeedTimeline *timeline, guint64 running, guint64 duration, guint64 now);

G_END_DECLS
