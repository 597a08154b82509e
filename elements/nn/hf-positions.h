/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Resamples a square grid of position embeddings, @from [old, old, dim] to @to [new, new, dim], as
 * torch.nn.functional.interpolate does with mode="bicubic", align_corners=False and a size: without
 * @antialias Keys' kernel with a = -0.75 over four samples, indices clamped at the border; with it
 * the same kernel with a = -0.5, widened when the grid shrinks, over the samples that exist.
 */
void seed_hf_positions_resample (
    const float *from, guint old_side, float *to, guint new_side, guint dim, gboolean antialias);
