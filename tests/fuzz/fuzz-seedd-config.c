/* SPDX-License-Identifier: MIT */
#include "seedd-config.h"

#include "fuzz.h"

/* seedd's configuration: what is accepted lies within the documented limits. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (SeeddConfig) config = seedd_config_new (FALSE);
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new ("fuzz");
  g_autofree char *errors = NULL;

  if (seedd_config_parse (config, (const char *) data, size, "/etc/seed", diagnostics)) {
    g_assert_true (config->hwm >= 1 && config->stop_limit_s > 0 && config->backoff_s > 0);
    g_assert_true (config->hang_s >= 2 * config->heartbeat_s);
    g_assert_true (g_path_is_absolute (config->graphs) && g_path_is_absolute (config->runtime));
  }
  errors = seed_diagnostics_to_string (diagnostics);
  g_assert_true (g_utf8_validate (errors, -1, NULL));
  return 0;
}
