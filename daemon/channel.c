/* SPDX-License-Identifier: MIT */
#include "channel.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536

struct _SeedChannel {
  int fd;
  SeedChannelCallbacks callbacks;
  gpointer data;
  GSource *source;
  gpointer tag;
  GString *in; /* of the context's thread */

  GMutex lock; /* the rest */
  GString *out;
  gboolean closed;
};

typedef struct {
  GSource source;
  SeedChannel *channel;
} ChannelSource;

static void
end (SeedChannel *channel, const char *reason)
{
  gboolean was_closed;

  g_mutex_lock (&channel->lock);
  was_closed = channel->closed;
  channel->closed = TRUE;
  g_mutex_unlock (&channel->lock);
  if (was_closed)
    return;
  g_source_modify_unix_fd (channel->source, channel->tag, 0);
  g_source_destroy (channel->source);
  channel->callbacks.closed (channel->data, reason);
}

/* The lock is held. FALSE when the socket is broken. */
static gboolean
write_some (SeedChannel *channel)
{
  while (channel->out->len > 0) {
    gssize n =
        send (channel->fd, channel->out->str, channel->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN || errno == EWOULDBLOCK;
    g_string_erase (channel->out, 0, n);
  }
  return TRUE;
}

static void
hand_out_lines (SeedChannel *channel)
{
  gsize begin = 0;
  char *newline;

  while ((newline = memchr (channel->in->str + begin, '\n', channel->in->len - begin))) {
    gsize length = (gsize) (newline - channel->in->str) - begin;

    *newline = 0;
    channel->callbacks.line (channel->data, channel->in->str + begin, length);
    begin += length + 1;
  }
  g_string_erase (channel->in, 0, (gssize) begin);
}

/* A chunk at a time, so that a talkative peer does not keep others waiting. FALSE when nothing was
 * there. */
static gboolean
read_some (SeedChannel *channel)
{
  char chunk[CHUNK];
  gssize n;

  do
    n = recv (channel->fd, chunk, sizeof chunk, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return FALSE;
  if (n <= 0) {
    end (channel, n == 0 || errno == ECONNRESET ? NULL : g_strerror (errno));
    return FALSE;
  }
  g_string_append_len (channel->in, chunk, n);
  hand_out_lines (channel);
  if (channel->in->len > SEED_CHANNEL_MAX_LINE) {
    end (channel, "a line is longer than the limit");
    return FALSE;
  }
  return TRUE;
}

static gboolean
dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  SeedChannel *channel = ((ChannelSource *) source)->channel;
  GIOCondition ready = g_source_query_unix_fd (source, channel->tag);
  gboolean good = TRUE;

  if (ready & G_IO_OUT) {
    g_mutex_lock (&channel->lock);
    good = write_some (channel);
    if (channel->out->len == 0)
      g_source_modify_unix_fd (source, channel->tag, G_IO_IN);
    g_mutex_unlock (&channel->lock);
  }
  if (ready & (G_IO_IN | G_IO_HUP | G_IO_ERR))
    read_some (channel);
  else if (!good)
    end (channel, NULL);
  return !g_source_is_destroyed (source);
}

SeedChannel *
seed_channel_new (
    int fd, GMainContext *context, const SeedChannelCallbacks *callbacks, gpointer data)
{
  static GSourceFuncs functions = { .dispatch = dispatch };
  SeedChannel *channel = g_new0 (SeedChannel, 1);

  channel->fd = fd;
  channel->callbacks = *callbacks;
  channel->data = data;
  channel->in = g_string_new (NULL);
  channel->out = g_string_new (NULL);
  g_mutex_init (&channel->lock);
  channel->source = g_source_new (&functions, sizeof (ChannelSource));
  ((ChannelSource *) channel->source)->channel = channel;
  channel->tag = g_source_add_unix_fd (channel->source, fd, G_IO_IN);
  g_source_attach (channel->source, context);
  return channel;
}

void
seed_channel_free (SeedChannel *channel)
{
  if (!channel)
    return;
  g_source_destroy (channel->source);
  g_source_unref (channel->source);
  close (channel->fd);
  g_string_free (channel->in, TRUE);
  g_string_free (channel->out, TRUE);
  g_mutex_clear (&channel->lock);
  g_free (channel);
}

gboolean
seed_channel_send (SeedChannel *channel, const char *line)
{
  gsize length = strlen (line);
  gboolean fits;

  g_mutex_lock (&channel->lock);
  fits = !channel->closed && channel->out->len + length + 1 <= SEED_CHANNEL_MAX_QUEUED;
  if (fits) {
    g_string_append_len (channel->out, line, (gssize) length);
    g_string_append_c (channel->out, '\n');
    g_source_modify_unix_fd (channel->source, channel->tag, G_IO_IN | G_IO_OUT);
  }
  g_mutex_unlock (&channel->lock);
  return fits;
}

void
seed_channel_drain (SeedChannel *channel)
{
  while (!g_source_is_destroyed (channel->source) && read_some (channel))
    ;
}

void
seed_channel_flush (SeedChannel *channel, int timeout_ms)
{
  gint64 until = g_get_monotonic_time () + (gint64) timeout_ms * 1000;

  g_mutex_lock (&channel->lock);
  while (!channel->closed && write_some (channel) && channel->out->len > 0 &&
         g_get_monotonic_time () < until) {
    struct pollfd wait = { .fd = channel->fd, .events = POLLOUT };

    poll (&wait, 1, 20);
  }
  g_mutex_unlock (&channel->lock);
}
