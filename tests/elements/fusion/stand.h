/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/check/gstharness.h>
#include <seed/ledger.h>
#include <seed/stream-meta.h>

#include "core/caps.h"
#include "fusion/fuser.h"

/*
 * A test stand: one seedfusion, teachers played by harnesses. Teacher t is named "teacher-t", makes
 * features of space "space-t" and width STAND_DIM + t; what it says of a frame is a fixed function
 * of its number and of the view. Frames alternate between streams "door" and "yard", 10 s apart.
 */
#define STAND_DIM 8
#define STAND_TEACHERS 3
#define STAND_BATCH 4
#define STAND_WAIT_US (SEED_TEST_WAIT_S * G_USEC_PER_SEC)

typedef struct {
  GstElement *element;
  GstBus *bus;
  GstHarness *h[STAND_TEACHERS]; /* h[0] also has the src pad */
  guint n_teachers, views;
} Stand;

/* Loads the plugin; in main, before tests run. */
void stand_init (int *argc, char ***argv);

/* A playing element with pads and harnesses but without caps; properties as varargs, NULL at the
 * end. */
void stand_open (
    Stand *stand, guint n_teachers, guint views, const char *property, ...) G_GNUC_NULL_TERMINATED;
void stand_close (Stand *stand);

/* Caps of teacher @t. */
void stand_push_caps (Stand *stand, guint t, const SeedFeaturesInfo *info);
/* Caps that the element refuses, and with them every buffer. */
void stand_push_refused_caps (Stand *stand, guint t, const SeedFeaturesInfo *info);
SeedFeaturesInfo stand_info (Stand *stand, guint t);
void stand_push_all_caps (Stand *stand);

/* float32 [n, views, D] of frames from @first_frame on. Caller frees. */
float *stand_features (guint t, guint views, guint64 first_frame, guint n);
/* Batch @number of @n items, which are frames number * STAND_BATCH and on. */
GstBuffer *stand_buffer (Stand *stand, guint t, guint64 number, guint n);
GstFlowReturn stand_push (Stand *stand, guint t, guint64 number);
void stand_push_all (Stand *stand, guint64 number); /* expects GST_FLOW_OK */

/* The next buffer, which must be batch @number; a target, or a gap. */
GstBuffer *stand_pull_target (Stand *stand, guint64 number);
void stand_pull_gap (Stand *stand, guint64 number);
void stand_expect_nothing (Stand *stand);
GstEvent *stand_find_event (Stand *stand, GstEventType type, const char *name);

/* The error on the bus says every one of the strings. */
void stand_expect_error (Stand *stand, const char *says, ...) G_GNUC_NULL_TERMINATED;

/* Frames of all streams together. */
typedef struct {
  guint64 in, out, dropped[SEED_N_DROP_REASONS], in_flight;
} StandTotals;
StandTotals stand_totals (Stand *stand);

/* A fuser calibrated on the batches 0..n_batches-1. */
SeedFuser *stand_reference (Stand *stand, const char *strategy, guint n_batches);
/* What it makes of batch @number. */
float *
stand_expected (Stand *stand, SeedFuser *fuser, guint64 number, guint n, SeedFusionTally *tally);
void stand_expect_values (GstBuffer *buffer, const float *expected, gsize n);
