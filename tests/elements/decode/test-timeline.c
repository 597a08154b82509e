/* SPDX-License-Identifier: MIT */
#include <glib.h>

#include "decode/meter.h"
#include "decode/sender-report.h"
#include "decode/timeline.h"

#define NONE G_MAXUINT64
#define S G_GUINT64_CONSTANT (1000000000)
#define FRAME (S / 25)

static void
test_file_passes (void)
{
  SeedTimeline timeline;

  seed_timeline_init (&timeline);
  for (guint pass = 0; pass < 3; pass++) {
    seed_timeline_begin_session (&timeline);
    for (guint i = 0; i < 10; i++)
      g_assert_cmpuint (seed_timeline_next (&timeline, i * FRAME, i % 2 ? FRAME : NONE, NONE), ==,
          (pass * 10 + i) * FRAME);
  }
}

/* The last frame of a session has no length of its own: it gets that of the frame before it. */
static void
test_file_without_lengths (void)
{
  SeedTimeline timeline;

  seed_timeline_init (&timeline);
  seed_timeline_begin_session (&timeline);
  for (guint i = 0; i < 10; i++)
    seed_timeline_next (&timeline, i * FRAME, NONE, NONE);
  seed_timeline_begin_session (&timeline);
  g_assert_cmpuint (seed_timeline_next (&timeline, 0, NONE, NONE), ==, 10 * FRAME);
  g_assert_cmpuint (seed_timeline_next (&timeline, NONE, NONE, NONE), ==, NONE);
}

/* A camera's times are running times: an outage is a gap as long as it was. */
static void
test_camera (void)
{
  SeedTimeline timeline;

  seed_timeline_init (&timeline);
  seed_timeline_begin_session (&timeline);
  g_assert_cmpuint (seed_timeline_next (&timeline, 2 * S, FRAME, 2 * S + S / 5), ==, 2 * S);
  g_assert_cmpuint (seed_timeline_next (&timeline, 3 * S, FRAME, 3 * S + S / 5), ==, 3 * S);
  seed_timeline_begin_session (&timeline);
  g_assert_cmpuint (seed_timeline_next (&timeline, 60 * S, FRAME, 60 * S + S / 5), ==, 60 * S);
}

/* A sender that starts at 0, or anywhere, with every connection. */
static void
test_sender_at_zero (void)
{
  SeedTimeline timeline;

  seed_timeline_init (&timeline);
  for (guint session = 1; session < 5; session++) {
    guint64 start = 100 * S * session;

    seed_timeline_begin_session (&timeline);
    for (guint i = 0; i < 100; i++)
      g_assert_cmpuint (seed_timeline_next (&timeline, i * FRAME, FRAME, start + i * FRAME + i % 3),
          ==, start + i * FRAME);
  }
}

/* Back in time within a session: a little repeats a time, much starts anew, and then it goes on. */
static void
test_steps_back (void)
{
  SeedTimeline timeline;

  seed_timeline_init (&timeline);
  seed_timeline_begin_session (&timeline);
  g_assert_cmpuint (seed_timeline_next (&timeline, 50 * S, FRAME, 50 * S), ==, 50 * S);
  g_assert_cmpuint (seed_timeline_next (&timeline, 50 * S - FRAME, FRAME, 50 * S), ==, 50 * S);
  g_assert_cmpuint (seed_timeline_next (&timeline, S, FRAME, 52 * S), ==, 52 * S);
  g_assert_cmpuint (seed_timeline_next (&timeline, 2 * S, FRAME, 53 * S), ==, 53 * S);

  seed_timeline_init (&timeline);
  seed_timeline_begin_session (&timeline);
  g_assert_cmpuint (seed_timeline_next (&timeline, 50 * S, FRAME, NONE), ==, 50 * S);
  g_assert_cmpuint (seed_timeline_next (&timeline, S, FRAME, NONE), ==, 50 * S + FRAME);
  g_assert_cmpuint (seed_timeline_next (&timeline, 2 * S, FRAME, NONE), ==, 51 * S + FRAME);
}

/* A live sender that runs ahead of the clock, and one without times. */
static void
test_ahead (void)
{
  SeedTimeline timeline;

  seed_timeline_init (&timeline);
  seed_timeline_begin_session (&timeline);
  g_assert_cmpuint (seed_timeline_next (&timeline, 5 * S, FRAME, 5 * S), ==, 5 * S);
  g_assert_cmpuint (seed_timeline_next (&timeline, 14 * S, FRAME, 5 * S), ==, 14 * S);
  g_assert_cmpuint (seed_timeline_next (&timeline, 900 * S, FRAME, 16 * S), ==, 16 * S);
  g_assert_cmpuint (seed_timeline_next (&timeline, NONE, NONE, 17 * S), ==, 17 * S);
}

static void
test_never_back (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (11);

  for (guint trial = 0; trial < 200; trial++) {
    gboolean live = trial % 2;
    guint64 last = 0, now = 0;
    SeedTimeline timeline;

    seed_timeline_init (&timeline);
    for (guint i = 0; i < 500; i++) {
      guint64 running = g_rand_int_range (rand, 0, 100000) * (S / 1000), time;

      now += g_rand_int_range (rand, 0, 1000) * (S / 1000);
      if (i % 50 == 0)
        seed_timeline_begin_session (&timeline);
      time = seed_timeline_next (&timeline, running, i % 3 ? FRAME : NONE, live ? now : NONE);
      g_assert_cmpuint (time, >=, last);
      if (live) /* and it does not run away from the clock */
        g_assert_cmpuint (time, <=, now + 10 * S);
      last = time;
    }
  }
}

static void
test_meter (void)
{
  SeedMeter meter;
  gint64 now = 5300;

  seed_meter_init (&meter);
  g_assert_cmpfloat (seed_meter_rate (&meter, now), ==, 0);
  for (guint i = 0; i < 250; i++, now += 40) /* 25 a second, for 10 s */
    seed_meter_count (&meter, now);
  g_assert_cmpfloat_with_epsilon (seed_meter_rate (&meter, now), 25, 0.01);
  g_assert_cmpfloat_with_epsilon (seed_meter_rate (&meter, now + 3000), 10, 3);
  g_assert_cmpfloat (seed_meter_rate (&meter, now + 7000), ==, 0);
  seed_meter_count (&meter, now + 1000000);
  g_assert_cmpfloat (seed_meter_rate (&meter, now + 1000000), ==, 0);
  g_assert_cmpfloat_with_epsilon (seed_meter_rate (&meter, now + 1001000), 0.2, 0.001);
}

static void
test_sender_report (void)
{
  guint8 packet[28] = { 0x80, 200, 0, 6, 1, 2, 3, 4, 0x83, 0xaa, 0x7e, 0x81, 0x80, 0, 0, 0 };
  gint64 ns = 0;

  g_assert_true (seed_sender_report_parse (packet, sizeof packet, &ns));
  g_assert_cmpint (ns, ==, 1500000000); /* 1970 was 0x83aa7e80 s after 1900 */
  for (gsize size = 0; size < sizeof packet; size++)
    g_assert_false (seed_sender_report_parse (packet, size, &ns));
  packet[1] = 201;
  g_assert_false (seed_sender_report_parse (packet, sizeof packet, &ns));
  packet[1] = 200;
  packet[0] = 0x40;
  g_assert_false (seed_sender_report_parse (packet, sizeof packet, &ns));
  packet[0] = 0x80;
  packet[8] = 0x01; /* a sender that counts from its start */
  g_assert_false (seed_sender_report_parse (packet, sizeof packet, &ns));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/timeline/file-passes", test_file_passes);
  g_test_add_func ("/timeline/file-without-lengths", test_file_without_lengths);
  g_test_add_func ("/timeline/camera", test_camera);
  g_test_add_func ("/timeline/sender-at-zero", test_sender_at_zero);
  g_test_add_func ("/timeline/steps-back", test_steps_back);
  g_test_add_func ("/timeline/ahead", test_ahead);
  g_test_add_func ("/timeline/never-back", test_never_back);
  g_test_add_func ("/timeline/meter", test_meter);
  g_test_add_func ("/timeline/sender-report", test_sender_report);
  return g_test_run ();
}
