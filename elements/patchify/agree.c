/* SPDX-License-Identifier: MIT */
#include "patchify/seedpatchify.h"

GST_DEBUG_CATEGORY_EXTERN (seed_patchify_debug);
#define GST_CAT_DEFAULT seed_patchify_debug

#define FALLBACK_IMAGE_SIZE 224
#define FALLBACK_PATCH_SIZE 16
/* Of the pad template; a property may be 0, so its own range cannot say it. */
#define MIN_IMAGE_SIZE 8
#define MIN_PATCH_SIZE 4

/* A buffer's size is a guint in pools, and a batch of this size is a mistake. */
#define MAX_BATCH_BYTES ((gsize) 2 << 30)
#define BUFFER_ALIGN 63 /* a mask */

static const char *const interpolation_names[] = { NULL, "bilinear", "bicubic" };

GstCaps *
seed_patchify_possible_caps (SeedPatchify *self)
{
  SeedPatchifySettings s = seed_patchify_settings (self);
  GstCaps *caps = gst_caps_make_writable (gst_pad_get_pad_template_caps (self->srcpad));

  gst_caps_set_simple (
      caps, "views", G_TYPE_INT, (int) s.views, "batch", G_TYPE_INT, (int) s.batch, NULL);
  if (s.image_size > 0)
    gst_caps_set_simple (caps, "image-size", G_TYPE_INT, (int) s.image_size, NULL);
  if (s.patch_size > 0)
    gst_caps_set_simple (caps, "patch-size", G_TYPE_INT, (int) s.patch_size, NULL);
  if (s.fit != SEED_PATCHIFY_FIT_AUTO)
    gst_caps_set_simple (caps, "fit", G_TYPE_STRING,
        seed_fit_name ((SeedFit) (s.fit - SEED_PATCHIFY_FIT_SQUASH)), NULL);
  if (s.interpolation != SEED_PATCHIFY_INTERPOLATION_AUTO)
    gst_caps_set_simple (
        caps, "interpolation", G_TYPE_STRING, interpolation_names[s.interpolation], NULL);
  return caps;
}

/*
 * Random crops take the place of what models want to see of a frame, and consumers that each have
 * an instance must be shown the same crops: they are of the whole frame wherever nothing insists on
 * another fit.
 */
static GstCaps *
prefer_whole_frame (SeedPatchify *self, GstCaps *caps)
{
  SeedPatchifySettings settings = seed_patchify_settings (self);
  g_autoptr (GstCaps) squash = NULL;

  if (!settings.augment)
    return caps;
  squash = gst_caps_new_simple (SEED_CAPS_PATCHES, "fit", G_TYPE_STRING, "squash", NULL);
  if (settings.fit == SEED_PATCHIFY_FIT_AUTO && gst_caps_can_intersect (caps, squash)) {
    GstCaps *whole = gst_caps_intersect_full (caps, squash, GST_CAPS_INTERSECT_FIRST);

    gst_caps_unref (caps);
    caps = whole;
  }
  caps = gst_caps_make_writable (gst_caps_truncate (caps));
  gst_structure_remove_fields (gst_caps_get_structure (caps, 0), "resize-size", "crop-size", NULL);
  return caps;
}

static GstCaps *
fixate (GstCaps *caps)
{
  GstStructure *s;

  caps = gst_caps_make_writable (gst_caps_truncate (caps));
  s = gst_caps_get_structure (caps, 0);
  gst_structure_fixate_field_nearest_int (s, "patch-size", FALLBACK_PATCH_SIZE);
  gst_structure_fixate_field_nearest_int (s, "image-size", FALLBACK_IMAGE_SIZE);
  gst_structure_fixate_field_string (s, "fit", "squash");
  gst_structure_fixate_field_string (s, "interpolation", "bilinear");
  if (gst_structure_has_field (s, "crop-size"))
    gst_structure_fixate_field_nearest_int (s, "crop-size", 0);
  if (gst_structure_has_field (s, "resize-size"))
    gst_structure_fixate_field_nearest_int (s, "resize-size", 0);
  return gst_caps_fixate (caps);
}

/* NULL, with the error posted, when there is nothing both sides can do. */
static GstCaps *
common_caps (SeedPatchify *self)
{
  g_autoptr (GstCaps) possible = seed_patchify_possible_caps (self);
  g_autoptr (GstCaps) common = gst_pad_peer_query_caps (self->srcpad, possible);
  g_autoptr (GstCaps) wanted = NULL;

  if (!gst_caps_is_empty (common))
    return fixate (prefer_whole_frame (self, g_steal_pointer (&common)));
  if (GST_PAD_IS_FLUSHING (self->srcpad))
    return NULL;
  wanted = gst_pad_peer_query_caps (self->srcpad, NULL);
  {
    g_autofree char *ours = gst_caps_to_string (possible);
    g_autofree char *theirs = gst_caps_to_string (wanted);

    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("Stage %s: its properties and what follows do not fit: it can make \"%s\", downstream "
         "takes \"%s\"; change views, batch, image-size, patch-size, fit or interpolation",
            GST_OBJECT_NAME (self), ours, theirs),
        (NULL));
  }
  return NULL;
}

static gboolean
check_geometry (SeedPatchify *self, GstCaps *caps, SeedPatchesInfo *info)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  int image_size = 0, patch_size = 0;

  gst_structure_get_int (s, "image-size", &image_size);
  gst_structure_get_int (s, "patch-size", &patch_size);
  if (image_size < MIN_IMAGE_SIZE || patch_size < MIN_PATCH_SIZE) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("Stage %s: image-size %d or patch-size %d is too small; the least are %d and %d",
            GST_OBJECT_NAME (self), image_size, patch_size, MIN_IMAGE_SIZE, MIN_PATCH_SIZE),
        (NULL));
    return FALSE;
  }
  if (image_size % patch_size != 0) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("Stage %s: image-size %d is not divisible by patch-size %d; set one of them to fit the "
         "other",
            GST_OBJECT_NAME (self), image_size, patch_size),
        (NULL));
    return FALSE;
  }
  if (!seed_patches_info_from_caps (info, caps)) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("Stage %s: downstream asks for words that cannot be made", GST_OBJECT_NAME (self)),
        ("caps %" GST_PTR_FORMAT, caps));
    return FALSE;
  }
  if (seed_patches_info_item_size (info) > MAX_BATCH_BYTES / info->batch) {
    GST_ELEMENT_ERROR (self, RESOURCE, NO_SPACE_LEFT,
        ("Stage %s: a batch of %u x %u views of %u x %u pixels takes more than %" G_GSIZE_FORMAT
         " MiB; make batch smaller",
            GST_OBJECT_NAME (self), info->batch, info->views, info->image_size, info->image_size,
            MAX_BATCH_BYTES >> 20),
        (NULL));
    return FALSE;
  }
  return TRUE;
}

static gboolean
start_pool (SeedPatchify *self, GstCaps *caps)
{
  GstAllocationParams params = { .align = BUFFER_ALIGN };
  guint size = (guint) (seed_patches_info_item_size (&self->info) * self->info.batch);
  GstStructure *config;

  self->pool = gst_buffer_pool_new ();
  config = gst_buffer_pool_get_config (self->pool);
  gst_buffer_pool_config_set_params (config, caps, size, 0, 0);
  gst_buffer_pool_config_set_allocator (config, NULL, &params);
  if (gst_buffer_pool_set_config (self->pool, config) &&
      gst_buffer_pool_set_active (self->pool, TRUE))
    return TRUE;
  GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
      ("Stage %s: cannot start a pool of buffers of %u bytes", GST_OBJECT_NAME (self), size),
      (NULL));
  return FALSE;
}

void
seed_patchify_forget_geometry (SeedPatchify *self)
{
  if (self->pool)
    gst_buffer_pool_set_active (self->pool, FALSE);
  gst_clear_object (&self->pool);
  g_clear_pointer (&self->cutter, seed_cutter_free);
  g_clear_pointer (&self->cuts, g_free);
  g_clear_pointer (&self->augments, g_free);
  GST_OBJECT_LOCK (self);
  self->stats.image_size = self->stats.patch_size = 0;
  GST_OBJECT_UNLOCK (self);
}

static gboolean
adopt_geometry (SeedPatchify *self, const SeedPatchesInfo *info, GstCaps *caps)
{
  SeedFilter filter =
      g_str_equal (info->interpolation, "bicubic") ? SEED_FILTER_BICUBIC : SEED_FILTER_BILINEAR;

  seed_patchify_forget_geometry (self);
  self->info = *info;
  if (!seed_fit_from_name (info->fit, &self->fit) || !start_pool (self, caps))
    return FALSE;
  self->cutter = seed_cutter_new (info->image_size, info->patch_size, filter, info->views);
  self->cuts = g_new0 (SeedCut, info->views);
  self->augments = g_new0 (SeedAugment, info->views);
  GST_OBJECT_LOCK (self);
  self->stats.image_size = info->image_size;
  self->stats.patch_size = info->patch_size;
  GST_OBJECT_UNLOCK (self);
  GST_INFO_OBJECT (self, "geometry %" GST_PTR_FORMAT, caps);
  return gst_pad_push_event (self->srcpad, gst_event_new_caps (caps));
}

/* What is held belongs to the old geometry: goes out in it if downstream still takes that. */
static GstFlowReturn
settle_batch (SeedPatchify *self, GstCaps *old)
{
  if (self->n_items == 0)
    return GST_FLOW_OK;
  if (gst_pad_peer_query_accept_caps (self->srcpad, old))
    return seed_patchify_batch_push (self);
  GST_WARNING_OBJECT (self, "dropping %u frames: downstream wants another geometry", self->n_items);
  seed_patchify_batch_drop (self);
  return GST_FLOW_OK;
}

static GstFlowReturn
agree (SeedPatchify *self)
{
  g_autoptr (GstCaps) caps = common_caps (self), old = NULL;
  SeedPatchesInfo info;
  GstFlowReturn ret;

  if (!caps || !check_geometry (self, caps, &info))
    return GST_FLOW_NOT_NEGOTIATED;
  old = gst_pad_get_current_caps (self->srcpad);
  if (self->cutter && old && gst_caps_is_equal (caps, old))
    return GST_FLOW_OK;
  if (old) {
    ret = settle_batch (self, old);
    if (ret != GST_FLOW_OK)
      return ret;
  }
  return adopt_geometry (self, &info, caps) ? GST_FLOW_OK : GST_FLOW_NOT_NEGOTIATED;
}

GstFlowReturn
seed_patchify_negotiate (SeedPatchify *self)
{
  GstFlowReturn ret;

  if (!gst_pad_check_reconfigure (self->srcpad) && self->cutter)
    return GST_FLOW_OK;
  ret = agree (self);
  if (ret == GST_FLOW_OK)
    return ret;
  gst_pad_mark_reconfigure (self->srcpad);
  return GST_PAD_IS_FLUSHING (self->srcpad) ? GST_FLOW_FLUSHING : ret;
}
