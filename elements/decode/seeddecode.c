/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-seeddecode
 * @title: seeddecode
 *
 * Plays any number of URIs and gives their frames, interleaved, on one pad. Every frame carries a
 * stream meta: the stream it is of, its number there, its time. A frame whose format differs from
 * that of the frame before it comes after a caps event. Times are running times of the stream.
 *
 * A stream that fails (a missing file, a lost camera) ends, with a warning on the bus; the others
 * go on. "seed-event" events on the pad say when a stream came up and went down, and why. The pad
 * ends when every stream has; if none gave a frame, that is an error.
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
#include "decode/uri.h"

GST_DEBUG_CATEGORY (seed_decode_debug);
#define GST_CAT_DEFAULT seed_decode_debug

#define DEFAULT_STREAM "stream"
#define DEFAULT_MAX_FPS 0.0
#define DEFAULT_DETERMINISTIC FALSE
#define MAX_MAX_FPS 100000.0
/* Enough to hide the hand-over between threads, little enough to keep memory and latency small. */
#define QUEUED_FRAMES 4

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

/* A GPtrArray of the streams that run now, each with a reference; may be empty. */
static GPtrArray *
ref_running (SeedDecode *self)
{
  GPtrArray *copy = g_ptr_array_new_with_free_func (gst_object_unref);

  GST_OBJECT_LOCK (self);
  for (guint i = 0; self->running && i < self->running->len; i++)
    g_ptr_array_add (copy, gst_object_ref (g_ptr_array_index (self->running, i)));
  GST_OBJECT_UNLOCK (self);
  return copy;
}

/* What the properties ask for. */
static GPtrArray *
read_specs (SeedDecode *self, GError **error)
{
  g_autofree char *uri = NULL, *stream = NULL, *streams = NULL;
  GPtrArray *specs;

  GST_OBJECT_LOCK (self);
  uri = g_strdup (self->uri);
  stream = g_strdup (self->stream);
  streams = g_strdup (self->streams);
  GST_OBJECT_UNLOCK (self);

  if ((uri != NULL) == (streams != NULL)) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
        uri ? "both uri and streams are set; set one of them"
            : "neither uri nor streams is set; set uri for one stream, streams for several");
    return NULL;
  }
  if (streams)
    return seed_stream_specs_parse (streams, error);
  if (!seed_stream_id_is_valid (stream)) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
        "stream \"%s\" is not a stream id; use 1 to 63 of a-z, 0-9 and -", stream ? stream : "");
    return NULL;
  }
  specs = g_ptr_array_new_with_free_func ((GDestroyNotify) seed_stream_spec_free);
  g_ptr_array_add (specs, seed_stream_spec_new (stream, uri, -1));
  return specs;
}

/* Before PAUSED by the schemes of the URIs, after it as the sources say. */
static gboolean
is_live (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = ref_running (self), specs = NULL;

  for (guint i = 0; i < running->len; i++) {
    if (seed_decode_stream_is_live (g_ptr_array_index (running, i)))
      return TRUE;
  }
  if (running->len > 0)
    return FALSE;
  specs = read_specs (self, NULL);
  for (guint i = 0; specs && i < specs->len; i++) {
    if (seed_uri_is_live (((SeedStreamSpec *) g_ptr_array_index (specs, i))->uri))
      return TRUE;
  }
  return FALSE;
}

static GstStructure *
make_stats (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = ref_running (self);
  g_autoptr (GstStructure) streams = gst_structure_new_empty ("streams");

  for (guint i = 0; i < running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (running, i);
    g_autoptr (GstStructure) one = seed_decode_stream_get_stats (stream);

    gst_structure_set (streams, seed_decode_stream_get_id (stream), GST_TYPE_STRUCTURE, one, NULL);
  }
  return gst_structure_new ("application/x-seed-stats", "live", G_TYPE_BOOLEAN, is_live (self),
      "streams", GST_TYPE_STRUCTURE, streams, NULL);
}

static void
seed_decode_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  SeedDecode *self = SEED_DECODE (object);

  switch (id) {
  case PROP_LIVE:
    g_value_set_boolean (value, is_live (self));
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

/* --- what happens to streams ------------------------------------------------------------------ */

static void
warn_of_failure (SeedDecode *self, SeedDecodeStream *stream, const char *reason, gboolean last)
{
  GST_ELEMENT_WARNING_WITH_DETAILS (self, STREAM, FAILED,
      ("%s: stream \"%s\" failed: %s%s", GST_OBJECT_NAME (self), seed_decode_stream_get_id (stream),
          reason, last ? "" : " (other streams go on)"),
      (NULL),
      ("stream", G_TYPE_STRING, seed_decode_stream_get_id (stream), "reason", G_TYPE_STRING, reason,
          NULL));
}

static guint64
count_kept (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = ref_running (self);
  guint64 n = 0;

  for (guint i = 0; i < running->len; i++)
    n += seed_decode_stream_get_kept (g_ptr_array_index (running, i));
  return n;
}

/* Takes a failed stream down: its sockets, threads and memory go now, not when the graph stops. */
static void
retire_stream (GstElement *element, gpointer stream)
{
  GST_STATE_LOCK (element);
  if (SEED_DECODE (element)->open)
    gst_element_set_state (stream, GST_STATE_NULL);
  GST_STATE_UNLOCK (element);
}

static void
on_stream_over (SeedDecodeStream *stream, gpointer data)
{
  SeedDecode *self = data;
  g_autofree char *reason = NULL;
  SeedDecodeState state = seed_decode_stream_get_state (stream, &reason);
  gboolean last = g_atomic_int_dec_and_test (&self->n_alive);

  /* The last one without a frame from any is the error that the task posts. */
  if (state == SEED_DECODE_FAILED && !(last && count_kept (self) == 0))
    warn_of_failure (self, stream, reason, last);
  gst_element_call_async (
      GST_ELEMENT (self), retire_stream, gst_object_ref (stream), gst_object_unref);
}

static void
restart_stream (GstElement *element, gpointer stream)
{
  GST_STATE_LOCK (element);
  if (SEED_DECODE (element)->open)
    seed_decode_stream_restart (stream);
  GST_STATE_UNLOCK (element);
}

static void
on_stream_again (SeedDecodeStream *stream, gpointer data)
{
  gst_element_call_async (
      GST_ELEMENT (data), restart_stream, gst_object_ref (stream), gst_object_unref);
}

/* --- the pad ---------------------------------------------------------------------------------- */

static gboolean
src_activate_mode (GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
  SeedDecode *self = SEED_DECODE (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active)
    return self->lanes && gst_pad_start_task (pad, seed_decode_push_loop, self, NULL);
  if (self->lanes)
    seed_lanes_stop (self->lanes);
  return gst_pad_stop_task (pad);
}

/* The streams end where they are; what they have decoded is still delivered, then comes EOS. */
static void
drain (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = ref_running (self);

  for (guint i = 0; i < running->len; i++)
    seed_decode_stream_end (g_ptr_array_index (running, i), "asked to end");
}

static gboolean
src_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  SeedDecode *self = SEED_DECODE (parent);
  g_autoptr (GPtrArray) running = ref_running (self);
  gboolean handled = TRUE;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_LATENCY:
    for (guint i = 0; i < running->len; i++)
      gst_pad_push_event (
          seed_decode_stream_peek_pad (g_ptr_array_index (running, i)), gst_event_ref (event));
    break;
  case GST_EVENT_RECONFIGURE:
    seed_outlet_reconfigure (self->outlet);
    break;
  default: /* several streams have no common position to seek to, nor one lateness to act on */
    handled = FALSE;
  }
  gst_event_unref (event);
  return handled;
}

static gboolean
seed_decode_send_event (GstElement *element, GstEvent *event)
{
  SeedDecode *self = SEED_DECODE (element);
  gboolean handled = TRUE, reset_time = TRUE;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_EOS: /* without the state lock: it may come from our own streaming thread */
    drain (self);
    break;
  case GST_EVENT_FLUSH_START:
  case GST_EVENT_FLUSH_STOP:
    GST_STATE_LOCK (element);
    handled = self->open;
    if (handled && GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START) {
      seed_decode_flush_start (self);
    } else if (handled) {
      gst_event_parse_flush_stop (event, &reset_time);
      seed_decode_flush_stop (self, reset_time);
    }
    GST_STATE_UNLOCK (element);
    break;
  case GST_EVENT_LATENCY:
    return src_event (self->src, GST_OBJECT (self), event);
  default:
    handled = FALSE;
  }
  gst_event_unref (event);
  return handled;
}

static void
answer_latency (SeedDecode *self, GstQuery *query)
{
  g_autoptr (GPtrArray) running = ref_running (self);
  GstClockTime min = 0, max = GST_CLOCK_TIME_NONE;
  gboolean live = FALSE;

  for (guint i = 0; i < running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (running, i);
    g_autoptr (GstQuery) one = gst_query_new_latency ();
    GstClockTime its_min, its_max;
    gboolean its_live;

    if (!gst_pad_peer_query (seed_decode_stream_peek_pad (stream), one))
      continue;
    gst_query_parse_latency (one, &its_live, &its_min, &its_max);
    if (!its_live)
      continue;
    live = TRUE;
    min = MAX (min, its_min);
    max = MIN (max, its_max);
  }
  gst_query_set_latency (query, live, min, MAX (min, max));
}

static gboolean
src_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  SeedDecode *self = SEED_DECODE (parent);
  GstFormat format;

  switch (GST_QUERY_TYPE (query)) {
  case GST_QUERY_LATENCY:
    answer_latency (self, query);
    return TRUE;
  case GST_QUERY_SEEKING:
    gst_query_parse_seeking (query, &format, NULL, NULL, NULL);
    gst_query_set_seeking (query, format, FALSE, 0, -1);
    return TRUE;
  default:
    return gst_pad_query_default (pad, parent, query);
  }
}

/* --- states ----------------------------------------------------------------------------------- */

static gboolean
configure (SeedDecode *self)
{
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&self->specs, g_ptr_array_unref);
  self->specs = read_specs (self, &error);
  if (!self->specs)
    GST_ELEMENT_ERROR (
        self, RESOURCE, SETTINGS, ("%s: %s", GST_OBJECT_NAME (self), error->message), (NULL));
  return self->specs != NULL;
}

static void
open_streams (SeedDecode *self)
{
  guint n = self->specs->len;
  g_autoptr (GPtrArray) running = g_ptr_array_new_full (n, gst_object_unref);
  SeedDecodeCallbacks callbacks = { on_stream_over, on_stream_again, self };
  gboolean in_turns;
  double max_fps;

  GST_OBJECT_LOCK (self);
  max_fps = self->max_fps;
  in_turns = self->deterministic;
  GST_OBJECT_UNLOCK (self);
  self->lanes = seed_lanes_new (n, QUEUED_FRAMES, in_turns);
  for (guint i = 0; i < n; i++) {
    SeedStreamSpec spec = *(SeedStreamSpec *) g_ptr_array_index (self->specs, i);
    SeedDecodeStream *stream;

    spec.max_fps = spec.max_fps < 0 ? max_fps : spec.max_fps;
    stream =
        seed_decode_stream_new (&spec, self->lanes, i, QUEUED_FRAMES, self->ledger, &callbacks);
    g_ptr_array_add (running, gst_object_ref_sink (stream));
    gst_bin_add (GST_BIN (self), GST_ELEMENT (stream));
  }
  GST_OBJECT_LOCK (self);
  self->running = g_steal_pointer (&running);
  GST_OBJECT_UNLOCK (self);
  g_atomic_int_set (&self->n_alive, (int) n);
  self->is_up = g_array_sized_new (FALSE, TRUE, sizeof (gboolean), n);
  g_array_set_size (self->is_up, n);
  seed_outlet_reset (self->outlet);
  self->is_over = FALSE;
  self->n_delivered = 0;
  self->open = TRUE;
}

/* After the pad was deactivated: the task is gone and nothing waits on the lanes any more. */
static void
close_streams (SeedDecode *self)
{
  GPtrArray *running = self->running;

  if (!self->open)
    return;
  self->open = FALSE;
  for (guint i = 0; i < running->len; i++)
    gst_element_set_state (g_ptr_array_index (running, i), GST_STATE_NULL);
  seed_decode_drop_queued (self);
  GST_OBJECT_LOCK (self);
  self->running = NULL;
  GST_OBJECT_UNLOCK (self);
  for (guint i = 0; i < running->len; i++)
    gst_bin_remove (GST_BIN (self), g_ptr_array_index (running, i));
  g_ptr_array_unref (running);
  g_clear_pointer (&self->lanes, seed_lanes_free);
  g_clear_pointer (&self->is_up, g_array_unref);
}

static void
set_streams_state (SeedDecode *self, GstState state)
{
  for (guint i = 0; i < self->running->len; i++) {
    GstElement *stream = g_ptr_array_index (self->running, i);

    if (seed_decode_stream_get_state (SEED_DECODE_STREAM (stream), NULL) >= SEED_DECODE_ENDED)
      continue;
    gst_element_set_base_time (stream, gst_element_get_base_time (GST_ELEMENT (self)));
    gst_element_set_start_time (stream, gst_element_get_start_time (GST_ELEMENT (self)));
    gst_element_set_state (stream, state); /* a failure has ended that stream, no more */
  }
}

/* GstBin's own change_state is left out on purpose: it would make the bin fail, and wait, with the
 * first stream that does. Streams are taken from state to state here, each for itself. */
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
    open_streams (self);

  ret = change_own_state (element, transition);

  switch (transition) {
  case GST_STATE_CHANGE_READY_TO_PAUSED:
    if (ret == GST_STATE_CHANGE_FAILURE)
      close_streams (self);
    else
      set_streams_state (self, GST_STATE_PAUSED);
    break;
  case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
    set_streams_state (self, GST_STATE_PLAYING);
    break;
  case GST_STATE_CHANGE_PLAYING_TO_PAUSED:
    set_streams_state (self, GST_STATE_PAUSED);
    break;
  case GST_STATE_CHANGE_PAUSED_TO_READY:
    close_streams (self);
    break;
  default:
    break;
  }
  if (ret == GST_STATE_CHANGE_SUCCESS &&
      GST_STATE_TRANSITION_NEXT (transition) == GST_STATE_PAUSED && is_live (self))
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
          "Several streams: stream, id=ID, uri=\"URI\"[, max-fps=N][, loop=true][, passes=N]; "
          "stream, ...",
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
          "live; streams: for each its state, frames decoded, passes, decode-errors, reason, caps",
          GST_TYPE_STRUCTURE, readable));
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
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED decode", "Source/Decoder/Video/Bin",
      "Frames of one or several URIs, interleaved, with stream identity", "SEED");
}

static void
seed_decode_init (SeedDecode *self)
{
  self->ledger = seed_ledger_new ();
  self->stream = g_strdup (DEFAULT_STREAM);
  self->max_fps = DEFAULT_MAX_FPS;
  self->deterministic = DEFAULT_DETERMINISTIC;
  GST_OBJECT_FLAG_SET (self, GST_ELEMENT_FLAG_SOURCE);
  gst_bin_set_suppressed_flags (GST_BIN (self), GST_ELEMENT_FLAG_SOURCE | GST_ELEMENT_FLAG_SINK);

  self->src = gst_pad_new_from_static_template (&src_template, "src");
  self->outlet = seed_outlet_new (self->src);
  gst_pad_set_activatemode_function (self->src, src_activate_mode);
  gst_pad_set_event_function (self->src, src_event);
  gst_pad_set_query_function (self->src, src_query);
  gst_pad_use_fixed_caps (self->src);
  gst_element_add_pad (GST_ELEMENT (self), self->src);
}
