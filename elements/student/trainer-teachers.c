/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "student/grid.h"
#include "student/trainer-private.h"

#define TOKENS_PER_IMAGE 16u /* that standardisation looks at: enough, and bounded */

static gboolean
same_teacher (const SeedTrainerTeacher *a, const SeedTrainerTeacher *b)
{
  return g_str_equal (a->space, b->space) && a->summary_dim == b->summary_dim &&
         a->token_dim == b->token_dim && a->grid == b->grid;
}

static gboolean
check_same (const SeedTrainer *trainer, const SeedTrainerTeacher *teachers, guint n, GError **error)
{
  if (n != trainer->n_teachers) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "the student learned from %u teachers so far, now there are %u; link the same ones, or use "
        "another checkpoint folder",
        trainer->n_teachers, n);
    return FALSE;
  }
  for (guint t = 0; t < n; t++) {
    const SeedTrainerTeacher *old = &trainer->teachers[t].info;

    if (same_teacher (old, &teachers[t]))
      continue;
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "teacher %u was \"%s\" (space %s, %u wide, tokens %u wide on a grid of %u), now it is "
        "\"%s\" (space %s, %u, %u, %u); link the same ones in the same order, or use another "
        "checkpoint folder",
        t, old->name, old->space, old->summary_dim, old->token_dim, old->grid, teachers[t].name,
        teachers[t].space, teachers[t].summary_dim, teachers[t].token_dim, teachers[t].grid);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_new (const SeedTrainer *trainer, const SeedTrainerTeacher *teachers, guint n, GError **error)
{
  if (n > SEED_LEARNER_MAX_TEACHERS) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "%u teachers; a student learns the features of up to %u", n, SEED_LEARNER_MAX_TEACHERS);
    return FALSE;
  }
  for (guint t = 0; t < n; t++) {
    const SeedTrainerTeacher *teacher = &teachers[t];

    if (teacher->summary_dim < 1 ||
        MAX (teacher->summary_dim, teacher->token_dim) > SEED_STANDARDISE_MAX_DIM ||
        (teacher->token_dim > 0) != (teacher->grid > 0)) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
          "teacher \"%s\": a summary of %u values and tokens of %u on a grid of %u cannot be "
          "learned; widths go up to %u",
          teacher->name, teacher->summary_dim, teacher->token_dim, teacher->grid,
          SEED_STANDARDISE_MAX_DIM);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
seed_trainer_uses_tokens (const SeedTrainer *trainer, guint teacher)
{
  return trainer->teachers[teacher].info.token_dim > 0 && trainer->config.learner.w_feat > 0;
}

static SeedDistilTeacher
distil_teacher (const SeedTrainerTeacher *info)
{
  return (SeedDistilTeacher){ info->summary_dim, info->token_dim };
}

static void
add_teacher (SeedTrainer *trainer, const SeedTrainerTeacher *info)
{
  const SeedLearnerConfig *config = &trainer->config.learner;
  guint t = trainer->n_teachers++, first = trainer->params.n;
  SeedTrainerTeacherState *teacher = &trainer->teachers[t];
  SeedDistilTeacher distil = distil_teacher (info);
  SeedRng rng;

  teacher->info = *info;
  teacher->info.name = g_strdup (info->name);
  teacher->info.space = g_strdup (info->space);
  teacher->summary_fit = seed_standardise_fit_new (info->name, info->summary_dim, NULL);
  if (seed_trainer_uses_tokens (trainer, t))
    teacher->token_fit = seed_standardise_fit_new (info->name, info->token_dim, NULL);
  if (config->w_seed > 0)
    seed_embed_queue_init (&trainer->queues[t], info->summary_dim, config->queue_size);
  seed_learner_append_teacher_params (config, &distil, t, &trainer->params);
  seed_rng_init (&rng, seed_hash (seed_hash_string (trainer->config.seed, "teacher"), t));
  seed_trainer_grow (trainer, first, &rng);
}

gboolean
seed_trainer_set_teachers (
    SeedTrainer *trainer, const SeedTrainerTeacher *teachers, guint n_teachers, GError **error)
{
  if (trainer->n_teachers > 0)
    return check_same (trainer, teachers, n_teachers, error);
  g_return_val_if_fail (n_teachers == 0 || trainer->max_items == 0, FALSE);
  if (!check_new (trainer, teachers, n_teachers, error))
    return FALSE;
  for (guint t = 0; t < n_teachers; t++)
    add_teacher (trainer, &teachers[t]);
  return TRUE;
}

guint
seed_trainer_n_teachers (const SeedTrainer *trainer)
{
  return trainer->n_teachers;
}

const SeedTrainerTeacher *
seed_trainer_get_teacher (const SeedTrainer *trainer, guint index)
{
  return &trainer->teachers[index].info;
}

static float *
floats (gsize n)
{
  return g_aligned_alloc0 (n, sizeof (float), 64);
}

void
seed_trainer_reserve_teachers (SeedTrainer *trainer)
{
  const SeedVitConfig *vit = &trainer->config.learner.shape.vit;
  gsize rows = SEED_VIEWS * (gsize) trainer->max_items;
  gsize words = rows * seed_vit_config_n_words (vit);

  for (guint t = 0; t < trainer->n_teachers; t++) {
    SeedTrainerTeacherState *teacher = &trainer->teachers[t];

    teacher->summary_target = floats (rows * teacher->info.summary_dim);
    if (!seed_trainer_uses_tokens (trainer, t))
      continue;
    teacher->token_target = floats (words * teacher->info.token_dim);
    if (teacher->info.grid != vit->image_size / vit->patch_size)
      teacher->resampled = floats (words * teacher->info.token_dim);
  }
}

void
seed_trainer_release_teachers (SeedTrainer *trainer)
{
  for (guint t = 0; t < trainer->n_teachers; t++) {
    g_clear_pointer (&trainer->teachers[t].summary_target, g_aligned_free);
    g_clear_pointer (&trainer->teachers[t].token_target, g_aligned_free);
    g_clear_pointer (&trainer->teachers[t].resampled, g_aligned_free);
  }
}

void
seed_trainer_clear_teachers (SeedTrainer *trainer)
{
  seed_trainer_release_teachers (trainer);
  for (guint t = 0; t < trainer->n_teachers; t++) {
    SeedTrainerTeacherState *teacher = &trainer->teachers[t];

    g_free ((char *) teacher->info.name);
    g_free ((char *) teacher->info.space);
    seed_standardise_free (teacher->summary);
    seed_standardise_free (teacher->tokens);
    seed_standardise_fit_free (teacher->summary_fit);
    seed_standardise_fit_free (teacher->token_fit);
    seed_embed_queue_clear (&trainer->queues[t]);
  }
  trainer->n_teachers = 0;
}

/* ---- standardisation ---- */

gboolean
seed_trainer_is_calibrated (const SeedTrainer *trainer)
{
  return trainer->n_teachers == 0 || trainer->teachers[0].summary != NULL;
}

/* Some tokens of every image, others in every next image. */
static gboolean
add_tokens (SeedTrainer *trainer, SeedTrainerTeacherState *teacher, const float *tokens,
    guint n_images, GError **error)
{
  gsize dim = teacher->info.token_dim, n = (gsize) teacher->info.grid * teacher->info.grid;
  guint per_image = (guint) MIN (n, TOKENS_PER_IMAGE);
  g_autofree float *some = g_new (float, n_images *per_image *dim);

  for (guint i = 0; i < n_images; i++)
    for (guint k = 0; k < per_image; k++) {
      gsize at = (k * n / per_image + trainer->n_calibrated + i) % n;

      memcpy (some + (i * (gsize) per_image + k) * dim, tokens + (i * n + at) * dim,
          dim * sizeof (float));
    }
  return seed_standardise_fit_add (
      teacher->token_fit, some, dim, (gsize) n_images * per_image, error);
}

static gboolean
finish_calibration (SeedTrainer *trainer, GError **error)
{
  for (guint t = trainer->n_teachers; t-- > 0;) { /* the first one last: it says that all are */
    SeedTrainerTeacherState *teacher = &trainer->teachers[t];

    if (teacher->token_fit &&
        !(teacher->tokens = seed_standardise_fit_finish (teacher->token_fit, error)))
      return FALSE;
    teacher->summary = seed_standardise_fit_finish (teacher->summary_fit, error);
    if (!teacher->summary)
      return FALSE;
    g_clear_pointer (&teacher->summary_fit, seed_standardise_fit_free);
    g_clear_pointer (&teacher->token_fit, seed_standardise_fit_free);
  }
  return TRUE;
}

gboolean
seed_trainer_calibrate (SeedTrainer *trainer, const SeedTrainerBatch *batch, GError **error)
{
  guint n_images = SEED_VIEWS * batch->b;

  g_return_val_if_fail (!seed_trainer_is_calibrated (trainer) && batch->teachers, FALSE);

  for (guint t = 0; t < trainer->n_teachers; t++) {
    SeedTrainerTeacherState *teacher = &trainer->teachers[t];
    const SeedTrainerFeatures *features = &batch->teachers[t];

    if (!seed_standardise_fit_add (
            teacher->summary_fit, features->summary, teacher->info.summary_dim, n_images, error))
      return FALSE;
    if (teacher->token_fit && !add_tokens (trainer, teacher, features->tokens, n_images, error))
      return FALSE;
  }
  trainer->n_calibrated += batch->b;
  return trainer->n_calibrated < trainer->config.calibration || finish_calibration (trainer, error);
}

void
seed_trainer_make_targets (
    SeedTrainer *trainer, const SeedTrainerBatch *batch, SeedDistilTarget *targets)
{
  const SeedVitConfig *vit = &trainer->config.learner.shape.vit;
  guint n_images = SEED_VIEWS * batch->b, grid = vit->image_size / vit->patch_size;

  for (guint t = 0; t < trainer->n_teachers; t++) {
    SeedTrainerTeacherState *teacher = &trainer->teachers[t];
    const float *tokens = batch->teachers[t].tokens;

    seed_standardise_apply (
        teacher->summary, batch->teachers[t].summary, n_images, teacher->summary_target);
    targets[t] = (SeedDistilTarget){ .summary = teacher->summary_target };
    if (!teacher->tokens)
      continue;
    if (teacher->resampled) {
      /* before standardisation, with which it commutes: there are fewer after, mostly */
      seed_grid_resample (
          tokens, teacher->info.grid, n_images, teacher->info.token_dim, teacher->resampled, grid);
      tokens = teacher->resampled;
    }
    seed_standardise_apply (
        teacher->tokens, tokens, (gsize) n_images * grid * grid, teacher->token_target);
    targets[t].tokens = teacher->token_target;
  }
}
