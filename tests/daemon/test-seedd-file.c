/* SPDX-License-Identifier: MIT */
#include <glib/gstdio.h>
#include <string.h>

#include "seedd-file.h"

#define TEXT                                                                                       \
  "version: 1\ngraph: lobby\nparameters: {n: 3}\nstreams: {door: {uri: a.mp4}}\nnodes:\n"          \
  "  a: {element: fakesrc, properties: {num-buffers: \"${n}\"}}\n"                                 \
  "  b: {element: fakesink, from: a, queue: {frames: 4}}\n"

typedef struct {
  char *folder;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_rmdir (fixture->folder);
  g_free (fixture->folder);
}

/* TEXT with @from replaced. */
static SeeddFile *
load (Fixture *fixture, const char *from, const char *to)
{
  g_autoptr (GString) text = g_string_new (TEXT);
  g_autofree char *path = g_build_filename (fixture->folder, "lobby.yaml", NULL);
  SeeddFile *file;

  g_assert_cmpuint (g_string_replace (text, from, to, 1), ==, 1);
  g_assert_true (g_file_set_contents (path, text->str, -1, NULL));
  file = seedd_file_load (fixture->folder, "lobby", NULL);
  g_unlink (path);
  return file;
}

static void
test_errors (Fixture *fixture, gconstpointer data)
{
  g_autoptr (SeeddFile) good = load (fixture, "n: 3", "n: 3");
  g_autoptr (SeeddFile) name = load (fixture, "lobby", "hall");
  g_autoptr (SeeddFile) node = load (fixture, "from: a", "from: c");
  g_autoptr (SeeddFile) gone = seedd_file_load (fixture->folder, "lobby", NULL);

  g_assert_null (good->errors);
  g_assert_nonnull (good->graph);
  g_assert_nonnull (strstr (name->errors, "lobby.yaml:2:8: error: graph is 'hall', but"));
  g_assert_null (name->graph);
  g_assert_nonnull (strstr (node->errors, ":7:32: error: there is no node 'c'"));
  g_assert_nonnull (strstr (gone->errors, "cannot read: No such file"));
}

static void
test_no_regular_file (Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = g_build_filename (fixture->folder, "lobby.yaml", NULL);
  g_autoptr (SeeddFile) file = NULL;

  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
  file = seedd_file_load (fixture->folder, "lobby", NULL);
  g_rmdir (path);
  g_assert_nonnull (strstr (file->errors, "this is no regular file"));
}

static void
test_names (void)
{
  g_autofree char *good = seedd_file_graph_name ("lobby-1.yaml");

  g_assert_cmpstr (good, ==, "lobby-1");
  for (guint i = 0; i < 5; i++)
    g_assert_null (seedd_file_graph_name (
        ((const char *[]){ ".yaml", "Lobby.yaml", "lobby.yml", ".lobby.yaml", "lobby.yaml~" })[i]));
}

static void
test_differences (Fixture *fixture, gconstpointer data)
{
  static const struct {
    const char *from, *to;
    SeeddFileDifference difference;
  } cases[] = {
    { "version: 1\n", "version: 1 # a remark\ndescription: more words\n", SEEDD_FILE_SAME },
    { "n: 3", "n: 4", SEEDD_FILE_SETTINGS },
    { "\"${n}\"", "7", SEEDD_FILE_SETTINGS },
    { "frames: 4", "frames: 5", SEEDD_FILE_OTHER },
    { "a.mp4", "b.mp4", SEEDD_FILE_OTHER },
    { "{uri: a.mp4}", "{uri: a.mp4, max-fps: 3}", SEEDD_FILE_OTHER },
    { "fakesink", "filesink", SEEDD_FILE_OTHER },
    { "properties: {num-buffers", "properties: {silent: true, num-buffers", SEEDD_FILE_OTHER },
    { "num-buffers", "sizemax", SEEDD_FILE_OTHER },
    { "nodes:\n", "nodes:\n  c: {element: fakesrc}\n", SEEDD_FILE_OTHER },
  };
  g_autoptr (SeeddFile) before = load (fixture, "n: 3", "n: 3");

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (SeeddFile) after = load (fixture, cases[i].from, cases[i].to);
    g_autoptr (GArray) changes = g_array_new (FALSE, FALSE, sizeof (SeeddFileChange));

    g_test_message ("%s -> %s", cases[i].from, cases[i].to);
    g_assert_null (after->errors);
    g_assert_cmpint (seedd_file_compare (before, after, changes), ==, cases[i].difference);
    if (cases[i].difference != SEEDD_FILE_SETTINGS)
      continue;
    g_assert_cmpuint (changes->len, ==, 1);
    g_assert_cmpstr (g_array_index (changes, SeeddFileChange, 0).node, ==, "a");
    g_assert_cmpstr (g_array_index (changes, SeeddFileChange, 0).key, ==, "num-buffers");
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add ("/seedd/file/errors", Fixture, NULL, set_up, test_errors, tear_down);
  g_test_add (
      "/seedd/file/no-regular-file", Fixture, NULL, set_up, test_no_regular_file, tear_down);
  g_test_add_func ("/seedd/file/names", test_names);
  g_test_add ("/seedd/file/differences", Fixture, NULL, set_up, test_differences, tear_down);
  return g_test_run ();
}
