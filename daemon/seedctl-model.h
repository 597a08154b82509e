/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/tensor.h>

#include "nn/checkpoint.h"

/* What the subcommands of `seedctl model` share. */

/* The heads that a folder has, of those that SEED knows: a student's, and anchors. */
typedef struct {
  SeedExtraTensor tensors[32];
  guint n;
} SeedctlHeads;

gboolean seedctl_heads_find (SeedctlHeads *heads, const char *folder, GError **error);

/* The dtypes of the folder's weights, "float32" or "bfloat16+float32". Caller frees. */
char *seedctl_weights_dtypes (const char *folder, GError **error);

/* README.md of a model to be written to @folder: what @checkpoint is, and what the JSON file @card
 * says of it. Caller frees. */
char *seedctl_card_format (const char *folder, const SeedCheckpoint *checkpoint,
    const SeedctlHeads *heads, SeedDtype dtype, const char *card, GError **error);

/* argv[0]: "info" and so on. */
int seedctl_model_info (int argc, char **argv);
int seedctl_model_export (int argc, char **argv);
int seedctl_model_convert (int argc, char **argv);
