/* SPDX-License-Identifier: MIT */
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "fusion/fusion-meta.h"
#include "student/report.h"

static void
add_number (JsonBuilder *builder, const char *name, double value)
{
  json_builder_set_member_name (builder, name);
  if (isfinite (value))
    json_builder_add_double_value (builder, value);
  else
    json_builder_add_null_value (builder); /* JSON has no NaN */
}

static void
add_count (JsonBuilder *builder, const char *name, guint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, (gint64) value);
}

static void
add_fusion (JsonBuilder *builder, const SeedFusionShares *shares)
{
  json_builder_set_member_name (builder, "fusion");
  json_builder_begin_object (builder);
  add_number (builder, "masked", shares->masked);
  json_builder_set_member_name (builder, "teachers");
  json_builder_begin_object (builder);
  for (guint i = 0; i < shares->n_teachers; i++) {
    json_builder_set_member_name (builder, shares->teachers[i]);
    json_builder_begin_object (builder);
    add_number (builder, "diagonal", shares->diagonal[i]);
    add_number (builder, "off_diagonal", shares->off_diagonal[i]);
    json_builder_end_object (builder);
  }
  json_builder_end_object (builder);
  json_builder_end_object (builder);
}

/* A term that the batch had. */
static void
add_term (JsonBuilder *builder, const char *name, double value)
{
  if (!isnan (value))
    add_number (builder, name, value);
}

static void
add_losses (JsonBuilder *builder, const SeedLearnerReport *losses)
{
  json_builder_set_member_name (builder, "loss");
  json_builder_begin_object (builder);
  add_number (builder, "total", losses->total);
  add_term (builder, "similarity", losses->similarity);
  add_term (builder, "seed", losses->seed);
  add_term (builder, "features", losses->features);
  add_term (builder, "labels", losses->labels);
  add_term (builder, "captions", losses->captions);
  add_term (builder, "anchors", losses->anchors);
  add_term (builder, "histogram", losses->histogram);
  json_builder_end_object (builder);
}

static void
add_teachers (JsonBuilder *builder, const SeedLearnerReport *losses, const SeedTrainer *trainer)
{
  json_builder_set_member_name (builder, "teachers");
  json_builder_begin_object (builder);
  for (guint t = 0; t < losses->n_teachers; t++) {
    json_builder_set_member_name (builder, seed_trainer_get_teacher (trainer, t)->name);
    json_builder_begin_object (builder);
    add_number (builder, "seed", losses->teachers[t].seed);
    add_number (builder, "summary", losses->teachers[t].summary);
    add_term (builder, "tokens", losses->teachers[t].tokens);
    add_number (builder, "kept", losses->teachers[t].kept);
    json_builder_end_object (builder);
  }
  json_builder_end_object (builder);
}

static void
add_labels (JsonBuilder *builder, const SeedLearnerReport *losses, guint64 n_unlabelled)
{
  json_builder_set_member_name (builder, "labels");
  json_builder_begin_object (builder);
  add_count (builder, "labelled", losses->n_labelled);
  add_count (builder, "unlabelled_total", n_unlabelled);
  add_number (builder, "accuracy", losses->accuracy);
  json_builder_end_object (builder);
}

static void
add_captions (JsonBuilder *builder, const SeedLearnerReport *losses, guint64 n_uncaptioned)
{
  json_builder_set_member_name (builder, "captions");
  json_builder_begin_object (builder);
  add_count (builder, "captioned", losses->n_captioned);
  add_count (builder, "uncaptioned_total", n_uncaptioned);
  add_number (builder, "scale", losses->caption_scale);
  json_builder_end_object (builder);
}

static void
add_alarms (JsonBuilder *builder, guint flags)
{
  json_builder_set_member_name (builder, "alarms");
  json_builder_begin_array (builder);
  for (guint i = 0; i < SEED_ANCHOR_N_ALARMS; i++)
    if (flags >> i & 1)
      json_builder_add_string_value (builder, seed_anchor_alarm_name ((SeedAnchorAlarm) (1u << i)));
  json_builder_end_array (builder);
}

static void
add_anchors (JsonBuilder *builder, const SeedTrainerReport *report)
{
  const SeedAnchorsLosses *losses = &report->losses.anchor_losses;

  json_builder_set_member_name (builder, "anchors");
  json_builder_begin_object (builder);
  if (!isnan (report->losses.anchors)) {
    add_number (builder, "assignment", losses->assignment);
    add_number (builder, "location", losses->location);
    add_number (builder, "word_location", losses->word_location);
    add_number (builder, "guard", losses->guard);
    add_number (builder, "in_use", losses->perplexity);
    add_number (builder, "word_accuracy", losses->word_accuracy);
    add_count (builder, "matched", losses->n_matched);
    add_number (builder, "position", report->alarms.position.adjusted);
  }
  add_count (builder, "refused_total", seed_anchor_alarms_n_refused (&report->alarms));
  add_alarms (builder, report->alarms.flags);
  json_builder_end_object (builder);
}

GstBuffer *
seed_student_report_new (const SeedTrainerReport *report, const SeedTrainer *trainer, guint batch,
    double images_per_s, const SeedStudentCounts *counts, GstBuffer *target)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  SeedFusionShares shares;
  char *text;

  json_builder_begin_object (builder);
  add_count (builder, "step", report->step);
  add_losses (builder, &report->losses);
  add_number (builder, "lr", report->lr);
  add_number (builder, "grad_norm", report->grad_norm);
  add_count (builder, "batch", batch);
  add_number (builder, "images_per_s", images_per_s);
  if (report->losses.n_teachers > 0)
    add_teachers (builder, &report->losses, trainer);
  if (!isnan (report->losses.labels))
    add_labels (builder, &report->losses, counts->unlabelled);
  if (!isnan (report->losses.captions))
    add_captions (builder, &report->losses, counts->uncaptioned);
  if (!isnan (report->losses.anchors) || report->losses.anchors_refused)
    add_anchors (builder, report);
  add_term (builder, "agreement", report->losses.agreement);
  if (target && seed_buffer_get_fusion_meta (target, &shares))
    add_fusion (builder, &shares);
  json_builder_end_object (builder);

  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);
  return gst_buffer_new_wrapped (text, strlen (text));
}
