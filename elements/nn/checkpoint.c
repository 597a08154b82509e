/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "nn/checkpoint.h"
#include "nn/hf-config.h"
#include "nn/hf-positions.h"
#include "nn/hf-table.h"
#include "nn/json.h"

#define ALIGNMENT 64u

/* A tensor of the files and where it goes. */
typedef struct {
  char *parameter;
  const SeedTensor *tensor;
  const char *path;
  SeedHfUse use;
  gsize size;   /* elements */
  gsize offset; /* in the parameter */
} Source;

typedef struct {
  const SeedHfConfig *config;
  const SeedHfWeights *weights;
  const char *prefix;
  GArray *sources;
  GHashTable *used; /* set of the tensors in sources */
} Loader;

static void
clear_source (gpointer data)
{
  g_free (((Source *) data)->parameter);
}

static gboolean
fail_tensor (const char *path, const char *name, SeedErrorCode code, char *reason, GError **error)
{
  g_autofree char *shown = seed_json_show (name);

  g_set_error (error, SEED_ERROR, code, "%s: tensor %s: %s", path, shown, reason);
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
check_shape (
    const char *path, const SeedTensor *tensor, const SeedHfShape *expected, GError **error)
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
  return fail_tensor (path, tensor->name, SEED_ERROR_MISMATCH,
      g_strdup_printf ("is %s, expected F32, F16, BF16 or F64 %s]", found, wanted->str), error);
}

/* Behind what goes into the same parameter already. */
static gsize
next_offset (const Loader *loader, const char *parameter)
{
  const Source *last = loader->sources->len
                           ? &g_array_index (loader->sources, Source, loader->sources->len - 1)
                           : NULL;

  return last && g_str_equal (last->parameter, parameter) ? last->offset + last->size : 0;
}

static gboolean
add_source (Loader *loader, const char *parameter, const char *name, SeedHfUse use,
    const SeedHfShape *shape, GError **error)
{
  Source source = { .use = use };

  source.tensor = seed_hf_weights_lookup (loader->weights, name, &source.path);
  if (!source.tensor)
    return fail_tensor (source.path, name, SEED_ERROR_NOT_FOUND,
        g_strdup ("is missing; is this the model that config.json describes?"), error);
  if (!check_shape (source.path, source.tensor, shape, error))
    return FALSE;
  g_hash_table_add (loader->used, (gpointer) source.tensor);
  source.size = source.tensor->size / seed_dtype_size (source.tensor->dtype);
  source.offset = next_offset (loader, parameter);
  source.parameter = g_strdup (parameter);
  g_array_append_val (loader->sources, source);
  return TRUE;
}

static gboolean
add_row (Loader *loader, const SeedHfTensor *row, guint block, GError **error)
{
  g_autofree char *parameter = seed_hf_table_name ("", row->parameter, block);
  SeedHfShape shape;

  seed_hf_table_shape (row, loader->config, &shape);
  for (guint i = 0; i < seed_hf_table_n_tensors (row); i++) {
    g_autofree char *name = seed_hf_table_name (loader->prefix, row->tensors[i], block);

    if (!add_source (loader, parameter, name, row->use, &shape, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_transformer (Loader *loader, GError **error)
{
  const SeedHfConfig *config = loader->config;

  for (guint r = 0; r < config->family->n_tensors; r++) {
    const SeedHfTensor *row = &config->family->tensors[r];
    guint n_blocks = seed_hf_table_n_blocks (row, config);

    for (guint block = 0; block < n_blocks; block++) {
      if (!add_row (loader, row, block, error))
        return FALSE;
    }
  }
  return TRUE;
}

static gboolean
add_extras (Loader *loader, const SeedExtraTensor *extras, guint n_extras, GError **error)
{
  for (guint i = 0; i < n_extras; i++) {
    SeedHfShape shape = { .n = extras[i].n_dims };

    for (guint d = 0; d < shape.n; d++)
      shape.dims[d] = extras[i].shape[d];
    if (!add_source (loader, extras[i].name, extras[i].name, SEED_HF_COPY, &shape, error))
      return FALSE;
  }
  return TRUE;
}

/* The prefix with which the files have the family's first tensor; the first when with none. */
static const char *
find_prefix (const SeedHfWeights *weights, const SeedHfFamily *family)
{
  for (const char *const *prefix = family->prefixes; *prefix; prefix++) {
    g_autofree char *name = g_strconcat (*prefix, family->tensors[0].tensors[0], NULL);

    if (seed_hf_weights_lookup (weights, name, NULL))
      return *prefix;
  }
  return family->prefixes[0];
}

static gboolean
is_ignored (const Loader *loader, const char *name)
{
  const char *const *ignored = loader->config->family->ignored;
  const char *rest =
      g_str_has_prefix (name, loader->prefix) ? name + strlen (loader->prefix) : name;

  for (guint i = 0; ignored[i]; i++) {
    if (g_str_has_prefix (name, ignored[i]) || g_str_has_prefix (rest, ignored[i]))
      return TRUE;
  }
  return FALSE;
}

/* Of the file of heads everybody takes what they know. */
static gboolean
is_head (const char *path)
{
  return g_str_has_suffix (path, "/" SEED_HF_HEADS_FILE);
}

static gboolean
check_all_known (const Loader *loader, GError **error)
{
  guint n = seed_hf_weights_n_tensors (loader->weights);

  for (guint i = 0; i < n; i++) {
    const char *path;
    const SeedTensor *tensor = seed_hf_weights_get (loader->weights, i, &path);

    if (!g_hash_table_contains (loader->used, tensor) && !is_ignored (loader, tensor->name) &&
        !is_head (path))
      return fail_tensor (path, tensor->name, SEED_ERROR_MISMATCH,
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
    const SeedTensor *tensor = seed_hf_weights_lookup (loader->weights, extras[i].name, NULL);
    gsize shape[G_N_ELEMENTS (extras->shape)] = { 0 };

    for (guint d = 0; d < extras[i].n_dims; d++)
      shape[d] = (gsize) tensor->shape[d];
    seed_params_append (params, extras[i].name, extras[i].decay, extras[i].n_dims, shape);
  }
}

/* Values */

static float *
find_values (const SeedCheckpoint *checkpoint, const char *name, const SeedParam **param)
{
  *param = seed_params_lookup (&checkpoint->params, name);
  return *param ? checkpoint->values + (*param)->offset : NULL;
}

/*
 * The file has rows for the words and for the first few rows before them; the others keep zero.
 * Resampled when the words' grid is another one.
 */
static void
place_positions (const SeedHfConfig *config, const float *from, float *to)
{
  guint dim = config->vit.dim, old_side = seed_hf_native_side (config);
  guint new_side = config->vit.image_size / config->vit.patch_size;
  gsize prefix = (gsize) config->n_position_prefix * dim;

  memcpy (to, from, prefix * sizeof *to);
  from += prefix;
  to += (gsize) seed_vit_config_n_prefix (&config->vit) * dim;
  if (old_side == new_side)
    memcpy (to, from, (gsize) new_side * new_side * dim * sizeof *to);
  else
    seed_hf_positions_resample (from, old_side, to, new_side, dim, config->family->antialias);
}

/* Layer scale (arXiv 2103.17239): row @i of the weight and of the bias times @scale [i]. */
static gboolean
scale_linear (SeedCheckpoint *checkpoint, const char *linear, const float *scale, gsize n)
{
  static const char *const kinds[] = { ".weight", ".bias" };

  for (guint k = 0; k < G_N_ELEMENTS (kinds); k++) {
    g_autofree char *name = g_strconcat (linear, kinds[k], NULL);
    const SeedParam *param;
    float *values = find_values (checkpoint, name, &param);

    g_return_val_if_fail (values && param->shape[0] == n, FALSE);
    for (gsize i = 0; i < param->size; i++)
      values[i] *= scale[i / (param->size / n)];
  }
  return TRUE;
}

static gboolean
copy_source (const Loader *loader, const Source *source, SeedCheckpoint *checkpoint, GError **error)
{
  g_autofree float *values = NULL;
  const SeedParam *param;
  float *dest = find_values (checkpoint, source->parameter, &param);

  if (source->use == SEED_HF_COPY) {
    g_return_val_if_fail (dest && source->offset + source->size <= param->size, FALSE);
    return seed_tensor_to_float (
        source->tensor, source->path, dest + source->offset, source->size, error);
  }
  values = g_new (float, source->size);
  if (!seed_tensor_to_float (source->tensor, source->path, values, source->size, error))
    return FALSE;
  if (source->use == SEED_HF_SCALE)
    return scale_linear (checkpoint, source->parameter, values, source->size);
  place_positions (loader->config, values, dest);
  return TRUE;
}

static gboolean
copy_values (const Loader *loader, SeedCheckpoint *checkpoint, GError **error)
{
  checkpoint->values = g_aligned_alloc0 (checkpoint->params.total, sizeof (float), ALIGNMENT);
  for (guint i = 0; i < loader->sources->len; i++) {
    const Source *source = &g_array_index (loader->sources, Source, i);

    if (!copy_source (loader, source, checkpoint, error))
      return FALSE;
    checkpoint->n_params += source->size;
  }
  return TRUE;
}

/*
 * Nothing larger than the files themselves (and, resampled, the positions) is allocated before they
 * have been seen to hold every tensor that the configuration asks for.
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
  checkpoint->sha256 = seed_hf_weights_sha256 (loader->weights);
  return seed_hf_weights_check_unchanged (loader->weights, error);
}

static void
adopt_config (SeedCheckpoint *checkpoint, const SeedHfConfig *config)
{
  checkpoint->family = g_strdup (config->family->model_type);
  checkpoint->interpolation = g_strdup (config->images.interpolation);
  checkpoint->fit = g_strdup (config->images.fit);
  checkpoint->resize_size = config->images.resize_size;
  checkpoint->crop_size = config->images.crop_size;
  checkpoint->config = config->vit;
}

gboolean
seed_checkpoint_load_sized (SeedCheckpoint *checkpoint, const char *folder, guint image_size,
    const SeedExtraTensor *extras, guint n_extras, GError **error)
{
  g_autoptr (SeedHfWeights) weights = NULL;
  g_autoptr (GArray) sources = g_array_new (FALSE, FALSE, sizeof (Source));
  g_autoptr (GHashTable) used = g_hash_table_new (NULL, NULL);
  SeedHfConfig config;
  Loader loader = { .config = &config, .sources = sources, .used = used };

  memset (checkpoint, 0, sizeof *checkpoint);
  g_array_set_clear_func (sources, clear_source);
  if (!seed_hf_config_read (&config, folder, error))
    return FALSE;
  weights = n_extras > 0 ? seed_hf_weights_open_with_heads (folder, error)
                         : seed_hf_weights_open (folder, error);
  if (!weights || !seed_hf_config_complete (&config, weights, image_size, folder, error))
    return FALSE;
  loader.weights = weights;
  loader.prefix = find_prefix (weights, config.family);

  adopt_config (checkpoint, &config);
  if (load_weights (&loader, checkpoint, extras, n_extras, error))
    return TRUE;
  seed_checkpoint_clear (checkpoint);
  return FALSE;
}

gboolean
seed_checkpoint_load (SeedCheckpoint *checkpoint, const char *folder, const SeedExtraTensor *extras,
    guint n_extras, GError **error)
{
  return seed_checkpoint_load_sized (checkpoint, folder, 0, extras, n_extras, error);
}

void
seed_checkpoint_clear (SeedCheckpoint *checkpoint)
{
  g_free (checkpoint->family);
  g_free (checkpoint->interpolation);
  g_free (checkpoint->fit);
  g_free (checkpoint->sha256);
  seed_params_clear (&checkpoint->params);
  g_aligned_free (checkpoint->values);
  memset (checkpoint, 0, sizeof *checkpoint);
}
