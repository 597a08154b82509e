/* SPDX-License-Identifier: MIT */

/* seedctl completion: the completion of all commands, for a shell that has not found it installed.
 */

#include <stdio.h>
#include <string.h>

#include <gio/gio.h>

#include "seedctl.h"

static const char *const programs[] = { "seedctl", "seedd", "seed-run" };

static gboolean
print_script (const char *program, GError **error)
{
  g_autofree char *path = g_strconcat ("/seed/completions/", program, NULL);
  g_autoptr (GBytes) text = g_resources_lookup_data (path, G_RESOURCE_LOOKUP_FLAGS_NONE, error);
  const char *data;
  gsize size;

  if (!text)
    return FALSE;
  data = g_bytes_get_data (text, &size);
  return fwrite (data, 1, size, stdout) == size;
}

int
seedctl_completion (int argc, char **argv)
{
  const GOptionEntry entries[] = { { NULL } };
  g_autoptr (GError) error = NULL;
  int code;

  if (!seedctl_parse (&argc, &argv, "bash",
          "Prints the completion of seedctl, seedd and seed-run as shell text:\n"
          "  source <(seedctl completion bash)",
          entries, &code))
    return code;
  if (argc != 2 || strcmp (argv[1], "bash") != 0) {
    seedctl_complain ("completion", "expected the shell: bash; see seedctl completion --help");
    return SEEDCTL_USAGE;
  }
  for (guint i = 0; i < G_N_ELEMENTS (programs); i++) {
    if (!print_script (programs[i], &error)) {
      seedctl_complain (
          "completion", "not written: %s", error ? error->message : "output is closed");
      return SEEDCTL_REFUSED;
    }
  }
  return SEEDCTL_DONE;
}
