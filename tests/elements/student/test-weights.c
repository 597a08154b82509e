/* SPDX-License-Identifier: MIT */
#include "student/weights.h"

static const SeedStudentShape shape = { .embed_dim = 4 };

static SeedWeights *
version (guint64 step)
{
  float value = (float) step;

  return seed_weights_new (&value, 1, step, NULL);
}

static void
advance (SeedWeightsHub *hub, guint n_items, guint64 step)
{
  g_autoptr (SeedWeights) weights = step ? version (step) : NULL;

  seed_weights_hub_advance (hub, n_items, weights);
}

static SeedWeightsHub *
open_hub (void)
{
  SeedWeightsHub *hub = seed_weights_hub_new ();
  g_autoptr (SeedWeights) first = version (0);
  SeedStudentShape unknown;

  g_assert_false (seed_weights_hub_get_shape (hub, &unknown));
  seed_weights_hub_open (hub, &shape, first);
  g_assert_true (seed_weights_hub_get_shape (hub, &unknown));
  return hub;
}

static guint64
next_step (SeedWeightsFollower *follower)
{
  g_autoptr (SeedWeights) weights = seed_weights_follower_next (follower);

  g_assert_nonnull (weights);
  return weights->step;
}

static void
test_latest (void)
{
  g_autoptr (SeedWeightsHub) hub = open_hub ();
  g_autoptr (SeedWeightsFollower) follower = NULL;

  g_assert_false (seed_weights_hub_has_followers (hub));
  follower = seed_weights_follower_new (hub, FALSE);
  g_assert_true (seed_weights_hub_has_followers (hub));
  g_assert_cmpuint (next_step (follower), ==, 0);
  advance (hub, 4, 1);
  advance (hub, 4, 2);
  g_assert_cmpuint (next_step (follower), ==, 2);
  advance (hub, 4, 0); /* a batch without a new version */
  g_assert_cmpuint (next_step (follower), ==, 2);
}

static void
test_in_step (void)
{
  g_autoptr (SeedWeightsHub) hub = open_hub ();
  g_autoptr (SeedWeightsFollower) follower = seed_weights_follower_new (hub, TRUE);
  static const guint64 expected[] = { 0, 0, 0, 0, 0, 0, 2, 2, 2, 3 };

  /* the learner is far ahead; the follower still gets what was due at each frame */
  seed_weights_hub_set_batch (hub, 3);
  advance (hub, 3, 0);
  advance (hub, 3, 2);
  advance (hub, 3, 3);
  advance (hub, 3, 4);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmpuint (next_step (follower), ==, expected[i]);
}

/* Behind a memory: batches of four with two or three live frames. A version is due a batch of
 * frames after its batch began, whatever the learner is through with by then. */
static void
test_in_step_behind_a_memory (void)
{
  static const guint live[] = { 4, 2, 2, 3, 0, 2 };
  static const guint64 expected[] = { 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 6 };

  for (guint ahead = 0; ahead < 2; ahead++) {
    g_autoptr (SeedWeightsHub) hub = open_hub ();
    g_autoptr (SeedWeightsFollower) follower = seed_weights_follower_new (hub, TRUE);
    guint done = 0, began = 0;

    seed_weights_hub_set_batch (hub, 4);
    for (guint frame = 0; frame < 15; frame++) {
      /* far ahead, or no further than it must be */
      while (done < G_N_ELEMENTS (live) && (ahead == 0 || began + 4 <= frame)) {
        advance (hub, live[done], done + 1);
        began += live[done++];
      }
      g_assert_cmpuint (next_step (follower), ==, expected[frame]);
    }
  }
}

typedef struct {
  SeedWeightsFollower *follower;
  guint64 steps[7];
  gint served; /* atomic */
  gboolean got_null;
} Reader;

static gpointer
read_frames (gpointer data)
{
  Reader *reader = data;

  for (guint i = 0; i < G_N_ELEMENTS (reader->steps); i++) {
    g_autoptr (SeedWeights) weights = seed_weights_follower_next (reader->follower);

    if (!weights) {
      reader->got_null = TRUE;
      break;
    }
    reader->steps[i] = weights->step;
    g_atomic_int_inc (&reader->served);
  }
  return NULL;
}

static void
test_in_step_waits (void)
{
  g_autoptr (SeedWeightsHub) hub = open_hub ();
  g_autoptr (SeedWeightsFollower) follower = seed_weights_follower_new (hub, TRUE);
  Reader reader = { .follower = follower };
  static const guint64 expected[] = { 0, 0, 1, 1, 2, 2, 2 };
  GThread *thread = g_thread_new ("reader", read_frames, &reader);

  /* two frames of the first version at the most, whatever the threads do */
  seed_weights_hub_set_batch (hub, 2);
  while (g_atomic_int_get (&reader.served) < 2)
    g_thread_yield ();
  g_assert_cmpint (g_atomic_int_get (&reader.served), ==, 2);
  advance (hub, 2, 1);
  advance (hub, 2, 2);
  seed_weights_hub_close (hub);
  g_thread_join (thread);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmpuint (reader.steps[i], ==, expected[i]);
}

static void
test_interrupt (void)
{
  g_autoptr (SeedWeightsHub) hub = open_hub ();
  g_autoptr (SeedWeightsFollower) follower = seed_weights_follower_new (hub, TRUE);
  Reader reader = { .follower = follower };
  GThread *thread = g_thread_new ("reader", read_frames, &reader);

  while (g_atomic_int_get (&reader.served) < 1)
    g_thread_yield ();
  seed_weights_follower_set_interrupted (follower, TRUE);
  g_thread_join (thread);
  g_assert_true (reader.got_null);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/weights/latest", test_latest);
  g_test_add_func ("/weights/in-step", test_in_step);
  g_test_add_func ("/weights/in-step-behind-a-memory", test_in_step_behind_a_memory);
  g_test_add_func ("/weights/in-step-waits", test_in_step_waits);
  g_test_add_func ("/weights/interrupt", test_interrupt);
  return g_test_run ();
}
