/* SPDX-License-Identifier: MIT */

/* The subcommands that ask the daemon and print its answer. */

#include <stdio.h>
#include <string.h>

#include "graph/stage.h"
#include "seedctl-check.h"
#include "seedctl-client.h"
#include "seedctl.h"

#define MAX_OPTIONS (SEEDCTL_CLIENT_N_OPTIONS + 2)

/* Options, @min to @max arguments after the subcommand. FALSE when it is to end with *@code. */
static gboolean
begin (SeedctlClient *client, int *argc, char ***argv, const char *arguments, const char *summary,
    const GOptionEntry *own, int min, int max, int *code)
{
  GOptionEntry entries[MAX_OPTIONS + 1] = { { NULL } };

  seedctl_client_add_options (client, entries);
  for (guint i = 0; own && own[i].long_name && i < 2; i++)
    entries[SEEDCTL_CLIENT_N_OPTIONS + i] = own[i];
  if (!seedctl_parse (argc, argv, arguments, summary, entries, code))
    return FALSE;
  if (*argc - 1 >= min && *argc - 1 <= max)
    return TRUE;
  seedctl_complain (client->name, "expected %s; see seedctl %s --help",
      arguments ? arguments : "no arguments", client->name);
  *code = SEEDCTL_USAGE;
  return FALSE;
}

static JsonObject *
with_text (JsonObject *params, const char *name, const char *value)
{
  if (!params)
    params = json_object_new ();
  json_object_set_string_member (params, name, value);
  return params;
}

/* ---- list and status ---- */

static void
append_duration (GString *text, double seconds)
{
  gint64 s = (gint64) seconds;

  if (seconds < 0)
    g_string_append (text, "-");
  else if (s >= 86400)
    g_string_append_printf (text, "%dd%02dh", (int) (s / 86400), (int) (s / 3600 % 24));
  else if (s >= 3600)
    g_string_append_printf (text, "%dh%02dm", (int) (s / 3600), (int) (s / 60 % 60));
  else if (s >= 60)
    g_string_append_printf (text, "%dm%02ds", (int) (s / 60), (int) (s % 60));
  else
    g_string_append_printf (text, "%.1fs", seconds);
}

static void
print_row (JsonObject *graph)
{
  const char *state = seedctl_get_text (graph, "state");
  double retry = seedctl_get_number (graph, "retry_in_s", -1);
  g_autofree char *reason = seedctl_printable (seedctl_get_text (graph, "reason"));
  g_autoptr (GString) uptime = g_string_new (NULL), note = g_string_new (NULL);

  append_duration (uptime, seedctl_get_number (graph, "uptime_s", -1));
  if (retry >= 0) {
    g_string_append (note, "again in ");
    append_duration (note, retry);
    g_string_append (note, "; ");
  }
  g_string_append_len (note, reason, (gssize) strcspn (reason, "\n"));
  printf ("%-20s %s%-11s%s %8s %8.0f  %s\n", seedctl_get_text (graph, "graph"),
      seedctl_state_colour (state), state, seedctl_colour_end (), uptime->str,
      seedctl_get_number (graph, "restarts", 0), note->str);
}

static void
print_table (JsonArray *graphs)
{
  printf ("%-20s %-11s %8s %8s  %s\n", "GRAPH", "STATE", "UPTIME", "RESTARTS", "REASON");
  for (guint i = 0; graphs && i < json_array_get_length (graphs); i++)
    print_row (json_array_get_object_element (graphs, i));
}

int
seedctl_list (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("list");
  g_autoptr (JsonNode) answer = NULL;
  int code;

  if (!begin (&client, &argc, &argv, NULL, "Lists the graphs and what each is doing.", NULL, 0, 0,
          &code) ||
      !(answer = seedctl_client_call (&client, "list", NULL, &code)))
    return code;
  if (client.json)
    seedctl_print_json (answer);
  else
    print_table (seedctl_get_array (json_node_get_object (answer), "graphs"));
  return SEEDCTL_DONE;
}

static void
print_lines (const char *title, const char *text)
{
  g_autofree char *clean = seedctl_printable (text);
  g_auto (GStrv) lines = g_strsplit (clean, "\n", -1);

  if (!*text)
    return;
  printf ("  %s\n", title);
  for (guint i = 0; lines[i]; i++) {
    if (*lines[i])
      printf ("    %s\n", lines[i]);
  }
}

static void
print_streams (JsonObject *process)
{
  JsonArray *streams = seedctl_get_array (process, "streams");

  for (guint i = 0; streams && i < json_array_get_length (streams); i++) {
    JsonObject *stream = json_array_get_object_element (streams, i);
    const char *name = seedctl_get_text (stream, "stream");

    const char *state = seedctl_get_text (stream, "state");
    g_autofree char *reason = seedctl_printable (seedctl_get_text (stream, "reason"));

    printf ("  stream    %s: %s%s%.1f fps, %.0f frames, %.0f lost, last %.1f s ago%s%s\n",
        strcmp (name, "-") == 0 ? seedctl_get_text (stream, "node") : name, state,
        *state ? ", " : "", seedctl_get_number (stream, "fps", 0),
        seedctl_get_number (stream, "frames", 0), seedctl_get_number (stream, "lost", 0),
        seedctl_get_number (stream, "age_ms", 0) / 1000, *reason ? ": " : "", reason);
  }
}

/* Streams that an order changed and that are not so (yet, or any more). */
static void
print_changes (JsonObject *graph)
{
  JsonArray *changes = seedctl_get_array (graph, "changed_streams");

  for (guint i = 0; changes && i < json_array_get_length (changes); i++) {
    JsonObject *change = json_array_get_object_element (changes, i);
    const char *state = seedctl_get_text (change, "state");
    g_autofree char *reason = seedctl_printable (seedctl_get_text (change, "reason"));

    if (strcmp (state, "done") == 0)
      continue;
    printf ("  stream    %s: was %s by order, %s after a restart%s%s\n",
        seedctl_get_text (change, "stream"), seedctl_get_text (change, "change"),
        strcmp (state, "lost") == 0 ? "is not so any more" : "is not so yet", *reason ? ": " : "",
        reason);
  }
}

static void
print_graph (JsonObject *graph)
{
  JsonObject *process = seedctl_get_object (graph, "process");
  JsonArray *lines = seedctl_get_array (graph, "last_messages");
  g_autoptr (GString) last = g_string_new (NULL);
  const char *state = seedctl_get_text (graph, "state");

  printf ("%s: %s%s%s\n", seedctl_get_text (graph, "graph"), seedctl_state_colour (state), state,
      seedctl_colour_end ());
  if (*seedctl_get_text (graph, "file"))
    printf ("  file      %s\n", seedctl_get_text (graph, "file"));
  if (process)
    printf ("  process   %.0f, %.0f MiB, heartbeat %.1f s ago\n",
        seedctl_get_number (graph, "pid", 0),
        seedctl_get_number (process, "rss_bytes", 0) / 1048576,
        seedctl_get_number (process, "heartbeat_age_s", 0));
  printf ("  restarts  %.0f\n", seedctl_get_number (graph, "restarts", 0));
  print_streams (process);
  print_changes (graph);
  print_lines ("reason", seedctl_get_text (graph, "reason"));
  if (seedctl_get_flag (graph, "last_good"))
    printf ("  runs      the last good copy of the file\n");
  print_lines ("the file has changed, but has errors", seedctl_get_text (graph, "pending_errors"));
  for (guint i = 0; lines && i < json_array_get_length (lines); i++)
    g_string_append_printf (last, "%s\n", json_array_get_string_element (lines, i));
  print_lines ("last warnings and errors", last->str);
}

static void
print_daemon (JsonObject *daemon)
{
  JsonObject *results = seedctl_get_object (daemon, "results");
  g_autoptr (GString) uptime = g_string_new (NULL);

  append_duration (uptime, seedctl_get_number (daemon, "uptime_s", -1));
  printf ("seedd %s, pid %.0f, up %s\n", seedctl_get_text (daemon, "version"),
      seedctl_get_number (daemon, "pid", 0), uptime->str);
  printf ("results at %s: %.0f subscriptions, %.0f sent, %.0f dropped\n\n",
      seedctl_get_text (results, "endpoint"), seedctl_get_number (results, "subscriptions", 0),
      seedctl_get_number (results, "sent", 0), seedctl_get_number (results, "dropped", 0));
  print_table (seedctl_get_array (daemon, "graphs"));
}

int
seedctl_status (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("status");
  g_autoptr (JsonNode) answer = NULL;
  int code;

  if (!begin (&client, &argc, &argv, "[GRAPH]",
          "Tells how the daemon is, or everything about one graph.", NULL, 0, 1, &code) ||
      !(answer = seedctl_client_call (
            &client, "status", argc > 1 ? with_text (NULL, "graph", argv[1]) : NULL, &code)))
    return code;
  if (client.json)
    seedctl_print_json (answer);
  else if (argc > 1)
    print_graph (json_node_get_object (answer));
  else
    print_daemon (json_node_get_object (answer));
  return SEEDCTL_DONE;
}

/* ---- start, stop, restart ---- */

static int
move (const char *method, const char *summary, int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT (method);
  gboolean no_wait = FALSE;
  const GOptionEntry own[] = {
    { "no-wait", 0, 0, G_OPTION_ARG_NONE, &no_wait, "Do not wait until it has happened", NULL },
    { NULL },
  };
  int code, worst = SEEDCTL_DONE;

  if (!begin (&client, &argc, &argv, "GRAPH...", summary, own, 1, G_MAXINT, &code))
    return code;
  for (int i = 1; i < argc; i++) {
    JsonObject *params = with_text (NULL, "graph", argv[i]);
    g_autoptr (JsonNode) answer = NULL;

    json_object_set_boolean_member (params, "wait", !no_wait);
    answer = seedctl_client_call (&client, method, params, &code);
    if (!answer)
      worst = MAX (worst, code);
    else if (client.json)
      seedctl_print_json (answer);
    else
      printf ("%s: %s\n", argv[i], seedctl_get_text (json_node_get_object (answer), "state"));
    if (!answer && code == SEEDCTL_NOBODY)
      break;
  }
  return worst;
}

int
seedctl_start (int argc, char **argv)
{
  return move ("start", "Starts graphs, and waits until they play.", argc, argv);
}

int
seedctl_stop (int argc, char **argv)
{
  return move ("stop", "Stops graphs: what is in flight is still processed.", argc, argv);
}

int
seedctl_restart (int argc, char **argv)
{
  return move ("restart", "Stops graphs and starts them again.", argc, argv);
}

/* ---- reload and check ---- */

int
seedctl_reload (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("reload");
  g_autoptr (JsonNode) answer = NULL;
  JsonArray *graphs;
  int code, worst = SEEDCTL_DONE;

  if (!begin (&client, &argc, &argv, "[GRAPH]",
          "Reads graph files again and takes over what has changed. A file with errors leaves its "
          "graph as it is.",
          NULL, 0, 1, &code) ||
      !(answer = seedctl_client_call (
            &client, "reload", argc > 1 ? with_text (NULL, "graph", argv[1]) : NULL, &code)))
    return code;
  graphs = seedctl_get_array (json_node_get_object (answer), "graphs");
  if (client.json)
    seedctl_print_json (answer);
  for (guint i = 0; graphs && i < json_array_get_length (graphs); i++) {
    JsonObject *graph = json_array_get_object_element (graphs, i);
    g_autofree char *errors = seedctl_printable (seedctl_get_text (graph, "errors"));

    if (!client.json)
      printf ("%s: %s\n", seedctl_get_text (graph, "graph"), seedctl_get_text (graph, "result"));
    if (*errors) {
      worst = SEEDCTL_REFUSED;
      fputs (errors, stderr);
    }
  }
  return worst;
}

static int
check_in_daemon (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("check");
  g_autoptr (JsonNode) answer = NULL;
  g_autofree char *errors = NULL;
  int code;

  if (!begin (&client, &argc, &argv, "FILE|GRAPH",
          "Checks a graph file, or, by its graph's name, one of the daemon's.", NULL, 1, 1,
          &code) ||
      !(answer = seedctl_client_call (&client, "check", with_text (NULL, "graph", argv[1]), &code)))
    return code;
  errors = seedctl_printable (seedctl_get_text (json_node_get_object (answer), "errors"));
  if (client.json)
    seedctl_print_json (answer);
  else
    fputs (errors, stderr);
  return *errors ? SEEDCTL_REFUSED : SEEDCTL_DONE;
}

/* A file needs no daemon; a name that is no file is a graph of the daemon's. */
int
seedctl_check_any (int argc, char **argv)
{
  const char *last = argv[argc - 1];

  if (argc > 1 && *last != '-' && seed_name_is_good (last) &&
      !g_file_test (last, G_FILE_TEST_EXISTS))
    return check_in_daemon (argc, argv);
  return seedctl_check (argc, argv);
}

/* ---- get and set ---- */

static void
print_value (JsonObject *object, const char *name, JsonNode *node, gpointer data)
{
  if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING) {
    g_autofree char *clean = seedctl_printable (json_node_get_string (node));

    printf ("%s: %s\n", name, clean);
  } else {
    printf ("%s: ", name);
    seedctl_print_json (node);
  }
}

int
seedctl_get (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("get");
  g_autoptr (JsonNode) answer = NULL;
  JsonObject *params;
  int code;

  if (!begin (&client, &argc, &argv, "GRAPH NODE [KEY]",
          "Prints the properties of a node of a running graph.", NULL, 2, 3, &code))
    return code;
  params = with_text (with_text (NULL, "graph", argv[1]), "node", argv[2]);
  if (argc > 3)
    params = with_text (params, "key", argv[3]);
  answer = seedctl_client_call (&client, "get", params, &code);
  if (!answer)
    return code;
  if (client.json)
    seedctl_print_json (answer);
  else
    json_object_foreach_member (json_node_get_object (answer), print_value, NULL);
  return SEEDCTL_DONE;
}

int
seedctl_set (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("set");
  g_autoptr (JsonNode) answer = NULL;
  JsonObject *params;
  int code;

  if (!begin (&client, &argc, &argv, "GRAPH NODE KEY VALUE",
          "Changes a property of a node while its graph runs, if the property allows that. The "
          "graph "
          "file stays\nas it is, and is what counts when the graph starts again.",
          NULL, 4, 4, &code))
    return code;
  params = with_text (with_text (NULL, "graph", argv[1]), "node", argv[2]);
  params = with_text (with_text (params, "key", argv[3]), "value", argv[4]);
  answer = seedctl_client_call (&client, "set", params, &code);
  if (answer && client.json)
    seedctl_print_json (answer);
  return answer ? SEEDCTL_DONE : code;
}

/* ---- stats and dot ---- */

static char *
pretty (JsonNode *node)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();

  json_generator_set_root (generator, node);
  json_generator_set_pretty (generator, TRUE);
  return json_generator_to_data (generator, NULL);
}

int
seedctl_stats (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("stats");
  g_autoptr (JsonNode) answer = NULL;
  g_autofree char *text = NULL;
  int code;

  if (!begin (&client, &argc, &argv, "GRAPH",
          "Prints ledgers, busy times and measurements of all stages and queues of a running graph "
          "as JSON:\nindented, or with --json in one line.",
          NULL, 1, 1, &code) ||
      !(answer = seedctl_client_call (&client, "stats", with_text (NULL, "graph", argv[1]), &code)))
    return code;
  if (client.json) {
    seedctl_print_json (answer);
  } else {
    text = pretty (answer);
    puts (text);
  }
  return SEEDCTL_DONE;
}

int
seedctl_dot (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("dot");
  g_autoptr (JsonNode) answer = NULL;
  int code;

  if (!begin (&client, &argc, &argv, "GRAPH", "Prints a running graph as Graphviz text.", NULL, 1,
          1, &code) ||
      !(answer = seedctl_client_call (&client, "dot", with_text (NULL, "graph", argv[1]), &code)))
    return code;
  if (client.json)
    seedctl_print_json (answer);
  else
    fputs (JSON_NODE_HOLDS_VALUE (answer) ? json_node_get_string (answer) : "", stdout);
  return SEEDCTL_DONE;
}

/* ---- promote and rollback ---- */

static int
change_version (const char *method, const char *summary, int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT (method);
  g_autoptr (JsonNode) answer = NULL;
  JsonObject *params;
  JsonArray *nodes;
  int code;

  if (!begin (&client, &argc, &argv, "GRAPH [NODE]", summary, NULL, 1, 2, &code))
    return code;
  params = with_text (NULL, "graph", argv[1]);
  if (argc > 2)
    params = with_text (params, "node", argv[2]);
  answer = seedctl_client_call (&client, method, params, &code);
  if (!answer)
    return code;
  nodes = JSON_NODE_HOLDS_ARRAY (answer) ? json_node_get_array (answer) : NULL;
  if (client.json)
    seedctl_print_json (answer);
  for (guint i = 0; !client.json && nodes && i < json_array_get_length (nodes); i++)
    printf ("%s\n", json_array_get_string_element (nodes, i));
  return SEEDCTL_DONE;
}

int
seedctl_promote (int argc, char **argv)
{
  return change_version ("promote",
      "Makes the candidate weights of a graph's students the ones that serve, unless they score "
      "worse.",
      argc, argv);
}

int
seedctl_rollback (int argc, char **argv)
{
  return change_version (
      "rollback", "Makes the previous weights of a graph's students serve again.", argc, argv);
}
