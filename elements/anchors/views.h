/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * What the objective needs to know of two views of one image: which word of the one covers which of
 * the other, and which words of the query view the student gets to see. Pure functions.
 */

/* What a view shows: a rectangle of the frame, in any unit that both views share. */
typedef struct {
  double x, y, width, height; /* > 0 */
  gboolean flip;              /* mirrored left to right, after cropping */
} SeedAnchorsView;

/*
 * @match [n]: for each of the @n query words @words (numbers in raster order of a @grid x @grid
 * view) the reference word, of as large a grid, that its centre falls into, or -1 where the
 * reference shows nothing of it. A centre on a border belongs to the word right of or below it.
 */
void seed_anchors_match (const SeedAnchorsView *reference, const SeedAnchorsView *query, guint grid,
    const guint32 *words, guint n, gint32 *match);

#define SEED_ANCHORS_KEPT 0.25    /* of a view's words, for the query */
#define SEED_ANCHORS_DROPPED 0.75 /* of the kept ones: without position */

/* Words kept of @n_words: a share of @kept (0..1], rounded, at least one. */
guint seed_anchors_n_kept (guint n_words, double kept);

/*
 * Draws @n_kept of @n_words words without repetition, in raster order, and marks the share @dropped
 * of them, rounded, in @no_position (1: no position). A pure function of @seed, which is to be a
 * hash of (seed, stream, frame, view): see seed_hash.
 */
void seed_anchors_draw_words (
    guint64 seed, guint n_words, guint n_kept, double dropped, guint32 *words, guint8 *no_position);
