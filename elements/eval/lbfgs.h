/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Minimises a smooth function of many numbers by L-BFGS (Liu and Nocedal 1989) with 10 pairs and a
 * line search for the strong Wolfe conditions by bisection. Everything in double and in one order,
 * so the same function gives the same bits.
 */
/* Value at @x [n]; fills @gradient [n]. */
typedef double (*SeedLbfgsFunc) (const double *x, double *gradient, gpointer data);

typedef struct {
  double value;
  double gradient; /* largest magnitude of the gradient at the end */
  guint iterations;
  gboolean converged; /* gradient is at most the tolerance */
} SeedLbfgsResult;

/* From @x to the minimum in @x. Ends when the largest magnitude of the gradient is at most
 * @tolerance, after @max_iterations, or when no step makes the value smaller. */
void seed_lbfgs_minimise (double *x, gsize n, SeedLbfgsFunc func, gpointer data, double tolerance,
    guint max_iterations, SeedLbfgsResult *result);
