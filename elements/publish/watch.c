/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h> /* that of libc ends before the bytes received */
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <seed/error.h>

#include "publish/watch.h"

#define EVENTS                                                                                     \
  (ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |            \
      ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

typedef struct {
  guint64 closed_at; /* index of the last event that closed it, 0 for none */
  guint64 opened_at; /* of the one that opened it: a stamp of the connection */
  gboolean open;
  gboolean hung_up; /* on this connection */
  SeedBucket sent;
} Descriptor;

struct _SeedWatch {
  GMutex lock; /* a ZeroMQ socket belongs to one thread at a time */
  void *monitor;
  int events_fd, wake_fd;
  guint max_connections;
  guint64 n_events;
  GHashTable *descriptors; /* fd -> Descriptor: no more than the process may open */
  GHashTable *ended;       /* set of fd */
  GArray *excess;          /* fd of connections beyond the limit, to hang up on */
  SeedWatchStats stats;
};

static void read_events (SeedWatch *watch);

SeedWatch *
seed_watch_new (void *context, void *socket, guint max_connections, GError **error)
{
  g_autofree char *address = NULL;
  SeedWatch *watch = g_new0 (SeedWatch, 1);
  /* No limit: a full queue would stop libzmq's own thread. It is emptied at every event. */
  int linger = 0, unlimited = 0;
  gsize size = sizeof watch->events_fd;

  address = g_strdup_printf ("inproc://seed-watch-%p", (void *) watch);
  g_mutex_init (&watch->lock);
  watch->max_connections = max_connections;
  watch->descriptors = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  watch->ended = g_hash_table_new (NULL, NULL);
  watch->excess = g_array_new (FALSE, FALSE, sizeof (int));
  watch->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  watch->monitor = zmq_socket (context, ZMQ_PAIR);
  if (watch->wake_fd >= 0 && watch->monitor &&
      zmq_setsockopt (watch->monitor, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
      zmq_setsockopt (watch->monitor, ZMQ_RCVHWM, &unlimited, sizeof unlimited) == 0 &&
      zmq_socket_monitor (socket, address, EVENTS) == 0 &&
      zmq_connect (watch->monitor, address) == 0 &&
      zmq_getsockopt (watch->monitor, ZMQ_FD, &watch->events_fd, &size) == 0) {
    read_events (watch); /* events_fd becomes readable only for who has seen nothing there before */
    return watch;
  }
  g_set_error (
      error, SEED_ERROR, SEED_ERROR_IO, "cannot watch the connections: %s", zmq_strerror (errno));
  seed_watch_free (watch);
  return NULL;
}

void
seed_watch_free (SeedWatch *watch)
{
  if (!watch)
    return;
  if (watch->monitor)
    zmq_close (watch->monitor);
  if (watch->wake_fd >= 0)
    close (watch->wake_fd);
  g_array_unref (watch->excess);
  g_hash_table_unref (watch->ended);
  g_hash_table_unref (watch->descriptors);
  g_mutex_clear (&watch->lock);
  g_free (watch);
}

static Descriptor *
get_descriptor (SeedWatch *watch, int fd)
{
  Descriptor *descriptor = g_hash_table_lookup (watch->descriptors, GINT_TO_POINTER (fd));

  if (!descriptor) {
    descriptor = g_new0 (Descriptor, 1);
    g_hash_table_insert (watch->descriptors, GINT_TO_POINTER (fd), descriptor);
  }
  return descriptor;
}

static void
handle_event (SeedWatch *watch, guint16 event, int fd)
{
  Descriptor *descriptor;

  watch->n_events++;
  switch (event) {
  case ZMQ_EVENT_ACCEPTED:
    descriptor = get_descriptor (watch, fd);
    watch->stats.accepted++;
    watch->stats.open += !descriptor->open;
    descriptor->open = TRUE;
    descriptor->opened_at = watch->n_events;
    descriptor->hung_up = FALSE;
    descriptor->sent = (SeedBucket){ 0, 0, 0 };
    if (watch->stats.open > watch->max_connections)
      g_array_append_val (watch->excess, fd);
    break;
  case ZMQ_EVENT_DISCONNECTED:
    descriptor = get_descriptor (watch, fd);
    watch->stats.open -= descriptor->open;
    descriptor->open = FALSE;
    descriptor->closed_at = watch->n_events;
    g_hash_table_add (watch->ended, GINT_TO_POINTER (fd));
    seed_watch_wake (watch); /* whoever read the event, somebody else may wait for it */
    break;
  default:
    watch->stats.failed++;
  }
}

/* An event is two parts: its number and value, and an address. */
static gboolean
read_event (SeedWatch *watch)
{
  guint16 event = 0;
  guint32 value = 0;
  zmq_msg_t message;
  int more = 1;

  for (gboolean first = TRUE; more; first = FALSE) {
    zmq_msg_init (&message);
    if (zmq_msg_recv (&message, watch->monitor, ZMQ_DONTWAIT) < 0) {
      zmq_msg_close (&message);
      return errno == EINTR && first;
    }
    if (first && zmq_msg_size (&message) == sizeof event + sizeof value) {
      memcpy (&event, zmq_msg_data (&message), sizeof event);
      memcpy (&value, (const char *) zmq_msg_data (&message) + sizeof event, sizeof value);
    }
    more = zmq_msg_more (&message);
    zmq_msg_close (&message);
  }
  if (event)
    handle_event (watch, event, (int) value);
  return TRUE;
}

static void
read_events (SeedWatch *watch)
{
  while (read_event (watch))
    ;
}

/* With the lock held, after read_events. */
static gboolean
is_alive (SeedWatch *watch, int fd, guint64 stamp)
{
  const Descriptor *descriptor = g_hash_table_lookup (watch->descriptors, GINT_TO_POINTER (fd));

  return !descriptor || descriptor->closed_at <= stamp;
}

/* The copy stays the connection's, whatever becomes of the number. It was made of the right one
 * when the connection had not ended after that either, for its end is told before it is closed. */
static gboolean
hang_up (SeedWatch *watch, int fd, guint64 stamp)
{
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  gboolean alive;

  if (copy < 0)
    return FALSE;
  read_events (watch);
  alive = is_alive (watch, fd, stamp);
  if (alive)
    shutdown (copy, SHUT_RDWR);
  close (copy);
  return alive;
}

/* With the lock held. Counts each connection once. */
static gboolean
end (SeedWatch *watch, int fd, guint64 stamp, guint64 *counter)
{
  Descriptor *descriptor;

  if (!is_alive (watch, fd, stamp) || !hang_up (watch, fd, stamp))
    return FALSE;
  descriptor = get_descriptor (watch, fd);
  *counter += !descriptor->hung_up;
  descriptor->hung_up = TRUE;
  return TRUE;
}

/* With the lock held: hearing of events may bring connections beyond the limit. */
static void
catch_up (SeedWatch *watch)
{
  read_events (watch);
  while (watch->excess->len > 0) {
    int fd = g_array_index (watch->excess, int, watch->excess->len - 1);

    g_array_set_size (watch->excess, watch->excess->len - 1);
    /* whoever has the number now is an open connection, and there are still too many */
    if (get_descriptor (watch, fd)->open && watch->stats.open > watch->max_connections)
      end (watch, fd, watch->n_events, &watch->stats.turned_away);
  }
}

guint64
seed_watch_stamp (SeedWatch *watch)
{
  guint64 stamp;

  g_mutex_lock (&watch->lock);
  catch_up (watch);
  stamp = watch->n_events;
  g_mutex_unlock (&watch->lock);
  seed_watch_wake (watch); /* events that were read here make events_fd readable no more */
  return stamp;
}

gboolean
seed_watch_is_alive (SeedWatch *watch, int fd, guint64 stamp)
{
  gboolean alive;

  g_mutex_lock (&watch->lock);
  catch_up (watch);
  alive = is_alive (watch, fd, stamp);
  g_mutex_unlock (&watch->lock);
  return alive;
}

gboolean
seed_watch_hang_up (SeedWatch *watch, int fd, guint64 stamp)
{
  gboolean done;

  g_mutex_lock (&watch->lock);
  catch_up (watch);
  done = end (watch, fd, stamp, &watch->stats.hung_up);
  g_mutex_unlock (&watch->lock);
  return done;
}

typedef struct {
  int fd;
  guint64 opened_at;
  guint64 received; /* bytes, ever */
} Weight;

/* FALSE for what is not TCP, or a kernel that does not count. */
static gboolean
get_received (int fd, guint64 *received)
{
  struct tcp_info info;
  socklen_t size = sizeof info;

  if (getsockopt (fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ||
      size < offsetof (struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
    return FALSE;
  *received = info.tcpi_bytes_received;
  return TRUE;
}

static char *
get_address (int fd)
{
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  char text[NI_MAXHOST];

  if (getpeername (fd, (struct sockaddr *) &address, &size) < 0 ||
      getnameinfo (
          (struct sockaddr *) &address, size, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
    return NULL;
  return g_strdup (text);
}

static GArray *
get_weights (SeedWatch *watch)
{
  GArray *weights = g_array_new (FALSE, FALSE, sizeof (Weight));
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init (&iter, watch->descriptors);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    const Descriptor *descriptor = value;
    Weight weight = { GPOINTER_TO_INT (key), descriptor->opened_at, 0 };

    if (descriptor->open && !descriptor->hung_up && get_received (weight.fd, &weight.received))
      g_array_append_val (weights, weight);
  }
  return weights;
}

/* The kernel is asked by the descriptor's number, which may be another's by then; not if the
 * connection has not ended after that, for its end is told before it is closed. */
guint64
seed_watch_weigh (
    SeedWatch *watch, const SeedAllowance *allowance, gint64 now_us, GPtrArray *addresses)
{
  g_autoptr (GArray) weights = NULL;
  guint64 open;

  g_mutex_lock (&watch->lock);
  catch_up (watch);
  weights = get_weights (watch);
  read_events (watch);
  for (guint i = 0; i < weights->len; i++) {
    const Weight *weight = &g_array_index (weights, Weight, i);

    if (is_alive (watch, weight->fd, weight->opened_at) &&
        !seed_bucket_fill (
            &get_descriptor (watch, weight->fd)->sent, allowance, weight->received, now_us)) {
      char *address = get_address (weight->fd);

      if (end (watch, weight->fd, weight->opened_at, &watch->stats.hung_up) && address)
        g_ptr_array_add (addresses, g_steal_pointer (&address));
      g_free (address);
    }
  }
  catch_up (watch);
  open = watch->stats.open;
  g_mutex_unlock (&watch->lock);
  return open;
}

GArray *
seed_watch_take_ended (SeedWatch *watch)
{
  GArray *ended = g_array_new (FALSE, FALSE, sizeof (int));
  GHashTableIter iter;
  eventfd_t value;
  gpointer key;

  g_mutex_lock (&watch->lock);
  catch_up (watch);
  eventfd_read (watch->wake_fd, &value); /* what it told of is taken below */
  g_hash_table_iter_init (&iter, watch->ended);
  while (g_hash_table_iter_next (&iter, &key, NULL)) {
    int fd = GPOINTER_TO_INT (key);

    g_array_append_val (ended, fd);
  }
  g_hash_table_remove_all (watch->ended);
  g_mutex_unlock (&watch->lock);
  return ended;
}

void
seed_watch_get_fds (SeedWatch *watch, int fds[2])
{
  fds[0] = watch->events_fd;
  fds[1] = watch->wake_fd;
}

void
seed_watch_wake (SeedWatch *watch)
{
  eventfd_write (watch->wake_fd, 1);
}

void
seed_watch_get_stats (SeedWatch *watch, SeedWatchStats *stats)
{
  g_mutex_lock (&watch->lock);
  *stats = watch->stats;
  g_mutex_unlock (&watch->lock);
}
