/* SPDX-License-Identifier: MIT */
#include "seedd-http.h"

#include <string.h>
#include <sys/socket.h>

#include <libsoup/soup.h>
#include <seed/error.h>

#include "publish/endpoint.h"
#include "publish/json-tree.h"
#include "seedd-log.h"
#include "seedd-metrics.h"
#include "seedd-ready.h"

struct _SeeddHttp {
  SeeddDaemon *daemon;
  SoupServer *server;
  GSocketService *service;
  char *address;
  GHashTable *connections; /* Connection */
  struct _Scrape *scrape;  /* under way, or NULL */
};

/* ---- connections ---- */

typedef struct {
  SeeddHttp *http;
  GSocketConnection *stream; /* weak */
  GSocketAddress *remote;
  guint timer;
} Connection;

static void
on_connection_gone (gpointer data, GObject *where)
{
  Connection *connection = data;

  if (connection->timer)
    g_source_remove (connection->timer);
  g_hash_table_remove (connection->http->connections, connection);
  g_clear_object (&connection->remote);
  g_free (connection);
}

/* Whatever it waits for: both ends are told. */
static void
shut (Connection *connection)
{
  g_socket_shutdown (g_socket_connection_get_socket (connection->stream), TRUE, TRUE, NULL);
}

static gboolean
on_lifetime_over (gpointer data)
{
  Connection *connection = data;

  connection->timer = 0;
  shut (connection);
  return G_SOURCE_REMOVE;
}

static gboolean
on_incoming (GSocketService *service, GSocketConnection *stream, GObject *source, gpointer data)
{
  SeeddHttp *http = data;
  g_autoptr (GSocketAddress) local = g_socket_connection_get_local_address (stream, NULL);
  g_autoptr (GSocketAddress) remote = g_socket_connection_get_remote_address (stream, NULL);
  g_autoptr (GError) error = NULL;
  Connection *connection;

  if (g_hash_table_size (http->connections) >= SEEDD_HTTP_MAX_CONNECTIONS)
    return TRUE; /* which closes it */
  connection = g_new0 (Connection, 1);
  connection->http = http;
  connection->stream = stream;
  connection->remote = remote ? g_object_ref (remote) : NULL;
  connection->timer = g_timeout_add_seconds (SEEDD_HTTP_LIFETIME_S, on_lifetime_over, connection);
  g_hash_table_add (http->connections, connection);
  g_object_weak_ref (G_OBJECT (stream), on_connection_gone, connection);
  if (!soup_server_accept_iostream (http->server, G_IO_STREAM (stream), local, remote, &error))
    seedd_log (LOG_WARNING, NULL, "http: %s", error->message);
  return TRUE;
}

/* ---- answers ---- */

static void
answer (SoupServerMessage *message, guint status, const char *type, const char *text)
{
  soup_server_message_set_status (message, status, NULL);
  soup_server_message_set_response (message, type, SOUP_MEMORY_COPY, text, strlen (text));
}

static void
answer_ready (SeeddHttp *http, SoupServerMessage *message)
{
  JsonObject *object = seedd_ready_describe (http->daemon);
  g_autoptr (JsonNode) node = json_node_init_object (json_node_alloc (), object);
  g_autoptr (GString) text = g_string_new (NULL);

  seed_json_tree_append (text, node);
  g_string_append_c (text, '\n');
  answer (message,
      json_object_get_boolean_member (object, "ready") ? SOUP_STATUS_OK
                                                       : SOUP_STATUS_SERVICE_UNAVAILABLE,
      "application/json", text->str);
  json_object_unref (object);
}

/* ---- a scrape: graphs are asked, then all who wait get the same text ---- */

typedef struct _Scrape Scrape;
struct _Scrape {
  guint refs;          /* those who wait for it, and graphs that have not answered */
  SeeddHttp *http;     /* NULL once it has been answered */
  GHashTable *answers; /* name of a graph -> JsonNode */
  guint n_open;        /* graphs that have not answered */
  guint timer;
  GPtrArray *messages; /* SoupServerMessage, paused */
};

typedef struct {
  Scrape *scrape;
  char *graph;
} Question;

static void
scrape_unref (Scrape *scrape)
{
  if (--scrape->refs > 0)
    return;
  g_hash_table_unref (scrape->answers);
  g_ptr_array_unref (scrape->messages);
  g_free (scrape);
}

static char *
write_metrics (SeeddHttp *http, GHashTable *answers)
{
  g_autoptr (SeeddMetrics) metrics = seedd_metrics_new ();
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (http->daemon->supervisor);
  g_autoptr (JsonObject) status = seedd_methods_describe (http->daemon);

  seedd_metrics_add_daemon (metrics, status);
  for (guint i = 0; i < graphs->len; i++) {
    SeeddGraph *graph = g_ptr_array_index (graphs, i);
    g_autoptr (JsonObject) object = seedd_graph_describe (graph, TRUE);
    JsonNode *node = g_hash_table_lookup (answers, seedd_graph_name (graph));

    seedd_metrics_add_graph (metrics, object,
        node && JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL);
  }
  return seedd_metrics_to_text (metrics);
}

static void
on_message_finished (SoupServerMessage *message, gpointer data)
{
  Scrape *scrape = data;

  g_ptr_array_remove (scrape->messages, message); /* gone before it was answered */
}

static void
finish (Scrape *scrape)
{
  SeeddHttp *http = scrape->http;
  g_autofree char *text = NULL;

  if (!http)
    return;
  scrape->http = NULL;
  http->scrape = NULL;
  if (scrape->timer)
    g_source_remove (scrape->timer);
  text = write_metrics (http, scrape->answers);
  while (scrape->messages->len > 0) {
    SoupServerMessage *message = g_ptr_array_steal_index (scrape->messages, 0);

    g_signal_handlers_disconnect_by_func (message, on_message_finished, scrape);
    answer (message, SOUP_STATUS_OK, SEEDD_METRICS_CONTENT_TYPE, text);
    soup_server_message_unpause (message);
    g_object_unref (message);
  }
  scrape_unref (scrape);
}

static gboolean
on_patience_over (gpointer data)
{
  Scrape *scrape = data;

  scrape->timer = 0;
  finish (scrape);
  return G_SOURCE_REMOVE;
}

static void
on_stats (gpointer data, JsonNode *result, const GError *error)
{
  Question *question = data;
  Scrape *scrape = question->scrape;

  if (result && scrape->http)
    g_hash_table_insert (scrape->answers, g_strdup (question->graph), json_node_ref (result));
  if (--scrape->n_open == 0)
    finish (scrape);
  scrape_unref (scrape);
  g_free (question->graph);
  g_free (question);
}

/* Not from within: answers may come at once. */
static gboolean
ask_graphs (gpointer data)
{
  Scrape *scrape = data;
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (scrape->http->daemon->supervisor);

  scrape->timer = g_timeout_add (SEEDD_HTTP_PATIENCE_MS, on_patience_over, scrape);
  scrape->refs++;
  scrape->n_open = 1; /* until all have been asked */
  for (guint i = 0; i < graphs->len; i++) {
    SeeddGraph *graph = g_ptr_array_index (graphs, i);
    Question *question;

    if (seedd_graph_state (graph) != SEEDD_RUNNING)
      continue;
    question = g_new0 (Question, 1);
    question->scrape = scrape;
    question->graph = g_strdup (seedd_graph_name (graph));
    scrape->refs++;
    scrape->n_open++;
    seedd_graph_request (graph, "stats", NULL, on_stats, question);
  }
  if (--scrape->n_open == 0)
    finish (scrape);
  scrape_unref (scrape);
  return G_SOURCE_REMOVE;
}

static void
begin_scrape (SeeddHttp *http, SoupServerMessage *message)
{
  Scrape *scrape = http->scrape;

  if (!scrape) {
    scrape = http->scrape = g_new0 (Scrape, 1);
    scrape->refs = 1;
    scrape->http = http;
    scrape->answers =
        g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) json_node_unref);
    scrape->messages = g_ptr_array_new_with_free_func (g_object_unref);
    scrape->timer = g_idle_add_full (G_PRIORITY_DEFAULT, ask_graphs, scrape, NULL);
  }
  g_ptr_array_add (scrape->messages, g_object_ref (message));
  g_signal_connect (message, "finished", G_CALLBACK (on_message_finished), scrape);
  soup_server_message_pause (message);
}

/* ---- requests ---- */

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
    gpointer data)
{
  SeeddHttp *http = data;

  if (soup_server_message_get_status (message) != SOUP_STATUS_NONE)
    return; /* refused already */
  if (strcmp (path, "/metrics") == 0)
    begin_scrape (http, message);
  else if (strcmp (path, "/readyz") == 0)
    answer_ready (http, message);
  else if (strcmp (path, "/healthz") == 0)
    answer (message, SOUP_STATUS_OK, "text/plain", "ok\n");
  else
    answer (
        message, SOUP_STATUS_NOT_FOUND, "text/plain", "there are /metrics, /healthz and /readyz\n");
}

typedef struct {
  SeeddHttp *http;
  gsize taken;
} Body;

static void
body_free (gpointer data, GClosure *closure)
{
  g_free (data);
}

static void
on_chunk (SoupServerMessage *message, GBytes *chunk, gpointer data)
{
  GSocketAddress *remote = soup_server_message_get_remote_address (message);
  Body *body = data;
  GHashTableIter iter;
  gpointer connection;

  body->taken += g_bytes_get_size (chunk);
  if (body->taken <= SEEDD_HTTP_MAX_BYTES)
    return;
  g_hash_table_iter_init (&iter, body->http->connections);
  while (g_hash_table_iter_next (&iter, &connection, NULL)) {
    if (((Connection *) connection)->remote == remote)
      shut (connection);
  }
}

/* Before a body is read, which nothing in here wants. */
static void
on_headers (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query,
    gpointer data)
{
  const char *method = soup_server_message_get_method (message);
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  Body *body = g_new0 (Body, 1);

  body->http = data;
  soup_message_headers_replace (
      soup_server_message_get_response_headers (message), "Connection", "close");
  soup_message_body_set_accumulate (soup_server_message_get_request_body (message), FALSE);
  g_signal_connect_data (message, "got-chunk", G_CALLBACK (on_chunk), body, body_free, 0);
  if (strcmp (method, SOUP_METHOD_GET) != 0 && strcmp (method, SOUP_METHOD_HEAD) != 0) {
    soup_message_headers_replace (
        soup_server_message_get_response_headers (message), "Allow", "GET, HEAD");
    answer (message, SOUP_STATUS_METHOD_NOT_ALLOWED, "text/plain", "read only: GET and HEAD\n");
  } else if (soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CHUNKED ||
             soup_message_headers_get_content_length (headers) > 0) {
    answer (message, SOUP_STATUS_REQUEST_ENTITY_TOO_LARGE, "text/plain", "no body, please\n");
  }
}

/* ---- life ---- */

static GSocketAddress *
read_address (const char *address, gboolean insecure, GError **error)
{
  g_autofree char *written = g_strconcat ("tcp://", address, NULL);
  g_autofree char *endpoint = seed_endpoint_for_bind (written, insecure, error), *host = NULL;
  const char *colon;
  GSocketAddress *parsed;

  if (!endpoint)
    return NULL;
  colon = strrchr (endpoint + strlen ("tcp://"), ':');
  host = g_strndup (endpoint + strlen ("tcp://"), (gsize) (colon - endpoint) - strlen ("tcp://"));
  if (*host == '[' && strlen (host) > 2) {
    memmove (host, host + 1, strlen (host));
    host[strlen (host) - 1] = 0;
  }
  parsed = g_inet_socket_address_new_from_string (strcmp (host, "*") == 0 ? "0.0.0.0" : host,
      strcmp (colon + 1, "*") == 0 ? 0 : (guint) g_ascii_strtoull (colon + 1, NULL, 10));
  if (!parsed)
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "\"%s\": expected ADDRESS:PORT with a numeric address", address);
  return parsed;
}

SeeddHttp *
seedd_http_new (const char *address, gboolean insecure, SeeddDaemon *daemon, GError **error)
{
  g_autoptr (GSocketAddress) wanted = read_address (address, insecure, error), bound = NULL;
  SeeddHttp *http;
  GInetAddress *inet;
  g_autofree char *host = NULL;

  if (!wanted)
    return NULL;
  http = g_new0 (SeeddHttp, 1);
  http->daemon = daemon;
  http->connections = g_hash_table_new (NULL, NULL);
  http->server = soup_server_new ("server-header", "seedd ", NULL);
  soup_server_add_early_handler (http->server, NULL, on_headers, http, NULL);
  soup_server_add_handler (http->server, NULL, on_request, http, NULL);
  http->service = g_socket_service_new ();
  if (!g_socket_listener_add_address (G_SOCKET_LISTENER (http->service), wanted,
          G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL, &bound, error)) {
    g_prefix_error (error, "http: %s cannot be served: ", address);
    seedd_http_free (http);
    return NULL;
  }
  g_signal_connect (http->service, "incoming", G_CALLBACK (on_incoming), http);
  g_socket_service_start (http->service);
  inet = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (bound));
  host = g_inet_address_to_string (inet);
  http->address = g_strdup_printf (
      g_inet_address_get_family (inet) == G_SOCKET_FAMILY_IPV6 ? "[%s]:%u" : "%s:%u", host,
      g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound)));
  return http;
}

static void
abandon (Scrape *scrape)
{
  scrape->http = NULL;
  if (scrape->timer)
    g_source_remove (scrape->timer);
  for (guint i = 0; i < scrape->messages->len; i++)
    g_signal_handlers_disconnect_by_func (
        g_ptr_array_index (scrape->messages, i), on_message_finished, scrape);
  g_ptr_array_set_size (scrape->messages, 0);
  scrape_unref (scrape);
}

void
seedd_http_free (SeeddHttp *http)
{
  GHashTableIter iter;
  gpointer connection;

  if (!http)
    return;
  g_socket_service_stop (http->service);
  g_socket_listener_close (G_SOCKET_LISTENER (http->service));
  g_object_unref (http->service);
  if (http->scrape)
    abandon (http->scrape);
  soup_server_disconnect (http->server);
  g_object_unref (http->server);
  g_hash_table_iter_init (&iter, http->connections);
  while (g_hash_table_iter_next (&iter, &connection, NULL)) { /* those that somebody still holds */
    Connection *left = connection;

    g_object_weak_unref (G_OBJECT (left->stream), on_connection_gone, left);
    if (left->timer)
      g_source_remove (left->timer);
    g_clear_object (&left->remote);
    g_free (left);
  }
  g_hash_table_unref (http->connections);
  g_free (http->address);
  g_free (http);
}

const char *
seedd_http_address (const SeeddHttp *http)
{
  return http->address;
}
