/* SPDX-License-Identifier: MIT */
#include "replay/seedreplay.h"

#define DEFAULT_CAPACITY 2048
#define DEFAULT_CAPACITY_MB 512
#define DEFAULT_LIVE_SHARE 0.5
#define DEFAULT_WARM_UP 32
#define DEFAULT_MAX_SIZE 512
#define DEFAULT_DUPLICATES SEED_REPLAY_DUPLICATES_PASS
#define DEFAULT_LIKENESS 0.98 /* of thumbnails; stricter than one of embeddings would be */
#define DEFAULT_EPILOGUE 0
#define DEFAULT_STRIDE SEED_REPLAY_STRIDE_ALL
#define DEFAULT_MIN_STRIDE 8
#define DEFAULT_MAX_STRIDE 64
#define DEFAULT_AGREE 0.8

#define MAX_CAPACITY_MB (1024u * 1024)
#define MAX_EPILOGUE 1000

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

/* --- values --------------------------------------------------------------------------------
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

/* --- what there is ---------------------------------------------------------------------------- */

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
          "Frames to hold before any comes from memory; half of the capacity when that is reached "
          "first",
          0, SEED_REPLAY_MAX_CAPACITY, DEFAULT_WARM_UP, rw));
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

void
seed_replay_element_install_properties (GObjectClass *klass)
{
  const GParamFlags rw = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags ro = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  klass->set_property = seed_replay_element_set_property;
  klass->get_property = seed_replay_element_get_property;
  gst_type_mark_as_plugin_api (SEED_TYPE_REPLAY_DUPLICATES, 0);
  gst_type_mark_as_plugin_api (SEED_TYPE_REPLAY_STRIDE, 0);
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

void
seed_replay_element_init_settings (SeedReplayElement *self)
{
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
}
