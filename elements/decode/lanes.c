/* SPDX-License-Identifier: MIT */
#include "decode/lanes.h"

typedef struct {
  SeedLaneItem item;
  guint64 arrival;
  gboolean is_mark;
} Entry;

struct _SeedLane {
  gatomicrefcount refs;
  SeedLanes *lanes; /* a reference */
  gpointer owner;
  Entry *ring; /* of 2 * capacity + 2: every mark is behind a frame, or first */
  guint head, count, n_frames;
  guint epoch;
  gboolean closed, keep, absent;
  guint64 closed_at;
  GCond room;
};

struct _SeedLanes {
  gatomicrefcount refs;
  GMutex lock;
  GCond some; /* for the consumer */
  guint capacity, ring_size;
  gboolean in_turns, stopped, paused, finished, done;
  gboolean is_kept; /* by the last end: wait for another lane */
  guint64 clock;    /* counts arrivals */
  guint turn;
  GPtrArray *open; /* of SeedLane: their ends are not reported */
};

SeedLanes *
seed_lanes_new (guint capacity, gboolean in_turns)
{
  SeedLanes *lanes;

  g_return_val_if_fail (capacity > 0, NULL);
  lanes = g_new0 (SeedLanes, 1);
  g_atomic_ref_count_init (&lanes->refs);
  g_mutex_init (&lanes->lock);
  g_cond_init (&lanes->some);
  lanes->capacity = capacity;
  lanes->ring_size = 2 * capacity + 2;
  lanes->in_turns = in_turns;
  lanes->is_kept = TRUE;
  lanes->open = g_ptr_array_new ();
  return lanes;
}

static SeedLanes *
lanes_ref (SeedLanes *lanes)
{
  g_atomic_ref_count_inc (&lanes->refs);
  return lanes;
}

static void
lanes_unref (SeedLanes *lanes)
{
  if (!g_atomic_ref_count_dec (&lanes->refs))
    return;
  g_ptr_array_unref (lanes->open);
  g_cond_clear (&lanes->some);
  g_mutex_clear (&lanes->lock);
  g_free (lanes);
}

SeedLane *
seed_lanes_add (SeedLanes *lanes, gpointer owner)
{
  SeedLane *lane = NULL;

  g_mutex_lock (&lanes->lock);
  if (!lanes->done && !lanes->finished && !lanes->stopped) {
    lane = g_new0 (SeedLane, 1);
    g_atomic_ref_count_init (&lane->refs);
    lane->lanes = lanes_ref (lanes);
    lane->owner = owner;
    lane->ring = g_new0 (Entry, lanes->ring_size);
    g_cond_init (&lane->room);
    g_atomic_ref_count_inc (&lane->refs);
    g_ptr_array_add (lanes->open, lane);
    lanes->is_kept = FALSE;
  }
  g_mutex_unlock (&lanes->lock);
  return lane;
}

void
seed_lane_unref (SeedLane *lane)
{
  if (!lane || !g_atomic_ref_count_dec (&lane->refs))
    return;
  g_warn_if_fail (lane->count == 0);
  g_cond_clear (&lane->room);
  g_free (lane->ring);
  lanes_unref (lane->lanes);
  g_free (lane);
}

static void
append (SeedLane *lane, SeedLaneItem item, gboolean is_mark)
{
  SeedLanes *lanes = lane->lanes;

  lane->ring[(lane->head + lane->count++) % lanes->ring_size] =
      (Entry){ item, lanes->clock++, is_mark };
  lane->n_frames += !is_mark;
  lane->absent = is_mark;
  g_cond_signal (&lanes->some);
}

gboolean
seed_lane_push (SeedLane *lane, guint epoch, SeedLaneItem item)
{
  SeedLanes *lanes = lane->lanes;
  gboolean taken;

  g_mutex_lock (&lanes->lock);
  while (
      lane->n_frames == lanes->capacity && lane->epoch == epoch && !lane->closed && !lanes->stopped)
    g_cond_wait (&lane->room, &lanes->lock);
  taken = lane->epoch == epoch && !lane->closed && !lanes->stopped;
  if (taken)
    append (lane, item, FALSE);
  g_mutex_unlock (&lanes->lock);
  return taken;
}

static gboolean
ends_in_mark (const SeedLane *lane)
{
  return lane->count > 0 &&
         lane->ring[(lane->head + lane->count - 1) % lane->lanes->ring_size].is_mark;
}

gboolean
seed_lane_mark (SeedLane *lane, SeedLaneItem item)
{
  SeedLanes *lanes = lane->lanes;
  gboolean taken;

  g_mutex_lock (&lanes->lock);
  taken = !lane->closed && !lanes->stopped && !ends_in_mark (lane);
  if (taken)
    append (lane, item, TRUE);
  g_mutex_unlock (&lanes->lock);
  return taken;
}

guint
seed_lane_cut (SeedLane *lane)
{
  guint epoch;

  g_mutex_lock (&lane->lanes->lock);
  epoch = ++lane->epoch;
  g_cond_broadcast (&lane->room);
  g_mutex_unlock (&lane->lanes->lock);
  return epoch;
}

void
seed_lane_close (SeedLane *lane, gboolean keep)
{
  SeedLanes *lanes = lane->lanes;

  g_mutex_lock (&lanes->lock);
  if (!lane->closed) {
    lane->closed = TRUE;
    lane->keep = keep;
    lane->closed_at = lanes->clock++;
    g_cond_broadcast (&lane->room);
    g_cond_signal (&lanes->some);
  }
  g_mutex_unlock (&lanes->lock);
}

static gboolean
has_something (const SeedLane *lane)
{
  return lane->count > 0 || lane->closed;
}

/* The index of the lane to take from now, or the number of lanes to wait. */
static guint
next_in_turn (const SeedLanes *lanes)
{
  guint n = lanes->open->len;

  for (guint i = 0; i < n; i++) {
    guint index = (lanes->turn + i) % n;
    const SeedLane *lane = g_ptr_array_index (lanes->open, index);

    if (has_something (lane))
      return index;
    if (!lane->absent)
      break;
  }
  return n;
}

static guint
next_by_arrival (const SeedLanes *lanes)
{
  guint best = lanes->open->len;
  guint64 earliest = G_MAXUINT64;

  for (guint i = 0; i < lanes->open->len; i++) {
    const SeedLane *lane = g_ptr_array_index (lanes->open, i);
    guint64 arrival = lane->count > 0 ? lane->ring[lane->head].arrival : lane->closed_at;

    if (has_something (lane) && arrival < earliest) {
      earliest = arrival;
      best = i;
    }
  }
  return best;
}

static void
take_end (SeedLanes *lanes, guint index)
{
  SeedLane *lane = g_ptr_array_index (lanes->open, index);

  g_ptr_array_remove_index (lanes->open, index);
  lanes->turn = index; /* where the lane behind it is now */
  lanes->is_kept = lane->keep;
}

static SeedLanesResult
take (SeedLanes *lanes, guint index, SeedLaneItem *item, SeedLane **ended)
{
  SeedLane *lane = g_ptr_array_index (lanes->open, index);
  const Entry *entry = &lane->ring[lane->head];

  lanes->turn = index;
  if (lane->count == 0) {
    take_end (lanes, index);
    *ended = lane;
    return SEED_LANES_END;
  }
  *item = entry->item;
  lane->head = (lane->head + 1) % lanes->ring_size;
  lane->count--;
  if (!entry->is_mark) {
    lane->n_frames--;
    lanes->turn = index + 1;
    g_cond_signal (&lane->room);
  }
  return SEED_LANES_ITEM;
}

static gboolean
is_done (SeedLanes *lanes)
{
  if (lanes->open->len == 0 && (lanes->finished || !lanes->is_kept))
    lanes->done = TRUE;
  return lanes->done;
}

SeedLanesResult
seed_lanes_pop (SeedLanes *lanes, gpointer *owner, SeedLaneItem *item)
{
  SeedLanesResult result = SEED_LANES_STOPPED;
  SeedLane *ended = NULL;

  g_mutex_lock (&lanes->lock);
  while (!lanes->stopped && !lanes->paused) {
    guint next;

    if (is_done (lanes)) {
      result = SEED_LANES_DONE;
      break;
    }
    next = lanes->in_turns ? next_in_turn (lanes) : next_by_arrival (lanes);
    if (next < lanes->open->len) {
      *owner = ((SeedLane *) g_ptr_array_index (lanes->open, next))->owner;
      result = take (lanes, next, item, &ended);
      break;
    }
    g_cond_wait (&lanes->some, &lanes->lock);
  }
  g_mutex_unlock (&lanes->lock);
  seed_lane_unref (ended);
  return result;
}

void
seed_lanes_finish (SeedLanes *lanes)
{
  g_mutex_lock (&lanes->lock);
  lanes->finished = TRUE;
  g_cond_broadcast (&lanes->some);
  g_mutex_unlock (&lanes->lock);
}

void
seed_lanes_stop (SeedLanes *lanes)
{
  g_mutex_lock (&lanes->lock);
  lanes->stopped = TRUE;
  for (guint i = 0; i < lanes->open->len; i++)
    g_cond_broadcast (&((SeedLane *) g_ptr_array_index (lanes->open, i))->room);
  g_cond_broadcast (&lanes->some);
  g_mutex_unlock (&lanes->lock);
}

void
seed_lanes_set_paused (SeedLanes *lanes, gboolean paused)
{
  g_mutex_lock (&lanes->lock);
  lanes->paused = paused;
  g_cond_broadcast (&lanes->some);
  g_mutex_unlock (&lanes->lock);
}

void
seed_lanes_drain (SeedLanes *lanes, SeedLanesDrop drop, gpointer data)
{
  g_mutex_lock (&lanes->lock);
  for (guint i = 0; i < lanes->open->len; i++) {
    SeedLane *lane = g_ptr_array_index (lanes->open, i);

    for (; lane->count > 0; lane->count--, lane->head = (lane->head + 1) % lanes->ring_size)
      drop (lane->owner, lane->ring[lane->head].item, data);
    lane->n_frames = 0;
    g_cond_broadcast (&lane->room);
  }
  g_mutex_unlock (&lanes->lock);
}

void
seed_lanes_free (SeedLanes *lanes)
{
  GPtrArray *open;

  if (!lanes)
    return;
  seed_lanes_stop (lanes);
  g_mutex_lock (&lanes->lock);
  open = lanes->open;
  lanes->open = g_ptr_array_new ();
  g_mutex_unlock (&lanes->lock);
  for (guint i = 0; i < open->len; i++)
    seed_lane_unref (g_ptr_array_index (open, i));
  g_ptr_array_unref (open);
  lanes_unref (lanes);
}
