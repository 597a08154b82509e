/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/event.h"
#include "publish/publish-pad.h"

G_DEFINE_TYPE (SeedPublishPad, seed_publish_pad, GST_TYPE_PAD)

static void
seed_publish_pad_finalize (GObject *object)
{
  SeedPublishPad *pad = SEED_PUBLISH_PAD (object);

  g_free (pad->node);
  g_free (pad->model_name);
  g_free (pad->model_sha256);
  G_OBJECT_CLASS (seed_publish_pad_parent_class)->finalize (object);
}

static void
seed_publish_pad_class_init (SeedPublishPadClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = seed_publish_pad_finalize;
}

static void
seed_publish_pad_init (SeedPublishPad *pad)
{
}

/* The only sink pad of @element, or NULL. */
static GstPad *
single_sink_pad (GstElement *element)
{
  GstPad *pad = NULL;

  GST_OBJECT_LOCK (element);
  if (element->numsinkpads == 1)
    pad = gst_object_ref (element->sinkpads->data);
  GST_OBJECT_UNLOCK (element);
  return pad;
}

/* Queues and filters that the graph put in between have names that mean nothing to a subscriber. */
static char *
upstream_name (GstPad *sink)
{
  g_autoptr (GstPad) at = gst_object_ref (sink);
  g_autofree char *first = NULL;

  while (at) {
    g_autoptr (GstPad) peer = gst_pad_get_peer (at);
    g_autoptr (GstElement) element = peer ? gst_pad_get_parent_element (peer) : NULL;

    if (!element)
      break;
    if (!first)
      first = gst_element_get_name (element);
    if (g_object_class_find_property (G_OBJECT_GET_CLASS (element), "ledger"))
      return gst_element_get_name (element);
    gst_object_unref (at);
    at = single_sink_pad (element);
  }
  return g_steal_pointer (&first);
}

const char *
seed_publish_pad_node (SeedPublishPad *pad)
{
  if (!pad->node) {
    g_autofree char *name = upstream_name (GST_PAD (pad));

    pad->node = seed_wire_make_node (name);
  }
  return pad->node;
}

static void
set_node (SeedPublishPad *pad, const GstStructure *s)
{
  const char *node = gst_structure_get_string (s, "node");

  g_clear_pointer (&pad->node, g_free);
  if (node && *node)
    pad->node = seed_wire_make_node (node);
}

static gboolean
set_features_caps (SeedPublishPad *pad, const GstCaps *caps)
{
  g_autoptr (GstCaps) complete = gst_caps_copy (caps);
  SeedFeaturesInfo info;

  gst_caps_set_simple (complete, "node", G_TYPE_STRING, seed_publish_pad_node (pad), NULL);
  if (!seed_features_info_from_caps (&info, complete) || info.views != 1 ||
      (info.token_dim > 0 && info.grid == 0))
    return FALSE;
  pad->info = info;
  pad->is_report = FALSE;
  return TRUE;
}

static gboolean
set_report_caps (SeedPublishPad *pad, const GstStructure *s)
{
  const char *kind = gst_structure_get_string (s, "kind");

  if (!seed_wire_is_name (kind) || strcmp (kind, "embedding") == 0 || strcmp (kind, "tokens") == 0)
    return FALSE;
  pad->per_stream = FALSE;
  gst_structure_get_boolean (s, "per-stream", &pad->per_stream);
  pad->kind = g_intern_string (kind);
  pad->is_report = TRUE;
  return TRUE;
}

gboolean
seed_publish_pad_set_caps (SeedPublishPad *pad, const GstCaps *caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);

  set_node (pad, s);
  if (gst_structure_has_name (s, SEED_CAPS_REPORT))
    return set_report_caps (pad, s);
  return set_features_caps (pad, caps);
}

void
seed_publish_pad_init_result (SeedPublishPad *pad, SeedResult *result)
{
  static const SeedResult empty = SEED_RESULT_INIT;

  *result = empty;
  result->stream = SEED_WIRE_NO_STREAM;
  result->node = seed_publish_pad_node (pad);
  result->model.name = pad->model_name;
  result->model.sha256 = pad->model_sha256;
  result->model.step = pad->model_step;
}

gboolean
seed_publish_pad_take_model (SeedPublishPad *pad, GstEvent *event)
{
  const char *name, *sha256;
  guint64 step;

  if (!seed_model_event_parse (event, &name, &sha256, &step))
    return FALSE;
  g_free (pad->model_name);
  g_free (pad->model_sha256);
  pad->model_name = g_strdup (name);
  pad->model_sha256 = g_strdup (sha256);
  pad->model_step = step;
  return TRUE;
}
