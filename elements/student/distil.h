/* SPDX-License-Identifier: MIT */
#pragma once

#include "student/adaptor.h"
#include "student/embed-queue.h"
#include "student/student.h"

/*
 * What one teacher asks of a student: its summary adaptor, its token adaptor when it gives tokens,
 * and the losses on both. The summary adaptor starts from the student's representation, so that
 * every loss shapes what is published; the token adaptor from the rows of the words.
 *
 * Parameters "teacher.T.summary..." and "teacher.T.tokens...", see adaptor.h.
 */

typedef struct {
  guint summary_dim; /* D */
  guint token_dim;   /* Dt; 0: no tokens */
} SeedDistilTeacher;

typedef struct {
  guint embed_dim, hidden_dim, n_words; /* E, d, N of the student */
  double w_seed, w_feat;                /* a term of weight 0 is not computed */
} SeedDistilConfig;

/* What the teacher says of a batch, standardised, on the student's grid. */
typedef struct {
  const real *summary; /* [b, 2, D] */
  const real *tokens;  /* [b, 2, N, Dt], or NULL */
} SeedDistilTarget;

typedef struct {
  double seed, summary, tokens; /* of one item, or their mean: each without its weight */
} SeedDistilLosses;

typedef struct _SeedDistil SeedDistil;

void seed_distil_append_params (const SeedDistilConfig *config, const SeedDistilTeacher *teacher,
    guint index, SeedParams *params);

/* @queue: of unit rows of D, with w_seed > 0; the caller's, read by the loss. */
SeedDistil *seed_distil_new (const SeedDistilConfig *config, const SeedDistilTeacher *teacher,
    guint index, const SeedParams *params, const SeedEmbedQueue *queue, guint max_items,
    const SeedBackend *backend);
void seed_distil_free (SeedDistil *distil);
gsize seed_distil_memory_bytes (const SeedDistil *distil);

/*
 * @features: [b, 2, E], @tokens: [b, 2, N, d] of the student; both must stay until the way back.
 * @losses: [b], of each item, the mean over its views; written. @train: also keeps the gradients.
 */
void seed_distil_forward (SeedDistil *distil, const real *values, const real *features,
    const real *tokens, const SeedDistilTarget *target, guint b, gboolean train,
    SeedDistilLosses *losses);

/* w_seed seed + w_feat (summary + tokens) */
double seed_distil_weigh (const SeedDistil *distil, const SeedDistilLosses *losses);

/*
 * The gradient of mean_i keep_i weigh (losses_i): ADDS to @d_features, @d_tokens and @grads.
 * @keep: [b]; NULL: all 1.
 */
void seed_distil_backward (SeedDistil *distil, const real *values, const real *keep,
    real *d_features, real *d_tokens, real *grads);

/* The teacher's unit rows [b, 2, D] of the last forward, for the queue. */
const real *seed_distil_embeddings (const SeedDistil *distil);
