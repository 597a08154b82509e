/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "patchify/band.h"

#define ALIGN 64

/*
 * One component. Components that lie interleaved in a plane have one leader, which goes down the
 * columns of all of them at once; the others take what is theirs out of its row.
 */
typedef struct {
  const SeedComponent *from;
  const SeedAxis *across, *down;
  gint16 *mid; /* the resampled row */

  /* down first */
  guint leader;       /* lane */
  const guint8 *base; /* of a leader: the first byte of the plane's first pixel */
  guint span;         /* of a leader: bytes of a pixel that are used */
  guint offset;       /* into a pixel */

  /* across first: rows wait in a ring to be resampled down */
  gint16 *ring;
  guint ring_rows, next;
} Lane;

typedef struct {
  const SeedBand *band;
  Lane lane[3];
  guint n_lanes;
  gsize pitch;         /* elements of a ring's row */
  gint16 *wide, *line; /* a row of a plane, of a component */
  const gint16 **rows;
  guint8 *rgb[3];
} Work;

static gsize
align_up (gsize n)
{
  return (n + ALIGN - 1) & ~(gsize) (ALIGN - 1);
}

/* Rows a ring may have to hold for any box of the frame; chroma has no more rows than luma. */
static guint
max_ring_rows (const SeedBand *band)
{
  return seed_axis_max_taps (band->frame->height, band->cut->place.height, band->filter);
}

static gsize
line_bytes (const SeedBand *band, guint step)
{
  guint taps = seed_axis_max_taps (band->frame->width, band->cut->place.width, band->filter);

  return align_up (((gsize) band->frame->width * step + taps + SEED_ROW_MARGIN) * sizeof (gint16));
}

static guint
n_components (const SeedFrame *frame)
{
  return frame->pixels == SEED_PIXELS_GREY ? 1 : 3;
}

/* Bytes of the widest pixel. */
static guint
max_step (const SeedFrame *frame)
{
  guint step = 1;

  for (guint c = 0; c < n_components (frame); c++)
    step = MAX (step, frame->component[c].step);
  return step;
}

static gsize
pitch_bytes (const SeedBand *band)
{
  return align_up (band->image_size * sizeof (gint16));
}

gsize
seed_band_bytes (const SeedBand *band)
{
  gsize bytes = line_bytes (band, 1) + 3 * pitch_bytes (band) + 3 * align_up (band->image_size);
  gsize rows = max_ring_rows (band);

  if (seed_plan_down_first (band->filter))
    return bytes + line_bytes (band, max_step (band->frame));
  return bytes + align_up (rows * sizeof (gint16 *)) + 3 * rows * pitch_bytes (band);
}

static gpointer
take (guint8 **workspace, gsize bytes)
{
  guint8 *taken = *workspace;

  *workspace += align_up (bytes);
  return taken;
}

/* Does component @c lie between the samples of @leader? */
static gboolean
interleaved (const SeedComponent *leader, const SeedComponent *c)
{
  guintptr a = (guintptr) leader->data, b = (guintptr) c->data;

  return leader->stride == c->stride && leader->step == c->step &&
         MAX (a, b) - MIN (a, b) < c->step;
}

static void
find_leader (Work *work, guint c)
{
  Lane *lane = &work->lane[c], *leader;
  guint l = 0;

  while (l < c &&
         (work->lane[l].across != lane->across || !interleaved (work->lane[l].from, lane->from)))
    l++;
  leader = &work->lane[l];
  lane->leader = l;
  if (l == c || lane->from->data < leader->base)
    leader->base = lane->from->data;
}

/* Once every leader knows where its pixels begin. */
static void
find_offset (Work *work, guint c)
{
  Lane *lane = &work->lane[c], *leader = &work->lane[lane->leader];

  lane->offset = (guint) (lane->from->data - leader->base);
  leader->span = MAX (leader->span, lane->offset + 1);
}

static void
work_init (Work *work, const SeedBand *band, guint8 *workspace)
{
  const SeedFrame *frame = band->frame;
  gboolean down_first = seed_plan_down_first (band->filter);
  guint rows = max_ring_rows (band);

  *work = (Work){ .band = band,
    .n_lanes = n_components (frame),
    .pitch = pitch_bytes (band) / sizeof (gint16),
    .line = take (&workspace, line_bytes (band, 1)) };
  if (down_first)
    work->wide = take (&workspace, line_bytes (band, max_step (frame)));
  else
    work->rows = take (&workspace, rows * sizeof (gint16 *));
  for (guint c = 0; c < 3; c++) {
    guint chroma = c > 0 && frame->pixels == SEED_PIXELS_YUV;

    work->lane[c] = (Lane){ .from = &frame->component[c],
      .across = &band->plan->across[chroma],
      .down = &band->plan->down[chroma],
      .mid = take (&workspace, pitch_bytes (band)) };
    if (!down_first) {
      work->lane[c].ring = take (&workspace, rows * pitch_bytes (band));
      work->lane[c].ring_rows = rows;
    }
    work->rgb[c] = take (&workspace, band->image_size);
  }
  for (guint c = 0; c < work->n_lanes; c++)
    find_leader (work, c);
  for (guint c = 0; c < work->n_lanes; c++)
    find_offset (work, c);
}

/* Rows that row @v + 1 reads beyond those of row @v. */
static guint
rows_ahead (const SeedAxis *down, guint v)
{
  if (v + 1 == down->n_out)
    return 0;
  return down->start[v + 1] + down->count[v + 1] - down->start[v] - down->count[v];
}

/* Row @v of the placed image, of the components that lane @l leads. */
static void
render_down_first (Work *work, guint l, guint v)
{
  const SeedResampleKernels *kernels = work->band->kernels;
  const Lane *leader = &work->lane[l];
  const SeedAxis *across = leader->across, *down = leader->down;
  const SeedComponent *in = leader->from;
  const guint8 *from = leader->base + (gssize) (down->first + down->start[v]) * in->stride +
                       (gsize) across->first * in->step;

  kernels->down_bytes (work->wide, from, in->stride, down->weights + (gsize) v * down->taps,
      down->count[v], rows_ahead (down, v), (gsize) (across->n_used - 1) * in->step + leader->span,
      down->shift);
  for (guint c = l; c < work->n_lanes; c++) {
    const Lane *lane = &work->lane[c];
    const gint16 *line = work->wide;

    if (lane->leader != l)
      continue;
    if (in->step > 1) {
      kernels->pick (work->line, work->wide + lane->offset, in->step, across->n_used);
      line = work->line;
    }
    kernels->across (lane->mid, line, across);
  }
}

/* Row @v of the placed image, of one component. Rows are asked for from top to bottom. */
static void
render_across_first (Work *work, Lane *lane, guint v)
{
  const SeedResampleKernels *kernels = work->band->kernels;
  const SeedAxis *across = lane->across, *down = lane->down;
  const guint from = down->start[v], count = down->count[v];
  const SeedComponent *in = lane->from;

  for (lane->next = MAX (lane->next, from); lane->next < from + count; lane->next++) {
    const guint8 *row = in->data + (gssize) (down->first + lane->next) * in->stride +
                        (gsize) across->first * in->step;

    kernels->unpack (work->line, row, in->step, across->n_used);
    kernels->across (lane->ring + lane->next % lane->ring_rows * work->pitch, work->line, across);
  }
  for (guint k = 0; k < count; k++)
    work->rows[k] = lane->ring + (from + k) % lane->ring_rows * work->pitch;
  kernels->down (lane->mid, work->rows, down->weights + (gsize) v * down->taps, count,
      across->n_out, down->shift);
}

static void
render_lanes (Work *work, guint v)
{
  for (guint c = 0; c < work->n_lanes; c++) {
    if (!seed_plan_down_first (work->band->filter))
      render_across_first (work, &work->lane[c], v);
    else if (work->lane[c].leader == c)
      render_down_first (work, c, v);
  }
}

/* Row @v of the placed image as R, G, B at its columns of work->rgb. */
static void
render_rgb (Work *work, guint v)
{
  const SeedBand *band = work->band;
  const SeedPlacement *place = &band->cut->place;
  const SeedColour *colour = &band->frame->colour;
  guint8 *rgb[3];
  const gint16 *mid[3];

  render_lanes (work, v);
  for (guint c = 0; c < 3; c++) {
    rgb[c] = work->rgb[c] + place->x;
    mid[c] = work->lane[c].mid;
  }
  if (band->frame->pixels == SEED_PIXELS_YUV) {
    band->kernels->yuv (rgb, mid, place->width, colour);
    return;
  }
  for (guint c = 0; c < 3; c++) {
    if (c < work->n_lanes)
      band->kernels->levels (rgb[c], mid[c], place->width, colour);
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

void
seed_band_cut (const SeedBand *band, guint begin, guint end, guint8 *workspace)
{
  const SeedPlacement *place = &band->cut->place;
  const guint size = band->image_size;
  Work work;

  work_init (&work, band, workspace);
  for (guint y = begin; y < end; y++) {
    gboolean inside = y >= place->y && y - place->y < place->height;

    for (guint c = 0; c < 3 && (!inside || place->width < size); c++)
      memset (work.rgb[c], SEED_PAD_VALUE, size);
    if (inside)
      render_rgb (&work, y - place->y);
    for (guint c = 0; c < 3; c++) {
      if (band->cut->augment && band->cut->augment->flip)
        reverse (work.rgb[c], size);
      seed_words_put_row (band->words, size, band->patch_size, c, y, work.rgb[c]);
    }
  }
}
