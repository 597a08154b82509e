/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/video/video.h>

#include "source/imagecache.h"
#include "source/imageset.h"

G_BEGIN_DECLS

/*
 * Reads and decodes the images of a run ahead of their use, in several threads, and gives them out
 * in the order of the run. The frames do not depend on the number of threads nor on the cache.
 *
 * new, begin, next ..., free belong to one thread; set_flushing and the counters to any.
 */
typedef struct _SeedImageLoader SeedImageLoader;

#define SEED_IMAGE_LOADER_MAX_THREADS 64
#define SEED_IMAGE_LOADER_MAX_AHEAD 65536
#define SEED_IMAGE_LOADER_MAX_BYTES (256u * 1024 * 1024) /* decoded and not yet taken, about */

typedef struct {
  guint64 epochs; /* 0: for ever */
  gboolean shuffle;
  guint64 seed;
  guint threads;  /* 1 or more */
  guint ahead;    /* images at most that are decoded and not yet taken; 1 or more */
  guint max_size; /* of the longest side, in pixels; 0: any */
  guint64 cache_bytes;
} SeedImageLoaderSettings;

typedef struct {
  guint image;      /* in the set */
  GstBuffer *frame; /* the taker's; NULL: it could not be decoded */
  GstVideoInfo info;
  GError *error;   /* the taker's; names the image */
  guint64 busy_ns; /* time to read and decode it */
} SeedLoadedImage;

typedef enum {
  SEED_IMAGE_LOADER_OK,
  SEED_IMAGE_LOADER_END, /* of the last epoch */
  SEED_IMAGE_LOADER_FLUSHING,
} SeedImageLoaderResult;

/* @set must outlive the loader. Starts no thread. */
SeedImageLoader *
seed_image_loader_new (const SeedImageSet *set, const SeedImageLoaderSettings *settings);
void seed_image_loader_free (SeedImageLoader *loader);

/*
 * Goes to the image behind the first @position ones of the run, for frames of the given formats
 * (one at least). What was decoded ahead is kept when neither changes. Before the first next.
 */
void
seed_image_loader_begin (SeedImageLoader *loader, guint64 position, gboolean i420, gboolean rgb);

/* Waits for the next image of the run. FLUSHING loses nothing. */
SeedImageLoaderResult seed_image_loader_next (SeedImageLoader *loader, SeedLoadedImage *loaded);

/* Whether next is to return at once. */
void seed_image_loader_set_flushing (SeedImageLoader *loader, gboolean flushing);

guint64
seed_image_loader_n_decoded (SeedImageLoader *loader); /* images, not taken from the cache */
guint seed_image_loader_n_cached (SeedImageLoader *loader);
guint64 seed_image_loader_cache_bytes (SeedImageLoader *loader);

G_END_DECLS
