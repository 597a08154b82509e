/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "core/event.h"

typedef struct {
  GstElement *element;
  GstHarness *h;
  GstBus *bus;
  char *endpoint;
} Publish;

/* A PLAYING seedpublish with one pad, on a free port unless @properties ("name=value,...") say
 * otherwise. */
static void
publish_start (Publish *publish, const char *caps, const char *properties)
{
  g_autofree char *description = g_strdup_printf (
      "seedpublish name=out graph=lobby endpoint=tcp://127.0.0.1:* health-interval-ms=0 %s",
      properties);
  g_autoptr (GError) error = NULL;

  publish->element = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  publish->bus = gst_bus_new ();
  gst_element_set_bus (publish->element, publish->bus);
  publish->h = gst_harness_new_with_element (publish->element, "sink_0", NULL);
  g_object_get (publish->element, "bound-endpoint", &publish->endpoint, NULL);
  g_assert_nonnull (publish->endpoint);
  gst_harness_set_src_caps_str (publish->h, caps);
}

static void
publish_stop (Publish *publish)
{
  gst_harness_teardown (publish->h);
  gst_element_set_bus (publish->element, NULL);
  gst_bus_set_flushing (publish->bus, TRUE);
  gst_object_unref (publish->bus);
  gst_object_unref (publish->element);
  g_free (publish->endpoint);
}

/* A subscriber that the publisher knows of. */
static void *
publish_subscribe (Publish *publish, const char *prefix)
{
  guint64 before = get_stat (publish->element, "subscriptions");
  void *socket = peer_subscribe (publish->endpoint, prefix);

  await_stat (publish->element, "subscriptions", before + 1);
  return socket;
}

static GstBuffer *
new_report (const char *text)
{
  return gst_buffer_new_wrapped (g_strdup (text), strlen (text));
}

static void
assert_accounts (Publish *publish, const char *stream, guint64 in, guint64 out)
{
  SeedLedgerEntry entry = get_entry (publish->element, stream);

  g_assert_cmpuint (entry.in, ==, in);
  g_assert_cmpuint (entry.out, ==, out);
  g_assert_cmpuint (seed_ledger_entry_in_flight (&entry), ==, 0);
}

static void
assert_item (const Received *received, guint64 frame, guint i, guint64 seq)
{
  const SeedResult *result = &received->result;

  g_assert_cmpuint (result->seq, ==, seq);
  g_assert_cmpstr (result->graph, ==, "lobby");
  g_assert_cmpstr (result->node, ==, "student");
  g_assert_cmpuint (result->frame, ==, frame);
  g_assert_cmpuint (result->pts_ns, ==, frame * GST_MSECOND);
  g_assert_cmpuint (result->capture_ns, ==, 1700000000000000000ull + frame);
  g_assert_cmpuint (result->publish_ns, >, result->capture_ns);
  g_assert_cmpuint (result->n_tensors, ==, 1);
  g_assert_cmpuint (received->n_parts, ==, 3);
  g_assert_cmpint (result->tensors[0].dtype, ==, SEED_DTYPE_F32);
  g_assert_cmpstr (json_object_get_string_member (result->data, "space"), ==, "clip-b16");
  g_assert_cmpint (json_object_has_member (result->data, "label"), ==, i > 0);
  if (i > 0)
    g_assert_cmpint (json_object_get_int_member (result->data, "label"), ==, i - 1);
}

static void
assert_values (const SeedTensor *tensor, guint64 frame, gsize first)
{
  for (gsize i = 0; i < tensor->size / sizeof (float); i++) {
    float value;

    memcpy (&value, (const char *) tensor->data + i * sizeof value, sizeof value);
    g_assert_cmpfloat (value, ==, feature_value (frame, first + i));
  }
}

static void
test_features (void)
{
  Publish publish;
  void *sub;

  publish_start (&publish, FEATURES (8, 4, 3), "kinds=embedding,tokens");
  sub = publish_subscribe (&publish, "");
  gst_harness_push_event (publish.h, seed_model_event_new ("tiny", "", 7));
  for (guint64 batch = 0; batch < 5; batch++)
    g_assert_cmpint (
        gst_harness_push (publish.h, new_features (3, batch * 3, 8, 9 * 4)), ==, GST_FLOW_OK);
  for (guint64 batch = 0; batch < 5; batch++) {
    for (guint i = 0; i < 3; i++) {
      g_autofree char *stem = g_strdup_printf ("lobby/cam%u/", i);
      g_autofree char *embedding_topic = g_strconcat (stem, "embedding/student/", NULL);
      g_autofree char *tokens_topic = g_strconcat (stem, "tokens/student/", NULL);
      g_autoptr (Received) embedding = peer_receive (sub, LIMIT_MS);
      g_autoptr (Received) tokens = peer_receive (sub, LIMIT_MS);
      const SeedTensor *tensor;

      g_assert_cmpstr (embedding->topic, ==, embedding_topic);
      assert_item (embedding, batch * 3 + i, i, batch);
      tensor = seed_result_tensor (&embedding->result, "embedding");
      g_assert_cmpuint (tensor->n_dims, ==, 1);
      g_assert_cmpuint (tensor->shape[0], ==, 8);
      assert_values (tensor, batch * 3, i * 8);
      g_assert_cmpstr (embedding->result.model.name, ==, "tiny");
      g_assert_cmpuint (embedding->result.model.step, ==, 7);

      g_assert_cmpstr (tokens->topic, ==, tokens_topic);
      assert_item (tokens, batch * 3 + i, i, batch);
      tensor = seed_result_tensor (&tokens->result, "tokens");
      g_assert_cmpuint (tensor->n_dims, ==, 2);
      g_assert_cmpuint (tensor->shape[0], ==, 9);
      g_assert_cmpuint (tensor->shape[1], ==, 4);
      assert_values (tensor, batch * 3 + 1000, i * 36);
      g_assert_cmpint (json_object_get_int_member (tokens->result.data, "grid"), ==, 3);
    }
  }
  assert_accounts (&publish, "cam0", 5, 5);
  assert_accounts (&publish, "cam2", 5, 5);
  zmq_close (sub);
  publish_stop (&publish);
}

/* Without "tokens" among the kinds, with frames nobody asked for, and with batches without a
 * result. */
static void
test_kinds (void)
{
  g_autoptr (Received) first = NULL, second = NULL;
  GstBuffer *gap = new_features (2, 1, 8, 0);
  Publish publish;
  void *sub;

  publish_start (&publish, FEATURES (8, 4, 3), "");
  sub = publish_subscribe (&publish, "");
  gst_harness_push (publish.h, new_features (1, 0, 8, 36));
  gst_buffer_remove_all_memory (gap);
  GST_BUFFER_FLAG_SET (gap, GST_BUFFER_FLAG_GAP);
  g_assert_cmpint (gst_harness_push (publish.h, gap), ==, GST_FLOW_OK);
  gst_harness_push (publish.h, new_features (1, 5, 8, 36));
  first = peer_receive (sub, LIMIT_MS);
  second = peer_receive (sub, LIMIT_MS);
  g_assert_cmpuint (first->result.frame, ==, 0);
  g_assert_null (first->result.model.name);
  g_assert_cmpuint (second->result.frame, ==, 5);
  g_assert_cmpuint (second->result.seq, ==, 1);
  assert_accounts (&publish, "cam0", 3, 2);
  g_assert_cmpuint (get_entry (publish.element, "cam0").dropped[SEED_DROP_NOT_CALIBRATED], ==, 1);
  g_assert_cmpuint (get_entry (publish.element, "cam1").dropped[SEED_DROP_NOT_CALIBRATED], ==, 1);
  zmq_close (sub);
  publish_stop (&publish);

  publish_start (&publish, FEATURES (8, 0, 0), "kinds=train");
  gst_harness_push (publish.h, new_features (2, 0, 8, 0));
  g_assert_cmpuint (get_stat (publish.element, "ignored"), ==, 2);
  g_assert_cmpuint (get_stat (publish.element, "sent"), ==, 0);
  assert_accounts (&publish, "cam0", 0, 0);
  publish_stop (&publish);
}

static void
test_reports (void)
{
  g_autoptr (Received) shared = NULL, single = NULL;
  GstBuffer *buffer = new_features (1, 4, 1, 0);
  Publish publish;
  void *sub;

  publish_start (&publish, "application/x-seed-report,kind=train,node=learn", "");
  sub = publish_subscribe (&publish, "lobby/");
  g_assert_cmpint (
      gst_harness_push (publish.h, new_report (" {\"loss\": 0.1, \"step\": 9007199254740993}\n")),
      ==, GST_FLOW_OK);
  shared = peer_receive (sub, LIMIT_MS);
  g_assert_cmpstr (shared->topic, ==, "lobby/-/train/learn/");
  g_assert_cmpuint (shared->result.frame, ==, SEED_RESULT_NONE);
  g_assert_cmpuint (shared->result.n_tensors, ==, 0);
  g_assert_cmpfloat (json_object_get_double_member (shared->result.data, "loss"), ==, 0.1);
  g_assert_cmpint (json_object_get_int_member (shared->result.data, "step"), ==, 9007199254740993);

  gst_harness_set_src_caps_str (
      publish.h, "application/x-seed-report,kind=train,node=learn,per-stream=true");
  gst_buffer_replace_all_memory (buffer,
      gst_memory_new_wrapped (GST_MEMORY_FLAG_READONLY, (gpointer) "{}", 2, 0, 2, NULL, NULL));
  gst_harness_push (publish.h, buffer);
  single = peer_receive (sub, LIMIT_MS);
  g_assert_cmpstr (single->topic, ==, "lobby/cam0/train/learn/");
  g_assert_cmpuint (single->result.frame, ==, 4);
  assert_accounts (&publish, "-", 1, 1);
  assert_accounts (&publish, "cam0", 1, 1);
  zmq_close (sub);
  publish_stop (&publish);
}

static void
test_bad_input (void)
{
  static const struct {
    const char *caps, *text, *error;
  } bad[] = {
    { "application/x-seed-report,kind=train,node=n", "{\"a\":NaN}", "report:1:6" },
    { "application/x-seed-report,kind=train,node=n", "[1]", "one JSON object" },
    { "application/x-seed-report,kind=train,node=n", "", "report:1:1" },
    { "application/x-seed-report,kind=anchors,node=n", "{}", "histogram" },
    { "application/x-seed-report,kind=labels,node=n", "{\"labels\":[1]}", "data.labels" },
    { FEATURES (8, 0, 0), "1234567", "summary" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree char *text = NULL;
    Publish publish;

    publish_start (&publish, bad[i].caps, "");
    g_assert_cmpint (gst_harness_push (publish.h, new_report (bad[i].text)), ==, GST_FLOW_ERROR);
    text = pop_text (publish.bus, GST_MESSAGE_ERROR, 0);
    g_assert_nonnull (text);
    if (i < 5)
      g_assert_nonnull (strstr (text, bad[i].error));
    g_assert_cmpuint (get_entry (publish.element, "-").dropped[SEED_DROP_ERROR], ==, 1);
    assert_accounts (&publish, "-", 1, 0);
    publish_stop (&publish);
  }
}

static void
test_caps_refused (void)
{
  static const char *const bad[] = {
    "application/x-seed-features,summary-dim=8,token-dim=0,grid=0,views=2,batch=1,space=s,node=n",
    "application/x-seed-features,summary-dim=8,token-dim=4,grid=0,views=1,batch=1,space=s,node=n",
    "application/x-seed-features,summary-dim=8,token-dim=0,grid=0,views=1,batch=1,node=n",
    "application/x-seed-report,kind=embedding,node=n",
    "application/x-seed-report,kind=\"Bad kind\",node=n",
    "application/x-seed-report,node=n",
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GstCaps) caps = gst_caps_from_string (bad[i]);
    Publish publish;

    publish_start (&publish, FEATURES (8, 0, 0), "");
    gst_pad_push_event (publish.h->srcpad, gst_event_new_caps (caps));
    g_assert_cmpint (
        gst_harness_push (publish.h, new_features (1, 0, 8, 0)), ==, GST_FLOW_NOT_NEGOTIATED);
    publish_stop (&publish);
  }
}

static void
test_start_refused (void)
{
  static const struct {
    const char *property, *value, *error;
  } bad[] = {
    { "endpoint", "tcp://0.0.0.0:5570", "insecure: true" },
    { "endpoint", "tcp://192.0.2.7:5570", "tcp://192.0.2.7:5570" },
    { "endpoint", "nonsense", "nonsense" },
    { "kinds", "embedding,embeddings",
        "\"embeddings\" is none of embedding, tokens, train, event" },
    { "graph", "Lobby", "\"Lobby\"" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    GstElement *element = gst_element_factory_make ("seedpublish", NULL);
    g_autoptr (GstBus) bus = gst_bus_new ();
    g_autofree char *text = NULL;

    gst_element_set_bus (element, bus);
    g_object_set (element, "endpoint", "tcp://127.0.0.1:*", NULL);
    g_object_set (element, bad[i].property, bad[i].value, NULL);
    g_assert_cmpint (
        gst_element_set_state (element, GST_STATE_PLAYING), ==, GST_STATE_CHANGE_FAILURE);
    text = pop_text (bus, GST_MESSAGE_ERROR, 0);
    g_assert_nonnull (text);
    g_assert_nonnull (strstr (text, bad[i].error));
    gst_element_set_state (element, GST_STATE_NULL);
    gst_element_set_bus (element, NULL);
    gst_object_unref (element);
  }
}

static void
test_in_use (void)
{
  GstElement *second = gst_element_factory_make ("seedpublish", NULL);
  g_autoptr (GstBus) bus = gst_bus_new ();
  g_autofree char *text = NULL;
  Publish publish;

  publish_start (&publish, FEATURES (8, 0, 0), "");
  gst_element_set_bus (second, bus);
  g_object_set (second, "endpoint", publish.endpoint, NULL);
  g_assert_cmpint (gst_element_set_state (second, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
  text = pop_text (bus, GST_MESSAGE_ERROR, 0);
  g_assert_nonnull (text);
  g_assert_nonnull (strstr (text, publish.endpoint));
  g_assert_nonnull (strstr (text, "in use"));
  publish_stop (&publish);

  /* free again: the same element can have it */
  g_assert_cmpint (gst_element_set_state (second, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_SUCCESS);
  gst_element_set_state (second, GST_STATE_NULL);
  gst_element_set_bus (second, NULL);
  gst_object_unref (second);
}

static void
test_late_subscriber (void)
{
  g_autoptr (Received) early = NULL, late = NULL, repeat = NULL, next = NULL;
  void *sub, *late_sub, *other;
  Publish publish;

  publish_start (&publish, "application/x-seed-report,kind=train,node=learn", "");
  sub = publish_subscribe (&publish, "lobby/-/train/");
  gst_harness_push (publish.h, new_report ("{\"step\":1}"));
  gst_harness_push (publish.h, new_report ("{\"step\":2}"));
  for (guint i = 0; i < 2; i++) {
    g_clear_pointer (&early, received_free);
    early = peer_receive (sub, LIMIT_MS);
  }
  g_assert_cmpuint (early->result.seq, ==, 1);

  other = publish_subscribe (&publish, "lobby/-/health/");
  late_sub = publish_subscribe (&publish, "lobby/-/tr");
  late = peer_receive (late_sub, LIMIT_MS);
  g_assert_cmpint (json_object_get_int_member (late->result.data, "step"), ==, 2);
  g_assert_cmpuint (late->result.seq, ==, 1);
  /* everybody gets it, as it was; only once, for the prefix of the other does not match */
  repeat = peer_receive (sub, LIMIT_MS);
  g_assert_cmpuint (repeat->result.seq, ==, 1);
  g_assert_cmpuint (repeat->result.publish_ns, ==, early->result.publish_ns);
  gst_harness_push (publish.h, new_report ("{\"step\":3}"));
  next = peer_receive (sub, LIMIT_MS);
  g_assert_cmpuint (next->result.seq, ==, 2);
  zmq_close (other);
  zmq_close (late_sub);
  zmq_close (sub);
  publish_stop (&publish);
}

/* Waiting */

typedef struct {
  Publish *publish;
  GstFlowReturn flow;
  int done; /* atomic */
} Pusher;

static gpointer
push_one (gpointer data)
{
  Pusher *pusher = data;

  pusher->flow = gst_harness_push (pusher->publish->h, new_features (1, 0, 8, 0));
  g_atomic_int_set (&pusher->done, 1);
  return NULL;
}

static void
test_wait_subscribers (void)
{
  void *subs[3];
  Publish publish;
  Pusher pusher = { .publish = &publish };
  GThread *thread;

  publish_start (&publish, FEATURES (8, 0, 0), "wait-subscribers=3");
  thread = g_thread_new ("push", push_one, &pusher);
  for (guint i = 0; i < 3; i++) {
    g_assert_false (g_atomic_int_get (&pusher.done));
    subs[i] = publish_subscribe (&publish, "lobby/cam0/");
  }
  g_thread_join (thread);
  g_assert_cmpint (pusher.flow, ==, GST_FLOW_OK);
  for (guint i = 0; i < 3; i++) {
    g_autoptr (Received) first = peer_receive (subs[i], LIMIT_MS);

    g_assert_nonnull (first);
    g_assert_cmpuint (first->result.seq, ==, 0);
    zmq_close (subs[i]);
  }
  publish_stop (&publish);
}

/* A flush, and a stop, end the wait. */
static void
test_wait_interrupted (void)
{
  for (guint i = 0; i < 2; i++) {
    Publish publish;
    Pusher pusher = { .publish = &publish };
    gint64 begin = g_get_monotonic_time ();
    GThread *thread;

    publish_start (&publish, FEATURES (8, 0, 0), "wait-subscribers=1");
    thread = g_thread_new ("push", push_one, &pusher);
    while (get_entry (publish.element, "cam0").in == 0)
      g_usleep (1000);
    if (i == 0)
      gst_pad_push_event (publish.h->srcpad, gst_event_new_flush_start ());
    else
      gst_element_set_state (publish.element, GST_STATE_READY);
    g_thread_join (thread);
    g_assert_cmpint (pusher.flow, ==, GST_FLOW_FLUSHING);
    g_assert_cmpuint (get_entry (publish.element, "cam0").dropped[SEED_DROP_FLUSHED], ==, 1);
    assert_accounts (&publish, "cam0", 1, 0);
    g_assert_cmpint (g_get_monotonic_time () - begin, <, 5 * G_TIME_SPAN_SECOND);
    publish_stop (&publish);
  }
}

/* PAUSED holds results back; a new start begins the numbers anew. */
static void
test_states (void)
{
  g_autofree char *endpoint = NULL;
  Publish publish;
  Pusher pusher = { .publish = &publish };
  GThread *thread;
  void *sub;

  publish_start (&publish, FEATURES (8, 0, 0), "");
  sub = publish_subscribe (&publish, "");
  gst_harness_push (publish.h, new_features (1, 0, 8, 0));
  gst_element_set_state (publish.element, GST_STATE_PAUSED);
  thread = g_thread_new ("push", push_one, &pusher);
  while (get_entry (publish.element, "cam0").in < 2)
    g_usleep (1000);
  g_assert_cmpuint (get_stat (publish.element, "sent"), ==, 1);
  gst_element_set_state (publish.element, GST_STATE_PLAYING);
  g_thread_join (thread);
  for (guint64 seq = 0; seq < 2; seq++) {
    g_autoptr (Received) received = peer_receive (sub, LIMIT_MS);
    g_assert_cmpuint (received->result.seq, ==, seq);
  }
  zmq_close (sub);

  gst_element_set_state (publish.element, GST_STATE_READY);
  g_object_get (publish.element, "bound-endpoint", &endpoint, NULL);
  g_assert_null (endpoint);
  gst_element_set_state (publish.element, GST_STATE_PLAYING);
  g_free (publish.endpoint);
  g_object_get (publish.element, "bound-endpoint", &publish.endpoint, NULL);
  sub = publish_subscribe (&publish, "");
  gst_harness_push_event (publish.h, gst_event_new_stream_start ("again"));
  gst_harness_set_src_caps_str (publish.h, FEATURES (8, 0, 0));
  gst_harness_push (publish.h, new_features (1, 9, 8, 0));
  {
    g_autoptr (Received) received = peer_receive (sub, LIMIT_MS);

    g_assert_cmpuint (received->result.seq, ==, 0);
    g_assert_cmpuint (received->result.frame, ==, 9);
  }
  zmq_close (sub);
  publish_stop (&publish);
}

static void
test_event_once (void)
{
  g_autoptr (Received) up = NULL, down = NULL;
  GstEvent *event;
  GstHarness *second;
  Publish publish;
  void *sub;

  publish_start (&publish, FEATURES (8, 0, 0), "");
  second = gst_harness_new_with_element (publish.element, "sink_1", NULL);
  gst_harness_set_src_caps_str (second, FEATURES (8, 0, 0));
  sub = publish_subscribe (&publish, "");
  event = seed_event_new ("stream-up", "cam0", "first frame");
  gst_harness_push_event (publish.h, gst_event_ref (event));
  gst_harness_push_event (second, event);
  gst_harness_push_event (second, seed_event_new ("stream-down", "cam0", ""));
  up = peer_receive (sub, LIMIT_MS);
  down = peer_receive (sub, LIMIT_MS);
  g_assert_cmpstr (up->topic, ==, "lobby/cam0/event/student/");
  g_assert_cmpstr (json_object_get_string_member (up->result.data, "event"), ==, "stream-up");
  g_assert_cmpstr (json_object_get_string_member (up->result.data, "reason"), ==, "first frame");
  g_assert_cmpuint (up->result.capture_ns, >, 1700000000000000000ull);
  g_assert_cmpstr (json_object_get_string_member (down->result.data, "event"), ==, "stream-down");
  g_assert_cmpint (json_object_get_int_member (down->result.data, "id"), ==,
      json_object_get_int_member (up->result.data, "id") + 1);
  g_assert_cmpuint (get_stat (publish.element, "sent"), ==, 2);
  zmq_close (sub);
  gst_harness_teardown (second);
  publish_stop (&publish);
}

static gboolean
has_eos (Publish *publish)
{
  g_autoptr (GstMessage) message = gst_bus_pop_filtered (publish->bus, GST_MESSAGE_EOS);

  return message != NULL;
}

/* EOS of the element is that of its last pad; a pad that goes away counts as ended. */
static void
test_eos (void)
{
  GstHarness *second, *third;
  Publish publish;

  publish_start (&publish, FEATURES (8, 0, 0), "");
  second = gst_harness_new_with_element (publish.element, "sink_1", NULL);
  gst_harness_set_src_caps_str (second, FEATURES (8, 0, 0));
  third = gst_harness_new_with_element (publish.element, "sink_%u", NULL);
  gst_harness_push_event (publish.h, gst_event_new_eos ());
  g_assert_false (has_eos (&publish));
  gst_harness_push_event (second, gst_event_new_eos ());
  g_assert_false (has_eos (&publish));
  gst_harness_teardown (third);
  g_assert_true (has_eos (&publish));
  g_assert_false (has_eos (&publish));

  /* from PAUSED to PLAYING a sink says it again */
  gst_element_set_state (publish.element, GST_STATE_PAUSED);
  gst_element_set_state (publish.element, GST_STATE_PLAYING);
  g_assert_true (has_eos (&publish));

  /* a flush takes it back */
  gst_harness_push_event (second, gst_event_new_flush_start ());
  gst_harness_push_event (second, gst_event_new_flush_stop (TRUE));
  gst_element_set_state (publish.element, GST_STATE_PAUSED);
  gst_element_set_state (publish.element, GST_STATE_PLAYING);
  g_assert_false (has_eos (&publish));
  gst_harness_teardown (second);
  g_assert_true (has_eos (&publish));
  publish_stop (&publish);
}

/* Slow subscribers */

#define LARGE 65536

static void *
slow_subscribe (Publish *publish)
{
  guint64 before = get_stat (publish->element, "subscriptions");
  void *socket = peer_new (ZMQ_SUB);
  int one = 1;

  zmq_setsockopt (socket, ZMQ_RCVHWM, &one, sizeof one);
  zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "lobby/cam0/", 11);
  g_assert_cmpint (zmq_connect (socket, publish->endpoint), ==, 0);
  await_stat (publish->element, "subscriptions", before + 1);
  return socket;
}

/* Pushes until @n messages were dropped; the number of messages pushed. */
static guint64
push_until_dropped (Publish *publish, guint64 n)
{
  guint64 pushed = 0;

  while (get_stat (publish->element, "dropped-queue-full") < n) {
    g_assert_cmpuint (pushed, <, 10000);
    g_assert_cmpint (
        gst_harness_push (publish->h, new_features (1, pushed++, LARGE, 0)), ==, GST_FLOW_OK);
  }
  return pushed;
}

static void
test_slow_subscriber (void)
{
  g_autoptr (Received) health = NULL;
  guint64 pushed, dropped, received = 0;
  Publish publish;
  void *sub, *watch;

  publish_start (&publish, FEATURES (65536, 0, 0), "hwm=2 health-interval-ms=50");
  sub = slow_subscribe (&publish);
  pushed = push_until_dropped (&publish, 20);
  dropped = get_stat (publish.element, "dropped-queue-full");
  g_assert_cmpuint (get_entry (publish.element, "cam0").dropped[SEED_DROP_QUEUE_FULL], ==, dropped);
  assert_accounts (&publish, "cam0", pushed, pushed - dropped);

  watch = publish_subscribe (&publish, "lobby/-/health/");
  do {
    g_clear_pointer (&health, received_free);
    health = peer_receive (watch, LIMIT_MS);
    g_assert_nonnull (health);
    /* the first one may be older than the watcher's connection */
  } while (
      json_object_get_int_member (health->result.data, "dropped_queue_full") < (gint64) dropped ||
      json_object_get_int_member (
          json_object_get_object_member (health->result.data, "subscribers"), "connections") < 2);

  g_assert_cmpint (json_object_get_int_member (
                       json_object_get_object_member (health->result.data, "dropped_topics"),
                       "lobby/cam0/embedding/student/"),
      ==, json_object_get_int_member (health->result.data, "dropped_queue_full"));

  /* what was queued arrives, and the numbers tell what was not */
  for (guint64 expected = 0; expected < pushed - dropped; expected++) {
    g_autoptr (Received) message = peer_receive (sub, LIMIT_MS);

    g_assert_nonnull (message);
    g_assert_cmpuint (message->result.seq, >=, expected);
    g_assert_cmpuint (message->result.frame, ==, message->result.seq);
    received++;
  }
  g_assert_cmpuint (received + dropped, ==, pushed);
  zmq_close (watch);
  zmq_close (sub);
  publish_stop (&publish);
}

/* One that stays full is left behind, and the others get everything again. */
static void
test_set_aside (void)
{
  gint64 end = g_get_monotonic_time () + LIMIT_MS * 1000;
  g_autoptr (Received) received = NULL;
  guint64 frame = 100000;
  void *slow, *healthy;
  Publish publish;

  publish_start (&publish, FEATURES (65536, 0, 0), "hwm=2");
  slow = slow_subscribe (&publish);
  push_until_dropped (&publish, 1);
  healthy = publish_subscribe (&publish, "lobby/");
  while (get_stat (publish.element, "set-aside") == 0) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    gst_harness_push (publish.h, new_features (1, frame++, LARGE, 0));
    g_usleep (5000);
  }
  do { /* some may have fitted in before */
    g_clear_pointer (&received, received_free);
    received = peer_receive (healthy, LIMIT_MS);
    g_assert_nonnull (received);
  } while (received->result.frame < frame - 1);
  for (guint i = 0; i < 5; i++) {
    g_autoptr (Received) next = NULL;

    gst_harness_push (publish.h, new_features (1, frame, LARGE, 0));
    next = peer_receive (healthy, LIMIT_MS);
    g_assert_cmpuint (next->result.frame, ==, frame++);
    g_assert_cmpuint (next->result.seq, ==, received->result.seq + 1 + i);
  }
  zmq_close (slow);
  zmq_close (healthy);
  publish_stop (&publish);
}

/* Health of a pipeline, and its end. */
static void
test_health (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) pipeline = gst_parse_launch (
      "fakesrc name=eye num-buffers=6 sizetype=fixed sizemax=32 filltype=zero "
      "! capsfilter name=mark caps=\"application/x-seed-features,summary-dim=8,token-dim=0,grid=0,"
      "views=1,batch=1,space=s\" ! seedpublish name=out graph=lobby endpoint=tcp://127.0.0.1:* "
      "wait-subscribers=1 health-interval-ms=100000",
      &error);
  g_autoptr (GstElement) out = NULL;
  g_autoptr (GstBus) bus = NULL;
  g_autoptr (GstMessage) eos = NULL;
  g_autoptr (Received) health = NULL, first = NULL;
  g_autofree char *endpoint = NULL;
  JsonObject *element;
  void *sub;

  g_assert_no_error (error);
  out = gst_bin_get_by_name (GST_BIN (pipeline), "out");
  bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  g_assert_cmpint (gst_element_get_state (pipeline, NULL, NULL, LIMIT_MS * GST_MSECOND), ==,
      GST_STATE_CHANGE_SUCCESS);
  g_object_get (out, "bound-endpoint", &endpoint, NULL);
  sub = peer_subscribe (endpoint, "");
  eos = gst_bus_timed_pop_filtered (bus, LIMIT_MS * GST_MSECOND, GST_MESSAGE_EOS);
  g_assert_nonnull (eos);
  first = peer_receive (sub, LIMIT_MS);
  g_assert_cmpstr (first->topic, ==, "lobby/-/embedding/mark/"); /* caps named no node */
  g_assert_cmpuint (first->result.frame, ==, SEED_RESULT_NONE);
  health = peer_receive_topic (sub, "lobby/-/health/out/");
  g_assert_cmpint (json_object_get_int_member (health->result.data, "sent"), ==, 6);
  g_assert_cmpint (json_object_get_int_member (health->result.data, "subscriptions"), ==, 1);
  g_assert_cmpint (json_object_get_int_member (health->result.data, "rss_bytes"), >, 1000000);
  g_assert_cmpuint (
      json_array_get_length (json_object_get_array_member (health->result.data, "elements")), ==,
      1);
  element = json_array_get_object_element (
      json_object_get_array_member (health->result.data, "elements"), 0);
  g_assert_cmpstr (json_object_get_string_member (element, "element"), ==, "out");
  g_assert_cmpstr (json_object_get_string_member (element, "factory"), ==, "seedpublish");
  g_assert_cmpint (json_object_get_int_member (element, "in"), ==, 6);
  g_assert_cmpint (json_object_get_int_member (element, "out"), ==, 6);
  g_assert_cmpint (
      json_object_get_int_member (json_object_get_object_member (element, "busy"), "count"), ==, 6);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  zmq_close (sub);
}

/* An account too large for a header is published without its streams. */
static void
test_health_large (void)
{
  g_autoptr (Received) health = NULL;
  g_autoptr (SeedLedger) ledger = NULL;
  JsonObject *element;
  Publish publish;
  void *sub;

  publish_start (&publish, FEATURES (8, 0, 0), "health-interval-ms=20");
  g_object_get (publish.element, "ledger", &ledger, NULL);
  for (guint i = 0; i < 2000; i++) {
    g_autofree char *stream = g_strdup_printf ("cam%u", i);
    seed_ledger_in (ledger, stream, 1);
  }
  sub = publish_subscribe (&publish, "lobby/-/health/");
  do {
    g_clear_pointer (&health, received_free);
    health = peer_receive (sub, LIMIT_MS);
    element = json_array_get_object_element (
        json_object_get_array_member (health->result.data, "elements"), 0);
  } while (json_object_get_int_member (element, "in") < 2000);
  g_assert_true (json_object_get_boolean_member (health->result.data, "streams_omitted"));
  g_assert_false (json_object_has_member (element, "streams"));
  zmq_close (sub);
  publish_stop (&publish);
}

typedef struct {
  GstHarness *h;
  guint64 n;
} Stream;

static gpointer
push_many (gpointer data)
{
  Stream *stream = data;

  for (guint64 i = 0; i < stream->n; i++)
    g_assert_cmpint (gst_harness_push (stream->h, new_features (1, i, 8, 0)), ==, GST_FLOW_OK);
  return NULL;
}

/* Several streaming threads, one socket: the numbers of a shared topic have no hole. */
static void
test_threads (void)
{
  Stream streams[3] = { 0 };
  GThread *threads[3];
  Publish publish;
  void *sub;

  publish_start (&publish, FEATURES (8, 0, 0), "hwm=10000");
  sub = publish_subscribe (&publish, "");
  for (guint i = 0; i < 3; i++) {
    g_autofree char *pad = g_strdup_printf ("sink_%u", i);

    streams[i].n = 300;
    streams[i].h = i == 0 ? publish.h : gst_harness_new_with_element (publish.element, pad, NULL);
    if (i > 0)
      gst_harness_set_src_caps_str (streams[i].h, FEATURES (8, 0, 0));
  }
  for (guint i = 0; i < 3; i++)
    threads[i] = g_thread_new ("push", push_many, &streams[i]);
  for (guint64 seq = 0; seq < 900; seq++) {
    g_autoptr (Received) received = peer_receive (sub, LIMIT_MS);
    g_assert_cmpuint (received->result.seq, ==, seq);
  }
  for (guint i = 0; i < 3; i++)
    g_thread_join (threads[i]);
  assert_accounts (&publish, "cam0", 900, 900);
  for (guint i = 1; i < 3; i++)
    gst_harness_teardown (streams[i].h);
  zmq_close (sub);
  publish_stop (&publish);
}

/* Peers of an XPUB may send anything. */
static void
test_hostile_subscriber (void)
{
  g_autoptr (Received) received = NULL;
  Publish publish;
  void *hostile, *sub;
  char large[4096] = { 1 };

  publish_start (&publish, FEATURES (8, 0, 0), "");
  hostile = peer_new (ZMQ_XSUB);
  g_assert_cmpint (zmq_connect (hostile, publish.endpoint), ==, 0);
  zmq_send (hostile, "", 0, 0);
  zmq_send (hostile, "\0never", 6, 0);
  zmq_send (hostile, "\2garbage", 8, ZMQ_SNDMORE);
  zmq_send (hostile, "more", 4, 0);
  zmq_send (hostile, "\1lobby/", 7, 0);
  await_stat (publish.element, "subscriptions", 1);
  zmq_send (hostile, large, sizeof large, 0); /* disconnects it */
  sub = peer_subscribe (publish.endpoint, "");
  for (guint64 i = 0; !received; i++) { /* the number of subscriptions falls and rises meanwhile */
    gst_harness_push (publish.h, new_features (1, i, 8, 0));
    received = peer_receive (sub, 10);
    g_assert_cmpuint (i, <, 1000);
  }
  zmq_close (hostile);
  zmq_close (sub);
  publish_stop (&publish);
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  load_plugin ();
  g_test_add_func ("/publish/features", test_features);
  g_test_add_func ("/publish/kinds", test_kinds);
  g_test_add_func ("/publish/reports", test_reports);
  g_test_add_func ("/publish/bad-input", test_bad_input);
  g_test_add_func ("/publish/caps-refused", test_caps_refused);
  g_test_add_func ("/publish/start-refused", test_start_refused);
  g_test_add_func ("/publish/in-use", test_in_use);
  g_test_add_func ("/publish/late-subscriber", test_late_subscriber);
  g_test_add_func ("/publish/wait/subscribers", test_wait_subscribers);
  g_test_add_func ("/publish/wait/interrupted", test_wait_interrupted);
  g_test_add_func ("/publish/states", test_states);
  g_test_add_func ("/publish/event-once", test_event_once);
  g_test_add_func ("/publish/eos", test_eos);
  g_test_add_func ("/publish/slow/counted", test_slow_subscriber);
  g_test_add_func ("/publish/slow/set-aside", test_set_aside);
  g_test_add_func ("/publish/health/pipeline", test_health);
  g_test_add_func ("/publish/health/large", test_health_large);
  g_test_add_func ("/publish/threads", test_threads);
  g_test_add_func ("/publish/hostile-subscriber", test_hostile_subscriber);
  return g_test_run ();
}
