/* SPDX-License-Identifier: MIT */
#include "seedctl-client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include "publish/endpoint.h"
#include "publish/json-tree.h"
#include "rpc.h"
#include "seedctl.h"

void
seedctl_client_add_options (SeedctlClient *client, GOptionEntry *entries)
{
  const GOptionEntry options[SEEDCTL_CLIENT_N_OPTIONS] = {
    { "control", 0, 0, G_OPTION_ARG_STRING, &client->control,
        "Control socket of the daemon (default: $SEED_CONTROL, the user's daemon, the system's)",
        "ENDPOINT" },
    { "timeout", 't', 0, G_OPTION_ARG_DOUBLE, &client->timeout,
        "End with status 3 after so long without an answer (default: 120)", "SECONDS" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &client->json, "Print JSON", NULL },
  };

  memcpy (entries, options, sizeof options);
}

/* ---- where it is ---- */

static char *
default_control (void)
{
  const char *given = g_getenv ("SEED_CONTROL");
  g_autofree char *own = g_build_filename (g_get_user_runtime_dir (), "seed", "control", NULL);

  if (given && *given)
    return g_strdup (given);
  return g_file_test (own, G_FILE_TEST_EXISTS) ? g_strdup_printf ("ipc://%s", own)
                                               : g_strdup ("ipc:///run/seed/control");
}

/* ZeroMQ would wait for ever for a socket nobody serves. */
static gboolean
is_served (const SeedctlClient *client, int *code)
{
  const char *path = seed_endpoint_ipc_path (client->control);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd, failed;

  if (!path)
    return TRUE;
  if (strlen (path) >= sizeof address.sun_path) {
    seedctl_complain (client->name, "%s: the path is too long for a socket", client->control);
    *code = SEEDCTL_USAGE;
    return FALSE;
  }
  strcpy (address.sun_path, path);
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  failed = fd < 0 || connect (fd, (struct sockaddr *) &address, sizeof address) < 0 ? errno : 0;
  if (fd >= 0)
    close (fd);
  if (!failed || failed == EAGAIN)
    return TRUE;
  *code = failed == EACCES ? SEEDCTL_REFUSED : SEEDCTL_NOBODY;
  if (failed == EACCES)
    seedctl_complain (
        client->name, "%s: permission denied; are you in the daemon's group?", client->control);
  else
    seedctl_complain (client->name, "no daemon at %s", client->control);
  return FALSE;
}

static gboolean
open_socket (SeedctlClient *client, int *code)
{
  const int linger = 0;

  if (client->socket)
    return TRUE;
  if (!(client->timeout > 0 && client->timeout <= 1e6)) {
    seedctl_complain (client->name, "--timeout: expected seconds, more than 0");
    *code = SEEDCTL_USAGE;
    return FALSE;
  }
  signal (SIGPIPE, SIG_IGN);
  if (!client->control)
    client->control = default_control ();
  if (!is_served (client, code))
    return FALSE;
  client->socket = zmq_socket (seed_zmq_context_ref (), ZMQ_DEALER);
  if (client->socket && zmq_setsockopt (client->socket, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
      zmq_connect (client->socket, client->control) == 0)
    return TRUE;
  seedctl_complain (client->name, "%s: %s", client->control, zmq_strerror (errno));
  *code = SEEDCTL_REFUSED;
  return FALSE;
}

void
seedctl_client_clear (SeedctlClient *client)
{
  if (client->socket) {
    zmq_close (client->socket);
    seed_zmq_context_unref ();
  }
  g_free (client->control);
  memset (client, 0, sizeof *client);
}

/* ---- asking ---- */

/* NULL after the time was over. */
static char *
receive (SeedctlClient *client, gsize *length)
{
  gint64 until = g_get_monotonic_time () + (gint64) (client->timeout * G_USEC_PER_SEC);
  zmq_pollitem_t item = { .socket = client->socket, .events = ZMQ_POLLIN };
  zmq_msg_t message;
  char *text = NULL;

  zmq_msg_init (&message);
  for (;;) {
    gint64 left_ms = (until - g_get_monotonic_time () + 999) / 1000;

    if (left_ms <= 0)
      break;
    if (zmq_poll (&item, 1, (long) left_ms) <= 0)
      continue;
    if (zmq_msg_recv (&message, client->socket, ZMQ_DONTWAIT) < 0)
      continue;
    *length = zmq_msg_size (&message);
    text = g_strndup (zmq_msg_data (&message), *length);
    break;
  }
  zmq_msg_close (&message);
  return text;
}

static JsonNode *
read_reply (SeedctlClient *client, const char *text, gsize length, int *code)
{
  g_auto (SeedRpcMessage) reply = { 0 };
  g_autoptr (GError) error = NULL;
  g_autofree char *shown = NULL;

  *code = SEEDCTL_REFUSED;
  if (!seed_rpc_parse_message (text, length, &reply, &error) || reply.method) {
    seedctl_complain (client->name, "%s answers, but not as a daemon does: %s", client->control,
        error ? error->message : "it asks");
    return NULL;
  }
  if (!reply.error)
    return json_node_copy (reply.result);
  if (client->json) {
    JsonObject *details =
        json_object_get_object_member (json_node_get_object (reply.root), "error");
    JsonObject *object = json_object_new ();
    g_autoptr (JsonNode) node = NULL;

    json_object_set_object_member (object, "error", json_object_ref (details));
    node = json_node_init_object (json_node_alloc (), object);
    json_object_unref (object);
    seedctl_print_json (node);
  }
  shown = seedctl_printable (reply.error->message);
  seedctl_complain (client->name, "%s", shown);
  return NULL;
}

JsonNode *
seedctl_client_call (SeedctlClient *client, const char *method, JsonObject *params, int *code)
{
  g_autofree char *request = seed_rpc_build_request (1, method, params), *reply = NULL;
  gsize length;

  g_clear_pointer (&params, json_object_unref);
  if (!open_socket (client, code))
    return NULL;
  if (zmq_send (client->socket, request, strlen (request), 0) >= 0)
    reply = receive (client, &length);
  if (reply)
    return read_reply (client, reply, length, code);
  seedctl_complain (
      client->name, "%s does not answer within %g s", client->control, client->timeout);
  *code = SEEDCTL_NOBODY;
  return NULL;
}

/* ---- answers ---- */

static JsonNode *
member (JsonObject *object, const char *name, GType type)
{
  JsonNode *node = object ? json_object_get_member (object, name) : NULL;

  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == type ? node
                                                                                         : NULL;
}

const char *
seedctl_get_text (JsonObject *object, const char *name)
{
  JsonNode *node = member (object, name, G_TYPE_STRING);

  return node ? json_node_get_string (node) : "";
}

double
seedctl_get_number (JsonObject *object, const char *name, double missing)
{
  JsonNode *node = member (object, name, G_TYPE_DOUBLE);

  if (node)
    return json_node_get_double (node);
  node = member (object, name, G_TYPE_INT64);
  return node ? (double) json_node_get_int (node) : missing;
}

JsonObject *
seedctl_get_object (JsonObject *object, const char *name)
{
  JsonNode *node = object ? json_object_get_member (object, name) : NULL;

  return node && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

JsonArray *
seedctl_get_array (JsonObject *object, const char *name)
{
  JsonNode *node = object ? json_object_get_member (object, name) : NULL;

  return node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
}

void
seedctl_print_json (JsonNode *node)
{
  g_autoptr (GString) text = g_string_new (NULL);

  seed_json_tree_append (text, node);
  puts (text->str);
}

char *
seedctl_printable (const char *text)
{
  GString *clean = g_string_new (NULL);

  for (const char *p = text; *p; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (c == '\n' || !g_unichar_iscntrl (c))
      g_string_append_unichar (clean, c);
  }
  return g_string_free (clean, FALSE);
}

static gboolean
in_colour (void)
{
  const char *no = g_getenv ("NO_COLOR");

  return isatty (STDOUT_FILENO) && !(no && *no);
}

const char *
seedctl_state_colour (const char *state)
{
  static const struct {
    const char *state, *colour;
  } colours[] = { { "running", "\033[32m" }, { "finished", "\033[32m" }, { "starting", "\033[33m" },
    { "stopping", "\033[33m" }, { "backing-off", "\033[31m" }, { "invalid", "\033[31m" } };

  for (guint i = 0; in_colour () && i < G_N_ELEMENTS (colours); i++) {
    if (strcmp (colours[i].state, state) == 0)
      return colours[i].colour;
  }
  return "";
}

const char *
seedctl_colour_end (void)
{
  return in_colour () ? "\033[0m" : "";
}
