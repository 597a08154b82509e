/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "decode/streams.h"
#include "decode/uri.h"
#include "graph/graph.h"
#include "graph/params.h"

#define FORMAT_VERSION "1"

static const char *const section_keys[] = { "version", "graph", "description", "parameters",
  "streams", "nodes", NULL };
static const char *const stream_keys[] = { "uri", "max-fps", "loop", "passes", "live", "reconnect",
  "retry-min-ms", "retry-max-ms", "stall-ms", "connect-ms", NULL };
static const char *const queue_keys[] = { "frames", "leak", NULL };
static const char *const element_keys[] = { "element", "from", "queue", "properties", NULL };
static const char *const leak_names[] = { [SEED_LEAK_UNSET] = "",
  [SEED_LEAK_NONE] = "none",
  [SEED_LEAK_OLD] = "old",
  [SEED_LEAK_NEW] = "new" };

typedef struct {
  SeedGraph *graph;
  SeedDiagnostics *diagnostics;
} Parser;

const char *
seed_leak_name (SeedLeak leak)
{
  return leak_names[leak];
}

static void
node_free (gpointer data)
{
  SeedGraphNode *node = data;

  g_array_unref (node->inputs);
  g_array_unref (node->settings);
  g_ptr_array_unref (node->streams);
  g_free (node);
}

static void
stream_free (gpointer data)
{
  SeedGraphStream *stream = data;

  g_free (stream->uri);
  g_free (stream);
}

void
seed_graph_free (SeedGraph *graph)
{
  if (!graph)
    return;
  g_ptr_array_unref (graph->nodes);
  g_ptr_array_unref (graph->streams);
  seed_yaml_free (graph->root);
  g_free (graph->folder);
  g_free (graph);
}

SeedGraphNode *
seed_graph_find_node (const SeedGraph *graph, const char *name)
{
  for (guint i = 0; i < graph->nodes->len; i++) {
    SeedGraphNode *node = g_ptr_array_index (graph->nodes, i);

    if (strcmp (node->name, name) == 0)
      return node;
  }
  return NULL;
}

const SeedGraphSetting *
seed_graph_node_setting (const SeedGraphNode *node, const char *key)
{
  for (guint i = 0; i < node->settings->len; i++) {
    const SeedGraphSetting *setting = &g_array_index (node->settings, SeedGraphSetting, i);

    if (strcmp (setting->key->text, key) == 0)
      return setting;
  }
  return NULL;
}

static void
report_expected (Parser *parser, const SeedYaml *found, const char *what, const char *expected)
{
  g_autofree char *quoted = seed_quote (what), *description = seed_yaml_describe (found);

  if (found->broken)
    return;
  seed_diagnostics_add (
      parser->diagnostics, found->mark, "%s: expected %s, found %s", quoted, expected, description);
}

static gboolean
expect_kind (Parser *parser, const SeedYaml *yaml, SeedYamlKind kind, const char *what)
{
  static const char *const kinds[] = { "a single value", "a list", "a mapping" };

  if (yaml->kind == kind && !seed_yaml_is_null (yaml) && !yaml->broken)
    return TRUE;
  report_expected (parser, yaml, what, kinds[kind]);
  return FALSE;
}

static void
report_unknown_key (
    Parser *parser, const SeedYaml *key, const char *where, const char *const *names)
{
  g_autofree char *quoted = seed_quote (key->text), *hint = seed_did_you_mean (key->text, names);

  seed_diagnostics_add (
      parser->diagnostics, key->mark, "%s: unknown key %s%s", where, quoted, hint);
}

static void
refuse_unknown_keys (
    Parser *parser, const SeedYaml *map, const char *where, const char *const *names)
{
  for (guint i = 0; i < seed_yaml_length (map); i++) {
    if (!g_strv_contains (names, seed_yaml_key (map, i)->text))
      report_unknown_key (parser, seed_yaml_key (map, i), where, names);
  }
}

static gboolean
parse_bool (Parser *parser, const SeedYaml *yaml, const char *what, gboolean *value)
{
  if (yaml->kind == SEED_YAML_SCALAR &&
      (strcmp (yaml->text, "true") == 0 || strcmp (yaml->text, "false") == 0)) {
    *value = strcmp (yaml->text, "true") == 0;
    return TRUE;
  }
  report_expected (parser, yaml, what, "true or false");
  return FALSE;
}

static gboolean
check_name (Parser *parser, const SeedYaml *name, const char *what)
{
  g_autofree char *quoted = NULL;

  if (seed_name_is_good (name->text))
    return TRUE;
  quoted = seed_quote (name->text);
  seed_diagnostics_add (
      parser->diagnostics, name->mark, "%s name %s: " SEED_NAME_RULE, what, quoted);
  return FALSE;
}

/* ---- version, graph, description ---- */

static void
report_missing (Parser *parser, const char *key, const char *example)
{
  seed_diagnostics_add (parser->diagnostics, parser->graph->root->mark,
      "'%s' is missing; expected '%s'", key, example);
}

static void
parse_heading (Parser *parser, const SeedYaml *root)
{
  SeedGraph *graph = parser->graph;
  const SeedYaml *version = seed_yaml_lookup (root, "version", NULL);
  const SeedYaml *name = seed_yaml_lookup (root, "graph", NULL);
  const SeedYaml *description = seed_yaml_lookup (root, "description", NULL);

  if (!version)
    report_missing (parser, "version", "version: " FORMAT_VERSION);
  else if (version->kind != SEED_YAML_SCALAR || strcmp (version->text, FORMAT_VERSION) != 0)
    report_expected (parser, version, "version", FORMAT_VERSION);
  if (!name)
    report_missing (parser, "graph", "graph: NAME");
  else if (expect_kind (parser, name, SEED_YAML_SCALAR, "graph") &&
           check_name (parser, name, "graph"))
    graph->name = name->text;
  if (description && expect_kind (parser, description, SEED_YAML_SCALAR, "description"))
    graph->description = description->text;
}

/* ---- streams ---- */

static void
parse_stream_uri (Parser *parser, SeedGraphStream *stream, const SeedYaml *yaml)
{
  g_autoptr (GError) error = NULL;

  if (!expect_kind (parser, yaml, SEED_YAML_SCALAR, "uri"))
    return;
  stream->uri = seed_uri_resolve (yaml->text, parser->graph->folder, &error);
  if (!stream->uri)
    seed_diagnostics_add (parser->diagnostics, yaml->mark, "uri: %s", error->message);
}

static void
parse_stream_fps (Parser *parser, SeedGraphStream *stream, const SeedYaml *yaml)
{
  char *end = NULL;
  double fps = yaml->kind == SEED_YAML_SCALAR ? g_ascii_strtod (yaml->text, &end) : -1;

  if (end && end != yaml->text && !*end && isfinite (fps) && fps >= 0 && fps <= 1000)
    stream->max_fps = fps;
  else
    report_expected (parser, yaml, "max-fps", "a number of frames a second from 0 (all) to 1000");
}

static void
parse_stream_passes (Parser *parser, SeedGraphStream *stream, const SeedYaml *yaml)
{
  guint64 passes;

  if (yaml->kind == SEED_YAML_SCALAR &&
      g_ascii_string_to_unsigned (yaml->text, 10, 1, SEED_STREAMS_MAX_PASSES, &passes, NULL))
    stream->passes = (guint) passes;
  else
    report_expected (parser, yaml, "passes", "a number from 1 to 1000000");
}

/* -1 when it is not there, or wrong. */
static gint64
parse_stream_ms (Parser *parser, const SeedYaml *value, const char *key, guint64 least)
{
  const SeedYaml *yaml = seed_yaml_lookup (value, key, NULL);
  g_autofree char *expected = NULL;
  guint64 ms;

  if (!yaml)
    return -1;
  if (yaml->kind == SEED_YAML_SCALAR &&
      g_ascii_string_to_unsigned (yaml->text, 10, least, SEED_STREAMS_MAX_MS, &ms, NULL))
    return (gint64) ms;
  expected =
      g_strdup_printf ("milliseconds from %" G_GUINT64_FORMAT " to %d", least, SEED_STREAMS_MAX_MS);
  report_expected (parser, yaml, key, expected);
  return -1;
}

/* What is done when the stream fails; docs/streams.md. */
static void
parse_stream_faults (Parser *parser, SeedGraphStream *stream, const SeedYaml *value)
{
  const SeedYaml *reconnect = seed_yaml_lookup (value, "reconnect", NULL);
  const SeedYaml *least = seed_yaml_lookup (value, "retry-min-ms", NULL);
  gboolean yes;

  stream->reconnect = -1;
  if (reconnect && parse_bool (parser, reconnect, "reconnect", &yes))
    stream->reconnect = yes;
  stream->retry_min_ms =
      parse_stream_ms (parser, value, "retry-min-ms", SEED_STREAMS_LEAST_RETRY_MS);
  stream->retry_max_ms =
      parse_stream_ms (parser, value, "retry-max-ms", SEED_STREAMS_LEAST_RETRY_MS);
  stream->stall_ms = parse_stream_ms (parser, value, "stall-ms", 0);
  stream->connect_ms = parse_stream_ms (parser, value, "connect-ms", 0);
  if (stream->retry_min_ms >= 0 && stream->retry_max_ms >= 0 &&
      stream->retry_min_ms > stream->retry_max_ms)
    seed_diagnostics_add (parser->diagnostics, least->mark,
        "'retry-min-ms': expected no more than retry-max-ms (%d), found '%s'",
        (int) stream->retry_max_ms, least->text);
}

static void
parse_stream (Parser *parser, const SeedYaml *key, const SeedYaml *value)
{
  SeedGraphStream *stream;
  const SeedYaml *uri, *fps, *loop, *passes, *live;
  g_autofree char *where = NULL;

  check_name (parser, key, "stream");
  stream = g_new0 (SeedGraphStream, 1);
  stream->id = key->text;
  stream->mark = key->mark;
  stream->max_fps = -1;
  stream->passes = 1;
  g_ptr_array_add (parser->graph->streams, stream);
  if (!expect_kind (parser, value, SEED_YAML_MAPPING, key->text))
    return;
  where = seed_quote (key->text);
  refuse_unknown_keys (parser, value, where, stream_keys);
  uri = seed_yaml_lookup (value, "uri", NULL);
  fps = seed_yaml_lookup (value, "max-fps", NULL);
  loop = seed_yaml_lookup (value, "loop", NULL);
  passes = seed_yaml_lookup (value, "passes", NULL);
  live = seed_yaml_lookup (value, "live", NULL);
  if (uri)
    parse_stream_uri (parser, stream, uri);
  else
    seed_diagnostics_add (parser->diagnostics, key->mark, "%s: 'uri' is missing", where);
  if (fps)
    parse_stream_fps (parser, stream, fps);
  if (loop)
    parse_bool (parser, loop, "loop", &stream->loop);
  if (passes)
    parse_stream_passes (parser, stream, passes);
  if (!live || !parse_bool (parser, live, "live", &stream->live))
    stream->live = stream->uri && seed_uri_is_live (stream->uri);
  parse_stream_faults (parser, stream, value);
}

static void
parse_streams (Parser *parser, const SeedYaml *section)
{
  if (!expect_kind (parser, section, SEED_YAML_MAPPING, "streams"))
    return;
  if (seed_yaml_length (section) > SEED_GRAPH_MAX_STREAMS) {
    seed_diagnostics_add (parser->diagnostics, section->mark,
        "%u streams; one graph takes at most %d", seed_yaml_length (section),
        SEED_GRAPH_MAX_STREAMS);
    return;
  }
  for (guint i = 0; i < seed_yaml_length (section); i++)
    parse_stream (parser, seed_yaml_key (section, i), seed_yaml_value (section, i));
}

/* ---- nodes ---- */

static void
add_stream (Parser *parser, SeedGraphNode *node, const SeedYaml *name)
{
  const GPtrArray *streams = parser->graph->streams;
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *quoted = NULL, *hint = NULL;

  if (!expect_kind (parser, name, SEED_YAML_SCALAR, "streams"))
    return;
  quoted = seed_quote (name->text);
  for (guint i = 0; i < streams->len; i++) {
    SeedGraphStream *stream = g_ptr_array_index (streams, i);

    g_ptr_array_add (names, (gpointer) stream->id);
    if (strcmp (stream->id, name->text) != 0)
      continue;
    if (!g_ptr_array_find (node->streams, stream, NULL))
      g_ptr_array_add (node->streams, stream);
    else
      seed_diagnostics_add (parser->diagnostics, name->mark, "stream %s is listed twice", quoted);
    return;
  }
  g_ptr_array_add (names, NULL);
  hint = seed_did_you_mean (name->text, (const char *const *) names->pdata);
  seed_diagnostics_add (
      parser->diagnostics, name->mark, "stream %s is not in 'streams'%s", quoted, hint);
}

static void
parse_node_streams (Parser *parser, SeedGraphNode *node, const SeedYaml *yaml)
{
  const GPtrArray *streams = parser->graph->streams;

  if (yaml->kind == SEED_YAML_SCALAR && strcmp (yaml->text, "all") == 0) {
    if (streams->len == 0)
      seed_diagnostics_add (parser->diagnostics, yaml->mark,
          "streams: all, but the file has no streams; add a 'streams' section");
    for (guint i = 0; i < streams->len; i++)
      g_ptr_array_add (node->streams, g_ptr_array_index (streams, i));
  } else if (yaml->kind == SEED_YAML_SCALAR && !seed_yaml_is_null (yaml)) {
    add_stream (parser, node, yaml);
  } else if (yaml->kind == SEED_YAML_SEQUENCE && seed_yaml_length (yaml) > 0) {
    for (guint i = 0; i < seed_yaml_length (yaml); i++)
      add_stream (parser, node, seed_yaml_item (yaml, i));
  } else {
    report_expected (parser, yaml, "streams", "a list of streams or 'all'");
  }
}

static const char key_from[] = "from", key_target[] = "target", key_teachers[] = "teachers";

static void
add_input (
    Parser *parser, SeedGraphNode *node, const SeedYaml *name, const char *key, const char *pad)
{
  SeedGraphInput input = { .from = name->text, .mark = name->mark, .key = key, .pad = pad };

  if (!expect_kind (parser, name, SEED_YAML_SCALAR, key))
    return;
  for (guint i = 0; i < node->inputs->len; i++) {
    const SeedGraphInput *other = &g_array_index (node->inputs, SeedGraphInput, i);

    if (other->key == key && strcmp (other->from, name->text) == 0) {
      g_autofree char *quoted = seed_quote (name->text);

      seed_diagnostics_add (parser->diagnostics, name->mark, "node %s is listed twice", quoted);
      return;
    }
  }
  if (parser->graph->n_links++ < SEED_GRAPH_MAX_LINKS)
    g_array_append_val (node->inputs, input);
  else if (parser->graph->n_links == SEED_GRAPH_MAX_LINKS + 1)
    seed_diagnostics_add (parser->diagnostics, name->mark,
        "more than %d links; split the graph with publish and subscribe", SEED_GRAPH_MAX_LINKS);
}

/* One node, or a list of them. */
static void
parse_inputs (
    Parser *parser, SeedGraphNode *node, const SeedYaml *yaml, const char *key, const char *pad)
{
  if (yaml->kind == SEED_YAML_SCALAR) {
    add_input (parser, node, yaml, key, pad);
  } else if (yaml->kind == SEED_YAML_SEQUENCE && seed_yaml_length (yaml) > 0) {
    for (guint i = 0; i < seed_yaml_length (yaml); i++)
      add_input (parser, node, seed_yaml_item (yaml, i), key, pad);
  } else {
    report_expected (parser, yaml, key, "a node or a list of nodes");
  }
}

static SeedLeak
parse_leak (Parser *parser, const SeedYaml *yaml)
{
  for (guint i = SEED_LEAK_NONE; i < G_N_ELEMENTS (leak_names); i++) {
    if (yaml->kind == SEED_YAML_SCALAR && strcmp (yaml->text, leak_names[i]) == 0)
      return (SeedLeak) i;
  }
  report_expected (parser, yaml, "leak", "one of none, old, new");
  return SEED_LEAK_UNSET;
}

static void
parse_queue (Parser *parser, SeedGraphNode *node, const SeedYaml *yaml)
{
  const SeedYaml *frames, *leak;
  guint64 n;

  if (!expect_kind (parser, yaml, SEED_YAML_MAPPING, "queue"))
    return;
  refuse_unknown_keys (parser, yaml, "'queue'", queue_keys);
  frames = seed_yaml_lookup (yaml, "frames", NULL);
  leak = seed_yaml_lookup (yaml, "leak", NULL);
  if (frames && frames->kind == SEED_YAML_SCALAR &&
      g_ascii_string_to_unsigned (frames->text, 10, 1, SEED_GRAPH_MAX_QUEUE, &n, NULL))
    node->queue.frames = (guint) n;
  else if (frames)
    report_expected (
        parser, frames, "frames", "an integer from 1 to " G_STRINGIFY (SEED_GRAPH_MAX_QUEUE));
  if (leak)
    node->queue.leak = parse_leak (parser, leak);
}

static void
parse_properties (Parser *parser, SeedGraphNode *node, const SeedYaml *yaml)
{
  if (!expect_kind (parser, yaml, SEED_YAML_MAPPING, "properties"))
    return;
  for (guint i = 0; i < seed_yaml_length (yaml); i++) {
    SeedGraphSetting setting = { seed_yaml_key (yaml, i), seed_yaml_value (yaml, i) };

    g_array_append_val (node->settings, setting);
  }
}

/* Which element the node is. Leaves node->factory NULL when that cannot be said. */
static void
parse_kind (Parser *parser, SeedGraphNode *node, const SeedYaml *body)
{
  const SeedYaml *stage = seed_yaml_lookup (body, "stage", NULL);
  const SeedYaml *element = seed_yaml_lookup (body, "element", NULL);
  const SeedYaml *which = stage ? stage : element;

  if (!which || (stage && element)) {
    seed_diagnostics_add (parser->diagnostics, node->mark, "node '%s' needs %s", node->name,
        which ? "either 'stage' or 'element', not both" : "a 'stage' or an 'element'");
    return;
  }
  if (!expect_kind (parser, which, SEED_YAML_SCALAR, stage ? "stage" : "element"))
    return;
  node->factory_mark = which->mark;
  if (element) {
    node->factory = element->text;
    return;
  }
  node->stage = seed_stage_find (stage->text);
  if (node->stage) {
    node->factory = node->stage->factory;
  } else {
    g_autofree char *quoted = seed_quote (stage->text);
    g_autofree char *hint = seed_did_you_mean (stage->text, seed_stage_names ());

    seed_diagnostics_add (parser->diagnostics, stage->mark, "unknown stage %s%s", quoted, hint);
  }
}

static void
parse_node_key (Parser *parser, SeedGraphNode *node, const SeedYaml *key, const SeedYaml *value)
{
  const char *name = key->text;
  SeedGraphSetting setting = { key, value };

  if (strcmp (name, "stage") == 0 || strcmp (name, "element") == 0)
    return;
  if (strcmp (name, "from") == 0)
    parse_inputs (parser, node, value, key_from, NULL);
  else if (strcmp (name, "queue") == 0)
    parse_queue (parser, node, value);
  else if (node->stage && node->stage->streams && strcmp (name, "streams") == 0)
    parse_node_streams (parser, node, value);
  else if (node->stage && node->stage->target && strcmp (name, "target") == 0)
    add_input (parser, node, value, key_target, SEED_PAD_TARGET);
  else if (node->stage && node->stage->teachers && strcmp (name, "teachers") == 0)
    parse_inputs (parser, node, value, key_teachers, SEED_PAD_TEACHER);
  else if (node->stage)
    g_array_append_val (node->settings, setting);
  else if (node->factory && strcmp (name, "properties") == 0)
    parse_properties (parser, node, value);
  else if (node->factory)
    report_unknown_key (parser, key, "an 'element' node", element_keys);
}

static void
parse_node (Parser *parser, const SeedYaml *key, const SeedYaml *body)
{
  SeedGraphNode *node = g_new0 (SeedGraphNode, 1);

  node->index = parser->graph->nodes->len;
  node->name = key->text;
  node->mark = node->factory_mark = key->mark;
  node->inputs = g_array_new (FALSE, TRUE, sizeof (SeedGraphInput));
  node->settings = g_array_new (FALSE, TRUE, sizeof (SeedGraphSetting));
  node->streams = g_ptr_array_new ();
  g_ptr_array_add (parser->graph->nodes, node);
  check_name (parser, key, "node");
  if (!expect_kind (parser, body, SEED_YAML_MAPPING, key->text))
    return;
  parse_kind (parser, node, body);
  for (guint i = 0; i < seed_yaml_length (body); i++)
    parse_node_key (parser, node, seed_yaml_key (body, i), seed_yaml_value (body, i));
  if (node->stage && node->stage->required && !seed_yaml_lookup (body, node->stage->required, NULL))
    seed_diagnostics_add (parser->diagnostics, node->mark, "node '%s': stage '%s' needs '%s'",
        node->name, node->stage->name, node->stage->required);
}

static void
parse_nodes (Parser *parser, const SeedYaml *section)
{
  if (!expect_kind (parser, section, SEED_YAML_MAPPING, "nodes"))
    return;
  if (seed_yaml_length (section) == 0 || seed_yaml_length (section) > SEED_GRAPH_MAX_NODES) {
    seed_diagnostics_add (parser->diagnostics, section->mark, "%u nodes; a graph has 1 to %d",
        seed_yaml_length (section), SEED_GRAPH_MAX_NODES);
    return;
  }
  for (guint i = 0; i < seed_yaml_length (section); i++)
    parse_node (parser, seed_yaml_key (section, i), seed_yaml_value (section, i));
}

/* ---- names that refer to nodes ---- */

static SeedGraphNode *
resolve (Parser *parser, const char *name, SeedMark mark)
{
  const GPtrArray *nodes = parser->graph->nodes;
  SeedGraphNode *node = seed_graph_find_node (parser->graph, name);
  g_autoptr (GPtrArray) names = NULL;
  g_autofree char *quoted = NULL, *hint = NULL;

  if (node)
    return node;
  names = g_ptr_array_new ();
  for (guint i = 0; i < nodes->len; i++)
    g_ptr_array_add (names, (gpointer) ((SeedGraphNode *) g_ptr_array_index (nodes, i))->name);
  g_ptr_array_add (names, NULL);
  quoted = seed_quote (name);
  hint = seed_did_you_mean (name, (const char *const *) names->pdata);
  seed_diagnostics_add (parser->diagnostics, mark, "there is no node %s%s", quoted, hint);
  return NULL;
}

static gboolean
is_training_student (const SeedGraphNode *node)
{
  const SeedGraphSetting *mode = seed_graph_node_setting (node, "mode");

  return node->stage && node->stage->target && mode && mode->value->kind == SEED_YAML_SCALAR &&
         strcmp (mode->value->text, "train") == 0;
}

static void
check_follows (Parser *parser, const SeedGraphNode *node)
{
  const SeedGraphSetting *follows = NULL;
  const SeedGraphNode *leader;

  if (node->stage && node->stage->target)
    follows = seed_graph_node_setting (node, "follows");
  if (!follows || !expect_kind (parser, follows->value, SEED_YAML_SCALAR, "follows"))
    return;
  leader = resolve (parser, follows->value->text, follows->value->mark);
  if (leader && (leader == node || !is_training_student (leader)))
    seed_diagnostics_add (parser->diagnostics, follows->value->mark,
        "follows: expected a student with 'mode: train', '%s' is %s", leader->name,
        leader == node ? "the node itself" : "none");
}

static void
resolve_names (Parser *parser)
{
  const GPtrArray *nodes = parser->graph->nodes;

  for (guint i = 0; i < nodes->len; i++) {
    SeedGraphNode *node = g_ptr_array_index (nodes, i);

    for (guint j = 0; j < node->inputs->len; j++) {
      SeedGraphInput *input = &g_array_index (node->inputs, SeedGraphInput, j);

      input->node = resolve (parser, input->from, input->mark);
    }
    check_follows (parser, node);
  }
}

SeedGraph *
seed_graph_parse (const char *text, gsize length, const char *folder, GHashTable *set,
    SeedDiagnostics *diagnostics)
{
  g_autoptr (SeedYaml) root = seed_yaml_parse (text, length, diagnostics);
  const SeedYaml *streams, *nodes;
  SeedGraph *graph;
  Parser parser = { .diagnostics = diagnostics };

  if (!root)
    return NULL;
  if (root->kind != SEED_YAML_MAPPING) {
    report_expected (&parser, root, "graph file", "a mapping with version, graph and nodes");
    return NULL;
  }
  seed_params_apply (root, set, diagnostics);
  parser.graph = graph = g_new0 (SeedGraph, 1);
  graph->folder = g_canonicalize_filename (folder, NULL);
  graph->name = graph->description = "";
  graph->streams = g_ptr_array_new_with_free_func (stream_free);
  graph->nodes = g_ptr_array_new_with_free_func (node_free);
  graph->root = root;

  refuse_unknown_keys (&parser, root, "graph file", section_keys);
  parse_heading (&parser, root);
  streams = seed_yaml_lookup (root, "streams", NULL);
  nodes = seed_yaml_lookup (root, "nodes", NULL);
  if (streams)
    parse_streams (&parser, streams);
  if (nodes)
    parse_nodes (&parser, nodes);
  else
    report_missing (&parser, "nodes", "nodes: {NAME: {stage: ...}, ...}");
  resolve_names (&parser);
  g_steal_pointer (&root);
  return graph;
}
