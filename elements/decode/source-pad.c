/* SPDX-License-Identifier: MIT */
#include "decode/internal.h"

#define GST_CAT_DEFAULT seed_decode_debug

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE (
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_DECODE_CAPS));

static gboolean
src_activate_mode (GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active)
{
  SeedDecode *self = SEED_DECODE (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  if (active)
    return self->lanes && gst_pad_start_task (pad, seed_decode_push_loop, self, NULL);
  if (self->lanes)
    seed_lanes_stop (self->lanes);
  return gst_pad_stop_task (pad);
}

static gboolean
src_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  SeedDecode *self = SEED_DECODE (parent);
  g_autoptr (GPtrArray) running = seed_decode_ref_running (self);
  gboolean handled = TRUE;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_LATENCY:
    for (guint i = 0; i < running->len; i++) {
      g_autoptr (GstPad) its_pad = seed_decode_stream_get_pad (g_ptr_array_index (running, i));

      if (its_pad)
        gst_pad_push_event (its_pad, gst_event_ref (event));
    }
    break;
  case GST_EVENT_RECONFIGURE:
    seed_outlet_reconfigure (self->outlet);
    break;
  default: /* several streams have no common position to seek to, nor one lateness to act on */
    handled = FALSE;
  }
  gst_event_unref (event);
  return handled;
}

gboolean
seed_decode_send_event (GstElement *element, GstEvent *event)
{
  SeedDecode *self = SEED_DECODE (element);
  gboolean handled = TRUE, reset_time = TRUE;

  switch (GST_EVENT_TYPE (event)) {
  case GST_EVENT_EOS: /* without the state lock: it may come from our own streaming thread */
    seed_decode_drain (self);
    break;
  case GST_EVENT_FLUSH_START:
  case GST_EVENT_FLUSH_STOP:
    GST_STATE_LOCK (element);
    handled = self->open;
    if (handled && GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START) {
      seed_decode_flush_start (self);
    } else if (handled) {
      gst_event_parse_flush_stop (event, &reset_time);
      seed_decode_flush_stop (self, reset_time);
    }
    GST_STATE_UNLOCK (element);
    break;
  case GST_EVENT_LATENCY:
    return src_event (self->src, GST_OBJECT (self), event);
  default:
    handled = FALSE;
  }
  gst_event_unref (event);
  return handled;
}

static void
answer_latency (SeedDecode *self, GstQuery *query)
{
  g_autoptr (GPtrArray) running = seed_decode_ref_running (self);
  GstClockTime min = 0, max = GST_CLOCK_TIME_NONE;
  gboolean live = FALSE;

  for (guint i = 0; i < running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (running, i);
    g_autoptr (GstPad) its_pad = seed_decode_stream_get_pad (stream);
    g_autoptr (GstQuery) one = gst_query_new_latency ();
    GstClockTime its_min, its_max;
    gboolean its_live;

    live |= seed_decode_stream_is_live (stream); /* also while it is down */
    if (!its_pad || !gst_pad_peer_query (its_pad, one))
      continue;
    gst_query_parse_latency (one, &its_live, &its_min, &its_max);
    if (!its_live)
      continue;
    live = TRUE;
    min = MAX (min, its_min);
    max = MIN (max, its_max);
  }
  gst_query_set_latency (query, live, min, MAX (min, max));
}

static gboolean
src_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  SeedDecode *self = SEED_DECODE (parent);
  GstFormat format;

  switch (GST_QUERY_TYPE (query)) {
  case GST_QUERY_LATENCY:
    answer_latency (self, query);
    return TRUE;
  case GST_QUERY_SEEKING:
    gst_query_parse_seeking (query, &format, NULL, NULL, NULL);
    gst_query_set_seeking (query, format, FALSE, 0, -1);
    return TRUE;
  default:
    return gst_pad_query_default (pad, parent, query);
  }
}

void
seed_decode_init_pad (SeedDecode *self)
{
  self->src = gst_pad_new_from_static_template (&src_template, "src");
  self->outlet = seed_outlet_new (self->src);
  gst_pad_set_activatemode_function (self->src, src_activate_mode);
  gst_pad_set_event_function (self->src, src_event);
  gst_pad_set_query_function (self->src, src_query);
  gst_pad_use_fixed_caps (self->src);
  gst_element_add_pad (GST_ELEMENT (self), self->src);
}
