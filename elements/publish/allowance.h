/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * How much somebody may send: a burst at once, and a rate for good (a leaky bucket: what was sent
 * fills it, time empties it). Does no I/O; not thread-safe.
 */
typedef struct {
  guint64 burst; /* bytes */
  guint64 rate;  /* bytes a second */
} SeedAllowance;

/** One sender's account; all zeros is a new one. */
typedef struct {
  guint64 total, level; /* bytes: sent in all, and not yet forgiven */
  gint64 at_us;         /* of the last call */
} SeedBucket;

/**
 * @total: bytes that were sent since the begin, at @now_us (monotonic). FALSE when that is more
 * than is allowed.
 */
gboolean
seed_bucket_fill (SeedBucket *bucket, const SeedAllowance *allowance, guint64 total, gint64 now_us);

G_END_DECLS
