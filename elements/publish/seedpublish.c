/* SPDX-License-Identifier: MIT */

/**
 * SECTION:element-seedpublish
 * @title: seedpublish
 *
 * Publishes what arrives on its pads as ZeroMQ messages (docs/wire.md): an embedding, and on demand
 * tokens, for each frame of features; reports of training as they come; events of the streams; and
 * the health of the pipeline. Results leave only while the element is PLAYING. It is a sink with
 * any number of inputs: it reports EOS when all of them have ended.
 *
 * Sending never waits for a subscriber. What does not fit in a subscriber's queue is dropped and
 * counted as queue-full; the sequence number in the messages shows the loss to the subscriber.
 *
 * ## Example
 * |[
 * gst-launch-1.0 fakesrc num-buffers=5 sizetype=fixed sizemax=1536 filltype=zero ! \
 *   "application/x-seed-features,summary-dim=384,token-dim=0,grid=0,views=1,batch=1,space=none,node=zero"
 * ! \ seedpublish graph=demo wait-subscribers=1
 * ]|
 * and beside it `seedctl tail`.
 *
 * Since: 0.1
 */

#include <stdio.h>

#include <seed/error.h>

#include "publish/seedpublish.h"

#define DEFAULT_GRAPH "seed"
#define DEFAULT_KINDS "embedding,train,event,health,anchors,labels,neighbours,grounding"
#define DEFAULT_WAIT_SUBSCRIBERS 0
#define DEFAULT_INSECURE FALSE
#define DEFAULT_HEALTH_INTERVAL_MS 5000

GST_DEBUG_CATEGORY (seed_publish_debug);
#define GST_CAT_DEFAULT seed_publish_debug

enum {
  PROP_0,
  PROP_GRAPH,
  PROP_ENDPOINT,
  PROP_KINDS,
  PROP_WAIT_SUBSCRIBERS,
  PROP_HWM,
  PROP_INSECURE,
  PROP_SERVER_KEY,
  PROP_AUTHORIZED,
  PROP_HEALTH_INTERVAL_MS,
  PROP_LINGER_MS,
  PROP_BOUND_ENDPOINT,
  PROP_LEDGER,
  PROP_STATS,
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink_%u", GST_PAD_SINK, GST_PAD_REQUEST,
        GST_STATIC_CAPS (SEED_CAPS_FEATURES
            ", summary-dim=(int)[ 1, 65536 ], token-dim=(int)[ 0, 65536 ], grid=(int)[ 0, 1024 ], "
            "views=(int)1, batch=(int)[ 1, 4096 ]; " SEED_REPORT_TEMPLATE_CAPS));

G_DEFINE_TYPE_WITH_CODE (SeedPublish, seed_publish, GST_TYPE_ELEMENT,
    GST_DEBUG_CATEGORY_INIT (seed_publish_debug, "seedpublish", 0, "results to ZeroMQ"));
GST_ELEMENT_REGISTER_DEFINE (seedpublish, "seedpublish", GST_RANK_NONE, SEED_TYPE_PUBLISH);

static void
seed_publish_set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec);
static void seed_publish_get_property (GObject *object, guint id, GValue *value, GParamSpec *spec);
static void seed_publish_finalize (GObject *object);
static GstPad *seed_publish_request_new_pad (
    GstElement *element, GstPadTemplate *templ, const char *name, const GstCaps *caps);
static void seed_publish_release_pad (GstElement *element, GstPad *pad);
static GstStateChangeReturn
seed_publish_change_state (GstElement *element, GstStateChange transition);

static void
install_properties (GObjectClass *klass)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  g_object_class_install_property (klass, PROP_GRAPH,
      g_param_spec_string ("graph", "Graph",
          "First level of every topic, 1 to 63 of a-z 0-9 - (default: seed)", DEFAULT_GRAPH,
          flags));
  g_object_class_install_property (klass, PROP_ENDPOINT,
      g_param_spec_string ("endpoint", "Endpoint",
          "ZeroMQ endpoint to bind: tcp://ADDRESS:PORT (port * for a free one), ipc:///PATH or "
          "inproc://NAME (default: this machine alone, TCP port 5570)",
          SEED_WIRE_DEFAULT_ENDPOINT, flags));
  g_object_class_install_property (klass, PROP_KINDS,
      g_param_spec_string ("kinds", "Kinds",
          "What to publish, separated by commas: embedding, tokens, train, event, health, "
          "anchors, labels, neighbours, grounding (default: all but tokens, which are large)",
          DEFAULT_KINDS, flags));
  g_object_class_install_property (klass, PROP_WAIT_SUBSCRIBERS,
      g_param_spec_uint ("wait-subscribers", "Wait for subscribers",
          "Subscriptions to wait for, up to 10 s, before the first result leaves (default: 0, do "
          "not "
          "wait)",
          0, G_MAXUINT16, DEFAULT_WAIT_SUBSCRIBERS, flags));
  g_object_class_install_property (klass, PROP_HWM,
      g_param_spec_int ("hwm", "High-water mark",
          "Messages queued for each subscriber before they are dropped (default: 1000)", 1, 1000000,
          SEED_PUBLISHER_DEFAULT_HWM, flags));
  g_object_class_install_property (klass, PROP_INSECURE,
      g_param_spec_boolean ("insecure", "Insecure",
          "Allow to bind an address that other machines reach, though nothing encrypts or "
          "authenticates the results (default: refuse)",
          DEFAULT_INSECURE, flags));
  g_object_class_install_property (klass, PROP_SERVER_KEY,
      g_param_spec_string ("server-key", "Server key",
          "File of mode 0600 with the own key pair: results are encrypted (CURVE) and only keys in "
          "authorized may read them (default: none)",
          NULL, flags));
  g_object_class_install_property (klass, PROP_AUTHORIZED,
      g_param_spec_string ("authorized", "Authorized keys",
          "Folder of public keys and the topic prefixes that each may read, watched for changes; "
          "with server-key (default: none)",
          NULL, flags));
  g_object_class_install_property (klass, PROP_HEALTH_INTERVAL_MS,
      g_param_spec_uint ("health-interval-ms", "Health interval",
          "Milliseconds between health messages; one more is sent at the end (default: 5000; 0: no "
          "health messages)",
          0, G_MAXINT, DEFAULT_HEALTH_INTERVAL_MS, flags));
  g_object_class_install_property (klass, PROP_LINGER_MS,
      g_param_spec_int ("linger-ms", "Linger",
          "Milliseconds for which queued messages are still delivered after the element stopped "
          "(default: 200; 0: not at all)",
          0, G_MAXINT, SEED_PUBLISHER_DEFAULT_LINGER_MS, flags));
  g_object_class_install_property (klass, PROP_BOUND_ENDPOINT,
      g_param_spec_string ("bound-endpoint", "Bound endpoint",
          "The endpoint with the real port, from PAUSED on (default: none)", NULL, readable));
  g_object_class_install_property (klass, PROP_LEDGER,
      g_param_spec_boxed ("ledger", "Ledger", "Frames and reports in, published, and dropped",
          SEED_TYPE_LEDGER, readable));
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "sent, bytes, dropped-queue-full, set-aside, subscriptions, connections, "
          "refused-subscriptions (outside of a key's rights), garbage (messages that are no "
          "subscription), hung-up (connections: too many subscriptions or bytes, garbage, "
          "rights withdrawn), "
          "turned-away (too many connections), failed-handshakes, ignored (frames and reports of "
          "kinds not asked for), latency-p50-ns and latency-p99-ns from capture to publication",
          GST_TYPE_STRUCTURE, readable));
}

static void
seed_publish_class_init (SeedPublishClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  object_class->set_property = seed_publish_set_property;
  object_class->get_property = seed_publish_get_property;
  object_class->finalize = seed_publish_finalize;
  install_properties (object_class);
  element_class->request_new_pad = seed_publish_request_new_pad;
  element_class->release_pad = seed_publish_release_pad;
  element_class->change_state = seed_publish_change_state;
  gst_element_class_add_static_pad_template_with_gtype (
      element_class, &sink_template, SEED_TYPE_PUBLISH_PAD);
  gst_element_class_set_static_metadata (element_class, "SEED result publisher", "Sink/Network",
      "Publishes features, reports, events and health over ZeroMQ", "SEED maintainers");
  gst_type_mark_as_plugin_api (SEED_TYPE_PUBLISH_PAD, 0);
}

static void
seed_publish_init (SeedPublish *self)
{
  self->graph = g_strdup (DEFAULT_GRAPH);
  self->endpoint = g_strdup (SEED_WIRE_DEFAULT_ENDPOINT);
  self->kinds = g_strdup (DEFAULT_KINDS);
  self->wait_subscribers = DEFAULT_WAIT_SUBSCRIBERS;
  self->hwm = SEED_PUBLISHER_DEFAULT_HWM;
  self->linger_ms = SEED_PUBLISHER_DEFAULT_LINGER_MS;
  self->insecure = DEFAULT_INSECURE;
  self->health_interval_ms = DEFAULT_HEALTH_INTERVAL_MS;
  self->ledger = seed_ledger_new ();
  self->latency = seed_ledger_new ();
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->event_ids = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  g_queue_init (&self->event_order);
  GST_OBJECT_FLAG_SET (self, GST_ELEMENT_FLAG_SINK);
}

static void
seed_publish_finalize (GObject *object)
{
  SeedPublish *self = SEED_PUBLISH (object);

  g_free (self->graph);
  g_free (self->endpoint);
  g_free (self->kinds);
  g_free (self->server_key);
  g_free (self->authorized);
  g_queue_clear (&self->event_order);
  g_hash_table_unref (self->event_ids);
  seed_ledger_unref (self->ledger);
  seed_ledger_unref (self->latency);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  G_OBJECT_CLASS (seed_publish_parent_class)->finalize (object);
}

static void
replace_string (char **string, const GValue *value, const char *fallback)
{
  g_free (*string);
  *string = g_strdup (g_value_get_string (value) ? g_value_get_string (value) : fallback);
}

static void
seed_publish_set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  SeedPublish *self = SEED_PUBLISH (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_GRAPH:
    replace_string (&self->graph, value, DEFAULT_GRAPH);
    break;
  case PROP_ENDPOINT:
    replace_string (&self->endpoint, value, SEED_WIRE_DEFAULT_ENDPOINT);
    break;
  case PROP_KINDS:
    replace_string (&self->kinds, value, DEFAULT_KINDS);
    break;
  case PROP_WAIT_SUBSCRIBERS:
    self->wait_subscribers = g_value_get_uint (value);
    break;
  case PROP_HWM:
    self->hwm = g_value_get_int (value);
    break;
  case PROP_INSECURE:
    self->insecure = g_value_get_boolean (value);
    break;
  case PROP_SERVER_KEY:
    replace_string (&self->server_key, value, NULL);
    break;
  case PROP_AUTHORIZED:
    replace_string (&self->authorized, value, NULL);
    break;
  case PROP_HEALTH_INTERVAL_MS:
    self->health_interval_ms = g_value_get_uint (value);
    break;
  case PROP_LINGER_MS:
    self->linger_ms = g_value_get_int (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
  }
  GST_OBJECT_UNLOCK (self);
}

static GstStructure *
get_stats (SeedPublish *self)
{
  SeedPublisherStats stats = { 0 };
  SeedLedgerBusy latency;
  guint64 ignored;

  g_mutex_lock (&self->lock);
  if (self->publisher)
    seed_publisher_get_stats (self->publisher, &stats);
  ignored = self->ignored;
  g_mutex_unlock (&self->lock);
  seed_ledger_get_busy (self->latency, &latency);
  return gst_structure_new ("application/x-seed-stats", "sent", G_TYPE_UINT64, stats.sent, "bytes",
      G_TYPE_UINT64, stats.bytes, "dropped-queue-full", G_TYPE_UINT64, stats.dropped, "set-aside",
      G_TYPE_UINT64, stats.set_aside, "subscriptions", G_TYPE_UINT64, stats.gate.subscriptions,
      "connections", G_TYPE_UINT64, stats.gate.connections, "refused-subscriptions", G_TYPE_UINT64,
      stats.gate.refused, "garbage", G_TYPE_UINT64, stats.gate.garbage, "hung-up", G_TYPE_UINT64,
      stats.gate.hung_up, "turned-away", G_TYPE_UINT64, stats.gate.turned_away, "failed-handshakes",
      G_TYPE_UINT64, stats.gate.failed, "ignored", G_TYPE_UINT64, ignored, "latency-p50-ns",
      G_TYPE_UINT64, latency.p50_ns, "latency-p99-ns", G_TYPE_UINT64, latency.p99_ns, NULL);
}

static void
seed_publish_get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  SeedPublish *self = SEED_PUBLISH (object);

  if (id == PROP_STATS) {
    g_value_take_boxed (value, get_stats (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_GRAPH:
    g_value_set_string (value, self->graph);
    break;
  case PROP_ENDPOINT:
    g_value_set_string (value, self->endpoint);
    break;
  case PROP_KINDS:
    g_value_set_string (value, self->kinds);
    break;
  case PROP_WAIT_SUBSCRIBERS:
    g_value_set_uint (value, self->wait_subscribers);
    break;
  case PROP_HWM:
    g_value_set_int (value, self->hwm);
    break;
  case PROP_INSECURE:
    g_value_set_boolean (value, self->insecure);
    break;
  case PROP_SERVER_KEY:
    g_value_set_string (value, self->server_key);
    break;
  case PROP_AUTHORIZED:
    g_value_set_string (value, self->authorized);
    break;
  case PROP_HEALTH_INTERVAL_MS:
    g_value_set_uint (value, self->health_interval_ms);
    break;
  case PROP_LINGER_MS:
    g_value_set_int (value, self->linger_ms);
    break;
  case PROP_BOUND_ENDPOINT:
    g_value_set_string (value, self->bound_endpoint);
    break;
  case PROP_LEDGER:
    g_value_set_boxed (value, self->ledger);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
  }
  GST_OBJECT_UNLOCK (self);
}

/* Start and stop */

/* Tells once of each thing that is wrong with the authorized keys. */
static void
check_keys (SeedPublish *self)
{
  g_autofree char *problem = seed_publisher_key_problem (self->publisher);

  if (problem && g_strcmp0 (problem, self->key_problem) != 0)
    GST_ELEMENT_WARNING (self, RESOURCE, READ, ("%s", problem), ("the key authorizes nobody"));
  g_free (self->key_problem);
  self->key_problem = g_steal_pointer (&problem);
}

/* Sees to subscriptions while nothing is sent, and to the health messages. */
static gpointer
service (gpointer data)
{
  SeedPublish *self = data;
  gint64 interval_us = (gint64) self->health_interval_ms * 1000;
  gint64 next = self->started_us + interval_us;
  gboolean stopping = FALSE;

  while (!stopping) {
    gint64 left_us = next - g_get_monotonic_time ();

    seed_publisher_serve (self->publisher,
        self->wanted & SEED_PUBLISH_HEALTH ? (int) CLAMP (left_us / 1000 + 1, 0, G_MAXINT) : -1);
    check_keys (self);
    g_mutex_lock (&self->lock);
    g_cond_broadcast (&self->changed);
    stopping = self->stopping;
    g_mutex_unlock (&self->lock);
    if (!stopping && (self->wanted & SEED_PUBLISH_HEALTH) && g_get_monotonic_time () >= next) {
      seed_publish_health (self);
      next += interval_us;
    }
  }
  return NULL;
}

/* Copies the settings that must not change while running. */
static gboolean
take_settings (SeedPublish *self, SeedPublisherConfig *config, char **strings, GError **error)
{
  g_autofree char *name = gst_element_get_name (self);
  gboolean ok;

  GST_OBJECT_LOCK (self);
  config->endpoint = strings[0] = g_strdup (self->endpoint);
  config->server_key = strings[1] = g_strdup (self->server_key ? self->server_key : "");
  config->authorized = strings[2] = g_strdup (self->authorized ? self->authorized : "");
  self->running_graph = g_strdup (self->graph);
  ok = seed_publish_kinds_parse (self->kinds, &self->wanted, error);
  if (self->health_interval_ms == 0)
    self->wanted &= ~SEED_PUBLISH_HEALTH;
  self->wait_for = self->wait_subscribers;
  config->insecure = self->insecure;
  config->hwm = self->hwm;
  config->linger_ms = self->linger_ms;
  GST_OBJECT_UNLOCK (self);
  self->health_node = seed_wire_make_node (name);
  if (ok && !seed_wire_is_name (self->running_graph)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "graph: \"%s\" is not 1 to %u of a-z 0-9 -",
        self->running_graph, SEED_WIRE_MAX_NAME);
    ok = FALSE;
  }
  return ok;
}

static void
stop (SeedPublish *self)
{
  g_autoptr (SeedPublisher) publisher = NULL;

  if (self->service) {
    seed_publisher_wake (self->publisher);
    g_clear_pointer (&self->service, g_thread_join);
  }
  g_mutex_lock (&self->lock);
  publisher = g_steal_pointer (&self->publisher);
  g_mutex_unlock (&self->lock);
  GST_OBJECT_LOCK (self);
  g_clear_pointer (&self->bound_endpoint, g_free);
  GST_OBJECT_UNLOCK (self);
  g_clear_pointer (&self->running_graph, g_free);
  g_clear_pointer (&self->health_node, g_free);
  g_clear_pointer (&self->key_problem, g_free);
}

static void
reset_flow (SeedPublish *self)
{
  g_mutex_lock (&self->lock);
  self->stopping = self->eos_posted = self->stream_start_posted = FALSE;
  self->wait_deadline = 0;
  GST_OBJECT_LOCK (self);
  for (GList *l = GST_ELEMENT (self)->sinkpads; l; l = l->next)
    SEED_PUBLISH_PAD (l->data)->eos = SEED_PUBLISH_PAD (l->data)->flushing = FALSE;
  GST_OBJECT_UNLOCK (self);
  g_mutex_unlock (&self->lock);
}

static gboolean
start (SeedPublish *self)
{
  g_auto (GStrv) strings = g_new0 (char *, 4); /* that the configuration points at */
  g_autoptr (GError) error = NULL;
  SeedPublisherConfig config;

  self->started_us = g_get_monotonic_time ();
  if (!take_settings (self, &config, strings, &error)) {
    GST_ELEMENT_ERROR (self, LIBRARY, SETTINGS, ("%s", error->message), (NULL));
    return FALSE;
  }
  self->publisher = seed_publisher_new (&config, &error);
  if (!self->publisher) {
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_WRITE, ("%s", error->message), (NULL));
    return FALSE;
  }
  GST_OBJECT_LOCK (self);
  self->bound_endpoint = g_strdup (seed_publisher_endpoint (self->publisher));
  GST_OBJECT_UNLOCK (self);
  GST_INFO_OBJECT (self, "bound %s", self->bound_endpoint);
  reset_flow (self);
  self->service = g_thread_new ("seedpublish", service, self);
  return TRUE;
}

static void
set_playing (SeedPublish *self, gboolean playing)
{
  g_mutex_lock (&self->lock);
  self->playing = playing;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

static void
set_stopping (SeedPublish *self)
{
  g_mutex_lock (&self->lock);
  self->stopping = TRUE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

static GstStateChangeReturn
seed_publish_change_state (GstElement *element, GstStateChange transition)
{
  SeedPublish *self = SEED_PUBLISH (element);
  GstStateChangeReturn ret;
  gboolean ended;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !start (self)) {
    stop (self);
    return GST_STATE_CHANGE_FAILURE;
  }
  if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED)
    set_playing (self, FALSE);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    set_stopping (self); /* before the pads are stopped: they may be waiting */

  ret = GST_ELEMENT_CLASS (seed_publish_parent_class)->change_state (element, transition);

  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (transition == GST_STATE_CHANGE_READY_TO_PAUSED && ret == GST_STATE_CHANGE_FAILURE)) {
    set_stopping (self);
    stop (self);
  }
  if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING && ret != GST_STATE_CHANGE_FAILURE) {
    g_mutex_lock (&self->lock);
    ended = self->eos_posted;
    g_mutex_unlock (&self->lock);
    if (ended) /* the bin forgot it when it was paused */
      gst_element_post_message (element, gst_message_new_eos (GST_OBJECT (self)));
    set_playing (self, TRUE);
  }
  return ret;
}

static GstPad *
seed_publish_request_new_pad (
    GstElement *element, GstPadTemplate *templ, const char *name, const GstCaps *caps)
{
  SeedPublish *self = SEED_PUBLISH (element);
  g_autofree char *automatic = NULL;
  guint number;
  GstPad *pad;

  GST_OBJECT_LOCK (self);
  if (name && sscanf (name, "sink_%u", &number) == 1)
    self->next_pad = MAX (self->next_pad, number + 1);
  else
    name = automatic = g_strdup_printf ("sink_%u", self->next_pad++);
  GST_OBJECT_UNLOCK (self);
  pad = gst_pad_new_from_template (templ, name);
  gst_pad_set_chain_function (pad, seed_publish_chain);
  gst_pad_set_event_function (pad, seed_publish_sink_event);
  if (!gst_element_add_pad (element, pad))
    return NULL;
  return pad;
}

static void
seed_publish_release_pad (GstElement *element, GstPad *pad)
{
  SeedPublish *self = SEED_PUBLISH (element);

  g_mutex_lock (&self->lock);
  SEED_PUBLISH_PAD (pad)->flushing = TRUE; /* it may be waiting for its turn */
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  gst_pad_set_active (pad, FALSE);
  gst_element_remove_pad (element, pad);
  seed_publish_check_eos (self, NULL);
}
