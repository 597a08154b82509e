/* SPDX-License-Identifier: MIT */
#pragma once

#include "patchify/plan.h"

/* Some rows of one view on their way from planes to words: what one task does. */
typedef struct {
  const SeedResampleKernels *kernels;
  SeedFilter filter;
  guint image_size, patch_size;
  const SeedFrame *frame;
  const SeedCut *cut;
  const SeedPlan *plan;
  guint8 *words; /* of the view */
} SeedBand;

/*
 * Bytes of workspace for any box of @frame, a multiple of 64: it does not depend on the box, so
 * random crops do not make it grow.
 */
gsize seed_band_bytes (const SeedBand *band);

/* Writes rows @begin..@end of the view. @workspace: aligned to 64 bytes. Thread-safe. */
void seed_band_cut (const SeedBand *band, guint begin, guint end, guint8 *workspace);
