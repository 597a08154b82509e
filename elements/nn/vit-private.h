/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/kernels.h"
#include "nn/split.h"
#include "nn/vit-layout.h"
#include "nn/vit-weights.h"

/*
 * Shapes below: n images, T tokens (those before the words and N words), R = n T rows, d the width,
 * m the MLP's, g what fc1 gives (m, or 2 m when gated), H heads of width e = d / H.
 */

/* The linear layers of a block, in SeedVitWeights. */
typedef enum {
  SEED_VIT_QKV,
  SEED_VIT_PROJ,
  SEED_VIT_FC1,
  SEED_VIT_FC2,
  SEED_VIT_N_LINEARS,
} SeedVitLinear;

struct _SeedVitWeights {
  const SeedBackend *backend;
  const real *values; /* what is packed, or NULL; laid out as layout says */
  real *own_values;   /* values, when they are a copy without what is packed */
  gsize own_size;     /* bytes */
  SeedVitLayout layout;
  guint depth;
  SeedPackedLinear *patch;
  SeedPackedLinear *(*block)[SEED_VIT_N_LINEARS]; /* [depth] */

  /* Attention pooling (else 0 and NULL), see vit-summary.c. */
  guint pool_heads, pool_dim;
  real *pool_scores; /* [pool_heads, pool_dim] */
};

void seed_vit_weights_pack (SeedVitWeights *weights, const real *values);

/*
 * What a block computes and its backward pass needs again. For inference all blocks share one, and
 * in, mid and out are the same memory. Normalised rows and activated values are not kept: they are
 * cheap to compute again from mean and rstd, and beside the slope of the activation.
 */
typedef struct {
  real *in, *mid, *out; /* [R, d] residual stream before, within and after the block */
  real *mean1, *rstd1;  /* [R] */
  real *mean2, *rstd2;  /* [R] */
  real *qkv;            /* [R, 3d] */
  real *probs;          /* [n, H, T, T]; NULL: not kept, or computed again for the backward pass */
  real *attended;       /* [R, d] */
  void *pre;            /* [R, m] of rows_type, before the activation, NULL for inference */
} SeedVitBlock;

struct _SeedVit {
  SeedVitConfig config;
  guint max_batch, max_words, n_prefix, word_size, head_dim, mlp_in;
  guint n_words, n_tokens; /* of each image of the last forward; the largest before the first */
  SeedVitSubset subset;    /* of the last forward; n_words 0: all words */
  gboolean train;
  const SeedBackend *backend;
  const SeedKernels *kernels;
  SeedRowsType rows_type;  /* of what lies between two layers, outside the residual stream */
  SeedVitWeights *weights; /* packed anew by seed_vit_forward */
  const SeedVitLayout *layout;

  guint n; /* images of the last forward */

  void *memory;
  gsize memory_size;
  SeedVitBlock *blocks; /* [depth] */
  void *word_values;    /* [n N, word] of rows_type */
  real *embedded;       /* [n N, d]; also its gradient */
  void *normed;         /* [R, d] of rows_type */
  void *hidden;         /* [R, g] of rows_type */
  real *mean, *rstd;    /* [R] of the final norm */
  real *out;            /* [R, d] */
  real *scratch;        /* [n_chunks, scratch_size] of attention */
  gsize scratch_size;
  guint n_chunks; /* tasks of attention */

  /* of the summary; the first three with attention pooling alone */
  real *pool_probs;  /* [n, H, T] */
  real *pool_mixed;  /* [n, H, d] */
  real *pool_hidden; /* [n, m] */
  real *pooled;      /* [n, d] */
  real *pool_normed; /* [n, d] */

  /* backward only */
  real *d_stream; /* [R, d] */
  real *d_rows;   /* [R, d] */
  void *d_qkv;    /* [R, 3d] of rows_type */
  void *d_hidden; /* [R, m] of rows_type */
  real *d_part;   /* [R, d] */
  guint n_slots;  /* see vit-backward.c */
  gsize slot_size;
  real *slot_grads; /* [n_slots, slot_size] */
};

#define SEED_VIT_MAX_SLOTS 16
#define SEED_VIT_BACKWARD_ROWS 200  /* at a time between two attentions */
#define SEED_VIT_ATTENTION_ROWS 128 /* of queries at a time */

/* vit-attention.c: regions over (image, head[, block of queries]) */
void seed_vit_attention_forward (SeedVit *vit, const SeedVitBlock *block);
/* @d_attended [R, d] -> @d_qkv [R, 3d], written */
void seed_vit_attention_backward (
    SeedVit *vit, const SeedVitBlock *block, const real *d_attended, void *d_qkv);

/* Row @row of a matrix of @columns in rows_type. */
static inline void *
seed_vit_row (const SeedVit *vit, const void *rows, gsize row, gsize columns)
{
  return (void *) seed_rows_at (vit->rows_type, rows, row * columns);
}

/* vit-subset.c: the rows of an image's words [n_words, d], each plus its position if it keeps it */
void seed_vit_subset_positions (const SeedVit *vit, const real *positions, guint image, real *rows);
/* ADDS to @grads [T, d] what every row of d_stream says of its position. */
void seed_vit_subset_positions_backward (const SeedVit *vit, real *grads);
/* Row @row of all kept words: where its word is in @words. */
const guint8 *seed_vit_subset_word (const SeedVit *vit, const guint8 *words, gsize row);

/* What the last forward returned. */
const real *seed_vit_rows (const SeedVit *vit);

/* What the forward pass and the summary share: rows of any number, mean and rstd as in the kernel.
 */
void seed_vit_norm_rows (const SeedVit *vit, const real *x, guint rows, const real *gamma,
    const real *beta, real *y, real *mean, real *rstd);

/* vit-summary.c: fills weights->pool_scores from weights->values */
void seed_vit_summary_prepare (SeedVitWeights *weights);

/* vit-rows.c: over @n elements of rows_type */
void seed_vit_activation (const SeedVit *vit, const void *x, gsize n, void *y);
/* @d: dL/dy becomes dL/dx; @y = f(x) once more */
void seed_vit_activation_backward (const SeedVit *vit, const void *x, gsize n, void *d, void *y);
/* @row [2n]: the first half becomes f (first half) * second half */
void seed_vit_gate (const SeedVit *vit, void *row, gsize n);

/* Tasks for @rows rows of light work: a pure function of the two. */
guint seed_vit_row_tasks (gsize rows);
