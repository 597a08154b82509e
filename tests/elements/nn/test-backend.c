/* SPDX-License-Identifier: MIT */
#include <seed/error.h>
#include <seed/pool.h>

#include "nn-util.h"
#include "nn/backend.h"
#include "nn/kernels.h"

#define GAP 3 /* elements between the rows of matrices with a stride */

typedef struct {
  guint m, out, in;
} Shape;

/* from one that stays on one thread to one that is cut both ways, and edges that fit nothing */
static const Shape shapes[] = { { 1, 1, 1 }, { 1, 384, 96 }, { 17, 33, 29 }, { 197, 96, 50 },
  { 300, 400, 33 }, { 1000, 65, 70 } };

static real *
random_matrix (gsize n, SeedRng *rng)
{
  real *x = new_reals (n);

  fill_normal (x, n, 0, 1, rng);
  return x;
}

static double
gelu (double x)
{
  return 0.5 * x * (1 + erf (x * G_SQRT2 / 2));
}

/* what linear promises, one output at a time in double */
static void
naive_linear (const Shape *s, const real *x, gsize x_stride, const real *w, const SeedEpilogue *e,
    real *y, gsize y_stride)
{
  for (guint i = 0; i < s->m; i++)
    for (guint j = 0; j < s->out; j++) {
      double sum = e->bias ? (double) e->bias[j] : 0;

      for (guint k = 0; k < s->in; k++)
        sum += (double) x[i * x_stride + k] * (double) w[(gsize) j * s->in + k];
      if (e->activate)
        sum = e->activation == SEED_ACTIVATION_RELU ? MAX (sum, 0) : gelu (sum);
      if (e->residual)
        sum += (double) e->residual[i * e->residual_stride + j];
      y[i * y_stride + j] = (real) sum;
    }
}

static void
check_linear (const Shape *s, guint mode, SeedRng *rng)
{
  const SeedBackend *backend = seed_backend_get ();
  gsize x_stride = s->in + GAP, y_stride = s->out + GAP;
  g_autofree real *x = random_matrix (s->m * x_stride, rng);
  g_autofree real *w = random_matrix ((gsize) s->out * s->in, rng);
  g_autofree real *bias = random_matrix (s->out, rng);
  g_autofree real *residual = random_matrix (s->m * y_stride, rng);
  g_autofree real *y = random_matrix (s->m * y_stride, rng);
  g_autofree real *expected = new_reals (s->m * y_stride);
  SeedEpilogue epilogue = { .bias = mode & 1 ? bias : NULL,
    .activate = (mode & 2) != 0,
    .activation = s->m % 2 ? SEED_ACTIVATION_GELU : SEED_ACTIVATION_RELU,
    .residual = mode & 4 ? residual : NULL,
    .residual_stride = y_stride };
  SeedPackedLinear *packed = backend->packed_new (s->out, s->in);

  memcpy (expected, y, s->m * y_stride * sizeof *y); /* the gaps must stay as they are */
  naive_linear (s, x, x_stride, w, &epilogue, expected, y_stride);
  backend->pack (packed, w);
  backend->linear (packed, x, x_stride, s->m, &epilogue, y, y_stride);
  backend->packed_free (packed);
  assert_close (y, expected, s->m * y_stride, 2e-6);
}

static void
test_linear (void)
{
  SeedRng rng;

  seed_rng_init (&rng, 1);
  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint mode = 0; mode < 8; mode++)
      check_linear (&shapes[s], mode, &rng);
}

/* y = y + x W^T + b, as the residual stream does */
static void
test_linear_in_place (void)
{
  const SeedBackend *backend = seed_backend_get ();
  const Shape s = { 197, 96, 50 };
  SeedRng rng;

  seed_rng_init (&rng, 2);
  g_autofree real *x = random_matrix (s.m * s.in, &rng);
  g_autofree real *w = random_matrix (s.out * s.in, &rng);
  g_autofree real *bias = random_matrix (s.out, &rng);
  g_autofree real *y = random_matrix (s.m * s.out, &rng);
  g_autofree real *before = g_memdup2 (y, s.m * s.out * sizeof *y);
  g_autofree real *expected = new_reals (s.m * s.out);
  SeedEpilogue epilogue = { .bias = bias, .residual = before, .residual_stride = s.out };
  SeedPackedLinear *packed = backend->packed_new (s.out, s.in);

  naive_linear (&s, x, s.in, w, &epilogue, expected, s.out);
  epilogue.residual = y;
  backend->pack (packed, w);
  backend->linear (packed, x, s.in, s.m, &epilogue, y, s.out);
  g_assert_cmpuint (backend->packed_bytes (packed), >, 0);
  backend->packed_free (packed);
  assert_close (y, expected, s.m * s.out, 2e-6);
}

static void
check_gemm (const Shape *s, guint mode, gboolean serial, SeedRng *rng)
{
  gsize a_size = (gsize) (s->m + GAP) * (s->in + GAP),
        b_size = (gsize) (s->out + GAP) * (s->in + GAP);
  g_autofree real *a = random_matrix (a_size, rng);
  g_autofree real *b = random_matrix (b_size, rng);
  g_autofree real *c = random_matrix ((gsize) s->m * (s->out + GAP), rng);
  g_autofree real *expected = g_memdup2 (c, s->m * (s->out + GAP) * sizeof *c);
  SeedGemm gemm = { .transpose_a = mode & 1,
    .transpose_b = (mode & 2) != 0,
    .m = s->m,
    .n = s->out,
    .k = s->in,
    .alpha = (real) 0.5,
    .a = a,
    .stride_a = (mode & 1 ? s->m : s->in) + GAP,
    .b = b,
    .stride_b = (mode & 2 ? s->in : s->out) + GAP,
    .beta = mode & 4 ? 1 : 0,
    .c = c,
    .stride_c = s->out + GAP };

  for (guint i = 0; i < s->m; i++)
    for (guint j = 0; j < s->out; j++) {
      double sum = 0;

      for (guint k = 0; k < s->in; k++)
        sum += (double) a[mode & 1 ? k * gemm.stride_a + i : i * gemm.stride_a + k] *
               (double) b[mode & 2 ? j * gemm.stride_b + k : k * gemm.stride_b + j];
      sum = 0.5 * sum + (mode & 4 ? (double) c[i * gemm.stride_c + j] : 0);
      expected[i * gemm.stride_c + j] = (real) sum;
    }
  if (!(mode & 4))
    c[0] = NAN; /* beta 0 must not read it */
  if (serial)
    seed_backend_get ()->gemm_serial (&gemm);
  else
    seed_backend_get ()->gemm (&gemm);
  assert_close (c, expected, (gsize) s->m * gemm.stride_c, 2e-6);
}

static void
test_gemm (void)
{
  SeedRng rng;

  seed_rng_init (&rng, 3);
  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint mode = 0; mode < 16; mode++)
      check_gemm (&shapes[s], mode & 7, mode & 8, &rng);
}

static void
test_self_test (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (seed_backend_self_test (&error));
  g_assert_no_error (error);
  g_assert_true (seed_backend_self_test (NULL)); /* the kept result */
}

/* as a kernel goes wrong that mishandles the last row of one shape */
static void
broken_gemm (const SeedGemm *gemm)
{
  seed_backend_get ()->gemm_serial (gemm);
  if (gemm->m == 31 && gemm->transpose_b)
    ((real *) gemm->c)[30 * gemm->stride_c + 46] += 1;
}

static void
test_self_test_finds_wrong_results (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (seed_backend_check_gemm ("broken", broken_gemm, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "backend broken"));
  g_assert_nonnull (strstr (error->message, "31 x 47 x 100"));
  g_assert_nonnull (strstr (error->message, "OPENBLAS_CORETYPE=Haswell"));
}

static void
test_one_thread_each (void)
{
  seed_backend_get ();
  g_assert_cmpint (openblas_get_num_threads (), ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (3);
  g_test_add_func ("/nn/backend/linear", test_linear);
  g_test_add_func ("/nn/backend/linear-in-place", test_linear_in_place);
  g_test_add_func ("/nn/backend/gemm", test_gemm);
  g_test_add_func ("/nn/backend/self-test", test_self_test);
  g_test_add_func ("/nn/backend/self-test-finds-wrong-results", test_self_test_finds_wrong_results);
  g_test_add_func ("/nn/backend/one-thread-each", test_one_thread_each);
  return g_test_run ();
}
