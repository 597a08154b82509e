/* SPDX-License-Identifier: MIT */
/*
 * The transformer over some of the words: built in float and in double, where its gradients are
 * compared with central differences.
 */
#include <seed/error.h>
#include <seed/pool.h>

#include "../nn/nn-util.h"

#define N_IMAGES 3

typedef struct {
  SeedVitConfig config;
  SeedParams params;
  SeedVit *vit;
  guint8 *words;
  guint32 kept[N_IMAGES * 64];
  guint8 no_position[N_IMAGES * 64];
  SeedVitSubset subset;
  float scale[3], shift[3];
  real *values;
  gsize n_out;
} Net;

static void
net_init (Net *net, const SeedVitConfig *config, guint n_kept, gboolean train)
{
  g_autoptr (GError) error = NULL;
  guint n_words = seed_vit_config_n_words (config);
  SeedRng rng;

  *net = (Net){ .config = *config };
  seed_rng_init (&rng, 5);
  seed_params_init (&net->params);
  seed_vit_append_params (config, &net->params);
  net->vit = seed_vit_new_subset (config, &net->params, N_IMAGES, n_kept, train, &error);
  g_assert_no_error (error);
  net->values = new_reals (net->params.total);
  fill_params (&net->params, net->values, &rng);
  net->words = random_words (config, N_IMAGES, &rng);
  seed_vit_config_normalisation (config, net->scale, net->shift);
  for (guint i = 0; i < N_IMAGES * n_kept; i++) {
    net->kept[i] = (guint32) seed_rng_below (&rng, n_words);
    net->no_position[i] = seed_rng_below (&rng, 2) != 0;
  }
  net->subset = (SeedVitSubset){ n_kept, net->kept, net->no_position };
  net->n_out = (gsize) N_IMAGES * (seed_vit_config_n_prefix (config) + n_kept) * config->dim;
}

static void
net_clear (Net *net)
{
  seed_vit_free (net->vit);
  seed_params_clear (&net->params);
  g_free (net->words);
  g_free (net->values);
}

static const real *
run (const Net *net)
{
  seed_vit_pack (net->vit, net->values);
  return seed_vit_run_subset (net->vit, net->scale, net->shift, net->words, N_IMAGES, &net->subset);
}

/* Every word in order, with its position: the same bits as without a subset, forward and back. */
static void
test_all_words (void)
{
  SeedVitConfig config = tiny_config (24, 4, 32, 2, 4, 48);
  g_autofree real *plain = NULL, *plain_grads = NULL, *grads = NULL;
  Net net;

  net_init (&net, &config, 36, TRUE);
  for (guint i = 0; i < N_IMAGES * 36; i++)
    net.kept[i] = i % 36;
  net.subset.no_position = NULL;
  plain =
      g_memdup2 (seed_vit_forward (net.vit, net.values, net.scale, net.shift, net.words, N_IMAGES),
          net.n_out * sizeof (real));
  plain_grads = new_reals (net.params.total);
  seed_vit_backward (net.vit, net.values, plain, plain_grads);
  g_assert_cmpmem (run (&net), net.n_out * sizeof (real), plain, net.n_out * sizeof (real));
  grads = new_reals (net.params.total);
  seed_vit_backward (net.vit, net.values, plain, grads);
  g_assert_cmpmem (
      grads, net.params.total * sizeof (real), plain_grads, net.params.total * sizeof (real));
  net_clear (&net);
}

/*
 * An image that consists of the kept words alone, in a model with their positions, gives the same
 * rows: two words of four, where a model of one row of two words has no other way to get there.
 */
static void
test_equals_smaller_image (void)
{
  SeedVitConfig config = tiny_config (12, 3, 20, 2, 2, 24),
                small = tiny_config (6, 3, 20, 2, 2, 24);
  static const guint32 kept[4] = { 14, 3, 6, 9 };
  static const guint8 no_position[4] = { 0, 1, 0, 1 };
  guint word_size = 27;
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedVit) vit = NULL;
  g_autofree real *values = NULL;
  g_autofree guint8 *words = NULL;
  const SeedParam *pos, *small_pos;
  const real *out;
  SeedParams params;
  Net net;

  net_init (&net, &config, 4, FALSE);
  seed_params_init (&params);
  seed_vit_append_params (&small, &params);
  values = new_reals (params.total);
  words = g_new (guint8, N_IMAGES * 4 * word_size);
  for (guint i = 0; i < params.n; i++) {
    const SeedParam *from = seed_params_lookup (&net.params, params.items[i].name);

    memcpy (values + params.items[i].offset, net.values + from->offset,
        params.items[i].size * sizeof (real));
  }
  pos = seed_params_lookup (&net.params, "pos");
  small_pos = seed_params_lookup (&params, "pos");
  for (guint i = 0; i < N_IMAGES * 4; i++) {
    net.kept[i] = kept[i % 4];
    net.no_position[i] = no_position[i % 4];
    memcpy (words + i * word_size, net.words + (i / 4 * 16 + kept[i % 4]) * word_size, word_size);
  }
  for (guint i = 0; i < 4; i++)
    for (guint k = 0; k < config.dim; k++)
      values[small_pos->offset + (1 + i) * config.dim + k] =
          no_position[i] ? 0 : net.values[pos->offset + (1 + kept[i]) * config.dim + k];

  vit = seed_vit_new (&small, &params, N_IMAGES, FALSE, &error);
  g_assert_no_error (error);
  out = run (&net);
  assert_close (
      out, seed_vit_forward (vit, values, net.scale, net.shift, words, N_IMAGES), net.n_out, 1e-5);
  seed_params_clear (&params);
  net_clear (&net);
}

/* After a subset the whole image is looked at again, and sizes may change from call to call. */
static void
test_plain_after_subset (void)
{
  SeedVitConfig config = tiny_config (24, 4, 32, 2, 4, 48);
  gsize size;
  g_autofree real *plain = NULL;
  Net net;

  net_init (&net, &config, 36, FALSE);
  size = net.n_out * sizeof (real);
  plain = g_memdup2 (
      seed_vit_forward (net.vit, net.values, net.scale, net.shift, net.words, N_IMAGES), size);
  for (net.subset.n_words = 1; net.subset.n_words < 30; net.subset.n_words += 9)
    g_assert_nonnull (run (&net));
  g_assert_cmpmem (
      seed_vit_forward (net.vit, net.values, net.scale, net.shift, net.words, N_IMAGES), size,
      plain, size);
  net_clear (&net);
}

static void
test_limits (void)
{
  SeedVitConfig config = tiny_config (24, 4, 32, 2, 4, 48);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedVit) large = NULL;
  Net net;

  net_init (&net, &config, 9, TRUE);
  large = seed_vit_new (&config, &net.params, N_IMAGES, TRUE, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (2 * seed_vit_memory_bytes (net.vit), <, seed_vit_memory_bytes (large));
  g_assert_null (seed_vit_new_subset (&config, &net.params, N_IMAGES, 37, TRUE, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);

  net.kept[N_IMAGES * 9 - 1] = 36; /* there are 0..35 */
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, "*subset_is_valid*");
  g_assert_null (run (&net));
  g_test_assert_expected_messages ();
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, "*max_words*");
  g_assert_null (seed_vit_forward (net.vit, net.values, net.scale, net.shift, net.words, N_IMAGES));
  g_test_assert_expected_messages ();
  net_clear (&net);
}

#ifdef SEED_REAL_DOUBLE
#define STEP 1e-5
#define LIMIT 1e-7 /* of a tensor's largest gradient */

static double
loss (const Net *net, const real *weight)
{
  const real *out = run (net);
  double sum = 0;

  for (gsize i = 0; i < net->n_out; i++)
    sum += out[i] * weight[i];
  return sum;
}

static void
check_gradients (const SeedVitConfig *config, guint n_kept)
{
  g_autofree real *weight = NULL, *grads = NULL;
  SeedRng rng;
  Net net;

  net_init (&net, config, n_kept, TRUE);
  seed_rng_init (&rng, 8);
  weight = new_reals (net.n_out);
  grads = new_reals (net.params.total);
  fill_normal (weight, net.n_out, 0, 1, &rng);
  run (&net);
  seed_vit_backward (net.vit, net.values, weight, grads);
  for (guint p = 0; p < net.params.n; p++) {
    const SeedParam *param = &net.params.items[p];
    g_autofree real *expected = new_reals (param->size);

    for (gsize i = 0; i < param->size; i++) {
      real *x = net.values + param->offset + i, keep = *x;
      double plus;

      *x = keep + STEP;
      plus = loss (&net, weight);
      *x = keep - STEP;
      expected[i] = (plus - loss (&net, weight)) / (2 * STEP);
      *x = keep;
    }
    g_test_message ("%s", param->name);
    assert_close (grads + param->offset, expected, param->size, LIMIT);
  }
  net_clear (&net);
}

static void
test_gradients (void)
{
  SeedVitConfig config = tiny_config (9, 3, 6, 2, 2, 10);

  check_gradients (&config, 4);
  check_gradients (&config, 1);
  config.n_registers = 2;
  check_gradients (&config, 5);
  config.no_cls = TRUE;
  config.n_registers = 0;
  config.pool = SEED_VIT_POOL_MEAN;
  check_gradients (&config, 3);
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (2);
  g_test_add_func ("/vit-subset/all-words", test_all_words);
  g_test_add_func ("/vit-subset/equals-smaller-image", test_equals_smaller_image);
  g_test_add_func ("/vit-subset/plain-after-subset", test_plain_after_subset);
  g_test_add_func ("/vit-subset/limits", test_limits);
#ifdef SEED_REAL_DOUBLE
  g_test_add_func ("/vit-subset/gradients", test_gradients);
#endif
  return g_test_run ();
}
