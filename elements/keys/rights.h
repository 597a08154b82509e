/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/zap.h>

#include "keys/key-file.h"

G_BEGIN_DECLS

/**
 * What a public key's file allows; takes its lists over. @name stands in when the file has none.
 * SEED_ERROR_FORMAT for a prefix that no topic can begin with.
 */
SeedRights *seed_rights_new (SeedKeyFile *file, const char *name, GError **error);

/** Whether there is a right of one of the @uses. */
gboolean seed_rights_allow_use (const SeedRights *rights, SeedZapUse uses);

/**
 * Reads all keys of a folder: public key in Z85 -> SeedRights. *@problem is NULL or says what is
 * wrong with the first file that was left out, and how many others were (free it). NULL with
 * SEED_ERROR_IO, SEED_ERROR_INVALID (others may write to it) or SEED_ERROR_LIMIT when the folder
 * itself cannot be used. The caller unrefs the table.
 */
GHashTable *seed_authorized_load (const char *folder, char **problem, GError **error);

#define SEED_AUTHORIZED_MAX_FILES 4096u

G_END_DECLS
