/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "graph/props.h"
#include "publish/json-tree.h"
#include "seed-run-json.h"
#include <seed/error.h>

#include "seed-run-streams.h"
#include "seed-run.h"

/* One property of one node to be changed while it plays. */
typedef struct {
  const char *node;
  GParamSpec *pspec;
  GValue value;
} Change;

static void
change_clear (gpointer data)
{
  g_value_unset (&((Change *) data)->value);
}

const SeedPipelineStage *
seed_run_find_stage (const SeedRun *run, const char *name, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *quoted = seed_quote (name), *hint = NULL;

  for (guint i = 0; i < run->pipeline->stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (run->pipeline->stages, SeedPipelineStage, i);

    if (strcmp (GST_OBJECT_NAME (stage->element), name) == 0)
      return stage;
    g_ptr_array_add (names, GST_OBJECT_NAME (stage->element));
  }
  g_ptr_array_add (names, NULL);
  hint = seed_did_you_mean (name, (const char *const *) names->pdata);
  g_set_error (
      error, SEED_RPC_ERROR, SEED_RPC_ERROR_NO_GRAPH, "there is no node %s%s", quoted, hint);
  return NULL;
}

static GParamSpec *
find_property (const SeedPipelineStage *stage, const char *key, GError **error)
{
  GObjectClass *klass = G_OBJECT_GET_CLASS (stage->element);
  GParamSpec *pspec = seed_props_find (klass, key);
  g_autofree const char **names = NULL;
  g_autofree char *quoted = NULL, *hint = NULL;

  if (pspec)
    return pspec;
  names = seed_props_names (klass);
  quoted = seed_quote (key);
  hint = seed_did_you_mean (key, names);
  g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS, "node '%s' has no property %s%s",
      stage->node->name, quoted, hint);
  return NULL;
}

/* ---- get ---- */

static void
add_property (JsonBuilder *json, GstElement *element, GParamSpec *pspec)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, pspec->value_type);
  g_object_get_property (G_OBJECT (element), pspec->name, &value);
  json_builder_set_member_name (json, pspec->name);
  seed_run_json_add_value (json, &value);
  g_value_unset (&value);
}

static JsonNode *
get (SeedRun *run, JsonObject *params, GError **error)
{
  static const char *const known[] = { "node", "key", NULL };
  const char *name, *key;
  const SeedPipelineStage *stage;
  g_autoptr (JsonBuilder) json = NULL;
  g_autofree const char **names = NULL;

  if (!seed_rpc_check_params (params, known, error) ||
      !(name = seed_rpc_get_text (params, "node", TRUE, error)) ||
      !(stage = seed_run_find_stage (run, name, error)))
    return NULL;
  key = seed_rpc_get_text (params, "key", FALSE, error);
  if (*error || (key && !find_property (stage, key, error)))
    return NULL;
  names = seed_props_names (G_OBJECT_GET_CLASS (stage->element));
  json = json_builder_new ();
  json_builder_begin_object (json);
  for (guint i = 0; names[i]; i++) {
    GParamSpec *pspec = seed_props_find (G_OBJECT_GET_CLASS (stage->element), names[i]);

    if ((pspec->flags & G_PARAM_READABLE) && (!key || strcmp (key, names[i]) == 0))
      add_property (json, stage->element, pspec);
  }
  json_builder_end_object (json);
  return json_builder_get_root (json);
}

/* ---- set ---- */

/* JSON is YAML: the graph format's own rules say what a value means. */
static gboolean
convert (const SeedPipelineStage *stage, JsonNode *json, Change *change, GError **error)
{
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new ("value");
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (SeedYaml) yaml = NULL;
  g_autofree char *expected = NULL;

  seed_json_tree_append (text, json);
  yaml = seed_yaml_parse (text->str, text->len, diagnostics);
  if (yaml && seed_props_convert (yaml, change->pspec, &change->value))
    return TRUE;
  expected = seed_props_expectation (change->pspec);
  g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS, "'%s' of node '%s': expected %s",
      change->pspec->name, stage->node->name, expected);
  return FALSE;
}

static gboolean
read_change (SeedRun *run, JsonNode *node, Change *change, GError **error)
{
  JsonObject *object = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  const SeedPipelineStage *stage;
  const char *name = seed_rpc_get_text (object, "node", TRUE, error), *key;
  JsonNode *value = object ? json_object_get_member (object, "value") : NULL;

  if (!name || !(key = seed_rpc_get_text (object, "key", TRUE, error)) ||
      !(stage = seed_run_find_stage (run, name, error)) ||
      !(change->pspec = find_property (stage, key, error)))
    return FALSE;
  if (!value) {
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS, "parameter 'value' is missing");
    return FALSE;
  }
  if (!(change->pspec->flags & GST_PARAM_MUTABLE_PLAYING)) {
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED,
        "'%s' of node '%s' cannot be changed while the graph plays; change the file and reload",
        key, name);
    return FALSE;
  }
  change->node = stage->node->name;
  return convert (stage, value, change, error);
}

/* Every instance of a node that was split has it. */
static void
apply (SeedRun *run, const Change *change)
{
  for (guint i = 0; i < run->pipeline->stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (run->pipeline->stages, SeedPipelineStage, i);

    if (strcmp (stage->node->name, change->node) == 0)
      g_object_set_property (G_OBJECT (stage->element), change->pspec->name, &change->value);
  }
}

/* All of the settings or none. */
static JsonNode *
set (SeedRun *run, JsonObject *params, GError **error)
{
  static const char *const known[] = { "settings", NULL };
  JsonNode *settings = params ? json_object_get_member (params, "settings") : NULL;
  g_autoptr (GArray) changes = g_array_new (FALSE, TRUE, sizeof (Change));
  JsonArray *array;

  g_array_set_clear_func (changes, change_clear);
  if (!seed_rpc_check_params (params, known, error))
    return NULL;
  if (!settings || !JSON_NODE_HOLDS_ARRAY (settings)) {
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS, "settings: expected a list");
    return NULL;
  }
  array = json_node_get_array (settings);
  for (guint i = 0; i < json_array_get_length (array); i++) {
    Change change = { 0 };

    if (!read_change (run, json_array_get_element (array, i), &change, error))
      return NULL;
    g_array_append_val (changes, change);
  }
  for (guint i = 0; i < changes->len; i++)
    apply (run, &g_array_index (changes, Change, i));
  return json_node_init_int (json_node_alloc (), changes->len);
}

/* ---- dot, stats ---- */

static JsonNode *
dot (SeedRun *run, JsonObject *params, GError **error)
{
  g_autofree char *text = seed_run_to_dot (run);

  return json_node_init_string (json_node_alloc (), text);
}

static JsonNode *
stats (SeedRun *run, JsonObject *params, GError **error)
{
  return seed_run_stats_to_json (run);
}

void
seed_run_answer (SeedRun *run, SeedRunRequest *request)
{
  static const struct {
    const char *name;
    JsonNode *(*run) (SeedRun *run, JsonObject *params, GError **error);
    void (*take) (SeedRun *run, SeedRunRequest *request); /* instead: it answers later */
  } methods[] = { { "stats", stats, NULL }, { "get", get, NULL }, { "set", set, NULL },
    { "dot", dot, NULL }, { "snapshot", NULL, seed_run_snapshot },
    { "promote", NULL, seed_run_change_weights }, { "rollback", NULL, seed_run_change_weights },
    { "stream-add", seed_run_stream_add, NULL }, { "stream-remove", seed_run_stream_remove, NULL },
    { "stream-list", seed_run_stream_list, NULL } };
  g_autoptr (GError) error = NULL;
  JsonNode *result = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (methods); i++) {
    if (strcmp (request->message.method, methods[i].name) == 0)
      break;
  }
  if (i < G_N_ELEMENTS (methods) && methods[i].take) {
    methods[i].take (run, request);
    return;
  }
  if (i < G_N_ELEMENTS (methods))
    result = methods[i].run (run, request->message.params, &error);
  else
    g_set_error (&error, SEED_RPC_ERROR, SEED_RPC_ERROR_METHOD, "no such method");
  if (result)
    seed_run_request_reply (request, result);
  else
    seed_run_request_fail (request, error);
}
