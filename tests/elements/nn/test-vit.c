/* SPDX-License-Identifier: MIT */
#include <seed/error.h>
#include <seed/pool.h>

#include "nn-util.h"
#include "nn/vit-weights.h"

/*
 * Counts allocations while `counting`, by standing in front of libc's. Sanitizers do the same, so
 * not under them.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAN_COUNT FALSE
static gint counting, n_allocations;
#else
#define CAN_COUNT TRUE
static gint counting, n_allocations;

extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *memory, size_t size);

static void
count (void)
{
  if (__atomic_load_n (&counting, __ATOMIC_RELAXED))
    __atomic_add_fetch (&n_allocations, 1, __ATOMIC_RELAXED);
}

void *
malloc (size_t size)
{
  count ();
  return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
  count ();
  return __libc_calloc (n, size);
}

void *
realloc (void *memory, size_t size)
{
  count ();
  return __libc_realloc (memory, size);
}
#endif

typedef struct {
  SeedVitConfig config;
  SeedParams params;
  float *values;
  guint8 *words;
  float scale[3], shift[3];
  guint n;
  gsize n_out; /* per image */
} Model;

static void
model_init (Model *model, guint n)
{
  SeedRng rng;

  *model = (Model){ .config = tiny_config (40, 8, 48, 3, 3, 160), .n = n };
  seed_rng_init (&rng, 31);
  seed_params_init (&model->params);
  seed_vit_append_params (&model->config, &model->params);
  model->values = new_reals (model->params.total);
  fill_params (&model->params, model->values, &rng);
  model->words = random_words (&model->config, n, &rng);
  seed_vit_config_normalisation (&model->config, model->scale, model->shift);
  model->n_out = (gsize) (1 + seed_vit_config_n_words (&model->config)) * model->config.dim;
}

static void
model_clear (Model *model)
{
  seed_params_clear (&model->params);
  g_free (model->values);
  g_free (model->words);
}

static SeedVit *
workspace (const Model *model, guint max_batch, gboolean train)
{
  g_autoptr (GError) error = NULL;
  SeedVit *vit = seed_vit_new (&model->config, &model->params, max_batch, train, &error);

  g_assert_no_error (error);
  return vit;
}

static void
test_sizes (void)
{
  SeedVitConfig config;

  g_assert_true (seed_vit_config_for_size (&config, "small", 224));
  g_assert_true (seed_vit_config_check (&config, NULL));
  g_assert_cmpuint (config.dim, ==, 384);
  g_assert_cmpuint (config.depth, ==, 12);
  g_assert_cmpuint (config.heads, ==, 6);
  g_assert_cmpuint (config.mlp_dim, ==, 1536);
  g_assert_cmpuint (seed_vit_config_n_words (&config), ==, 196);
  g_assert_true (seed_vit_config_for_size (&config, "mini", 64));
  g_assert_cmpuint (config.depth, ==, 6);
  g_assert_cmpuint (seed_vit_config_n_words (&config), ==, 16);
  g_assert_false (seed_vit_config_for_size (&config, "enormous", 64));
}

static void
assert_refused (const SeedVitConfig *config, SeedErrorCode code, const char *key)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (seed_vit_config_check (config, &error));
  g_assert_error (error, SEED_ERROR, (gint) code);
  if (!strstr (error->message, key))
    g_error ("\"%s\" does not name %s", error->message, key);
}

static void
test_config_check (void)
{
  const SeedVitConfig good = tiny_config (32, 8, 48, 2, 3, 96);
  SeedVitConfig bad;

  g_assert_true (seed_vit_config_check (&good, NULL));
#define REFUSED(field, value, code, key)                                                           \
  bad = good;                                                                                      \
  bad.field = value;                                                                               \
  assert_refused (&bad, code, key)
  REFUSED (image_size, 0, SEED_ERROR_INVALID, "image_size");
  REFUSED (image_size, 33, SEED_ERROR_INVALID, "image_size");
  REFUSED (image_size, 1u << 31, SEED_ERROR_LIMIT, "image_size");
  REFUSED (image_size, 8192, SEED_ERROR_LIMIT, "words");
  REFUSED (patch_size, 0, SEED_ERROR_INVALID, "patch_size");
  REFUSED (patch_size, 4096, SEED_ERROR_LIMIT, "patch_size");
  REFUSED (patch_size, 64, SEED_ERROR_INVALID, "patch_size");
  REFUSED (dim, 0, SEED_ERROR_INVALID, "hidden_size");
  REFUSED (dim, 47, SEED_ERROR_INVALID, "hidden_size");
  REFUSED (dim, G_MAXUINT, SEED_ERROR_LIMIT, "hidden_size");
  REFUSED (depth, 0, SEED_ERROR_INVALID, "num_hidden_layers");
  REFUSED (depth, 100000, SEED_ERROR_LIMIT, "num_hidden_layers");
  REFUSED (heads, 0, SEED_ERROR_INVALID, "num_attention_heads");
  REFUSED (mlp_dim, G_MAXUINT, SEED_ERROR_LIMIT, "intermediate_size");
  REFUSED (ln_eps, 0, SEED_ERROR_INVALID, "layer_norm_eps");
  REFUSED (ln_eps, NAN, SEED_ERROR_INVALID, "layer_norm_eps");
  REFUSED (activation, (SeedActivation) 99, SEED_ERROR_INVALID, "hidden_act");
  REFUSED (mean[1], INFINITY, SEED_ERROR_INVALID, "image_mean");
  REFUSED (std[2], 0, SEED_ERROR_INVALID, "image_std");
#undef REFUSED
}

static void
test_params (void)
{
  SeedVitConfig config = tiny_config (32, 8, 48, 2, 3, 96);
  const SeedParam *param;
  SeedParams params;
  gsize end = 0;

  seed_params_init (&params);
  seed_vit_append_params (&config, &params);
  g_assert_cmpuint (params.n, ==, 4 + 2 * 12 + 2);
  g_assert_cmpstr (params.items[0].name, ==, "cls");
  g_assert_cmpstr (params.items[3].name, ==, "patch.bias");
  g_assert_cmpstr (params.items[4].name, ==, "blocks.0.norm1.weight");
  g_assert_cmpstr (params.items[params.n - 1].name, ==, "norm.bias");
  for (guint i = 0; i < params.n; i++) {
    g_assert_cmpuint (params.items[i].offset % 16, ==, 0);
    g_assert_cmpuint (params.items[i].offset, >=, end);
    end = params.items[i].offset + params.items[i].size;
    /* weights of linear layers, and nothing else */
    g_assert_cmpint (params.items[i].decay, ==,
        params.items[i].n_dims == 2 && strcmp (params.items[i].name, "pos") != 0);
  }
  g_assert_cmpuint (params.total, >=, end);

  param = seed_params_lookup (&params, "blocks.1.qkv.weight");
  g_assert_cmpuint (param->shape[0], ==, 144);
  g_assert_cmpuint (param->shape[1], ==, 48);
  g_assert_cmpuint (param->size, ==, 144 * 48);
  g_assert_null (seed_params_lookup (&params, "blocks.2.qkv.weight"));
  g_assert_cmpuint (
      seed_params_append (&params, "head.weight", TRUE, 3, (gsize[]){ 2, 3, 5 }), ==, params.n - 1);
  g_assert_cmpuint (seed_params_lookup (&params, "head.weight")->size, ==, 30);
  seed_params_clear (&params);
  g_assert_cmpuint (params.n, ==, 0);
}

static void
test_init_random (void)
{
  SeedVitConfig config = tiny_config (32, 8, 96, 2, 3, 384);
  const SeedParam *weight, *bias, *norm;
  double sum = 0, squares = 0;
  SeedParams params;
  SeedRng rng;

  seed_params_init (&params);
  seed_vit_append_params (&config, &params);
  g_autofree real *values = new_reals (params.total);
  g_autofree real *again = new_reals (params.total);
  seed_rng_init (&rng, 1);
  seed_params_init_random (&params, values, &rng);
  seed_rng_init (&rng, 1);
  seed_params_init_random (&params, again, &rng);
  g_assert_cmpmem (values, params.total * sizeof *values, again, params.total * sizeof *again);

  weight = seed_params_lookup (&params, "blocks.0.fc1.weight");
  bias = seed_params_lookup (&params, "blocks.0.fc1.bias");
  norm = seed_params_lookup (&params, "blocks.0.norm2.weight");
  for (gsize i = 0; i < weight->size; i++) {
    double x = (double) values[weight->offset + i];

    g_assert_cmpfloat (fabs (x), <=, 0.04 + 1e-9);
    sum += x / (double) weight->size;
    squares += x * x / (double) weight->size;
  }
  g_assert_cmpfloat (fabs (sum), <, 5e-4);
  /* a normal cut at 2 sigma has a deviation of 0.8796 sigma */
  g_assert_cmpfloat_with_epsilon (sqrt (squares), 0.8796 * 0.02, 2e-4);
  for (gsize i = 0; i < bias->size; i++)
    g_assert_cmpfloat (values[bias->offset + i], ==, 0);
  for (gsize i = 0; i < norm->size; i++)
    g_assert_cmpfloat (values[norm->offset + i], ==, 1);
  seed_params_clear (&params);
}

/* What has no backward pass runs, and says so when it is to be trained. */
static void
test_refused_training (void)
{
  SeedVitConfig plain = tiny_config (32, 8, 48, 2, 3, 96), configs[5];
  static const char *const messages[] = { "a norm before the blocks", "a gated MLP",
    "a norm of the summary alone", "attention pooling", "a projection" };

  for (guint i = 0; i < G_N_ELEMENTS (configs); i++)
    configs[i] = plain;
  configs[0].pre_norm = TRUE;
  configs[1].gated = TRUE;
  configs[2].norm_place = SEED_VIT_NORM_SUMMARY;
  configs[3].pool = SEED_VIT_POOL_ATTENTION;
  configs[4].projection_dim = 7;
  for (guint i = 0; i < G_N_ELEMENTS (configs); i++) {
    g_autoptr (SeedVit) vit = NULL;
    g_autoptr (GError) error = NULL;
    SeedParams params;

    seed_params_init (&params);
    seed_vit_append_params (&configs[i], &params);
    vit = seed_vit_new (&configs[i], &params, 1, FALSE, &error);
    g_assert_no_error (error);
    g_assert_null (seed_vit_new (&configs[i], &params, 1, TRUE, &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED);
    g_assert_nonnull (strstr (error->message, messages[i]));
    seed_params_clear (&params);
  }
}

static void
test_refused_workspaces (void)
{
  SeedVitConfig config = tiny_config (32, 8, 48, 2, 3, 96);
  g_autoptr (GError) error = NULL;
  SeedParams params;

  seed_params_init (&params);
  g_assert_null (seed_vit_new (&config, &params, 1, FALSE, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "\"cls\""));
  g_clear_error (&error);

  seed_vit_append_params (&config, &params);
  config.mlp_dim = 100;
  g_assert_null (seed_vit_new (&config, &params, 1, FALSE, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  g_assert_nonnull (strstr (error->message, "\"blocks.0.fc1.weight\""));
  g_clear_error (&error);
  config.mlp_dim = 96;

  g_assert_null (seed_vit_new (&config, &params, 0, FALSE, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  g_assert_null (seed_vit_new (&config, &params, G_MAXUINT, TRUE, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_clear_error (&error);

  config.heads = 5;
  g_assert_null (seed_vit_new (&config, &params, 1, FALSE, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  seed_params_clear (&params);
}

/* What an image gives depends neither on its neighbours nor on what the workspace is for. */
static void
test_batch_independent (void)
{
  g_autoptr (SeedVit) all = NULL, one = NULL, training = NULL;
  gsize image_words;
  const float *out;
  Model model;

  model_init (&model, 5);
  all = workspace (&model, 5, FALSE);
  one = workspace (&model, 1, FALSE);
  training = workspace (&model, 7, TRUE);
  image_words = (gsize) seed_vit_config_n_words (&model.config) * 3 * 8 * 8;
  out = seed_vit_forward (all, model.values, model.scale, model.shift, model.words, 5);
  for (guint i = 0; i < 5; i++)
    assert_close (seed_vit_forward (one, model.values, model.scale, model.shift,
                      model.words + i * image_words, 1),
        out + i * model.n_out, model.n_out, 2e-5);
  assert_close (seed_vit_forward (training, model.values, model.scale, model.shift, model.words, 5),
      out, 5 * model.n_out, 2e-5);
  g_assert_cmpfloat (relative_error (out, out + model.n_out, model.n_out), >, 0.01);
  model_clear (&model);
}

static void
test_packed (void)
{
  g_autoptr (SeedVitWeights) weights = NULL;
  g_autoptr (SeedVit) vit = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree float *out = NULL;
  Model model;

  model_init (&model, 2);
  vit = workspace (&model, 2, FALSE);
  weights = seed_vit_weights_new (&model.config, &model.params, model.values, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (seed_vit_weights_bytes (weights), >, 0);
  out = g_memdup2 (seed_vit_forward (vit, model.values, model.scale, model.shift, model.words, 2),
      2 * model.n_out * sizeof *out);
  g_assert_cmpmem (seed_vit_forward_packed (vit, weights, model.scale, model.shift, model.words, 2),
      2 * model.n_out * sizeof *out, out, 2 * model.n_out * sizeof *out);
  model_clear (&model);
}

static void
test_fold_normalisation (void)
{
  const float one[3] = { 1, 1, 1 }, zero[3] = { 0, 0, 0 };
  g_autoptr (SeedVit) vit = NULL;
  g_autofree float *out = NULL;
  Model model;

  model_init (&model, 2);
  vit = workspace (&model, 2, FALSE);
  g_assert_cmpfloat_with_epsilon (255 * model.scale[0] + model.shift[0], (1 - 0.4) / 0.2, 1e-5);
  g_assert_cmpfloat_with_epsilon (model.shift[2], -0.6 / 0.4, 1e-6);
  out = g_memdup2 (seed_vit_forward (vit, model.values, model.scale, model.shift, model.words, 2),
      2 * model.n_out * sizeof *out);
  seed_vit_fold_normalisation (&model.config, &model.params, model.values);
  assert_close (
      seed_vit_forward (vit, model.values, one, zero, model.words, 2), out, 2 * model.n_out, 2e-5);
  model_clear (&model);
}

static void
test_memory (void)
{
  g_autoptr (SeedVit) one = NULL, eight = NULL, training = NULL;
  Model model;

  model_init (&model, 1);
  one = workspace (&model, 1, FALSE);
  eight = workspace (&model, 8, FALSE);
  training = workspace (&model, 8, TRUE);
  /* one image: the stream, qkv, attention, norm and output [T, d], the hidden rows [T, m] */
  g_assert_cmpuint (seed_vit_memory_bytes (one), >, 26 * (7 * 48 + 160) * sizeof (float));
  g_assert_cmpuint (seed_vit_memory_bytes (eight), >, seed_vit_memory_bytes (one));
  g_assert_cmpuint (seed_vit_memory_bytes (training), >, 2 * seed_vit_memory_bytes (eight));
  model_clear (&model);
}

/* By the project's own products; oneDNN, the best where the processor has no AVX-512, allocates in
 * every call. */
static void
test_allocates_nothing (void)
{
  const SeedBackend *own = seed_backend_find ("native", SEED_PRECISION_FLOAT32, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedVit) vit = NULL;
  g_autofree float *grads = NULL;
  g_autofree float *d_out = NULL;
  Model model;

  if (!CAN_COUNT) {
    g_test_skip ("the sanitizer owns malloc");
    return;
  }
  model_init (&model, 4);
  vit = seed_vit_new_with (&model.config, &model.params, 4, TRUE,
      own ? own : seed_backend_find ("openblas", SEED_PRECISION_FLOAT32, NULL), &error);
  g_assert_no_error (error);
  grads = new_reals (model.params.total);
  d_out = new_reals (4 * model.n_out);
  for (guint round = 0; round < 2; round++) { /* the first may set up OpenBLAS's own buffers */
    n_allocations = 0;
    g_atomic_int_set (&counting, TRUE);
    seed_vit_forward (vit, model.values, model.scale, model.shift, model.words, 4);
    seed_vit_backward (vit, model.values, d_out, grads);
    g_atomic_int_set (&counting, FALSE);
  }
  g_assert_cmpint (n_allocations, ==, 0);

  g_atomic_int_set (&counting, TRUE);
  g_free (g_malloc (100));
  g_atomic_int_set (&counting, FALSE);
  g_assert_cmpint (n_allocations, ==, 1); /* so the counter does count */
  model_clear (&model);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (2);
  g_test_add_func ("/nn/vit/sizes", test_sizes);
  g_test_add_func ("/nn/vit/config-check", test_config_check);
  g_test_add_func ("/nn/vit/params", test_params);
  g_test_add_func ("/nn/vit/init-random", test_init_random);
  g_test_add_func ("/nn/vit/refused-workspaces", test_refused_workspaces);
  g_test_add_func ("/nn/vit/refused-training", test_refused_training);
  g_test_add_func ("/nn/vit/batch-independent", test_batch_independent);
  g_test_add_func ("/nn/vit/packed", test_packed);
  g_test_add_func ("/nn/vit/fold-normalisation", test_fold_normalisation);
  g_test_add_func ("/nn/vit/memory", test_memory);
  g_test_add_func ("/nn/vit/allocates-nothing", test_allocates_nothing);
  return g_test_run ();
}
