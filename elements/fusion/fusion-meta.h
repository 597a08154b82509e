/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "fusion/fuse.h"

/*
 * Which teacher spoke in a target: a custom meta on affinity buffers, kept by every element that
 * copies metas. Fields of its structure: teachers (GStrv), diagonal and off-diagonal (GstValueArray
 * of double, shares of wins by teacher), masked (double, share of masked off-diagonal pairs). What
 * counts as a win: see SeedFusionTally.
 */
#define SEED_FUSION_META_NAME "SeedFusionMeta"

typedef struct {
  guint n_teachers;
  const char *teachers[SEED_FUSION_MAX_TEACHERS]; /* interned */
  double diagonal[SEED_FUSION_MAX_TEACHERS];
  double off_diagonal[SEED_FUSION_MAX_TEACHERS];
  double masked;
} SeedFusionShares;

/* @buffer must be writable. */
void seed_buffer_add_fusion_meta (GstBuffer *buffer, const SeedFusionShares *shares);

/* FALSE when @buffer carries no (well-formed) fusion meta. Any thread. */
gboolean seed_buffer_get_fusion_meta (GstBuffer *buffer, SeedFusionShares *shares);

/* The same fields in any structure: "stats" has them too. */
void seed_fusion_shares_to_structure (const SeedFusionShares *shares, GstStructure *structure);
