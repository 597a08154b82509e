/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/real.h"
#include <glib.h>

/*
 * The symmetric contrastive loss of images and their captions (CLIP, Radford et al. 2021,
 * arXiv 2103.00020): with S = e^s Z T^T, s learned and clamped to at most ln 100,
 *
 *   L = (CE of rows + CE of columns) / 2, the pair on the diagonal being the right one.
 */
#define SEED_CONTRAST_SCALE_INIT 2.6592600369327783 /* ln (1 / 0.07) */
#define SEED_CONTRAST_SCALE_MAX 4.605170185988091   /* ln 100 */

/* Elements of scratch for up to @n pairs. */
gsize seed_contrast_scratch_size (guint n);

/*
 * @z: [n, dim] unit rows @z_stride apart; @t: [n, dim] unit rows; @same: [n, n], pairs off the
 * diagonal whose captions are alike and which therefore take no part, or NULL. ADDS @weight times
 * the gradients to @d_z (rows d_stride apart), @d_t and *@d_scale, unless @d_z is NULL. n >= 2.
 * Returns L (not times @weight). Single-threaded: a batch of pairs is small.
 */
double seed_contrast_loss (const real *z, gsize z_stride, const real *t, const gboolean *same,
    guint n, guint dim, double log_scale, double weight, real *d_z, real *d_t, double *d_scale,
    real *scratch);
