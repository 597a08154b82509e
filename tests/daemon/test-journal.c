/* SPDX-License-Identifier: MIT */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal.h"
#include "line.h"

static void
test_serialize (void)
{
  static const guint8 expected[] = "MESSAGE=one line\nGRAPH\n\x05\0\0\0\0\0\0\0a\nb=c\nSTREAM=\n";
  const SeedJournalField fields[] = { { "MESSAGE", "one line" }, { "GRAPH", "a\nb=c" },
    { "STAGE", NULL }, { "STREAM", "" } };
  g_autoptr (GBytes) bytes = seed_journal_serialize (fields, G_N_ELEMENTS (fields));
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  g_assert_cmpmem (data, size, expected, sizeof expected - 1);
}

/* A socket as journald's: each entry is one datagram. */
static void
test_send (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-journal-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "socket", NULL);
  g_autofree char *huge = g_strnfill (64 * 1024 * 1024, 'x');
  const SeedJournalField one[] = { { "MESSAGE", "hello" }, { "GRAPH", "lobby" } };
  const SeedJournalField too_large[] = { { "MESSAGE", huge } };
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  guint sent = 0;
  char text[256];
  gssize n;

  g_assert_false (seed_journal_send (path, one, 2)); /* nobody there */
  g_assert_cmpuint (strlen (path), <, sizeof address.sun_path);
  strcpy (address.sun_path, path);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_true (seed_journal_send (path, one, 2));
  n = recv (fd, text, sizeof text, 0);
  g_assert_cmpmem (text, n, "MESSAGE=hello\nGRAPH=lobby\n", 26);
  g_assert_false (seed_journal_send (path, too_large, 1));
  /* one who does not read holds nobody up */
  while (seed_journal_send (path, one, 2))
    g_assert_cmpuint (++sent, <, 1000000);
  g_assert_cmpuint (sent, >, 0);
  close (fd);
  g_unlink (path);
  g_rmdir (folder);
}

static void
assert_about (const char *line, const char *stage, const char *stream)
{
  g_autofree char *found_stage = NULL, *found_stream = NULL;

  seed_line_parse (line, &found_stage, &found_stream);
  g_assert_cmpstr (found_stage, ==, stage);
  g_assert_cmpstr (found_stream, ==, stream);
}

static void
test_lines (void)
{
  g_autofree char *both = seed_line_build ("warning", "frames", "door", "it's gone");
  g_autofree char *stage = seed_line_build ("error", "out", NULL, "stage 'x', stream 'y': no");

  g_assert_cmpstr (both, ==, "seed-run: warning: stage 'frames', stream 'door': it's gone");
  assert_about (both, "frames", "door");
  assert_about (stage, "out", NULL);
  assert_about ("seed-run: error: the graph does not start", NULL, NULL);
  assert_about ("seed-run: error: stage '", NULL, NULL);
  assert_about ("seed-run: error: stage '': x", NULL, NULL);
  assert_about ("seed-run: error: stage 'a', stream '", "a", NULL);
  assert_about ("error: stage 'a', stream 'b': x", NULL, NULL);
  assert_about ("", NULL, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/journal/serialize", test_serialize);
  g_test_add_func ("/journal/send", test_send);
  g_test_add_func ("/journal/lines", test_lines);
  return g_test_run ();
}
