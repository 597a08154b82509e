/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/anchors-meta.h>
#include <seed/error.h>

#include "core/event.h"
#include "core/stream-meta.h"
#include "publish/health.h"
#include "publish/json-tree.h"
#include "publish/seedpublish.h"
#include "publish/wire-kinds.h"

/* Events remembered to tell the second way of one from a new one. */
#define MAX_EVENT_IDS 4096u

static const struct {
  const char *name;
  SeedPublishKinds bit;
} kind_table[] = {
  { "embedding", SEED_PUBLISH_EMBEDDING },
  { "tokens", SEED_PUBLISH_TOKENS },
  { "train", SEED_PUBLISH_TRAIN },
  { "event", SEED_PUBLISH_EVENT },
  { "health", SEED_PUBLISH_HEALTH },
  { "anchors", SEED_PUBLISH_ANCHORS },
  { "labels", SEED_PUBLISH_LABELS },
  { "neighbours", SEED_PUBLISH_NEIGHBOURS },
  { "grounding", SEED_PUBLISH_GROUNDING },
};

static SeedPublishKinds
kind_bit (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (kind_table); i++) {
    if (strcmp (kind_table[i].name, name) == 0)
      return kind_table[i].bit;
  }
  return 0;
}

gboolean
seed_publish_kinds_parse (const char *text, SeedPublishKinds *kinds, GError **error)
{
  g_auto (GStrv) names = g_strsplit (text, ",", -1);
  SeedPublishKinds bits = 0;

  for (guint i = 0; names[i]; i++) {
    SeedPublishKinds bit = kind_bit (g_strstrip (names[i]));

    if (!bit) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
          "kinds: \"%s\" is none of embedding, tokens, train, event, health, anchors, labels, "
          "neighbours, grounding",
          names[i]);
      return FALSE;
    }
    bits |= bit;
  }
  *kinds = bits;
  return TRUE;
}

gboolean
seed_publish_kinds_has (SeedPublishKinds kinds, const char *kind)
{
  return (kinds & kind_bit (kind)) != 0;
}

gboolean
seed_publish_wants (SeedPublish *self, SeedPublishPad *pad)
{
  if (pad->is_report)
    return seed_publish_kinds_has (self->wanted, pad->kind);
  return (self->wanted & SEED_PUBLISH_EMBEDDING) || (self->wanted & SEED_PUBLISH_ANCHORS) ||
         ((self->wanted & SEED_PUBLISH_TOKENS) && pad->info.token_dim > 0);
}

static void
set_identity (SeedResult *result, const SeedStreamMeta *meta)
{
  if (!meta)
    return;
  result->stream = meta->stream;
  result->frame = meta->frame;
  result->pts_ns = meta->pts;
  result->capture_ns = meta->capture_ns > 0 ? (guint64) meta->capture_ns : SEED_RESULT_NONE;
}

/* FALSE after an element error that names node and stream. */
static gboolean
send_result (SeedPublish *self, SeedResult *result, SeedPublisherStatus *status)
{
  g_autoptr (GError) error = NULL;

  result->graph = self->running_graph;
  *status = seed_publisher_send (self->publisher, result, &error);
  if (*status != SEED_PUBLISHER_FAILED)
    return TRUE;
  GST_ELEMENT_ERROR (self, STREAM, FORMAT, ("%s", error->message),
      ("node %s, stream %s, kind %s", result->node, result->stream, result->kind));
  return FALSE;
}

static void
count_item (SeedPublish *self, const SeedResult *result, SeedPublisherStatus status)
{
  if (status == SEED_PUBLISHER_SENT)
    seed_ledger_out (self->ledger, result->stream, 1);
  else
    seed_ledger_drop (self->ledger, result->stream,
        status == SEED_PUBLISHER_DROPPED ? SEED_DROP_QUEUE_FULL : SEED_DROP_ERROR, 1);
  if (result->capture_ns != SEED_RESULT_NONE && status == SEED_PUBLISHER_SENT &&
      result->publish_ns >= result->capture_ns)
    seed_ledger_busy (self->latency, result->publish_ns - result->capture_ns);
}

/* Features */

typedef struct {
  GstMapInfo summary, tokens;
  gboolean has_tokens;
  guint n_items, n_words;
} Features;

static void
unmap_features (GstBuffer *buffer, Features *features)
{
  gst_buffer_unmap (buffer, &features->summary);
  if (features->has_tokens)
    gst_buffer_unmap (buffer, &features->tokens);
}

static gboolean
map_features (const SeedFeaturesInfo *info, GstBuffer *buffer, Features *features)
{
  gsize n = MAX (seed_buffer_n_stream_meta (buffer), 1);

  features->n_items = (guint) n;
  features->n_words = info->grid * info->grid;
  features->has_tokens = FALSE;
  if (gst_buffer_n_memory (buffer) != (info->token_dim > 0 ? 2 : 1) ||
      !gst_buffer_map_range (buffer, 0, 1, &features->summary, GST_MAP_READ))
    return FALSE;
  if (info->token_dim > 0)
    features->has_tokens = gst_buffer_map_range (buffer, 1, 1, &features->tokens, GST_MAP_READ);
  if (features->summary.size == n * info->summary_dim * sizeof (float) &&
      (info->token_dim == 0 ||
          (features->has_tokens &&
              features->tokens.size == n * features->n_words * info->token_dim * sizeof (float))))
    return TRUE;
  unmap_features (buffer, features);
  return FALSE;
}

static JsonObject *
new_item_data (const SeedFeaturesInfo *info, const SeedStreamMeta *meta, gboolean tokens)
{
  JsonObject *data = json_object_new ();

  json_object_set_string_member (data, "space", info->space);
  if (tokens)
    json_object_set_int_member (data, "grid", info->grid);
  if (meta && meta->label >= 0)
    json_object_set_int_member (data, "label", meta->label);
  return data;
}

/* The worse of what happened to one item's messages is what happened to the item. */
static gboolean
send_tensor (SeedPublish *self, SeedPublishPad *pad, const SeedStreamMeta *meta,
    const SeedTensor *tensor, SeedResult *result, SeedPublisherStatus *status)
{
  g_autoptr (JsonObject) data = new_item_data (&pad->info, meta, tensor->n_dims == 2);
  SeedPublisherStatus sent;

  result->kind = tensor->name;
  result->tensors = tensor;
  result->n_tensors = 1;
  result->data = data;
  send_result (self, result, &sent);
  *status = MAX (*status, sent);
  return sent != SEED_PUBLISHER_FAILED;
}

static double
entropy_of (const float *histogram)
{
  double entropy = 0;

  for (guint i = 0; i < SEED_ANCHORS_META_BINS; i++)
    if (histogram[i] > 0)
      entropy -= (double) histogram[i] * log ((double) histogram[i]);
  return entropy;
}

/* What a student with image anchors says of a frame, beside its features. */
static gboolean
send_anchors (SeedPublish *self, const SeedAnchorsMeta *anchors, SeedResult *result,
    SeedPublisherStatus *status)
{
  g_autoptr (JsonObject) data = json_object_new ();
  gsize cells = (gsize) anchors->grid * anchors->grid;
  SeedTensor tensors[2] = { { .name = seed_kind_tensor_name ("anchors", 0),
                                .dtype = SEED_DTYPE_F32,
                                .n_dims = 1,
                                .shape = { SEED_ANCHORS_META_BINS },
                                .data = anchors->histogram,
                                .size = sizeof anchors->histogram },
    { .name = seed_kind_tensor_name ("anchors", 1),
        .dtype = SEED_DTYPE_F32,
        .n_dims = 3,
        .shape = { SEED_ANCHORS_META_BINS, anchors->grid, anchors->grid },
        .data = anchors->heatmaps,
        .size = SEED_ANCHORS_META_BINS * cells * sizeof (float) } };
  SeedPublisherStatus sent;

  json_object_set_int_member (data, "grid", anchors->grid);
  json_object_set_double_member (data, "entropy", entropy_of (anchors->histogram));
  result->kind = "anchors";
  result->tensors = tensors;
  result->n_tensors = anchors->heatmaps ? 2 : 1;
  result->data = data;
  send_result (self, result, &sent);
  *status = MAX (*status, sent);
  return sent != SEED_PUBLISHER_FAILED;
}

static gboolean
publish_item (SeedPublish *self, SeedPublishPad *pad, const Features *features, guint i,
    const SeedStreamMeta *meta, const SeedAnchorsMeta *anchors)
{
  const SeedFeaturesInfo *info = &pad->info;
  gsize summary_size = info->summary_dim * sizeof (float);
  gsize tokens_size = (gsize) features->n_words * info->token_dim * sizeof (float);
  SeedTensor embedding = { .name = "embedding",
    .dtype = SEED_DTYPE_F32,
    .n_dims = 1,
    .shape = { info->summary_dim },
    .data = features->summary.data + i * summary_size,
    .size = summary_size };
  SeedTensor tokens = { .name = "tokens",
    .dtype = SEED_DTYPE_F32,
    .n_dims = 2,
    .shape = { features->n_words, info->token_dim },
    .size = tokens_size };
  SeedPublisherStatus status = SEED_PUBLISHER_SENT;
  SeedResult result;
  gboolean ok = TRUE;

  seed_publish_pad_init_result (pad, &result);
  set_identity (&result, meta);
  if (self->wanted & SEED_PUBLISH_EMBEDDING)
    ok = send_tensor (self, pad, meta, &embedding, &result, &status);
  if (ok && features->has_tokens && (self->wanted & SEED_PUBLISH_TOKENS)) {
    tokens.data = features->tokens.data + i * tokens_size;
    ok = send_tensor (self, pad, meta, &tokens, &result, &status);
  }
  if (ok && anchors && (self->wanted & SEED_PUBLISH_ANCHORS))
    ok = send_anchors (self, anchors, &result, &status);
  count_item (self, &result, status);
  return ok;
}

static GstFlowReturn
publish_features (SeedPublish *self, SeedPublishPad *pad, GstBuffer *buffer)
{
  gpointer state = NULL, anchors_state = NULL;
  const SeedAnchorsMeta *anchors = seed_buffer_iterate_anchors_meta (buffer, &anchors_state);
  Features features;
  gboolean ok = TRUE;

  if (!map_features (&pad->info, buffer, &features)) {
    seed_ledger_drop_buffer (self->ledger, buffer, SEED_DROP_ERROR);
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("A buffer of %" G_GSIZE_FORMAT " bytes in %u memories does not hold the features of %u "
         "frames that its caps promise",
            gst_buffer_get_size (buffer), gst_buffer_n_memory (buffer),
            MAX (seed_buffer_n_stream_meta (buffer), 1)),
        ("node %s: summary-dim %u, token-dim %u, grid %u", seed_publish_pad_node (pad),
            pad->info.summary_dim, pad->info.token_dim, pad->info.grid));
    return GST_FLOW_ERROR;
  }
  for (guint i = 0; i < features.n_items; i++) {
    const SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);

    if (ok)
      ok = publish_item (
          self, pad, &features, i, meta, anchors && anchors->item == i ? anchors : NULL);
    else
      seed_ledger_drop (self->ledger, meta ? meta->stream : NULL, SEED_DROP_ERROR, 1);
    if (anchors && anchors->item == i)
      anchors = seed_buffer_iterate_anchors_meta (buffer, &anchors_state);
  }
  unmap_features (buffer, &features);
  return ok ? GST_FLOW_OK : GST_FLOW_ERROR;
}

/* Reports */

static JsonNode *
parse_report (SeedPublish *self, SeedPublishPad *pad, GstBuffer *buffer)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonNode) root = NULL;
  GstMapInfo map;

  if (!gst_buffer_map_range (buffer, 0, 1, &map, GST_MAP_READ)) {
    GST_ELEMENT_ERROR (self, RESOURCE, READ, ("A report cannot be mapped"),
        ("node %s, kind %s", seed_publish_pad_node (pad), pad->kind));
    return NULL;
  }
  root = seed_json_tree_parse ("report", (const char *) map.data, map.size, &error);
  gst_buffer_unmap (buffer, &map);
  if (root && JSON_NODE_HOLDS_OBJECT (root))
    return g_steal_pointer (&root);
  GST_ELEMENT_ERROR (self, STREAM, DECODE,
      ("%s", error ? error->message : "report: must be one JSON object"),
      ("node %s, kind %s", seed_publish_pad_node (pad), pad->kind));
  return NULL;
}

/* Memories after the first are the tensors of the kind, in the order of its table. */
typedef struct {
  GstMapInfo maps[SEED_KIND_MAX_TENSORS];
  SeedTensor tensors[SEED_KIND_MAX_TENSORS];
  guint n;
} ReportTensors;

static void
unmap_tensors (GstBuffer *buffer, ReportTensors *tensors)
{
  for (guint i = 0; i < tensors->n; i++)
    gst_buffer_unmap (buffer, &tensors->maps[i]);
}

static gboolean
map_tensors (SeedPublish *self, SeedPublishPad *pad, GstBuffer *buffer, JsonObject *data,
    ReportTensors *tensors)
{
  guint n = gst_buffer_n_memory (buffer);

  tensors->n = 0;
  for (guint i = 0; i + 1 < n; i++) {
    GstMapInfo *map = &tensors->maps[i];

    if (i >= SEED_KIND_MAX_TENSORS || !gst_buffer_map_range (buffer, i + 1, 1, map, GST_MAP_READ))
      break;
    tensors->n++;
    if (!seed_kind_make_tensor (pad->kind, i, data, map->data, map->size, &tensors->tensors[i]))
      break;
    if (i + 2 == n)
      return TRUE;
  }
  if (n <= 1)
    return TRUE;
  unmap_tensors (buffer, tensors);
  GST_ELEMENT_ERROR (self, STREAM, FORMAT,
      ("A report of kind %s has memories that are none of its tensors", pad->kind),
      ("node %s, %u memories", seed_publish_pad_node (pad), n));
  return FALSE;
}

static GstFlowReturn
publish_report (SeedPublish *self, SeedPublishPad *pad, GstBuffer *buffer)
{
  g_autoptr (JsonNode) root = parse_report (self, pad, buffer);
  SeedPublisherStatus status;
  ReportTensors tensors;
  gpointer state = NULL;
  SeedResult result;

  if (!root || !map_tensors (self, pad, buffer, json_node_get_object (root), &tensors)) {
    seed_ledger_drop_buffer (self->ledger, buffer, SEED_DROP_ERROR);
    return GST_FLOW_ERROR;
  }
  seed_publish_pad_init_result (pad, &result);
  if (pad->per_stream)
    set_identity (&result, seed_buffer_iterate_stream_meta (buffer, &state));
  result.kind = pad->kind;
  result.data = json_node_get_object (root);
  result.tensors = tensors.tensors;
  result.n_tensors = tensors.n;
  send_result (self, &result, &status);
  unmap_tensors (buffer, &tensors);
  if (status == SEED_PUBLISHER_SENT)
    seed_ledger_out_buffer (self->ledger, buffer);
  else
    seed_ledger_drop_buffer (self->ledger, buffer,
        status == SEED_PUBLISHER_DROPPED ? SEED_DROP_QUEUE_FULL : SEED_DROP_ERROR);
  return status == SEED_PUBLISHER_FAILED ? GST_FLOW_ERROR : GST_FLOW_OK;
}

GstFlowReturn
seed_publish_buffer (SeedPublish *self, SeedPublishPad *pad, GstBuffer *buffer)
{
  gint64 begin = g_get_monotonic_time ();
  GstFlowReturn flow;

  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP) && gst_buffer_get_size (buffer) == 0) {
    seed_ledger_drop_buffer (self->ledger, buffer, SEED_DROP_NOT_CALIBRATED);
    return GST_FLOW_OK;
  }
  flow = pad->is_report ? publish_report (self, pad, buffer) : publish_features (self, pad, buffer);
  seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - begin) * 1000);
  return flow;
}

/* Events */

static gboolean
is_new_event (SeedPublish *self, guint64 id)
{
  gboolean is_new;

  g_mutex_lock (&self->lock);
  is_new = !g_hash_table_contains (self->event_ids, &id);
  if (is_new) {
    guint64 *key = g_memdup2 (&id, sizeof id);

    if (g_queue_get_length (&self->event_order) == MAX_EVENT_IDS)
      g_hash_table_remove (self->event_ids, g_queue_pop_head (&self->event_order));
    g_queue_push_tail (&self->event_order, key);
    g_hash_table_add (self->event_ids, key);
  }
  g_mutex_unlock (&self->lock);
  return is_new;
}

/* What an event says beyond what all do. */
static gboolean
add_detail (GQuark id, const GValue *value, gpointer user_data)
{
  const char *name = g_quark_to_string (id);
  JsonObject *data = user_data;

  if (json_object_has_member (data, name) || g_str_equal (name, "stream") ||
      g_str_equal (name, "frame") || g_str_equal (name, "time-ns"))
    return TRUE;
  if (G_VALUE_HOLDS_STRING (value) && g_value_get_string (value))
    json_object_set_string_member (data, name, g_value_get_string (value));
  else if (G_VALUE_HOLDS_UINT (value))
    json_object_set_int_member (data, name, g_value_get_uint (value));
  else if (G_VALUE_HOLDS_UINT64 (value))
    json_object_set_int_member (data, name, (gint64) g_value_get_uint64 (value));
  else if (G_VALUE_HOLDS_DOUBLE (value))
    json_object_set_double_member (data, name, g_value_get_double (value));
  return TRUE;
}

void
seed_publish_event (SeedPublish *self, SeedPublishPad *pad, GstEvent *event)
{
  g_autoptr (JsonObject) data = NULL;
  SeedPublisherStatus status;
  SeedResult result;
  SeedEvent parsed;

  if (!(self->wanted & SEED_PUBLISH_EVENT) || !seed_event_parse (event, &parsed) ||
      !is_new_event (self, parsed.id))
    return;
  data = json_object_new ();
  json_object_set_string_member (data, "event", parsed.event);
  json_object_set_string_member (data, "reason", parsed.reason);
  json_object_set_int_member (data, "id", (gint64) parsed.id);
  gst_structure_foreach (gst_event_get_structure (event), add_detail, data);
  seed_publish_pad_init_result (pad, &result);
  result.kind = "event";
  result.stream = parsed.stream;
  result.frame = parsed.frame == GST_BUFFER_OFFSET_NONE ? SEED_RESULT_NONE : parsed.frame;
  result.capture_ns = parsed.time_ns > 0 ? (guint64) parsed.time_ns : SEED_RESULT_NONE;
  result.data = data;
  send_result (self, &result, &status);
}

/* Health */

#define MAX_LOSSES 16u

static void
set_losses (SeedPublish *self, JsonObject *data)
{
  g_autoptr (GArray) losses = seed_publisher_get_losses (self->publisher, MAX_LOSSES);
  JsonObject *object = json_object_new ();

  for (guint i = 0; i < losses->len; i++) {
    const SeedPublisherLoss *loss = &g_array_index (losses, SeedPublisherLoss, i);

    json_object_set_int_member (object, loss->topic, (gint64) loss->dropped);
  }
  json_object_set_object_member (data, "dropped_topics", object);
}

static void
set_subscribers (JsonObject *data, const SeedGateStats *stats)
{
  JsonObject *object = json_object_new ();

  json_object_set_int_member (object, "connections", (gint64) stats->connections);
  json_object_set_int_member (object, "refused_subscriptions", (gint64) stats->refused);
  json_object_set_int_member (object, "garbage", (gint64) stats->garbage);
  json_object_set_int_member (object, "hung_up", (gint64) stats->hung_up);
  json_object_set_int_member (object, "turned_away", (gint64) stats->turned_away);
  json_object_set_int_member (object, "failed_handshakes", (gint64) stats->failed);
  json_object_set_object_member (data, "subscribers", object);
}

static JsonObject *
new_health (SeedPublish *self, gboolean with_streams)
{
  JsonObject *data = json_object_new ();
  SeedPublisherStats stats;

  seed_publisher_get_stats (self->publisher, &stats);
  json_object_set_int_member (
      data, "uptime_ms", (g_get_monotonic_time () - self->started_us) / 1000);
  seed_health_set_memory (data);
  json_object_set_int_member (data, "subscriptions", (gint64) stats.gate.subscriptions);
  json_object_set_int_member (data, "sent", (gint64) stats.sent);
  json_object_set_int_member (data, "bytes", (gint64) stats.bytes);
  json_object_set_int_member (data, "dropped_queue_full", (gint64) stats.dropped);
  json_object_set_int_member (data, "set_aside", (gint64) stats.set_aside);
  set_losses (self, data);
  set_subscribers (data, &stats.gate);
  seed_health_set_busy (data, "latency", self->latency);
  seed_health_set_elements (data, GST_ELEMENT (self), with_streams);
  return data;
}

void
seed_publish_health (SeedPublish *self)
{
  gboolean with_streams = TRUE, too_large = FALSE;

  do {
    g_autoptr (JsonObject) data = new_health (self, with_streams);
    g_autoptr (GError) error = NULL;
    SeedResult result = SEED_RESULT_INIT;

    result.graph = self->running_graph;
    result.stream = SEED_WIRE_NO_STREAM;
    result.kind = "health";
    result.node = self->health_node;
    result.data = data;
    too_large = FALSE;
    if (seed_publisher_send (self->publisher, &result, &error) == SEED_PUBLISHER_FAILED) {
      too_large = with_streams && g_error_matches (error, SEED_ERROR, SEED_ERROR_LIMIT);
      if (!too_large)
        GST_ELEMENT_WARNING (self, RESOURCE, WRITE, ("%s", error->message), ("health"));
    }
    with_streams = FALSE;
  } while (too_large);
}
