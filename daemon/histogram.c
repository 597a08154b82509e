/* SPDX-License-Identifier: MIT */
#include "histogram.h"

const double seed_histogram_bounds_s[SEED_HISTOGRAM_N_BOUNDS] = { 0.001, 0.0025, 0.005, 0.01, 0.025,
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60 };

void
seed_histogram_add (SeedHistogram *histogram, gint64 ns)
{
  double seconds = (double) MAX (ns, 0) / 1e9;
  guint i = 0;

  while (i < SEED_HISTOGRAM_N_BOUNDS && seconds > seed_histogram_bounds_s[i])
    i++;
  histogram->counts[i]++;
  histogram->sum_s += seconds;
}

guint64
seed_histogram_count (const SeedHistogram *histogram)
{
  guint64 count = 0;

  for (guint i = 0; i < G_N_ELEMENTS (histogram->counts); i++)
    count += histogram->counts[i];
  return count;
}
