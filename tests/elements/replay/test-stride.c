/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "replay/stride.h"

/* Frames of @stream, the one that passes included, until the next that does. */
static guint
frames_between (SeedStride *stride, const char *stream)
{
  guint n = 1;

  while (!seed_stride_next (stride, stream))
    n++;
  return n;
}

static void
test_grows_and_shrinks (void)
{
  g_autoptr (SeedStride) stride = seed_stride_new (8, 64, 0.8);
  guint64 step = 0;

  g_assert_cmpuint (frames_between (stride, "a"), ==, 1); /* the first at once */
  g_assert_cmpuint (frames_between (stride, "a"), ==, 8);
  for (guint expected = 16; expected <= 256; expected *= 2) {
    g_assert_true (seed_stride_agree (stride, 0.9, ++step, NULL));
    g_assert_cmpuint (seed_stride_get (stride, "a"), ==, MIN (expected, 64));
  }
  frames_between (stride, "a");
  g_assert_cmpuint (frames_between (stride, "a"), ==, 64);
  for (guint expected = 32; expected >= 2; expected /= 2) {
    g_assert_true (seed_stride_agree (stride, 0.8, ++step, NULL)); /* not above */
    g_assert_cmpuint (seed_stride_get (stride, "a"), ==, MAX (expected, 8));
  }
  /* a frame that waited for 64 waits no longer than the new stride */
  g_assert_cmpuint (frames_between (stride, "a"), <=, 8);
}

static void
test_odd_bounds (void)
{
  g_autoptr (SeedStride) stride = seed_stride_new (3, 20, 0.5);

  frames_between (stride, "a");
  for (guint64 step = 1; step < 5; step++)
    seed_stride_agree (stride, 1, step, NULL);
  g_assert_cmpuint (seed_stride_get (stride, "a"), ==, 20);
  for (guint64 step = 5; step < 10; step++)
    seed_stride_agree (stride, 0, step, NULL);
  g_assert_cmpuint (seed_stride_get (stride, "a"), ==, 3);
}

static void
test_cut (void)
{
  g_autoptr (SeedStride) stride = seed_stride_new (8, 64, 0.8);

  frames_between (stride, "a");
  frames_between (stride, "b");
  seed_stride_agree (stride, 1, 1, NULL);
  seed_stride_agree (stride, 1, 2, NULL);
  frames_between (stride, "a");
  frames_between (stride, "b");
  seed_stride_cut (stride, "a");
  g_assert_cmpuint (frames_between (stride, "a"), ==, 1);
  g_assert_cmpuint (frames_between (stride, "a"), ==, 8);
  g_assert_cmpuint (frames_between (stride, "b"), ==, 32);
  seed_stride_cut (stride, "nobody");
  seed_stride_cut (stride, NULL);
  g_assert_cmpuint (frames_between (stride, "b"), ==, 1);
}

static void
test_streams_apart (void)
{
  g_autoptr (SeedStride) stride = seed_stride_new (8, 64, 0.8);

  frames_between (stride, "a");
  frames_between (stride, "b");
  g_assert_true (seed_stride_agree (stride, 1, 1, "a"));
  g_assert_true (seed_stride_agree (stride, 1, 2, "nobody"));
  g_assert_cmpuint (seed_stride_get (stride, "a"), ==, 16);
  g_assert_cmpuint (seed_stride_get (stride, "b"), ==, 8);
  g_assert_cmpuint (seed_stride_get (stride, "nobody"), ==, 8);
}

static void
test_old_and_odd_news (void)
{
  g_autoptr (SeedStride) stride = seed_stride_new (8, 64, 0.8);

  frames_between (stride, "a");
  g_assert_true (seed_stride_agree (stride, 1, 0, NULL));
  g_assert_false (seed_stride_agree (stride, 1, 0, NULL)); /* the same by another way */
  g_assert_true (seed_stride_agree (stride, 1, 9, NULL));
  g_assert_false (seed_stride_agree (stride, 0, 8, NULL));
  g_assert_false (seed_stride_agree (stride, (double) NAN, 10, NULL));
  g_assert_false (seed_stride_agree (stride, (double) INFINITY, 11, NULL));
  g_assert_cmpuint (seed_stride_get (stride, "a"), ==, 32);
}

static void
test_many_streams (void)
{
  g_autoptr (SeedStride) stride = seed_stride_new (2, 4, 0.8);

  seed_stride_next (stride, "kept");
  for (guint i = 0; i < 2 * SEED_STRIDE_MAX_STREAMS; i++) {
    g_autofree char *id = g_strdup_printf ("s%u", i);

    g_assert_true (seed_stride_next (stride, id));
    if (i % 1000 == 0)
      seed_stride_next (stride, "kept");
  }
  seed_stride_cut (stride, "kept");
  g_assert_true (seed_stride_next (stride, "kept"));
  g_assert_false (seed_stride_next (stride, "kept"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stride/grows-and-shrinks", test_grows_and_shrinks);
  g_test_add_func ("/stride/odd-bounds", test_odd_bounds);
  g_test_add_func ("/stride/cut", test_cut);
  g_test_add_func ("/stride/streams-apart", test_streams_apart);
  g_test_add_func ("/stride/old-and-odd-news", test_old_and_odd_news);
  g_test_add_func ("/stride/many-streams", test_many_streams);
  return g_test_run ();
}
