/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-seedstudent
 * @title: seedstudent
 * @short_description: the small transformer that learns from a fused target, or serves
 *
 * With #seedstudent:mode infer: words in, features out; the summary is the unit vector of the embed
 * head. Weights come from a checkpoint (#seedstudent:model) or from a learning student of the same
 * pipeline (#seedstudent:follows), whose newest weights are picked up between two frames.
 *
 * With mode train: words of two views on the pad sink, the fused target of the same batch on the
 * request pad target; every step leaves one JSON report (application/x-seed-report, kind train) on
 * the pad src. The moving average of the weights is what followers and checkpoints get.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=8 ! seedpatchify ! seedstudent model=/srv/models/lobby !
 * fakesink dump=true
 * ]|
 *
 * Since: 0.1
 */
#include <string.h>

#include "student/seedstudent.h"

GST_DEBUG_CATEGORY (seed_student_debug);
#define GST_CAT_DEFAULT seed_student_debug

#define DEFAULT_MODE SEED_STUDENT_INFER
#define DEFAULT_SIZE "mini"
#define DEFAULT_IMAGE_SIZE 224
#define DEFAULT_PATCH_SIZE 16
#define DEFAULT_CHECKPOINT_EVERY 500
#define DEFAULT_STEPS 0
#define DEFAULT_SEED 0
#define DEFAULT_TOKENS FALSE
#define DEFAULT_DETERMINISTIC FALSE

enum {
  PROP_0,
  PROP_MODE,
  PROP_FOLLOWS,
  PROP_MODEL,
  PROP_SIZE,
  PROP_IMAGE_SIZE,
  PROP_PATCH_SIZE,
  PROP_CHECKPOINT,
  PROP_CHECKPOINT_EVERY,
  PROP_STEPS,
  PROP_LR,
  PROP_WARMUP,
  PROP_WEIGHT_DECAY,
  PROP_EMA,
  PROP_TEMPERATURE,
  PROP_SEED,
  PROP_TOKENS,
  PROP_DETERMINISTIC,
  PROP_WEIGHTS_HUB,
  PROP_LEDGER,
  PROP_STATS,
  N_PROPS,
};

G_DEFINE_FINAL_TYPE (SeedStudentElement, seed_student_element, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE (seedstudent, "seedstudent", GST_RANK_NONE, SEED_TYPE_STUDENT)

static GParamSpec *properties[N_PROPS];

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_PATCHES_TEMPLATE_CAPS));
static GstStaticPadTemplate target_template = GST_STATIC_PAD_TEMPLATE (
    "target", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS (SEED_AFFINITY_TEMPLATE_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC,
    GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_FEATURES_TEMPLATE_CAPS "; " SEED_REPORT_TEMPLATE_CAPS));

static GType
seed_student_mode_get_type (void)
{
  static const GEnumValue values[] = {
    { SEED_STUDENT_INFER, "Serve: words to embeddings", "infer" },
    { SEED_STUDENT_TRAIN, "Learn from a fused target", "train" },
    { 0, NULL, NULL },
  };
  static gsize type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("SeedStudentMode", values));
  return type;
}

void
seed_student_element_set_shape (SeedStudentElement *self, const SeedStudentShape *shape)
{
  GST_OBJECT_LOCK (self);
  self->has_shape = shape != NULL;
  if (shape)
    self->shape = *shape;
  GST_OBJECT_UNLOCK (self);
}

gboolean
seed_student_element_get_shape (SeedStudentElement *self, SeedStudentShape *shape)
{
  gboolean has_shape;

  GST_OBJECT_LOCK (self);
  has_shape = self->has_shape;
  *shape = self->shape;
  GST_OBJECT_UNLOCK (self);
  return has_shape;
}

void
seed_student_element_announce (SeedStudentElement *self, const char *sha256, guint64 step)
{
  if (self->announced_step == (gint64) step)
    return;
  self->announced_step = (gint64) step;
  gst_pad_push_event (self->srcpad, seed_model_event_new (self->model_name, sha256, step));
}

static GstStructure *
make_stats (SeedStudentElement *self)
{
  GstStructure *stats = gst_structure_new_empty ("application/x-seed-stats");
  SeedStudentShape shape;

  if (seed_student_element_get_shape (self, &shape))
    gst_structure_set (stats, "image-size", G_TYPE_UINT, shape.vit.image_size, "patch-size",
        G_TYPE_UINT, shape.vit.patch_size, "dim", G_TYPE_UINT, shape.vit.dim, "depth", G_TYPE_UINT,
        shape.vit.depth, "embedding-dim", G_TYPE_UINT, shape.embed_dim, NULL);
  if (self->mode == SEED_STUDENT_TRAIN)
    seed_student_train_add_stats (self, stats);
  else
    seed_student_infer_add_stats (self, stats);
  return stats;
}

static void
replace_string (char **place, const GValue *value)
{
  g_free (*place);
  *place = g_value_dup_string (value);
}

static void
seed_student_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (object);

  switch (id) {
  case PROP_MODE:
    self->mode = g_value_get_enum (value);
    break;
  case PROP_FOLLOWS:
    replace_string (&self->follows, value);
    break;
  case PROP_MODEL:
    replace_string (&self->model, value);
    break;
  case PROP_SIZE:
    replace_string (&self->size, value);
    break;
  case PROP_IMAGE_SIZE:
    self->image_size = g_value_get_uint (value);
    break;
  case PROP_PATCH_SIZE:
    self->patch_size = g_value_get_uint (value);
    break;
  case PROP_CHECKPOINT:
    replace_string (&self->checkpoint, value);
    break;
  case PROP_CHECKPOINT_EVERY:
    self->checkpoint_every = g_value_get_uint (value);
    break;
  case PROP_STEPS:
    self->steps = g_value_get_uint64 (value);
    break;
  case PROP_LR:
    self->lr = g_value_get_double (value);
    break;
  case PROP_WARMUP:
    self->warmup = g_value_get_uint (value);
    break;
  case PROP_WEIGHT_DECAY:
    self->weight_decay = g_value_get_double (value);
    break;
  case PROP_EMA:
    self->ema = g_value_get_double (value);
    break;
  case PROP_TEMPERATURE:
    self->temperature = g_value_get_double (value);
    break;
  case PROP_SEED:
    self->seed = g_value_get_uint64 (value);
    break;
  case PROP_TOKENS:
    self->tokens = g_value_get_boolean (value);
    break;
  case PROP_DETERMINISTIC:
    self->deterministic = g_value_get_boolean (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
seed_student_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (object);

  switch (id) {
  case PROP_MODE:
    g_value_set_enum (value, self->mode);
    break;
  case PROP_FOLLOWS:
    g_value_set_string (value, self->follows);
    break;
  case PROP_MODEL:
    g_value_set_string (value, self->model);
    break;
  case PROP_SIZE:
    g_value_set_string (value, self->size);
    break;
  case PROP_IMAGE_SIZE:
    g_value_set_uint (value, self->image_size);
    break;
  case PROP_PATCH_SIZE:
    g_value_set_uint (value, self->patch_size);
    break;
  case PROP_CHECKPOINT:
    g_value_set_string (value, self->checkpoint);
    break;
  case PROP_CHECKPOINT_EVERY:
    g_value_set_uint (value, self->checkpoint_every);
    break;
  case PROP_STEPS:
    g_value_set_uint64 (value, self->steps);
    break;
  case PROP_LR:
    g_value_set_double (value, self->lr);
    break;
  case PROP_WARMUP:
    g_value_set_uint (value, self->warmup);
    break;
  case PROP_WEIGHT_DECAY:
    g_value_set_double (value, self->weight_decay);
    break;
  case PROP_EMA:
    g_value_set_double (value, self->ema);
    break;
  case PROP_TEMPERATURE:
    g_value_set_double (value, self->temperature);
    break;
  case PROP_SEED:
    g_value_set_uint64 (value, self->seed);
    break;
  case PROP_TOKENS:
    g_value_set_boolean (value, self->tokens);
    break;
  case PROP_DETERMINISTIC:
    g_value_set_boolean (value, self->deterministic);
    break;
  case PROP_WEIGHTS_HUB:
    g_value_set_boxed (value, self->train.hub);
    break;
  case PROP_LEDGER:
    g_value_set_boxed (value, self->ledger);
    break;
  case PROP_STATS:
    g_value_take_boxed (value, make_stats (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static gboolean
is_training (SeedStudentElement *self)
{
  return self->mode == SEED_STUDENT_TRAIN;
}

static gboolean
open_mode (SeedStudentElement *self)
{
  return is_training (self) ? seed_student_train_open (self) : seed_student_infer_open (self);
}

static gboolean
start_mode (SeedStudentElement *self)
{
  self->announced_step = -1;
  return is_training (self) ? seed_student_train_start (self) : seed_student_infer_start (self);
}

static void
unblock_mode (SeedStudentElement *self)
{
  if (is_training (self))
    seed_student_train_unblock (self);
  else
    seed_student_infer_unblock (self);
}

static void
stop_mode (SeedStudentElement *self)
{
  if (is_training (self))
    seed_student_train_stop (self);
  else
    seed_student_infer_stop (self);
}

static void
close_mode (SeedStudentElement *self)
{
  if (is_training (self))
    seed_student_train_close (self);
  else
    seed_student_infer_close (self);
  seed_student_element_set_shape (self, NULL);
}

static GstStateChangeReturn
seed_student_change_state (GstElement *element, GstStateChange transition)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (element);
  GstStateChangeReturn ret;

  switch (transition) {
  case GST_STATE_CHANGE_NULL_TO_READY:
    if (!open_mode (self))
      return GST_STATE_CHANGE_FAILURE;
    break;
  case GST_STATE_CHANGE_READY_TO_PAUSED:
    if (!start_mode (self))
      return GST_STATE_CHANGE_FAILURE;
    break;
  case GST_STATE_CHANGE_PAUSED_TO_READY:
    unblock_mode (self);
    break;
  default:
    break;
  }

  ret = GST_ELEMENT_CLASS (seed_student_element_parent_class)->change_state (element, transition);

  switch (transition) {
  case GST_STATE_CHANGE_PAUSED_TO_READY:
    stop_mode (self);
    break;
  case GST_STATE_CHANGE_READY_TO_NULL:
    close_mode (self);
    break;
  default:
    break;
  }
  return ret;
}

static GstCaps *
sink_caps (SeedStudentElement *self)
{
  GstCaps *caps = gst_pad_get_pad_template_caps (self->sinkpad);
  SeedStudentShape shape;

  if (!is_training (self))
    seed_student_infer_find_shape (self);
  caps = gst_caps_make_writable (caps);
  if (seed_student_element_get_shape (self, &shape))
    gst_caps_set_simple (caps, "image-size", G_TYPE_INT, (int) shape.vit.image_size, "patch-size",
        G_TYPE_INT, (int) shape.vit.patch_size, NULL);
  if (is_training (self))
    gst_caps_set_simple (caps, "views", G_TYPE_INT, 2, NULL);
  return caps;
}

static GstCaps *
src_caps (SeedStudentElement *self)
{
  SeedStudentShape shape;
  GstCaps *caps;

  if (is_training (self))
    return gst_caps_new_simple (SEED_CAPS_REPORT, "kind", G_TYPE_STRING, "train", "node",
        G_TYPE_STRING, GST_OBJECT_NAME (self), NULL);
  caps = gst_caps_make_writable (gst_caps_from_string (SEED_FEATURES_TEMPLATE_CAPS));
  if (seed_student_element_get_shape (self, &shape))
    gst_caps_set_simple (caps, "summary-dim", G_TYPE_INT, (int) shape.embed_dim, "token-dim",
        G_TYPE_INT, self->tokens ? (int) shape.vit.dim : 0, "grid", G_TYPE_INT,
        (int) (shape.vit.image_size / shape.vit.patch_size), NULL);
  return caps;
}

static gboolean
answer_caps_query (GstQuery *query, GstCaps *caps)
{
  GstCaps *filter;

  gst_query_parse_caps (query, &filter);
  if (filter) {
    GstCaps *all = caps;

    caps = gst_caps_intersect_full (filter, all, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref (all);
  }
  gst_query_set_caps_result (query, caps);
  gst_caps_unref (caps);
  return TRUE;
}

static gboolean
seed_student_sink_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (parent);

  if (GST_QUERY_TYPE (query) == GST_QUERY_CAPS)
    return answer_caps_query (query, sink_caps (self));
  if (GST_QUERY_TYPE (query) == GST_QUERY_ALLOCATION)
    return FALSE; /* what is downstream has other buffers */
  return gst_pad_query_default (pad, parent, query);
}

static gboolean
seed_student_src_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  if (GST_QUERY_TYPE (query) == GST_QUERY_CAPS)
    return answer_caps_query (query, src_caps (SEED_STUDENT_ELEMENT (parent)));
  return gst_pad_query_default (pad, parent, query);
}

static gboolean
set_caps (SeedStudentElement *self, GstCaps *caps)
{
  SeedStudentShape shape;

  if (!seed_patches_info_from_caps (&self->in, caps)) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("%s: words without a complete geometry", GST_OBJECT_NAME (self)),
        ("caps %" GST_PTR_FORMAT, caps));
    return FALSE;
  }
  if (!seed_student_element_get_shape (self, &shape) ||
      shape.vit.image_size != self->in.image_size || shape.vit.patch_size != self->in.patch_size) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("%s: the student takes %upx images in %upx words, not %u and %u; let seedpatchify take "
         "its geometry from here, or set image-size and patch-size alike",
            GST_OBJECT_NAME (self), shape.vit.image_size, shape.vit.patch_size, self->in.image_size,
            self->in.patch_size),
        (NULL));
    return FALSE;
  }
  return is_training (self) ? seed_student_train_set_caps (self)
                            : seed_student_infer_set_caps (self);
}

static gboolean
seed_student_sink_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (parent);
  gboolean ok;
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_CAPS:
    gst_event_parse_caps (event, &caps);
    ok = set_caps (self, caps);
    gst_event_unref (event);
    return ok;
  case GST_EVENT_EOS:
    if (is_training (self))
      seed_student_train_eos (self);
    break;
  case GST_EVENT_FLUSH_START:
  case GST_EVENT_FLUSH_STOP:
    if (is_training (self))
      seed_student_train_set_flushing (self, GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START);
    else
      seed_student_infer_set_flushing (self, GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START);
    break;
  default:
    break;
  }
  return gst_pad_event_default (pad, parent, event);
}

static GstFlowReturn
seed_student_sink_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (parent);

  seed_ledger_in_buffer (self->ledger, buffer);
  return is_training (self) ? seed_student_train_chain (self, buffer)
                            : seed_student_infer_chain (self, buffer);
}

static GstFlowReturn
seed_student_target_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  return seed_student_train_chain_target (SEED_STUDENT_ELEMENT (parent), buffer);
}

static gboolean
seed_student_target_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  return seed_student_train_target_event (SEED_STUDENT_ELEMENT (parent), event);
}

static GstPad *
seed_student_request_new_pad (
    GstElement *element, GstPadTemplate *template, const char *name, const GstCaps *caps)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (element);
  GstPad *pad;

  if (self->targetpad)
    return NULL;
  pad = gst_pad_new_from_template (template, "target");
  gst_pad_set_chain_function (pad, seed_student_target_chain);
  gst_pad_set_event_function (pad, seed_student_target_event);
  if (GST_STATE (element) >= GST_STATE_PAUSED)
    gst_pad_set_active (pad, TRUE);
  self->targetpad = pad;
  gst_element_add_pad (element, pad);
  return pad;
}

static void
seed_student_release_pad (GstElement *element, GstPad *pad)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (element);

  if (pad == self->targetpad)
    self->targetpad = NULL;
  gst_pad_set_active (pad, FALSE);
  gst_element_remove_pad (element, pad);
}

static void
seed_student_finalize (GObject *object)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (object);

  close_mode (self);
  seed_weights_hub_unref (self->train.hub);
  g_mutex_clear (&self->train.lock);
  g_cond_clear (&self->train.changed);
  seed_ledger_unref (self->ledger);
  g_free (self->follows);
  g_free (self->model);
  g_free (self->checkpoint);
  g_free (self->size);
  g_free (self->model_name);
  G_OBJECT_CLASS (seed_student_element_parent_class)->finalize (object);
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags rw = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags ro = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  SeedTrainerConfig trainer;

  seed_trainer_config_init (&trainer);
  properties[PROP_MODE] =
      g_param_spec_enum ("mode", "Mode", "infer: words to embeddings; train: learn from the target",
          seed_student_mode_get_type (), DEFAULT_MODE, rw);
  properties[PROP_FOLLOWS] = g_param_spec_string ("follows", "Follows",
      "infer: name of the training student of the same pipeline whose newest weights to use", NULL,
      rw);
  properties[PROP_MODEL] = g_param_spec_string ("model", "Model",
      "Student checkpoint folder: what to serve (infer) or to start from (train; default: seeded "
      "random weights)",
      NULL, rw);
  properties[PROP_SIZE] = g_param_spec_string ("size", "Size",
      "train: mini (dim 192, depth 6), tiny (192, 12), small (384, 12) or base (768, 12)",
      DEFAULT_SIZE, rw);
  properties[PROP_IMAGE_SIZE] = g_param_spec_uint ("image-size", "Image size",
      "train: side of the square image in pixels, a multiple of patch-size", 16, 1024,
      DEFAULT_IMAGE_SIZE, rw);
  properties[PROP_PATCH_SIZE] = g_param_spec_uint (
      "patch-size", "Patch size", "train: side of a word in pixels", 4, 64, DEFAULT_PATCH_SIZE, rw);
  properties[PROP_CHECKPOINT] = g_param_spec_string ("checkpoint", "Checkpoint",
      "train: folder to save into and to resume from (default: none)", NULL, rw);
  properties[PROP_CHECKPOINT_EVERY] = g_param_spec_uint ("checkpoint-every", "Checkpoint every",
      "train: steps between saves; 0 saves at the end alone", 0, G_MAXUINT,
      DEFAULT_CHECKPOINT_EVERY, rw);
  properties[PROP_STEPS] = g_param_spec_uint64 ("steps", "Steps",
      "train: end of stream after this many steps, with a cosine schedule over them; 0: learn as "
      "long as words come, at a constant rate",
      0, G_MAXUINT64, DEFAULT_STEPS, rw);
  properties[PROP_LR] = g_param_spec_double (
      "lr", "Learning rate", "train: peak learning rate of AdamW", 0, 1, trainer.lr, rw);
  properties[PROP_WARMUP] = g_param_spec_uint ("warmup", "Warm-up",
      "train: steps over which the learning rate rises from 0", 0, G_MAXUINT, trainer.warmup, rw);
  properties[PROP_WEIGHT_DECAY] = g_param_spec_double ("weight-decay", "Weight decay",
      "train: decoupled decay, none on norms, biases and tokens", 0, 1, trainer.weight_decay, rw);
  properties[PROP_EMA] = g_param_spec_double ("ema", "Moving average",
      "train: decay of the moving average of the weights, ramped up from 0; the average serves", 0,
      0.999999, trainer.ema, rw);
  properties[PROP_TEMPERATURE] = g_param_spec_double ("temperature", "Temperature",
      "train: of both softmaxes of the similarity loss", 0.001, 10, trainer.temperature, rw);
  properties[PROP_SEED] = g_param_spec_uint64 (
      "seed", "Seed", "train: of the initial weights", 0, G_MAXUINT64, DEFAULT_SEED, rw);
  properties[PROP_TOKENS] = g_param_spec_boolean (
      "tokens", "Tokens", "infer: also give the features of every word", DEFAULT_TOKENS, rw);
  properties[PROP_DETERMINISTIC] = g_param_spec_boolean ("deterministic", "Deterministic",
      "infer with follows: change weights exactly after the last frame of the batch that made "
      "them, and wait for it",
      DEFAULT_DETERMINISTIC, rw);
  properties[PROP_WEIGHTS_HUB] = g_param_spec_boxed ("weights-hub", "Weights hub",
      "Where a training student leaves its weights for followers", SEED_TYPE_WEIGHTS_HUB, ro);
  properties[PROP_LEDGER] = g_param_spec_boxed ("ledger", "Ledger",
      "Account of frames in, out and dropped, per stream", SEED_TYPE_LEDGER, ro);
  properties[PROP_STATS] = g_param_spec_boxed ("stats", "Statistics",
      "Geometry, memory-bytes, step; in training also loss, lr, gradient norm, images per second",
      GST_TYPE_STRUCTURE, ro);
  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
seed_student_element_class_init (SeedStudentElementClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (seed_student_debug, "seedstudent", 0, "student transformer");

  object_class->set_property = seed_student_set_property;
  object_class->get_property = seed_student_get_property;
  object_class->finalize = seed_student_finalize;
  install_properties (object_class);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &target_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED student", "Filter/Analyzer/Video",
      "Learns one representation from a fused target, or serves it", "The SEED authors");
  element_class->change_state = seed_student_change_state;
  element_class->request_new_pad = seed_student_request_new_pad;
  element_class->release_pad = seed_student_release_pad;
  gst_type_mark_as_plugin_api (seed_student_mode_get_type (), 0);
}

static void
seed_student_element_init (SeedStudentElement *self)
{
  SeedTrainerConfig trainer;

  seed_trainer_config_init (&trainer);
  self->mode = DEFAULT_MODE;
  self->size = g_strdup (DEFAULT_SIZE);
  self->image_size = DEFAULT_IMAGE_SIZE;
  self->patch_size = DEFAULT_PATCH_SIZE;
  self->checkpoint_every = DEFAULT_CHECKPOINT_EVERY;
  self->lr = trainer.lr;
  self->warmup = trainer.warmup;
  self->weight_decay = trainer.weight_decay;
  self->ema = trainer.ema;
  self->temperature = trainer.temperature;
  self->announced_step = -1;
  self->ledger = seed_ledger_new ();
  self->train.hub = seed_weights_hub_new ();
  g_mutex_init (&self->train.lock);
  g_cond_init (&self->train.changed);

  self->sinkpad = gst_pad_new_from_static_template (&sink_template, "sink");
  gst_pad_set_chain_function (self->sinkpad, seed_student_sink_chain);
  gst_pad_set_event_function (self->sinkpad, seed_student_sink_event);
  gst_pad_set_query_function (self->sinkpad, seed_student_sink_query);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);
  self->srcpad = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->srcpad);
  gst_pad_set_query_function (self->srcpad, seed_student_src_query);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}
