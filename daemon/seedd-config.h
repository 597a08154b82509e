/* SPDX-License-Identifier: MIT */
#pragma once

#include "graph/yaml.h"

G_BEGIN_DECLS

/**
 * seedd's configuration: a YAML file of the same strict kind as graph files, with the same errors.
 * docs/daemon.md says it to operators.
 */

/** What one graph may take, and how it is run. */
typedef struct {
  gint64 memory;   /* resident bytes; 0: no limit */
  gint64 threads;  /* compute threads; 0: as many as the CPU mask has */
  gint64 nice;     /* -20 to 19 */
  double stall_s;  /* without a frame until it is restarted; 0: never */
  char *backend;   /* NULL: what seed-run chooses */
  GHashTable *set; /* parameters of the graph to override; never NULL */
} SeeddLimits;

typedef struct {
  char *file;         /* where it was read, or NULL: all defaults */
  char *graphs;       /* folder of NAME.yaml */
  GPtrArray *enabled; /* names in the order to start them; NULL: all, in the order of their names */
  char *results;      /* public endpoint of results */
  gboolean insecure;  /* results may be bound where other machines reach them */
  gint64 hwm;         /* messages queued for each graph and each subscriber */
  char *control;      /* endpoint of the control socket; NULL: "control" in the runtime folder */
  char *http;         /* HOST:PORT of metrics and health, or NULL */
  char *runtime;      /* folder of sockets and the lock */
  double backoff_s;   /* first pause before a restart */
  double backoff_max_s;
  double healthy_s;     /* of running after which the next pause is the first one again */
  double heartbeat_s;   /* between two heartbeats of a graph */
  double hang_s;        /* without one until a graph is killed */
  double start_limit_s; /* until a graph must play */
  double stop_limit_s;  /* until a graph that was told to stop is killed */
  SeeddLimits defaults;
  GHashTable *limits; /* name -> SeeddLimits */
} SeeddConfig;

/** The defaults of a system service, or of a user's (XDG folders). */
SeeddConfig *seedd_config_new (gboolean user);

/**
 * Reads @text over the defaults; @folder is where relative paths start. Errors go to @diagnostics;
 * FALSE when there was any. @config is good for nothing then but to be freed.
 */
gboolean seedd_config_parse (SeeddConfig *config, const char *text, gsize length,
    const char *folder, SeedDiagnostics *diagnostics);

/** The same of a file. A file that is not there is an error. */
gboolean seedd_config_load (SeeddConfig *config, const char *file, SeedDiagnostics *diagnostics);

void seedd_config_free (SeeddConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeeddConfig, seedd_config_free)

/** Where the configuration is unless somebody says otherwise. Caller frees. */
char *seedd_config_default_file (gboolean user);

/** The endpoint of the control socket. Caller frees. */
char *seedd_config_control (const SeeddConfig *config);

/** The limits of that graph. Lives as long as @config. */
const SeeddLimits *seedd_config_limits (const SeeddConfig *config, const char *graph);
gboolean seedd_config_is_enabled (const SeeddConfig *config, const char *graph);

G_END_DECLS
