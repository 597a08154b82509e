/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/caps.h"

/*
 * Buffers of application/x-seed-features: memory 0 the summaries, memory 1 the tokens, both for a
 * full batch and recycled. A short batch shrinks the memories of its buffer; the pool restores
 * them.
 */
GstBufferPool *seed_features_pool_new (const SeedFeaturesInfo *info, const GstCaps *caps);

/* Both maps of one buffer. tokens.data is NULL when there is no memory 1. */
typedef struct {
  GstMapInfo summary, tokens;
} SeedFeaturesMap;

gboolean seed_features_map (SeedFeaturesMap *map, GstBuffer *buffer, GstMapFlags flags);
void seed_features_unmap (SeedFeaturesMap *map, GstBuffer *buffer);

/* Cuts a pooled buffer down to @n_items items. */
void seed_features_resize (GstBuffer *buffer, const SeedFeaturesInfo *info, guint n_items);
