/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>

#include <glib.h>
#include <glib/gstdio.h>

#include "seedctl-check.h"

#define GOOD                                                                                       \
  "version: 1\ngraph: g\nparameters: { n: 3 }\nnodes:\n"                                           \
  "  a: { element: fakesrc, properties: { num-buffers: \"${n}\" } }\n"
#define FILE_NAME "check.yaml"

/* In a child, whose output the test can read: @options, then the file. */
static void
run (const char *text, const char *options)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, FILE_NAME, NULL);
  g_autofree char *line = g_strdup_printf ("check %s %s", options, path);
  g_auto (GStrv) argv = NULL;
  int argc, status;

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_assert_true (g_shell_parse_argv (line, &argc, &argv, NULL));
  status = seedctl_check (argc, argv);
  g_unlink (path);
  g_rmdir (folder);
  fflush (NULL);
  _exit (status);
}

static void
test_good (void)
{
  if (g_test_subprocess ())
    run (GOOD, "--set n=4");
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("");
}

static void
test_errors (void)
{
  if (g_test_subprocess ())
    run (GOOD "  b: { element: fakesink, from: aa }\n", "--set n=x --set m=1");
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr (
      "*" FILE_NAME ":3:1: error: --set 'm': the graph has no such parameter*"
      "*" FILE_NAME ":5:53: error: 'num-buffers': expected an integer*found 'x'*"
      "*" FILE_NAME ":6:33: error: there is no node 'aa'; did you mean 'a'?*");
}

static void
test_json (void)
{
  if (g_test_subprocess ())
    run ("version: 1\ngraph: g\n", "--json");
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stdout ("*\"ok\":false,\"errors\":[{\"line\":1,\"column\":1,\"message\":*");
}

static void
test_json_good (void)
{
  if (g_test_subprocess ())
    run (GOOD, "--json");
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stdout ("*\"ok\":true,\"errors\":[]}*");
}

static void
test_usage (void)
{
  char *none[] = { (char *) "check", NULL };
  char *set[] = { (char *) "check", (char *) "--set", (char *) "x", (char *) "f", NULL };

  g_assert_cmpint (seedctl_check (1, none), ==, 2);
  g_assert_cmpint (seedctl_check (4, set), ==, 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/seedctl/check/good", test_good);
  g_test_add_func ("/seedctl/check/errors", test_errors);
  g_test_add_func ("/seedctl/check/json", test_json);
  g_test_add_func ("/seedctl/check/json-good", test_json_good);
  g_test_add_func ("/seedctl/check/usage", test_usage);
  return g_test_run ();
}
