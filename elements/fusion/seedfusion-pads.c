/* SPDX-License-Identifier: MIT */
#include "core/event.h"
#include "core/stream-meta.h"
#include "fusion/seedfusion-private.h"

#define MAX_HELD 2 /* batches that wait on a pad for the other teachers */

/* An event of the first pad: leaves once no batch up to @after is held, so at its place in order.
 */
typedef struct {
  GstEvent *event;
  gboolean at_once;
  guint64 after;
} QueuedEvent;

/* From the first thing that comes on, the set of teachers is fixed. lock held. */
static SeedPairing *
pairing_locked (SeedFusion *self)
{
  if (!self->pairing)
    self->pairing = seed_pairing_new (self->pads->len, (GDestroyNotify) gst_buffer_unref);
  return self->pairing;
}

static void
clear_events_locked (SeedFusion *self)
{
  QueuedEvent *queued;

  while ((queued = g_queue_pop_head (&self->events))) {
    gst_event_unref (queued->event);
    g_free (queued);
  }
}

/* What is held is lost, but accounted for. lock held. */
void
seed_fusion_drop_held_locked (SeedFusion *self)
{
  SeedPair *pair;

  while (self->pairing && (pair = seed_pairing_take_unsettled (self->pairing))) {
    seed_ledger_drop_buffer (self->ledger, pair->parts[pair->first], SEED_DROP_FLUSHED);
    seed_pair_free (pair);
  }
  clear_events_locked (self);
  g_cond_broadcast (&self->room);
}

/* The next thing that may leave: an event or a pair. FALSE when all else must wait. */
static gboolean
next_to_leave (SeedFusion *self, GstEvent **event, SeedPair **pair)
{
  QueuedEvent *queued;

  *event = NULL;
  *pair = NULL;
  g_mutex_lock (&self->lock);
  queued = self->announced ? g_queue_peek_head (&self->events) : NULL;
  if (queued && (queued->at_once || !seed_pairing_holds_up_to (self->pairing, queued->after))) {
    *event = queued->event;
    g_free (g_queue_pop_head (&self->events));
  } else if ((*pair = seed_pairing_take (self->pairing))) {
    g_cond_broadcast (&self->room);
  }
  g_mutex_unlock (&self->lock);
  return *event || *pair;
}

static void
send_eos (SeedFusion *self)
{
  if (self->eos_sent)
    return;
  if (!self->started) { /* ended before it began */
    g_autofree char *id = g_strdup_printf ("%s-empty", GST_OBJECT_NAME (self));

    gst_pad_push_event (self->src, gst_event_new_stream_start (id));
    self->started = TRUE;
  }
  self->eos_sent = TRUE;
  gst_pad_push_event (self->src, gst_event_new_eos ());
}

/* Lets everything leave that may. Returns how the last push went, whoever made it. */
static GstFlowReturn
drain (SeedFusion *self)
{
  GstEvent *event;
  SeedPair *pair;
  GstFlowReturn flow;
  gboolean ended;

  g_mutex_lock (&self->push_lock);
  while (next_to_leave (self, &event, &pair)) {
    if (event) {
      gst_pad_push_event (self->src, event);
      continue;
    }
    flow = seed_fusion_push_pair (self, pair);
    g_mutex_lock (&self->lock);
    self->flow = flow;
    g_mutex_unlock (&self->lock);
  }
  g_mutex_lock (&self->lock);
  flow = self->flow;
  ended = seed_pairing_has_ended (self->pairing);
  g_mutex_unlock (&self->lock);
  if (ended)
    send_eos (self);
  g_mutex_unlock (&self->push_lock);
  return flow;
}

/* Takes @buffer into the pairing once there is room on the pad. */
static GstFlowReturn
wait_and_put (SeedFusion *self, SeedFusionPad *pad, GstBuffer *buffer, GError **error)
{
  GstFlowReturn flow = GST_FLOW_OK;
  gboolean is_first = FALSE;

  g_mutex_lock (&self->lock);
  while (!pad->flushing && !self->stopping &&
         seed_pairing_n_held (pairing_locked (self), pad->index) >= MAX_HELD)
    g_cond_wait (&self->room, &self->lock);
  if (pad->flushing || self->stopping || !pad->has_info) {
    flow = pad->has_info ? GST_FLOW_FLUSHING : GST_FLOW_NOT_NEGOTIATED;
    gst_buffer_unref (buffer);
  } else {
    GstBuffer *kept = gst_buffer_ref (buffer);

    if (!seed_pairing_put (pairing_locked (self), pad->index, GST_BUFFER_OFFSET (buffer), buffer,
            &is_first, error)) {
      seed_ledger_in_buffer (self->ledger, kept);
      seed_ledger_drop_buffer (self->ledger, kept, SEED_DROP_ERROR);
      flow = GST_FLOW_ERROR;
    } else if (is_first) {
      seed_ledger_in_buffer (self->ledger, kept);
    }
    gst_buffer_unref (kept);
  }
  g_mutex_unlock (&self->lock);
  return flow;
}

static GstFlowReturn
sink_chain (GstPad *gpad, GstObject *parent, GstBuffer *buffer)
{
  SeedFusion *self = SEED_FUSION (parent);
  g_autoptr (GError) error = NULL;
  GstFlowReturn flow;

  if (!GST_BUFFER_OFFSET_IS_VALID (buffer)) {
    seed_ledger_in_buffer (self->ledger, buffer);
    seed_ledger_drop_buffer (self->ledger, buffer, SEED_DROP_ERROR);
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("%s: a buffer on %s carries no batch number", GST_OBJECT_NAME (self),
            GST_OBJECT_NAME (gpad)),
        ("teachers pass on the buffer offset of seedpatchify; nothing may change it in between"));
    return GST_FLOW_ERROR;
  }
  flow = wait_and_put (self, SEED_FUSION_PAD (gpad), buffer, &error);
  if (error)
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("%s: %s: %s", GST_OBJECT_NAME (self), GST_OBJECT_NAME (gpad), error->message), (NULL));
  return flow == GST_FLOW_OK ? drain (self) : flow;
}

/* Every pair of pads must speak of the same batches. lock held. */
static char *
find_conflict_locked (SeedFusion *self, SeedFusionPad *pad, const SeedFeaturesInfo *info)
{
  for (guint i = 0; i < self->pads->len; i++) {
    SeedFusionPad *other = g_ptr_array_index (self->pads, i);
    const SeedFeaturesInfo *known = &other->info;

    if (other == pad || !other->has_info)
      continue;
    if (info->views != known->views || (!self->announced && info->batch != known->batch))
      return g_strdup_printf ("%s (%s) gives batches of %u with %u views, %s (%s) of %u with %u "
                              "views; all teachers must follow the same patchify settings",
          GST_OBJECT_NAME (pad), info->node, info->batch, info->views, GST_OBJECT_NAME (other),
          known->node, known->batch, known->views);
  }
  return NULL;
}

/* Another space is another teacher, and no whitening fits both. lock held. */
static char *
find_change_locked (SeedFusion *self, SeedFusionPad *pad, const SeedFeaturesInfo *info)
{
  const SeedFeaturesInfo *old = &pad->info;

  if (!pad->has_info || (self->n_calibrated == 0 && !self->calibrated) ||
      (old->space == info->space && old->summary_dim == info->summary_dim &&
          old->views == info->views))
    return NULL;
  return g_strdup_printf ("%s changed from space \"%s\" (%u wide, %u views) to \"%s\" (%u wide, %u "
                          "views) after calibration on it began; restart the graph",
      GST_OBJECT_NAME (pad), old->space, old->summary_dim, old->views, info->space,
      info->summary_dim, info->views);
}

static gboolean
all_pads_have_caps (SeedFusion *self)
{
  gboolean all = TRUE;

  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->pads->len; i++)
    all = all && ((SeedFusionPad *) g_ptr_array_index (self->pads, i))->has_info;
  g_mutex_unlock (&self->lock);
  return all;
}

static gboolean
sink_caps (SeedFusion *self, SeedFusionPad *pad, GstCaps *caps)
{
  g_autofree char *problem = NULL;
  SeedFeaturesInfo info;
  gboolean ok = TRUE;

  if (!seed_features_info_from_caps (&info, caps)) {
    g_autofree char *text = gst_caps_to_string (caps);

    problem = g_strdup_printf ("%s got incomplete caps %s; a teacher fills in summary-dim, "
                               "token-dim, grid, views, batch, space and node",
        GST_OBJECT_NAME (pad), text);
  } else {
    g_mutex_lock (&self->lock);
    pairing_locked (self);
    problem = find_conflict_locked (self, pad, &info);
    if (!problem)
      problem = find_change_locked (self, pad, &info);
    if (!problem) {
      pad->info = info;
      pad->has_info = TRUE;
    }
    g_mutex_unlock (&self->lock);
  }
  if (problem) {
    GST_ELEMENT_ERROR (
        self, CORE, NEGOTIATION, ("%s: %s", GST_OBJECT_NAME (self), problem), (NULL));
    return FALSE;
  }

  if (all_pads_have_caps (self)) {
    g_mutex_lock (&self->push_lock);
    ok = seed_fusion_announce (self);
    g_mutex_unlock (&self->push_lock);
    if (ok)
      drain (self);
  }
  return ok;
}

static gboolean
sink_flush_start (SeedFusion *self, SeedFusionPad *pad, GstEvent *event)
{
  gboolean forward;

  g_mutex_lock (&self->lock);
  forward = !pad->flushing && self->n_flushing++ == 0;
  pad->flushing = TRUE;
  seed_fusion_drop_held_locked (self);
  g_mutex_unlock (&self->lock);
  if (forward)
    return gst_pad_push_event (self->src, event);
  gst_event_unref (event);
  return TRUE;
}

static gboolean
sink_flush_stop (SeedFusion *self, SeedFusionPad *pad, GstEvent *event)
{
  gboolean forward, ok = TRUE;

  g_mutex_lock (&self->push_lock);
  g_mutex_lock (&self->lock);
  forward = pad->flushing && --self->n_flushing == 0;
  pad->flushing = FALSE;
  if (forward) {
    seed_fusion_drop_held_locked (self);
    seed_pairing_reset (pairing_locked (self));
    self->flow = GST_FLOW_OK;
  }
  g_mutex_unlock (&self->lock);
  if (forward) {
    self->eos_sent = FALSE;
    ok = gst_pad_push_event (self->src, gst_event_ref (event));
  }
  g_mutex_unlock (&self->push_lock);
  gst_event_unref (event);
  return ok;
}

void
seed_fusion_end_pad (SeedFusion *self, SeedFusionPad *pad)
{
  g_mutex_lock (&self->lock);
  seed_pairing_end (pairing_locked (self), pad->index);
  g_mutex_unlock (&self->lock);
  drain (self);
}

/* Events of the first pad keep their place among the batches; those of others go nowhere. */
static gboolean
sink_forward (SeedFusion *self, SeedFusionPad *pad, GstEvent *event)
{
  QueuedEvent *queued;

  g_mutex_lock (&self->lock);
  pairing_locked (self);
  if (pad->index != 0) {
    g_mutex_unlock (&self->lock);
    gst_event_unref (event);
    return TRUE;
  }
  if (!GST_EVENT_IS_SERIALIZED (event)) {
    g_mutex_unlock (&self->lock);
    return gst_pad_push_event (self->src, event);
  }
  queued = g_new0 (QueuedEvent, 1);
  queued->event = event;
  queued->at_once = !seed_pairing_last (self->pairing, 0, &queued->after);
  g_queue_push_tail (&self->events, queued);
  g_mutex_unlock (&self->lock);
  drain (self);
  return TRUE;
}

static gboolean
sink_segment (SeedFusion *self, SeedFusionPad *pad, GstEvent *event)
{
  gboolean announced;

  g_mutex_lock (&self->lock);
  announced = self->announced;
  g_mutex_unlock (&self->lock);
  if (announced)
    return sink_forward (self, pad, event);
  gst_event_unref (event); /* stays on the pad: announced with the caps */
  return TRUE;
}

static gboolean
sink_event (GstPad *gpad, GstObject *parent, GstEvent *event)
{
  SeedFusion *self = SEED_FUSION (parent);
  SeedFusionPad *pad = SEED_FUSION_PAD (gpad);
  gboolean ok = TRUE;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_FLUSH_START:
    return sink_flush_start (self, pad, event);
  case GST_EVENT_FLUSH_STOP:
    return sink_flush_stop (self, pad, event);
  case GST_EVENT_SEGMENT:
    return sink_segment (self, pad, event);
  case GST_EVENT_CAPS: {
    GstCaps *caps;

    gst_event_parse_caps (event, &caps);
    ok = sink_caps (self, pad, caps);
    break;
  }
  case GST_EVENT_EOS:
    seed_fusion_end_pad (self, pad);
    break;
  case GST_EVENT_STREAM_START: /* stays on the pad: announced with the caps */
  case GST_EVENT_GAP:          /* says of one teacher what is true of none of the batches */
    break;
  default:
    if (gst_event_has_name (event, SEED_MODEL_EVENT_NAME))
      break; /* what leaves was made by no single teacher */
    return sink_forward (self, pad, event);
  }
  gst_event_unref (event);
  return ok;
}

void
seed_fusion_set_up_pad (SeedFusionPad *pad)
{
  gst_pad_set_chain_function (GST_PAD (pad), sink_chain);
  gst_pad_set_event_function (GST_PAD (pad), sink_event);
}
