/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "student/objective.h"
#include "student/seedstudent.h"

#define MIN_ANCHOR_FRAMES 16u /* as seed_anchors_config_init has it */

GST_DEBUG_CATEGORY_EXTERN (seed_student_debug);
#define GST_CAT_DEFAULT seed_student_debug

static gboolean
open_text (SeedStudentElement *self, SeedTrainerConfig *config, GError **error)
{
  SeedStudentTrain *train = &self->train;

  if (!self->text_model || !*self->text_model)
    return TRUE; /* the learner says what is missing */
  train->text = seed_text_model_load (self->text_model, error);
  if (!train->text)
    return FALSE;
  train->captions = seed_captions_new (train->text, SEED_CAPTIONS_CACHE_BYTES);
  config->learner.text_dim = seed_text_model_get_info (train->text)->dim;
  config->text_sha256 = seed_text_model_get_info (train->text)->sha256;
  return TRUE;
}

static gboolean
make_config (SeedStudentElement *self, SeedTrainerConfig *config, GError **error)
{
  SeedLearnerConfig *learner = &config->learner;
  SeedStudentShape *shape = &learner->shape;

  seed_trainer_config_init (config);
  if (!seed_objective_parse (self->objective, &learner->objective, error))
    return FALSE;
  if (learner->objective & SEED_OBJECTIVE_CAPTIONS && !open_text (self, config, error))
    return FALSE;
  if (!seed_vit_config_for_size (&shape->vit, self->size, self->image_size)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "unknown size '%s'; sizes are mini, tiny, small and base", self->size);
    return FALSE;
  }
  shape->vit.patch_size = self->patch_size;
  shape->embed_dim = SEED_STUDENT_EMBED_DIM;
  config->seed = self->seed;
  config->steps = self->steps;
  config->warmup = self->warmup;
  config->lr = self->lr;
  config->weight_decay = self->weight_decay;
  config->ema = self->ema;
  config->mixup = self->mixup;
  config->calibration = self->calibration;
  learner->temperature = self->temperature;
  learner->w_sim = self->w_sim;
  learner->w_seed = self->w_seed;
  learner->w_feat = self->w_feat;
  learner->w_labels = self->w_labels;
  learner->w_captions = self->w_captions;
  learner->w_anchor = self->w_anchor;
  learner->w_histogram = self->w_histogram;
  learner->queue_size = self->queue_size;
  learner->teacher_drop = self->teacher_drop;
  learner->n_classes = self->classes;
  learner->label_smoothing = self->label_smoothing;
  config->backend = seed_backend_choose (self->backend, self->precision, FALSE, NULL, error);
  return config->backend != NULL;
}

/* A checkpoint that can be resumed wins over the model to start from. */
static gboolean
load_weights (SeedStudentElement *self, SeedTrainer *trainer, GError **error)
{
  g_autofree char *damaged = NULL;
  gboolean resumed = FALSE;

  if (self->promote != SEED_PROMOTE_ALWAYS)
    seed_trainer_enable_probe (trainer, self->probe);
  if (self->checkpoint && *self->checkpoint &&
      !seed_trainer_resume (trainer, self->checkpoint, &resumed, &damaged, error))
    return FALSE;
  if (damaged)
    GST_ELEMENT_WARNING (self, RESOURCE, READ,
        ("%s: goes on from an older generation of the checkpoint, at step %" G_GUINT64_FORMAT
         ": %s",
            GST_OBJECT_NAME (self), seed_trainer_get_step (trainer), damaged),
        (NULL));
  if (!resumed && self->model && *self->model)
    return seed_trainer_load_model (trainer, self->model, error);
  return TRUE;
}

gboolean
seed_student_train_open (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;
  g_autoptr (SeedTrainer) trainer = NULL;
  g_autoptr (SeedWeights) first = NULL;
  g_autoptr (GError) error = NULL;
  SeedTrainerConfig config;

  if (!make_config (self, &config, &error) || !(trainer = seed_trainer_new (&config, &error)) ||
      !load_weights (self, trainer, &error)) {
    seed_student_post_error (self, "cannot start the student", error);
    seed_student_train_close (self);
    return FALSE;
  }
  g_mutex_lock (&train->step_lock);
  train->trainer = g_steal_pointer (&trainer);
  if (!seed_student_promotion_open (self, &error))
    g_clear_pointer (&train->trainer, seed_trainer_free);
  else
    first = seed_weights_ref (train->served);
  g_mutex_unlock (&train->step_lock);
  if (!first) {
    seed_student_post_error (self, "cannot start the student", error);
    return FALSE;
  }
  train->objective = config.learner.objective;
  seed_learner_config_complete (&config.learner);
  seed_student_note_memory (self);
  g_free (self->model_name);
  self->model_name = g_strdup (GST_OBJECT_NAME (self));
  seed_student_element_set_shape (self, &config.learner.shape);
  seed_weights_hub_open (train->hub, &config.learner.shape, first);
  return TRUE;
}

/* What is linked must be what the objective and the weights ask for; NULL, or what is wrong. */
static const char *
find_misfit (SeedStudentElement *self, gboolean has_target, guint n_teachers)
{
  if (!(self->train.objective & SEED_OBJECTIVE_DISTIL))
    return has_target || n_teachers > 0
               ? "the objective does not have distil, but a target or teachers are linked"
               : NULL;
  if (!has_target && n_teachers == 0)
    return "nothing is linked to the pad target or to a pad teacher_%u; the objective distil "
           "learns from a fusion, from teachers, or from both";
  if (has_target && self->w_sim == 0)
    return "a target is linked, but w-sim is 0";
  if (n_teachers > 0 && self->w_seed == 0 && self->w_feat == 0)
    return "teachers are linked, but w-seed and w-feat are both 0";
  if (n_teachers == 0 && seed_trainer_n_teachers (self->train.trainer) > 0)
    return "the checkpoint was made with teachers linked, now there are none; link the same ones, "
           "or use another checkpoint folder";
  return NULL;
}

gboolean
seed_student_train_start (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;
  gboolean has_target;
  guint n_teachers;
  const char *misfit;

  if (!seed_student_inputs_count (self, &has_target, &n_teachers))
    return FALSE;
  misfit = find_misfit (self, has_target, n_teachers);
  if (misfit) {
    GST_ELEMENT_ERROR (self, CORE, PAD, ("%s: %s", GST_OBJECT_NAME (self), misfit), (NULL));
    return FALSE;
  }
  seed_student_inputs_reset (self);
  train->flushing = FALSE;
  train->running = TRUE;
  train->last_step_us = 0;
  train->finished = seed_trainer_is_finished (train->trainer);
  g_mutex_lock (&train->step_lock);
  seed_trainer_begin_run (train->trainer);
  seed_weights_hub_open (train->hub, &self->shape, train->served);
  g_mutex_unlock (&train->step_lock);
  return TRUE;
}

void
seed_student_train_set_flushing (SeedStudentElement *self, gboolean flushing)
{
  SeedStudentTrain *train = &self->train;

  g_mutex_lock (&train->lock);
  train->flushing = flushing;
  g_mutex_unlock (&train->lock);
  seed_student_inputs_reset (self);
}

void
seed_student_train_unblock (SeedStudentElement *self)
{
  seed_student_train_set_flushing (self, TRUE);
  seed_weights_hub_close (self->train.hub);
}

/* Once, when no further step will come: by end of stream, by the last step, or by stopping. */
static void
finish (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;

  if (!train->running)
    return;
  train->running = FALSE;
  g_mutex_lock (&train->step_lock);
  if (train->dirty && seed_trainer_get_step (train->trainer) > 0)
    seed_student_checkpoint (self);
  seed_student_promotion_note (self);
  g_mutex_unlock (&train->step_lock);
  seed_student_flush_events (self);
  seed_weights_hub_close (train->hub);
}

void
seed_student_train_eos (SeedStudentElement *self)
{
  finish (self);
}

void
seed_student_train_stop (SeedStudentElement *self)
{
  finish (self);
}

void
seed_student_train_close (SeedStudentElement *self)
{
  g_mutex_lock (&self->train.step_lock);
  seed_student_promotion_close (self);
  g_clear_pointer (&self->train.trainer, seed_trainer_free);
  g_clear_pointer (&self->train.captions, seed_captions_free);
  g_clear_pointer (&self->train.text, seed_text_model_unref);
  g_mutex_unlock (&self->train.step_lock);
  seed_student_note_memory (self);
}

gboolean
seed_student_train_set_caps (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;
  g_autoptr (GError) error = NULL;
  g_autoptr (GstCaps) caps = gst_caps_new_simple (SEED_CAPS_REPORT, "kind", G_TYPE_STRING, "train",
      "node", G_TYPE_STRING, GST_OBJECT_NAME (self), NULL);
  gboolean has_target;
  guint n_teachers;

  if (self->in.views != SEED_VIEWS) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("%s: learning needs words of two views, not %u; set views: 2 on the patchify stage",
            GST_OBJECT_NAME (self), self->in.views),
        (NULL));
    return FALSE;
  }
  if (train->objective & SEED_OBJECTIVE_ANCHORS && self->in.batch < MIN_ANCHOR_FRAMES) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("%s: the objective anchors needs batches of %u distinct frames or more, not %u; set batch "
         "on the patchify stage",
            GST_OBJECT_NAME (self), MIN_ANCHOR_FRAMES, self->in.batch),
        (NULL));
    return FALSE;
  }
  seed_student_inputs_count (self, &has_target, &n_teachers);
  /* teachers say what they are with their first buffer */
  if (n_teachers == 0 && !seed_trainer_reserve (train->trainer, self->in.batch, &error)) {
    seed_student_post_error (self, "cannot make room for a batch", error);
    return FALSE;
  }
  seed_student_note_memory (self);
  seed_weights_hub_set_batch (train->hub, self->in.batch);
  return gst_pad_push_event (self->srcpad, gst_event_new_caps (caps));
}

static GstFlowReturn
end_learning (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;

  g_mutex_lock (&train->lock);
  train->finished = TRUE;
  g_mutex_unlock (&train->lock);
  seed_student_inputs_reset (self); /* who waits there learns of it */
  finish (self);
  gst_pad_push_event (self->srcpad, gst_event_new_eos ());
  return GST_FLOW_EOS;
}

/* The batch that @words and what came with it make. */
static GstFlowReturn
take_and_learn (SeedStudentElement *self, GstBuffer *words, guint n_items, GstBuffer **report)
{
  SeedStudentTrain *train = &self->train;
  GstBuffer *parts[SEED_STUDENT_MAX_INPUTS] = { NULL };
  guint n_inputs = train->inputs->len, n_missing = 0;
  GstFlowReturn ret = GST_FLOW_OK;

  if (!seed_student_inputs_take (self, GST_BUFFER_OFFSET (words), parts)) {
    seed_student_drop (self, words, n_items, SEED_DROP_FLUSHED);
    ret = GST_FLOW_FLUSHING;
  }
  for (guint i = 0; i < n_inputs; i++)
    n_missing += parts[i] == NULL;
  g_mutex_lock (&self->train.step_lock);
  /* a mutex is not fair: steps one after the other would keep an action out for ever */
  while (g_atomic_int_get (&self->train.n_orders) > 0)
    g_cond_wait (&self->train.orders_done, &self->train.step_lock);
  if (ret == GST_FLOW_OK)
    seed_student_consume (self, words);
  if (ret == GST_FLOW_OK && n_missing > 0)
    seed_student_drop (self, words, n_items, SEED_DROP_ERROR);
  else if (ret == GST_FLOW_OK && n_items < 2)
    seed_student_drop (self, words, n_items, SEED_DROP_SHORT_BATCH);
  else if (ret == GST_FLOW_OK)
    ret = seed_student_learn (self, words, parts, n_items, report);
  seed_student_promotion_note (self);
  g_mutex_unlock (&self->train.step_lock);
  for (guint i = 0; i < n_inputs; i++)
    gst_clear_buffer (&parts[i]);
  return ret;
}

GstFlowReturn
seed_student_train_chain (SeedStudentElement *self, GstBuffer *words)
{
  SeedStudentTrain *train = &self->train;
  guint n_items = MAX (1, seed_buffer_n_stream_meta (words));
  GstBuffer *report = NULL;
  GstFlowReturn ret;

  if (train->finished) {
    seed_student_drop (self, words, n_items, SEED_DROP_FINISHED);
    gst_buffer_unref (words);
    return train->running ? end_learning (self) : GST_FLOW_EOS;
  }
  ret = take_and_learn (self, words, n_items, &report);
  gst_buffer_unref (words);
  seed_student_flush_events (self);

  if (report) {
    seed_student_element_announce (self, "", train->last.step);
    ret = gst_pad_push (self->srcpad, report);
  }
  if (ret == GST_FLOW_OK && seed_trainer_is_finished (train->trainer))
    return end_learning (self);
  return ret;
}

static void
add_loss (GstStructure *stats, const char *name, double loss)
{
  if (isfinite (loss))
    gst_structure_set (stats, name, G_TYPE_DOUBLE, loss, NULL);
}

void
seed_student_train_add_stats (SeedStudentElement *self, GstStructure *stats)
{
  SeedStudentTrain *train = &self->train;
  const SeedLearnerReport *losses = &train->last.losses;

  g_mutex_lock (&train->lock);
  seed_student_promotion_add_stats (self, stats);
  if (train->last.step > 0) {
    gst_structure_set (stats, "step", G_TYPE_UINT64, train->last.step, "loss", G_TYPE_DOUBLE,
        losses->total, "lr", G_TYPE_DOUBLE, train->last.lr, "grad-norm", G_TYPE_DOUBLE,
        train->last.grad_norm, "images-per-s", G_TYPE_DOUBLE, train->images_per_s, NULL);
    add_loss (stats, "loss-similarity", losses->similarity);
    add_loss (stats, "loss-seed", losses->seed);
    add_loss (stats, "loss-features", losses->features);
    add_loss (stats, "loss-labels", losses->labels);
    add_loss (stats, "loss-captions", losses->captions);
    add_loss (stats, "loss-anchors", losses->anchors);
    add_loss (stats, "accuracy", losses->accuracy);
    add_loss (stats, "agreement", losses->agreement);
    if (!isnan (losses->anchors))
      add_loss (stats, "anchors-in-use", losses->anchor_losses.perplexity);
  }
  if (train->objective & SEED_OBJECTIVE_LABELS)
    gst_structure_set (stats, "unlabelled", G_TYPE_UINT64, train->counts.unlabelled, NULL);
  if (train->objective & SEED_OBJECTIVE_CAPTIONS)
    gst_structure_set (stats, "uncaptioned", G_TYPE_UINT64, train->counts.uncaptioned, NULL);
  if (train->memory_bytes)
    gst_structure_set (stats, "memory-bytes", G_TYPE_UINT64, train->memory_bytes, NULL);
  g_mutex_unlock (&train->lock);
}
