/* SPDX-License-Identifier: MIT */
#include "nn/vit-private.h"

/*
 * Kernels that know `real` alone, over rows of either type: those in bfloat16 go through a few
 * values on the stack.
 */
#define PART 256

void
seed_vit_activation (const SeedVit *vit, const void *x, gsize n, void *y)
{
  real values[PART];

  if (vit->rows_type == SEED_ROWS_REAL) {
    vit->kernels->activation[vit->config.activation](x, n, y);
    return;
  }
  for (gsize i = 0; i < n; i += PART) {
    gsize size = MIN (PART, n - i);

    vit->kernels->from_bf16 ((const SeedBf16 *) x + i, size, values);
    vit->kernels->activation[vit->config.activation](values, size, values);
    vit->kernels->to_bf16 (values, size, (SeedBf16 *) y + i);
  }
}

void
seed_vit_activation_backward (const SeedVit *vit, const void *x, gsize n, void *d, void *y)
{
  real x_values[PART], d_values[PART], y_values[PART];

  if (vit->rows_type == SEED_ROWS_REAL) {
    vit->kernels->activation_backward[vit->config.activation](x, d, n, d, y);
    return;
  }
  for (gsize i = 0; i < n; i += PART) {
    gsize size = MIN (PART, n - i);

    vit->kernels->from_bf16 ((const SeedBf16 *) x + i, size, x_values);
    vit->kernels->from_bf16 ((const SeedBf16 *) d + i, size, d_values);
    vit->kernels->activation_backward[vit->config.activation](
        x_values, d_values, size, d_values, y_values);
    vit->kernels->to_bf16 (d_values, size, (SeedBf16 *) d + i);
    vit->kernels->to_bf16 (y_values, size, (SeedBf16 *) y + i);
  }
}

/* first = f (first) * second */
static void
gate (const SeedVit *vit, real *first, const real *second, gsize n)
{
  vit->kernels->activation[vit->config.activation](first, n, first);
  for (gsize i = 0; i < n; i++)
    first[i] *= second[i];
}

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
