/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include <glib/gstdio.h>
#include <seed/error.h>
#include <seed/zap.h>

#include "keys/zap-request.h"

#define LIMIT_MS (1000 * SEED_TEST_WAIT_S)

/* A control socket as a daemon has it: ROUTER, with rights looked up for each message. */
typedef struct {
  char *folder;
  void *context, *router;
  SeedZap *zap;
  char endpoint[256];
  char *server_file;
} Server;

static char *
path_of (const Server *server, const char *name)
{
  return g_build_filename (server->folder, name, NULL);
}

static void
authorize (const Server *server, const SeedCurveKeypair *client, const char *name,
    const char *results, const char *control)
{
  g_autofree char *file = g_strdup_printf ("authorized/%s", name);
  g_autofree char *path = path_of (server, file);
  g_autoptr (GError) error = NULL;

  g_remove (path);
  seed_curve_keypair_save_public (client, path, results, control, &error);
  g_assert_no_error (error);
}

static void
take_away (const Server *server, const char *name)
{
  g_autofree char *file = g_strdup_printf ("authorized/%s", name);
  g_autofree char *path = path_of (server, file);

  g_assert_cmpint (g_remove (path), ==, 0);
}

static void
server_start (Server *server)
{
  g_autofree char *authorized = NULL;
  g_autoptr (SeedCurveKeypair) keypair = seed_curve_keypair_new ("server", NULL);
  g_autoptr (GError) error = NULL;
  gsize size = sizeof server->endpoint;

  server->folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
  authorized = path_of (server, "authorized");
  server->server_file = path_of (server, "server.pub");
  g_assert_cmpint (g_mkdir (authorized, 0700), ==, 0);
  seed_curve_keypair_save_public (keypair, server->server_file, NULL, NULL, &error);
  g_assert_no_error (error);
  server->context = zmq_ctx_new ();
  server->zap = seed_zap_new (server->context, authorized, &error);
  g_assert_no_error (error);
  server->router = zmq_socket (server->context, ZMQ_ROUTER);
  g_assert_true (
      seed_zap_apply_server (server->zap, server->router, keypair, SEED_ZAP_CONTROL, &error));
  g_assert_cmpint (zmq_bind (server->router, "tcp://127.0.0.1:*"), ==, 0);
  zmq_getsockopt (server->router, ZMQ_LAST_ENDPOINT, server->endpoint, &size);
}

static void
server_stop (Server *server)
{
  static const char *const names[] = { "authorized/a", "authorized/b", "authorized", "server.pub",
    "client.key" };

  zmq_close (server->router);
  seed_zap_free (server->zap);
  zmq_ctx_term (server->context);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = path_of (server, names[i]);
    g_remove (path);
  }
  g_assert_cmpint (g_rmdir (server->folder), ==, 0);
  g_free (server->server_file);
  g_free (server->folder);
}

static void *
client_new (Server *server, void *context, const SeedCurveKeypair *client)
{
  g_autofree char *path = path_of (server, "client.key");
  void *socket = zmq_socket (context, ZMQ_DEALER);
  g_autoptr (GError) error = NULL;
  int linger = 0;

  zmq_setsockopt (socket, ZMQ_LINGER, &linger, sizeof linger);
  if (client) {
    g_remove (path);
    g_assert_true (seed_curve_keypair_save (client, path, &error));
    seed_curve_apply_client (socket, server->server_file, path, &error);
    g_assert_no_error (error);
  }
  g_assert_cmpint (zmq_connect (socket, server->endpoint), ==, 0);
  zmq_send (socket, "hello", 5, 0);
  return socket;
}

/* The rights that came with the next "hello"; *heard is FALSE when none came in time. */
static SeedRights *
hear (Server *server, int limit_ms, gboolean *heard)
{
  SeedRights *rights = NULL;
  zmq_msg_t message;
  int more = 1;

  *heard = FALSE;
  zmq_setsockopt (server->router, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms);
  while (more) {
    zmq_msg_init (&message);
    if (zmq_msg_recv (&message, server->router, 0) < 0) {
      zmq_msg_close (&message);
      return NULL;
    }
    *heard = TRUE;
    more = zmq_msg_more (&message);
    if (!more)
      rights = seed_zap_rights_for (server->zap, &message);
    zmq_msg_close (&message);
  }
  return rights;
}

/* Waits for a number in the statistics. */
static void
await_refused (Server *server, guint64 n)
{
  gint64 end = g_get_monotonic_time () + LIMIT_MS * 1000;
  SeedZapStats stats;

  for (;;) {
    seed_zap_get_stats (server->zap, &stats);
    if (stats.refused >= n)
      return;
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (1000);
  }
}

static void
test_rights_of_messages (void)
{
  g_autoptr (SeedCurveKeypair) a = seed_curve_keypair_new ("anna", NULL);
  g_autoptr (SeedCurveKeypair) b = seed_curve_keypair_new ("bert", NULL);
  g_autoptr (SeedRights) rights = NULL, changed = NULL, revoked = NULL;
  void *context = zmq_ctx_new (), *client, *other, *stranger, *plain;
  gboolean heard;
  Server server;

  server_start (&server);
  authorize (&server, a, "a", "lobby/", "list,stats");
  authorize (&server, b, "b", "lobby/", NULL); /* no right that this socket is about */
  client = client_new (&server, context, a);
  rights = hear (&server, LIMIT_MS, &heard);
  g_assert_nonnull (rights);
  g_assert_cmpstr (seed_rights_name (rights), ==, "anna");
  g_assert_cmpstr (seed_rights_key (rights), ==, seed_curve_keypair_public (a));
  g_assert_true (seed_rights_allow_method (rights, "stats"));
  g_assert_false (seed_rights_allow_method (rights, "stop"));

  other = client_new (&server, context, b);
  await_refused (&server, 1);
  {
    g_autoptr (SeedCurveKeypair) unknown = seed_curve_keypair_new (NULL, NULL);
    SeedZapStats stats;

    stranger = client_new (&server, context, unknown);
    await_refused (&server, 2);
    plain = client_new (&server, context, NULL); /* does not get as far as ZAP */
    hear (&server, 100, &heard);
    g_assert_false (heard);
    seed_zap_get_stats (server.zap, &stats);
    g_assert_cmpuint (stats.granted, ==, 1);
    g_assert_cmpuint (stats.keys, ==, 2);
  }

  /* other rights count for the connection that is there */
  authorize (&server, a, "a", "lobby/", "stop");
  do {
    g_clear_pointer (&changed, seed_rights_unref);
    zmq_send (client, "hello", 5, 0);
    changed = hear (&server, LIMIT_MS, &heard);
    g_assert_true (heard);
  } while (!changed || !seed_rights_allow_method (changed, "stop"));
  take_away (&server, "a");
  g_assert_true (seed_zap_reload (server.zap, NULL));
  zmq_send (client, "hello", 5, 0);
  revoked = hear (&server, LIMIT_MS, &heard);
  g_assert_true (heard);
  g_assert_null (revoked);
  zmq_close (client);
  zmq_close (other);
  zmq_close (stranger);
  zmq_close (plain);
  zmq_ctx_term (context);
  server_stop (&server);
}

/* A key that is authorized after the server started, by the folder alone. */
static void
test_watched (void)
{
  g_autoptr (SeedCurveKeypair) a = seed_curve_keypair_new ("anna", NULL);
  void *context = zmq_ctx_new ();
  g_autofree char *problem = NULL, *path = NULL;
  gboolean heard;
  Server server;

  server_start (&server);
  for (guint i = 0; i < 3; i++) {
    g_autoptr (SeedRights) rights = NULL;
    void *client;

    authorize (&server, a, "a", NULL, "*");
    client = client_new (&server, context, a); /* the very next handshake */
    rights = hear (&server, LIMIT_MS, &heard);
    g_assert_nonnull (rights);
    zmq_close (client);
    take_away (&server, "a");
    client = client_new (&server, context, a);
    await_refused (&server, i + 1);
    zmq_close (client);
  }

  /* a file that others may read authorizes nobody, and the server says so */
  authorize (&server, a, "a", NULL, "*");
  path = path_of (&server, "authorized/a");
  g_assert_cmpint (g_chmod (path, 0644), ==, 0);
  g_assert_false (seed_zap_reload (server.zap, NULL));
  problem = seed_zap_problem (server.zap);
  g_assert_nonnull (strstr (problem, "chmod 600"));
  zmq_ctx_term (context);
  server_stop (&server);
}

static void
test_one_handler (void)
{
  void *context = zmq_ctx_new (), *socket = zmq_socket (context, ZMQ_REP);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedCurveKeypair) keypair = seed_curve_keypair_new (NULL, NULL);
  SeedZap *first, *second;

  g_assert_cmpint (zmq_bind (socket, "inproc://zeromq.zap.01"), ==, 0);
  g_assert_null (seed_zap_new (context, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_clear_error (&error);
  zmq_unbind (socket, "inproc://zeromq.zap.01");
  zmq_close (socket);
  first = seed_zap_new (context, NULL, &error);
  g_assert_no_error (error);
  second = seed_zap_new (context, NULL, &error); /* shares it */
  g_assert_no_error (error);
  seed_zap_free (first);
  socket = zmq_socket (context, ZMQ_ROUTER);
  g_assert_false (seed_zap_apply_server (second, socket, keypair, SEED_ZAP_CONTROL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_clear_error (&error);
  zmq_close (socket);
  seed_zap_free (second);
  first = seed_zap_new (context, NULL, &error); /* and it can be had again */
  g_assert_no_error (error);
  seed_zap_free (first);
  g_assert_null (seed_zap_new (context, "/there/is/no/such/folder", &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND);
  zmq_ctx_term (context);
}

/* A server whose handler is gone takes nobody, rather than everybody. */
static void
test_handler_gone (void)
{
  g_autoptr (SeedCurveKeypair) a = seed_curve_keypair_new ("anna", NULL);
  void *context = zmq_ctx_new (), *client;
  gboolean heard;
  Server server;

  server_start (&server);
  authorize (&server, a, "a", NULL, "*");
  g_clear_pointer (&server.zap, seed_zap_free);
  client = client_new (&server, context, a);
  g_assert_null (hear (&server, 300, &heard));
  g_assert_false (heard);
  zmq_close (client);
  zmq_ctx_term (context);
  server_stop (&server);
}

static void
test_requests (void)
{
  static const char key[32] = "0123456789abcdef0123456789abcdef";
  const SeedZapFrame good[] = { { "1.0", 3 }, { "7", 1 }, { "d", 1 }, { "127.0.0.1", 9 }, { "", 0 },
    { "CURVE", 5 }, { key, 32 } };
  SeedZapFrame bad[8];
  SeedZapRequest request;
  g_autoptr (GError) error = NULL;

  g_assert_true (seed_zap_request_parse (good, 7, &request, &error));
  g_assert_cmpstr (request.domain, ==, "d");
  g_assert_cmpint (request.mechanism, ==, SEED_ZAP_CURVE);
  g_assert_cmpuint (strlen (request.key), ==, SEED_CURVE_KEY_LENGTH);
  g_assert_cmpmem (request.id, request.id_size, "7", 1);
  for (guint n = 0; n < 7; n++) {
    g_assert_false (seed_zap_request_parse (good, n, &request, &error));
    g_clear_error (&error);
  }
  for (guint i = 0; i < 7; i++) {
    memcpy (bad, good, sizeof good);
    bad[i] = (SeedZapFrame){ "\0bad", 4 };
    if (i == 1 || i == 3 || i == 4)
      continue; /* whatever they are */
    g_assert_false (seed_zap_request_parse (bad, 7, &request, &error));
    g_test_message ("%s", error->message);
    g_clear_error (&error);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/zap/rights-of-messages", test_rights_of_messages);
  g_test_add_func ("/zap/watched", test_watched);
  g_test_add_func ("/zap/one-handler", test_one_handler);
  g_test_add_func ("/zap/handler-gone", test_handler_gone);
  g_test_add_func ("/zap/requests", test_requests);
  return g_test_run ();
}
