/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>
#include <seed/rng.h>

#include "fusion/fuse.h"

#define B 7
#define T 3
#define WIDTH 5
#define SECOND G_GINT64_CONSTANT (1000000000)

static const SeedFusionItem items[B] = {
  { "door", 10, 0 * SECOND },
  { "door", 11, 1 * SECOND }, /* within 2 s of both neighbours */
  { "door", 13, 2 * SECOND }, /* 2 s from the first: not within */
  { "yard", 10, 0 * SECOND }, /* another stream */
  { "door", 99, 90 * SECOND },
  { "yard", 80, -1 }, /* no time */
  { "yard", 81, -1 },
};

typedef struct {
  float y[T][B][2][WIDTH]; /* whitened summaries, unit */
  double s[T][B][B];       /* by the definition, in double */
} Batch;

static void
make_unit (SeedRng *rng, float *v)
{
  double norm = 0;

  for (guint k = 0; k < WIDTH; k++) {
    v[k] = (float) seed_rng_normal (rng);
    norm += (double) v[k] * v[k];
  }
  for (guint k = 0; k < WIDTH; k++)
    v[k] = (float) (v[k] / sqrt (norm));
}

static void
batch_init (Batch *batch, gboolean swap_views)
{
  SeedRng rng;

  seed_rng_init (&rng, 77);
  for (guint t = 0; t < T; t++) {
    for (guint i = 0; i < B; i++) {
      for (guint v = 0; v < 2; v++)
        make_unit (&rng, batch->y[t][i][v ^ (guint) swap_views]);
    }
    /* items 3 and 4 look the same to everyone: their mean similarity is above 0.94 */
    memcpy (batch->y[t][4][1], batch->y[t][3][0], sizeof batch->y[t][4][1]);
    memcpy (batch->y[t][4][0], batch->y[t][3][1], sizeof batch->y[t][4][0]);
    for (guint i = 0; i < B; i++) {
      for (guint j = 0; j < B; j++) {
        batch->s[t][i][j] = 0;
        for (guint k = 0; k < WIDTH; k++)
          batch->s[t][i][j] += (double) batch->y[t][i][0][k] * batch->y[t][j][1][k];
      }
    }
  }
}

static void
fuse (const char *name, const Batch *batch, float f[B][B], SeedFusionTally *tally)
{
  SeedFusionParams params = { .strategy = seed_fusion_strategy_parse (name, NULL, NULL),
    .single = 1,
    .seed = 42,
    .duplicate_window_ns = 2 * SECOND,
    .duplicate_cosine = 0.94 };
  float s[T][B][B];
  const float *const planes[T] = { &s[0][0][0], &s[1][0][0], &s[2][0][0] };

  g_assert_nonnull (params.strategy);
  for (guint t = 0; t < T; t++)
    seed_fusion_similarity (&batch->y[t][0][0][0], B, WIDTH, &s[t][0][0]);
  seed_fuse_affinity (&params, planes, T, items, B, &f[0][0], tally);
}

/* The mask from its definition. */
static gboolean
masked (const Batch *batch, guint i, guint j)
{
  double mean = (batch->s[0][i][j] + batch->s[1][i][j] + batch->s[2][i][j]) / 3;
  gboolean timed = items[i].time_ns >= 0 && items[j].time_ns >= 0;

  return i != j && (mean > 0.94 || (timed && strcmp (items[i].stream, items[j].stream) == 0 &&
                                       llabs (items[i].time_ns - items[j].time_ns) < 2 * SECOND));
}

/* METHOD.md's table, spelled out. */
static double
formula (const char *name, const Batch *batch, guint i, guint j)
{
  double a = batch->s[0][i][j], b = batch->s[1][i][j], c = batch->s[2][i][j];
  double largest = fmax (a, fmax (b, c)), smallest = fmin (a, fmin (b, c)), mean = (a + b + c) / 3;

  if (strcmp (name, "max-min") == 0)
    return i == j ? largest : smallest;
  if (strcmp (name, "mean") == 0)
    return mean;
  if (strcmp (name, "max-mean") == 0)
    return i == j ? largest : mean;
  if (strcmp (name, "min-max") == 0)
    return i == j ? smallest : largest;
  if (strcmp (name, "single:b") == 0)
    return b;
  g_assert_not_reached ();
}

static const char *const by_formula[] = { "max-min", "mean", "max-mean", "min-max", "single:b" };

static void
test_affinity_equals_reference (void)
{
  for (guint swap = 0; swap < 2; swap++) {
    Batch batch;
    guint n_masked = 0;

    batch_init (&batch, swap);
    for (guint n = 0; n < G_N_ELEMENTS (by_formula); n++) {
      SeedFusionTally tally = { 0 };
      float f[B][B];

      fuse (by_formula[n], &batch, f, &tally);
      n_masked = 0;
      for (guint i = 0; i < B; i++) {
        for (guint j = 0; j < B; j++) {
          if (masked (&batch, i, j)) {
            g_assert_true (isinf (f[i][j]) && f[i][j] < 0);
            n_masked++;
          } else {
            g_assert_cmpfloat_with_epsilon (f[i][j], formula (by_formula[n], &batch, i, j), 1e-6);
          }
        }
      }
      g_assert_cmpuint (tally.masked, ==, n_masked);
      g_assert_cmpuint (tally.n_diagonal, ==, B);
      g_assert_cmpuint (tally.n_off_diagonal, ==, B * (B - 1));
    }
    /* by time 0-1, 1-2 both ways; by cosine 3-4 both ways; nothing else by chance */
    g_assert_cmpuint (n_masked, ==, 6);
  }
}

static void
test_swapped_views_transpose (void)
{
  Batch batch, swapped;

  batch_init (&batch, FALSE);
  batch_init (&swapped, TRUE);
  for (guint n = 0; n < G_N_ELEMENTS (by_formula); n++) {
    SeedFusionTally tally = { 0 };
    float f[B][B], g[B][B];

    fuse (by_formula[n], &batch, f, &tally);
    fuse (by_formula[n], &swapped, g, &tally);
    for (guint i = 0; i < B; i++) {
      for (guint j = 0; j < B; j++) {
        if (isinf (f[i][j]))
          g_assert_true (isinf (g[j][i]));
        else
          g_assert_cmpfloat_with_epsilon (f[i][j], g[j][i], 1e-6);
      }
    }
    g_assert_cmpfloat (fabsf (f[0][3] - f[3][0]), >, 1e-3); /* the orientation does matter */
  }
}

static void
test_masks_can_be_off (void)
{
  SeedFusionParams params = { .strategy = seed_fusion_strategy_parse ("max-min", NULL, NULL),
    .duplicate_window_ns = 0,
    .duplicate_cosine = 1 };
  const SeedFusionItem twins[2] = { { "door", 1, 5 }, { "door", 1, 5 } };
  const float same[4] = { 1, 1.0000001f, 1.0000001f, 1 };
  const float *s = same;
  SeedFusionTally tally = { 0 };
  float f[4];

  seed_fuse_affinity (&params, &s, 1, twins, 2, f, &tally);
  g_assert_cmpuint (tally.masked, ==, 0);
  g_assert_cmpfloat (f[1], ==, 1.0000001f);
  params.duplicate_window_ns = 1;
  seed_fuse_affinity (&params, &s, 1, twins, 2, f, &tally);
  g_assert_cmpuint (tally.masked, ==, 2);
  g_assert_true (isinf (f[1]) && isinf (f[2]));
  g_assert_cmpfloat (f[0], ==, 1); /* never the diagonal */
}

static void
test_shares_of_wins (void)
{
  SeedFusionParams params = { .strategy = seed_fusion_strategy_parse ("max-min", NULL, NULL),
    .duplicate_cosine = 0.9 };
  const SeedFusionItem pair[2] = { { "a", 0, -1 }, { "b", 0, -1 } };
  /* diagonal: a tie (to the first), then the second; off it: the second, then masked */
  const float one[4] = { 0.5f, 0.1f, 0.95f, 0.2f }, two[4] = { 0.5f, 0.0f, 0.95f, 0.3f };
  const float *const s[2] = { one, two };
  double diagonal[2], off[2], share;
  SeedFusionTally tally = { 0 }, sum = { 0 };
  float f[4];

  seed_fuse_affinity (&params, s, 2, pair, 2, f, &tally);
  seed_fusion_tally_shares (&tally, 2, diagonal, off, &share);
  g_assert_cmpfloat (diagonal[0], ==, 0.5);
  g_assert_cmpfloat (diagonal[1], ==, 0.5);
  g_assert_cmpfloat (off[0], ==, 0);
  g_assert_cmpfloat (off[1], ==, 1);
  g_assert_cmpfloat (share, ==, 0.5);

  seed_fusion_tally_shares (&sum, 2, diagonal, off, &share);
  g_assert_cmpfloat (diagonal[0] + off[1] + share, ==, 0); /* nothing yet: no NaN */
  seed_fusion_tally_add (&sum, &tally);
  seed_fusion_tally_add (&sum, &tally);
  g_assert_cmpuint (sum.diagonal[1], ==, 2);
  g_assert_cmpuint (sum.masked, ==, 2);

  /* of means the same teachers are named */
  params.strategy = seed_fusion_strategy_parse ("mean", NULL, NULL);
  tally = (SeedFusionTally){ 0 };
  seed_fuse_affinity (&params, s, 2, pair, 2, f, &tally);
  g_assert_cmpuint (tally.diagonal[1], ==, 1);
  g_assert_cmpuint (tally.off_diagonal[1], ==, 1);
}

static void
test_random_takes_one_teacher_per_pair (void)
{
  Batch batch;
  float f[B][B], again[B][B];
  SeedFusionTally tally = { 0 };
  gboolean differs = FALSE;

  batch_init (&batch, FALSE);
  fuse ("random", &batch, f, &tally);
  fuse ("random", &batch, again, &tally);
  g_assert_cmpmem (f, sizeof f, again, sizeof again);
  for (guint i = 0; i < B; i++) {
    for (guint j = 0; j < B; j++) {
      guint t = seed_fusion_draw (42, &items[i], &items[j], T);

      if (!masked (&batch, i, j))
        g_assert_cmpfloat_with_epsilon (f[i][j], batch.s[t][i][j], 1e-6);
      differs = differs || t != seed_fusion_draw (43, &items[i], &items[j], T);
    }
  }
  g_assert_true (differs); /* the seed counts */
}

static void
test_random_is_even (void)
{
  guint n[T] = { 0 }, same_as_transposed = 0;
  const guint side = 150;

  for (guint i = 0; i < side; i++) {
    for (guint j = 0; j < side; j++) {
      SeedFusionItem a = { i % 2 ? "door" : "yard", i, -1 }, b = { "gate", j, -1 };
      guint t = seed_fusion_draw (7, &a, &b, T);

      n[t]++;
      same_as_transposed += t == seed_fusion_draw (7, &b, &a, T);
    }
  }
  /* binomial: std 0.0031 of the share; five of them */
  for (guint t = 0; t < T; t++)
    g_assert_cmpfloat_with_epsilon (n[t] / (double) (side * side), 1.0 / T, 0.016);
  g_assert_cmpfloat_with_epsilon (same_as_transposed / (double) (side * side), 1.0 / T, 0.016);
}

static int
ascending (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

static double
element_formula (const char *name, const double *v, guint n)
{
  double sorted[4], sum = 0;

  memcpy (sorted, v, n * sizeof *v);
  qsort (sorted, n, sizeof *sorted, ascending);
  for (guint i = 0; i < n; i++)
    sum += v[i];
  if (strcmp (name, "mean-feature") == 0)
    return sum / n;
  if (strcmp (name, "max-feature") == 0)
    return sorted[n - 1];
  if (strcmp (name, "min-feature") == 0)
    return sorted[0];
  return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

static void
assert_elementwise (const char *name, guint n_teachers)
{
  const SeedFusionStrategy *strategy = seed_fusion_strategy_parse (name, NULL, NULL);
  const guint widths[4] = { WIDTH, WIDTH, WIDTH, WIDTH };
  float y[4][B][WIDTH], out[B][WIDTH];
  const float *const rows[4] = { &y[0][0][0], &y[1][0][0], &y[2][0][0], &y[3][0][0] };
  SeedRng rng;

  seed_rng_init (&rng, 3);
  for (guint t = 0; t < 4; t++)
    for (guint r = 0; r < B; r++)
      make_unit (&rng, y[t][r]);
  g_assert_cmpuint (seed_fuse_features_width (strategy, widths, n_teachers), ==, WIDTH);
  g_assert_true (seed_fuse_features (strategy, rows, widths, n_teachers, B, &out[0][0], NULL));
  for (guint r = 0; r < B; r++) {
    double expected[WIDTH], norm = 0;

    for (guint k = 0; k < WIDTH; k++) {
      double v[4] = { y[0][r][k], y[1][r][k], y[2][r][k], y[3][r][k] };

      expected[k] = element_formula (name, v, n_teachers);
      norm += expected[k] * expected[k];
    }
    for (guint k = 0; k < WIDTH; k++)
      g_assert_cmpfloat_with_epsilon (out[r][k], expected[k] / sqrt (norm), 1e-6);
  }
}

static void
test_features_equal_reference (void)
{
  static const char *const names[] = { "mean-feature", "max-feature", "min-feature",
    "median-feature" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    for (guint n = 1; n <= 4; n++)
      assert_elementwise (names[i], n);
  }
}

static void
test_cosine_of_concat_is_the_mean_cosine (void)
{
  const SeedFusionStrategy *strategy = seed_fusion_strategy_parse ("concat", NULL, NULL);
  const guint widths[2] = { WIDTH, 2 };
  float a[B][WIDTH], b[B][2], out[B][WIDTH + 2];
  const float *const rows[2] = { &a[0][0], &b[0][0] };
  SeedRng rng;

  seed_rng_init (&rng, 8);
  for (guint r = 0; r < B; r++) {
    double angle = 6.28 * seed_rng_uniform (&rng);

    make_unit (&rng, a[r]);
    b[r][0] = (float) cos (angle);
    b[r][1] = (float) sin (angle);
  }
  g_assert_cmpuint (seed_fuse_features_width (strategy, widths, 2), ==, WIDTH + 2);
  g_assert_true (seed_fuse_features (strategy, rows, widths, 2, B, &out[0][0], NULL));
  for (guint i = 0; i < B; i++) {
    for (guint j = 0; j < B; j++) {
      double cosine_a = 0, cosine_b = 0, cosine = 0;

      for (guint k = 0; k < WIDTH; k++)
        cosine_a += (double) a[i][k] * a[j][k];
      for (guint k = 0; k < 2; k++)
        cosine_b += (double) b[i][k] * b[j][k];
      for (guint k = 0; k < WIDTH + 2; k++)
        cosine += (double) out[i][k] * out[j][k];
      g_assert_cmpfloat_with_epsilon (cosine, (cosine_a + cosine_b) / 2, 1e-6);
    }
  }
}

static void
test_features_that_cancel_out (void)
{
  const SeedFusionStrategy *strategy = seed_fusion_strategy_parse ("mean-feature", NULL, NULL);
  const guint widths[2] = { 2, 2 };
  const float a[] = { 1, 0, 0, 1 }, b[] = { 0, 1, 0, -1 };
  const float *const rows[2] = { a, b };
  float out[4];
  g_autoptr (GError) error = NULL;

  g_assert_false (seed_fuse_features (strategy, rows, widths, 2, 2, out, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_nonnull (strstr (error->message, "row 1"));
}

static void
test_strategy_names (void)
{
  static const char *const wrong[] = { "", "maxmin", "single", "single:", "singles:a", "max-min ",
    "concat:a", NULL };
  g_autofree char *names = seed_fusion_strategy_names ();
  const char *teacher;

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (seed_fusion_strategy_parse (wrong[i], &teacher, &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
    g_assert_nonnull (strstr (error->message, names));
  }
  g_assert_nonnull (strstr (names, "max-min, mean"));
  g_assert_nonnull (strstr (names, "single:NAME"));
  g_assert_nonnull (seed_fusion_strategy_parse ("single:my:clip", &teacher, NULL));
  g_assert_cmpstr (teacher, ==, "my:clip");
  g_assert_cmpint (
      seed_fusion_strategy_parse ("concat", &teacher, NULL)->output, ==, SEED_FUSION_CONCAT);
  g_assert_null (teacher);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/fuse/affinity/reference", test_affinity_equals_reference);
  g_test_add_func ("/fuse/affinity/transpose", test_swapped_views_transpose);
  g_test_add_func ("/fuse/affinity/masks-off", test_masks_can_be_off);
  g_test_add_func ("/fuse/affinity/shares", test_shares_of_wins);
  g_test_add_func ("/fuse/affinity/random", test_random_takes_one_teacher_per_pair);
  g_test_add_func ("/fuse/affinity/random-even", test_random_is_even);
  g_test_add_func ("/fuse/features/reference", test_features_equal_reference);
  g_test_add_func ("/fuse/features/concat", test_cosine_of_concat_is_the_mean_cosine);
  g_test_add_func ("/fuse/features/cancel-out", test_features_that_cancel_out);
  g_test_add_func ("/fuse/strategies", test_strategy_names);
  return g_test_run ();
}
