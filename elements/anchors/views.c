/* SPDX-License-Identifier: MIT */
#include <math.h>

#include <seed/rng.h>

#include "anchors/views.h"

/* Of a coordinate within @begin .. @begin + @size, or -1. */
static gint32
cell_of (double at, double begin, double size, guint grid)
{
  double cell = floor ((at - begin) / size * grid);

  return cell >= 0 && cell < grid ? (gint32) cell : -1;
}

void
seed_anchors_match (const SeedAnchorsView *reference, const SeedAnchorsView *query, guint grid,
    const guint32 *words, guint n, gint32 *match)
{
  for (guint i = 0; i < n; i++) {
    double u = (words[i] % grid + 0.5) / grid, v = (words[i] / grid + 0.5) / grid;
    double x = query->x + (query->flip ? 1 - u : u) * query->width;
    double y = query->y + v * query->height;
    gint32 row = cell_of (y, reference->y, reference->height, grid);
    gint32 column;

    if (reference->flip) /* mirror, so that a border still belongs to the word right of it */
      x = 2 * reference->x + reference->width - x;
    column = cell_of (x, reference->x, reference->width, grid);
    match[i] = row < 0 || column < 0 ? -1 : row * (gint32) grid + column;
  }
}

guint
seed_anchors_n_kept (guint n_words, double kept)
{
  return (guint) CLAMP (lround (n_words * kept), 1, (long) n_words);
}

/* Whether the next of @left things is among the @wanted that are still to be drawn of them
 * (selection sampling: Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S). */
static gboolean
take (SeedRng *rng, guint left, guint wanted)
{
  return seed_rng_below (rng, left) < wanted;
}

void
seed_anchors_draw_words (
    guint64 seed, guint n_words, guint n_kept, double dropped, guint32 *words, guint8 *no_position)
{
  guint n_dropped = (guint) CLAMP (lround (n_kept * dropped), 0, (long) n_kept), n = 0;
  SeedRng rng;

  g_return_if_fail (n_kept >= 1 && n_kept <= n_words);

  seed_rng_init (&rng, seed);
  for (guint word = 0; word < n_words && n < n_kept; word++)
    if (take (&rng, n_words - word, n_kept - n))
      words[n++] = word;
  for (guint i = 0; i < n_kept; i++) {
    no_position[i] = take (&rng, n_kept - i, n_dropped);
    n_dropped -= no_position[i];
  }
}
