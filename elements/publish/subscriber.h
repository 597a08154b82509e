/* SPDX-License-Identifier: MIT */
#pragma once

#include "publish/wire.h"

G_BEGIN_DECLS

/**
 * A SUB socket that receives results. It belongs to one thread at a time, but for
 * seed_subscriber_cancel, which any thread and a signal handler may call. It connects on its own,
 * again and again, when the publisher is not there, goes away or breaks the protocol.
 */
typedef struct _SeedSubscriber SeedSubscriber;

#define SEED_SUBSCRIBER_DEFAULT_HWM 1000
#define SEED_SUBSCRIBER_DEFAULT_MAX_PART (16 * 1024 * 1024)

typedef struct {
  const char *endpoint;
  const char *const *prefixes; /* NULL-terminated; of topics, "" for all */
  int hwm;                     /* messages queued here */
  gint64 max_part;             /* bytes of one part; a peer that sends more is disconnected */
  const char *server_key; /* CURVE: file with the publisher's public key; NULL or "" for none */
  const char *client_key; /* with it: file with the own key pair */
} SeedSubscriberConfig;

/** Errors name the endpoint or the key file. */
SeedSubscriber *seed_subscriber_new (const SeedSubscriberConfig *config, GError **error);
void seed_subscriber_free (SeedSubscriber *subscriber);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedSubscriber, seed_subscriber_free)

typedef enum {
  SEED_RECEIVED_RESULT,     /* *result is set; it lives until the next call */
  SEED_RECEIVED_MALFORMED,  /* a message that is no result; error says why */
  SEED_RECEIVED_CONNECTION, /* seed_subscriber_is_connected may have changed */
  SEED_RECEIVED_TIMEOUT,
  SEED_RECEIVED_CANCELLED,
  SEED_RECEIVED_FAILED, /* the socket is broken; error says why */
} SeedReceived;

/** Waits up to @timeout_ms (-1: for ever) for the next thing to happen. */
SeedReceived seed_subscriber_receive (
    SeedSubscriber *subscriber, int timeout_ms, const SeedResult **result, GError **error);

/** Whether a ZeroMQ publisher has answered and not left since. */
gboolean seed_subscriber_is_connected (const SeedSubscriber *subscriber);

/** From now on seed_subscriber_receive returns SEED_RECEIVED_CANCELLED at once. Signal-safe. */
void seed_subscriber_cancel (SeedSubscriber *subscriber);
/** Ends that. */
void seed_subscriber_resume (SeedSubscriber *subscriber);

G_END_DECLS
