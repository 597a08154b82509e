/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * What a frame shows, by the image anchors of a student that learned some: one meta beside the
 * features for each item of a batch, in the order of the items. Registered by the SEED plugin and
 * found by name, as SeedStreamMeta is.
 */
#define SEED_ANCHORS_META_NAME "SeedAnchorsMeta"
#define SEED_ANCHORS_META_API_NAME "SeedAnchorsMetaAPI"
#define SEED_ANCHORS_META_BINS 256

typedef struct {
  GstMeta meta;
  guint item;                              /* index in the batch, as of its stream meta */
  guint grid;                              /* words along each side of the image */
  float histogram[SEED_ANCHORS_META_BINS]; /* share of each anchor in the frame; sums to 1 */
  const float *heatmaps; /* [bins, grid, grid], where in the frame each is, or NULL; the meta's */
} SeedAnchorsMeta;

/** The next anchors meta after *@state (start with NULL), or NULL at the end. */
static inline const SeedAnchorsMeta *
seed_buffer_iterate_anchors_meta (GstBuffer *buffer, gpointer *state)
{
  GType api = g_type_from_name (SEED_ANCHORS_META_API_NAME);
  return api ? (const SeedAnchorsMeta *) gst_buffer_iterate_meta_filtered (buffer, state, api)
             : NULL;
}

G_END_DECLS
