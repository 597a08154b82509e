/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/zap.h>

#include "publish/peers.h"
#include "publish/watch.h"

G_BEGIN_DECLS

/**
 * Guards a ZeroMQ XPUB socket: keeps the account of its subscribers, honours what each key may read
 * and nothing else, and hangs up on those that go too far. For seedpublish and for whoever proxies
 * results. One thread at a time.
 *
 * With keys, subscriptions are granted one by one (ZMQ_XPUB_MANUAL). libzmq before 4.3.5 has two
 * traps there, and the gate walks around both:
 *  - a subscription of a connection that ended meanwhile would be given to freed memory. The gate
 *    asks first whether it is alive (watch.h).
 *  - a message that is no subscription makes libzmq mix up who sent the following ones. They are
 *    not granted; their senders are hung up on and come again, and the culprit's key is refused
 *    for a while.
 *
 * With or without keys, libzmq reads subscriptions for as long as there are any, in the thread that
 * uses the socket. What a connection may send is therefore bounded from outside of it (flood.h).
 */
typedef struct _SeedGate SeedGate;

typedef struct {
  SeedZap *zap;                   /* NULL: everybody may read everything */
  const SeedCurveKeypair *server; /* with zap */
  gboolean local; /* inproc: no connections, so nothing is known of peers and nothing limited */
  guint max_connections;
  SeedPeersLimits limits;
} SeedGateConfig;

#define SEED_GATE_DEFAULT_CONNECTIONS 1024u
#define SEED_GATE_BAN_S 10u
/* Bytes of one message to the socket: a prefix, or a handshake with CURVE. */
#define SEED_GATE_MAX_MESSAGE 1024

/** For a socket that is not bound yet and that is closed before the gate is freed. */
SeedGate *seed_gate_new (void *context, void *xpub, const SeedGateConfig *config, GError **error);
/** Nobody is let in from now on; before the socket is closed. */
void seed_gate_shut (SeedGate *gate);
/** NULL is allowed. */
void seed_gate_free (SeedGate *gate);

/** A subscription that was granted, or its end, also with its connection. May not call the gate. */
typedef void (*SeedGateFunc) (gboolean begins, const void *prefix, gsize size, gpointer data);

/**
 * Receives what waits in the socket, without waiting, and tells of what was granted (@func may be
 * NULL). To be called after every zmq_send, which may swallow the event of a subscription. Not for
 * longer than some milliseconds, so that a flood leaves time for sending: when there is more, one
 * of seed_gate_get_fds is readable.
 */
void seed_gate_receive (SeedGate *gate, SeedGateFunc func, gpointer data);

/**
 * The same, and sees to connections that ended and rights that changed. To be called when the
 * socket or one of seed_gate_get_fds is readable.
 */
void seed_gate_serve (SeedGate *gate, SeedGateFunc func, gpointer data);

/** Descriptors to wait for beside the socket's own; -1 for none. */
void seed_gate_get_fds (SeedGate *gate, int fds[2]);

typedef struct {
  guint64 subscriptions; /* granted, now */
  guint64 connections;   /* now */
  guint64 refused;       /* subscriptions outside of the rights of their key */
  guint64 garbage;       /* messages that are no subscription */
  guint64 hung_up;       /* connections: too many subscriptions or bytes, garbage, rights
                            withdrawn */
  guint64 turned_away;   /* connections beyond the limit */
  guint64 failed;        /* handshakes: no or wrong key, no ZeroMQ, silence */
} SeedGateStats;

void seed_gate_get_stats (SeedGate *gate, SeedGateStats *stats);

G_END_DECLS
