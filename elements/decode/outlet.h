/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/*
 * A source pad that carries frames of several formats: the events that have to come first, each in
 * its time and in the order that GStreamer wants (stream-start, caps, segment), a caps event before
 * every frame whose format is another than that of the frame before, and frames in a layout that
 * the consumer can read. Belongs to the pad's task.
 */
typedef struct _SeedOutlet SeedOutlet;

/* @pad: a source pad that lives as long. */
SeedOutlet *seed_outlet_new (GstPad *pad);
void seed_outlet_free (SeedOutlet *outlet);

/* A new stream begins with what is pushed next. */
void seed_outlet_reset (SeedOutlet *outlet);

/* The pad was flushed: caps and segment are to be said again. */
void seed_outlet_flushed (SeedOutlet *outlet);

/* What the consumer can read is to be asked again. Any thread. */
void seed_outlet_reconfigure (SeedOutlet *outlet);

/* Pushes @event (taken). */
void seed_outlet_push_event (SeedOutlet *outlet, GstEvent *event);

/* Pushes @buffer (taken), of @caps; @before (taken, may be NULL): an event between caps and buffer.
 */
GstFlowReturn
seed_outlet_push (SeedOutlet *outlet, GstBuffer *buffer, GstCaps *caps, GstEvent *before);

G_END_DECLS
