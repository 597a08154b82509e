/* SPDX-License-Identifier: MIT */
#include "seedd-graph-private.h"

#include <glib/gstdio.h>
#include <string.h>

#include "seedd-log.h"

/*
 * STATE/graphs/NAME.yaml: the text of the file that played last, for a start that nobody looks at
 * while the file in the graphs' folder has errors. Readable by the daemon alone: URIs may hold
 * passwords.
 */

char *
seedd_graph_copies (const SeeddGraph *graph)
{
  return g_build_filename (graph->context->config->state, "graphs", NULL);
}

static char *
path_of (const SeeddGraph *graph)
{
  g_autofree char *folder = seedd_graph_copies (graph);
  g_autofree char *base = g_strconcat (graph->name, ".yaml", NULL);

  return g_build_filename (folder, base, NULL);
}

static gboolean
is_kept (const SeeddGraph *graph, const char *path)
{
  g_autofree char *text = NULL;
  gsize length;

  return g_file_get_contents (path, &text, &length, NULL) && length == graph->file->length &&
         memcmp (text, graph->file->text, length) == 0;
}

void
seedd_graph_keep_copy (const SeeddGraph *graph)
{
  g_autofree char *folder = seedd_graph_copies (graph), *path = path_of (graph);
  g_autoptr (GError) error = NULL;

  if (!graph->file || !graph->file->text || is_kept (graph, path))
    return;
  g_mkdir_with_parents (folder, 0700);
  if (!g_file_set_contents_full (path, graph->file->text, (gssize) graph->file->length,
          G_FILE_SET_CONTENTS_CONSISTENT, 0600, &error))
    seedd_log (LOG_WARNING, graph->name,
        "its good file is not kept for later ('state' of the configuration): %s", error->message);
}

SeeddFile *
seedd_graph_load_copy (const SeeddGraph *graph)
{
  g_autofree char *folder = seedd_graph_copies (graph), *path = path_of (graph);
  g_autoptr (SeeddFile) file = NULL;

  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return NULL;
  file = seedd_file_load_copy (
      folder, graph->context->config->graphs, graph->name, graph->limits->set);
  return file->errors ? NULL : g_steal_pointer (&file);
}

void
seedd_graph_forget_copy (const SeeddGraph *graph)
{
  g_autofree char *path = path_of (graph);

  g_unlink (path);
}
