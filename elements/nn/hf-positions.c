/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "nn/hf-positions.h"

/* R. Keys, "Cubic convolution interpolation for digital image processing", 1981 */
static double
cubic (double x, double a)
{
  x = fabs (x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2)
    return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/* Adds to @weights [old] what output @i takes of each sample. */
static void
weigh_clamped (double *weights, guint old, guint i, double scale)
{
  double at = (i + 0.5) * scale - 0.5, first = floor (at);

  for (int k = -1; k <= 2; k++) {
    int sample = (int) first + k;

    weights[CLAMP (sample, 0, (int) old - 1)] += cubic (at - first - k, -0.75);
  }
}

static void
weigh_antialiased (double *weights, guint old, guint i, double scale)
{
  double width = MAX (scale, 1), centre = (i + 0.5) * scale, sum = 0;
  guint from = (guint) MAX (centre - 2 * width + 0.5, 0);
  guint to = (guint) MIN (centre + 2 * width + 0.5, old);

  for (guint k = from; k < to; k++)
    sum += weights[k] = cubic ((k - centre + 0.5) / width, -0.5);
  for (guint k = from; k < to; k++)
    weights[k] /= sum;
}

/* [new, old] */
static double *
make_weights (guint old, guint new, gboolean antialias)
{
  double *weights = g_new0 (double, (gsize) new *old);

  for (guint i = 0; i < new; i++)
    (antialias ? weigh_antialiased : weigh_clamped) (
        weights + (gsize) i * old, old, i, (double) old / new);
  return weights;
}

/* @to [new, n] = @weights [new, old] @from [old, n] */
static void
apply (const double *weights, const float *from, guint old, float *to, guint new, gsize n)
{
  g_autofree double *sum = g_new (double, n);

  for (guint i = 0; i < new; i++) {
    for (gsize j = 0; j < n; j++)
      sum[j] = 0;
    for (guint k = 0; k < old; k++) {
      double weight = weights[(gsize) i * old + k];

      for (gsize j = 0; weight != 0 && j < n; j++)
        sum[j] += weight * from[k * n + j];
    }
    for (gsize j = 0; j < n; j++)
      to[i * n + j] = (float) sum[j];
  }
}

void
seed_hf_positions_resample (
    const float *from, guint old_side, float *to, guint new_side, guint dim, gboolean antialias)
{
  g_autofree double *weights = make_weights (old_side, new_side, antialias);
  g_autofree float *rows = g_new (float, (gsize) new_side *old_side *dim);

  /* whole rows of the grid, then the columns of each */
  apply (weights, from, old_side, rows, new_side, (gsize) old_side * dim);
  for (guint y = 0; y < new_side; y++)
    apply (weights, rows + (gsize) y * old_side * dim, old_side, to + (gsize) y * new_side * dim,
        new_side, dim);
}
