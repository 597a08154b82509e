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

GstBuffer *
seed_student_report_new (const SeedTrainerReport *report, const SeedTrainer *trainer, guint batch,
    double images_per_s, guint64 n_unlabelled, GstBuffer *target)
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
    add_labels (builder, &report->losses, n_unlabelled);
  if (target && seed_buffer_get_fusion_meta (target, &shares))
    add_fusion (builder, &shares);
  json_builder_end_object (builder);

  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);
  return gst_buffer_new_wrapped (text, strlen (text));
}
