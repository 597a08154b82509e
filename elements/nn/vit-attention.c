/* SPDX-License-Identifier: MIT */
#include <seed/pool.h>

#include "nn/vit-private.h"

/*
 * Scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762), head by head:
 * P = softmax (Q K^T / sqrt (e)), O = P V. A chunk of the region works through its items one after
 * another in its own scratch, so memory grows with threads and not with the batch.
 */
typedef struct {
  SeedVit *vit;
  const SeedVitBlock *block;
  const real *d_attended;
  void *d_qkv;
  guint n_items, n_chunks, row_blocks;
} Region;

static gsize
qkv_offset (const SeedVit *vit, guint image, guint head)
{
  return (gsize) image * vit->n_tokens * 3 * vit->config.dim + (gsize) head * vit->head_dim;
}

static gsize
row_offset (const SeedVit *vit, guint image, guint head)
{
  return (gsize) image * vit->n_tokens * vit->config.dim + (gsize) head * vit->head_dim;
}

static gsize
probs_offset (const SeedVit *vit, guint image, guint head)
{
  return ((gsize) image * vit->config.heads + head) * vit->n_tokens * vit->n_tokens;
}

static real
attention_scale (const SeedVit *vit)
{
  return (real) (1 / sqrt ((double) vit->head_dim));
}

/* The backend's own, which does not keep the probabilities. */
static void
fused_item (const Region *region, guint item)
{
  SeedVit *vit = region->vit;
  guint d = vit->config.dim;
  guint head = item / region->row_blocks % vit->config.heads;
  guint image = item / region->row_blocks / vit->config.heads;
  SeedRange rows = seed_split (vit->n_tokens, region->row_blocks, item % region->row_blocks, 1);
  gsize at = qkv_offset (vit, image, head), out = row_offset (vit, image, head) + rows.begin * d;
  SeedAttention attention = { .type = vit->rows_type,
    .n_queries = (guint) rows.n,
    .n_keys = vit->n_tokens,
    .dim = vit->head_dim,
    .scale = attention_scale (vit),
    .q = seed_vit_row (vit, region->block->qkv, at + rows.begin * 3 * d, 1),
    .k = seed_vit_row (vit, region->block->qkv, at + d, 1),
    .v = seed_vit_row (vit, region->block->qkv, at + 2 * d, 1),
    .stride = 3 * (gsize) d,
    .out = seed_vit_row (vit, region->block->attended, out, 1),
    .out_stride = d };

  vit->backend->attention (&attention);
}

static void
forward_item (const Region *region, guint item, real *scratch)
{
  const SeedVit *vit = region->vit;
  guint d = vit->config.dim, tokens = vit->n_tokens;
  guint head = item / region->row_blocks % vit->config.heads;
  guint image = item / region->row_blocks / vit->config.heads;
  SeedRange rows = seed_split (tokens, region->row_blocks, item % region->row_blocks, 1);
  const real *q = (const real *) region->block->qkv + qkv_offset (vit, image, head);
  real *probs = region->block->probs
                    ? region->block->probs + probs_offset (vit, image, head) + rows.begin * tokens
                    : scratch;
  SeedGemm scores = { .transpose_b = TRUE,
    .m = (guint) rows.n,
    .n = tokens,
    .k = vit->head_dim,
    .alpha = 1,
    .a = q + rows.begin * 3 * d,
    .stride_a = 3 * d,
    .b = q + d,
    .stride_b = 3 * d,
    .c = probs,
    .stride_c = tokens };
  SeedGemm mix = { .m = (guint) rows.n,
    .n = vit->head_dim,
    .k = tokens,
    .alpha = 1,
    .a = probs,
    .stride_a = tokens,
    .b = q + 2 * d,
    .stride_b = 3 * d,
    .c = (real *) region->block->attended + row_offset (vit, image, head) + rows.begin * d,
    .stride_c = d };

  vit->backend->gemm_serial (&scores);
  vit->kernels->softmax (probs, (guint) rows.n, tokens, attention_scale (vit));
  vit->backend->gemm_serial (&mix);
}

/* op(A) op(B) of one head, as the pass backward needs them: [tokens, tokens] or [tokens, e]. */
static void
head_product (const SeedVit *vit, SeedGemm gemm)
{
  gemm.m = vit->n_tokens;
  gemm.alpha = 1;
  vit->backend->gemm_serial (&gemm);
}

/* The probabilities as forward had them. */
static const real *
probs_again (const Region *region, guint image, guint head, real *scratch)
{
  const SeedVit *vit = region->vit;
  guint d = vit->config.dim, tokens = vit->n_tokens;
  gsize at = qkv_offset (vit, image, head);
  SeedRowsType type = vit->rows_type;

  if (region->block->probs)
    return region->block->probs + probs_offset (vit, image, head);
  head_product (vit, (SeedGemm){ .transpose_b = TRUE,
                         .n = tokens,
                         .k = vit->head_dim,
                         .a = seed_rows_at (type, region->block->qkv, at),
                         .stride_a = 3 * d,
                         .a_type = type,
                         .b = seed_rows_at (type, region->block->qkv, at + d),
                         .stride_b = 3 * d,
                         .b_type = type,
                         .c = scratch,
                         .stride_c = tokens });
  vit->kernels->softmax (scratch, tokens, tokens, attention_scale (vit));
  return scratch;
}

/*
 * dV = P^T dO, dP = dO V^T, dS through the softmax, dQ = dS K, dK = dS^T Q.
 */
static void
backward_item (const Region *region, guint item, real *d_probs)
{
  const SeedVit *vit = region->vit;
  guint d = vit->config.dim, tokens = vit->n_tokens, e = vit->head_dim;
  guint head = item % vit->config.heads, image = item / vit->config.heads;
  gsize at = qkv_offset (vit, image, head);
  SeedRowsType type = vit->rows_type;
  const void *q = seed_rows_at (type, region->block->qkv, at);
  const real *probs = probs_again (region, image, head, d_probs + (gsize) tokens * tokens);
  const real *d_out = region->d_attended + row_offset (vit, image, head);
  void *d_q = (void *) seed_rows_at (type, region->d_qkv, at);
  SeedGemm d_value = { .transpose_a = TRUE,
    .n = e,
    .k = tokens,
    .a = probs,
    .stride_a = tokens,
    .b = d_out,
    .stride_b = d,
    .c = (void *) seed_rows_at (type, d_q, 2 * d),
    .stride_c = 3 * d,
    .c_type = type };
  SeedGemm d_prob = { .transpose_b = TRUE,
    .n = tokens,
    .k = e,
    .a = d_out,
    .stride_a = d,
    .b = seed_rows_at (type, q, 2 * d),
    .stride_b = 3 * d,
    .b_type = type,
    .c = d_probs,
    .stride_c = tokens };
  SeedGemm d_query = { .n = e,
    .k = tokens,
    .a = d_probs,
    .stride_a = tokens,
    .b = seed_rows_at (type, q, d),
    .stride_b = 3 * d,
    .b_type = type,
    .c = d_q,
    .stride_c = 3 * d,
    .c_type = type };
  SeedGemm d_key = { .transpose_a = TRUE,
    .n = e,
    .k = tokens,
    .a = d_probs,
    .stride_a = tokens,
    .b = q,
    .stride_b = 3 * d,
    .b_type = type,
    .c = (void *) seed_rows_at (type, d_q, d),
    .stride_c = 3 * d,
    .c_type = type };

  head_product (vit, d_value);
  head_product (vit, d_prob);
  vit->kernels->softmax_backward (probs, tokens, tokens, attention_scale (vit), d_probs);
  head_product (vit, d_query);
  head_product (vit, d_key);
}

static void
chunk_task (guint task, gpointer data)
{
  const Region *region = data;
  const SeedVit *vit = region->vit;
  SeedRange items = seed_split (region->n_items, region->n_chunks, task, 1);
  real *scratch = vit->scratch + task * vit->scratch_size;

  for (gsize i = 0; i < items.n; i++)
    if (region->d_qkv)
      backward_item (region, (guint) (items.begin + i), scratch);
    else if (vit->backend->attention && !region->block->probs)
      fused_item (region, (guint) (items.begin + i));
    else
      forward_item (region, (guint) (items.begin + i), scratch);
}

static void
run (Region *region)
{
  region->n_items = region->vit->n * region->vit->config.heads * region->row_blocks;
  region->n_chunks = MIN (region->n_items, region->vit->n_chunks);
  seed_pool_run (region->n_chunks, chunk_task, region);
}

/*
 * Of the backend's own attention, which prepares keys and values for every block of queries: as few
 * as occupy all threads.
 */
static guint
fused_row_blocks (const SeedVit *vit, guint most)
{
  guint heads = vit->n * vit->config.heads, threads = seed_pool_n_threads (), blocks = 1;

  while (blocks < most && heads * blocks % threads != 0 && heads * blocks < 8 * threads)
    blocks++;
  return blocks;
}

void
seed_vit_attention_forward (SeedVit *vit, const SeedVitBlock *block)
{
  Region region = { .vit = vit,
    .block = block,
    .row_blocks = (vit->n_tokens + SEED_VIT_ATTENTION_ROWS - 1) / SEED_VIT_ATTENTION_ROWS };

  if (vit->backend->attention && !block->probs)
    region.row_blocks = fused_row_blocks (vit, region.row_blocks);
  run (&region);
}

void
seed_vit_attention_backward (
    SeedVit *vit, const SeedVitBlock *block, const real *d_attended, void *d_qkv)
{
  Region region = {
    .vit = vit, .block = block, .d_attended = d_attended, .d_qkv = d_qkv, .row_blocks = 1
  };

  run (&region);
}
