/* SPDX-License-Identifier: MIT */
#include "decode/session.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <gst/video/video.h>

#include "decode/cause.h"
#include "decode/firstvideo.h"
#include "decode/sender-report.h"

GST_DEBUG_CATEGORY_EXTERN (seed_decode_debug);
#define GST_CAT_DEFAULT seed_decode_debug

#define MAX_TAKE_DOWN 3
#define REST_US 1000
#define MAX_RESTS 1000

struct _SeedDecodeSession {
  GstBin parent;

  char *uri;
  guint n_queued;
  gint64 connect_ms;
  SeedSessionCallbacks callbacks;

  GstElement *decoder, *convert; /* owned by the bin */
  GstPad *frames; /* where decoded frames arrive; inside, not one of the bin's pads */

  /* the streaming thread's */
  GstSegment segment;
  GstCaps *caps;

  GMutex jobs;        /* held while the state is changed, which can take long */
  GstState done;      /* under jobs: the state that it was last taken to */
  gboolean is_closed; /* under jobs */

  GMutex lock;
  GstState wanted;
  gboolean is_closing; /* what it complains of is of no interest */
  char *missing;       /* description of a decoder that is not installed */
  gboolean knows_sender_clock;
  gint64 sender_offset_ns; /* from running time to the sender's clock */
};

G_DEFINE_TYPE (SeedDecodeSession, seed_decode_session, GST_TYPE_BIN)

static GstStaticPadTemplate frames_template = GST_STATIC_PAD_TEMPLATE (
    "frames", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_DECODE_CAPS));

static gboolean
is_closing (SeedDecodeSession *self)
{
  gboolean closing;

  g_mutex_lock (&self->lock);
  closing = self->is_closing;
  g_mutex_unlock (&self->lock);
  return closing;
}

static void
fail (SeedDecodeSession *self, SeedStreamInput how, const char *reason)
{
  if (is_closing (self))
    return;
  GST_INFO_OBJECT (self, "failed: %s", reason);
  self->callbacks.failed (self, how, reason, self->callbacks.data);
}

/* --- frames ----------------------------------------------------------------------------------- */

static GstPadProbeReturn
on_decoded (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  SeedDecodeSession *self = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);

  return self->callbacks.decoded (self, buffer, self->callbacks.data) ? GST_PAD_PROBE_OK
                                                                      : GST_PAD_PROBE_DROP;
}

static GstFlowReturn
frames_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  SeedDecodeSession *self = SEED_DECODE_SESSION (parent);
  GstClockTime running =
      gst_segment_to_running_time (&self->segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));

  return self->callbacks.frame (self, buffer, self->caps, running, self->callbacks.data);
}

/* Neither a length in time nor one in bytes: a sender, not a file. */
static gboolean
is_endless (SeedDecodeSession *self)
{
  gint64 length;

  return !(gst_pad_peer_query_duration (self->frames, GST_FORMAT_TIME, &length) && length > 0) &&
         !(gst_pad_peer_query_duration (self->frames, GST_FORMAT_BYTES, &length) && length > 0);
}

static gboolean
is_video_decoder (GstElement *element)
{
  GstElementFactory *factory = gst_element_get_factory (element);

  return factory &&
         gst_element_factory_list_is_type (factory, GST_ELEMENT_FACTORY_TYPE_DECODER |
                                                        GST_ELEMENT_FACTORY_TYPE_MEDIA_VIDEO |
                                                        GST_ELEMENT_FACTORY_TYPE_MEDIA_IMAGE) &&
         !GST_IS_BIN (element);
}

/* "h264" of video/x-h264; what is not decoded is "raw". Free with g_free. */
static char *
find_codec (SeedDecodeSession *self)
{
  g_autoptr (GstIterator) elements = gst_bin_iterate_recurse (GST_BIN (self));
  g_auto (GValue) value = G_VALUE_INIT;
  char *codec = NULL;

  while (!codec && gst_iterator_next (elements, &value) == GST_ITERATOR_OK) {
    GstElement *element = g_value_get_object (&value);
    g_autoptr (GstPad) sink = gst_element_get_static_pad (element, "sink");
    g_autoptr (GstCaps) caps = sink ? gst_pad_get_current_caps (sink) : NULL;

    if (caps && is_video_decoder (element)) {
      const char *name = gst_structure_get_name (gst_caps_get_structure (caps, 0));

      name = strchr (name, '/') ? strchr (name, '/') + 1 : name;
      codec = g_strdup (g_str_has_prefix (name, "x-") ? name + 2 : name);
    }
    g_value_reset (&value);
  }
  return codec ? codec : g_strdup ("raw");
}

static void
take_caps (SeedDecodeSession *self, GstEvent *event)
{
  g_autofree char *codec = find_codec (self);
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  gst_caps_replace (&self->caps, caps);
  self->callbacks.codec (self, codec, self->callbacks.data);
}

static gboolean
frames_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  SeedDecodeSession *self = SEED_DECODE_SESSION (parent);

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_CAPS:
    take_caps (self, event);
    break;
  case GST_EVENT_SEGMENT:
    gst_event_copy_segment (event, &self->segment);
    break;
  case GST_EVENT_EOS:
    if (!is_closing (self))
      self->callbacks.ended (self, is_endless (self), self->callbacks.data);
    break;
  default: /* the owner's pad has its own stream, segment and flushes */
    break;
  }
  gst_event_unref (event);
  return TRUE;
}

static gboolean
frames_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  SeedDecodeSession *self = SEED_DECODE_SESSION (parent);
  GstVideoInfo info;
  GstCaps *caps;

  if (GST_QUERY_TYPE (query) != GST_QUERY_ALLOCATION)
    return gst_pad_query_default (pad, parent, query);
  gst_query_parse_allocation (query, &caps, NULL);
  if (!caps || !gst_video_info_from_caps (&info, caps))
    return FALSE;
  /* The decoder may keep its own strides; the owner copies where a later stage cannot read them. */
  gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
  gst_query_add_allocation_pool (query, NULL, (guint) info.size, self->n_queued + 2, 0);
  return TRUE;
}

/* --- inside ----------------------------------------------------------------------------------- */

static void
on_pad_added (GstElement *decoder, GstPad *pad, SeedDecodeSession *self)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  g_autoptr (GstPad) sink = gst_element_get_static_pad (self->convert, "sink");

  if (!caps)
    caps = gst_pad_query_caps (pad, NULL);
  GST_DEBUG_OBJECT (self, "new pad with %" GST_PTR_FORMAT, caps);
  if (gst_caps_is_empty (caps) || gst_caps_is_any (caps) || gst_pad_is_linked (sink) ||
      !gst_structure_has_name (gst_caps_get_structure (caps, 0), "video/x-raw"))
    return;
  if (gst_pad_link (pad, sink) != GST_PAD_LINK_OK) {
    g_autofree char *text = gst_caps_to_string (caps);
    g_autofree char *reason = g_strdup_printf ("its frames (%s) cannot be converted", text);

    fail (self, SEED_STREAM_REFUSED, reason);
  }
}

static void
on_no_more_pads (GstElement *decoder, SeedDecodeSession *self)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (self->convert, "sink");
  g_autofree char *reason = NULL;

  if (gst_pad_is_linked (sink))
    return;
  g_mutex_lock (&self->lock);
  if (self->missing)
    reason = g_strdup_printf ("no decoder is installed for %s; install the GStreamer plugin that "
                              "has it",
        self->missing);
  g_mutex_unlock (&self->lock);
  fail (
      self, SEED_STREAM_REFUSED, reason ? reason : "it has no video stream; give a URI with video");
}

#define VIDEO_CLOCK_RATE 90000

/* A sender report says what the sender's clock was at an RTP time; the jitter buffer knows what
 * running time that RTP time has. (rtspsrc can put the sender's time on buffers, but in GStreamer
 * 1.22 only of senders with an RFC 7273 clock.) */
static void
on_sync (GstElement *jitterbuffer, GstStructure *sync, SeedDecodeSession *self)
{
  guint64 base_rtp, base_time, report_rtp;
  guint clock_rate;
  gint64 unix_ns;
  const GValue *value = gst_structure_get_value (sync, "sr-buffer");
  GstMapInfo map;
  gboolean good;

  if (!value || !gst_structure_get (sync, "base-rtptime", G_TYPE_UINT64, &base_rtp, "base-time",
                    G_TYPE_UINT64, &base_time, "clock-rate", G_TYPE_UINT, &clock_rate,
                    "sr-ext-rtptime", G_TYPE_UINT64, &report_rtp, NULL))
    return;
  if (clock_rate != VIDEO_CLOCK_RATE || base_time == GST_CLOCK_TIME_NONE ||
      !gst_buffer_map (gst_value_get_buffer (value), &map, GST_MAP_READ))
    return;
  good = seed_sender_report_parse (map.data, map.size, &unix_ns);
  gst_buffer_unmap (gst_value_get_buffer (value), &map);
  if (!good)
    return;
  g_mutex_lock (&self->lock);
  self->knows_sender_clock = TRUE;
  self->sender_offset_ns =
      unix_ns - (gint64) base_time -
      ((gint64) report_rtp - (gint64) base_rtp) * (gint64) GST_SECOND / VIDEO_CLOCK_RATE;
  g_mutex_unlock (&self->lock);
}

static void
on_new_jitterbuffer (GstElement *manager, GstElement *jitterbuffer, guint session, guint ssrc,
    SeedDecodeSession *self)
{
  if (g_signal_lookup ("handle-sync", G_OBJECT_TYPE (jitterbuffer)))
    g_signal_connect_object (jitterbuffer, "handle-sync", G_CALLBACK (on_sync), self, 0);
}

static void
on_new_manager (GstElement *source, GstElement *manager, SeedDecodeSession *self)
{
  if (g_signal_lookup ("new-jitterbuffer", G_OBJECT_TYPE (manager)))
    g_signal_connect_object (
        manager, "new-jitterbuffer", G_CALLBACK (on_new_jitterbuffer), self, 0);
}

gint64
seed_decode_session_sender_time (SeedDecodeSession *self, GstClockTime running)
{
  gint64 time = 0;

  if (!GST_CLOCK_TIME_IS_VALID (running))
    return 0;
  g_mutex_lock (&self->lock);
  if (self->knows_sender_clock)
    time = (gint64) running + self->sender_offset_ns;
  g_mutex_unlock (&self->lock);
  return time;
}

static gboolean
has_property (GstElement *element, const char *name)
{
  return g_object_class_find_property (G_OBJECT_GET_CLASS (element), name) != NULL;
}

/* Half the time for a first frame is what one request may take, so that an error says which. */
static void
on_source_setup (GstElement *decoder, GstElement *source, SeedDecodeSession *self)
{
  if (has_property (source, "add-reference-timestamp-meta"))
    g_object_set (source, "add-reference-timestamp-meta", TRUE, NULL);
  if (g_signal_lookup ("new-manager", G_OBJECT_TYPE (source)))
    g_signal_connect_object (source, "new-manager", G_CALLBACK (on_new_manager), self, 0);
  if (self->connect_ms > 0 && has_property (source, "tcp-timeout"))
    g_object_set (source, "tcp-timeout", (guint64) self->connect_ms * 500, NULL);
}

/* A filesrc that cannot open its file leaves a decodebin that goes by the name's ending half built;
 * so a file is looked for before. NULL: it is there, or not a file. Free with g_free. */
static char *
find_file_fault (const char *uri)
{
  g_autofree char *path = g_filename_from_uri (uri, NULL, NULL), *shown = NULL;
  int code;

  if (!path || g_access (path, R_OK) == 0)
    return NULL;
  code = errno;
  shown = g_filename_display_name (path);
  return g_strdup_printf ("%s: %s; check that it exists and may be read", shown, g_strerror (code));
}

static gboolean
build (SeedDecodeSession *self)
{
  g_autoptr (GstPad) src = NULL, sink = NULL;
  g_autofree char *fault = find_file_fault (self->uri);

  if (fault) {
    fail (self, SEED_STREAM_LOST, fault);
    return FALSE;
  }
  if (!gst_uri_is_valid (self->uri)) {
    fail (self, SEED_STREAM_REFUSED,
        "its uri is not a URI; for a file write file:///full/path/of/the.mp4");
    return FALSE;
  }
  self->decoder = seed_first_video_new (self->uri);
  self->convert = gst_element_factory_make ("videoconvert", NULL);
  if (!self->decoder || !self->convert) {
    g_clear_object (&self->decoder);
    g_clear_object (&self->convert);
    fail (self, SEED_STREAM_REFUSED,
        "elements uridecodebin and videoconvert are needed; install GStreamer's base plugins");
    return FALSE;
  }
  g_signal_connect (self->decoder, "source-setup", G_CALLBACK (on_source_setup), self);
  g_signal_connect (self->decoder, "pad-added", G_CALLBACK (on_pad_added), self);
  g_signal_connect (self->decoder, "no-more-pads", G_CALLBACK (on_no_more_pads), self);
  gst_bin_add_many (GST_BIN (self), self->decoder, self->convert, NULL);

  sink = gst_element_get_static_pad (self->convert, "sink");
  gst_pad_add_probe (sink, GST_PAD_PROBE_TYPE_BUFFER, on_decoded, self, NULL);
  src = gst_element_get_static_pad (self->convert, "src");
  gst_pad_link_full (src, self->frames, GST_PAD_LINK_CHECK_NOTHING);
  gst_pad_set_active (self->frames, TRUE);
  return TRUE;
}

/* Waits for the end of what the task of @sink does now, and keeps it from going on. */
static void
rest_task (GstPad *sink)
{
  for (guint i = 0; i < MAX_RESTS; i++) {
    if (g_rec_mutex_trylock (GST_PAD_GET_STREAM_LOCK (sink))) {
      gst_pad_pause_task (sink);
      g_rec_mutex_unlock (GST_PAD_GET_STREAM_LOCK (sink));
      return;
    }
    g_usleep (REST_US);
  }
}

/* A decodebin whose source has failed as it started does not hear that it goes down, and may plug
 * elements in the task of its typefind while they are taken down. So that task comes to rest first;
 * with frames coming it is long over. A second at most. */
static void
rest_typefind (SeedDecodeSession *self)
{
  g_autoptr (GstIterator) elements = gst_bin_iterate_recurse (GST_BIN (self));
  g_auto (GValue) value = G_VALUE_INIT;

  while (!self->caps && gst_iterator_next (elements, &value) == GST_ITERATOR_OK) {
    GstElement *element = g_value_get_object (&value);
    g_autoptr (GstPad) sink = gst_element_get_static_pad (element, "sink");

    if (sink && g_str_equal (G_OBJECT_TYPE_NAME (element), "GstTypeFindElement"))
      rest_task (sink);
    g_value_reset (&value);
  }
}

/* A decodebin that is failing just now may refuse at first to go down. */
static void
take_down (GstElement *element)
{
  for (guint i = 0; i < MAX_TAKE_DOWN; i++) {
    if (gst_element_set_state (element, GST_STATE_NULL) != GST_STATE_CHANGE_FAILURE)
      return;
  }
}

static void
unbuild (SeedDecodeSession *self)
{
  if (!self->decoder)
    return;
  take_down (self->decoder);
  gst_element_set_state (self->convert, GST_STATE_NULL);
  gst_pad_set_active (self->frames, FALSE);
  gst_bin_remove (GST_BIN (self), self->decoder);
  gst_bin_remove (GST_BIN (self), self->convert);
  self->decoder = self->convert = NULL;
}

static GstStateChangeReturn
seed_decode_session_change_state (GstElement *element, GstStateChange transition)
{
  SeedDecodeSession *self = SEED_DECODE_SESSION (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !build (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    rest_typefind (self);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL && self->decoder) { /* it failed to start */
    rest_typefind (self);
    unbuild (self);
  }
  ret = GST_ELEMENT_CLASS (seed_decode_session_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    unbuild (self);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL)
    ret = GST_STATE_CHANGE_SUCCESS;
  if (ret == GST_STATE_CHANGE_FAILURE && transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    ret = GST_STATE_CHANGE_SUCCESS; /* the inside is gone, whatever it said */
  if (ret == GST_STATE_CHANGE_NO_PREROLL && transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    self->callbacks.live (self, self->callbacks.data);
  return ret;
}

/* --- opening and closing ---------------------------------------------------------------------- */

/* In a thread of its own. Jobs may overtake each other; each does what is wanted last. */
static void
change_to_wanted (GstElement *element, gpointer unused)
{
  SeedDecodeSession *self = SEED_DECODE_SESSION (element);
  gboolean closing;
  GstState wanted;

  g_mutex_lock (&self->jobs);
  g_mutex_lock (&self->lock);
  wanted = self->wanted;
  closing = self->is_closing;
  g_mutex_unlock (&self->lock);
  if (wanted != self->done) {
    self->done = wanted;
    if (gst_element_set_state (element, wanted) == GST_STATE_CHANGE_FAILURE)
      fail (self, SEED_STREAM_LOST, "it could not be started");
  }
  if (closing && !self->is_closed) {
    self->is_closed = TRUE;
    self->callbacks.closed (self, self->callbacks.data);
  }
  g_mutex_unlock (&self->jobs);
}

void
seed_decode_session_run (SeedDecodeSession *self, GstState state)
{
  g_mutex_lock (&self->lock);
  if (!self->is_closing)
    self->wanted = state;
  g_mutex_unlock (&self->lock);
  gst_element_call_async (GST_ELEMENT (self), change_to_wanted, NULL, NULL);
}

void
seed_decode_session_close (SeedDecodeSession *self)
{
  g_mutex_lock (&self->lock);
  self->is_closing = TRUE;
  self->wanted = GST_STATE_NULL;
  g_mutex_unlock (&self->lock);
  gst_element_call_async (GST_ELEMENT (self), change_to_wanted, NULL, NULL);
}

/* --- what the elements inside say ------------------------------------------------------------- */

static void
handle_error (SeedDecodeSession *self, GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL, *cause = NULL;
  const GstStructure *details = NULL;

  gst_message_parse_error (message, &error, &debug);
  gst_message_parse_error_details (message, &details);
  GST_DEBUG_OBJECT (self, "error of %s: %s (%" GST_PTR_FORMAT ")",
      GST_OBJECT_NAME (GST_MESSAGE_SRC (message)), debug, details);
  cause = seed_decode_describe_cause (error, debug);
  fail (self, seed_decode_classify_cause (error, details, self->uri), cause);
}

static void
handle_warning (SeedDecodeSession *self, GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  gst_message_parse_warning (message, &error, &debug);
  GST_WARNING_OBJECT (self, "%s: %s", error->message, debug);
  if (error->domain == GST_STREAM_ERROR)
    self->callbacks.damaged (self, self->callbacks.data);
}

static void
handle_missing (SeedDecodeSession *self, const GstStructure *s)
{
  g_mutex_lock (&self->lock);
  g_free (self->missing);
  self->missing = g_strdup (gst_structure_get_string (s, "name"));
  g_mutex_unlock (&self->lock);
}

static void
seed_decode_session_handle_message (GstBin *bin, GstMessage *message)
{
  SeedDecodeSession *self = SEED_DECODE_SESSION (bin);
  const GstStructure *s = gst_message_get_structure (message);

  switch (GST_MESSAGE_TYPE (message)) {
  case GST_MESSAGE_ERROR:
    handle_error (self, message);
    break;
  case GST_MESSAGE_WARNING:
    handle_warning (self, message);
    break;
  case GST_MESSAGE_BUFFERING: /* one stream's network must not pause the whole pipeline */
  case GST_MESSAGE_DURATION_CHANGED:
  case GST_MESSAGE_STATE_CHANGED: /* of elements that come and go: nobody can do anything with it */
  case GST_MESSAGE_STREAM_START:
  case GST_MESSAGE_PROGRESS:
  case GST_MESSAGE_TAG:
    break;
  case GST_MESSAGE_ELEMENT:
    if (s && gst_structure_has_name (s, "missing-plugin")) {
      handle_missing (self, s);
      break;
    }
    /* fall through */
  default:
    GST_BIN_CLASS (seed_decode_session_parent_class)->handle_message (bin, message);
    return;
  }
  gst_message_unref (message);
}

/* --- life ------------------------------------------------------------------------------------- */

GstPad *
seed_decode_session_peek_pad (SeedDecodeSession *self)
{
  return self->frames;
}

SeedDecodeSession *
seed_decode_session_new (const char *name, const char *uri, guint n_queued, gint64 connect_ms,
    const SeedSessionCallbacks *callbacks)
{
  SeedDecodeSession *self = g_object_new (SEED_TYPE_DECODE_SESSION, "name", name, "async-handling",
      TRUE, NULL); /* goes on to PLAYING by itself, whatever others do */

  self->uri = g_strdup (uri);
  self->n_queued = n_queued;
  self->connect_ms = connect_ms;
  self->callbacks = *callbacks;
  return self;
}

static void
seed_decode_session_dispose (GObject *object)
{
  SeedDecodeSession *self = SEED_DECODE_SESSION (object);

  if (self->frames)
    gst_object_unparent (GST_OBJECT (self->frames));
  self->frames = NULL;
  gst_caps_replace (&self->caps, NULL);
  G_OBJECT_CLASS (seed_decode_session_parent_class)->dispose (object);
}

static void
seed_decode_session_finalize (GObject *object)
{
  SeedDecodeSession *self = SEED_DECODE_SESSION (object);

  if (self->callbacks.unref_data)
    self->callbacks.unref_data (self->callbacks.data);
  g_free (self->uri);
  g_free (self->missing);
  g_mutex_clear (&self->jobs);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (seed_decode_session_parent_class)->finalize (object);
}

static void
seed_decode_session_class_init (SeedDecodeSessionClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  object_class->dispose = seed_decode_session_dispose;
  object_class->finalize = seed_decode_session_finalize;
  element_class->change_state = GST_DEBUG_FUNCPTR (seed_decode_session_change_state);
  GST_BIN_CLASS (klass)->handle_message = GST_DEBUG_FUNCPTR (seed_decode_session_handle_message);
  gst_element_class_set_static_metadata (element_class, "SEED decode session", "Source/Video/Bin",
      "The frames of the first video stream of a URI, once", "SEED");
}

static void
seed_decode_session_init (SeedDecodeSession *self)
{
  g_mutex_init (&self->jobs);
  g_mutex_init (&self->lock);
  self->done = self->wanted = GST_STATE_NULL;
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  self->frames = gst_pad_new_from_static_template (&frames_template, "frames");
  gst_object_set_parent (GST_OBJECT (self->frames), GST_OBJECT (self));
  gst_pad_set_chain_function (self->frames, frames_chain);
  gst_pad_set_event_function (self->frames, frames_event);
  gst_pad_set_query_function (self->frames, frames_query);
}
