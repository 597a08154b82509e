/* SPDX-License-Identifier: MIT */
#include "patchify/input.h"

/* Above this, video without colorimetry is taken for HD; GStreamer's own rule. */
#define SD_MAX_HEIGHT 576

static void
colour_from_info (SeedColour *colour, const GstVideoInfo *info)
{
  GstVideoColorimetry c = info->colorimetry;
  gboolean yuv = GST_VIDEO_INFO_IS_YUV (info), full;
  double kr, kb;

  if (c.range == GST_VIDEO_COLOR_RANGE_UNKNOWN)
    full = !yuv;
  else
    full = c.range == GST_VIDEO_COLOR_RANGE_0_255;
  if (!gst_video_color_matrix_get_Kr_Kb (c.matrix, &kr, &kb))
    gst_video_color_matrix_get_Kr_Kb (
        info->height > SD_MAX_HEIGHT ? GST_VIDEO_COLOR_MATRIX_BT709 : GST_VIDEO_COLOR_MATRIX_BT601,
        &kr, &kb);
  seed_colour_init (colour, kr, kb, full);
}

/* Chroma without a siting is taken for MPEG-2's: on the luma columns, between the luma rows. */
static void
siting_from_info (SeedFrame *frame, const GstVideoInfo *info)
{
  GstVideoChromaSite site = info->chroma_site;

  if (site == GST_VIDEO_CHROMA_SITE_UNKNOWN)
    site = GST_VIDEO_CHROMA_SITE_MPEG2;
  frame->cosited_x = (site & GST_VIDEO_CHROMA_SITE_H_COSITED) != 0;
  frame->cosited_y = (site & GST_VIDEO_CHROMA_SITE_V_COSITED) != 0;
}

static gboolean
input_init (SeedInput *input, GstCaps *caps)
{
  const GstVideoInfo *info = &input->info;
  SeedFrame *frame = &input->frame;

  if (!gst_video_info_from_caps (&input->info, caps))
    return FALSE;
  *frame = (SeedFrame){ .width = (guint) info->width, .height = (guint) info->height };
  input->pixel_aspect =
      info->par_n > 0 && info->par_d > 0 ? (double) info->par_n / info->par_d : 1.0;
  colour_from_info (&frame->colour, info);
  if (GST_VIDEO_INFO_IS_GRAY (info)) {
    frame->pixels = SEED_PIXELS_GREY;
  } else if (GST_VIDEO_INFO_IS_YUV (info)) {
    frame->pixels = SEED_PIXELS_YUV;
    frame->sub_x = (guint) GST_VIDEO_FORMAT_INFO_W_SUB (info->finfo, 1);
    frame->sub_y = (guint) GST_VIDEO_FORMAT_INFO_H_SUB (info->finfo, 1);
    siting_from_info (frame, info);
  } else {
    frame->pixels = SEED_PIXELS_RGB;
  }
  return TRUE;
}

const SeedInput *
seed_input_cache_get (SeedInputCache *cache, GstCaps *caps)
{
  SeedInput *input;

  for (guint i = 0; i < SEED_INPUT_CACHE; i++)
    if (cache->entry[i].caps == caps)
      return &cache->entry[i];
  input = &cache->entry[cache->next];
  gst_caps_replace (&input->caps, NULL);
  if (!input_init (input, caps))
    return NULL;
  gst_caps_replace (&input->caps, caps);
  cache->next = (cache->next + 1) % SEED_INPUT_CACHE;
  return input;
}

void
seed_input_cache_clear (SeedInputCache *cache)
{
  for (guint i = 0; i < SEED_INPUT_CACHE; i++)
    gst_caps_replace (&cache->entry[i].caps, NULL);
  cache->next = 0;
}

/* Does the last row of component @c end inside what is mapped? A GstVideoMeta may claim anything.
 */
static gboolean
component_fits (const GstVideoFrame *map, guint c)
{
  guint plane = (guint) GST_VIDEO_FORMAT_INFO_PLANE (map->info.finfo, c);
  const guint8 *data = GST_VIDEO_FRAME_PLANE_DATA (map, plane);
  gint64 stride = GST_VIDEO_FRAME_PLANE_STRIDE (map, plane);
  gint64 row = (gint64) GST_VIDEO_FRAME_COMP_WIDTH (map, c) * GST_VIDEO_FRAME_COMP_PSTRIDE (map, c);
  gint64 end = stride * (GST_VIDEO_FRAME_COMP_HEIGHT (map, c) - 1) + row;

  if (stride < row)
    return FALSE;
  for (guint i = 0; i < GST_VIDEO_MAX_PLANES; i++) {
    const GstMapInfo *m = &map->map[i];

    if (m->data && data >= m->data && data < m->data + m->size)
      return end <= (gint64) (m->data + m->size - data);
  }
  return FALSE;
}

gboolean
seed_input_map (const SeedInput *input, GstBuffer *buffer, GstVideoFrame *map, SeedFrame *frame,
    const char **reason)
{
  const GstVideoInfo *info = &input->info;
  GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);

  *reason = "its video meta is of another size or format than the caps";
  if (meta && (meta->format != GST_VIDEO_INFO_FORMAT (info) || meta->width != (guint) info->width ||
                  meta->height != (guint) info->height))
    return FALSE;
  *reason = "its memory is smaller than the caps say or cannot be mapped";
  if (!meta && gst_buffer_get_size (buffer) < info->size)
    return FALSE;
  if (!gst_video_frame_map (map, info, buffer, GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF))
    return FALSE;
  *frame = input->frame;
  for (guint c = 0; c < (frame->pixels == SEED_PIXELS_GREY ? 1 : 3); c++) {
    if (!component_fits (map, c)) {
      gst_video_frame_unmap (map);
      return FALSE;
    }
    frame->component[c] = (SeedComponent){ .data = GST_VIDEO_FRAME_COMP_DATA (map, c),
      .stride = GST_VIDEO_FRAME_COMP_STRIDE (map, c),
      .step = (guint) GST_VIDEO_FRAME_COMP_PSTRIDE (map, c) };
  }
  return TRUE;
}
