/* SPDX-License-Identifier: MIT */
#pragma once

#include "publish/gate.h"
#include "publish/wire.h"

G_BEGIN_DECLS

/**
 * A bound XPUB socket that publishes results. Any number of threads may send; one thread serves
 * (seed_publisher_serve), so that subscriptions are noticed while nothing is sent.
 *
 * Sending never blocks. A message that does not fit in the queue of one of its subscribers is
 * dropped for all of them and counted, but its sequence number is used up, so every subscriber sees
 * the loss. A subscriber that stays full for SEED_PUBLISHER_PATIENCE_MS is set aside: libzmq then
 * skips it until it has read half of its queue, and the others get everything again.
 *
 * The last message of each topic of the kinds train and health is kept and sent again when somebody
 * subscribes to it. PUB/SUB knows no addressee, so all subscribers of that topic get the repeat; it
 * is the same message, with the same sequence number and time.
 */
typedef struct _SeedPublisher SeedPublisher;

#define SEED_PUBLISHER_DEFAULT_HWM 1000
#define SEED_PUBLISHER_DEFAULT_LINGER_MS 200
#define SEED_PUBLISHER_PATIENCE_MS 1000

typedef struct {
  const char *endpoint;   /* see seed_endpoint_for_bind; port * or 0 takes a free one */
  gboolean insecure;      /* allow an address that other machines reach */
  const char *server_key; /* file with the own key pair: CURVE; NULL or "" for none */
  const char *authorized; /* with it: folder of public keys and their rights, <seed/zap.h> */
  int hwm;                /* messages queued per subscriber */
  int linger_ms;          /* how long queued messages outlive the publisher */
} SeedPublisherConfig;

/** Errors name the endpoint or the key file. An ipc socket gets the mode 0660. */
SeedPublisher *seed_publisher_new (const SeedPublisherConfig *config, GError **error);
/** No other thread may be using it. Waits up to linger_ms when it is the process's last socket. */
void seed_publisher_free (SeedPublisher *publisher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedPublisher, seed_publisher_free)

/** Where it is bound, with the real port. Lives as long as the publisher. */
const char *seed_publisher_endpoint (const SeedPublisher *publisher);

typedef enum {
  SEED_PUBLISHER_SENT,
  SEED_PUBLISHER_DROPPED, /* a subscriber's queue was full */
  SEED_PUBLISHER_FAILED,  /* error is set: the result is not one, or the socket is broken */
} SeedPublisherStatus;

/** Sends @result; fills in its seq and publish_ns. */
SeedPublisherStatus
seed_publisher_send (SeedPublisher *publisher, SeedResult *result, GError **error);

/** Handles subscriptions as they come for up to @timeout_ms (-1: until woken); returns after each.
 */
void seed_publisher_serve (SeedPublisher *publisher, int timeout_ms);
/** Makes the current or next seed_publisher_serve return. */
void seed_publisher_wake (SeedPublisher *publisher);

typedef struct {
  SeedGateStats gate;  /* subscribers: subscriptions now, what they were refused, ... */
  guint64 sent, bytes; /* messages */
  guint64 dropped;     /* messages that did not fit */
  guint64 set_aside;   /* times a subscriber was full for too long */
} SeedPublisherStats;

void seed_publisher_get_stats (SeedPublisher *publisher, SeedPublisherStats *stats);

/** Messages of one topic that did not fit. */
typedef struct {
  char *topic;
  guint64 dropped;
} SeedPublisherLoss;

/** The topics that lost most, at most @max, worst first: SeedPublisherLoss, to be unreffed. */
GArray *seed_publisher_get_losses (SeedPublisher *publisher, guint max);

/** What is wrong with the authorized keys, or NULL; free it. See seed_zap_problem. */
char *seed_publisher_key_problem (SeedPublisher *publisher);

G_END_DECLS
