/* SPDX-License-Identifier: MIT */
#include "core/event.h"
#include "core/stream-meta.h"
#include "publish/seedpublish.h"

/* How long the first result waits for its subscribers. */
#define WAIT_LIMIT_S 10

GST_DEBUG_CATEGORY_EXTERN (seed_publish_debug);
#define GST_CAT_DEFAULT seed_publish_debug

static gboolean
has_subscribers (SeedPublish *self)
{
  SeedPublisherStats stats;

  seed_publisher_get_stats (self->publisher, &stats);
  return stats.gate.subscriptions >= self->wait_for;
}

/* With the lock held: until it is PLAYING, and, for @results, until the subscribers are there.
 * FALSE when the pad must give up. *@missing: how many subscriptions the wait was for, if it was in
 * vain. */
static gboolean
wait_turn (SeedPublish *self, SeedPublishPad *pad, gboolean results, guint64 *missing)
{
  while (!self->stopping && !pad->flushing) {
    if (!self->playing) {
      g_cond_wait (&self->changed, &self->lock);
      continue;
    }
    if (!results || has_subscribers (self)) {
      if (results)
        self->wait_for = 0;
      return TRUE;
    }
    if (self->wait_deadline == 0)
      self->wait_deadline = g_get_monotonic_time () + WAIT_LIMIT_S * G_TIME_SPAN_SECOND;
    if (!g_cond_wait_until (&self->changed, &self->lock, self->wait_deadline)) {
      *missing = self->wait_for;
      self->wait_for = 0;
    }
  }
  return FALSE;
}

static gboolean
await_turn (SeedPublish *self, SeedPublishPad *pad, gboolean results)
{
  guint64 missing = 0;
  gboolean ok;

  g_mutex_lock (&self->lock);
  ok = wait_turn (self, pad, results, &missing);
  g_mutex_unlock (&self->lock);
  if (missing > 0)
    GST_ELEMENT_WARNING (self, RESOURCE, WRITE,
        ("%" G_GUINT64_FORMAT " subscriptions did not arrive within %d s; going on without them",
            missing, WAIT_LIMIT_S),
        ("endpoint %s", seed_publisher_endpoint (self->publisher)));
  return ok;
}

GstFlowReturn
seed_publish_chain (GstPad *gst_pad, GstObject *parent, GstBuffer *buffer)
{
  SeedPublish *self = SEED_PUBLISH (parent);
  SeedPublishPad *pad = SEED_PUBLISH_PAD (gst_pad);
  GstFlowReturn flow;

  if (!gst_pad_has_current_caps (gst_pad)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION, ("Data came before caps"),
        ("pad %s, from %s", GST_PAD_NAME (pad), seed_publish_pad_node (pad)));
    return GST_FLOW_NOT_NEGOTIATED;
  }
  if (!seed_publish_wants (self, pad)) {
    g_mutex_lock (&self->lock);
    self->ignored += MAX (seed_buffer_n_stream_meta (buffer), 1);
    g_mutex_unlock (&self->lock);
    gst_buffer_unref (buffer);
    return GST_FLOW_OK;
  }
  seed_ledger_in_buffer (self->ledger, buffer);
  if (await_turn (self, pad, TRUE)) {
    flow = seed_publish_buffer (self, pad, buffer);
  } else {
    seed_ledger_drop_buffer (self->ledger, buffer, SEED_DROP_FLUSHED);
    flow = GST_FLOW_FLUSHING;
  }
  gst_buffer_unref (buffer);
  return flow;
}

/* With the lock held: whether the last input has ended just now. */
static gboolean
is_last_eos (SeedPublish *self)
{
  gboolean all = self->publisher && !self->stopping && !self->eos_posted;
  guint n = 0;

  GST_OBJECT_LOCK (self);
  for (GList *l = GST_ELEMENT (self)->sinkpads; l; l = l->next, n++)
    all = all && SEED_PUBLISH_PAD (l->data)->eos;
  GST_OBJECT_UNLOCK (self);
  return all && n > 0;
}

void
seed_publish_check_eos (SeedPublish *self, GstEvent *event)
{
  GstMessage *message;
  gboolean last;

  g_mutex_lock (&self->lock);
  last = is_last_eos (self);
  if (last)
    self->eos_posted = TRUE;
  g_mutex_unlock (&self->lock);
  if (!last)
    return;
  if (self->wanted & SEED_PUBLISH_HEALTH)
    seed_publish_health (self);
  message = gst_message_new_eos (GST_OBJECT (self));
  if (event)
    gst_message_set_seqnum (message, gst_event_get_seqnum (event));
  gst_element_post_message (GST_ELEMENT (self), message);
}

static void
set_eos (SeedPublish *self, SeedPublishPad *pad, gboolean eos)
{
  g_mutex_lock (&self->lock);
  pad->eos = eos;
  if (!eos)
    self->eos_posted = FALSE;
  g_mutex_unlock (&self->lock);
}

static void
set_flushing (SeedPublish *self, SeedPublishPad *pad, gboolean flushing)
{
  set_eos (self, pad, FALSE);
  g_mutex_lock (&self->lock);
  pad->flushing = flushing;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

static gboolean
handle_eos (SeedPublish *self, SeedPublishPad *pad, GstEvent *event)
{
  if (!await_turn (self, pad, FALSE))
    return FALSE;
  set_eos (self, pad, TRUE);
  seed_publish_check_eos (self, event);
  return TRUE;
}

static void
post_stream_start (SeedPublish *self, GstEvent *event)
{
  GstMessage *message;
  gboolean posted;
  guint group;

  g_mutex_lock (&self->lock);
  posted = self->stream_start_posted;
  self->stream_start_posted = TRUE;
  g_mutex_unlock (&self->lock);
  if (posted)
    return;
  message = gst_message_new_stream_start (GST_OBJECT (self));
  gst_message_set_seqnum (message, gst_event_get_seqnum (event));
  if (gst_event_parse_group_id (event, &group))
    gst_message_set_group_id (message, group);
  gst_element_post_message (GST_ELEMENT (self), message);
}

gboolean
seed_publish_sink_event (GstPad *gst_pad, GstObject *parent, GstEvent *event)
{
  SeedPublish *self = SEED_PUBLISH (parent);
  SeedPublishPad *pad = SEED_PUBLISH_PAD (gst_pad);
  gboolean ok = TRUE;
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_STREAM_START:
    set_eos (self, pad, FALSE);
    post_stream_start (self, event);
    break;
  case GST_EVENT_CAPS:
    gst_event_parse_caps (event, &caps);
    ok = seed_publish_pad_set_caps (pad, caps);
    if (!ok)
      GST_ERROR_OBJECT (pad, "cannot publish %" GST_PTR_FORMAT, caps);
    break;
  case GST_EVENT_CUSTOM_DOWNSTREAM_STICKY:
    seed_publish_pad_take_model (pad, event);
    break;
  case GST_EVENT_CUSTOM_DOWNSTREAM:
    if ((self->wanted & SEED_PUBLISH_EVENT) && gst_event_has_name (event, SEED_EVENT_NAME) &&
        await_turn (self, pad, TRUE))
      seed_publish_event (self, pad, event);
    break;
  case GST_EVENT_EOS:
    ok = handle_eos (self, pad, event);
    break;
  case GST_EVENT_FLUSH_START:
    set_flushing (self, pad, TRUE);
    break;
  case GST_EVENT_FLUSH_STOP:
    set_flushing (self, pad, FALSE);
    break;
  default:
    break;
  }
  gst_event_unref (event);
  return ok;
}
