/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "seedctl-client.h"
#include "seedctl.h"

static volatile sig_atomic_t ended;

static void
on_signal (int number)
{
  ended = 1;
}

/* The losses of a graph's students, "1.83" or "1.83 0.92". */
static char *
losses_of (JsonObject *process)
{
  JsonArray *train = seedctl_get_array (process, "train");
  GString *text = g_string_new (NULL);

  for (guint i = 0; train && i < json_array_get_length (train); i++)
    g_string_append_printf (text, "%s%.4g", i ? " " : "",
        seedctl_get_number (json_array_get_object_element (train, i), "loss", 0));
  return g_string_free (text->len ? text : g_string_append_c (text, '-'), FALSE);
}

static void
append_graph (GString *text, JsonObject *graph)
{
  JsonObject *process = seedctl_get_object (graph, "process");
  JsonArray *streams = seedctl_get_array (process, "streams");
  const char *state = seedctl_get_text (graph, "state");
  g_autofree char *losses = losses_of (process);
  guint n = streams ? json_array_get_length (streams) : 0;

  for (guint i = 0; i < MAX (n, 1); i++) {
    JsonObject *stream = i < n ? json_array_get_object_element (streams, i) : NULL;
    const char *name = seedctl_get_text (stream, "stream");

    g_string_append_printf (text, "%-16.16s %-16.16s %s%-11s%s ", seedctl_get_text (graph, "graph"),
        !stream                   ? "-"
        : strcmp (name, "-") == 0 ? seedctl_get_text (stream, "node")
                                  : name,
        seedctl_state_colour (state), state, seedctl_colour_end ());
    if (stream)
      g_string_append_printf (text, "%7.1f %7.1fs %7.0f %8.1fms  %s\n",
          seedctl_get_number (stream, "fps", 0), seedctl_get_number (stream, "age_ms", 0) / 1000,
          seedctl_get_number (stream, "lost", 0),
          seedctl_get_number (process, "latency_p50_ns", 0) / 1e6, losses);
    else
      g_string_append_printf (text, "%7s %8s %7s %10s  %s\n", "-", "-", "-", "-", losses);
  }
}

static char *
make_table (JsonNode *answer)
{
  JsonObject *daemon = json_node_get_object (answer);
  JsonArray *graphs = seedctl_get_array (daemon, "graphs");
  GString *text = g_string_new (NULL);

  g_string_append_printf (text, "%-16s %-16s %-11s %7s %8s %7s %10s  %s\n", "GRAPH", "STREAM",
      "STATE", "FPS", "AGE", "LOST", "LATENCY", "LOSS");
  for (guint i = 0; graphs && i < json_array_get_length (graphs); i++)
    append_graph (text, json_array_get_object_element (graphs, i));
  return g_string_free (text, FALSE);
}

/* As much as the terminal shows, over what it showed before. */
static void
redraw (const char *table)
{
  struct winsize size = { 0 };
  g_auto (GStrv) lines = g_strsplit (table, "\n", -1);
  guint rows = 24;

  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1)
    rows = size.ws_row;
  fputs ("\033[H", stdout);
  for (guint i = 0; lines[i] && i + 1 < rows; i++)
    printf ("%s\033[K\n", lines[i]);
  fputs ("\033[J", stdout);
  fflush (stdout);
}

static int
show (SeedctlClient *client, gboolean live, gboolean *shown)
{
  int code = SEEDCTL_DONE;
  g_autoptr (JsonNode) answer = seedctl_client_call (client, "status", NULL, &code);
  g_autofree char *table = NULL;

  if (!answer)
    return code;
  if (client->json) {
    seedctl_print_json (answer);
    fflush (stdout);
    return SEEDCTL_DONE;
  }
  table = make_table (answer);
  if (live && !*shown)
    fputs ("\033[2J", stdout);
  *shown = TRUE;
  if (live)
    redraw (table);
  else
    fputs (table, stdout);
  return SEEDCTL_DONE;
}

int
seedctl_top (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("top");
  gboolean once = FALSE, shown = FALSE;
  double interval = 1;
  int code;
  GOptionEntry entries[SEEDCTL_CLIENT_N_OPTIONS + 3] = {
    [SEEDCTL_CLIENT_N_OPTIONS] = { "once", '1', 0, G_OPTION_ARG_NONE, &once,
        "Print the table once and end", NULL },
    { "interval", 'i', 0, G_OPTION_ARG_DOUBLE, &interval,
        "Between two looks, 0.1 to 3600 (default: 1)", "SECONDS" },
  };
  struct sigaction action = { .sa_handler = on_signal };

  seedctl_client_add_options (&client, entries);
  if (!seedctl_parse (&argc, &argv, NULL,
          "Shows, for every stream, frames per second, the age of the last frame, lost frames, and "
          "the latency and\nlosses of its graph. On a terminal until interrupted; elsewhere, and "
          "with --once, once.",
          entries, &code))
    return code;
  if (argc > 1 || !(interval >= 0.1 && interval <= 3600)) {
    seedctl_complain ("top", "expected no arguments, and an interval from 0.1 to 3600");
    return SEEDCTL_USAGE;
  }
  once = once || !isatty (STDOUT_FILENO);
  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
  do {
    code = show (&client, !once, &shown);
    if (!once && code == SEEDCTL_DONE && !ended)
      g_usleep ((gulong) (interval * G_USEC_PER_SEC)); /* a signal ends it */
  } while (!once && code == SEEDCTL_DONE && !ended);
  return code;
}
