/* SPDX-License-Identifier: MIT */
#include "seedd-notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_size; /* 0: nobody listens */
static guint64 watchdog_us;

void
seedd_notify_init (void)
{
  const char *path = g_getenv ("NOTIFY_SOCKET"), *usec = g_getenv ("WATCHDOG_USEC");
  const char *pid = g_getenv ("WATCHDOG_PID");
  guint64 ours = (guint64) getpid ();

  if (path && (path[0] == '/' || path[0] == '@') && strlen (path) < sizeof address.sun_path) {
    strcpy (address.sun_path, path);
    address_size = (socklen_t) (offsetof (struct sockaddr_un, sun_path) + strlen (path));
    if (path[0] == '@')
      address.sun_path[0] = 0;
    else
      address_size++;
  }
  if (usec && (!pid || (g_ascii_string_to_unsigned (pid, 10, 1, G_MAXINT, &ours, NULL) &&
                           ours == (guint64) getpid ())))
    g_ascii_string_to_unsigned (usec, 10, 1, G_MAXINT64, &watchdog_us, NULL);
  g_unsetenv ("NOTIFY_SOCKET");
  g_unsetenv ("WATCHDOG_USEC");
  g_unsetenv ("WATCHDOG_PID");
}

gboolean
seedd_notify (const char *format, ...)
{
  g_autofree char *text = NULL;
  gboolean sent;
  va_list args;
  int fd;

  if (!address_size)
    return FALSE;
  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return FALSE;
  sent = sendto (fd, text, strlen (text), MSG_NOSIGNAL, (struct sockaddr *) &address,
             address_size) >= 0;
  close (fd);
  return sent;
}

guint64
seedd_notify_watchdog_us (void)
{
  return watchdog_us;
}
