/* SPDX-License-Identifier: MIT */
#pragma once

#include <gio/gio.h>

/* The program rtsp-server as a child of the test, to be stopped and killed. */
typedef struct {
  GSubprocess *process;
  int port;
} Server;

/* FALSE: it was not built, and the test is skipped. */
gboolean server_is_there (void);

/* @what: a clip, or a launch line in brackets; @port: 0 for any. Returns when it listens. */
Server server_start (const char *what, int port);

/* SIGKILL, and waits for the death. */
void server_kill (Server *server);

/* SIGSTOP, SIGCONT: it goes on without a word, and says nothing. */
void server_freeze (Server *server);
void server_thaw (Server *server);
