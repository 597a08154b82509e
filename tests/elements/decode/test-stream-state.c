/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <glib.h>

#include "decode/stream-state.h"

#define CLOSE SEED_STREAM_CLOSE
#define DOWN SEED_STREAM_DOWN
#define WARN SEED_STREAM_WARN
#define OPEN SEED_STREAM_OPEN
#define RISE SEED_STREAM_RISE
#define END SEED_STREAM_END

static const SeedStreamPolicy camera = { TRUE, 500, 2000, 5000, 10000 };
static const SeedStreamPolicy file = { FALSE, 500, 2000, 0, 0 };
static const SeedStreamPolicy once = { FALSE, 500, 2000, 5000, 10000 };

/* A machine with a clock of the test's own. */
typedef struct {
  SeedStreamMachine machine;
  gint64 now;
} Bench;

static Bench
start (const SeedStreamPolicy *policy)
{
  Bench bench = { .now = 1000 };

  seed_stream_machine_init (&bench.machine, policy, 7);
  g_assert_cmpuint (seed_stream_machine_start (&bench.machine, bench.now), ==, OPEN);
  g_assert_cmpint (bench.machine.state, ==, SEED_STREAM_CONNECTING);
  return bench;
}

static void
feed (Bench *bench, SeedStreamInput input, SeedStreamState state, guint actions)
{
  g_assert_cmpuint (seed_stream_machine_feed (&bench->machine, input, bench->now), ==, actions);
  g_assert_cmpstr (
      seed_stream_state_name (bench->machine.state), ==, seed_stream_state_name (state));
}

/* To the deadline, which is @after ms from now (-1: whenever), and not a moment before it. */
static void
pass (Bench *bench, gint64 after, SeedStreamState state, guint actions)
{
  gint64 deadline = seed_stream_machine_deadline (&bench->machine);

  g_assert_cmpint (deadline, >=, bench->now);
  if (after >= 0)
    g_assert_cmpint (deadline, ==, bench->now + after);
  g_assert_cmpuint (seed_stream_machine_tick (&bench->machine, deadline - 1), ==, 0);
  bench->now = deadline;
  g_assert_cmpuint (seed_stream_machine_tick (&bench->machine, deadline), ==, actions);
  g_assert_cmpstr (
      seed_stream_state_name (bench->machine.state), ==, seed_stream_state_name (state));
}

/* Frames every 100 ms. */
static void
run (Bench *bench, gint64 ms)
{
  for (gint64 t = 0; t < ms; t += 100) {
    bench->now += 100;
    feed (bench, SEED_STREAM_FRAME, SEED_STREAM_UP, 0);
  }
}

static void
test_lost_and_found (void)
{
  Bench bench = start (&camera);

  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
  g_assert_cmpuint (bench.machine.attempts, ==, 1);
  run (&bench, 8000);
  feed (&bench, SEED_STREAM_LOST, SEED_STREAM_BACKING_OFF, CLOSE | DOWN | WARN);
  g_assert_cmpuint (bench.machine.outages, ==, 1);
  pass (&bench, -1, SEED_STREAM_CONNECTING, OPEN);
  feed (&bench, SEED_STREAM_LOST, SEED_STREAM_BACKING_OFF, CLOSE); /* said already */
  pass (&bench, -1, SEED_STREAM_CONNECTING, OPEN);
  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
  g_assert_cmpuint (bench.machine.attempts, ==, 2);
  g_assert_cmpuint (bench.machine.outages, ==, 1);
}

static void
test_never_up (void)
{
  Bench bench = start (&camera);

  feed (&bench, SEED_STREAM_LOST, SEED_STREAM_BACKING_OFF, CLOSE | DOWN | WARN);
  for (guint i = 2; i < 1000; i++) {
    pass (&bench, -1, SEED_STREAM_CONNECTING, OPEN);
    g_assert_cmpuint (bench.machine.attempts, ==, i);
    if (i % 2)
      pass (&bench, 10000, SEED_STREAM_BACKING_OFF, CLOSE); /* nobody answers */
    else
      feed (&bench, SEED_STREAM_LOST, SEED_STREAM_BACKING_OFF, CLOSE);
  }
  g_assert_cmpuint (bench.machine.outages, ==, 1);
  feed (&bench, SEED_STREAM_STOP, SEED_STREAM_ENDED, END);
  g_assert_false (bench.machine.failed);
}

/* Pauses double up to the longest, are spread, and are short again once the stream was well. */
static void
test_pauses (void)
{
  gint64 tops[] = { 1000, 2000, 2000, 2000 };
  gboolean spread = FALSE;
  gint64 first = 0;

  for (guint32 seed = 0; seed < 200; seed++) {
    Bench bench = start (&camera);

    bench.machine.random = seed + 1;
    for (guint i = 0; i < G_N_ELEMENTS (tops); i++) {
      feed (&bench, SEED_STREAM_LOST, SEED_STREAM_BACKING_OFF, i ? CLOSE : CLOSE | DOWN | WARN);
      g_assert_cmpint (bench.machine.pause_ms, >=, MAX (500, tops[i] / 2));
      g_assert_cmpint (bench.machine.pause_ms, <=, tops[i]);
      pass (&bench, bench.machine.pause_ms, SEED_STREAM_CONNECTING, OPEN);
    }
    spread |= seed > 0 && bench.machine.pause_ms != first;
    first = bench.machine.pause_ms;
    feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
    run (&bench, SEED_STREAM_STABLE_MS);
    feed (&bench, SEED_STREAM_LOST, SEED_STREAM_BACKING_OFF, CLOSE | DOWN | WARN);
    g_assert_cmpint (bench.machine.pause_ms, <=, 1000);
  }
  g_assert_true (spread);
}

/* Whatever the pause, a camera that is back is connected to within the longest one. */
static void
test_bounds (void)
{
  static const SeedStreamPolicy odd[] = { { TRUE, 1, 1, 1, 1 }, { TRUE, 10, 3600000, 0, 0 },
    { TRUE, 3600000, 3600000, 0, 0 }, { TRUE, 700, 900, 0, 0 } };

  for (guint p = 0; p < G_N_ELEMENTS (odd); p++) {
    Bench bench = start (&odd[p]);

    for (guint i = 0; i < 100; i++) {
      seed_stream_machine_feed (&bench.machine, SEED_STREAM_LOST, bench.now);
      g_assert_cmpint (bench.machine.pause_ms, >=, odd[p].retry_min_ms);
      g_assert_cmpint (bench.machine.pause_ms, <=, odd[p].retry_max_ms);
      bench.now = seed_stream_machine_deadline (&bench.machine);
      seed_stream_machine_tick (&bench.machine, bench.now);
    }
  }
}

/* What comes and goes is one bad spell with one warning, and is not hammered. */
static void
test_flapping (void)
{
  Bench bench = start (&camera);
  guint warnings = 0;

  for (guint i = 0; i < 50; i++) {
    guint actions;

    feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
    run (&bench, 1000);
    actions = seed_stream_machine_feed (&bench.machine, SEED_STREAM_LOST, bench.now);
    g_assert_cmpuint (actions & ~(guint) WARN, ==, CLOSE | DOWN);
    warnings += (actions & WARN) != 0;
    if (i > 2)
      g_assert_cmpint (bench.machine.pause_ms, >=, 1000);
    pass (&bench, -1, SEED_STREAM_CONNECTING, OPEN);
  }
  g_assert_cmpuint (warnings, ==, 1);
  g_assert_cmpuint (bench.machine.outages, ==, 50);
}

static void
test_refused (void)
{
  Bench bench = start (&camera);

  for (guint i = 0; i < 5; i++) {
    feed (&bench, SEED_STREAM_REFUSED, SEED_STREAM_BACKING_OFF, i ? CLOSE : CLOSE | DOWN | WARN);
    g_assert_cmpint (bench.machine.pause_ms, >=, SEED_STREAM_PERMANENT_MS * 3 / 4);
    g_assert_cmpint (bench.machine.pause_ms, <=, SEED_STREAM_PERMANENT_MS);
    pass (&bench, -1, SEED_STREAM_CONNECTING, OPEN);
  }
  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
}

static void
test_stall (void)
{
  Bench bench = start (&camera);

  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
  run (&bench, 6000);
  pass (&bench, 5000, SEED_STREAM_STALLED, DOWN | WARN);
  bench.now += 100;
  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE); /* it was only slow */
  g_assert_cmpuint (bench.machine.attempts, ==, 0);
  pass (&bench, 5000, SEED_STREAM_STALLED, DOWN);
  pass (&bench, 2000, SEED_STREAM_CONNECTING, CLOSE | OPEN);
  pass (&bench, 10000, SEED_STREAM_BACKING_OFF, CLOSE);
  pass (&bench, -1, SEED_STREAM_CONNECTING, OPEN);
  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
  g_assert_cmpuint (bench.machine.attempts, ==, 2);
  pass (&bench, 5000, SEED_STREAM_STALLED, DOWN);
  feed (&bench, SEED_STREAM_LOST, SEED_STREAM_BACKING_OFF, CLOSE);
  g_assert_cmpuint (bench.machine.outages, ==, 3);
}

/* A consumer that takes nothing is not the camera's silence. */
static void
test_held (void)
{
  Bench bench = start (&camera);

  seed_stream_machine_hold (&bench.machine);
  seed_stream_machine_hold (&bench.machine);
  g_assert_cmpint (seed_stream_machine_deadline (&bench.machine), ==, -1);
  bench.now += 1000000;
  g_assert_cmpuint (seed_stream_machine_tick (&bench.machine, bench.now), ==, 0);
  seed_stream_machine_release (&bench.machine, bench.now);
  g_assert_cmpint (seed_stream_machine_deadline (&bench.machine), ==, -1);
  seed_stream_machine_release (&bench.machine, bench.now);
  pass (&bench, 10000, SEED_STREAM_BACKING_OFF, CLOSE | DOWN | WARN);
  seed_stream_machine_hold (&bench.machine);
  pass (&bench, -1, SEED_STREAM_CONNECTING, OPEN); /* pauses run on */
  seed_stream_machine_release (&bench.machine, bench.now);
  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
  seed_stream_machine_hold (&bench.machine);
  bench.now += 60000;
  g_assert_cmpuint (seed_stream_machine_tick (&bench.machine, bench.now), ==, 0);
  seed_stream_machine_release (&bench.machine, bench.now);
  pass (&bench, 5000, SEED_STREAM_STALLED, DOWN | WARN); /* up for a minute */
}

static void
test_file (void)
{
  Bench bench = start (&file);

  g_assert_cmpint (seed_stream_machine_deadline (&bench.machine), ==, -1);
  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
  g_assert_cmpint (seed_stream_machine_deadline (&bench.machine), ==, -1);
  feed (&bench, SEED_STREAM_PASS, SEED_STREAM_UP, CLOSE | OPEN); /* again, without a word */
  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, 0);
  g_assert_cmpuint (bench.machine.attempts, ==, 1);
  feed (&bench, SEED_STREAM_FINISHED, SEED_STREAM_ENDED, CLOSE | END);
  g_assert_false (bench.machine.failed);
  g_assert_cmpuint (bench.machine.outages, ==, 0);
  for (guint input = 0; input < SEED_N_STREAM_INPUTS; input++)
    feed (&bench, input, SEED_STREAM_ENDED, 0);
  g_assert_cmpint (seed_stream_machine_deadline (&bench.machine), ==, -1);
}

/* Without reconnect the first failure is the last. */
static void
test_once (void)
{
  static const SeedStreamInput failures[] = { SEED_STREAM_LOST, SEED_STREAM_REFUSED };
  Bench bench;

  for (guint i = 0; i < G_N_ELEMENTS (failures); i++) {
    bench = start (&once);
    feed (&bench, failures[i], SEED_STREAM_ENDED, CLOSE | WARN | END);
    g_assert_true (bench.machine.failed);
    bench = start (&once);
    feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
    feed (&bench, failures[i], SEED_STREAM_ENDED, CLOSE | WARN | END);
    g_assert_cmpuint (bench.machine.outages, ==, 1);
  }
  bench = start (&once);
  pass (&bench, 10000, SEED_STREAM_ENDED, CLOSE | WARN | END);
  bench = start (&once);
  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
  pass (&bench, 5000, SEED_STREAM_ENDED, CLOSE | WARN | END);
  g_assert_true (bench.machine.failed);
}

/* Any inputs at all: never stuck, never two sessions, what is said alternates. */
static void
test_any_order (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (5);

  for (guint trial = 0; trial < 300; trial++) {
    Bench bench = start (trial % 3 ? &camera : &once);
    gboolean open = TRUE, up = FALSE, down = FALSE, ended = FALSE;

    for (guint i = 0; i < 300; i++) {
      SeedStreamInput input = g_rand_int_range (rand, 0, SEED_STREAM_TIMEOUT);
      gint64 deadline = seed_stream_machine_deadline (&bench.machine);
      guint actions;

      bench.now += g_rand_int_range (rand, 0, 3000);
      if (input == SEED_STREAM_STOP && i < 290)
        continue;
      if (input == SEED_STREAM_FINISHED && i < 290)
        actions = seed_stream_machine_tick (&bench.machine, bench.now);
      else
        actions = seed_stream_machine_feed (&bench.machine, input, bench.now);
      if (bench.machine.state != SEED_STREAM_ENDED)
        g_assert_true (deadline >= 0);
      if (actions & CLOSE)
        g_assert_true (open);
      open = (open && !(actions & CLOSE)) || (actions & OPEN);
      g_assert_true (open == (bench.machine.state < SEED_STREAM_BACKING_OFF));
      g_assert_false ((actions & RISE) && up);
      g_assert_false ((actions & DOWN) && down);
      if (actions & RISE)
        up = TRUE, down = FALSE;
      if (actions & DOWN)
        down = TRUE, up = FALSE;
      g_assert_false (ended && actions);
      ended |= (actions & END) != 0;
      g_assert_true (ended == (bench.machine.state == SEED_STREAM_ENDED));
      g_assert_false (up && bench.machine.state != SEED_STREAM_UP && !ended);
    }
  }
}

static void
test_describes (void)
{
  Bench bench = start (&camera);
  g_autofree char *connecting = seed_stream_machine_describe_timeout (&bench.machine);
  g_autofree char *up = NULL;

  g_assert_nonnull (strstr (connecting, "no frame within 10 s of connecting"));
  feed (&bench, SEED_STREAM_FRAME, SEED_STREAM_UP, RISE);
  up = seed_stream_machine_describe_timeout (&bench.machine);
  g_assert_nonnull (strstr (up, "no frame for 5 s"));
  g_assert_cmpstr (seed_stream_state_name (SEED_STREAM_BACKING_OFF), ==, "backing-off");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stream-state/lost-and-found", test_lost_and_found);
  g_test_add_func ("/stream-state/never-up", test_never_up);
  g_test_add_func ("/stream-state/pauses", test_pauses);
  g_test_add_func ("/stream-state/bounds", test_bounds);
  g_test_add_func ("/stream-state/flapping", test_flapping);
  g_test_add_func ("/stream-state/refused", test_refused);
  g_test_add_func ("/stream-state/stall", test_stall);
  g_test_add_func ("/stream-state/held", test_held);
  g_test_add_func ("/stream-state/file", test_file);
  g_test_add_func ("/stream-state/once", test_once);
  g_test_add_func ("/stream-state/any-order", test_any_order);
  g_test_add_func ("/stream-state/describes", test_describes);
  return g_test_run ();
}
