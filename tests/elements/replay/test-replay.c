/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "memory.h"

#define EXPECTED_DRAWS "a1.1 b3.1 a1.2 a2.1 b3.2 b0.1 a5.1 a4.1 b3.3 b6.1 a5.2 a1.3 b0.2 a4.2 a8.1"

/* How often each of @n_past frames of "a" is held at the end of @runs runs. */
static void
count_held (SeedReplay *replay, const char *stream, guint *counts)
{
  for (guint i = 0; i < seed_replay_n_held (replay); i++) {
    const SeedRemembered *frame = seed_replay_get (replay, i);

    if (g_str_equal (frame->stream, stream))
      counts[frame->frame]++;
  }
}

/*
 * Chi-square of counts against the same probability for all. A frame is held or not, so the
 * statistic is scaled by 1 / (1 - p) to be one of n - 1 degrees of freedom; 5 standard deviations.
 */
static void
assert_uniform (const guint *counts, guint n, guint runs)
{
  double sum = 0, expected, chi2 = 0, p, df = n - 1;

  for (guint i = 0; i < n; i++)
    sum += counts[i];
  expected = sum / n;
  p = expected / runs;
  for (guint i = 0; i < n; i++)
    chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
  chi2 /= 1 - p;
  g_test_message ("expected %.1f each, chi-square %.1f of %.0f", expected, chi2, df);
  g_assert_cmpfloat (chi2, <, df + 5 * 1.4142 * sqrt (df));
  g_assert_cmpfloat (chi2, >, df - 5 * 1.4142 * sqrt (df));
}

static void
test_uniform (void)
{
  enum { PAST = 200, RUNS = 2000, CAPACITY = 40 };
  guint counts[PAST] = { 0 };

  for (guint run = 0; run < RUNS; run++) {
    SeedReplayConfig config = config_of (CAPACITY);
    g_autoptr (SeedReplay) replay = NULL;

    config.seed = run;
    replay = seed_replay_new (&config);
    for (guint i = 0; i < PAST; i++)
      live_frame (replay, "a", i, PIXELS, NULL);
    g_assert_cmpuint (seed_replay_n_held (replay), ==, CAPACITY);
    count_held (replay, "a", counts);
  }
  assert_uniform (counts, PAST, RUNS);
}

/* A second stream comes when the first has filled the memory: both stay uniform. */
static void
test_uniform_shared (void)
{
  enum { PAST = 200, RUNS = 2000, CAPACITY = 40 };
  guint counts_a[2 * PAST] = { 0 }, counts_b[PAST] = { 0 };

  for (guint run = 0; run < RUNS; run++) {
    SeedReplayConfig config = config_of (CAPACITY);
    g_autoptr (SeedReplay) replay = NULL;

    config.seed = run;
    replay = seed_replay_new (&config);
    for (guint i = 0; i < PAST; i++)
      live_frame (replay, "a", i, PIXELS, NULL);
    for (guint i = 0; i < PAST; i++) {
      live_frame (replay, "a", PAST + i, PIXELS, NULL);
      live_frame (replay, "b", i, PIXELS, NULL);
    }
    g_assert_cmpuint (stream_info (replay, "a").held, ==, CAPACITY / 2);
    g_assert_cmpuint (stream_info (replay, "b").held, ==, CAPACITY / 2);
    count_held (replay, "a", counts_a);
    count_held (replay, "b", counts_b);
  }
  assert_uniform (counts_a, 2 * PAST, RUNS);
  assert_uniform (counts_b, PAST, RUNS);
}

static void
test_quotas (void)
{
  SeedReplayConfig config = config_of (60);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);

  for (guint i = 0; i < 500; i++)
    live_frame (replay, "a", i, PIXELS, NULL);
  g_assert_cmpuint (stream_info (replay, "a").held, ==, 60);
  for (guint i = 0; i < 10; i++) /* less than its quota: it may have all of it */
    live_frame (replay, "b", i, PIXELS, NULL);
  g_assert_cmpuint (stream_info (replay, "b").held, ==, 10);
  g_assert_cmpuint (stream_info (replay, "a").held, ==, 50);
  for (guint i = 10; i < 3000; i++) { /* however fast one of them is */
    live_frame (replay, "b", i, PIXELS, NULL);
    if (i % 10 == 0)
      live_frame (replay, "c", i, PIXELS, NULL);
    g_assert_cmpuint (seed_replay_n_held (replay), ==, 60);
  }
  g_assert_cmpuint (stream_info (replay, "a").held, ==, 20);
  g_assert_cmpuint (stream_info (replay, "b").held, ==, 20);
  g_assert_cmpuint (stream_info (replay, "c").held, ==, 20);
  g_assert_cmpuint (stream_info (replay, "c").quota, ==, 20);

  seed_replay_stream_down (replay, "a");
  g_assert_cmpuint (stream_info (replay, "a").quota, ==, 12); /* 1 of 5 parts */
  g_assert_cmpuint (stream_info (replay, "b").quota, ==, 24);
  for (guint i = 3000; i < 60000; i++) {
    live_frame (replay, "b", i, PIXELS, NULL);
    live_frame (replay, "c", i, PIXELS, NULL);
  }
  g_assert_cmpuint (stream_info (replay, "a").held, ==, 12);
  g_assert_cmpuint (stream_info (replay, "b").held, ==, 24);
  g_assert_cmpuint (stream_info (replay, "c").held, ==, 24);
  for (guint i = 500; i < 20000; i++) /* it is back */
    live_frame (replay, "a", i, PIXELS, NULL);
  g_assert_cmpuint (stream_info (replay, "a").held, ==, 20);
}

static void
test_more_streams_than_room (void)
{
  SeedReplayConfig config = config_of (3);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);

  for (guint i = 0; i < 2000; i++) {
    char id[2] = { (char) ('a' + i % 7), 0 };

    live_frame (replay, id, i, PIXELS, NULL);
    g_assert_cmpuint (seed_replay_n_held (replay), <=, 3);
  }
  g_assert_cmpuint (seed_replay_n_held (replay), ==, 3);
}

/* Many streams that came and went do not pile up. */
static void
test_streams_come_and_go (void)
{
  SeedReplayConfig config = config_of (8);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);

  for (guint i = 0; i < 3 * SEED_REPLAY_MAX_STREAMS; i++) {
    g_autofree char *id = g_strdup_printf ("s%u", i);

    live_frame (replay, id, i, PIXELS, NULL);
    seed_replay_stream_down (replay, id);
  }
  g_assert_cmpuint (seed_replay_n_streams (replay), <=, 9);
  g_assert_cmpuint (seed_replay_n_held (replay), ==, 8);
}

static void
test_bytes (void)
{
  SeedReplayConfig config = config_of (1000);
  g_autoptr (SeedReplay) replay = NULL;
  guint64 least = G_MAXUINT64;

  config.capacity_bytes = 20 * (1000 + SEED_REPLAY_OVERHEAD);
  replay = seed_replay_new (&config);
  for (guint i = 0; i < 3000; i++) {
    live_frame (replay, i % 3 ? "a" : "b", i, 200 + i % 5 * 400, NULL);
    g_assert_cmpuint (seed_replay_n_bytes (replay), <=, config.capacity_bytes);
    if (i > 200)
      least = MIN (least, seed_replay_n_bytes (replay));
  }
  g_assert_cmpuint (least, >, config.capacity_bytes / 2);
  g_assert_cmpuint (stream_info (replay, "b").held, >, 5);
  g_assert_false (seed_replay_offer (replay, "a", config.capacity_bytes)); /* never */
}

static void
test_live_share (void)
{
  static const double shares[] = { 1, 0.75, 0.5, 0.3, 0.25, 1.0 / 3, 0.1 };

  for (guint s = 0; s < G_N_ELEMENTS (shares); s++) {
    SeedReplayConfig config = config_of (64);
    g_autoptr (SeedReplay) replay = NULL;
    g_autoptr (GString) outputs = g_string_new (NULL); /* L: live, M: memory */

    config.live_share = shares[s];
    replay = seed_replay_new (&config);
    for (guint i = 0; i < 64; i++)
      live_frame (replay, "a", i, PIXELS, NULL);
    while (outputs->len < 6000) {
      seed_replay_change_clear (replay);
      live_frame (replay, "a", outputs->len, PIXELS, NULL);
      g_string_append_c (outputs, 'L');
      for (guint n = seed_replay_get_change (replay)->drawn->len; n > 0; n--)
        g_string_append_c (outputs, 'M');
    }
    for (guint batch = 1; batch <= 64; batch++) {
      guint most = (guint) ceil (shares[s] * batch - 1e-9);

      for (gsize at = outputs->len / 2; at + batch <= outputs->len; at++) {
        guint live = 0;

        for (guint i = 0; i < batch; i++)
          live += outputs->str[at + i] == 'L';
        g_assert_cmpuint (live, <=, most);
        g_assert_cmpuint (live + 1, >=, most); /* no more from memory than asked for, either */
      }
    }
  }
}

static void
test_warm_up (void)
{
  SeedReplayConfig config = config_of (100);
  g_autoptr (SeedReplay) replay = NULL;
  g_autoptr (GString) drawn = g_string_new (NULL);

  config.warm_up = 20;
  replay = seed_replay_new (&config);
  for (guint i = 0; i < 19; i++)
    live_frame (replay, "a", i, PIXELS, drawn);
  g_assert_cmpstr (drawn->str, ==, "");
  live_frame (replay, "a", 19, PIXELS, drawn);
  g_assert_cmpuint (drawn->len, >, 0);

  g_clear_pointer (&replay, seed_replay_free); /* one that cannot hold as many */
  config.capacity = 10;
  replay = seed_replay_new (&config);
  for (guint i = 0; i < 10; i++)
    live_frame (replay, "a", i, PIXELS, NULL);
  g_assert_true (seed_replay_is_warm (replay));
}

/* No frame comes again before half of the memory has had its turn, and all come as often. */
static void
test_draws (void)
{
  enum { HELD = 50, DRAWS = 20000 };
  SeedReplayConfig config = config_of (HELD);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);
  guint counts[HELD] = { 0 }, last[HELD] = { 0 };

  for (guint i = 0; i < HELD; i++)
    live_frame (replay, "a", i, PIXELS, NULL);
  for (guint n = 1; n <= DRAWS; n++) {
    const SeedRemembered *due;

    seed_replay_live (replay);
    due = seed_replay_draw (replay);
    g_assert_nonnull (due);
    g_assert_true (last[due->frame] == 0 || n - last[due->frame] > HELD / 2 - 1);
    last[due->frame] = n;
    counts[due->frame]++;
    g_assert_null (seed_replay_draw (replay));
  }
  for (guint i = 0; i < HELD; i++)
    g_assert_cmpfloat_with_epsilon (counts[i], DRAWS / HELD, 60);
}

/* Of what comes from memory while frames from @n_past on are live, the share that is from before.
 */
static double
share_of_past (SeedReplay *replay, const char *stream, guint n_past, guint n_live)
{
  guint past = 0, all = 0;

  for (guint i = n_past; i < n_past + n_live; i++) {
    const SeedRemembered *due;

    if (seed_replay_offer (replay, stream, PIXELS)) {
      SeedRemembered frame = new_frame (stream, i, PIXELS);

      seed_replay_store (replay, &frame);
    }
    seed_replay_live (replay);
    for (; (due = seed_replay_draw (replay)); all++)
      past += due->frame < n_past;
  }
  g_assert_cmpuint (all, ==, n_live);
  return (double) past / all;
}

/*
 * What keeps a student from forgetting: after a scene of n frames comes another one. Of a uniform
 * past of n + t frames n are of the first scene; over t = 0..n that is ln 2 of them, and somewhat
 * more since a new frame waits until half of the memory has had its turn. When the second scene is
 * a stream of its own the first, which has ended, has a third of the memory.
 */
static void
test_next_scene (void)
{
  enum { SCENE = 1000, CAPACITY = 120, RUNS = 40 };
  const double wait = 0.5 * CAPACITY / SCENE;
  double same = 0, other = 0;

  for (guint run = 0; run < RUNS; run++) {
    for (guint other_stream = 0; other_stream < 2; other_stream++) {
      SeedReplayConfig config = config_of (CAPACITY);
      g_autoptr (SeedReplay) replay = NULL;

      config.seed = run;
      replay = seed_replay_new (&config);
      for (guint i = 0; i < SCENE; i++)
        live_frame (replay, "a", i, PIXELS, NULL);
      if (other_stream) {
        seed_replay_stream_down (replay, "a");
        share_of_past (replay, "b", SCENE, SCENE); /* until each holds what is due to it */
        other += share_of_past (replay, "b", SCENE, SCENE) / RUNS;
        g_assert_cmpuint (stream_info (replay, "a").held, ==, CAPACITY / 3);
      } else {
        same += share_of_past (replay, "a", SCENE, SCENE) / RUNS;
      }
    }
  }
  g_assert_cmpfloat_with_epsilon (same, wait + log (2 - wait), 0.02);
  g_assert_cmpfloat_with_epsilon (other, 1 / 3.0, 0.02);
}

static void
test_repeat_counts (void)
{
  SeedReplayConfig config = config_of (4);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);
  guint repeats[4] = { 0 };

  for (guint i = 0; i < 4; i++)
    live_frame (replay, "a", i, PIXELS, NULL);
  for (guint i = 0; i < 4; i++)
    repeats[seed_replay_get (replay, i)->frame] = seed_replay_get (replay, i)->repeat;
  for (guint i = 0; i < 100; i++) {
    const SeedRemembered *due;

    seed_replay_live (replay);
    due = seed_replay_draw (replay);
    g_assert_cmpuint (due->repeat, ==, ++repeats[due->frame]);
  }
}

static void
test_shuffle (void)
{
  SeedReplayConfig config = config_of (16);
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);
  guint32 order[16], places[16][16] = { 0 };

  for (guint i = 0; i < 16; i++)
    live_frame (replay, "a", i, PIXELS, NULL);
  for (guint run = 0; run < 8000; run++) {
    guint seen = 0;

    seed_replay_shuffle (replay, order);
    for (guint i = 0; i < 16; i++) {
      seen |= 1u << order[i];
      places[i][order[i]]++;
    }
    g_assert_cmphex (seen, ==, 0xffff);
  }
  for (guint i = 0; i < 16; i++)
    for (guint j = 0; j < 16; j++)
      g_assert_cmpfloat_with_epsilon (places[i][j], 500, 120);
}

static char *
run_of (guint64 seed)
{
  SeedReplayConfig config = config_of (32);
  g_autoptr (SeedReplay) replay = NULL;
  GString *drawn = g_string_new (NULL);

  config.seed = seed;
  config.live_share = 0.4;
  replay = seed_replay_new (&config);
  for (guint i = 0; i < 400; i++)
    live_frame (replay, i % 3 ? "a" : "b", i, PIXELS, drawn);
  return g_string_free (drawn, FALSE);
}

static void
test_reproducible (void)
{
  g_autofree char *one = run_of (5), *two = run_of (5), *other = run_of (6);

  g_assert_cmpstr (one, ==, two);
  g_assert_cmpstr (one, !=, other);
  /* on every machine: what it was when this was written */
  if (!g_str_has_prefix (one, EXPECTED_DRAWS))
    g_error ("%.80s", one);
}

static void
test_duplicates (void)
{
  SeedReplayConfig config = config_of (32);
  g_autoptr (SeedReplay) replay = NULL;
  SeedRemembered frame = new_frame ("a", 3, PIXELS), other = new_frame ("a", 90, PIXELS);
  SeedSignature same = frame.signature, else_ = other.signature;

  config.likeness = 0.94;
  replay = seed_replay_new (&config);
  g_assert_false (seed_replay_is_duplicate (replay, "a", &same));
  g_assert_true (seed_replay_offer (replay, "a", PIXELS));
  seed_replay_store (replay, &frame);
  g_assert_true (seed_replay_is_duplicate (replay, "a", &same));
  g_assert_false (seed_replay_is_duplicate (replay, "a", &else_));
  g_assert_false (seed_replay_is_duplicate (replay, "b", &same)); /* another camera's */
  g_assert_cmpuint (stream_info (replay, "a").duplicates, ==, 1);
  seed_remembered_clear (&other);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/replay/uniform", test_uniform);
  g_test_add_func ("/replay/uniform-shared", test_uniform_shared);
  g_test_add_func ("/replay/quotas", test_quotas);
  g_test_add_func ("/replay/more-streams-than-room", test_more_streams_than_room);
  g_test_add_func ("/replay/streams-come-and-go", test_streams_come_and_go);
  g_test_add_func ("/replay/bytes", test_bytes);
  g_test_add_func ("/replay/live-share", test_live_share);
  g_test_add_func ("/replay/warm-up", test_warm_up);
  g_test_add_func ("/replay/draws", test_draws);
  g_test_add_func ("/replay/next-scene", test_next_scene);
  g_test_add_func ("/replay/repeat-counts", test_repeat_counts);
  g_test_add_func ("/replay/shuffle", test_shuffle);
  g_test_add_func ("/replay/reproducible", test_reproducible);
  g_test_add_func ("/replay/duplicates", test_duplicates);
  return g_test_run ();
}
