/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

/*
 * "seed-resume": where a source is to go on. A query that a source sends downstream before its
 * first frame, once for each stream; every learner behind it that was resumed offers the number of
 * the first frame that it has not consumed, and lets the query pass on to others. The smallest
 * offer counts: what a learner has seen already it sees again rather than miss anything.
 */
#define SEED_RESUME_QUERY_NAME "seed-resume"

/* What the learners behind the source pad @src want as the first frame of @stream; 0: from the
 * start. Call it when everything downstream has pads that are active: in READY -> PAUSED, or later.
 */
guint64 seed_resume_ask (GstPad *src, const char *stream);

/*
 * "seed-repeat": whether a learner behind @src begins a run again of which it has no checkpoint
 * yet. What was fitted in that run before its first step (a whitening) may have been saved all the
 * same: then those frames are to be passed over again, so that the second run is like the first.
 */
#define SEED_REPEAT_QUERY_NAME "seed-repeat"
gboolean seed_resume_repeats (GstPad *src);
gboolean seed_resume_is_repeat_query (GstQuery *query);

/* The stream a query asks about, or NULL when it is another query. */
const char *seed_resume_query_stream (GstQuery *query);
void seed_resume_query_offer (GstQuery *query, guint64 frame);
