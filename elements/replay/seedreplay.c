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

#define DEFAULT_CAPACITY 2048
#define DEFAULT_CAPACITY_MB 512
#define DEFAULT_LIVE_SHARE 0.5
#define DEFAULT_WARM_UP 64
#define DEFAULT_MAX_SIZE 512
#define DEFAULT_DUPLICATES SEED_REPLAY_DUPLICATES_PASS
#define DEFAULT_LIKENESS 0.94
#define DEFAULT_EPILOGUE 0
#define DEFAULT_STRIDE SEED_REPLAY_STRIDE_ALL
#define DEFAULT_MIN_STRIDE 8
#define DEFAULT_MAX_STRIDE 64
#define DEFAULT_AGREE 0.8

#define MAX_CAPACITY_MB (1024u * 1024)
#define MAX_EPILOGUE 1000

GST_DEBUG_CATEGORY (seed_replay_debug);
#define GST_CAT_DEFAULT seed_replay_debug

enum {
  PROP_0,
  PROP_CAPACITY,
  PROP_CAPACITY_MB,
  PROP_LIVE_SHARE,
  PROP_WARM_UP,
  PROP_MAX_SIZE,
  PROP_DUPLICATES,
  PROP_DUPLICATE_LIKENESS,
  PROP_SPOOL,
  PROP_EPILOGUE,
  PROP_STRIDE,
  PROP_MIN_STRIDE,
  PROP_MAX_STRIDE,
  PROP_AGREE,
  PROP_SEED,
  PROP_DETERMINISTIC,
  PROP_LEDGER,
  PROP_STATS,
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_REPLAY_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_REPLAY_CAPS));

G_DEFINE_TYPE (SeedReplayElement, seed_replay_element, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE (seedreplay, "seedreplay", GST_RANK_NONE, SEED_TYPE_REPLAY_ELEMENT)

#define SEED_TYPE_REPLAY_DUPLICATES (seed_replay_duplicates_get_type ())
static GType
seed_replay_duplicates_get_type (void)
{
  static const GEnumValue values[] = {
    { SEED_REPLAY_DUPLICATES_PASS, "Passed on live, not remembered", "pass" },
    { SEED_REPLAY_DUPLICATES_DROP, "Dropped, counted as duplicate", "drop" },
    { 0, NULL, NULL },
  };
  static gsize type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("SeedReplayDuplicates", values));
  return type;
}

#define SEED_TYPE_REPLAY_STRIDE (seed_replay_stride_get_type ())
static GType
seed_replay_stride_get_type (void)
{
  static const GEnumValue values[] = {
    { SEED_REPLAY_STRIDE_ALL, "Every frame", "0" },
    { SEED_REPLAY_STRIDE_AUTO, "As far apart as the student's agreement allows", "auto" },
    { 0, NULL, NULL },
  };
  static gsize type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("SeedReplayStride", values));
  return type;
}

/* --- properties --------------------------------------------------------------------------------
 */

static void
seed_replay_element_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  SeedReplayElement *self = SEED_REPLAY_ELEMENT (object);
  SeedReplaySettings *s = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_CAPACITY:
    s->capacity = g_value_get_uint (value);
    break;
  case PROP_CAPACITY_MB:
    s->capacity_mb = g_value_get_uint (value);
    break;
  case PROP_LIVE_SHARE:
    s->live_share = g_value_get_double (value);
    break;
  case PROP_WARM_UP:
    s->warm_up = g_value_get_uint (value);
    break;
  case PROP_MAX_SIZE:
    s->max_size = g_value_get_uint (value);
    break;
  case PROP_DUPLICATES:
    s->duplicates = (SeedReplayDuplicates) g_value_get_enum (value);
    break;
  case PROP_DUPLICATE_LIKENESS:
    s->likeness = g_value_get_double (value);
    break;
  case PROP_SPOOL:
    g_free (self->spool_path);
    self->spool_path = g_value_dup_string (value);
    break;
  case PROP_EPILOGUE:
    s->epilogue = g_value_get_uint (value);
    break;
  case PROP_STRIDE:
    s->stride = (SeedReplayStride) g_value_get_enum (value);
    break;
  case PROP_MIN_STRIDE:
    s->min_stride = g_value_get_uint (value);
    break;
  case PROP_MAX_STRIDE:
    s->max_stride = g_value_get_uint (value);
    break;
  case PROP_AGREE:
    s->agree = g_value_get_double (value);
    break;
  case PROP_SEED:
    s->seed = g_value_get_uint64 (value);
    break;
  case PROP_DETERMINISTIC:
    s->deterministic = g_value_get_boolean (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static GstStructure *
streams_locked (SeedReplayElement *self, guint64 *duplicates)
{
  GstStructure *streams = gst_structure_new_empty ("streams");

  *duplicates = 0;
  for (guint i = 0; self->replay && i < seed_replay_n_streams (self->replay); i++) {
    SeedReplayStream s;
    g_autoptr (GstStructure) one = NULL;

    seed_replay_get_stream (self->replay, i, &s);
    *duplicates += s.duplicates;
    one = gst_structure_new ("stream", "held", G_TYPE_UINT, s.held, "quota", G_TYPE_UINT, s.quota,
        "up", G_TYPE_BOOLEAN, s.up, "seen", G_TYPE_UINT64, s.seen, "replayed", G_TYPE_UINT64,
        s.drawn, "duplicates", G_TYPE_UINT64, s.duplicates, "stride", G_TYPE_UINT,
        self->stride ? seed_stride_get (self->stride, s.stream) : 1, NULL);
    gst_structure_set (streams, s.stream, GST_TYPE_STRUCTURE, one, NULL);
  }
  return streams;
}

static GstStructure *
make_stats (SeedReplayElement *self)
{
  g_autoptr (GstStructure) streams = NULL;
  guint64 duplicates;
  GstStructure *stats;

  g_mutex_lock (&self->lock);
  streams = streams_locked (self, &duplicates);
  stats = gst_structure_new ("application/x-seed-stats", "held", G_TYPE_UINT,
      self->replay ? seed_replay_n_held (self->replay) : 0, "bytes", G_TYPE_UINT64,
      self->replay ? seed_replay_n_bytes (self->replay) : 0, "warm", G_TYPE_BOOLEAN,
      self->replay && seed_replay_is_warm (self->replay), "live", G_TYPE_UINT64, self->n_live,
      "replayed", G_TYPE_UINT64, self->n_replayed, "duplicates", G_TYPE_UINT64, duplicates,
      "streams", GST_TYPE_STRUCTURE, streams, NULL);
  if (self->spool)
    gst_structure_set (stats, "spool-bytes", G_TYPE_UINT64, seed_spool_size (self->spool),
        "spool-torn", G_TYPE_UINT64, seed_spool_torn (self->spool), "spool-behind", G_TYPE_BOOLEAN,
        seed_spool_is_behind (self->spool), "spool-failures", G_TYPE_UINT64, self->n_refused, NULL);
  g_mutex_unlock (&self->lock);
  return stats;
}

static void
get_setting (SeedReplayElement *self, guint id, GValue *value, GParamSpec *pspec)
{
  const SeedReplaySettings *s = &self->settings;

  switch (id) {
  case PROP_CAPACITY:
    g_value_set_uint (value, s->capacity);
    break;
  case PROP_CAPACITY_MB:
    g_value_set_uint (value, s->capacity_mb);
    break;
  case PROP_LIVE_SHARE:
    g_value_set_double (value, s->live_share);
    break;
  case PROP_WARM_UP:
    g_value_set_uint (value, s->warm_up);
    break;
  case PROP_MAX_SIZE:
    g_value_set_uint (value, s->max_size);
    break;
  case PROP_DUPLICATES:
    g_value_set_enum (value, s->duplicates);
    break;
  case PROP_DUPLICATE_LIKENESS:
    g_value_set_double (value, s->likeness);
    break;
  case PROP_SPOOL:
    g_value_set_string (value, self->spool_path);
    break;
  case PROP_EPILOGUE:
    g_value_set_uint (value, s->epilogue);
    break;
  case PROP_STRIDE:
    g_value_set_enum (value, s->stride);
    break;
  case PROP_MIN_STRIDE:
    g_value_set_uint (value, s->min_stride);
    break;
  case PROP_MAX_STRIDE:
    g_value_set_uint (value, s->max_stride);
    break;
  case PROP_AGREE:
    g_value_set_double (value, s->agree);
    break;
  case PROP_SEED:
    g_value_set_uint64 (value, s->seed);
    break;
  case PROP_DETERMINISTIC:
    g_value_set_boolean (value, s->deterministic);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (self, id, pspec);
  }
}

static void
seed_replay_element_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  SeedReplayElement *self = SEED_REPLAY_ELEMENT (object);

  if (id == PROP_LEDGER) {
    g_value_set_boxed (value, self->ledger);
  } else if (id == PROP_STATS) {
    g_value_take_boxed (value, make_stats (self));
  } else {
    GST_OBJECT_LOCK (self);
    get_setting (self, id, value, pspec);
    GST_OBJECT_UNLOCK (self);
  }
}

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
install_memory_properties (GObjectClass *klass, GParamFlags rw)
{
  g_object_class_install_property (klass, PROP_CAPACITY,
      g_param_spec_uint ("capacity", "Capacity", "Frames to remember at most", 1,
          SEED_REPLAY_MAX_CAPACITY, DEFAULT_CAPACITY, rw));
  g_object_class_install_property (klass, PROP_CAPACITY_MB,
      g_param_spec_uint ("capacity-mb", "Capacity in MiB",
          "MiB that remembered frames may take, 512 bytes besides the pixels for each", 1,
          MAX_CAPACITY_MB, DEFAULT_CAPACITY_MB, rw));
  g_object_class_install_property (klass, PROP_MAX_SIZE,
      g_param_spec_uint ("max-size", "Maximum size",
          "Pixels of the longer side of a remembered frame; larger ones are made smaller (0 = as "
          "they are)",
          0, 16384, DEFAULT_MAX_SIZE, rw));
  g_object_class_install_property (klass, PROP_DUPLICATES,
      g_param_spec_enum ("duplicates", "Duplicates",
          "What happens to a frame that looks like a remembered one of its stream",
          SEED_TYPE_REPLAY_DUPLICATES, DEFAULT_DUPLICATES, rw));
  g_object_class_install_property (klass, PROP_DUPLICATE_LIKENESS,
      g_param_spec_double ("duplicate-likeness", "Likeness of duplicates",
          "Structural similarity of 16x16 luma thumbnails above which two frames of a stream are "
          "duplicates (1 = none are)",
          0, 1, DEFAULT_LIKENESS, rw));
  g_object_class_install_property (klass, PROP_SPOOL,
      g_param_spec_string ("spool", "Spool",
          "File that keeps what is remembered across restarts; NULL for none", NULL, rw));
}

static void
install_schedule_properties (GObjectClass *klass, GParamFlags rw)
{
  g_object_class_install_property (klass, PROP_LIVE_SHARE,
      g_param_spec_double ("live-share", "Live share",
          "Share of the frames given out that may be live (1 = nothing comes from memory)",
          SEED_REPLAY_MIN_SHARE, 1, DEFAULT_LIVE_SHARE, rw));
  g_object_class_install_property (klass, PROP_WARM_UP,
      g_param_spec_uint ("warm-up", "Warm-up",
          "Frames to hold before any comes from memory; half of the capacity when that is less", 0,
          SEED_REPLAY_MAX_CAPACITY, DEFAULT_WARM_UP, rw));
  g_object_class_install_property (klass, PROP_EPILOGUE,
      g_param_spec_uint ("epilogue", "Epilogue",
          "Times that all that is remembered is given out once more when the sources have ended", 0,
          MAX_EPILOGUE, DEFAULT_EPILOGUE, rw));
  g_object_class_install_property (klass, PROP_STRIDE,
      g_param_spec_enum ("stride", "Stride",
          "Which frames of a stream go through: all (0), or as few as the student's agreement with "
          "its target allows (auto)",
          SEED_TYPE_REPLAY_STRIDE, DEFAULT_STRIDE, rw));
  g_object_class_install_property (klass, PROP_MIN_STRIDE,
      g_param_spec_uint ("min-stride", "Minimum stride",
          "With stride=auto: every so many frames go through at first, after a scene cut, and when "
          "the student disagrees",
          1, SEED_STRIDE_MAX, DEFAULT_MIN_STRIDE, rw));
  g_object_class_install_property (klass, PROP_MAX_STRIDE,
      g_param_spec_uint ("max-stride", "Maximum stride",
          "With stride=auto: the most frames between two that go through, and one", 1,
          SEED_STRIDE_MAX, DEFAULT_MAX_STRIDE, rw));
  g_object_class_install_property (klass, PROP_AGREE,
      g_param_spec_double ("agree", "Agree",
          "With stride=auto: agreement of the student above which the stride doubles, else it "
          "halves",
          0, 1, DEFAULT_AGREE, rw));
  g_object_class_install_property (klass, PROP_SEED,
      g_param_spec_uint64 ("seed", "Seed",
          "Of what is remembered and drawn; the same seed and frames, the same output", 0,
          G_MAXUINT64, 0, rw));
  g_object_class_install_property (klass, PROP_DETERMINISTIC,
      g_param_spec_boolean ("deterministic", "Deterministic",
          "Refuse settings under which two runs on files could differ or wait for ever", FALSE,
          rw));
}

static void
install_properties (GObjectClass *klass)
{
  const GParamFlags rw = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags ro = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  install_memory_properties (klass, rw);
  install_schedule_properties (klass, rw);
  g_object_class_install_property (klass, PROP_LEDGER,
      g_param_spec_boxed ("ledger", "Ledger",
          "Frames in, out and dropped; remembered ones are in when they leave memory; busy is the "
          "time to remember a frame",
          SEED_TYPE_LEDGER, ro));
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "held, bytes, warm; live, replayed and duplicates in frames; spool-bytes, spool-torn, "
          "spool-behind, spool-failures; streams: held, quota, up, seen, replayed, duplicates, "
          "stride of each",
          GST_TYPE_STRUCTURE, ro));
}

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
  object_class->set_property = seed_replay_element_set_property;
  object_class->get_property = seed_replay_element_get_property;
  object_class->finalize = seed_replay_element_finalize;
  install_properties (object_class);
  element_class->change_state = GST_DEBUG_FUNCPTR (seed_replay_element_change_state);
  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED memory of frames", "Filter/Video",
      "Mixes live frames with remembered ones", "SEED");
  gst_type_mark_as_plugin_api (SEED_TYPE_REPLAY_DUPLICATES, 0);
  gst_type_mark_as_plugin_api (SEED_TYPE_REPLAY_STRIDE, 0);
}

static void
seed_replay_element_init (SeedReplayElement *self)
{
  g_mutex_init (&self->lock);
  self->ledger = seed_ledger_new ();
  self->due = g_array_new (FALSE, FALSE, sizeof (SeedReplayDue));
  self->settings = (SeedReplaySettings){ .capacity = DEFAULT_CAPACITY,
    .capacity_mb = DEFAULT_CAPACITY_MB,
    .warm_up = DEFAULT_WARM_UP,
    .max_size = DEFAULT_MAX_SIZE,
    .epilogue = DEFAULT_EPILOGUE,
    .min_stride = DEFAULT_MIN_STRIDE,
    .max_stride = DEFAULT_MAX_STRIDE,
    .live_share = DEFAULT_LIVE_SHARE,
    .likeness = DEFAULT_LIKENESS,
    .agree = DEFAULT_AGREE,
    .duplicates = DEFAULT_DUPLICATES,
    .stride = DEFAULT_STRIDE };

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
