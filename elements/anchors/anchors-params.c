/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "anchors/anchors-private.h"

#define MAX_ANCHORS 65536
#define MAX_WIDTH 65536
#define MAX_GRID 1024

/* In the order of the header; dimensions come from a shape, see dims_of. */
enum {
  ANCHORS,
  HEAD_FC1_WEIGHT,
  HEAD_FC1_BIAS,
  HEAD_FC2_WEIGHT,
  HEAD_FC2_BIAS,
  N_DESCRIBING,
  QUERY = N_DESCRIBING,
  NORM1_WEIGHT,
  NORM1_BIAS,
  Q_WEIGHT,
  Q_BIAS,
  KV_WEIGHT,
  KV_BIAS,
  PROJ_WEIGHT,
  PROJ_BIAS,
  NORM2_WEIGHT,
  NORM2_BIAS,
  FC1_WEIGHT,
  FC1_BIAS,
  FC2_WEIGHT,
  FC2_BIAS,
  NORM3_WEIGHT,
  NORM3_BIAS,
  LOCATION_WEIGHT,
  LOCATION_BIAS,
  WORD_WEIGHT,
  WORD_BIAS,
  N_TENSORS
};
G_STATIC_ASSERT (N_TENSORS == SEED_ANCHORS_N_TENSORS);
G_STATIC_ASSERT (N_DESCRIBING == SEED_ANCHORS_N_DESCRIBING);

const SeedExtraTensor seed_anchors_tensors[SEED_ANCHORS_N_TENSORS] = {
  [ANCHORS] = { "anchors", FALSE, 2, { 0 } },
  [HEAD_FC1_WEIGHT] = { "anchor_head.fc1.weight", TRUE, 2, { 0 } },
  [HEAD_FC1_BIAS] = { "anchor_head.fc1.bias", FALSE, 1, { 0 } },
  [HEAD_FC2_WEIGHT] = { "anchor_head.fc2.weight", TRUE, 2, { 0 } },
  [HEAD_FC2_BIAS] = { "anchor_head.fc2.bias", FALSE, 1, { 0 } },
  [QUERY] = { "anchor_query.weight", TRUE, 2, { 0 } },
  [NORM1_WEIGHT] = { "anchor_cross.norm1.weight", FALSE, 1, { 0 } },
  [NORM1_BIAS] = { "anchor_cross.norm1.bias", FALSE, 1, { 0 } },
  [Q_WEIGHT] = { "anchor_cross.q.weight", TRUE, 2, { 0 } },
  [Q_BIAS] = { "anchor_cross.q.bias", FALSE, 1, { 0 } },
  [KV_WEIGHT] = { "anchor_cross.kv.weight", TRUE, 2, { 0 } },
  [KV_BIAS] = { "anchor_cross.kv.bias", FALSE, 1, { 0 } },
  [PROJ_WEIGHT] = { "anchor_cross.proj.weight", TRUE, 2, { 0 } },
  [PROJ_BIAS] = { "anchor_cross.proj.bias", FALSE, 1, { 0 } },
  [NORM2_WEIGHT] = { "anchor_cross.norm2.weight", FALSE, 1, { 0 } },
  [NORM2_BIAS] = { "anchor_cross.norm2.bias", FALSE, 1, { 0 } },
  [FC1_WEIGHT] = { "anchor_cross.fc1.weight", TRUE, 2, { 0 } },
  [FC1_BIAS] = { "anchor_cross.fc1.bias", FALSE, 1, { 0 } },
  [FC2_WEIGHT] = { "anchor_cross.fc2.weight", TRUE, 2, { 0 } },
  [FC2_BIAS] = { "anchor_cross.fc2.bias", FALSE, 1, { 0 } },
  [NORM3_WEIGHT] = { "anchor_norm.weight", FALSE, 1, { 0 } },
  [NORM3_BIAS] = { "anchor_norm.bias", FALSE, 1, { 0 } },
  [LOCATION_WEIGHT] = { "anchor_location.weight", TRUE, 2, { 0 } },
  [LOCATION_BIAS] = { "anchor_location.bias", FALSE, 1, { 0 } },
  [WORD_WEIGHT] = { "anchor_word.weight", TRUE, 2, { 0 } },
  [WORD_BIAS] = { "anchor_word.bias", FALSE, 1, { 0 } },
};

/* Rows and columns of a tensor; a vector has its rows alone. */
static void
dims_of (const SeedAnchorsShape *shape, guint tensor, gsize dims[2])
{
  const gsize d = shape->dim, e = shape->anchor_dim, words = (gsize) shape->grid * shape->grid;
  const gsize all[N_TENSORS][2] = {
    [ANCHORS] = { shape->n_anchors, e },
    [HEAD_FC1_WEIGHT] = { shape->head_dim, d },
    [HEAD_FC1_BIAS] = { shape->head_dim },
    [HEAD_FC2_WEIGHT] = { e, shape->head_dim },
    [HEAD_FC2_BIAS] = { e },
    [QUERY] = { d, e },
    [NORM1_WEIGHT] = { d },
    [NORM1_BIAS] = { d },
    [Q_WEIGHT] = { d, d },
    [Q_BIAS] = { d },
    [KV_WEIGHT] = { 2 * d, d },
    [KV_BIAS] = { 2 * d },
    [PROJ_WEIGHT] = { d, d },
    [PROJ_BIAS] = { d },
    [NORM2_WEIGHT] = { d },
    [NORM2_BIAS] = { d },
    [FC1_WEIGHT] = { shape->mlp_dim, d },
    [FC1_BIAS] = { shape->mlp_dim },
    [FC2_WEIGHT] = { d, shape->mlp_dim },
    [FC2_BIAS] = { d },
    [NORM3_WEIGHT] = { d },
    [NORM3_BIAS] = { d },
    [LOCATION_WEIGHT] = { words, d },
    [LOCATION_BIAS] = { words },
    [WORD_WEIGHT] = { words, d },
    [WORD_BIAS] = { words },
  };

  memcpy (dims, all[tensor], sizeof all[tensor]);
}

void
seed_anchors_shape_init (SeedAnchorsShape *shape, const SeedVitConfig *config)
{
  *shape = (SeedAnchorsShape){
    .n_anchors = SEED_ANCHORS_N,
    .anchor_dim = SEED_ANCHORS_DIM,
    .dim = config->dim,
    .grid = config->image_size / config->patch_size,
    .heads = config->heads,
    .mlp_dim = config->dim,
    .head_dim = config->dim,
    .ln_eps = config->ln_eps,
  };
}

gboolean
seed_anchors_shape_check (const SeedAnchorsShape *shape, GError **error)
{
  const struct {
    const char *name;
    guint value, min, max;
  } limits[] = {
    { "the number of anchors", shape->n_anchors, 2, MAX_ANCHORS },
    { "the width of anchors", shape->anchor_dim, 1, MAX_WIDTH },
    { "the width of rows", shape->dim, 1, MAX_WIDTH },
    { "the number of words on a side", shape->grid, 1, MAX_GRID },
    { "the number of attention heads", shape->heads, 1, shape->dim },
    { "the width of the cross-attention MLP", shape->mlp_dim, 1, MAX_WIDTH },
    { "the hidden width of the anchor head", shape->head_dim, 1, MAX_WIDTH },
  };

  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    if (limits[i].value < limits[i].min || limits[i].value > limits[i].max) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "anchors: %s is %u, outside %u..%u",
          limits[i].name, limits[i].value, limits[i].min, limits[i].max);
      return FALSE;
    }
  if (shape->dim % shape->heads != 0 || !(shape->ln_eps > 0)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "anchors: %u heads must divide width %u, and the norms' epsilon %g must be above 0",
        shape->heads, shape->dim, shape->ln_eps);
    return FALSE;
  }
  return TRUE;
}

static void
append (const SeedAnchorsShape *shape, guint first, guint end, SeedParams *params)
{
  for (guint i = first; i < end; i++) {
    const SeedExtraTensor *tensor = &seed_anchors_tensors[i];
    gsize dims[2];

    dims_of (shape, i, dims);
    seed_params_append (params, tensor->name, tensor->decay, tensor->n_dims, dims);
  }
}

void
seed_anchors_append_describing (const SeedAnchorsShape *shape, SeedParams *params)
{
  append (shape, 0, N_DESCRIBING, params);
}

void
seed_anchors_append_learning (const SeedAnchorsShape *shape, SeedParams *params)
{
  append (shape, N_DESCRIBING, N_TENSORS, params);
}

void
seed_anchors_append_params (const SeedAnchorsShape *shape, SeedParams *params)
{
  append (shape, 0, N_TENSORS, params);
}

void
seed_anchors_normalise_params (const SeedParams *params, real *values)
{
  const SeedParam *anchors = seed_params_lookup (params, seed_anchors_tensors[ANCHORS].name);
  g_autofree real *norms = NULL;

  if (!anchors)
    return;
  norms = g_new (real, anchors->shape[0]);
  seed_unit_rows (
      values + anchors->offset, (guint) anchors->shape[0], (guint) anchors->shape[1], norms);
}

static gboolean
find (const SeedAnchorsShape *shape, const SeedParams *params, guint tensor, gsize *offset,
    GError **error)
{
  const char *name = seed_anchors_tensors[tensor].name;
  guint n_dims = seed_anchors_tensors[tensor].n_dims;
  const SeedParam *param = seed_params_lookup (params, name);
  gsize dims[2];

  if (!param) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
        "the student has no tensor %s; it did not learn image anchors", name);
    return FALSE;
  }
  dims_of (shape, tensor, dims);
  if (param->n_dims != n_dims || memcmp (param->shape, dims, n_dims * sizeof *dims) != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "tensor %s has %" G_GSIZE_FORMAT " values in %u dimensions where its student needs "
        "%" G_GSIZE_FORMAT " x %" G_GSIZE_FORMAT,
        name, param->size, param->n_dims, dims[0], n_dims == 2 ? dims[1] : 1);
    return FALSE;
  }
  *offset = param->offset;
  return TRUE;
}

static SeedLayer
linear_at (const gsize *offset, const SeedAnchorsShape *shape, guint weight)
{
  gsize dims[2];

  dims_of (shape, weight, dims);
  return (SeedLayer){ offset[weight], offset[weight + 1], (guint) dims[0], (guint) dims[1],
    weight == QUERY };
}

static SeedLayer
norm_at (const gsize *offset, const SeedAnchorsShape *shape, guint weight)
{
  return (SeedLayer){ offset[weight], offset[weight + 1], shape->dim, shape->dim, FALSE };
}

gboolean
seed_anchors_find_params (
    SeedAnchors *anchors, const SeedParams *params, gboolean all, GError **error)
{
  const SeedAnchorsShape *shape = &anchors->shape;
  SeedCrossLayers *cross = &anchors->cross.layers;
  gsize offset[N_TENSORS] = { 0 };

  for (guint i = 0; i < (all ? N_TENSORS : N_DESCRIBING); i++)
    if (!find (shape, params, i, &offset[i], error))
      return FALSE;

  anchors->anchors_offset = offset[ANCHORS];
  anchors->head.fc1 = linear_at (offset, shape, HEAD_FC1_WEIGHT);
  anchors->head.fc2 = linear_at (offset, shape, HEAD_FC2_WEIGHT);
  anchors->project = linear_at (offset, shape, QUERY);
  *cross = (SeedCrossLayers){
    .norm1 = norm_at (offset, shape, NORM1_WEIGHT),
    .norm2 = norm_at (offset, shape, NORM2_WEIGHT),
    .norm3 = norm_at (offset, shape, NORM3_WEIGHT),
    .q = linear_at (offset, shape, Q_WEIGHT),
    .kv = linear_at (offset, shape, KV_WEIGHT),
    .proj = linear_at (offset, shape, PROJ_WEIGHT),
    .fc1 = linear_at (offset, shape, FC1_WEIGHT),
    .fc2 = linear_at (offset, shape, FC2_WEIGHT),
    .dim = shape->dim,
    .heads = shape->heads,
    .mlp_dim = shape->mlp_dim,
  };
  anchors->location = linear_at (offset, shape, LOCATION_WEIGHT);
  anchors->word_location = linear_at (offset, shape, WORD_WEIGHT);
  return TRUE;
}
