/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/hf-family.h"

/* Names and shapes that the tables of hf-family.h describe. */
typedef struct {
  guint64 dims[SEED_TENSOR_MAX_DIMS];
  guint n;
} SeedHfShape;

/* Side of the grid of positions that the file has. */
guint seed_hf_native_side (const SeedHfConfig *config);

/* "%u" of the table's @pattern becomes @block. Caller frees. */
char *seed_hf_table_name (const char *prefix, const char *pattern, guint block);

/* Of each tensor of @row. @config was checked. */
void seed_hf_table_shape (const SeedHfTensor *row, const SeedHfConfig *config, SeedHfShape *shape);
gsize seed_hf_shape_size (const SeedHfShape *shape);

guint seed_hf_table_n_tensors (const SeedHfTensor *row);
/* How often the row is there: once, once a block, or not at all in this configuration. */
guint seed_hf_table_n_blocks (const SeedHfTensor *row, const SeedHfConfig *config);
