/* SPDX-License-Identifier: MIT */
#pragma once

#include "keys/zap-domain.h"
#include "keys/zap-request.h"

G_BEGIN_DECLS

/**
 * The one ZAP handler of a ZeroMQ context: a thread that answers handshakes and reads folders again
 * when they change. Thread-safe.
 */
typedef struct _SeedZapHandler SeedZapHandler;

/** What the thread asks for each request; the answer is a status of RFC 27. */
typedef struct {
  int status; /* 200 or 400 */
  char user_id[SEED_CURVE_KEY_LENGTH + 1];
  guint64 stamp;
} SeedZapAnswer;

typedef void (*SeedZapAnswerFunc) (
    const SeedZapRequest *request, SeedZapAnswer *answer, gpointer data);

/** The handler of @context, started when it is the first. Given back by seed_zap_handler_unref. */
SeedZapHandler *seed_zap_handler_ref (void *context, GError **error);
void seed_zap_handler_unref (SeedZapHandler *handler);

/** A new domain, answered by @func in the handler's thread; until it is removed. */
guint seed_zap_handler_add_domain (
    SeedZapHandler *handler, SeedZapAnswerFunc func, gpointer data, char **name);
/** Returns when @func is not running and will not run any more. */
void seed_zap_handler_remove_domain (SeedZapHandler *handler, guint id);

/** Calls @func in the handler's thread whenever @fd is readable; until it is removed. */
guint seed_zap_handler_add_fd (
    SeedZapHandler *handler, int fd, void (*func) (gpointer data), gpointer data);
void seed_zap_handler_remove_fd (SeedZapHandler *handler, guint id);

G_END_DECLS
