/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/rng.h>

/*
 * mixup (Zhang et al. 2018, arXiv 1710.09412): every labelled image of a batch is mixed with
 * another one, x = share x_i + (1 - share) x_j, share from Beta (alpha, alpha).
 */
/* From Beta (alpha, alpha), alpha > 0. */
double seed_mixup_share (SeedRng *rng, double alpha);

/*
 * @words: uint8 [n, item_size]; @mixed: the same, written; @labels: [n], -1: left as it is;
 * @others: [n], written. Returns the share.
 */
double seed_mixup (SeedRng *rng, double alpha, const guint8 *words, gsize item_size,
    const gint32 *labels, guint n, guint8 *mixed, gint32 *others);
