/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

#include "core/real.h"

/*
 * The similarity distillation loss between a fused target and a student's two views
 * (as in Whiten-MTD, arXiv 2312.09716, section 3.3, over in-batch pairs):
 *
 *   S = Z0 Z1^T,  P = softmax(F / tau) by rows,  Q = softmax(S / tau) by rows
 *   L = mean_i KL(P_i | Q_i) + the same of F^T and S^T
 *
 * A pair with F = -INFINITY takes part in neither distribution.
 */

/* Bytes of scratch for batches of up to @b items. */
gsize seed_similarity_scratch_size (guint b);

/*
 * @z: [b, 2, dim], unit rows (items, then their two views); @target: [b, b] logits, finite on the
 * diagonal;
 * @d_z: [b, 2, dim], written, or NULL when only the value is wanted. Returns L. Single-threaded:
 * a batch of pairs is small beside the transformer.
 */
double seed_similarity_loss (
    const real *z, const float *target, guint b, guint dim, double tau, real *d_z, void *scratch);
