/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/video/video.h>

#include "patchify/cutter.h"

/*
 * Between GStreamer's description of a frame and the cutter's. Streams of several sizes and formats
 * share one pad, with caps before each buffer, so what was worked out of caps is kept for the caps
 * seen last.
 */
#define SEED_INPUT_FORMATS                                                                         \
  "{ I420, NV12, RGB, BGR, RGBx, GRAY8, YV12, NV21, Y42B, Y444, BGRx, xRGB, xBGR, RGBA, BGRA, "    \
  "ARGB, ABGR }"

#define SEED_INPUT_CACHE 16

typedef struct {
  GstCaps *caps;
  GstVideoInfo info;
  double pixel_aspect;
  SeedFrame frame; /* without data and strides */
} SeedInput;

typedef struct {
  SeedInput entry[SEED_INPUT_CACHE];
  guint next;
} SeedInputCache;

/* NULL when @caps are not raw video of these formats. Lives until the cache has seen
 * SEED_INPUT_CACHE other caps. */
const SeedInput *seed_input_cache_get (SeedInputCache *cache, GstCaps *caps);
void seed_input_cache_clear (SeedInputCache *cache);

/*
 * Maps @buffer for reading and points @frame at its planes, strides and offsets of a GstVideoMeta
 * included. FALSE, nothing mapped, and @reason (static) set when the buffer does not hold what the
 * caps say. The caller unmaps @map with gst_video_frame_unmap.
 */
gboolean seed_input_map (const SeedInput *input, GstBuffer *buffer, GstVideoFrame *map,
    SeedFrame *frame, const char **reason);
