/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <seed/rng.h>

#include "anchors/contingency.h"

#define assert_near(a, b) g_assert_cmpfloat (fabs ((a) - (b)), <=, 1e-12)

static void
test_known_values (void)
{
  static const guint counts[2][3] = { { 4, 1, 1 }, { 1, 2, 3 } };
  g_autoptr (SeedContingency) table = seed_contingency_new (2, 3);
  SeedInformation info;
  double information = 0;

  seed_contingency_measure (table, &info);
  g_assert_cmpfloat (info.n, ==, 0);
  g_assert_cmpfloat (seed_contingency_purity (table), ==, 0);
  g_assert_cmpfloat (info.normalised, ==, 0);
  for (guint r = 0; r < 2; r++)
    for (guint c = 0; c < 3; c++) {
      double columns = counts[0][c] + counts[1][c];

      information += counts[r][c] / 12.0 * log (counts[r][c] * 12.0 / (6 * columns));
      for (guint i = 0; i < counts[r][c]; i++)
        seed_contingency_add (table, r, c);
    }
  seed_contingency_measure (table, &info);
  assert_near (info.n, 12);
  assert_near (info.entropy_rows, log (2));
  assert_near (
      info.entropy_columns, -(5 * log (5 / 12.0) + 3 * log (3 / 12.0) + 4 * log (4 / 12.0)) / 12);
  assert_near (info.information, information);
  assert_near (info.normalised, 2 * information / (info.entropy_rows + info.entropy_columns));
  assert_near (seed_contingency_purity (table), 7 / 12.0); /* 4 and 3 */
  assert_near (info.adjusted,
      (information - 1.0 / 12) / ((info.entropy_rows + info.entropy_columns) / 2 - 1.0 / 12));
}

/* A label that is another name for the other says everything; the same for every size of sample. */
static void
test_identity (void)
{
  g_autoptr (SeedContingency) table = seed_contingency_new (16, 16);
  SeedInformation info;

  for (guint i = 0; i < 16000; i++)
    seed_contingency_add (table, i % 16, 15 - i % 16);
  seed_contingency_measure (table, &info);
  assert_near (info.normalised, 1);
  assert_near (info.information, log (16));
  g_assert_cmpfloat (info.adjusted, >, 0.99);
  seed_contingency_clear (table);
  seed_contingency_add (table, 3, 3); /* one class only: nothing to tell */
  seed_contingency_measure (table, &info);
  assert_near (info.normalised, 0);
}

/* Independent labels: chance alone makes a small sample look informed, and is taken off. */
static void
test_independent (void)
{
  g_autoptr (SeedContingency) table = seed_contingency_new (64, 64);
  SeedInformation info;
  SeedRng rng;

  seed_rng_init (&rng, 3);
  for (guint i = 1; i <= 80000; i++) {
    seed_contingency_add (
        table, (guint) seed_rng_below (&rng, 64), (guint) seed_rng_below (&rng, 64));
    if (i == 2000) {
      seed_contingency_measure (table, &info);
      g_assert_cmpfloat (info.normalised, >, 0.15);
      g_assert_cmpfloat (info.adjusted, <, 0.05);
    }
  }
  seed_contingency_measure (table, &info);
  g_assert_cmpfloat (info.normalised, <, 0.01);
  g_assert_cmpfloat (info.adjusted, <, 0.002);
}

static void
test_forget (void)
{
  g_autoptr (SeedContingency) table = seed_contingency_new (8, 8);
  SeedInformation info;

  for (guint i = 0; i < 800; i++)
    seed_contingency_add (table, i % 8, i / 8 % 8);
  seed_contingency_measure (table, &info);
  g_assert_cmpfloat (info.normalised, <, 0.01);
  seed_contingency_forget (table, 0.5);
  seed_contingency_measure (table, &info);
  assert_near (info.n, 800);
  seed_contingency_forget (table, 1e-3);
  for (guint i = 0; i < 800; i++)
    seed_contingency_add (table, i % 8, i % 8);
  seed_contingency_measure (table, &info);
  g_assert_cmpfloat (info.adjusted, >, 0.98);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/anchors/contingency/known-values", test_known_values);
  g_test_add_func ("/anchors/contingency/identity", test_identity);
  g_test_add_func ("/anchors/contingency/independent", test_independent);
  g_test_add_func ("/anchors/contingency/forget", test_forget);
  return g_test_run ();
}
