/* SPDX-License-Identifier: MIT */
#include <seed/pool.h>

#include "nn/kernels.h"
#include "nn/optim.h"
#include "nn/split.h"

#define CHUNK 16384 /* elements per task */
#define NORM_PARTS 256
#define ALIGN 16 /* elements */

const SeedAdamW seed_adamw_defaults = {
  .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.05
};

static guint
n_chunks (gsize n)
{
  return (guint) ((n + CHUNK - 1) / CHUNK);
}

typedef struct {
  const SeedKernels *kernels;
  const SeedParams *params;
  const real *grads;
  real *m, *v, *values;
  SeedAdamWStep step;
  real decay; /* lr weight_decay */
} AdamW;

/* The first parameter that ends after @position; offsets ascend. */
static guint
param_at (const SeedParams *params, gsize position)
{
  guint low = 0, high = params->n;

  while (low < high) {
    guint middle = low + (high - low) / 2;
    const SeedParam *param = &params->items[middle];

    if (param->offset + param->size <= position)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void
adamw_task (guint task, gpointer data)
{
  const AdamW *a = data;
  gsize begin = (gsize) task * CHUNK, end = MIN (begin + CHUNK, a->params->total);

  for (guint i = param_at (a->params, begin); i < a->params->n; i++) {
    const SeedParam *param = &a->params->items[i];
    gsize from = MAX (begin, param->offset), to = MIN (end, param->offset + param->size);

    if (param->offset >= end)
      return;
    if (from < to)
      a->kernels->adamw (&a->step, a->grads + from, to - from, param->decay ? a->decay : 0,
          a->m + from, a->v + from, a->values + from);
  }
}

void
seed_adamw_step (const SeedAdamW *adamw, const SeedParams *params, guint64 step, double lr,
    const real *grads, real *m, real *v, real *values)
{
  AdamW a = { .kernels = seed_kernels_get (),
    .params = params,
    .grads = grads,
    .m = m,
    .v = v,
    .values = values,
    .step = { .beta1 = (real) adamw->beta1,
        .beta2 = (real) adamw->beta2,
        .rest1 = (real) (1 - adamw->beta1),
        .rest2 = (real) (1 - adamw->beta2),
        .eps = (real) adamw->eps,
        .rate = (real) (lr / (1 - pow (adamw->beta1, (double) step))),
        .v_scale = (real) (1 / (1 - pow (adamw->beta2, (double) step))) },
    .decay = (real) (lr * adamw->weight_decay) };

  g_return_if_fail (step >= 1);
  seed_pool_run (n_chunks (params->total), adamw_task, &a);
}

typedef struct {
  const SeedKernels *kernels;
  real *grads;
  gsize n;
  guint n_parts;
  double part[NORM_PARTS];
  real scale;
} Clip;

static void
squares_task (guint task, gpointer data)
{
  Clip *clip = data;
  SeedRange range = seed_split (clip->n, clip->n_parts, task, ALIGN);

  clip->part[task] = clip->kernels->squares (clip->grads + range.begin, range.n);
}

static void
scale_task (guint task, gpointer data)
{
  const Clip *clip = data;
  SeedRange range = seed_split (clip->n, clip->n_parts, task, ALIGN);

  clip->kernels->scale (clip->grads + range.begin, range.n, clip->scale);
}

double
seed_gradient_clip (real *grads, gsize n, double max_norm)
{
  Clip clip = { .kernels = seed_kernels_get (),
    .grads = grads,
    .n = n,
    .n_parts = MIN (NORM_PARTS, n_chunks (n)) };
  double norm = 0;

  seed_pool_run (clip.n_parts, squares_task, &clip);
  for (guint i = 0; i < clip.n_parts; i++)
    norm += clip.part[i];
  norm = sqrt (norm);
  if (isfinite (norm) && norm > max_norm) {
    clip.scale = (real) (max_norm / norm);
    seed_pool_run (clip.n_parts, scale_task, &clip);
  }
  return norm;
}

double
seed_schedule_lr (const SeedSchedule *schedule, guint64 step)
{
  double progress;

  if (step < schedule->warmup_steps)
    return schedule->peak * (double) step / (double) schedule->warmup_steps;
  if (schedule->total_steps == 0)
    return schedule->peak;
  if (step >= schedule->total_steps)
    return schedule->floor;
  progress = (double) (step - schedule->warmup_steps) /
             (double) (schedule->total_steps - schedule->warmup_steps);
  return schedule->floor + (schedule->peak - schedule->floor) * 0.5 * (1 + cos (G_PI * progress));
}

double
seed_ema_decay (double decay, guint64 step)
{
  return MIN (decay, (1 + (double) step) / (10 + (double) step));
}

typedef struct {
  const SeedKernels *kernels;
  real *ema;
  const real *values;
  gsize n;
  real rest; /* 1 - decay */
} Ema;

static void
ema_task (guint task, gpointer data)
{
  const Ema *region = data;
  gsize begin = (gsize) task * CHUNK, n = MIN (CHUNK, region->n - begin);

  region->kernels->average (region->values + begin, n, region->rest, region->ema + begin);
}

void
seed_ema_update (real *ema, const real *values, gsize n, double decay)
{
  Ema region = { seed_kernels_get (), ema, values, n, (real) (1 - decay) };

  seed_pool_run (n_chunks (n), ema_task, &region);
}
