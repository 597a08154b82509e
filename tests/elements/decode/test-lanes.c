/* SPDX-License-Identifier: MIT */
#include <glib.h>

#include "decode/lanes.h"
#include "decode/ratecap.h"

#define N_ITEMS 2000

/* Lanes with names for their owners. */
static SeedLane *
add (SeedLanes *lanes, guint name)
{
  SeedLane *lane = seed_lanes_add (lanes, GUINT_TO_POINTER (name));

  g_assert_nonnull (lane);
  return lane;
}

static void
drop (SeedLane **lane)
{
  g_clear_pointer (lane, seed_lane_unref);
}

#define OWN __attribute__ ((cleanup (drop)))

static SeedLaneItem
item (guint value)
{
  return (SeedLaneItem){ GUINT_TO_POINTER (value), NULL, 0 };
}

static void
expect (SeedLanes *lanes, SeedLanesResult result, guint name, guint value)
{
  gpointer owner = NULL;
  SeedLaneItem its = { 0 };

  g_assert_cmpint (seed_lanes_pop (lanes, &owner, &its), ==, result);
  if (result == SEED_LANES_ITEM || result == SEED_LANES_END)
    g_assert_cmpuint (GPOINTER_TO_UINT (owner), ==, name);
  if (result == SEED_LANES_ITEM)
    g_assert_cmpuint (GPOINTER_TO_UINT (its.frame), ==, value);
}

static void
test_arrival (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (4, FALSE);
  OWN SeedLane *a = add (lanes, 1), *b = add (lanes, 2);

  g_assert_true (seed_lane_push (b, 0, item (1)));
  g_assert_true (seed_lane_push (b, 0, item (2)));
  g_assert_true (seed_lane_push (a, 0, item (3)));
  seed_lane_close (b, FALSE);
  seed_lane_close (b, FALSE);
  g_assert_false (seed_lane_push (b, 0, item (9)));
  g_assert_true (seed_lane_push (a, 0, item (4)));
  expect (lanes, SEED_LANES_ITEM, 2, 1);
  expect (lanes, SEED_LANES_ITEM, 2, 2);
  expect (lanes, SEED_LANES_ITEM, 1, 3);
  expect (lanes, SEED_LANES_END, 2, 0);
  expect (lanes, SEED_LANES_ITEM, 1, 4);
  seed_lane_close (a, FALSE);
  expect (lanes, SEED_LANES_END, 1, 0);
  expect (lanes, SEED_LANES_DONE, 0, 0);
  expect (lanes, SEED_LANES_DONE, 0, 0);
  g_assert_null (seed_lanes_add (lanes, NULL));
}

static void
test_turns (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (4, TRUE);
  OWN SeedLane *a = add (lanes, 1), *b = add (lanes, 2), *c = add (lanes, 3);

  for (guint i = 0; i < 3; i++)
    g_assert_true (seed_lane_push (c, 0, item (20 + i)));
  g_assert_true (seed_lane_push (a, 0, item (7)));
  g_assert_true (seed_lane_push (b, 0, item (10)));
  seed_lane_close (b, FALSE);
  seed_lane_close (a, FALSE);
  seed_lane_close (c, FALSE);
  expect (lanes, SEED_LANES_ITEM, 1, 7);
  expect (lanes, SEED_LANES_ITEM, 2, 10);
  expect (lanes, SEED_LANES_ITEM, 3, 20);
  expect (lanes, SEED_LANES_END, 1, 0);
  expect (lanes, SEED_LANES_END, 2, 0);
  expect (lanes, SEED_LANES_ITEM, 3, 21);
  expect (lanes, SEED_LANES_ITEM, 3, 22);
  expect (lanes, SEED_LANES_END, 3, 0);
  expect (lanes, SEED_LANES_DONE, 0, 0);
}

typedef struct {
  SeedLane *lane;
  guint epoch;
  gint n_taken; /* atomic */
} Producer;

static gpointer
produce (gpointer data)
{
  Producer *producer = data;

  for (guint i = 0; i < N_ITEMS; i++) {
    if (!seed_lane_push (producer->lane, producer->epoch, item (i)))
      return NULL;
    g_atomic_int_inc (&producer->n_taken);
  }
  seed_lane_close (producer->lane, FALSE);
  return NULL;
}

/* In turns, whatever the threads do, the order is that of the data. */
static void
test_turns_with_threads (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (2, TRUE);
  OWN SeedLane *a = add (lanes, 0), *b = add (lanes, 1), *c = add (lanes, 2);
  Producer producers[3] = { { a, 0, 0 }, { b, 0, 0 }, { c, 0, 0 } };
  GThread *threads[3];

  for (guint i = 0; i < 3; i++)
    threads[i] = g_thread_new (NULL, produce, &producers[i]);
  for (guint i = 0; i < 3 * N_ITEMS; i++)
    expect (lanes, SEED_LANES_ITEM, i % 3, i / 3);
  for (guint i = 0; i < 3; i++)
    expect (lanes, SEED_LANES_END, i, 0);
  expect (lanes, SEED_LANES_DONE, 0, 0);
  for (guint i = 0; i < 3; i++)
    g_thread_join (threads[i]);
}

static void
count_drop (gpointer owner, SeedLaneItem dropped, gpointer data)
{
  ++*(guint *) data;
}

/* A full lane holds its producer until it is stopped; nothing gets lost. */
static void
test_stop (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (3, FALSE);
  OWN SeedLane *lane = add (lanes, 0);
  Producer producer = { lane, 0, 0 };
  GThread *thread = g_thread_new (NULL, produce, &producer);
  guint dropped = 0;

  expect (lanes, SEED_LANES_ITEM, 0, 0);
  expect (lanes, SEED_LANES_ITEM, 0, 1);
  seed_lanes_stop (lanes);
  g_thread_join (thread);
  g_assert_false (seed_lane_push (lane, 0, item (7)));
  g_assert_false (seed_lane_mark (lane, item (0)));
  g_assert_null (seed_lanes_add (lanes, NULL));
  expect (lanes, SEED_LANES_STOPPED, 0, 0);
  seed_lanes_drain (lanes, count_drop, &dropped);
  g_assert_cmpuint (dropped, ==, g_atomic_int_get (&producer.n_taken) - 2);
  g_assert_cmpuint (dropped, <=, 3);
}

typedef struct {
  SeedLanes *lanes;
  gpointer owner;
  SeedLanesResult result;
} Pop;

static gpointer
pop_one (gpointer data)
{
  Pop *pop = data;
  SeedLaneItem its;

  pop->result = seed_lanes_pop (pop->lanes, &pop->owner, &its);
  return NULL;
}

static void
test_pause (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (3, FALSE);
  OWN SeedLane *lane = add (lanes, 0);
  Pop pop = { lanes, NULL, SEED_LANES_DONE };
  GThread *thread = g_thread_new (NULL, pop_one, &pop);

  seed_lanes_set_paused (lanes, TRUE);
  g_thread_join (thread);
  g_assert_cmpint (pop.result, ==, SEED_LANES_STOPPED);
  g_assert_true (seed_lane_push (lane, 0, item (5)));
  expect (lanes, SEED_LANES_STOPPED, 0, 0);
  seed_lanes_set_paused (lanes, FALSE);
  expect (lanes, SEED_LANES_ITEM, 0, 5);
}

/* Closing, and cutting, release a producer that waits for room. */
static void
release (gboolean by_cut)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (1, TRUE);
  OWN SeedLane *lane = add (lanes, 0);
  Producer producer = { lane, 0, 0 };
  GThread *thread = g_thread_new (NULL, produce, &producer);

  expect (lanes, SEED_LANES_ITEM, 0, 0);
  if (by_cut)
    g_assert_cmpuint (seed_lane_cut (lane), ==, 1);
  else
    seed_lane_close (lane, FALSE);
  g_thread_join (thread);
  seed_lane_close (lane, FALSE);
  if (g_atomic_int_get (&producer.n_taken) == 2)
    expect (lanes, SEED_LANES_ITEM, 0, 1);
  expect (lanes, SEED_LANES_END, 0, 0);
  expect (lanes, SEED_LANES_DONE, 0, 0);
}

static void
test_close_releases (void)
{
  release (FALSE);
}

static void
test_cut_releases (void)
{
  release (TRUE);
}

/* What is queued stays, what the producer that was given up still has does not get in. */
static void
test_cut (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (3, FALSE);
  OWN SeedLane *lane = add (lanes, 0);
  guint epoch;

  g_assert_true (seed_lane_push (lane, 0, item (1)));
  epoch = seed_lane_cut (lane);
  g_assert_false (seed_lane_push (lane, 0, item (2)));
  g_assert_true (seed_lane_push (lane, epoch, item (3)));
  expect (lanes, SEED_LANES_ITEM, 0, 1);
  expect (lanes, SEED_LANES_ITEM, 0, 3);
}

/* In order with the frames, also when there is no room; of two in a row the first stands. */
static void
test_marks (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (2, FALSE);
  OWN SeedLane *lane = add (lanes, 0);

  for (guint round = 0; round < 3; round++) {
    g_assert_true (seed_lane_push (lane, 0, item (1)));
    g_assert_true (seed_lane_mark (lane, item (10)));
    g_assert_false (seed_lane_mark (lane, item (11)));
    g_assert_true (seed_lane_push (lane, 0, item (2)));
    g_assert_true (seed_lane_mark (lane, item (12)));
    expect (lanes, SEED_LANES_ITEM, 0, 1);
    expect (lanes, SEED_LANES_ITEM, 0, 10);
    expect (lanes, SEED_LANES_ITEM, 0, 2);
    expect (lanes, SEED_LANES_ITEM, 0, 12);
  }
}

/* Nobody waits for the turn of a lane that is absent; a mark takes no turn. */
static void
test_absent (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (4, TRUE);
  OWN SeedLane *a = add (lanes, 1), *b = add (lanes, 2);

  g_assert_true (seed_lane_push (a, 0, item (1)));
  g_assert_true (seed_lane_mark (b, item (9)));
  g_assert_true (seed_lane_push (a, 0, item (2)));
  g_assert_true (seed_lane_push (a, 0, item (3)));
  expect (lanes, SEED_LANES_ITEM, 1, 1);
  expect (lanes, SEED_LANES_ITEM, 2, 9);
  expect (lanes, SEED_LANES_ITEM, 1, 2);
  g_assert_true (seed_lane_push (b, 0, item (4)));
  g_assert_true (seed_lane_push (a, 0, item (5)));
  expect (lanes, SEED_LANES_ITEM, 2, 4);
  expect (lanes, SEED_LANES_ITEM, 1, 3);
  seed_lane_close (b, FALSE);
  expect (lanes, SEED_LANES_END, 2, 0);
  expect (lanes, SEED_LANES_ITEM, 1, 5);
}

/* Added while the consumer waits; kept open without any; done when finished. */
static void
test_come_and_go (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (4, TRUE);
  Pop pop = { lanes, NULL, SEED_LANES_DONE };
  OWN SeedLane *a = add (lanes, 1), *b = NULL;
  GThread *thread;

  seed_lane_close (a, TRUE);
  expect (lanes, SEED_LANES_END, 1, 0);
  thread = g_thread_new (NULL, pop_one, &pop);
  b = add (lanes, 2);
  g_assert_true (seed_lane_push (b, 0, item (1)));
  g_thread_join (thread);
  g_assert_cmpint (pop.result, ==, SEED_LANES_ITEM);
  g_assert_cmpuint (GPOINTER_TO_UINT (pop.owner), ==, 2);
  seed_lane_close (b, TRUE);
  expect (lanes, SEED_LANES_END, 2, 0);
  thread = g_thread_new (NULL, pop_one, &pop);
  seed_lanes_finish (lanes);
  g_thread_join (thread);
  g_assert_cmpint (pop.result, ==, SEED_LANES_DONE);
  g_assert_null (seed_lanes_add (lanes, NULL));
}

/* A producer may hold on to a lane whose lanes are gone. */
static void
test_outlives (void)
{
  SeedLanes *lanes = seed_lanes_new (1, FALSE);
  OWN SeedLane *lane = add (lanes, 0);

  seed_lanes_free (lanes);
  g_assert_false (seed_lane_push (lane, 0, item (1)));
  seed_lane_cut (lane);
  seed_lane_close (lane, FALSE);
}

static guint
count_kept (double cap_fps, double fps, guint n, guint round_ns)
{
  SeedRateCap cap;
  guint kept = 0;

  seed_rate_cap_init (&cap, cap_fps);
  for (guint i = 0; i < n; i++) {
    guint64 time = (guint64) (i * 1e9 / fps);

    kept += seed_rate_cap_keep (&cap, time / round_ns * round_ns);
  }
  return kept;
}

static void
test_rate_cap (void)
{
  g_assert_cmpuint (count_kept (0, 25, 100, 1), ==, 100);
  g_assert_cmpuint (count_kept (5, 25, 100, 1), ==, 20);
  g_assert_cmpuint (count_kept (1, 25, 100, 1), ==, 4);
  g_assert_cmpuint (count_kept (0.5, 25, 100, 1), ==, 2);
  g_assert_cmpuint (count_kept (20, 25, 1000, 1), ==, 800);
  g_assert_cmpuint (count_kept (25, 25, 1000, 1), ==, 1000);
  g_assert_cmpuint (count_kept (60, 25, 1000, 1), ==, 1000);
  /* timestamps in whole milliseconds, as many containers have them */
  g_assert_cmpuint (count_kept (24, 24, 1000, 1000000), ==, 1000);
  g_assert_cmpuint (count_kept (30, 30, 1000, 1000000), ==, 1000);
  g_assert_cmpuint (count_kept (10, 30, 1000, 1000000), ==, 334);
}

static void
test_rate_cap_starts_over (void)
{
  SeedRateCap cap;

  seed_rate_cap_init (&cap, 1);
  g_assert_true (seed_rate_cap_keep (&cap, 5000000000));
  g_assert_false (seed_rate_cap_keep (&cap, 5500000000));
  g_assert_true (seed_rate_cap_keep (&cap, 0));
  g_assert_false (seed_rate_cap_keep (&cap, 500000000));
  g_assert_true (seed_rate_cap_keep (&cap, 1000000000));
  g_assert_true (seed_rate_cap_keep (&cap, 900000000000)); /* a gap, not a burst after it */
  g_assert_false (seed_rate_cap_keep (&cap, 900100000000));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lanes/arrival", test_arrival);
  g_test_add_func ("/lanes/turns", test_turns);
  g_test_add_func ("/lanes/turns-with-threads", test_turns_with_threads);
  g_test_add_func ("/lanes/stop", test_stop);
  g_test_add_func ("/lanes/pause", test_pause);
  g_test_add_func ("/lanes/close-releases", test_close_releases);
  g_test_add_func ("/lanes/cut-releases", test_cut_releases);
  g_test_add_func ("/lanes/cut", test_cut);
  g_test_add_func ("/lanes/marks", test_marks);
  g_test_add_func ("/lanes/absent", test_absent);
  g_test_add_func ("/lanes/come-and-go", test_come_and_go);
  g_test_add_func ("/lanes/outlives", test_outlives);
  g_test_add_func ("/rate-cap/counts", test_rate_cap);
  g_test_add_func ("/rate-cap/starts-over", test_rate_cap_starts_over);
  return g_test_run ();
}
