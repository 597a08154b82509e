/* SPDX-License-Identifier: MIT */
#pragma once

#include "patchify/cutter.h"

/* The tables of one frame size and placement: [0] of luma and R'G'B', [1] of chroma. */
typedef struct {
  guint width, height, sub_x, sub_y;
  gboolean cosited_x, cosited_y, chroma;
  SeedPlacement place;
} SeedPlanKey;

typedef struct {
  SeedPlanKey key;
  guint64 used; /* clock of the run, 0: never */
  SeedAxis across[2], down[2];
} SeedPlan;

/* Bilinear goes down the columns first, bicubic along the rows: see resample.h. */
static inline gboolean
seed_plan_down_first (SeedFilter filter)
{
  return filter == SEED_FILTER_BILINEAR;
}

/*
 * The plan of @place in @frame among @plans, built into the one that was used longest ago when it
 * is not there, and marked as used at @clock (> 0, never less than before). Stays as it is while no
 * more than @n_plans different ones are asked for at one @clock. Not thread-safe.
 */
const SeedPlan *seed_plan_find (SeedPlan *plans, guint n_plans, guint64 clock, SeedFilter filter,
    const SeedFrame *frame, const SeedPlacement *place);
void seed_plan_clear (SeedPlan *plan);
