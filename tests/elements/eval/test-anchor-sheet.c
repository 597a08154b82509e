/* SPDX-License-Identifier: MIT */

/* Whether anchors are features or places, the words nearest to them, and the sheet of these. */
#include <math.h>
#include <string.h>

#include <gio/gio.h>
#include <seed/rng.h>

#include "eval/anchorscore.h"
#include "eval/png.h"
#include "eval/sheet.h"

#define CLOSE 1e-12

/* --- score --- */

/* Anchors that are the class and say nothing of the place; one of them is never seen. */
static void
test_features (void)
{
  enum { IMAGES = 300, WORDS = 9 };
  guint16 anchors[IMAGES * WORDS];
  gint32 labels[IMAGES];
  const SeedAnchorWords words = { anchors, labels, IMAGES, WORDS, 4 };
  SeedAnchorScore score;

  for (guint i = 0; i < IMAGES; i++) {
    labels[i] = 1000 * (gint32) (i % 3); /* numbers need not be dense */
    for (guint u = 0; u < WORDS; u++)
      anchors[i * WORDS + u] = (guint16) (3 - i % 3);
  }
  g_assert_true (seed_anchor_score (&words, 1, 5, &score, NULL));
  g_assert_cmpuint (score.n_used, ==, 3);
  g_assert_cmpuint (score.n_labelled, ==, IMAGES);
  g_assert_cmpuint (score.n_classes, ==, 3);
  g_assert_cmpfloat_with_epsilon (score.of_class.information.normalised, 1, CLOSE);
  g_assert_cmpfloat_with_epsilon (score.of_class.information.information, log (3), CLOSE);
  g_assert_cmpfloat_with_epsilon (score.of_class.purity, 1, CLOSE);
  g_assert_cmpfloat_with_epsilon (score.position.normalised, 0, CLOSE);
  /* a permutation keeps what classes there are and little else */
  g_assert_cmpfloat_with_epsilon (score.permuted.information.entropy_columns, log (3), CLOSE);
  g_assert_cmpfloat (score.permuted.information.normalised, <, 0.05);
  g_assert_cmpfloat (score.permuted.information.normalised, >, 0);
  g_assert_cmpfloat (score.permuted.purity, <, 0.45);
  g_assert_cmpfloat (score.deviation, >, 0);
}

/* Anchors that are the place and say nothing of the class; and images without a class. */
static void
test_places (void)
{
  enum { IMAGES = 40, WORDS = 4 };
  guint16 anchors[IMAGES * WORDS];
  gint32 labels[IMAGES];
  const SeedAnchorWords words = { anchors, labels, IMAGES, WORDS, 8 };
  SeedAnchorScore score;

  for (guint i = 0; i < IMAGES; i++) {
    labels[i] = (gint32) (i % 4) - 1;
    for (guint u = 0; u < WORDS; u++)
      anchors[i * WORDS + u] = (guint16) (labels[i] < 0 ? 7 : 2 * u);
  }
  g_assert_true (seed_anchor_score (&words, 1, 1, &score, NULL));
  g_assert_cmpuint (score.n_labelled, ==, 30);
  g_assert_cmpuint (score.n_classes, ==, 3);
  g_assert_cmpuint (score.n_used, ==, 5); /* of position all words count */
  g_assert_cmpfloat_with_epsilon (score.of_class.information.normalised, 0, CLOSE);
  g_assert_cmpfloat_with_epsilon (score.of_class.information.entropy_rows, log (4), CLOSE);
  g_assert_cmpfloat_with_epsilon (score.of_class.purity, 1.0 / 3, CLOSE);
  g_assert_cmpfloat_with_epsilon (score.position.information, 0.75 * log (4), CLOSE);
  g_assert_cmpfloat (score.deviation, ==, 0);
}

/*
 * By hand: two images of class 0 with the words 0 0 and 0 1, one of class 1 with the words 1 1. The
 * pairs (0,0) x 3, (1,0), (1,1) x 2. A permutation gives class 1 to one of the three images.
 */
static void
test_by_hand (void)
{
  const guint16 anchors[] = { 0, 0, 0, 1, 1, 1 };
  const gint32 labels[] = { 5, 5, 2 };
  const SeedAnchorWords words = { anchors, labels, 3, 2, 2 };
  double h_class = -(2.0 / 3 * log (2.0 / 3) + 1.0 / 3 * log (1.0 / 3));
  double joint = -(0.5 * log (0.5) + 1.0 / 6 * log (1.0 / 6) + 1.0 / 3 * log (1.0 / 3));
  SeedAnchorScore score, again, other;
  double low = 1, high = 0;

  g_assert_true (seed_anchor_score (&words, 1, 1, &score, NULL));
  g_assert_cmpfloat_with_epsilon (
      score.of_class.information.information, log (2) + h_class - joint, CLOSE);
  g_assert_cmpfloat_with_epsilon (score.of_class.information.normalised,
      2 * (log (2) + h_class - joint) / (log (2) + h_class), CLOSE);
  g_assert_cmpfloat_with_epsilon (score.of_class.purity, 5.0 / 6, CLOSE);
  for (guint seed = 0; seed < 20; seed++) {
    g_assert_true (seed_anchor_score (&words, seed, 1, &other, NULL));
    low = MIN (low, other.permuted.purity);
    high = MAX (high, other.permuted.purity);
  }
  g_assert_cmpfloat_with_epsilon (low, 4.0 / 6, CLOSE); /* class 1 goes to the image with both */
  g_assert_cmpfloat_with_epsilon (high, 5.0 / 6, CLOSE);
  g_assert_true (seed_anchor_score (&words, 3, 7, &score, NULL));
  g_assert_true (seed_anchor_score (&words, 3, 7, &again, NULL));
  g_assert_cmpmem (&score, sizeof score, &again, sizeof again);
}

static void
test_refused (void)
{
  guint n = SEED_ANCHOR_SCORE_MAX_CLASSES + 1;
  g_autofree guint16 *anchors = g_new0 (guint16, n);
  g_autofree gint32 *labels = g_new (gint32, n);
  SeedAnchorWords words = { anchors, labels, 0, 1, 2 };
  g_autoptr (GError) error = NULL;
  SeedAnchorScore score = { .n_used = 77 };

  g_assert_false (seed_anchor_score (&words, 0, 1, &score, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  for (guint i = 0; i < n; i++)
    labels[i] = G_MAXINT32 - (gint32) i;
  words.n_images = n;
  g_assert_false (seed_anchor_score (&words, 0, 1, &score, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_assert_cmpuint (score.n_used, ==, 77); /* untouched */

  words.n_images = 3; /* one class, or none: nothing to tell apart */
  labels[0] = labels[1] = labels[2] = 4;
  g_assert_true (seed_anchor_score (&words, 0, 1, &score, NULL));
  g_assert_cmpuint (score.n_classes, ==, 1);
  g_assert_cmpfloat (score.of_class.purity, ==, 0);
  g_assert_cmpfloat (score.position.n, ==, 3);
  labels[0] = labels[1] = labels[2] = -1;
  g_assert_true (seed_anchor_score (&words, 0, 1, &score, NULL));
  g_assert_cmpuint (score.n_labelled, ==, 0);
}

/* --- nearest words --- */

enum { N_IMAGES = 30, N_CELLS = 5, N_ANCHORS = 6, WORD_SIZE = 7 };

typedef struct {
  float cosines[N_IMAGES][N_CELLS][N_ANCHORS];
  guint8 words[N_IMAGES][N_CELLS][WORD_SIZE];
} Images;

/* A few values only, so that many are equal. */
static void
images_init (Images *images, guint64 seed, guint n_values)
{
  SeedRng rng;

  seed_rng_init (&rng, seed);
  for (guint i = 0; i < N_IMAGES; i++)
    for (guint u = 0; u < N_CELLS; u++) {
      for (guint k = 0; k < N_ANCHORS; k++)
        images->cosines[i][u][k] =
            (float) seed_rng_below (&rng, n_values) / (float) n_values * 2 - 1;
      memset (images->words[i][u], (int) (i * N_CELLS + u), WORD_SIZE);
    }
}

/* The best word of each image that is left, over and over. */
static void
check_nearest (const Images *images, const SeedNearWords *near, guint n_images, guint n_best)
{
  for (guint k = 0; k < N_ANCHORS; k++) {
    gboolean taken[N_IMAGES] = { FALSE };
    guint n;
    const SeedNearWord *found = seed_near_words_get (near, k, &n);

    g_assert_cmpuint (n, ==, MIN (n_images, n_best));
    for (guint place = 0; place < n; place++) {
      guint image = 0, word = 0;
      float best = -2;

      for (guint i = 0; i < n_images; i++)
        for (guint u = 0; u < N_CELLS; u++)
          if (!taken[i] && images->cosines[i][u][k] > best) {
            best = images->cosines[i][u][k];
            image = i;
            word = u;
          }
      taken[image] = TRUE;
      g_assert_cmpfloat (found[place].cosine, ==, (double) best);
      g_assert_cmpuint (found[place].image, ==, image);
      g_assert_cmpuint (found[place].word, ==, word);
      g_assert_cmpmem (found[place].pixels, WORD_SIZE, images->words[image][word], WORD_SIZE);
    }
  }
}

static void
test_nearest (void)
{
  static const guint best[] = { 1, 2, 4, 29, 30, 64 };
  g_autofree Images *images = g_new (Images, 1);

  for (guint b = 0; b < G_N_ELEMENTS (best); b++) {
    g_autoptr (SeedNearWords) near = seed_near_words_new (N_ANCHORS, best[b], WORD_SIZE);

    images_init (images, b, b % 2 ? 7 : 1000003);
    check_nearest (images, near, 0, best[b]);
    for (guint i = 0; i < N_IMAGES; i++) {
      seed_near_words_add (near, i, &images->cosines[i][0][0], &images->words[i][0][0], N_CELLS);
      check_nearest (images, near, i + 1, best[b]);
    }
  }
}

/* --- PNG --- */

typedef struct {
  guint width, height;
  guint8 *rgb;
} Picture;

static guint32
read_u32 (const guint8 *data)
{
  return (guint32) data[0] << 24 | (guint32) data[1] << 16 | (guint32) data[2] << 8 | data[3];
}

/* By a table, another algorithm than the writer's. */
static guint32
crc_by_table (const guint8 *data, gsize size)
{
  guint32 table[256], crc = 0xffffffffu;

  for (guint32 i = 0; i < 256; i++) {
    table[i] = i;
    for (guint bit = 0; bit < 8; bit++)
      table[i] = table[i] & 1 ? table[i] >> 1 ^ 0xedb88320u : table[i] >> 1;
  }
  for (gsize i = 0; i < size; i++)
    crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
  return ~crc;
}

static GBytes *
inflate (const guint8 *data, gsize size)
{
  g_autoptr (GOutputStream) memory = g_memory_output_stream_new_resizable ();
  g_autoptr (GConverter) zlib =
      G_CONVERTER (g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_ZLIB));
  g_autoptr (GOutputStream) out = g_converter_output_stream_new (memory, zlib);

  g_assert_true (g_output_stream_write_all (out, data, size, NULL, NULL, NULL));
  g_assert_true (g_output_stream_close (out, NULL, NULL));
  return g_memory_output_stream_steal_as_bytes (G_MEMORY_OUTPUT_STREAM (memory));
}

/* As the specification has it: x filtered, a left, b above, c above left. */
static void
unfilter (Picture *picture, const guint8 *data)
{
  gsize size = 3 * (gsize) picture->width;

  for (guint y = 0; y < picture->height; y++, data += 1 + size) {
    guint8 *row = picture->rgb + y * size;

    for (gsize i = 0; i < size; i++) {
      int a = i >= 3 ? row[i - 3] : 0, b = y > 0 ? row[i - size] : 0;
      int c = i >= 3 && y > 0 ? row[i - size - 3] : 0, p = a + b - c;
      int paeth = abs (p - a) <= abs (p - b) && abs (p - a) <= abs (p - c) ? a
                  : abs (p - b) <= abs (p - c)                             ? b
                                                                           : c;
      const int predictions[] = { 0, a, b, (a + b) / 2, paeth };

      g_assert_cmpuint (data[0], <, 5);
      row[i] = (guint8) (data[1 + i] + predictions[data[0]]);
    }
  }
}

static Picture
read_png (GBytes *file)
{
  gsize size, n_data = 0, at = 8;
  const guint8 *bytes = g_bytes_get_data (file, &size), *data = NULL;
  g_autoptr (GBytes) rows = NULL;
  Picture picture = { 0 };

  g_assert_cmpmem (bytes, 8, "\x89PNG\r\n\x1a\n", 8);
  for (guint chunk = 0; at < size; chunk++) {
    static const char *const types[] = { "IHDR", "IDAT", "IEND" };
    guint32 length = read_u32 (bytes + at);

    g_assert_cmpuint (chunk, <, 3);
    g_assert_cmpmem (bytes + at + 4, 4, types[chunk], 4);
    g_assert_cmpuint (at + 12 + length, <=, size);
    g_assert_cmphex (
        read_u32 (bytes + at + 8 + length), ==, crc_by_table (bytes + at + 4, 4 + length));
    if (chunk == 0) {
      picture.width = read_u32 (bytes + at + 8);
      picture.height = read_u32 (bytes + at + 12);
      g_assert_cmpmem (bytes + at + 16, 5, "\x08\x02\x00\x00\x00", 5);
    } else if (chunk == 1) {
      data = bytes + at + 8;
      n_data = length;
    }
    at += 12 + length;
  }
  g_assert_cmpuint (at, ==, size);
  rows = inflate (data, n_data);
  g_assert_cmpuint (g_bytes_get_size (rows), ==, (1 + 3 * (gsize) picture.width) * picture.height);
  picture.rgb = g_malloc (3 * (gsize) picture.width * picture.height);
  unfilter (&picture, g_bytes_get_data (rows, NULL));
  return picture;
}

static void
test_png (void)
{
  static const guint sizes[][2] = { { 1, 1 }, { 1, 9 }, { 200, 1 }, { 37, 61 }, { 256, 256 } };
  SeedRng rng;

  seed_rng_init (&rng, 5);
  for (guint s = 0; s < 3 * G_N_ELEMENTS (sizes); s++) {
    guint width = sizes[s / 3][0], height = sizes[s / 3][1];
    gsize size = 3 * (gsize) width * height;
    g_autofree guint8 *rgb = g_malloc (size);
    g_autoptr (GBytes) file = NULL;
    g_autoptr (GError) error = NULL;
    Picture picture;

    for (gsize i = 0; i < size; i++) /* noise, slopes that filters level, one colour */
      rgb[i] = (guint8) (s % 3 == 0   ? seed_rng_below (&rng, 256)
                         : s % 3 == 1 ? i % 3 * 40 + i / 3 % width * 3 + i / 3 / width
                                      : 200);
    file = seed_png_encode (rgb, width, height, &error);
    g_assert_no_error (error);
    picture = read_png (file);
    g_assert_cmpuint (picture.width, ==, width);
    g_assert_cmpuint (picture.height, ==, height);
    g_assert_cmpmem (picture.rgb, size, rgb, size);
    if (s % 3 && size > 10000)
      g_assert_cmpuint (g_bytes_get_size (file), <, size / 20);
    g_free (picture.rgb);
  }
}

static void
test_png_limits (void)
{
  static const guint sizes[][2] = { { 0, 1 }, { 1, 0 }, { SEED_PNG_MAX_SIDE + 1, 1 },
    { 1, SEED_PNG_MAX_SIDE + 1 } };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (seed_png_encode (NULL, sizes[s][0], sizes[s][1], &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  }
}

/* --- sheet --- */

static const guint8 *
pixel (const Picture *picture, guint x, guint y)
{
  g_assert_cmpuint (x, <, picture->width);
  g_assert_cmpuint (y, <, picture->height);
  return picture->rgb + 3 * ((gsize) y * picture->width + x);
}

/* Words of an image are [3, P, P]: channel c of row y, column x has a value of all of these. */
static guint8
sample (guint image, guint c, guint y, guint x, guint p)
{
  return (guint8) (image * 50 + c * 17 + y * 3 + x * 255 / p);
}

static SeedNearWords *
make_near (guint n_anchors, guint n_best, guint n_images, guint p)
{
  SeedNearWords *near = seed_near_words_new (n_anchors, n_best, 3 * p * p);
  g_autofree float *cosines = g_new (float, n_anchors);
  g_autofree guint8 *word = g_malloc (3 * p * p);

  for (guint i = 0; i < n_images; i++) {
    for (guint k = 0; k < n_anchors; k++)
      cosines[k] = (float) ((i + k) % n_images) / 8; /* anchor k: image with (i + k) largest */
    for (guint c = 0; c < 3; c++)
      for (guint y = 0; y < p; y++)
        for (guint x = 0; x < p; x++)
          word[(c * p + y) * p + x] = sample (i, c, y, x, p);
    seed_near_words_add (near, i, cosines, word, 1);
  }
  return near;
}

static const guint8 ground[3] = { 0x4c, 0x5c, 0x78 };

/* Every pixel of every word of every tile, and what is between them. */
static void
check_tiles (const Picture *picture, const SeedSheetLayout *layout, const SeedNearWords *near)
{
  guint p = layout->patch_size, side = p * layout->scale;

  for (guint k = 0; k < seed_near_words_n_anchors (near); k++) {
    guint n, left, top, size;
    const SeedNearWord *words = seed_near_words_get (near, k, &n);

    seed_sheet_tile (layout, k, &left, &top, &size);
    g_assert_cmpuint (size, ==, layout->words_across * (side + 1) - 1);
    for (guint i = 0; i < seed_near_words_n_best (near); i++)
      for (guint y = 0; y < side; y++)
        for (guint x = 0; x < side; x++) {
          const guint8 *rgb = pixel (picture, left + i % layout->words_across * (side + 1) + x,
              top + i / layout->words_across * (side + 1) + y);

          for (guint c = 0; c < 3; c++)
            g_assert_cmpuint (rgb[c], ==,
                i < n ? sample ((guint) words[i].image, c, y / layout->scale, x / layout->scale, p)
                      : ground[c]);
        }
    g_assert_cmpmem (pixel (picture, left - 1, top), 3, ground, 3);
    g_assert_cmpmem (pixel (picture, left + size, top), 3, ground, 3);
    if (layout->words_across > 1)
      g_assert_cmpmem (pixel (picture, left + side, top), 3, ground, 3);
  }
}

static void
test_sheet (void)
{
  static const struct {
    guint n_anchors, n_best, n_images, patch_size, scale;
  } cases[] = { { 256, 9, 5, 16, 2 }, { 256, 1, 1, 32, 1 }, { 7, 5, 4, 14, 3 },
    { 1, 64, 3, 64, 1 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    guint n = cases[i].n_anchors;
    g_autoptr (SeedNearWords) near =
        make_near (n, cases[i].n_best, cases[i].n_images, cases[i].patch_size);
    g_autoptr (GBytes) png = NULL;
    g_autoptr (GError) error = NULL;
    SeedSheetLayout layout;
    Picture picture;

    seed_sheet_layout_init (&layout, near, cases[i].patch_size);
    g_assert_cmpuint (layout.scale, ==, cases[i].scale);
    g_assert_cmpuint (layout.across, ==, (guint) ceil (sqrt (n)));
    png = seed_sheet_draw (&layout, near, &error);
    g_assert_no_error (error);
    picture = read_png (png);
    g_assert_cmpuint (picture.width, ==, layout.width);
    g_assert_cmpuint (picture.height, ==, layout.height);
    check_tiles (&picture, &layout, near);
    g_free (picture.rgb);
  }
}

/* What a parser of XML finds in the wrapper. */
typedef struct {
  GBytes *png;
  GPtrArray *titles;
  guint n_areas;
} Found;

static void
on_start (GMarkupParseContext *context, const char *name, const char **names, const char **values,
    gpointer data, GError **error)
{
  static const char prefix[] = "data:image/png;base64,";
  Found *found = data;

  found->n_areas += strcmp (name, "rect") == 0;
  for (guint i = 0; names[i]; i++) {
    if (strcmp (names[i], "xlink:href") == 0) {
      gsize size;
      guchar *bytes;

      g_assert_true (g_str_has_prefix (values[i], prefix));
      bytes = g_base64_decode (values[i] + strlen (prefix), &size);
      found->png = g_bytes_new_take (bytes, size);
    }
  }
}

static void
on_text (
    GMarkupParseContext *context, const char *text, gsize length, gpointer data, GError **error)
{
  Found *found = data;

  if (strcmp (g_markup_parse_context_get_element (context), "title") == 0)
    g_ptr_array_add (found->titles, g_strndup (text, length));
}

static void
test_svg (void)
{
  const GMarkupParser parser = { .start_element = on_start, .text = on_text };
  g_autoptr (SeedNearWords) near = make_near (4, 3, 5, 16);
  g_autoptr (GPtrArray) titles = g_ptr_array_new_with_free_func (g_free);
  const double shares[] = { 0.5, 0.25, 0.125, 0 };
  Found found = { .titles = titles };
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, &found, NULL);
  g_autoptr (GBytes) png = NULL;
  g_autofree char *svg = NULL;
  SeedSheetLayout layout;

  seed_sheet_layout_init (&layout, near, 16);
  png = seed_sheet_draw (&layout, near, NULL);
  svg = seed_sheet_wrap (&layout, near, png, shares);
  g_assert_true (g_markup_parse_context_parse (context, svg, -1, NULL));
  g_assert_true (g_markup_parse_context_end_parse (context, NULL));
  g_assert_true (g_bytes_equal (found.png, png));
  g_assert_cmpuint (found.n_areas, ==, 1 + 4); /* the ground is one too */
  g_assert_cmpuint (titles->len, ==, 1 + 4);
  g_assert_cmpstr (
      titles->pdata[1], ==, "anchor 0: cosine 0.500 to 0.250, nearest of 50.00 % of words");
  g_assert_cmpstr (
      titles->pdata[4], ==, "anchor 3: cosine 0.500 to 0.250, nearest of 0.00 % of words");
  g_bytes_unref (found.png);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/eval/anchors/features", test_features);
  g_test_add_func ("/eval/anchors/places", test_places);
  g_test_add_func ("/eval/anchors/by-hand", test_by_hand);
  g_test_add_func ("/eval/anchors/refused", test_refused);
  g_test_add_func ("/eval/anchors/nearest", test_nearest);
  g_test_add_func ("/eval/png/round-trip", test_png);
  g_test_add_func ("/eval/png/limits", test_png_limits);
  g_test_add_func ("/eval/sheet/pixels", test_sheet);
  g_test_add_func ("/eval/sheet/svg", test_svg);
  return g_test_run ();
}
