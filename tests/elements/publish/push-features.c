/* SPDX-License-Identifier: MIT */

/*
 * A pipeline for the tests that read from outside: features of two streams through seedpublish,
 * with tokens, a model and an event, and training reports on a second pad.
 *
 * usage: push-features PROPERTIES N
 *
 * PROPERTIES are seedpublish's. Prints the bound endpoint, sends N batches once the pipeline plays,
 * and ends with the pipeline's EOS.
 */
#include <stdlib.h>

#include <gst/app/gstappsrc.h>

#include "peer.h"

#include "core/event.h"

static GstBuffer *
new_train_report (guint step)
{
  char *text = g_strdup_printf ("{\"step\":%u,\"loss\":{\"total\":%.17g}}", step, 1.0 / (step + 1));

  return gst_buffer_new_wrapped (text, strlen (text));
}

static void
push_all (GstElement *pipeline, guint n)
{
  g_autoptr (GstElement) features = gst_bin_get_by_name (GST_BIN (pipeline), "student");
  g_autoptr (GstElement) reports = gst_bin_get_by_name (GST_BIN (pipeline), "reports");
  g_autoptr (GstPad) pad = gst_element_get_static_pad (features, "src");
  g_autofree char *sha256 = g_compute_checksum_for_string (G_CHECKSUM_SHA256, "weights", -1);

  gst_pad_push_event (pad, gst_event_new_stream_start ("features"));
  gst_pad_push_event (pad, seed_model_event_new ("tiny", sha256, 100));
  gst_pad_push_event (pad, seed_event_new ("stream-up", "cam0", "first frame"));
  for (guint i = 0; i < n; i++) {
    gst_app_src_push_buffer (GST_APP_SRC (features), new_features (2, 2 * i, 6, 8));
    gst_app_src_push_buffer (GST_APP_SRC (reports), new_train_report (i));
  }
  gst_app_src_end_of_stream (GST_APP_SRC (features));
  gst_app_src_end_of_stream (GST_APP_SRC (reports));
}

int
main (int argc, char **argv)
{
  g_autoptr (GstElement) pipeline = NULL, out = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GstBus) bus = NULL;
  g_autoptr (GstMessage) message = NULL;
  g_autofree char *description = NULL, *endpoint = NULL;

  gst_init (&argc, &argv);
  g_assert_cmpint (argc, ==, 3);
  load_plugin ();
  description = g_strdup_printf (
      "seedpublish name=out graph=lobby %s  appsrc name=student format=time caps=\"%s\" ! out. "
      "appsrc name=reports format=time caps=application/x-seed-report,kind=train,node=learn ! out.",
      argv[1], FEATURES (6, 2, 2));
  pipeline = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  out = gst_bin_get_by_name (GST_BIN (pipeline), "out");
  bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  g_object_get (out, "bound-endpoint", &endpoint, NULL);
  g_print ("%s\n", endpoint);
  fflush (stdout);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  push_all (pipeline, (guint) atoi (argv[2]));
  message = gst_bus_timed_pop_filtered (
      bus, SEED_TEST_WAIT_S * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return message && GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS ? 0 : 1;
}
