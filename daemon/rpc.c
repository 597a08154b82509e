/* SPDX-License-Identifier: MIT */
#include "rpc.h"

#include <string.h>

#include "graph/diagnostics.h"
#include "publish/json-tree.h"

#define VERSION "2.0"

G_DEFINE_QUARK (seed - rpc - error - quark, seed_rpc_error)

void
seed_rpc_message_clear (SeedRpcMessage *message)
{
  g_clear_pointer (&message->root, json_node_unref);
  g_clear_error (&message->error);
  memset (message, 0, sizeof *message);
}

/* ---- reading ---- */

static gboolean
is_string (JsonNode *node)
{
  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING;
}

static gboolean
is_int (JsonNode *node)
{
  return node && JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64;
}

static gboolean
fail (GError **error, SeedRpcErrorCode code, const char *message)
{
  g_set_error_literal (error, SEED_RPC_ERROR, code, message);
  return FALSE;
}

static gboolean
read_id (SeedRpcMessage *message, JsonObject *object, GError **error)
{
  JsonNode *id = json_object_get_member (object, "id");

  if (!id)
    return TRUE;
  if (!JSON_NODE_HOLDS_NULL (id) && !is_int (id) &&
      !(is_string (id) && strlen (json_node_get_string (id)) <= SEED_RPC_MAX_ID))
    return fail (error, SEED_RPC_ERROR_REQUEST,
        "id: expected a whole number, null, or a string of at most " G_STRINGIFY (
            SEED_RPC_MAX_ID) " bytes");
  message->id = id;
  return TRUE;
}

static gboolean
only_known (JsonObject *object, const char *const *names, GError **error)
{
  JsonObjectIter iter;
  const char *key;

  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &key, NULL)) {
    if (!g_strv_contains (names, key)) {
      g_autofree char *quoted = seed_quote (key);

      g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_REQUEST, "unknown member %s", quoted);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
read_request (SeedRpcMessage *message, JsonObject *object, GError **error)
{
  static const char *const known[] = { "jsonrpc", "id", "method", "params", NULL };
  JsonNode *method = json_object_get_member (object, "method");
  JsonNode *params = json_object_get_member (object, "params");

  if (!only_known (object, known, error))
    return FALSE;
  if (!is_string (method) || !*json_node_get_string (method))
    return fail (error, SEED_RPC_ERROR_REQUEST, "method: expected a name");
  if (params && !JSON_NODE_HOLDS_OBJECT (params))
    return fail (error, SEED_RPC_ERROR_PARAMS, "params: expected an object; they go by name here");
  message->method = json_node_get_string (method);
  message->params = params ? json_node_get_object (params) : NULL;
  return TRUE;
}

static gboolean
read_reply (SeedRpcMessage *message, JsonObject *object, GError **error)
{
  JsonNode *failure = json_object_get_member (object, "error");
  JsonObject *details;

  message->result = json_object_get_member (object, "result");
  if (!failure == !message->result)
    return fail (error, SEED_RPC_ERROR_REQUEST, "a reply has either a result or an error");
  if (!failure)
    return TRUE;
  details = JSON_NODE_HOLDS_OBJECT (failure) ? json_node_get_object (failure) : NULL;
  if (!details || !is_int (json_object_get_member (details, "code")) ||
      !is_string (json_object_get_member (details, "message")))
    return fail (error, SEED_RPC_ERROR_REQUEST, "error: expected an object of code and message");
  message->error = g_error_new_literal (SEED_RPC_ERROR,
      (int) CLAMP (json_object_get_int_member (details, "code"), G_MININT, G_MAXINT),
      json_object_get_string_member (details, "message"));
  return TRUE;
}

/* TRUE with the root set to an object that says it is JSON-RPC 2.0. */
static gboolean
read_envelope (
    const char *text, gsize length, SeedRpcMessage *message, JsonObject **object, GError **error)
{
  g_autoptr (GError) why = NULL;
  JsonNode *version;

  memset (message, 0, sizeof *message);
  message->root = seed_json_tree_parse ("message", text, length, &why);
  if (!message->root) {
    g_set_error_literal (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARSE, why->message);
    return FALSE;
  }
  if (JSON_NODE_HOLDS_ARRAY (message->root))
    return fail (error, SEED_RPC_ERROR_REQUEST, "batches are not taken; one request a message");
  if (!JSON_NODE_HOLDS_OBJECT (message->root))
    return fail (error, SEED_RPC_ERROR_REQUEST, "expected an object");
  *object = json_node_get_object (message->root);
  if (!read_id (message, *object, error))
    return FALSE;
  version = json_object_get_member (*object, "jsonrpc");
  if (!is_string (version) || strcmp (json_node_get_string (version), VERSION) != 0)
    return fail (error, SEED_RPC_ERROR_REQUEST, "jsonrpc: expected \"" VERSION "\"");
  return TRUE;
}

gboolean
seed_rpc_parse_request (const char *text, gsize length, SeedRpcMessage *message, GError **error)
{
  JsonObject *object;

  if (length > SEED_RPC_MAX_BYTES) {
    memset (message, 0, sizeof *message);
    g_set_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARSE,
        "%" G_GSIZE_FORMAT " bytes; a request has at most %u", length, SEED_RPC_MAX_BYTES);
    return FALSE;
  }
  return read_envelope (text, length, message, &object, error) &&
         read_request (message, object, error);
}

gboolean
seed_rpc_parse_message (const char *text, gsize length, SeedRpcMessage *message, GError **error)
{
  JsonObject *object;

  if (!read_envelope (text, length, message, &object, error))
    return FALSE;
  return json_object_has_member (object, "method") ? read_request (message, object, error)
                                                   : read_reply (message, object, error);
}

/* ---- writing ---- */

static char *
finish (JsonObject *object)
{
  g_autoptr (JsonNode) root = json_node_init_object (json_node_alloc (), object);
  GString *text = g_string_sized_new (256);

  seed_json_tree_append (text, root);
  json_object_unref (object);
  return g_string_free (text, FALSE);
}

static JsonObject *
begin (void)
{
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "jsonrpc", VERSION);
  return object;
}

char *
seed_rpc_build_notification (const char *method, JsonObject *params)
{
  JsonObject *object = begin ();

  json_object_set_string_member (object, "method", method);
  if (params)
    json_object_set_object_member (object, "params", json_object_ref (params));
  return finish (object);
}

char *
seed_rpc_build_request (gint64 id, const char *method, JsonObject *params)
{
  JsonObject *object = begin ();

  json_object_set_int_member (object, "id", id);
  json_object_set_string_member (object, "method", method);
  if (params)
    json_object_set_object_member (object, "params", json_object_ref (params));
  return finish (object);
}

static void
set_id (JsonObject *object, JsonNode *id)
{
  json_object_set_member (
      object, "id", id ? json_node_copy (id) : json_node_init_null (json_node_alloc ()));
}

char *
seed_rpc_build_result (JsonNode *id, JsonNode *result)
{
  JsonObject *object = begin ();

  set_id (object, id);
  json_object_set_member (object, "result",
      result ? json_node_copy (result) : json_node_init_null (json_node_alloc ()));
  return finish (object);
}

char *
seed_rpc_build_error (JsonNode *id, const GError *error)
{
  JsonObject *object = begin (), *details = json_object_new ();
  g_autofree char *message = g_utf8_make_valid (error->message, -1);

  set_id (object, id);
  json_object_set_int_member (details, "code",
      error->domain == SEED_RPC_ERROR ? error->code : (int) SEED_RPC_ERROR_REFUSED);
  json_object_set_string_member (details, "message", message);
  json_object_set_object_member (object, "error", details);
  return finish (object);
}

/* ---- parameters ---- */

gboolean
seed_rpc_check_params (JsonObject *params, const char *const *names, GError **error)
{
  JsonObjectIter iter;
  const char *key;

  if (!params)
    return TRUE;
  json_object_iter_init_ordered (&iter, params);
  while (json_object_iter_next_ordered (&iter, &key, NULL)) {
    g_autofree char *quoted = NULL, *hint = NULL;

    if (g_strv_contains (names, key))
      continue;
    quoted = seed_quote (key);
    hint = seed_did_you_mean (key, names);
    g_set_error (
        error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS, "unknown parameter %s%s", quoted, hint);
    return FALSE;
  }
  return TRUE;
}

static gboolean
wrong_type (const char *name, const char *expected, GError **error)
{
  g_set_error (
      error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS, "parameter '%s': expected %s", name, expected);
  return FALSE;
}

const char *
seed_rpc_get_text (JsonObject *params, const char *name, gboolean needed, GError **error)
{
  JsonNode *node = params ? json_object_get_member (params, name) : NULL;

  if (!node && !needed)
    return NULL;
  if (is_string (node))
    return json_node_get_string (node);
  wrong_type (name, "a text", error);
  return NULL;
}

gboolean
seed_rpc_get_boolean (JsonObject *params, const char *name, gboolean *value, GError **error)
{
  JsonNode *node = params ? json_object_get_member (params, name) : NULL;

  if (!node)
    return TRUE;
  if (!JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_BOOLEAN)
    return wrong_type (name, "true or false", error);
  *value = json_node_get_boolean (node);
  return TRUE;
}

gboolean
seed_rpc_get_int (
    JsonObject *params, const char *name, gint64 min, gint64 max, gint64 *value, GError **error)
{
  JsonNode *node = params ? json_object_get_member (params, name) : NULL;
  g_autofree char *expected = NULL;

  if (!node)
    return TRUE;
  if (is_int (node) && json_node_get_int (node) >= min && json_node_get_int (node) <= max) {
    *value = json_node_get_int (node);
    return TRUE;
  }
  expected =
      g_strdup_printf ("a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, min, max);
  return wrong_type (name, expected, error);
}
