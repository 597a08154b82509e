/* SPDX-License-Identifier: MIT */
#pragma once

#include "patchify/augment.h"
#include "patchify/geometry.h"
#include "patchify/resample.h"

/*
 * Frames -> words. A cutter resamples the components of a frame to the image size where they lie in
 * the decoder's planes, turns that small image into RGB and lays it out as words; no full-size RGB
 * image ever exists. It keeps the tables of the frame sizes it saw last and all its workspace, so
 * that in the steady state cutting allocates nothing. One thread at a time; inside, it spreads over
 * views and rows with seed_pool_run where that pays.
 */
typedef struct _SeedCutter SeedCutter;

#define SEED_CUTTER_MAX_SIDE 16384 /* pixels of a frame's side */

/* 8-bit samples: the sample of column i in row j is data[j * stride + i * step]. */
typedef struct {
  const guint8 *data;
  int stride;
  guint step;
} SeedComponent;

typedef enum {
  SEED_PIXELS_RGB,  /* components R', G', B' */
  SEED_PIXELS_GREY, /* one component */
  SEED_PIXELS_YUV,  /* components Y', Cb, Cr */
} SeedPixels;

/*
 * A frame somebody else owns. Components 1 and 2 have ceil (width >> sub_x) columns and
 * ceil (height >> sub_y) rows; they are sited either on a luma sample (cosited: MPEG-2 and later
 * horizontally) or in the middle of the luma samples they cover (JPEG, MPEG-1; MPEG-2 and later
 * vertically). Interlaced frames are taken as they are.
 */
typedef struct {
  guint width, height; /* 1..SEED_CUTTER_MAX_SIDE */
  SeedPixels pixels;
  SeedComponent component[3];
  guint sub_x, sub_y; /* log2: 1, 1 for 4:2:0 */
  gboolean cosited_x, cosited_y;
  SeedColour colour;
} SeedFrame;

/* One view of a frame. @augment: colour and flip of this view, or NULL; its crop is not looked at.
 */
typedef struct {
  SeedPlacement place;
  const SeedAugment *augment;
} SeedCut;

/* @patch_size divides @image_size. @max_cuts: of one run. */
SeedCutter *seed_cutter_new (guint image_size, guint patch_size, SeedFilter filter, guint max_cuts);
void seed_cutter_free (SeedCutter *cutter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedCutter, seed_cutter_free)

/* @words: uint8 [n_cuts, N, 3, P, P]. Boxes lie inside the frame and have an area. */
void seed_cutter_run (
    SeedCutter *cutter, const SeedFrame *frame, const SeedCut *cuts, guint n_cuts, guint8 *words);
