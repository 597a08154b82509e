/* SPDX-License-Identifier: MIT */
#pragma once
#include <string.h>

#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <seed/ledger.h>
#include <seed/stream-meta.h>

/* A harness around seedreplay and questions to it. */

#define GREY "video/x-raw,format=GRAY8,framerate=25/1"
#define SMALL GREY ",width=40,height=32"

static inline GstHarness *
new_harness (const char *launch, const char *caps)
{
  GstHarness *h = gst_harness_new_parse (launch);

  g_assert_nonnull (h);
  if (caps)
    gst_harness_set_src_caps_str (h, caps);
  return h;
}

static inline GstElement *
replay_of (GstHarness *h)
{
  return gst_harness_find_element (h, "seedreplay");
}

/* A frame of @size bytes whose luma nobody else has. */
static inline GstBuffer *
new_frame (gsize size, const char *stream, guint64 number)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (size);
  guint32 x = (guint32) (number * 2654435761u + (stream ? (guint8) stream[0] : 0)) | 1;
  GstMapInfo map;

  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_WRITE));
  for (gsize i = 0; i < map.size; i++) {
    x = x * 1664525u + 1013904223u;
    map.data[i] = (guint8) (x >> 24);
  }
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_PTS (buffer) = number * 40 * GST_MSECOND;
  if (stream) {
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

    g_strlcpy (meta->stream, stream, sizeof meta->stream);
    meta->frame = number;
    meta->pts = number * 40 * GST_MSECOND + 1;
    meta->capture_ns = (gint64) number + 5;
    meta->label = (gint32) number % 10;
    meta->dropped = number / 4;
  }
  return buffer;
}

static inline const SeedStreamMeta *
meta_of (GstBuffer *buffer)
{
  gpointer state = NULL;
  const SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);

  g_assert_nonnull (meta);
  return meta;
}

static inline void
push_frames (GstHarness *h, gsize size, const char *stream, guint64 from, guint64 to)
{
  for (guint64 i = from; i < to; i++)
    g_assert_cmpint (gst_harness_push (h, new_frame (size, stream, i)), ==, GST_FLOW_OK);
}

/* What came out so far, as "a3 a1.1 ": stream, frame, and the repeat of remembered ones. */
static inline char *
take_outputs (GstHarness *h)
{
  GString *text = g_string_new (NULL);
  GstBuffer *buffer;

  while ((buffer = gst_harness_try_pull (h))) {
    const SeedStreamMeta *meta = meta_of (buffer);

    g_string_append_printf (text, "%s%" G_GUINT64_FORMAT, meta->stream, meta->frame);
    if (meta->repeat)
      g_string_append_printf (text, ".%u", meta->repeat);
    g_string_append_c (text, ' ');
    gst_buffer_unref (buffer);
  }
  return g_string_free (text, FALSE);
}

static inline guint64
get_stat (GstHarness *h, const char *name)
{
  g_autoptr (GstElement) element = replay_of (h);
  g_autoptr (GstStructure) stats = NULL;
  const GValue *value;

  g_object_get (element, "stats", &stats, NULL);
  value = gst_structure_get_value (stats, name);
  g_assert_nonnull (value);
  if (G_VALUE_HOLDS_UINT64 (value))
    return g_value_get_uint64 (value);
  return G_VALUE_HOLDS_BOOLEAN (value) ? (guint64) g_value_get_boolean (value)
                                       : g_value_get_uint (value);
}

static inline guint
get_stream_stat (GstHarness *h, const char *stream, const char *name)
{
  g_autoptr (GstElement) element = replay_of (h);
  g_autoptr (GstStructure) stats = NULL, streams = NULL, one = NULL;
  guint value = 0;

  g_object_get (element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get (stats, "streams", GST_TYPE_STRUCTURE, &streams, NULL));
  g_assert_true (gst_structure_get (streams, stream, GST_TYPE_STRUCTURE, &one, NULL));
  g_assert_true (gst_structure_get_uint (one, name, &value));
  return value;
}

static inline void
assert_ledger (GstHarness *h, const char *stream, guint64 in, guint64 out, SeedDropReason reason,
    guint64 dropped)
{
  g_autoptr (GstElement) element = replay_of (h);
  g_autoptr (SeedLedger) ledger = NULL;
  g_autoptr (GArray) entries = NULL;
  gboolean found = FALSE;

  g_object_get (element, "ledger", &ledger, NULL);
  entries = seed_ledger_snapshot (ledger);
  for (guint i = 0; i < entries->len; i++) {
    const SeedLedgerEntry *e = &g_array_index (entries, SeedLedgerEntry, i);

    if (!g_str_equal (e->stream, stream))
      continue;
    found = TRUE;
    g_assert_cmpuint (e->in, ==, in);
    g_assert_cmpuint (e->out, ==, out);
    g_assert_cmpuint (e->dropped[reason], ==, dropped);
    g_assert_cmpuint (seed_ledger_entry_in_flight (e), ==, 0);
  }
  g_assert_true (found);
}

/* What the element said on the bus, and stops. */
static inline char *
message_of (GstElement *element, GstMessageType type, GstStateChangeReturn *ret, GstState state)
{
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  gst_element_set_bus (element, bus);
  *ret = gst_element_set_state (element, state);
  message = gst_bus_pop_filtered (bus, type);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_element_set_bus (element, NULL);
  if (!message)
    return NULL;
  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, NULL);
  else
    gst_message_parse_warning (message, &error, NULL);
  return g_strdup (error->message);
}
