/* SPDX-License-Identifier: MIT */
#include "core/event.h"
#include "harness.h"

/* core/event.c is the plugin's own; its events by hand. */
static GstEvent *
agreement (double value, guint64 step, const char *stream)
{
  GstStructure *s = gst_structure_new (SEED_AGREEMENT_EVENT_NAME, "agreement", G_TYPE_DOUBLE, value,
      "step", G_TYPE_UINT64, step, NULL);

  if (stream)
    gst_structure_set (s, "stream", G_TYPE_STRING, stream, NULL);
  return gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, s);
}

static void
test_warm_up_then_half (void)
{
  GstHarness *h = new_harness ("seedreplay warm-up=4", SMALL);
  g_autofree char *cold = NULL, *warm = NULL;
  guint n_live = 0, n_remembered = 0;

  push_frames (h, 40 * 32, "a", 0, 3);
  cold = take_outputs (h);
  g_assert_cmpstr (cold, ==, "a0 a1 a2 ");
  push_frames (h, 40 * 32, "a", 3, 103);
  warm = take_outputs (h);
  for (char **word = g_strsplit (g_strchomp (warm), " ", -1), **w = word;; w++) {
    if (!*w) {
      g_strfreev (word);
      break;
    }
    if (strchr (*w, '.'))
      n_remembered++;
    else
      n_live++;
    g_assert_cmpint (!!strchr (*w, '.'), ==, (w - word) % 2); /* one and one */
  }
  g_assert_cmpuint (n_live, ==, 100);
  g_assert_cmpuint (n_remembered, ==, 100);
  g_assert_cmpuint (get_stat (h, "held"), ==, 103);
  g_assert_cmpuint (get_stat (h, "live"), ==, 103);
  g_assert_cmpuint (get_stat (h, "replayed"), ==, 100);
  assert_ledger (h, "a", 203, 203, SEED_DROP_ERROR, 0);
  gst_harness_teardown (h);
}

/* All of what a remembered frame was, but for its repeat and the buffer's time. */
static void
test_meta_survives (void)
{
  GstHarness *h = new_harness ("seedreplay warm-up=1 max-size=0", SMALL);
  guint last[20] = { 0 }, n = 0;

  for (guint64 i = 0; i < 20; i++) {
    GstBuffer *buffer;

    push_frames (h, 40 * 32, "a", i, i + 1);
    while ((buffer = gst_harness_try_pull (h))) {
      const SeedStreamMeta *meta = meta_of (buffer);
      g_autoptr (GstBuffer) original = new_frame (40 * 32, "a", meta->frame);
      const SeedStreamMeta *expected = meta_of (original);
      GstMapInfo x, y;

      g_assert_cmpuint (meta->pts, ==, expected->pts);
      g_assert_cmpint (meta->capture_ns, ==, expected->capture_ns);
      g_assert_cmpint (meta->label, ==, expected->label);
      g_assert_cmpuint (meta->dropped, ==, expected->dropped);
      g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, i * 40 * GST_MSECOND);
      if (meta->frame < i || meta->repeat > 0) {
        g_assert_cmpuint (meta->repeat, ==, ++last[meta->frame]);
        n++;
      }
      gst_buffer_map (buffer, &x, GST_MAP_READ);
      gst_buffer_map (original, &y, GST_MAP_READ);
      g_assert_cmpmem (x.data, x.size, y.data, y.size);
      gst_buffer_unmap (original, &y);
      gst_buffer_unmap (buffer, &x);
      gst_buffer_unref (buffer);
    }
  }
  g_assert_cmpuint (n, ==, 20);
  gst_harness_teardown (h);
}

/* The same frame, live and three times from memory: other crops each time. */
static void
test_repeats_are_cropped_anew (void)
{
  GstHarness *h = new_harness ("seedreplay warm-up=1 live-share=0.25 ! "
                               "seedpatchify image-size=32 augment=true views=2",
      SMALL);
  GstBuffer *words[4];

  push_frames (h, 40 * 32, "a", 3, 4);
  for (guint n = 0; n < G_N_ELEMENTS (words); n++) {
    words[n] = gst_harness_pull (h);
    g_assert_cmpuint (meta_of (words[n])->frame, ==, 3);
    g_assert_cmpuint (meta_of (words[n])->repeat, ==, n);
    for (guint m = 0; m < n; m++) {
      GstMapInfo map;

      gst_buffer_map (words[m], &map, GST_MAP_READ);
      g_assert_cmpint (gst_buffer_memcmp (words[n], 0, map.data, map.size), !=, 0);
      gst_buffer_unmap (words[m], &map);
    }
  }
  for (guint n = 0; n < G_N_ELEMENTS (words); n++)
    gst_buffer_unref (words[n]);
  gst_harness_teardown (h);
}

static void
test_without_meta (void)
{
  GstHarness *h = new_harness ("seedreplay warm-up=2", SMALL);
  g_autofree char *out = NULL;

  push_frames (h, 40 * 32, NULL, 0, 3);
  out = take_outputs (h);
  g_assert_true (g_str_has_prefix (out, "-0 -1 -0.1 -2 -"));
  assert_ledger (h, "-", 5, 5, SEED_DROP_ERROR, 0);
  gst_harness_teardown (h);
}

static char *
outputs_of (const char *launch)
{
  GstHarness *h = new_harness (launch, SMALL);
  char *out;

  for (guint64 i = 0; i < 300; i++)
    push_frames (h, 40 * 32, i % 3 ? "a" : "b", i, i + 1);
  out = take_outputs (h);
  gst_harness_teardown (h);
  return out;
}

static void
test_reproducible (void)
{
  const char *launch = "seedreplay capacity=20 live-share=0.3 seed=4";
  g_autofree char *one = outputs_of (launch), *two = outputs_of (launch),
                  *other = outputs_of ("seedreplay capacity=20 live-share=0.3 seed=5");

  g_assert_cmpstr (one, ==, two);
  g_assert_cmpstr (one, !=, other);
}

static void
test_duplicates (void)
{
  GstHarness *h = new_harness ("seedreplay duplicates=pass", SMALL);

  for (guint i = 0; i < 10; i++)
    push_frames (h, 40 * 32, "a", 7, 8);
  g_assert_cmpuint (get_stat (h, "held"), ==, 1);
  g_assert_cmpuint (get_stat (h, "duplicates"), ==, 9);
  assert_ledger (h, "a", 10, 10, SEED_DROP_DUPLICATE, 0);
  gst_harness_teardown (h);

  h = new_harness ("seedreplay duplicates=drop", SMALL);
  for (guint i = 0; i < 10; i++)
    push_frames (h, 40 * 32, "a", 7, 8);
  push_frames (h, 40 * 32, "a", 8, 9);
  push_frames (h, 40 * 32, "b", 7, 8); /* one camera's sight is not another's */
  g_assert_cmpuint (get_stat (h, "held"), ==, 3);
  assert_ledger (h, "a", 11, 2, SEED_DROP_DUPLICATE, 9);
  assert_ledger (h, "b", 1, 1, SEED_DROP_DUPLICATE, 0);
  gst_harness_teardown (h);

  h = new_harness ("seedreplay duplicate-likeness=1 live-share=1", SMALL);
  for (guint i = 0; i < 10; i++)
    push_frames (h, 40 * 32, "a", 7, 8);
  g_assert_cmpuint (get_stat (h, "held"), ==, 10);
  gst_harness_teardown (h);
}

static guint
count_advice (GstHarness *h)
{
  GstEvent *event;
  guint n = 0;

  while ((event = gst_harness_try_pull_upstream_event (h))) {
    n += GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_UPSTREAM;
    gst_event_unref (event);
  }
  return n;
}

static void
test_stride (void)
{
  GstHarness *h = new_harness ("seedreplay stride=auto min-stride=4 max-stride=16 agree=0.7 "
                               "live-share=1",
      SMALL);
  g_autofree char *first = NULL, *second = NULL, *third = NULL, *fourth = NULL;

  push_frames (h, 40 * 32, "a", 0, 9);
  first = take_outputs (h);
  g_assert_cmpstr (first, ==, "a0 a4 a8 ");
  assert_ledger (h, "a", 9, 3, SEED_DROP_STRIDE, 6);
  for (guint64 step = 1; step <= 3; step++) /* twice each, as if by two branches */
    for (guint copy = 0; copy < 2; copy++)
      g_assert_true (gst_harness_push_upstream_event (h, agreement (0.8, step, NULL)));
  g_assert_cmpuint (get_stream_stat (h, "a", "stride"), ==, 16);
  push_frames (h, 40 * 32, "a", 9, 45);
  second = take_outputs (h);
  g_assert_cmpstr (second, ==, "a12 a28 a44 ");
  g_assert_true (gst_harness_push_upstream_event (h, agreement (0.6, 4, NULL)));
  g_assert_true (gst_harness_push_upstream_event (h, agreement (0.6, 5, NULL)));
  push_frames (h, 40 * 32, "a", 45, 53);
  third = take_outputs (h);
  g_assert_cmpstr (third, ==, "a48 a52 ");
  g_assert_true (gst_harness_push_upstream_event (
      h, gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM,
             gst_structure_new (SEED_SCENE_CUT_EVENT_NAME, "stream", G_TYPE_STRING, "a", NULL))));
  push_frames (h, 40 * 32, "a", 53, 55);
  fourth = take_outputs (h);
  g_assert_cmpstr (fourth, ==, "a53 ");
  assert_ledger (h, "a", 55, 9, SEED_DROP_STRIDE, 46);
  g_assert_cmpuint (count_advice (h), ==, 0); /* it goes no further */
  gst_harness_teardown (h);
}

/* Off: every frame, and advice is somebody else's. */
static void
test_no_stride (void)
{
  GstHarness *h = new_harness ("seedreplay live-share=1", SMALL);

  gst_harness_push_upstream_event (h, agreement (0.9, 1, NULL));
  g_assert_cmpuint (count_advice (h), ==, 1);
  push_frames (h, 40 * 32, "a", 0, 20);
  assert_ledger (h, "a", 20, 20, SEED_DROP_STRIDE, 0);
  gst_harness_teardown (h);
}

static void
test_epilogue (void)
{
  GstHarness *h = new_harness ("seedreplay epilogue=2 live-share=1 capacity=10", SMALL);
  guint seen[40] = { 0 }, n = 0, n_eos = 0;
  GstBuffer *buffer;
  GstEvent *event;

  push_frames (h, 40 * 32, "a", 0, 40);
  g_free (take_outputs (h));
  gst_harness_push_event (h, gst_event_new_eos ());
  while ((buffer = gst_harness_try_pull (h))) {
    const SeedStreamMeta *meta = meta_of (buffer);

    g_assert_cmpuint (meta->repeat, ==, ++seen[meta->frame]);
    g_assert_cmpuint (meta->repeat, ==, n / 10 + 1);
    n++;
    gst_buffer_unref (buffer);
  }
  g_assert_cmpuint (n, ==, 20);
  while ((event = gst_harness_try_pull_event (h))) {
    n_eos += GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    gst_event_unref (event);
  }
  g_assert_cmpuint (n_eos, ==, 1);
  assert_ledger (h, "a", 60, 60, SEED_DROP_ERROR, 0);
  gst_harness_teardown (h);
}

static void
test_end_of_nothing (void)
{
  GstHarness *h = new_harness ("seedreplay epilogue=2", SMALL);

  g_assert_true (gst_harness_push_event (h, gst_event_new_eos ()));
  g_assert_null (gst_harness_try_pull (h));
  gst_harness_teardown (h);
}

/* A flush forgets nothing; going to READY does. */
static void
test_flush_and_states (void)
{
  GstHarness *h = new_harness ("seedreplay warm-up=4", SMALL);
  GstSegment segment;

  push_frames (h, 40 * 32, "a", 0, 10);
  gst_harness_push_event (h, gst_event_new_flush_start ());
  g_assert_cmpint (gst_harness_push (h, new_frame (40 * 32, "a", 10)), ==, GST_FLOW_FLUSHING);
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  g_assert_cmpuint (get_stat (h, "held"), ==, 10);
  push_frames (h, 40 * 32, "a", 11, 12);
  g_assert_cmpuint (get_stat (h, "held"), ==, 11);
  gst_element_set_state (h->element, GST_STATE_READY);
  g_assert_cmpuint (get_stat (h, "held"), ==, 0);
  gst_element_set_state (h->element, GST_STATE_PLAYING);
  gst_harness_set_src_caps_str (h, SMALL);
  push_frames (h, 40 * 32, "a", 12, 13);
  g_assert_cmpuint (get_stat (h, "held"), ==, 1);
  gst_harness_teardown (h);
}

static void
test_latency (void)
{
  GstHarness *h = new_harness ("seedreplay", SMALL);

  gst_harness_set_upstream_latency (h, 40 * GST_MSECOND);
  push_frames (h, 40 * 32, "a", 0, 2);
  g_assert_cmpuint (gst_harness_query_latency (h), ==, 40 * GST_MSECOND);
  gst_harness_teardown (h);
}

static void
test_refused_caps (void)
{
  GstHarness *h = new_harness ("seedreplay", NULL);

  GstCaps *caps = gst_caps_from_string ("video/x-raw,format=v210,width=48,height=2,framerate=25/1");
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_stream_start ("test"));
  gst_harness_push_event (h, gst_event_new_caps (caps));
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  gst_caps_unref (caps);
  g_assert_cmpint (gst_harness_push (h, new_frame (100, "a", 0)), ==, GST_FLOW_NOT_NEGOTIATED);
  gst_harness_teardown (h);
}

/* Smaller than its caps say: dropped, counted, and the next is fine. */
static void
test_bad_frame (void)
{
  GstHarness *h = new_harness ("seedreplay", SMALL);
  GstBuffer *liar = new_frame (40 * 32, "a", 1);

  g_assert_cmpint (gst_harness_push (h, new_frame (40 * 32 - 1, "a", 0)), ==, GST_FLOW_OK);
  gst_buffer_add_video_meta (liar, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_GRAY8, 4000, 3200);
  g_assert_cmpint (gst_harness_push (h, liar), ==, GST_FLOW_OK);
  push_frames (h, 40 * 32, "a", 2, 3);
  assert_ledger (h, "a", 3, 1, SEED_DROP_ERROR, 2);
  gst_harness_teardown (h);
}

static void
assert_refused_settings (const char *launch, const char *message)
{
  g_autoptr (GstElement) element = gst_parse_launch (launch, NULL);
  GstStateChangeReturn ret;
  g_autofree char *text = message_of (element, GST_MESSAGE_ERROR, &ret, GST_STATE_READY);

  g_assert_cmpint (ret, ==, GST_STATE_CHANGE_FAILURE);
  g_assert_nonnull (text);
  if (!strstr (text, message))
    g_error ("\"%s\" does not say \"%s\"", text, message);
}

static void
test_contradictions (void)
{
  assert_refused_settings ("seedreplay min-stride=9 max-stride=8", "min-stride is above");
  assert_refused_settings ("seedreplay deterministic=true stride=auto", "stride: auto");
  assert_refused_settings ("seedreplay deterministic=true duplicates=drop", "duplicates: drop");
}

/* Downstream ends: what was counted in is counted as dropped. */
static GstPadProbeReturn
refuse (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GST_PAD_PROBE_INFO_FLOW_RETURN (info) = GST_FLOW_EOS;
  gst_buffer_unref (GST_PAD_PROBE_INFO_BUFFER (info));
  return GST_PAD_PROBE_HANDLED;
}

static void
test_downstream_ends (void)
{
  GstHarness *h = new_harness ("seedreplay warm-up=2", SMALL);

  push_frames (h, 40 * 32, "a", 0, 2);
  gst_pad_add_probe (h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, refuse, NULL, NULL);
  g_assert_cmpint (gst_harness_push (h, new_frame (40 * 32, "a", 2)), ==, GST_FLOW_EOS);
  assert_ledger (h, "a", 4, 3, SEED_DROP_FINISHED, 1);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  g_test_add_func ("/seedreplay/warm-up-then-half", test_warm_up_then_half);
  g_test_add_func ("/seedreplay/meta-survives", test_meta_survives);
  g_test_add_func ("/seedreplay/repeats-are-cropped-anew", test_repeats_are_cropped_anew);
  g_test_add_func ("/seedreplay/without-meta", test_without_meta);
  g_test_add_func ("/seedreplay/reproducible", test_reproducible);
  g_test_add_func ("/seedreplay/duplicates", test_duplicates);
  g_test_add_func ("/seedreplay/stride", test_stride);
  g_test_add_func ("/seedreplay/no-stride", test_no_stride);
  g_test_add_func ("/seedreplay/epilogue", test_epilogue);
  g_test_add_func ("/seedreplay/end-of-nothing", test_end_of_nothing);
  g_test_add_func ("/seedreplay/flush-and-states", test_flush_and_states);
  g_test_add_func ("/seedreplay/latency", test_latency);
  g_test_add_func ("/seedreplay/refused-caps", test_refused_caps);
  g_test_add_func ("/seedreplay/bad-frame", test_bad_frame);
  g_test_add_func ("/seedreplay/contradictions", test_contradictions);
  g_test_add_func ("/seedreplay/downstream-ends", test_downstream_ends);
  return g_test_run ();
}
