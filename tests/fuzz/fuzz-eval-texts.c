/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

#include "eval/clips.h"
#include "eval/grounding.h"
#include "eval/runlog.h"

#include "fuzz.h"

static void
check (gboolean ok, GError *error)
{
  g_assert_true (ok == !error);
  if (error)
    g_assert_true (g_str_has_prefix (error->message, "fuzz:"));
}

/* Predictions, annotations, clips and recorded messages; every text is read as each. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  const char *text = (const char *) data;

  for (guint side = 0; side < 2; side++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SeedGroundingFile) file = seed_grounding_parse ("fuzz", text, size, side, &error);
    SeedGroundingScores scores;

    check (file != NULL, error);
    if (file && side == SEED_GROUNDING_PREDICTIONS && seed_grounding_n_items (file) > 0)
      g_assert_true (seed_grounding_score (file, file, &scores, &error) == !error);
  }
  {
    g_autoptr (GError) error = NULL;
    g_autoptr (GPtrArray) clips = seed_clips_parse ("fuzz", text, size, &error);

    check (clips != NULL, error);
  }
  {
    g_autoptr (GError) error = NULL;
    g_autoptr (SeedRunLog) log = seed_runlog_parse ("fuzz", text, size, &error);

    check (log != NULL, error);
  }
  return 0;
}
