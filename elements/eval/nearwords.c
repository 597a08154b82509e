/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "eval/nearwords.h"

struct _SeedNearWords {
  guint n_anchors, n_best;
  gsize word_size;
  guint *n;            /* [n_anchors] kept so far */
  SeedNearWord *words; /* [n_anchors, n_best], nearest first */
  guint8 *pixels;      /* [n_anchors, n_best, word_size], in no order */
};

SeedNearWords *
seed_near_words_new (guint n_anchors, guint n_best, gsize word_size)
{
  SeedNearWords *near = g_new0 (SeedNearWords, 1);
  gsize n = (gsize) n_anchors * n_best;

  g_assert (n >= 1 && word_size >= 1);
  near->n_anchors = n_anchors;
  near->n_best = n_best;
  near->word_size = word_size;
  near->n = g_new0 (guint, n_anchors);
  near->words = g_new0 (SeedNearWord, n);
  near->pixels = g_malloc_n (n, word_size);
  for (gsize i = 0; i < n; i++)
    near->words[i].pixels = near->pixels + i * word_size;
  return near;
}

void
seed_near_words_free (SeedNearWords *near)
{
  if (!near)
    return;
  g_free (near->n);
  g_free (near->words);
  g_free (near->pixels);
  g_free (near);
}

/* A new word takes the place, and the memory, of the farthest or of none. */
static void
insert (SeedNearWords *near, guint anchor, const SeedNearWord *found, const guint8 *pixels)
{
  SeedNearWord *words = near->words + (gsize) anchor * near->n_best;
  guint place = near->n[anchor], last = MIN (place, near->n_best - 1);
  guint8 *memory = words[last].pixels;

  while (place > 0 && words[place - 1].cosine < found->cosine)
    place--;
  if (place == near->n_best)
    return;
  memmove (words + place + 1, words + place, (last - place) * sizeof *words);
  words[place] = *found;
  words[place].pixels = memory;
  memcpy (memory, pixels, near->word_size);
  near->n[anchor] = last + 1;
}

void
seed_near_words_add (
    SeedNearWords *near, guint64 image, const float *cosines, const guint8 *words, guint n_words)
{
  for (guint k = 0; k < near->n_anchors; k++) {
    SeedNearWord found = { .cosine = -G_MAXDOUBLE, .image = image };

    for (guint u = 0; u < n_words; u++) {
      double cosine = (double) cosines[(gsize) u * near->n_anchors + k];

      if (cosine > found.cosine) {
        found.cosine = cosine;
        found.word = u;
      }
    }
    if (n_words > 0)
      insert (near, k, &found, words + found.word * near->word_size);
  }
}

guint
seed_near_words_n_anchors (const SeedNearWords *near)
{
  return near->n_anchors;
}

guint
seed_near_words_n_best (const SeedNearWords *near)
{
  return near->n_best;
}

const SeedNearWord *
seed_near_words_get (const SeedNearWords *near, guint anchor, guint *n)
{
  g_return_val_if_fail (anchor < near->n_anchors, NULL);
  *n = near->n[anchor];
  return near->words + (gsize) anchor * near->n_best;
}
