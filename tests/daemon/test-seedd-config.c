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
  g_autoptr (SeeddConfig) config = parse (
      "version: 1\ngraphs: here\nenable: [b, a]\nhwm: 5\n"
      "results: {endpoint: \"tcp://0.0.0.0:1\", server-key: k/s, authorized: /a}\n"
      "control: {endpoint: ipc:///c, remote: \"tcp://[::]:2\", server-key: s, authorized: a}\n"
      "http: 127.0.0.1:1\nruntime: /r\nstate: /s\nstart-limit: 1\nstop-limit: 2.5\n"
      "restart: {initial: 2, max: 4, healthy: 6}\nheartbeat: {interval: 0.5, limit: 3}\n"
      "defaults: {threads: 2, set: {models: /m, x: 1}}\n"
      "limits: {a: {memory: 1.5 GiB, nice: -5, stall: 0, backend: openblas, set: {x: 2}}}\n",
      &errors);
  const SeeddLimits *a = seedd_config_limits (config, "a");

  g_assert_cmpstr (errors, ==, "");
  g_assert_cmpstr (config->graphs, ==, "/etc/seed/here");
  g_assert_cmpstr (g_ptr_array_index (config->enabled, 0), ==, "b");
  g_assert_true (seedd_config_is_enabled (config, "a") && !seedd_config_is_enabled (config, "c"));
  g_assert_true (!config->insecure && config->hwm == 5);
  g_assert_cmpstr (config->results, ==, "tcp://0.0.0.0:1");
  g_assert_cmpstr (config->results_server_key, ==, "/etc/seed/k/s");
  g_assert_cmpstr (config->results_authorized, ==, "/a");
  g_assert_cmpstr (config->control, ==, "ipc:///c");
  g_assert_cmpstr (config->remote, ==, "tcp://[::]:2");
  g_assert_cmpstr (config->control_server_key, ==, "/etc/seed/s");
  g_assert_cmpstr (config->control_authorized, ==, "/etc/seed/a");
  g_assert_cmpstr (config->http, ==, "127.0.0.1:1");
  g_assert_cmpstr (config->state, ==, "/s");
  g_assert_cmpfloat (config->stop_limit_s, ==, 2.5);
  g_assert_cmpfloat (config->hang_s, ==, 3);
  g_assert_true (a->memory == 3221225472 / 2 && a->threads == 2 && a->nice == -5);
  g_assert_cmpfloat (a->stall_s, ==, 0);
  g_assert_cmpstr (g_hash_table_lookup (a->set, "models"), ==, "/m");
  g_assert_cmpstr (g_hash_table_lookup (a->set, "x"), ==, "2");
  g_assert_cmpstr (g_hash_table_lookup (config->defaults.set, "x"), ==, "1");
}

static void
test_short_forms (void)
{
  g_autofree char *errors = NULL, *none = NULL, *neither = NULL;
  g_autoptr (SeeddConfig) config =
      parse ("version: 1\nresults: ipc:///r\ncontrol: ipc:///c\n", &errors);
  g_autoptr (SeeddConfig) open =
      parse ("version: 1\nresults: {endpoint: \"tcp://0.0.0.0:1\", insecure: true}\n", &none);
  g_autoptr (SeeddConfig) served =
      parse ("version: 1\nhttp: {endpoint: \"0.0.0.0:1\", insecure: true}\n", &neither);

  g_assert_cmpstr (errors, ==, "");
  g_assert_cmpstr (config->results, ==, "ipc:///r");
  g_assert_cmpstr (config->control, ==, "ipc:///c");
  g_assert_true (!config->insecure && !config->results_server_key && !config->remote);
  g_assert_cmpstr (none, ==, "");
  g_assert_true (open->insecure && !open->http_insecure && !open->results_server_key);
  g_assert_cmpstr (neither, ==, "");
  g_assert_cmpstr (served->http, ==, "0.0.0.0:1");
  g_assert_true (served->http_insecure && !served->insecure); /* each opens itself alone */
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
    { "version: 1\nresults: {insecure: yes}\n",
        "f:2:21: error: 'insecure': expected true or false, found 'yes'\n" },
    { "version: 1\ninsecure: true\n", "f:2:1: error: configuration: unknown key 'insecure'\n" },
    { "version: 1\nresults: {server-keys: x}\n",
        "f:2:11: error: results: unknown key 'server-keys'; did you mean 'server-key'?\n" },
    { "version: 1\nresults: {server-key: x}\n",
        "f:2:10: error: results: 'server-key' and 'authorized' belong together: the own key pair, "
        "and the folder of the public keys that may connect; 'authorized' is missing\n" },
    { "version: 1\nresults: {server-key: x, authorized: y, insecure: true}\n",
        "f:2:10: error: results: 'insecure' is for an endpoint without keys; take it or the keys "
        "out\n" },
    { "version: 1\nhttp: {insecure: true}\n", "f:2:7: error: http: 'endpoint' is missing\n" },
    { "version: 1\nresults: [a]\n",
        "f:2:10: error: 'results': expected an endpoint, or a mapping, found a list\n" },
    { "version: 1\ncontrol: tcp://127.0.0.1:1\n",
        "f:2:10: error: 'control': expected ipc:///PATH; other machines reach 'remote', which has "
        "keys, found 'tcp://127.0.0.1:1'\n" },
    { "version: 1\ncontrol: {remote: \"tcp://127.0.0.1:1\"}\n",
        "f:2:10: error: control: 'remote' needs keys: 'server-key' and 'authorized'\n" },
    { "version: 1\ncontrol: {remote: ipc:///x, server-key: a, authorized: b}\n",
        "f:2:19: error: 'remote': expected tcp://ADDRESS:PORT, found 'ipc:///x'\n" },
    { "version: 1\ncontrol: {server-key: a, authorized: b}\n",
        "f:2:10: error: control: the keys are for 'remote', which is missing; the ipc socket is "
        "guarded by its mode\n" },
    { "version: 1\ndefaults: {backend: cuda}\n", "f:2:21: error: 'backend': expected one of auto, "
                                                 "native, openblas, onednn, found 'cuda'\n" },
    { "version: 1\ncontrol:\n",
        "f:2:9: error: 'control': expected an endpoint, or a mapping, found nothing\n" },
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
  g_test_add_func ("/seedd/config/short-forms", test_short_forms);
  g_test_add_func ("/seedd/config/errors", test_errors);
  return g_test_run ();
}
