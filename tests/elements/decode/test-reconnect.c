/* SPDX-License-Identifier: MIT */
/* Sources that fail and come back: a real RTSP server killed and frozen, and servers that say what
 * no server should. */
#include <malloc.h>
#include <string.h>

#include <glib/gstdio.h>
#include <seed/ledger.h>

#include "fake-server.h"
#include "player.h"
#include "server.h"

#define MAGNET SEED_TEST_DATA "/media/magnet.ogv"
#define REALSHORT SEED_TEST_DATA "/media/realshort.mp4"
#define REALSHORT_FRAMES 36
#define SINK " ! fakesink name=sink sync=false"
#define N_RESTARTS 20

/* Every frame is a key frame, so that a connection is quick. */
#define JPEG(size)                                                                                 \
  "( videotestsrc is-live=true ! video/x-raw, format=I420, framerate=25/1, " size                  \
  " ! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
#define SMALL JPEG ("width=320, height=240")
#define LARGE JPEG ("width=640, height=480")
#define VP8                                                                                        \
  "( videotestsrc is-live=true ! video/x-raw, width=176, height=144, framerate=25/1 ! vp8enc "     \
  "deadline=1 keyframe-max-dist=10 ! rtpvp8pay name=pay0 pt=96 )"

/* A camera beside a file that is played over and over. @options: of the camera. */
static Player *
new_pair (const char *uri, const char *options)
{
  g_autofree char *file = player_uri (MAGNET);
  Player *player = player_new (
      "seeddecode name=d streams=\"stream, id=cam, uri=(string)\\\"%s\\\"%s; "
      "stream, id=file, uri=(string)\\\"%s\\\", loop=true\" ! fakesink name=sink sync=true",
      uri, options, file);

  /* the file at its own pace, the camera as it comes */
  gst_pipeline_set_latency (GST_PIPELINE (player->pipeline), 0);
  player_set_state (player, GST_STATE_PLAYING);
  return player;
}

static Player *
new_camera (const char *uri, const char *options)
{
  Player *player = player_new (
      "seeddecode name=d streams=\"stream, id=cam, uri=(string)\\\"%s\\\"%s\"" SINK, uri, options);

  player_set_state (player, GST_STATE_PLAYING);
  return player;
}

static char *
rtsp_uri (int port)
{
  return g_strdup_printf ("rtspt://127.0.0.1:%d/clip", port);
}

static guint
count_entries (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  return n;
}

/* The file goes on, whatever the camera does. */
static void
assert_file_goes_on (Player *player)
{
  player_wait_frames (player, "file", player_count (player, "file") + 20);
}

/* Ups and downs of a stream alternate, and each is where it belongs between the frames. */
static void
assert_events_alternate (Player *player, const char *stream)
{
  g_autofree char *up = g_strdup_printf ("stream-up %s:", stream);
  g_autofree char *down = g_strdup_printf ("stream-down %s:", stream);
  gboolean is_up = FALSE;
  guint next_event = 0;

  for (guint i = 0; i < player->seen->len; i++) {
    for (; next_event < player->events->len &&
           g_array_index (player->event_after, guint, next_event) <= i;
         next_event++) {
      const char *event = g_ptr_array_index (player->events, next_event);

      if (g_str_has_prefix (event, up)) {
        g_assert_false (is_up);
        is_up = TRUE;
      } else if (g_str_has_prefix (event, down)) {
        is_up = FALSE;
      }
    }
    if (g_str_equal (player_nth (player, i)->stream, stream))
      g_assert_true (is_up);
  }
}

static guint
get_uint (const GstStructure *s, const char *name)
{
  guint value;

  g_assert_true (gst_structure_get_uint (s, name, &value));
  return value;
}

static gint64
get_int64 (const GstStructure *s, const char *name)
{
  gint64 value;

  g_assert_true (gst_structure_get_int64 (s, name, &value));
  return value;
}

/* Waits until threads and descriptors are as few as they were. */
static void
assert_no_more_than (const char *path, guint limit)
{
  gint64 end = g_get_monotonic_time () + SEED_TEST_WAIT_S * G_TIME_SPAN_SECOND;

  while (count_entries (path) > limit) {
    if (g_get_monotonic_time () > end)
      g_error ("%u entries in %s, no more than %u expected", count_entries (path), path, limit);
    g_usleep (20000);
  }
}

static void
restart (Server *server, Player *player, guint n)
{
  int port = server->port;
  guint frames;

  server_kill (server);
  player_wait_events (player, "stream-down cam", n);
  *server = server_start (SMALL, port);
  player_wait_events (player, "stream-up cam", n + 1);
  frames = player_count (player, "cam");
  player_wait_frames (player, "cam", frames + 2);
  player_read_bus (player);
}

/* Killed and started again many times: nothing is left over of any session. */
static void
test_restarts (void)
{
  Server server;
  g_autofree char *uri = NULL;
  g_autoptr (Player) player = NULL;
  g_autoptr (GstStructure) stats = NULL;
  guint tasks, fds, warm = 3;
  gsize memory;

  if (!server_is_there ())
    return;
  server = server_start (SMALL, 0);
  uri = rtsp_uri (server.port);
  player = new_pair (uri, ", retry-min-ms=20, retry-max-ms=100");
  player_wait_frames (player, "cam", 5);
  for (guint i = 0; i < warm; i++)
    restart (&server, player, i + 1);
  tasks = count_entries ("/proc/self/task");
  fds = count_entries ("/proc/self/fd");
  memory = mallinfo2 ().uordblks;
  for (guint i = warm; i < warm + N_RESTARTS; i++)
    restart (&server, player, i + 1);
  assert_no_more_than ("/proc/self/task", tasks + 4); /* a pool keeps idle threads for a while */
  assert_no_more_than ("/proc/self/fd", fds + 4);     /* a session may be on its way up */
  g_test_message ("%u restarts: %+" G_GSSIZE_FORMAT " bytes, tasks %u -> %u, descriptors %u -> %u",
      N_RESTARTS, (gssize) (mallinfo2 ().uordblks - memory), tasks,
      count_entries ("/proc/self/task"), fds, count_entries ("/proc/self/fd"));
  g_assert_cmpint ((gssize) (mallinfo2 ().uordblks - memory), <, 4 * 1024 * 1024);

  assert_file_goes_on (player);
  stats = player_stats (player, "cam");
  g_assert_cmpuint (get_uint (stats, "outages"), ==, warm + N_RESTARTS);
  g_assert_cmpstr (gst_structure_get_string (stats, "state"), ==, "up");
  g_assert_cmpstr (gst_structure_get_string (stats, "codec"), ==, "jpeg");
  g_assert_cmpstr (gst_structure_get_string (stats, "size"), ==, "320x240");
  g_assert_cmpstr (gst_structure_get_string (stats, "last-error"), !=, "");
  g_assert_cmpint (get_int64 (stats, "age-ms"), <, 30 * 1000);
  g_assert_cmpint (get_int64 (stats, "uptime-ms"), >=, 0);
  player_set_state (player, GST_STATE_NULL);
  player_assert_in_order (player);
  assert_events_alternate (player, "cam");
  g_assert_cmpuint (player_count_events (player, "stream-up file"), ==, 1);
  server_kill (&server);
}

/* With the defaults: a camera that is back is up soon, however long it was away. */
static void
test_back_soon (void)
{
  gint64 back, worst = 0;
  g_autofree char *uri = NULL;
  g_autoptr (Player) player = NULL;
  Server server;

  if (!server_is_there ())
    return;
  server = server_start (SMALL, 0);
  uri = rtsp_uri (server.port);
  player = new_pair (uri, "");
  player_wait_frames (player, "cam", 5);
  for (guint i = 0; i < 2; i++) {
    int port = server.port;

    server_kill (&server);
    player_wait_events (player, "stream-down cam", i + 1);
    for (guint attempts = 0; attempts < 3;) { /* refused, three times */
      g_autoptr (GstStructure) stats = player_stats (player, "cam");

      attempts = get_uint (stats, "attempts");
      g_usleep (5000);
    }
    assert_file_goes_on (player);
    server = server_start (SMALL, port);
    back = g_get_monotonic_time ();
    player_wait_events (player, "stream-up cam", i + 2);
    worst = MAX (worst, g_get_monotonic_time () - back);
  }
  g_test_message ("up %.2f s after it was back", (double) worst / 1e6);
  g_assert_cmpint (worst, <, 6 * G_USEC_PER_SEC); /* 3 s, and as much for a busy machine */
  g_assert_true (player_has (player->events, "stream-up cam: 320x240", "after", "attempts", NULL));
  server_kill (&server);
}

/* It stops sending and closes nothing; then it goes on where it was, or another takes its place. */
static void
test_frozen (void)
{
  g_autofree char *uri = NULL;
  g_autoptr (Player) player = NULL;
  gint64 before;
  Server server;
  int port;

  if (!server_is_there ())
    return;
  server = server_start (SMALL, 0);
  port = server.port;
  uri = rtsp_uri (port);
  player = new_pair (uri, ", stall-ms=600, retry-min-ms=50, retry-max-ms=300, connect-ms=3000");
  player_wait_frames (player, "cam", 5);
  server_freeze (&server);
  player_wait_events (player, "stream-down cam: no frame for 0.6 s", 1);
  assert_file_goes_on (player);
  server_thaw (&server);
  player_wait_events (player, "stream-up cam", 2);
  player_wait_frames (player, "cam", player_count (player, "cam") + 5);
  server_freeze (&server);
  player_wait_events (player, "stream-down cam", 2);
  player_wait_state (player, "cam", "connecting"); /* to a server that takes it and says nothing */
  before = g_get_monotonic_time ();
  player_set_state (player, GST_STATE_PAUSED);
  player_set_state (player, GST_STATE_PLAYING);
  g_assert_cmpint (g_get_monotonic_time () - before, <, 2 * G_USEC_PER_SEC);
  server_kill (&server);
  server = server_start (SMALL, port);
  player_wait_events (player, "stream-up cam", 3);
  player_assert_in_order (player);
  server_freeze (&server);
  before = g_get_monotonic_time ();
  player_set_state (player, GST_STATE_NULL);
  g_assert_cmpint (g_get_monotonic_time () - before, <, 3 * G_USEC_PER_SEC);
  server_kill (&server);
}

static void
assert_capture_times (Player *player)
{
  for (guint i = 0; i < player->seen->len; i++) {
    const Seen *seen = player_nth (player, i);

    if (g_str_equal (seen->stream, "cam"))
      g_assert_cmpint (ABS (g_get_real_time () - seen->capture_ns / 1000), <, 60 * G_USEC_PER_SEC);
  }
}

/* Another size, another codec: new caps, the same stream; its clock is told by the sender. */
static void
test_changes (void)
{
  g_autofree char *uri = NULL;
  g_autoptr (Player) player = NULL;
  g_autoptr (GstStructure) stats = NULL;
  const char *const launches[] = { LARGE, VP8 };
  const char *const ups[] = { "stream-up cam: 640x480", "stream-up cam: 176x144" };
  Server server;
  int port;

  if (!server_is_there ())
    return;
  server = server_start (SMALL, 0);
  port = server.port;
  uri = rtsp_uri (port);
  player = new_pair (uri, ", retry-min-ms=20, retry-max-ms=100");
  player_wait_frames (player, "cam", 5);
  for (guint i = 0; i < G_N_ELEMENTS (launches); i++) {
    server_kill (&server);
    player_wait_events (player, "stream-down cam", i + 1);
    server = server_start (launches[i], port);
    player_wait_events (player, ups[i], 1);
    player_wait_frames (player, "cam", player_count (player, "cam") + 10);
  }
  stats = player_stats (player, "cam");
  g_assert_cmpstr (gst_structure_get_string (stats, "size"), ==, "176x144");
  g_assert_cmpstr (gst_structure_get_string (stats, "codec"), ==, "vp8");
  player_set_state (player, GST_STATE_NULL);
  player_assert_in_order (player);
  assert_events_alternate (player, "cam");
  assert_capture_times (player);
  server_kill (&server);
}

/* The clock of the sender, from its reports: the same machine's, so it must agree with arrival. */
static void
test_sender_clock (void)
{
  gint64 end = g_get_monotonic_time () + SEED_TEST_WAIT_S * G_TIME_SPAN_SECOND;
  g_autofree char *uri = NULL;
  g_autoptr (Player) player = NULL;
  gboolean known = FALSE;
  Server server;

  if (!server_is_there ())
    return;
  server = server_start (SMALL, 0);
  uri = rtsp_uri (server.port);
  player = new_camera (uri, "");
  while (!known) {
    g_autoptr (GstStructure) stats = NULL;

    player_wait_frames (player, "cam", player_count (player, "cam") + 5);
    stats = player_stats (player, "cam");
    known = g_str_equal (gst_structure_get_string (stats, "capture-clock"), "source");
    g_assert_cmpint (g_get_monotonic_time (), <, end);
  }
  player_wait_frames (player, "cam", player_count (player, "cam") + 10);
  player_set_state (player, GST_STATE_NULL);
  for (guint i = 1; i < player->seen->len; i++) { /* 40 ms apart, by whichever clock */
    const Seen *one = player_nth (player, i - 1), *two = player_nth (player, i);

    g_assert_cmpint (ABS (two->capture_ns - one->capture_ns), <, 2 * (gint64) GST_SECOND);
  }
  assert_capture_times (player);
  server_kill (&server);
}

static void
answer_garbage (GOutputStream *out, const char *cseq, gpointer data)
{
  static const char garbage[4096] = "\x89\xff\x00\xd8RTSP/9.9 9999\r\n\r\n$\xff\xff\xff";

  g_output_stream_write_all (out, garbage, sizeof garbage, NULL, NULL, NULL);
}

/* What answers is no camera; then the camera is back. */
static void
test_garbage (void)
{
  FakeServer *fake = fake_server_new (0, answer_garbage, NULL);
  int port = fake_server_get_port (fake);
  g_autofree char *uri = rtsp_uri (port);
  g_autoptr (Player) player = NULL;
  Server server;

  if (!server_is_there ()) {
    fake_server_free (fake);
    return;
  }
  player = new_pair (uri, ", retry-min-ms=20, retry-max-ms=100, connect-ms=2000");
  while (fake_server_count (fake) < 5)
    g_usleep (5000);
  assert_file_goes_on (player);
  fake_server_free (fake);
  server = server_start (SMALL, port);
  player_wait_events (player, "stream-up cam", 1);
  player_wait_frames (player, "cam", 5);
  g_assert_cmpuint (player_count_events (player, "stream-down cam"), ==, 1);
  server_kill (&server);
}

static void
answer_text (GOutputStream *out, const char *cseq, gpointer data)
{
  g_autofree char *text = g_strdup_printf (data, cseq);

  g_output_stream_write_all (out, text, strlen (text), NULL, NULL, NULL);
}

static const struct {
  const char *scheme, *answer;
  gboolean permanent;
} answers[] = {
  { "rtspt", "RTSP/1.0 404 Not Found\r\nCSeq: %s\r\n\r\n", TRUE },
  { "rtspt", "RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n",
      TRUE },
  { "rtspt", "RTSP/1.0 503 Service Unavailable\r\nCSeq: %s\r\n\r\n", FALSE },
  { "http", "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\nX: %s\r\n\r\n", TRUE },
  { "http", "HTTP/1.0 403 Forbidden\r\nContent-Length: 0\r\nX: %s\r\n\r\n", TRUE },
  { "http", "HTTP/1.0 500 Oops\r\nContent-Length: 0\r\nX: %s\r\n\r\n", FALSE },
};

/* What will not mend itself is not hammered; the graph stays up all the same, and says so. */
static void
test_refusals (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++) {
    g_autoptr (FakeServer) fake = fake_server_new (0, answer_text, (gpointer) answers[i].answer);
    g_autofree char *uri =
        g_strdup_printf ("%s://127.0.0.1:%d/x", answers[i].scheme, fake_server_get_port (fake));
    g_autoptr (Player) player = new_camera (uri, "");
    g_autoptr (GstStructure) stats = NULL;
    gint64 retry;

    player_wait_events (player, "stream-down cam", 1);
    player_wait_events (player, "alarm -: no stream is up: 1 is down", 1);
    player_wait_state (player, "cam", "backing-off");
    stats = player_stats (player, "cam");
    retry = get_int64 (stats, "retry-in-ms");
    g_test_message ("%s: %s; again in %d ms", answers[i].answer,
        gst_structure_get_string (stats, "last-error"), (int) retry);
    if (answers[i].permanent)
      g_assert_cmpint (retry, >, 10000);
    else
      g_assert_cmpint (retry, <=, 2000);
    player_wait (player, GST_MESSAGE_WARNING);
    player_wait (player, GST_MESSAGE_WARNING);
    g_assert_true (player_has (player->warnings, "\"cam\" failed: ", "tried again", NULL));
    g_assert_true (player_has (player->warnings, "no stream is up", NULL));
  }
}

static void
test_device_missing (void)
{
  g_autoptr (Player) player =
      new_pair ("v4l2:///dev/video77", ", retry-min-ms=20, retry-max-ms=60");
  guint attempts = 0, n = 0;

  player_wait_events (player, "stream-down cam", 1);
  while (attempts < 5) {
    g_autoptr (GstStructure) stats = player_stats (player, "cam");

    attempts = get_uint (stats, "attempts");
    g_usleep (5000);
  }
  assert_file_goes_on (player);
  gst_element_send_event (player->pipeline, gst_event_new_eos ());
  g_assert_cmpint (player_wait (player, GST_MESSAGE_EOS), ==, GST_MESSAGE_EOS);
  for (guint i = 0; i < player->warnings->len; i++)
    n += strstr (g_ptr_array_index (player->warnings, i), "\"cam\" failed") != NULL;
  g_assert_cmpuint (n, ==, 1); /* not one an attempt */
  g_assert_true (player_has (player->events, "stream-down cam: asked to end", NULL));
}

/* A file that is asked to come back, and does. */
static void
test_file_appears (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-reconnect-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "late.mp4", NULL), *uri = player_uri (path);
  g_autofree char *data = NULL, *written = NULL, *part = g_strconcat (path, ".part", NULL);
  g_autoptr (Player) player = new_camera (uri, ", reconnect=true, retry-max-ms=100");
  gsize size;

  player_wait_events (player, "stream-down cam", 1);
  g_assert_true (g_file_get_contents (REALSHORT, &data, &size, NULL));
  written = player_write (folder, "late.mp4.part", data, size);
  g_assert_cmpint (g_rename (part, path), ==, 0);
  g_assert_cmpint (player_wait (player, GST_MESSAGE_EOS), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player_count (player, "cam"), ==, REALSHORT_FRAMES);
  g_assert_true (player_has (player->events, "stream-down cam: end of the source", NULL));
  g_unlink (path);
  g_rmdir (folder);
}

/* --- HTTP ------------------------------------------------------------------------------------- */

typedef struct {
  GBytes *jpeg;
  guint n; /* of one connection */
} Film;

static GBytes *
make_jpeg (void)
{
  g_autoptr (GstElement) pipeline = gst_parse_launch (
      "videotestsrc num-buffers=1 ! video/x-raw, width=160, height=120 ! jpegenc ! fakesink "
      "name=s enable-last-sample=true",
      NULL);
  g_autoptr (GstElement) sink = gst_bin_get_by_name (GST_BIN (pipeline), "s");
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GstSample) sample = NULL;
  GstMapInfo map;
  GBytes *jpeg;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (
      bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  g_object_get (sink, "last-sample", &sample, NULL);
  g_assert_true (gst_buffer_map (gst_sample_get_buffer (sample), &map, GST_MAP_READ));
  jpeg = g_bytes_new (map.data, map.size);
  gst_buffer_unmap (gst_sample_get_buffer (sample), &map);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return jpeg;
}

/* As cameras do it; after n pictures the connection is over. */
static void
answer_film (GOutputStream *out, const char *cseq, gpointer data)
{
  static const char head[] = "HTTP/1.0 200 OK\r\n"
                             "Content-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n";
  const Film *film = data;
  gsize size;
  const void *jpeg = g_bytes_get_data (film->jpeg, &size);

  if (!g_output_stream_write_all (out, head, strlen (head), NULL, NULL, NULL))
    return;
  for (guint i = 0; i < film->n; i++) {
    g_autofree char *part = g_strdup_printf (
        "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %" G_GSIZE_FORMAT "\r\n\r\n", size);

    if (!g_output_stream_write_all (out, part, strlen (part), NULL, NULL, NULL) ||
        !g_output_stream_write_all (out, jpeg, size, NULL, NULL, NULL) ||
        !g_output_stream_write_all (out, "\r\n", 2, NULL, NULL, NULL))
      return;
  }
}

/* A body without an end that ends is a loss; frame numbers and times go on over all connections. */
static void
test_http_pictures (void)
{
  Film film = { make_jpeg (), 20 };
  FakeServer *fake = fake_server_new (0, answer_film, &film);
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%d/mjpeg", fake_server_get_port (fake));
  Player *player = new_camera (uri, ", live=true, retry-min-ms=20, retry-max-ms=60");

  player_wait_events (player, "stream-down cam: the source stopped sending", 3);
  player_wait_events (player, "stream-up cam: 160x120", 4);
  player_set_state (player, GST_STATE_NULL);
  player_assert_in_order (player);
  assert_events_alternate (player, "cam");
  g_assert_cmpuint (player_nth (player, 45)->frame, >=, 45);
  player_free (player);
  fake_server_free (fake);
  g_bytes_unref (film.jpeg);
}

static void
answer_clip (GOutputStream *out, const char *cseq, gpointer data)
{
  g_autofree char *clip = NULL, *head = NULL;
  gsize size;

  g_assert_true (g_file_get_contents (MAGNET, &clip, &size, NULL));
  head = g_strdup_printf ("HTTP/1.0 200 OK\r\nContent-Type: video/ogg\r\n"
                          "Accept-Ranges: none\r\n"
                          "Content-Length: %" G_GSIZE_FORMAT "\r\n\r\n",
      size);
  g_output_stream_write_all (out, head, strlen (head), NULL, NULL, NULL);
  g_output_stream_write_all (out, clip, size, NULL, NULL, NULL);
}

/* A body with a length is a file, and ends as one. */
static void
test_http_file (void)
{
  FakeServer *fake = fake_server_new (0, answer_clip, NULL);
  g_autofree char *uri = g_strdup_printf ("http://127.0.0.1:%d/a.ogv", fake_server_get_port (fake));
  Player *player = new_camera (uri, "");

  g_assert_cmpint (player_wait (player, GST_MESSAGE_EOS), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player->seen->len, ==, 34);
  g_assert_cmpuint (player->warnings->len, ==, 0);
  player_free (player);
  fake_server_free (fake);
}

#ifdef __SANITIZE_ADDRESS__
/*
 * Servers that are shut in the middle of an answer leave sources of GIO behind, and GStreamer what
 * it was about to say. Whether decoding itself leaks these tests measure: memory over 20 outages.
 */
const char *__asan_default_options (void);
const char *
__asan_default_options (void)
{
  return "detect_leaks=0";
}
#endif

int
main (int argc, char **argv)
{
  player_init (&argc, &argv);
  g_test_add_func ("/reconnect/restarts", test_restarts);
  g_test_add_func ("/reconnect/back-soon", test_back_soon);
  g_test_add_func ("/reconnect/frozen", test_frozen);
  g_test_add_func ("/reconnect/changes", test_changes);
  g_test_add_func ("/reconnect/sender-clock", test_sender_clock);
  g_test_add_func ("/reconnect/garbage", test_garbage);
  g_test_add_func ("/reconnect/refusals", test_refusals);
  g_test_add_func ("/reconnect/device-missing", test_device_missing);
  g_test_add_func ("/reconnect/file-appears", test_file_appears);
  g_test_add_func ("/reconnect/http-pictures", test_http_pictures);
  g_test_add_func ("/reconnect/http-file", test_http_file);
  return g_test_run ();
}
