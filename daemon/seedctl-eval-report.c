/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include <seed/pool.h>

#include "nn/atomic-file.h"
#include "publish/json-tree.h"
#include "seed-config.h"
#include "seedctl-eval.h"

static double
now (void)
{
  return (double) g_get_monotonic_time () / G_TIME_SPAN_SECOND;
}

void
seedctl_report_number (JsonObject *object, const char *name, double value)
{
  if (isfinite (value))
    json_object_set_double_member (object, name, value);
  else
    json_object_set_null_member (object, name); /* JSON has no NaN */
}

void
seedctl_report_begin (SeedctlReport *report, const SeedctlEvalOptions *options)
{
  *report =
      (SeedctlReport){ json_object_new (), json_object_new (), json_object_new (), now (), 0, 0 };
  json_object_set_string_member (report->root, "schema", SEEDCTL_EVAL_SCHEMA);
  json_object_set_string_member (report->root, "version", SEED_VERSION);
  json_object_set_string_member (report->root, "task", options->task);
  json_object_set_null_member (report->root, "model");
  json_object_set_null_member (report->root, "data");
  json_object_set_null_member (report->root, "test");
  json_object_set_string_member (report->root, "split", "all");
  json_object_set_int_member (report->root, "seed", options->seed);
  json_object_set_object_member (report->root, "settings", report->settings);
  json_object_set_object_member (report->root, "metrics", report->metrics);
}

void
seedctl_report_add_model (SeedctlReport *report, const SeedctlModel *model)
{
  JsonObject *object = json_object_new ();

  json_object_set_string_member (object, "name", model->name);
  json_object_set_string_member (object, "kind", model->is_student ? "student" : "teacher");
  json_object_set_string_member (object, "family", model->family);
  json_object_set_string_member (object, "sha256", model->sha256);
  json_object_set_string_member (object, "precision", model->precision);
  json_object_set_int_member (object, "parameters", (gint64) model->n_params);
  json_object_set_int_member (object, "image_size", model->image_size);
  json_object_set_int_member (object, "dim", model->dim);
  json_object_set_object_member (report->root, "model", object);
}

static guint
count_classes (const SeedctlFeatures *features)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < features->set.n; i++) {
    gint32 label = g_array_index (features->labels, gint32, i);

    if (label >= 0)
      g_hash_table_add (seen, GINT_TO_POINTER (label + 1));
  }
  return g_hash_table_size (seen);
}

void
seedctl_report_add_data (SeedctlReport *report, const char *name, const SeedctlDataOptions *data,
    const SeedctlFeatures *features)
{
  JsonObject *object = json_object_new ();
  g_autofree char *absolute = g_canonicalize_filename (data->location, NULL);
  g_autofree char *last = g_path_get_basename (absolute);
  g_autofree char *folder = g_path_get_dirname (absolute);
  g_autofree char *before = g_path_get_basename (folder);
  g_autofree char *shown = g_strdup_printf ("%s/%s", before, last);

  json_object_set_string_member (object, "name", shown);
  json_object_set_string_member (object, "location", data->location);
  json_object_set_int_member (object, "images", features->set.n);
  json_object_set_int_member (object, "of", features->n_images);
  json_object_set_int_member (object, "skipped", features->n_skipped);
  json_object_set_int_member (object, "classes", count_classes (features));
  json_object_set_int_member (object, "captions", features->captions->len);
  json_object_set_object_member (report->root, name, object);
  report->feature_seconds += features->seconds;
  report->n_images += features->set.n;
}

static void
print_members (JsonObject *object, const char *prefix)
{
  JsonObjectIter iter;
  const char *key;
  JsonNode *node;

  json_object_iter_init_ordered (&iter, object);
  while (json_object_iter_next_ordered (&iter, &key, &node)) {
    g_autofree char *name = g_strdup_printf ("%s%s%s", prefix, *prefix ? "." : "", key);

    if (JSON_NODE_HOLDS_OBJECT (node))
      print_members (json_node_get_object (node), name);
    else if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_DOUBLE)
      printf ("  %-24s %10.4f\n", name, json_node_get_double (node));
    else {
      g_autoptr (GString) text = g_string_new (NULL);

      seed_json_tree_append (text, node);
      printf ("  %-24s %10s\n", name, text->str);
    }
  }
}

static void
print_table (const SeedctlReport *report)
{
  static const char *const sections[] = { "model", "data", "test", "settings", "metrics" };

  printf ("%s (%s, seed %" G_GINT64_FORMAT ")\n",
      json_object_get_string_member (report->root, "task"),
      json_object_get_string_member (report->root, "split"),
      json_object_get_int_member (report->root, "seed"));
  for (guint i = 0; i < G_N_ELEMENTS (sections); i++) {
    JsonNode *node = json_object_get_member (report->root, sections[i]);

    if (!JSON_NODE_HOLDS_OBJECT (node) || json_object_get_size (json_node_get_object (node)) == 0)
      continue;
    printf ("%s\n", sections[i]);
    print_members (json_node_get_object (node), "");
  }
  printf ("%.1f s", json_object_get_double_member (report->root, "seconds"));
  if (report->n_images > 0)
    printf (", %.1f images/s", json_object_get_double_member (report->root, "images_per_s"));
  printf ("\n");
}

gboolean
seedctl_report_end (SeedctlReport *report, const SeedctlEvalOptions *options, GError **error)
{
  g_autoptr (JsonNode) node = json_node_new (JSON_NODE_OBJECT);
  g_autoptr (GString) text = g_string_new (NULL);

  json_object_set_int_member (report->root, "threads", seed_pool_n_threads ());
  seedctl_report_number (report->root, "seconds", now () - report->started);
  seedctl_report_number (report->root, "images_per_s",
      report->feature_seconds > 0 ? report->n_images / report->feature_seconds : NAN);
  json_node_set_object (node, report->root);
  seed_json_tree_append (text, node);
  g_string_append_c (text, '\n');
  if (options->output && !seed_atomic_file_set_contents (options->output, text->str, error))
    return FALSE;
  if (options->json)
    fputs (text->str, stdout);
  else
    print_table (report);
  return TRUE;
}

void
seedctl_report_clear (SeedctlReport *report)
{
  g_clear_pointer (&report->root, json_object_unref); /* has the others */
}
