/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "anchors/layers.h"
#include "nn/split.h"

#define TASKS_PER_THREAD 4
#define MIN_ROWS_PER_TASK 16
#define BIAS_COLUMNS 64 /* per task; a few cache lines */
#define NORM_PART_ROWS 32
#define TINY 1e-12 /* of a norm: divides by no zero */

guint
seed_layers_tasks (gsize rows)
{
  gsize most = (gsize) TASKS_PER_THREAD * seed_pool_n_threads ();

  return (guint) CLAMP (rows / MIN_ROWS_PER_TASK, 1, most);
}

/* What the tasks below need; each uses some of it. */
typedef struct {
  const SeedLayers *layers;
  const SeedLinear *linear;
  const SeedNorm *norm;
  const real *x, *dy;
  real *y, *dx, *mean, *rstd;
  guint rows, dim, n_tasks;
} Region;

static SeedRange
part (const Region *region, guint task)
{
  return seed_split (region->rows, region->n_tasks, task, 1);
}

static void
run (Region *region, SeedPoolFunc task)
{
  region->n_tasks = seed_layers_tasks (region->rows);
  seed_pool_run (region->n_tasks, task, region);
}

/* Linear */

static void
bias_task (guint task, gpointer data)
{
  const Region *region = data;
  SeedRange rows = part (region, task);
  gsize out = region->linear->out;
  const real *bias = region->layers->values + region->linear->bias;

  for (gsize r = rows.begin; r < rows.begin + rows.n; r++)
    memcpy (region->y + r * out, bias, out * sizeof *bias);
}

void
seed_layers_linear (
    const SeedLayers *layers, const SeedLinear *linear, const real *x, guint rows, real *y)
{
  Region region = { .layers = layers, .linear = linear, .rows = rows, .y = y };
  SeedGemm gemm = { .transpose_b = TRUE,
    .m = rows,
    .n = linear->out,
    .k = linear->in,
    .alpha = 1,
    .a = x,
    .stride_a = linear->in,
    .b = layers->values + linear->weight,
    .stride_b = linear->in,
    .beta = linear->no_bias ? 0 : 1,
    .c = y,
    .stride_c = linear->out };

  if (!linear->no_bias)
    run (&region, bias_task);
  layers->backend->gemm (&gemm);
}

static void
bias_backward_task (guint task, gpointer data)
{
  const Region *region = data;
  guint out = region->linear->out, begin = task * BIAS_COLUMNS;

  region->layers->kernels->column_sum (region->dy + begin, out, region->rows,
      MIN (BIAS_COLUMNS, out - begin), region->layers->grads + region->linear->bias + begin);
}

void
seed_layers_linear_backward (const SeedLayers *layers, const SeedLinear *linear, const real *x,
    const real *dy, guint rows, real beta, real *dx)
{
  Region region = { .layers = layers, .linear = linear, .rows = rows, .dy = dy };
  SeedGemm d_weight = { .transpose_a = TRUE,
    .m = linear->out,
    .n = linear->in,
    .k = rows,
    .alpha = 1,
    .a = dy,
    .stride_a = linear->out,
    .b = x,
    .stride_b = linear->in,
    .beta = 1,
    .c = layers->grads + linear->weight,
    .stride_c = linear->in };
  SeedGemm d_input = { .m = rows,
    .n = linear->in,
    .k = linear->out,
    .alpha = 1,
    .a = dy,
    .stride_a = linear->out,
    .b = layers->values + linear->weight,
    .stride_b = linear->in,
    .beta = beta,
    .c = dx,
    .stride_c = linear->in };

  layers->backend->gemm (&d_weight);
  if (!linear->no_bias)
    seed_pool_run ((linear->out + BIAS_COLUMNS - 1) / BIAS_COLUMNS, bias_backward_task, &region);
  if (dx)
    layers->backend->gemm (&d_input);
}

/* Norm */

static void
norm_task (guint task, gpointer data)
{
  const Region *region = data;
  SeedRange rows = part (region, task);
  gsize dim = region->norm->dim;

  region->layers->kernels->norm_forward (region->x + rows.begin * dim, (guint) rows.n, (guint) dim,
      region->layers->values + region->norm->weight, region->layers->values + region->norm->bias,
      region->layers->ln_eps, region->y + rows.begin * dim, region->mean + rows.begin,
      region->rstd + rows.begin);
}

void
seed_layers_norm (const SeedLayers *layers, const SeedNorm *norm, const real *x, guint rows,
    real *y, real *mean, real *rstd)
{
  Region region = {
    .layers = layers, .norm = norm, .x = x, .rows = rows, .y = y, .mean = mean, .rstd = rstd
  };

  run (&region, norm_task);
}

static void
norm_backward_task (guint task, gpointer data)
{
  const Region *region = data;
  SeedRange rows = part (region, task);
  gsize dim = region->norm->dim;
  real *sums = region->layers->parts + 2 * dim * task;

  memset (sums, 0, 2 * dim * sizeof *sums);
  region->layers->kernels->norm_backward (region->x + rows.begin * dim, (guint) rows.n, (guint) dim,
      region->layers->values + region->norm->weight, region->mean + rows.begin,
      region->rstd + rows.begin, region->dy + rows.begin * dim, region->dx + rows.begin * dim, sums,
      sums + dim);
}

void
seed_layers_norm_backward (const SeedLayers *layers, const SeedNorm *norm, const real *x,
    const real *mean, const real *rstd, const real *dy, guint rows, real *dx)
{
  Region region = { .layers = layers,
    .norm = norm,
    .x = x,
    .rows = rows,
    .dy = dy,
    .dx = dx,
    .mean = (real *) mean,
    .rstd = (real *) rstd };

  /* by the number of rows alone, and added in order: threads change no bit */
  region.n_tasks = CLAMP (rows / NORM_PART_ROWS, 1, SEED_LAYERS_PARTS);
  seed_pool_run (region.n_tasks, norm_backward_task, &region);
  for (guint i = 0; i < region.n_tasks; i++) {
    const real *sums = layers->parts + 2 * (gsize) norm->dim * i;

    layers->kernels->add (sums, norm->dim, layers->grads + norm->weight);
    layers->kernels->add (sums + norm->dim, norm->dim, layers->grads + norm->bias);
  }
}

/* GELU */

static void
gelu_task (guint task, gpointer data)
{
  const Region *region = data;
  SeedRange rows = part (region, task);
  gsize begin = rows.begin * region->dim, n = rows.n * region->dim;

  if (region->dx)
    region->layers->kernels->activation_backward[SEED_ACTIVATION_GELU](
        region->x + begin, region->dx + begin, n, region->dx + begin, region->y + begin);
  else
    region->layers->kernels->activation[SEED_ACTIVATION_GELU](
        region->x + begin, n, region->y + begin);
}

void
seed_layers_gelu (const SeedLayers *layers, const real *x, guint rows, guint dim, real *y)
{
  Region region = { .layers = layers, .x = x, .rows = rows, .dim = dim, .y = y };

  run (&region, gelu_task);
}

void
seed_layers_gelu_backward (
    const SeedLayers *layers, const real *x, guint rows, guint dim, real *d, real *y)
{
  Region region = { .layers = layers, .x = x, .rows = rows, .dim = dim, .y = y, .dx = d };

  run (&region, gelu_task);
}

/* Unit rows */

static void
unit_task (guint task, gpointer data)
{
  const Region *region = data;
  SeedRange rows = part (region, task);
  gsize dim = region->dim;

  for (gsize r = rows.begin; r < rows.begin + rows.n; r++) {
    real *row = region->y + r * dim, inverse;
    double squares = TINY * TINY;

    for (gsize k = 0; k < dim; k++)
      squares += (double) row[k] * row[k];
    region->mean[r] = (real) sqrt (squares);
    inverse = 1 / region->mean[r];
    for (gsize k = 0; k < dim; k++)
      row[k] *= inverse;
  }
}

void
seed_layers_unit_rows (guint rows, guint dim, real *x, real *norms)
{
  Region region = { .rows = rows, .dim = dim, .y = x, .mean = norms };

  run (&region, unit_task);
}

/* z = x / |x|: dL/dx = (g - z (z.g)) / |x| */
static void
unit_backward_task (guint task, gpointer data)
{
  const Region *region = data;
  SeedRange rows = part (region, task);
  gsize dim = region->dim;

  for (gsize r = rows.begin; r < rows.begin + rows.n; r++) {
    const real *z = region->x + r * dim;
    real *d = region->dx + r * dim, inverse = 1 / region->mean[r];
    double dot = 0;

    for (gsize k = 0; k < dim; k++)
      dot += (double) z[k] * d[k];
    for (gsize k = 0; k < dim; k++)
      d[k] = (d[k] - z[k] * (real) dot) * inverse;
  }
}

void
seed_layers_unit_rows_backward (const real *z, const real *norms, guint rows, guint dim, real *d)
{
  Region region = { .rows = rows, .dim = dim, .x = z, .mean = (real *) norms, .dx = d };

  run (&region, unit_backward_task);
}
