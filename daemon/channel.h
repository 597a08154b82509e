/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Lines of text over a stream socket between two processes that trust each other with nothing but
 * to close it: bounded both ways, never blocking. Callbacks run in the context the channel was made
 * for; any thread may send.
 */
typedef struct _SeedChannel SeedChannel;

#define SEED_CHANNEL_MAX_LINE (2u * 1024 * 1024)   /* bytes; the peer is cut off beyond it */
#define SEED_CHANNEL_MAX_QUEUED (8u * 1024 * 1024) /* bytes that wait to be sent */

typedef struct {
  /** @line: without its newline, terminated. */
  void (*line) (gpointer data, const char *line, gsize length);
  /** Once, at the end of the channel. @reason: NULL when the peer closed it. */
  void (*closed) (gpointer data, const char *reason);
} SeedChannelCallbacks;

/** Takes @fd. @context NULL: the default one. */
SeedChannel *seed_channel_new (
    int fd, GMainContext *context, const SeedChannelCallbacks *callbacks, gpointer data);
/** In the context's thread, or when that runs no more; not from a callback. Closes the socket. */
void seed_channel_free (SeedChannel *channel);

/** Queues @line, to which a newline is added. FALSE when the channel is closed or its queue full.
 */
gboolean seed_channel_send (SeedChannel *channel, const char *line);

/** Hands out every line that has already arrived. In the context's thread. */
void seed_channel_drain (SeedChannel *channel);

/** Writes what is queued as long as the socket takes it, for at most @timeout_ms. */
void seed_channel_flush (SeedChannel *channel, int timeout_ms);

G_END_DECLS
