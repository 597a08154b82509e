/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "histogram.h"
#include "seedd-metrics-private.h"

#define OTHER_STREAM "_other"

static const char *const graph_states[] = { "stopped", "starting", "running", "stopping",
  "backing-off", "invalid", "finished" };
static const char *const stream_states[] = { "connecting", "up", "stalled", "backing-off",
  "ended" };

/* ---- what a process says is not trusted to be of the right types ---- */

static JsonNode *
get (JsonObject *object, const char *name)
{
  return object ? json_object_get_member (object, name) : NULL;
}

static JsonObject *
get_object (JsonObject *object, const char *name)
{
  JsonNode *node = get (object, name);

  return node && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static guint
n_items (JsonObject *object, const char *name)
{
  JsonNode *node = get (object, name);

  return node && JSON_NODE_HOLDS_ARRAY (node) ? json_array_get_length (json_node_get_array (node))
                                              : 0;
}

/* Of an array that is there; NULL when the item is no object. */
static JsonObject *
item_of (JsonObject *object, const char *name, guint i)
{
  JsonNode *node = json_array_get_element (json_node_get_array (get (object, name)), i);

  return JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static double
number_of (JsonNode *node)
{
  GType type = node && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_NONE;

  if (type == G_TYPE_BOOLEAN)
    return json_node_get_boolean (node);
  return type == G_TYPE_INT64 || type == G_TYPE_DOUBLE ? json_node_get_double (node) : NAN;
}

static double
get_number (JsonObject *object, const char *name)
{
  return number_of (get (object, name));
}

static const char *
get_text (JsonObject *object, const char *name)
{
  JsonNode *node = get (object, name);

  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING
             ? json_node_get_string (node)
             : NULL;
}

/* ---- the daemon ---- */

static void
add_plain (SeeddMetrics *metrics, SeeddFamily family, double value)
{
  seedd_metrics_add (metrics, family, "", NULL, value);
}

static void
add_kinds (SeeddMetrics *metrics, SeeddFamily family, JsonObject *kinds)
{
  JsonObjectIter iter;
  const char *kind;
  JsonNode *value;

  if (!kinds)
    return;
  json_object_iter_init (&iter, kinds);
  while (json_object_iter_next (&iter, &kind, &value)) {
    const SeeddLabel labels[] = { { "kind", kind }, { NULL, NULL } };

    seedd_metrics_add (metrics, family, "", labels, number_of (value));
  }
}

/* What the gate of the results counts. */
static void
add_gate (SeeddMetrics *metrics, JsonObject *gate)
{
  static const struct {
    const char *key, *reason;
  } refusals[] = {
    { "turned_away", "connection-limit" },
    { "failed_handshakes", "handshake" },
    { "hung_up", "hung-up" },
    { "refused_subscriptions", "subscription" },
    { "garbage", "garbage" },
  };

  add_plain (metrics, SEEDD_SUBSCRIBERS, get_number (gate, "connections"));
  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++) {
    const SeeddLabel labels[] = { { "reason", refusals[i].reason }, { NULL, NULL } };

    seedd_metrics_add (metrics, SEEDD_REFUSALS, "", labels, get_number (gate, refusals[i].key));
  }
}

void
seedd_metrics_add_daemon (SeeddMetrics *metrics, JsonObject *status)
{
  JsonObject *results = get_object (status, "results");
  const SeeddLabel version[] = { { "version", get_text (status, "version") }, { NULL, NULL } };

  seedd_metrics_add (metrics, SEEDD_BUILD_INFO, "", version, 1);
  add_plain (metrics, SEEDD_UPTIME, get_number (status, "uptime_s"));
  add_plain (metrics, SEEDD_PROCESS_RSS, get_number (status, "rss_bytes"));
  add_plain (metrics, SEEDD_PROCESS_FDS, get_number (status, "open_fds"));
  add_gate (metrics, get_object (results, "subscribers"));
  add_plain (metrics, SEEDD_SUBSCRIPTIONS, get_number (results, "subscriptions"));
  add_plain (metrics, SEEDD_RECEIVED, get_number (results, "received"));
  add_plain (metrics, SEEDD_SET_ASIDE, get_number (results, "set_aside"));
  add_kinds (metrics, SEEDD_SENT, get_object (results, "sent_by_kind"));
  add_kinds (metrics, SEEDD_DROPPED, get_object (results, "dropped_by_kind"));
}

/* ---- a graph ---- */

typedef struct {
  SeeddMetrics *metrics;
  const char *graph;
  GHashTable *streams; /* names that have series of their own; borrowed */
} Writer;

/* The label of a stream: its name while there is room. */
static const char *
label_of (Writer *writer, const char *stream)
{
  if (g_hash_table_contains (writer->streams, stream))
    return stream;
  if (g_hash_table_size (writer->streams) >= SEEDD_METRICS_MAX_STREAMS)
    return OTHER_STREAM;
  g_hash_table_add (writer->streams, (gpointer) stream);
  return stream;
}

static void
add_one (Writer *writer, SeeddFamily family, double value)
{
  const SeeddLabel labels[] = { { "graph", writer->graph }, { NULL, NULL } };

  seedd_metrics_add (writer->metrics, family, "", labels, value);
}

static void
add_of (Writer *writer, SeeddFamily family, const char *name, const char *of, double value)
{
  const SeeddLabel labels[] = { { "graph", writer->graph }, { name, of }, { NULL, NULL } };

  seedd_metrics_add (writer->metrics, family, "", labels, value);
}

static void
add_stream (Writer *writer, JsonObject *stream)
{
  const char *node = get_text (stream, "node"), *name = get_text (stream, "stream");
  const char *state = get_text (stream, "state");
  SeeddLabel labels[] = { { "graph", writer->graph }, { "node", node }, { "stream", NULL },
    { "state", NULL }, { NULL, NULL } };

  if (!node || !name)
    return;
  labels[2].value = label_of (writer, name);
  seedd_metrics_add (writer->metrics, SEEDD_STREAM_FPS, "", labels, get_number (stream, "fps"));
  if (strcmp (labels[2].value, OTHER_STREAM) != 0) /* ages do not add up */
    seedd_metrics_add (
        writer->metrics, SEEDD_STREAM_AGE, "", labels, get_number (stream, "age_ms") / 1000);
  for (guint i = 0; state && i < G_N_ELEMENTS (stream_states); i++) {
    labels[3].value = stream_states[i];
    seedd_metrics_add (
        writer->metrics, SEEDD_STREAM_STATE, "", labels, strcmp (state, stream_states[i]) == 0);
  }
}

static void
add_status (Writer *writer, JsonObject *status)
{
  JsonObject *process = get_object (status, "process");
  JsonObject *causes = get_object (status, "restarts_by_cause");
  const char *state = get_text (status, "state");
  JsonObjectIter iter;
  const char *cause;
  JsonNode *value;

  for (guint i = 0; i < G_N_ELEMENTS (graph_states); i++)
    add_of (writer, SEEDD_GRAPH_STATE, "state", graph_states[i],
        g_strcmp0 (state, graph_states[i]) == 0);
  add_one (writer, SEEDD_GRAPH_ENABLED, get_number (status, "enabled"));
  add_one (writer, SEEDD_GRAPH_UPTIME, get_number (status, "uptime_s"));
  add_one (writer, SEEDD_GRAPH_FILE_ERRORS, get_text (status, "pending_errors") != NULL);
  add_one (writer, SEEDD_GRAPH_LAST_GOOD, get_number (status, "last_good"));
  add_one (writer, SEEDD_GRAPH_RSS, get_number (process, "rss_bytes"));
  add_one (writer, SEEDD_GRAPH_HEARTBEAT_AGE, get_number (process, "heartbeat_age_s"));
  if (causes)
    json_object_iter_init (&iter, causes);
  while (causes && json_object_iter_next (&iter, &cause, &value))
    add_of (writer, SEEDD_GRAPH_RESTARTS, "cause", cause, number_of (value));
  for (guint i = 0; i < n_items (process, "streams"); i++)
    add_stream (writer, item_of (process, "streams", i));
}

/* ---- its stages ---- */

static void
add_entry (Writer *writer, const char *stage, const char *stream, JsonObject *entry)
{
  JsonObject *dropped = get_object (entry, "dropped");
  SeeddLabel labels[] = { { "graph", writer->graph }, { "stage", stage },
    { "stream", label_of (writer, stream) }, { "result", NULL }, { "reason", NULL },
    { NULL, NULL } };
  JsonObjectIter iter;
  const char *reason;
  JsonNode *value;

  seedd_metrics_add (writer->metrics, SEEDD_IN_FLIGHT, "", labels, get_number (entry, "in_flight"));
  labels[3].value = "in";
  seedd_metrics_add (writer->metrics, SEEDD_FRAMES, "", labels, get_number (entry, "in"));
  labels[3].value = "out";
  seedd_metrics_add (writer->metrics, SEEDD_FRAMES, "", labels, get_number (entry, "out"));
  labels[3].value = "dropped";
  if (dropped)
    json_object_iter_init (&iter, dropped);
  while (dropped && json_object_iter_next (&iter, &reason, &value)) {
    labels[4].value = reason;
    seedd_metrics_add (writer->metrics, SEEDD_FRAMES, "", labels, number_of (value));
  }
}

static void
add_ledger (Writer *writer, const char *stage, JsonObject *ledger)
{
  JsonObjectIter iter;
  const char *stream;
  JsonNode *value;

  if (!ledger)
    return;
  json_object_iter_init (&iter, ledger);
  while (json_object_iter_next (&iter, &stream, &value)) {
    if (JSON_NODE_HOLDS_OBJECT (value))
      add_entry (writer, stage, stream, json_node_get_object (value));
  }
}

/* "loss" is the total, "loss-NAME" a term. */
static void
add_losses (Writer *writer, const char *node, JsonObject *stats)
{
  JsonObjectIter iter;
  const char *name;
  JsonNode *value;

  if (!stats || isnan (get_number (stats, "step")) || isnan (get_number (stats, "loss")))
    return;
  add_of (writer, SEEDD_TRAIN_STEP, "node", node, get_number (stats, "step"));
  json_object_iter_init (&iter, stats);
  while (json_object_iter_next (&iter, &name, &value)) {
    const SeeddLabel labels[] = { { "graph", writer->graph }, { "node", node },
      { "term", name[4] == '-' ? name + 5 : "total" }, { NULL, NULL } };

    if (strcmp (name, "loss") == 0 || g_str_has_prefix (name, "loss-"))
      seedd_metrics_add (writer->metrics, SEEDD_TRAIN_LOSS, "", labels, number_of (value));
  }
}

static void
add_outages (Writer *writer, const char *node, JsonObject *streams)
{
  JsonObjectIter iter;
  const char *stream;
  JsonNode *value;

  if (!streams)
    return;
  json_object_iter_init (&iter, streams);
  while (json_object_iter_next (&iter, &stream, &value)) {
    const SeeddLabel labels[] = { { "graph", writer->graph }, { "node", node },
      { "stream", label_of (writer, stream) }, { NULL, NULL } };

    if (JSON_NODE_HOLDS_OBJECT (value))
      seedd_metrics_add (writer->metrics, SEEDD_STREAM_OUTAGES, "", labels,
          get_number (json_node_get_object (value), "outages"));
  }
}

static void
add_stage (Writer *writer, JsonObject *stage)
{
  JsonObject *stats = get_object (stage, "stats"), *busy = get_object (stage, "busy");
  const char *name = get_text (stage, "name");

  if (!name)
    return;
  add_ledger (writer, name, get_object (stage, "ledger"));
  add_of (writer, SEEDD_BUSY, "stage", name, get_number (busy, "total_ns") / 1e9);
  add_of (writer, SEEDD_BUFFERS, "stage", name, get_number (busy, "count"));
  add_losses (writer, name, stats);
  add_outages (writer, name, get_object (stats, "streams"));
  add_of (writer, SEEDD_PUBLISH_DROPPED, "node", name, get_number (stats, "dropped-queue-full"));
}

static void
add_queue (Writer *writer, JsonObject *queue)
{
  const char *name = get_text (queue, "name");

  if (!name)
    return;
  add_ledger (writer, name, get_object (queue, "ledger"));
  add_of (writer, SEEDD_QUEUE_LEVEL, "queue", name, get_number (queue, "level"));
  add_of (writer, SEEDD_QUEUE_CAPACITY, "queue", name, get_number (queue, "frames"));
  add_of (writer, SEEDD_QUEUE_PEAK, "queue", name, get_number (queue, "peak"));
}

static void
add_histogram (Writer *writer, JsonObject *histogram)
{
  const char *node = get_text (histogram, "node"), *stream = get_text (histogram, "stream");
  SeeddLabel labels[] = { { "graph", writer->graph }, { "node", node }, { "stream", NULL },
    { "le", NULL }, { NULL, NULL } };
  double count = 0;

  if (!node || !stream || n_items (histogram, "counts") != SEED_HISTOGRAM_N_BOUNDS + 1)
    return;
  labels[2].value = label_of (writer, stream);
  for (guint i = 0; i <= SEED_HISTOGRAM_N_BOUNDS; i++) {
    JsonArray *counts = json_node_get_array (get (histogram, "counts"));
    char bound[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";
    double more = number_of (json_array_get_element (counts, i));

    if (i < SEED_HISTOGRAM_N_BOUNDS)
      g_ascii_formatd (bound, sizeof bound, "%g", seed_histogram_bounds_s[i]);
    count += more > 0 ? more : 0;
    labels[3].value = bound;
    seedd_metrics_add (writer->metrics, SEEDD_LATENCY, "_bucket", labels, count);
  }
  labels[3].value = NULL;
  seedd_metrics_add (
      writer->metrics, SEEDD_LATENCY, "_sum", labels, get_number (histogram, "sum_s"));
  seedd_metrics_add (writer->metrics, SEEDD_LATENCY, "_count", labels, count);
}

void
seedd_metrics_add_graph (SeeddMetrics *metrics, JsonObject *status, JsonObject *stats)
{
  g_autoptr (GHashTable) streams = g_hash_table_new (g_str_hash, g_str_equal);
  Writer writer = { metrics, get_text (status, "graph"), streams };
  JsonObject *latency = get_object (stats, "latency");

  if (!writer.graph)
    return;
  add_status (&writer, status);
  add_one (&writer, SEEDD_GRAPH_STATS_UP, stats != NULL);
  for (guint i = 0; i < n_items (stats, "stages"); i++)
    add_stage (&writer, item_of (stats, "stages", i));
  for (guint i = 0; i < n_items (stats, "queues"); i++)
    add_queue (&writer, item_of (stats, "queues", i));
  for (guint i = 0; i < n_items (latency, "histograms"); i++)
    add_histogram (&writer, item_of (latency, "histograms", i));
}
