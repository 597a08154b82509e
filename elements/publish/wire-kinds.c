/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "publish/wire-kinds.h"

#define MAX_TENSORS SEED_KIND_MAX_TENSORS
#define MAX_KEYS 8u
#define MAX_ITEMS 1024u /* of a list in data; the header is the tighter limit */
#define MAX_DIM 65536u

/* Types of keys in data. */
typedef enum {
  TEXT,
  COUNT,  /* integer from 0 */
  NUMBER, /* integer or not */
  BOOLEAN,
  OBJECT,
  LABELS,  /* [{label, score?, name?}] */
  MATCHES, /* [{id, score, stream?, frame?, pts_ns?}] */
  SPANS,   /* [{start_ns, end_ns, score}] */
  EVENT,   /* one of the events */
} KeyType;

typedef struct {
  const char *name;
  KeyType type;
  gboolean optional;
} Key;

/* A dimension: 0 any from 1, else exactly that; n_dims dimensions. All are float32. */
typedef struct {
  const char *name;
  guint n_dims;
  guint64 dims[3];
  gboolean optional;
} Promise;

typedef struct {
  const char *kind;
  Promise tensors[MAX_TENSORS];
  Key keys[MAX_KEYS];
  gboolean open; /* any tensors, any keys */
} Kind;

static const Kind kinds[] = {
  { "embedding", { { "embedding", 1, { 0 } } }, { { "space", TEXT }, { "label", COUNT, TRUE } } },
  { "tokens", { { "tokens", 2, { 0, 0 } } },
      { { "space", TEXT }, { "grid", COUNT }, { "label", COUNT, TRUE } } },
  { "anchors",
      { { "histogram", 1, { SEED_KIND_N_ANCHORS } }, { "heatmaps", 3, { 0, 0, 0 }, TRUE } },
      { { "grid", COUNT, TRUE }, { "entropy", NUMBER, TRUE } } },
  { "labels", { { NULL } }, { { "labels", LABELS }, { "set", TEXT, TRUE } } },
  { "neighbours", { { NULL } }, { { "space", TEXT }, { "neighbours", MATCHES } } },
  { "grounding", { { NULL } }, { { "query", TEXT }, { "spans", SPANS }, { "id", TEXT, TRUE } } },
  { "event", { { NULL } },
      { { "event", EVENT }, { "reason", TEXT, TRUE }, { "id", COUNT, TRUE },
          { "score", NUMBER, TRUE } } },
  { .kind = "train", .open = TRUE },
  { "health", { { NULL } },
      { { "uptime_ms", COUNT }, { "latency", OBJECT }, { "streams_omitted", BOOLEAN },
          { "rss_bytes", COUNT, TRUE } } },
};

static const char *const events[] = { "scene-cut", "novelty", "near-duplicate", "stream-up",
  "stream-down", "promoted", "rolled-back", "alarm",
  /* the daemon's, of a graph */
  "started", "stopped", "crashed", "backing-off", "finished", "invalid", "last-good", "reloaded",
  "reload-refused", "stream-lost", NULL };

const char *const *
seed_kind_events (void)
{
  return events;
}

const char *const *
seed_kind_names (void)
{
  static const char *names[G_N_ELEMENTS (kinds) + 1];
  static gsize once;

  if (g_once_init_enter (&once)) {
    for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
      names[i] = kinds[i].kind;
    g_once_init_leave (&once, 1);
  }
  return names;
}

guint
seed_kind_number (const char *kind)
{
  guint i = 0;

  G_STATIC_ASSERT (G_N_ELEMENTS (kinds) == SEED_N_KINDS);
  while (i < SEED_N_KINDS && strcmp (kinds[i].kind, kind) != 0)
    i++;
  return i;
}

static const Kind *
find_kind (const char *name)
{
  guint number = seed_kind_number (name);

  return number < SEED_N_KINDS ? &kinds[number] : NULL;
}

gboolean
seed_kind_is_known (const char *kind)
{
  return find_kind (kind) != NULL;
}

G_GNUC_PRINTF (4, 5)
static gboolean
fail (const SeedResult *result, int code, GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, SEED_ERROR, code, "%s/%s/%s/%s/: header key %s", result->graph,
      result->stream, result->kind, result->node, text);
  return FALSE;
}

/* Tensors */

static gboolean
fits (const SeedTensor *tensor, const Promise *promise)
{
  if (tensor->dtype != SEED_DTYPE_F32 || tensor->n_dims != promise->n_dims)
    return FALSE;
  for (guint d = 0; d < promise->n_dims; d++) {
    guint64 wanted = promise->dims[d], is = tensor->shape[d];

    if (wanted ? is != wanted : is < 1 || (d > 0 && is > MAX_DIM))
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_tensors (const Kind *kind, const SeedResult *result, GError **error)
{
  guint known = 0;

  for (guint i = 0; i < MAX_TENSORS && kind->tensors[i].name; i++) {
    const Promise *promise = &kind->tensors[i];
    const SeedTensor *tensor = seed_result_tensor (result, promise->name);

    if (!tensor && promise->optional)
      continue;
    if (!tensor || !fits (tensor, promise))
      return fail (result, SEED_ERROR_MISMATCH, error,
          "\"tensors\" must have \"%s\", float32 with %u dimension%s%s", promise->name,
          promise->n_dims, promise->n_dims == 1 ? "" : "s", promise->dims[0] ? " [256]" : "");
    known++;
  }
  if (known == result->n_tensors)
    return TRUE;
  return fail (
      result, SEED_ERROR_MISMATCH, error, "\"tensors\" has tensors that the kind does not");
}

const char *
seed_kind_tensor_name (const char *kind, guint i)
{
  const Kind *found = find_kind (kind);

  return found && i < MAX_TENSORS ? found->tensors[i].name : NULL;
}

/* Keys of data */

static gboolean
is_value (JsonNode *node, GType type)
{
  return JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type;
}

static gboolean
is_count (JsonNode *node)
{
  return is_value (node, G_TYPE_INT64) && json_node_get_int (node) >= 0;
}

static gboolean
is_number (JsonNode *node)
{
  return is_value (node, G_TYPE_INT64) || is_value (node, G_TYPE_DOUBLE);
}

static gboolean
is_event (JsonNode *node)
{
  return is_value (node, G_TYPE_STRING) && g_strv_contains (events, json_node_get_string (node));
}

static gboolean is_list (JsonNode *node, const Key *members);

static gboolean
has_type (JsonNode *node, KeyType type)
{
  static const Key label[] = { { "label", COUNT }, { "score", NUMBER, TRUE },
    { "name", TEXT, TRUE }, { NULL } };
  static const Key match[] = { { "id", TEXT }, { "score", NUMBER }, { "stream", TEXT, TRUE },
    { "frame", COUNT, TRUE }, { "pts_ns", COUNT, TRUE }, { NULL } };
  static const Key span[] = { { "start_ns", COUNT }, { "end_ns", COUNT }, { "score", NUMBER },
    { NULL } };

  switch (type) {
  case TEXT:
    return is_value (node, G_TYPE_STRING);
  case COUNT:
    return is_count (node);
  case NUMBER:
    return is_number (node);
  case BOOLEAN:
    return is_value (node, G_TYPE_BOOLEAN);
  case OBJECT:
    return JSON_NODE_HOLDS_OBJECT (node);
  case EVENT:
    return is_event (node);
  case LABELS:
    return is_list (node, label);
  case MATCHES:
    return is_list (node, match);
  case SPANS:
    return is_list (node, span);
  }
  return FALSE;
}

/* Objects that have the members; other members are let through. */
static gboolean
is_list (JsonNode *node, const Key *members)
{
  JsonArray *array = JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;

  if (!array || json_array_get_length (array) > MAX_ITEMS)
    return FALSE;
  for (guint i = 0; i < json_array_get_length (array); i++) {
    JsonNode *item = json_array_get_element (array, i);

    if (!JSON_NODE_HOLDS_OBJECT (item))
      return FALSE;
    for (const Key *key = members; key->name; key++) {
      JsonNode *value = json_object_get_member (json_node_get_object (item), key->name);

      if (value ? !has_type (value, key->type) : !key->optional)
        return FALSE;
    }
  }
  return TRUE;
}

static const char *
describe_type (KeyType type)
{
  static const char *const texts[] = { "a string", "an integer from 0", "a number", "a boolean",
    "an object", "a list of objects with label, and score and name where known",
    "a list of objects with id and score", "a list of objects with start_ns, end_ns and score",
    "the name of an event, see the schema" };

  return texts[type];
}

gboolean
seed_kind_check (const SeedResult *result, GError **error)
{
  const Kind *kind = find_kind (result->kind);

  if (!kind || kind->open)
    return TRUE;
  if (!check_tensors (kind, result, error))
    return FALSE;
  for (guint i = 0; i < MAX_KEYS && kind->keys[i].name; i++) {
    const Key *key = &kind->keys[i];
    JsonNode *node = result->data ? json_object_get_member (result->data, key->name) : NULL;

    if (node ? !has_type (node, key->type) : !key->optional)
      return fail (result, SEED_ERROR_FORMAT, error, "\"data.%s\" must be %s", key->name,
          describe_type (key->type));
  }
  return TRUE;
}

/* Heat maps: [K, G, G]. */
static gboolean
set_heatmaps_shape (JsonObject *data, gsize size, SeedTensor *tensor)
{
  gint64 grid =
      data && json_object_has_member (data, "grid") ? json_object_get_int_member (data, "grid") : 0;
  gsize cells;

  if (grid < 1 || grid > 1024)
    return FALSE;
  cells = (gsize) grid * (gsize) grid;
  tensor->n_dims = 3;
  tensor->shape[0] = size / sizeof (float) / cells;
  tensor->shape[1] = tensor->shape[2] = (guint64) grid;
  return size > 0 && size % (cells * sizeof (float)) == 0;
}

gboolean
seed_kind_make_tensor (const char *kind, guint i, JsonObject *data_object, const void *data,
    gsize size, SeedTensor *tensor)
{
  const char *name = seed_kind_tensor_name (kind, i);

  if (!name || strcmp (kind, "anchors") != 0)
    return FALSE;
  *tensor = (SeedTensor){ .name = name, .dtype = SEED_DTYPE_F32, .data = data, .size = size };
  if (i > 0)
    return set_heatmaps_shape (data_object, size, tensor);
  tensor->n_dims = 1;
  tensor->shape[0] = SEED_KIND_N_ANCHORS;
  return size == SEED_KIND_N_ANCHORS * sizeof (float);
}

/* Summaries */

static char *
summarize_anchors (const SeedResult *result)
{
  const SeedTensor *histogram = seed_result_tensor (result, "histogram");
  float values[SEED_KIND_N_ANCHORS];
  guint peak = 0, present = 0;

  memcpy (values, histogram->data, sizeof values);
  for (guint i = 0; i < SEED_KIND_N_ANCHORS; i++) {
    if (values[i] > values[peak] || isnan (values[peak]))
      peak = i;
    present += values[i] > 0;
  }
  return g_strdup_printf (
      "%u of %u anchors, most of %u (%.3g)", present, SEED_KIND_N_ANCHORS, peak, values[peak]);
}

static char *
summarize_list (const SeedResult *result, const char *list, const char *name, const char *what)
{
  JsonArray *array = json_object_get_array_member (result->data, list);
  JsonObject *first =
      json_array_get_length (array) ? json_array_get_object_element (array, 0) : NULL;
  JsonNode *named = first ? json_object_get_member (first, name) : NULL;
  JsonNode *score = first ? json_object_get_member (first, "score") : NULL;
  g_autofree char *label = NULL;

  if (!first)
    return g_strdup_printf ("no %s", what);
  if (named && is_value (named, G_TYPE_STRING))
    label = g_strdup (json_node_get_string (named));
  else
    label = g_strdup_printf ("%" G_GINT64_FORMAT, named ? json_node_get_int (named) : 0);
  if (!score)
    return g_strdup_printf ("%u %s, first %s", json_array_get_length (array), what, label);
  return g_strdup_printf ("%u %s, first %s (%.3g)", json_array_get_length (array), what, label,
      json_node_get_double (score));
}

static char *
summarize_spans (const SeedResult *result)
{
  JsonArray *array = json_object_get_array_member (result->data, "spans");
  const char *query = json_object_get_string_member (result->data, "query");
  JsonObject *first =
      json_array_get_length (array) ? json_array_get_object_element (array, 0) : NULL;

  if (!first)
    return g_strdup_printf ("\"%s\": nowhere", query);
  return g_strdup_printf ("\"%s\": %.3f s to %.3f s (%.3g)", query,
      (double) json_object_get_int_member (first, "start_ns") / 1e9,
      (double) json_object_get_int_member (first, "end_ns") / 1e9,
      json_object_get_double_member (first, "score"));
}

char *
seed_kind_summarize (const SeedResult *result)
{
  if (strcmp (result->kind, "anchors") == 0)
    return summarize_anchors (result);
  if (strcmp (result->kind, "labels") == 0) {
    JsonArray *array = json_object_get_array_member (result->data, "labels");
    gboolean named = json_array_get_length (array) > 0 &&
                     json_object_has_member (json_array_get_object_element (array, 0), "name");

    return summarize_list (result, "labels", named ? "name" : "label", "labels");
  }
  if (strcmp (result->kind, "neighbours") == 0)
    return summarize_list (result, "neighbours", "id", "neighbours");
  if (strcmp (result->kind, "grounding") == 0)
    return summarize_spans (result);
  return NULL;
}
