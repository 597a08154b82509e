/* SPDX-License-Identifier: MIT */
#include "core/event.h"

GstEvent *
seed_event_new (const char *event, const char *stream, const char *reason)
{
  static gint64 last_id; /* atomic */
  guint64 id = (guint64) __atomic_add_fetch (&last_id, 1, __ATOMIC_RELAXED);

  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
      gst_structure_new (SEED_EVENT_NAME, "event", G_TYPE_STRING, event, "stream", G_TYPE_STRING,
          stream ? stream : "-", "reason", G_TYPE_STRING, reason ? reason : "", "id", G_TYPE_UINT64,
          id, "time-ns", G_TYPE_INT64, seed_realtime_ns (), NULL));
}

void
seed_event_set_frame (GstEvent *event, guint64 frame, double score)
{
  gst_structure_set (gst_event_writable_structure (event), "frame", G_TYPE_UINT64, frame, "score",
      G_TYPE_DOUBLE, score, NULL);
}

gboolean
seed_event_parse (GstEvent *event, SeedEvent *parsed)
{
  const GstStructure *s = gst_event_get_structure (event);

  if (!s || !gst_structure_has_name (s, SEED_EVENT_NAME))
    return FALSE;
  parsed->event = gst_structure_get_string (s, "event");
  parsed->stream = gst_structure_get_string (s, "stream");
  parsed->reason = gst_structure_get_string (s, "reason");
  if (!gst_structure_get_uint64 (s, "frame", &parsed->frame))
    parsed->frame = GST_BUFFER_OFFSET_NONE;
  return parsed->event && parsed->stream && parsed->reason &&
         gst_structure_get_uint64 (s, "id", &parsed->id) &&
         gst_structure_get_int64 (s, "time-ns", &parsed->time_ns);
}

GstEvent *
seed_model_event_new (const char *name, const char *sha256, guint64 step)
{
  return gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
      gst_structure_new (SEED_MODEL_EVENT_NAME, "name", G_TYPE_STRING, name, "sha256",
          G_TYPE_STRING, sha256, "step", G_TYPE_UINT64, step, NULL));
}

gboolean
seed_model_event_parse (GstEvent *event, const char **name, const char **sha256, guint64 *step)
{
  const GstStructure *s = gst_event_get_structure (event);

  if (!s || !gst_structure_has_name (s, SEED_MODEL_EVENT_NAME))
    return FALSE;
  *name = gst_structure_get_string (s, "name");
  *sha256 = gst_structure_get_string (s, "sha256");
  return *name && *sha256 && gst_structure_get_uint64 (s, "step", step);
}

GstEvent *
seed_agreement_event_new (double agreement, guint64 step, const char *stream)
{
  GstStructure *s = gst_structure_new (SEED_AGREEMENT_EVENT_NAME, "agreement", G_TYPE_DOUBLE,
      agreement, "step", G_TYPE_UINT64, step, NULL);

  if (stream)
    gst_structure_set (s, "stream", G_TYPE_STRING, stream, NULL);
  return gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, s);
}

gboolean
seed_agreement_event_parse (GstEvent *event, double *agreement, guint64 *step, const char **stream)
{
  const GstStructure *s = gst_event_get_structure (event);

  if (!s || !gst_structure_has_name (s, SEED_AGREEMENT_EVENT_NAME))
    return FALSE;
  *stream = gst_structure_get_string (s, "stream");
  return gst_structure_get_double (s, "agreement", agreement) &&
         gst_structure_get_uint64 (s, "step", step);
}

GstEvent *
seed_scene_cut_event_new (const char *stream)
{
  GstStructure *s = gst_structure_new_empty (SEED_SCENE_CUT_EVENT_NAME);

  if (stream)
    gst_structure_set (s, "stream", G_TYPE_STRING, stream, NULL);
  return gst_event_new_custom (GST_EVENT_CUSTOM_UPSTREAM, s);
}

gboolean
seed_scene_cut_event_parse (GstEvent *event, const char **stream)
{
  const GstStructure *s = gst_event_get_structure (event);

  if (!s || !gst_structure_has_name (s, SEED_SCENE_CUT_EVENT_NAME))
    return FALSE;
  *stream = gst_structure_get_string (s, "stream");
  return TRUE;
}

gint64
seed_realtime_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME, &now);
  return (gint64) now.tv_sec * G_GINT64_CONSTANT (1000000000) + now.tv_nsec;
}
