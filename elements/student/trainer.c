/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <seed/error.h>
#include <string.h>

#include "nn/backend.h"
#include "nn/optim.h"
#include "student/similarity.h"
#include "student/trainer-private.h"

#define DEFAULT_LR                                                                                 \
  1e-4 /* for batches of tens of pairs: more drives a fresh student into collapse */
#define DEFAULT_WARMUP 20
#define DEFAULT_WEIGHT_DECAY 0.05
#define DEFAULT_CLIP 1.0
#define DEFAULT_EMA 0.996
#define DEFAULT_TEMPERATURE 0.05
#define FLOOR_SHARE 0.01 /* of the peak rate, where the cosine ends */

void
seed_trainer_config_init (SeedTrainerConfig *config)
{
  *config = (SeedTrainerConfig){
    .warmup = DEFAULT_WARMUP,
    .lr = DEFAULT_LR,
    .weight_decay = DEFAULT_WEIGHT_DECAY,
    .clip = DEFAULT_CLIP,
    .ema = DEFAULT_EMA,
    .temperature = DEFAULT_TEMPERATURE,
  };
}

static float *
alloc_floats (gsize n)
{
  return g_aligned_alloc0 (n, sizeof (float), 64);
}

SeedTrainer *
seed_trainer_new (const SeedTrainerConfig *config, GError **error)
{
  SeedTrainer *trainer;
  SeedRng rng;

  if (!seed_student_shape_check (&config->shape, error) || !seed_backend_self_test (error))
    return NULL;

  trainer = g_new0 (SeedTrainer, 1);
  trainer->config = *config;
  seed_params_init (&trainer->params);
  seed_student_append_params (&config->shape, &trainer->params);
  trainer->values = alloc_floats (trainer->params.total);
  trainer->grads = alloc_floats (trainer->params.total);
  trainer->moment1 = alloc_floats (trainer->params.total);
  trainer->moment2 = alloc_floats (trainer->params.total);
  trainer->ema = alloc_floats (trainer->params.total);

  seed_rng_init (&rng, config->seed);
  seed_params_init_random (&trainer->params, trainer->values, &rng);
  memcpy (trainer->ema, trainer->values, trainer->params.total * sizeof (float));
  return trainer;
}

static void
drop_workspace (SeedTrainer *trainer)
{
  g_clear_pointer (&trainer->student, seed_student_free);
  g_clear_pointer (&trainer->d_embedding, g_aligned_free);
  g_clear_pointer (&trainer->scratch, g_free);
  trainer->max_items = 0;
}

void
seed_trainer_free (SeedTrainer *trainer)
{
  if (!trainer)
    return;
  drop_workspace (trainer);
  seed_params_clear (&trainer->params);
  g_aligned_free (trainer->values);
  g_aligned_free (trainer->grads);
  g_aligned_free (trainer->moment1);
  g_aligned_free (trainer->moment2);
  g_aligned_free (trainer->ema);
  g_free (trainer);
}

gboolean
seed_trainer_reserve (SeedTrainer *trainer, guint max_items, GError **error)
{
  if (trainer->max_items >= max_items)
    return TRUE;
  drop_workspace (trainer);
  trainer->student =
      seed_student_new (&trainer->config.shape, &trainer->params, 2 * max_items, TRUE, error);
  if (!trainer->student)
    return FALSE;
  trainer->d_embedding = alloc_floats (2 * (gsize) max_items * trainer->config.shape.embed_dim);
  trainer->scratch = g_malloc (seed_similarity_scratch_size (max_items));
  trainer->max_items = max_items;
  return TRUE;
}

static double
learning_rate (const SeedTrainer *trainer, guint64 step)
{
  SeedSchedule schedule = {
    .peak = trainer->config.lr,
    .floor = trainer->config.lr * FLOOR_SHARE,
    .warmup_steps = trainer->config.warmup,
    .total_steps = trainer->config.steps,
  };

  return seed_schedule_lr (&schedule, step);
}

/* Loss and gradients of a batch; fills the loss fields of @report. */
static void
compute_gradients (SeedTrainer *trainer, const guint8 *words, const float *target, guint b,
    SeedTrainerReport *report)
{
  const float *z;

  seed_student_set_values (trainer->student, trainer->values); /* the last step changed them */
  z = seed_student_forward (trainer->student, words, 2 * b, NULL);

  memset (trainer->grads, 0, trainer->params.total * sizeof (float));
  report->loss_similarity = seed_similarity_loss (z, target, b, trainer->config.shape.embed_dim,
      trainer->config.temperature, trainer->d_embedding, trainer->scratch);
  report->loss = report->loss_similarity;
  seed_student_backward (trainer->student, trainer->d_embedding, trainer->grads);
  report->grad_norm =
      seed_gradient_clip (trainer->grads, trainer->params.total, trainer->config.clip);
}

gboolean
seed_trainer_step (SeedTrainer *trainer, const guint8 *words, const float *target, guint b,
    SeedTrainerReport *report, GError **error)
{
  SeedAdamW adamw = seed_adamw_defaults;

  g_return_val_if_fail (b >= 2 && b <= trainer->max_items, FALSE);

  report->step = trainer->step + 1;
  report->lr = learning_rate (trainer, report->step);
  compute_gradients (trainer, words, target, b, report);
  if (!isfinite (report->loss) || !isfinite (report->grad_norm)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
        "step %" G_GUINT64_FORMAT ": loss %g and gradient norm %g are not both finite; lower lr, "
        "or look for broken weights in the checkpoint",
        report->step, report->loss, report->grad_norm);
    return FALSE;
  }

  adamw.weight_decay = trainer->config.weight_decay;
  trainer->step = report->step;
  seed_adamw_step (&adamw, &trainer->params, trainer->step, report->lr, trainer->grads,
      trainer->moment1, trainer->moment2, trainer->values);
  seed_ema_update (trainer->ema, trainer->values, trainer->params.total,
      seed_ema_decay (trainer->config.ema, trainer->step));
  return TRUE;
}

guint64
seed_trainer_get_step (const SeedTrainer *trainer)
{
  return trainer->step;
}

gboolean
seed_trainer_is_finished (const SeedTrainer *trainer)
{
  return trainer->config.steps > 0 && trainer->step >= trainer->config.steps;
}

const SeedParams *
seed_trainer_get_params (const SeedTrainer *trainer)
{
  return &trainer->params;
}

const float *
seed_trainer_get_ema (const SeedTrainer *trainer)
{
  return trainer->ema;
}

gsize
seed_trainer_memory_bytes (const SeedTrainer *trainer)
{
  gsize bytes = 5 * trainer->params.total * sizeof (float);

  if (trainer->student)
    bytes += seed_student_memory_bytes (trainer->student) +
             2 * (gsize) trainer->max_items * trainer->config.shape.embed_dim * sizeof (float) +
             seed_similarity_scratch_size (trainer->max_items);
  return bytes;
}
