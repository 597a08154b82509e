/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

#include "rpc.h"

G_BEGIN_DECLS

/**
 * A child process of seedd: its output line by line, its end, and, when asked for, a status channel
 * (channel.h) that it finds at file descriptor SEEDD_CHILD_STATUS_FD. It is in a session of its
 * own, so that a Ctrl-C for seedd does not reach it, and is killed by the kernel when seedd dies.
 * Main thread.
 */
typedef struct _SeeddChild SeeddChild;

#define SEEDD_CHILD_STATUS_FD 3
#define SEEDD_CHILD_MAX_LINE 4096 /* bytes of output; longer lines come in pieces */

typedef struct {
  /** A line of standard output or error, UTF-8. */
  void (*output) (gpointer data, const char *line);
  /** A message from the status channel. NULL: the child gets none. */
  void (*message) (gpointer data, const SeedRpcMessage *message);
  /** It ended with @status (see waitpid), after all of its output. The child may be freed in here.
   */
  void (*ended) (gpointer data, int status);
} SeeddChildCallbacks;

SeeddChild *seedd_child_spawn (const char *const *argv, int nice,
    const SeeddChildCallbacks *callbacks, gpointer data, GError **error);

/** Kills it when it still runs, and waits for it. NULL is fine. */
void seedd_child_free (SeeddChild *child);

GPid seedd_child_pid (const SeeddChild *child);
void seedd_child_signal (SeeddChild *child, int number);
/** FALSE when the channel is closed or full. */
gboolean seedd_child_send (SeeddChild *child, const char *line);
/** Resident memory, or 0 when it is not known. */
gint64 seedd_child_memory (const SeeddChild *child);

/** "exited with 1", "was killed by signal 9 (Killed)". Caller frees. */
char *seedd_child_describe_status (int status);

G_END_DECLS
