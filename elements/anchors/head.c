/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "anchors/anchors-private.h"

void
seed_anchors_head_forward (const SeedAnchorsPass *pass, SeedAnchorsHead *head, guint rows)
{
  seed_pass_linear (pass, &head->fc1, head->x, rows, head->pre);
  seed_gelu_forward (&pass->layers, head->pre, (gsize) rows * head->fc1.out, head->activated);
  seed_pass_linear (pass, &head->fc2, head->activated, rows, head->z);
  seed_unit_rows (head->z, rows, head->fc2.out, head->norms);
}

void
seed_anchors_head_backward (
    const SeedAnchorsPass *pass, SeedAnchorsHead *head, guint rows, real *d_x)
{
  seed_unit_rows_backward (head->z, head->norms, rows, head->fc2.out, head->d_z);
  seed_pass_linear_backward (
      pass, &head->fc2, head->activated, head->d_z, rows, SEED_GRADIENT_SET, head->d_hidden);
  seed_gelu_backward (
      &pass->layers, head->pre, (gsize) rows * head->fc1.out, head->d_hidden, head->activated);
  seed_pass_linear_backward (
      pass, &head->fc1, head->x, head->d_hidden, rows, SEED_GRADIENT_ADD, d_x);
}

void
seed_anchors_scores (const SeedAnchors *anchors, const real *z, guint rows, real *scores)
{
  guint k = anchors->shape.n_anchors, e = anchors->shape.anchor_dim;
  SeedGemm gemm = { .transpose_b = TRUE,
    .m = rows,
    .n = k,
    .k = e,
    .alpha = 1,
    .a = z,
    .stride_a = e,
    .b = anchors->pass.values + anchors->anchors_offset,
    .stride_b = e,
    .c = scores,
    .stride_c = k };

  anchors->exact->gemm (&gemm);
}

void
seed_anchors_gather (const SeedAnchors *anchors, const SeedAnchorsRows *rows, guint first, guint n,
    guint n_words, real *to)
{
  gsize size = (gsize) n_words * anchors->shape.dim;

  for (guint i = 0; i < n; i++)
    memcpy (to + i * size, rows->rows + (first + i) * rows->stride, size * sizeof *to);
}
