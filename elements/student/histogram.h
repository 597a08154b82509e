/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/layers.h"

/*
 * What gives the embedding of a student that learns image anchors its meaning: from what it sees of
 * the query view it tells which anchors the reference view shows, and how much of each (after
 * OBoW, Gidaris et al. 2021, arXiv 2012.11552, with anchors as visual words, and the masked views
 * of MSN, Assran et al. 2022, arXiv 2204.07141). With z_i the unit embedding of the query and
 * t_i = mean over the reference's words u of Q_iu, a constant:
 *
 *   L_h = mean_i KL(t_i | softmax (W sqrt (E) z_i + b))
 *
 * Parameters: the student's "embed_head", and "anchor_histogram" (Linear E -> K).
 */
void seed_histogram_append_params (guint n_anchors, guint embed_dim, SeedParams *params);

/* A workspace for up to @max_items images; used by one thread at a time. */
typedef struct _SeedHistogramTerm SeedHistogramTerm;

SeedHistogramTerm *
seed_histogram_new (const SeedParams *params, guint max_items, const SeedBackend *backend);
void seed_histogram_free (SeedHistogramTerm *term);
gsize seed_histogram_memory_bytes (const SeedHistogramTerm *term);

/*
 * @cls: CLS rows of the query [n], @stride reals from one to the next. @assignment: Q [n, n_words,
 * K], rows sum to 1. Returns L_h in nats; unless @grads is NULL, ADDS @weight times its gradient to
 * @grads and to the rows of @d_cls, laid out as @cls.
 */
double
seed_histogram_loss (SeedHistogramTerm *term, const real *values, const real *cls, gsize stride,
    const real *assignment, guint n_words, guint n, double weight, real *grads, real *d_cls);
