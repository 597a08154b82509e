/* SPDX-License-Identifier: MIT */
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <signal.h>

#include "core/event.h"
#include "harness.h"

#define I420(w, h) "video/x-raw,format=I420,framerate=25/1,width=" #w ",height=" #h

static void
caps_of_next (GstHarness *h, GstVideoInfo *info)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (h->sinkpad);

  g_assert_true (gst_video_info_from_caps (info, caps));
}

typedef struct {
  GstVideoInfo info;
  GString *sizes; /* "640x480 " for each buffer; remembered ones in brackets */
} Watch;

static GstPadProbeReturn
on_data (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Watch *watch = data;
  GstBuffer *buffer;
  GstCaps *caps;

  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM) {
    if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) != GST_EVENT_CAPS)
      return GST_PAD_PROBE_OK;
    gst_event_parse_caps (GST_PAD_PROBE_INFO_EVENT (info), &caps);
    g_assert_true (gst_video_info_from_caps (&watch->info, caps));
    return GST_PAD_PROBE_OK;
  }
  buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  g_assert_cmpuint (gst_buffer_get_size (buffer), ==, watch->info.size);
  g_string_append_printf (watch->sizes, meta_of (buffer)->repeat ? "[%dx%d] " : "%dx%d ",
      watch->info.width, watch->info.height);
  return GST_PAD_PROBE_OK;
}

static void
watch_start (Watch *watch, GstHarness *h)
{
  watch->sizes = g_string_new (NULL);
  gst_pad_add_probe (h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      on_data, watch, NULL);
}

/* Every buffer comes after the caps it needs, whatever came before it; never enlarged. */
static void
test_sizes (void)
{
  GstHarness *h = new_harness ("seedreplay warm-up=1 capacity=4 max-size=64", NULL);
  Watch watch = { 0 };

  watch_start (&watch, h);
  gst_harness_set_src_caps_str (h, I420 (160, 90));
  push_frames (h, 160 * 90 + 2 * 80 * 45, "a", 0, 1);
  gst_harness_set_src_caps_str (h, I420 (32, 48));
  push_frames (h, 32 * 48 * 3 / 2, "b", 0, 1);
  g_assert_true (g_str_has_prefix (watch.sizes->str, "160x90 [64x36] 32x48 ["));
  gst_harness_set_src_caps_str (h, I420 (96, 160)); /* the stream turns */
  push_frames (h, 96 * 160 * 3 / 2, "a", 1, 30);
  g_test_message ("%s", watch.sizes->str);
  g_assert_nonnull (strstr (watch.sizes->str, "96x160 [38x64]"));
  g_assert_nonnull (strstr (watch.sizes->str, "96x160 [32x48]"));
  g_assert_null (strstr (watch.sizes->str, "[96x160]"));
  g_string_free (watch.sizes, TRUE);
  gst_harness_teardown (h);
}

/* Averages survive in every format, and the colour description does. */
static void
test_formats (void)
{
  static const char *const formats[] = { "I420", "NV12", "RGB", "BGR", "RGBx", "GRAY8", "YV12",
    "NV21", "Y42B", "Y444", "BGRx", "xRGB", "xBGR", "RGBA", "BGRA", "ARGB", "ABGR" };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_autofree char *caps = g_strdup_printf ("video/x-raw,format=%s,width=100,height=75,"
                                             "framerate=25/1,pixel-aspect-ratio=4/3",
        formats[i]);
    GstHarness *h = new_harness ("seedreplay warm-up=1 max-size=40", caps);
    g_autoptr (GstBuffer) live = NULL, kept = NULL;
    GstBuffer *frame;
    GstVideoInfo in, out;
    GstMapInfo map;
    g_autoptr (GstCaps) parsed = gst_caps_from_string (caps);

    gst_video_info_from_caps (&in, parsed);
    frame = new_frame (in.size, "a", 0);
    gst_buffer_memset (frame, 0, 90, in.size);
    g_assert_cmpint (gst_harness_push (h, frame), ==, GST_FLOW_OK);
    live = gst_harness_pull (h);
    kept = gst_harness_pull (h);
    caps_of_next (h, &out);
    g_assert_cmpint (out.width, ==, 40);
    g_assert_cmpint (out.height, ==, 30);
    g_assert_cmpint (out.par_n, ==, 4);
    g_assert_cmpint (GST_VIDEO_INFO_FORMAT (&out), ==, GST_VIDEO_INFO_FORMAT (&in));
    g_assert_true (gst_video_colorimetry_is_equal (&out.colorimetry, &in.colorimetry));
    gst_buffer_map (kept, &map, GST_MAP_READ);
    g_assert_cmpuint (map.size, ==, out.size);
    for (guint y = 0; y < 30; y++)
      for (guint x = 0; x < 40; x++) {
        guint8 value = map.data[GST_VIDEO_INFO_COMP_OFFSET (&out, 0) +
                                y * (guint) GST_VIDEO_INFO_COMP_STRIDE (&out, 0) +
                                x * (guint) GST_VIDEO_INFO_COMP_PSTRIDE (&out, 0)];

        g_assert_cmpfloat_with_epsilon (value, 90, 1);
      }
    gst_buffer_unmap (kept, &map);
    gst_harness_teardown (h);
  }
}

static void
test_quotas (void)
{
  GstHarness *h = new_harness ("seedreplay capacity=30 live-share=1", GREY ",width=40,height=32");

  push_frames (h, 40 * 32, "a", 0, 100);
  g_assert_cmpuint (get_stream_stat (h, "a", "held"), ==, 30);
  push_frames (h, 40 * 32, "b", 0, 300);
  g_assert_cmpuint (get_stream_stat (h, "a", "held"), ==, 15);
  g_assert_cmpuint (get_stream_stat (h, "b", "held"), ==, 15);
  gst_harness_push_event (
      h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
             gst_structure_new (SEED_EVENT_NAME, "event", G_TYPE_STRING, "stream-down", "stream",
                 G_TYPE_STRING, "a", "reason", G_TYPE_STRING, "", "id", G_TYPE_UINT64,
                 G_GUINT64_CONSTANT (1), "time-ns", G_TYPE_INT64, G_GINT64_CONSTANT (1), NULL)));
  g_assert_cmpuint (get_stream_stat (h, "a", "quota"), ==, 10);
  g_assert_cmpuint (get_stream_stat (h, "b", "quota"), ==, 20);
  gst_harness_teardown (h);
}

/* The next element takes one size alone: an error that says what to do. */
static void
test_remembered_refused (void)
{
  GstHarness *h = new_harness (
      "seedreplay warm-up=1 max-size=32 ! capsfilter caps=video/x-raw,width=160", NULL);
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  gst_element_set_bus (h->element, bus);
  gst_harness_set_src_caps_str (h, I420 (160, 90));
  g_assert_cmpint (gst_harness_push (h, new_frame (160 * 90 + 2 * 80 * 45, "a", 0)), ==,
      GST_FLOW_NOT_NEGOTIATED);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_nonnull (strstr (error->message, "set max-size to 0"));
  gst_harness_teardown (h);
}

/* --- spool -------------------------------------------------------------------------------------
 */

static char *
run_with_spool (const char *path, guint64 from, guint64 to)
{
  g_autofree char *launch = g_strdup_printf (
      "seedreplay capacity=16 warm-up=4 max-size=32%s%s", path ? " spool=" : "", path ? path : "");
  GstHarness *h = new_harness (launch, SMALL);
  char *out;

  for (guint64 i = from; i < to; i++)
    push_frames (h, 40 * 32, i % 2 ? "a" : "b", i, i + 1);
  out = take_outputs (h);
  gst_harness_teardown (h);
  return out;
}

static void
test_spool_resume (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-replay-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "spool", NULL);
  g_autofree char *whole = run_with_spool (NULL, 0, 120), *first = run_with_spool (path, 0, 50),
                  *second = run_with_spool (path, 50, 120);
  g_autofree char *both = g_strconcat (first, second, NULL);

  g_assert_cmpstr (both, ==, whole);
  g_unlink (path);
  g_rmdir (folder);
}

static void
test_spool_hostile (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-replay-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "spool", NULL), *text = NULL, *file = NULL;
  GstElement *element = gst_element_factory_make ("seedreplay", NULL);
  GstStateChangeReturn ret;
  gsize size;

  gst_object_ref_sink (element);
  g_object_set (element, "spool", path, NULL);
  g_free (run_with_spool (path, 0, 20));
  g_assert_true (g_file_get_contents (path, &file, &size, NULL));
  file[size / 2] ^= 4;
  g_assert_true (g_file_set_contents (path, file, (gssize) size, NULL));
  text = message_of (element, GST_MESSAGE_ERROR, &ret, GST_STATE_PAUSED);
  g_assert_cmpint (ret, ==, GST_STATE_CHANGE_FAILURE);
  g_assert_nonnull (text);
  g_assert_nonnull (strstr (text, path));
  g_assert_nonnull (strstr (text, ": byte "));
  g_unlink (path);
  g_rmdir (folder);
  gst_object_unref (element);
}

/* A full disk (here: a limit to files of this process) is a warning and an event; frames go on. */
static void
test_spool_full (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-replay-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "spool", NULL),
                  *launch = g_strdup_printf ("seedreplay spool=%s", path);
  GstHarness *h = new_harness (launch, SMALL);
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) message = NULL, more = NULL;
  struct rlimit limit, small;
  guint n_alarms = 0;
  GstEvent *event;

  gst_element_set_bus (h->element, bus);
  signal (SIGXFSZ, SIG_IGN);
  getrlimit (RLIMIT_FSIZE, &limit);
  small = (struct rlimit){ 20000, limit.rlim_max };
  setrlimit (RLIMIT_FSIZE, &small);
  push_frames (h, 40 * 32, "a", 0, 50);
  setrlimit (RLIMIT_FSIZE, &limit);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  g_assert_nonnull (message);
  more = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  g_assert_null (more);
  while ((event = gst_harness_try_pull_event (h))) {
    const GstStructure *s = gst_event_get_structure (event);

    n_alarms += gst_event_has_name (event, SEED_EVENT_NAME) &&
                g_strcmp0 (gst_structure_get_string (s, "event"), "alarm") == 0;
    gst_event_unref (event);
  }
  g_assert_cmpuint (n_alarms, ==, 1);
  g_assert_cmpuint (get_stat (h, "held"), ==, 50);
  g_assert_cmpuint (get_stat (h, "spool-behind"), ==, 1);
  push_frames (h, 40 * 32, "a", 50, 150);
  g_assert_cmpuint (get_stat (h, "spool-behind"), ==, 0); /* there is room again */
  gst_harness_teardown (h);
  g_unlink (path);
  g_rmdir (folder);
}

/* --- steady state ------------------------------------------------------------------------------
 */

static gsize
heap_in_use (void)
{
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
}

static void
push_and_drop (GstHarness *h, guint64 from, guint64 to)
{
  for (guint64 i = from; i < to; i++) {
    GstBuffer *buffer;
    GstEvent *event;

    push_frames (h, 64 * 48, i % 2 ? "a" : "b", i, i + 1);
    while ((buffer = gst_harness_try_pull (h)))
      gst_buffer_unref (buffer);
    while ((event = gst_harness_try_pull_event (h))) /* caps of each */
      gst_event_unref (event);
  }
}

static void
test_steady (void)
{
  GstHarness *h = new_harness ("seedreplay capacity=64 max-size=32", GREY ",width=64,height=48");
  gsize before, after;

  push_and_drop (h, 0, 2000);
  before = heap_in_use ();
  push_and_drop (h, 2000, 12000);
  after = heap_in_use ();
  g_test_message ("heap %" G_GSIZE_FORMAT " -> %" G_GSIZE_FORMAT " bytes", before, after);
  g_assert_cmpuint (get_stat (h, "held"), ==, 64);
  g_assert_cmpuint (after, <, before + 16 * 1024);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  g_test_add_func ("/seedreplay/sizes", test_sizes);
  g_test_add_func ("/seedreplay/formats", test_formats);
  g_test_add_func ("/seedreplay/quotas", test_quotas);
  g_test_add_func ("/seedreplay/remembered-refused", test_remembered_refused);
  g_test_add_func ("/seedreplay/spool-resume", test_spool_resume);
  g_test_add_func ("/seedreplay/spool-hostile", test_spool_hostile);
  g_test_add_func ("/seedreplay/spool-full", test_spool_full);
  g_test_add_func ("/seedreplay/steady", test_steady);
  return g_test_run ();
}
