/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>
#include <seed/rng.h>

#include "student/grid.h"
#include "student/hadamard.h"
#include "student/standardise.h"

static void
test_hadamard (void)
{
  static const guint built[] = { 1, 2, 4, 8, 12, 20, 24, 28, 36, 192, 384, 512, 768, 1024, 1152 };
  static const guint not_built[] = { 3, 6, 7, 92, 100 + 2 };

  for (guint i = 0; i < G_N_ELEMENTS (built); i++) {
    guint n = built[i], step = 1 + n / 40;
    g_autofree double *h = g_new0 (double, (gsize) n *n);

    g_assert_true (seed_hadamard (n, h));
    for (guint a = 0; a < n; a += step)
      for (guint b = 0; b < n; b += step) {
        double dot = 0;

        for (guint k = 0; k < n; k++) {
          g_assert_cmpfloat (fabs (h[(gsize) a * n + k]), ==, 1);
          dot += h[(gsize) a * n + k] * h[(gsize) b * n + k];
        }
        g_assert_cmpfloat (dot, ==, a == b ? n : 0);
      }
  }
  for (guint i = 0; i < G_N_ELEMENTS (not_built); i++) {
    g_autofree double *h = g_new0 (double, (gsize) not_built[i] * not_built[i]);

    g_assert_false (seed_hadamard (not_built[i], h));
  }
}

/* Features far from zero whose channels differ a thousandfold and depend on each other. */
static float *
make_features (guint n, guint dim)
{
  float *x = g_new (float, (gsize) n *dim);
  SeedRng rng;

  seed_rng_init (&rng, 9);
  for (guint i = 0; i < n; i++) {
    double common = seed_rng_normal (&rng);

    for (guint k = 0; k < dim; k++)
      x[i * dim + k] =
          (float) (10 + k + pow (10, -3.0 * k / dim) * (common + seed_rng_normal (&rng)));
  }
  return x;
}

/* The second moments of @y in double: mean of squares per channel after the mean is off. */
static void
variances (const float *y, guint n, guint dim, double *mean, double *variance)
{
  for (guint k = 0; k < dim; k++) {
    mean[k] = variance[k] = 0;
    for (guint i = 0; i < n; i++)
      mean[k] += (double) y[i * dim + k] / n;
    for (guint i = 0; i < n; i++)
      variance[k] += pow (y[i * dim + k] - mean[k], 2) / n;
  }
}

static SeedStandardise *
fit (const float *x, guint n, guint dim)
{
  g_autoptr (SeedStandardiseFit) fit = seed_standardise_fit_new ("t", dim, NULL);
  SeedStandardise *standardise;

  for (guint i = 0; i < n; i += 50)
    g_assert_true (seed_standardise_fit_add (fit, x + (gsize) i * dim, dim, MIN (50, n - i), NULL));
  g_assert_cmpuint (seed_standardise_fit_n_samples (fit), ==, n);
  standardise = seed_standardise_fit_finish (fit, NULL);
  g_assert_nonnull (standardise);
  return standardise;
}

/* PHI-S: every channel has variance 1; distances are those before, all scaled alike. */
static void
test_phi_s (void)
{
  enum { N = 330, DIM = 24 };
  g_autofree float *x = make_features (N, DIM), *y = g_new (float, N *DIM);
  g_autoptr (SeedStandardise) standardise = fit (x, N, DIM);
  double mean[DIM], variance[DIM], ratio = 0;

  seed_standardise_apply (standardise, x, N, y);
  variances (y, N, DIM, mean, variance);
  for (guint k = 0; k < DIM; k++) {
    g_assert_cmpfloat_with_epsilon (mean[k], 0, 1e-4);
    g_assert_cmpfloat_with_epsilon (variance[k], 1, 1e-3);
  }
  for (guint i = 1; i < 20; i++) {
    double before = 0, after = 0;

    for (guint k = 0; k < DIM; k++) {
      before += pow ((double) x[i * DIM + k] - x[k], 2);
      after += pow ((double) y[i * DIM + k] - y[k], 2);
    }
    if (i == 1)
      ratio = after / before;
    g_assert_cmpfloat_with_epsilon (after / before / ratio, 1, 1e-3);
  }
}

static void
test_without_hadamard (void)
{
  enum { N = 100, DIM = 6 };
  g_autofree float *x = make_features (N, DIM), *y = g_new (float, N *DIM);
  g_autoptr (SeedStandardise) standardise = fit (x, N, DIM);
  double mean[DIM], variance[DIM], sum = 0;

  seed_standardise_apply (standardise, x, N, y);
  variances (y, N, DIM, mean, variance);
  for (guint k = 0; k < DIM; k++)
    sum += variance[k] / DIM;
  g_assert_cmpfloat_with_epsilon (sum, 1, 1e-3);
  for (guint i = 0; i < DIM; i++)
    for (guint k = 0; k < DIM; k++)
      g_assert_true ((standardise->weight[i * DIM + k] != 0) == (i == k));
}

static void
test_refused (void)
{
  g_autoptr (SeedStandardiseFit) fit = seed_standardise_fit_new ("camel", 4, NULL);
  g_autoptr (GError) error = NULL;
  float rows[8] = { 1, 2, 3, 4, 1, 2, 3, 4 };

  g_assert_null (seed_standardise_fit_finish (fit, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_true (seed_standardise_fit_add (fit, rows, 4, 2, NULL));
  g_assert_null (seed_standardise_fit_finish (fit, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_nonnull (strstr (error->message, "camel"));
  g_clear_error (&error);
  rows[6] = INFINITY;
  g_assert_false (seed_standardise_fit_add (fit, rows, 4, 2, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_cmpuint (seed_standardise_fit_n_samples (fit), ==, 2);
  g_clear_error (&error);
  g_assert_null (seed_standardise_fit_new ("wide", 5000, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
}

/* Against torch.nn.functional.interpolate (mode="bilinear", align_corners=False). */
static void
test_grid (void)
{
  static const float from[4] = { 0, 1, 2, 3 };
  static const float finer[16] = { 0, 0.25f, 0.75f, 1, 0.5f, 0.75f, 1.25f, 1.5f, 1.5f, 1.75f, 2.25f,
    2.5f, 2, 2.25f, 2.75f, 3 };
  float to[16], back[4], three[9];

  seed_grid_resample (from, 2, 1, 1, to, 4);
  for (guint i = 0; i < 16; i++)
    g_assert_cmpfloat_with_epsilon (to[i], finer[i], 1e-6);
  seed_grid_resample (to, 4, 1, 1, back, 2);
  g_assert_cmpfloat_with_epsilon (back[0], 0.375f, 1e-6);
  g_assert_cmpfloat_with_epsilon (back[3], 2.625f, 1e-6);
  seed_grid_resample (from, 2, 1, 1, three, 3);
  g_assert_cmpfloat_with_epsilon (three[4], 1.5f, 1e-6);
  g_assert_cmpfloat_with_epsilon (three[1], 0.5f, 1e-6);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hadamard/orthogonal", test_hadamard);
  g_test_add_func ("/standardise/phi-s", test_phi_s);
  g_test_add_func ("/standardise/without-hadamard", test_without_hadamard);
  g_test_add_func ("/standardise/refused", test_refused);
  g_test_add_func ("/grid/bilinear", test_grid);
  return g_test_run ();
}
