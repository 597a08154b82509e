/* SPDX-License-Identifier: MIT */
#include "student/seedstudent.h"

/* What a property is, and where the element keeps it. */
typedef struct {
  const char *name, *nick, *blurb;
  GType type;
  gsize offset;
  double min, max, initial;
  const char *text; /* initial value of a string */
} Prop;

#define AT(field) G_STRUCT_OFFSET (SeedStudentElement, field)
#define TEXT(name, nick, field, text, blurb)                                                       \
  {                                                                                                \
    name, nick, blurb, G_TYPE_STRING, AT (field), 0, 0, 0, text                                    \
  }
#define NUMBER(name, nick, type, field, min, max, initial, blurb)                                  \
  {                                                                                                \
    name, nick, blurb, type, AT (field), min, max, initial, NULL                                   \
  }
#define UINT(name, nick, field, min, max, initial, blurb)                                          \
  NUMBER (name, nick, G_TYPE_UINT, field, min, max, initial, blurb)
#define DOUBLE(name, nick, field, min, max, initial, blurb)                                        \
  NUMBER (name, nick, G_TYPE_DOUBLE, field, min, max, initial, blurb)

/* Initial values are those of seed_trainer_config_init, which a test compares. */
static const Prop props[] = {
  TEXT ("follows", "Follows", follows, NULL,
      "infer: name of the training student of the same pipeline whose newest weights to use"),
  TEXT ("model", "Model", model, NULL,
      "Student checkpoint folder: what to serve (infer) or to start from (train; default: seeded "
      "random weights)"),
  TEXT ("size", "Size", size, "mini",
      "train: mini (dim 192, depth 6), tiny (192, 12), small (384, 12) or base (768, 12)"),
  UINT ("image-size", "Image size", image_size, 16, 1024, 224,
      "train: side of the square image in pixels, a multiple of patch-size"),
  UINT ("patch-size", "Patch size", patch_size, 4, 64, 16, "train: side of a word in pixels"),
  TEXT ("objective", "Objective", objective, "distil",
      "train: what to learn from: distil (a fused target, teachers' features), labels (of the "
      "frames), captions (of the frames), anchors (of the words alone: image anchors), or several "
      "joined by '+'"),
  TEXT ("text-model", "Text model", text_model, NULL,
      "train: folder of the frozen text encoder that the objective captions reads captions with"),
  TEXT ("checkpoint", "Checkpoint", checkpoint, NULL,
      "train: folder to save into and to resume from (default: none)"),
  UINT ("checkpoint-every", "Checkpoint every", checkpoint_every, 0, G_MAXUINT, 500,
      "train: steps between saves; 0 saves at the end alone"),
  NUMBER ("steps", "Steps", G_TYPE_UINT64, steps, 0, 0, 0,
      "train: end of stream after this many steps, with a cosine schedule over them; 0: learn as "
      "long as words come, at a constant rate"),
  DOUBLE ("lr", "Learning rate", lr, 0, 1, 1e-4, "train: peak learning rate of AdamW"),
  UINT ("warmup", "Warm-up", warmup, 0, G_MAXUINT, 20,
      "train: steps over which the learning rate rises from 0"),
  DOUBLE ("weight-decay", "Weight decay", weight_decay, 0, 1, 0.05,
      "train: decoupled decay, none on norms, biases and tokens"),
  DOUBLE ("ema", "Moving average", ema, 0, 0.999999, 0.996,
      "train: decay of the moving average of the weights, ramped up from 0; the average serves"),
  DOUBLE ("temperature", "Temperature", temperature, 0.001, 10, 0.05,
      "train: of both softmaxes of the similarity loss"),
  DOUBLE ("w-sim", "Similarity weight", w_sim, 0, 1000, 1,
      "train: weight of the similarity loss with the fused target"),
  DOUBLE ("w-seed", "Queue weight", w_seed, 0, 1000, 1,
      "train: weight of the SEED loss over each teacher's queue of past embeddings; 0: no queue"),
  DOUBLE ("w-feat", "Feature weight", w_feat, 0, 1000, 1,
      "train: weight of the loss on each teacher's standardised summary and tokens"),
  DOUBLE ("w-labels", "Label weight", w_labels, 0, 1000, 1,
      "train: weight of the cross-entropy with the labels"),
  DOUBLE ("w-captions", "Caption weight", w_captions, 0, 1000, 1,
      "train: weight of the contrastive loss with the captions"),
  DOUBLE ("w-anchor", "Anchor weight", w_anchor, 0, 1000, 1,
      "train: weight of the image-anchor loss; above 0 with that objective"),
  DOUBLE ("w-histogram", "Histogram weight", w_histogram, 0, 1000, 1,
      "train, with the objective anchors: weight of the embedding's telling the histogram of "
      "anchors"),
  UINT ("queue-size", "Queue size", queue_size, 1, 1048576, 16384,
      "train: embeddings of each teacher that the SEED loss compares with"),
  DOUBLE ("teacher-drop", "Teacher drop", teacher_drop, 0, 1, 0.5,
      "train: probability to drop, for a frame, each teacher but the one with the largest loss"),
  UINT ("calibration", "Calibration", calibration, 1, 10000000, 10000,
      "train: frames that the features of linked teachers are standardised by before learning"),
  UINT ("classes", "Classes", classes, 0, 65536, 0,
      "train: number of classes of the labels; needed by the objective labels"),
  DOUBLE ("label-smoothing", "Label smoothing", label_smoothing, 0, 0.99, 0.1,
      "train: share of a label's weight that is spread over all classes"),
  DOUBLE ("mixup", "Mixup", mixup, 0, 10, 0,
      "train: alpha of the Beta distribution that images are mixed by, with the objective labels "
      "alone; 0: not mixed"),
  UINT ("probe", "Probe", probe, 2, 65536, 64,
      "train: frames to keep out of learning to score candidates with (promote auto and manual); "
      "one batch in 32 is held out, those kept are half recent, half old"),
  DOUBLE ("tolerance", "Tolerance", tolerance, 0, 1, 0.01,
      "train, promote auto: how much less a candidate may agree with the target than what serves, "
      "of 1; or how much larger its loss may be, as a share"),
  UINT ("keep", "Keep", keep, 0, 1000, 2,
      "train: promoted generations to keep behind the one that serves, to roll back to"),
  NUMBER ("watch", "Watch", G_TYPE_BOOLEAN, watch, 0, 1, FALSE,
      "infer with model: take up what a learner of another process promotes in that folder"),
  NUMBER ("seed", "Seed", G_TYPE_UINT64, seed, 0, 0, 0,
      "train: of the initial weights, of dropping and mixing"),
  NUMBER ("tokens", "Tokens", G_TYPE_BOOLEAN, tokens, 0, 1, FALSE,
      "infer: also give the features of every word"),
  NUMBER ("heatmaps", "Heat maps", G_TYPE_BOOLEAN, heatmaps, 0, 1, FALSE,
      "infer, a student with image anchors: also say where in the frame each anchor is"),
  TEXT ("events", "Events", events, "",
      "infer: what to tell of each stream as events, by histogram and embedding: cuts, duplicates, "
      "both joined by ',', or nothing"),
  NUMBER ("deterministic", "Deterministic", G_TYPE_BOOLEAN, deterministic, 0, 1, FALSE,
      "infer with follows: change weights exactly after the last frame of the batch that made "
      "them, and wait for it"),
  TEXT ("backend", "Backend", backend, "auto",
      "Who multiplies matrices: openblas, native, onednn, or auto (by the processor)"),
  TEXT ("precision", "Precision", precision, "auto",
      "What matrices are multiplied in: float32, bfloat16, int8 (infer), or auto (bfloat16 to "
      "serve where the processor multiplies it in hardware, else float32)"),
};

enum {
  PROP_FIRST = 1, /* of the table */
  PROP_MODE = PROP_FIRST + G_N_ELEMENTS (props),
  PROP_PROMOTE,
  PROP_WEIGHTS_HUB,
  PROP_LEDGER,
  PROP_STATS,
};

static GType
seed_student_mode_get_type (void)
{
  static const GEnumValue values[] = {
    { SEED_STUDENT_INFER, "Serve: words to embeddings", "infer" },
    { SEED_STUDENT_TRAIN, "Learn from teachers or labels", "train" },
    { 0, NULL, NULL },
  };
  static gsize type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("SeedStudentMode", values));
  return type;
}

static GType
seed_promote_policy_get_type (void)
{
  static const GEnumValue values[] = {
    { SEED_PROMOTE_AUTO, "When it scores no worse than what serves, on a held probe", "auto" },
    { SEED_PROMOTE_MANUAL, "When it is asked for", "manual" },
    { SEED_PROMOTE_ALWAYS, "Every candidate, and to followers the average after every step",
        "always" },
    { 0, NULL, NULL },
  };
  static gsize type;

  if (g_once_init_enter (&type))
    g_once_init_leave (&type, g_enum_register_static ("SeedPromotePolicy", values));
  return type;
}

static GParamSpec *
make_spec (const Prop *prop)
{
  const GParamFlags rw = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

  switch (prop->type) {
  case G_TYPE_STRING:
    return g_param_spec_string (prop->name, prop->nick, prop->blurb, prop->text, rw);
  case G_TYPE_UINT:
    return g_param_spec_uint (prop->name, prop->nick, prop->blurb, (guint) prop->min,
        (guint) prop->max, (guint) prop->initial, rw);
  case G_TYPE_UINT64:
    return g_param_spec_uint64 (
        prop->name, prop->nick, prop->blurb, 0, G_MAXUINT64, (guint64) prop->initial, rw);
  case G_TYPE_BOOLEAN:
    return g_param_spec_boolean (prop->name, prop->nick, prop->blurb, prop->initial != 0, rw);
  default:
    return g_param_spec_double (
        prop->name, prop->nick, prop->blurb, prop->min, prop->max, prop->initial, rw);
  }
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (object);
  const Prop *prop;
  gpointer at;

  if (id == PROP_MODE) {
    self->mode = g_value_get_enum (value);
    return;
  }
  if (id == PROP_PROMOTE) {
    self->promote = g_value_get_enum (value);
    return;
  }
  prop = &props[id - PROP_FIRST];
  at = G_STRUCT_MEMBER_P (self, prop->offset);
  switch (prop->type) {
  case G_TYPE_STRING:
    g_free (*(char **) at);
    *(char **) at = g_value_dup_string (value);
    break;
  case G_TYPE_UINT:
    *(guint *) at = g_value_get_uint (value);
    break;
  case G_TYPE_UINT64:
    *(guint64 *) at = g_value_get_uint64 (value);
    break;
  case G_TYPE_BOOLEAN:
    *(gboolean *) at = g_value_get_boolean (value);
    break;
  default:
    *(double *) at = g_value_get_double (value);
  }
}

static void
get_from_table (SeedStudentElement *self, const Prop *prop, GValue *value)
{
  gpointer at = G_STRUCT_MEMBER_P (self, prop->offset);

  switch (prop->type) {
  case G_TYPE_STRING:
    g_value_set_string (value, *(char **) at);
    break;
  case G_TYPE_UINT:
    g_value_set_uint (value, *(guint *) at);
    break;
  case G_TYPE_UINT64:
    g_value_set_uint64 (value, *(guint64 *) at);
    break;
  case G_TYPE_BOOLEAN:
    g_value_set_boolean (value, *(gboolean *) at);
    break;
  default:
    g_value_set_double (value, *(double *) at);
  }
}

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (object);

  switch (id) {
  case PROP_MODE:
    g_value_set_enum (value, self->mode);
    break;
  case PROP_PROMOTE:
    g_value_set_enum (value, self->promote);
    break;
  case PROP_WEIGHTS_HUB:
    g_value_set_boxed (value, self->train.hub);
    break;
  case PROP_LEDGER:
    g_value_set_boxed (value, self->ledger);
    break;
  case PROP_STATS:
    g_value_take_boxed (value, seed_student_element_stats (self));
    break;
  default:
    get_from_table (self, &props[id - PROP_FIRST], value);
  }
}

void
seed_student_props_install (GObjectClass *klass)
{
  const GParamFlags ro = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  klass->set_property = set_property;
  klass->get_property = get_property;
  g_object_class_install_property (klass, PROP_MODE,
      g_param_spec_enum ("mode", "Mode",
          "infer: words to embeddings; train: learn as objective says",
          seed_student_mode_get_type (), SEED_STUDENT_INFER,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY));
  g_object_class_install_property (klass, PROP_PROMOTE,
      g_param_spec_enum ("promote", "Promote",
          "train: when the moving average of a checkpoint is to serve: auto, manual or always; the "
          "first always does",
          seed_promote_policy_get_type (), SEED_PROMOTE_AUTO,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY));
  for (guint i = 0; i < G_N_ELEMENTS (props); i++)
    g_object_class_install_property (klass, PROP_FIRST + i, make_spec (&props[i]));
  g_object_class_install_property (klass, PROP_WEIGHTS_HUB,
      g_param_spec_boxed ("weights-hub", "Weights hub",
          "Where a training student leaves its weights for followers", SEED_TYPE_WEIGHTS_HUB, ro));
  g_object_class_install_property (klass, PROP_LEDGER,
      g_param_spec_boxed ("ledger", "Ledger", "Account of frames in, out and dropped, per stream",
          SEED_TYPE_LEDGER, ro));
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Geometry, memory-bytes, step, products; in training also every loss, lr, gradient "
          "norm, images per second, unlabelled frames; held-out items, promoted, rejected and "
          "rolled-back generations, serving-step, held (since a rollback), outages of the "
          "checkpoint folder",
          GST_TYPE_STRUCTURE, ro));
  gst_type_mark_as_plugin_api (seed_student_mode_get_type (), 0);
  gst_type_mark_as_plugin_api (seed_promote_policy_get_type (), 0);
}

void
seed_student_props_init (SeedStudentElement *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (props); i++) {
    gpointer at = G_STRUCT_MEMBER_P (self, props[i].offset);

    switch (props[i].type) {
    case G_TYPE_STRING:
      *(char **) at = g_strdup (props[i].text);
      break;
    case G_TYPE_UINT:
      *(guint *) at = (guint) props[i].initial;
      break;
    case G_TYPE_UINT64:
      *(guint64 *) at = (guint64) props[i].initial;
      break;
    case G_TYPE_BOOLEAN:
      *(gboolean *) at = props[i].initial != 0;
      break;
    default:
      *(double *) at = props[i].initial;
    }
  }
}

void
seed_student_props_clear (SeedStudentElement *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (props); i++)
    if (props[i].type == G_TYPE_STRING)
      g_free (*(char **) G_STRUCT_MEMBER_P (self, props[i].offset));
}
