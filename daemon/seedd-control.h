/* SPDX-License-Identifier: MIT */
#pragma once

#include "rpc.h"

G_BEGIN_DECLS

/**
 * The control socket: a ZeroMQ ROUTER on an ipc endpoint of mode 0660, and where it is wanted
 * another on a tcp endpoint with keys, where each request is held against the rights of its
 * sender's key. They take one JSON-RPC request a message (from a REQ or a DEALER) and give one
 * reply. What is no request, or not allowed, gets an error
 * reply; what is larger than SEEDD_CONTROL_MAX_MESSAGE, which is more than a request may have,
 * costs the peer its connection. Main thread.
 */
typedef struct _SeeddControl SeeddControl;
typedef struct _SeeddCall SeeddCall;

#define SEEDD_CONTROL_MAX_MESSAGE (4u * 1024 * 1024)
#define SEEDD_CONTROL_MAX_CALLS 32u /* unanswered, of one peer */
#define SEEDD_CONTROL_MAX_ALL 1024u /* unanswered, of all */

/** Takes @call and answers it once, now or later. @request lives until the function returns. */
typedef void (*SeeddDispatch) (gpointer data, SeeddCall *call, const SeedRpcMessage *request);

typedef struct {
  const char *endpoint;   /* ipc */
  const char *remote;     /* tcp, or NULL */
  const char *server_key; /* for remote: file with the own key pair */
  const char *authorized; /* for remote: folder of public keys and their rights, <seed/zap.h> */
} SeeddControlConfig;

SeeddControl *seedd_control_new (
    const SeeddControlConfig *config, SeeddDispatch dispatch, gpointer data, GError **error);
/** Every call must have been answered. Removes the socket. NULL is fine. */
void seedd_control_free (SeeddControl *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeeddControl, seedd_control_free)

/** Both free @call. A notification is not answered. @result is taken, @error borrowed. */
void seedd_call_reply (SeeddCall *call, JsonNode *result);
void seedd_call_fail (SeeddCall *call, const GError *error);

/** Where remote is bound, with the real port, or NULL. */
const char *seedd_control_remote (const SeeddControl *control);

/** requests, errors, replies_dropped, waiting, remote (or null). Caller unrefs. */
JsonObject *seedd_control_stats (const SeeddControl *control);

G_END_DECLS
