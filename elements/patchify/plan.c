/* SPDX-License-Identifier: MIT */
#include "patchify/plan.h"

static gboolean
key_equal (const SeedPlanKey *a, const SeedPlanKey *b)
{
  const SeedPlacement *p = &a->place, *q = &b->place;

  return a->width == b->width && a->height == b->height && a->sub_x == b->sub_x &&
         a->sub_y == b->sub_y && a->cosited_x == b->cosited_x && a->cosited_y == b->cosited_y &&
         a->chroma == b->chroma && p->box.x0 == q->box.x0 && p->box.y0 == q->box.y0 &&
         p->box.x1 == q->box.x1 && p->box.y1 == q->box.y1 && p->width == q->width &&
         p->height == q->height && p->x == q->x && p->y == q->y;
}

static guint
subsampled (guint n, guint sub)
{
  return (n + (1u << sub) - 1) >> sub;
}

/* A coordinate of luma in samples of a component that has one for every 1 << @sub of luma. */
static double
to_chroma (double x, guint sub, gboolean cosited)
{
  double pitch = 1u << sub;

  return x / pitch + (cosited ? 0.5 - 0.5 / pitch : 0.0);
}

static void
plan_build (SeedPlan *plan, const SeedPlanKey *key, SeedFilter filter)
{
  const SeedBox *box = &key->place.box;
  const guint width = key->place.width, height = key->place.height;
  const SeedPass down = seed_plan_down_first (filter) ? SEED_PASS_FIRST : SEED_PASS_SECOND;
  const SeedPass across = seed_plan_down_first (filter) ? SEED_PASS_SECOND : SEED_PASS_FIRST;

  plan->key = *key;
  seed_axis_build (&plan->across[0], key->width, box->x0, box->x1, width, filter, across);
  seed_axis_build (&plan->down[0], key->height, box->y0, box->y1, height, filter, down);
  if (!key->chroma)
    return;
  seed_axis_build (&plan->across[1], subsampled (key->width, key->sub_x),
      to_chroma (box->x0, key->sub_x, key->cosited_x),
      to_chroma (box->x1, key->sub_x, key->cosited_x), width, filter, across);
  seed_axis_build (&plan->down[1], subsampled (key->height, key->sub_y),
      to_chroma (box->y0, key->sub_y, key->cosited_y),
      to_chroma (box->y1, key->sub_y, key->cosited_y), height, filter, down);
}

const SeedPlan *
seed_plan_find (SeedPlan *plans, guint n_plans, guint64 clock, SeedFilter filter,
    const SeedFrame *frame, const SeedPlacement *place)
{
  gboolean chroma = frame->pixels == SEED_PIXELS_YUV;
  SeedPlanKey key = { .width = frame->width,
    .height = frame->height,
    .sub_x = chroma ? frame->sub_x : 0,
    .sub_y = chroma ? frame->sub_y : 0,
    .cosited_x = chroma && frame->cosited_x,
    .cosited_y = chroma && frame->cosited_y,
    .chroma = chroma,
    .place = *place };
  SeedPlan *oldest = plans;

  for (guint i = 0; i < n_plans; i++) {
    SeedPlan *plan = &plans[i];

    if (plan->used > 0 && key_equal (&plan->key, &key)) {
      plan->used = clock;
      return plan;
    }
    if (plan->used < oldest->used)
      oldest = plan;
  }
  plan_build (oldest, &key, filter);
  oldest->used = clock;
  return oldest;
}

void
seed_plan_clear (SeedPlan *plan)
{
  for (guint j = 0; j < 2; j++) {
    seed_axis_clear (&plan->across[j]);
    seed_axis_clear (&plan->down[j]);
  }
}
