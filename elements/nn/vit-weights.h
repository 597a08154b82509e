/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/backend.h"

/*
 * The linear layers of one set of parameters in the form the backend wants. Prepacked once, it may
 * be shared by any number of workspaces and threads: what a frozen model keeps.
 */
typedef struct _SeedVitWeights SeedVitWeights;

/*
 * @values (params->total) must outlive the weights and stay as they are: norms, biases and tokens
 * are read from there, and so are the weights when the backend copies nothing.
 */
SeedVitWeights *seed_vit_weights_new (
    const SeedVitConfig *config, const SeedParams *params, const real *values, GError **error);
void seed_vit_weights_free (SeedVitWeights *weights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedVitWeights, seed_vit_weights_free)

/* What packing takes beyond @values. */
gsize seed_vit_weights_bytes (const SeedVitWeights *weights);

/* seed_vit_forward without packing anew; @weights of the workspace's configuration. */
const real *seed_vit_forward_packed (SeedVit *vit, const SeedVitWeights *weights,
    const float scale[3], const float shift[3], const guint8 *words, guint n);

/*
 * The summaries of the last forward_packed with the same @weights, [n, D] with D =
 * seed_vit_config_summary_dim, into @summary.
 */
void seed_vit_summary (SeedVit *vit, const SeedVitWeights *weights, real *summary);
