/* SPDX-License-Identifier: MIT */
#include "stand.h"

#include <string.h>

#include "mixture.h"

#define LATENT 12

void
stand_init (int *argc, char ***argv)
{
  GstPlugin *plugin;

  gst_init (argc, argv);
  g_test_init (argc, argv, NULL);
  plugin = gst_plugin_load_by_name ("seed");
  g_assert_nonnull (plugin);
  gst_object_unref (plugin);
}

void
stand_open (Stand *stand, guint n_teachers, guint views, const char *property, ...)
{
  va_list args;

  stand->n_teachers = n_teachers;
  stand->views = views;
  stand->element = gst_object_ref_sink (gst_element_factory_make ("seedfusion", "fused"));
  g_assert_nonnull (stand->element);
  va_start (args, property);
  g_object_set_valist (G_OBJECT (stand->element), property, args);
  va_end (args);
  stand->bus = gst_bus_new ();
  gst_element_set_bus (stand->element, stand->bus);
  for (guint t = 0; t < n_teachers; t++)
    gst_object_unref (gst_element_request_pad_simple (stand->element, "sink_%u"));
  for (guint t = 0; t < n_teachers; t++) {
    g_autofree char *name = g_strdup_printf ("sink_%u", t);

    stand->h[t] = gst_harness_new_with_element (stand->element, name, t == 0 ? "src" : NULL);
  }
}

void
stand_close (Stand *stand)
{
  gst_element_set_state (stand->element, GST_STATE_NULL);
  for (guint t = stand->n_teachers; t-- > 0;)
    gst_harness_teardown (stand->h[t]);
  gst_element_set_bus (stand->element, NULL);
  gst_object_unref (stand->bus);
  gst_object_unref (stand->element);
}

SeedFeaturesInfo
stand_info (Stand *stand, guint t)
{
  g_autofree char *space = g_strdup_printf ("space-%u", t),
                  *node = g_strdup_printf ("teacher-%u", t);

  return (SeedFeaturesInfo){ .summary_dim = STAND_DIM + t,
    .views = stand->views,
    .batch = STAND_BATCH,
    .space = g_intern_string (space),
    .node = g_intern_string (node) };
}

void
stand_push_caps (Stand *stand, guint t, const SeedFeaturesInfo *info)
{
  g_autoptr (GstCaps) caps = seed_features_info_to_caps (info);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (stand->h[t], gst_event_new_caps (caps));
  gst_harness_push_event (stand->h[t], gst_event_new_segment (&segment));
}

/* A sticky event is stored whatever the peer says of it: the answer is in what follows. */
void
stand_push_refused_caps (Stand *stand, guint t, const SeedFeaturesInfo *info)
{
  stand_push_caps (stand, t, info);
  g_assert_cmpint (stand_push (stand, t, 1), ==, GST_FLOW_NOT_NEGOTIATED);
}

void
stand_push_all_caps (Stand *stand)
{
  for (guint t = 0; t < stand->n_teachers; t++) {
    SeedFeaturesInfo info = stand_info (stand, t);

    stand_push_caps (stand, t, &info);
  }
}

float *
stand_features (guint t, guint views, guint64 first_frame, guint n)
{
  g_autofree double *z = g_new (double, (gsize) n *views *LATENT);
  Mixture mixture;
  float *x;
  gsize at = 0;

  for (guint i = 0; i < n; i++) {
    for (guint v = 0; v < views; v++) {
      g_autofree double *frame = mixture_latent (1, LATENT, 1000 + first_frame + i);
      g_autofree double *view = mixture_latent (1, LATENT, 77777 * (first_frame + i + 1) + v);

      for (guint k = 0; k < LATENT; k++)
        z[at++] = frame[k] + 0.2 * view[k];
    }
  }
  mixture_init (&mixture, STAND_DIM + t, LATENT, 500 + t);
  x = mixture_observe (&mixture, z, n * views);
  mixture_clear (&mixture);
  return x;
}

static const char *
stream_of (guint64 frame)
{
  return frame % 2 ? "yard" : "door";
}

GstBuffer *
stand_buffer (Stand *stand, guint t, guint64 number, guint n)
{
  guint64 first = number * STAND_BATCH;
  GstBuffer *buffer = gst_buffer_new_wrapped (stand_features (t, stand->views, first, n),
      (gsize) n * stand->views * (STAND_DIM + t) * sizeof (float));

  GST_BUFFER_OFFSET (buffer) = number;
  GST_BUFFER_PTS (buffer) = number * GST_SECOND;
  for (guint i = 0; i < n; i++) {
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

    g_strlcpy (meta->stream, stream_of (first + i), sizeof meta->stream);
    meta->frame = first + i;
    meta->pts = (first + i) * 10 * GST_SECOND;
  }
  return buffer;
}

GstFlowReturn
stand_push (Stand *stand, guint t, guint64 number)
{
  return gst_harness_push (stand->h[t], stand_buffer (stand, t, number, STAND_BATCH));
}

void
stand_push_all (Stand *stand, guint64 number)
{
  for (guint t = 0; t < stand->n_teachers; t++)
    g_assert_cmpint (stand_push (stand, t, number), ==, GST_FLOW_OK);
}

static GstBuffer *
pull (Stand *stand, guint64 number)
{
  GstBuffer *buffer = gst_harness_pull (stand->h[0]); /* waits 60 s at most */

  g_assert_nonnull (buffer);
  g_assert_cmpuint (GST_BUFFER_OFFSET (buffer), ==, number);
  g_assert_cmpuint (GST_BUFFER_PTS (buffer), ==, number * GST_SECOND);
  return buffer;
}

static void
expect_metas (GstBuffer *buffer, guint64 number)
{
  gpointer state = NULL;
  SeedStreamMeta *meta;
  guint64 frame = number * STAND_BATCH;

  g_assert_cmpuint (seed_buffer_n_stream_meta (buffer), >, 0);
  while ((meta = seed_buffer_iterate_stream_meta (buffer, &state))) {
    g_assert_cmpstr (meta->stream, ==, stream_of (frame));
    g_assert_cmpuint (meta->frame, ==, frame++);
  }
}

GstBuffer *
stand_pull_target (Stand *stand, guint64 number)
{
  GstBuffer *buffer = pull (stand, number);

  g_assert_false (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP));
  expect_metas (buffer, number);
  return buffer;
}

void
stand_pull_gap (Stand *stand, guint64 number)
{
  g_autoptr (GstBuffer) buffer = pull (stand, number);

  g_assert_true (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP));
  g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, 0);
  expect_metas (buffer, number);
}

void
stand_expect_nothing (Stand *stand)
{
  g_assert_cmpuint (gst_harness_buffers_in_queue (stand->h[0]), ==, 0);
}

/* Takes events from the queue until one fits. */
GstEvent *
stand_find_event (Stand *stand, GstEventType type, const char *name)
{
  GstEvent *event;

  while ((event = gst_harness_try_pull_event (stand->h[0]))) {
    if (GST_EVENT_TYPE (event) == type && (!name || gst_event_has_name (event, name)))
      return event;
    gst_event_unref (event);
  }
  return NULL;
}

void
stand_expect_error (Stand *stand, const char *says, ...)
{
  g_autoptr (GstMessage) message =
      gst_bus_timed_pop_filtered (stand->bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_ERROR);
  g_autoptr (GError) error = NULL;
  va_list args;

  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  va_start (args, says);
  for (const char *text = says; text; text = va_arg (args, const char *)) {
    if (!strstr (error->message, text))
      g_error ("\"%s\" does not say \"%s\"", error->message, text);
  }
  va_end (args);
  g_assert_nonnull (strstr (error->message, "fused")); /* the stage */
}

StandTotals
stand_totals (Stand *stand)
{
  g_autoptr (SeedLedger) ledger = NULL;
  g_autoptr (GArray) entries = NULL;
  StandTotals totals = { 0 };

  g_object_get (stand->element, "ledger", &ledger, NULL);
  entries = seed_ledger_snapshot (ledger);
  for (guint i = 0; i < entries->len; i++) {
    const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, i);

    g_assert_true (g_str_equal (entry->stream, "door") || g_str_equal (entry->stream, "yard"));
    totals.in += entry->in;
    totals.out += entry->out;
    totals.in_flight += seed_ledger_entry_in_flight (entry);
    for (guint r = 0; r < SEED_N_DROP_REASONS; r++)
      totals.dropped[r] += entry->dropped[r];
  }
  return totals;
}

SeedFuser *
stand_reference (Stand *stand, const char *strategy, guint n_batches)
{
  SeedFuserOptions options = { .strategy = strategy,
    .calibration = n_batches * STAND_BATCH,
    .duplicate_window_ns = 2 * GST_SECOND,
    .duplicate_cosine = 0.94,
    .seed = 0 };
  SeedWhiteningTeacher teachers[STAND_TEACHERS];
  SeedFuser *fuser;

  for (guint t = 0; t < stand->n_teachers; t++) {
    SeedFeaturesInfo info = stand_info (stand, t);

    teachers[t] = (SeedWhiteningTeacher){ info.node, info.space, info.summary_dim };
  }
  fuser = seed_fuser_new (&options, teachers, stand->n_teachers, stand->views, NULL);
  g_assert_nonnull (fuser);
  for (guint i = 0; i < n_batches; i++) {
    float *x[STAND_TEACHERS];

    for (guint t = 0; t < stand->n_teachers; t++)
      x[t] = stand_features (t, stand->views, i * STAND_BATCH, STAND_BATCH);
    g_assert_true (seed_fuser_calibrate (fuser, (const float *const *) x, STAND_BATCH, NULL));
    for (guint t = 0; t < stand->n_teachers; t++)
      g_free (x[t]);
  }
  g_assert_nonnull (seed_fuser_get_whitening (fuser));
  return fuser;
}

float *
stand_expected (Stand *stand, SeedFuser *fuser, guint64 number, guint n, SeedFusionTally *tally)
{
  SeedFusionItem items[STAND_BATCH];
  float *x[STAND_TEACHERS], *out;
  gsize width = seed_fuser_output (fuser) == SEED_FUSION_AFFINITY
                    ? n
                    : (gsize) stand->views * seed_fuser_width (fuser);

  for (guint i = 0; i < n; i++) {
    guint64 frame = number * STAND_BATCH + i;

    items[i] = (SeedFusionItem){ stream_of (frame), frame, (gint64) (frame * 10 * GST_SECOND) };
  }
  for (guint t = 0; t < stand->n_teachers; t++)
    x[t] = stand_features (t, stand->views, number * STAND_BATCH, n);
  out = g_new (float, n *width);
  g_assert_true (seed_fuser_run (fuser, (const float *const *) x, items, n, out, tally, NULL));
  for (guint t = 0; t < stand->n_teachers; t++)
    g_free (x[t]);
  return out;
}

void
stand_expect_values (GstBuffer *buffer, const float *expected, gsize n)
{
  GstMapInfo map;

  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  g_assert_cmpmem (map.data, map.size, expected, n * sizeof (float));
  gst_buffer_unmap (buffer, &map);
}
