/* SPDX-License-Identifier: MIT */
#include "core/anchors-meta.h"
#include "student/seedstudent.h"

G_STATIC_ASSERT (SEED_ANCHORS_META_BINS == SEED_ANCHORS_N);

gboolean
seed_student_describe_open (SeedStudentElement *self, GError **error)
{
  SeedStudentInfer *infer = &self->infer;
  SeedAnchorsConfig config;
  SeedStudentShape student;
  SeedAnchorsShape shape;

  seed_student_describe_close (self);
  seed_student_element_get_shape (self, &student);
  if (self->heatmaps && !student.anchors) {
    g_set_error_literal (error, SEED_ERROR, SEED_ERROR_INVALID,
        "heatmaps are asked for, but the student learned no image anchors; use one that was "
        "trained with the objective anchors");
    return FALSE;
  }
  /* several views of a frame are for learning, and have no histogram that anybody asks for */
  if (!student.anchors || self->in.views != 1)
    return TRUE;
  seed_anchors_shape_init (&shape, &student.vit);
  seed_anchors_config_init (&config);
  infer->anchors =
      seed_anchors_new (&shape, &config, &infer->params, self->in.batch, 0, NULL, error);
  if (!infer->anchors)
    return FALSE;
  infer->histograms = g_new (float, (gsize) self->in.batch *SEED_ANCHORS_N);
  if (self->heatmaps)
    infer->heatmaps = g_new (
        float, (gsize) self->in.batch *SEED_ANCHORS_N *seed_vit_config_n_words (&student.vit));
  return TRUE;
}

void
seed_student_describe_close (SeedStudentElement *self)
{
  g_clear_pointer (&self->infer.anchors, seed_anchors_free);
  g_clear_pointer (&self->infer.histograms, g_free);
  g_clear_pointer (&self->infer.heatmaps, g_free);
}

void
seed_student_describe (SeedStudentElement *self, const float *hidden, guint n_items, GstBuffer *out)
{
  SeedStudentInfer *infer = &self->infer;
  gsize d = self->shape.vit.dim, n = seed_vit_config_n_words (&self->shape.vit);

  if (!infer->anchors)
    return;
  seed_anchors_describe (infer->anchors, infer->weights->values,
      &(SeedAnchorsRows){ hidden + d, (1 + n) * d }, n_items, infer->histograms, infer->heatmaps);
  for (guint i = 0; i < n_items; i++)
    seed_buffer_add_anchors_meta (out, i, infer->out.grid,
        infer->histograms + (gsize) i * SEED_ANCHORS_N,
        infer->heatmaps ? infer->heatmaps + i * SEED_ANCHORS_N * n : NULL);
}
