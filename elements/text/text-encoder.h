/* SPDX-License-Identifier: MIT */
#pragma once

#include "text/text-weights.h"

/*
 * The forward pass. Texts of different lengths lie one after another without padding, so that a
 * batch costs its tokens and nothing more.
 */
typedef struct {
  const guint32 *ids;  /* of all texts; below vocab_size */
  const guint *starts; /* [n + 1]: text i is ids[starts[i]..starts[i + 1]), at least one token */
  const guint *pooled; /* [n]: the token that is taken, from 0; not for SEED_TEXT_POOL_MEAN */
  guint n;
} SeedTextBatch;

/* @out: [n, D]. SEED_ERROR_LIMIT when there is no memory; @out is untouched then. */
gboolean seed_text_forward (const SeedTextConfig *config, const SeedTextWeights *weights,
    const SeedTextBatch *batch, real *out, GError **error);
