/* SPDX-License-Identifier: MIT */
#include "seedd-child.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"

#define MAX_READS 16 /* of output in one turn of the main loop */

struct _SeeddChild {
  GPid pid;
  gboolean running;
  SeeddChildCallbacks callbacks;
  gpointer data;
  SeedChannel *channel;
  int output_fd;
  guint output_source, watch;
  GString *line;
};

typedef struct {
  pid_t parent;
  int nice;
} Setup;

/* Between fork and exec: nothing but system calls. */
static void
set_up (gpointer data)
{
  const Setup *setup = data;

  setsid ();
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  if (getppid () != setup->parent)
    _exit (127); /* it died before the line above */
  if (setup->nice)
    setpriority (PRIO_PROCESS, 0, setup->nice);
}

/* ---- output ---- */

static void
hand_out_line (SeeddChild *child)
{
  g_autofree char *text = g_utf8_make_valid (child->line->str, (gssize) child->line->len);

  g_string_truncate (child->line, 0);
  if (*text)
    child->callbacks.output (child->data, text);
}

static void
take_output (SeeddChild *child, const char *bytes, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    if (bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != 0)
      g_string_append_c (child->line, bytes[i]);
    if (bytes[i] == '\n' || child->line->len >= SEEDD_CHILD_MAX_LINE)
      hand_out_line (child);
  }
}

/* FALSE at its end. */
static gboolean
read_output (SeeddChild *child, guint max_reads)
{
  char bytes[SEEDD_CHILD_MAX_LINE];

  for (guint i = 0; i < max_reads; i++) {
    gssize n = read (child->output_fd, bytes, sizeof bytes);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno == EAGAIN;
    if (n == 0)
      return FALSE;
    take_output (child, bytes, (gsize) n);
  }
  return TRUE;
}

static gboolean
on_output (int fd, GIOCondition condition, gpointer data)
{
  SeeddChild *child = data;

  if (read_output (child, MAX_READS))
    return G_SOURCE_CONTINUE;
  child->output_source = 0;
  return G_SOURCE_REMOVE;
}

/* ---- status channel ---- */

static void
on_line (gpointer data, const char *line, gsize length)
{
  SeeddChild *child = data;
  g_auto (SeedRpcMessage) message = { 0 };
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  if (seed_rpc_parse_message (line, length, &message, &error)) {
    child->callbacks.message (child->data, &message);
    return;
  }
  text = g_strdup_printf ("status channel: %s", error->message);
  child->callbacks.output (child->data, text);
}

/* Its end follows, or the missing heartbeats will tell. */
static void
on_closed (gpointer data, const char *reason)
{
}

static void
on_ended (GPid pid, int status, gpointer data)
{
  SeeddChild *child = data;

  child->watch = 0;
  child->running = FALSE;
  /* A grandchild may hold the pipe open for ever: what is there now is what there is. */
  if (child->output_source)
    read_output (child, 64 * MAX_READS);
  if (child->line->len > 0)
    hand_out_line (child);
  if (child->channel)
    seed_channel_drain (child->channel);
  child->callbacks.ended (child->data, status);
}

/* ---- life ---- */

static gboolean
make_channel (const SeeddChildCallbacks *callbacks, int *fds, GError **error)
{
  if (!callbacks->message || socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0)
    return TRUE;
  g_set_error (
      error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, "no status channel: %s", g_strerror (errno));
  return FALSE;
}

SeeddChild *
seedd_child_spawn (const char *const *argv, int nice, const SeeddChildCallbacks *callbacks,
    gpointer data, GError **error)
{
  static const SeedChannelCallbacks channel_callbacks = { on_line, on_closed };
  const int target = SEEDD_CHILD_STATUS_FD;
  Setup setup = { getpid (), nice };
  int fds[2] = { -1, -1 }, pipes[2] = { -1, -1 };
  SeeddChild *child;
  gboolean good;
  GPid pid = 0;

  if (!make_channel (callbacks, fds, error))
    return NULL;
  good = g_unix_open_pipe (pipes, FD_CLOEXEC, error) &&
         g_spawn_async_with_pipes_and_fds (NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, set_up,
             &setup, -1, pipes[1], pipes[1], &fds[1], &target, callbacks->message ? 1 : 0, &pid,
             NULL, NULL, NULL, error);
  if (fds[1] >= 0)
    close (fds[1]);
  if (pipes[1] >= 0)
    close (pipes[1]);
  if (!good) {
    if (fds[0] >= 0)
      close (fds[0]);
    if (pipes[0] >= 0)
      close (pipes[0]);
    return NULL;
  }
  child = g_new0 (SeeddChild, 1);
  child->pid = pid;
  child->running = TRUE;
  child->callbacks = *callbacks;
  child->data = data;
  child->line = g_string_new (NULL);
  child->output_fd = pipes[0];
  g_unix_set_fd_nonblocking (child->output_fd, TRUE, NULL);
  child->output_source =
      g_unix_fd_add (child->output_fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_output, child);
  if (fds[0] >= 0)
    child->channel = seed_channel_new (fds[0], NULL, &channel_callbacks, child);
  child->watch = g_child_watch_add (pid, on_ended, child);
  return child;
}

void
seedd_child_free (SeeddChild *child)
{
  if (!child)
    return;
  if (child->watch)
    g_source_remove (child->watch);
  if (child->running) {
    kill (child->pid, SIGKILL);
    while (waitpid (child->pid, NULL, 0) < 0 && errno == EINTR)
      ;
  }
  if (child->output_source)
    g_source_remove (child->output_source);
  close (child->output_fd);
  seed_channel_free (child->channel);
  g_string_free (child->line, TRUE);
  g_free (child);
}

GPid
seedd_child_pid (const SeeddChild *child)
{
  return child->pid;
}

void
seedd_child_signal (SeeddChild *child, int number)
{
  if (child->running)
    kill (child->pid, number);
}

gboolean
seedd_child_send (SeeddChild *child, const char *line)
{
  return child->channel && seed_channel_send (child->channel, line);
}

gint64
seedd_child_memory (const SeeddChild *child)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/statm", (int) child->pid);
  gint64 total, resident;
  FILE *file = fopen (path, "re");
  gboolean read;

  if (!file)
    return 0;
  read = fscanf (file, "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, &total, &resident) == 2;
  fclose (file);
  return read ? resident * sysconf (_SC_PAGESIZE) : 0;
}

char *
seedd_child_describe_status (int status)
{
  if (WIFSIGNALED (status))
    return g_strdup_printf (
        "was killed by signal %d (%s)", WTERMSIG (status), g_strsignal (WTERMSIG (status)));
  return g_strdup_printf ("exited with %d", WEXITSTATUS (status));
}
