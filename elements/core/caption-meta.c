/* SPDX-License-Identifier: MIT */
#include "core/caption-meta.h"

#include <string.h>

static gboolean
caption_meta_init (GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  SeedCaptionMeta *self = (SeedCaptionMeta *) meta;

  self->item = self->n_captions = 0;
  self->captions = NULL;
  return TRUE;
}

static void
caption_meta_free (GstMeta *meta, GstBuffer *buffer)
{
  SeedCaptionMeta *self = (SeedCaptionMeta *) meta;

  if (self->captions)
    g_atomic_rc_box_release ((gpointer) self->captions);
  self->captions = NULL;
}

static void
append (GstBuffer *buffer, guint item, const char *const *shared, guint n_captions)
{
  const GstMetaInfo *info = gst_meta_get_info (SEED_CAPTION_META_NAME);
  SeedCaptionMeta *meta =
      info ? (SeedCaptionMeta *) gst_buffer_add_meta (buffer, info, NULL) : NULL;

  g_return_if_fail (meta != NULL);
  meta->item = item;
  meta->n_captions = n_captions;
  meta->captions = g_atomic_rc_box_acquire ((gpointer) shared);
}

static gboolean
caption_meta_transform (GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data)
{
  const SeedCaptionMeta *self = (const SeedCaptionMeta *) meta;

  append (to, self->item, self->captions, self->n_captions);
  return TRUE;
}

void
seed_caption_meta_register (void)
{
  static const char *tags[] = { NULL }; /* no tags: every element that copies metas keeps it */
  GType api;

  if (g_type_from_name (SEED_CAPTION_META_API_NAME))
    return;
  api = gst_meta_api_type_register (SEED_CAPTION_META_API_NAME, tags);
  gst_meta_register (api, SEED_CAPTION_META_NAME, sizeof (SeedCaptionMeta), caption_meta_init,
      caption_meta_free, caption_meta_transform);
}

/* One block: the pointers, then the texts that they point to. */
static const char *const *
share (const char *const *captions, guint n)
{
  gsize size = n * sizeof (char *);
  const char **block;
  char *text;

  for (guint i = 0; i < n; i++)
    size += strlen (captions[i]) + 1;
  block = g_atomic_rc_box_alloc (size);
  text = (char *) (block + n);
  for (guint i = 0; i < n; i++) {
    block[i] = text;
    text = g_stpcpy (text, captions[i]) + 1;
  }
  return (const char *const *) block;
}

void
seed_buffer_add_captions (
    GstBuffer *buffer, guint item, const char *const *captions, guint n_captions)
{
  const char *const *shared;

  if (n_captions == 0)
    return;
  shared = share (captions, n_captions);
  append (buffer, item, shared, n_captions);
  g_atomic_rc_box_release ((gpointer) shared);
}

void
seed_buffer_copy_captions (GstBuffer *to, guint to_item, GstBuffer *from, guint from_item)
{
  const SeedCaptionMeta *meta = seed_buffer_get_caption_meta (from, from_item);

  if (meta)
    append (to, to_item, meta->captions, meta->n_captions);
}

void
seed_buffer_copy_caption_metas (GstBuffer *to, GstBuffer *from)
{
  gpointer state = NULL;
  const SeedCaptionMeta *meta;

  while ((meta = seed_buffer_iterate_caption_meta (from, &state)))
    append (to, meta->item, meta->captions, meta->n_captions);
}
