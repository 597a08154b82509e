/* SPDX-License-Identifier: MIT */
/* Streams added to and removed from a running element, and pictures taken from it. */
#include <string.h>

#include <gst/video/video.h>
#include <seed/error.h>
#include <seed/ledger.h>

#include "player.h"

#define MAGNET SEED_TEST_DATA "/media/magnet.ogv"
#define REALSHORT SEED_TEST_DATA "/media/realshort.mp4"
#define REALSHORT_FRAMES 36
#define SINK " ! fakesink name=sink sync=false"

static GError *
add (Player *player, const char *name, const char *path, const char *options)
{
  g_autofree char *uri = path[0] == '/' ? player_uri (path) : g_strdup (path);
  g_autoptr (GstStructure) fields = options ? gst_structure_from_string (options, NULL) : NULL;
  GError *error = NULL;

  g_assert_true (!options || fields);
  g_signal_emit_by_name (player->source, "add-stream", name, uri, fields, &error);
  return error;
}

static GError *
remove_stream (Player *player, const char *name)
{
  GError *error = NULL;

  g_signal_emit_by_name (player->source, "remove-stream", name, &error);
  return error;
}

static GstSample *
take_snapshot (Player *player, const char *name)
{
  GstSample *sample = NULL;

  g_signal_emit_by_name (player->source, "snapshot", name, &sample);
  return sample;
}

static void
assert_says (GError *error, int code, const char *words)
{
  g_assert_error (error, SEED_ERROR, code);
  if (!strstr (error->message, words))
    g_error ("\"%s\" does not say \"%s\"", error->message, words);
  g_error_free (error);
}

static Player *
new_looping (void)
{
  g_autofree char *uri = player_uri (MAGNET);
  Player *player = player_new ("seeddecode name=d max-fps=5 streams=\"stream, id=a, "
                               "uri=(string)\\\"%s\\\", loop=true\"" SINK,
      uri);

  player_set_state (player, GST_STATE_PLAYING);
  player_wait_frames (player, "a", 5);
  return player;
}

static void
test_add (void)
{
  g_autoptr (Player) player = new_looping ();
  g_autoptr (GError) error = add (player, "b", REALSHORT, "x, passes=2, max-fps=0");

  g_assert_no_error (error);
  player_wait_events (player, "stream-up b: 320x240", 1);
  player_wait_events (player, "stream-down b: end of the source after 72 frames", 1);
  g_assert_cmpuint (player_count (player, "b"), ==, 2 * REALSHORT_FRAMES);
  player_wait_frames (player, "a", player_count (player, "a") + 20);
  g_assert_cmpstr (player_state (player, "b"), ==, "ended");
  g_assert_cmpuint (player_count_events (player, "stream-down a"), ==, 0);
  player_assert_in_order (player);
}

static void
test_remove (void)
{
  g_autoptr (Player) player = new_looping ();
  guint n;

  g_assert_no_error (add (player, "b", MAGNET, "x, loop=true"));
  player_wait_frames (player, "b", 5);
  g_assert_no_error (remove_stream (player, "b"));
  player_wait_events (player, "stream-down b: removed", 1);
  player_wait_state (player, "b", "gone");
  n = player_count (player, "b");
  player_wait_frames (player, "a", player_count (player, "a") + 30);
  g_assert_cmpuint (player_count (player, "b"), ==, n);
  g_assert_null (take_snapshot (player, "b"));
  g_assert_no_error (add (player, "b", REALSHORT, NULL));
  player_wait_events (player, "stream-down b: end of the source", 1);
  g_assert_no_error (remove_stream (player, "b")); /* what is over already */
  player_wait_state (player, "b", "gone");
}

/* Without any stream the element waits for another; asked to end, it ends. */
static void
test_remove_last (void)
{
  g_autoptr (Player) player = new_looping ();

  g_assert_no_error (remove_stream (player, "a"));
  player_wait_events (player, "stream-down a: removed", 1);
  player_wait_state (player, "a", "gone");
  g_assert_no_error (add (player, "b", MAGNET, "x, loop=true"));
  player_wait_frames (player, "b", 10);
  g_assert_no_error (remove_stream (player, "b"));
  player_wait_events (player, "stream-down b: removed", 1);
  g_assert_true (gst_element_send_event (player->pipeline, gst_event_new_eos ()));
  g_assert_cmpint (player_wait (player, GST_MESSAGE_EOS), ==, GST_MESSAGE_EOS);
  assert_says (add (player, "c", MAGNET, NULL), SEED_ERROR_UNSUPPORTED, "ended");
}

static void
test_refuses (void)
{
  g_autoptr (Player) player = new_looping ();

  assert_says (add (player, "a", MAGNET, NULL), SEED_ERROR_INVALID, "already");
  assert_says (add (player, "Door", MAGNET, NULL), SEED_ERROR_INVALID, "stream id");
  assert_says (add (player, "", MAGNET, NULL), SEED_ERROR_INVALID, "stream id");
  assert_says (add (player, "b", "clip.mp4", NULL), SEED_ERROR_INVALID, "file:///");
  assert_says (add (player, "b", MAGNET, "x, fps=3"), SEED_ERROR_INVALID, "unknown field");
  assert_says (add (player, "b", MAGNET, "x, retry-min-ms=1"), SEED_ERROR_INVALID, "retry-min-ms");
  assert_says (remove_stream (player, "b"), SEED_ERROR_NOT_FOUND, "no stream \"b\"");
  assert_says (remove_stream (player, "a b"), SEED_ERROR_NOT_FOUND, "no stream");
  player_wait_frames (player, "a", player_count (player, "a") + 5);
  player_set_state (player, GST_STATE_NULL);
  assert_says (add (player, "b", MAGNET, NULL), SEED_ERROR_UNSUPPORTED, "not running");
}

static void
test_limit (void)
{
  g_autoptr (Player) player = new_looping ();
  GError *error = NULL;

  for (guint i = 1; i < 256; i++) { /* in READY nothing is opened */
    g_autofree char *name = g_strdup_printf ("s%u", i);

    if (i == 1)
      player_set_state (player, GST_STATE_READY);
    g_assert_no_error (add (player, name, MAGNET, NULL));
  }
  error = add (player, "one-more", MAGNET, NULL);
  assert_says (error, SEED_ERROR_LIMIT, "256");
}

/* What was added stays over a pause of the element, and goes with it. */
static void
test_stays (void)
{
  g_autoptr (Player) player = new_looping ();
  guint n;

  g_assert_no_error (add (player, "b", MAGNET, "x, loop=true"));
  player_set_state (player, GST_STATE_READY);
  n = player_count (player, "b");
  player_set_state (player, GST_STATE_PLAYING);
  player_wait_frames (player, "b", n + 5);
  player_set_state (player, GST_STATE_NULL);
  player_set_state (player, GST_STATE_PLAYING);
  player_wait_frames (player, "a", player_count (player, "a") + 5);
  g_assert_cmpstr (player_state (player, "b"), ==, "gone");
}

typedef struct {
  Player *player;
  guint number;
} Worker;

static gpointer
come_and_go (gpointer data)
{
  Worker *worker = data;
  g_autofree char *name = g_strdup_printf ("w%u", worker->number);
  g_autofree char *up = g_strdup_printf ("stream-up %s", name);
  g_autofree char *down = g_strdup_printf ("stream-down %s", name);

  for (guint i = 0; i < 5; i++) {
    g_assert_no_error (add (worker->player, name, MAGNET, "x, loop=true"));
    if (i % 2)
      player_wait_events (worker->player, up, i / 2 + 1);
    g_assert_no_error (remove_stream (worker->player, name));
    player_wait_events (worker->player, down, i + 1);
    player_wait_state (worker->player, name, "gone");
  }
  return NULL;
}

/* From several threads at once, beside a stream that does not notice. */
static void
test_threads (void)
{
  g_autoptr (Player) player = new_looping ();
  GThread *threads[4];
  Worker workers[4];

  for (guint i = 0; i < 4; i++) {
    workers[i] = (Worker){ player, i };
    threads[i] = g_thread_new (NULL, come_and_go, &workers[i]);
  }
  for (guint i = 0; i < 4; i++)
    g_thread_join (threads[i]);
  player_wait_frames (player, "a", player_count (player, "a") + 5);
  g_assert_cmpuint (player_count_events (player, "stream-up a"), ==, 1);
  g_assert_cmpuint (player_count_events (player, "stream-down a"), ==, 0);
}

static void
test_snapshot (void)
{
  g_autoptr (Player) player = new_looping ();
  g_autoptr (GstSample) sample = NULL;
  const GstStructure *info;
  GstVideoFrame frame;
  GstVideoInfo video;
  guint64 number;

  g_assert_null (take_snapshot (player, "nobody"));
  player_wait_frames (player, "a", 6); /* the fifth is delivered when the sixth is */
  sample = take_snapshot (player, "a");
  g_assert_nonnull (sample);
  info = gst_sample_get_info (sample);
  g_assert_cmpstr (gst_structure_get_string (info, "stream"), ==, "a");
  g_assert_true (gst_structure_get_uint64 (info, "frame", &number));
  g_assert_cmpuint (number, >=, 20);
  g_assert_true (gst_video_info_from_caps (&video, gst_sample_get_caps (sample)));
  g_assert_cmpint (video.width, ==, 400);
  g_assert_true (
      gst_video_frame_map (&frame, &video, gst_sample_get_buffer (sample), GST_MAP_READ));
  gst_video_frame_unmap (&frame);
}

int
main (int argc, char **argv)
{
  player_init (&argc, &argv);
  g_test_add_func ("/control/add", test_add);
  g_test_add_func ("/control/remove", test_remove);
  g_test_add_func ("/control/remove-last", test_remove_last);
  g_test_add_func ("/control/refuses", test_refuses);
  g_test_add_func ("/control/limit", test_limit);
  g_test_add_func ("/control/stays", test_stays);
  g_test_add_func ("/control/threads", test_threads);
  g_test_add_func ("/control/snapshot", test_snapshot);
  return g_test_run ();
}
