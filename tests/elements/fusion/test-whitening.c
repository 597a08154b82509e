/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "fusion/whitening.h"
#include "mixture.h"

#define DIM 12
#define N_FIT 4000
#define N_HELD 4000

static SeedWhitening *
fit (const SeedWhiteningTeacher *teachers, guint n_teachers, const float *const *x, guint n,
    guint step, GError **error)
{
  g_autoptr (SeedWhiteningFit) fit = seed_whitening_fit_new (teachers, n_teachers, error);

  g_assert_nonnull (fit);
  for (guint start = 0; start < n; start += step) {
    const float *rows[SEED_WHITENING_MAX_TEACHERS];

    for (guint t = 0; t < n_teachers; t++)
      rows[t] = x[t] + (gsize) start * teachers[t].dim;
    if (!seed_whitening_fit_add (fit, rows, MIN (step, n - start), error))
      return NULL;
  }
  g_assert_cmpuint (seed_whitening_fit_n_samples (fit), ==, n);
  return seed_whitening_fit_finish (fit, error);
}

static float *
project (const SeedWhitening *w, guint t, const float *x, guint n)
{
  guint d = seed_whitening_teacher (w, t)->dim;
  g_autofree float *scratch = g_new (float, (gsize) n *d);
  float *y = g_new (float, (gsize) n *seed_whitening_width (w, t));

  g_assert_true (seed_whitening_project (w, t, x, n, scratch, y, NULL));
  return y;
}

static void
test_identity_covariance_on_held_data (void)
{
  static const SeedWhiteningTeacher teacher = { "a", "space-a", DIM };
  Mixture mixture;
  g_autofree float *x = NULL, *held = NULL, *y = NULL;
  g_autoptr (SeedWhitening) w = NULL;
  double worst = 0;

  mixture_init (&mixture, DIM, DIM, 1);
  x = mixture_sample (&mixture, N_FIT, 2);
  held = mixture_sample (&mixture, N_HELD, 3);
  w = fit (&teacher, 1, (const float *const[]){ x }, N_FIT, 100, NULL);
  g_assert_nonnull (w);
  g_assert_cmpuint (seed_whitening_width (w, 0), ==, DIM);
  g_assert_cmpuint (seed_whitening_n_samples (w), ==, N_FIT);

  y = project (w, 0, held, N_HELD);
  for (guint i = 0; i < DIM; i++) {
    for (guint j = 0; j < DIM; j++) {
      double sum = 0, mean_i = 0, mean_j = 0;

      for (guint r = 0; r < N_HELD; r++) {
        sum += (double) y[r * DIM + i] * y[r * DIM + j];
        mean_i += y[r * DIM + i];
        mean_j += y[r * DIM + j];
      }
      sum = sum / N_HELD - mean_i * mean_j / N_HELD / N_HELD;
      worst = MAX (worst, fabs (sum - (i == j)));
    }
  }
  g_assert_cmpfloat (worst, <, 0.12);
  g_assert_cmpfloat (worst, >, 0); /* held data: exactly the identity would be suspicious */
  mixture_clear (&mixture);
}

/* A second way to whiten: all samples at once, two passes, eigenvectors by Jacobi rotations. */
static void
jacobi (double a[DIM][DIM], double v[DIM][DIM])
{
  memset (v, 0, sizeof (double[DIM][DIM]));
  for (guint i = 0; i < DIM; i++)
    v[i][i] = 1;
  for (guint sweep = 0; sweep < 60; sweep++) {
    for (guint p = 0; p < DIM; p++) {
      for (guint q = p + 1; q < DIM; q++) {
        double theta, c, s;

        if (a[p][q] == 0)
          continue;
        theta = 0.5 * atan2 (2 * a[p][q], a[q][q] - a[p][p]);
        c = cos (theta);
        s = sin (theta);
        for (guint i = 0; i < DIM; i++) {
          double x = a[i][p], y = a[i][q];

          a[i][p] = c * x - s * y;
          a[i][q] = s * x + c * y;
        }
        for (guint i = 0; i < DIM; i++) {
          double x = a[p][i], y = a[q][i], vx = v[i][p], vy = v[i][q];

          a[p][i] = c * x - s * y;
          a[q][i] = s * x + c * y;
          v[i][p] = c * vx - s * vy;
          v[i][q] = s * vx + c * vy;
        }
      }
    }
  }
}

typedef struct {
  double mean[DIM], axes[DIM][DIM], values[DIM]; /* axes[k]: the k-th eigenvector */
} Reference;

static void
unit (const float *x, double *out)
{
  double norm = 0;

  for (guint i = 0; i < DIM; i++)
    norm += (double) x[i] * x[i];
  for (guint i = 0; i < DIM; i++)
    out[i] = x[i] / sqrt (norm);
}

static void
reference_fit (Reference *ref, const float *x, guint n)
{
  double cov[DIM][DIM] = { { 0 } }, vectors[DIM][DIM], u[DIM];
  gboolean used[DIM] = { FALSE };

  memset (ref, 0, sizeof *ref);
  for (guint r = 0; r < n; r++) {
    unit (x + r * DIM, u);
    for (guint i = 0; i < DIM; i++)
      ref->mean[i] += u[i] / n;
  }
  for (guint r = 0; r < n; r++) {
    unit (x + r * DIM, u);
    for (guint i = 0; i < DIM; i++)
      for (guint j = 0; j < DIM; j++)
        cov[i][j] += (u[i] - ref->mean[i]) * (u[j] - ref->mean[j]) / n;
  }
  jacobi (cov, vectors);
  for (guint k = 0; k < DIM; k++) {
    guint best = DIM, peak = 0;

    for (guint i = 0; i < DIM; i++)
      if (!used[i] && (best == DIM || cov[i][i] > cov[best][best]))
        best = i;
    used[best] = TRUE;
    ref->values[k] = MAX (cov[best][best], 1e-5 * ref->values[0]);
    for (guint i = 1; i < DIM; i++)
      if (fabs (vectors[i][best]) > fabs (vectors[peak][best]))
        peak = i;
    for (guint i = 0; i < DIM; i++)
      ref->axes[k][i] = vectors[peak][best] < 0 ? -vectors[i][best] : vectors[i][best];
  }
}

static void
reference_apply (const Reference *ref, const float *x, guint width, double *y)
{
  double u[DIM], norm = 0;

  unit (x, u);
  for (guint k = 0; k < width; k++) {
    y[k] = 0;
    for (guint i = 0; i < DIM; i++)
      y[k] += ref->axes[k][i] * (u[i] - ref->mean[i]) / sqrt (ref->values[k]);
    norm += y[k] * y[k];
  }
  for (guint k = 0; k < width; k++)
    y[k] /= sqrt (norm);
}

static void
assert_equals_reference (guint latent, guint n_fit, guint expected_width)
{
  static const SeedWhiteningTeacher teacher = { "a", "space-a", DIM };
  Mixture mixture;
  Reference ref;
  g_autofree float *x = NULL, *held = NULL, *scratch = g_new (float, 100 * DIM),
                   *y = g_new (float, 100 * DIM);
  g_autoptr (SeedWhitening) w = NULL;
  guint k;

  mixture_init (&mixture, DIM, latent, 4);
  if (latent < DIM)
    memset (mixture.offset, 0, DIM * sizeof (double)); /* or the sphere bends into a further axis */
  x = mixture_sample (&mixture, n_fit, 5);
  held = mixture_sample (&mixture, 100, 6);
  w = fit (&teacher, 1, (const float *const[]){ x }, n_fit, 7, NULL);
  g_assert_nonnull (w);
  k = seed_whitening_width (w, 0);
  g_assert_cmpuint (k, ==, expected_width);
  reference_fit (&ref, x, n_fit);

  g_assert_true (seed_whitening_apply (w, 0, held, 100, scratch, y, NULL));
  for (guint r = 0; r < 100; r++) {
    double expected[DIM];

    reference_apply (&ref, held + r * DIM, k, expected);
    for (guint i = 0; i < k; i++)
      g_assert_cmpfloat_with_epsilon (y[r * k + i], expected[i], 2e-4);
  }
  mixture_clear (&mixture);
}

static void
test_equals_reference (void)
{
  assert_equals_reference (DIM, 500, DIM);
}

static void
test_rank_deficient (void)
{
  assert_equals_reference (5, 500, 5); /* the data has five directions */
  assert_equals_reference (DIM, 6, 5); /* six samples have */
  assert_equals_reference (DIM, 2, 1); /* the documented minimum */
}

static void
test_small_eigenvalues_are_floored (void)
{
  static const SeedWhiteningTeacher teacher = { "a", "space-a", 3 };
  float x[400 * 3], probe[3] = { 1, 0, 0.01f }, scratch[3], y[3];
  g_autoptr (SeedWhitening) w = NULL;
  const float *rows = x;
  SeedRng rng;

  /* on a sphere around (1, 0, 0): one axis of spread 1e-1, one of 1e-4 (variance 1e-6 of it) */
  seed_rng_init (&rng, 9);
  for (guint r = 0; r < 400; r++) {
    x[r * 3] = 1;
    x[r * 3 + 1] = r % 2 ? 0.1f : -0.1f;
    x[r * 3 + 2] = r % 4 < 2 ? 1e-4f : -1e-4f;
  }
  w = fit (&teacher, 1, &rows, 400, 400, NULL);
  g_assert_nonnull (w);
  g_assert_cmpuint (seed_whitening_width (w, 0), ==, 2);
  g_assert_true (seed_whitening_project (w, 0, probe, 1, scratch, y, NULL));
  /* 0.01 over sqrt (1e-5 * 0.1^2), not over 1e-4 */
  g_assert_cmpfloat_with_epsilon (fabsf (y[1]), 0.01 / sqrt (1e-5 * 0.01), 1.0);
}

static void
test_same_samples_same_bits (void)
{
  static const SeedWhiteningTeacher teachers[] = { { "a", "space-a", DIM }, { "b", "space-b", 9 } };
  Mixture a, b;
  g_autofree double *z = mixture_latent (300, DIM, 11);
  g_autofree float *x = NULL, *y = NULL;
  g_autoptr (SeedWhitening) one = NULL, two = NULL;

  mixture_init (&a, DIM, DIM, 12);
  mixture_init (&b, 9, DIM, 13);
  x = mixture_observe (&a, z, 300);
  y = mixture_observe (&b, z, 300);
  one = fit (teachers, 2, (const float *const[]){ x, y }, 300, 32, NULL);
  two = fit (teachers, 2, (const float *const[]){ x, y }, 300, 32, NULL);
  g_assert_cmpstr (seed_whitening_digest (one), ==, seed_whitening_digest (two));
  mixture_clear (&a);
  mixture_clear (&b);
}

/* The second teacher says what the first says, turned: alignment must turn it back. */
static void
test_procrustes_recovers_a_rotation (void)
{
  static const SeedWhiteningTeacher teachers[] = { { "a", "space-a", DIM },
    { "b", "space-b", DIM } };
  Mixture mixture;
  g_autofree float *x = NULL, *turned = g_new0 (float, 600 * DIM), *y = NULL, *z = NULL,
                   *aligned = g_new (float, 600 * DIM);
  g_autoptr (SeedWhitening) w = NULL;
  double apart_before = 0;

  mixture_init (&mixture, DIM, DIM, 21);
  x = mixture_sample (&mixture, 600, 22);
  for (guint r = 0; r < 600; r++) {
    memcpy (turned + r * DIM, x + r * DIM, DIM * sizeof (float));
    for (guint p = 0; p + 1 < DIM; p++) { /* a chain of plane rotations */
      double angle = 0.3 + 0.4 * p, u = turned[r * DIM + p], v = turned[r * DIM + p + 1];

      turned[r * DIM + p] = (float) (cos (angle) * u - sin (angle) * v);
      turned[r * DIM + p + 1] = (float) (sin (angle) * u + cos (angle) * v);
    }
  }
  w = fit (teachers, 2, (const float *const[]){ x, turned }, 500, 50, NULL);
  y = project (w, 0, x, 600);
  z = project (w, 1, turned, 600);
  seed_whitening_align (w, 1, z, 600, aligned);
  for (guint i = 500 * DIM; i < 600 * DIM; i++) {
    g_assert_cmpfloat_with_epsilon (aligned[i], y[i], 2e-3);
    apart_before = MAX (apart_before, fabs ((double) z[i] - y[i]));
  }
  /* signs of eigenvectors follow the axes they are written in, so this was not so before */
  g_assert_cmpfloat (apart_before, >, 0.5);
  seed_whitening_align (w, 0, y, 600, aligned);
  g_assert_cmpmem (aligned, sizeof (float) * 600 * DIM, y, sizeof (float) * 600 * DIM);
  mixture_clear (&mixture);
}

/* R of unequal widths: R^T R (wide to narrow) or R R^T (narrow to wide) is the identity. */
static void
assert_semi_orthogonal (guint first, guint second)
{
  SeedWhiteningTeacher teachers[] = { { "a", "space-a", first }, { "b", "space-b", second } };
  Mixture a, b;
  g_autofree double *z = mixture_latent (400, DIM, 31);
  g_autofree float *x = NULL, *y = NULL, *identity = g_new0 (float, second *second),
                   *r = g_new (float, second *first);
  g_autoptr (SeedWhitening) w = NULL;
  guint small = MIN (first, second);

  mixture_init (&a, first, DIM, 32);
  mixture_init (&b, second, DIM, 33);
  x = mixture_observe (&a, z, 400);
  y = mixture_observe (&b, z, 400);
  w = fit (teachers, 2, (const float *const[]){ x, y }, 400, 64, NULL);
  g_assert_cmpuint (seed_whitening_width (w, 0), ==, first);
  g_assert_cmpuint (seed_whitening_width (w, 1), ==, second);
  for (guint i = 0; i < second; i++)
    identity[i * second + i] = 1;
  seed_whitening_align (w, 1, identity, second, r); /* r = R [second, first] */
  for (guint i = 0; i < small; i++) {
    for (guint j = 0; j < small; j++) {
      double sum = 0;

      for (guint k = 0; k < MAX (first, second); k++)
        sum += first < second ? (double) r[k * first + i] * r[k * first + j]
                              : (double) r[i * first + k] * r[j * first + k];
      g_assert_cmpfloat_with_epsilon (sum, i == j, 1e-5);
    }
  }
  mixture_clear (&a);
  mixture_clear (&b);
}

static void
test_alignment_is_semi_orthogonal (void)
{
  assert_semi_orthogonal (8, 8);
  assert_semi_orthogonal (5, 9);
  assert_semi_orthogonal (9, 5);
}

static void
assert_refused (float bad, const char *what)
{
  static const SeedWhiteningTeacher teachers[] = { { "a", "space-a", 3 },
    { "clip", "space-b", 2 } };
  float x[] = { 1, 2, 3, 3, 2, 1, 0, 1, 0 }, y[] = { 1, 0, 0, 1, 1, 1 };
  float zeros[] = { 0, 0 }, out[2], scratch[2];
  const float *rows[] = { x, y };
  g_autoptr (SeedWhiteningFit) fit = seed_whitening_fit_new (teachers, 2, NULL);
  g_autoptr (SeedWhitening) w = NULL;
  g_autoptr (GError) error = NULL;

  y[2] = bad;
  y[3] = 0;
  g_assert_false (seed_whitening_fit_add (fit, rows, 3, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_nonnull (strstr (error->message, "\"clip\""));
  g_assert_nonnull (strstr (error->message, "row 1"));
  g_assert_nonnull (strstr (error->message, what));
  g_assert_cmpuint (seed_whitening_fit_n_samples (fit), ==, 0); /* nothing was taken */
  g_clear_error (&error);

  y[2] = 0.5f;
  y[3] = -1;
  g_assert_true (seed_whitening_fit_add (fit, rows, 3, NULL));
  w = seed_whitening_fit_finish (fit, NULL);
  g_assert_nonnull (w);
  zeros[0] = bad;
  g_assert_false (seed_whitening_apply (w, 1, zeros, 1, scratch, out, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_nonnull (strstr (error->message, "\"clip\""));
}

static void
test_refuses_bad_numbers (void)
{
  assert_refused (0, "zeros");
  assert_refused (NAN, "not finite");
  assert_refused (INFINITY, "not finite");
}

static void
test_refuses_what_cannot_be_fitted (void)
{
  static const SeedWhiteningTeacher teacher = { "dino", "space", 3 };
  SeedWhiteningTeacher wide = { "wide", "space", SEED_WHITENING_MAX_DIM + 1 };
  float same[] = { 1, 2, 3, 2, 4, 6, 1, 2, 3 };
  const float *rows = same;
  g_autoptr (SeedWhiteningFit) fit = seed_whitening_fit_new (&teacher, 1, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (seed_whitening_fit_add (fit, &rows, 1, NULL));
  g_assert_null (seed_whitening_fit_finish (fit, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);

  g_assert_true (seed_whitening_fit_add (fit, &rows, 3, NULL));
  g_assert_null (seed_whitening_fit_finish (fit, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_nonnull (strstr (error->message, "\"dino\""));
  g_clear_error (&error);

  g_assert_null (seed_whitening_fit_new (&wide, 1, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_assert_nonnull (strstr (error->message, "\"wide\""));
  g_clear_error (&error);
  g_assert_null (seed_whitening_fit_new (&teacher, 0, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
}

/* Wider than 512: the leading axes are kept. */
static void
test_width_is_limited (void)
{
  const guint dim = 520, n = 540;
  SeedWhiteningTeacher teacher = { "a", "space-a", dim };
  g_autofree float *x = g_new (float, n *dim);
  const float *rows = x;
  g_autoptr (SeedWhitening) w = NULL;
  SeedRng rng;

  seed_rng_init (&rng, 41);
  for (guint i = 0; i < n * dim; i++)
    x[i] = (float) seed_rng_normal (&rng);
  w = fit (&teacher, 1, &rows, n, 60, NULL);
  g_assert_nonnull (w);
  g_assert_cmpuint (seed_whitening_width (w, 0), ==, SEED_WHITENING_MAX_WIDTH);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/whitening/identity-covariance", test_identity_covariance_on_held_data);
  g_test_add_func ("/whitening/reference", test_equals_reference);
  g_test_add_func ("/whitening/rank-deficient", test_rank_deficient);
  g_test_add_func ("/whitening/floor", test_small_eigenvalues_are_floored);
  g_test_add_func ("/whitening/same-bits", test_same_samples_same_bits);
  g_test_add_func ("/whitening/procrustes", test_procrustes_recovers_a_rotation);
  g_test_add_func ("/whitening/semi-orthogonal", test_alignment_is_semi_orthogonal);
  g_test_add_func ("/whitening/bad-numbers", test_refuses_bad_numbers);
  g_test_add_func ("/whitening/cannot-be-fitted", test_refuses_what_cannot_be_fitted);
  g_test_add_func ("/whitening/width", test_width_is_limited);
  return g_test_run ();
}
