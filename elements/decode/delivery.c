/* SPDX-License-Identifier: MIT */
#include <gst/video/video.h>

#include "core/event.h"
#include "core/stream-meta.h"
#include "decode/internal.h"

#define GST_CAT_DEFAULT seed_decode_debug

static void
push_eos (SeedDecode *self)
{
  seed_outlet_push_event (self->outlet, gst_event_new_eos ());
  gst_pad_pause_task (self->src);
}

/* Before the first frame of a stream; NULL before others. */
static GstEvent *
new_up_event (SeedDecode *self, guint lane, GstCaps *caps)
{
  gboolean *is_up = &g_array_index (self->is_up, gboolean, lane);
  SeedDecodeStream *stream = g_ptr_array_index (self->running, lane);
  g_autofree char *what = NULL;
  GstVideoInfo info;

  if (*is_up)
    return NULL;
  *is_up = TRUE;
  if (gst_video_info_from_caps (&info, caps))
    what = g_strdup_printf (
        "%dx%d %s", info.width, info.height, gst_video_format_to_string (info.finfo->format));
  return seed_event_new ("stream-up", seed_decode_stream_get_id (stream), what);
}

static void
stop_on_flow (SeedDecode *self, SeedDecodeStream *stream, GstCaps *caps, GstFlowReturn ret)
{
  if (ret == GST_FLOW_FLUSHING) {
    gst_pad_pause_task (self->src);
    return;
  }
  if (ret != GST_FLOW_EOS) {
    g_autofree char *text = gst_caps_to_string (caps);

    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("%s: stream \"%s\": the next stage does not take its frames: %s%s", GST_OBJECT_NAME (self),
            seed_decode_stream_get_id (stream), gst_flow_get_name (ret),
            ret == GST_FLOW_NOT_LINKED ? "; link the pad src" : ""),
        ("frames are %s", text));
  }
  seed_lanes_stop (self->lanes); /* nobody will take more */
  push_eos (self);
}

static SeedDropReason
reason_of_flow (GstFlowReturn ret)
{
  return ret == GST_FLOW_FLUSHING ? SEED_DROP_FLUSHED
         : ret == GST_FLOW_EOS    ? SEED_DROP_FINISHED
                                  : SEED_DROP_ERROR;
}

/* Takes @buffer. */
static void
push_frame (SeedDecode *self, guint lane, GstBuffer *buffer, GstCaps *caps)
{
  SeedDecodeStream *stream = g_ptr_array_index (self->running, lane);
  GstFlowReturn ret =
      seed_outlet_push (self->outlet, buffer, caps, new_up_event (self, lane, caps));

  if (ret == GST_FLOW_OK) {
    self->n_delivered++;
    seed_ledger_out (self->ledger, seed_decode_stream_get_id (stream), 1);
    return;
  }
  seed_ledger_drop (self->ledger, seed_decode_stream_get_id (stream), reason_of_flow (ret), 1);
  stop_on_flow (self, stream, caps, ret);
}

static void
push_down (SeedDecode *self, guint lane)
{
  SeedDecodeStream *stream = g_ptr_array_index (self->running, lane);
  g_autofree char *reason = NULL;

  seed_decode_stream_get_state (stream, &reason);
  seed_outlet_push_event (
      self->outlet, seed_event_new ("stream-down", seed_decode_stream_get_id (stream), reason));
}

static void
post_all_failed (SeedDecode *self)
{
  g_autoptr (GString) text = g_string_new (NULL);
  gboolean failed = FALSE;

  for (guint i = 0; i < self->running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (self->running, i);
    g_autofree char *reason = NULL;

    failed |= seed_decode_stream_get_state (stream, &reason) == SEED_DECODE_FAILED;
    g_string_append_printf (
        text, "%sstream \"%s\": %s", i ? " | " : "", seed_decode_stream_get_id (stream), reason);
  }
  if (failed)
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("%s: no stream gave a frame: %s", GST_OBJECT_NAME (self), text->str), (NULL));
}

static void
finish (SeedDecode *self)
{
  if (!self->is_over && self->n_delivered == 0)
    post_all_failed (self);
  self->is_over = TRUE;
  push_eos (self);
}

void
seed_decode_push_loop (gpointer data)
{
  SeedDecode *self = data;
  SeedLaneItem item;
  guint lane;

  switch (seed_lanes_pop (self->lanes, &lane, &item)) {
  case SEED_LANES_ITEM:
    push_frame (self, lane, item.frame, item.format);
    gst_caps_unref (item.format);
    break;
  case SEED_LANES_END:
    push_down (self, lane);
    break;
  case SEED_LANES_DONE:
    finish (self);
    break;
  case SEED_LANES_STOPPED:
    gst_pad_pause_task (self->src);
    break;
  }
}

static void
drop_flushed (guint lane, SeedLaneItem item, gpointer data)
{
  seed_ledger_drop_buffer (((SeedDecode *) data)->ledger, item.frame, SEED_DROP_FLUSHED);
  gst_buffer_unref (item.frame);
  gst_caps_unref (item.format);
}

void
seed_decode_drop_queued (SeedDecode *self)
{
  seed_lanes_drain (self->lanes, drop_flushed, self);
}

void
seed_decode_flush_start (SeedDecode *self)
{
  seed_lanes_set_paused (self->lanes, TRUE);
  gst_pad_push_event (self->src, gst_event_new_flush_start ());
  gst_pad_pause_task (self->src);
}

/* What was queued is old news; what is decoded from now on is delivered. */
void
seed_decode_flush_stop (SeedDecode *self, gboolean reset_time)
{
  seed_decode_drop_queued (self);
  gst_pad_push_event (self->src, gst_event_new_flush_stop (reset_time));
  seed_outlet_flushed (self->outlet);
  seed_lanes_set_paused (self->lanes, FALSE);
  gst_pad_start_task (self->src, seed_decode_push_loop, self, NULL);
}
