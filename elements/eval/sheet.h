/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>
#include <seed/error.h>

#include "eval/nearwords.h"

/*
 * A sheet of image anchors: a tile for each, in raster order of a square (256: 16 x 16), its number
 * above it, in it the words nearest to it, nearest first, as they were cut. Small words are
 * enlarged by a whole number until they have SEED_SHEET_WORD_PIXELS on a side. A place without a
 * word shows the ground.
 */
#define SEED_SHEET_WORD_PIXELS 32u
#define SEED_SHEET_MAX_WORDS 64u /* of an anchor */

typedef struct {
  guint width, height; /* of the picture, pixels */
  guint across;        /* tiles in a row */
  guint words_across;  /* words in a row of a tile */
  guint patch_size;    /* P: pixels on a side of a word as cut */
  guint scale;         /* by which it is enlarged */
} SeedSheetLayout;

/* For words uint8 [3, P, P] of @near. */
void seed_sheet_layout_init (SeedSheetLayout *layout, const SeedNearWords *near, guint patch_size);
/* Upper left corner of an anchor's words in the picture, and their size on both sides. */
void seed_sheet_tile (const SeedSheetLayout *layout, guint anchor, guint *x, guint *y, guint *size);

/* The picture as a PNG file. Caller unrefs. */
GBytes *seed_sheet_draw (const SeedSheetLayout *layout, const SeedNearWords *near, GError **error);

/*
 * The same as SVG with @png in it, where every tile has a title: number, range of cosines, and
 * @shares [n_anchors], the share of all words that the anchor is the nearest of. Caller frees.
 */
char *seed_sheet_wrap (
    const SeedSheetLayout *layout, const SeedNearWords *near, GBytes *png, const double *shares);
