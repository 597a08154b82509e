/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * A checkpoint as a set: several files that belong together, of which one never sees some old and
 * some new. In a folder:
 *
 *   generation-00000007/   the files, and SHA256SUMS over them (as sha256sum writes and checks it)
 *   generation-00000006/   the one before, kept
 *   current -> generation-00000007
 *   config.json -> current/config.json, and so on for the files that others read
 *
 * A generation is written under another name, every file and the folder synced, then renamed: what
 * has the name is complete. It is whole while its sums are right; SEED_ERROR otherwise.
 */
#define SEED_GENERATION_SUMS "SHA256SUMS"

/* Numbers of the generations of @folder, newest first; empty when there is no folder. */
GArray *seed_generations_list (const char *folder); /* of guint */
/* The folder of one. */
char *seed_generation_path (const char *folder, guint number);

/*
 * Makes @folder when it is missing and in it the empty folder of the generation to come, whose path
 * is returned. Remains of one that was never finished are removed.
 */
char *seed_generation_begin (const char *folder, GError **error);
/*
 * Sums the @files of @path up, gives it the number @number, points current at it and links @shown
 * (NULL-terminated) into @folder. On failure what was there before is still current.
 */
gboolean seed_generation_commit (const char *folder, const char *path, guint number,
    const char *const *files, const char *const *shown, GError **error);
/* Whether every one of @files is as it was summed up; an error names what is not. */
gboolean
seed_generation_verify (const char *folder, guint number, const char *const *files, GError **error);
/* Points current at an older one. */
gboolean seed_generation_select (const char *folder, guint number, GError **error);
/* Removes every generation but these two (0: none). What cannot be removed is left. */
void seed_generations_prune (const char *folder, guint newest, guint previous);
