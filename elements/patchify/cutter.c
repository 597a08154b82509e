/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "patchify/cutter.h"

/* Frame sizes whose tables are kept, beyond one for each view that is augmented. */
#define N_PLANS 16
/* Bands of rows per thread: enough to even out, few enough that the rows two bands share (both
 * resample them) stay a small part. */
#define BANDS_PER_THREAD 2
#define MIN_BAND_ROWS 8
/* Below this many samples read a run is done before a second thread has woken up. */
#define PARALLEL_SAMPLES (96 * 1024)
#define ALIGN 64

typedef struct {
  guint width, height, sub_x, sub_y;
  gboolean cosited_x, cosited_y, chroma;
  SeedPlacement place;
} PlanKey;

/* Tables of one frame size and placement: [0] of luma and R'G'B', [1] of chroma. */
typedef struct {
  PlanKey key;
  guint64 used; /* clock of the run, 0: never */
  SeedAxis across[2], down[2];
} Plan;

struct _SeedCutter {
  guint image_size, patch_size, max_cuts;
  SeedFilter filter;
  const SeedResampleKernels *kernels;

  Plan *plans;
  guint n_plans;
  guint64 clock;
  const Plan **chosen; /* [max_cuts], of this run */

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

/* One component on its way: rows resampled across wait in a ring to be resampled down. */
typedef struct {
  const SeedComponent *from;
  const SeedAxis *across, *down;
  gint16 *ring, *mid;
  guint ring_rows, next;
} Lane;

/* A task: some rows of a view. */
typedef struct {
  const SeedCutter *cutter;
  const SeedFrame *frame;
  const SeedCut *cut;
  Lane lane[3];
  guint n_lanes;
  gsize pitch; /* elements of a row */
  gint16 *line;
  const gint16 **rows;
  guint8 *rgb[3];
  guint8 *words;
} Band;

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
  cutter->plans = g_new0 (Plan, cutter->n_plans);
  cutter->chosen = g_new0 (const Plan *, max_cuts);
  return cutter;
}

void
seed_cutter_free (SeedCutter *cutter)
{
  if (!cutter)
    return;
  for (guint i = 0; i < cutter->n_plans; i++) {
    for (guint j = 0; j < 2; j++) {
      seed_axis_clear (&cutter->plans[i].across[j]);
      seed_axis_clear (&cutter->plans[i].down[j]);
    }
  }
  g_free (cutter->plans);
  g_free (cutter->chosen);
  g_aligned_free (cutter->arena);
  g_free (cutter);
}

static gboolean
plan_key_equal (const PlanKey *a, const PlanKey *b)
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
plan_build (Plan *plan, const PlanKey *key, SeedFilter filter)
{
  const SeedBox *box = &key->place.box;
  guint width = key->place.width, height = key->place.height;

  plan->key = *key;
  seed_axis_build (&plan->across[0], key->width, box->x0, box->x1, width, filter, SEED_ACROSS_BITS);
  seed_axis_build (&plan->down[0], key->height, box->y0, box->y1, height, filter, SEED_DOWN_BITS);
  if (!key->chroma)
    return;
  seed_axis_build (&plan->across[1], subsampled (key->width, key->sub_x),
      to_chroma (box->x0, key->sub_x, key->cosited_x),
      to_chroma (box->x1, key->sub_x, key->cosited_x), width, filter, SEED_ACROSS_BITS);
  seed_axis_build (&plan->down[1], subsampled (key->height, key->sub_y),
      to_chroma (box->y0, key->sub_y, key->cosited_y),
      to_chroma (box->y1, key->sub_y, key->cosited_y), height, filter, SEED_DOWN_BITS);
}

/* The plan of @place, built into the one that was used longest ago when there is none. */
static const Plan *
find_plan (SeedCutter *cutter, const SeedFrame *frame, const SeedPlacement *place)
{
  gboolean chroma = frame->pixels == SEED_PIXELS_YUV;
  PlanKey key = { .width = frame->width,
    .height = frame->height,
    .sub_x = chroma ? frame->sub_x : 0,
    .sub_y = chroma ? frame->sub_y : 0,
    .cosited_x = chroma && frame->cosited_x,
    .cosited_y = chroma && frame->cosited_y,
    .chroma = chroma,
    .place = *place };
  Plan *oldest = cutter->plans;

  for (guint i = 0; i < cutter->n_plans; i++) {
    Plan *plan = &cutter->plans[i];

    if (plan->used > 0 && plan_key_equal (&plan->key, &key)) {
      plan->used = cutter->clock;
      return plan;
    }
    if (plan->used < oldest->used)
      oldest = plan;
  }
  plan_build (oldest, &key, cutter->filter);
  oldest->used = cutter->clock;
  return oldest;
}

static gsize
align_up (gsize n)
{
  return (n + ALIGN - 1) & ~(gsize) (ALIGN - 1);
}

/* Rows a ring may have to hold for any box of the frame; chroma has no more rows than luma. */
static guint
max_ring_rows (const SeedCutter *cutter, const SeedFrame *frame, const SeedPlacement *place)
{
  return seed_axis_max_taps (frame->height, place->height, cutter->filter);
}

static gsize
line_bytes (const SeedCutter *cutter, const SeedFrame *frame, const SeedPlacement *place)
{
  guint taps = seed_axis_max_taps (frame->width, place->width, cutter->filter);

  return align_up (((gsize) frame->width + taps) * sizeof (gint16));
}

static gsize
pitch_bytes (const SeedCutter *cutter)
{
  return align_up (cutter->image_size * sizeof (gint16));
}

/* Upper bound that does not depend on the box, so that random crops do not make it grow. */
static gsize
band_bytes (const SeedCutter *cutter, const SeedFrame *frame, const SeedPlacement *place)
{
  gsize rows = max_ring_rows (cutter, frame, place);

  return line_bytes (cutter, frame, place) + align_up (rows * sizeof (gint16 *)) +
         3 * (rows + 1) * pitch_bytes (cutter) + 3 * align_up (cutter->image_size);
}

static gpointer
take (guint8 **arena, gsize bytes)
{
  guint8 *taken = *arena;

  *arena += align_up (bytes);
  return taken;
}

static void
band_init (Band *band, const Run *run, guint cut, guint8 *arena)
{
  const SeedCutter *cutter = run->cutter;
  const SeedFrame *frame = run->frame;
  const SeedPlacement *place = &run->cuts[cut].place;
  const Plan *plan = cutter->chosen[cut];
  guint rows = max_ring_rows (cutter, frame, place);

  band->cutter = cutter;
  band->frame = frame;
  band->cut = &run->cuts[cut];
  band->words = run->words + cut * run->view_bytes;
  band->n_lanes = frame->pixels == SEED_PIXELS_GREY ? 1 : 3;
  band->pitch = pitch_bytes (cutter) / sizeof (gint16);
  band->line = take (&arena, line_bytes (cutter, frame, place));
  band->rows = take (&arena, rows * sizeof (gint16 *));
  for (guint c = 0; c < 3; c++) {
    guint chroma = c > 0 && frame->pixels == SEED_PIXELS_YUV;

    band->lane[c] = (Lane){ .from = &frame->component[c],
      .across = &plan->across[chroma],
      .down = &plan->down[chroma],
      .ring = take (&arena, rows * pitch_bytes (cutter)),
      .mid = take (&arena, pitch_bytes (cutter)),
      .ring_rows = rows };
    band->rgb[c] = take (&arena, cutter->image_size);
  }
}

/* Row @v of the placed image, of one component. Rows are asked for from top to bottom. */
static void
lane_render (Band *band, Lane *lane, guint v)
{
  const SeedResampleKernels *kernels = band->cutter->kernels;
  const SeedAxis *across = lane->across, *down = lane->down;
  const guint from = down->start[v], count = down->count[v];
  const SeedComponent *in = lane->from;

  for (lane->next = MAX (lane->next, from); lane->next < from + count; lane->next++) {
    const guint8 *row = in->data + (gssize) (down->first + lane->next) * in->stride +
                        (gsize) across->first * in->step;

    kernels->unpack (band->line, row, in->step, across->n_used);
    kernels->across (lane->ring + lane->next % lane->ring_rows * band->pitch, band->line, across);
  }
  for (guint k = 0; k < count; k++)
    band->rows[k] = lane->ring + (from + k) % lane->ring_rows * band->pitch;
  kernels->down (lane->mid, band->rows, down->weights + (gsize) v * down->taps, count,
      across->n_out, down->bits);
}

/* Row @v of the placed image as R, G, B at its columns of band->rgb. */
static void
band_render (Band *band, guint v)
{
  const SeedResampleKernels *kernels = band->cutter->kernels;
  const SeedColour *colour = &band->frame->colour;
  const SeedPlacement *place = &band->cut->place;
  guint8 *rgb[3];
  const gint16 *mid[3];

  for (guint c = 0; c < 3; c++) {
    rgb[c] = band->rgb[c] + place->x;
    mid[c] = band->lane[c].mid;
    if (c < band->n_lanes)
      lane_render (band, &band->lane[c], v);
  }
  if (band->frame->pixels == SEED_PIXELS_YUV) {
    kernels->yuv (rgb, mid, place->width, colour);
    return;
  }
  for (guint c = 0; c < 3; c++) {
    if (c < band->n_lanes)
      kernels->levels (rgb[c], mid[c], place->width, colour);
    else
      memcpy (rgb[c], rgb[0], place->width);
  }
}

static void
reverse (guint8 *row, guint n)
{
  for (guint i = 0, j = n - 1; i < j; i++, j--) {
    guint8 swap = row[i];

    row[i] = row[j];
    row[j] = swap;
  }
}

static void
cut_band (guint task, gpointer data)
{
  const Run *run = data;
  const SeedCutter *cutter = run->cutter;
  const guint size = cutter->image_size, index = task % run->bands;
  const guint end = (guint) ((guint64) size * (index + 1) / run->bands);
  Band band;

  band_init (&band, run, task / run->bands, cutter->arena + task * run->task_bytes);
  for (guint y = (guint) ((guint64) size * index / run->bands); y < end; y++) {
    const SeedPlacement *place = &band.cut->place;
    gboolean inside = y >= place->y && y - place->y < place->height;

    for (guint c = 0; c < 3 && (!inside || place->width < size); c++)
      memset (band.rgb[c], SEED_PAD_VALUE, size);
    if (inside)
      band_render (&band, y - place->y);
    for (guint c = 0; c < 3; c++) {
      if (band.cut->augment && band.cut->augment->flip)
        reverse (band.rgb[c], size);
      seed_words_put_row (band.words, size, cutter->patch_size, c, y, band.rgb[c]);
    }
  }
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
    cutter->chosen[i] = find_plan (cutter, frame, &cuts[i].place);
    run.task_bytes = MAX (run.task_bytes, band_bytes (cutter, frame, &cuts[i].place));
    colour = colour || (cuts[i].augment && seed_augment_has_colour (cuts[i].augment));
  }
  reserve_arena (cutter, n_cuts * run.bands * run.task_bytes);
  run_tasks (n_cuts * run.bands, cut_band, &run, parallel);
  if (colour)
    run_tasks (n_cuts, colour_view, &run, parallel);
}
