/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/graph.h"

G_BEGIN_DECLS

/**
 * Where a graph gets queues and tees, decided before any of them is made.
 *
 * Every input of every node has its own bounded queue, so every node works in a thread of its own
 * and no node waits for a sibling. What a full queue does:
 *
 * - Sources that can wait (files): every queue blocks, nothing is lost, the slowest stage sets the
 *   pace.
 * - Live sources: queues drop their oldest frame, because the next one is worth more.
 * - Except where dropping would tear apart what belongs together. A node that pairs (a fusion, a
 *   student with a target) needs the same batches on all its inputs. When two branches of one
 *   producer meet in such a node, they share one leaky queue in front of the tee, and every queue
 *   from there to the meeting point blocks: a batch is dropped for all of them or for none.
 *
 * Why blocking queues behind a tee cannot deadlock. A tee hands item n to all its branches before
 * item n + 1. Every stage is causal: what it gives out for item n depends on items up to n alone
 * (a batch counts as one item at its last frame; a fusion still calibrating gives out an empty
 * target for each batch; a following student waits for the version made from batches it has itself
 * already seen). Suppose nothing moves, and look at the smallest item some stage waits for. The tee
 * above is blocked on a later item (a branch full of later ones), so it has handed that item to
 * every branch; by causality the stages that make it need only items that are smaller or already
 * there; so one of them can move. Queues of one buffer are enough. A node that looks ahead (an
 * encoder with B-frames, say) on one of two paired branches needs `queue: {frames: N}` with N of at
 * least its look-ahead on the other. Sinks are never asked to preroll, so none holds its branch
 * back at start.
 */
typedef struct {
  SeedGraphNode *from, *to;
  guint input;   /* of to->inputs */
  gboolean live; /* data that cannot wait flows here */
  gboolean batches;
  guint frames;
  SeedLeak leak; /* never UNSET */
  int group;     /* index of the group that shares a queue in front of its tee, or -1 */
} SeedPlanLink;

typedef struct {
  SeedGraphNode *from;
  guint frames;
  SeedLeak leak; /* SEED_LEAK_NONE: the group needs no queue of its own */
} SeedPlanGroup;

typedef struct {
  const SeedGraph *graph;
  GArray *links;  /* SeedPlanLink, by consumer in the file's order, then by input */
  GArray *groups; /* SeedPlanGroup */
} SeedPlan;

#define SEED_PLAN_QUEUE_FRAMES 8  /* default for links that carry single frames */
#define SEED_PLAN_QUEUE_BATCHES 4 /* default for links that carry batches */

/** @graph must have passed seed_graph_check, and must outlive the plan. */
SeedPlan *seed_plan_new (const SeedGraph *graph);
void seed_plan_free (SeedPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedPlan, seed_plan_free)

/** Links that take their data from @node: indices into plan->links. */
GArray *seed_plan_outputs (const SeedPlan *plan, const SeedGraphNode *node);

/** Graphviz text of the plan: nodes, tees, links with the size of their queues. Caller frees. */
char *seed_plan_to_dot (const SeedPlan *plan);

G_END_DECLS
