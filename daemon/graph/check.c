/* SPDX-License-Identifier: MIT */
#include "graph/check.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "graph/pads.h"
#include "graph/props.h"

typedef struct {
  const SeedGraph *graph;
  SeedDiagnostics *diagnostics;
  GPtrArray *factories; /* by node index; NULL where there is none */
} Check;

static GstElementFactory *
factory_of (const Check *check, const SeedGraphNode *node)
{
  return g_ptr_array_index (check->factories, node->index);
}

/* ---- elements ---- */

static char *
nearest_element (const char *name)
{
  GList *features = gst_registry_get_feature_list (gst_registry_get (), GST_TYPE_ELEMENT_FACTORY);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  char *hint;

  for (GList *l = features; l; l = l->next)
    g_ptr_array_add (names, (gpointer) gst_plugin_feature_get_name (l->data));
  g_ptr_array_add (names, NULL);
  hint = seed_did_you_mean (name, (const char *const *) names->pdata);
  gst_plugin_feature_list_free (features);
  return hint;
}

static void
report_missing_element (Check *check, const SeedGraphNode *node)
{
  g_autofree char *quoted = seed_quote (node->factory), *hint = NULL;

  if (node->stage) {
    seed_diagnostics_add (check->diagnostics, node->factory_mark,
        "stage '%s': the GStreamer element %s is not installed; it belongs to SEED's own plugin "
        "(libgstseed.so)",
        node->stage->name, quoted);
    return;
  }
  hint = nearest_element (node->factory);
  seed_diagnostics_add (check->diagnostics, node->factory_mark,
      "the GStreamer element %s is not installed (packages gstreamer1.0-plugins-* and "
      "gstreamer1.0-libav)%s",
      quoted, hint);
}

static void
find_factories (Check *check)
{
  const GPtrArray *nodes = check->graph->nodes;

  for (guint i = 0; i < nodes->len; i++) {
    const SeedGraphNode *node = g_ptr_array_index (nodes, i);
    GstElementFactory *factory = node->factory ? gst_element_factory_find (node->factory) : NULL;

    if (node->factory && !factory)
      report_missing_element (check, node);
    g_ptr_array_add (check->factories, factory);
  }
}

/* ---- properties ---- */

static void
report_unknown_property (
    Check *check, const SeedGraphNode *node, GObjectClass *klass, const SeedYaml *key)
{
  const char *own[] = { "stage", "from", "queue", NULL, NULL, NULL, NULL };
  g_autofree const char **names = seed_props_names (klass), **all = NULL;
  g_autofree char *quoted = seed_quote (key->text), *hint = NULL;
  guint n = 3, m = g_strv_length ((char **) names);

  if (node->stage && node->stage->streams)
    own[n++] = "streams";
  if (node->stage && node->stage->target)
    own[n++] = "target";
  if (node->stage && node->stage->teachers)
    own[n++] = "teachers";
  all = g_new0 (const char *, n + m + 1);
  memcpy (all, names, m * sizeof *names);
  if (node->stage)
    memcpy (all + m, own, n * sizeof *own);
  hint = seed_did_you_mean (key->text, all);
  if (node->stage)
    seed_diagnostics_add (check->diagnostics, key->mark, "stage '%s' has no key %s%s",
        node->stage->name, quoted, hint);
  else
    seed_diagnostics_add (check->diagnostics, key->mark, "element '%s' has no property %s%s",
        node->factory, quoted, hint);
}

static void
check_setting (
    Check *check, const SeedGraphNode *node, GObjectClass *klass, const SeedGraphSetting *setting)
{
  GParamSpec *pspec = seed_props_find (klass, setting->key->text);
  g_autofree char *expected = NULL, *found = NULL;
  GValue value = G_VALUE_INIT;

  if (!pspec) {
    report_unknown_property (check, node, klass, setting->key);
    return;
  }
  if (setting->value->broken)
    return;
  if (seed_props_convert_setting (check->graph, node, setting, pspec, &value)) {
    g_value_unset (&value);
    return;
  }
  expected = seed_props_expectation (pspec);
  found = seed_yaml_describe (setting->value);
  if (G_IS_PARAM_SPEC_ENUM (pspec) && setting->value->kind == SEED_YAML_SCALAR) {
    const GEnumClass *values = G_PARAM_SPEC_ENUM (pspec)->enum_class;
    g_autofree const char **nicks = g_new0 (const char *, values->n_values + 1);
    g_autofree char *hint = NULL;

    for (guint i = 0; i < values->n_values; i++)
      nicks[i] = values->values[i].value_nick;
    hint = seed_did_you_mean (setting->value->text, nicks);
    seed_diagnostics_add (check->diagnostics, setting->value->mark, "'%s': expected %s, found %s%s",
        pspec->name, expected, found, hint);
    return;
  }
  seed_diagnostics_add (check->diagnostics, setting->value->mark, "'%s': expected %s, found %s",
      pspec->name, expected, found);
}

static void
check_settings (Check *check, const SeedGraphNode *node)
{
  GObjectClass *klass = seed_props_class (factory_of (check, node));

  if (!klass) {
    seed_diagnostics_add (check->diagnostics, node->factory_mark,
        "the plugin of the GStreamer element '%s' does not load; see "
        "GST_DEBUG=GST_PLUGIN_LOADING:4",
        node->factory);
    return;
  }
  for (guint i = 0; i < node->settings->len; i++)
    check_setting (check, node, klass, &g_array_index (node->settings, SeedGraphSetting, i));
  g_type_class_unref (klass);
}

/* ---- models ---- */

static void
check_model (Check *check, const SeedGraphNode *node)
{
  const SeedGraphSetting *model = NULL;
  g_autofree char *folder = NULL, *config = NULL, *quoted = NULL;

  if (node->stage && g_strcmp0 (node->stage->required, "model") == 0)
    model = seed_graph_node_setting (node, "model");
  if (!model || model->value->kind != SEED_YAML_SCALAR || model->value->broken ||
      seed_yaml_is_null (model->value))
    return;
  folder = g_canonicalize_filename (model->value->text, check->graph->folder);
  config = g_build_filename (folder, "config.json", NULL);
  quoted = seed_quote (folder);
  if (!g_file_test (folder, G_FILE_TEST_IS_DIR))
    seed_diagnostics_add (check->diagnostics, model->value->mark, "model %s: %s", quoted,
        g_access (folder, F_OK) == 0 ? "not a folder" : g_strerror (errno));
  else if (g_access (config, R_OK) != 0)
    seed_diagnostics_add (check->diagnostics, model->value->mark, "model %s: config.json: %s",
        quoted, g_strerror (errno));
}

/* ---- links ---- */

static void
check_link (Check *check, const SeedGraphNode *node, guint i)
{
  const SeedGraphInput *input = &g_array_index (node->inputs, SeedGraphInput, i);
  GstElementFactory *from = input->node ? factory_of (check, input->node) : NULL;
  GstStaticPadTemplate *sink = seed_pads_input (factory_of (check, node), node, i), *src;
  g_autoptr (GstCaps) gives = NULL, takes = NULL;
  g_autofree char *gives_text = NULL, *takes_text = NULL;

  if (!sink && input->pad)
    seed_diagnostics_add (
        check->diagnostics, input->mark, "the element '%s' takes no %s", node->factory, input->key);
  if (!from)
    return;
  src = seed_pads_output (from);
  if (!src)
    seed_diagnostics_add (check->diagnostics, input->mark,
        "node '%s' ('%s') has no output to take data from", input->from, input->node->factory);
  if (!src || !sink)
    return;
  gives = gst_static_caps_get (&src->static_caps);
  takes = gst_static_caps_get (&sink->static_caps);
  if (gst_caps_can_intersect (gives, takes))
    return;
  gives_text = seed_caps_describe (gives);
  takes_text = seed_caps_describe (takes);
  seed_diagnostics_add (check->diagnostics, input->mark,
      "'%s' cannot be linked to '%s': it gives %s, expected %s", input->from, node->name,
      gives_text, takes_text);
}

static void
check_inputs (Check *check, const SeedGraphNode *node)
{
  guint room = seed_pads_n_inputs (factory_of (check, node)), n = 0;

  for (guint i = 0; i < node->inputs->len; i++) {
    const SeedGraphInput *input = &g_array_index (node->inputs, SeedGraphInput, i);

    n += !input->pad;
    if (!input->pad && n == room + 1 && room == 0)
      seed_diagnostics_add (check->diagnostics, input->mark,
          "node '%s' is a source ('%s'); it takes nothing from another node", node->name,
          node->factory);
    else if (!input->pad && n == room + 1)
      seed_diagnostics_add (check->diagnostics, input->mark,
          "node '%s' ('%s') has %u input%s; join several with a node such as "
          "{element: funnel, from: [...]}",
          node->name, node->factory, room, room == 1 ? "" : "s");
    if (input->pad || n <= room)
      check_link (check, node, i);
  }
  if (n == 0 && room > 0 &&
      !seed_yaml_lookup (
          seed_yaml_lookup (seed_yaml_lookup (check->graph->root, "nodes", NULL), node->name, NULL),
          "from", NULL))
    seed_diagnostics_add (check->diagnostics, node->mark,
        "node '%s' ('%s') needs 'from': the node it takes data from", node->name, node->factory);
}

/* ---- cycles ---- */

typedef struct {
  Check *check;
  GPtrArray *path; /* from a consumer to its producers */
  guint8 *state;   /* by node index: 0 not seen, 1 on the path, 2 done */
} CycleSearch;

static void
report_cycle (CycleSearch *search, const SeedGraphNode *first, SeedMark mark)
{
  GString *text = g_string_new (first->name);
  guint i = search->path->len;

  while (g_ptr_array_index (search->path, --i) != first)
    g_string_append_printf (
        text, " -> %s", ((SeedGraphNode *) g_ptr_array_index (search->path, i))->name);
  g_string_append_printf (text, " -> %s", first->name);
  seed_diagnostics_add (search->check->diagnostics, mark, "data goes in a circle: %s", text->str);
  g_string_free (text, TRUE);
}

static void
search_cycles (CycleSearch *search, SeedGraphNode *node)
{
  search->state[node->index] = 1;
  g_ptr_array_add (search->path, node);
  for (guint i = 0; i < node->inputs->len; i++) {
    const SeedGraphInput *input = &g_array_index (node->inputs, SeedGraphInput, i);

    if (!input->node || search->state[input->node->index] == 2)
      continue;
    if (search->state[input->node->index] == 1)
      report_cycle (search, input->node, input->mark);
    else
      search_cycles (search, input->node);
  }
  g_ptr_array_set_size (search->path, (int) search->path->len - 1);
  search->state[node->index] = 2;
}

static void
check_cycles (Check *check)
{
  const GPtrArray *nodes = check->graph->nodes;
  CycleSearch search = { check, g_ptr_array_new (), g_new0 (guint8, nodes->len + 1) };

  for (guint i = 0; i < nodes->len; i++) {
    if (!search.state[i])
      search_cycles (&search, g_ptr_array_index (nodes, i));
  }
  g_ptr_array_unref (search.path);
  g_free (search.state);
}

static void
unref_factory (gpointer factory)
{
  g_clear_object (&factory);
}

void
seed_graph_check (const SeedGraph *graph, SeedDiagnostics *diagnostics)
{
  Check check = { graph, diagnostics, g_ptr_array_new_with_free_func (unref_factory) };

  find_factories (&check);
  check_cycles (&check);
  for (guint i = 0; i < graph->nodes->len; i++) {
    const SeedGraphNode *node = g_ptr_array_index (graph->nodes, i);

    check_model (&check, node);
    if (!factory_of (&check, node))
      continue;
    check_settings (&check, node);
    check_inputs (&check, node);
  }
  g_ptr_array_unref (check.factories);
}
