/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nn/atomic-file.h"
#include "nn/hf-config.h"
#include "nn/hf-reader.h"

#define MAX_WORD 64u

static const SeedHfFamily *const families[] = { &seed_hf_vit };

/* The first name of an activation is the one that is written. */
static const struct {
  const char *name;
  SeedActivation activation;
} activations[] = {
  { "gelu", SEED_ACTIVATION_GELU },
  { "gelu_pytorch_tanh", SEED_ACTIVATION_GELU_TANH },
  { "gelu_new", SEED_ACTIVATION_GELU_TANH },
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

/* The family decides what the other keys mean, and may come after them. */
static gboolean
find_family (
    SeedHfConfig *config, const char *label, const char *text, gsize length, GError **error)
{
  const SeedHfFamily *family = NULL;
  SeedHfReader reader;

  seed_hf_reader_init (&reader, label, text, length);
  seed_json_open (&reader.json, '{');
  while (seed_hf_reader_next_key (&reader)) {
    if (!g_str_equal (reader.key->str, "model_type")) {
      if (!seed_json_skip (&reader.json))
        break;
      continue;
    }
    if (family)
      seed_json_fail (&reader.json, reader.pos, SEED_ERROR_FORMAT, "is here twice");
    if (!seed_json_read_string (&reader.json, reader.word, MAX_WORD))
      break;
    for (guint i = 0; i < G_N_ELEMENTS (families) && !family; i++) {
      if (g_str_equal (families[i]->model_type, reader.word->str))
        family = families[i];
    }
    if (!family)
      fail_family (&reader);
  }
  seed_json_end (&reader.json);
  if (!family)
    seed_json_fail (&reader.json, 0, SEED_ERROR_FORMAT, "has no key \"model_type\"");
  if (!seed_hf_reader_finish (&reader, error))
    return FALSE;
  *config = family->defaults;
  config->family = family;
  return TRUE;
}

static gboolean
read_family_key (SeedHfReader *reader, SeedHfConfig *config, guint32 *seen)
{
  const SeedHfFamily *family = config->family;

  for (guint i = 0; i < family->n_keys; i++) {
    const SeedHfKey *key = &family->keys[i];

    if (!g_str_equal (key->key, reader->key->str))
      continue;
    if (!seed_hf_reader_mark_seen (reader, i, seen))
      return FALSE;
    if (*seen & (1u << i))
      return read_value (reader, key->type, G_STRUCT_MEMBER_P (config, key->offset));
  }
  return seed_json_skip (&reader->json);
}

static gboolean
check_config (const SeedHfConfig *config, const char *label, GError **error)
{
  if (!seed_vit_config_check (&config->vit, error)) {
    g_prefix_error (error, "%s: ", label);
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
  seed_json_open (&reader.json, '{');
  while (seed_hf_reader_next_key (&reader) && read_family_key (&reader, config, &seen))
    ;
  for (guint i = 0; i < config->family->n_keys; i++) {
    const SeedHfKey *key = &config->family->keys[i];

    if (key->required && !(seen & (1u << i)))
      seed_json_fail (&reader.json, 0, SEED_ERROR_FORMAT, "has no key \"%s\"", key->key);
  }
  return seed_hf_reader_finish (&reader, error) && check_config (config, label, error);
}

/* Files */

/* FALSE without an error: not there. */
static gboolean
read_text (const char *path, char **text, gsize *length, GError **error)
{
  struct stat stat;
  FILE *file = NULL;
  gboolean ok = FALSE;
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not block */

  if (fd < 0 && errno == ENOENT)
    return FALSE;
  if (fd < 0 || fstat (fd, &stat) < 0 || !(file = fdopen (fd, "r"))) {
    int saved = errno;
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot read: %s", path, g_strerror (saved));
    if (fd >= 0)
      close (fd);
    return FALSE;
  }
  if (!S_ISREG (stat.st_mode)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: is not a file", path);
    fclose (file);
    return FALSE;
  }
  *text = g_malloc (SEED_HF_CONFIG_MAX_BYTES + 1);
  *length = fread (*text, 1, SEED_HF_CONFIG_MAX_BYTES + 1, file);
  if (ferror (file))
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot read", path);
  else if (*length > SEED_HF_CONFIG_MAX_BYTES)
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "%s: longer than %u bytes", path,
        SEED_HF_CONFIG_MAX_BYTES);
  else
    ok = TRUE;
  fclose (file);
  return ok;
}

gboolean
seed_hf_config_read (SeedHfConfig *config, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "config.json", NULL);
  g_autofree char *preprocessor = g_build_filename (folder, "preprocessor_config.json", NULL);
  g_autofree char *text = NULL;
  g_autofree char *preprocessor_text = NULL;
  g_autoptr (GError) local = NULL;
  gsize length;

  if (!read_text (path, &text, &length, &local)) {
    if (!local)
      g_set_error (&local, SEED_ERROR, SEED_ERROR_NOT_FOUND,
          "%s: no such file; a model is a folder with config.json and model.safetensors", path);
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  if (!seed_hf_config_parse (config, path, text, length, error))
    return FALSE;
  if (read_text (preprocessor, &preprocessor_text, &length, &local))
    return seed_hf_preprocessor_parse (config, preprocessor, preprocessor_text, length, error);
  if (!local)
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
  }
}

static char *
format_config (const SeedHfFamily *family, const SeedVitConfig *vit)
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
  g_string_append (text, "  \"torch_dtype\": \"float32\"\n}\n");
  return g_string_free (text, FALSE);
}

gboolean
seed_hf_config_write (
    const SeedHfFamily *family, const SeedVitConfig *vit, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "config.json", NULL);
  g_autofree char *preprocessor = g_build_filename (folder, "preprocessor_config.json", NULL);
  g_autofree char *text = format_config (family, vit);
  g_autofree char *preprocessor_text = seed_hf_preprocessor_format (family, vit);

  return seed_atomic_file_set_contents (path, text, error) &&
         seed_atomic_file_set_contents (preprocessor, preprocessor_text, error);
}
