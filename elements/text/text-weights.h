/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/backend.h"
#include "text/text-config.h"

/*
 * The parameters of a text encoder: which tensors they are in a checkpoint of transformers, one
 * flat array of them, and the linear layers as the backend wants them. Immutable once loaded.
 */
typedef enum {
  SEED_TEXT_TOKEN,       /* [v, d] */
  SEED_TEXT_POSITION,    /* [max_positions, d] */
  SEED_TEXT_TYPE,        /* [types, d]; BERT */
  SEED_TEXT_NORM_WEIGHT, /* [d]; before the blocks in BERT, after them in the others */
  SEED_TEXT_NORM_BIAS,
  SEED_TEXT_HEAD_WEIGHT, /* [D, d]; may be missing */
  SEED_TEXT_HEAD_BIAS,   /* [D]; SigLIP */
  SEED_TEXT_N_TENSORS,
} SeedTextTensor;

typedef enum {
  SEED_TEXT_NORM1_WEIGHT,
  SEED_TEXT_NORM1_BIAS,
  SEED_TEXT_QKV_WEIGHT, /* [3d, d] */
  SEED_TEXT_QKV_BIAS,
  SEED_TEXT_PROJ_WEIGHT,
  SEED_TEXT_PROJ_BIAS,
  SEED_TEXT_NORM2_WEIGHT,
  SEED_TEXT_NORM2_BIAS,
  SEED_TEXT_FC1_WEIGHT,
  SEED_TEXT_FC1_BIAS,
  SEED_TEXT_FC2_WEIGHT,
  SEED_TEXT_FC2_BIAS,
  SEED_TEXT_N_BLOCK_TENSORS,
} SeedTextBlockTensor;

typedef enum {
  SEED_TEXT_QKV,
  SEED_TEXT_PROJ,
  SEED_TEXT_FC1,
  SEED_TEXT_FC2,
  SEED_TEXT_N_LINEARS,
} SeedTextLinear;

typedef struct {
  const real *tensors[SEED_TEXT_N_BLOCK_TENSORS];
  SeedPackedLinear *linears[SEED_TEXT_N_LINEARS];
} SeedTextBlock;

typedef struct {
  const SeedBackend *backend;
  const real *tensors[SEED_TEXT_N_TENSORS]; /* NULL: the model has none */
  SeedTextBlock *blocks;                    /* [depth] */
  guint depth;
  SeedPackedLinear *head; /* NULL: the model has none */
  guint out_dim;          /* D */
  real *values;           /* n_values of them, 64-byte aligned */
  gsize n_values;
  guint64 n_params;
  char *sha256; /* see seed_hf_weights_sha256 */
} SeedTextWeights;

/* Errors name the file and the tensor. */
SeedTextWeights *
seed_text_weights_load (const SeedTextConfig *config, const char *folder, GError **error);
void seed_text_weights_free (SeedTextWeights *weights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedTextWeights, seed_text_weights_free)
gsize seed_text_weights_bytes (const SeedTextWeights *weights);
