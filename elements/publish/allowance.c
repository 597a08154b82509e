/* SPDX-License-Identifier: MIT */
#include "publish/allowance.h"

/* A longer silence forgives no more; keeps the product below in range. */
#define MAX_ELAPSED_US G_TIME_SPAN_DAY

gboolean
seed_bucket_fill (SeedBucket *bucket, const SeedAllowance *allowance, guint64 total, gint64 now_us)
{
  guint64 elapsed = (guint64) CLAMP (now_us - bucket->at_us, 0, MAX_ELAPSED_US);
  guint64 forgiven = elapsed * allowance->rate / G_USEC_PER_SEC;

  bucket->level -= MIN (bucket->level, forgiven);
  if (total > bucket->total)
    bucket->level += total - bucket->total;
  bucket->total = total;
  bucket->at_us = now_us;
  return bucket->level <= allowance->burst;
}
