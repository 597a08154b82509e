/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** A place in a graph file. Both count from 1; columns count characters. */
typedef struct {
  guint line, column;
} SeedMark;

typedef struct {
  SeedMark mark;
  char *message; /* one line */
} SeedDiagnostic;

/**
 * The errors of one file. They may be added in any order and are reported sorted by position, each
 * place and message once. After SEED_DIAGNOSTICS_MAX further ones are only counted, so a hostile
 * file cannot make the list long. Not thread-safe.
 */
typedef struct _SeedDiagnostics SeedDiagnostics;

#define SEED_DIAGNOSTICS_MAX 200

/** @file: how the file is called in messages. */
SeedDiagnostics *seed_diagnostics_new (const char *file);
void seed_diagnostics_free (SeedDiagnostics *diagnostics);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedDiagnostics, seed_diagnostics_free)

void seed_diagnostics_add (SeedDiagnostics *diagnostics, SeedMark mark, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

/** Errors added so far, those beyond the limit included. */
guint seed_diagnostics_count (const SeedDiagnostics *diagnostics);

/** The errors kept, sorted: SeedDiagnostic pointers that live as long as @diagnostics. */
GPtrArray *seed_diagnostics_sorted (const SeedDiagnostics *diagnostics);

/** "FILE:LINE:COLUMN: error: MESSAGE\n" for each, sorted; "" when there are none. Caller frees. */
char *seed_diagnostics_to_string (const SeedDiagnostics *diagnostics);

/** @text in single quotes, control characters escaped, cut at 80 characters. Caller frees. */
char *seed_quote (const char *text);

/**
 * Of @names (NULL-terminated) the one @word is most likely a misspelling of: the smallest
 * Damerau-Levenshtein distance (insert, delete, replace, swap of neighbours), at most a third of
 * the word's length and at least 1. NULL when none is that near.
 */
const char *seed_nearest_name (const char *word, const char *const *names);

/** "; did you mean 'x'?" or "". Caller frees. */
char *seed_did_you_mean (const char *word, const char *const *names);

G_END_DECLS
