/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <seed/error.h>
#include <seed/pool.h>

#include "nn/arena.h"
#include "nn/vit-private.h"

#define CHUNKS_PER_THREAD 4
#define MIN_ROWS_PER_TASK 16

/* of vit->rows_type */
static void *
carve_rows (const SeedVit *vit, SeedArena *arena, gsize rows, gsize columns)
{
  return seed_arena_carve_bytes (
      arena, rows, columns, vit->rows_type == SEED_ROWS_BF16 ? sizeof (SeedBf16) : sizeof (real));
}

static void
carve_block (SeedVit *vit, SeedArena *arena, SeedVitBlock *block, gsize rows)
{
  guint d = vit->config.dim;

  block->mean1 = seed_arena_carve (arena, rows, 1);
  block->rstd1 = seed_arena_carve (arena, rows, 1);
  block->mean2 = seed_arena_carve (arena, rows, 1);
  block->rstd2 = seed_arena_carve (arena, rows, 1);
  block->qkv = carve_rows (vit, arena, rows, 3 * (gsize) d);
  block->attended = carve_rows (vit, arena, rows, d);
  if (vit->train) {
    block->mid = seed_arena_carve (arena, rows, d);
    block->out = seed_arena_carve (arena, rows, d);
    if (!vit->backend->attention)
      block->probs = seed_arena_carve (arena, rows * vit->config.heads, vit->n_tokens);
    block->pre = carve_rows (vit, arena, rows, vit->config.mlp_dim);
  }
}

static void
carve_pool (SeedVit *vit, SeedArena *arena)
{
  guint d = vit->config.dim;

  vit->pooled = seed_arena_carve (arena, vit->max_batch, d);
  vit->pool_normed = seed_arena_carve (arena, vit->max_batch, d);
  if (vit->config.pool != SEED_VIT_POOL_ATTENTION)
    return;
  vit->pool_probs =
      seed_arena_carve (arena, (gsize) vit->max_batch * vit->config.heads, vit->n_tokens);
  vit->pool_mixed = seed_arena_carve (arena, (gsize) vit->max_batch * vit->config.heads, d);
  vit->pool_hidden = seed_arena_carve (arena, vit->max_batch, vit->config.mlp_dim);
}

static void
carve_blocks (SeedVit *vit, SeedArena *arena, gsize rows)
{
  real *stream = seed_arena_carve (arena, rows, vit->config.dim);

  for (guint i = 0; i < vit->config.depth; i++) {
    SeedVitBlock *block = &vit->blocks[i];

    if (i > 0 && !vit->train) {
      *block = vit->blocks[0];
      continue;
    }
    carve_block (vit, arena, block, rows);
    block->in = stream;
    if (vit->train)
      stream = block->out;
    else
      block->mid = block->out = stream;
  }
}

static void
carve_all (SeedVit *vit, SeedArena *arena)
{
  gsize rows = (gsize) vit->max_batch * vit->n_tokens;
  gsize words = (gsize) vit->max_batch * vit->n_words;
  guint d = vit->config.dim;

  carve_blocks (vit, arena, rows);
  vit->word_values = carve_rows (vit, arena, words, vit->word_size);
  vit->embedded = seed_arena_carve (arena, words, d);
  vit->normed = carve_rows (vit, arena, rows, d);
  vit->hidden = carve_rows (vit, arena, rows, vit->mlp_in);
  vit->mean = seed_arena_carve (arena, rows, 1);
  vit->rstd = seed_arena_carve (arena, rows, 1);
  vit->out = seed_arena_carve (arena, rows, d);
  vit->scratch = seed_arena_carve (arena, vit->n_chunks, vit->scratch_size);
  carve_pool (vit, arena);
  if (vit->train) {
    vit->d_stream = seed_arena_carve (arena, rows, d);
    vit->d_rows = seed_arena_carve (arena, rows, d);
    vit->d_qkv = carve_rows (vit, arena, rows, 3 * (gsize) d);
    vit->d_hidden = carve_rows (vit, arena, rows, vit->config.mlp_dim);
    vit->d_part = seed_arena_carve (arena, rows, d);
    vit->slot_grads = seed_arena_carve (arena, vit->n_slots, vit->slot_size);
  }
}

static gboolean
allocate (SeedVit *vit, GError **error)
{
  SeedArena arena = { 0 };

  carve_all (vit, &arena);
  /* half of the address space: sizes and offsets stay clear of the sign bit as well */
  if (arena.overflow || arena.used > G_MAXSSIZE ||
      posix_memalign (&vit->memory, SEED_ARENA_ALIGN, arena.used) != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "no memory for the activations of %u images of %u tokens (%.1f GiB); use a smaller batch, "
        "image size or model",
        vit->max_batch, vit->n_tokens, arena.overflow ? INFINITY : (double) arena.used / (1 << 30));
    return FALSE;
  }
  memset (vit->memory, 0, arena.used); /* so that no frame pays for page faults */
  vit->memory_size = arena.used;
  arena = (SeedArena){ .base = vit->memory };
  carve_all (vit, &arena);
  return TRUE;
}

static void
set_geometry (SeedVit *vit)
{
  const SeedVitConfig *config = &vit->config;
  guint query_rows;

  vit->n_words = vit->max_words;
  vit->n_prefix = seed_vit_config_n_prefix (config);
  vit->n_tokens = vit->n_prefix + vit->n_words;
  vit->mlp_in = (config->gated ? 2 : 1) * config->mlp_dim;
  vit->word_size = 3 * config->patch_size * config->patch_size;
  vit->head_dim = config->dim / config->heads;
  /* a line of its own for each chunk; backward needs all queries of a head at once */
  query_rows = vit->train ? vit->n_tokens : MIN (vit->n_tokens, SEED_VIT_ATTENTION_ROWS);
  vit->scratch_size = ((gsize) query_rows * vit->n_tokens + 15) & ~(gsize) 15;
  if (vit->train && vit->backend->attention)
    vit->scratch_size *= 2; /* the probabilities are computed again there */
  vit->n_chunks = CHUNKS_PER_THREAD * seed_pool_n_threads ();
}

/* Of the pass backward: one for each thread, while all of their gradients are not too many. */
static void
set_slots (SeedVit *vit)
{
  const gsize *offset = vit->layout->block[0];

  vit->n_slots = MIN (seed_pool_n_threads (), SEED_VIT_MAX_SLOTS);
  vit->slot_size = (offset[SEED_VIT_FC2_BIAS] + vit->config.dim - offset[0] + 15) & ~(gsize) 15;
}

static gboolean
check_trainable (const SeedVitConfig *config, GError **error)
{
  const char *what = config->pre_norm                           ? "a norm before the blocks"
                     : config->gated                            ? "a gated MLP"
                     : config->norm_place != SEED_VIT_NORM_ROWS ? "a norm of the summary alone"
                     : config->pool == SEED_VIT_POOL_ATTENTION  ? "attention pooling"
                     : config->projection_dim > 0               ? "a projection"
                                                                : NULL;

  if (!what)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
      "a transformer with %s can be run but not trained; train a plain one", what);
  return FALSE;
}

/* @max_words 0: all */
static SeedVit *
vit_new (const SeedVitConfig *config, const SeedParams *params, guint max_batch, guint max_words,
    gboolean train, const SeedBackend *backend, GError **error)
{
  g_autoptr (SeedVit) vit = NULL;

  if (!seed_vit_config_check (config, error) || (train && !check_trainable (config, error)) ||
      !seed_backend_self_test (error))
    return NULL;

  if (max_words > seed_vit_config_n_words (config)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "room for %u words is asked for, but an image has %u", max_words,
        seed_vit_config_n_words (config));
    return NULL;
  }

  if (train && backend->precision == SEED_PRECISION_INT8) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "int8 can be run but not trained; use precision bfloat16 or float32");
    return NULL;
  }

  vit = g_new0 (SeedVit, 1);
  vit->config = *config;
  vit->max_batch = max_batch;
  vit->max_words = max_words ? max_words : seed_vit_config_n_words (config);
  vit->train = train;
  vit->backend = backend;
  vit->rows_type = backend->rows_type;
  vit->kernels = seed_kernels_get ();
  set_geometry (vit);
  if (max_batch == 0 || (guint64) max_batch * vit->n_tokens > G_MAXINT32) {
    g_set_error (error, SEED_ERROR, max_batch ? SEED_ERROR_LIMIT : SEED_ERROR_INVALID,
        "batch of %u images is out of range for images of %u tokens; it must be 1 to %u", max_batch,
        vit->n_tokens, G_MAXINT32 / vit->n_tokens);
    return NULL;
  }
  vit->weights = seed_vit_weights_new_with (config, params, NULL, backend, error);
  if (!vit->weights)
    return NULL;
  vit->layout = &vit->weights->layout;
  set_slots (vit);
  vit->blocks = g_new0 (SeedVitBlock, config->depth);
  if (!allocate (vit, error))
    return NULL;
  return g_steal_pointer (&vit);
}

SeedVit *
seed_vit_new (const SeedVitConfig *config, const SeedParams *params, guint max_batch,
    gboolean train, GError **error)
{
  return vit_new (config, params, max_batch, 0, train, seed_backend_get (), error);
}

SeedVit *
seed_vit_new_with (const SeedVitConfig *config, const SeedParams *params, guint max_batch,
    gboolean train, const SeedBackend *backend, GError **error)
{
  return vit_new (config, params, max_batch, 0, train, backend, error);
}

SeedVit *
seed_vit_new_subset (const SeedVitConfig *config, const SeedParams *params, guint max_batch,
    guint max_words, gboolean train, GError **error)
{
  g_return_val_if_fail (max_words > 0, NULL);
  return vit_new (config, params, max_batch, max_words, train, seed_backend_get (), error);
}

void
seed_vit_free (SeedVit *vit)
{
  if (!vit)
    return;
  seed_vit_weights_free (vit->weights);
  free (vit->memory);
  g_free (vit->blocks);
  g_free (vit);
}

gsize
seed_vit_memory_bytes (const SeedVit *vit)
{
  return sizeof *vit + vit->memory_size + vit->config.depth * sizeof *vit->blocks +
         seed_vit_weights_bytes (vit->weights);
}

guint
seed_vit_row_tasks (gsize rows)
{
  gsize most = (gsize) CHUNKS_PER_THREAD * seed_pool_n_threads ();

  return (guint) CLAMP (rows / MIN_ROWS_PER_TASK, 1, most);
}

/* What is packed of a block. */
static const SeedVitBlockTensor packed_tensors[SEED_VIT_N_LINEARS] = {
  [SEED_VIT_QKV] = SEED_VIT_QKV_WEIGHT,
  [SEED_VIT_PROJ] = SEED_VIT_PROJ_WEIGHT,
  [SEED_VIT_FC1] = SEED_VIT_FC1_WEIGHT,
  [SEED_VIT_FC2] = SEED_VIT_FC2_WEIGHT,
};

SeedVitWeights *
seed_vit_weights_new (
    const SeedVitConfig *config, const SeedParams *params, const real *values, GError **error)
{
  return seed_vit_weights_new_with (config, params, values, seed_backend_get (), error);
}

SeedVitWeights *
seed_vit_weights_new_with (const SeedVitConfig *config, const SeedParams *params,
    const real *values, const SeedBackend *backend, GError **error)
{
  guint d = config->dim, m = config->mlp_dim;
  guint word_size = 3 * config->patch_size * config->patch_size;
  g_autoptr (SeedVitWeights) weights = g_new0 (SeedVitWeights, 1);

  if (!seed_vit_layout_find (&weights->layout, config, params, error))
    return NULL;
  weights->backend = backend;
  weights->depth = config->depth;
  weights->patch = weights->backend->packed_new (d, word_size);
  weights->block = g_malloc0_n (config->depth, sizeof *weights->block);
  for (guint i = 0; i < config->depth; i++) {
    weights->block[i][SEED_VIT_QKV] = weights->backend->packed_new (3 * d, d);
    weights->block[i][SEED_VIT_PROJ] = weights->backend->packed_new (d, d);
    weights->block[i][SEED_VIT_FC1] = weights->backend->packed_new ((config->gated ? 2 : 1) * m, d);
    weights->block[i][SEED_VIT_FC2] = weights->backend->packed_new (d, m);
  }
  if (config->pool == SEED_VIT_POOL_ATTENTION) {
    weights->pool_heads = config->heads;
    weights->pool_dim = d;
    weights->pool_scores = g_new0 (real, (gsize) config->heads * d);
  }
  if (values)
    seed_vit_weights_pack (weights, values);
  return g_steal_pointer (&weights);
}

void
seed_vit_weights_free (SeedVitWeights *weights)
{
  if (!weights)
    return;
  if (weights->patch)
    weights->backend->packed_free (weights->patch);
  for (guint i = 0; weights->block && i < weights->depth; i++)
    for (guint l = 0; l < SEED_VIT_N_LINEARS; l++)
      weights->backend->packed_free (weights->block[i][l]);
  g_free (weights->block);
  free (weights->own_values);
  g_free (weights->pool_scores);
  seed_vit_layout_clear (&weights->layout);
  g_free (weights);
}

void
seed_vit_weights_pack (SeedVitWeights *weights, const real *values)
{
  const SeedBackend *backend = weights->backend;

  weights->values = values;
  backend->pack (weights->patch, values + weights->layout.offset[SEED_VIT_PATCH_WEIGHT]);
  for (guint i = 0; i < weights->depth; i++)
    for (guint l = 0; l < SEED_VIT_N_LINEARS; l++)
      backend->pack (weights->block[i][l], values + weights->layout.block[i][packed_tensors[l]]);
  if (weights->pool_scores)
    seed_vit_summary_prepare (weights);
}

static gboolean
is_packed (const SeedVitWeights *weights, gsize offset)
{
  if (offset == weights->layout.offset[SEED_VIT_PATCH_WEIGHT])
    return TRUE;
  for (guint i = 0; i < weights->depth; i++)
    for (guint l = 0; l < SEED_VIT_N_LINEARS; l++)
      if (offset == weights->layout.block[i][packed_tensors[l]])
        return TRUE;
  return FALSE;
}

/* Every offset of the layout that is @from becomes @to. */
static void
move_offset (const SeedVitLayout *old, SeedVitLayout *layout, guint depth, gsize from, gsize to)
{
  for (guint t = 0; t < SEED_VIT_N_TENSORS; t++)
    if (old->offset[t] == from)
      layout->offset[t] = to;
  for (guint i = 0; i < depth; i++)
    for (guint t = 0; t < SEED_VIT_N_BLOCK_TENSORS; t++)
      if (old->block[i][t] == from)
        layout->block[i][t] = to;
}

/* Two passes over the tensors that are not packed: sizes, then copies with a layout of their own.
 */
gboolean
seed_vit_weights_detach (SeedVitWeights *weights, const SeedParams *params)
{
  gsize block_size = weights->depth * sizeof *weights->layout.block, used = 0;
  SeedVitLayout old = weights->layout;

  if (weights->backend->borrows || weights->own_values)
    return weights->own_values != NULL;
  for (guint i = 0; i < params->n; i++)
    if (!is_packed (weights, params->items[i].offset))
      used += (params->items[i].size + SEED_ARENA_ALIGN - 1) & ~(gsize) (SEED_ARENA_ALIGN - 1);
  weights->own_size = MAX (used, SEED_ARENA_ALIGN) * sizeof (real);
  weights->own_values = aligned_alloc (SEED_ARENA_ALIGN, weights->own_size);
  if (!weights->own_values)
    return FALSE; /* the caller keeps what it has */

  old.block = g_memdup2 (weights->layout.block, block_size);
  used = 0;
  for (guint i = 0; i < params->n; i++) {
    const SeedParam *param = &params->items[i];

    if (is_packed (weights, param->offset))
      continue;
    memcpy (
        weights->own_values + used, weights->values + param->offset, param->size * sizeof (real));
    used += (param->size + SEED_ARENA_ALIGN - 1) & ~(gsize) (SEED_ARENA_ALIGN - 1);
  }
  used = 0;
  for (guint i = 0; i < params->n; i++)
    if (!is_packed (weights, params->items[i].offset)) {
      move_offset (&old, &weights->layout, weights->depth, params->items[i].offset, used);
      used += (params->items[i].size + SEED_ARENA_ALIGN - 1) & ~(gsize) (SEED_ARENA_ALIGN - 1);
    }
  weights->values = weights->own_values;
  g_free (old.block);
  return TRUE;
}

gsize
seed_vit_weights_bytes (const SeedVitWeights *weights)
{
  gsize bytes = sizeof *weights + weights->own_size +
                weights->backend->packed_bytes (weights->patch) +
                weights->depth * (sizeof *weights->block + sizeof *weights->layout.block) +
                (gsize) weights->pool_heads * weights->pool_dim * sizeof (real);

  for (guint i = 0; i < weights->depth; i++)
    for (guint l = 0; l < SEED_VIT_N_LINEARS; l++)
      bytes += weights->backend->packed_bytes (weights->block[i][l]);
  return bytes;
}

void
seed_vit_fold_normalisation (const SeedVitConfig *config, const SeedParams *params, real *values)
{
  const SeedParam *weight = seed_params_lookup (params, "patch.weight");
  const SeedParam *bias = seed_params_lookup (params, "patch.bias");
  guint channel_size = config->patch_size * config->patch_size;
  float scale[3], shift[3];

  g_return_if_fail (weight && bias);
  seed_vit_config_normalisation (config, scale, shift);
  for (guint row = 0; row < config->dim; row++) {
    real *w = values + weight->offset + (gsize) row * 3 * channel_size;
    double sum = 0;

    for (guint i = 0; i < 3 * channel_size; i++) {
      sum += (double) w[i] * shift[i / channel_size];
      w[i] *= scale[i / channel_size];
    }
    values[bias->offset + row] += (real) sum;
  }
}
