/* SPDX-License-Identifier: MIT */
#include "graph/queue.h"

#include <gst/base/gstqueuearray.h>
#include <seed/stream-meta.h>

GST_DEBUG_CATEGORY_STATIC (seed_graph_queue_debug);
#define GST_CAT_DEFAULT seed_graph_queue_debug

struct _SeedGraphQueue {
  GstElement element;
  GstPad *sink, *src;
  guint frames;
  SeedLeak leak;
  SeedLedger *ledger;

  GMutex lock;
  GCond added, removed, answered;
  GstQueueArray *items; /* owned GstBuffer and GstEvent; GstQuery of a waiting caller */
  guint level, peak;    /* buffers among them */
  GstFlowReturn flow;   /* of downstream; FLUSHING while inactive */
  gboolean eos;         /* upstream has ended: nobody will ask for flow again */
  GstQuery *asked;      /* the query in items or on its way, NULL once answered */
  gboolean answer;
};

G_DEFINE_FINAL_TYPE (SeedGraphQueue, seed_graph_queue, GST_TYPE_ELEMENT)

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

/* ---- the account ---- */

typedef void (*CountFunc) (SeedLedger *ledger, const char *stream, SeedDropReason reason);

static void
count_in (SeedLedger *ledger, const char *stream, SeedDropReason reason)
{
  seed_ledger_in (ledger, stream, 1);
}

static void
count_out (SeedLedger *ledger, const char *stream, SeedDropReason reason)
{
  seed_ledger_out (ledger, stream, 1);
}

static void
count_drop (SeedLedger *ledger, const char *stream, SeedDropReason reason)
{
  seed_ledger_drop (ledger, stream, reason, 1);
}

/* Items of a batch are counted one by one; a buffer without identity is one frame of "-". */
static void
count (SeedGraphQueue *self, GstBuffer *buffer, CountFunc func, SeedDropReason reason)
{
  gpointer state = NULL;
  SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);

  if (!meta)
    func (self->ledger, NULL, reason);
  for (; meta; meta = seed_buffer_iterate_stream_meta (buffer, &state))
    func (self->ledger, meta->stream, reason);
}

/* ---- items; all with the lock held ---- */

static void
push_item (SeedGraphQueue *self, gpointer item)
{
  gst_queue_array_push_tail (self->items, item);
  g_cond_signal (&self->added);
}

static void
discard (SeedGraphQueue *self, GstMiniObject *item, SeedDropReason reason)
{
  if (GST_IS_QUERY (item)) {
    self->asked = NULL;
    self->answer = FALSE;
    g_cond_broadcast (&self->answered);
    return;
  }
  if (GST_IS_BUFFER (item)) {
    self->level--;
    count (self, GST_BUFFER_CAST (item), count_drop, reason);
  }
  gst_mini_object_unref (item);
}

static void
discard_all (SeedGraphQueue *self)
{
  GstMiniObject *item;

  while ((item = gst_queue_array_pop_head (self->items)))
    discard (self, item, SEED_DROP_FLUSHED);
  g_cond_broadcast (&self->removed);
}

static void
discard_oldest_buffer (SeedGraphQueue *self)
{
  guint n = gst_queue_array_get_length (self->items);

  for (guint i = 0; i < n; i++) {
    if (!GST_IS_BUFFER (gst_queue_array_peek_nth (self->items, i)))
      continue;
    discard (self, gst_queue_array_drop_element (self->items, i), SEED_DROP_QUEUE_FULL);
    return;
  }
}

/* Wakes everybody who waits; they see that the flow has stopped. A query that is still queued will
 * never be asked; its caller must not wait on, it holds the lock that a flush needs. */
static void
stop_flow (SeedGraphQueue *self, GstFlowReturn flow)
{
  for (guint i = gst_queue_array_get_length (self->items); i-- > 0;) {
    if (GST_IS_QUERY (gst_queue_array_peek_nth (self->items, i)))
      discard (self, gst_queue_array_drop_element (self->items, i), SEED_DROP_FLUSHED);
  }
  self->flow = flow;
  g_cond_broadcast (&self->added);
  g_cond_broadcast (&self->removed);
}

/* ---- the side that takes ---- */

/* TRUE when there is room; FALSE when the buffer is to be dropped or the flow has stopped. */
static gboolean
make_room (SeedGraphQueue *self, GstBuffer *buffer)
{
  while (self->flow == GST_FLOW_OK && self->level >= self->frames) {
    if (self->leak == SEED_LEAK_NEW) {
      count (self, buffer, count_in, 0);
      count (self, buffer, count_drop, SEED_DROP_QUEUE_FULL);
      return FALSE;
    }
    if (self->leak == SEED_LEAK_OLD)
      discard_oldest_buffer (self);
    else
      g_cond_wait (&self->removed, &self->lock);
  }
  return self->flow == GST_FLOW_OK;
}

static GstFlowReturn
seed_graph_queue_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  SeedGraphQueue *self = SEED_GRAPH_QUEUE (parent);
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  if (make_room (self, buffer)) {
    count (self, buffer, count_in, 0);
    self->level++;
    self->peak = MAX (self->peak, self->level);
    push_item (self, g_steal_pointer (&buffer));
  }
  flow = self->flow;
  g_mutex_unlock (&self->lock);
  gst_clear_buffer (&buffer);
  return flow;
}

static gboolean
flush_start (SeedGraphQueue *self, GstEvent *event)
{
  gboolean ok = gst_pad_push_event (self->src, event);

  g_mutex_lock (&self->lock);
  stop_flow (self, GST_FLOW_FLUSHING);
  g_mutex_unlock (&self->lock);
  gst_pad_pause_task (self->src);
  return ok;
}

static void seed_graph_queue_loop (gpointer pad);

static gboolean
flush_stop (SeedGraphQueue *self, GstEvent *event)
{
  gboolean ok = gst_pad_push_event (self->src, event);

  g_mutex_lock (&self->lock);
  discard_all (self);
  self->flow = GST_FLOW_OK;
  self->eos = FALSE;
  g_mutex_unlock (&self->lock);
  gst_pad_start_task (self->src, seed_graph_queue_loop, self->src, NULL);
  return ok;
}

/* Downstream has stopped taking data. Sticky events are no loss then: the reason will show with the
 * next buffer. After the end there is none, so it must be told here. */
static gboolean
refuse_event (SeedGraphQueue *self, GstEvent *event, GstFlowReturn flow)
{
  gboolean eos = GST_EVENT_TYPE (event) == GST_EVENT_EOS;

  if (eos && (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS))
    GST_ELEMENT_FLOW_ERROR (self, flow);
  return GST_EVENT_IS_STICKY (event) && !eos;
}

static gboolean
seed_graph_queue_sink_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  SeedGraphQueue *self = SEED_GRAPH_QUEUE (parent);
  GstFlowReturn flow;
  gboolean ok = TRUE;

  if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START)
    return flush_start (self, event);
  if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP)
    return flush_stop (self, event);
  if (!GST_EVENT_IS_SERIALIZED (event))
    return gst_pad_push_event (self->src, event);

  g_mutex_lock (&self->lock);
  flow = self->flow;
  if (flow == GST_FLOW_OK) {
    self->eos = self->eos || GST_EVENT_TYPE (event) == GST_EVENT_EOS;
    push_item (self, g_steal_pointer (&event));
  }
  g_mutex_unlock (&self->lock);
  if (event)
    ok = refuse_event (self, event, flow);
  gst_clear_event (&event);
  return ok;
}

/* A serialized query must be answered after the data before it: it queues up, its caller waits. */
static gboolean
seed_graph_queue_sink_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  SeedGraphQueue *self = SEED_GRAPH_QUEUE (parent);
  gboolean answer;

  if (!GST_QUERY_IS_SERIALIZED (query))
    return gst_pad_query_default (pad, parent, query);
  g_mutex_lock (&self->lock);
  answer = self->flow == GST_FLOW_OK && !self->asked;
  if (answer) {
    self->asked = query;
    push_item (self, query);
    while (self->asked == query)
      g_cond_wait (&self->answered, &self->lock);
    answer = self->answer;
  }
  g_mutex_unlock (&self->lock);
  return answer;
}

/* ---- the side that gives: one thread ---- */

/* Downstream wants no more. Upstream hears of it with its next buffer; when it has ended already,
 * nobody else can tell what happened and downstream must still see the end. */
static void
end_flow (SeedGraphQueue *self, GstFlowReturn flow)
{
  gboolean eos;

  g_mutex_lock (&self->lock);
  eos = self->eos && self->flow == GST_FLOW_OK;
  if (self->flow == GST_FLOW_OK)
    stop_flow (self, flow);
  discard_all (self);
  g_mutex_unlock (&self->lock);
  gst_pad_pause_task (self->src);
  if (!eos || flow == GST_FLOW_FLUSHING || flow == GST_FLOW_EOS)
    return;
  GST_ELEMENT_FLOW_ERROR (self, flow);
  gst_pad_push_event (self->src, gst_event_new_eos ());
}

static GstFlowReturn
give (SeedGraphQueue *self, GstMiniObject *item)
{
  gboolean eos, answer;

  if (GST_IS_BUFFER (item))
    return gst_pad_push (self->src, GST_BUFFER_CAST (item));
  if (GST_IS_EVENT (item)) {
    eos = GST_EVENT_TYPE (item) == GST_EVENT_EOS;
    gst_pad_push_event (self->src, GST_EVENT_CAST (item));
    return eos ? GST_FLOW_EOS : GST_FLOW_OK;
  }
  answer = gst_pad_peer_query (self->src, GST_QUERY_CAST (item));
  g_mutex_lock (&self->lock);
  self->asked = NULL;
  self->answer = answer;
  g_cond_broadcast (&self->answered);
  g_mutex_unlock (&self->lock);
  return GST_FLOW_OK;
}

static void
seed_graph_queue_loop (gpointer pad)
{
  SeedGraphQueue *self = SEED_GRAPH_QUEUE (GST_PAD_PARENT (pad));
  GstMiniObject *item = NULL;
  GstFlowReturn flow;

  g_mutex_lock (&self->lock);
  while (self->flow == GST_FLOW_OK && gst_queue_array_is_empty (self->items))
    g_cond_wait (&self->added, &self->lock);
  flow = self->flow;
  if (flow == GST_FLOW_OK)
    item = gst_queue_array_pop_head (self->items);
  if (item && GST_IS_BUFFER (item)) {
    self->level--;
    count (self, GST_BUFFER_CAST (item), count_out, 0);
    g_cond_signal (&self->removed);
  }
  g_mutex_unlock (&self->lock);

  if (item)
    flow = give (self, item);
  if (flow != GST_FLOW_OK) {
    GST_DEBUG_OBJECT (self, "flow ends: %s", gst_flow_get_name (flow));
    end_flow (self, flow);
  }
}

static gboolean
seed_graph_queue_src_activate (GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
  SeedGraphQueue *self = SEED_GRAPH_QUEUE (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  g_mutex_lock (&self->lock);
  if (active) {
    self->flow = GST_FLOW_OK;
    self->eos = FALSE;
  } else {
    stop_flow (self, GST_FLOW_FLUSHING);
  }
  g_mutex_unlock (&self->lock);
  if (active)
    return gst_pad_start_task (pad, seed_graph_queue_loop, pad, NULL);
  return gst_pad_stop_task (pad);
}

static gboolean
seed_graph_queue_sink_activate (GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
  SeedGraphQueue *self = SEED_GRAPH_QUEUE (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active)
    return TRUE;
  g_mutex_lock (&self->lock);
  stop_flow (self, GST_FLOW_FLUSHING);
  g_mutex_unlock (&self->lock);
  /* The chain function has returned once its lock is free; what it left is nobody's now. */
  GST_PAD_STREAM_LOCK (pad);
  g_mutex_lock (&self->lock);
  discard_all (self);
  g_mutex_unlock (&self->lock);
  GST_PAD_STREAM_UNLOCK (pad);
  return TRUE;
}

/* ---- the object ---- */

static void
seed_graph_queue_finalize (GObject *object)
{
  SeedGraphQueue *self = SEED_GRAPH_QUEUE (object);

  gst_queue_array_free (self->items);
  seed_ledger_unref (self->ledger);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->added);
  g_cond_clear (&self->removed);
  g_cond_clear (&self->answered);
  G_OBJECT_CLASS (seed_graph_queue_parent_class)->finalize (object);
}

static void
seed_graph_queue_class_init (SeedGraphQueueClass *klass)
{
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = seed_graph_queue_finalize;
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "Graph queue", "Generic",
      "A bounded queue that accounts for every frame", "SEED");
  GST_DEBUG_CATEGORY_INIT (
      seed_graph_queue_debug, "seedgraphqueue", 0, "queues between the nodes of a graph");
}

static void
seed_graph_queue_init (SeedGraphQueue *self)
{
  g_mutex_init (&self->lock);
  g_cond_init (&self->added);
  g_cond_init (&self->removed);
  g_cond_init (&self->answered);
  self->items = gst_queue_array_new (16);
  self->ledger = seed_ledger_new ();
  self->flow = GST_FLOW_FLUSHING;

  self->sink = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sink, seed_graph_queue_chain);
  gst_pad_set_event_function (self->sink, seed_graph_queue_sink_event);
  gst_pad_set_query_function (self->sink, seed_graph_queue_sink_query);
  gst_pad_set_activatemode_function (self->sink, seed_graph_queue_sink_activate);
  GST_PAD_SET_PROXY_CAPS (self->sink);
  gst_element_add_pad (&self->element, self->sink);

  self->src = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_activatemode_function (self->src, seed_graph_queue_src_activate);
  GST_PAD_SET_PROXY_CAPS (self->src);
  gst_element_add_pad (&self->element, self->src);
}

GstElement *
seed_graph_queue_new (const char *name, guint frames, SeedLeak leak)
{
  SeedGraphQueue *self;

  g_return_val_if_fail (frames > 0 && leak != SEED_LEAK_UNSET, NULL);
  self = g_object_new (SEED_TYPE_GRAPH_QUEUE, "name", name, NULL);
  self->frames = frames;
  self->leak = leak;
  return GST_ELEMENT_CAST (self);
}

SeedLedger *
seed_graph_queue_ledger (SeedGraphQueue *queue)
{
  return queue->ledger;
}

guint
seed_graph_queue_frames (SeedGraphQueue *queue)
{
  return queue->frames;
}

SeedLeak
seed_graph_queue_leak (SeedGraphQueue *queue)
{
  return queue->leak;
}

guint
seed_graph_queue_level (SeedGraphQueue *queue, guint *peak)
{
  guint level;

  g_mutex_lock (&queue->lock);
  level = queue->level;
  if (peak)
    *peak = queue->peak;
  g_mutex_unlock (&queue->lock);
  return level;
}

void
seed_graph_queue_abort (SeedGraphQueue *queue)
{
  g_mutex_lock (&queue->lock);
  stop_flow (queue, GST_FLOW_FLUSHING);
  g_mutex_unlock (&queue->lock);
}
