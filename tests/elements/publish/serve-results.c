/* SPDX-License-Identifier: MIT */

/*
 * A seedpublish that does what its standard input says, for the tests that are its peers.
 *
 * usage: serve-results PROPERTIES
 *
 * PROPERTIES are seedpublish's; its graph is "lobby". Prints the bound endpoint, then answers each
 * line:
 *
 *   push STREAM DIM N   publishes N embeddings of DIM values
 *   stats               the statistics, one JSON object, with rss_bytes and open_files
 *   quit
 *
 * Ends at the end of its input.
 */
#include <stdio.h>

#include <json-glib/json-glib.h>

#include "peer.h"

static GstHarness *harness;
static guint64 next_frame;
static guint dim_now;

static void
set_dim (guint dim)
{
  g_autofree char *caps = g_strdup_printf (
      "application/x-seed-features,summary-dim=%u,token-dim=0,grid=0,views=1,batch=1,space=s,"
      "node=student",
      dim);

  if (dim != dim_now)
    gst_harness_set_src_caps_str (harness, caps);
  dim_now = dim;
}

static void
push (const char *stream, guint dim, guint n)
{
  set_dim (dim);
  for (guint i = 0; i < n; i++) {
    GstBuffer *buffer = gst_buffer_new ();
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

    gst_buffer_append_memory (buffer, new_floats (dim, next_frame));
    g_strlcpy (meta->stream, stream, sizeof meta->stream);
    meta->frame = next_frame++;
    g_assert_cmpint (gst_harness_push (harness, buffer), ==, GST_FLOW_OK);
  }
  g_print ("pushed\n");
}

static gint64
count_open_files (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  gint64 n = 0;

  while (dir && g_dir_read_name (dir))
    n++;
  return n;
}

static gint64
resident_bytes (void)
{
  g_autofree char *text = NULL;
  gint64 pages = 0;

  if (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    sscanf (text, "%*d %" G_GINT64_FORMAT, &pages);
  return pages * 4096;
}

static gboolean
add_member (GQuark field, const GValue *value, gpointer data)
{
  json_object_set_int_member (data, g_quark_to_string (field), (gint64) g_value_get_uint64 (value));
  return TRUE;
}

static void
print_stats (GstElement *element)
{
  g_autoptr (JsonObject) object = json_object_new ();
  g_autoptr (JsonNode) node = NULL;
  g_autofree char *text = NULL;
  GstStructure *stats = get_stats (element);

  gst_structure_foreach (stats, add_member, object);
  gst_structure_free (stats);
  json_object_set_int_member (object, "rss_bytes", resident_bytes ());
  json_object_set_int_member (object, "open_files", count_open_files ());
  node = json_node_init_object (json_node_alloc (), object);
  text = json_to_string (node, FALSE);
  g_print ("%s\n", text);
}

static gboolean
obey (GstElement *element, const char *line)
{
  char stream[64];
  guint dim, n;

  if (sscanf (line, "push %63s %u %u", stream, &dim, &n) == 3)
    push (stream, dim, n);
  else if (g_str_has_prefix (line, "stats"))
    print_stats (element);
  else
    return FALSE;
  fflush (stdout);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autofree char *description = NULL, *endpoint = NULL;
  g_autoptr (GstElement) element = NULL;
  g_autoptr (GError) error = NULL;
  char line[256];

  gst_init (&argc, &argv);
  g_assert_cmpint (argc, ==, 2);
  load_plugin ();
  description = g_strdup_printf ("seedpublish name=out graph=lobby %s", argv[1]);
  element = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  gst_object_ref_sink (element);
  harness = gst_harness_new_with_element (element, "sink_0", NULL);
  g_object_get (element, "bound-endpoint", &endpoint, NULL);
  g_print ("%s\n", endpoint ? endpoint : "");
  fflush (stdout);
  while (endpoint && fgets (line, sizeof line, stdin) && obey (element, line))
    ;
  gst_harness_teardown (harness);
  return endpoint ? 0 : 1;
}
