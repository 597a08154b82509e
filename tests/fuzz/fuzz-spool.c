/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "replay/spool-record.h"
#include "replay/spool.h"

#include "fuzz.h"

#define MAX_HELD 4096u /* draws look at no more */

/*
 * A mutated file hardly ever passes its checks, so the input is given a second time with all of
 * them made right.
 */
static void
put_u64 (uint8_t *at, guint64 value)
{
  value = GUINT64_TO_LE (value);
  memcpy (at, &value, sizeof value);
}

static guint64
get_u64 (const uint8_t *at)
{
  guint64 value;

  memcpy (&value, at, sizeof value);
  return GUINT64_FROM_LE (value);
}

static void
make_right (uint8_t *data, size_t size)
{
  size_t at = SEED_SPOOL_HEADER_SIZE;

  if (size < at)
    return;
  seed_spool_put_header (data);
  for (guint64 n = 0; size - at >= SEED_SPOOL_RECORD_SIZE; n++) {
    guint32 magic[2] = { GUINT32_TO_LE (SEED_SPOOL_RECORD_MAGIC), 0 };
    guint64 body = get_u64 (data + at + 8);

    if (body > size - at - SEED_SPOOL_RECORD_SIZE)
      body = (size - at - SEED_SPOOL_RECORD_SIZE) & ~(size_t) 7;
    memcpy (data + at, magic, sizeof magic);
    put_u64 (data + at + 8, body);
    put_u64 (data + at + 16, seed_spool_check_mix (seed_spool_check_begin (n),
                                 data + at + SEED_SPOOL_RECORD_SIZE, body));
    put_u64 (data + at + 24, seed_spool_check_mix (seed_spool_check_begin (n), data + at, 24));
    at += SEED_SPOOL_RECORD_SIZE + body;
  }
}

/* What was accepted is a memory like any other. */
static void
use (SeedReplay *replay)
{
  seed_replay_trim (replay);
  seed_replay_restore_own (replay);
  for (guint i = 0; i < 8; i++) {
    seed_replay_offer (replay, i % 2 ? "a" : "b", 10);
    seed_replay_live (replay);
    while (seed_replay_draw (replay)) {
    }
  }
}

static void
parse (const uint8_t *data, size_t size)
{
  SeedReplayConfig config = {
    .capacity = 64, .capacity_bytes = 1 << 20, .warm_up = 1, .live_share = 0.5, .likeness = 0.9
  };
  g_autoptr (SeedReplay) replay = seed_replay_new (&config);
  g_autoptr (GError) error = NULL;
  guint64 n_records;
  gsize good;

  if (!seed_spool_parse (replay, data, size, NULL, NULL, &good, &n_records, &error)) {
    g_assert_true (g_str_has_prefix (error->message, "byte "));
    return;
  }
  g_assert_no_error (error);
  g_assert_cmpuint (good, <=, size);
  if (seed_replay_n_held (replay) <= MAX_HELD)
    use (replay);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree uint8_t *copy = g_memdup2 (data, size);

  parse (data, size);
  make_right (copy, size);
  parse (copy, size);
  return 0;
}
