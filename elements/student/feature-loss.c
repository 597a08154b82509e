/* SPDX-License-Identifier: MIT */
#include "student/feature-loss.h"

#define TINY 1e-12

const SeedFeatureWeights seed_feature_summary = { .w_cos = 1 };
const SeedFeatureWeights seed_feature_tokens = { .w_cos = 0.9, .w_smooth = 0.1 };

typedef struct {
  const SeedFeatureWeights *weights;
  const real *y, *target;
  gsize dim;
  double scale;
  real *row_loss, *d_y;
} Features;

/* In double: rows are long and their losses small. */
static double
row_loss (const Features *features, const real *y, const real *t, real *d)
{
  gsize dim = features->dim;
  double yy = TINY * TINY, tt = TINY * TINY, yt = 0, smooth = 0, cosine, both;
  double cos_scale = features->scale * features->weights->w_cos;
  double smooth_scale = features->scale * features->weights->w_smooth / (double) dim;

  for (gsize k = 0; k < dim; k++) {
    double e = (double) y[k] - t[k];

    yy += (double) y[k] * y[k];
    tt += (double) t[k] * t[k];
    yt += (double) y[k] * t[k];
    smooth += fabs (e) < 1 ? 0.5 * e * e : fabs (e) - 0.5;
  }
  both = sqrt (yy) * sqrt (tt);
  cosine = yt / both;
  for (gsize k = 0; d && k < dim; k++)
    d[k] = (real) (cos_scale * (cosine * y[k] / yy - t[k] / both) +
                   smooth_scale * CLAMP ((double) y[k] - t[k], -1, 1));
  return features->weights->w_cos * (1 - cosine) +
         features->weights->w_smooth * smooth / (double) dim;
}

static void
feature_part (gsize begin, gsize n, gpointer data)
{
  const Features *features = data;
  gsize dim = features->dim;

  for (gsize i = begin; i < begin + n; i++)
    features->row_loss[i] = (real) row_loss (features, features->y + i * dim,
        features->target + i * dim, features->d_y ? features->d_y + i * dim : NULL);
}

void
seed_feature_loss (const SeedFeatureWeights *weights, const real *y, const real *target, guint rows,
    guint dim, double scale, real *row_loss, real *d_y)
{
  Features features = { weights, y, target, dim, scale, row_loss, d_y };

  seed_for_rows (rows, 2 * (gsize) dim, feature_part, &features);
}
