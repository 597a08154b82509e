/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <signal.h>

static char *
find_program (void)
{
  return g_build_filename (
      g_getenv ("SEED_BUILD_DIR"), "tests", "elements", "decode", "rtsp-server", NULL);
}

gboolean
server_is_there (void)
{
  g_autofree char *path = find_program ();

  if (g_file_test (path, G_FILE_TEST_IS_EXECUTABLE))
    return TRUE;
  g_test_skip ("built without gst-rtsp-server");
  return FALSE;
}

Server
server_start (const char *what, int port)
{
  g_autofree char *path = find_program (), *number = g_strdup_printf ("%d", port), *line = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GDataInputStream) output = NULL;
  Server server;

  server.process =
      g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, path, what, number, NULL);
  g_assert_no_error (error);
  output = g_data_input_stream_new (g_subprocess_get_stdout_pipe (server.process));
  line = g_data_input_stream_read_line (output, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (line);
  server.port = atoi (line);
  g_assert_cmpint (server.port, >, 0);
  return server;
}

void
server_kill (Server *server)
{
  if (!server->process)
    return;
  g_subprocess_force_exit (server->process);
  g_assert_true (g_subprocess_wait (server->process, NULL, NULL));
  g_clear_object (&server->process);
}

void
server_freeze (Server *server)
{
  g_subprocess_send_signal (server->process, SIGSTOP);
}

void
server_thaw (Server *server)
{
  g_subprocess_send_signal (server->process, SIGCONT);
}
