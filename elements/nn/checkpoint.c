/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include <seed/error.h>

#include "nn/checkpoint.h"
#include "nn/hf-config.h"
#include "nn/json.h"
#include "nn/safetensors-file.h"

G_STATIC_ASSERT (
    G_BYTE_ORDER == G_LITTLE_ENDIAN); /* parameters are written as they are in memory */

#define WEIGHTS_FILE "model.safetensors"
#define ALIGNMENT 64u

/* Names and shapes that the tables of hf-family.h describe */

typedef struct {
  guint64 dims[SEED_TENSOR_MAX_DIMS];
  guint n;
} Shape;

/* "%u" of the table's @pattern becomes @block. */
static char *
expand (const char *prefix, const char *pattern, guint block)
{
  const char *place = strstr (pattern, "%u");

  if (!place)
    return g_strconcat (prefix, pattern, NULL);
  return g_strdup_printf (
      "%s%.*s%u%s", prefix, (int) (place - pattern), pattern, block, place + strlen ("%u"));
}

static void
expand_shape (const SeedHfTensor *rule, const SeedVitConfig *config, Shape *shape)
{
  shape->n = 0;
  for (const char *letter = rule->shape; *letter; letter++) {
    guint dim = *letter == 'd'   ? config->dim
                : *letter == 'm' ? config->mlp_dim
                : *letter == 'n' ? 1 + seed_vit_config_n_words (config)
                : *letter == 'p' ? config->patch_size
                                 : (guint) g_ascii_digit_value (*letter);

    shape->dims[shape->n++] = dim;
  }
}

/* Of a configuration that was checked: no overflow. */
static gsize
shape_size (const Shape *shape)
{
  gsize size = 1;

  for (guint i = 0; i < shape->n; i++)
    size *= shape->dims[i];
  return size;
}

static guint
count_parts (const SeedHfTensor *rule)
{
  guint n = 0;

  while (n < G_N_ELEMENTS (rule->tensors) && rule->tensors[n])
    n++;
  return n;
}

static guint
count_blocks (const SeedHfTensor *rule, const SeedVitConfig *config)
{
  return strstr (rule->parameter, "%u") ? config->depth : 1;
}

/* Loading */

/* Where a part of a parameter comes from. */
typedef struct {
  char *parameter;
  guint part, n_parts;
  const SeedTensor *tensor;
} Source;

typedef struct {
  const char *path;
  const SeedHfConfig *config;
  const char *prefix;
  SeedSafetensors *st;
  GArray *sources;
  GHashTable *used; /* set of the tensors in sources */
} Loader;

static void
clear_source (gpointer data)
{
  g_free (((Source *) data)->parameter);
}

static gboolean
fail_tensor (
    const Loader *loader, SeedErrorCode code, const char *name, char *reason, GError **error)
{
  g_autofree char *shown = seed_json_show (name);

  g_set_error (error, SEED_ERROR, code, "%s: tensor %s: %s", loader->path, shown, reason);
  g_free (reason);
  return FALSE;
}

static gboolean
is_real (SeedDtype dtype)
{
  return dtype == SEED_DTYPE_F32 || dtype == SEED_DTYPE_F16 || dtype == SEED_DTYPE_BF16 ||
         dtype == SEED_DTYPE_F64;
}

/* @expected: 0 in a dimension fits anything but 0. */
static gboolean
check_shape (const Loader *loader, const SeedTensor *tensor, const Shape *expected, GError **error)
{
  g_autoptr (GString) wanted = NULL;
  g_autofree char *found = NULL;
  gboolean fits = is_real (tensor->dtype) && tensor->n_dims == expected->n;

  for (guint i = 0; i < expected->n && fits; i++)
    fits = expected->dims[i] ? tensor->shape[i] == expected->dims[i] : tensor->shape[i] > 0;
  if (fits)
    return TRUE;

  wanted = g_string_new ("[");
  for (guint i = 0; i < expected->n; i++) {
    g_string_append (wanted, i ? ", " : "");
    if (expected->dims[i])
      g_string_append_printf (wanted, "%" G_GUINT64_FORMAT, expected->dims[i]);
    else
      g_string_append (wanted, "any");
  }
  found = seed_tensor_describe (tensor->dtype, tensor->shape, tensor->n_dims);
  return fail_tensor (loader, SEED_ERROR_MISMATCH, tensor->name,
      g_strdup_printf ("is %s, expected F32, F16, BF16 or F64 %s]", found, wanted->str), error);
}

static gboolean
add_source (Loader *loader, const char *parameter, guint part, guint n_parts, const char *name,
    const Shape *shape, GError **error)
{
  const SeedTensor *tensor = seed_safetensors_lookup (loader->st, name);
  Source source = { g_strdup (parameter), part, n_parts, tensor };

  g_array_append_val (loader->sources, source);
  if (!tensor)
    return fail_tensor (loader, SEED_ERROR_NOT_FOUND, name,
        g_strdup ("is missing; is this the model that config.json describes?"), error);
  g_hash_table_add (loader->used, (gpointer) tensor);
  return check_shape (loader, tensor, shape, error);
}

static gboolean
add_rule (Loader *loader, const SeedHfTensor *rule, guint block, GError **error)
{
  g_autofree char *parameter = expand ("", rule->parameter, block);
  guint n_parts = count_parts (rule);
  Shape shape;

  expand_shape (rule, &loader->config->vit, &shape);
  for (guint part = 0; part < n_parts; part++) {
    g_autofree char *name = expand (loader->prefix, rule->tensors[part], block);

    if (!add_source (loader, parameter, part, n_parts, name, &shape, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_transformer (Loader *loader, GError **error)
{
  const SeedHfConfig *config = loader->config;

  for (guint r = 0; r < config->family->n_tensors; r++) {
    const SeedHfTensor *rule = &config->family->tensors[r];

    for (guint block = 0; block < count_blocks (rule, &config->vit); block++) {
      if ((!rule->qkv_bias || config->qkv_bias) && !add_rule (loader, rule, block, error))
        return FALSE;
    }
  }
  return TRUE;
}

static gboolean
add_extras (Loader *loader, const SeedExtraTensor *extras, guint n_extras, GError **error)
{
  for (guint i = 0; i < n_extras; i++) {
    Shape shape = { .n = extras[i].n_dims };

    for (guint d = 0; d < shape.n; d++)
      shape.dims[d] = extras[i].shape[d];
    if (!add_source (loader, extras[i].name, 0, 1, extras[i].name, &shape, error))
      return FALSE;
  }
  return TRUE;
}

/* The prefix with which the file has the family's first tensor, "" when it has it with none. */
static const char *
find_prefix (SeedSafetensors *st, const SeedHfFamily *family)
{
  for (const char *const *prefix = family->prefixes; *prefix; prefix++) {
    g_autofree char *name = g_strconcat (*prefix, family->tensors[0].tensors[0], NULL);

    if (seed_safetensors_lookup (st, name))
      return *prefix;
  }
  return "";
}

static gboolean
check_all_known (const Loader *loader, GError **error)
{
  const char *const *ignored = loader->config->family->ignored;

  for (guint i = 0; i < seed_safetensors_n_tensors (loader->st); i++) {
    const SeedTensor *tensor = seed_safetensors_get (loader->st, i);
    gboolean known = g_hash_table_contains (loader->used, tensor);

    for (guint k = 0; ignored[k] && !known; k++) {
      g_autofree char *prefixed = g_strconcat (loader->prefix, ignored[k], NULL);
      known =
          g_str_has_prefix (tensor->name, ignored[k]) || g_str_has_prefix (tensor->name, prefixed);
    }
    if (!known)
      return fail_tensor (loader, SEED_ERROR_MISMATCH, tensor->name,
          g_strdup_printf ("is no part of a %s of %u blocks; is this the model that config.json "
                           "describes?",
              loader->config->family->model_type, loader->config->vit.depth),
          error);
  }
  return TRUE;
}

static void
append_extra_params (
    SeedParams *params, const Loader *loader, const SeedExtraTensor *extras, guint n_extras)
{
  for (guint i = 0; i < n_extras; i++) {
    const SeedTensor *tensor = seed_safetensors_lookup (loader->st, extras[i].name);
    gsize shape[G_N_ELEMENTS (extras->shape)] = { 0 };

    for (guint d = 0; d < extras[i].n_dims; d++)
      shape[d] = (gsize) tensor->shape[d];
    seed_params_append (params, extras[i].name, extras[i].decay, extras[i].n_dims, shape);
  }
}

static gboolean
copy_values (const Loader *loader, SeedCheckpoint *checkpoint, GError **error)
{
  checkpoint->values = g_aligned_alloc0 (checkpoint->params.total, sizeof (float), ALIGNMENT);
  for (guint i = 0; i < loader->sources->len; i++) {
    const Source *source = &g_array_index (loader->sources, Source, i);
    const SeedParam *param = seed_params_lookup (&checkpoint->params, source->parameter);
    gsize size;

    g_return_val_if_fail (param && param->size % source->n_parts == 0, FALSE);
    size = param->size / source->n_parts;
    if (!seed_tensor_to_float (source->tensor, loader->path,
            checkpoint->values + param->offset + source->part * size, size, error))
      return FALSE;
  }
  return TRUE;
}

/*
 * Nothing larger than the file itself is allocated before the file has been seen to hold every
 * tensor that the configuration asks for.
 */
static gboolean
load_weights (Loader *loader, SeedCheckpoint *checkpoint, const SeedExtraTensor *extras,
    guint n_extras, GError **error)
{
  if (!add_transformer (loader, error) || !add_extras (loader, extras, n_extras, error) ||
      !check_all_known (loader, error))
    return FALSE;
  seed_vit_append_params (&checkpoint->config, &checkpoint->params);
  append_extra_params (&checkpoint->params, loader, extras, n_extras);
  if (!copy_values (loader, checkpoint, error))
    return FALSE;
  checkpoint->sha256 = seed_safetensors_sha256 (loader->st);
  return seed_safetensors_check_unchanged (loader->st, error);
}

static SeedSafetensors *
open_weights (const char *path, GError **error)
{
  g_autofree char *index = g_strconcat (path, ".index.json", NULL);

  if (!g_file_test (path, G_FILE_TEST_EXISTS) && g_file_test (index, G_FILE_TEST_EXISTS)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "%s: weights in several files are not supported; save them as one " WEIGHTS_FILE, index);
    return NULL;
  }
  return seed_safetensors_open (path, error);
}

gboolean
seed_checkpoint_load (SeedCheckpoint *checkpoint, const char *folder, const SeedExtraTensor *extras,
    guint n_extras, GError **error)
{
  g_autofree char *path = g_build_filename (folder, WEIGHTS_FILE, NULL);
  SeedHfConfig config;
  Loader loader = { .path = path, .config = &config };
  gboolean ok;

  memset (checkpoint, 0, sizeof *checkpoint);
  if (!seed_hf_config_read (&config, folder, error))
    return FALSE;
  loader.st = open_weights (path, error);
  if (!loader.st)
    return FALSE;
  loader.prefix = find_prefix (loader.st, config.family);
  loader.sources = g_array_new (FALSE, FALSE, sizeof (Source));
  g_array_set_clear_func (loader.sources, clear_source);
  loader.used = g_hash_table_new (NULL, NULL);

  checkpoint->family = g_strdup (config.family->model_type);
  checkpoint->interpolation = g_strdup (config.interpolation);
  checkpoint->config = config.vit;
  seed_params_init (&checkpoint->params);
  ok = load_weights (&loader, checkpoint, extras, n_extras, error);
  if (!ok)
    seed_checkpoint_clear (checkpoint);

  g_hash_table_unref (loader.used);
  g_array_unref (loader.sources);
  seed_safetensors_unref (loader.st);
  return ok;
}

void
seed_checkpoint_clear (SeedCheckpoint *checkpoint)
{
  g_free (checkpoint->family);
  g_free (checkpoint->interpolation);
  g_free (checkpoint->sha256);
  seed_params_clear (&checkpoint->params);
  g_aligned_free (checkpoint->values);
  memset (checkpoint, 0, sizeof *checkpoint);
}

/* Saving */

typedef struct {
  const char *path;
  const SeedParams *params;
  const float *values;
  GArray *tensors; /* SeedTensor */
  GStringChunk *names;
} Saver;

/* Part @part of @n_parts of @param. */
static gboolean
save_tensor (Saver *saver, const SeedParam *param, guint part, guint n_parts, const char *name,
    const Shape *shape, GError **error)
{
  gsize size = param->size / n_parts;
  const float *values = saver->values + param->offset + part * size;
  SeedTensor tensor = { .name = g_string_chunk_insert (saver->names, name),
    .dtype = SEED_DTYPE_F32,
    .n_dims = shape->n,
    .data = values,
    .size = size * sizeof (float) };

  memcpy (tensor.shape, shape->dims, shape->n * sizeof *shape->dims);
  for (gsize i = 0; i < size; i++) {
    if (!isfinite (values[i])) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
          "%s: not written: element %" G_GSIZE_FORMAT " of tensor \"%s\" is not finite",
          saver->path, i, tensor.name);
      return FALSE;
    }
  }
  g_array_append_val (saver->tensors, tensor);
  return TRUE;
}

static gboolean
fail_no_param (const Saver *saver, const char *name, GError **error)
{
  g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
      "%s: not written: there is no parameter \"%s\"", saver->path, name);
  return FALSE;
}

static gboolean
save_rule (Saver *saver, const SeedHfTensor *rule, guint block, const SeedVitConfig *config,
    GError **error)
{
  g_autofree char *parameter = expand ("", rule->parameter, block);
  const SeedParam *param = seed_params_lookup (saver->params, parameter);
  guint n_parts = count_parts (rule);
  Shape shape;

  if (!param)
    return fail_no_param (saver, parameter, error);
  expand_shape (rule, config, &shape);
  if (param->size != n_parts * shape_size (&shape)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: not written: parameter \"%s\" does not have the shape that the configuration asks for",
        saver->path, parameter);
    return FALSE;
  }
  for (guint part = 0; part < n_parts; part++) {
    g_autofree char *name = expand ("", rule->tensors[part], block);

    if (!save_tensor (saver, param, part, n_parts, name, &shape, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
save_extra (Saver *saver, const SeedExtraTensor *extra, GError **error)
{
  const SeedParam *param = seed_params_lookup (saver->params, extra->name);
  Shape shape = { 0 };

  if (!param)
    return fail_no_param (saver, extra->name, error);
  shape.n = param->n_dims;
  for (guint d = 0; d < shape.n; d++)
    shape.dims[d] = param->shape[d];
  return save_tensor (saver, param, 0, 1, extra->name, &shape, error);
}

static gboolean
collect_tensors (Saver *saver, const SeedHfFamily *family, const SeedVitConfig *config,
    const SeedExtraTensor *extras, guint n_extras, GError **error)
{
  for (guint r = 0; r < family->n_tensors; r++) {
    for (guint block = 0; block < count_blocks (&family->tensors[r], config); block++) {
      if (!save_rule (saver, &family->tensors[r], block, config, error))
        return FALSE;
    }
  }
  for (guint i = 0; i < n_extras; i++) {
    if (!save_extra (saver, &extras[i], error))
      return FALSE;
  }
  return TRUE;
}

gboolean
seed_checkpoint_save (const char *folder, const SeedVitConfig *config, const SeedParams *params,
    const float *values, const SeedExtraTensor *extras, guint n_extras, GError **error)
{
  const SeedHfFamily *family = &seed_hf_vit;
  g_autofree char *path = g_build_filename (folder, WEIGHTS_FILE, NULL);
  g_autoptr (GArray) tensors = g_array_new (FALSE, FALSE, sizeof (SeedTensor));
  g_autoptr (GStringChunk) names = g_string_chunk_new (4096);
  g_autoptr (GHashTable) metadata = g_hash_table_new (g_str_hash, g_str_equal);
  Saver saver = { path, params, values, tensors, names };

  if (!seed_vit_config_check (config, error) ||
      !collect_tensors (&saver, family, config, extras, n_extras, error))
    return FALSE;
  if (g_mkdir_with_parents (folder, 0777) < 0) {
    int saved = errno;
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot make the folder: %s", folder,
        g_strerror (saved));
    return FALSE;
  }
  g_hash_table_insert (metadata, (char *) "format", (char *) "pt"); /* transformers insists */
  return seed_hf_config_write (family, config, folder, error) &&
         seed_safetensors_write (
             path, (const SeedTensor *) tensors->data, tensors->len, metadata, error);
}
