/* SPDX-License-Identifier: MIT */
#include "graph/stage.h"

#include <string.h>

#define MAX_NAME 63

static const SeedStage stages[] = {
  { .name = "decode", .factory = "seeddecode", .required = "streams", .streams = TRUE },
  { .name = "images",
      .factory = "seedimagesrc",
      .required = "location",
      .paths = { "location", "labels", "captions" } },
  { .name = "replay", .factory = "seedreplay", .paths = { "spool" } },
  { .name = "patchify", .factory = "seedpatchify", .splits = TRUE },
  { .name = "teacher", .factory = "seedteacher", .required = "model", .paths = { "model" } },
  { .name = "fusion", .factory = "seedfusion", .paths = { "whitening" }, .pairs = TRUE },
  { .name = "student",
      .factory = "seedstudent",
      .paths = { "model", "checkpoint" },
      .target = TRUE,
      .teachers = TRUE,
      .pairs = TRUE },
  { .name = "publish", .factory = "seedpublish" },
  { .name = "subscribe", .factory = "seedsubscribe", .required = "endpoint", .live = TRUE },
};

const SeedStage *
seed_stage_find (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (stages); i++) {
    if (strcmp (stages[i].name, name) == 0)
      return &stages[i];
  }
  return NULL;
}

const char *const *
seed_stage_names (void)
{
  static const char *names[G_N_ELEMENTS (stages) + 1];

  for (guint i = 0; i < G_N_ELEMENTS (stages); i++)
    names[i] = stages[i].name;
  return names;
}

gboolean
seed_stage_key_is_path (const SeedStage *stage, const char *key, const char *value)
{
  /* `labels` is a word or a file. */
  if (!stage || strcmp (value, "none") == 0 || strcmp (value, "folders") == 0)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (stage->paths) && stage->paths[i]; i++) {
    if (strcmp (stage->paths[i], key) == 0)
      return *value != 0;
  }
  return FALSE;
}

gboolean
seed_name_is_good (const char *name)
{
  gsize n = strlen (name);

  return n >= 1 && n <= MAX_NAME && strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
         strspn (name, "-") < n;
}

char *
seed_uri_resolve (const char *location, const char *folder, GError **error)
{
  g_autofree char *scheme = g_uri_parse_scheme (location), *path = NULL;

  if (scheme && g_ascii_strcasecmp (scheme, "file") != 0)
    return g_strdup (location);
  if (scheme && location[strlen ("file:")] == '/')
    return g_strdup (location);
  if (scheme)
    location += strlen ("file:");
  path = g_canonicalize_filename (location, folder);
  return g_filename_to_uri (path, NULL, error);
}
