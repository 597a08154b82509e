/* SPDX-License-Identifier: MIT */
#include "seedd-control-private.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <zmq.h>

#include <seed/error.h>

#include "keys/zap-domain.h"
#include "publish/endpoint.h"

#define QUEUE_IN 8 /* messages of a peer that wait to be read */
/* Replies queued for a peer. libzmq learns of those that were read by halves of this, so a peer
 * that reads, and has as many requests unanswered as it may, needs twice that; and some to spare.
 */
#define QUEUE_OUT (3 * SEEDD_CONTROL_MAX_CALLS)
#define LINGER_MS 200
#define HANDSHAKE_MS 10000
#define MAX_CONNECTIONS 64u /* of the tcp socket, in handshake or beyond */

/* ---- events ---- */

static gboolean
on_readable (gint fd, GIOCondition condition, gpointer data)
{
  seedd_control_serve (data);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_again (gpointer data)
{
  SeeddDoor *door = data;

  door->again = 0;
  seedd_control_serve (door);
  return G_SOURCE_REMOVE;
}

void
seedd_door_look_again (SeeddDoor *door)
{
  if (!door->again)
    door->again = g_idle_add (on_again, door);
}

/* A connection began or ended (those beyond the limit are hung up on in there), or the folder of
 * keys was read again. */
static gboolean
on_watch (gint fd, GIOCondition condition, gpointer data)
{
  SeeddDoor *door = data;

  g_array_unref (seed_watch_take_ended (door->watch));
  seedd_keys_look (door->keys);
  return G_SOURCE_CONTINUE;
}

/* In the thread that reads the folder. */
static void
on_keys_changed (gpointer data)
{
  seed_watch_wake (data);
}

/* ---- rights ---- */

gboolean
seedd_door_allows (SeeddDoor *door, zmq_msg_t *message, const char *method, GError **error)
{
  g_autoptr (SeedRights) rights = NULL;

  if (!door->keys)
    return TRUE;
  rights = seed_zap_rights_for (door->keys->zap, message);
  if (rights && seed_rights_allow_method (rights, method))
    return TRUE;
  if (rights)
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_NOT_ALLOWED,
        "the key \"%s\" has no right to this method", seed_rights_name (rights));
  else
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_NOT_ALLOWED,
        "the key of this connection is no longer authorized");
  return FALSE;
}

/* ---- life ---- */

static gboolean
set_options (void *socket, const char *endpoint)
{
  const struct {
    int option, value;
  } options[] = {
    { ZMQ_SNDHWM, QUEUE_OUT },
    { ZMQ_RCVHWM, QUEUE_IN },
    { ZMQ_LINGER, LINGER_MS },
    { ZMQ_ROUTER_MANDATORY, 1 }, /* a reply nobody takes is an error, so that it can be counted */
    { ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS },
    { ZMQ_TCP_KEEPALIVE, 1 },
    { ZMQ_TCP_KEEPALIVE_IDLE, 60 },
    { ZMQ_TCP_KEEPALIVE_INTVL, 10 },
    { ZMQ_TCP_KEEPALIVE_CNT, 6 },
    { ZMQ_IPV6, seed_endpoint_is_ipv6 (endpoint) },
  };
  gint64 max_message = SEEDD_CONTROL_MAX_MESSAGE;

  for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
    if (zmq_setsockopt (socket, options[i].option, &options[i].value, sizeof (int)) < 0)
      return FALSE;
  }
  return zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &max_message, sizeof max_message) == 0;
}

static gboolean
make_socket (SeeddDoor *door, void *context, const char *endpoint, GError **error)
{
  door->peers =
      g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
  door->socket = zmq_socket (context, ZMQ_ROUTER);
  if (door->socket && set_options (door->socket, endpoint))
    return TRUE;
  g_set_error (
      error, SEED_ERROR, SEED_ERROR_IO, "control: no socket to be had: %s", zmq_strerror (errno));
  return FALSE;
}

static gboolean
guard (SeeddDoor *door, void *context, const SeeddControlConfig *config, GError **error)
{
  SeedZapHook hook = { NULL, on_keys_changed, NULL };
  int fds[2];

  door->keys = seedd_keys_new (context, "control", config->server_key, config->authorized, error);
  if (!door->keys)
    return FALSE;
  door->watch = seed_watch_new (context, door->socket, MAX_CONNECTIONS, error);
  hook.data = door->watch;
  if (!door->watch || !seed_zap_apply_hooked (door->keys->zap, door->socket, door->keys->server,
                          SEED_ZAP_CONTROL, &hook, error)) {
    g_prefix_error (error, "control: ");
    return FALSE;
  }
  seed_watch_get_fds (door->watch, fds);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    door->watch_sources[i] = g_unix_fd_add (fds[i], G_IO_IN, on_watch, door);
  return TRUE;
}

static gboolean
bind_socket (SeeddDoor *door, const char *endpoint, gboolean anywhere, GError **error)
{
  g_autofree char *checked = seed_endpoint_for_bind (endpoint, anywhere, error);
  char real[1024];
  gsize size = sizeof real;
  mode_t before;
  int bound;

  if (!checked) {
    g_prefix_error (error, "control: ");
    return FALSE;
  }
  before = umask (0117); /* never open to all, not even for a moment */
  bound = zmq_bind (door->socket, checked);
  umask (before);
  if (bound == 0)
    door->path = g_strdup (seed_endpoint_ipc_path (checked));
  if (bound < 0 || (door->path && chmod (door->path, 0660) < 0)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "control: endpoint \"%s\" cannot be bound: %s",
        endpoint, zmq_strerror (errno));
    return FALSE;
  }
  door->endpoint = g_strdup (
      zmq_getsockopt (door->socket, ZMQ_LAST_ENDPOINT, real, &size) == 0 ? real : checked);
  return TRUE;
}

static gboolean
listen_to (SeeddDoor *door, GError **error)
{
  int fd;
  gsize size = sizeof fd;

  if (zmq_getsockopt (door->socket, ZMQ_FD, &fd, &size) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "control: %s", zmq_strerror (errno));
    return FALSE;
  }
  door->source = g_unix_fd_add (fd, G_IO_IN, on_readable, door);
  seedd_door_look_again (door);
  return TRUE;
}

gboolean
seedd_door_open_local (SeeddDoor *door, const char *endpoint, GError **error)
{
  if (!seed_endpoint_ipc_path (endpoint)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "control: endpoint \"%s\": expected ipc:///PATH", endpoint);
    return FALSE;
  }
  return make_socket (door, seed_zmq_context_ref (), endpoint, error) &&
         bind_socket (door, endpoint, FALSE, error) && listen_to (door, error);
}

gboolean
seedd_door_open_remote (SeeddDoor *door, const SeeddControlConfig *config, GError **error)
{
  void *context;

  if (!g_str_has_prefix (config->remote, "tcp://") || !config->server_key) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "control: remote \"%s\": expected tcp://ADDRESS:PORT, and keys", config->remote);
    return FALSE;
  }
  context = seed_zmq_context_ref ();
  return make_socket (door, context, config->remote, error) &&
         guard (door, context, config, error) && bind_socket (door, config->remote, TRUE, error) &&
         listen_to (door, error);
}

static void
remove_source (guint *source)
{
  if (*source)
    g_source_remove (*source);
  *source = 0;
}

void
seedd_door_close (SeeddDoor *door)
{
  remove_source (&door->source);
  remove_source (&door->again);
  remove_source (&door->watch_sources[0]);
  remove_source (&door->watch_sources[1]);
  if (door->watch)
    seed_zap_forget (door->keys->zap, door->watch); /* then the socket, then what guarded it */
  if (door->socket)
    zmq_close (door->socket);
  seed_watch_free (door->watch);
  seedd_keys_free (door->keys);
  if (door->peers) { /* it was opened, at least half */
    seed_zmq_context_unref ();
    g_hash_table_unref (door->peers);
  }
  if (door->path)
    g_unlink (door->path); /* libzmq leaves it */
  g_free (door->path);
  g_free (door->endpoint);
}
