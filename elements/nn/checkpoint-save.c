/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include <seed/error.h>

#include "nn/checkpoint-private.h"
#include "nn/hf-config.h"
#include "nn/hf-table.h"

G_STATIC_ASSERT (
    G_BYTE_ORDER == G_LITTLE_ENDIAN); /* parameters are written as they are in memory */

void
seed_saver_init (SeedSaver *saver, const char *folder, const char *file, const SeedParams *params,
    const float *values)
{
  *saver = (SeedSaver){ .path = g_build_filename (folder, file, NULL),
    .params = params,
    .values = values,
    .tensors = g_array_new (FALSE, FALSE, sizeof (SeedTensor)),
    .names = g_string_chunk_new (4096) };
}

void
seed_saver_clear (SeedSaver *saver)
{
  g_clear_pointer (&saver->path, g_free);
  g_clear_pointer (&saver->tensors, g_array_unref);
  g_clear_pointer (&saver->names, g_string_chunk_free);
}

/* Part @part of @n_parts of @param. */
static gboolean
save_tensor (SeedSaver *saver, const SeedParam *param, guint part, guint n_parts, const char *name,
    const SeedHfShape *shape, GError **error)
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
fail_no_param (const SeedSaver *saver, const char *name, GError **error)
{
  g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
      "%s: not written: there is no parameter \"%s\"", saver->path, name);
  return FALSE;
}

static gboolean
save_row (SeedSaver *saver, const SeedHfTensor *row, guint block, const SeedHfConfig *config,
    GError **error)
{
  g_autofree char *parameter = seed_hf_table_name ("", row->parameter, block);
  const SeedParam *param = seed_params_lookup (saver->params, parameter);
  guint n_parts = seed_hf_table_n_tensors (row);
  SeedHfShape shape;

  if (!param)
    return fail_no_param (saver, parameter, error);
  seed_hf_table_shape (row, config, &shape);
  if (param->size != n_parts * seed_hf_shape_size (&shape)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: not written: parameter \"%s\" does not have the shape that the configuration asks for",
        saver->path, parameter);
    return FALSE;
  }
  for (guint part = 0; part < n_parts; part++) {
    g_autofree char *name = seed_hf_table_name ("", row->tensors[part], block);

    if (!save_tensor (saver, param, part, n_parts, name, &shape, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
save_extra (SeedSaver *saver, const SeedExtraTensor *extra, GError **error)
{
  const SeedParam *param = seed_params_lookup (saver->params, extra->name);
  SeedHfShape shape = { 0 };

  if (!param)
    return fail_no_param (saver, extra->name, error);
  shape.n = param->n_dims;
  for (guint d = 0; d < shape.n; d++)
    shape.dims[d] = param->shape[d];
  return save_tensor (saver, param, 0, 1, extra->name, &shape, error);
}

gboolean
seed_saver_add_model (SeedSaver *saver, const SeedHfConfig *config, GError **error)
{
  const SeedHfFamily *family = config->family;

  for (guint r = 0; r < family->n_tensors; r++) {
    guint n_blocks = seed_hf_table_n_blocks (&family->tensors[r], config);

    for (guint block = 0; block < n_blocks; block++) {
      if (!save_row (saver, &family->tensors[r], block, config, error))
        return FALSE;
    }
  }
  return TRUE;
}

gboolean
seed_saver_add_extras (
    SeedSaver *saver, const SeedExtraTensor *extras, guint n_extras, GError **error)
{
  for (guint i = 0; i < n_extras; i++) {
    if (!save_extra (saver, &extras[i], error))
      return FALSE;
  }
  return TRUE;
}

/* The one family that is written has none of what others add. */
gboolean
seed_saver_check_writable (const SeedSaver *saver, const SeedVitConfig *config, GError **error)
{
  if (!config->no_cls && config->n_registers == 0 && !config->pre_norm && !config->gated &&
      config->norm_place == SEED_VIT_NORM_ROWS && config->pool == SEED_VIT_POOL_CLS &&
      config->projection_dim == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
      "%s: not written: only a plain transformer (a class token, no registers, norm before the "
      "blocks, gated MLP, pooling head or projection) can be saved",
      saver->path);
  return FALSE;
}

gboolean
seed_saver_make_folder (const char *folder, GError **error)
{
  int saved;

  if (g_mkdir_with_parents (folder, 0777) == 0)
    return TRUE;
  saved = errno;
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot make the folder: %s", folder,
      g_strerror (saved));
  return FALSE;
}

gboolean
seed_checkpoint_save (const char *folder, const SeedVitConfig *config, const SeedParams *params,
    const float *values, const SeedExtraTensor *extras, guint n_extras, GError **error)
{
  SeedHfConfig written = seed_hf_vit.defaults;
  g_autoptr (GHashTable) metadata = g_hash_table_new (g_str_hash, g_str_equal);
  g_auto (SeedSaver) saver = { 0 };

  seed_saver_init (&saver, folder, SEED_HF_WEIGHTS_FILE, params, values);
  written.family = &seed_hf_vit;
  written.vit = *config;
  written.native_size = config->image_size;
  if (!seed_vit_config_check (config, error) ||
      !seed_saver_check_writable (&saver, config, error) ||
      !seed_saver_add_model (&saver, &written, error) ||
      !seed_saver_add_extras (&saver, extras, n_extras, error) ||
      !seed_saver_make_folder (folder, error))
    return FALSE;
  g_hash_table_insert (metadata, (char *) "format", (char *) "pt"); /* transformers insists */
  return seed_hf_config_write (written.family, config, folder, error) &&
         seed_safetensors_write (saver.path, (const SeedTensor *) saver.tensors->data,
             saver.tensors->len, metadata, error);
}
