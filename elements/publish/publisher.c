/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include <seed/error.h>

#include "publish/endpoint.h"
#include "publish/publisher.h"
#include "publish/wire-kinds.h"

typedef struct {
  guint64 next_seq;
  gint64 full_since; /* monotonic us of the first drop in a row, 0 when the last one was sent */
  char *header;      /* of the last message when it is retained, else NULL */
  gsize header_size;
  guint64 dropped;
} Topic;

struct _SeedPublisher {
  GMutex lock; /* a ZeroMQ socket belongs to one thread at a time */
  GMutex turn; /* see take */
  void *context, *socket;
  SeedCurveKeypair *server; /* with keys */
  SeedZap *zap;
  SeedGate *gate;
  int events_fd; /* readable when the socket has something to look at */
  int wake_fd;
  char *endpoint;
  GHashTable *topics; /* topic -> Topic */
  SeedPublisherStats stats;
};

/* Takes the lock, which whoever waits for it gets before one that just gave it back: while there is
 * much to receive, the serving thread takes it again at once, and a mutex alone is not fair. */
static void
take (SeedPublisher *publisher)
{
  g_mutex_lock (&publisher->turn);
  g_mutex_lock (&publisher->lock);
  g_mutex_unlock (&publisher->turn);
}

static void
topic_free (gpointer data)
{
  Topic *topic = data;

  g_free (topic->header);
  g_free (topic);
}

static gboolean
set_options (SeedPublisher *publisher, const SeedPublisherConfig *config, GError **error)
{
  const struct {
    int option, value;
  } options[] = {
    { ZMQ_SNDHWM, config->hwm },
    { ZMQ_LINGER, config->linger_ms },
    { ZMQ_IMMEDIATE, 1 },
    { ZMQ_XPUB_NODROP, 1 },   /* a full queue is an error, so that it can be counted */
    { ZMQ_TCP_KEEPALIVE, 1 }, /* a peer whose machine died is noticed */
    { ZMQ_TCP_KEEPALIVE_IDLE, 60 },
    { ZMQ_TCP_KEEPALIVE_INTVL, 10 },
    { ZMQ_TCP_KEEPALIVE_CNT, 6 },
    { ZMQ_IPV6, seed_endpoint_is_ipv6 (config->endpoint) },
  };
  for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
    if (zmq_setsockopt (publisher->socket, options[i].option, &options[i].value, sizeof (int)) <
        0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\": ZeroMQ option %d: %s",
          config->endpoint, options[i].option, zmq_strerror (errno));
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
has_text (const char *text)
{
  return text && *text;
}

static gboolean
set_guard (SeedPublisher *publisher, const SeedPublisherConfig *config, GError **error)
{
  SeedGateConfig gate = { .local = g_str_has_prefix (config->endpoint, "inproc://"),
    .max_connections = SEED_GATE_DEFAULT_CONNECTIONS,
    .limits = SEED_PEERS_DEFAULT_LIMITS };

  if (has_text (config->server_key) != has_text (config->authorized)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "server-key and authorized belong together: the own key pair, and a folder of the public "
        "keys that may connect");
    return FALSE;
  }
  if (has_text (config->server_key)) {
    publisher->server = seed_curve_keypair_load (config->server_key, error);
    if (!publisher->server)
      return FALSE;
    publisher->zap = seed_zap_new (publisher->context, config->authorized, error);
    if (!publisher->zap)
      return FALSE;
  }
  gate.zap = publisher->zap;
  gate.server = publisher->server;
  publisher->gate = seed_gate_new (publisher->context, publisher->socket, &gate, error);
  return publisher->gate != NULL;
}

static gboolean
bind_socket (SeedPublisher *publisher, const SeedPublisherConfig *config, GError **error)
{
  g_autofree char *endpoint = seed_endpoint_for_bind (
      config->endpoint, config->insecure || has_text (config->server_key), error);
  char bound[1024];
  gsize size = sizeof bound;
  const char *path;

  if (!endpoint || !set_options (publisher, config, error) || !set_guard (publisher, config, error))
    return FALSE;
  if (zmq_bind (publisher->socket, endpoint) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\" %s%s", config->endpoint,
        errno == EADDRINUSE ? "is in use by another program; choose another port"
                            : "cannot be bound: ",
        errno == EADDRINUSE ? "" : zmq_strerror (errno));
    return FALSE;
  }
  path = seed_endpoint_ipc_path (endpoint);
  if (path && chmod (path, 0660) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
        "endpoint \"%s\": cannot set the mode to 0660: %s", config->endpoint, g_strerror (errno));
    return FALSE;
  }
  if (zmq_getsockopt (publisher->socket, ZMQ_LAST_ENDPOINT, bound, &size) == 0)
    publisher->endpoint = g_strdup (bound);
  else
    publisher->endpoint = g_steal_pointer (&endpoint);
  return TRUE;
}

SeedPublisher *
seed_publisher_new (const SeedPublisherConfig *config, GError **error)
{
  g_autoptr (SeedPublisher) publisher = g_new0 (SeedPublisher, 1);
  gsize size = sizeof publisher->events_fd;

  g_mutex_init (&publisher->lock);
  g_mutex_init (&publisher->turn);
  publisher->topics = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, topic_free);
  publisher->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  publisher->context = seed_zmq_context_ref ();
  publisher->socket = zmq_socket (publisher->context, ZMQ_XPUB);
  if (publisher->wake_fd < 0 || !publisher->socket) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\": no socket to be had: %s",
        config->endpoint, zmq_strerror (errno));
    return NULL;
  }
  if (!bind_socket (publisher, config, error))
    return NULL;
  if (zmq_getsockopt (publisher->socket, ZMQ_FD, &publisher->events_fd, &size) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\": %s", config->endpoint,
        zmq_strerror (errno));
    return NULL;
  }
  return g_steal_pointer (&publisher);
}

void
seed_publisher_free (SeedPublisher *publisher)
{
  if (!publisher)
    return;
  if (publisher->gate)
    seed_gate_shut (publisher->gate);
  if (publisher->socket)
    zmq_close (publisher->socket);
  seed_gate_free (publisher->gate);
  seed_zap_free (publisher->zap);
  seed_curve_keypair_free (publisher->server);
  seed_zmq_context_unref ();
  if (publisher->wake_fd >= 0)
    close (publisher->wake_fd);
  g_hash_table_unref (publisher->topics);
  g_mutex_clear (&publisher->lock);
  g_mutex_clear (&publisher->turn);
  g_free (publisher->endpoint);
  g_free (publisher);
}

const char *
seed_publisher_endpoint (const SeedPublisher *publisher)
{
  return publisher->endpoint;
}

static int
send_part (SeedPublisher *publisher, const void *data, gsize size, gboolean more)
{
  int sent;

  do
    sent = zmq_send (publisher->socket, data, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
  while (sent < 0 && errno == EINTR);
  return sent;
}

/* FALSE with errno when the message went nowhere: EAGAIN when a queue was full. libzmq decides that
 * at the first part; the others follow it. */
static gboolean
send_parts (SeedPublisher *publisher, const char *topic, const char *header, gsize header_size,
    const SeedTensor *tensors, guint n_tensors)
{
  if (send_part (publisher, topic, strlen (topic), TRUE) < 0 ||
      send_part (publisher, header, header_size, n_tensors > 0) < 0)
    return FALSE;
  for (guint i = 0; i < n_tensors; i++) {
    if (send_part (publisher, tensors[i].data, tensors[i].size, i + 1 < n_tensors) < 0)
      return FALSE;
  }
  return TRUE;
}

/* Once with NODROP off: the full queue is skipped, which sets its subscriber aside. */
static void
send_to_the_others (SeedPublisher *publisher, const char *topic, const char *header,
    gsize header_size, const SeedTensor *tensors, guint n_tensors)
{
  int off = 0, on = 1;

  zmq_setsockopt (publisher->socket, ZMQ_XPUB_NODROP, &off, sizeof off);
  send_parts (publisher, topic, header, header_size, tensors, n_tensors);
  zmq_setsockopt (publisher->socket, ZMQ_XPUB_NODROP, &on, sizeof on);
  publisher->stats.set_aside++;
}

static void
resend_retained (SeedPublisher *publisher, const char *prefix, gsize size)
{
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, publisher->topics);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    const Topic *topic = value;

    if (topic->header && strlen (key) >= size && memcmp (key, prefix, size) == 0)
      send_parts (publisher, key, topic->header, topic->header_size, NULL, 0);
  }
}

static void
on_subscription (gboolean begins, const void *prefix, gsize size, gpointer data)
{
  if (begins)
    resend_retained (data, prefix, size);
}

static Topic *
get_topic (SeedPublisher *publisher, const char *name)
{
  Topic *topic = g_hash_table_lookup (publisher->topics, name);

  if (!topic) {
    topic = g_new0 (Topic, 1);
    g_hash_table_insert (publisher->topics, g_strdup (name), topic);
  }
  return topic;
}

static gboolean
is_retained (const SeedResult *result)
{
  return result->n_tensors == 0 &&
         (strcmp (result->kind, "train") == 0 || strcmp (result->kind, "health") == 0);
}

static guint64
realtime_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  return (guint64) now.tv_sec * 1000000000u + (guint64) now.tv_nsec;
}

static SeedPublisherStatus
note_full (SeedPublisher *publisher, Topic *topic, const char *name, const char *header,
    gsize header_size, const SeedResult *result)
{
  gint64 now = g_get_monotonic_time ();

  publisher->stats.dropped++;
  topic->dropped++;
  if (topic->full_since == 0)
    topic->full_since = now;
  if (now - topic->full_since >= SEED_PUBLISHER_PATIENCE_MS * 1000) {
    send_to_the_others (publisher, name, header, header_size, result->tensors, result->n_tensors);
    topic->full_since = 0;
  }
  return SEED_PUBLISHER_DROPPED;
}

static SeedPublisherStatus
send_locked (SeedPublisher *publisher, const char *name, SeedResult *result, GError **error)
{
  Topic *topic = get_topic (publisher, name);
  SeedPublisherStatus status = SEED_PUBLISHER_SENT;
  g_autofree char *header = NULL;
  gsize size;

  result->seq = topic->next_seq;
  result->publish_ns = realtime_ns ();
  header = seed_wire_build_header (result, &size, error);
  if (!header)
    return SEED_PUBLISHER_FAILED;
  topic->next_seq++;
  if (send_parts (publisher, name, header, size, result->tensors, result->n_tensors)) {
    topic->full_since = 0;
    publisher->stats.sent++;
    publisher->stats.bytes += strlen (name) + size;
    for (guint i = 0; i < result->n_tensors; i++)
      publisher->stats.bytes += result->tensors[i].size;
  } else if (errno == EAGAIN) {
    status = note_full (publisher, topic, name, header, size, result);
  } else {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\": cannot send %s: %s",
        publisher->endpoint, name, zmq_strerror (errno));
    return SEED_PUBLISHER_FAILED;
  }
  if (is_retained (result)) {
    g_free (topic->header);
    topic->header = g_steal_pointer (&header);
    topic->header_size = size;
  }
  return status;
}

SeedPublisherStatus
seed_publisher_send (SeedPublisher *publisher, SeedResult *result, GError **error)
{
  g_autofree char *name = seed_wire_build_topic (result, error);
  SeedPublisherStatus status;

  if (!name || !seed_kind_check (result, error))
    return SEED_PUBLISHER_FAILED;
  take (publisher);
  status = send_locked (publisher, name, result, error);
  /* Sending may have swallowed the event that would have told seed_publisher_serve. */
  seed_gate_receive (publisher->gate, on_subscription, publisher);
  g_mutex_unlock (&publisher->lock);
  return status;
}

void
seed_publisher_serve (SeedPublisher *publisher, int timeout_ms)
{
  struct pollfd fds[] = {
    { .fd = publisher->events_fd, .events = POLLIN },
    { .fd = publisher->wake_fd, .events = POLLIN },
    { .fd = -1, .events = POLLIN },
    { .fd = -1, .events = POLLIN },
  };
  eventfd_t value;
  int gate_fds[2];

  seed_gate_get_fds (publisher->gate, gate_fds);
  fds[2].fd = gate_fds[0];
  fds[3].fd = gate_fds[1];
  poll (fds, G_N_ELEMENTS (fds), timeout_ms);
  if (fds[1].revents)
    eventfd_read (publisher->wake_fd, &value);
  take (publisher);
  seed_gate_serve (publisher->gate, on_subscription, publisher);
  g_mutex_unlock (&publisher->lock);
}

void
seed_publisher_wake (SeedPublisher *publisher)
{
  eventfd_write (publisher->wake_fd, 1);
}

void
seed_publisher_get_stats (SeedPublisher *publisher, SeedPublisherStats *stats)
{
  take (publisher);
  *stats = publisher->stats;
  seed_gate_get_stats (publisher->gate, &stats->gate);
  g_mutex_unlock (&publisher->lock);
}

static void
clear_loss (gpointer data)
{
  g_free (((SeedPublisherLoss *) data)->topic);
}

static int
compare_losses (gconstpointer a, gconstpointer b)
{
  const SeedPublisherLoss *first = a, *second = b;

  if (first->dropped != second->dropped)
    return first->dropped > second->dropped ? -1 : 1;
  return strcmp (first->topic, second->topic);
}

GArray *
seed_publisher_get_losses (SeedPublisher *publisher, guint max)
{
  GArray *losses = g_array_new (FALSE, FALSE, sizeof (SeedPublisherLoss));
  GHashTableIter iter;
  gpointer key, value;

  g_array_set_clear_func (losses, clear_loss);
  take (publisher);
  g_hash_table_iter_init (&iter, publisher->topics);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    const Topic *topic = value;
    SeedPublisherLoss loss = { NULL, topic->dropped };

    if (topic->dropped == 0)
      continue;
    loss.topic = g_strdup (key);
    g_array_append_val (losses, loss);
  }
  g_mutex_unlock (&publisher->lock);
  g_array_sort (losses, compare_losses);
  if (losses->len > max)
    g_array_set_size (losses, max);
  return losses;
}

char *
seed_publisher_key_problem (SeedPublisher *publisher)
{
  return publisher->zap ? seed_zap_problem (publisher->zap) : NULL;
}
