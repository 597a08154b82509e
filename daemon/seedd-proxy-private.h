/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>
#include <zmq.h>

#include "publish/publisher.h"
#include "seedd-proxy.h"

/* What seedd-proxy.c (life, orders, events) and seedd-proxy-flow.c (the thread) share. */

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

typedef struct {
  gint64 full_since; /* monotonic us of the first drop in a row, 0 when the last one was sent */
  char *header;      /* retained, or NULL */
  gsize header_size;
} SeeddProxyTopic;

typedef struct {
  guint64 subscriptions, received, sent, bytes, dropped, set_aside, retained;
} SeeddProxyStats;

struct _SeeddProxy {
  void *graphs;          /* XSUB; of the thread, as all up to the lock */
  void *subscribers;     /* XPUB */
  GHashTable *endpoints; /* endpoint -> graph */
  GHashTable *topics;    /* topic -> SeeddProxyTopic */
  guint n_retained;
  GThread *thread;
  char *endpoint;
  int wake_fd;
  GAsyncQueue *commands;

  GMutex lock;
  SeeddProxyStats stats;
  GHashTable *seqs; /* topic of an event -> next seq */
  guint64 next_id;
};

/* The thread: passes messages on until it is told to stop. @data: the proxy. */
gpointer seedd_proxy_run (gpointer data);

void seedd_proxy_command_free (gpointer data);
/* Adds to one of the stats, under the lock. */
void seedd_proxy_count (SeeddProxy *proxy, guint64 *counter, guint64 n);
