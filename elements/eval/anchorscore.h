/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>

#include "anchors/contingency.h"

/*
 * Whether image anchors are features or places: what the anchor of a word says of the class of its
 * image, and what of the place of the word in it.
 */
#define SEED_ANCHOR_SCORE_MAX_CLASSES 65536u

typedef struct {
  const guint16 *anchors; /* [n_images, n_words]: each word's anchor, below n_anchors */
  const gint32 *labels;   /* [n_images]: class of each, or -1 */
  guint n_images, n_words, n_anchors;
} SeedAnchorWords;

/* Of words' anchors and a class of their images. */
typedef struct {
  SeedInformation information;
  double purity; /* share of words whose image has the most frequent class of their anchor */
} SeedAnchorClass;

typedef struct {
  guint n_used;             /* anchors that some word has */
  SeedInformation position; /* of anchor and cell of the grid */
  guint n_labelled;         /* images that have a class */
  /*
   * Classes of these. With fewer than two there is nothing to tell apart, and what follows is 0.
   */
  guint n_classes;
  SeedAnchorClass of_class;
  /*
   * The same against labels permuted among the images: what chance gives. The words of an image
   * share its label, so this is more than what `adjusted` takes off, which counts words as if they
   * were independent. A mean over @n_permutations, and the standard deviation of a sample of
   * `normalised` and of purity among them (0 of one).
   */
  SeedAnchorClass permuted;
  double deviation, purity_deviation;
} SeedAnchorScore;

/*
 * A pure function of its arguments; @n_permutations: 1 or more. SEED_ERROR_INVALID without words,
 * SEED_ERROR_LIMIT with more classes than the maximum.
 */
gboolean seed_anchor_score (const SeedAnchorWords *words, guint64 seed, guint n_permutations,
    SeedAnchorScore *score, GError **error);
