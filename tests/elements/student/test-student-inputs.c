/* SPDX-License-Identifier: MIT */
/* What a learning student takes beside its words: teachers' features and labels. */
#include <gst/check/gstharness.h>
#include <json-glib/json-glib.h>
#include <seed/ledger.h>
#include <seed/rng.h>
#include <seed/stream-meta.h>
#include <string.h>

#include "remove-tree.h"

enum { BATCH = 4, SIZE = 32, ITEM_BYTES = 2 * 3 * SIZE * SIZE, DIM = 8, TOKENS = 6, GRID = 3 };

#define WORDS_CAPS                                                                                 \
  "application/x-seed-patches,image-size=32,patch-size=16,views=2,batch=4,fit=squash,"             \
  "interpolation=bilinear"
#define PLAIN_CAPS                                                                                 \
  "application/x-seed-features,summary-dim=8,token-dim=0,grid=0,views=2,batch=4,space=test/a,"     \
  "node=a"
#define TOKENS_CAPS                                                                                \
  "application/x-seed-features,summary-dim=8,token-dim=6,grid=3,views=2,batch=4,space=test/b,"     \
  "node=b"

typedef struct {
  GstElement *student;
  GstHarness *words, *target, *teachers[2];
} Learner;

/* @n_teachers: a alone, or a and b, which has tokens. */
static void
learner_start (Learner *learner, gboolean has_target, guint n_teachers, const char *properties)
{
  static const char *const pads[2] = { "teacher_0", "teacher_1" };
  static const char *const caps[2] = { PLAIN_CAPS, TOKENS_CAPS };
  g_autofree char *description = g_strdup_printf (
      "seedstudent name=learn mode=train size=mini image-size=32 warmup=2 lr=0.0005 "
      "calibration=8 queue-size=64 %s",
      properties);

  *learner = (Learner){ .student = gst_parse_launch (description, NULL) };
  g_assert_nonnull (learner->student);
  gst_object_ref_sink (learner->student);
  if (has_target) {
    learner->target = gst_harness_new_with_element (learner->student, "target", NULL);
    gst_harness_set_src_caps_str (
        learner->target, "application/x-seed-affinity,batch=4,strategy=max-min");
  }
  for (guint t = 0; t < n_teachers; t++) {
    learner->teachers[t] = gst_harness_new_with_element (learner->student, pads[t], NULL);
    gst_harness_set_src_caps_str (learner->teachers[t], caps[t]);
  }
  learner->words = gst_harness_new_with_element (learner->student, "sink", "src");
  gst_harness_set_src_caps_str (learner->words, WORDS_CAPS);
}

static void
learner_stop (Learner *learner)
{
  gst_element_set_state (learner->student, GST_STATE_NULL);
  gst_harness_teardown (learner->words);
  if (learner->target)
    gst_harness_teardown (learner->target);
  for (guint t = 0; t < 2; t++)
    if (learner->teachers[t])
      gst_harness_teardown (learner->teachers[t]);
  gst_object_unref (learner->student);
}

/* Batches repeat after three. Item i of batch n shows pattern n + i; its label is that, but item 0
 * has none. */
static GstBuffer *
make_words (guint64 number)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (BATCH * ITEM_BYTES);
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (gsize i = 0; i < map.size; i++)
    map.data[i] = (guint8) (i % ITEM_BYTES * (number % 3 + i / ITEM_BYTES + 2) % 251);
  gst_buffer_unmap (buffer, &map);
  for (guint i = 0; i < BATCH; i++) {
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

    g_strlcpy (meta->stream, "cam", sizeof meta->stream);
    meta->frame = number * BATCH + i;
    meta->label = i == 0 ? -1 : (gint32) ((number % 3 + i) % 5);
  }
  GST_BUFFER_OFFSET (buffer) = number;
  return buffer;
}

static GstMemory *
make_memory (SeedRng *rng, gsize n)
{
  float *values = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    values[i] = (float) (3 + seed_rng_normal (rng));
  return gst_memory_new_wrapped (
      0, values, n * sizeof (float), 0, n * sizeof (float), values, g_free);
}

static GstBuffer *
make_features (guint64 number, guint teacher)
{
  GstBuffer *buffer = gst_buffer_new ();
  SeedRng rng;

  seed_rng_init (&rng, seed_hash (teacher, number % 3));
  gst_buffer_append_memory (buffer, make_memory (&rng, 2 * BATCH * DIM));
  if (teacher == 1)
    gst_buffer_append_memory (buffer, make_memory (&rng, 2 * BATCH * GRID * GRID * TOKENS));
  GST_BUFFER_OFFSET (buffer) = number;
  return buffer;
}

static GstBuffer *
make_target (guint64 number)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (BATCH * BATCH * sizeof (float));
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (guint i = 0; i < BATCH * BATCH; i++)
    ((float *) map.data)[i] = i % (BATCH + 1) == 0 ? 1.0f : 0.0f;
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_OFFSET (buffer) = number;
  return buffer;
}

static GstBuffer *
make_gap (guint64 number)
{
  GstBuffer *gap = gst_buffer_new ();

  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  GST_BUFFER_OFFSET (gap) = number;
  return gap;
}

static GstFlowReturn
push_batch (Learner *learner, guint64 number)
{
  if (learner->target)
    g_assert_cmpint (gst_harness_push (learner->target, make_target (number)), ==, GST_FLOW_OK);
  for (guint t = 0; t < 2; t++)
    if (learner->teachers[t])
      g_assert_cmpint (
          gst_harness_push (learner->teachers[t], make_features (number, t)), ==, GST_FLOW_OK);
  return gst_harness_push (learner->words, make_words (number));
}

static JsonObject *
pull_report (Learner *learner, JsonParser *parser)
{
  g_autoptr (GstBuffer) report = gst_harness_pull (learner->words);
  GstMapInfo map;

  g_assert_nonnull (report);
  gst_buffer_map (report, &map, GST_MAP_READ);
  g_assert_true (json_parser_load_from_data (parser, (char *) map.data, (gssize) map.size, NULL));
  gst_buffer_unmap (report, &map);
  return json_node_get_object (json_parser_get_root (parser));
}

static double
loss_of (JsonObject *report, const char *term)
{
  return json_object_get_double_member (json_object_get_object_member (report, "loss"), term);
}

static gboolean
has_loss (JsonObject *report, const char *term)
{
  return json_object_has_member (json_object_get_object_member (report, "loss"), term);
}

static SeedLedgerEntry
ledger_of (Learner *learner)
{
  g_autoptr (SeedLedger) ledger = NULL;
  g_autoptr (GArray) entries = NULL;
  SeedLedgerEntry entry;

  g_object_get (learner->student, "ledger", &ledger, NULL);
  entries = seed_ledger_snapshot (ledger);
  g_assert_cmpuint (entries->len, ==, 1);
  entry = g_array_index (entries, SeedLedgerEntry, 0);
  g_assert_cmpuint (seed_ledger_entry_in_flight (&entry), ==, 0);
  return entry;
}

/* Two batches standardise the features, the third is the first step. */
static void
calibrate (Learner *learner)
{
  g_assert_cmpint (push_batch (learner, 0), ==, GST_FLOW_OK);
  g_assert_cmpint (push_batch (learner, 1), ==, GST_FLOW_OK);
  g_assert_cmpuint (ledger_of (learner).dropped[SEED_DROP_NOT_CALIBRATED], ==, 2 * BATCH);
}

static void
test_teachers_alone (void)
{
  Learner learner;
  double first = 0, last = 0;

  learner_start (&learner, FALSE, 2, "");
  calibrate (&learner);
  for (guint i = 0; i < 24; i++) {
    g_autoptr (JsonParser) parser = json_parser_new ();
    JsonObject *report, *teachers, *b;

    g_assert_cmpint (push_batch (&learner, 2 + i), ==, GST_FLOW_OK);
    report = pull_report (&learner, parser);
    g_assert_false (has_loss (report, "similarity"));
    teachers = json_object_get_object_member (report, "teachers");
    g_assert_cmpuint (json_object_get_size (teachers), ==, 2);
    b = json_object_get_object_member (teachers, "b");
    g_assert_cmpfloat (json_object_get_double_member (b, "tokens"), >, 0);
    g_assert_false (
        json_object_has_member (json_object_get_object_member (teachers, "a"), "tokens"));
    last = loss_of (report, "features");
    first = i == 0 ? last : first;
  }
  g_assert_cmpfloat (last, <, 0.9 * first);
  g_assert_cmpuint (ledger_of (&learner).out, ==, 24 * BATCH);
  learner_stop (&learner);
}

static void
test_target_and_teachers (void)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  Learner learner;
  JsonObject *report;

  learner_start (&learner, TRUE, 1, "w-sim=0.5 w-seed=2 teacher-drop=0");
  calibrate (&learner);
  push_batch (&learner, 2);
  gst_buffer_unref (gst_harness_pull (learner.words));
  push_batch (&learner, 3);
  report = pull_report (&learner, parser);
  g_assert_cmpfloat (loss_of (report, "seed"), >, 0); /* the queue has the batch before */
  g_assert_cmpfloat_with_epsilon (loss_of (report, "total"),
      0.5 * loss_of (report, "similarity") + 2 * loss_of (report, "seed") +
          loss_of (report, "features"),
      1e-4);
  learner_stop (&learner);
}

static void
test_gaps (void)
{
  Learner learner;
  SeedLedgerEntry entry;

  learner_start (&learner, TRUE, 1, "");
  /* a target that is still being fitted does not keep the features from being standardised */
  for (guint i = 0; i < 3; i++) {
    gst_harness_push (learner.target, make_gap (i));
    gst_harness_push (learner.teachers[0], make_features (i, 0));
    g_assert_cmpint (gst_harness_push (learner.words, make_words (i)), ==, GST_FLOW_OK);
  }
  gst_harness_push (learner.target, make_target (3));
  gst_harness_push (learner.teachers[0], make_gap (3));
  g_assert_cmpint (gst_harness_push (learner.words, make_words (3)), ==, GST_FLOW_OK);
  push_batch (&learner, 4);
  entry = ledger_of (&learner);
  g_assert_cmpuint (entry.dropped[SEED_DROP_NOT_CALIBRATED], ==, 4 * BATCH);
  g_assert_cmpuint (entry.out, ==, BATCH);
  learner_stop (&learner);
}

static void
test_missing_batch (void)
{
  Learner learner;
  SeedLedgerEntry entry;

  learner_start (&learner, FALSE, 2, "");
  calibrate (&learner);
  /* b lost batch 2: nobody learns from it, and batch 3 goes on */
  gst_harness_push (learner.teachers[0], make_features (2, 0));
  gst_harness_push (learner.teachers[1], make_features (3, 1));
  g_assert_cmpint (gst_harness_push (learner.words, make_words (2)), ==, GST_FLOW_OK);
  gst_harness_push (learner.teachers[0], make_features (3, 0));
  g_assert_cmpint (gst_harness_push (learner.words, make_words (3)), ==, GST_FLOW_OK);
  entry = ledger_of (&learner);
  g_assert_cmpuint (entry.dropped[SEED_DROP_ERROR], ==, BATCH);
  g_assert_cmpuint (entry.out, ==, BATCH);
  learner_stop (&learner);
}

static void
test_teacher_ends (void)
{
  Learner learner;

  learner_start (&learner, FALSE, 1, "");
  calibrate (&learner);
  gst_harness_push_event (learner.teachers[0], gst_event_new_eos ());
  g_assert_cmpint (gst_harness_push (learner.words, make_words (2)), ==, GST_FLOW_OK);
  g_assert_cmpuint (ledger_of (&learner).dropped[SEED_DROP_ERROR], ==, BATCH);
  gst_harness_push_event (learner.words, gst_event_new_eos ());
  learner_stop (&learner);
}

typedef struct {
  Learner *learner;
  GstFlowReturn flow;
} Push;

static gpointer
push_words (gpointer data)
{
  Push *push = data;

  push->flow = gst_harness_push (push->learner->words, make_words (2));
  return NULL;
}

/* Words that wait for a teacher give up when the graph is flushed, and all goes on after. */
static void
test_flush (void)
{
  Learner learner;
  Push push = { &learner, GST_FLOW_OK };
  GThread *thread;

  learner_start (&learner, FALSE, 2, "");
  calibrate (&learner);
  thread = g_thread_new ("words", push_words, &push);
  gst_harness_push_event (learner.words, gst_event_new_flush_start ());
  g_thread_join (thread);
  g_assert_cmpint (push.flow, ==, GST_FLOW_FLUSHING);
  gst_harness_push_event (learner.words, gst_event_new_flush_stop (TRUE));
  gst_harness_set_src_caps_str (learner.words, WORDS_CAPS);
  g_assert_cmpint (push_batch (&learner, 5), ==, GST_FLOW_OK);
  g_assert_cmpuint (ledger_of (&learner).out, ==, BATCH);
  learner_stop (&learner);
}

/* The error that the element has posted says @text. */
static void
assert_error (GstBus *bus, const char *text)
{
  g_autoptr (GstMessage) message =
      gst_bus_timed_pop_filtered (bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_ERROR);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  if (!strstr (error->message, text))
    g_error ("'%s' does not say '%s'", error->message, text);
}

static void
test_bad_features (void)
{
  g_autoptr (GstBus) bus = gst_bus_new ();
  GstBuffer *small;
  Learner learner;

  learner_start (&learner, FALSE, 1, "");
  gst_element_set_bus (learner.student, bus);
  small = gst_buffer_new_and_alloc (2 * BATCH * DIM * sizeof (float) - 4);
  GST_BUFFER_OFFSET (small) = 0;
  gst_harness_push (learner.teachers[0], small);
  g_assert_cmpint (gst_harness_push (learner.words, make_words (0)), ==, GST_FLOW_ERROR);
  assert_error (bus, "features of teacher \"a\" in 252 bytes, not 256");
  g_assert_cmpuint (ledger_of (&learner).dropped[SEED_DROP_ERROR], ==, BATCH);
  gst_element_set_bus (learner.student, NULL);
  learner_stop (&learner);
}

static void
test_caps_refused (void)
{
  g_autoptr (GstBus) bus = gst_bus_new ();
  Learner learner;

  learner_start (&learner, FALSE, 1, "");
  gst_element_set_bus (learner.student, bus);
  gst_harness_set_src_caps_str (learner.teachers[0],
      "application/x-seed-features,summary-dim=8,token-dim=0,grid=0,views=1,batch=4,space=test/a,"
      "node=a");
  gst_harness_push (learner.teachers[0], make_features (0, 0));
  assert_error (bus, "teacher_0: a student learns from features of 2 views");
  gst_element_set_bus (learner.student, NULL);
  learner_stop (&learner);
}

/* Another model behind a pad is another teacher. */
static void
test_teacher_changes (void)
{
  g_autoptr (GstBus) bus = gst_bus_new ();
  Learner learner;

  learner_start (&learner, FALSE, 1, "");
  calibrate (&learner);
  gst_element_set_bus (learner.student, bus);
  gst_harness_set_src_caps_str (learner.teachers[0],
      "application/x-seed-features,summary-dim=8,token-dim=0,grid=0,views=2,batch=4,space=test/z,"
      "node=a");
  g_assert_cmpint (push_batch (&learner, 2), ==, GST_FLOW_ERROR);
  assert_error (bus, "teacher 0 was \"a\" (space test/a");
  gst_element_set_bus (learner.student, NULL);
  learner_stop (&learner);
}

static void
test_labels (void)
{
  g_autoptr (GstStructure) stats = NULL;
  Learner learner;
  double first = 0, last = 0;
  guint64 unlabelled;

  learner_start (&learner, FALSE, 0, "objective=labels classes=5");
  for (guint i = 0; i < 20; i++) {
    g_autoptr (JsonParser) parser = json_parser_new ();
    JsonObject *report;

    g_assert_cmpint (push_batch (&learner, i), ==, GST_FLOW_OK);
    report = pull_report (&learner, parser);
    last = loss_of (report, "labels");
    first = i == 0 ? last : first;
    g_assert_cmpint (
        json_object_get_int_member (json_object_get_object_member (report, "labels"), "labelled"),
        ==, BATCH - 1);
  }
  g_assert_cmpfloat (last, <, first);
  g_object_get (learner.student, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, "unlabelled", &unlabelled));
  g_assert_cmpuint (unlabelled, ==, 20);
  learner_stop (&learner);
}

static void
test_label_beyond_classes (void)
{
  g_autoptr (GstBus) bus = gst_bus_new ();
  Learner learner;

  learner_start (&learner, FALSE, 0, "objective=labels classes=3");
  gst_element_set_bus (learner.student, bus);
  g_assert_cmpint (push_batch (&learner, 2), ==, GST_FLOW_ERROR);
  assert_error (bus, "there are 3 classes");
  gst_element_set_bus (learner.student, NULL);
  learner_stop (&learner);
}

static void
assert_fails (const char *properties, const char *text)
{
  g_autofree char *description =
      g_strdup_printf ("seedstudent name=s mode=train image-size=32 %s ! fakesink", properties);
  g_autoptr (GstElement) pipeline = gst_parse_launch (description, NULL);
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  assert_error (bus, text);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

static void
test_refusals (void)
{
  assert_fails ("objective=distill", "unknown objective 'distill'");
  assert_fails ("objective=anchors w-anchor=0", "w-anchor above 0");
  assert_fails ("objective=captions", "needs a text model");
  assert_fails ("objective=captions text-model=/nonexistent", "/nonexistent");
  assert_fails ("objective=labels", "classes");
  assert_fails ("objective=labels classes=4 precision=int8", "int8 is for models that do not");
  assert_fails ("precision=half", "precision \"half\" is not known");
  assert_fails ("backend=abacus", "backend \"abacus\" is not known");
  assert_fails ("mixup=0.2", "mixup");
}

static void
test_misfits (void)
{
  static const struct {
    const char *pad, *properties, *text;
  } misfits[] = {
    { "target", "w-sim=0", "a target is linked, but w-sim is 0" },
    { "teacher_0", "w-seed=0 w-feat=0", "w-seed and w-feat are both 0" },
    { "teacher_0", "objective=labels classes=4", "does not have distil" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (misfits); i++) {
    g_autofree char *description = g_strdup_printf (
        "seedstudent name=s mode=train image-size=32 %s ! fakesink appsrc name=a a. ! s.%s",
        misfits[i].properties, misfits[i].pad);
    g_autoptr (GstElement) pipeline = gst_parse_launch (description, NULL);
    g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);

    gst_element_set_state (pipeline, GST_STATE_PLAYING);
    assert_error (bus, misfits[i].text);
    gst_element_set_state (pipeline, GST_STATE_NULL);
  }
}

static void
test_pads (void)
{
  g_autoptr (GstElement) student =
      gst_object_ref_sink (gst_element_factory_make ("seedstudent", NULL));
  GstPad *pads[9];

  for (guint i = 0; i < 8; i++) {
    g_autofree char *name = g_strdup_printf ("teacher_%u", i);

    pads[i] = gst_element_request_pad_simple (student, "teacher_%u");
    g_assert_cmpstr (GST_OBJECT_NAME (pads[i]), ==, name);
  }
  pads[8] = gst_element_request_pad_simple (student, "target");
  g_assert_nonnull (pads[8]);
  g_assert_null (
      gst_element_request_pad_simple (student, "teacher_%u")); /* that many and no more */
  for (guint i = 0; i < 9; i++) {
    gst_element_release_request_pad (student, pads[i]);
    gst_object_unref (pads[i]);
  }
}

static double
total_at (Learner *learner, guint64 number)
{
  g_autoptr (JsonParser) parser = json_parser_new ();

  g_assert_cmpint (push_batch (learner, number), ==, GST_FLOW_OK);
  return loss_of (pull_report (learner, parser), "total");
}

/* Stopped and started again from its checkpoint, the rest is as if nothing had been. */
static void
test_resume (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-student-XXXXXX", NULL);
  g_autofree char *resumed = g_strdup_printf ("seed=3 checkpoint=%s/ckpt", folder);
  Learner learner;
  double straight[6];

  learner_start (&learner, FALSE, 2, "seed=3");
  calibrate (&learner);
  for (guint i = 0; i < 6; i++)
    straight[i] = total_at (&learner, 2 + i);
  learner_stop (&learner);

  learner_start (&learner, FALSE, 2, resumed);
  calibrate (&learner);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpfloat (total_at (&learner, 2 + i), ==, straight[i]);
  learner_stop (&learner);
  learner_start (&learner, FALSE, 2, resumed); /* needs no calibration again */
  for (guint i = 3; i < 6; i++)
    g_assert_cmpfloat (total_at (&learner, 2 + i), ==, straight[i]);
  learner_stop (&learner);
  remove_tree (folder);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  gst_object_unref (gst_plugin_load_by_name ("seed"));
  g_test_add_func ("/inputs/teachers-alone", test_teachers_alone);
  g_test_add_func ("/inputs/target-and-teachers", test_target_and_teachers);
  g_test_add_func ("/inputs/gaps", test_gaps);
  g_test_add_func ("/inputs/missing-batch", test_missing_batch);
  g_test_add_func ("/inputs/teacher-ends", test_teacher_ends);
  g_test_add_func ("/inputs/flush", test_flush);
  g_test_add_func ("/inputs/bad-features", test_bad_features);
  g_test_add_func ("/inputs/caps-refused", test_caps_refused);
  g_test_add_func ("/inputs/teacher-changes", test_teacher_changes);
  g_test_add_func ("/inputs/labels", test_labels);
  g_test_add_func ("/inputs/label-beyond-classes", test_label_beyond_classes);
  g_test_add_func ("/inputs/refusals", test_refusals);
  g_test_add_func ("/inputs/misfits", test_misfits);
  g_test_add_func ("/inputs/pads", test_pads);
  g_test_add_func ("/inputs/resume", test_resume);
  return g_test_run ();
}
