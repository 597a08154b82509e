/* SPDX-License-Identifier: MIT */
/*
 * Every gradient of every parameter against central differences, in double. The loss is a sum of
 * all outputs, each with a random weight.
 */
#include <seed/pool.h>

#include "nn-util.h"

#define STEP 1e-5
#define LIMIT 1e-7 /* of a tensor's largest gradient */

typedef struct {
  SeedVitConfig config;
  SeedParams params;
  SeedVit *vit;
  guint n;
  gsize n_out;
  guint8 *words;
  float scale[3], shift[3];
  real *values, *weight, *grads;
} Problem;

static void
problem_init (Problem *p, const SeedVitConfig *config, guint n)
{
  g_autoptr (GError) error = NULL;
  SeedRng rng;

  *p = (Problem){ .config = *config, .n = n };
  seed_rng_init (&rng, 5);
  seed_params_init (&p->params);
  seed_vit_append_params (config, &p->params);
  p->vit = seed_vit_new (config, &p->params, n, TRUE, &error);
  g_assert_no_error (error);
  p->n_out = (gsize) n * seed_vit_config_n_rows (config) * config->dim;
  p->values = new_reals (p->params.total);
  p->grads = new_reals (p->params.total);
  p->weight = new_reals (p->n_out);
  p->words = random_words (config, n, &rng);
  fill_params (&p->params, p->values, &rng);
  fill_normal (p->weight, p->n_out, 0, 1, &rng);
  seed_vit_config_normalisation (config, p->scale, p->shift);
}

static void
problem_clear (Problem *p)
{
  seed_vit_free (p->vit);
  seed_params_clear (&p->params);
  g_free (p->values);
  g_free (p->grads);
  g_free (p->weight);
  g_free (p->words);
}

static double
loss (const Problem *p)
{
  const real *out = seed_vit_forward (p->vit, p->values, p->scale, p->shift, p->words, p->n);
  double sum = 0;

  for (gsize i = 0; i < p->n_out; i++)
    sum += out[i] * p->weight[i];
  return sum;
}

static void
check_param (const Problem *p, const SeedParam *param, double *worst)
{
  g_autofree real *expected = new_reals (param->size);
  real *x = p->values + param->offset;
  double largest = 0, error;

  for (gsize i = 0; i < param->size; i++) {
    real keep = x[i];
    double plus;

    x[i] = keep + STEP;
    plus = loss (p);
    x[i] = keep - STEP;
    expected[i] = (plus - loss (p)) / (2 * STEP);
    x[i] = keep;
    largest = MAX (largest, fabs (expected[i]));
  }
  error = relative_error (p->grads + param->offset, expected, param->size);
  *worst = MAX (*worst, error);
  if (!(error <= LIMIT))
    g_error ("gradient of %s is off by %g of its largest value %g", param->name, error, largest);
  g_assert_cmpfloat (largest, >, 1e-3); /* otherwise nothing was tested */
}

static void
check_config (const SeedVitConfig *config, guint n)
{
  double worst = 0;
  Problem p;

  problem_init (&p, config, n);
  loss (&p);
  seed_vit_backward (p.vit, p.values, p.weight, p.grads);
  for (guint i = 0; i < p.params.n; i++)
    check_param (&p, &p.params.items[i], &worst);
  g_test_message ("worst relative error %g", worst);
  problem_clear (&p);
}

static void
test_activation (gconstpointer data)
{
  SeedVitConfig config = tiny_config (4, 2, 6, 2, 2, 10);

  config.activation = (SeedActivation) GPOINTER_TO_UINT (data);
  check_config (&config, 2);
}

static void
test_one_image (void)
{
  SeedVitConfig config = tiny_config (6, 2, 8, 1, 2, 12);

  check_config (&config, 1);
}

static void
test_one_word (void)
{
  SeedVitConfig config = tiny_config (3, 3, 5, 1, 1, 7);

  check_config (&config, 3);
}

static void
test_registers (void)
{
  SeedVitConfig config = tiny_config (4, 2, 6, 2, 2, 10);

  config.n_registers = 3;
  check_config (&config, 2);
  config.no_cls = TRUE;
  config.pool = SEED_VIT_POOL_MEAN;
  check_config (&config, 2);
  config.n_registers = 0;
  check_config (&config, 2);
}

static void
test_odd_sizes (void)
{
  SeedVitConfig config = tiny_config (9, 3, 21, 1, 3, 19);

  config.ln_eps = 1e-2;
  check_config (&config, 2);
}

/* Enough rows and columns that the products are cut into tiles and the norms into parts. */
static void
test_spread_over_threads (void)
{
  SeedVitConfig config = tiny_config (16, 2, 66, 1, 2, 140);
  SeedRng rng;
  Problem p;

  problem_init (&p, &config, 3);
  loss (&p);
  seed_vit_backward (p.vit, p.values, p.weight, p.grads);
  seed_rng_init (&rng, 9);
  for (guint i = 0; i < p.params.n; i++) {
    const SeedParam *param = &p.params.items[i];

    for (guint k = 0; k < 3; k++) { /* a few of each; all would take minutes */
      gsize at = param->offset + seed_rng_below (&rng, param->size);
      real keep = p.values[at];
      double plus, slope;

      p.values[at] = keep + STEP;
      plus = loss (&p);
      p.values[at] = keep - STEP;
      slope = (plus - loss (&p)) / (2 * STEP);
      p.values[at] = keep;
      g_assert_cmpfloat (fabs (p.grads[at] - slope), <=, 1e-6 * MAX (fabs (slope), 0.1));
    }
  }
  problem_clear (&p);
}

/* Gradients are added, so that a caller can accumulate over batches. */
static void
test_adds (void)
{
  SeedVitConfig config = tiny_config (4, 2, 6, 2, 2, 10);
  g_autofree real *once = NULL;
  Problem p;

  problem_init (&p, &config, 2);
  loss (&p);
  seed_vit_backward (p.vit, p.values, p.weight, p.grads);
  once = g_memdup2 (p.grads, p.params.total * sizeof *once);
  seed_vit_backward (p.vit, p.values, p.weight, p.grads);
  for (gsize i = 0; i < p.params.total; i++)
    once[i] *= 2;
  assert_close (p.grads, once, p.params.total, 1e-14);
  problem_clear (&p);
}

int
main (int argc, char **argv)
{
  static const char *const names[] = { "gelu", "gelu-tanh", "quick-gelu", "silu", "relu" };

  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (2);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_strdup_printf ("/nn/gradients/%s", names[i]);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_activation);
  }
  g_test_add_func ("/nn/gradients/one-image", test_one_image);
  g_test_add_func ("/nn/gradients/one-word", test_one_word);
  g_test_add_func ("/nn/gradients/registers", test_registers);
  g_test_add_func ("/nn/gradients/odd-sizes", test_odd_sizes);
  g_test_add_func ("/nn/gradients/spread-over-threads", test_spread_over_threads);
  g_test_add_func ("/nn/gradients/adds", test_adds);
  return g_test_run ();
}
