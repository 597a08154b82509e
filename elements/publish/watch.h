/* SPDX-License-Identifier: MIT */
#pragma once

#include "publish/allowance.h"

G_BEGIN_DECLS

/**
 * Which connections of a bound socket are alive. libzmq does not say so of a message's sender, and
 * its descriptor's number is used again; but it tells of every connection's end, before it closes
 * the descriptor. So a number of such events, noted while a connection makes its handshake (the
 * stamp), tells later connections on the same descriptor from it:
 *
 *   the connection is gone  <=>  its descriptor was closed after its stamp
 *
 * One may therefore ask whether a sender still is there, and hang up on exactly that one. libzmq
 * sees the latter as the peer's doing. Thread-safe.
 */
typedef struct _SeedWatch SeedWatch;

/**
 * Watches @socket, which is not bound yet; @max_connections: those beyond it are hung up on.
 * Returns NULL with SEED_ERROR_IO.
 */
SeedWatch *seed_watch_new (void *context, void *socket, guint max_connections, GError **error);
/** After the socket was closed. NULL is allowed. */
void seed_watch_free (SeedWatch *watch);

/** A stamp for a connection that is in its handshake now. */
guint64 seed_watch_stamp (SeedWatch *watch);
/** Whether the connection with that descriptor and stamp is still there. */
gboolean seed_watch_is_alive (SeedWatch *watch, int fd, guint64 stamp);
/** Hangs up on it; FALSE when it is gone already. */
gboolean seed_watch_hang_up (SeedWatch *watch, int fd, guint64 stamp);

/**
 * Hangs up on connections that have sent more than each is allowed; to be called again and again.
 * Only of TCP is it known what was sent. Appends the addresses of those, as libzmq writes
 * them, to @addresses (strings). Returns how many connections are open.
 */
guint64 seed_watch_weigh (
    SeedWatch *watch, const SeedAllowance *allowance, gint64 now_us, GPtrArray *addresses);

/** Descriptors on which connections ended since the last call: int in a GArray, to be unreffed. */
GArray *seed_watch_take_ended (SeedWatch *watch);

/** Readable when there may be something for seed_watch_take_ended, or seed_watch_wake was called.
 */
void seed_watch_get_fds (SeedWatch *watch, int fds[2]);
void seed_watch_wake (SeedWatch *watch);

typedef struct {
  guint64 open;        /* connections now, in handshake or beyond */
  guint64 accepted;    /* since the begin */
  guint64 failed;      /* handshakes that failed: no key, wrong protocol, silence */
  guint64 turned_away; /* connections beyond the limit */
  guint64 hung_up;     /* others that were hung up on, each once */
} SeedWatchStats;

void seed_watch_get_stats (SeedWatch *watch, SeedWatchStats *stats);

G_END_DECLS
