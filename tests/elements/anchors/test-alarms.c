/* SPDX-License-Identifier: MIT */
#include <seed/error.h>
#include <seed/rng.h>

#include "anchors/alarms.h"

#define K 32
#define N 16
#define IMAGES 16

/* Each word's anchor: a share of @by_position goes by where it is, the others by chance. */
static void
fill (real *assignment, double by_position, SeedRng *rng)
{
  for (guint word = 0; word < IMAGES * N; word++) {
    guint anchor =
        seed_rng_uniform (rng) < by_position ? word % N * 2 : (guint) seed_rng_below (rng, K);

    for (guint k = 0; k < K; k++)
      assignment[word * K + k] = k == anchor ? 0.9f : 0.1f / (K - 1);
  }
}

static SeedAnchorAlarms *
new_alarms (guint window)
{
  g_autoptr (GError) error = NULL;
  SeedAnchorAlarmsConfig config;
  SeedAnchorAlarms *alarms;

  seed_anchor_alarms_config_init (&config, K);
  g_assert_cmpfloat (config.min_perplexity, ==, 100.0 * K / 256);
  config.window = window;
  alarms = seed_anchor_alarms_new (&config, K, N, &error);
  g_assert_no_error (error);
  return alarms;
}

static void
test_healthy (void)
{
  SeedAnchorsLosses losses = { .assignment = 2, .perplexity = 20, .n_matched = 9 };
  g_autoptr (SeedAnchorAlarms) alarms = new_alarms (10);
  real assignment[IMAGES * N * K];
  SeedRng rng;

  seed_rng_init (&rng, 1);
  for (guint step = 0; step < 50; step++) {
    fill (assignment, 0, &rng);
    g_assert_cmpuint (seed_anchor_alarms_update (alarms, &losses, assignment, IMAGES), ==, 0);
  }
  g_assert_cmpfloat (seed_anchor_alarms_get (alarms)->position.adjusted, <, 0.1);
}

static void
test_perplexity (void)
{
  SeedAnchorsLosses losses = { .assignment = 2, .perplexity = 12, .n_matched = 9 };
  g_autoptr (SeedAnchorAlarms) alarms = new_alarms (10);
  real assignment[IMAGES * N * K];
  SeedRng rng;

  seed_rng_init (&rng, 2);
  fill (assignment, 0, &rng);
  g_assert_cmpuint (seed_anchor_alarms_update (alarms, &losses, assignment, IMAGES), ==,
      SEED_ANCHOR_ALARM_PERPLEXITY);
  losses.perplexity = NAN;
  g_assert_cmpuint (seed_anchor_alarms_update (alarms, &losses, assignment, IMAGES), ==,
      SEED_ANCHOR_ALARM_PERPLEXITY);
  losses.perplexity = 13;
  g_assert_cmpuint (seed_anchor_alarms_update (alarms, &losses, assignment, IMAGES), ==, 0);
  g_assert_cmpuint (seed_anchor_alarms_get (alarms)->counts[0], ==, 2);
}

/* A whole window at log K, with nothing better between. */
static void
test_stuck (void)
{
  SeedAnchorsLosses losses = { .assignment = log (K) - 0.01, .perplexity = 30, .n_matched = 9 };
  g_autoptr (SeedAnchorAlarms) alarms = new_alarms (10);
  real assignment[IMAGES * N * K];
  SeedRng rng;

  seed_rng_init (&rng, 3);
  fill (assignment, 0, &rng);
  for (guint step = 0; step < 30; step++) {
    gboolean good = step == 5;

    losses.assignment = log (K) - (good ? 0.06 : 0.01);
    losses.n_matched = step == 12 ? 0 : 9; /* says nothing */
    g_assert_cmpuint (seed_anchor_alarms_update (alarms, &losses, assignment, IMAGES), ==,
        step >= 16 ? SEED_ANCHOR_ALARM_STUCK : 0);
  }
}

static void
test_position (void)
{
  SeedAnchorsLosses losses = { .assignment = 2, .perplexity = 20, .n_matched = 9 };
  g_autoptr (SeedAnchorAlarms) alarms = new_alarms (10);
  real assignment[IMAGES * N * K];
  guint flags = 0;
  SeedRng rng;

  seed_rng_init (&rng, 4);
  for (guint step = 0; step < 20; step++) {
    fill (assignment, 0.95, &rng);
    flags = seed_anchor_alarms_update (alarms, &losses, assignment, IMAGES);
  }
  g_assert_cmpuint (flags, ==, SEED_ANCHOR_ALARM_POSITION);
  for (guint step = 0; step < 40; step++) { /* it ends when the cause does */
    fill (assignment, 0.2, &rng);
    flags = seed_anchor_alarms_update (alarms, &losses, assignment, IMAGES);
  }
  g_assert_cmpuint (flags, ==, 0);
}

static void
test_refused (void)
{
  SeedAnchorsLosses losses = { .assignment = 2, .perplexity = 5, .n_matched = 9 };
  g_autoptr (SeedAnchorAlarms) alarms = new_alarms (10);
  real assignment[IMAGES * N * K];
  SeedRng rng;

  seed_rng_init (&rng, 5);
  fill (assignment, 0, &rng);
  seed_anchor_alarms_update (alarms, &losses, assignment, IMAGES);
  g_assert_cmpuint (seed_anchor_alarms_refused (alarms), ==,
      SEED_ANCHOR_ALARM_PERPLEXITY | SEED_ANCHOR_ALARM_FRAMES);
  losses.perplexity = 20;
  g_assert_cmpuint (seed_anchor_alarms_update (alarms, &losses, assignment, IMAGES), ==, 0);
  g_assert_cmpuint (seed_anchor_alarms_get (alarms)->counts[3], ==, 1);
}

static void
test_names_and_limits (void)
{
  SeedAnchorAlarmsConfig config;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < SEED_ANCHOR_N_ALARMS; i++) {
    g_assert_cmpuint (strlen (seed_anchor_alarm_name ((SeedAnchorAlarm) (1 << i))), >, 0);
    g_assert_cmpuint (strlen (seed_anchor_alarm_text ((SeedAnchorAlarm) (1 << i))), >, 20);
  }
  seed_anchor_alarms_config_init (&config, 256);
  g_assert_cmpfloat (config.min_perplexity, ==, 100);
  config.window = 0;
  g_assert_null (seed_anchor_alarms_new (&config, 256, 64, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/anchors/alarms/healthy", test_healthy);
  g_test_add_func ("/anchors/alarms/perplexity", test_perplexity);
  g_test_add_func ("/anchors/alarms/stuck", test_stuck);
  g_test_add_func ("/anchors/alarms/position", test_position);
  g_test_add_func ("/anchors/alarms/refused", test_refused);
  g_test_add_func ("/anchors/alarms/names-and-limits", test_names_and_limits);
  return g_test_run ();
}
