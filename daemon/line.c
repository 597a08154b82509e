/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <string.h>

#define BEGIN "seed-run: "
#define STAGE ": stage '"
#define STREAM "', stream '"

char *
seed_line_build (const char *kind, const char *stage, const char *stream, const char *text)
{
  return g_strdup_printf (BEGIN "%s" STAGE "%s%s%s': %s", kind, stage, stream ? STREAM : "",
      stream ? stream : "", text);
}

/* Names have no quotes in them. */
static const char *
end_of (const char *name)
{
  const char *end = strchr (name, '\'');

  return end && end > name ? end : NULL;
}

void
seed_line_parse (const char *line, char **stage, char **stream)
{
  const char *colon, *name, *end;

  *stage = *stream = NULL;
  if (!g_str_has_prefix (line, BEGIN))
    return;
  colon = strchr (line + strlen (BEGIN), ':');
  if (!colon || !g_str_has_prefix (colon, STAGE))
    return;
  name = colon + strlen (STAGE);
  end = end_of (name);
  if (!end)
    return;
  *stage = g_strndup (name, (gsize) (end - name));
  if (!g_str_has_prefix (end, STREAM))
    return;
  name = end + strlen (STREAM);
  end = end_of (name);
  if (end)
    *stream = g_strndup (name, (gsize) (end - name));
}
