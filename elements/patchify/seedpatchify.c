/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-seedpatchify
 * @title: seedpatchify
 * @short_description: cuts frames into the words a vision transformer reads
 *
 * Resamples every frame to the square a model wants, antialiased, and lays it out as uint8 words
 * [batch, views, N, 3*P*P]. I420 and NV12 are resampled plane by plane before anything becomes RGB;
 * matrix, range and chroma siting are those of the caps (unknown siting counts as MPEG-2's). Alpha
 * is not looked at, interlaced frames are taken as they are.
 *
 * Image size, patch size, interpolation and fit are what downstream asks for in its caps;
 * properties narrow that down. Frames of any number of streams, sizes and formats may alternate,
 * with a caps event before each change: a batch goes on across it. When the geometry itself
 * changes, a partial batch is pushed first in the old one if downstream still takes that, else
 * dropped as "flushed". A partial batch is pushed before EOS and before a segment that differs from
 * the last; it is dropped as "flushed" by a flush and by going to READY. Other serialized events
 * are not held back by it.
 *
 * A model may want to see less than fit leaves of the frame: resize-size and crop-size in its caps,
 * see seed_patches_info_from_caps().
 *
 * With augment, each view is a random crop of what fit leaves of the frame, stretched to the
 * square: of the whole frame for squash (which augment chooses unless told otherwise) and letterbox
 * (which then adds no bars, they would tell the views apart), of the centred square for crop. With
 * reference-view the first view is all of that. Words of more than one view say in a #SeedViewMeta
 * per item what each view shows of the frame.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=10 ! seedpatchify batch=4 ! fakesink
 * ]|
 * Three buffers: 4, 4 and 2 frames.
 *
 * Since: 0.1
 */
#include <string.h>

#include "core/caps.h"
#include "core/caption-meta.h"
#include "core/event.h"
#include "core/stream-meta.h"
#include "patchify/seedpatchify.h"

#define DEFAULT_VIEWS 1
#define DEFAULT_BATCH 1
#define DEFAULT_BATCH_DEADLINE_MS 0
#define DEFAULT_AUGMENT FALSE
#define DEFAULT_REFERENCE_VIEW FALSE
#define DEFAULT_FIT SEED_PATCHIFY_FIT_AUTO
#define DEFAULT_INTERPOLATION SEED_PATCHIFY_INTERPOLATION_AUTO
#define DEFAULT_IMAGE_SIZE 0
#define DEFAULT_PATCH_SIZE 0
#define DEFAULT_SEED 0

#define MAX_DEADLINE_MS (24u * 3600 * 1000)

GST_DEBUG_CATEGORY (seed_patchify_debug);
#define GST_CAT_DEFAULT seed_patchify_debug

enum {
  PROP_0,
  PROP_VIEWS,
  PROP_BATCH,
  PROP_BATCH_DEADLINE_MS,
  PROP_AUGMENT,
  PROP_REFERENCE_VIEW,
  PROP_MIN_CROP,
  PROP_COLOUR,
  PROP_FIT,
  PROP_INTERPOLATION,
  PROP_IMAGE_SIZE,
  PROP_PATCH_SIZE,
  PROP_SEED,
  PROP_LEDGER,
  PROP_STATS,
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
        GST_STATIC_CAPS ("video/x-raw, format=(string)" SEED_INPUT_FORMATS
                         ", width=(int)[ 1, 16384 ], height=(int)[ 1, 16384 ], "
                         "framerate=(fraction)[ 0/1, 2147483647/1 ]"));

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_PATCHES_TEMPLATE_CAPS));

G_DEFINE_TYPE (SeedPatchify, seed_patchify, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE (seedpatchify, "seedpatchify", GST_RANK_NONE, SEED_TYPE_PATCHIFY)

#define SEED_TYPE_PATCHIFY_FIT (seed_patchify_fit_get_type ())
static GType
seed_patchify_fit_get_type (void)
{
  static const GEnumValue values[] = {
    { SEED_PATCHIFY_FIT_AUTO, "What downstream asks for, else squash", "auto" },
    { SEED_PATCHIFY_FIT_SQUASH, "The whole frame, aspect given up", "squash" },
    { SEED_PATCHIFY_FIT_CROP, "The centred square of the shorter side", "crop" },
    { SEED_PATCHIFY_FIT_LETTERBOX, "The whole frame, padded with mid-grey", "letterbox" },
    { 0, NULL, NULL },
  };
  static gsize type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("SeedPatchifyFit", values));
  return type;
}

#define SEED_TYPE_PATCHIFY_INTERPOLATION (seed_patchify_interpolation_get_type ())
static GType
seed_patchify_interpolation_get_type (void)
{
  static const GEnumValue values[] = {
    { SEED_PATCHIFY_INTERPOLATION_AUTO, "What downstream asks for, else bilinear", "auto" },
    { SEED_PATCHIFY_INTERPOLATION_BILINEAR, "Antialiased bilinear", "bilinear" },
    { SEED_PATCHIFY_INTERPOLATION_BICUBIC, "Antialiased bicubic (a = -0.5)", "bicubic" },
    { 0, NULL, NULL },
  };
  static gsize type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("SeedPatchifyInterpolation", values));
  return type;
}

static void seed_patchify_finalize (GObject *object);
static void
seed_patchify_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec);
static void
seed_patchify_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec);
static GstStateChangeReturn
seed_patchify_change_state (GstElement *element, GstStateChange transition);
static GstFlowReturn seed_patchify_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer);
static gboolean seed_patchify_sink_event (GstPad *pad, GstObject *parent, GstEvent *event);
static gboolean seed_patchify_sink_query (GstPad *pad, GstObject *parent, GstQuery *query);
static gboolean seed_patchify_src_query (GstPad *pad, GstObject *parent, GstQuery *query);

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags rw = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;
  const GParamFlags ro = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  g_object_class_install_property (object_class, PROP_VIEWS,
      g_param_spec_uint ("views", "Views",
          "Views of each frame; without augment they are all the same", 1, 16, DEFAULT_VIEWS, rw));
  g_object_class_install_property (object_class, PROP_BATCH,
      g_param_spec_uint ("batch", "Batch", "Frames in one buffer; the last may hold fewer", 1, 4096,
          DEFAULT_BATCH, rw));
  g_object_class_install_property (object_class, PROP_BATCH_DEADLINE_MS,
      g_param_spec_uint ("batch-deadline-ms", "Batch deadline",
          "Push a partial batch this many ms after its first frame came (0 = wait for a full one)",
          0, MAX_DEADLINE_MS, DEFAULT_BATCH_DEADLINE_MS, rw));
  g_object_class_install_property (object_class, PROP_AUGMENT,
      g_param_spec_boolean ("augment", "Augment",
          "Make each view a random crop, flipped and coloured at random, the same for the same "
          "seed, stream, frame number and view",
          DEFAULT_AUGMENT, rw));
  g_object_class_install_property (object_class, PROP_REFERENCE_VIEW,
      g_param_spec_boolean ("reference-view", "Reference view",
          "With augment: make the first view all of what the others are crops of, not flipped and "
          "in its own colours, as learning image anchors wants it",
          DEFAULT_REFERENCE_VIEW, rw));
  g_object_class_install_property (object_class, PROP_MIN_CROP,
      g_param_spec_double ("min-crop", "Smallest crop",
          "With augment: the smallest crop, as a share of the area that crops are taken of", 0.01,
          1.0, SEED_AUGMENT_MIN_CROP, rw));
  g_object_class_install_property (object_class, PROP_COLOUR,
      g_param_spec_double ("colour", "Colour",
          "With augment: how much colours are changed, 0 (not at all) to 1", 0.0, 1.0, 1.0, rw));
  g_object_class_install_property (object_class, PROP_FIT,
      g_param_spec_enum (
          "fit", "Fit", "How a frame becomes a square", SEED_TYPE_PATCHIFY_FIT, DEFAULT_FIT, rw));
  g_object_class_install_property (object_class, PROP_INTERPOLATION,
      g_param_spec_enum ("interpolation", "Interpolation", "Filter of the resampling",
          SEED_TYPE_PATCHIFY_INTERPOLATION, DEFAULT_INTERPOLATION, rw));
  g_object_class_install_property (object_class, PROP_IMAGE_SIZE,
      g_param_spec_uint ("image-size", "Image size",
          "Side of the square in pixels, 8 or more (0 = what downstream asks for, else 224)", 0,
          4096, DEFAULT_IMAGE_SIZE, rw));
  g_object_class_install_property (object_class, PROP_PATCH_SIZE,
      g_param_spec_uint ("patch-size", "Patch size",
          "Side of a word in pixels, 4 or more (0 = what downstream asks for, else 16)", 0, 64,
          DEFAULT_PATCH_SIZE, rw));
  g_object_class_install_property (object_class, PROP_SEED,
      g_param_spec_uint64 (
          "seed", "Seed", "Seed of augment's draws", 0, G_MAXUINT64, DEFAULT_SEED, rw));
  g_object_class_install_property (object_class, PROP_LEDGER,
      g_param_spec_boxed (
          "ledger", "Ledger", "Frames in, out and dropped, per stream", SEED_TYPE_LEDGER, ro));
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Buffers pushed (batches), those not full (partial-batches), those of them pushed by the "
          "deadline (deadline-batches), and the image-size and patch-size agreed on (0 before)",
          GST_TYPE_STRUCTURE, ro));
}

static void
seed_patchify_class_init (SeedPatchifyClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (seed_patchify_debug, "seedpatchify", 0, "SEED patchify");
  object_class->finalize = seed_patchify_finalize;
  object_class->set_property = seed_patchify_set_property;
  object_class->get_property = seed_patchify_get_property;
  element_class->change_state = seed_patchify_change_state;
  install_properties (object_class);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED patchify",
      "Filter/Converter/Video/Scaler", "Cuts frames into the words a vision transformer reads",
      "SEED");
  gst_type_mark_as_plugin_api (SEED_TYPE_PATCHIFY_FIT, 0);
  gst_type_mark_as_plugin_api (SEED_TYPE_PATCHIFY_INTERPOLATION, 0);
}

static void
seed_patchify_init (SeedPatchify *self)
{
  self->settings = (SeedPatchifySettings){ .views = DEFAULT_VIEWS,
    .batch = DEFAULT_BATCH,
    .deadline_ms = DEFAULT_BATCH_DEADLINE_MS,
    .augment = DEFAULT_AUGMENT,
    .reference_view = DEFAULT_REFERENCE_VIEW,
    .limits = SEED_AUGMENT_DEFAULT_LIMITS,
    .fit = DEFAULT_FIT,
    .interpolation = DEFAULT_INTERPOLATION,
    .image_size = DEFAULT_IMAGE_SIZE,
    .patch_size = DEFAULT_PATCH_SIZE,
    .seed = DEFAULT_SEED };
  self->ledger = seed_ledger_new ();

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, seed_patchify_chain);
  gst_pad_set_event_function (self->sinkpad, seed_patchify_sink_event);
  gst_pad_set_query_function (self->sinkpad, seed_patchify_sink_query);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);

  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_set_query_function (self->srcpad, seed_patchify_src_query);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}

static void
seed_patchify_finalize (GObject *object)
{
  SeedPatchify *self = SEED_PATCHIFY (object);

  seed_ledger_unref (self->ledger);
  G_OBJECT_CLASS (seed_patchify_parent_class)->finalize (object);
}

/* --- properties --------------------------------------------------------------------------------
 */

/* What goes into caps is agreed on anew before the next frame; the rest is read for each frame. */
static void
seed_patchify_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  SeedPatchify *self = SEED_PATCHIFY (object);
  SeedPatchifySettings *s = &self->settings;
  gboolean in_caps = TRUE;

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_VIEWS:
    s->views = g_value_get_uint (value);
    break;
  case PROP_BATCH:
    s->batch = g_value_get_uint (value);
    break;
  case PROP_BATCH_DEADLINE_MS:
    s->deadline_ms = g_value_get_uint (value);
    in_caps = FALSE;
    break;
  case PROP_AUGMENT:
    s->augment = g_value_get_boolean (value);
    in_caps = FALSE;
    break;
  case PROP_REFERENCE_VIEW:
    s->reference_view = g_value_get_boolean (value);
    in_caps = FALSE;
    break;
  case PROP_COLOUR:
    s->limits.colour = g_value_get_double (value);
    in_caps = FALSE;
    break;
  case PROP_MIN_CROP:
    s->limits.min_crop = g_value_get_double (value);
    in_caps = FALSE;
    break;
  case PROP_FIT:
    s->fit = (SeedPatchifyFit) g_value_get_enum (value);
    break;
  case PROP_INTERPOLATION:
    s->interpolation = (SeedPatchifyInterpolation) g_value_get_enum (value);
    break;
  case PROP_IMAGE_SIZE:
    s->image_size = g_value_get_uint (value);
    break;
  case PROP_PATCH_SIZE:
    s->patch_size = g_value_get_uint (value);
    break;
  case PROP_SEED:
    s->seed = g_value_get_uint64 (value);
    in_caps = FALSE;
    break;
  default:
    in_caps = FALSE;
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  GST_OBJECT_UNLOCK (self);
  if (in_caps)
    gst_pad_mark_reconfigure (self->srcpad);
}

static GstStructure *
stats_locked (SeedPatchify *self)
{
  return gst_structure_new ("application/x-seed-stats", "batches", G_TYPE_UINT64,
      self->stats.batches, "partial-batches", G_TYPE_UINT64, self->stats.partial,
      "deadline-batches", G_TYPE_UINT64, self->stats.by_deadline, "image-size", G_TYPE_UINT,
      self->stats.image_size, "patch-size", G_TYPE_UINT, self->stats.patch_size, NULL);
}

static void
seed_patchify_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  SeedPatchify *self = SEED_PATCHIFY (object);
  const SeedPatchifySettings *s = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_VIEWS:
    g_value_set_uint (value, s->views);
    break;
  case PROP_BATCH:
    g_value_set_uint (value, s->batch);
    break;
  case PROP_BATCH_DEADLINE_MS:
    g_value_set_uint (value, s->deadline_ms);
    break;
  case PROP_AUGMENT:
    g_value_set_boolean (value, s->augment);
    break;
  case PROP_REFERENCE_VIEW:
    g_value_set_boolean (value, s->reference_view);
    break;
  case PROP_COLOUR:
    g_value_set_double (value, s->limits.colour);
    break;
  case PROP_MIN_CROP:
    g_value_set_double (value, s->limits.min_crop);
    break;
  case PROP_FIT:
    g_value_set_enum (value, s->fit);
    break;
  case PROP_INTERPOLATION:
    g_value_set_enum (value, s->interpolation);
    break;
  case PROP_IMAGE_SIZE:
    g_value_set_uint (value, s->image_size);
    break;
  case PROP_PATCH_SIZE:
    g_value_set_uint (value, s->patch_size);
    break;
  case PROP_SEED:
    g_value_set_uint64 (value, s->seed);
    break;
  case PROP_LEDGER:
    g_value_set_boxed (value, self->ledger);
    break;
  case PROP_STATS:
    g_value_take_boxed (value, stats_locked (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    break;
  }
  GST_OBJECT_UNLOCK (self);
}

/* --- states ------------------------------------------------------------------------------------
 */

static void
start (SeedPatchify *self)
{
  self->input = NULL;
  self->anonymous = 0;
  self->bad_frame = FALSE;
  seed_patchify_batch_start (self);
}

/* The pads are inactive: nothing runs but, perhaps, the deadline's thread, which this ends. */
static void
stop (SeedPatchify *self)
{
  g_clear_pointer (&self->deadline, seed_deadline_free);
  seed_patchify_batch_drop (self);
  seed_patchify_forget_geometry (self);
  seed_input_cache_clear (&self->inputs);
  self->input = NULL;
}

static GstStateChangeReturn
seed_patchify_change_state (GstElement *element, GstStateChange transition)
{
  SeedPatchify *self = SEED_PATCHIFY (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED)
    start (self);
  ret = GST_ELEMENT_CLASS (seed_patchify_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (transition == GST_STATE_CHANGE_READY_TO_PAUSED && ret == GST_STATE_CHANGE_FAILURE))
    stop (self);
  return ret;
}

SeedPatchifySettings
seed_patchify_settings (SeedPatchify *self)
{
  SeedPatchifySettings settings;

  GST_OBJECT_LOCK (self);
  settings = self->settings;
  GST_OBJECT_UNLOCK (self);
  return settings;
}

/* --- queries -----------------------------------------------------------------------------------
 */

static gboolean
seed_patchify_sink_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_ALLOCATION)
    return gst_pad_query_default (pad, parent, query);
  gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL); /* any strides will do */
  return TRUE;
}

/* The longest a frame waits for the rest of its batch, as far as it is known. */
static GstClockTime
longest_wait (SeedPatchify *self)
{
  GstClockTime wait;

  GST_OBJECT_LOCK (self);
  if (self->settings.batch == 1)
    wait = 0;
  else if (self->settings.deadline_ms > 0)
    wait = self->settings.deadline_ms * GST_MSECOND;
  else
    wait = (self->settings.batch - 1) * self->frame_duration;
  GST_OBJECT_UNLOCK (self);
  return wait;
}

static gboolean
query_latency (SeedPatchify *self, GstQuery *query)
{
  GstClockTime min, max, wait = longest_wait (self);
  gboolean live;

  if (!gst_pad_peer_query (self->sinkpad, query))
    return FALSE;
  gst_query_parse_latency (query, &live, &min, &max);
  min += wait;
  if (GST_CLOCK_TIME_IS_VALID (max))
    max += wait;
  gst_query_set_latency (query, live, min, max);
  return TRUE;
}

static void
query_caps (SeedPatchify *self, GstQuery *query)
{
  g_autoptr (GstCaps) caps = seed_patchify_possible_caps (self);
  GstCaps *filter;

  gst_query_parse_caps (query, &filter);
  if (filter) {
    GstCaps *all = caps;

    caps = gst_caps_intersect_full (filter, all, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref (all);
  }
  gst_query_set_caps_result (query, caps);
}

static gboolean
seed_patchify_src_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  SeedPatchify *self = SEED_PATCHIFY (parent);

  switch (GST_QUERY_TYPE (query)) {
  case GST_QUERY_LATENCY:
    return query_latency (self, query);
  case GST_QUERY_CAPS:
    query_caps (self, query);
    return TRUE;
  default:
    return gst_pad_query_default (pad, parent, query);
  }
}

/* --- events ------------------------------------------------------------------------------------
 */

/* Of the frames to come, not of the batch: nothing is pushed or flushed. */
static gboolean
handle_caps (SeedPatchify *self, GstCaps *caps)
{
  self->input = seed_input_cache_get (&self->inputs, caps);
  if (!self->input) {
    GST_WARNING_OBJECT (self, "refused caps %" GST_PTR_FORMAT, caps);
    return FALSE;
  }
  GST_OBJECT_LOCK (self);
  self->frame_duration = self->input->info.fps_n > 0
                             ? gst_util_uint64_scale (GST_SECOND, (guint64) self->input->info.fps_d,
                                   (guint64) self->input->info.fps_n)
                             : 0;
  GST_OBJECT_UNLOCK (self);
  return seed_patchify_negotiate (self) == GST_FLOW_OK;
}

/* Times of a batch are in the segment its frames came in. */
static void
handle_segment (SeedPatchify *self, GstEvent *event)
{
  const GstSegment *segment;
  g_autoptr (GstEvent) last = gst_pad_get_sticky_event (self->srcpad, GST_EVENT_SEGMENT, 0);
  const GstSegment *last_segment;

  if (!last)
    return;
  gst_event_parse_segment (event, &segment);
  gst_event_parse_segment (last, &last_segment);
  if (!gst_segment_is_equal (segment, last_segment))
    seed_patchify_batch_push (self);
}

static gboolean
seed_patchify_sink_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  SeedPatchify *self = SEED_PATCHIFY (parent);
  GstCaps *caps;
  gboolean ok;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_CAPS:
    gst_event_parse_caps (event, &caps);
    ok = handle_caps (self, caps);
    gst_event_unref (event);
    return ok;
  case GST_EVENT_SEGMENT:
    handle_segment (self, event);
    break;
  case GST_EVENT_EOS:
  case GST_EVENT_SEGMENT_DONE:
    seed_patchify_batch_push (self);
    break;
  case GST_EVENT_FLUSH_STOP:
    seed_patchify_batch_drop (self);
    self->last_flow = GST_FLOW_OK;
    break;
  default:
    break;
  }
  return gst_pad_event_default (pad, parent, event);
}

/* --- frames ------------------------------------------------------------------------------------
 */

/* Who the frame is; made up when nobody said. */
static void
identify (SeedPatchify *self, GstBuffer *buffer, SeedStreamMeta *who)
{
  gpointer state = NULL;
  const SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);

  if (meta) {
    *who = *meta;
    who->stream[SEED_STREAM_ID_SIZE - 1] = '\0';
    who->dropped += seed_ledger_dropped (self->ledger, who->stream);
    return;
  }
  *who = (SeedStreamMeta){ .stream = "-",
    .frame = self->anonymous++,
    .pts = GST_BUFFER_PTS (buffer),
    .capture_ns = seed_realtime_ns (),
    .label = -1,
    .dropped = seed_ledger_dropped (self->ledger, "-") };
}

/* The first of a row of bad frames is told to the application, the others would only repeat it. */
static void
complain (SeedPatchify *self, const SeedStreamMeta *who, const char *reason)
{
  if (!self->bad_frame)
    GST_ELEMENT_WARNING (self, STREAM, DECODE,
        ("Stage %s: dropped frame %" G_GUINT64_FORMAT " of stream %s: %s", GST_OBJECT_NAME (self),
            who->frame, who->stream, reason),
        (NULL));
  self->bad_frame = TRUE;
}

static GstFlowReturn
take_frame (SeedPatchify *self, GstBuffer *buffer, const SeedStreamMeta *who)
{
  gint64 begin = g_get_monotonic_time ();
  GstVideoFrame map;
  SeedFrame frame;
  const char *reason;
  GstFlowReturn ret;

  if (!seed_input_map (self->input, buffer, &map, &frame, &reason)) {
    complain (self, who, reason);
    seed_ledger_drop (self->ledger, who->stream, SEED_DROP_ERROR, 1);
    return GST_FLOW_OK;
  }
  self->bad_frame = FALSE;
  ret = seed_patchify_batch_add (self, &frame, who);
  gst_video_frame_unmap (&map);
  if (ret != GST_FLOW_OK) {
    seed_ledger_drop (self->ledger, who->stream,
        ret == GST_FLOW_FLUSHING ? SEED_DROP_FLUSHED : SEED_DROP_ERROR, 1);
    return ret;
  }
  seed_buffer_copy_captions (self->buffer, self->n_items - 1, buffer, 0);
  seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - begin) * 1000);
  return seed_patchify_batch_push_if_full (self);
}

static GstFlowReturn
seed_patchify_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  SeedPatchify *self = SEED_PATCHIFY (parent);
  GstFlowReturn ret = self->last_flow; /* of a push by the deadline */
  SeedStreamMeta who;

  identify (self, buffer, &who);
  seed_ledger_in (self->ledger, who.stream, 1);
  if (ret == GST_FLOW_OK)
    ret = self->input ? seed_patchify_negotiate (self) : GST_FLOW_NOT_NEGOTIATED;
  if (ret == GST_FLOW_OK)
    ret = take_frame (self, buffer, &who);
  else
    seed_ledger_drop (self->ledger, who.stream,
        ret == GST_FLOW_FLUSHING ? SEED_DROP_FLUSHED : SEED_DROP_ERROR, 1);
  gst_buffer_unref (buffer);
  return ret;
}
