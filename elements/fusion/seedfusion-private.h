/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/ledger.h>

#include "core/caps.h"
#include "fusion/fuser.h"
#include "fusion/fusion-meta.h"
#include "fusion/pairing.h"

/*
 * seedfusion in three files: seedfusion.c holds the object; seedfusion-pads.c what comes on its
 * pads, what waits there and in which order it leaves; seedfusion-batch.c turns one paired batch
 * into one buffer.
 *
 * Two locks. push_lock is held while a batch is worked on and pushed, so that things leave in order
 * whichever teacher's thread completes them; lock guards what pads wait for and is never held while
 * pushing. push_lock is taken first.
 */

#define SEED_TYPE_FUSION (seed_fusion_get_type ())
G_DECLARE_FINAL_TYPE (SeedFusion, seed_fusion, SEED, FUSION, GstElement)
GST_ELEMENT_REGISTER_DECLARE (seedfusion)

#define SEED_TYPE_FUSION_PAD (seed_fusion_pad_get_type ())
G_DECLARE_FINAL_TYPE (SeedFusionPad, seed_fusion_pad, SEED, FUSION_PAD, GstPad)

struct _SeedFusionPad {
  GstPad parent;
  guint number; /* of "sink_%u" */
  /* under the element's lock: */
  guint index; /* rank by number; fixed once anything has come */
  gboolean has_info, flushing;
  SeedFeaturesInfo info;
};

struct _SeedFusion {
  GstElement parent;
  GstPad *src;
  SeedLedger *ledger;

  GMutex push_lock;
  SeedFuser *fuser; /* from the caps of all pads to the stop */
  GstBufferPool *pool;
  SeedFeaturesInfo infos[SEED_FUSION_MAX_TEACHERS]; /* what fuser was made for */
  guint n_infos;
  char *made_strategy, *made_whitening; /* and by which settings; the file may be NULL */
  guint batch;                /* the most items of a batch; pool and items are made for it */
  SeedFusionItem *items;      /* of the batch being worked on */
  gboolean started, eos_sent; /* stream-start, eos went downstream */
  gboolean model_sent;

  GMutex lock;
  GCond room;           /* a pad's batch left, a flush began, the element stops */
  GPtrArray *pads;      /* SeedFusionPad by index; owned by the element */
  SeedPairing *pairing; /* from the first thing that comes to the stop */
  GQueue events;        /* of QueuedEvent, from the first pad */
  gboolean announced;   /* caps and segment went downstream */
  gboolean stopping;
  guint n_flushing;
  GstFlowReturn flow; /* of the last push */

  /* counters, under lock */
  SeedFusionTally tally; /* since stats was read last */
  guint n_calibrated;
  guint64 n_repeat; /* frames of a calibration that was done before, and come again */
  gboolean calibrated;
  guint64 n_fused, n_unpaired; /* batches */

  /* properties, under the object lock */
  char *strategy, *whitening;
  guint calibration, duplicate_window_ms;
  double eigenvalue_floor;
  double duplicate_cosine;
  guint64 seed;
};

/*
 * All below: push_lock held, lock not.
 *
 * Once all pads have caps: makes the fuser and sends stream-start, caps, segment and seed-model, or
 * sends what has changed of these. FALSE after an element error.
 */
gboolean seed_fusion_announce (SeedFusion *self);

/* Works on one pair, accounts for its items, pushes what comes of it. Takes @pair. */
GstFlowReturn seed_fusion_push_pair (SeedFusion *self, SeedPair *pair);

/* Forgets the fuser and the pool. */
void seed_fusion_forget (SeedFusion *self);

/* Name of a pad by its index, interned. */
const char *seed_fusion_pad_name (SeedFusion *self, guint index);

/* Chain and event function of a new sink pad. */
void seed_fusion_set_up_pad (SeedFusionPad *pad);

/* No more batches from @pad. Takes both locks. */
void seed_fusion_end_pad (SeedFusion *self, SeedFusionPad *pad);

/* What is held is lost, but accounted for. lock held. */
void seed_fusion_drop_held_locked (SeedFusion *self);
