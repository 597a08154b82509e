/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/pool.h>

#include "student/mixup.h"

/* Gamma (shape, 1) by Marsaglia and Tsang (2000); below 1 by their boost. */
static double
draw_gamma (SeedRng *rng, double shape)
{
  double d, c;

  if (shape < 1) {
    double u = 1 - seed_rng_uniform (rng);

    return draw_gamma (rng, shape + 1) * pow (u, 1 / shape);
  }
  d = shape - 1.0 / 3;
  c = 1 / sqrt (9 * d);
  for (;;) {
    double x = seed_rng_normal (rng), v = 1 + c * x, u = 1 - seed_rng_uniform (rng);

    v = v * v * v;
    if (v > 0 && log (u) < 0.5 * x * x + d - d * v + d * log (v))
      return d * v;
  }
}

double
seed_mixup_share (SeedRng *rng, double alpha)
{
  double a = draw_gamma (rng, alpha), b = draw_gamma (rng, alpha);

  return a + b > 0 ? a / (a + b) : 0.5; /* both underflow for a tiny alpha */
}

typedef struct {
  const guint8 *words;
  guint8 *mixed;
  gsize item_size;
  const guint *partner;
  guint share; /* of 256 */
} Mix;

static void
mix_task (guint item, gpointer data)
{
  const Mix *mix = data;
  const guint8 *a = mix->words + item * mix->item_size;
  const guint8 *b = mix->words + mix->partner[item] * mix->item_size;
  guint8 *out = mix->mixed + item * mix->item_size;

  if (a == b)
    memcpy (out, a, mix->item_size);
  else
    for (gsize k = 0; k < mix->item_size; k++)
      out[k] = (guint8) ((a[k] * mix->share + b[k] * (256 - mix->share) + 128) >> 8);
}

double
seed_mixup (SeedRng *rng, double alpha, const guint8 *words, gsize item_size, const gint32 *labels,
    guint n, guint8 *mixed, gint32 *others)
{
  g_autofree guint *partner = g_new (guint, n), *labelled = g_new (guint, n);
  double share = seed_mixup_share (rng, alpha);
  Mix mix = { words, mixed, item_size, partner, (guint) lround (share * 256) };
  guint n_labelled = 0;

  for (guint i = 0; i < n; i++) {
    partner[i] = i;
    if (labels[i] >= 0)
      labelled[n_labelled++] = i;
  }
  /* a random order of the labelled: each is mixed with the one that took its place */
  for (guint i = 0, at = n_labelled; i < n_labelled; i++, at--) {
    guint from = (guint) seed_rng_below (rng, at), taken = labelled[from];

    labelled[from] = labelled[at - 1];
    labelled[at - 1] = taken;
  }
  for (guint i = 0, k = 0; i < n; i++)
    if (labels[i] >= 0)
      partner[i] = labelled[k++];
  for (guint i = 0; i < n; i++)
    others[i] = labels[partner[i]];
  seed_pool_run (n, mix_task, &mix);
  return mix.share / 256.0;
}
