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

/* Learning */

#define LEARNED_IMAGES 8
#define STEPS 60

typedef struct {
  Model model;
  SeedVit *vit;
  float *grads, *m, *v, *d_out, *target;
  guint8 *words;
  gsize out_size;
} Learner;

static void
learner_init (Learner *l, const SeedBackend *backend)
{
  g_autoptr (GError) error = NULL;
  SeedVitConfig config = tiny_config (48, 16, 96, 3, 3, 384);
  SeedRng rng;

  model_init (&l->model, &config, 1);
  seed_rng_init (&rng, 11);
  seed_params_init_random (&l->model.params, l->model.values, &rng);
  l->words = picture_words (&config, LEARNED_IMAGES, &rng);
  l->vit = seed_vit_new_with (&config, &l->model.params, LEARNED_IMAGES, TRUE, backend, &error);
  g_assert_no_error (error);
  l->grads = new_reals (l->model.params.total);
  l->m = new_reals (l->model.params.total);
  l->v = new_reals (l->model.params.total);
  l->out_size = (gsize) LEARNED_IMAGES * (1 + seed_vit_config_n_words (&config)) * config.dim;
  l->d_out = new_reals (l->out_size);
  l->target = new_reals (l->out_size);
  fill_normal (l->target, l->out_size, 0, 1, &rng);
}

static void
learner_clear (Learner *l)
{
  seed_vit_free (l->vit);
  model_clear (&l->model);
  g_free (l->words);
  g_free (l->grads);
  g_free (l->m);
  g_free (l->v);
  g_free (l->d_out);
  g_free (l->target);
}

/* The mean square distance to the target; leaves its gradient in grads. */
static double
loss_and_gradient (Learner *l)
{
  float scale[3], shift[3];
  const float *out;
  double loss = 0;

  seed_vit_config_normalisation (&l->model.config, scale, shift);
  out = seed_vit_forward (l->vit, l->model.values, scale, shift, l->words, LEARNED_IMAGES);
  for (gsize i = 0; i < l->out_size; i++) {
    double d = (double) out[i] - (double) l->target[i];

    loss += d * d / (double) l->out_size;
    l->d_out[i] = (float) (2 * d / (double) l->out_size);
  }
  memset (l->grads, 0, l->model.params.total * sizeof *l->grads);
  seed_vit_backward (l->vit, l->model.values, l->d_out, l->grads);
  return loss;
}

static void
learn (const SeedBackend *backend, double losses[STEPS])
{
  Learner l;

  learner_init (&l, backend);
  for (guint step = 0; step < STEPS; step++) {
    losses[step] = loss_and_gradient (&l);
    seed_gradient_clip (l.grads, l.model.params.total, 1);
    seed_adamw_step (
        &seed_adamw_defaults, &l.model.params, step + 1, 1e-3, l.grads, l.m, l.v, l.model.values);
  }
  learner_clear (&l);
}

static void
check_learning (const SeedBackend *backend)
{
  double expected[STEPS], got[STEPS], again[STEPS];

  if (backend->precision == SEED_PRECISION_INT8)
    return;
  learn (seed_backend_openblas (), expected);
  learn (backend, got);
  learn (backend, again);
  g_assert_cmpmem (got, sizeof got, again, sizeof again);
  g_assert_cmpfloat (expected[STEPS - 1], <, 0.8 * expected[0]);
  for (guint i = 0; i < STEPS; i++)
    g_assert_cmpfloat (fabs (got[i] / expected[i] - 1), <,
        backend->precision == SEED_PRECISION_FLOAT32 ? 1e-3 : 0.02);
  g_test_message ("%s %s: loss %.4f -> %.4f, in float32 %.4f", backend->name,
      seed_precision_name (backend->precision), got[0], got[STEPS - 1], expected[STEPS - 1]);
}

static void
test_learning (void)
{
  for_each_backend (check_learning);
}

/* Of every tensor, not only of all together: a small one must not be wrong unseen. */
static void
check_gradient (const SeedBackend *backend)
{
  double limit = backend->precision == SEED_PRECISION_FLOAT32 ? 1e-4 : 0.06;
  Learner l, reference;

  if (backend->precision == SEED_PRECISION_INT8)
    return;
  learner_init (&l, backend);
  learner_init (&reference, seed_backend_openblas ());
  loss_and_gradient (&l);
  loss_and_gradient (&reference);
  for (guint i = 0; i < l.model.params.n; i++) {
    const SeedParam *param = &l.model.params.items[i];
    double difference = 0, size = 0;

    for (gsize j = param->offset; j < param->offset + param->size; j++) {
      double expected = (double) reference.grads[j], d = (double) l.grads[j] - expected;

      difference += d * d;
      size += expected * expected;
    }
    /* a bias of keys changes no probability: its gradient is zero but for rounding */
    if (sqrt (difference) > limit * sqrt (size) + 1e-7)
      g_error ("%s %s: the gradient of %s is %g of its length away", backend->name,
          seed_precision_name (backend->precision), param->name, sqrt (difference / size));
  }
  learner_clear (&l);
  learner_clear (&reference);
}

static void
test_gradient (void)
{
  for_each_backend (check_gradient);
}

/* int8 has no gradients. */
static void
check_int8_training (const SeedBackend *backend)
{
  g_autoptr (GError) error = NULL;
  SeedVitConfig config = tiny_config (32, 16, 32, 1, 1, 32);
  SeedParams params;

  if (backend->precision != SEED_PRECISION_INT8)
    return;
  seed_params_init (&params);
  seed_vit_append_params (&config, &params);
  g_assert_null (seed_vit_new_with (&config, &params, 1, TRUE, backend, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED);
  g_assert_null (seed_backend_choose (backend->name, "int8", FALSE, NULL, NULL));
  seed_params_clear (&params);
}

static void
test_int8_training (void)
{
  for_each_backend (check_int8_training);
}

/* Weights that were detached from their values need less memory and give the same bits. */
static void
check_detached (const SeedBackend *backend)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedVitWeights) weights = NULL;
  g_autofree float *kept = NULL, *detached = NULL;
  SeedVitConfig config = tiny_config (64, 16, 192, 2, 3, 768);
  gsize out_size = (gsize) IMAGES * (1 + seed_vit_config_n_words (&config)) * config.dim;
  gsize before, values;
  Model m;

  model_init (&m, &config, 1);
  kept = run (&m, backend, FALSE);
  detached = run (&m, backend, TRUE);
  g_assert_cmpmem (kept, out_size * sizeof *kept, detached, out_size * sizeof *detached);

  values = m.params.total * sizeof *m.values;
  weights = seed_vit_weights_new_with (&config, &m.params, m.values, backend, &error);
  before = seed_vit_weights_bytes (weights);
  g_assert_true (seed_vit_weights_detach (weights, &m.params) == !backend->borrows);
  if (backend->borrows) {
    g_assert_cmpuint (seed_vit_weights_bytes (weights), ==, before);
  } else {
    static const double share[SEED_N_PRECISIONS] = { 1.15, 0.65, 0.4 };

    g_assert_cmpuint (seed_vit_weights_bytes (weights), >, before);
    g_assert_cmpfloat (
        (double) seed_vit_weights_bytes (weights), <, share[backend->precision] * (double) values);
  }
  model_clear (&m);
}

static void
test_detached (void)
{
  for_each_backend (check_detached);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (2);
  g_test_add_func ("/backend-vit/cosine", test_cosine);
  g_test_add_func ("/backend-vit/gradient", test_gradient);
  g_test_add_func ("/backend-vit/learning", test_learning);
  g_test_add_func ("/backend-vit/int8-training", test_int8_training);
  g_test_add_func ("/backend-vit/detached", test_detached);
  return g_test_run ();
}
