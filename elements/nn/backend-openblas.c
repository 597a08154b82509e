/* SPDX-License-Identifier: MIT */
#include <seed/pool.h>

#include "nn/backend.h"
#include "nn/kernels.h"
#include "nn/split.h"

/*
 * OpenBLAS on one thread per call; the pool's tasks call it side by side, each for a tile of the
 * output. Weights stay where they are.
 */
struct _SeedPackedLinear {
  guint out, in;
  const real *weight; /* [out, in], borrowed */
};

/* Outputs of a tile: they should stay in L2 until the epilogue is done with them. */
#define MAX_TILE_SIZE (256u * 1024)
#define MIN_TILE_ROWS 16
#define MIN_TILE_COLUMNS 48
#define COLUMN_ALIGN 16
/* For each thread, so that one that is late costs little. */
#define TILES_PER_THREAD 2
/* Multiply-adds that are not worth waking another thread for. */
#define SERIAL_WORK (1u << 19)

typedef struct {
  guint rows, columns; /* how many tiles each way */
} Tiling;

/*
 * @n_tiles as a grid. Each tile packs its rows of x and of W, so the best grid has the least of
 * both: rows / m + columns / n is what packing costs per multiply-add. FALSE when every grid has
 * tiles too small to multiply fast.
 */
static gboolean
grid (guint m, guint n, guint n_tiles, Tiling *tiling)
{
  double least = G_MAXDOUBLE;

  for (guint rows = 1; rows <= n_tiles; rows++) {
    guint columns = n_tiles / rows;
    double cost = (double) rows / m + (double) columns / n;

    if (n_tiles % rows != 0 || m / rows < MIN_TILE_ROWS || n / columns < MIN_TILE_COLUMNS)
      continue;
    if (cost < least) {
      least = cost;
      *tiling = (Tiling){ rows, columns };
    }
  }
  return least < G_MAXDOUBLE;
}

/* A pure function of the shape and the number of threads. */
static Tiling
tile (guint m, guint n, guint k)
{
  guint threads = seed_pool_n_threads ();
  Tiling tiling = { 1, 1 };
  guint n_tiles;

  if (threads == 1 || (guint64) m * n * k < SERIAL_WORK)
    threads = 1;
  n_tiles = (guint) ((guint64) m * n / MAX_TILE_SIZE / threads + 1) * threads;
  if (threads > 1)
    n_tiles = MAX (n_tiles, TILES_PER_THREAD * threads);
  while (n_tiles > 1 && !grid (m, n, n_tiles, &tiling))
    n_tiles /= 2;
  return tiling;
}

static void
gemm_serial (const SeedGemm *gemm)
{
  g_return_if_fail (gemm->a_type == SEED_ROWS_REAL && gemm->b_type == SEED_ROWS_REAL &&
                    gemm->c_type == SEED_ROWS_REAL);
  real_gemm (CblasRowMajor, gemm->transpose_a ? CblasTrans : CblasNoTrans,
      gemm->transpose_b ? CblasTrans : CblasNoTrans, (blasint) gemm->m, (blasint) gemm->n,
      (blasint) gemm->k, gemm->alpha, gemm->a, (blasint) gemm->stride_a, gemm->b,
      (blasint) gemm->stride_b, gemm->beta, gemm->c, (blasint) gemm->stride_c);
}

typedef struct {
  const SeedGemm *gemm;
  const SeedEpilogue *epilogue; /* NULL for a plain gemm */
  Tiling tiling;
} Region;

static void
epilogue_row (const SeedKernels *kernels, const SeedEpilogue *epilogue, gsize row, gsize column,
    gsize n, gboolean in_place, real *y)
{
  if (epilogue->bias)
    kernels->add (epilogue->bias + column, n, y);
  if (epilogue->activate)
    kernels->activation[epilogue->activation](y, n, y);
  if (epilogue->residual && !in_place)
    kernels->add (epilogue->residual + row * epilogue->residual_stride + column, n, y);
}

static void
tile_task (guint task, gpointer data)
{
  const Region *region = data;
  const SeedEpilogue *epilogue = region->epilogue;
  SeedGemm part = *region->gemm;
  SeedRange rows = seed_split (part.m, region->tiling.rows, task / region->tiling.columns, 1);
  SeedRange columns =
      seed_split (part.n, region->tiling.columns, task % region->tiling.columns, COLUMN_ALIGN);

  if (rows.n == 0 || columns.n == 0)
    return;
  part.m = (guint) rows.n;
  part.n = (guint) columns.n;
  part.a = (const real *) part.a + rows.begin * (part.transpose_a ? 1 : part.stride_a);
  part.b = (const real *) part.b + columns.begin * (part.transpose_b ? part.stride_b : 1);
  part.c = (real *) part.c + rows.begin * part.stride_c + columns.begin;
  gemm_serial (&part);

  if (epilogue)
    for (gsize r = 0; r < rows.n; r++)
      epilogue_row (seed_kernels_get (), epilogue, rows.begin + r, columns.begin, columns.n,
          epilogue->residual == region->gemm->c, (real *) part.c + r * part.stride_c);
}

static void
run (const SeedGemm *gemm, const SeedEpilogue *epilogue)
{
  Region region = { gemm, epilogue, tile (gemm->m, gemm->n, gemm->k) };

  seed_pool_run (region.tiling.rows * region.tiling.columns, tile_task, &region);
}

static void
gemm_region (const SeedGemm *gemm)
{
  run (gemm, NULL);
}

static void
linear (const SeedPackedLinear *packed, const void *x, gsize x_stride, guint m,
    const SeedEpilogue *epilogue, void *y, gsize y_stride)
{
  /* a residual in place is what beta 1 adds */
  gboolean in_place = epilogue->residual == y;
  SeedGemm gemm = { .transpose_b = TRUE,
    .m = m,
    .n = packed->out,
    .k = packed->in,
    .alpha = 1,
    .a = x,
    .stride_a = x_stride,
    .b = packed->weight,
    .stride_b = packed->in,
    .beta = in_place ? 1 : 0,
    .c = y,
    .stride_c = y_stride };

  g_return_if_fail (epilogue->x_type == SEED_ROWS_REAL && epilogue->y_type == SEED_ROWS_REAL);
  g_return_if_fail (!in_place || (!epilogue->activate && epilogue->residual_stride == y_stride));
  run (&gemm, epilogue);
}

static SeedPackedLinear *
packed_new (guint out, guint in)
{
  SeedPackedLinear *packed = g_new0 (SeedPackedLinear, 1);

  packed->out = out;
  packed->in = in;
  return packed;
}

static void
packed_free (SeedPackedLinear *packed)
{
  g_free (packed);
}

static void
pack (SeedPackedLinear *packed, const real *weight)
{
  packed->weight = weight;
}

static gsize
packed_bytes (const SeedPackedLinear *packed)
{
  return sizeof *packed;
}

static const SeedBackend backend = {
  .name = "openblas",
  .precision = SEED_PRECISION_FLOAT32,
  .rows_type = SEED_ROWS_REAL,
  .borrows = TRUE,
  .packed_new = packed_new,
  .packed_free = packed_free,
  .pack = pack,
  .packed_bytes = packed_bytes,
  .linear = linear,
  .gemm = gemm_region,
  .gemm_serial = gemm_serial,
};

static gpointer
set_up (gpointer unused)
{
  openblas_set_num_threads (1);
  return (gpointer) &backend;
}

const SeedBackend *
seed_backend_openblas (void)
{
  static GOnce once = G_ONCE_INIT;

  return g_once (&once, set_up, NULL);
}
