/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "rpc.h"

#include "fuzz.h"

static void
check_reply (const SeedRpcMessage *message, const GError *error)
{
  g_autofree char *text =
      error ? seed_rpc_build_error (message->id, error) : seed_rpc_build_result (message->id, NULL);
  g_auto (SeedRpcMessage) reply = { 0 };

  g_assert_true (seed_rpc_parse_message (text, strlen (text), &reply, NULL));
  g_assert_null (reply.method);
  g_assert_true (!reply.error == !error);
}

/* Whatever comes, the answer to it is a reply. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_auto (SeedRpcMessage) request = { 0 }, message = { 0 };
  g_autoptr (GError) error = NULL;
  gboolean good = seed_rpc_parse_request ((const char *) data, size, &request, &error);

  g_assert_true (good == !error);
  if (error)
    g_assert_true (error->domain == SEED_RPC_ERROR && g_utf8_validate (error->message, -1, NULL));
  if (good)
    g_assert_true (request.method && *request.method);
  check_reply (&request, error);
  if (seed_rpc_parse_message ((const char *) data, size, &message, NULL))
    g_assert_true (message.method || !message.error != !message.result);
  return 0;
}
