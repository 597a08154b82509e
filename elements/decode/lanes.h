/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Several bounded queues ("lanes") that one consumer reads as one; lanes come and go while it
 * reads. A producer that is ahead waits. The consumer takes items either in order of arrival or
 * strictly in turns, one of each lane, waiting for the lane whose turn it is: then the order
 * depends on nothing but the data.
 *
 * A lane outlives its producers: when one is given up, the lane is cut, and what it still tries to
 * push is refused, while the next one goes on behind what is queued. A mark is an item that tells
 * of the lane itself: it needs no room and no turn, and of marks without a frame between them the
 * first stands for all.
 *
 * Thread-safe: one producer a lane at a time, one consumer, any thread for the rest. Nothing is
 * allocated but by adding a lane. A lane may be held, and used, longer than the lanes.
 */
typedef struct _SeedLanes SeedLanes;
typedef struct _SeedLane SeedLane;

/** Owned by whoever holds it; the lanes never look inside. */
typedef struct {
  gpointer frame; /* NULL in a mark */
  gpointer format;
  guint note;
} SeedLaneItem;

typedef enum {
  SEED_LANES_ITEM,    /* an item, now the caller's */
  SEED_LANES_END,     /* a lane was closed and is empty; reported once for each, in its turn */
  SEED_LANES_DONE,    /* every end has been reported, and none may be added any more */
  SEED_LANES_STOPPED, /* stopped or paused: pop again after going on */
} SeedLanesResult;

typedef void (*SeedLanesDrop) (gpointer owner, SeedLaneItem item, gpointer data);

/** @capacity: frames of one lane, 1 or more. @in_turns: see above. */
SeedLanes *seed_lanes_new (guint capacity, gboolean in_turns);

/** Lets go of the lanes, stopped for good; no items may be left (seed_lanes_drain). NULL is fine.
 */
void seed_lanes_free (SeedLanes *lanes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedLanes, seed_lanes_free)

/**
 * A new lane behind the others, with a reference for the caller; its first epoch is 0. NULL when
 * the lanes are done, finished or stopped. @owner: what pop says of it; must live until the end of
 * the lane is reported or the consumer is gone.
 */
SeedLane *seed_lanes_add (SeedLanes *lanes, gpointer owner);
void seed_lane_unref (SeedLane *lane);

/** Waits for room. FALSE when the lane is cut since @epoch, closed or stopped: @item stays the
 * caller's. */
gboolean seed_lane_push (SeedLane *lane, guint epoch, SeedLaneItem item);

/**
 * Puts @item behind what is there, never waits. The lane is taken for absent until the next push:
 * nobody waits for its turn. FALSE when a mark is there already, or the lane is closed: @item stays
 * the caller's.
 */
gboolean seed_lane_mark (SeedLane *lane, SeedLaneItem item);

/** Refuses what producers of earlier epochs push, now and later. Returns the new epoch. */
guint seed_lane_cut (SeedLane *lane);

/**
 * Nothing more comes on @lane. What it holds is still handed out. Never waits. @keep: when it was
 * the last one, the lanes are not done but wait for another.
 */
void seed_lane_close (SeedLane *lane, gboolean keep);

/** Waits for the next item or end. @owner and @item are set as the result says. */
SeedLanesResult seed_lanes_pop (SeedLanes *lanes, gpointer *owner, SeedLaneItem *item);

/** No lane is added any more, and no end keeps the lanes waiting. */
void seed_lanes_finish (SeedLanes *lanes);

/** Producers and the consumer return at once, now and later. There is no way back. */
void seed_lanes_stop (SeedLanes *lanes);

/** @paused: the consumer returns SEED_LANES_STOPPED; producers wait for room as ever. */
void seed_lanes_set_paused (SeedLanes *lanes, gboolean paused);

/** Takes out everything held; @drop becomes the owner of each item. */
void seed_lanes_drain (SeedLanes *lanes, SeedLanesDrop drop, gpointer data);

G_END_DECLS
