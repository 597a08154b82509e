/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <zmq.h>

#include <seed/error.h>

#include "keys/zap-domain.h"
#include "publish/flood.h"
#include "publish/gate.h"

/* Without keys a message that is no subscription does no harm; XSUB sockets may send some. */
#define MAX_GARBAGE 64u
/* Messages from a peer that libzmq holds until they are read: more are left in the network. */
#define RECEIVE_HWM 256
/* What the kernel holds of a connection's bytes: they are still read when it was hung up on. */
#define RECEIVE_BUFFER (16 * 1024)
/* For so long messages are received in one call; the rest waits for the next one. */
#define RECEIVE_US 2000
/* Who says nothing for so long in the handshake is no subscriber. */
#define HANDSHAKE_MS 10000

struct _SeedGate {
  void *socket;
  gboolean local, manual;
  SeedZap *zap;     /* borrowed, with keys */
  SeedZap *own_zap; /* without */
  gboolean shut;
  SeedWatch *watch;
  SeedFlood *flood;
  SeedPeers *peers;
  guint64 generation; /* of the rights that peers have */
  gboolean mixed_up;  /* who sent what is not known until everything waiting was read */
  SeedGateStats stats;
  SeedGateFunc func; /* of the call that is going on */
  gpointer func_data;
};

static gboolean
on_admit (const char *address, guint64 *stamp, gpointer data)
{
  SeedGate *gate = data;

  if (!seed_flood_admit (gate->flood, address))
    return FALSE;
  *stamp = seed_watch_stamp (gate->watch);
  return TRUE;
}

static void
on_changed (gpointer data)
{
  seed_watch_wake (((SeedGate *) data)->watch);
}

/* Descriptors must be left for all else that the process does. */
static guint
connection_limit (guint wanted)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
    return wanted;
  return MIN (wanted, (guint) MIN (limit.rlim_cur / 2, G_MAXUINT));
}

static gboolean
set_options (SeedGate *gate, GError **error)
{
  const struct {
    int option, value;
  } options[] = {
    { ZMQ_XPUB_VERBOSER, 1 }, /* every subscription and its end, not the first and last alone */
    { ZMQ_XPUB_MANUAL, gate->manual },
    { ZMQ_RCVHWM, RECEIVE_HWM },
    { ZMQ_RCVBUF, RECEIVE_BUFFER },
    { ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS },
  };
  gint64 max_message = SEED_GATE_MAX_MESSAGE;

  for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
    if (zmq_setsockopt (gate->socket, options[i].option, &options[i].value, sizeof (int)) < 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "ZeroMQ option %d: %s", options[i].option,
          zmq_strerror (errno));
      return FALSE;
    }
  }
  zmq_setsockopt (gate->socket, ZMQ_MAXMSGSIZE, &max_message, sizeof max_message);
  return TRUE;
}

static gboolean
guard (SeedGate *gate, void *context, const SeedGateConfig *config, GError **error)
{
  SeedZapHook hook = { on_admit, on_changed, gate };

  gate->watch =
      seed_watch_new (context, gate->socket, connection_limit (config->max_connections), error);
  if (!gate->watch)
    return FALSE;
  if (!config->zap) {
    gate->own_zap = seed_zap_new (context, NULL, error);
    if (!gate->own_zap)
      return FALSE;
  }
  gate->zap = config->zap ? config->zap : gate->own_zap;
  gate->generation = seed_zap_generation (gate->zap);
  gate->flood = seed_flood_new (gate->watch, gate->zap, error);
  if (!gate->flood)
    return FALSE;
  return seed_zap_apply_hooked (
      gate->zap, gate->socket, config->server, SEED_ZAP_RESULTS, &hook, error);
}

static void
on_ended (GBytes *prefix, gpointer data)
{
  SeedGate *gate = data;
  gsize size;
  const void *bytes = g_bytes_get_data (prefix, &size);

  if (gate->func)
    gate->func (FALSE, bytes ? bytes : "", size, gate->func_data);
}

SeedGate *
seed_gate_new (void *context, void *xpub, const SeedGateConfig *config, GError **error)
{
  SeedGate *gate = g_new0 (SeedGate, 1);

  gate->socket = xpub;
  gate->local = config->local;
  gate->manual = config->zap != NULL && !config->local;
  gate->peers = seed_peers_new (&config->limits);
  seed_peers_set_ended (gate->peers, on_ended, gate);
  if (set_options (gate, error) && (gate->local || guard (gate, context, config, error)))
    return gate;
  seed_gate_shut (gate);
  seed_gate_free (gate);
  return NULL;
}

void
seed_gate_shut (SeedGate *gate)
{
  if (gate->watch && gate->zap && !gate->shut)
    seed_zap_forget (gate->zap, gate);
  g_clear_pointer (&gate->flood, seed_flood_free);
  gate->shut = TRUE;
}

void
seed_gate_free (SeedGate *gate)
{
  if (!gate)
    return;
  seed_gate_shut (gate);
  seed_watch_free (gate->watch);
  seed_peers_free (gate->peers);
  seed_zap_free (gate->own_zap);
  g_free (gate);
}

static void
condemn (SeedGate *gate, SeedPeer *peer)
{
  if (peer->condemned)
    return;
  peer->condemned = TRUE;
  seed_watch_hang_up (gate->watch, peer->fd, peer->stamp);
}

static int
fd_of (zmq_msg_t *message)
{
  return zmq_msg_get (message, ZMQ_SRCFD);
}

/* The peer that sent @message, or NULL when it is gone. */
static SeedPeer *
get_peer (SeedGate *gate, zmq_msg_t *message)
{
  const char *key = zmq_msg_gets (message, "User-Id");
  guint64 number, stamp;
  SeedPeer *peer;
  int fd = fd_of (message);

  if (!seed_zap_peer_of (message, &number, &stamp) || fd < 0 ||
      !seed_watch_is_alive (gate->watch, fd, stamp))
    return NULL;
  peer = seed_peers_get (gate->peers, number);
  if (!peer)
    peer = seed_peers_add (gate->peers, number, fd, stamp, key ? key : "",
        gate->manual ? seed_zap_rights_of (gate->zap, key ? key : "") : NULL);
  return peer;
}

/* In manual mode, for the sender of the message received last. */
static void
tell_libzmq (SeedGate *gate, gboolean begins, GBytes *prefix)
{
  gsize size;
  const void *data = g_bytes_get_data (prefix, &size);

  if (gate->manual)
    zmq_setsockopt (gate->socket, begins ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, data ? data : "", size);
}

static GPtrArray *
grantable (const SeedPeer *peer, const SeedSubscription *subscription)
{
  GPtrArray *prefixes;

  if (peer->rights)
    return seed_rights_narrow (peer->rights, subscription->prefix, subscription->size);
  prefixes = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  if (!*peer->key) /* without keys all is allowed; a key without rights has lost them since */
    g_ptr_array_add (prefixes, g_bytes_new (subscription->prefix, subscription->size));
  return prefixes;
}

static void
apply (SeedGate *gate, SeedPeer *peer, const SeedSubscription *subscription, SeedGateFunc func,
    gpointer data)
{
  g_autoptr (GPtrArray) prefixes = grantable (peer, subscription);

  if (subscription->begins && prefixes->len == 0)
    gate->stats.refused++;
  for (guint i = 0; i < prefixes->len; i++) {
    GBytes *prefix = prefixes->pdata[i];
    gsize size;
    const void *bytes;

    if (!(subscription->begins ? seed_peers_grant : seed_peers_ungrant) (gate->peers, peer, prefix))
      continue;
    tell_libzmq (gate, subscription->begins, prefix);
    bytes = g_bytes_get_data (prefix, &size);
    if (func)
      func (subscription->begins, bytes ? bytes : "", size, data);
  }
}

static void
handle_garbage (SeedGate *gate, SeedPeer *peer)
{
  gate->stats.garbage++;
  if (gate->manual)
    gate->mixed_up = TRUE;
  if (!peer)
    return;
  peer->n_garbage++;
  if (gate->manual && *peer->key)
    seed_zap_ban (gate->zap, peer->key, SEED_GATE_BAN_S);
  if (gate->manual || peer->n_garbage > MAX_GARBAGE)
    condemn (gate, peer);
}

static void
handle_local (
    SeedGate *gate, const SeedSubscription *subscription, SeedGateFunc func, gpointer data)
{
  if (subscription->begins)
    gate->stats.subscriptions++;
  else if (gate->stats.subscriptions > 0)
    gate->stats.subscriptions--;
  if (func)
    func (subscription->begins, subscription->prefix, subscription->size, data);
}

static void
handle_message (SeedGate *gate, zmq_msg_t *message, SeedGateFunc func, gpointer data)
{
  SeedSubscription subscription;
  gboolean garbage =
      !seed_subscription_parse (zmq_msg_data (message), zmq_msg_size (message), &subscription);
  SeedPeer *peer;

  if (gate->local) {
    if (!garbage)
      handle_local (gate, &subscription, func, data);
    return;
  }
  peer = get_peer (gate, message);
  if (garbage) {
    handle_garbage (gate, peer);
    return;
  }
  if (!peer || peer->condemned)
    return; /* gone, or about to; libzmq's own notes of its end come without a sender */
  if (gate->mixed_up) {
    condemn (gate, peer);
    return;
  }
  switch (seed_peers_ask (gate->peers, peer, &subscription)) {
  case SEED_PEERS_NEW:
    apply (gate, peer, &subscription, func, data);
    break;
  case SEED_PEERS_TOO_MUCH:
    condemn (gate, peer);
    break;
  case SEED_PEERS_KNOWN:
    break;
  }
}

/* Connections that ended, and rights that changed: those who had others must come again. */
static void
look_around (SeedGate *gate)
{
  g_autoptr (GArray) ended = seed_watch_take_ended (gate->watch);
  guint64 generation = gate->zap ? seed_zap_generation (gate->zap) : 0;
  g_autoptr (GList) list = NULL;

  for (guint i = 0; i < ended->len; i++) {
    int fd = g_array_index (ended, int, i);
    const SeedPeer *peer = seed_peers_on_fd (gate->peers, fd);

    if (peer && !seed_watch_is_alive (gate->watch, fd, peer->stamp))
      seed_peers_remove_fd (gate->peers, fd);
  }
  if (generation == gate->generation)
    return;
  gate->generation = generation;
  list = gate->manual ? seed_peers_list (gate->peers) : NULL;
  for (GList *l = list; l; l = l->next) {
    SeedPeer *peer = l->data;
    g_autoptr (SeedRights) rights = seed_zap_rights_of (gate->zap, peer->key);

    if (!seed_rights_equal (rights, peer->rights))
      condemn (gate, peer);
  }
}

void
seed_gate_receive (SeedGate *gate, SeedGateFunc func, gpointer data)
{
  gint64 end_us = g_get_monotonic_time () + RECEIVE_US;
  gboolean more;
  zmq_msg_t message;

  gate->func = func;
  gate->func_data = data;
  zmq_msg_init (&message);
  do {
    int received = zmq_msg_recv (&message, gate->socket, ZMQ_DONTWAIT);

    more = received >= 0 || errno == EINTR;
    if (received >= 0)
      handle_message (gate, &message, func, data);
  } while (more && (gate->local || g_get_monotonic_time () < end_us));
  zmq_msg_close (&message);
  if (more)
    seed_watch_wake (gate->watch); /* libzmq tells of what waits only once */
  else
    gate->mixed_up = FALSE;
}

void
seed_gate_serve (SeedGate *gate, SeedGateFunc func, gpointer data)
{
  gate->func = func;
  gate->func_data = data;
  if (!gate->local)
    look_around (gate); /* first: it takes note of having been woken, receiving may wake again */
  seed_gate_receive (gate, func, data);
}

void
seed_gate_get_fds (SeedGate *gate, int fds[2])
{
  fds[0] = fds[1] = -1;
  if (gate->watch)
    seed_watch_get_fds (gate->watch, fds);
}

void
seed_gate_get_stats (SeedGate *gate, SeedGateStats *stats)
{
  SeedPeersStats peers;
  SeedWatchStats watch;

  *stats = gate->stats;
  if (gate->local)
    return;
  seed_peers_get_stats (gate->peers, &peers);
  seed_watch_get_stats (gate->watch, &watch);
  stats->subscriptions = peers.subscriptions;
  stats->connections = watch.open;
  stats->hung_up = watch.hung_up;
  stats->turned_away = watch.turned_away;
  stats->failed = watch.failed;
}
