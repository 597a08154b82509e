/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Several bounded queues ("lanes") that one consumer reads as one. A producer that is ahead waits.
 * The consumer takes items either in order of arrival or strictly in turns, one of each lane,
 * waiting for the lane whose turn it is: then the order depends on nothing but the data.
 *
 * Thread-safe: one producer a lane, one consumer, any thread for the rest. Nothing is allocated
 * after seed_lanes_new.
 */
typedef struct _SeedLanes SeedLanes;

/** Owned by whoever holds it; the lanes never look inside. */
typedef struct {
  gpointer frame;
  gpointer format;
} SeedLaneItem;

typedef enum {
  SEED_LANES_ITEM,    /* @item of @lane, now the caller's */
  SEED_LANES_END,     /* @lane was closed and is empty; reported once for each lane, in its turn */
  SEED_LANES_DONE,    /* every end has been reported */
  SEED_LANES_STOPPED, /* stopped or paused: pop again after going on */
} SeedLanesResult;

typedef void (*SeedLanesDrop) (guint lane, SeedLaneItem item, gpointer data);

/** @n_lanes and @capacity (items of one lane): 1 or more. @in_turns: see above. */
SeedLanes *seed_lanes_new (guint n_lanes, guint capacity, gboolean in_turns);

/** No items may be left (seed_lanes_drain). NULL is fine. */
void seed_lanes_free (SeedLanes *lanes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedLanes, seed_lanes_free)

/** Waits for room. FALSE when the lane is closed or the lanes are stopped: @item stays the
 * caller's. */
gboolean seed_lanes_push (SeedLanes *lanes, guint lane, SeedLaneItem item);

/** Nothing more comes on @lane. What it holds is still handed out. Never waits. */
void seed_lanes_close (SeedLanes *lanes, guint lane);

/** Waits for the next item or end. @lane and @item are set as the result says. */
SeedLanesResult seed_lanes_pop (SeedLanes *lanes, guint *lane, SeedLaneItem *item);

/** Producers and the consumer return at once, now and later. There is no way back. */
void seed_lanes_stop (SeedLanes *lanes);

/** @paused: the consumer returns SEED_LANES_STOPPED; producers wait for room as ever. */
void seed_lanes_set_paused (SeedLanes *lanes, gboolean paused);

/** Takes out everything held; @drop becomes the owner of each item. */
void seed_lanes_drain (SeedLanes *lanes, SeedLanesDrop drop, gpointer data);

G_END_DECLS
