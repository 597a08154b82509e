/* SPDX-License-Identifier: MIT */
#include "core/anchors-meta.h"

#include <string.h>

static gboolean
anchors_meta_init (GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  SeedAnchorsMeta *self = (SeedAnchorsMeta *) meta;

  self->item = self->grid = 0;
  memset (self->histogram, 0, sizeof self->histogram);
  self->heatmaps = NULL;
  return TRUE;
}

static void
anchors_meta_free (GstMeta *meta, GstBuffer *buffer)
{
  SeedAnchorsMeta *self = (SeedAnchorsMeta *) meta;

  if (self->heatmaps)
    g_atomic_rc_box_release ((gpointer) self->heatmaps);
  self->heatmaps = NULL;
}

/* @heatmaps: in a box, or NULL */
static void
append (GstBuffer *buffer, guint item, guint grid, const float *histogram, const float *heatmaps)
{
  const GstMetaInfo *info = gst_meta_get_info (SEED_ANCHORS_META_NAME);
  SeedAnchorsMeta *meta =
      info ? (SeedAnchorsMeta *) gst_buffer_add_meta (buffer, info, NULL) : NULL;

  g_return_if_fail (meta != NULL);
  meta->item = item;
  meta->grid = grid;
  memcpy (meta->histogram, histogram, sizeof meta->histogram);
  if (heatmaps)
    meta->heatmaps = g_atomic_rc_box_acquire ((gpointer) heatmaps);
}

static gboolean
anchors_meta_transform (GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data)
{
  const SeedAnchorsMeta *self = (const SeedAnchorsMeta *) meta;

  append (to, self->item, self->grid, self->histogram, self->heatmaps);
  return TRUE;
}

void
seed_anchors_meta_register (void)
{
  static const char *tags[] = { NULL }; /* no tags: every element that copies metas keeps it */
  GType api;

  if (g_type_from_name (SEED_ANCHORS_META_API_NAME))
    return;
  api = gst_meta_api_type_register (SEED_ANCHORS_META_API_NAME, tags);
  gst_meta_register (api, SEED_ANCHORS_META_NAME, sizeof (SeedAnchorsMeta), anchors_meta_init,
      anchors_meta_free, anchors_meta_transform);
}

void
seed_buffer_add_anchors_meta (
    GstBuffer *buffer, guint item, guint grid, const float *histogram, const float *heatmaps)
{
  gsize size = SEED_ANCHORS_META_BINS * (gsize) grid * grid * sizeof (float);
  float *box = NULL;

  if (heatmaps) {
    box = g_atomic_rc_box_alloc (size);
    memcpy (box, heatmaps, size);
  }
  append (buffer, item, grid, histogram, box);
  if (box)
    g_atomic_rc_box_release (box);
}
