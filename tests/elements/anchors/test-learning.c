/* SPDX-License-Identifier: MIT */
/*
 * The objective in float with the transformer behind it: what it learns from scenes of coloured
 * tiles, and that a seed gives the same bits twice.
 */
#include <seed/pool.h>

#include "anchors-util.h"
#include "anchors/alarms.h"
#include "anchors/views.h"
#include "nn/optim.h"

#define GRID 6
#define N (GRID * GRID)
#define PATCH 4
#define WORD (3 * PATCH * PATCH)
#define IMAGES 16
#define KEPT 12
#define COLOURS 12
#define BATCHES 2 /* seen again and again: what can be learned in seconds is learned by heart */

typedef struct {
  SeedVitConfig config;
  SeedAnchorsShape shape;
  SeedParams params;
  SeedVit *student, *teacher;
  SeedAnchors *anchors;
  SeedAnchorAlarms *alarms;
  real *values, *ema, *grads, *m, *v, *d_query;
  guint8 reference[IMAGES * N * WORD], query[IMAGES * N * WORD];
  guint32 kept[IMAGES * KEPT];
  guint8 no_position[IMAGES * KEPT];
  gint32 match[IMAGES * KEPT];
  guint64 frames[IMAGES];
  float scale[3], shift[3];
  guint64 step;
} Learner;

static real *
reals (gsize n)
{
  return g_aligned_alloc0 (n, sizeof (real), 64);
}

/* @backend: of the anchors' layers; the transformer is in float32. */
static void
learner_init_with (Learner *l, const SeedBackend *backend)
{
  g_autoptr (GError) error = NULL;
  SeedAnchorAlarmsConfig alarms;
  SeedAnchorsConfig config;
  SeedRng rng;

  l->config = tiny_config (GRID * PATCH, PATCH, 48, 2, 3, 96);
  seed_vit_config_normalisation (&l->config, l->scale, l->shift);
  seed_anchors_shape_init (&l->shape, &l->config);
  l->shape.n_anchors = 32;
  l->shape.anchor_dim = 32;
  g_assert_cmpuint (l->shape.grid, ==, GRID);
  seed_params_init (&l->params);
  seed_vit_append_params (&l->config, &l->params);
  seed_anchors_append_params (&l->shape, &l->params);
  seed_anchors_config_init (&config);
  l->student = seed_vit_new_subset (&l->config, &l->params, IMAGES, KEPT, TRUE, &error);
  g_assert_no_error (error);
  l->teacher = seed_vit_new (&l->config, &l->params, IMAGES, FALSE, &error);
  g_assert_no_error (error);
  l->anchors = seed_anchors_new (&l->shape, &config, &l->params, IMAGES, KEPT, backend, &error);
  g_assert_no_error (error);
  seed_anchor_alarms_config_init (&alarms, l->shape.n_anchors);
  alarms.window = 50;
  l->alarms = seed_anchor_alarms_new (&alarms, l->shape.n_anchors, N, &error);
  g_assert_no_error (error);
  l->values = reals (l->params.total);
  l->grads = reals (l->params.total);
  l->m = reals (l->params.total);
  l->v = reals (l->params.total);
  l->ema = reals (l->params.total);
  l->d_query = reals (IMAGES * (1 + KEPT) * l->config.dim);
  l->step = 0;
  seed_rng_init (&rng, 7);
  seed_params_init_random (&l->params, l->values, &rng);
  seed_anchors_normalise (l->anchors, l->values);
  memcpy (l->ema, l->values, l->params.total * sizeof *l->ema);
}

static void
learner_init (Learner *l)
{
  learner_init_with (l, NULL);
}

static void
learner_clear (Learner *l)
{
  seed_vit_free (l->student);
  seed_vit_free (l->teacher);
  seed_anchors_free (l->anchors);
  seed_anchor_alarms_free (l->alarms);
  seed_params_clear (&l->params);
  g_aligned_free (l->values);
  g_aligned_free (l->ema);
  g_aligned_free (l->grads);
  g_aligned_free (l->m);
  g_aligned_free (l->v);
  g_aligned_free (l->d_query);
}

/* The colour of a place in a scene: patches of a few cells, different from scene to scene. */
static guint
colour_at (guint64 scene, int x, int y)
{
  return (guint) (seed_hash (seed_hash (scene, (guint64) (x / 3)), (guint64) (y / 3)) % COLOURS);
}

static void
paint (guint8 *word, guint colour, SeedRng *rng)
{
  for (guint i = 0; i < WORD; i++) {
    guint level = 40 + 80 * (i / (PATCH * PATCH) == 0      ? colour % 3
                                : i / (PATCH * PATCH) == 1 ? colour / 3 % 2
                                                           : colour / 6);

    word[i] = (guint8) (level + seed_rng_below (rng, 12));
  }
}

/* The query is the reference moved by a whole number of cells, so part of it matches. */
static void
draw (Learner *l)
{
  SeedRng rng;

  seed_rng_init (&rng, seed_hash (99, l->step % BATCHES));
  for (guint i = 0; i < IMAGES; i++) {
    guint64 scene = seed_rng_next (&rng);
    int dx = (int) seed_rng_below (&rng, 3), dy = (int) seed_rng_below (&rng, 3);
    SeedAnchorsView reference = { 0, 0, GRID, GRID, FALSE };
    SeedAnchorsView query = { dx, dy, GRID, GRID, FALSE };

    l->frames[i] = scene;
    for (int w = 0; w < N; w++) {
      int x = w % GRID, y = w / GRID;

      paint (l->reference + (i * N + (guint) w) * WORD, colour_at (scene, x, y), &rng);
      paint (l->query + (i * N + (guint) w) * WORD, colour_at (scene, x + dx, y + dy), &rng);
    }
    seed_anchors_draw_words (seed_hash (scene, 1), N, KEPT, SEED_ANCHORS_DROPPED,
        l->kept + i * KEPT, l->no_position + i * KEPT);
    seed_anchors_match (&reference, &query, GRID, l->kept + i * KEPT, KEPT, l->match + i * KEPT);
  }
}

static SeedAnchorsLosses
learn (Learner *l)
{
  SeedVitSubset subset = { KEPT, l->kept, l->no_position };
  gsize d = l->config.dim;
  g_autoptr (GError) error = NULL;
  SeedAnchorsLosses losses;
  SeedAnchorsRows reference, query;

  draw (l);
  reference.rows =
      d + seed_vit_forward (l->teacher, l->ema, l->scale, l->shift, l->reference, IMAGES);
  reference.stride = (1 + N) * d;
  seed_anchors_assign (l->anchors, l->values, l->ema, &reference, l->frames, IMAGES, &error);
  g_assert_no_error (error);
  seed_vit_pack (l->student, l->values);
  query.rows = d + seed_vit_run_subset (l->student, l->scale, l->shift, l->query, IMAGES, &subset);
  query.stride = (1 + KEPT) * d;
  memset (l->grads, 0, l->params.total * sizeof *l->grads);
  memset (l->d_query, 0, IMAGES * (1 + KEPT) * d * sizeof *l->d_query);
  seed_anchors_loss (
      l->anchors, l->values, &query, KEPT, l->match, 1, &losses, l->grads, l->d_query + d);
  seed_vit_backward (l->student, l->values, l->d_query, l->grads);
  seed_gradient_clip (l->grads, l->params.total, 1);
  l->step++;
  seed_adamw_step (
      &seed_adamw_defaults, &l->params, l->step, 1e-3, l->grads, l->m, l->v, l->values);
  seed_anchors_normalise (l->anchors, l->values);
  seed_ema_update (l->ema, l->values, l->params.total, seed_ema_decay (0.99, l->step));
  seed_anchor_alarms_update (l->alarms, &losses, seed_anchors_get_assignment (l->anchors), IMAGES);
  return losses;
}

static void
test_learns (void)
{
  g_autofree Learner *l = g_new0 (Learner, 1);
  SeedAnchorsLosses first = { 0 }, last = { 0 };
  double k;

  learner_init (l);
  k = l->shape.n_anchors;
  for (guint i = 0; i < 300; i++) {
    SeedAnchorsLosses now = learn (l);
    SeedAnchorsLosses *sum = i < 10 ? &first : &last;

    if (i >= 10 && i < 290)
      continue;
    sum->location += now.location / 10;
    sum->word_location += now.word_location / 10;
    sum->assignment += now.assignment / 10;
    sum->perplexity += now.perplexity / 10;
    sum->word_accuracy += now.word_accuracy / 10;
  }
  g_test_message ("location %.3f -> %.3f, word %.3f -> %.3f, assignment %.3f -> %.3f, "
                  "anchors in use %.1f -> %.1f, words placed %.2f -> %.2f, position %.3f",
      first.location, last.location, first.word_location, last.word_location, first.assignment,
      last.assignment, first.perplexity, last.perplexity, first.word_accuracy, last.word_accuracy,
      seed_anchor_alarms_get (l->alarms)->position.adjusted);
  g_assert_cmpfloat (last.location, <, first.location - 0.15);
  g_assert_cmpfloat (last.word_location, <, first.word_location - 0.5);
  g_assert_cmpfloat (last.word_accuracy, >, 0.4);
  g_assert_cmpfloat (last.assignment, <, log (k) - 0.5);
  g_assert_cmpfloat (last.perplexity, >, 100 * k / 256);
  g_assert_cmpuint (seed_anchor_alarms_get (l->alarms)->flags, ==, 0);
  learner_clear (l);
}

static double
cosine (const real *a, const real *b, gsize n)
{
  double ab = 0, aa = 0, bb = 0;

  for (gsize i = 0; i < n; i++) {
    ab += (double) a[i] * (double) b[i];
    aa += (double) a[i] * (double) a[i];
    bb += (double) b[i] * (double) b[i];
  }
  return ab / sqrt (aa * bb);
}

/* In bfloat16 the first gradient points the same way, and the loss falls as it does in float32. */
static void
test_bfloat16 (void)
{
  g_autofree Learner *exact = g_new0 (Learner, 1), *rough = g_new0 (Learner, 1);
  const SeedBackend *backend = seed_backend_choose (NULL, "bfloat16", FALSE, NULL, NULL);
  double sums[2] = { 0, 0 }, first = 0;

  if (!backend) {
    g_test_skip ("nothing multiplies in bfloat16 here");
    return;
  }
  learner_init (exact);
  learner_init_with (rough, backend);
  for (guint i = 0; i < 80; i++) {
    double a = learn (exact).total, b = learn (rough).total;

    if (i == 0) {
      first = a;
      g_assert_cmpfloat (cosine (exact->grads, rough->grads, exact->params.total), >, 0.999);
      g_assert_cmpfloat (fabs (a - b), <, 0.005 * a);
    }
    if (i >= 60) {
      sums[0] += a / 20;
      sums[1] += b / 20;
    }
  }
  g_test_message ("loss %.4f -> %.4f in float32, %.4f in bfloat16", first, sums[0], sums[1]);
  g_assert_cmpfloat (sums[0], <, 0.9 * first);
  g_assert_cmpfloat (fabs (sums[0] - sums[1]), <, 0.02 * sums[0]);
  learner_clear (exact);
  learner_clear (rough);
}

static void
test_same_bits (void)
{
  g_autofree Learner *a = g_new0 (Learner, 1), *b = g_new0 (Learner, 1);

  learner_init (a);
  learner_init (b);
  for (guint i = 0; i < 3; i++) {
    SeedAnchorsLosses x = learn (a), y = learn (b);

    g_assert_cmpmem (&x, sizeof x, &y, sizeof y);
  }
  g_assert_cmpmem (
      a->values, a->params.total * sizeof (real), b->values, b->params.total * sizeof (real));
  learner_clear (a);
  learner_clear (b);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  seed_pool_configure (2);
  g_test_add_func ("/anchors/learning/learns", test_learns);
  g_test_add_func ("/anchors/learning/same-bits", test_same_bits);
  g_test_add_func ("/anchors/learning/bfloat16", test_bfloat16);
  return g_test_run ();
}
