/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "seed-run.h"

static volatile sig_atomic_t n_signals, heard;
static int wake_fd = -1;
static void (*listener) (gpointer data, guint n_signals);
static gpointer listener_data;

/* Async-signal-safe: a count and a write. While nobody listens, a second signal is the only way to
 * stop a stage that hangs. */
static void
on_signal (int number)
{
  const guint64 one = 1;
  int saved = errno;

  n_signals++;
  if (n_signals > 1 && !heard)
    _exit (1);
  if (write (wake_fd, &one, sizeof one) < 0)
    n_signals = MAX (n_signals, 1); /* the counter is full; the loop is about to wake anyway */
  errno = saved;
}

static gboolean
on_wake (int fd, GIOCondition condition, gpointer data)
{
  guint64 count;

  if (read (fd, &count, sizeof count) == sizeof count && listener)
    listener (listener_data, (guint) n_signals);
  return G_SOURCE_CONTINUE;
}

void
seed_run_catch_signals (void)
{
  struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

  wake_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0)
    g_error ("eventfd: %m");
  g_unix_fd_add (wake_fd, G_IO_IN, on_wake, NULL);
  sigemptyset (&action.sa_mask);
  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
}

void
seed_run_watch_signals (void (*func) (gpointer data, guint n_signals), gpointer data)
{
  listener = func;
  listener_data = data;
}

void
seed_run_signals_heard (gboolean is_heard)
{
  heard = is_heard;
}

guint
seed_run_n_signals (void)
{
  return (guint) n_signals;
}
