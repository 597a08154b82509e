/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <seed/error.h>
#include <string.h>

#include "nn/backend.h"
#include "nn/optim.h"
#include "student/contrast.h"
#include "student/mixup.h"
#include "student/trainer-private.h"

#define DEFAULT_LR                                                                                 \
  1e-4 /* for batches of tens of pairs: more drives a fresh student into collapse */
#define DEFAULT_WARMUP 20
#define DEFAULT_WEIGHT_DECAY 0.05
#define DEFAULT_CLIP 1.0
#define DEFAULT_EMA 0.996
#define DEFAULT_CALIBRATION 10000
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
    .calibration = DEFAULT_CALIBRATION,
  };
  seed_learner_config_init (&config->learner);
}

static float *
alloc_floats (gsize n)
{
  return g_aligned_alloc0 (n, sizeof (float), 64);
}

static void
grow_array (float **array, gsize old, gsize new)
{
  float *grown = alloc_floats (new);

  if (*array)
    memcpy (grown, *array, old * sizeof (float));
  g_aligned_free (*array);
  *array = grown;
}

void
seed_trainer_grow (SeedTrainer *trainer, guint first_param, SeedRng *rng)
{
  const SeedParams *params = &trainer->params;
  SeedParams added = { params->items + first_param, params->n - first_param, params->total };
  gsize old = first_param < params->n ? params->items[first_param].offset : params->total;
  const SeedParam *scale = seed_params_lookup (&added, "captions.scale");
  float *drawn;

  grow_array (&trainer->values, old, params->total);
  grow_array (&trainer->grads, old, params->total);
  grow_array (&trainer->moment1, old, params->total);
  grow_array (&trainer->moment2, old, params->total);
  grow_array (&trainer->ema, old, params->total);
  drawn = alloc_floats (params->total);
  seed_params_init_random (&added, drawn, rng);
  memcpy (trainer->values + old, drawn + old, (params->total - old) * sizeof (float));
  g_aligned_free (drawn);
  if (scale)
    trainer->values[scale->offset] = (float) SEED_CONTRAST_SCALE_INIT;
  memcpy (trainer->ema + old, trainer->values + old, (params->total - old) * sizeof (float));
}

/* What follows from the objective. */
static void
complete_config (SeedTrainerConfig *config)
{
  seed_learner_config_complete (&config->learner);
}

static gboolean
check_config (const SeedTrainerConfig *config, GError **error)
{
  if (!seed_learner_config_check (&config->learner, error))
    return FALSE;
  if (config->mixup > 0 && config->learner.objective != SEED_OBJECTIVE_LABELS) {
    g_set_error_literal (error, SEED_ERROR, SEED_ERROR_INVALID,
        "mixup mixes images, which no teacher and no caption speaks of; set mixup to 0, or the "
        "objective to labels alone");
    return FALSE;
  }
  return seed_backend_self_test (error);
}

static void
make_alarms (SeedTrainer *trainer)
{
  SeedAnchorAlarmsConfig config;

  if (!trainer->config.learner.shape.anchors)
    return;
  seed_anchor_alarms_config_init (&config, SEED_ANCHORS_N);
  trainer->alarms = seed_anchor_alarms_new (
      &config, SEED_ANCHORS_N, seed_vit_config_n_words (&trainer->config.learner.shape.vit), NULL);
}

SeedTrainer *
seed_trainer_new (const SeedTrainerConfig *config, GError **error)
{
  SeedTrainerConfig complete = *config;
  SeedTrainer *trainer;
  guint first_head;
  SeedRng rng;

  complete_config (&complete);
  config = &complete;
  if (!check_config (config, error))
    return NULL;

  trainer = g_new0 (SeedTrainer, 1);
  trainer->config = *config;
  trainer->config.text_sha256 = trainer->text_sha256;
  g_strlcpy (trainer->text_sha256, config->text_sha256 ? config->text_sha256 : "",
      sizeof trainer->text_sha256);
  seed_params_init (&trainer->student_params);
  seed_student_append_params (&config->learner.shape, &trainer->student_params);
  seed_params_init (&trainer->params);
  seed_student_append_params (&config->learner.shape, &trainer->params);
  first_head = trainer->params.n;
  seed_rng_init (&rng, config->seed);
  seed_trainer_grow (trainer, 0, &rng);

  /* heads draw numbers of their own: the student starts alike whatever it learns from */
  seed_params_clear (&trainer->params);
  seed_learner_append_params (&config->learner, &trainer->params);
  seed_rng_init (&rng, seed_hash_string (config->seed, "heads"));
  if (trainer->params.n > first_head)
    seed_trainer_grow (trainer, first_head, &rng);
  seed_anchors_normalise_params (&trainer->params, trainer->values);
  seed_anchors_normalise_params (&trainer->params, trainer->ema);
  make_alarms (trainer);
  seed_rng_init (&trainer->rng, seed_hash_string (config->seed, "steps"));
  seed_trainer_init_probe (trainer);
  return trainer;
}

static void
drop_workspace (SeedTrainer *trainer)
{
  g_clear_pointer (&trainer->learner, seed_learner_free);
  g_clear_pointer (&trainer->mixed, g_free);
  g_clear_pointer (&trainer->mixed_with, g_free);
  seed_trainer_release_teachers (trainer);
  trainer->max_items = 0;
}

void
seed_trainer_free (SeedTrainer *trainer)
{
  if (!trainer)
    return;
  drop_workspace (trainer);
  seed_trainer_clear_teachers (trainer);
  seed_trainer_clear_probe (trainer);
  seed_anchor_alarms_free (trainer->alarms);
  seed_params_clear (&trainer->student_params);
  seed_params_clear (&trainer->params);
  g_aligned_free (trainer->values);
  g_aligned_free (trainer->grads);
  g_aligned_free (trainer->moment1);
  g_aligned_free (trainer->moment2);
  g_aligned_free (trainer->ema);
  g_free (trainer);
}

gsize
seed_trainer_item_size (const SeedTrainer *trainer)
{
  const SeedVitConfig *vit = &trainer->config.learner.shape.vit;

  return SEED_VIEWS * (gsize) seed_vit_config_n_words (vit) * 3 * vit->patch_size * vit->patch_size;
}

gboolean
seed_trainer_reserve (SeedTrainer *trainer, guint max_items, GError **error)
{
  SeedDistilTeacher teachers[SEED_LEARNER_MAX_TEACHERS];

  if (trainer->max_items >= max_items)
    return TRUE;
  drop_workspace (trainer);
  for (guint t = 0; t < trainer->n_teachers; t++)
    teachers[t] = (SeedDistilTeacher){ trainer->teachers[t].info.summary_dim,
      trainer->teachers[t].info.token_dim };
  trainer->learner = seed_learner_new (&trainer->config.learner, &trainer->params, teachers,
      trainer->n_teachers, trainer->queues, max_items, trainer->config.backend, error);
  if (!trainer->learner)
    return FALSE;
  trainer->max_items = max_items;
  seed_trainer_reserve_teachers (trainer);
  if (trainer->config.mixup > 0) {
    trainer->mixed = g_malloc (max_items * seed_trainer_item_size (trainer));
    trainer->mixed_with = g_new (gint32, max_items);
  }
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

static gboolean
check_labels (const SeedTrainer *trainer, const SeedTrainerBatch *batch, GError **error)
{
  for (guint i = 0; batch->labels && i < batch->b; i++) {
    if (batch->labels[i] < -1 || batch->labels[i] >= (gint64) trainer->config.learner.n_classes) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
          "item %u of the batch has label %d, but there are %u classes; set classes to the number "
          "that the source has",
          i, batch->labels[i], trainer->config.learner.n_classes);
      return FALSE;
    }
  }
  return TRUE;
}

/* What the objectives take of a batch; what they make of it is kept in @targets and @anchors. @rng:
 * of the mixing; NULL: none is mixed. */
static SeedLearnerBatch
take_batch (SeedTrainer *trainer, const SeedTrainerBatch *batch, SeedDistilTarget *targets,
    SeedAnchorTermBatch *anchors, SeedRng *rng)
{
  SeedObjective objective = trainer->config.learner.objective;
  SeedLearnerBatch taken = { .b = batch->b, .words = batch->words };

  if (objective & SEED_OBJECTIVE_DISTIL) {
    taken.target = batch->target;
    if (batch->teachers && trainer->n_teachers > 0) {
      seed_trainer_make_targets (trainer, batch, targets);
      taken.teachers = targets;
    }
  }
  if (objective & SEED_OBJECTIVE_LABELS)
    taken.labels = batch->labels;
  if (objective & SEED_OBJECTIVE_CAPTIONS) {
    taken.captions = batch->captions;
    taken.has_caption = batch->has_caption;
  }
  if (objective & SEED_OBJECTIVE_ANCHORS && batch->anchors) {
    *anchors = (SeedAnchorTermBatch){ trainer->ema, batch->anchors->views, batch->anchors->frames,
      batch->anchors->draws };
    taken.anchors = anchors;
  }
  if (taken.labels && trainer->mixed && rng) {
    taken.mix_share =
        seed_mixup (rng, trainer->config.mixup, batch->words, seed_trainer_item_size (trainer),
            batch->labels, batch->b, trainer->mixed, trainer->mixed_with);
    taken.words = trainer->mixed;
    taken.mixed_with = trainer->mixed_with;
  }
  return taken;
}

gboolean
seed_trainer_evaluate (SeedTrainer *trainer, const float *values, const SeedTrainerBatch *batch,
    SeedLearnerReport *report)
{
  SeedDistilTarget targets[SEED_LEARNER_MAX_TEACHERS];
  SeedAnchorTermBatch anchors;
  SeedLearnerBatch taken = take_batch (trainer, batch, targets, &anchors, NULL);
  SeedRng rng; /* of the dropping, which the terms do not show */

  seed_rng_init (&rng, 0);
  return seed_learner_loss (trainer->learner, values, &taken, &rng, report, NULL);
}

/* Loss and gradients of a batch; fills @report. */
static void
compute_gradients (
    SeedTrainer *trainer, const SeedTrainerBatch *batch, SeedRng *rng, SeedTrainerReport *report)
{
  SeedDistilTarget targets[SEED_LEARNER_MAX_TEACHERS];
  SeedAnchorTermBatch anchors;
  SeedLearnerBatch taken = take_batch (trainer, batch, targets, &anchors, rng);

  memset (trainer->grads, 0, trainer->params.total * sizeof (float));
  report->learned = seed_learner_loss (
      trainer->learner, trainer->values, &taken, rng, &report->losses, trainer->grads);
  report->grad_norm =
      seed_gradient_clip (trainer->grads, trainer->params.total, trainer->config.clip);
}

static void
update (SeedTrainer *trainer, double lr)
{
  SeedAdamW adamw = seed_adamw_defaults;
  const SeedParam *scale = seed_params_lookup (&trainer->params, "captions.scale");

  adamw.weight_decay = trainer->config.weight_decay;
  seed_adamw_step (&adamw, &trainer->params, trainer->step, lr, trainer->grads, trainer->moment1,
      trainer->moment2, trainer->values);
  if (scale)
    trainer->values[scale->offset] =
        CLAMP (trainer->values[scale->offset], 0, (float) SEED_CONTRAST_SCALE_MAX);
  seed_anchors_normalise_params (&trainer->params, trainer->values);
  seed_ema_update (trainer->ema, trainer->values, trainer->params.total,
      seed_ema_decay (trainer->config.ema, trainer->step));
  seed_anchors_normalise_params (&trainer->params, trainer->ema);
}

/* Which alarms hold after a batch, and which of them are new. */
static void
watch_anchors (SeedTrainer *trainer, guint b, SeedTrainerReport *report)
{
  guint before, now = 0;

  if (!trainer->alarms)
    return;
  before = seed_anchor_alarms_get (trainer->alarms)->flags;
  if (report->losses.anchors_refused)
    now = seed_anchor_alarms_refused (trainer->alarms);
  else if (!isnan (report->losses.anchors))
    now = seed_anchor_alarms_update (trainer->alarms, &report->losses.anchor_losses,
        seed_learner_anchor_assignment (trainer->learner), b);
  report->alarms = *seed_anchor_alarms_get (trainer->alarms);
  report->raised = now & ~before;
}

gboolean
seed_trainer_step (
    SeedTrainer *trainer, const SeedTrainerBatch *batch, SeedTrainerReport *report, GError **error)
{
  SeedRng rng = trainer->rng; /* its draws count once the step does */

  g_return_val_if_fail (batch->b >= 2 && batch->b <= trainer->max_items, FALSE);
  g_return_val_if_fail (seed_trainer_is_calibrated (trainer) || !batch->teachers, FALSE);

  if (!check_labels (trainer, batch, error))
    return FALSE;
  *report = (SeedTrainerReport){ .step = trainer->step + 1 };
  report->lr = learning_rate (trainer, report->step);
  compute_gradients (trainer, batch, &rng, report);
  if (!report->learned) {
    report->step = trainer->step;
    watch_anchors (trainer, batch->b, report);
    return TRUE;
  }
  if (!isfinite (report->losses.total) || !isfinite (report->grad_norm)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
        "step %" G_GUINT64_FORMAT ": loss %g and gradient norm %g are not both finite; lower lr, "
        "or look for broken weights in the checkpoint",
        report->step, report->losses.total, report->grad_norm);
    return FALSE;
  }
  trainer->step = report->step;
  trainer->rng = rng;
  update (trainer, report->lr);
  watch_anchors (trainer, batch->b, report);
  for (guint t = 0; t < report->losses.n_teachers && trainer->config.learner.w_seed > 0; t++)
    seed_embed_queue_push (
        &trainer->queues[t], seed_learner_embeddings (trainer->learner, t), SEED_VIEWS * batch->b);
  return TRUE;
}

guint64
seed_trainer_get_step (const SeedTrainer *trainer)
{
  return trainer->step;
}

guint
seed_trainer_get_generation (const SeedTrainer *trainer)
{
  return trainer->generation;
}

gboolean
seed_trainer_is_finished (const SeedTrainer *trainer)
{
  return trainer->config.steps > 0 && trainer->step >= trainer->config.steps;
}

gsize
seed_trainer_n_values (const SeedTrainer *trainer)
{
  return trainer->params.total;
}

const SeedParams *
seed_trainer_get_params (const SeedTrainer *trainer)
{
  return &trainer->student_params;
}

const float *
seed_trainer_get_ema (const SeedTrainer *trainer)
{
  return trainer->ema;
}

gsize
seed_trainer_memory_bytes (const SeedTrainer *trainer)
{
  const SeedVitConfig *vit = &trainer->config.learner.shape.vit;
  gsize floats = 5 * trainer->params.total, rows = SEED_VIEWS * (gsize) trainer->max_items;

  for (guint t = 0; t < trainer->n_teachers; t++) {
    const SeedTrainerTeacherState *teacher = &trainer->teachers[t];
    gsize d = teacher->info.summary_dim, dt = teacher->info.token_dim;

    floats += (gsize) trainer->queues[t].capacity * trainer->queues[t].dim + rows * d;
    floats += (teacher->summary ? d * d : 0) + (teacher->tokens ? dt * dt : 0);
    floats += teacher->token_target ? rows * seed_vit_config_n_words (vit) * dt : 0;
    floats += teacher->resampled ? rows * seed_vit_config_n_words (vit) * dt : 0;
  }
  return floats * sizeof (float) + (trainer->probe ? seed_probe_memory_bytes (trainer->probe) : 0) +
         (trainer->learner ? seed_learner_memory_bytes (trainer->learner) : 0) +
         (trainer->mixed ? trainer->max_items * seed_trainer_item_size (trainer) : 0);
}
