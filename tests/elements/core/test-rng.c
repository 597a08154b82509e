/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <seed/rng.h>

static void
test_known_values (void)
{
  /* splitmix64 of seed 1234567 starts 6457827717110365317, 3203168211198807973 (Vigna's code);
   * they are the first two words of the state. */
  SeedRng rng;

  seed_rng_init (&rng, 1234567);
  g_assert_cmpuint (rng.s[0], ==, G_GUINT64_CONSTANT (6457827717110365317));
  g_assert_cmpuint (rng.s[1], ==, G_GUINT64_CONSTANT (3203168211198807973));
}

static void
test_moments (void)
{
  SeedRng rng;
  double mean = 0, square = 0, uniform = 0;
  const guint n = 200000;

  seed_rng_init (&rng, 7);
  for (guint i = 0; i < n; i++) {
    double x = seed_rng_normal (&rng);
    mean += x / n;
    square += x * x / n;
    uniform += seed_rng_uniform (&rng) / n;
  }
  g_assert_cmpfloat (fabs (mean), <, 0.01);
  g_assert_cmpfloat (fabs (square - 1), <, 0.02);
  g_assert_cmpfloat (fabs (uniform - 0.5), <, 0.005);
}

static void
test_below_is_even (void)
{
  SeedRng rng;
  guint counts[7] = { 0 };

  seed_rng_init (&rng, 3);
  for (guint i = 0; i < 70000; i++)
    counts[seed_rng_below (&rng, 7)]++;
  for (guint i = 0; i < 7; i++)
    g_assert_cmpuint (ABS ((int) counts[i] - 10000), <, 500);
}

static void
test_hash_separates (void)
{
  g_assert_cmpuint (seed_hash (1, 2), !=, seed_hash (2, 1));
  g_assert_cmpuint (seed_hash_string (1, "door"), !=, seed_hash_string (1, "yard"));
  g_assert_cmpuint (seed_hash_string (1, "door"), ==, seed_hash_string (1, "door"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/rng/known-values", test_known_values);
  g_test_add_func ("/rng/moments", test_moments);
  g_test_add_func ("/rng/below-is-even", test_below_is_even);
  g_test_add_func ("/rng/hash-separates", test_hash_separates);
  return g_test_run ();
}
