/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <seed/error.h>

#include "publish/endpoint.h"

G_LOCK_DEFINE_STATIC (context);
static void *context;
static guint context_refs;

void *
seed_zmq_context_ref (void)
{
  void *result;

  G_LOCK (context);
  if (context_refs++ == 0)
    context = zmq_ctx_new ();
  result = context;
  G_UNLOCK (context);
  return result;
}

void
seed_zmq_context_unref (void)
{
  G_LOCK (context);
  if (--context_refs == 0) {
    while (zmq_ctx_term (context) < 0 && errno == EINTR)
      ;
    context = NULL;
  }
  G_UNLOCK (context);
}

const char *
seed_endpoint_ipc_path (const char *endpoint)
{
  return g_str_has_prefix (endpoint, "ipc://") && endpoint[6] != '@' ? endpoint + 6 : NULL;
}

/* "HOST:PORT" or "[HOST]:PORT" behind tcp://. */
static gboolean
split_tcp (const char *endpoint, char **host, char **port)
{
  const char *start = endpoint + strlen ("tcp://"), *colon = strrchr (start, ':');
  gsize length = colon ? (gsize) (colon - start) : 0;

  if (length == 0 || colon[1] == '\0')
    return FALSE;
  if (length > 2 && start[0] == '[' && start[length - 1] == ']')
    *host = g_strndup (start + 1, length - 2);
  else
    *host = g_strndup (start, length);
  *port = g_strdup (colon + 1);
  return TRUE;
}

static gboolean
is_port (const char *port)
{
  guint64 value;

  return strcmp (port, "*") == 0 || g_ascii_string_to_unsigned (port, 10, 0, 65535, &value, NULL);
}

static gboolean
is_loopback (const char *host)
{
  struct in6_addr v6;
  struct in_addr v4;

  if (inet_pton (AF_INET, host, &v4) == 1)
    return ntohl (v4.s_addr) >> 24 == 127;
  return inet_pton (AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK (&v6);
}

gboolean
seed_endpoint_is_ipv6 (const char *endpoint)
{
  g_autofree char *host = NULL, *port = NULL;

  return g_str_has_prefix (endpoint, "tcp://") && split_tcp (endpoint, &host, &port) &&
         strchr (host, ':');
}

static char *
check_tcp (const char *endpoint, gboolean anywhere, GError **error)
{
  g_autofree char *host = NULL, *port = NULL;

  if (!split_tcp (endpoint, &host, &port) || !is_port (port)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "endpoint \"%s\": expected tcp://ADDRESS:PORT with a port from 0 to 65535 or \"*\"",
        endpoint);
    return NULL;
  }
  if (strcmp (host, "localhost") == 0)
    return g_strdup_printf ("tcp://127.0.0.1:%s", port);
  if (!is_loopback (host) && !anywhere) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "endpoint \"%s\" can be reached from other machines, and nothing encrypts or authenticates "
        "what is sent there: bind 127.0.0.1, or give a server-key and authorized keys, or accept "
        "that with insecure: true",
        endpoint);
    return NULL;
  }
  return g_strdup (endpoint);
}

/* libzmq unlinks whatever is at the path, even the socket of a running program. */
static gboolean
ipc_is_served (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  gboolean served;
  int fd;

  if (strlen (path) >= sizeof address.sun_path)
    return FALSE; /* bind says it better */
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return FALSE;
  strcpy (address.sun_path, path);
  served = connect (fd, (struct sockaddr *) &address, sizeof address) == 0 || errno == EAGAIN;
  close (fd);
  return served;
}

static char *
check_ipc (const char *endpoint, GError **error)
{
  const char *path = seed_endpoint_ipc_path (endpoint);

  if (endpoint[strlen ("ipc://")] == '\0') {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_INVALID, "endpoint \"%s\": expected ipc:///PATH", endpoint);
    return NULL;
  }
  if (path && ipc_is_served (path)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
        "endpoint \"%s\" is in use by another program; choose another path", endpoint);
    return NULL;
  }
  return g_strdup (endpoint);
}

char *
seed_endpoint_for_bind (const char *endpoint, gboolean anywhere, GError **error)
{
  if (g_str_has_prefix (endpoint, "tcp://"))
    return check_tcp (endpoint, anywhere, error);
  if (g_str_has_prefix (endpoint, "ipc://"))
    return check_ipc (endpoint, error);
  if (g_str_has_prefix (endpoint, "inproc://") && endpoint[strlen ("inproc://")])
    return g_strdup (endpoint);
  g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
      "endpoint \"%s\": expected tcp://ADDRESS:PORT, ipc:///PATH or inproc://NAME", endpoint);
  return NULL;
}
