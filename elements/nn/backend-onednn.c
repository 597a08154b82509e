/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "nn/backend.h"
#include "nn/kernels.h"
#include "nn/onednn.h"
#include "nn/scratch.h"
#include "nn/split.h"
#include "nn/tiles.h"

/*
 * Products by oneDNN, on one thread per call. It reaches what tiles.h does not: AMX, and processors
 * other than x86-64. float32 and bfloat16 leave bias, activation and residual to it; int8 takes its
 * bare sums, because activations have a scale per row.
 */
struct _SeedPackedLinear {
  SeedPrecision precision;
  guint out, in;
  SeedOnednnWeights *weights;
  float *scale;  /* [out] int8 */
  gint32 *shift; /* [out] int8 */
};

#define MAX_ROWS 96
#define MIN_ROWS 16
#define TASKS_PER_THREAD 2
#define SERIAL_WORK (1u << 19)

static SeedOnednnType
x_type_of (SeedPrecision precision)
{
  return precision == SEED_PRECISION_FLOAT32    ? SEED_ONEDNN_F32
         : precision == SEED_PRECISION_BFLOAT16 ? SEED_ONEDNN_BF16
                                                : SEED_ONEDNN_U8;
}

static SeedOnednnType
w_type_of (SeedPrecision precision)
{
  return precision == SEED_PRECISION_INT8 ? SEED_ONEDNN_S8 : x_type_of (precision);
}

static SeedOnednnType
y_type_of (SeedPrecision precision, SeedRowsType type)
{
  if (precision == SEED_PRECISION_INT8)
    return SEED_ONEDNN_S32;
  return type == SEED_ROWS_BF16 ? SEED_ONEDNN_BF16 : SEED_ONEDNN_F32;
}

static gsize
element_size (SeedRowsType type)
{
  return type == SEED_ROWS_BF16 ? sizeof (SeedBf16) : sizeof (float);
}

/* Weights */

static SeedPackedLinear *
packed_new (SeedPrecision precision, guint out, guint in)
{
  SeedPackedLinear *packed = g_new0 (SeedPackedLinear, 1);

  packed->precision = precision;
  packed->out = out;
  packed->in = in;
  return packed;
}

static void
packed_free (SeedPackedLinear *packed)
{
  if (!packed)
    return;
  seed_onednn_weights_free (packed->weights);
  g_free (packed->scale);
  g_free (packed->shift);
  g_free (packed);
}

static gsize
packed_bytes (const SeedPackedLinear *packed)
{
  return sizeof *packed + (packed->weights ? seed_onednn_weights_bytes (packed->weights) : 0) +
         (packed->scale ? packed->out * (sizeof *packed->scale + sizeof *packed->shift) : 0);
}

static gint8 *
quantise_weights (SeedPackedLinear *packed, const float *weight)
{
  gsize size = (gsize) packed->out * packed->in;
  guint8 *bytes = g_malloc (size);

  if (!packed->scale) {
    packed->scale = g_new (float, packed->out);
    packed->shift = g_new (gint32, packed->out);
  }
  seed_tiles_get ()->quantise (SEED_ROWS_REAL, weight, packed->in, packed->out, packed->in, bytes,
      packed->in, packed->scale);
  for (guint r = 0; r < packed->out; r++) {
    gint32 sum = 0;

    for (gsize i = 0; i < packed->in; i++) {
      bytes[(gsize) r * packed->in + i] ^= 0x80; /* around 0 again */
      sum += (gint8) bytes[(gsize) r * packed->in + i];
    }
    packed->shift[r] = 128 * sum;
  }
  return (gint8 *) bytes;
}

static void
pack (SeedPackedLinear *packed, const float *weight)
{
  g_autofree void *copy = NULL;
  const void *from = weight;
  gsize size = (gsize) packed->out * packed->in;

  if (packed->precision == SEED_PRECISION_INT8)
    from = copy = quantise_weights (packed, weight);
  if (packed->precision == SEED_PRECISION_BFLOAT16) {
    from = copy = g_new (SeedBf16, size);
    seed_kernels_get ()->to_bf16 (weight, size, copy);
  }
  seed_onednn_weights_free (packed->weights);
  packed->weights =
      seed_onednn_weights_new (packed->out, packed->in, from, w_type_of (packed->precision),
          x_type_of (packed->precision), y_type_of (packed->precision, SEED_ROWS_REAL));
  if (!packed->weights)
    g_error ("oneDNN cannot hold weights of %u x %u", packed->out, packed->in);
}

/* Linear layers */

/* Rows in bfloat16, in @scratch when they were not. */
static const void *
as_bf16 (SeedRowsType type, const void *x, gsize *stride, guint rows, gsize columns, char **scratch)
{
  SeedBf16 *copy;

  if (type == SEED_ROWS_BF16)
    return x;
  copy = seed_scratch_take (scratch, rows * columns * sizeof *copy);
  for (guint r = 0; r < rows; r++)
    seed_kernels_get ()->to_bf16 ((const float *) x + r * *stride, columns, copy + r * columns);
  *stride = columns;
  return copy;
}

static void
linear_float (const SeedPackedLinear *packed, const void *x, gsize x_stride, guint rows,
    const SeedEpilogue *e, const float *residual, void *y, gsize y_stride, char *scratch)
{
  SeedOnednnProduct p;

  if (packed->precision == SEED_PRECISION_BFLOAT16)
    x = as_bf16 (e->x_type, x, &x_stride, rows, packed->in, &scratch);
  memset (&p, 0, sizeof p);
  p.m = rows;
  p.n = packed->out;
  p.k = packed->in;
  p.x_type = x_type_of (packed->precision);
  p.w_type = w_type_of (packed->precision);
  p.y_type = y_type_of (packed->precision, e->y_type);
  p.x_strides[0] = (gint64) x_stride;
  p.x_strides[1] = 1;
  p.is_packed = TRUE;
  p.y_stride = (gint64) y_stride;
  p.has_bias = e->bias != NULL;
  p.activation = e->activate ? e->activation + 1 : 0;
  if (residual)
    p.residual_stride = residual == y ? -1 : (gint64) e->residual_stride;
  seed_onednn_run (&p, x, packed->weights, e->bias, residual, y);
}

/* Bare sums into floats and on through the epilogue, a row at a time. */
static void
finish_row (const SeedPackedLinear *packed, const gint32 *sums, float scale, const SeedEpilogue *e,
    const float *residual, float *row, void *y)
{
  const SeedKernels *kernels = seed_kernels_get ();

  kernels->rescale (sums, packed->shift, packed->scale, scale, packed->out, row);
  if (e->bias)
    kernels->add (e->bias, packed->out, row);
  if (e->activate)
    kernels->activation[e->activation](row, packed->out, row);
  if (residual)
    kernels->add (residual, packed->out, row);
  if (e->y_type == SEED_ROWS_BF16)
    kernels->to_bf16 (row, packed->out, y);
  else
    memcpy (y, row, packed->out * sizeof *row);
}

static void
linear_int8 (const SeedPackedLinear *packed, const void *x, gsize x_stride, guint rows,
    const SeedEpilogue *e, const float *residual, void *y, gsize y_stride, char *scratch)
{
  guint8 *bytes = seed_scratch_take (&scratch, (gsize) rows * packed->in);
  float *scale = seed_scratch_take (&scratch, rows * sizeof *scale);
  gint32 *sums = seed_scratch_take (&scratch, (gsize) rows * packed->out * sizeof *sums);
  float *row = seed_scratch_take (&scratch, packed->out * sizeof *row);
  SeedOnednnProduct p;

  seed_tiles_get ()->quantise (e->x_type, x, x_stride, rows, packed->in, bytes, packed->in, scale);
  memset (&p, 0, sizeof p);
  p.m = rows;
  p.n = packed->out;
  p.k = packed->in;
  p.x_type = SEED_ONEDNN_U8;
  p.w_type = SEED_ONEDNN_S8;
  p.y_type = SEED_ONEDNN_S32;
  p.x_strides[0] = packed->in;
  p.x_strides[1] = 1;
  p.is_packed = TRUE;
  p.y_stride = packed->out;
  seed_onednn_run (&p, bytes, packed->weights, NULL, NULL, sums);
  for (guint r = 0; r < rows; r++)
    finish_row (packed, sums + (gsize) r * packed->out, scale[r], e,
        residual ? residual + r * e->residual_stride : NULL, row,
        (char *) y + r * y_stride * element_size (e->y_type));
}

static void
linear_rows (const SeedPackedLinear *packed, const void *x, gsize x_stride, guint m,
    const SeedEpilogue *e, void *y, gsize y_stride)
{
  gsize in = packed->in, out = packed->out;
  char *scratch = seed_scratch (
      MAX_ROWS * (in * sizeof (SeedBf16) + out * sizeof (gint32)) + out * sizeof (float) + 1024);
  guint n_blocks = (m + MAX_ROWS - 1) / MAX_ROWS;

  for (guint b = 0; b < n_blocks; b++) {
    SeedRange rows = seed_split (m, n_blocks, b, 1);
    const void *from = (const char *) x + rows.begin * x_stride * element_size (e->x_type);
    void *to = (char *) y + rows.begin * y_stride * element_size (e->y_type);

    (packed->precision == SEED_PRECISION_INT8 ? linear_int8 : linear_float) (packed, from, x_stride,
        (guint) rows.n, e, e->residual ? e->residual + rows.begin * e->residual_stride : NULL, to,
        y_stride, scratch);
  }
}

typedef struct {
  const SeedPackedLinear *packed;
  const void *x;
  gsize x_stride;
  guint m;
  const SeedEpilogue *epilogue;
  void *y;
  gsize y_stride;
  guint n_tasks;
} Linear;

static void
linear_task (guint task, gpointer data)
{
  const Linear *l = data;
  SeedRange rows = seed_split (l->m, l->n_tasks, task, 1);
  SeedEpilogue e = *l->epilogue;

  if (e.residual)
    e.residual += rows.begin * e.residual_stride;
  linear_rows (l->packed, (const char *) l->x + rows.begin * l->x_stride * element_size (e.x_type),
      l->x_stride, (guint) rows.n, &e,
      (char *) l->y + rows.begin * l->y_stride * element_size (e.y_type), l->y_stride);
}

/* Tasks of rows: a pure function of the shape and the number of threads. */
static guint
n_row_tasks (guint m, guint n, gsize k)
{
  guint threads = seed_pool_n_threads ();

  if (threads == 1 || (double) m * n * (double) k < SERIAL_WORK)
    return 1;
  return CLAMP (m / MIN_ROWS, 1, threads * TASKS_PER_THREAD);
}

static void
linear (const SeedPackedLinear *packed, const void *x, gsize x_stride, guint m,
    const SeedEpilogue *epilogue, void *y, gsize y_stride)
{
  Linear region = { packed, x, x_stride, m, epilogue, y, y_stride,
    n_row_tasks (m, packed->out, packed->in) };

  seed_pool_run (region.n_tasks, linear_task, &region);
}

/* Products of two matrices */

static gboolean
is_plain (const SeedGemm *g)
{
  return g->alpha == 1 && (g->beta == 0 || g->beta == 1) && g->m > 0 && g->n > 0 && g->k > 0;
}

static void
gemm_part (SeedPrecision precision, const SeedGemm *g)
{
  guint a_rows = g->transpose_a ? g->k : g->m, a_columns = g->transpose_a ? g->m : g->k;
  guint b_rows = g->transpose_b ? g->n : g->k, b_columns = g->transpose_b ? g->k : g->n;
  gsize a_stride = g->stride_a, b_stride = g->stride_b;
  const void *a = g->a, *b = g->b;
  SeedOnednnProduct p;

  if (precision == SEED_PRECISION_BFLOAT16) {
    char *scratch = seed_scratch (
        ((gsize) a_rows * a_columns + (gsize) b_rows * b_columns) * sizeof (SeedBf16) + 128);

    a = as_bf16 (g->a_type, a, &a_stride, a_rows, a_columns, &scratch);
    b = as_bf16 (g->b_type, b, &b_stride, b_rows, b_columns, &scratch);
  }
  memset (&p, 0, sizeof p);
  p.m = g->m;
  p.n = g->n;
  p.k = g->k;
  p.x_type = p.w_type = x_type_of (precision);
  p.y_type = y_type_of (precision, g->c_type);
  p.x_strides[g->transpose_a ? 1 : 0] = (gint64) a_stride;
  p.x_strides[g->transpose_a ? 0 : 1] = 1;
  p.w_strides[g->transpose_b ? 1 : 0] = (gint64) b_stride;
  p.w_strides[g->transpose_b ? 0 : 1] = 1;
  p.y_stride = (gint64) g->stride_c;
  p.residual_stride = g->beta != 0 ? -1 : 0;
  seed_onednn_run (&p, a, b, NULL, NULL, g->c);
}

typedef struct {
  SeedPrecision precision;
  const SeedGemm *gemm;
  guint n_tasks;
  gboolean by_columns;
} Gemm;

static void
gemm_task (guint task, gpointer data)
{
  const Gemm *region = data;
  SeedGemm part = *region->gemm;
  SeedRange range = seed_split (region->by_columns ? part.n : part.m, region->n_tasks, task, 16);

  if (range.n == 0)
    return;
  if (region->by_columns) {
    part.n = (guint) range.n;
    part.b =
        seed_rows_at (part.b_type, part.b, range.begin * (part.transpose_b ? part.stride_b : 1));
    part.c = (void *) seed_rows_at (part.c_type, part.c, range.begin);
  } else {
    part.m = (guint) range.n;
    part.a =
        seed_rows_at (part.a_type, part.a, range.begin * (part.transpose_a ? 1 : part.stride_a));
    part.c = (void *) seed_rows_at (part.c_type, part.c, range.begin * part.stride_c);
  }
  gemm_part (region->precision, &part);
}

static void
gemm_in (SeedPrecision precision, const SeedGemm *gemm)
{
  Gemm region = { precision, gemm,
    n_row_tasks (MAX (gemm->m, gemm->n), MIN (gemm->m, gemm->n), gemm->k), gemm->n > gemm->m };

  if (is_plain (gemm))
    seed_pool_run (region.n_tasks, gemm_task, &region);
  else
    seed_backend_openblas ()->gemm (gemm);
}

static void
gemm_serial_in (SeedPrecision precision, const SeedGemm *gemm)
{
  if (is_plain (gemm))
    gemm_part (precision, gemm);
  else
    seed_backend_openblas ()->gemm_serial (gemm);
}

/* Attention on rows in bfloat16 */

static SeedOnednnProduct
product_of (guint m, guint n, guint k, gsize x_stride, gsize w_row, gsize w_column,
    SeedOnednnType y_type, gsize y_stride)
{
  SeedOnednnProduct p;

  memset (&p, 0, sizeof p);
  p.m = m;
  p.n = n;
  p.k = k;
  p.x_type = p.w_type = SEED_ONEDNN_BF16;
  p.y_type = y_type;
  p.x_strides[0] = (gint64) x_stride;
  p.x_strides[1] = 1;
  p.w_strides[0] = (gint64) w_row;
  p.w_strides[1] = (gint64) w_column;
  p.y_stride = (gint64) y_stride;
  return p;
}

static void
attention_bf16 (const SeedAttention *a)
{
  gsize n = (gsize) a->n_queries * a->n_keys;
  char *scratch = seed_scratch (n * (sizeof (float) + sizeof (SeedBf16)) + 128);
  float *scores = seed_scratch_take (&scratch, n * sizeof *scores);
  SeedBf16 *probs = seed_scratch_take (&scratch, n * sizeof *probs);
  SeedOnednnProduct product = product_of (
      a->n_queries, a->n_keys, a->dim, a->stride, 1, a->stride, SEED_ONEDNN_F32, a->n_keys);

  seed_onednn_run (&product, a->q, a->k, NULL, NULL, scores);
  seed_tiles_get ()->softmax (
      scores, a->n_keys, a->n_queries, a->n_keys, a->scale, a->causal ? (int) a->first_query : -1);
  seed_kernels_get ()->to_bf16 (scores, n, probs);
  product = product_of (
      a->n_queries, a->dim, a->n_keys, a->n_keys, a->stride, 1, SEED_ONEDNN_BF16, a->out_stride);
  seed_onednn_run (&product, probs, a->v, NULL, NULL, a->out);
}

#define DEFINE_BACKEND(name_, precision_, others_, rows_, attention_)                              \
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
  static const SeedBackend backend_##name_ = {                                                     \
    .name = "onednn",                                                                              \
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
    .attention = attention_,                                                                       \
  };

DEFINE_BACKEND (float32, SEED_PRECISION_FLOAT32, SEED_PRECISION_FLOAT32, SEED_ROWS_REAL, NULL)
DEFINE_BACKEND (
    bfloat16, SEED_PRECISION_BFLOAT16, SEED_PRECISION_BFLOAT16, SEED_ROWS_BF16, attention_bf16)
DEFINE_BACKEND (int8, SEED_PRECISION_INT8, SEED_PRECISION_BFLOAT16, SEED_ROWS_BF16, attention_bf16)

/*
 * Asked of oneDNN itself: what it makes a product of here, it also multiplies. Holding weights it
 * must have done once, since that runs code it has just written, which a sandbox may forbid.
 */
static gboolean
can (SeedPrecision precision)
{
  g_autofree float *zeros = g_new0 (float, 64 * 64); /* in any type */
  SeedOnednnWeights *weights;
  SeedOnednnProduct p;

  memset (&p, 0, sizeof p);
  p.m = p.n = p.k = p.y_stride = p.x_strides[0] = 64;
  p.x_strides[1] = 1;
  p.x_type = x_type_of (precision);
  p.w_type = w_type_of (precision);
  p.y_type = y_type_of (precision, SEED_ROWS_REAL);
  if (!seed_onednn_can (&p))
    return FALSE;
  weights = seed_onednn_weights_new (64, 64, zeros, p.w_type, p.x_type, p.y_type);
  if (!weights)
    return FALSE;
  seed_onednn_weights_free (weights);
  return TRUE;
}

static gpointer
find_out (gpointer unused)
{
  static gboolean found[SEED_N_PRECISIONS];

  for (guint p = 0; p < SEED_N_PRECISIONS; p++)
    found[p] = can (p) && (p != SEED_PRECISION_INT8 || found[SEED_PRECISION_BFLOAT16]);
  return found;
}

const SeedBackend *
seed_backend_onednn (SeedPrecision precision)
{
  static const SeedBackend *const backends[SEED_N_PRECISIONS] = { &backend_float32,
    &backend_bfloat16, &backend_int8 };
  static GOnce once = G_ONCE_INIT;
  const gboolean *found = g_once (&once, find_out, NULL);

  return found[precision] ? backends[precision] : NULL;
}
