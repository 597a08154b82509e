/* SPDX-License-Identifier: MIT */
#include "graph/plan.h"

/* Text inside a quoted Graphviz string. */
static char *
escape (const char *text)
{
  GString *escaped = g_string_new (NULL);

  for (; *text; text++) {
    if (*text == '"' || *text == '\\')
      g_string_append_c (escaped, '\\');
    g_string_append_c (escaped, *text == '\n' || *text == '\r' ? ' ' : *text);
  }
  return g_string_free (escaped, FALSE);
}

static void
append_node (GString *dot, const SeedGraphNode *node)
{
  g_autofree char *factory = escape (node->factory);

  g_string_append_printf (dot, "  \"%s\" [label=\"%s\\n%s", node->name, node->name,
      node->stage ? node->stage->name : factory);
  for (guint i = 0; i < node->streams->len; i++) {
    const SeedGraphStream *stream = g_ptr_array_index (node->streams, i);

    g_string_append_printf (dot, "%s%s", i ? ", " : "\\n", stream->id);
  }
  g_string_append_printf (dot, "\"%s];\n", node->inputs->len == 0 ? ", style=bold" : "");
}

static char *
queue_label (guint frames, gboolean batches, SeedLeak leak)
{
  const char *unit = batches       ? (frames == 1 ? "batch" : "batches")
                     : frames == 1 ? "frame"
                                   : "frames";

  return leak == SEED_LEAK_NONE
             ? g_strdup_printf ("%u %s", frames, unit)
             : g_strdup_printf ("%u %s, drops %s", frames, unit, seed_leak_name (leak));
}

static void
append_group (GString *dot, const SeedPlan *plan, guint i)
{
  const SeedPlanGroup *group = &g_array_index (plan->groups, SeedPlanGroup, i);
  const SeedPlanLink *member = NULL;
  g_autofree char *label = NULL;

  for (guint j = 0; j < plan->links->len && !member; j++) {
    if (g_array_index (plan->links, SeedPlanLink, j).group == (int) i)
      member = &g_array_index (plan->links, SeedPlanLink, j);
  }
  if (!member)
    return;
  label = queue_label (group->frames, member->batches, group->leak);
  g_string_append_printf (
      dot, "  \"%s.tee-%u\" [label=\"tee\", shape=point, xlabel=\"tee\"];\n", group->from->name, i);
  g_string_append_printf (dot, "  \"%s\" -> \"%s.tee-%u\" [label=\"%s\"];\n", group->from->name,
      group->from->name, i, label);
}

static void
append_link (GString *dot, const SeedPlanLink *link)
{
  g_autofree char *label = queue_label (link->frames, link->batches, link->leak);
  const SeedGraphInput *input = &g_array_index (link->to->inputs, SeedGraphInput, link->input);

  g_string_append_printf (dot, "  \"%s", link->from->name);
  if (link->group >= 0)
    g_string_append_printf (dot, ".tee-%d", link->group);
  g_string_append_printf (dot, "\" -> \"%s\" [label=\"%s%s%s\"%s];\n", link->to->name,
      input->pad ? input->key : "", input->pad ? ": " : "", label,
      input->pad ? ", style=dashed" : "");
}

static void
append_follows (GString *dot, const SeedGraphNode *node)
{
  const SeedGraphSetting *follows =
      node->stage && node->stage->target ? seed_graph_node_setting (node, "follows") : NULL;

  if (follows)
    g_string_append_printf (dot,
        "  \"%s\" -> \"%s\" [label=\"weights\", style=dotted, constraint=false];\n",
        follows->value->text, node->name);
}

char *
seed_plan_to_dot (const SeedPlan *plan)
{
  GString *dot = g_string_new (NULL);

  g_string_append_printf (
      dot, "digraph \"%s\" {\n  rankdir=LR;\n  node [shape=box];\n", plan->graph->name);
  for (guint i = 0; i < plan->graph->nodes->len; i++)
    append_node (dot, g_ptr_array_index (plan->graph->nodes, i));
  for (guint i = 0; i < plan->groups->len; i++)
    append_group (dot, plan, i);
  for (guint i = 0; i < plan->links->len; i++)
    append_link (dot, &g_array_index (plan->links, SeedPlanLink, i));
  for (guint i = 0; i < plan->graph->nodes->len; i++)
    append_follows (dot, g_ptr_array_index (plan->graph->nodes, i));
  g_string_append (dot, "}\n");
  return g_string_free (dot, FALSE);
}
