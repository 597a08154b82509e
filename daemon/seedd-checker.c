/* SPDX-License-Identifier: MIT */
#include "seedd-checker.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "seedd-child.h"

typedef struct {
  char *graph, *path;
  SeeddChecked done;
  gpointer data;
} Job;

struct _SeeddChecker {
  const SeeddContext *context;
  GQueue jobs; /* the first one runs when there is a child */
  SeeddChild *child;
  GString *said;
  guint limit;
  gboolean too_slow;
};

static void next (SeeddChecker *checker);

static void
finish (SeeddChecker *checker, const char *errors)
{
  Job *job = g_queue_pop_head (&checker->jobs);

  job->done (job->data, errors);
  g_free (job->graph);
  g_free (job->path);
  g_free (job);
}

static void
on_output (gpointer data, const char *line)
{
  SeeddChecker *checker = data;

  if (checker->said->len + strlen (line) < SEEDD_CHECKER_MAX_ERRORS)
    g_string_append_printf (checker->said, "%s\n", line);
}

/* Of a failed check, only the errors: what it found good comes on the same pipe. */
static char *
errors_of (const char *said)
{
  g_auto (GStrv) lines = g_strsplit (said, "\n", -1);
  GString *errors = g_string_new (NULL);

  for (guint i = 0; lines[i]; i++) {
    if (strstr (lines[i], ": error: ") || strstr (lines[i], "more errors are not shown"))
      g_string_append_printf (errors, "%s\n", lines[i]);
  }
  return g_string_free (errors, FALSE);
}

static void
on_ended (gpointer data, int status)
{
  SeeddChecker *checker = data;
  g_autofree char *how = seedd_child_describe_status (status), *errors = NULL;

  g_clear_pointer (&checker->child, seedd_child_free);
  g_source_remove (checker->limit);
  if (!WIFEXITED (status) || WEXITSTATUS (status) != 0) {
    errors = errors_of (checker->said->str);
    if (checker->too_slow || !*errors) {
      g_free (errors);
      errors = g_strdup_printf (
          "seed-run --check %s\n", checker->too_slow ? "took too long and was killed" : how);
    }
  }
  finish (checker, errors);
  next (checker);
}

static gboolean
on_limit (gpointer data)
{
  SeeddChecker *checker = data;

  checker->too_slow = TRUE;
  seedd_child_signal (checker->child, SIGKILL);
  return G_SOURCE_CONTINUE; /* removed when it has ended */
}

static GPtrArray *
make_arguments (const SeeddChecker *checker, const Job *job)
{
  const SeeddLimits *limits = seedd_config_limits (checker->context->config, job->graph);
  GPtrArray *argv = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer key, value;

  g_ptr_array_add (argv, g_strdup (checker->context->seed_run));
  g_ptr_array_add (argv, g_strdup ("--check"));
  g_ptr_array_add (argv, g_strdup_printf ("--threads=%" G_GINT64_FORMAT, limits->threads));
  if (limits->backend)
    g_ptr_array_add (argv, g_strdup_printf ("--backend=%s", limits->backend));
  g_hash_table_iter_init (&iter, limits->set);
  while (g_hash_table_iter_next (&iter, &key, &value))
    g_ptr_array_add (argv, g_strdup_printf ("--set=%s=%s", (char *) key, (char *) value));
  g_ptr_array_add (argv, g_strdup (job->path));
  g_ptr_array_add (argv, NULL);
  return argv;
}

static void
next (SeeddChecker *checker)
{
  static const SeeddChildCallbacks callbacks = { on_output, NULL, on_ended };

  while (!checker->child && checker->jobs.length > 0) {
    const Job *job = g_queue_peek_head (&checker->jobs);
    g_autoptr (GPtrArray) argv = make_arguments (checker, job);
    int nice = (int) seedd_config_limits (checker->context->config, job->graph)->nice;
    g_autoptr (GError) error = NULL;

    g_string_truncate (checker->said, 0);
    checker->too_slow = FALSE;
    checker->child =
        seedd_child_spawn ((const char *const *) argv->pdata, nice, &callbacks, checker, &error);
    if (checker->child)
      checker->limit = g_timeout_add (
          (guint) (checker->context->config->start_limit_s * 1000), on_limit, checker);
    else
      finish (checker, error->message);
  }
}

void
seedd_checker_run (
    SeeddChecker *checker, const char *graph, const char *path, SeeddChecked done, gpointer data)
{
  Job *job;

  if (checker->jobs.length >= SEEDD_CHECKER_MAX_WAITING) {
    done (data, "too many files wait to be checked already\n");
    return;
  }
  job = g_new0 (Job, 1);
  job->graph = g_strdup (graph);
  job->path = g_strdup (path);
  job->done = done;
  job->data = data;
  g_queue_push_tail (&checker->jobs, job);
  next (checker);
}

SeeddChecker *
seedd_checker_new (const SeeddContext *context)
{
  SeeddChecker *checker = g_new0 (SeeddChecker, 1);

  checker->context = context;
  checker->said = g_string_new (NULL);
  g_queue_init (&checker->jobs);
  return checker;
}

void
seedd_checker_free (SeeddChecker *checker)
{
  if (!checker)
    return;
  if (checker->child) {
    g_source_remove (checker->limit);
    seedd_child_free (checker->child);
  }
  while (checker->jobs.length > 0)
    finish (checker, "not checked: the daemon stops\n");
  g_string_free (checker->said, TRUE);
  g_free (checker);
}
