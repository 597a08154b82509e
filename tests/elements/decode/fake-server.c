/* SPDX-License-Identifier: MIT */
#include "fake-server.h"

#include <string.h>

struct _FakeServer {
  GSocketService *service;
  int port;
  FakeAnswer answer;
  gpointer data;
  gint n, n_active; /* atomic */
};

/* The head of a request is short and comes at once. */
static char *
read_cseq (GInputStream *in)
{
  g_autoptr (GString) head = g_string_new (NULL);
  g_autoptr (GMatchInfo) match = NULL;
  g_autoptr (GRegex) regex = g_regex_new ("CSeq: *([0-9]+)", G_REGEX_CASELESS, 0, NULL);
  char buffer[2048];

  while (!strstr (head->str, "\r\n\r\n")) {
    gssize n = g_input_stream_read (in, buffer, sizeof buffer, NULL, NULL);

    if (n <= 0)
      break;
    g_string_append_len (head, buffer, n);
  }
  return g_regex_match (regex, head->str, 0, &match) ? g_match_info_fetch (match, 1)
                                                     : g_strdup ("0");
}

static gboolean
on_run (
    GThreadedSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  FakeServer *server = data;
  GIOStream *stream = G_IO_STREAM (connection);
  g_autofree char *cseq = NULL;

  g_atomic_int_inc (&server->n);
  g_atomic_int_inc (&server->n_active);
  cseq = read_cseq (g_io_stream_get_input_stream (stream));
  server->answer (g_io_stream_get_output_stream (stream), cseq, server->data);
  g_io_stream_close (stream, NULL, NULL);
  g_atomic_int_add (&server->n_active, -1);
  return TRUE;
}

typedef struct {
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;
} Looper;

static gpointer
run_loop (gpointer data)
{
  Looper *looper = data;

  g_main_context_push_thread_default (looper->context);
  g_main_loop_run (looper->loop);
  g_main_context_pop_thread_default (looper->context);
  return NULL;
}

/* A service accepts in the thread-default context of the thread that starts it. */
FakeServer *
fake_server_new (int port, FakeAnswer answer, gpointer data)
{
  FakeServer *server = g_new0 (FakeServer, 1);
  Looper *looper = g_new0 (Looper, 1);
  g_autoptr (GInetAddress) loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new (loopback, (guint16) port);
  g_autoptr (GSocketAddress) effective = NULL;
  g_autoptr (GError) error = NULL;

  looper->context = g_main_context_new ();
  looper->loop = g_main_loop_new (looper->context, FALSE);
  g_main_context_push_thread_default (looper->context);
  server->answer = answer;
  server->data = data;
  server->service = g_threaded_socket_service_new (8);
  g_object_set_data (G_OBJECT (server->service), "looper", looper);
  g_socket_listener_add_address (G_SOCKET_LISTENER (server->service), address, G_SOCKET_TYPE_STREAM,
      G_SOCKET_PROTOCOL_TCP, NULL, &effective, &error);
  g_assert_no_error (error);
  server->port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (effective));
  g_signal_connect (server->service, "run", G_CALLBACK (on_run), server);
  g_socket_service_start (server->service);
  g_main_context_pop_thread_default (looper->context);
  looper->thread = g_thread_new ("fake-server", run_loop, looper);
  return server;
}

int
fake_server_get_port (FakeServer *server)
{
  return server->port;
}

guint
fake_server_count (FakeServer *server)
{
  return (guint) g_atomic_int_get (&server->n);
}

void
fake_server_free (FakeServer *server)
{
  Looper *looper;

  if (!server)
    return;
  looper = g_object_get_data (G_OBJECT (server->service), "looper");
  g_socket_service_stop (server->service);
  g_socket_listener_close (G_SOCKET_LISTENER (server->service));
  g_main_loop_quit (looper->loop);
  g_thread_join (looper->thread);
  while (g_main_context_iteration (looper->context, FALSE))
    ;
  while (g_atomic_int_get (&server->n_active) > 0)
    g_usleep (1000);
  g_object_unref (server->service);
  g_main_loop_unref (looper->loop);
  g_main_context_unref (looper->context);
  g_free (looper);
  g_free (server);
}
