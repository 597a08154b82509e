/* SPDX-License-Identifier: MIT */

/**
 * SECTION:element-seedsubscribe
 * @title: seedsubscribe
 *
 * Receives results that a seedpublish (or any program that speaks docs/wire.md) publishes, and
 * makes buffers of one frame of them: features from embeddings and tokens, reports from the other
 * kinds. It connects again whenever the publisher goes away, and never ends by itself.
 *
 * Messages are input from strangers: what is no result of its kind is counted as error, skipped,
 * and told in a warning at most once a second. A hole in the sequence numbers of a topic is
 * messages lost in a full queue on the way: counted in, and dropped as queue-full.
 *
 * ## Example
 * |[
 * gst-launch-1.0 -v seedsubscribe topics=demo/ num-buffers=3 ! fakesink silent=false
 * ]|
 * beside the example of seedpublish.
 *
 * Since: 0.1
 */

#include <string.h>

#include <gst/base/gstpushsrc.h>
#include <seed/error.h>

#include "core/caps.h"
#include "core/event.h"
#include "core/stream-meta.h"
#include "publish/sequence.h"
#include "publish/subscribe-decode.h"
#include "publish/subscriber.h"

#define DEFAULT_TOPICS ""
#define DEFAULT_KIND NULL
/* What a publisher may make this process remember. */
#define MAX_TOPICS 4096u
#define MAX_CAPS 4096u

#define SEED_TYPE_SUBSCRIBE (seed_subscribe_get_type ())
G_DECLARE_FINAL_TYPE (SeedSubscribe, seed_subscribe, SEED, SUBSCRIBE, GstPushSrc)
GST_ELEMENT_REGISTER_DECLARE (seedsubscribe);

GST_DEBUG_CATEGORY_STATIC (seed_subscribe_debug);
#define GST_CAT_DEFAULT seed_subscribe_debug

struct _SeedSubscribe {
  GstPushSrc parent;

  /* settings, guarded by the object lock */
  char *endpoint, *topics, *kind, *server_key, *client_key;
  GstCaps *filter;
  int hwm;
  gint64 max_part;
  guint64 malformed, ignored, repeats, gaps; /* messages; gaps: those missing */

  SeedLedger *ledger;

  /* from start to stop, streaming thread but for cancelling */
  SeedSubscriber *subscriber;
  SeedDecoder *decoder;
  SeedSequence *sequence;
  GstCaps *running_filter;
  GstCaps *caps;          /* of the last buffer */
  GHashTable *known_caps; /* texts of all caps so far */
  guint64 next_offset;
  char *model; /* what the last seed-model event said */
  gint64 warned_us;
  guint64 unwarned;
};

enum {
  PROP_0,
  PROP_ENDPOINT,
  PROP_TOPICS,
  PROP_KIND,
  PROP_CAPS,
  PROP_HWM,
  PROP_MAX_PART_BYTES,
  PROP_SERVER_KEY,
  PROP_CLIENT_KEY,
  PROP_LEDGER,
  PROP_STATS,
};

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
        GST_STATIC_CAPS (SEED_CAPS_FEATURES
            ", summary-dim=(int)[ 1, 65536 ], token-dim=(int)[ 0, 65536 ], grid=(int)[ 0, 1024 ], "
            "views=(int)1, batch=(int)1; " SEED_REPORT_TEMPLATE_CAPS));

G_DEFINE_TYPE_WITH_CODE (SeedSubscribe, seed_subscribe, GST_TYPE_PUSH_SRC,
    GST_DEBUG_CATEGORY_INIT (seed_subscribe_debug, "seedsubscribe", 0, "results from ZeroMQ"));
GST_ELEMENT_REGISTER_DEFINE (seedsubscribe, "seedsubscribe", GST_RANK_NONE, SEED_TYPE_SUBSCRIBE);

static void
seed_subscribe_set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec);
static void
seed_subscribe_get_property (GObject *object, guint id, GValue *value, GParamSpec *spec);
static void seed_subscribe_finalize (GObject *object);
static gboolean seed_subscribe_start (GstBaseSrc *src);
static gboolean seed_subscribe_stop (GstBaseSrc *src);
static gboolean seed_subscribe_unlock (GstBaseSrc *src);
static gboolean seed_subscribe_unlock_stop (GstBaseSrc *src);
static gboolean seed_subscribe_negotiate (GstBaseSrc *src);
static GstCaps *seed_subscribe_get_caps (GstBaseSrc *src, GstCaps *filter);
static GstFlowReturn seed_subscribe_create (GstPushSrc *src, GstBuffer **buffer);

static void
install_properties (GObjectClass *klass)
{
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  g_object_class_install_property (klass, PROP_ENDPOINT,
      g_param_spec_string ("endpoint", "Endpoint",
          "ZeroMQ endpoint to connect to (default: this machine, TCP port 5570)",
          SEED_WIRE_DEFAULT_ENDPOINT, flags));
  g_object_class_install_property (klass, PROP_TOPICS,
      g_param_spec_string ("topics", "Topics",
          "Prefixes of topics GRAPH/STREAM/KIND/NODE/, separated by commas (default: all)",
          DEFAULT_TOPICS, flags));
  g_object_class_install_property (klass, PROP_KIND,
      g_param_spec_string ("kind", "Kind",
          "What to make buffers of: embedding; tokens (with their embeddings); or reports: train, "
          "health, event, ... (default: the kind that all topics name, else embedding)",
          DEFAULT_KIND, flags));
  g_object_class_install_property (klass, PROP_CAPS,
      g_param_spec_boxed ("caps", "Caps",
          "Results that do not fit these caps are ignored (default: accept all)", GST_TYPE_CAPS,
          flags));
  g_object_class_install_property (klass, PROP_HWM,
      g_param_spec_int ("hwm", "High-water mark", "Messages queued on this side (default: 1000)", 1,
          1000000, SEED_SUBSCRIBER_DEFAULT_HWM, flags));
  g_object_class_install_property (klass, PROP_MAX_PART_BYTES,
      g_param_spec_int64 ("max-part-bytes", "Largest part",
          "Bytes of one part of a message; a publisher that sends more is disconnected (default: "
          "16 "
          "MiB)",
          1024, G_MAXINT32, SEED_SUBSCRIBER_DEFAULT_MAX_PART, flags));
  g_object_class_install_property (klass, PROP_SERVER_KEY,
      g_param_spec_string ("server-key", "Server key",
          "File of mode 0600 with the publisher's public key: the connection is encrypted (CURVE); "
          "with client-key (default: none)",
          NULL, flags));
  g_object_class_install_property (klass, PROP_CLIENT_KEY,
      g_param_spec_string ("client-key", "Client key",
          "File of mode 0600 with the own key pair, whose public half the publisher authorized; "
          "with server-key (default: none)",
          NULL, flags));
  g_object_class_install_property (klass, PROP_LEDGER,
      g_param_spec_boxed ("ledger", "Ledger", "Frames and reports received, pushed, and lost",
          SEED_TYPE_LEDGER, readable));
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Messages malformed, ignored (another kind or caps, tokens without embedding), repeats "
          "(retained ones sent again), gaps (missing)",
          GST_TYPE_STRUCTURE, readable));
}

static void
seed_subscribe_class_init (SeedSubscribeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSrcClass *src_class = GST_BASE_SRC_CLASS (klass);

  object_class->set_property = seed_subscribe_set_property;
  object_class->get_property = seed_subscribe_get_property;
  object_class->finalize = seed_subscribe_finalize;
  install_properties (object_class);
  src_class->start = seed_subscribe_start;
  src_class->stop = seed_subscribe_stop;
  src_class->unlock = seed_subscribe_unlock;
  src_class->unlock_stop = seed_subscribe_unlock_stop;
  src_class->negotiate = seed_subscribe_negotiate;
  src_class->get_caps = seed_subscribe_get_caps;
  GST_PUSH_SRC_CLASS (klass)->create = seed_subscribe_create;
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED result subscriber", "Source/Network",
      "Receives features and reports that were published over ZeroMQ", "SEED maintainers");
}

static void
seed_subscribe_init (SeedSubscribe *self)
{
  self->endpoint = g_strdup (SEED_WIRE_DEFAULT_ENDPOINT);
  self->topics = g_strdup (DEFAULT_TOPICS);
  self->hwm = SEED_SUBSCRIBER_DEFAULT_HWM;
  self->max_part = SEED_SUBSCRIBER_DEFAULT_MAX_PART;
  self->ledger = seed_ledger_new ();
  gst_base_src_set_live (GST_BASE_SRC (self), TRUE);
  gst_base_src_set_format (GST_BASE_SRC (self), GST_FORMAT_TIME);
}

static void
seed_subscribe_finalize (GObject *object)
{
  SeedSubscribe *self = SEED_SUBSCRIBE (object);

  g_free (self->endpoint);
  g_free (self->topics);
  g_free (self->kind);
  g_free (self->server_key);
  g_free (self->client_key);
  gst_clear_caps (&self->filter);
  seed_ledger_unref (self->ledger);
  G_OBJECT_CLASS (seed_subscribe_parent_class)->finalize (object);
}

static void
replace_string (char **string, const GValue *value, const char *fallback)
{
  g_free (*string);
  *string = g_strdup (g_value_get_string (value) ? g_value_get_string (value) : fallback);
}

static void
seed_subscribe_set_property (GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
  SeedSubscribe *self = SEED_SUBSCRIBE (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_ENDPOINT:
    replace_string (&self->endpoint, value, SEED_WIRE_DEFAULT_ENDPOINT);
    break;
  case PROP_TOPICS:
    replace_string (&self->topics, value, DEFAULT_TOPICS);
    break;
  case PROP_KIND:
    replace_string (&self->kind, value, DEFAULT_KIND);
    break;
  case PROP_CAPS:
    gst_caps_replace (&self->filter, g_value_get_boxed (value));
    break;
  case PROP_HWM:
    self->hwm = g_value_get_int (value);
    break;
  case PROP_MAX_PART_BYTES:
    self->max_part = g_value_get_int64 (value);
    break;
  case PROP_SERVER_KEY:
    replace_string (&self->server_key, value, NULL);
    break;
  case PROP_CLIENT_KEY:
    replace_string (&self->client_key, value, NULL);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
seed_subscribe_get_property (GObject *object, guint id, GValue *value, GParamSpec *spec)
{
  SeedSubscribe *self = SEED_SUBSCRIBE (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_ENDPOINT:
    g_value_set_string (value, self->endpoint);
    break;
  case PROP_TOPICS:
    g_value_set_string (value, self->topics);
    break;
  case PROP_KIND:
    g_value_set_string (value, self->kind);
    break;
  case PROP_CAPS:
    g_value_set_boxed (value, self->filter);
    break;
  case PROP_HWM:
    g_value_set_int (value, self->hwm);
    break;
  case PROP_MAX_PART_BYTES:
    g_value_set_int64 (value, self->max_part);
    break;
  case PROP_SERVER_KEY:
    g_value_set_string (value, self->server_key);
    break;
  case PROP_CLIENT_KEY:
    g_value_set_string (value, self->client_key);
    break;
  case PROP_LEDGER:
    g_value_set_boxed (value, self->ledger);
    break;
  case PROP_STATS:
    g_value_take_boxed (
        value, gst_structure_new ("application/x-seed-stats", "malformed", G_TYPE_UINT64,
                   self->malformed, "ignored", G_TYPE_UINT64, self->ignored, "repeats",
                   G_TYPE_UINT64, self->repeats, "gaps", G_TYPE_UINT64, self->gaps, NULL));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, spec);
  }
  GST_OBJECT_UNLOCK (self);
}

/* Start and stop */

/* The kind that all of the prefixes name in full, or "embedding". */
static char *
kind_of_topics (char **prefixes)
{
  g_autofree char *kind = NULL;

  for (guint i = 0; prefixes[i]; i++) {
    g_auto (GStrv) levels = g_strsplit (prefixes[i], "/", 4);

    if (g_strv_length (levels) < 4 || (kind && strcmp (kind, levels[2]) != 0))
      return g_strdup ("embedding");
    g_free (kind);
    kind = g_strdup (levels[2]);
  }
  return kind ? g_steal_pointer (&kind) : g_strdup ("embedding");
}

static char **
split_topics (const char *topics)
{
  char **prefixes = g_strsplit (topics, ",", -1);

  for (guint i = 0; prefixes[i]; i++)
    g_strstrip (prefixes[i]);
  if (!prefixes[0]) { /* g_strsplit makes nothing of nothing */
    g_strfreev (prefixes);
    prefixes = g_strdupv ((char *[]){ (char *) "", NULL });
  }
  return prefixes;
}

static gboolean
seed_subscribe_start (GstBaseSrc *src)
{
  SeedSubscribe *self = SEED_SUBSCRIBE (src);
  g_autofree char *endpoint = NULL, *kind = NULL, *server_key = NULL, *client_key = NULL;
  g_auto (GStrv) prefixes = NULL;
  g_autoptr (GError) error = NULL;
  SeedSubscriberConfig config;

  GST_OBJECT_LOCK (self);
  endpoint = g_strdup (self->endpoint);
  prefixes = split_topics (self->topics);
  kind = self->kind && *self->kind ? g_strdup (self->kind) : kind_of_topics (prefixes);
  self->running_filter = self->filter ? gst_caps_ref (self->filter) : NULL;
  config.hwm = self->hwm;
  config.max_part = self->max_part;
  config.server_key = server_key = g_strdup (self->server_key);
  config.client_key = client_key = g_strdup (self->client_key);
  GST_OBJECT_UNLOCK (self);
  if (!seed_wire_is_name (kind)) {
    GST_ELEMENT_ERROR (self, LIBRARY, SETTINGS,
        ("kind: \"%s\" is none; expected embedding, tokens, train, health, event, ...", kind),
        (NULL));
    return FALSE;
  }
  config.endpoint = endpoint;
  config.prefixes = (const char *const *) prefixes;
  self->subscriber = seed_subscriber_new (&config, &error);
  if (!self->subscriber) {
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ, ("%s", error->message), (NULL));
    return FALSE;
  }
  self->decoder = seed_decoder_new (kind, self->ledger);
  self->sequence = seed_sequence_new (MAX_TOPICS);
  self->known_caps = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->next_offset = 0;
  return TRUE;
}

static gboolean
seed_subscribe_stop (GstBaseSrc *src)
{
  SeedSubscribe *self = SEED_SUBSCRIBE (src);

  g_clear_pointer (&self->subscriber, seed_subscriber_free);
  g_clear_pointer (&self->decoder, seed_decoder_free);
  g_clear_pointer (&self->sequence, seed_sequence_free);
  g_clear_pointer (&self->known_caps, g_hash_table_unref);
  g_clear_pointer (&self->model, g_free);
  gst_clear_caps (&self->running_filter);
  gst_clear_caps (&self->caps);
  return TRUE;
}

/* Not for a pause: GStreamer 1.26 unlocks for that too, 1.22 does not, and a source that is PLAYING
 * again before it has noticed would stop for good. */
static gboolean
seed_subscribe_unlock (GstBaseSrc *src)
{
  if (GST_STATE (src) == GST_STATE_PLAYING && GST_STATE_NEXT (src) == GST_STATE_PAUSED)
    return TRUE;
  seed_subscriber_cancel (SEED_SUBSCRIBE (src)->subscriber);
  return TRUE;
}

static gboolean
seed_subscribe_unlock_stop (GstBaseSrc *src)
{
  seed_subscriber_resume (SEED_SUBSCRIBE (src)->subscriber);
  return TRUE;
}

/* Caps come with the first message. */
static gboolean
seed_subscribe_negotiate (GstBaseSrc *src)
{
  return TRUE;
}

static GstCaps *
seed_subscribe_get_caps (GstBaseSrc *src, GstCaps *filter)
{
  SeedSubscribe *self = SEED_SUBSCRIBE (src);
  GstCaps *caps = gst_pad_get_pad_template_caps (GST_BASE_SRC_PAD (src)), *narrower;

  GST_OBJECT_LOCK (self);
  if (self->filter) {
    narrower = gst_caps_intersect (caps, self->filter);
    gst_caps_unref (caps);
    caps = narrower;
  }
  GST_OBJECT_UNLOCK (self);
  if (filter) {
    narrower = gst_caps_intersect_full (filter, caps, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref (caps);
    caps = narrower;
  }
  return caps;
}

/* Receiving */

static void
count (SeedSubscribe *self, guint64 *counter, guint64 n)
{
  GST_OBJECT_LOCK (self);
  *counter += n;
  GST_OBJECT_UNLOCK (self);
}

/* Counts and skips a message; the first of a second is told to the application. */
static void
skip_malformed (SeedSubscribe *self, const GError *error)
{
  gint64 now = g_get_monotonic_time ();

  count (self, &self->malformed, 1);
  seed_ledger_in (self->ledger, NULL, 1); /* its stream may be invented */
  seed_ledger_drop (self->ledger, NULL, SEED_DROP_ERROR, 1);
  GST_DEBUG_OBJECT (self, "skipping a message: %s", error->message);
  if (self->warned_us && now - self->warned_us < G_TIME_SPAN_SECOND) {
    self->unwarned++;
    return;
  }
  GST_ELEMENT_WARNING (self, STREAM, DECODE, ("A message was skipped: %s", error->message),
      ("%" G_GUINT64_FORMAT " more since the last warning", self->unwarned));
  self->warned_us = now;
  self->unwarned = 0;
}

/* FALSE when the message is not to become a buffer; the sequence is noted in any case. */
static gboolean
note_sequence (SeedSubscribe *self, const SeedResult *result, GError **error)
{
  guint64 lost;

  switch (seed_sequence_step (self->sequence, result, &lost)) {
  case SEED_SEQUENCE_GAP:
    GST_INFO_OBJECT (self, "%" G_GUINT64_FORMAT " messages of %s/%s/%s/%s/ were lost", lost,
        result->graph, result->stream, result->kind, result->node);
    count (self, &self->gaps, lost);
    if (seed_decoder_counts (self->decoder, result->kind)) {
      seed_ledger_in (self->ledger, result->stream, lost);
      seed_ledger_drop (self->ledger, result->stream, SEED_DROP_QUEUE_FULL, lost);
    }
    return TRUE;
  case SEED_SEQUENCE_REPEAT:
    count (self, &self->repeats, 1);
    return FALSE;
  case SEED_SEQUENCE_REFUSED:
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "more than %u topics: narrow \"topics\" down",
        MAX_TOPICS);
    return FALSE;
  default:
    return TRUE;
  }
}

/* Downstream keeps names from caps for ever, so a publisher may not invent new ones for ever. */
static gboolean
remember_caps (SeedSubscribe *self, GstCaps *caps, GError **error)
{
  g_autofree char *text = NULL;

  if (self->caps && gst_caps_is_equal (self->caps, caps))
    return TRUE;
  text = gst_caps_to_string (caps);
  if (g_hash_table_contains (self->known_caps, text))
    return TRUE;
  if (g_hash_table_size (self->known_caps) >= MAX_CAPS) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "more than %u different caps: narrow \"topics\" down", MAX_CAPS);
    return FALSE;
  }
  g_hash_table_add (self->known_caps, g_steal_pointer (&text));
  return TRUE;
}

/* The buffer that @result makes, or NULL: with an error when it is malformed. */
static GstBuffer *
decode (SeedSubscribe *self, const SeedResult *result, GstCaps **caps, GError **error)
{
  g_autoptr (GstCaps) its = NULL;
  GstBuffer *buffer;

  if (!seed_decoder_wants (self->decoder, result->kind)) {
    count (self, &self->ignored, 1);
    return NULL;
  }
  its = seed_decoder_caps (self->decoder, result, error);
  if (!its)
    return NULL;
  /* In pairs the caps of the embedding alone are not those of the buffer. */
  if (self->running_filter && seed_decoder_counts (self->decoder, result->kind) &&
      !gst_caps_can_intersect (its, self->running_filter)) {
    count (self, &self->ignored, 1);
    return NULL;
  }
  if (!note_sequence (self, result, error) || !remember_caps (self, its, error))
    return NULL;
  if (seed_decoder_counts (self->decoder, result->kind))
    seed_ledger_in (self->ledger, result->stream, 1);
  buffer = seed_decoder_push (self->decoder, result);
  if (!buffer && !seed_decoder_counts (self->decoder, result->kind))
    count (self, &self->ignored, 1);
  *caps = g_steal_pointer (&its);
  return buffer;
}

static void
announce_model (SeedSubscribe *self, const SeedResultModel *model)
{
  g_autofree char *text = NULL;

  if (!model->name)
    return;
  text = g_strdup_printf ("%s %s %" G_GUINT64_FORMAT, model->name, model->sha256, model->step);
  if (g_strcmp0 (text, self->model) == 0)
    return;
  g_free (self->model);
  self->model = g_steal_pointer (&text);
  gst_pad_push_event (
      GST_BASE_SRC_PAD (self), seed_model_event_new (model->name, model->sha256, model->step));
}

static GstFlowReturn
finish (SeedSubscribe *self, const SeedResult *result, GstCaps *caps, GstBuffer *buffer)
{
  if (!self->caps || !gst_caps_is_equal (self->caps, caps)) {
    if (!gst_base_src_set_caps (GST_BASE_SRC (self), caps)) {
      seed_ledger_drop (self->ledger, result->stream, SEED_DROP_ERROR, 1);
      GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
          ("What follows does not take the results of %s", result->node),
          ("stream %s, caps %" GST_PTR_FORMAT, result->stream, caps));
      return GST_FLOW_NOT_NEGOTIATED;
    }
    gst_caps_replace (&self->caps, caps);
  }
  if (gst_caps_get_structure (caps, 0) &&
      gst_structure_has_name (gst_caps_get_structure (caps, 0), SEED_CAPS_FEATURES))
    announce_model (self, &result->model);
  GST_BUFFER_OFFSET (buffer) = self->next_offset++;
  seed_ledger_out (self->ledger, result->stream, 1);
  return GST_FLOW_OK;
}

static GstFlowReturn
handle_result (SeedSubscribe *self, const SeedResult *result, GstBuffer **buffer)
{
  gint64 begin = g_get_monotonic_time ();
  g_autoptr (GstCaps) caps = NULL;
  g_autoptr (GError) error = NULL;
  GstFlowReturn flow = GST_FLOW_OK;

  *buffer = decode (self, result, &caps, &error);
  if (error)
    skip_malformed (self, error);
  if (*buffer) {
    flow = finish (self, result, caps, *buffer);
    if (flow != GST_FLOW_OK)
      gst_clear_buffer (buffer);
    seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - begin) * 1000);
  }
  return flow;
}

static GstFlowReturn
seed_subscribe_create (GstPushSrc *src, GstBuffer **buffer)
{
  SeedSubscribe *self = SEED_SUBSCRIBE (src);
  GstFlowReturn flow = GST_FLOW_OK;

  *buffer = NULL;
  while (flow == GST_FLOW_OK && !*buffer) {
    g_autoptr (GError) error = NULL;
    const SeedResult *result;

    switch (seed_subscriber_receive (self->subscriber, -1, &result, &error)) {
    case SEED_RECEIVED_RESULT:
      flow = handle_result (self, result, buffer);
      break;
    case SEED_RECEIVED_MALFORMED:
      skip_malformed (self, error);
      break;
    case SEED_RECEIVED_CANCELLED:
      flow = GST_FLOW_FLUSHING;
      break;
    case SEED_RECEIVED_CONNECTION:
      GST_INFO_OBJECT (self, "%s",
          seed_subscriber_is_connected (self->subscriber) ? "connected" : "disconnected");
      break;
    case SEED_RECEIVED_FAILED:
      GST_ELEMENT_ERROR (self, RESOURCE, READ, ("%s", error->message), (NULL));
      flow = GST_FLOW_ERROR;
      break;
    case SEED_RECEIVED_TIMEOUT:
      break;
    }
  }
  return flow;
}
