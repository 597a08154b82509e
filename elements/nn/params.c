/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/vit.h"

#define OFFSET_ALIGN 16 /* elements, so that every tensor starts a cache line in float */
#define INIT_STD 0.02
#define INIT_CUT 2.0 /* standard deviations */

void
seed_params_init (SeedParams *params)
{
  *params = (SeedParams){ 0 };
}

void
seed_params_clear (SeedParams *params)
{
  g_free (params->items);
  seed_params_init (params);
}

guint
seed_params_append (
    SeedParams *params, const char *name, gboolean decay, guint n_dims, const gsize *shape)
{
  SeedParam param = { .n_dims = n_dims, .offset = params->total, .size = 1, .decay = decay };

  g_assert (n_dims >= 1 && n_dims <= G_N_ELEMENTS (param.shape));
  g_assert (strlen (name) < sizeof param.name);
  g_strlcpy (param.name, name, sizeof param.name);
  for (guint i = 0; i < n_dims; i++) {
    param.shape[i] = shape[i];
    param.size *= shape[i];
  }
  params->items = g_renew (SeedParam, params->items, params->n + 1);
  params->items[params->n] = param;
  params->total += (param.size + OFFSET_ALIGN - 1) / OFFSET_ALIGN * OFFSET_ALIGN;
  return params->n++;
}

const SeedParam *
seed_params_lookup (const SeedParams *params, const char *name)
{
  for (guint i = 0; i < params->n; i++)
    if (strcmp (params->items[i].name, name) == 0)
      return &params->items[i];
  return NULL;
}

static double
truncated_normal (SeedRng *rng)
{
  double x;

  do
    x = seed_rng_normal (rng);
  while (fabs (x) > INIT_CUT);
  return x;
}

void
seed_params_init_random (const SeedParams *params, real *values, SeedRng *rng)
{
  memset (values, 0, params->total * sizeof *values); /* biases, and the gaps between tensors */
  for (guint i = 0; i < params->n; i++) {
    const SeedParam *param = &params->items[i];
    real *dest = values + param->offset;

    if (g_str_has_suffix (param->name, "bias"))
      continue;
    /* only a norm has a weight of one dimension */
    if (param->n_dims == 1 && g_str_has_suffix (param->name, "weight"))
      for (gsize j = 0; j < param->size; j++)
        dest[j] = 1;
    else
      for (gsize j = 0; j < param->size; j++)
        dest[j] = (real) (INIT_STD * truncated_normal (rng));
  }
}
