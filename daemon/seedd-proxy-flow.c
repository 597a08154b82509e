/* SPDX-License-Identifier: MIT */
#include "seedd-proxy-private.h"

#include <string.h>
#include <sys/eventfd.h>

#define MAX_TURN 256          /* messages in one turn */
#define MAX_LAST_WORDS 100000 /* messages of a graph that has ended */
#define MAX_TOPICS 65536u
#define MAX_RETAINED 4096u

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

static SeeddProxyTopic *
get_topic (SeeddProxy *proxy, const char *name)
{
  SeeddProxyTopic *topic = g_hash_table_lookup (proxy->topics, name);

  if (!topic && g_hash_table_size (proxy->topics) < MAX_TOPICS) {
    topic = g_new0 (SeeddProxyTopic, 1);
    g_hash_table_insert (proxy->topics, g_strdup (name), topic);
  }
  return topic;
}

/* The last state of training and health, for those who come later. */
static void
retain (SeeddProxy *proxy, SeeddProxyTopic *topic, Message *message)
{
  gsize size = zmq_msg_size (&message->parts[1]);

  if (size > SEED_WIRE_MAX_HEADER || (!topic->header && proxy->n_retained >= MAX_RETAINED))
    return;
  if (!topic->header) {
    proxy->n_retained++;
    seedd_proxy_count (proxy, &proxy->stats.retained, 1);
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
  seedd_proxy_count (proxy, &proxy->stats.set_aside, 1);
}

static void
pass_on (SeeddProxy *proxy, Message *message, SeeddProxyTopic *topic)
{
  gint64 now = g_get_monotonic_time ();

  if (send_parts (proxy, message)) {
    seedd_proxy_count (proxy, &proxy->stats.sent, 1);
    if (topic)
      topic->full_since = 0;
    return;
  }
  seedd_proxy_count (proxy, &proxy->stats.dropped, 1);
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
  SeeddProxyTopic *topic;

  seedd_proxy_count (proxy, &proxy->stats.received, 1);
  if (message->n < 2 || !seed_wire_parse_topic (text, length, &parsed, NULL)) {
    seedd_proxy_count (proxy, &proxy->stats.dropped, 1);
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
      seedd_proxy_count (proxy, &proxy->stats.dropped, 1);
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
    const SeeddProxyTopic *topic = value;

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
do_connect (SeeddProxy *proxy, const SeeddProxyCommand *command)
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
    if (((SeeddProxyTopic *) value)->header) {
      proxy->n_retained--;
      seedd_proxy_count (proxy, &proxy->stats.retained, (guint64) -1);
    }
    g_hash_table_iter_remove (&iter);
  }
}

/* FALSE when it is to end. */
static gboolean
obey (SeeddProxy *proxy)
{
  SeeddProxyCommand *command;
  gboolean go_on = TRUE;
  eventfd_t value;

  eventfd_read (proxy->wake_fd, &value);
  while (go_on && (command = g_async_queue_try_pop (proxy->commands))) {
    switch (command->order) {
    case SEEDD_PROXY_CONNECT:
      do_connect (proxy, command);
      break;
    case SEEDD_PROXY_DISCONNECT:
      do_disconnect (proxy, command->graph);
      break;
    case SEEDD_PROXY_FORGET:
      do_forget (proxy, command->graph);
      break;
    case SEEDD_PROXY_EVENT:
      send_text (proxy, command->topic, command->header, command->header_size);
      break;
    case SEEDD_PROXY_STOP:
      go_on = FALSE;
      break;
    }
    seedd_proxy_command_free (command);
  }
  return go_on;
}

gpointer
seedd_proxy_run (gpointer data)
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
