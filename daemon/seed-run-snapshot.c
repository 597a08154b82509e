/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <gst/video/video.h>
#include <seed/stream-meta.h>

#include "seed-run.h"

#define WAIT_SECONDS 5 /* for a frame */
#define ENCODE_NS (5 * GST_SECOND)
#define DEFAULT_WIDTH 1280
#define MIN_WIDTH 16
#define MAX_WIDTH 7680
/* What a message takes besides the picture, and what base64 makes of it. */
#define MAX_JPEG ((SEED_RPC_MAX_BYTES - 4096) / 4 * 3)

typedef struct {
  GstPad *pad;
  gulong id;
} Probe;

/* Shared by the main loop, which waits, and the probes in streaming threads, which look. */
typedef struct {
  gint refs;
  SeedRunRequest *request;
  char *stream;
  gint64 width;
  GArray *probes;
  guint timeout;

  GMutex lock;
  gboolean done;
  GstSample *sample;
  SeedStreamMeta meta; /* of the frame; stream "" when it has none */
} Snapshot;

typedef struct {
  Snapshot *snapshot;
  char *node;
} Looker;

static void
snapshot_unref (Snapshot *snapshot)
{
  if (!g_atomic_int_dec_and_test (&snapshot->refs))
    return;
  g_clear_pointer (&snapshot->sample, gst_sample_unref);
  g_array_unref (snapshot->probes);
  g_mutex_clear (&snapshot->lock);
  g_free (snapshot->stream);
  g_free (snapshot);
}

static void
looker_free (gpointer data)
{
  Looker *looker = data;

  snapshot_unref (looker->snapshot);
  g_free (looker->node);
  g_free (looker);
}

static void
remove_probes (Snapshot *snapshot)
{
  for (guint i = 0; i < snapshot->probes->len; i++) {
    Probe *probe = &g_array_index (snapshot->probes, Probe, i);

    gst_pad_remove_probe (probe->pad, probe->id);
    gst_object_unref (probe->pad);
  }
  g_array_set_size (snapshot->probes, 0);
}

/* ---- the picture ---- */

static GstSample *
encode (GstSample *sample, gint64 width, GError **error)
{
  g_autoptr (GstCaps) caps = gst_caps_new_empty_simple ("image/jpeg");
  GstVideoInfo info;

  if (gst_video_info_from_caps (&info, gst_sample_get_caps (sample)) && info.width > width)
    gst_caps_set_simple (caps, "width", G_TYPE_INT, (int) width, "height", G_TYPE_INT,
        (int) MAX ((gint64) info.height * width / info.width, 1), NULL);
  return gst_video_convert_sample (sample, caps, ENCODE_NS, error);
}

static void
set_number (JsonObject *object, const char *name, guint64 number)
{
  if (number <= G_MAXINT64)
    json_object_set_int_member (object, name, (gint64) number);
  else
    json_object_set_null_member (object, name);
}

static JsonNode *
describe (const Snapshot *snapshot, GstSample *jpeg, const GstMapInfo *map)
{
  g_autoptr (JsonObject) object = json_object_new ();
  const GstStructure *s = gst_caps_get_structure (gst_sample_get_caps (jpeg), 0);
  g_autofree char *text = g_base64_encode (map->data, map->size);
  int width = 0, height = 0;

  gst_structure_get_int (s, "width", &width);
  gst_structure_get_int (s, "height", &height);
  json_object_set_string_member (object, "stream", snapshot->stream);
  set_number (object, "frame", *snapshot->meta.stream ? snapshot->meta.frame : G_MAXUINT64);
  set_number (object, "pts_ns",
      *snapshot->meta.stream ? snapshot->meta.pts
                             : GST_BUFFER_PTS (gst_sample_get_buffer (snapshot->sample)));
  set_number (object, "capture_ns",
      *snapshot->meta.stream ? (guint64) snapshot->meta.capture_ns : G_MAXUINT64);
  json_object_set_int_member (object, "width", width);
  json_object_set_int_member (object, "height", height);
  json_object_set_string_member (object, "jpeg", text);
  return json_node_init_object (json_node_alloc (), object);
}

/* In a thread of its own: the graph goes on meanwhile. A picture too large for a message is made
 * smaller. */
static gpointer
deliver (gpointer data)
{
  Snapshot *snapshot = data;
  g_autoptr (GError) error = NULL;
  JsonNode *result = NULL;

  for (gint64 width = snapshot->width; !result && width >= MIN_WIDTH; width /= 2) {
    g_autoptr (GstSample) jpeg = encode (snapshot->sample, width, &error);
    GstMapInfo map;

    if (!jpeg)
      break;
    if (!gst_buffer_map (gst_sample_get_buffer (jpeg), &map, GST_MAP_READ))
      break;
    if (map.size <= MAX_JPEG)
      result = describe (snapshot, jpeg, &map);
    gst_buffer_unmap (gst_sample_get_buffer (jpeg), &map);
  }
  if (result) {
    seed_run_request_reply (snapshot->request, result);
  } else {
    g_autofree char *text = g_strdup_printf (
        "the frame cannot be made a JPEG: %s", error ? error->message : "it cannot be read");

    seed_run_request_fail (
        snapshot->request, &(GError){ SEED_RPC_ERROR, SEED_RPC_ERROR_REFUSED, text });
  }
  snapshot_unref (snapshot);
  return NULL;
}

/* ---- waiting for it ---- */

static gboolean
on_frame (gpointer data)
{
  Snapshot *snapshot = data;

  if (snapshot->timeout)
    g_source_remove (snapshot->timeout);
  remove_probes (snapshot);
  g_thread_unref (g_thread_new ("snapshot", deliver, snapshot));
  return G_SOURCE_REMOVE;
}

static gboolean
on_timeout (gpointer data)
{
  Snapshot *snapshot = data;
  g_autofree char *text = NULL;
  gboolean done;

  snapshot->timeout = 0;
  g_mutex_lock (&snapshot->lock);
  done = snapshot->done;
  snapshot->done = TRUE;
  g_mutex_unlock (&snapshot->lock);
  if (done)
    return G_SOURCE_REMOVE; /* on_frame is on its way */
  remove_probes (snapshot);
  text = g_strdup_printf ("no frame of stream '%s' within %d s", snapshot->stream, WAIT_SECONDS);
  seed_run_request_fail (
      snapshot->request, &(GError){ SEED_RPC_ERROR, SEED_RPC_ERROR_NO_GRAPH, text });
  snapshot_unref (snapshot);
  return G_SOURCE_REMOVE;
}

/* A frame knows its stream; one of an element that marks none belongs to a stream called after the
 * node. */
static gboolean
is_wanted (const Looker *looker, GstBuffer *buffer, SeedStreamMeta *found)
{
  gpointer state = NULL;
  const SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);
  const char *stream = meta && strcmp (meta->stream, "-") != 0 ? meta->stream : looker->node;

  memset (found, 0, sizeof *found);
  if (meta)
    *found = *meta;
  return strcmp (stream, looker->snapshot->stream) == 0;
}

static GstPadProbeReturn
look (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  const Looker *looker = data;
  Snapshot *snapshot = looker->snapshot;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  SeedStreamMeta meta;

  if (!caps || !gst_structure_has_name (gst_caps_get_structure (caps, 0), "video/x-raw") ||
      !is_wanted (looker, buffer, &meta))
    return GST_PAD_PROBE_OK;
  g_mutex_lock (&snapshot->lock);
  if (!snapshot->done) {
    snapshot->done = TRUE;
    snapshot->meta = meta;
    snapshot->sample = gst_sample_new (buffer, caps, NULL, NULL);
    g_idle_add_full (G_PRIORITY_DEFAULT, on_frame, snapshot, NULL);
  }
  g_mutex_unlock (&snapshot->lock);
  return GST_PAD_PROBE_OK;
}

static gboolean
add_probe (GstElement *element, GstPad *pad, gpointer data)
{
  Snapshot *snapshot = data;
  Looker *looker = g_new0 (Looker, 1);
  Probe probe = { .pad = gst_object_ref (pad) };

  g_atomic_int_inc (&snapshot->refs);
  looker->snapshot = snapshot;
  looker->node = gst_element_get_name (element);
  probe.id = gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, look, looker, looker_free);
  g_array_append_val (snapshot->probes, probe);
  return TRUE;
}

void
seed_run_snapshot (SeedRun *run, SeedRunRequest *request)
{
  static const char *const known[] = { "stream", "width", NULL };
  JsonObject *params = request->message.params;
  g_autoptr (GError) error = NULL;
  gint64 width = DEFAULT_WIDTH;
  const char *stream = NULL;
  Snapshot *snapshot;

  if (!seed_rpc_check_params (params, known, &error) ||
      !(stream = seed_rpc_get_text (params, "stream", TRUE, &error)) ||
      !seed_rpc_get_int (params, "width", MIN_WIDTH, MAX_WIDTH, &width, &error)) {
    seed_run_request_fail (request, error);
    return;
  }
  snapshot = g_new0 (Snapshot, 1);
  snapshot->refs = 1;
  snapshot->request = request;
  snapshot->stream = g_strdup (stream);
  snapshot->width = width;
  snapshot->probes = g_array_new (FALSE, TRUE, sizeof (Probe));
  g_mutex_init (&snapshot->lock);
  snapshot->timeout = g_timeout_add_seconds (WAIT_SECONDS, on_timeout, snapshot);
  for (guint i = 0; i < run->pipeline->stages->len; i++) {
    const SeedPipelineStage *stage = &g_array_index (run->pipeline->stages, SeedPipelineStage, i);

    if (stage->node->inputs->len == 0)
      gst_element_foreach_src_pad (stage->element, add_probe, snapshot);
  }
}
