/* SPDX-License-Identifier: MIT */
#pragma once

#include "anchors/anchors.h"
#include "anchors/views.h"
#include "student/histogram.h"
#include "nn/layers.h"

/*
 * The image-anchor loss of a student (anchors/anchors.h, docs/anchors.md) on a batch of two views:
 * view 0 is the reference, seen whole by the moving average; of view 1, the query, the student sees
 * SEED_ANCHORS_KEPT of the words, SEED_ANCHORS_DROPPED of these without their position. From the
 * same pass the embedding learns to tell the reference's histogram (histogram.h).
 */
typedef struct {
  const real *ema;              /* flat, laid out as the parameters: the moving average */
  const SeedAnchorsView *views; /* [b, 2] */
  const guint64 *frames;        /* [b]: what tells distinct frames apart */
  const guint64 *draws;         /* [b]: seeds of the words kept of each query */
} SeedAnchorTermBatch;

/* A workspace for up to @max_items pairs. @params must outlive it. @backend NULL:
 * seed_backend_get. */
typedef struct _SeedAnchorTerm SeedAnchorTerm;

SeedAnchorTerm *seed_anchor_term_new (const SeedVitConfig *vit, const SeedAnchorsConfig *config,
    const SeedParams *params, guint max_items, const SeedBackend *backend, GError **error);
void seed_anchor_term_free (SeedAnchorTerm *term);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedAnchorTerm, seed_anchor_term_free)
gsize seed_anchor_term_memory_bytes (const SeedAnchorTerm *term);

/*
 * The reference pass and the assignment of a batch, a constant for the loss. @words: uint8 [b, 2,
 * N, 3*P*P]. SEED_ERROR_INVALID with too few distinct frames (seed_anchors_assign).
 */
gboolean seed_anchor_term_assign (SeedAnchorTerm *term, const real *values, const guint8 *words,
    const SeedAnchorTermBatch *batch, guint b, GError **error);

/*
 * After that, with the words still there: what there is of the anchors in @losses, and L_h. ADDS
 * @weight and @w_histogram times their gradients to @grads unless NULL.
 */
double seed_anchor_term_loss (SeedAnchorTerm *term, const real *values, const guint8 *words,
    double weight, double w_histogram, SeedAnchorsLosses *losses, real *grads);

/* Q [b, N, K] of the last assignment. */
const real *seed_anchor_term_get_assignment (const SeedAnchorTerm *term);
