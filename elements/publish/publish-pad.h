/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "core/caps.h"
#include "publish/wire.h"

/*
 * What seedpublish knows of one of its inputs. The fields below the first comment belong to the
 * pad's streaming thread, the others are guarded by the element's lock.
 */
#define SEED_TYPE_PUBLISH_PAD (seed_publish_pad_get_type ())
G_DECLARE_FINAL_TYPE (SeedPublishPad, seed_publish_pad, SEED, PUBLISH_PAD, GstPad)

struct _SeedPublishPad {
  GstPad parent;

  gboolean eos;
  gboolean flushing;

  /* streaming thread */
  gboolean is_report;
  SeedFeaturesInfo info; /* features */
  const char *kind;      /* report; interned */
  gboolean per_stream;   /* report */
  char *node;
  char *model_name, *model_sha256;
  guint64 model_step;
};

/* FALSE when the caps are none that can be published; the reason goes to the debug log. */
gboolean seed_publish_pad_set_caps (SeedPublishPad *pad, const GstCaps *caps);

/* Takes over a "seed-model" event; FALSE when @event is another. */
gboolean seed_publish_pad_take_model (SeedPublishPad *pad, GstEvent *event);

/* The pad's node on the wire: of the caps, or the nearest SEED element upstream, or what is linked.
 */
const char *seed_publish_pad_node (SeedPublishPad *pad);

/* Empties the result and sets node and model, borrowed from the pad. */
void seed_publish_pad_init_result (SeedPublishPad *pad, SeedResult *result);
