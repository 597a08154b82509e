/* SPDX-License-Identifier: MIT */
#include "graph/plan.h"

#include <gst/base/gstbasesrc.h>
#include <string.h>

#include "graph/pads.h"
#include "graph/props.h"

#define BATCH_TYPES "application/x-seed-"

typedef struct {
  SeedPlan *plan;
  guint n;
  guint8 *reaches; /* n x n: data of row flows to column; a node reaches itself */
  guint8 *paired;  /* by link: some group needs it not to drop */
} Planner;

static SeedGraphNode *
node_at (const Planner *planner, guint i)
{
  return g_ptr_array_index (planner->plan->graph->nodes, i);
}

static SeedPlanLink *
link_at (const SeedPlan *plan, guint i)
{
  return &g_array_index (plan->links, SeedPlanLink, i);
}

static gboolean
reaches (const Planner *planner, const SeedGraphNode *from, const SeedGraphNode *to)
{
  return planner->reaches[from->index * planner->n + to->index];
}

/* ---- what flows ---- */

/* Whether a plain element that makes data waits for its consumers; asks one that is not running. */
static gboolean
source_is_live (const SeedGraph *graph, const SeedGraphNode *node)
{
  g_autoptr (GstElement) element = gst_element_factory_make (node->factory, NULL);

  if (!element)
    return FALSE;
  gst_object_ref_sink (element);
  for (guint i = 0; i < node->settings->len; i++) {
    const SeedGraphSetting *setting = &g_array_index (node->settings, SeedGraphSetting, i);
    GParamSpec *pspec = seed_props_find (G_OBJECT_GET_CLASS (element), setting->key->text);
    GValue value = G_VALUE_INIT;

    if (!pspec || (pspec->flags & G_PARAM_CONSTRUCT_ONLY) ||
        !seed_props_convert_setting (graph, node, setting, pspec, &value))
      continue;
    g_object_set_property (G_OBJECT (element), pspec->name, &value);
    g_value_unset (&value);
  }
  return GST_IS_BASE_SRC (element) && gst_base_src_is_live (GST_BASE_SRC (element));
}

/* Memoised in @live: 0 unknown, 1 no, 2 yes. */
static gboolean
node_is_live (const Planner *planner, guint8 *live, SeedGraphNode *node)
{
  gboolean yes = node->stage && node->stage->live;

  if (live[node->index])
    return live[node->index] == 2;
  for (guint i = 0; i < node->streams->len; i++)
    yes = yes || ((SeedGraphStream *) g_ptr_array_index (node->streams, i))->live;
  for (guint i = 0; i < node->inputs->len; i++)
    yes = node_is_live (planner, live, g_array_index (node->inputs, SeedGraphInput, i).node) || yes;
  if (!yes && !node->stage && node->inputs->len == 0)
    yes = source_is_live (planner->plan->graph, node);
  live[node->index] = yes ? 2 : 1;
  return yes;
}

/* What comes out of a node that takes anything is what goes in. Memoised like node_is_live. */
static gboolean
node_gives_batches (const Planner *planner, guint8 *batches, SeedGraphNode *node)
{
  g_autoptr (GstElementFactory) factory = NULL;
  GstStaticPadTemplate *output;
  gboolean yes = FALSE;

  if (batches[node->index])
    return batches[node->index] == 2;
  factory = gst_element_factory_find (node->factory);
  output = factory ? seed_pads_output (factory) : NULL;
  if (output && strcmp (output->static_caps.string, "ANY") == 0)
    yes = node->inputs->len > 0 && node_gives_batches (planner, batches,
                                       g_array_index (node->inputs, SeedGraphInput, 0).node);
  else if (output)
    yes = g_str_has_prefix (output->static_caps.string, BATCH_TYPES);
  batches[node->index] = yes ? 2 : 1;
  return yes;
}

static void
make_links (Planner *planner)
{
  g_autofree guint8 *live = g_new0 (guint8, planner->n), *batches = g_new0 (guint8, planner->n);

  for (guint i = 0; i < planner->n; i++) {
    SeedGraphNode *to = node_at (planner, i);

    for (guint j = 0; j < to->inputs->len; j++) {
      SeedPlanLink link = { g_array_index (to->inputs, SeedGraphInput, j).node, to, j };

      link.live = node_is_live (planner, live, link.from);
      link.batches = node_gives_batches (planner, batches, link.from);
      link.frames = to->queue.frames;
      if (!link.frames)
        link.frames = link.batches ? SEED_PLAN_QUEUE_BATCHES : SEED_PLAN_QUEUE_FRAMES;
      link.leak = to->queue.leak;
      link.group = -1;
      g_array_append_val (planner->plan->links, link);
    }
  }
}

static void
close_over_links (Planner *planner)
{
  const SeedPlan *plan = planner->plan;
  guint n = planner->n;

  planner->reaches = g_new0 (guint8, n * n + 1);
  for (guint i = 0; i < n; i++)
    planner->reaches[i * n + i] = TRUE;
  for (guint i = 0; i < plan->links->len; i++)
    planner->reaches[link_at (plan, i)->from->index * n + link_at (plan, i)->to->index] = TRUE;
  for (guint k = 0; k < n; k++) {
    for (guint i = 0; i < n; i++) {
      for (guint j = 0; planner->reaches[i * n + k] && j < n; j++)
        planner->reaches[i * n + j] |= planner->reaches[k * n + j];
    }
  }
}

/* ---- what must not be torn apart ---- */

/* A node that waits for the same batch on several inputs. */
static gboolean
is_meeting (const SeedGraphNode *node)
{
  return node->stage && node->stage->pairs && node->inputs->len > 1;
}

static gboolean
meet (const Planner *planner, const SeedPlanLink *a, const SeedPlanLink *b)
{
  for (guint i = 0; i < planner->n; i++) {
    const SeedGraphNode *node = node_at (planner, i);

    if (is_meeting (node) && reaches (planner, a->to, node) && reaches (planner, b->to, node))
      return TRUE;
  }
  return FALSE;
}

static int
new_group (SeedPlan *plan, guint link)
{
  SeedPlanGroup group = { link_at (plan, link)->from };

  group.frames = link_at (plan, link)->batches ? SEED_PLAN_QUEUE_BATCHES : SEED_PLAN_QUEUE_FRAMES;
  g_array_append_val (plan->groups, group);
  return (int) plan->groups->len - 1;
}

static void
merge_groups (SeedPlan *plan, int into, int from)
{
  for (guint i = 0; i < plan->links->len; i++) {
    if (link_at (plan, i)->group == from)
      link_at (plan, i)->group = into;
  }
}

/* Live links of one producer that meet again. Groups left empty by a merge are never used. */
static void
make_groups (Planner *planner)
{
  SeedPlan *plan = planner->plan;

  for (guint a = 0; a < plan->links->len; a++) {
    for (guint b = a + 1; b < plan->links->len; b++) {
      SeedPlanLink *x = link_at (plan, a), *y = link_at (plan, b);

      if (x->from != y->from || !x->live || !meet (planner, x, y))
        continue;
      if (x->group < 0)
        x->group = new_group (plan, a);
      if (y->group < 0)
        y->group = x->group;
      else if (y->group != x->group)
        merge_groups (plan, x->group, y->group);
    }
  }
}

static gboolean
member_reaches (const Planner *planner, int group, const SeedGraphNode *node, guint at_least)
{
  const SeedPlan *plan = planner->plan;
  guint n = 0;

  for (guint i = 0; i < plan->links->len && n < at_least; i++)
    n += link_at (plan, i)->group == group && reaches (planner, link_at (plan, i)->to, node);
  return n >= at_least;
}

/* Marks the links between the members of a group and a node where two of them meet. */
static void
mark_region (Planner *planner, int group, const SeedGraphNode *meeting)
{
  const SeedPlan *plan = planner->plan;

  for (guint i = 0; i < plan->links->len; i++) {
    const SeedPlanLink *link = link_at (plan, i);

    if (reaches (planner, link->to, meeting) && member_reaches (planner, group, link->from, 1))
      planner->paired[i] = TRUE;
  }
}

static void
mark_regions (Planner *planner)
{
  planner->paired = g_new0 (guint8, planner->plan->links->len + 1);
  for (guint group = 0; group < planner->plan->groups->len; group++) {
    for (guint i = 0; i < planner->n; i++) {
      const SeedGraphNode *node = node_at (planner, i);

      if (is_meeting (node) && member_reaches (planner, (int) group, node, 2))
        mark_region (planner, (int) group, node);
    }
  }
}

/* A group inside the region of another must not drop either; nor one whose every member says so. */
static SeedLeak
group_leak (const Planner *planner, int group)
{
  gboolean wanted = FALSE;

  for (guint i = 0; i < planner->plan->links->len; i++) {
    const SeedPlanLink *link = link_at (planner->plan, i);

    if (link->group != group)
      continue;
    if (planner->paired[i])
      return SEED_LEAK_NONE;
    wanted = wanted || link->to->queue.leak != SEED_LEAK_NONE;
  }
  return wanted ? SEED_LEAK_OLD : SEED_LEAK_NONE;
}

static void
choose_leaks (Planner *planner)
{
  SeedPlan *plan = planner->plan;

  for (guint i = 0; i < plan->groups->len; i++)
    g_array_index (plan->groups, SeedPlanGroup, i).leak = group_leak (planner, (int) i);
  for (guint i = 0; i < plan->links->len; i++) {
    SeedPlanLink *link = link_at (plan, i);
    gboolean may_drop = link->live && link->group < 0 && !planner->paired[i];

    if (link->leak == SEED_LEAK_UNSET)
      link->leak = may_drop ? SEED_LEAK_OLD : SEED_LEAK_NONE;
    if (link->group >= 0 &&
        g_array_index (plan->groups, SeedPlanGroup, link->group).leak == SEED_LEAK_NONE)
      link->group = -1;
  }
}

SeedPlan *
seed_plan_new (const SeedGraph *graph)
{
  SeedPlan *plan = g_new0 (SeedPlan, 1);
  Planner planner = { plan, graph->nodes->len };

  plan->graph = graph;
  plan->links = g_array_new (FALSE, TRUE, sizeof (SeedPlanLink));
  plan->groups = g_array_new (FALSE, TRUE, sizeof (SeedPlanGroup));
  make_links (&planner);
  close_over_links (&planner);
  make_groups (&planner);
  mark_regions (&planner);
  choose_leaks (&planner);
  g_free (planner.reaches);
  g_free (planner.paired);
  return plan;
}

void
seed_plan_free (SeedPlan *plan)
{
  if (!plan)
    return;
  g_array_unref (plan->links);
  g_array_unref (plan->groups);
  g_free (plan);
}

GArray *
seed_plan_outputs (const SeedPlan *plan, const SeedGraphNode *node)
{
  GArray *outputs = g_array_new (FALSE, FALSE, sizeof (guint));

  for (guint i = 0; i < plan->links->len; i++) {
    if (link_at (plan, i)->from == node)
      g_array_append_val (outputs, i);
  }
  return outputs;
}
