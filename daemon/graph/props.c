/* SPDX-License-Identifier: MIT */
#include "graph/props.h"

#include <math.h>
#include <string.h>

#define MAX_LISTED 32 /* enum values named in a message */

GObjectClass *
seed_props_class (GstElementFactory *factory)
{
  g_autoptr (GstPluginFeature) loaded = gst_plugin_feature_load (GST_PLUGIN_FEATURE (factory));

  if (!loaded)
    return NULL;
  return g_type_class_ref (gst_element_factory_get_element_type (GST_ELEMENT_FACTORY (loaded)));
}

/* Names and parents belong to the graph; objects and pointers cannot be written in text. */
static gboolean
is_settable (const GParamSpec *pspec)
{
  return (pspec->flags & G_PARAM_WRITABLE) && strcmp (pspec->name, "name") != 0 &&
         strcmp (pspec->name, "parent") != 0 && !G_TYPE_IS_OBJECT (pspec->value_type) &&
         !g_type_is_a (pspec->value_type, G_TYPE_POINTER);
}

GParamSpec *
seed_props_find (GObjectClass *klass, const char *name)
{
  GParamSpec *pspec = g_object_class_find_property (klass, name);

  /* GObject takes '_' for '-'; the format has one spelling. */
  return pspec && is_settable (pspec) && strcmp (pspec->name, name) == 0 ? pspec : NULL;
}

const char **
seed_props_names (GObjectClass *klass)
{
  guint n, used = 0;
  g_autofree GParamSpec **specs = g_object_class_list_properties (klass, &n);
  const char **names = g_new0 (const char *, n + 1);

  for (guint i = 0; i < n; i++) {
    if (is_settable (specs[i]))
      names[used++] = specs[i]->name;
  }
  return names;
}

/* ---- in words ---- */

static char *
describe_integers (gint64 min, guint64 max)
{
  if (max >= G_MAXINT64)
    return min == G_MININT64 ? g_strdup ("an integer")
                             : g_strdup_printf ("an integer, at least %" G_GINT64_FORMAT, min);
  return g_strdup_printf ("an integer from %" G_GINT64_FORMAT " to %" G_GUINT64_FORMAT, min, max);
}

static char *
describe_reals (double min, double max, double least, double most)
{
  if (min <= least && max >= most)
    return g_strdup ("a number");
  if (max >= most)
    return g_strdup_printf ("a number, at least %g", min);
  if (min <= least)
    return g_strdup_printf ("a number, at most %g", max);
  return g_strdup_printf ("a number from %g to %g", min, max);
}

static char *
describe_enum (GEnumClass *klass)
{
  GString *text = g_string_new ("one of ");

  for (guint i = 0; i < klass->n_values && i < MAX_LISTED; i++)
    g_string_append_printf (text, "%s%s", i ? ", " : "", klass->values[i].value_nick);
  if (klass->n_values > MAX_LISTED)
    g_string_append (text, ", …");
  return g_string_free (text, FALSE);
}

static char *
describe_flags (GFlagsClass *klass)
{
  GString *text = g_string_new ("a sum ('a+b') of ");

  for (guint i = 0; i < klass->n_values && i < MAX_LISTED; i++)
    g_string_append_printf (text, "%s%s", i ? ", " : "", klass->values[i].value_nick);
  return g_string_free (text, FALSE);
}

char *
seed_props_expectation (GParamSpec *pspec)
{
  if (G_IS_PARAM_SPEC_INT (pspec))
    return describe_integers (
        G_PARAM_SPEC_INT (pspec)->minimum, (guint64) MAX (G_PARAM_SPEC_INT (pspec)->maximum, 0));
  if (G_IS_PARAM_SPEC_UINT (pspec))
    return describe_integers (
        G_PARAM_SPEC_UINT (pspec)->minimum, G_PARAM_SPEC_UINT (pspec)->maximum);
  if (G_IS_PARAM_SPEC_INT64 (pspec))
    return describe_integers (G_PARAM_SPEC_INT64 (pspec)->minimum,
        (guint64) MAX (G_PARAM_SPEC_INT64 (pspec)->maximum, 0));
  if (G_IS_PARAM_SPEC_UINT64 (pspec))
    return describe_integers (
        (gint64) G_PARAM_SPEC_UINT64 (pspec)->minimum, G_PARAM_SPEC_UINT64 (pspec)->maximum);
  if (G_IS_PARAM_SPEC_DOUBLE (pspec))
    return describe_reals (G_PARAM_SPEC_DOUBLE (pspec)->minimum,
        G_PARAM_SPEC_DOUBLE (pspec)->maximum, -G_MAXDOUBLE, G_MAXDOUBLE);
  if (G_IS_PARAM_SPEC_FLOAT (pspec))
    return describe_reals (G_PARAM_SPEC_FLOAT (pspec)->minimum, G_PARAM_SPEC_FLOAT (pspec)->maximum,
        (double) -G_MAXFLOAT, (double) G_MAXFLOAT);
  if (G_IS_PARAM_SPEC_BOOLEAN (pspec))
    return g_strdup ("true or false");
  if (G_IS_PARAM_SPEC_ENUM (pspec))
    return describe_enum (G_PARAM_SPEC_ENUM (pspec)->enum_class);
  if (G_IS_PARAM_SPEC_FLAGS (pspec))
    return describe_flags (G_PARAM_SPEC_FLAGS (pspec)->flags_class);
  if (pspec->value_type == G_TYPE_STRING)
    return g_strdup ("text or a list of texts");
  return g_strdup_printf ("a value of type %s", g_type_name (pspec->value_type));
}

/* ---- conversion ---- */

static char *
join_texts (const SeedYaml *list)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < seed_yaml_length (list); i++) {
    const SeedYaml *item = seed_yaml_item (list, i);

    if (item->kind != SEED_YAML_SCALAR)
      return g_string_free (text, TRUE);
    g_string_append_printf (text, "%s%s", i ? "," : "", item->text);
  }
  return g_string_free (text, FALSE);
}

static gboolean
convert_text (const SeedYaml *yaml, GValue *value)
{
  if (yaml->kind == SEED_YAML_SEQUENCE)
    g_value_take_string (value, join_texts (yaml));
  else if (yaml->kind == SEED_YAML_SCALAR && !seed_yaml_is_null (yaml))
    g_value_set_string (value, yaml->text);
  return g_value_get_string (value) != NULL;
}

static gboolean
convert_enum (const SeedYaml *yaml, GEnumClass *klass, GValue *value)
{
  const GEnumValue *found = NULL;

  if (yaml->kind == SEED_YAML_SCALAR)
    found = g_enum_get_value_by_nick (klass, yaml->text);
  if (found)
    g_value_set_enum (value, found->value);
  return found != NULL;
}

static gboolean
convert_array (const SeedYaml *yaml, GParamSpec *element_spec, GValue *value)
{
  if (!element_spec)
    return FALSE;
  for (guint i = 0; i < seed_yaml_length (yaml); i++) {
    GValue item = G_VALUE_INIT;

    if (!seed_props_convert (seed_yaml_item (yaml, i), element_spec, &item))
      return FALSE;
    gst_value_array_append_and_take_value (value, &item);
  }
  return TRUE;
}

/* What a type of whole numbers holds; FALSE for other types. */
static gboolean
integer_range (GType type, gint64 *min, guint64 *max)
{
  switch (type) {
  case G_TYPE_INT:
    return *min = G_MININT, *max = G_MAXINT, TRUE;
  case G_TYPE_UINT:
    return *min = 0, *max = G_MAXUINT, TRUE;
  case G_TYPE_LONG:
  case G_TYPE_INT64:
    return *min = G_MININT64, *max = G_MAXINT64, TRUE;
  case G_TYPE_ULONG:
  case G_TYPE_UINT64:
    return *min = 0, *max = G_MAXUINT64, TRUE;
  default:
    return FALSE;
  }
}

/* Decimal or 0x. GStreamer's own reader wraps what is too large and takes names such as "max". */
static gboolean
convert_integer (const char *text, gint64 min, guint64 max, GValue *value)
{
  gboolean hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  GValue wide = G_VALUE_INIT;
  gint64 negative;
  guint64 positive;

  if (*text == '-') {
    if (min == 0 || !g_ascii_string_to_signed (text, 10, min, 0, &negative, NULL))
      return FALSE;
    g_value_init (&wide, G_TYPE_INT64);
    g_value_set_int64 (&wide, negative);
  } else {
    if (!g_ascii_string_to_unsigned (hex ? text + 2 : text, hex ? 16 : 10, 0, max, &positive, NULL))
      return FALSE;
    g_value_init (&wide, G_TYPE_UINT64);
    g_value_set_uint64 (&wide, positive);
  }
  return g_value_transform (&wide, value);
}

static gboolean
looks_like_real (const char *text)
{
  text += *text == '-' || *text == '+';
  return g_ascii_isdigit (*text) || (*text == '.' && g_ascii_isdigit (text[1]));
}

static gboolean
convert_real (const char *text, GValue *value)
{
  if (!looks_like_real (text) || !gst_value_deserialize (value, text))
    return FALSE;
  return G_VALUE_HOLDS_DOUBLE (value) ? isfinite (g_value_get_double (value))
                                      : isfinite (g_value_get_float (value));
}

static gboolean
convert_other (const SeedYaml *yaml, GValue *value)
{
  gint64 min;
  guint64 max;

  if (yaml->kind != SEED_YAML_SCALAR || seed_yaml_is_null (yaml))
    return FALSE;
  if (integer_range (G_VALUE_TYPE (value), &min, &max))
    return convert_integer (yaml->text, min, max, value);
  if (G_VALUE_HOLDS_DOUBLE (value) || G_VALUE_HOLDS_FLOAT (value))
    return convert_real (yaml->text, value);
  return gst_value_deserialize (value, yaml->text);
}

static gboolean
convert_any (const SeedYaml *yaml, GParamSpec *pspec, GValue *value)
{
  if (pspec->value_type == G_TYPE_STRING)
    return convert_text (yaml, value);
  if (G_IS_PARAM_SPEC_ENUM (pspec))
    return convert_enum (yaml, G_PARAM_SPEC_ENUM (pspec)->enum_class, value);
  if (GST_IS_PARAM_SPEC_ARRAY_LIST (pspec) && yaml->kind == SEED_YAML_SEQUENCE)
    return convert_array (yaml, GST_PARAM_SPEC_ARRAY_LIST (pspec)->element_spec, value);
  return convert_other (yaml, value);
}

gboolean
seed_props_convert (const SeedYaml *yaml, GParamSpec *pspec, GValue *value)
{
  g_value_init (value, pspec->value_type);
  /* Validation that changes a value says that it was out of range. */
  if (convert_any (yaml, pspec, value) && !g_param_value_validate (pspec, value))
    return TRUE;
  g_value_unset (value);
  return FALSE;
}

gboolean
seed_props_convert_setting (const SeedGraph *graph, const SeedGraphNode *node,
    const SeedGraphSetting *setting, GParamSpec *pspec, GValue *value)
{
  const char *text;

  if (!seed_props_convert (setting->value, pspec, value))
    return FALSE;
  if (!G_VALUE_HOLDS_STRING (value))
    return TRUE;
  text = g_value_get_string (value);
  if (seed_stage_key_is_path (node->stage, setting->key->text, text))
    g_value_take_string (value, g_canonicalize_filename (text, graph->folder));
  return TRUE;
}
