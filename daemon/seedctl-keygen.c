/* SPDX-License-Identifier: MIT */
#include <seed/curve.h>
#include <unistd.h>

#include "nn/json.h"
#include "seedctl.h"

typedef struct {
  char *name, *results, *control;
  gboolean json;
} Options;

static void
options_clear (Options *options)
{
  g_free (options->name);
  g_free (options->results);
  g_free (options->control);
}

static void
report (const SeedCurveKeypair *keypair, const char *path, const char *public_path, gboolean json)
{
  g_autoptr (GString) text = g_string_new (NULL);

  if (!json) {
    g_print (
        "%s: the key pair, to be kept\n%s: the public key, to be given away\n", path, public_path);
    return;
  }
  g_string_append (text, "{\"key\":");
  seed_json_append_quoted (text, path);
  g_string_append (text, ",\"public\":");
  seed_json_append_quoted (text, public_path);
  g_string_append (text, ",\"public_key\":");
  seed_json_append_quoted (text, seed_curve_keypair_public (keypair));
  g_print ("%s}\n", text->str);
}

/* Both files, or none. */
static gboolean
generate (const Options *options, const char *path, GError **error)
{
  g_autofree char *public_path = g_strconcat (path, ".pub", NULL);
  g_autofree char *base = g_path_get_basename (path);
  g_autoptr (SeedCurveKeypair) keypair =
      seed_curve_keypair_new (options->name ? options->name : base, error);

  if (!keypair || !seed_curve_keypair_save_public (
                      keypair, public_path, options->results, options->control, error))
    return FALSE;
  if (!seed_curve_keypair_save (keypair, path, error)) {
    unlink (public_path);
    return FALSE;
  }
  report (keypair, path, public_path, options->json);
  return TRUE;
}

static int
keygen (const Options *options, int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (argc != 2) {
    seedctl_complain ("keygen", "takes one FILE; see seedctl keygen --help");
    return SEEDCTL_USAGE;
  }
  if (generate (options, argv[1], &error))
    return SEEDCTL_DONE;
  seedctl_complain ("keygen", "%s", error->message);
  return SEEDCTL_REFUSED;
}

int
seedctl_keygen (int argc, char **argv)
{
  Options options = { 0 };
  const GOptionEntry entries[] = {
    { "name", 0, 0, G_OPTION_ARG_STRING, &options.name, "Name for people (default: FILE's)",
        "NAME" },
    { "results", 0, 0, G_OPTION_ARG_STRING, &options.results,
        "Prefixes of topics that the bearer may read, separated by commas, * for all", "LIST" },
    { "control", 0, 0, G_OPTION_ARG_STRING, &options.control,
        "Patterns of control methods that the bearer may call, separated by commas", "LIST" },
    { "json", 0, 0, G_OPTION_ARG_NONE, &options.json, "Print a JSON object", NULL },
    { NULL },
  };
  int code;

  if (seedctl_parse (&argc, &argv, "FILE",
          "Makes a key pair for CURVE: FILE with both keys, and FILE.pub with the public one and "
          "its rights, for a\npublisher's folder of authorized keys. Never overwrites a file.",
          entries, &code))
    code = keygen (&options, argc, argv);
  options_clear (&options);
  return code;
}
