/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-seedstudent
 * @title: seedstudent
 * @short_description: the small transformer that learns from a fused target, or serves
 *
 * With #seedstudent:mode infer: words in, features out; the summary is the unit vector of the embed
 * head. Weights come from a checkpoint (#seedstudent:model) or from a learning student of the same
 * pipeline (#seedstudent:follows), whose newest weights are picked up between two frames. A student
 * that has image anchors leaves a #SeedAnchorsMeta for each frame: a histogram and, with
 * #seedstudent:heatmaps, where in the frame each anchor is. With #seedstudent:events it tells scene
 * cuts and near-duplicates of each stream as events downstream, and cuts upstream too.
 *
 * With mode train: words of two views on the pad sink, and beside them, as #seedstudent:objective
 * says, what to learn from: the fused target of the same batch on the request pad target, teachers'
 * features on request pads teacher_\%u, labels in the stream metas, captions in #SeedCaptionMeta;
 * image anchors are learned from the words alone and what #SeedViewMeta says of them. Every step
 * leaves one JSON report (application/x-seed-report, kind train) on the pad src, and sends its
 * agreement with the teachers upstream ("seed-agreement"). The moving average of the weights is
 * what serves: at every checkpoint it is a candidate, and #seedstudent:promote says whether
 * followers, and others who serve from the checkpoint folder, get it. "seed-event" promoted,
 * rolled-back and alarm tell of it downstream.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=8 ! seedpatchify ! seedstudent model=/srv/models/lobby !
 * fakesink dump=true
 * ]|
 *
 * Since: 0.1
 */
#include "student/seedstudent.h"

GST_DEBUG_CATEGORY (seed_student_debug);
#define GST_CAT_DEFAULT seed_student_debug

G_DEFINE_FINAL_TYPE (SeedStudentElement, seed_student_element, GST_TYPE_ELEMENT)
GST_ELEMENT_REGISTER_DEFINE (seedstudent, "seedstudent", GST_RANK_NONE, SEED_TYPE_STUDENT)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_PATCHES_TEMPLATE_CAPS));
static GstStaticPadTemplate target_template = GST_STATIC_PAD_TEMPLATE (
    "target", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS (SEED_AFFINITY_TEMPLATE_CAPS));
static GstStaticPadTemplate teacher_template = GST_STATIC_PAD_TEMPLATE (SEED_STUDENT_TEACHER_PADS,
    GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS (SEED_FEATURES_TEMPLATE_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC,
    GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_FEATURES_TEMPLATE_CAPS "; " SEED_REPORT_TEMPLATE_CAPS));

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
  if (self->announced_step == (gint64) step && g_str_equal (self->announced_sha256, sha256))
    return;
  g_strlcpy (self->announced_sha256, sha256, sizeof self->announced_sha256);
  self->announced_step = (gint64) step;
  gst_pad_push_event (self->srcpad, seed_model_event_new (self->model_name, sha256, step));
}

GstStructure *
seed_student_element_stats (SeedStudentElement *self)
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
  if (is_training (self) && seed_resume_query_stream (query)) {
    seed_student_answer_resume (self, query);
    return FALSE; /* so that it goes on to others */
  }
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
  SeedEvent parsed;
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
    else
      seed_student_notice_end (self, NULL);
    break;
  case GST_EVENT_CUSTOM_DOWNSTREAM:
    if (seed_event_parse (event, &parsed) && g_str_equal (parsed.event, "stream-down"))
      seed_student_notice_end (self, parsed.stream);
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

static GstPad *
seed_student_request_new_pad (
    GstElement *element, GstPadTemplate *template, const char *name, const GstCaps *caps)
{
  return seed_student_inputs_add (SEED_STUDENT_ELEMENT (element), template, name);
}

static void
seed_student_release_pad (GstElement *element, GstPad *pad)
{
  seed_student_inputs_remove (SEED_STUDENT_ELEMENT (element), pad);
}

static void
seed_student_finalize (GObject *object)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (object);

  close_mode (self);
  seed_weights_hub_unref (self->train.hub);
  g_ptr_array_unref (self->train.inputs);
  g_mutex_clear (&self->train.step_lock);
  g_cond_clear (&self->train.orders_done);
  g_queue_clear_full (&self->pending_events, (GDestroyNotify) gst_event_unref);
  g_mutex_clear (&self->events_lock);
  g_mutex_clear (&self->train.lock);
  g_cond_clear (&self->train.changed);
  seed_ledger_unref (self->ledger);
  seed_student_props_clear (self);
  g_free (self->model_name);
  G_OBJECT_CLASS (seed_student_element_parent_class)->finalize (object);
}

static void
seed_student_element_class_init (SeedStudentElementClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (seed_student_debug, "seedstudent", 0, "student transformer");

  object_class->finalize = seed_student_finalize;
  seed_student_props_install (object_class);
  seed_student_install_actions (object_class);

  gst_element_class_add_static_pad_template (element_class, &sink_template);
  gst_element_class_add_static_pad_template (element_class, &target_template);
  gst_element_class_add_static_pad_template (element_class, &teacher_template);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED student", "Filter/Analyzer/Video",
      "Learns one representation from teachers or labels, or serves it", "The SEED authors");
  element_class->change_state = seed_student_change_state;
  element_class->request_new_pad = seed_student_request_new_pad;
  element_class->release_pad = seed_student_release_pad;
}

static void
seed_student_element_init (SeedStudentElement *self)
{
  seed_student_props_init (self);
  self->announced_step = -1;
  self->ledger = seed_ledger_new ();
  self->train.hub = seed_weights_hub_new ();
  self->train.inputs = g_ptr_array_new_with_free_func (seed_student_input_free);
  g_mutex_init (&self->train.lock);
  g_mutex_init (&self->train.step_lock);
  g_cond_init (&self->train.orders_done);
  g_mutex_init (&self->events_lock);
  g_queue_init (&self->pending_events);
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
