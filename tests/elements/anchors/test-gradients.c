/* SPDX-License-Identifier: MIT */
/* Every gradient of the anchor objective against central differences, in double. */
#include <seed/pool.h>

#include "anchors-util.h"

#define STEP 1e-5
#define LIMIT 1e-7 /* of a tensor's largest gradient */

static double
slope (Batch *b, real *at)
{
  real keep = *at;
  double plus;

  *at = keep + STEP;
  plus = batch_losses (b).total;
  *at = keep - STEP;
  plus -= batch_losses (b).total;
  *at = keep;
  return plus / (2 * STEP);
}

static void
check (Batch *b, const char *name, real *x, const real *grads, gsize n)
{
  g_autofree real *expected = new_reals (n);
  double largest = 0, error;

  for (gsize i = 0; i < n; i++) {
    expected[i] = slope (b, &x[i]);
    largest = MAX (largest, fabs (expected[i]));
  }
  error = relative_error (grads, expected, n);
  g_test_message ("%s: %.2g of %.2g", name, error, largest);
  if (!(error <= LIMIT))
    g_error ("gradient of %s is off by %g of its largest value %g", name, error, largest);
  g_assert_cmpfloat (largest, >, 1e-4); /* otherwise nothing was tested */
}

/* @part: one term alone, or all */
static void
check_all (Batch *b)
{
  batch_gradients (b, 1);
  for (guint i = 0; i < b->params.n; i++) {
    const SeedParam *param = &b->params.items[i];

    check (b, param->name, b->values + param->offset, b->grads + param->offset, param->size);
  }
  check (b, "the query's rows", b->query_rows, b->d_query, b->query_size);
}

static void
test_every_parameter (void)
{
  SeedAnchorsShape shape = small_shape ();
  Batch b;

  batch_init (&b, &shape, 4, 4, 3);
  check_all (&b);
  batch_clear (&b);
}

static void
test_one_image (void)
{
  SeedAnchorsShape shape = small_shape ();
  Batch b;

  shape.grid = 2;
  shape.heads = 1;
  batch_init (&b, &shape, 2, 1, 4);
  b.match[0] = 2;
  b.match[1] = 3;
  check_all (&b);
  batch_clear (&b);
}

/* Each term alone: errors of one must not hide behind another's size. */
static void
test_each_term (gconstpointer data)
{
  guint term = GPOINTER_TO_UINT (data);
  SeedAnchorsShape shape = small_shape ();
  g_autoptr (GError) error = NULL;
  Batch b;

  batch_init (&b, &shape, 3, 4, 5 + term);
  seed_anchors_free (b.anchors);
  b.config.w_location = term == 0;
  b.config.w_word = term == 1;
  b.config.w_assignment = term == 2;
  b.config.w_guard = term == 3;
  b.config.sigma = 0.6;
  b.anchors = seed_anchors_new (&shape, &b.config, &b.params, 3, 4, NULL, &error);
  g_assert_no_error (error);
  batch_assign (&b);
  batch_gradients (&b, 1);
  check (&b, "the query's rows", b.query_rows, b.d_query, b.query_size);
  for (guint i = 0; i < b.params.n; i++) {
    const SeedParam *param = &b.params.items[i];

    for (gsize k = 0; k < param->size; k++) {
      double expected = slope (&b, b.values + param->offset + k);

      if (!(fabs (b.grads[param->offset + k] - expected) <= 1e-8 * MAX (1, fabs (expected))))
        g_error ("term %u, %s[%" G_GSIZE_FORMAT "]: %.12g, not %.12g", term, param->name, k,
            b.grads[param->offset + k], expected);
    }
  }
  batch_clear (&b);
}

/* Several chunks of images, and products that are cut into tiles: a few entries of each tensor. */
static void
test_chunks (void)
{
  SeedAnchorsShape shape = { 256, 24, 48, 4, 3, 40, 36, 1e-6 };
  SeedRng rng;
  Batch b;

  batch_init (&b, &shape, 19, 5, 9);
  batch_gradients (&b, 1);
  seed_rng_init (&rng, 10);
  for (guint i = 0; i < b.params.n; i++) {
    const SeedParam *param = &b.params.items[i];
    double largest = 0;

    for (gsize k = 0; k < param->size; k++)
      largest = MAX (largest, fabs (b.grads[param->offset + k]));
    for (guint k = 0; k < 3; k++) {
      gsize at = param->offset + seed_rng_below (&rng, param->size);

      g_assert_cmpfloat (fabs (b.grads[at] - slope (&b, b.values + at)), <=, 1e-6 * largest);
    }
  }
  for (guint k = 0; k < 30; k++) {
    gsize at = seed_rng_below (&rng, b.query_size);

    g_assert_cmpfloat (fabs (b.d_query[at] - slope (&b, b.query_rows + at)), <=, 1e-8);
  }
  batch_clear (&b);
}

/* Gradients are added, times the weight, and rows between the words are left alone. */
static void
test_adds (void)
{
  SeedAnchorsShape shape = small_shape ();
  g_autofree real *once = NULL, *once_query = NULL;
  Batch b;

  batch_init (&b, &shape, 3, 4, 11);
  batch_gradients (&b, 1);
  once = g_memdup2 (b.grads, b.params.total * sizeof *once);
  once_query = g_memdup2 (b.d_query, b.query_size * sizeof *once_query);
  for (guint i = 0; i < b.n; i++)
    for (guint k = 0; k < shape.dim; k++)
      g_assert_cmpfloat (b.d_query[i * b.query.stride + k], ==, 0);
  batch_gradients (&b, 2);
  for (gsize i = 0; i < b.params.total; i++)
    once[i] *= 3;
  for (gsize i = 0; i < b.query_size; i++)
    once_query[i] *= 3;
  assert_close (b.grads, once, b.params.total, 1e-13);
  assert_close (b.d_query, once_query, b.query_size, 1e-13);
  batch_clear (&b);
}

int
main (int argc, char **argv)
{
  static const char *const terms[] = { "location", "word", "assignment", "guard" };

  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (2);
  g_test_add_func ("/anchors/gradients/every-parameter", test_every_parameter);
  g_test_add_func ("/anchors/gradients/one-word", test_one_image);
  for (guint i = 0; i < G_N_ELEMENTS (terms); i++) {
    g_autofree char *path = g_strdup_printf ("/anchors/gradients/%s", terms[i]);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_each_term);
  }
  g_test_add_func ("/anchors/gradients/chunks", test_chunks);
  g_test_add_func ("/anchors/gradients/adds", test_adds);
  return g_test_run ();
}
