/* SPDX-License-Identifier: MIT */
#pragma once

#include "patchify/geometry.h"
#include "patchify/resample.h"

/*
 * Random views of a frame for self-supervised learning, after Chen et al. 2020 (SimCLR, arXiv
 * 2002.05709) and the operations of torchvision: random resized crop, horizontal flip, colour
 * jitter, grey. What is drawn is a pure function of (seed, stream, frame, view) and of the shape of
 * the region, never of the image size: instances of different geometry cut the same views.
 */
#define SEED_AUGMENT_MIN_CROP 0.2        /* smallest crop, as a share of the region's area */
#define SEED_AUGMENT_MAX_RATIO (4.0 / 3) /* width over height lies in 1/this..this */
#define SEED_AUGMENT_TRIES 10            /* then the largest centred crop of an allowed ratio */
#define SEED_AUGMENT_FLIP 0.5            /* probabilities */
#define SEED_AUGMENT_JITTER 0.8
#define SEED_AUGMENT_GREY 0.2
#define SEED_AUGMENT_STRENGTH 0.4 /* brightness, contrast, saturation: factor 1 +- this */
#define SEED_AUGMENT_HUE 0.1      /* turns, +- */

typedef enum {
  SEED_JITTER_BRIGHTNESS,
  SEED_JITTER_CONTRAST,
  SEED_JITTER_SATURATION,
  SEED_JITTER_HUE,
  SEED_N_JITTERS,
} SeedJitter;

typedef struct {
  SeedBox crop; /* of the frame, inside the region */
  gboolean flip, grey, jitter;
  SeedJitter order[SEED_N_JITTERS]; /* the order they are applied in */
  double factor[SEED_N_JITTERS];    /* by SeedJitter; hue in turns */
} SeedAugment;

/* How far views may differ from the frame. */
typedef struct {
  double min_crop; /* smallest crop as a share of the region's area, above 0 to 1 */
  double colour; /* 0..1, what the reach of jitter and the probability of grey are multiplied by */
} SeedAugmentLimits;

#define SEED_AUGMENT_DEFAULT_LIMITS                                                                \
  {                                                                                                \
    SEED_AUGMENT_MIN_CROP, 1                                                                       \
  }

/*
 * @region: of the frame in pixels, what the crop is taken of. @pixel_aspect as in seed_fit_place.
 */
void seed_augment_draw (SeedAugment *augment, guint64 seed, const char *stream, guint64 frame,
    guint view, const SeedBox *region, double pixel_aspect, const SeedAugmentLimits *limits);

/*
 * The @seed to draw with for a frame that comes from memory for the @repeat-th time: other views
 * each time, and those of any instance that sees the same repetition. 0, a frame from its source:
 * @seed itself.
 */
guint64 seed_augment_repeat_seed (guint64 seed, guint32 repeat);

/* TRUE when seed_augment_colour would change anything. */
gboolean seed_augment_has_colour (const SeedAugment *augment);

/*
 * Jitter and grey on the words uint8 [@n_words, 3, P, P] of one view, in place. Every operation is
 * affine, so they are composed and rounded and clipped once, at the end. Contrast turns about the
 * mean grey of the view.
 */
void seed_augment_colour (const SeedAugment *augment, guint8 *words, guint n_words,
    guint patch_size, const SeedResampleKernels *kernels);
