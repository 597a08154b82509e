/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <gst/check/gstharness.h>
#include <seed/stream-meta.h>

#include "graph/queue.h"

#define STREAMS 3

/* A harness around a queue whose consumer takes nothing until it is let. */
typedef struct {
  GstHarness *h;
  SeedGraphQueue *queue;
  gulong block;
  GMutex lock;
  GCond changed;
  guint64 out[STREAMS];
  guint n_out;
  gboolean eos, blocked;
} Fixture;

static void
name_stream (char *name, guint i)
{
  g_snprintf (name, SEED_STREAM_ID_SIZE, "cam%u", i);
}

/* A batch of @n frames: of streams @first, @first + 1, ... */
static GstBuffer *
new_batch (guint first, guint n)
{
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 4, NULL);

  for (guint i = 0; i < n; i++)
    name_stream (seed_buffer_add_stream_meta (buffer)->stream, (first + i) % STREAMS);
  return buffer;
}

static GstPadProbeReturn
on_blocked (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Fixture *f = data;

  if (!GST_IS_BUFFER (GST_PAD_PROBE_INFO_DATA (info)))
    return GST_PAD_PROBE_PASS;
  g_mutex_lock (&f->lock);
  f->blocked = TRUE;
  g_cond_broadcast (&f->changed);
  g_mutex_unlock (&f->lock);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
on_output (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Fixture *f = data;
  gpointer item = GST_PAD_PROBE_INFO_DATA (info), state = NULL;
  SeedStreamMeta *meta;

  g_mutex_lock (&f->lock);
  if (GST_IS_BUFFER (item)) {
    f->n_out++;
    while ((meta = seed_buffer_iterate_stream_meta (item, &state)))
      f->out[meta->stream[3] - '0']++;
  } else if (GST_EVENT_TYPE (item) == GST_EVENT_EOS) {
    f->eos = TRUE;
  }
  g_cond_broadcast (&f->changed);
  g_mutex_unlock (&f->lock);
  return GST_PAD_PROBE_OK;
}

static void
set_up (Fixture *f, guint frames, SeedLeak leak, gboolean block)
{
  g_autoptr (GstPad) src = NULL;

  memset (f, 0, sizeof *f);
  g_mutex_init (&f->lock);
  g_cond_init (&f->changed);
  f->queue = SEED_GRAPH_QUEUE (gst_object_ref_sink (seed_graph_queue_new ("q", frames, leak)));
  src = gst_element_get_static_pad (GST_ELEMENT (f->queue), "src");
  /* Before the harness starts: the first buffer must find the block. */
  if (block)
    f->block = gst_pad_add_probe (
        src, GST_PAD_PROBE_TYPE_BLOCK | GST_PAD_PROBE_TYPE_BUFFER, on_blocked, f, NULL);
  f->h = gst_harness_new_with_element (GST_ELEMENT (f->queue), "sink", "src");
  gst_pad_add_probe (f->h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      on_output, f, NULL);
  gst_harness_set_src_caps_str (f->h, "x/y");
}

static void
tear_down (Fixture *f)
{
  gst_harness_teardown (f->h);
  gst_object_unref (f->queue);
  g_mutex_clear (&f->lock);
  g_cond_clear (&f->changed);
}

/* Waits until @flag, for a limit. */
static void
wait_for (Fixture *f, const gboolean *flag)
{
  gint64 limit = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;

  g_mutex_lock (&f->lock);
  while (!*flag && g_cond_wait_until (&f->changed, &f->lock, limit))
    ;
  g_assert_true (*flag);
  g_mutex_unlock (&f->lock);
}

static void
unblock (Fixture *f)
{
  g_autoptr (GstPad) src = gst_element_get_static_pad (GST_ELEMENT (f->queue), "src");

  gst_pad_remove_probe (src, f->block);
  f->block = 0;
}

typedef struct {
  guint64 in, out, dropped, in_flight;
} Sum;

static Sum
sum_ledger (Fixture *f, SeedDropReason reason)
{
  g_autoptr (GArray) entries = seed_ledger_snapshot (seed_graph_queue_ledger (f->queue));
  Sum sum = { 0 };

  for (guint i = 0; i < entries->len; i++) {
    const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, i);

    sum.in += entry->in;
    sum.out += entry->out;
    sum.dropped += entry->dropped[reason];
    sum.in_flight += seed_ledger_entry_in_flight (entry);
  }
  return sum;
}

/* Batches of 1 to 3 frames into a queue of 4 whose consumer is stuck with the first: who was
 * dropped is known exactly at every moment. */
static void
test_leak (gconstpointer data)
{
  SeedLeak leak = GPOINTER_TO_INT (data);
  const guint n_batches = 60, held = 4;
  guint64 in[STREAMS] = { 0 };
  Fixture f;

  set_up (&f, held, leak, TRUE);
  gst_harness_push (f.h, new_batch (0, 1));
  in[0]++;
  wait_for (&f, &f.blocked);
  for (guint i = 1; i < n_batches; i++) {
    guint first = i % 2, n = 1 + i % 3;
    Sum sum;

    gst_harness_push (f.h, new_batch (first, n));
    for (guint j = 0; j < n; j++)
      in[(first + j) % STREAMS]++;
    sum = sum_ledger (&f, SEED_DROP_QUEUE_FULL);
    g_assert_cmpuint (sum.in, ==, in[0] + in[1] + in[2]);
    g_assert_cmpuint (sum.in, ==, sum.out + sum.dropped + sum.in_flight);
    g_assert_cmpuint (seed_graph_queue_level (f.queue, NULL), ==, MIN (i, held));
    g_assert_cmpuint (sum.out, ==, 1);
  }
  g_assert_cmpuint (sum_ledger (&f, SEED_DROP_QUEUE_FULL).dropped, >, 0);
  gst_harness_push_event (f.h, gst_event_new_eos ());
  unblock (&f);
  wait_for (&f, &f.eos);
  g_assert_cmpuint (f.n_out, ==, 1 + held);

  for (guint i = 0; i < STREAMS; i++) {
    g_autoptr (GArray) entries = seed_ledger_snapshot (seed_graph_queue_ledger (f.queue));
    const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, i);

    g_assert_cmpuint (entry->in, ==, in[i]);
    g_assert_cmpuint (entry->out, ==, f.out[i]);
    g_assert_cmpuint (entry->dropped[SEED_DROP_QUEUE_FULL], ==, in[i] - f.out[i]);
    g_assert_cmpuint (seed_ledger_entry_in_flight (entry), ==, 0);
  }
  tear_down (&f);
}

/* What comes out first tells which end was dropped. */
static void
test_which_end (gconstpointer data)
{
  SeedLeak leak = GPOINTER_TO_INT (data);
  Fixture f;

  set_up (&f, 2, leak, TRUE);
  for (guint i = 0; i < 10; i++) {
    GstBuffer *buffer = new_batch (0, 1);

    GST_BUFFER_OFFSET (buffer) = i;
    gst_harness_push (f.h, buffer);
    if (i == 0)
      wait_for (&f, &f.blocked);
  }
  unblock (&f);
  for (guint i = 0; i < 3; i++) {
    g_autoptr (GstBuffer) buffer = gst_harness_pull (f.h);
    static const guint64 old[] = { 0, 8, 9 }, new[] = { 0, 1, 2 };

    g_assert_cmpuint (GST_BUFFER_OFFSET (buffer), ==, (leak == SEED_LEAK_OLD ? old : new)[i]);
  }
  tear_down (&f);
}

/* Frames are dropped, what is said between them is not. */
static void
test_events_survive_drops (void)
{
  Fixture f;
  guint n = 0;

  set_up (&f, 1, SEED_LEAK_OLD, TRUE);
  gst_harness_push (f.h, new_batch (0, 1));
  wait_for (&f, &f.blocked);
  for (guint i = 0; i < 10; i++) {
    gst_harness_push_event (f.h, gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
                                     gst_structure_new ("note", "i", G_TYPE_UINT, i, NULL)));
    gst_harness_push (f.h, new_batch (0, 1));
  }
  gst_harness_push_event (f.h, gst_event_new_eos ());
  unblock (&f);
  wait_for (&f, &f.eos);
  for (GstEvent *event; (event = gst_harness_try_pull_event (f.h)); gst_event_unref (event)) {
    guint i;

    if (GST_EVENT_TYPE (event) != GST_EVENT_CUSTOM_DOWNSTREAM)
      continue;
    g_assert_true (gst_structure_get_uint (gst_event_get_structure (event), "i", &i));
    g_assert_cmpuint (i, ==, n++);
  }
  g_assert_cmpuint (n, ==, 10);
  g_assert_cmpuint (f.n_out, ==, 2);
  tear_down (&f);
}

static gpointer
push_five (gpointer data)
{
  Fixture *f = data;

  for (guint i = 0; i < 5; i++)
    gst_harness_push (f->h, new_batch (0, 1));
  return NULL;
}

/* A blocking queue lets the producer wait and loses nothing. */
static void
test_blocking (void)
{
  GThread *producer;
  Fixture f;
  guint peak;

  set_up (&f, 2, SEED_LEAK_NONE, TRUE);
  producer = g_thread_new ("producer", push_five, &f);
  wait_for (&f, &f.blocked);
  unblock (&f);
  g_thread_join (producer);
  for (guint i = 0; i < 5; i++)
    gst_buffer_unref (gst_harness_pull (f.h));
  seed_graph_queue_level (f.queue, &peak);
  g_assert_cmpuint (peak, <=, 2);
  g_assert_cmpuint (sum_ledger (&f, SEED_DROP_QUEUE_FULL).out, ==, 5);
  g_assert_cmpuint (sum_ledger (&f, SEED_DROP_QUEUE_FULL).in_flight, ==, 0);
  tear_down (&f);
}

/* Held frames are flushed frames; afterwards the queue works on. */
static void
test_flush (void)
{
  Fixture f;
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  set_up (&f, 8, SEED_LEAK_NONE, TRUE);
  for (guint i = 0; i < 5; i++)
    gst_harness_push (f.h, new_batch (0, 2));
  wait_for (&f, &f.blocked);
  gst_harness_push_event (f.h, gst_event_new_flush_start ());
  gst_harness_push_event (f.h, gst_event_new_flush_stop (TRUE));
  g_assert_cmpuint (sum_ledger (&f, SEED_DROP_FLUSHED).dropped, ==, 8);
  g_assert_cmpuint (sum_ledger (&f, SEED_DROP_FLUSHED).in_flight, ==, 0);
  unblock (&f);
  gst_harness_push_event (f.h, gst_event_new_segment (&segment));
  gst_harness_push (f.h, new_batch (1, 1));
  gst_buffer_unref (gst_harness_pull (f.h));
  g_assert_cmpuint (sum_ledger (&f, SEED_DROP_FLUSHED).in, ==, 11);
  tear_down (&f);
}

static void
test_stop_and_start (void)
{
  Fixture f;
  Sum sum;

  set_up (&f, 8, SEED_LEAK_NONE, TRUE);
  for (guint i = 0; i < 5; i++)
    gst_harness_push (f.h, new_batch (0, 1));
  wait_for (&f, &f.blocked);
  gst_element_set_state (GST_ELEMENT (f.queue), GST_STATE_READY);
  sum = sum_ledger (&f, SEED_DROP_FLUSHED);
  g_assert_cmpuint (sum.in, ==, 5);
  g_assert_cmpuint (sum.dropped, ==, 4);
  g_assert_cmpuint (sum.in_flight, ==, 0);
  tear_down (&f);
}

static gpointer
ask (gpointer data)
{
  Fixture *f = data;
  GstQuery *query = gst_query_new_drain ();

  gst_pad_peer_query (f->h->srcpad, query);
  gst_query_unref (query);
  return NULL;
}

/* A query that queues behind frames holds its caller, but not a flush. */
static void
test_query_does_not_hold_a_flush (void)
{
  GThread *caller;
  Fixture f;

  set_up (&f, 8, SEED_LEAK_NONE, TRUE);
  gst_harness_push (f.h, new_batch (0, 1));
  wait_for (&f, &f.blocked);
  caller = g_thread_new ("caller", ask, &f);
  gst_harness_push_event (f.h, gst_event_new_flush_start ());
  g_thread_join (caller);
  gst_harness_push_event (f.h, gst_event_new_flush_stop (TRUE));
  tear_down (&f);
}

/* A consumer that has ended says so upstream; what is refused never came in. */
static void
test_downstream_ends (void)
{
  Fixture f;
  GstFlowReturn flow = GST_FLOW_OK;
  gint64 limit = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;
  Sum sum;

  set_up (&f, 2, SEED_LEAK_NONE, FALSE);
  gst_pad_set_active (f.h->sinkpad, FALSE);
  while (flow == GST_FLOW_OK && g_get_monotonic_time () < limit)
    flow = gst_harness_push (f.h, new_batch (0, 1));
  g_assert_cmpint (flow, ==, GST_FLOW_FLUSHING);
  sum = sum_ledger (&f, SEED_DROP_FLUSHED);
  g_assert_cmpuint (sum.in, ==, sum.out + sum.dropped);
  tear_down (&f);
}

int
main (int argc, char **argv)
{
  g_autofree char *plugin = NULL;
  g_autoptr (GstPlugin) loaded = NULL;

  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  plugin = g_build_filename (g_getenv ("SEED_BUILD_DIR"), "elements", "libgstseed.so", NULL);
  loaded = gst_plugin_load_file (plugin, NULL);
  g_assert_nonnull (loaded);
  g_test_add_data_func ("/queue/leak/old", GINT_TO_POINTER (SEED_LEAK_OLD), test_leak);
  g_test_add_data_func ("/queue/leak/new", GINT_TO_POINTER (SEED_LEAK_NEW), test_leak);
  g_test_add_data_func ("/queue/which-end/old", GINT_TO_POINTER (SEED_LEAK_OLD), test_which_end);
  g_test_add_data_func ("/queue/which-end/new", GINT_TO_POINTER (SEED_LEAK_NEW), test_which_end);
  g_test_add_func ("/queue/events-survive-drops", test_events_survive_drops);
  g_test_add_func ("/queue/blocking", test_blocking);
  g_test_add_func ("/queue/flush", test_flush);
  g_test_add_func ("/queue/stop", test_stop_and_start);
  g_test_add_func ("/queue/query-and-flush", test_query_does_not_hold_a_flush);
  g_test_add_func ("/queue/downstream-ends", test_downstream_ends);
  return g_test_run ();
}
