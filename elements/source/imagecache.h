/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/*
 * Decoded pictures by their index in a set, up to a limit of bytes. What is in stays in: epochs are
 * permutations, so every picture is wanted again at the same distance on average, and throwing one
 * out for another would only cost decoding. Thread-safe.
 */
typedef struct _SeedImageCache SeedImageCache;

/* @max_bytes 0: nothing is ever kept. */
SeedImageCache *seed_image_cache_new (guint64 max_bytes);
void seed_image_cache_free (SeedImageCache *cache);

/* A buffer of the caller's own whose memory is shared until one of them writes; NULL: not there. */
GstBuffer *seed_image_cache_get (SeedImageCache *cache, guint image, GstVideoInfo *info);

/* Keeps a copy of @frame, in the plain layout of @info, if there is room. */
void seed_image_cache_put (
    SeedImageCache *cache, guint image, GstBuffer *frame, const GstVideoInfo *info);

void seed_image_cache_clear (SeedImageCache *cache);

guint64 seed_image_cache_bytes (SeedImageCache *cache);
guint seed_image_cache_n_images (SeedImageCache *cache);

G_END_DECLS
