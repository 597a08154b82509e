/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "patchify/band.h"

/* Frame sizes whose tables are kept, beyond one for each view that is augmented. */
#define N_PLANS 16
/* Bands of rows per thread: enough to even out, few enough that the rows two bands share (both
 * resample them) stay a small part. */
#define BANDS_PER_THREAD 2
#define MIN_BAND_ROWS 8
/* Below this many samples read a run is done before a second thread has woken up. */
#define PARALLEL_SAMPLES (96 * 1024)
#define ALIGN 64

struct _SeedCutter {
  guint image_size, patch_size, max_cuts;
  SeedFilter filter;
  const SeedResampleKernels *kernels;

  SeedPlan *plans;
  guint n_plans;
  guint64 clock;
  const SeedPlan **chosen; /* [max_cuts], of this run */

  guint8 *arena; /* workspace of all tasks */
  gsize arena_size;
};

/* What a run shares between its tasks. */
typedef struct {
  SeedCutter *cutter;
  const SeedFrame *frame;
  const SeedCut *cuts;
  guint8 *words;
  gsize view_bytes, task_bytes;
  guint bands;
} Run;

SeedCutter *
seed_cutter_new (guint image_size, guint patch_size, SeedFilter filter, guint max_cuts)
{
  SeedCutter *cutter;

  g_return_val_if_fail (patch_size > 0 && image_size > 0 && image_size % patch_size == 0, NULL);
  g_return_val_if_fail (max_cuts > 0, NULL);
  cutter = g_new0 (SeedCutter, 1);
  cutter->image_size = image_size;
  cutter->patch_size = patch_size;
  cutter->filter = filter;
  cutter->max_cuts = max_cuts;
  cutter->kernels = seed_resample_kernels ();
  cutter->n_plans = N_PLANS + max_cuts;
  cutter->plans = g_new0 (SeedPlan, cutter->n_plans);
  cutter->chosen = g_new0 (const SeedPlan *, max_cuts);
  return cutter;
}

void
seed_cutter_free (SeedCutter *cutter)
{
  if (!cutter)
    return;
  for (guint i = 0; i < cutter->n_plans; i++)
    seed_plan_clear (&cutter->plans[i]);
  g_free (cutter->plans);
  g_free (cutter->chosen);
  g_aligned_free (cutter->arena);
  g_free (cutter);
}

static SeedBand
band_of (const Run *run, guint cut)
{
  const SeedCutter *cutter = run->cutter;

  return (SeedBand){ .kernels = cutter->kernels,
    .filter = cutter->filter,
    .image_size = cutter->image_size,
    .patch_size = cutter->patch_size,
    .frame = run->frame,
    .cut = &run->cuts[cut],
    .plan = cutter->chosen[cut],
    .words = run->words + cut * run->view_bytes };
}

static void
cut_band (guint task, gpointer data)
{
  const Run *run = data;
  const SeedCutter *cutter = run->cutter;
  const guint64 size = cutter->image_size, index = task % run->bands;
  const SeedBand band = band_of (run, task / run->bands);

  seed_band_cut (&band, (guint) (size * index / run->bands),
      (guint) (size * (index + 1) / run->bands), cutter->arena + task * run->task_bytes);
}

static void
colour_view (guint cut, gpointer data)
{
  const Run *run = data;
  const SeedCutter *cutter = run->cutter;
  guint side = cutter->image_size / cutter->patch_size;

  if (run->cuts[cut].augment)
    seed_augment_colour (run->cuts[cut].augment, run->words + cut * run->view_bytes, side * side,
        cutter->patch_size, cutter->kernels);
}

static double
samples_read (const SeedCutter *cutter, const SeedCut *cuts, guint n_cuts)
{
  double sum = 0.0;

  for (guint i = 0; i < n_cuts; i++) {
    const SeedBox *box = &cuts[i].place.box;

    sum +=
        (box->x1 - box->x0) * (box->y1 - box->y0) + 4.0 * cutter->image_size * cutter->image_size;
  }
  return sum;
}

static void
run_tasks (guint n_tasks, SeedPoolFunc func, Run *run, gboolean parallel)
{
  if (parallel) {
    seed_pool_run (n_tasks, func, run);
    return;
  }
  for (guint i = 0; i < n_tasks; i++)
    func (i, run);
}

static void
reserve_arena (SeedCutter *cutter, gsize bytes)
{
  if (bytes <= cutter->arena_size)
    return;
  g_aligned_free (cutter->arena);
  cutter->arena = g_aligned_alloc0 (1, bytes, ALIGN);
  cutter->arena_size = bytes;
}

void
seed_cutter_run (
    SeedCutter *cutter, const SeedFrame *frame, const SeedCut *cuts, guint n_cuts, guint8 *words)
{
  gboolean parallel, colour = FALSE;
  guint threads = 1;
  Run run = { .cutter = cutter, .frame = frame, .cuts = cuts, .words = words, .bands = 1 };

  g_return_if_fail (n_cuts > 0 && n_cuts <= cutter->max_cuts);
  g_return_if_fail (frame->width > 0 && frame->width <= SEED_CUTTER_MAX_SIDE);
  g_return_if_fail (frame->height > 0 && frame->height <= SEED_CUTTER_MAX_SIDE);

  cutter->clock++;
  parallel = samples_read (cutter, cuts, n_cuts) >= PARALLEL_SAMPLES;
  if (parallel)
    threads = seed_pool_n_threads ();
  if (threads > 1) {
    guint bands = (threads * BANDS_PER_THREAD + n_cuts - 1) / n_cuts;
    run.bands = CLAMP (bands, 1, MAX (1, cutter->image_size / MIN_BAND_ROWS));
  }
  run.view_bytes = (gsize) 3 * cutter->image_size * cutter->image_size;
  for (guint i = 0; i < n_cuts; i++) {
    SeedBand band;

    cutter->chosen[i] = seed_plan_find (
        cutter->plans, cutter->n_plans, cutter->clock, cutter->filter, frame, &cuts[i].place);
    band = band_of (&run, i);
    run.task_bytes = MAX (run.task_bytes, seed_band_bytes (&band));
    colour = colour || (cuts[i].augment && seed_augment_has_colour (cuts[i].augment));
  }
  reserve_arena (cutter, n_cuts * run.bands * run.task_bytes);
  run_tasks (n_cuts * run.bands, cut_band, &run, parallel);
  if (colour)
    run_tasks (n_cuts, colour_view, &run, parallel);
}
