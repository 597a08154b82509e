/* SPDX-License-Identifier: MIT */
#include <seed/pool.h>

#include "nn/vit-private.h"

/* What a forward of some of the words does otherwise than one of all. */

#define COLUMNS 64 /* per task; a few cache lines */

/* In the table of positions, which begins with those of the rows before the words. */
static gsize
position_row (const SeedVit *vit, gsize row)
{
  return vit->n_prefix + (gsize) vit->subset.words[row];
}

static gboolean
has_position (const SeedVit *vit, gsize row)
{
  return !vit->subset.no_position || !vit->subset.no_position[row];
}

const guint8 *
seed_vit_subset_word (const SeedVit *vit, const guint8 *words, gsize row)
{
  gsize image = row / vit->n_words;

  return words +
         (image * seed_vit_config_n_words (&vit->config) + vit->subset.words[row]) * vit->word_size;
}

void
seed_vit_subset_positions (const SeedVit *vit, const real *positions, guint image, real *rows)
{
  gsize d = vit->config.dim;

  for (guint i = 0; i < vit->n_words; i++) {
    gsize row = (gsize) image * vit->n_words + i;

    if (has_position (vit, row))
      vit->kernels->add (positions + position_row (vit, row) * d, d, rows + i * d);
  }
}

typedef struct {
  const SeedVit *vit;
  real *grads;
} Positions;

/* Some columns of every row: images share positions, and the order of sums stays that of rows. */
static void
positions_task (guint task, gpointer data)
{
  const Positions *region = data;
  const SeedVit *vit = region->vit;
  gsize d = vit->config.dim, begin = (gsize) task * COLUMNS;

  for (guint image = 0; image < vit->n; image++)
    for (guint i = 0; i < vit->n_words; i++) {
      gsize row = (gsize) image * vit->n_words + i;
      gsize token = (gsize) image * vit->n_tokens + vit->n_prefix + i;

      if (has_position (vit, row))
        vit->kernels->add (vit->d_stream + token * d + begin, MIN (COLUMNS, d - begin),
            region->grads + position_row (vit, row) * d + begin);
    }
}

void
seed_vit_subset_positions_backward (const SeedVit *vit, real *grads)
{
  Positions region = { vit, grads };

  seed_pool_run ((vit->config.dim + COLUMNS - 1) / COLUMNS, positions_task, &region);
}
