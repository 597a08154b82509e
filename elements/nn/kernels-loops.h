/* SPDX-License-Identifier: MIT */
/*
 * The loops of a kernel table. Included once by a file for each instruction set that they are
 * compiled for, which defines
 *   KERNELS_NAME     name of the table, a string
 *   KERNELS_TABLE    name of the function that returns it
 *   VECTOR_SIZE      bytes of a register
 * and may define
 *   SOFTMAX          a softmax of its own
 *   NORM_FORWARD, NORM_FORWARD_BF16, NORM_APPLY_BF16   layer norms of its own
 *   GELU_BF16, GELU_BACKWARD_BF16    the exact GELU of bfloat16
 * No loop names an instruction: they are written so that the compiler finds them.
 */
#include <string.h>

#include "nn/kernels-math.h"
#include "nn/kernels.h"

/* The iterations of the loop that follows are independent even when its arrays are the same one. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed" /* fine without optimisation, and for libm's erf  \
                                                  */
#define INDEPENDENT _Pragma ("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma ("GCC ivdep")
#endif

/*
 * Sums run in four registers of partial sums, spelled out because no compiler may reorder a
 * floating-point sum by itself.
 */
#define WIDTH (VECTOR_SIZE / sizeof (real))

typedef real Vector __attribute__ ((vector_size (VECTOR_SIZE)));

static inline Vector
load (const real *x)
{
  Vector v;

  memcpy (&v, x, sizeof v);
  return v;
}

/* By halves: as many steps as a chain of additions has for the whole register. */
static inline real
horizontal_sum (Vector v)
{
  real lane[WIDTH];

  memcpy (lane, &v, sizeof lane);
  for (guint width = WIDTH / 2; width > 0; width /= 2)
    for (guint j = 0; j < width; j++)
      lane[j] += lane[j + width];
  return lane[0];
}

/* Sum over i of TERM, which is written once for vectors; TAIL is the same for one element i. */
#define DEFINE_ROW_SUM(name, parameters, TERM, TAIL)                                               \
  static G_GNUC_UNUSED real name parameters                                                        \
  {                                                                                                \
    Vector a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };                                             \
    real sum;                                                                                      \
    guint i = 0;                                                                                   \
                                                                                                   \
    for (; i + 4 * WIDTH <= n; i += 4 * WIDTH) {                                                   \
      a += TERM (i);                                                                               \
      b += TERM (i + WIDTH);                                                                       \
      c += TERM (i + 2 * WIDTH);                                                                   \
      d += TERM (i + 3 * WIDTH);                                                                   \
    }                                                                                              \
    for (; i + WIDTH <= n; i += WIDTH)                                                             \
      a += TERM (i);                                                                               \
    sum = horizontal_sum ((a + b) + (c + d));                                                      \
    for (; i < n; i++)                                                                             \
      sum += TAIL;                                                                                 \
    return sum;                                                                                    \
  }

#define TERM(i) load (x + (i))
DEFINE_ROW_SUM (row_sum, (const real *x, guint n), TERM, x[i])
#undef TERM

#define TERM(i) ((load (x + (i)) - mean) * (load (x + (i)) - mean))
DEFINE_ROW_SUM (
    row_squares, (const real *x, guint n, real mean), TERM, (x[i] - mean) * (x[i] - mean))
#undef TERM

#define TERM(i) (load (x + (i)) * load (y + (i)))
DEFINE_ROW_SUM (row_dot, (const real *x, const real *y, guint n), TERM, x[i] * y[i])
#undef TERM

#define TERM(i) (load (x + (i)) * load (y + (i)) * (load (z + (i)) - mean))
DEFINE_ROW_SUM (row_dot_centred, (const real *x, const real *y, const real *z, guint n, real mean),
    TERM, x[i] * y[i] * (z[i] - mean))
#undef TERM

static real
row_max (const real *x, guint n)
{
  real lane[16], max;
  guint i = 0;

  for (guint j = 0; j < 16; j++)
    lane[j] = x[0];
  for (; i + 16 <= n; i += 16)
    for (guint j = 0; j < 16; j++)
      lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  max = lane[0];
  for (guint j = 1; j < 16; j++)
    max = lane[j] > max ? lane[j] : max;
  for (; i < n; i++)
    max = x[i] > max ? x[i] : max;
  return max;
}

static void
norm_row (
    const real *x, guint dim, const real *gamma, const real *beta, real mean, real rstd, real *y)
{
  INDEPENDENT
  for (guint i = 0; i < dim; i++)
    y[i] = (x[i] - mean) * rstd * gamma[i] + beta[i];
}

#ifndef NORM_FORWARD
#define NORM_FORWARD norm_forward
#define NORM_FORWARD_BF16 norm_forward_bf16

static void
norm_forward (const real *x, guint rows, guint dim, const real *gamma, const real *beta, double eps,
    real *y, real *mean, real *rstd)
{
  for (guint r = 0; r < rows; r++, x += dim, y += dim) {
    mean[r] = row_sum (x, dim) / (real) dim;
    rstd[r] = R (1) / real_sqrt (row_squares (x, dim, mean[r]) / (real) dim + (real) eps);
    norm_row (x, dim, gamma, beta, mean[r], rstd[r], y);
  }
}

static void
norm_forward_bf16 (const real *x, guint rows, guint dim, const real *gamma, const real *beta,
    double eps, SeedBf16 *y, real *mean, real *rstd)
{
  for (guint r = 0; r < rows; r++, x += dim, y += dim) {
    real m = row_sum (x, dim) / (real) dim;
    real s = R (1) / real_sqrt (row_squares (x, dim, m) / (real) dim + (real) eps);

    INDEPENDENT
    for (guint i = 0; i < dim; i++)
      y[i] = seed_bf16_from_float ((float) ((x[i] - m) * s * gamma[i] + beta[i]));
    mean[r] = m;
    rstd[r] = s;
  }
}

#endif

static void
norm_apply (const real *x, guint rows, guint dim, const real *gamma, const real *beta,
    const real *mean, const real *rstd, real *y)
{
  for (guint r = 0; r < rows; r++, x += dim, y += dim)
    norm_row (x, dim, gamma, beta, mean[r], rstd[r], y);
}

#ifndef NORM_APPLY_BF16
#define NORM_APPLY_BF16 norm_apply_bf16

static void
norm_apply_bf16 (const real *x, guint rows, guint dim, const real *gamma, const real *beta,
    const real *mean, const real *rstd, SeedBf16 *y)
{
  for (guint r = 0; r < rows; r++, x += dim, y += dim) {
    real m = mean[r], s = rstd[r];

    INDEPENDENT
    for (guint i = 0; i < dim; i++)
      y[i] = seed_bf16_from_float ((float) ((x[i] - m) * s * gamma[i] + beta[i]));
  }
}

#endif

/*
 * With h = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean (g) - h mean (g h)).
 */
static void
norm_backward_row (const real *restrict x, guint dim, const real *restrict gamma, real mean,
    real rstd, const real *restrict dy, real *restrict dx, real *restrict dgamma,
    real *restrict dbeta)
{
  real mean_g = row_dot (dy, gamma, dim) / (real) dim;
  real mean_gh = row_dot_centred (dy, gamma, x, dim, mean) * rstd / (real) dim;

  for (guint i = 0; i < dim; i++) {
    real h = (x[i] - mean) * rstd;
    dx[i] += rstd * (dy[i] * gamma[i] - mean_g - h * mean_gh);
    dgamma[i] += dy[i] * h;
    dbeta[i] += dy[i];
  }
}

static void
norm_backward (const real *x, guint rows, guint dim, const real *gamma, const real *mean,
    const real *rstd, const real *dy, real *dx, real *dgamma, real *dbeta)
{
  for (guint r = 0; r < rows; r++, x += dim, dy += dim, dx += dim)
    norm_backward_row (x, dim, gamma, mean[r], rstd[r], dy, dx, dgamma, dbeta);
}

#ifndef SOFTMAX
#define SOFTMAX softmax

static void
softmax (real *x, guint rows, guint cols, real scale)
{
  for (guint r = 0; r < rows; r++, x += cols) {
    real max = row_max (x, cols), inverse;

    for (guint i = 0; i < cols; i++)
      x[i] = seed_math_exp ((x[i] - max) * scale);
    inverse = R (1) / row_sum (x, cols);
    for (guint i = 0; i < cols; i++)
      x[i] *= inverse;
  }
}

#endif

static void
softmax_backward (const real *p, guint rows, guint cols, real scale, real *d)
{
  for (guint r = 0; r < rows; r++, p += cols, d += cols) {
    real dot = row_dot (p, d, cols);

    INDEPENDENT
    for (guint i = 0; i < cols; i++)
      d[i] = p[i] * (d[i] - dot) * scale;
  }
}

/*
 * An activation is the pair (f(x), f'(x)): the loop that needs only the first drops the second.
 */
typedef struct {
  real y, slope;
} Activated;

/* x Phi(x) (Hendrycks and Gimpel 2016, arXiv 1606.08415) */
static inline Activated
gelu (real x)
{
  real cdf = R (0.5) + R (0.5) * seed_math_erf (x * R (0.70710678118654752440));
  real pdf = R (0.39894228040143267794) * seed_math_exp (R (-0.5) * x * x);

  return (Activated){ x * cdf, cdf + x * pdf };
}

/* x (1 + tanh z) / 2 = x sigmoid (2 z), z = sqrt (2 / pi) (x + 0.044715 x^3) */
static inline Activated
gelu_tanh (real x)
{
  const real k = R (2 * 0.79788456080286535588);
  real s = seed_math_sigmoid (k * x * (R (1) + R (0.044715) * x * x));

  return (Activated){ x * s, s + x * s * (R (1) - s) * k * (R (1) + R (3 * 0.044715) * x * x) };
}

static inline Activated
quick_gelu (real x)
{
  real s = seed_math_sigmoid (R (1.702) * x);

  return (Activated){ x * s, s + x * s * (R (1) - s) * R (1.702) };
}

static inline Activated
silu (real x)
{
  real s = seed_math_sigmoid (x);

  return (Activated){ x * s, s + x * s * (R (1) - s) };
}

static inline Activated
relu (real x)
{
  return (Activated){ x < 0 ? R (0) : x, x > 0 ? R (1) : x <= 0 ? R (0) : x };
}

#define DEFINE_ACTIVATION(name)                                                                    \
  static void name##_forward (const real *x, gsize n, real *y)                                     \
  {                                                                                                \
    INDEPENDENT                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                  \
      y[i] = name (x[i]).y;                                                                        \
  }                                                                                                \
  static void name##_backward (const real *x, const real *dy, gsize n, real *dx, real *y)          \
  {                                                                                                \
    INDEPENDENT                                                                                    \
    for (gsize i = 0; i < n; i++) {                                                                \
      Activated a = name (x[i]);                                                                   \
      dx[i] = dy[i] * a.slope;                                                                     \
      y[i] = a.y;                                                                                  \
    }                                                                                              \
  }                                                                                                \
  static G_GNUC_UNUSED void name##_bf16 (const SeedBf16 *x, gsize n, SeedBf16 *y)                  \
  {                                                                                                \
    INDEPENDENT                                                                                    \
    for (gsize i = 0; i < n; i++)                                                                  \
      y[i] = seed_bf16_from_float ((float) name ((real) seed_bf16_to_float (x[i])).y);             \
  }                                                                                                \
  static G_GNUC_UNUSED void name##_backward_bf16 (                                                 \
      const SeedBf16 *x, gsize n, SeedBf16 *d, SeedBf16 *y)                                        \
  {                                                                                                \
    INDEPENDENT                                                                                    \
    for (gsize i = 0; i < n; i++) {                                                                \
      Activated a = name ((real) seed_bf16_to_float (x[i]));                                       \
      d[i] = seed_bf16_from_float ((float) ((real) seed_bf16_to_float (d[i]) * a.slope));          \
      y[i] = seed_bf16_from_float ((float) a.y);                                                   \
    }                                                                                              \
  }

#ifndef GELU_BF16
#define GELU_BF16 gelu_bf16
#define GELU_BACKWARD_BF16 gelu_backward_bf16
#endif

DEFINE_ACTIVATION (gelu)
DEFINE_ACTIVATION (gelu_tanh)
DEFINE_ACTIVATION (quick_gelu)
DEFINE_ACTIVATION (silu)
DEFINE_ACTIVATION (relu)

static void
add (const real *x, gsize n, real *y)
{
  INDEPENDENT
  for (gsize i = 0; i < n; i++)
    y[i] += x[i];
}

static void
to_bf16 (const real *restrict x, gsize n, SeedBf16 *restrict y)
{
  for (gsize i = 0; i < n; i++)
    y[i] = seed_bf16_from_float ((float) x[i]);
}

static void
from_bf16 (const SeedBf16 *restrict x, gsize n, real *restrict y)
{
  for (gsize i = 0; i < n; i++)
    y[i] = (real) seed_bf16_to_float (x[i]);
}

static void
rescale (const gint32 *restrict sums, const gint32 *restrict shift, const real *restrict scale,
    real row_scale, gsize n, real *restrict y)
{
  for (gsize i = 0; i < n; i++)
    y[i] = (real) (sums[i] - shift[i]) * scale[i] * row_scale;
}

static void
column_sum (const real *x, gsize stride, guint rows, guint cols, real *sum)
{
  for (guint r = 0; r < rows; r++, x += stride)
    add (x, cols, sum);
}

static void
column_sum_bf16 (const SeedBf16 *x, gsize stride, guint rows, guint cols, real *sum)
{
  for (guint r = 0; r < rows; r++, x += stride) {
    INDEPENDENT
    for (guint i = 0; i < cols; i++)
      sum[i] += (real) seed_bf16_to_float (x[i]);
  }
}

static void
words_channel (const guint8 *restrict words, guint n, real scale, real shift, real *restrict y)
{
  for (guint i = 0; i < n; i++)
    y[i] = (real) words[i] * scale + shift;
}

static void
words (const guint8 *words, gsize n_words, guint channel_size, const float scale[3],
    const float shift[3], real *y)
{
  for (gsize i = 0; i < 3 * n_words; i++, words += channel_size, y += channel_size)
    words_channel (words, channel_size, (real) scale[i % 3], (real) shift[i % 3], y);
}

static void
add_scaled (const real *x, gsize n, real scale, real *y)
{
  INDEPENDENT
  for (gsize i = 0; i < n; i++)
    y[i] += scale * x[i];
}

static void
scale (real *x, gsize n, real scale)
{
  for (gsize i = 0; i < n; i++)
    x[i] *= scale;
}

static void
words_bf16_channel (
    const guint8 *restrict words, guint n, float scale, float shift, SeedBf16 *restrict y)
{
  for (guint i = 0; i < n; i++)
    y[i] = seed_bf16_from_float ((float) words[i] * scale + shift);
}

static void
words_bf16 (const guint8 *words, gsize n_words, guint channel_size, const float scale[3],
    const float shift[3], SeedBf16 *y)
{
  for (gsize i = 0; i < 3 * n_words; i++, words += channel_size, y += channel_size)
    words_bf16_channel (words, channel_size, scale[i % 3], shift[i % 3], y);
}

static void
row_norms (const real *x, gsize stride, guint rows, guint dim, real *norms)
{
  for (guint r = 0; r < rows; r++, x += stride)
    norms[r] = real_sqrt (row_dot (x, x, dim));
}

/* In as many sums as fill a few registers, by position, so that the bits depend on n alone. */
static double
squares (const real *x, gsize n)
{
  double lane[32] = { 0 }, sum = 0;
  gsize i = 0;

  for (; i + 32 <= n; i += 32)
    for (guint j = 0; j < 32; j++)
      lane[j] += (double) x[i + j] * (double) x[i + j];
  for (; i < n; i++)
    sum += (double) x[i] * (double) x[i];
  for (guint j = 0; j < 32; j++)
    sum += lane[j];
  return sum;
}

static void
average (const real *restrict x, gsize n, real rest, real *restrict ema)
{
  for (gsize i = 0; i < n; i++)
    ema[i] += rest * (x[i] - ema[i]);
}

static void
adamw (const SeedAdamWStep *step, const real *restrict g, gsize n, real decay, real *restrict m,
    real *restrict v, real *restrict w)
{
  const real beta1 = step->beta1, beta2 = step->beta2, rest1 = step->rest1, rest2 = step->rest2;
  const real eps = step->eps, rate = step->rate, v_scale = step->v_scale;

  for (gsize i = 0; i < n; i++) {
    m[i] = beta1 * m[i] + rest1 * g[i];
    v[i] = beta2 * v[i] + rest2 * g[i] * g[i];
    w[i] -= decay * w[i] + rate * m[i] / (real_sqrt (v[i] * v_scale) + eps);
  }
}

static void
multiply (const real *restrict x, guint n, real *restrict y)
{
  for (guint i = 0; i < n; i++)
    y[i] *= x[i];
}

static void
sinkhorn_columns (real *x, guint rows, guint cols, real *columns)
{
  memset (columns, 0, cols * sizeof *columns);
  column_sum (x, cols, rows, cols, columns);
  for (guint i = 0; i < cols; i++)
    columns[i] = (real) rows / ((real) cols * columns[i]);
  for (guint r = 0; r < rows; r++)
    multiply (columns, cols, x + (gsize) r * cols);
}

static void
sinkhorn (real *x, guint rows, guint cols, real eps, guint iterations, real *columns)
{
  const gsize n = (gsize) rows * cols;
  real max = row_max (x, cols), inverse = R (1) / eps;

  for (guint r = 1; r < rows; r++) {
    real largest = row_max (x + (gsize) r * cols, cols);
    max = largest > max ? largest : max;
  }
  for (gsize i = 0; i < n; i++)
    x[i] = seed_math_exp ((x[i] - max) * inverse);
  for (guint i = 0; i < iterations; i++) {
    sinkhorn_columns (x, rows, cols, columns);
    for (guint r = 0; r < rows; r++)
      scale (x + (gsize) r * cols, cols, R (1) / row_sum (x + (gsize) r * cols, cols));
  }
}

static const SeedKernels kernels = {
  .name = KERNELS_NAME,
  .norm_forward = NORM_FORWARD,
  .norm_forward_bf16 = NORM_FORWARD_BF16,
  .norm_apply = norm_apply,
  .norm_apply_bf16 = NORM_APPLY_BF16,
  .norm_backward = norm_backward,
  .softmax = SOFTMAX,
  .softmax_backward = softmax_backward,
  .activation = {
    [SEED_ACTIVATION_GELU] = gelu_forward,
    [SEED_ACTIVATION_GELU_TANH] = gelu_tanh_forward,
    [SEED_ACTIVATION_QUICK_GELU] = quick_gelu_forward,
    [SEED_ACTIVATION_SILU] = silu_forward,
    [SEED_ACTIVATION_RELU] = relu_forward,
  },
  .activation_backward = {
    [SEED_ACTIVATION_GELU] = gelu_backward,
    [SEED_ACTIVATION_GELU_TANH] = gelu_tanh_backward,
    [SEED_ACTIVATION_QUICK_GELU] = quick_gelu_backward,
    [SEED_ACTIVATION_SILU] = silu_backward,
    [SEED_ACTIVATION_RELU] = relu_backward,
  },
  .activation_bf16 = {
    [SEED_ACTIVATION_GELU] = GELU_BF16,
    [SEED_ACTIVATION_GELU_TANH] = gelu_tanh_bf16,
    [SEED_ACTIVATION_QUICK_GELU] = quick_gelu_bf16,
    [SEED_ACTIVATION_SILU] = silu_bf16,
    [SEED_ACTIVATION_RELU] = relu_bf16,
  },
  .activation_backward_bf16 = {
    [SEED_ACTIVATION_GELU] = GELU_BACKWARD_BF16,
    [SEED_ACTIVATION_GELU_TANH] = gelu_tanh_backward_bf16,
    [SEED_ACTIVATION_QUICK_GELU] = quick_gelu_backward_bf16,
    [SEED_ACTIVATION_SILU] = silu_backward_bf16,
    [SEED_ACTIVATION_RELU] = relu_backward_bf16,
  },
  .to_bf16 = to_bf16,
  .from_bf16 = from_bf16,
  .rescale = rescale,
  .add = add,
  .add_scaled = add_scaled,
  .scale = scale,
  .column_sum = column_sum,
  .column_sum_bf16 = column_sum_bf16,
  .words = words,
  .words_bf16 = words_bf16,
  .row_norms = row_norms,
  .squares = squares,
  .average = average,
  .adamw = adamw,
  .sinkhorn = sinkhorn,
};

const SeedKernels *
KERNELS_TABLE (void)
{
  return &kernels;
}
