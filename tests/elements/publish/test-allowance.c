/* SPDX-License-Identifier: MIT */
#include "publish/allowance.h"

#define SECOND G_USEC_PER_SEC

static const SeedAllowance allowance = { .burst = 1000, .rate = 100 };
/* Clocks do not begin with 0. */
static const gint64 begin = 123456789;

static void
test_burst (void)
{
  SeedBucket bucket = { 0, 0, 0 };

  g_assert_true (seed_bucket_fill (&bucket, &allowance, 1000, begin));
  g_assert_true (seed_bucket_fill (&bucket, &allowance, 1000, begin));
  g_assert_false (seed_bucket_fill (&bucket, &allowance, 1001, begin));
  g_assert_false (seed_bucket_fill (&bucket, &allowance, 1001, begin));
}

/* The rate is allowed for ever, looked at however often, and no more than it. */
static void
test_rate (void)
{
  static const gint64 ticks[] = { SECOND / 20, SECOND };

  for (guint i = 0; i < G_N_ELEMENTS (ticks); i++) {
    SeedBucket fair = { 0, 0, 0 }, greedy = { 0, 0, 0 };
    guint64 step = (guint64) (ticks[i] * 100 / SECOND), sent = 0;
    guint n;

    for (n = 0; n < 100000 / step; n++)
      g_assert_true (seed_bucket_fill (&fair, &allowance, 1000 + n * step, begin + n * ticks[i]));
    for (n = 0; seed_bucket_fill (&greedy, &allowance, sent, begin + n * ticks[i]); n++)
      sent += step + 1;
    g_assert_cmpuint (n, <=, 1001);
    g_assert_cmpuint (n, >=, 1000 - step);
  }
}

static void
test_silence (void)
{
  SeedBucket bucket = { 0, 0, 0 };

  g_assert_true (seed_bucket_fill (&bucket, &allowance, 1000, begin));
  g_assert_true (seed_bucket_fill (&bucket, &allowance, 1000, begin + 10 * SECOND));
  g_assert_true (seed_bucket_fill (&bucket, &allowance, 2000, begin + 10 * SECOND));
  /* a burst is not saved up */
  g_assert_true (seed_bucket_fill (&bucket, &allowance, 2000, begin + 1000 * SECOND));
  g_assert_false (seed_bucket_fill (&bucket, &allowance, 3001, begin + 1000 * SECOND));
}

/* Nothing overflows, and a count that went back is no reason to complain. */
static void
test_extremes (void)
{
  SeedBucket bucket = { 0, 0, 0 };

  g_assert_true (seed_bucket_fill (&bucket, &allowance, 0, G_MAXINT64));
  g_assert_true (seed_bucket_fill (&bucket, &allowance, 0, 0));
  g_assert_false (seed_bucket_fill (&bucket, &allowance, G_MAXUINT64, 0));
  g_assert_false (seed_bucket_fill (&bucket, &allowance, 5, SECOND));
  bucket = (SeedBucket){ 0, 0, 0 };
  g_assert_true (seed_bucket_fill (&bucket, &allowance, 500, begin));
  g_assert_true (seed_bucket_fill (&bucket, &allowance, 5, begin));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/allowance/burst", test_burst);
  g_test_add_func ("/allowance/rate", test_rate);
  g_test_add_func ("/allowance/silence", test_silence);
  g_test_add_func ("/allowance/extremes", test_extremes);
  return g_test_run ();
}
