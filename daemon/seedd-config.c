/* SPDX-License-Identifier: MIT */
#include "seedd-config.h"

#include <math.h>
#include <string.h>

#include "graph/graph.h"
#include "publish/publisher.h"

typedef enum { TEXT, PATH, NAMES, BOOLEAN, INTEGER, BYTES, SECONDS, PARAMETERS, BACKEND } Kind;

typedef struct {
  const char *name;
  Kind kind;
  gsize offset;
  double min, max; /* of numbers */
} Field;

typedef struct {
  const char *folder;
  SeedDiagnostics *diagnostics;
} Reader;

#define AT(type, member) G_STRUCT_OFFSET (type, member)
#define DAY 86400.0

static const Field top_fields[] = {
  { "graphs", PATH, AT (SeeddConfig, graphs) },
  { "enable", NAMES, AT (SeeddConfig, enabled) },
  { "results", TEXT, AT (SeeddConfig, results) },
  { "insecure", BOOLEAN, AT (SeeddConfig, insecure) },
  { "hwm", INTEGER, AT (SeeddConfig, hwm), 1, 1e6 },
  { "control", TEXT, AT (SeeddConfig, control) },
  { "http", TEXT, AT (SeeddConfig, http) },
  { "runtime", PATH, AT (SeeddConfig, runtime) },
  { "start-limit", SECONDS, AT (SeeddConfig, start_limit_s), 0.1, DAY },
  { "stop-limit", SECONDS, AT (SeeddConfig, stop_limit_s), 0.1, DAY },
};
static const Field restart_fields[] = {
  { "initial", SECONDS, AT (SeeddConfig, backoff_s), 0.01, DAY },
  { "max", SECONDS, AT (SeeddConfig, backoff_max_s), 0.01, DAY },
  { "healthy", SECONDS, AT (SeeddConfig, healthy_s), 0.01, 365 * DAY },
};
static const Field heartbeat_fields[] = {
  { "interval", SECONDS, AT (SeeddConfig, heartbeat_s), 0.05, 60 },
  { "limit", SECONDS, AT (SeeddConfig, hang_s), 0.5, DAY },
};
static const Field limit_fields[] = {
  { "memory", BYTES, AT (SeeddLimits, memory), 1048576, 1e15 },
  { "threads", INTEGER, AT (SeeddLimits, threads), 0, 1024 },
  { "nice", INTEGER, AT (SeeddLimits, nice), -20, 19 },
  { "stall", SECONDS, AT (SeeddLimits, stall_s), 0, DAY },
  { "backend", BACKEND, AT (SeeddLimits, backend) },
  { "set", PARAMETERS, AT (SeeddLimits, set) },
};

/* ---- errors, in the words of the graph format ---- */

static void
report_expected (
    const Reader *reader, const SeedYaml *found, const char *what, const char *expected)
{
  g_autofree char *quoted = seed_quote (what), *description = seed_yaml_describe (found);

  seed_diagnostics_add (
      reader->diagnostics, found->mark, "%s: expected %s, found %s", quoted, expected, description);
}

static void
report_unknown (const Reader *reader, const SeedYaml *key, const char *where, const Field *fields,
    guint n, const char *const *more)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autofree char *quoted = seed_quote (key->text), *hint = NULL;

  for (guint i = 0; i < n; i++)
    g_ptr_array_add (names, (gpointer) fields[i].name);
  for (; more && *more; more++)
    g_ptr_array_add (names, (gpointer) *more);
  g_ptr_array_add (names, NULL);
  hint = seed_did_you_mean (key->text, (const char *const *) names->pdata);
  seed_diagnostics_add (
      reader->diagnostics, key->mark, "%s: unknown key %s%s", where, quoted, hint);
}

static gboolean
expect_kind (const Reader *reader, const SeedYaml *yaml, SeedYamlKind kind, const char *what)
{
  static const char *const kinds[] = { "a single value", "a list", "a mapping" };

  if (yaml->kind == kind && !seed_yaml_is_null (yaml))
    return TRUE;
  report_expected (reader, yaml, what, kinds[kind]);
  return FALSE;
}

/* ---- values ---- */

static void
replace (char **text, char *with)
{
  g_free (*text);
  *text = with;
}

static gboolean
is_graph_name (const Reader *reader, const SeedYaml *name)
{
  g_autofree char *quoted = NULL;

  if (seed_name_is_good (name->text))
    return TRUE;
  quoted = seed_quote (name->text);
  seed_diagnostics_add (reader->diagnostics, name->mark, "graph name %s: " SEED_NAME_RULE, quoted);
  return FALSE;
}

static void
read_names (const Reader *reader, const SeedYaml *yaml, const char *what, GPtrArray **names)
{
  g_clear_pointer (names, g_ptr_array_unref);
  if (yaml->kind == SEED_YAML_SCALAR && strcmp (yaml->text, "all") == 0)
    return;
  *names = g_ptr_array_new_with_free_func (g_free);
  if (yaml->kind != SEED_YAML_SEQUENCE) {
    report_expected (reader, yaml, what, "a list of graphs, or all");
    return;
  }
  for (guint i = 0; i < seed_yaml_length (yaml); i++) {
    const SeedYaml *item = seed_yaml_item (yaml, i);

    if (expect_kind (reader, item, SEED_YAML_SCALAR, what) && is_graph_name (reader, item))
      g_ptr_array_add (*names, g_strdup (item->text));
  }
}

static gboolean
parse_real (const char *text, double *value)
{
  char *end;

  *value = g_ascii_strtod (text, &end);
  return g_ascii_isdigit (*text) && *end == 0 && isfinite (*value);
}

static void
read_seconds (const Reader *reader, const SeedYaml *yaml, const Field *field, double *seconds)
{
  g_autofree char *expected = NULL;
  double value;

  if (yaml->kind == SEED_YAML_SCALAR && parse_real (yaml->text, &value) && value >= field->min &&
      value <= field->max) {
    *seconds = value;
    return;
  }
  expected = g_strdup_printf ("seconds from %g to %g", field->min, field->max);
  report_expected (reader, yaml, field->name, expected);
}

static void
read_integer (const Reader *reader, const SeedYaml *yaml, const Field *field, gint64 *integer)
{
  g_autofree char *expected = NULL;

  if (yaml->kind == SEED_YAML_SCALAR &&
      g_ascii_string_to_signed (
          yaml->text, 10, (gint64) field->min, (gint64) field->max, integer, NULL))
    return;
  expected = g_strdup_printf ("an integer from %.0f to %.0f", field->min, field->max);
  report_expected (reader, yaml, field->name, expected);
}

static void
read_bytes (const Reader *reader, const SeedYaml *yaml, const Field *field, gint64 *bytes)
{
  static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
  g_autofree char *number = NULL;
  double value, factor = 1;

  if (yaml->kind == SEED_YAML_SCALAR) {
    number = g_strdup (yaml->text);
    for (guint i = 0; i < G_N_ELEMENTS (units); i++) {
      if (!g_str_has_suffix (number, units[i]))
        continue;
      number[strlen (number) - strlen (units[i])] = 0;
      g_strchomp (number);
      factor = ldexp (1, 10 * ((int) i + 1));
      break;
    }
    if (parse_real (number, &value) && value * factor >= field->min &&
        value * factor <= field->max) {
      *bytes = (gint64) (value * factor);
      return;
    }
  }
  report_expected (reader, yaml, field->name, "bytes, at least 1 MiB, as in 512 MiB or 2 GiB");
}

static void
read_parameters (const Reader *reader, const SeedYaml *yaml, const Field *field, GHashTable *set)
{
  if (!expect_kind (reader, yaml, SEED_YAML_MAPPING, field->name))
    return;
  for (guint i = 0; i < seed_yaml_length (yaml); i++) {
    const SeedYaml *key = seed_yaml_key (yaml, i), *value = seed_yaml_value (yaml, i);

    if (expect_kind (reader, value, SEED_YAML_SCALAR, key->text))
      g_hash_table_replace (set, g_strdup (key->text), g_strdup (value->text));
  }
}

static void
read_backend (const Reader *reader, const SeedYaml *yaml, const Field *field, char **backend)
{
  static const char *const backends[] = { "auto", "native", "openblas", "onednn", NULL };

  if (yaml->kind == SEED_YAML_SCALAR && g_strv_contains (backends, yaml->text))
    replace (backend, g_strdup (yaml->text));
  else
    report_expected (reader, yaml, field->name, "one of auto, native, openblas, onednn");
}

static void
read_text (const Reader *reader, const SeedYaml *yaml, const Field *field, char **text)
{
  if (!expect_kind (reader, yaml, SEED_YAML_SCALAR, field->name))
    return;
  if (*yaml->text == 0)
    report_expected (reader, yaml, field->name, "a text");
  else if (field->kind == PATH)
    replace (text, g_canonicalize_filename (yaml->text, reader->folder));
  else
    replace (text, g_strdup (yaml->text));
}

static void
read_boolean (const Reader *reader, const SeedYaml *yaml, const Field *field, gboolean *value)
{
  if (yaml->kind == SEED_YAML_SCALAR &&
      (strcmp (yaml->text, "true") == 0 || strcmp (yaml->text, "false") == 0))
    *value = strcmp (yaml->text, "true") == 0;
  else
    report_expected (reader, yaml, field->name, "true or false");
}

static void
read_field (const Reader *reader, const SeedYaml *yaml, const Field *field, gpointer object)
{
  gpointer member = G_STRUCT_MEMBER_P (object, field->offset);

  switch (field->kind) {
  case TEXT:
  case PATH:
    read_text (reader, yaml, field, member);
    break;
  case NAMES:
    read_names (reader, yaml, field->name, member);
    break;
  case BOOLEAN:
    read_boolean (reader, yaml, field, member);
    break;
  case INTEGER:
    read_integer (reader, yaml, field, member);
    break;
  case BYTES:
    read_bytes (reader, yaml, field, member);
    break;
  case SECONDS:
    read_seconds (reader, yaml, field, member);
    break;
  case PARAMETERS:
    read_parameters (reader, yaml, field, *(GHashTable **) member);
    break;
  case BACKEND:
    read_backend (reader, yaml, field, member);
    break;
  }
}

/* ---- sections ---- */

static const Field *
find_field (const Field *fields, guint n, const char *name)
{
  for (guint i = 0; i < n; i++) {
    if (strcmp (fields[i].name, name) == 0)
      return &fields[i];
  }
  return NULL;
}

static void
read_section (const Reader *reader, const SeedYaml *yaml, const char *where, const Field *fields,
    guint n, gpointer object)
{
  if (!expect_kind (reader, yaml, SEED_YAML_MAPPING, where))
    return;
  for (guint i = 0; i < seed_yaml_length (yaml); i++) {
    const SeedYaml *key = seed_yaml_key (yaml, i);
    const Field *field = find_field (fields, n, key->text);

    if (field)
      read_field (reader, seed_yaml_value (yaml, i), field, object);
    else
      report_unknown (reader, key, where, fields, n, NULL);
  }
}

static GHashTable *
copy_set (GHashTable *from)
{
  GHashTable *set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GHashTableIter iter;
  gpointer key, value;

  if (!from)
    return set;
  g_hash_table_iter_init (&iter, from);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_hash_table_insert (set, g_strdup (key), g_strdup (value));
  return set;
}

static void
limits_clear (SeeddLimits *limits)
{
  g_clear_pointer (&limits->set, g_hash_table_unref);
  g_clear_pointer (&limits->backend, g_free);
}

static void
limits_free (gpointer data)
{
  limits_clear (data);
  g_free (data);
}

/* After the defaults: a graph's own limits stand over them. */
static void
read_limits (const Reader *reader, const SeedYaml *yaml, SeeddConfig *config)
{
  if (!expect_kind (reader, yaml, SEED_YAML_MAPPING, "limits"))
    return;
  for (guint i = 0; i < seed_yaml_length (yaml); i++) {
    const SeedYaml *key = seed_yaml_key (yaml, i);
    SeeddLimits *limits;

    if (!is_graph_name (reader, key))
      continue;
    limits = g_memdup2 (&config->defaults, sizeof *limits);
    limits->backend = g_strdup (config->defaults.backend);
    limits->set = copy_set (config->defaults.set);
    read_section (reader, seed_yaml_value (yaml, i), key->text, limit_fields,
        G_N_ELEMENTS (limit_fields), limits);
    g_hash_table_replace (config->limits, g_strdup (key->text), limits);
  }
}

static void
read_top (const Reader *reader, const SeedYaml *root, SeeddConfig *config)
{
  static const char *const sections[] = { "version", "restart", "heartbeat", "defaults", "limits",
    NULL };
  const SeedYaml *version = seed_yaml_lookup (root, "version", NULL), *section;

  if (!version)
    seed_diagnostics_add (
        reader->diagnostics, root->mark, "'version' is missing; expected 'version: 1'");
  else if (version->kind != SEED_YAML_SCALAR || strcmp (version->text, "1") != 0)
    report_expected (reader, version, "version", "1");
  for (guint i = 0; i < seed_yaml_length (root); i++) {
    const SeedYaml *key = seed_yaml_key (root, i);
    const Field *field = find_field (top_fields, G_N_ELEMENTS (top_fields), key->text);

    if (field)
      read_field (reader, seed_yaml_value (root, i), field, config);
    else if (!g_strv_contains (sections, key->text))
      report_unknown (
          reader, key, "configuration", top_fields, G_N_ELEMENTS (top_fields), sections);
  }
  if ((section = seed_yaml_lookup (root, "restart", NULL)))
    read_section (
        reader, section, "restart", restart_fields, G_N_ELEMENTS (restart_fields), config);
  if ((section = seed_yaml_lookup (root, "heartbeat", NULL)))
    read_section (
        reader, section, "heartbeat", heartbeat_fields, G_N_ELEMENTS (heartbeat_fields), config);
  if ((section = seed_yaml_lookup (root, "defaults", NULL)))
    read_section (
        reader, section, "defaults", limit_fields, G_N_ELEMENTS (limit_fields), &config->defaults);
  if ((section = seed_yaml_lookup (root, "limits", NULL)))
    read_limits (reader, section, config);
}

static void
check_together (const Reader *reader, const SeedYaml *root, const SeeddConfig *config)
{
  const SeedYaml *section;

  if (config->backoff_max_s < config->backoff_s &&
      (section = seed_yaml_lookup (root, "restart", NULL)))
    seed_diagnostics_add (reader->diagnostics, section->mark,
        "restart: 'max' (%g s) is less than 'initial' (%g s)", config->backoff_max_s,
        config->backoff_s);
  if (config->hang_s < 2 * config->heartbeat_s &&
      (section = seed_yaml_lookup (root, "heartbeat", NULL)))
    seed_diagnostics_add (reader->diagnostics, section->mark,
        "heartbeat: 'limit' (%g s) must be at least twice the 'interval' (%g s)", config->hang_s,
        config->heartbeat_s);
}

gboolean
seedd_config_parse (SeeddConfig *config, const char *text, gsize length, const char *folder,
    SeedDiagnostics *diagnostics)
{
  const Reader reader = { folder, diagnostics };
  g_autoptr (SeedYaml) root = seed_yaml_parse (text, length, diagnostics);

  if (root && root->kind != SEED_YAML_MAPPING)
    report_expected (&reader, root, "configuration", "a mapping");
  else if (root)
    read_top (&reader, root, config);
  if (root && seed_diagnostics_count (diagnostics) == 0)
    check_together (&reader, root, config);
  return seed_diagnostics_count (diagnostics) == 0;
}

gboolean
seedd_config_load (SeeddConfig *config, const char *file, SeedDiagnostics *diagnostics)
{
  g_autofree char *absolute = g_canonicalize_filename (file, NULL);
  g_autofree char *folder = g_path_get_dirname (absolute), *text = NULL;
  gsize length;

  text = seed_graph_read_file (file, &length, diagnostics);
  replace (&config->file, g_steal_pointer (&absolute));
  return text && seedd_config_parse (config, text, length, folder, diagnostics);
}

/* ---- defaults ---- */

char *
seedd_config_default_file (gboolean user)
{
  return user ? g_build_filename (g_get_user_config_dir (), "seed", "seedd.yaml", NULL)
              : g_strdup ("/etc/seed/seedd.yaml");
}

SeeddConfig *
seedd_config_new (gboolean user)
{
  SeeddConfig *config = g_new0 (SeeddConfig, 1);

  config->graphs = user ? g_build_filename (g_get_user_config_dir (), "seed", "graphs", NULL)
                        : g_strdup ("/etc/seed/graphs");
  config->runtime =
      user ? g_build_filename (g_get_user_runtime_dir (), "seed", NULL) : g_strdup ("/run/seed");
  config->results = g_strdup (SEED_WIRE_DEFAULT_ENDPOINT);
  config->hwm = SEED_PUBLISHER_DEFAULT_HWM;
  config->backoff_s = 1;
  config->backoff_max_s = 60;
  config->healthy_s = 300;
  config->heartbeat_s = 1;
  config->hang_s = 10;
  config->start_limit_s = 300;
  config->stop_limit_s = 30;
  config->defaults.stall_s = 60;
  config->defaults.set = copy_set (NULL);
  config->limits = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, limits_free);
  return config;
}

void
seedd_config_free (SeeddConfig *config)
{
  if (!config)
    return;
  g_free (config->file);
  g_free (config->graphs);
  g_clear_pointer (&config->enabled, g_ptr_array_unref);
  g_free (config->results);
  g_free (config->control);
  g_free (config->http);
  g_free (config->runtime);
  limits_clear (&config->defaults);
  g_hash_table_unref (config->limits);
  g_free (config);
}

const SeeddLimits *
seedd_config_limits (const SeeddConfig *config, const char *graph)
{
  const SeeddLimits *limits = g_hash_table_lookup (config->limits, graph);

  return limits ? limits : &config->defaults;
}

gboolean
seedd_config_is_enabled (const SeeddConfig *config, const char *graph)
{
  if (!config->enabled)
    return TRUE;
  for (guint i = 0; i < config->enabled->len; i++) {
    if (strcmp (g_ptr_array_index (config->enabled, i), graph) == 0)
      return TRUE;
  }
  return FALSE;
}

char *
seedd_config_control (const SeeddConfig *config)
{
  return config->control ? g_strdup (config->control)
                         : g_strdup_printf ("ipc://%s/control", config->runtime);
}
