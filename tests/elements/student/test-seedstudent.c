/* SPDX-License-Identifier: MIT */
#include <gst/check/gstharness.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <seed/ledger.h>
#include <seed/rng.h>
#include <seed/stream-meta.h>
#include <string.h>

#include "nn/backend.h"
#include "learner-stand.h"
#include "remove-tree.h"

static double
pull_loss (Learner *learner, guint64 expected_step)
{
  g_autoptr (GstBuffer) report = gst_harness_pull (learner->words);
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *data;
  GstMapInfo map;

  g_assert_nonnull (report);
  gst_buffer_map (report, &map, GST_MAP_READ);
  g_assert_true (json_parser_load_from_data (parser, (char *) map.data, (gssize) map.size, NULL));
  gst_buffer_unmap (report, &map);
  data = json_node_get_object (json_parser_get_root (parser));
  g_assert_cmpint (json_object_get_int_member (data, "step"), ==, (gint64) expected_step);
  g_assert_cmpfloat (json_object_get_double_member (data, "lr"), >, 0);
  return json_object_get_double_member (json_object_get_object_member (data, "loss"), "total");
}

static SeedLedgerEntry
ledger_of (GstElement *element)
{
  g_autoptr (SeedLedger) ledger = NULL;
  g_autoptr (GArray) entries = NULL;

  g_object_get (element, "ledger", &ledger, NULL);
  entries = seed_ledger_snapshot (ledger);
  g_assert_cmpuint (entries->len, ==, 1);
  return g_array_index (entries, SeedLedgerEntry, 0);
}

static void
run_steps (const char *properties, double *losses, guint n)
{
  Learner learner;

  learner_start (&learner, properties);
  for (guint i = 0; i < n; i++) {
    g_assert_cmpint (push_batch (&learner, i, BATCH), ==, GST_FLOW_OK);
    losses[i] = pull_loss (&learner, i + 1);
  }
  learner_stop (&learner);
}

static void
test_learns (void)
{
  double first[30], second[30], other[30];

  run_steps ("seed=7", first, G_N_ELEMENTS (first));
  run_steps ("seed=7", second, G_N_ELEMENTS (second));
  run_steps ("seed=8", other, G_N_ELEMENTS (other));
  g_assert_cmpfloat (first[29], <, 0.5 * first[0]);
  g_assert_cmpmem (first, sizeof first, second, sizeof second);
  g_assert_cmpfloat (first[0], !=, other[0]);
}

/* Products in bfloat16 bend the curve by no more than two parts in a hundred. */
static void
test_bfloat16 (void)
{
  double exact[12], rounded[12], sum = 0, difference = 0;

  if (!seed_backend_choose (NULL, "bfloat16", FALSE, NULL, NULL)) {
    g_test_skip ("no backend multiplies in bfloat16 here");
    return;
  }
  run_steps ("seed=7 lr=0.00005 precision=float32", exact, G_N_ELEMENTS (exact));
  run_steps ("seed=7 lr=0.00005 precision=bfloat16", rounded, G_N_ELEMENTS (rounded));
  g_assert_cmpfloat (rounded[11], !=, exact[11]);
  for (guint i = 0; i < G_N_ELEMENTS (exact); i++) {
    g_test_message ("step %u: %g, %g", i + 1, exact[i], rounded[i]);
    sum += exact[i];
    difference += fabs (rounded[i] - exact[i]);
  }
  g_assert_cmpfloat (difference, <, 0.02 * sum);
}

static void
test_drops_are_counted (void)
{
  Learner learner;
  GstBuffer *gap;
  SeedLedgerEntry entry;

  learner_start (&learner, "");
  gap = gst_buffer_new ();
  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  GST_BUFFER_OFFSET (gap) = 0;
  gst_harness_push (learner.target, gap);
  gst_harness_push (learner.words, make_words (0, BATCH));
  push_batch (&learner, 1, BATCH);
  push_batch (&learner, 2, 1);
  entry = ledger_of (learner.student);
  g_assert_cmpuint (entry.in, ==, 2 * BATCH + 1);
  g_assert_cmpuint (entry.out, ==, BATCH);
  g_assert_cmpuint (entry.dropped[SEED_DROP_NOT_CALIBRATED], ==, BATCH);
  g_assert_cmpuint (entry.dropped[SEED_DROP_SHORT_BATCH], ==, 1);
  g_assert_cmpuint (seed_ledger_entry_in_flight (&entry), ==, 0);
  learner_stop (&learner);
}

static void
test_pairs_by_batch_number (void)
{
  Learner learner;
  SeedLedgerEntry entry;

  learner_start (&learner, "");
  /* the target of batch 1 was lost: its words learn nothing, batch 2 goes on */
  gst_harness_push (learner.target, make_target (2, BATCH));
  gst_harness_push (learner.words, make_words (1, BATCH));
  gst_harness_push (learner.words, make_words (2, BATCH));
  pull_loss (&learner, 1);
  entry = ledger_of (learner.student);
  g_assert_cmpuint (entry.dropped[SEED_DROP_ERROR], ==, BATCH);
  g_assert_cmpuint (entry.out, ==, BATCH);
  learner_stop (&learner);
}

static void
test_ends_after_steps (void)
{
  Learner learner;

  learner_start (&learner, "steps=2");
  g_assert_cmpint (push_batch (&learner, 0, BATCH), ==, GST_FLOW_OK);
  g_assert_cmpint (push_batch (&learner, 1, BATCH), ==, GST_FLOW_EOS);
  pull_loss (&learner, 1);
  pull_loss (&learner, 2);
  g_assert_cmpint (push_batch (&learner, 2, BATCH), ==, GST_FLOW_EOS);
  learner_stop (&learner);
}

static void
test_checkpoint_resumes (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-student-XXXXXX", NULL);
  g_autofree char *checkpoint = g_build_filename (folder, "ckpt", NULL);
  g_autofree char *half = g_strdup_printf ("seed=3 checkpoint=%s", checkpoint);
  static const char *const files[] = { "config.json", "preprocessor_config.json",
    "model.safetensors", "current/state.safetensors" };
  double straight[6];
  Learner learner;

  run_steps ("seed=3", straight, 6);
  learner_start (&learner, half);
  for (guint i = 0; i < 3; i++) {
    push_batch (&learner, i, BATCH);
    g_assert_cmpfloat (pull_loss (&learner, i + 1), ==, straight[i]);
  }
  learner_stop (&learner);

  learner_start (&learner, half);
  for (guint i = 3; i < 6; i++) {
    push_batch (&learner, i, BATCH);
    g_assert_cmpfloat (pull_loss (&learner, i + 1), ==, straight[i]);
  }
  learner_stop (&learner);

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = g_build_filename (checkpoint, files[i], NULL);

    g_assert_true (g_file_test (path, G_FILE_TEST_IS_REGULAR));
  }
  remove_tree (folder);
}

static void
assert_fails (const char *description, const char *text)
{
  g_autoptr (GstElement) pipeline = gst_parse_launch (description, NULL);
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  if (!strstr (error->message, text))
    g_error ("'%s' does not say '%s'", error->message, text);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

static void
test_refusals (void)
{
  assert_fails ("seedstudent name=a ! fakesink", "a: nothing to serve");
  assert_fails ("seedstudent name=a follows=b ! fakesink", "no training student of that name");
  assert_fails (
      "seedstudent name=a mode=train ! fakesink", "nothing is linked to the pad target or");
  assert_fails ("seedstudent name=a mode=train size=huge ! fakesink", "unknown size 'huge'");
  assert_fails ("seedstudent name=a model=/nonexistent ! fakesink", "/nonexistent");
}

static void
test_other_geometry_refused (void)
{
  Learner learner;

  learner_start (&learner, "");
  gst_harness_set_src_caps_str (learner.words,
      "application/x-seed-patches,image-size=64,patch-size=16,views=2,batch=4,fit=squash,"
      "interpolation=bilinear");
  g_assert_cmpint (
      gst_harness_push (learner.words, make_words (0, BATCH)), ==, GST_FLOW_NOT_NEGOTIATED);
  learner_stop (&learner);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  gst_object_unref (gst_plugin_load_by_name ("seed"));
  g_test_add_func ("/student/learns", test_learns);
  g_test_add_func ("/student/bfloat16", test_bfloat16);
  g_test_add_func ("/student/drops-are-counted", test_drops_are_counted);
  g_test_add_func ("/student/pairs-by-batch-number", test_pairs_by_batch_number);
  g_test_add_func ("/student/ends-after-steps", test_ends_after_steps);
  g_test_add_func ("/student/checkpoint-resumes", test_checkpoint_resumes);
  g_test_add_func ("/student/refusals", test_refusals);
  g_test_add_func ("/student/other-geometry-refused", test_other_geometry_refused);
  return g_test_run ();
}
