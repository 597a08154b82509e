/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>

#include "graph/build.h"
#include "seed-run-latency.h"
#include "seed-run-status.h"

G_BEGIN_DECLS

#define SEED_RUN_DRAIN_SECONDS 30 /* default of --drain */

typedef struct {
  const char *file;
  gboolean check, dot, quiet;
  GHashTable *set; /* parameters to override */
  guint threads;   /* 0: as many as the CPU mask has */
  SeedBuildOptions build;
  const char *stats;     /* file, or NULL */
  const char *folder;    /* where relative paths in the graph start; NULL: where its file is */
  guint drain;           /* seconds a drain may take */
  SeedRunStatus *status; /* to the supervisor, or NULL */
} SeedRunOptions;

typedef enum {
  SEED_RUN_DONE,    /* the sources ended */
  SEED_RUN_STOPPED, /* asked to stop, and drained */
  SEED_RUN_FAILED,
  SEED_RUN_REFUSED, /* the graph has errors; nothing was started */
} SeedRunResult;

typedef struct {
  char *stage, *stream, *reason;
} SeedRunFailure;

/** One run of a graph. Belongs to the main thread. */
typedef struct _SeedRun SeedRun;
struct _SeedRun {
  const SeedRunOptions *options;
  const SeedGraph *graph; /* NULL when it was refused */
  SeedPipeline *pipeline; /* NULL when it was refused */
  SeedRunResult result;
  SeedRunFailure failure;    /* when failed or refused */
  GPtrArray *failed_streams; /* SeedRunFailure */
  guint n_warnings;
  gint64 begin_ns; /* realtime */
  gint64 begin_us; /* monotonic; 0 until it plays */
  double wall_seconds;
  SeedRunLatency *latency; /* NULL until it plays */
  GPtrArray *stats; /* GstStructure or NULL of each of the pipeline's stages, as they ended */

  GMainLoop *loop;
  guint drain_source; /* of the limit, while draining */
};

/** Plays @run's pipeline to the end, a failure or a signal. Sets result and failure. */
void seed_run_play (SeedRun *run);

/** Records the first failure. Takes @reason; @stage and @stream are copied. */
void seed_run_fail (SeedRun *run, const char *stage, const char *stream, char *reason);

/** The stage of that name, in the main loop; NULL with an error that says what there is. */
const SeedPipelineStage *seed_run_find_stage (const SeedRun *run, const char *name, GError **error);

/* ---- signals ---- */

/**
 * From now on SIGINT and SIGTERM are counted instead of ending the process. While they are not
 * heard (a model loads, a stage stops) the second one still does, with status 1.
 */
void seed_run_catch_signals (void);

/** Makes @func run in the main loop after signals, those caught before it ran included. */
void seed_run_watch_signals (void (*func) (gpointer data, guint n_signals), gpointer data);

/** Whether the main loop runs and hears of signals. */
void seed_run_signals_heard (gboolean heard);

guint seed_run_n_signals (void);

/* ---- what a run shows ---- */

/** Starts the progress line (a terminal: 4 times a second, else a line every 5 s). */
typedef struct _SeedProgress SeedProgress;
SeedProgress *seed_progress_new (SeedRun *run);
/** Clears the line. NULL is fine. */
void seed_progress_free (SeedProgress *progress);
/** Clears the line so that something else can be printed; it comes back by itself. */
void seed_progress_clear (SeedProgress *progress);

/** Prints what a run that is READY has negotiated. FALSE when some link has no common caps,
 * reported. */
gboolean seed_run_report (SeedRun *run, SeedDiagnostics *diagnostics);

/** The account of the run so far, or of the whole once it has ended. */
JsonNode *seed_run_stats_to_json (const SeedRun *run);

/** The graph as it plays, as Graphviz text: caps, queue levels, states of streams. Caller frees. */
char *seed_run_to_dot (const SeedRun *run);

/** Writes that account to options->stats, at once or not at all. */
gboolean seed_run_write_stats (SeedRun *run, GError **error);

/** The element's ledger (a new reference) and stats (caller frees), NULL when it has none. */
SeedLedger *seed_run_element_ledger (GstElement *element);
GstStructure *seed_run_element_stats (GstElement *element);

/** A source's own account (*@own: its `out` counts), or, of one that keeps none, that of a queue it
 * feeds (its `in` counts). A new reference or NULL. */
SeedLedger *seed_run_source_ledger (
    const SeedPipeline *pipeline, const SeedPipelineStage *stage, gboolean *own);

G_END_DECLS
