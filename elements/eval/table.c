/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "eval/jsonl.h"
#include "eval/table.h"

#define SCHEMA "seed.eval.v1"

/* What a table shows unless it is told otherwise; "full.r1.0.5" is a member of a member. */
static const char *const main_metrics[] = { "top1", "map", "recall@1", "micro_ap",
  "text_to_image_recall@1", "image_to_text_recall@1", "f1", "full.r1.0.5", "full.r1.0.7",
  "full.map_average", "class.nmi", "class_permuted.nmi", "position.nmi", "purity",
  "purity_permuted", "in_use_share", NULL };

typedef struct {
  GArray *values; /* double */
} Cell;

struct _SeedEvalTable {
  GPtrArray *rows, *columns; /* of char *, in order */
  GPtrArray *metrics;        /* the metric of each column */
  GHashTable *cells;         /* "row\ncolumn" -> Cell */
  GHashTable *seen;
};

static void
cell_free (gpointer data)
{
  Cell *cell = data;

  g_array_unref (cell->values);
  g_free (cell);
}

SeedEvalTable *
seed_eval_table_new (void)
{
  SeedEvalTable *table = g_new0 (SeedEvalTable, 1);

  table->rows = g_ptr_array_new_with_free_func (g_free);
  table->columns = g_ptr_array_new_with_free_func (g_free);
  table->metrics = g_ptr_array_new_with_free_func (g_free);
  table->cells = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, cell_free);
  table->seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return table;
}

void
seed_eval_table_free (SeedEvalTable *table)
{
  if (!table)
    return;
  g_ptr_array_unref (table->rows);
  g_ptr_array_unref (table->columns);
  g_ptr_array_unref (table->metrics);
  g_hash_table_unref (table->cells);
  g_hash_table_unref (table->seen);
  g_free (table);
}

static gboolean
contains (const GPtrArray *names, const char *name)
{
  return g_ptr_array_find_with_equal_func ((GPtrArray *) names, name, g_str_equal, NULL);
}

static void
add_value (SeedEvalTable *table, const char *row, const char *set, const char *metric, double value)
{
  g_autofree char *column = g_strdup_printf ("%s %s", set, metric);
  g_autofree char *key = g_strdup_printf ("%s\n%s", row, column);
  Cell *cell = g_hash_table_lookup (table->cells, key);

  if (!contains (table->columns, column)) {
    g_ptr_array_add (table->metrics, g_strdup (metric));
    g_ptr_array_add (table->columns, g_steal_pointer (&column));
  }
  if (!cell) {
    cell = g_new0 (Cell, 1);
    cell->values = g_array_new (FALSE, FALSE, sizeof (double));
    g_hash_table_insert (table->cells, g_steal_pointer (&key), cell);
  }
  g_array_append_val (cell->values, value);
}

/* Every number that is a share, those of members of members by their path. */
static void
add_metrics (
    SeedEvalTable *table, const char *row, const char *set, JsonObject *object, const char *prefix)
{
  JsonObjectIter iter;
  const char *key;
  JsonNode *node;

  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &key, &node)) {
    g_autofree char *name = g_strdup_printf ("%s%s%s", prefix, *prefix ? "." : "", key);
    double value;

    if (JSON_NODE_HOLDS_OBJECT (node))
      add_metrics (table, row, set, json_node_get_object (node), name);
    else if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_DOUBLE &&
             seed_jsonl_is_number (node, &value))
      add_value (table, row, set, name, value);
  }
}

static char *
row_name (const char *model)
{
  const char *end = strstr (model, "-seed");

  if (!end)
    end = strstr (model, "_seed");
  return end && end > model ? g_strndup (model, (gsize) (end - model)) : g_strdup (model);
}

static const char *
name_of (JsonObject *report, const char *member)
{
  JsonObject *object = seed_jsonl_get_object (report, member);

  return object ? seed_jsonl_get_string (object, "name") : NULL;
}

gboolean
seed_eval_table_add (
    SeedEvalTable *table, JsonObject *report, const char *file, const char *label, GError **error)
{
  const char *schema = seed_jsonl_get_string (report, "schema");
  const char *task = seed_jsonl_get_string (report, "task");
  const char *model = name_of (report, "model"), *data = name_of (report, "data");
  const char *test = name_of (report, "test");
  JsonObject *metrics = seed_jsonl_get_object (report, "metrics");
  g_autofree char *row = NULL, *set = NULL, *key = NULL;
  double seed = 0;

  if (g_strcmp0 (schema, SCHEMA) != 0 || !task || !model || !data || !metrics ||
      !seed_jsonl_get_number (report, "seed", &seed)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s:1: is no report of an evaluation (schema " SCHEMA ")", file);
    return FALSE;
  }
  row = label ? g_strdup (label) : row_name (model);
  set = g_strdup_printf ("%s %s", task, test ? test : data);
  key = g_strdup_printf ("%s\n%s\n%s\n%s\n%.0f", row, model, data, set, seed);
  if (!g_hash_table_add (table->seen, g_steal_pointer (&key))) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: another file has the same task, model, data and seed", file);
    return FALSE;
  }
  if (!contains (table->rows, row))
    g_ptr_array_add (table->rows, g_strdup (row));
  add_metrics (table, row, set, metrics, "");
  return TRUE;
}

static void
append_cell (GString *text, const Cell *cell)
{
  double mean = 0, square = 0;
  guint n = cell ? cell->values->len : 0;

  if (n == 0) {
    g_string_append (text, " |");
    return;
  }
  for (guint i = 0; i < n; i++)
    mean += g_array_index (cell->values, double, i) / n;
  for (guint i = 0; i < n; i++)
    square += pow (g_array_index (cell->values, double, i) - mean, 2);
  if (n == 1)
    g_string_append_printf (text, " %.2f |", 100 * mean);
  else
    g_string_append_printf (
        text, " %.2f ± %.2f (%u) |", 100 * mean, 100 * sqrt (square / (n - 1)), n);
}

/* A bar would end a cell. */
static void
append_name (GString *text, const char *name)
{
  for (; *name; name++) {
    if (*name == '|')
      g_string_append_c (text, '\\');
    g_string_append_c (text, *name == '\n' ? ' ' : *name);
  }
}

char *
seed_eval_table_format (const SeedEvalTable *table, const char *const *metrics)
{
  GString *text = g_string_new ("| model |"), *rule = g_string_new ("|---|");

  if (!metrics)
    metrics = main_metrics;
  for (guint c = 0; c < table->columns->len; c++) {
    if (!g_strv_contains (metrics, table->metrics->pdata[c]))
      continue;
    g_string_append_c (text, ' ');
    append_name (text, table->columns->pdata[c]);
    g_string_append (text, " |");
    g_string_append (rule, "---:|");
  }
  g_string_append_printf (text, "\n%s\n", rule->str);
  g_string_free (rule, TRUE);
  for (guint r = 0; r < table->rows->len; r++) {
    g_string_append (text, "| ");
    append_name (text, table->rows->pdata[r]);
    g_string_append (text, " |");
    for (guint c = 0; c < table->columns->len; c++) {
      g_autofree char *key = g_strdup_printf (
          "%s\n%s", (char *) table->rows->pdata[r], (char *) table->columns->pdata[c]);

      if (g_strv_contains (metrics, table->metrics->pdata[c]))
        append_cell (text, g_hash_table_lookup (table->cells, key));
    }
    g_string_append_c (text, '\n');
  }
  return g_string_free (text, FALSE);
}
