/* SPDX-License-Identifier: MIT */
/* A trainer that learns image anchors: it gets somewhere, repeats, resumes exactly, is watched, and
 * what it saves is a student that has anchors. */
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "remove-tree.h"
#include "student/student-files.h"
#include "student/trainer.h"

enum { B = 16, GRID = 6, PATCH = 8, N = GRID * GRID, WORD = 3 * PATCH * PATCH, KINDS = 4 };

typedef struct {
  guint8 words[2 * B * N * WORD];
  SeedAnchorsView views[2 * B];
  guint64 frames[B], draws[B];
  gint32 labels[B];
  SeedTrainerAnchors anchors;
  SeedTrainerBatch batch;
} Scene;

static SeedTrainerConfig
make_config (SeedObjective objective)
{
  SeedTrainerConfig config;

  seed_trainer_config_init (&config);
  config.learner.objective = objective;
  config.learner.n_classes = KINDS;
  config.learner.shape = (SeedStudentShape){ .vit = { .image_size = GRID * PATCH,
                                                 .patch_size = PATCH,
                                                 .dim = 32,
                                                 .depth = 2,
                                                 .heads = 2,
                                                 .mlp_dim = 64,
                                                 .ln_eps = 1e-6,
                                                 .activation = SEED_ACTIVATION_GELU,
                                                 .mean = { 0.5f, 0.5f, 0.5f },
                                                 .std = { 0.5f, 0.5f, 0.5f } },
    .embed_dim = 16 };
  config.seed = 4;
  config.lr = 2e-3;
  config.warmup = 5;
  return config;
}

/* Coloured tiles; the query is the reference moved by whole cells. Batches repeat after two. */
static void
fill (Scene *scene, guint64 number)
{
  SeedRng rng;

  seed_rng_init (&rng, seed_hash (3, number % 2));
  for (guint i = 0; i < B; i++) {
    guint64 kind = seed_rng_next (&rng);
    guint dx = (guint) seed_rng_below (&rng, 3), dy = (guint) seed_rng_below (&rng, 3);

    scene->frames[i] = kind;
    scene->draws[i] = seed_hash (kind, number);
    scene->labels[i] = (gint32) (kind % KINDS);
    scene->views[2 * i] = (SeedAnchorsView){ 0, 0, GRID, GRID, FALSE };
    scene->views[2 * i + 1] = (SeedAnchorsView){ dx, dy, GRID, GRID, FALSE };
    for (guint v = 0; v < 2; v++)
      for (guint w = 0; w < N; w++) {
        guint x = w % GRID + v * dx, y = w / GRID + v * dy;
        guint64 colour = seed_hash (seed_hash (kind, x / 2), y / 2);
        guint8 *word = scene->words + ((2 * i + v) * N + w) * WORD;

        for (guint k = 0; k < WORD; k++)
          word[k] = (guint8) (40 + 50 * (colour >> (k / (PATCH * PATCH) * 8) & 3) +
                              seed_rng_below (&rng, 10));
      }
  }
  scene->anchors = (SeedTrainerAnchors){ scene->views, scene->frames, scene->draws };
  scene->batch = (SeedTrainerBatch){
    .b = B, .words = scene->words, .labels = scene->labels, .anchors = &scene->anchors
  };
}

static SeedTrainer *
trainer_new (const SeedTrainerConfig *config)
{
  SeedTrainer *trainer = seed_trainer_new (config, NULL);

  g_assert_nonnull (trainer);
  g_assert_true (seed_trainer_reserve (trainer, B, NULL));
  return trainer;
}

static SeedTrainerReport
step (SeedTrainer *trainer)
{
  g_autofree Scene *scene = g_new0 (Scene, 1);
  SeedTrainerReport report;

  fill (scene, seed_trainer_get_step (trainer));
  g_assert_true (seed_trainer_step (trainer, &scene->batch, &report, NULL));
  g_assert_true (report.learned);
  return report;
}

static void
assert_unit_anchors (const SeedTrainer *trainer)
{
  const SeedParam *anchors = seed_params_lookup (seed_trainer_get_params (trainer), "anchors");

  g_assert_nonnull (anchors);
  g_assert_cmpuint (anchors->shape[0], ==, SEED_ANCHORS_N);
  for (gsize k = 0; k < anchors->shape[0]; k++) {
    const float *c = seed_trainer_get_ema (trainer) + anchors->offset + k * anchors->shape[1];
    double square = 0;

    for (gsize e = 0; e < anchors->shape[1]; e++)
      square += (double) c[e] * c[e];
    g_assert_cmpfloat_with_epsilon (square, 1, 1e-5);
  }
}

static void
test_learns (void)
{
  SeedTrainerConfig config = make_config (SEED_OBJECTIVE_ANCHORS);
  g_autoptr (SeedTrainer) trainer = trainer_new (&config), again = trainer_new (&config);
  SeedTrainerReport first, last;

  assert_unit_anchors (trainer);
  first = step (trainer);
  g_assert_cmpfloat (first.losses.total, ==, step (again).losses.total);
  for (guint i = 0; i < 80; i++)
    last = step (trainer);
  assert_unit_anchors (trainer);
  g_test_message ("total %g -> %g, assignment %g -> %g, in use %g -> %g", first.losses.anchors,
      last.losses.anchors, first.losses.anchor_losses.assignment,
      last.losses.anchor_losses.assignment, first.losses.anchor_losses.perplexity,
      last.losses.anchor_losses.perplexity);
  g_assert_cmpfloat (last.losses.anchors, <, first.losses.anchors - 0.3);
  g_assert_cmpfloat (
      last.losses.anchor_losses.assignment, <, first.losses.anchor_losses.assignment - 0.2);
  g_assert_cmpfloat (last.losses.anchor_losses.location, <, first.losses.anchor_losses.location);
  g_assert_true (isnan (last.losses.similarity) && isnan (last.losses.agreement));
}

/* Batches that are held out tell better weights from worse ones, also when nothing but anchors is
 * learned. */
static void
test_score (void)
{
  SeedTrainerConfig config = make_config (SEED_OBJECTIVE_ANCHORS);
  g_autoptr (SeedTrainer) trainer = seed_trainer_new (&config, NULL);
  gsize n = seed_trainer_get_params (trainer)->total;
  g_autofree float *early = g_new (float, n);
  SeedTrainerScore then, now;

  seed_trainer_enable_probe (trainer, B);
  g_assert_true (seed_trainer_reserve (trainer, B, NULL));
  for (guint i = 0; i < 100; i++) {
    g_autofree Scene *scene = g_new0 (Scene, 1);
    SeedTrainerReport report;

    fill (scene, i);
    if (!seed_trainer_hold_out (trainer, &scene->batch))
      g_assert_true (seed_trainer_step (trainer, &scene->batch, &report, NULL));
    if (i == 4)
      memcpy (early, seed_trainer_get_ema (trainer), n * sizeof *early);
  }
  g_assert_cmpuint (seed_trainer_n_held (trainer), ==, B);
  then = seed_trainer_score (trainer, early, n);
  now = seed_trainer_score (trainer, seed_trainer_get_ema (trainer), n);
  g_assert_cmpuint (now.n_items, ==, B);
  g_assert_cmpfloat (now.loss, >, 0);
  g_assert_cmpfloat (now.loss, <, 0.9 * then.loss);
}

static void
test_together (void)
{
  SeedTrainerConfig config = make_config (SEED_OBJECTIVE_ANCHORS | SEED_OBJECTIVE_LABELS);
  g_autoptr (SeedTrainer) trainer = trainer_new (&config);
  SeedTrainerReport first = step (trainer), last = first;

  for (guint i = 0; i < 60; i++)
    last = step (trainer);
  g_assert_cmpfloat (last.losses.labels, <, 0.8 * first.losses.labels);
  g_assert_cmpfloat (last.losses.anchors, <, first.losses.anchors);
  g_assert_cmpfloat_with_epsilon (
      last.losses.total, last.losses.labels + last.losses.anchors + last.losses.histogram, 1e-6);
}

/* The same as without having been saved, to the last bit, and the model has the anchors. */
static void
test_resume (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-anchors-XXXXXX", NULL);
  SeedTrainerConfig config = make_config (SEED_OBJECTIVE_ANCHORS);
  g_autoptr (SeedTrainer) straight = trainer_new (&config),
                          resumed = seed_trainer_new (&config, NULL);
  SeedCheckpoint checkpoint = { 0 };
  SeedStudentShape shape;
  gboolean found;

  for (guint i = 0; i < 4; i++)
    step (straight);
  g_assert_true (seed_trainer_save (straight, folder, NULL));
  g_assert_true (seed_trainer_resume (resumed, folder, &found, NULL, NULL));
  g_assert_true (found);
  g_assert_true (seed_trainer_reserve (resumed, B, NULL));
  g_assert_true (seed_student_load (&checkpoint, &shape, folder, NULL));
  g_assert_true (shape.anchors);
  g_assert_cmpmem (checkpoint.values, checkpoint.params.total * sizeof (float),
      seed_trainer_get_ema (straight), seed_trainer_get_params (straight)->total * sizeof (float));
  seed_checkpoint_clear (&checkpoint);
  for (guint i = 0; i < 3; i++) {
    SeedTrainerReport a = step (straight), b = step (resumed);

    g_assert_cmpfloat (a.losses.total, ==, b.losses.total);
    g_assert_cmpfloat (a.grad_norm, ==, b.grad_norm);
  }
  g_assert_cmpmem (seed_trainer_get_ema (straight),
      seed_trainer_get_params (straight)->total * sizeof (float), seed_trainer_get_ema (resumed),
      seed_trainer_get_params (resumed)->total * sizeof (float));
  remove_tree (folder);
}

/* A student starts alike whatever it learns from, may begin to learn anchors, and may stop to. */
static void
test_starts_from (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-anchors-XXXXXX", NULL);
  g_autofree char *with = g_build_filename (folder, "with", NULL);
  g_autofree char *without = g_build_filename (folder, "without", NULL);
  SeedTrainerConfig anchors = make_config (SEED_OBJECTIVE_ANCHORS);
  SeedTrainerConfig labels = make_config (SEED_OBJECTIVE_LABELS);
  g_autoptr (SeedTrainer) a = trainer_new (&anchors), b = trainer_new (&labels);
  gsize student = seed_trainer_get_params (b)->total * sizeof (float);
  g_autoptr (SeedTrainer) c = NULL, d = NULL;

  g_assert_cmpmem (seed_trainer_get_ema (a), student, seed_trainer_get_ema (b), student);
  step (a);
  step (b);
  g_assert_true (seed_trainer_save (a, with, NULL));
  g_assert_true (seed_trainer_save (b, without, NULL));
  c = seed_trainer_new (&anchors, NULL);
  d = seed_trainer_new (&labels, NULL);
  g_assert_true (seed_trainer_load_model (c, without, NULL));
  g_assert_true (seed_trainer_load_model (d, with, NULL));
  g_assert_cmpmem (seed_trainer_get_ema (c), student, seed_trainer_get_ema (b), student);
  g_assert_cmpmem (seed_trainer_get_ema (d), student, seed_trainer_get_ema (a), student);
  assert_unit_anchors (c);
  remove_tree (folder);
}

/* Too few frames: nothing changes but what is counted, and that is said once. */
static void
test_refused (void)
{
  SeedTrainerConfig config = make_config (SEED_OBJECTIVE_ANCHORS);
  g_autoptr (SeedTrainer) trainer = trainer_new (&config);
  g_autofree Scene *scene = g_new0 (Scene, 1);
  SeedTrainerReport report;

  fill (scene, 0);
  scene->frames[3] = scene->frames[4];
  for (guint i = 0; i < 2; i++) {
    g_assert_true (seed_trainer_step (trainer, &scene->batch, &report, NULL));
    g_assert_false (report.learned);
    g_assert_true (report.losses.anchors_refused);
    g_assert_cmpuint (report.step, ==, 0);
    g_assert_cmpuint (seed_anchor_alarms_n_refused (&report.alarms), ==, i + 1);
    g_assert_cmpuint (report.raised, ==, i == 0 ? SEED_ANCHOR_ALARM_FRAMES : 0);
  }
  report = step (trainer);
  g_assert_cmpuint (report.alarms.flags & SEED_ANCHOR_ALARM_FRAMES, ==, 0);
}

/* A guard turned round makes all words choose one anchor, which is noticed. */
static void
test_collapse_is_noticed (void)
{
  SeedTrainerConfig config = make_config (SEED_OBJECTIVE_ANCHORS);
  g_autoptr (SeedTrainer) trainer = NULL;
  gboolean raised = FALSE;

  config.learner.anchors.w_guard = -30;
  trainer = trainer_new (&config);
  for (guint i = 0; i < 60 && !raised; i++)
    raised = (step (trainer).raised & SEED_ANCHOR_ALARM_PERPLEXITY) != 0;
  g_assert_true (raised);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/anchors-learning/learns", test_learns);
  g_test_add_func ("/anchors-learning/score", test_score);
  g_test_add_func ("/anchors-learning/together", test_together);
  g_test_add_func ("/anchors-learning/resume", test_resume);
  g_test_add_func ("/anchors-learning/starts-from", test_starts_from);
  g_test_add_func ("/anchors-learning/refused", test_refused);
  g_test_add_func ("/anchors-learning/collapse-is-noticed", test_collapse_is_noticed);
  return g_test_run ();
}
