/* SPDX-License-Identifier: MIT */
/* The element with image anchors: learning them, serving what they say of a frame, and the events
 * that come of it. */
#include <gst/check/gstharness.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <seed/anchors-meta.h>
#include <seed/ledger.h>
#include <seed/rng.h>
#include <seed/stream-meta.h>
#include <seed/view-meta.h>
#include <string.h>

#include "remove-tree.h"

enum { BATCH = 16, SIZE = 48, VIEW = 3 * SIZE * SIZE, GRID = 3, BINS = SEED_ANCHORS_META_BINS };

#define GEOMETRY                                                                                   \
  "application/x-seed-patches,image-size=48,patch-size=16,fit=squash,interpolation=bilinear"
#define LEARN                                                                                      \
  "seedstudent name=learn mode=train promote=always objective=anchors image-size=48 warmup=2 "     \
  "lr=5e-4 "

static void
paint (guint8 *words, guint64 picture)
{
  SeedRng rng;

  seed_rng_init (&rng, picture);
  for (guint i = 0; i < VIEW; i++)
    words[i] = (guint8) seed_rng_next (&rng);
}

static GstBuffer *
make_words (guint64 number, guint n_items, gboolean with_views)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (2 * n_items * VIEW);
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (guint i = 0; i < n_items; i++) {
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);
    guint64 frame = number % 2 * BATCH + i;

    g_strlcpy (meta->stream, "cam", sizeof meta->stream);
    meta->frame = frame;
    for (guint v = 0; v < 2; v++)
      paint (map.data + (2 * i + v) * VIEW, frame);
    if (with_views) {
      SeedViewMeta *views = seed_buffer_add_view_meta (buffer, i, 2);

      views->views[0] = views->views[1] = (SeedView){ 0, 0, 1, 1, FALSE };
    }
  }
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_OFFSET (buffer) = number;
  return buffer;
}

static GstHarness *
learner_new (const char *properties, guint batch)
{
  g_autofree char *description = g_strconcat (LEARN, properties, NULL);
  g_autofree char *caps = g_strdup_printf (GEOMETRY ",views=2,batch=%u", batch);
  GstHarness *h = gst_harness_new_parse (description);

  gst_harness_set_src_caps_str (h, caps);
  return h;
}

static JsonObject *
pull_report (GstHarness *h, JsonParser *parser)
{
  g_autoptr (GstBuffer) report = gst_harness_pull (h);
  GstMapInfo map;

  g_assert_nonnull (report);
  gst_buffer_map (report, &map, GST_MAP_READ);
  g_assert_true (json_parser_load_from_data (parser, (char *) map.data, (gssize) map.size, NULL));
  gst_buffer_unmap (report, &map);
  return json_node_get_object (json_parser_get_root (parser));
}

/* The reason of the first event of that name that came out of @h, or NULL; those before are lost.
 */
static char *
find_event (GstHarness *h, const char *name)
{
  g_autoptr (GstEvent) event = NULL;

  while ((event = gst_harness_try_pull_event (h))) {
    const GstStructure *s = gst_event_get_structure (event);

    if (GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_DOWNSTREAM &&
        gst_structure_has_name (s, "seed-event") &&
        g_str_equal (gst_structure_get_string (s, "event"), name)) {
      const char *reason = gst_structure_get_string (s, "reason");
      g_autofree char *frame = NULL;
      guint64 number;

      if (gst_structure_get_uint64 (s, "frame", &number)) {
        frame = g_strdup_printf ("frame %" G_GUINT64_FORMAT, number);
        g_assert_nonnull (strstr (reason, frame));
      } else {
        g_assert_cmpstr (name, ==, "alarm"); /* of no frame */
      }
      return g_strdup (reason);
    }
    gst_clear_event (&event);
  }
  return NULL;
}

static void
test_reports (void)
{
  static const char *const parts[] = { "assignment", "location", "word_location", "guard", "in_use",
    "word_accuracy", "position" };
  GstHarness *h = learner_new ("", BATCH);
  g_autofree char *alarm = NULL;
  double first = 0, last = 0;

  for (guint i = 0; i < 20; i++) {
    g_autoptr (JsonParser) parser = json_parser_new ();
    JsonObject *data, *anchors;

    g_assert_cmpint (gst_harness_push (h, make_words (i, BATCH, TRUE)), ==, GST_FLOW_OK);
    data = pull_report (h, parser);
    anchors = json_object_get_object_member (data, "anchors");
    for (guint p = 0; p < G_N_ELEMENTS (parts); p++)
      g_assert_true (isfinite (json_object_get_double_member (anchors, parts[p])));
    g_assert_cmpint (json_object_get_int_member (anchors, "matched"), ==, BATCH * 2);
    g_assert_cmpint (json_object_get_int_member (anchors, "refused_total"), ==, 0);
    g_assert_nonnull (json_object_get_array_member (anchors, "alarms"));
    g_assert_false (json_object_has_member (data, "agreement"));
    last = json_object_get_double_member (json_object_get_object_member (data, "loss"), "anchors");
    first = i == 0 ? last : first;
  }
  g_assert_cmpfloat (last, <, first);

  /* fewer frames than anchors can be spread over: counted, and an alarm */
  g_assert_cmpint (gst_harness_push (h, make_words (20, BATCH - 1, TRUE)), ==, GST_FLOW_OK);
  alarm = find_event (h, "alarm");
  g_assert_nonnull (alarm);
  while (!strstr (alarm, "frames: ")) {
    g_free (alarm);
    alarm = find_event (h, "alarm");
    g_assert_nonnull (alarm);
  }
  gst_harness_teardown (h);
}

static void
assert_error (GstHarness *h, GstBuffer *buffer, const char *text)
{
  g_autoptr (GstElement) student = gst_harness_find_element (h, "seedstudent");
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  gst_element_set_bus (student, bus);
  g_assert_cmpint (gst_harness_push (h, buffer), <, GST_FLOW_OK);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_nonnull (strstr (error->message, text));
  gst_element_set_bus (student, NULL);
  gst_harness_teardown (h);
}

static void
test_refusals (void)
{
  GstHarness *h = learner_new ("", BATCH);

  assert_error (h, make_words (0, BATCH, FALSE), "what part of the frame their views show");
  h = gst_harness_new_parse (LEARN);
  gst_harness_set_src_caps_str (h, GEOMETRY ",views=2,batch=4");
  g_assert_cmpint (gst_harness_push (h, make_words (0, 4, TRUE)), ==, GST_FLOW_NOT_NEGOTIATED);
  gst_harness_teardown (h);
}

/* ---- serving ---- */

static char *
train_some (const char *folder)
{
  char *checkpoint = g_build_filename (folder, "student", NULL);
  g_autofree char *properties = g_strdup_printf ("checkpoint=%s", checkpoint);
  GstHarness *h = learner_new (properties, BATCH);

  for (guint i = 0; i < 2; i++)
    gst_harness_push (h, make_words (i, BATCH, TRUE));
  gst_harness_push_event (h, gst_event_new_eos ());
  gst_harness_teardown (h);
  return checkpoint;
}

/* Frame @frame of @stream shows @picture. */
static GstBuffer *
make_frame (const char *stream, guint64 frame, guint64 picture, guint32 repeat)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (VIEW);
  SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  paint (map.data, picture);
  gst_buffer_unmap (buffer, &map);
  g_strlcpy (meta->stream, stream, sizeof meta->stream);
  meta->frame = frame;
  meta->repeat = repeat;
  return buffer;
}

static GstHarness *
server_new (const char *checkpoint, const char *properties)
{
  g_autofree char *description =
      g_strdup_printf ("seedstudent name=serve model=%s %s", checkpoint, properties);
  GstHarness *h = gst_harness_new_parse (description);

  gst_harness_set_src_caps_str (h, GEOMETRY ",views=1,batch=1");
  return h;
}

static void
test_describes (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-anchors-XXXXXX", NULL);
  g_autofree char *checkpoint = train_some (folder);

  for (guint heat = 0; heat < 2; heat++) {
    GstHarness *h = server_new (checkpoint, heat ? "heatmaps=true" : "");
    g_autoptr (GstBuffer) out = gst_harness_push_and_pull (h, make_frame ("cam", 0, 1, 0));
    g_autoptr (GstBuffer) copy = gst_buffer_copy (out);
    gpointer state = NULL;
    const SeedAnchorsMeta *meta = seed_buffer_iterate_anchors_meta (copy, &state);
    double sum = 0;

    g_assert_nonnull (meta);
    g_assert_cmpuint (meta->grid, ==, GRID);
    for (guint k = 0; k < BINS; k++)
      sum += (double) meta->histogram[k];
    g_assert_cmpfloat_with_epsilon (sum, 1, 1e-4);
    g_assert_true ((meta->heatmaps != NULL) == (heat == 1));
    for (guint k = 0; heat && k < BINS; k++) {
      double mean = 0;

      for (guint u = 0; u < GRID * GRID; u++)
        mean += (double) meta->heatmaps[k * GRID * GRID + u] / (GRID * GRID);
      g_assert_cmpfloat_with_epsilon (mean, (double) meta->histogram[k], 1e-5);
    }
    g_assert_null (seed_buffer_iterate_anchors_meta (copy, &state));
    gst_harness_teardown (h);
  }
  remove_tree (folder);
}

static void
push_frames (GstHarness *h, const char *stream, guint64 from, guint64 to, guint64 picture)
{
  for (guint64 i = from; i < to; i++) {
    g_autoptr (GstBuffer) out = gst_harness_push_and_pull (h, make_frame (stream, i, picture, 0));

    g_assert_nonnull (out);
  }
}

static void
test_notices (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-anchors-XXXXXX", NULL);
  g_autofree char *checkpoint = train_some (folder);
  GstHarness *h = server_new (checkpoint, "events=duplicates");
  g_autofree char *first = NULL, *second = NULL, *of_b = NULL;
  g_autoptr (GstBuffer) remembered = NULL;

  push_frames (h, "a", 10, 14, 1);
  push_frames (h, "b", 0, 2, 1);
  remembered = gst_harness_push_and_pull (h, make_frame ("c", 0, 1, 1));
  gst_clear_buffer (&remembered);
  remembered = gst_harness_push_and_pull (h, make_frame ("c", 1, 1, 2));
  first = find_event (h, "near-duplicate");
  g_assert_nonnull (first);
  g_assert_nonnull (strstr (first, "frame 11 is like frame 10"));
  of_b = find_event (h, "near-duplicate"); /* streams are apart; a still scene is told once */
  g_assert_nonnull (of_b);
  g_assert_nonnull (strstr (of_b, "frame 1 is like frame 0"));
  second = find_event (h, "near-duplicate"); /* what comes from memory is no news */
  g_assert_null (second);
  gst_harness_teardown (h);
  remove_tree (folder);
}

static gboolean
was_told_upstream (GstHarness *h, const char *stream)
{
  g_autoptr (GstEvent) event = NULL;

  while ((event = gst_harness_try_pull_upstream_event (h))) {
    const GstStructure *s = gst_event_get_structure (event);

    if (GST_EVENT_TYPE (event) == GST_EVENT_CUSTOM_UPSTREAM &&
        gst_structure_has_name (s, "seed-scene-cut") &&
        g_strcmp0 (gst_structure_get_string (s, "stream"), stream) == 0)
      return TRUE;
    gst_clear_event (&event);
  }
  return FALSE;
}

/* Two shots of noise; the student is as good as untrained, but they are not at all alike. */
static void
test_cuts (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-anchors-XXXXXX", NULL);
  g_autofree char *checkpoint = train_some (folder);
  GstHarness *h = server_new (checkpoint, "events=cuts");
  g_autofree char *cut = NULL, *none = NULL;

  push_frames (h, "a", 100, 110, 1);
  none = find_event (h, "scene-cut");
  g_assert_null (none);
  for (guint i = 0; i < 9; i++) { /* black: nothing like noise */
    GstBuffer *frame = make_frame ("a", 110 + i, 2, 0);
    g_autoptr (GstBuffer) out = NULL;

    gst_buffer_memset (frame, 0, 0, VIEW);
    out = gst_harness_push_and_pull (h, frame);
    g_assert_nonnull (out);
  }
  cut = find_event (h, "scene-cut");
  g_assert_nonnull (cut);
  g_assert_nonnull (strstr (cut, "begins with frame 110:"));
  g_assert_true (was_told_upstream (h, "a"));
  gst_harness_teardown (h);
  remove_tree (folder);
}

static void
test_serving_refusals (void)
{
  g_autoptr (GstElement) pipeline =
      gst_parse_launch ("seedstudent name=serve model=x events=cuts,cats ! fakesink", NULL);
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (gst_element_set_state (pipeline, GST_STATE_READY), ==, GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_nonnull (strstr (error->message, "\"cats\" is none of cuts, duplicates"));
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  gst_object_unref (gst_plugin_load_by_name ("seed"));
  g_test_add_func ("/student-anchors/reports", test_reports);
  g_test_add_func ("/student-anchors/refusals", test_refusals);
  g_test_add_func ("/student-anchors/describes", test_describes);
  g_test_add_func ("/student-anchors/notices", test_notices);
  g_test_add_func ("/student-anchors/cuts", test_cuts);
  g_test_add_func ("/student-anchors/serving-refusals", test_serving_refusals);
  return g_test_run ();
}
