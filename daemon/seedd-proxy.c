/* SPDX-License-Identifier: MIT */
#include "seedd-proxy.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include <seed/error.h>

#include "publish/endpoint.h"
#include "publish/publisher.h"

#define LINGER_MS 200
#define RECONNECT_MS 20       /* a graph that restarts is found at once */
#define MAX_TURN 256          /* messages in one turn */
#define MAX_LAST_WORDS 100000 /* messages of a graph that has ended */
#define MAX_TOPICS 65536u
#define MAX_RETAINED 4096u
#define MAX_SUBSCRIPTION (2 * SEED_WIRE_MAX_TOPIC)

typedef enum { CONNECT, DISCONNECT, FORGET, EVENT, STOP } Order;

typedef struct {
  Order order;
  char *graph, *endpoint;
  char *topic, *header; /* of an event */
  gsize header_size;
} Command;

typedef struct {
  gint64 full_since; /* monotonic us of the first drop in a row, 0 when the last one was sent */
  char *header;      /* retained, or NULL */
  gsize header_size;
} Topic;

typedef struct {
  guint64 subscriptions, received, sent, bytes, dropped, set_aside, retained;
} Stats;

struct _SeeddProxy {
  void *graphs;          /* XSUB; of the thread, as all up to the lock */
  void *subscribers;     /* XPUB */
  GHashTable *endpoints; /* endpoint -> graph */
  GHashTable *topics;    /* topic -> Topic */
  guint n_retained;
  GThread *thread;
  char *endpoint;
  int wake_fd;
  GAsyncQueue *commands;

  GMutex lock;
  Stats stats;
  GHashTable *seqs; /* topic of an event -> next seq */
  guint64 next_id;
};

static void
command_free (gpointer data)
{
  Command *command = data;

  g_free (command->graph);
  g_free (command->endpoint);
  g_free (command->topic);
  g_free (command->header);
  g_free (command);
}

static void
topic_free (gpointer data)
{
  g_free (((Topic *) data)->header);
  g_free (data);
}

static void
count (SeeddProxy *proxy, guint64 *counter, guint64 n)
{
  g_mutex_lock (&proxy->lock);
  *counter += n;
  g_mutex_unlock (&proxy->lock);
}

/* ---- to the subscribers ---- */

typedef struct {
  zmq_msg_t parts[SEED_WIRE_MAX_PARTS];
  guint n;
} Message;

static void
message_clear (Message *message)
{
  for (guint i = 0; i < message->n; i++)
    zmq_msg_close (&message->parts[i]);
  message->n = 0;
}

/* FALSE with errno when it went nowhere. The parts are taken when it went, and copied first when
 * they may be needed again. libzmq decides at the first part; the others follow it. */
static gboolean
send_parts (SeeddProxy *proxy, Message *message)
{
  for (guint i = 0; i < message->n; i++) {
    int flags = ZMQ_DONTWAIT | (i + 1 < message->n ? ZMQ_SNDMORE : 0), sent;

    do
      sent = zmq_msg_send (&message->parts[i], proxy->subscribers, flags);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
      return FALSE;
  }
  return TRUE;
}

static Topic *
get_topic (SeeddProxy *proxy, const char *name)
{
  Topic *topic = g_hash_table_lookup (proxy->topics, name);

  if (!topic && g_hash_table_size (proxy->topics) < MAX_TOPICS) {
    topic = g_new0 (Topic, 1);
    g_hash_table_insert (proxy->topics, g_strdup (name), topic);
  }
  return topic;
}

/* The last state of training and health, for those who come later. */
static void
retain (SeeddProxy *proxy, Topic *topic, Message *message)
{
  gsize size = zmq_msg_size (&message->parts[1]);

  if (size > SEED_WIRE_MAX_HEADER || (!topic->header && proxy->n_retained >= MAX_RETAINED))
    return;
  if (!topic->header) {
    proxy->n_retained++;
    count (proxy, &proxy->stats.retained, 1);
  }
  g_free (topic->header);
  topic->header = g_memdup2 (zmq_msg_data (&message->parts[1]), size);
  topic->header_size = size;
}

/* Once with NODROP off: the full queue is skipped, which sets its subscriber aside. */
static void
send_to_the_others (SeeddProxy *proxy, Message *message)
{
  int off = 0, on = 1;

  zmq_setsockopt (proxy->subscribers, ZMQ_XPUB_NODROP, &off, sizeof off);
  send_parts (proxy, message);
  zmq_setsockopt (proxy->subscribers, ZMQ_XPUB_NODROP, &on, sizeof on);
  count (proxy, &proxy->stats.set_aside, 1);
}

static void
pass_on (SeeddProxy *proxy, Message *message, Topic *topic)
{
  gint64 now = g_get_monotonic_time ();

  if (send_parts (proxy, message)) {
    count (proxy, &proxy->stats.sent, 1);
    if (topic)
      topic->full_since = 0;
    return;
  }
  count (proxy, &proxy->stats.dropped, 1);
  if (!topic || errno != EAGAIN)
    return;
  if (topic->full_since == 0)
    topic->full_since = now;
  if (now - topic->full_since >= SEED_PUBLISHER_PATIENCE_MS * 1000) {
    send_to_the_others (proxy, message);
    topic->full_since = 0;
  }
}

static void
send_text (SeeddProxy *proxy, const char *name, const char *header, gsize size)
{
  Message message = { .n = 2 };

  zmq_msg_init_size (&message.parts[0], strlen (name));
  memcpy (zmq_msg_data (&message.parts[0]), name, strlen (name));
  zmq_msg_init_size (&message.parts[1], size);
  memcpy (zmq_msg_data (&message.parts[1]), header, size);
  pass_on (proxy, &message, get_topic (proxy, name));
  message_clear (&message);
}

/* ---- from the graphs ---- */

/* FALSE when nothing is there. What has more parts than a result may have is dropped. */
static gboolean
receive (SeeddProxy *proxy, Message *message, gboolean *whole)
{
  gboolean more = TRUE;

  *whole = TRUE;
  message->n = 0;
  while (more) {
    zmq_msg_t part;

    zmq_msg_init (&part);
    if (zmq_msg_recv (&part, proxy->graphs, ZMQ_DONTWAIT) < 0) {
      zmq_msg_close (&part);
      if (errno == EINTR)
        continue;
      return FALSE;
    }
    more = zmq_msg_more (&part);
    if (message->n < SEED_WIRE_MAX_PARTS) {
      message->parts[message->n++] = part;
    } else {
      *whole = FALSE;
      zmq_msg_close (&part);
    }
  }
  return TRUE;
}

static void
handle_result (SeeddProxy *proxy, Message *message)
{
  const char *text = zmq_msg_data (&message->parts[0]);
  gsize length = zmq_msg_size (&message->parts[0]);
  g_autofree char *name = NULL;
  SeedTopic parsed;
  Topic *topic;

  count (proxy, &proxy->stats.received, 1);
  if (message->n < 2 || !seed_wire_parse_topic (text, length, &parsed, NULL)) {
    count (proxy, &proxy->stats.dropped, 1);
    return;
  }
  name = g_strndup (text, length);
  topic = get_topic (proxy, name);
  if (topic && message->n == 2 &&
      (strcmp (parsed.kind, "train") == 0 || strcmp (parsed.kind, "health") == 0))
    retain (proxy, topic, message);
  pass_on (proxy, message, topic);
}

static void
drain_graphs (SeeddProxy *proxy, guint max)
{
  for (guint i = 0; i < max; i++) {
    Message message;
    gboolean whole, any = receive (proxy, &message, &whole);

    if (any && whole)
      handle_result (proxy, &message);
    else if (any)
      count (proxy, &proxy->stats.dropped, 1);
    message_clear (&message);
    if (!any)
      return;
  }
}

/* ---- subscriptions ---- */

static void
resend_retained (SeeddProxy *proxy, const char *prefix, gsize size)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, proxy->topics);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    const Topic *topic = value;

    if (topic->header && strlen (key) >= size && memcmp (key, prefix, size) == 0)
      send_text (proxy, key, topic->header, topic->header_size);
  }
}

/* One byte, 1 for its begin and 0 for its end, and the prefix. Anything else a peer sends means
 * nothing. */
static void
handle_subscription (SeeddProxy *proxy, const char *data, gsize size)
{
  if (size == 0 || (guchar) data[0] > 1)
    return;
  while (zmq_send (proxy->graphs, data, size, ZMQ_DONTWAIT) < 0 && errno == EINTR)
    ;
  g_mutex_lock (&proxy->lock);
  if (data[0])
    proxy->stats.subscriptions++;
  else if (proxy->stats.subscriptions > 0)
    proxy->stats.subscriptions--;
  g_mutex_unlock (&proxy->lock);
  if (data[0])
    resend_retained (proxy, data + 1, size - 1);
}

static void
drain_subscribers (SeeddProxy *proxy)
{
  zmq_msg_t message;

  zmq_msg_init (&message);
  for (guint i = 0; i < MAX_TURN; i++) {
    if (zmq_msg_recv (&message, proxy->subscribers, ZMQ_DONTWAIT) >= 0)
      handle_subscription (proxy, zmq_msg_data (&message), zmq_msg_size (&message));
    else if (errno != EINTR)
      break;
  }
  zmq_msg_close (&message);
}

/* What the proxy itself wants of a graph; SEED_BUILD_SUPERVISOR_SUBSCRIPTIONS of them. */
static void
subscribe_to_state (SeeddProxy *proxy, const char *graph, gboolean begin)
{
  static const char *const kinds[] = { "train", "health" };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree char *text = g_strdup_printf ("%c%s/-/%s/", begin ? 1 : 0, graph, kinds[i]);

    zmq_send (proxy->graphs, text, 1 + strlen (text + 1), ZMQ_DONTWAIT);
  }
}

/* ---- orders ---- */

static gboolean
has_endpoint (SeeddProxy *proxy, const char *graph)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, proxy->endpoints);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    if (strcmp (value, graph) == 0)
      return TRUE;
  }
  return FALSE;
}

static void
do_connect (SeeddProxy *proxy, const Command *command)
{
  if (g_hash_table_contains (proxy->endpoints, command->endpoint))
    return;
  if (!has_endpoint (proxy, command->graph))
    subscribe_to_state (proxy, command->graph, TRUE);
  if (zmq_connect (proxy->graphs, command->endpoint) == 0)
    g_hash_table_insert (proxy->endpoints, g_strdup (command->endpoint), g_strdup (command->graph));
}

static void
do_disconnect (SeeddProxy *proxy, const char *graph)
{
  GHashTableIter iter;
  gpointer key, value;
  gboolean any = FALSE;

  drain_graphs (proxy, MAX_LAST_WORDS);
  g_hash_table_iter_init (&iter, proxy->endpoints);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    if (strcmp (value, graph) != 0)
      continue;
    zmq_disconnect (proxy->graphs, key);
    g_hash_table_iter_remove (&iter);
    any = TRUE;
  }
  if (any)
    subscribe_to_state (proxy, graph, FALSE);
}

static gboolean
is_of_graph (const char *topic, const char *graph)
{
  return g_str_has_prefix (topic, graph) && topic[strlen (graph)] == '/';
}

static void
do_forget (SeeddProxy *proxy, const char *graph)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, proxy->topics);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    if (!is_of_graph (key, graph))
      continue;
    if (((Topic *) value)->header) {
      proxy->n_retained--;
      count (proxy, &proxy->stats.retained, (guint64) -1);
    }
    g_hash_table_iter_remove (&iter);
  }
}

/* FALSE when it is to end. */
static gboolean
obey (SeeddProxy *proxy)
{
  Command *command;
  gboolean go_on = TRUE;
  eventfd_t value;

  eventfd_read (proxy->wake_fd, &value);
  while (go_on && (command = g_async_queue_try_pop (proxy->commands))) {
    switch (command->order) {
    case CONNECT:
      do_connect (proxy, command);
      break;
    case DISCONNECT:
      do_disconnect (proxy, command->graph);
      break;
    case FORGET:
      do_forget (proxy, command->graph);
      break;
    case EVENT:
      send_text (proxy, command->topic, command->header, command->header_size);
      break;
    case STOP:
      go_on = FALSE;
      break;
    }
    command_free (command);
  }
  return go_on;
}

static gpointer
run (gpointer data)
{
  SeeddProxy *proxy = data;
  zmq_pollitem_t items[] = {
    { .socket = proxy->graphs, .events = ZMQ_POLLIN },
    { .socket = proxy->subscribers, .events = ZMQ_POLLIN },
    { .fd = proxy->wake_fd, .events = ZMQ_POLLIN },
  };
  gboolean go_on = TRUE;

  while (go_on) {
    if (zmq_poll (items, G_N_ELEMENTS (items), -1) < 0)
      continue;
    if (items[1].revents)
      drain_subscribers (proxy);
    if (items[0].revents)
      drain_graphs (proxy, MAX_TURN);
    if (items[2].revents)
      go_on = obey (proxy);
  }
  drain_graphs (proxy, MAX_LAST_WORDS);
  return NULL;
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
  proxy->commands = g_async_queue_new_full (command_free);
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
  proxy->thread = g_thread_new ("proxy", run, proxy);
  return g_steal_pointer (&proxy);
}

static void
order (SeeddProxy *proxy, Order what, const char *graph, const char *endpoint)
{
  Command *command = g_new0 (Command, 1);

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
    order (proxy, STOP, NULL, NULL);
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
  order (proxy, CONNECT, graph, endpoint);
}

void
seedd_proxy_disconnect (SeeddProxy *proxy, const char *graph, gboolean forget)
{
  order (proxy, DISCONNECT, graph, NULL);
  if (forget)
    order (proxy, FORGET, graph, NULL);
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
  Command *command = g_new0 (Command, 1);
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
  command->order = EVENT;
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
    command_free (command);
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
  Stats stats;

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
