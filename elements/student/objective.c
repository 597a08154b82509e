/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

#include "student/objective.h"

#define KNOWN "distil, labels, captions, or several joined by '+'"

static const struct {
  const char *name;
  SeedObjective flag; /* 0: known, but not in this build */
} objectives[] = {
  { "distil", SEED_OBJECTIVE_DISTIL },
  { "labels", SEED_OBJECTIVE_LABELS },
  { "captions", SEED_OBJECTIVE_CAPTIONS },
  { "anchors", 0 },
};

static gboolean
parse_one (const char *name, SeedObjective *objective, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (objectives); i++) {
    if (!g_str_equal (name, objectives[i].name))
      continue;
    if (objectives[i].flag == 0) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
          "objective '%s' is not in this build; use " KNOWN, name);
      return FALSE;
    }
    if (*objective & objectives[i].flag) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "objective '%s' is named twice", name);
      return FALSE;
    }
    *objective |= objectives[i].flag;
    return TRUE;
  }
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "unknown objective '%s'; use " KNOWN, name);
  return FALSE;
}

gboolean
seed_objective_parse (const char *text, SeedObjective *objective, GError **error)
{
  g_auto (GStrv) names = g_strsplit (text ? text : "", "+", -1);
  SeedObjective all = 0;

  if (!names[0]) {
    g_set_error_literal (
        error, SEED_ERROR, SEED_ERROR_INVALID, "the objective is empty; use " KNOWN);
    return FALSE;
  }
  for (guint i = 0; names[i]; i++)
    if (!parse_one (g_strstrip (names[i]), &all, error))
      return FALSE;
  *objective = all;
  return TRUE;
}
