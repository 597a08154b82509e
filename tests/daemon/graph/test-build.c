/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <gst/gst.h>

#include "fake-stages.h"
#include "graph/build.h"
#include "graph/check.h"

#define FOLDER SEED_SOURCE_DIR "/tests/daemon/graph/golden"
#define LIMIT (SEED_TEST_WAIT_S * GST_SECOND)

typedef struct {
  SeedGraph *graph;
  SeedPlan *plan;
  SeedPipeline *pipeline;
} Built;

/* NULL pipeline when the errors are @expected instead of none. */
static Built
build (const char *nodes, const char *expected)
{
  g_autofree char *text = g_strconcat ("version: 1\ngraph: test\n", nodes, NULL);
  g_autoptr (SeedDiagnostics) diagnostics = seed_diagnostics_new ("f");
  const SeedBuildOptions options = { .seed = 42, .deterministic = TRUE };
  g_autofree char *errors = NULL;
  Built built = { NULL, NULL, NULL };

  built.graph = seed_graph_parse (text, strlen (text), FOLDER, NULL, diagnostics);
  if (built.graph)
    seed_graph_check (built.graph, diagnostics);
  if (!seed_diagnostics_count (diagnostics)) {
    built.plan = seed_plan_new (built.graph);
    built.pipeline = seed_pipeline_build (built.plan, &options, diagnostics);
  }
  errors = seed_diagnostics_to_string (diagnostics);
  g_assert_cmpstr (errors, ==, expected);
  return built;
}

static void
tear_down (Built *built)
{
  seed_pipeline_free (built->pipeline);
  seed_plan_free (built->plan);
  seed_graph_free (built->graph);
}

static GstElement *
element (const Built *built, const char *name)
{
  GstElement *found = gst_bin_get_by_name (GST_BIN (built->pipeline->pipeline), name);

  if (!found)
    g_error ("no element %s", name);
  gst_object_unref (found); /* the bin keeps it */
  return found;
}

/* "ELEMENT.PAD" on the other side of a pad, going through queues and tees against the flow. */
static char *
source_of (const Built *built, const char *name, const char *pad_name)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (element (built, name), pad_name);
  g_autoptr (GstPad) src = sink ? gst_pad_get_peer (sink) : NULL;

  while (src) {
    GstElement *owner = GST_ELEMENT (GST_PAD_PARENT (src));
    GstPad *next;

    if (!SEED_IS_GRAPH_QUEUE (owner) && !strstr (GST_OBJECT_NAME (owner), ".tee") &&
        !strstr (GST_OBJECT_NAME (owner), ".split"))
      return g_strdup_printf ("%s.%s", GST_OBJECT_NAME (owner), GST_OBJECT_NAME (src));
    next = gst_element_get_static_pad (owner, "sink");
    gst_object_unref (src);
    src = gst_pad_get_peer (next);
    gst_object_unref (next);
  }
  return NULL;
}

static void
assert_source (const Built *built, const char *name, const char *pad, const char *expected)
{
  g_autofree char *source = source_of (built, name, pad);

  g_assert_cmpstr (source, ==, expected);
}

static void
assert_text (const Built *built, const char *name, const char *property, const char *expected)
{
  g_autofree char *text = NULL;

  g_object_get (element (built, name), property, &text, NULL);
  g_assert_cmpstr (text, ==, expected);
}

#define LEARNER                                                                                    \
  "streams:\n"                                                                                     \
  "  door: { uri: 'rtsp://127.0.0.1/a \"b\"', max-fps: 2.5 }\n"                                    \
  "  yard: { uri: yard.mp4, loop: true }\n"                                                        \
  "nodes:\n"                                                                                       \
  "  student: { stage: student, mode: infer, from: words, follows: learn }\n"                      \
  "  frames: { stage: decode, streams: all }\n"                                                    \
  "  words: { stage: patchify, from: frames, seed: 7 }\n"                                          \
  "  views: { stage: patchify, from: frames }\n"                                                   \
  "  clip: { stage: teacher, from: views, model: m224 }\n"                                         \
  "  dino: { stage: teacher, from: views, model: m224 }\n"                                         \
  "  fused: { stage: fusion, from: [dino, clip], strategy: mean }\n"                               \
  "  learn: { stage: student, mode: train, target: fused, from: views, checkpoint: out/lobby }\n"

static void
test_wiring (void)
{
  Built b = build (LEARNER, "");
  g_autofree char *model = g_canonicalize_filename ("m224", FOLDER);
  g_autofree char *checkpoint = g_canonicalize_filename ("out/lobby", FOLDER);
  int strategy;

  assert_source (&b, "fused", "sink_0", "dino.src");
  assert_source (&b, "fused", "sink_1", "clip.src");
  assert_source (&b, "learn", "sink", "views.src");
  assert_source (&b, "learn", "target", "fused.src");
  assert_source (&b, "student", "sink", "words.src");
  assert_source (&b, "student.sink", "sink", "student.src");
  assert_text (&b, "clip", "model", model);
  assert_text (&b, "learn", "checkpoint", checkpoint);
  assert_text (&b, "student", "follows", "learn");
  assert_text (&b, "frames", "graph", "test");
  g_object_get (element (&b, "fused"), "strategy", &strategy, NULL);
  g_assert_cmpint (strategy, ==, 1);
  tear_down (&b);
}

/* Teachers go to pads of their own, in the order they are written, beside a target or without. */
static void
test_teachers (void)
{
  static const char nodes[] = "streams:\n"
                              "  yard: { uri: yard.mp4 }\n"
                              "nodes:\n"
                              "  frames: { stage: decode, streams: all }\n"
                              "  views: { stage: patchify, from: frames }\n"
                              "  clip: { stage: teacher, from: views, model: m224 }\n"
                              "  dino: { stage: teacher, from: views, model: m224 }\n"
                              "  fused: { stage: fusion, from: [clip, dino] }\n"
                              "  learn: { stage: student, mode: train, from: views, target: fused, "
                              "teachers: [dino, clip] }\n"
                              "  alone: { stage: student, mode: train, from: views, "
                              "teachers: dino }\n";
  Built b = build (nodes, "");

  /* the stand-in counts all of its pads */
  assert_source (&b, "learn", "sink", "views.src");
  assert_source (&b, "alone", "sink", "views.src");
  assert_source (&b, "alone", "teacher_1", "dino.src");
  for (guint i = 1; i <= 3; i++) {
    static const char *const sources[] = { "fused.src", "dino.src", "clip.src" };
    const char *pads[] = { "target", "teacher_2", "teacher_3" };

    assert_source (&b, "learn", pads[i - 1], sources[i - 1]);
  }
  g_assert_nonnull (element (&b, "dino:learn:teachers"));
  tear_down (&b);
}

/* The text that seeddecode reads gives back what the file said. */
static void
test_streams (void)
{
  Built b = build (LEARNER, "");
  g_autofree char *text = NULL, *yard = g_filename_to_uri (FOLDER "/yard.mp4", NULL, NULL);
  g_auto (GStrv) parts = NULL;
  g_autoptr (GstStructure) door = NULL, second = NULL;
  gboolean loop;
  double fps;

  g_object_get (element (&b, "frames"), "streams", &text, NULL);
  parts = g_strsplit (text, "; ", -1);
  g_assert_cmpuint (g_strv_length (parts), ==, 2);
  door = gst_structure_from_string (parts[0], NULL);
  second = gst_structure_from_string (parts[1], NULL);
  g_assert_cmpstr (gst_structure_get_string (door, "id"), ==, "door");
  g_assert_cmpstr (gst_structure_get_string (door, "uri"), ==, "rtsp://127.0.0.1/a \"b\"");
  g_assert_true (gst_structure_get_double (door, "max-fps", &fps));
  g_assert_cmpfloat (fps, ==, 2.5);
  g_assert_cmpstr (gst_structure_get_string (second, "uri"), ==, yard);
  g_assert_true (gst_structure_get_boolean (second, "loop", &loop));
  g_assert_true (loop);
  g_assert_false (gst_structure_has_field (second, "max-fps"));
  tear_down (&b);
}

/* What the run says goes to every element that can hear it, unless its node says otherwise. */
static void
test_common_properties (void)
{
  Built b = build (LEARNER, "");
  static const struct {
    const char *name;
    guint64 seed;
  } nodes[] = { { "words", 7 }, { "views", 42 }, { "frames", 42 }, { "learn", 42 } };

  for (guint i = 0; i < G_N_ELEMENTS (nodes); i++) {
    guint64 seed;
    gboolean deterministic;

    g_object_get (
        element (&b, nodes[i].name), "seed", &seed, "deterministic", &deterministic, NULL);
    g_assert_cmpuint (seed, ==, nodes[i].seed);
    g_assert_true (deterministic);
  }
  tear_down (&b);
}

static void
test_sinks_do_not_wait (void)
{
  Built b = build ("nodes:\n"
                   "  src: { element: videotestsrc }\n"
                   "  a: { element: fakesink, from: src }\n"
                   "  b: { element: fakesink, from: src, properties: { sync: true } }\n",
      "");
  gboolean sync, async;

  g_object_get (element (&b, "a"), "sync", &sync, "async", &async, NULL);
  g_assert_false (sync || async);
  g_object_get (element (&b, "b"), "sync", &sync, "async", &async, NULL);
  g_assert_true (sync);
  g_assert_false (async);
  tear_down (&b);
}

static void
test_split_by_geometry (void)
{
  Built b = build ("nodes:\n"
                   "  src: { element: videotestsrc }\n"
                   "  views: { stage: patchify, from: src, batch: 4, seed: 5 }\n"
                   "  learn: { stage: student, mode: train, from: views, target: fused }\n"
                   "  a: { stage: teacher, from: views, model: m224 }\n"
                   "  b: { stage: teacher, from: views, model: m256 }\n"
                   "  c: { stage: teacher, from: views, model: m224 }\n"
                   "  fused: { stage: fusion, from: [a, b, c] }\n",
      "");
  guint64 seed;
  guint batch;

  assert_source (&b, "a", "sink", "views.src");
  assert_source (&b, "b", "sink", "views.2.src");
  assert_source (&b, "c", "sink", "views.src");
  assert_source (&b, "learn", "sink", "views.src");
  assert_source (&b, "views", "sink", "src.src");
  assert_source (&b, "views.2", "sink", "src.src");
  g_object_get (element (&b, "views.2"), "seed", &seed, "batch", &batch, NULL);
  g_assert_cmpuint (seed, ==, 5);
  g_assert_cmpuint (batch, ==, 4);
  g_assert_cmpuint (b.pipeline->stages->len, ==, 8);
  tear_down (&b);
}

static void
test_one_geometry_is_one_instance (void)
{
  Built b = build ("nodes:\n"
                   "  src: { element: videotestsrc }\n"
                   "  views: { stage: patchify, from: src }\n"
                   "  a: { stage: teacher, from: views, model: m224 }\n"
                   "  pass: { element: identity, from: views }\n"
                   "  c: { stage: teacher, from: pass, model: m224 }\n",
      "");

  assert_source (&b, "a", "sink", "views.src");
  assert_source (&b, "pass", "sink", "views.src");
  g_assert_cmpuint (b.pipeline->stages->len, ==, 5);
  tear_down (&b);
}

#define BROKEN_MODELS                                                                              \
  "nodes:\n"                                                                                       \
  "  src: { element: videotestsrc }\n"                                                             \
  "  views: { stage: patchify, from: src }\n"                                                      \
  "  a: { stage: teacher, from: views, model: broken }\n"                                          \
  "  b: { stage: teacher, from: views, model: broken }\n"

/* What only loading finds is reported at the nodes' places, for all of them. */
static void
test_models_that_do_not_load (void)
{
  Built b = build (BROKEN_MODELS, "f:6:3: error: node 'a': tensor 'x' is missing\n"
                                  "f:7:3: error: node 'b': tensor 'x' is missing\n");

  g_assert_null (b.pipeline);
  tear_down (&b);
}

/* ---- running ---- */

/* Plays to the end, for a limit. */
static void
play (const Built *b)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (b->pipeline->pipeline);
  g_autoptr (GstMessage) message = NULL;

  gst_element_set_state (b->pipeline->pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, LIMIT, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (!message)
    g_error ("the graph hangs");
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR) {
    g_autofree char *text = seed_pipeline_message_text (message);

    g_error ("%s: %s", seed_pipeline_stage_name (b->pipeline, GST_MESSAGE_SRC (message)), text);
  }
  gst_element_set_state (b->pipeline->pipeline, GST_STATE_READY);
}

static guint64
sum_drops (const Built *b)
{
  guint64 sum = 0;

  for (guint i = 0; i < b->pipeline->queues->len; i++) {
    SeedLedger *ledger = seed_graph_queue_ledger (g_ptr_array_index (b->pipeline->queues, i));
    g_autoptr (GArray) entries = seed_ledger_snapshot (ledger);

    for (guint j = 0; j < entries->len; j++) {
      const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, j);

      g_assert_cmpuint (seed_ledger_entry_in_flight (entry), ==, 0);
      sum += seed_ledger_dropped (ledger, entry->stream);
    }
  }
  return sum;
}

static guint
taken (const Built *b, const char *name)
{
  guint n;

  g_object_get (element (b, name), "taken", &n, NULL);
  return n;
}

/* The student waits for a target that two teachers of different depth make from the words that
 * queue before it, with room for one buffer everywhere. */
#define TIGHT "queue: { frames: 1 }"
#define DIAMOND(source, second, sleep)                                                             \
  "nodes:\n"                                                                                       \
  "  src: { element: videotestsrc, properties: { num-buffers: 256" source " } }\n"                 \
  "  rate: { element: capsfilter, from: src, properties: { caps: 'video/x-raw, framerate=1000/1' " \
  "} }\n"                                                                                          \
  "  views: { stage: patchify, from: rate, batch: 4, " TIGHT " }\n"                                \
  "  learn: { stage: student, mode: train, from: views, target: fused, " TIGHT " }\n"              \
  "  a: { stage: teacher, from: views, model: m224, " TIGHT " }\n"                                 \
  "  slow: { element: identity, from: views, " TIGHT ", properties: { sleep-time: 500 } }\n"       \
  "  slower: { element: identity, from: slow, " TIGHT ", properties: { sleep-time: " sleep         \
  " } }\n"                                                                                         \
  "  b: { stage: teacher, from: slower, model: " second ", " TIGHT " }\n"                          \
  "  fused: { stage: fusion, from: [b, a], " TIGHT " }\n"                                          \
  "  words: { stage: patchify, from: rate, " TIGHT " }\n"                                          \
  "  student: { stage: student, mode: infer, from: words, follows: learn, " TIGHT " }\n"           \
  "  out: { stage: publish, from: [student, learn], " TIGHT " }\n"

static void
test_paired_branches_do_not_deadlock (void)
{
  Built b = build (DIAMOND ("", "m224", "1000"), "");

  play (&b);
  g_assert_cmpuint (taken (&b, "learn"), ==, 64);
  g_assert_cmpuint (taken (&b, "student"), ==, 256);
  g_assert_cmpuint (taken (&b, "out"), ==, 320);
  g_assert_cmpuint (sum_drops (&b), ==, 0);
  tear_down (&b);
}

static void
test_split_branches_do_not_deadlock (void)
{
  Built b = build (DIAMOND ("", "m256", "1000"), "");

  play (&b);
  g_assert_cmpuint (taken (&b, "learn"), ==, 64);
  g_assert_cmpuint (sum_drops (&b), ==, 0);
  tear_down (&b);
}

/* A live source runs over a slow branch: batches are dropped, but for all branches or none; the
 * fakes post an error when different batches meet. */
static void
test_live_drops_keep_pairs (gconstpointer second)
{
  g_autofree char *nodes = g_strdup (DIAMOND (", is-live: true", "MODEL", "20000"));
  g_auto (GStrv) parts = g_strsplit (nodes, "MODEL", 2);
  g_autofree char *text = g_strjoinv (second, parts);
  Built b = build (text, "");

  play (&b);
  g_assert_cmpuint (taken (&b, "learn"), >, 0);
  g_assert_cmpuint (sum_drops (&b), >, 0);
  tear_down (&b);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  fake_stages_register ();
  g_test_add_func ("/build/wiring", test_wiring);
  g_test_add_func ("/build/teachers", test_teachers);
  g_test_add_func ("/build/streams", test_streams);
  g_test_add_func ("/build/common-properties", test_common_properties);
  g_test_add_func ("/build/sinks", test_sinks_do_not_wait);
  g_test_add_func ("/build/split", test_split_by_geometry);
  g_test_add_func ("/build/one-instance", test_one_geometry_is_one_instance);
  g_test_add_func ("/build/models-that-do-not-load", test_models_that_do_not_load);
  g_test_add_func ("/run/paired", test_paired_branches_do_not_deadlock);
  g_test_add_func ("/run/split", test_split_branches_do_not_deadlock);
  g_test_add_data_func ("/run/live/paired", "m224", test_live_drops_keep_pairs);
  g_test_add_data_func ("/run/live/split", "m256", test_live_drops_keep_pairs);
  return g_test_run ();
}
