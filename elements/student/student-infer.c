/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "student/seedstudent.h"

GST_DEBUG_CATEGORY_EXTERN (seed_student_debug);
#define GST_CAT_DEFAULT seed_student_debug

static char *
base_name (const char *folder)
{
  g_autofree char *absolute = g_canonicalize_filename (folder, NULL);

  return g_path_get_basename (absolute);
}

static gboolean
load_checkpoint (SeedStudentElement *self, GError **error)
{
  SeedCheckpoint checkpoint = { 0 };
  SeedStudentShape shape;

  if (!seed_checkpoint_load (
          &checkpoint, self->model, seed_student_head_tensors, SEED_STUDENT_N_HEAD_TENSORS, error))
    return FALSE;
  shape.vit = checkpoint.config;
  shape.embed_dim = (guint) seed_params_lookup (&checkpoint.params, "embed_head.weight")->shape[0];
  self->infer.fixed =
      seed_weights_new (checkpoint.values, checkpoint.params.total, 0, checkpoint.sha256);
  seed_checkpoint_clear (&checkpoint);
  seed_student_element_set_shape (self, &shape);
  return TRUE;
}

gboolean
seed_student_infer_open (SeedStudentElement *self)
{
  g_autoptr (GError) error = NULL;

  g_clear_pointer (&self->model_name, g_free);
  if (!seed_backend_choose (self->backend, self->precision, TRUE, NULL, &error)) {
    GST_ELEMENT_ERROR (
        self, LIBRARY, SETTINGS, ("%s: %s", GST_OBJECT_NAME (self), error->message), (NULL));
    return FALSE;
  }
  if (self->follows && *self->follows) {
    self->model_name = g_strdup (self->follows);
    return TRUE; /* the learner may open after us: see seed_student_infer_start */
  }
  if (!self->model || !*self->model) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("%s: nothing to serve; set model to a student's checkpoint folder, or follows to the "
         "name of a training student",
            GST_OBJECT_NAME (self)),
        (NULL));
    return FALSE;
  }
  if (!load_checkpoint (self, &error)) {
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ,
        ("%s: cannot load the student: %s", GST_OBJECT_NAME (self), error->message), (NULL));
    return FALSE;
  }
  self->model_name = base_name (self->model);
  return TRUE;
}

static GstElement *
top_level_bin (SeedStudentElement *self)
{
  GstObject *top = gst_object_ref (GST_OBJECT (self)), *parent;

  while ((parent = gst_object_get_parent (top))) {
    gst_object_unref (top);
    top = parent;
  }
  return GST_ELEMENT (top);
}

static SeedWeightsHub *
find_hub (SeedStudentElement *self)
{
  g_autoptr (GstElement) top = top_level_bin (self);
  g_autoptr (GstElement) learner = NULL;

  if (!GST_IS_BIN (top))
    return NULL;
  learner = gst_bin_get_by_name (GST_BIN (top), self->follows);
  if (!learner || !SEED_IS_STUDENT_ELEMENT (learner) ||
      SEED_STUDENT_ELEMENT (learner)->mode != SEED_STUDENT_TRAIN)
    return NULL;
  return seed_weights_hub_ref (SEED_STUDENT_ELEMENT (learner)->train.hub);
}

/* A follower takes the learner's shape as soon as the learner has one. */
void
seed_student_infer_find_shape (SeedStudentElement *self)
{
  g_autoptr (SeedWeightsHub) hub = NULL;
  SeedStudentShape shape;

  if (!self->follows || !*self->follows || seed_student_element_get_shape (self, &shape))
    return;
  hub = find_hub (self);
  if (hub && seed_weights_hub_get_shape (hub, &shape))
    seed_student_element_set_shape (self, &shape);
}

static gboolean
start_following (SeedStudentElement *self)
{
  SeedStudentShape shape;

  self->infer.hub = find_hub (self);
  if (!self->infer.hub) {
    GST_ELEMENT_ERROR (self, RESOURCE, NOT_FOUND,
        ("%s: follows '%s', but the pipeline has no training student of that name",
            GST_OBJECT_NAME (self), self->follows),
        (NULL));
    return FALSE;
  }
  seed_student_infer_find_shape (self);
  if (!seed_student_element_get_shape (self, &shape)) {
    GST_ELEMENT_ERROR (self, CORE, STATE_CHANGE,
        ("%s: the student '%s' it follows could not be opened", GST_OBJECT_NAME (self),
            self->follows),
        (NULL));
    return FALSE;
  }
  self->infer.follower = seed_weights_follower_new (self->infer.hub, self->deterministic);
  return TRUE;
}

gboolean
seed_student_infer_start (SeedStudentElement *self)
{
  SeedStudentShape shape;

  if (self->infer.fixed)
    self->infer.weights = seed_weights_ref (self->infer.fixed);
  else if (!start_following (self))
    return FALSE;
  seed_student_element_get_shape (self, &shape);
  seed_params_init (&self->infer.params);
  seed_student_append_params (&shape, &self->infer.params);
  return TRUE;
}

void
seed_student_infer_set_flushing (SeedStudentElement *self, gboolean flushing)
{
  if (self->infer.follower)
    seed_weights_follower_set_interrupted (self->infer.follower, flushing);
}

void
seed_student_infer_unblock (SeedStudentElement *self)
{
  seed_student_infer_set_flushing (self, TRUE);
}

static void
drop_workspace (SeedStudentInfer *infer)
{
  g_clear_pointer (&infer->student, seed_student_free);
  infer->packed = FALSE;
  if (infer->pool)
    gst_buffer_pool_set_active (infer->pool, FALSE);
  gst_clear_object (&infer->pool);
}

void
seed_student_infer_stop (SeedStudentElement *self)
{
  SeedStudentInfer *infer = &self->infer;

  drop_workspace (infer);
  seed_params_clear (&infer->params);
  g_clear_pointer (&infer->follower, seed_weights_follower_free);
  g_clear_pointer (&infer->hub, seed_weights_hub_unref);
  g_clear_pointer (&infer->weights, seed_weights_unref);
}

void
seed_student_infer_close (SeedStudentElement *self)
{
  seed_student_infer_stop (self);
  g_clear_pointer (&self->infer.fixed, seed_weights_unref);
}

static SeedFeaturesInfo
features_info (SeedStudentElement *self, const SeedStudentShape *shape)
{
  g_autofree char *space = g_strdup_printf ("student/%s", self->model_name);

  return (SeedFeaturesInfo){
    .summary_dim = shape->embed_dim,
    .token_dim = self->tokens ? shape->vit.dim : 0,
    .grid = shape->vit.image_size / shape->vit.patch_size,
    .views = self->in.views,
    .batch = self->in.batch,
    .space = g_intern_string (space),
    .node = g_intern_string (GST_OBJECT_NAME (self)),
  };
}

gboolean
seed_student_infer_set_caps (SeedStudentElement *self)
{
  SeedStudentInfer *infer = &self->infer;
  g_autoptr (GstCaps) caps = NULL;
  g_autoptr (GError) error = NULL;
  const SeedBackend *backend;
  SeedStudentShape shape;

  seed_student_element_get_shape (self, &shape);
  infer->out = features_info (self, &shape);
  caps = seed_features_info_to_caps (&infer->out);
  if (!gst_pad_push_event (self->srcpad, gst_event_new_caps (caps)))
    return FALSE;

  drop_workspace (infer);
  backend = seed_backend_choose (self->backend, self->precision, TRUE, NULL, &error);
  infer->student = !backend ? NULL
                            : seed_student_new (&shape, &infer->params,
                                  self->in.batch * self->in.views, FALSE, backend, &error);
  if (!infer->student) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, NO_SPACE_LEFT, ("%s: %s", GST_OBJECT_NAME (self), error->message), (NULL));
    return FALSE;
  }
  infer->pool = seed_features_pool_new (&infer->out, caps);
  return gst_buffer_pool_set_active (infer->pool, TRUE);
}

/* Takes the weights for the next frames; FALSE when interrupted. */
static gboolean
update_weights (SeedStudentElement *self, guint n_items)
{
  SeedStudentInfer *infer = &self->infer;

  if (!infer->follower)
    return TRUE;
  for (guint i = 0; i < n_items; i++) {
    SeedWeights *next = seed_weights_follower_next (infer->follower);

    if (!next)
      return FALSE;
    /* a batch is served with the version due at its first frame */
    if (i == 0) {
      infer->packed = infer->packed && next == infer->weights;
      seed_weights_unref (infer->weights);
      infer->weights = next;
    } else {
      seed_weights_unref (next);
    }
  }
  return TRUE;
}

/* The tokens of every image, without CLS, out of [n, 1+N, d]. */
static void
copy_tokens (SeedStudentElement *self, const float *hidden, guint n_images, float *tokens)
{
  gsize image = (gsize) self->infer.out.grid * self->infer.out.grid * self->infer.out.token_dim;
  gsize stride = image + self->infer.out.token_dim;

  for (guint i = 0; i < n_images; i++)
    memcpy (tokens + i * image, hidden + i * stride + self->infer.out.token_dim,
        image * sizeof (float));
}

static gboolean
run_student (SeedStudentElement *self, GstBuffer *words, GstBuffer *out, guint n_items)
{
  SeedStudentInfer *infer = &self->infer;
  guint n_images = n_items * self->in.views;
  const float *embedding, *hidden;
  SeedFeaturesMap features;
  GstMapInfo map;

  if (!gst_buffer_map (words, &map, GST_MAP_READ))
    return FALSE;
  seed_features_resize (out, &infer->out, n_items);
  if (map.size != n_items * seed_patches_info_item_size (&self->in) ||
      !seed_features_map (&features, out, GST_MAP_WRITE)) {
    gst_buffer_unmap (words, &map);
    return FALSE;
  }
  if (!infer->packed) {
    seed_student_set_values (infer->student, infer->weights->values);
    infer->packed = TRUE;
  }
  embedding = seed_student_forward (infer->student, map.data, n_images, &hidden);
  memcpy (features.summary.data, embedding, features.summary.size);
  if (features.tokens.data)
    copy_tokens (self, hidden, n_images, (float *) features.tokens.data);
  seed_features_unmap (&features, out);
  gst_buffer_unmap (words, &map);
  return TRUE;
}

GstFlowReturn
seed_student_infer_chain (SeedStudentElement *self, GstBuffer *words)
{
  SeedStudentInfer *infer = &self->infer;
  guint n_items = MAX (1, seed_buffer_n_stream_meta (words));
  GstBuffer *out = NULL;
  GstFlowReturn ret = GST_FLOW_NOT_NEGOTIATED;
  gint64 start;

  if (!infer->pool)
    goto drop;
  ret = GST_FLOW_FLUSHING;
  if (!update_weights (self, n_items))
    goto drop;
  ret = gst_buffer_pool_acquire_buffer (infer->pool, &out, NULL);
  if (ret != GST_FLOW_OK)
    goto drop;

  start = g_get_monotonic_time ();
  if (n_items > self->in.batch || !run_student (self, words, out, n_items)) {
    GST_ELEMENT_ERROR (self, STREAM, WRONG_TYPE,
        ("%s: a buffer of words does not hold the %u items its metas announce",
            GST_OBJECT_NAME (self), n_items),
        (NULL));
    ret = GST_FLOW_ERROR;
    goto drop;
  }
  seed_buffer_copy_stream_metas (out, words);
  gst_buffer_copy_into (out, words, GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - start) * 1000);
  seed_student_element_announce (self, infer->weights->sha256, infer->weights->step);
  seed_ledger_out_buffer (self->ledger, words);
  gst_buffer_unref (words);
  return gst_pad_push (self->srcpad, out);

drop:
  seed_ledger_drop_buffer (
      self->ledger, words, ret == GST_FLOW_FLUSHING ? SEED_DROP_FLUSHED : SEED_DROP_ERROR);
  gst_clear_buffer (&out);
  gst_buffer_unref (words);
  return ret;
}

static guint64
weights_bytes (const SeedStudentShape *shape)
{
  SeedParams params;
  guint64 bytes;

  seed_params_init (&params);
  seed_student_append_params (shape, &params);
  bytes = params.total * sizeof (float);
  seed_params_clear (&params);
  return bytes;
}

void
seed_student_infer_add_stats (SeedStudentElement *self, GstStructure *stats)
{
  SeedStudentShape shape;

  if (self->announced_step >= 0)
    gst_structure_set (stats, "step", G_TYPE_UINT64, (guint64) self->announced_step, NULL);
  /* a follower uses the learner's copy */
  if (!self->follows && seed_student_element_get_shape (self, &shape))
    gst_structure_set (stats, "memory-bytes", G_TYPE_UINT64, weights_bytes (&shape), NULL);
}
