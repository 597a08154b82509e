/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/* Exit codes of seedctl. */
enum {
  SEEDCTL_DONE = 0,
  SEEDCTL_REFUSED = 1,
  SEEDCTL_USAGE = 2,
  SEEDCTL_NOBODY = 3, /* nothing to connect to */
};

/*
 * A subcommand: @argv[0] is its name. Returns an exit code. A new one needs its function here and a
 * line in the table of seedctl.c.
 */
int seedctl_list (int argc, char **argv);
int seedctl_status (int argc, char **argv);
int seedctl_start (int argc, char **argv);
int seedctl_stop (int argc, char **argv);
int seedctl_restart (int argc, char **argv);
int seedctl_reload (int argc, char **argv);
int seedctl_check_any (int argc, char **argv);
int seedctl_get (int argc, char **argv);
int seedctl_set (int argc, char **argv);
int seedctl_stats (int argc, char **argv);
int seedctl_top (int argc, char **argv);
int seedctl_keygen (int argc, char **argv);
int seedctl_eval (int argc, char **argv);
int seedctl_model (int argc, char **argv);
int seedctl_plot (int argc, char **argv);
int seedctl_tail (int argc, char **argv);
int seedctl_dot (int argc, char **argv);
int seedctl_snapshot (int argc, char **argv);
int seedctl_stream (int argc, char **argv);
int seedctl_promote (int argc, char **argv);
int seedctl_rollback (int argc, char **argv);
int seedctl_completion (int argc, char **argv);
int seedctl_version (int argc, char **argv);

/*
 * Parses the options of a subcommand, "--help" included. FALSE when it is to end with *@code, after
 * telling why.
 */
gboolean seedctl_parse (int *argc, char ***argv, const char *arguments, const char *summary,
    const GOptionEntry *entries, int *code);

/* "seedctl NAME: message" on standard error. */
void seedctl_complain (const char *name, const char *format, ...) G_GNUC_PRINTF (2, 3);
