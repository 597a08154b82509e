/* SPDX-License-Identifier: MIT */
#include "seedctl-check.h"

#include <stdio.h>
#include <string.h>

#include <gst/gst.h>
#include <json-glib/json-glib.h>

#include "graph/graph.h"
#include "graph/params.h"
#include "graph/plugin.h"

enum { EXIT_GOOD, EXIT_ERRORS, EXIT_WRONG_USAGE };

typedef struct {
  gboolean json;
  GHashTable *set;
  char **files;
} CheckArguments;

static gboolean
parse_set (const char *name, const char *value, gpointer data, GError **error)
{
  CheckArguments *arguments = data;

  return seed_params_parse_set (arguments->set, name, value, error);
}

static gboolean
parse_arguments (CheckArguments *arguments, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &arguments->json, "Print one JSON object", NULL },
    { "set", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer) parse_set,
        "Override a parameter of the graph; may be repeated", "NAME=VALUE" },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &arguments->files, NULL, NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("FILE - validate a graph file");
  GOptionGroup *group = g_option_group_new ("check", "", "", arguments, NULL);

  g_option_group_add_entries (group, entries);
  g_option_context_set_main_group (context, group);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (arguments->files && arguments->files[0] && !arguments->files[1])
    return TRUE;
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "expected one graph file");
  return FALSE;
}

static void
print_json (const char *file, const SeedDiagnostics *diagnostics)
{
  g_autoptr (JsonBuilder) json = json_builder_new ();
  g_autoptr (GPtrArray) sorted = seed_diagnostics_sorted (diagnostics);
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  json_builder_begin_object (json);
  json_builder_set_member_name (json, "file");
  json_builder_add_string_value (json, file);
  json_builder_set_member_name (json, "ok");
  json_builder_add_boolean_value (json, sorted->len == 0);
  json_builder_set_member_name (json, "errors");
  json_builder_begin_array (json);
  for (guint i = 0; i < sorted->len; i++) {
    const SeedDiagnostic *d = g_ptr_array_index (sorted, i);

    json_builder_begin_object (json);
    json_builder_set_member_name (json, "line");
    json_builder_add_int_value (json, d->mark.line);
    json_builder_set_member_name (json, "column");
    json_builder_add_int_value (json, d->mark.column);
    json_builder_set_member_name (json, "message");
    json_builder_add_string_value (json, d->message);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
  json_builder_end_object (json);
  root = json_builder_get_root (json);
  text = json_to_string (root, FALSE);
  puts (text);
}

static int
check (const CheckArguments *arguments)
{
  const char *file = arguments->files[0];
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new (file);
  g_autoptr (SeedGraph) graph = NULL;

  gst_init (NULL, NULL);
  seed_graph_load_plugin ();
  graph = seed_graph_load (file, arguments->set, diagnostics);
  if (arguments->json) {
    print_json (file, diagnostics);
  } else {
    g_autofree char *errors = seed_diagnostics_to_string (diagnostics);

    fputs (errors, stderr);
  }
  return graph ? EXIT_GOOD : EXIT_ERRORS;
}

int
seedctl_check (int argc, char **argv)
{
  CheckArguments arguments = { 0 };
  g_autoptr (GError) error = NULL;
  int status;

  arguments.set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (parse_arguments (&arguments, &argc, &argv, &error)) {
    status = check (&arguments);
  } else {
    fprintf (stderr, "seedctl check: %s\n", error->message);
    status = EXIT_WRONG_USAGE;
  }
  g_hash_table_unref (arguments.set);
  g_strfreev (arguments.files);
  return status;
}
