/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "source/table.h"

#include "fuzz.h"

static void
check_rows (const SeedTable *table, gboolean captions)
{
  guint line = 0;

  for (guint i = 0; i < seed_table_n_rows (table); i++) {
    const char *value = seed_table_value (table, i);

    g_assert_cmpuint (seed_table_line (table, i), >, line);
    line = seed_table_line (table, i);
    g_assert_cmpstr (seed_table_key (table, i), !=, "");
    g_assert_null (strchr (seed_table_key (table, i), '\n'));
    if (captions)
      g_assert_nonnull (value);
    if (!value)
      continue;
    g_assert_cmpstr (value, !=, "");
    g_assert_null (strchr (value, '\t'));
    g_assert_true (g_utf8_validate (value, -1, NULL));
    if (captions)
      g_assert_cmpuint (strlen (value), <=, SEED_TABLE_MAX_CAPTION);
  }
}

/* A list of labels or of captions; each is read as both. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  for (guint captions = 0; captions < 2; captions++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (SeedTable) table = seed_table_parse ("fuzz", (const char *) data, size, &error);
    gboolean ok = table && (captions ? seed_table_split_captions (table, &error)
                                     : seed_table_split_labels (table, &error));

    g_assert_true (ok == !error);
    if (ok)
      check_rows (table, captions != 0);
    else
      g_assert_true (g_str_has_prefix (error->message, "fuzz:"));
  }
  return 0;
}
