/* SPDX-License-Identifier: MIT */
#pragma once

#include "rpc.h"

G_BEGIN_DECLS

/**
 * The control socket: a ZeroMQ ROUTER on an ipc endpoint of mode 0660 that takes one JSON-RPC
 * request a message (from a REQ or a DEALER) and gives one reply. What is no request gets an error
 * reply; what is larger than SEEDD_CONTROL_MAX_MESSAGE, which is more than a request may have,
 * costs the peer its connection. Main thread.
 */
typedef struct _SeeddControl SeeddControl;
typedef struct _SeeddCall SeeddCall;

#define SEEDD_CONTROL_MAX_MESSAGE (4u * 1024 * 1024)
#define SEEDD_CONTROL_MAX_CALLS 32u /* unanswered, of one peer; also replies queued for it */
#define SEEDD_CONTROL_MAX_ALL 1024u /* unanswered, of all */

/** Takes @call and answers it once, now or later. @request lives until the function returns. */
typedef void (*SeeddDispatch) (gpointer data, SeeddCall *call, const SeedRpcMessage *request);

SeeddControl *
seedd_control_new (const char *endpoint, SeeddDispatch dispatch, gpointer data, GError **error);
/** Every call must have been answered. Removes the socket. NULL is fine. */
void seedd_control_free (SeeddControl *control);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeeddControl, seedd_control_free)

/** Both free @call. A notification is not answered. @result is taken, @error borrowed. */
void seedd_call_reply (SeeddCall *call, JsonNode *result);
void seedd_call_fail (SeeddCall *call, const GError *error);

/** requests, errors, replies_dropped, waiting. Caller unrefs. */
JsonObject *seedd_control_stats (const SeeddControl *control);

G_END_DECLS
