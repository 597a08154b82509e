/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>

/* A server of TCP connections in threads of the test: it reads the head of a request, answers, and
 * closes; to each of them the same. */
typedef struct _FakeServer FakeServer;

/* Called in a thread, once a request: writes the answer, or none. @cseq: of an RTSP request, or
 * "0". */
typedef void (*FakeAnswer) (GOutputStream *out, const char *cseq, gpointer data);

/* @port: 0 for any. */
FakeServer *fake_server_new (int port, FakeAnswer answer, gpointer data);
int fake_server_get_port (FakeServer *server);

/* Connections so far. */
guint fake_server_count (FakeServer *server);

/* Stops listening, and waits for the answers that are being written. */
void fake_server_free (FakeServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FakeServer, fake_server_free)
