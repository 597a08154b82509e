/* SPDX-License-Identifier: MIT */
#include <gst/app/gstappsink.h>

#include "core/caps.h"
#include "seed/anchors-meta.h"
#include "seed/caption-meta.h"
#include "seed/stream-meta.h"
#include "seedctl-eval.h"
#include "seedctl.h"

#define PATIENCE (100 * GST_MSECOND) /* between two looks at the bus */

typedef struct {
  GstElement *pipeline, *sink;
  GAsyncQueue *words; /* of GstBuffer, those whose features are still to come; or NULL */
  gsize words_size;   /* bytes of a frame's words */
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

/* What the model is about to see is kept until it has said what it thinks of it. */
static GstPadProbeReturn
keep_words (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  g_async_queue_push (data, gst_buffer_ref (GST_PAD_PROBE_INFO_BUFFER (info)));
  return GST_PAD_PROBE_OK;
}

static void
watch_words (Run *run, const SeedctlModel *model, GstElement *patchify)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (patchify, "src");

  run->words = g_async_queue_new_full ((GDestroyNotify) gst_buffer_unref);
  run->words_size = (gsize) model->image_size * model->image_size * 3;
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, keep_words, g_async_queue_ref (run->words),
      (GDestroyNotify) g_async_queue_unref);
}

static gboolean
build (Run *run, const SeedctlModel *model, const SeedctlEvalOptions *options, GstElement *source,
    SeedctlParts parts, GError **error)
{
  GstElement *element = seedctl_model_make_element (model, options, (parts & SEEDCTL_TOKENS) != 0);
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
  if (parts & SEEDCTL_WORDS)
    watch_words (run, model, patchify);
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

/* What a buffer of features has for its items, mapped; words and tokens have no data unless they
 * are there. */
typedef struct {
  GstBuffer *buffer, *words_buffer;
  GstMemory *memories[2]; /* summary, tokens */
  GstMapInfo summary, tokens, words;
  gpointer metas, anchor_metas; /* where iterating is */
} Items;

static void
items_clear (Items *items)
{
  if (items->words.data)
    gst_buffer_unmap (items->words_buffer, &items->words);
  if (items->tokens.data)
    gst_memory_unmap (items->memories[1], &items->tokens);
  if (items->summary.data)
    gst_memory_unmap (items->memories[0], &items->summary);
  gst_clear_buffer (&items->words_buffer);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Items, items_clear)

/* The words of a batch have its number. */
static GstBuffer *
take_words (Run *run, guint64 number)
{
  GstBuffer *buffer;

  while ((buffer = g_async_queue_try_pop (run->words)) && GST_BUFFER_OFFSET (buffer) != number)
    gst_buffer_unref (buffer);
  return buffer;
}

static gboolean
items_map (Items *items, Run *run, GstBuffer *buffer, const SeedFeaturesInfo *info, GError **error)
{
  guint n = seed_buffer_n_stream_meta (buffer);
  gboolean ok;

  items->buffer = buffer;
  items->memories[0] = gst_buffer_peek_memory (buffer, 0);
  ok = gst_memory_map (items->memories[0], &items->summary, GST_MAP_READ);
  if (ok && info->token_dim > 0) {
    items->memories[1] = gst_buffer_peek_memory (buffer, 1);
    ok = gst_memory_map (items->memories[1], &items->tokens, GST_MAP_READ);
  }
  if (ok && run->words) {
    items->words_buffer = take_words (run, GST_BUFFER_OFFSET (buffer));
    ok = items->words_buffer && gst_buffer_map (items->words_buffer, &items->words, GST_MAP_READ) &&
         items->words.size == n * run->words_size;
  }
  if (!ok)
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
        "batch %" G_GUINT64_FORMAT " of what the model gives cannot be read",
        GST_BUFFER_OFFSET (buffer));
  return ok;
}

/* The next of them; FALSE at the end. */
static gboolean
items_next (
    Items *items, const Run *run, guint item, const SeedFeaturesInfo *info, SeedctlFrame *frame)
{
  SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (items->buffer, &items->metas);
  const SeedAnchorsMeta *anchors =
      seed_buffer_iterate_anchors_meta (items->buffer, &items->anchor_metas);
  const SeedCaptionMeta *captions;

  if (!meta)
    return FALSE;
  captions = seed_buffer_get_caption_meta (items->buffer, item);
  *frame = (SeedctlFrame){ .frame = meta->frame,
    .label = meta->label,
    .captions = captions ? captions->captions : NULL,
    .n_captions = captions ? captions->n_captions : 0,
    .summary = (const float *) items->summary.data + (gsize) item * info->summary_dim,
    .n_words = info->grid * info->grid,
    .token_dim = info->token_dim,
    .words = items->words.data ? items->words.data + item * run->words_size : NULL,
    .histogram = anchors ? anchors->histogram : NULL };
  if (items->tokens.data)
    frame->tokens =
        (const float *) items->tokens.data + (gsize) item * frame->n_words * info->token_dim;
  return TRUE;
}

static gboolean
give_items (Run *run, GstBuffer *buffer, const SeedFeaturesInfo *info, GError **error)
{
  g_auto (Items) items = { 0 };
  SeedctlFrame frame;

  if (!items_map (&items, run, buffer, info, error))
    return FALSE;
  for (guint item = 0; run->limit == 0 || run->n < run->limit; item++, run->n++) {
    if (!items_next (&items, run, item, info, &frame))
      break;
    if (!run->func (&frame, run->data, error))
      return FALSE;
  }
  return TRUE;
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
    GstElement *source, SeedctlParts parts, guint limit, SeedctlFrameFunc func, gpointer data,
    GError **error)
{
  Run run = { .limit = limit, .func = func, .data = data };
  gboolean ok = build (&run, model, options, source, parts, error);

  if (ok && gst_element_set_state (run.pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
    ok = FALSE;
    if (look_at_bus (&run, error))
      g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot be run", model->folder);
  }
  ok = ok && pull_all (&run, error);
  gst_element_set_state (run.pipeline, GST_STATE_NULL);
  gst_object_unref (run.pipeline);
  g_clear_pointer (&run.words, g_async_queue_unref);
  return ok;
}
