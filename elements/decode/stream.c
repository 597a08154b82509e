/* SPDX-License-Identifier: MIT */
#include "decode/stream-private.h"

GST_DEBUG_CATEGORY_EXTERN (seed_decode_debug);
#define GST_CAT_DEFAULT seed_decode_debug

/* A source is closed before it is opened again (a device, a port), but not waited for for ever. */
#define MAX_CLOSING_MS 2000
#define MAX_CLOSING 4

gint64
seed_decode_now_ms (void)
{
  return g_get_monotonic_time () / 1000;
}

/* --- what the machine asks for ---------------------------------------------------------------- */

/* What cannot wait: from here on the session that was is a stranger. Under the lock. */
static void
leave_session (SeedDecodeStream *self)
{
  self->epoch = seed_lane_cut (self->lane);
  if (!self->session)
    return;
  self->n_closing++;
  self->closing_since_ms = seed_decode_now_ms ();
  g_ptr_array_add (self->left, g_steal_pointer (&self->session));
}

static void
put_mark (SeedDecodeStream *self, guint actions)
{
  guint note = self->machine.attempts << 1 | ((actions & SEED_STREAM_WARN) != 0);
  SeedLaneItem mark = { NULL, g_strdup (self->reason), note };

  if (!seed_lane_mark (self->lane, mark))
    g_free (mark.format);
}

/* Takes the lock as held and gives it back. The warning goes out before the end of the lane does,
 * and before a new session can be opened. */
static void
act (SeedDecodeStream *self, guint actions)
{
  g_autofree char *reason = g_strdup (self->reason);
  gboolean tries_again = !(actions & SEED_STREAM_END);

  if (actions & SEED_STREAM_CLOSE)
    leave_session (self);
  if (actions & (SEED_STREAM_CLOSE | SEED_STREAM_END))
    self->wants_session = FALSE;
  self->n_acting++;
  if ((actions & SEED_STREAM_WARN) && self->callbacks.data) {
    g_autoptr (GObject) owner = g_object_ref (self->callbacks.data);

    g_mutex_unlock (&self->lock);
    self->callbacks.warn (self, reason, tries_again, owner);
    g_mutex_lock (&self->lock);
  }
  if (actions & SEED_STREAM_DOWN)
    put_mark (self, actions);
  if (actions & SEED_STREAM_END)
    seed_lane_close (self->lane, self->keep);
  if (actions & SEED_STREAM_OPEN)
    self->wants_session = TRUE;
  self->n_acting--;
  if (self->callbacks.data)
    self->callbacks.wake (self->callbacks.data);
  g_mutex_unlock (&self->lock);
}

static void
set_reason (SeedDecodeStream *self, const char *reason)
{
  g_free (self->reason);
  self->reason = g_strdup (reason);
}

/* Takes the lock as held and gives it back. @reason: of an input that ends or fails. */
void
seed_decode_stream_feed (SeedDecodeStream *self, SeedStreamInput input, const char *reason)
{
  SeedStreamState before = self->machine.state;
  guint actions = seed_stream_machine_feed (&self->machine, input, seed_decode_now_ms ());

  if (before == self->machine.state && actions == 0) {
    g_mutex_unlock (&self->lock);
    return;
  }
  GST_INFO ("%s: %s -> %s%s%s", self->spec->id, seed_stream_state_name (before),
      seed_stream_state_name (self->machine.state), reason ? ": " : "", reason ? reason : "");
  if (reason) {
    set_reason (self, reason);
    if (input == SEED_STREAM_LOST || input == SEED_STREAM_REFUSED) {
      g_free (self->last_error);
      self->last_error = g_strdup (reason);
    }
  }
  act (self, actions);
}

/* Under the lock, which is given back and taken again. */
static void
let_time_pass (SeedDecodeStream *self)
{
  g_autofree char *reason = seed_stream_machine_describe_timeout (&self->machine);
  SeedStreamState before = self->machine.state;
  guint actions = seed_stream_machine_tick (&self->machine, seed_decode_now_ms ());

  if (before == self->machine.state && actions == 0)
    return;
  GST_INFO ("%s: %s -> %s", self->spec->id, seed_stream_state_name (before),
      seed_stream_state_name (self->machine.state));
  if (before == SEED_STREAM_CONNECTING || before == SEED_STREAM_UP) {
    set_reason (self, reason);
    g_free (self->last_error);
    self->last_error = g_strdup (reason);
  }
  act (self, actions);
  g_mutex_lock (&self->lock);
}

/* --- sessions --------------------------------------------------------------------------------- */

static gboolean
may_open (SeedDecodeStream *self)
{
  if (!self->wants_session || self->n_acting > 0 || self->is_shut)
    return FALSE;
  return self->n_closing == 0 ||
         (self->n_closing < MAX_CLOSING &&
             seed_decode_now_ms () - self->closing_since_ms >= MAX_CLOSING_MS);
}

static void
close_left (SeedDecodeStream *self, GstBin *bin)
{
  g_autoptr (GPtrArray) left = NULL;

  g_mutex_lock (&self->lock);
  left = self->left;
  self->left = g_ptr_array_new_with_free_func (gst_object_unref);
  g_mutex_unlock (&self->lock);
  for (guint i = 0; i < left->len; i++) {
    gst_bin_remove (bin, g_ptr_array_index (left, i));
    seed_decode_session_close (g_ptr_array_index (left, i));
  }
}

/* Of the work's thread alone, so that a session is in the bin before it is left. */
static void
open_session (SeedDecodeStream *self, GstBin *bin)
{
  g_autofree char *name = g_strdup_printf ("stream-%s", self->spec->id);
  SeedSessionCallbacks callbacks = seed_decode_stream_session_callbacks;
  SeedDecodeSession *session;

  callbacks.data = seed_decode_stream_ref (self);
  session = seed_decode_session_new (
      name, self->spec->uri, self->n_queued, self->machine.policy.connect_ms, &callbacks);
  gst_object_ref_sink (session);
  gst_bin_add (bin, GST_ELEMENT (session));

  g_mutex_lock (&self->lock);
  self->session = session;
  self->passes++;
  self->session_frames = 0;
  self->thread = NULL;
  seed_timeline_begin_session (&self->timeline);
  if (self->wants_session)
    seed_decode_session_run (session, self->state);
  else /* it has ended meanwhile */
    leave_session (self);
  self->wants_session = FALSE;
  g_mutex_unlock (&self->lock);
  close_left (self, bin);
}

gint64
seed_decode_stream_work (SeedDecodeStream *self, GstBin *bin)
{
  gboolean open;
  gint64 due;

  g_mutex_lock (&self->lock);
  let_time_pass (self);
  g_mutex_unlock (&self->lock);
  close_left (self, bin);
  g_mutex_lock (&self->lock);
  open = may_open (self);
  g_mutex_unlock (&self->lock);
  if (open)
    open_session (self, bin);
  g_mutex_lock (&self->lock);
  due = seed_stream_machine_deadline (&self->machine);
  if (self->wants_session && self->n_closing > 0 && self->n_closing < MAX_CLOSING) {
    gint64 at = self->closing_since_ms + MAX_CLOSING_MS;

    due = due < 0 ? at : MIN (due, at);
  }
  g_mutex_unlock (&self->lock);
  return due;
}

/* --- from outside ----------------------------------------------------------------------------- */

void
seed_decode_stream_set_state (SeedDecodeStream *self, GstElement *bin, GstState state)
{
  g_mutex_lock (&self->lock);
  if (self->state == GST_STATE_PAUSED && state == GST_STATE_PLAYING)
    seed_stream_machine_release (&self->machine, seed_decode_now_ms ());
  else if (self->state == GST_STATE_PLAYING && state == GST_STATE_PAUSED)
    seed_stream_machine_hold (&self->machine);
  self->state = state;
  if (self->session) {
    GstElement *session = GST_ELEMENT (self->session);

    gst_element_set_base_time (session, gst_element_get_base_time (bin));
    gst_element_set_start_time (session, gst_element_get_start_time (bin));
    seed_decode_session_run (self->session, state);
  }
  if (self->callbacks.data)
    self->callbacks.wake (self->callbacks.data);
  g_mutex_unlock (&self->lock);
}

void
seed_decode_stream_end (SeedDecodeStream *self, const char *reason, gboolean keep)
{
  g_mutex_lock (&self->lock);
  self->keep = keep;
  seed_decode_stream_feed (self, SEED_STREAM_STOP, reason);
}

void
seed_decode_stream_shut_down (SeedDecodeStream *self, GstBin *bin)
{
  g_mutex_lock (&self->lock);
  self->is_shut = TRUE;
  self->callbacks.data = NULL;
  self->wants_session = FALSE;
  leave_session (self);
  g_mutex_unlock (&self->lock);
  close_left (self, bin);
}

gboolean
seed_decode_stream_part (SeedDecodeStream *self, SeedDecodePart part)
{
  gboolean both;

  g_mutex_lock (&self->lock);
  self->parts |= part;
  both = self->parts == (SEED_DECODE_REMOVED | SEED_DECODE_END_SAID);
  g_mutex_unlock (&self->lock);
  return both;
}

gboolean
seed_decode_stream_wait_closed (SeedDecodeStream *self, gint64 end)
{
  gboolean closed;

  g_mutex_lock (&self->lock);
  while (self->n_closing > 0 && g_cond_wait_until (&self->all_closed, &self->lock, end))
    ;
  closed = self->n_closing == 0;
  g_mutex_unlock (&self->lock);
  return closed;
}

void
seed_decode_stream_delivered (SeedDecodeStream *self, GstBuffer *buffer, GstCaps *caps)
{
  g_mutex_lock (&self->lock);
  seed_meter_count (&self->fps_out, seed_decode_now_ms ());
  gst_buffer_replace (&self->last_buffer, buffer);
  gst_caps_replace (&self->last_caps, caps);
  g_mutex_unlock (&self->lock);
}

GstSample *
seed_decode_stream_snapshot (SeedDecodeStream *self)
{
  g_autoptr (GstBuffer) buffer = NULL;
  g_autoptr (GstCaps) caps = NULL;
  gpointer state = NULL;
  SeedStreamMeta *meta;
  GstStructure *info;

  g_mutex_lock (&self->lock);
  gst_buffer_replace (&buffer, self->last_buffer);
  gst_caps_replace (&caps, self->last_caps);
  g_mutex_unlock (&self->lock);
  if (!buffer)
    return NULL;
  meta = seed_buffer_iterate_stream_meta (buffer, &state);
  info = gst_structure_new ("frame", "stream", G_TYPE_STRING, self->spec->id, "frame",
      G_TYPE_UINT64, meta->frame, "pts", G_TYPE_UINT64, meta->pts, "capture-ns", G_TYPE_INT64,
      meta->capture_ns, NULL);
  return gst_sample_new (buffer, caps, NULL, info);
}

/* --- what it is ------------------------------------------------------------------------------- */

const char *
seed_decode_stream_get_id (SeedDecodeStream *self)
{
  return self->spec->id;
}

gboolean
seed_decode_stream_has_ended (SeedDecodeStream *self)
{
  gboolean ended;

  g_mutex_lock (&self->lock);
  ended = self->machine.state == SEED_STREAM_ENDED;
  g_mutex_unlock (&self->lock);
  return ended;
}

gboolean
seed_decode_stream_has_failed (SeedDecodeStream *self, char **reason)
{
  gboolean failed;

  g_mutex_lock (&self->lock);
  failed = self->machine.state == SEED_STREAM_ENDED && self->machine.failed;
  if (reason)
    *reason = g_strdup (self->machine.state == SEED_STREAM_UP ? "" : self->reason);
  g_mutex_unlock (&self->lock);
  return failed;
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

GstPad *
seed_decode_stream_get_pad (SeedDecodeStream *self)
{
  GstPad *pad = NULL;

  g_mutex_lock (&self->lock);
  if (self->session)
    pad = gst_object_ref (seed_decode_session_peek_pad (self->session));
  g_mutex_unlock (&self->lock);
  return pad;
}

static void
add_picture_stats (SeedDecodeStream *self, GstStructure *stats)
{
  g_autofree char *caps = NULL, *size = NULL;
  const GstStructure *s = self->caps ? gst_caps_get_structure (self->caps, 0) : NULL;
  int width = 0, height = 0;

  if (s && gst_structure_get (s, "width", G_TYPE_INT, &width, "height", G_TYPE_INT, &height, NULL))
    size = g_strdup_printf ("%dx%d", width, height);
  caps = self->caps ? gst_caps_to_string (self->caps) : NULL;
  gst_structure_set (stats, "codec", G_TYPE_STRING, self->codec ? self->codec : "", "size",
      G_TYPE_STRING, size ? size : "", "caps", G_TYPE_STRING, caps ? caps : "", NULL);
}

/* "state" is one of the machine's; how long things have been so is in ms, -1 for never. */
GstStructure *
seed_decode_stream_get_stats (SeedDecodeStream *self)
{
  gint64 now = seed_decode_now_ms ();
  GstStructure *stats;
  gboolean is_up;

  g_mutex_lock (&self->lock);
  is_up = self->machine.state == SEED_STREAM_UP;
  stats = gst_structure_new ("stream", "state", G_TYPE_STRING,
      seed_stream_state_name (self->machine.state), "failed", G_TYPE_BOOLEAN,
      self->machine.state == SEED_STREAM_ENDED && self->machine.failed, "live", G_TYPE_BOOLEAN,
      self->live, "reconnect", G_TYPE_BOOLEAN, self->machine.policy.reconnect, "attempts",
      G_TYPE_UINT, self->machine.attempts, "retry-in-ms", G_TYPE_INT64,
      self->machine.state == SEED_STREAM_BACKING_OFF
          ? MAX (seed_stream_machine_deadline (&self->machine) - now, 0)
          : -1,
      "outages", G_TYPE_UINT, self->machine.outages, "last-error", G_TYPE_STRING,
      self->last_error ? self->last_error : "", "age-ms", G_TYPE_INT64,
      self->last_frame_ms < 0 ? -1 : now - self->last_frame_ms, "uptime-ms", G_TYPE_INT64,
      is_up ? now - self->machine.since_ms : -1, "fps-in", G_TYPE_DOUBLE,
      seed_meter_rate (&self->fps_in, now), "fps-out", G_TYPE_DOUBLE,
      seed_meter_rate (&self->fps_out, now), "frames", G_TYPE_UINT64, self->n_decoded, "passes",
      G_TYPE_UINT, self->passes, "decode-errors", G_TYPE_UINT, self->decode_errors, "capture-clock",
      G_TYPE_STRING, self->n_source_times > 0 ? "source" : "arrival", "reason", G_TYPE_STRING,
      is_up ? "" : self->reason, NULL);
  add_picture_stats (self, stats);
  g_mutex_unlock (&self->lock);
  return stats;
}

/* --- life ------------------------------------------------------------------------------------- */

SeedDecodeStream *
seed_decode_stream_ref (SeedDecodeStream *self)
{
  g_atomic_ref_count_inc (&self->refs);
  return self;
}

void
seed_decode_stream_unref (SeedDecodeStream *self)
{
  if (!self || !g_atomic_ref_count_dec (&self->refs))
    return;
  g_warn_if_fail (!self->session && self->left->len == 0);
  g_ptr_array_unref (self->left);
  seed_lane_unref (self->lane);
  seed_stream_spec_free (self->spec);
  seed_ledger_unref (self->ledger);
  gst_buffer_replace (&self->last_buffer, NULL);
  gst_caps_replace (&self->last_caps, NULL);
  gst_caps_replace (&self->caps, NULL);
  g_free (self->reason);
  g_free (self->last_error);
  g_free (self->codec);
  g_cond_clear (&self->all_closed);
  g_mutex_clear (&self->lock);
  g_free (self);
}

SeedDecodeStream *
seed_decode_stream_new (const SeedStreamSpec *spec, SeedLanes *lanes, guint n_queued,
    SeedLedger *ledger, const SeedDecodeStreamCallbacks *callbacks)
{
  SeedDecodeStream *self = g_new0 (SeedDecodeStream, 1);
  SeedStreamPolicy policy;

  self->lane = seed_lanes_add (lanes, self);
  if (!self->lane) {
    g_free (self);
    return NULL;
  }
  g_atomic_ref_count_init (&self->refs);
  g_mutex_init (&self->lock);
  g_cond_init (&self->all_closed);
  self->left = g_ptr_array_new_with_free_func (gst_object_unref);
  self->spec = seed_stream_spec_copy (spec);
  self->live = seed_stream_spec_is_live (spec);
  self->n_queued = n_queued;
  self->ledger = seed_ledger_ref (ledger);
  self->callbacks = *callbacks;
  self->state = GST_STATE_PAUSED;
  self->reason = g_strdup ("");
  self->last_frame_ms = -1;
  seed_rate_cap_init (&self->cap, MAX (spec->max_fps, 0));
  seed_timeline_init (&self->timeline);
  seed_meter_init (&self->fps_in);
  seed_meter_init (&self->fps_out);
  seed_stream_spec_get_policy (spec, &policy);
  seed_stream_machine_init (&self->machine, &policy, g_random_int ());
  seed_stream_machine_hold (&self->machine); /* until PLAYING */
  seed_stream_machine_start (&self->machine, seed_decode_now_ms ());
  self->wants_session = TRUE;
  return self;
}
