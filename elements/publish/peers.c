/* SPDX-License-Identifier: MIT */
#include "publish/peers.h"

#include <seed/zap.h>

struct _SeedPeers {
  SeedPeersLimits limits;
  GHashTable *by_number; /* guint64 -> SeedPeer, owned */
  GHashTable *by_fd;     /* fd -> SeedPeer */
  SeedPeersStats stats;
};

gboolean
seed_subscription_parse (const void *data, gsize size, SeedSubscription *subscription)
{
  const guint8 *bytes = data;

  if (size == 0 || bytes[0] > 1)
    return FALSE;
  subscription->begins = bytes[0] == 1;
  subscription->prefix = bytes + 1;
  subscription->size = size - 1;
  return TRUE;
}

static void
peer_free (gpointer data)
{
  SeedPeer *peer = data;

  g_hash_table_unref (peer->asked);
  g_hash_table_unref (peer->granted);
  seed_rights_unref (peer->rights);
  g_free (peer->key);
  g_free (peer);
}

SeedPeers *
seed_peers_new (const SeedPeersLimits *limits)
{
  SeedPeers *peers = g_new0 (SeedPeers, 1);

  peers->limits = *limits;
  peers->by_number = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, peer_free);
  peers->by_fd = g_hash_table_new (NULL, NULL);
  return peers;
}

void
seed_peers_free (SeedPeers *peers)
{
  if (!peers)
    return;
  g_hash_table_unref (peers->by_fd);
  g_hash_table_unref (peers->by_number);
  g_free (peers);
}

SeedPeer *
seed_peers_get (SeedPeers *peers, guint64 number)
{
  return g_hash_table_lookup (peers->by_number, &number);
}

SeedPeer *
seed_peers_on_fd (SeedPeers *peers, int fd)
{
  return g_hash_table_lookup (peers->by_fd, GINT_TO_POINTER (fd));
}

GList *
seed_peers_list (SeedPeers *peers)
{
  return g_hash_table_get_values (peers->by_number);
}

SeedPeer *
seed_peers_add (
    SeedPeers *peers, guint64 number, int fd, guint64 stamp, const char *key, gpointer rights)
{
  SeedPeer *peer = g_new0 (SeedPeer, 1);

  seed_peers_remove_fd (peers, fd);
  peer->number = number;
  peer->fd = fd;
  peer->stamp = stamp;
  peer->key = g_strdup (key);
  peer->rights = rights;
  peer->asked =
      g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
  peer->granted =
      g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
  g_hash_table_insert (peers->by_number, &peer->number, peer);
  g_hash_table_insert (peers->by_fd, GINT_TO_POINTER (fd), peer);
  peers->stats.peers++;
  return peer;
}

void
seed_peers_remove_fd (SeedPeers *peers, int fd)
{
  SeedPeer *peer = seed_peers_on_fd (peers, fd);

  if (!peer)
    return;
  peers->stats.peers--;
  peers->stats.subscriptions -= g_hash_table_size (peer->granted);
  peers->stats.asked -= g_hash_table_size (peer->asked);
  peers->stats.bytes -= peer->bytes;
  g_hash_table_remove (peers->by_fd, GINT_TO_POINTER (fd));
  g_hash_table_remove (peers->by_number, &peer->number);
}

static SeedPeersVerdict
forget (SeedPeers *peers, SeedPeer *peer, const SeedSubscription *subscription)
{
  g_autoptr (GBytes) prefix = g_bytes_new_static (subscription->prefix, subscription->size);

  if (!g_hash_table_remove (peer->asked, prefix))
    return SEED_PEERS_KNOWN;
  peer->bytes -= subscription->size;
  peers->stats.bytes -= subscription->size;
  peers->stats.asked--;
  return SEED_PEERS_NEW;
}

SeedPeersVerdict
seed_peers_ask (SeedPeers *peers, SeedPeer *peer, const SeedSubscription *subscription)
{
  g_autoptr (GBytes) prefix = g_bytes_new_static (subscription->prefix, subscription->size);

  if (!subscription->begins)
    return forget (peers, peer, subscription);
  if (g_hash_table_contains (peer->asked, prefix))
    return SEED_PEERS_KNOWN;
  if (g_hash_table_size (peer->asked) >= peers->limits.subscriptions ||
      peers->stats.asked >= peers->limits.max_subscriptions ||
      peer->bytes + subscription->size > peers->limits.bytes ||
      peers->stats.bytes + subscription->size > peers->limits.max_bytes)
    return SEED_PEERS_TOO_MUCH;
  g_hash_table_add (peer->asked, g_bytes_new (subscription->prefix, subscription->size));
  peer->bytes += subscription->size;
  peers->stats.bytes += subscription->size;
  peers->stats.asked++;
  return SEED_PEERS_NEW;
}

gboolean
seed_peers_grant (SeedPeers *peers, SeedPeer *peer, GBytes *prefix)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (peer->granted, prefix));

  g_hash_table_insert (peer->granted, g_bytes_ref (prefix), GUINT_TO_POINTER (n + 1));
  peers->stats.subscriptions += n == 0;
  return n == 0;
}

gboolean
seed_peers_ungrant (SeedPeers *peers, SeedPeer *peer, GBytes *prefix)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (peer->granted, prefix));

  if (n > 1)
    g_hash_table_insert (peer->granted, g_bytes_ref (prefix), GUINT_TO_POINTER (n - 1));
  if (n != 1)
    return FALSE;
  g_hash_table_remove (peer->granted, prefix);
  peers->stats.subscriptions--;
  return TRUE;
}

void
seed_peers_get_stats (const SeedPeers *peers, SeedPeersStats *stats)
{
  *stats = peers->stats;
}
