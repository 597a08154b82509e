/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* What a student learns from; flags, joined by '+' where people write them. */
typedef enum {
  SEED_OBJECTIVE_DISTIL = 1 << 0,   /* teachers: their fused similarities, their features */
  SEED_OBJECTIVE_LABELS = 1 << 1,   /* the class of each image */
  SEED_OBJECTIVE_CAPTIONS = 1 << 2, /* a text about each image */
} SeedObjective;

/*
 * "distil", "labels", "distil+captions", ... SEED_ERROR_INVALID for an unknown, doubled or empty
 * name, SEED_ERROR_UNSUPPORTED for one that this build cannot do; both say which there are.
 */
gboolean seed_objective_parse (const char *text, SeedObjective *objective, GError **error);
