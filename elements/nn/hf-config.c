/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/atomic-file.h"
#include "nn/hf-config.h"
#include "nn/hf-reader.h"

#define MAX_WORD 64u

static const SeedHfFamily *const families[] = { &seed_hf_vit, &seed_hf_deit, &seed_hf_dinov2,
  &seed_hf_dinov2_with_registers, &seed_hf_clip, &seed_hf_clip_vision, &seed_hf_siglip,
  &seed_hf_siglip_vision, &seed_hf_timm };

/* The first name of an activation is the one that is written. */
static const struct {
  const char *name;
  SeedActivation activation;
} activations[] = {
  { "gelu", SEED_ACTIVATION_GELU },
  { "gelu_pytorch_tanh", SEED_ACTIVATION_GELU_TANH },
  { "gelu_new", SEED_ACTIVATION_GELU_TANH },
  { "gelu_tanh", SEED_ACTIVATION_GELU_TANH },
  { "quick_gelu", SEED_ACTIVATION_QUICK_GELU },
  { "silu", SEED_ACTIVATION_SILU },
  { "relu", SEED_ACTIVATION_RELU },
};

static gboolean
read_activation (SeedHfReader *reader, SeedActivation *activation)
{
  g_autofree char *shown = NULL;

  if (!seed_json_read_string (&reader->json, reader->word, MAX_WORD))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (activations); i++) {
    if (g_str_equal (activations[i].name, reader->word->str)) {
      *activation = activations[i].activation;
      return TRUE;
    }
  }
  shown = seed_json_show (reader->word->str);
  return seed_json_fail (&reader->json, reader->pos, SEED_ERROR_UNSUPPORTED,
      "%s is not supported; gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, silu and relu are",
      shown);
}

static gboolean
read_name (SeedHfReader *reader, char *name)
{
  if (!seed_json_read_string (&reader->json, reader->word, SEED_HF_NAME_SIZE - 1))
    return FALSE;
  g_strlcpy (name, reader->word->str, SEED_HF_NAME_SIZE);
  return TRUE;
}

static gboolean
read_value (SeedHfReader *reader, SeedHfKeyType type, gpointer value)
{
  switch (type) {
  case SEED_HF_UINT:
    return seed_hf_reader_read_uint (reader, value);
  case SEED_HF_SQUARE:
    return seed_hf_reader_read_square (reader, value);
  case SEED_HF_NUMBER:
    return seed_json_read_number (&reader->json, value);
  case SEED_HF_BOOLEAN:
    return seed_json_read_boolean (&reader->json, value);
  case SEED_HF_ACTIVATION:
    return read_activation (reader, value);
  case SEED_HF_IMAGE:
    return seed_hf_reader_read_image (reader, value);
  case SEED_HF_THREE:
  case SEED_HF_POSITIVE:
    return seed_hf_reader_read_three (reader, value, type == SEED_HF_POSITIVE);
  case SEED_HF_NAME:
    return read_name (reader, value);
  case SEED_HF_NOTHING:
    return seed_json_skip (&reader->json);
  }
  g_return_val_if_reached (FALSE);
}

/* config.json */

static gboolean
fail_family (SeedHfReader *reader)
{
  g_autoptr (GString) known = g_string_new (NULL);
  g_autofree char *shown = seed_json_show (reader->word->str);

  for (guint i = 0; i < G_N_ELEMENTS (families); i++)
    g_string_append_printf (known, "%s%s", i ? ", " : "", families[i]->model_type);
  return seed_json_fail (&reader->json, reader->pos, SEED_ERROR_UNSUPPORTED,
      "%s is not supported; supported: %s", shown, known->str);
}

static const SeedHfFamily *
family_of_type (const char *type)
{
  for (guint i = 0; i < G_N_ELEMENTS (families); i++) {
    if (g_str_equal (families[i]->model_type, type))
      return families[i];
  }
  return NULL;
}

/* The family decides what the other keys mean, and may come after them. */
static gboolean
find_family (
    SeedHfConfig *config, const char *label, const char *text, gsize length, GError **error)
{
  const SeedHfFamily *family = NULL;
  gboolean named = FALSE; /* by timm, which writes no model_type */
  SeedHfReader reader;

  seed_hf_reader_init (&reader, label, text, length);
  seed_json_open (&reader.json, '{');
  while (seed_hf_reader_next_key (&reader)) {
    if (!g_str_equal (reader.key->str, "model_type")) {
      named |= g_str_equal (reader.key->str, "architecture");
      if (!seed_json_skip (&reader.json))
        break;
      continue;
    }
    if (family)
      seed_json_fail (&reader.json, reader.pos, SEED_ERROR_FORMAT, "is here twice");
    if (!seed_json_read_string (&reader.json, reader.word, MAX_WORD))
      break;
    family = family_of_type (reader.word->str);
    if (!family)
      fail_family (&reader);
  }
  seed_json_end (&reader.json);
  if (!family && named)
    family = &seed_hf_timm;
  if (!family)
    seed_json_fail (&reader.json, 0, SEED_ERROR_FORMAT, "has no key \"model_type\"");
  if (!seed_hf_reader_finish (&reader, error))
    return FALSE;
  *config = family->defaults;
  config->family = family;
  return TRUE;
}

static gboolean
read_object (SeedHfReader *reader, SeedHfConfig *config, const char *object, guint32 *seen);

/* Is @path, or with @inside a path in it, a key of the family? */
static gboolean
find_key (const SeedHfFamily *family, const char *path, gboolean inside, guint *index)
{
  gsize length = strlen (path);

  for (*index = 0; *index < family->n_keys; (*index)++) {
    const char *key = family->keys[*index].key;

    if (g_str_has_prefix (key, path) && key[length] == (inside ? '.' : '\0'))
      return TRUE;
  }
  return FALSE;
}

static gboolean
read_family_key (SeedHfReader *reader, SeedHfConfig *config, const char *object, guint32 *seen)
{
  const SeedHfFamily *family = config->family;
  g_autofree char *path =
      object ? g_strconcat (object, ".", reader->key->str, NULL) : g_strdup (reader->key->str);
  guint i;

  if (find_key (family, path, FALSE, &i)) {
    const SeedHfKey *key = &family->keys[i];

    if (!seed_hf_reader_mark_seen (reader, i, seen))
      return FALSE;
    if (*seen & (1u << i))
      return read_value (reader, key->type, G_STRUCT_MEMBER_P (config, key->offset));
  } else if (find_key (family, path, TRUE, &i) && seed_json_peek (&reader->json) != 'n') {
    return read_object (reader, config, path, seen);
  } else if (object && g_strcmp0 (object, family->strict_object) == 0) {
    return seed_json_fail (&reader->json, reader->pos, SEED_ERROR_UNSUPPORTED,
        "this argument of the architecture is not supported");
  }
  return seed_json_skip (&reader->json);
}

/* @object: the path to it, NULL for the outermost one. No deeper than the family's keys. */
static gboolean
read_object (SeedHfReader *reader, SeedHfConfig *config, const char *object, guint32 *seen)
{
  seed_json_open (&reader->json, '{');
  while (seed_hf_reader_next_key (reader) && read_family_key (reader, config, object, seen))
    ;
  return !reader->json.error;
}

/* What the words cover of the images the model is given: a convolution drops the rest. */
static void
settle_size (SeedHfConfig *config)
{
  guint patch_size = config->vit.patch_size;

  config->vit.image_size = config->images.crop_size;
  if (patch_size > 0 && patch_size <= config->vit.image_size)
    config->vit.image_size -= config->vit.image_size % patch_size;
}

static gboolean
check_config (const SeedHfConfig *config, const char *label, GError **error)
{
  if (config->family->sizes_inferred && config->vit.dim == 0)
    return TRUE;
  if (!seed_vit_config_check (&config->vit, error)) {
    g_prefix_error (error, "%s: ", label);
    return FALSE;
  }
  if (config->images.resize_size > SEED_HF_MAX_RESIZE) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "%s: images would be resized to %u pixels; at most %u are supported", label,
        config->images.resize_size, SEED_HF_MAX_RESIZE);
    return FALSE;
  }
  if (config->channels != 3) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "%s: key \"num_channels\": %u is not supported, images have 3", label, config->channels);
    return FALSE;
  }
  return TRUE;
}

gboolean
seed_hf_config_parse (
    SeedHfConfig *config, const char *label, const char *text, gsize length, GError **error)
{
  guint32 seen = 0;
  SeedHfReader reader;

  if (!find_family (config, label, text, length, error))
    return FALSE;
  seed_hf_reader_init (&reader, label, text, length);
  read_object (&reader, config, NULL, &seen);
  for (guint i = 0; i < config->family->n_keys; i++) {
    const SeedHfKey *key = &config->family->keys[i];

    if (key->required && !(seen & (1u << i)))
      seed_json_fail (&reader.json, 0, SEED_ERROR_FORMAT, "has no key \"%s\"", key->key);
  }
  if (!seed_hf_reader_finish (&reader, error))
    return FALSE;
  config->native_size = config->vit.image_size;
  config->images.resize_size = config->images.crop_size = config->native_size;
  if (config->family->derive && !config->family->derive (config, label, error))
    return FALSE;
  settle_size (config);
  return check_config (config, label, error);
}

gboolean
seed_hf_config_complete (SeedHfConfig *config, const SeedHfWeights *weights, guint image_size,
    const char *folder, GError **error)
{
  SeedHfImages *images = &config->images;

  if (config->family->infer && !config->family->infer (config, weights, error))
    return FALSE;
  if (image_size > 0) {
    guint patch_size = MAX (config->vit.patch_size, 1), rest = image_size % patch_size;

    if (rest != 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
          "%s: an image size of %u is not a multiple of the model's patch size %u; the nearest are "
          "%u and %u",
          folder, image_size, patch_size, image_size - rest, image_size - rest + patch_size);
      return FALSE;
    }
    images->resize_size =
        (guint) ((guint64) images->resize_size * image_size / MAX (images->crop_size, 1));
    images->crop_size = image_size;
  }
  settle_size (config);
  return check_config (config, folder, error);
}

guint
seed_hf_config_features (const SeedHfConfig *config)
{
  const SeedVitConfig *vit = &config->vit;
  gboolean summary_norm = vit->norm_place == SEED_VIT_NORM_SUMMARY;

  return (vit->no_cls ? 0 : SEED_HF_HAS_CLS) | (vit->n_registers ? SEED_HF_HAS_REGISTERS : 0) |
         (config->patch_bias ? SEED_HF_HAS_PATCH_BIAS : 0) |
         (config->qkv_bias ? SEED_HF_HAS_QKV_BIAS : 0) |
         (vit->pre_norm ? SEED_HF_HAS_PRE_NORM : 0) |
         (config->layer_scale ? SEED_HF_HAS_LAYER_SCALE : 0) |
         (vit->gated ? SEED_HF_HAS_GATE : SEED_HF_HAS_NO_GATE) |
         (summary_norm ? SEED_HF_HAS_SUMMARY_NORM : SEED_HF_HAS_ROWS_NORM) |
         (vit->pool == SEED_VIT_POOL_ATTENTION ? SEED_HF_HAS_ATTENTION_POOL : 0) |
         (vit->projection_dim ? SEED_HF_HAS_PROJECTION : 0);
}

/* Files */

gboolean
seed_hf_config_read (SeedHfConfig *config, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "config.json", NULL);
  g_autofree char *preprocessor = g_build_filename (folder, "preprocessor_config.json", NULL);
  g_autofree char *text = NULL;
  g_autofree char *preprocessor_text = NULL;
  g_autoptr (GError) local = NULL;
  gsize length;

  if (!seed_hf_read_text (path, SEED_HF_CONFIG_MAX_BYTES, &text, &length, &local)) {
    if (local->code == SEED_ERROR_NOT_FOUND)
      g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
          "%s: no such file; a model is a folder with config.json and model.safetensors", path);
    else
      g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  if (!seed_hf_config_parse (config, path, text, length, error))
    return FALSE;
  if (seed_hf_read_text (
          preprocessor, SEED_HF_CONFIG_MAX_BYTES, &preprocessor_text, &length, &local)) {
    if (!seed_hf_preprocessor_parse (config, preprocessor, preprocessor_text, length, error))
      return FALSE;
    settle_size (config);
    return check_config (config, preprocessor, error);
  }
  if (local->code == SEED_ERROR_NOT_FOUND)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

static const char *
activation_name (SeedActivation activation)
{
  for (guint i = 0; i < G_N_ELEMENTS (activations); i++) {
    if (activations[i].activation == activation)
      return activations[i].name;
  }
  g_return_val_if_reached ("");
}

static void
append_value (GString *text, SeedHfKeyType type, gconstpointer value)
{
  switch (type) {
  case SEED_HF_UINT:
  case SEED_HF_SQUARE:
    g_string_append_printf (text, "%u", *(const guint *) value);
    break;
  case SEED_HF_NUMBER:
    seed_json_append_double (text, *(const double *) value);
    break;
  case SEED_HF_BOOLEAN:
    g_string_append (text, *(const gboolean *) value ? "true" : "false");
    break;
  case SEED_HF_ACTIVATION:
    seed_json_append_quoted (text, activation_name (*(const SeedActivation *) value));
    break;
  case SEED_HF_IMAGE:
  case SEED_HF_THREE:
  case SEED_HF_POSITIVE:
  case SEED_HF_NAME:
  case SEED_HF_NOTHING:
    g_return_if_reached (); /* in no family that is written */
  }
}

static char *
format_config (const SeedHfFamily *family, const SeedVitConfig *vit, SeedDtype dtype)
{
  GString *text = g_string_new ("{\n");
  SeedHfConfig config = family->defaults;

  config.vit = *vit;
  g_string_append_printf (text, "  \"architectures\": [\"%s\"],\n", family->architecture);
  g_string_append_printf (text, "  \"model_type\": \"%s\",\n", family->model_type);
  for (guint i = 0; i < family->n_keys; i++) {
    const SeedHfKey *key = &family->keys[i];

    g_string_append_printf (text, "  \"%s\": ", key->key);
    append_value (text, key->type, G_STRUCT_MEMBER_P (&config, key->offset));
    g_string_append (text, ",\n");
  }
  g_string_append_printf (text, "  \"torch_dtype\": \"%s\"\n}\n", seed_dtype_wire_name (dtype));
  return g_string_free (text, FALSE);
}

gboolean
seed_hf_config_write (
    const SeedHfFamily *family, const SeedVitConfig *vit, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "config.json", NULL);
  g_autofree char *preprocessor = g_build_filename (folder, "preprocessor_config.json", NULL);
  g_autofree char *text = format_config (family, vit, SEED_DTYPE_F32);
  g_autofree char *preprocessor_text = seed_hf_preprocessor_format (family, vit);

  return seed_atomic_file_set_contents (path, text, error) &&
         seed_atomic_file_set_contents (preprocessor, preprocessor_text, error);
}

gboolean
seed_hf_config_export (const SeedHfFamily *family, const SeedVitConfig *vit,
    const SeedHfImages *images, SeedDtype dtype, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "config.json", NULL);
  g_autofree char *preprocessor = g_build_filename (folder, "preprocessor_config.json", NULL);
  g_autofree char *text = format_config (family, vit, dtype);
  g_autofree char *preprocessor_text = seed_hf_preprocessor_format_images (vit, images, error);

  return preprocessor_text && seed_atomic_file_set_contents (path, text, error) &&
         seed_atomic_file_set_contents (preprocessor, preprocessor_text, error);
}
