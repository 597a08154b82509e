/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "student/adaptor.h"

enum { IN, NORM1, FC1, FC2, NORM2, OUT, N_LAYERS };

static const char *const layer_names[N_LAYERS] = { ".in", ".norm1", ".fc1", ".fc2", ".norm2",
  ".out" };

struct _SeedAdaptor {
  SeedLayers layers;
  SeedLayer layer[N_LAYERS];
  gsize max_rows;
  guint rows;
  const real *x;
  real *a, *normed1, *pre1, *r, *pre2; /* [max_rows, hidden] */
  real *hidden, *d1, *d2;              /* [max_rows, hidden], scratch */
  real *stats1, *stats2;               /* [2, max_rows] */
  real *y;                             /* [max_rows, out] */
};

void
seed_adaptor_append_params (SeedParams *params, const char *name, guint in, guint hidden, guint out)
{
  for (guint i = 0; i < N_LAYERS; i++) {
    g_autofree char *full = g_strconcat (name, layer_names[i], NULL);

    if (i == NORM1 || i == NORM2)
      seed_layer_append_norm (params, full, hidden);
    else
      seed_layer_append_linear (params, full, i == OUT ? out : hidden, i == IN ? in : hidden);
  }
}

SeedAdaptor *
seed_adaptor_new (
    const SeedParams *params, const char *name, gsize max_rows, const SeedBackend *backend)
{
  SeedAdaptor *adaptor = g_new0 (SeedAdaptor, 1);
  gsize hidden;

  adaptor->layers = seed_layers (backend);
  adaptor->max_rows = max_rows;
  for (guint i = 0; i < N_LAYERS; i++) {
    g_autofree char *full = g_strconcat (name, layer_names[i], NULL);

    adaptor->layer[i] = seed_layer_find (params, full);
  }
  hidden = max_rows * adaptor->layer[IN].out;
  adaptor->a = seed_reals_new (hidden);
  adaptor->normed1 = seed_reals_new (hidden);
  adaptor->pre1 = seed_reals_new (hidden);
  adaptor->r = seed_reals_new (hidden);
  adaptor->pre2 = seed_reals_new (hidden);
  adaptor->hidden = seed_reals_new (hidden);
  adaptor->d1 = seed_reals_new (hidden);
  adaptor->d2 = seed_reals_new (hidden);
  adaptor->stats1 = seed_reals_new (2 * max_rows);
  adaptor->stats2 = seed_reals_new (2 * max_rows);
  adaptor->y = seed_reals_new (max_rows * adaptor->layer[OUT].out);
  return adaptor;
}

void
seed_adaptor_free (SeedAdaptor *adaptor)
{
  if (!adaptor)
    return;
  g_aligned_free (adaptor->a);
  g_aligned_free (adaptor->normed1);
  g_aligned_free (adaptor->pre1);
  g_aligned_free (adaptor->r);
  g_aligned_free (adaptor->pre2);
  g_aligned_free (adaptor->hidden);
  g_aligned_free (adaptor->d1);
  g_aligned_free (adaptor->d2);
  g_aligned_free (adaptor->stats1);
  g_aligned_free (adaptor->stats2);
  g_aligned_free (adaptor->y);
  g_free (adaptor);
}

gsize
seed_adaptor_memory_bytes (const SeedAdaptor *adaptor)
{
  return adaptor->max_rows * (8 * (gsize) adaptor->layer[IN].out + 4 + adaptor->layer[OUT].out) *
         sizeof (real);
}

const real *
seed_adaptor_forward (SeedAdaptor *adaptor, const real *values, const real *x, guint rows)
{
  const SeedLayers *layers = &adaptor->layers;
  const SeedLayer *layer = adaptor->layer;
  guint h = layer[IN].out;
  gsize n = (gsize) rows * h;

  g_return_val_if_fail (rows <= adaptor->max_rows, NULL);

  adaptor->x = x;
  adaptor->rows = rows;
  seed_linear_forward (layers, &layer[IN], values, x, layer[IN].in, rows, adaptor->a);
  seed_norm_forward (layers, &layer[NORM1], values, adaptor->a, rows, adaptor->normed1,
      adaptor->stats1, adaptor->stats1 + rows);
  seed_linear_forward (layers, &layer[FC1], values, adaptor->normed1, h, rows, adaptor->pre1);
  seed_gelu_forward (layers, adaptor->pre1, n, adaptor->hidden);
  seed_linear_forward (layers, &layer[FC2], values, adaptor->hidden, h, rows, adaptor->r);
  seed_add_forward (layers, adaptor->a, n, adaptor->r);
  seed_norm_forward (layers, &layer[NORM2], values, adaptor->r, rows, adaptor->pre2,
      adaptor->stats2, adaptor->stats2 + rows);
  seed_gelu_forward (layers, adaptor->pre2, n, adaptor->hidden);
  seed_linear_forward (layers, &layer[OUT], values, adaptor->hidden, h, rows, adaptor->y);
  return adaptor->y;
}

/* d2 = dL/dr, given dL/dy */
static void
output_backward (SeedAdaptor *adaptor, const real *values, const real *dy, real *grads)
{
  const SeedLayers *layers = &adaptor->layers;
  const SeedLayer *layer = adaptor->layer;
  guint h = layer[IN].out, rows = adaptor->rows;
  gsize n = (gsize) rows * h;

  /* what gelu made is needed before its gradient is known: once more is cheaper than keeping it */
  seed_gelu_forward (layers, adaptor->pre2, n, adaptor->hidden);
  seed_linear_backward (layers, &layer[OUT], values, adaptor->hidden, h, dy, rows,
      SEED_GRADIENT_SET, adaptor->d1, h, grads);
  seed_gelu_backward (layers, adaptor->pre2, n, adaptor->d1, adaptor->hidden);
  seed_norm_backward (layers, &layer[NORM2], values, adaptor->r, rows, adaptor->stats2,
      adaptor->stats2 + rows, adaptor->d1, SEED_GRADIENT_SET, adaptor->d2, grads);
}

void
seed_adaptor_backward (
    SeedAdaptor *adaptor, const real *values, const real *dy, real *dx, real *grads)
{
  const SeedLayers *layers = &adaptor->layers;
  const SeedLayer *layer = adaptor->layer;
  guint h = layer[IN].out, rows = adaptor->rows;
  gsize n = (gsize) rows * h;

  output_backward (adaptor, values, dy, grads);
  seed_gelu_forward (layers, adaptor->pre1, n, adaptor->hidden);
  seed_linear_backward (layers, &layer[FC2], values, adaptor->hidden, h, adaptor->d2, rows,
      SEED_GRADIENT_SET, adaptor->d1, h, grads);
  seed_gelu_backward (layers, adaptor->pre1, n, adaptor->d1, adaptor->hidden);
  seed_linear_backward (layers, &layer[FC1], values, adaptor->normed1, h, adaptor->d1, rows,
      SEED_GRADIENT_SET, adaptor->hidden, h, grads);
  seed_norm_backward (layers, &layer[NORM1], values, adaptor->a, rows, adaptor->stats1,
      adaptor->stats1 + rows, adaptor->hidden, SEED_GRADIENT_ADD, adaptor->d2,
      grads); /* beside what the residual brings */
  seed_linear_backward (layers, &layer[IN], values, adaptor->x, layer[IN].in, adaptor->d2, rows,
      SEED_GRADIENT_ADD, dx, layer[IN].in, grads);
}
