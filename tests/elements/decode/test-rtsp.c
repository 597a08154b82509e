/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/ledger.h>

#include "player.h"
#include "server.h"

#define MAGNET SEED_TEST_DATA "/media/magnet.ogv"
#define DEMO SEED_SOURCE_DIR "/graphs/media/demo.mp4"

static void
assert_live (Player *player)
{
  g_autoptr (GstQuery) latency = gst_query_new_latency ();
  gboolean live = FALSE;

  g_object_get (player->source, "live", &live, NULL);
  g_assert_true (live);
  g_assert_true (gst_pad_peer_query (player->sink_pad, latency));
  gst_query_parse_latency (latency, &live, NULL, NULL);
  g_assert_true (live);
}

/* A camera beside a file; the camera is lost, the file goes on. @scheme chooses the transport. */
static void
lose_camera (const char *scheme)
{
  Server server = server_start (DEMO, 0);
  g_autofree char *uri = gst_filename_to_uri (MAGNET, NULL);
  g_autoptr (Player) player = player_new (
      "seeddecode name=d streams=\"stream, id=cam, uri=(string)\\\"%s://127.0.0.1:%d/clip\\\", "
      "reconnect=false; "
      "stream, id=file, uri=(string)\\\"%s\\\", loop=true\" ! fakesink name=sink sync=false",
      scheme, server.port, uri);
  guint n;

  g_assert_cmpint (
      gst_element_set_state (player->pipeline, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_NO_PREROLL);
  player_set_state (player, GST_STATE_PLAYING);
  player_wait_frames (player, "cam", 15);
  assert_live (player);

  server_kill (&server);
  player_wait (player, GST_MESSAGE_WARNING);
  g_assert_true (player_has (player->warnings, "d: stream \"cam\" failed: ", NULL));
  g_assert_true (player_has (player->warnings, "other streams go on", NULL));
  n = player_count (player, "file");
  player_wait_frames (player, "file", n + 50);
  gst_element_send_event (player->pipeline, gst_event_new_eos ());
  g_assert_cmpint (player_wait (player, GST_MESSAGE_EOS), ==, GST_MESSAGE_EOS);
  g_assert_true (player_has (player->events, "stream-up cam: 854x480", NULL));
  g_assert_true (player_has (player->events, "stream-down cam: ", NULL));
  g_assert_true (player_has (player->events, "stream-down file: asked to end", NULL));
  player_assert_in_order (player);
  for (guint i = 0; i < player->seen->len; i++)
    g_assert_cmpint (ABS (g_get_real_time () - player_nth (player, i)->capture_ns / 1000), <,
        60 * G_USEC_PER_SEC);
}

static void
test_udp (void)
{
  if (server_is_there ())
    lose_camera ("rtsp");
}

static void
test_tcp (void)
{
  if (server_is_there ())
    lose_camera ("rtspt");
}

/* The only stream, and nobody answers. */
static void
test_nobody (void)
{
  g_autoptr (Player) player = NULL;
  Server server;

  if (!server_is_there ())
    return;
  server = server_start (DEMO, 0); /* a port that is free again once its owner is gone */
  player =
      player_new ("seeddecode name=d streams=\"stream, id=cam, reconnect=false, "
                  "uri=(string)\\\"rtsp://user:secret@127.0.0.1:%d/clip\\\"\" ! fakesink name=sink",
          server.port);
  server_kill (&server);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_ERROR);
  g_assert_nonnull (strstr (player->error, "stream \"cam\": "));
  g_assert_nonnull (strstr (player->error, "check that the other end is up"));
  g_assert_null (strstr (player->error, "secret"));
}

static void
test_wrong_path (void)
{
  g_autoptr (Player) player = NULL;
  Server server;

  if (!server_is_there ())
    return;
  server = server_start (DEMO, 0);
  player = player_new ("seeddecode name=d streams=\"stream, id=cam, reconnect=false, "
                       "uri=(string)\\\"rtsp://127.0.0.1:%d/other\\\"\" ! fakesink name=sink",
      server.port);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_ERROR);
  g_assert_nonnull (strstr (player->error, "stream \"cam\": "));
  server_kill (&server);
}

/* Stopped while the connection is being made, and while frames come. */
static void
test_stop (void)
{
  Server server;

  if (!server_is_there ())
    return;
  server = server_start (DEMO, 0);
  for (guint i = 0; i < 4; i++) {
    g_autoptr (Player) player = player_new (
        "seeddecode name=d uri=rtsp://127.0.0.1:%d/clip ! fakesink name=sink", server.port);

    player_set_state (player, GST_STATE_PLAYING);
    player_wait_frames (player, NULL, 2 * i);
  }
  server_kill (&server);
}

int
main (int argc, char **argv)
{
  player_init (&argc, &argv);
  g_test_add_func ("/rtsp/udp", test_udp);
  g_test_add_func ("/rtsp/tcp", test_tcp);
  g_test_add_func ("/rtsp/nobody", test_nobody);
  g_test_add_func ("/rtsp/wrong-path", test_wrong_path);
  g_test_add_func ("/rtsp/stop", test_stop);
  return g_test_run ();
}
