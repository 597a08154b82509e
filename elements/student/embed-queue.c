/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "student/embed-queue.h"

void
seed_embed_queue_init (SeedEmbedQueue *queue, guint dim, guint capacity)
{
  *queue = (SeedEmbedQueue){ .dim = dim, .capacity = capacity };
  queue->rows = seed_reals_new ((gsize) capacity * dim);
}

void
seed_embed_queue_clear (SeedEmbedQueue *queue)
{
  g_aligned_free (queue->rows);
  *queue = (SeedEmbedQueue){ 0 };
}

void
seed_embed_queue_push (SeedEmbedQueue *queue, const real *rows, guint n)
{
  for (guint i = 0; i < n; i++) {
    memcpy (queue->rows + (gsize) queue->next * queue->dim, rows + (gsize) i * queue->dim,
        queue->dim * sizeof (real));
    queue->next = (queue->next + 1) % queue->capacity;
    queue->count = MIN (queue->count + 1, queue->capacity);
  }
}

gsize
seed_embed_queue_scratch_size (guint n, guint capacity)
{
  return 2 * (gsize) n * (capacity + 1);
}

typedef struct {
  const SeedEmbedQueue *queue;
  const SeedKernels *kernels;
  const real *z, *teacher;
  double scale;
  real *student, *own; /* [n, 1 + count] cosines, then probabilities; the own slot first */
  real *row_loss, *d_z;
} Loss;

static real
dot (const real *a, const real *b, guint n)
{
  double sum = 0;

  for (guint k = 0; k < n; k++)
    sum += (double) a[k] * b[k];
  return (real) sum;
}

/* With log q = s / tau - l, the loss is l - sum p s / tau; l follows from the largest q. The
 * gradient by cosine replaces the student's cosines. */
static void
loss_row (const Loss *loss, gsize i)
{
  const SeedEmbedQueue *queue = loss->queue;
  const double inverse = 1 / SEED_EMBED_QUEUE_TAU_STUDENT;
  guint n = 1 + queue->count, dim = queue->dim, largest = 0;
  real *s = loss->student + i * n, *p = loss->own + i * n;
  const real *own = loss->teacher + i * dim;
  real gradient_scale = (real) (loss->scale * inverse);
  double mean = 0, largest_s;

  s[0] = dot (loss->z + i * dim, own, dim);
  p[0] = dot (own, own, dim);
  loss->kernels->softmax (p, 1, n, (real) (1 / SEED_EMBED_QUEUE_TAU_TEACHER));
  for (guint j = 0; j < n; j++) {
    mean += (double) p[j] * s[j];
    if (s[j] > s[largest])
      largest = j;
  }
  largest_s = s[largest];
  loss->kernels->softmax (s, 1, n, (real) inverse);
  loss->row_loss[i] = (real) ((largest_s - mean) * inverse - log ((double) s[largest]));
  for (guint j = 0; j < n; j++)
    s[j] = gradient_scale * (s[j] - p[j]);
  for (guint k = 0; loss->d_z && k < dim; k++)
    loss->d_z[i * dim + k] = s[0] * own[k];
}

static void
loss_part (gsize begin, gsize n, gpointer data)
{
  for (gsize i = begin; i < begin + n; i++)
    loss_row (data, i);
}

static void
cosines (
    const SeedEmbedQueue *queue, const SeedLayers *layers, const real *rows, guint n, real *out)
{
  SeedGemm gemm = { .transpose_b = TRUE,
    .m = n,
    .n = queue->count,
    .k = queue->dim,
    .alpha = 1,
    .a = rows,
    .stride_a = queue->dim,
    .b = queue->rows,
    .stride_b = queue->dim,
    .c = out + 1,
    .stride_c = 1 + (gsize) queue->count };

  layers->backend->gemm (&gemm);
}

void
seed_embed_queue_loss (const SeedEmbedQueue *queue, const SeedLayers *layers, const real *z,
    const real *teacher, guint n, double scale, real *row_loss, real *d_z, real *scratch)
{
  gsize columns = 1 + (gsize) queue->count;
  Loss loss = { queue, layers->kernels, z, teacher, scale, scratch, scratch + n * columns, row_loss,
    d_z };
  SeedGemm gemm = { .m = n,
    .n = queue->dim,
    .k = queue->count,
    .alpha = 1,
    .a = scratch + 1,
    .stride_a = columns,
    .b = queue->rows,
    .stride_b = queue->dim,
    .beta = 1,
    .c = d_z,
    .stride_c = queue->dim };

  if (queue->count == 0) {
    memset (row_loss, 0, n * sizeof (real));
    if (d_z)
      memset (d_z, 0, (gsize) n * queue->dim * sizeof (real));
    return;
  }
  cosines (queue, layers, z, n, loss.student);
  cosines (queue, layers, teacher, n, loss.own);
  seed_for_rows (n, 4 * columns, loss_part, &loss);
  if (d_z)
    layers->backend->gemm (&gemm);
}
