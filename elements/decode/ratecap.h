/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Thins a stream to at most so many frames a second of its own time. Time is cut into slots of
 * 1/fps from the first frame; the first frame of a slot is kept. A millisecond is forgiven, so that
 * rounded timestamps do not lose frames of a stream that is exactly at the cap. Time that goes
 * backwards (a loop, a new session) starts over. Plain data, not thread-safe.
 */
typedef struct {
  double fps; /* 0: keeps everything */
  gboolean started;
  guint64 base_ns, last_ns;
  guint64 slot; /* of the last frame kept */
} SeedRateCap;

/** @fps: frames a second, 0 or more. */
void seed_rate_cap_init (SeedRateCap *cap, double fps);

/** Whether the frame at @time_ns is kept. Frames in order of time. */
gboolean seed_rate_cap_keep (SeedRateCap *cap, guint64 time_ns);

G_END_DECLS
