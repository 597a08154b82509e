/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

/*
 * What travels beside the data, in order with it.
 *
 * "seed-event": something an operator or a subscriber must hear of (a stream came up or went down).
 * A serialized downstream event; every element lets it through, elements with several sink pads
 * from the first one alone; seedpublish publishes it once, however many ways it came, by its id.
 */
#define SEED_EVENT_NAME "seed-event"

typedef struct {
  const char *event;  /* "stream-up", "stream-down", ... */
  const char *stream; /* or "-" */
  const char *reason; /* one line for a person, or "" */
  guint64 id;         /* unique in the process */
  gint64 time_ns;     /* realtime */
  guint64 frame;      /* of the stream, that it is about; GST_BUFFER_OFFSET_NONE: of none */
} SeedEvent;

/* A new event with the next id and the current time. */
GstEvent *seed_event_new (const char *event, const char *stream, const char *reason);

/* What it is about: a frame of its stream, and how much of it there is. */
void seed_event_set_frame (GstEvent *event, guint64 frame, double score);

/* FALSE when @event is something else. Strings live as long as @event. */
gboolean seed_event_parse (GstEvent *event, SeedEvent *parsed);

/*
 * "seed-model": the model behind the features that follow. A sticky, serialized downstream event;
 * sent by teachers, fusions and students before their first buffer and whenever it changes (a
 * serving student that picked up new weights).
 */
#define SEED_MODEL_EVENT_NAME "seed-model"

/* @sha256: of the weights file, "" when they were never in a file; @step: training step, 0 if none
 */
GstEvent *seed_model_event_new (const char *name, const char *sha256, guint64 step);
gboolean
seed_model_event_parse (GstEvent *event, const char **name, const char **sha256, guint64 *step);

/*
 * "seed-agreement": how well a learning student agreed with its target on one batch. An upstream
 * event, sent on the student's input of words after each step; a stage that spaces out the frames
 * which teachers see obeys it.
 * @agreement: 0..1; @step: of the student, increasing, so that copies of an event count once;
 * @stream: whose frames they were, or NULL for a batch of several.
 */
#define SEED_AGREEMENT_EVENT_NAME "seed-agreement"
GstEvent *seed_agreement_event_new (double agreement, guint64 step, const char *stream);
/* FALSE when it is something else. @stream: NULL for all; lives as long as @event. */
gboolean
seed_agreement_event_parse (GstEvent *event, double *agreement, guint64 *step, const char **stream);

/*
 * "seed-scene-cut": @stream (NULL: every stream) shows something else from now on. An upstream
 * event of whoever notices.
 */
#define SEED_SCENE_CUT_EVENT_NAME "seed-scene-cut"
GstEvent *seed_scene_cut_event_new (const char *stream);
gboolean seed_scene_cut_event_parse (GstEvent *event, const char **stream);

/* Realtime in ns since the epoch. */
gint64 seed_realtime_ns (void);
