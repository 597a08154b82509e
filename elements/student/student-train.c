/* SPDX-License-Identifier: MIT */
#include "student/report.h"
#include "student/seedstudent.h"

GST_DEBUG_CATEGORY_EXTERN (seed_student_debug);
#define GST_CAT_DEFAULT seed_student_debug

static void
post_error (SeedStudentElement *self, const char *what, const GError *error)
{
  GST_ELEMENT_ERROR (
      self, LIBRARY, FAILED, ("%s: %s: %s", GST_OBJECT_NAME (self), what, error->message), (NULL));
}

static gboolean
make_config (SeedStudentElement *self, SeedTrainerConfig *config, GError **error)
{
  SeedStudentShape *shape = &config->shape;

  seed_trainer_config_init (config);
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
  config->temperature = self->temperature;
  return seed_student_shape_check (shape, error);
}

/* A checkpoint that can be resumed wins over the model to start from. */
static gboolean
load_weights (SeedStudentElement *self, SeedTrainer *trainer, GError **error)
{
  gboolean resumed = FALSE;

  if (self->checkpoint && *self->checkpoint &&
      !seed_trainer_resume (trainer, self->checkpoint, &resumed, error))
    return FALSE;
  if (!resumed && self->model && *self->model)
    return seed_trainer_load_model (trainer, self->model, error);
  return TRUE;
}

static SeedWeights *
current_version (SeedTrainer *trainer)
{
  return seed_weights_new (seed_trainer_get_ema (trainer), seed_trainer_get_params (trainer)->total,
      seed_trainer_get_step (trainer), NULL);
}

/* Kept beside the trainer: statistics are asked for from any thread, at any time. */
static void
note_memory (SeedStudentTrain *train)
{
  g_mutex_lock (&train->lock);
  train->memory_bytes = train->trainer ? seed_trainer_memory_bytes (train->trainer) : 0;
  g_mutex_unlock (&train->lock);
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
    post_error (self, "cannot start the student", error);
    return FALSE;
  }
  first = current_version (trainer);
  train->trainer = g_steal_pointer (&trainer);
  note_memory (train);
  g_free (self->model_name);
  self->model_name = g_strdup (GST_OBJECT_NAME (self));
  seed_student_element_set_shape (self, &config.shape);
  seed_weights_hub_open (train->hub, &config.shape, first);
  return TRUE;
}

gboolean
seed_student_train_start (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;
  g_autoptr (SeedWeights) first = current_version (train->trainer);

  if (!self->targetpad || !gst_pad_is_linked (self->targetpad)) {
    GST_ELEMENT_ERROR (self, CORE, PAD,
        ("%s: nothing is linked to the pad target; a student in mode train learns from a fusion",
            GST_OBJECT_NAME (self)),
        (NULL));
    return FALSE;
  }
  train->target_eos = train->flushing = FALSE;
  train->running = TRUE;
  train->target_batch = 0;
  train->last_step_us = 0;
  train->finished = seed_trainer_is_finished (train->trainer);
  seed_weights_hub_open (train->hub, &self->shape, first);
  return TRUE;
}

static void
clear_target_locked (SeedStudentTrain *train)
{
  gst_clear_buffer (&train->target);
  g_cond_broadcast (&train->changed);
}

void
seed_student_train_set_flushing (SeedStudentElement *self, gboolean flushing)
{
  SeedStudentTrain *train = &self->train;

  g_mutex_lock (&train->lock);
  train->flushing = flushing;
  if (!flushing)
    train->target_eos = FALSE;
  clear_target_locked (train);
  g_mutex_unlock (&train->lock);
}

void
seed_student_train_unblock (SeedStudentElement *self)
{
  seed_student_train_set_flushing (self, TRUE);
  seed_weights_hub_close (self->train.hub);
}

static void
save_checkpoint (SeedStudentElement *self)
{
  g_autoptr (GError) error = NULL;

  if (!self->checkpoint || !*self->checkpoint)
    return;
  /* a full disk must not end the learning: what was saved before is still good */
  if (!seed_trainer_save (self->train.trainer, self->checkpoint, &error))
    GST_ELEMENT_WARNING (self, RESOURCE, WRITE,
        ("%s: checkpoint not saved: %s", GST_OBJECT_NAME (self), error->message), (NULL));
}

/* Once, when no further step will come: by end of stream, by the last step, or by stopping. */
static void
finish (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;

  if (!train->running)
    return;
  train->running = FALSE;
  save_checkpoint (self);
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
  g_clear_pointer (&self->train.trainer, seed_trainer_free);
  note_memory (&self->train);
}

gboolean
seed_student_train_set_caps (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;
  g_autoptr (GError) error = NULL;
  g_autoptr (GstCaps) caps = gst_caps_new_simple (SEED_CAPS_REPORT, "kind", G_TYPE_STRING, "train",
      "node", G_TYPE_STRING, GST_OBJECT_NAME (self), NULL);

  if (self->in.views != 2) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("%s: learning needs words of two views, not %u; set views: 2 on the patchify stage",
            GST_OBJECT_NAME (self), self->in.views),
        (NULL));
    return FALSE;
  }
  if (!seed_trainer_reserve (train->trainer, self->in.batch, &error)) {
    post_error (self, "cannot make room for a batch", error);
    return FALSE;
  }
  note_memory (train);
  seed_weights_hub_set_batch (train->hub, self->in.batch);
  return gst_pad_push_event (self->srcpad, gst_event_new_caps (caps));
}

GstFlowReturn
seed_student_train_chain_target (SeedStudentElement *self, GstBuffer *target)
{
  SeedStudentTrain *train = &self->train;
  GstFlowReturn ret = GST_FLOW_OK;

  g_mutex_lock (&train->lock);
  while (train->target && !train->flushing && !train->finished)
    g_cond_wait (&train->changed, &train->lock);
  if (train->flushing || train->finished) {
    ret = train->flushing ? GST_FLOW_FLUSHING : GST_FLOW_EOS;
    gst_buffer_unref (target);
  } else {
    train->target = target;
    g_cond_broadcast (&train->changed);
  }
  g_mutex_unlock (&train->lock);
  return ret;
}

gboolean
seed_student_train_target_event (SeedStudentElement *self, GstEvent *event)
{
  SeedStudentTrain *train = &self->train;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_EOS:
    g_mutex_lock (&train->lock);
    train->target_eos = TRUE;
    g_cond_broadcast (&train->changed);
    g_mutex_unlock (&train->lock);
    break;
  case GST_EVENT_FLUSH_START:
  case GST_EVENT_FLUSH_STOP:
    seed_student_train_set_flushing (self, GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START);
    break;
  default: /* everything else reaches downstream by way of the words */
    break;
  }
  gst_event_unref (event);
  return TRUE;
}

/*
 * Waits for the target of the batch that @words is. Every batch has one, if only an empty buffer
 * (see caps.h), so the two inputs advance together; a target of an older batch than the words is
 * passed over, and NULL is returned when the words are older than any target to come.
 */
static GstBuffer *
take_target (SeedStudentElement *self, GstBuffer *words)
{
  SeedStudentTrain *train = &self->train;
  guint64 number = GST_BUFFER_OFFSET (words);
  GstBuffer *target = NULL;

  g_mutex_lock (&train->lock);
  while (!train->flushing) {
    if (train->target && GST_BUFFER_OFFSET (train->target) < number) {
      clear_target_locked (train);
    } else if (train->target) {
      if (GST_BUFFER_OFFSET (train->target) == number) {
        target = g_steal_pointer (&train->target);
        g_cond_broadcast (&train->changed);
      }
      break;
    } else if (train->target_eos) {
      break;
    } else {
      g_cond_wait (&train->changed, &train->lock);
    }
  }
  g_mutex_unlock (&train->lock);
  return target;
}

static void
note_step (SeedStudentTrain *train, const SeedTrainerReport *report, guint n_items)
{
  gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&train->lock);
  if (train->last_step_us > 0 && now > train->last_step_us)
    train->images_per_s = 1e6 * n_items / (double) (now - train->last_step_us);
  train->last_step_us = now;
  train->last = *report;
  g_mutex_unlock (&train->lock);
}

static gboolean
run_step (SeedStudentElement *self, GstBuffer *words, GstBuffer *target, guint n_items,
    SeedTrainerReport *report, GError **error)
{
  SeedStudentTrain *train = &self->train;
  GstMapInfo words_map, target_map;
  gboolean ok = FALSE;

  if (!gst_buffer_map (words, &words_map, GST_MAP_READ)) {
    g_set_error_literal (error, SEED_ERROR, SEED_ERROR_IO, "words cannot be mapped");
    return FALSE;
  }
  if (!gst_buffer_map (target, &target_map, GST_MAP_READ)) {
    gst_buffer_unmap (words, &words_map);
    g_set_error_literal (error, SEED_ERROR, SEED_ERROR_IO, "the target cannot be mapped");
    return FALSE;
  }
  if (n_items > self->in.batch ||
      words_map.size != n_items * seed_patches_info_item_size (&self->in) ||
      target_map.size != (gsize) n_items * n_items * sizeof (float))
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "a batch of %u frames came with %" G_GSIZE_FORMAT
        " bytes of words and a target of %" G_GSIZE_FORMAT " bytes",
        n_items, words_map.size, target_map.size);
  else
    ok = seed_trainer_step (
        train->trainer, words_map.data, (const float *) target_map.data, n_items, report, error);
  gst_buffer_unmap (target, &target_map);
  gst_buffer_unmap (words, &words_map);
  return ok;
}

static GstBuffer *
make_report (SeedStudentElement *self, const SeedTrainerReport *report, GstBuffer *words,
    GstBuffer *target, guint n_items)
{
  GstBuffer *out = seed_student_report_new (report, n_items, self->train.images_per_s, target);

  seed_buffer_copy_stream_metas (out, words);
  gst_buffer_copy_into (out, words, GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  return out;
}

static void
advance (SeedStudentElement *self, guint n_items, gboolean learned)
{
  SeedStudentTrain *train = &self->train;
  g_autoptr (SeedWeights) weights = NULL;

  if (learned && seed_weights_hub_has_followers (train->hub))
    weights = current_version (train->trainer);
  seed_weights_hub_advance (train->hub, n_items, weights);
}

static void
drop (SeedStudentElement *self, GstBuffer *words, guint n_items, SeedDropReason reason)
{
  seed_ledger_drop_buffer (self->ledger, words, reason);
  advance (self, n_items, FALSE);
}

/* One step on one batch; sets *@report_buffer to what goes downstream. */
static GstFlowReturn
learn (SeedStudentElement *self, GstBuffer *words, GstBuffer *target, guint n_items,
    GstBuffer **report_buffer)
{
  SeedStudentTrain *train = &self->train;
  gint64 start = g_get_monotonic_time ();
  g_autoptr (GError) error = NULL;
  SeedTrainerReport report;

  if (!run_step (self, words, target, n_items, &report, &error)) {
    drop (self, words, n_items, SEED_DROP_ERROR);
    post_error (self, "step failed", error);
    return GST_FLOW_ERROR;
  }
  note_step (train, &report, n_items);
  seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - start) * 1000);
  advance (self, n_items, TRUE);
  seed_ledger_out_buffer (self->ledger, words);
  if (self->checkpoint_every && report.step % self->checkpoint_every == 0)
    save_checkpoint (self);
  *report_buffer = make_report (self, &report, words, target, n_items);
  return GST_FLOW_OK;
}

static GstFlowReturn
end_learning (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;

  g_mutex_lock (&train->lock);
  train->finished = TRUE;
  clear_target_locked (train);
  g_mutex_unlock (&train->lock);
  finish (self);
  gst_pad_push_event (self->srcpad, gst_event_new_eos ());
  return GST_FLOW_EOS;
}

GstFlowReturn
seed_student_train_chain (SeedStudentElement *self, GstBuffer *words)
{
  SeedStudentTrain *train = &self->train;
  guint n_items = MAX (1, seed_buffer_n_stream_meta (words));
  GstBuffer *target = NULL, *report = NULL;
  GstFlowReturn ret = GST_FLOW_OK;

  if (train->finished) {
    drop (self, words, n_items, SEED_DROP_FINISHED);
    gst_buffer_unref (words);
    return train->running ? end_learning (self) : GST_FLOW_EOS;
  }

  target = take_target (self, words);
  if (!target) {
    drop (self, words, n_items, train->flushing ? SEED_DROP_FLUSHED : SEED_DROP_ERROR);
    ret = train->flushing ? GST_FLOW_FLUSHING : GST_FLOW_OK;
  } else if (GST_BUFFER_FLAG_IS_SET (target, GST_BUFFER_FLAG_GAP)) {
    drop (self, words, n_items, SEED_DROP_NOT_CALIBRATED);
  } else if (n_items < 2) {
    drop (self, words, n_items, SEED_DROP_SHORT_BATCH);
  } else {
    ret = learn (self, words, target, n_items, &report);
  }
  gst_clear_buffer (&target);
  gst_buffer_unref (words);

  if (report) {
    seed_student_element_announce (self, "", train->last.step);
    ret = gst_pad_push (self->srcpad, report);
  }
  if (ret == GST_FLOW_OK && seed_trainer_is_finished (train->trainer))
    return end_learning (self);
  return ret;
}

void
seed_student_train_add_stats (SeedStudentElement *self, GstStructure *stats)
{
  SeedStudentTrain *train = &self->train;

  g_mutex_lock (&train->lock);
  if (train->last.step > 0)
    gst_structure_set (stats, "step", G_TYPE_UINT64, train->last.step, "loss", G_TYPE_DOUBLE,
        train->last.loss, "loss-similarity", G_TYPE_DOUBLE, train->last.loss_similarity, "lr",
        G_TYPE_DOUBLE, train->last.lr, "grad-norm", G_TYPE_DOUBLE, train->last.grad_norm,
        "images-per-s", G_TYPE_DOUBLE, train->images_per_s, NULL);
  if (train->memory_bytes)
    gst_structure_set (stats, "memory-bytes", G_TYPE_UINT64, train->memory_bytes, NULL);
  g_mutex_unlock (&train->lock);
}
