/* SPDX-License-Identifier: MIT */
/*
 * Every operation of every backend in every precision against plain loops: shapes that fit and that
 * do not, all combinations of an epilogue, strides, types of rows.
 */
#include <seed/error.h>
#include <seed/pool.h>

#include "nn-util.h"
#include "nn/backend.h"
#include "nn/kernels.h"
#include "nn/tiles.h"

#define GAP 3

typedef struct {
  guint m, out, in;
} Shape;

static const Shape shapes[] = { { 1, 1, 1 }, { 9, 1, 12 }, { 1, 96, 384 }, { 13, 33, 29 },
  { 24, 32, 64 }, { 50, 70, 95 }, { 150, 64, 30 }, { 200, 37, 19 } };

typedef void (*Each) (const SeedBackend *backend);

static void
for_each_backend (Each each)
{
  static const char *const names[] = { "native", "onednn", "openblas" };
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    for (guint p = 0; p < SEED_N_PRECISIONS; p++) {
      const SeedBackend *backend = seed_backend_find (names[i], p, NULL);

      if (!backend)
        continue;
      g_test_message ("%s %s", names[i], seed_precision_name (p));
      each (backend);
      n++;
    }
  g_assert_cmpuint (n, >=, 1);
}

/* A matrix of one type with its values in float. */
typedef struct {
  SeedRowsType type;
  gsize n;
  float *values;
  SeedBf16 *halves;
} Matrix;

static void
matrix_init (Matrix *x, SeedRowsType type, gsize n, SeedRng *rng)
{
  *x = (Matrix){ type, n, new_reals (n), g_new0 (SeedBf16, n) };
  fill_normal (x->values, n, 0, 1, rng);
  for (gsize i = 0; i < n; i++) {
    x->halves[i] = seed_bf16_from_float (x->values[i]);
    if (type == SEED_ROWS_BF16)
      x->values[i] = seed_bf16_to_float (x->halves[i]);
  }
}

static void
matrix_clear (Matrix *x)
{
  g_free (x->values);
  g_free (x->halves);
}

static void *
matrix_data (const Matrix *x)
{
  return x->type == SEED_ROWS_BF16 ? (void *) x->halves : (void *) x->values;
}

/* What was written, in float. */
static void
matrix_read (Matrix *x)
{
  if (x->type == SEED_ROWS_BF16)
    for (gsize i = 0; i < x->n; i++)
      x->values[i] = seed_bf16_to_float (x->halves[i]);
}

/* What a factor of a product becomes: @n values in the precision, int8 with a scale for them all.
 */
static void
reduce (SeedPrecision precision, const float *x, guint n, double *y)
{
  double max = 0;

  for (guint i = 0; i < n; i++)
    max = MAX (max, fabs ((double) x[i]));
  for (guint i = 0; i < n; i++)
    if (precision == SEED_PRECISION_INT8)
      y[i] = max > 0 ? rint ((double) x[i] * 127 / max) * max / 127 : 0;
    else if (precision == SEED_PRECISION_BFLOAT16)
      y[i] = (double) seed_bf16_to_float (seed_bf16_from_float (x[i]));
    else
      y[i] = (double) x[i];
}

static double
dot (const double *a, const double *b, guint n)
{
  double sum = 0;

  for (guint i = 0; i < n; i++)
    sum += a[i] * b[i];
  return sum;
}

static double
activated (SeedActivation activation, double x)
{
  switch (activation) {
  case SEED_ACTIVATION_GELU:
    return 0.5 * x * (1 + erf (x * G_SQRT2 / 2));
  case SEED_ACTIVATION_GELU_TANH:
    return 0.5 * x * (1 + tanh (sqrt (2 / G_PI) * (x + 0.044715 * x * x * x)));
  case SEED_ACTIVATION_QUICK_GELU:
    return x / (1 + exp (-1.702 * x));
  case SEED_ACTIVATION_SILU:
    return x / (1 + exp (-x));
  case SEED_ACTIVATION_RELU:
    break;
  }
  return MAX (x, 0);
}

static void
naive_linear (const Shape *s, SeedPrecision precision, const float *x, gsize x_stride,
    const float *w, const SeedEpilogue *e, float *y, gsize y_stride)
{
  g_autofree double *weights = g_new (double, (gsize) s->out * s->in);
  g_autofree double *row = g_new (double, s->in);

  for (guint j = 0; j < s->out; j++)
    reduce (precision, w + (gsize) j * s->in, s->in, weights + (gsize) j * s->in);
  for (guint i = 0; i < s->m; i++) {
    reduce (precision, x + i * x_stride, s->in, row);
    for (guint j = 0; j < s->out; j++) {
      double sum = dot (row, weights + (gsize) j * s->in, s->in);

      sum += e->bias ? (double) e->bias[j] : 0;
      if (e->activate)
        sum = activated (e->activation, sum);
      if (e->residual)
        sum += (double) e->residual[i * e->residual_stride + j];
      y[i * y_stride + j] = (float) sum;
    }
  }
}

/* A value on the border between two bytes may fall on either side. */
static double
tolerance (SeedPrecision precision, SeedRowsType y_type)
{
  double limit = precision == SEED_PRECISION_INT8 ? 3e-3 : 1e-5;

  return y_type == SEED_ROWS_BF16 ? limit + 4e-3 : limit;
}

enum {
  BIAS = 1,
  ACTIVATE = 2,
  RESIDUAL = 4,
  IN_PLACE = 8,
  X_BF16 = 16,
  Y_BF16 = 32,
  SERIAL = 64,
  N_MODES = 128,
};

static gboolean
mode_exists (const SeedBackend *backend, guint mode)
{
  gboolean reduced = backend->rows_type == SEED_ROWS_BF16;

  return (reduced || !(mode & (X_BF16 | Y_BF16))) && (backend->linear_rows || !(mode & SERIAL)) &&
         !((mode & RESIDUAL) && (mode & Y_BF16)) && !((mode & IN_PLACE) && !(mode & RESIDUAL)) &&
         !((mode & IN_PLACE) && (mode & ACTIVATE));
}

static void
check_linear (const SeedBackend *backend, const Shape *s, guint mode, SeedRng *rng)
{
  gsize x_stride = s->in + GAP, y_stride = s->out + GAP;
  Matrix x, y;
  g_autofree float *w = new_reals ((gsize) s->out * s->in);
  g_autofree float *bias = new_reals (s->out);
  g_autofree float *residual = new_reals (s->m * y_stride);
  g_autofree float *expected = NULL;
  SeedPackedLinear *packed = backend->packed_new (s->out, s->in);
  SeedEpilogue e = { .bias = mode & BIAS ? bias : NULL,
    .activate = (mode & ACTIVATE) != 0,
    .activation = (SeedActivation) (seed_rng_below (rng, SEED_N_ACTIVATIONS)),
    .residual_stride = y_stride,
    .x_type = mode & X_BF16 ? SEED_ROWS_BF16 : SEED_ROWS_REAL,
    .y_type = mode & Y_BF16 ? SEED_ROWS_BF16 : SEED_ROWS_REAL };

  fill_normal (w, (gsize) s->out * s->in, 0, 1 / sqrt (s->in), rng);
  fill_normal (bias, s->out, 0, 1, rng);
  fill_normal (residual, s->m * y_stride, 0, 1, rng);
  matrix_init (&x, e.x_type, s->m * x_stride, rng);
  matrix_init (&y, e.y_type, s->m * y_stride, rng);
  expected = g_memdup2 (y.values, y.n * sizeof *expected); /* the gaps must stay as they are */
  if (mode & RESIDUAL)
    e.residual = mode & IN_PLACE ? y.values : residual;
  naive_linear (s, backend->precision, x.values, x_stride, w, &e, expected, y_stride);

  backend->pack (packed, w);
  g_assert_cmpuint (backend->packed_bytes (packed), >, 0);
  (mode & SERIAL ? backend->linear_rows : backend->linear) (
      packed, matrix_data (&x), x_stride, s->m, &e, matrix_data (&y), y_stride);
  backend->packed_free (packed);
  matrix_read (&y);
  assert_close (y.values, expected, y.n, tolerance (backend->precision, e.y_type));
  matrix_clear (&x);
  matrix_clear (&y);
}

static void
linear_of (const SeedBackend *backend)
{
  SeedRng rng;

  seed_rng_init (&rng, 1);
  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint mode = 0; mode < N_MODES; mode++)
      if (mode_exists (backend, mode))
        check_linear (backend, &shapes[s], mode, &rng);
}

static void
test_linear (void)
{
  for_each_backend (linear_of);
}

/* int8 has none of its own: it multiplies in bfloat16 */
static SeedPrecision
gemm_precision (const SeedBackend *backend)
{
  return backend->precision == SEED_PRECISION_INT8 ? SEED_PRECISION_BFLOAT16 : backend->precision;
}

static void
naive_gemm (SeedPrecision precision, const SeedGemm *g, float *c)
{
  g_autofree float *factor = new_reals (g->k);
  g_autofree double *a = g_new (double, g->k), *b = g_new (double, (gsize) g->n * g->k);

  for (guint j = 0; j < g->n; j++) {
    for (guint l = 0; l < g->k; l++)
      factor[l] =
          ((const float *) g->b)[g->transpose_b ? j * g->stride_b + l : l * g->stride_b + j];
    reduce (precision, factor, g->k, b + (gsize) j * g->k);
  }
  for (guint i = 0; i < g->m; i++) {
    for (guint l = 0; l < g->k; l++)
      factor[l] =
          ((const float *) g->a)[g->transpose_a ? l * g->stride_a + i : i * g->stride_a + l];
    reduce (precision, factor, g->k, a);
    for (guint j = 0; j < g->n; j++) {
      float *to = c + i * g->stride_c + j;
      double before = g->beta != 0 ? (double) (g->beta * *to) : 0;

      *to = (float) ((double) g->alpha * dot (a, b + (gsize) j * g->k, g->k) + before);
    }
  }
}

static void
check_gemm (const SeedBackend *backend, const Shape *s, guint mode, SeedRng *rng)
{
  gsize a_stride = (mode & 1 ? s->m : s->in) + GAP, b_stride = (mode & 2 ? s->in : s->out) + GAP;
  gsize c_stride = s->out + GAP, c_size = s->m * c_stride;
  gsize a_size = a_stride * (mode & 1 ? s->in : s->m),
        b_size = b_stride * (mode & 2 ? s->out : s->in);
  g_autofree float *a = new_reals (a_size), *b = new_reals (b_size), *c = new_reals (c_size);
  g_autofree float *expected = NULL;
  SeedGemm gemm = { .transpose_a = mode & 1,
    .transpose_b = (mode & 2) != 0,
    .m = s->m,
    .n = s->out,
    .k = s->in,
    .alpha = 1,
    .beta = mode & 4 ? 1 : 0,
    .a = a,
    .stride_a = a_stride,
    .b = b,
    .stride_b = b_stride,
    .c = c,
    .stride_c = c_stride };

  fill_normal (a, a_size, 0, 1, rng);
  fill_normal (b, b_size, 0, 1, rng);
  fill_normal (c, c_size, 0, 1, rng);
  expected = g_memdup2 (c, c_size * sizeof *c);
  naive_gemm (gemm_precision (backend), &gemm, expected);
  (mode & 8 ? backend->gemm_serial : backend->gemm) (&gemm);
  assert_close (c, expected, c_size, 2e-5);
}

static void
gemm_of (const SeedBackend *backend)
{
  /* the last is deeper than what is packed at a time */
  static const Shape more[] = { { 14, 40, 2500 }, { 40, 1, 30 }, { 300, 33, 20 }, { 20, 300, 20 } };
  SeedRng rng;

  seed_rng_init (&rng, 2);
  for (guint mode = 0; mode < 16; mode++) {
    for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
      check_gemm (backend, &shapes[s], mode, &rng);
    for (guint s = 0; s < G_N_ELEMENTS (more); s++)
      check_gemm (backend, &more[s], mode, &rng);
  }
}

static void
test_gemm (void)
{
  for_each_backend (gemm_of);
}

static void
naive_attention (const SeedAttention *a, const float *qkv, gsize d, float *out)
{
  g_autofree double *p = g_new (double, a->n_keys);

  for (guint i = 0; i < a->n_queries; i++) {
    guint n = a->causal ? MIN (a->n_keys, a->first_query + i + 1) : a->n_keys;
    double sum = 0, max = -INFINITY;

    for (guint j = 0; j < n; j++) {
      p[j] = 0;
      for (guint e = 0; e < a->dim; e++)
        p[j] += (double) qkv[(a->first_query + i) * a->stride + e] *
                (double) qkv[j * a->stride + d + e];
      p[j] *= (double) a->scale;
      max = MAX (max, p[j]);
    }
    for (guint j = 0; j < n; j++)
      sum += p[j] = exp (p[j] - max);
    for (guint e = 0; e < a->dim; e++) {
      double mix = 0;

      for (guint j = 0; j < n; j++)
        mix += p[j] / sum * (double) qkv[j * a->stride + 2 * d + e];
      out[i * a->out_stride + e] = (float) mix;
    }
  }
}

static void
check_attention (const SeedBackend *backend, guint tokens, guint dim, gboolean causal)
{
  guint first = tokens / 3;
  gsize d = dim + 5, stride = 3 * d, out_stride = d;
  gsize size = backend->rows_type == SEED_ROWS_BF16 ? 2 : 4;
  Matrix qkv, out;
  g_autofree float *expected = NULL;
  SeedRng rng;
  SeedAttention a;
  const char *data;

  seed_rng_init (&rng, tokens);
  matrix_init (&qkv, backend->rows_type, tokens * stride, &rng);
  matrix_init (&out, backend->rows_type, tokens * out_stride, &rng);
  data = matrix_data (&qkv);
  expected = g_memdup2 (out.values, out.n * sizeof *expected);
  a = (SeedAttention){ .type = backend->rows_type,
    .n_queries = tokens - first,
    .n_keys = tokens,
    .dim = dim,
    .scale = (float) (1.5 / sqrt (dim)),
    .causal = causal,
    .first_query = first,
    .q = data + first * stride * size,
    .k = data + d * size,
    .v = data + 2 * d * size,
    .stride = stride,
    .out = matrix_data (&out),
    .out_stride = out_stride };
  naive_attention (&a, qkv.values, d, expected);
  backend->attention (&a);
  matrix_read (&out);
  assert_close (out.values, expected, out.n, backend->rows_type == SEED_ROWS_BF16 ? 1e-2 : 1e-5);
  matrix_clear (&qkv);
  matrix_clear (&out);
}

static void
attention_of (const SeedBackend *backend)
{
  static const guint tokens[] = { 1, 17, 64, 110 }, dims[] = { 1, 33, 64 };

  for (guint t = 0; backend->attention && t < G_N_ELEMENTS (tokens); t++)
    for (guint d = 0; d < G_N_ELEMENTS (dims); d++) {
      check_attention (backend, tokens[t], dims[d], FALSE);
      check_attention (backend, tokens[t], dims[d], TRUE);
    }
}

static void
test_attention (void)
{
  for_each_backend (attention_of);
}

/* The same bits again, packed anew and on whatever thread. */
static void
twice_of (const SeedBackend *backend)
{
  const Shape s = { 197, 130, 191 };
  g_autofree float *w = new_reals (s.out * s.in), *x = new_reals (s.m * s.in);
  g_autofree float *y[2] = { NULL };
  const SeedEpilogue e = { .activate = TRUE };
  SeedRng rng;

  seed_rng_init (&rng, 3);
  fill_normal (w, s.out * s.in, 0, 1, &rng);
  fill_normal (x, s.m * s.in, 0, 1, &rng);
  for (guint i = 0; i < 2; i++) {
    SeedPackedLinear *packed = backend->packed_new (s.out, s.in);

    y[i] = new_reals (s.m * s.out);
    backend->pack (packed, w);
    backend->linear (packed, x, s.in, s.m, &e, y[i], s.out);
    backend->packed_free (packed);
  }
  g_assert_cmpmem (y[0], s.m * s.out * sizeof (float), y[1], s.m * s.out * sizeof (float));
  g_free (g_steal_pointer (&y[1]));
}

static void
test_twice (void)
{
  for_each_backend (twice_of);
}

/* Numbers that are not numbers come out as such and stay in their row. */
static void
not_a_number_of (const SeedBackend *backend)
{
  const Shape s = { 30, 40, 21 };
  g_autofree float *w = new_reals (s.out * s.in), *x = new_reals (s.m * s.in);
  g_autofree float *y = new_reals (s.m * s.out);
  const SeedEpilogue e = { 0 };
  SeedPackedLinear *packed = backend->packed_new (s.out, s.in);
  SeedRng rng;

  if (backend->precision == SEED_PRECISION_INT8) {
    backend->packed_free (packed);
    return; /* a byte is always a number */
  }
  seed_rng_init (&rng, 4);
  fill_normal (w, s.out * s.in, 0, 1, &rng);
  fill_normal (x, s.m * s.in, 0, 1, &rng);
  x[7 * s.in + 3] = NAN;
  backend->pack (packed, w);
  backend->linear (packed, x, s.in, s.m, &e, y, s.out);
  backend->packed_free (packed);
  for (guint i = 0; i < s.m; i++)
    for (guint j = 0; j < s.out; j++)
      g_assert_true (!!isnan (y[i * s.out + j]) == (i == 7));
}

static void
test_not_a_number (void)
{
  for_each_backend (not_a_number_of);
}

static void
test_choose (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *why = NULL, *frozen = NULL;
  const SeedBackend *backend;

  backend = seed_backend_choose ("openblas", "float32", TRUE, &why, &error);
  g_assert_true (backend == seed_backend_openblas ());
  g_assert_cmpstr (why, ==, "openblas float32: as asked for");

  g_assert_null (seed_backend_choose ("openblas", "int8", TRUE, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "float32"));
  g_clear_error (&error);
  g_assert_null (seed_backend_choose ("abacus", NULL, TRUE, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_assert_nonnull (strstr (error->message, "openblas"));
  g_clear_error (&error);
  g_assert_null (seed_backend_choose (NULL, "float8", TRUE, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);

  backend = seed_backend_choose ("auto", "auto", FALSE, NULL, &error);
  g_assert_cmpint (backend->precision, ==, SEED_PRECISION_FLOAT32);
  backend = seed_backend_choose (NULL, NULL, TRUE, &frozen, &error);
  g_assert_no_error (error);
  g_assert_cmpint (backend->precision, !=, SEED_PRECISION_INT8);
  g_assert_cmpint (backend->precision == SEED_PRECISION_BFLOAT16, ==,
      seed_backend_find ("native", SEED_PRECISION_BFLOAT16, NULL) ||
          seed_backend_find ("onednn", SEED_PRECISION_BFLOAT16, NULL));
  g_assert_true (g_str_has_prefix (frozen, backend->name));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (3);
  g_test_add_func ("/backend-ops/linear", test_linear);
  g_test_add_func ("/backend-ops/gemm", test_gemm);
  g_test_add_func ("/backend-ops/attention", test_attention);
  g_test_add_func ("/backend-ops/twice", test_twice);
  g_test_add_func ("/backend-ops/not-a-number", test_not_a_number);
  g_test_add_func ("/backend-ops/choose", test_choose);
  return g_test_run ();
}
