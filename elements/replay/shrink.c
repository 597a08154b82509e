/* SPDX-License-Identifier: MIT */
#include "replay/shrink.h"

#include <seed/error.h>

#define CACHE 16

struct _SeedShrink {
  guint max_size;
  SeedShrinkFormat *entry[CACHE];
  guint next;
};

static void
format_free (SeedShrinkFormat *format)
{
  if (!format)
    return;
  gst_clear_caps (&format->caps);
  g_clear_pointer (&format->format, g_ref_string_release);
  g_clear_pointer (&format->converter, gst_video_converter_free);
  g_free (format);
}

SeedShrink *
seed_shrink_new (guint max_size)
{
  SeedShrink *shrink = g_new0 (SeedShrink, 1);

  shrink->max_size = max_size;
  return shrink;
}

void
seed_shrink_free (SeedShrink *shrink)
{
  if (!shrink)
    return;
  for (guint i = 0; i < CACHE; i++)
    format_free (shrink->entry[i]);
  g_free (shrink);
}

/* Even, for the sake of subsampled chroma, unless the side is 1 pixel. */
static guint
shrunk_side (guint side, guint longer, guint max_size)
{
  guint n = (guint) (((guint64) side * max_size + longer / 2) / longer);

  return CLAMP (n & ~1u, MIN (side, 2u), side);
}

static void
describe_kept (const SeedShrink *shrink, const GstVideoInfo *in, GstVideoInfo *kept)
{
  guint width = (guint) in->width, height = (guint) in->height, longer = MAX (width, height);

  if (shrink->max_size > 0 && longer > shrink->max_size) {
    width = shrunk_side (width, longer, shrink->max_size);
    height = shrunk_side (height, longer, shrink->max_size);
  }
  gst_video_info_set_format (kept, GST_VIDEO_INFO_FORMAT (in), width, height);
  kept->colorimetry = in->colorimetry;
  kept->chroma_site = in->chroma_site;
  kept->par_n = in->par_n;
  kept->par_d = in->par_d;
  kept->fps_n = in->fps_n;
  kept->fps_d = in->fps_d;
}

/* Frames of interlaced video are taken as they are. */
static GstVideoConverter *
new_converter (const GstVideoInfo *in, const GstVideoInfo *kept)
{
  GstVideoInfo from = *in, to = *kept;
  GstStructure *config = gst_structure_new ("config", GST_VIDEO_CONVERTER_OPT_RESAMPLER_METHOD,
      GST_TYPE_VIDEO_RESAMPLER_METHOD, GST_VIDEO_RESAMPLER_METHOD_LINEAR,
      GST_VIDEO_CONVERTER_OPT_DITHER_METHOD, GST_TYPE_VIDEO_DITHER_METHOD, GST_VIDEO_DITHER_NONE,
      GST_VIDEO_CONVERTER_OPT_THREADS, G_TYPE_UINT, 1, NULL);

  GST_VIDEO_INFO_INTERLACE_MODE (&from) = GST_VIDEO_INTERLACE_MODE_PROGRESSIVE;
  return gst_video_converter_new (&from, &to, config);
}

static char *
caps_text (const GstVideoInfo *info)
{
  g_autoptr (GstCaps) caps = gst_video_info_to_caps (info);
  g_autofree char *text = gst_caps_to_string (caps);

  return g_ref_string_new_intern (text);
}

static gboolean
is_of_template (GstCaps *caps)
{
  static GstStaticCaps template = GST_STATIC_CAPS (SEED_REPLAY_CAPS);
  g_autoptr (GstCaps) all = gst_static_caps_get (&template);

  return gst_caps_is_fixed (caps) && gst_caps_can_intersect (caps, all);
}

static SeedShrinkFormat *
format_new (const SeedShrink *shrink, GstCaps *caps)
{
  SeedShrinkFormat *format;
  GstVideoInfo in;

  if (!is_of_template (caps) || !gst_video_info_from_caps (&in, caps))
    return NULL;
  format = g_new0 (SeedShrinkFormat, 1);
  format->caps = gst_caps_ref (caps);
  format->in = in;
  describe_kept (shrink, &in, &format->kept);
  format->format = caps_text (&format->kept);
  if (format->kept.width == in.width && format->kept.height == in.height)
    return format;
  format->converter = new_converter (&in, &format->kept);
  if (!format->converter)
    g_clear_pointer (&format, format_free);
  return format;
}

const SeedShrinkFormat *
seed_shrink_format (SeedShrink *shrink, GstCaps *caps)
{
  SeedShrinkFormat **entry = &shrink->entry[shrink->next], *made;

  for (guint i = 0; i < CACHE; i++) {
    if (shrink->entry[i] && gst_caps_is_equal (shrink->entry[i]->caps, caps))
      return shrink->entry[i];
  }
  made = format_new (shrink, caps);
  if (!made)
    return NULL;
  format_free (*entry);
  *entry = made;
  shrink->next = (shrink->next + 1) % CACHE;
  return made;
}

/* Does the last row of every component end inside what is mapped? A GstVideoMeta may claim
 * anything. */
static gboolean
planes_fit (const GstVideoFrame *map)
{
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS (map); c++) {
    guint plane = (guint) GST_VIDEO_FORMAT_INFO_PLANE (map->info.finfo, c);
    const guint8 *data = GST_VIDEO_FRAME_PLANE_DATA (map, plane);
    gint64 stride = GST_VIDEO_FRAME_PLANE_STRIDE (map, plane);
    gint64 row =
        (gint64) GST_VIDEO_FRAME_COMP_WIDTH (map, c) * GST_VIDEO_FRAME_COMP_PSTRIDE (map, c);
    gint64 end = stride * (GST_VIDEO_FRAME_COMP_HEIGHT (map, c) - 1) + row;
    gboolean inside = FALSE;

    for (guint i = 0; i < GST_VIDEO_MAX_PLANES && !inside; i++) {
      const GstMapInfo *m = &map->map[i];

      inside = m->data && data >= m->data && data < m->data + m->size &&
               end <= (gint64) (m->data + m->size - data);
    }
    if (!inside || stride < row)
      return FALSE;
  }
  return TRUE;
}

gboolean
seed_shrink_map (const SeedShrinkFormat *format, GstBuffer *buffer, GstVideoFrame *map)
{
  const GstVideoInfo *info = &format->in;
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);

  if (meta && (meta->format != GST_VIDEO_INFO_FORMAT (info) || meta->width != (guint) info->width ||
                  meta->height != (guint) info->height))
    return FALSE;
  if ((!meta && gst_buffer_get_size (buffer) < info->size) ||
      !gst_video_frame_map (map, info, buffer, GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF))
    return FALSE;
  if (planes_fit (map))
    return TRUE;
  gst_video_frame_unmap (map);
  return FALSE;
}

void
seed_shrink_signature (const GstVideoFrame *map, SeedSignature *signature)
{
  SeedLuma luma = { .width = (guint) GST_VIDEO_FRAME_WIDTH (map),
    .height = (guint) GST_VIDEO_FRAME_HEIGHT (map),
    .n_components = GST_VIDEO_INFO_IS_RGB (&map->info) ? 3 : 1 };

  for (guint c = 0; c < luma.n_components; c++) {
    luma.data[c] = GST_VIDEO_FRAME_COMP_DATA (map, c);
    luma.stride[c] = GST_VIDEO_FRAME_COMP_STRIDE (map, c);
    luma.step[c] = GST_VIDEO_FRAME_COMP_PSTRIDE (map, c);
  }
  seed_signature_of_luma (signature, &luma);
}

GBytes *
seed_shrink_take (const SeedShrinkFormat *format, GstVideoFrame *map)
{
  gsize size = format->kept.size;
  guint8 *pixels = g_try_malloc0 (size); /* the padding of rows is zero, too */
  g_autoptr (GstBuffer) buffer = NULL;
  GstVideoFrame out;

  if (!pixels)
    return NULL;
  buffer = gst_buffer_new_wrapped_full (0, pixels, size, 0, size, NULL, NULL);
  if (!gst_video_frame_map (&out, &format->kept, buffer, GST_MAP_WRITE)) {
    g_free (pixels);
    return NULL;
  }
  if (format->converter)
    gst_video_converter_frame (format->converter, map, &out);
  else
    gst_video_frame_copy (&out, map);
  gst_video_frame_unmap (&out);
  return g_bytes_new_take (pixels, size);
}

GstCaps *
seed_shrink_parse (const char *format, gsize n_bytes, GError **error)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (format);
  GstVideoInfo info;

  if (!caps || !is_of_template (caps) || !gst_video_info_from_caps (&info, caps)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "the format of a frame, \"%s\", is not video", format);
    return NULL;
  }
  if (info.size != n_bytes) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "a frame of %" G_GSIZE_FORMAT " bytes, but %s has %" G_GSIZE_FORMAT, n_bytes, format,
        info.size);
    return NULL;
  }
  return g_steal_pointer (&caps);
}
