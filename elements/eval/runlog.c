/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "eval/jsonl.h"
#include "eval/runlog.h"

#define MAX_DEPTH 8u
#define STATS_SCHEMA "seed.run-stats.v1"

typedef struct {
  char *path;
  GArray *points;
} Series;

struct _SeedRunLog {
  GPtrArray *series; /* of Series */
  GHashTable *by_path;
  GHashTable *nodes; /* names of nodes -> number */
  guint n_messages;
};

static void
series_free (gpointer data)
{
  Series *series = data;

  g_free (series->path);
  g_array_unref (series->points);
  g_free (series);
}

static SeedRunLog *
runlog_new (void)
{
  SeedRunLog *log = g_new0 (SeedRunLog, 1);

  log->series = g_ptr_array_new_with_free_func (series_free);
  log->by_path = g_hash_table_new (g_str_hash, g_str_equal);
  log->nodes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return log;
}

void
seed_runlog_free (SeedRunLog *log)
{
  if (!log)
    return;
  g_hash_table_unref (log->by_path);
  g_hash_table_unref (log->nodes);
  g_ptr_array_unref (log->series);
  g_free (log);
}

static void
add_point (SeedRunLog *log, const char *path, double step, double value)
{
  Series *series = g_hash_table_lookup (log->by_path, path);
  const double point[2] = { step, value };

  if (!series) {
    if (log->series->len >= SEED_RUNLOG_MAX_SERIES)
      return;
    series = g_new0 (Series, 1);
    series->path = g_strdup (path);
    series->points = g_array_new (FALSE, FALSE, sizeof (double));
    g_ptr_array_add (log->series, series);
    g_hash_table_insert (log->by_path, series->path, series);
  }
  while (series->points->len >= 2 &&
         g_array_index (series->points, double, series->points->len - 2) >= step)
    g_array_set_size (series->points, series->points->len - 2);
  g_array_append_vals (series->points, point, 2);
}

static void
add_numbers (SeedRunLog *log, JsonObject *object, const char *prefix, double step, guint depth)
{
  JsonObjectIter iter;
  const char *key;
  JsonNode *node;

  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &key, &node)) {
    g_autofree char *path = g_strdup_printf ("%s%s", prefix, key);
    double value;

    if (JSON_NODE_HOLDS_OBJECT (node) && depth < MAX_DEPTH) {
      g_autofree char *inner = g_strconcat (path, ".", NULL);

      add_numbers (log, json_node_get_object (node), inner, step, depth + 1);
    } else if (seed_jsonl_is_number (node, &value)) {
      add_point (log, path, step, value);
    } else if (JSON_NODE_HOLDS_NULL (node)) {
      add_point (log, path, step, NAN);
    }
  }
}

/* The first node has no name before its paths; it is the only one in most runs. */
static char *
node_prefix (SeedRunLog *log, const char *node)
{
  if (!node)
    return g_strdup ("");
  if (!g_hash_table_contains (log->nodes, node))
    g_hash_table_insert (
        log->nodes, g_strdup (node), GUINT_TO_POINTER (g_hash_table_size (log->nodes)));
  return g_hash_table_lookup (log->nodes, node) ? g_strconcat (node, ":", NULL) : g_strdup ("");
}

static gboolean
read_line (JsonObject *object, guint line, gpointer data, GError **error)
{
  SeedRunLog *log = data;
  const char *kind = seed_jsonl_get_string (object, "kind");
  JsonObject *report = kind ? seed_jsonl_get_object (object, "data") : object;
  g_autofree char *prefix = NULL;
  double step;

  if ((kind && strcmp (kind, "train") != 0) || !report ||
      !seed_jsonl_get_number (report, "step", &step))
    return TRUE;
  prefix = node_prefix (log, kind ? seed_jsonl_get_string (object, "node") : NULL);
  log->n_messages++;
  add_numbers (log, report, prefix, step, 0);
  return TRUE;
}

/* "loss-seed" of a stage's stats is "loss.seed" of a message. */
static char *
message_path (const char *name)
{
  char *path = g_strcmp0 (name, "loss") == 0 ? g_strdup ("loss.total") : g_strdup (name);

  if (g_str_has_prefix (path, "loss-"))
    path[4] = '.';
  return g_strdelimit (path, "-", '_');
}

static void
read_stage (SeedRunLog *log, JsonObject *stage)
{
  JsonObject *stats = seed_jsonl_get_object (stage, "stats");
  g_autofree char *prefix = NULL;
  JsonObjectIter iter;
  const char *key;
  JsonNode *node;
  double step, value;

  if (!stats || !seed_jsonl_get_number (stats, "step", &step) ||
      !seed_jsonl_get_number (stats, "loss", &value))
    return;
  prefix = node_prefix (log, seed_jsonl_get_string (stage, "node"));
  log->n_messages++;
  json_object_iter_init_ordered (&iter, stats);
  while (json_object_iter_next_ordered (&iter, &key, &node)) {
    g_autofree char *name = message_path (key);
    g_autofree char *path = g_strconcat (prefix, name, NULL);

    if (seed_jsonl_is_number (node, &value))
      add_point (log, path, step, value);
  }
}

static void
read_stats (SeedRunLog *log, JsonObject *root)
{
  JsonArray *stages = seed_jsonl_get_array (root, "stages");

  for (guint i = 0; stages && i < json_array_get_length (stages); i++) {
    JsonNode *node = json_array_get_element (stages, i);

    if (JSON_NODE_HOLDS_OBJECT (node))
      read_stage (log, json_node_get_object (node));
  }
}

/* Stats are one object over many lines: the first line alone is no JSON. */
static gboolean
looks_like_stats (const char *text, gsize length)
{
  return length > 1 && text[0] == '{' && (text[1] == '\n' || text[1] == '\r') &&
         g_strstr_len (text, (gssize) MIN (length, 4096), STATS_SCHEMA);
}

SeedRunLog *
seed_runlog_parse (const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (SeedRunLog) log = runlog_new ();

  if (looks_like_stats (text, length)) {
    g_autoptr (JsonNode) node = seed_jsonl_parse_object (label, text, length, error);

    if (!node)
      return NULL;
    read_stats (log, json_node_get_object (node));
  } else if (!seed_jsonl_parse (label, text, length, read_line, log, error)) {
    return NULL;
  }
  if (log->n_messages > 0)
    return g_steal_pointer (&log);
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
      "%s:1: has no message of kind \"train\"; record them with seedctl tail", label);
  return NULL;
}

SeedRunLog *
seed_runlog_load (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = seed_jsonl_read (path, error);
  gsize length;
  const char *text = bytes ? seed_jsonl_text (bytes, &length) : NULL;

  return text ? seed_runlog_parse (path, text, length, error) : NULL;
}

guint
seed_runlog_n_series (const SeedRunLog *log)
{
  return log->series->len;
}

const char *
seed_runlog_get_path (const SeedRunLog *log, guint series)
{
  return ((const Series *) log->series->pdata[series])->path;
}

const GArray *
seed_runlog_get_points (const SeedRunLog *log, guint series)
{
  return ((const Series *) log->series->pdata[series])->points;
}

guint
seed_runlog_n_messages (const SeedRunLog *log)
{
  return log->n_messages;
}
