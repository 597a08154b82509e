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

static GstEvent *
new_stream_event (SeedDecodeStream *stream, const char *what, const char *reason, guint attempts)
{
  GstEvent *event = seed_event_new (what, seed_decode_stream_get_id (stream), reason);

  gst_structure_set (gst_event_writable_structure (event), "attempts", G_TYPE_UINT, attempts, NULL);
  return event;
}

static gboolean
is_said (SeedDecode *self, SeedDecodeStream *stream, gboolean up)
{
  gpointer said;

  return g_hash_table_lookup_extended (self->said, stream, NULL, &said) &&
         GPOINTER_TO_INT (said) == up;
}

/* Before the first frame of a stream, and of one that was down; NULL before others. */
static GstEvent *
new_up_event (SeedDecode *self, SeedDecodeStream *stream, GstCaps *caps, guint attempts)
{
  g_autoptr (GString) what = NULL;
  GstVideoInfo info;

  if (is_said (self, stream, TRUE))
    return NULL;
  g_hash_table_insert (self->said, stream, GINT_TO_POINTER (TRUE));
  what = g_string_new (NULL);
  if (gst_video_info_from_caps (&info, caps))
    g_string_append_printf (
        what, "%dx%d %s", info.width, info.height, gst_video_format_to_string (info.finfo->format));
  if (attempts > 1)
    g_string_append_printf (what, ", after %u attempts", attempts);
  return new_stream_event (stream, "stream-up", what->str, attempts);
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

/* Takes the item. */
static void
push_frame (SeedDecode *self, SeedDecodeStream *stream, SeedLaneItem item)
{
  g_autoptr (GstBuffer) frame = gst_buffer_ref (item.frame);
  g_autoptr (GstCaps) caps = item.format;
  GstFlowReturn ret = seed_outlet_push (
      self->outlet, item.frame, caps, new_up_event (self, stream, caps, item.note));

  if (ret == GST_FLOW_OK) {
    self->n_delivered++;
    seed_ledger_out (self->ledger, seed_decode_stream_get_id (stream), 1);
    seed_decode_stream_delivered (stream, frame, caps);
    return;
  }
  seed_ledger_drop (self->ledger, seed_decode_stream_get_id (stream), reason_of_flow (ret), 1);
  stop_on_flow (self, stream, caps, ret);
}

/* Streams there are, all of which are down; 0 when one is not, or has ended. */
static guint
count_all_down (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = seed_decode_ref_running (self);
  guint n = 0;

  for (guint i = 0; i < running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (running, i);

    if (seed_decode_stream_has_ended (stream))
      continue;
    if (!is_said (self, stream, FALSE))
      return 0;
    n++;
  }
  return n;
}

static void
say_all_down (SeedDecode *self)
{
  guint n = count_all_down (self);
  g_autofree char *text = NULL;

  if (n == 0)
    return;
  text = g_strdup_printf ("no stream is up: %u %s down and tried again", n, n == 1 ? "is" : "are");
  GST_ELEMENT_WARNING (self, STREAM, FAILED, ("%s: %s", GST_OBJECT_NAME (self), text), (NULL));
  seed_outlet_push_event (self->outlet, seed_event_new ("alarm", NULL, text));
}

static void
push_mark (SeedDecode *self, SeedDecodeStream *stream, SeedLaneItem item)
{
  g_autofree char *cause = item.format;
  guint attempts = SEED_DECODE_NOTE_ATTEMPTS (item.note);

  if (is_said (self, stream, FALSE))
    return;
  g_hash_table_insert (self->said, stream, GINT_TO_POINTER (FALSE));
  seed_outlet_push_event (self->outlet, new_stream_event (stream, "stream-down", cause, attempts));
  if (SEED_DECODE_NOTE_NEW_SPELL (item.note))
    say_all_down (self);
}

static void
push_end (SeedDecode *self, SeedDecodeStream *stream)
{
  g_autofree char *reason = NULL;

  seed_decode_stream_has_failed (stream, &reason);
  g_hash_table_remove (self->said, stream);
  seed_outlet_push_event (self->outlet, new_stream_event (stream, "stream-down", reason, 0));
  if (seed_decode_stream_part (stream, SEED_DECODE_END_SAID))
    seed_decode_stream_is_gone (self, stream);
}

static void
post_all_failed (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = seed_decode_ref_running (self);
  g_autoptr (GString) text = g_string_new (NULL);
  gboolean failed = FALSE;

  for (guint i = 0; i < running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (running, i);
    g_autofree char *reason = NULL;

    failed |= seed_decode_stream_has_failed (stream, &reason);
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
  gpointer stream;
  SeedLaneItem item;

  switch (seed_lanes_pop (self->lanes, &stream, &item)) {
  case SEED_LANES_ITEM:
    if (item.frame)
      push_frame (self, stream, item);
    else
      push_mark (self, stream, item);
    break;
  case SEED_LANES_END:
    push_end (self, stream);
    break;
  case SEED_LANES_DONE:
    finish (self);
    break;
  case SEED_LANES_STOPPED:
    gst_pad_pause_task (self->src);
    break;
  }
}

/* A mark is forgotten too: what is down says so at its end, or comes up again. */
static void
drop_flushed (gpointer stream, SeedLaneItem item, gpointer data)
{
  if (!item.frame) {
    g_free (item.format);
    return;
  }
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
