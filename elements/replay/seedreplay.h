/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/ledger.h>
#include <seed/stream-meta.h>

#include "replay/replay.h"
#include "replay/shrink.h"
#include "replay/spool.h"
#include "replay/stride.h"

/* The element seedreplay, and what its files share: seedreplay.c (object, states, events),
 * seedreplay-settings.c (properties), seedreplay-flow.c (frames). */
#define SEED_TYPE_REPLAY_ELEMENT (seed_replay_element_get_type ())
G_DECLARE_FINAL_TYPE (SeedReplayElement, seed_replay_element, SEED, REPLAY_ELEMENT, GstElement)
GST_ELEMENT_REGISTER_DECLARE (seedreplay)

typedef enum { SEED_REPLAY_DUPLICATES_PASS, SEED_REPLAY_DUPLICATES_DROP } SeedReplayDuplicates;
typedef enum { SEED_REPLAY_STRIDE_ALL, SEED_REPLAY_STRIDE_AUTO } SeedReplayStride;

typedef struct {
  guint capacity, capacity_mb, warm_up, max_size, epilogue, min_stride, max_stride;
  double live_share, likeness, agree;
  SeedReplayDuplicates duplicates;
  SeedReplayStride stride;
  gboolean deterministic;
  guint64 seed;
} SeedReplaySettings;

/* A frame may be due twice after one live frame when few are held. */
typedef struct {
  const SeedRemembered *frame;
  guint32 repeat;
} SeedReplayDue;

struct _SeedReplayElement {
  GstElement parent;
  GstPad *sinkpad, *srcpad;
  SeedLedger *ledger;

  /* under the object lock; what is used is what it was when the element left READY */
  SeedReplaySettings settings;
  char *spool_path;

  /* Taken for a moment, never while anything is pushed: the streaming thread changes the memory,
   * others ask about it. */
  GMutex lock;
  SeedReplay *replay;
  SeedSpool *spool;
  SeedStride *stride; /* also told of agreement by downstream's thread; NULL: off */
  SeedReplaySettings used;
  guint64 n_live, n_replayed;
  guint64 n_refused; /* spool writes that failed */

  /* the streaming thread's */
  SeedShrink *shrink;
  const SeedShrinkFormat *format; /* of the frames to come */
  GstCaps *caps;                  /* of the frames to come */
  GstCaps *sent;                  /* of the frame before */
  GstCaps *kept_caps;             /* of the remembered frame before, whose format is: */
  char *kept_format;              /* a reference */
  GArray *due;                    /* SeedReplayDue, to go out after the live frame */
  guint64 anonymous;              /* frames without a meta so far */
  gboolean bad_frame;             /* the last one was */
};

void seed_replay_element_install_properties (GObjectClass *klass);
/* The defaults. */
void seed_replay_element_init_settings (SeedReplayElement *self);

/* A frame from upstream; takes @buffer. */
GstFlowReturn seed_replay_element_frame (SeedReplayElement *self, GstBuffer *buffer);

/* FALSE: not caps to work with, or refused downstream. */
gboolean seed_replay_element_set_caps (SeedReplayElement *self, GstCaps *caps);

void seed_replay_element_stream_down (SeedReplayElement *self, const char *stream);

/* All that is held, as often as asked for. */
void seed_replay_element_epilogue (SeedReplayElement *self);

/* Says that the spool could not be written; the memory goes on. Takes @error. */
void seed_replay_element_alarm (SeedReplayElement *self, GError *error);
