/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/ledger.h>
#include <seed/stream-meta.h>

#include "core/caps.h"
#include "patchify/deadline.h"
#include "patchify/input.h"

/* The element seedpatchify, and what its files share: seedpatchify.c (object, events), agree.c
 * (geometry), batch.c (the batch being filled). */
#define SEED_TYPE_PATCHIFY (seed_patchify_get_type ())
G_DECLARE_FINAL_TYPE (SeedPatchify, seed_patchify, SEED, PATCHIFY, GstElement)
GST_ELEMENT_REGISTER_DECLARE (seedpatchify)

typedef enum {
  SEED_PATCHIFY_FIT_AUTO,
  SEED_PATCHIFY_FIT_SQUASH,
  SEED_PATCHIFY_FIT_CROP,
  SEED_PATCHIFY_FIT_LETTERBOX,
} SeedPatchifyFit;

typedef enum {
  SEED_PATCHIFY_INTERPOLATION_AUTO,
  SEED_PATCHIFY_INTERPOLATION_BILINEAR,
  SEED_PATCHIFY_INTERPOLATION_BICUBIC,
} SeedPatchifyInterpolation;

typedef struct {
  guint views, batch, deadline_ms;
  gboolean augment, reference_view;
  SeedAugmentLimits limits;
  SeedPatchifyFit fit;
  SeedPatchifyInterpolation interpolation;
  guint image_size, patch_size; /* 0: open */
  guint64 seed;
} SeedPatchifySettings;

struct _SeedPatchify {
  GstElement parent;
  GstPad *sinkpad, *srcpad;
  SeedLedger *ledger;

  /* under the object lock */
  SeedPatchifySettings settings;
  GstClockTime frame_duration; /* of the caps seen last, 0 when unknown */
  struct {
    guint64 batches, partial, by_deadline;
    guint image_size, patch_size;
  } stats;

  /* all below under the stream lock of the sink pad */
  SeedInputCache inputs;
  const SeedInput *input; /* of the frames to come */
  guint64 anonymous;      /* frames without a meta so far */
  gboolean bad_frame;     /* the last one was */

  /* the geometry agreed on; cutter is NULL when there is none */
  SeedPatchesInfo info;
  SeedFit fit;
  SeedCutter *cutter;
  SeedCut *cuts;         /* [views] */
  SeedAugment *augments; /* [views] */
  GstBufferPool *pool;

  /* the batch being filled; buffer is mapped and not NULL when n_items > 0 */
  GstBuffer *buffer;
  GstMapInfo map;
  guint n_items;
  guint64 number;          /* of the batch, from 0 since start */
  guint64 token;           /* of the batch, never the same twice */
  GstFlowReturn last_flow; /* of a push that had no caller to tell */
  SeedDeadline *deadline;  /* made when first needed */
};

SeedPatchifySettings seed_patchify_settings (SeedPatchify *self);

/* What the properties allow. */
GstCaps *seed_patchify_possible_caps (SeedPatchify *self);

/* Agrees with downstream when nothing is agreed on yet or it asked for it. Posts the error. */
GstFlowReturn seed_patchify_negotiate (SeedPatchify *self);
void seed_patchify_forget_geometry (SeedPatchify *self);

void seed_patchify_batch_start (SeedPatchify *self);

/* Cuts @frame into the batch. On anything but OK the frame is not in it. */
GstFlowReturn
seed_patchify_batch_add (SeedPatchify *self, const SeedFrame *frame, const SeedStreamMeta *who);
GstFlowReturn seed_patchify_batch_push_if_full (SeedPatchify *self);

/* Pushes or drops what is held, if anything. */
GstFlowReturn seed_patchify_batch_push (SeedPatchify *self);
void seed_patchify_batch_drop (SeedPatchify *self);
