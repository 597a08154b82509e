/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <glib/gstdio.h>
#include <seed/error.h>

#include "publish/endpoint.h"
#include "publish/publisher.h"

static void
test_addresses (void)
{
  static const struct {
    const char *endpoint;
    gboolean insecure;
    const char *bound; /* NULL: refused with the code and a text that says why */
    int code;
    const char *why;
  } cases[] = {
    { "tcp://127.0.0.1:5570", FALSE, "tcp://127.0.0.1:5570", 0, NULL },
    { "tcp://127.8.8.8:*", FALSE, "tcp://127.8.8.8:*", 0, NULL },
    { "tcp://localhost:0", FALSE, "tcp://127.0.0.1:0", 0, NULL },
    { "tcp://[::1]:5570", FALSE, "tcp://[::1]:5570", 0, NULL },
    { "inproc://x", FALSE, "inproc://x", 0, NULL },
    { "ipc:///tmp/there-is-no-such-socket", FALSE, "ipc:///tmp/there-is-no-such-socket", 0, NULL },
    { "ipc://@abstract", FALSE, "ipc://@abstract", 0, NULL },
    { "tcp://0.0.0.0:5570", TRUE, "tcp://0.0.0.0:5570", 0, NULL },
    { "tcp://*:5570", TRUE, "tcp://*:5570", 0, NULL },
    { "tcp://*:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://0.0.0.0:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://192.0.2.1:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://127.0.0.1.example:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://[::]:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://[::ffff:127.0.0.1]:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://eth0:5570", FALSE, NULL, SEED_ERROR_INVALID, "server-key" },
    { "tcp://lo:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://[*]:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://:::5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://[::1%lo]:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://[::ffff:0.0.0.0]:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://[::127.0.0.1]:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://[fe80::1]:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://[0:0:0:0:0:0:0:1]:5570", FALSE, "tcp://[0:0:0:0:0:0:0:1]:5570", 0, NULL },
    { "tcp://0:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://127.1:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://0x7f000001:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://2130706433:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://127.0.0.1;0.0.0.0:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://0.0.0.0:1;127.0.0.1:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://localhost.:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://LOCALHOST:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp:// 127.0.0.1:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://example.com:5570", FALSE, NULL, SEED_ERROR_INVALID, "insecure: true" },
    { "tcp://127.0.0.1", FALSE, NULL, SEED_ERROR_INVALID, "ADDRESS:PORT" },
    { "tcp://127.0.0.1:", FALSE, NULL, SEED_ERROR_INVALID, "ADDRESS:PORT" },
    { "tcp://127.0.0.1:65536", FALSE, NULL, SEED_ERROR_INVALID, "ADDRESS:PORT" },
    { "tcp://:5570", FALSE, NULL, SEED_ERROR_INVALID, "ADDRESS:PORT" },
    { "ipc://", FALSE, NULL, SEED_ERROR_INVALID, "ipc:///PATH" },
    { "inproc://", FALSE, NULL, SEED_ERROR_UNSUPPORTED, "inproc://NAME" },
    { "udp://127.0.0.1:5570", FALSE, NULL, SEED_ERROR_UNSUPPORTED, "tcp://" },
    { "127.0.0.1:5570", TRUE, NULL, SEED_ERROR_UNSUPPORTED, "tcp://" },
    { "", TRUE, NULL, SEED_ERROR_UNSUPPORTED, "tcp://" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *bound = seed_endpoint_for_bind (cases[i].endpoint, cases[i].insecure, &error);

    g_test_message ("%s: %s", cases[i].endpoint, error ? error->message : bound);
    g_assert_cmpstr (bound, ==, cases[i].bound);
    if (cases[i].bound) {
      g_assert_no_error (error);
      continue;
    }
    g_assert_error (error, SEED_ERROR, cases[i].code);
    g_assert_nonnull (strstr (error->message, cases[i].why));
    g_assert_nonnull (strstr (error->message, cases[i].endpoint));
  }
}

static SeedPublisher *
publisher_on (const char *endpoint, GError **error)
{
  const SeedPublisherConfig config = { .endpoint = endpoint, .hwm = 10 };

  return seed_publisher_new (&config, error);
}

static void
test_tcp_in_use (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedPublisher) first = publisher_on ("tcp://127.0.0.1:*", &error), second = NULL;
  const char *endpoint;

  g_assert_no_error (error);
  endpoint = seed_publisher_endpoint (first);
  g_assert_true (g_str_has_prefix (endpoint, "tcp://127.0.0.1:"));
  g_assert_null (strchr (endpoint, '*'));
  second = publisher_on (endpoint, &error);
  g_assert_null (second);
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_assert_nonnull (strstr (error->message, endpoint));
  g_assert_nonnull (strstr (error->message, "in use"));
}

static void
test_ipc (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "results", NULL);
  g_autofree char *endpoint = g_strconcat ("ipc://", path, NULL);
  SeedPublisher *first = publisher_on (endpoint, &error);
  GStatBuf status;

  g_assert_no_error (error);
  g_assert_cmpint (g_stat (path, &status), ==, 0);
  g_assert_cmphex (status.st_mode & 0777, ==, 0660);
  g_assert_null (publisher_on (endpoint, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_assert_nonnull (strstr (error->message, "in use"));
  g_clear_error (&error);
  seed_publisher_free (first);

  /* a socket that nobody serves any more is no obstacle */
  first = publisher_on (endpoint, &error);
  g_assert_no_error (error);
  seed_publisher_free (first);
  g_unlink (path);
  g_rmdir (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/endpoint/addresses", test_addresses);
  g_test_add_func ("/endpoint/tcp-in-use", test_tcp_in_use);
  g_test_add_func ("/endpoint/ipc", test_ipc);
  return g_test_run ();
}
