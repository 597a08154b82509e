/* SPDX-License-Identifier: MIT */
/* The reference: whatever the compiler's baseline for this architecture is. */
#include "patchify/resample-loops.h"

static void
down_c (gint16 *dst, const gint16 *const *rows, const gint16 *weights, guint n, guint width,
    guint shift)
{
  down_loop_from (dst, rows, weights, n, 0, width, shift);
}

const SeedResampleKernels seed_resample_kernels_c = {
  .name = "c",
  .unpack = unpack_loop,
  .pick = pick_loop,
  .across = across_loop,
  .down = down_c,
  .down_bytes = down_bytes_loop,
  .levels = levels_loop,
  .yuv = yuv_loop,
  .mix = mix_loop,
};
