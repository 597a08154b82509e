/* SPDX-License-Identifier: MIT */
#pragma once

/* A learning seedstudent between two harnesses, one for its words and one for its target. */
#include <gst/check/gstharness.h>
#include <seed/rng.h>
#include <seed/stream-meta.h>
#include <string.h>

#define BATCH 4
#define SIZE 32
#define ITEM_BYTES (2 * 3 * SIZE * SIZE)
#define WORDS_CAPS                                                                                 \
  "application/x-seed-patches,image-size=32,patch-size=16,views=2,batch=4,fit=squash,"             \
  "interpolation=bilinear"

typedef struct {
  GstElement *student;
  GstHarness *words, *target;
} Learner;

static void
learner_start (Learner *learner, const char *properties)
{
  g_autofree char *description = g_strdup_printf (
      "seedstudent name=learn mode=train size=mini image-size=32 warmup=2 lr=0.0005 %s",
      properties);

  learner->student = gst_parse_launch (description, NULL);
  g_assert_nonnull (learner->student);
  gst_object_ref_sink (learner->student);
  learner->target = gst_harness_new_with_element (learner->student, "target", NULL);
  learner->words = gst_harness_new_with_element (learner->student, "sink", "src");
  gst_harness_set_src_caps_str (
      learner->target, "application/x-seed-affinity,batch=4,strategy=max-min");
  gst_harness_set_src_caps_str (learner->words, WORDS_CAPS);
}

static void
learner_stop (Learner *learner)
{
  gst_element_set_state (learner->student, GST_STATE_NULL);
  gst_harness_teardown (learner->words);
  gst_harness_teardown (learner->target);
  gst_object_unref (learner->student);
}

static GstBuffer *
make_words (guint64 number, guint n_items)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (n_items * ITEM_BYTES);
  GstMapInfo map;
  SeedRng rng;

  seed_rng_init (&rng, number % 3);
  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (gsize i = 0; i < map.size; i++)
    map.data[i] = (guint8) seed_rng_next (&rng);
  gst_buffer_unmap (buffer, &map);
  for (guint i = 0; i < n_items; i++) {
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

    g_strlcpy (meta->stream, "cam", sizeof meta->stream);
    meta->frame = number * BATCH + i;
  }
  GST_BUFFER_OFFSET (buffer) = number;
  return buffer;
}

/* Logits that want the diagonal and nothing else. */
static GstBuffer *
make_target (guint64 number, guint n_items)
{
  GstBuffer *buffer = gst_buffer_new_and_alloc (n_items * n_items * sizeof (float));
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (guint i = 0; i < n_items * n_items; i++)
    ((float *) map.data)[i] = i % (n_items + 1) == 0 ? 1.0f : 0.0f;
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_OFFSET (buffer) = number;
  return buffer;
}

static GstFlowReturn
push_batch (Learner *learner, guint64 number, guint n_items)
{
  GstFlowReturn ret = gst_harness_push (learner->target, make_target (number, n_items));

  if (ret != GST_FLOW_OK)
    return ret;
  return gst_harness_push (learner->words, make_words (number, n_items));
}
