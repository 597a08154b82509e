/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * What each view of a batch item shows of its frame. Words of more than one view carry one such
 * meta for each item, in the order of the items. Registered by the SEED plugin and found by name,
 * as SeedStreamMeta is.
 */
#define SEED_VIEW_META_NAME "SeedViewMeta"
#define SEED_VIEW_META_API_NAME "SeedViewMetaAPI"
#define SEED_MAX_VIEWS 16

/**
 * The rectangle that fills a view's square, as shares of the frame: 0, 0, 1, 1 is all of it. A view
 * with bars (letterbox) shows more than there is. @flip: mirrored left to right, after cropping.
 */
typedef struct {
  double x, y, width, height;
  gboolean flip;
} SeedView;

typedef struct {
  GstMeta meta;
  guint item; /* index in the batch, as of its stream meta */
  guint n_views;
  SeedView views[SEED_MAX_VIEWS];
} SeedViewMeta;

/** Appends the meta of @item, its views yet to be filled in. NULL without the SEED plugin. */
static inline SeedViewMeta *
seed_buffer_add_view_meta (GstBuffer *buffer, guint item, guint n_views)
{
  const GstMetaInfo *info = gst_meta_get_info (SEED_VIEW_META_NAME);
  SeedViewMeta *meta = NULL;

  if (info && n_views <= SEED_MAX_VIEWS)
    meta = (SeedViewMeta *) gst_buffer_add_meta (buffer, info, NULL);
  if (meta) {
    meta->item = item;
    meta->n_views = n_views;
  }
  return meta;
}

/** The next view meta after *@state (start with NULL), or NULL at the end. */
static inline const SeedViewMeta *
seed_buffer_iterate_view_meta (GstBuffer *buffer, gpointer *state)
{
  GType api = g_type_from_name (SEED_VIEW_META_API_NAME);
  return api ? (const SeedViewMeta *) gst_buffer_iterate_meta_filtered (buffer, state, api) : NULL;
}

G_END_DECLS
