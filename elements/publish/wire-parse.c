/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "publish/json-tree.h"
#include "publish/wire.h"

/* Where a value stands, for errors: "seq", "model.step", "tensors[3].dtype". */
typedef struct {
  JsonObject *object;
  const char *prefix;
} Scope;

G_GNUC_PRINTF (5, 6)
static gboolean
fail (const Scope *scope, const char *key, int code, GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, SEED_ERROR, code, "header key \"%s%s\": %s", scope->prefix, key, text);
  return FALSE;
}

static JsonNode *
get_member (const Scope *scope, const char *key, GError **error)
{
  JsonNode *node = json_object_get_member (scope->object, key);

  if (!node)
    fail (scope, key, SEED_ERROR_FORMAT, error, "is missing");
  return node;
}

static gboolean
get_uint (const Scope *scope, const char *key, gboolean nullable, guint64 *value, GError **error)
{
  JsonNode *node = get_member (scope, key, error);

  if (!node)
    return FALSE;
  if (nullable && JSON_NODE_HOLDS_NULL (node)) {
    *value = SEED_RESULT_NONE;
    return TRUE;
  }
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_INT64 ||
      json_node_get_int (node) < 0)
    return fail (scope, key, SEED_ERROR_FORMAT, error, "must be an integer from 0 to 2^63 - 1%s",
        nullable ? ", or null" : "");
  *value = (guint64) json_node_get_int (node);
  return TRUE;
}

static gboolean
get_string (const Scope *scope, const char *key, const char **value, GError **error)
{
  JsonNode *node = get_member (scope, key, error);

  if (!node)
    return FALSE;
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return fail (scope, key, SEED_ERROR_FORMAT, error, "must be a string");
  *value = json_node_get_string (node);
  return TRUE;
}

/* A level of the topic, which must say the same. */
static gboolean
get_level (
    const Scope *scope, const char *key, const char *in_topic, const char **value, GError **error)
{
  if (!get_string (scope, key, value, error))
    return FALSE;
  if (strcmp (*value, in_topic) != 0)
    return fail (
        scope, key, SEED_ERROR_MISMATCH, error, "differs from \"%s\" in the topic", in_topic);
  return TRUE;
}

static gboolean
parse_identity (const Scope *scope, const SeedTopic *topic, SeedResult *result, GError **error)
{
  guint64 version;

  if (!get_uint (scope, "v", FALSE, &version, error))
    return FALSE;
  if (version != SEED_WIRE_VERSION)
    return fail (scope, "v", SEED_ERROR_UNSUPPORTED, error,
        "version %" G_GUINT64_FORMAT " is not known, only %u", version, SEED_WIRE_VERSION);
  return get_level (scope, "graph", topic->graph, &result->graph, error) &&
         get_level (scope, "stream", topic->stream, &result->stream, error) &&
         get_level (scope, "kind", topic->kind, &result->kind, error) &&
         get_level (scope, "node", topic->node, &result->node, error);
}

static gboolean
parse_model (const Scope *header, SeedResultModel *model, GError **error)
{
  JsonNode *node = get_member (header, "model", error);
  Scope scope = { .prefix = "model." };

  if (!node)
    return FALSE;
  if (JSON_NODE_HOLDS_NULL (node))
    return TRUE;
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return fail (header, "model", SEED_ERROR_FORMAT, error, "must be an object or null");
  scope.object = json_node_get_object (node);
  if (!get_string (&scope, "name", &model->name, error) ||
      !get_string (&scope, "sha256", &model->sha256, error) ||
      !get_uint (&scope, "step", FALSE, &model->step, error))
    return FALSE;
  if (*model->sha256 &&
      (strlen (model->sha256) != 64 || strspn (model->sha256, "0123456789abcdef") != 64))
    return fail (&scope, "sha256", SEED_ERROR_FORMAT, error,
        "must be 64 lower-case hexadecimal digits, or empty");
  return TRUE;
}

static gboolean
parse_shape (const Scope *scope, SeedTensor *tensor, GError **error)
{
  JsonNode *node = get_member (scope, "shape", error);
  JsonArray *array;

  if (!node)
    return FALSE;
  if (!JSON_NODE_HOLDS_ARRAY (node))
    return fail (scope, "shape", SEED_ERROR_FORMAT, error, "must be an array of integers");
  array = json_node_get_array (node);
  if (json_array_get_length (array) > SEED_TENSOR_MAX_DIMS)
    return fail (scope, "shape", SEED_ERROR_LIMIT, error,
        "has %u dimensions, at most %u are allowed", json_array_get_length (array),
        SEED_TENSOR_MAX_DIMS);
  tensor->n_dims = json_array_get_length (array);
  for (guint d = 0; d < tensor->n_dims; d++) {
    JsonNode *dim = json_array_get_element (array, d);

    if (!JSON_NODE_HOLDS_VALUE (dim) || json_node_get_value_type (dim) != G_TYPE_INT64 ||
        json_node_get_int (dim) < 0)
      return fail (scope, "shape", SEED_ERROR_FORMAT, error,
          "dimension %u must be an integer from 0 to 2^63 - 1", d);
    tensor->shape[d] = (guint64) json_node_get_int (dim);
  }
  return TRUE;
}

static gboolean
parse_dtype (const Scope *scope, SeedTensor *tensor, GError **error)
{
  const char *name = NULL;

  if (!get_string (scope, "dtype", &name, error))
    return FALSE;
  if (!seed_dtype_from_wire_name (name, &tensor->dtype))
    return fail (scope, "dtype", SEED_ERROR_UNSUPPORTED, error, "is no known element type");
  return TRUE;
}

/* Points the tensor at its part; @claimed has a bit for each part already taken. */
static gboolean
claim_part (const Scope *scope, const SeedWirePart *parts, guint n_parts, guint64 *claimed,
    SeedTensor *tensor, GError **error)
{
  guint64 part, bit;
  gsize size;

  if (!get_uint (scope, "part", FALSE, &part, error))
    return FALSE;
  if (part < 2 || part >= n_parts)
    return fail (scope, "part", SEED_ERROR_MISMATCH, error,
        "%" G_GUINT64_FORMAT " is none of the message's tensor parts, 2 to %u", part, n_parts - 1);
  bit = G_GUINT64_CONSTANT (1) << (part - 2);
  if (*claimed & bit)
    return fail (scope, "part", SEED_ERROR_MISMATCH, error,
        "%" G_GUINT64_FORMAT " belongs to another tensor already", part);
  *claimed |= bit;
  tensor->data = parts[part].data;
  tensor->size = parts[part].size;
  if (!seed_tensor_byte_size (tensor->dtype, tensor->shape, tensor->n_dims, &size))
    return fail (scope, "shape", SEED_ERROR_LIMIT, error, "is larger than any memory");
  if (size != tensor->size)
    return fail (scope, "shape", SEED_ERROR_MISMATCH, error,
        "asks for %" G_GSIZE_FORMAT " bytes, part %" G_GUINT64_FORMAT " has %" G_GSIZE_FORMAT, size,
        part, tensor->size);
  return TRUE;
}

static gboolean
parse_tensor (JsonNode *node, guint i, const SeedWirePart *parts, guint n_parts, guint64 *claimed,
    SeedTensor *tensors, GError **error)
{
  g_autofree char *prefix = g_strdup_printf ("tensors[%u].", i);
  Scope scope = { .prefix = prefix };
  SeedTensor *tensor = &tensors[i];

  if (!JSON_NODE_HOLDS_OBJECT (node)) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_FORMAT, "header key \"tensors[%u]\": must be an object", i);
    return FALSE;
  }
  scope.object = json_node_get_object (node);
  if (!get_string (&scope, "name", &tensor->name, error))
    return FALSE;
  if (!seed_wire_is_node (tensor->name))
    return fail (&scope, "name", SEED_ERROR_FORMAT, error, "is not 1 to %u of A-Z a-z 0-9 . _ -",
        SEED_WIRE_MAX_NAME);
  for (guint j = 0; j < i; j++) {
    if (strcmp (tensors[j].name, tensor->name) == 0)
      return fail (&scope, "name", SEED_ERROR_FORMAT, error, "\"%s\" is used twice", tensor->name);
  }
  return parse_dtype (&scope, tensor, error) && parse_shape (&scope, tensor, error) &&
         claim_part (&scope, parts, n_parts, claimed, tensor, error);
}

static gboolean
parse_tensors (const Scope *header, const SeedWirePart *parts, guint n_parts, SeedResult *result,
    GError **error)
{
  JsonNode *node = get_member (header, "tensors", error);
  g_autofree SeedTensor *tensors = NULL;
  guint64 claimed = 0;
  JsonArray *array;
  guint n;

  if (!node)
    return FALSE;
  if (!JSON_NODE_HOLDS_ARRAY (node))
    return fail (header, "tensors", SEED_ERROR_FORMAT, error, "must be an array");
  array = json_node_get_array (node);
  n = json_array_get_length (array);
  if (n > SEED_WIRE_MAX_TENSORS)
    return fail (header, "tensors", SEED_ERROR_LIMIT, error,
        "has %u tensors, at most %u are allowed", n, SEED_WIRE_MAX_TENSORS);
  if (n + 2 != n_parts)
    return fail (header, "tensors", SEED_ERROR_MISMATCH, error,
        "has %u tensors, the message has parts for %u", n, n_parts - 2);
  tensors = g_new0 (SeedTensor, MAX (n, 1));
  for (guint i = 0; i < n; i++) {
    if (!parse_tensor (
            json_array_get_element (array, i), i, parts, n_parts, &claimed, tensors, error))
      return FALSE;
  }
  result->n_tensors = n;
  result->tensors = g_steal_pointer (&tensors);
  return TRUE;
}

static gboolean
parse_data (const Scope *scope, SeedResult *result, GError **error)
{
  JsonNode *node = get_member (scope, "data", error);

  if (!node)
    return FALSE;
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return fail (scope, "data", SEED_ERROR_FORMAT, error, "must be an object");
  result->data = json_node_get_object (node);
  return TRUE;
}

static gboolean
parse_header (const Scope *scope, const SeedTopic *topic, SeedResult *result, GError **error)
{
  return parse_identity (scope, topic, result, error) &&
         get_uint (scope, "seq", FALSE, &result->seq, error) &&
         get_uint (scope, "frame", TRUE, &result->frame, error) &&
         get_uint (scope, "pts_ns", TRUE, &result->pts_ns, error) &&
         get_uint (scope, "capture_ns", TRUE, &result->capture_ns, error) &&
         get_uint (scope, "publish_ns", FALSE, &result->publish_ns, error) &&
         parse_model (scope, &result->model, error) && parse_data (scope, result, error);
}

static gboolean
check_parts (const SeedWirePart *parts, guint n_parts, GError **error)
{
  if (n_parts < 2) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "the message has %u part%s, a result has a topic and a header", n_parts,
        n_parts == 1 ? "" : "s");
    return FALSE;
  }
  if (n_parts > SEED_WIRE_MAX_PARTS) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "the message has more than %u parts",
        SEED_WIRE_MAX_PARTS);
    return FALSE;
  }
  if (parts[1].size > SEED_WIRE_MAX_HEADER) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "the header has %" G_GSIZE_FORMAT " bytes, at most %u are allowed", parts[1].size,
        SEED_WIRE_MAX_HEADER);
    return FALSE;
  }
  return TRUE;
}

gboolean
seed_wire_parse (const SeedWirePart *parts, guint n_parts, SeedResult *result, GError **error)
{
  g_autoptr (JsonNode) root = NULL;
  SeedResult parsed = SEED_RESULT_INIT;
  Scope scope = { .prefix = "" };
  SeedTopic topic;

  if (!check_parts (parts, n_parts, error) ||
      !seed_wire_parse_topic (parts[0].data, parts[0].size, &topic, error))
    return FALSE;
  root = seed_json_tree_parse ("header", parts[1].data, parts[1].size, error);
  if (!root)
    return FALSE;
  if (!JSON_NODE_HOLDS_OBJECT (root)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "header: must be a JSON object");
    return FALSE;
  }
  scope.object = json_node_get_object (root);
  if (!parse_header (&scope, &topic, &parsed, error) ||
      !parse_tensors (&scope, parts, n_parts, &parsed, error))
    return FALSE;
  parsed.root = g_steal_pointer (&root);
  *result = parsed;
  return TRUE;
}
