/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "eval/grounding.h"

#define MAX_RANKED 10u /* windows of a query that count */
#define CLIP_SECONDS 2

const double seed_grounding_ious[SEED_GROUNDING_N_IOUS] = { 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8,
  0.85, 0.9, 0.95 };
const char *const seed_grounding_ranges[SEED_GROUNDING_N_RANGES] = { "short", "middle", "long",
  "full" };
const char *const seed_grounding_ratings[SEED_GROUNDING_N_RATINGS] = { "Fair", "Good", "VeryGood" };

/* Lengths of true windows in seconds: above the first, up to the second. The last one takes all. */
static const double range_limits[SEED_GROUNDING_N_RANGES][2] = { { 0, 10 }, { 10, 30 }, { 30, 150 },
  { -INFINITY, INFINITY } };

static double
iou (const SeedWindow *a, const SeedWindow *b)
{
  double inter = fmax (0, fmin (a->end, b->end) - fmax (a->start, b->start));
  double both = (a->end - a->start) + (b->end - b->start) - inter;

  return both > 0 ? inter / both : 0;
}

static GArray *
windows_in_range (const SeedGroundingItem *truth, guint range)
{
  GArray *windows = g_array_new (FALSE, FALSE, sizeof (SeedWindow));

  for (guint i = 0; i < truth->windows->len; i++) {
    const SeedWindow *window = &g_array_index (truth->windows, SeedWindow, i);
    double length = window->end - window->start;

    if (length > range_limits[range][0] && length <= range_limits[range][1])
      g_array_append_val (windows, *window);
  }
  return windows;
}

static void
add_r1 (const SeedGroundingItem *prediction, const GArray *truth, double *r1)
{
  const SeedWindow *first = &g_array_index (prediction->windows, SeedWindow, 0);
  double best = 0;

  for (guint i = 0; i < truth->len; i++)
    best = fmax (best, iou (first, &g_array_index (truth, SeedWindow, i)));
  for (guint t = 0; t < SEED_GROUNDING_N_IOUS; t++)
    r1[t] += best >= seed_grounding_ious[t];
}

static int
by_falling_score (gconstpointer a, gconstpointer b, gpointer data)
{
  const SeedWindow *x = a, *y = b;

  return (x->score < y->score) - (x->score > y->score);
}

/* The true window that takes @window: the best overlap that is free and enough; of equals the later
 * one. -1 when there is none. */
static int
match (const SeedWindow *window, const GArray *truth, double threshold, const guint8 *taken)
{
  double best = threshold;
  int found = -1;

  for (guint i = 0; i < truth->len; i++) {
    double overlap = iou (window, &g_array_index (truth, SeedWindow, i));

    if (!taken[i] && overlap >= best) {
      best = overlap;
      found = (int) i;
    }
  }
  return found;
}

/* Area under precision over recall, precision made to fall: PASCAL VOC 2010. */
static double
interpolated_ap (const guint8 *hit, guint n, guint n_truth)
{
  double precision[MAX_RANKED], ap = 0, most = 0;
  guint found = 0;

  for (guint i = 0; i < n; i++) {
    found += hit[i];
    precision[i] = (double) found / (i + 1);
  }
  for (guint i = n; i-- > 0;) {
    most = fmax (most, precision[i]);
    if (hit[i])
      ap += most / n_truth;
  }
  return ap;
}

static void
add_map (const SeedGroundingItem *prediction, const GArray *truth, double *map)
{
  guint n = MIN (prediction->windows->len, MAX_RANKED);
  g_autoptr (GArray) ranked = g_array_new (FALSE, FALSE, sizeof (SeedWindow));
  g_autofree guint8 *taken = g_new (guint8, truth->len);

  g_array_append_vals (ranked, prediction->windows->data, n);
  g_array_sort_with_data (ranked, by_falling_score, NULL); /* stable */
  for (guint t = 0; t < SEED_GROUNDING_N_IOUS; t++) {
    guint8 hit[MAX_RANKED] = { 0 };

    memset (taken, 0, truth->len);
    for (guint i = 0; i < n; i++) {
      int at = match (&g_array_index (ranked, SeedWindow, i), truth, seed_grounding_ious[t], taken);

      if (at >= 0)
        hit[i] = taken[at] = 1;
    }
    map[t] += interpolated_ap (hit, n, truth->len);
  }
}

static void
score_range (const SeedGroundingFile *predictions, const SeedGroundingFile *truth, guint range,
    SeedGroundingScores *scores)
{
  guint n = 0;

  for (guint i = 0; i < seed_grounding_n_items (truth); i++) {
    const SeedGroundingItem *item = seed_grounding_get (truth, i);
    const SeedGroundingItem *prediction = seed_grounding_lookup (predictions, item->qid);
    g_autoptr (GArray) windows = windows_in_range (item, range);

    if (windows->len == 0)
      continue;
    n++;
    add_r1 (prediction, windows, scores->r1[range]);
    add_map (prediction, windows, scores->map[range]);
  }
  scores->n_queries[range] = n;
  for (guint t = 0; n > 0 && t < SEED_GROUNDING_N_IOUS; t++) {
    scores->r1[range][t] /= n;
    scores->map[range][t] /= n;
    scores->average[range] += scores->map[range][t] / SEED_GROUNDING_N_IOUS;
  }
}

/* Highlights */

typedef struct {
  double prediction;
  gboolean positive;
} Clip;

static int
by_falling_prediction (gconstpointer a, gconstpointer b)
{
  const Clip *x = a, *y = b;

  return (x->prediction < y->prediction) - (x->prediction > y->prediction);
}

/*
 * Mean over distinct recalls of the best precision at that recall or above. Clips of one prediction
 * make one step. 0 without a positive clip, 1 without a negative one.
 */
static double
highlight_ap (Clip *clips, guint n)
{
  g_autofree double *precision = g_new (double, MAX (1, n));
  guint n_positive = 0, n_steps = 0, found = 0;
  double sum = 0, most = 0;

  for (guint i = 0; i < n; i++)
    n_positive += clips[i].positive ? 1 : 0;
  if (n_positive == 0 || n_positive == n)
    return n_positive > 0 ? 1 : 0;
  qsort (clips, n, sizeof *clips, by_falling_prediction);
  for (guint i = 0; i < n;) {
    guint before = found;
    double value = clips[i].prediction;

    for (; i < n && clips[i].prediction == value; i++)
      found += clips[i].positive ? 1 : 0;
    if (found > before)
      precision[n_steps++] = (double) found / i;
  }
  for (guint i = n_steps; i-- > 0;) {
    most = fmax (most, precision[i]);
    sum += most;
  }
  return sum / n_steps;
}

/* Ratings of every clip of the video, 0 where nobody rated. */
static gint8 *
spread_ratings (const SeedGroundingItem *truth, guint n_clips)
{
  gint8 *ratings = g_new0 (gint8, MAX (1, n_clips) * SEED_GROUNDING_N_ANNOTATORS);

  for (guint i = 0; i < truth->clips->len; i++)
    memcpy (ratings + g_array_index (truth->clips, guint, i) * SEED_GROUNDING_N_ANNOTATORS,
        truth->ratings->data + i * SEED_GROUNDING_N_ANNOTATORS, SEED_GROUNDING_N_ANNOTATORS);
  return ratings;
}

static guint
highest (const GArray *saliency)
{
  guint best = 0;

  for (guint i = 1; i < saliency->len; i++) {
    if (g_array_index (saliency, double, i) > g_array_index (saliency, double, best))
      best = i;
  }
  return best;
}

static void
add_highlights (const SeedGroundingItem *prediction, const SeedGroundingItem *truth,
    SeedGroundingScores *scores)
{
  guint n = (guint) (truth->duration / CLIP_SECONDS), top = highest (prediction->saliency);
  g_autofree gint8 *ratings = spread_ratings (truth, n);
  g_autofree Clip *clips = g_new (Clip, MAX (1, n));

  for (guint r = 0; r < SEED_GROUNDING_N_RATINGS; r++) {
    gboolean hit = FALSE;

    for (guint a = 0; a < SEED_GROUNDING_N_ANNOTATORS; a++) {
      for (guint i = 0; i < n; i++)
        clips[i] =
            (Clip){ i < prediction->saliency->len ? g_array_index (prediction->saliency, double, i)
                                                  : 0,
              ratings[i * SEED_GROUNDING_N_ANNOTATORS + a] >= (int) r + 2 };
      hit = hit || (top < n && clips[top].positive);
      scores->highlight_map[r] += highlight_ap (clips, n) / SEED_GROUNDING_N_ANNOTATORS;
    }
    scores->highlight_hit1[r] += hit;
  }
}

static void
score_highlights (const SeedGroundingFile *predictions, const SeedGroundingFile *truth,
    SeedGroundingScores *scores)
{
  guint n = seed_grounding_n_items (truth);

  for (guint i = 0; i < n; i++) {
    const SeedGroundingItem *item = seed_grounding_get (truth, i);
    const SeedGroundingItem *prediction = seed_grounding_lookup (predictions, item->qid);

    if (!item->clips || item->duration <= 0 || !prediction->saliency ||
        prediction->saliency->len == 0)
      return;
  }
  scores->has_highlights = TRUE;
  for (guint i = 0; i < n; i++) {
    const SeedGroundingItem *item = seed_grounding_get (truth, i);

    add_highlights (seed_grounding_lookup (predictions, item->qid), item, scores);
  }
  for (guint r = 0; r < SEED_GROUNDING_N_RATINGS; r++) {
    scores->highlight_map[r] /= n;
    scores->highlight_hit1[r] /= n;
  }
}

static gboolean
check_covered (const SeedGroundingFile *a, const SeedGroundingFile *b, GError **error)
{
  for (guint i = 0; i < seed_grounding_n_items (a); i++) {
    const SeedGroundingItem *item = seed_grounding_get (a, i);

    if (item->windows->len == 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH, "%s:%u: query %s has no window",
          seed_grounding_name (a), item->line, item->qid);
      return FALSE;
    }
    if (!seed_grounding_lookup (b, item->qid)) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH, "%s:%u: query %s is not in %s",
          seed_grounding_name (a), item->line, item->qid, seed_grounding_name (b));
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
seed_grounding_score (const SeedGroundingFile *predictions, const SeedGroundingFile *truth,
    SeedGroundingScores *scores, GError **error)
{
  *scores = (SeedGroundingScores){ 0 };
  if (seed_grounding_n_items (truth) == 0) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_INVALID, "%s: has no query", seed_grounding_name (truth));
    return FALSE;
  }
  if (!check_covered (truth, predictions, error) || !check_covered (predictions, truth, error))
    return FALSE;
  for (guint range = 0; range < SEED_GROUNDING_N_RANGES; range++)
    score_range (predictions, truth, range, scores);
  score_highlights (predictions, truth, scores);
  return TRUE;
}
