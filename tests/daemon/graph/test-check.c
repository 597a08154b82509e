/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <gst/gst.h>

#include "fake-stages.h"
#include "graph/graph.h"

#define FOLDER SEED_SOURCE_DIR "/tests/daemon/graph"

static SeedGraph *
load_text (const char *text, GHashTable *set, const char *expected)
{
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new ("f");
  SeedGraph *graph = seed_graph_parse (text, strlen (text), "/srv/graphs", set, diagnostics);
  g_autofree char *errors = seed_diagnostics_to_string (diagnostics);

  g_assert_cmpstr (errors, ==, expected);
  return graph;
}

/* Where the sources are is nobody's business. Takes @text. */
static char *
without_folder (char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, FOLDER, -1);

  g_free (text);
  return g_strjoinv ("FOLDER", parts);
}

/* broken/NAME.yaml has exactly the errors of broken/NAME.errors. */
static void
test_broken (gconstpointer data)
{
  const char *name = data;
  g_autofree char *path = g_strdup_printf (FOLDER "/broken/%s.yaml", name);
  g_autofree char *expected_path = g_strdup_printf (FOLDER "/broken/%s.errors", name);
  g_autofree char *label = g_strdup_printf ("%s.yaml", name);
  g_autofree char *expected = NULL, *errors = NULL;
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new (label);
  g_autoptr (SeedGraph) graph = seed_graph_load (path, NULL, diagnostics);
  g_autoptr (GError) error = NULL;

  errors = without_folder (seed_diagnostics_to_string (diagnostics));
  if (g_getenv ("SEED_TEST_UPDATE"))
    g_file_set_contents (expected_path, errors, -1, NULL);
  g_file_get_contents (expected_path, &expected, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (graph);
  g_assert_cmpstr (errors, ==, expected);
}

static void
test_unreadable (void)
{
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new ("gone.yaml");
  g_autoptr (SeedGraph) graph = seed_graph_load ("/nonexistent/gone.yaml", NULL, diagnostics);
  g_autofree char *errors = seed_diagnostics_to_string (diagnostics);

  g_assert_null (graph);
  g_assert_cmpstr (errors, ==, "gone.yaml:1:1: error: cannot read: No such file or directory\n");
}

static const char *
property_of (const SeedGraph *graph, const char *node, const char *key)
{
  return seed_graph_node_setting (seed_graph_find_node (graph, node), key)->value->text;
}

#define PARAMETERS                                                                                 \
  "version: 1\ngraph: '${name}'\nparameters:\n  name: lobby\n  home: ${env:SEED_TEST_HOME}\n"      \
  "  model: ${home}/m\nnodes:\n"                                                                   \
  "  a: { element: identity, properties: { name-1: '${model}', b: 'x${name}${name}y', c: "         \
  "'$${name}$' } }\n"

static void
test_parameters (void)
{
  g_autoptr (GHashTable) set = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (SeedGraph) plain = NULL, overridden = NULL, wrong = NULL;

  g_setenv ("SEED_TEST_HOME", "/home/seed", TRUE);
  plain = load_text (PARAMETERS, NULL, "");
  g_assert_cmpstr (plain->name, ==, "lobby");
  g_assert_cmpstr (property_of (plain, "a", "name-1"), ==, "/home/seed/m");
  g_assert_cmpstr (property_of (plain, "a", "b"), ==, "xlobbylobbyy");
  g_assert_cmpstr (property_of (plain, "a", "c"), ==, "${name}$");

  /* an override is taken as it is, and the file's own value is not looked at any more */
  g_unsetenv ("SEED_TEST_HOME");
  g_hash_table_insert (set, (gpointer) "home", (gpointer) "${name}");
  g_hash_table_insert (set, (gpointer) "name", (gpointer) "yard");
  overridden = load_text (PARAMETERS, set, "");
  g_assert_cmpstr (overridden->name, ==, "yard");
  g_assert_cmpstr (property_of (overridden, "a", "name-1"), ==, "${name}/m");

  g_hash_table_insert (set, (gpointer) "nme", (gpointer) "x");
  wrong = load_text (PARAMETERS, set,
      "f:3:1: error: --set 'nme': the graph has no such parameter; did you mean 'name'?\n");
}

static void
test_parameter_bomb (void)
{
  g_autoptr (GString) text =
      g_string_new ("version: 1\ngraph: g\nparameters:\n  p0: xxxxxxxxxxxxxxxx\n");
  g_autoptr (SeedGraph) graph = NULL;

  for (guint i = 1; i < 30; i++)
    g_string_append_printf (text, "  p%u: ${p%u}${p%u}\n", i, i - 1, i - 1);
  g_string_append (text, "nodes: { a: { element: identity } }\n");
  graph = load_text (text->str, NULL,
      "f:22:8: error: the graph grows beyond 4194304 bytes when parameters are filled in\n");
}

static void
test_streams (void)
{
  static const struct {
    const char *uri, *resolved;
    gboolean live;
  } cases[] = {
    { "clip.mp4", "file:///srv/graphs/clip.mp4", FALSE },
    { "../a b.mp4", "file:///srv/a%20b.mp4", FALSE },
    { "/srv/x.mp4", "file:///srv/x.mp4", FALSE },
    { "file:x.mp4", "file:///srv/graphs/x.mp4", FALSE },
    { "file:///srv/x.mp4", "file:///srv/x.mp4", FALSE },
    { "rtsp://127.0.0.1/a", "rtsp://127.0.0.1/a", TRUE },
    { "RTSPS://127.0.0.1/a", "RTSPS://127.0.0.1/a", TRUE },
    { "udp://0.0.0.0:5000", "udp://0.0.0.0:5000", TRUE },
    { "v4l2:///dev/video0", "v4l2:///dev/video0", TRUE },
    { "http://127.0.0.1/a.mp4", "http://127.0.0.1/a.mp4", FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text = g_strdup_printf (
        "version: 1\ngraph: g\nstreams:\n  s: { uri: '%s' }\n"
        "  t: { uri: '%s', live: true, loop: true, passes: 3, max-fps: 2.5, reconnect: false,"
        " retry-min-ms: 100, retry-max-ms: 300, stall-ms: 0, connect-ms: 7000 }\n"
        "nodes: { a: { stage: decode, streams: [t, s] } }\n",
        cases[i].uri, cases[i].uri);
    g_autoptr (SeedGraph) graph = load_text (text, NULL, "");
    const SeedGraphNode *node = seed_graph_find_node (graph, "a");
    const SeedGraphStream *t = g_ptr_array_index (node->streams, 0);
    const SeedGraphStream *s = g_ptr_array_index (node->streams, 1);

    g_assert_cmpstr (s->uri, ==, cases[i].resolved);
    g_assert_cmpint (s->live, ==, cases[i].live);
    g_assert_cmpfloat (s->max_fps, <, 0);
    g_assert_true (t->live && t->loop);
    g_assert_cmpuint (t->passes, ==, 3);
    g_assert_cmpuint (s->passes, ==, 1);
    g_assert_cmpfloat (t->max_fps, ==, 2.5);
    g_assert_cmpint (t->reconnect, ==, FALSE);
    g_assert_cmpint (t->retry_min_ms, ==, 100);
    g_assert_cmpint (t->retry_max_ms, ==, 300);
    g_assert_cmpint (t->stall_ms, ==, 0);
    g_assert_cmpint (t->connect_ms, ==, 7000);
    g_assert_cmpint (s->reconnect, <, 0);
    g_assert_cmpint (s->retry_min_ms, <, 0);
    g_assert_cmpint (s->stall_ms, <, 0);
  }
}

static void
test_stream_faults (void)
{
  static const struct {
    const char *keys, *errors;
  } cases[] = {
    { "reconnect: 1", "f:4:36: error: 'reconnect': expected true or false, found '1'\n" },
    { "retry-min-ms: 9",
        "f:4:39: error: 'retry-min-ms': expected milliseconds from 10 to 3600000, found '9'\n" },
    { "stall-ms: 5s",
        "f:4:35: error: 'stall-ms': expected milliseconds from 0 to 3600000, found '5s'\n" },
    { "connect-ms: [1]",
        "f:4:37: error: 'connect-ms': expected milliseconds from 0 to 3600000, found a list\n" },
    { "retry-min-ms: 900, retry-max-ms: 90",
        "f:4:39: error: 'retry-min-ms': expected no more than retry-max-ms (90), found '900'\n" },
    { "retry-mn-ms: 90",
        "f:4:25: error: 's': unknown key 'retry-mn-ms'; did you mean 'retry-min-ms'?\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text =
        g_strdup_printf ("version: 1\ngraph: g\nstreams:\n  s: { uri: /srv/a.mp4, %s }\n"
                         "nodes: { a: { stage: decode, streams: all } }\n",
            cases[i].keys);
    g_autoptr (SeedGraph) graph = load_text (text, NULL, cases[i].errors);

    g_assert_true (graph != NULL || *cases[i].errors != 0);
  }
}

static void
test_too_many_nodes (void)
{
  g_autoptr (GString) text = g_string_new ("version: 1\ngraph: g\nnodes:\n");
  g_autoptr (SeedGraph) graph = NULL;

  for (guint i = 0; i <= SEED_GRAPH_MAX_NODES; i++)
    g_string_append_printf (text, "  n%u: { element: identity }\n", i);
  graph = load_text (text->str, NULL, "f:4:3: error: 257 nodes; a graph has 1 to 256\n");
}

int
main (int argc, char **argv)
{
  static const char *const broken[] = { "cycles", "elements", "empty", "everything", "links",
    "list", "parameters", "syntax", "tabs" };

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  fake_stages_register ();
  for (guint i = 0; i < G_N_ELEMENTS (broken); i++) {
    g_autofree char *path = g_strconcat ("/check/broken/", broken[i], NULL);

    g_test_add_data_func (path, broken[i], test_broken);
  }
  g_test_add_func ("/check/unreadable", test_unreadable);
  g_test_add_func ("/parse/parameters", test_parameters);
  g_test_add_func ("/parse/parameter-bomb", test_parameter_bomb);
  g_test_add_func ("/parse/streams", test_streams);
  g_test_add_func ("/parse/stream-faults", test_stream_faults);
  g_test_add_func ("/parse/too-many-nodes", test_too_many_nodes);
  return g_test_run ();
}
