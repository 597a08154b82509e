/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "eval/plot.h"
#include "eval/runlog.h"
#include "nn/atomic-file.h"
#include "seedctl.h"

#define MAX_RUNS 32u
#define MAX_SMOOTH 100000

/* Which numbers of a message share a panel, in the order of the panels. "*" is one name. Of several
 * runs each loss has a panel of its own. */
static const struct {
  const char *title, *pattern;
  gboolean apart, logs; /* logs: a logarithmic scale says more of it */
} groups[] = {
  { "Loss", "loss.*", TRUE, TRUE },
  { "Teachers' losses", "teachers.*.*", TRUE, TRUE },
  { "Agreement with the target", "agreement", FALSE, FALSE },
  { "Fusion: share of diagonal wins", "fusion.teachers.*.diagonal", FALSE, FALSE },
  { "Fusion: share of off-diagonal wins", "fusion.teachers.*.off_diagonal", FALSE, FALSE },
  { "Fusion: share of masked pairs", "fusion.masked", FALSE, FALSE },
  { "Label accuracy", "labels.accuracy", FALSE, FALSE },
  { "Anchors", "anchors.*", TRUE, FALSE },
  { "Learning rate", "lr", FALSE, TRUE },
  { "Gradient norm", "grad_norm", FALSE, TRUE },
  { "Stride", "stride", FALSE, FALSE },
  { "Images a second", "images_per_s", FALSE, FALSE },
};

typedef struct {
  char *name;
  SeedRunLog *log;
} Run;

static void
run_clear (gpointer data)
{
  Run *run = data;

  g_free (run->name);
  seed_runlog_free (run->log);
}

/* What distinguishes a series within its panel: what "*" stood for. NULL when @path is not of the
 * group. Caller frees. */
static char *
match (const char *pattern, const char *path)
{
  const char *colon = strchr (path, ':');
  g_auto (GStrv) wanted = g_strsplit (pattern, ".", -1);
  g_auto (GStrv) found = g_strsplit (colon ? colon + 1 : path, ".", -1);
  g_autoptr (GString) name = g_string_new (NULL);

  if (g_strv_length (wanted) != g_strv_length (found))
    return NULL;
  if (colon)
    g_string_append_len (name, path, colon - path);
  for (guint i = 0; wanted[i]; i++) {
    if (strcmp (wanted[i], "*") == 0)
      g_string_append_printf (name, "%s%s", name->len ? " " : "", found[i]);
    else if (strcmp (wanted[i], found[i]) != 0)
      return NULL;
  }
  return g_string_free (g_steal_pointer (&name), FALSE);
}

static SeedPlotPanel *
find_panel (GPtrArray *panels, const char *title)
{
  for (guint i = 0; i < panels->len; i++) {
    SeedPlotPanel *panel = panels->pdata[i];

    if (strcmp (panel->title, title) == 0)
      return panel;
  }
  g_ptr_array_add (panels, seed_plot_panel_new (title));
  return panels->pdata[panels->len - 1];
}

/* The dash of a name is that of its place among the names of the group. */
static guint
number_of (GPtrArray *names, const char *name)
{
  guint index;

  if (g_ptr_array_find_with_equal_func (names, name, g_str_equal, &index))
    return index;
  g_ptr_array_add (names, g_strdup (name));
  return names->len - 1;
}

static void
add_series (GPtrArray *panels, const GArray *runs, guint r, guint g, guint s, GPtrArray *names)
{
  const Run *run = &g_array_index (runs, Run, r);
  const GArray *points = seed_runlog_get_points (run->log, s);
  g_autofree char *name = match (groups[g].pattern, seed_runlog_get_path (run->log, s));
  gboolean several = runs->len > 1, apart = several && groups[g].apart;
  g_autofree char *title = NULL, *label = NULL;
  SeedPlotPanel *panel;
  SeedPlotSeries *series;
  guint number;

  if (!name)
    return;
  number = number_of (names, name);
  title = apart ? g_strdup_printf ("%s: %s", groups[g].title, name) : g_strdup (groups[g].title);
  label = !several          ? g_strdup (*name ? name : run->name)
          : apart || !*name ? g_strdup (run->name)
                            : g_strdup_printf ("%s: %s", run->name, name);
  panel = find_panel (panels, title);
  panel->linear = !groups[g].logs;
  series = seed_plot_panel_add (panel, label, several ? r : number, several && !apart ? number : 0);
  g_array_append_vals (series->points, points->data, points->len);
}

static GPtrArray *
make_panels (const GArray *runs)
{
  GPtrArray *panels = g_ptr_array_new_with_free_func ((GDestroyNotify) seed_plot_panel_free);

  for (guint g = 0; g < G_N_ELEMENTS (groups); g++) {
    g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

    for (guint r = 0; r < runs->len; r++) {
      const SeedRunLog *log = g_array_index (runs, Run, r).log;

      for (guint s = 0; s < seed_runlog_n_series (log); s++)
        add_series (panels, runs, r, g, s, names);
    }
  }
  return panels;
}

/* "LABEL=FILE" names a run, unless there is a file of the whole name. */
static gboolean
load_run (GArray *runs, const char *argument, GError **error)
{
  const char *equals = g_file_test (argument, G_FILE_TEST_EXISTS) ? NULL : strchr (argument, '=');
  const char *file = equals ? equals + 1 : argument;
  Run run = { NULL, seed_runlog_load (file, error) };
  char *dot;

  if (!run.log)
    return FALSE;
  run.name =
      equals ? g_strndup (argument, (gsize) (equals - argument)) : g_path_get_basename (file);
  dot = equals ? NULL : strrchr (run.name, '.');
  if (dot && dot > run.name)
    *dot = 0;
  g_array_append_val (runs, run);
  return TRUE;
}

static gboolean
draw (const GArray *runs, const SeedPlotStyle *style, const char *output, GError **error)
{
  g_autoptr (GPtrArray) panels = make_panels (runs);
  g_autofree char *svg = seed_plot_draw (panels, style);

  if (output)
    return seed_atomic_file_set_contents (output, svg, error);
  fputs (svg, stdout);
  return TRUE;
}

int
seedctl_plot (int argc, char **argv)
{
  g_autoptr (GArray) runs = g_array_new (FALSE, FALSE, sizeof (Run));
  g_autofree char *output = NULL, *title = NULL;
  g_autoptr (GError) error = NULL;
  gboolean log_y = FALSE;
  int smooth = 0, code;
  const GOptionEntry entries[] = {
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output, "Write it here instead of to the terminal",
        "FILE.svg" },
    { "log", 'l', 0, G_OPTION_ARG_NONE, &log_y, "Logarithmic scales where all is above 0", NULL },
    { "smooth", 's', 0, G_OPTION_ARG_INT, &smooth, "Running mean over N messages (default: none)",
        "N" },
    { "title", 't', 0, G_OPTION_ARG_STRING, &title, "Title (default: the runs' names)", "TEXT" },
    { NULL },
  };

  g_array_set_clear_func (runs, run_clear);
  if (!seedctl_parse (&argc, &argv, "[LABEL=]RUN...",
          "Draws the training of runs as SVG: losses apart, learning rate, fusion shares, "
          "agreement.\nRUN is what `seedctl tail --json` printed, or what `seed-run --stats` left.",
          entries, &code))
    return code;
  if (argc < 2 || argc - 1 > (int) MAX_RUNS || smooth < 0 || smooth > MAX_SMOOTH) {
    seedctl_complain (
        "plot", "expected 1 to %u runs and a --smooth of 0 to %d", MAX_RUNS, MAX_SMOOTH);
    return SEEDCTL_USAGE;
  }
  for (int i = 1; i < argc; i++) {
    if (!load_run (runs, argv[i], &error)) {
      seedctl_complain ("plot", "%s", error->message);
      return SEEDCTL_REFUSED;
    }
  }
  if (!title) {
    GString *names = g_string_new (NULL);

    for (guint r = 0; r < runs->len; r++)
      g_string_append_printf (names, "%s%s", r ? ", " : "", g_array_index (runs, Run, r).name);
    title = g_string_free (names, FALSE);
  }
  {
    const SeedPlotStyle style = { title, "step", log_y, (guint) smooth };

    if (draw (runs, &style, output, &error))
      return SEEDCTL_DONE;
  }
  seedctl_complain ("plot", "%s", error->message);
  return SEEDCTL_REFUSED;
}
