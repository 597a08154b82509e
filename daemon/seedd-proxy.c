/* SPDX-License-Identifier: MIT */
#include "seedd-proxy-private.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <seed/error.h>

#include "publish/endpoint.h"

#define LINGER_MS 200
#define RECONNECT_MS 20 /* a graph that restarts is found at once */
/* Changes of subscriptions that wait for a graph; beyond it they would be lost. */
#define UPSTREAM_HWM 16384

void
seedd_proxy_command_free (gpointer data)
{
  SeeddProxyCommand *command = data;

  g_free (command->graph);
  g_free (command->endpoint);
  g_free (command->topic);
  g_free (command->header);
  g_free (command);
}

static void
topic_free (gpointer data)
{
  g_free (((SeeddProxyTopic *) data)->header);
  g_free (data);
}

void
seedd_proxy_count (SeeddProxy *proxy, guint64 *counter, guint64 n)
{
  g_mutex_lock (&proxy->lock);
  *counter += n;
  g_mutex_unlock (&proxy->lock);
}

/* ---- life ---- */

static gboolean
set_options (void *socket, const SeeddProxyConfig *config, gboolean is_public)
{
  const struct {
    int option, value;
    gboolean public_only;
  } options[] = {
    { ZMQ_SNDHWM, is_public ? config->hwm : UPSTREAM_HWM, FALSE },
    { ZMQ_RCVHWM, config->hwm, FALSE },
    { ZMQ_LINGER, is_public ? LINGER_MS : 0, FALSE },
    { ZMQ_RECONNECT_IVL, RECONNECT_MS, FALSE },
    { ZMQ_XPUB_NODROP, 1, TRUE },   /* a full queue is an error, so that it can be counted */
    { ZMQ_TCP_KEEPALIVE, 1, TRUE }, /* a peer whose machine died is noticed */
    { ZMQ_TCP_KEEPALIVE_IDLE, 60, TRUE },
    { ZMQ_TCP_KEEPALIVE_INTVL, 10, TRUE },
    { ZMQ_TCP_KEEPALIVE_CNT, 6, TRUE },
    { ZMQ_IPV6, seed_endpoint_is_ipv6 (config->endpoint), TRUE },
  };
  for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
    if ((is_public || !options[i].public_only) &&
        zmq_setsockopt (socket, options[i].option, &options[i].value, sizeof (int)) < 0)
      return FALSE;
  }
  return TRUE;
}

static gboolean
set_guard (SeeddProxy *proxy, void *context, const SeeddProxyConfig *config, GError **error)
{
  SeedGateConfig gate = { .local = g_str_has_prefix (config->endpoint, "inproc://"),
    .max_connections = SEED_GATE_DEFAULT_CONNECTIONS,
    .limits = SEED_PEERS_DEFAULT_LIMITS };

  if (config->server_key) {
    proxy->keys =
        seedd_keys_new (context, "results", config->server_key, config->authorized, error);
    if (!proxy->keys)
      return FALSE;
    gate.zap = proxy->keys->zap;
    gate.server = proxy->keys->server;
  }
  proxy->gate = seed_gate_new (context, proxy->subscribers, &gate, error);
  if (!proxy->gate)
    g_prefix_error (error, "results: ");
  return proxy->gate != NULL;
}

/* The one place where the public socket is made ready: what guards it is set here, before it is
 * bound. */
static gboolean
bind_public (SeeddProxy *proxy, void *context, const SeeddProxyConfig *config, GError **error)
{
  g_autofree char *endpoint =
      seed_endpoint_for_bind (config->endpoint, config->insecure || config->server_key, error);
  char bound[1024];
  gsize size = sizeof bound;
  gboolean bound_at_all;
  const char *path;
  mode_t before;

  if (!endpoint) {
    g_prefix_error (error, "results: ");
    return FALSE;
  }
  path = seed_endpoint_ipc_path (endpoint);
  bound_at_all = set_options (proxy->subscribers, config, TRUE);
  if (bound_at_all && !set_guard (proxy, context, config, error))
    return FALSE;
  before = umask (0117); /* never open to all, not even for a moment */
  bound_at_all = bound_at_all && zmq_bind (proxy->subscribers, endpoint) == 0;
  umask (before);
  if (!bound_at_all || (path && chmod (path, 0660) < 0)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "results: endpoint \"%s\" cannot be bound: %s",
        config->endpoint, zmq_strerror (errno));
    return FALSE;
  }
  if (zmq_getsockopt (proxy->subscribers, ZMQ_LAST_ENDPOINT, bound, &size) == 0)
    proxy->endpoint = g_strdup (bound);
  else
    proxy->endpoint = g_steal_pointer (&endpoint);
  return TRUE;
}

SeeddProxy *
seedd_proxy_new (const SeeddProxyConfig *config, GError **error)
{
  g_autoptr (SeeddProxy) proxy = g_new0 (SeeddProxy, 1);
  void *context = seed_zmq_context_ref ();

  g_mutex_init (&proxy->lock);
  g_mutex_init (&proxy->gate_lock);
  proxy->endpoints = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  proxy->topics = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, topic_free);
  proxy->seqs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  proxy->fresh = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  proxy->commands = g_async_queue_new_full (seedd_proxy_command_free);
  proxy->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  proxy->graphs = zmq_socket (context, ZMQ_XSUB);
  proxy->subscribers = zmq_socket (context, ZMQ_XPUB);
  if (proxy->wake_fd < 0 || !proxy->graphs || !proxy->subscribers ||
      !set_options (proxy->graphs, config, FALSE)) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_IO, "results: no socket to be had: %s", zmq_strerror (errno));
    return NULL;
  }
  proxy->upstream = seedd_upstream_new (proxy->graphs);
  if (!bind_public (proxy, context, config, error))
    return NULL;
  proxy->thread = g_thread_new ("proxy", seedd_proxy_run, proxy);
  return g_steal_pointer (&proxy);
}

static void
order (SeeddProxy *proxy, SeeddProxyOrder what, const char *graph, const char *endpoint)
{
  SeeddProxyCommand *command = g_new0 (SeeddProxyCommand, 1);

  command->order = what;
  command->graph = g_strdup (graph);
  command->endpoint = g_strdup (endpoint);
  g_async_queue_push (proxy->commands, command);
  eventfd_write (proxy->wake_fd, 1);
}

void
seedd_proxy_free (SeeddProxy *proxy)
{
  if (!proxy)
    return;
  if (proxy->thread) {
    order (proxy, SEEDD_PROXY_STOP, NULL, NULL);
    g_thread_join (proxy->thread);
  }
  if (proxy->graphs)
    zmq_close (proxy->graphs);
  if (proxy->gate)
    seed_gate_shut (proxy->gate); /* then the socket, then what guarded it */
  if (proxy->subscribers)
    zmq_close (proxy->subscribers);
  seed_gate_free (proxy->gate);
  seedd_keys_free (proxy->keys);
  if (proxy->endpoint && seed_endpoint_ipc_path (proxy->endpoint))
    unlink (seed_endpoint_ipc_path (proxy->endpoint)); /* libzmq leaves it */
  seed_zmq_context_unref ();
  if (proxy->wake_fd >= 0)
    close (proxy->wake_fd);
  seedd_upstream_free (proxy->upstream);
  g_ptr_array_unref (proxy->fresh);
  g_hash_table_unref (proxy->endpoints);
  g_hash_table_unref (proxy->topics);
  g_hash_table_unref (proxy->seqs);
  g_async_queue_unref (proxy->commands);
  g_mutex_clear (&proxy->lock);
  g_mutex_clear (&proxy->gate_lock);
  g_free (proxy->endpoint);
  g_free (proxy);
}

const char *
seedd_proxy_endpoint (const SeeddProxy *proxy)
{
  return proxy->endpoint;
}

void
seedd_proxy_connect (SeeddProxy *proxy, const char *graph, const char *endpoint)
{
  order (proxy, SEEDD_PROXY_CONNECT, graph, endpoint);
}

void
seedd_proxy_disconnect (SeeddProxy *proxy, const char *graph, gboolean forget)
{
  order (proxy, SEEDD_PROXY_DISCONNECT, graph, NULL);
  if (forget)
    order (proxy, SEEDD_PROXY_FORGET, graph, NULL);
}

/* ---- events ---- */

static guint64
realtime_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  return (guint64) now.tv_sec * 1000000000u + (guint64) now.tv_nsec;
}

static guint64
next_seq (SeeddProxy *proxy, const char *topic)
{
  guint64 *next = g_hash_table_lookup (proxy->seqs, topic);

  if (!next) {
    next = g_new0 (guint64, 1);
    g_hash_table_insert (proxy->seqs, g_strdup (topic), next);
  }
  return (*next)++;
}

static void
copy_member (JsonObject *object, const char *name, JsonNode *node, gpointer to)
{
  json_object_set_member (to, name, json_node_copy (node));
}

void
seedd_proxy_publish_event (SeeddProxy *proxy, const char *graph, const char *event,
    const char *reason, JsonObject *details)
{
  g_autoptr (JsonObject) data = json_object_new ();
  SeedResult result = SEED_RESULT_INIT;
  SeeddProxyCommand *command = g_new0 (SeeddProxyCommand, 1);
  gboolean good;

  result.graph = graph;
  result.stream = SEED_WIRE_NO_STREAM;
  result.kind = "event";
  result.node = "seedd";
  result.data = data;
  result.capture_ns = result.publish_ns = realtime_ns ();
  json_object_set_string_member (data, "event", event);
  json_object_set_string_member (data, "reason", reason ? reason : "");
  if (details)
    json_object_foreach_member (details, copy_member, data);
  command->order = SEEDD_PROXY_EVENT;
  command->topic = seed_wire_build_topic (&result, NULL);
  g_mutex_lock (&proxy->lock);
  json_object_set_int_member (data, "id", (gint64) proxy->next_id++);
  if (command->topic)
    result.seq = next_seq (proxy, command->topic);
  if (command->topic)
    command->header = seed_wire_build_header (&result, &command->header_size, NULL);
  good = command->header != NULL;
  if (good)
    g_async_queue_push (proxy->commands, command); /* in the order of their numbers */
  g_mutex_unlock (&proxy->lock);
  if (good)
    eventfd_write (proxy->wake_fd, 1);
  else
    seedd_proxy_command_free (command);
}

static void
set_count (JsonObject *object, const char *name, guint64 n)
{
  json_object_set_int_member (object, name, (gint64) MIN (n, (guint64) G_MAXINT64));
}

static void
set_kinds (JsonObject *object, const char *name, const guint64 *counts)
{
  JsonObject *kinds = json_object_new ();

  for (guint i = 0; i < SEED_N_KINDS; i++)
    set_count (kinds, seed_kind_names ()[i], counts[i]);
  set_count (kinds, "other", counts[SEED_N_KINDS]);
  json_object_set_object_member (object, name, kinds);
}

/* Fresh when the thread is not at it; it may be for long, and the caller is not to wait. */
static void
get_gate_stats (SeeddProxy *proxy, SeedGateStats *stats)
{
  if (g_mutex_trylock (&proxy->gate_lock)) {
    seed_gate_get_stats (proxy->gate, stats);
    g_mutex_unlock (&proxy->gate_lock);
    return;
  }
  g_mutex_lock (&proxy->lock);
  *stats = proxy->gate_stats;
  g_mutex_unlock (&proxy->lock);
}

static JsonObject *
describe_gate (const SeedGateStats *stats)
{
  JsonObject *object = json_object_new ();

  set_count (object, "connections", stats->connections);
  set_count (object, "refused_subscriptions", stats->refused);
  set_count (object, "garbage", stats->garbage);
  set_count (object, "hung_up", stats->hung_up);
  set_count (object, "turned_away", stats->turned_away);
  set_count (object, "failed_handshakes", stats->failed);
  return object;
}

JsonObject *
seedd_proxy_stats (SeeddProxy *proxy)
{
  JsonObject *object = json_object_new ();
  SeeddProxyStats stats;
  SeedGateStats gate;

  get_gate_stats (proxy, &gate);
  g_mutex_lock (&proxy->lock);
  stats = proxy->stats;
  g_mutex_unlock (&proxy->lock);
  json_object_set_string_member (object, "endpoint", proxy->endpoint);
  json_object_set_boolean_member (object, "encrypted", proxy->keys != NULL);
  set_count (object, "subscriptions", gate.subscriptions);
  set_count (object, "upstream", stats.upstream);
  set_count (object, "received", stats.received);
  set_count (object, "sent", stats.sent);
  set_count (object, "dropped", stats.dropped);
  set_count (object, "set_aside", stats.set_aside);
  set_count (object, "retained", stats.retained);
  set_kinds (object, "sent_by_kind", stats.sent_by_kind);
  set_kinds (object, "dropped_by_kind", stats.dropped_by_kind);
  json_object_set_object_member (object, "subscribers", describe_gate (&gate));
  if (proxy->keys)
    json_object_set_object_member (object, "keys", seedd_keys_describe (proxy->keys));
  return object;
}
