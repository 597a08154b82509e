/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/view-meta.h>

#include "core/stream-meta.h"
#include "patchify/seedpatchify.h"

GST_DEBUG_CATEGORY_EXTERN (seed_patchify_debug);
#define GST_CAT_DEFAULT seed_patchify_debug

void
seed_patchify_batch_start (SeedPatchify *self)
{
  self->number = 0;
  self->last_flow = GST_FLOW_OK;
}

static GstFlowReturn
batch_begin (SeedPatchify *self, const SeedStreamMeta *who)
{
  GstFlowReturn ret = gst_buffer_pool_acquire_buffer (self->pool, &self->buffer, NULL);

  if (ret != GST_FLOW_OK)
    return ret;
  if (!gst_buffer_map (self->buffer, &self->map, GST_MAP_WRITE)) {
    gst_clear_buffer (&self->buffer);
    GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
        ("Stage %s: cannot write to a batch of %" G_GSIZE_FORMAT " bytes for stream %s",
            GST_OBJECT_NAME (self), seed_patches_info_item_size (&self->info) * self->info.batch,
            who->stream),
        (NULL));
    return GST_FLOW_ERROR;
  }
  self->token++;
  return GST_FLOW_OK;
}

/* The deadline's thread. Takes the stream lock, so it comes between two frames or events. */
static void
deadline_passed (guint64 token, gpointer data)
{
  SeedPatchify *self = data;

  GST_PAD_STREAM_LOCK (self->sinkpad);
  if (self->n_items > 0 && self->token == token && !GST_PAD_IS_FLUSHING (self->sinkpad)) {
    GST_DEBUG_OBJECT (self, "deadline of batch %" G_GUINT64_FORMAT, self->number);
    GST_OBJECT_LOCK (self);
    self->stats.by_deadline++;
    GST_OBJECT_UNLOCK (self);
    self->last_flow = seed_patchify_batch_push (self);
  }
  GST_PAD_STREAM_UNLOCK (self->sinkpad);
}

static void
arm_deadline (SeedPatchify *self, guint deadline_ms)
{
  g_autoptr (GstClock) clock = gst_element_get_clock (GST_ELEMENT (self));

  if (!self->deadline)
    self->deadline = seed_deadline_new (deadline_passed, self);
  seed_deadline_arm (self->deadline, clock, deadline_ms * GST_MSECOND, self->token);
}

/* Every view a crop of its own; stretched, so that no view shows bars. The reference view is all
 * that the others are crops of, as it is. */
static void
cut_augmented (SeedPatchify *self, const SeedFrame *frame, const SeedStreamMeta *who,
    const SeedPatchifySettings *settings, const SeedPlacement *whole, guint8 *words)
{
  guint64 seed = seed_augment_repeat_seed (settings->seed, who->repeat);

  for (guint v = 0; v < self->info.views; v++) {
    seed_augment_draw (&self->augments[v], seed, who->stream, who->frame, v, &whole->box,
        self->input->pixel_aspect, &settings->limits);
    self->cuts[v] = (SeedCut){ .place = { .box = self->augments[v].crop,
                                   .width = self->info.image_size,
                                   .height = self->info.image_size },
      .augment = &self->augments[v] };
  }
  if (settings->reference_view) {
    self->cuts[0].place.box = whole->box;
    self->cuts[0].augment = NULL;
  }
  seed_cutter_run (self->cutter, frame, self->cuts, self->info.views, words);
}

static void
cut_plain (SeedPatchify *self, const SeedFrame *frame, const SeedPlacement *place, guint8 *words)
{
  const gsize view_size = seed_patches_info_item_size (&self->info) / self->info.views;

  for (guint v = 0; v < self->info.views; v++)
    self->cuts[v] = (SeedCut){ .place = *place };
  seed_cutter_run (self->cutter, frame, self->cuts, 1, words);
  for (guint v = 1; v < self->info.views; v++)
    memcpy (words + v * view_size, words, view_size);
}

/* What the square of a view shows of the frame, bars included. */
static SeedView
view_of (const SeedCut *cut, const SeedFrame *frame, guint image_size)
{
  const SeedPlacement *place = &cut->place;
  double x_scale = (place->box.x1 - place->box.x0) / place->width;
  double y_scale = (place->box.y1 - place->box.y0) / place->height;

  return (SeedView){ .x = (place->box.x0 - place->x * x_scale) / frame->width,
    .y = (place->box.y0 - place->y * y_scale) / frame->height,
    .width = image_size * x_scale / frame->width,
    .height = image_size * y_scale / frame->height,
    .flip = cut->augment && cut->augment->flip };
}

/* One view alone says nothing that anybody compares it with. */
static void
describe_views (SeedPatchify *self, const SeedFrame *frame)
{
  SeedViewMeta *meta;

  if (self->info.views < 2)
    return;
  meta = seed_buffer_add_view_meta (self->buffer, self->n_items, self->info.views);
  for (guint v = 0; v < self->info.views; v++)
    meta->views[v] = view_of (&self->cuts[v], frame, self->info.image_size);
}

GstFlowReturn
seed_patchify_batch_add (SeedPatchify *self, const SeedFrame *frame, const SeedStreamMeta *who)
{
  SeedPatchifySettings settings = seed_patchify_settings (self);
  const SeedWindow window = { self->info.resize_size, self->info.crop_size, self->info.image_size };
  SeedPlacement place;
  GstFlowReturn ret;
  guint8 *words;

  if (self->n_items == 0) {
    ret = batch_begin (self, who);
    if (ret != GST_FLOW_OK)
      return ret;
    GST_BUFFER_PTS (self->buffer) = who->pts;
  }
  words = self->map.data + self->n_items * seed_patches_info_item_size (&self->info);
  seed_fit_place_window (
      self->fit, frame->width, frame->height, self->input->pixel_aspect, &window, &place);
  if (settings.augment)
    cut_augmented (self, frame, who, &settings, &place, words);
  else
    cut_plain (self, frame, &place, words);
  describe_views (self, frame);
  seed_buffer_copy_stream_meta (self->buffer, who);
  if (self->n_items++ == 0 && settings.deadline_ms > 0 && self->info.batch > 1)
    arm_deadline (self, settings.deadline_ms);
  return GST_FLOW_OK;
}

GstFlowReturn
seed_patchify_batch_push_if_full (SeedPatchify *self)
{
  return self->n_items == self->info.batch ? seed_patchify_batch_push (self) : GST_FLOW_OK;
}

/* Ends the filling; the caller owns the buffer. */
static GstBuffer *
batch_end (SeedPatchify *self)
{
  if (self->deadline)
    seed_deadline_disarm (self->deadline);
  gst_buffer_unmap (self->buffer, &self->map);
  self->n_items = 0;
  return g_steal_pointer (&self->buffer);
}

GstFlowReturn
seed_patchify_batch_push (SeedPatchify *self)
{
  guint n_items = self->n_items;
  GstBuffer *buffer;

  if (n_items == 0)
    return GST_FLOW_OK;
  buffer = batch_end (self);
  gst_buffer_set_size (buffer, (gssize) (n_items * seed_patches_info_item_size (&self->info)));
  GST_BUFFER_OFFSET (buffer) = self->number++;
  GST_OBJECT_LOCK (self);
  self->stats.batches++;
  self->stats.partial += n_items < self->info.batch;
  GST_OBJECT_UNLOCK (self);
  seed_ledger_out_buffer (self->ledger, buffer);
  return gst_pad_push (self->srcpad, buffer);
}

void
seed_patchify_batch_drop (SeedPatchify *self)
{
  GstBuffer *buffer;

  if (self->n_items == 0)
    return;
  buffer = batch_end (self);
  seed_ledger_drop_buffer (self->ledger, buffer, SEED_DROP_FLUSHED);
  gst_buffer_unref (buffer);
}
