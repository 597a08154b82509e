/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "patchify/resample.h"

#define WEIGHT_LIMIT (SEED_WEIGHT_MAX - 1) /* rounding may add one */

static double
filter_support (SeedFilter filter)
{
  return filter == SEED_FILTER_BICUBIC ? 2.0 : 1.0;
}

static inline double
filter_at (SeedFilter filter, double x)
{
  const double a = -0.5;

  x = fabs (x);
  if (filter == SEED_FILTER_BILINEAR)
    return x < 1.0 ? 1.0 - x : 0.0;
  if (x < 1.0)
    return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0)
    return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

static guint
taps_for (double scale, guint n_in, SeedFilter filter)
{
  guint taps = 2 * (guint) ceil (filter_support (filter) * MAX (scale, 1.0)) + 1;

  taps = MIN (taps, n_in);
  return (taps + SEED_TAPS_ALIGN - 1) / SEED_TAPS_ALIGN * SEED_TAPS_ALIGN;
}

guint
seed_axis_max_taps (guint n_in, guint n_out, SeedFilter filter)
{
  return taps_for ((double) n_in / n_out, n_in, filter);
}

/* Sized for the largest box of this plane, so that a box that changes never makes it grow. */
static void
axis_reserve (SeedAxis *axis, guint n_in, guint n_out, SeedFilter filter)
{
  gsize taps = seed_axis_max_taps (n_in, n_out, filter);

  if (axis->room_out < n_out) {
    axis->start = g_renew (guint32, axis->start, n_out);
    axis->count = g_renew (guint32, axis->count, n_out);
    axis->room_out = n_out;
  }
  if (axis->room_weights < taps * n_out) {
    axis->weights = g_renew (gint16, axis->weights, taps * n_out);
    axis->room_weights = taps * n_out;
  }
  if (axis->room_work < taps) {
    axis->work = g_renew (double, axis->work, taps);
    axis->room_work = taps;
  }
}

/* Normalised weights of output @i in axis->work; returns the first sample. */
static guint
axis_weigh (SeedAxis *axis, guint i, guint *count)
{
  double step = (axis->b1 - axis->b0) / axis->n_out, scale = MAX (step, 1.0), sum = 0.0;
  double centre = axis->b0 + (i + 0.5) * step, support = filter_support (axis->filter) * scale;
  double lo = MAX (centre - support + 0.5, 0.0);
  double hi = MIN (MAX (centre + support + 0.5, 0.0), (double) axis->n_in);
  guint from = MIN ((guint) lo, axis->n_in - 1), to = MAX ((guint) hi, from + 1);

  for (guint k = from; k < to; k++) {
    double w = filter_at (axis->filter, ((double) k - centre + 0.5) / scale);

    axis->work[k - from] = w;
    sum += w;
  }
  if (sum == 0.0)
    axis->work[0] = sum = 1.0;
  for (guint k = 0; k < to - from; k++)
    axis->work[k] /= sum;
  *count = to - from;
  return from;
}

/* The finest unit in which every weight fits 16 bits. */
static guint
axis_choose_bits (SeedAxis *axis)
{
  guint bits = axis->pass == SEED_PASS_FIRST ? SEED_FIRST_BITS : SEED_SECOND_BITS, count;
  double largest = 0.0;

  for (guint i = 0; i < axis->n_out; i++) {
    axis_weigh (axis, i, &count);
    for (guint k = 0; k < count; k++)
      largest = MAX (largest, fabs (axis->work[k]));
  }
  while (bits > SEED_MID_BITS && ldexp (largest, (int) bits) > WEIGHT_LIMIT)
    bits--;
  return bits;
}

/* Rounds the running sum, not each weight: the total is exact, so a flat image stays flat. */
static void
axis_quantise (SeedAxis *axis, guint i, guint count)
{
  gint16 *weights = axis->weights + (gsize) i * axis->taps;
  double sum = 0.0, unit = ldexp (1.0, (int) axis->bits);
  gint64 before = 0;

  for (guint k = 0; k < count; k++) {
    gint64 after;

    sum += axis->work[k];
    after = k + 1 == count ? (gint64) unit : (gint64) floor (sum * unit + 0.5);
    weights[k] = (gint16) (after - before);
    before = after;
  }
  memset (weights + count, 0, (axis->taps - count) * sizeof *weights);
  axis->count[i] = count;
}

static void
axis_fill (SeedAxis *axis)
{
  guint end = 0;

  axis->taps = taps_for ((axis->b1 - axis->b0) / axis->n_out, axis->n_in, axis->filter);
  axis->bits = axis_choose_bits (axis);
  axis->shift = axis->pass == SEED_PASS_FIRST ? axis->bits - SEED_MID_BITS : axis->bits;
  for (guint i = 0; i < axis->n_out; i++) {
    guint count;

    axis->start[i] = axis_weigh (axis, i, &count);
    axis_quantise (axis, i, count);
    end = MAX (end, axis->start[i] + count);
  }
  axis->first = axis->start[0];
  axis->n_used = end - axis->first;
  for (guint i = 0; i < axis->n_out; i++)
    axis->start[i] -= axis->first;
}

/* Do the samples of each @size outputs fit a window? */
static gboolean
groups_fit (const SeedAxis *axis, guint size)
{
  for (guint i = 0; i < axis->n_out; i += size) {
    guint last = MIN (i + size, axis->n_out) - 1, end = 0;

    for (guint j = i; j <= last; j++)
      end = MAX (end, axis->start[j] + axis->count[j]);
    if (end - axis->start[i] > SEED_GROUP_WINDOW)
      return FALSE;
  }
  return TRUE;
}

/* On cache lines: a register is filled from one. */
static gint16 *
renew_lines (gint16 *old, gsize lines)
{
  g_aligned_free (old);
  return g_aligned_alloc (lines, SEED_GROUP_LANES * sizeof (gint16), 64);
}

/* Sized for the largest box, as the rest of the table. */
static void
groups_reserve (SeedAxis *axis)
{
  SeedAxisGroups *groups = &axis->groups;
  gsize n = (axis->n_out + 15) / 16 * 8; /* of 2 */
  gsize lines = (seed_axis_max_taps (axis->n_in, axis->n_out, axis->filter) + 15) / 16 * n;

  if (groups->room < n) {
    groups->start = g_renew (guint32, groups->start, n);
    groups->position = renew_lines (groups->position, n);
    groups->room = n;
  }
  if (groups->room_weights < lines) {
    groups->weights = renew_lines (groups->weights, lines);
    groups->room_weights = lines;
  }
}

static void
group_fill (const SeedAxis *axis, guint g, guint samples)
{
  const SeedAxisGroups *groups = &axis->groups;
  const guint from = MIN (g * groups->size, axis->n_out - 1);
  gint16 *position = groups->position + (gsize) g * SEED_GROUP_LANES;
  gint16 *weights = groups->weights + (gsize) g * groups->steps * SEED_GROUP_LANES;

  groups->start[g] = axis->start[from];
  for (guint lane = 0; lane < SEED_GROUP_LANES; lane++) {
    guint j = lane / 2, i = g * groups->size + j % groups->size;
    guint first = 2 * (j / groups->size) + lane % 2;
    gboolean real = i < axis->n_out;

    position[lane] = (gint16) (first + (real ? axis->start[i] - axis->start[from] : 0));
    for (guint step = 0; step < groups->steps; step++) {
      guint k = step * samples + first;
      gboolean weighed = real && k < axis->count[i];

      weights[step * SEED_GROUP_LANES + lane] =
          weighed ? axis->weights[(gsize) i * axis->taps + k] : 0;
    }
  }
}

static void
axis_group (SeedAxis *axis)
{
  SeedAxisGroups *groups = &axis->groups;
  guint most = 0, samples;

  groups->size = 8;
  while (groups->size > 1 && !groups_fit (axis, groups->size))
    groups->size /= 2;
  if (groups->size == 1)
    groups->size = 0;
  if (groups->size == 0)
    return;
  groups_reserve (axis);
  for (guint i = 0; i < axis->n_out; i++)
    most = MAX (most, axis->count[i]);
  samples = SEED_GROUP_LANES / groups->size;
  groups->steps = (most + samples - 1) / samples;
  groups->n = (axis->n_out + 15) / 16 * (16 / groups->size);
  for (guint g = 0; g < groups->n; g++)
    group_fill (axis, g, samples);
}

void
seed_axis_build (
    SeedAxis *axis, guint n_in, double b0, double b1, guint n_out, SeedFilter filter, SeedPass pass)
{
  if (axis->n_in == n_in && axis->n_out == n_out && axis->b0 == b0 && axis->b1 == b1 &&
      axis->filter == filter && axis->pass == pass)
    return;
  g_return_if_fail (n_in > 0 && n_out > 0 && b0 < b1 && b1 - b0 <= n_in);

  axis_reserve (axis, n_in, n_out, filter);
  axis->n_in = n_in;
  axis->n_out = n_out;
  axis->b0 = b0;
  axis->b1 = b1;
  axis->filter = filter;
  axis->pass = pass;
  axis_fill (axis);
  axis_group (axis);
}

void
seed_axis_clear (SeedAxis *axis)
{
  g_free (axis->start);
  g_free (axis->count);
  g_free (axis->weights);
  g_free (axis->work);
  g_free (axis->groups.start);
  g_aligned_free (axis->groups.position);
  g_aligned_free (axis->groups.weights);
  memset (axis, 0, sizeof *axis);
}

void
seed_colour_init (SeedColour *colour, double kr, double kb, gboolean full_range)
{
  const double one = 1 << SEED_COLOUR_BITS, mid = 1 << SEED_MID_BITS;
  double y = full_range ? 1.0 : 255.0 / 219.0, c = full_range ? 1.0 : 255.0 / 224.0;
  double kg = 1.0 - kr - kb;
  double r_v = 2.0 * (1.0 - kr) * c, b_u = 2.0 * (1.0 - kb) * c;
  double g_u = -b_u * kb / kg, g_v = -r_v * kr / kg;
  double black = full_range ? 0.0 : 16.0, half = 0.5 * one * mid;

  colour->y = (gint16) lrint (y * one);
  colour->r_v = (gint16) lrint (r_v * one);
  colour->g_u = (gint16) lrint (g_u * one);
  colour->g_v = (gint16) lrint (g_v * one);
  colour->b_u = (gint16) lrint (b_u * one);
  colour->y_add = (gint32) lrint (half - colour->y * black * mid);
  colour->r_add = colour->y_add - (gint32) lrint (colour->r_v * 128.0 * mid);
  colour->g_add = colour->y_add - (gint32) lrint ((colour->g_u + colour->g_v) * 128.0 * mid);
  colour->b_add = colour->y_add - (gint32) lrint (colour->b_u * 128.0 * mid);
}

const SeedResampleKernels *
seed_resample_kernels_for (SeedCpuLevel level)
{
  if (level > seed_cpu_best_level ())
    return NULL;
  switch (level) {
#ifdef __x86_64__
  case SEED_CPU_AMX: /* is for products alone */
  case SEED_CPU_AVX512:
    return &seed_resample_kernels_avx512;
  case SEED_CPU_AVX2:
    return &seed_resample_kernels_avx2;
#endif
  default:
    return &seed_resample_kernels_c;
  }
}

const SeedResampleKernels *
seed_resample_kernels (void)
{
  return seed_resample_kernels_for (seed_cpu_level ());
}
