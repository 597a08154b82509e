/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <seed/error.h>

#include "keys/zap-handler.h"

#define ENDPOINT "inproc://zeromq.zap.01"

typedef struct {
  guint id;
  char *name; /* of a domain */
  SeedZapAnswerFunc answer;
  int fd; /* or of a descriptor */
  void (*readable) (gpointer data);
  gpointer data;
} Client;

struct _SeedZapHandler {
  void *context;
  guint refs;
  void *socket;
  int wake_fd;
  GThread *thread;
  GMutex lock; /* held while a client's function runs, so that it can be removed for good */
  GPtrArray *clients;
  guint next_id;
  guint64 n_granted;
  gint stopping; /* atomic */
};

G_LOCK_DEFINE_STATIC (handlers);
static GHashTable *handlers; /* context -> SeedZapHandler */

static void
client_free (gpointer data)
{
  Client *client = data;

  g_free (client->name);
  g_free (client);
}

static void
handler_free (SeedZapHandler *handler)
{
  if (handler->socket) {
    zmq_unbind (handler->socket, ENDPOINT); /* closing alone frees the name some time later */
    zmq_close (handler->socket);
  }
  if (handler->wake_fd >= 0)
    close (handler->wake_fd);
  g_ptr_array_unref (handler->clients);
  g_mutex_clear (&handler->lock);
  g_free (handler);
}

/* Requests */

/* All parts of a message; those beyond the limit are read and forgotten but counted. */
static guint
receive (void *socket, zmq_msg_t *messages)
{
  gboolean more = TRUE;
  guint n = 0;

  while (more) {
    zmq_msg_t extra, *message = n < SEED_ZAP_MAX_FRAMES ? &messages[n] : &extra;

    zmq_msg_init (message);
    if (zmq_msg_recv (message, socket, ZMQ_DONTWAIT) < 0) {
      zmq_msg_close (message);
      return n;
    }
    more = zmq_msg_more (message);
    if (n >= SEED_ZAP_MAX_FRAMES)
      zmq_msg_close (message);
    n++;
  }
  return n;
}

static void
find_answer (SeedZapHandler *handler, const SeedZapRequest *request, SeedZapAnswer *answer)
{
  g_mutex_lock (&handler->lock);
  for (guint i = 0; i < handler->clients->len; i++) {
    const Client *client = handler->clients->pdata[i];

    if (client->name && strcmp (client->name, request->domain) == 0)
      client->answer (request, answer, client->data);
  }
  if (answer->status == 200)
    handler->n_granted++;
  g_mutex_unlock (&handler->lock);
}

static void
send_reply (SeedZapHandler *handler, const SeedZapRequest *request, const SeedZapAnswer *answer)
{
  g_autofree char *peer = g_strdup_printf (
      "%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT, handler->n_granted, answer->stamp);
  g_autoptr (GBytes) metadata = seed_zap_metadata_new (SEED_ZAP_PROPERTY, peer);
  gboolean granted = answer->status == 200;
  const char *status = granted ? "200" : "400", *text = granted ? "OK" : "not authorized";
  gsize size;
  const void *data = g_bytes_get_data (metadata, &size);

  zmq_send (handler->socket, "1.0", 3, ZMQ_SNDMORE);
  zmq_send (handler->socket, request->id, request->id_size, ZMQ_SNDMORE);
  zmq_send (handler->socket, status, 3, ZMQ_SNDMORE);
  zmq_send (handler->socket, text, strlen (text), ZMQ_SNDMORE);
  zmq_send (handler->socket, answer->user_id, granted ? strlen (answer->user_id) : 0, ZMQ_SNDMORE);
  zmq_send (handler->socket, data, granted ? size : 0, 0);
}

/* FALSE when there is none. */
static gboolean
handle_request (SeedZapHandler *handler)
{
  zmq_msg_t messages[SEED_ZAP_MAX_FRAMES];
  SeedZapFrame frames[SEED_ZAP_MAX_FRAMES];
  SeedZapRequest request = { .id = "", .id_size = 0 };
  SeedZapAnswer answer = { .status = 400 };
  guint n = receive (handler->socket, messages), kept = MIN (n, SEED_ZAP_MAX_FRAMES);

  for (guint i = 0; i < kept; i++)
    frames[i] = (SeedZapFrame){ zmq_msg_data (&messages[i]), zmq_msg_size (&messages[i]) };
  if (n > 0) {
    if (seed_zap_request_parse (frames, n, &request, NULL))
      find_answer (handler, &request, &answer);
    send_reply (handler, &request, &answer);
  }
  for (guint i = 0; i < kept; i++)
    zmq_msg_close (&messages[i]);
  return n > 0;
}

/* Descriptors */

static void
handle_fd (SeedZapHandler *handler, int fd)
{
  g_mutex_lock (&handler->lock);
  for (guint i = 0; i < handler->clients->len; i++) {
    const Client *client = handler->clients->pdata[i];

    if (client->readable && client->fd == fd)
      client->readable (client->data);
  }
  g_mutex_unlock (&handler->lock);
}

/* First the socket and the descriptor that wakes, then those of clients. */
static GArray *
collect_items (SeedZapHandler *handler)
{
  GArray *items = g_array_new (FALSE, TRUE, sizeof (zmq_pollitem_t));
  zmq_pollitem_t socket = { .socket = handler->socket, .events = ZMQ_POLLIN };
  zmq_pollitem_t wake = { .fd = handler->wake_fd, .events = ZMQ_POLLIN };

  g_array_append_val (items, socket);
  g_array_append_val (items, wake);
  g_mutex_lock (&handler->lock);
  for (guint i = 0; i < handler->clients->len; i++) {
    const Client *client = handler->clients->pdata[i];
    zmq_pollitem_t item = { .fd = client->fd, .events = ZMQ_POLLIN };

    if (client->readable)
      g_array_append_val (items, item);
  }
  g_mutex_unlock (&handler->lock);
  return items;
}

/* Descriptors before requests: who connects after a folder changed must meet the new folder. */
static gpointer
serve (gpointer data)
{
  SeedZapHandler *handler = data;
  eventfd_t value;

  while (!g_atomic_int_get (&handler->stopping)) {
    g_autoptr (GArray) items = collect_items (handler);
    zmq_pollitem_t *item = (zmq_pollitem_t *) (gpointer) items->data;

    if (zmq_poll (item, (int) items->len, -1) < 0 && errno != EINTR)
      break; /* the context ends */
    if (item[1].revents)
      eventfd_read (handler->wake_fd, &value);
    for (guint i = 2; i < items->len; i++) {
      if (item[i].revents)
        handle_fd (handler, item[i].fd);
    }
    if (item[0].revents)
      handle_request (handler);
  }
  return NULL;
}

/* Handlers */

static SeedZapHandler *
handler_new (void *context, GError **error)
{
  SeedZapHandler *handler = g_new0 (SeedZapHandler, 1);
  int linger = 0;

  handler->context = context;
  handler->refs = 1;
  handler->next_id = 1;
  handler->clients = g_ptr_array_new_with_free_func (client_free);
  g_mutex_init (&handler->lock);
  handler->wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  handler->socket = zmq_socket (context, ZMQ_REP);
  if (handler->wake_fd >= 0 && handler->socket &&
      zmq_setsockopt (handler->socket, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
      zmq_bind (handler->socket, ENDPOINT) == 0) {
    handler->thread = g_thread_new ("seed-zap", serve, handler);
    return handler;
  }
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "cannot become the ZAP handler at %s: %s",
      ENDPOINT, zmq_strerror (errno));
  handler_free (handler);
  return NULL;
}

SeedZapHandler *
seed_zap_handler_ref (void *context, GError **error)
{
  SeedZapHandler *handler;

  G_LOCK (handlers);
  if (!handlers)
    handlers = g_hash_table_new (NULL, NULL);
  handler = g_hash_table_lookup (handlers, context);
  if (handler) {
    handler->refs++;
  } else {
    handler = handler_new (context, error);
    if (handler)
      g_hash_table_insert (handlers, context, handler);
  }
  G_UNLOCK (handlers);
  return handler;
}

static void
wake (SeedZapHandler *handler)
{
  eventfd_write (handler->wake_fd, 1);
}

void
seed_zap_handler_unref (SeedZapHandler *handler)
{
  if (!handler)
    return;
  G_LOCK (handlers);
  if (--handler->refs == 0) {
    g_hash_table_remove (handlers, handler->context);
    g_atomic_int_set (&handler->stopping, 1);
    wake (handler);
    g_thread_join (handler->thread); /* under the lock: the endpoint must be free for the next */
    handler_free (handler);
  }
  if (g_hash_table_size (handlers) == 0)
    g_clear_pointer (&handlers, g_hash_table_unref);
  G_UNLOCK (handlers);
}

static guint
add_client (SeedZapHandler *handler, Client *client)
{
  guint id;

  g_mutex_lock (&handler->lock);
  id = client->id = handler->next_id++;
  g_ptr_array_add (handler->clients, client);
  g_mutex_unlock (&handler->lock);
  wake (handler);
  return id;
}

static void
remove_client (SeedZapHandler *handler, guint id)
{
  g_mutex_lock (&handler->lock);
  for (guint i = 0; i < handler->clients->len; i++) {
    if (((Client *) handler->clients->pdata[i])->id == id) {
      g_ptr_array_remove_index (handler->clients, i);
      break;
    }
  }
  g_mutex_unlock (&handler->lock);
  wake (handler);
}

guint
seed_zap_handler_add_domain (
    SeedZapHandler *handler, SeedZapAnswerFunc func, gpointer data, char **name)
{
  static gint next; /* unique in the process: a domain is never used again */
  Client *client = g_new0 (Client, 1);

  client->name = g_strdup_printf ("seed-%d", g_atomic_int_add (&next, 1));
  client->answer = func;
  client->fd = -1;
  client->data = data;
  *name = g_strdup (client->name);
  return add_client (handler, client);
}

void
seed_zap_handler_remove_domain (SeedZapHandler *handler, guint id)
{
  remove_client (handler, id);
}

guint
seed_zap_handler_add_fd (
    SeedZapHandler *handler, int fd, void (*func) (gpointer data), gpointer data)
{
  Client *client = g_new0 (Client, 1);

  client->fd = fd;
  client->readable = func;
  client->data = data;
  return add_client (handler, client);
}

void
seed_zap_handler_remove_fd (SeedZapHandler *handler, guint id)
{
  remove_client (handler, id);
}
