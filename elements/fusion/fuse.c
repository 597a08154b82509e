/* SPDX-License-Identifier: MIT */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include <seed/error.h>
#include <seed/rng.h>

#include "fusion/fuse.h"

#define SINGLE "single"

#define AFFINITY(name, on, off)                                                                    \
  {                                                                                                \
    name, SEED_FUSION_AFFINITY, SEED_FUSION_OP_##on, SEED_FUSION_OP_##off, SEED_FUSION_PICK_NONE   \
  }
#define PICKED(name, pick)                                                                         \
  {                                                                                                \
    name, SEED_FUSION_AFFINITY, SEED_FUSION_OP_PICK, SEED_FUSION_OP_PICK, SEED_FUSION_PICK_##pick  \
  }
#define FEATURES(name, output, op)                                                                 \
  {                                                                                                \
    name, SEED_FUSION_##output, SEED_FUSION_OP_##op, SEED_FUSION_OP_##op, SEED_FUSION_PICK_NONE    \
  }

static const SeedFusionStrategy strategies[] = {
  AFFINITY ("max-min", MAX, MIN),
  AFFINITY ("mean", MEAN, MEAN),
  AFFINITY ("max-mean", MAX, MEAN),
  AFFINITY ("min-max", MIN, MAX),
  PICKED ("random", RANDOM),
  PICKED (SINGLE, NAMED),
  FEATURES ("concat", CONCAT, MEAN),
  FEATURES ("mean-feature", ALIGNED, MEAN),
  FEATURES ("max-feature", ALIGNED, MAX),
  FEATURES ("min-feature", ALIGNED, MIN),
  FEATURES ("median-feature", ALIGNED, MEDIAN),
};

char *
seed_fusion_strategy_names (void)
{
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (strategies); i++)
    g_string_append_printf (names, "%s%s%s", i ? ", " : "", strategies[i].name,
        strategies[i].pick == SEED_FUSION_PICK_NAMED ? ":NAME" : "");
  return g_string_free (names, FALSE);
}

const SeedFusionStrategy *
seed_fusion_strategy_parse (const char *text, const char **teacher_name, GError **error)
{
  g_autofree char *names = NULL;

  for (guint i = 0; text && i < G_N_ELEMENTS (strategies); i++) {
    const SeedFusionStrategy *s = &strategies[i];
    gboolean named = s->pick == SEED_FUSION_PICK_NAMED;
    gsize n = strlen (s->name);

    if (named ? !g_str_has_prefix (text, s->name) || text[n] != ':' || !text[n + 1]
              : !g_str_equal (text, s->name))
      continue;
    if (teacher_name)
      *teacher_name = named ? text + n + 1 : NULL;
    return s;
  }
  names = seed_fusion_strategy_names ();
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
      "strategy \"%s\" is not known; expected one of %s", text ? text : "", names);
  return NULL;
}

/* One pair's values of all teachers to one value. */
typedef float (*ReduceFunc) (const float *values, guint n, guint pick);

static guint
argmax (const float *values, guint n)
{
  guint best = 0;

  for (guint i = 1; i < n; i++) {
    if (values[i] > values[best])
      best = i;
  }
  return best;
}

static guint
argmin (const float *values, guint n)
{
  guint best = 0;

  for (guint i = 1; i < n; i++) {
    if (values[i] < values[best])
      best = i;
  }
  return best;
}

static float
reduce_max (const float *values, guint n, guint pick)
{
  return values[argmax (values, n)];
}

static float
reduce_min (const float *values, guint n, guint pick)
{
  return values[argmin (values, n)];
}

static double
mean_of (const float *values, guint n)
{
  double sum = 0;

  for (guint i = 0; i < n; i++)
    sum += values[i];
  return sum / n;
}

static float
reduce_mean (const float *values, guint n, guint pick)
{
  return (float) mean_of (values, n);
}

static float
reduce_median (const float *values, guint n, guint pick)
{
  float sorted[SEED_FUSION_MAX_TEACHERS];

  for (guint i = 0; i < n; i++) {
    guint at = i;

    for (; at > 0 && sorted[at - 1] > values[i]; at--)
      sorted[at] = sorted[at - 1];
    sorted[at] = values[i];
  }
  return n % 2 ? sorted[n / 2] : 0.5f * (sorted[n / 2 - 1] + sorted[n / 2]);
}

static float
reduce_pick (const float *values, guint n, guint pick)
{
  return values[pick];
}

static const ReduceFunc reduce[SEED_FUSION_N_OPS] = {
  [SEED_FUSION_OP_MAX] = reduce_max,
  [SEED_FUSION_OP_MIN] = reduce_min,
  [SEED_FUSION_OP_MEAN] = reduce_mean,
  [SEED_FUSION_OP_MEDIAN] = reduce_median,
  [SEED_FUSION_OP_PICK] = reduce_pick,
};

static guint
winner_of (SeedFusionOp op, gboolean diagonal, const float *values, guint n, guint pick)
{
  switch (op) {
  case SEED_FUSION_OP_MAX:
    return argmax (values, n);
  case SEED_FUSION_OP_MIN:
    return argmin (values, n);
  case SEED_FUSION_OP_PICK:
    return pick;
  default:
    return diagonal ? argmax (values, n) : argmin (values, n);
  }
}

void
seed_fusion_tally_add (SeedFusionTally *to, const SeedFusionTally *from)
{
  for (guint t = 0; t < SEED_FUSION_MAX_TEACHERS; t++) {
    to->diagonal[t] += from->diagonal[t];
    to->off_diagonal[t] += from->off_diagonal[t];
  }
  to->n_diagonal += from->n_diagonal;
  to->n_off_diagonal += from->n_off_diagonal;
  to->masked += from->masked;
}

static double
share (guint64 part, guint64 whole)
{
  return whole ? (double) part / (double) whole : 0;
}

void
seed_fusion_tally_shares (const SeedFusionTally *tally, guint n_teachers, double *diagonal,
    double *off_diagonal, double *masked)
{
  for (guint t = 0; t < n_teachers; t++) {
    diagonal[t] = share (tally->diagonal[t], tally->n_diagonal);
    off_diagonal[t] = share (tally->off_diagonal[t], tally->n_off_diagonal - tally->masked);
  }
  *masked = share (tally->masked, tally->n_off_diagonal);
}

void
seed_fusion_similarity (const float *y, guint b, guint width, float *s)
{
  cblas_sgemm (CblasRowMajor, CblasNoTrans, CblasTrans, (int) b, (int) b, (int) width, 1.0f, y,
      (int) (2 * width), y + width, (int) (2 * width), 0.0f, s, (int) b);
}

static guint64
item_key (guint64 seed, const SeedFusionItem *item)
{
  return seed_hash (seed_hash_string (seed, item->stream), item->frame);
}

/* A 64-bit hash to 0..n-1: its share of the range (bias below n / 2^64). */
static guint
draw (guint64 row_key, guint64 column_key, guint n)
{
  return (guint) (((unsigned __int128) seed_hash (row_key, column_key) * n) >> 64);
}

guint
seed_fusion_draw (
    guint64 seed, const SeedFusionItem *row, const SeedFusionItem *column, guint n_teachers)
{
  return draw (item_key (seed, row), item_key (seed, column), n_teachers);
}

static gboolean
too_close (const SeedFusionItem *a, const SeedFusionItem *b, gint64 window_ns)
{
  gint64 apart;

  if (a->time_ns < 0 || b->time_ns < 0 || !g_str_equal (a->stream, b->stream))
    return FALSE;
  apart = a->time_ns - b->time_ns;
  return (apart < 0 ? -apart : apart) < window_ns;
}

static gboolean
is_masked (const SeedFusionParams *params, const SeedFusionItem *row, const SeedFusionItem *column,
    const float *values, guint n)
{
  return too_close (row, column, params->duplicate_window_ns) ||
         (params->duplicate_cosine < 1 && mean_of (values, n) > params->duplicate_cosine);
}

static guint
pick_of (const SeedFusionParams *params, const SeedFusionItem *row, const SeedFusionItem *column,
    guint n)
{
  return params->strategy->pick == SEED_FUSION_PICK_RANDOM
             ? seed_fusion_draw (params->seed, row, column, n)
             : params->single;
}

static float
fuse_pair (const SeedFusionParams *params, const SeedFusionItem *row, const SeedFusionItem *column,
    const float *values, guint n, SeedFusionTally *tally)
{
  gboolean diagonal = row == column;
  SeedFusionOp op = diagonal ? params->strategy->diagonal : params->strategy->off_diagonal;
  guint pick;

  if (!diagonal && is_masked (params, row, column, values, n)) {
    tally->masked++;
    return -INFINITY;
  }
  pick = pick_of (params, row, column, n);
  (diagonal ? tally->diagonal : tally->off_diagonal)[winner_of (op, diagonal, values, n, pick)]++;
  return reduce[op](values, n, pick);
}

void
seed_fuse_affinity (const SeedFusionParams *params, const float *const *s, guint n_teachers,
    const SeedFusionItem *items, guint b, float *f, SeedFusionTally *tally)
{
  float values[SEED_FUSION_MAX_TEACHERS];

  g_return_if_fail (n_teachers > 0 && n_teachers <= SEED_FUSION_MAX_TEACHERS);
  for (guint i = 0; i < b; i++) {
    for (guint j = 0; j < b; j++) {
      gsize at = (gsize) i * b + j;

      for (guint t = 0; t < n_teachers; t++)
        values[t] = s[t][at];
      f[at] = fuse_pair (params, &items[i], &items[j], values, n_teachers, tally);
    }
  }
  tally->n_diagonal += b;
  tally->n_off_diagonal += (guint64) b * (b - 1);
}

guint
seed_fuse_features_width (const SeedFusionStrategy *strategy, const guint *widths, guint n_teachers)
{
  guint width = 0;

  if (strategy->output == SEED_FUSION_ALIGNED)
    return widths[0];
  for (guint t = 0; t < n_teachers; t++)
    width += widths[t];
  return width;
}

static void
concat_row (const float *const *y, const guint *widths, guint n_teachers, guint r, float *out)
{
  for (guint t = 0; t < n_teachers; t++) {
    memcpy (out, y[t] + (gsize) r * widths[t], widths[t] * sizeof (float));
    out += widths[t];
  }
}

static void
reduce_row (
    ReduceFunc func, const float *const *y, guint width, guint n_teachers, guint r, float *out)
{
  float values[SEED_FUSION_MAX_TEACHERS];

  for (guint i = 0; i < width; i++) {
    for (guint t = 0; t < n_teachers; t++)
      values[t] = y[t][(gsize) r * width + i];
    out[i] = func (values, n_teachers, 0);
  }
}

static gboolean
normalise (float *row, guint width)
{
  double norm = 0;

  for (guint i = 0; i < width; i++)
    norm += (double) row[i] * row[i];
  norm = sqrt (norm);
  if (!isfinite (norm) || norm == 0)
    return FALSE;
  for (guint i = 0; i < width; i++)
    row[i] = (float) (row[i] / norm);
  return TRUE;
}

gboolean
seed_fuse_features (const SeedFusionStrategy *strategy, const float *const *y, const guint *widths,
    guint n_teachers, guint n, float *out, GError **error)
{
  guint width = seed_fuse_features_width (strategy, widths, n_teachers);

  g_return_val_if_fail (n_teachers > 0 && n_teachers <= SEED_FUSION_MAX_TEACHERS, FALSE);
  for (guint r = 0; r < n; r++) {
    float *row = out + (gsize) r * width;

    if (strategy->output == SEED_FUSION_CONCAT)
      concat_row (y, widths, n_teachers, r, row);
    else
      reduce_row (reduce[strategy->diagonal], y, width, n_teachers, r, row);
    if (!normalise (row, width)) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
          "the teachers' features in row %u of the batch cancel out: strategy \"%s\" has no "
          "direction to give",
          r, strategy->name);
      return FALSE;
    }
  }
  return TRUE;
}
