/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>
#include <seed/zap.h>

G_BEGIN_DECLS

/**
 * The keys of one public socket: the daemon's own pair, and the folder of those who may connect.
 * Thread-safe but for seedd_keys_look, which is one thread's.
 */
typedef struct {
  const char *where; /* "results" or "control", for messages */
  SeedCurveKeypair *server;
  SeedZap *zap;
  char *problem; /* that was logged last */
} SeeddKeys;

/** @server_key: file; @authorized: folder. Errors begin with @where, which must live on. */
SeeddKeys *seedd_keys_new (void *context, const char *where, const char *server_key,
    const char *authorized, GError **error);
/** After the socket was closed. NULL is fine. */
void seedd_keys_free (SeeddKeys *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeeddKeys, seedd_keys_free)

/** Logs what is wrong with the folder or a file in it, once. */
void seedd_keys_look (SeeddKeys *keys);

/** authorized, granted, refused, reloads, problem. Caller unrefs. */
JsonObject *seedd_keys_describe (SeeddKeys *keys);

G_END_DECLS
