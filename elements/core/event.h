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
} SeedEvent;

/* A new event with the next id and the current time. */
GstEvent *seed_event_new (const char *event, const char *stream, const char *reason);

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

/* Realtime in ns since the epoch. */
gint64 seed_realtime_ns (void);
