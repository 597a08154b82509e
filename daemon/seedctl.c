/* SPDX-License-Identifier: MIT */

/* seedctl: the client of SEED's daemon and results. Each subcommand has a file of its own. */

#include <locale.h>
#include <string.h>

#include "seed-config.h"
#include "seedctl.h"

static const struct {
  const char *name, *summary;
  int (*run) (int argc, char **argv);
} commands[] = {
  { "list", "list the graphs and what each is doing", seedctl_list },
  { "status", "tell how the daemon is, or everything about one graph", seedctl_status },
  { "start", "start graphs", seedctl_start },
  { "stop", "stop graphs", seedctl_stop },
  { "restart", "stop graphs and start them again", seedctl_restart },
  { "reload", "take over what has changed in graph files", seedctl_reload },
  { "check", "check a graph file", seedctl_check_any },
  { "get", "print the properties of a node", seedctl_get },
  { "set", "change a property of a node while its graph runs", seedctl_set },
  { "stats", "print ledgers and measurements of a graph", seedctl_stats },
  { "top", "show all streams live", seedctl_top },
  { "dot", "print a graph as Graphviz text", seedctl_dot },
  { "snapshot", "write the current frame of a stream as a JPEG", seedctl_snapshot },
  { "stream", "add, remove or list streams of a running graph", seedctl_stream },
  { "promote", "let candidate weights serve", seedctl_promote },
  { "rollback", "let the previous weights serve again", seedctl_rollback },
  { "keygen", "make a key pair for encrypted results and control", seedctl_keygen },
  { "eval", "measure a model on images, clips or predictions", seedctl_eval },
  { "model", "tell what a model folder is, export or convert it", seedctl_model },
  { "plot", "draw the training of runs as SVG", seedctl_plot },
  { "tail", "print results as they are published, one JSON object a line", seedctl_tail },
  { "completion", "print completion for a shell", seedctl_completion },
  { "version", "print the version", seedctl_version },
};

void
seedctl_complain (const char *name, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  g_printerr ("seedctl %s: %s\n", name, message);
}

gboolean
seedctl_parse (int *argc, char ***argv, const char *arguments, const char *summary,
    const GOptionEntry *entries, int *code)
{
  g_autoptr (GOptionContext) context = g_option_context_new (arguments);
  g_autofree char *name = g_strdup ((*argv)[0]), *help = NULL;
  g_autofree char *program = g_strdup_printf ("seedctl %s", name);
  gboolean want_help = FALSE;
  const GOptionEntry help_entry[] = {
    { "help", 'h', 0, G_OPTION_ARG_NONE, &want_help, "Show this help", NULL },
    { NULL },
  };
  g_autoptr (GError) error = NULL;

  g_set_prgname (program);
  g_option_context_set_help_enabled (context, FALSE); /* GLib's own would exit in here */
  g_option_context_set_summary (context, summary);
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_main_entries (context, help_entry, NULL);
  if (!g_option_context_parse (context, argc, argv, &error)) {
    seedctl_complain (name, "%s; see seedctl %s --help", error->message, name);
    *code = SEEDCTL_USAGE;
    return FALSE;
  }
  if (want_help) {
    help = g_option_context_get_help (context, TRUE, NULL);
    g_print ("%s", help);
    *code = SEEDCTL_DONE;
    return FALSE;
  }
  return TRUE;
}

int
seedctl_version (int argc, char **argv)
{
  gboolean json = FALSE;
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print a JSON object", NULL },
    { NULL },
  };
  int code;

  if (!seedctl_parse (&argc, &argv, NULL, "Prints the version of SEED.", entries, &code))
    return code;
  if (argc > 1) {
    seedctl_complain ("version", "takes no argument");
    return SEEDCTL_USAGE;
  }
  g_print (json ? "{\"version\":\"%s\"}\n" : "seedctl %s\n", SEED_VERSION);
  return SEEDCTL_DONE;
}

static char *
usage (void)
{
  GString *text = g_string_new (
      "Usage: seedctl COMMAND [OPTION...]\n\nCommands (seedctl COMMAND --help tells more):\n");

  for (guint i = 0; i < G_N_ELEMENTS (commands); i++)
    g_string_append_printf (text, "  %-11s %s\n", commands[i].name, commands[i].summary);
  g_string_append (text, "\nExit status: 0 done, 1 refused, 2 usage, 3 nothing to connect to.\n");
  return g_string_free (text, FALSE);
}

int
main (int argc, char **argv)
{
  g_autofree char *text = usage ();

  setlocale (LC_ALL, "");
  if (argc < 2) {
    g_printerr ("%s", text);
    return SEEDCTL_USAGE;
  }
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0) {
    g_print ("%s", text);
    return SEEDCTL_DONE;
  }
  if (strcmp (argv[1], "--version") == 0)
    argv[1] = (char *) "version";
  for (guint i = 0; i < G_N_ELEMENTS (commands); i++) {
    if (strcmp (argv[1], commands[i].name) == 0)
      return commands[i].run (argc - 1, argv + 1);
  }
  g_printerr ("seedctl: \"%s\" is no command\n\n%s", argv[1], text);
  return SEEDCTL_USAGE;
}
