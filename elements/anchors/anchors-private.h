/* SPDX-License-Identifier: MIT */
#pragma once

#include "anchors/anchors.h"
#include "anchors/cross.h"

/*
 * Shapes below: B images, N reference words and M query words of each, K anchors of width E, d the
 * student's width, h the anchor head's hidden width. A chunk is what a few images take at a time.
 */

/* The anchor head: z = unit (W2 gelu (W1 x)). */
typedef struct {
  SeedLayer fc1, fc2;
  real *x;               /* [rows, d] */
  real *pre, *activated; /* [rows, h] */
  real *z, *norms;       /* [rows, E], [rows] */
  real *d_z, *d_hidden;  /* [rows, E], [rows, h] */
} SeedAnchorsHead;

struct _SeedAnchors {
  SeedAnchorsShape shape;
  SeedAnchorsConfig config;
  guint max_batch, max_query, n_words;
  guint chunk; /* images */
  SeedAnchorsPass pass;
  const SeedBackend *exact; /* for cosines with anchors */

  gsize anchors_offset;
  SeedAnchorsHead head; /* rows: the larger of B M and chunk N */
  SeedLayer project;    /* W */
  SeedCross cross;
  SeedLayer location, word_location;

  SeedCrossQueries of_anchors; /* [K] */
  SeedCrossQueries of_words;   /* a chunk's M */

  guint n_assigned;          /* images of the assignment, 0: none */
  SeedAnchorsRows reference; /* of the assignment */
  real *assignment;          /* Q [B, N, K] */
  real *columns;             /* [K] of Sinkhorn; p of the guard */
  guint64 *frames;           /* [B] */
  real *smoothing;           /* [N (v), N (u)]: G (u, v), rows sum to 1 */

  real *probs;       /* softmax (C z / temperature) [B, M, K], then dL/d(C z); or of a chunk's N */
  real *d_probs;     /* [B, M, K] */
  real *queries;     /* rows of words [B, M, d] */
  real *d_queries;   /* [B, M, d] */
  real *keys;        /* reference rows of a chunk [chunk, N, d] */
  real *logits;      /* [chunk, max (K, M), N]; becomes its gradient */
  real *targets;     /* [chunk, K, N] */
  real *d_rows;      /* [chunk, max (K, M), d] */
  real *anchor_rows; /* W c_k [K, d] */
  real *d_anchor_rows; /* [K, d] */
  double *row_losses;  /* [max (chunk max (K, M), B M)] */
  gboolean *hits;      /* [chunk, M] */

  void *memory;
  gsize memory_size;
};

/* anchors-params.c: finds the tensors of @params; those behind the head only when @all. */
gboolean seed_anchors_find_params (
    SeedAnchors *anchors, const SeedParams *params, gboolean all, GError **error);

/* head.c: @rows rows in head->x; z in head->z */
void seed_anchors_head_forward (const SeedAnchorsPass *pass, SeedAnchorsHead *head, guint rows);
/* head->d_z is dL/dz; ADDS to @d_x [rows, d]. */
void seed_anchors_head_backward (
    const SeedAnchorsPass *pass, SeedAnchorsHead *head, guint rows, real *d_x);
/* scores [rows, K] = z C^T */
void seed_anchors_scores (const SeedAnchors *anchors, const real *z, guint rows, real *scores);
/* Copies the words of @n images from @first on, [n, n_words, d]. */
void seed_anchors_gather (const SeedAnchors *anchors, const SeedAnchorsRows *rows, guint first,
    guint n, guint n_words, real *to);

/* Adds to the losses and, unless pass.grads is NULL, to gradients and d_queries. */
/* assignment.c: L_a and the guard */
void seed_anchors_assignment_loss (SeedAnchors *anchors, guint n_query, const gint32 *match,
    double weight, SeedAnchorsLosses *losses);
/* location.c: L_l and L_w */
void seed_anchors_location_loss (SeedAnchors *anchors, guint n_query, const gint32 *match,
    double weight, SeedAnchorsLosses *losses);
/* anchors->smoothing from config.sigma */
void seed_anchors_fill_smoothing (SeedAnchors *anchors);
