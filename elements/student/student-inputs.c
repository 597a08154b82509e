/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "student/seedstudent.h"

GST_DEBUG_CATEGORY_EXTERN (seed_student_debug);
#define GST_CAT_DEFAULT seed_student_debug

void
seed_student_input_free (gpointer data)
{
  SeedStudentInput *input = data;

  gst_clear_buffer (&input->buffer);
  g_free (input);
}

static SeedStudentInput *
input_at (SeedStudentElement *self, guint i)
{
  return g_ptr_array_index (self->train.inputs, i);
}

/* ---- what arrives ---- */

static GstFlowReturn
input_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  SeedStudentInput *input = gst_pad_get_element_private (pad);
  SeedStudentTrain *train = &SEED_STUDENT_ELEMENT (parent)->train;
  GstFlowReturn ret = GST_FLOW_OK;

  g_mutex_lock (&train->lock);
  while (input->buffer && !train->flushing && !train->finished)
    g_cond_wait (&train->changed, &train->lock);
  if (train->flushing || train->finished) {
    ret = train->flushing ? GST_FLOW_FLUSHING : GST_FLOW_EOS;
  } else if (!input->is_target && !input->has_info) {
    ret = GST_FLOW_NOT_NEGOTIATED;
  } else {
    input->buffer = g_steal_pointer (&buffer);
    g_cond_broadcast (&train->changed);
  }
  g_mutex_unlock (&train->lock);
  gst_clear_buffer (&buffer);
  return ret;
}

static gboolean
teacher_caps (SeedStudentElement *self, SeedStudentInput *input, GstCaps *caps)
{
  SeedFeaturesInfo info;
  g_autofree char *text = NULL;

  if (seed_features_info_from_caps (&info, caps) && info.views == SEED_VIEWS) {
    g_mutex_lock (&self->train.lock);
    input->info = info;
    input->has_info = TRUE;
    g_mutex_unlock (&self->train.lock);
    return TRUE;
  }
  text = gst_caps_to_string (caps);
  GST_ELEMENT_ERROR (self, STREAM, FORMAT,
      ("%s: %s: a student learns from features of %u views, complete with summary-dim, token-dim, "
       "grid, batch, space and node",
          GST_OBJECT_NAME (self), GST_OBJECT_NAME (input->pad), SEED_VIEWS),
      ("caps %s", text));
  return FALSE;
}

static gboolean
input_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  SeedStudentElement *self = SEED_STUDENT_ELEMENT (parent);
  SeedStudentInput *input = gst_pad_get_element_private (pad);
  gboolean ok = TRUE;
  GstCaps *caps;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_CAPS:
    gst_event_parse_caps (event, &caps);
    ok = input->is_target || teacher_caps (self, input, caps);
    break;
  case GST_EVENT_EOS:
    g_mutex_lock (&self->train.lock);
    input->eos = TRUE;
    g_cond_broadcast (&self->train.changed);
    g_mutex_unlock (&self->train.lock);
    break;
  case GST_EVENT_FLUSH_START:
  case GST_EVENT_FLUSH_STOP:
    seed_student_train_set_flushing (self, GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START);
    break;
  default: /* everything else reaches downstream by way of the words */
    break;
  }
  gst_event_unref (event);
  return ok;
}

/* ---- pads ---- */

static char *
free_name (SeedStudentElement *self, const char *wanted)
{
  for (guint i = 0;; i++) {
    char *name = wanted ? g_strdup (wanted) : g_strdup_printf (SEED_STUDENT_TEACHER_PADS, i);
    g_autoptr (GstPad) taken = gst_element_get_static_pad (GST_ELEMENT (self), name);

    if (!taken)
      return name;
    g_free (name);
    if (wanted)
      return NULL;
  }
}

GstPad *
seed_student_inputs_add (SeedStudentElement *self, GstPadTemplate *template, const char *wanted)
{
  gboolean is_target =
      !g_str_equal (GST_PAD_TEMPLATE_NAME_TEMPLATE (template), SEED_STUDENT_TEACHER_PADS);
  g_autofree char *name = free_name (self, is_target ? "target" : wanted);
  SeedStudentInput *input;
  guint n = 0;

  g_mutex_lock (&self->train.lock);
  for (guint i = 0; i < self->train.inputs->len; i++)
    n += input_at (self, i)->is_target == is_target;
  g_mutex_unlock (&self->train.lock);
  if (!name || n >= (is_target ? 1 : SEED_LEARNER_MAX_TEACHERS))
    return NULL;

  input = g_new0 (SeedStudentInput, 1);
  input->element = self;
  input->is_target = is_target;
  input->pad = gst_pad_new_from_template (template, name);
  gst_pad_set_element_private (input->pad, input);
  gst_pad_set_chain_function (input->pad, input_chain);
  gst_pad_set_event_function (input->pad, input_event);
  g_mutex_lock (&self->train.lock);
  g_ptr_array_add (self->train.inputs, input);
  g_mutex_unlock (&self->train.lock);
  if (GST_STATE (self) >= GST_STATE_PAUSED)
    gst_pad_set_active (input->pad, TRUE);
  gst_element_add_pad (GST_ELEMENT (self), input->pad);
  return input->pad;
}

void
seed_student_inputs_remove (SeedStudentElement *self, GstPad *pad)
{
  SeedStudentInput *input = gst_pad_get_element_private (pad);

  gst_pad_set_active (pad, FALSE);
  g_mutex_lock (&self->train.lock);
  g_ptr_array_remove (self->train.inputs, input);
  g_cond_broadcast (&self->train.changed);
  g_mutex_unlock (&self->train.lock);
  gst_element_remove_pad (GST_ELEMENT (self), pad);
}

gboolean
seed_student_inputs_count (SeedStudentElement *self, gboolean *has_target, guint *n_teachers)
{
  *has_target = FALSE;
  *n_teachers = 0;
  for (guint i = 0; i < self->train.inputs->len; i++) {
    const SeedStudentInput *input = input_at (self, i);

    if (!gst_pad_is_linked (input->pad)) {
      GST_ELEMENT_ERROR (self, CORE, PAD,
          ("%s: nothing is linked to the pad %s", GST_OBJECT_NAME (self),
              GST_OBJECT_NAME (input->pad)),
          (NULL));
      return FALSE;
    }
    *has_target = *has_target || input->is_target;
    *n_teachers += !input->is_target;
  }
  return TRUE;
}

/* ---- pairing ---- */

void
seed_student_inputs_reset (SeedStudentElement *self)
{
  g_mutex_lock (&self->train.lock);
  for (guint i = 0; i < self->train.inputs->len; i++) {
    gst_clear_buffer (&input_at (self, i)->buffer);
    input_at (self, i)->eos = FALSE;
  }
  g_cond_broadcast (&self->train.changed);
  g_mutex_unlock (&self->train.lock);
}

/* The buffer of @number, or NULL when it will not come. lock held. */
static GstBuffer *
take_locked (SeedStudentTrain *train, SeedStudentInput *input, guint64 number)
{
  while (!train->flushing) {
    if (input->buffer && GST_BUFFER_OFFSET (input->buffer) > number)
      return NULL;
    if (input->buffer) {
      GstBuffer *buffer = g_steal_pointer (&input->buffer);

      g_cond_broadcast (&train->changed);
      if (GST_BUFFER_OFFSET (buffer) == number)
        return buffer;
      gst_buffer_unref (buffer);
    } else if (input->eos) {
      return NULL;
    } else {
      g_cond_wait (&train->changed, &train->lock);
    }
  }
  return NULL;
}

gboolean
seed_student_inputs_take (SeedStudentElement *self, guint64 number, GstBuffer **parts)
{
  SeedStudentTrain *train = &self->train;
  gboolean ok;

  g_mutex_lock (&train->lock);
  for (guint i = 0; i < train->inputs->len; i++)
    parts[i] = take_locked (train, input_at (self, i), number);
  ok = !train->flushing;
  g_mutex_unlock (&train->lock);
  return ok;
}
