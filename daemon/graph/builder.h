/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/build.h"

/* What build.c and split.c share while a pipeline is made. */
typedef struct {
  SeedPipeline *pipeline;
  const SeedBuildOptions *options;
  SeedDiagnostics *diagnostics;
  GPtrArray *elements; /* by node index; owned by the pipeline */
} SeedBuilder;

/* An element for @node, in the pipeline and among its stages. NULL after an error, reported. */
GstElement *seed_builder_add_node (SeedBuilder *builder, SeedGraphNode *node, const char *name);

/* A stock element (tee, fakesink) in the pipeline. NULL when GStreamer lacks it, reported. */
GstElement *seed_builder_add_helper (SeedBuilder *builder, const char *factory, const char *name);

SeedGraphQueue *
seed_builder_add_queue (SeedBuilder *builder, const char *name, guint frames, SeedLeak leak);

/* Links pads on behalf of links of the plan: indices, at least one. FALSE after an error, reported
 * at the first one's place and naming them all. */
gboolean seed_builder_link (SeedBuilder *builder, GstPad *src, GstPad *sink, const GArray *links);

/* Gives the output of @element (an instance of @node) to links of the plan: indices.
 * @keep_together: let groups have their own leaky queue. */
gboolean seed_builder_connect (SeedBuilder *builder, GstElement *element, SeedGraphNode *node,
    const GArray *links, gboolean keep_together);

/* Connects the outputs of a node that may have to become several. */
gboolean seed_builder_split (SeedBuilder *builder, SeedGraphNode *node, const GArray *links);
