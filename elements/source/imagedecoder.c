/* SPDX-License-Identifier: MIT */
#include "source/imagedecoder.h"

#include <string.h>

#include <gio/gio.h>
#include <gst/app/gstappsink.h>
#include <gst/base/gsttypefindhelper.h>
#include <seed/error.h>

#define MAX_TAPS 4096 /* of the filter: 6 for each time that the longest side is too long */
#define TIME_LIMIT (10 * GST_SECOND) /* of one image in a decodebin */

/* Decoders that take a whole file as one buffer and answer at once. Files that begin with the magic
 * are of the type; others are looked at by all of GStreamer's type finders, which takes longer than
 * decoding a small picture. */
static const struct {
  const char *type;
  const char *factory;
  const char *magic;
  guint magic_size;
} direct_types[] = {
  { "image/jpeg", "jpegdec", "\xff\xd8\xff", 3 },
  { "image/png", "pngdec", "\x89PNG\r\n\x1a\n", 8 },
  { "image/webp", "webpdec" },
  { "image/bmp", "avdec_bmp" },
  { "image/tiff", "avdec_tiff" },
};

typedef struct {
  GstElement *element;
  GstPad *src, *sink; /* to it and from it; without a parent */
  GstBus *bus;
  GstBuffer *frame; /* what came out */
  GstVideoInfo info;
  GstCaps *type; /* what it was told last */
  gboolean announced, too_large;
} Direct;

struct _SeedImageDecoder {
  Direct *direct[G_N_ELEMENTS (direct_types)];
  gboolean takes_i420, takes_rgb;
  guint max_size;                                    /* 0: any */
  GstCaps *magic_types[G_N_ELEMENTS (direct_types)]; /* for files that are known by their magic */
  GstVideoConverter *converter;
  GstVideoInfo from, to; /* of converter */
};

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("to", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("from", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS ("video/x-raw"));

static GstFlowReturn
direct_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  Direct *direct = pad->chaindata;

  if (direct->frame)
    gst_buffer_unref (buffer);
  else
    direct->frame = buffer;
  return GST_FLOW_OK;
}

static gboolean
direct_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  Direct *direct = pad->eventdata;
  gboolean ok = TRUE;
  GstCaps *caps;

  if (GST_EVENT_TYPE (event) == GST_EVENT_CAPS) {
    gst_event_parse_caps (event, &caps);
    ok = gst_video_info_from_caps (&direct->info, caps);
    direct->too_large = ok && (direct->info.width > SEED_IMAGE_MAX_SIDE ||
                                  direct->info.height > SEED_IMAGE_MAX_SIDE);
    ok = ok && !direct->too_large; /* refused before the decoder makes room for the picture */
  }
  gst_event_unref (event);
  return ok;
}

static void
direct_free (Direct *direct)
{
  if (!direct)
    return;
  gst_pad_set_active (direct->src, FALSE);
  gst_element_set_state (direct->element, GST_STATE_NULL);
  gst_pad_set_active (direct->sink, FALSE);
  gst_clear_object (&direct->src);
  gst_clear_object (&direct->sink);
  gst_clear_object (&direct->element);
  gst_clear_object (&direct->bus);
  gst_clear_buffer (&direct->frame);
  gst_clear_caps (&direct->type);
  g_free (direct);
}

/* TIME means that one buffer is one picture. */
static void
direct_announce (Direct *direct, GstCaps *type)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  if (!direct->announced)
    gst_pad_push_event (direct->src, gst_event_new_stream_start ("images"));
  if (!direct->type || !gst_caps_is_equal (direct->type, type)) {
    gst_caps_replace (&direct->type, type);
    gst_pad_push_event (direct->src, gst_event_new_caps (type));
  }
  if (!direct->announced)
    gst_pad_push_event (direct->src, gst_event_new_segment (&segment));
  direct->announced = TRUE;
}

/* NULL: that element is not installed. */
static Direct *
direct_new (const char *factory)
{
  GstElement *element = gst_element_factory_make (factory, NULL);
  g_autoptr (GstPad) its_sink = NULL, its_src = NULL;
  Direct *direct;

  if (!element)
    return NULL;
  direct = g_new0 (Direct, 1);
  direct->element = gst_object_ref_sink (element);
  if (g_object_class_find_property (G_OBJECT_GET_CLASS (element), "max-threads"))
    g_object_set (element, "max-threads", 1, NULL); /* with more, pictures come out later */
  direct->bus = gst_bus_new ();
  gst_element_set_bus (element, direct->bus);
  direct->src = gst_object_ref_sink (gst_pad_new_from_static_template (&src_template, "to"));
  direct->sink = gst_object_ref_sink (gst_pad_new_from_static_template (&sink_template, "from"));
  gst_pad_set_chain_function_full (direct->sink, direct_chain, direct, NULL);
  gst_pad_set_event_function_full (direct->sink, direct_event, direct, NULL);
  its_sink = gst_element_get_static_pad (element, "sink");
  its_src = gst_element_get_static_pad (element, "src");
  gst_pad_set_active (direct->sink, TRUE);
  if (gst_pad_link_full (direct->src, its_sink, GST_PAD_LINK_CHECK_NOTHING) != GST_PAD_LINK_OK ||
      gst_pad_link_full (its_src, direct->sink, GST_PAD_LINK_CHECK_NOTHING) != GST_PAD_LINK_OK ||
      gst_element_set_state (element, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
    direct_free (direct);
    return NULL;
  }
  gst_pad_set_active (direct->src, TRUE);
  return direct;
}

/* What the decoder had to say, from the first error or warning on @bus. */
static void
set_error_from_bus (GstBus *bus, GError **error)
{
  g_autoptr (GstMessage) message =
      gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
  g_autoptr (GError) reported = NULL;

  if (message && GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &reported, NULL);
  else if (message)
    gst_message_parse_warning (message, &reported, NULL);
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "cannot be decoded%s%s",
      reported ? ": " : " (damaged, cut short, or of a kind its decoder does not know)",
      reported ? reported->message : "");
}

static GstBuffer *
direct_run (Direct *direct, GstCaps *type, GBytes *file, GstVideoInfo *info, GError **error)
{
  GstBuffer *buffer = gst_buffer_new_wrapped_bytes (file);
  GstFlowReturn ret;

  gst_bus_set_flushing (direct->bus, TRUE); /* forget what is not about this image */
  gst_bus_set_flushing (direct->bus, FALSE);
  direct->too_large = FALSE;
  GST_BUFFER_PTS (buffer) = 0;
  direct_announce (direct, type);
  ret = gst_pad_push (direct->src, buffer);
  if (ret == GST_FLOW_OK && direct->frame) {
    *info = direct->info;
    return g_steal_pointer (&direct->frame);
  }
  if (direct->too_large)
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "%dx%d is larger than %d pixels on a side",
        direct->info.width, direct->info.height, SEED_IMAGE_MAX_SIDE);
  else
    set_error_from_bus (direct->bus, error);
  return NULL;
}

/* Waits until a picture is there or cannot be had. */
static GstBuffer *
wait_for_frame (GstElement *pipeline, GstAppSink *sink, GstVideoInfo *info, GError **error)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message =
      gst_bus_timed_pop_filtered (bus, TIME_LIMIT, GST_MESSAGE_ERROR | GST_MESSAGE_ASYNC_DONE);
  g_autoptr (GstSample) sample = NULL;

  if (message && GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    gst_bus_post (bus, g_steal_pointer (&message));
  } else if (message) {
    sample = gst_app_sink_try_pull_preroll (sink, 0);
  }
  if (!sample || !gst_video_info_from_caps (info, gst_sample_get_caps (sample))) {
    set_error_from_bus (bus, error);
    return NULL;
  }
  return gst_buffer_ref (gst_sample_get_buffer (sample));
}

/* Any type that GStreamer knows, at the price of a pipeline for each image. */
static GstBuffer *
decodebin_run (GBytes *file, GstVideoInfo *info, GError **error)
{
  g_autoptr (GInputStream) stream = g_memory_input_stream_new_from_bytes (file);
  g_autoptr (GstElement) pipeline = gst_parse_launch (
      "giostreamsrc name=in ! decodebin ! videoconvert ! "
      "video/x-raw,format=RGB,width=[1,16384],height=[1,16384] ! appsink name=out sync=false",
      NULL);
  g_autoptr (GstElement) in = NULL, out = NULL;
  GstBuffer *frame;

  if (!pipeline) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "needs giostreamsrc, decodebin and videoconvert; install GStreamer's base plugins");
    return NULL;
  }
  in = gst_bin_get_by_name (GST_BIN (pipeline), "in");
  out = gst_bin_get_by_name (GST_BIN (pipeline), "out");
  g_object_set (in, "stream", stream, NULL);
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  frame = wait_for_frame (pipeline, GST_APP_SINK (out), info, error);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return frame;
}

static gboolean
is_taken_as_it_is (SeedImageDecoder *decoder, const GstVideoInfo *info)
{
  switch (GST_VIDEO_INFO_FORMAT (info)) {
  case GST_VIDEO_FORMAT_I420:
    return decoder->takes_i420;
  case GST_VIDEO_FORMAT_RGB:
    return decoder->takes_rgb;
  default:
    return FALSE;
  }
}

static gboolean
is_small_enough (SeedImageDecoder *decoder, const GstVideoInfo *info)
{
  return decoder->max_size == 0 || (guint) MAX (info->width, info->height) <= decoder->max_size;
}

/* @side of a picture whose longest is @longest. */
static guint
scale_side (guint side, guint longest, guint max_size)
{
  return (guint) MAX (((guint64) side * max_size + longest / 2) / longest, 1);
}

/* What a picture of @from becomes. */
static void
find_output (SeedImageDecoder *decoder, const GstVideoInfo *from, GstVideoInfo *to)
{
  GstVideoFormat format = is_taken_as_it_is (decoder, from) ? GST_VIDEO_INFO_FORMAT (from)
                          : decoder->takes_rgb              ? GST_VIDEO_FORMAT_RGB
                                                            : GST_VIDEO_FORMAT_I420;
  guint width = (guint) from->width, height = (guint) from->height, longest = MAX (width, height);

  if (!is_small_enough (decoder, from)) {
    width = scale_side (width, longest, decoder->max_size);
    height = scale_side (height, longest, decoder->max_size);
  }
  gst_video_info_set_format (to, format, width, height);
  to->par_n = from->par_n;
  to->par_d = from->par_d;
  to->fps_n = from->fps_n;
  to->fps_d = from->fps_d;
  if (GST_VIDEO_INFO_FORMAT (from) == format) {
    to->colorimetry = from->colorimetry;
    to->chroma_site = from->chroma_site;
  }
}

/* Lanczos, whose support grows with the reduction: every pixel of the picture counts, so nothing
 * aliases. */
static GstStructure *
converter_options (void)
{
  return gst_structure_new ("options", GST_VIDEO_CONVERTER_OPT_RESAMPLER_METHOD,
      GST_TYPE_VIDEO_RESAMPLER_METHOD, GST_VIDEO_RESAMPLER_METHOD_LANCZOS,
      GST_VIDEO_CONVERTER_OPT_CHROMA_RESAMPLER_METHOD, GST_TYPE_VIDEO_RESAMPLER_METHOD,
      GST_VIDEO_RESAMPLER_METHOD_LANCZOS, GST_VIDEO_RESAMPLER_OPT_MAX_TAPS, G_TYPE_INT, MAX_TAPS,
      NULL);
}

static gboolean
prepare_converter (SeedImageDecoder *decoder, const GstVideoInfo *from)
{
  GstVideoInfo to;

  find_output (decoder, from, &to);
  if (decoder->converter && gst_video_info_is_equal (&decoder->from, from) &&
      gst_video_info_is_equal (&decoder->to, &to))
    return TRUE;
  g_clear_pointer (&decoder->converter, gst_video_converter_free);
  decoder->from = *from;
  decoder->to = to;
  decoder->converter = gst_video_converter_new (&decoder->from, &decoder->to, converter_options ());
  return decoder->converter != NULL;
}

/* A frame of decoder->to. */
static GstBuffer *
run_converter (SeedImageDecoder *decoder, GstBuffer *input, const GstVideoInfo *info)
{
  g_autoptr (GstBuffer) output = gst_buffer_new_allocate (NULL, decoder->to.size, NULL);
  GstVideoFrame from, to;
  gboolean ok = FALSE;

  if (!output || !gst_video_frame_map (&from, info, input, GST_MAP_READ))
    return NULL;
  if (gst_video_frame_map (&to, &decoder->to, output, GST_MAP_WRITE)) {
    gst_video_converter_frame (decoder->converter, &from, &to);
    gst_video_frame_unmap (&to);
    ok = TRUE;
  }
  gst_video_frame_unmap (&from);
  return ok ? g_steal_pointer (&output) : NULL;
}

/* Takes @image. */
static GstBuffer *
convert (SeedImageDecoder *decoder, GstBuffer *image, GstVideoInfo *info, GError **error)
{
  g_autoptr (GstBuffer) input = image;
  GstBuffer *output = NULL;
  GstVideoInfo plain;

  if (is_taken_as_it_is (decoder, info) && is_small_enough (decoder, info)) {
    find_output (decoder, info, &plain); /* without what decoders add, each its own */
    *info = plain;
    return g_steal_pointer (&input);
  }
  if (prepare_converter (decoder, info))
    output = run_converter (decoder, input, info);
  if (!output)
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "cannot be converted from %s of %dx%d to what the next stage takes",
        gst_video_format_to_string (info->finfo->format), info->width, info->height);
  else
    *info = decoder->to;
  return output;
}

SeedImageDecoder *
seed_image_decoder_new (void)
{
  SeedImageDecoder *decoder = g_new0 (SeedImageDecoder, 1);

  decoder->takes_i420 = decoder->takes_rgb = TRUE;
  return decoder;
}

void
seed_image_decoder_free (SeedImageDecoder *decoder)
{
  if (!decoder)
    return;
  for (guint i = 0; i < G_N_ELEMENTS (direct_types); i++)
    direct_free (decoder->direct[i]);
  for (guint i = 0; i < G_N_ELEMENTS (direct_types); i++)
    gst_clear_caps (&decoder->magic_types[i]);
  g_clear_pointer (&decoder->converter, gst_video_converter_free);
  g_free (decoder);
}

void
seed_image_decoder_set_formats (SeedImageDecoder *decoder, gboolean i420, gboolean rgb)
{
  g_return_if_fail (i420 || rgb);
  decoder->takes_i420 = i420;
  decoder->takes_rgb = rgb;
}

void
seed_image_decoder_set_max_size (SeedImageDecoder *decoder, guint max_size)
{
  decoder->max_size = max_size;
}

/* NULL: nobody knows it. */
static GstCaps *
find_type (SeedImageDecoder *decoder, const guint8 *data, gsize size)
{
  for (guint i = 0; i < G_N_ELEMENTS (direct_types); i++) {
    if (!direct_types[i].magic || size < direct_types[i].magic_size ||
        memcmp (data, direct_types[i].magic, direct_types[i].magic_size) != 0)
      continue;
    if (!decoder->magic_types[i])
      decoder->magic_types[i] = gst_caps_new_empty_simple (direct_types[i].type);
    return gst_caps_ref (decoder->magic_types[i]);
  }
  return gst_type_find_helper_for_data (NULL, data, size, NULL);
}

static GstBuffer *
decode (SeedImageDecoder *decoder, GBytes *file, GstVideoInfo *info, GError **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (file, &size);
  g_autoptr (GstCaps) type = find_type (decoder, data, size);
  const char *name = type ? gst_structure_get_name (gst_caps_get_structure (type, 0)) : NULL;
  GstBuffer *frame;

  if (!name || !g_str_has_prefix (name, "image/")) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "not an image (it looks like %s)",
        name ? name : "nothing known");
    return NULL;
  }
  for (guint i = 0; i < G_N_ELEMENTS (direct_types); i++) {
    Direct **direct = &decoder->direct[i];

    if (!g_str_equal (direct_types[i].type, name))
      continue;
    if (!*direct)
      *direct = direct_new (direct_types[i].factory);
    if (!*direct)
      break;
    frame = direct_run (*direct, type, file, info, error);
    if (!frame) /* what is left inside must not get into the next image */
      g_clear_pointer (direct, direct_free);
    return frame;
  }
  return decodebin_run (file, info, error);
}

GstBuffer *
seed_image_decoder_run (SeedImageDecoder *decoder, GBytes *file, GstVideoInfo *info, GError **error)
{
  GstBuffer *frame = decode (decoder, file, info, error);

  return frame ? convert (decoder, frame, info, error) : NULL;
}

GstBuffer *
seed_image_decoder_run_planes (
    SeedImageDecoder *decoder, GBytes *planes, guint side, GstVideoInfo *info, GError **error)
{
  gst_video_info_set_format (info, GST_VIDEO_FORMAT_RGBP, side, side);
  if (g_bytes_get_size (planes) < info->size) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%" G_GSIZE_FORMAT " bytes are no picture",
        g_bytes_get_size (planes));
    return NULL;
  }
  return convert (decoder, gst_buffer_new_wrapped_bytes (planes), info, error);
}
