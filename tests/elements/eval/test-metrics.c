/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/rng.h>

#include "eval/cutscore.h"
#include "eval/knn.h"
#include "eval/lbfgs.h"
#include "eval/linear.h"
#include "eval/retrieval.h"

#define CLOSE 1e-6

/* Points on the unit circle by their angle in degrees. */
static void
place (float *rows, const double *degrees, guint n)
{
  for (guint i = 0; i < n; i++) {
    rows[2 * i] = (float) cos (degrees[i] * G_PI / 180);
    rows[2 * i + 1] = (float) sin (degrees[i] * G_PI / 180);
  }
}

/* Two classes at 0 and at 90 degrees, and one of the second among the first. */
static const double train_degrees[] = { 0, 4, 10, 90, 94, 6 };
static const gint32 train_labels[] = { 0, 0, 0, 1, 1, 1 };
static const double test_degrees[] = { 1, 91, 6 };
static const gint32 test_labels[] = { 0, 1, 0 };

static void
test_knn_by_hand (void)
{
  float train[12], test[6];
  const SeedEvalSet known = { train, train_labels, 6, 2 }, asked = { test, test_labels, 3, 2 };
  SeedKnnConfig config = { 1, 0.07 };
  SeedKnnResult result;

  place (train, train_degrees, 6);
  place (test, test_degrees, 3);
  g_assert_true (seed_eval_knn (&known, &asked, &config, &result, NULL));
  g_assert_cmpuint (result.n_queries, ==, 3);
  g_assert_cmpfloat_with_epsilon (result.top1, 2.0 / 3, CLOSE); /* 6 degrees is the stray's */
  config.k = 3; /* 6: itself (1), 4 and 10 (0): two nearly equal votes against one */
  g_assert_true (seed_eval_knn (&known, &asked, &config, &result, NULL));
  g_assert_cmpfloat_with_epsilon (result.top1, 1, CLOSE);
  config.temperature = 0.0001; /* the nearest alone counts */
  g_assert_true (seed_eval_knn (&known, &asked, &config, &result, NULL));
  g_assert_cmpfloat_with_epsilon (result.top1, 2.0 / 3, CLOSE);
  g_assert_cmpfloat_with_epsilon (result.top5, 1, CLOSE);
}

static void
test_knn_leaves_one_out (void)
{
  float rows[8];
  static const double degrees[] = { 0, 30, 120, 150 };
  static const gint32 labels[] = { 0, 1, 0, 1 };
  const SeedEvalSet set = { rows, labels, 4, 2 };
  const SeedKnnConfig config = { 20, 0.07 };
  SeedKnnResult result;

  place (rows, degrees, 4);
  g_assert_true (seed_eval_knn (&set, NULL, &config, &result, NULL));
  g_assert_cmpuint (result.k, ==, 3);
  /* each one's nearest is of the other class; itself would have been of its own */
  g_assert_cmpfloat (result.top1, ==, 0);
}

static void
test_retrieval_by_hand (void)
{
  float rows[10], query[2];
  static const double degrees[] = { 0, 11, 20, 30, 43 };
  static const gint32 labels[] = { 1, 0, 0, 1, 0 }, wanted[] = { 0 };
  static const double at[] = { 0 };
  const SeedEvalSet gallery = { rows, labels, 5, 2 };
  SeedEvalSet queries = { query, wanted, 1, 2 };
  SeedRetrievalResult result;
  static const guint owner[] = { 3 };
  double ap;
  g_autoptr (GError) error = NULL;

  place (rows, degrees, 5);
  place (query, at, 1);
  g_assert_false (seed_eval_retrieval (&gallery, &queries, &result, &error)); /* one class */
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_assert_true (seed_eval_retrieval (&gallery, NULL, &result, NULL));
  /* in turn: 1 2 (3) 4; (2) 0 3 (4); (1) 3 0 (4); 2 4 1 (0); 3 (2) (1) 0 */
  g_assert_cmpfloat_with_epsilon (result.map, (1.0 / 3 + 0.75 + 0.75 + 0.25 + 7.0 / 12) / 5, CLOSE);
  g_assert_cmpfloat_with_epsilon (result.recall[0], 0.4, CLOSE);
  g_assert_cmpfloat_with_epsilon (result.recall[1], 1, CLOSE);
  g_assert_cmpuint (result.n_queries, ==, 5);
  g_assert_true (seed_eval_retrieval_owned (&gallery, &queries, owner, &result, NULL));
  g_assert_cmpfloat_with_epsilon (result.map, 0.25, CLOSE);
  g_assert_cmpfloat (result.recall[0], ==, 0);
  g_assert_cmpfloat (result.recall[1], ==, 1);
  g_assert_true (seed_eval_micro_ap (&gallery, &queries, owner, &ap, NULL, NULL));
  g_assert_cmpfloat_with_epsilon (ap, 0.25, CLOSE);
}

/* Who gives everything the same vector earns nothing. */
static void
test_ties_count_against (void)
{
  float rows[] = { 1, 0, 1, 0, 1, 0, 1, 0 };
  static const gint32 labels[] = { 0, 0, 1, 1 };
  const SeedEvalSet set = { rows, labels, 4, 2 };
  SeedRetrievalResult result;

  g_assert_true (seed_eval_retrieval (&set, NULL, &result, NULL));
  g_assert_cmpfloat_with_epsilon (result.map, 1.0 / 3, CLOSE);
  g_assert_cmpfloat (result.recall[0], ==, 0);
}

static void
test_texts_and_images (void)
{
  float images[4], texts[8];
  static const double image_degrees[] = { 0, 90 }, text_degrees[] = { 1, 80, 95, 60 };
  static const guint owners[] = { 0, 0, 1, 1 };
  const SeedEvalSet i = { images, NULL, 2, 2 }, t = { texts, NULL, 4, 2 };
  SeedRetrievalResult result;

  place (images, image_degrees, 2);
  place (texts, text_degrees, 4);
  g_assert_true (seed_eval_retrieval_owned (&i, &t, owners, &result, NULL));
  g_assert_cmpfloat_with_epsilon (result.recall[0], 0.75, CLOSE); /* 80 finds the wrong image */
  g_assert_true (seed_eval_retrieval_owners (&t, &i, owners, &result, NULL));
  g_assert_cmpfloat_with_epsilon (result.recall[0], 1, CLOSE);
  /* image 0: 1, 60, 80, 95 -> (1 + 2/3) / 2; image 1: 95, 80, 60, 1 -> (1 + 2/3) / 2 */
  g_assert_cmpfloat_with_epsilon (result.map, 5.0 / 6, CLOSE);
}

static void
test_cut_scores (void)
{
  static const guint64 truth[] = { 10, 50, 90 }, found[] = { 11, 12, 49, 70 };
  SeedCutScore score = { 0 };

  g_assert_true (isnan (seed_cut_score_f1 (&score)));
  seed_cut_score_add (&score, truth, 3, found, 4, 1, FALSE);
  g_assert_cmpuint (score.matched, ==, 2);
  g_assert_cmpuint (score.missed, ==, 1);
  g_assert_cmpuint (score.spurious, ==, 2);
  g_assert_cmpfloat_with_epsilon (seed_cut_score_precision (&score), 0.5, CLOSE);
  g_assert_cmpfloat_with_epsilon (seed_cut_score_f1 (&score), 4.0 / 7, CLOSE);
  seed_cut_score_add (&score, truth, 1, found, 4, 0, TRUE);
  g_assert_cmpuint (score.spurious, ==, 2); /* the list was partial */
  g_assert_cmpuint (score.missed, ==, 2);
}

/* Rosenbrock's valley. */
static double
valley (const double *x, double *gradient, gpointer data)
{
  double a = 1 - x[0], b = x[1] - x[0] * x[0];

  gradient[0] = -2 * a - 400 * x[0] * b;
  gradient[1] = 200 * b;
  return a * a + 100 * b * b;
}

static void
test_lbfgs (void)
{
  double x[] = { -1.2, 1 };
  SeedLbfgsResult result;

  seed_lbfgs_minimise (x, 2, valley, NULL, 1e-8, 200, &result);
  g_assert_true (result.converged);
  g_assert_cmpuint (result.iterations, <, 100);
  g_assert_cmpfloat_with_epsilon (x[0], 1, 1e-6);
  g_assert_cmpfloat_with_epsilon (x[1], 1, 1e-6);
}

#define N 400u
#define DIM 6u

static void
make_classes (float *rows, gint32 *labels, double apart, guint64 seed)
{
  SeedRng rng;

  seed_rng_init (&rng, seed);
  for (guint i = 0; i < N; i++) {
    labels[i] = (gint32) (i % 4);
    for (guint d = 0; d < DIM; d++)
      rows[i * DIM + d] = (float) (seed_rng_normal (&rng) + (d == i % 4 ? apart : 0));
  }
}

static void
test_linear_learns (void)
{
  g_autofree float *train = g_new (float, N *DIM), *test = g_new (float, N *DIM);
  g_autofree gint32 *labels = g_new (gint32, N), *truth = g_new (gint32, N);
  const SeedEvalSet known = { train, labels, N, DIM }, asked = { test, truth, N, DIM };
  SeedLinearConfig config;
  SeedLinearResult result, again;

  make_classes (train, labels, 4, 1);
  make_classes (test, truth, 4, 2);
  seed_linear_config_init (&config);
  g_assert_true (seed_eval_linear (&known, &asked, &config, &result, NULL));
  g_assert_true (result.converged);
  g_assert_cmpfloat (result.gradient, <=, config.tolerance);
  g_assert_cmpfloat (result.top1, >, 0.95);
  g_assert_cmpuint (result.n_holdout, ==, 80);
  g_assert_true (seed_eval_linear (&known, &asked, &config, &again, NULL));
  /* the same bits; field by field, as what is between them is anything */
  g_assert_cmpmem (&result.top1, sizeof (double), &again.top1, sizeof (double));
  g_assert_cmpmem (&result.loss, sizeof (double), &again.loss, sizeof (double));
  g_assert_cmpmem (&result.lambda, sizeof (double), &again.lambda, sizeof (double));
  g_assert_cmpmem (&result.holdout_top1, sizeof (double), &again.holdout_top1, sizeof (double));
  g_assert_cmpmem (&result.gradient, sizeof (double), &again.gradient, sizeof (double));
  g_assert_cmpuint (result.iterations, ==, again.iterations);
  make_classes (train, labels, 0, 1); /* nothing to learn */
  g_assert_true (seed_eval_linear (&known, &asked, &config, &result, NULL));
  g_assert_cmpfloat (result.top1, <, 0.6);
}

/* Two classes of one number: the optimum is where the derivative is zero, found by bisection. */
static void
test_linear_is_the_minimum (void)
{
  static const float rows[] = { -2, -1, 0.5f, -0.5f, 1, 2 };
  static const gint32 labels[] = { 0, 0, 0, 1, 1, 1 };
  const SeedEvalSet set = { rows, labels, 6, 1 };
  SeedLinearConfig config;
  SeedLinearResult result;
  double deviation = 0, low = 0, high = 20, loss = 0;

  seed_linear_config_init (&config);
  config.n_lambdas = 1;
  config.lambdas[0] = 0.1;
  config.tolerance = 1e-9;
  g_assert_true (seed_eval_linear (&set, &set, &config, &result, NULL));
  for (guint i = 0; i < 6; i++)
    deviation += rows[i] * rows[i] / 6; /* the mean is 0 */
  for (guint k = 0; k < 200; k++) {     /* by symmetry w = (-v, v) and b = 0 */
    double v = (low + high) / 2, slope = 2 * 0.1 * v;

    for (guint i = 0; i < 6; i++) {
      double x = rows[i] / sqrt (deviation) * (labels[i] ? 1 : -1);

      slope -= 2 * x / (1 + exp (2 * v * x)) / 6;
    }
    *(slope > 0 ? &high : &low) = v;
  }
  for (guint i = 0; i < 6; i++)
    loss += log1p (exp (-2 * low * rows[i] / sqrt (deviation) * (labels[i] ? 1 : -1))) / 6;
  g_assert_cmpfloat_with_epsilon (result.loss, loss, 1e-7);
  g_assert_cmpfloat_with_epsilon (result.top1, 4.0 / 6, CLOSE);
}

static void
test_split_is_by_class (void)
{
  g_autofree gint32 *labels = g_new (gint32, N);
  g_autofree guint8 *held = g_new (guint8, N), *other = g_new (guint8, N);
  const SeedEvalSet set = { NULL, labels, N, 0 };
  guint counts[4] = { 0 };

  for (guint i = 0; i < N; i++)
    labels[i] = (gint32) (i % 4);
  g_assert_cmpuint (seed_eval_split (&set, 0.25, 3, held), ==, 100);
  for (guint i = 0; i < N; i++)
    counts[i % 4] += held[i];
  for (guint c = 0; c < 4; c++)
    g_assert_cmpuint (counts[c], ==, 25);
  seed_eval_split (&set, 0.25, 3, other);
  g_assert_cmpmem (held, N, other, N);
  seed_eval_split (&set, 0.25, 4, other);
  g_assert_cmpint (memcmp (held, other, N), !=, 0);
}

static void
assert_refused (
    const SeedEvalSet *train, const SeedEvalSet *test, SeedErrorCode code, const char *what)
{
  const SeedKnnConfig knn = SEED_KNN_CONFIG_DEFAULT;
  SeedKnnResult knn_result;
  SeedLinearConfig linear;
  SeedLinearResult linear_result;
  g_autoptr (GError) error = NULL;

  g_assert_false (seed_eval_knn (train, test, &knn, &knn_result, &error));
  g_assert_error (error, SEED_ERROR, (int) code);
  g_assert_nonnull (strstr (error->message, what));
  g_clear_error (&error);
  seed_linear_config_init (&linear);
  g_assert_false (seed_eval_linear (train, test, &linear, &linear_result, &error));
  g_assert_error (error, SEED_ERROR, (int) code);
}

static void
test_refuses (void)
{
  float rows[8];
  static const gint32 good[] = { 0, 1, 0, 1 }, one[] = { 1, 1, 1, 1 }, missing[] = { 0, 1, -1, 1 };
  const SeedEvalSet fine = { rows, good, 4, 2 }, empty = { rows, good, 0, 2 };
  const SeedEvalSet single = { rows, one, 4, 2 }, unlabelled = { rows, missing, 4, 2 };
  const SeedEvalSet narrow = { rows, good, 4, 1 };
  g_autoptr (GError) error = NULL;

  place (rows, train_degrees, 4);
  assert_refused (&empty, &fine, SEED_ERROR_INVALID, "training set is empty");
  assert_refused (&fine, &empty, SEED_ERROR_INVALID, "test set is empty");
  assert_refused (&single, &fine, SEED_ERROR_INVALID, "one class");
  assert_refused (&unlabelled, &fine, SEED_ERROR_INVALID, "item 2 of the training set");
  assert_refused (&fine, &narrow, SEED_ERROR_MISMATCH, "different spaces");
  rows[5] = NAN;
  g_assert_false (seed_eval_normalise (rows, 4, 2, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_nonnull (strstr (error->message, "vector 2 of 4"));
  g_clear_error (&error);
  rows[4] = rows[5] = 0;
  g_assert_false (seed_eval_normalise (rows, 4, 2, &error));
  g_assert_nonnull (strstr (error->message, "is zero"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/eval/knn/by-hand", test_knn_by_hand);
  g_test_add_func ("/eval/knn/leaves-one-out", test_knn_leaves_one_out);
  g_test_add_func ("/eval/retrieval/by-hand", test_retrieval_by_hand);
  g_test_add_func ("/eval/retrieval/ties-count-against", test_ties_count_against);
  g_test_add_func ("/eval/retrieval/texts-and-images", test_texts_and_images);
  g_test_add_func ("/eval/cuts/scores", test_cut_scores);
  g_test_add_func ("/eval/linear/lbfgs", test_lbfgs);
  g_test_add_func ("/eval/linear/learns", test_linear_learns);
  g_test_add_func ("/eval/linear/is-the-minimum", test_linear_is_the_minimum);
  g_test_add_func ("/eval/linear/split-is-by-class", test_split_is_by_class);
  g_test_add_func ("/eval/refuses", test_refuses);
  return g_test_run ();
}
