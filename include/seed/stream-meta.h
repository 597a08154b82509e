/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * Identity of a frame on its way through a graph. A buffer carries one per batch item, in the order
 * of the items (outermost axis of the data). Registered by the SEED plugin; these helpers find it
 * by name, so a program needs no more than the plugin in its registry and loaded.
 */
#define SEED_STREAM_META_NAME "SeedStreamMeta"
#define SEED_STREAM_META_API_NAME "SeedStreamMetaAPI"
#define SEED_STREAM_ID_SIZE 64 /* with the NUL */

typedef struct {
  GstMeta meta;
  char stream[SEED_STREAM_ID_SIZE]; /* [a-z0-9-]+; "-" when it has none */
  guint64 frame;                    /* number of the decoded frame in its stream, from 0 */
  GstClockTime pts;                 /* of the frame in its stream, or GST_CLOCK_TIME_NONE */
  gint64 capture_ns; /* realtime ns since the epoch when it was captured or decoded */
  gint32 label;      /* class index, -1 when unlabelled */
  guint64 dropped;   /* frames of this stream dropped upstream before this one */
  guint32 repeat;    /* 0: it came from its source; n: it comes from memory for the n-th time */
} SeedStreamMeta;

/** Appends a meta to a writable buffer. NULL when the SEED plugin is not loaded. */
static inline SeedStreamMeta *
seed_buffer_add_stream_meta (GstBuffer *buffer)
{
  const GstMetaInfo *info = gst_meta_get_info (SEED_STREAM_META_NAME);
  return info ? (SeedStreamMeta *) gst_buffer_add_meta (buffer, info, NULL) : NULL;
}

/** The next stream meta after *@state (start with NULL), or NULL at the end. */
static inline SeedStreamMeta *
seed_buffer_iterate_stream_meta (GstBuffer *buffer, gpointer *state)
{
  GType api = g_type_from_name (SEED_STREAM_META_API_NAME);
  return api ? (SeedStreamMeta *) gst_buffer_iterate_meta_filtered (buffer, state, api) : NULL;
}

static inline guint
seed_buffer_n_stream_meta (GstBuffer *buffer)
{
  GType api = g_type_from_name (SEED_STREAM_META_API_NAME);
  return api ? gst_buffer_get_n_meta (buffer, api) : 0;
}

G_END_DECLS
