/* SPDX-License-Identifier: MIT */
#pragma once

#include "anchors/pass.h"

/*
 * One pre-norm block of cross-attention (Vaswani et al. 2017, arXiv 1706.03762; in the order of the
 * encoder block of arXiv 2010.11929) and a norm behind it. Queries h [rows, d] look at the context
 * x [n_keys, d] of their image, which is taken as it is (a transformer's last norm is behind it):
 *
 *   q = Wq LN1 (h),  (k, v) = Wkv x,  h' = h + Wo concat_heads (softmax (q k^T / sqrt (d/H)) v)
 *   h'' = h' + W2 gelu (W1 LN2 (h')),  y = LN3 (h''),   each W with a bias
 *
 * It works on a few images at a time, so memory does not grow with the batch.
 */
typedef struct {
  SeedLayer norm1, norm2, norm3;
  SeedLayer q, kv, proj, fc1, fc2; /* kv: rows are all of k, then all of v */
  guint dim, heads, mlp_dim;
} SeedCrossLayers;

/* Queries before they meet a context: the same for every image, or n_queries for each. */
typedef struct {
  const real *x;              /* h [rows, d] */
  real *normed, *mean, *rstd; /* [rows, d], [rows], [rows] */
  real *q, *d_q;              /* [rows, d]; d_q is ADDED to when the queries are shared */
  gboolean shared;            /* rows = n_queries, else n_images n_queries */
} SeedCrossQueries;

typedef struct {
  SeedCrossLayers layers;

  /* of the last forward */
  guint n_images, n_queries, n_keys;
  const real *context;

  /* memory of the caller, for R = images * queries rows and C = images * keys */
  real *kv, *d_kv;                  /* [C, 2d] */
  real *probs, *d_probs;            /* [images, H, queries, keys] */
  real *attended, *mid, *normed;    /* [R, d] */
  real *mean2, *rstd2;              /* [R] */
  real *pre, *activated, *d_hidden; /* [R, m] */
  real *out, *mean3, *rstd3, *y;    /* [R, d], [R], [R], [R, d] */
  real *d_stream, *d_rows;          /* [R, d] */
} SeedCross;

/* From queries->x. @rows: of all of it. */
void seed_cross_queries (const SeedAnchorsPass *pass, const SeedCross *cross,
    const SeedCrossQueries *queries, guint rows);

/* @context [n_images, n_keys, d] must stay until the backward. Returns y [n_images, n_queries, d].
 */
const real *
seed_cross_forward (const SeedAnchorsPass *pass, SeedCross *cross, const SeedCrossQueries *queries,
    guint n_images, guint n_queries, const real *context, guint n_keys);

/*
 * Given dL/dy: gradients of the parameters behind the queries, queries->d_q; ADDS to @d_x (laid out
 * as queries->x) what flows past the attention, and to @d_context unless that is NULL.
 */
void seed_cross_backward (const SeedAnchorsPass *pass, SeedCross *cross,
    const SeedCrossQueries *queries, const real *d_y, real *d_x, real *d_context);

/* From queries->d_q: gradients of Wq and LN1; ADDS to @d_x. */
void seed_cross_queries_backward (const SeedAnchorsPass *pass, SeedCross *cross,
    const SeedCrossQueries *queries, guint rows, real *d_x);
