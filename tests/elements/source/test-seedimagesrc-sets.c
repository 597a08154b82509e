/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <gst/app/gstappsink.h>
#include <gst/video/video.h>
#include <seed/caption-meta.h>
#include <seed/ledger.h>

#include "../decode/player.h"

/* The fixtures are made by generate-image-set-fixtures.py. */
#define SETS SEED_TEST_DATA "/imagesets/"
#define PHOTOGRAPHS SEED_TEST_DATA "/images"
#define N_PHOTOGRAPHS 96
#define N_TREE 12
#define SINK " ! fakesink name=sink sync=false"

static Player *
play (const char *location, const char *properties)
{
  Player *player = player_new ("seedimagesrc name=d location=%s %s" SINK, location, properties);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  return player;
}

static guint64
stat_of (Player *player, const char *name)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 value = 0;
  guint small = 0;

  g_object_get (player->source, "stats", &stats, NULL);
  if (gst_structure_get_uint (stats, name, &small))
    return small;
  g_assert_true (gst_structure_get_uint64 (stats, name, &value));
  return value;
}

/* All of @b's frames are those of @a from its frame @first on. */
static void
assert_tail (Player *a, guint first, Player *b)
{
  g_assert_cmpuint (b->seen->len, ==, a->seen->len - first);
  for (guint i = 0; i < b->seen->len; i++) {
    Seen *x = player_nth (a, first + i), *y = player_nth (b, i);

    g_assert_cmpuint (x->frame, ==, y->frame);
    g_assert_cmpint (x->label, ==, y->label);
    g_assert_cmpuint (x->hash, ==, y->hash);
    g_assert_cmpstr (x->caps, ==, y->caps);
  }
}

/* --- forms ------------------------------------------------------------------------------------ */

static void
test_archives (void)
{
  static const char *const names[] = { SETS "tree.tar", SETS "tree.tar.gz", SETS "list.csv" };
  g_autoptr (Player) folder = play (SETS "tree", "epochs=3 seed=4");

  g_assert_cmpuint (folder->seen->len, ==, 3 * N_TREE);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (Player) player = play (names[i], "epochs=3 seed=4");

    assert_tail (folder, 0, player);
    g_assert_cmpuint (player->warnings->len, ==, 0);
  }
}

static GstElement *
start_appsink (const char *launch, GstAppSink **sink)
{
  g_autoptr (GError) error = NULL;
  GstElement *pipeline = gst_parse_launch (launch, &error);

  g_assert_no_error (error);
  *sink = GST_APP_SINK (gst_bin_get_by_name (GST_BIN (pipeline), "out"));
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  return pipeline;
}

static GstSample *
pull (GstAppSink *sink)
{
  GstSample *sample = gst_app_sink_try_pull_sample (sink, SEED_TEST_WAIT_S * GST_SECOND);

  if (!sample && !gst_app_sink_is_eos (sink))
    g_error ("nothing within %d s", SEED_TEST_WAIT_S);
  return sample;
}

static void
stop_appsink (GstElement *pipeline, GstAppSink *sink)
{
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (sink);
  gst_object_unref (pipeline);
}

/* Pixels are the bytes of the batch. */
static void
test_cifar_pixels (void)
{
  GstAppSink *sink;
  GstElement *pipeline = start_appsink ("seedimagesrc location=" SETS "cifar10 shuffle=false ! "
                                        "video/x-raw,format=RGB ! appsink name=out sync=false",
      &sink);
  guint n = 0;

  for (GstSample *sample; (sample = pull (sink)); n++) {
    GstVideoFrame frame;
    GstVideoInfo info;

    g_assert_true (gst_video_info_from_caps (&info, gst_sample_get_caps (sample)));
    g_assert_true (
        gst_video_frame_map (&frame, &info, gst_sample_get_buffer (sample), GST_MAP_READ));
    g_assert_cmpint (info.width, ==, 32);
    g_assert_cmpint (info.height, ==, 32);
    for (guint y = 0; y < 32; y++) {
      const guint8 *row = (const guint8 *) GST_VIDEO_FRAME_PLANE_DATA (&frame, 0) +
                          y * (guint) GST_VIDEO_FRAME_PLANE_STRIDE (&frame, 0);

      for (guint x = 0; x < 32; x++)
        for (guint c = 0; c < 3; c++)
          g_assert_cmpuint (row[3 * x + c], ==, (n + 3 * x + 5 * y + 50 * c) & 255);
    }
    gst_video_frame_unmap (&frame);
    gst_sample_unref (sample);
  }
  g_assert_cmpuint (n, ==, 9);
  stop_appsink (pipeline, sink);
}

static void
test_class_names (void)
{
  g_autoptr (Player) player = play (SETS "tree.tar", "labels=" SETS "names.txt");
  g_autoptr (GstStructure) stats = NULL;
  g_auto (GStrv) names = NULL, classes = NULL;
  static const char *const expected[] = { "owl", "dog", "cat", NULL };

  g_object_get (player->source, "stats", &stats, "classes", &classes, NULL);
  g_assert_true (gst_structure_get (stats, "class-names", G_TYPE_STRV, &names, NULL));
  g_assert_cmpstrv (names, expected);
  g_assert_cmpstrv (classes, expected);
}

static void
test_corrupt_members (void)
{
  g_autoptr (Player) tar = play (SETS "bad-member.tar", "epochs=2");
  g_autoptr (Player) cut = play (SETS "cut.tar", "epochs=2 cache-mb=0");
  g_autoptr (Player) batch = play (SETS "cut.bin", "epochs=2");
  g_autoptr (Player) label = play (SETS "bad-label.bin", "");

  g_assert_cmpuint (tar->seen->len, ==, 2 * (N_TREE - 1));
  g_assert_cmpuint (player_dropped (tar, "images", SEED_DROP_ERROR), ==, 2);
  g_assert_true (
      player_has (tar->warnings, "bad-member.tar: tree/dog/1.png: cannot be decoded", NULL));
  g_assert_cmpuint (player_dropped (cut, "images", SEED_DROP_ERROR), ==, 2);
  g_assert_true (player_has (cut->warnings, "cut.tar: tree/dog/0.png: the archive is cut", NULL));
  g_assert_cmpuint (batch->seen->len, ==, 10);
  g_assert_cmpuint (player_dropped (batch, "images", SEED_DROP_ERROR), ==, 2);
  g_assert_true (player_has (batch->warnings, "cut.bin#5", "cut short", NULL));
  g_assert_cmpuint (label->seen->len, ==, 5);
  player_assert_in_order (tar);
}

/* --- captions --------------------------------------------------------------------------------- */

/* Which picture the captions of @item are of, and how many there are. */
static guint
picture_of (GstBuffer *buffer, guint item)
{
  const SeedCaptionMeta *meta = seed_buffer_get_caption_meta (buffer, item);
  guint picture, line;

  g_assert_nonnull (meta);
  g_assert_cmpint (sscanf (meta->captions[0], "picture %u, line %u", &picture, &line), ==, 2);
  g_assert_cmpuint (line, ==, 0);
  g_assert_cmpuint (meta->n_captions, ==, 1 + picture % 3);
  for (guint i = 0; i < meta->n_captions; i++) {
    g_autofree char *expected = g_strdup_printf ("picture %u, line %u", picture, i);

    g_assert_cmpstr (meta->captions[i], ==, expected);
  }
  return picture;
}

/* Captions stay with their words, whatever the place in the batch, and pictures without have none.
 */
static void
test_captions_in_batches (void)
{
  GstAppSink *sink;
  GstElement *pipeline = start_appsink (
      "seedimagesrc location=" SETS "captioned/train captions=" SETS
      "captioned/train.tsv shuffle=false epochs=2 ! queue ! videoconvert ! seedpatchify batch=4 "
      "image-size=16 patch-size=16 ! queue ! appsink name=out sync=false",
      &sink);
  guint n = 0;

  for (GstSample *sample; (sample = pull (sink));) {
    GstBuffer *buffer = gst_sample_get_buffer (sample);
    g_autoptr (GstBuffer) copy = gst_buffer_copy (buffer);
    guint n_items = seed_buffer_n_stream_meta (buffer);

    for (guint i = 0; i < n_items; i++, n++) {
      if (n % 6 == 5) {
        g_assert_null (seed_buffer_get_caption_meta (buffer, i));
        continue;
      }
      g_assert_cmpuint (picture_of (buffer, i), ==, n % 6);
      g_assert_cmpuint (picture_of (copy, i), ==, n % 6);
    }
    g_assert_null (seed_buffer_get_caption_meta (buffer, n_items));
    gst_sample_unref (sample);
  }
  g_assert_cmpuint (n, ==, 12);
  stop_appsink (pipeline, sink);
}

/* --- resume ----------------------------------------------------------------------------------- */

static void
test_start_at (void)
{
  static const guint starts[] = { 1, 11, 12, 13, 30, 35 };
  g_autoptr (Player) full = play (SETS "tree.tar", "epochs=3 seed=9");
  g_autoptr (Player) late = play (SETS "tree.tar", "epochs=3 seed=9 start-at=36");
  g_autoptr (Player) later =
      play (SETS "tree.tar", "epochs=3 seed=9 start-at=18446744073709551615");

  for (guint i = 0; i < G_N_ELEMENTS (starts); i++) {
    g_autofree char *properties =
        g_strdup_printf ("epochs=3 seed=9 cache-mb=0 start-at=%u", starts[i]);
    g_autoptr (Player) tail = play (SETS "tree.tar", properties);

    assert_tail (full, starts[i], tail);
    g_assert_cmpuint (
        stat_of (tail, "decoded"), ==, 3 * N_TREE - starts[i]); /* no more than shown */
    g_assert_cmpuint (stat_of (tail, "next"), ==, 3 * N_TREE);
  }
  g_assert_cmpuint (late->seen->len, ==, 0);
  g_assert_cmpuint (later->seen->len, ==, 0);
}

/* Images that cannot be decoded are numbers too, so the place does not depend on them. */
static void
test_start_at_behind_broken (void)
{
  g_autoptr (Player) full = play (SETS "bad-member.tar", "epochs=2 seed=2");

  for (guint start = 0; start < 2 * N_TREE; start += 5) {
    g_autofree char *properties = g_strdup_printf ("epochs=2 seed=2 start-at=%u", start);
    g_autoptr (Player) tail = play (SETS "bad-member.tar", properties);
    guint first = 0;

    while (player_nth (full, first)->frame < start)
      first++;
    assert_tail (full, first, tail);
  }
}

/* --- threads and cache ------------------------------------------------------------------------ */

static void
test_threads (void)
{
  static const char *const ways[] = { "threads=1 ahead=1", "threads=1 ahead=1000",
    "threads=7 ahead=3", "threads=4 ahead=64" };
  g_autoptr (Player) first = play (PHOTOGRAPHS, "epochs=2 cache-mb=0");

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++) {
    g_autofree char *properties = g_strconcat ("epochs=2 cache-mb=0 ", ways[i], NULL);
    g_autoptr (Player) player = play (PHOTOGRAPHS, properties);

    assert_tail (first, 0, player);
  }
}

static void
test_cache (void)
{
  g_autoptr (Player) without = play (PHOTOGRAPHS, "epochs=3 cache-mb=0");
  g_autoptr (Player) with = play (PHOTOGRAPHS, "epochs=3 cache-mb=64 threads=1");
  g_autoptr (Player) little = play (PHOTOGRAPHS, "epochs=3 cache-mb=1 threads=1");
  g_autoptr (Player) once = play (PHOTOGRAPHS, "epochs=1 cache-mb=64");
  guint64 kept;

  assert_tail (without, 0, with);
  assert_tail (without, 0, little);
  g_assert_cmpuint (stat_of (without, "decoded"), ==, 3 * N_PHOTOGRAPHS);
  g_assert_cmpuint (stat_of (without, "cached-bytes"), ==, 0);
  g_assert_cmpuint (stat_of (with, "decoded"), ==, N_PHOTOGRAPHS);
  g_assert_cmpuint (stat_of (with, "cached-images"), ==, N_PHOTOGRAPHS);
  kept = stat_of (little, "cached-images");
  g_assert_cmpuint (kept, >, 0);
  g_assert_cmpuint (kept, <, N_PHOTOGRAPHS);
  g_assert_cmpuint (stat_of (little, "cached-bytes"), <=, 1024 * 1024);
  g_assert_cmpuint (stat_of (little, "decoded"), ==, 3 * N_PHOTOGRAPHS - 2 * kept);
  g_assert_cmpuint (stat_of (once, "cached-images"), ==, 0);
}

static GstPadProbeReturn
blacken_first_epoch (GstPad *pad, GstPadProbeInfo *info, gpointer unused)
{
  gpointer state = NULL;
  GstBuffer *buffer = gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (info));

  GST_PAD_PROBE_INFO_DATA (info) = buffer;
  if (seed_buffer_iterate_stream_meta (buffer, &state)->frame < 2 * N_TREE)
    gst_buffer_memset (buffer, 0, 0, gst_buffer_get_size (buffer));
  return GST_PAD_PROBE_OK;
}

/* Whoever writes into a frame writes into a copy of what is kept. */
static void
test_cache_is_not_written_to (void)
{
  g_autoptr (Player) clean = play (SETS "tree", "epochs=3");
  g_autoptr (Player) player =
      player_new ("seedimagesrc name=d epochs=3 threads=1 location=" SETS "tree" SINK);
  g_autoptr (GstPad) pad = gst_element_get_static_pad (player->source, "src");

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, blacken_first_epoch, NULL, NULL);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (stat_of (player, "decoded"), ==, N_TREE);
  g_assert_cmpuint (player_nth (player, 0)->hash, !=, player_nth (clean, 0)->hash);
  for (guint i = 2 * N_TREE; i < 3 * N_TREE; i++)
    g_assert_cmpuint (player_nth (player, i)->hash, ==, player_nth (clean, i)->hash);
}

/* --- size ------------------------------------------------------------------------------------- */

static void
test_max_size (void)
{
  g_autoptr (Player) large = play (PHOTOGRAPHS, "shuffle=false");
  g_autoptr (Player) small = play (PHOTOGRAPHS, "shuffle=false max-size=64 epochs=2 cache-mb=0");
  g_autoptr (Player) kept = play (PHOTOGRAPHS, "shuffle=false max-size=64 epochs=2 threads=1");

  assert_tail (small, 0, kept);
  g_assert_cmpuint (stat_of (kept, "decoded"), ==, N_PHOTOGRAPHS);
  for (guint i = 0; i < N_PHOTOGRAPHS; i++) {
    g_autoptr (GstCaps) was = gst_caps_from_string (player_nth (large, i)->caps);
    g_autoptr (GstCaps) is = gst_caps_from_string (player_nth (small, i)->caps);
    GstVideoInfo from, to;

    g_assert_true (gst_video_info_from_caps (&from, was) && gst_video_info_from_caps (&to, is));
    g_assert_cmpint (MAX (to.width, to.height), ==, 64);
    g_assert_cmpint (
        ABS (to.width * from.height - to.height * from.width), <=, MAX (from.width, from.height));
  }
}

static void
make_picture (const char *pattern, const char *path)
{
  g_autofree char *launch = g_strdup_printf (
      "videotestsrc num-buffers=1 pattern=%s ! video/x-raw, width=512, height=384, format=RGB ! "
      "pngenc ! filesink location=%s",
      pattern, path);
  g_autoptr (GstElement) pipeline = gst_parse_launch (launch, NULL);
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_EOS);
  g_assert_nonnull (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

/* What is finer than the pixels that remain becomes its mean, as a filter without aliasing has it.
 */
static void
test_no_aliasing (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-aliasing-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "checkers.png", NULL);
  g_autofree char *launch = g_strdup_printf (
      "seedimagesrc location=%s max-size=20 ! video/x-raw,format=RGB ! appsink name=out sync=false",
      folder);
  g_autoptr (GstSample) sample = NULL;
  GstVideoFrame frame;
  GstVideoInfo info;
  GstAppSink *sink;
  GstElement *pipeline;
  guint64 sum = 0;

  make_picture ("checkers-1", path); /* green and red, pixel by pixel */
  pipeline = start_appsink (launch, &sink);
  sample = pull (sink);
  g_assert_true (gst_video_info_from_caps (&info, gst_sample_get_caps (sample)));
  g_assert_cmpint (info.width, ==, 20);
  g_assert_cmpint (info.height, ==, 15);
  g_assert_true (gst_video_frame_map (&frame, &info, gst_sample_get_buffer (sample), GST_MAP_READ));
  for (gint y = 0; y < info.height; y++) {
    for (gint x = 0; x < info.width; x++) {
      const guint8 *pixel = (const guint8 *) GST_VIDEO_FRAME_PLANE_DATA (&frame, 0) +
                            y * GST_VIDEO_FRAME_PLANE_STRIDE (&frame, 0) + 3 * x;

      g_assert_cmpint (ABS (pixel[0] - 128), <=, 4);
      g_assert_cmpint (ABS (pixel[1] - 128), <=, 4);
      sum += pixel[0];
    }
  }
  g_assert_cmpfloat (ABS ((double) sum / (20 * 15) - 127.5), <, 2);
  gst_video_frame_unmap (&frame);
  stop_appsink (pipeline, sink);
  g_unlink (path);
  g_rmdir (folder);
}

/* --- flush and stop --------------------------------------------------------------------------- */

/* What was in hand is counted; the run goes on behind it. */
static void
test_flush (void)
{
  g_autoptr (Player) player =
      player_new ("seedimagesrc name=d epochs=400 threads=3 location=" SETS "tree.tar" SINK);
  guint64 flushed;

  player_set_state (player, GST_STATE_PLAYING);
  for (guint i = 1; i <= 3; i++) {
    player_wait_frames (player, NULL, i * 200);
    player_wait_playing (player);
    g_assert_true (gst_element_send_event (player->source, gst_event_new_flush_start ()));
    g_assert_true (gst_element_send_event (player->source, gst_event_new_flush_stop (TRUE)));
  }
  g_assert_cmpint (player_wait (player, GST_MESSAGE_EOS), ==, GST_MESSAGE_EOS);
  flushed = player_dropped (player, "images", SEED_DROP_FLUSHED);
  g_assert_cmpuint (flushed, <=, 3);
  g_assert_cmpuint (player->seen->len, >=, 400 * N_TREE - 6);
  player_assert_in_order (player);
  g_assert_cmpuint (player_nth (player, player->seen->len - 1)->frame, ==, 400 * N_TREE - 1);
}

static void
test_stops_at_any_moment (void)
{
  static const char *const names[] = { SETS "tree.tar.gz", SETS "cifar10", PHOTOGRAPHS };

  for (guint i = 0; i < 24; i++) {
    g_autoptr (Player) player = player_new ("seedimagesrc name=d location=%s epochs=0 threads=%u "
                                            "ahead=%u max-fps=%u cache-mb=%u" SINK,
        names[i % 3], 1 + i % 4, 1 + 5 * (i % 7), i % 2 ? 2 : 0, i % 5);

    player_set_state (player, i % 4 ? GST_STATE_PLAYING : GST_STATE_PAUSED);
    player_wait_frames (player, NULL, 1);
  }
}

int
main (int argc, char **argv)
{
  player_init (&argc, &argv);
  g_test_add_func ("/sets/archives", test_archives);
  g_test_add_func ("/sets/cifar-pixels", test_cifar_pixels);
  g_test_add_func ("/sets/class-names", test_class_names);
  g_test_add_func ("/sets/corrupt-members", test_corrupt_members);
  g_test_add_func ("/sets/captions-in-batches", test_captions_in_batches);
  g_test_add_func ("/sets/start-at", test_start_at);
  g_test_add_func ("/sets/start-at-behind-broken", test_start_at_behind_broken);
  g_test_add_func ("/sets/threads", test_threads);
  g_test_add_func ("/sets/cache", test_cache);
  g_test_add_func ("/sets/cache-is-not-written-to", test_cache_is_not_written_to);
  g_test_add_func ("/sets/max-size", test_max_size);
  g_test_add_func ("/sets/no-aliasing", test_no_aliasing);
  g_test_add_func ("/sets/flush", test_flush);
  g_test_add_func ("/sets/stops-at-any-moment", test_stops_at_any_moment);
  return g_test_run ();
}
