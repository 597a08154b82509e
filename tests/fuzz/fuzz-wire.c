/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "publish/wire-kinds.h"

#include "fuzz.h"

/* What was understood can be said again, and is then understood as the same. */
static void
check_round_trip (const SeedResult *result)
{
  SeedWirePart parts[SEED_WIRE_MAX_PARTS];
  g_auto (SeedResult) again = SEED_RESULT_INIT;
  g_autoptr (GError) error = NULL;
  g_autofree char *topic = seed_wire_build_topic (result, &error), *header = NULL;
  gsize length;

  g_assert_no_error (error);
  header = seed_wire_build_header (result, &length, &error);
  if (!header) { /* escapes and numbers may take more room than they did */
    g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
    return;
  }
  parts[0] = (SeedWirePart){ topic, strlen (topic) };
  parts[1] = (SeedWirePart){ header, length };
  for (guint i = 0; i < result->n_tensors; i++)
    parts[2 + i] = (SeedWirePart){ result->tensors[i].data, result->tensors[i].size };
  seed_wire_parse (parts, 2 + result->n_tensors, &again, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (again.seq, ==, result->seq);
  g_assert_cmpuint (again.frame, ==, result->frame);
  g_assert_cmpstr (again.model.name, ==, result->model.name);
  g_assert_cmpuint (again.n_tensors, ==, result->n_tensors);
  g_assert_cmpuint (json_object_get_size (again.data), ==, json_object_get_size (result->data));
}

/*
 * A message: the number of parts, then each part as two bytes of length (little-endian) and its
 * bytes; what is missing at the end makes parts shorter.
 */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  SeedWirePart parts[256];
  g_auto (SeedResult) result = SEED_RESULT_INIT;
  g_autoptr (GError) error = NULL;
  guint n_parts = size > 0 ? data[0] : 0;
  size_t at = MIN (size, 1);

  for (guint i = 0; i < n_parts; i++) {
    size_t length = size - at >= 2 ? data[at] | (size_t) data[at + 1] << 8 : 0;

    at = MIN (at + 2, size);
    length = MIN (length, size - at);
    parts[i] = (SeedWirePart){ data + at, length };
    at += length;
  }
  if (seed_wire_parse (parts, n_parts, &result, &error)) {
    g_assert_no_error (error);
    check_round_trip (&result);
    if (seed_kind_check (&result, NULL))
      g_free (seed_kind_summarize (&result));
  } else {
    g_assert_nonnull (error);
    g_assert_null (result.root);
  }
  return 0;
}
