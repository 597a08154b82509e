/* SPDX-License-Identifier: MIT */
#include "decode/lanes.h"

typedef struct {
  SeedLaneItem *items; /* ring of capacity */
  guint64 *arrivals;   /* beside it */
  guint head, count;
  gboolean closed, end_reported;
  guint64 closed_at;
  GCond room;
} Lane;

struct _SeedLanes {
  GMutex lock;
  GCond some; /* for the consumer */
  guint n_lanes, capacity;
  gboolean in_turns, stopped, paused;
  guint64 clock; /* counts arrivals */
  guint turn;
  guint n_open; /* lanes whose end was not reported */
  Lane lanes[];
};

SeedLanes *
seed_lanes_new (guint n_lanes, guint capacity, gboolean in_turns)
{
  SeedLanes *lanes;

  g_return_val_if_fail (n_lanes > 0 && capacity > 0, NULL);
  lanes = g_malloc0 (sizeof *lanes + n_lanes * sizeof (Lane));
  g_mutex_init (&lanes->lock);
  g_cond_init (&lanes->some);
  lanes->n_lanes = lanes->n_open = n_lanes;
  lanes->capacity = capacity;
  lanes->in_turns = in_turns;
  for (guint i = 0; i < n_lanes; i++) {
    lanes->lanes[i].items = g_new0 (SeedLaneItem, capacity);
    lanes->lanes[i].arrivals = g_new0 (guint64, capacity);
    g_cond_init (&lanes->lanes[i].room);
  }
  return lanes;
}

void
seed_lanes_free (SeedLanes *lanes)
{
  if (!lanes)
    return;
  for (guint i = 0; i < lanes->n_lanes; i++) {
    g_warn_if_fail (lanes->lanes[i].count == 0);
    g_free (lanes->lanes[i].items);
    g_free (lanes->lanes[i].arrivals);
    g_cond_clear (&lanes->lanes[i].room);
  }
  g_cond_clear (&lanes->some);
  g_mutex_clear (&lanes->lock);
  g_free (lanes);
}

gboolean
seed_lanes_push (SeedLanes *lanes, guint lane, SeedLaneItem item)
{
  Lane *l = &lanes->lanes[lane];
  gboolean taken;

  g_return_val_if_fail (lane < lanes->n_lanes, FALSE);
  g_mutex_lock (&lanes->lock);
  while (l->count == lanes->capacity && !l->closed && !lanes->stopped)
    g_cond_wait (&l->room, &lanes->lock);
  taken = !l->closed && !lanes->stopped;
  if (taken) {
    guint slot = (l->head + l->count++) % lanes->capacity;

    l->items[slot] = item;
    l->arrivals[slot] = lanes->clock++;
    g_cond_signal (&lanes->some);
  }
  g_mutex_unlock (&lanes->lock);
  return taken;
}

void
seed_lanes_close (SeedLanes *lanes, guint lane)
{
  Lane *l = &lanes->lanes[lane];

  g_return_if_fail (lane < lanes->n_lanes);
  g_mutex_lock (&lanes->lock);
  if (!l->closed) {
    l->closed = TRUE;
    l->closed_at = lanes->clock++;
    g_cond_signal (&l->room);
    g_cond_signal (&lanes->some);
  }
  g_mutex_unlock (&lanes->lock);
}

static gboolean
has_something (const Lane *l)
{
  return l->count > 0 || (l->closed && !l->end_reported);
}

/* The lane to take from now, or n_lanes to wait. */
static guint
next_in_turn (SeedLanes *lanes)
{
  while (lanes->lanes[lanes->turn].end_reported)
    lanes->turn = (lanes->turn + 1) % lanes->n_lanes;
  return has_something (&lanes->lanes[lanes->turn]) ? lanes->turn : lanes->n_lanes;
}

static guint
next_by_arrival (const SeedLanes *lanes)
{
  guint best = lanes->n_lanes;
  guint64 earliest = G_MAXUINT64;

  for (guint i = 0; i < lanes->n_lanes; i++) {
    const Lane *l = &lanes->lanes[i];
    guint64 arrival = l->count > 0 ? l->arrivals[l->head] : l->closed_at;

    if (has_something (l) && arrival < earliest) {
      earliest = arrival;
      best = i;
    }
  }
  return best;
}

static SeedLanesResult
take (SeedLanes *lanes, guint lane, SeedLaneItem *item)
{
  Lane *l = &lanes->lanes[lane];

  lanes->turn = (lane + 1) % lanes->n_lanes;
  if (l->count == 0) {
    l->end_reported = TRUE;
    lanes->n_open--;
    return SEED_LANES_END;
  }
  *item = l->items[l->head];
  l->head = (l->head + 1) % lanes->capacity;
  l->count--;
  g_cond_signal (&l->room);
  return SEED_LANES_ITEM;
}

SeedLanesResult
seed_lanes_pop (SeedLanes *lanes, guint *lane, SeedLaneItem *item)
{
  SeedLanesResult result;

  g_mutex_lock (&lanes->lock);
  for (;;) {
    guint next;

    if (lanes->stopped || lanes->paused) {
      result = SEED_LANES_STOPPED;
      break;
    }
    if (lanes->n_open == 0) {
      result = SEED_LANES_DONE;
      break;
    }
    next = lanes->in_turns ? next_in_turn (lanes) : next_by_arrival (lanes);
    if (next < lanes->n_lanes) {
      *lane = next;
      result = take (lanes, next, item);
      break;
    }
    g_cond_wait (&lanes->some, &lanes->lock);
  }
  g_mutex_unlock (&lanes->lock);
  return result;
}

void
seed_lanes_stop (SeedLanes *lanes)
{
  g_mutex_lock (&lanes->lock);
  lanes->stopped = TRUE;
  for (guint i = 0; i < lanes->n_lanes; i++)
    g_cond_broadcast (&lanes->lanes[i].room);
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
  for (guint i = 0; i < lanes->n_lanes; i++) {
    Lane *l = &lanes->lanes[i];

    for (; l->count > 0; l->count--, l->head = (l->head + 1) % lanes->capacity)
      drop (i, l->items[l->head], data);
    g_cond_broadcast (&l->room);
  }
  g_mutex_unlock (&lanes->lock);
}
