/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/base/gstpushsrc.h>
#include <gst/video/video.h>
#include <seed/ledger.h>

#include "source/imageloader.h"
#include "source/imageset.h"

/* The element seedimagesrc, and what its files share: seedimagesrc.c (object, properties),
 * seedimagesrc-run.c (what it does between start and stop). */
#define SEED_TYPE_IMAGE_SRC (seed_image_src_get_type ())
G_DECLARE_FINAL_TYPE (SeedImageSrc, seed_image_src, SEED, IMAGE_SRC, GstPushSrc)

struct _SeedImageSrc {
  GstPushSrc parent;

  /* properties, under the object lock */
  char *location, *labels, *captions, *stream;
  guint64 epochs, seed, start_at;
  gboolean shuffle;
  double max_fps;
  guint max_size, cache_mb, threads, ahead;

  SeedLedger *ledger;
  SeedImageSet *set;       /* while started; replaced under the object lock, as is the loader */
  SeedImageLoader *loader; /* of set */
  guint64 position;        /* in the run, of the next image; moved under the object lock */

  GMutex pace_lock;
  GCond pace_cond;
  gboolean is_playing, is_unlocked; /* under pace_lock */

  /* the streaming thread's, between start and stop */
  char *id; /* of the stream */
  double fps;
  guint64 first;     /* position of the first image */
  GstVideoInfo info; /* of the caps that were set */
  gboolean has_caps;
  enum {
    SEED_IMAGE_SRC_NOTHING,
    SEED_IMAGE_SRC_MADE,
    SEED_IMAGE_SRC_PUSHED,
  } hand; /* the last image: settled; with the base class; on its way */
  guint64 n_shown, n_warnings;
};

GST_DEBUG_CATEGORY_EXTERN (seed_image_src_debug);

/* Sets the methods of the base classes. */
void seed_image_src_run_class_init (SeedImageSrcClass *klass);
void seed_image_src_run_init (SeedImageSrc *self);
