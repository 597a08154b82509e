/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * The account of who subscribed to what: what a subscriber asked for costs memory in libzmq too,
 * whether it was granted or not, so both are counted, and limited for each peer and for all. Does
 * no I/O; not thread-safe.
 */
typedef struct _SeedPeers SeedPeers;

typedef struct {
  guint subscriptions, max_subscriptions; /* of one peer, of all */
  gsize bytes, max_bytes;                 /* of their prefixes, of one peer, of all */
} SeedPeersLimits;

#define SEED_PEERS_DEFAULT_LIMITS                                                                  \
  {                                                                                                \
    1024, 65536, 64 * 1024, 2 * 1024 * 1024                                                        \
  }

/** A subscription, or its end, as a peer of an XPUB sends it. */
typedef struct {
  gboolean begins;
  const void *prefix;
  gsize size;
} SeedSubscription;

/** FALSE when the message is none. */
gboolean seed_subscription_parse (const void *data, gsize size, SeedSubscription *subscription);

SeedPeers *seed_peers_new (const SeedPeersLimits *limits);
void seed_peers_free (SeedPeers *peers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedPeers, seed_peers_free)

/** One connection. */
typedef struct {
  guint64 number, stamp;
  int fd;
  char *key;       /* "" without CURVE */
  gpointer rights; /* SeedRights, or NULL */
  gboolean condemned;
  guint n_garbage;
  /* private */
  GHashTable *asked;   /* set of GBytes */
  GHashTable *granted; /* GBytes -> guint: how many of the asked it stands for */
  gsize bytes;
} SeedPeer;

/** The peer with that number, or NULL. */
SeedPeer *seed_peers_get (SeedPeers *peers, guint64 number);
/** A new peer; another on the same descriptor is forgotten: it must be gone. Owns @rights. */
SeedPeer *seed_peers_add (
    SeedPeers *peers, guint64 number, int fd, guint64 stamp, const char *key, gpointer rights);
/** Forgets the peer on a descriptor, if there is one; so does seed_peers_free. */
void seed_peers_remove_fd (SeedPeers *peers, int fd);
/** The peer on a descriptor, or NULL. */
SeedPeer *seed_peers_on_fd (SeedPeers *peers, int fd);
/** All of them; free the list, not the peers. */
GList *seed_peers_list (SeedPeers *peers);

typedef enum {
  SEED_PEERS_NEW,
  SEED_PEERS_KNOWN,    /* it had asked for that before, or never had */
  SEED_PEERS_TOO_MUCH, /* beyond a limit; nothing was noted */
} SeedPeersVerdict;

SeedPeersVerdict
seed_peers_ask (SeedPeers *peers, SeedPeer *peer, const SeedSubscription *subscription);

/** One more (or less) asked subscription is served by @prefix. TRUE for the first (or last). */
gboolean seed_peers_grant (SeedPeers *peers, SeedPeer *peer, GBytes *prefix);
gboolean seed_peers_ungrant (SeedPeers *peers, SeedPeer *peer, GBytes *prefix);

typedef struct {
  guint64 peers;         /* that subscribed to something */
  guint64 subscriptions; /* granted; a peer with two prefixes counts twice */
  guint64 asked, bytes;  /* subscriptions and bytes of their prefixes, granted or not */
} SeedPeersStats;

void seed_peers_get_stats (const SeedPeers *peers, SeedPeersStats *stats);

G_END_DECLS
