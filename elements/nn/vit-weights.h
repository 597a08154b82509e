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
/* The same for a backend other than seed_backend_get's. */
SeedVitWeights *seed_vit_weights_new_with (const SeedVitConfig *config, const SeedParams *params,
    const real *values, const SeedBackend *backend, GError **error);
void seed_vit_weights_free (SeedVitWeights *weights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedVitWeights, seed_vit_weights_free)

/*
 * Moves magnitude between @values that multiply each other, so that int8 loses less of them; in
 * real numbers the model stays the same. For weights that will be packed in int8.
 */
gboolean seed_vit_smooth (
    const SeedVitConfig *config, const SeedParams *params, real *values, GError **error);

/*
 * Copies what is read from the values besides what is packed, so that the values may go: TRUE when
 * they may. @params: the table that the weights were made with.
 */
gboolean seed_vit_weights_detach (SeedVitWeights *weights, const SeedParams *params);

/* What packing takes beyond @values. */
gsize seed_vit_weights_bytes (const SeedVitWeights *weights);

/* seed_vit_new for a backend other than seed_backend_get's. */
SeedVit *seed_vit_new_with (const SeedVitConfig *config, const SeedParams *params, guint max_batch,
    gboolean train, const SeedBackend *backend, GError **error);

/* seed_vit_new_subset likewise. */
SeedVit *seed_vit_new_subset_with (const SeedVitConfig *config, const SeedParams *params,
    guint max_batch, guint max_words, gboolean train, const SeedBackend *backend, GError **error);

/* seed_vit_forward without packing anew; @weights of the workspace's configuration. */
const real *seed_vit_forward_packed (SeedVit *vit, const SeedVitWeights *weights,
    const float scale[3], const float shift[3], const guint8 *words, guint n);

/*
 * The summaries of the last forward_packed with the same @weights, [n, D] with D =
 * seed_vit_config_summary_dim, into @summary.
 */
void seed_vit_summary (SeedVit *vit, const SeedVitWeights *weights, real *summary);
