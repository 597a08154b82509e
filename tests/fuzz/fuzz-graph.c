/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "graph/graph.h"

#include "fuzz.h"

static guint
count_lines (const char *text)
{
  guint n = 0;

  for (; *text; text++)
    n += *text == '\n';
  return n;
}

/* A graph without errors refers to nothing that is not there. */
static void
check_graph (const SeedGraph *graph)
{
  g_assert_true (seed_name_is_good (graph->name));
  for (guint i = 0; i < graph->nodes->len; i++) {
    const SeedGraphNode *node = g_ptr_array_index (graph->nodes, i);

    g_assert_nonnull (node->factory);
    g_assert_true (seed_graph_find_node (graph, node->name) == node);
    for (guint j = 0; j < node->inputs->len; j++)
      g_assert_nonnull (g_array_index (node->inputs, SeedGraphInput, j).node);
  }
  for (guint i = 0; i < graph->streams->len; i++)
    g_assert_nonnull (((SeedGraphStream *) g_ptr_array_index (graph->streams, i))->uri);
}

/* A graph file up to where elements are asked. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new ("fuzz");
  g_autoptr (SeedGraph) graph =
      seed_graph_parse ((const char *) data, size, "/srv/graphs", NULL, diagnostics);
  g_autofree char *errors = seed_diagnostics_to_string (diagnostics);
  guint n = seed_diagnostics_count (diagnostics);

  g_assert_true (g_utf8_validate (errors, -1, NULL));
  g_assert_cmpuint (count_lines (errors), ==, MIN (n, SEED_DIAGNOSTICS_MAX + 1));
  g_assert_true (graph || n > 0);
  if (n == 0)
    check_graph (graph);
  return 0;
}
