/* SPDX-License-Identifier: MIT */
#include <gst/video/video.h>

#include <seed/view-meta.h>

#include "patchify/augment.h"
#include "test-harness.h"

static const SeedAugmentLimits limits = SEED_AUGMENT_DEFAULT_LIMITS;

/* --- geometry ----------------------------------------------------------------------------------
 */

static void
test_geometry_defaults (void)
{
  GstHarness *h = new_harness ("seedpatchify", NULL);
  GstBuffer *out;

  gst_harness_set_src_caps_str (h, SMALL);
  out = gst_harness_push_and_pull (h, small_frame (77, NULL, 0));
  assert_caps (h, PATCHES ",image-size=224,patch-size=16,views=1,batch=1,fit=squash,"
                          "interpolation=bilinear");
  g_assert_cmpuint (gst_buffer_get_size (out), ==, 3 * 224 * 224);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static void
test_geometry_from_downstream (void)
{
  GstHarness *h = new_harness ("seedpatchify views=2 batch=3",
      PATCHES ",image-size=56,patch-size=14,fit=letterbox,interpolation=bicubic");

  gst_harness_set_src_caps_str (h, SMALL);
  gst_harness_push (h, small_frame (77, NULL, 0));
  assert_caps (h, PATCHES ",image-size=56,patch-size=14,views=2,batch=3,fit=letterbox,"
                          "interpolation=bicubic");
  gst_harness_teardown (h);
}

static void
test_properties_narrow (void)
{
  GstHarness *h = new_harness ("seedpatchify image-size=64 patch-size=8 fit=crop "
                               "interpolation=bicubic",
      PATCHES ",image-size=[32,128],fit={squash,crop}");

  gst_harness_set_src_caps_str (h, SMALL);
  gst_harness_push (h, small_frame (77, NULL, 0));
  assert_caps (h, PATCHES ",image-size=64,patch-size=8,views=1,batch=1,fit=crop,"
                          "interpolation=bicubic");
  gst_harness_teardown (h);
}

/* The text of the error the element posts when it is given a frame. */
static char *
error_of (const char *launch, const char *sink_caps)
{
  GstHarness *h = new_harness (launch, sink_caps);
  g_autoptr (GstElement) element = patchify_of (h);
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  gst_element_set_bus (element, bus);
  gst_harness_set_src_caps_str (h, SMALL);
  g_assert_cmpint (gst_harness_push (h, small_frame (0, NULL, 0)), ==, GST_FLOW_NOT_NEGOTIATED);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  gst_element_set_bus (element, NULL);
  gst_harness_teardown (h);
  return g_strdup (error->message);
}

static void
assert_error (const char *launch, const char *sink_caps, const char *says)
{
  g_autofree char *text = error_of (launch, sink_caps);

  if (!strstr (text, says) || !strstr (text, "Stage seedpatchify"))
    g_error ("error is: %s", text);
}

static void
test_refusals (void)
{
  assert_error ("seedpatchify image-size=100", NULL, "100 is not divisible by patch-size 16");
  assert_error ("seedpatchify patch-size=15", NULL, "224 is not divisible by patch-size 15");
  assert_error ("seedpatchify image-size=4 patch-size=2", NULL, "too small");
  assert_error ("seedpatchify", PATCHES ",views=2", "do not fit");
  assert_error ("seedpatchify image-size=224", PATCHES ",image-size=336", "do not fit");
  assert_error ("seedpatchify image-size=4096 views=16 batch=4096", NULL, "make batch smaller");
}

static void
test_caps_refused (void)
{
  GstHarness *h = new_harness ("seedpatchify", NULL);
  g_autoptr (GstPad) pad = gst_element_get_static_pad (h->element, "sink");
  static const char *const refused[] = { "video/x-raw,format=v210,width=64,height=64",
    "video/x-raw,format=RGB,width=16385,height=64", "audio/x-raw", PATCHES };

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autoptr (GstCaps) caps = gst_caps_from_string (refused[i]);

    g_assert_false (gst_pad_query_accept_caps (pad, caps));
  }
  gst_harness_teardown (h);
}

/* --- frames ------------------------------------------------------------------------------------
 */

/* The same picture, packed tightly and with padded strides under a video meta. */
static GstBuffer *
new_nv12 (guint width, guint height, guint padding, gboolean with_meta)
{
  guint cw = (width + 1) / 2, ch = (height + 1) / 2;
  gint strides[4] = { (gint) (GST_ROUND_UP_4 (width) + padding),
    (gint) (GST_ROUND_UP_4 (2 * cw) + padding) };
  guint rows = with_meta ? height : GST_ROUND_UP_2 (height);
  gsize offsets[4] = { padding, padding + (gsize) strides[0] * rows };
  gsize size = offsets[1] + (gsize) strides[1] * ch;
  guint8 *data = g_malloc (size);
  GstBuffer *buffer;

  memset (data, 0xee, size);
  for (guint y = 0; y < height; y++)
    for (guint x = 0; x < width; x++)
      data[offsets[0] + y * (guint) strides[0] + x] = (guint8) (x * 7 + y * 13);
  for (guint y = 0; y < ch; y++)
    for (guint x = 0; x < 2 * cw; x++)
      data[offsets[1] + y * (guint) strides[1] + x] = (guint8) (x * 5 + y * 3 + 40);
  buffer = gst_buffer_new_wrapped (data, size);
  if (with_meta)
    gst_buffer_add_video_meta_full (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_NV12, width,
        height, 2, offsets, strides);
  return buffer;
}

static void
test_odd_sizes_and_strides (void)
{
  GstHarness *h = new_harness ("seedpatchify image-size=64", NULL);
  GstBuffer *plain, *padded;
  GstMapInfo a, b;

  gst_harness_set_src_caps_str (h, "video/x-raw,format=NV12,width=321,height=179,framerate=10/1");
  plain = gst_harness_push_and_pull (h, new_nv12 (321, 179, 0, FALSE));
  padded = gst_harness_push_and_pull (h, new_nv12 (321, 179, 48, TRUE));
  g_assert_true (gst_buffer_map (plain, &a, GST_MAP_READ));
  g_assert_true (gst_buffer_map (padded, &b, GST_MAP_READ));
  g_assert_cmpmem (a.data, a.size, b.data, b.size);
  gst_buffer_unmap (plain, &a);
  gst_buffer_unmap (padded, &b);
  gst_buffer_unref (plain);
  gst_buffer_unref (padded);
  gst_harness_teardown (h);
}

/* Colour of a flat frame of Y, U, V = 81, 90, 240 and the like, by the caps' colorimetry. */
static void
assert_flat_yuv (const char *colorimetry, const guint8 yuv[3], const guint8 rgb[3])
{
  g_autofree char *caps = g_strdup_printf (
      "video/x-raw,format=I420,width=16,height=16,framerate=10/1,colorimetry=%s", colorimetry);
  GstHarness *h = new_harness ("seedpatchify image-size=16 patch-size=16", NULL);
  GstBuffer *in = gst_buffer_new_and_alloc (384), *out;
  GstMapInfo map;

  gst_buffer_memset (in, 0, yuv[0], 256);
  gst_buffer_memset (in, 256, yuv[1], 64);
  gst_buffer_memset (in, 320, yuv[2], 64);
  gst_harness_set_src_caps_str (h, caps);
  out = gst_harness_push_and_pull (h, in);
  g_assert_true (gst_buffer_map (out, &map, GST_MAP_READ));
  for (guint c = 0; c < 3; c++)
    g_assert_cmpint (ABS (map.data[256 * c] - rgb[c]), <=, 1);
  gst_buffer_unmap (out, &map);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

static void
test_colorimetry (void)
{
  /* red of 100% by either matrix, and a full-range white */
  assert_flat_yuv ("bt601", (guint8[]){ 81, 90, 240 }, (guint8[]){ 255, 0, 0 });
  assert_flat_yuv ("bt709", (guint8[]){ 63, 102, 240 }, (guint8[]){ 255, 0, 0 });
  assert_flat_yuv ("1:4:0:0", (guint8[]){ 76, 85, 255 }, (guint8[]){ 254, 0, 0 });
  assert_flat_yuv ("1:4:0:0", (guint8[]){ 235, 128, 128 }, (guint8[]){ 235, 235, 235 });
  assert_flat_yuv ("bt709", (guint8[]){ 235, 128, 128 }, (guint8[]){ 255, 255, 255 });
}

static void
test_bad_frames (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=2 image-size=32", NULL);
  g_autoptr (GstElement) element = patchify_of (h);
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) message = NULL, second = NULL;
  g_autoptr (GError) error = NULL;
  gsize offsets[4] = { 0 };
  gint strides[4] = { 100000 };
  GstBuffer *lying = small_frame (1, "a", 2), *out;
  gpointer state = NULL;

  gst_element_set_bus (element, bus);
  gst_harness_set_src_caps_str (h, SMALL);
  gst_harness_push (h, small_frame (1, "a", 0));
  g_assert_cmpint (gst_harness_push (h, new_frame (100, 1, "a", 1)), ==, GST_FLOW_OK);
  gst_buffer_add_video_meta_full (
      lying, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_RGB, 40, 30, 1, offsets, strides);
  g_assert_cmpint (gst_harness_push (h, lying), ==, GST_FLOW_OK);
  assert_ledger (h, "a", 3, 0, SEED_DROP_ERROR, 2);
  out = gst_harness_push_and_pull (h, small_frame (1, "a", 3));
  g_assert_cmpuint (seed_buffer_iterate_stream_meta (out, &state)->dropped, ==, 0);
  g_assert_cmpuint (seed_buffer_iterate_stream_meta (out, &state)->dropped, ==, 2);
  gst_buffer_unref (out);

  message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  g_assert_nonnull (message);
  gst_message_parse_warning (message, &error, NULL);
  g_assert_nonnull (strstr (error->message, "frame 1 of stream a"));
  second = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING); /* one is enough */
  g_assert_null (second);
  gst_element_set_bus (element, NULL);
  gst_harness_teardown (h);
}

/* --- views -------------------------------------------------------------------------------------
 */

static GBytes *
words_of (const char *launch, const char *stream, guint64 number)
{
  GstHarness *h = new_harness (launch, NULL);
  GstBuffer *in = small_frame (0, stream, number), *out;
  GstMapInfo map;
  GBytes *bytes;

  g_assert_true (gst_buffer_map (in, &map, GST_MAP_WRITE));
  for (gsize i = 0; i < map.size; i++)
    map.data[i] = (guint8) (i * i / 7);
  gst_buffer_unmap (in, &map);
  gst_harness_set_src_caps_str (h, SMALL);
  out = gst_harness_push_and_pull (h, in);
  g_assert_true (gst_buffer_map (out, &map, GST_MAP_READ));
  bytes = g_bytes_new (map.data, map.size);
  gst_buffer_unmap (out, &map);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
  return bytes;
}

static void
test_views (void)
{
  const gsize view = 3 * 32 * 32;
  g_autoptr (GBytes) plain = words_of ("seedpatchify views=2 image-size=32", "a", 1);
  g_autoptr (GBytes) one =
      words_of ("seedpatchify views=2 image-size=32 augment=true seed=5", "a", 1);
  g_autoptr (GBytes) again =
      words_of ("seedpatchify views=2 image-size=32 augment=true seed=5", "a", 1);
  g_autoptr (GBytes) other =
      words_of ("seedpatchify views=2 image-size=32 augment=true seed=6", "a", 1);
  const guint8 *data = g_bytes_get_data (plain, NULL);

  g_assert_cmpuint (g_bytes_get_size (plain), ==, 2 * view);
  g_assert_cmpmem (data, view, data + view, view);
  data = g_bytes_get_data (one, NULL);
  g_assert_true (memcmp (data, data + view, view) != 0);
  g_assert_true (g_bytes_equal (one, again));
  g_assert_false (g_bytes_equal (one, other));
}

static void
test_reference_view (void)
{
  const gsize view = 3 * 32 * 32;
  g_autoptr (GBytes) plain = words_of ("seedpatchify image-size=32", "a", 1);
  g_autoptr (GBytes) crops =
      words_of ("seedpatchify views=2 image-size=32 augment=true seed=5", "a", 1);
  g_autoptr (GBytes) both = words_of (
      "seedpatchify views=2 image-size=32 augment=true reference-view=true seed=5", "a", 1);
  const guint8 *data = g_bytes_get_data (both, NULL);

  g_assert_cmpmem (data, view, g_bytes_get_data (plain, NULL), view);
  g_assert_cmpmem (data + view, view, (const guint8 *) g_bytes_get_data (crops, NULL) + view, view);
}

/* What the only buffer of @launch says of the views of its first item. */
static SeedViewMeta
views_of (const char *launch, guint items)
{
  GstHarness *h = new_harness (launch, NULL);
  GstBuffer *out;
  gpointer state = NULL;
  SeedViewMeta first = { .n_views = 0 };
  const SeedViewMeta *meta;
  guint n = 0;

  gst_harness_set_src_caps_str (h, SMALL);
  for (guint i = 0; i < items; i++)
    gst_harness_push (h, small_frame (7, "a", i));
  out = gst_harness_pull (h);
  for (; (meta = seed_buffer_iterate_view_meta (out, &state)); n++) {
    g_assert_cmpuint (meta->item, ==, n);
    if (n == 0)
      first = *meta;
  }
  g_assert_true (n == items || first.n_views == 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
  return first;
}

static void
assert_view (const SeedView *view, double x, double y, double width, double height)
{
  g_assert_cmpfloat_with_epsilon (view->x, x, 1e-9);
  g_assert_cmpfloat_with_epsilon (view->y, y, 1e-9);
  g_assert_cmpfloat_with_epsilon (view->width, width, 1e-9);
  g_assert_cmpfloat_with_epsilon (view->height, height, 1e-9);
}

static void
test_views_are_described (void)
{
  SeedViewMeta meta =
      views_of ("seedpatchify views=2 batch=3 image-size=32 augment=true reference-view=true", 3);
  const SeedBox region = { 0, 0, 40, 30 };
  SeedAugment drawn;

  g_assert_cmpuint (meta.n_views, ==, 2);
  assert_view (&meta.views[0], 0, 0, 1, 1);
  g_assert_false (meta.views[0].flip);
  seed_augment_draw (&drawn, 0, "a", 0, 1, &region, 1, &limits);
  assert_view (&meta.views[1], drawn.crop.x0 / 40, drawn.crop.y0 / 30,
      (drawn.crop.x1 - drawn.crop.x0) / 40, (drawn.crop.y1 - drawn.crop.y0) / 30);
  g_assert_cmpint (meta.views[1].flip, ==, drawn.flip);

  meta = views_of ("seedpatchify views=2 image-size=32 fit=crop", 1);
  assert_view (&meta.views[1], 5. / 42, 0, 32. / 42, 1); /* of floor (32 * 4/3) columns */
  meta = views_of ("seedpatchify views=2 image-size=32 fit=letterbox", 1); /* 24 of 32 rows */
  assert_view (&meta.views[1], 0, -1. / 6, 1, 4. / 3);
  meta = views_of ("seedpatchify image-size=32", 1);
  g_assert_cmpuint (meta.n_views, ==, 0);
}

/* --- queries, events ---------------------------------------------------------------------------
 */

static void
test_latency (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=5 image-size=32", NULL);
  g_autoptr (GstElement) element = patchify_of (h);

  gst_harness_set_upstream_latency (h, 3 * GST_MSECOND);
  gst_harness_set_src_caps_str (h, SMALL); /* 10 frames a second */
  g_assert_cmpuint (gst_harness_query_latency (h), ==, 403 * GST_MSECOND);
  g_object_set (element, "batch-deadline-ms", 50, NULL);
  g_assert_cmpuint (gst_harness_query_latency (h), ==, 53 * GST_MSECOND);
  g_object_set (element, "batch", 1, NULL);
  g_assert_cmpuint (gst_harness_query_latency (h), ==, 3 * GST_MSECOND);
  gst_harness_teardown (h);
}

static void
test_events_pass (void)
{
  GstHarness *h = new_harness ("seedpatchify batch=5 image-size=32", NULL);
  gboolean found = FALSE;

  gst_harness_set_src_caps_str (h, SMALL);
  gst_harness_push (h, small_frame (1, "a", 0));
  gst_harness_push_event (h,
      gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty ("seed-event")));
  while (gst_harness_events_in_queue (h) > 0) {
    g_autoptr (GstEvent) event = gst_harness_pull_event (h);

    found = found || gst_event_has_name (event, "seed-event");
  }
  g_assert_true (found);
  g_assert_cmpuint (gst_harness_buffers_in_queue (h), ==, 0);
  gst_harness_teardown (h);
}

static void
test_launch (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) pipeline = gst_parse_launch (
      "videotestsrc num-buffers=10 ! seedpatchify name=p batch=4 ! fakesink sync=false", &error);
  g_autoptr (GstBus) bus = NULL;
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GstElement) p = NULL;
  g_autoptr (GstStructure) stats = NULL;
  guint64 batches = 0, partial = 0;

  g_assert_no_error (error);
  bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (
      bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  p = gst_bin_get_by_name (GST_BIN (pipeline), "p");
  g_object_get (p, "stats", &stats, NULL);
  gst_structure_get (
      stats, "batches", G_TYPE_UINT64, &batches, "partial-batches", G_TYPE_UINT64, &partial, NULL);
  g_assert_cmpuint (batches, ==, 3);
  g_assert_cmpuint (partial, ==, 1);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  load_plugin ();
  g_test_add_func ("/seedpatchify/geometry/defaults", test_geometry_defaults);
  g_test_add_func ("/seedpatchify/geometry/downstream", test_geometry_from_downstream);
  g_test_add_func ("/seedpatchify/geometry/properties", test_properties_narrow);
  g_test_add_func ("/seedpatchify/refusals", test_refusals);
  g_test_add_func ("/seedpatchify/caps-refused", test_caps_refused);
  g_test_add_func ("/seedpatchify/odd-sizes-and-strides", test_odd_sizes_and_strides);
  g_test_add_func ("/seedpatchify/colorimetry", test_colorimetry);
  g_test_add_func ("/seedpatchify/bad-frames", test_bad_frames);
  g_test_add_func ("/seedpatchify/views", test_views);
  g_test_add_func ("/seedpatchify/reference-view", test_reference_view);
  g_test_add_func ("/seedpatchify/views-are-described", test_views_are_described);
  g_test_add_func ("/seedpatchify/latency", test_latency);
  g_test_add_func ("/seedpatchify/events-pass", test_events_pass);
  g_test_add_func ("/seedpatchify/launch", test_launch);
  return g_test_run ();
}
