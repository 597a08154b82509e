/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "eval/cutscore.h"

static guint64
distance (guint64 a, guint64 b)
{
  return a > b ? a - b : b - a;
}

/* The nearest of what is left within @tolerance of @frame, the earlier of two; or @n. */
static guint
nearest (const guint64 *found, const guint8 *used, guint n, guint64 frame, guint tolerance)
{
  guint best = n;

  for (guint i = 0; i < n; i++) {
    if (used[i] || distance (found[i], frame) > tolerance)
      continue;
    if (best == n || distance (found[i], frame) < distance (found[best], frame))
      best = i;
  }
  return best;
}

void
seed_cut_score_add (SeedCutScore *score, const guint64 *truth, guint n_truth, const guint64 *found,
    guint n_found, guint tolerance, gboolean partial)
{
  g_autofree guint8 *used = g_new0 (guint8, MAX (1, n_found));
  guint matched = 0;

  for (guint i = 0; i < n_truth; i++) {
    guint at = nearest (found, used, n_found, truth[i], tolerance);

    if (at < n_found) {
      used[at] = 1;
      matched++;
    }
  }
  score->matched += matched;
  score->missed += n_truth - matched;
  if (!partial)
    score->spurious += n_found - matched;
}

static double
share (guint part, guint rest)
{
  return part + rest ? (double) part / (part + rest) : NAN;
}

double
seed_cut_score_precision (const SeedCutScore *score)
{
  return share (score->matched, score->spurious);
}

double
seed_cut_score_recall (const SeedCutScore *score)
{
  return share (score->matched, score->missed);
}

double
seed_cut_score_f1 (const SeedCutScore *score)
{
  return share (2 * score->matched, score->missed + score->spurious);
}
