/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/*
 * Decodes still images with GStreamer's own decoders: a decoder element per image type is kept and
 * fed in the calling thread; types without one of those go through a decodebin of their own.
 * Belongs to one thread at a time.
 */
typedef struct _SeedImageDecoder SeedImageDecoder;

#define SEED_IMAGE_MAX_SIDE 16384

SeedImageDecoder *seed_image_decoder_new (void);
void seed_image_decoder_free (SeedImageDecoder *decoder);

/* The formats to give, one at least; both at first. A picture that the decoder has in one of them
 * stays as it is, others become RGB when that is among them. */
void seed_image_decoder_set_formats (SeedImageDecoder *decoder, gboolean i420, gboolean rgb);

/* Pictures whose longest side is more are made so small, with their shape kept; 0, as at first:
 * none are. */
void seed_image_decoder_set_max_size (SeedImageDecoder *decoder, guint max_size);

/*
 * The (first) picture in @file, in the plain layout of @info. Errors
 * (SEED_ERROR_FORMAT, _LIMIT, _UNSUPPORTED) do not name the file; the decoder stays usable.
 */
GstBuffer *seed_image_decoder_run (
    SeedImageDecoder *decoder, GBytes *file, GstVideoInfo *info, GError **error);

/* The same of uint8 [3, @side, @side]; @side is a multiple of 4. */
GstBuffer *seed_image_decoder_run_planes (
    SeedImageDecoder *decoder, GBytes *planes, guint side, GstVideoInfo *info, GError **error);

G_END_DECLS
