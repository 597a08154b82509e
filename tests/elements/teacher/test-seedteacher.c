/* SPDX-License-Identifier: MIT */
#include <gst/check/gstharness.h>
#include <seed/ledger.h>
#include <seed/stream-meta.h>

/* Of tests/data/models: images of 16 pixels out of the middle of 19, bicubic. */
#define MODEL SEED_TEST_DATA "/models/dinov2-tiny"

static GstHarness *
new_harness (const char *patchify, const char *teacher)
{
  g_autofree char *line = g_strdup_printf (
      "seedpatchify name=cut %s ! seedteacher name=teach model=%s %s", patchify, MODEL, teacher);
  GstHarness *h = gst_harness_new_parse (line);

  g_assert_nonnull (h);
  return h;
}

static void
push_frame (GstHarness *h)
{
  GstBuffer *frame;

  gst_harness_set_src_caps_str (h, "video/x-raw,format=RGB,width=40,height=30,framerate=5/1");
  frame = gst_harness_create_buffer (h, 40 * 30 * 3);
  gst_buffer_memset (frame, 0, 77, 40 * 30 * 3);
  g_assert_cmpint (gst_harness_push (h, frame), ==, GST_FLOW_OK);
}

/* Of what flows between the two. */
static void
assert_words (GstHarness *h, const char *fields)
{
  g_autoptr (GstElement) teacher = gst_bin_get_by_name (GST_BIN (h->element), "teach");
  g_autoptr (GstPad) pad = gst_element_get_static_pad (teacher, "sink");
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);
  g_autofree char *line = g_strconcat ("application/x-seed-patches,", fields, NULL);
  g_autoptr (GstCaps) wanted = gst_caps_from_string (line);

  g_assert_true (gst_caps_is_fixed (wanted));
  if (!gst_caps_is_equal (caps, wanted))
    g_error ("%s is not %s", gst_caps_to_string (caps), line);
}

static void
assert_features (GstHarness *h, guint grid)
{
  g_autoptr (GstBuffer) features = gst_harness_pull (h);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (h->sinkpad);
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  int value = 0;

  g_assert_true (gst_structure_get_int (s, "grid", &value));
  g_assert_cmpint (value, ==, (int) grid);
  g_assert_cmpuint (gst_buffer_n_memory (features), ==, 2);
  g_assert_cmpuint (gst_buffer_get_size (features), ==, (1 + grid * grid) * 24 * sizeof (float));
}

/* Words are made as the checkpoint's own files say. */
static void
test_asks_for_what_the_model_wants (void)
{
  GstHarness *h = new_harness ("", "tokens=true");

  push_frame (h);
  assert_words (h, "image-size=16,patch-size=4,views=1,batch=1,fit=crop,interpolation=bicubic,"
                   "resize-size=19,crop-size=16");
  assert_features (h, 4);
  gst_harness_teardown (h);
}

static void
test_image_size (void)
{
  GstHarness *h = new_harness ("", "tokens=true image-size=32");

  push_frame (h);
  assert_words (h, "image-size=32,patch-size=4,views=1,batch=1,fit=crop,interpolation=bicubic,"
                   "resize-size=38,crop-size=32");
  assert_features (h, 8);
  gst_harness_teardown (h);
}

/* Who sets a fit means it. */
static void
test_fit_may_be_another (void)
{
  GstHarness *h = new_harness ("fit=letterbox", "tokens=true");

  push_frame (h);
  assert_words (
      h, "image-size=16,patch-size=4,views=1,batch=1,fit=letterbox,interpolation=bicubic");
  assert_features (h, 4);
  gst_harness_teardown (h);
}

/* Random crops are of the whole frame, so that teachers with other wishes are shown the same. */
static void
test_augment_sees_the_whole_frame (void)
{
  GstHarness *h = new_harness ("augment=true", "tokens=true");

  push_frame (h);
  assert_words (h, "image-size=16,patch-size=4,views=1,batch=1,fit=squash,interpolation=bicubic");
  assert_features (h, 4);
  gst_harness_teardown (h);
}

static void
test_wrong_image_size (void)
{
  g_autoptr (GstElement) teacher = gst_element_factory_make ("seedteacher", "wrong");
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  gst_object_ref_sink (teacher);
  gst_element_set_bus (teacher, bus);
  g_object_set (teacher, "model", MODEL, "image-size", 30, NULL);
  g_assert_cmpint (gst_element_set_state (teacher, GST_STATE_READY), ==, GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_nonnull (strstr (error->message, "wrong: "));
  g_assert_nonnull (strstr (error->message, "the nearest are 28 and 32"));
  gst_element_set_state (teacher, GST_STATE_NULL);
  gst_element_set_bus (teacher, NULL);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func (
      "/seedteacher/asks-for-what-the-model-wants", test_asks_for_what_the_model_wants);
  g_test_add_func ("/seedteacher/image-size", test_image_size);
  g_test_add_func ("/seedteacher/fit-may-be-another", test_fit_may_be_another);
  g_test_add_func ("/seedteacher/augment-sees-the-whole-frame", test_augment_sees_the_whole_frame);
  g_test_add_func ("/seedteacher/wrong-image-size", test_wrong_image_size);
  return g_test_run ();
}
