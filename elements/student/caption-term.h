/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/layers.h"

/*
 * The contrastive loss of a student with what is said of its images (contrast.h): unit embeddings
 * of both views against "text_head" of a text encoder's embeddings, made unit, with a learned
 * temperature, "captions.scale". Mean over the views.
 */
typedef struct _SeedCaptionTerm SeedCaptionTerm;

/* For up to @max_items images of two views. @params must outlive it. */
SeedCaptionTerm *
seed_caption_term_new (const SeedParams *params, guint max_items, const SeedBackend *backend);
void seed_caption_term_free (SeedCaptionTerm *term);
gsize seed_caption_term_memory_bytes (const SeedCaptionTerm *term);

typedef struct {
  guint b;
  const real *z;               /* [b, 2, E] unit rows */
  const real *captions;        /* [b, D] embeddings of texts */
  const gboolean *has_caption; /* [b]; NULL: all have */
} SeedCaptionTermBatch;

/*
 * The loss in nats, NAN with fewer than two captions; *@n_captioned: items that have one; *@scale:
 * e^s. Unless @grads is NULL, ADDS @weight times the gradient to @grads and to @d_z [b, 2, E].
 */
double seed_caption_term_loss (SeedCaptionTerm *term, const real *values,
    const SeedCaptionTermBatch *batch, double weight, guint *n_captioned, double *scale,
    real *grads, real *d_z);
