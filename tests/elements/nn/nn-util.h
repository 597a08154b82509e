/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "nn/vit.h"

/* What several tests of the transformer need. Works in either number type. */

static inline SeedVitConfig
tiny_config (guint image_size, guint patch_size, guint dim, guint depth, guint heads, guint mlp_dim)
{
  return (SeedVitConfig){ .image_size = image_size,
    .patch_size = patch_size,
    .dim = dim,
    .depth = depth,
    .heads = heads,
    .mlp_dim = mlp_dim,
    .ln_eps = 1e-6,
    .activation = SEED_ACTIVATION_GELU,
    .mean = { 0.4f, 0.5f, 0.6f },
    .std = { 0.2f, 0.3f, 0.4f } };
}

static inline real *
new_reals (gsize n)
{
  return g_new0 (real, MAX (n, 1));
}

static inline void
fill_normal (real *x, gsize n, double mean, double std, SeedRng *rng)
{
  for (gsize i = 0; i < n; i++)
    x[i] = (real) (float) (mean + std * seed_rng_normal (rng));
}

/*
 * Values large enough that every parameter matters in the result (a training start is not), and the
 * same in float and in double.
 */
static inline void
fill_params (const SeedParams *params, real *values, SeedRng *rng)
{
  for (guint i = 0; i < params->n; i++) {
    const SeedParam *param = &params->items[i];
    gboolean norm = param->n_dims == 1 && g_str_has_suffix (param->name, "weight");
    double std = param->n_dims == 2 ? 1 / sqrt ((double) param->shape[1]) : 0.3;

    fill_normal (values + param->offset, param->size, norm ? 1 : 0, std, rng);
  }
}

static inline guint8 *
random_words (const SeedVitConfig *config, guint n, SeedRng *rng)
{
  gsize size =
      (gsize) n * seed_vit_config_n_words (config) * 3 * config->patch_size * config->patch_size;
  guint8 *words = g_malloc (size);

  for (gsize i = 0; i < size; i++)
    words[i] = (guint8) seed_rng_below (rng, 256);
  return words;
}

/* max |a - b| / max |b|; NaN when either holds one. */
static inline double
relative_error (const real *a, const real *b, gsize n)
{
  double difference = 0, largest = 0;

  for (gsize i = 0; i < n; i++) {
    double d = fabs ((double) a[i] - (double) b[i]);

    if (isnan (d))
      return NAN;
    difference = MAX (difference, d);
    largest = MAX (largest, fabs ((double) b[i]));
  }
  return largest > 0 ? difference / largest : difference;
}

/* Fails on NaN too. */
#define assert_close(a, b, n, limit)                                                               \
  do {                                                                                             \
    double close_error_ = relative_error ((a), (b), (n));                                          \
    if (!(close_error_ <= (limit)))                                                                \
      g_error ("%s:%d: %s is %g away from %s, relative to its largest value; at most %g",          \
          __FILE__, __LINE__, #a, close_error_, #b, (double) (limit));                             \
  } while (0)
