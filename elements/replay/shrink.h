/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/video/video.h>

#include "replay/signature.h"

/*
 * Frames as they are remembered: packed, in the format they came in, resampled (bilinear,
 * antialiased) so that the longer side is at most @max_size pixels, never enlarged. What was worked
 * out of caps is kept for the caps seen last, since streams take turns on one pad.
 */
#define SEED_REPLAY_FORMATS                                                                        \
  "{ I420, NV12, RGB, BGR, RGBx, GRAY8, YV12, NV21, Y42B, Y444, BGRx, xRGB, xBGR, RGBA, BGRA, "    \
  "ARGB, ABGR }"
#define SEED_REPLAY_CAPS                                                                           \
  "video/x-raw, format=(string)" SEED_REPLAY_FORMATS ", width=(int)[ 1, 16384 ], "                 \
  "height=(int)[ 1, 16384 ], framerate=(fraction)[ 0/1, 2147483647/1 ]"

typedef struct {
  GstCaps *caps; /* of frames that come */
  GstVideoInfo in, kept;
  char *format;                 /* the kept frame's caps as an interned GRefString */
  GstVideoConverter *converter; /* NULL: kept as it is */
} SeedShrinkFormat;

typedef struct _SeedShrink SeedShrink;

/* @max_size: pixels, or 0 for frames as they are. */
SeedShrink *seed_shrink_new (guint max_size);
void seed_shrink_free (SeedShrink *shrink);

/* NULL when @caps are not fixed caps of SEED_REPLAY_CAPS. Valid until the next call. */
const SeedShrinkFormat *seed_shrink_format (SeedShrink *shrink, GstCaps *caps);

/* Maps @buffer for reading. FALSE: it does not hold what the caps say. */
gboolean seed_shrink_map (const SeedShrinkFormat *format, GstBuffer *buffer, GstVideoFrame *map);
void seed_shrink_signature (const GstVideoFrame *map, SeedSignature *signature);
/* The pixels to keep, g_bytes_get_size of which is format->kept.size. NULL: no memory. */
GBytes *seed_shrink_take (const SeedShrinkFormat *format, GstVideoFrame *map);

/* Caps of a kept frame from its format; NULL and @error when @n_bytes cannot be a frame of it. */
GstCaps *seed_shrink_parse (const char *format, gsize n_bytes, GError **error);
