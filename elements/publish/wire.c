/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "publish/json-tree.h"
#include "publish/wire.h"

void
seed_result_clear (SeedResult *result)
{
  static const SeedResult empty = SEED_RESULT_INIT;

  if (result->root) {
    g_free ((gpointer) result->tensors);
    json_node_unref (result->root);
  }
  *result = empty;
}

const SeedTensor *
seed_result_tensor (const SeedResult *result, const char *name)
{
  for (guint i = 0; i < result->n_tensors; i++) {
    if (strcmp (result->tensors[i].name, name) == 0)
      return &result->tensors[i];
  }
  return NULL;
}

static gboolean
is_name_char (char c)
{
  return g_ascii_islower (c) || g_ascii_isdigit (c) || c == '-';
}

static gboolean
is_node_char (char c)
{
  return g_ascii_isalnum (c) || c == '.' || c == '_' || c == '-';
}

gboolean
seed_wire_is_name (const char *text)
{
  gsize n = 0;

  while (text && is_name_char (text[n]))
    n++;
  return n > 0 && n <= SEED_WIRE_MAX_NAME && text[n] == '\0';
}

gboolean
seed_wire_is_node (const char *text)
{
  gsize n = 0;

  while (text && is_node_char (text[n]))
    n++;
  return n > 0 && n <= SEED_WIRE_MAX_NAME && text[n] == '\0';
}

char *
seed_wire_make_node (const char *text)
{
  char *node = g_strndup (text && *text ? text : "-", SEED_WIRE_MAX_NAME);

  for (char *c = node; *c; c++) {
    if (!is_node_char (*c))
      *c = '-';
  }
  return node;
}

static gboolean
check_level (const char *key, const char *text, GError **error)
{
  gboolean node = strcmp (key, "node") == 0;

  if (node ? seed_wire_is_node (text) : seed_wire_is_name (text))
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "\"%s\": \"%s\" is not 1 to %u of %s", key,
      text ? text : "", SEED_WIRE_MAX_NAME, node ? "A-Z a-z 0-9 . _ -" : "a-z 0-9 -");
  return FALSE;
}

char *
seed_wire_build_topic (const SeedResult *result, GError **error)
{
  if (!check_level ("graph", result->graph, error) ||
      !check_level ("stream", result->stream, error) ||
      !check_level ("kind", result->kind, error) || !check_level ("node", result->node, error))
    return NULL;
  return g_strdup_printf (
      "%s/%s/%s/%s/", result->graph, result->stream, result->kind, result->node);
}

gboolean
seed_wire_parse_topic (const char *text, gsize length, SeedTopic *topic, GError **error)
{
  static const char *const keys[] = { "graph", "stream", "kind", "node" };
  char *levels[] = { topic->graph, topic->stream, topic->kind, topic->node };
  const char *p = text, *end = text + length;

  for (guint i = 0; i < G_N_ELEMENTS (levels); i++) {
    const char *slash = p < end ? memchr (p, '/', (gsize) (end - p)) : NULL;
    gsize n = slash ? MIN ((gsize) (slash - p), SEED_WIRE_MAX_NAME + 1) : 0;

    if (n <= SEED_WIRE_MAX_NAME) {
      memcpy (levels[i], p, n);
      levels[i][n] = '\0';
    }
    if (n == 0 || n > SEED_WIRE_MAX_NAME || strlen (levels[i]) != n ||
        !(i == 3 ? seed_wire_is_node : seed_wire_is_name) (levels[i])) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
          "topic, byte %" G_GSIZE_FORMAT
          ": level \"%s\" is not a name of 1 to %u bytes and a \"/\"",
          (gsize) (p - text), keys[i], SEED_WIRE_MAX_NAME);
      return FALSE;
    }
    p = slash + 1;
  }
  if (p == end)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
      "topic, byte %" G_GSIZE_FORMAT ": a topic ends after four levels", (gsize) (p - text));
  return FALSE;
}

static gboolean
set_uint (JsonObject *object, const char *key, guint64 value, gboolean nullable, GError **error)
{
  if (nullable && value == SEED_RESULT_NONE) {
    json_object_set_null_member (object, key);
    return TRUE;
  }
  if (value > G_MAXINT64) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "\"%s\": %" G_GUINT64_FORMAT " is beyond 2^63 - 1", key, value);
    return FALSE;
  }
  json_object_set_int_member (object, key, (gint64) value);
  return TRUE;
}

static gboolean
set_model (JsonObject *header, const SeedResultModel *model, GError **error)
{
  g_autoptr (JsonObject) object = json_object_new ();
  const char *sha256 = model->sha256 ? model->sha256 : "";

  if (!model->name) {
    json_object_set_null_member (header, "model");
    return TRUE;
  }
  if (*sha256 && (strlen (sha256) != 64 || strspn (sha256, "0123456789abcdef") != 64)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "\"model.sha256\": \"%s\" is neither 64 lower-case hexadecimal digits nor empty", sha256);
    return FALSE;
  }
  json_object_set_string_member (object, "name", model->name);
  json_object_set_string_member (object, "sha256", sha256);
  if (!set_uint (object, "step", model->step, FALSE, error))
    return FALSE;
  json_object_set_object_member (header, "model", g_steal_pointer (&object));
  return TRUE;
}

static gboolean
check_tensor (const SeedResult *result, guint i, GError **error)
{
  const SeedTensor *tensor = &result->tensors[i];
  gsize size;

  if (!seed_wire_is_node (tensor->name) || seed_result_tensor (result, tensor->name) != tensor) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "\"tensors[%u].name\": \"%s\" is used twice or is not 1 to %u of A-Z a-z 0-9 . _ -", i,
        tensor->name ? tensor->name : "", SEED_WIRE_MAX_NAME);
    return FALSE;
  }
  if ((guint) tensor->dtype >= SEED_N_DTYPES || tensor->n_dims > SEED_TENSOR_MAX_DIMS) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "\"tensors[%u]\": \"%s\" has more than %u dimensions or no known dtype", i, tensor->name,
        SEED_TENSOR_MAX_DIMS);
    return FALSE;
  }
  if (!seed_tensor_byte_size (tensor->dtype, tensor->shape, tensor->n_dims, &size) ||
      size != tensor->size) {
    g_autofree char *is = seed_tensor_describe (tensor->dtype, tensor->shape, tensor->n_dims);

    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "\"tensors[%u]\": \"%s\" is %s but has %" G_GSIZE_FORMAT " bytes", i, tensor->name, is,
        tensor->size);
    return FALSE;
  }
  return TRUE;
}

static gboolean
set_tensors (JsonObject *header, const SeedResult *result, GError **error)
{
  g_autoptr (JsonArray) array = json_array_new ();

  if (result->n_tensors > SEED_WIRE_MAX_TENSORS) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "\"tensors\": %u tensors, at most %u fit",
        result->n_tensors, SEED_WIRE_MAX_TENSORS);
    return FALSE;
  }
  for (guint i = 0; i < result->n_tensors; i++) {
    const SeedTensor *tensor = &result->tensors[i];
    g_autoptr (JsonObject) object = json_object_new ();
    JsonArray *shape;

    if (!check_tensor (result, i, error))
      return FALSE;
    shape = json_array_sized_new (tensor->n_dims);
    for (guint d = 0; d < tensor->n_dims; d++)
      json_array_add_int_element (shape, (gint64) tensor->shape[d]);
    json_object_set_string_member (object, "name", tensor->name);
    json_object_set_string_member (object, "dtype", seed_dtype_wire_name (tensor->dtype));
    json_object_set_array_member (object, "shape", shape);
    json_object_set_int_member (object, "part", 2 + (gint64) i);
    json_array_add_object_element (array, g_steal_pointer (&object));
  }
  json_object_set_array_member (header, "tensors", g_steal_pointer (&array));
  return TRUE;
}

static void
set_data (JsonObject *header, JsonObject *data)
{
  json_object_set_object_member (
      header, "data", data ? json_object_ref (data) : json_object_new ());
}

char *
seed_wire_build_header (const SeedResult *result, gsize *length, GError **error)
{
  g_autoptr (JsonObject) header = json_object_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *topic = seed_wire_build_topic (result, error);
  g_autoptr (GString) text = NULL;

  if (!topic)
    return NULL;
  json_object_set_int_member (header, "v", SEED_WIRE_VERSION);
  if (!set_uint (header, "seq", result->seq, FALSE, error))
    return NULL;
  json_object_set_string_member (header, "graph", result->graph);
  json_object_set_string_member (header, "node", result->node);
  json_object_set_string_member (header, "stream", result->stream);
  json_object_set_string_member (header, "kind", result->kind);
  if (!set_uint (header, "frame", result->frame, TRUE, error) ||
      !set_uint (header, "pts_ns", result->pts_ns, TRUE, error) ||
      !set_uint (header, "capture_ns", result->capture_ns, TRUE, error) ||
      !set_uint (header, "publish_ns", result->publish_ns, FALSE, error) ||
      !set_model (header, &result->model, error) || !set_tensors (header, result, error))
    return NULL;
  set_data (header, result->data);
  root = json_node_init_object (json_node_alloc (), header);
  if (!seed_json_tree_check (root, "header", SEED_WIRE_MAX_DEPTH, error))
    return NULL;
  text = g_string_sized_new (512);
  seed_json_tree_append (text, root);
  if (text->len > SEED_WIRE_MAX_HEADER) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "\"data\": the header of %s takes %" G_GSIZE_FORMAT " bytes, at most %u fit", topic,
        text->len, SEED_WIRE_MAX_HEADER);
    return NULL;
  }
  *length = text->len;
  return g_string_free (g_steal_pointer (&text), FALSE);
}
