/* SPDX-License-Identifier: MIT */
#include "source/imagecache.h"

/* What a picture takes besides its bytes: the buffer, its memory and their allocations. */
#define OVERHEAD 768

typedef struct {
  GstBuffer *frame;
  GstVideoInfo *info; /* in infos */
} Kept;

struct _SeedImageCache {
  GMutex lock;
  GHashTable *kept;  /* index -> Kept */
  GHashTable *infos; /* the different GstVideoInfo; most pictures share one */
  guint64 bytes, max_bytes;
};

static guint
info_hash (gconstpointer key)
{
  const GstVideoInfo *info = key;

  return (guint) info->width * 31u + (guint) info->height + (guint) info->finfo->format * 65537u;
}

static gboolean
info_equal (gconstpointer a, gconstpointer b)
{
  return gst_video_info_is_equal (a, b);
}

static void
kept_free (gpointer data)
{
  Kept *kept = data;

  gst_buffer_unref (kept->frame);
  g_free (kept);
}

SeedImageCache *
seed_image_cache_new (guint64 max_bytes)
{
  SeedImageCache *cache = g_new0 (SeedImageCache, 1);

  g_mutex_init (&cache->lock);
  cache->max_bytes = max_bytes;
  cache->kept = g_hash_table_new_full (NULL, NULL, NULL, kept_free);
  cache->infos =
      g_hash_table_new_full (info_hash, info_equal, (GDestroyNotify) gst_video_info_free, NULL);
  return cache;
}

void
seed_image_cache_free (SeedImageCache *cache)
{
  if (!cache)
    return;
  g_hash_table_unref (cache->kept);
  g_hash_table_unref (cache->infos);
  g_mutex_clear (&cache->lock);
  g_free (cache);
}

GstBuffer *
seed_image_cache_get (SeedImageCache *cache, guint image, GstVideoInfo *info)
{
  GstBuffer *frame = NULL;
  Kept *kept;

  g_mutex_lock (&cache->lock);
  kept = g_hash_table_lookup (cache->kept, GUINT_TO_POINTER (image));
  if (kept) {
    frame = gst_buffer_copy (kept->frame);
    *info = *kept->info;
  }
  g_mutex_unlock (&cache->lock);
  return frame;
}

/* A copy of the rows alone, in the plain layout of @info: decoders' buffers belong to their pools.
 */
static GstBuffer *
copy_picture (GstBuffer *frame, const GstVideoInfo *info)
{
  g_autoptr (GstBuffer) copy = gst_buffer_new_allocate (NULL, info->size, NULL);
  GstVideoFrame from, to;
  gboolean ok = FALSE;

  if (!copy || !gst_video_frame_map (&from, info, frame, GST_MAP_READ))
    return NULL;
  if (gst_video_frame_map (&to, info, copy, GST_MAP_WRITE)) {
    ok = gst_video_frame_copy (&to, &from);
    gst_video_frame_unmap (&to);
  }
  gst_video_frame_unmap (&from);
  return ok ? g_steal_pointer (&copy) : NULL;
}

/* Room is taken before the copy is made, so that many threads together keep to the limit. */
static gboolean
reserve (SeedImageCache *cache, guint image, guint64 size)
{
  gboolean ok;

  g_mutex_lock (&cache->lock);
  ok = cache->bytes + size <= cache->max_bytes &&
       !g_hash_table_contains (cache->kept, GUINT_TO_POINTER (image));
  if (ok)
    cache->bytes += size;
  g_mutex_unlock (&cache->lock);
  return ok;
}

static void
keep (SeedImageCache *cache, guint image, GstBuffer *copy, const GstVideoInfo *its)
{
  GstVideoInfo *info = g_hash_table_lookup (cache->infos, its);
  Kept *kept = g_new (Kept, 1);

  if (!info) {
    info = gst_video_info_copy (its);
    g_hash_table_add (cache->infos, info);
  }
  *kept = (Kept){ copy, info };
  g_hash_table_replace (cache->kept, GUINT_TO_POINTER (image), kept);
}

void
seed_image_cache_put (
    SeedImageCache *cache, guint image, GstBuffer *frame, const GstVideoInfo *info)
{
  guint64 size = info->size + OVERHEAD;
  GstBuffer *copy;

  if (!reserve (cache, image, size))
    return;
  copy = copy_picture (frame, info);
  g_mutex_lock (&cache->lock);
  if (copy && !g_hash_table_contains (cache->kept, GUINT_TO_POINTER (image))) {
    keep (cache, image, g_steal_pointer (&copy), info);
  } else {
    cache->bytes -= size;
  }
  g_mutex_unlock (&cache->lock);
  gst_clear_buffer (&copy);
}

void
seed_image_cache_clear (SeedImageCache *cache)
{
  g_mutex_lock (&cache->lock);
  g_hash_table_remove_all (cache->kept);
  g_hash_table_remove_all (cache->infos);
  cache->bytes = 0;
  g_mutex_unlock (&cache->lock);
}

guint64
seed_image_cache_bytes (SeedImageCache *cache)
{
  guint64 bytes;

  g_mutex_lock (&cache->lock);
  bytes = cache->bytes;
  g_mutex_unlock (&cache->lock);
  return bytes;
}

guint
seed_image_cache_n_images (SeedImageCache *cache)
{
  guint n;

  g_mutex_lock (&cache->lock);
  n = g_hash_table_size (cache->kept);
  g_mutex_unlock (&cache->lock);
  return n;
}
