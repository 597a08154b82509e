/* SPDX-License-Identifier: MIT */
#include <gst/check/gstharness.h>
#include <math.h>
#include <seed/ledger.h>
#include <seed/model.h>
#include <seed/rng.h>
#include <seed/stream-meta.h>
#include <string.h>

#define MODEL SEED_TEST_DATA "/models/vit-tiny-plain"
#define SIZE 32
#define PATCH 8
#define WORDS 16
#define DIM 36
#define BATCH 3
#define VIEWS 2
#define IMAGE_BYTES (3 * SIZE * SIZE)

static GstHarness *
start (const char *properties)
{
  g_autofree char *launch = g_strdup_printf ("seedteacher name=t model=" MODEL " %s", properties);
  GstHarness *h = gst_harness_new_parse (launch);

  gst_harness_set_src_caps_str (h,
      "application/x-seed-patches,image-size=32,patch-size=8,views=2,batch=3,fit=squash,"
      "interpolation=bilinear");
  return h;
}

static GstBuffer *
make_words (guint64 number, guint n_items)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (n_items * VIEWS * IMAGE_BYTES);
  GstMapInfo map;
  SeedRng rng;

  seed_rng_init (&rng, number);
  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (gsize i = 0; i < map.size; i++)
    map.data[i] = (guint8) seed_rng_next (&rng);
  gst_buffer_unmap (buffer, &map);
  for (guint i = 0; i < n_items; i++)
    seed_buffer_add_stream_meta (buffer)->frame = number * BATCH + i;
  GST_BUFFER_OFFSET (buffer) = number;
  return buffer;
}

/* What the model itself says of the same words. */
static void
expect (guint64 number, guint n_items, float *summary, float *tokens)
{
  g_autoptr (SeedModel) model = seed_model_load (MODEL, NULL);
  g_autoptr (SeedSession) session = seed_session_new (model, BATCH * VIEWS, NULL);
  GstBuffer *words = make_words (number, n_items);
  GstMapInfo map;

  gst_buffer_map (words, &map, GST_MAP_READ);
  seed_session_run (session, map.data, n_items * VIEWS, summary, tokens);
  gst_buffer_unmap (words, &map);
  gst_buffer_unref (words);
}

static void
assert_floats (GstMemory *memory, const float *expected, gsize n)
{
  GstMapInfo map;

  g_assert_true (gst_memory_map (memory, &map, GST_MAP_READ));
  g_assert_cmpmem (map.data, map.size, expected, n * sizeof (float));
  gst_memory_unmap (memory, &map);
}

/* Full and short batches in turn, so that recycled buffers are seen at both sizes. */
static void
test_features (gconstpointer with_tokens)
{
  gboolean tokens = GPOINTER_TO_INT (with_tokens);
  GstHarness *h = start (tokens ? "tokens=true" : "");
  static const guint sizes[] = { 3, 1, 3, 2, 3 };
  float summary[BATCH * VIEWS * DIM], token[BATCH * VIEWS * WORDS * DIM];

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GstBuffer) out = gst_harness_push_and_pull (h, make_words (i, sizes[i]));
    gpointer state = NULL;

    expect (i, sizes[i], summary, token);
    g_assert_cmpuint (gst_buffer_n_memory (out), ==, tokens ? 2 : 1);
    assert_floats (gst_buffer_peek_memory (out, 0), summary, (gsize) sizes[i] * VIEWS * DIM);
    if (tokens)
      assert_floats (
          gst_buffer_peek_memory (out, 1), token, (gsize) sizes[i] * VIEWS * WORDS * DIM);
    g_assert_cmpuint (GST_BUFFER_OFFSET (out), ==, i);
    for (guint k = 0; k < sizes[i]; k++)
      g_assert_cmpuint (
          seed_buffer_iterate_stream_meta (out, &state)->frame, ==, (guint64) i * BATCH + k);
    g_assert_cmpuint (seed_buffer_n_stream_meta (out), ==, sizes[i]);
  }
  gst_harness_teardown (h);
}

static void
test_caps (void)
{
  GstHarness *h = start ("tokens=true");
  g_autoptr (GstCaps) got = NULL;
  g_autoptr (GstCaps) sink = gst_pad_peer_query_caps (h->srcpad, NULL);
  const GstStructure *s = gst_caps_get_structure (sink, 0);
  int value;

  g_assert_true (gst_structure_get_int (s, "image-size", &value));
  g_assert_cmpint (value, ==, SIZE);
  g_assert_true (gst_structure_get_int (s, "patch-size", &value));
  g_assert_cmpint (value, ==, PATCH);
  gst_buffer_unref (gst_harness_push_and_pull (h, make_words (0, 1)));
  got = gst_pad_get_current_caps (h->sinkpad);
  s = gst_caps_get_structure (got, 0);
  g_assert_true (gst_structure_has_name (s, "application/x-seed-features"));
  g_assert_true (gst_structure_get_int (s, "summary-dim", &value) && value == DIM);
  g_assert_true (gst_structure_get_int (s, "token-dim", &value) && value == DIM);
  g_assert_true (gst_structure_get_int (s, "grid", &value) && value == 4);
  g_assert_cmpstr (gst_structure_get_string (s, "node"), ==, "t");
  g_assert_true (
      g_str_has_prefix (gst_structure_get_string (s, "space"), "teacher/vit-tiny-plain/"));
  gst_harness_teardown (h);
}

static void
test_model_is_announced (void)
{
  GstHarness *h = start ("");
  gboolean seen = FALSE;
  GstEvent *event;

  gst_buffer_unref (gst_harness_push_and_pull (h, make_words (0, 1)));
  while ((event = gst_harness_try_pull_event (h))) {
    const GstStructure *s = gst_event_get_structure (event);

    if (s && gst_structure_has_name (s, "seed-model")) {
      g_assert_cmpstr (gst_structure_get_string (s, "name"), ==, "vit-tiny-plain");
      g_assert_cmpuint (strlen (gst_structure_get_string (s, "sha256")), ==, 64);
      seen = TRUE;
    }
    gst_event_unref (event);
  }
  g_assert_true (seen);
  gst_harness_teardown (h);
}

static void
test_lying_buffer (void)
{
  GstHarness *h = start ("");
  g_autoptr (GstElement) teacher = gst_harness_find_element (h, "seedteacher");
  g_autoptr (SeedLedger) ledger = NULL;
  g_autoptr (GArray) entries = NULL;
  SeedLedgerEntry *entry;
  GstBuffer *words = make_words (0, 2);

  gst_buffer_unref (gst_harness_push_and_pull (h, make_words (1, 3)));
  gst_buffer_resize (words, 0, IMAGE_BYTES);
  g_assert_cmpint (gst_harness_push (h, words), ==, GST_FLOW_ERROR);
  g_object_get (teacher, "ledger", &ledger, NULL);
  entries = seed_ledger_snapshot (ledger);
  entry = &g_array_index (entries, SeedLedgerEntry, 0);
  g_assert_cmpuint (entry->in, ==, 5);
  g_assert_cmpuint (entry->out, ==, 3);
  g_assert_cmpuint (entry->dropped[SEED_DROP_ERROR], ==, 2);
  gst_harness_teardown (h);
}

static void
test_other_geometry_refused (void)
{
  GstHarness *h = start ("");

  gst_harness_set_src_caps_str (h,
      "application/x-seed-patches,image-size=64,patch-size=8,views=2,batch=3,fit=squash,"
      "interpolation=bilinear");
  g_assert_cmpint (gst_harness_push (h, make_words (0, 1)), ==, GST_FLOW_NOT_NEGOTIATED);
  gst_harness_teardown (h);
}

static void
test_restart (void)
{
  GstHarness *h = start ("");
  g_autoptr (GstElement) teacher = gst_harness_find_element (h, "seedteacher");

  gst_buffer_unref (gst_harness_push_and_pull (h, make_words (0, 3)));
  gst_element_set_state (teacher, GST_STATE_READY);
  gst_element_set_state (teacher, GST_STATE_PLAYING);
  gst_harness_teardown (h);
}

static void
test_no_model (gconstpointer text)
{
  g_autoptr (GstElement) pipeline = gst_parse_launch (text, NULL);
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (gst_element_set_state (pipeline, GST_STATE_READY), ==, GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_nonnull (strstr (error->message, "t: "));
  g_assert_nonnull (strstr (error->message, "model"));
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  gst_object_unref (gst_plugin_load_by_name ("seed"));
  g_test_add_data_func ("/teacher/summary", GINT_TO_POINTER (FALSE), test_features);
  g_test_add_data_func ("/teacher/tokens", GINT_TO_POINTER (TRUE), test_features);
  g_test_add_func ("/teacher/caps", test_caps);
  g_test_add_func ("/teacher/model-is-announced", test_model_is_announced);
  g_test_add_func ("/teacher/lying-buffer", test_lying_buffer);
  g_test_add_func ("/teacher/other-geometry-refused", test_other_geometry_refused);
  g_test_add_func ("/teacher/restart", test_restart);
  g_test_add_data_func ("/teacher/no-model", "seedteacher name=t ! fakesink", test_no_model);
  g_test_add_data_func (
      "/teacher/missing-model", "seedteacher name=t model=/nonexistent ! fakesink", test_no_model);
  return g_test_run ();
}
