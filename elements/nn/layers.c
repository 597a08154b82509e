/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "nn/layers.h"
#include "nn/split.h"

#define NORM_EPS 1e-6
#define TASK_WORK 16384 /* values of light work per task */
#define MAX_TASKS 64
#define SUM_COLUMNS 64 /* per task of a bias' gradient */
#define NORM_PARTS 16  /* partial sums of a norm's gradient */
#define NORM_PART_ROWS 32
#define TINY 1e-12 /* an all-zero row stays zero instead of dividing by zero */

SeedLayers
seed_layers (const SeedBackend *backend)
{
  return (SeedLayers){ backend ? backend : seed_backend_get (), seed_kernels_get (), NORM_EPS };
}

real *
seed_reals_new (gsize n)
{
  return g_aligned_alloc0 (MAX (n, 1), sizeof (real), 64);
}

static gsize
append (SeedParams *params, const char *name, const char *suffix, gboolean decay, guint n_dims,
    const gsize *shape)
{
  g_autofree char *full = g_strconcat (name, suffix, NULL);
  guint index = seed_params_append (params, full, decay, n_dims, shape);

  return params->items[index].offset;
}

SeedLayer
seed_layer_append_linear (SeedParams *params, const char *name, guint out, guint in)
{
  gsize shape[2] = { out, in };
  SeedLayer layer = { .out = out, .in = in };

  layer.weight = append (params, name, ".weight", TRUE, 2, shape);
  layer.bias = append (params, name, ".bias", FALSE, 1, shape);
  return layer;
}

SeedLayer
seed_layer_append_norm (SeedParams *params, const char *name, guint dim)
{
  gsize shape[1] = { dim };
  SeedLayer layer = { .out = dim, .in = dim };

  layer.weight = append (params, name, ".weight", FALSE, 1, shape);
  layer.bias = append (params, name, ".bias", FALSE, 1, shape);
  return layer;
}

SeedLayer
seed_layer_find (const SeedParams *params, const char *name)
{
  g_autofree char *weight_name = g_strconcat (name, ".weight", NULL);
  g_autofree char *bias_name = g_strconcat (name, ".bias", NULL);
  const SeedParam *weight = seed_params_lookup (params, weight_name);
  const SeedParam *bias = seed_params_lookup (params, bias_name);

  g_assert (weight && bias);
  return (SeedLayer){ .weight = weight->offset,
    .bias = bias->offset,
    .out = (guint) weight->shape[0],
    .in = (guint) weight->shape[weight->n_dims - 1] };
}

/* ---- work in parts ---- */

typedef struct {
  SeedRowsFunc func;
  gpointer data;
  gsize rows;
  guint n_tasks;
} ForRows;

static void
for_rows_task (guint task, gpointer data)
{
  const ForRows *region = data;
  SeedRange range = seed_split (region->rows, region->n_tasks, task, 1);

  if (range.n > 0)
    region->func (range.begin, range.n, region->data);
}

void
seed_for_rows (gsize rows, gsize row_work, SeedRowsFunc func, gpointer data)
{
  gsize work = rows * MAX (row_work, 1);
  ForRows region = { func, data, rows, (guint) CLAMP (work / TASK_WORK, 1, MAX_TASKS) };

  seed_pool_run (region.n_tasks, for_rows_task, &region);
}

/* ---- linear ---- */

typedef struct {
  const real *bias;
  gsize out;
  real *y;
} BiasRows;

static void
bias_rows (gsize begin, gsize n, gpointer data)
{
  const BiasRows *rows = data;

  for (gsize i = begin; i < begin + n; i++)
    memcpy (rows->y + i * rows->out, rows->bias, rows->out * sizeof (real));
}

void
seed_linear_forward (const SeedLayers *layers, const SeedLayer *layer, const real *values,
    const real *x, gsize x_stride, guint rows, real *y)
{
  BiasRows bias = { values + layer->bias, layer->out, y };
  SeedGemm gemm = { .transpose_b = TRUE,
    .m = rows,
    .n = layer->out,
    .k = layer->in,
    .alpha = 1,
    .a = x,
    .stride_a = x_stride,
    .b = values + layer->weight,
    .stride_b = layer->in,
    .beta = layer->no_bias ? 0 : 1,
    .c = y,
    .stride_c = layer->out };

  if (!layer->no_bias)
    seed_for_rows (rows, layer->out, bias_rows, &bias);
  layers->backend->gemm (&gemm);
}

typedef struct {
  const SeedKernels *kernels;
  const real *x;
  guint rows, columns;
  real *sum;
} ColumnSum;

static void
column_sum_task (guint task, gpointer data)
{
  const ColumnSum *region = data;
  guint begin = task * SUM_COLUMNS;

  region->kernels->column_sum (region->x + begin, region->columns, region->rows,
      MIN (SUM_COLUMNS, region->columns - begin), region->sum + begin);
}

void
seed_linear_backward (const SeedLayers *layers, const SeedLayer *layer, const real *values,
    const real *x, gsize x_stride, const real *dy, guint rows, SeedGradientMode mode, real *dx,
    gsize dx_stride, real *grads)
{
  ColumnSum bias = { layers->kernels, dy, rows, layer->out, grads + layer->bias };
  SeedGemm d_weight = { .transpose_a = TRUE,
    .m = layer->out,
    .n = layer->in,
    .k = rows,
    .alpha = 1,
    .a = dy,
    .stride_a = layer->out,
    .b = x,
    .stride_b = x_stride,
    .beta = 1,
    .c = grads + layer->weight,
    .stride_c = layer->in };
  SeedGemm d_input = { .m = rows,
    .n = layer->in,
    .k = layer->out,
    .alpha = 1,
    .a = dy,
    .stride_a = layer->out,
    .b = values + layer->weight,
    .stride_b = layer->in,
    .beta = mode == SEED_GRADIENT_ADD ? 1 : 0,
    .c = dx,
    .stride_c = dx_stride };

  layers->backend->gemm (&d_weight);
  if (!layer->no_bias)
    seed_pool_run ((layer->out + SUM_COLUMNS - 1) / SUM_COLUMNS, column_sum_task, &bias);
  if (dx)
    layers->backend->gemm (&d_input);
}

/* ---- norm ---- */

typedef struct {
  const SeedKernels *kernels;
  const real *x, *gamma, *beta, *dy;
  gsize dim;
  double eps;
  real *y, *mean, *rstd, *dx, *parts;
  guint rows, n_parts;
  SeedGradientMode mode;
} Norm;

static void
norm_rows (gsize begin, gsize n, gpointer data)
{
  const Norm *norm = data;

  norm->kernels->norm_forward (norm->x + begin * norm->dim, (guint) n, (guint) norm->dim,
      norm->gamma, norm->beta, norm->eps, norm->y + begin * norm->dim, norm->mean + begin,
      norm->rstd + begin);
}

void
seed_norm_forward (const SeedLayers *layers, const SeedLayer *layer, const real *values,
    const real *x, guint rows, real *y, real *mean, real *rstd)
{
  Norm norm = { .kernels = layers->kernels,
    .x = x,
    .gamma = values + layer->weight,
    .beta = values + layer->bias,
    .dim = layer->out,
    .eps = layers->norm_eps,
    .y = y,
    .mean = mean,
    .rstd = rstd };

  seed_for_rows (rows, layer->out, norm_rows, &norm);
}

static void
norm_backward_task (guint task, gpointer data)
{
  const Norm *norm = data;
  SeedRange rows = seed_split (norm->rows, norm->n_parts, task, 1);
  gsize at = rows.begin * norm->dim;
  real *part = norm->parts + 2 * norm->dim * task;

  if (norm->mode == SEED_GRADIENT_SET)
    memset (norm->dx + at, 0, rows.n * norm->dim * sizeof *norm->dx);
  norm->kernels->norm_backward (norm->x + at, (guint) rows.n, (guint) norm->dim, norm->gamma,
      norm->mean + rows.begin, norm->rstd + rows.begin, norm->dy + at, norm->dx + at, part,
      part + norm->dim);
}

/* The parts depend on the number of rows alone and are added in order. */
void
seed_norm_backward (const SeedLayers *layers, const SeedLayer *layer, const real *values,
    const real *x, guint rows, const real *mean, const real *rstd, const real *dy,
    SeedGradientMode mode, real *dx, real *grads)
{
  gsize dim = layer->out;
  guint n_parts = CLAMP (rows / NORM_PART_ROWS, 1, NORM_PARTS);
  g_autofree real *parts = g_new0 (real, 2 * dim * n_parts);
  Norm norm = { .kernels = layers->kernels,
    .x = x,
    .gamma = values + layer->weight,
    .dim = dim,
    .mean = (real *) mean,
    .rstd = (real *) rstd,
    .dy = dy,
    .dx = dx,
    .parts = parts,
    .rows = rows,
    .n_parts = n_parts,
    .mode = mode };

  seed_pool_run (n_parts, norm_backward_task, &norm);
  for (guint i = 0; i < n_parts; i++) {
    layers->kernels->add (parts + 2 * dim * i, dim, grads + layer->weight);
    layers->kernels->add (parts + 2 * dim * i + dim, dim, grads + layer->bias);
  }
}

/* ---- element by element ---- */

typedef struct {
  const SeedKernels *kernels;
  const real *x;
  real *d, *y;
} Gelu;

static void
gelu_part (gsize begin, gsize n, gpointer data)
{
  const Gelu *gelu = data;

  gelu->kernels->activation[SEED_ACTIVATION_GELU](gelu->x + begin, n, gelu->y + begin);
}

void
seed_gelu_forward (const SeedLayers *layers, const real *x, gsize n, real *y)
{
  Gelu gelu = { layers->kernels, x, NULL, y };

  seed_for_rows (n, 1, gelu_part, &gelu);
}

static void
gelu_backward_part (gsize begin, gsize n, gpointer data)
{
  const Gelu *gelu = data;

  gelu->kernels->activation_backward[SEED_ACTIVATION_GELU](
      gelu->x + begin, gelu->d + begin, n, gelu->d + begin, gelu->y + begin);
}

void
seed_gelu_backward (const SeedLayers *layers, const real *x, gsize n, real *d, real *y)
{
  Gelu gelu = { layers->kernels, x, d, y };

  seed_for_rows (n, 1, gelu_backward_part, &gelu);
}

typedef struct {
  const SeedKernels *kernels;
  const real *x;
  real *y;
} Add;

static void
add_part (gsize begin, gsize n, gpointer data)
{
  const Add *add = data;

  add->kernels->add (add->x + begin, n, add->y + begin);
}

void
seed_add_forward (const SeedLayers *layers, const real *x, gsize n, real *y)
{
  Add add = { layers->kernels, x, y };

  seed_for_rows (n, 1, add_part, &add);
}

/* ---- unit rows ---- */

typedef struct {
  real *x, *norms;
  gsize dim;
} Unit;

static void
unit_part (gsize begin, gsize n, gpointer data)
{
  const Unit *unit = data;

  for (gsize i = begin; i < begin + n; i++) {
    real *row = unit->x + i * unit->dim;
    double square = TINY * TINY;
    real inverse;

    for (gsize k = 0; k < unit->dim; k++)
      square += (double) row[k] * row[k];
    unit->norms[i] = (real) sqrt (square);
    inverse = 1 / unit->norms[i];
    for (gsize k = 0; k < unit->dim; k++)
      row[k] *= inverse;
  }
}

void
seed_unit_rows (real *x, guint rows, guint dim, real *norms)
{
  Unit unit = { x, norms, dim };

  seed_for_rows (rows, dim, unit_part, &unit);
}

typedef struct {
  const real *z, *norms;
  real *d;
  gsize dim;
} UnitBackward;

static void
unit_backward_part (gsize begin, gsize n, gpointer data)
{
  const UnitBackward *unit = data;

  for (gsize i = begin; i < begin + n; i++) {
    const real *z = unit->z + i * unit->dim;
    real *d = unit->d + i * unit->dim;
    double dot = 0;

    for (gsize k = 0; k < unit->dim; k++)
      dot += (double) z[k] * d[k];
    for (gsize k = 0; k < unit->dim; k++)
      d[k] = (d[k] - z[k] * (real) dot) / unit->norms[i];
  }
}

void
seed_unit_rows_backward (const real *z, const real *norms, guint rows, guint dim, real *d)
{
  UnitBackward unit = { z, norms, d, dim };

  seed_for_rows (rows, dim, unit_backward_part, &unit);
}
