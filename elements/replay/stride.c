/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "replay/stride.h"

typedef struct {
  guint stride;
  guint to_skip; /* frames before the next that goes through */
  guint64 last_seen;
} Lane;

struct _SeedStride {
  guint min, max;
  double agree;
  GHashTable *lanes; /* stream -> Lane */
  guint64 clock;
  guint64 last_step;
  gboolean has_step;
};

SeedStride *
seed_stride_new (guint min, guint max, double agree)
{
  SeedStride *stride;

  g_return_val_if_fail (min >= 1 && min <= max && max <= SEED_STRIDE_MAX, NULL);
  stride = g_new0 (SeedStride, 1);
  stride->min = min;
  stride->max = max;
  stride->agree = agree;
  stride->lanes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return stride;
}

void
seed_stride_free (SeedStride *stride)
{
  if (!stride)
    return;
  g_hash_table_unref (stride->lanes);
  g_free (stride);
}

static void
forget_oldest (SeedStride *stride)
{
  GHashTableIter iter;
  gpointer key, value, oldest = NULL;
  guint64 last_seen = G_MAXUINT64;

  g_hash_table_iter_init (&iter, stride->lanes);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    if (((Lane *) value)->last_seen < last_seen) {
      last_seen = ((Lane *) value)->last_seen;
      oldest = key;
    }
  }
  g_hash_table_remove (stride->lanes, oldest);
}

static Lane *
lane_of (SeedStride *stride, const char *stream)
{
  Lane *lane = g_hash_table_lookup (stride->lanes, stream);

  if (lane)
    return lane;
  if (g_hash_table_size (stride->lanes) >= SEED_STRIDE_MAX_STREAMS)
    forget_oldest (stride);
  lane = g_new0 (Lane, 1);
  lane->stride = stride->min;
  g_hash_table_insert (stride->lanes, g_strdup (stream), lane);
  return lane;
}

gboolean
seed_stride_next (SeedStride *stride, const char *stream)
{
  Lane *lane = lane_of (stride, stream);

  lane->last_seen = ++stride->clock;
  if (lane->to_skip > 0) {
    lane->to_skip--;
    return FALSE;
  }
  lane->to_skip = lane->stride - 1;
  return TRUE;
}

/* A frame that waits for more than the new stride waits for the new stride. */
static void
set_stride (Lane *lane, guint n)
{
  lane->stride = n;
  lane->to_skip = MIN (lane->to_skip, n - 1);
}

static void
agree (const SeedStride *stride, Lane *lane, double agreement)
{
  if (agreement > stride->agree)
    set_stride (lane, MIN (lane->stride * 2, stride->max));
  else
    set_stride (lane, MAX (lane->stride / 2, stride->min));
}

static void
cut (const SeedStride *stride, Lane *lane)
{
  lane->stride = stride->min;
  lane->to_skip = 0;
}

gboolean
seed_stride_agree (SeedStride *stride, double agreement, guint64 step, const char *stream)
{
  GHashTableIter iter;
  gpointer lane;

  if (!isfinite (agreement) || (stride->has_step && step <= stride->last_step))
    return FALSE;
  stride->has_step = TRUE;
  stride->last_step = step;
  if (stream) {
    lane = g_hash_table_lookup (stride->lanes, stream);
    if (lane)
      agree (stride, lane, agreement);
    return TRUE;
  }
  g_hash_table_iter_init (&iter, stride->lanes);
  while (g_hash_table_iter_next (&iter, NULL, &lane))
    agree (stride, lane, agreement);
  return TRUE;
}

void
seed_stride_cut (SeedStride *stride, const char *stream)
{
  GHashTableIter iter;
  gpointer lane;

  if (stream) {
    lane = g_hash_table_lookup (stride->lanes, stream);
    if (lane)
      cut (stride, lane);
    return;
  }
  g_hash_table_iter_init (&iter, stride->lanes);
  while (g_hash_table_iter_next (&iter, NULL, &lane))
    cut (stride, lane);
}

guint
seed_stride_get (const SeedStride *stride, const char *stream)
{
  const Lane *lane = g_hash_table_lookup (stride->lanes, stream);

  return lane ? lane->stride : stride->min;
}
