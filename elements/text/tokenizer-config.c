/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/hf-reader.h"
#include "text/tokenizer-config.h"

#define MAX_KEY 256u

static const char *const special_keys[SEED_N_SPECIALS] = {
  [SEED_SPECIAL_BOS] = "bos_token",
  [SEED_SPECIAL_EOS] = "eos_token",
  [SEED_SPECIAL_UNK] = "unk_token",
  [SEED_SPECIAL_PAD] = "pad_token",
  [SEED_SPECIAL_CLS] = "cls_token",
  [SEED_SPECIAL_SEP] = "sep_token",
  [SEED_SPECIAL_MASK] = "mask_token",
};

void
seed_tokenizer_config_init (SeedTokenizerConfig *config)
{
  *config = (SeedTokenizerConfig){
    .lower_case = SEED_UNSET, .strip_accents = SEED_UNSET, .split_ideographs = SEED_UNSET
  };
  seed_added_tokens_init (&config->added);
}

void
seed_tokenizer_config_clear (SeedTokenizerConfig *config)
{
  for (guint i = 0; i < SEED_N_SPECIALS; i++)
    g_clear_pointer (&config->special[i], g_free);
  seed_added_tokens_clear (&config->added);
}

/* An object with "content", the flags of a token and, in tokenizer.json, its "id". */
static gboolean
read_added_token (SeedJson *json, GString *content, SeedAddedToken *token, gboolean *has_id)
{
  g_autoptr (GString) key = g_string_new (NULL);
  gboolean single_word = FALSE;
  guint64 id;

  *has_id = FALSE;
  g_string_truncate (content, 0);
  seed_json_open (json, '{');
  while (seed_json_next_member (json, key, MAX_KEY)) {
    if (g_str_equal (key->str, "content"))
      seed_json_read_string (json, content, SEED_VOCAB_MAX_TOKEN_BYTES);
    else if (g_str_equal (key->str, "lstrip"))
      seed_json_read_boolean (json, &token->lstrip);
    else if (g_str_equal (key->str, "rstrip"))
      seed_json_read_boolean (json, &token->rstrip);
    else if (g_str_equal (key->str, "normalized"))
      seed_json_read_boolean (json, &token->normalized);
    else if (g_str_equal (key->str, "single_word"))
      seed_json_read_boolean (json, &single_word);
    else if (g_str_equal (key->str, "id"))
      *has_id = seed_json_read_uint (json, SEED_VOCAB_MAX_TOKENS - 1, &id);
    else
      seed_json_skip (json);
  }
  if (json->error)
    return FALSE;
  if (single_word)
    return seed_json_fail (
        json, json->pos, SEED_ERROR_UNSUPPORTED, "added tokens with single_word are not supported");
  if (content->len == 0)
    return seed_json_fail (json, json->pos, SEED_ERROR_FORMAT, "an added token without content");
  token->content = content->str;
  if (*has_id)
    token->id = (guint32) id;
  return TRUE;
}

static gboolean
add_token (SeedJson *json, SeedTokenizerConfig *config, const SeedAddedToken *token)
{
  if (seed_added_tokens_add (&config->added, token))
    return TRUE;
  return seed_json_fail (
      json, json->pos, SEED_ERROR_LIMIT, "more than %u added tokens", SEED_ADDED_TOKENS_MAX);
}

/* {"49406": {"content": "<|startoftext|>", ...}, ...} */
static void
read_added_decoder (SeedJson *json, SeedTokenizerConfig *config)
{
  g_autoptr (GString) key = g_string_new (NULL);
  g_autoptr (GString) content = g_string_new (NULL);

  seed_json_open (json, '{');
  while (seed_json_next_member (json, key, MAX_KEY)) {
    SeedAddedToken token = { 0 };
    guint64 id;
    gboolean has_id;

    if (!g_ascii_string_to_unsigned (key->str, 10, 0, SEED_VOCAB_MAX_TOKENS - 1, &id, NULL))
      seed_json_fail (json, json->pos, SEED_ERROR_FORMAT,
          "expected the id of a token (0 to %u) as the key", SEED_VOCAB_MAX_TOKENS - 1);
    if (read_added_token (json, content, &token, &has_id)) {
      token.id = (guint32) id;
      add_token (json, config, &token);
    }
  }
}

/* A string, or an object with "content", or null. */
static void
read_special (SeedJson *json, char **special)
{
  g_autoptr (GString) content = g_string_new (NULL);
  SeedAddedToken token = { 0 };
  gboolean has_id;

  if (seed_json_peek (json) == 'n') {
    seed_json_skip (json);
    return;
  }
  if (seed_json_peek (json) == '{')
    read_added_token (json, content, &token, &has_id);
  else
    seed_json_read_string (json, content, SEED_VOCAB_MAX_TOKEN_BYTES);
  if (!json->error) {
    g_free (*special);
    *special = g_strdup (content->str);
  }
}

static void
read_tristate (SeedJson *json, SeedTristate *value)
{
  gboolean yes;

  if (seed_json_peek (json) == 'n')
    seed_json_skip (json);
  else if (seed_json_read_boolean (json, &yes))
    *value = yes ? SEED_YES : SEED_NO;
}

/* Files that set no limit write 1e30, some of them as an integer of 31 digits. */
static void
read_max_length (SeedJson *json, guint64 *max_length)
{
  double value;

  if (seed_json_peek (json) == 'n')
    seed_json_skip (json);
  else if (seed_json_read_number (json, &value)) {
    if (value < 2)
      seed_json_fail (json, json->pos, SEED_ERROR_INVALID,
          "model_max_length is %g; it must be at least 2", value);
    else
      *max_length = value < 1e9 ? (guint64) value : 0;
  }
}

static gboolean
read_special_member (SeedJson *json, SeedTokenizerConfig *config, const char *key)
{
  for (guint i = 0; i < SEED_N_SPECIALS; i++)
    if (g_str_equal (key, special_keys[i])) {
      read_special (json, &config->special[i]);
      return TRUE;
    }
  return FALSE;
}

gboolean
seed_tokenizer_config_parse (
    SeedTokenizerConfig *config, const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (GString) key = g_string_new (NULL);
  SeedJson json;

  seed_json_init (&json, label, text, length, 0);
  seed_json_open (&json, '{');
  while (seed_json_next_member (&json, key, MAX_KEY)) {
    if (g_str_equal (key->str, "added_tokens_decoder"))
      read_added_decoder (&json, config);
    else if (g_str_equal (key->str, "do_lower_case"))
      read_tristate (&json, &config->lower_case);
    else if (g_str_equal (key->str, "strip_accents"))
      read_tristate (&json, &config->strip_accents);
    else if (g_str_equal (key->str, "tokenize_chinese_chars"))
      read_tristate (&json, &config->split_ideographs);
    else if (g_str_equal (key->str, "model_max_length"))
      read_max_length (&json, &config->max_length);
    else if (!read_special_member (&json, config, key->str))
      seed_json_skip (&json);
  }
  seed_json_end (&json);
  return seed_json_finish (&json, error);
}

static gboolean
parse_if_there (SeedTokenizerConfig *config, const char *folder, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *text = NULL;
  gsize length;

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return TRUE;
  return seed_hf_read_text (path, SEED_VOCAB_MAX_FILE, &text, &length, error) &&
         seed_tokenizer_config_parse (config, path, text, length, error);
}

gboolean
seed_tokenizer_config_load (SeedTokenizerConfig *config, const char *folder, GError **error)
{
  gboolean ok;

  seed_tokenizer_config_init (config);
  ok = parse_if_there (config, folder, "tokenizer_config.json", error);
  /* an old pair of files, where the second has the last word */
  if (ok && config->added.items->len == 0)
    ok = parse_if_there (config, folder, "special_tokens_map.json", error);
  if (!ok)
    seed_tokenizer_config_clear (config);
  return ok;
}

static void
read_vocab (SeedJson *json, SeedVocab *vocab)
{
  g_autoptr (GString) token = g_string_new (NULL);
  const char *problem;
  guint64 id;

  seed_json_open (json, '{');
  while (seed_json_next_member (json, token, SEED_VOCAB_MAX_TOKEN_BYTES))
    if (seed_json_read_uint (json, SEED_VOCAB_MAX_TOKENS - 1, &id) &&
        !seed_vocab_add (vocab, token->str, token->len, (guint32) id, &problem))
      seed_json_fail (json, json->pos, SEED_ERROR_LIMIT, "%s", problem);
}

SeedVocab *
seed_tokenizer_parse_vocab_json (const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (SeedVocab) vocab = seed_vocab_new ();
  SeedJson json;

  seed_json_init (&json, label, text, length, 0);
  read_vocab (&json, vocab);
  seed_json_end (&json);
  return seed_json_finish (&json, error) ? g_steal_pointer (&vocab) : NULL;
}

/* Of a token that the other file has too, its flags count, but for where it is looked for. */
static void
merge_token (SeedJson *json, SeedTokenizerConfig *config, const SeedAddedToken *token)
{
  const SeedAddedToken *known = seed_added_tokens_lookup (&config->added, token->content);
  SeedAddedToken merged = known ? *known : *token;

  merged.content = token->content;
  merged.normalized = token->normalized;
  add_token (json, config, &merged);
}

static void
read_added_array (SeedJson *json, SeedTokenizerConfig *config)
{
  g_autoptr (GString) content = g_string_new (NULL);

  seed_json_open (json, '[');
  while (seed_json_next_element (json)) {
    SeedAddedToken token = { 0 };
    gboolean has_id;

    if (read_added_token (json, content, &token, &has_id) && !has_id)
      seed_json_fail (json, json->pos, SEED_ERROR_FORMAT, "an added token without id");
    if (!json->error)
      merge_token (json, config, &token);
  }
}

/* "ab c" or ["ab", "c"] */
static void
read_merge (SeedJson *json, SeedBpe *bpe, GString *left, GString *right)
{
  const char *problem;

  if (seed_json_peek (json) == '[') {
    seed_json_open (json, '[');
    if (!seed_json_next_element (json) ||
        !seed_json_read_string (json, left, SEED_VOCAB_MAX_TOKEN_BYTES) ||
        !seed_json_next_element (json) ||
        !seed_json_read_string (json, right, SEED_VOCAB_MAX_TOKEN_BYTES) ||
        seed_json_next_element (json))
      seed_json_fail (json, json->pos, SEED_ERROR_FORMAT, "expected a merge of two parts");
  } else {
    const char *space;

    seed_json_read_string (json, left, 2 * SEED_VOCAB_MAX_TOKEN_BYTES + 1);
    space = strchr (left->str, ' ');
    g_string_assign (right, space ? space + 1 : "");
    g_string_truncate (left, space ? (gsize) (space - left->str) : 0);
  }
  if (!json->error &&
      !seed_bpe_add_merge (bpe, left->str, left->len, right->str, right->len, &problem))
    seed_json_fail (json, json->pos, SEED_ERROR_FORMAT, "this merge cannot be used: %s", problem);
}

static void
read_merges (SeedJson *json, SeedBpe *bpe)
{
  g_autoptr (GString) left = g_string_new (NULL);
  g_autoptr (GString) right = g_string_new (NULL);

  seed_json_open (json, '[');
  while (seed_json_next_element (json))
    read_merge (json, bpe, left, right);
}

static void
read_model (SeedJson *json, const char *type, SeedVocab *vocab, SeedBpe *bpe)
{
  g_autoptr (GString) key = g_string_new (NULL);
  g_autoptr (GString) value = g_string_new (NULL);

  seed_json_open (json, '{');
  while (seed_json_next_member (json, key, MAX_KEY)) {
    if (type && g_str_equal (key->str, "type")) {
      if (seed_json_read_string (json, value, MAX_KEY) && !g_str_equal (value->str, type))
        seed_json_fail (json, json->pos, SEED_ERROR_UNSUPPORTED,
            "the model is of type %s, expected %s", value->str, type);
    } else if (vocab && g_str_equal (key->str, "vocab"))
      read_vocab (json, vocab);
    else if (bpe && g_str_equal (key->str, "merges"))
      read_merges (json, bpe);
    else
      seed_json_skip (json);
  }
}

gboolean
seed_tokenizer_parse_json (SeedTokenizerConfig *config, const char *type, SeedVocab **vocab,
    const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (SeedVocab) found = seed_vocab_new ();
  g_autoptr (GString) key = g_string_new (NULL);
  SeedJson json;

  seed_json_init (&json, label, text, length, 0);
  seed_json_open (&json, '{');
  while (seed_json_next_member (&json, key, MAX_KEY)) {
    if (g_str_equal (key->str, "added_tokens"))
      read_added_array (&json, config);
    else if (g_str_equal (key->str, "model"))
      read_model (&json, type, vocab ? found : NULL, NULL);
    else
      seed_json_skip (&json);
  }
  seed_json_end (&json);
  if (!seed_json_finish (&json, error))
    return FALSE;
  if (vocab)
    *vocab = g_steal_pointer (&found);
  return TRUE;
}

gboolean
seed_tokenizer_parse_json_merges (
    SeedBpe *bpe, const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (GString) key = g_string_new (NULL);
  SeedJson json;

  seed_json_init (&json, label, text, length, 0);
  seed_json_open (&json, '{');
  while (seed_json_next_member (&json, key, MAX_KEY))
    if (g_str_equal (key->str, "model"))
      read_model (&json, NULL, NULL, bpe);
    else
      seed_json_skip (&json);
  return seed_json_finish (&json, error);
}
