/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <zmq.h>

#include <seed/error.h>

#include "keys/zap-request.h"

#define KEY_SIZE 32u /* bytes */

/* version, request id, domain, address, identity, mechanism, credentials... */
enum { VERSION, ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS };

static gboolean
is_text (const SeedZapFrame *frame, const char *text)
{
  return frame->size == strlen (text) && memcmp (frame->data, text, frame->size) == 0;
}

static gboolean
fail (int code, const char *what, GError **error)
{
  g_set_error (error, SEED_ERROR, code, "ZAP request: %s", what);
  return FALSE;
}

static gboolean
parse_credentials (
    const SeedZapFrame *frames, guint n_frames, SeedZapRequest *request, GError **error)
{
  guint8 key[KEY_SIZE];

  if (is_text (&frames[MECHANISM], "NULL")) {
    request->mechanism = SEED_ZAP_NULL;
    return n_frames == CREDENTIALS || fail (SEED_ERROR_FORMAT, "NULL has no credentials", error);
  }
  if (!is_text (&frames[MECHANISM], "CURVE"))
    return fail (SEED_ERROR_UNSUPPORTED, "the mechanism is neither NULL nor CURVE", error);
  if (n_frames != CREDENTIALS + 1 || frames[CREDENTIALS].size != KEY_SIZE)
    return fail (SEED_ERROR_FORMAT, "CURVE has one credential of 32 bytes", error);
  request->mechanism = SEED_ZAP_CURVE;
  memcpy (key, frames[CREDENTIALS].data, KEY_SIZE);
  zmq_z85_encode (request->key, key, KEY_SIZE);
  return TRUE;
}

gboolean
seed_zap_request_parse (
    const SeedZapFrame *frames, guint n_frames, SeedZapRequest *request, GError **error)
{
  SeedZapRequest parsed = { .key = "" };

  if (n_frames < CREDENTIALS || n_frames > SEED_ZAP_MAX_FRAMES)
    return fail (SEED_ERROR_FORMAT, "a request has 6 frames and its credentials", error);
  if (!is_text (&frames[VERSION], "1.0"))
    return fail (SEED_ERROR_UNSUPPORTED, "the version is not 1.0", error);
  if (frames[ID].size > SEED_ZAP_MAX_ID)
    return fail (SEED_ERROR_LIMIT, "the request id has more than 255 bytes", error);
  if (frames[DOMAIN].size > SEED_ZAP_MAX_DOMAIN)
    return fail (SEED_ERROR_LIMIT, "the domain has more than 255 bytes", error);
  if (frames[DOMAIN].size > 0 && memchr (frames[DOMAIN].data, 0, frames[DOMAIN].size))
    return fail (SEED_ERROR_FORMAT, "the domain has a NUL", error);
  if (!parse_credentials (frames, n_frames, &parsed, error))
    return FALSE;
  if (frames[DOMAIN].size > 0)
    memcpy (parsed.domain, frames[DOMAIN].data, frames[DOMAIN].size);
  if (frames[ADDRESS].size > 0)
    memcpy (parsed.address, frames[ADDRESS].data, MIN (frames[ADDRESS].size, SEED_ZAP_MAX_ADDRESS));
  parsed.id = frames[ID].data;
  parsed.id_size = frames[ID].size;
  *request = parsed;
  return TRUE;
}

GBytes *
seed_zap_metadata_new (const char *name, const char *value)
{
  guint8 name_size = (guint8) MIN (strlen (name), 255u);
  guint32 value_size = GUINT32_TO_BE ((guint32) strlen (value));
  GByteArray *bytes = g_byte_array_new ();

  g_byte_array_append (bytes, &name_size, 1);
  g_byte_array_append (bytes, (const guint8 *) name, name_size);
  g_byte_array_append (bytes, (const guint8 *) &value_size, sizeof value_size);
  g_byte_array_append (bytes, (const guint8 *) value, (guint) strlen (value));
  return g_byte_array_free_to_bytes (bytes);
}
