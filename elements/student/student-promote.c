/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <glib/gstdio.h>

#include "nn/atomic-file.h"
#include "student/seedstudent.h"

GST_DEBUG_CATEGORY_EXTERN (seed_student_debug);
#define GST_CAT_DEFAULT seed_student_debug

/* ---- events ---- */

void
seed_student_queue_event (SeedStudentElement *self, GstEvent *event)
{
  g_mutex_lock (&self->events_lock);
  g_queue_push_tail (&self->pending_events, event);
  g_mutex_unlock (&self->events_lock);
}

void
seed_student_flush_events (SeedStudentElement *self)
{
  GstEvent *event;

  if (!gst_pad_has_current_caps (self->srcpad))
    return; /* nothing has flowed yet: they wait */
  do {
    g_mutex_lock (&self->events_lock);
    event = g_queue_pop_head (&self->pending_events);
    g_mutex_unlock (&self->events_lock);
    if (event)
      gst_pad_push_event (self->srcpad, event);
  } while (event);
}

/* Of an action: whoever asks must not wait for downstream. */
static void
flush_later (GstElement *element, gpointer data)
{
  seed_student_flush_events (SEED_STUDENT_ELEMENT (element));
}

static void
set_score (GstStructure *s, const char *agreement, const char *loss, const SeedTrainerScore *score)
{
  if (isfinite (score->agreement))
    gst_structure_set (s, agreement, G_TYPE_DOUBLE, score->agreement, NULL);
  if (isfinite (score->loss))
    gst_structure_set (s, loss, G_TYPE_DOUBLE, score->loss, NULL);
}

static void
tell (SeedStudentElement *self, const char *what, const SeedPromotionVerdict *verdict)
{
  GstEvent *event = seed_event_new (what, NULL, verdict->why);
  GstStructure *s = gst_event_writable_structure (event);

  gst_structure_set (s, "step", G_TYPE_UINT64, verdict->step, "sha256", G_TYPE_STRING,
      verdict->sha256, "probe_items", G_TYPE_UINT, verdict->candidate.n_items, NULL);
  set_score (s, "agreement", "loss", &verdict->candidate);
  set_score (s, "agreement_before", "loss_before", &verdict->live);
  seed_student_queue_event (self, event);
}

/* ---- checkpoints ---- */

static gboolean
has_folder (SeedStudentElement *self)
{
  return self->checkpoint && *self->checkpoint;
}

/* That a run was begun of which there is no checkpoint yet: see core/resume.h. */
static char *
begun_path (SeedStudentElement *self)
{
  return g_build_filename (self->checkpoint, "begun", NULL);
}

static void
note_begun (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;
  g_autofree char *path = NULL;

  if (train->begun || !has_folder (self) || seed_trainer_get_generation (train->trainer) > 0)
    return;
  train->begun = TRUE;
  path = begun_path (self);
  /* a folder that cannot be made will be told of with the first checkpoint */
  if (g_mkdir_with_parents (self->checkpoint, 0777) == 0)
    seed_atomic_file_set_contents (path, "no checkpoint yet\n", NULL);
}

/* A full disk must not end the learning: what was saved before is still good. It is said once. */
static void
note_outage (SeedStudentElement *self, const GError *error)
{
  SeedStudentTrain *train = &self->train;

  if (train->outage)
    return;
  train->outage = TRUE;
  train->n_outages++;
  GST_ELEMENT_WARNING (self, RESOURCE, WRITE,
      ("%s: checkpoint not saved, learning goes on: %s", GST_OBJECT_NAME (self), error->message),
      (NULL));
  seed_student_queue_event (self, seed_event_new ("alarm", NULL, error->message));
}

static void
note_saved (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;

  train->dirty = FALSE;
  if (train->begun) {
    g_autofree char *path = begun_path (self);

    train->begun = FALSE;
    g_unlink (path);
  }
  if (!train->outage)
    return;
  train->outage = FALSE;
  GST_ELEMENT_INFO (self, RESOURCE, WRITE,
      ("%s: checkpoints are saved again, at step %" G_GUINT64_FORMAT, GST_OBJECT_NAME (self),
          seed_trainer_get_step (train->trainer)),
      (NULL));
}

static gboolean
consider (SeedStudentElement *self, gboolean force, GError **error)
{
  SeedStudentTrain *train = &self->train;
  SeedPromotionVerdict verdict;

  if (!seed_promotion_consider (train->promotion, train->trainer, force, &verdict, error)) {
    note_outage (self, *error);
    return FALSE;
  }
  note_saved (self);
  GST_INFO_OBJECT (self,
      "step %" G_GUINT64_FORMAT ": %s: %s; agreement %.4f, before %.4f; loss %.4f, before %.4f",
      verdict.step, verdict.promoted ? "promoted" : "not promoted", verdict.why,
      verdict.candidate.agreement, verdict.live.agreement, verdict.candidate.loss,
      verdict.live.loss);
  if (verdict.promoted)
    tell (self, "promoted", &verdict);
  return TRUE;
}

/* What followers have now; TRUE when it was another. */
static gboolean
serve (SeedStudentElement *self, SeedWeights *weights)
{
  SeedStudentTrain *train = &self->train;
  gboolean changed = weights != train->served;

  seed_weights_unref (train->served);
  train->served = weights;
  return changed;
}

void
seed_student_checkpoint (SeedStudentElement *self)
{
  g_autoptr (GError) error = NULL;

  consider (self, FALSE, &error);
}

SeedWeights *
seed_student_next_version (SeedStudentElement *self, gboolean learned)
{
  SeedStudentTrain *train = &self->train;
  g_autoptr (SeedWeights) live = seed_promotion_get_live (train->promotion);
  SeedTrainer *trainer = train->trainer;
  guint64 step = seed_trainer_get_step (trainer);

  if (seed_promotion_follows_every_step (train->promotion) && live->step != step) {
    if (!learned || !seed_weights_hub_has_followers (train->hub))
      return NULL;
    serve (self, seed_weights_new (seed_trainer_get_ema (trainer),
                     seed_trainer_get_params (trainer)->total, step, NULL));
    return seed_weights_ref (train->served);
  }
  return serve (self, g_steal_pointer (&live)) ? seed_weights_ref (train->served) : NULL;
}

/* ---- open and close ---- */

static gboolean
find_begun (SeedStudentElement *self)
{
  g_autofree char *path = has_folder (self) ? begun_path (self) : NULL;

  return path && seed_trainer_get_generation (self->train.trainer) == 0 &&
         g_file_test (path, G_FILE_TEST_EXISTS);
}

gboolean
seed_student_promotion_open (SeedStudentElement *self, GError **error)
{
  SeedStudentTrain *train = &self->train;
  const SeedPromotionConfig config = { .policy = self->promote,
    .folder = has_folder (self) ? self->checkpoint : NULL,
    .tolerance = self->tolerance,
    .keep = self->keep };
  gboolean untrained = !self->model || !*self->model;

  train->promotion = seed_promotion_new (&config, train->trainer, untrained, error);
  if (!train->promotion)
    return FALSE;
  train->dirty = train->outage = FALSE;
  train->begun = train->repeats = find_begun (self);
  if (seed_promotion_follows_every_step (train->promotion))
    train->served = seed_weights_new (seed_trainer_get_ema (train->trainer),
        seed_trainer_get_params (train->trainer)->total, seed_trainer_get_step (train->trainer),
        NULL);
  else
    train->served = seed_promotion_get_live (train->promotion);
  seed_student_promotion_note (self);
  return TRUE;
}

void
seed_student_promotion_close (SeedStudentElement *self)
{
  g_clear_pointer (&self->train.promotion, seed_promotion_free);
  g_clear_pointer (&self->train.served, seed_weights_unref);
  seed_student_promotion_note (self);
  g_mutex_lock (&self->events_lock);
  g_queue_clear_full (&self->pending_events, (GDestroyNotify) gst_event_unref);
  g_mutex_unlock (&self->events_lock);
}

/* ---- actions ---- */

static gboolean
is_open (SeedStudentElement *self, GError **error)
{
  if (self->train.promotion)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
      "%s: promotes nothing: it is not a student of mode train in state READY or above",
      GST_OBJECT_NAME (self));
  return FALSE;
}

static gboolean
go_back (SeedStudentElement *self, GError **error)
{
  SeedStudentTrain *train = &self->train;
  SeedPromotionVerdict verdict;

  if (!seed_promotion_rollback (train->promotion, train->trainer, &verdict, error))
    return FALSE;
  tell (self, "rolled-back", &verdict);
  return TRUE;
}

/* TRUE for a rollback. Returns what went wrong. */
static GError *
act (SeedStudentElement *self, gboolean back)
{
  SeedStudentTrain *train = &self->train;
  GError *error = NULL;

  g_atomic_int_inc (&train->n_orders);
  g_mutex_lock (&train->step_lock);
  if (is_open (self, &error) && (back ? go_back (self, &error) : consider (self, TRUE, &error)) &&
      serve (self, seed_promotion_get_live (train->promotion)))
    seed_weights_hub_replace (train->hub, train->served);
  seed_student_promotion_note (self);
  if (g_atomic_int_dec_and_test (&train->n_orders))
    g_cond_broadcast (&train->orders_done);
  g_mutex_unlock (&train->step_lock);
  if (!error)
    gst_element_call_async (GST_ELEMENT (self), flush_later, NULL, NULL);
  return error;
}

static GError *
promote (SeedStudentElement *self)
{
  return act (self, FALSE);
}

static GError *
rollback (SeedStudentElement *self)
{
  return act (self, TRUE);
}

void
seed_student_install_actions (GObjectClass *klass)
{
  const GSignalFlags flags = G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION;
  GType type = G_OBJECT_CLASS_TYPE (klass);

  /**
   * SeedStudentElement::promote:
   *
   * Makes the moving average of now serve, whatever it scores, and lets promotion go on after a
   * rollback. Thread-safe, also while frames flow; followers change at their next frame.
   *
   * Returns: (transfer full) (nullable): NULL when done, else why not: a GError
   */
  g_signal_new_class_handler (
      "promote", type, flags, G_CALLBACK (promote), NULL, NULL, NULL, G_TYPE_ERROR, 0);
  /**
   * SeedStudentElement::rollback:
   *
   * Makes the promoted generation before the one that serves do so, and holds promotion until
   * somebody promotes; again, and it goes further back while generations are kept. Learning goes
   * on. Thread-safe as promote.
   *
   * Returns: (transfer full) (nullable): NULL when done, else why not: a GError
   */
  g_signal_new_class_handler (
      "rollback", type, flags, G_CALLBACK (rollback), NULL, NULL, NULL, G_TYPE_ERROR, 0);
}

void
seed_student_promotion_note (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;
  const SeedPromotion *promotion = train->promotion;
  guint held_out = promotion ? seed_trainer_n_held (train->trainer) : 0;

  g_mutex_lock (&train->lock);
  train->tally.is_open = promotion != NULL;
  if (promotion) {
    train->tally.held_out = held_out;
    train->tally.promoted = seed_promotion_n_promoted (promotion);
    train->tally.rejected = seed_promotion_n_rejected (promotion);
    train->tally.rolled_back = seed_promotion_n_rolled_back (promotion);
    train->tally.held = seed_promotion_is_held (promotion);
    train->tally.outages = train->n_outages;
    train->tally.serving_step = train->served->step;
  }
  g_mutex_unlock (&train->lock);
}

void
seed_student_promotion_add_stats (SeedStudentElement *self, GstStructure *stats)
{
  const SeedStudentTrain *train = &self->train;

  if (!train->tally.is_open)
    return;
  gst_structure_set (stats, "held-out", G_TYPE_UINT, train->tally.held_out, "promoted",
      G_TYPE_UINT64, train->tally.promoted, "rejected", G_TYPE_UINT64, train->tally.rejected,
      "rolled-back", G_TYPE_UINT64, train->tally.rolled_back, "held", G_TYPE_BOOLEAN,
      train->tally.held, "serving-step", G_TYPE_UINT64, train->tally.serving_step, "outages",
      G_TYPE_UINT64, train->tally.outages, NULL);
}

/* ---- the data cursor ---- */

void
seed_student_consume (SeedStudentElement *self, GstBuffer *words)
{
  const SeedStreamMeta *meta;
  gpointer state = NULL;

  self->train.dirty = TRUE;
  note_begun (self);
  while ((meta = seed_buffer_iterate_stream_meta (words, &state)))
    if (meta->repeat == 0) /* what a memory gives again moves no source */
      seed_trainer_consumed (self->train.trainer, meta->stream, meta->frame);
}

void
seed_student_answer_resume (SeedStudentElement *self, GstQuery *query)
{
  SeedStudentTrain *train = &self->train;

  g_mutex_lock (&train->step_lock);
  if (train->trainer)
    seed_resume_query_offer (
        query, seed_trainer_next_frame (train->trainer, seed_resume_query_stream (query)));
  g_mutex_unlock (&train->step_lock);
}
