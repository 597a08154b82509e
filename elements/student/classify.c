/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "student/classify.h"

static double
target_of (const SeedClassTargets *targets, guint item, guint class)
{
  double target = targets->smoothing / targets->n_classes, rest = 1 - targets->smoothing;
  double share = targets->others ? targets->share : 1;

  if (targets->labels[item] == (gint32) class)
    target += rest * share;
  if (targets->others && targets->others[item] == (gint32) class)
    target += rest * (1 - share);
  return target;
}

/* Adds @scale times the gradient; returns the loss. */
static double
loss_row (const SeedClassTargets *targets, guint item, const real *x, double scale, real *d,
    gboolean *correct)
{
  guint n = targets->n_classes, best = 0;
  double sum = 0, log_sum, loss = 0;

  for (guint c = 1; c < n; c++)
    if (x[c] > x[best])
      best = c;
  for (guint c = 0; c < n; c++)
    sum += exp ((double) x[c] - x[best]);
  log_sum = x[best] + log (sum);
  for (guint c = 0; c < n; c++) {
    double target = target_of (targets, item, c), log_q = x[c] - log_sum;

    loss -= target * log_q;
    if (d)
      d[c] = (real) (scale * (exp (log_q) - target));
  }
  *correct = targets->labels[item] == (gint32) best;
  return loss;
}

SeedClassResult
seed_classify_loss (const SeedClassTargets *targets, const real *logits, real *d_logits)
{
  gsize item_size = (gsize) targets->views * targets->n_classes;
  SeedClassResult result = { 0 };

  for (guint i = 0; i < targets->n_items; i++)
    result.n_items += targets->labels[i] >= 0;
  if (d_logits)
    memset (d_logits, 0, targets->n_items * item_size * sizeof (real));
  for (guint i = 0; i < targets->n_items; i++) {
    for (guint v = 0; targets->labels[i] >= 0 && v < targets->views; v++) {
      gsize at = i * item_size + v * (gsize) targets->n_classes;
      double scale = 1.0 / ((double) result.n_items * targets->views);
      gboolean correct;

      result.loss += scale * loss_row (targets, i, logits + at, scale,
                                 d_logits ? d_logits + at : NULL, &correct);
      result.n_correct += correct;
    }
  }
  return result;
}
