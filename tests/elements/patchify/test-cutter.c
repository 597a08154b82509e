/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>

#include <seed/pool.h>

#include "test-frames.h"

/* --- fits and words ----------------------------------------------------------------------------
 */

static void
assert_box (const SeedBox *box, double x0, double y0, double x1, double y1)
{
  g_assert_cmpfloat_with_epsilon (box->x0, x0, 1e-9);
  g_assert_cmpfloat_with_epsilon (box->y0, y0, 1e-9);
  g_assert_cmpfloat_with_epsilon (box->x1, x1, 1e-9);
  g_assert_cmpfloat_with_epsilon (box->y1, y1, 1e-9);
}

static void
test_fit (void)
{
  SeedPlacement p;

  seed_fit_place (SEED_FIT_SQUASH, 320, 180, 1.0, 224, &p);
  assert_box (&p.box, 0, 0, 320, 180);
  g_assert_cmpuint (p.width, ==, 224);
  g_assert_cmpuint (p.height, ==, 224);

  seed_fit_place (SEED_FIT_CROP, 320, 180, 1.0, 224, &p);
  assert_box (&p.box, 87 * 320 / 398.0, 0, (87 + 224) * 320 / 398.0, 180); /* 398.2 wide */
  seed_fit_place (SEED_FIT_CROP, 179, 321, 1.0, 224, &p);
  assert_box (&p.box, 0, 88 * 321 / 401.0, 179, (88 + 224) * 321 / 401.0); /* 401.7 high */
  /* pixels twice as wide as high: 100 x 100 of them show 2:1 */
  seed_fit_place (SEED_FIT_CROP, 100, 100, 2.0, 224, &p);
  assert_box (&p.box, 25, 0, 75, 100);

  seed_fit_place (SEED_FIT_LETTERBOX, 320, 160, 1.0, 224, &p);
  assert_box (&p.box, 0, 0, 320, 160);
  g_assert_cmpuint (p.x, ==, 0);
  g_assert_cmpuint (p.y, ==, 56);
  g_assert_cmpuint (p.width, ==, 224);
  g_assert_cmpuint (p.height, ==, 112);
  seed_fit_place (SEED_FIT_LETTERBOX, 1, 16384, 1.0, 224, &p);
  g_assert_cmpuint (p.width, ==, 1);
  g_assert_cmpuint (p.height, ==, 224);
}

/* Less than the whole: a margin all around, and what a patch size that does not divide leaves. */
static void
test_fit_window (void)
{
  SeedWindow window = { 256, 224, 224 };
  SeedPlacement p;

  seed_fit_place_window (SEED_FIT_SQUASH, 512, 128, 1.0, &window, &p);
  assert_box (&p.box, 32, 8, 480, 120);
  g_assert_cmpuint (p.width, ==, 224);
  g_assert_cmpuint (p.height, ==, 224);
  seed_fit_place_window (SEED_FIT_CROP, 512, 128, 1.0, &window, &p);
  assert_box (&p.box, 200, 8, 312, 120);

  window = (SeedWindow){ 384, 384, 378 };
  seed_fit_place_window (SEED_FIT_SQUASH, 768, 384, 1.0, &window, &p);
  assert_box (&p.box, 0, 0, 756, 378);
  g_assert_cmpuint (p.width, ==, 378);
  seed_fit_place_window (SEED_FIT_LETTERBOX, 768, 384, 1.0, &window, &p);
  assert_box (&p.box, 0, 0, 768, 384);
}

static void
test_fit_names (void)
{
  for (guint i = 0; i < 3; i++) {
    SeedFit fit;

    g_assert_true (seed_fit_from_name (seed_fit_name ((SeedFit) i), &fit));
    g_assert_cmpuint (fit, ==, i);
    g_assert_false (seed_fit_from_name ("stretch", &fit));
    g_assert_false (seed_fit_from_name (NULL, &fit));
  }
}

/* A frame of exactly the image size passes unchanged, so words can be looked up in it. */
static void
test_word_order (void)
{
  const guint size = 32, patch = 8, side = size / patch;
  g_autofree guint8 *image = make_pattern (PATTERN_NOISE, 3 * size * size);
  g_autofree guint8 *words = g_malloc (3 * size * size);
  g_autoptr (SeedCutter) cutter = seed_cutter_new (size, patch, SEED_FILTER_BICUBIC, 1);
  SeedFrame frame = rgb_frame (image, size, size, 3);
  SeedCut cut = { .place = place_all (size, size, size) };
  guint i = 0;

  seed_cutter_run (cutter, &frame, &cut, 1, words);
  for (guint n = 0; n < side * side; n++)
    for (guint c = 0; c < 3; c++)
      for (guint y = 0; y < patch; y++)
        for (guint x = 0; x < patch; x++, i++) {
          guint row = n / side * patch + y, column = n % side * patch + x;

          g_assert_cmpuint (words[i], ==, image[3 * (row * size + column) + c]);
        }
}

static void
test_letterbox (void)
{
  const guint size = 32;
  g_autofree guint8 *image = g_malloc (3 * 64 * 16), *planes = NULL;
  SeedFrame frame = rgb_frame (image, 64, 16, 3);
  SeedPlacement place;

  memset (image, 10, 3 * 64 * 16);
  seed_fit_place (SEED_FIT_LETTERBOX, 64, 16, 1.0, size, &place);
  planes = cut_planes (&frame, &place, size, SEED_FILTER_BILINEAR);
  for (guint i = 0; i < 3 * size * size; i++) {
    guint y = i / size % size;

    g_assert_cmpuint (planes[i], ==, y >= 12 && y < 20 ? 10 : SEED_PAD_VALUE);
  }
}

/* --- the cutter --------------------------------------------------------------------------------
 */

static void
test_extreme_sizes (void)
{
  static const guint sizes[][2] = { { 1, 1 }, { 1, 16384 }, { 16384, 1 }, { 3, 2 }, { 16384, 64 } };

  for (guint t = 0; t < G_N_ELEMENTS (sizes); t++) {
    guint w = sizes[t][0], h = sizes[t][1];
    g_autofree guint8 *image = g_malloc (i420_size (w, h));
    SeedFrame frame = i420_frame (image, w, h);

    memset (image, 128, i420_size (w, h));
    seed_colour_init (&frame.colour, 0.299, 0.114, TRUE);
    for (guint fit = 0; fit < 3; fit++) {
      g_autofree guint8 *planes = NULL;
      SeedPlacement place;

      seed_fit_place ((SeedFit) fit, w, h, 1.0, 64, &place);
      planes = cut_planes (&frame, &place, 64, SEED_FILTER_BICUBIC);
      for (guint i = 0; i < 3 * 64 * 64; i++)
        g_assert_cmpuint (planes[i], ==, 128);
    }
  }
}

/* Memory of a frame of 16384 x 16384 is not touched twice: rows share one line of samples. */
static void
test_largest_frame (void)
{
  g_autofree guint8 *line = make_pattern (PATTERN_NOISE, 3 * SEED_CUTTER_MAX_SIDE);
  SeedFrame frame = rgb_frame (line, SEED_CUTTER_MAX_SIDE, SEED_CUTTER_MAX_SIDE, 3);
  SeedPlacement place = place_all (SEED_CUTTER_MAX_SIDE, SEED_CUTTER_MAX_SIDE, 16);
  g_autofree guint8 *planes = NULL;

  for (guint c = 0; c < 3; c++)
    frame.component[c].stride = 0;
  planes = cut_planes (&frame, &place, 16, SEED_FILTER_BILINEAR);
  for (guint i = 0; i < 3 * 16 * 16; i++) {
    g_assert_cmpuint (planes[i], ==, planes[i / 256 * 256 + i % 16]);
    g_assert_cmpint (abs (planes[i] - 128), <, 12); /* the mean of 1024 columns and more */
  }
}

/* However rows are shared out, and whatever was cut before, the words are the same. */
static void
test_bands_and_plans (void)
{
  const guint w = 640, h = 360, size = 96;
  g_autofree guint8 *image = make_pattern (PATTERN_NOISE, i420_size (w, h));
  g_autoptr (SeedCutter) many = seed_cutter_new (size, 16, SEED_FILTER_BICUBIC, 3);
  SeedFrame frame = i420_frame (image, w, h), small = i420_frame (image, 62, 31);
  SeedCut cuts[3] = { { .place = place_all (w, h, size) } };
  g_autofree guint8 *all = g_malloc (9 * size * size), *one = g_malloc (3 * size * size);
  g_autofree guint8 *little = g_malloc (3 * size * size);
  SeedCut little_cut = { .place = place_all (62, 31, size) };

  cuts[1] = cuts[2] = cuts[0];
  cuts[1].place.box = (SeedBox){ 10.5, 20.25, 300, 200 };
  cuts[2].place.box = (SeedBox){ 630, 350, 640, 360 };
  for (guint round = 0; round < 40; round++) {
    /* far more boxes than tables are kept for */
    cuts[1].place.box.x0 = 10.5 + round;
    seed_cutter_run (many, &frame, cuts, 3, all);
    seed_cutter_run (many, &small, &little_cut, 1, little);
  }
  for (guint i = 0; i < 3; i++) {
    g_autoptr (SeedCutter) fresh = seed_cutter_new (size, 16, SEED_FILTER_BICUBIC, 1);

    seed_cutter_run (fresh, &frame, &cuts[i], 1, one);
    g_assert_cmpmem (one, 3 * size * size, all + (gsize) i * 3 * size * size, 3 * size * size);
    seed_cutter_run (fresh, &small, &little_cut, 1, one);
    g_assert_cmpmem (one, 3 * size * size, little, 3 * size * size);
  }
}

/* --- allocations -------------------------------------------------------------------------------
 */

#if defined(__SANITIZE_ADDRESS__)
#define COUNT_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COUNT_ALLOCATIONS 0
#endif
#endif
#ifndef COUNT_ALLOCATIONS
#define COUNT_ALLOCATIONS 1
#endif

#if COUNT_ALLOCATIONS
static gint n_allocations; /* atomic */

/* In front of the C library's for the whole process, libseed included. */
extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *old, size_t size);
extern void *__libc_memalign (size_t align, size_t size);

void *
malloc (size_t size)
{
  g_atomic_int_inc (&n_allocations);
  return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
  g_atomic_int_inc (&n_allocations);
  return __libc_calloc (n, size);
}

void *
realloc (void *old, size_t size)
{
  g_atomic_int_inc (&n_allocations);
  return __libc_realloc (old, size);
}

void *
aligned_alloc (size_t align, size_t size)
{
  g_atomic_int_inc (&n_allocations);
  return __libc_memalign (align, size);
}

int
posix_memalign (void **memory, size_t align, size_t size)
{
  g_atomic_int_inc (&n_allocations);
  *memory = __libc_memalign (align, size);
  return *memory ? 0 : 12;
}

static void
cut_random_views (SeedCutter *cutter, const SeedFrame *frame, guint64 number, guint8 *words)
{
  static const SeedAugmentLimits limits = SEED_AUGMENT_DEFAULT_LIMITS;
  SeedBox region = { 0, 0, frame->width, frame->height };
  SeedAugment augments[2];
  SeedCut cuts[2];

  for (guint v = 0; v < 2; v++) {
    seed_augment_draw (&augments[v], 1, "cam", number, v, &region, 1.0, &limits);
    cuts[v] =
        (SeedCut){ .place = place_all (frame->width, frame->height, 64), .augment = &augments[v] };
    cuts[v].place.box = augments[v].crop;
  }
  seed_cutter_run (cutter, frame, cuts, 2, words);
}

/* Two streams of different sizes alternate, each view is cropped at random: nothing is allocated
 * once every table has been used. */
static void
test_no_allocation (void)
{
  g_autofree guint8 *image = make_pattern (PATTERN_NOISE, i420_size (640, 360));
  g_autofree guint8 *words = g_malloc (2 * 3 * 64 * 64);
  g_autoptr (SeedCutter) cutter = seed_cutter_new (64, 16, SEED_FILTER_BICUBIC, 2);
  SeedFrame frames[2] = { i420_frame (image, 640, 360), i420_frame (image, 321, 179) };
  gint before;

  g_assert_cmpint (g_atomic_int_get (&n_allocations), >, 0); /* the hooks are in place */
  for (guint i = 0; i < 40; i++)
    cut_random_views (cutter, &frames[i / 3 % 2], i, words);
  before = g_atomic_int_get (&n_allocations);
  for (guint i = 40; i < 140; i++)
    cut_random_views (cutter, &frames[i / 3 % 2], i, words);
  g_assert_cmpint (g_atomic_int_get (&n_allocations), ==, before);
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (3);
  g_test_add_func ("/cutter/fit", test_fit);
  g_test_add_func ("/cutter/fit-names", test_fit_names);
  g_test_add_func ("/cutter/fit-window", test_fit_window);
  g_test_add_func ("/cutter/word-order", test_word_order);
  g_test_add_func ("/cutter/letterbox", test_letterbox);
  g_test_add_func ("/cutter/extreme-sizes", test_extreme_sizes);
  g_test_add_func ("/cutter/largest-frame", test_largest_frame);
  g_test_add_func ("/cutter/bands-and-plans", test_bands_and_plans);
#if COUNT_ALLOCATIONS
  g_test_add_func ("/cutter/no-allocation", test_no_allocation);
#endif
  return g_test_run ();
}
