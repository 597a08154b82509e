/* SPDX-License-Identifier: MIT */
#include "graph/check.h"

SeedGraph *
seed_graph_load (const char *path, GHashTable *set, SeedDiagnostics *diagnostics)
{
  g_autofree char *absolute = g_canonicalize_filename (path, NULL);
  g_autofree char *folder = g_path_get_dirname (absolute);
  g_autofree char *text = NULL;
  g_autoptr (SeedGraph) graph = NULL;
  gsize length;

  text = seed_graph_read_file (path, &length, diagnostics);
  if (!text)
    return NULL;
  graph = seed_graph_parse (text, length, folder, set, diagnostics);
  if (graph)
    seed_graph_check (graph, diagnostics);
  return seed_diagnostics_count (diagnostics) ? NULL : g_steal_pointer (&graph);
}
