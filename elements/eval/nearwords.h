/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * The words nearest to each anchor, at most one of an image, and how they look. However many images
 * pass, it holds n_anchors * n_best words.
 */
typedef struct _SeedNearWords SeedNearWords;

typedef struct {
  double cosine;  /* of the word and the anchor */
  guint64 image;  /* number of the image in its set */
  guint word;     /* cell of its grid, in raster order */
  guint8 *pixels; /* [word_size] */
} SeedNearWord;

/* @n_best of each are kept; @word_size: bytes of one word. */
SeedNearWords *seed_near_words_new (guint n_anchors, guint n_best, gsize word_size);
void seed_near_words_free (SeedNearWords *near);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedNearWords, seed_near_words_free)

/*
 * Looks at an image, each only once: @cosines [n_words, n_anchors], finite; @words [n_words,
 * word_size]. Of equal cosines the first one that came stays.
 */
void seed_near_words_add (
    SeedNearWords *near, guint64 image, const float *cosines, const guint8 *words, guint n_words);

guint seed_near_words_n_anchors (const SeedNearWords *near);
guint seed_near_words_n_best (const SeedNearWords *near);
/* Those of an anchor, nearest first, valid until the next image; @n: how many, 0..n_best. */
const SeedNearWord *seed_near_words_get (const SeedNearWords *near, guint anchor, guint *n);
