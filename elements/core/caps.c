/* SPDX-License-Identifier: MIT */
#include "core/caps.h"

static gboolean
get_uint (const GstStructure *s, const char *field, guint *value)
{
  int v;

  if (!gst_structure_get_int (s, field, &v) || v < 0)
    return FALSE;
  *value = (guint) v;
  return TRUE;
}

static gboolean
get_interned (const GstStructure *s, const char *field, const char **value)
{
  *value = g_intern_string (gst_structure_get_string (s, field));
  return *value != NULL;
}

static const GstStructure *
fixed_structure (const GstCaps *caps, const char *media_type)
{
  const GstStructure *s;

  if (!caps || !gst_caps_is_fixed (caps))
    return NULL;
  s = gst_caps_get_structure (caps, 0);
  return gst_structure_has_name (s, media_type) ? s : NULL;
}

/* Resize and crop, which caps may leave out. */
static gboolean
get_window (SeedPatchesInfo *info, const GstStructure *s)
{
  info->resize_size = info->crop_size = info->image_size;
  if (gst_structure_has_field (s, "crop-size") && !get_uint (s, "crop-size", &info->crop_size))
    return FALSE;
  info->resize_size = info->crop_size;
  if (gst_structure_has_field (s, "resize-size") &&
      !get_uint (s, "resize-size", &info->resize_size))
    return FALSE;
  return info->image_size <= info->crop_size && info->crop_size <= info->resize_size &&
         info->resize_size <= SEED_PATCHES_MAX_RESIZE;
}

gboolean
seed_patches_info_from_caps (SeedPatchesInfo *info, const GstCaps *caps)
{
  const GstStructure *s = fixed_structure (caps, SEED_CAPS_PATCHES);

  return s && get_uint (s, "image-size", &info->image_size) &&
         get_uint (s, "patch-size", &info->patch_size) && get_uint (s, "views", &info->views) &&
         get_uint (s, "batch", &info->batch) && get_interned (s, "fit", &info->fit) &&
         get_interned (s, "interpolation", &info->interpolation) && info->patch_size > 0 &&
         info->image_size > 0 && info->image_size % info->patch_size == 0 && info->views > 0 &&
         info->batch > 0 && get_window (info, s);
}

GstCaps *
seed_patches_info_to_caps (const SeedPatchesInfo *info)
{
  GstCaps *caps = gst_caps_new_simple (SEED_CAPS_PATCHES, "image-size", G_TYPE_INT,
      (int) info->image_size, "patch-size", G_TYPE_INT, (int) info->patch_size, "views", G_TYPE_INT,
      (int) info->views, "batch", G_TYPE_INT, (int) info->batch, NULL);

  if (info->fit)
    gst_caps_set_simple (caps, "fit", G_TYPE_STRING, info->fit, NULL);
  if (info->interpolation)
    gst_caps_set_simple (caps, "interpolation", G_TYPE_STRING, info->interpolation, NULL);
  if (info->resize_size)
    gst_caps_set_simple (caps, "resize-size", G_TYPE_INT, (int) info->resize_size, NULL);
  if (info->crop_size)
    gst_caps_set_simple (caps, "crop-size", G_TYPE_INT, (int) info->crop_size, NULL);
  return caps;
}

guint
seed_patches_info_n_words (const SeedPatchesInfo *info)
{
  guint side = info->image_size / info->patch_size;

  return side * side;
}

gsize
seed_patches_info_item_size (const SeedPatchesInfo *info)
{
  return (gsize) info->views * 3 * info->image_size * info->image_size;
}

gboolean
seed_features_info_from_caps (SeedFeaturesInfo *info, const GstCaps *caps)
{
  const GstStructure *s = fixed_structure (caps, SEED_CAPS_FEATURES);

  return s && get_uint (s, "summary-dim", &info->summary_dim) &&
         get_uint (s, "token-dim", &info->token_dim) && get_uint (s, "grid", &info->grid) &&
         get_uint (s, "views", &info->views) && get_uint (s, "batch", &info->batch) &&
         get_interned (s, "space", &info->space) && get_interned (s, "node", &info->node) &&
         info->summary_dim > 0 && info->views > 0 && info->batch > 0;
}

GstCaps *
seed_features_info_to_caps (const SeedFeaturesInfo *info)
{
  return gst_caps_new_simple (SEED_CAPS_FEATURES, "summary-dim", G_TYPE_INT,
      (int) info->summary_dim, "token-dim", G_TYPE_INT, (int) info->token_dim, "grid", G_TYPE_INT,
      (int) info->grid, "views", G_TYPE_INT, (int) info->views, "batch", G_TYPE_INT,
      (int) info->batch, "space", G_TYPE_STRING, info->space, "node", G_TYPE_STRING, info->node,
      NULL);
}
