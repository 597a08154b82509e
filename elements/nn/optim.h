/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/vit.h"

/*
 * What moves parameters. All state is flat arrays laid out as the parameters, owned (and saved) by
 * the caller. Work is spread over seed_pool; results do not depend on the number of threads.
 */

/* Loshchilov and Hutter 2019, arXiv 1711.05101. */
typedef struct {
  double beta1, beta2;
  double eps;
  double weight_decay; /* of parameters with SeedParam.decay; scaled by the learning rate */
} SeedAdamW;

/* beta 0.9 and 0.95, eps 1e-8, weight decay 0.05. */
extern const SeedAdamW seed_adamw_defaults;

/*
 * One step over every parameter of @params. @m and @v: the moments [params->total], zero before the
 * first step, which is @step 1:
 *   m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
 *   w = w - lr (m / (1 - beta1^step) / (sqrt (v / (1 - beta2^step)) + eps) + weight_decay w)
 */
void seed_adamw_step (const SeedAdamW *adamw, const SeedParams *params, guint64 step, double lr,
    const real *grads, real *m, real *v, real *values);

/*
 * Scales @n gradients so that their Euclidean norm is at most @max_norm (> 0) and returns the norm
 * that they had, summed in double. When that is not finite they are left alone: a caller must
 * not take that step.
 */
double seed_gradient_clip (real *grads, gsize n, double max_norm);

/* Learning rate: a linear warm-up, then constant or a half cosine down to a floor. */
typedef struct {
  double peak;
  double floor;         /* where the cosine ends */
  guint64 warmup_steps; /* the first step has peak / warmup_steps */
  guint64 total_steps;  /* the floor is reached here; 0: constant after the warm-up */
} SeedSchedule;

/* @step counts from 1. */
double seed_schedule_lr (const SeedSchedule *schedule, guint64 step);

/* min (decay, (1 + step) / (10 + step)): an average that forgets its random start fast. */
double seed_ema_decay (double decay, guint64 step);

/* ema = decay ema + (1 - decay) values */
void seed_ema_update (real *ema, const real *values, gsize n, double decay);
