/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <seed/error.h>

#include "anchors/cuts.h"

#define MIN_HISTORY 4           /* distances; with fewer the floor alone is the threshold */
#define MAD_TO_DEVIATION 1.4826 /* of a normal distribution */
#define NOISE 0.005             /* least deviation: a still picture has none */

struct _SeedCuts {
  SeedCutsConfig config;
  guint size;      /* of a signature: roots of bins, then the unit embedding */
  guint n_frames;  /* kept: those before and after a candidate */
  guint n_kept;    /* distances kept: history, and those behind it */
  guint64 pushed;  /* frames */
  guint64 decided; /* frames that have been looked at as candidates; the first is none */
  gboolean armed;
  guint64 last_cut;  /* its frame, or of the first */
  float *signatures; /* [n_frames, size], of frame t at t % n_frames */
  double *distances; /* [n_kept], d_t at t % n_kept */
  double *sorted;    /* [history] */
};

void
seed_cuts_config_init (SeedCutsConfig *config, guint histogram_size, guint embedding_size)
{
  *config = (SeedCutsConfig){
    .histogram_size = histogram_size,
    .embedding_size = embedding_size,
    .lookahead = 3,
    .history = 48,
    .floor = 0.25,
    .deviations = 5,
    .peak = 2,
    .back = 0.5,
    .hysteresis = 0.6,
    .min_shot = 6,
  };
}

static gboolean
check (const SeedCutsConfig *c, GError **error)
{
  const char *wrong =
      c->histogram_size == 0 && c->embedding_size == 0 ? "a histogram or an embedding is needed"
      : c->lookahead > SEED_CUTS_MAX_LOOKAHEAD         ? "lookahead is above 16 frames"
      : c->history < 1 || c->history > SEED_CUTS_MAX_HISTORY ? "history is not 1..1024 frames"
      : !(c->floor >= 0 && c->floor <= 1)                    ? "floor is not 0..1"
      : !(c->deviations >= 0)                                ? "deviations are below 0"
      : !(c->peak >= 1)                                      ? "peak is below 1"
      : !(c->back >= 0 && c->back <= 1)                      ? "back is not 0..1"
      : !(c->hysteresis > 0 && c->hysteresis <= 1) ? "hysteresis is not above 0 and up to 1"
                                                   : NULL;

  if (!wrong)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "scene cuts: %s", wrong);
  return FALSE;
}

SeedCuts *
seed_cuts_new (const SeedCutsConfig *config, GError **error)
{
  SeedCuts *cuts;

  if (!check (config, error))
    return NULL;
  cuts = g_new0 (SeedCuts, 1);
  cuts->config = *config;
  cuts->size = config->histogram_size + config->embedding_size;
  cuts->n_frames = 2 * config->lookahead + 2;
  cuts->n_kept = config->history + 2 * config->lookahead + 2;
  cuts->signatures = g_new0 (float, (gsize) cuts->n_frames * cuts->size);
  cuts->distances = g_new0 (double, cuts->n_kept);
  cuts->sorted = g_new0 (double, config->history);
  seed_cuts_reset (cuts);
  return cuts;
}

void
seed_cuts_free (SeedCuts *cuts)
{
  if (!cuts)
    return;
  g_free (cuts->signatures);
  g_free (cuts->distances);
  g_free (cuts->sorted);
  g_free (cuts);
}

void
seed_cuts_reset (SeedCuts *cuts)
{
  cuts->pushed = 0;
  cuts->decided = 1;
  cuts->armed = TRUE;
  cuts->last_cut = 0;
}

static float *
signature (const SeedCuts *cuts, guint64 frame)
{
  return cuts->signatures + frame % cuts->n_frames * cuts->size;
}

static double *
distance_at (const SeedCuts *cuts, guint64 frame)
{
  return &cuts->distances[frame % cuts->n_kept];
}

/* Mean over what there is, each within 0..1. */
static double
distance (const SeedCuts *cuts, const float *a, const float *b)
{
  guint bins = cuts->config.histogram_size;
  double likeness = 0, cosine = 0, sum = 0;

  for (guint i = 0; i < bins; i++)
    likeness += (double) a[i] * (double) b[i];
  for (guint i = bins; i < cuts->size; i++)
    cosine += (double) a[i] * (double) b[i];
  if (bins > 0)
    sum += sqrt (CLAMP (1 - likeness, 0, 1));
  if (cuts->size > bins)
    sum += CLAMP (1 - cosine, 0, 1);
  return bins > 0 && cuts->size > bins ? sum / 2 : sum;
}

/* FALSE when it is not finite, or of no length. */
static gboolean
fill (const SeedCuts *cuts, const float *histogram, const float *embedding, float *to)
{
  guint bins = cuts->config.histogram_size, n = cuts->config.embedding_size;
  double mass = 0, square = 0;

  for (guint i = 0; i < bins; i++)
    mass += (double) MAX (histogram[i], 0);
  for (guint i = 0; i < n; i++)
    square += (double) embedding[i] * (double) embedding[i];
  if ((bins > 0 && !(isfinite (mass) && mass > 0)) || (n > 0 && !(isfinite (square) && square > 0)))
    return FALSE;
  for (guint i = 0; i < bins; i++)
    to[i] = (float) sqrt ((double) MAX (histogram[i], 0) / mass);
  for (guint i = 0; i < n; i++)
    to[bins + i] = (float) ((double) embedding[i] / sqrt (square));
  return TRUE;
}

static int
compare (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static double
median (double *x, guint n)
{
  qsort (x, n, sizeof *x, compare);
  return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

/* From the distances within the shot before @frame; the cut that began it is not among them. */
static double
threshold (SeedCuts *cuts, guint64 frame)
{
  guint n = (guint) MIN (frame - cuts->last_cut - 1, cuts->config.history);
  double middle, deviation;

  if (n < MIN_HISTORY)
    return cuts->config.floor;
  for (guint i = 0; i < n; i++)
    cuts->sorted[i] = *distance_at (cuts, frame - 1 - i);
  middle = median (cuts->sorted, n);
  for (guint i = 0; i < n; i++)
    cuts->sorted[i] = fabs (cuts->sorted[i] - middle);
  deviation = MAX (MAD_TO_DEVIATION * median (cuts->sorted, n), NOISE);
  return MAX (cuts->config.floor, middle + cuts->config.deviations * deviation);
}

/* Frames after @frame that there are, at most lookahead. */
static guint
n_after (const SeedCuts *cuts, guint64 frame)
{
  return (guint) MIN (cuts->pushed - 1 - frame, cuts->config.lookahead);
}

/* Frames before @frame - 1 that there are, at most lookahead, of the same shot. */
static guint
n_before (const SeedCuts *cuts, guint64 frame)
{
  return (guint) MIN (frame - 1 - cuts->last_cut, cuts->config.lookahead);
}

static gboolean
is_peak (const SeedCuts *cuts, guint64 frame, double d)
{
  guint before = n_before (cuts, frame), after = n_after (cuts, frame);

  for (guint i = 1; i <= before; i++)
    if (d < cuts->config.peak * *distance_at (cuts, frame - i))
      return FALSE;
  for (guint i = 1; i <= after; i++)
    if (d < cuts->config.peak * *distance_at (cuts, frame + i))
      return FALSE;
  return TRUE;
}

static gboolean
comes_back (const SeedCuts *cuts, guint64 frame, double d)
{
  guint before = n_before (cuts, frame), after = n_after (cuts, frame);

  for (guint i = 0; i <= before; i++)
    for (guint j = 0; j <= after; j++)
      if ((i > 0 || j > 0) && distance (cuts, signature (cuts, frame - 1 - i),
                                  signature (cuts, frame + j)) < cuts->config.back * d)
        return TRUE;
  return FALSE;
}

static gboolean
decide (SeedCuts *cuts, SeedCut *cut)
{
  guint64 frame = cuts->decided++;
  double d = *distance_at (cuts, frame), limit = threshold (cuts, frame);

  if (!cuts->armed) {
    cuts->armed = d < cuts->config.hysteresis * limit;
    return FALSE;
  }
  if (d < limit || d <= 0 || frame - cuts->last_cut < cuts->config.min_shot ||
      !is_peak (cuts, frame, d) || comes_back (cuts, frame, d))
    return FALSE;
  *cut = (SeedCut){ frame, d, limit };
  cuts->last_cut = frame;
  cuts->armed = FALSE;
  return TRUE;
}

gboolean
seed_cuts_push (SeedCuts *cuts, const float *histogram, const float *embedding, SeedCut *cut)
{
  guint64 frame = cuts->pushed++;
  float *now = signature (cuts, frame), *last = signature (cuts, frame + cuts->n_frames - 1);

  if (!fill (cuts, histogram, embedding, now)) {
    if (frame == 0)
      memset (now, 0, cuts->size * sizeof *now);
    else
      memcpy (now, last, cuts->size * sizeof *now);
  }
  *distance_at (cuts, frame) = frame == 0 ? 0 : distance (cuts, last, now);
  if (cuts->decided + cuts->config.lookahead > frame)
    return FALSE;
  return decide (cuts, cut);
}

gboolean
seed_cuts_flush (SeedCuts *cuts, SeedCut *cut)
{
  while (cuts->decided < cuts->pushed)
    if (decide (cuts, cut))
      return TRUE;
  return FALSE;
}

double
seed_cuts_get_distance (const SeedCuts *cuts)
{
  return cuts->pushed ? *distance_at (cuts, cuts->pushed - 1) : 0;
}
