/* SPDX-License-Identifier: MIT */
#include "decode/stream.h"

#include <string.h>
#include <time.h>

#include <gst/video/video.h>

#include "core/event.h"
#include "core/stream-meta.h"
#include "decode/cause.h"
#include "decode/firstvideo.h"
#include "decode/ratecap.h"

GST_DEBUG_CATEGORY_EXTERN (seed_decode_debug);
#define GST_CAT_DEFAULT seed_decode_debug

struct _SeedDecodeStream {
  GstBin parent;

  SeedStreamSpec *spec;
  SeedLanes *lanes;
  guint lane, n_queued;
  SeedLedger *ledger;
  SeedDecodeCallbacks callbacks;

  GstElement *decoder, *convert; /* of this pass; owned by the bin */
  GstPad *frames; /* where decoded frames arrive; inside, not one of the bin's pads */

  /* the streaming thread's */
  SeedRateCap cap;
  GstSegment segment;
  GstCaps *caps;
  guint64 n_decoded, n_thinned;
  guint64 pass_frames;
  GstClockTime offset, pass_end, last_running; /* times of a pass follow those of the one before */
  GThread *thread;
  gint64 thread_cpu_ns;

  GMutex lock;
  SeedDecodeState state;
  char *reason;
  gboolean live;
  gboolean quiet;         /* being taken down: what it complains of is of no interest */
  char *missing;          /* description of a decoder that is not installed */
  guint64 n_kept, n_seen; /* copies of the streaming thread's counters */
  guint passes, decode_errors;
  GstCaps *stats_caps;
};

G_DEFINE_TYPE (SeedDecodeStream, seed_decode_stream, GST_TYPE_BIN)

static GstStaticPadTemplate frames_template = GST_STATIC_PAD_TEMPLATE (
    "frames", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_DECODE_CAPS));

static void
settle (SeedDecodeStream *self, SeedDecodeState state, const char *reason)
{
  gboolean first;

  g_mutex_lock (&self->lock);
  first = self->state < SEED_DECODE_ENDED;
  if (first) {
    self->state = state;
    self->reason = g_strdup (reason);
  }
  g_mutex_unlock (&self->lock);
  if (!first)
    return;
  GST_INFO_OBJECT (self, "%s: %s", state == SEED_DECODE_ENDED ? "ended" : "failed", reason);
  seed_lanes_close (self->lanes, self->lane);
  self->callbacks.over (self, self->callbacks.data);
}

/* What follows the end of the source. A policy of reconnecting belongs here: it would call again,
 * after a pause, for a live source that is lost. */
static void
pass_is_over (SeedDecodeStream *self)
{
  g_autofree char *reason = NULL;
  gboolean live = seed_decode_stream_is_live (self);

  if (self->pass_frames == 0) {
    settle (self, SEED_DECODE_FAILED,
        "it ended without a frame that could be decoded; check that the file is whole");
  } else if (live) {
    settle (self, SEED_DECODE_FAILED, "the source stopped sending; check that it is still up");
  } else if (self->spec->loop || self->passes < self->spec->passes) {
    self->callbacks.again (self, self->callbacks.data);
  } else {
    reason =
        g_strdup_printf ("end of the source after %" G_GUINT64_FORMAT " frames", self->n_decoded);
    settle (self, SEED_DECODE_ENDED, reason);
  }
}

/* The decoding thread's own time since the frame before; a decoder's further threads are not in it.
 */
static void
count_busy (SeedDecodeStream *self)
{
  struct timespec now;
  gint64 ns;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  ns = (gint64) now.tv_sec * GST_SECOND + now.tv_nsec;
  if (self->thread == g_thread_self ())
    seed_ledger_busy (self->ledger, (guint64) (ns - self->thread_cpu_ns));
  self->thread = g_thread_self ();
  self->thread_cpu_ns = ns;
}

/* In front of the converter, so that a frame too many is never converted. */
static GstPadProbeReturn
on_decoded (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  SeedDecodeStream *self = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  gboolean keep;

  count_busy (self);
  self->n_decoded++;
  self->pass_frames++;
  if (!GST_CLOCK_TIME_IS_VALID (pts))
    pts = (GstClockTime) g_get_monotonic_time () * GST_USECOND;
  keep = seed_rate_cap_keep (&self->cap, pts);
  g_mutex_lock (&self->lock);
  self->n_seen++;
  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_CORRUPTED))
    self->decode_errors++;
  g_mutex_unlock (&self->lock);
  if (keep)
    return GST_PAD_PROBE_OK;

  self->n_thinned++;
  seed_ledger_in (self->ledger, self->spec->id, 1);
  seed_ledger_drop (self->ledger, self->spec->id, SEED_DROP_RATE, 1);
  return GST_PAD_PROBE_DROP;
}

/* Realtime at which a live frame was captured, as near as the source tells, else now. */
static gint64
capture_time (SeedDecodeStream *self, GstBuffer *buffer, GstClockTime running)
{
  static GstStaticCaps unix_caps = GST_STATIC_CAPS ("timestamp/x-unix");
  g_autoptr (GstCaps) reference = gst_static_caps_get (&unix_caps);
  GstReferenceTimestampMeta *meta = gst_buffer_get_reference_timestamp_meta (buffer, reference);
  g_autoptr (GstClock) clock = NULL;
  GstClockTimeDiff age;

  if (meta)
    return (gint64) meta->timestamp;
  if (!seed_decode_stream_is_live (self) || !GST_CLOCK_TIME_IS_VALID (running))
    return seed_realtime_ns ();
  clock = gst_element_get_clock (GST_ELEMENT (self));
  if (!clock)
    return seed_realtime_ns ();
  age = GST_CLOCK_DIFF (
      gst_element_get_base_time (GST_ELEMENT (self)) + running, gst_clock_get_time (clock));
  return seed_realtime_ns () - CLAMP (age, 0, (GstClockTimeDiff) (60 * GST_SECOND));
}

/* Times on the owner's pad: the running time of the frame, going on from pass to pass. */
static GstClockTime
next_time (SeedDecodeStream *self, GstBuffer *buffer)
{
  GstClockTime running =
      gst_segment_to_running_time (&self->segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer));
  GstClockTime length = GST_BUFFER_DURATION (buffer);

  if (!GST_CLOCK_TIME_IS_VALID (running))
    return GST_CLOCK_TIME_NONE;
  running += self->offset;
  if (!GST_CLOCK_TIME_IS_VALID (length))
    length = GST_CLOCK_TIME_IS_VALID (self->last_running) && running > self->last_running
                 ? running - self->last_running
                 : 0;
  self->last_running = running;
  self->pass_end = MAX (self->pass_end, running + length);
  return running;
}

static void
count_kept (SeedDecodeStream *self)
{
  g_mutex_lock (&self->lock);
  self->n_kept++;
  if (self->state == SEED_DECODE_STARTING)
    self->state = SEED_DECODE_UP;
  g_mutex_unlock (&self->lock);
}

static GstFlowReturn
frames_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  SeedDecodeStream *self = SEED_DECODE_STREAM (parent);
  GstClockTime time = next_time (self, buffer);
  SeedLaneItem item;
  SeedStreamMeta *meta;

  seed_ledger_in (self->ledger, self->spec->id, 1);
  buffer = gst_buffer_make_writable (buffer);
  meta = seed_buffer_add_stream_meta (buffer);
  g_strlcpy (meta->stream, self->spec->id, sizeof meta->stream);
  meta->frame = self->n_decoded - 1;
  meta->pts = time;
  meta->capture_ns = capture_time (self, buffer, time);
  meta->dropped = self->n_thinned;
  GST_BUFFER_PTS (buffer) = time;
  GST_BUFFER_DTS (buffer) = GST_CLOCK_TIME_NONE;

  count_kept (self);
  item = (SeedLaneItem){ buffer, gst_caps_ref (self->caps) };
  if (seed_lanes_push (self->lanes, self->lane, item))
    return GST_FLOW_OK;
  seed_ledger_drop (self->ledger, self->spec->id, SEED_DROP_FLUSHED, 1);
  gst_buffer_unref (buffer);
  gst_caps_unref (item.format);
  return GST_FLOW_FLUSHING;
}

static void
take_caps (SeedDecodeStream *self, GstEvent *event)
{
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  gst_caps_replace (&self->caps, caps);
  g_mutex_lock (&self->lock);
  gst_caps_replace (&self->stats_caps, caps);
  g_mutex_unlock (&self->lock);
}

static gboolean
frames_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  SeedDecodeStream *self = SEED_DECODE_STREAM (parent);

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_CAPS:
    take_caps (self, event);
    break;
  case GST_EVENT_SEGMENT:
    gst_event_copy_segment (event, &self->segment);
    break;
  case GST_EVENT_EOS:
    pass_is_over (self);
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
  SeedDecodeStream *self = SEED_DECODE_STREAM (parent);
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

static void
on_pad_added (GstElement *decoder, GstPad *pad, SeedDecodeStream *self)
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

    settle (self, SEED_DECODE_FAILED, reason);
  }
}

static void
on_no_more_pads (GstElement *decoder, SeedDecodeStream *self)
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
  settle (
      self, SEED_DECODE_FAILED, reason ? reason : "it has no video stream; give a URI with video");
}

/* A fresh decoder for every pass: starting over is exact for every container, seeking is not. */
static gboolean
build (SeedDecodeStream *self)
{
  g_autoptr (GstPad) src = NULL, sink = NULL;

  if (!gst_uri_is_valid (self->spec->uri)) {
    settle (self, SEED_DECODE_FAILED,
        "its uri is not a URI; for a file write file:///full/path/of/the.mp4");
    return FALSE;
  }
  self->decoder = seed_first_video_new (self->spec->uri);
  self->convert = gst_element_factory_make ("videoconvert", NULL);
  if (!self->decoder || !self->convert) {
    g_clear_object (&self->decoder);
    g_clear_object (&self->convert);
    settle (self, SEED_DECODE_FAILED,
        "elements uridecodebin and videoconvert are needed; install GStreamer's base plugins");
    return FALSE;
  }
  g_signal_connect (self->decoder, "pad-added", G_CALLBACK (on_pad_added), self);
  g_signal_connect (self->decoder, "no-more-pads", G_CALLBACK (on_no_more_pads), self);
  gst_bin_add_many (GST_BIN (self), self->decoder, self->convert, NULL);

  sink = gst_element_get_static_pad (self->convert, "sink");
  gst_pad_add_probe (sink, GST_PAD_PROBE_TYPE_BUFFER, on_decoded, self, NULL);
  src = gst_element_get_static_pad (self->convert, "src");
  gst_pad_link_full (src, self->frames, GST_PAD_LINK_CHECK_NOTHING);
  gst_pad_set_active (self->frames, TRUE);

  g_mutex_lock (&self->lock);
  g_clear_pointer (&self->missing, g_free);
  self->passes++;
  g_mutex_unlock (&self->lock);
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  self->offset = self->pass_end;
  self->pass_frames = 0;
  self->last_running = GST_CLOCK_TIME_NONE;
  self->thread = NULL;
  return TRUE;
}

static void
unbuild (SeedDecodeStream *self)
{
  if (!self->decoder)
    return;
  gst_element_set_state (self->decoder, GST_STATE_NULL);
  gst_element_set_state (self->convert, GST_STATE_NULL);
  gst_pad_set_active (self->frames, FALSE);
  gst_bin_remove (GST_BIN (self), self->decoder);
  gst_bin_remove (GST_BIN (self), self->convert);
  self->decoder = self->convert = NULL;
}

static void
set_quiet (SeedDecodeStream *self, gboolean quiet)
{
  g_mutex_lock (&self->lock);
  self->quiet = quiet;
  g_mutex_unlock (&self->lock);
}

void
seed_decode_stream_restart (SeedDecodeStream *self)
{
  if (seed_decode_stream_get_state (self, NULL) >= SEED_DECODE_ENDED)
    return;
  set_quiet (self, TRUE);
  unbuild (self);
  set_quiet (self, FALSE);
  if (!build (self))
    return;
  gst_element_sync_state_with_parent (self->convert);
  if (!gst_element_sync_state_with_parent (self->decoder))
    settle (self, SEED_DECODE_FAILED, "it could not be started over");
}

static GstStateChangeReturn
seed_decode_stream_change_state (GstElement *element, GstStateChange transition)
{
  SeedDecodeStream *self = SEED_DECODE_STREAM (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED) {
    set_quiet (self, FALSE);
    if (!build (self))
      return GST_STATE_CHANGE_FAILURE;
  } else if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    set_quiet (self, TRUE);
  }
  ret = GST_ELEMENT_CLASS (seed_decode_stream_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    unbuild (self);
  if (ret == GST_STATE_CHANGE_FAILURE)
    settle (self, SEED_DECODE_FAILED, "it could not be started");
  if (ret == GST_STATE_CHANGE_NO_PREROLL) {
    g_mutex_lock (&self->lock);
    self->live = TRUE;
    g_mutex_unlock (&self->lock);
  }
  return ret;
}

static void
handle_error (SeedDecodeStream *self, GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL, *cause = NULL;
  gboolean quiet;

  g_mutex_lock (&self->lock);
  quiet = self->quiet;
  g_mutex_unlock (&self->lock);
  if (quiet)
    return;
  gst_message_parse_error (message, &error, &debug);
  cause = seed_decode_describe_cause (error, debug);
  GST_DEBUG_OBJECT (self, "error of %s: %s", GST_OBJECT_NAME (GST_MESSAGE_SRC (message)), debug);
  settle (self, SEED_DECODE_FAILED, cause);
}

static void
handle_warning (SeedDecodeStream *self, GstMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *debug = NULL;

  gst_message_parse_warning (message, &error, &debug);
  GST_WARNING_OBJECT (self, "%s: %s", error->message, debug);
  if (error->domain != GST_STREAM_ERROR)
    return;
  g_mutex_lock (&self->lock);
  self->decode_errors++;
  g_mutex_unlock (&self->lock);
}

static void
handle_missing (SeedDecodeStream *self, const GstStructure *s)
{
  g_mutex_lock (&self->lock);
  g_free (self->missing);
  self->missing = g_strdup (gst_structure_get_string (s, "name"));
  g_mutex_unlock (&self->lock);
}

static void
seed_decode_stream_handle_message (GstBin *bin, GstMessage *message)
{
  SeedDecodeStream *self = SEED_DECODE_STREAM (bin);
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
    break;
  case GST_MESSAGE_ELEMENT:
    if (s && gst_structure_has_name (s, "missing-plugin")) {
      handle_missing (self, s);
      break;
    }
    /* fall through */
  default:
    GST_BIN_CLASS (seed_decode_stream_parent_class)->handle_message (bin, message);
    return;
  }
  gst_message_unref (message);
}

const char *
seed_decode_stream_get_id (SeedDecodeStream *self)
{
  return self->spec->id;
}

void
seed_decode_stream_end (SeedDecodeStream *self, const char *reason)
{
  settle (self, SEED_DECODE_ENDED, reason);
}

SeedDecodeState
seed_decode_stream_get_state (SeedDecodeStream *self, char **reason)
{
  SeedDecodeState state;

  g_mutex_lock (&self->lock);
  state = self->state;
  if (reason)
    *reason = g_strdup (self->reason ? self->reason : "");
  g_mutex_unlock (&self->lock);
  return state;
}

guint64
seed_decode_stream_get_kept (SeedDecodeStream *self)
{
  guint64 n;

  g_mutex_lock (&self->lock);
  n = self->n_kept;
  g_mutex_unlock (&self->lock);
  return n;
}

gboolean
seed_decode_stream_is_live (SeedDecodeStream *self)
{
  gboolean live;

  g_mutex_lock (&self->lock);
  live = self->live;
  g_mutex_unlock (&self->lock);
  return live;
}

GstStructure *
seed_decode_stream_get_stats (SeedDecodeStream *self)
{
  static const char *const states[] = { "starting", "up", "ended", "failed" };
  g_autofree char *caps = NULL;
  GstStructure *stats;

  g_mutex_lock (&self->lock);
  caps = self->stats_caps ? gst_caps_to_string (self->stats_caps) : g_strdup ("");
  stats = gst_structure_new ("stream", "state", G_TYPE_STRING, states[self->state], "live",
      G_TYPE_BOOLEAN, self->live, "frames", G_TYPE_UINT64, self->n_seen, "passes", G_TYPE_UINT,
      self->passes, "decode-errors", G_TYPE_UINT, self->decode_errors, "reason", G_TYPE_STRING,
      self->reason ? self->reason : "", "caps", G_TYPE_STRING, caps, NULL);
  g_mutex_unlock (&self->lock);
  return stats;
}

GstPad *
seed_decode_stream_peek_pad (SeedDecodeStream *self)
{
  return self->frames;
}

SeedDecodeStream *
seed_decode_stream_new (const SeedStreamSpec *spec, SeedLanes *lanes, guint index, guint n_queued,
    SeedLedger *ledger, const SeedDecodeCallbacks *callbacks)
{
  g_autofree char *name = g_strdup_printf ("stream-%s", spec->id);
  SeedDecodeStream *self = g_object_new (SEED_TYPE_DECODE_STREAM, "name", name, "async-handling",
      TRUE, NULL); /* goes on to PLAYING by itself, whatever the others do */

  self->spec = seed_stream_spec_copy (spec);
  self->lanes = lanes;
  self->lane = index;
  self->n_queued = n_queued;
  self->ledger = seed_ledger_ref (ledger);
  self->callbacks = *callbacks;
  seed_rate_cap_init (&self->cap, MAX (spec->max_fps, 0));
  return self;
}

static void
seed_decode_stream_dispose (GObject *object)
{
  SeedDecodeStream *self = SEED_DECODE_STREAM (object);

  if (self->frames)
    gst_object_unparent (GST_OBJECT (self->frames));
  self->frames = NULL;
  gst_caps_replace (&self->caps, NULL);
  gst_caps_replace (&self->stats_caps, NULL);
  G_OBJECT_CLASS (seed_decode_stream_parent_class)->dispose (object);
}

static void
seed_decode_stream_finalize (GObject *object)
{
  SeedDecodeStream *self = SEED_DECODE_STREAM (object);

  seed_stream_spec_free (self->spec);
  g_clear_pointer (&self->ledger, seed_ledger_unref);
  g_free (self->reason);
  g_free (self->missing);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (seed_decode_stream_parent_class)->finalize (object);
}

static void
seed_decode_stream_class_init (SeedDecodeStreamClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  object_class->dispose = seed_decode_stream_dispose;
  object_class->finalize = seed_decode_stream_finalize;
  element_class->change_state = GST_DEBUG_FUNCPTR (seed_decode_stream_change_state);
  GST_BIN_CLASS (klass)->handle_message = GST_DEBUG_FUNCPTR (seed_decode_stream_handle_message);
  gst_element_class_set_static_metadata (element_class, "SEED decoded stream", "Source/Video/Bin",
      "The frames of the first video stream of a URI", "SEED");
}

static void
seed_decode_stream_init (SeedDecodeStream *self)
{
  g_mutex_init (&self->lock);
  self->frames = gst_pad_new_from_static_template (&frames_template, "frames");
  gst_object_set_parent (GST_OBJECT (self->frames), GST_OBJECT (self));
  gst_pad_set_chain_function (self->frames, frames_chain);
  gst_pad_set_event_function (self->frames, frames_event);
  gst_pad_set_query_function (self->frames, frames_query);
}
