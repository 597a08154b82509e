/* SPDX-License-Identifier: MIT */
#include "nn/vit-private.h"

void
seed_vit_activation (const SeedVit *vit, const void *x, gsize n, void *y)
{
  if (vit->rows_type == SEED_ROWS_BF16)
    vit->kernels->activation_bf16[vit->config.activation](x, n, y);
  else
    vit->kernels->activation[vit->config.activation](x, n, y);
}

void
seed_vit_activation_backward (const SeedVit *vit, const void *x, gsize n, void *d, void *y)
{
  if (vit->rows_type == SEED_ROWS_BF16)
    vit->kernels->activation_backward_bf16[vit->config.activation](x, n, d, y);
  else
    vit->kernels->activation_backward[vit->config.activation](x, d, n, d, y);
}

/* first = f (first) * second */
static void
gate (const SeedVit *vit, real *first, const real *second, gsize n)
{
  vit->kernels->activation[vit->config.activation](first, n, first);
  for (gsize i = 0; i < n; i++)
    first[i] *= second[i];
}

#define PART 256 /* values on the stack */

void
seed_vit_gate (const SeedVit *vit, void *row, gsize n)
{
  real first[PART], second[PART];
  SeedBf16 *halves = row;

  if (vit->rows_type == SEED_ROWS_REAL) {
    gate (vit, row, (real *) row + n, n);
    return;
  }
  for (gsize i = 0; i < n; i += PART) {
    gsize size = MIN (PART, n - i);

    vit->kernels->from_bf16 (halves + i, size, first);
    vit->kernels->from_bf16 (halves + n + i, size, second);
    gate (vit, first, second, size);
    vit->kernels->to_bf16 (first, size, halves + i);
  }
}
