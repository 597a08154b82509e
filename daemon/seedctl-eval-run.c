/* SPDX-License-Identifier: MIT */
#include <gst/app/gstappsink.h>

#include "core/caps.h"
#include "seed/caption-meta.h"
#include "seed/stream-meta.h"
#include "seedctl-eval.h"
#include "seedctl.h"

#define PATIENCE (100 * GST_MSECOND) /* between two looks at the bus */

typedef struct {
  GstElement *pipeline, *sink;
  guint limit, n;
  SeedctlFrameFunc func;
  gpointer data;
} Run;

static GstElement *
make (GstElement *pipeline, const char *factory)
{
  GstElement *element = gst_element_factory_make (factory, NULL);

  if (element)
    gst_bin_add (GST_BIN (pipeline), element);
  return element;
}

static gboolean
build (Run *run, const SeedctlModel *model, const SeedctlEvalOptions *options, GstElement *source,
    gboolean tokens, GError **error)
{
  GstElement *element = seedctl_model_make_element (model, options, tokens);
  GstElement *patchify, *queue;

  run->pipeline = gst_pipeline_new ("eval");
  gst_bin_add (GST_BIN (run->pipeline), source);
  if (element)
    gst_bin_add (GST_BIN (run->pipeline), element);
  patchify = make (run->pipeline, "seedpatchify");
  queue = make (run->pipeline, "queue");
  run->sink = make (run->pipeline, "appsink");
  if (!element || !patchify || !queue || !run->sink) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
        "the elements of SEED or GStreamer's appsink are not installed");
    return FALSE;
  }
  g_object_set (patchify, "batch", (guint) options->batch, NULL);
  g_object_set (
      queue, "max-size-buffers", 2, "max-size-bytes", 0, "max-size-time", (guint64) 0, NULL);
  g_object_set (run->sink, "sync", FALSE, "max-buffers", 4, NULL);
  if (gst_element_link_many (source, patchify, queue, element, run->sink, NULL))
    return TRUE;
  g_set_error (
      error, SEED_ERROR, SEED_ERROR_MISMATCH, "%s: its stages do not fit together", model->folder);
  return FALSE;
}

/* Warnings are told; FALSE at the first error. */
static gboolean
look_at_bus (Run *run, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (run->pipeline);
  GstMessage *message;

  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING))) {
    g_autoptr (GError) cause = NULL;
    gboolean fatal = GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR;

    if (fatal)
      gst_message_parse_error (message, &cause, NULL);
    else
      gst_message_parse_warning (message, &cause, NULL);
    gst_message_unref (message);
    if (fatal) {
      g_set_error_literal (error, SEED_ERROR, SEED_ERROR_IO, cause->message);
      return FALSE;
    }
    seedctl_complain ("eval", "warning: %s", cause->message);
  }
  return TRUE;
}

static gboolean
give_items (Run *run, GstBuffer *buffer, const SeedFeaturesInfo *info, GError **error)
{
  gpointer state = NULL;
  GstMapInfo summary, tokens = { 0 };
  GstMemory *rows = gst_buffer_peek_memory (buffer, 0);
  GstMemory *words = info->token_dim ? gst_buffer_peek_memory (buffer, 1) : NULL;
  guint n_words = info->grid * info->grid, item = 0;
  gboolean ok = TRUE;
  SeedStreamMeta *meta;

  if (!gst_memory_map (rows, &summary, GST_MAP_READ))
    return TRUE;
  if (words && !gst_memory_map (words, &tokens, GST_MAP_READ))
    words = NULL;
  while (ok && (meta = seed_buffer_iterate_stream_meta (buffer, &state)) &&
         (run->limit == 0 || run->n < run->limit)) {
    const SeedCaptionMeta *captions = seed_buffer_get_caption_meta (buffer, item);
    SeedctlFrame frame = { .frame = meta->frame,
      .label = meta->label,
      .captions = captions ? captions->captions : NULL,
      .n_captions = captions ? captions->n_captions : 0,
      .summary = (const float *) summary.data + (gsize) item * info->summary_dim,
      .tokens =
          words ? (const float *) tokens.data + (gsize) item * n_words * info->token_dim : NULL,
      .n_words = n_words,
      .token_dim = info->token_dim };

    ok = run->func (&frame, run->data, error);
    run->n++;
    item++;
  }
  if (words)
    gst_memory_unmap (words, &tokens);
  gst_memory_unmap (rows, &summary);
  return ok;
}

static gboolean
pull_all (Run *run, GError **error)
{
  while (run->limit == 0 || run->n < run->limit) {
    g_autoptr (GstSample) sample =
        gst_app_sink_try_pull_sample (GST_APP_SINK (run->sink), PATIENCE);
    SeedFeaturesInfo info;

    if (!look_at_bus (run, error))
      return FALSE;
    if (!sample) {
      if (gst_app_sink_is_eos (GST_APP_SINK (run->sink)))
        break;
      continue;
    }
    if (seed_features_info_from_caps (&info, gst_sample_get_caps (sample)) &&
        !give_items (run, gst_sample_get_buffer (sample), &info, error))
      return FALSE;
  }
  return look_at_bus (run, error);
}

gboolean
seedctl_run_frames (const SeedctlModel *model, const SeedctlEvalOptions *options,
    GstElement *source, gboolean tokens, guint limit, SeedctlFrameFunc func, gpointer data,
    GError **error)
{
  Run run = { .limit = limit, .func = func, .data = data };
  gboolean ok = build (&run, model, options, source, tokens, error);

  if (ok && gst_element_set_state (run.pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
    ok = FALSE;
    if (look_at_bus (&run, error))
      g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot be run", model->folder);
  }
  ok = ok && pull_all (&run, error);
  gst_element_set_state (run.pipeline, GST_STATE_NULL);
  gst_object_unref (run.pipeline);
  return ok;
}
