/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/safetensors.h>

/* What the loader of checkpoints needs of a reader beyond the public interface. */

/* Hex SHA-256 of the whole file. Caller frees. */
char *seed_safetensors_sha256 (const SeedSafetensors *st);

/*
 * SEED_ERROR_IO when the mapped file has changed since it was opened, so that a copy taken from it
 * is a mixture of two files. (A file replaced by rename, as every writer should, has not changed:
 * the old one stays mapped.) TRUE for a reader of memory.
 */
gboolean seed_safetensors_check_unchanged (const SeedSafetensors *st, GError **error);
