/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/backend.h"
#include "nn/checkpoint.h"

/*
 * Image anchors: K unit vectors c_k that come to stand for what images are made of, learned without
 * teacher or labels by predicting which of them a word shows and where in the image they are (after
 * LOCA, arXiv 2212.02400, and DropPos, arXiv 2309.03576). The formulas are in docs/anchors.md.
 *
 * Two views of an image take part. The reference view is seen whole by the moving average of the
 * student, without gradient; of the query view the learning student sees a part of the words, most
 * of them without their position (seed_vit_run_subset, views.h). Both come here as the rows of
 * words behind the transformer's last norm.
 *
 * Parameters are appended to the student's flat table, in this order, linear weights [out, in]:
 *   anchors [K, E], unit rows
 *   anchor_head.fc1.weight [hidden, d], .fc1.bias, .fc2.weight [E, hidden], .fc2.bias
 *   anchor_query.weight [d, E]                                               (W)
 *   anchor_cross.norm1.weight, .bias [d]; .q.weight [d, d], .q.bias; .kv.weight [2d, d] (all of k,
 *     then all of v), .kv.bias; .proj.weight [d, d], .proj.bias; .norm2.weight, .bias; .fc1.weight
 *     [mlp, d], .fc1.bias; .fc2.weight [d, mlp], .fc2.bias
 *   anchor_norm.weight, .bias [d]
 *   anchor_location.weight [N, d], .bias [N]; anchor_word.weight [N, d], .bias [N]
 */
#define SEED_ANCHORS_N 256   /* K, unless a shape says otherwise */
#define SEED_ANCHORS_DIM 256 /* E */
#define SEED_ANCHORS_N_TENSORS 26
/* The first of them, anchors and anchor_head, are all that seed_anchors_describe needs. */
#define SEED_ANCHORS_N_DESCRIBING 5

typedef struct {
  guint n_anchors;  /* K */
  guint anchor_dim; /* E */
  guint dim;        /* d: width of the student's rows */
  guint grid;       /* words on a side of a view: N = grid^2 */
  guint heads;      /* of cross-attention; divides d */
  guint mlp_dim;    /* of the cross-attention block */
  guint head_dim;   /* hidden width of the anchor head */
  double ln_eps;
} SeedAnchorsShape;

/* For a student: 256 anchors of width 256, its grid and heads, MLPs as wide as its rows. */
void seed_anchors_shape_init (SeedAnchorsShape *shape, const SeedVitConfig *config);
/* SEED_ERROR_INVALID naming what is out of range. */
gboolean seed_anchors_shape_check (const SeedAnchorsShape *shape, GError **error);

void seed_anchors_append_params (const SeedAnchorsShape *shape, SeedParams *params);
/* The two parts of it: what serving needs, and what learning needs besides. */
void seed_anchors_append_describing (const SeedAnchorsShape *shape, SeedParams *params);
void seed_anchors_append_learning (const SeedAnchorsShape *shape, SeedParams *params);
/* The same as tensors of a checkpoint, for seed_checkpoint_load and _save. */
extern const SeedExtraTensor seed_anchors_tensors[SEED_ANCHORS_N_TENSORS];

typedef struct {
  double assignment_temperature; /* 0.05, of Sinkhorn */
  guint iterations;              /* 3, of Sinkhorn */
  double temperature;            /* 0.1, of a word's softmax over anchors */
  double sigma;     /* 1 cell of the reference grid: how far a target is spread; 0: not at all */
  guint min_frames; /* 16 distinct frames at least in a batch that is assigned */
  double w_location, w_word, w_assignment, w_guard; /* 1 each; parts of the total */
} SeedAnchorsConfig;

void seed_anchors_config_init (SeedAnchorsConfig *config);

/* A workspace; used by one thread at a time (the work itself is spread over seed_pool). */
typedef struct _SeedAnchors SeedAnchors;

/*
 * For up to @max_batch images, of whose query views up to @max_query words (1..N) are kept.
 * @max_query 0: for seed_anchors_describe alone, which then needs no more of @params than anchors
 * and anchor_head. SEED_ERROR_NOT_FOUND or SEED_ERROR_MISMATCH naming a tensor of @params that is
 * missing or of another shape, SEED_ERROR_LIMIT when there is no memory. Layers are multiplied by
 * @backend (NULL: seed_backend_get), cosines with anchors in float32 whatever it is: a temperature
 * of 0.05 makes 20 of 1.
 */
SeedAnchors *seed_anchors_new (const SeedAnchorsShape *shape, const SeedAnchorsConfig *config,
    const SeedParams *params, guint max_batch, guint max_query, const SeedBackend *backend,
    GError **error);
void seed_anchors_free (SeedAnchors *anchors);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedAnchors, seed_anchors_free)
gsize seed_anchors_memory_bytes (const SeedAnchors *anchors);

/* May change between steps; 0 <= sigma. */
void seed_anchors_set_sigma (SeedAnchors *anchors, double sigma);

/* c_k <- c_k / |c_k|: after initialisation, after loading, and after every step of an optimiser. */
void seed_anchors_normalise (const SeedAnchors *anchors, real *values);
/* The same without a workspace; nothing without the tensor "anchors" in @params. */
void seed_anchors_normalise_params (const SeedParams *params, real *values);

/* Rows of words: image i's word j is at @rows + i * @stride + j * d. */
typedef struct {
  const real *rows;
  gsize stride; /* from image to image, in numbers; N d, or more when other rows lie between */
} SeedAnchorsRows;

/*
 * Q of the batch: reference words [n, N] of the moving average through its anchor head (in
 * @ema_values) against the learning anchors (in @values), S_uk = z_u . c_k, made to sum to 1 over
 * anchors and to equal sums over words by Sinkhorn. It stays in the workspace, and so do
 * @reference's rows need to, until seed_anchors_loss is done.
 * @frames [n]: what tells distinct frames apart, such as a hash of stream and frame number.
 * SEED_ERROR_INVALID, and there is no assignment, with fewer than config.min_frames of them:
 * equal sums over anchors cannot be asked of a few frames.
 */
gboolean seed_anchors_assign (SeedAnchors *anchors, const real *values, const real *ema_values,
    const SeedAnchorsRows *reference, const guint64 *frames, guint n, GError **error);

/* Q [n, N, K] of the last assignment; valid until the next. */
const real *seed_anchors_get_assignment (const SeedAnchors *anchors);

typedef struct {
  double total;         /* the parts below with their weights */
  double location;      /* L_l: where in the reference anchors are, nats */
  double word_location; /* L_w: in which cell of the reference query words are, nats */
  double assignment;    /* L_a: which anchors query words show, nats; log K means nothing learned */
  double guard;         /* sum p log p of the mean p over query words: -log K at best, 0 at worst */
  double perplexity;    /* exp (H (p)), anchors in use: 1..K */
  double word_accuracy; /* share of matched words that are placed in the right cell */
  guint n_matched;      /* query words with a reference word under them */
} SeedAnchorsLosses;

/*
 * Losses of the query words [n, n_query] against the last assignment (of the same n). @match [n,
 * n_query]: the reference word that covers each, below N, or -1 (seed_anchors_match). Unless @grads
 * is NULL, ADDS @weight times the gradient of the total to @grads (flat, as @values) and to
 * @d_query, laid out as @query->rows. Nothing flows into the assignment or the reference rows.
 */
void seed_anchors_loss (SeedAnchors *anchors, const real *values, const SeedAnchorsRows *query,
    guint n_query, const gint32 *match, double weight, SeedAnchorsLosses *losses, real *grads,
    real *d_query);

/*
 * What a user gets. Of the words of @n images [n, N] (any n up to max_batch): @histogram [n, K],
 * the mean over words of softmax (C z / temperature), each sums to 1; @heat [n, K, N] (or NULL),
 * the share of each anchor in each cell in raster order, which sums to 1 over anchors. Allocates
 * nothing.
 */
void seed_anchors_describe (SeedAnchors *anchors, const real *values, const SeedAnchorsRows *words,
    guint n, float *histogram, float *heat);

/*
 * The cosines z_u . c_k that seed_anchors_describe takes the softmax of: of the words of @n images
 * [n, N] (any n up to max_batch), @cosines [n, N, K]. Allocates nothing.
 */
void seed_anchors_cosines (
    SeedAnchors *anchors, const real *values, const SeedAnchorsRows *words, guint n, real *cosines);
