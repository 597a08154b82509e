/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <glib/gstdio.h>

#include <seed/error.h>

#include "nn/atomic-file.h"
#include "seedctl-model.h"
#include "seedctl.h"

typedef struct {
  const char *verb, *from, *to;
  char *dtype, *card;
  int image_size;
  gboolean force;
} Options;

static void
options_clear (Options *options)
{
  g_free (options->dtype);
  g_free (options->card);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
check_target (const Options *options, GError **error)
{
  g_autofree char *from = realpath (options->from, NULL), *to = realpath (options->to, NULL);
  g_autofree char *model = g_build_filename (options->to, "config.json", NULL);

  if (from && g_strcmp0 (from, to) == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: is the model itself; give another folder to write to", options->to);
    return FALSE;
  }
  if (!options->force && g_file_test (model, G_FILE_TEST_EXISTS | G_FILE_TEST_IS_SYMLINK)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: has a model already; --force replaces it", options->to);
    return FALSE;
  }
  return TRUE;
}

/* An index of several files would be read by nobody beside the new single one, but by other
 * programs first. */
static gboolean
remove_index (const Options *options, GError **error)
{
  g_autofree char *index = g_build_filename (options->to, "model.safetensors.index.json", NULL);

  if (!g_file_test (index, G_FILE_TEST_EXISTS) || g_unlink (index) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot be removed", index);
  return FALSE;
}

static gboolean
write_card (const Options *options, const char *text, GError **error)
{
  g_autofree char *path = g_build_filename (options->to, "README.md", NULL);

  return seed_atomic_file_set_contents (path, text, error);
}

static gboolean
write_model (const Options *options, gboolean students_only, GError **error)
{
  SeedCheckpoint checkpoint = { 0 };
  SeedDtype dtype;
  SeedctlHeads heads;
  g_autofree char *card = NULL;
  gboolean ok;

  if (!seed_dtype_from_wire_name (options->dtype, &dtype)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "--dtype %s: expected float32, float16 or bfloat16", options->dtype);
    return FALSE;
  }
  if (!check_target (options, error) || !seedctl_heads_find (&heads, options->from, error))
    return FALSE;
  if (students_only && heads.n == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: is no student, it has no embed head; see seedctl model convert", options->from);
    return FALSE;
  }
  if (!seed_checkpoint_load_sized (
          &checkpoint, options->from, (guint) options->image_size, heads.tensors, heads.n, error))
    return FALSE;
  /* what is wrong with a card is said before anything is written */
  if (options->card)
    card = seedctl_card_format (options->to, &checkpoint, &heads, dtype, options->card, error);
  ok = (card || !options->card) &&
       seed_checkpoint_export (options->to, &checkpoint, dtype, heads.tensors, heads.n, error) &&
       remove_index (options, error) && (!card || write_card (options, card, error));
  seed_checkpoint_clear (&checkpoint);
  return ok;
}

static int
run (int argc, char **argv, gboolean students_only, const char *summary)
{
  g_auto (Options) options = { 0 };
  g_autoptr (GError) error = NULL;
  const GOptionEntry entries[] = {
    { "dtype", 0, 0, G_OPTION_ARG_STRING, &options.dtype,
        "Of the weights: float32 (default), float16 or bfloat16", "NAME" },
    { "image-size", 0, 0, G_OPTION_ARG_INT, &options.image_size,
        "Resample positions for images of N pixels (default: as they are)", "N" },
    { "card", 0, 0, G_OPTION_ARG_FILENAME, &options.card,
        "Also write README.md with what this JSON file says of data, recipe, seed and figures",
        "FILE.json" },
    { "force", 'f', 0, G_OPTION_ARG_NONE, &options.force, "Replace a model that is there", NULL },
    { NULL },
  };
  int code;

  if (!seedctl_parse (&argc, &argv, "MODEL FOLDER", summary, entries, &code))
    return code;
  if (!options.dtype)
    options.dtype = g_strdup ("float32");
  if (argc != 3 || options.image_size < 0) {
    seedctl_complain ("model", "%s: expected a model and a folder to write to", argv[0]);
    return SEEDCTL_USAGE;
  }
  options.from = argv[1];
  options.to = argv[2];
  if (write_model (&options, students_only, &error))
    return SEEDCTL_DONE;
  seedctl_complain ("model", "%s", error->message);
  return SEEDCTL_REFUSED;
}

int
seedctl_model_export (int argc, char **argv)
{
  return run (argc, argv, TRUE,
      "Writes a student, or the moving average of a training checkpoint, as a folder that "
      "transformers loads:\nconfig.json, preprocessor_config.json, model.safetensors; its heads "
      "in heads.safetensors.");
}

int
seedctl_model_convert (int argc, char **argv)
{
  return run (argc, argv, FALSE,
      "Reads a model of any supported family and writes it as a plain ViT in the layout of "
      "transformers.");
}
