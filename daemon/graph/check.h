/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/graph.h"

G_BEGIN_DECLS

/**
 * Asks the elements whether the graph makes sense to them: whether they are installed, have those
 * properties and take those values, have room for those links and caps that can meet; whether
 * teachers' models are there; and that no data goes in circles. Nothing is started. Errors go to
 * @diagnostics. GStreamer must be initialised.
 */
void seed_graph_check (const SeedGraph *graph, SeedDiagnostics *diagnostics);

G_END_DECLS
