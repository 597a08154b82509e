/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "core/resume.h"
#include "core/event.h"
#include "core/stream-meta.h"
#include "fusion/seedfusion-private.h"

#define DIGEST_CHARS 16 /* of a whitening's digest in the name of a space: tells fits apart */

/* One batch, its summaries mapped. */
typedef struct {
  GstMapInfo maps[SEED_FUSION_MAX_TEACHERS];
  const float *summaries[SEED_FUSION_MAX_TEACHERS];
  guint n_mapped, n_items;
} Batch;

static gboolean
same_teacher (const SeedFeaturesInfo *a, const SeedFeaturesInfo *b)
{
  return a->space == b->space && a->node == b->node && a->summary_dim == b->summary_dim &&
         a->views == b->views;
}

/* The caps of all pads as they are now. FALSE while they do not agree on the batch. */
static gboolean
collect_infos (SeedFusion *self, SeedFeaturesInfo *infos, guint *n)
{
  gboolean agree = TRUE;

  g_mutex_lock (&self->lock);
  *n = self->pads->len;
  for (guint i = 0; i < *n; i++) {
    SeedFusionPad *pad = g_ptr_array_index (self->pads, i);

    infos[i] = pad->info;
    agree = agree && pad->has_info && infos[i].batch == infos[0].batch;
  }
  g_mutex_unlock (&self->lock);
  return agree && *n > 0;
}

static void
count_calibration (SeedFusion *self)
{
  g_mutex_lock (&self->lock);
  self->n_calibrated = seed_fuser_n_calibrated (self->fuser);
  self->calibrated = seed_fuser_get_whitening (self->fuser) != NULL;
  g_mutex_unlock (&self->lock);
}

/* A learner that begins a run again gets the frames again that its whitening was fitted on. */
static void
find_repeat (SeedFusion *self, guint views)
{
  SeedWhitening *whitening = seed_fuser_get_whitening (self->fuser);

  self->n_repeat = whitening && seed_resume_repeats (self->src)
                       ? seed_whitening_n_samples (whitening) / MAX (views, 1)
                       : 0;
}

static gboolean
make_fuser (SeedFusion *self, const SeedFeaturesInfo *infos, guint n, GError **error)
{
  SeedWhiteningTeacher teachers[SEED_FUSION_MAX_TEACHERS];
  SeedFuserOptions options;

  g_free (self->made_strategy);
  g_free (self->made_whitening);
  GST_OBJECT_LOCK (self);
  self->made_strategy = g_strdup (self->strategy);
  self->made_whitening = g_strdup (self->whitening);
  options = (SeedFuserOptions){
    .strategy = self->made_strategy,
    .calibration = self->calibration,
    .eigenvalue_floor = self->eigenvalue_floor,
    .whitening = self->made_whitening,
    .duplicate_window_ns = (gint64) self->duplicate_window_ms * GST_MSECOND,
    .duplicate_cosine = self->duplicate_cosine,
    .seed = self->seed,
  };
  GST_OBJECT_UNLOCK (self);

  for (guint i = 0; i < n; i++) {
    teachers[i] = (SeedWhiteningTeacher){ infos[i].node, infos[i].space, infos[i].summary_dim };
    self->infos[i] = infos[i];
  }
  self->n_infos = n;
  g_clear_pointer (&self->fuser, seed_fuser_free);
  self->fuser = seed_fuser_new (&options, teachers, n, infos[0].views, error);
  if (self->fuser) {
    count_calibration (self);
    find_repeat (self, infos[0].views);
  }
  return self->fuser != NULL;
}

static gboolean
ensure_fuser (SeedFusion *self, const SeedFeaturesInfo *infos, guint n)
{
  g_autoptr (GError) error = NULL;
  gboolean same = self->fuser && self->n_infos == n;

  for (guint i = 0; same && i < n; i++)
    same = same_teacher (&infos[i], &self->infos[i]);
  if (same || make_fuser (self, infos, n, &error))
    return TRUE;
  if (g_error_matches (error, SEED_ERROR, SEED_ERROR_MISMATCH))
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("%s: %s (caps of %s)", GST_OBJECT_NAME (self), error->message,
            seed_fusion_pad_name (self, 0)),
        (NULL));
  else
    GST_ELEMENT_ERROR (
        self, RESOURCE, SETTINGS, ("%s: %s", GST_OBJECT_NAME (self), error->message), (NULL));
  return FALSE;
}

/* Vectors compare only within one strategy, one set of teachers and one fit. */
static char *
space_name (SeedFusion *self)
{
  SeedWhitening *whitening = seed_fuser_get_whitening (self->fuser);
  GString *name = g_string_new ("fusion:");

  g_string_append (name, self->made_strategy);
  for (guint i = 0; i < self->n_infos; i++)
    g_string_append_printf (name, "%c%s", i ? '+' : ':', self->infos[i].space);
  g_string_append_c (name, '@');
  if (whitening)
    g_string_append_len (name, seed_whitening_digest (whitening), DIGEST_CHARS);
  else
    g_string_append (name, "uncalibrated");
  return g_string_free (name, FALSE);
}

static gboolean
gives_affinity (SeedFusion *self)
{
  return seed_fuser_output (self->fuser) == SEED_FUSION_AFFINITY;
}

static GstCaps *
make_caps (SeedFusion *self, guint batch)
{
  g_autofree char *space = NULL;
  SeedFeaturesInfo info = { .views = self->infos[0].views, .batch = batch };

  if (gives_affinity (self))
    return gst_caps_new_simple (SEED_CAPS_AFFINITY, "batch", G_TYPE_INT, (int) batch, "strategy",
        G_TYPE_STRING, self->made_strategy, NULL);
  space = space_name (self);
  info.summary_dim = seed_fuser_width (self->fuser);
  info.space = g_intern_string (space);
  info.node = g_intern_string (GST_OBJECT_NAME (self));
  return seed_features_info_to_caps (&info);
}

static gsize
output_size (SeedFusion *self, guint n_items)
{
  gsize n = gives_affinity (self)
                ? (gsize) n_items * n_items
                : (gsize) n_items * self->infos[0].views * seed_fuser_width (self->fuser);

  return n * sizeof (float);
}

static void
renew_pool (SeedFusion *self, GstCaps *caps, guint batch)
{
  GstStructure *config;

  if (self->pool) {
    gst_buffer_pool_set_active (self->pool, FALSE);
    gst_object_unref (self->pool);
  }
  self->pool = gst_buffer_pool_new ();
  config = gst_buffer_pool_get_config (self->pool);
  gst_buffer_pool_config_set_params (config, caps, (guint) output_size (self, batch), 0, 0);
  gst_buffer_pool_set_config (self->pool, config);
  gst_buffer_pool_set_active (self->pool, TRUE);
  g_free (self->items);
  self->items = g_new (SeedFusionItem, batch);
  self->batch = batch;
}

static GstEvent *
first_pad_event (SeedFusion *self, GstEventType type)
{
  GstEvent *event = NULL;
  GstPad *pad = NULL;

  g_mutex_lock (&self->lock);
  if (self->pads->len > 0)
    pad = gst_object_ref (g_ptr_array_index (self->pads, 0));
  g_mutex_unlock (&self->lock);
  if (pad)
    event = gst_pad_get_sticky_event (pad, type, 0);
  gst_clear_object (&pad);
  return event;
}

static void
send_start (SeedFusion *self)
{
  GstEvent *event = first_pad_event (self, GST_EVENT_STREAM_START);

  if (!event) {
    g_autofree char *id = gst_pad_create_stream_id (self->src, GST_ELEMENT (self), NULL);

    event = gst_event_new_stream_start (id);
  }
  self->started = TRUE;
  gst_pad_push_event (self->src, event);
}

static void
send_segment (SeedFusion *self)
{
  GstEvent *event = first_pad_event (self, GST_EVENT_SEGMENT);
  GstSegment segment;

  if (!event) {
    gst_segment_init (&segment, GST_FORMAT_TIME);
    event = gst_event_new_segment (&segment);
  }
  gst_pad_push_event (self->src, event);
}

/* SHA-256 of the whitening file: what the features depend on besides the teachers. */
static char *
whitening_sha256 (SeedFusion *self)
{
  g_autoptr (GMappedFile) file = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (self->made_whitening)
    file = g_mapped_file_new (self->made_whitening, FALSE, NULL);
  if (!file)
    return g_strdup ("");
  bytes = g_mapped_file_get_bytes (file);
  return g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, bytes);
}

static void
send_model (SeedFusion *self)
{
  g_autofree char *name = NULL, *sha256 = NULL;

  name = g_strconcat ("fusion:", self->made_strategy, NULL);
  sha256 = whitening_sha256 (self);
  gst_pad_push_event (self->src, seed_model_event_new (name, sha256, 0));
}

gboolean
seed_fusion_announce (SeedFusion *self)
{
  SeedFeaturesInfo infos[SEED_FUSION_MAX_TEACHERS];
  g_autoptr (GstCaps) caps = NULL, old = NULL;
  gboolean first;
  guint n;

  if (!collect_infos (self, infos, &n))
    return TRUE;
  if (!ensure_fuser (self, infos, n))
    return FALSE;

  caps = make_caps (self, infos[0].batch);
  old = gst_pad_get_current_caps (self->src);
  first = !self->started;
  if (first)
    send_start (self);
  if (!self->pool || !old || !gst_caps_is_equal (caps, old)) {
    renew_pool (self, caps, infos[0].batch);
    gst_pad_push_event (self->src, gst_event_new_caps (caps));
  }
  if (first)
    send_segment (self);
  if (!gives_affinity (self) && !self->model_sent && seed_fuser_get_whitening (self->fuser)) {
    self->model_sent = TRUE;
    send_model (self);
  }
  g_mutex_lock (&self->lock);
  self->announced = TRUE;
  g_mutex_unlock (&self->lock);
  return TRUE;
}

void
seed_fusion_forget (SeedFusion *self)
{
  g_clear_pointer (&self->fuser, seed_fuser_free);
  g_clear_pointer (&self->items, g_free);
  g_clear_pointer (&self->made_strategy, g_free);
  g_clear_pointer (&self->made_whitening, g_free);
  if (self->pool)
    gst_buffer_pool_set_active (self->pool, FALSE);
  gst_clear_object (&self->pool);
  self->n_infos = self->batch = 0;
  self->model_sent = FALSE;
}

/* Both buffers are of the same frames: two patchify may have cut their batches differently. */
static gboolean
same_items (GstBuffer *a, GstBuffer *b)
{
  gpointer state_a = NULL, state_b = NULL;
  SeedStreamMeta *x, *y;

  do {
    x = seed_buffer_iterate_stream_meta (a, &state_a);
    y = seed_buffer_iterate_stream_meta (b, &state_b);
    if (!x || !y)
      return x == y;
  } while (x->frame == y->frame && g_str_equal (x->stream, y->stream));
  return FALSE;
}

static gboolean
read_items (SeedFusion *self, GstBuffer *buffer, Batch *batch, GError **error)
{
  gpointer state = NULL;
  SeedStreamMeta *meta;

  batch->n_items = seed_buffer_n_stream_meta (buffer);
  if (batch->n_items == 0 || batch->n_items > self->batch) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "it carries %u stream metas, expected one for each of 1 to %u items", batch->n_items,
        self->batch);
    return FALSE;
  }
  for (guint i = 0; (meta = seed_buffer_iterate_stream_meta (buffer, &state)); i++) {
    SeedFusionItem *item = &self->items[i];

    item->stream = meta->stream;
    item->frame = meta->frame;
    /* images of a set have no PTS: how fast they were read says nothing about their likeness */
    item->time_ns = GST_CLOCK_TIME_IS_VALID (meta->pts) ? (gint64) meta->pts : -1;
  }
  return TRUE;
}

static gboolean
map_summary (SeedFusion *self, guint t, GstBuffer *buffer, Batch *batch, GError **error)
{
  const SeedFeaturesInfo *info = &self->infos[t];
  gsize expected = (gsize) batch->n_items * info->views * info->summary_dim * sizeof (float);
  GstMapInfo *map = &batch->maps[t];
  GstMemory *memory = gst_buffer_n_memory (buffer) ? gst_buffer_peek_memory (buffer, 0) : NULL;

  if (!memory || !gst_memory_map (memory, map, GST_MAP_READ)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH, "the buffer of %s has no readable memory",
        seed_fusion_pad_name (self, t));
    return FALSE;
  }
  batch->n_mapped++;
  batch->summaries[t] = (const float *) map->data;
  if (map->size == expected && (guintptr) map->data % sizeof (float) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
      "the summary of %s has %" G_GSIZE_FORMAT " bytes%s, expected %" G_GSIZE_FORMAT
      " (%u items, %u views, %u floats)",
      seed_fusion_pad_name (self, t), map->size,
      map->size == expected ? " that are not aligned" : "", expected, batch->n_items, info->views,
      info->summary_dim);
  return FALSE;
}

static void
close_batch (Batch *batch)
{
  for (guint t = 0; t < batch->n_mapped; t++)
    gst_memory_unmap (batch->maps[t].memory, &batch->maps[t]);
  batch->n_mapped = 0;
}

static gboolean
open_batch (SeedFusion *self, SeedPair *pair, Batch *batch, GError **error)
{
  if (!read_items (self, pair->parts[0], batch, error))
    return FALSE;
  for (guint t = 0; t < pair->n_inputs; t++) {
    if (!same_items (pair->parts[0], pair->parts[t])) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
          "%s and %s hold different frames; feed all teachers from one patchify, or from several "
          "that cut the same batches (no batch-deadline-ms)",
          seed_fusion_pad_name (self, 0), seed_fusion_pad_name (self, t));
      return FALSE;
    }
    if (!map_summary (self, t, pair->parts[t], batch, error))
      return FALSE;
  }
  return TRUE;
}

static void
copy_identity (GstBuffer *to, GstBuffer *from)
{
  gst_buffer_copy_into (to, from, GST_BUFFER_COPY_TIMESTAMPS, 0, (gsize) -1);
  seed_buffer_copy_stream_metas (to, from);
}

/* In place of a target: an empty buffer of the same batch. */
static GstFlowReturn
push_gap (SeedFusion *self, GstBuffer *from, SeedDropReason reason)
{
  GstBuffer *gap;

  seed_ledger_drop_buffer (self->ledger, from, reason);
  if (!self->fuser) /* some teacher never said what it gives: nobody waits for a target */
    return GST_FLOW_OK;
  gap = gst_buffer_new ();
  copy_identity (gap, from);
  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  return gst_pad_push (self->src, gap);
}

static GstFlowReturn
fail (SeedFusion *self, GstBuffer *buffer, const GError *error)
{
  gpointer state = NULL;
  SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);

  seed_ledger_drop_buffer (self->ledger, buffer, SEED_DROP_ERROR);
  GST_ELEMENT_ERROR (self, STREAM, FAILED,
      ("%s: batch %" G_GUINT64_FORMAT " (from stream %s frame %" G_GUINT64_FORMAT "): %s",
          GST_OBJECT_NAME (self), GST_BUFFER_OFFSET (buffer), meta ? meta->stream : "-",
          meta ? meta->frame : 0, error->message),
      (NULL));
  return GST_FLOW_ERROR;
}

static void
attach_shares (SeedFusion *self, GstBuffer *buffer, const SeedFusionTally *tally)
{
  SeedFusionShares shares = { .n_teachers = self->n_infos };

  for (guint t = 0; t < self->n_infos; t++)
    shares.teachers[t] = self->infos[t].node;
  seed_fusion_tally_shares (
      tally, self->n_infos, shares.diagonal, shares.off_diagonal, &shares.masked);
  seed_buffer_add_fusion_meta (buffer, &shares);
}

static void
count_fused (SeedFusion *self, const SeedFusionTally *tally)
{
  g_mutex_lock (&self->lock);
  seed_fusion_tally_add (&self->tally, tally);
  self->n_fused++;
  g_mutex_unlock (&self->lock);
}

static gboolean
fuse_into (SeedFusion *self, Batch *batch, GstBuffer *out, SeedFusionTally *tally, GError **error)
{
  GstMapInfo map;
  gboolean ok;

  gst_buffer_resize (out, 0, (gssize) output_size (self, batch->n_items));
  if (!gst_buffer_map (out, &map, GST_MAP_WRITE)) {
    g_set_error_literal (
        error, SEED_ERROR, SEED_ERROR_IO, "an output buffer could not be mapped for writing");
    return FALSE;
  }
  ok = seed_fuser_run (
      self->fuser, batch->summaries, self->items, batch->n_items, (float *) map.data, tally, error);
  gst_buffer_unmap (out, &map);
  return ok;
}

static void
count_busy (SeedFusion *self, gint64 since_us)
{
  seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - since_us) * 1000);
}

static GstFlowReturn
fuse (SeedFusion *self, Batch *batch, GstBuffer *from)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstBuffer) out = NULL;
  SeedFusionTally tally = { 0 };
  gint64 since = g_get_monotonic_time ();
  GstFlowReturn flow = gst_buffer_pool_acquire_buffer (self->pool, &out, NULL);

  if (flow != GST_FLOW_OK) {
    seed_ledger_drop_buffer (self->ledger, from, SEED_DROP_FLUSHED);
    return flow;
  }
  if (!fuse_into (self, batch, out, &tally, &error))
    return fail (self, from, error);
  copy_identity (out, from);
  if (gives_affinity (self))
    attach_shares (self, out, &tally);
  count_fused (self, &tally);
  count_busy (self, since);
  seed_ledger_out_buffer (self->ledger, from);
  return gst_pad_push (self->src, g_steal_pointer (&out));
}

static GstFlowReturn
calibrate (SeedFusion *self, Batch *batch, GstBuffer *from)
{
  g_autoptr (GError) error = NULL;
  gint64 since = g_get_monotonic_time ();
  gboolean ok = seed_fuser_calibrate (self->fuser, batch->summaries, batch->n_items, &error);
  GstFlowReturn flow;

  count_calibration (self);
  count_busy (self, since);
  if (!ok)
    return fail (self, from, error);
  flow = push_gap (self, from, SEED_DROP_NOT_CALIBRATED);
  if (flow == GST_FLOW_OK && seed_fuser_get_whitening (self->fuser) && !seed_fusion_announce (self))
    return GST_FLOW_NOT_NEGOTIATED;
  return flow;
}

/* What the loaded whitening was fitted on comes again: no target for it, as then. */
static GstFlowReturn
repeat (SeedFusion *self, const Batch *batch, GstBuffer *from)
{
  self->n_repeat -= MIN (self->n_repeat, batch->n_items);
  return push_gap (self, from, SEED_DROP_NOT_CALIBRATED);
}

static GstFlowReturn
work_on (SeedFusion *self, SeedPair *pair)
{
  g_autoptr (GError) error = NULL;
  Batch batch = { .n_mapped = 0 };
  GstFlowReturn flow;

  if (!self->fuser) { /* its error has been posted */
    seed_ledger_drop_buffer (self->ledger, pair->parts[pair->first], SEED_DROP_ERROR);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  if (!open_batch (self, pair, &batch, &error))
    flow = fail (self, pair->parts[pair->first], error);
  else if (self->n_repeat > 0)
    flow = repeat (self, &batch, pair->parts[0]);
  else if (seed_fuser_get_whitening (self->fuser))
    flow = fuse (self, &batch, pair->parts[0]);
  else
    flow = calibrate (self, &batch, pair->parts[0]);
  close_batch (&batch);
  return flow;
}

static gboolean
has_gap (const SeedPair *pair)
{
  for (guint t = 0; t < pair->n_inputs; t++) {
    if (GST_BUFFER_FLAG_IS_SET (pair->parts[t], GST_BUFFER_FLAG_GAP))
      return TRUE;
  }
  return FALSE;
}

GstFlowReturn
seed_fusion_push_pair (SeedFusion *self, SeedPair *pair)
{
  GstBuffer *first = pair->parts[pair->first];
  GstFlowReturn flow;

  if (pair->n_present < pair->n_inputs) {
    g_mutex_lock (&self->lock);
    self->n_unpaired++;
    g_mutex_unlock (&self->lock);
    flow = push_gap (self, first, SEED_DROP_LATE);
  } else if (has_gap (pair)) {
    flow = push_gap (self, first, SEED_DROP_NOT_CALIBRATED);
  } else {
    flow = work_on (self, pair);
  }
  seed_pair_free (pair);
  return flow;
}
