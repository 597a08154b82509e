/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * The lines in which seed-run tells of a stage: "seed-run: error: stage 'NAME', stream 'NAME':
 * text". seed-run writes them, seedd reads what they are about.
 */

/** @kind: "error" or "warning". @stream: NULL when it is about none. Caller frees. */
char *seed_line_build (const char *kind, const char *stage, const char *stream, const char *text);

/** What a line is about; each NULL when it does not say (any other line). Caller frees both. */
void seed_line_parse (const char *line, char **stage, char **stream);

G_END_DECLS
