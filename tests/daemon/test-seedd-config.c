/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "seedd-config.h"

static SeeddConfig *
parse (const char *text, char **errors)
{
  SeeddConfig *config = seedd_config_new (FALSE);
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new ("f");
  gboolean good = seedd_config_parse (config, text, strlen (text), "/etc/seed", diagnostics);

  *errors = seed_diagnostics_to_string (diagnostics);
  g_assert_cmpint (good, ==, **errors == 0);
  return config;
}

static void
test_defaults (void)
{
  g_autofree char *errors = NULL, *control = NULL;
  g_autoptr (SeeddConfig) config = parse ("version: 1\n", &errors);

  control = seedd_config_control (config);
  g_assert_cmpstr (errors, ==, "");
  g_assert_cmpstr (config->graphs, ==, "/etc/seed/graphs");
  g_assert_cmpstr (control, ==, "ipc:///run/seed/control");
  g_assert_cmpstr (config->results, ==, "tcp://127.0.0.1:5570");
  g_assert_true (seedd_config_is_enabled (config, "any"));
  g_assert_cmpfloat (config->backoff_s, ==, 1);
  g_assert_cmpfloat (config->backoff_max_s, ==, 60);
  g_assert_cmpfloat (config->healthy_s, ==, 300);
  g_assert_true (seedd_config_limits (config, "any") == &config->defaults);
}

static void
test_all_keys (void)
{
  g_autofree char *errors = NULL;
  g_autoptr (SeeddConfig) config =
      parse ("version: 1\ngraphs: here\nenable: [b, a]\nresults: ipc:///r\ninsecure: true\nhwm: 5\n"
             "control: ipc:///c\nhttp: 127.0.0.1:1\nruntime: /r\nstart-limit: 1\nstop-limit: 2.5\n"
             "restart: {initial: 2, max: 4, healthy: 6}\nheartbeat: {interval: 0.5, limit: 3}\n"
             "defaults: {threads: 2, set: {models: /m, x: 1}}\n"
             "limits: {a: {memory: 1.5 GiB, nice: -5, stall: 0, backend: openblas, set: {x: 2}}}\n",
          &errors);
  const SeeddLimits *a = seedd_config_limits (config, "a");

  g_assert_cmpstr (errors, ==, "");
  g_assert_cmpstr (config->graphs, ==, "/etc/seed/here");
  g_assert_cmpstr (g_ptr_array_index (config->enabled, 0), ==, "b");
  g_assert_true (seedd_config_is_enabled (config, "a") && !seedd_config_is_enabled (config, "c"));
  g_assert_true (config->insecure && config->hwm == 5);
  g_assert_cmpfloat (config->stop_limit_s, ==, 2.5);
  g_assert_cmpfloat (config->hang_s, ==, 3);
  g_assert_true (a->memory == 3221225472 / 2 && a->threads == 2 && a->nice == -5);
  g_assert_cmpfloat (a->stall_s, ==, 0);
  g_assert_cmpstr (g_hash_table_lookup (a->set, "models"), ==, "/m");
  g_assert_cmpstr (g_hash_table_lookup (a->set, "x"), ==, "2");
  g_assert_cmpstr (g_hash_table_lookup (config->defaults.set, "x"), ==, "1");
}

static void
test_errors (void)
{
  static const struct {
    const char *text, *error;
  } cases[] = {
    { "graphs: x\n", "f:1:1: error: 'version' is missing; expected 'version: 1'\n" },
    { "version: 2\n", "f:1:10: error: 'version': expected 1, found '2'\n" },
    { "[]\n", "f:1:1: error: 'configuration': expected a mapping, found an empty list\n" },
    { "version: 1\nrestart: {inital: 1}\n",
        "f:2:11: error: restart: unknown key 'inital'; did you mean 'initial'?\n" },
    { "version: 1\nrestart: {initial: 5, max: 1}\n",
        "f:2:10: error: restart: 'max' (1 s) is less than 'initial' (5 s)\n" },
    { "version: 1\nheartbeat: {interval: 5, limit: 6}\n",
        "f:2:12: error: heartbeat: 'limit' (6 s) must be at least twice the 'interval' (5 s)\n" },
    { "version: 1\nenable: some\n",
        "f:2:9: error: 'enable': expected a list of graphs, or all, found 'some'\n" },
    { "version: 1\nenable: [A]\n",
        "f:2:10: error: graph name 'A': expected 1 to 63 of a-z, 0-9 and '-'\n" },
    { "version: 1\nstop-limit: -1\n",
        "f:2:13: error: 'stop-limit': expected seconds from 0.1 to 86400, found '-1'\n" },
    { "version: 1\nstop-limit: nan\n",
        "f:2:13: error: 'stop-limit': expected seconds from 0.1 to 86400, found 'nan'\n" },
    { "version: 1\ninsecure: yes\n",
        "f:2:11: error: 'insecure': expected true or false, found 'yes'\n" },
    { "version: 1\ndefaults: {backend: cuda}\n", "f:2:21: error: 'backend': expected one of auto, "
                                                 "native, openblas, onednn, found 'cuda'\n" },
    { "version: 1\ncontrol:\n",
        "f:2:9: error: 'control': expected a single value, found nothing\n" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *errors = NULL;

    seedd_config_free (parse (cases[i].text, &errors));
    g_assert_cmpstr (errors, ==, cases[i].error);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/seedd/config/defaults", test_defaults);
  g_test_add_func ("/seedd/config/all-keys", test_all_keys);
  g_test_add_func ("/seedd/config/errors", test_errors);
  return g_test_run ();
}
