/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

gboolean
seed_journal_is_stderr (void)
{
  const char *stream = g_getenv ("JOURNAL_STREAM");
  g_autofree char *ours = NULL;
  struct stat info;

  if (!stream || fstat (STDERR_FILENO, &info) < 0)
    return FALSE;
  ours = g_strdup_printf ("%ju:%ju", (uintmax_t) info.st_dev, (uintmax_t) info.st_ino);
  return g_str_equal (stream, ours);
}

static void
append_field (GByteArray *bytes, const SeedJournalField *field)
{
  gsize length = strlen (field->value);
  guint64 size = GUINT64_TO_LE ((guint64) length);
  gboolean is_line = strchr (field->value, '\n') == NULL;

  g_byte_array_append (bytes, (const guint8 *) field->name, (guint) strlen (field->name));
  g_byte_array_append (bytes, (const guint8 *) (is_line ? "=" : "\n"), 1);
  if (!is_line)
    g_byte_array_append (bytes, (const guint8 *) &size, sizeof size);
  g_byte_array_append (bytes, (const guint8 *) field->value, (guint) length);
  g_byte_array_append (bytes, (const guint8 *) "\n", 1);
}

GBytes *
seed_journal_serialize (const SeedJournalField *fields, guint n)
{
  GByteArray *bytes = g_byte_array_new ();

  for (guint i = 0; i < n; i++) {
    if (fields[i].value)
      append_field (bytes, &fields[i]);
  }
  return g_byte_array_free_to_bytes (bytes);
}

gboolean
seed_journal_send (const char *path, const SeedJournalField *fields, guint n)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autoptr (GBytes) bytes = NULL;
  gconstpointer data;
  gssize sent;
  gsize size;
  int fd;

  if (strlen (path) >= sizeof address.sun_path)
    return FALSE;
  strcpy (address.sun_path, path);
  fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return FALSE;
  bytes = seed_journal_serialize (fields, n);
  data = g_bytes_get_data (bytes, &size);
  do
    sent = sendto (fd, data, size, MSG_NOSIGNAL, (struct sockaddr *) &address, sizeof address);
  while (sent < 0 && errno == EINTR);
  close (fd);
  return sent >= 0;
}

gboolean
seed_journal_say (int priority, const char *identifier, const char *graph, const char *stage,
    const char *stream, const char *text)
{
  char level[4];
  const SeedJournalField fields[] = {
    { "MESSAGE", text },
    { "PRIORITY", level },
    { "SYSLOG_IDENTIFIER", identifier },
    { "GRAPH", graph },
    { "STAGE", stage },
    { "STREAM", stream },
  };

  g_snprintf (level, sizeof level, "%d", CLAMP (priority, LOG_EMERG, LOG_DEBUG));
  return seed_journal_send (SEED_JOURNAL_SOCKET, fields, G_N_ELEMENTS (fields));
}
