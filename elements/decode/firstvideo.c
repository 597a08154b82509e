/* SPDX-License-Identifier: MIT */
#include "decode/firstvideo.h"

#include <string.h>

/* GstAutoplugSelectResult, which the playback plugin keeps to itself */
enum { AUTOPLUG_TRY, AUTOPLUG_EXPOSE };

/* see hold_until_adopted: a second at most */
#define HOLD_US 100
#define MAX_HOLDS 10000

/* Which stream is the first one. */
typedef struct {
  GMutex lock;
  gboolean taken;
  char *id;
} Claim;

static void
claim_free (gpointer data, GClosure *closure)
{
  Claim *claim = data;

  g_free (claim->id);
  g_mutex_clear (&claim->lock);
  g_free (claim);
}

static gboolean
klass_has (GstElementFactory *factory, const char *word)
{
  const char *klass = gst_element_factory_get_metadata (factory, GST_ELEMENT_METADATA_KLASS);

  return klass && strstr (klass, word);
}

/* Only the first video stream is decoded: everything else is exposed as it is and left unlinked. */
static int
on_autoplug_select (
    GstElement *decoder, GstPad *pad, GstCaps *caps, GstElementFactory *factory, Claim *claim)
{
  g_autofree char *id = NULL;
  gboolean ours;

  if (!klass_has (factory, "Decoder") && !klass_has (factory, "Parser"))
    return AUTOPLUG_TRY;
  if (klass_has (factory, "Audio") || klass_has (factory, "Subtitle"))
    return AUTOPLUG_EXPOSE;
  if (!klass_has (factory, "Video") && !klass_has (factory, "Image"))
    return AUTOPLUG_TRY;
  id = gst_pad_get_stream_id (pad);
  g_mutex_lock (&claim->lock);
  if (!claim->taken) {
    claim->taken = TRUE;
    claim->id = g_strdup (id);
  }
  ours = g_strcmp0 (claim->id, id) == 0;
  g_mutex_unlock (&claim->lock);
  return ours ? AUTOPLUG_TRY : AUTOPLUG_EXPOSE;
}

/* Before its pad is linked a decoder asks what it may give: frames in memory that can be mapped. */
static gboolean
on_autoplug_query (
    GstElement *decoder, GstPad *pad, GstElement *element, GstQuery *query, Claim *claim)
{
  GstElementFactory *factory = gst_element_get_factory (element);
  g_autoptr (GstCaps) caps = NULL;
  GstCaps *filter;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CAPS || !factory || !klass_has (factory, "Decoder") ||
      !(klass_has (factory, "Video") || klass_has (factory, "Image")))
    return FALSE;
  gst_query_parse_caps (query, &filter);
  caps = gst_caps_new_empty_simple ("video/x-raw");
  if (filter)
    gst_caps_take (&caps, gst_caps_intersect_full (filter, caps, GST_CAPS_INTERSECT_FIRST));
  gst_query_set_caps_result (query, caps);
  return TRUE;
}

/* decodebin silences an element while it tries it, and forgets what the element says between the
 * start of its task and the end of the trial: a demuxer that gives up at once on a broken file
 * would be waited for for ever. So a task's first read waits for the end of the trial, which is
 * when decodebin unlocks the element's state, some microseconds later. */
static GstPadProbeReturn
hold_until_adopted (GstPad *pad, GstPadProbeInfo *info, gpointer trier)
{
  g_autoptr (GstElement) element = gst_pad_get_parent_element (pad);

  for (guint i = 0; element && g_thread_self () != trier && i < MAX_HOLDS; i++) {
    if (!gst_element_is_locked_state (element))
      break;
    g_usleep (HOLD_US);
  }
  return GST_PAD_PROBE_REMOVE;
}

/* Rendering straight into buffers of the pipeline, libav's decoders since GStreamer 1.24 at times
 * hand out a frame of the coded size (864x480 for 854x480, when their threads are slow), and end
 * the process when they notice. A copy of a frame costs little beside its decoding. */
static void
avoid_direct_rendering (GstElement *element)
{
  guint major, minor, micro, nano;

  gst_version (&major, &minor, &micro, &nano);
  if ((major > 1 || minor >= 24) &&
      g_object_class_find_property (G_OBJECT_GET_CLASS (element), "direct-rendering"))
    g_object_set (element, "direct-rendering", FALSE, NULL);
}

static void
on_deep_element_added (GstBin *bin, GstBin *sub_bin, GstElement *element, gpointer unused)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (element, "sink");

  avoid_direct_rendering (element);
  if (sink && gst_element_is_locked_state (element))
    gst_pad_add_probe (sink, GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_PULL, hold_until_adopted,
        g_thread_self (), NULL);
}

GstElement *
seed_first_video_new (const char *uri)
{
  GstElement *decoder = gst_element_factory_make ("uridecodebin", NULL);
  Claim *claim;

  if (!decoder)
    return NULL;
  claim = g_new0 (Claim, 1);
  g_mutex_init (&claim->lock);
  g_object_set (decoder, "uri", uri, NULL);
  g_signal_connect_data (
      decoder, "autoplug-select", G_CALLBACK (on_autoplug_select), claim, claim_free, 0);
  g_signal_connect (decoder, "autoplug-query", G_CALLBACK (on_autoplug_query), NULL);
  g_signal_connect (decoder, "deep-element-added", G_CALLBACK (on_deep_element_added), NULL);
  return decoder;
}
