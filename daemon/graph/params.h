/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/yaml.h"

G_BEGIN_DECLS

/**
 * Replaces, in every scalar value of @root, ${name} by a parameter and ${env:NAME} by a variable of
 * the environment; "$${" stands for "${". Parameters come from the mapping "parameters" of @root,
 * in order (one may use those above it), and @set (name -> value, taken as it is; may be NULL)
 * overrides them. What is unknown, unset or misspelt is reported at the scalar's place.
 */
#define SEED_PARAMS_MAX_BYTES (4 * 1024 * 1024) /* of all values together after replacement */

void seed_params_apply (SeedYaml *root, GHashTable *set, SeedDiagnostics *diagnostics);

/**
 * Adds what the command line option @option (for the error) says, "NAME=VALUE", to @set, whose keys
 * and values are owned strings. G_OPTION_ERROR_BAD_VALUE when @text is no such thing.
 */
gboolean
seed_params_parse_set (GHashTable *set, const char *option, const char *text, GError **error);

G_END_DECLS
