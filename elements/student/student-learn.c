/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "student/report.h"
#include "student/seedstudent.h"

GST_DEBUG_CATEGORY_EXTERN (seed_student_debug);
#define GST_CAT_DEFAULT seed_student_debug

void
seed_student_post_error (SeedStudentElement *self, const char *what, const GError *error)
{
  GST_ELEMENT_ERROR (
      self, LIBRARY, FAILED, ("%s: %s: %s", GST_OBJECT_NAME (self), what, error->message), (NULL));
}

/* Kept beside the trainer: statistics are asked for from any thread, at any time. */
void
seed_student_note_memory (SeedStudentElement *self)
{
  SeedStudentTrain *train = &self->train;

  g_mutex_lock (&train->lock);
  train->memory_bytes = train->trainer ? seed_trainer_memory_bytes (train->trainer) : 0;
  g_mutex_unlock (&train->lock);
}

/* Followers serve what comes from sources: what a memory adds to a batch is none of theirs. */
static void
advance (SeedStudentElement *self, GstBuffer *words, guint n_items, gboolean learned)
{
  g_autoptr (SeedWeights) weights = seed_student_next_version (self, learned);

  seed_weights_hub_advance (self->train.hub, seed_student_count_live (words, n_items), weights);
}

void
seed_student_drop (SeedStudentElement *self, GstBuffer *words, guint n_items, SeedDropReason reason)
{
  seed_ledger_drop_buffer (self->ledger, words, reason);
  advance (self, words, n_items, FALSE);
}

/* ---- from buffers to a batch ---- */

/* A batch and the maps it points into. */
typedef struct {
  SeedTrainerBatch batch;
  SeedTrainerFeatures teachers[SEED_LEARNER_MAX_TEACHERS];
  GstMapInfo words_map, target_map;
  SeedFeaturesMap teacher_maps[SEED_LEARNER_MAX_TEACHERS];
  GstBuffer *words, *target, *features[SEED_LEARNER_MAX_TEACHERS]; /* mapped; not owned */
  guint n_teachers;
  SeedStudentTold told;
} Mapped;

static void
unmap (Mapped *mapped)
{
  if (mapped->words)
    gst_buffer_unmap (mapped->words, &mapped->words_map);
  if (mapped->target)
    gst_buffer_unmap (mapped->target, &mapped->target_map);
  for (guint t = 0; t < mapped->n_teachers; t++)
    seed_features_unmap (&mapped->teacher_maps[t], mapped->features[t]);
  seed_student_told_clear (&mapped->told);
}

static gboolean
map_one (GstBuffer *buffer, GstMapInfo *map, gsize size, const char *what, GstBuffer **mapped,
    GError **error)
{
  if (!gst_buffer_map (buffer, map, GST_MAP_READ)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s cannot be mapped", what);
    return FALSE;
  }
  *mapped = buffer;
  if (map->size == size)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
      "%s came in %" G_GSIZE_FORMAT " bytes, not %" G_GSIZE_FORMAT, what, map->size, size);
  return FALSE;
}

static gboolean
map_features (
    const SeedStudentInput *input, GstBuffer *buffer, guint n_items, Mapped *mapped, GError **error)
{
  guint t = mapped->n_teachers;
  SeedFeaturesMap *map = &mapped->teacher_maps[t];
  gsize images = SEED_VIEWS * (gsize) n_items, words = (gsize) input->info.grid * input->info.grid;
  gsize summary = images * input->info.summary_dim * sizeof (float);
  gsize tokens = images * words * input->info.token_dim * sizeof (float);

  if (!seed_features_map (map, buffer, GST_MAP_READ)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "features of teacher \"%s\" cannot be mapped",
        input->info.node);
    return FALSE;
  }
  mapped->features[t] = buffer;
  mapped->n_teachers++;
  if (map->summary.size != summary ||
      (tokens > 0 && (!map->tokens.data || map->tokens.size != tokens))) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "a batch of %u frames came with features of teacher \"%s\" in %" G_GSIZE_FORMAT
        " bytes, not %" G_GSIZE_FORMAT,
        n_items, input->info.node, map->summary.size + (map->tokens.data ? map->tokens.size : 0),
        summary + tokens);
    return FALSE;
  }
  mapped->teachers[t] = (SeedTrainerFeatures){ (const float *) map->summary.data,
    tokens > 0 ? (const float *) map->tokens.data : NULL };
  return TRUE;
}

static gboolean
map_batch (SeedStudentElement *self, GstBuffer *words, GstBuffer **parts, guint n_items,
    Mapped *mapped, GError **error)
{
  SeedStudentTrain *train = &self->train;

  if (n_items > self->in.batch) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "a batch of %u frames came where batches have up to %u", n_items, self->in.batch);
    return FALSE;
  }
  mapped->batch.b = n_items;
  if (!map_one (words, &mapped->words_map, n_items * seed_patches_info_item_size (&self->in),
          "words", &mapped->words, error))
    return FALSE;
  mapped->batch.words = mapped->words_map.data;
  for (guint i = 0; i < train->inputs->len; i++) {
    const SeedStudentInput *input = g_ptr_array_index (train->inputs, i);

    if (!input->is_target) {
      if (!map_features (input, parts[i], n_items, mapped, error))
        return FALSE;
    } else if (!GST_BUFFER_FLAG_IS_SET (parts[i], GST_BUFFER_FLAG_GAP)) {
      if (!map_one (parts[i], &mapped->target_map, (gsize) n_items * n_items * sizeof (float),
              "a target", &mapped->target, error))
        return FALSE;
      mapped->batch.target = (const float *) mapped->target_map.data;
    }
  }
  if (mapped->n_teachers > 0)
    mapped->batch.teachers = mapped->teachers;
  return seed_student_told_read (self, words, n_items, &mapped->told, &mapped->batch, error);
}

/* ---- one batch ---- */

/* The teachers are known once the first buffers of all have come. */
static gboolean
prepare (SeedStudentElement *self, GError **error)
{
  SeedStudentTrain *train = &self->train;
  SeedTrainerTeacher teachers[SEED_LEARNER_MAX_TEACHERS];
  guint n = 0;

  for (guint i = 0; i < train->inputs->len; i++) {
    const SeedStudentInput *input = g_ptr_array_index (train->inputs, i);

    if (!input->is_target)
      teachers[n++] = (SeedTrainerTeacher){ .name = input->info.node,
        .space = input->info.space,
        .summary_dim = input->info.summary_dim,
        .token_dim = input->info.token_dim,
        .grid = input->info.token_dim ? input->info.grid : 0 };
  }
  if (!seed_trainer_set_teachers (train->trainer, teachers, n, error) ||
      !seed_trainer_reserve (train->trainer, self->in.batch, error))
    return FALSE;
  seed_student_note_memory (self);
  return TRUE;
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

static GstBuffer *
make_report (SeedStudentElement *self, const SeedTrainerReport *report, GstBuffer *words,
    GstBuffer **parts, guint n_items)
{
  SeedStudentTrain *train = &self->train;
  GstBuffer *target = NULL, *out;

  for (guint i = 0; i < train->inputs->len; i++)
    if (((const SeedStudentInput *) g_ptr_array_index (train->inputs, i))->is_target)
      target = parts[i];
  out = seed_student_report_new (
      report, train->trainer, n_items, train->images_per_s, &train->counts, target);
  seed_buffer_copy_stream_metas (out, words);
  gst_buffer_copy_into (out, words, GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  return out;
}

/* What keeps a batch from being learned from, though nothing is wrong; SEED_N_DROP_REASONS: nothing
 */
static SeedDropReason
reason_to_wait (SeedStudentElement *self, GstBuffer **parts, gboolean calibrated)
{
  SeedStudentTrain *train = &self->train;

  for (guint i = 0; i < train->inputs->len; i++)
    if (GST_BUFFER_FLAG_IS_SET (parts[i], GST_BUFFER_FLAG_GAP))
      return SEED_DROP_NOT_CALIBRATED;
  return calibrated ? SEED_N_DROP_REASONS : SEED_DROP_NOT_CALIBRATED;
}

static gboolean
teachers_have_data (SeedStudentElement *self, GstBuffer **parts)
{
  for (guint i = 0; i < self->train.inputs->len; i++) {
    const SeedStudentInput *input = g_ptr_array_index (self->train.inputs, i);

    if (!input->is_target && GST_BUFFER_FLAG_IS_SET (parts[i], GST_BUFFER_FLAG_GAP))
      return FALSE;
  }
  return TRUE;
}

/* Calibrates, or takes a step. *@reason: SEED_N_DROP_REASONS when it was a step. */
static gboolean
use_batch (SeedStudentElement *self, GstBuffer *words, GstBuffer **parts, guint n_items,
    SeedTrainerReport *report, SeedDropReason *reason, GError **error)
{
  SeedTrainer *trainer = self->train.trainer;
  gboolean calibrated = seed_trainer_is_calibrated (trainer), ok;
  Mapped mapped = { 0 };

  *reason = reason_to_wait (self, parts, calibrated);
  if (calibrated && *reason != SEED_N_DROP_REASONS)
    return TRUE;
  ok = map_batch (self, words, parts, n_items, &mapped, error);
  if (ok && !calibrated)
    ok = seed_trainer_calibrate (trainer, &mapped.batch, error);
  else if (ok && seed_trainer_hold_out (trainer, &mapped.batch))
    *reason = SEED_DROP_HELD_OUT;
  else if (ok)
    ok = seed_trainer_step (trainer, &mapped.batch, report, error);
  if (ok && *reason == SEED_N_DROP_REASONS && !report->learned)
    *reason = SEED_DROP_SHORT_BATCH; /* too little of it can be learned from */
  g_mutex_lock (&self->train.lock);
  self->train.counts.unlabelled += mapped.told.n_unlabelled;
  self->train.counts.uncaptioned += mapped.told.n_uncaptioned;
  g_mutex_unlock (&self->train.lock);
  unmap (&mapped);
  return ok;
}

GstFlowReturn
seed_student_learn (
    SeedStudentElement *self, GstBuffer *words, GstBuffer **parts, guint n_items, GstBuffer **out)
{
  SeedStudentTrain *train = &self->train;
  gint64 start = g_get_monotonic_time ();
  SeedDropReason reason = SEED_DROP_NOT_CALIBRATED;
  g_autoptr (GError) error = NULL;
  SeedTrainerReport report = { .losses.agreement = NAN };

  if (!teachers_have_data (self, parts)) {
    seed_student_drop (self, words, n_items, reason);
    return GST_FLOW_OK;
  }
  if (!prepare (self, &error) ||
      !use_batch (self, words, parts, n_items, &report, &reason, &error)) {
    seed_student_drop (self, words, n_items, SEED_DROP_ERROR);
    seed_student_post_error (self, "step failed", error);
    return GST_FLOW_ERROR;
  }
  seed_student_tell (self, &report, words);
  if (reason != SEED_N_DROP_REASONS) {
    seed_student_drop (self, words, n_items, reason);
    return GST_FLOW_OK;
  }
  note_step (train, &report, n_items);
  seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - start) * 1000);
  /* before followers hear of the step: a version it promotes is theirs from here on */
  if (seed_trainer_is_finished (train->trainer) ||
      (self->checkpoint_every && report.step % self->checkpoint_every == 0))
    seed_student_checkpoint (self);
  advance (self, words, n_items, TRUE);
  seed_ledger_out_buffer (self->ledger, words);
  *out = make_report (self, &report, words, parts, n_items);
  return GST_FLOW_OK;
}
