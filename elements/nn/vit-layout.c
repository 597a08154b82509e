/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

#include "nn/vit-layout.h"

/* Dimensions that depend on the configuration. */
typedef enum {
  NO_DIM,
  WIDTH,
  THREE_WIDTHS,
  MLP,
  MLP_IN, /* what fc1 gives */
  REGISTERS,
  ROWS,
  WORD,
  PROJECTION,
} Dim;

/* Parts that a configuration may or may not have. */
typedef enum {
  ALWAYS,
  IF_CLS,
  IF_REGISTERS,
  IF_PRE_NORM,
  IF_ATTENTION_POOL,
  IF_PROJECTION,
} Condition;

typedef struct {
  const char *name;
  gboolean decay;
  Dim dims[2];
  Condition condition;
} Row;

static const Row tensors[SEED_VIT_N_TENSORS] = {
  [SEED_VIT_CLS] = { "cls", FALSE, { WIDTH }, IF_CLS },
  [SEED_VIT_REGISTERS] = { "registers", FALSE, { REGISTERS, WIDTH }, IF_REGISTERS },
  [SEED_VIT_POS] = { "pos", FALSE, { ROWS, WIDTH } },
  [SEED_VIT_PATCH_WEIGHT] = { "patch.weight", TRUE, { WIDTH, WORD } },
  [SEED_VIT_PATCH_BIAS] = { "patch.bias", FALSE, { WIDTH } },
  [SEED_VIT_PRE_NORM_WEIGHT] = { "pre_norm.weight", FALSE, { WIDTH }, IF_PRE_NORM },
  [SEED_VIT_PRE_NORM_BIAS] = { "pre_norm.bias", FALSE, { WIDTH }, IF_PRE_NORM },
  [SEED_VIT_NORM_WEIGHT] = { "norm.weight", FALSE, { WIDTH } },
  [SEED_VIT_NORM_BIAS] = { "norm.bias", FALSE, { WIDTH } },
  [SEED_VIT_POOL_PROBE] = { "pool.probe", FALSE, { WIDTH }, IF_ATTENTION_POOL },
  [SEED_VIT_POOL_QKV_WEIGHT] = { "pool.qkv.weight", TRUE, { THREE_WIDTHS, WIDTH },
      IF_ATTENTION_POOL },
  [SEED_VIT_POOL_QKV_BIAS] = { "pool.qkv.bias", FALSE, { THREE_WIDTHS }, IF_ATTENTION_POOL },
  [SEED_VIT_POOL_PROJ_WEIGHT] = { "pool.proj.weight", TRUE, { WIDTH, WIDTH }, IF_ATTENTION_POOL },
  [SEED_VIT_POOL_PROJ_BIAS] = { "pool.proj.bias", FALSE, { WIDTH }, IF_ATTENTION_POOL },
  [SEED_VIT_POOL_NORM_WEIGHT] = { "pool.norm.weight", FALSE, { WIDTH }, IF_ATTENTION_POOL },
  [SEED_VIT_POOL_NORM_BIAS] = { "pool.norm.bias", FALSE, { WIDTH }, IF_ATTENTION_POOL },
  [SEED_VIT_POOL_FC1_WEIGHT] = { "pool.fc1.weight", TRUE, { MLP, WIDTH }, IF_ATTENTION_POOL },
  [SEED_VIT_POOL_FC1_BIAS] = { "pool.fc1.bias", FALSE, { MLP }, IF_ATTENTION_POOL },
  [SEED_VIT_POOL_FC2_WEIGHT] = { "pool.fc2.weight", TRUE, { WIDTH, MLP }, IF_ATTENTION_POOL },
  [SEED_VIT_POOL_FC2_BIAS] = { "pool.fc2.bias", FALSE, { WIDTH }, IF_ATTENTION_POOL },
  [SEED_VIT_PROJECTION] = { "projection.weight", TRUE, { PROJECTION, WIDTH }, IF_PROJECTION },
};

static const Row block_tensors[SEED_VIT_N_BLOCK_TENSORS] = {
  [SEED_VIT_NORM1_WEIGHT] = { "norm1.weight", FALSE, { WIDTH } },
  [SEED_VIT_NORM1_BIAS] = { "norm1.bias", FALSE, { WIDTH } },
  [SEED_VIT_QKV_WEIGHT] = { "qkv.weight", TRUE, { THREE_WIDTHS, WIDTH } },
  [SEED_VIT_QKV_BIAS] = { "qkv.bias", FALSE, { THREE_WIDTHS } },
  [SEED_VIT_PROJ_WEIGHT] = { "proj.weight", TRUE, { WIDTH, WIDTH } },
  [SEED_VIT_PROJ_BIAS] = { "proj.bias", FALSE, { WIDTH } },
  [SEED_VIT_NORM2_WEIGHT] = { "norm2.weight", FALSE, { WIDTH } },
  [SEED_VIT_NORM2_BIAS] = { "norm2.bias", FALSE, { WIDTH } },
  [SEED_VIT_FC1_WEIGHT] = { "fc1.weight", TRUE, { MLP_IN, WIDTH } },
  [SEED_VIT_FC1_BIAS] = { "fc1.bias", FALSE, { MLP_IN } },
  [SEED_VIT_FC2_WEIGHT] = { "fc2.weight", TRUE, { WIDTH, MLP } },
  [SEED_VIT_FC2_BIAS] = { "fc2.bias", FALSE, { WIDTH } },
};

static gsize
dim_value (const SeedVitConfig *config, Dim dim)
{
  switch (dim) {
  case WIDTH:
    return config->dim;
  case THREE_WIDTHS:
    return 3 * (gsize) config->dim;
  case MLP:
    return config->mlp_dim;
  case MLP_IN:
    return (config->gated ? 2 : 1) * (gsize) config->mlp_dim;
  case REGISTERS:
    return config->n_registers;
  case ROWS:
    return seed_vit_config_n_rows (config);
  case PROJECTION:
    return config->projection_dim;
  case WORD:
    return 3 * (gsize) config->patch_size * config->patch_size;
  case NO_DIM:
    break;
  }
  return 0;
}

static guint
row_shape (const SeedVitConfig *config, const Row *row, gsize shape[2])
{
  shape[0] = dim_value (config, row->dims[0]);
  shape[1] = dim_value (config, row->dims[1]);
  return row->dims[1] == NO_DIM ? 1 : 2;
}

static gboolean
applies (const SeedVitConfig *config, const Row *row)
{
  switch (row->condition) {
  case IF_CLS:
    return !config->no_cls;
  case IF_REGISTERS:
    return config->n_registers > 0;
  case IF_PRE_NORM:
    return config->pre_norm;
  case IF_ATTENTION_POOL:
    return config->pool == SEED_VIT_POOL_ATTENTION;
  case IF_PROJECTION:
    return config->projection_dim > 0;
  case ALWAYS:
    break;
  }
  return TRUE;
}

static void
append (const SeedVitConfig *config, SeedParams *params, const Row *row, const char *name)
{
  gsize shape[2];
  guint n_dims = row_shape (config, row, shape);

  if (applies (config, row))
    seed_params_append (params, name, row->decay, n_dims, shape);
}

void
seed_vit_append_params (const SeedVitConfig *config, SeedParams *params)
{
  char name[sizeof params->items->name];

  for (guint t = 0; t < SEED_VIT_NORM_WEIGHT; t++)
    append (config, params, &tensors[t], tensors[t].name);
  for (guint i = 0; i < config->depth; i++)
    for (guint t = 0; t < SEED_VIT_N_BLOCK_TENSORS; t++) {
      g_snprintf (name, sizeof name, "blocks.%u.%s", i, block_tensors[t].name);
      append (config, params, &block_tensors[t], name);
    }
  for (guint t = SEED_VIT_NORM_WEIGHT; t < SEED_VIT_N_TENSORS; t++)
    append (config, params, &tensors[t], tensors[t].name);
}

static gboolean
find (const SeedVitConfig *config, const SeedParams *params, const Row *row, const char *name,
    gsize *offset, GError **error)
{
  const SeedParam *param;
  gsize shape[2];
  guint n_dims = row_shape (config, row, shape);

  if (!applies (config, row))
    return TRUE;
  param = seed_params_lookup (params, name);
  if (!param) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
        "parameter \"%s\" is missing; the table was not made for this configuration", name);
    return FALSE;
  }
  if (param->n_dims != n_dims || param->shape[0] != shape[0] ||
      (n_dims == 2 && param->shape[1] != shape[1])) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "parameter \"%s\" has %u dimensions, the first %" G_GSIZE_FORMAT
        "; the configuration needs %u, the first %" G_GSIZE_FORMAT "%s",
        name, param->n_dims, param->shape[0], n_dims, shape[0],
        n_dims == 2 && param->shape[0] == shape[0] ? ", and another second" : "");
    return FALSE;
  }
  *offset = param->offset;
  return TRUE;
}

gboolean
seed_vit_layout_find (
    SeedVitLayout *layout, const SeedVitConfig *config, const SeedParams *params, GError **error)
{
  SeedVitLayout found = { .block = g_malloc_n (config->depth, sizeof *found.block) };
  char name[sizeof params->items->name];
  gboolean ok = TRUE;

  for (guint t = 0; ok && t < SEED_VIT_N_TENSORS; t++)
    ok = find (config, params, &tensors[t], tensors[t].name, &found.offset[t], error);
  for (guint i = 0; ok && i < config->depth; i++)
    for (guint t = 0; ok && t < SEED_VIT_N_BLOCK_TENSORS; t++) {
      g_snprintf (name, sizeof name, "blocks.%u.%s", i, block_tensors[t].name);
      ok = find (config, params, &block_tensors[t], name, &found.block[i][t], error);
    }

  if (ok)
    *layout = found;
  else
    seed_vit_layout_clear (&found);
  return ok;
}

void
seed_vit_layout_clear (SeedVitLayout *layout)
{
  g_clear_pointer (&layout->block, g_free);
}
