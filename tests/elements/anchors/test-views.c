/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/rng.h>

#include "anchors/views.h"

#define GRID 4
#define N (GRID * GRID)

static void
match_all (const SeedAnchorsView *reference, const SeedAnchorsView *query, gint32 match[N])
{
  guint32 words[N];

  for (guint i = 0; i < N; i++)
    words[i] = i;
  seed_anchors_match (reference, query, GRID, words, N, match);
}

static void
test_same_view (void)
{
  SeedAnchorsView view = { 10, 20, 640, 360, FALSE }, mirrored = { 10, 20, 640, 360, TRUE };
  gint32 match[N];

  match_all (&view, &view, match);
  for (gint32 i = 0; i < N; i++)
    g_assert_cmpint (match[i], ==, i);
  match_all (&mirrored, &mirrored, match);
  for (gint32 i = 0; i < N; i++)
    g_assert_cmpint (match[i], ==, i);
  match_all (&view, &mirrored, match);
  for (gint32 i = 0; i < N; i++)
    g_assert_cmpint (match[i], ==, i / GRID * GRID + GRID - 1 - i % GRID);
  match_all (&mirrored, &view, match);
  for (gint32 i = 0; i < N; i++)
    g_assert_cmpint (match[i], ==, i / GRID * GRID + GRID - 1 - i % GRID);
}

/* The lower right quarter: each 2 x 2 words of it lie in one word of the whole. */
static void
test_quarter (void)
{
  SeedAnchorsView whole = { 0, 0, 1, 1, FALSE }, quarter = { 0.5, 0.5, 0.5, 0.5, FALSE };
  gint32 match[N];

  match_all (&whole, &quarter, match);
  for (gint32 i = 0; i < N; i++) {
    gint32 row = 2 + i / GRID / 2, column = 2 + i % GRID / 2;

    g_assert_cmpint (match[i], ==, row * GRID + column);
  }
  quarter.flip = TRUE;
  match_all (&whole, &quarter, match);
  g_assert_cmpint (match[0], ==, 2 * GRID + 3);
  g_assert_cmpint (match[GRID - 1], ==, 2 * GRID + 2);
}

/* Two crops that overlap in part: words outside of the reference have none. */
static void
test_outside (void)
{
  SeedAnchorsView left = { 0, 0, 100, 100, FALSE }, right = { 50, -25, 100, 100, FALSE };
  gint32 match[N];

  match_all (&left, &right, match);
  for (gint32 i = 0; i < N; i++) {
    gint32 row = i / GRID - 1, column = i % GRID + 2;

    g_assert_cmpint (match[i], ==, row < 0 || column >= GRID ? -1 : row * GRID + column);
  }
}

static void
test_draw (void)
{
  enum { WORDS = 196, KEPT = 49, ROUNDS = 2000 };
  guint32 words[KEPT], again[KEPT];
  guint8 none[KEPT], none_again[KEPT];
  guint seen[WORDS] = { 0 }, dropped[WORDS] = { 0 };

  g_assert_cmpuint (seed_anchors_n_kept (WORDS, SEED_ANCHORS_KEPT), ==, KEPT);
  g_assert_cmpuint (seed_anchors_n_kept (1, SEED_ANCHORS_KEPT), ==, 1);
  g_assert_cmpuint (seed_anchors_n_kept (10, 2), ==, 10);
  for (guint round = 0; round < ROUNDS; round++) {
    guint n_dropped = 0;

    seed_anchors_draw_words (seed_hash (5, round), WORDS, KEPT, SEED_ANCHORS_DROPPED, words, none);
    for (guint i = 0; i < KEPT; i++) {
      g_assert_cmpuint (words[i], <, WORDS);
      g_assert_true (i == 0 || words[i] > words[i - 1]);
      seen[words[i]]++;
      dropped[words[i]] += none[i];
      n_dropped += none[i];
    }
    g_assert_cmpuint (n_dropped, ==, 37); /* 75 % of 49 */
  }
  for (guint i = 0; i < WORDS; i++) { /* 500 +- 5 standard deviations; then 75.5 % of them */
    g_assert_cmpuint (seen[i], >, 400);
    g_assert_cmpuint (seen[i], <, 600);
    g_assert_cmpfloat (dropped[i], >, 0.64 * seen[i]);
    g_assert_cmpfloat (dropped[i], <, 0.87 * seen[i]);
  }
  seed_anchors_draw_words (9, WORDS, KEPT, SEED_ANCHORS_DROPPED, words, none);
  seed_anchors_draw_words (9, WORDS, KEPT, SEED_ANCHORS_DROPPED, again, none_again);
  g_assert_cmpmem (words, sizeof words, again, sizeof again);
  g_assert_cmpmem (none, sizeof none, none_again, sizeof none_again);
  seed_anchors_draw_words (9, WORDS, WORDS > KEPT ? KEPT : WORDS, 0, words, none);
  for (guint i = 0; i < KEPT; i++)
    g_assert_cmpuint (none[i], ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/anchors/views/same", test_same_view);
  g_test_add_func ("/anchors/views/quarter", test_quarter);
  g_test_add_func ("/anchors/views/outside", test_outside);
  g_test_add_func ("/anchors/views/draw", test_draw);
  return g_test_run ();
}
