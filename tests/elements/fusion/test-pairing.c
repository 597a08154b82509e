/* SPDX-License-Identifier: MIT */
#include <seed/error.h>
#include <seed/rng.h>

#include "fusion/pairing.h"

static guint n_freed;

static void
free_part (gpointer part)
{
  n_freed++;
}

static void
put (SeedPairing *p, guint input, guint64 number, gboolean expect_first)
{
  gboolean is_first;

  g_assert_true (seed_pairing_put (p, input, number, GUINT_TO_POINTER (1), &is_first, NULL));
  g_assert_cmpint (is_first, ==, expect_first);
}

static void
expect (SeedPairing *p, guint64 number, guint n_present)
{
  SeedPair *pair = seed_pairing_take (p);

  g_assert_nonnull (pair);
  g_assert_cmpuint (pair->number, ==, number);
  g_assert_cmpuint (pair->n_present, ==, n_present);
  g_assert_nonnull (pair->parts[pair->first]);
  seed_pair_free (pair);
}

static void
test_pairs_in_order (void)
{
  SeedPairing *p = seed_pairing_new (2, free_part);
  guint64 last;

  n_freed = 0;
  g_assert_false (seed_pairing_last (p, 0, &last));
  put (p, 0, 0, TRUE);
  put (p, 0, 1, TRUE);
  g_assert_null (seed_pairing_take (p));
  g_assert_cmpuint (seed_pairing_n_held (p, 0), ==, 2);
  g_assert_true (seed_pairing_holds_up_to (p, 0));
  put (p, 1, 0, FALSE);
  expect (p, 0, 2);
  g_assert_null (seed_pairing_take (p));
  g_assert_false (seed_pairing_holds_up_to (p, 0));
  g_assert_true (seed_pairing_holds_up_to (p, 1));
  put (p, 1, 1, FALSE);
  expect (p, 1, 2);
  g_assert_true (seed_pairing_last (p, 0, &last));
  g_assert_cmpuint (last, ==, 1);
  g_assert_cmpuint (n_freed, ==, 4);
  seed_pairing_free (p);
}

static void
test_what_was_left_out_leaves_alone (void)
{
  SeedPairing *p = seed_pairing_new (3, free_part);

  put (p, 0, 5, TRUE);
  put (p, 1, 7, TRUE); /* 5 and 6 will not come from here */
  g_assert_null (seed_pairing_take (p));
  put (p, 2, 6, TRUE);
  expect (p, 5, 1);                      /* all have passed it */
  g_assert_null (seed_pairing_take (p)); /* input 0 may still bring 6 */
  put (p, 0, 7, FALSE);
  expect (p, 6, 1);
  g_assert_null (seed_pairing_take (p));
  put (p, 2, 7, FALSE);
  expect (p, 7, 3);
  seed_pairing_free (p);
}

static void
test_end (void)
{
  SeedPairing *p = seed_pairing_new (2, free_part);
  gboolean is_first;
  g_autoptr (GError) error = NULL;

  put (p, 0, 0, TRUE);
  seed_pairing_end (p, 1);
  expect (p, 0, 1);
  put (p, 0, 1, TRUE);
  expect (p, 1, 1);
  g_assert_false (seed_pairing_has_ended (p));
  n_freed = 0;
  g_assert_false (seed_pairing_put (p, 1, 2, GUINT_TO_POINTER (1), &is_first, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  g_assert_cmpuint (n_freed, ==, 1);
  seed_pairing_end (p, 0);
  g_assert_true (seed_pairing_has_ended (p));
  seed_pairing_free (p);
}

static void
test_numbers_go_upwards (void)
{
  SeedPairing *p = seed_pairing_new (2, free_part);
  gboolean is_first;
  g_autoptr (GError) error = NULL;

  put (p, 0, 3, TRUE);
  g_assert_false (seed_pairing_put (p, 0, 3, GUINT_TO_POINTER (1), &is_first, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
  n_freed = 0;
  seed_pairing_reset (p);
  g_assert_cmpuint (n_freed, ==, 1);
  put (p, 0, 0, TRUE); /* anew */
  seed_pairing_free (p);
}

/* Whatever is left out and however inputs interleave: every number leaves once, ascending, with all
 * the parts that were given. */
static void
test_random_interleavings (void)
{
  SeedRng rng;

  seed_rng_init (&rng, 5);
  for (guint round = 0; round < 300; round++) {
    enum { INPUTS = 3, NUMBERS = 20 };
    SeedPairing *p = seed_pairing_new (INPUTS, free_part);
    gboolean given[INPUTS][NUMBERS];
    guint next[INPUTS] = { 0 }, n_ended = 0, n_left = 0, expected = 0;
    guint64 above = 0;

    for (guint i = 0; i < INPUTS; i++)
      for (guint k = 0; k < NUMBERS; k++)
        given[i][k] = seed_rng_below (&rng, 4) > 0;
    for (guint k = 0; k < NUMBERS; k++)
      expected += given[0][k] || given[1][k] || given[2][k];

    while (n_ended < INPUTS) {
      guint i = (guint) seed_rng_below (&rng, INPUTS);
      SeedPair *pair;
      gboolean is_first;

      if (next[i] > NUMBERS)
        continue;
      if (next[i] == NUMBERS) {
        seed_pairing_end (p, i);
        n_ended++;
      } else if (given[i][next[i]]) {
        g_assert_true (seed_pairing_put (p, i, next[i], GUINT_TO_POINTER (1), &is_first, NULL));
      }
      next[i]++;
      while ((pair = seed_pairing_take (p))) {
        g_assert_cmpuint (pair->number, >=, above);
        above = pair->number + 1;
        for (guint k = 0; k < INPUTS; k++)
          g_assert_cmpint (pair->parts[k] != NULL, ==, given[k][pair->number]);
        n_left++;
        seed_pair_free (pair);
      }
    }
    g_assert_cmpuint (n_left, ==, expected);
    seed_pairing_free (p);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pairing/order", test_pairs_in_order);
  g_test_add_func ("/pairing/left-out", test_what_was_left_out_leaves_alone);
  g_test_add_func ("/pairing/end", test_end);
  g_test_add_func ("/pairing/upwards", test_numbers_go_upwards);
  g_test_add_func ("/pairing/random", test_random_interleavings);
  return g_test_run ();
}
