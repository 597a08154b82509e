/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/hf-reader.h"
#include "text/text-sentence.h"

#define MAX_FILE_BYTES (1u << 20)
#define MAX_WORD 256u

gboolean
seed_text_sentence_parse (
    SeedTextConfig *config, const char *label, const char *text, gsize length, GError **error)
{
  SeedHfReader reader;

  seed_hf_reader_init (&reader, label, text, length);
  seed_json_open (&reader.json, '{');
  while (seed_hf_reader_next_key (&reader)) {
    gboolean null = seed_json_peek (&reader.json) == 'n';

    if (!null && g_str_equal (reader.key->str, "max_seq_length")) {
      if (seed_hf_reader_read_uint (&reader, &config->max_tokens) && config->max_tokens < 3)
        seed_json_fail (&reader.json, reader.pos, SEED_ERROR_INVALID,
            "is %u; a text takes at least 3 tokens", config->max_tokens);
    } else if (!null && g_str_equal (reader.key->str, "do_lower_case"))
      seed_json_read_boolean (&reader.json, &config->lower_case_first);
    else
      seed_json_skip (&reader.json);
  }
  seed_json_end (&reader.json);
  return seed_hf_reader_finish (&reader, error);
}

gboolean
seed_text_pooling_parse (
    SeedTextConfig *config, const char *label, const char *text, gsize length, GError **error)
{
  guint n = 0;
  SeedHfReader reader;

  seed_hf_reader_init (&reader, label, text, length);
  seed_json_open (&reader.json, '{');
  while (seed_hf_reader_next_key (&reader)) {
    gboolean on = FALSE;

    if (!g_str_has_prefix (reader.key->str, "pooling_mode_")) {
      seed_json_skip (&reader.json);
      continue;
    }
    if (!seed_json_read_boolean (&reader.json, &on) || !on)
      continue;
    if (g_str_equal (reader.key->str, "pooling_mode_cls_token"))
      config->pooling = SEED_TEXT_POOL_CLS;
    else if (g_str_equal (reader.key->str, "pooling_mode_mean_tokens"))
      config->pooling = SEED_TEXT_POOL_MEAN;
    else
      seed_json_fail (&reader.json, reader.pos, SEED_ERROR_UNSUPPORTED,
          "is not supported; pooling_mode_cls_token and pooling_mode_mean_tokens are");
    n++;
  }
  seed_json_end (&reader.json);
  reader.json.kind = NULL;
  if (n != 1)
    seed_json_fail (&reader.json, 0, SEED_ERROR_UNSUPPORTED,
        "turns %u pooling modes on; exactly one is supported", n);
  return seed_hf_reader_finish (&reader, error);
}

typedef struct {
  GString *type, *path;
} Module;

static void
read_module (SeedHfReader *reader, Module *module)
{
  g_string_truncate (module->type, 0);
  g_string_truncate (module->path, 0);
  seed_json_open (&reader->json, '{');
  while (seed_hf_reader_next_key (reader)) {
    if (g_str_equal (reader->key->str, "type"))
      seed_json_read_string (&reader->json, module->type, MAX_WORD);
    else if (g_str_equal (reader->key->str, "path")) {
      if (seed_json_read_string (&reader->json, module->path, MAX_WORD) &&
          (strchr (module->path->str, '/') || g_str_equal (module->path->str, "..")))
        seed_json_fail (&reader->json, reader->pos, SEED_ERROR_INVALID,
            "must be the name of a folder in the same folder");
    } else
      seed_json_skip (&reader->json);
  }
  reader->json.kind = NULL;
}

/* In this order; the last may be missing. */
static const char *const module_types[] = { ".Transformer", ".Pooling", ".Normalize" };

static void
take_module (
    SeedHfReader *reader, const Module *module, guint index, SeedTextConfig *config, char **pooling)
{
  if (reader->json.error)
    return;
  if (index >= G_N_ELEMENTS (module_types) ||
      !g_str_has_suffix (module->type->str, module_types[index])) {
    g_autofree char *shown = seed_json_show (module->type->str);

    seed_json_fail (&reader->json, reader->json.pos, SEED_ERROR_UNSUPPORTED,
        "module %u is a %s; Transformer, Pooling and perhaps Normalize are supported", index,
        shown);
  } else if (index == 0 && module->path->len > 0)
    seed_json_fail (&reader->json, reader->json.pos, SEED_ERROR_UNSUPPORTED,
        "the transformer is in a folder of its own; move its files up beside modules.json");
  else if (index == 1)
    *pooling = g_strdup (module->path->str);
  else if (index == 2)
    config->normalise = TRUE;
}

gboolean
seed_text_modules_parse (SeedTextConfig *config, char **pooling, const char *label,
    const char *text, gsize length, GError **error)
{
  Module module = { g_string_new (NULL), g_string_new (NULL) };
  g_autofree char *path = NULL;
  SeedHfReader reader;
  gboolean ok;

  seed_hf_reader_init (&reader, label, text, length);
  seed_json_open (&reader.json, '[');
  for (guint i = 0; seed_json_next_element (&reader.json); i++) {
    read_module (&reader, &module);
    take_module (&reader, &module, i, config, &path);
  }
  seed_json_end (&reader.json);
  ok = seed_hf_reader_finish (&reader, error);
  g_string_free (module.type, TRUE);
  g_string_free (module.path, TRUE);
  if (ok)
    *pooling = g_steal_pointer (&path);
  return ok;
}

/* NULL without an error: there is no such file. */
static char *
read_optional (const char *path, gsize *length, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autofree char *text = NULL;

  if (seed_hf_read_text (path, MAX_FILE_BYTES, &text, length, &local))
    return g_steal_pointer (&text);
  if (!g_error_matches (local, SEED_ERROR, SEED_ERROR_NOT_FOUND))
    g_propagate_error (error, g_steal_pointer (&local));
  return NULL;
}

static gboolean
read_pooling (SeedTextConfig *config, const char *folder, const char *module, GError **error)
{
  g_autofree char *path = g_build_filename (folder, module, "config.json", NULL);
  g_autofree char *text = NULL;
  gsize length;

  return seed_hf_read_text (path, MAX_FILE_BYTES, &text, &length, error) &&
         seed_text_pooling_parse (config, path, text, length, error);
}

gboolean
seed_text_sentence_read (SeedTextConfig *config, const char *folder, GError **error)
{
  g_autofree char *sentence_path = g_build_filename (folder, "sentence_bert_config.json", NULL);
  g_autofree char *modules_path = g_build_filename (folder, "modules.json", NULL);
  g_autofree char *sentence = NULL, *modules = NULL, *pooling = NULL;
  g_autoptr (GError) local = NULL;
  gsize sentence_length, modules_length;

  sentence = read_optional (sentence_path, &sentence_length, &local);
  if (!local)
    modules = read_optional (modules_path, &modules_length, &local);
  if (local) {
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  if ((sentence &&
          !seed_text_sentence_parse (config, sentence_path, sentence, sentence_length, error)) ||
      (modules && !seed_text_modules_parse (
                      config, &pooling, modules_path, modules, modules_length, error)))
    return FALSE;
  return !pooling || read_pooling (config, folder, pooling, error);
}
