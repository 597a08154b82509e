/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "core/event.h"
#include "core/stream-meta.h"
#include "decode/sender-report.h"
#include "decode/stream-private.h"

GST_DEBUG_CATEGORY_EXTERN (seed_decode_debug);
#define GST_CAT_DEFAULT seed_decode_debug

/* A source's clock that says a frame is older, or is yet to come, is wrong. */
#define MAX_CAPTURE_AGE (60 * GST_SECOND)
#define MAX_CAPTURE_AHEAD (2 * GST_SECOND)

/* With the lock held, or not at all: a session that was left is not listened to. */
static gboolean
lock_for (SeedDecodeStream *self, SeedDecodeSession *session)
{
  g_mutex_lock (&self->lock);
  if (self->session == session)
    return TRUE;
  g_mutex_unlock (&self->lock);
  return FALSE;
}

/* The decoding thread's own time since the frame before; a decoder's further threads are not in it.
 */
static void
count_busy (SeedDecodeStream *self)
{
  struct timespec now;
  gint64 ns;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  ns = (gint64) now.tv_sec * (gint64) GST_SECOND + now.tv_nsec;
  if (self->thread == g_thread_self ())
    seed_ledger_busy (self->ledger, (guint64) (ns - self->thread_cpu_ns));
  self->thread = g_thread_self ();
  self->thread_cpu_ns = ns;
}

static gboolean
is_kept (SeedDecodeStream *self, GstBuffer *buffer)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer);

  if (!GST_CLOCK_TIME_IS_VALID (pts))
    pts = (GstClockTime) g_get_monotonic_time () * GST_USECOND;
  if (seed_rate_cap_keep (&self->cap, pts))
    return TRUE;
  self->n_thinned++;
  seed_ledger_in (self->ledger, self->spec->id, 1);
  seed_ledger_drop (self->ledger, self->spec->id, SEED_DROP_RATE, 1);
  return FALSE;
}

static gboolean
on_decoded (SeedDecodeSession *session, GstBuffer *buffer, gpointer data)
{
  SeedDecodeStream *self = data;
  gint64 now = seed_decode_now_ms ();
  gboolean kept;

  if (!lock_for (self, session))
    return FALSE;
  count_busy (self);
  self->n_decoded++;
  self->session_frames++;
  self->last_frame_ms = now;
  seed_meter_count (&self->fps_in, now);
  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_CORRUPTED))
    self->decode_errors++;
  kept = is_kept (self, buffer);
  seed_decode_stream_feed (self, SEED_STREAM_FRAME, NULL);
  return kept;
}

/* Realtime of a time stamp that the source put on the frame; 0: none. */
static gint64
source_time (GstBuffer *buffer)
{
  static GstStaticCaps unix_caps = GST_STATIC_CAPS ("timestamp/x-unix");
  static GstStaticCaps ntp_caps = GST_STATIC_CAPS ("timestamp/x-ntp");
  g_autoptr (GstCaps) unix_time = gst_static_caps_get (&unix_caps);
  g_autoptr (GstCaps) ntp_time = gst_static_caps_get (&ntp_caps);
  GstReferenceTimestampMeta *meta;

  if ((meta = gst_buffer_get_reference_timestamp_meta (buffer, unix_time)))
    return (gint64) meta->timestamp;
  if ((meta = gst_buffer_get_reference_timestamp_meta (buffer, ntp_time)) &&
      meta->timestamp > SEED_NTP_TO_UNIX_S * GST_SECOND)
    return (gint64) (meta->timestamp - SEED_NTP_TO_UNIX_S * GST_SECOND);
  return 0;
}

/* Running time now, by the session's clock; none without a clock. */
static GstClockTime
running_now (SeedDecodeSession *session)
{
  g_autoptr (GstClock) clock = gst_element_get_clock (GST_ELEMENT (session));
  GstClockTime now, base;

  if (!clock)
    return GST_CLOCK_TIME_NONE;
  now = gst_clock_get_time (clock);
  base = gst_element_get_base_time (GST_ELEMENT (session));
  return now > base ? now - base : 0;
}

/* Realtime at which a live frame was captured, as near as the source tells, else when it came. */
static gint64
capture_time (SeedDecodeStream *self, gint64 from_source, GstClockTime running, GstClockTime now)
{
  gint64 wall = seed_realtime_ns ();
  GstClockTimeDiff age;

  if (from_source > wall - (gint64) MAX_CAPTURE_AGE &&
      from_source < wall + (gint64) MAX_CAPTURE_AHEAD) {
    self->n_source_times++;
    return from_source;
  }
  if (!self->live || !GST_CLOCK_TIME_IS_VALID (running) || !GST_CLOCK_TIME_IS_VALID (now))
    return wall;
  age = GST_CLOCK_DIFF (running, now);
  return age > 0 && age < (GstClockTimeDiff) MAX_CAPTURE_AGE ? wall - age : wall;
}

/* Takes @buffer, of the present session; under the lock. */
static GstBuffer *
sign (SeedDecodeStream *self, SeedDecodeSession *session, GstBuffer *buffer, GstClockTime running)
{
  GstClockTime now = self->live ? running_now (session) : GST_CLOCK_TIME_NONE;
  GstClockTime time =
      seed_timeline_next (&self->timeline, running, GST_BUFFER_DURATION (buffer), now);
  gint64 from_source = source_time (buffer);
  SeedStreamMeta *meta;

  if (from_source == 0)
    from_source = seed_decode_session_sender_time (session, running);
  buffer = gst_buffer_make_writable (buffer);
  meta = seed_buffer_add_stream_meta (buffer);
  g_strlcpy (meta->stream, self->spec->id, sizeof meta->stream);
  meta->frame = self->n_decoded - 1;
  meta->pts = time;
  meta->capture_ns = capture_time (self, from_source, time, now);
  meta->dropped = self->n_thinned;
  GST_BUFFER_PTS (buffer) = time;
  GST_BUFFER_DTS (buffer) = GST_CLOCK_TIME_NONE;
  return buffer;
}

static GstFlowReturn
on_frame (SeedDecodeSession *session, GstBuffer *buffer, GstCaps *caps, GstClockTime running,
    gpointer data)
{
  SeedDecodeStream *self = data;
  SeedLaneItem item;
  gboolean taken;
  guint epoch;

  if (!lock_for (self, session)) {
    gst_buffer_unref (buffer);
    return GST_FLOW_FLUSHING;
  }
  seed_ledger_in (self->ledger, self->spec->id, 1);
  item = (SeedLaneItem){ sign (self, session, buffer, running), gst_caps_ref (caps),
    self->machine.attempts };
  gst_caps_replace (&self->caps, caps);
  self->n_kept++;
  epoch = self->epoch;
  seed_stream_machine_hold (&self->machine); /* nobody's fault but the consumer's */
  g_mutex_unlock (&self->lock);

  taken = seed_lane_push (self->lane, epoch, item);

  g_mutex_lock (&self->lock);
  seed_stream_machine_release (&self->machine, seed_decode_now_ms ());
  g_mutex_unlock (&self->lock);
  if (taken)
    return GST_FLOW_OK;
  seed_ledger_drop (self->ledger, self->spec->id, SEED_DROP_FLUSHED, 1);
  gst_buffer_unref (item.frame);
  gst_caps_unref (item.format);
  return GST_FLOW_FLUSHING;
}

static void
on_codec (SeedDecodeSession *session, const char *codec, gpointer data)
{
  SeedDecodeStream *self = data;

  if (!lock_for (self, session))
    return;
  g_free (self->codec);
  self->codec = g_strdup (codec);
  g_mutex_unlock (&self->lock);
}

static void
on_damaged (SeedDecodeSession *session, gpointer data)
{
  SeedDecodeStream *self = data;

  if (!lock_for (self, session))
    return;
  self->decode_errors++;
  g_mutex_unlock (&self->lock);
}

static void
on_live (SeedDecodeSession *session, gpointer data)
{
  SeedDecodeStream *self = data;
  g_autoptr (GObject) owner = NULL;
  gboolean news;

  if (!lock_for (self, session))
    return;
  news = !self->live && self->spec->live != FALSE;
  self->live |= news;
  if (news && self->callbacks.data)
    owner = g_object_ref (self->callbacks.data);
  g_mutex_unlock (&self->lock);
  if (owner)
    self->callbacks.live (owner);
}

/* What follows the end of the source. */
static void
on_ended (SeedDecodeSession *session, gboolean endless, gpointer data)
{
  SeedDecodeStream *self = data;
  g_autofree char *reason = NULL;

  if (!lock_for (self, session))
    return;
  if (self->session_frames == 0) {
    seed_decode_stream_feed (self, SEED_STREAM_LOST,
        "it ended without a frame that could be decoded; check that the source is whole");
  } else if (self->live || (endless && self->machine.policy.reconnect)) {
    seed_decode_stream_feed (
        self, SEED_STREAM_LOST, "the source stopped sending; check that it is still up");
  } else if (++self->complete < self->spec->passes || self->spec->loop) {
    seed_decode_stream_feed (self, SEED_STREAM_PASS, NULL);
  } else {
    reason =
        g_strdup_printf ("end of the source after %" G_GUINT64_FORMAT " frames", self->n_decoded);
    seed_decode_stream_feed (self, SEED_STREAM_FINISHED, reason);
  }
}

static void
on_failed (SeedDecodeSession *session, SeedStreamInput how, const char *reason, gpointer data)
{
  SeedDecodeStream *self = data;

  if (lock_for (self, session))
    seed_decode_stream_feed (self, how, reason);
}

static void
on_closed (SeedDecodeSession *session, gpointer data)
{
  SeedDecodeStream *self = data;

  g_mutex_lock (&self->lock);
  if (--self->n_closing == 0) {
    g_cond_broadcast (&self->all_closed);
    if (self->callbacks.data)
      self->callbacks.wake (self->callbacks.data);
  }
  g_mutex_unlock (&self->lock);
}

static void
unref_stream (gpointer data)
{
  seed_decode_stream_unref (data);
}

const SeedSessionCallbacks seed_decode_stream_session_callbacks = {
  .decoded = on_decoded,
  .frame = on_frame,
  .codec = on_codec,
  .damaged = on_damaged,
  .live = on_live,
  .ended = on_ended,
  .failed = on_failed,
  .closed = on_closed,
  .unref_data = unref_stream,
};
