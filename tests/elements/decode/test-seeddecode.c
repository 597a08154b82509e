/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <glib/gstdio.h>
#include <gst/video/video.h>
#include <seed/ledger.h>

#include "player.h"

#define MAGNET SEED_TEST_DATA "/media/magnet.ogv"
#define MAGNET_FRAMES 34
#define REALSHORT SEED_TEST_DATA "/media/realshort.mp4"
#define REALSHORT_FRAMES 36
#define DEMO SEED_SOURCE_DIR "/graphs/media/demo.mp4"
#define DEMO_FRAMES 350
#define SINK " ! fakesink name=sink sync=false"

static char *folder; /* of the tests' own files */

/* --- whole clips ------------------------------------------------------------------------------ */

static void
assert_clip (const char *path, guint n_frames)
{
  g_autofree char *uri = player_uri (path);
  g_autoptr (Player) player = player_new ("seeddecode name=d uri=%s" SINK, uri);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player->seen->len, ==, n_frames);
  for (guint i = 0; i < n_frames; i++) {
    Seen *seen = player_nth (player, i);

    g_assert_cmpuint (seen->frame, ==, i);
    g_assert_cmpstr (seen->stream, ==, "stream");
    g_assert_cmpint (seen->label, ==, -1);
    g_assert_cmpuint (seen->dropped, ==, 0);
    g_assert_true (i == 0 || seen->pts > player_nth (player, i - 1)->pts);
    g_assert_cmpint (ABS (g_get_real_time () - seen->capture_ns / 1000), <, 60 * G_USEC_PER_SEC);
  }
  player_assert_in_order (player);
  g_assert_cmpuint (player->warnings->len, ==, 0);
  g_assert_true (player_has (player->events, "stream-up stream: ", NULL));
  g_assert_true (player_has (player->events, "stream-down stream: end of the source", NULL));
  g_assert_cmpuint (player->events->len, ==, 2);
}

static void
test_theora (void)
{
  assert_clip (MAGNET, MAGNET_FRAMES);
}

static void
test_h264_with_sound (void)
{
  assert_clip (REALSHORT, REALSHORT_FRAMES);
}

static void
test_demo (void)
{
  assert_clip (DEMO, DEMO_FRAMES);
}

/* --- several streams -------------------------------------------------------------------------- */

static Player *
play_two_in_turns (void)
{
  g_autofree char *a = player_uri (MAGNET), *b = player_uri (REALSHORT);
  Player *player = player_new (
      "seeddecode name=d deterministic=true streams=\"stream, id=a, uri=(string)\\\"%s\\\"; "
      "stream, id=b, uri=(string)\\\"%s\\\"\"" SINK,
      a, b);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  return player;
}

static void
test_turns (void)
{
  g_autoptr (Player) player = play_two_in_turns (), again = play_two_in_turns ();
  guint n = MAGNET_FRAMES + REALSHORT_FRAMES;

  g_assert_cmpuint (player->seen->len, ==, n);
  g_assert_cmpuint (again->seen->len, ==, n);
  for (guint i = 0; i < n; i++) {
    Seen *one = player_nth (player, i), *two = player_nth (again, i);
    gboolean both = i < 2 * MAGNET_FRAMES;

    g_assert_cmpstr (one->stream, ==, both && i % 2 == 0 ? "a" : "b");
    g_assert_cmpuint (one->frame, ==, both ? i / 2 : i - MAGNET_FRAMES);
    g_assert_cmpstr (one->stream, ==, two->stream);
    g_assert_cmpuint (one->frame, ==, two->frame);
    g_assert_cmpuint (one->pts, ==, two->pts);
    g_assert_cmpuint (one->hash, ==, two->hash);
    g_assert_cmpstr (one->caps, ==, two->caps);
    g_assert_nonnull (
        strstr (one->caps, one->stream[0] == 'a' ? "width=(int)400" : "width=(int)320"));
  }
  player_assert_in_order (player);
  g_assert_cmpstr (g_ptr_array_index (player->events, 2), ==,
      "stream-down a: end of the source after 34 frames");
}

static void
test_by_arrival (void)
{
  g_autofree char *a = player_uri (MAGNET), *b = player_uri (REALSHORT);
  g_autoptr (Player) player =
      player_new ("seeddecode name=d streams=\"stream, id=a, uri=(string)\\\"%s\\\"; "
                  "stream, id=b, uri=(string)\\\"%s\\\"\"" SINK,
          a, b);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player_count (player, "a"), ==, MAGNET_FRAMES);
  g_assert_cmpuint (player_count (player, "b"), ==, REALSHORT_FRAMES);
  player_assert_in_order (player);
}

static void
test_max_fps (void)
{
  g_autofree char *uri = player_uri (MAGNET);
  g_autoptr (Player) player = player_new ("seeddecode name=d uri=%s max-fps=5" SINK, uri);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player->seen->len, ==, 7); /* 34 frames at 25 fps: 0, 5, ..., 30 */
  for (guint i = 0; i < 7; i++) {
    g_assert_cmpuint (player_nth (player, i)->frame, ==, 5 * i);
    g_assert_cmpuint (player_nth (player, i)->dropped, ==, 4 * i);
  }
  g_assert_cmpuint (player_dropped (player, "stream", SEED_DROP_RATE), ==, 27);
}

/* A stream's own max-fps goes before the element's. */
static void
test_max_fps_of_stream (void)
{
  g_autofree char *uri = player_uri (MAGNET);
  g_autoptr (Player) player =
      player_new ("seeddecode name=d max-fps=5 streams=\"stream, id=a, uri=(string)\\\"%s\\\"; "
                  "stream, id=b, uri=(string)\\\"%s\\\", max-fps=0\"" SINK,
          uri, uri);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player_count (player, "a"), ==, 7);
  g_assert_cmpuint (player_count (player, "b"), ==, MAGNET_FRAMES);
}

static void
test_loop (void)
{
  g_autofree char *uri = player_uri (MAGNET);
  g_autoptr (Player) player = player_new (
      "seeddecode name=d streams=\"stream, id=a, uri=(string)\\\"%s\\\", loop=true\"" SINK, uri);
  guint n = 3 * MAGNET_FRAMES + 5;

  player_set_state (player, GST_STATE_PLAYING);
  player_wait_frames (player, "a", n);
  player_set_state (player, GST_STATE_NULL);
  for (guint i = 0; i < n; i++) {
    g_assert_cmpuint (player_nth (player, i)->frame, ==, i);
    g_assert_cmpuint (
        player_nth (player, i)->hash, ==, player_nth (player, i % MAGNET_FRAMES)->hash);
  }
  player_assert_in_order (player);
  g_assert_cmpuint (player_nth (player, MAGNET_FRAMES)->pts, ==, MAGNET_FRAMES * GST_SECOND / 25);
}

static void
test_passes (void)
{
  g_autofree char *uri = player_uri (MAGNET);
  g_autoptr (Player) player = player_new (
      "seeddecode name=d streams=\"stream, id=a, uri=(string)\\\"%s\\\", passes=3\"" SINK, uri);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player_count (player, "a"), ==, 3 * MAGNET_FRAMES);
  player_assert_in_order (player);
}

/* --- faults ----------------------------------------------------------------------------------- */

/* @path beside a good stream: the good one is whole, the other ends with a warning that says why.
 */
static void
assert_only_bad_fails (const char *path, const char *why)
{
  g_autofree char *bad = player_uri (path), *good = player_uri (REALSHORT);
  g_autoptr (Player) player =
      player_new ("seeddecode name=d streams=\"stream, id=bad, uri=(string)\\\"%s\\\"; "
                  "stream, id=good, uri=(string)\\\"%s\\\"\"" SINK,
          bad, good);
  g_autoptr (GstStructure) stats = NULL;

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player_count (player, "good"), ==, REALSHORT_FRAMES);
  g_assert_cmpuint (player_count (player, "bad"), ==, 0);
  g_assert_cmpuint (player->warnings->len, ==, 1);
  g_assert_true (player_has (player->warnings, "d: stream \"bad\" failed: ", why, NULL));
  g_assert_true (player_has (player->events, "stream-down bad: ", why, NULL));
  g_assert_true (player_has (player->events, "stream-down good: end of the source", NULL));
  g_object_get (player->source, "stats", &stats, NULL);
  g_assert_nonnull (stats);
}

static void
test_missing_file (void)
{
  assert_only_bad_fails ("/nowhere/at-all.mp4", "check that it exists");
}

static void
test_text_file (void)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *path = NULL;

  for (guint i = 0; i < 200; i++)
    g_string_append_printf (text, "line %u of a letter that somebody called a film\n", i);
  path = player_write (folder, "text.mp4", text->str, text->len);
  assert_only_bad_fails (path, "text");
}

static void
test_empty_file (void)
{
  g_autofree char *path = player_write (folder, "empty.mp4", "", 0);

  assert_only_bad_fails (path, "no data");
}

static GBytes *
read_clip (const char *path)
{
  char *data;
  gsize size;

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  return g_bytes_new_take (data, size);
}

static void
test_cut_mp4 (void)
{
  g_autoptr (GBytes) clip = read_clip (REALSHORT);
  g_autofree char *path =
      player_write (folder, "cut.mp4", g_bytes_get_data (clip, NULL), g_bytes_get_size (clip) / 2);

  assert_only_bad_fails (path, "damaged");
}

/* A RIFF header and a second of silence. */
static void
test_no_video (void)
{
  guint8 wav[44 + 16000] =
      "RIFF\0\0\0\0WAVEfmt \20\0\0\0\1\0\1\0\100\37\0\0\200\76\0\0\2\0\20\0data";
  g_autofree char *path = NULL;

  GST_WRITE_UINT32_LE (wav + 4, sizeof wav - 8);
  GST_WRITE_UINT32_LE (wav + 40, 16000);
  path = player_write (folder, "sound.wav", wav, sizeof wav);
  assert_only_bad_fails (path, "no video stream");
}

static void
test_not_a_uri (void)
{
  g_autofree char *good = player_uri (REALSHORT);
  g_autoptr (Player) player =
      player_new ("seeddecode name=d streams=\"stream, id=bad, uri=clip.mp4; "
                  "stream, id=odd, uri=gopher://nowhere/at-all; "
                  "stream, id=good, uri=(string)\\\"%s\\\"\"" SINK,
          good);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_true (player_has (player->warnings, "d: stream \"bad\" failed: ", "file:///", NULL));
  g_assert_true (player_has (player->warnings, "d: stream \"odd\" failed: ", "gopher", NULL));
  g_assert_cmpuint (player_count (player, "good"), ==, REALSHORT_FRAMES);
}

/* A stream that is cut short in the middle gives what it has and is not a failure of the others. */
static void
test_cut_ogg (void)
{
  g_autoptr (GBytes) clip = read_clip (MAGNET);
  g_autofree char *path =
      player_write (folder, "cut.ogv", g_bytes_get_data (clip, NULL), g_bytes_get_size (clip) / 2);
  g_autofree char *uri = player_uri (path);
  g_autoptr (Player) player = player_new ("seeddecode name=d uri=%s" SINK, uri);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player->seen->len, >, 5);
  g_assert_cmpuint (player->seen->len, <, MAGNET_FRAMES);
}

/* Bytes changed in the middle of the picture data: decoders go on with what they can. */
static void
play_damaged (const char *from, const char *name, gsize first, gsize step)
{
  g_autoptr (GBytes) clip = read_clip (from);
  gsize size = g_bytes_get_size (clip);
  g_autofree guint8 *data = g_memdup2 (g_bytes_get_data (clip, NULL), size);
  g_autofree char *path = NULL, *bad = NULL, *good = player_uri (REALSHORT);
  g_autoptr (Player) player = NULL;

  for (gsize i = first; i < size * 3 / 4; i += step)
    data[i] ^= 0xa5;
  path = player_write (folder, name, data, size);
  bad = player_uri (path);
  player = player_new ("seeddecode name=d streams=\"stream, id=bad, uri=(string)\\\"%s\\\"; "
                       "stream, id=good, uri=(string)\\\"%s\\\"\"" SINK,
      bad, good);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player_count (player, "good"), ==, REALSHORT_FRAMES);
  g_assert_cmpuint (player_count (player, "bad"), >, 0);
  player_assert_in_order (player);
}

static void
test_damaged (void)
{
  play_damaged (REALSHORT, "damaged.mp4", 30000, 997);
  play_damaged (MAGNET, "damaged.ogv", 20000, 1999);
}

static void
test_all_fail (void)
{
  g_autoptr (Player) player =
      player_new ("seeddecode name=d streams=\"stream, id=one, uri=file:///nowhere/1.mp4; "
                  "stream, id=two, uri=file:///nowhere/2.mp4\"" SINK);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_ERROR);
  g_assert_nonnull (strstr (player->error, "d: no stream gave a frame"));
  g_assert_nonnull (strstr (player->error, "stream \"one\": "));
  g_assert_nonnull (strstr (player->error, "stream \"two\": "));
  g_assert_true (player_has (player->events, "stream-down one", NULL));
  g_assert_true (player_has (player->events, "stream-down two", NULL));
}

static void
assert_refused (const char *properties, const char *why)
{
  g_autoptr (Player) player = player_new ("seeddecode name=d %s" SINK, properties);

  g_assert_cmpint (
      gst_element_set_state (player->pipeline, GST_STATE_PLAYING), ==, GST_STATE_CHANGE_FAILURE);
  g_assert_cmpint (player_wait (player, GST_MESSAGE_ERROR), ==, GST_MESSAGE_ERROR);
  if (!strstr (player->error, why))
    g_error ("\"%s\" does not say \"%s\"", player->error, why);
}

static void
test_settings (void)
{
  assert_refused ("", "neither uri nor streams");
  assert_refused ("uri=file:///a streams=\"stream, id=a, uri=b\"", "both uri and streams");
  assert_refused ("uri=file:///a stream=Door", "\"Door\" is not a stream id");
  assert_refused ("streams=\"stream, id=a, uri=b, fps=2\"", "unknown field \"fps\"");
}

static void
test_caps_refused (void)
{
  g_autofree char *uri = player_uri (REALSHORT);
  g_autoptr (Player) player =
      player_new ("seeddecode name=d uri=%s ! video/x-raw, format=GRAY8" SINK, uri);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_ERROR);
  g_assert_nonnull (strstr (player->error, "stream \"stream\": the next stage does not take"));
  g_assert_cmpuint (player->seen->len, ==, 0);
}

/* --- formats and memory ----------------------------------------------------------------------- */

/* A format that SEED has no use for comes as the nearest that it has. */
static void
test_converts (void)
{
  g_autofree char *path = g_build_filename (folder, "alpha.png", NULL), *uri = player_uri (path);
  g_autoptr (Player) player = NULL;
  g_autofree char *launch = g_strdup_printf (
      "videotestsrc num-buffers=1 ! video/x-raw, format=RGBA, width=33, height=17 ! pngenc ! "
      "filesink location=%s",
      path);
  g_autoptr (GstElement) pipeline = gst_parse_launch (launch, NULL);
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (
      bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);

  player = player_new ("seeddecode name=d uri=%s" SINK, uri);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player->seen->len, ==, 1);
  g_assert_nonnull (strstr (player_nth (player, 0)->caps, "format=(string)RGBx"));
}

static GstPadProbeReturn
answer_allocation (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstQuery *query = GST_PAD_PROBE_INFO_QUERY (info);

  if (GST_QUERY_TYPE (query) != GST_QUERY_ALLOCATION)
    return GST_PAD_PROBE_OK;
  gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
  return GST_PAD_PROBE_HANDLED;
}

typedef struct {
  guint n_plain, n_padded;
} Layouts;

static GstPadProbeReturn
note_layout (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstVideoMeta *meta = gst_buffer_get_video_meta (GST_PAD_PROBE_INFO_BUFFER (info));
  Layouts *layouts = data;

  if (meta && meta->stride[0] != GST_ROUND_UP_4 (854))
    layouts->n_padded++;
  else
    layouts->n_plain++;
  return GST_PAD_PROBE_OK;
}

static Layouts
play_layouts (gboolean reads_meta, guint64 *hash)
{
  g_autofree char *uri = player_uri (DEMO);
  g_autoptr (Player) player = player_new ("seeddecode name=d uri=%s max-fps=1" SINK, uri);
  Layouts layouts = { 0, 0 };

  if (reads_meta)
    gst_pad_add_probe (player->sink_pad,
        GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM | GST_PAD_PROBE_TYPE_PUSH, answer_allocation, NULL,
        NULL);
  gst_pad_add_probe (player->sink_pad, GST_PAD_PROBE_TYPE_BUFFER, note_layout, &layouts, NULL);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  *hash = player_nth (player, 3)->hash;
  return layouts;
}

/* The decoder's own padded frames reach a consumer that can read them; others get a plain copy. */
static void
test_layout (void)
{
  guint64 hash_plain, hash_padded;
  Layouts plain = play_layouts (FALSE, &hash_plain), padded = play_layouts (TRUE, &hash_padded);
  guint major, minor, micro, nano;

  g_assert_cmpuint (plain.n_padded, ==, 0);
  g_assert_cmpuint (plain.n_plain, ==, 15);
  gst_version (&major, &minor, &micro, &nano);
  if (minor < 24) { /* later decoders are told to copy */
    g_assert_cmpuint (padded.n_plain, ==, 0);
    g_assert_cmpuint (padded.n_padded, ==, 15);
  }
  g_assert_cmpuint (hash_plain, ==, hash_padded);
}

/* --- states, flushes, properties -------------------------------------------------------------- */

static Player *
new_looping_pair (void)
{
  g_autofree char *a = player_uri (MAGNET), *b = player_uri (REALSHORT);

  return player_new ("seeddecode name=d streams=\"stream, id=a, uri=(string)\\\"%s\\\", loop=true; "
                     "stream, id=b, uri=(string)\\\"%s\\\", loop=true\"" SINK,
      a, b);
}

/* PAUSED: everything waits for a sink that takes one frame. */
static void
test_stop_while_blocked (void)
{
  for (guint i = 0; i < 10; i++) {
    g_autoptr (Player) player = new_looping_pair ();

    player_set_state (player, GST_STATE_PAUSED);
    player_wait (player, GST_MESSAGE_ASYNC_DONE);
    player_wait_frames (player, NULL, 1);
  }
}

static void
test_stop_at_any_moment (void)
{
  for (guint i = 0; i < 12; i++) {
    g_autoptr (Player) player = new_looping_pair ();

    player_set_state (player, i % 2 ? GST_STATE_PLAYING : GST_STATE_PAUSED);
    player_wait_frames (player, NULL, i % 2 ? 3 * i : 0);
  }
}

static void
test_plays_again (void)
{
  g_autofree char *uri = player_uri (REALSHORT);
  g_autoptr (Player) player = player_new ("seeddecode name=d uri=%s" SINK, uri);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  player_set_state (player, GST_STATE_READY);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player->seen->len, ==, 2 * REALSHORT_FRAMES);
  g_assert_cmpuint (player_nth (player, REALSHORT_FRAMES)->frame, ==, 0);
}

/* Asked to end, a stream that would go on for ever delivers what it has decoded and ends. */
static void
test_eos_drains (void)
{
  g_autoptr (Player) player = new_looping_pair ();

  player_set_state (player, GST_STATE_PLAYING);
  player_wait_frames (player, "a", 40);
  g_assert_true (gst_element_send_event (player->pipeline, gst_event_new_eos ()));
  g_assert_cmpint (player_wait (player, GST_MESSAGE_EOS), ==, GST_MESSAGE_EOS);
  g_assert_true (player_has (player->events, "stream-down a: asked to end", NULL));
  g_assert_true (player_has (player->events, "stream-down b: asked to end", NULL));
}

static void
test_flush (void)
{
  g_autoptr (Player) player = new_looping_pair ();
  guint n;

  player_set_state (player, GST_STATE_PLAYING);
  player_wait_frames (player, NULL, 20);
  player_wait_playing (player);
  g_assert_true (gst_element_send_event (player->source, gst_event_new_flush_start ()));
  n = player_count (player, NULL);
  g_assert_true (gst_element_send_event (player->source, gst_event_new_flush_stop (TRUE)));
  player_wait_frames (player, NULL, n + 20);
  player_set_state (player, GST_STATE_NULL);
  player_assert_in_order (player);
}

static void
test_live_property (void)
{
  g_autoptr (GstElement) decode = gst_element_factory_make ("seeddecode", NULL);
  gboolean live = TRUE;

  gst_object_ref_sink (decode);
  g_object_get (decode, "live", &live, NULL);
  g_assert_false (live);
  g_object_set (decode, "uri", "file:///a.mp4", NULL);
  g_object_get (decode, "live", &live, NULL);
  g_assert_false (live);
  g_object_set (decode, "uri", NULL, "streams",
      "stream, id=a, uri=file:///a; stream, id=b, uri=rtsp://127.0.0.1/b", NULL);
  g_object_get (decode, "live", &live, NULL);
  g_assert_true (live);
}

static void
test_stats (void)
{
  g_autofree char *uri = player_uri (MAGNET);
  g_autoptr (Player) player = player_new ("seeddecode name=d uri=%s stream=door" SINK, uri);
  g_autoptr (GstStructure) stats = NULL, streams = NULL, door = NULL;
  g_autoptr (SeedLedger) ledger = NULL;
  SeedLedgerBusy busy;
  guint64 frames;
  guint passes, errors;

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_object_get (player->source, "stats", &stats, "ledger", &ledger, NULL);
  g_assert_true (gst_structure_has_name (stats, "application/x-seed-stats"));
  g_assert_true (gst_structure_get (stats, "streams", GST_TYPE_STRUCTURE, &streams, NULL));
  g_assert_true (gst_structure_get (streams, "door", GST_TYPE_STRUCTURE, &door, NULL));
  g_assert_cmpstr (gst_structure_get_string (door, "state"), ==, "ended");
  g_assert_nonnull (strstr (gst_structure_get_string (door, "reason"), "34 frames"));
  g_assert_nonnull (strstr (gst_structure_get_string (door, "caps"), "width=(int)400"));
  g_assert_true (gst_structure_get (door, "frames", G_TYPE_UINT64, &frames, "passes", G_TYPE_UINT,
      &passes, "decode-errors", G_TYPE_UINT, &errors, NULL));
  g_assert_cmpuint (frames, ==, MAGNET_FRAMES);
  g_assert_cmpuint (passes, ==, 1);
  g_assert_cmpuint (errors, ==, 0);
  seed_ledger_get_busy (ledger, &busy);
  g_assert_cmpuint (busy.count, ==, MAGNET_FRAMES - 1);
  g_assert_cmpuint (busy.total_ns, >, 0);
}

static void
remove_folder (void)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);

    g_unlink (path);
  }
  g_rmdir (folder);
  g_free (folder);
}

int
main (int argc, char **argv)
{
  int result;

  player_init (&argc, &argv);
  folder = g_dir_make_tmp ("seed-decode-XXXXXX", NULL);
  g_test_add_func ("/seeddecode/theora", test_theora);
  g_test_add_func ("/seeddecode/h264-with-sound", test_h264_with_sound);
  g_test_add_func ("/seeddecode/demo", test_demo);
  g_test_add_func ("/seeddecode/turns", test_turns);
  g_test_add_func ("/seeddecode/by-arrival", test_by_arrival);
  g_test_add_func ("/seeddecode/max-fps", test_max_fps);
  g_test_add_func ("/seeddecode/max-fps-of-stream", test_max_fps_of_stream);
  g_test_add_func ("/seeddecode/loop", test_loop);
  g_test_add_func ("/seeddecode/passes", test_passes);
  g_test_add_func ("/seeddecode/missing-file", test_missing_file);
  g_test_add_func ("/seeddecode/text-file", test_text_file);
  g_test_add_func ("/seeddecode/empty-file", test_empty_file);
  g_test_add_func ("/seeddecode/cut-mp4", test_cut_mp4);
  g_test_add_func ("/seeddecode/cut-ogg", test_cut_ogg);
  g_test_add_func ("/seeddecode/no-video", test_no_video);
  g_test_add_func ("/seeddecode/not-a-uri", test_not_a_uri);
  g_test_add_func ("/seeddecode/damaged", test_damaged);
  g_test_add_func ("/seeddecode/all-fail", test_all_fail);
  g_test_add_func ("/seeddecode/settings", test_settings);
  g_test_add_func ("/seeddecode/caps-refused", test_caps_refused);
  g_test_add_func ("/seeddecode/converts", test_converts);
  g_test_add_func ("/seeddecode/layout", test_layout);
  g_test_add_func ("/seeddecode/stop-while-blocked", test_stop_while_blocked);
  g_test_add_func ("/seeddecode/stop-at-any-moment", test_stop_at_any_moment);
  g_test_add_func ("/seeddecode/plays-again", test_plays_again);
  g_test_add_func ("/seeddecode/eos-drains", test_eos_drains);
  g_test_add_func ("/seeddecode/flush", test_flush);
  g_test_add_func ("/seeddecode/live-property", test_live_property);
  g_test_add_func ("/seeddecode/stats", test_stats);
  result = g_test_run ();
  remove_folder ();
  return result;
}
