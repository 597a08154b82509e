/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <seed/curve.h>

G_BEGIN_DECLS

/* zmq_msg_t of <zmq.h> */
struct zmq_msg_t;

/**
 * What the bearer of one key may do. Never changes once made; reference-counted, thread-safe.
 */
typedef struct _SeedRights SeedRights;

SeedRights *seed_rights_ref (SeedRights *rights);
/** NULL is allowed. */
void seed_rights_unref (SeedRights *rights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedRights, seed_rights_unref)

/** The name in the key's file, or the file's own name when it has none. */
const char *seed_rights_name (const SeedRights *rights);
/** The public key in Z85. */
const char *seed_rights_key (const SeedRights *rights);
/** Whether a control method ("stats") may be called. */
gboolean seed_rights_allow_method (const SeedRights *rights, const char *method);
/** Whether a result of that topic may be read. */
gboolean seed_rights_allow_topic (const SeedRights *rights, const char *topic);
/** Whether both give the same. NULL equals NULL. */
gboolean seed_rights_equal (const SeedRights *a, const SeedRights *b);

/**
 * The part of a subscription that is allowed: prefixes (GBytes, none a prefix of another) of the
 * topics that begin with the @size bytes at @prefix and may be read; empty when there is none.
 * A subscription to everything thus becomes one to everything allowed. The caller frees it.
 */
GPtrArray *seed_rights_narrow (const SeedRights *rights, const void *prefix, gsize size);

/**
 * Who may connect: a folder of public keys, and the ZAP handler (RFC 27) that asks it. A ZeroMQ
 * context has one handler thread at inproc://zeromq.zap.01, however many SeedZaps there are; it
 * starts with the first and ends with the last. All sockets of a SeedZap must be closed before it
 * is freed, and it must be freed before the context is terminated.
 *
 * The folder is watched: a key that is added, changed or taken away counts from the next handshake
 * and the next seed_zap_rights_for on. A file that cannot be used authorizes nobody; the others
 * still count, and seed_zap_problem tells of it. At most 4096 files are read; those that begin
 * with "." or end with "~" are not. Nobody but the owner may write to the folder.
 *
 * All functions are thread-safe.
 */
typedef struct _SeedZap SeedZap;

/**
 * @folder is NULL where no keys are asked for: sockets then take everybody, without encryption.
 * SEED_ERROR_IO when something else is the context's ZAP handler already.
 */
SeedZap *seed_zap_new (void *context, const char *folder, GError **error);
/** NULL is allowed. */
void seed_zap_free (SeedZap *zap);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedZap, seed_zap_free)

/** Reads the folder again, now. FALSE when the folder or a file in it cannot be used. */
gboolean seed_zap_reload (SeedZap *zap, GError **error);

/** What is wrong with the folder or a file in it since it was last read, or NULL. Free it. */
char *seed_zap_problem (SeedZap *zap);

/** What a key needs for a socket to be let in at all. */
typedef enum {
  SEED_ZAP_RESULTS = 1 << 0, /* a right to some results */
  SEED_ZAP_CONTROL = 1 << 1, /* a right to some method */
} SeedZapUse;

/**
 * Makes a socket a server before it is bound: CURVE with @server, and only keys of the folder that
 * have one of the rights in @use. @server is NULL exactly when the folder is. Other keys are
 * refused in the handshake and cost nothing afterwards. Peers must speak ZMTP 3.
 */
gboolean seed_zap_apply_server (
    SeedZap *zap, void *socket, const SeedCurveKeypair *server, SeedZapUse use, GError **error);

/**
 * The rights, as the folder is now, of the peer that sent @message (received from a socket of this
 * SeedZap); NULL when its key is not, or no longer, authorized. The caller unrefs them.
 */
SeedRights *seed_zap_rights_for (SeedZap *zap, struct zmq_msg_t *message);

typedef struct {
  guint64 keys;             /* in the folder */
  guint64 granted, refused; /* handshakes */
  guint64 reloads;          /* times the folder was read */
} SeedZapStats;

void seed_zap_get_stats (SeedZap *zap, SeedZapStats *stats);

G_END_DECLS
