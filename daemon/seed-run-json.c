/* SPDX-License-Identifier: MIT */
#include "seed-run-json.h"

#include <math.h>

static void
add_number (JsonBuilder *builder, double number)
{
  if (isfinite (number))
    json_builder_add_double_value (builder, number);
  else
    json_builder_add_null_value (builder);
}

static void
add_array (JsonBuilder *builder, const GValue *array)
{
  gboolean is_list = GST_VALUE_HOLDS_LIST (array);
  guint n = is_list ? gst_value_list_get_size (array) : gst_value_array_get_size (array);

  json_builder_begin_array (builder);
  for (guint i = 0; i < n; i++)
    seed_run_json_add_value (builder,
        is_list ? gst_value_list_get_value (array, i) : gst_value_array_get_value (array, i));
  json_builder_end_array (builder);
}

static void
add_enum (JsonBuilder *builder, const GValue *value)
{
  GEnumClass *klass = g_type_class_ref (G_VALUE_TYPE (value));
  const GEnumValue *known = g_enum_get_value (klass, g_value_get_enum (value));

  json_builder_add_string_value (builder, known ? known->value_nick : "");
  g_type_class_unref (klass);
}

static void
add_texts (JsonBuilder *builder, const char *const *texts)
{
  json_builder_begin_array (builder);
  for (; texts && *texts; texts++)
    json_builder_add_string_value (builder, *texts);
  json_builder_end_array (builder);
}

static void
add_other (JsonBuilder *builder, const GValue *value)
{
  g_autofree char *text = gst_value_serialize (value);

  if (text)
    json_builder_add_string_value (builder, text);
  else
    json_builder_add_null_value (builder);
}

static void
add_integer (JsonBuilder *builder, const GValue *value)
{
  GValue wide = G_VALUE_INIT;

  /* JSON readers that use doubles or signed integers stop being exact long before 2^63. */
  if (G_VALUE_HOLDS_UINT64 (value) && g_value_get_uint64 (value) > G_MAXINT64) {
    add_number (builder, (double) g_value_get_uint64 (value));
    return;
  }
  g_value_init (&wide, G_TYPE_INT64);
  g_value_transform (value, &wide);
  json_builder_add_int_value (builder, g_value_get_int64 (&wide));
  g_value_unset (&wide);
}

void
seed_run_json_add_value (JsonBuilder *builder, const GValue *value)
{
  switch (G_TYPE_FUNDAMENTAL (G_VALUE_TYPE (value))) {
  case G_TYPE_BOOLEAN:
    json_builder_add_boolean_value (builder, g_value_get_boolean (value));
    return;
  case G_TYPE_INT:
  case G_TYPE_UINT:
  case G_TYPE_LONG:
  case G_TYPE_ULONG:
  case G_TYPE_INT64:
  case G_TYPE_UINT64:
    add_integer (builder, value);
    return;
  case G_TYPE_FLOAT:
    add_number (builder, (double) g_value_get_float (value));
    return;
  case G_TYPE_DOUBLE:
    add_number (builder, g_value_get_double (value));
    return;
  case G_TYPE_STRING:
    if (g_value_get_string (value))
      json_builder_add_string_value (builder, g_value_get_string (value));
    else
      json_builder_add_null_value (builder);
    return;
  case G_TYPE_ENUM:
    add_enum (builder, value);
    return;
  default:
    break;
  }
  if (GST_VALUE_HOLDS_STRUCTURE (value))
    seed_run_json_add_structure (builder, gst_value_get_structure (value));
  else if (GST_VALUE_HOLDS_ARRAY (value) || GST_VALUE_HOLDS_LIST (value))
    add_array (builder, value);
  else if (G_VALUE_HOLDS (value, G_TYPE_STRV))
    add_texts (builder, g_value_get_boxed (value));
  else
    add_other (builder, value);
}

static gboolean
add_field (GQuark field, const GValue *value, gpointer builder)
{
  json_builder_set_member_name (builder, g_quark_to_string (field));
  seed_run_json_add_value (builder, value);
  return TRUE;
}

void
seed_run_json_add_structure (JsonBuilder *builder, const GstStructure *structure)
{
  json_builder_begin_object (builder);
  if (structure)
    gst_structure_foreach (structure, add_field, builder);
  json_builder_end_object (builder);
}
