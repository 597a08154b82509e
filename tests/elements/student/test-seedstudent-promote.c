/* SPDX-License-Identifier: MIT */
#include <gst/check/gstharness.h>
#include <seed/rng.h>
#include <seed/stream-meta.h>
#include <string.h>

#include "learner-stand.h"
#include "remove-tree.h"
#include "student/weights.h"

static GError *
act (Learner *learner, const char *action)
{
  GError *error = NULL;

  g_signal_emit_by_name (learner->student, action, &error);
  return error;
}

static void
assert_done (Learner *learner, const char *action)
{
  g_autoptr (GError) error = act (learner, action);

  g_assert_no_error (error);
}

static SeedWeights *
served (Learner *learner)
{
  g_autoptr (SeedWeightsHub) hub = NULL;

  g_object_get (learner->student, "weights-hub", &hub, NULL);
  return seed_weights_hub_get (hub);
}

/* Waits for the next seed-event of a name. */
static GstEvent *
wait_for_event (Learner *learner, const char *name)
{
  for (;;) {
    GstEvent *event = gst_harness_pull_event (learner->words);
    const GstStructure *s = event ? gst_event_get_structure (event) : NULL;

    g_assert_nonnull (event);
    if (s && gst_structure_has_name (s, "seed-event") &&
        g_strcmp0 (gst_structure_get_string (s, "event"), name) == 0)
      return event;
    gst_event_unref (event);
  }
}

static void
assert_event (Learner *learner, const char *name, guint64 step, gboolean has_sum)
{
  g_autoptr (GstEvent) event = wait_for_event (learner, name);
  const GstStructure *s = gst_event_get_structure (event);
  guint64 said;

  g_assert_true (gst_structure_get_uint64 (s, "step", &said));
  g_assert_cmpuint (said, ==, step);
  g_assert_cmpuint (strlen (gst_structure_get_string (s, "sha256")), ==, has_sum ? 64 : 0);
}

static void
learn_two (Learner *learner, guint64 *number)
{
  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (push_batch (learner, (*number)++, BATCH), ==, GST_FLOW_OK);
}

static void
assert_same (SeedWeights *a, SeedWeights *b)
{
  g_assert_cmpuint (a->step, ==, b->step);
  g_assert_cmpmem (
      a->values, a->n_values * sizeof (float), b->values, b->n_values * sizeof (float));
}

/* Promotes three versions, goes back twice, and no further. */
static void
check_actions (const char *properties, gboolean has_folder)
{
  SeedWeights *versions[3] = { NULL };
  g_autoptr (SeedWeights) now = NULL;
  g_autoptr (GError) error = NULL;
  guint64 number = 0;
  Learner learner;

  learner_start (&learner, properties);
  for (guint i = 0; i < 3; i++) {
    learn_two (&learner, &number);
    assert_done (&learner, "promote");
    versions[i] = served (&learner);
    g_assert_cmpuint (versions[i]->step, ==, number);
    assert_event (&learner, "promoted", number, has_folder);
  }
  for (guint i = 2; i-- > 0;) {
    assert_done (&learner, "rollback");
    g_clear_pointer (&now, seed_weights_unref);
    now = served (&learner);
    assert_same (now, versions[i]);
    assert_event (&learner, "rolled-back", 2 * (i + 1), has_folder);
    learn_two (&learner, &number); /* learning goes on, what serves does not */
    g_clear_pointer (&now, seed_weights_unref);
    now = served (&learner);
    assert_same (now, versions[i]);
  }
  error = act (&learner, "rollback");
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, "keep"));
  learner_stop (&learner);
  for (guint i = 0; i < 3; i++)
    seed_weights_unref (versions[i]);
}

static void
test_actions_in_memory (void)
{
  check_actions ("promote=manual", FALSE);
}

static void
test_actions_with_folder (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-promote-XXXXXX", NULL);
  g_autofree char *properties = g_strdup_printf ("promote=manual checkpoint=%s", folder);

  check_actions (properties, TRUE);
  remove_tree (folder);
}

typedef struct {
  Learner *learner;
  gint stop; /* atomic */
  guint n;
} Busybody;

static gpointer
meddle (gpointer data)
{
  Busybody *busybody = data;

  while (!g_atomic_int_get (&busybody->stop)) {
    g_autoptr (GError) error = act (busybody->learner, busybody->n++ % 3 ? "promote" : "rollback");

    g_assert_true (!error || strstr (error->message, "keep"));
  }
  return NULL;
}

/* From another thread, as fast as it can, while batches flow. */
static void
test_actions_while_streaming (void)
{
  Learner learner;
  Busybody busybody = { &learner, 0, 0 };
  GThread *thread;

  learner_start (&learner, "promote=always");
  g_assert_cmpint (push_batch (&learner, 0, BATCH), ==, GST_FLOW_OK);
  thread = g_thread_new ("busybody", meddle, &busybody);
  for (guint64 i = 1; i < 25; i++)
    g_assert_cmpint (push_batch (&learner, i, BATCH), ==, GST_FLOW_OK);
  g_atomic_int_set (&busybody.stop, 1);
  g_thread_join (thread);
  g_assert_cmpuint (busybody.n, >, 0);
  learner_stop (&learner);
}

static void
test_actions_refused (void)
{
  g_autoptr (GstElement) student = gst_element_factory_make ("seedstudent", NULL);
  Learner learner = { .student = gst_object_ref_sink (student) };
  g_autoptr (GError) promote = act (&learner, "promote"), rollback = act (&learner, "rollback");

  g_assert_nonnull (promote);
  g_assert_nonnull (rollback);
  g_assert_nonnull (strstr (promote->message, "mode train"));
}

static guint64
resume_at (Learner *learner, const char *stream)
{
  g_autoptr (GstQuery) query = gst_query_new_custom (
      GST_QUERY_CUSTOM, gst_structure_new ("seed-resume", "stream", G_TYPE_STRING, stream, NULL));
  guint64 frame = 0;

  gst_pad_peer_query (learner->words->srcpad, query);
  g_assert_true (gst_structure_get_uint64 (gst_query_get_structure (query), "frame", &frame));
  return frame;
}

/* A learner says where its sources are to go on; one that starts anew, at the beginning. */
static void
test_cursor (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-promote-XXXXXX", NULL);
  g_autofree char *properties = g_strdup_printf ("checkpoint=%s", folder);
  Learner learner;

  learner_start (&learner, properties);
  g_assert_cmpuint (resume_at (&learner, "cam"), ==, 0);
  for (guint64 i = 0; i < 3; i++)
    push_batch (&learner, i, BATCH);
  learner_stop (&learner);
  learner_start (&learner, properties);
  g_assert_cmpuint (resume_at (&learner, "cam"), ==, 3 * BATCH);
  g_assert_cmpuint (resume_at (&learner, "other"), ==, 0);
  learner_stop (&learner);
  remove_tree (folder);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  gst_object_unref (gst_plugin_load_by_name ("seed"));
  g_test_add_func ("/student-promote/in-memory", test_actions_in_memory);
  g_test_add_func ("/student-promote/with-folder", test_actions_with_folder);
  g_test_add_func ("/student-promote/while-streaming", test_actions_while_streaming);
  g_test_add_func ("/student-promote/refused", test_actions_refused);
  g_test_add_func ("/student-promote/cursor", test_cursor);
  return g_test_run ();
}
