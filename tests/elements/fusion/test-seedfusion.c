/* SPDX-License-Identifier: MIT */

/* What seedfusion computes and announces. How batches meet on its pads: test-seedfusion-pads.c. */
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#include "core/event.h"
#include "stand.h"

#define N_CALIBRATION 6 /* batches */
#define FRAMES (N_CALIBRATION * STAND_BATCH)

static void
calibrate (Stand *stand)
{
  for (guint i = 0; i < N_CALIBRATION; i++) {
    stand_push_all (stand, i);
    stand_pull_gap (stand, i);
  }
}

static GstStructure *
stats (Stand *stand)
{
  GstStructure *s;

  g_object_get (stand->element, "stats", &s, NULL);
  return s;
}

static double
number_in (const GstStructure *s, const char *field, guint index)
{
  return g_value_get_double (gst_value_array_get_value (gst_structure_get_value (s, field), index));
}

static void
expect_fused_meta (GstBuffer *buffer, guint n_teachers, const SeedFusionTally *tally)
{
  const GstStructure *s;
  GstCustomMeta *meta = gst_buffer_get_custom_meta (buffer, "SeedFusionMeta");
  double diagonal[STAND_TEACHERS], off[STAND_TEACHERS], share, masked;
  g_auto (GStrv) names = NULL;

  g_assert_nonnull (meta);
  s = gst_custom_meta_get_structure (meta);
  seed_fusion_tally_shares (tally, n_teachers, diagonal, off, &share);
  g_assert_true (gst_structure_get (s, "teachers", G_TYPE_STRV, &names, NULL));
  g_assert_cmpuint (g_strv_length (names), ==, n_teachers);
  g_assert_cmpstr (names[1], ==, "teacher-1");
  g_assert_true (gst_structure_get_double (s, "masked", &masked));
  g_assert_cmpfloat (masked, ==, share);
  for (guint t = 0; t < n_teachers; t++) {
    g_assert_cmpfloat (number_in (s, "diagonal", t), ==, diagonal[t]);
    g_assert_cmpfloat (number_in (s, "off-diagonal", t), ==, off[t]);
  }
}

static void
test_calibrates_then_fuses (void)
{
  Stand stand;
  g_autoptr (SeedFuser) reference = NULL;
  StandTotals totals;

  stand_open (&stand, 2, 2, "calibration", FRAMES, NULL);
  stand_push_all_caps (&stand);
  reference = stand_reference (&stand, "max-min", N_CALIBRATION);
  calibrate (&stand);
  for (guint i = N_CALIBRATION; i < N_CALIBRATION + 5; i++) {
    SeedFusionTally tally = { 0 };
    g_autofree float *expected = stand_expected (&stand, reference, i, STAND_BATCH, &tally);
    g_autoptr (GstBuffer) buffer = NULL;

    stand_push_all (&stand, i);
    buffer = stand_pull_target (&stand, i);
    stand_expect_values (buffer, expected, STAND_BATCH * STAND_BATCH);
    expect_fused_meta (buffer, 2, &tally);
  }
  totals = stand_totals (&stand);
  g_assert_cmpuint (totals.in, ==, FRAMES + 5 * STAND_BATCH);
  g_assert_cmpuint (totals.out, ==, 5 * STAND_BATCH);
  g_assert_cmpuint (totals.dropped[SEED_DROP_NOT_CALIBRATED], ==, FRAMES);
  g_assert_cmpuint (totals.in_flight, ==, 0);
  stand_close (&stand);
}

static void
test_affinity_caps (void)
{
  Stand stand;
  GstCaps *caps;
  g_autoptr (GstEvent) event = NULL;
  const GstStructure *s;
  int batch;

  stand_open (&stand, 2, 2, "strategy", "min-max", NULL);
  stand_push_all_caps (&stand);
  event = stand_find_event (&stand, GST_EVENT_CAPS, NULL);
  g_assert_nonnull (event);
  gst_event_parse_caps (event, &caps);
  s = gst_caps_get_structure (caps, 0);
  g_assert_true (gst_structure_has_name (s, SEED_CAPS_AFFINITY));
  g_assert_cmpstr (gst_structure_get_string (s, "strategy"), ==, "min-max");
  g_assert_true (gst_structure_get_int (s, "batch", &batch));
  g_assert_cmpint (batch, ==, STAND_BATCH);
  stand_close (&stand);
}

static void
test_last_batch_may_be_short (void)
{
  Stand stand;
  g_autoptr (SeedFuser) reference = NULL;
  g_autoptr (GstBuffer) shorter = NULL, after = NULL;
  g_autofree float *expected = NULL;
  SeedFusionTally tally = { 0 };

  stand_open (&stand, 2, 2, "calibration", FRAMES, NULL);
  stand_push_all_caps (&stand);
  reference = stand_reference (&stand, "max-min", N_CALIBRATION);
  calibrate (&stand);
  for (guint t = 0; t < 2; t++)
    gst_harness_push (stand.h[t], stand_buffer (&stand, t, 10, 3));
  shorter = stand_pull_target (&stand, 10);
  expected = stand_expected (&stand, reference, 10, 3, &tally);
  stand_expect_values (shorter, expected, 9);
  g_clear_pointer (&shorter, gst_buffer_unref); /* its memory goes back to the pool, cut short */
  stand_push_all (&stand, 11);
  after = stand_pull_target (&stand, 11);
  g_assert_cmpuint (gst_buffer_get_size (after), ==, STAND_BATCH * STAND_BATCH * sizeof (float));
  g_assert_cmpuint (seed_buffer_n_stream_meta (after), ==, STAND_BATCH);
  stand_close (&stand);
}

/* The fit takes exactly the first frames, whatever else the batch holds that has the last of them.
 */
static void
test_calibration_ends_within_a_batch (void)
{
  Stand stand;
  g_autoptr (GstStructure) s = NULL;
  guint frames;

  stand_open (&stand, 2, 2, "calibration", FRAMES - 1, NULL);
  stand_push_all_caps (&stand);
  calibrate (&stand); /* the last batch gives no target either */
  s = stats (&stand);
  g_assert_true (gst_structure_get_uint (s, "calibration-frames", &frames));
  g_assert_cmpuint (frames, ==, FRAMES - 1);
  stand_push_all (&stand, N_CALIBRATION);
  gst_buffer_unref (stand_pull_target (&stand, N_CALIBRATION));
  stand_close (&stand);
}

static void
test_stats (void)
{
  Stand stand;
  g_autoptr (GstStructure) before = NULL, after = NULL, again = NULL;
  gboolean calibrated;
  guint64 fused;

  stand_open (&stand, 3, 2, "calibration", FRAMES, NULL);
  stand_push_all_caps (&stand);
  before = stats (&stand);
  g_assert_true (gst_structure_get_boolean (before, "calibrated", &calibrated));
  g_assert_false (calibrated);
  calibrate (&stand);
  stand_push_all (&stand, 6);
  stand_push_all (&stand, 7);
  after = stats (&stand);
  g_assert_true (gst_structure_get_boolean (after, "calibrated", &calibrated));
  g_assert_true (calibrated);
  g_assert_true (gst_structure_get_uint64 (after, "fused", &fused));
  g_assert_cmpuint (fused, ==, 2);
  g_assert_cmpfloat_with_epsilon (number_in (after, "diagonal", 0) +
                                      number_in (after, "diagonal", 1) +
                                      number_in (after, "diagonal", 2),
      1, 1e-12);
  again = stats (&stand); /* nothing since */
  g_assert_cmpfloat (
      number_in (again, "off-diagonal", 0) + number_in (again, "diagonal", 1), ==, 0);
  stand_close (&stand);
}

static void
test_features (void)
{
  Stand stand;
  g_autoptr (SeedFuser) reference = NULL;
  g_autofree float *expected = NULL;
  g_autofree char *space = NULL;
  g_autoptr (GstBuffer) buffer = NULL;
  g_autoptr (GstEvent) early = NULL, event = NULL, model = NULL;
  SeedFeaturesInfo info;
  GstCaps *caps;
  const char *name, *sha256;
  guint64 step;

  stand_open (&stand, 2, 1, "calibration", FRAMES, "strategy", "concat", NULL);
  stand_push_all_caps (&stand);
  reference = stand_reference (&stand, "concat", N_CALIBRATION);
  early = stand_find_event (&stand, GST_EVENT_CAPS, NULL);
  gst_event_parse_caps (early, &caps);
  g_assert_true (seed_features_info_from_caps (&info, caps));
  g_assert_cmpstr (info.space, ==, "fusion:concat:space-0+space-1@uncalibrated");
  g_assert_cmpuint (info.summary_dim, ==, 2 * STAND_DIM + 1); /* the most it can be */

  calibrate (&stand);
  event = stand_find_event (&stand, GST_EVENT_CAPS, NULL);
  g_assert_nonnull (event);
  gst_event_parse_caps (event, &caps);
  g_assert_true (seed_features_info_from_caps (&info, caps));
  space = g_strdup_printf ("fusion:concat:space-0+space-1@%.16s",
      seed_whitening_digest (seed_fuser_get_whitening (reference)));
  g_assert_cmpstr (info.space, ==, space);
  g_assert_cmpstr (info.node, ==, "fused");
  g_assert_cmpuint (info.summary_dim, ==, seed_fuser_width (reference));
  g_assert_cmpuint (info.token_dim, ==, 0);
  g_assert_cmpuint (info.views, ==, 1);

  model = stand_find_event (&stand, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, SEED_MODEL_EVENT_NAME);
  g_assert_nonnull (model);
  g_assert_true (seed_model_event_parse (model, &name, &sha256, &step));
  g_assert_cmpstr (name, ==, "fusion:concat");
  g_assert_cmpstr (sha256, ==, "");

  stand_push_all (&stand, 9);
  buffer = stand_pull_target (&stand, 9);
  expected = stand_expected (&stand, reference, 9, STAND_BATCH, NULL);
  stand_expect_values (buffer, expected, STAND_BATCH * info.summary_dim);
  stand_close (&stand);
}

static void
test_whitening_file (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-fusion-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "whitening.safetensors", NULL);
  g_autoptr (GstBuffer) first = NULL, second = NULL;
  g_autoptr (GstEvent) model = NULL;
  const char *name, *sha256;
  GstMapInfo map;
  guint64 step;
  Stand stand;

  stand_open (
      &stand, 2, 2, "calibration", FRAMES, "whitening", path, "strategy", "mean-feature", NULL);
  stand_push_all_caps (&stand);
  calibrate (&stand);
  stand_push_all (&stand, 6);
  first = stand_pull_target (&stand, 6);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  stand_close (&stand);

  stand_open (
      &stand, 2, 2, "calibration", FRAMES, "whitening", path, "strategy", "mean-feature", NULL);
  stand_push_all_caps (&stand);
  model = stand_find_event (&stand, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, SEED_MODEL_EVENT_NAME);
  g_assert_nonnull (model); /* before the first buffer */
  g_assert_true (seed_model_event_parse (model, &name, &sha256, &step));
  g_assert_cmpuint (strlen (sha256), ==, 64);
  stand_push_all (&stand, 6);
  second = stand_pull_target (&stand, 6);
  g_assert_true (gst_buffer_map (first, &map, GST_MAP_READ));
  stand_expect_values (second, (const float *) map.data, map.size / sizeof (float));
  gst_buffer_unmap (first, &map);
  g_assert_cmpuint (stand_totals (&stand).dropped[SEED_DROP_NOT_CALIBRATED], ==, 0);
  stand_close (&stand);

  g_assert_true (g_file_set_contents (path, "not a whitening", -1, NULL));
  stand_open (&stand, 2, 2, "whitening", path, NULL);
  {
    SeedFeaturesInfo a = stand_info (&stand, 0), b = stand_info (&stand, 1);

    stand_push_caps (&stand, 0, &a);
    stand_push_refused_caps (&stand, 1, &b);
  }
  stand_expect_error (&stand, path, NULL);
  stand_close (&stand);
  g_unlink (path);
  g_rmdir (folder);
}

static void
run_random (guint64 seed, float values[3 * STAND_BATCH * STAND_BATCH])
{
  Stand stand;

  stand_open (&stand, 3, 2, "calibration", FRAMES, "strategy", "random", "seed", seed, NULL);
  stand_push_all_caps (&stand);
  calibrate (&stand);
  for (guint i = 0; i < 3; i++) {
    g_autoptr (GstBuffer) buffer = NULL;

    stand_push_all (&stand, N_CALIBRATION + i);
    buffer = stand_pull_target (&stand, N_CALIBRATION + i);
    gst_buffer_extract (
        buffer, 0, values + i * STAND_BATCH * STAND_BATCH, gst_buffer_get_size (buffer));
  }
  stand_close (&stand);
}

static void
test_same_seed_same_bits (void)
{
  float one[3 * STAND_BATCH * STAND_BATCH], two[G_N_ELEMENTS (one)], other[G_N_ELEMENTS (one)];

  run_random (5, one);
  run_random (5, two);
  run_random (6, other);
  g_assert_cmpmem (one, sizeof one, two, sizeof two);
  g_assert_cmpint (memcmp (one, other, sizeof one), !=, 0);
}

static void
test_duplicate_window (void)
{
  Stand stand;
  g_autoptr (GstBuffer) buffer = NULL;
  GstMapInfo map;

  /* frames are 10 s apart and alternate between two streams: 0 and 2 are 20 s apart */
  stand_open (&stand, 2, 2, "calibration", FRAMES, "duplicate-window-ms", 20001, "duplicate-cosine",
      1.0, NULL);
  stand_push_all_caps (&stand);
  calibrate (&stand);
  stand_push_all (&stand, 6);
  buffer = stand_pull_target (&stand, 6);
  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  for (guint i = 0; i < STAND_BATCH; i++) {
    for (guint j = 0; j < STAND_BATCH; j++) {
      float f = ((const float *) map.data)[i * STAND_BATCH + j];

      g_assert_cmpint (isinf (f) != 0, ==, i != j && i % 2 == j % 2);
    }
  }
  gst_buffer_unmap (buffer, &map);
  stand_close (&stand);
}

static void
test_single (void)
{
  Stand stand;
  g_autoptr (GstBuffer) buffer = NULL;
  g_autoptr (SeedFuser) reference = NULL;
  g_autofree float *expected = NULL;
  SeedFusionTally tally = { 0 };

  stand_open (&stand, 2, 2, "calibration", FRAMES, "strategy", "single:teacher-1", NULL);
  stand_push_all_caps (&stand);
  reference = stand_reference (&stand, "single:teacher-1", N_CALIBRATION);
  calibrate (&stand);
  stand_push_all (&stand, 8);
  buffer = stand_pull_target (&stand, 8);
  expected = stand_expected (&stand, reference, 8, STAND_BATCH, &tally);
  stand_expect_values (buffer, expected, STAND_BATCH * STAND_BATCH);
  g_assert_cmpuint (tally.diagonal[1], ==, STAND_BATCH);
  stand_close (&stand);
}

static void
test_unknown_strategy (void)
{
  g_autoptr (GstElement) element =
      gst_object_ref_sink (gst_element_factory_make ("seedfusion", "fused"));
  g_autoptr (GstBus) bus = gst_bus_new ();
  Stand stand = { .element = element, .bus = bus };

  gst_element_set_bus (element, bus);
  g_object_set (element, "strategy", "maximin", NULL);
  g_assert_cmpint (gst_element_set_state (element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
  stand_expect_error (&stand, "\"maximin\"", "max-min, mean", "median-feature", NULL);
  gst_element_set_state (element, GST_STATE_NULL);
  gst_element_set_bus (element, NULL);
}

static void
expect_refused_caps (
    const char *strategy, guint views, const SeedFeaturesInfo *second, const char *a, const char *b)
{
  Stand stand;
  SeedFeaturesInfo first;

  stand_open (&stand, 2, views, "strategy", strategy, NULL);
  first = stand_info (&stand, 0);
  stand_push_caps (&stand, 0, &first);
  stand_push_refused_caps (&stand, 1, second);
  stand_expect_error (&stand, a, b, NULL);
  stand_close (&stand);
}

static void
test_refused_caps (void)
{
  Stand like = { .views = 2 };
  SeedFeaturesInfo info = stand_info (&like, 1);

  info.batch = 8;
  expect_refused_caps ("max-min", 2, &info, "sink_0", "sink_1");
  info = stand_info (&like, 1);
  info.views = 1;
  expect_refused_caps ("max-min", 2, &info, "sink_0", "sink_1");
  expect_refused_caps ("max-min", 1, &info, "max-min", "views=2");
  info = stand_info (&like, 1);
  expect_refused_caps ("single:nobody", 2, &info, "nobody", "teacher-0, teacher-1");
  info.summary_dim = SEED_WHITENING_MAX_DIM + 1;
  expect_refused_caps ("max-min", 2, &info, "teacher-1", "4096");
}

static void
test_bad_numbers (void)
{
  Stand stand;
  GstBuffer *bad;
  float nan = NAN;
  StandTotals totals;

  stand_open (&stand, 2, 2, "calibration", FRAMES, NULL);
  stand_push_all_caps (&stand);
  calibrate (&stand);
  bad = stand_buffer (&stand, 1, 6, STAND_BATCH);
  gst_buffer_fill (bad, 0, &nan, sizeof nan);
  g_assert_cmpint (stand_push (&stand, 0, 6), ==, GST_FLOW_OK);
  g_assert_cmpint (gst_harness_push (stand.h[1], bad), ==, GST_FLOW_ERROR);
  stand_expect_error (&stand, "teacher-1", "batch 6", "stream door", "NaN", NULL);
  totals = stand_totals (&stand);
  g_assert_cmpuint (totals.dropped[SEED_DROP_ERROR], ==, STAND_BATCH);
  g_assert_cmpuint (totals.in_flight, ==, 0);
  stand_close (&stand);
}

static void
test_wrong_sizes (void)
{
  for (guint wrong = 0; wrong < 3; wrong++) {
    Stand stand;
    GstBuffer *bad;

    stand_open (&stand, 2, 2, "strategy", "max-min", NULL);
    stand_push_all_caps (&stand);
    if (wrong == 0) { /* a float short */
      bad = stand_buffer (&stand, 1, 0, STAND_BATCH);
      gst_buffer_set_size (bad, (gssize) gst_buffer_get_size (bad) - 4);
      g_assert_cmpint (stand_push (&stand, 0, 0), ==, GST_FLOW_OK);
    } else if (wrong == 1) { /* no memory at all */
      bad = stand_buffer (&stand, 1, 0, STAND_BATCH);
      gst_buffer_remove_all_memory (bad);
      g_assert_cmpint (stand_push (&stand, 0, 0), ==, GST_FLOW_OK);
    } else { /* more items than a batch has */
      gst_harness_push (stand.h[0], stand_buffer (&stand, 0, 0, STAND_BATCH + 1));
      bad = stand_buffer (&stand, 1, 0, STAND_BATCH + 1);
    }
    g_assert_cmpint (gst_harness_push (stand.h[1], bad), ==, GST_FLOW_ERROR);
    stand_expect_error (&stand, wrong == 2 ? "1 to 4 items" : "sink_1", NULL);
    stand_close (&stand);
  }
}

int
main (int argc, char **argv)
{
  stand_init (&argc, &argv);
  g_test_add_func ("/seedfusion/calibrates-then-fuses", test_calibrates_then_fuses);
  g_test_add_func ("/seedfusion/affinity-caps", test_affinity_caps);
  g_test_add_func ("/seedfusion/short-batch", test_last_batch_may_be_short);
  g_test_add_func ("/seedfusion/calibration-within-a-batch", test_calibration_ends_within_a_batch);
  g_test_add_func ("/seedfusion/stats", test_stats);
  g_test_add_func ("/seedfusion/features", test_features);
  g_test_add_func ("/seedfusion/whitening-file", test_whitening_file);
  g_test_add_func ("/seedfusion/same-seed", test_same_seed_same_bits);
  g_test_add_func ("/seedfusion/duplicate-window", test_duplicate_window);
  g_test_add_func ("/seedfusion/single", test_single);
  g_test_add_func ("/seedfusion/unknown-strategy", test_unknown_strategy);
  g_test_add_func ("/seedfusion/refused-caps", test_refused_caps);
  g_test_add_func ("/seedfusion/bad-numbers", test_bad_numbers);
  g_test_add_func ("/seedfusion/wrong-sizes", test_wrong_sizes);
  return g_test_run ();
}
