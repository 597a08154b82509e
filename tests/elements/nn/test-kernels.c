/* SPDX-License-Identifier: MIT */
/*
 * Every kernel table against formulas in double with libm, and its derivatives against central
 * differences of the same table. Compiled in float and in double; differences are taken in double
 * alone, where they have digits to spare.
 */
#include "nn-util.h"
#include "nn/kernels.h"

#ifdef SEED_REAL_DOUBLE
#define VALUE_LIMIT 1e-12
#else
#define VALUE_LIMIT 1e-6
#endif
#define SLOPE_LIMIT 1e-7
#define STEP 1e-5

static const guint sizes[] = { 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 67, 197 };

typedef void (*Check) (const SeedKernels *kernels, SeedRng *rng);

static void
each_table (gconstpointer data)
{
  Check check = (Check) data;
  SeedRng rng;

  for (guint level = 0; level <= seed_cpu_best_level (); level++) {
    const SeedKernels *table = seed_kernels_for ((SeedCpuLevel) level);

    g_assert_cmpstr (/* AMX is for products alone */
        table->name, ==, seed_cpu_level_name ((SeedCpuLevel) MIN (level, SEED_CPU_AVX512)));
    seed_rng_init (&rng, 11);
    check (table, &rng);
  }
}

static double
activation (SeedActivation kind, double x)
{
  switch (kind) {
  case SEED_ACTIVATION_GELU:
    return 0.5 * x * (1 + erf (x / G_SQRT2));
  case SEED_ACTIVATION_GELU_TANH:
    return 0.5 * x * (1 + tanh (sqrt (2 / G_PI) * (x + 0.044715 * x * x * x)));
  case SEED_ACTIVATION_QUICK_GELU:
    return x / (1 + exp (-1.702 * x));
  case SEED_ACTIVATION_SILU:
    return x / (1 + exp (-x));
  case SEED_ACTIVATION_RELU:
    return MAX (x, 0);
  }
  g_assert_not_reached ();
}

static void
check_activation_values (const SeedKernels *kernels, SeedRng *rng)
{
  enum { N = 4001 };
  g_autofree real *x = new_reals (N);
  g_autofree real *y = new_reals (N);
  g_autofree real *expected = new_reals (N);

  for (guint a = 0; a < SEED_N_ACTIVATIONS; a++) {
    for (guint i = 0; i < N; i++) {
      x[i] = (real) (((double) i - N / 2) * 0.01);
      expected[i] = (real) activation (a, (double) x[i]);
    }
    kernels->activation[a](x, N, y);
    for (guint i = 0; i < N; i++) /* pointwise: relative for large values, absolute for small */
      g_assert_cmpfloat (fabs ((double) (y[i] - expected[i])), <=,
          VALUE_LIMIT * MAX (fabs ((double) expected[i]), 1));
    kernels->activation[a](x, N, x); /* in place */
    g_assert_cmpmem (x, N * sizeof *x, y, N * sizeof *y);
  }
}

/* Far out nothing overflows, and a NaN is not swallowed. */
static void
check_activation_extremes (const SeedKernels *kernels, SeedRng *rng)
{
  real x[20], y[20], dx[20], dy[20];

  for (guint i = 0; i < 20; i++) { /* in vectors and in what is left over */
    x[i] = i % 2 ? (real) -1e4 : (real) 1e4;
    dy[i] = 1;
  }
  for (guint a = 0; a < SEED_N_ACTIVATIONS; a++) {
    x[9] = (real) -1e4;
    kernels->activation_backward[a](x, dy, 20, dx, y);
    for (guint i = 0; i < 20; i += 2) {
      g_assert_cmpfloat (y[i], ==, (real) 1e4);
      g_assert_cmpfloat (fabs ((double) y[i + 1]), <, 1e-20);
      g_assert_cmpfloat (dx[i], ==, 1);
      g_assert_cmpfloat (fabs ((double) dx[i + 1]), <, 1e-20);
    }
    if (a == SEED_ACTIVATION_RELU)
      continue;
    x[9] = NAN;
    kernels->activation[a](x, 20, y);
    g_assert_true (isnan (y[9]));
  }
}

static void
check_activation_slopes (const SeedKernels *kernels, SeedRng *rng)
{
  enum { N = 777 };
  real x[N], dy[N], dx[N], y[N], expected[N], value[N];

  fill_normal (x, N, 0, 3, rng);
  fill_normal (dy, N, 0, 1, rng);
  for (guint a = 0; a < SEED_N_ACTIVATIONS; a++) {
    for (guint i = 0; i < N; i++)
      expected[i] =
          (real) ((double) dy[i] *
                  (activation (a, (double) x[i] + STEP) - activation (a, (double) x[i] - STEP)) /
                  (2 * STEP));
    kernels->activation[a](x, N, value);
    kernels->activation_backward[a](x, dy, N, dx, y);
    assert_close (dx, expected, N, MAX (VALUE_LIMIT, SLOPE_LIMIT));
    assert_close (y, value, N, VALUE_LIMIT);
    memcpy (y, dy, sizeof y);
    kernels->activation_backward[a](x, y, N, y, value); /* in place of dy */
    g_assert_cmpmem (y, sizeof y, dx, sizeof dx);
  }
}

static void
check_norm_values (const SeedKernels *kernels, SeedRng *rng)
{
  enum { ROWS = 3, DIM = 197 };
  real x[ROWS * DIM], gamma[DIM], beta[DIM], y[ROWS * DIM], again[ROWS * DIM], expected[ROWS * DIM];
  real mean[ROWS], rstd[ROWS];

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
    guint dim = sizes[s];

    fill_normal (x, ROWS * dim, 3, 2, rng);
    fill_normal (gamma, dim, 1, 0.3, rng);
    fill_normal (beta, dim, 0, 1, rng);
    for (guint r = 0; r < ROWS; r++) {
      double sum = 0, squares = 0;

      for (guint i = 0; i < dim; i++)
        sum += (double) x[r * dim + i] / dim;
      for (guint i = 0; i < dim; i++)
        squares += pow ((double) x[r * dim + i] - sum, 2) / dim;
      for (guint i = 0; i < dim; i++)
        expected[r * dim + i] =
            (real) (((double) x[r * dim + i] - sum) / sqrt (squares + 1e-6) * (double) gamma[i] +
                    (double) beta[i]);
    }
    kernels->norm_forward (x, ROWS, dim, gamma, beta, 1e-6, y, mean, rstd);
    if (dim > 2) /* of fewer the variance is too small a difference to compare in float */
      assert_close (y, expected, ROWS * dim, 4 * VALUE_LIMIT);
    kernels->norm_apply (x, ROWS, dim, gamma, beta, mean, rstd, again);
    g_assert_cmpmem (again, ROWS * dim * sizeof *y, y, ROWS * dim * sizeof *y);
  }
}

static void
check_softmax_values (const SeedKernels *kernels, SeedRng *rng)
{
  enum { ROWS = 3, COLS = 197 };
  real x[ROWS * COLS], expected[ROWS * COLS];

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
    guint cols = sizes[s];

    fill_normal (x, ROWS * cols, 100, 10, rng);
    for (guint r = 0; r < ROWS; r++) {
      double sum = 0;

      for (guint i = 0; i < cols; i++)
        sum += exp (0.25 * ((double) x[r * cols + i] - (double) x[r * cols]));
      for (guint i = 0; i < cols; i++)
        expected[r * cols + i] =
            (real) (exp (0.25 * ((double) x[r * cols + i] - (double) x[r * cols])) / sum);
    }
    kernels->softmax (x, ROWS, cols, (real) 0.25);
    assert_close (x, expected, ROWS * cols, VALUE_LIMIT);
  }

  fill_normal (x, 21, 0, 1, rng);
  x[3] = (real) -1e30; /* masked */
  kernels->softmax (x, 1, 21, 1);
  g_assert_cmpfloat ((double) x[3], <, 1e-30);
  x[20] = NAN;
  kernels->softmax (x, 1, 21, 1);
  g_assert_true (isnan (x[0]));
}

static void
check_words (const SeedKernels *kernels, SeedRng *rng)
{
  enum { WORDS = 4, CHANNEL = 9 };
  const float scale[3] = { 0.5f, 2, 3 }, shift[3] = { -1, 0, 7 };
  guint8 words[WORDS * 3 * CHANNEL];
  real y[WORDS * 3 * CHANNEL];

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    words[i] = (guint8) (seed_rng_next (rng) & 0xff);
  words[0] = 255;
  words[1] = 0;
  kernels->words (words, WORDS, CHANNEL, scale, shift, y);
  for (guint i = 0; i < G_N_ELEMENTS (words); i++) {
    guint c = i / CHANNEL % 3;
    g_assert_cmpfloat (y[i], ==, (real) words[i] * (real) scale[c] + (real) shift[c]);
  }
}

static void
check_sums (const SeedKernels *kernels, SeedRng *rng)
{
  enum { ROWS = 5, COLS = 67, STRIDE = 70 };
  real x[ROWS * STRIDE], sum[COLS], y[COLS];

  for (guint i = 0; i < ROWS * STRIDE; i++)
    x[i] = (real) (i % 11);
  for (guint i = 0; i < COLS; i++)
    sum[i] = y[i] = 1;
  kernels->column_sum (x, STRIDE, ROWS, COLS, sum);
  kernels->add (x, COLS, y);
  for (guint i = 0; i < COLS; i++) {
    real expected = 1;

    for (guint r = 0; r < ROWS; r++)
      expected += x[r * STRIDE + i];
    g_assert_cmpfloat (sum[i], ==, expected);
    g_assert_cmpfloat (y[i], ==, 1 + x[i]);
  }
}

#ifdef SEED_REAL_DOUBLE

typedef struct {
  const SeedKernels *kernels;
  guint rows, dim;
  real *x, *gamma, *beta, *weight;
} Problem;

/* a loss that weighs every output apart */
static double
norm_loss (const Problem *p)
{
  g_autofree real *y = new_reals (p->rows * p->dim);
  real mean[8], rstd[8];
  double loss = 0;

  p->kernels->norm_forward (p->x, p->rows, p->dim, p->gamma, p->beta, 1e-5, y, mean, rstd);
  for (guint i = 0; i < p->rows * p->dim; i++)
    loss += y[i] * p->weight[i];
  return loss;
}

static double
softmax_loss (const Problem *p)
{
  g_autofree real *y = g_memdup2 (p->x, p->rows * p->dim * sizeof *y);
  double loss = 0;

  p->kernels->softmax (y, p->rows, p->dim, 0.7);
  for (guint i = 0; i < p->rows * p->dim; i++)
    loss += y[i] * p->weight[i];
  return loss;
}

static void
assert_slopes (
    const Problem *p, double (*loss) (const Problem *), real *x, gsize n, const real *slope)
{
  g_autofree real *expected = new_reals (n);

  for (gsize i = 0; i < n; i++) {
    real keep = x[i];
    double plus, minus;

    x[i] = keep + STEP;
    plus = loss (p);
    x[i] = keep - STEP;
    minus = loss (p);
    x[i] = keep;
    expected[i] = (plus - minus) / (2 * STEP);
  }
  assert_close (slope, expected, n, SLOPE_LIMIT);
}

static void
check_row_slopes (const SeedKernels *kernels, SeedRng *rng)
{
  enum { ROWS = 3, DIM = 197 };
  real x[ROWS * DIM], gamma[DIM], beta[DIM], weight[ROWS * DIM], y[ROWS * DIM];
  real mean[ROWS], rstd[ROWS], dx[ROWS * DIM], dgamma[DIM], dbeta[DIM];
  Problem p = { kernels, ROWS, 0, x, gamma, beta, weight };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++) {
    p.dim = sizes[s];
    fill_normal (x, ROWS * p.dim, 1, 2, rng);
    fill_normal (gamma, p.dim, 1, 0.3, rng);
    fill_normal (beta, p.dim, 0, 1, rng);
    fill_normal (weight, ROWS * p.dim, 0, 1, rng);

    memset (dx, 0, sizeof dx);
    memset (dgamma, 0, sizeof dgamma);
    memset (dbeta, 0, sizeof dbeta);
    kernels->norm_forward (x, ROWS, p.dim, gamma, beta, 1e-5, y, mean, rstd);
    kernels->norm_backward (x, ROWS, p.dim, gamma, mean, rstd, weight, dx, dgamma, dbeta);
    if (p.dim > 2) /* of one value the norm is constant, of two nearly */
      assert_slopes (&p, norm_loss, x, ROWS * p.dim, dx);
    assert_slopes (&p, norm_loss, gamma, p.dim, dgamma);
    assert_slopes (&p, norm_loss, beta, p.dim, dbeta);

    memcpy (y, x, ROWS * p.dim * sizeof *y);
    kernels->softmax (y, ROWS, p.dim, 0.7);
    memcpy (dx, weight, ROWS * p.dim * sizeof *dx);
    kernels->softmax_backward (y, ROWS, p.dim, 0.7, dx);
    assert_slopes (&p, softmax_loss, x, ROWS * p.dim, dx);
  }
}

#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func (
      "/nn/kernels/activation-values", (gconstpointer) check_activation_values, each_table);
  g_test_add_data_func (
      "/nn/kernels/activation-extremes", (gconstpointer) check_activation_extremes, each_table);
  g_test_add_data_func (
      "/nn/kernels/activation-slopes", (gconstpointer) check_activation_slopes, each_table);
  g_test_add_data_func ("/nn/kernels/norm-values", (gconstpointer) check_norm_values, each_table);
  g_test_add_data_func (
      "/nn/kernels/softmax-values", (gconstpointer) check_softmax_values, each_table);
  g_test_add_data_func ("/nn/kernels/words", (gconstpointer) check_words, each_table);
  g_test_add_data_func ("/nn/kernels/sums", (gconstpointer) check_sums, each_table);
#ifdef SEED_REAL_DOUBLE
  g_test_add_data_func ("/nn/kernels/row-slopes", (gconstpointer) check_row_slopes, each_table);
#endif
  return g_test_run ();
}
