/* SPDX-License-Identifier: MIT */
/*
 * The float build against the double build on the same input: outputs and gradients. This program
 * is the double one; libseed, whose functions have the same names, is opened beside it.
 */
#include <gmodule.h>

#include "nn-util.h"

#define LIMIT 1e-4

typedef struct {
  GModule *module;
  SeedVit *(*new) (const SeedVitConfig *, const SeedParams *, guint, gboolean, GError **);
  void (*free) (SeedVit *);
  const float *(*forward) (
      SeedVit *, const float *, const float[3], const float[3], const guint8 *, guint);
  void (*backward) (SeedVit *, const float *, const float *, float *);
} Single;

static gpointer
symbol (GModule *module, const char *name)
{
  gpointer found;

  if (!g_module_symbol (module, name, &found))
    g_error ("%s", g_module_error ());
  return found;
}

static void
single_open (Single *single)
{
  const char *build = g_getenv ("SEED_BUILD_DIR");
  g_autofree char *path =
      g_build_filename (build ? build : "build", "elements", "libseed.so", NULL);

  single->module = g_module_open (path, G_MODULE_BIND_LOCAL);
  if (!single->module)
    g_error ("%s", g_module_error ());
  single->new = symbol (single->module, "seed_vit_new");
  single->free = symbol (single->module, "seed_vit_free");
  single->forward = symbol (single->module, "seed_vit_forward");
  single->backward = symbol (single->module, "seed_vit_backward");
  g_assert_true ((gpointer) single->new != (gpointer) seed_vit_new);
}

static float *
to_float (const real *x, gsize n)
{
  float *y = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    y[i] = (float) x[i];
  return y;
}

static real *
to_double (const float *x, gsize n)
{
  real *y = new_reals (n);

  for (gsize i = 0; i < n; i++)
    y[i] = (real) x[i];
  return y;
}

static void
test_same (gconstpointer data)
{
  SeedVitConfig config = tiny_config (32, 8, 48, 4, 3, 192);
  const guint n = 3;
  gsize n_out = n * (1 + seed_vit_config_n_words (&config)) * config.dim;
  g_autoptr (GError) error = NULL;
  float scale[3], shift[3];
  SeedVit *single_vit, *vit;
  SeedParams params;
  Single single;
  SeedRng rng;

  config.activation = (SeedActivation) GPOINTER_TO_UINT (data);
  single_open (&single);
  seed_rng_init (&rng, 21);
  seed_params_init (&params);
  seed_vit_append_params (&config, &params);
  seed_vit_config_normalisation (&config, scale, shift);
  g_autofree real *values = new_reals (params.total);
  g_autofree real *grads = new_reals (params.total);
  g_autofree real *d_out = new_reals (n_out);
  g_autofree guint8 *words = random_words (&config, n, &rng);
  fill_params (&params, values, &rng);
  fill_normal (d_out, n_out, 0, 1, &rng);
  g_autofree float *single_values = to_float (values, params.total);
  g_autofree float *single_grads = to_float (grads, params.total);
  g_autofree float *single_d_out = to_float (d_out, n_out);

  vit = seed_vit_new (&config, &params, n, TRUE, &error);
  g_assert_no_error (error);
  single_vit = single.new(&config, &params, n, TRUE, &error);
  g_assert_no_error (error);

  const real *out = seed_vit_forward (vit, values, scale, shift, words, n);
  const float *single_out = single.forward (single_vit, single_values, scale, shift, words, n);
  g_autofree real *out_in_double = to_double (single_out, n_out);
  assert_close (out_in_double, out, n_out, LIMIT);

  seed_vit_backward (vit, values, d_out, grads);
  single.backward (single_vit, single_values, single_d_out, single_grads);
  g_autofree real *grads_in_double = to_double (single_grads, params.total);
  for (guint i = 0; i < params.n; i++) {
    const SeedParam *param = &params.items[i];
    assert_close (grads_in_double + param->offset, grads + param->offset, param->size, LIMIT);
  }
  g_assert_cmpfloat (relative_error (grads_in_double, grads, params.total), >, 1e-12); /* float */

  seed_vit_free (vit);
  single.free (single_vit);
  seed_params_clear (&params);
}

int
main (int argc, char **argv)
{
  static const char *const names[] = { "gelu", "gelu-tanh", "quick-gelu", "silu" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_strdup_printf ("/nn/precision/%s", names[i]);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_same);
  }
  return g_test_run ();
}
