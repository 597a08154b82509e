/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <seed/rng.h>

#include "anchors/duplicates.h"

#define DIM 64

static void
random_vector (float *x, SeedRng *rng)
{
  for (guint i = 0; i < DIM; i++)
    x[i] = (float) seed_rng_normal (rng);
}

static void
test_finds_the_nearest (void)
{
  g_autoptr (SeedDuplicates) duplicates = seed_duplicates_new (DIM, 10, SEED_DUPLICATES_COSINE);
  float frames[5][DIM], near[DIM];
  guint64 of = 0;
  double cosine = 0;
  SeedRng rng;

  seed_rng_init (&rng, 1);
  for (guint i = 0; i < 5; i++) {
    random_vector (frames[i], &rng);
    g_assert_false (seed_duplicates_push (duplicates, frames[i], 100 + i, NULL, NULL));
  }
  for (guint k = 0; k < DIM; k++) /* cosine about 1 / sqrt (1 + 0.3^2) = 0.958, any length */
    near[k] = 7 * (frames[3][k] + 0.3f * (float) seed_rng_normal (&rng));
  g_assert_true (seed_duplicates_push (duplicates, near, 200, &of, &cosine));
  g_assert_cmpuint (of, ==, 103);
  g_assert_cmpfloat (cosine, >, 0.94);
  g_assert_cmpfloat (cosine, <, 0.98);
  g_assert_cmpuint (seed_duplicates_count (duplicates), ==, 5);
  for (guint k = 0; k < DIM; k++)
    near[k] = frames[3][k] + 0.6f * (float) seed_rng_normal (&rng); /* about 0.86 */
  g_assert_false (seed_duplicates_push (duplicates, near, 201, NULL, NULL));
  seed_duplicates_clear (duplicates);
  g_assert_false (seed_duplicates_push (duplicates, near, 202, NULL, NULL));
}

static void
test_memory_is_bounded (void)
{
  g_autoptr (SeedDuplicates) duplicates = seed_duplicates_new (DIM, 4, 0.9);
  float frames[6][DIM];
  SeedRng rng;

  seed_rng_init (&rng, 2);
  for (guint i = 0; i < 6; i++) {
    random_vector (frames[i], &rng);
    g_assert_false (seed_duplicates_push (duplicates, frames[i], i, NULL, NULL));
  }
  g_assert_cmpuint (seed_duplicates_count (duplicates), ==, 4);
  for (guint i = 2; i < 6; i++)
    g_assert_true (seed_duplicates_push (duplicates, frames[i], 10 + i, NULL, NULL));
  g_assert_false (seed_duplicates_push (duplicates, frames[0], 20, NULL, NULL)); /* forgotten */
  g_assert_false (seed_duplicates_push (duplicates, frames[2], 21, NULL, NULL)); /* it took this */
  g_assert_true (seed_duplicates_push (duplicates, frames[0], 22, NULL, NULL));
}

static void
test_hostile_vectors (void)
{
  g_autoptr (SeedDuplicates) duplicates = seed_duplicates_new (DIM, 4, 0.9);
  float x[DIM] = { 0 };

  for (guint i = 0; i < 2; i++)
    g_assert_false (seed_duplicates_push (duplicates, x, i, NULL, NULL));
  x[3] = NAN;
  for (guint i = 0; i < 2; i++)
    g_assert_false (seed_duplicates_push (duplicates, x, i, NULL, NULL));
  x[3] = INFINITY;
  for (guint i = 0; i < 2; i++)
    g_assert_false (seed_duplicates_push (duplicates, x, i, NULL, NULL));
  g_assert_cmpuint (seed_duplicates_count (duplicates), ==, 0);
  x[3] = 1;
  g_assert_false (seed_duplicates_push (duplicates, x, 9, NULL, NULL));
  g_assert_true (seed_duplicates_push (duplicates, x, 9, NULL, NULL));
}

static void
test_histogram_root (void)
{
  float p[4] = { 0.25f, 0.25f, 0.5f, 0 }, q[4] = { 0.5f, 0.5f, 0, 0 }, product = 0, length = 0;

  seed_histogram_root (p, 4, p);
  seed_histogram_root (q, 4, q);
  for (guint i = 0; i < 4; i++) {
    product += p[i] * q[i];
    length += p[i] * p[i];
  }
  g_assert_cmpfloat (fabsf (length - 1), <, 1e-6);
  g_assert_cmpfloat (fabs (product - 2 * sqrt (0.125)), <, 1e-6);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/anchors/duplicates/finds-the-nearest", test_finds_the_nearest);
  g_test_add_func ("/anchors/duplicates/memory-is-bounded", test_memory_is_bounded);
  g_test_add_func ("/anchors/duplicates/hostile-vectors", test_hostile_vectors);
  g_test_add_func ("/anchors/duplicates/histogram-root", test_histogram_root);
  return g_test_run ();
}
