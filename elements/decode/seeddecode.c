/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-seeddecode
 * @title: seeddecode
 *
 * Plays any number of URIs and gives their frames, interleaved, on one pad. Every frame carries a
 * stream meta: the stream it is of, its number there, its time. A frame whose format differs from
 * that of the frame before it comes after a caps event. Times are running times of the stream.
 *
 * A stream that fails never disturbs the others. A camera or a server that is lost is connected to
 * again until it is back; a file that cannot be read ends, unless it is told to reconnect. A
 * warning on the bus says so once a bad spell. "seed-event" events on the pad say when a stream
 * came up and went down, and why. The pad ends when every stream has; if none gave a frame, that is
 * an error. Streams that reconnect never end by themselves, and removing the last one ends nothing.
 *
 * |[
 * gst-launch-1.0 seeddecode uri=file:///srv/clip.mp4 max-fps=5 ! videoconvert ! autovideosink
 * ]|
 * |[
 * gst-launch-1.0 seeddecode deterministic=true \
 *   streams='stream, id=a, uri="file:///srv/a.mp4"; stream, id=b, uri="rtsp://127.0.0.1/b"' !
 * fakesink
 * ]|
 *
 * Since: 0.1
 */
#include <gst/gst.h>

#include "decode/internal.h"

GST_DEBUG_CATEGORY (seed_decode_debug);
#define GST_CAT_DEFAULT seed_decode_debug

#define DEFAULT_STREAM "stream"
#define DEFAULT_MAX_FPS 0.0
#define DEFAULT_DETERMINISTIC FALSE
#define MAX_MAX_FPS 100000.0

enum {
  PROP_0,
  PROP_URI,
  PROP_STREAM,
  PROP_STREAMS,
  PROP_MAX_FPS,
  PROP_DETERMINISTIC,
  PROP_LIVE,
  PROP_LEDGER,
  PROP_STATS,
};

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_DECODE_CAPS));

G_DEFINE_TYPE (SeedDecode, seed_decode, GST_TYPE_BIN)
GST_ELEMENT_REGISTER_DECLARE (seeddecode)
GST_ELEMENT_REGISTER_DEFINE (seeddecode, "seeddecode", GST_RANK_NONE, SEED_TYPE_DECODE)

static void
seed_decode_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  SeedDecode *self = SEED_DECODE (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_URI:
    g_free (self->uri);
    self->uri = g_value_dup_string (value);
    break;
  case PROP_STREAM:
    g_free (self->stream);
    self->stream = g_value_dup_string (value);
    break;
  case PROP_STREAMS:
    g_free (self->streams);
    self->streams = g_value_dup_string (value);
    break;
  case PROP_MAX_FPS:
    self->max_fps = g_value_get_double (value);
    break;
  case PROP_DETERMINISTIC:
    self->deterministic = g_value_get_boolean (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static GstStructure *
make_stats (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = seed_decode_ref_running (self);
  g_autoptr (GstStructure) streams = gst_structure_new_empty ("streams");
  guint n_up = 0;

  for (guint i = 0; i < running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (running, i);
    g_autoptr (GstStructure) one = seed_decode_stream_get_stats (stream);

    n_up += g_str_equal (gst_structure_get_string (one, "state"), "up");
    gst_structure_set (streams, seed_decode_stream_get_id (stream), GST_TYPE_STRUCTURE, one, NULL);
  }
  return gst_structure_new ("application/x-seed-stats", "live", G_TYPE_BOOLEAN,
      seed_decode_is_live (self), "streams-up", G_TYPE_UINT, n_up, "streams", GST_TYPE_STRUCTURE,
      streams, NULL);
}

static void
seed_decode_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  SeedDecode *self = SEED_DECODE (object);

  switch (id) {
  case PROP_LIVE:
    g_value_set_boolean (value, seed_decode_is_live (self));
    return;
  case PROP_LEDGER:
    g_value_set_boxed (value, self->ledger);
    return;
  case PROP_STATS:
    g_value_take_boxed (value, make_stats (self));
    return;
  default:
    break;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_URI:
    g_value_set_string (value, self->uri);
    break;
  case PROP_STREAM:
    g_value_set_string (value, self->stream);
    break;
  case PROP_STREAMS:
    g_value_set_string (value, self->streams);
    break;
  case PROP_MAX_FPS:
    g_value_set_double (value, self->max_fps);
    break;
  case PROP_DETERMINISTIC:
    g_value_set_boolean (value, self->deterministic);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

/* --- states ----------------------------------------------------------------------------------- */

/* Takes @specs. */
static void
set_specs (SeedDecode *self, GPtrArray *specs)
{
  g_mutex_lock (&self->control);
  g_clear_pointer (&self->specs, g_ptr_array_unref);
  self->specs = specs;
  g_mutex_unlock (&self->control);
}

static gboolean
configure (SeedDecode *self)
{
  g_autoptr (GError) error = NULL;

  GPtrArray *specs = seed_decode_read_specs (self, &error);

  if (!specs)
    GST_ELEMENT_ERROR (
        self, RESOURCE, SETTINGS, ("%s: %s", GST_OBJECT_NAME (self), error->message), (NULL));
  set_specs (self, specs);
  return specs != NULL;
}

/* GstBin's own change_state is left out on purpose: it would make the bin fail, and wait, with the
 * first stream that does. Streams go from state to state each for itself, in threads of their own.
 */
static GstStateChangeReturn
change_own_state (GstElement *element, GstStateChange transition)
{
  g_autoptr (GTypeClass) klass = g_type_class_ref (GST_TYPE_ELEMENT);

  return ((GstElementClass *) klass)->change_state (element, transition);
}

static GstStateChangeReturn
seed_decode_change_state (GstElement *element, GstStateChange transition)
{
  SeedDecode *self = SEED_DECODE (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !configure (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    seed_decode_open_streams (self);

  ret = change_own_state (element, transition);

  switch (transition) {
  case GST_STATE_CHANGE_READY_TO_PAUSED:
    if (ret == GST_STATE_CHANGE_FAILURE)
      seed_decode_close_streams (self);
    break;
  case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
    seed_decode_set_streams_state (self, GST_STATE_PLAYING);
    break;
  case GST_STATE_CHANGE_PLAYING_TO_PAUSED:
    seed_decode_set_streams_state (self, GST_STATE_PAUSED);
    break;
  case GST_STATE_CHANGE_PAUSED_TO_READY:
    seed_decode_close_streams (self);
    break;
  case GST_STATE_CHANGE_READY_TO_NULL:
    set_specs (self, NULL);
    break;
  default:
    break;
  }
  if (ret == GST_STATE_CHANGE_SUCCESS &&
      GST_STATE_TRANSITION_NEXT (transition) == GST_STATE_PAUSED && seed_decode_is_live (self))
    return GST_STATE_CHANGE_NO_PREROLL;
  return ret;
}

/* --- class ------------------------------------------------------------------------------------ */

static void
seed_decode_finalize (GObject *object)
{
  SeedDecode *self = SEED_DECODE (object);

  g_free (self->uri);
  g_free (self->stream);
  g_free (self->streams);
  g_clear_pointer (&self->specs, g_ptr_array_unref);
  seed_outlet_free (self->outlet);
  seed_ledger_unref (self->ledger);
  g_mutex_clear (&self->control);
  g_mutex_clear (&self->minder_lock);
  g_cond_clear (&self->minder_cond);
  G_OBJECT_CLASS (seed_decode_parent_class)->finalize (object);
}

static void
install_properties (GObjectClass *klass)
{
  const GParamFlags settable = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  g_object_class_install_property (klass, PROP_URI,
      g_param_spec_string ("uri", "URI",
          "URI of the one stream to decode: file://, rtsp://, ... (several: see streams)", NULL,
          settable));
  g_object_class_install_property (klass, PROP_STREAM,
      g_param_spec_string ("stream", "Stream",
          "Id of the stream that uri names: 1 to 63 of a-z, 0-9 and -", DEFAULT_STREAM, settable));
  g_object_class_install_property (klass, PROP_STREAMS,
      g_param_spec_string ("streams", "Streams",
          "Several streams: stream, id=ID, uri=\"URI\"[, max-fps=N][, loop=true][, passes=N]"
          "[, live=true][, reconnect=true][, retry-min-ms=500][, retry-max-ms=2000]"
          "[, stall-ms=5000][, connect-ms=10000]; stream, ...",
          NULL, settable));
  g_object_class_install_property (klass, PROP_MAX_FPS,
      g_param_spec_double ("max-fps", "Maximum frame rate",
          "Frames a second of a stream's own time to keep, of every stream that does not say; "
          "0 keeps all",
          0, MAX_MAX_FPS, DEFAULT_MAX_FPS, settable));
  g_object_class_install_property (klass, PROP_DETERMINISTIC,
      g_param_spec_boolean ("deterministic", "Deterministic",
          "Take one frame of each stream in turn, waiting for it, instead of in order of arrival",
          DEFAULT_DETERMINISTIC, settable));
  g_object_class_install_property (klass, PROP_LIVE,
      g_param_spec_boolean ("live", "Live",
          "Whether any stream is live: by its URI at first, as its source says from PAUSED on",
          FALSE, readable));
  g_object_class_install_property (klass, PROP_LEDGER,
      g_param_spec_boxed ("ledger", "Ledger",
          "Frames in, out and dropped, per stream; busy is the decoding thread's time for a frame",
          SEED_TYPE_LEDGER, readable));
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "live, streams-up; streams: for each its state (connecting, up, stalled, backing-off, "
          "ended), failed, live, reconnect, attempts since it was last up, retry-in-ms, outages, "
          "last-error, "
          "age-ms of its last frame and uptime-ms (-1: none), fps-in and fps-out (decoded, "
          "delivered), codec, size, caps, frames, passes (sessions), decode-errors, capture-clock "
          "(source or arrival), reason",
          GST_TYPE_STRUCTURE, readable));
}

/* seedctl and the control plane of a daemon call these. */
static void
install_actions (GObjectClass *klass)
{
  const GSignalFlags flags = G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION;
  GType type = G_TYPE_FROM_CLASS (klass);

  /**
   * SeedDecode::add-stream:
   * @name: of the stream: 1 to 63 of a-z, 0-9 and -
   * @uri: of its source
   * @options: (nullable): a structure with any of the fields of the property streams
   *
   * Adds a stream to the running element; "stream-up" says when it is there.
   *
   * Returns: (transfer full) (nullable): NULL when done, else why not: a GError
   */
  g_signal_new_class_handler ("add-stream", type, flags, G_CALLBACK (seed_decode_add_stream), NULL,
      NULL, NULL, G_TYPE_ERROR, 3, G_TYPE_STRING, G_TYPE_STRING, GST_TYPE_STRUCTURE);
  /**
   * SeedDecode::remove-stream:
   * @name: of the stream
   *
   * Ends a stream: what it has decoded is still delivered, then comes "stream-down", then its name
   * is free. The element goes on even without any stream.
   *
   * Returns: (transfer full) (nullable): NULL when done, else why not: a GError
   */
  g_signal_new_class_handler ("remove-stream", type, flags, G_CALLBACK (seed_decode_remove_stream),
      NULL, NULL, NULL, G_TYPE_ERROR, 1, G_TYPE_STRING);
  /**
   * SeedDecode::snapshot:
   * @name: of the stream
   *
   * Returns: (transfer full) (nullable): the frame of the stream that was delivered last, a
   * GstSample with caps and an info structure "frame" (stream, frame, pts, capture-ns); NULL when
   * there is none. Also while the stream is down.
   */
  g_signal_new_class_handler ("snapshot", type, flags, G_CALLBACK (seed_decode_snapshot), NULL,
      NULL, NULL, GST_TYPE_SAMPLE, 1, G_TYPE_STRING);
}

static void
seed_decode_class_init (SeedDecodeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (seed_decode_debug, "seeddecode", 0, "SEED decode");
  object_class->set_property = seed_decode_set_property;
  object_class->get_property = seed_decode_get_property;
  object_class->finalize = seed_decode_finalize;
  install_properties (object_class);
  element_class->change_state = GST_DEBUG_FUNCPTR (seed_decode_change_state);
  element_class->send_event = GST_DEBUG_FUNCPTR (seed_decode_send_event);
  install_actions (object_class);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED decode", "Source/Decoder/Video/Bin",
      "Frames of one or several URIs, interleaved, with stream identity", "SEED");
}

static void
seed_decode_init (SeedDecode *self)
{
  self->ledger = seed_ledger_new ();
  g_mutex_init (&self->control);
  g_mutex_init (&self->minder_lock);
  g_cond_init (&self->minder_cond);
  self->stream = g_strdup (DEFAULT_STREAM);
  self->max_fps = DEFAULT_MAX_FPS;
  self->deterministic = DEFAULT_DETERMINISTIC;
  GST_OBJECT_FLAG_SET (self, GST_ELEMENT_FLAG_SOURCE);
  gst_bin_set_suppressed_flags (GST_BIN (self), GST_ELEMENT_FLAG_SOURCE | GST_ELEMENT_FLAG_SINK);

  seed_decode_init_pad (self);
}
