/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>
#include <seed/ledger.h>

#include "publish/publish-pad.h"
#include "publish/publisher.h"

#define SEED_TYPE_PUBLISH (seed_publish_get_type ())
G_DECLARE_FINAL_TYPE (SeedPublish, seed_publish, SEED, PUBLISH, GstElement)
GST_ELEMENT_REGISTER_DECLARE (seedpublish);

/* Kinds seedpublish can be asked for, as bits. */
typedef enum {
  SEED_PUBLISH_EMBEDDING = 1 << 0,
  SEED_PUBLISH_TOKENS = 1 << 1,
  SEED_PUBLISH_TRAIN = 1 << 2,
  SEED_PUBLISH_EVENT = 1 << 3,
  SEED_PUBLISH_HEALTH = 1 << 4,
  SEED_PUBLISH_ANCHORS = 1 << 5,
  SEED_PUBLISH_LABELS = 1 << 6,
  SEED_PUBLISH_NEIGHBOURS = 1 << 7,
  SEED_PUBLISH_GROUNDING = 1 << 8,
} SeedPublishKinds;

/* "a,b" to bits; SEED_ERROR_INVALID naming the kind that is none and those there are. */
gboolean seed_publish_kinds_parse (const char *text, SeedPublishKinds *kinds, GError **error);
/* Whether a report of @kind is wanted. */
gboolean seed_publish_kinds_has (SeedPublishKinds kinds, const char *kind);

struct _SeedPublish {
  GstElement parent;

  /* settings, guarded by the object lock; copied below by start */
  char *graph, *endpoint, *kinds, *server_key, *authorized;
  guint wait_subscribers, health_interval_ms;
  int hwm, linger_ms;
  gboolean insecure;
  char *bound_endpoint; /* while started */
  guint next_pad;       /* number of the next automatic pad */

  SeedLedger *ledger;
  SeedLedger *latency; /* its busy times: from capture to publication */

  /* from start to stop, constant while pads stream */
  SeedPublisher *publisher;
  GThread *service;
  char *running_graph;
  char *health_node;
  char *key_problem; /* told last; service thread */
  SeedPublishKinds wanted;
  gint64 started_us; /* monotonic */

  GMutex lock;
  GCond changed; /* any of the following, a pad's flags, or the subscriptions */
  gboolean playing, stopping;
  gboolean eos_posted, stream_start_posted;
  guint64 wait_for;     /* subscriptions the first result waits for; 0 when that is over */
  gint64 wait_deadline; /* monotonic us, 0 before the wait */
  guint64 ignored;      /* frames and reports of kinds nobody asked for */
  GHashTable *event_ids;
  GQueue event_order;
};

/*
 * publish-results.c: what becomes of a buffer or an event. All are called from streaming threads
 * (health also from the service thread) while started.
 */
GstFlowReturn seed_publish_buffer (SeedPublish *self, SeedPublishPad *pad, GstBuffer *buffer);
void seed_publish_event (SeedPublish *self, SeedPublishPad *pad, GstEvent *event);
void seed_publish_health (SeedPublish *self);
/* Whether anything of @buffer would be sent. */
gboolean seed_publish_wants (SeedPublish *self, SeedPublishPad *pad);

/*
 * publish-flow.c: what comes in at the pads, in its turn. check_eos posts EOS when the last input
 * has ended; @event is the EOS that may have completed the set, or NULL when a pad went away.
 */
GstFlowReturn seed_publish_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer);
gboolean seed_publish_sink_event (GstPad *pad, GstObject *parent, GstEvent *event);
void seed_publish_check_eos (SeedPublish *self, GstEvent *event);
