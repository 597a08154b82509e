/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/pool.h>

#include "anchors/cross.h"

void
seed_cross_queries (const SeedAnchorsPass *pass, const SeedCross *cross,
    const SeedCrossQueries *queries, guint rows)
{
  seed_pass_norm (
      pass, &cross->layers.norm1, queries->x, rows, queries->normed, queries->mean, queries->rstd);
  seed_pass_linear (pass, &cross->layers.q, queries->normed, rows, queries->q);
}

/* What tasks share. */
typedef struct {
  const SeedAnchorsPass *pass;
  const SeedCross *cross;
  const SeedCrossQueries *queries;
  real *d_x;
} Region;

/* Images that look by the same row of queries. */
static guint
images_of_row (const Region *region)
{
  return region->queries->shared ? region->cross->n_images : 1;
}

/* Where one head of one image is. */
typedef struct {
  guint d, e; /* widths of a row and of a head */
  const real *q, *k, *v;
  gsize rows; /* offset of the head in rows of queries */
  gsize kv;   /* and in rows of keys */
  gsize probs;
  real scale;
} Head;

static Head
head_of (const Region *region, guint item)
{
  const SeedCross *cross = region->cross;
  guint d = cross->layers.dim, heads = cross->layers.heads;
  guint image = item / heads, head = item % heads;
  Head h = { .d = d, .e = d / heads };

  h.rows = (gsize) image * cross->n_queries * d + (gsize) head * h.e;
  h.kv = (gsize) image * cross->n_keys * 2 * d + (gsize) head * h.e;
  h.q = region->queries->q + (region->queries->shared ? (gsize) head * h.e : h.rows);
  h.k = cross->kv + h.kv;
  h.v = h.k + d;
  h.probs = (gsize) item * cross->n_queries * cross->n_keys;
  h.scale = (real) (1 / sqrt ((double) h.e));
  return h;
}

static void
attend_task (guint item, gpointer data)
{
  const Region *region = data;
  const SeedCross *cross = region->cross;
  Head h = head_of (region, item);
  SeedGemm scores = { .transpose_b = TRUE,
    .m = cross->n_queries,
    .n = cross->n_keys,
    .k = h.e,
    .alpha = 1,
    .a = h.q,
    .stride_a = h.d,
    .b = h.k,
    .stride_b = 2 * (gsize) h.d,
    .c = cross->probs + h.probs,
    .stride_c = cross->n_keys };
  SeedGemm mix = { .m = cross->n_queries,
    .n = h.e,
    .k = cross->n_keys,
    .alpha = 1,
    .a = cross->probs + h.probs,
    .stride_a = cross->n_keys,
    .b = h.v,
    .stride_b = 2 * (gsize) h.d,
    .c = cross->attended + h.rows,
    .stride_c = h.d };

  region->pass->layers.backend->gemm_serial (&scores);
  region->pass->layers.kernels->softmax (
      cross->probs + h.probs, cross->n_queries, cross->n_keys, h.scale);
  region->pass->layers.backend->gemm_serial (&mix);
}

/* mid += the queries, which may be the same for every image */
static void
residual_rows (gsize begin, gsize count, gpointer data)
{
  const Region *region = data;
  const SeedCross *cross = region->cross;
  gsize d = cross->layers.dim;

  for (gsize r = begin; r < begin + count; r++) {
    gsize from = region->queries->shared ? r % cross->n_queries : r;

    region->pass->layers.kernels->add (region->queries->x + from * d, d, cross->mid + r * d);
  }
}

const real *
seed_cross_forward (const SeedAnchorsPass *pass, SeedCross *cross, const SeedCrossQueries *queries,
    guint n_images, guint n_queries, const real *context, guint n_keys)
{
  const SeedCrossLayers *l = &cross->layers;
  guint rows = n_images * n_queries;
  Region region = { pass, cross, queries, NULL };

  cross->n_images = n_images;
  cross->n_queries = n_queries;
  cross->n_keys = n_keys;
  cross->context = context;
  seed_pass_linear (pass, &l->kv, context, n_images * n_keys, cross->kv);
  seed_pool_run (n_images * l->heads, attend_task, &region);
  seed_pass_linear (pass, &l->proj, cross->attended, rows, cross->mid);
  seed_for_rows (rows, l->dim, residual_rows, &region);
  seed_pass_norm (pass, &l->norm2, cross->mid, rows, cross->normed, cross->mean2, cross->rstd2);
  seed_pass_linear (pass, &l->fc1, cross->normed, rows, cross->pre);
  seed_gelu_forward (&pass->layers, cross->pre, (gsize) rows * l->mlp_dim, cross->activated);
  seed_pass_linear (pass, &l->fc2, cross->activated, rows, cross->out);
  seed_add_forward (&pass->layers, cross->mid, (gsize) rows * l->dim, cross->out);
  seed_pass_norm (pass, &l->norm3, cross->out, rows, cross->y, cross->mean3, cross->rstd3);
  return cross->y;
}

/* dV = P^T dO, dP = dO V^T, dS through the softmax, dQ = dS K, dK = dS^T Q; dO is in d_rows. */
static void
attend_backward_task (guint item, gpointer data)
{
  const Region *region = data;
  const SeedCross *cross = region->cross;
  Head h = head_of (region, item);
  guint m = cross->n_queries, n = cross->n_keys;
  gsize kv_stride = 2 * (gsize) h.d;
  /* of queries that images share, each image's part first goes where the context's norm was */
  real *d_q = (region->queries->shared ? cross->normed : region->queries->d_q) + h.rows;
  const real *probs = cross->probs + h.probs, *d_out = cross->d_rows + h.rows;
  real *d_probs = cross->d_probs + h.probs, *d_kv = cross->d_kv + h.kv;
  SeedGemm products[] = {
    { TRUE, FALSE, n, h.e, m, 1, probs, n, d_out, h.d, 0, d_kv + h.d, kv_stride },
    { FALSE, TRUE, m, n, h.e, 1, d_out, h.d, h.v, kv_stride, 0, d_probs, n },
    { FALSE, FALSE, m, h.e, n, 1, d_probs, n, h.k, kv_stride, 0, d_q, h.d },
    { TRUE, FALSE, n, h.e, m, 1, d_probs, n, h.q, h.d, 0, d_kv, kv_stride },
  };
  const SeedBackend *backend = region->pass->layers.backend;

  backend->gemm_serial (&products[0]);
  backend->gemm_serial (&products[1]);
  region->pass->layers.kernels->softmax_backward (probs, m, n, h.scale, d_probs);
  backend->gemm_serial (&products[2]);
  backend->gemm_serial (&products[3]);
}

/* Over some rows of queries: what images say of shared ones, in the order of images. */
static void
gather_rows (gsize begin, gsize count, gpointer data)
{
  const Region *region = data;
  const SeedCross *cross = region->cross;
  const SeedKernels *kernels = region->pass->layers.kernels;
  gsize d = cross->layers.dim;
  guint images = images_of_row (region);
  gsize n = (gsize) cross->n_images * cross->n_queries / images, to = begin * d;

  for (guint i = 0; i < images; i++) {
    gsize from = (i * n + begin) * d;

    kernels->add (cross->d_stream + from, count * d, region->d_x + to);
    if (region->queries->shared)
      kernels->add (cross->normed + from, count * d, region->queries->d_q + to);
  }
}

void
seed_cross_backward (const SeedAnchorsPass *pass, SeedCross *cross, const SeedCrossQueries *queries,
    const real *d_y, real *d_x, real *d_context)
{
  const SeedCrossLayers *l = &cross->layers;
  guint rows = cross->n_images * cross->n_queries;
  Region region = { pass, cross, queries, d_x };
  guint images = images_of_row (&region);

  seed_pass_norm_backward (pass, &l->norm3, cross->out, cross->mean3, cross->rstd3, d_y, rows,
      SEED_GRADIENT_SET, cross->d_stream);
  seed_pass_linear_backward (
      pass, &l->fc2, cross->activated, cross->d_stream, rows, SEED_GRADIENT_SET, cross->d_hidden);
  seed_gelu_backward (
      &pass->layers, cross->pre, (gsize) rows * l->mlp_dim, cross->d_hidden, cross->activated);
  seed_pass_linear_backward (
      pass, &l->fc1, cross->normed, cross->d_hidden, rows, SEED_GRADIENT_SET, cross->d_rows);
  seed_pass_norm_backward (pass, &l->norm2, cross->mid, cross->mean2, cross->rstd2, cross->d_rows,
      rows, SEED_GRADIENT_ADD, cross->d_stream);
  seed_pass_linear_backward (
      pass, &l->proj, cross->attended, cross->d_stream, rows, SEED_GRADIENT_SET, cross->d_rows);
  seed_pool_run (cross->n_images * l->heads, attend_backward_task, &region);
  seed_for_rows (rows / images, (gsize) images * l->dim, gather_rows, &region);
  seed_pass_linear_backward (pass, &l->kv, cross->context, cross->d_kv,
      cross->n_images * cross->n_keys, SEED_GRADIENT_ADD, d_context);
}

void
seed_cross_queries_backward (const SeedAnchorsPass *pass, SeedCross *cross,
    const SeedCrossQueries *queries, guint rows, real *d_x)
{
  seed_pass_linear_backward (pass, &cross->layers.q, queries->normed, queries->d_q, rows,
      SEED_GRADIENT_SET, cross->d_rows);
  seed_pass_norm_backward (pass, &cross->layers.norm1, queries->x, queries->mean, queries->rstd,
      cross->d_rows, rows, SEED_GRADIENT_ADD, d_x);
}
