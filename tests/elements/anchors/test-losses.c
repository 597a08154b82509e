/* SPDX-License-Identifier: MIT */
/* The objective against plain loops that follow docs/anchors.md, in double. */
#include <seed/error.h>
#include <seed/pool.h>

#include "anchors-util.h"

#define MOST 64 /* of any dimension here */

static const real *
tensor (const Batch *b, const real *values, const char *name)
{
  const SeedParam *param = seed_params_lookup (&b->params, name);

  g_assert_nonnull (param);
  return values + param->offset;
}

static void
plain_linear (const real *w, const real *bias, const double *x, guint out, guint in, double *y)
{
  for (guint o = 0; o < out; o++) {
    y[o] = bias ? bias[o] : 0;
    for (guint i = 0; i < in; i++)
      y[o] += w[o * in + i] * x[i];
  }
}

static void
plain_norm (const real *gamma, const real *beta, double eps, const double *x, guint d, double *y)
{
  double mean = 0, var = 0;

  for (guint i = 0; i < d; i++)
    mean += x[i] / d;
  for (guint i = 0; i < d; i++)
    var += (x[i] - mean) * (x[i] - mean) / d;
  for (guint i = 0; i < d; i++)
    y[i] = (x[i] - mean) / sqrt (var + eps) * gamma[i] + beta[i];
}

static void
plain_gelu (double *x, guint n)
{
  for (guint i = 0; i < n; i++)
    x[i] *= 0.5 * (1 + erf (x[i] / sqrt (2)));
}

static void
plain_softmax (double *x, guint n, double scale)
{
  double sum = 0;

  for (guint i = 0; i < n; i++)
    sum += x[i] = exp (scale * x[i]);
  for (guint i = 0; i < n; i++)
    x[i] /= sum;
}

static void
plain_head (const Batch *b, const real *values, const double *x, double *z)
{
  const SeedAnchorsShape *s = &b->shape;
  double hidden[MOST], square = 0;

  plain_linear (tensor (b, values, "anchor_head.fc1.weight"),
      tensor (b, values, "anchor_head.fc1.bias"), x, s->head_dim, s->dim, hidden);
  plain_gelu (hidden, s->head_dim);
  plain_linear (tensor (b, values, "anchor_head.fc2.weight"),
      tensor (b, values, "anchor_head.fc2.bias"), hidden, s->anchor_dim, s->head_dim, z);
  for (guint i = 0; i < s->anchor_dim; i++)
    square += z[i] * z[i];
  for (guint i = 0; i < s->anchor_dim; i++)
    z[i] /= sqrt (square);
}

/* z . c_k for all k */
static void
plain_scores (const Batch *b, const real *head_values, const double *x, double *scores)
{
  double z[MOST];

  plain_head (b, head_values, x, z);
  plain_linear (
      tensor (b, b->values, "anchors"), NULL, z, b->shape.n_anchors, b->shape.anchor_dim, scores);
}

static void
plain_assignment (const Batch *b, double *q)
{
  guint rows = b->n * b->n_words, k = b->shape.n_anchors;

  for (guint r = 0; r < rows; r++)
    plain_scores (b, b->ema,
        b->reference.rows + r / b->n_words * b->reference.stride + r % b->n_words * b->shape.dim,
        q + r * k);
  for (guint i = 0; i < rows * k; i++)
    q[i] = exp ((q[i] - 1) / 0.05); /* any constant cancels */
  for (guint round = 0; round < 3; round++) {
    for (guint c = 0; c < k; c++) {
      double sum = 0;

      for (guint r = 0; r < rows; r++)
        sum += q[r * k + c];
      for (guint r = 0; r < rows; r++)
        q[r * k + c] *= (double) rows / k / sum;
    }
    for (guint r = 0; r < rows; r++) {
      double sum = 0;

      for (guint c = 0; c < k; c++)
        sum += q[r * k + c];
      for (guint c = 0; c < k; c++)
        q[r * k + c] /= sum;
    }
  }
}

/* The block for one query, and its last norm. */
static void
plain_cross (const Batch *b, const double *h, const double *context, guint n_keys, double *y)
{
  const SeedAnchorsShape *s = &b->shape;
  guint d = s->dim, e = d / s->heads;
  double normed[MOST], q[MOST], mixed[MOST] = { 0 }, mid[MOST], hidden[MOST], kv[MOST][2 * MOST];
  const real *v = b->values;

  plain_norm (tensor (b, v, "anchor_cross.norm1.weight"), tensor (b, v, "anchor_cross.norm1.bias"),
      s->ln_eps, h, d, normed);
  plain_linear (tensor (b, v, "anchor_cross.q.weight"), tensor (b, v, "anchor_cross.q.bias"),
      normed, d, d, q);
  for (guint j = 0; j < n_keys; j++)
    plain_linear (tensor (b, v, "anchor_cross.kv.weight"), tensor (b, v, "anchor_cross.kv.bias"),
        context + j * d, 2 * d, d, kv[j]);
  for (guint head = 0; head < s->heads; head++) {
    double p[MOST] = { 0 };

    for (guint j = 0; j < n_keys; j++)
      for (guint i = head * e; i < (head + 1) * e; i++)
        p[j] += q[i] * kv[j][i];
    plain_softmax (p, n_keys, 1 / sqrt (e));
    for (guint j = 0; j < n_keys; j++)
      for (guint i = head * e; i < (head + 1) * e; i++)
        mixed[i] += p[j] * kv[j][d + i];
  }
  plain_linear (tensor (b, v, "anchor_cross.proj.weight"), tensor (b, v, "anchor_cross.proj.bias"),
      mixed, d, d, mid);
  for (guint i = 0; i < d; i++)
    mid[i] += h[i];
  plain_norm (tensor (b, v, "anchor_cross.norm2.weight"), tensor (b, v, "anchor_cross.norm2.bias"),
      s->ln_eps, mid, d, normed);
  plain_linear (tensor (b, v, "anchor_cross.fc1.weight"), tensor (b, v, "anchor_cross.fc1.bias"),
      normed, s->mlp_dim, d, hidden);
  plain_gelu (hidden, s->mlp_dim);
  plain_linear (tensor (b, v, "anchor_cross.fc2.weight"), tensor (b, v, "anchor_cross.fc2.bias"),
      hidden, d, s->mlp_dim, normed);
  for (guint i = 0; i < d; i++)
    mid[i] += normed[i];
  plain_norm (
      tensor (b, v, "anchor_norm.weight"), tensor (b, v, "anchor_norm.bias"), s->ln_eps, mid, d, y);
}

static double
smoothing (const Batch *b, guint u, guint v)
{
  int grid = (int) b->shape.grid;
  double sum = 0, at = 0;

  for (int w = 0; w < grid * grid; w++) {
    int x = w % grid - (int) v % grid, y = w / grid - (int) v / grid;
    double g = exp (-(x * x + y * y) / (2 * b->config.sigma * b->config.sigma));

    sum += g;
    if ((guint) w == u)
      at = g;
  }
  return at / sum;
}

static double
plain_location (const Batch *b, const double *q)
{
  guint k = b->shape.n_anchors, n = b->n_words, d = b->shape.dim;
  double loss = 0;

  for (guint i = 0; i < b->n; i++)
    for (guint a = 0; a < k; a++) {
      double h[MOST], y[MOST], p[MOST], mass = 0, entropy = 0;

      plain_linear (tensor (b, b->values, "anchor_query.weight"), NULL,
          tensor (b, b->values, "anchors") + a * b->shape.anchor_dim, d, b->shape.anchor_dim, h);
      plain_cross (b, h, b->query.rows + i * b->query.stride, b->n_query, y);
      plain_linear (tensor (b, b->values, "anchor_location.weight"),
          tensor (b, b->values, "anchor_location.bias"), y, n, d, p);
      plain_softmax (p, n, 1);
      for (guint u = 0; u < n; u++)
        mass += q[(i * n + u) * k + a];
      for (guint u = 0; u < n; u++) {
        double target = 0;

        for (guint v = 0; v < n; v++)
          target += smoothing (b, u, v) * q[(i * n + v) * k + a] / mass;
        entropy -= target * log (p[u]);
      }
      loss += mass / n * entropy / b->n; /* masses of an image sum to n */
    }
  return loss;
}

static double
plain_word_location (const Batch *b)
{
  double loss = 0, matched = 0;

  for (guint r = 0; r < b->n * b->n_query; r++) {
    guint i = r / b->n_query, d = b->shape.dim;
    double y[MOST], p[MOST];

    if (b->match[r] < 0)
      continue;
    plain_cross (b, b->query.rows + i * b->query.stride + r % b->n_query * d,
        b->reference.rows + i * b->reference.stride, b->n_words, y);
    plain_linear (tensor (b, b->values, "anchor_word.weight"),
        tensor (b, b->values, "anchor_word.bias"), y, b->n_words, d, p);
    plain_softmax (p, b->n_words, 1);
    loss -= log (p[b->match[r]]);
    matched++;
  }
  return loss / matched;
}

/* L_a, and the guard to @guard */
static double
plain_assignment_loss (const Batch *b, const double *q, double *guard)
{
  guint k = b->shape.n_anchors, rows = b->n * b->n_query;
  double loss = 0, matched = 0, mean[MOST] = { 0 };

  for (guint r = 0; r < rows; r++) {
    guint i = r / b->n_query;
    double p[MOST];

    plain_scores (
        b, b->values, b->query.rows + i * b->query.stride + r % b->n_query * b->shape.dim, p);
    plain_softmax (p, k, 1 / 0.1);
    for (guint a = 0; a < k; a++)
      mean[a] += p[a] / rows;
    if (b->match[r] < 0)
      continue;
    for (guint a = 0; a < k; a++)
      loss -= q[(i * b->n_words + (guint) b->match[r]) * k + a] * log (p[a]);
    matched++;
  }
  *guard = 0;
  for (guint a = 0; a < k; a++)
    *guard += mean[a] * log (mean[a]);
  return loss / matched;
}

#define assert_near(a, b) g_assert_cmpfloat (fabs ((a) - (b)), <=, 1e-11 * MAX (1, fabs (b)))

static void
test_equal_formulas (void)
{
  SeedAnchorsShape shape = small_shape ();

  for (guint64 seed = 20; seed < 24; seed++) {
    g_autofree double *q = NULL;
    SeedAnchorsLosses losses;
    double guard, assignment;
    Batch b;

    batch_init (&b, &shape, 5, 4, seed);
    q = g_new (double, b.n *b.n_words *shape.n_anchors);
    plain_assignment (&b, q);
    assert_close (
        seed_anchors_get_assignment (b.anchors), q, b.n * b.n_words * shape.n_anchors, 1e-12);
    losses = batch_losses (&b);
    assignment = plain_assignment_loss (&b, q, &guard);
    assert_near (losses.assignment, assignment);
    assert_near (losses.guard, guard);
    assert_near (losses.perplexity, exp (-guard));
    assert_near (losses.location, plain_location (&b, q));
    assert_near (losses.word_location, plain_word_location (&b));
    assert_near (
        losses.total, losses.location + losses.word_location + losses.assignment + losses.guard);
    batch_clear (&b);
  }
}

/* Without one word that has a reference word under it: nothing to learn from, nothing divided by 0.
 */
static void
test_nothing_matches (void)
{
  SeedAnchorsShape shape = small_shape ();
  SeedAnchorsLosses losses;
  Batch b;

  batch_init (&b, &shape, 3, 4, 30);
  for (guint i = 0; i < 12; i++)
    b.match[i] = -1;
  losses = batch_losses (&b);
  g_assert_cmpuint (losses.n_matched, ==, 0);
  g_assert_cmpfloat (losses.assignment, ==, 0);
  g_assert_cmpfloat (losses.word_location, ==, 0);
  g_assert_cmpfloat (losses.location, >, 0);
  batch_gradients (&b, 1);
  for (gsize i = 0; i < b.params.total; i++)
    g_assert_true (isfinite (b.grads[i]));
  batch_clear (&b);
}

/* sigma 0 puts a target on its cell alone. */
static void
test_sigma (void)
{
  SeedAnchorsShape shape = small_shape ();
  double spread, sharp, almost;
  Batch b;

  batch_init (&b, &shape, 3, 4, 31);
  spread = batch_losses (&b).location;
  seed_anchors_set_sigma (b.anchors, 0);
  sharp = batch_losses (&b).location;
  seed_anchors_set_sigma (b.anchors, 0.05);
  almost = batch_losses (&b).location;
  assert_near (sharp, almost);
  g_assert_cmpfloat (fabs (spread - sharp), >, 1e-3);
  batch_clear (&b);
}

static void
test_few_frames_are_refused (void)
{
  SeedAnchorsShape shape = small_shape ();
  g_autoptr (GError) error = NULL;
  SeedAnchorsConfig config;
  SeedAnchors *anchors;
  Batch b;

  batch_init (&b, &shape, 20, 4, 32);
  seed_anchors_config_init (&config);
  anchors = seed_anchors_new (&shape, &config, &b.params, 20, 4, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (
      seed_anchors_assign (anchors, b.values, b.ema, &b.reference, b.frames, 20, &error));
  for (guint i = 0; i < 5; i++) /* 15 are left */
    b.frames[3 * i] = b.frames[19];
  g_assert_false (
      seed_anchors_assign (anchors, b.values, b.ema, &b.reference, b.frames, 20, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, "has 15"));
  g_assert_null (seed_anchors_get_assignment (anchors));
  b.frames[0] = 7;
  g_clear_error (&error);
  g_assert_true (
      seed_anchors_assign (anchors, b.values, b.ema, &b.reference, b.frames, 20, &error));
  seed_anchors_free (anchors);
  batch_clear (&b);
}

static void
test_describe_equals_formula (void)
{
  SeedAnchorsShape shape = small_shape ();
  g_autoptr (SeedAnchors) lean = NULL;
  g_autoptr (GError) error = NULL;
  float histogram[3 * 6], heat[3 * 6 * 9], again[3 * 6];
  real cosines[3 * 9 * 6];
  Batch b;

  batch_init (&b, &shape, 3, 4, 33);
  lean = seed_anchors_new (&shape, &b.config, &b.params, 3, 0, NULL, &error);
  g_assert_no_error (error);
  seed_anchors_describe (lean, b.values, &b.reference, 3, histogram, heat);
  for (guint i = 0; i < 3; i++) {
    double mean[MOST] = { 0 }, sum = 0;

    for (guint u = 0; u < 9; u++) {
      double p[MOST];

      plain_scores (&b, b.values, b.reference.rows + i * b.reference.stride + u * shape.dim, p);
      plain_softmax (p, 6, 1 / 0.1);
      for (guint k = 0; k < 6; k++) {
        mean[k] += p[k] / 9;
        g_assert_cmpfloat (fabs (heat[(i * 6 + k) * 9 + u] - p[k]), <=, 1e-6);
      }
    }
    for (guint k = 0; k < 6; k++) {
      g_assert_cmpfloat (fabs (histogram[i * 6 + k] - mean[k]), <=, 1e-6);
      sum += histogram[i * 6 + k];
    }
    g_assert_cmpfloat (fabs (sum - 1), <=, 1e-6);
  }
  seed_anchors_cosines (lean, b.values, &b.reference, 3, cosines);
  for (guint row = 0; row < 3 * 9; row++) {
    double wanted[MOST];

    plain_scores (&b, b.values,
        b.reference.rows + row / 9 * b.reference.stride + row % 9 * shape.dim, wanted);
    for (guint k = 0; k < 6; k++)
      g_assert_cmpfloat (fabs ((double) cosines[row * 6 + k] - wanted[k]), <=, 1e-6);
  }
  seed_anchors_describe (lean, b.values, &b.reference, 3, again, NULL);
  g_assert_cmpmem (again, sizeof again, histogram, sizeof histogram);
  batch_clear (&b);
}

static void
test_normalise (void)
{
  SeedAnchorsShape shape = small_shape ();
  const SeedParam *param;
  Batch b;

  batch_init (&b, &shape, 3, 4, 34);
  param = seed_params_lookup (&b.params, "anchors");
  for (gsize i = 0; i < param->size; i++)
    b.values[param->offset + i] *= 3;
  seed_anchors_normalise (b.anchors, b.values);
  for (guint k = 0; k < shape.n_anchors; k++) {
    double square = 0;

    for (guint i = 0; i < shape.anchor_dim; i++) {
      real x = b.values[param->offset + k * shape.anchor_dim + i];
      square += x * x;
    }
    assert_near (square, 1.0);
  }
  batch_clear (&b);
}

static void
test_wrong_shapes (void)
{
  SeedAnchorsShape shape = small_shape (), other = shape;
  g_autoptr (GError) error = NULL;
  SeedAnchorsConfig config;
  SeedParams params, none;

  seed_params_init (&params);
  seed_params_init (&none);
  seed_anchors_append_params (&shape, &params);
  seed_anchors_config_init (&config);
  g_assert_null (seed_anchors_new (&shape, &config, &none, 2, 2, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND);
  g_clear_error (&error);
  other.mlp_dim = 9;
  g_assert_null (seed_anchors_new (&other, &config, &params, 2, 2, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  g_assert_nonnull (strstr (error->message, "anchor_cross.fc1.weight"));
  g_clear_error (&error);
  other.heads = 4;
  g_assert_null (seed_anchors_new (&other, &config, &params, 2, 2, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_null (seed_anchors_new (&shape, &config, &params, 2, 10, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_null (seed_anchors_new (&shape, &config, &params, 1u << 31, 2, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_clear_error (&error);
  config.temperature = 0;
  g_assert_null (seed_anchors_new (&shape, &config, &params, 2, 2, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  seed_params_clear (&params);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (2);
  g_test_add_func ("/anchors/losses/equal-formulas", test_equal_formulas);
  g_test_add_func ("/anchors/losses/nothing-matches", test_nothing_matches);
  g_test_add_func ("/anchors/losses/sigma", test_sigma);
  g_test_add_func ("/anchors/losses/few-frames", test_few_frames_are_refused);
  g_test_add_func ("/anchors/describe/equals-formula", test_describe_equals_formula);
  g_test_add_func ("/anchors/normalise", test_normalise);
  g_test_add_func ("/anchors/wrong-shapes", test_wrong_shapes);
  return g_test_run ();
}
