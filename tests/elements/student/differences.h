/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/rng.h>

#include "core/real.h"

/* Central differences, for tests built in double. */
#define DIFFERENCE_STEP 1e-5

typedef double (*DifferenceFunc) (gpointer data);

/* Compares @n gradients, every @stride-th, with differences of @f over @x. */
static inline void
check_gradient (const char *name, real *x, const real *gradient, gsize n, gsize stride,
    DifferenceFunc f, gpointer data)
{
  for (gsize i = 0; i < n; i += stride) {
    real kept = x[i];
    double up, down, numeric;

    x[i] = kept + DIFFERENCE_STEP;
    up = f (data);
    x[i] = kept - DIFFERENCE_STEP;
    down = f (data);
    x[i] = kept;
    numeric = (up - down) / (2 * DIFFERENCE_STEP);
    if (!(fabs (numeric - gradient[i]) <= 1e-5 * (1e-2 + fabs (numeric))))
      g_error ("%s[%" G_GSIZE_FORMAT "]: %g by differences, %g by backward", name, i, numeric,
          gradient[i]);
  }
}

static inline void
fill_normal (SeedRng *rng, real *x, gsize n, double scale)
{
  for (gsize i = 0; i < n; i++)
    x[i] = (real) (scale * seed_rng_normal (rng));
}

static inline void
fill_unit (SeedRng *rng, real *x, guint rows, guint dim)
{
  for (guint i = 0; i < rows; i++) {
    double square = 0;

    fill_normal (rng, x + (gsize) i * dim, dim, 1);
    for (guint k = 0; k < dim; k++)
      square += x[(gsize) i * dim + k] * x[(gsize) i * dim + k];
    for (guint k = 0; k < dim; k++)
      x[(gsize) i * dim + k] /= sqrt (square);
  }
}
