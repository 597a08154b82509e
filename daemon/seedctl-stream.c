/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "seedctl-client.h"
#include "seedctl.h"

static JsonObject *
make_params (const char *graph, const char *node)
{
  JsonObject *params = json_object_new ();

  json_object_set_string_member (params, "graph", graph);
  if (node)
    json_object_set_string_member (params, "node", node);
  return params;
}

/* "key=value" arguments; the graph's process judges keys and values. FALSE after a complaint. */
static gboolean
add_options (JsonObject *params, int argc, char **argv)
{
  JsonObject *options = json_object_new ();

  json_object_set_object_member (params, "options", options);
  for (int i = 0; i < argc; i++) {
    const char *equals = strchr (argv[i], '=');
    g_autofree char *key = equals ? g_strndup (argv[i], (gsize) (equals - argv[i])) : NULL;

    if (!key || !*key) {
      seedctl_complain ("stream", "expected KEY=VALUE, found \"%s\"", argv[i]);
      return FALSE;
    }
    if (json_object_has_member (options, key)) {
      seedctl_complain ("stream", "\"%s\" is said twice", key);
      return FALSE;
    }
    json_object_set_string_member (options, key, equals + 1);
  }
  return TRUE;
}

static void
print_stream (JsonObject *stream)
{
  const char *state = seedctl_get_text (stream, "state");
  double age_ms = seedctl_get_number (stream, "age-ms", -1);
  g_autofree char *reason = seedctl_printable (seedctl_get_text (stream, "reason"));
  g_autofree char *age = age_ms < 0 ? g_strdup ("-") : g_strdup_printf ("%.1fs", age_ms / 1000);

  printf ("%-16s %-12s %s%-11s%s %7.1f %8.0f %8s  %s\n", seedctl_get_text (stream, "stream"),
      seedctl_get_text (stream, "node"), seedctl_state_colour (state), state, seedctl_colour_end (),
      seedctl_get_number (stream, "fps-out", 0), seedctl_get_number (stream, "frames", 0), age,
      reason);
}

static void
print_streams (JsonNode *answer)
{
  JsonArray *streams = JSON_NODE_HOLDS_ARRAY (answer) ? json_node_get_array (answer) : NULL;

  printf ("%-16s %-12s %-11s %7s %8s %8s  %s\n", "STREAM", "NODE", "STATE", "FPS", "FRAMES", "AGE",
      "REASON");
  for (guint i = 0; streams && i < json_array_get_length (streams); i++)
    print_stream (json_array_get_object_element (streams, i));
}

/* The method of an action, and its parameters. NULL after a complaint. */
static JsonObject *
read_arguments (int argc, char **argv, const char *node, const char **method)
{
  const char *action = argc > 1 ? argv[1] : "";
  JsonObject *params;

  if (strcmp (action, "list") == 0 && argc == 3) {
    *method = "stream-list";
    return make_params (argv[2], node);
  }
  if (strcmp (action, "remove") == 0 && argc == 4) {
    *method = "stream-remove";
    params = make_params (argv[2], node);
    json_object_set_string_member (params, "stream", argv[3]);
    return params;
  }
  if (strcmp (action, "add") == 0 && argc >= 5) {
    *method = "stream-add";
    params = make_params (argv[2], node);
    json_object_set_string_member (params, "stream", argv[3]);
    json_object_set_string_member (params, "uri", argv[4]);
    if (add_options (params, argc - 5, argv + 5))
      return params;
    json_object_unref (params);
    return NULL;
  }
  seedctl_complain ("stream", "expected add GRAPH NAME URI [KEY=VALUE...], remove GRAPH NAME, or "
                              "list GRAPH; see seedctl stream --help");
  return NULL;
}

int
seedctl_stream (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("stream");
  g_autofree char *node = NULL;
  g_autoptr (JsonNode) answer = NULL;
  const char *method = NULL;
  JsonObject *params;
  int code;
  GOptionEntry entries[SEEDCTL_CLIENT_N_OPTIONS + 2] = {
    [SEEDCTL_CLIENT_N_OPTIONS] = { "node", 'n', 0, G_OPTION_ARG_STRING, &node,
        "Of this node, when several of the graph have streams", "NODE" },
  };

  seedctl_client_add_options (&client, entries);
  if (!seedctl_parse (&argc, &argv,
          "add GRAPH NAME URI [KEY=VALUE...] | remove GRAPH NAME | list GRAPH",
          "Adds a stream to a running graph, removes one, or lists them; the others go on. Keys "
          "are "
          "those of a stream in\na graph file (max-fps, loop, reconnect, ...). The graph file "
          "stays "
          "as it is, and is what counts when the\ngraph starts again.",
          entries, &code))
    return code;
  params = read_arguments (argc, argv, node, &method);
  if (!params)
    return SEEDCTL_USAGE;
  answer = seedctl_client_call (&client, method, params, &code);
  if (!answer)
    return code;
  if (client.json)
    seedctl_print_json (answer);
  else if (strcmp (method, "stream-list") == 0)
    print_streams (answer);
  return SEEDCTL_DONE;
}
