/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "test-frames.h"

static const SeedAugmentLimits limits = SEED_AUGMENT_DEFAULT_LIMITS;

#define N_DRAWS 20000

static const SeedBox full_hd = { 0, 0, 1920, 1080 };

static void
cut_view (const SeedFrame *frame, const char *stream, guint64 number, guint view, guint size,
    guint8 *words)
{
  g_autoptr (SeedCutter) cutter = seed_cutter_new (size, 16, SEED_FILTER_BILINEAR, 1);
  SeedBox region = { 0, 0, frame->width, frame->height };
  SeedAugment augment;
  SeedCut cut = { .place = place_all (frame->width, frame->height, size), .augment = &augment };

  seed_augment_draw (&augment, 7, stream, number, view, &region, 1.0, &limits);
  cut.place.box = augment.crop;
  seed_cutter_run (cutter, frame, &cut, 1, words);
}

static void
test_pure_function (void)
{
  enum { SIZE = 32, BYTES = 3 * SIZE * SIZE };
  g_autofree guint8 *image = make_pattern (PATTERN_NOISE, i420_size (160, 120));
  SeedFrame frame = i420_frame (image, 160, 120);
  guint8 a[BYTES], b[BYTES];

  for (guint64 number = 0; number < 20; number++) {
    cut_view (&frame, "cam1", number, 0, SIZE, a);
    cut_view (&frame, "cam1", number, 0, SIZE, b);
    g_assert_cmpmem (a, BYTES, b, BYTES);
    cut_view (&frame, "cam1", number, 1, SIZE, b);
    g_assert_true (memcmp (a, b, BYTES) != 0);
    cut_view (&frame, "cam1", number + 1, 0, SIZE, b);
    g_assert_true (memcmp (a, b, BYTES) != 0);
    cut_view (&frame, "cam2", number, 0, SIZE, b);
    g_assert_true (memcmp (a, b, BYTES) != 0);
  }
}

/* The means of quarters of a smooth picture say where it was cut, whatever the size. */
static void
test_same_region_for_two_sizes (void)
{
  g_autofree guint8 *image = g_malloc (3 * 256 * 256);
  SeedFrame frame = rgb_frame (image, 256, 256, 3);

  for (guint i = 0; i < 256 * 256; i++) {
    image[3 * i] = (guint8) (i % 256);
    image[3 * i + 1] = (guint8) (i / 256);
    image[3 * i + 2] = (guint8) ((i % 256 + i / 256) / 2);
  }
  for (guint64 number = 0; number < 30; number++) {
    g_autofree guint8 *small = g_malloc (3 * 64 * 64), *large = g_malloc (3 * 128 * 128);
    const guint small_word = 3 * 256, large_word = 3 * 256;

    cut_view (&frame, "cam", number, 0, 64, small);
    cut_view (&frame, "cam", number, 0, 128, large);
    for (guint n = 0; n < 16; n++) { /* a word of the small one is 2 x 2 of the large one */
      for (guint c = 0; c < 3; c++) {
        double mean[2] = { 0 };

        for (guint i = 0; i < 256; i++) {
          mean[0] += small[n * small_word + c * 256 + i];
          for (guint q = 0; q < 4; q++) {
            guint word = (n / 4 * 2 + q / 2) * 8 + n % 4 * 2 + q % 2;

            mean[1] += large[word * large_word + c * 256 + i] / 4.0;
          }
        }
        g_assert_cmpfloat (fabs (mean[0] - mean[1]) / 256, <, 1.0);
      }
    }
  }
}

static void
assert_share (guint n, double expected)
{
  /* five standard deviations of a binomial */
  double slack = 5 * sqrt (expected * (1 - expected) / N_DRAWS);

  g_assert_cmpfloat (fabs ((double) n / N_DRAWS - expected), <, slack);
}

static void
test_shares (void)
{
  guint flips = 0, greys = 0, jitters = 0, first[SEED_N_JITTERS] = { 0 };

  for (guint i = 0; i < N_DRAWS; i++) {
    SeedAugment a;

    seed_augment_draw (&a, 3, "cam", i, i % 2, &full_hd, 1.0, &limits);
    flips += a.flip != 0;
    greys += a.grey != 0;
    jitters += a.jitter != 0;
    first[a.order[0]]++;
  }
  assert_share (flips, SEED_AUGMENT_FLIP);
  assert_share (greys, SEED_AUGMENT_GREY);
  assert_share (jitters, SEED_AUGMENT_JITTER);
  for (guint i = 0; i < SEED_N_JITTERS; i++)
    assert_share (first[i], 1.0 / SEED_N_JITTERS);
}

static void
test_crops (void)
{
  static const SeedBox regions[] = { { 0, 0, 1920, 1080 }, { 420, 0, 1500, 1080 }, { 0, 0, 1, 1 },
    { 0, 0, 3, 1000 }, { 0, 0, 1000, 3 } };
  double smallest = 1, largest = 0;

  for (guint r = 0; r < G_N_ELEMENTS (regions); r++) {
    const SeedBox *region = &regions[r];
    double area = (region->x1 - region->x0) * (region->y1 - region->y0);

    for (guint i = 0; i < 4000; i++) {
      SeedAugment a;
      double w, h, share;

      seed_augment_draw (&a, 5, "cam", i, 0, region, 1.0, &limits);
      w = a.crop.x1 - a.crop.x0;
      h = a.crop.y1 - a.crop.y0;
      share = w * h / area;
      g_assert_true (a.crop.x0 >= region->x0 && a.crop.x1 <= region->x1 && w > 0);
      g_assert_true (a.crop.y0 >= region->y0 && a.crop.y1 <= region->y1 && h > 0);
      g_assert_cmpfloat (w / h, <, SEED_AUGMENT_MAX_RATIO + 1e-6);
      g_assert_cmpfloat (h / w, <, SEED_AUGMENT_MAX_RATIO + 1e-6);
      if (r < 3)
        g_assert_cmpfloat (share, >, SEED_AUGMENT_MIN_CROP - 1e-6);
      else /* too long for any draw: the middle of it */
        g_assert_cmpfloat_with_epsilon (a.crop.x0 + a.crop.x1 + a.crop.y0 + a.crop.y1, 1003, 1e-6);
      if (r == 0) {
        smallest = MIN (smallest, share);
        largest = MAX (largest, share);
      }
    }
  }
  g_assert_cmpfloat (smallest, <, 0.22);
  g_assert_cmpfloat (largest, >, 0.7);
}

/* Closer to the frame: larger crops of the same kind, and colours that stay. */
static void
test_limits (void)
{
  static const SeedAugmentLimits close = { 0.6, 0 };
  double smallest = 1;

  for (guint i = 0; i < N_DRAWS; i++) {
    double area = (full_hd.x1 - full_hd.x0) * (full_hd.y1 - full_hd.y0);
    SeedAugment a;

    seed_augment_draw (&a, 5, "cam", i, 0, &full_hd, 1.0, &close);
    smallest = MIN (smallest, (a.crop.x1 - a.crop.x0) * (a.crop.y1 - a.crop.y0) / area);
    g_assert_false (a.grey);
    for (guint k = 0; k < SEED_N_JITTERS; k++)
      g_assert_cmpfloat (a.factor[k], ==, k == SEED_JITTER_HUE ? 0 : 1);
  }
  g_assert_cmpfloat (smallest, >, 0.6 - 1e-6);
  g_assert_cmpfloat (smallest, <, 0.65);
}

/* 100 x 100 pixels twice as wide as high: crops of 3/4..4/3 as shown are 3/8..2/3 in pixels. */
static void
test_pixel_aspect (void)
{
  SeedBox region = { 0, 0, 100, 100 };

  for (guint i = 0; i < 1000; i++) {
    SeedAugment a;
    double ratio;

    seed_augment_draw (&a, 5, "cam", i, 0, &region, 2.0, &limits);
    ratio = (a.crop.x1 - a.crop.x0) / (a.crop.y1 - a.crop.y0);
    g_assert_cmpfloat (ratio, >, 3.0 / 8 - 1e-6);
    g_assert_cmpfloat (ratio, <, 2.0 / 3 + 1e-6);
  }
}

/* The same frame once more: other views, each time, and the first is as if nothing had come. */
static void
test_repeats (void)
{
  SeedBox region = { 0, 0, 640, 480 };
  SeedAugment first, drawn[64];

  g_assert_cmpuint (seed_augment_repeat_seed (9, 0), ==, 9);
  seed_augment_draw (&first, 9, "cam", 4, 0, &region, 1.0, &limits);
  for (guint n = 0; n < G_N_ELEMENTS (drawn); n++) {
    SeedAugment again;

    seed_augment_draw (
        &drawn[n], seed_augment_repeat_seed (9, n), "cam", 4, 0, &region, 1.0, &limits);
    seed_augment_draw (&again, seed_augment_repeat_seed (9, n), "cam", 4, 0, &region, 1.0, &limits);
    g_assert_cmpmem (&drawn[n].crop, sizeof (SeedBox), &again.crop, sizeof (SeedBox));
    for (guint m = 0; m < n; m++)
      g_assert_false (drawn[m].crop.x0 == drawn[n].crop.x0 && drawn[m].crop.x1 == drawn[n].crop.x1);
  }
  g_assert_cmpmem (&first.crop, sizeof (SeedBox), &drawn[0].crop, sizeof (SeedBox));
  g_assert_cmpuint (seed_augment_repeat_seed (9, 1), !=, seed_augment_repeat_seed (10, 1));
}

static void
test_flip (void)
{
  enum { SIZE = 32 };
  g_autofree guint8 *image = make_pattern (PATTERN_NOISE, 3 * 50 * 40);
  SeedFrame frame = rgb_frame (image, 50, 40, 3);
  g_autoptr (SeedCutter) cutter = seed_cutter_new (SIZE, SIZE, SEED_FILTER_BILINEAR, 2);
  SeedAugment flip = { .flip = TRUE };
  SeedCut cuts[2] = { { .place = place_all (50, 40, SIZE) }, { .augment = &flip } };
  guint8 words[2][3][SIZE][SIZE];

  cuts[1].place = cuts[0].place;
  seed_cutter_run (cutter, &frame, cuts, 2, words[0][0][0]);
  for (guint c = 0; c < 3; c++)
    for (guint y = 0; y < SIZE; y++)
      for (guint x = 0; x < SIZE; x++)
        g_assert_cmpuint (words[0][c][y][x], ==, words[1][c][y][SIZE - 1 - x]);
}

/* --- colour, one operation at a time -----------------------------------------------------------
 */

static SeedAugment
only (SeedJitter jitter, double factor)
{
  SeedAugment a = { .jitter = TRUE, .factor = { 1, 1, 1, 0 } };

  for (guint i = 0; i < SEED_N_JITTERS; i++)
    a.order[i] = (SeedJitter) i;
  a.factor[jitter] = factor;
  return a;
}

static double
grey (double r, double g, double b)
{
  return 0.299 * r + 0.587 * g + 0.114 * b;
}

/* Two words of 4 x 4; returns grey of the mean colour. */
static double
make_words (guint8 *words)
{
  double mean = 0;

  for (guint i = 0; i < 96; i++)
    words[i] = (guint8) (60 + i * 37 % 130);
  for (guint w = 0; w < 2; w++)
    for (guint i = 0; i < 16; i++)
      mean += grey (words[w * 48 + i], words[w * 48 + 16 + i], words[w * 48 + 32 + i]) / 32;
  return mean;
}

static void
assert_colour (const SeedAugment *a, SeedJitter jitter, double f)
{
  guint8 before[96], after[96];
  double mean = make_words (before);

  memcpy (after, before, sizeof before);
  seed_augment_colour (a, after, 2, 4, &seed_resample_kernels_c);
  for (guint i = 0; i < 96; i++) {
    guint first = i / 48 * 48 + i % 16;
    double x = before[i], g = grey (before[first], before[first + 16], before[first + 32]);
    double expected = jitter == SEED_JITTER_BRIGHTNESS ? f * x
                      : jitter == SEED_JITTER_CONTRAST ? f * x + (1 - f) * mean
                                                       : f * x + (1 - f) * g;

    g_assert_cmpfloat (fabs (after[i] - CLAMP (expected, 0, 255)), <, 0.75);
  }
}

static void
test_colour (void)
{
  static const double factors[] = { 0.6, 1.0, 1.4 };
  SeedAugment a;

  for (guint i = 0; i < G_N_ELEMENTS (factors); i++) {
    for (guint jitter = 0; jitter < SEED_JITTER_HUE; jitter++) {
      a = only ((SeedJitter) jitter, factors[i]);
      assert_colour (&a, (SeedJitter) jitter, factors[i]);
    }
  }
  a = (SeedAugment){ .grey = TRUE };
  assert_colour (&a, SEED_JITTER_SATURATION, 0.0);
}

/* Turning the hue keeps luma and greys, and turning back undoes it. */
static void
test_hue (void)
{
  guint8 before[96], after[96];
  SeedAugment there = only (SEED_JITTER_HUE, 0.1), back = only (SEED_JITTER_HUE, -0.1);
  guint changed = 0;

  make_words (before);
  for (guint i = 0; i < 96; i++) /* tame colours: no clipping */
    before[i] = (guint8) (110 + before[i] / 8);
  memcpy (after, before, sizeof before);
  seed_augment_colour (&there, after, 2, 4, &seed_resample_kernels_c);
  for (guint i = 0; i < 96; i++) {
    guint first = i / 48 * 48 + i % 16;

    changed += abs (after[i] - before[i]) > 1;
    g_assert_cmpfloat (fabs (grey (before[first], before[first + 16], before[first + 32]) -
                             grey (after[first], after[first + 16], after[first + 32])),
        <, 1.0);
  }
  g_assert_cmpuint (changed, >, 10);
  seed_augment_colour (&back, after, 2, 4, &seed_resample_kernels_c);
  for (guint i = 0; i < 96; i++)
    g_assert_cmpint (abs (after[i] - before[i]), <=, 2);
}

static void
test_grey_has_no_colour (void)
{
  guint8 words[96];
  SeedAugment a = only (SEED_JITTER_BRIGHTNESS, 1.2);

  a.grey = TRUE;
  make_words (words);
  seed_augment_colour (&a, words, 2, 4, &seed_resample_kernels_c);
  for (guint i = 0; i < 16; i++) {
    g_assert_cmpuint (words[i], ==, words[16 + i]);
    g_assert_cmpuint (words[i], ==, words[32 + i]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/augment/limits", test_limits);
  g_test_add_func ("/augment/pure-function", test_pure_function);
  g_test_add_func ("/augment/same-region-for-two-sizes", test_same_region_for_two_sizes);
  g_test_add_func ("/augment/shares", test_shares);
  g_test_add_func ("/augment/crops", test_crops);
  g_test_add_func ("/augment/pixel-aspect", test_pixel_aspect);
  g_test_add_func ("/augment/flip", test_flip);
  g_test_add_func ("/augment/repeats", test_repeats);
  g_test_add_func ("/augment/colour", test_colour);
  g_test_add_func ("/augment/hue", test_hue);
  g_test_add_func ("/augment/grey", test_grey_has_no_colour);
  return g_test_run ();
}
