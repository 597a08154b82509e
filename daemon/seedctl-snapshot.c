/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "seedctl-client.h"
#include "seedctl.h"

/* To @path at once or not at all, or to standard output. */
static int
write_picture (const SeedctlClient *client, JsonObject *answer, const char *path)
{
  gsize size;
  g_autofree guchar *jpeg = g_base64_decode (seedctl_get_text (answer, "jpeg"), &size);
  g_autoptr (GError) error = NULL;

  if (path && !g_file_set_contents (path, (const char *) jpeg, (gssize) size, &error)) {
    seedctl_complain (client->name, "%s", error->message);
    return SEEDCTL_REFUSED;
  }
  if (!path && (fwrite (jpeg, 1, size, stdout) < size || fflush (stdout) != 0)) {
    seedctl_complain (client->name, "cannot write: %s", g_strerror (errno));
    return SEEDCTL_REFUSED;
  }
  return SEEDCTL_DONE;
}

static JsonObject *
make_params (const char *stream, int width)
{
  JsonObject *params = json_object_new ();
  const char *slash = strchr (stream, '/');

  if (slash) {
    g_autofree char *graph = g_strndup (stream, (gsize) (slash - stream));

    json_object_set_string_member (params, "graph", graph);
    stream = slash + 1;
  }
  json_object_set_string_member (params, "stream", stream);
  if (width)
    json_object_set_int_member (params, "width", width);
  return params;
}

int
seedctl_snapshot (int argc, char **argv)
{
  g_auto (SeedctlClient) client = SEEDCTL_CLIENT_INIT ("snapshot");
  g_autofree char *output = NULL;
  g_autoptr (JsonNode) answer = NULL;
  int width = 0, code;
  GOptionEntry entries[SEEDCTL_CLIENT_N_OPTIONS + 3] = {
    [SEEDCTL_CLIENT_N_OPTIONS] = { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
        "File to write (default: standard output)", "FILE" },
    { "width", 'w', 0, G_OPTION_ARG_INT, &width, "Make it no wider, at most 7680 (default: 1280)",
        "PIXELS" },
  };

  seedctl_client_add_options (&client, entries);
  if (!seedctl_parse (&argc, &argv, "[GRAPH/]STREAM",
          "Writes the current frame of a stream as a JPEG. A source that marks no streams is one "
          "called after its\nnode. With --json the picture comes in base64 with frame number and "
          "times.",
          entries, &code))
    return code;
  if (argc != 2 || width < 0) {
    seedctl_complain ("snapshot", "expected [GRAPH/]STREAM; see seedctl snapshot --help");
    return SEEDCTL_USAGE;
  }
  if (!output && !client.json && isatty (STDOUT_FILENO)) {
    seedctl_complain ("snapshot", "a terminal shows no picture; name a file with --output");
    return SEEDCTL_USAGE;
  }
  answer = seedctl_client_call (&client, "snapshot", make_params (argv[1], width), &code);
  if (!answer)
    return code;
  if (client.json && !output) {
    seedctl_print_json (answer);
    return SEEDCTL_DONE;
  }
  return write_picture (&client, json_node_get_object (answer), output);
}
