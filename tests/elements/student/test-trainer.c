/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <seed/error.h>
#include <string.h>

#include "remove-tree.h"
#include "student/trainer.h"

#define BATCH 8
#define IMAGE_BYTES (3 * 32 * 32)

static SeedTrainerConfig
tiny_config (void)
{
  SeedTrainerConfig config;

  seed_trainer_config_init (&config);
  config.learner.shape = (SeedStudentShape){
    .vit = { .image_size = 32,
        .patch_size = 16,
        .dim = 24,
        .depth = 2,
        .heads = 3,
        .mlp_dim = 48,
        .ln_eps = 1e-6,
        .activation = SEED_ACTIVATION_GELU,
        .mean = { 0.5f, 0.5f, 0.5f },
        .std = { 0.5f, 0.5f, 0.5f } },
    .embed_dim = 16,
  };
  config.seed = 1;
  config.lr = 3e-3;
  config.warmup = 5;
  return config;
}

/* Pairs of noisy copies of BATCH patterns; the target wants the copies together. */
static void
make_batch (guint8 *words, float *target, guint64 seed)
{
  SeedRng rng;

  seed_rng_init (&rng, seed);
  for (guint i = 0; i < BATCH; i++) {
    for (guint v = 0; v < 2; v++)
      for (guint k = 0; k < IMAGE_BYTES; k++)
        words[(2 * i + v) * IMAGE_BYTES + k] =
            (guint8) (((k * (i + 3)) % 200) + seed_rng_below (&rng, 40));
    for (guint j = 0; j < BATCH; j++)
      target[i * BATCH + j] = i == j ? 1.0f : 0.0f;
  }
}

static void
run (SeedTrainer *trainer, guint64 first, guint n, double *losses)
{
  g_autofree guint8 *words = g_malloc (2 * BATCH * IMAGE_BYTES);
  float target[BATCH * BATCH];
  SeedTrainerReport report;

  for (guint i = 0; i < n; i++) {
    make_batch (words, target, first + i);
    g_assert_true (seed_trainer_step (trainer,
        &(SeedTrainerBatch){ .b = BATCH, .words = words, .target = target }, &report, NULL));
    g_assert_cmpuint (report.step, ==, first + i + 1);
    losses[i] = report.losses.total;
  }
}

static SeedTrainer *
new_trainer (void)
{
  SeedTrainerConfig config = tiny_config ();
  SeedTrainer *trainer = seed_trainer_new (&config, NULL);

  g_assert_nonnull (trainer);
  g_assert_true (seed_trainer_reserve (trainer, BATCH, NULL));
  return trainer;
}

static void
test_loss_falls_and_repeats (void)
{
  g_autoptr (SeedTrainer) a = new_trainer ();
  g_autoptr (SeedTrainer) b = new_trainer ();
  gsize bytes = seed_trainer_get_params (a)->total * sizeof (float);
  double first[60], second[60];

  run (a, 0, 60, first);
  run (b, 0, 60, second);
  g_assert_cmpfloat (first[59], <, 0.5 * first[0]);
  g_assert_cmpmem (first, sizeof first, second, sizeof second);
  g_assert_cmpmem (seed_trainer_get_ema (a), bytes, seed_trainer_get_ema (b), bytes);
}

static void
test_not_finite_changes_nothing (void)
{
  g_autoptr (SeedTrainer) trainer = new_trainer ();
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *words = g_malloc0 (2 * BATCH * IMAGE_BYTES);
  gsize bytes = seed_trainer_get_params (trainer)->total * sizeof (float);
  g_autofree float *before = g_memdup2 (seed_trainer_get_ema (trainer), bytes);
  float target[BATCH * BATCH];
  SeedTrainerReport report;

  make_batch (words, target, 0);
  target[3] = NAN;
  g_assert_false (seed_trainer_step (trainer,
      &(SeedTrainerBatch){ .b = BATCH, .words = words, .target = target }, &report, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_cmpuint (seed_trainer_get_step (trainer), ==, 0);
  g_assert_cmpmem (seed_trainer_get_ema (trainer), bytes, before, bytes);
}

static void
test_resume_is_exact (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-trainer-XXXXXX", NULL);
  g_autoptr (SeedTrainer) straight = new_trainer ();
  g_autoptr (SeedTrainer) before = new_trainer ();
  g_autoptr (SeedTrainer) after = new_trainer ();
  double expected[12], got[12];
  gboolean resumed = TRUE;

  run (straight, 0, 12, expected);
  g_assert_true (seed_trainer_resume (before, folder, &resumed, NULL, NULL));
  g_assert_false (resumed);
  run (before, 0, 5, got);
  g_assert_true (seed_trainer_save (before, folder, NULL));
  g_assert_true (seed_trainer_resume (after, folder, &resumed, NULL, NULL));
  g_assert_true (resumed);
  g_assert_cmpuint (seed_trainer_get_step (after), ==, 5);
  run (after, 5, 7, got + 5);
  g_assert_cmpmem (got, sizeof got, expected, sizeof expected);
  remove_tree (folder);
}

static void
test_saved_model_starts_another (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-trainer-XXXXXX", NULL);
  g_autoptr (SeedTrainer) teacher = new_trainer ();
  g_autoptr (SeedTrainer) student = new_trainer ();
  g_autoptr (GError) error = NULL;
  const SeedParams *params = seed_trainer_get_params (teacher);
  double losses[5];

  run (teacher, 0, 5, losses);
  g_assert_true (seed_trainer_save (teacher, folder, &error));
  g_assert_no_error (error);
  g_assert_true (seed_trainer_load_model (student, folder, &error));
  g_assert_no_error (error);
  for (guint p = 0; p < params->n; p++)
    g_assert_cmpmem (seed_trainer_get_ema (student) + params->items[p].offset,
        params->items[p].size * sizeof (float),
        seed_trainer_get_ema (teacher) + params->items[p].offset,
        params->items[p].size * sizeof (float));
  remove_tree (folder);
}

static void
test_other_size_refused (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-trainer-XXXXXX", NULL);
  SeedTrainerConfig config = tiny_config ();
  g_autoptr (SeedTrainer) saved = new_trainer ();
  g_autoptr (SeedTrainer) other = NULL;
  g_autoptr (GError) error = NULL;
  gboolean resumed;

  config.learner.shape.vit.depth = 1;
  other = seed_trainer_new (&config, NULL);
  g_assert_true (seed_trainer_save (saved, folder, NULL));
  g_assert_false (seed_trainer_resume (other, folder, &resumed, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  g_clear_error (&error);
  g_assert_false (seed_trainer_load_model (other, folder, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  remove_tree (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/trainer/loss-falls-and-repeats", test_loss_falls_and_repeats);
  g_test_add_func ("/trainer/not-finite-changes-nothing", test_not_finite_changes_nothing);
  g_test_add_func ("/trainer/resume-is-exact", test_resume_is_exact);
  g_test_add_func ("/trainer/saved-model-starts-another", test_saved_model_starts_another);
  g_test_add_func ("/trainer/other-size-refused", test_other_size_refused);
  return g_test_run ();
}
