/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/vit.h"

/*
 * Which tensors a transformer is made of, and where each lies in a flat array. The tables in
 * vit-layout.c are the one place that lists them, with what of a configuration each belongs to.
 */
typedef enum {
  SEED_VIT_CLS,
  SEED_VIT_REGISTERS,
  SEED_VIT_POS,
  SEED_VIT_PATCH_WEIGHT,
  SEED_VIT_PATCH_BIAS,
  SEED_VIT_PRE_NORM_WEIGHT,
  SEED_VIT_PRE_NORM_BIAS,
  SEED_VIT_NORM_WEIGHT, /* from here on behind the blocks */
  SEED_VIT_NORM_BIAS,
  SEED_VIT_POOL_PROBE,
  SEED_VIT_POOL_QKV_WEIGHT,
  SEED_VIT_POOL_QKV_BIAS,
  SEED_VIT_POOL_PROJ_WEIGHT,
  SEED_VIT_POOL_PROJ_BIAS,
  SEED_VIT_POOL_NORM_WEIGHT,
  SEED_VIT_POOL_NORM_BIAS,
  SEED_VIT_POOL_FC1_WEIGHT,
  SEED_VIT_POOL_FC1_BIAS,
  SEED_VIT_POOL_FC2_WEIGHT,
  SEED_VIT_POOL_FC2_BIAS,
  SEED_VIT_PROJECTION,
  SEED_VIT_N_TENSORS,
} SeedVitTensor;

typedef enum {
  SEED_VIT_NORM1_WEIGHT,
  SEED_VIT_NORM1_BIAS,
  SEED_VIT_QKV_WEIGHT,
  SEED_VIT_QKV_BIAS,
  SEED_VIT_PROJ_WEIGHT,
  SEED_VIT_PROJ_BIAS,
  SEED_VIT_NORM2_WEIGHT,
  SEED_VIT_NORM2_BIAS,
  SEED_VIT_FC1_WEIGHT,
  SEED_VIT_FC1_BIAS,
  SEED_VIT_FC2_WEIGHT,
  SEED_VIT_FC2_BIAS,
  SEED_VIT_N_BLOCK_TENSORS,
} SeedVitBlockTensor;

typedef struct {
  gsize offset[SEED_VIT_N_TENSORS]; /* 0 for a tensor that the configuration does not have */
  gsize (*block)[SEED_VIT_N_BLOCK_TENSORS]; /* [depth] */
} SeedVitLayout;

/*
 * Finds every tensor of @config in @params. SEED_ERROR_NOT_FOUND or SEED_ERROR_MISMATCH naming the
 * tensor; @layout is untouched then.
 */
gboolean seed_vit_layout_find (
    SeedVitLayout *layout, const SeedVitConfig *config, const SeedParams *params, GError **error);
void seed_vit_layout_clear (SeedVitLayout *layout);
