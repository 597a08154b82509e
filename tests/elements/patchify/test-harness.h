/* SPDX-License-Identifier: MIT */
#pragma once
#include <string.h>

#include <gst/check/gstharness.h>
#include <seed/ledger.h>
#include <seed/stream-meta.h>

/* A harness around seedpatchify and questions to it. */

#define RGB_CAPS "video/x-raw,format=RGB,framerate=10/1"
#define SMALL RGB_CAPS ",width=40,height=30"
#define PATCHES "application/x-seed-patches"

static inline GstHarness *
new_harness (const char *launch, const char *sink_caps)
{
  GstHarness *h = gst_harness_new_parse (launch);

  g_assert_nonnull (h);
  if (sink_caps)
    gst_harness_set_sink_caps_str (h, sink_caps);
  return h;
}

static inline GstElement *
patchify_of (GstHarness *h)
{
  return gst_harness_find_element (h, "seedpatchify");
}

/* A frame of one value; @stream NULL: without a meta. */
static inline GstBuffer *
new_frame (gsize size, guint8 value, const char *stream, guint64 number)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (size);

  gst_buffer_memset (buffer, 0, value, size);
  GST_BUFFER_PTS (buffer) = number * GST_SECOND;
  if (stream) {
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

    g_strlcpy (meta->stream, stream, sizeof meta->stream);
    meta->frame = number;
    meta->pts = number * GST_SECOND;
    meta->capture_ns = (gint64) number + 5;
    meta->label = (gint32) number;
  }
  return buffer;
}

static inline GstBuffer *
small_frame (guint8 value, const char *stream, guint64 number)
{
  return new_frame (40 * 30 * 3, value, stream, number);
}

static inline void
assert_ledger (GstHarness *h, const char *stream, guint64 in, guint64 out, SeedDropReason reason,
    guint64 dropped)
{
  g_autoptr (GstElement) element = patchify_of (h);
  g_autoptr (SeedLedger) ledger = NULL;
  g_autoptr (GArray) entries = NULL;
  gboolean found = FALSE;

  g_object_get (element, "ledger", &ledger, NULL);
  entries = seed_ledger_snapshot (ledger);
  for (guint i = 0; i < entries->len; i++) {
    const SeedLedgerEntry *e = &g_array_index (entries, SeedLedgerEntry, i);

    if (strcmp (e->stream, stream) != 0)
      continue;
    found = TRUE;
    g_assert_cmpuint (e->in, ==, in);
    g_assert_cmpuint (e->out, ==, out);
    g_assert_cmpuint (e->dropped[reason], ==, dropped);
    g_assert_cmpuint (seed_ledger_entry_in_flight (e), ==, in - out - dropped);
  }
  g_assert_true (found);
}

static inline guint64
get_stat (GstHarness *h, const char *name)
{
  g_autoptr (GstElement) element = patchify_of (h);
  g_autoptr (GstStructure) stats = NULL;
  guint64 value = 0;

  g_object_get (element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, name, &value));
  return value;
}

static inline void
assert_caps (GstHarness *h, const char *expected)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (h->sinkpad);
  g_autoptr (GstCaps) wanted = gst_caps_from_string (expected);

  g_assert_nonnull (caps);
  if (!gst_caps_is_equal (caps, wanted)) {
    g_autofree char *text = gst_caps_to_string (caps);

    g_error ("caps are %s", text);
  }
}

static inline void
assert_items (GstBuffer *buffer, guint n, const char *const *streams, const guint64 *numbers)
{
  gpointer state = NULL;

  g_assert_cmpuint (seed_buffer_n_stream_meta (buffer), ==, n);
  for (guint i = 0; i < n; i++) {
    SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);

    g_assert_cmpstr (meta->stream, ==, streams[i]);
    g_assert_cmpuint (meta->frame, ==, numbers[i]);
    g_assert_cmpuint (meta->pts, ==, numbers[i] * GST_SECOND);
    g_assert_cmpint (meta->capture_ns, ==, (gint64) numbers[i] + 5);
    g_assert_cmpint (meta->label, ==, (gint32) numbers[i]);
  }
}

/* Every byte of item @i. */
static inline void
assert_item_value (GstBuffer *buffer, guint i, gsize item_size, guint8 value)
{
  GstMapInfo map;

  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  g_assert_cmpuint (map.size, >=, (i + 1) * item_size);
  for (gsize k = i * item_size; k < (i + 1) * item_size; k++)
    g_assert_cmpuint (map.data[k], ==, value);
  gst_buffer_unmap (buffer, &map);
}

static inline void
load_plugin (void)
{
  GstPlugin *plugin = gst_plugin_load_by_name ("seed");

  g_assert_nonnull (plugin);
  gst_object_unref (plugin);
}
