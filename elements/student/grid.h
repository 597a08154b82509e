/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Bilinear resampling of a square grid of tokens, sampling at cell centres (align_corners=false, as
 * torch.nn.functional.interpolate) and, like it, without a low-pass filter. A convex combination of
 * the tokens, so it may go before any affine map of them.
 * @from: float32 [n, from_side^2, dim]; @to: [n, to_side^2, dim], not the same. A region.
 */
void seed_grid_resample (
    const float *from, guint from_side, guint n, guint dim, float *to, guint to_side);
