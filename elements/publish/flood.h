/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/zap.h>

#include "publish/watch.h"

G_BEGIN_DECLS

/**
 * Hangs up on connections that send more than a subscriber has reason to.
 *
 * libzmq reads a peer's subscriptions, in the thread of whoever uses the socket, until there are
 * none: who writes as fast as they are read keeps that thread inside of one call for as long as it
 * likes. Nothing in that thread can end this, so the bytes of each connection are counted by the
 * kernel (TCP_INFO), and looked at in the thread that answers handshakes: SEED_FLOOD_TICK_MS
 * apart while there are connections, and not at all while there are none.
 *
 * Only tcp: of a unix socket no one counts the bytes. Who may open that is decided by the mode of
 * its file, and trusted as far.
 */
typedef struct _SeedFlood SeedFlood;

/* All that one connection may ask for at once, encrypted (1024 prefixes with 42 bytes each around
 * them, and 64 KiB), and then some hundred subscriptions a second. More would be generous to the
 * wrong: the shortest one takes four bytes. */
#define SEED_FLOOD_BURST (128u * 1024)
#define SEED_FLOOD_RATE (8u * 1024)
#define SEED_FLOOD_TICK_MS 50
/* For so long no other connection from the same address is let in. Without that, coming back at
 * once would be a flood as well. */
#define SEED_FLOOD_PAUSE_MS 1000

/** Both outlive it. Returns NULL with SEED_ERROR_IO. */
SeedFlood *seed_flood_new (SeedWatch *watch, SeedZap *zap, GError **error);
/** Returns when nothing of it runs any more. NULL is allowed. */
void seed_flood_free (SeedFlood *flood);

/**
 * A connection makes its handshake; in the thread that answers it. FALSE: it is to be refused, for
 * one from the same address flooded not long ago.
 */
gboolean seed_flood_admit (SeedFlood *flood, const char *address);

G_END_DECLS
