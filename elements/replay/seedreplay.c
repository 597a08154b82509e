/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-seedreplay
 * @title: seedreplay
 * @short_description: mixes live frames with remembered ones, so that learning sees all of the past
 *
 * Frames of a stream are much alike one after the other; who learns from them in that order forgets
 * what came before. This element remembers frames, each stream's uniformly over its past, and gives
 * out, after each live frame, as many remembered ones as live-share asks for: with the default of
 * 0.5, one. Any run of n frames that it gives out holds at most ceil (live-share n) live ones, once
 * the memory is warm: holds warm-up frames or is half full. Until then live frames pass alone,
 * rather than the same few again and again; and no remembered frame comes again before half of the
 * memory has had its turn. All of it is a function of the seed and of the frames that come.
 *
 * Remembered frames keep their stream meta; its repeat says for which time they come from memory,
 * so that each time other crops are cut from them. They are kept in the format they came in, made
 * smaller when the longer side is above max-size, and have caps of their own: caps change on the
 * pad between live and remembered frames. Their buffers have the PTS of the live frame before.
 *
 * When several streams fill the memory, each has the same share of it; one that has ended
 * (seed-event stream-down) keeps half of one. A frame that looks like one that is held of its
 * stream (duplicate-likeness) is not remembered. No embedding exists yet where this element stands,
 * and one sent back would make what is remembered depend on timing, so likeness is that of 16x16
 * luma thumbnails (see signature.h).
 *
 * With a spool the memory outlives the element: it is read in the state change to PAUSED, and a
 * file that is damaged is an error. Without one what is remembered is forgotten in READY. A flush
 * forgets nothing. When the spool cannot be written there is a warning, and a "seed-event" named
 * alarm downstream, and the memory goes on without it until it can be.
 *
 * With stride=auto only every n-th frame of a stream goes through, n between min-stride and
 * max-stride: it doubles when an upstream event "seed-agreement" says that the student agrees more
 * than agree, halves when less; "seed-scene-cut" sends it back to min-stride. What is left out is
 * neither remembered nor followed by remembered frames.
 *
 * Ledger: a remembered frame counts as in when it comes out of memory, and as out when it leaves.
 * in = out + dropped holds for both kinds together; replayed in stats is the part of remembered
 * ones, and the rest are live.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 seeddecode uri=file:///srv/clip.mp4 ! seedreplay capacity=256 live-share=0.25 !
 * videoconvert ! videoscale ! autovideosink
 * ]|
 *
 * Since: 0.1
 */
#include "core/event.h"
#include "replay/seedreplay.h"

GST_DEBUG_CATEGORY (seed_replay_debug);
#define GST_CAT_DEFAULT seed_replay_debug

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_REPLAY_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_REPLAY_CAPS));

G_DEFINE_TYPE (SeedReplayElement, seed_replay_element, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE (seedreplay, "seedreplay", GST_RANK_NONE, SEED_TYPE_REPLAY_ELEMENT)

/* --- states ------------------------------------------------------------------------------------
 */

/* What cannot be true together. */
static const char *
contradiction (const SeedReplaySettings *s)
{
  if (s->min_stride > s->max_stride)
    return "min-stride is above max-stride";
  if (s->deterministic && s->stride == SEED_REPLAY_STRIDE_AUTO)
    return "stride: auto follows the student when it is ready, so no run is like another; leave it "
           "out of a deterministic one";
  if (s->deterministic && s->duplicates == SEED_REPLAY_DUPLICATES_DROP)
    return "duplicates: drop keeps frames from the learner that a follower counts on in a "
           "deterministic run; use duplicates: pass";
  return NULL;
}

static gboolean
check_settings (SeedReplayElement *self)
{
  SeedReplaySettings settings;
  const char *problem;

  GST_OBJECT_LOCK (self);
  settings = self->settings;
  GST_OBJECT_UNLOCK (self);
  problem = contradiction (&settings);
  if (problem)
    GST_ELEMENT_ERROR (
        self, RESOURCE, SETTINGS, ("Stage %s: %s", GST_OBJECT_NAME (self), problem), (NULL));
  return !problem;
}

static gboolean
check_kept (const char *format, gsize n_bytes, gpointer data, GError **error)
{
  g_autoptr (GstCaps) caps = seed_shrink_parse (format, n_bytes, error);

  return caps != NULL;
}

/* under the lock */
static gboolean
open_spool (SeedReplayElement *self, const char *path, GError **error)
{
  if (!path || !*path)
    return TRUE;
  self->spool = seed_spool_open (path, self->replay, check_kept, NULL, error);
  if (self->spool)
    GST_INFO_OBJECT (self, "%s: %u frames, %" G_GUINT64_FORMAT " bytes torn off at the end", path,
        seed_replay_n_held (self->replay), seed_spool_torn (self->spool));
  return self->spool != NULL;
}

static gboolean
start (SeedReplayElement *self)
{
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  SeedReplayConfig config;

  g_mutex_lock (&self->lock);
  GST_OBJECT_LOCK (self);
  self->used = self->settings;
  path = g_strdup (self->spool_path);
  GST_OBJECT_UNLOCK (self);
  config = (SeedReplayConfig){ .capacity = self->used.capacity,
    .capacity_bytes = (guint64) self->used.capacity_mb << 20,
    .warm_up = self->used.warm_up,
    .live_share = self->used.live_share,
    .likeness = self->used.likeness,
    .seed = self->used.seed };
  self->replay = seed_replay_new (&config);
  if (self->used.stride == SEED_REPLAY_STRIDE_AUTO)
    self->stride = seed_stride_new (self->used.min_stride, self->used.max_stride, self->used.agree);
  self->n_live = self->n_replayed = self->n_refused = 0;
  open_spool (self, path, &error);
  g_mutex_unlock (&self->lock);
  self->shrink = seed_shrink_new (self->used.max_size);
  self->anonymous = 0;
  self->bad_frame = FALSE;
  if (error)
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ_WRITE,
        ("Stage %s: spool: %s", GST_OBJECT_NAME (self), error->message), (NULL));
  return !error;
}

/* The pads are inactive: nothing runs. */
static void
stop (SeedReplayElement *self)
{
  g_autoptr (GError) error = NULL;

  g_mutex_lock (&self->lock);
  seed_spool_close (g_steal_pointer (&self->spool), &error);
  g_clear_pointer (&self->replay, seed_replay_free);
  g_clear_pointer (&self->stride, seed_stride_free);
  g_mutex_unlock (&self->lock);
  self->format = NULL;
  g_clear_pointer (&self->shrink, seed_shrink_free);
  g_array_set_size (self->due, 0);
  gst_clear_caps (&self->caps);
  gst_clear_caps (&self->sent);
  gst_clear_caps (&self->kept_caps);
  g_clear_pointer (&self->kept_format, g_ref_string_release);
  if (error)
    GST_ELEMENT_WARNING (self, RESOURCE, WRITE,
        ("Stage %s: what was remembered last may be lost: %s", GST_OBJECT_NAME (self),
            error->message),
        (NULL));
}

static GstStateChangeReturn
seed_replay_element_change_state (GstElement *element, GstStateChange transition)
{
  SeedReplayElement *self = SEED_REPLAY_ELEMENT (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !check_settings (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && (!check_settings (self) || !start (self))) {
    stop (self);
    return GST_STATE_CHANGE_FAILURE;
  }
  ret = GST_ELEMENT_CLASS (seed_replay_element_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (transition == GST_STATE_CHANGE_READY_TO_PAUSED && ret == GST_STATE_CHANGE_FAILURE))
    stop (self);
  return ret;
}

/* --- pads --------------------------------------------------------------------------------------
 */

static void
handle_seed_event (SeedReplayElement *self, GstEvent *event)
{
  SeedEvent parsed;

  if (seed_event_parse (event, &parsed) && g_str_equal (parsed.event, "stream-down"))
    seed_replay_element_stream_down (self, parsed.stream);
}

static gboolean
seed_replay_element_sink_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  SeedReplayElement *self = SEED_REPLAY_ELEMENT (parent);
  GstCaps *caps;
  gboolean ok;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_CAPS:
    gst_event_parse_caps (event, &caps);
    ok = seed_replay_element_set_caps (self, caps);
    gst_event_unref (event);
    return ok;
  case GST_EVENT_CUSTOM_DOWNSTREAM:
    handle_seed_event (self, event);
    break;
  case GST_EVENT_EOS:
    seed_replay_element_epilogue (self);
    break;
  default:
    break;
  }
  return gst_pad_event_default (pad, parent, event);
}

/* TRUE: it was about the stride of this element, and goes no further. */
static gboolean
handle_advice (SeedReplayElement *self, GstEvent *event)
{
  const char *stream;
  double agreement;
  guint64 step;
  gboolean mine = FALSE;

  g_mutex_lock (&self->lock);
  if (self->stride && seed_agreement_event_parse (event, &agreement, &step, &stream)) {
    seed_stride_agree (self->stride, agreement, step, stream);
    mine = TRUE;
  } else if (self->stride && seed_scene_cut_event_parse (event, &stream)) {
    seed_stride_cut (self->stride, stream);
    mine = TRUE;
  }
  g_mutex_unlock (&self->lock);
  return mine;
}

static gboolean
seed_replay_element_src_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_UPSTREAM &&
      handle_advice (SEED_REPLAY_ELEMENT (parent), event)) {
    gst_event_unref (event);
    return TRUE;
  }
  return gst_pad_event_default (pad, parent, event);
}

static GstFlowReturn
seed_replay_element_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  return seed_replay_element_frame (SEED_REPLAY_ELEMENT (parent), buffer);
}

/* --- class -------------------------------------------------------------------------------------
 */

static void
seed_replay_element_finalize (GObject *object)
{
  SeedReplayElement *self = SEED_REPLAY_ELEMENT (object);

  g_array_unref (self->due);
  g_free (self->spool_path);
  g_mutex_clear (&self->lock);
  seed_ledger_unref (self->ledger);
  G_OBJECT_CLASS (seed_replay_element_parent_class)->finalize (object);
}

static void
seed_replay_element_class_init (SeedReplayElementClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (seed_replay_debug, "seedreplay", 0, "SEED memory of frames");
  object_class->finalize = seed_replay_element_finalize;
  seed_replay_element_install_properties (object_class);
  element_class->change_state = GST_DEBUG_FUNCPTR (seed_replay_element_change_state);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED memory of frames", "Filter/Video",
      "Mixes live frames with remembered ones", "SEED");
}

static void
seed_replay_element_init (SeedReplayElement *self)
{
  g_mutex_init (&self->lock);
  self->ledger = seed_ledger_new ();
  self->due = g_array_new (FALSE, FALSE, sizeof (SeedReplayDue));
  seed_replay_element_init_settings (self);

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, seed_replay_element_chain);
  gst_pad_set_event_function (self->sinkpad, seed_replay_element_sink_event);
  GST_PAD_SET_PROXY_CAPS (self->sinkpad);
  GST_PAD_SET_PROXY_ALLOCATION (self->sinkpad);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_event_function (self->srcpad, seed_replay_element_src_event);
  GST_PAD_SET_PROXY_CAPS (self->srcpad);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}
