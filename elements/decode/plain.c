/* SPDX-License-Identifier: MIT */
#include "decode/plain.h"

#include <gst/video/video.h>

#include "core/stream-meta.h"

/* Answers kept: streams of different sizes alternate on one pad. */
#define MAX_KNOWN 32

typedef struct {
  GstCaps *caps;
  GstVideoInfo info;
  gboolean reads_meta; /* the consumer understands GstVideoMeta */
  GstBufferPool *pool; /* for copies; made at the first */
} Known;

struct _SeedPlain {
  gint forget; /* atomic */
  GArray *known;
};

static void
known_clear (gpointer data)
{
  Known *known = data;

  if (known->pool)
    gst_buffer_pool_set_active (known->pool, FALSE);
  g_clear_object (&known->pool);
  gst_caps_replace (&known->caps, NULL);
}

SeedPlain *
seed_plain_new (void)
{
  SeedPlain *plain = g_new0 (SeedPlain, 1);

  plain->known = g_array_new (FALSE, TRUE, sizeof (Known));
  g_array_set_clear_func (plain->known, known_clear);
  return plain;
}

void
seed_plain_free (SeedPlain *plain)
{
  if (!plain)
    return;
  g_array_unref (plain->known);
  g_free (plain);
}

void
seed_plain_forget (SeedPlain *plain)
{
  g_atomic_int_set (&plain->forget, TRUE);
}

/* NULL: caps that are no video */
static Known *
look_up (SeedPlain *plain, GstPad *src, GstCaps *caps)
{
  g_autoptr (GstQuery) query = NULL;
  Known fresh = { 0 };

  if (g_atomic_int_compare_and_exchange (&plain->forget, TRUE, FALSE) ||
      plain->known->len == MAX_KNOWN)
    g_array_set_size (plain->known, 0);
  for (guint i = 0; i < plain->known->len; i++) {
    Known *known = &g_array_index (plain->known, Known, i);

    if (known->caps == caps || gst_caps_is_equal (known->caps, caps))
      return known;
  }
  if (!gst_video_info_from_caps (&fresh.info, caps))
    return NULL;
  query = gst_query_new_allocation (caps, FALSE);
  fresh.reads_meta = gst_pad_peer_query (src, query) &&
                     gst_query_find_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
  fresh.caps = gst_caps_ref (caps);
  g_array_append_val (plain->known, fresh);
  return &g_array_index (plain->known, Known, plain->known->len - 1);
}

static gboolean
is_plain (const GstVideoInfo *info, GstBuffer *buffer)
{
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);

  if (!meta)
    return TRUE;
  for (guint i = 0; i < meta->n_planes; i++) {
    if (meta->stride[i] != info->stride[i] || meta->offset[i] != info->offset[i])
      return FALSE;
  }
  return TRUE;
}

static GstBuffer *
acquire (Known *known)
{
  GstBuffer *buffer = NULL;

  if (!known->pool) {
    GstStructure *config;

    known->pool = gst_video_buffer_pool_new ();
    config = gst_buffer_pool_get_config (known->pool);
    gst_buffer_pool_config_set_params (config, known->caps, (guint) known->info.size, 0, 0);
    gst_buffer_pool_set_config (known->pool, config);
    gst_buffer_pool_set_active (known->pool, TRUE);
  }
  gst_buffer_pool_acquire_buffer (known->pool, &buffer, NULL);
  return buffer;
}

static GstBuffer *
copy_plain (Known *known, GstBuffer *buffer)
{
  GstVideoFrame from, to;
  GstBuffer *copy = acquire (known);
  gboolean ok = FALSE;

  if (copy && gst_video_frame_map (&from, &known->info, buffer, GST_MAP_READ)) {
    if (gst_video_frame_map (&to, &known->info, copy, GST_MAP_WRITE)) {
      ok = gst_video_frame_copy (&to, &from);
      gst_video_frame_unmap (&to);
    }
    gst_video_frame_unmap (&from);
  }
  if (ok) {
    gst_buffer_copy_into (copy, buffer, GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
    seed_buffer_copy_stream_metas (copy, buffer);
  } else {
    gst_clear_buffer (&copy);
  }
  gst_buffer_unref (buffer);
  return copy;
}

GstBuffer *
seed_plain_make (SeedPlain *plain, GstPad *src, GstCaps *caps, GstBuffer *buffer)
{
  Known *known = look_up (plain, src, caps);

  if (!known || known->reads_meta || is_plain (&known->info, buffer))
    return buffer;
  return copy_plain (known, buffer);
}
