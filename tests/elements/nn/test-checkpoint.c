/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include <glib/gstdio.h>

#include <seed/error.h>

#include "nn/checkpoint.h"

#include "config-util.h"

#define QUERY_BIAS "encoder.layer.1.attention.attention.query.bias"

static const SeedVitConfig small_config = { .image_size = 32,
  .patch_size = 16,
  .dim = 8,
  .depth = 2,
  .heads = 2,
  .mlp_dim = 20,
  .ln_eps = 1e-5,
  .activation = SEED_ACTIVATION_QUICK_GELU,
  .mean = { 0.485f, 0.456f, 0.406f },
  .std = { 0.229f, 0.224f, 0.225f } };

static const SeedExtraTensor head[] = {
  { "head.weight", TRUE, 2, { 5, 8 } },
  { "head.bias", FALSE, 1, { 5 } },
};

/* A folder with a good checkpoint: small_config, the head, every value different from 0. */
typedef struct {
  char *folder, *weights;
  SeedParams params;
  float *values;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  SeedRng rng;

  fixture->folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
  fixture->weights = g_build_filename (fixture->folder, "model.safetensors", NULL);
  seed_params_init (&fixture->params);
  seed_vit_append_params (&small_config, &fixture->params);
  for (guint i = 0; i < G_N_ELEMENTS (head); i++)
    seed_params_append (
        &fixture->params, head[i].name, head[i].decay, head[i].n_dims, head[i].shape);
  fixture->values = g_new0 (float, fixture->params.total);
  seed_rng_init (&rng, 1);
  for (guint i = 0; i < fixture->params.n; i++) {
    for (gsize j = 0; j < fixture->params.items[i].size; j++)
      fixture->values[fixture->params.items[i].offset + j] = (float) seed_rng_normal (&rng);
  }
  seed_checkpoint_save (fixture->folder, &small_config, &fixture->params, fixture->values, head,
      G_N_ELEMENTS (head), &error);
  g_assert_no_error (error);
}

static void
remove_folder (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    g_remove (path);
  }
  g_assert_cmpint (g_rmdir (folder), ==, 0);
}

static void
tear_down (Fixture *fixture, gconstpointer unused)
{
  remove_folder (fixture->folder);
  seed_params_clear (&fixture->params);
  g_free (fixture->values);
  g_free (fixture->weights);
  g_free (fixture->folder);
}

static gboolean
load (Fixture *fixture, SeedCheckpoint *checkpoint, GError **error)
{
  return seed_checkpoint_load (checkpoint, fixture->folder, head, G_N_ELEMENTS (head), error);
}

/* @words: what the message must hold; NULL at the end. */
static void
assert_load_fails (Fixture *fixture, int code, ...)
{
  SeedCheckpoint checkpoint;
  g_autoptr (GError) error = NULL;
  const char *word;
  va_list words;

  g_assert_false (load (fixture, &checkpoint, &error));
  g_assert_error (error, SEED_ERROR, code);
  g_assert_true (g_str_has_prefix (error->message, fixture->folder));
  va_start (words, code);
  while ((word = va_arg (words, const char *))) {
    if (!strstr (error->message, word))
      g_error ("%s: has no: %s", error->message, word);
  }
  va_end (words);
  g_assert_null (checkpoint.values);
  seed_checkpoint_clear (&checkpoint); /* harmless */
}

static void
set_text (Fixture *fixture, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (fixture->folder, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

/* Rewriting the weights */

typedef struct {
  GArray *tensors; /* SeedTensor */
  GPtrArray *owned;
} Weights;

typedef void (*EditFunc) (Weights *weights, gconstpointer data);

static SeedTensor *
find (Weights *weights, const char *name)
{
  for (guint i = 0; i < weights->tensors->len; i++) {
    SeedTensor *tensor = &g_array_index (weights->tensors, SeedTensor, i);
    if (g_str_equal (tensor->name, name))
      return tensor;
  }
  g_assert_not_reached ();
}

static void
drop (Weights *weights, const char *name)
{
  g_array_remove_index (
      weights->tensors, (guint) (find (weights, name) - (SeedTensor *) weights->tensors->data));
}

static gpointer
own (Weights *weights, gpointer memory)
{
  g_ptr_array_add (weights->owned, memory);
  return memory;
}

static void
add (Weights *weights, const char *name, SeedDtype dtype, guint64 n)
{
  SeedTensor tensor = { name, dtype, 1, { n }, NULL, n * seed_dtype_size (dtype) };

  tensor.data = own (weights, g_malloc0 (tensor.size));
  g_array_append_val (weights->tensors, tensor);
}

static void
edit_weights (Fixture *fixture, EditFunc edit, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedSafetensors) st = seed_safetensors_open (fixture->weights, &error);
  Weights weights = { g_array_new (FALSE, FALSE, sizeof (SeedTensor)),
    g_ptr_array_new_with_free_func (g_free) };

  g_assert_no_error (error);
  for (guint i = 0; i < seed_safetensors_n_tensors (st); i++)
    g_array_append_val (weights.tensors, *seed_safetensors_get (st, i));
  edit (&weights, data);
  seed_safetensors_write (fixture->weights, (const SeedTensor *) weights.tensors->data,
      weights.tensors->len, NULL, &error);
  g_assert_no_error (error);
  g_array_unref (weights.tensors);
  g_ptr_array_unref (weights.owned);
}

/* What loads */

static void
test_round_trip (Fixture *fixture, gconstpointer unused)
{
  SeedCheckpoint checkpoint;
  g_autoptr (GError) error = NULL;
  g_autofree char *contents = NULL;
  g_autofree char *sha256 = NULL;
  gsize length;

  load (fixture, &checkpoint, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (checkpoint.family, ==, "vit");
  g_assert_cmpstr (checkpoint.interpolation, ==, "bilinear"); /* what ViTImageProcessor does */
  assert_same_config (&checkpoint.config, &small_config);
  g_assert_cmpuint (checkpoint.params.n, ==, fixture->params.n);
  g_assert_cmpuint ((gsize) checkpoint.values % 64, ==, 0);
  for (guint i = 0; i < fixture->params.n; i++) {
    g_assert_cmpstr (checkpoint.params.items[i].name, ==, fixture->params.items[i].name);
    g_assert_cmpint (checkpoint.params.items[i].decay, ==, fixture->params.items[i].decay);
  }
  g_assert_cmpmem (checkpoint.values, checkpoint.params.total * sizeof (float), fixture->values,
      fixture->params.total * sizeof (float));

  g_assert_true (g_file_get_contents (fixture->weights, &contents, &length, NULL));
  sha256 = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) contents, length);
  g_assert_cmpstr (checkpoint.sha256, ==, sha256);
  seed_checkpoint_clear (&checkpoint);
}

/* q, k and v are three tensors in the file, one parameter in memory. */
static void
test_layout_of_the_file (Fixture *fixture, gconstpointer unused)
{
  static const char *const names[] = { "query", "key", "value" };
  const SeedParam *qkv = seed_params_lookup (&fixture->params, "blocks.1.qkv.weight");
  g_autoptr (SeedSafetensors) st = seed_safetensors_open (fixture->weights, NULL);
  const SeedTensor *patch =
      seed_safetensors_lookup (st, "embeddings.patch_embeddings.projection.weight");

  g_assert_cmpuint (patch->n_dims, ==, 4);
  g_assert_cmpuint (patch->shape[1], ==, 3);
  g_assert_cmpuint (patch->shape[3], ==, 16);
  for (guint i = 0; i < 3; i++) {
    g_autofree char *name =
        g_strdup_printf ("encoder.layer.1.attention.attention.%s.weight", names[i]);
    const SeedTensor *tensor = seed_safetensors_lookup (st, name);

    g_assert_cmpmem (tensor->data, tensor->size, fixture->values + qkv->offset + i * 64, 64 * 4);
  }
}

/* dims of 0 are taken from the file */
static void
test_extra_of_any_shape (Fixture *fixture, gconstpointer unused)
{
  static const SeedExtraTensor any[] = { { "head.weight", TRUE, 2, { 0, 8 } },
    { "head.bias", FALSE, 1, { 0 } } };
  SeedCheckpoint checkpoint;
  g_autoptr (GError) error = NULL;
  const SeedParam *param;

  seed_checkpoint_load (&checkpoint, fixture->folder, any, 2, &error);
  g_assert_no_error (error);
  param = seed_params_lookup (&checkpoint.params, "head.weight");
  g_assert_cmpuint (param->shape[0], ==, 5);
  g_assert_cmpuint (param->size, ==, 40);
  seed_checkpoint_clear (&checkpoint);
}

static void
edit_prefix (Weights *weights, gconstpointer prefix)
{
  for (guint i = 0; i < weights->tensors->len; i++) {
    SeedTensor *tensor = &g_array_index (weights->tensors, SeedTensor, i);
    if (!g_str_has_prefix (tensor->name, "head."))
      tensor->name = own (weights, g_strconcat (prefix, tensor->name, NULL));
  }
  add (weights, "vit.pooler.dense.bias", SEED_DTYPE_F32, 8);
  add (weights, "classifier.bias", SEED_DTYPE_F32, 2);
}

static void
test_prefix (Fixture *fixture, gconstpointer unused)
{
  SeedCheckpoint checkpoint;
  g_autoptr (GError) error = NULL;

  edit_weights (fixture, edit_prefix, "vit.");
  load (fixture, &checkpoint, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (checkpoint.values, checkpoint.params.total * sizeof (float), fixture->values,
      fixture->params.total * sizeof (float));
  seed_checkpoint_clear (&checkpoint);
}

/* Keeps 8 bits: exact in BF16 and, within its range, in F16; then shrinks the tensors. */
static void
edit_dtype (Weights *weights, gconstpointer data)
{
  gboolean bf16 = g_str_equal (data, "bf16");

  for (guint i = 0; i < weights->tensors->len; i++) {
    SeedTensor *tensor = &g_array_index (weights->tensors, SeedTensor, i);
    gsize n = tensor->size / sizeof (guint32);
    guint16 *half = own (weights, g_new (guint16, n));
    const guint32 *bits = tensor->data;

    for (gsize j = 0; j < n; j++) {
      guint32 sign = bits[j] >> 31, exponent = (bits[j] >> 23) & 0xff;
      guint32 fraction = (bits[j] >> 16) & 0x7f;

      half[j] = bf16 ? (guint16) (bits[j] >> 16)
                : exponent <= 127 - 15
                    ? (guint16) (sign << 15)
                    : (guint16) (sign << 15 | (exponent - 127 + 15) << 10 | fraction << 3);
    }
    tensor->dtype = bf16 ? SEED_DTYPE_BF16 : SEED_DTYPE_F16;
    tensor->size = n * sizeof *half;
    tensor->data = half;
  }
}

static void
test_half_precision (Fixture *fixture, gconstpointer dtype)
{
  SeedCheckpoint checkpoint;
  g_autoptr (GError) error = NULL;

  edit_weights (fixture, edit_dtype, dtype);
  load (fixture, &checkpoint, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < fixture->params.total; i++) {
    /* truncation loses less than 2^-7 of a value, and F16 has nothing below 2^-14 */
    float limit = MAX (fabsf (fixture->values[i]) * 0x1p-7f, 0x1p-14f);
    g_assert_cmpfloat_with_epsilon (checkpoint.values[i], fixture->values[i], limit);
  }
  seed_checkpoint_clear (&checkpoint);
}

static void
edit_drop_qkv_bias (Weights *weights, gconstpointer unused)
{
  for (guint block = 0; block < small_config.depth; block++) {
    static const char *const names[] = { "query", "key", "value" };
    for (guint i = 0; i < 3; i++) {
      g_autofree char *name =
          g_strdup_printf ("encoder.layer.%u.attention.attention.%s.bias", block, names[i]);
      drop (weights, name);
    }
  }
}

static void
set_config (Fixture *fixture, const char *qkv_bias)
{
  g_autofree char *text = g_strdup_printf (
      "{\"model_type\": \"vit\", \"image_size\": 32, \"patch_size\": 16, \"hidden_size\": 8, "
      "\"num_hidden_layers\": 2, \"num_attention_heads\": 2, \"intermediate_size\": 20, "
      "\"qkv_bias\": %s}",
      qkv_bias);

  set_text (fixture, "config.json", text);
}

static void
test_no_qkv_bias (Fixture *fixture, gconstpointer unused)
{
  SeedCheckpoint checkpoint;
  g_autoptr (GError) error = NULL;
  const SeedParam *bias;

  set_config (fixture, "false");
  assert_load_fails (fixture, SEED_ERROR_MISMATCH, ".bias\": is no part", NULL);

  edit_weights (fixture, edit_drop_qkv_bias, NULL);
  load (fixture, &checkpoint, &error);
  g_assert_no_error (error);
  bias = seed_params_lookup (&checkpoint.params, "blocks.1.qkv.bias");
  for (gsize i = 0; i < bias->size; i++)
    g_assert_cmpfloat (checkpoint.values[bias->offset + i], ==, 0);
  seed_checkpoint_clear (&checkpoint);

  set_config (fixture, "true");
  assert_load_fails (fixture, SEED_ERROR_NOT_FOUND, "query.bias\": is missing", NULL);
}

/* Weights that do not load */

static void
edit_drop (Weights *weights, gconstpointer name)
{
  drop (weights, name);
}

static void
edit_extra (Weights *weights, gconstpointer name)
{
  add (weights, name, SEED_DTYPE_F32, 1);
}

static void
edit_integer (Weights *weights, gconstpointer name)
{
  find (weights, name)->dtype = SEED_DTYPE_I32;
}

static void
edit_shape (Weights *weights, gconstpointer name)
{
  SeedTensor *tensor = find (weights, name);

  tensor->n_dims = 2;
  tensor->shape[1] = tensor->shape[0];
  tensor->shape[0] = 1;
}

static void
edit_nan (Weights *weights, gconstpointer name)
{
  SeedTensor *tensor = find (weights, name);
  float *values = own (weights, g_memdup2 (tensor->data, tensor->size));

  values[3] = NAN;
  tensor->data = values;
}

static const struct {
  const char *name;
  EditFunc edit;
  const char *tensor;
  int code;
  const char *message;
} broken_weights[] = {
  { "missing", edit_drop, QUERY_BIAS, SEED_ERROR_NOT_FOUND, "is missing" },
  { "missing-first", edit_drop, "embeddings.cls_token", SEED_ERROR_NOT_FOUND, "is missing" },
  { "missing-extra", edit_drop, "head.bias", SEED_ERROR_NOT_FOUND, "is missing" },
  { "extra", edit_extra, "decoder.weight", SEED_ERROR_MISMATCH, "is no part of a vit of 2 blocks" },
  { "extra-block", edit_extra, "encoder.layer.2.layernorm_before.bias", SEED_ERROR_MISMATCH,
      "is no part of a vit of 2 blocks" },
  { "dtype", edit_integer, QUERY_BIAS, SEED_ERROR_MISMATCH,
      "is I32 [8], expected F32, F16, BF16 or F64 [8]" },
  { "shape", edit_shape, QUERY_BIAS, SEED_ERROR_MISMATCH,
      "is F32 [1, 8], expected F32, F16, BF16 or F64 [8]" },
  { "extra-shape", edit_shape, "head.bias", SEED_ERROR_MISMATCH,
      "is F32 [1, 5], expected F32, F16, BF16 or F64 [5]" },
  { "nan", edit_nan, QUERY_BIAS, SEED_ERROR_NUMERIC, "element 3 is not a finite float32" },
};

static void
test_broken_weights (Fixture *fixture, gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);

  edit_weights (fixture, broken_weights[i].edit, broken_weights[i].tensor);
  assert_load_fails (fixture, broken_weights[i].code, fixture->weights, broken_weights[i].tensor,
      broken_weights[i].message, NULL);
}

static void
test_truncated_weights (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *contents = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (fixture->weights, &contents, &length, NULL));
  g_assert_true (g_file_set_contents (fixture->weights, contents, (gssize) length - 4, NULL));
  assert_load_fails (fixture, SEED_ERROR_FORMAT, fixture->weights, "do not lie within", NULL);
}

static void
test_missing_files (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *config = g_build_filename (fixture->folder, "config.json", NULL);

  g_unlink (fixture->weights);
  assert_load_fails (fixture, SEED_ERROR_NOT_FOUND, fixture->weights, NULL);
  set_text (fixture, "model.safetensors.index.json", "{}");
  assert_load_fails (fixture, SEED_ERROR_FORMAT, "weight_map", NULL);
  g_unlink (config);
  assert_load_fails (fixture, SEED_ERROR_NOT_FOUND, config, NULL);
}

/* Terabytes of parameters that are not there: refused before any memory is taken. */
static void
test_huge_config (Fixture *fixture, gconstpointer unused)
{
  set_text (fixture, "config.json",
      "{\"model_type\": \"vit\", \"image_size\": 32, \"patch_size\": 16, \"hidden_size\": 16384, "
      "\"num_hidden_layers\": 256, \"num_attention_heads\": 2, \"intermediate_size\": 131072}");
  assert_load_fails (
      fixture, SEED_ERROR_MISMATCH, "cls_token", "is F32 [1, 1, 8]", "[1, 1, 16384]", NULL);
}

/* Saving */

static void
assert_still_loads (Fixture *fixture)
{
  SeedCheckpoint checkpoint;
  g_autoptr (GError) error = NULL;

  load (fixture, &checkpoint, &error);
  g_assert_no_error (error);
  seed_checkpoint_clear (&checkpoint);
}

static void
test_save_refuses (Fixture *fixture, gconstpointer unused)
{
  static const SeedExtraTensor unknown[] = { { "no.such", TRUE, 1, { 1 } } };
  SeedVitConfig wrong = small_config;
  float *value = fixture->values + seed_params_lookup (&fixture->params, "norm.bias")->offset;
  g_autoptr (GError) error = NULL;

  *value = INFINITY;
  g_assert_false (seed_checkpoint_save (fixture->folder, &small_config, &fixture->params,
      fixture->values, head, G_N_ELEMENTS (head), &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NUMERIC);
  g_assert_nonnull (strstr (error->message, "layernorm.bias"));
  g_clear_error (&error);
  *value = 0;

  g_assert_false (seed_checkpoint_save (
      fixture->folder, &small_config, &fixture->params, fixture->values, unknown, 1, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND);
  g_clear_error (&error);

  wrong.heads = 3;
  g_assert_false (seed_checkpoint_save (
      fixture->folder, &wrong, &fixture->params, fixture->values, NULL, 0, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  assert_still_loads (fixture);
}

/* The configuration does not fit the parameters: the table's shapes and the data disagree. */
static void
test_save_other_config (Fixture *fixture, gconstpointer unused)
{
  SeedVitConfig other = small_config;
  g_autoptr (GError) error = NULL;

  other.mlp_dim = 24;
  g_assert_false (seed_checkpoint_save (fixture->folder, &other, &fixture->params, fixture->values,
      head, G_N_ELEMENTS (head), &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_MISMATCH);
  assert_still_loads (fixture);
}

static void
test_save_disc_full (Fixture *fixture, gconstpointer unused)
{
  struct rlimit old, small;
  g_autoptr (GError) error = NULL;

  signal (SIGXFSZ, SIG_IGN);
  getrlimit (RLIMIT_FSIZE, &old);
  small = (struct rlimit){ 1024, old.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &small), ==, 0);
  g_assert_false (seed_checkpoint_save (fixture->folder, &small_config, &fixture->params,
      fixture->values, head, G_N_ELEMENTS (head), &error));
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &old), ==, 0);
  signal (SIGXFSZ, SIG_DFL);
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_assert_true (g_str_has_prefix (error->message, fixture->weights));
  assert_still_loads (fixture);
}

static void
test_save_below_file (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *below = g_build_filename (fixture->weights, "x", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (seed_checkpoint_save (
      below, &small_config, &fixture->params, fixture->values, NULL, 0, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_assert_true (g_str_has_prefix (error->message, below));
  assert_still_loads (fixture);
}

#define TEST(name, data, func)                                                                     \
  g_test_add ("/checkpoint/" name, Fixture, data, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  TEST ("round-trip", NULL, test_round_trip);
  TEST ("layout-of-the-file", NULL, test_layout_of_the_file);
  TEST ("extra-of-any-shape", NULL, test_extra_of_any_shape);
  TEST ("prefix", NULL, test_prefix);
  TEST ("f16", "f16", test_half_precision);
  TEST ("bf16", "bf16", test_half_precision);
  TEST ("no-qkv-bias", NULL, test_no_qkv_bias);
  for (guint i = 0; i < G_N_ELEMENTS (broken_weights); i++) {
    g_autofree char *path = g_strconcat ("/checkpoint/weights/", broken_weights[i].name, NULL);
    g_test_add (path, Fixture, GUINT_TO_POINTER (i), set_up, test_broken_weights, tear_down);
  }
  TEST ("truncated-weights", NULL, test_truncated_weights);
  TEST ("missing-files", NULL, test_missing_files);
  TEST ("huge-config", NULL, test_huge_config);
  TEST ("save-refuses", NULL, test_save_refuses);
  TEST ("save-other-config", NULL, test_save_other_config);
  TEST ("save-disc-full", NULL, test_save_disc_full);
  TEST ("save-below-file", NULL, test_save_below_file);
  return g_test_run ();
}
