/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "nn/json.h"
#include "publish/json-tree.h"

static JsonNode *read_value (SeedJson *json);

static JsonNode *
read_string (SeedJson *json)
{
  g_autoptr (GString) value = g_string_new (NULL);

  if (!seed_json_read_string (json, value, json->length))
    return NULL;
  return json_node_init_string (json_node_alloc (), value->str);
}

/* The reader knows whole numbers from 0 and doubles; a tree keeps every 64-bit integer exact. */
static JsonNode *
read_number (SeedJson *json)
{
  gsize begin = json->pos;
  g_autofree char *text = NULL;
  double number;
  gint64 integer;

  if (!seed_json_read_number (json, &number))
    return NULL;
  text = g_strndup (json->text + begin, json->pos - begin);
  if (strpbrk (text, ".eE"))
    return json_node_init_double (json_node_alloc (), number);
  errno = 0;
  integer = g_ascii_strtoll (text, NULL, 10);
  if (errno == 0)
    return json_node_init_int (json_node_alloc (), integer);
  seed_json_fail (json, begin, SEED_ERROR_LIMIT, "%s does not fit in 64 bits with a sign", text);
  return NULL;
}

static JsonNode *
read_array (SeedJson *json)
{
  g_autoptr (JsonArray) array = json_array_new ();

  seed_json_open (json, '[');
  while (seed_json_next_element (json)) {
    JsonNode *element = read_value (json);

    if (!element)
      return NULL;
    json_array_add_element (array, element);
  }
  return json->error ? NULL : json_node_init_array (json_node_alloc (), array);
}

static JsonNode *
read_object (SeedJson *json)
{
  g_autoptr (JsonObject) object = json_object_new ();
  g_autoptr (GString) key = g_string_new (NULL);

  seed_json_open (json, '{');
  while (seed_json_next_member (json, key, json->length)) {
    g_autofree char *shown = NULL;
    JsonNode *value;

    if (json_object_has_member (object, key->str)) {
      shown = seed_json_show (key->str);
      seed_json_fail (json, json->pos, SEED_ERROR_FORMAT, "the key %s stands twice", shown);
      return NULL;
    }
    value = read_value (json);
    if (!value)
      return NULL;
    json_object_set_member (object, key->str, value);
  }
  return json->error ? NULL : json_node_init_object (json_node_alloc (), object);
}

/* Recursion is bounded by seed_json_open. */
static JsonNode *
read_value (SeedJson *json)
{
  gboolean boolean;

  switch (seed_json_peek (json)) {
  case '{':
    return read_object (json);
  case '[':
    return read_array (json);
  case '"':
    return read_string (json);
  case 't':
  case 'f':
    if (!seed_json_read_boolean (json, &boolean))
      return NULL;
    return json_node_init_boolean (json_node_alloc (), boolean);
  case 'n':
    return seed_json_skip (json) ? json_node_init_null (json_node_alloc ()) : NULL;
  default:
    return read_number (json);
  }
}

JsonNode *
seed_json_tree_parse (const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (JsonNode) root = NULL;
  SeedJson json;

  seed_json_init (&json, label, text, length, 0);
  root = read_value (&json);
  if (root)
    seed_json_end (&json);
  return seed_json_finish (&json, error) ? g_steal_pointer (&root) : NULL;
}

static gboolean
check_members (JsonNode *node, const char *path, guint max_depth, GError **error)
{
  if (JSON_NODE_HOLDS_OBJECT (node)) {
    JsonObjectIter iter;
    const char *key;
    JsonNode *member;

    json_object_iter_init (&iter, json_node_get_object (node));
    while (json_object_iter_next (&iter, &key, &member)) {
      g_autofree char *below = g_strdup_printf ("%s.%s", path, key);

      if (!g_utf8_validate (key, -1, NULL)) {
        g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "\"%s\": a key is not UTF-8", path);
        return FALSE;
      }
      if (!seed_json_tree_check (member, below, max_depth - 1, error))
        return FALSE;
    }
  } else {
    JsonArray *array = json_node_get_array (node);

    for (guint i = 0; i < json_array_get_length (array); i++) {
      g_autofree char *below = g_strdup_printf ("%s[%u]", path, i);

      if (!seed_json_tree_check (json_array_get_element (array, i), below, max_depth - 1, error))
        return FALSE;
    }
  }
  return TRUE;
}

gboolean
seed_json_tree_check (JsonNode *node, const char *path, guint max_depth, GError **error)
{
  if (JSON_NODE_HOLDS_NULL (node))
    return TRUE;
  if (JSON_NODE_HOLDS_VALUE (node)) {
    GType type = json_node_get_value_type (node);

    if (type == G_TYPE_DOUBLE && !isfinite (json_node_get_double (node))) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_NUMERIC,
          "\"%s\": JSON has no NaN and no infinity; leave the key out or write null", path);
      return FALSE;
    }
    if (type == G_TYPE_STRING && !g_utf8_validate (json_node_get_string (node), -1, NULL)) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "\"%s\": the string is not UTF-8", path);
      return FALSE;
    }
    return TRUE;
  }
  if (max_depth == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "\"%s\": arrays and objects are nested too deeply", path);
    return FALSE;
  }
  return check_members (node, path, max_depth, error);
}

static void
append_double (GString *out, double value)
{
  gsize begin = out->len;

  seed_json_append_double (out, value);
  if (!strpbrk (out->str + begin, ".e"))
    g_string_append (out, ".0");
}

static void
append_value (GString *out, JsonNode *node)
{
  switch (json_node_get_value_type (node)) {
  case G_TYPE_INT64:
    g_string_append_printf (out, "%" G_GINT64_FORMAT, json_node_get_int (node));
    break;
  case G_TYPE_DOUBLE:
    append_double (out, json_node_get_double (node));
    break;
  case G_TYPE_BOOLEAN:
    g_string_append (out, json_node_get_boolean (node) ? "true" : "false");
    break;
  default:
    seed_json_append_quoted (out, json_node_get_string (node));
  }
}

static void
append_object (GString *out, JsonObject *object)
{
  JsonObjectIter iter;
  const char *key, *separator = "";
  JsonNode *member;

  g_string_append_c (out, '{');
  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &key, &member)) {
    g_string_append (out, separator);
    seed_json_append_quoted (out, key);
    g_string_append_c (out, ':');
    seed_json_tree_append (out, member);
    separator = ",";
  }
  g_string_append_c (out, '}');
}

static void
append_array (GString *out, JsonArray *array)
{
  g_string_append_c (out, '[');
  for (guint i = 0; i < json_array_get_length (array); i++) {
    if (i > 0)
      g_string_append_c (out, ',');
    seed_json_tree_append (out, json_array_get_element (array, i));
  }
  g_string_append_c (out, ']');
}

void
seed_json_tree_append (GString *out, JsonNode *node)
{
  if (JSON_NODE_HOLDS_NULL (node))
    g_string_append (out, "null");
  else if (JSON_NODE_HOLDS_VALUE (node))
    append_value (out, node);
  else if (JSON_NODE_HOLDS_OBJECT (node))
    append_object (out, json_node_get_object (node));
  else
    append_array (out, json_node_get_array (node));
}
