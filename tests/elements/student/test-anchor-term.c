/* SPDX-License-Identifier: MIT */
/* The image-anchor loss through the student, built in double: every parameter against central
 * differences, the assignment kept as the constant that it is. */
#include "differences.h"
#include "student/anchor-term.h"

enum { B = 3, SIZE = 32, PATCH = 8, N = 16, E = 10 };

typedef struct {
  SeedVitConfig vit;
  SeedParams params;
  SeedAnchorTerm *term;
  real *values, *ema, *grads;
  guint8 words[2 * B * 3 * SIZE * SIZE];
  SeedAnchorsView views[2 * B];
  guint64 frames[B], draws[B];
  SeedAnchorTermBatch batch;
} Net;

static void
fill_batch (Net *net, SeedRng *rng)
{
  for (gsize i = 0; i < sizeof net->words; i++)
    net->words[i] = (guint8) seed_rng_next (rng);
  for (guint i = 0; i < B; i++) {
    net->frames[i] = seed_rng_next (rng);
    net->draws[i] = seed_rng_next (rng);
    net->views[2 * i] = (SeedAnchorsView){ 0, 0, 1, 1, FALSE };
    net->views[2 * i + 1] = (SeedAnchorsView){ 0.3, 0.1 * i, 0.7, 0.5, i == 2 };
  }
  net->batch = (SeedAnchorTermBatch){ net->ema, net->views, net->frames, net->draws };
}

static Net *
net_new (void)
{
  Net *net = g_new0 (Net, 1);
  SeedAnchorsConfig config;
  SeedAnchorsShape shape;
  SeedRng rng;

  seed_rng_init (&rng, 5);
  net->vit = (SeedVitConfig){ .image_size = SIZE,
    .patch_size = PATCH,
    .dim = 12,
    .depth = 2,
    .heads = 3,
    .mlp_dim = 20,
    .ln_eps = 1e-6,
    .activation = SEED_ACTIVATION_GELU,
    .std = { 1, 1, 1 } };
  seed_vit_append_params (&net->vit, &net->params);
  seed_anchors_shape_init (&shape, &net->vit);
  seed_layer_append_linear (&net->params, "embed_head", E, net->vit.dim);
  seed_anchors_append_params (&shape, &net->params);
  seed_histogram_append_params (shape.n_anchors, E, &net->params);
  seed_anchors_config_init (&config);
  config.min_frames = B;
  net->term = seed_anchor_term_new (&net->vit, &config, &net->params, B, NULL, NULL);
  g_assert_nonnull (net->term);
  net->values = seed_reals_new (net->params.total);
  net->ema = seed_reals_new (net->params.total);
  net->grads = seed_reals_new (net->params.total);
  fill_normal (&rng, net->values, net->params.total, 0.3);
  fill_normal (&rng, net->ema, net->params.total, 0.3);
  seed_anchors_normalise_params (&net->params, net->values);
  fill_batch (net, &rng);
  return net;
}

static void
net_free (Net *net)
{
  seed_anchor_term_free (net->term);
  seed_params_clear (&net->params);
  g_aligned_free (net->values);
  g_aligned_free (net->ema);
  g_aligned_free (net->grads);
  g_free (net);
}

static gboolean
assign (Net *net)
{
  return seed_anchor_term_assign (net->term, net->values, net->words, &net->batch, B, NULL);
}

static double
total (gpointer data)
{
  Net *net = data;
  SeedAnchorsLosses losses;
  double histogram =
      seed_anchor_term_loss (net->term, net->values, net->words, 1, 1, &losses, NULL);

  return 0.7 * losses.total + 1.3 * histogram;
}

static void
test_gradients (void)
{
  Net *net = net_new ();
  SeedAnchorsLosses losses;

  g_assert_true (assign (net));
  seed_anchor_term_loss (net->term, net->values, net->words, 0.7, 1.3, &losses, net->grads);
  g_assert_cmpuint (losses.n_matched, ==, B * N / 4); /* the reference shows all of it */
  for (guint p = 0; p < net->params.n; p++) {
    const SeedParam *param = &net->params.items[p];

    check_gradient (param->name, net->values + param->offset, net->grads + param->offset,
        param->size, 1 + param->size / 12, total, net);
  }
  net_free (net);
}

/* Of the reference words of an image, the share that shows anchor @k. */
static double
share_of (const real *assignment, guint n_anchors, guint image, guint k)
{
  double share = 0;

  for (guint u = 0; u < N; u++)
    share += assignment[((gsize) image * N + u) * n_anchors + k] / N;
  return share;
}

/* KL is 0 for who tells the histogram exactly: a bias of its logarithm, whatever the image. */
static void
test_histogram (void)
{
  Net *net = net_new ();
  const SeedParam *weight = seed_params_lookup (&net->params, "anchor_histogram.weight");
  const SeedParam *bias = seed_params_lookup (&net->params, "anchor_histogram.bias");
  const real *assignment;
  SeedAnchorsLosses losses;
  double before, expected = 0;

  g_assert_true (assign (net));
  before = seed_anchor_term_loss (net->term, net->values, net->words, 1, 1, &losses, NULL);
  memset (net->values + weight->offset, 0, weight->size * sizeof (real));
  assignment = seed_anchor_term_get_assignment (net->term);
  for (guint k = 0; k < bias->size; k++)
    net->values[bias->offset + k] =
        (real) log (MAX (share_of (assignment, (guint) bias->size, 0, k), 1e-30));
  /* right for the first image, and as wrong for the others as their histograms differ from its */
  for (guint i = 1; i < B; i++)
    for (guint k = 0; k < bias->size; k++) {
      double share = share_of (assignment, (guint) bias->size, i, k);

      if (share > 0)
        expected += share * (log (share) - net->values[bias->offset + k]) / B;
    }
  g_assert_cmpfloat_with_epsilon (
      seed_anchor_term_loss (net->term, net->values, net->words, 1, 1, &losses, NULL), expected,
      1e-9);
  g_assert_cmpfloat (before, >, 0);
  net_free (net);
}

/* The words that are kept are a function of the seeds, and make a difference. */
static void
test_draws (void)
{
  Net *net = net_new ();
  double first;

  g_assert_true (assign (net));
  first = total (net);
  g_assert_true (assign (net));
  g_assert_cmpfloat (total (net), ==, first);
  net->draws[1]++;
  g_assert_true (assign (net));
  g_assert_cmpfloat (total (net), !=, first);
  net_free (net);
}

/* What the query shows is where the reference is matched: elsewhere, another loss. */
static void
test_views (void)
{
  Net *net = net_new ();
  SeedAnchorsLosses losses;

  net->views[1] = (SeedAnchorsView){ 2, 2, 1, 1, FALSE };
  g_assert_true (assign (net));
  seed_anchor_term_loss (net->term, net->values, net->words, 1, 1, &losses, NULL);
  g_assert_cmpuint (losses.n_matched, ==, (B - 1) * N / 4);
  net_free (net);
}

static void
test_few_frames (void)
{
  Net *net = net_new ();

  net->frames[2] = net->frames[0];
  g_assert_false (assign (net));
  net_free (net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/anchor-term/gradients", test_gradients);
  g_test_add_func ("/anchor-term/histogram", test_histogram);
  g_test_add_func ("/anchor-term/draws", test_draws);
  g_test_add_func ("/anchor-term/views", test_views);
  g_test_add_func ("/anchor-term/few-frames", test_few_frames);
  return g_test_run ();
}
