/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "decode/uri.h"
#include "graph/builder.h"
#include "graph/pads.h"
#include "graph/props.h"

#define OWN_PREFIX "seed" /* factories of SEED's own elements */

static const SeedPlanLink *
plan_link (const SeedBuilder *builder, guint i)
{
  return &g_array_index (builder->pipeline->plan->links, SeedPlanLink, i);
}

static SeedPipelineLink *
pipeline_link (const SeedBuilder *builder, guint i)
{
  return &g_array_index (builder->pipeline->links, SeedPipelineLink, i);
}

static const SeedGraphInput *
input_of (const SeedPlanLink *link)
{
  return &g_array_index (link->to->inputs, SeedGraphInput, link->input);
}

/* ---- elements ---- */

static void
set_property (GstElement *element, const SeedGraphNode *node, const char *name, const GValue *value)
{
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), name);
  GValue converted = G_VALUE_INIT;

  if (!pspec || !(pspec->flags & G_PARAM_WRITABLE) || seed_graph_node_setting (node, name))
    return;
  g_value_init (&converted, pspec->value_type);
  if (g_value_transform (value, &converted))
    g_object_set_property (G_OBJECT (element), name, &converted);
  g_value_unset (&converted);
}

static void
set_text (GstElement *element, const SeedGraphNode *node, const char *name, const char *text)
{
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), name);
  GValue value = G_VALUE_INIT;

  if (!pspec || seed_graph_node_setting (node, name))
    return;
  if (pspec->value_type != G_TYPE_STRING) { /* an enum, by its nick */
    gst_util_set_object_arg (G_OBJECT (element), name, text);
    return;
  }
  g_value_init (&value, G_TYPE_STRING);
  g_value_set_string (&value, text);
  set_property (element, node, name, &value);
  g_value_unset (&value);
}

/* What the run says to all of SEED's elements. Elements of others mean other things by such names.
 */
static void
set_common_properties (SeedBuilder *builder, GstElement *element, const SeedGraphNode *node)
{
  const SeedBuildOptions *options = builder->options;
  GValue value = G_VALUE_INIT;

  if (!g_str_has_prefix (node->factory, OWN_PREFIX))
    return;
  g_value_init (&value, G_TYPE_UINT64);
  g_value_set_uint64 (&value, options->seed);
  set_property (element, node, "seed", &value);
  g_value_unset (&value);
  g_value_init (&value, G_TYPE_BOOLEAN);
  g_value_set_boolean (&value, options->deterministic);
  set_property (element, node, "deterministic", &value);
  g_value_unset (&value);
  set_text (element, node, "graph", builder->pipeline->plan->graph->name);
  if (options->backend)
    set_text (element, node, "backend", options->backend);
}

/* Under a supervisor, which passes results on. */
static void
set_publish_base (SeedBuilder *builder, GstElement *element, const SeedGraphNode *node)
{
  g_autofree char *endpoint = NULL;
  guint wait;

  if (!builder->options->publish_base || strcmp (node->factory, "seedpublish") != 0 ||
      seed_graph_node_setting (node, "endpoint"))
    return;
  endpoint = g_strdup_printf ("%s.%u", builder->options->publish_base, node->index);
  g_object_get (element, "wait-subscribers", &wait, NULL);
  wait = MIN (wait + SEED_BUILD_SUPERVISOR_SUBSCRIPTIONS, G_MAXUINT16);
  g_object_set (element, "endpoint", endpoint, "wait-subscribers", wait, NULL);
}

static void
set_ms (GstStructure *s, const char *field, gint64 ms)
{
  if (ms >= 0)
    gst_structure_set (s, field, G_TYPE_UINT, (guint) ms, NULL);
}

static char *
serialize_stream (const SeedGraphStream *stream)
{
  g_autoptr (GstStructure) s = gst_structure_new ("stream", "id", G_TYPE_STRING, stream->id, "uri",
      G_TYPE_STRING, stream->uri, "loop", G_TYPE_BOOLEAN, stream->loop, "passes", G_TYPE_UINT,
      stream->passes, NULL);
  char *text;

  if (stream->max_fps >= 0)
    gst_structure_set (s, "max-fps", G_TYPE_DOUBLE, stream->max_fps, NULL);
  if (stream->live != seed_uri_is_live (stream->uri)) /* the file said otherwise */
    gst_structure_set (s, "live", G_TYPE_BOOLEAN, stream->live, NULL);
  if (stream->reconnect >= 0)
    gst_structure_set (s, "reconnect", G_TYPE_BOOLEAN, stream->reconnect, NULL);
  set_ms (s, "retry-min-ms", stream->retry_min_ms);
  set_ms (s, "retry-max-ms", stream->retry_max_ms);
  set_ms (s, "stall-ms", stream->stall_ms);
  set_ms (s, "connect-ms", stream->connect_ms);
  text = gst_structure_to_string (s);
  if (g_str_has_suffix (text, ";"))
    text[strlen (text) - 1] = 0;
  return text;
}

static char *
serialize_streams (const GPtrArray *streams)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < streams->len; i++) {
    g_autofree char *one = serialize_stream (g_ptr_array_index (streams, i));

    g_string_append_printf (text, "%s%s", i ? "; " : "", one);
  }
  return g_string_free (text, FALSE);
}

/* A sink that waits for its first frame before the graph starts would wait for a fusion that is
 * still calibrating; one that waits for the clock would hold its branch back. */
static void
free_sink (GstElement *element, const SeedGraphNode *node)
{
  static const char *const waits[] = { "sync", "async" };
  GValue value = G_VALUE_INIT;

  if (!GST_OBJECT_FLAG_IS_SET (element, GST_ELEMENT_FLAG_SINK))
    return;
  g_value_init (&value, G_TYPE_BOOLEAN);
  for (guint i = 0; i < G_N_ELEMENTS (waits); i++)
    set_property (element, node, waits[i], &value);
  g_value_unset (&value);
}

static void
clear_values (GArray *values)
{
  for (guint i = 0; i < values->len; i++)
    g_value_unset (&g_array_index (values, GValue, i));
  g_array_unref (values);
}

/* All settings at once, so that construct-only properties are settings like any other. */
static GstElement *
create (
    SeedBuilder *builder, GstElementFactory *factory, const SeedGraphNode *node, const char *name)
{
  GObjectClass *klass = seed_props_class (factory);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  GArray *values = g_array_new (FALSE, TRUE, sizeof (GValue));
  GValue value = G_VALUE_INIT;
  GstElement *element;

  g_value_init (&value, G_TYPE_STRING);
  g_value_set_string (&value, name);
  g_ptr_array_add (names, (gpointer) "name");
  g_array_append_val (values, value);
  for (guint i = 0; klass && i < node->settings->len; i++) {
    const SeedGraphSetting *setting = &g_array_index (node->settings, SeedGraphSetting, i);
    GParamSpec *pspec = seed_props_find (klass, setting->key->text);

    memset (&value, 0, sizeof value);
    if (!pspec ||
        !seed_props_convert_setting (builder->pipeline->plan->graph, node, setting, pspec, &value))
      continue;
    g_ptr_array_add (names, (gpointer) pspec->name);
    g_array_append_val (values, value);
  }
  element = gst_element_factory_create_with_properties (
      factory, names->len, (const char **) names->pdata, (const GValue *) (gpointer) values->data);
  clear_values (values);
  g_clear_pointer (&klass, g_type_class_unref);
  return element;
}

GstElement *
seed_builder_add_node (SeedBuilder *builder, SeedGraphNode *node, const char *name)
{
  g_autoptr (GstElementFactory) factory = gst_element_factory_find (node->factory);
  SeedPipelineStage stage = { node, NULL };

  stage.element = factory ? create (builder, factory, node, name) : NULL;
  if (!stage.element) {
    seed_diagnostics_add (builder->diagnostics, node->factory_mark,
        "the GStreamer element '%s' cannot be made", node->factory);
    return NULL;
  }
  if (node->streams->len > 0) {
    g_autofree char *streams = serialize_streams (node->streams);

    set_text (stage.element, node, "streams", streams);
  }
  set_common_properties (builder, stage.element, node);
  set_publish_base (builder, stage.element, node);
  free_sink (stage.element, node);
  gst_bin_add (GST_BIN (builder->pipeline->pipeline), stage.element);
  g_array_append_val (builder->pipeline->stages, stage);
  return stage.element;
}

GstElement *
seed_builder_add_helper (SeedBuilder *builder, const char *factory, const char *name)
{
  GstElement *element = gst_element_factory_make (factory, name);

  if (!element) {
    seed_diagnostics_add (builder->diagnostics, (SeedMark){ 1, 1 },
        "the GStreamer element '%s' is missing; GStreamer's core plugins are not installed",
        factory);
    return NULL;
  }
  gst_bin_add (GST_BIN (builder->pipeline->pipeline), element);
  return element;
}

SeedGraphQueue *
seed_builder_add_queue (SeedBuilder *builder, const char *name, guint frames, SeedLeak leak)
{
  GstElement *queue = seed_graph_queue_new (name, frames, leak);

  gst_bin_add (GST_BIN (builder->pipeline->pipeline), queue);
  g_ptr_array_add (builder->pipeline->queues, queue);
  return SEED_GRAPH_QUEUE (queue);
}

/* ---- links ---- */

static void
report_no_link (
    SeedBuilder *builder, GstPad *src, GstPad *sink, const GArray *links, GstPadLinkReturn why)
{
  const SeedPlanLink *first = plan_link (builder, g_array_index (links, guint, 0));
  g_autoptr (GString) consumers = g_string_new (NULL);
  g_autoptr (GstCaps) gives = gst_pad_query_caps (src, NULL),
                      takes = gst_pad_query_caps (sink, NULL);
  g_autofree char *gives_text = seed_caps_describe (gives),
                  *takes_text = seed_caps_describe (takes);

  for (guint i = 0; i < links->len; i++)
    g_string_append_printf (consumers, "%s'%s'", i ? ", " : "",
        plan_link (builder, g_array_index (links, guint, i))->to->name);
  seed_diagnostics_add (builder->diagnostics, input_of (first)->mark,
      "'%s' cannot be linked to %s: it gives %s, expected %s (%s)", first->from->name,
      consumers->str, gives_text, takes_text, gst_pad_link_get_name (why));
}

gboolean
seed_builder_link (SeedBuilder *builder, GstPad *src, GstPad *sink, const GArray *links)
{
  GstPadLinkReturn result = gst_pad_link (src, sink);

  if (result == GST_PAD_LINK_OK)
    return TRUE;
  report_no_link (builder, src, sink, links, result);
  return FALSE;
}

static gboolean
link_one (SeedBuilder *builder, GstPad *src, GstPad *sink, guint link)
{
  g_autoptr (GArray) links = g_array_new (FALSE, FALSE, sizeof (guint));

  g_array_append_val (links, link);
  return seed_builder_link (builder, src, sink, links);
}

/* The queue and the pad of one input. */
static gboolean
add_input (SeedBuilder *builder, guint i)
{
  const SeedPlanLink *link = plan_link (builder, i);
  const SeedGraphInput *input = input_of (link);
  GstElement *to = g_ptr_array_index (builder->elements, link->to->index);
  SeedPipelineLink made = { .plan = link };
  g_autofree char *name = g_strdup_printf ("%s:%s%s%s", link->from->name, link->to->name,
      input->pad ? ":" : "", input->pad ? input->key : "");
  g_autoptr (GstPad) src = NULL;

  made.queue = seed_builder_add_queue (builder, name, link->frames, link->leak);
  made.sink =
      seed_pads_get (to, seed_pads_input (gst_element_get_factory (to), link->to, link->input));
  g_array_append_val (builder->pipeline->links, made);
  if (!made.sink) {
    seed_diagnostics_add (builder->diagnostics, input->mark,
        "node '%s' ('%s') gives no pad for this input", link->to->name, link->to->factory);
    return FALSE;
  }
  src = gst_element_get_static_pad (GST_ELEMENT (made.queue), "src");
  return link_one (builder, src, made.sink, i);
}

static gboolean
link_tee (SeedBuilder *builder, GstElement *tee, GstPad *sink, const GArray *links)
{
  g_autoptr (GstPad) src = gst_element_request_pad_simple (tee, "src_%u");

  return seed_builder_link (builder, src, sink, links);
}

static GstPad *
entry_of (const SeedBuilder *builder, guint i)
{
  return gst_element_get_static_pad (GST_ELEMENT (pipeline_link (builder, i)->queue), "sink");
}

/* A tee to the links of one group (-1: those of none), after its shared queue if it has one.
 * Returns the pad that takes the data. */
static GstPad *
add_tee (SeedBuilder *builder, const SeedGraphNode *node, const char *suffix, const GArray *links,
    int group, GstElement **tee)
{
  g_autofree char *name = g_strdup_printf ("%s.tee%s", node->name, suffix);

  *tee = seed_builder_add_helper (builder, "tee", name);
  if (!*tee)
    return NULL;
  /* A branch that has ended does not end the others. */
  g_object_set (*tee, "allow-not-linked", TRUE, NULL);
  for (guint i = 0; i < links->len; i++) {
    guint link = g_array_index (links, guint, i);
    g_autoptr (GstPad) sink = NULL;

    if (plan_link (builder, link)->group != group && group != G_MININT)
      continue;
    sink = entry_of (builder, link);
    if (!link_tee (builder, *tee, sink, links))
      return NULL;
  }
  return gst_element_get_static_pad (*tee, "sink");
}

static GstPad *
add_group (SeedBuilder *builder, const SeedGraphNode *node, const GArray *links, int group)
{
  const SeedPlanGroup *plan =
      &g_array_index (builder->pipeline->plan->groups, SeedPlanGroup, group);
  g_autofree char *suffix = g_strdup_printf ("-%d", group);
  g_autofree char *name = g_strdup_printf ("%s:%s.tee%s", node->name, node->name, suffix);
  SeedGraphQueue *queue = seed_builder_add_queue (builder, name, plan->frames, plan->leak);
  GstElement *tee;
  g_autoptr (GstPad) sink = add_tee (builder, node, suffix, links, group, &tee);
  g_autoptr (GstPad) src = gst_element_get_static_pad (GST_ELEMENT (queue), "src");

  if (!sink || !seed_builder_link (builder, src, sink, links))
    return NULL;
  return gst_element_get_static_pad (GST_ELEMENT (queue), "sink");
}

/* Groups among @links, each once. */
static GArray *
groups_of (const SeedBuilder *builder, const GArray *links, guint *alone)
{
  GArray *groups = g_array_new (FALSE, FALSE, sizeof (int));

  *alone = 0;
  for (guint i = 0; i < links->len; i++) {
    int group = plan_link (builder, g_array_index (links, guint, i))->group;
    gboolean seen = FALSE;

    for (guint j = 0; j < groups->len; j++)
      seen = seen || g_array_index (groups, int, j) == group;
    if (group < 0)
      (*alone)++;
    else if (!seen)
      g_array_append_val (groups, group);
  }
  return groups;
}

/* Everything between a node's output and its consumers' queues; returns the pad that takes it. */
static GstPad *
fan_out (SeedBuilder *builder, SeedGraphNode *node, const char *name, const GArray *links,
    gboolean keep_together)
{
  guint alone;
  g_autoptr (GArray) groups = groups_of (builder, links, &alone);
  g_autofree char *suffix = g_strdup (name + strlen (node->name));
  GstElement *tee;
  g_autoptr (GstPad) sink = NULL;

  if (links->len == 0) {
    g_autofree char *sink_name = g_strconcat (name, ".sink", NULL);
    GstElement *fake = seed_builder_add_helper (builder, "fakesink", sink_name);

    if (!fake)
      return NULL;
    g_object_set (fake, "sync", FALSE, "async", FALSE, NULL);
    return gst_element_get_static_pad (fake, "sink");
  }
  if (links->len == 1)
    return entry_of (builder, g_array_index (links, guint, 0));
  if (!keep_together)
    return add_tee (builder, node, suffix, links, G_MININT, &tee);
  if (alone == 0 && groups->len == 1)
    return add_group (builder, node, links, g_array_index (groups, int, 0));
  sink = add_tee (builder, node, suffix, links, -1, &tee);
  for (guint i = 0; sink && i < groups->len; i++) {
    g_autoptr (GstPad) entry = add_group (builder, node, links, g_array_index (groups, int, i));

    if (!entry || !link_tee (builder, tee, entry, links))
      return NULL;
  }
  return g_steal_pointer (&sink);
}

/* An element whose output appears only when it knows what it has: the first pad that fits is the
 * node's output, further ones (sound, subtitles) go nowhere. */
static void
on_pad_added (GstElement *element, GstPad *pad, gpointer entry)
{
  g_autoptr (GstObject) pipeline = gst_object_get_parent (GST_OBJECT (element));
  g_autoptr (GstPad) sink = NULL;
  GstElement *fake;

  if (GST_PAD_DIRECTION (pad) != GST_PAD_SRC || !pipeline)
    return;
  if (!gst_pad_is_linked (entry) && gst_pad_link (pad, entry) == GST_PAD_LINK_OK)
    return;
  fake = gst_element_factory_make ("fakesink", NULL);
  g_object_set (fake, "sync", FALSE, "async", FALSE, NULL);
  gst_bin_add (GST_BIN (pipeline), fake);
  gst_element_sync_state_with_parent (fake);
  sink = gst_element_get_static_pad (fake, "sink");
  gst_pad_link (pad, sink);
}

static void
unref_closure (gpointer object, GClosure *closure)
{
  gst_object_unref (object);
}

gboolean
seed_builder_connect (SeedBuilder *builder, GstElement *element, SeedGraphNode *node,
    const GArray *links, gboolean keep_together)
{
  GstStaticPadTemplate *output = seed_pads_output (gst_element_get_factory (element));
  g_autoptr (GstPad) entry = NULL, src = NULL;

  if (!output)
    return TRUE;
  entry = fan_out (builder, node, GST_OBJECT_NAME (element), links, keep_together);
  if (!entry)
    return FALSE;
  if (output->presence == GST_PAD_SOMETIMES) {
    g_signal_connect_data (element, "pad-added", G_CALLBACK (on_pad_added),
        g_steal_pointer (&entry), unref_closure, 0);
    return TRUE;
  }
  src = seed_pads_get (element, output);
  if (!src) {
    seed_diagnostics_add (builder->diagnostics, node->mark, "node '%s' ('%s') gives no output pad",
        node->name, node->factory);
    return FALSE;
  }
  for (guint i = 0; i < links->len; i++)
    pipeline_link (builder, g_array_index (links, guint, i))->src = gst_object_ref (src);
  return seed_builder_link (builder, src, entry, links);
}

/* ---- the whole ---- */

static gboolean
add_nodes (SeedBuilder *builder)
{
  const GPtrArray *nodes = builder->pipeline->plan->graph->nodes;
  gboolean ok = TRUE;

  for (guint i = 0; i < nodes->len; i++) {
    SeedGraphNode *node = g_ptr_array_index (nodes, i);
    GstElement *element = seed_builder_add_node (builder, node, node->name);

    g_ptr_array_add (builder->elements, element);
    ok = ok && element;
  }
  return ok;
}

static gboolean
splits (const SeedGraphNode *node, const GArray *outputs)
{
  return node->stage && node->stage->splits && outputs->len > 1 &&
         !seed_graph_node_setting (node, "image-size");
}

/* Nodes that split come last: their consumers must be linked on to say what they need. */
static gboolean
connect_nodes (SeedBuilder *builder)
{
  const SeedPlan *plan = builder->pipeline->plan;
  gboolean ok = TRUE;

  for (guint i = 0; i < plan->graph->nodes->len; i++) {
    SeedGraphNode *node = g_ptr_array_index (plan->graph->nodes, i);
    g_autoptr (GArray) outputs = seed_plan_outputs (plan, node);

    if (!splits (node, outputs))
      ok = seed_builder_connect (
               builder, g_ptr_array_index (builder->elements, i), node, outputs, TRUE) &&
           ok;
  }
  for (guint i = 0; ok && i < plan->graph->nodes->len; i++) {
    SeedGraphNode *node = g_ptr_array_index (plan->graph->nodes, i);
    g_autoptr (GArray) outputs = seed_plan_outputs (plan, node);

    if (splits (node, outputs))
      ok = seed_builder_split (builder, node, outputs);
  }
  return ok;
}

static void
clear_link (gpointer data)
{
  SeedPipelineLink *link = data;

  gst_clear_object (&link->src);
  gst_clear_object (&link->sink);
}

SeedPipeline *
seed_pipeline_build (
    const SeedPlan *plan, const SeedBuildOptions *options, SeedDiagnostics *diagnostics)
{
  g_autoptr (SeedPipeline) pipeline = g_new0 (SeedPipeline, 1);
  SeedBuilder builder = { pipeline, options, diagnostics, NULL };
  gboolean ok;

  pipeline->plan = plan;
  pipeline->pipeline = gst_object_ref_sink (gst_pipeline_new (plan->graph->name));
  pipeline->stages = g_array_new (FALSE, TRUE, sizeof (SeedPipelineStage));
  pipeline->queues = g_ptr_array_new ();
  pipeline->links = g_array_new (FALSE, TRUE, sizeof (SeedPipelineLink));
  g_array_set_clear_func (pipeline->links, clear_link);

  builder.elements = g_ptr_array_new ();
  ok = add_nodes (&builder);
  for (guint i = 0; ok && i < plan->links->len; i++)
    ok = add_input (&builder, i);
  ok = ok && connect_nodes (&builder);
  g_ptr_array_unref (builder.elements);
  return ok ? g_steal_pointer (&pipeline) : NULL;
}

void
seed_pipeline_free (SeedPipeline *pipeline)
{
  if (!pipeline)
    return;
  gst_element_set_state (pipeline->pipeline, GST_STATE_NULL);
  g_array_unref (pipeline->links);
  g_ptr_array_unref (pipeline->queues);
  g_array_unref (pipeline->stages);
  gst_object_unref (pipeline->pipeline);
  g_free (pipeline);
}
