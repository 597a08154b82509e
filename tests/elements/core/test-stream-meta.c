/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <gst/check/gstharness.h>
#include <seed/stream-meta.h>

static void
add_metas (GstBuffer *buffer, guint n)
{
  for (guint i = 0; i < n; i++) {
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

    g_snprintf (meta->stream, sizeof meta->stream, "cam%u", i);
    meta->frame = 100 + i;
    meta->label = (gint32) i;
    meta->repeat = i / 2;
  }
}

static void
assert_metas (GstBuffer *buffer, guint n)
{
  gpointer state = NULL;
  SeedStreamMeta *meta;
  guint i = 0;

  while ((meta = seed_buffer_iterate_stream_meta (buffer, &state))) {
    g_autofree char *stream = g_strdup_printf ("cam%u", i);

    g_assert_cmpstr (meta->stream, ==, stream);
    g_assert_cmpuint (meta->frame, ==, 100 + i);
    g_assert_cmpint (meta->label, ==, (gint32) i);
    g_assert_cmpuint (meta->repeat, ==, i / 2);
    i++;
  }
  g_assert_cmpuint (i, ==, n);
}

static void
test_order_survives_copies (void)
{
  g_autoptr (GstBuffer) buffer = gst_buffer_new_and_alloc (64);
  g_autoptr (GstBuffer) copy = NULL, deep = NULL;

  add_metas (buffer, 9);
  assert_metas (buffer, 9);
  g_assert_cmpuint (seed_buffer_n_stream_meta (buffer), ==, 9);
  copy = gst_buffer_copy (buffer);
  assert_metas (copy, 9);
  deep = gst_buffer_copy_deep (copy);
  assert_metas (deep, 9);
}

static void
test_survives_stock_elements (void)
{
  GstHarness *h = gst_harness_new_parse (
      "videoconvert ! videoscale ! capsfilter caps=video/x-raw,format=RGB,width=8,height=8");
  GstBuffer *in = gst_buffer_new_and_alloc (16 * 16 * 3 / 2), *out;

  gst_harness_set_src_caps_str (h, "video/x-raw,format=I420,width=16,height=16,framerate=25/1");
  gst_buffer_memset (in, 0, 100, (gsize) -1);
  add_metas (in, 1);
  out = gst_harness_push_and_pull (h, in);
  assert_metas (out, 1);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  GstPlugin *plugin;

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  plugin = gst_plugin_load_by_name ("seed");
  g_assert_nonnull (plugin);
  gst_object_unref (plugin);
  g_test_add_func ("/stream-meta/order", test_order_survives_copies);
  g_test_add_func ("/stream-meta/stock-elements", test_survives_stock_elements);
  return g_test_run ();
}
