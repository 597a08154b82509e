/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
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
  gboolean open;
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
      zmq_getsockopt (watch->monitor, ZMQ_FD, &watch->events_fd, &size) == 0)
    return watch;
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
    if (watch->stats.open > watch->max_connections)
      g_array_append_val (watch->excess, fd);
    break;
  case ZMQ_EVENT_DISCONNECTED:
    descriptor = get_descriptor (watch, fd);
    watch->stats.open -= descriptor->open;
    descriptor->open = FALSE;
    descriptor->closed_at = watch->n_events;
    g_hash_table_add (watch->ended, GINT_TO_POINTER (fd));
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

/* With the lock held: hearing of events may bring connections beyond the limit. */
static void
catch_up (SeedWatch *watch)
{
  read_events (watch);
  while (watch->excess->len > 0) {
    int fd = g_array_index (watch->excess, int, watch->excess->len - 1);

    g_array_set_size (watch->excess, watch->excess->len - 1);
    /* whoever has the number now is an open connection, and there are still too many */
    if (get_descriptor (watch, fd)->open && watch->stats.open > watch->max_connections &&
        hang_up (watch, fd, watch->n_events))
      watch->stats.turned_away++;
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
  done = is_alive (watch, fd, stamp) && hang_up (watch, fd, stamp);
  g_mutex_unlock (&watch->lock);
  return done;
}

GArray *
seed_watch_take_ended (SeedWatch *watch)
{
  GArray *ended = g_array_new (FALSE, FALSE, sizeof (int));
  GHashTableIter iter;
  eventfd_t value;
  gpointer key;

  eventfd_read (watch->wake_fd, &value);
  g_mutex_lock (&watch->lock);
  catch_up (watch);
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
