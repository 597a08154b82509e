/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Where results may be offered, and the ZeroMQ context they pass through.
 *
 * Checks an endpoint to bind and gives it as libzmq wants it (localhost becomes 127.0.0.1). tcp on
 * 127.0.0.0/8, ::1 and localhost, ipc and inproc are open to this machine alone; any other address
 * (also names and interfaces, whatever they resolve to) is SEED_ERROR_INVALID unless @anywhere:
 * with CURVE, or where somebody accepts that nothing encrypts or authenticates what is sent there.
 * SEED_ERROR_INVALID also for what is no endpoint, SEED_ERROR_UNSUPPORTED for other transports;
 * SEED_ERROR_IO when another process serves an ipc path (libzmq itself would push it aside).
 * The caller frees the result.
 */
char *seed_endpoint_for_bind (const char *endpoint, gboolean anywhere, GError **error);

/** Whether @endpoint is tcp on an IPv6 address. */
gboolean seed_endpoint_is_ipv6 (const char *endpoint);

/** The path of an ipc endpoint in the file system, or NULL. Points into @endpoint. */
const char *seed_endpoint_ipc_path (const char *endpoint);

/**
 * The process's ZeroMQ context: one, so that inproc endpoints meet. Every ref is given back by an
 * unref; the last one ends the context and with it waits for what lingers in closed sockets.
 * Thread-safe.
 */
void *seed_zmq_context_ref (void);
void seed_zmq_context_unref (void);

G_END_DECLS
