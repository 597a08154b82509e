/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <seed/curve.h>

G_BEGIN_DECLS

/**
 * The text of a key file; <seed/curve.h> shows it. Sections begin at the first column, their values
 * are indented; a value is bare or in single or double quotes, without escapes; "#" begins a
 * comment. Keys of the section metadata other than name are let through, all others must be known.
 */
#define SEED_KEY_FILE_MAX_SIZE (64u * 1024) /* bytes */
#define SEED_KEY_FILE_MAX_NAME 63u          /* bytes */
#define SEED_KEY_FILE_MAX_RIGHTS 256u       /* items of one list */
#define SEED_KEY_FILE_MAX_RIGHT 256u        /* bytes of one item: no topic is longer */

typedef struct {
  char *name; /* NULL: none */
  char public_key[SEED_CURVE_KEY_LENGTH + 1];
  char secret_key[SEED_CURVE_KEY_LENGTH + 1]; /* "": none */
  char **results, **control;                  /* NULL: none */
} SeedKeyFile;

#define SEED_KEY_FILE_INIT                                                                         \
  {                                                                                                \
    .name = NULL                                                                                   \
  }

/** Frees what it holds and wipes the secret. */
void seed_key_file_clear (SeedKeyFile *file);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedKeyFile, seed_key_file_clear)

/**
 * Parses @length bytes; @label stands for the file in errors (SEED_ERROR_FORMAT, SEED_ERROR_LIMIT).
 * @file is untouched on failure. Does not check that the two keys are a pair.
 */
gboolean seed_key_file_parse (
    const char *label, const char *text, gsize length, SeedKeyFile *file, GError **error);

/** The text that parses to @file; SEED_ERROR_INVALID when there is none. Free it with care. */
char *seed_key_file_format (const SeedKeyFile *file, GError **error);

/** Reads and parses a file, after checking kind, size and mode. */
gboolean seed_key_file_load (const char *path, SeedKeyFile *file, GError **error);

/** Splits a list at commas, white space stripped, empty items left out. NULL for an empty one. */
char **seed_key_file_split (const char *list);

G_END_DECLS
