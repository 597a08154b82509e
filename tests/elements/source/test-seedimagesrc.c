/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <seed/ledger.h>

#include "../decode/player.h"

#define IMAGES SEED_TEST_DATA "/images"
#define N_IMAGES 96
#define SINK " ! fakesink name=sink sync=false"

static char *folder; /* emptied after each test that uses it */

static void
empty_folder (void)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);

    g_unlink (path);
  }
}

static void
put_photograph (const char *name, gsize size)
{
  g_autofree char *data = NULL, *path = NULL;
  gsize whole;

  g_assert_true (g_file_get_contents (IMAGES "/hat/00.jpg", &data, &whole, NULL));
  path = player_write (folder, name, data, MIN (size, whole));
}

static Player *
play (const char *properties)
{
  Player *player = player_new ("seedimagesrc name=d location=%s %s" SINK, IMAGES, properties);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  return player;
}

static void
test_labels (void)
{
  g_autoptr (Player) player = play ("shuffle=false");
  g_auto (GStrv) classes = NULL;

  g_assert_cmpuint (player->seen->len, ==, N_IMAGES);
  for (guint i = 0; i < N_IMAGES; i++) {
    Seen *seen = player_nth (player, i);

    g_assert_cmpint (seen->label, ==, (gint32) i / 12);
    g_assert_cmpuint (seen->frame, ==, i);
    g_assert_cmpstr (seen->stream, ==, "images");
    g_assert_cmpuint (seen->pts, ==, GST_CLOCK_TIME_NONE);
    g_assert_cmpint (ABS (g_get_real_time () - seen->capture_ns / 1000), <, 60 * G_USEC_PER_SEC);
  }
  g_object_get (player->source, "classes", &classes, NULL);
  g_assert_cmpuint (g_strv_length (classes), ==, 8);
  g_assert_cmpstr (classes[0], ==, "dress");
  g_assert_cmpstr (classes[7], ==, "t-shirt");
}

static void
test_no_labels (void)
{
  g_autoptr (Player) player = play ("labels=none stream=photos");

  g_assert_cmpuint (player->seen->len, ==, N_IMAGES);
  for (guint i = 0; i < N_IMAGES; i++) {
    g_assert_cmpint (player_nth (player, i)->label, ==, -1);
    g_assert_cmpstr (player_nth (player, i)->stream, ==, "photos");
  }
}

static gboolean
same_order (Player *a, Player *b)
{
  g_assert_cmpuint (a->seen->len, ==, b->seen->len);
  for (guint i = 0; i < a->seen->len; i++) {
    if (player_nth (a, i)->hash != player_nth (b, i)->hash)
      return FALSE;
  }
  return TRUE;
}

static void
test_seeds (void)
{
  g_autoptr (Player) a = play ("seed=5"), b = play ("seed=5"), c = play ("seed=6");

  g_assert_true (same_order (a, b));
  g_assert_false (same_order (a, c));
}

static int
compare_hashes (gconstpointer a, gconstpointer b)
{
  guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;

  return x < y ? -1 : x > y;
}

/* Each epoch shows every image once, in an order of its own. */
static void
test_epochs (void)
{
  g_autoptr (Player) player = play ("epochs=3 seed=1"), plain = play ("shuffle=false");
  guint64 epochs[3][N_IMAGES], expected[N_IMAGES];

  g_assert_cmpuint (player->seen->len, ==, 3 * N_IMAGES);
  for (guint i = 0; i < 3 * N_IMAGES; i++) {
    g_assert_cmpuint (player_nth (player, i)->frame, ==, i);
    epochs[i / N_IMAGES][i % N_IMAGES] = player_nth (player, i)->hash;
    expected[i % N_IMAGES] = player_nth (plain, i % N_IMAGES)->hash;
  }
  g_assert_true (memcmp (epochs[0], epochs[1], sizeof epochs[0]) != 0);
  g_assert_true (memcmp (epochs[1], epochs[2], sizeof epochs[0]) != 0);
  qsort (expected, N_IMAGES, sizeof (guint64), compare_hashes);
  for (guint e = 0; e < 3; e++) {
    qsort (epochs[e], N_IMAGES, sizeof (guint64), compare_hashes);
    g_assert_cmpmem (epochs[e], sizeof expected, expected, sizeof expected);
  }
}

static void
test_for_ever (void)
{
  g_autoptr (Player) player = player_new ("seedimagesrc name=d location=%s epochs=0" SINK, IMAGES);
  g_autoptr (GstStructure) stats = NULL;
  guint64 epoch;
  guint index, images;

  player_set_state (player, GST_STATE_PLAYING);
  player_wait_frames (player, NULL, 5 * N_IMAGES + 1);
  g_object_get (player->source, "stats", &stats, NULL);
  g_assert_true (gst_structure_get (stats, "epoch", G_TYPE_UINT64, &epoch, "index", G_TYPE_UINT,
      &index, "images", G_TYPE_UINT, &images, NULL));
  g_assert_cmpuint (epoch, >=, 5);
  g_assert_cmpuint (index, <, N_IMAGES);
  g_assert_cmpuint (images, ==, N_IMAGES);
  g_assert_true (gst_element_send_event (player->pipeline, gst_event_new_eos ()));
  g_assert_cmpint (player_wait (player, GST_MESSAGE_EOS), ==, GST_MESSAGE_EOS);
}

/* 50 images a second by the clock. */
static void
test_max_fps (void)
{
  g_autoptr (Player) player = NULL;
  gint64 start;

  for (guint i = 0; i < 21; i++) {
    g_autofree char *name = g_strdup_printf ("%u.jpg", i);

    put_photograph (name, G_MAXSIZE);
  }
  player = player_new ("seedimagesrc name=d location=%s max-fps=50" SINK, folder);
  start = g_get_monotonic_time ();
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 350 * 1000); /* 20 gaps of 20 ms */
  for (guint i = 0; i < 21; i++)
    g_assert_cmpuint (player_nth (player, i)->pts, ==, i * 20 * GST_MSECOND);
  empty_folder ();
}

static void
test_broken_files (void)
{
  static const char *const says[][2] = {
    { "zero.jpg", "empty" },
    { "text.jpg", "not an image" },
    { "cut.jpg", "cut short" },
    { "cut.png", "cannot be decoded" },
    { "huge.png", "20000x20000 is larger than 16384" },
  };
  static const guint8 png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H',
    'D', 'R', 0, 0, 0, 64, 0, 0, 0, 64, 8, 2, 0, 0, 0, 0x25, 0x0b, 0xe6, 0x89, 0, 0, 1, 0, 'I', 'D',
    'A', 'T' };
  static const guint8 huge[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H',
    'D', 'R', 0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20, 8, 2, 0, 0, 0, 0x6c, 0x12, 0xd1, 0x6e, 0, 0, 1, 0,
    'I', 'D', 'A', 'T' };
  g_free (player_write (folder, "zero.jpg", "", 0));
  g_free (player_write (folder, "text.jpg", "a letter, not a picture\n", 24));
  g_free (player_write (folder, "cut.png", png, sizeof png));
  g_free (player_write (folder, "huge.png", huge, sizeof huge));
  g_autofree char *link = g_build_filename (folder, "loop", NULL);
  g_autoptr (Player) player = NULL;

  put_photograph ("cut.jpg", 3000);
  put_photograph ("good.jpg", G_MAXSIZE);
  g_assert_cmpint (symlink (".", link), ==, 0);
  player = player_new ("seedimagesrc name=d location=%s epochs=2" SINK, folder);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player->seen->len, ==, 2);
  g_assert_cmpuint (player_dropped (player, "images", SEED_DROP_ERROR), ==, 10);
  for (guint i = 0; i < G_N_ELEMENTS (says); i++) {
    if (!player_has (player->warnings, "d: stream \"images\": ", says[i][0], says[i][1], NULL))
      g_error ("no warning of %s that says \"%s\"", says[i][0], says[i][1]);
  }
  g_assert_true (player_has (player->warnings, "loop", "visited", NULL));
  g_assert_cmpint (player_nth (player, 0)->label, ==, -1);
  g_assert_cmpuint (player_nth (player, 0)->hash, ==, player_nth (player, 1)->hash);
  empty_folder ();
}

static void
test_nothing_decodes (void)
{
  g_free (player_write (folder, "1.jpg", "no", 2));
  g_free (player_write (folder, "2.png", "no", 2));
  g_autoptr (Player) player = player_new ("seedimagesrc name=d location=%s epochs=0" SINK, folder);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_ERROR);
  g_assert_nonnull (strstr (player->error, "none of the 2 images"));
  empty_folder ();
}

static void
assert_refused (const char *properties, const char *why)
{
  g_autoptr (Player) player = player_new ("seedimagesrc name=d %s" SINK, properties);

  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_ERROR);
  if (!strstr (player->error, why))
    g_error ("\"%s\" does not say \"%s\"", player->error, why);
}

static void
test_settings (void)
{
  g_autofree char *empty = g_strdup_printf ("location=%s", folder);

  assert_refused ("", "location is not set");
  assert_refused (empty, "no image");
  assert_refused ("location=/nowhere/at-all", "No such file");
  assert_refused ("location=" IMAGES " labels=/nowhere/colours", "colours: No such file");
  assert_refused ("location=" IMAGES " captions=/nowhere/words", "words: No such file");
  assert_refused ("location=" IMAGES " stream=A", "stream \"A\"");
}

/* Every kind of image for which this machine has an encoder comes out as I420 or RGB. */
static void
test_formats (void)
{
  static const char *const encoders[][2] = {
    { "RGB ! pngenc", "rgb.png" },
    { "RGBA ! pngenc", "rgba.png" },
    { "GRAY8 ! pngenc", "gray.png" },
    { "I420 ! jpegenc", "i420.jpg" },
    { "GRAY8 ! jpegenc", "gray.jpg" },
    { "I420 ! webpenc", "i420.webp" },
    { "BGR ! avenc_bmp", "bgr.bmp" },
  };
  g_autoptr (Player) player = NULL;
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (encoders); i++) {
    g_autofree char *launch =
        g_strdup_printf ("videotestsrc num-buffers=1 ! video/x-raw, width=34, height=18, format=%s "
                         "! filesink location=%s/%s",
            encoders[i][0], folder, encoders[i][1]);
    g_autoptr (GstElement) pipeline = gst_parse_launch (launch, NULL);
    g_autoptr (GstBus) bus = NULL;
    g_autoptr (GstMessage) message = NULL;

    if (!pipeline)
      continue; /* that encoder is not installed */
    bus = gst_element_get_bus (pipeline);
    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    message = gst_bus_timed_pop_filtered (
        bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    g_assert_nonnull (message);
    g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
    gst_element_set_state (pipeline, GST_STATE_NULL);
    n++;
  }
  g_assert_cmpuint (n, >, 0);
  player = player_new ("seedimagesrc name=d location=%s" SINK, folder);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player->warnings->len, ==, 0);
  g_assert_cmpuint (player->seen->len, ==, n);
  for (guint i = 0; i < n; i++) {
    const char *caps = player_nth (player, i)->caps;

    g_assert_nonnull (strstr (caps, "width=(int)34, height=(int)18"));
    g_assert_true (strstr (caps, "format=(string)RGB,") || strstr (caps, "format=(string)I420,"));
  }
  empty_folder ();
}

static void
test_format_of_consumer (void)
{
  g_autoptr (Player) rgb =
      player_new ("seedimagesrc name=d location=%s ! video/x-raw, format=RGB" SINK, IMAGES);
  g_autoptr (Player) none =
      player_new ("seedimagesrc name=d location=%s ! video/x-raw, width=1" SINK, IMAGES);

  g_assert_cmpint (player_run (rgb), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (rgb->seen->len, ==, N_IMAGES);
  g_assert_nonnull (strstr (player_nth (rgb, 0)->caps, "format=(string)RGB,"));
  g_assert_cmpint (player_run (none), ==, GST_MESSAGE_ERROR);
  g_assert_nonnull (strstr (none->error, "the next stage refuses an image"));
}

static void
test_plays_again (void)
{
  g_autoptr (Player) player = play ("seed=3");

  player_set_state (player, GST_STATE_READY);
  g_assert_cmpint (player_run (player), ==, GST_MESSAGE_EOS);
  g_assert_cmpuint (player->seen->len, ==, 2 * N_IMAGES);
  for (guint i = 0; i < N_IMAGES; i++)
    g_assert_cmpuint (player_nth (player, i)->hash, ==, player_nth (player, i + N_IMAGES)->hash);
}

static void
test_stops_at_any_moment (void)
{
  for (guint i = 0; i < 10; i++) {
    g_autoptr (Player) player = player_new (
        "seedimagesrc name=d location=%s epochs=0 max-fps=%u" SINK, IMAGES, i % 2 ? 1 : 0);

    player_set_state (player, i % 3 ? GST_STATE_PLAYING : GST_STATE_PAUSED);
    player_wait_frames (player, NULL, 1);
  }
}

int
main (int argc, char **argv)
{
  int result;

  player_init (&argc, &argv);
  folder = g_dir_make_tmp ("seed-imagesrc-XXXXXX", NULL);
  g_test_add_func ("/seedimagesrc/labels", test_labels);
  g_test_add_func ("/seedimagesrc/no-labels", test_no_labels);
  g_test_add_func ("/seedimagesrc/seeds", test_seeds);
  g_test_add_func ("/seedimagesrc/epochs", test_epochs);
  g_test_add_func ("/seedimagesrc/for-ever", test_for_ever);
  g_test_add_func ("/seedimagesrc/max-fps", test_max_fps);
  g_test_add_func ("/seedimagesrc/broken-files", test_broken_files);
  g_test_add_func ("/seedimagesrc/nothing-decodes", test_nothing_decodes);
  g_test_add_func ("/seedimagesrc/settings", test_settings);
  g_test_add_func ("/seedimagesrc/formats", test_formats);
  g_test_add_func ("/seedimagesrc/format-of-consumer", test_format_of_consumer);
  g_test_add_func ("/seedimagesrc/plays-again", test_plays_again);
  g_test_add_func ("/seedimagesrc/stops-at-any-moment", test_stops_at_any_moment);
  result = g_test_run ();
  empty_folder ();
  g_rmdir (folder);
  g_free (folder);
  return result;
}
