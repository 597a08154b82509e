/* SPDX-License-Identifier: MIT */
#include "seed-run-streams.h"

#include <string.h>

#include "graph/diagnostics.h"
#include "seed-run-json.h"

static gboolean
has_action (GstElement *element, const char *signal, GType result, guint n_params)
{
  guint id = g_signal_lookup (signal, G_OBJECT_TYPE (element));
  GSignalQuery query;

  if (id == 0)
    return FALSE;
  g_signal_query (id, &query);
  return (query.signal_flags & G_SIGNAL_ACTION) && query.return_type == result &&
         query.n_params == n_params;
}

const GstStructure *
seed_run_stats_streams (const GstStructure *stats)
{
  const GValue *value = stats ? gst_structure_get_value (stats, "streams") : NULL;

  return value && GST_VALUE_HOLDS_STRUCTURE (value) ? gst_value_get_structure (value) : NULL;
}

static gboolean
has_stream (GstElement *element, const char *stream)
{
  g_autoptr (GstStructure) stats = seed_run_element_stats (element);
  const GstStructure *streams = seed_run_stats_streams (stats);

  return streams && gst_structure_has_field (streams, stream);
}

/* Nodes whose streams can change: with that name (or NULL), with that stream (or NULL). */
static GPtrArray *
find_nodes (const SeedRun *run, const char *node, const char *stream)
{
  GPtrArray *found = g_ptr_array_new ();

  for (guint i = 0; i < run->pipeline->stages->len; i++) {
    GstElement *element = g_array_index (run->pipeline->stages, SeedPipelineStage, i).element;

    if (has_action (element, "add-stream", G_TYPE_ERROR, 3) &&
        has_action (element, "remove-stream", G_TYPE_ERROR, 1) &&
        (!node || strcmp (node, GST_OBJECT_NAME (element)) == 0) &&
        (!stream || has_stream (element, stream)))
      g_ptr_array_add (found, element);
  }
  return found;
}

static GstElement *
find_node (const SeedRun *run, const char *node, const char *stream, GError **error)
{
  g_autoptr (GPtrArray) found = find_nodes (run, node, stream);
  g_autoptr (GString) names = g_string_new (NULL);
  g_autofree char *quoted = node ? seed_quote (node) : NULL;

  if (found->len == 0 && stream) /* the element says best that there is no such stream */
    return find_node (run, node, NULL, error);
  if (found->len == 1)
    return g_ptr_array_index (found, 0);
  for (guint i = 0; i < found->len; i++)
    g_string_append_printf (
        names, "%s'%s'", i ? ", " : "", GST_OBJECT_NAME (g_ptr_array_index (found, i)));
  if (found->len > 1)
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS,
        "several nodes have streams that can change (%s); say which one", names->str);
  else if (node)
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_NO_GRAPH,
        "there is no node %s whose streams can change", quoted);
  else
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED,
        "the graph has no node whose streams can change (stage: decode)");
  return NULL;
}

/* ---- add and remove ---- */

/* What a command line cannot say, a value's type, follows from its text, as in YAML. */
static void
set_option (GstStructure *options, const char *name, const char *text)
{
  gint64 integer;
  char *end;
  double real = g_ascii_strtod (text, &end);

  if (strcmp (text, "true") == 0 || strcmp (text, "false") == 0)
    gst_structure_set (options, name, G_TYPE_BOOLEAN, strcmp (text, "true") == 0, NULL);
  else if (g_ascii_string_to_signed (text, 10, G_MININT, G_MAXINT, &integer, NULL))
    gst_structure_set (options, name, G_TYPE_INT, (int) integer, NULL);
  else if (*text && *end == 0)
    gst_structure_set (options, name, G_TYPE_DOUBLE, real, NULL);
  else
    gst_structure_set (options, name, G_TYPE_STRING, text, NULL);
}

/* The element is the judge of their names and values. */
static GstStructure *
read_options (JsonNode *node, GError **error)
{
  g_autoptr (GstStructure) options = gst_structure_new_empty ("stream");
  JsonObjectIter iter;
  const char *name;
  JsonNode *value;

  if (node && !JSON_NODE_HOLDS_OBJECT (node)) {
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS, "options: expected an object");
    return NULL;
  }
  if (node)
    json_object_iter_init (&iter, json_node_get_object (node));
  while (node && json_object_iter_next (&iter, &name, &value)) {
    g_autofree char *quoted = seed_quote (name);

    if (!JSON_NODE_HOLDS_VALUE (value) || strcmp (name, "id") == 0 || strcmp (name, "uri") == 0 ||
        !g_ascii_isalpha (*name) ||
        strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789-") < strlen (name)) {
      g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS,
          "options: %s is no key of a stream with a single value", quoted);
      return NULL;
    }
    if (json_node_get_value_type (value) == G_TYPE_STRING) {
      set_option (options, name, json_node_get_string (value));
    } else {
      g_autofree char *text = json_to_string (value, FALSE);

      set_option (options, name, text);
    }
  }
  return g_steal_pointer (&options);
}

static JsonNode *
describe (GstElement *element, const char *stream)
{
  g_autoptr (JsonObject) object = json_object_new ();

  json_object_set_string_member (object, "node", GST_OBJECT_NAME (element));
  json_object_set_string_member (object, "stream", stream);
  return json_node_init_object (json_node_alloc (), object);
}

JsonNode *
seed_run_stream_add (SeedRun *run, JsonObject *params, GError **error)
{
  static const char *const known[] = { "node", "stream", "uri", "options", NULL };
  const char *node = seed_rpc_get_text (params, "node", FALSE, error), *stream, *uri;
  g_autoptr (GstStructure) options = NULL;
  g_autoptr (GError) refusal = NULL;
  GstElement *element;

  if (*error || !seed_rpc_check_params (params, known, error) ||
      !(stream = seed_rpc_get_text (params, "stream", TRUE, error)) ||
      !(uri = seed_rpc_get_text (params, "uri", TRUE, error)) ||
      !(options = read_options (json_object_get_member (params, "options"), error)) ||
      !(element = find_node (run, node, NULL, error)))
    return NULL;
  g_signal_emit_by_name (element, "add-stream", stream, uri, options, &refusal);
  if (!refusal)
    return describe (element, stream);
  g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED, "node '%s': %s",
      GST_OBJECT_NAME (element), refusal->message);
  return NULL;
}

JsonNode *
seed_run_stream_remove (SeedRun *run, JsonObject *params, GError **error)
{
  static const char *const known[] = { "node", "stream", NULL };
  const char *node = seed_rpc_get_text (params, "node", FALSE, error), *stream;
  g_autoptr (GError) refusal = NULL;
  GstElement *element;

  if (*error || !seed_rpc_check_params (params, known, error) ||
      !(stream = seed_rpc_get_text (params, "stream", TRUE, error)) ||
      !(element = find_node (run, node, stream, error)))
    return NULL;
  g_signal_emit_by_name (element, "remove-stream", stream, &refusal);
  if (!refusal)
    return describe (element, stream);
  g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_NO_GRAPH, "node '%s': %s",
      GST_OBJECT_NAME (element), refusal->message);
  return NULL;
}

/* ---- list ---- */

typedef struct {
  JsonBuilder *json;
  const char *node;
} Lister;

static gboolean
add_field (GQuark field, const GValue *value, gpointer data)
{
  JsonBuilder *json = data;

  json_builder_set_member_name (json, g_quark_to_string (field));
  seed_run_json_add_value (json, value);
  return TRUE;
}

static gboolean
list_stream (GQuark stream, const GValue *value, gpointer data)
{
  const Lister *lister = data;

  if (!GST_VALUE_HOLDS_STRUCTURE (value))
    return TRUE;
  json_builder_begin_object (lister->json);
  json_builder_set_member_name (lister->json, "node");
  json_builder_add_string_value (lister->json, lister->node);
  json_builder_set_member_name (lister->json, "stream");
  json_builder_add_string_value (lister->json, g_quark_to_string (stream));
  gst_structure_foreach (gst_value_get_structure (value), add_field, lister->json);
  json_builder_end_object (lister->json);
  return TRUE;
}

JsonNode *
seed_run_stream_list (SeedRun *run, JsonObject *params, GError **error)
{
  static const char *const known[] = { "node", NULL };
  const char *node = seed_rpc_get_text (params, "node", FALSE, error);
  g_autoptr (JsonBuilder) json = NULL;
  g_autoptr (GPtrArray) found = NULL;

  if (*error || !seed_rpc_check_params (params, known, error) ||
      (node && !find_node (run, node, NULL, error)))
    return NULL;
  found = find_nodes (run, node, NULL);
  json = json_builder_new ();
  json_builder_begin_array (json);
  for (guint i = 0; i < found->len; i++) {
    GstElement *element = g_ptr_array_index (found, i);
    g_autoptr (GstStructure) stats = seed_run_element_stats (element);
    const GstStructure *streams = seed_run_stats_streams (stats);
    Lister lister = { json, GST_OBJECT_NAME (element) };

    if (streams)
      gst_structure_foreach (streams, list_stream, &lister);
  }
  json_builder_end_array (json);
  return json_builder_get_root (json);
}

GstSample *
seed_run_stream_sample (const SeedRun *run, const char *stream)
{
  GstSample *sample = NULL;

  for (guint i = 0; i < run->pipeline->stages->len && !sample; i++) {
    GstElement *element = g_array_index (run->pipeline->stages, SeedPipelineStage, i).element;

    if (has_action (element, "snapshot", GST_TYPE_SAMPLE, 1))
      g_signal_emit_by_name (element, "snapshot", stream, &sample);
  }
  return sample;
}
