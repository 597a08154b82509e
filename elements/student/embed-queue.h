/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/layers.h"

/*
 * SEED (Fang et al., ICLR 2021, arXiv 2101.04731): a student is to be as near to each of K past
 * embeddings of a teacher as the teacher is. With d_0 = z_T, the teacher's own, and d_1..d_K the
 * queue:
 *
 *   L = - sum_j softmax_j (z_T . d / tau_T) log softmax_j (z_S . d / tau_S)
 *
 * The teacher is frozen, so there is no momentum encoder. All rows have unit length.
 */
typedef struct {
  guint dim, capacity;
  guint count, next; /* rows held, and where the next one goes: first in, first out */
  real *rows;        /* [capacity, dim] */
} SeedEmbedQueue;

#define SEED_EMBED_QUEUE_TAU_STUDENT 0.2
#define SEED_EMBED_QUEUE_TAU_TEACHER 0.01

void seed_embed_queue_init (SeedEmbedQueue *queue, guint dim, guint capacity);
void seed_embed_queue_clear (SeedEmbedQueue *queue);
/* Call after the loss of the batch that @rows [n, dim] belong to. */
void seed_embed_queue_push (SeedEmbedQueue *queue, const real *rows, guint n);

/* Elements of scratch for batches of up to @n rows. */
gsize seed_embed_queue_scratch_size (guint n, guint capacity);

/*
 * @z, @teacher: [n, dim] unit rows; @row_loss: [n], written; @d_z: [n, dim], @scale times the
 * gradient of every row's loss is written, or NULL. With an empty queue there is nothing to
 * compare with: loss and gradient are 0. A region: not to be called from a task.
 */
void seed_embed_queue_loss (const SeedEmbedQueue *queue, const SeedLayers *layers, const real *z,
    const real *teacher, guint n, double scale, real *row_loss, real *d_z, real *scratch);
