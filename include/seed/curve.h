/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Keys of CURVE (RFC 26/CurveZMQ): who a program is on the wire. A key pair lives in a file in the
 * ZeroMQ Property Language (RFC 4/ZPL) as czmq and pyzmq write it:
 *
 *   metadata
 *       name = "lobby server"
 *   curve
 *       public-key = "40 characters of Z85 (RFC 32)"
 *       secret-key = "40 characters of Z85"
 *
 * A public key's file is the same without secret-key; when it lies in an authorized folder (see
 * <seed/zap.h>) it also says what its bearer may do:
 *
 *   rights
 *       results = "lobby/, yard/-/health/"
 *       control = "list, stat*"
 *
 * Every key file must be a regular file of at most 64 KiB that nobody but its owner may read or
 * write (mode 0600). Errors name file, line and column; SEED_ERROR_IO, SEED_ERROR_NOT_FOUND,
 * SEED_ERROR_INVALID (the mode), SEED_ERROR_FORMAT, SEED_ERROR_LIMIT, SEED_ERROR_MISMATCH (secret
 * and public key are no pair), SEED_ERROR_UNSUPPORTED (libzmq was built without CURVE).
 * Thread-safe: a key pair never changes.
 */
typedef struct _SeedCurveKeypair SeedCurveKeypair;

#define SEED_CURVE_KEY_LENGTH 40 /* characters of a key in Z85 */

/** A new random key pair. @name: for people, at most 63 bytes of one line; NULL for none. */
SeedCurveKeypair *seed_curve_keypair_new (const char *name, GError **error);

/** Reads a file with both keys. */
SeedCurveKeypair *seed_curve_keypair_load (const char *path, GError **error);

/** Writes both keys to @path, mode 0600. Never overwrites a file. */
gboolean
seed_curve_keypair_save (const SeedCurveKeypair *keypair, const char *path, GError **error);

/**
 * Writes the public key alone, with rights: @results are prefixes of topics ("*" for all) and
 * @control patterns of methods, each a list separated by commas, or NULL for none. Never
 * overwrites a file.
 */
gboolean seed_curve_keypair_save_public (const SeedCurveKeypair *keypair, const char *path,
    const char *results, const char *control, GError **error);

/** Wipes the secret. NULL is allowed. */
void seed_curve_keypair_free (SeedCurveKeypair *keypair);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedCurveKeypair, seed_curve_keypair_free)

/** In Z85; live as long as the pair. The name is "" when there is none. */
const char *seed_curve_keypair_name (const SeedCurveKeypair *keypair);
const char *seed_curve_keypair_public (const SeedCurveKeypair *keypair);
const char *seed_curve_keypair_secret (const SeedCurveKeypair *keypair);

/** The public key in a file, with or without a secret beside it. The caller frees it. */
char *seed_curve_public_load (const char *path, GError **error);

/**
 * Makes a ZeroMQ socket a CURVE client before it connects: @server_key is the file with the
 * server's public key, @client_key the one with the own key pair. Both NULL or empty: nothing
 * happens; one alone is SEED_ERROR_INVALID.
 */
gboolean seed_curve_apply_client (
    void *socket, const char *server_key, const char *client_key, GError **error);

G_END_DECLS
