/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>
#include <seed/curve.h>

G_BEGIN_DECLS

/**
 * The messages of ZAP 1.0 (RFC 27) without their empty first frame. libzmq makes the requests, but
 * what is in them comes from whoever connects. Nothing here does I/O.
 */
typedef struct {
  const void *data;
  gsize size;
} SeedZapFrame;

#define SEED_ZAP_MAX_FRAMES 16u
#define SEED_ZAP_MAX_ID 255u     /* bytes of a request's number */
#define SEED_ZAP_MAX_DOMAIN 255u /* bytes */
#define SEED_ZAP_MAX_ADDRESS 63u /* bytes: an IPv6 address with its interface */

typedef enum {
  SEED_ZAP_NULL,
  SEED_ZAP_CURVE,
} SeedZapMechanism;

typedef struct {
  char domain[SEED_ZAP_MAX_DOMAIN + 1];
  char address[SEED_ZAP_MAX_ADDRESS + 1]; /* of the peer, without its port; cut when longer */
  SeedZapMechanism mechanism;
  char key[SEED_CURVE_KEY_LENGTH + 1]; /* CURVE: the client's public key in Z85; else "" */
  const void *id;                      /* in the frames */
  gsize id_size;
} SeedZapRequest;

/**
 * SEED_ERROR_FORMAT, SEED_ERROR_LIMIT, SEED_ERROR_UNSUPPORTED (another version or mechanism); the
 * error names the frame. @request is untouched on failure.
 */
gboolean seed_zap_request_parse (
    const SeedZapFrame *frames, guint n_frames, SeedZapRequest *request, GError **error);

/** Metadata of a reply: one property; @name and @value are text. */
GBytes *seed_zap_metadata_new (const char *name, const char *value);

G_END_DECLS
