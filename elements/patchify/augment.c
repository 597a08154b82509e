/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <seed/rng.h>

#include "patchify/augment.h"

#define MIX_BITS 12

static const double grey_of[3] = { 0.299, 0.587, 0.114 }; /* ITU-R BT.601 */

/* An affine map of colours: m c + a. */
typedef struct {
  double m[3][3], a[3];
} Affine;

static double
uniform_between (SeedRng *rng, double lo, double hi)
{
  return lo + (hi - lo) * seed_rng_uniform (rng);
}

/* Width and height in pixels as shown; FALSE when ten draws did not fit. */
static gboolean
draw_crop_size (SeedRng *rng, double width, double height, double min_crop, double *w, double *h)
{
  const double log_ratio = log (SEED_AUGMENT_MAX_RATIO);

  for (guint i = 0; i < SEED_AUGMENT_TRIES; i++) {
    double area = width * height * uniform_between (rng, min_crop, 1.0);
    double ratio = exp (uniform_between (rng, -log_ratio, log_ratio));

    *w = sqrt (area * ratio);
    *h = sqrt (area / ratio);
    if (*w <= width && *h <= height)
      return TRUE;
  }
  *w = MIN (width, height * SEED_AUGMENT_MAX_RATIO);
  *h = MIN (height, width * SEED_AUGMENT_MAX_RATIO);
  return FALSE;
}

static void
draw_crop (SeedRng *rng, const SeedBox *region, double pixel_aspect, double min_crop, SeedBox *crop)
{
  double width = region->x1 - region->x0, height = region->y1 - region->y0, w, h, x = 0.5, y = 0.5;

  if (draw_crop_size (rng, width * pixel_aspect, height, min_crop, &w, &h)) {
    x = seed_rng_uniform (rng);
    y = seed_rng_uniform (rng);
  }
  w /= pixel_aspect;
  crop->x0 = region->x0 + x * (width - w);
  crop->y0 = region->y0 + y * (height - h);
  crop->x1 = MIN (crop->x0 + w, region->x1);
  crop->y1 = MIN (crop->y0 + h, region->y1);
}

void
seed_augment_draw (SeedAugment *augment, guint64 seed, const char *stream, guint64 frame,
    guint view, const SeedBox *region, double pixel_aspect, const SeedAugmentLimits *limits)
{
  SeedRng rng;

  seed_rng_init (&rng, seed_hash (seed_hash (seed_hash_string (seed, stream), frame), view));
  draw_crop (&rng, region, pixel_aspect, limits->min_crop, &augment->crop);
  augment->flip = seed_rng_uniform (&rng) < SEED_AUGMENT_FLIP;
  augment->jitter = seed_rng_uniform (&rng) < SEED_AUGMENT_JITTER;
  augment->grey = seed_rng_uniform (&rng) < SEED_AUGMENT_GREY * limits->colour;
  for (guint i = 0; i < SEED_N_JITTERS; i++) {
    gboolean hue = i == SEED_JITTER_HUE;
    double reach = limits->colour * (hue ? SEED_AUGMENT_HUE : SEED_AUGMENT_STRENGTH);

    augment->factor[i] = (hue ? 0.0 : 1.0) + uniform_between (&rng, -reach, reach);
    augment->order[i] = (SeedJitter) i;
  }
  for (guint i = SEED_N_JITTERS - 1; i > 0; i--) { /* Fisher and Yates */
    guint j = (guint) seed_rng_below (&rng, i + 1);
    SeedJitter swap = augment->order[i];

    augment->order[i] = augment->order[j];
    augment->order[j] = swap;
  }
}

guint64
seed_augment_repeat_seed (guint64 seed, guint32 repeat)
{
  return repeat ? seed_hash (seed_hash_string (seed, "repeat"), repeat) : seed;
}

gboolean
seed_augment_has_colour (const SeedAugment *augment)
{
  return augment->jitter || augment->grey;
}

/* @f = @g after @f. */
static void
affine_then (Affine *f, const Affine *g)
{
  Affine r;

  for (guint i = 0; i < 3; i++) {
    r.a[i] = g->a[i];
    for (guint j = 0; j < 3; j++) {
      r.m[i][j] = 0.0;
      r.a[i] += g->m[i][j] * f->a[j];
      for (guint k = 0; k < 3; k++)
        r.m[i][j] += g->m[i][k] * f->m[k][j];
    }
  }
  *f = r;
}

/* factor c + (1 - factor) grey (c): saturation; grey itself at factor 0. */
static Affine
affine_saturation (double factor)
{
  Affine f = { 0 };

  for (guint i = 0; i < 3; i++)
    for (guint j = 0; j < 3; j++)
      f.m[i][j] = (1.0 - factor) * grey_of[j] + (i == j ? factor : 0.0);
  return f;
}

static Affine
affine_scale (double factor, double offset)
{
  Affine f = { 0 };

  for (guint i = 0; i < 3; i++) {
    f.m[i][i] = factor;
    f.a[i] = offset;
  }
  return f;
}

/* Turns the colour differences U = 0.492 (B - Y), V = 0.877 (R - Y) of composite video; grey stays.
 */
static Affine
affine_hue (double turns)
{
  const double cu = 0.492, cv = 0.877, c = cos (2 * G_PI * turns), s = sin (2 * G_PI * turns);
  Affine f = { 0 };

  for (guint j = 0; j < 3; j++) {
    double y = grey_of[j], u = cu * ((j == 2) - y), v = cv * ((j == 0) - y);

    f.m[0][j] = y + (s * u + c * v) / cv;
    f.m[2][j] = y + (c * u - s * v) / cu;
    f.m[1][j] = (y - grey_of[0] * f.m[0][j] - grey_of[2] * f.m[2][j]) / grey_of[1];
  }
  return f;
}

/* Grey of the mean colour under @f: all is linear, so the mean of the image is enough. */
static double
mean_grey (const Affine *f, const double mean[3])
{
  double grey = 0.0;

  for (guint i = 0; i < 3; i++) {
    grey += grey_of[i] * f->a[i];
    for (guint j = 0; j < 3; j++)
      grey += grey_of[i] * f->m[i][j] * mean[j];
  }
  return grey;
}

static Affine
compose (const SeedAugment *augment, const double mean[3])
{
  Affine f = affine_scale (1.0, 0.0);

  for (guint i = 0; augment->jitter && i < SEED_N_JITTERS; i++) {
    double factor = augment->factor[augment->order[i]];
    Affine g;

    if (augment->order[i] == SEED_JITTER_BRIGHTNESS)
      g = affine_scale (factor, 0.0);
    else if (augment->order[i] == SEED_JITTER_CONTRAST)
      g = affine_scale (factor, (1.0 - factor) * mean_grey (&f, mean));
    else if (augment->order[i] == SEED_JITTER_SATURATION)
      g = affine_saturation (factor);
    else
      g = affine_hue (factor);
    affine_then (&f, &g);
  }
  if (augment->grey) {
    Affine g = affine_saturation (0.0);
    affine_then (&f, &g);
  }
  return f;
}

static void
mean_of (double mean[3], const guint8 *words, guint n_words, gsize area)
{
  guint64 sum[3] = { 0 };

  for (guint w = 0; w < n_words; w++) {
    for (guint c = 0; c < 3; c++, words += area) {
      guint32 part = 0;

      for (gsize i = 0; i < area; i++)
        part += words[i];
      sum[c] += part;
    }
  }
  for (guint c = 0; c < 3; c++)
    mean[c] = (double) sum[c] / ((double) area * n_words);
}

void
seed_augment_colour (const SeedAugment *augment, guint8 *words, guint n_words, guint patch_size,
    const SeedResampleKernels *kernels)
{
  const gsize area = (gsize) patch_size * patch_size;
  gint16 matrix[9];
  gint32 add[3];
  double mean[3];
  Affine f;

  if (!seed_augment_has_colour (augment))
    return;
  mean_of (mean, words, n_words, area);
  f = compose (augment, mean);
  for (guint i = 0; i < 3; i++) {
    for (guint j = 0; j < 3; j++)
      matrix[3 * i + j] = (gint16) lrint (ldexp (f.m[i][j], MIX_BITS));
    add[i] = (gint32) lrint (ldexp (f.a[i] + 0.5, MIX_BITS));
  }
  for (guint w = 0; w < n_words; w++, words += 3 * area) {
    guint8 *const rgb[3] = { words, words + area, words + 2 * area };

    kernels->mix (rgb, area, matrix, add);
  }
}
