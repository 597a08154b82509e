/* SPDX-License-Identifier: MIT */

/* seedd: runs the graphs of a folder, one seed-run each, and keeps them running. */

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <seed/error.h>

#include "seed-config.h"
#include "seedd-http.h"
#include "seedd-log.h"
#include "seedd-methods.h"
#include "seedd-notify.h"

enum { EXIT_USAGE = 2 };

typedef struct {
  SeeddContext context;
  SeeddDaemon daemon;
  SeeddHttp *http;
  SeeddConfig *config;
  char *seed_run;
  GMainLoop *loop;
  int lock_fd;
  char *last_status;
  guint n_signals;
} Program;

/* ---- what others are told ---- */

/* "2 running, 1 backing-off" */
static char *
summarise (SeeddSupervisor *supervisor)
{
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (supervisor);
  guint counts[SEEDD_FINISHED + 1] = { 0 };
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < graphs->len; i++)
    counts[seedd_graph_state (g_ptr_array_index (graphs, i))]++;
  for (guint i = 0; i < G_N_ELEMENTS (counts); i++) {
    if (counts[i])
      g_string_append_printf (
          text, "%s%u %s", text->len ? ", " : "", counts[i], seedd_state_name ((SeeddState) i));
  }
  return g_string_free (text->len ? text : g_string_append (text, "no graphs"), FALSE);
}

static void
on_changed (gpointer data)
{
  Program *program = data;
  g_autofree char *status = NULL;

  if (!program->daemon.supervisor)
    return;
  status = summarise (program->daemon.supervisor);
  if (g_strcmp0 (status, program->last_status) == 0)
    return;
  seedd_notify ("STATUS=%s", status);
  g_free (program->last_status);
  program->last_status = g_steal_pointer (&status);
}

/* A sign of life only while every graph that should give out frames does. */
static gboolean
on_watchdog (gpointer data)
{
  Program *program = data;
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (program->daemon.supervisor);

  for (guint i = 0; i < graphs->len; i++) {
    if (!seedd_graph_makes_progress (g_ptr_array_index (graphs, i)))
      return G_SOURCE_CONTINUE;
  }
  seedd_notify ("WATCHDOG=1");
  return G_SOURCE_CONTINUE;
}

/* ---- signals ---- */

static void
on_all_stopped (gpointer data)
{
  g_main_loop_quit (((Program *) data)->loop);
}

static gboolean
on_stop_signal (gpointer data)
{
  Program *program = data;

  if (program->n_signals++ > 0) {
    seedd_log (LOG_WARNING, NULL, "stopping at once; graphs are killed");
    g_main_loop_quit (program->loop);
    return G_SOURCE_CONTINUE;
  }
  seedd_log (LOG_INFO, NULL, "stopping all graphs");
  seedd_notify ("STOPPING=1\nSTATUS=stopping");
  seedd_supervisor_stop (program->daemon.supervisor, on_all_stopped, program);
  return G_SOURCE_CONTINUE;
}

static void
on_reloaded (gpointer data, JsonArray *results)
{
  seedd_notify ("READY=1");
}

static gboolean
on_reload_signal (gpointer data)
{
  Program *program = data;

  if (program->n_signals > 0)
    return G_SOURCE_CONTINUE;
  seedd_notify ("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT, (gint64) g_get_monotonic_time ());
  seedd_supervisor_reload (program->daemon.supervisor, NULL, on_reloaded, program);
  return G_SOURCE_CONTINUE;
}

/* ---- begin and end ---- */

/* One daemon to a runtime folder. The lock goes with the process, however it ends. */
static gboolean
lock_runtime (Program *program, GError **error)
{
  const char *runtime = program->config->runtime;
  g_autofree char *lock = g_build_filename (runtime, "seedd.lock", NULL);
  g_autofree char *graphs = g_build_filename (runtime, "graphs", NULL);

  if (g_mkdir_with_parents (runtime, 0750) < 0 || g_mkdir_with_parents (graphs, 0700) < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "runtime folder %s cannot be made: %s", runtime,
        g_strerror (errno));
    return FALSE;
  }
  program->lock_fd = open (lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (program->lock_fd >= 0 && flock (program->lock_fd, LOCK_EX | LOCK_NB) == 0)
    return TRUE;
  if (program->lock_fd >= 0 && errno == EWOULDBLOCK)
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO,
        "another seedd runs in %s; stop it or configure another 'runtime' folder", runtime);
  else
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_IO, "%s cannot be locked: %s", lock, g_strerror (errno));
  return FALSE;
}

/* Sockets of graphs, which libzmq leaves. Nobody else may be here: we hold the lock. */
static void
sweep_sockets (const Program *program)
{
  g_autofree char *path = g_build_filename (program->config->runtime, "graphs", NULL);
  g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
  const char *name;

  while (folder && (name = g_dir_read_name (folder))) {
    g_autofree char *socket = g_build_filename (path, name, NULL);
    struct stat info;

    if (lstat (socket, &info) == 0 && S_ISSOCK (info.st_mode))
      g_unlink (socket);
  }
}

/* seed-run beside this program, as both are installed and built. */
static char *
find_seed_run (void)
{
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *folder = self ? g_path_get_dirname (self) : NULL;
  g_autofree char *beside = folder ? g_build_filename (folder, "seed-run", NULL) : NULL;

  if (beside && g_file_test (beside, G_FILE_TEST_IS_EXECUTABLE))
    return g_steal_pointer (&beside);
  return g_find_program_in_path ("seed-run");
}

static gboolean
set_up (Program *program, GError **error)
{
  const SeeddConfig *config = program->config;
  const SeeddProxyConfig proxy = { config->results, config->insecure, config->results_server_key,
    config->results_authorized, (int) config->hwm };
  g_autofree char *local = seedd_config_control (config);
  const SeeddControlConfig control = { local, config->remote, config->control_server_key,
    config->control_authorized };

  program->seed_run = find_seed_run ();
  if (!program->seed_run) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_NOT_FOUND, "seed-run is neither beside seedd nor in PATH");
    return FALSE;
  }
  if (!lock_runtime (program, error))
    return FALSE;
  sweep_sockets (program);
  program->context.config = config;
  program->context.seed_run = program->seed_run;
  program->context.changed = on_changed;
  program->context.data = program;
  program->context.proxy = seedd_proxy_new (&proxy, error);
  if (!program->context.proxy)
    return FALSE;
  program->daemon.context = &program->context;
  program->daemon.begin_us = g_get_monotonic_time ();
  program->daemon.control =
      seedd_control_new (&control, seedd_methods_dispatch, &program->daemon, error);
  if (!program->daemon.control)
    return FALSE;
  program->daemon.supervisor = seedd_supervisor_new (&program->context);
  seedd_log (LOG_INFO, NULL, "results at %s%s, control at %s%s%s",
      seedd_proxy_endpoint (program->context.proxy), config->results_server_key ? " (keys)" : "",
      local, config->remote ? " and, with keys, at " : "",
      config->remote ? seedd_control_remote (program->daemon.control) : "");
  if (!config->http)
    return TRUE;
  program->http = seedd_http_new (config->http, config->http_insecure, &program->daemon, error);
  if (!program->http)
    return FALSE;
  program->daemon.http = seedd_http_address (program->http);
  seedd_log (LOG_INFO, NULL, "metrics and health at http://%s/", program->daemon.http);
  return TRUE;
}

static void
serve (Program *program)
{
  guint64 watchdog_ms = seedd_notify_watchdog_us () / 1000;

  g_unix_signal_add (SIGTERM, on_stop_signal, program);
  g_unix_signal_add (SIGINT, on_stop_signal, program);
  g_unix_signal_add (SIGHUP, on_reload_signal, program);
  seedd_supervisor_begin (program->daemon.supervisor);
  if (watchdog_ms)
    g_timeout_add ((guint) CLAMP (watchdog_ms / 3, 1, G_MAXINT), on_watchdog, program);
  on_changed (program); /* also when there is no graph whose state could change */
  seedd_notify ("READY=1");
  g_main_loop_run (program->loop);
}

/* Graphs first, then what carries their last words, then what answers about them. */
static void
tear_down (Program *program)
{
  SeeddSupervisor *supervisor = g_steal_pointer (&program->daemon.supervisor);

  seedd_http_free (program->http);
  program->daemon.http = NULL;
  seedd_supervisor_free (supervisor);
  seedd_proxy_free (program->context.proxy);
  seedd_control_free (program->daemon.control);
  if (supervisor)
    sweep_sockets (program);
  if (program->lock_fd >= 0)
    close (program->lock_fd);
  seedd_config_free (program->config);
  g_free (program->seed_run);
  g_free (program->last_status);
  g_main_loop_unref (program->loop);
}

static int
run (SeeddConfig *config)
{
  Program program = { .config = config, .lock_fd = -1 };
  g_autoptr (GError) error = NULL;
  int status = EXIT_SUCCESS;

  program.loop = g_main_loop_new (NULL, FALSE);
  if (set_up (&program, &error)) {
    serve (&program);
  } else {
    seedd_log (LOG_ERR, NULL, "error: %s", error->message);
    status = EXIT_FAILURE;
  }
  tear_down (&program);
  return status;
}

/* NULL after errors, reported. Without @file the defaults do, unless there is a file at the usual
 * place. */
static SeeddConfig *
load_config (const char *file, gboolean user)
{
  g_autoptr (SeeddConfig) config = seedd_config_new (user);
  g_autofree char *usual = seedd_config_default_file (user), *errors = NULL;
  g_autoptr (SeedDiagnostics) diagnostics = NULL;

  if (!file && !g_file_test (usual, G_FILE_TEST_EXISTS))
    return g_steal_pointer (&config);
  if (!file)
    file = usual;
  diagnostics = seed_diagnostics_new (file);
  if (seedd_config_load (config, file, diagnostics))
    return g_steal_pointer (&config);
  errors = seed_diagnostics_to_string (diagnostics);
  fputs (errors, stderr);
  return NULL;
}

int
main (int argc, char **argv)
{
  g_autofree char *file = NULL;
  gboolean user = FALSE, show_version = FALSE, check = FALSE;
  const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &file,
        "Configuration (default: /etc/seed/seedd.yaml if it is there)", "FILE" },
    { "user", 0, 0, G_OPTION_ARG_NONE, &user,
        "Keep everything in the user's folders (XDG) instead of the system's", NULL },
    { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Read the configuration and start nothing", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &show_version, "Print the version", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- run and supervise graphs");
  g_autoptr (GError) error = NULL;
  SeeddConfig *config;

  setlocale (LC_ALL, "");
  g_set_prgname ("seedd");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_description (context,
      "SIGTERM or SIGINT stops all graphs; a second one kills them. SIGHUP reads graph files "
      "again.\n"
      "Exit status: 0 stopped, 1 cannot start, 2 wrong usage.\n");
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc > 1) {
    g_printerr ("seedd: %s\nTry 'seedd --help'.\n", error ? error->message : "takes no arguments");
    return EXIT_USAGE;
  }
  if (show_version) {
    puts ("seedd " SEED_VERSION);
    return EXIT_SUCCESS;
  }
  seedd_log_init ();
  seedd_notify_init ();
  signal (SIGPIPE, SIG_IGN);
  config = load_config (file, user);
  if (!config)
    return EXIT_FAILURE;
  if (check) {
    seedd_config_free (config);
    return EXIT_SUCCESS;
  }
  return run (config);
}
