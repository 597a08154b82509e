/* SPDX-License-Identifier: MIT */
#include "decode/timeline.h"

#define NONE G_MAXUINT64
#define SECOND G_GINT64_CONSTANT (1000000000)
/* A live frame is older than now by the latency of its source, and not newer but by clock drift. */
#define MAX_AGE (10 * SECOND)
#define MAX_AHEAD SECOND
#define MAX_STEP_BACK SECOND
/* A sender may deliver some seconds at once when it is connected to. */
#define MAX_BURST (10 * SECOND)

void
seed_timeline_init (SeedTimeline *timeline)
{
  *timeline = (SeedTimeline){ .last_ns = NONE, .raw_ns = NONE };
}

void
seed_timeline_begin_session (SeedTimeline *timeline)
{
  timeline->is_placed = FALSE;
  timeline->raw_ns = NONE;
}

static gboolean
is_near (guint64 time, guint64 now)
{
  return (gint64) time >= (gint64) now - MAX_AGE && (gint64) time <= (gint64) now + MAX_AHEAD;
}

static void
place (SeedTimeline *timeline, guint64 running, guint64 now)
{
  timeline->is_placed = TRUE;
  timeline->offset_ns = now == NONE ? (gint64) timeline->end_ns : 0;
  if (now != NONE && !is_near (running, now))
    timeline->offset_ns = (gint64) now - (gint64) running;
}

/* Whether the source has begun to count anew without a new session. */
static gboolean
has_jumped (const SeedTimeline *timeline, guint64 running, guint64 now)
{
  if (timeline->raw_ns != NONE && running + (guint64) MAX_STEP_BACK < timeline->raw_ns)
    return TRUE;
  return now != NONE && (gint64) running + timeline->offset_ns > (gint64) now + MAX_BURST;
}

static void
place_again (SeedTimeline *timeline, guint64 running, guint64 now)
{
  guint64 to = now == NONE ? timeline->end_ns : now;

  timeline->offset_ns = (gint64) to - (gint64) running;
}

guint64
seed_timeline_next (SeedTimeline *timeline, guint64 running, guint64 duration, guint64 now)
{
  guint64 time, length;

  if (running == NONE && now == NONE)
    return NONE;
  if (running == NONE)
    running = (guint64) ((gint64) now - (timeline->is_placed ? timeline->offset_ns : 0));
  if (!timeline->is_placed)
    place (timeline, running, now);
  else if (has_jumped (timeline, running, now))
    place_again (timeline, running, now);

  length = duration != NONE                                         ? duration
           : timeline->raw_ns != NONE && running > timeline->raw_ns ? running - timeline->raw_ns
                                                                    : 0;
  timeline->raw_ns = running;
  time = (guint64) MAX ((gint64) running + timeline->offset_ns, 0);
  if (timeline->last_ns != NONE)
    time = MAX (time, timeline->last_ns);
  timeline->last_ns = time;
  timeline->end_ns = MAX (timeline->end_ns, time + length);
  return time;
}
