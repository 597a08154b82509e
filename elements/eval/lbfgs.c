/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "eval/lbfgs.h"

#define N_PAIRS 10u
#define MAX_TRIALS 40u
/* Wolfe's constants, as usual for quasi-Newton methods (Nocedal and Wright 2006, section 3.1). */
#define DECREASE 1e-4
#define CURVATURE 0.9

typedef struct {
  gsize n;
  SeedLbfgsFunc func;
  gpointer data;
  double *x, *gradient, *direction, *next_x, *next_gradient;
  double *s, *y; /* [N_PAIRS, n] */
  double rho[N_PAIRS];
  guint n_pairs, newest;
} Search;

static double
dot (const double *a, const double *b, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += a[i] * b[i];
  return sum;
}

static double
largest (const double *a, gsize n)
{
  double most = 0;

  for (gsize i = 0; i < n; i++)
    most = fmax (most, fabs (a[i]));
  return most;
}

static void
add_scaled (double *a, double factor, const double *b, gsize n)
{
  for (gsize i = 0; i < n; i++)
    a[i] += factor * b[i];
}

/* -H g by the two loops (Nocedal and Wright, algorithm 7.4). */
static void
find_direction (Search *search)
{
  double *q = search->direction, alpha[N_PAIRS], scale = 1;
  gsize n = search->n;

  for (gsize i = 0; i < n; i++)
    q[i] = -search->gradient[i];
  for (guint k = 0; k < search->n_pairs; k++) {
    guint p = (search->newest + N_PAIRS - k) % N_PAIRS;

    alpha[p] = search->rho[p] * dot (search->s + p * n, q, n);
    add_scaled (q, -alpha[p], search->y + p * n, n);
  }
  if (search->n_pairs > 0) {
    const double *y = search->y + search->newest * n;

    scale = 1 / (search->rho[search->newest] * dot (y, y, n));
  }
  for (gsize i = 0; i < n; i++)
    q[i] *= scale;
  for (guint k = search->n_pairs; k-- > 0;) {
    guint p = (search->newest + N_PAIRS - k) % N_PAIRS;
    double beta = search->rho[p] * dot (search->y + p * n, q, n);

    add_scaled (q, alpha[p] - beta, search->s + p * n, n);
  }
}

/* A step along the direction into next_x and next_gradient. FALSE when none is better. */
static gboolean
search_line (Search *search, double *value)
{
  gsize n = search->n;
  double slope = dot (search->gradient, search->direction, n), low = 0, high = INFINITY;
  double step = search->n_pairs ? 1 : fmin (1, 1 / largest (search->gradient, n));

  if (!(slope < 0))
    return FALSE;
  for (guint trial = 0; trial < MAX_TRIALS; trial++) {
    double next, next_slope;

    memcpy (search->next_x, search->x, n * sizeof *search->x);
    add_scaled (search->next_x, step, search->direction, n);
    next = search->func (search->next_x, search->next_gradient, search->data);
    next_slope = dot (search->next_gradient, search->direction, n);
    if (!isfinite (next) || next > *value + DECREASE * step * slope ||
        next_slope > CURVATURE * -slope) {
      high = step;
    } else if (next_slope < CURVATURE * slope) {
      low = step;
    } else {
      *value = next;
      return TRUE;
    }
    step = isfinite (high) ? (low + high) / 2 : 2 * step;
  }
  return FALSE;
}

/* Remembers what the step told of the curvature; a pair without any is passed over. */
static void
remember (Search *search)
{
  guint p = search->n_pairs ? (search->newest + 1) % N_PAIRS : 0;
  double *s = search->s + p * search->n, *y = search->y + p * search->n, sy;

  for (gsize i = 0; i < search->n; i++) {
    s[i] = search->next_x[i] - search->x[i];
    y[i] = search->next_gradient[i] - search->gradient[i];
  }
  sy = dot (s, y, search->n);
  if (!(sy > 1e-300))
    return;
  search->rho[p] = 1 / sy;
  search->newest = p;
  search->n_pairs = MIN (search->n_pairs + 1, N_PAIRS);
}

static void
swap (double **a, double **b)
{
  double *other = *a;

  *a = *b;
  *b = other;
}

void
seed_lbfgs_minimise (double *x, gsize n, SeedLbfgsFunc func, gpointer data, double tolerance,
    guint max_iterations, SeedLbfgsResult *result)
{
  g_autofree double *memory = g_new0 (double, n *(5 + 2 * N_PAIRS));
  Search search = { .n = n, .func = func, .data = data };

  search.x = memory;
  search.gradient = memory + n;
  search.direction = memory + 2 * n;
  search.next_x = memory + 3 * n;
  search.next_gradient = memory + 4 * n;
  search.s = memory + 5 * n;
  search.y = search.s + N_PAIRS * n;
  memcpy (search.x, x, n * sizeof *x);
  *result = (SeedLbfgsResult){ .value = func (search.x, search.gradient, data) };
  while (largest (search.gradient, n) > tolerance && result->iterations < max_iterations) {
    find_direction (&search);
    if (!search_line (&search, &result->value)) {
      if (search.n_pairs == 0)
        break;
      search.n_pairs = 0; /* what is remembered misleads; once more along the gradient */
      continue;
    }
    remember (&search);
    swap (&search.x, &search.next_x);
    swap (&search.gradient, &search.next_gradient);
    result->iterations++;
  }
  memcpy (x, search.x, n * sizeof *x);
  result->gradient = largest (search.gradient, n);
  result->converged = result->gradient <= tolerance;
}
