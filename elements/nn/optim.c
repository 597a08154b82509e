/* SPDX-License-Identifier: MIT */
#include <seed/pool.h>

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
  const SeedParams *params;
  const real *grads;
  real *m, *v, *values;
  real beta1, beta2, rest1, rest2, eps; /* rest: 1 - beta, taken in double */
  real rate;                            /* lr / (1 - beta1^step) */
  real v_scale;                         /* 1 / (1 - beta2^step) */
  real decay;                           /* lr weight_decay */
} AdamW;

static void
adamw_range (const AdamW *a, gsize begin, gsize n, real decay)
{
  const real *restrict g = a->grads + begin;
  real *restrict m = a->m + begin, *restrict v = a->v + begin, *restrict w = a->values + begin;
  const real beta1 = a->beta1, beta2 = a->beta2, rest1 = a->rest1, rest2 = a->rest2;
  const real eps = a->eps, rate = a->rate, v_scale = a->v_scale;

  for (gsize i = 0; i < n; i++) {
    m[i] = beta1 * m[i] + rest1 * g[i];
    v[i] = beta2 * v[i] + rest2 * g[i] * g[i];
    w[i] -= decay * w[i] + rate * m[i] / (real_sqrt (v[i] * v_scale) + eps);
  }
}

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
    adamw_range (a, from, to - from, param->decay ? a->decay : 0);
  }
}

void
seed_adamw_step (const SeedAdamW *adamw, const SeedParams *params, guint64 step, double lr,
    const real *grads, real *m, real *v, real *values)
{
  AdamW a = { .params = params,
    .grads = grads,
    .m = m,
    .v = v,
    .values = values,
    .beta1 = (real) adamw->beta1,
    .beta2 = (real) adamw->beta2,
    .rest1 = (real) (1 - adamw->beta1),
    .rest2 = (real) (1 - adamw->beta2),
    .eps = (real) adamw->eps,
    .rate = (real) (lr / (1 - pow (adamw->beta1, (double) step))),
    .v_scale = (real) (1 / (1 - pow (adamw->beta2, (double) step))),
    .decay = (real) (lr * adamw->weight_decay) };

  g_return_if_fail (step >= 1);
  seed_pool_run (n_chunks (params->total), adamw_task, &a);
}

typedef struct {
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
  const real *g = clip->grads + range.begin;
  double sum = 0;

  for (gsize i = 0; i < range.n; i++)
    sum += (double) g[i] * (double) g[i];
  clip->part[task] = sum;
}

static void
scale_task (guint task, gpointer data)
{
  const Clip *clip = data;
  SeedRange range = seed_split (clip->n, clip->n_parts, task, ALIGN);
  real *g = clip->grads + range.begin;

  for (gsize i = 0; i < range.n; i++)
    g[i] *= clip->scale;
}

double
seed_gradient_clip (real *grads, gsize n, double max_norm)
{
  Clip clip = { .grads = grads, .n = n, .n_parts = MIN (NORM_PARTS, n_chunks (n)) };
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
  real *restrict ema = region->ema + begin;
  const real *restrict values = region->values + begin;
  const real rest = region->rest;

  for (gsize i = 0; i < n; i++)
    ema[i] += rest * (values[i] - ema[i]);
}

void
seed_ema_update (real *ema, const real *values, gsize n, double decay)
{
  Ema region = { ema, values, n, (real) (1 - decay) };

  seed_pool_run (n_chunks (n), ema_task, &region);
}
