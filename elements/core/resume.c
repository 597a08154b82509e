/* SPDX-License-Identifier: MIT */
#include "core/resume.h"

guint64
seed_resume_ask (GstPad *src, const char *stream)
{
  g_autoptr (GstQuery) query = gst_query_new_custom (GST_QUERY_CUSTOM,
      gst_structure_new (SEED_RESUME_QUERY_NAME, "stream", G_TYPE_STRING, stream, NULL));
  guint64 frame = 0;

  /* nobody answers with TRUE, so that the query reaches all of them */
  gst_pad_peer_query (src, query);
  gst_structure_get_uint64 (gst_query_get_structure (query), "frame", &frame);
  return frame;
}

gboolean
seed_resume_repeats (GstPad *src)
{
  g_autoptr (GstQuery) query =
      gst_query_new_custom (GST_QUERY_CUSTOM, gst_structure_new_empty (SEED_REPEAT_QUERY_NAME));

  return gst_pad_peer_query (src, query);
}

gboolean
seed_resume_is_repeat_query (GstQuery *query)
{
  return GST_QUERY_TYPE (query) == GST_QUERY_CUSTOM &&
         gst_structure_has_name (gst_query_get_structure (query), SEED_REPEAT_QUERY_NAME);
}

const char *
seed_resume_query_stream (GstQuery *query)
{
  const GstStructure *s =
      GST_QUERY_TYPE (query) == GST_QUERY_CUSTOM ? gst_query_get_structure (query) : NULL;

  return s && gst_structure_has_name (s, SEED_RESUME_QUERY_NAME)
             ? gst_structure_get_string (s, "stream")
             : NULL;
}

void
seed_resume_query_offer (GstQuery *query, guint64 frame)
{
  GstStructure *s = gst_query_writable_structure (query);
  guint64 other;

  if (gst_structure_get_uint64 (s, "frame", &other))
    frame = MIN (frame, other);
  gst_structure_set (s, "frame", G_TYPE_UINT64, frame, NULL);
}
