/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "graph/graph.h"

/* At most one byte more than a graph may have, so that the parser can refuse it: a graph's name may
 * be a device that never ends. */
char *
seed_graph_read_file (const char *path, gsize *length, SeedDiagnostics *diagnostics)
{
  const gsize limit = SEED_YAML_MAX_BYTES + 1;
  g_autofree char *text = g_malloc (limit + 1);
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gssize n = fd < 0 ? -1 : 0;

  *length = 0;
  while (fd >= 0 && *length < limit) {
    n = read (fd, text + *length, limit - *length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    *length += (gsize) n;
  }
  if (n < 0)
    seed_diagnostics_add (diagnostics, (SeedMark){ 1, 1 }, "cannot read: %s", g_strerror (errno));
  if (fd >= 0)
    close (fd);
  text[*length] = 0;
  return n < 0 ? NULL : g_steal_pointer (&text);
}
