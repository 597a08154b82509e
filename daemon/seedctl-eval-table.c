/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "eval/jsonl.h"
#include "eval/table.h"
#include "nn/atomic-file.h"
#include "seedctl-eval.h"
#include "seedctl.h"

/* "LABEL=FILE" puts a file into a row of that name, unless there is a file of the whole name. */
static gboolean
add_file (SeedEvalTable *table, const char *argument, GError **error)
{
  const char *equals = g_file_test (argument, G_FILE_TEST_EXISTS) ? NULL : strchr (argument, '=');
  g_autofree char *label = equals ? g_strndup (argument, (gsize) (equals - argument)) : NULL;
  const char *file = equals ? equals + 1 : argument;
  g_autoptr (JsonNode) node = seed_jsonl_load_object (file, error);

  return node && seed_eval_table_add (table, json_node_get_object (node), file, label, error);
}

int
seedctl_eval_table (int argc, char **argv)
{
  g_autoptr (SeedEvalTable) table = seed_eval_table_new ();
  g_autofree char *metrics = NULL, *output = NULL, *text = NULL;
  g_auto (GStrv) names = NULL;
  g_autoptr (GError) error = NULL;
  const GOptionEntry entries[] = {
    { "metrics", 0, 0, G_OPTION_ARG_STRING, &metrics,
        "Metrics to show (default: the main one of each task)", "NAME,..." },
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "Write it here instead", "FILE" },
    { NULL },
  };
  int code;

  if (!seedctl_parse (&argc, &argv, "[LABEL=]FILE...",
          "Merges reports of `seedctl eval --json` into one Markdown table: a row for each model,\n"
          "mean and deviation over models whose names differ in what follows \"-seed\".",
          entries, &code))
    return code;
  if (argc < 2) {
    seedctl_complain ("eval", "expected files; see seedctl eval table --help");
    return SEEDCTL_USAGE;
  }
  for (int i = 1; i < argc; i++) {
    if (!add_file (table, argv[i], &error)) {
      seedctl_complain ("eval", "%s", error->message);
      return SEEDCTL_REFUSED;
    }
  }
  names = metrics ? g_strsplit (metrics, ",", -1) : NULL;
  text = seed_eval_table_format (table, (const char *const *) names);
  if (!output) {
    fputs (text, stdout);
  } else if (!seed_atomic_file_set_contents (output, text, &error)) {
    seedctl_complain ("eval", "%s", error->message);
    return SEEDCTL_REFUSED;
  }
  return SEEDCTL_DONE;
}
