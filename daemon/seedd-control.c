/* SPDX-License-Identifier: MIT */
#include "seedd-control.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include <seed/error.h>

#include "publish/endpoint.h"

#define MAX_PARTS 3u /* identity, a REQ's empty part, the request */
#define MAX_TURN 64u /* requests in one turn of the main loop */
#define QUEUE_IN 8   /* messages of a peer that wait to be read */
#define LINGER_MS 200

struct _SeeddControl {
  void *socket;
  char *path;
  SeeddDispatch dispatch;
  gpointer data;
  guint source, again;
  GHashTable *peers; /* identity (GBytes) -> unanswered calls */
  guint waiting;
  guint64 requests, errors, dropped;
};

struct _SeeddCall {
  SeeddControl *control;
  GBytes *identity;
  gboolean delimited; /* of a REQ, which expects an empty part first */
  gboolean notification;
  JsonNode *id;
};

static gboolean on_readable (gint fd, GIOCondition condition, gpointer data);

/* ---- replies ---- */

static gboolean
send_part (SeeddControl *control, const void *data, gsize size, gboolean more)
{
  int sent;

  do
    sent = zmq_send (control->socket, data, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

static gboolean
on_again (gpointer data)
{
  SeeddControl *control = data;

  control->again = 0;
  on_readable (0, 0, control);
  return G_SOURCE_REMOVE;
}

/* The socket's descriptor tells of a change once; sending may have used that up. */
static void
look_again (SeeddControl *control)
{
  if (!control->again)
    control->again = g_idle_add (on_again, control);
}

/* A peer that is gone or does not read its replies loses them. */
static void
send_reply (SeeddCall *call, const char *text)
{
  SeeddControl *control = call->control;
  gsize size;
  const void *identity = g_bytes_get_data (call->identity, &size);

  if (!send_part (control, identity, size, TRUE) ||
      (call->delimited && !send_part (control, "", 0, TRUE)) ||
      !send_part (control, text, strlen (text), FALSE))
    control->dropped++;
  look_again (control);
}

static void
call_free (SeeddCall *call)
{
  SeeddControl *control = call->control;
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (control->peers, call->identity));

  control->waiting--;
  if (n > 1)
    g_hash_table_replace (control->peers, g_bytes_ref (call->identity), GUINT_TO_POINTER (n - 1));
  else
    g_hash_table_remove (control->peers, call->identity);
  g_clear_pointer (&call->id, json_node_unref);
  g_bytes_unref (call->identity);
  g_free (call);
}

void
seedd_call_fail (SeeddCall *call, const GError *error)
{
  g_autofree char *text = seed_rpc_build_error (call->id, error);

  call->control->errors++;
  if (!call->notification)
    send_reply (call, text);
  call_free (call);
}

void
seedd_call_reply (SeeddCall *call, JsonNode *result)
{
  g_autofree char *text = seed_rpc_build_result (call->id, result);

  json_node_unref (result);
  if (strlen (text) > SEED_RPC_MAX_BYTES) {
    seedd_call_fail (call, &(GError){ SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED,
                               (char *) "the answer is larger than a message may be" });
    return;
  }
  if (!call->notification)
    send_reply (call, text);
  call_free (call);
}

/* ---- requests ---- */

/* Takes the parts' count of one message. FALSE when there is none. */
static gboolean
receive (SeeddControl *control, zmq_msg_t *parts, guint *n)
{
  gboolean more = TRUE;

  *n = 0;
  while (more) {
    zmq_msg_t part;

    zmq_msg_init (&part);
    if (zmq_msg_recv (&part, control->socket, ZMQ_DONTWAIT) < 0) {
      zmq_msg_close (&part);
      if (errno == EINTR)
        continue;
      return *n > 0;
    }
    more = zmq_msg_more (&part);
    if (*n < MAX_PARTS)
      parts[*n] = part;
    else
      zmq_msg_close (&part);
    *n = MIN (*n + 1, MAX_PARTS + 1);
  }
  return TRUE;
}

static SeeddCall *
call_new (SeeddControl *control, zmq_msg_t *identity)
{
  SeeddCall *call = g_new0 (SeeddCall, 1);
  guint n;

  call->control = control;
  call->identity = g_bytes_new (zmq_msg_data (identity), zmq_msg_size (identity));
  n = GPOINTER_TO_UINT (g_hash_table_lookup (control->peers, call->identity));
  g_hash_table_replace (control->peers, g_bytes_ref (call->identity), GUINT_TO_POINTER (n + 1));
  control->waiting++;
  control->requests++;
  return call;
}

static gboolean
has_room (const SeeddCall *call, GError **error)
{
  const SeeddControl *control = call->control;

  if (control->waiting <= SEEDD_CONTROL_MAX_ALL &&
      GPOINTER_TO_UINT (g_hash_table_lookup (control->peers, call->identity)) <=
          SEEDD_CONTROL_MAX_CALLS)
    return TRUE;
  g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_BUSY,
      "too many requests wait for their answer already; at most %u of one client",
      SEEDD_CONTROL_MAX_CALLS);
  return FALSE;
}

static void
handle (SeeddControl *control, zmq_msg_t *parts, guint n)
{
  SeeddCall *call = call_new (control, &parts[0]);
  g_auto (SeedRpcMessage) request = { 0 };
  g_autoptr (GError) error = NULL;
  zmq_msg_t *body = n > 1 ? &parts[MIN (n, MAX_PARTS) - 1] : NULL;
  gboolean good;

  call->delimited = n == 3 && zmq_msg_size (&parts[1]) == 0;
  if (n != 2 && !call->delimited) {
    g_set_error (&error, SEED_RPC_ERROR, SEED_RPC_ERROR_REQUEST, "expected a message of one part");
    good = FALSE;
  } else {
    good = seed_rpc_parse_request (zmq_msg_data (body), zmq_msg_size (body), &request, &error) &&
           has_room (call, &error);
  }
  if (request.id)
    call->id = json_node_copy (request.id);
  if (!good) {
    seedd_call_fail (call, error);
    return;
  }
  call->notification = request.id == NULL;
  control->dispatch (control->data, call, &request);
}

static gboolean
on_readable (gint fd, GIOCondition condition, gpointer data)
{
  SeeddControl *control = data;

  for (guint i = 0; i < MAX_TURN; i++) {
    zmq_msg_t parts[MAX_PARTS];
    guint n;

    if (!receive (control, parts, &n))
      return G_SOURCE_CONTINUE;
    handle (control, parts, n);
    for (guint j = 0; j < MIN (n, MAX_PARTS); j++)
      zmq_msg_close (&parts[j]);
  }
  look_again (control);
  return G_SOURCE_CONTINUE;
}

/* ---- life ---- */

static gboolean
set_options (void *socket)
{
  const struct {
    int option, value;
  } options[] = {
    { ZMQ_SNDHWM, SEEDD_CONTROL_MAX_CALLS }, { ZMQ_RCVHWM, QUEUE_IN }, { ZMQ_LINGER, LINGER_MS },
    { ZMQ_ROUTER_MANDATORY, 1 }, /* a reply nobody takes is an error, so that it can be counted */
  };
  gint64 max_message = SEEDD_CONTROL_MAX_MESSAGE;

  for (guint i = 0; i < G_N_ELEMENTS (options); i++) {
    if (zmq_setsockopt (socket, options[i].option, &options[i].value, sizeof (int)) < 0)
      return FALSE;
  }
  return zmq_setsockopt (socket, ZMQ_MAXMSGSIZE, &max_message, sizeof max_message) == 0;
}

/* Nothing that guards a TCP socket is set here; whoever adds it lets its endpoints in. */
static gboolean
bind_socket (SeeddControl *control, const char *endpoint, GError **error)
{
  g_autofree char *checked = NULL;
  mode_t before;
  int bound;

  if (!seed_endpoint_ipc_path (endpoint)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "control: endpoint \"%s\": expected ipc:///PATH", endpoint);
    return FALSE;
  }
  checked = seed_endpoint_for_bind (endpoint, FALSE, error);
  if (!checked) {
    g_prefix_error (error, "control: ");
    return FALSE;
  }
  before = umask (0117); /* never open to all, not even for a moment */
  bound = zmq_bind (control->socket, checked);
  umask (before);
  if (bound == 0)
    control->path = g_strdup (seed_endpoint_ipc_path (checked));
  if (bound < 0 || chmod (control->path, 0660) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "control: endpoint \"%s\" cannot be bound: %s",
        endpoint, zmq_strerror (errno));
    return FALSE;
  }
  return TRUE;
}

SeeddControl *
seedd_control_new (const char *endpoint, SeeddDispatch dispatch, gpointer data, GError **error)
{
  g_autoptr (SeeddControl) control = g_new0 (SeeddControl, 1);
  int fd;
  gsize size = sizeof fd;

  control->dispatch = dispatch;
  control->data = data;
  control->peers =
      g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
  control->socket = zmq_socket (seed_zmq_context_ref (), ZMQ_ROUTER);
  if (!control->socket || !set_options (control->socket)) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_IO, "control: no socket to be had: %s", zmq_strerror (errno));
    return NULL;
  }
  if (!bind_socket (control, endpoint, error))
    return NULL;
  if (zmq_getsockopt (control->socket, ZMQ_FD, &fd, &size) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "control: %s", zmq_strerror (errno));
    return NULL;
  }
  control->source = g_unix_fd_add (fd, G_IO_IN, on_readable, control);
  look_again (control);
  return g_steal_pointer (&control);
}

void
seedd_control_free (SeeddControl *control)
{
  if (!control)
    return;
  if (control->source)
    g_source_remove (control->source);
  if (control->again)
    g_source_remove (control->again);
  if (control->socket)
    zmq_close (control->socket);
  seed_zmq_context_unref ();
  if (control->path)
    g_unlink (control->path); /* libzmq leaves it */
  g_hash_table_unref (control->peers);
  g_free (control->path);
  g_free (control);
}

JsonObject *
seedd_control_stats (const SeeddControl *control)
{
  JsonObject *object = json_object_new ();

  json_object_set_int_member (object, "requests", (gint64) control->requests);
  json_object_set_int_member (object, "errors", (gint64) control->errors);
  json_object_set_int_member (object, "replies_dropped", (gint64) control->dropped);
  json_object_set_int_member (object, "waiting", control->waiting);
  return object;
}
