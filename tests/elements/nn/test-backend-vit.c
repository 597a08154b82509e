/* SPDX-License-Identifier: MIT */
/* What reduced precisions do to a whole transformer, frozen and learning. */
#include <seed/error.h>
#include <seed/pool.h>

#include "nn-util.h"
#include "nn/backend.h"
#include "nn/optim.h"
#include "nn/vit-weights.h"

#define IMAGES 2

typedef struct {
  SeedVitConfig config;
  SeedParams params;
  float *values;
  guint8 *words;
} Model;

/* An image is smooth and grainy at once, like a photograph; noise alone would be too easy a case.
 */
static guint8 *
picture_words (const SeedVitConfig *config, guint n, SeedRng *rng)
{
  guint p = config->patch_size, side = config->image_size / p;
  guint8 *words = g_malloc ((gsize) n * side * side * 3 * p * p), *to = words;

  for (guint image = 0; image < n; image++)
    for (guint w = 0; w < side * side; w++)
      for (guint c = 0; c < 3; c++)
        for (guint i = 0; i < p * p; i++) {
          double x = w % side * p + i % p, y = w / side * p + i / p;
          double level = 128 + 70 * sin (0.03 * x * (image + 1) + c) * cos (0.05 * y) +
                         25 * seed_rng_normal (rng);

          *to++ = (guint8) CLAMP (level, 0, 255);
        }
  return words;
}

/*
 * What trained transformers are like: norm weights spread over orders of magnitude, a few channels
 * of the stream many times larger than the rest (Dettmers et al. 2022, arXiv 2208.07339; Darcet et
 * al. 2024, arXiv 2309.16588), biases that matter.
 */
static void
fill_trained (const Model *m, double outlier, SeedRng *rng)
{
  fill_params (&m->params, m->values, rng);
  for (guint i = 0; i < m->params.n; i++) {
    const SeedParam *param = &m->params.items[i];
    float *x = m->values + param->offset;

    if (param->n_dims == 1 && g_str_has_suffix (param->name, "norm1.weight"))
      for (gsize j = 0; j < param->size; j++)
        x[j] = (float) exp (0.7 * seed_rng_normal (rng));
    if (param->n_dims == 1 && g_str_has_suffix (param->name, "norm2.weight"))
      for (gsize j = 0; j < param->size; j++)
        x[j] = (float) exp (0.5 * seed_rng_normal (rng));
    if (g_str_has_suffix (param->name, "fc2.bias"))
      for (gsize j = 0; j < 3; j++)
        x[j * 97 % param->size] += (float) outlier;
    if (g_str_has_suffix (param->name, "norm1.weight") ||
        g_str_has_suffix (param->name, "norm2.weight"))
      for (gsize j = 0; j < 3; j++)
        x[(j * 131 + 7) % param->size] *= (float) outlier;
  }
}

static void
model_init (Model *m, const SeedVitConfig *config, double outlier)
{
  SeedRng rng;

  m->config = *config;
  seed_params_init (&m->params);
  seed_vit_append_params (config, &m->params);
  m->values = g_aligned_alloc0 (m->params.total, sizeof *m->values, 64);
  seed_rng_init (&rng, 7);
  fill_trained (m, outlier, &rng);
  m->words = picture_words (config, IMAGES, &rng);
}

static void
model_clear (Model *m)
{
  seed_params_clear (&m->params);
  g_aligned_free (m->values);
  g_free (m->words);
}

/* Caller frees. */
static float *
run (const Model *m, const SeedBackend *backend, gboolean detach)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedVitWeights) weights =
      seed_vit_weights_new_with (&m->config, &m->params, m->values, backend, &error);
  g_autoptr (SeedVit) vit = NULL;
  g_autofree float *values = NULL;
  gsize n = (gsize) IMAGES * (1 + seed_vit_config_n_words (&m->config)) * m->config.dim;
  float scale[3], shift[3];

  g_assert_no_error (error);
  if (detach)
    seed_vit_weights_detach (weights, &m->params);
  vit = seed_vit_new_with (&m->config, &m->params, IMAGES, FALSE, backend, &error);
  g_assert_no_error (error);
  seed_vit_config_normalisation (&m->config, scale, shift);
  return g_memdup2 (
      seed_vit_forward_packed (vit, weights, scale, shift, m->words, IMAGES), n * sizeof (float));
}

/* The least cosine of any row. */
static double
least_cosine (const Model *m, const float *a, const float *b)
{
  guint d = m->config.dim, rows = IMAGES * (1 + seed_vit_config_n_words (&m->config));
  double least = 1;

  for (guint r = 0; r < rows; r++) {
    double ab = 0, aa = 0, bb = 0;

    for (guint i = 0; i < d; i++) {
      double x = (double) a[r * d + i], y = (double) b[r * d + i];
      ab += x * y;
      aa += x * x;
      bb += y * y;
    }
    g_assert_true (isfinite (ab));
    least = MIN (least, ab / sqrt (aa * bb));
  }
  return least;
}

typedef void (*Each) (const SeedBackend *backend);

static void
for_each_backend (Each each)
{
  static const char *const names[] = { "native", "onednn", "openblas" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    for (guint p = 0; p < SEED_N_PRECISIONS; p++) {
      const SeedBackend *backend = seed_backend_find (names[i], p, NULL);

      if (backend)
        each (backend);
    }
}

static void
check_cosine (const SeedBackend *backend)
{
  static const double limits[SEED_N_PRECISIONS] = { 0.999999, 0.999, 0.99 };
  static const double outliers[] = { 1, 8, 30 };
  SeedVitConfig config = tiny_config (64, 16, 192, 12, 3, 768);

  for (guint i = 0; i < G_N_ELEMENTS (outliers); i++) {
    g_autofree float *expected = NULL, *got = NULL;
    double cosine;
    Model m;

    model_init (&m, &config, outliers[i]);
    expected = run (&m, seed_backend_openblas (), FALSE);
    if (backend->precision == SEED_PRECISION_INT8)
      g_assert_true (seed_vit_smooth (&m.config, &m.params, m.values, NULL));
    got = run (&m, backend, FALSE);
    cosine = least_cosine (&m, got, expected);
    g_test_message ("%s %s, outliers of %g: least cosine %.6f", backend->name,
        seed_precision_name (backend->precision), outliers[i], cosine);
    g_assert_cmpfloat (cosine, >=, limits[backend->precision]);
    model_clear (&m);
  }
}

static void
test_cosine (void)
{
  for_each_backend (check_cosine);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (2);
  g_test_add_func ("/backend-vit/cosine", test_cosine);
  return g_test_run ();
}
