/* SPDX-License-Identifier: MIT */
#include "core/view-meta.h"

#include <string.h>

static gboolean
view_meta_init (GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  SeedViewMeta *self = (SeedViewMeta *) meta;

  self->item = self->n_views = 0;
  memset (self->views, 0, sizeof self->views);
  return TRUE;
}

static gboolean
view_meta_transform (GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data)
{
  const SeedViewMeta *self = (const SeedViewMeta *) meta;
  SeedViewMeta *copy = seed_buffer_add_view_meta (to, self->item, self->n_views);

  if (!copy)
    return FALSE;
  memcpy (copy->views, self->views, sizeof copy->views);
  return TRUE;
}

void
seed_view_meta_register (void)
{
  static const char *tags[] = { NULL }; /* no tags: every element that copies metas keeps it */
  GType api;

  if (g_type_from_name (SEED_VIEW_META_API_NAME))
    return;
  api = gst_meta_api_type_register (SEED_VIEW_META_API_NAME, tags);
  gst_meta_register (
      api, SEED_VIEW_META_NAME, sizeof (SeedViewMeta), view_meta_init, NULL, view_meta_transform);
}
