/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "student/grid.h"

typedef struct {
  const float *from;
  float *to;
  guint from_side, to_side, dim;
} Grid;

/* Where sample @i of @to falls among @from: between low and high, @share of high. */
static void
locate (guint i, guint from, guint to, guint *low, guint *high, float *share)
{
  double position = (i + 0.5) * from / to - 0.5;

  position = CLAMP (position, 0, from - 1.0);
  *low = (guint) position;
  *high = MIN (*low + 1, from - 1);
  *share = (float) (position - *low);
}

static void
resample_image (guint image, gpointer data)
{
  const Grid *grid = data;
  gsize dim = grid->dim, side = grid->from_side;
  const float *from = grid->from + image * side * side * dim;
  float *to = grid->to + (gsize) image * grid->to_side * grid->to_side * dim;

  for (guint y = 0; y < grid->to_side; y++)
    for (guint x = 0; x < grid->to_side; x++, to += dim) {
      guint top, bottom, left, right;
      float down, across;

      locate (y, grid->from_side, grid->to_side, &top, &bottom, &down);
      locate (x, grid->from_side, grid->to_side, &left, &right, &across);
      for (gsize k = 0; k < dim; k++) {
        float upper = (1 - across) * from[(top * side + left) * dim + k] +
                      across * from[(top * side + right) * dim + k];
        float lower = (1 - across) * from[(bottom * side + left) * dim + k] +
                      across * from[(bottom * side + right) * dim + k];

        to[k] = (1 - down) * upper + down * lower;
      }
    }
}

void
seed_grid_resample (
    const float *from, guint from_side, guint n, guint dim, float *to, guint to_side)
{
  Grid grid = { from, to, from_side, to_side, dim };

  seed_pool_run (n, resample_image, &grid);
}
