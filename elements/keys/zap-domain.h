/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/zap.h>

G_BEGIN_DECLS

/**
 * For a stage that keeps an account of a socket's peers: each accepted handshake gets a number of
 * its own and a stamp that the stage gives, and every message of that connection bears both.
 */
#define SEED_ZAP_PROPERTY "X-Seed-Peer" /* "NUMBER.STAMP" */

typedef struct {
  /* The stamp of a handshake that is going on; FALSE: the peer at that address is refused. In the
   * handler's thread; may not call seed_zap_. */
  gboolean (*admit) (const char *address, guint64 *stamp, gpointer data);
  /* The folder was read again. In any thread; may not call seed_zap_. */
  void (*changed) (gpointer data);
  gpointer data;
} SeedZapHook;

/** seed_zap_apply_server with a hook, which must live until seed_zap_forget. */
gboolean seed_zap_apply_hooked (SeedZap *zap, void *socket, const SeedCurveKeypair *server,
    SeedZapUse use, const SeedZapHook *hook, GError **error);
/** The hook with this data is not called any more; its socket lets nobody in. */
void seed_zap_forget (SeedZap *zap, gpointer hook_data);

/** Counts how often the folder was read: when it is the same, so are the rights. */
guint64 seed_zap_generation (SeedZap *zap);

/** As seed_zap_rights_for, by the key that ZeroMQ gives as "User-Id". */
SeedRights *seed_zap_rights_of (SeedZap *zap, const char *key);

/** Refuses handshakes of a key for a time: its bearer broke the protocol on purpose. */
void seed_zap_ban (SeedZap *zap, const char *key, guint seconds);

/** Calls @func in the thread that answers handshakes whenever @fd is readable. */
guint seed_zap_add_fd (SeedZap *zap, int fd, void (*func) (gpointer data), gpointer data);
/** Returns when the function is not running and will not run any more. */
void seed_zap_remove_fd (SeedZap *zap, guint id);

/** The number and stamp of a message's peer. FALSE when it has none: not from the network. */
gboolean seed_zap_peer_of (struct zmq_msg_t *message, guint64 *number, guint64 *stamp);

G_END_DECLS
