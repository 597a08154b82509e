/* SPDX-License-Identifier: MIT */
#include <seed/caption-meta.h>
#include <seed/rng.h>
#include <seed/view-meta.h>

#include "student/seedstudent.h"

/* What the metas of a batch of words say to those who learn from it. */

static guint64
hash_frame (guint64 seed, const SeedStreamMeta *meta)
{
  return seed_hash (seed_hash_string (seed, meta->stream), meta->frame);
}

static void
read_labels (GstBuffer *words, guint n_items, SeedStudentTold *told)
{
  gpointer state = NULL;

  told->labels = g_new (gint32, n_items);
  for (guint i = 0; i < n_items; i++) {
    const SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (words, &state);

    told->labels[i] = meta ? meta->label : -1;
    told->n_unlabelled += told->labels[i] < 0;
  }
}

static void
read_captions (SeedStudentElement *self, GstBuffer *words, guint n_items, SeedStudentTold *told)
{
  guint dim = seed_text_model_get_info (self->train.text)->dim;
  g_autofree const char **texts = g_new0 (const char *, n_items);
  gpointer state = NULL;

  for (guint i = 0; i < n_items; i++) {
    const SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (words, &state);
    const SeedCaptionMeta *captions = seed_buffer_get_caption_meta (words, i);

    if (meta && captions)
      texts[i] = captions->captions[seed_captions_draw (
          self->seed, meta->stream, meta->frame, meta->repeat, captions->n_captions)];
  }
  told->captions = g_new0 (float, (gsize) n_items *dim);
  told->has_caption = g_new0 (gboolean, n_items);
  told->n_uncaptioned = n_items - seed_captions_encode (self->train.captions, texts, n_items,
                                      told->captions, told->has_caption);
}

static gboolean
read_views (SeedStudentElement *self, GstBuffer *words, guint n_items, SeedStudentTold *told,
    GError **error)
{
  guint64 kept_seed = seed_hash_string (self->seed, "words kept");
  gpointer state = NULL, stream_state = NULL;

  told->views = g_new0 (SeedAnchorsView, SEED_VIEWS * n_items);
  told->frames = g_new0 (guint64, n_items);
  told->draws = g_new0 (guint64, n_items);
  for (guint i = 0; i < n_items; i++) {
    const SeedStreamMeta *who = seed_buffer_iterate_stream_meta (words, &stream_state);
    const SeedViewMeta *meta = seed_buffer_iterate_view_meta (words, &state);

    if (!who || !meta || meta->item != i || meta->n_views != SEED_VIEWS) {
      g_set_error_literal (error, SEED_ERROR, SEED_ERROR_MISMATCH,
          "words came without saying what part of the frame their views show, which the objective "
          "anchors needs; let them come from seedpatchify in the same process");
      return FALSE;
    }
    for (guint v = 0; v < SEED_VIEWS; v++)
      told->views[SEED_VIEWS * i + v] = (SeedAnchorsView){ meta->views[v].x, meta->views[v].y,
        meta->views[v].width, meta->views[v].height, meta->views[v].flip };
    told->frames[i] = hash_frame (0, who);
    told->draws[i] = seed_hash (hash_frame (kept_seed, who), who->repeat);
  }
  told->anchors = (SeedTrainerAnchors){ told->views, told->frames, told->draws };
  return TRUE;
}

gboolean
seed_student_told_read (SeedStudentElement *self, GstBuffer *words, guint n_items,
    SeedStudentTold *told, SeedTrainerBatch *batch, GError **error)
{
  SeedObjective objective = self->train.objective;

  if (objective & SEED_OBJECTIVE_LABELS) {
    read_labels (words, n_items, told);
    batch->labels = told->labels;
  }
  if (objective & SEED_OBJECTIVE_CAPTIONS) {
    read_captions (self, words, n_items, told);
    batch->captions = told->captions;
    batch->has_caption = told->has_caption;
  }
  if (objective & SEED_OBJECTIVE_ANCHORS) {
    if (!read_views (self, words, n_items, told, error))
      return FALSE;
    batch->anchors = &told->anchors;
  }
  return TRUE;
}

void
seed_student_told_clear (SeedStudentTold *told)
{
  g_clear_pointer (&told->labels, g_free);
  g_clear_pointer (&told->captions, g_free);
  g_clear_pointer (&told->has_caption, g_free);
  g_clear_pointer (&told->views, g_free);
  g_clear_pointer (&told->frames, g_free);
  g_clear_pointer (&told->draws, g_free);
}

guint
seed_student_count_live (GstBuffer *words, guint n_items)
{
  gpointer state = NULL;
  const SeedStreamMeta *meta;
  guint n = n_items;

  while ((meta = seed_buffer_iterate_stream_meta (words, &state)))
    n -= meta->repeat > 0 && n > 0;
  return n;
}

/* The stream of all items, or NULL when they are of several. */
static const char *
only_stream (GstBuffer *words)
{
  gpointer state = NULL;
  const SeedStreamMeta *meta;
  const char *stream = NULL;

  while ((meta = seed_buffer_iterate_stream_meta (words, &state))) {
    if (stream && !g_str_equal (stream, meta->stream))
      return NULL;
    stream = meta->stream;
  }
  return stream;
}

void
seed_student_tell (SeedStudentElement *self, const SeedTrainerReport *report, GstBuffer *words)
{
  if (!isnan (report->losses.agreement))
    gst_pad_push_event (self->sinkpad,
        seed_agreement_event_new (report->losses.agreement, report->step, only_stream (words)));
  for (guint i = 0; i < SEED_ANCHOR_N_ALARMS; i++) {
    SeedAnchorAlarm alarm = (SeedAnchorAlarm) (1u << i);

    if (report->raised & alarm) {
      g_autofree char *reason = g_strdup_printf (
          "%s: image anchors, step %" G_GUINT64_FORMAT ", %s: %s", GST_OBJECT_NAME (self),
          report->step, seed_anchor_alarm_name (alarm), seed_anchor_alarm_text (alarm));

      gst_pad_push_event (self->srcpad, seed_event_new ("alarm", NULL, reason));
    }
  }
}
