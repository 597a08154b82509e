/* SPDX-License-Identifier: MIT */
#include "graph/plugin.h"

#define PLUGIN_NAME "seed"
#define PLUGIN_FILE "libgstseed.so"

static gboolean
load_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstPlugin) plugin = NULL;

  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return FALSE;
  plugin = gst_plugin_load_file (path, &error);
  if (!plugin)
    GST_WARNING ("%s: %s", path, error->message);
  return plugin != NULL;
}

/* <build>/daemon/PROGRAM and <build>/elements/libgstseed.so. */
static char *
path_in_build (void)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *folder = program ? g_path_get_dirname (program) : NULL;
  g_autofree char *parent = folder ? g_path_get_dirname (folder) : NULL;

  return parent ? g_build_filename (parent, "elements", PLUGIN_FILE, NULL) : NULL;
}

gboolean
seed_graph_load_plugin (void)
{
  g_autofree char *built = path_in_build (), *installed = NULL;
  g_autoptr (GstPlugin) plugin = NULL;

  if (built && load_file (built))
    return TRUE;
  plugin = gst_plugin_load_by_name (PLUGIN_NAME);
  if (plugin)
    return TRUE;
  installed = g_build_filename (SEED_PLUGIN_DIR, PLUGIN_FILE, NULL);
  return load_file (installed);
}
