/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-methods.h"

G_BEGIN_DECLS

/**
 * Metrics and health over HTTP, read only: GET and HEAD of
 *
 *   /metrics   Prometheus text format (seedd-metrics.h); asks every running graph first, for
 *              SEEDD_HTTP_PATIENCE_MS at most
 *   /healthz   200 while the main loop answers
 *   /readyz    200 when every enabled graph runs and gives out frames, else 503; a JSON object says
 *              which do not, and why
 *
 * Everything happens in the main loop. One request a connection; no more than
 * SEEDD_HTTP_MAX_CONNECTIONS at a time, each for SEEDD_HTTP_LIFETIME_S at most and
 * SEEDD_HTTP_MAX_BYTES of request; what is beyond is closed.
 */
typedef struct _SeeddHttp SeeddHttp;

#define SEEDD_HTTP_PATIENCE_MS 1000
#define SEEDD_HTTP_MAX_CONNECTIONS 32u
#define SEEDD_HTTP_LIFETIME_S 15
#define SEEDD_HTTP_MAX_BYTES 16384u /* of the body of a request, which is thrown away */

/** @address: HOST:PORT, of this machine alone unless @insecure. Port 0 takes a free one. */
SeeddHttp *
seedd_http_new (const char *address, gboolean insecure, SeeddDaemon *daemon, GError **error);
/** NULL is fine. */
void seedd_http_free (SeeddHttp *http);

/** HOST:PORT, with the real port. */
const char *seedd_http_address (const SeeddHttp *http);

G_END_DECLS
