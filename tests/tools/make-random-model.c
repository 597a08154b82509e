/* SPDX-License-Identifier: MIT */

/*
 * Writes a vision transformer with random weights as a folder in Hugging Face layout: a teacher for
 * tests and demonstrations that need no download.
 *
 *   seed-make-random-model --size mini --seed 7 --out /tmp/teacher
 *
 * The usual initialisation (standard deviation 0.02) is made to be trained: what such a model says
 * hardly depends on the image. Here each weight matrix keeps the variance of what passes through it
 * (standard deviation gain/sqrt(inputs)), and the tokens that are the same for every image are
 * small, so that different images get visibly different features. The same options give the same
 * bytes.
 */
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "nn/checkpoint.h"

#define DEFAULT_GAIN 1.0
#define TOKEN_STD 0.02
#define DEFAULT_IMAGE_SIZE 224
#define DEFAULT_PATCH_SIZE 16
#define MLP_RATIO 4

typedef struct {
  char *size, *mean, *std, *out;
  int dim, depth, heads, image_size, patch_size;
  gint64 seed;
  double gain;
} Options;

static gboolean
fail (GError **error, const char *reason)
{
  g_set_error_literal (error, SEED_ERROR, SEED_ERROR_INVALID, reason);
  return FALSE;
}

/* "0.5" for all channels or "0.48,0.46,0.41". */
static gboolean
parse_three (const char *text, const char *option, float values[3], GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);
  guint n = g_strv_length (parts);

  for (guint c = 0; c < 3 && (n == 1 || n == 3); c++) {
    const char *part = parts[n == 1 ? 0 : c];
    char *end;

    values[c] = (float) g_ascii_strtod (part, &end);
    if (end == part || *end)
      n = 0;
  }
  if (n == 1 || n == 3)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
      "%s %s: expected one number or three with commas between", option, text);
  return FALSE;
}

static gboolean
make_config (const Options *options, SeedVitConfig *config, GError **error)
{
  gboolean custom = options->dim || options->depth || options->heads;

  if (options->dim < 0 || options->depth < 0 || options->heads < 0 || options->image_size < 1 ||
      options->patch_size < 1)
    return fail (error, "sizes are whole numbers above 0");
  if (options->size ? custom : !(options->dim && options->depth && options->heads))
    return fail (error, "give either --size or all of --dim, --depth and --heads");
  if (!seed_vit_config_for_size (
          config, options->size ? options->size : "mini", (guint) options->image_size))
    return fail (error, "--size is one of mini, tiny, small and base");
  if (custom) {
    config->dim = (guint) options->dim;
    config->depth = (guint) options->depth;
    config->heads = (guint) options->heads;
    config->mlp_dim = MLP_RATIO * config->dim;
  }
  config->patch_size = (guint) options->patch_size;
  return (!options->mean || parse_three (options->mean, "--mean", config->mean, error)) &&
         (!options->std || parse_three (options->std, "--std", config->std, error)) &&
         seed_vit_config_check (config, error);
}

static void
fill_normal (float *values, gsize n, double std, SeedRng *rng)
{
  for (gsize i = 0; i < n; i++)
    values[i] = (float) (std * seed_rng_normal (rng));
}

static void
fill_params (const SeedParams *params, float *values, double gain, guint64 seed)
{
  for (guint i = 0; i < params->n; i++) {
    const SeedParam *param = &params->items[i];
    float *dest = values + param->offset;
    SeedRng rng;

    /* a stream of its own for each, so that a deeper model begins with the same blocks */
    seed_rng_init (&rng, seed_hash_string (seed, param->name));
    if (g_str_equal (param->name, "cls") || g_str_equal (param->name, "pos"))
      fill_normal (dest, param->size, TOKEN_STD, &rng);
    else if (param->n_dims == 2)
      fill_normal (dest, param->size, gain / sqrt ((double) param->shape[1]), &rng);
    else if (g_str_has_suffix (param->name, ".weight")) /* of a norm */
      for (gsize j = 0; j < param->size; j++)
        dest[j] = 1;
  }
}

static gboolean
make_model (const Options *options, GError **error)
{
  SeedParams params;
  SeedVitConfig config;
  float *values;
  gboolean ok;

  if (!options->out)
    return fail (error, "--out FOLDER is needed");
  if (!(options->gain > 0 && options->gain <= 100))
    return fail (error, "--gain is above 0 and at most 100");
  if (!make_config (options, &config, error))
    return FALSE;
  seed_params_init (&params);
  seed_vit_append_params (&config, &params);
  values = g_new0 (float, params.total);
  fill_params (&params, values, options->gain, (guint64) options->seed);
  ok = seed_checkpoint_save (options->out, &config, &params, values, NULL, 0, error);
  g_free (values);
  seed_params_clear (&params);
  return ok;
}

int
main (int argc, char **argv)
{
  Options options = {
    .image_size = DEFAULT_IMAGE_SIZE, .patch_size = DEFAULT_PATCH_SIZE, .gain = DEFAULT_GAIN
  };
  const GOptionEntry entries[] = {
    { "size", 0, 0, G_OPTION_ARG_STRING, &options.size, "mini, tiny, small or base", "NAME" },
    { "dim", 0, 0, G_OPTION_ARG_INT, &options.dim, "width, instead of --size", "N" },
    { "depth", 0, 0, G_OPTION_ARG_INT, &options.depth, "number of blocks", "N" },
    { "heads", 0, 0, G_OPTION_ARG_INT, &options.heads, "attention heads of a block", "N" },
    { "image-size", 0, 0, G_OPTION_ARG_INT, &options.image_size, "pixels (224)", "N" },
    { "patch-size", 0, 0, G_OPTION_ARG_INT, &options.patch_size, "pixels (16)", "N" },
    { "mean", 0, 0, G_OPTION_ARG_STRING, &options.mean, "of RGB in 0..1 (0.5)", "R,G,B" },
    { "std", 0, 0, G_OPTION_ARG_STRING, &options.std, "of RGB in 0..1 (0.5)", "R,G,B" },
    { "seed", 0, 0, G_OPTION_ARG_INT64, &options.seed, "of the weights (0)", "N" },
    { "gain", 0, 0, G_OPTION_ARG_DOUBLE, &options.gain,
        "weights have a standard deviation of GAIN/sqrt(inputs) (1)", "GAIN" },
    { "out", 'o', 0, G_OPTION_ARG_FILENAME, &options.out, "folder to write, made when missing",
        "FOLDER" },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  gboolean ok;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (context, "Writes a vision transformer with random weights.");
  ok = g_option_context_parse (context, &argc, &argv, &error);
  if (ok && argc > 1)
    ok = fail (&error, "no arguments are expected besides options; try --help");
  ok = ok && make_model (&options, &error);
  if (!ok)
    g_printerr ("seed-make-random-model: error: %s\n", error->message);
  g_free (options.size);
  g_free (options.mean);
  g_free (options.std);
  g_free (options.out);
  return ok ? 0 : 1;
}
