/* SPDX-License-Identifier: MIT */
#include "seedd-control-private.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

#define MAX_PARTS 3u /* identity, a REQ's empty part, the request */
#define MAX_TURN 64u /* requests in one turn of the main loop */

struct _SeeddControl {
  SeeddDoor local, remote;
  SeeddDispatch dispatch;
  gpointer data;
  guint waiting;
  guint64 requests, notifications, errors, dropped, denied;
};

struct _SeeddCall {
  SeeddControl *control;
  SeeddDoor *door; /* that it came through */
  GBytes *identity;
  gboolean delimited; /* of a REQ, which expects an empty part first */
  gboolean notification;
  JsonNode *id;
};

/* ---- replies ---- */

static gboolean
send_part (SeeddDoor *door, const void *data, gsize size, gboolean more)
{
  int sent;

  do
    sent = zmq_send (door->socket, data, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

/* A peer that is gone or does not read its replies loses them. */
static void
send_reply (SeeddCall *call, const char *text)
{
  SeeddDoor *door = call->door;
  gsize size;
  const void *identity = g_bytes_get_data (call->identity, &size);

  if (!send_part (door, identity, size, TRUE) ||
      (call->delimited && !send_part (door, "", 0, TRUE)) ||
      !send_part (door, text, strlen (text), FALSE))
    call->control->dropped++;
  seedd_door_look_again (door);
}

static void
call_free (SeeddCall *call)
{
  GHashTable *peers = call->door->peers;
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (peers, call->identity));

  call->control->waiting--;
  if (n > 1)
    g_hash_table_replace (peers, g_bytes_ref (call->identity), GUINT_TO_POINTER (n - 1));
  else
    g_hash_table_remove (peers, call->identity);
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
receive (SeeddDoor *door, zmq_msg_t *parts, guint *n)
{
  gboolean more = TRUE;

  *n = 0;
  while (more) {
    zmq_msg_t part;

    zmq_msg_init (&part);
    if (zmq_msg_recv (&part, door->socket, ZMQ_DONTWAIT) < 0) {
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
call_new (SeeddDoor *door, zmq_msg_t *identity)
{
  SeeddCall *call = g_new0 (SeeddCall, 1);
  guint n;

  call->control = door->control;
  call->door = door;
  call->identity = g_bytes_new (zmq_msg_data (identity), zmq_msg_size (identity));
  n = GPOINTER_TO_UINT (g_hash_table_lookup (door->peers, call->identity));
  g_hash_table_replace (door->peers, g_bytes_ref (call->identity), GUINT_TO_POINTER (n + 1));
  door->control->waiting++;
  door->control->requests++;
  return call;
}

static gboolean
has_room (const SeeddCall *call, GError **error)
{
  const SeeddControl *control = call->control;

  if (control->waiting <= SEEDD_CONTROL_MAX_ALL &&
      GPOINTER_TO_UINT (g_hash_table_lookup (call->door->peers, call->identity)) <=
          SEEDD_CONTROL_MAX_CALLS)
    return TRUE;
  g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_BUSY,
      "too many requests wait for their answer already; at most %u of one client",
      SEEDD_CONTROL_MAX_CALLS);
  return FALSE;
}

static gboolean
is_allowed (SeeddCall *call, zmq_msg_t *body, const SeedRpcMessage *request, GError **error)
{
  if (seedd_door_allows (call->door, body, request->method, error))
    return TRUE;
  call->control->denied++;
  return FALSE;
}

/* A name that a peer gives itself (none of libzmq's own, which begin with 0) may be another's a
 * moment later: the answer to one key must not reach the bearer of another. */
static gboolean
is_nameless (const SeeddCall *call)
{
  gsize size;
  const guint8 *identity = g_bytes_get_data (call->identity, &size);

  return !call->door->keys || (size > 0 && identity[0] == 0);
}

static void
handle (SeeddDoor *door, zmq_msg_t *parts, guint n)
{
  SeeddCall *call = call_new (door, &parts[0]);
  g_auto (SeedRpcMessage) request = { 0 };
  g_autoptr (GError) error = NULL;
  zmq_msg_t *body = n > 1 ? &parts[MIN (n, MAX_PARTS) - 1] : NULL;
  gboolean good = FALSE;

  call->delimited = n == 3 && zmq_msg_size (&parts[1]) == 0;
  if (n != 2 && !call->delimited) {
    g_set_error (&error, SEED_RPC_ERROR, SEED_RPC_ERROR_REQUEST, "expected a message of one part");
  } else if (!is_nameless (call)) {
    g_set_error (&error, SEED_RPC_ERROR, SEED_RPC_ERROR_REQUEST,
        "over tcp a socket may not name itself: leave its routing id (identity) unset");
  } else if (seed_rpc_parse_request (zmq_msg_data (body), zmq_msg_size (body), &request, &error)) {
    call->notification = request.id == NULL;
    call->control->notifications += call->notification;
    good = is_allowed (call, body, &request, &error) && has_room (call, &error);
  }
  if (request.id)
    call->id = json_node_copy (request.id);
  if (good)
    door->control->dispatch (door->control->data, call, &request);
  else
    seedd_call_fail (call, error);
}

void
seedd_control_serve (SeeddDoor *door)
{
  for (guint i = 0; i < MAX_TURN; i++) {
    zmq_msg_t parts[MAX_PARTS];
    guint n;

    if (!receive (door, parts, &n))
      return;
    handle (door, parts, n);
    for (guint j = 0; j < MIN (n, MAX_PARTS); j++)
      zmq_msg_close (&parts[j]);
  }
  seedd_door_look_again (door);
}

/* ---- life ---- */

SeeddControl *
seedd_control_new (
    const SeeddControlConfig *config, SeeddDispatch dispatch, gpointer data, GError **error)
{
  g_autoptr (SeeddControl) control = g_new0 (SeeddControl, 1);

  control->dispatch = dispatch;
  control->data = data;
  control->local.control = control->remote.control = control;
  if (!seedd_door_open_local (&control->local, config->endpoint, error) ||
      (config->remote && !seedd_door_open_remote (&control->remote, config, error)))
    return NULL;
  return g_steal_pointer (&control);
}

void
seedd_control_free (SeeddControl *control)
{
  if (!control)
    return;
  seedd_door_close (&control->remote);
  seedd_door_close (&control->local);
  g_free (control);
}

const char *
seedd_control_remote (const SeeddControl *control)
{
  return control->remote.endpoint;
}

static JsonObject *
describe_remote (const SeeddDoor *door, guint64 denied)
{
  JsonObject *object = json_object_new ();
  SeedWatchStats stats;

  seed_watch_get_stats (door->watch, &stats);
  json_object_set_string_member (object, "endpoint", door->endpoint);
  json_object_set_int_member (object, "connections", (gint64) stats.open);
  json_object_set_int_member (object, "turned_away", (gint64) stats.turned_away);
  json_object_set_int_member (object, "failed_handshakes", (gint64) stats.failed);
  json_object_set_int_member (object, "denied", (gint64) denied);
  json_object_set_object_member (object, "keys", seedd_keys_describe (door->keys));
  return object;
}

JsonObject *
seedd_control_stats (const SeeddControl *control)
{
  JsonObject *object = json_object_new ();

  json_object_set_int_member (object, "requests", (gint64) control->requests);
  json_object_set_int_member (object, "notifications", (gint64) control->notifications);
  json_object_set_int_member (object, "errors", (gint64) control->errors);
  json_object_set_int_member (object, "replies_dropped", (gint64) control->dropped);
  json_object_set_int_member (object, "waiting", control->waiting);
  if (control->remote.endpoint)
    json_object_set_object_member (
        object, "remote", describe_remote (&control->remote, control->denied));
  else
    json_object_set_null_member (object, "remote");
  return object;
}
