/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>

#include <seed/error.h>

#include "nn/bf16.h"
#include "nn/checkpoint-private.h"
#include "nn/hf-config.h"
#include "nn/hf-table.h"

/* IEEE 754 binary16, rounded to nearest even; an infinity when @x is too large. */
static guint16
half_from_float (float x)
{
  guint16 sign = signbit (x) ? 0x8000 : 0;
  float magnitude = fabsf (x);
  int exponent;
  double fraction;

  if (magnitude < 0x1p-14f) /* zero and subnormal: a multiple of 2^-24 */
    return sign | (guint16) nearbyint ((double) magnitude * 0x1p24);
  fraction = frexp ((double) magnitude, &exponent); /* 0.5 <= fraction < 1 */
  fraction = nearbyint (fraction * 2048);           /* 11 bits, the first of them not stored */
  if (exponent > 16 || (exponent == 16 && fraction >= 2048))
    return sign | 0x7c00;
  /* a fraction that was rounded up to 2048 carries into the exponent */
  return sign | (guint16) (((guint) (exponent + 14) << 10) + ((guint) fraction - 1024));
}

static gboolean
convert_value (float x, SeedDtype dtype, guint16 *to)
{
  if (dtype == SEED_DTYPE_F16) {
    *to = half_from_float (x);
    return (*to & 0x7c00) != 0x7c00;
  }
  *to = seed_bf16_from_float (x);
  return (*to & 0x7f80) != 0x7f80;
}

/* @tensor's values in half the room, in memory of @owned. */
static gboolean
convert_tensor (
    SeedTensor *tensor, SeedDtype dtype, GPtrArray *owned, const char *path, GError **error)
{
  gsize n = tensor->size / sizeof (float);
  const float *from = tensor->data;
  guint16 *to = g_new (guint16, n);

  g_ptr_array_add (owned, to);
  for (gsize i = 0; i < n; i++) {
    if (!convert_value (from[i], dtype, &to[i])) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
          "%s: not written: element %" G_GSIZE_FORMAT " of tensor \"%s\", %g, is beyond %s", path,
          i, tensor->name, (double) from[i], seed_dtype_wire_name (dtype));
      return FALSE;
    }
  }
  tensor->dtype = dtype;
  tensor->data = to;
  tensor->size = n * sizeof *to;
  return TRUE;
}

static gboolean
convert_all (SeedSaver *saver, SeedDtype dtype, GPtrArray *owned, GError **error)
{
  for (guint i = 0; dtype != SEED_DTYPE_F32 && i < saver->tensors->len; i++) {
    if (!convert_tensor (
            &g_array_index (saver->tensors, SeedTensor, i), dtype, owned, saver->path, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
write_file (const SeedSaver *saver, GError **error)
{
  g_autoptr (GHashTable) metadata = g_hash_table_new (g_str_hash, g_str_equal);

  g_hash_table_insert (metadata, (char *) "format", (char *) "pt"); /* transformers insists */
  return seed_safetensors_write (
      saver->path, (const SeedTensor *) saver->tensors->data, saver->tensors->len, metadata, error);
}

static gboolean
check_dtype (SeedDtype dtype, GError **error)
{
  if (dtype == SEED_DTYPE_F32 || dtype == SEED_DTYPE_F16 || dtype == SEED_DTYPE_BF16)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
      "weights are written in float32, float16 or bfloat16, not in %s",
      seed_dtype_wire_name (dtype));
  return FALSE;
}

/* Heads first: who finds the model finds its heads. A folder without any must not keep old ones. */
static gboolean
write_all (const char *folder, const SeedSaver *model, const SeedSaver *heads, SeedDtype dtype,
    const SeedHfConfig *config, GError **error)
{
  if (!seed_saver_make_folder (folder, error) ||
      !seed_hf_config_export (config->family, &config->vit, &config->images, dtype, folder, error))
    return FALSE;
  if (heads->tensors->len > 0 && !write_file (heads, error))
    return FALSE;
  if (heads->tensors->len == 0 && g_unlink (heads->path) < 0 && errno != ENOENT) {
    int saved = errno;

    g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
        "%s: heads of another model, cannot be removed: %s", heads->path, g_strerror (saved));
    return FALSE;
  }
  return write_file (model, error);
}

gboolean
seed_checkpoint_export (const char *folder, const SeedCheckpoint *checkpoint, SeedDtype dtype,
    const SeedExtraTensor *extras, guint n_extras, GError **error)
{
  SeedHfConfig config = seed_hf_vit.defaults;
  g_autofree char *text = NULL;
  g_autoptr (GPtrArray) owned = g_ptr_array_new_with_free_func (g_free);
  g_auto (SeedSaver) model = { 0 }, heads = { 0 };

  config.family = &seed_hf_vit;
  config.vit = checkpoint->config;
  config.native_size = config.vit.image_size;
  config.images = (SeedHfImages){ checkpoint->interpolation, checkpoint->fit,
    checkpoint->resize_size, checkpoint->crop_size };
  seed_saver_init (&model, folder, SEED_HF_WEIGHTS_FILE, &checkpoint->params, checkpoint->values);
  seed_saver_init (&heads, folder, SEED_HF_HEADS_FILE, &checkpoint->params, checkpoint->values);
  text = seed_hf_preprocessor_format_images (&config.vit, &config.images, error);
  return text && check_dtype (dtype, error) && seed_vit_config_check (&config.vit, error) &&
         seed_saver_check_writable (&model, &config.vit, error) &&
         seed_saver_add_model (&model, &config, error) &&
         seed_saver_add_extras (&heads, extras, n_extras, error) &&
         convert_all (&model, dtype, owned, error) && convert_all (&heads, dtype, owned, error) &&
         write_all (folder, &model, &heads, dtype, &config, error);
}
