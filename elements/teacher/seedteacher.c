/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-seedteacher
 * @title: seedteacher
 * @short_description: runs a frozen vision transformer over words
 *
 * Words in, features out: the summary of every view and, with #seedteacher:tokens, its tokens, as
 * the model gives them (not normalised). The model is a folder in Hugging Face layout. It decides
 * the geometry of the words: seedpatchify upstream takes image size, patch size, resampling and
 * what of a frame the model wants to see (fit, resize-size, crop-size) from this element's caps.
 * Its fit is a preference: words made with another, because seedpatchify was told so, are taken
 * too.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=8 ! seedpatchify ! seedteacher
 * model=/srv/models/vit-small ! fakesink dump=true
 * ]|
 *
 * Since: 0.1
 */
#include <gst/base/gstbasetransform.h>
#include <seed/model.h>

#include "core/caps.h"
#include "core/event.h"
#include "core/features-pool.h"
#include "core/stream-meta.h"

GST_DEBUG_CATEGORY_STATIC (seed_teacher_debug);
#define GST_CAT_DEFAULT seed_teacher_debug

#define DEFAULT_TOKENS FALSE
#define DEFAULT_IMAGE_SIZE 0
#define MAX_IMAGE_SIZE 4096

enum {
  PROP_0,
  PROP_MODEL,
  PROP_TOKENS,
  PROP_IMAGE_SIZE,
  PROP_LEDGER,
  PROP_STATS,
  N_PROPS,
};

#define SEED_TYPE_TEACHER (seed_teacher_get_type ())
G_DECLARE_FINAL_TYPE (SeedTeacher, seed_teacher, SEED, TEACHER, GstBaseTransform)

struct _SeedTeacher {
  GstBaseTransform parent;

  char *folder;
  gboolean want_tokens;
  guint image_size; /* 0: the model's own */

  SeedLedger *ledger;
  SeedModel *model; /* NULL..READY: under the object lock, caps queries come from any thread */
  SeedSession *session;
  SeedPatchesInfo in;
  SeedFeaturesInfo out;
  GstBufferPool *pool;
  gboolean announce; /* the model event is due */
};

G_DEFINE_FINAL_TYPE (SeedTeacher, seed_teacher, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE (seedteacher, "seedteacher", GST_RANK_NONE, SEED_TYPE_TEACHER)

static GParamSpec *properties[N_PROPS];

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_PATCHES_TEMPLATE_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_FEATURES_TEMPLATE_CAPS));

static SeedModel *
get_model (SeedTeacher *self)
{
  SeedModel *model;

  GST_OBJECT_LOCK (self);
  model = self->model ? seed_model_ref (self->model) : NULL;
  GST_OBJECT_UNLOCK (self);
  return model;
}

static void
set_model (SeedTeacher *self, SeedModel *model)
{
  SeedModel *old;

  GST_OBJECT_LOCK (self);
  old = self->model;
  self->model = model;
  GST_OBJECT_UNLOCK (self);
  seed_model_unref (old);
}

static GstStructure *
make_stats (SeedTeacher *self)
{
  g_autoptr (SeedModel) model = get_model (self);
  GstStructure *stats = gst_structure_new_empty ("application/x-seed-stats");

  if (model) {
    const SeedModelInfo *info = seed_model_get_info (model);

    gst_structure_set (stats, "model", G_TYPE_STRING, info->name, "family", G_TYPE_STRING,
        info->family, "sha256", G_TYPE_STRING, info->sha256, "parameters", G_TYPE_UINT64,
        info->n_params, "memory-bytes", G_TYPE_UINT64, info->memory_bytes, NULL);
  }
  return stats;
}

static void
seed_teacher_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  SeedTeacher *self = SEED_TEACHER (object);

  switch (id) {
  case PROP_MODEL:
    g_free (self->folder);
    self->folder = g_value_dup_string (value);
    break;
  case PROP_TOKENS:
    self->want_tokens = g_value_get_boolean (value);
    break;
  case PROP_IMAGE_SIZE:
    self->image_size = g_value_get_uint (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
}

static void
seed_teacher_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  SeedTeacher *self = SEED_TEACHER (object);

  switch (id) {
  case PROP_MODEL:
    g_value_set_string (value, self->folder);
    break;
  case PROP_TOKENS:
    g_value_set_boolean (value, self->want_tokens);
    break;
  case PROP_IMAGE_SIZE:
    g_value_set_uint (value, self->image_size);
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
load_model (SeedTeacher *self)
{
  g_autoptr (GError) error = NULL;
  SeedModel *model;

  if (!self->folder || !*self->folder) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("%s: no model; set the property model to a checkpoint folder", GST_OBJECT_NAME (self)),
        (NULL));
    return FALSE;
  }
  model = seed_model_load_sized (self->folder, self->image_size, &error);
  if (!model) {
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ,
        ("%s: cannot load the model: %s", GST_OBJECT_NAME (self), error->message), (NULL));
    return FALSE;
  }
  set_model (self, model);
  return TRUE;
}

static GstStateChangeReturn
seed_teacher_change_state (GstElement *element, GstStateChange transition)
{
  SeedTeacher *self = SEED_TEACHER (element);
  GstStateChangeReturn ret;

  /* in READY already, so that a graph can be negotiated without playing it */
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && !load_model (self))
    return GST_STATE_CHANGE_FAILURE;
  ret = GST_ELEMENT_CLASS (seed_teacher_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL)
    set_model (self, NULL);
  return ret;
}

static void
drop_session (SeedTeacher *self)
{
  g_clear_pointer (&self->session, seed_session_free);
  if (self->pool)
    gst_buffer_pool_set_active (self->pool, FALSE);
  gst_clear_object (&self->pool);
}

static gboolean
seed_teacher_stop (GstBaseTransform *base)
{
  drop_session (SEED_TEACHER (base));
  return TRUE;
}

/* Fields both sides share are copied, in whatever form (fixed, list, range) they have. */
static void
copy_batch_fields (GstStructure *to, const GstStructure *from)
{
  static const char *const fields[] = { "views", "batch" };

  for (guint i = 0; i < G_N_ELEMENTS (fields); i++) {
    const GValue *value = gst_structure_get_value (from, fields[i]);

    if (value)
      gst_structure_set_value (to, fields[i], value);
  }
}

static GstStructure *
patches_structure (const SeedModelInfo *info)
{
  GstStructure *s = gst_structure_new (SEED_CAPS_PATCHES, "image-size", G_TYPE_INT,
      (int) info->image_size, "patch-size", G_TYPE_INT, (int) info->patch_size, NULL);

  if (info->interpolation)
    gst_structure_set (s, "interpolation", G_TYPE_STRING, info->interpolation, NULL);
  return s;
}

/* What the model was made for first, then the same words made with any fit. */
static void
append_patches (GstCaps *caps, const SeedModelInfo *info, const GstStructure *batch)
{
  GstStructure *any = patches_structure (info);

  copy_batch_fields (any, batch);
  if (info->fit) {
    GstStructure *best = gst_structure_copy (any);

    gst_structure_set (best, "fit", G_TYPE_STRING, info->fit, "resize-size", G_TYPE_INT,
        (int) info->resize_size, "crop-size", G_TYPE_INT, (int) info->crop_size, NULL);
    gst_caps_append_structure (caps, best);
  }
  gst_caps_append_structure (caps, any);
}

static GstStructure *
features_structure (SeedTeacher *self, const SeedModelInfo *info)
{
  g_autofree char *space = g_strdup_printf ("teacher/%s/%.12s", info->name, info->sha256);

  return gst_structure_new (SEED_CAPS_FEATURES, "summary-dim", G_TYPE_INT, (int) info->summary_dim,
      "token-dim", G_TYPE_INT, self->want_tokens ? (int) info->token_dim : 0, "grid", G_TYPE_INT,
      (int) (info->image_size / info->patch_size), "space", G_TYPE_STRING, space, "node",
      G_TYPE_STRING, GST_OBJECT_NAME (self), NULL);
}

static GstCaps *
seed_teacher_transform_caps (
    GstBaseTransform *base, GstPadDirection direction, GstCaps *caps, GstCaps *filter)
{
  SeedTeacher *self = SEED_TEACHER (base);
  g_autoptr (SeedModel) model = get_model (self);
  GstPad *other = direction == GST_PAD_SINK ? base->srcpad : base->sinkpad;
  GstCaps *result;

  if (!model)
    return gst_pad_get_pad_template_caps (other);

  result = gst_caps_new_empty ();
  for (guint i = 0; i < gst_caps_get_size (caps); i++) {
    const SeedModelInfo *info = seed_model_get_info (model);
    const GstStructure *from = gst_caps_get_structure (caps, i);

    if (direction == GST_PAD_SRC) {
      append_patches (result, info, from);
    } else {
      GstStructure *s = features_structure (self, info);

      copy_batch_fields (s, from);
      result = gst_caps_merge_structure (result, s);
    }
  }
  if (filter) {
    GstCaps *all = result;

    result = gst_caps_intersect_full (filter, all, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref (all);
  }
  return result;
}

static gboolean
seed_teacher_set_caps (GstBaseTransform *base, GstCaps *in_caps, GstCaps *out_caps)
{
  SeedTeacher *self = SEED_TEACHER (base);
  g_autoptr (SeedModel) model = get_model (self);
  g_autoptr (GError) error = NULL;
  const SeedModelInfo *info = seed_model_get_info (model);

  if (!seed_patches_info_from_caps (&self->in, in_caps) ||
      !seed_features_info_from_caps (&self->out, out_caps))
    return FALSE;
  if (self->in.image_size != info->image_size || self->in.patch_size != info->patch_size) {
    GST_ELEMENT_ERROR (self, STREAM, FORMAT,
        ("%s: model %s takes %ux%u images in %ux%u words, not %u and %u", GST_OBJECT_NAME (self),
            info->name, info->image_size, info->image_size, info->patch_size, info->patch_size,
            self->in.image_size, self->in.patch_size),
        (NULL));
    return FALSE;
  }

  drop_session (self);
  self->session = seed_session_new (model, self->in.batch * self->in.views, &error);
  if (!self->session) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, NO_SPACE_LEFT, ("%s: %s", GST_OBJECT_NAME (self), error->message), (NULL));
    return FALSE;
  }
  self->pool = seed_features_pool_new (&self->out, out_caps);
  self->announce = TRUE;
  return gst_buffer_pool_set_active (self->pool, TRUE);
}

static void
announce_model (SeedTeacher *self)
{
  const SeedModelInfo *info = seed_model_get_info (self->model);

  gst_pad_push_event (
      GST_BASE_TRANSFORM_SRC_PAD (self), seed_model_event_new (info->name, info->sha256, 0));
  self->announce = FALSE;
}

static GstFlowReturn
seed_teacher_prepare_output_buffer (GstBaseTransform *base, GstBuffer *in, GstBuffer **out)
{
  SeedTeacher *self = SEED_TEACHER (base);

  seed_ledger_in_buffer (self->ledger, in);
  if (!self->pool)
    return GST_FLOW_NOT_NEGOTIATED;
  if (self->announce)
    announce_model (self);
  return gst_buffer_pool_acquire_buffer (self->pool, out, NULL);
}

static GstFlowReturn
seed_teacher_transform (GstBaseTransform *base, GstBuffer *in, GstBuffer *out)
{
  SeedTeacher *self = SEED_TEACHER (base);
  gint64 start = g_get_monotonic_time ();
  guint n_items = MAX (1, seed_buffer_n_stream_meta (in));
  SeedFeaturesMap features;
  GstMapInfo words;

  if (!gst_buffer_map (in, &words, GST_MAP_READ))
    goto unreadable;
  if (n_items > self->in.batch || words.size != n_items * seed_patches_info_item_size (&self->in)) {
    gst_buffer_unmap (in, &words);
    goto unreadable;
  }
  seed_features_resize (out, &self->out, n_items);
  if (!seed_features_map (&features, out, GST_MAP_WRITE)) {
    gst_buffer_unmap (in, &words);
    goto unreadable;
  }
  seed_session_run (self->session, words.data, n_items * self->in.views,
      (float *) features.summary.data, (float *) features.tokens.data);
  seed_features_unmap (&features, out);
  gst_buffer_unmap (in, &words);

  seed_buffer_copy_stream_metas (out, in);
  gst_buffer_copy_into (out, in, GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - start) * 1000);
  seed_ledger_out_buffer (self->ledger, in);
  return GST_FLOW_OK;

unreadable:
  seed_ledger_drop_buffer (self->ledger, in, SEED_DROP_ERROR);
  GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE,
      ("%s: a buffer of words does not hold the %u items its metas announce",
          GST_OBJECT_NAME (self), n_items),
      ("got %" G_GSIZE_FORMAT " bytes, an item has %" G_GSIZE_FORMAT, gst_buffer_get_size (in),
          seed_patches_info_item_size (&self->in)));
  return GST_FLOW_ERROR;
}

static gboolean
seed_teacher_transform_meta (GstBaseTransform *base, GstBuffer *out, GstMeta *meta, GstBuffer *in)
{
  return FALSE; /* transform() copies what goes on */
}

static void
seed_teacher_finalize (GObject *object)
{
  SeedTeacher *self = SEED_TEACHER (object);

  drop_session (self);
  set_model (self, NULL);
  seed_ledger_unref (self->ledger);
  g_free (self->folder);
  G_OBJECT_CLASS (seed_teacher_parent_class)->finalize (object);
}

static void
seed_teacher_class_init (SeedTeacherClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *base_class = GST_BASE_TRANSFORM_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (seed_teacher_debug, "seedteacher", 0, "frozen vision transformer");

  object_class->set_property = seed_teacher_set_property;
  object_class->get_property = seed_teacher_get_property;
  object_class->finalize = seed_teacher_finalize;

  properties[PROP_MODEL] = g_param_spec_string ("model", "Model",
      "Checkpoint folder in Hugging Face layout (config.json, model.safetensors); required", NULL,
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  properties[PROP_TOKENS] = g_param_spec_boolean ("tokens", "Tokens",
      "Also give the features of every word, not the summary alone", DEFAULT_TOKENS,
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  properties[PROP_IMAGE_SIZE] = g_param_spec_uint ("image-size", "Image size",
      "Side of the images the model is given, in pixels, a multiple of its patch size: position "
      "embeddings are resampled to it (0 = the model's own size)",
      0, MAX_IMAGE_SIZE, DEFAULT_IMAGE_SIZE,
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  properties[PROP_LEDGER] =
      g_param_spec_boxed ("ledger", "Ledger", "Account of frames in, out and dropped, per stream",
          SEED_TYPE_LEDGER, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  properties[PROP_STATS] = g_param_spec_boxed ("stats", "Statistics",
      "Model name, family, sha256, parameters and memory-bytes", GST_TYPE_STRUCTURE,
      G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
  g_object_class_install_properties (object_class, N_PROPS, properties);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED teacher", "Filter/Analyzer/Video",
      "Runs a frozen vision transformer over words", "The SEED authors");

  element_class->change_state = seed_teacher_change_state;
  base_class->stop = seed_teacher_stop;
  base_class->transform_caps = seed_teacher_transform_caps;
  base_class->set_caps = seed_teacher_set_caps;
  base_class->prepare_output_buffer = seed_teacher_prepare_output_buffer;
  base_class->transform = seed_teacher_transform;
  base_class->transform_meta = seed_teacher_transform_meta;
}

static void
seed_teacher_init (SeedTeacher *self)
{
  self->want_tokens = DEFAULT_TOKENS;
  self->image_size = DEFAULT_IMAGE_SIZE;
  self->ledger = seed_ledger_new ();
}
