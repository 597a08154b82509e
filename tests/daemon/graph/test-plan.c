/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <gst/gst.h>

#include "fake-stages.h"
#include "graph/plan.h"

#define FOLDER SEED_SOURCE_DIR "/tests/daemon/graph/golden"

static SeedGraph *
load (const char *name)
{
  g_autofree char *path = g_strdup_printf (FOLDER "/%s.yaml", name);
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new (name);
  SeedGraph *graph = seed_graph_load (path, NULL, diagnostics);
  g_autofree char *errors = seed_diagnostics_to_string (diagnostics);

  g_assert_cmpstr (errors, ==, "");
  return graph;
}

static void
test_dot (gconstpointer data)
{
  const char *name = data;
  g_autofree char *path = g_strdup_printf (FOLDER "/%s.dot", name), *expected = NULL;
  g_autoptr (SeedGraph) graph = load (name);
  g_autoptr (SeedPlan) plan = seed_plan_new (graph);
  g_autofree char *dot = seed_plan_to_dot (plan);
  g_autoptr (GError) error = NULL;

  if (g_getenv ("SEED_TEST_UPDATE"))
    g_file_set_contents (path, dot, -1, NULL);
  g_file_get_contents (path, &expected, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (dot, ==, expected);
}

static const SeedPlanLink *
find (const SeedPlan *plan, const char *from, const char *to)
{
  for (guint i = 0; i < plan->links->len; i++) {
    const SeedPlanLink *link = &g_array_index (plan->links, SeedPlanLink, i);

    if (strcmp (link->from->name, from) == 0 && strcmp (link->to->name, to) == 0)
      return link;
  }
  g_assert_not_reached ();
}

/* No link between a place where a batch is dropped for all and the node where all meet drops. */
static void
test_pairs_stay_together (void)
{
  g_autoptr (SeedGraph) graph = load ("nested");
  g_autoptr (SeedPlan) plan = seed_plan_new (graph);
  static const char *const paired[][2] = { { "frames", "small" }, { "frames", "large" },
    { "small", "clip" }, { "large", "dino" }, { "clip", "fused" }, { "dino", "fused" },
    { "small", "learn" }, { "fused", "learn" } };

  for (guint i = 0; i < G_N_ELEMENTS (paired); i++)
    g_assert_cmpint (find (plan, paired[i][0], paired[i][1])->leak, ==, SEED_LEAK_NONE);
  g_assert_cmpint (find (plan, "frames", "small")->group, >=, 0);
  g_assert_cmpint (
      find (plan, "frames", "small")->group, ==, find (plan, "frames", "large")->group);
  /* the student's words and its target come of one patchify inside that region: no second leak */
  g_assert_cmpint (find (plan, "small", "learn")->group, ==, -1);
  g_assert_cmpint (find (plan, "frames", "watch")->leak, ==, SEED_LEAK_OLD);
  g_assert_cmpint (find (plan, "clip", "log")->leak, ==, SEED_LEAK_OLD);
}

static void
test_files_never_drop (void)
{
  g_autoptr (SeedGraph) graph = load ("files");
  g_autoptr (SeedPlan) plan = seed_plan_new (graph);

  for (guint i = 0; i < plan->links->len; i++) {
    const SeedPlanLink *link = &g_array_index (plan->links, SeedPlanLink, i);

    g_assert_cmpint (link->group, ==, -1);
    g_assert_false (link->live);
    g_assert_cmpint (
        link->leak, ==, strcmp (link->to->name, "words") ? SEED_LEAK_NONE : SEED_LEAK_NEW);
  }
}

int
main (int argc, char **argv)
{
  static const char *const graphs[] = { "files", "lobby", "nested", "stock" };

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  fake_stages_register ();
  for (guint i = 0; i < G_N_ELEMENTS (graphs); i++) {
    g_autofree char *path = g_strconcat ("/plan/dot/", graphs[i], NULL);

    g_test_add_data_func (path, graphs[i], test_dot);
  }
  g_test_add_func ("/plan/pairs-stay-together", test_pairs_stay_together);
  g_test_add_func ("/plan/files-never-drop", test_files_never_drop);
  return g_test_run ();
}
