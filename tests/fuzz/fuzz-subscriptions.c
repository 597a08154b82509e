/* SPDX-License-Identifier: MIT */
#include "publish/peers.h"

#include "fuzz.h"

static const SeedPeersLimits limits = { 4, 10, 64, 128 };

static SeedPeer *
peer_on (SeedPeers *peers, int fd)
{
  static guint64 number;
  SeedPeer *peer = seed_peers_on_fd (peers, fd);

  return peer ? peer : seed_peers_add (peers, ++number, fd, 0, "", NULL);
}

static void
hand_in (SeedPeers *peers, SeedPeer *peer, const void *data, gsize size)
{
  g_autoptr (GBytes) prefix = NULL;
  SeedSubscription subscription;

  if (!seed_subscription_parse (data, size, &subscription)) {
    g_assert_true (size == 0 || *(const guint8 *) data > 1);
    return;
  }
  prefix = g_bytes_new (subscription.prefix, subscription.size);
  if (seed_peers_ask (peers, peer, &subscription) != SEED_PEERS_NEW)
    return;
  /* two spellings of one subscription, as narrowing makes them */
  if (subscription.size > 8) {
    g_bytes_unref (prefix);
    prefix = g_bytes_new (subscription.prefix, 8);
  }
  if (subscription.begins)
    seed_peers_grant (peers, peer, prefix);
  else
    g_assert_true (seed_peers_ungrant (peers, peer, prefix) || subscription.size >= 8);
}

/* The account is within its limits, and empty when everybody is gone. */
static void
check (SeedPeers *peers)
{
  SeedPeersStats stats;

  seed_peers_get_stats (peers, &stats);
  g_assert_cmpuint (stats.asked, <=, limits.max_subscriptions);
  g_assert_cmpuint (stats.bytes, <=, limits.max_bytes);
  g_assert_cmpuint (stats.subscriptions, <=, stats.asked);
}

/* Messages: a byte that says who (or, from 128, who leaves), one of length, and what was sent. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (SeedPeers) peers = seed_peers_new (&limits);
  SeedPeersStats stats;

  for (size_t at = 0; at + 2 <= size;) {
    int fd = data[at] % 8;
    size_t length = MIN ((size_t) data[at + 1], size - at - 2);

    if (data[at] >= 128)
      seed_peers_remove_fd (peers, fd);
    else
      hand_in (peers, peer_on (peers, fd), data + at + 2, length);
    check (peers);
    at += 2 + length;
  }
  for (int fd = 0; fd < 8; fd++)
    seed_peers_remove_fd (peers, fd);
  seed_peers_get_stats (peers, &stats);
  g_assert_cmpuint (stats.peers + stats.subscriptions + stats.asked + stats.bytes, ==, 0);
  return 0;
}
