/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <zmq.h>

#include "publish/gate.h"
#include "publish/publisher.h"
#include "publish/wire-kinds.h"
#include "seedd-keys.h"
#include "seedd-proxy.h"

/* What seedd-proxy.c (life, orders, events), seedd-proxy-flow.c (the thread) and
 * seedd-proxy-upstream.c (what the graphs are asked for) share. */

/* Which prefixes the subscribers want of the graphs; of the thread. Bounded: when there are too
 * many, the graphs are asked for everything, and the public socket sorts out what is for whom. */
typedef struct _SeeddUpstream SeeddUpstream;

SeeddUpstream *seedd_upstream_new (void *graphs);
void seedd_upstream_free (SeeddUpstream *upstream);
/* One more, or one less, subscriber of a prefix. */
void seedd_upstream_add (SeeddUpstream *upstream, const void *prefix, gsize size);
void seedd_upstream_remove (SeeddUpstream *upstream, const void *prefix, gsize size);
/* Past the account: what the proxy itself wants. */
void seedd_upstream_tell (SeeddUpstream *upstream, gboolean begins, const void *prefix, gsize size);
/* Prefixes that the graphs are asked for. */
guint seedd_upstream_count (const SeeddUpstream *upstream);

typedef enum {
  SEEDD_PROXY_CONNECT,
  SEEDD_PROXY_DISCONNECT,
  SEEDD_PROXY_FORGET,
  SEEDD_PROXY_EVENT,
  SEEDD_PROXY_STOP
} SeeddProxyOrder;

typedef struct {
  SeeddProxyOrder order;
  char *graph, *endpoint;
  char *topic, *header; /* of an event */
  gsize header_size;
} SeeddProxyCommand;

/* Kinds of results are counted apart, those that the wire format does not know together, as the
 * last one. */
#define SEEDD_PROXY_N_KINDS (SEED_N_KINDS + 1)

typedef struct {
  gint64 full_since; /* monotonic us of the first drop in a row, 0 when the last one was sent */
  char *header;      /* retained, or NULL */
  gsize header_size;
} SeeddProxyTopic;

typedef struct {
  guint64 upstream, received, sent, bytes, dropped, set_aside, retained;
  guint64 sent_by_kind[SEEDD_PROXY_N_KINDS], dropped_by_kind[SEEDD_PROXY_N_KINDS];
} SeeddProxyStats;

struct _SeeddProxy {
  void *graphs;      /* XSUB; of the thread, as all up to the lock */
  void *subscribers; /* XPUB */
  SeeddUpstream *upstream;
  GPtrArray *fresh;      /* GBytes: prefixes granted in this turn */
  GHashTable *endpoints; /* endpoint -> graph */
  GHashTable *topics;    /* topic -> SeeddProxyTopic */
  guint n_retained;
  GThread *thread;
  char *endpoint;
  int wake_fd;
  GAsyncQueue *commands;

  SeeddKeys *keys;  /* or NULL */
  GMutex gate_lock; /* the gate is the thread's while it serves; taken before lock */
  SeedGate *gate;

  GMutex lock;
  SeeddProxyStats stats;
  SeedGateStats gate_stats; /* as last known */
  GHashTable *seqs;         /* topic of an event -> next seq */
  guint64 next_id;
};

/* The thread: passes messages on until it is told to stop. @data: the proxy. */
gpointer seedd_proxy_run (gpointer data);

void seedd_proxy_command_free (gpointer data);
/* Adds to one of the stats, under the lock. */
void seedd_proxy_count (SeeddProxy *proxy, guint64 *counter, guint64 n);
