/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * Durations counted in fixed buckets, so that histograms of several streams, processes and machines
 * can be added. Pure; not thread-safe.
 *
 * Bucket i holds what took longer than bound i - 1 and at most bound i, the last one the rest.
 */
#define SEED_HISTOGRAM_N_BOUNDS 16

/** Rising, in seconds: 1 ms to 60 s. */
extern const double seed_histogram_bounds_s[SEED_HISTOGRAM_N_BOUNDS];

typedef struct {
  guint64 counts[SEED_HISTOGRAM_N_BOUNDS + 1];
  double sum_s;
} SeedHistogram;

/** Less than 0 (a clock was set back) counts as 0. */
void seed_histogram_add (SeedHistogram *histogram, gint64 ns);

/** How many there are in all buckets. */
guint64 seed_histogram_count (const SeedHistogram *histogram);

G_END_DECLS
