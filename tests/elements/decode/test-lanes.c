/* SPDX-License-Identifier: MIT */
#include <glib.h>

#include "decode/lanes.h"
#include "decode/ratecap.h"

#define N_ITEMS 2000

static SeedLaneItem
item (guint value)
{
  return (SeedLaneItem){ GUINT_TO_POINTER (value), NULL };
}

static void
expect (SeedLanes *lanes, SeedLanesResult result, guint lane, guint value)
{
  guint its_lane = 0;
  SeedLaneItem its = { 0 };

  g_assert_cmpint (seed_lanes_pop (lanes, &its_lane, &its), ==, result);
  if (result == SEED_LANES_ITEM || result == SEED_LANES_END)
    g_assert_cmpuint (its_lane, ==, lane);
  if (result == SEED_LANES_ITEM)
    g_assert_cmpuint (GPOINTER_TO_UINT (its.frame), ==, value);
}

static void
test_arrival (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (2, 4, FALSE);

  g_assert_true (seed_lanes_push (lanes, 1, item (1)));
  g_assert_true (seed_lanes_push (lanes, 1, item (2)));
  g_assert_true (seed_lanes_push (lanes, 0, item (3)));
  seed_lanes_close (lanes, 1);
  seed_lanes_close (lanes, 1);
  g_assert_false (seed_lanes_push (lanes, 1, item (9)));
  g_assert_true (seed_lanes_push (lanes, 0, item (4)));
  expect (lanes, SEED_LANES_ITEM, 1, 1);
  expect (lanes, SEED_LANES_ITEM, 1, 2);
  expect (lanes, SEED_LANES_ITEM, 0, 3);
  expect (lanes, SEED_LANES_END, 1, 0);
  expect (lanes, SEED_LANES_ITEM, 0, 4);
  seed_lanes_close (lanes, 0);
  expect (lanes, SEED_LANES_END, 0, 0);
  expect (lanes, SEED_LANES_DONE, 0, 0);
  expect (lanes, SEED_LANES_DONE, 0, 0);
}

static void
test_turns (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (3, 4, TRUE);

  for (guint i = 0; i < 3; i++)
    g_assert_true (seed_lanes_push (lanes, 2, item (20 + i)));
  g_assert_true (seed_lanes_push (lanes, 0, item (0)));
  g_assert_true (seed_lanes_push (lanes, 1, item (10)));
  seed_lanes_close (lanes, 1);
  seed_lanes_close (lanes, 0);
  seed_lanes_close (lanes, 2);
  expect (lanes, SEED_LANES_ITEM, 0, 0);
  expect (lanes, SEED_LANES_ITEM, 1, 10);
  expect (lanes, SEED_LANES_ITEM, 2, 20);
  expect (lanes, SEED_LANES_END, 0, 0);
  expect (lanes, SEED_LANES_END, 1, 0);
  expect (lanes, SEED_LANES_ITEM, 2, 21);
  expect (lanes, SEED_LANES_ITEM, 2, 22);
  expect (lanes, SEED_LANES_END, 2, 0);
  expect (lanes, SEED_LANES_DONE, 0, 0);
}

typedef struct {
  SeedLanes *lanes;
  guint lane;
  gint n_taken; /* atomic */
} Producer;

static gpointer
produce (gpointer data)
{
  Producer *producer = data;

  for (guint i = 0; i < N_ITEMS; i++) {
    if (!seed_lanes_push (producer->lanes, producer->lane, item (i)))
      return NULL;
    g_atomic_int_inc (&producer->n_taken);
  }
  seed_lanes_close (producer->lanes, producer->lane);
  return NULL;
}

/* In turns, whatever the threads do, the order is that of the data. */
static void
test_turns_with_threads (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (3, 2, TRUE);
  Producer producers[3] = { { lanes, 0, 0 }, { lanes, 1, 0 }, { lanes, 2, 0 } };
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
count_drop (guint lane, SeedLaneItem dropped, gpointer data)
{
  ++*(guint *) data;
}

/* A full lane holds its producer until it is stopped; nothing gets lost. */
static void
test_stop (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (1, 3, FALSE);
  Producer producer = { lanes, 0, 0 };
  GThread *thread = g_thread_new (NULL, produce, &producer);
  guint dropped = 0;

  expect (lanes, SEED_LANES_ITEM, 0, 0);
  expect (lanes, SEED_LANES_ITEM, 0, 1);
  seed_lanes_stop (lanes);
  g_thread_join (thread);
  g_assert_false (seed_lanes_push (lanes, 0, item (7)));
  expect (lanes, SEED_LANES_STOPPED, 0, 0);
  seed_lanes_drain (lanes, count_drop, &dropped);
  g_assert_cmpuint (dropped, ==, g_atomic_int_get (&producer.n_taken) - 2);
  g_assert_cmpuint (dropped, <=, 3);
}

static gpointer
pop_one (gpointer data)
{
  guint lane;
  SeedLaneItem its;

  return GINT_TO_POINTER (seed_lanes_pop (data, &lane, &its));
}

static void
test_pause (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (1, 3, FALSE);
  GThread *thread = g_thread_new (NULL, pop_one, lanes);

  seed_lanes_set_paused (lanes, TRUE);
  g_assert_cmpint (GPOINTER_TO_INT (g_thread_join (thread)), ==, SEED_LANES_STOPPED);
  g_assert_true (seed_lanes_push (lanes, 0, item (5)));
  expect (lanes, SEED_LANES_STOPPED, 0, 0);
  seed_lanes_set_paused (lanes, FALSE);
  expect (lanes, SEED_LANES_ITEM, 0, 5);
}

/* Closing releases a producer that waits for room. */
static void
test_close_releases (void)
{
  g_autoptr (SeedLanes) lanes = seed_lanes_new (1, 1, TRUE);
  Producer producer = { lanes, 0, 0 };
  GThread *thread = g_thread_new (NULL, produce, &producer);

  expect (lanes, SEED_LANES_ITEM, 0, 0);
  seed_lanes_close (lanes, 0);
  g_thread_join (thread);
  if (g_atomic_int_get (&producer.n_taken) == 2)
    expect (lanes, SEED_LANES_ITEM, 0, 1);
  expect (lanes, SEED_LANES_END, 0, 0);
  expect (lanes, SEED_LANES_DONE, 0, 0);
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
  g_test_add_func ("/rate-cap/counts", test_rate_cap);
  g_test_add_func ("/rate-cap/starts-over", test_rate_cap_starts_over);
  return g_test_run ();
}
