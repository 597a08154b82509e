/* SPDX-License-Identifier: MIT */
#include "seedd-supervisor.h"

#include <string.h>

#include <gio/gio.h>

#include "seedd-log.h"
#include "seedd-reload.h"

#define SETTLE_MS 200 /* editors write a file in several steps */
#define TICK_MS 200
#define LATE_US (2 * G_USEC_PER_SEC)
#define MAX_GRAPHS 256u

struct _SeeddSupervisor {
  const SeeddContext *context;
  SeeddChecker *checker;
  GHashTable *graphs; /* name -> SeeddGraph */
  GFileMonitor *monitor;
  guint settle, tick;
  gint64 tick_us;
  gboolean stopping;
  void (*stopped) (gpointer data);
  gpointer stopped_data;
};

/* ---- names ---- */

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* Graphs with a file, sorted. */
static GPtrArray *
scan (const SeeddSupervisor *supervisor)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) folder = g_dir_open (supervisor->context->config->graphs, 0, &error);
  const char *file;

  if (!folder)
    seedd_log (LOG_WARNING, NULL, "graphs: %s", error->message);
  while (folder && (file = g_dir_read_name (folder))) {
    char *name = seedd_file_graph_name (file);

    if (name && names->len < MAX_GRAPHS)
      g_ptr_array_add (names, name);
    else
      g_free (name);
  }
  g_ptr_array_sort (names, compare_names);
  return names;
}

static gboolean
has_file (const SeeddSupervisor *supervisor, const char *name)
{
  g_autofree char *base = g_strconcat (name, ".yaml", NULL);
  g_autofree char *path = g_build_filename (supervisor->context->config->graphs, base, NULL);

  return seed_name_is_good (name) && g_file_test (path, G_FILE_TEST_EXISTS);
}

static SeeddGraph *
add_graph (SeeddSupervisor *supervisor, const char *name)
{
  SeeddGraph *graph = seedd_graph_new (supervisor->context, name);

  g_hash_table_insert (supervisor->graphs, g_strdup (name), graph);
  return graph;
}

SeeddGraph *
seedd_supervisor_find (SeeddSupervisor *supervisor, const char *name)
{
  SeeddGraph *graph = g_hash_table_lookup (supervisor->graphs, name);

  if (!graph && !supervisor->stopping && has_file (supervisor, name) &&
      g_hash_table_size (supervisor->graphs) < MAX_GRAPHS)
    graph = add_graph (supervisor, name);
  return graph;
}

static int
compare_graphs (gconstpointer a, gconstpointer b)
{
  return strcmp (
      seedd_graph_name (*(SeeddGraph *const *) a), seedd_graph_name (*(SeeddGraph *const *) b));
}

GPtrArray *
seedd_supervisor_graphs (SeeddSupervisor *supervisor)
{
  GPtrArray *graphs = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer graph;

  g_hash_table_iter_init (&iter, supervisor->graphs);
  while (g_hash_table_iter_next (&iter, NULL, &graph))
    g_ptr_array_add (graphs, graph);
  g_ptr_array_sort (graphs, compare_graphs);
  return graphs;
}

/* ---- graphs whose file is gone ---- */

typedef struct {
  SeeddSupervisor *supervisor;
  char *name;
} Removal;

static void
removal_free (gpointer data)
{
  g_free (((Removal *) data)->name);
  g_free (data);
}

static gboolean
remove_now (gpointer data)
{
  const Removal *removal = data;
  SeeddSupervisor *supervisor = removal->supervisor;
  SeeddGraph *graph = g_hash_table_lookup (supervisor->graphs, removal->name);

  if (!graph || supervisor->stopping || seedd_graph_state (graph) != SEEDD_STOPPED)
    return G_SOURCE_REMOVE;
  if (has_file (supervisor, removal->name)) { /* it came back meanwhile */
    if (seedd_config_is_enabled (supervisor->context->config, removal->name))
      seedd_graph_start (graph);
  } else {
    g_hash_table_remove (supervisor->graphs, removal->name);
    seedd_proxy_disconnect (supervisor->context->proxy, removal->name, TRUE);
    supervisor->context->changed (supervisor->context->data);
  }
  return G_SOURCE_REMOVE;
}

/* Not in here: the graph is in the middle of telling us. */
static void
on_settled_for_removal (gpointer data, SeeddGraph *graph)
{
  Removal *removal = g_new0 (Removal, 1);

  removal->supervisor = data;
  removal->name = g_strdup (seedd_graph_name (graph));
  g_idle_add_full (G_PRIORITY_DEFAULT, remove_now, removal, removal_free);
}

/* ---- reload ---- */

static void
reload_one (SeeddSupervisor *supervisor, SeeddReload *reload, const char *name)
{
  SeeddGraph *graph = g_hash_table_lookup (supervisor->graphs, name);

  if (!has_file (supervisor, name)) {
    if (!graph)
      return;
    seedd_log (LOG_INFO, name, "its file is gone");
    seedd_graph_stop (graph);
    seedd_reload_note (reload, name, "removed", NULL);
    seedd_graph_wait (graph, on_settled_for_removal, supervisor);
  } else if (graph) {
    seedd_reload_graph (reload, graph, supervisor->checker);
  } else {
    graph = seedd_supervisor_find (supervisor, name);
    if (graph && seedd_config_is_enabled (supervisor->context->config, name)) {
      seedd_graph_start (graph);
      seedd_reload_note (reload, name, "started", NULL);
    } else {
      seedd_reload_note (reload, name, graph ? "added" : "too-many", NULL);
    }
    supervisor->context->changed (supervisor->context->data);
  }
}

void
seedd_supervisor_reload (SeeddSupervisor *supervisor, const char *name,
    void (*done) (gpointer data, JsonArray *results), gpointer data)
{
  SeeddReload *reload = seedd_reload_new (supervisor->context, done, data);
  g_autoptr (GPtrArray) names = NULL, known = NULL;

  if (name && !supervisor->stopping) {
    reload_one (supervisor, reload, name);
  } else if (!supervisor->stopping) {
    names = scan (supervisor);
    known = seedd_supervisor_graphs (supervisor);
    for (guint i = 0; i < known->len; i++) {
      const char *known_name = seedd_graph_name (g_ptr_array_index (known, i));

      if (!has_file (supervisor, known_name))
        g_ptr_array_add (names, g_strdup (known_name));
    }
    for (guint i = 0; i < names->len; i++)
      reload_one (supervisor, reload, g_ptr_array_index (names, i));
  }
  seedd_reload_unref (reload);
}

void
seedd_supervisor_check (
    SeeddSupervisor *supervisor, SeeddGraph *graph, SeeddChecked done, gpointer data)
{
  const char *name = seedd_graph_name (graph);
  g_autoptr (SeeddFile) file = seedd_file_load (supervisor->context->config->graphs, name,
      seedd_config_limits (supervisor->context->config, name)->set);

  if (file->errors)
    done (data, file->errors);
  else
    seedd_checker_run (supervisor->checker, name, file->path, done, data);
}

/* ---- the folder ---- */

static gboolean
on_folder_settled (gpointer data)
{
  SeeddSupervisor *supervisor = data;

  supervisor->settle = 0;
  seedd_supervisor_reload (supervisor, NULL, NULL, NULL);
  return G_SOURCE_REMOVE;
}

static void
on_folder_changed (
    GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event, gpointer data)
{
  SeeddSupervisor *supervisor = data;

  if (supervisor->settle)
    g_source_remove (supervisor->settle);
  supervisor->settle = g_timeout_add (SETTLE_MS, on_folder_settled, supervisor);
}

static void
watch_folder (SeeddSupervisor *supervisor)
{
  g_autoptr (GFile) folder = g_file_new_for_path (supervisor->context->config->graphs);
  g_autoptr (GError) error = NULL;

  supervisor->monitor = g_file_monitor_directory (folder, G_FILE_MONITOR_WATCH_MOVES, NULL, &error);
  if (!supervisor->monitor) {
    seedd_log (LOG_WARNING, NULL, "changes of %s are not seen (%s); use seedctl reload",
        supervisor->context->config->graphs, error->message);
    return;
  }
  g_file_monitor_set_rate_limit (supervisor->monitor, SETTLE_MS);
  g_signal_connect (supervisor->monitor, "changed", G_CALLBACK (on_folder_changed), supervisor);
}

static gboolean
on_tick (gpointer data)
{
  SeeddSupervisor *supervisor = data;
  gint64 now = g_get_monotonic_time ();
  gboolean late = now - supervisor->tick_us > LATE_US;
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (supervisor);

  supervisor->tick_us = now;
  for (guint i = 0; i < graphs->len; i++)
    seedd_graph_tick (g_ptr_array_index (graphs, i), late);
  return G_SOURCE_CONTINUE;
}

/* ---- begin and end ---- */

static void
start_if_there (SeeddSupervisor *supervisor, const char *name)
{
  SeeddGraph *graph = g_hash_table_lookup (supervisor->graphs, name);

  if (graph)
    seedd_graph_start (graph);
  else
    seedd_log (LOG_WARNING, name, "enabled, but there is no %s/%s.yaml",
        supervisor->context->config->graphs, name);
}

void
seedd_supervisor_begin (SeeddSupervisor *supervisor)
{
  const GPtrArray *enabled = supervisor->context->config->enabled;
  g_autoptr (GPtrArray) names = scan (supervisor);

  for (guint i = 0; i < names->len; i++)
    add_graph (supervisor, g_ptr_array_index (names, i));
  for (guint i = 0; i < (enabled ? enabled->len : names->len); i++)
    start_if_there (supervisor, g_ptr_array_index (enabled ? enabled : names, i));
  watch_folder (supervisor);
  supervisor->tick_us = g_get_monotonic_time ();
  supervisor->tick = g_timeout_add (TICK_MS, on_tick, supervisor);
}

static void
check_all_stopped (SeeddSupervisor *supervisor)
{
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (supervisor);

  for (guint i = 0; i < graphs->len; i++) {
    if (seedd_graph_state (g_ptr_array_index (graphs, i)) == SEEDD_STOPPING)
      return;
  }
  if (supervisor->stopped)
    supervisor->stopped (supervisor->stopped_data);
  supervisor->stopped = NULL;
}

static void
on_settled_for_stop (gpointer data, SeeddGraph *graph)
{
  check_all_stopped (data);
}

void
seedd_supervisor_stop (SeeddSupervisor *supervisor, void (*done) (gpointer data), gpointer data)
{
  g_autoptr (GPtrArray) graphs = seedd_supervisor_graphs (supervisor);

  supervisor->stopping = TRUE;
  supervisor->stopped = done;
  supervisor->stopped_data = data;
  for (guint i = 0; i < graphs->len; i++)
    seedd_graph_stop (g_ptr_array_index (graphs, i));
  for (guint i = 0; i < graphs->len; i++)
    seedd_graph_wait (g_ptr_array_index (graphs, i), on_settled_for_stop, supervisor);
  check_all_stopped (supervisor);
}

SeeddSupervisor *
seedd_supervisor_new (const SeeddContext *context)
{
  SeeddSupervisor *supervisor = g_new0 (SeeddSupervisor, 1);

  supervisor->context = context;
  supervisor->checker = seedd_checker_new (context);
  supervisor->graphs =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) seedd_graph_unref);
  return supervisor;
}

void
seedd_supervisor_free (SeeddSupervisor *supervisor)
{
  if (!supervisor)
    return;
  supervisor->stopping = TRUE;
  supervisor->stopped = NULL;
  if (supervisor->settle)
    g_source_remove (supervisor->settle);
  if (supervisor->tick)
    g_source_remove (supervisor->tick);
  if (supervisor->monitor)
    g_signal_handlers_disconnect_by_data (supervisor->monitor, supervisor);
  g_clear_object (&supervisor->monitor);
  seedd_checker_free (supervisor->checker); /* may still want to look at graphs */
  g_hash_table_unref (supervisor->graphs);
  g_free (supervisor);
}
