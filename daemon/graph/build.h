/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "graph/plan.h"
#include "graph/queue.h"

G_BEGIN_DECLS

/** Subscriptions of the supervisor itself, which a publish node bound at publish_base awaits
 * besides those its node asks for: its first result is then not lost on those who subscribed
 * before. */
#define SEED_BUILD_SUPERVISOR_SUBSCRIPTIONS 2u

/** What a run asks of every element that has such a property and whose node does not set it. */
typedef struct {
  guint64 seed;           /* property "seed" */
  gboolean deterministic; /* property "deterministic" */
  const char *backend;    /* property "backend"; NULL: leave it */
  /* Where publish nodes that name no endpoint bind: this ipc endpoint with ".0", ".1", ...
   * appended, for the supervisor to collect results from. NULL: their own default. */
  const char *publish_base;
} SeedBuildOptions;

/** An element that does a node's work. A node split by geometry has several. */
typedef struct {
  const SeedGraphNode *node;
  GstElement *element; /* named after the node; further instances NODE.2, NODE.3, ... */
} SeedPipelineStage;

/** A link of the plan as it was made. */
typedef struct {
  const SeedPlanLink *plan;
  GstPad *src;           /* of the producing element; NULL when it appears only while running */
  GstPad *sink;          /* of the consuming element */
  SeedGraphQueue *queue; /* between them */
} SeedPipelineLink;

/**
 * A GstPipeline made from a plan. Besides the nodes' elements it holds queues ("FROM:TO",
 * "FROM:TO:target", "FROM:TO:teachers"), tees ("FROM.tee"), and a fakesink ("FROM.sink") for every
 * output nobody takes. Sinks neither preroll nor wait for the clock unless their node says so.
 */
typedef struct {
  const SeedPlan *plan;
  GstElement *pipeline;
  GArray *stages;    /* SeedPipelineStage, in the file's order, further instances last */
  GPtrArray *queues; /* SeedGraphQueue, owned by the pipeline */
  GArray *links;     /* SeedPipelineLink, as plan->links */
} SeedPipeline;

/**
 * Makes the elements, sets their properties and links them. A patchify whose consumers need
 * different geometries is split; to ask them, all are brought to READY (models load then).
 * Otherwise nothing is started. NULL after an error, with all of them in @diagnostics. @plan must
 * outlive the pipeline.
 */
SeedPipeline *seed_pipeline_build (
    const SeedPlan *plan, const SeedBuildOptions *options, SeedDiagnostics *diagnostics);

/** Stops it, too. */
void seed_pipeline_free (SeedPipeline *pipeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedPipeline, seed_pipeline_free)

/**
 * Brings the elements to READY (models load); their errors go to @diagnostics at their nodes'
 * places. Without sinks when @sinks is FALSE: a file sink would already empty its file, and no sink
 * has anything to negotiate by itself.
 */
gboolean
seed_pipeline_make_ready (SeedPipeline *pipeline, gboolean sinks, SeedDiagnostics *diagnostics);

/**
 * Name of the stage (or queue) that @object is or belongs to, "-" when it is none of the
 * pipeline's. Lives as long as the pipeline.
 */
const char *seed_pipeline_stage_name (const SeedPipeline *pipeline, GstObject *object);

/** What an ERROR or WARNING message says, its details included, in one line. Caller frees. */
char *seed_pipeline_message_text (GstMessage *message);

G_END_DECLS
