/* SPDX-License-Identifier: MIT */
#include <gst/check/gsttestclock.h>

#include "test-harness.h"

/* --- batches -----------------------------------------------------------------------------------
 */

static void
test_batch_and_eos (void)
{
  static const char *const streams[] = { "a", "b", "a", "b" };
  static const guint64 numbers[] = { 10, 11, 12, 13, 14, 15 };
  GstHarness *h = new_harness ("seedpatchify batch=4 image-size=32 patch-size=16 views=2", NULL);
  const gsize item = 2 * 3 * 32 * 32;
  GstBuffer *out;

  gst_harness_set_src_caps_str (h, SMALL);
  for (guint i = 0; i < 6; i++)
    gst_harness_push (h, small_frame ((guint8) (20 * i), streams[i % 2], numbers[i]));
  assert_ledger (h, "a", 3, 2, SEED_DROP_ERROR, 0); /* one in flight */
  g_assert_cmpuint (gst_harness_buffers_in_queue (h), ==, 1);
  out = gst_harness_pull (h);
  g_assert_cmpuint (gst_buffer_get_size (out), ==, 4 * item);
  g_assert_cmpuint (GST_BUFFER_OFFSET (out), ==, 0);
  g_assert_cmpuint (GST_BUFFER_PTS (out), ==, 10 * GST_SECOND);
  assert_items (out, 4, streams, numbers);
  for (guint i = 0; i < 4; i++)
    assert_item_value (out, i, item, (guint8) (20 * i));
  gst_buffer_unref (out);

  g_assert_true (gst_harness_push_event (h, gst_event_new_eos ()));
  out = gst_harness_pull (h);
  g_assert_cmpuint (gst_buffer_get_size (out), ==, 2 * item);
  g_assert_cmpuint (GST_BUFFER_OFFSET (out), ==, 1);
  g_assert_cmpuint (GST_BUFFER_PTS (out), ==, 14 * GST_SECOND);
  assert_items (out, 2, streams, numbers + 4);
  assert_item_value (out, 1, item, 100);
  gst_buffer_unref (out);
  assert_ledger (h, "a", 3, 3, SEED_DROP_ERROR, 0);
  assert_ledger (h, "b", 3, 3, SEED_DROP_ERROR, 0);
  g_assert_cmpuint (get_stat (h, "batches"), ==, 2);
  g_assert_cmpuint (get_stat (h, "partial-batches"), ==, 1);
  gst_harness_teardown (h);
}

/* A short buffer that went back to the pool comes out at full size again. */
static void
test_pool_after_short_batch (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=3 image-size=32", NULL);
  GstSegment segment;

  gst_harness_set_src_caps_str (h, SMALL);
  for (guint round = 0; round < 3; round++) {
    for (guint i = 0; i < 4; i++)
      gst_harness_push (h, small_frame (9, "a", 4 * round + i));
    gst_segment_init (&segment, GST_FORMAT_TIME);
    segment.base = (round + 1) * GST_SECOND; /* another segment: the rest goes out first */
    gst_harness_push_event (h, gst_event_new_segment (&segment));
    for (guint i = 0; i < 2; i++) {
      GstBuffer *out = gst_harness_pull (h);

      g_assert_cmpuint (gst_buffer_get_size (out), ==, (i == 0 ? 3 : 1) * 3 * 32 * 32);
      g_assert_cmpuint (seed_buffer_n_stream_meta (out), ==, i == 0 ? 3 : 1);
      gst_buffer_unref (out);
    }
  }
  gst_harness_teardown (h);
}

static void
test_frames_without_meta (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=2 image-size=32", NULL);
  gpointer state = NULL;
  SeedStreamMeta *meta;
  GstBuffer *out;

  gst_harness_set_src_caps_str (h, SMALL);
  gst_harness_push (h, small_frame (1, NULL, 3));
  out = gst_harness_push_and_pull (h, small_frame (2, NULL, 4));
  for (guint i = 0; i < 2; i++) {
    meta = seed_buffer_iterate_stream_meta (out, &state);
    g_assert_cmpstr (meta->stream, ==, "-");
    g_assert_cmpuint (meta->frame, ==, i);
    g_assert_cmpuint (meta->pts, ==, (3 + i) * GST_SECOND);
    g_assert_cmpint (meta->capture_ns, >, G_GINT64_CONSTANT (1600000000) * GST_SECOND);
    g_assert_cmpint (meta->label, ==, -1);
  }
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

/* Two cameras of different size, format and colour on one pad: one batch, one src caps. */
static void
test_interleaved_caps (void)
{
  static const char *const streams[] = { "rgb", "yuv", "rgb", "yuv" };
  static const guint64 numbers[] = { 1, 2, 3, 4 };
  GstHarness *h = new_harness ("seedpatchify batch=4 image-size=32", NULL);
  GstBuffer *out;
  guint n_caps = 0;

  for (guint round = 0; round < 10; round++) {
    for (guint i = 0; i < 4; i++) {
      GstBuffer *in = i % 2 == 0 ? small_frame (50, streams[i], numbers[i]) : NULL;

      gst_harness_set_src_caps_str (
          h, i % 2 == 0
                 ? SMALL
                 : "video/x-raw,format=I420,width=64,height=48,framerate=5/1,colorimetry=1:4:0:0");
      if (!in) /* full range: grey passes as it is */
        in = new_frame (64 * 48 * 3 / 2, 128, streams[i], numbers[i]);
      g_assert_cmpint (gst_harness_push (h, in), ==, GST_FLOW_OK);
    }
    out = gst_harness_pull (h);
    g_assert_cmpuint (GST_BUFFER_OFFSET (out), ==, round);
    assert_items (out, 4, streams, numbers);
    assert_item_value (out, 0, 3 * 32 * 32, 50);
    assert_item_value (out, 1, 3 * 32 * 32, 128);
    assert_item_value (out, 2, 3 * 32 * 32, 50);
    gst_buffer_unref (out);
  }
  while (gst_harness_events_in_queue (h) > 0) {
    g_autoptr (GstEvent) event = gst_harness_pull_event (h);

    n_caps += GST_EVENT_TYPE (event) == GST_EVENT_CAPS;
  }
  g_assert_cmpuint (n_caps, ==, 1);
  g_assert_cmpuint (get_stat (h, "partial-batches"), ==, 0);
  gst_harness_teardown (h);
}

static void
test_deadline (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=4 batch-deadline-ms=40 image-size=32", NULL);
  GstTestClock *clock;
  GstBuffer *out;

  gst_harness_use_testclock (h);
  clock = gst_harness_get_testclock (h);
  gst_harness_set_src_caps_str (h, SMALL);
  for (guint round = 0; round < 2; round++) {
    GstClockTime begin = gst_clock_get_time (GST_CLOCK (clock));

    gst_harness_push (h, small_frame (1, "a", 0));
    gst_test_clock_wait_for_next_pending_id (clock, NULL);
    g_assert_cmpuint (gst_test_clock_get_next_entry_time (clock), ==, begin + 40 * GST_MSECOND);
    gst_test_clock_advance_time (clock, 39 * GST_MSECOND);
    gst_harness_push (h, small_frame (1, "a", 1));
    g_assert_cmpuint (gst_harness_buffers_in_queue (h), ==, 0);
    g_assert_true (gst_test_clock_crank (clock));
    out = gst_harness_pull (h);
    g_assert_cmpuint (seed_buffer_n_stream_meta (out), ==, 2);
    g_assert_cmpuint (GST_BUFFER_OFFSET (out), ==, 2 * round);
    gst_buffer_unref (out);

    /* a full batch needs no deadline and calls its own off */
    for (guint i = 0; i < 4; i++)
      gst_harness_push (h, small_frame (1, "a", i));
    out = gst_harness_pull (h);
    g_assert_cmpuint (seed_buffer_n_stream_meta (out), ==, 4);
    gst_buffer_unref (out);
  }
  g_assert_cmpuint (get_stat (h, "deadline-batches"), ==, 2);
  assert_ledger (h, "a", 12, 12, SEED_DROP_ERROR, 0);
  gst_object_unref (clock);
  gst_harness_teardown (h);
}

/* Stopped, flushed and torn down with a deadline running: nothing hangs, nothing comes out. */
static void
test_deadline_called_off (void)
{
  GstHarness *h =
      new_harness ("seedpatchify batch=4 batch-deadline-ms=3600000 image-size=32", NULL);

  gst_harness_set_src_caps_str (h, SMALL);
  gst_harness_push (h, small_frame (1, "a", 0));
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  assert_ledger (h, "a", 1, 0, SEED_DROP_FLUSHED, 1);
  gst_harness_push_event (h, gst_event_new_eos ());
  g_assert_cmpuint (gst_harness_buffers_in_queue (h), ==, 0);
  gst_harness_teardown (h);
}

static void
test_flush (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=4 image-size=32", NULL);
  GstSegment segment;
  GstBuffer *out;

  gst_harness_set_src_caps_str (h, SMALL);
  for (guint i = 0; i < 3; i++)
    gst_harness_push (h, small_frame (1, "a", i));
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  assert_ledger (h, "a", 3, 0, SEED_DROP_FLUSHED, 3);

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  for (guint i = 0; i < 4; i++)
    g_assert_cmpint (gst_harness_push (h, small_frame (2, "a", 10 + i)), ==, GST_FLOW_OK);
  out = gst_harness_pull (h);
  g_assert_cmpuint (GST_BUFFER_PTS (out), ==, 10 * GST_SECOND);
  g_assert_cmpuint (GST_BUFFER_OFFSET (out), ==, 0);
  assert_item_value (out, 0, 3 * 32 * 32, 2);
  gst_buffer_unref (out);
  assert_ledger (h, "a", 7, 4, SEED_DROP_FLUSHED, 3);
  gst_harness_teardown (h);
}

static void
test_stop_and_start (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=2 image-size=32", NULL);
  g_autoptr (GstElement) element = patchify_of (h);
  GstBuffer *out;

  for (guint64 round = 0; round < 3; round++) {
    GstSegment segment;

    gst_segment_init (&segment, GST_FORMAT_TIME);
    gst_harness_push_event (h, gst_event_new_stream_start ("again"));
    gst_harness_set_src_caps_str (h, SMALL);
    gst_harness_push_event (h, gst_event_new_segment (&segment));
    gst_harness_push (h, small_frame (1, "a", 0));
    out = gst_harness_push_and_pull (h, small_frame (1, "a", 1));
    g_assert_cmpuint (GST_BUFFER_OFFSET (out), ==, 0);
    gst_buffer_unref (out);
    gst_harness_push (h, small_frame (1, "a", 2));
    g_assert_cmpint (
        gst_element_set_state (element, GST_STATE_READY), ==, GST_STATE_CHANGE_SUCCESS);
    assert_ledger (h, "a", 3 * (round + 1), 2 * (round + 1), SEED_DROP_FLUSHED, round + 1);
    gst_element_set_state (element, GST_STATE_PLAYING);
  }
  gst_harness_teardown (h);
}

/* --- renegotiation -----------------------------------------------------------------------------
 */

static void
test_downstream_changes_its_mind (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=2", PATCHES ",image-size=32,patch-size=16");
  GstBuffer *out;

  gst_harness_set_src_caps_str (h, SMALL);
  gst_harness_push (h, small_frame (1, "a", 0));

  /* the old geometry is not taken any more: what is held is dropped */
  gst_harness_set_sink_caps_str (h, PATCHES ",image-size=64,patch-size=16");
  gst_pad_push_event (h->sinkpad, gst_event_new_reconfigure ());
  gst_harness_push (h, small_frame (1, "a", 1));
  assert_ledger (h, "a", 2, 0, SEED_DROP_FLUSHED, 1);
  out = gst_harness_push_and_pull (h, small_frame (1, "a", 2));
  g_assert_cmpuint (gst_buffer_get_size (out), ==, 2 * 3 * 64 * 64);
  gst_buffer_unref (out);
  assert_caps (h, PATCHES ",image-size=64,patch-size=16,views=1,batch=2,fit=squash,"
                          "interpolation=bilinear");
  gst_harness_teardown (h);
}

static void
test_property_changed_in_mid_batch (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=3 image-size=32", NULL);
  g_autoptr (GstElement) element = patchify_of (h);
  GstBuffer *out;

  gst_harness_set_src_caps_str (h, SMALL);
  gst_harness_push (h, small_frame (1, "a", 0));
  g_object_set (element, "image-size", 64, "batch", 1, NULL);
  gst_harness_push (h, small_frame (1, "a", 1));
  out = gst_harness_pull (h); /* the old geometry is still taken: goes out as it is */
  g_assert_cmpuint (gst_buffer_get_size (out), ==, 3 * 32 * 32);
  gst_buffer_unref (out);
  out = gst_harness_pull (h);
  g_assert_cmpuint (gst_buffer_get_size (out), ==, 3 * 64 * 64);
  gst_buffer_unref (out);
  assert_ledger (h, "a", 2, 2, SEED_DROP_FLUSHED, 0);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  load_plugin ();
  g_test_add_func ("/seedpatchify/batch-and-eos", test_batch_and_eos);
  g_test_add_func ("/seedpatchify/pool-after-short-batch", test_pool_after_short_batch);
  g_test_add_func ("/seedpatchify/frames-without-meta", test_frames_without_meta);
  g_test_add_func ("/seedpatchify/interleaved-caps", test_interleaved_caps);
  g_test_add_func ("/seedpatchify/deadline", test_deadline);
  g_test_add_func ("/seedpatchify/deadline-called-off", test_deadline_called_off);
  g_test_add_func ("/seedpatchify/flush", test_flush);
  g_test_add_func ("/seedpatchify/stop-and-start", test_stop_and_start);
  g_test_add_func ("/seedpatchify/downstream-changes", test_downstream_changes_its_mind);
  g_test_add_func ("/seedpatchify/property-changes", test_property_changed_in_mid_batch);
  return g_test_run ();
}
