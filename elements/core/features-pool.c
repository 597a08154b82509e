/* SPDX-License-Identifier: MIT */
#include "core/features-pool.h"

typedef struct {
  GstBufferPool parent;
  gsize summary_size, tokens_size; /* of a full batch */
} SeedFeaturesPool;

typedef struct {
  GstBufferPoolClass parent_class;
} SeedFeaturesPoolClass;

static GType seed_features_pool_get_type (void);
G_DEFINE_TYPE (SeedFeaturesPool, seed_features_pool, GST_TYPE_BUFFER_POOL)

static gsize
item_summary_size (const SeedFeaturesInfo *info)
{
  return (gsize) info->views * info->summary_dim * sizeof (float);
}

static gsize
item_tokens_size (const SeedFeaturesInfo *info)
{
  return (gsize) info->views * info->grid * info->grid * info->token_dim * sizeof (float);
}

static GstFlowReturn
features_pool_alloc (GstBufferPool *pool, GstBuffer **buffer, GstBufferPoolAcquireParams *params)
{
  SeedFeaturesPool *self = (SeedFeaturesPool *) pool;
  GstAllocationParams aligned = { .align = 63 };

  *buffer = gst_buffer_new ();
  gst_buffer_append_memory (*buffer, gst_allocator_alloc (NULL, self->summary_size, &aligned));
  if (self->tokens_size)
    gst_buffer_append_memory (*buffer, gst_allocator_alloc (NULL, self->tokens_size, &aligned));
  return GST_FLOW_OK;
}

static void
features_pool_reset (GstBufferPool *pool, GstBuffer *buffer)
{
  SeedFeaturesPool *self = (SeedFeaturesPool *) pool;

  for (guint i = 0; i < gst_buffer_n_memory (buffer); i++)
    gst_memory_resize (
        gst_buffer_peek_memory (buffer, i), 0, i == 0 ? self->summary_size : self->tokens_size);
  GST_BUFFER_FLAG_UNSET (buffer, GST_BUFFER_FLAG_TAG_MEMORY); /* resized, but the pool's own */
  GST_BUFFER_POOL_CLASS (seed_features_pool_parent_class)->reset_buffer (pool, buffer);
}

static void
seed_features_pool_class_init (SeedFeaturesPoolClass *klass)
{
  GST_BUFFER_POOL_CLASS (klass)->alloc_buffer = features_pool_alloc;
  GST_BUFFER_POOL_CLASS (klass)->reset_buffer = features_pool_reset;
}

static void
seed_features_pool_init (SeedFeaturesPool *self)
{
}

GstBufferPool *
seed_features_pool_new (const SeedFeaturesInfo *info, const GstCaps *caps)
{
  SeedFeaturesPool *self = g_object_new (seed_features_pool_get_type (), NULL);
  GstStructure *config;

  gst_object_ref_sink (self);
  self->summary_size = info->batch * item_summary_size (info);
  self->tokens_size = info->batch * item_tokens_size (info);
  config = gst_buffer_pool_get_config (GST_BUFFER_POOL (self));
  gst_buffer_pool_config_set_params (
      config, (GstCaps *) caps, (guint) (self->summary_size + self->tokens_size), 0, 0);
  gst_buffer_pool_set_config (GST_BUFFER_POOL (self), config);
  return GST_BUFFER_POOL (self);
}

gboolean
seed_features_map (SeedFeaturesMap *map, GstBuffer *buffer, GstMapFlags flags)
{
  guint n = gst_buffer_n_memory (buffer);

  map->tokens.data = NULL;
  if (n < 1 || !gst_memory_map (gst_buffer_peek_memory (buffer, 0), &map->summary, flags))
    return FALSE;
  if (n > 1 && !gst_memory_map (gst_buffer_peek_memory (buffer, 1), &map->tokens, flags)) {
    gst_memory_unmap (map->summary.memory, &map->summary);
    return FALSE;
  }
  return TRUE;
}

void
seed_features_unmap (SeedFeaturesMap *map, GstBuffer *buffer)
{
  if (map->tokens.data)
    gst_memory_unmap (map->tokens.memory, &map->tokens);
  gst_memory_unmap (map->summary.memory, &map->summary);
}

void
seed_features_resize (GstBuffer *buffer, const SeedFeaturesInfo *info, guint n_items)
{
  gst_memory_resize (gst_buffer_peek_memory (buffer, 0), 0, n_items * item_summary_size (info));
  if (gst_buffer_n_memory (buffer) > 1)
    gst_memory_resize (gst_buffer_peek_memory (buffer, 1), 0, n_items * item_tokens_size (info));
}
