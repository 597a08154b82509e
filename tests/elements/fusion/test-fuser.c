/* SPDX-License-Identifier: MIT */

/* Whitening and fusion together: against numpy (generate-fusion-fixtures.py), and what they refuse.
 */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include <seed/error.h>
#include <seed/safetensors.h>

#include "fusion/fuser.h"

#define DIM_A 10
#define DIM_B 7
#define VIEWS 2

static const SeedWhiteningTeacher teachers[] = { { "a", "space-a", DIM_A },
  { "b", "space-b", DIM_B } };
static const SeedFuserOptions defaults = {
  .strategy = "max-min", .calibration = 60, .duplicate_window_ns = 0, .duplicate_cosine = 1
};

static float *
fixture (const char *name, gsize *n)
{
  g_autoptr (SeedSafetensors) st =
      seed_safetensors_open (SEED_TEST_DATA "/fusion/reference.safetensors", NULL);
  const SeedTensor *tensor;
  float *values;

  g_assert_nonnull (st);
  tensor = seed_safetensors_lookup (st, name);
  g_assert_nonnull (tensor);
  *n = tensor->size / sizeof (float);
  values = g_new (float, *n);
  g_assert_true (seed_tensor_to_float (tensor, "fixture", values, *n, NULL));
  return values;
}

/* Calibrates on the fixture's samples, in batches of @step, and one frame beyond. */
static SeedFuser *
calibrated (const SeedFuserOptions *options, guint step)
{
  gsize n_a, n_b;
  g_autofree float *a = fixture ("a.samples", &n_a), *b = fixture ("b.samples", &n_b);
  SeedFuser *fuser = seed_fuser_new (options, teachers, 2, VIEWS, NULL);
  guint n = (guint) (n_a / DIM_A / VIEWS);

  g_assert_nonnull (fuser);
  g_assert_cmpuint (n, ==, 60);
  for (guint i = 0; i < n; i += step) {
    const float *rows[] = { a + (gsize) i * VIEWS * DIM_A, b + (gsize) i * VIEWS * DIM_B };

    g_assert_null (seed_fuser_get_whitening (fuser));
    g_assert_true (seed_fuser_calibrate (fuser, rows, MIN (step, n - i), NULL));
  }
  g_assert_nonnull (seed_fuser_get_whitening (fuser));
  g_assert_cmpuint (seed_fuser_n_calibrated (fuser), ==, 60);
  return fuser;
}

static void
assert_equals_fixture (const char *strategy)
{
  static const SeedFusionItem items[6] = { { "s", 0, -1 }, { "s", 1, -1 }, { "s", 2, -1 },
    { "s", 3, -1 }, { "s", 4, -1 }, { "s", 5, -1 } };
  gsize n_a, n_b, n;
  g_autofree float *a = fixture ("a.batch", &n_a), *b = fixture ("b.batch", &n_b),
                   *expected = fixture (strategy, &n), *out = g_new (float, n);
  const float *rows[] = { a, b };
  SeedFuserOptions options = defaults;
  g_autoptr (SeedFuser) fuser = NULL;
  SeedFusionTally tally = { 0 };

  options.strategy = strategy;
  fuser = calibrated (&options, 7);
  g_assert_true (seed_fuser_run (fuser, rows, items, 6, out, &tally, NULL));
  for (gsize i = 0; i < n; i++)
    g_assert_cmpfloat_with_epsilon (out[i], expected[i], 5e-5);
}

static void
test_equals_numpy (void)
{
  assert_equals_fixture ("max-min");
  assert_equals_fixture ("mean-feature");
}

/* Exactly the first frames count: what else their last batch holds does not. */
static void
test_takes_exactly_the_first_frames (void)
{
  g_autoptr (SeedFuser) whole = NULL, beyond = NULL, batched = calibrated (&defaults, 60);
  gsize n;
  g_autofree float *a = fixture ("a.samples", &n), *b = fixture ("b.samples", &n);
  const float *rows[] = { a, b };
  SeedFuserOptions options = defaults;

  options.calibration = 59;
  whole = seed_fuser_new (&options, teachers, 2, VIEWS, NULL);
  g_assert_true (seed_fuser_calibrate (whole, rows, 59, NULL));
  beyond = seed_fuser_new (&options, teachers, 2, VIEWS, NULL);
  g_assert_true (seed_fuser_calibrate (beyond, rows, 60, NULL));
  g_assert_cmpuint (seed_fuser_n_calibrated (beyond), ==, 59);
  g_assert_cmpuint (seed_whitening_n_samples (seed_fuser_get_whitening (beyond)), ==, 118);
  g_assert_cmpstr (seed_whitening_digest (seed_fuser_get_whitening (beyond)), ==,
      seed_whitening_digest (seed_fuser_get_whitening (whole)));
  g_assert_cmpstr (seed_whitening_digest (seed_fuser_get_whitening (beyond)), !=,
      seed_whitening_digest (seed_fuser_get_whitening (batched)));
}

static void
test_widths (void)
{
  static const struct {
    const char *strategy;
    guint width;
  } cases[] = { { "concat", DIM_A + DIM_B }, { "median-feature", DIM_A } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    SeedFuserOptions options = defaults;
    g_autoptr (SeedFuser) fuser = NULL;

    options.strategy = cases[i].strategy;
    fuser = seed_fuser_new (&options, teachers, 2, 1, NULL);
    g_assert_cmpuint (seed_fuser_width (fuser), ==, cases[i].width);
  }
}

static void
assert_refused (const SeedFuserOptions *options, guint views, int code, const char *says)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (seed_fuser_new (options, teachers, 2, views, &error));
  g_assert_error (error, SEED_ERROR, code);
  g_assert_nonnull (strstr (error->message, says));
}

static void
test_refused_options (void)
{
  SeedFuserOptions options = defaults;

  assert_refused (&options, 1, SEED_ERROR_MISMATCH, "views=2");
  options.strategy = "best";
  assert_refused (&options, 2, SEED_ERROR_INVALID, "median-feature");
  options.strategy = "single:c";
  assert_refused (&options, 2, SEED_ERROR_NOT_FOUND, "a, b");
  options.strategy = "single:b";
  options.calibration = 1;
  assert_refused (&options, 2, SEED_ERROR_INVALID, "2 or more");
  options.calibration = 2;
  options.whitening = "/nowhere/at/all.safetensors";
  assert_refused (&options, 2, SEED_ERROR_IO, "/nowhere/at");
}

static void
test_names_the_teacher_of_bad_numbers (void)
{
  g_autoptr (SeedFuser) fuser = calibrated (&defaults, 60);
  static const SeedFusionItem items[1] = { { "s", 0, -1 } };
  gsize n;
  g_autofree float *a = fixture ("a.batch", &n), *b = fixture ("b.batch", &n);
  const float *rows[] = { a, b };
  SeedFusionTally tally = { 0 };
  g_autoptr (GError) error = NULL;
  float out[1];

  b[DIM_B] = NAN;
  g_assert_false (seed_fuser_run (fuser, rows, items, 1, out, &tally, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_nonnull (strstr (error->message, "\"b\""));
}

static void
test_file_is_written_then_loaded (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-fuser-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "whitening.safetensors", NULL);
  SeedFuserOptions options = defaults;
  g_autoptr (SeedFuser) first = NULL, second = NULL;

  options.whitening = path;
  first = calibrated (&options, 60);
  second = seed_fuser_new (&options, teachers, 2, VIEWS, NULL);
  g_assert_nonnull (second);
  g_assert_nonnull (seed_fuser_get_whitening (second));
  g_assert_cmpuint (seed_fuser_n_calibrated (second), ==, 0);
  g_assert_cmpstr (seed_whitening_digest (seed_fuser_get_whitening (first)), ==,
      seed_whitening_digest (seed_fuser_get_whitening (second)));
  options.eigenvalue_floor = 0.01;
  assert_refused (&options, VIEWS, SEED_ERROR_MISMATCH, "eigenvalue-floor of 1e-05, not 0.01");
  g_unlink (path);
  g_rmdir (folder);
}

/* |unit (x) - unit (y)|^2 */
static double
distance (const float *x, const float *y, guint n, gboolean unit)
{
  double xx = 0, yy = 0, sum = 0;

  for (guint i = 0; i < n; i++) {
    xx += (double) x[i] * x[i];
    yy += (double) y[i] * y[i];
  }
  for (guint i = 0; i < n; i++)
    sum += pow (x[i] / (unit ? sqrt (xx) : 1) - y[i] / (unit ? sqrt (yy) : 1), 2);
  return sum;
}

/* With all eigenvalues taken for the largest nothing is blown up: distances of unit summaries grow
 * by one factor. */
static void
test_floor (void)
{
  SeedFuserOptions options = defaults;
  g_autoptr (SeedFuser) fuser = NULL;
  SeedWhitening *whitening;
  gsize n;
  g_autofree float *a = fixture ("a.batch", &n);
  float scratch[3 * DIM_A], y[3 * DIM_A];
  double factor;

  options.eigenvalue_floor = 1;
  fuser = calibrated (&options, 60);
  whitening = seed_fuser_get_whitening (fuser);
  g_assert_cmpfloat (seed_whitening_floor (whitening), ==, 1);
  g_assert_cmpuint (seed_whitening_width (whitening, 0), ==, DIM_A);
  g_assert_true (seed_whitening_project (whitening, 0, a, 3, scratch, y, NULL));
  factor = distance (y, y + DIM_A, DIM_A, FALSE) / distance (a, a + DIM_A, DIM_A, TRUE);
  g_assert_cmpfloat_with_epsilon (distance (y, y + 2 * DIM_A, DIM_A, FALSE),
      factor * distance (a, a + 2 * DIM_A, DIM_A, TRUE), 1e-4 * factor);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fuser/numpy", test_equals_numpy);
  g_test_add_func ("/fuser/first-frames", test_takes_exactly_the_first_frames);
  g_test_add_func ("/fuser/widths", test_widths);
  g_test_add_func ("/fuser/refused", test_refused_options);
  g_test_add_func ("/fuser/bad-numbers", test_names_the_teacher_of_bad_numbers);
  g_test_add_func ("/fuser/file", test_file_is_written_then_loaded);
  g_test_add_func ("/fuser/floor", test_floor);
  return g_test_run ();
}
