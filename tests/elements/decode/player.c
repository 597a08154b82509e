/* SPDX-License-Identifier: MIT */
#include "player.h"

#include <string.h>

#include <glib/gstdio.h>
#include <gst/video/video.h>
#include <seed/ledger.h>

static void
seen_clear (gpointer data)
{
  g_free (((Seen *) data)->caps);
}

/* Eight bytes at a time: frames are large and the tests many. */
static guint64
hash_bytes (guint64 h, const guint8 *data, gsize size)
{
  guint64 word = 0;
  gsize i;

  for (i = 0; i + sizeof word <= size; i += sizeof word) {
    memcpy (&word, data + i, sizeof word);
    h = (h ^ word) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
    h ^= h >> 29;
  }
  for (; i < size; i++)
    h = (h ^ data[i]) * G_GUINT64_CONSTANT (0x100000001b3);
  return h;
}

/* The picture alone: bytes between rows are anything. */
static guint64
hash_picture (GstBuffer *buffer, GstCaps *caps)
{
  guint64 h = G_GUINT64_CONSTANT (0xcbf29ce484222325);
  GstVideoFrame frame;
  GstVideoInfo info;

  g_assert_true (gst_video_info_from_caps (&info, caps));
  g_assert_true (gst_video_frame_map (&frame, &info, buffer, GST_MAP_READ));
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS (&frame); c++) {
    const guint8 *row = GST_VIDEO_FRAME_COMP_DATA (&frame, c);
    gsize step = (gsize) GST_VIDEO_FRAME_COMP_PSTRIDE (&frame, c);
    gsize size = ((gsize) GST_VIDEO_FRAME_COMP_WIDTH (&frame, c) - 1) * step + 1;

    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (&frame, c); y++)
      h = hash_bytes (h, row + (gsize) y * GST_VIDEO_FRAME_COMP_STRIDE (&frame, c), size);
  }
  gst_video_frame_unmap (&frame);
  return h;
}

static void
note_frame (Player *player, GstBuffer *buffer)
{
  gpointer state = NULL;
  SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (player->sink_pad);
  Seen seen = { .buffer_pts = GST_BUFFER_PTS (buffer) };

  g_assert_nonnull (meta);
  g_assert_cmpuint (seed_buffer_n_stream_meta (buffer), ==, 1);
  g_strlcpy (seen.stream, meta->stream, sizeof seen.stream);
  seen.frame = meta->frame;
  seen.dropped = meta->dropped;
  seen.pts = meta->pts;
  seen.capture_ns = meta->capture_ns;
  seen.label = meta->label;
  seen.hash = hash_picture (buffer, caps);
  seen.caps = gst_caps_to_string (caps);
  g_mutex_lock (&player->lock);
  g_array_append_val (player->seen, seen);
  g_cond_broadcast (&player->more);
  g_mutex_unlock (&player->lock);
}

static void
note_event (Player *player, GstEvent *event)
{
  const GstStructure *s = gst_event_get_structure (event);

  if (!s || !gst_structure_has_name (s, "seed-event"))
    return;
  g_mutex_lock (&player->lock);
  g_ptr_array_add (player->events,
      g_strdup_printf ("%s %s: %s", gst_structure_get_string (s, "event"),
          gst_structure_get_string (s, "stream"), gst_structure_get_string (s, "reason")));
  g_array_append_val (player->event_after, player->seen->len);
  g_cond_broadcast (&player->more);
  g_mutex_unlock (&player->lock);
}

static GstPadProbeReturn
on_data (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  if (GST_PAD_PROBE_INFO_TYPE (info) & GST_PAD_PROBE_TYPE_BUFFER)
    note_frame (data, GST_PAD_PROBE_INFO_BUFFER (info));
  else
    note_event (data, GST_PAD_PROBE_INFO_EVENT (info));
  return GST_PAD_PROBE_OK;
}

Player *
player_new (const char *launch, ...)
{
  Player *player = g_new0 (Player, 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) sink = NULL;
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, launch);
  text = g_strdup_vprintf (launch, args);
  va_end (args);
  player->pipeline = gst_parse_launch (text, &error);
  g_assert_no_error (error);
  player->source = gst_bin_get_by_name (GST_BIN (player->pipeline), "d");
  sink = gst_bin_get_by_name (GST_BIN (player->pipeline), "sink");
  player->sink_pad = gst_element_get_static_pad (sink, "sink");
  g_mutex_init (&player->lock);
  g_cond_init (&player->more);
  player->seen = g_array_new (FALSE, FALSE, sizeof (Seen));
  g_array_set_clear_func (player->seen, seen_clear);
  player->events = g_ptr_array_new_with_free_func (g_free);
  player->event_after = g_array_new (FALSE, FALSE, sizeof (guint));
  player->warnings = g_ptr_array_new_with_free_func (g_free);
  gst_pad_add_probe (player->sink_pad,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_data, player, NULL);
  return player;
}

/* Everything that came in went out or was dropped; what the sink saw is what went out. */
static void
assert_ledger (Player *player)
{
  g_autoptr (SeedLedger) ledger = NULL;
  g_autoptr (GArray) entries = NULL;
  guint64 out = 0, flushed = 0;

  g_object_get (player->source, "ledger", &ledger, NULL);
  entries = seed_ledger_snapshot (ledger);
  for (guint i = 0; i < entries->len; i++) {
    const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, i);

    g_assert_cmpuint (seed_ledger_entry_in_flight (entry), ==, 0);
    out += entry->out;
    /* a sink that is being stopped says flushing or EOS of the frame that it has just been given */
    flushed += entry->dropped[SEED_DROP_FLUSHED] + entry->dropped[SEED_DROP_FINISHED];
  }
  g_assert_cmpuint (player->seen->len, >=, out);
  g_assert_cmpuint (player->seen->len, <=, out + flushed);
}

static void
on_finalized (gpointer data, GObject *former)
{
  Player *player = data;

  g_mutex_lock (&player->lock);
  player->source = NULL;
  g_cond_broadcast (&player->more);
  g_mutex_unlock (&player->lock);
}

/* The last reference may be with a thread of GStreamer's that has not quite ended. */
static void
assert_no_leak (Player *player)
{
  gint64 end = g_get_monotonic_time () + SEED_TEST_WAIT_S * G_TIME_SPAN_SECOND;

  g_object_weak_ref (G_OBJECT (player->source), on_finalized, player);
  gst_object_unref (player->source);
  gst_object_unref (player->pipeline);
  g_mutex_lock (&player->lock);
  while (player->source) {
    if (!g_cond_wait_until (&player->more, &player->lock, end))
      g_error ("the source element is leaked");
  }
  g_mutex_unlock (&player->lock);
}

void
player_free (Player *player)
{
  if (!player)
    return;
  player_set_state (player, GST_STATE_NULL);
  assert_ledger (player);
  gst_object_unref (player->sink_pad);
  assert_no_leak (player);
  g_array_unref (player->seen);
  g_ptr_array_unref (player->events);
  g_array_unref (player->event_after);
  g_ptr_array_unref (player->warnings);
  g_free (player->error);
  g_cond_clear (&player->more);
  g_mutex_clear (&player->lock);
  g_free (player);
}

static void
note_message (Player *player, GstMessage *message)
{
  g_autoptr (GError) error = NULL;

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_WARNING) {
    gst_message_parse_warning (message, &error, NULL);
    g_ptr_array_add (player->warnings, g_strdup (error->message));
  } else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error (message, &error, NULL);
    if (!player->error)
      player->error = g_strdup (error->message);
  }
}

GstMessageType
player_wait (Player *player, GstMessageType types)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (player->pipeline);
  gint64 end = g_get_monotonic_time () + SEED_TEST_WAIT_S * G_TIME_SPAN_SECOND;

  for (;;) {
    gint64 left = MAX (end - g_get_monotonic_time (), 0);
    g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (
        bus, (GstClockTime) left * GST_USECOND, types | GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);

    if (!message)
      g_error ("nothing of %x on the bus within %d s", types, SEED_TEST_WAIT_S);
    note_message (player, message);
    if (GST_MESSAGE_TYPE (message) & types)
      return GST_MESSAGE_TYPE (message);
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
      g_error ("unexpected error: %s", player->error);
  }
}

void
player_read_bus (Player *player)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (player->pipeline);
  GstMessage *message;

  while ((message = gst_bus_pop (bus))) {
    note_message (player, message);
    gst_message_unref (message);
  }
}

void
player_set_state (Player *player, GstState state)
{
  GstStateChangeReturn ret = gst_element_set_state (player->pipeline, state);

  g_assert_cmpint (ret, !=, GST_STATE_CHANGE_FAILURE);
}

void
player_wait_playing (Player *player)
{
  GstStateChangeReturn ret =
      gst_element_get_state (player->pipeline, NULL, NULL, SEED_TEST_WAIT_S * GST_SECOND);

  g_assert_cmpint (ret, ==, GST_STATE_CHANGE_SUCCESS);
}

GstMessageType
player_run (Player *player)
{
  gst_element_set_state (player->pipeline, GST_STATE_PLAYING);
  return player_wait (player, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
}

static guint
count_locked (Player *player, const char *stream)
{
  guint n = 0;

  for (guint i = 0; i < player->seen->len; i++)
    n += !stream || g_str_equal (g_array_index (player->seen, Seen, i).stream, stream);
  return n;
}

guint
player_count (Player *player, const char *stream)
{
  guint n;

  g_mutex_lock (&player->lock);
  n = count_locked (player, stream);
  g_mutex_unlock (&player->lock);
  return n;
}

void
player_wait_frames (Player *player, const char *stream, guint n)
{
  gint64 end = g_get_monotonic_time () + SEED_TEST_WAIT_S * G_TIME_SPAN_SECOND;

  g_mutex_lock (&player->lock);
  while (count_locked (player, stream) < n) {
    if (!g_cond_wait_until (&player->more, &player->lock, end))
      g_error ("only %u of %u frames of %s within %d s", count_locked (player, stream), n,
          stream ? stream : "all streams", SEED_TEST_WAIT_S);
  }
  g_mutex_unlock (&player->lock);
}

static guint
count_events_locked (Player *player, const char *prefix)
{
  guint n = 0;

  for (guint i = 0; i < player->events->len; i++)
    n += g_str_has_prefix (g_ptr_array_index (player->events, i), prefix);
  return n;
}

guint
player_count_events (Player *player, const char *prefix)
{
  guint n;

  g_mutex_lock (&player->lock);
  n = count_events_locked (player, prefix);
  g_mutex_unlock (&player->lock);
  return n;
}

void
player_wait_events (Player *player, const char *prefix, guint n)
{
  gint64 end = g_get_monotonic_time () + SEED_TEST_WAIT_S * G_TIME_SPAN_SECOND;

  g_mutex_lock (&player->lock);
  while (count_events_locked (player, prefix) < n) {
    if (!g_cond_wait_until (&player->more, &player->lock, end))
      g_error ("only %u of %u events \"%s\" within %d s", count_events_locked (player, prefix), n,
          prefix, SEED_TEST_WAIT_S);
  }
  g_mutex_unlock (&player->lock);
}

GstStructure *
player_stats (Player *player, const char *stream)
{
  g_autoptr (GstStructure) stats = NULL, streams = NULL;
  GstStructure *one = NULL;

  g_object_get (player->source, "stats", &stats, NULL);
  g_assert_true (gst_structure_get (stats, "streams", GST_TYPE_STRUCTURE, &streams, NULL));
  gst_structure_get (streams, stream, GST_TYPE_STRUCTURE, &one, NULL);
  return one;
}

const char *
player_state (Player *player, const char *stream)
{
  g_autoptr (GstStructure) one = player_stats (player, stream);

  return one ? g_intern_string (gst_structure_get_string (one, "state")) : "gone";
}

/* States have no event of their own. */
void
player_wait_state (Player *player, const char *stream, const char *state)
{
  gint64 end = g_get_monotonic_time () + SEED_TEST_WAIT_S * G_TIME_SPAN_SECOND;

  while (!g_str_equal (player_state (player, stream), state)) {
    if (g_get_monotonic_time () > end)
      g_error ("%s is %s, not %s, after %d s", stream, player_state (player, stream), state,
          SEED_TEST_WAIT_S);
    g_usleep (5000);
  }
}

Seen *
player_nth (Player *player, guint n)
{
  g_assert_cmpuint (n, <, player->seen->len);
  return &g_array_index (player->seen, Seen, n);
}

gboolean
player_has (GPtrArray *lines, const char *first, ...)
{
  for (guint i = 0; i < lines->len; i++) {
    const char *line = g_ptr_array_index (lines, i);
    gboolean all = TRUE;
    va_list words;

    va_start (words, first);
    for (const char *word = first; word; word = va_arg (words, const char *))
      all &= strstr (line, word) != NULL;
    va_end (words);
    if (all)
      return TRUE;
  }
  return FALSE;
}

guint64
player_dropped (Player *player, const char *stream, guint reason)
{
  g_autoptr (SeedLedger) ledger = NULL;
  g_autoptr (GArray) entries = NULL;

  g_object_get (player->source, "ledger", &ledger, NULL);
  entries = seed_ledger_snapshot (ledger);
  for (guint i = 0; i < entries->len; i++) {
    const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, i);

    if (g_str_equal (entry->stream, stream))
      return entry->dropped[reason];
  }
  return 0;
}

void
player_assert_in_order (Player *player)
{
  for (guint i = 0; i < player->seen->len; i++) {
    Seen *later = player_nth (player, i);

    g_assert_cmpuint (later->pts, ==, later->buffer_pts);
    for (guint j = i; j > 0; j--) {
      Seen *earlier = player_nth (player, j - 1);

      if (!g_str_equal (earlier->stream, later->stream))
        continue;
      g_assert_cmpuint (earlier->frame, <, later->frame);
      g_assert_cmpuint (earlier->pts, <=, later->pts); /* a live source may repeat itself */
      g_assert_cmpuint (earlier->dropped, <=, later->dropped);
      break;
    }
  }
}

char *
player_write (const char *dir, const char *name, gconstpointer data, gsize size)
{
  g_autoptr (GError) error = NULL;
  char *path = g_build_filename (dir, name, NULL);

  g_file_set_contents (path, data, (gssize) size, &error);
  g_assert_no_error (error);
  return path;
}

char *
player_uri (const char *path)
{
  char *uri = gst_filename_to_uri (path, NULL);

  g_assert_nonnull (uri);
  return uri;
}

void
player_init (int *argc, char ***argv)
{
  GstPlugin *plugin;

  gst_init (argc, argv);
  g_test_init (argc, argv, NULL);
  plugin = gst_plugin_load_by_name ("seed");
  g_assert_nonnull (plugin);
  gst_object_unref (plugin);
}
