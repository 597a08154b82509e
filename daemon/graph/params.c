/* SPDX-License-Identifier: MIT */
#include "graph/params.h"

#include <string.h>

#define ENV_PREFIX "env:"

typedef struct {
  SeedDiagnostics *diagnostics;
  GHashTable *values; /* name -> text */
  GPtrArray *names;   /* the keys of values, NULL-terminated for seed_nearest_name */
  gsize budget;
  gboolean exceeded; /* reported once, not at every value that follows */
} Params;

static gboolean
is_parameter_name (const char *name)
{
  if (!g_ascii_isalpha (*name) && *name != '_')
    return FALSE;
  return name[strspn (name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] ==
         0;
}

static const char *
look_up (Params *params, const char *name, SeedMark mark)
{
  g_autofree char *quoted = seed_quote (name), *hint = NULL;
  const char *value;

  if (g_str_has_prefix (name, ENV_PREFIX)) {
    value = g_getenv (name + strlen (ENV_PREFIX));
    if (value && g_utf8_validate (value, -1, NULL))
      return value;
    g_free (quoted);
    quoted = seed_quote (name + strlen (ENV_PREFIX));
    seed_diagnostics_add (params->diagnostics, mark, "environment variable %s is %s", quoted,
        value ? "not UTF-8 text" : "not set");
    return NULL;
  }
  value = g_hash_table_lookup (params->values, name);
  if (value)
    return value;
  hint = seed_did_you_mean (name, (const char *const *) params->names->pdata);
  seed_diagnostics_add (params->diagnostics, mark, "unknown parameter %s%s", quoted, hint);
  return NULL;
}

static gboolean
append_limited (Params *params, GString *text, const char *bytes, gsize n, SeedMark mark)
{
  if (n > params->budget) {
    if (!params->exceeded)
      seed_diagnostics_add (params->diagnostics, mark,
          "the graph grows beyond %d bytes when parameters are filled in", SEED_PARAMS_MAX_BYTES);
    params->exceeded = TRUE;
    return FALSE;
  }
  params->budget -= n;
  g_string_append_len (text, bytes, (gssize) n);
  return TRUE;
}

/* NULL after an error, reported. */
static char *
expand (Params *params, const char *text, SeedMark mark)
{
  g_autoptr (GString) result = g_string_new (NULL);

  while (*text) {
    const char *dollar = strstr (text, "${"), *end, *value;
    gboolean escaped = dollar && dollar > text && dollar[-1] == '$';
    g_autofree char *name = NULL;

    if (!dollar) {
      if (!append_limited (params, result, text, strlen (text), mark))
        return NULL;
      break;
    }
    if (!append_limited (params, result, text, (gsize) (dollar - text) - escaped, mark))
      return NULL;
    text = dollar + 2;
    if (escaped) {
      if (!append_limited (params, result, "${", 2, mark))
        return NULL;
      continue;
    }
    end = strchr (text, '}');
    if (!end) {
      seed_diagnostics_add (params->diagnostics, mark,
          "'${' without '}'; write '$${' where the characters themselves are meant");
      return NULL;
    }
    name = g_strndup (text, (gsize) (end - text));
    value = look_up (params, name, mark);
    if (!value || !append_limited (params, result, value, strlen (value), mark))
      return NULL;
    text = end + 1;
  }
  return g_string_free (g_steal_pointer (&result), FALSE);
}

static void
define (Params *params, const char *name, char *value)
{
  char *key = g_strdup (name);

  g_hash_table_replace (params->values, key, value);
  g_ptr_array_insert (params->names, (int) params->names->len - 1, key);
}

static void
define_from_file (Params *params, SeedYaml *section, GHashTable *set)
{
  for (guint i = 0; i < seed_yaml_length (section); i++) {
    SeedYaml *key = seed_yaml_key (section, i), *value = seed_yaml_value (section, i);
    const char *override = set ? g_hash_table_lookup (set, key->text) : NULL;
    char *text;

    if (!is_parameter_name (key->text)) {
      g_autofree char *quoted = seed_quote (key->text);

      seed_diagnostics_add (params->diagnostics, key->mark,
          "parameter name %s: expected letters, digits, '-' and '_', not beginning with a digit",
          quoted);
    } else if (value->kind != SEED_YAML_SCALAR) {
      g_autofree char *what = seed_yaml_describe (value);

      seed_diagnostics_add (params->diagnostics, value->mark,
          "parameter '%s': expected a single value, found %s", key->text, what);
    } else {
      text = override ? g_strdup (override) : expand (params, value->text, value->mark);
      /* After an error the name is still known, so that its uses are not errors as well. */
      define (params, key->text, text ? text : g_strdup (""));
    }
  }
}

static void
check_overrides (Params *params, GHashTable *set, SeedMark mark)
{
  g_autoptr (GList) names = set ? g_hash_table_get_keys (set) : NULL;

  for (GList *l = names; l; l = l->next) {
    g_autofree char *quoted = NULL, *hint = NULL;

    if (g_hash_table_contains (params->values, l->data))
      continue;
    quoted = seed_quote (l->data);
    hint = seed_did_you_mean (l->data, (const char *const *) params->names->pdata);
    seed_diagnostics_add (
        params->diagnostics, mark, "--set %s: the graph has no such parameter%s", quoted, hint);
  }
}

static void
apply (Params *params, SeedYaml *yaml)
{
  if (yaml->kind == SEED_YAML_SCALAR) {
    char *text = strstr (yaml->text, "${") ? expand (params, yaml->text, yaml->mark) : NULL;

    yaml->broken = !text && strstr (yaml->text, "${");
    if (text) {
      g_free (yaml->text);
      yaml->text = text;
    }
    return;
  }
  /* Of a mapping the values alone: keys are names. */
  for (guint i = 0; i < seed_yaml_length (yaml); i++)
    apply (params,
        yaml->kind == SEED_YAML_MAPPING ? seed_yaml_value (yaml, i) : seed_yaml_item (yaml, i));
}

void
seed_params_apply (SeedYaml *root, GHashTable *set, SeedDiagnostics *diagnostics)
{
  Params params = { .diagnostics = diagnostics, .budget = SEED_PARAMS_MAX_BYTES };
  SeedYaml *key = root, *section = seed_yaml_lookup (root, "parameters", &key);

  params.values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  params.names = g_ptr_array_new ();
  g_ptr_array_add (params.names, NULL);

  if (section && section->kind == SEED_YAML_MAPPING) {
    define_from_file (&params, section, set);
  } else if (section) {
    g_autofree char *what = seed_yaml_describe (section);

    seed_diagnostics_add (
        diagnostics, section->mark, "parameters: expected a mapping, found %s", what);
  }
  check_overrides (&params, set, key->mark);
  for (guint i = 0; root->kind == SEED_YAML_MAPPING && i < seed_yaml_length (root); i++) {
    if (seed_yaml_value (root, i) != section)
      apply (&params, seed_yaml_value (root, i));
  }
  g_ptr_array_unref (params.names);
  g_hash_table_unref (params.values);
}

gboolean
seed_params_parse_set (GHashTable *set, const char *option, const char *text, GError **error)
{
  const char *equals = strchr (text, '=');

  if (!equals || equals == text || !g_utf8_validate (text, -1, NULL)) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s %s: expected NAME=VALUE",
        option, text);
    return FALSE;
  }
  g_hash_table_replace (set, g_strndup (text, (gsize) (equals - text)), g_strdup (equals + 1));
  return TRUE;
}
