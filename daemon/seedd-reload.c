/* SPDX-License-Identifier: MIT */
#include "seedd-reload.h"

#include <string.h>

#include "seedd-log.h"

struct _SeeddReload {
  guint refs;
  const SeeddContext *context;
  JsonArray *results;
  void (*done) (gpointer data, JsonArray *results);
  gpointer data;
};

/* A graph on its way through a reload. */
typedef struct {
  SeeddReload *reload;
  SeeddGraph *graph;
  SeeddFile *file;
} Step;

SeeddReload *
seedd_reload_new (
    const SeeddContext *context, void (*done) (gpointer data, JsonArray *results), gpointer data)
{
  SeeddReload *reload = g_new0 (SeeddReload, 1);

  reload->refs = 1;
  reload->context = context;
  reload->results = json_array_new ();
  reload->done = done;
  reload->data = data;
  return reload;
}

void
seedd_reload_unref (SeeddReload *reload)
{
  if (--reload->refs > 0)
    return;
  if (reload->done)
    reload->done (reload->data, reload->results);
  json_array_unref (reload->results);
  g_free (reload);
}

void
seedd_reload_note (SeeddReload *reload, const char *graph, const char *result, const char *errors)
{
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "graph", graph);
  json_object_set_string_member (object, "result", result);
  if (errors)
    json_object_set_string_member (object, "errors", errors);
  else
    json_object_set_null_member (object, "errors");
  json_array_add_object_element (reload->results, object);
  if (strcmp (result, "unchanged") != 0 && strcmp (result, "invalid") != 0)
    seedd_log (LOG_INFO, graph, "reload: %s", result);
}

static void
step_end (Step *step, const char *result, const char *errors)
{
  seedd_reload_note (step->reload, seedd_graph_name (step->graph), result, errors);
  seedd_reload_unref (step->reload);
  seedd_file_free (step->file);
  seedd_graph_unref (step->graph);
  g_free (step);
}

/* ---- a running graph ---- */

static void
restart (Step *step)
{
  if (!seedd_graph_is_wanted (step->graph)) {
    step_end (step, "unchanged", NULL);
    return;
  }
  seedd_graph_restart (step->graph);
  step_end (step, "restarted", NULL);
}

static void
on_applied (gpointer data, JsonNode *result, const GError *error)
{
  Step *step = data;

  if (error) {
    seedd_log (LOG_INFO, seedd_graph_name (step->graph), "restarts: %s", error->message);
    restart (step);
    return;
  }
  seedd_graph_event (step->graph, "reloaded", "properties were changed while it plays", NULL);
  seedd_graph_adopt (step->graph, g_steal_pointer (&step->file));
  step_end (step, "applied", NULL);
}

static JsonNode *
yaml_to_json (const SeedYaml *yaml)
{
  JsonNode *node = json_node_alloc ();

  if (yaml->kind == SEED_YAML_SEQUENCE) {
    JsonArray *array = json_array_new ();

    for (guint i = 0; i < seed_yaml_length (yaml); i++)
      json_array_add_element (array, yaml_to_json (seed_yaml_item (yaml, i)));
    json_node_init_array (node, array);
    json_array_unref (array);
    return node;
  }
  return json_node_init_string (node, yaml->text ? yaml->text : "");
}

/* The running process is asked to change; it knows which properties may. */
static void
apply (Step *step, const GArray *changes)
{
  g_autoptr (JsonObject) params = json_object_new ();
  JsonArray *settings = json_array_new ();

  for (guint i = 0; i < changes->len; i++) {
    const SeeddFileChange *change = &g_array_index (changes, SeeddFileChange, i);
    JsonObject *setting = json_object_new ();

    json_object_set_string_member (setting, "node", change->node);
    json_object_set_string_member (setting, "key", change->key);
    json_object_set_member (setting, "value", yaml_to_json (change->value));
    json_array_add_object_element (settings, setting);
  }
  json_object_set_array_member (params, "settings", settings);
  seedd_graph_request (step->graph, "set", params, on_applied, step);
}

/* The new file is good. Only now it is compared: what runs may be another than when it was read. */
static void
on_checked (gpointer data, const char *errors)
{
  Step *step = data;
  const SeeddFile *running = seedd_graph_file (step->graph);
  g_autoptr (GArray) changes = g_array_new (FALSE, FALSE, sizeof (SeeddFileChange));

  if (errors) {
    seedd_graph_set_pending_errors (step->graph, errors);
    step_end (step, "invalid", errors);
    return;
  }
  if (seedd_graph_state (step->graph) == SEEDD_RUNNING && running && running->graph &&
      seedd_file_compare (running, step->file, changes) == SEEDD_FILE_SETTINGS)
    apply (step, changes);
  else
    restart (step);
}

/* ---- one that does not run ---- */

static void
reload_idle (Step *step)
{
  const SeeddFile *last = seedd_graph_file (step->graph);
  gboolean same = last && last->text && step->file->text && last->length == step->file->length &&
                  memcmp (last->text, step->file->text, last->length) == 0;
  SeeddGraph *graph = step->graph;

  if (same || !seedd_graph_is_wanted (graph)) {
    step_end (step, "unchanged", NULL);
  } else if (step->file->errors) {
    g_autofree char *errors = g_strdup (step->file->errors);

    seedd_graph_start (graph); /* which says so */
    step_end (step, "invalid", errors);
  } else {
    seedd_graph_start (graph);
    step_end (step, "started", NULL);
  }
}

static gboolean
is_running (const SeeddGraph *graph)
{
  return seedd_graph_state (graph) == SEEDD_RUNNING || seedd_graph_state (graph) == SEEDD_STARTING;
}

void
seedd_reload_graph (SeeddReload *reload, SeeddGraph *graph, SeeddChecker *checker)
{
  const SeeddContext *context = reload->context;
  const char *name = seedd_graph_name (graph);
  const SeeddFile *running = seedd_graph_file (graph);
  Step *step = g_new0 (Step, 1);

  step->reload = reload;
  step->graph = seedd_graph_ref (graph);
  step->file = seedd_file_load (
      context->config->graphs, name, seedd_config_limits (context->config, name)->set);
  reload->refs++;
  if (!is_running (graph)) {
    reload_idle (step);
  } else if (step->file->errors) {
    g_autofree char *errors = g_strdup (step->file->errors);

    seedd_graph_set_pending_errors (graph, errors);
    step_end (step, "invalid", errors);
  } else if (running && running->graph &&
             seedd_file_compare (running, step->file, NULL) == SEEDD_FILE_SAME) {
    seedd_graph_adopt (graph, g_steal_pointer (&step->file));
    step_end (step, "unchanged", NULL);
  } else {
    seedd_checker_run (checker, name, step->file->path, on_checked, step);
  }
}
