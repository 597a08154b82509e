/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <cblas.h>
#include <seed/pool.h>
#include <seed/rng.h>

#include "eval/lbfgs.h"
#include "eval/linear.h"

/* A fixed number of slices, each summed up in the order of its items, makes sums independent of the
 * count of threads. */
#define N_SLICES 16u
#define CHUNK 128u
#define N_TOP 5u

/* Items as they are fitted: standardised, a 1 behind the numbers for the bias. */
typedef struct {
  const float *rows; /* [n, dim] */
  const gint32 *labels;
  const double *mean, *inverse; /* [dim] */
  const guint *items;           /* [n] indices into rows, or NULL: all in order */
  guint n, dim, n_classes;
} Design;

typedef struct {
  const Design *design;
  double lambda;
  const double *weights; /* [classes, dim + 1] */
  double *gradients;     /* [N_SLICES, classes, dim + 1], or NULL */
  double losses[N_SLICES];
  guint top1[N_SLICES], top5[N_SLICES];
} Pass;

static void
load_rows (const Design *design, guint first, guint n, double *x)
{
  for (guint i = 0; i < n; i++) {
    guint item = design->items ? design->items[first + i] : first + i;
    const float *row = design->rows + (gsize) item * design->dim;
    double *to = x + (gsize) i * (design->dim + 1);

    for (guint d = 0; d < design->dim; d++)
      to[d] = (row[d] - design->mean[d]) * design->inverse[d];
    to[design->dim] = 1;
  }
}

static guint
place_of (const double *logits, guint n_classes, guint truth)
{
  guint place = 1;

  for (guint c = 0; c < n_classes; c++)
    place += logits[c] > logits[truth] || (logits[c] == logits[truth] && c < truth);
  return place;
}

/* Logits to softmax minus one-hot, in place. Returns -log softmax of the truth. */
static double
softmax_error (double *logits, guint n_classes, guint truth)
{
  double most = logits[0], sum = 0, loss;

  for (guint c = 1; c < n_classes; c++)
    most = fmax (most, logits[c]);
  for (guint c = 0; c < n_classes; c++)
    sum += exp (logits[c] - most);
  loss = log (sum) + most - logits[truth];
  for (guint c = 0; c < n_classes; c++)
    logits[c] = exp (logits[c] - most) / sum;
  logits[truth] -= 1;
  return loss;
}

static void
take_chunk (Pass *pass, guint slice, guint first, guint n, double *x, double *logits)
{
  const Design *design = pass->design;
  guint width = design->dim + 1, classes = design->n_classes;

  load_rows (design, first, n, x);
  cblas_dgemm (CblasRowMajor, CblasNoTrans, CblasTrans, (blasint) n, (blasint) classes,
      (blasint) width, 1, x, (blasint) width, pass->weights, (blasint) width, 0, logits,
      (blasint) classes);
  for (guint i = 0; i < n; i++) {
    guint item = design->items ? design->items[first + i] : first + i;
    guint truth = (guint) design->labels[item];
    double *row = logits + (gsize) i * classes;

    if (!pass->gradients) {
      guint place = place_of (row, classes, truth);

      pass->top1[slice] += place == 1;
      pass->top5[slice] += place <= N_TOP;
    }
    pass->losses[slice] += softmax_error (row, classes, truth);
  }
  if (pass->gradients)
    cblas_dgemm (CblasRowMajor, CblasTrans, CblasNoTrans, (blasint) classes, (blasint) width,
        (blasint) n, 1, logits, (blasint) classes, x, (blasint) width, 1,
        pass->gradients + (gsize) slice * classes * width, (blasint) width);
}

static void
take_slice (guint slice, gpointer data)
{
  Pass *pass = data;
  const Design *design = pass->design;
  guint first = (guint) ((guint64) design->n * slice / N_SLICES);
  guint end = (guint) ((guint64) design->n * (slice + 1) / N_SLICES);
  g_autofree double *x = g_new (double, (gsize) CHUNK *(design->dim + 1));
  g_autofree double *logits = g_new (double, (gsize) CHUNK * design->n_classes);

  for (; first < end; first += MIN (CHUNK, end - first))
    take_chunk (pass, slice, first, MIN (CHUNK, end - first), x, logits);
}

/* The penalty leaves biases alone. */
static double
add_penalty (const Pass *pass, double *gradient)
{
  const Design *design = pass->design;
  double sum = 0;

  for (guint c = 0; c < design->n_classes; c++) {
    gsize row = (gsize) c * (design->dim + 1);

    for (guint d = 0; d < design->dim; d++) {
      sum += pass->weights[row + d] * pass->weights[row + d];
      gradient[row + d] += pass->lambda * pass->weights[row + d];
    }
  }
  return pass->lambda / 2 * sum;
}

static double
objective (const double *weights, double *gradient, gpointer data)
{
  Pass *pass = data;
  gsize size = (gsize) pass->design->n_classes * (pass->design->dim + 1);
  double loss = 0;

  pass->weights = weights;
  memset (pass->gradients, 0, N_SLICES * size * sizeof *pass->gradients);
  memset (pass->losses, 0, sizeof pass->losses);
  seed_pool_run (N_SLICES, take_slice, pass);
  memset (gradient, 0, size * sizeof *gradient);
  for (guint s = 0; s < N_SLICES; s++) {
    loss += pass->losses[s];
    for (gsize i = 0; i < size; i++)
      gradient[i] += pass->gradients[s * size + i] / pass->design->n;
  }
  return loss / pass->design->n + add_penalty (pass, gradient);
}

static void
fit (const Design *design, double lambda, const SeedLinearConfig *config, double *weights,
    SeedLbfgsResult *result)
{
  gsize size = (gsize) design->n_classes * (design->dim + 1);
  g_autofree double *gradients = g_new (double, N_SLICES *size);
  Pass pass = { .design = design, .lambda = lambda, .gradients = gradients };

  seed_lbfgs_minimise (
      weights, size, objective, &pass, config->tolerance, config->max_iterations, result);
}

static void
score (const Design *design, const double *weights, double *top1, double *top5, double *loss)
{
  Pass pass = { .design = design, .weights = weights };
  guint first = 0, five = 0;

  *loss = 0;
  seed_pool_run (N_SLICES, take_slice, &pass);
  for (guint s = 0; s < N_SLICES; s++) {
    first += pass.top1[s];
    five += pass.top5[s];
    *loss += pass.losses[s] / design->n;
  }
  *top1 = (double) first / design->n;
  *top5 = (double) five / design->n;
}

/* Mean and 1 / deviation of every number; a number that never changes is left out (0). */
static void
standardise (const SeedEvalSet *set, double *mean, double *inverse)
{
  for (guint d = 0; d < set->dim; d++)
    mean[d] = inverse[d] = 0;
  for (guint i = 0; i < set->n; i++)
    for (guint d = 0; d < set->dim; d++)
      mean[d] += (double) set->rows[(gsize) i * set->dim + d] / set->n;
  for (guint i = 0; i < set->n; i++) {
    for (guint d = 0; d < set->dim; d++) {
      double x = set->rows[(gsize) i * set->dim + d] - mean[d];

      inverse[d] += x * x / set->n;
    }
  }
  for (guint d = 0; d < set->dim; d++)
    inverse[d] = inverse[d] > 1e-12 * (1e-12 + mean[d] * mean[d]) ? 1 / sqrt (inverse[d]) : 0;
}

guint
seed_eval_split (const SeedEvalSet *set, double holdout, guint64 seed, guint8 *held)
{
  guint n_classes = seed_eval_n_classes (set), total = 0;
  g_autofree guint *items = g_new (guint, MAX (1, set->n));
  SeedRng rng;

  memset (held, 0, set->n);
  seed_rng_init (&rng, seed_hash_string (seed, "eval-split"));
  for (guint c = 0; c < n_classes; c++) {
    guint n = 0, wanted;

    for (guint i = 0; i < set->n; i++) {
      if (set->labels[i] == (gint32) c)
        items[n++] = i;
    }
    wanted = n < 2 ? 0 : CLAMP ((guint) floor (n * holdout + 0.5), 1, n - 1);
    for (guint i = 0; i < wanted; i++) { /* the beginning of a Fisher-Yates shuffle */
      guint other = i + (guint) seed_rng_below (&rng, n - i), item = items[other];

      items[other] = items[i];
      items[i] = item;
      held[item] = 1;
    }
    total += wanted;
  }
  return total;
}

static guint
collect (const guint8 *held, guint n, guint8 wanted, guint *items)
{
  guint count = 0;

  for (guint i = 0; i < n; i++) {
    if (held[i] == wanted)
      items[count++] = i;
  }
  return count;
}

/* From the strongest penalty to the weakest, each fit beginning where the last one ended. */
static void
sweep (const Design *all, const SeedEvalSet *train, const SeedLinearConfig *config,
    SeedLinearResult *result)
{
  gsize size = (gsize) all->n_classes * (all->dim + 1);
  g_autofree guint8 *held = g_new (guint8, train->n);
  g_autofree guint *kept = g_new (guint, train->n), *out = g_new (guint, train->n);
  g_autofree double *weights = g_new0 (double, size);
  Design inner = *all, outer = *all;

  result->n_holdout = seed_eval_split (train, config->holdout, config->seed, held);
  inner.items = kept;
  inner.n = collect (held, train->n, 0, kept);
  outer.items = out;
  outer.n = collect (held, train->n, 1, out);
  result->holdout_top1 = -1;
  for (guint i = 0; outer.n > 0 && i < config->n_lambdas; i++) {
    double top1, top5, loss;
    SeedLbfgsResult ignored;

    fit (&inner, config->lambdas[i], config, weights, &ignored);
    score (&outer, weights, &top1, &top5, &loss);
    if (top1 > result->holdout_top1) {
      result->holdout_top1 = top1;
      result->lambda = config->lambdas[i];
    }
  }
}

static int
descending (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x < y) - (x > y);
}

void
seed_linear_config_init (SeedLinearConfig *config)
{
  static const double lambdas[] = { 1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5 };

  *config = (SeedLinearConfig){
    .holdout = 0.2, .n_lambdas = G_N_ELEMENTS (lambdas), .max_iterations = 2000, .tolerance = 1e-5
  };
  memcpy (config->lambdas, lambdas, sizeof lambdas);
}

static gboolean
check_config (const SeedLinearConfig *config, GError **error)
{
  gboolean good = config->n_lambdas >= 1 && config->n_lambdas <= SEED_LINEAR_MAX_LAMBDAS &&
                  config->holdout >= 0.05 && config->holdout <= 0.5 &&
                  config->max_iterations >= 1 &&
                  config->max_iterations <= SEED_LINEAR_MAX_ITERATIONS && config->tolerance > 0;

  for (guint i = 0; good && i < config->n_lambdas; i++)
    good = isfinite (config->lambdas[i]) && config->lambdas[i] >= 0;
  if (!good)
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "linear probe: expected 1 to %u penalties of 0 or above, a held-out share of 0.05 to 0.5, "
        "1 to %u iterations and a tolerance above 0",
        SEED_LINEAR_MAX_LAMBDAS, SEED_LINEAR_MAX_ITERATIONS);
  return good;
}

static gboolean
check_finite (const SeedEvalSet *set, const char *what, GError **error)
{
  for (gsize i = 0; i < (gsize) set->n * set->dim; i++) {
    if (!isfinite (set->rows[i])) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
          "vector %u of the %s has a value that is not finite", (guint) (i / set->dim), what);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check (const SeedEvalSet *train, const SeedEvalSet *test, const SeedLinearConfig *config,
    GError **error)
{
  return check_config (config, error) && seed_eval_check_classes (train, "training set", error) &&
         seed_eval_check_classes (test, "test set", error) &&
         seed_eval_check_widths (train, test, error) &&
         check_finite (train, "training set", error) && check_finite (test, "test set", error);
}

gboolean
seed_eval_linear (const SeedEvalSet *train, const SeedEvalSet *test, const SeedLinearConfig *given,
    SeedLinearResult *result, GError **error)
{
  SeedLinearConfig config = *given;
  Design design = { train->rows, train->labels, .n = train->n, .dim = train->dim };
  g_autofree double *mean = NULL, *inverse = NULL, *weights = NULL;
  SeedLbfgsResult fitted;
  double ignored, loss;

  if (!check (train, test, &config, error))
    return FALSE;
  openblas_set_num_threads (1); /* the pool's tasks call it side by side */
  qsort (config.lambdas, config.n_lambdas, sizeof *config.lambdas, descending);
  design.n_classes = MAX (seed_eval_n_classes (train), seed_eval_n_classes (test));
  design.mean = mean = g_new (double, train->dim);
  design.inverse = inverse = g_new (double, train->dim);
  standardise (train, mean, inverse);
  *result = (SeedLinearResult){
    .n_train = train->n, .n_test = test->n, .lambda = config.lambdas[0], .holdout_top1 = NAN
  };
  if (config.n_lambdas > 1)
    sweep (&design, train, &config, result);
  weights = g_new0 (double, (gsize) design.n_classes *(design.dim + 1));
  fit (&design, result->lambda, &config, weights, &fitted);
  result->iterations = fitted.iterations;
  result->gradient = fitted.gradient;
  result->converged = fitted.converged;
  score (&design, weights, &result->train_top1, &ignored, &loss);
  design.rows = test->rows;
  design.labels = test->labels;
  design.n = test->n;
  score (&design, weights, &result->top1, &result->top5, &result->loss);
  return TRUE;
}
