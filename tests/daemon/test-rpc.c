/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "publish/json-tree.h"
#include "rpc.h"

static gboolean
parse (const char *text, SeedRpcMessage *message, GError **error)
{
  return seed_rpc_parse_request (text, strlen (text), message, error);
}

static void
test_request (void)
{
  g_auto (SeedRpcMessage) message = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (parse ("{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"m\",\"params\":{\"n\":3,"
                        "\"t\":\"x\",\"b\":true}}",
      &message, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (message.method, ==, "m");
  g_assert_cmpstr (json_node_get_string (message.id), ==, "a");
  g_assert_cmpstr (seed_rpc_get_text (message.params, "t", TRUE, &error), ==, "x");
  g_assert_null (seed_rpc_get_text (message.params, "u", FALSE, &error));
  g_assert_no_error (error);
}

static void
test_notification (void)
{
  g_auto (SeedRpcMessage) message = { 0 };

  g_assert_true (parse ("{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", &message, NULL));
  g_assert_null (message.id);
  g_assert_null (message.params);
}

/* The id of a bad request is kept for the error reply when it can be read. */
static void
test_refused (void)
{
  static const struct {
    const char *text;
    int code;
    gboolean has_id;
  } cases[] = {
    { "", SEED_RPC_ERROR_PARSE, FALSE },
    { "{\"jsonrpc\":\"2.0\",\"id\":1,\"id\":2,\"method\":\"m\"}", SEED_RPC_ERROR_PARSE, FALSE },
    { "[]", SEED_RPC_ERROR_REQUEST, FALSE },
    { "null", SEED_RPC_ERROR_REQUEST, FALSE },
    { "{\"id\":1,\"method\":\"m\"}", SEED_RPC_ERROR_REQUEST, TRUE },
    { "{\"jsonrpc\":\"2.0\",\"id\":1}", SEED_RPC_ERROR_REQUEST, TRUE },
    { "{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"m\"}", SEED_RPC_ERROR_REQUEST, FALSE },
    { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"x\":1}", SEED_RPC_ERROR_REQUEST, TRUE },
    { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":[1]}", SEED_RPC_ERROR_PARAMS,
        TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_auto (SeedRpcMessage) message = { 0 };
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", cases[i].text);
    g_assert_false (parse (cases[i].text, &message, &error));
    g_assert_error (error, SEED_RPC_ERROR, cases[i].code);
    g_assert_cmpint (message.id != NULL, ==, cases[i].has_id);
  }
}

static void
test_too_large (void)
{
  g_autofree char *text = g_strnfill (SEED_RPC_MAX_BYTES + 1, ' ');
  g_auto (SeedRpcMessage) message = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_false (parse (text, &message, &error));
  g_assert_error (error, SEED_RPC_ERROR, SEED_RPC_ERROR_PARSE);
}

static void
test_round_trip (void)
{
  g_autoptr (JsonObject) params = json_object_new ();
  g_autofree char *request = NULL, *result = NULL, *failure = NULL;
  g_auto (SeedRpcMessage) asked = { 0 }, answered = { 0 }, failed = { 0 };

  json_object_set_string_member (params, "text", "a \"quoted\"\nline");
  request = seed_rpc_build_request (5, "m", params);
  g_assert_null (strchr (request, '\n'));
  g_assert_true (seed_rpc_parse_message (request, strlen (request), &asked, NULL));
  g_assert_cmpstr (seed_rpc_get_text (asked.params, "text", TRUE, NULL), ==, "a \"quoted\"\nline");
  result = seed_rpc_build_result (asked.id, NULL);
  g_assert_true (seed_rpc_parse_message (result, strlen (result), &answered, NULL));
  g_assert_true (json_node_get_int (answered.id) == 5 && JSON_NODE_HOLDS_NULL (answered.result));
  failure = seed_rpc_build_error (NULL, &(GError){ SEED_RPC_ERROR, -32601, (char *) "no \xff" });
  g_assert_true (seed_rpc_parse_message (failure, strlen (failure), &failed, NULL));
  g_assert_true (JSON_NODE_HOLDS_NULL (failed.id));
  g_assert_error (failed.error, SEED_RPC_ERROR, SEED_RPC_ERROR_METHOD);
}

static void
test_params (void)
{
  static const char *const known[] = { "graph", NULL };
  g_autoptr (JsonObject) params = json_object_new ();
  g_autoptr (GError) unknown = NULL, type = NULL, range = NULL, missing = NULL;
  gboolean flag = TRUE;
  gint64 number = 7;

  json_object_set_string_member (params, "grph", "x");
  json_object_set_int_member (params, "n", 100);
  g_assert_false (seed_rpc_check_params (params, known, &unknown));
  g_assert_cmpstr (unknown->message, ==, "unknown parameter 'grph'; did you mean 'graph'?");
  g_assert_false (seed_rpc_get_boolean (params, "n", &flag, &type));
  g_assert_error (type, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS);
  g_assert_false (seed_rpc_get_int (params, "n", 0, 99, &number, &range));
  g_assert_cmpstr (range->message, ==, "parameter 'n': expected a whole number from 0 to 99");
  g_assert_null (seed_rpc_get_text (params, "graph", TRUE, &missing));
  g_assert_error (missing, SEED_RPC_ERROR, SEED_RPC_ERROR_PARAMS);
  g_assert_true (seed_rpc_get_boolean (params, "b", &flag, NULL) && flag);
  g_assert_true (seed_rpc_get_int (NULL, "n", 0, 99, &number, NULL) && number == 7);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/rpc/request", test_request);
  g_test_add_func ("/rpc/notification", test_notification);
  g_test_add_func ("/rpc/refused", test_refused);
  g_test_add_func ("/rpc/too-large", test_too_large);
  g_test_add_func ("/rpc/round-trip", test_round_trip);
  g_test_add_func ("/rpc/params", test_params);
  return g_test_run ();
}
