/* SPDX-License-Identifier: MIT */
#include "decode/outlet.h"

#include "decode/plain.h"

struct _SeedOutlet {
  GstPad *pad;
  gboolean started, has_segment;
  guint group_id;
  GstCaps *caps; /* of the frame before */
  SeedPlain *plain;
};

SeedOutlet *
seed_outlet_new (GstPad *pad)
{
  SeedOutlet *outlet = g_new0 (SeedOutlet, 1);

  outlet->pad = pad;
  outlet->plain = seed_plain_new ();
  return outlet;
}

void
seed_outlet_free (SeedOutlet *outlet)
{
  if (!outlet)
    return;
  gst_caps_replace (&outlet->caps, NULL);
  seed_plain_free (outlet->plain);
  g_free (outlet);
}

void
seed_outlet_reset (SeedOutlet *outlet)
{
  outlet->started = outlet->has_segment = FALSE;
  outlet->group_id = gst_util_group_id_next ();
  gst_caps_replace (&outlet->caps, NULL);
  seed_plain_forget (outlet->plain);
}

void
seed_outlet_flushed (SeedOutlet *outlet)
{
  outlet->has_segment = FALSE;
  gst_caps_replace (&outlet->caps, NULL);
}

void
seed_outlet_reconfigure (SeedOutlet *outlet)
{
  seed_plain_forget (outlet->plain);
}

static void
push_start (SeedOutlet *outlet)
{
  g_autoptr (GstElement) element = gst_pad_get_parent_element (outlet->pad);
  g_autofree char *id = NULL;
  GstEvent *event;

  if (outlet->started)
    return;
  outlet->started = TRUE;
  id = gst_pad_create_stream_id (outlet->pad, element, NULL);
  event = gst_event_new_stream_start (id);
  gst_event_set_group_id (event, outlet->group_id);
  gst_pad_push_event (outlet->pad, event);
}

static void
push_segment (SeedOutlet *outlet)
{
  GstSegment segment;

  if (outlet->has_segment)
    return;
  outlet->has_segment = TRUE;
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (outlet->pad, gst_event_new_segment (&segment));
}

/* FALSE: refused, and nothing to blame on a flush. */
static gboolean
push_caps (SeedOutlet *outlet, GstCaps *caps)
{
  if (outlet->caps && gst_caps_is_equal (outlet->caps, caps))
    return TRUE;
  if (!gst_pad_push_event (outlet->pad, gst_event_new_caps (caps)))
    return GST_PAD_IS_FLUSHING (outlet->pad);
  gst_caps_replace (&outlet->caps, caps);
  return TRUE;
}

void
seed_outlet_push_event (SeedOutlet *outlet, GstEvent *event)
{
  push_start (outlet);
  gst_pad_push_event (outlet->pad, event);
}

GstFlowReturn
seed_outlet_push (SeedOutlet *outlet, GstBuffer *buffer, GstCaps *caps, GstEvent *before)
{
  push_start (outlet);
  if (!push_caps (outlet, caps)) {
    gst_buffer_unref (buffer);
    gst_clear_event (&before);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  push_segment (outlet);
  if (before)
    gst_pad_push_event (outlet->pad, before);
  buffer = seed_plain_make (outlet->plain, outlet->pad, caps, buffer);
  return buffer ? gst_pad_push (outlet->pad, buffer) : GST_FLOW_ERROR;
}
