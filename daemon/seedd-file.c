/* SPDX-License-Identifier: MIT */
#include "seedd-file.h"

#include <string.h>

#define SUFFIX ".yaml"

char *
seedd_file_graph_name (const char *file_name)
{
  g_autofree char *name = NULL;

  if (!g_str_has_suffix (file_name, SUFFIX))
    return NULL;
  name = g_strndup (file_name, strlen (file_name) - strlen (SUFFIX));
  return seed_name_is_good (name) ? g_steal_pointer (&name) : NULL;
}

static void
check_name (const SeedGraph *graph, const char *name, SeedDiagnostics *diagnostics)
{
  const SeedYaml *written = seed_yaml_lookup (graph->root, "graph", NULL);

  if (written && *graph->name && strcmp (graph->name, name) != 0)
    seed_diagnostics_add (diagnostics, written->mark,
        "graph is '%s', but a file in this folder is called after its graph: rename the file to "
        "%s" SUFFIX " or the graph to '%s'",
        graph->name, graph->name, name);
}

SeeddFile *
seedd_file_load (const char *folder, const char *name, GHashTable *set)
{
  SeeddFile *file = g_new0 (SeeddFile, 1);
  g_autofree char *base = g_strconcat (name, SUFFIX, NULL);
  g_autoptr (SeedDiagnostics) diagnostics = NULL;

  file->path = g_build_filename (folder, base, NULL);
  diagnostics = seed_diagnostics_new (file->path);
  if (g_file_test (file->path, G_FILE_TEST_EXISTS) &&
      !g_file_test (file->path, G_FILE_TEST_IS_REGULAR))
    seed_diagnostics_add (diagnostics, (SeedMark){ 1, 1 }, "this is no regular file");
  else
    file->text = seed_graph_read_file (file->path, &file->length, diagnostics);
  if (file->text)
    file->graph = seed_graph_parse (file->text, file->length, folder, set, diagnostics);
  if (file->graph)
    check_name (file->graph, name, diagnostics);
  if (seed_diagnostics_count (diagnostics) > 0) {
    file->errors = seed_diagnostics_to_string (diagnostics);
    g_clear_pointer (&file->graph, seed_graph_free);
  }
  return file;
}

void
seedd_file_free (SeeddFile *file)
{
  if (!file)
    return;
  g_clear_pointer (&file->graph, seed_graph_free);
  g_free (file->path);
  g_free (file->text);
  g_free (file->errors);
  g_free (file);
}

/* ---- differences ---- */

static gboolean
same_yaml (const SeedYaml *a, const SeedYaml *b)
{
  if (a->kind != b->kind)
    return FALSE;
  if (a->kind == SEED_YAML_SCALAR)
    return strcmp (a->text, b->text) == 0 && seed_yaml_is_null (a) == seed_yaml_is_null (b);
  if (a->children->len != b->children->len)
    return FALSE;
  for (guint i = 0; i < a->children->len; i++) {
    if (!same_yaml (g_ptr_array_index (a->children, i), g_ptr_array_index (b->children, i)))
      return FALSE;
  }
  return TRUE;
}

/* As written, parameters replaced: whatever a stream's keys come to mean. */
static gboolean
same_stream_section (const SeedGraph *a, const SeedGraph *b)
{
  const SeedYaml *x = seed_yaml_lookup (a->root, "streams", NULL);
  const SeedYaml *y = seed_yaml_lookup (b->root, "streams", NULL);

  return !x == !y && (!x || same_yaml (x, y));
}

static gboolean
same_streams (const GPtrArray *a, const GPtrArray *b)
{
  if (a->len != b->len)
    return FALSE;
  for (guint i = 0; i < a->len; i++) {
    const SeedGraphStream *x = g_ptr_array_index (a, i), *y = g_ptr_array_index (b, i);

    if (strcmp (x->id, y->id) != 0)
      return FALSE;
  }
  return TRUE;
}

/* All but the values of its settings. */
static gboolean
same_node (const SeedGraphNode *a, const SeedGraphNode *b)
{
  if (strcmp (a->name, b->name) != 0 || strcmp (a->factory, b->factory) != 0 ||
      a->inputs->len != b->inputs->len || a->settings->len != b->settings->len ||
      a->queue.frames != b->queue.frames || a->queue.leak != b->queue.leak ||
      !same_streams (a->streams, b->streams))
    return FALSE;
  for (guint i = 0; i < a->inputs->len; i++) {
    const SeedGraphInput *x = &g_array_index (a->inputs, SeedGraphInput, i);
    const SeedGraphInput *y = &g_array_index (b->inputs, SeedGraphInput, i);

    if (strcmp (x->from, y->from) != 0 || strcmp (x->key, y->key) != 0)
      return FALSE;
  }
  for (guint i = 0; i < a->settings->len; i++) {
    if (!seed_graph_node_setting (b, g_array_index (a->settings, SeedGraphSetting, i).key->text))
      return FALSE;
  }
  return TRUE;
}

static void
compare_settings (const SeedGraphNode *from, const SeedGraphNode *to, GArray *changes)
{
  for (guint i = 0; i < to->settings->len; i++) {
    const SeedGraphSetting *new = &g_array_index (to->settings, SeedGraphSetting, i);
    const SeedGraphSetting *old = seed_graph_node_setting (from, new->key->text);
    const SeeddFileChange change = { to->name, new->key->text, new->value };

    if (!same_yaml (old->value, new->value))
      g_array_append_val (changes, change);
  }
}

SeeddFileDifference
seedd_file_compare (const SeeddFile *from, const SeeddFile *to, GArray *changes)
{
  const SeedGraph *a = from->graph, *b = to->graph;
  g_autoptr (GArray) own = g_array_new (FALSE, FALSE, sizeof (SeeddFileChange));
  GArray *found = changes ? changes : own;

  if (strcmp (a->name, b->name) != 0 || a->nodes->len != b->nodes->len ||
      !same_stream_section (a, b))
    return SEEDD_FILE_OTHER;
  for (guint i = 0; i < a->nodes->len; i++) {
    if (!same_node (g_ptr_array_index (a->nodes, i), g_ptr_array_index (b->nodes, i)))
      return SEEDD_FILE_OTHER;
  }
  for (guint i = 0; i < a->nodes->len; i++)
    compare_settings (g_ptr_array_index (a->nodes, i), g_ptr_array_index (b->nodes, i), found);
  return found->len > 0 ? SEEDD_FILE_SETTINGS : SEEDD_FILE_SAME;
}
