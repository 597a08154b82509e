/* SPDX-License-Identifier: MIT */
#include "graph/builder.h"

/* Consumers that can share one instance, and what all of them take. */
typedef struct {
  GstCaps *caps;
  GArray *links; /* indices */
} Geometry;

static void
geometry_free (gpointer data)
{
  Geometry *geometry = data;

  gst_caps_unref (geometry->caps);
  g_array_unref (geometry->links);
  g_free (geometry);
}

static GstCaps *
needed_caps (SeedBuilder *builder, GstPad *src, guint link)
{
  SeedGraphQueue *queue = g_array_index (builder->pipeline->links, SeedPipelineLink, link).queue;
  g_autoptr (GstPad) sink = gst_element_get_static_pad (GST_ELEMENT (queue), "sink");
  g_autoptr (GstCaps) all = gst_pad_get_pad_template_caps (src);

  /* what it wants most: words made in another way would do, but an instance of its own does better
   */
  return gst_caps_truncate (gst_pad_query_caps (sink, all));
}

/* A model says one number; a student still to be made takes any. */
static gboolean
is_definite (const GstCaps *caps)
{
  const GstStructure *s;
  int size;

  if (gst_caps_is_empty (caps) || gst_caps_is_any (caps))
    return FALSE;
  s = gst_caps_get_structure (caps, 0);
  return gst_structure_get_int (s, "image-size", &size) &&
         gst_structure_get_int (s, "patch-size", &size);
}

static void
assign (GPtrArray *geometries, GstCaps *caps, guint link)
{
  Geometry *geometry;

  for (guint i = 0; i < geometries->len; i++) {
    g_autoptr (GstCaps) common = NULL;

    geometry = g_ptr_array_index (geometries, i);
    common = gst_caps_intersect (geometry->caps, caps);
    if (gst_caps_is_empty (common))
      continue;
    gst_caps_replace (&geometry->caps, common);
    g_array_append_val (geometry->links, link);
    return;
  }
  geometry = g_new0 (Geometry, 1);
  geometry->caps = gst_caps_ref (caps);
  geometry->links = g_array_new (FALSE, FALSE, sizeof (guint));
  g_array_append_val (geometry->links, link);
  g_ptr_array_add (geometries, geometry);
}

/* Those that need one geometry first, so that the others can join any of them. */
static GPtrArray *
group_consumers (SeedBuilder *builder, GstElement *element, const GArray *links)
{
  GPtrArray *geometries = g_ptr_array_new_with_free_func (geometry_free);
  g_autoptr (GstPad) src = gst_element_get_static_pad (element, "src");

  for (int definite = TRUE; definite >= FALSE; definite--) {
    for (guint i = 0; i < links->len; i++) {
      guint link = g_array_index (links, guint, i);
      g_autoptr (GstCaps) caps = needed_caps (builder, src, link);

      if (is_definite (caps) == definite)
        assign (geometries, caps, link);
    }
  }
  return geometries;
}

/* A tee between the node's own queue and its instances; blocking queues, so that all see the same
 * frames. Returns the tee. */
static GstElement *
open_input (SeedBuilder *builder, SeedGraphNode *node, GstElement *first, const GArray *links)
{
  g_autofree char *name = g_strdup_printf ("%s.split", node->name);
  g_autoptr (GstPad) sink = gst_element_get_static_pad (first, "sink");
  g_autoptr (GstPad) src = gst_pad_get_peer (sink), tee_sink = NULL;
  GstElement *tee = seed_builder_add_helper (builder, "tee", name);

  if (!tee || !src)
    return NULL;
  tee_sink = gst_element_get_static_pad (tee, "sink");
  gst_pad_unlink (src, sink);
  return seed_builder_link (builder, src, tee_sink, links) ? tee : NULL;
}

static gboolean
feed_instance (SeedBuilder *builder, SeedGraphNode *node, GstElement *tee, GstElement *instance,
    const GArray *links)
{
  guint frames = node->queue.frames ? node->queue.frames : SEED_PLAN_QUEUE_FRAMES;
  g_autofree char *name = g_strdup_printf ("%s.split:%s", node->name, GST_OBJECT_NAME (instance));
  SeedGraphQueue *queue = seed_builder_add_queue (builder, name, frames, SEED_LEAK_NONE);
  g_autoptr (GstPad) tee_src = gst_element_request_pad_simple (tee, "src_%u");
  g_autoptr (GstPad) queue_sink = gst_element_get_static_pad (GST_ELEMENT (queue), "sink");
  g_autoptr (GstPad) queue_src = gst_element_get_static_pad (GST_ELEMENT (queue), "src");
  g_autoptr (GstPad) sink = gst_element_get_static_pad (instance, "sink");

  return seed_builder_link (builder, tee_src, queue_sink, links) &&
         seed_builder_link (builder, queue_src, sink, links);
}

gboolean
seed_builder_split (SeedBuilder *builder, SeedGraphNode *node, const GArray *links)
{
  GstElement *first = g_ptr_array_index (builder->elements, node->index), *tee;
  g_autoptr (GPtrArray) geometries = NULL;

  if (!seed_pipeline_make_ready (builder->pipeline, FALSE, builder->diagnostics))
    return FALSE;
  geometries = group_consumers (builder, first, links);
  if (geometries->len == 1)
    return seed_builder_connect (builder, first, node, links, TRUE);
  tee = open_input (builder, node, first, links);
  for (guint i = 0; tee && i < geometries->len; i++) {
    const Geometry *geometry = g_ptr_array_index (geometries, i);
    g_autofree char *name = g_strdup_printf ("%s.%u", node->name, i + 1);
    GstElement *instance = i == 0 ? first : seed_builder_add_node (builder, node, name);

    if (!instance || !feed_instance (builder, node, tee, instance, geometry->links))
      return FALSE;
    /* What all consumers must lose together is lost before the tee. */
    if (!seed_builder_connect (builder, instance, node, geometry->links, FALSE))
      return FALSE;
  }
  return tee != NULL;
}
