/* SPDX-License-Identifier: MIT */
#pragma once

#include "patchify/resample.h"

/* Kernels of the AVX2 table that the AVX-512 one uses as they are. */
void seed_resample_across_avx2 (gint16 *dst, const gint16 *line, const SeedAxis *axis);
void seed_resample_down_bytes_avx2 (gint16 *dst, const guint8 *src, gssize stride,
    const gint16 *weights, guint n, guint ahead, gsize width, guint shift);
