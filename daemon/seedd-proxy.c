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
#define MAX_SUBSCRIPTION (2 * SEED_WIRE_MAX_TOPIC)

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
    { ZMQ_SNDHWM, config->hwm, FALSE },
    { ZMQ_RCVHWM, config->hwm, FALSE },
    { ZMQ_LINGER, is_public ? LINGER_MS : 0, FALSE },
    { ZMQ_RECONNECT_IVL, RECONNECT_MS, FALSE },
    { ZMQ_XPUB_NODROP, 1, TRUE },   /* a full queue is an error, so that it can be counted */
    { ZMQ_XPUB_VERBOSER, 1, TRUE }, /* every subscription and its end */
    { ZMQ_TCP_KEEPALIVE, 1, TRUE }, /* a peer whose machine died is noticed */
    { ZMQ_TCP_KEEPALIVE_IDLE, 60, TRUE },
    { ZMQ_TCP_KEEPALIVE_INTVL, 10, TRUE },
    { ZMQ_TCP_KEEPALIVE_CNT, 6, TRUE },
    { ZMQ_IPV6, seed_endpoint_is_ipv6 (config->endpoint), TRUE },
  };
  gint64 max_message = MAX_SUBSCRIPTION;

  for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
    if ((is_public || !options[i].public_only) &&
        zmq_setsockopt (socket, options[i].option, &options[i].value, sizeof (int)) < 0)
      return FALSE;
  }
  return !is_public ||
         zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &max_message, sizeof max_message) == 0;
}

/* The one place where the public socket is made ready: whatever guards it (CURVE, ZAP) is set here,
 * before it is bound. */
static gboolean
bind_public (SeeddProxy *proxy, const SeeddProxyConfig *config, GError **error)
{
  g_autofree char *endpoint = seed_endpoint_for_bind (config->endpoint, config->insecure, error);
  char bound[1024];
  gsize size = sizeof bound;
  const char *path;

  if (!endpoint)
    return FALSE;
  path = seed_endpoint_ipc_path (endpoint);
  if (!set_options (proxy->subscribers, config, TRUE) ||
      zmq_bind (proxy->subscribers, endpoint) < 0 || (path && chmod (path, 0660) < 0)) {
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
  proxy->endpoints = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  proxy->topics = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, topic_free);
  proxy->seqs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
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
  if (!bind_public (proxy, config, error))
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
  if (proxy->subscribers)
    zmq_close (proxy->subscribers);
  if (proxy->endpoint && seed_endpoint_ipc_path (proxy->endpoint))
    unlink (seed_endpoint_ipc_path (proxy->endpoint)); /* libzmq leaves it */
  seed_zmq_context_unref ();
  if (proxy->wake_fd >= 0)
    close (proxy->wake_fd);
  g_hash_table_unref (proxy->endpoints);
  g_hash_table_unref (proxy->topics);
  g_hash_table_unref (proxy->seqs);
  g_async_queue_unref (proxy->commands);
  g_mutex_clear (&proxy->lock);
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

JsonObject *
seedd_proxy_stats (SeeddProxy *proxy)
{
  JsonObject *object = json_object_new ();
  SeeddProxyStats stats;

  g_mutex_lock (&proxy->lock);
  stats = proxy->stats;
  g_mutex_unlock (&proxy->lock);
  json_object_set_string_member (object, "endpoint", proxy->endpoint);
  set_count (object, "subscriptions", stats.subscriptions);
  set_count (object, "received", stats.received);
  set_count (object, "sent", stats.sent);
  set_count (object, "dropped", stats.dropped);
  set_count (object, "set_aside", stats.set_aside);
  set_count (object, "retained", stats.retained);
  return object;
}
