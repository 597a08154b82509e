/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <sys/stat.h>

#include <glib/gstdio.h>

#include "nn/hf-config.h"

#include "config-util.h"

static void
assert_outcome (gboolean ok, const GError *error, int code, const char *message)
{
  if (code < 0) {
    g_assert_no_error (error);
    g_assert_true (ok);
    return;
  }
  g_assert_false (ok);
  g_assert_error (error, SEED_ERROR, code);
  g_assert_true (g_str_has_prefix (error->message, "F:"));
  if (!strstr (error->message, message))
    g_error ("%s: has no: %s", error->message, message);
}

/* config.json of a small model, with @value for @key; NULL leaves the key out. */
static char *
config_with (const char *key, const char *value)
{
  static const char *const pairs[][2] = { { "model_type", "\"vit\"" }, { "image_size", "32" },
    { "patch_size", "16" }, { "hidden_size", "8" }, { "num_hidden_layers", "2" },
    { "num_attention_heads", "2" }, { "intermediate_size", "20" }, { "hidden_act", "\"gelu\"" },
    { "layer_norm_eps", "1e-6" }, { "num_channels", "3" }, { "qkv_bias", "true" } };
  GString *text = g_string_new ("{\"id2label\": {\"0\": [null]}");
  gboolean replaced = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (pairs); i++) {
    gboolean same = g_str_equal (pairs[i][0], key);

    replaced |= same;
    if (!same || value)
      g_string_append_printf (text, ",\n\"%s\": %s", pairs[i][0], same ? value : pairs[i][1]);
  }
  if (!replaced)
    g_string_append_printf (text, ",\n\"%s\": %s", key, value);
  g_string_append (text, "}\n");
  return g_string_free (text, FALSE);
}

/* config.json */

static const struct {
  const char *key, *value;
  int code; /* -1: loads */
  const char *message;
} configs[] = {
  { "hidden_act", "\"gelu_new\"", -1, NULL },
  { "hidden_act", NULL, -1, NULL },
  { "patch_size", "[16, 16]", -1, NULL },
  { "layer_norm_eps", "null", -1, NULL },
  { "anything", "[{\"a\": 1e5}]", -1, NULL },
  { "patch_size", "5", -1, NULL }, /* a convolution leaves the last two pixels out */

  { "model_type", "\"resnet\"", SEED_ERROR_UNSUPPORTED,
      "F:2:15: key \"model_type\": \"resnet\" is not supported; supported: vit, deit, dinov2," },
  { "model_type", "1", SEED_ERROR_FORMAT, "key \"model_type\": expected a string" },
  { "model_type", NULL, SEED_ERROR_FORMAT, "F:1:1: has no key \"model_type\"" },
  { "model_type", "\"vit\", \"model_type\": \"vit\"", SEED_ERROR_FORMAT,
      "key \"model_type\": is here twice" },
  { "hidden_size", NULL, SEED_ERROR_FORMAT, "has no key \"hidden_size\"" },
  { "hidden_size", "null", SEED_ERROR_FORMAT, "has no key \"hidden_size\"" },
  { "hidden_size", "\"8\"", SEED_ERROR_FORMAT,
      "F:5:16: key \"hidden_size\": expected a number, found '\"'" },
  { "hidden_size", "8.0", SEED_ERROR_FORMAT, "key \"hidden_size\": expected a whole number" },
  { "hidden_size", "-8", SEED_ERROR_FORMAT, "key \"hidden_size\": expected a whole number" },
  { "hidden_size", "8, \"hidden_size\": 8", SEED_ERROR_FORMAT,
      "key \"hidden_size\": is here twice" },
  { "hidden_size", "0", SEED_ERROR_INVALID, "hidden_size" },
  { "hidden_size", "4294967304", SEED_ERROR_LIMIT, "key \"hidden_size\": 4294967304 is more than" },
  { "hidden_size", "1000000", SEED_ERROR_LIMIT, "hidden_size" },
  { "num_hidden_layers", "100000", SEED_ERROR_LIMIT, "num_hidden_layers" },
  { "num_attention_heads", "3", SEED_ERROR_INVALID, "num_attention_heads" },
  { "patch_size", "33", SEED_ERROR_INVALID, "image_size 32 is not a multiple of patch_size 33" },
  { "vision_config", "{\"hidden_size\": \"no\"}", -1, NULL }, /* not this family's */
  { "patch_size", "[16, 8]", SEED_ERROR_UNSUPPORTED, "key \"patch_size\": only squares" },
  { "patch_size", "[16]", SEED_ERROR_UNSUPPORTED, "key \"patch_size\": only squares" },
  { "image_size", "[32, 32, 32]", SEED_ERROR_UNSUPPORTED, "key \"image_size\": only squares" },
  { "hidden_act", "\"mish\"", SEED_ERROR_UNSUPPORTED,
      "key \"hidden_act\": \"mish\" is not supported" },
  { "layer_norm_eps", "0", SEED_ERROR_INVALID, "layer_norm_eps" },
  { "layer_norm_eps", "true", SEED_ERROR_FORMAT, "key \"layer_norm_eps\": expected a number" },
  { "num_channels", "1", SEED_ERROR_UNSUPPORTED, "key \"num_channels\": 1 is not supported" },
  { "qkv_bias", "1", SEED_ERROR_FORMAT, "key \"qkv_bias\": expected true or false" },
  { "qkv_bias", "true} {", SEED_ERROR_FORMAT, "F:12:19: expected the end of the text" },
};

static void
test_config (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *text = config_with (configs[i].key, configs[i].value);
  g_autoptr (GError) error = NULL;
  SeedHfConfig config;
  gboolean ok = seed_hf_config_parse (&config, "F", text, strlen (text), &error);

  assert_outcome (ok, error, configs[i].code, configs[i].message);
}

static void
test_config_defaults (void)
{
  static const struct {
    const char *key, *value;
    SeedActivation activation;
  } cases[] = { { "hidden_act", NULL, SEED_ACTIVATION_GELU },
    { "hidden_act", "\"gelu\"", SEED_ACTIVATION_GELU },
    { "hidden_act", "\"gelu_new\"", SEED_ACTIVATION_GELU_TANH },
    { "hidden_act", "\"gelu_pytorch_tanh\"", SEED_ACTIVATION_GELU_TANH },
    { "hidden_act", "\"quick_gelu\"", SEED_ACTIVATION_QUICK_GELU },
    { "hidden_act", "\"silu\"", SEED_ACTIVATION_SILU },
    { "hidden_act", "\"relu\"", SEED_ACTIVATION_RELU } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text = config_with (cases[i].key, cases[i].value);
    g_autoptr (GError) error = NULL;
    SeedHfConfig config;

    seed_hf_config_parse (&config, "F", text, strlen (text), &error);
    g_assert_no_error (error);
    g_assert_cmpint (config.vit.activation, ==, cases[i].activation);
    g_assert_cmpfloat (config.vit.ln_eps, ==, 1e-6);
    g_assert_cmpfloat (config.vit.mean[1], ==, 0.5f);
    g_assert_null (config.images.interpolation);
  }
}

/* preprocessor_config.json */

static const struct {
  const char *text;
  int code; /* -1: loads */
  const char *message;
} preprocessors[] = {
  { "{}", -1, NULL },
  { "{\"size\": 32, \"crop_size\": null, \"rescale_factor\": 0.00392156862745098}", -1, NULL },
  { "{\"size\": {\"height\": 32, \"width\": 32, \"more\": 1}}", -1, NULL },
  { "{\"image_processor_type\": \"BitImageProcessor\", \"size\": {\"shortest_edge\": 40}, "
    "\"crop_size\": {\"height\": 32, \"width\": 32}}",
      -1, NULL },
  { "{\"size\": 32, \"do_center_crop\": true, \"crop_size\": 16}", -1,
      NULL }, /* ViT's never does */
  { "{\"do_resize\": false, \"size\": 224}", -1, NULL },

  { "[]", SEED_ERROR_FORMAT, "F:1:1: expected an object" },
  { "{\"size\": 224}", SEED_ERROR_MISMATCH,
      ":1:10: key \"size\": is 224, but config.json has image_size 32" },
  { "{\"size\": 40, \"crop_size\": 16, \"feature_extractor_type\": \"DeiTFeatureExtractor\"}",
      SEED_ERROR_MISMATCH, ":1:27: key \"crop_size\": is 16" },
  { "{\"size\": 30, \"crop_size\": 32, \"image_processor_type\": \"CLIPImageProcessorFast\"}",
      SEED_ERROR_UNSUPPORTED, "key \"crop_size\": is 32, more than the size 30" },
  { "{\"size\": {\"longest_edge\": 32}}", SEED_ERROR_UNSUPPORTED,
      "key \"size\": expected height and width, or shortest_edge" },
  { "{\"image_processor_type\": \"ConvNextImageProcessor\"}", SEED_ERROR_UNSUPPORTED,
      "key \"image_processor_type\": \"ConvNextImageProcessor\" is not supported" },
  { "{\"size\": {\"height\": 32, \"width\": 16}}", SEED_ERROR_UNSUPPORTED,
      ":1:10: key \"size\": only squares" },
  { "{\"size\": \"32\"}", SEED_ERROR_FORMAT, "key \"size\": expected a number" },
  { "{\"image_mean\": [0.5, 0.5]}", SEED_ERROR_INVALID,
      "key \"image_mean\": expected 3 numbers, found 2" },
  { "{\"image_mean\": 0.5}", SEED_ERROR_FORMAT, "key \"image_mean\": expected an array" },
  { "{\"image_mean\": [0.5, 0.5, 1e300]}", SEED_ERROR_INVALID, "key \"image_mean\": a number" },
  { "{\"image_std\": [0.5, 0, 0.5]}", SEED_ERROR_INVALID, "key \"image_std\": a number" },
  { "{\"image_std\": [0.5, NaN, 0.5]}", SEED_ERROR_FORMAT, "key \"image_std\": expected a number" },
  { "{\"image_std\": [1, 1, 1], \"image_std\": [1, 1, 1]}", SEED_ERROR_FORMAT,
      "key \"image_std\": is here twice" },
  { "{\"resample\": 1}", SEED_ERROR_UNSUPPORTED,
      "key \"resample\": filter 1 is not supported; 2 (bilinear) and 3 (bicubic) are" },
  { "{\"do_rescale\": false}", SEED_ERROR_UNSUPPORTED, ":1:16: key \"do_rescale\": only true" },
  { "{\"rescale_factor\": 1}", SEED_ERROR_UNSUPPORTED, "key \"rescale_factor\": only 1/255" },
  { "{} {}", SEED_ERROR_FORMAT, ":1:4: expected the end of the text" },
};

static gboolean
parse_preprocessor (SeedHfConfig *config, const char *text, GError **error)
{
  *config = seed_hf_vit.defaults;
  config->family = &seed_hf_vit;
  config->vit.image_size = config->native_size = 32;
  config->images.resize_size = config->images.crop_size = 32;
  return seed_hf_preprocessor_parse (config, "F", text, strlen (text), error);
}

static void
test_preprocessor (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (GError) error = NULL;
  SeedHfConfig config;
  gboolean ok = parse_preprocessor (&config, preprocessors[i].text, &error);

  assert_outcome (ok, error, preprocessors[i].code, preprocessors[i].message);
}

static void
assert_preprocessed (const char *text, const char *interpolation, float mean, float std)
{
  g_autoptr (GError) error = NULL;
  SeedHfConfig config;

  parse_preprocessor (&config, text, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (config.images.interpolation, ==, interpolation);
  g_assert_cmpfloat (config.vit.mean[2], ==, mean);
  g_assert_cmpfloat (config.vit.std[2], ==, std);
}

static void
test_preprocessor_values (void)
{
  assert_preprocessed (
      "{\"resample\": 3, \"image_mean\": [0.1, 0.2, 0.3], \"image_std\": [0.4, 0.5, 0.6]}",
      "bicubic", 0.3f, 0.6f);
  assert_preprocessed ("{\"resample\": 2}", "bilinear", 0.5f, 0.5f);
  assert_preprocessed (
      "{\"do_normalize\": false, \"image_std\": [1, 2, 3]}", "bilinear", 0.0f, 1.0f);
  assert_preprocessed ("{\"do_resize\": false, \"resample\": 3}", NULL, 0.5f, 0.5f);
  assert_preprocessed (
      "{\"feature_extractor_type\": \"SiglipImageProcessor\"}", "bicubic", 0.5f, 0.5f);
}

/* What each processor makes of the spellings of a size, for a model of 32 pixels. */
static void
test_preprocessor_sizes (void)
{
  static const struct {
    const char *processor, *text, *fit;
    guint resize, crop;
  } rows[] = {
    { "ViTImageProcessor", "\"size\": 32", "squash", 32, 32 },
    { "ViTFeatureExtractor", "\"size\": [32, 32]", "squash", 32, 32 },
    { "ViTImageProcessorFast", "\"size\": {\"shortest_edge\": 32}", "crop", 32, 32 },
    { "DeiTFeatureExtractor", "\"size\": 36, \"crop_size\": 32", "squash", 36, 32 },
    { "DeiTImageProcessor", "\"size\": {\"height\": 32, \"width\": 32}, \"do_center_crop\": false",
        "squash", 32, 32 },
    { "DeiTImageProcessor", "\"resample\": 2", "squash", 32, 32 },
    { "CLIPFeatureExtractor", "\"size\": 32", "crop", 32, 32 },
    { "CLIPImageProcessor", "\"size\": {\"shortest_edge\": 40}, \"crop_size\": 32", "crop", 40,
        32 },
    { "CLIPImageProcessor", "\"size\": {\"height\": 40, \"width\": 40}, \"crop_size\": [32, 32]",
        "squash", 40, 32 },
    { "BitImageProcessor", "\"size\": 37, \"crop_size\": 32", "crop", 37, 32 },
    { "SiglipImageProcessor", "\"size\": {\"height\": 32, \"width\": 32}", "squash", 32, 32 },
    { "ViTImageProcessor", "\"do_resize\": false, \"size\": 64", NULL, 32, 32 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *text =
        g_strdup_printf ("{\"image_processor_type\": \"%s\", %s}", rows[i].processor, rows[i].text);
    g_autoptr (GError) error = NULL;
    SeedHfConfig config;

    parse_preprocessor (&config, text, &error);
    g_assert_no_error (error);
    g_test_message ("%s", text);
    g_assert_cmpstr (config.images.fit, ==, rows[i].fit);
    g_assert_cmpuint (config.images.resize_size, ==, rows[i].resize);
    g_assert_cmpuint (config.images.crop_size, ==, rows[i].crop);
  }
}

/* Files */

typedef struct {
  char *folder, *config, *preprocessor;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer unused)
{
  fixture->folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
  fixture->config = g_build_filename (fixture->folder, "config.json", NULL);
  fixture->preprocessor = g_build_filename (fixture->folder, "preprocessor_config.json", NULL);
}

static void
tear_down (Fixture *fixture, gconstpointer unused)
{
  g_remove (fixture->config);
  g_remove (fixture->preprocessor);
  g_assert_cmpint (g_rmdir (fixture->folder), ==, 0);
  g_free (fixture->folder);
  g_free (fixture->config);
  g_free (fixture->preprocessor);
}

static void
assert_read_fails (Fixture *fixture, const char *path, int code)
{
  g_autoptr (GError) error = NULL;
  SeedHfConfig config;

  g_assert_false (seed_hf_config_read (&config, fixture->folder, &error));
  g_assert_error (error, SEED_ERROR, code);
  g_assert_true (g_str_has_prefix (error->message, path));
}

static void
test_bad_files (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *large = g_strnfill (SEED_HF_CONFIG_MAX_BYTES + 1, ' ');
  g_autofree char *good = config_with ("num_channels", "3");

  assert_read_fails (fixture, fixture->config, SEED_ERROR_NOT_FOUND);
  g_assert_true (g_file_set_contents (fixture->config, large, -1, NULL));
  assert_read_fails (fixture, fixture->config, SEED_ERROR_LIMIT);
  g_assert_true (g_file_set_contents (fixture->config, "", -1, NULL));
  assert_read_fails (fixture, fixture->config, SEED_ERROR_FORMAT);
  g_remove (fixture->config);
  g_assert_cmpint (mkfifo (fixture->config, 0600), ==, 0); /* must not wait for a writer */
  assert_read_fails (fixture, fixture->config, SEED_ERROR_IO);
  g_remove (fixture->config);
  g_assert_cmpint (g_mkdir (fixture->config, 0700), ==, 0);
  assert_read_fails (fixture, fixture->config, SEED_ERROR_IO);
  g_remove (fixture->config);

  g_assert_true (g_file_set_contents (fixture->config, good, -1, NULL));
  g_assert_true (g_file_set_contents (fixture->preprocessor, "{\"size\": 5}", -1, NULL));
  assert_read_fails (fixture, fixture->preprocessor, SEED_ERROR_MISMATCH);
}

static void
test_write_read (Fixture *fixture, gconstpointer unused)
{
  static const SeedActivation all[] = { SEED_ACTIVATION_GELU, SEED_ACTIVATION_GELU_TANH,
    SEED_ACTIVATION_QUICK_GELU, SEED_ACTIVATION_SILU, SEED_ACTIVATION_RELU };

  for (guint i = 0; i < G_N_ELEMENTS (all); i++) {
    SeedVitConfig vit = { 48, 16, 12, 3, 4, 7, 1.0 / 3e5, all[i], { 0.1f, 1 / 3.0f, -2 },
      { 1e-3f, 0.7f, 3e7f } };
    g_autoptr (GError) error = NULL;
    SeedHfConfig read;

    g_assert_true (seed_hf_config_write (&seed_hf_vit, &vit, fixture->folder, &error));
    seed_hf_config_read (&read, fixture->folder, &error);
    g_assert_no_error (error);
    g_assert_true (read.family == &seed_hf_vit);
    assert_same_config (&read.vit, &vit);
    g_assert_true (read.qkv_bias);
  }
}

static void
add_cases (const char *prefix, guint n, GTestDataFunc func)
{
  for (guint i = 0; i < n; i++) {
    g_autofree char *path = g_strdup_printf ("/hf-config/%s/%02u", prefix, i);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), func);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_cases ("config", G_N_ELEMENTS (configs), test_config);
  add_cases ("preprocessor", G_N_ELEMENTS (preprocessors), test_preprocessor);
  g_test_add_func ("/hf-config/activations", test_config_defaults);
  g_test_add_func ("/hf-config/preprocessor-values", test_preprocessor_values);
  g_test_add_func ("/hf-config/preprocessor-sizes", test_preprocessor_sizes);
  g_test_add ("/hf-config/bad-files", Fixture, NULL, set_up, test_bad_files, tear_down);
  g_test_add ("/hf-config/write-read", Fixture, NULL, set_up, test_write_read, tear_down);
  return g_test_run ();
}
