/* SPDX-License-Identifier: MIT */

/* How batches meet on the pads of seedfusion, and leave: order, gaps, ends, flushes, stops. */
#include <string.h>

#include "core/event.h"
#include "fusion/fusion-meta.h"
#include "stand.h"

#define NEVER 1000000 /* frames: these tests do not get as far as targets */

static void
open_stand (Stand *stand, guint n_teachers)
{
  stand_open (stand, n_teachers, 2, "calibration", NEVER, NULL);
  stand_push_all_caps (stand);
}

/* Pushes batches to one pad from a thread of its own, as a queue does. */
typedef struct {
  Stand *stand;
  guint teacher;
  guint64 from, to;
  GstFlowReturn flow; /* of the last push */
  guint64 n_pushed;   /* atomic */
} Pusher;

static gpointer
push_thread (gpointer data)
{
  Pusher *pusher = data;

  for (guint64 i = pusher->from; i < pusher->to && pusher->flow == GST_FLOW_OK; i++) {
    pusher->flow = stand_push (pusher->stand, pusher->teacher, i);
    __atomic_add_fetch (&pusher->n_pushed, 1, __ATOMIC_SEQ_CST);
  }
  return NULL;
}

/* Waits, with a limit, until the stage has taken @frames in. */
static void
wait_for_frames (Stand *stand, guint64 frames)
{
  gint64 limit = g_get_monotonic_time () + STAND_WAIT_US;

  while (stand_totals (stand).in < frames) {
    g_assert_cmpint (g_get_monotonic_time (), <, limit);
    g_thread_yield ();
  }
}

static void
test_a_slower_teacher (void)
{
  Stand stand;
  Pusher fast = { .stand = &stand, .from = 0, .to = 20 };
  GThread *thread;

  open_stand (&stand, 2);
  thread = g_thread_new ("fast", push_thread, &fast);
  wait_for_frames (&stand, 2 * STAND_BATCH); /* no more than two batches wait */
  stand_expect_nothing (&stand);
  for (guint64 i = 0; i < 20; i++) {
    g_assert_cmpuint (stand_totals (&stand).in, <=, (i + 2) * STAND_BATCH);
    g_assert_cmpint (stand_push (&stand, 1, i), ==, GST_FLOW_OK);
    stand_pull_gap (&stand, i);
  }
  g_thread_join (thread);
  g_assert_cmpint (fast.flow, ==, GST_FLOW_OK);
  g_assert_cmpuint (stand_totals (&stand).dropped[SEED_DROP_NOT_CALIBRATED], ==, 20 * STAND_BATCH);
  g_assert_cmpuint (stand_totals (&stand).in_flight, ==, 0);
  stand_close (&stand);
}

/* Three threads at their own pace: all batches leave once and in order. */
static void
test_three_threads (void)
{
  Stand stand;
  Pusher pushers[3];
  GThread *threads[3];

  open_stand (&stand, 3);
  for (guint t = 0; t < 3; t++) {
    pushers[t] = (Pusher){ .stand = &stand, .teacher = t, .from = 0, .to = 60 };
    threads[t] = g_thread_new ("pusher", push_thread, &pushers[t]);
  }
  for (guint t = 0; t < 3; t++) {
    g_thread_join (threads[t]);
    g_assert_cmpint (pushers[t].flow, ==, GST_FLOW_OK);
  }
  for (guint64 i = 0; i < 60; i++)
    stand_pull_gap (&stand, i);
  stand_expect_nothing (&stand);
  g_assert_cmpuint (stand_totals (&stand).in, ==, 60 * STAND_BATCH);
  stand_close (&stand);
}

static void
test_a_batch_left_out (void)
{
  Stand stand;
  StandTotals totals;
  g_autoptr (GstStructure) stats = NULL;
  guint64 unpaired;

  open_stand (&stand, 2);
  stand_push (&stand, 0, 0);
  stand_push (&stand, 0, 1);
  stand_expect_nothing (&stand);
  stand_push (&stand, 1, 1); /* the second teacher lost batch 0 */
  stand_pull_gap (&stand, 0);
  stand_pull_gap (&stand, 1);
  totals = stand_totals (&stand);
  g_assert_cmpuint (totals.in, ==, 2 * STAND_BATCH);
  g_assert_cmpuint (totals.dropped[SEED_DROP_LATE], ==, STAND_BATCH);
  g_assert_cmpuint (totals.dropped[SEED_DROP_NOT_CALIBRATED], ==, STAND_BATCH);
  g_object_get (stand.element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, "unpaired", &unpaired));
  g_assert_cmpuint (unpaired, ==, 1);
  stand_close (&stand);
}

/* A gap of one teacher is no sample, and leaves as a gap once calibrated too. */
static void
test_a_teacher_with_gaps (void)
{
  Stand stand;
  guint frames;
  g_autoptr (GstStructure) stats = NULL;

  stand_open (&stand, 2, 2, "calibration", 2 * STAND_BATCH, NULL);
  stand_push_all_caps (&stand);
  for (guint64 i = 0; i < 5; i++) {
    GstBuffer *gap = stand_buffer (&stand, 1, i, STAND_BATCH);

    if (i == 1 || i == 3) {
      gst_buffer_remove_all_memory (gap);
      GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
    }
    g_assert_cmpint (stand_push (&stand, 0, i), ==, GST_FLOW_OK);
    g_assert_cmpint (gst_harness_push (stand.h[1], gap), ==, GST_FLOW_OK);
    if (i < 4)
      stand_pull_gap (&stand, i); /* calibrated on 0 and 2; 3 is a gap */
    else
      gst_buffer_unref (stand_pull_target (&stand, i));
  }
  g_object_get (stand.element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint (stats, "calibration-frames", &frames));
  g_assert_cmpuint (frames, ==, 2 * STAND_BATCH);
  g_assert_cmpuint (stand_totals (&stand).dropped[SEED_DROP_NOT_CALIBRATED], ==, 4 * STAND_BATCH);
  stand_close (&stand);
}

static void
test_end_of_one_then_of_all (void)
{
  Stand stand;
  g_autoptr (GstEvent) eos = NULL;
  StandTotals totals;

  open_stand (&stand, 2);
  stand_push_all (&stand, 0);
  stand_pull_gap (&stand, 0);
  stand_push (&stand, 0, 1);
  g_assert_true (gst_harness_push_event (stand.h[1], gst_event_new_eos ()));
  stand_pull_gap (&stand, 1); /* was waiting for the one that ended */
  g_assert_cmpint (stand_push (&stand, 0, 2), ==, GST_FLOW_OK);
  g_assert_cmpint (stand_push (&stand, 0, 3), ==, GST_FLOW_OK);
  stand_pull_gap (&stand, 2);
  stand_pull_gap (&stand, 3);
  g_assert_null (stand_find_event (&stand, GST_EVENT_EOS, NULL));
  g_assert_true (gst_harness_push_event (stand.h[0], gst_event_new_eos ()));
  eos = stand_find_event (&stand, GST_EVENT_EOS, NULL);
  g_assert_nonnull (eos);
  totals = stand_totals (&stand);
  g_assert_cmpuint (totals.dropped[SEED_DROP_LATE], ==, 3 * STAND_BATCH);
  g_assert_cmpuint (totals.in_flight, ==, 0);
  stand_close (&stand);
}

/* The end of the sources before anything came is an end, not a hang. */
static void
test_end_before_caps (void)
{
  Stand stand;
  g_autoptr (GstEvent) eos = NULL;

  stand_open (&stand, 2, 2, "strategy", "max-min", NULL);
  g_assert_true (gst_harness_push_event (stand.h[0], gst_event_new_eos ()));
  g_assert_true (gst_harness_push_event (stand.h[1], gst_event_new_eos ()));
  eos = stand_find_event (&stand, GST_EVENT_EOS, NULL);
  g_assert_nonnull (eos);
  stand_close (&stand);
}

static void
flush (Stand *stand, GstEvent *(*make) (void) )
{
  for (guint t = 0; t < stand->n_teachers; t++)
    g_assert_true (gst_harness_push_event (stand->h[t], make ()));
}

static GstEvent *
flush_stop (void)
{
  return gst_event_new_flush_stop (TRUE);
}

static guint
count_events (Stand *stand, GstEventType type)
{
  GstEvent *event;
  guint n = 0;

  while ((event = stand_find_event (stand, type, NULL))) {
    gst_event_unref (event);
    n++;
  }
  return n;
}

static void
test_flush (void)
{
  Stand stand;
  StandTotals totals;
  GstSegment segment;

  open_stand (&stand, 2);
  stand_push_all (&stand, 0);
  stand_pull_gap (&stand, 0);
  stand_push (&stand, 0, 1);
  stand_push (&stand, 0, 2);
  g_assert_cmpuint (stand_totals (&stand).in_flight, ==, 2 * STAND_BATCH);
  flush (&stand, gst_event_new_flush_start);
  totals = stand_totals (&stand);
  g_assert_cmpuint (totals.dropped[SEED_DROP_FLUSHED], ==, 2 * STAND_BATCH);
  g_assert_cmpuint (totals.in_flight, ==, 0);
  flush (&stand, flush_stop);
  g_assert_cmpuint (count_events (&stand, GST_EVENT_FLUSH_STOP), ==, 1);

  gst_segment_init (&segment, GST_FORMAT_TIME);
  for (guint t = 0; t < 2; t++)
    g_assert_true (gst_harness_push_event (stand.h[t], gst_event_new_segment (&segment)));
  stand_push_all (&stand, 0); /* numbers may begin anew */
  stand_pull_gap (&stand, 0);
  stand_close (&stand);
}

static void
test_flush_wakes_a_waiting_teacher (void)
{
  Stand stand;
  Pusher pusher = { .stand = &stand, .from = 0, .to = 3 };
  GThread *thread;

  open_stand (&stand, 2);
  thread = g_thread_new ("pusher", push_thread, &pusher);
  wait_for_frames (&stand, 2 * STAND_BATCH);
  flush (&stand, gst_event_new_flush_start);
  g_thread_join (thread);
  g_assert_cmpint (pusher.flow, ==, GST_FLOW_FLUSHING);
  g_assert_cmpuint (stand_totals (&stand).in_flight, ==, 0);
  flush (&stand, flush_stop);
  stand_close (&stand);
}

static void
test_stop_while_a_teacher_waits (void)
{
  Stand stand;
  Pusher pusher = { .stand = &stand, .from = 0, .to = 3 };
  GThread *thread;
  StandTotals totals;

  open_stand (&stand, 2);
  thread = g_thread_new ("pusher", push_thread, &pusher);
  wait_for_frames (&stand, 2 * STAND_BATCH);
  g_assert_cmpint (
      gst_element_set_state (stand.element, GST_STATE_READY), ==, GST_STATE_CHANGE_SUCCESS);
  g_thread_join (thread);
  g_assert_cmpint (pusher.flow, ==, GST_FLOW_FLUSHING);
  totals = stand_totals (&stand);
  g_assert_cmpuint (totals.in, ==, 2 * STAND_BATCH);
  g_assert_cmpuint (totals.dropped[SEED_DROP_FLUSHED], ==, 2 * STAND_BATCH);
  g_assert_cmpuint (totals.in_flight, ==, 0);

  /* and plays again from the beginning */
  g_assert_cmpint (
      gst_element_set_state (stand.element, GST_STATE_PLAYING), !=, GST_STATE_CHANGE_FAILURE);
  for (guint t = 0; t < 2; t++)
    g_assert_true (gst_harness_push_event (stand.h[t], gst_event_new_stream_start ("again")));
  stand_push_all_caps (&stand);
  stand_push_all (&stand, 0);
  stand_pull_gap (&stand, 0);
  stand_close (&stand);
}

static const char *
pushed_event (Stand *stand)
{
  g_autoptr (GstEvent) event =
      stand_find_event (stand, GST_EVENT_CUSTOM_DOWNSTREAM, SEED_EVENT_NAME);
  SeedEvent parsed;

  return event && seed_event_parse (event, &parsed) ? g_intern_string (parsed.event) : NULL;
}

static void
test_events_keep_their_place (void)
{
  Stand stand;

  open_stand (&stand, 2);
  gst_harness_push_event (stand.h[0], seed_event_new ("first", "door", NULL));
  g_assert_cmpstr (pushed_event (&stand), ==, "first");
  gst_harness_push_event (stand.h[1], seed_event_new ("twin", "door", NULL));
  g_assert_null (pushed_event (&stand)); /* from the first pad alone */

  stand_push (&stand, 0, 0);
  gst_harness_push_event (stand.h[0], seed_event_new ("second", "door", NULL));
  stand_push (&stand, 0, 1);
  gst_harness_push_event (stand.h[0], seed_event_new ("third", "door", NULL));
  g_assert_null (pushed_event (&stand)); /* batch 0 goes first */
  stand_push (&stand, 1, 0);
  g_assert_cmpstr (pushed_event (&stand), ==, "second");
  g_assert_null (pushed_event (&stand));
  stand_push (&stand, 1, 1);
  g_assert_cmpstr (pushed_event (&stand), ==, "third");
  stand_close (&stand);
}

/* The model of one teacher is not the model of what leaves. */
static void
test_models_of_teachers_stop_here (void)
{
  Stand stand;

  open_stand (&stand, 2);
  gst_harness_push_event (stand.h[0], seed_model_event_new ("clip", "abc", 0));
  stand_push_all (&stand, 0);
  stand_pull_gap (&stand, 0);
  g_assert_null (
      stand_find_event (&stand, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, SEED_MODEL_EVENT_NAME));
  stand_close (&stand);
}

static void
test_batch_numbers (void)
{
  Stand stand;
  GstBuffer *buffer;

  open_stand (&stand, 2);
  buffer = stand_buffer (&stand, 1, 0, STAND_BATCH);
  GST_BUFFER_OFFSET (buffer) = GST_BUFFER_OFFSET_NONE;
  g_assert_cmpint (gst_harness_push (stand.h[1], buffer), ==, GST_FLOW_ERROR);
  stand_expect_error (&stand, "sink_1", "no batch number", NULL);
  g_assert_cmpint (stand_push (&stand, 0, 5), ==, GST_FLOW_OK);
  g_assert_cmpint (stand_push (&stand, 0, 4), ==, GST_FLOW_ERROR);
  stand_expect_error (&stand, "sink_0", "batch 4 came after 5", NULL);
  g_assert_cmpuint (stand_totals (&stand).dropped[SEED_DROP_ERROR], ==, 2 * STAND_BATCH);
  g_assert_cmpuint (stand_totals (&stand).in_flight, ==, STAND_BATCH); /* batch 5 */
  stand_close (&stand);
}

static void
test_different_frames (void)
{
  Stand stand;
  GstBuffer *buffer;
  gpointer state = NULL;

  open_stand (&stand, 2);
  stand_push (&stand, 0, 0);
  buffer = stand_buffer (&stand, 1, 0, STAND_BATCH);
  seed_buffer_iterate_stream_meta (buffer, &state);
  seed_buffer_iterate_stream_meta (buffer, &state)->frame += 1;
  g_assert_cmpint (gst_harness_push (stand.h[1], buffer), ==, GST_FLOW_ERROR);
  stand_expect_error (&stand, "sink_0 and sink_1 hold different frames", "batch 0", NULL);
  stand_close (&stand);
}

static void
test_a_teacher_that_changes (void)
{
  Stand stand;
  SeedFeaturesInfo info;

  open_stand (&stand, 2);
  info = stand_info (&stand, 1);
  info.summary_dim += 3; /* nothing was learned yet: allowed */
  stand_push_caps (&stand, 1, &info);
  info.summary_dim -= 3;
  stand_push_caps (&stand, 1, &info);
  stand_push_all (&stand, 0);
  stand_pull_gap (&stand, 0);
  info.space = "space-x";
  stand_push_refused_caps (&stand, 1, &info);
  stand_expect_error (&stand, "sink_1", "\"space-1\"", "\"space-x\"", NULL);
  stand_close (&stand);
}

static void
test_a_batch_size_that_changes (void)
{
  Stand stand;
  GstCaps *caps;
  int batch;

  open_stand (&stand, 2);
  stand_push_all (&stand, 0);
  stand_pull_gap (&stand, 0);
  g_object_set (stand.element, "strategy", "mean", NULL); /* for the next start, not for now */
  for (guint t = 0; t < 2; t++) {
    SeedFeaturesInfo info = stand_info (&stand, t);

    info.batch = 7;
    stand_push_caps (&stand, t, &info);
  }
  for (guint t = 0; t < 2; t++)
    g_assert_cmpint (
        gst_harness_push (stand.h[t], stand_buffer (&stand, t, 1, 7)), ==, GST_FLOW_OK);
  stand_pull_gap (&stand, 1);
  caps = gst_pad_get_current_caps (GST_PAD (stand.h[0]->sinkpad));
  g_assert_true (gst_structure_get_int (gst_caps_get_structure (caps, 0), "batch", &batch));
  g_assert_cmpint (batch, ==, 7);
  g_assert_cmpstr (
      gst_structure_get_string (gst_caps_get_structure (caps, 0), "strategy"), ==, "max-min");
  gst_caps_unref (caps);
  stand_close (&stand);
}

/* Pads count by number, whatever the order they were asked for; none may join once it runs. */
static void
test_request_pads (void)
{
  g_autoptr (GstElement) element =
      gst_object_ref_sink (gst_element_factory_make ("seedfusion", NULL));
  g_autoptr (GstPad) five = gst_element_request_pad_simple (element, "sink_5");
  g_autoptr (GstPad) any = gst_element_request_pad_simple (element, "sink_%u");
  g_autoptr (GstPad) next = gst_element_request_pad_simple (element, "sink_%u");
  GstPad *pads[SEED_FUSION_MAX_TEACHERS];
  guint n = 0;

  g_assert_cmpstr (GST_OBJECT_NAME (five), ==, "sink_5");
  g_assert_cmpstr (GST_OBJECT_NAME (any), ==, "sink_0");
  g_assert_cmpstr (GST_OBJECT_NAME (next), ==, "sink_1");
  gst_element_release_request_pad (element, next);
  g_clear_object (&next);
  next = gst_element_request_pad_simple (element, "sink_%u");
  g_assert_cmpstr (GST_OBJECT_NAME (next), ==, "sink_1");
  while (n < G_N_ELEMENTS (pads) && (pads[n] = gst_element_request_pad_simple (element, "sink_%u")))
    n++;
  g_assert_cmpuint (n, ==, SEED_FUSION_MAX_TEACHERS - 3);
  while (n > 0)
    gst_object_unref (pads[--n]);
}

static void
test_no_pad_joins_or_leaves_a_running_fusion (void)
{
  Stand stand;
  GstPad *pad;

  open_stand (&stand, 3);
  g_assert_null (gst_element_request_pad_simple (stand.element, "sink_%u"));
  stand_push (&stand, 0, 0);
  stand_push (&stand, 1, 0);
  pad = gst_element_get_static_pad (stand.element, "sink_2");
  gst_element_release_request_pad (stand.element, pad);
  gst_object_unref (pad);
  stand_pull_gap (&stand, 0); /* its part never comes */
  g_assert_cmpuint (stand_totals (&stand).dropped[SEED_DROP_LATE], ==, STAND_BATCH);
  stand_close (&stand);
}

static void
test_meta_survives_stock_elements (void)
{
  GstHarness *h = gst_harness_new_parse ("tee name=t ! queue ! identity");
  GstBuffer *in = gst_buffer_new_and_alloc (64);
  g_autoptr (GstBuffer) out = NULL, copy = NULL, plain = gst_buffer_new ();
  SeedFusionShares shares = { .n_teachers = 2,
    .teachers = { "clip", "dino" },
    .diagonal = { 0.25, 0.75 },
    .off_diagonal = { 1, 0 },
    .masked = 0.125 };
  SeedFusionShares read = { 0 };

  gst_harness_set_src_caps_str (h, SEED_CAPS_AFFINITY ", batch=4, strategy=max-min");
  seed_buffer_add_fusion_meta (in, &shares);
  out = gst_harness_push_and_pull (h, in);
  copy = gst_buffer_copy_deep (out);
  g_assert_true (seed_buffer_get_fusion_meta (copy, &read));
  g_assert_cmpuint (read.n_teachers, ==, 2);
  g_assert_cmpstr (read.teachers[0], ==, "clip");
  g_assert_cmpstr (read.teachers[1], ==, "dino");
  g_assert_cmpmem (read.diagonal, 2 * sizeof (double), shares.diagonal, 2 * sizeof (double));
  g_assert_cmpmem (
      read.off_diagonal, 2 * sizeof (double), shares.off_diagonal, 2 * sizeof (double));
  g_assert_cmpfloat (read.masked, ==, 0.125);
  g_assert_false (seed_buffer_get_fusion_meta (plain, &read));
  gst_harness_teardown (h);
}

int
main (int argc, char **argv)
{
  stand_init (&argc, &argv);
  g_test_add_func ("/seedfusion/pads/slower-teacher", test_a_slower_teacher);
  g_test_add_func ("/seedfusion/pads/three-threads", test_three_threads);
  g_test_add_func ("/seedfusion/pads/left-out", test_a_batch_left_out);
  g_test_add_func ("/seedfusion/pads/gaps", test_a_teacher_with_gaps);
  g_test_add_func ("/seedfusion/pads/eos", test_end_of_one_then_of_all);
  g_test_add_func ("/seedfusion/pads/eos-before-caps", test_end_before_caps);
  g_test_add_func ("/seedfusion/pads/flush", test_flush);
  g_test_add_func ("/seedfusion/pads/flush-wakes", test_flush_wakes_a_waiting_teacher);
  g_test_add_func ("/seedfusion/pads/stop-wakes", test_stop_while_a_teacher_waits);
  g_test_add_func ("/seedfusion/pads/events", test_events_keep_their_place);
  g_test_add_func ("/seedfusion/pads/models", test_models_of_teachers_stop_here);
  g_test_add_func ("/seedfusion/pads/batch-numbers", test_batch_numbers);
  g_test_add_func ("/seedfusion/pads/different-frames", test_different_frames);
  g_test_add_func ("/seedfusion/pads/changed-teacher", test_a_teacher_that_changes);
  g_test_add_func ("/seedfusion/pads/changed-batch", test_a_batch_size_that_changes);
  g_test_add_func ("/seedfusion/pads/request", test_request_pads);
  g_test_add_func ("/seedfusion/pads/join-leave", test_no_pad_joins_or_leaves_a_running_fusion);
  g_test_add_func ("/seedfusion/meta", test_meta_survives_stock_elements);
  return g_test_run ();
}
