/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/rng.h>

/*
 * Samples for tests: a mixture of Gaussians with correlated dimensions. Teachers that see the same
 * images share the latent sample and differ in how they mix it.
 */
typedef struct {
  guint dim, latent;
  double *mix;    /* [dim, latent] */
  double *offset; /* [dim]: summaries are not centred */
} Mixture;

#define MIXTURE_COMPONENTS 3

static inline void
mixture_init (Mixture *m, guint dim, guint latent, guint64 seed)
{
  SeedRng rng;

  seed_rng_init (&rng, seed);
  m->dim = dim;
  m->latent = latent;
  m->mix = g_new (double, (gsize) dim *latent);
  m->offset = g_new (double, dim);
  for (guint i = 0; i < dim * latent; i++)
    m->mix[i] = seed_rng_normal (&rng) / (1 + i % latent);
  for (guint i = 0; i < dim; i++)
    m->offset[i] = 0.5 * seed_rng_normal (&rng);
}

static inline void
mixture_clear (Mixture *m)
{
  g_free (m->mix);
  g_free (m->offset);
}

/* Latent samples [n, latent]. */
static inline double *
mixture_latent (guint n, guint latent, guint64 seed)
{
  double *z = g_new (double, (gsize) n *latent);
  SeedRng rng;

  seed_rng_init (&rng, seed);
  for (guint r = 0; r < n; r++) {
    double centre = 1.5 * ((double) seed_rng_below (&rng, MIXTURE_COMPONENTS) - 1);

    for (guint i = 0; i < latent; i++)
      z[(gsize) r * latent + i] = seed_rng_normal (&rng) + (i % 2 ? centre : -centre);
  }
  return z;
}

/* What a teacher makes of them: float32 [n, dim]. */
static inline float *
mixture_observe (const Mixture *m, const double *z, guint n)
{
  float *x = g_new (float, (gsize) n * m->dim);

  for (guint r = 0; r < n; r++) {
    for (guint d = 0; d < m->dim; d++) {
      double sum = m->offset[d];

      for (guint i = 0; i < m->latent; i++)
        sum += m->mix[d * m->latent + i] * z[(gsize) r * m->latent + i];
      x[(gsize) r * m->dim + d] = (float) sum;
    }
  }
  return x;
}

static inline float *
mixture_sample (const Mixture *m, guint n, guint64 seed)
{
  g_autofree double *z = mixture_latent (n, m->latent, seed);

  return mixture_observe (m, z, n);
}
