/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>

/*
 * A file that is either the old one or the whole new one: written under another name in the same
 * folder, synced, renamed over @path, folder synced. A path that is a symbolic link is replaced,
 * not followed. Errors are SEED_ERROR_IO and name @path.
 */
typedef struct {
  char *path, *temp;
  int fd;
} SeedAtomicFile;

gboolean seed_atomic_file_open (SeedAtomicFile *file, const char *path, GError **error);
gboolean
seed_atomic_file_write (SeedAtomicFile *file, const void *data, gsize size, GError **error);
/* When FALSE because the folder could not be synced, @path is the new file, complete, but a loss of
 * power may still bring the old one back; in every other failure @path is as it was. */
gboolean seed_atomic_file_commit (SeedAtomicFile *file, GError **error);
/* Removes what was written unless it was committed. For every file that was opened; repeatable. */
void seed_atomic_file_clear (SeedAtomicFile *file);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedAtomicFile, seed_atomic_file_clear)

/* All of the above for a text that is at hand. */
gboolean seed_atomic_file_set_contents (const char *path, const char *text, GError **error);
