/* SPDX-License-Identifier: MIT */
#include "core/event.h"
#include "core/stream-meta.h"
#include "replay/replay-private.h"
#include "replay/seedreplay.h"

GST_DEBUG_CATEGORY_EXTERN (seed_replay_debug);
#define GST_CAT_DEFAULT seed_replay_debug

/* --- out ---------------------------------------------------------------------------------------
 */

static gboolean
send_caps (SeedReplayElement *self, GstCaps *caps)
{
  if (self->sent && (self->sent == caps || gst_caps_is_equal (self->sent, caps)))
    return TRUE;
  if (!gst_pad_push_event (self->srcpad, gst_event_new_caps (caps)))
    return FALSE;
  gst_caps_replace (&self->sent, caps);
  return TRUE;
}

static SeedDropReason
reason_of_flow (GstFlowReturn ret)
{
  return ret == GST_FLOW_FLUSHING ? SEED_DROP_FLUSHED
         : ret == GST_FLOW_EOS    ? SEED_DROP_FINISHED
                                  : SEED_DROP_ERROR;
}

/* Takes @buffer, which was counted as in. */
static GstFlowReturn
push (SeedReplayElement *self, GstBuffer *buffer, GstCaps *caps, const char *stream)
{
  GstFlowReturn ret = GST_FLOW_NOT_NEGOTIATED;

  if (send_caps (self, caps)) {
    ret = gst_pad_push (self->srcpad, buffer);
  } else {
    gst_buffer_unref (buffer);
    if (GST_PAD_IS_FLUSHING (self->srcpad))
      ret = GST_FLOW_FLUSHING;
  }
  if (ret == GST_FLOW_OK)
    seed_ledger_out (self->ledger, stream, 1);
  else
    seed_ledger_drop (self->ledger, stream, reason_of_flow (ret), 1);
  return ret;
}

/* What a format says as caps; those of the frame before are kept. NULL: it does not say any. */
static GstCaps *
caps_of (SeedReplayElement *self, const SeedRemembered *frame)
{
  if (self->kept_format == frame->format)
    return self->kept_caps;
  g_clear_pointer (&self->kept_format, g_ref_string_release);
  gst_clear_caps (&self->kept_caps);
  self->kept_caps = seed_shrink_parse (frame->format, g_bytes_get_size (frame->pixels), NULL);
  self->kept_format = g_ref_string_acquire (frame->format);
  return self->kept_caps;
}

static GstBuffer *
dress (const SeedRemembered *frame, guint32 repeat, GstClockTime pts)
{
  GstBuffer *buffer = gst_buffer_new_wrapped_bytes (frame->pixels);
  SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

  g_strlcpy (meta->stream, frame->stream, sizeof meta->stream);
  meta->frame = frame->frame;
  meta->pts = frame->pts;
  meta->capture_ns = frame->capture_ns;
  meta->label = frame->label;
  meta->dropped = frame->dropped;
  meta->repeat = repeat;
  GST_BUFFER_PTS (buffer) = pts;
  return buffer;
}

/* @pts: of the live frame that it goes with, so that time on the pad goes on. */
static GstFlowReturn
push_remembered (SeedReplayElement *self, const SeedReplayDue *due, GstClockTime pts)
{
  const SeedRemembered *frame = due->frame;
  GstCaps *caps = caps_of (self, frame);
  GstFlowReturn ret;

  seed_ledger_in (self->ledger, frame->stream, 1);
  ret = push (self, dress (frame, due->repeat, pts), caps, frame->stream);
  g_mutex_lock (&self->lock);
  self->n_replayed += ret == GST_FLOW_OK;
  g_mutex_unlock (&self->lock);
  if (ret == GST_FLOW_NOT_NEGOTIATED)
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("Stage %s: the next stage refuses a remembered frame of stream %s (%s); set max-size to 0 "
         "to remember frames as they are",
            GST_OBJECT_NAME (self), frame->stream, frame->format),
        (NULL));
  return ret;
}

/* --- memory ------------------------------------------------------------------------------------
 */

void
seed_replay_element_alarm (SeedReplayElement *self, GError *error)
{
  GST_ELEMENT_WARNING (self, RESOURCE, WRITE,
      ("Stage %s: frames are remembered in memory alone until the spool can be written again: %s",
          GST_OBJECT_NAME (self), error->message),
      (NULL));
  gst_pad_push_event (self->srcpad, seed_event_new ("alarm", NULL, error->message));
  g_error_free (error);
}

/* under the lock; the error is to be told without it */
static void
update_spool (SeedReplayElement *self, GError **error)
{
  if (!self->spool)
    seed_replay_change_clear (self->replay);
  else if (!seed_spool_update (self->spool, error))
    self->n_refused++;
}

/* under the lock */
static void
remember (SeedReplayElement *self, GstVideoFrame *map, const SeedStreamMeta *who,
    const SeedSignature *signature)
{
  SeedRemembered frame = { .frame = who->frame,
    .pts = who->pts,
    .dropped = who->dropped,
    .capture_ns = who->capture_ns,
    .label = who->label,
    .signature = *signature };

  if (!seed_replay_offer (self->replay, who->stream, self->format->kept.size))
    return;
  frame.pixels = seed_shrink_take (self->format, map);
  if (!frame.pixels) /* no memory: it is as if it had not been drawn */
    return;
  g_strlcpy (frame.stream, who->stream, sizeof frame.stream);
  frame.format = g_ref_string_acquire (self->format->format);
  seed_replay_store (self->replay, &frame);
}

/* FALSE: a duplicate that is not to go on. Otherwise what is due after it is in self->due. */
static gboolean
consider (SeedReplayElement *self, GstVideoFrame *map, const SeedStreamMeta *who, GError **error)
{
  const SeedRemembered *frame;
  SeedSignature signature;
  gboolean duplicate;

  seed_shrink_signature (map, &signature);
  g_mutex_lock (&self->lock);
  duplicate = seed_replay_is_duplicate (self->replay, who->stream, &signature);
  if (duplicate && self->used.duplicates == SEED_REPLAY_DUPLICATES_DROP) {
    g_mutex_unlock (&self->lock);
    return FALSE;
  }
  if (!duplicate)
    remember (self, map, who, &signature);
  self->n_live++;
  seed_replay_live (self->replay);
  g_array_set_size (self->due, 0);
  while ((frame = seed_replay_draw (self->replay))) {
    SeedReplayDue due = { frame, frame->repeat };

    g_array_append_val (self->due, due);
  }
  update_spool (self, error);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

/* --- in ----------------------------------------------------------------------------------------
 */

/* Who the frame is; made up, and written on it, when nobody said. */
static GstBuffer *
identify (SeedReplayElement *self, GstBuffer *buffer, SeedStreamMeta *who)
{
  gpointer state = NULL;
  const SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);

  if (meta) {
    *who = *meta;
    who->stream[SEED_STREAM_ID_SIZE - 1] = '\0';
    for (char *c = who->stream; *c; c++) /* a spool has no such thing */
      *c = g_ascii_iscntrl (*c) ? '?' : *c;
    if (!who->stream[0])
      g_strlcpy (who->stream, "-", sizeof who->stream);
    return buffer;
  }
  *who = (SeedStreamMeta){ .stream = "-",
    .frame = self->anonymous++,
    .pts = GST_BUFFER_PTS (buffer),
    .capture_ns = seed_realtime_ns (),
    .label = -1,
    .dropped = seed_ledger_dropped (self->ledger, "-") };
  buffer = gst_buffer_make_writable (buffer);
  seed_buffer_copy_stream_meta (buffer, who);
  return buffer;
}

/* The first of a row of bad frames is told to the application, the others would only repeat it. */
static void
complain (SeedReplayElement *self, const SeedStreamMeta *who)
{
  if (!self->bad_frame)
    GST_ELEMENT_WARNING (self, STREAM, DECODE,
        ("Stage %s: dropped frame %" G_GUINT64_FORMAT
         " of stream %s: its memory or its video meta are not what the caps say",
            GST_OBJECT_NAME (self), who->frame, who->stream),
        (NULL));
  self->bad_frame = TRUE;
}

static gboolean
is_strided_out (SeedReplayElement *self, const char *stream)
{
  gboolean out;

  g_mutex_lock (&self->lock);
  out = self->stride && !seed_stride_next (self->stride, stream);
  g_mutex_unlock (&self->lock);
  return out;
}

static GstFlowReturn
drop (SeedReplayElement *self, GstBuffer *buffer, const char *stream, SeedDropReason reason,
    GstFlowReturn ret)
{
  seed_ledger_drop (self->ledger, stream, reason, 1);
  gst_buffer_unref (buffer);
  return ret;
}

GstFlowReturn
seed_replay_element_frame (SeedReplayElement *self, GstBuffer *buffer)
{
  gint64 begin = g_get_monotonic_time ();
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  GError *error = NULL;
  SeedStreamMeta who;
  GstVideoFrame map;
  GstFlowReturn ret;
  gboolean goes_on;

  buffer = identify (self, buffer, &who);
  seed_ledger_in (self->ledger, who.stream, 1);
  if (!self->format)
    return drop (self, buffer, who.stream, SEED_DROP_ERROR, GST_FLOW_NOT_NEGOTIATED);
  if (is_strided_out (self, who.stream))
    return drop (self, buffer, who.stream, SEED_DROP_STRIDE, GST_FLOW_OK);
  if (!seed_shrink_map (self->format, buffer, &map)) {
    complain (self, &who);
    return drop (self, buffer, who.stream, SEED_DROP_ERROR, GST_FLOW_OK);
  }
  self->bad_frame = FALSE;
  goes_on = consider (self, &map, &who, &error);
  gst_video_frame_unmap (&map);
  if (error)
    seed_replay_element_alarm (self, error);
  if (!goes_on)
    return drop (self, buffer, who.stream, SEED_DROP_DUPLICATE, GST_FLOW_OK);
  seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - begin) * 1000);
  ret = push (self, buffer, self->caps, who.stream);
  for (guint i = 0; ret == GST_FLOW_OK && i < self->due->len; i++)
    ret = push_remembered (self, &g_array_index (self->due, SeedReplayDue, i), pts);
  return ret;
}

gboolean
seed_replay_element_set_caps (SeedReplayElement *self, GstCaps *caps)
{
  self->format = seed_shrink_format (self->shrink, caps);
  gst_caps_replace (&self->caps, caps);
  if (!self->format) {
    GST_WARNING_OBJECT (self, "refused caps %" GST_PTR_FORMAT, caps);
    return FALSE;
  }
  return send_caps (self, caps);
}

void
seed_replay_element_stream_down (SeedReplayElement *self, const char *stream)
{
  GError *error = NULL;

  g_mutex_lock (&self->lock);
  seed_replay_stream_down (self->replay, stream);
  update_spool (self, &error);
  g_mutex_unlock (&self->lock);
  if (error)
    seed_replay_element_alarm (self, error);
}

/* --- the end -----------------------------------------------------------------------------------
 */

static SeedReplayDue
draw_at (SeedReplayElement *self, guint index)
{
  SeedReplayDue due;

  g_mutex_lock (&self->lock);
  due.frame = seed_replay_draw_at (self->replay, index);
  due.repeat = due.frame->repeat;
  g_mutex_unlock (&self->lock);
  return due;
}

static GstFlowReturn
pass_over_memory (SeedReplayElement *self, GError **error)
{
  guint n = seed_replay_n_held (self->replay);
  g_autofree guint32 *order = g_new (guint32, n + 1);
  GstFlowReturn ret = GST_FLOW_OK;

  g_mutex_lock (&self->lock);
  seed_replay_shuffle (self->replay, order);
  g_mutex_unlock (&self->lock);
  for (guint i = 0; ret == GST_FLOW_OK && i < n; i++) {
    SeedReplayDue due = draw_at (self, order[i]);

    ret = push_remembered (self, &due, GST_CLOCK_TIME_NONE);
  }
  g_mutex_lock (&self->lock);
  update_spool (self, error);
  g_mutex_unlock (&self->lock);
  return ret;
}

void
seed_replay_element_epilogue (SeedReplayElement *self)
{
  g_autoptr (GstEvent) segment = gst_pad_get_sticky_event (self->srcpad, GST_EVENT_SEGMENT, 0);
  GstFlowReturn ret = GST_FLOW_OK;

  if (!segment) /* nothing ever came */
    return;
  for (guint i = 0; ret == GST_FLOW_OK && i < self->used.epilogue; i++) {
    GError *error = NULL;

    ret = pass_over_memory (self, &error);
    if (error)
      seed_replay_element_alarm (self, error);
  }
}
