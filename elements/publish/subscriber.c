/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <seed/curve.h>
#include <seed/error.h>

#include "publish/endpoint.h"
#include "publish/subscriber.h"

/* libzmq connects again by itself after a connection broke, but not after the peer broke the
 * protocol (a part beyond the limit, a program that speaks no ZeroMQ). It tells of the former at
 * once. */
#define RECONNECT_US G_TIME_SPAN_SECOND

struct _SeedSubscriber {
  void *socket;
  void *monitor; /* tells of connections */
  int cancel_fd; /* readable while cancelled */
  char *endpoint;
  gboolean connected;
  gint64 lost_at;   /* monotonic us when libzmq gave the peer up, if it did; else 0 */
  guint n_messages; /* parts of the current message, initialised */
  zmq_msg_t messages[SEED_WIRE_MAX_PARTS];
  SeedResult result;
};

static gboolean
set_options (SeedSubscriber *subscriber, const SeedSubscriberConfig *config, GError **error)
{
  const struct {
    int option, value;
  } options[] = {
    { ZMQ_RCVHWM, config->hwm },
    { ZMQ_LINGER, 0 },
    { ZMQ_RECONNECT_IVL, 100 },
    { ZMQ_RECONNECT_IVL_MAX, 5000 },
    { ZMQ_TCP_KEEPALIVE, 1 },
    { ZMQ_TCP_KEEPALIVE_IDLE, 60 },
    { ZMQ_TCP_KEEPALIVE_INTVL, 10 },
    { ZMQ_TCP_KEEPALIVE_CNT, 6 },
    { ZMQ_IPV6, seed_endpoint_is_ipv6 (config->endpoint) },
  };
  void *socket = subscriber->socket;

  for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
    if (zmq_setsockopt (socket, options[i].option, &options[i].value, sizeof (int)) < 0)
      goto failed;
  }
  if (zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &config->max_part, sizeof config->max_part) < 0)
    goto failed;
  for (guint i = 0; config->prefixes[i]; i++) {
    if (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, config->prefixes[i], strlen (config->prefixes[i])) <
        0)
      goto failed;
  }
  return TRUE;

failed:
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\": a ZeroMQ option was refused: %s",
      config->endpoint, zmq_strerror (errno));
  return FALSE;
}

static gboolean
watch_connections (SeedSubscriber *subscriber, void *context, GError **error)
{
  g_autofree char *address = g_strdup_printf ("inproc://seed-monitor-%p", (void *) subscriber);
  int linger = 0;

  subscriber->monitor = zmq_socket (context, ZMQ_PAIR);
  if (subscriber->monitor &&
      zmq_setsockopt (subscriber->monitor, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
      zmq_socket_monitor (subscriber->socket, address,
          ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED) == 0 &&
      zmq_connect (subscriber->monitor, address) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\": cannot watch the connection: %s",
      subscriber->endpoint, zmq_strerror (errno));
  return FALSE;
}

SeedSubscriber *
seed_subscriber_new (const SeedSubscriberConfig *config, GError **error)
{
  g_autoptr (SeedSubscriber) subscriber = g_new0 (SeedSubscriber, 1);
  void *context = seed_zmq_context_ref ();

  subscriber->endpoint = g_strdup (config->endpoint);
  subscriber->cancel_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  subscriber->socket = zmq_socket (context, ZMQ_SUB);
  if (subscriber->cancel_fd < 0 || !subscriber->socket) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\": no socket to be had: %s",
        config->endpoint, zmq_strerror (errno));
    return NULL;
  }
  if (!set_options (subscriber, config, error) ||
      !seed_curve_apply_client (
          subscriber->socket, config->server_key, config->client_key, error) ||
      !watch_connections (subscriber, context, error))
    return NULL;
  if (zmq_connect (subscriber->socket, config->endpoint) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "endpoint \"%s\" cannot be connected to: %s; expected tcp://ADDRESS:PORT, ipc:///PATH or "
        "inproc://NAME",
        config->endpoint, zmq_strerror (errno));
    return NULL;
  }
  return g_steal_pointer (&subscriber);
}

static void
release_message (SeedSubscriber *subscriber)
{
  seed_result_clear (&subscriber->result);
  for (guint i = 0; i < subscriber->n_messages; i++)
    zmq_msg_close (&subscriber->messages[i]);
  subscriber->n_messages = 0;
}

void
seed_subscriber_free (SeedSubscriber *subscriber)
{
  if (!subscriber)
    return;
  release_message (subscriber);
  if (subscriber->socket)
    zmq_close (subscriber->socket);
  if (subscriber->monitor)
    zmq_close (subscriber->monitor);
  seed_zmq_context_unref ();
  if (subscriber->cancel_fd >= 0)
    close (subscriber->cancel_fd);
  g_free (subscriber->endpoint);
  g_free (subscriber);
}

/* Reads one part; *more tells whether another follows. The parts of a message arrive together, so
 * only the first one can be missing (EAGAIN). */
static gboolean
receive_part (SeedSubscriber *subscriber, zmq_msg_t *message, gboolean *more)
{
  int received;

  zmq_msg_init (message);
  do
    received = zmq_msg_recv (message, subscriber->socket, ZMQ_DONTWAIT);
  while (received < 0 && errno == EINTR);
  if (received < 0) {
    int saved = errno;

    zmq_msg_close (message);
    errno = saved;
    return FALSE;
  }
  *more = zmq_msg_more (message);
  return TRUE;
}

static void
skip_parts (SeedSubscriber *subscriber)
{
  gboolean more = TRUE;
  zmq_msg_t message;

  while (more && receive_part (subscriber, &message, &more))
    zmq_msg_close (&message);
}

/* FALSE with errno EAGAIN when there is no message. Parts beyond the limit are read and forgotten;
 * n_parts counts one of them, so that the parser refuses the message. */
static gboolean
receive_parts (SeedSubscriber *subscriber, SeedWirePart *parts, guint *n_parts)
{
  gboolean more = TRUE;

  *n_parts = 0;
  while (more && *n_parts < SEED_WIRE_MAX_PARTS) {
    zmq_msg_t *message = &subscriber->messages[*n_parts];

    if (!receive_part (subscriber, message, &more))
      return FALSE;
    subscriber->n_messages++;
    parts[*n_parts].data = zmq_msg_data (message);
    parts[*n_parts].size = zmq_msg_size (message);
    (*n_parts)++;
  }
  if (more) {
    skip_parts (subscriber);
    (*n_parts)++;
  }
  return TRUE;
}

/* A monitor event is two parts: the event's number and value, and the address. */
static void
read_monitor (SeedSubscriber *subscriber)
{
  guint16 event = 0;
  zmq_msg_t message;
  int more = 1;

  for (gboolean first = TRUE; more; first = FALSE) {
    zmq_msg_init (&message);
    if (zmq_msg_recv (&message, subscriber->monitor, ZMQ_DONTWAIT) < 0)
      more = 0;
    else {
      if (first && zmq_msg_size (&message) >= sizeof event)
        memcpy (&event, zmq_msg_data (&message), sizeof event);
      more = zmq_msg_more (&message);
    }
    zmq_msg_close (&message);
  }
  if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
    subscriber->connected = TRUE;
    subscriber->lost_at = 0;
  } else if (event == ZMQ_EVENT_CONNECT_RETRIED) {
    subscriber->lost_at = 0;
  } else if (event) {
    subscriber->connected = FALSE;
    subscriber->lost_at = g_get_monotonic_time ();
  }
}

static SeedReceived
read_message (SeedSubscriber *subscriber, const SeedResult **result, GError **error)
{
  SeedWirePart parts[SEED_WIRE_MAX_PARTS];
  guint n_parts;

  if (!receive_parts (subscriber, parts, &n_parts)) {
    if (errno == EAGAIN)
      return SEED_RECEIVED_TIMEOUT;
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\": cannot receive: %s",
        subscriber->endpoint, zmq_strerror (errno));
    return SEED_RECEIVED_FAILED;
  }
  if (!seed_wire_parse (parts, n_parts, &subscriber->result, error)) {
    g_prefix_error (error, "endpoint \"%s\": ", subscriber->endpoint);
    return SEED_RECEIVED_MALFORMED;
  }
  *result = &subscriber->result;
  return SEED_RECEIVED_RESULT;
}

static void
reconnect (SeedSubscriber *subscriber)
{
  subscriber->lost_at = 0;
  zmq_disconnect (
      subscriber->socket, subscriber->endpoint); /* fails when it is forgotten already */
  zmq_connect (
      subscriber->socket, subscriber->endpoint); /* succeeded before, and resolves nothing */
}

/* Milliseconds until @deadline (monotonic us, -1 for never) or until there is a connection to
 * renew. */
static int
wait_ms (const SeedSubscriber *subscriber, gint64 deadline)
{
  gint64 now = g_get_monotonic_time (), until = deadline;

  if (subscriber->lost_at && (deadline < 0 || subscriber->lost_at + RECONNECT_US < deadline))
    until = subscriber->lost_at + RECONNECT_US;
  return until < 0 ? -1 : (int) CLAMP ((until - now + 999) / 1000, 0, G_MAXINT);
}

SeedReceived
seed_subscriber_receive (
    SeedSubscriber *subscriber, int timeout_ms, const SeedResult **result, GError **error)
{
  gint64 deadline = timeout_ms < 0 ? -1 : g_get_monotonic_time () + (gint64) timeout_ms * 1000;
  zmq_pollitem_t items[] = {
    { .fd = subscriber->cancel_fd, .events = ZMQ_POLLIN },
    { .socket = subscriber->monitor, .events = ZMQ_POLLIN },
    { .socket = subscriber->socket, .events = ZMQ_POLLIN },
  };
  int ready;

  release_message (subscriber);
  *result = NULL;
  for (;;) {
    ready = zmq_poll (items, G_N_ELEMENTS (items), wait_ms (subscriber, deadline));
    if (ready < 0 && errno != EINTR) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "endpoint \"%s\": cannot wait: %s",
          subscriber->endpoint, zmq_strerror (errno));
      return SEED_RECEIVED_FAILED;
    }
    if (ready > 0)
      break;
    if (subscriber->lost_at && g_get_monotonic_time () >= subscriber->lost_at + RECONNECT_US)
      reconnect (subscriber);
    else if (deadline >= 0 && g_get_monotonic_time () >= deadline)
      return SEED_RECEIVED_TIMEOUT;
  }
  if (items[0].revents)
    return SEED_RECEIVED_CANCELLED;
  if (items[2].revents) /* before what is said of the connection: it may have ended since */
    return read_message (subscriber, result, error);
  read_monitor (subscriber);
  return SEED_RECEIVED_CONNECTION;
}

gboolean
seed_subscriber_is_connected (const SeedSubscriber *subscriber)
{
  return subscriber->connected;
}

void
seed_subscriber_cancel (SeedSubscriber *subscriber)
{
  int saved = errno;

  eventfd_write (subscriber->cancel_fd, 1);
  errno = saved;
}

void
seed_subscriber_resume (SeedSubscriber *subscriber)
{
  eventfd_t value;

  eventfd_read (subscriber->cancel_fd, &value);
}
