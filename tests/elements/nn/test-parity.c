/* SPDX-License-Identifier: MIT */
/*
 * The same numbers as Hugging Face transformers (in double) on tiny models with random weights. The
 * fixtures are made by generate-vit-fixtures.py, which describes their files.
 */
#include "nn-util.h"

#define LIMIT 1e-4 /* required; about 1e-6 is what float gives */

typedef struct {
  SeedVitConfig config;
  guint images;
  gsize n_parameters;
} Fixture;

static void
set_key (Fixture *fixture, const char *key, double value)
{
  SeedVitConfig *config = &fixture->config;
  const struct {
    const char *key;
    guint *field;
  } fields[] = { { "images", &fixture->images }, { "image_size", &config->image_size },
    { "patch_size", &config->patch_size }, { "dim", &config->dim }, { "depth", &config->depth },
    { "heads", &config->heads }, { "mlp_dim", &config->mlp_dim } };

  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    if (strcmp (key, fields[i].key) == 0) {
      *fields[i].field = (guint) value;
      return;
    }
  if (strcmp (key, "ln_eps") == 0)
    config->ln_eps = value;
  else if (strcmp (key, "activation") == 0)
    config->activation = (SeedActivation) value;
  else if (strcmp (key, "parameters") == 0)
    fixture->n_parameters = (gsize) value;
  else if (g_str_has_prefix (key, "mean"))
    config->mean[key[4] - '0'] = (float) value;
  else if (g_str_has_prefix (key, "std"))
    config->std[key[3] - '0'] = (float) value;
  else
    g_error ("shape.txt: unknown key %s", key);
}

static gpointer
read_file (const char *folder, const char *name, gsize expected_size)
{
  g_autofree char *path = g_build_filename (SEED_TEST_DATA, "models", folder, name, NULL);
  g_autoptr (GError) error = NULL;
  char *contents;
  gsize size;

  g_file_get_contents (path, &contents, &size, &error);
  g_assert_no_error (error);
  if (expected_size > 0)
    g_assert_cmpuint (size, ==, expected_size);
  return contents;
}

static void
read_shape (const char *folder, Fixture *fixture)
{
  g_autofree char *text = read_file (folder, "shape.txt", 0);
  g_auto (GStrv) lines = g_strsplit (g_strstrip (text), "\n", -1);

  *fixture = (Fixture){ 0 };
  for (guint i = 0; lines[i]; i++) {
    g_auto (GStrv) pair = g_strsplit (lines[i], " ", 2);
    set_key (fixture, pair[0], g_ascii_strtod (pair[1], NULL));
  }
}

/* flat.bin has no gaps between parameters, the table has */
static void
spread (const SeedParams *params, const float *flat, gsize n, float *values)
{
  gsize at = 0;

  for (guint i = 0; i < params->n; i++) {
    memcpy (values + params->items[i].offset, flat + at, params->items[i].size * sizeof *flat);
    at += params->items[i].size;
  }
  g_assert_cmpuint (at, ==, n);
}

static void
test_fixture (gconstpointer data)
{
  const char *folder = data;
  const float one[3] = { 1, 1, 1 }, zero[3] = { 0, 0, 0 };
  g_autoptr (SeedVit) vit = NULL;
  g_autoptr (GError) error = NULL;
  float scale[3], shift[3];
  SeedParams params;
  Fixture fixture;
  gsize n_words, n_hidden;

  read_shape (folder, &fixture);
  n_words = (gsize) fixture.images * seed_vit_config_n_words (&fixture.config);
  n_hidden = (n_words + fixture.images) * fixture.config.dim;
  seed_params_init (&params);
  seed_vit_append_params (&fixture.config, &params);

  g_autofree float *flat = read_file (folder, "flat.bin", fixture.n_parameters * sizeof *flat);
  g_autofree guint8 *words = read_file (
      folder, "words.bin", n_words * 3 * fixture.config.patch_size * fixture.config.patch_size);
  g_autofree float *hidden = read_file (folder, "hidden.bin", n_hidden * sizeof *hidden);
  g_autofree float *values = new_reals (params.total);
  spread (&params, flat, fixture.n_parameters, values);

  vit = seed_vit_new (&fixture.config, &params, fixture.images, FALSE, &error);
  g_assert_no_error (error);
  seed_vit_config_normalisation (&fixture.config, scale, shift);
  assert_close (
      seed_vit_forward (vit, values, scale, shift, words, fixture.images), hidden, n_hidden, LIMIT);
  g_test_message ("relative error %g",
      relative_error (
          seed_vit_forward (vit, values, scale, shift, words, fixture.images), hidden, n_hidden));

  seed_vit_fold_normalisation (&fixture.config, &params, values);
  assert_close (
      seed_vit_forward (vit, values, one, zero, words, fixture.images), hidden, n_hidden, LIMIT);
  seed_params_clear (&params);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/nn/parity/plain", "vit-tiny-plain", test_fixture);
  g_test_add_data_func ("/nn/parity/classifier", "vit-tiny-classifier", test_fixture);
  g_test_add_data_func ("/nn/parity/gelu-new", "vit-tiny-gelu-new", test_fixture);
  return g_test_run ();
}
