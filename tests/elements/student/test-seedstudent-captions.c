/* SPDX-License-Identifier: MIT */
/* The element learning from captions: a loss that falls, frames without, and resuming. */
#include <gst/check/gstharness.h>
#include <json-glib/json-glib.h>
#include <seed/rng.h>
#include <seed/stream-meta.h>
#include <string.h>

#include "core/caption-meta.h"
#include "remove-tree.h"

enum { BATCH = 6, SIZE = 32, VIEW = 3 * SIZE * SIZE, STEPS = 50 };

#define WORDS                                                                                      \
  "application/x-seed-patches,image-size=32,patch-size=16,views=2,batch=6,fit=squash,"             \
  "interpolation=bilinear"

static const char *const said[BATCH][2] = {
  { "a dog", "a brown dog" },
  { "two cats", "cats on a mat" },
  { "the sea", "waves" },
  { "a red car", "a car in the street" },
  { "a man riding", "a man on a horse" },
  { NULL, NULL },
};

static GstHarness *
learner_new (const char *text_model, const char *properties)
{
  g_autofree char *description = g_strdup_printf (
      "seedstudent mode=train promote=always objective=captions image-size=32 lr=1e-3 warmup=2 "
      "text-model=" SEED_TEST_DATA "/text/%s %s",
      text_model, properties);
  GstHarness *h = gst_harness_new_parse (description);

  gst_harness_set_src_caps_str (h, WORDS);
  return h;
}

/* Item i shows picture i and is called one of two things; the last is called nothing. */
static GstBuffer *
make_words (guint64 number, guint n_captioned)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (2 * BATCH * VIEW);
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (guint i = 0; i < BATCH; i++) {
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);
    SeedRng rng;

    g_strlcpy (meta->stream, "cam", sizeof meta->stream);
    meta->frame = number * BATCH + i;
    if (i < n_captioned && said[i][0])
      seed_buffer_add_captions (buffer, i, said[i], 2);
    seed_rng_init (&rng, i);
    for (guint k = 0; k < 2 * VIEW; k++)
      map.data[2 * i * VIEW + k] = (guint8) (i * 40 + seed_rng_below (&rng, 30));
  }
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_OFFSET (buffer) = number;
  return buffer;
}

static double
learn (GstHarness *h, guint64 number, JsonParser *parser)
{
  g_autoptr (GstBuffer) report = gst_harness_push_and_pull (h, make_words (number, BATCH));
  JsonObject *data;
  GstMapInfo map;

  g_assert_nonnull (report);
  gst_buffer_map (report, &map, GST_MAP_READ);
  g_assert_true (json_parser_load_from_data (parser, (char *) map.data, (gssize) map.size, NULL));
  gst_buffer_unmap (report, &map);
  data = json_node_get_object (json_parser_get_root (parser));
  return json_object_get_double_member (json_object_get_object_member (data, "loss"), "captions");
}

static void
check_learning (const char *text_model)
{
  GstHarness *h = learner_new (text_model, "");
  g_autoptr (GstElement) student = gst_harness_find_element (h, "seedstudent");
  g_autoptr (GstStructure) stats = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *captions;
  guint64 uncaptioned = 0;
  double first = 0, last = 0;

  for (guint i = 0; i < STEPS; i++) {
    last = learn (h, i, parser);
    first = i == 0 ? last : first;
  }
  g_assert_cmpfloat (last, <, 0.7 * first);
  captions = json_object_get_object_member (
      json_node_get_object (json_parser_get_root (parser)), "captions");
  g_assert_cmpint (json_object_get_int_member (captions, "captioned"), ==, BATCH - 1);
  g_assert_cmpint (json_object_get_int_member (captions, "uncaptioned_total"), ==, STEPS);

  /* one caption has nothing to be told apart from: not learned from, but counted */
  g_assert_cmpint (gst_harness_push (h, make_words (STEPS, 1)), ==, GST_FLOW_OK);
  g_assert_cmpuint (gst_harness_buffers_in_queue (h), ==, 0);
  g_object_get (student, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint64 (stats, "uncaptioned", &uncaptioned));
  g_assert_cmpuint (uncaptioned, ==, STEPS + BATCH - 1);
  gst_harness_teardown (h);
}

static void
test_sentence_encoder (void)
{
  check_learning ("bert");
}

static void
test_clip (void)
{
  check_learning ("clip");
}

static void
test_resume (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-captions-XXXXXX", NULL);
  g_autofree char *properties = g_strdup_printf ("seed=2 checkpoint=%s/c", folder);
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autofree char *other = NULL;
  g_autoptr (GstElement) pipeline = NULL;
  double straight[6];
  GstHarness *h = learner_new ("bert", "seed=2");

  for (guint i = 0; i < 6; i++)
    straight[i] = learn (h, i, parser);
  gst_harness_teardown (h);
  for (guint part = 0; part < 2; part++) {
    h = learner_new ("bert", properties);
    for (guint i = 3 * part; i < 3 * part + 3; i++)
      g_assert_cmpfloat (learn (h, i, parser), ==, straight[i]);
    gst_harness_teardown (h);
  }
  /* of the same width, but not the same */
  other = g_strdup_printf ("seedstudent mode=train promote=always objective=captions image-size=32 "
                           "text-model=" SEED_TEST_DATA "/text/bert-cased %s ! fakesink",
      properties);
  pipeline = gst_parse_launch (other, NULL);
  g_assert_cmpint (gst_element_set_state (pipeline, GST_STATE_READY), ==, GST_STATE_CHANGE_FAILURE);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  remove_tree (folder);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  gst_object_unref (gst_plugin_load_by_name ("seed"));
  g_test_add_func ("/student-captions/sentence-encoder", test_sentence_encoder);
  g_test_add_func ("/student-captions/clip", test_clip);
  g_test_add_func ("/student-captions/resume", test_resume);
  return g_test_run ();
}
