/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/hf-reader.h"
#include "text/text-config.h"
#include "text/text-sentence.h"

#define MAX_CONFIG_BYTES (1u << 20)
#define MAX_WORD 256u
#define MAX_VOCAB (1u << 20)
#define MAX_POSITIONS 16384u
#define MAX_TYPES 4096u
#define MAX_DIM 16384u
#define MAX_DEPTH 256u
#define MAX_MLP_DIM 131072u
#define MAX_LN_EPS 0.1
/* CLIP's config.json had this by mistake, and its code never looked at it. */
#define LEGACY_EOS_ID 2u

static const SeedTextConfig clip_defaults = {
  .family = SEED_TEXT_CLIP,
  .family_name = "clip",
  .vocab_size = 49408,
  .max_positions = 77,
  .dim = 512,
  .depth = 12,
  .heads = 8,
  .mlp_dim = 2048,
  .ln_eps = 1e-5,
  .activation = SEED_ACTIVATION_QUICK_GELU,
  .causal = TRUE,
  .eos_id = 49407,
};

static const SeedTextConfig siglip_defaults = {
  .family = SEED_TEXT_SIGLIP,
  .family_name = "siglip",
  .vocab_size = 32000,
  .max_positions = 64,
  .dim = 768,
  .depth = 12,
  .heads = 12,
  .mlp_dim = 3072,
  .ln_eps = 1e-6,
  .activation = SEED_ACTIVATION_GELU_TANH,
  .pad = TRUE,
  .projected = TRUE,
  .pooling = SEED_TEXT_POOL_LAST,
};

static const SeedTextConfig bert_defaults = {
  .family = SEED_TEXT_BERT,
  .family_name = "bert",
  .vocab_size = 30522,
  .max_positions = 512,
  .types = 2,
  .dim = 768,
  .depth = 12,
  .heads = 12,
  .mlp_dim = 3072,
  .ln_eps = 1e-12,
  .activation = SEED_ACTIVATION_GELU,
  .post_norm = TRUE,
  .pooling = SEED_TEXT_POOL_MEAN,
};

static const struct {
  const char *name;
  const SeedTextConfig *defaults;
  gboolean sections; /* the keys are in text_config */
  gboolean projected;
} types[] = {
  { "clip", &clip_defaults, TRUE, TRUE },
  { "clip_text_model", &clip_defaults, FALSE, FALSE },
  { "siglip", &siglip_defaults, TRUE, TRUE },
  { "siglip_text_model", &siglip_defaults, FALSE, TRUE },
  { "bert", &bert_defaults, FALSE, FALSE },
};

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

#define UINT_KEY(key, field)                                                                       \
  {                                                                                                \
    key, G_STRUCT_OFFSET (SeedTextConfig, field)                                                   \
  }
static const struct {
  const char *key;
  gsize offset;
} uint_keys[] = {
  UINT_KEY ("vocab_size", vocab_size),
  UINT_KEY ("max_position_embeddings", max_positions),
  UINT_KEY ("type_vocab_size", types),
  UINT_KEY ("hidden_size", dim),
  UINT_KEY ("num_hidden_layers", depth),
  UINT_KEY ("num_attention_heads", heads),
  UINT_KEY ("intermediate_size", mlp_dim),
  UINT_KEY ("eos_token_id", eos_id),
};

static void
read_activation (SeedHfReader *reader, SeedActivation *activation)
{
  g_autofree char *shown = NULL;

  if (!seed_json_read_string (&reader->json, reader->word, MAX_WORD))
    return;
  for (guint i = 0; i < G_N_ELEMENTS (activations); i++)
    if (g_str_equal (activations[i].name, reader->word->str)) {
      *activation = activations[i].activation;
      return;
    }
  shown = seed_json_show (reader->word->str);
  seed_json_fail (&reader->json, reader->pos, SEED_ERROR_UNSUPPORTED,
      "%s is not supported; gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, silu and relu are",
      shown);
}

static void
read_position_type (SeedHfReader *reader)
{
  if (seed_json_read_string (&reader->json, reader->word, MAX_WORD) &&
      !g_str_equal (reader->word->str, "absolute"))
    seed_json_fail (&reader->json, reader->pos, SEED_ERROR_UNSUPPORTED,
        "only \"absolute\" positions are supported");
}

static void
read_value (SeedHfReader *reader, SeedTextConfig *config)
{
  const char *key = reader->key->str;

  if (seed_json_peek (&reader->json) == 'n') {
    seed_json_skip (&reader->json);
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (uint_keys); i++)
    if (g_str_equal (key, uint_keys[i].key)) {
      seed_hf_reader_read_uint (reader, G_STRUCT_MEMBER_P (config, uint_keys[i].offset));
      return;
    }
  if (g_str_equal (key, "layer_norm_eps"))
    seed_json_read_number (&reader->json, &config->ln_eps);
  else if (g_str_equal (key, "hidden_act"))
    read_activation (reader, &config->activation);
  else if (g_str_equal (key, "position_embedding_type"))
    read_position_type (reader);
  else
    seed_json_skip (&reader->json);
}

static void
read_object (SeedHfReader *reader, SeedTextConfig *config)
{
  seed_json_open (&reader->json, '{');
  while (seed_hf_reader_next_key (reader))
    read_value (reader, config);
}

/* The index in `types`. */
static gboolean
find_type (const char *label, const char *text, gsize length, guint *type, GError **error)
{
  gboolean found = FALSE;
  SeedHfReader reader;

  seed_hf_reader_init (&reader, label, text, length);
  seed_json_open (&reader.json, '{');
  while (seed_hf_reader_next_key (&reader)) {
    if (!g_str_equal (reader.key->str, "model_type")) {
      seed_json_skip (&reader.json);
      continue;
    }
    if (!seed_json_read_string (&reader.json, reader.word, MAX_WORD))
      break;
    found = FALSE;
    for (guint i = 0; i < G_N_ELEMENTS (types); i++)
      if (g_str_equal (types[i].name, reader.word->str)) {
        *type = i;
        found = TRUE;
      }
    if (!found)
      seed_json_fail (&reader.json, reader.pos, SEED_ERROR_UNSUPPORTED,
          "is no text encoder that is supported; clip, clip_text_model, siglip, siglip_text_model "
          "and bert are");
  }
  seed_json_end (&reader.json);
  if (!found)
    seed_json_fail (&reader.json, 0, SEED_ERROR_FORMAT, "has no key \"model_type\"");
  return seed_hf_reader_finish (&reader, error);
}

/* The object @section of the text, or all of it when that is NULL. */
static gboolean
parse_section (SeedTextConfig *config, const char *section, const SeedTextConfig *defaults,
    const char *label, const char *text, gsize length, GError **error)
{
  SeedHfReader reader;

  seed_hf_reader_init (&reader, label, text, length);
  if (!section)
    read_object (&reader, config);
  else {
    seed_json_open (&reader.json, '{');
    while (seed_hf_reader_next_key (&reader)) {
      if (!g_str_equal (reader.key->str, section) || seed_json_peek (&reader.json) != '{') {
        seed_json_skip (&reader.json);
        continue;
      }
      *config = *defaults;
      read_object (&reader, config);
    }
  }
  seed_json_end (&reader.json);
  return seed_hf_reader_finish (&reader, error);
}

static gboolean
check_range (const char *label, const char *key, guint value, guint max, GError **error)
{
  if (value >= 1 && value <= max)
    return TRUE;
  g_set_error (error, SEED_ERROR, value ? SEED_ERROR_LIMIT : SEED_ERROR_INVALID,
      "%s: key \"%s\": is %u; 1 to %u are supported", label, key, value, max);
  return FALSE;
}

static gboolean
check (const SeedTextConfig *config, const char *label, GError **error)
{
  if (!check_range (label, "vocab_size", config->vocab_size, MAX_VOCAB, error) ||
      !check_range (
          label, "max_position_embeddings", config->max_positions, MAX_POSITIONS, error) ||
      !check_range (label, "hidden_size", config->dim, MAX_DIM, error) ||
      !check_range (label, "num_hidden_layers", config->depth, MAX_DEPTH, error) ||
      !check_range (label, "num_attention_heads", config->heads, MAX_DIM, error) ||
      !check_range (label, "intermediate_size", config->mlp_dim, MAX_MLP_DIM, error) ||
      (config->family == SEED_TEXT_BERT &&
          !check_range (label, "type_vocab_size", config->types, MAX_TYPES, error)))
    return FALSE;
  if (config->max_positions < 3)
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: key \"max_position_embeddings\": is %u; a text takes at least 3", label,
        config->max_positions);
  else if (config->dim % config->heads != 0)
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: hidden_size %u is not a multiple of num_attention_heads %u", label, config->dim,
        config->heads);
  else if (!(config->ln_eps > 0 && config->ln_eps <= MAX_LN_EPS))
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: key \"layer_norm_eps\": is %g; it must be above 0 and at most %g", label,
        config->ln_eps, MAX_LN_EPS);
  else
    return TRUE;
  return FALSE;
}

gboolean
seed_text_config_parse (
    SeedTextConfig *config, const char *label, const char *text, gsize length, GError **error)
{
  const SeedTextConfig *defaults;
  guint type = 0;

  if (!find_type (label, text, length, &type, error))
    return FALSE;
  defaults = types[type].defaults;
  *config = *defaults;
  /* the second, from before the first was the whole truth, counts more */
  if (!parse_section (config, types[type].sections ? "text_config" : NULL, defaults, label, text,
          length, error) ||
      (types[type].sections &&
          !parse_section (config, "text_config_dict", defaults, label, text, length, error)))
    return FALSE;
  config->projected = types[type].projected;
  if (config->family != SEED_TEXT_BERT)
    config->types = 0;
  if (config->family == SEED_TEXT_CLIP)
    config->pooling = config->eos_id == LEGACY_EOS_ID ? SEED_TEXT_POOL_LARGEST : SEED_TEXT_POOL_EOS;
  return check (config, label, error);
}

gboolean
seed_text_config_read (SeedTextConfig *config, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "config.json", NULL);
  g_autofree char *text = NULL;
  gsize length;

  return seed_hf_read_text (path, MAX_CONFIG_BYTES, &text, &length, error) &&
         seed_text_config_parse (config, path, text, length, error) &&
         (config->family != SEED_TEXT_BERT || seed_text_sentence_read (config, folder, error));
}
