/* SPDX-License-Identifier: MIT */
/*
 * Every kernel of every table this CPU can run beside the scalar one: all lengths around a
 * register's, any alignment, nothing written beyond the end; what is not a number stays visible;
 * and a table gives the same bits however its work is cut.
 */
#include "nn-util.h"
#include "nn/kernels.h"

#define MAX_N 300
#define LIMIT 2e-6
#define ROWS 3u

/* Inputs and outputs of a call, unaligned, with room to see what is written beyond. */
typedef struct {
  guint n; /* of a row, or of all */
  real x[ROWS * MAX_N + 1], y[ROWS * MAX_N + 1], z[ROWS * MAX_N + 1], v[ROWS * MAX_N + 1];
  real mean[ROWS + 1], rstd[ROWS + 1];
  guint16 half[ROWS * MAX_N + 1];
  guint8 bytes[ROWS * MAX_N + 1];
  double sum;
} Data;

typedef struct {
  const char *name;
  gboolean rows;  /* works on ROWS rows of n, not on n elements */
  guint smallest; /* n */
  void (*call) (const SeedKernels *k, Data *d);
} Kernel;

static const SeedAdamWStep adamw_step = { .beta1 = 0.9f,
  .beta2 = 0.95f,
  .rest1 = 0.1f,
  .rest2 = 0.05f,
  .eps = 1e-3f,
  .rate = 0.01f,
  .v_scale = 1.1f };
static const float word_scale[3] = { 0.5f, 2, 3 }, word_shift[3] = { -1, 0, 7 };

#define CALL(name, expression)                                                                     \
  static void call_##name (const SeedKernels *k, Data *d)                                          \
  {                                                                                                \
    expression;                                                                                    \
  }

CALL (norm_forward, k->norm_forward (d->x + 1, ROWS, d->n, d->z, d->z + MAX_N, 1e-3, d->y + 1,
                        d->mean + 1, d->rstd + 1))
CALL (norm_apply,
    k->norm_apply (d->x + 1, ROWS, d->n, d->z, d->z + MAX_N, d->mean + 1, d->rstd + 1, d->y + 1))
CALL (norm_forward_bf16, k->norm_forward_bf16 (d->x + 1, ROWS, d->n, d->z, d->z + MAX_N, 1e-3,
                             d->half + 1, d->mean + 1, d->rstd + 1))
CALL (norm_apply_bf16, k->norm_apply_bf16 (d->x + 1, ROWS, d->n, d->z, d->z + MAX_N, d->mean + 1,
                           d->rstd + 1, d->half + 1))
CALL (norm_backward, k->norm_backward (d->x + 1, ROWS, d->n, d->z, d->mean + 1, d->rstd + 1,
                         d->y + 1, d->v + 1, d->z + MAX_N, d->z + 2 * MAX_N))
CALL (softmax, k->softmax (d->x + 1, ROWS, d->n, 0.7f))
CALL (softmax_backward, k->softmax_backward (d->x + 1, ROWS, d->n, 0.7f, d->y + 1))
CALL (gelu, k->activation[SEED_ACTIVATION_GELU](d->x + 1, d->n, d->y + 1))
CALL (gelu_tanh, k->activation[SEED_ACTIVATION_GELU_TANH](d->x + 1, d->n, d->y + 1))
CALL (quick_gelu, k->activation[SEED_ACTIVATION_QUICK_GELU](d->x + 1, d->n, d->y + 1))
CALL (silu, k->activation[SEED_ACTIVATION_SILU](d->x + 1, d->n, d->y + 1))
CALL (relu, k->activation[SEED_ACTIVATION_RELU](d->x + 1, d->n, d->y + 1))

#define SLOPE(kind) k->activation_backward[kind](d->x + 1, d->y + 1, d->n, d->z + 1, d->v + 1)
CALL (gelu_backward, SLOPE (SEED_ACTIVATION_GELU))
CALL (gelu_tanh_backward, SLOPE (SEED_ACTIVATION_GELU_TANH))
CALL (quick_gelu_backward, SLOPE (SEED_ACTIVATION_QUICK_GELU))
CALL (silu_backward, SLOPE (SEED_ACTIVATION_SILU))
CALL (relu_backward, SLOPE (SEED_ACTIVATION_RELU))
CALL (add, k->add (d->x + 1, d->n, d->y + 1))
CALL (add_scaled, k->add_scaled (d->x + 1, d->n, 0.3f, d->y + 1))
CALL (scale, k->scale (d->y + 1, d->n, 0.3f))
CALL (column_sum, k->column_sum (d->x + 1, d->n, ROWS, d->n, d->y + 1))
CALL (words, k->words (d->bytes + 1, 1, d->n, word_scale, word_shift, d->y + 1))
CALL (words_bf16, k->words_bf16 (d->bytes + 1, 1, d->n, word_scale, word_shift, d->half + 1))
CALL (to_bf16, k->to_bf16 (d->x + 1, d->n, d->half + 1))
CALL (from_bf16, k->from_bf16 (d->half + 1, d->n, d->y + 1))
CALL (row_norms, k->row_norms (d->x + 1, d->n, ROWS, d->n, d->mean + 1))
CALL (squares, d->sum = k->squares (d->x + 1, d->n))
CALL (average, k->average (d->x + 1, d->n, 0.1f, d->y + 1))
CALL (adamw, k->adamw (&adamw_step, d->x + 1, d->n, 0.01f, d->y + 1, d->v + 1, d->z + 1))
CALL (sinkhorn, k->sinkhorn (d->x + 1, ROWS, d->n, 0.5f, 3, d->z + 1))

static const Kernel kernels[] = {
  { "norm_forward", TRUE, 1, call_norm_forward },
  { "norm_apply", TRUE, 1, call_norm_apply },
  { "norm_forward_bf16", TRUE, 1, call_norm_forward_bf16 },
  { "norm_apply_bf16", TRUE, 1, call_norm_apply_bf16 },
  { "norm_backward", TRUE, 1, call_norm_backward },
  { "softmax", TRUE, 1, call_softmax },
  { "softmax_backward", TRUE, 1, call_softmax_backward },
  { "gelu", FALSE, 0, call_gelu },
  { "gelu_tanh", FALSE, 0, call_gelu_tanh },
  { "quick_gelu", FALSE, 0, call_quick_gelu },
  { "silu", FALSE, 0, call_silu },
  { "relu", FALSE, 0, call_relu },
  { "gelu_backward", FALSE, 0, call_gelu_backward },
  { "gelu_tanh_backward", FALSE, 0, call_gelu_tanh_backward },
  { "quick_gelu_backward", FALSE, 0, call_quick_gelu_backward },
  { "silu_backward", FALSE, 0, call_silu_backward },
  { "relu_backward", FALSE, 0, call_relu_backward },
  { "add", FALSE, 0, call_add },
  { "add_scaled", FALSE, 0, call_add_scaled },
  { "scale", FALSE, 0, call_scale },
  { "column_sum", TRUE, 0, call_column_sum },
  { "words", TRUE, 0, call_words },
  { "words_bf16", TRUE, 0, call_words_bf16 },
  { "to_bf16", FALSE, 0, call_to_bf16 },
  { "from_bf16", FALSE, 0, call_from_bf16 },
  { "row_norms", TRUE, 0, call_row_norms },
  { "squares", FALSE, 0, call_squares },
  { "average", FALSE, 0, call_average },
  { "adamw", FALSE, 0, call_adamw },
  { "sinkhorn", TRUE, 1, call_sinkhorn },
};

static void
draw (Data *d, guint n, guint64 seed)
{
  SeedRng rng;

  seed_rng_init (&rng, seed);
  d->n = n;
  d->sum = 0;
  fill_normal (d->x, G_N_ELEMENTS (d->x), 0, 2, &rng);
  fill_normal (d->y, G_N_ELEMENTS (d->y), 0, 1, &rng);
  fill_normal (d->z, G_N_ELEMENTS (d->z), 0, 1, &rng);
  fill_normal (d->v, G_N_ELEMENTS (d->v), 0, 1, &rng);
  for (guint i = 0; i < G_N_ELEMENTS (d->v); i++)
    d->v[i] = real_abs (d->v[i]); /* a second moment */
  fill_normal (d->mean, G_N_ELEMENTS (d->mean), 0, 0.1, &rng);
  fill_normal (d->rstd, G_N_ELEMENTS (d->rstd), 1, 0.1, &rng);
  for (guint i = 0; i < G_N_ELEMENTS (d->bytes); i++) {
    d->bytes[i] = (guint8) seed_rng_next (&rng);
    d->half[i] = (guint16) (0x3f00 + seed_rng_below (&rng, 0x200));
  }
}

/* What is rounded after a fused product may fall on the other side. */
static void
assert_halves (const Kernel *kernel, SeedBf16 got, SeedBf16 expected)
{
  float y = seed_bf16_to_float (expected);

  if (kernel->call == call_norm_forward_bf16 || kernel->call == call_norm_apply_bf16)
    g_assert_cmpfloat (fabsf (seed_bf16_to_float (got) - y), <=, fabsf (y) / 128 + 1e-5f);
  else
    g_assert_cmpint (abs ((int) got - (int) expected), <=, kernel->call == call_words_bf16 ? 1 : 0);
}

/* Pointwise, relative for large values, absolute for small; where there are sums in a row, relative
 * to the largest value. */
static void
assert_near (const Kernel *kernel, const SeedKernels *table, guint n, const real *got,
    const real *expected, gsize count)
{
  double largest = 1;

  for (gsize i = 0; i < count && kernel->rows; i++)
    largest = MAX (largest, fabs ((double) expected[i]));
  for (gsize i = 0; i < count; i++) {
    double e = (double) expected[i], off = fabs ((double) got[i] - e);

    if (!(off <= LIMIT * MAX (fabs (e), largest)))
      g_error ("%s of %s, n %u: value %" G_GSIZE_FORMAT " is %.9g, the scalar one %.9g",
          kernel->name, table->name, n, i, (double) got[i], e);
  }
}

static void
compare (const Kernel *kernel, const SeedKernels *table, guint n)
{
  g_autofree Data *before = g_new (Data, 1), *expected = g_new (Data, 1), *got = g_new (Data, 1);
  gsize used = 1 + (gsize) n * (kernel->rows ? ROWS : 1), beyond = 1 + ROWS * MAX_N - used;

  draw (before, n, 1 + n);
  *expected = *got = *before;
  kernel->call (seed_kernels_reference (), expected);
  kernel->call (table, got);
#define NEAR(field)                                                                                \
  assert_near (kernel, table, n, got->field, expected->field, G_N_ELEMENTS (got->field))
  NEAR (x);
  NEAR (y);
  NEAR (z);
  NEAR (v);
  NEAR (mean);
  NEAR (rstd);
#undef NEAR
#define UNTOUCHED(field)                                                                           \
  g_assert_cmpmem (got->field + used, beyond * sizeof *got->field, before->field + used,           \
      beyond * sizeof *got->field)
  UNTOUCHED (x);
  UNTOUCHED (y);
  UNTOUCHED (v);
  UNTOUCHED (half);
#undef UNTOUCHED
  g_assert_cmpfloat (fabs (got->sum - expected->sum), <=, 1e-12 * expected->sum);
  for (guint i = 0; i < G_N_ELEMENTS (got->half); i++)
    assert_halves (kernel, got->half[i], expected->half[i]);
}

static void
test_lengths (gconstpointer data)
{
  const Kernel *kernel = data;

  for (guint level = 0; level <= seed_cpu_best_level (); level++) {
    const SeedKernels *table = seed_kernels_for ((SeedCpuLevel) level);

    for (guint n = kernel->smallest; n < 140; n++)
      compare (kernel, table, n);
    compare (kernel, table, 197);
    compare (kernel, table, MAX_N - 1);
  }
}

/* Elements: first @cut of them, then the others. Only kernels of x, y, z, v that are not sums. */
static void
test_cut_elements (gconstpointer data)
{
  const Kernel *kernel = data;

  for (guint level = 0; level <= seed_cpu_best_level (); level++) {
    const SeedKernels *table = seed_kernels_for ((SeedCpuLevel) level);

    for (guint cut = 0; cut <= 70; cut++) {
      g_autofree Data *whole = g_new (Data, 1), *parts = g_new (Data, 1), *rest = g_new (Data, 1);
      const gsize left = 133 - cut;

      draw (whole, 133, 5);
      *parts = *rest = *whole;
      kernel->call (table, whole);
      parts->n = cut;
      kernel->call (table, parts);
#define SHIFT(field) memmove (rest->field + 1, rest->field + 1 + cut, left * sizeof *rest->field)
      SHIFT (x);
      SHIFT (y);
      SHIFT (z);
      SHIFT (v);
      SHIFT (half);
#undef SHIFT
      rest->n = (guint) left;
      kernel->call (table, rest);
#define SAME(field)                                                                                \
  g_assert_cmpmem (                                                                                \
      parts->field + 1, cut * sizeof *whole->field, whole->field + 1, cut * sizeof *whole->field); \
  g_assert_cmpmem (rest->field + 1, left * sizeof *whole->field, whole->field + 1 + cut,           \
      left * sizeof *whole->field)
      SAME (y);
      SAME (z);
      SAME (v);
      SAME (half);
#undef SAME
    }
  }
}

/* Rows: each by itself, wherever it lies. */
static void
test_cut_rows (void)
{
  enum { N = 197 };

  for (guint level = 0; level <= seed_cpu_best_level (); level++) {
    const SeedKernels *k = seed_kernels_for ((SeedCpuLevel) level);
    g_autofree Data *whole = g_new (Data, 1), *parts = g_new (Data, 1);

    draw (whole, N, 6);
    *parts = *whole;
    call_norm_forward (k, whole);
    call_norm_backward (k, whole);
    call_row_norms (k, whole);
    call_column_sum (k, whole);
    call_softmax (k, whole);
    call_softmax_backward (k, whole);
    for (guint r = 0; r < ROWS; r++)
      k->norm_forward (parts->x + 1 + r * N, 1, N, parts->z, parts->z + MAX_N, 1e-3,
          parts->y + 1 + r * N, parts->mean + 1 + r, parts->rstd + 1 + r);
    for (guint r = 0; r < ROWS; r++)
      k->norm_backward (parts->x + 1 + r * N, 1, N, parts->z, parts->mean + 1 + r,
          parts->rstd + 1 + r, parts->y + 1 + r * N, parts->v + 1 + r * N, parts->z + MAX_N,
          parts->z + 2 * MAX_N);
    for (guint r = 0; r < ROWS; r++)
      k->row_norms (parts->x + 1 + r * N, N, 1, N, parts->mean + 1 + r);
    for (guint r = 0; r < ROWS; r++)
      k->column_sum (parts->x + 1 + r * N, N, 1, N, parts->y + 1);
    for (guint r = 0; r < ROWS; r++) {
      k->softmax (parts->x + 1 + r * N, 1, N, 0.7f);
      k->softmax_backward (parts->x + 1 + r * N, 1, N, 0.7f, parts->y + 1 + r * N);
    }
    g_assert_cmpmem (whole, sizeof *whole, parts, sizeof *parts);
  }
}

static void
test_bf16 (void)
{
  /* value, its bfloat16: exact, ties to even both ways, up, past the largest, denormal */
  static const guint32 cases[][2] = { { 0x3f800000, 0x3f80 }, { 0x3f808000, 0x3f80 },
    { 0x3f818000, 0x3f82 }, { 0x3f808001, 0x3f81 }, { 0xbf807fff, 0xbf80 }, { 0x7f7fffff, 0x7f80 },
    { 0x7f800000, 0x7f80 }, { 0xff800000, 0xff80 }, { 0x80000000, 0x8000 }, { 0x00000001, 0 },
    { 0x00018000, 2 } };
  static const guint32 nans[] = { 0x7fc00000, 0x7f800001, 0xff80ffff, 0xffffffff };
  float x[41], back[41];
  guint16 y[41];

  for (guint level = 0; level <= seed_cpu_best_level (); level++) {
    const SeedKernels *k = seed_kernels_for ((SeedCpuLevel) level);

    for (guint c = 0; c < G_N_ELEMENTS (cases); c++) {
      for (guint i = 0; i < 41; i++)
        memcpy (&x[i], &cases[c][0], sizeof *x);
      k->to_bf16 (x, 41, y);
      k->from_bf16 (y, 41, back);
      for (guint i = 0; i < 41; i++) {
        guint32 bits;

        g_assert_cmphex (y[i], ==, cases[c][1]);
        memcpy (&bits, &back[i], sizeof bits);
        g_assert_cmphex (bits, ==, cases[c][1] << 16);
      }
    }
    for (guint c = 0; c < G_N_ELEMENTS (nans); c++) {
      for (guint i = 0; i < 41; i++)
        memcpy (&x[i], &nans[c], sizeof *x);
      k->to_bf16 (x, 41, y);
      k->from_bf16 (y, 41, back);
      for (guint i = 0; i < 41; i++)
        g_assert_true (isnan (back[i]));
    }
  }
}

/* One bad value is seen in every result that it is part of, wherever it stands. */
static void
test_not_finite (void)
{
  static const float bad[] = { NAN, INFINITY, -INFINITY };
  real x[41], y[41], norm, mean, rstd, gamma[41], beta[41];

  for (guint i = 0; i < 41; i++)
    gamma[i] = beta[i] = 1;
  for (guint level = 0; level <= seed_cpu_best_level (); level++) {
    const SeedKernels *k = seed_kernels_for ((SeedCpuLevel) level);

    for (guint at = 0; at < 41; at++) {
      for (guint b = 0; b < G_N_ELEMENTS (bad); b++) {
        for (guint i = 0; i < 41; i++)
          x[i] = (real) i;
        x[at] = bad[b];
        g_assert_false (isfinite (k->squares (x, 41)));
        k->row_norms (x, 41, 1, 41, &norm);
        g_assert_false (isfinite (norm));
        k->norm_forward (x, 1, 41, gamma, beta, 1e-6, y, &mean, &rstd);
        g_assert_false (isfinite (y[0]));
        k->softmax (x, 1, 41, 1);
        g_assert_true (b == 2 ? x[at] < 1e-30f : isnan (x[(at + 1) % 41]));
      }
    }
  }
}

/* The definition, in double. */
static void
naive_sinkhorn (double *q, guint rows, guint cols, double eps, guint iterations)
{
  double max = q[0];

  for (guint i = 0; i < rows * cols; i++)
    max = MAX (max, q[i]);
  for (guint i = 0; i < rows * cols; i++)
    q[i] = exp ((q[i] - max) / eps);
  for (guint t = 0; t < iterations; t++) {
    for (guint c = 0; c < cols; c++) {
      double sum = 0;

      for (guint r = 0; r < rows; r++)
        sum += q[r * cols + c];
      for (guint r = 0; r < rows; r++)
        q[r * cols + c] *= (double) rows / cols / sum;
    }
    for (guint r = 0; r < rows; r++) {
      double sum = 0;

      for (guint c = 0; c < cols; c++)
        sum += q[r * cols + c];
      for (guint c = 0; c < cols; c++)
        q[r * cols + c] /= sum;
    }
  }
}

static void
test_sinkhorn (void)
{
  enum { MOST_ROWS = 64, MOST_COLS = 67 };
  static const guint shapes[][2] = { { 1, 1 }, { 1, 9 }, { 9, 1 }, { 64, 16 }, { 13, 67 } };
  real x[MOST_ROWS * MOST_COLS], expected[MOST_ROWS * MOST_COLS], columns[MOST_COLS];
  double exact[MOST_ROWS * MOST_COLS];
  SeedRng rng;

  for (guint level = 0; level <= seed_cpu_best_level (); level++) {
    const SeedKernels *k = seed_kernels_for ((SeedCpuLevel) level);

    seed_rng_init (&rng, 9);
    for (guint s = 0; s < G_N_ELEMENTS (shapes); s++) {
      guint rows = shapes[s][0], cols = shapes[s][1], n = rows * cols;

      fill_normal (x, n, 0, 0.2, &rng); /* cosines */
      for (guint i = 0; i < n; i++)
        exact[i] = (double) x[i];
      naive_sinkhorn (exact, rows, cols, 0.05, 3);
      for (guint i = 0; i < n; i++)
        expected[i] = (real) exact[i];
      k->sinkhorn (x, rows, cols, (real) 0.05, 3, columns);
      assert_close (x, expected, n, 1e-5);
    }
  }
}

/* Far below the largest nothing vanishes altogether, and many steps balance both sides. */
static void
test_sinkhorn_balance (void)
{
  enum { ROWS_ = 24, COLS = 8 };
  real x[ROWS_ * COLS], columns[COLS];

  for (guint level = 0; level <= seed_cpu_best_level (); level++) {
    const SeedKernels *k = seed_kernels_for ((SeedCpuLevel) level);

    for (guint i = 0; i < ROWS_ * COLS; i++)
      x[i] = (real) (i * 37 % 101) / 101;
    k->sinkhorn (x, ROWS_, COLS, (real) 0.2, 100, columns);
    for (guint c = 0; c < COLS; c++) {
      double sum = 0;

      for (guint r = 0; r < ROWS_; r++)
        sum += (double) x[r * COLS + c];
      g_assert_cmpfloat_with_epsilon (sum, (double) ROWS_ / COLS, 1e-4);
    }
    for (guint i = 0; i < ROWS_ * COLS; i++)
      x[i] = i / COLS == 3 ? (real) -1e6 : (real) (i % 5);
    k->sinkhorn (x, ROWS_, COLS, (real) 0.05, 3, columns);
    for (guint i = 0; i < ROWS_ * COLS; i++)
      g_assert_true (isfinite (x[i]) && x[i] >= 0);
  }
}

static void
add_kernel_tests (void)
{
  static const char *const sums[] = { "squares", "words", "scale" };

  for (guint i = 0; i < G_N_ELEMENTS (kernels); i++) {
    g_autofree char *lengths = g_strdup_printf ("/nn/kernels-tables/lengths/%s", kernels[i].name);
    g_autofree char *cut = g_strdup_printf ("/nn/kernels-tables/cut/%s", kernels[i].name);
    gboolean cuttable = !kernels[i].rows;

    g_test_add_data_func (lengths, &kernels[i], test_lengths);
    for (guint s = 0; s < G_N_ELEMENTS (sums); s++)
      cuttable = cuttable && !g_str_equal (kernels[i].name, sums[s]);
    if (cuttable)
      g_test_add_data_func (cut, &kernels[i], test_cut_elements);
  }
}

/* Every bfloat16 there is, through an activation and its slope, beside float32 from the reference.
 */
static void
check_activation_bf16 (const SeedKernels *k, guint kind)
{
  enum { ALL = 65536 };
  g_autofree SeedBf16 *x = g_new (SeedBf16, ALL), *y = g_new (SeedBf16, ALL + 1);
  g_autofree SeedBf16 *again = g_new (SeedBf16, ALL), *slope = g_new (SeedBf16, ALL);

  for (guint i = 0; i < ALL; i++) {
    x[i] = (SeedBf16) i;
    slope[i] = seed_bf16_from_float (0.5f);
  }
  y[ALL] = 0x5a5a;
  k->activation_bf16[kind](x, ALL, y);
  k->activation_backward_bf16[kind](x, ALL, slope, again);
  g_assert_cmpuint (y[ALL], ==, 0x5a5a);
  for (guint i = 0; i < ALL; i++) {
    real z = seed_bf16_to_float (x[i]), half = 0.5f, expected, d;

    if (isnan (z)) {
      g_assert_true (isnan (seed_bf16_to_float (y[i])));
      g_assert_true (isnan (seed_bf16_to_float (again[i])));
      g_assert_true (isnan (seed_bf16_to_float (slope[i])));
    } else if (fabsf (z) < 1e18f) { /* whose square is a number */
      seed_kernels_reference ()->activation_backward[kind](&z, &half, 1, &d, &expected);
      g_assert_cmpfloat (
          fabsf (seed_bf16_to_float (y[i]) - expected), <=, 4e-3f * fabsf (expected) + 1e-4f);
      g_assert_cmpfloat (
          fabsf (seed_bf16_to_float (again[i]) - expected), <=, 4e-3f * fabsf (expected) + 1e-4f);
      g_assert_cmpfloat (fabsf (seed_bf16_to_float (slope[i]) - d), <=, 4e-3f * fabsf (d) + 1e-4f);
    }
  }
}

static void
test_activations_bf16 (void)
{
  for (guint level = 0; level <= seed_cpu_best_level (); level++)
    for (guint kind = 0; kind < SEED_N_ACTIVATIONS; kind++)
      check_activation_bf16 (seed_kernels_for ((SeedCpuLevel) level), kind);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_kernel_tests ();
  g_test_add_func ("/nn/kernels-tables/cut-rows", test_cut_rows);
  g_test_add_func ("/nn/kernels-tables/bf16", test_bf16);
  g_test_add_func ("/nn/kernels-tables/activations-bf16", test_activations_bf16);
  g_test_add_func ("/nn/kernels-tables/not-finite", test_not_finite);
  g_test_add_func ("/nn/kernels-tables/sinkhorn", test_sinkhorn);
  g_test_add_func ("/nn/kernels-tables/sinkhorn-balance", test_sinkhorn_balance);
  return g_test_run ();
}
