/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "keys/zap-request.h"

#include "fuzz.h"

/* Frames: each one byte of length and its bytes; what is missing at the end makes them shorter. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  SeedZapFrame frames[SEED_ZAP_MAX_FRAMES];
  SeedZapRequest request = { .id_size = 12345 };
  g_autoptr (GError) error = NULL;
  guint n = 0;

  for (size_t at = 0; at < size && n < SEED_ZAP_MAX_FRAMES; n++) {
    size_t length = MIN ((size_t) data[at], size - at - 1);

    frames[n] = (SeedZapFrame){ data + at + 1, length };
    at += 1 + length;
  }
  if (!seed_zap_request_parse (frames, n, &request, &error)) {
    g_assert_nonnull (error);
    g_assert_cmpuint (request.id_size, ==, 12345);
    return 0;
  }
  g_assert_no_error (error);
  g_assert_cmpuint (strlen (request.domain), ==, frames[2].size);
  g_assert_cmpuint (
      strlen (request.key), ==, request.mechanism == SEED_ZAP_CURVE ? SEED_CURVE_KEY_LENGTH : 0);
  return 0;
}
