/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* A rectangle of a frame in pixels, continuous: pixel (i, j) covers [i, i + 1) x [j, j + 1). */
typedef struct {
  double x0, y0, x1, y1;
} SeedBox;

/*
 * How a frame of any shape becomes a square.
 *   squash     the whole frame, aspect given up
 *   crop       the centred square whose side is the frame's shorter one
 * (or less of either, see SeedWindow)
 *   letterbox  the whole frame, aspect kept, centred; what stays free is SEED_PAD_VALUE
 * Aspect is that of the picture as shown: the pixels' aspect ratio counts.
 */
typedef enum {
  SEED_FIT_SQUASH,
  SEED_FIT_CROP,
  SEED_FIT_LETTERBOX,
} SeedFit;

#define SEED_PAD_VALUE 128 /* mid-grey in R'G'B', the zero of most models' normalisation */

/* Where a box of the frame goes: the rectangle @x, @y, @width, @height of an image_size square. */
typedef struct {
  SeedBox box;
  guint x, y, width, height;
} SeedPlacement;

/*
 * What of the resized frame is seen, in pixels of it: the whole frame (squash) or, aspect kept, its
 * shorter side (crop) is resized to @resize, of that the centred square of @crop is cut, of that
 * the upper left square of @image. resize >= crop >= image > 0. A letterbox looks at @image alone.
 *
 * The arithmetic is that of Hugging Face transformers' image processors: the longer side becomes
 * floor (resize longer / shorter), so its scale differs a little, and the square begins at a whole
 * pixel.
 */
typedef struct {
  guint resize, crop, image;
} SeedWindow;

/* @pixel_aspect: width of a pixel over its height, > 0 (1 for square pixels). */
void seed_fit_place_window (SeedFit fit, guint width, guint height, double pixel_aspect,
    const SeedWindow *window, SeedPlacement *place);

/* The same with all three of the window @image_size: S. */
void seed_fit_place (SeedFit fit, guint width, guint height, double pixel_aspect, guint image_size,
    SeedPlacement *place);

/* "squash", "crop", "letterbox": the spelling in caps. Static. FALSE when @name is none of them. */
const char *seed_fit_name (SeedFit fit);
gboolean seed_fit_from_name (const char *name, SeedFit *fit);

/*
 * Words: an image of @image_size (S) squared as uint8 [N, 3, P, P], N = (S/P)^2 in raster order,
 * each word channel-planar. Writes row @y of channel @channel, S bytes.
 */
void seed_words_put_row (
    guint8 *words, guint image_size, guint patch_size, guint channel, guint y, const guint8 *row);
