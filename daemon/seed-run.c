/* SPDX-License-Identifier: MIT */
#include "seed-config.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gst/gst.h>
#include <seed/model.h>
#include <seed/pool.h>

#include "graph/check.h"
#include "graph/params.h"
#include "graph/plugin.h"
#include "graph/props.h"
#include "seed-run.h"

enum { EXIT_USAGE = 2 };

#define MAX_THREADS 1024

typedef struct {
  SeedRunOptions run;
  gboolean version;
  char **files;
  char *seed, *backend, *stats, *publish_base, *folder;
  int threads, drain, status_fd, status_interval;
} Arguments;

static gboolean
parse_set (const char *name, const char *value, gpointer data, GError **error)
{
  Arguments *arguments = data;

  return seed_params_parse_set (arguments->run.set, name, value, error);
}

static gboolean
finish_arguments (Arguments *a, GError **error)
{
  static const char *const backends[] = { "auto", "native", "openblas", "onednn", NULL };
  const char *problem = NULL;

  if (!a->files || !a->files[0] || a->files[1])
    problem = "expected one graph file";
  else if (a->seed &&
           !g_ascii_string_to_unsigned (a->seed, 10, 0, G_MAXUINT64, &a->run.build.seed, NULL))
    problem = "--seed: expected an integer from 0 to 18446744073709551615";
  else if (a->threads < 0 || a->threads > MAX_THREADS)
    problem = "--threads: expected an integer from 0 (all) to " G_STRINGIFY (MAX_THREADS);
  else if (a->drain < 0)
    problem = "--drain: expected seconds, 0 or more";
  else if (a->backend && !g_strv_contains (backends, a->backend))
    problem = "--backend: expected auto, native, openblas or onednn";
  else if (a->status_fd >= 0 && (a->status_interval < 1 || fcntl (a->status_fd, F_GETFD) < 0))
    problem = "--status-fd: expected an open file descriptor; --status-interval: milliseconds";
  else if (a->run.check && a->run.dot)
    problem = "--check and --dot: one at a time";
  if (problem) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s", problem);
    return FALSE;
  }
  a->run.file = a->files[0];
  a->run.threads = (guint) a->threads;
  a->run.drain = (guint) a->drain;
  a->run.build.backend = a->backend;
  a->run.build.publish_base = a->publish_base;
  a->run.stats = a->stats;
  a->run.folder = a->folder;
  return TRUE;
}

static gboolean
parse_arguments (Arguments *a, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "check", 0, 0, G_OPTION_ARG_NONE, &a->run.check,
        "Validate and negotiate, print caps, shapes and memory, run nothing", NULL },
    { "dot", 0, 0, G_OPTION_ARG_NONE, &a->run.dot, "Print the graph as Graphviz text", NULL },
    { "set", 0, 0, G_OPTION_ARG_CALLBACK, (gpointer) parse_set,
        "Override a parameter of the graph; may be repeated", "NAME=VALUE" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &a->threads,
        "Compute threads (default: as many as the CPU mask has)", "N" },
    { "backend", 0, 0, G_OPTION_ARG_STRING, &a->backend,
        "Matrix backend: auto, native, openblas or onednn", "NAME" },
    { "seed", 0, 0, G_OPTION_ARG_STRING, &a->seed, "Seed of everything random (default: 0)", "N" },
    { "deterministic", 0, 0, G_OPTION_ARG_NONE, &a->run.build.deterministic,
        "Hand over at fixed frames: two runs on files give the same bits", NULL },
    { "stats", 0, 0, G_OPTION_ARG_FILENAME, &a->stats,
        "Leave ledgers and timings of the run in a JSON file", "FILE" },
    { "drain", 0, 0, G_OPTION_ARG_INT, &a->drain,
        "Seconds the graph may take to end after a signal (default: " G_STRINGIFY (
            SEED_RUN_DRAIN_SECONDS) ")",
        "SECONDS" },
    { "quiet", 'q', 0, G_OPTION_ARG_NONE, &a->run.quiet, "No progress, errors and warnings only",
        NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &a->version, "Print the version", NULL },
    /* what seedd says to the graphs it runs */
    { "status-fd", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT, &a->status_fd,
        "Status channel to the supervisor (seed-run-status.h)", "FD" },
    { "status-interval", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_INT, &a->status_interval,
        "Between two heartbeats", "MILLISECONDS" },
    { "folder", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &a->folder,
        "Where relative paths in the graph start (default: where its file is)", "FOLDER" },
    { "publish-base", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &a->publish_base,
        "Where publish nodes without an endpoint bind (graph/build.h)", "ENDPOINT" },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &a->files, NULL, NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("GRAPH.yaml - run one graph");
  GOptionGroup *group = g_option_group_new ("seed-run", "", "", a, NULL);

  g_option_group_add_entries (group, entries);
  g_option_context_set_main_group (context, group);
  g_option_context_set_description (context,
      "SIGINT or SIGTERM drains the graph; a second one stops it at once.\n"
      "Exit status: 0 done or drained, 1 the graph is broken or failed, 2 wrong usage.\n");
  return g_option_context_parse (context, argc, argv, error) &&
         (a->version || finish_arguments (a, error));
}

static void
refuse (SeedRun *run, const SeedDiagnostics *diagnostics)
{
  g_autofree char *text = seed_diagnostics_to_string (diagnostics);
  guint n = seed_diagnostics_count (diagnostics);

  fputs (text, stderr);
  seed_run_status_refuse (run->options->status, diagnostics);
  if (run->result == SEED_RUN_DONE)
    run->result = SEED_RUN_REFUSED;
  g_free (run->failure.reason);
  run->failure.reason = g_strdup_printf ("the graph has %u error%s", n, n == 1 ? "" : "s");
}

static gboolean
make_and_play (SeedRun *run, const SeedPlan *plan, SeedDiagnostics *diagnostics)
{
  if (!run->options->check)
    seed_run_catch_signals ();
  run->pipeline = seed_pipeline_build (plan, &run->options->build, diagnostics);
  if (!run->pipeline ||
      !seed_pipeline_make_ready (run->pipeline, !run->options->check, diagnostics))
    return FALSE;
  if (run->options->check)
    return seed_run_report (run, diagnostics);
  if (seed_run_n_signals () > 0)
    run->result = SEED_RUN_STOPPED;
  else
    seed_run_play (run);
  return TRUE;
}

/* A copy of a file that is kept elsewhere means what the file meant. */
static SeedGraph *
load_graph (const SeedRunOptions *options, SeedDiagnostics *diagnostics)
{
  g_autofree char *text = NULL;
  g_autoptr (SeedGraph) graph = NULL;
  gsize length;

  if (!options->folder)
    return seed_graph_load (options->file, options->set, diagnostics);
  text = seed_graph_read_file (options->file, &length, diagnostics);
  if (text)
    graph = seed_graph_parse (text, length, options->folder, options->set, diagnostics);
  if (graph)
    seed_graph_check (graph, diagnostics);
  return seed_diagnostics_count (diagnostics) ? NULL : g_steal_pointer (&graph);
}

static void
run_graph (SeedRun *run)
{
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new (run->options->file);
  g_autoptr (SeedGraph) graph = load_graph (run->options, diagnostics);
  g_autoptr (SeedPlan) plan = NULL;

  if (!graph) {
    refuse (run, diagnostics);
  } else {
    plan = seed_plan_new (graph);
    run->graph = graph;
    if (run->options->dot) {
      g_autofree char *dot = seed_plan_to_dot (plan);

      fputs (dot, stdout);
      return;
    }
    if (!make_and_play (run, plan, diagnostics))
      refuse (run, diagnostics);
  }
  if (run->options->stats && !run->options->check) {
    g_autoptr (GError) error = NULL;

    if (!seed_run_write_stats (run, &error)) {
      g_printerr ("seed-run: error: %s\n", error->message);
      run->result = SEED_RUN_FAILED;
    }
  }
  seed_run_status_end (run->options->status, run);
  g_clear_pointer (&run->pipeline, seed_pipeline_free);
  g_clear_pointer (&run->latency, seed_run_latency_free);
  run->graph = NULL;
}

static void
free_failure (gpointer data)
{
  SeedRunFailure *failure = data;

  g_free (failure->stage);
  g_free (failure->stream);
  g_free (failure->reason);
  g_free (failure);
}

static int
run_with (const SeedRunOptions *options)
{
  SeedRun run = { .options = options };
  SeedRunResult result;

  run.failed_streams = g_ptr_array_new_with_free_func (free_failure);
  run_graph (&run);
  result = run.result;
  g_ptr_array_unref (run.failed_streams);
  g_clear_pointer (&run.stats, g_ptr_array_unref);
  g_free (run.failure.stage);
  g_free (run.failure.stream);
  g_free (run.failure.reason);
  return result == SEED_RUN_DONE || result == SEED_RUN_STOPPED ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int
start (const SeedRunOptions *options)
{
  g_autofree char *choice = NULL;
  g_autoptr (GError) error = NULL;

  signal (SIGPIPE, SIG_IGN);
  gst_init (NULL, NULL);
  seed_graph_load_plugin ();
  choice = seed_model_describe_choice (options->build.backend, NULL, &error);
  if (!choice) {
    g_printerr ("seed-run: error: --backend %s: %s\n", options->build.backend, error->message);
    return EXIT_FAILURE;
  }
  if (!seed_pool_configure (options->threads)) {
    g_printerr ("seed-run: error: --threads: the compute threads have been started already\n");
    return EXIT_FAILURE;
  }
  return run_with (options);
}

/* Models, their copies for who follows and checkpoints are blocks of megabytes that come and go.
 * glibc would take them from its arenas once it has seen one freed, and a process of months would
 * keep what lies between; above this size each is a mapping of its own, which is given back. */
static void
give_back_large_blocks (void)
{
#ifdef M_MMAP_THRESHOLD
  mallopt (M_MMAP_THRESHOLD, 4 << 20);
#endif
}

int
main (int argc, char **argv)
{
  Arguments arguments = {
    .drain = SEED_RUN_DRAIN_SECONDS, .status_fd = -1, .status_interval = 1000
  };
  g_autoptr (GError) error = NULL;
  int status;

  give_back_large_blocks ();
  setlocale (LC_ALL, "");
  g_set_prgname ("seed-run");
  arguments.run.set = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (!parse_arguments (&arguments, &argc, &argv, &error)) {
    g_printerr ("seed-run: %s\nTry 'seed-run --help'.\n", error->message);
    status = EXIT_USAGE;
  } else if (arguments.version) {
    puts ("seed-run " SEED_VERSION);
    status = EXIT_SUCCESS;
  } else {
    /* before GStreamer, which may look at every plugin of the machine first */
    if (arguments.status_fd >= 0)
      arguments.run.status =
          seed_run_status_new (arguments.status_fd, (guint) arguments.status_interval);
    status = start (&arguments.run);
    seed_run_status_free (arguments.run.status);
  }
  g_hash_table_unref (arguments.run.set);
  g_strfreev (arguments.files);
  g_free (arguments.seed);
  g_free (arguments.backend);
  g_free (arguments.stats);
  g_free (arguments.publish_base);
  g_free (arguments.folder);
  return status;
}
