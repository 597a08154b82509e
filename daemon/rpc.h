/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/**
 * JSON-RPC 2.0, the language of the control socket (seedctl and seedd) and of the status channel
 * (seedd and seed-run). Stricter than the specification where strangers speak: one request a
 * message (no batches), parameters by name only, no members but those of the specification. Text
 * is read by seed_json_tree_parse. No I/O in here; thread-safe.
 */
#define SEED_RPC_MAX_BYTES (1024u * 1024) /* of one request or reply */
#define SEED_RPC_MAX_ID 128u              /* bytes of an id that is a string */

/** Errors: their codes are those of JSON-RPC, their messages one line for a person. */
#define SEED_RPC_ERROR (seed_rpc_error_quark ())
GQuark seed_rpc_error_quark (void);

typedef enum {
  SEED_RPC_ERROR_PARSE = -32700,       /* not JSON, or larger than the limit */
  SEED_RPC_ERROR_REQUEST = -32600,     /* JSON, but no request; a batch */
  SEED_RPC_ERROR_METHOD = -32601,      /* no such method */
  SEED_RPC_ERROR_PARAMS = -32602,      /* unknown, missing or of the wrong type */
  SEED_RPC_ERROR_INTERNAL = -32603,    /* a fault of the answering side */
  SEED_RPC_ERROR_REFUSED = -32000,     /* understood, but it cannot be done */
  SEED_RPC_ERROR_NO_GRAPH = -32001,    /* no graph, node or stream of that name */
  SEED_RPC_ERROR_NOT_RUNNING = -32002, /* the graph would have to run, or does not answer */
  SEED_RPC_ERROR_BUSY = -32003,        /* too many requests wait already */
} SeedRpcErrorCode;

typedef struct {
  JsonNode *root;     /* owns all below */
  JsonNode *id;       /* NULL: a notification, or an id that could not be read */
  const char *method; /* NULL: a reply */
  JsonObject *params; /* of a request; NULL when there are none */
  JsonNode *result;   /* of a reply that succeeded */
  GError *error;      /* of a reply that failed */
} SeedRpcMessage;

void seed_rpc_message_clear (SeedRpcMessage *message);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedRpcMessage, seed_rpc_message_clear)

/**
 * Reads a request or notification. On failure @message keeps the id when it was readable, for the
 * error reply; clear it in any case.
 */
gboolean
seed_rpc_parse_request (const char *text, gsize length, SeedRpcMessage *message, GError **error);

/** The same for a message that may also be a reply. Without the limit on its length. */
gboolean
seed_rpc_parse_message (const char *text, gsize length, SeedRpcMessage *message, GError **error);

/** @params and @result may be NULL and are borrowed. Callers free the text, which has no newline.
 */
char *seed_rpc_build_request (gint64 id, const char *method, JsonObject *params);
char *seed_rpc_build_notification (const char *method, JsonObject *params);
/** @id NULL: null. */
char *seed_rpc_build_result (JsonNode *id, JsonNode *result);
/** An error of another domain than SEED_RPC_ERROR is told as SEED_RPC_ERROR_REFUSED. */
char *seed_rpc_build_error (JsonNode *id, const GError *error);

/** Refuses parameters that are none of @names (NULL-terminated). @params may be NULL. */
gboolean seed_rpc_check_params (JsonObject *params, const char *const *names, GError **error);
/** A text. NULL without an error when it is missing and not @needed. Lives as long as @params. */
const char *
seed_rpc_get_text (JsonObject *params, const char *name, gboolean needed, GError **error);
/** A truth value or whole number; *@value is left alone when it is missing. FALSE with an error. */
gboolean
seed_rpc_get_boolean (JsonObject *params, const char *name, gboolean *value, GError **error);
gboolean seed_rpc_get_int (
    JsonObject *params, const char *name, gint64 min, gint64 max, gint64 *value, GError **error);

G_END_DECLS
