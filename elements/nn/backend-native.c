/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <seed/pool.h>

#include "nn/backend.h"
#include "nn/scratch.h"
#include "nn/split.h"
#include "nn/tiles.h"

/*
 * Products by the kernels of tiles.h. Weights are panels, made once; activations become strips in
 * the task that multiplies them, so that one pass converts, quantises and packs. int8 takes a scale
 * per output for the weights and one per row for the activations, found as they come (after
 * LLM.int8(), arXiv 2208.07339, section 2.1, vector-wise): there is nothing to calibrate.
 */
struct _SeedPackedLinear {
  SeedPrecision precision;
  guint out, in;
  gsize units, size; /* of a column; bytes of panels */
  guint32 *panels;
  float *scale;  /* [out] int8 */
  gint32 *shift; /* [out] int8 */
};

#define ALIGN 64
#define QUERY_ROWS 64
#define TASKS_PER_THREAD 2
/* Multiply-adds that are not worth waking another thread for. */
#define SERIAL_WORK (1u << 19)

/* How much is packed at a time: what is used again should stay in L2. */
typedef struct {
  guint rows;           /* of the left factor */
  guint depth, columns; /* units along k and columns, of a gemm that packs both factors */
  guint align;          /* of rows */
} Blocks;

/* Lines are multiplied so much faster that weights must be read less often. */
static const Blocks strip_blocks = { 112, 1024, 256, 1 }, line_blocks = { 1024, 256, 768, 32 };

/* By a table that knows nothing else. */
static gboolean
wants_lines (SeedPrecision precision)
{
  return precision != SEED_PRECISION_FLOAT32 && seed_tiles_get ()->takes_lines[precision];
}

static const Blocks *
blocks_for (SeedPrecision precision)
{
  return wants_lines (precision) ? &line_blocks : &strip_blocks;
}

/* Weights */

static SeedPackedLinear *
packed_new (SeedPrecision precision, guint out, guint in)
{
  SeedPackedLinear *packed = g_new0 (SeedPackedLinear, 1);

  *packed = (SeedPackedLinear){ precision, out, in, seed_tile_units (precision, in), 0, NULL, NULL,
    NULL };
  packed->size = seed_tile_panels_size (precision, in, out) * sizeof *packed->panels;
  return packed;
}

/* Not before there is something to pack: a workspace that borrows a model's weights has none. */
static void
allocate_panels (SeedPackedLinear *packed)
{
  packed->panels = aligned_alloc (ALIGN, packed->size);
  if (!packed->panels)
    g_error ("no memory for %" G_GSIZE_FORMAT " bytes of packed weights", packed->size);
  memset (packed->panels, 0, packed->size);
  if (packed->precision == SEED_PRECISION_INT8) {
    packed->scale = g_new0 (float, packed->out);
    packed->shift = g_new0 (gint32, packed->out);
  }
}

static void
packed_free (SeedPackedLinear *packed)
{
  if (!packed)
    return;
  free (packed->panels);
  g_free (packed->scale);
  g_free (packed->shift);
  g_free (packed);
}

static gsize
packed_bytes (const SeedPackedLinear *packed)
{
  return sizeof *packed + (packed->panels ? packed->size : 0) +
         (packed->scale ? packed->out * (sizeof *packed->scale + sizeof *packed->shift) : 0);
}

/* @count rows of @weight as signed bytes [count, in], from the unsigned ones that rows become. */
static void
quantise_weights (
    SeedPackedLinear *packed, const float *weight, guint first, guint count, gint8 *bytes)
{
  seed_tiles_get ()->quantise (SEED_ROWS_REAL, weight, packed->in, count, packed->in,
      (guint8 *) bytes, packed->in, packed->scale + first);
  for (guint r = 0; r < count; r++) {
    gint32 sum = 0;

    for (gsize i = 0; i < packed->in; i++) {
      bytes[r * packed->in + i] = (gint8) (((guint8 *) bytes)[r * packed->in + i] - 128);
      sum += bytes[r * packed->in + i];
    }
    packed->shift[first + r] = 128 * sum;
  }
}

typedef struct {
  SeedPackedLinear *packed;
  const float *weight;
} Pack;

static void
pack_task (guint panel, gpointer data)
{
  const Pack *region = data;
  SeedPackedLinear *packed = region->packed;
  guint first = panel * SEED_TILE_COLUMNS, count = MIN (SEED_TILE_COLUMNS, packed->out - first);
  const float *weight = region->weight + (gsize) first * packed->in;
  guint32 *to = packed->panels + (gsize) first * packed->units;

  if (packed->precision == SEED_PRECISION_INT8) {
    gint8 *bytes = seed_scratch ((gsize) count * packed->in);

    quantise_weights (packed, weight, first, count, bytes);
    seed_tiles_get ()->pack_rows (packed->precision, SEED_ROWS_REAL, bytes, packed->in, count,
        packed->in, to, SEED_TILE_COLUMNS);
  } else {
    seed_tiles_get ()->pack_rows (packed->precision, SEED_ROWS_REAL, weight, packed->in, count,
        packed->in, to, SEED_TILE_COLUMNS);
  }
}

static void
pack (SeedPackedLinear *packed, const float *weight)
{
  Pack region = { packed, weight };
  guint n_panels = (packed->out + SEED_TILE_COLUMNS - 1) / SEED_TILE_COLUMNS;

  if (!packed->panels)
    allocate_panels (packed);
  seed_pool_run (n_panels, pack_task, &region);
}

/* Linear layers */

/* Strips of @rows rows, one after another. */
static void
pack_strips (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride, guint rows,
    gsize k, guint32 *strips)
{
  const SeedTiles *tiles = seed_tiles_get ();
  gsize units = seed_tile_units (precision, k);
  guint n = seed_tile_n_strips (rows);

  for (guint s = 0; s < n; s++) {
    guint begin = seed_tile_strip (rows, n, s), count = seed_tile_strip (rows, n, s + 1) - begin;
    const void *from = precision == SEED_PRECISION_INT8 ? (const char *) x + begin * stride
                                                        : seed_rows_at (type, x, begin * stride);

    tiles->pack_rows (precision, type, from, stride, count, k, strips + begin * units, count);
  }
}

/*
 * Whether rows are lines as they lie there. Floats a multiple of a page apart would all want the
 * same places of the nearest cache.
 */
static gboolean
are_lines (SeedPrecision precision, SeedRowsType type, gsize stride, gsize k)
{
  if (!seed_tiles_get ()->takes_lines[precision])
    return FALSE;
  if (precision == SEED_PRECISION_FLOAT32)
    return stride % 1024 != 0;
  return type == SEED_ROWS_BF16 && k % (2 * SEED_TILE_UNITS) == 0 && stride % 2 == 0;
}

/* Makes @x [tile->m, k] the left factor of @tile, in @space for so many units if need be. */
static void
take_left (SeedPrecision precision, SeedTile *tile, SeedRowsType type, const void *x, gsize stride,
    gsize k, guint32 *space)
{
  tile->a = space;
  tile->lines = TRUE;
  if (are_lines (precision, type, stride, k)) {
    tile->a = x;
    tile->a_stride = stride / seed_tile_unit (precision);
  } else if (wants_lines (precision)) {
    seed_tiles_get ()->line_rows (type, x, stride, tile->m, k, space);
    tile->a_stride = tile->units;
  } else {
    tile->lines = FALSE;
    pack_strips (precision, type, x, stride, tile->m, k, space);
  }
}

static gsize
linear_scratch_size (const SeedPackedLinear *packed, gsize rows)
{
  return (2 * packed->units * sizeof (guint32) + sizeof (float)) * rows + 3 * ALIGN;
}

/* @y points at the columns that @tile's panels make. */
static void
linear_block (const SeedPackedLinear *packed, SeedTile *tile, const void *x, gsize x_stride,
    SeedRowsType x_type, char *scratch)
{
  const SeedTiles *tiles = seed_tiles_get ();
  guint32 *space = seed_scratch_take (&scratch, tile->m * packed->units * sizeof *space);

  if (packed->precision == SEED_PRECISION_INT8) {
    gsize stride = packed->units * sizeof (guint32);
    guint8 *bytes = seed_scratch_take (&scratch, tile->m * stride);
    float *scale = seed_scratch_take (&scratch, tile->m * sizeof *scale);

    tiles->quantise (x_type, x, x_stride, tile->m, packed->in, bytes, stride, scale);
    tile->row_scale = scale;
    if (wants_lines (SEED_PRECISION_INT8)) {
      tile->a = (const guint32 *) bytes;
      tile->lines = TRUE;
      tile->a_stride = packed->units;
    } else {
      take_left (SEED_PRECISION_INT8, tile, x_type, bytes, stride, packed->in, space);
    }
  } else {
    take_left (packed->precision, tile, x_type, x, x_stride, packed->in, space);
  }
  tiles->multiply[packed->precision](tile);
}

/* Some rows by some columns, which begin a panel. */
static void
linear_part (const SeedPackedLinear *packed, const void *x, gsize x_stride, SeedRange rows,
    SeedRange columns, const SeedEpilogue *e, void *y, gsize y_stride)
{
  const Blocks *blocks = blocks_for (packed->precision);
  guint n_blocks = (guint) ((rows.n + blocks->rows - 1) / blocks->rows);
  char *scratch = seed_scratch (linear_scratch_size (packed, MIN (rows.n, blocks->rows)));

  for (guint b = 0; b < n_blocks; b++) {
    SeedRange part = seed_split (rows.n, n_blocks, b, blocks->align);
    gsize row = rows.begin + part.begin;
    SeedTile tile = { .b = packed->panels + columns.begin * packed->units,
      .m = (guint) part.n,
      .n = (guint) columns.n,
      .units = packed->units,
      .panel_stride = packed->units * SEED_TILE_COLUMNS,
      .column_scale = packed->scale ? packed->scale + columns.begin : NULL,
      .column_shift = packed->shift ? packed->shift + columns.begin : NULL,
      .bias = e->bias ? e->bias + columns.begin : NULL,
      .activate = e->activate,
      .activation = e->activation,
      .residual = e->residual ? e->residual + row * e->residual_stride + columns.begin : NULL,
      .residual_stride = e->residual_stride,
      .c = (void *) seed_rows_at (e->y_type, y, row * y_stride + columns.begin),
      .c_stride = y_stride,
      .c_type = e->y_type };

    linear_block (
        packed, &tile, seed_rows_at (e->x_type, x, row * x_stride), x_stride, e->x_type, scratch);
  }
}

static void
linear_rows (const SeedPackedLinear *packed, const void *x, gsize x_stride, guint m,
    const SeedEpilogue *epilogue, void *y, gsize y_stride)
{
  linear_part (packed, x, x_stride, (SeedRange){ 0, m }, (SeedRange){ 0, packed->out }, epilogue, y,
      y_stride);
}

typedef struct {
  guint rows, columns; /* how many parts each way */
} Grid;

/* By rows while they fill a strip, since then each row is packed once; the rest by columns. */
static Grid
grid_for (SeedPrecision precision, guint m, guint n, gsize k, guint tasks_per_thread)
{
  guint threads = seed_pool_n_threads ();
  guint strip = wants_lines (precision) ? line_blocks.align : SEED_TILE_ROWS;
  guint n_tasks = threads * tasks_per_thread, most = (m + strip - 1) / strip;
  guint panels = (n + SEED_TILE_COLUMNS - 1) / SEED_TILE_COLUMNS;
  Grid grid = { 1, 1 };

  if (threads == 1 || (double) m * n * (double) k < SERIAL_WORK)
    return grid;
  grid.rows = MIN (n_tasks, most);
  if (grid.rows < n_tasks)
    grid.columns = MIN ((n_tasks + grid.rows - 1) / grid.rows, panels);
  return grid;
}

typedef struct {
  const SeedPackedLinear *packed;
  const void *x;
  gsize x_stride;
  guint m;
  const SeedEpilogue *epilogue;
  void *y;
  gsize y_stride;
  Grid grid;
} Linear;

static void
linear_task (guint task, gpointer data)
{
  const Linear *l = data;
  SeedRange rows = seed_split (
      l->m, l->grid.rows, task / l->grid.columns, blocks_for (l->packed->precision)->align);
  SeedRange columns =
      seed_split (l->packed->out, l->grid.columns, task % l->grid.columns, SEED_TILE_COLUMNS);

  if (rows.n > 0 && columns.n > 0)
    linear_part (l->packed, l->x, l->x_stride, rows, columns, l->epilogue, l->y, l->y_stride);
}

static void
linear (const SeedPackedLinear *packed, const void *x, gsize x_stride, guint m,
    const SeedEpilogue *epilogue, void *y, gsize y_stride)
{
  Linear region = { packed, x, x_stride, m, epilogue, y, y_stride,
    grid_for (packed->precision, m, packed->out, packed->in, TASKS_PER_THREAD) };

  seed_pool_run (region.grid.rows * region.grid.columns, linear_task, &region);
}

/* Both factors packed for one product */

/* What gemm means by op(A) [rows, k] or op(B) [k, columns], from element (row, k). */
static const void *
factor (SeedRowsType type, const void *x, gsize stride, gboolean k_is_row, gsize i, gsize k)
{
  return seed_rows_at (type, x, k_is_row ? k * stride + i : i * stride + k);
}

static void
pack_b (
    SeedPrecision precision, const SeedGemm *g, SeedRange columns, SeedRange depth, guint32 *panels)
{
  gsize size = SEED_TILE_COLUMNS * seed_tile_units (precision, depth.n);
  gsize whole = columns.n / SEED_TILE_COLUMNS * SEED_TILE_COLUMNS;
  const SeedTiles *tiles = seed_tiles_get ();

  if (whole < columns.n)
    memset (panels + whole / SEED_TILE_COLUMNS * size, 0, size * sizeof *panels);
  if (!g->transpose_b) {
    tiles->pack_columns (precision, g->b_type,
        factor (g->b_type, g->b, g->stride_b, TRUE, columns.begin, depth.begin), g->stride_b,
        (guint) columns.n, depth.n, panels, SEED_TILE_COLUMNS);
    return;
  }
  for (gsize j = 0; j < columns.n; j += SEED_TILE_COLUMNS, panels += size)
    tiles->pack_rows (precision, g->b_type,
        factor (g->b_type, g->b, g->stride_b, FALSE, columns.begin + j, depth.begin), g->stride_b,
        (guint) MIN (SEED_TILE_COLUMNS, columns.n - j), depth.n, panels, SEED_TILE_COLUMNS);
}

/* Strips or lines; or, of what is transposed, whole rows of memory as one strip. */
static void
pack_a (SeedPrecision precision, const SeedGemm *g, SeedRange rows, SeedRange depth, SeedTile *tile,
    guint32 *space)
{
  const SeedTiles *tiles = seed_tiles_get ();
  const void *a = factor (g->a_type, g->a, g->stride_a, g->transpose_a, rows.begin, depth.begin);

  if (!g->transpose_a) {
    take_left (precision, tile, g->a_type, a, g->stride_a, depth.n, space);
    return;
  }
  tile->a = space;
  if (wants_lines (precision)) {
    tiles->line_columns (g->a_type, a, g->stride_a, (guint) rows.n, depth.n, space);
    tile->lines = TRUE;
    tile->a_stride = tile->units;
  } else {
    tiles->pack_columns (
        precision, g->a_type, a, g->stride_a, (guint) rows.n, depth.n, space, (guint) rows.n);
    tile->a_stride = rows.n;
  }
}

/* All rows by the columns and the depth that @panels hold. */
static void
gemm_rows (SeedPrecision precision, const SeedGemm *g, SeedRange columns, SeedRange depth,
    const guint32 *panels, guint32 *space)
{
  const Blocks *blocks = blocks_for (precision);
  guint n_blocks = (g->m + blocks->rows - 1) / blocks->rows;

  for (guint b = 0; b < n_blocks; b++) {
    SeedRange rows = seed_split (g->m, n_blocks, b, blocks->align);
    SeedTile tile = { .b = panels,
      .m = (guint) rows.n,
      .n = (guint) columns.n,
      .units = seed_tile_units (precision, depth.n),
      .c = (void *) seed_rows_at (g->c_type, g->c, rows.begin * g->stride_c + columns.begin),
      .c_type = g->c_type,
      .c_stride = g->stride_c,
      .residual_stride = g->stride_c };

    tile.panel_stride = tile.units * SEED_TILE_COLUMNS;
    if (depth.begin > 0 || g->beta != 0)
      tile.residual = tile.c;
    pack_a (precision, g, rows, depth, &tile, space);
    seed_tiles_get ()->multiply[precision](&tile);
  }
}

static void
gemm_part (SeedPrecision precision, const SeedGemm *g)
{
  const Blocks *blocks = blocks_for (precision);
  /* what is rounded cannot be added to */
  gsize max_depth =
      g->c_type == SEED_ROWS_REAL ? MIN (g->k, blocks->depth * seed_tile_unit (precision)) : g->k;
  guint n_depths = (guint) ((g->k + max_depth - 1) / max_depth);
  guint n_columns = (g->n + blocks->columns - 1) / blocks->columns;
  gsize panels_size =
      seed_tile_panels_size (precision, max_depth, MIN (g->n, blocks->columns)) * sizeof (guint32);
  gsize left_size =
      MIN (g->m, blocks->rows) * seed_tile_units (precision, max_depth) * sizeof (guint32);
  char *scratch = seed_scratch (panels_size + left_size + 2 * ALIGN);
  guint32 *panels = seed_scratch_take (&scratch, panels_size);
  guint32 *left = seed_scratch_take (&scratch, left_size);

  for (guint c = 0; c < n_columns; c++)
    for (guint d = 0; d < n_depths; d++) {
      SeedRange columns = { (gsize) c * blocks->columns,
        MIN (blocks->columns, g->n - c * blocks->columns) };
      SeedRange depth = { d * max_depth, MIN (max_depth, g->k - d * max_depth) };

      pack_b (precision, g, columns, depth, panels);
      gemm_rows (precision, g, columns, depth, panels, left);
    }
}

/* What the kernels do not do is left to the reference. */
static gboolean
is_plain (const SeedGemm *g)
{
  return g->alpha == 1 && (g->beta == 0 || g->beta == 1) && g->m > 0 && g->n > 0 && g->k > 0;
}

typedef struct {
  SeedPrecision precision;
  const SeedGemm *gemm;
  Grid grid;
} Gemm;

static void
gemm_task (guint task, gpointer data)
{
  const Gemm *region = data;
  SeedGemm part = *region->gemm;
  SeedRange rows = seed_split (part.m, region->grid.rows, task / region->grid.columns,
      blocks_for (region->precision)->align);
  SeedRange columns =
      seed_split (part.n, region->grid.columns, task % region->grid.columns, SEED_TILE_COLUMNS);

  if (rows.n == 0 || columns.n == 0)
    return;
  part.m = (guint) rows.n;
  part.n = (guint) columns.n;
  part.a = factor (part.a_type, part.a, part.stride_a, part.transpose_a, rows.begin, 0);
  part.b = factor (part.b_type, part.b, part.stride_b, !part.transpose_b, columns.begin, 0);
  part.c = (void *) seed_rows_at (part.c_type, part.c, rows.begin * part.stride_c + columns.begin);
  gemm_part (region->precision, &part);
}

/*
 * Along the longer side, so that the shorter factor is the one packed again by every task; and
 * where that is most of the memory read, as when rows are summed over, no more tasks than threads.
 */
static Grid
gemm_grid (SeedPrecision precision, const SeedGemm *g)
{
  Grid grid = grid_for (precision, g->m, g->n, g->k, g->transpose_a ? 1 : TASKS_PER_THREAD);
  guint panels = (g->n + SEED_TILE_COLUMNS - 1) / SEED_TILE_COLUMNS;

  if (g->n > g->m && grid.rows > 1 && panels >= grid.rows)
    grid = (Grid){ grid.columns, grid.rows };
  return grid;
}

static void
gemm_in (SeedPrecision precision, const SeedGemm *gemm)
{
  Gemm region = { precision, gemm, { 1, 1 } };

  if (!is_plain (gemm)) {
    seed_backend_openblas ()->gemm (gemm);
    return;
  }
  region.grid = gemm_grid (precision, gemm);
  seed_pool_run (region.grid.rows * region.grid.columns, gemm_task, &region);
}

static void
gemm_serial_in (SeedPrecision precision, const SeedGemm *gemm)
{
  if (is_plain (gemm))
    gemm_part (precision, gemm);
  else
    seed_backend_openblas ()->gemm_serial (gemm);
}

/* Attention */

typedef struct {
  guint32 *keys, *values, *queries, *probs;
  float *scores, *inverse;
  gsize key_units;   /* of a row of keys: along dim */
  gsize value_units; /* along the keys */
  gsize score_stride;
} Heads;

static Heads
take_heads (SeedPrecision precision, const SeedAttention *a)
{
  Heads h = { .key_units = seed_tile_units (precision, a->dim),
    .score_stride =
        (a->n_keys + SEED_TILE_COLUMNS - 1) / SEED_TILE_COLUMNS * (gsize) SEED_TILE_COLUMNS };
  gsize keys = seed_tile_panels_size (precision, a->dim, a->n_keys) * sizeof (guint32);
  gsize values = seed_tile_panels_size (precision, a->n_keys, a->dim) * sizeof (guint32);
  gsize queries = QUERY_ROWS * h.key_units * sizeof (guint32);
  gsize probs, scores = QUERY_ROWS * h.score_stride * sizeof (float);
  char *scratch;

  h.value_units = seed_tile_units (precision, a->n_keys);
  probs = QUERY_ROWS * h.value_units * sizeof (guint32);
  scratch = seed_scratch (
      keys + values + queries + probs + scores + QUERY_ROWS * sizeof (float) + 6 * ALIGN);
  h.keys = seed_scratch_take (&scratch, keys);
  h.values = seed_scratch_take (&scratch, values);
  h.queries = seed_scratch_take (&scratch, queries);
  h.probs = seed_scratch_take (&scratch, probs);
  h.scores = seed_scratch_take (&scratch, scores);
  h.inverse = seed_scratch_take (&scratch, QUERY_ROWS * sizeof *h.inverse);
  return h;
}

/* [n, dim] as a right factor with dim along k, or with n along k. */
static void
pack_across (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride, guint n,
    guint dim, guint32 *panels)
{
  gsize units = seed_tile_units (precision, dim);

  for (guint j = 0; j < n; j += SEED_TILE_COLUMNS, panels += SEED_TILE_COLUMNS * units) {
    guint count = MIN (SEED_TILE_COLUMNS, n - j);

    if (count < SEED_TILE_COLUMNS)
      memset (panels, 0, SEED_TILE_COLUMNS * units * sizeof *panels);
    seed_tiles_get ()->pack_rows (precision, type, seed_rows_at (type, x, j * stride), stride,
        count, dim, panels, SEED_TILE_COLUMNS);
  }
}

static void
pack_down (SeedPrecision precision, SeedRowsType type, const void *x, gsize stride, guint n,
    guint dim, guint32 *panels)
{
  gsize units = seed_tile_units (precision, n);

  if (dim % SEED_TILE_COLUMNS > 0)
    memset (panels + dim / SEED_TILE_COLUMNS * SEED_TILE_COLUMNS * units, 0,
        SEED_TILE_COLUMNS * units * sizeof *panels);
  seed_tiles_get ()->pack_columns (precision, type, x, stride, dim, n, panels, SEED_TILE_COLUMNS);
}

static void
pack_head (SeedPrecision precision, const SeedAttention *a, const Heads *h)
{
  pack_across (precision, a->type, a->k, a->stride, a->n_keys, a->dim, h->keys);
  pack_down (precision, a->type, a->v, a->stride, a->n_keys, a->dim, h->values);
}

static void
attend (SeedPrecision precision, const SeedAttention *a, const Heads *h, SeedRange rows)
{
  const SeedTiles *tiles = seed_tiles_get ();
  SeedTile scores = { .b = h->keys,
    .m = (guint) rows.n,
    .n = (guint) h->score_stride, /* whole panels, which are quicker to store */
    .units = h->key_units,
    .panel_stride = h->key_units * SEED_TILE_COLUMNS,
    .c = h->scores,
    .c_stride = h->score_stride };
  SeedTile mix = { .b = h->values,
    .m = (guint) rows.n,
    .n = a->dim,
    .units = h->value_units,
    .panel_stride = h->value_units * SEED_TILE_COLUMNS,
    .c = (void *) seed_rows_at (a->type, a->out, rows.begin * a->out_stride),
    .c_stride = a->out_stride,
    .c_type = a->type };

  int causal = a->causal ? (int) (a->first_query + rows.begin) : -1;

  take_left (precision, &scores, a->type, seed_rows_at (a->type, a->q, rows.begin * a->stride),
      a->stride, a->dim, h->queries);
  tiles->multiply[precision](&scores);
  if (wants_lines (precision)) {
    tiles->softmax_lines (
        h->scores, h->score_stride, scores.m, a->n_keys, a->scale, causal, h->inverse);
    mix.a = (const guint32 *) h->scores;
    mix.lines = TRUE;
    mix.a_stride = h->score_stride;
    mix.row_scale = h->inverse;
  } else {
    tiles->softmax (h->scores, h->score_stride, scores.m, a->n_keys, a->scale, causal);
    take_left (precision, &mix, SEED_ROWS_REAL, h->scores, h->score_stride, a->n_keys, h->probs);
  }
  tiles->multiply[precision](&mix);
}

static void
attention_in (SeedPrecision precision, const SeedAttention *a)
{
  Heads h = take_heads (precision, a);
  guint n_blocks = (a->n_queries + QUERY_ROWS - 1) / QUERY_ROWS;

  pack_head (precision, a, &h);
  for (guint b = 0; b < n_blocks; b++)
    attend (
        precision, a, &h, seed_split (a->n_queries, n_blocks, b, blocks_for (precision)->align));
}

/* What the way back through a head works with; n queries and as many keys. */
typedef struct {
  guint32 *keys, *values;                  /* panels of n columns, dim along k */
  guint32 *key_rows, *query_rows, *d_rows; /* panels of dim columns, n along k */
  guint32 *d_lines;                        /* of d_out */
  guint32 *slopes, *turned;                /* [n, line_units] */
  float *probs, *d_probs, *inverse;        /* [n, stride], [n, stride], [n] */
  gsize dim_units, line_units, stride;
} HeadsBack;

static HeadsBack
take_heads_back (const SeedAttention *a)
{
  const SeedPrecision bf16 = SEED_PRECISION_BFLOAT16;
  gsize n = a->n_keys, unit = sizeof (guint32);
  HeadsBack h = { .dim_units = seed_tile_units (bf16, a->dim),
    .line_units = seed_tile_units (bf16, n),
    .stride = 2 * seed_tile_units (bf16, n) };
  gsize across = seed_tile_panels_size (bf16, a->dim, n) * unit;
  gsize down = seed_tile_panels_size (bf16, n, a->dim) * unit;
  gsize lines = n * h.line_units * unit, d_lines = n * h.dim_units * unit;
  gsize scores = n * h.stride * sizeof (float);
  char *scratch = seed_scratch (
      2 * across + 3 * down + 2 * lines + d_lines + 2 * scores + n * sizeof (float) + 11 * ALIGN);

  h.keys = seed_scratch_take (&scratch, across);
  h.values = seed_scratch_take (&scratch, across);
  h.key_rows = seed_scratch_take (&scratch, down);
  h.query_rows = seed_scratch_take (&scratch, down);
  h.d_rows = seed_scratch_take (&scratch, down);
  h.d_lines = seed_scratch_take (&scratch, d_lines);
  h.slopes = seed_scratch_take (&scratch, lines);
  h.turned = seed_scratch_take (&scratch, lines);
  h.probs = seed_scratch_take (&scratch, scores);
  h.d_probs = seed_scratch_take (&scratch, scores);
  h.inverse = seed_scratch_take (&scratch, n * sizeof (float));
  return h;
}

/* Lines by panels. */
static void
lines_product (guint m, guint n, gsize units, const void *lines, gsize lines_stride,
    const guint32 *panels, SeedRowsType type, void *c, gsize c_stride)
{
  SeedTile tile = { .a = lines,
    .b = panels,
    .m = m,
    .n = n,
    .units = units,
    .lines = TRUE,
    .a_stride = lines_stride,
    .panel_stride = units * SEED_TILE_COLUMNS,
    .c = c,
    .c_stride = c_stride,
    .c_type = type };

  seed_tiles_get ()->multiply[SEED_PRECISION_BFLOAT16](&tile);
}

/*
 * P = softmax (scale Q K^T) again, dP = dO V^T, dS through the softmax; then dQ = dS K,
 * dK = dS^T Q, dV = P^T dO. For tables that take lines.
 */
static void
attention_backward_bf16 (const SeedAttentionBackward *b)
{
  const SeedTiles *tiles = seed_tiles_get ();
  const SeedAttention *a = &b->of;
  guint n = a->n_keys, dim = a->dim;
  HeadsBack h = take_heads_back (a);
  SeedTile scores = { .b = h.keys,
    .m = n,
    .n = (guint) h.stride,
    .units = h.dim_units,
    .panel_stride = h.dim_units * SEED_TILE_COLUMNS,
    .c = h.probs,
    .c_stride = h.stride };

  pack_across (SEED_PRECISION_BFLOAT16, a->type, a->k, a->stride, n, dim, h.keys);
  pack_across (SEED_PRECISION_BFLOAT16, a->type, a->v, a->stride, n, dim, h.values);
  pack_down (SEED_PRECISION_BFLOAT16, a->type, a->k, a->stride, n, dim, h.key_rows);
  pack_down (SEED_PRECISION_BFLOAT16, a->type, a->q, a->stride, n, dim, h.query_rows);
  pack_down (SEED_PRECISION_BFLOAT16, SEED_ROWS_REAL, b->d_out, b->d_out_stride, n, dim, h.d_rows);
  tiles->line_rows (SEED_ROWS_REAL, b->d_out, b->d_out_stride, n, dim, h.d_lines);

  /* h.slopes is not in use yet */
  take_left (SEED_PRECISION_BFLOAT16, &scores, a->type, a->q, a->stride, dim, h.slopes);
  tiles->multiply[SEED_PRECISION_BFLOAT16](&scores);
  tiles->softmax_lines (h.probs, h.stride, n, n, a->scale, -1, h.inverse);
  lines_product (n, (guint) h.stride, h.dim_units, h.d_lines, h.dim_units, h.values, SEED_ROWS_REAL,
      h.d_probs, h.stride);
  tiles->softmax_slopes (
      h.probs, h.stride, h.inverse, h.d_probs, h.stride, n, n, a->scale, h.slopes);

  lines_product (
      n, dim, h.line_units, h.slopes, h.line_units, h.key_rows, a->type, b->d_q, b->d_stride);
  tiles->line_columns (SEED_ROWS_BF16, h.slopes, 2 * h.line_units, n, n, h.turned);
  lines_product (
      n, dim, h.line_units, h.turned, h.line_units, h.query_rows, a->type, b->d_k, b->d_stride);
  tiles->line_columns (SEED_ROWS_BF16, h.probs, 2 * h.stride, n, n, h.turned);
  lines_product (
      n, dim, h.line_units, h.turned, h.line_units, h.d_rows, a->type, b->d_v, b->d_stride);
}

/* The three backends. int8 is for the weights; what has none is done in bfloat16. */

#define DEFINE_BACKEND(name_, precision_, others_, rows_)                                          \
  static SeedPackedLinear *packed_new_##name_ (guint out, guint in)                                \
  {                                                                                                \
    return packed_new (precision_, out, in);                                                       \
  }                                                                                                \
  static void gemm_##name_ (const SeedGemm *gemm)                                                  \
  {                                                                                                \
    gemm_in (others_, gemm);                                                                       \
  }                                                                                                \
  static void gemm_serial_##name_ (const SeedGemm *gemm)                                           \
  {                                                                                                \
    gemm_serial_in (others_, gemm);                                                                \
  }                                                                                                \
  static void attention_##name_ (const SeedAttention *attention)                                   \
  {                                                                                                \
    attention_in (others_, attention);                                                             \
  }                                                                                                \
  static const SeedBackend backend_##name_ = {                                                     \
    .name = "native",                                                                              \
    .precision = precision_,                                                                       \
    .rows_type = rows_,                                                                            \
    .packed_new = packed_new_##name_,                                                              \
    .packed_free = packed_free,                                                                    \
    .pack = pack,                                                                                  \
    .packed_bytes = packed_bytes,                                                                  \
    .linear = linear,                                                                              \
    .linear_rows = linear_rows,                                                                    \
    .gemm = gemm_##name_,                                                                          \
    .gemm_serial = gemm_serial_##name_,                                                            \
    .attention = attention_##name_,                                                                \
  };

DEFINE_BACKEND (float32, SEED_PRECISION_FLOAT32, SEED_PRECISION_FLOAT32, SEED_ROWS_REAL)
DEFINE_BACKEND (bfloat16, SEED_PRECISION_BFLOAT16, SEED_PRECISION_BFLOAT16, SEED_ROWS_BF16)
DEFINE_BACKEND (int8, SEED_PRECISION_INT8, SEED_PRECISION_BFLOAT16, SEED_ROWS_BF16)

static gpointer
make_bfloat16 (gpointer unused)
{
  static SeedBackend backend;

  backend = backend_bfloat16;
  if (wants_lines (SEED_PRECISION_BFLOAT16))
    backend.attention_backward = attention_backward_bf16;
  return &backend;
}

const SeedBackend *
seed_backend_native (SeedPrecision precision)
{
  static GOnce once = G_ONCE_INIT;
  static const SeedBackend *const backends[SEED_N_PRECISIONS] = {
    [SEED_PRECISION_FLOAT32] = &backend_float32, [SEED_PRECISION_INT8] = &backend_int8
  };

  if (!seed_tiles_fast (precision))
    return NULL;
  return precision == SEED_PRECISION_BFLOAT16 ? g_once (&once, make_bfloat16, NULL)
                                              : backends[precision];
}
