/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * What an image is said to show, on its way through a graph beside the stream metas: one meta for
 * each item of a batch that has captions, in the order of the items; items without captions have
 * none. Registered by the SEED plugin and found by name, as SeedStreamMeta is. Read-only once
 * added; copies share the texts.
 */
#define SEED_CAPTION_META_NAME "SeedCaptionMeta"
#define SEED_CAPTION_META_API_NAME "SeedCaptionMetaAPI"

typedef struct {
  GstMeta meta;
  guint item;                  /* index in the batch, as of its stream meta; 0 of a frame */
  guint n_captions;            /* 1 or more once added */
  const char *const *captions; /* [n_captions], UTF-8; the meta's */
} SeedCaptionMeta;

/** The next caption meta after *@state (start with NULL), or NULL at the end. */
static inline const SeedCaptionMeta *
seed_buffer_iterate_caption_meta (GstBuffer *buffer, gpointer *state)
{
  GType api = g_type_from_name (SEED_CAPTION_META_API_NAME);
  return api ? (const SeedCaptionMeta *) gst_buffer_iterate_meta_filtered (buffer, state, api)
             : NULL;
}

/** The captions of an item, or NULL. */
static inline const SeedCaptionMeta *
seed_buffer_get_caption_meta (GstBuffer *buffer, guint item)
{
  gpointer state = NULL;
  const SeedCaptionMeta *meta;

  while ((meta = seed_buffer_iterate_caption_meta (buffer, &state)) && meta->item != item)
    ;
  return meta;
}

G_END_DECLS
