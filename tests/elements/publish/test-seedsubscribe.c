/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "peer.h"

#include "core/event.h"

typedef struct {
  GstElement *element;
  GstHarness *h;
  GstBus *bus;
} Subscribe;

static void
subscribe_start (Subscribe *subscribe, const char *endpoint, const char *properties)
{
  g_autofree char *description =
      g_strdup_printf ("seedsubscribe name=in endpoint=%s %s", endpoint, properties);
  g_autoptr (GError) error = NULL;

  subscribe->element = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  subscribe->bus = gst_bus_new ();
  gst_element_set_bus (subscribe->element, subscribe->bus);
  subscribe->h = gst_harness_new_with_element (subscribe->element, NULL, "src");
  gst_harness_play (subscribe->h);
}

static void
subscribe_stop (Subscribe *subscribe)
{
  gst_harness_teardown (subscribe->h);
  gst_element_set_bus (subscribe->element, NULL);
  gst_bus_set_flushing (subscribe->bus, TRUE);
  gst_object_unref (subscribe->bus);
  gst_object_unref (subscribe->element);
}

static GstHarness *
publish_start (const char *endpoint, const char *caps, const char *properties, char **bound)
{
  g_autofree char *description =
      g_strdup_printf ("seedpublish graph=lobby endpoint=%s %s", endpoint, properties);
  g_autoptr (GstElement) element = gst_parse_launch (description, NULL);
  GstHarness *h;

  gst_object_ref_sink (element);
  h = gst_harness_new_with_element (element, "sink_0", NULL);
  g_object_get (element, "bound-endpoint", bound, NULL);
  g_assert_nonnull (*bound);
  gst_harness_set_src_caps_str (h, caps);
  return h;
}

static void
assert_caps (GstHarness *h, const char *text)
{
  g_autoptr (GstCaps) expected = gst_caps_from_string (text);
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (h->sinkpad);

  g_assert_nonnull (caps);
  g_test_message ("%s", text);
  g_assert_true (gst_caps_is_equal (caps, expected));
}

/* Item @i of what new_features made, alone in a buffer. */
static void
assert_item (GstBuffer *buffer, guint64 frame, guint i, gsize dim, gsize n_tokens, guint64 offset)
{
  gpointer state = NULL;
  const SeedStreamMeta *meta = seed_buffer_iterate_stream_meta (buffer, &state);
  g_autofree char *stream = g_strdup_printf ("cam%u", i);
  GstMapInfo map;

  g_assert_cmpuint (seed_buffer_n_stream_meta (buffer), ==, 1);
  g_assert_cmpstr (meta->stream, ==, stream);
  g_assert_cmpuint (meta->frame, ==, frame + i);
  g_assert_cmpuint (meta->pts, ==, (frame + i) * GST_MSECOND);
  g_assert_cmpint (
      meta->capture_ns, ==, G_GINT64_CONSTANT (1700000000000000000) + (gint64) (frame + i));
  g_assert_cmpint (meta->label, ==, (gint32) i - 1);
  g_assert_cmpuint (GST_BUFFER_OFFSET (buffer), ==, offset);
  g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, n_tokens ? 2 : 1);
  for (guint m = 0; m < gst_buffer_n_memory (buffer); m++) {
    gsize n = m == 0 ? dim : n_tokens;

    gst_buffer_map_range (buffer, m, 1, &map, GST_MAP_READ);
    g_assert_cmpuint (map.size, ==, n * sizeof (float));
    g_assert_cmpuint ((gsize) map.data % sizeof (float), ==, 0);
    for (gsize j = 0; j < n; j++)
      g_assert_cmpfloat (((float *) map.data)[j], ==, feature_value (frame + m * 1000, i * n + j));
    gst_buffer_unmap (buffer, &map);
  }
}

static void
loopback (
    const char *endpoint, const char *kind, const char *caps, const char *expected, gsize n_tokens)
{
  g_autofree char *bound = NULL, *properties = g_strdup_printf ("topics=lobby/ kind=%s", kind);
  GstHarness *publish =
      publish_start (endpoint, caps, "kinds=embedding,tokens wait-subscribers=1", &bound);
  Subscribe subscribe;
  guint64 offset = 0;

  subscribe_start (&subscribe, bound, properties);
  gst_harness_push_event (publish, seed_model_event_new ("tiny", "", 5));
  for (guint64 batch = 0; batch < 4; batch++)
    gst_harness_push (publish, new_features (3, batch * 3, 6, n_tokens));
  for (guint64 batch = 0; batch < 4; batch++) {
    for (guint i = 0; i < 3; i++) {
      GstBuffer *buffer = gst_harness_pull (subscribe.h);

      g_assert_nonnull (buffer);
      assert_item (buffer, batch * 3, i, 6, strcmp (kind, "tokens") == 0 ? n_tokens : 0, offset++);
      gst_buffer_unref (buffer);
    }
  }
  assert_caps (subscribe.h, expected);
  {
    g_autoptr (GstEvent) event =
        gst_pad_get_sticky_event (subscribe.h->sinkpad, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, 0);
    const char *name, *sha256;
    guint64 step;

    g_assert_nonnull (event);
    g_assert_true (seed_model_event_parse (event, &name, &sha256, &step));
    g_assert_cmpstr (name, ==, "tiny");
    g_assert_cmpuint (step, ==, 5);
  }
  for (guint i = 0; i < 3; i++) {
    g_autofree char *stream = g_strdup_printf ("cam%u", i);
    SeedLedgerEntry entry = get_entry (subscribe.element, stream);

    g_assert_cmpuint (entry.in, ==, 4);
    g_assert_cmpuint (entry.out, ==, 4);
  }
  subscribe_stop (&subscribe);
  gst_harness_teardown (publish);
}

#define ONE(dim, token_dim, grid, node)                                                            \
  "application/x-seed-features,summary-dim=" #dim ",token-dim=" #token_dim ",grid=" #grid          \
  ",views=1,batch=1,space=clip-b16,node=" #node

static void
test_loopback_embedding (void)
{
  loopback ("tcp://127.0.0.1:*", "embedding", FEATURES (6, 2, 2), ONE (6, 0, 0, student), 8);
}

static void
test_loopback_tokens (void)
{
  loopback ("tcp://127.0.0.1:*", "tokens", FEATURES (6, 2, 2), ONE (6, 2, 2, student), 8);
}

/* Both ends in one process share its ZeroMQ context. */
static void
test_loopback_inproc (void)
{
  loopback ("inproc://loopback", "embedding", FEATURES (6, 0, 0), ONE (6, 0, 0, student), 0);
}

static void
test_loopback_ipc (void)
{
  g_autofree char *folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
  g_autofree char *endpoint = g_strdup_printf ("ipc://%s/results", folder);

  loopback (endpoint, "embedding", FEATURES (6, 0, 0), ONE (6, 0, 0, student), 0);
  g_assert_cmpint (remove (endpoint + strlen ("ipc://")), ==, 0);
  g_assert_cmpint (remove (folder), ==, 0);
}

static void
test_loopback_report (void)
{
  static const char text[] = "{\"loss\":0.1,\"step\":9223372036854775807,\"share\":"
                             "[0.5,2.0,5e-300,1e-05]}";
  g_autofree char *bound = NULL;
  GstHarness *publish = publish_start ("tcp://127.0.0.1:*",
      "application/x-seed-report,kind=train,node=learn", "wait-subscribers=1", &bound);
  Subscribe subscribe;
  GstBuffer *buffer;
  GstMapInfo map;

  subscribe_start (&subscribe, bound, "topics=lobby/-/train/"); /* which tells the kind */
  gst_harness_push (publish, gst_buffer_new_wrapped (g_strdup (text), strlen (text)));
  buffer = gst_harness_pull (subscribe.h);
  g_assert_nonnull (buffer);
  assert_caps (
      subscribe.h, "application/x-seed-report,kind=train,node=learn,per-stream=(boolean)false");
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  g_assert_cmpmem (map.data, map.size, text, strlen (text));
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
  subscribe_stop (&subscribe);
  gst_harness_teardown (publish);
}

/* A report with tensors: the JSON is the first memory, the tensors the others. */
static void
test_loopback_anchors (void)
{
  g_autofree char *bound = NULL;
  GstHarness *publish = publish_start ("tcp://127.0.0.1:*",
      "application/x-seed-report,kind=anchors,node=learn,per-stream=true", "wait-subscribers=1",
      &bound);
  Subscribe subscribe;

  subscribe_start (&subscribe, bound, "kind=anchors");
  for (guint maps = 0; maps < 2; maps++) {
    GstBuffer *buffer = new_features (1, 7, 256, maps ? 3 * 4 * 4 : 0);
    GstMapInfo map;

    gst_buffer_prepend_memory (buffer, gst_memory_new_wrapped (GST_MEMORY_FLAG_READONLY,
                                           (gpointer) "{\"grid\":4}", 10, 0, 10, NULL, NULL));
    g_assert_cmpint (gst_harness_push (publish, buffer), ==, GST_FLOW_OK);
    buffer = gst_harness_pull (subscribe.h);
    g_assert_nonnull (buffer);
    g_assert_cmpuint (gst_buffer_n_memory (buffer), ==, 2 + maps);
    gst_buffer_map_range (buffer, 0, 1, &map, GST_MAP_READ);
    g_assert_cmpmem (map.data, map.size, "{\"grid\":4}", 10);
    gst_buffer_unmap (buffer, &map);
    for (guint m = 1; m < 2 + maps; m++) {
      gst_buffer_map_range (buffer, (gint) m, 1, &map, GST_MAP_READ);
      g_assert_cmpuint (map.size, ==, (m == 1 ? 256 : 48) * sizeof (float));
      g_assert_cmpfloat (((float *) map.data)[5], ==, feature_value (m == 1 ? 7 : 1007, 5));
      gst_buffer_unmap (buffer, &map);
    }
    gst_buffer_unref (buffer);
  }
  subscribe_stop (&subscribe);
  gst_harness_teardown (publish);
}

/* A publisher by hand */

typedef struct {
  void *socket;
  char endpoint[128];
} Peer;

/* A bound XPUB with the subscriber connected. */
static void
peer_publish (Peer *peer, Subscribe *subscribe, const char *properties)
{
  gsize size = sizeof peer->endpoint;
  int limit = LIMIT_MS, unlimited = 0;
  char subscription[64];

  peer->socket = peer_new (ZMQ_XPUB);
  zmq_setsockopt (peer->socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
  zmq_setsockopt (peer->socket, ZMQ_RCVTIMEO, &limit, sizeof limit);
  g_assert_cmpint (zmq_bind (peer->socket, "tcp://127.0.0.1:*"), ==, 0);
  zmq_getsockopt (peer->socket, ZMQ_LAST_ENDPOINT, peer->endpoint, &size);
  subscribe_start (subscribe, peer->endpoint, properties);
  g_assert_cmpint (zmq_recv (peer->socket, subscription, sizeof subscription, 0), >, 0);
}

static SeedResult
new_result (const char *node, guint64 seq, const SeedTensor *tensor, JsonObject *data)
{
  SeedResult result = SEED_RESULT_INIT;

  result.graph = "g";
  result.stream = "door";
  result.kind = "embedding";
  result.node = node;
  result.seq = seq;
  result.frame = seq;
  result.publish_ns = 1000 + seq;
  result.n_tensors = tensor ? 1 : 0;
  result.tensors = tensor;
  result.data = data;
  return result;
}

static void
peer_send (Peer *peer, const SeedResult *result)
{
  g_autofree char *topic = seed_wire_build_topic (result, NULL), *header = NULL;
  gsize length;

  header = seed_wire_build_header (result, &length, NULL);
  g_assert_nonnull (header);
  zmq_send (peer->socket, topic, strlen (topic), ZMQ_SNDMORE);
  zmq_send (peer->socket, header, length, result->n_tensors ? ZMQ_SNDMORE : 0);
  for (guint i = 0; i < result->n_tensors; i++)
    zmq_send (peer->socket, result->tensors[i].data, result->tensors[i].size,
        i + 1 < result->n_tensors ? ZMQ_SNDMORE : 0);
}

static const guint32 odd_bits[4] = { 0x7fc12345, 0x80000000, 0x00000001, 0xff800000 };

static SeedTensor
embedding_of (guint64 dim)
{
  return (SeedTensor){ .name = "embedding",
    .dtype = SEED_DTYPE_F32,
    .n_dims = 1,
    .shape = { dim },
    .data = odd_bits,
    .size = dim * 4 };
}

static JsonObject *
space_data (void)
{
  JsonObject *data = json_object_new ();

  json_object_set_string_member (data, "space", "clip-b16");
  return data;
}

static void
peer_send_embedding (Peer *peer, const char *node, guint64 seq, guint64 dim)
{
  SeedTensor tensor = embedding_of (dim);
  g_autoptr (JsonObject) data = space_data ();
  SeedResult result = new_result (node, seq, &tensor, data);

  peer_send (peer, &result);
}

static void
assert_pulled (Subscribe *subscribe, guint64 frame)
{
  GstBuffer *buffer = gst_harness_pull (subscribe->h);
  gpointer state = NULL;

  g_assert_nonnull (buffer);
  g_assert_cmpuint (seed_buffer_iterate_stream_meta (buffer, &state)->frame, ==, frame);
  gst_buffer_unref (buffer);
}

static void
test_bits (void)
{
  Subscribe subscribe;
  GstBuffer *buffer;
  GstMapInfo map;
  Peer peer;

  peer_publish (&peer, &subscribe, "");
  peer_send_embedding (&peer, "n", 0, 4);
  buffer = gst_harness_pull (subscribe.h);
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  g_assert_cmpmem (map.data, map.size, odd_bits, sizeof odd_bits);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

static void
test_renegotiation (void)
{
  Subscribe subscribe;
  Peer peer;

  peer_publish (&peer, &subscribe, "");
  peer_send_embedding (&peer, "n", 0, 4);
  assert_pulled (&subscribe, 0);
  assert_caps (subscribe.h, ONE (4, 0, 0, n));
  peer_send_embedding (&peer, "n", 1, 3);
  assert_pulled (&subscribe, 1);
  assert_caps (subscribe.h, ONE (3, 0, 0, n));
  peer_send_embedding (&peer, "m", 7, 3);
  assert_pulled (&subscribe, 7);
  assert_caps (subscribe.h, ONE (3, 0, 0, m));
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

static void
test_gaps (void)
{
  static const guint64 seqs[] = { 5, 6, 9, 9, 10, 20 }; /* 9 comes twice: a repeat */
  static const guint64 pulled[] = { 5, 6, 9, 10, 20 };
  SeedLedgerEntry entry;
  Subscribe subscribe;
  Peer peer;

  peer_publish (&peer, &subscribe, "");
  for (guint i = 0; i < G_N_ELEMENTS (seqs); i++)
    peer_send_embedding (&peer, "n", seqs[i], 4);
  for (guint i = 0; i < G_N_ELEMENTS (pulled); i++)
    assert_pulled (&subscribe, pulled[i]);
  entry = get_entry (subscribe.element, "door");
  g_assert_cmpuint (entry.in, ==, 5 + 2 + 9);
  g_assert_cmpuint (entry.out, ==, 5);
  g_assert_cmpuint (entry.dropped[SEED_DROP_QUEUE_FULL], ==, 2 + 9);
  g_assert_cmpuint (seed_ledger_entry_in_flight (&entry), ==, 0);
  g_assert_cmpuint (get_stat (subscribe.element, "gaps"), ==, 11);
  g_assert_cmpuint (get_stat (subscribe.element, "repeats"), ==, 1);
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

/* A publisher that comes back: another life, whose numbers begin anew, is no gap and no repeat. */
static void
test_restart (void)
{
  char subscription[64];
  Subscribe subscribe;
  Peer peer;

  peer_publish (&peer, &subscribe, "");
  peer_send_embedding (&peer, "n", 7, 4);
  assert_pulled (&subscribe, 7);
  peer_send_embedding (&peer, "n", 3, 4);  /* older: replayed by somebody, or a repeat */
  peer_send_embedding (&peer, "m", 50, 4); /* every topic counts for itself */
  assert_pulled (&subscribe, 50);
  g_assert_cmpuint (get_stat (subscribe.element, "repeats"), ==, 1);
  for (guint64 life = 1; life <= 2; life++) {
    int limit = LIMIT_MS, off = 0;

    g_assert_cmpint (zmq_unbind (peer.socket, peer.endpoint), ==, 0);
    zmq_setsockopt (peer.socket, ZMQ_LINGER, &off, sizeof off);
    zmq_close (peer.socket);
    peer.socket = peer_new (ZMQ_XPUB);
    zmq_setsockopt (peer.socket, ZMQ_RCVTIMEO, &limit, sizeof limit);
    while (zmq_bind (peer.socket, peer.endpoint) < 0) /* the old socket goes in the background */
      g_assert_cmpint (errno, ==, EADDRINUSE);
    g_assert_cmpint (zmq_recv (peer.socket, subscription, sizeof subscription, 0), >, 0);
    for (guint64 seq = 0; seq < 3; seq += 2) {
      SeedTensor tensor = embedding_of (4);
      g_autoptr (JsonObject) data = space_data ();
      SeedResult result = new_result ("n", seq, &tensor, data);

      result.publish_ns = 100000 * life + seq;
      peer_send (&peer, &result);
      assert_pulled (&subscribe, seq);
    }
  }
  g_assert_cmpuint (get_stat (subscribe.element, "gaps"), ==, 2); /* 1 of each life */
  g_assert_cmpuint (get_stat (subscribe.element, "malformed"), ==, 0);
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

static void
test_filter (void)
{
  Subscribe subscribe;
  Peer peer;

  peer_publish (&peer, &subscribe, "caps=application/x-seed-features,summary-dim=3,node=n");
  peer_send_embedding (&peer, "n", 0, 4);
  peer_send_embedding (&peer, "m", 1, 3);
  peer_send_embedding (&peer, "n", 2, 3);
  assert_pulled (&subscribe, 2);
  g_assert_cmpuint (get_stat (subscribe.element, "ignored"), ==, 2);
  g_assert_cmpuint (get_entry (subscribe.element, "door").in, ==, 1);
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

/* Tokens and embeddings that lost one another. */
static void
test_unpaired (void)
{
  SeedTensor embedding = embedding_of (2), tokens = embedding_of (4);
  g_autoptr (JsonObject) data = space_data ();
  SeedLedgerEntry entry;
  Subscribe subscribe;
  Peer peer;

  tokens.name = "tokens";
  tokens.n_dims = 2;
  tokens.shape[1] = 1;
  json_object_set_int_member (data, "grid", 2);
  peer_publish (&peer, &subscribe, "kind=tokens");
  for (guint64 frame = 0; frame < 4; frame++) {
    SeedResult one = new_result ("n", frame, &embedding, data);
    SeedResult two = new_result ("n", frame, &tokens, data);

    two.kind = "tokens";
    if (frame != 1)
      peer_send (&peer, &one);
    if (frame != 0)
      peer_send (&peer, &two);
  }
  assert_pulled (&subscribe, 2);
  assert_pulled (&subscribe, 3);
  entry = get_entry (subscribe.element, "door");
  g_assert_cmpuint (entry.in, ==, 4); /* 0 and 1 among them */
  g_assert_cmpuint (entry.out, ==, 2);
  g_assert_cmpuint (entry.dropped[SEED_DROP_QUEUE_FULL], ==, 2);
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

/* An embedding that still waits for its tokens is accounted for when the element stops. */
static void
test_held (void)
{
  SeedLedgerEntry entry;
  Subscribe subscribe;
  Peer peer;

  peer_publish (&peer, &subscribe, "kind=tokens");
  peer_send_embedding (&peer, "n", 0, 4);
  while (get_entry (subscribe.element, "door").in == 0)
    g_usleep (1000);
  entry = get_entry (subscribe.element, "door");
  g_assert_cmpuint (seed_ledger_entry_in_flight (&entry), ==, 1);
  gst_element_set_state (subscribe.element, GST_STATE_READY);
  entry = get_entry (subscribe.element, "door");
  g_assert_cmpuint (entry.dropped[SEED_DROP_FLUSHED], ==, 1);
  g_assert_cmpuint (seed_ledger_entry_in_flight (&entry), ==, 0);
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

/* Garbage */

static void
send_parts (Peer *peer, const char *topic, const char *header, guint n_more)
{
  zmq_send (peer->socket, topic, strlen (topic), header ? ZMQ_SNDMORE : 0);
  if (header)
    zmq_send (peer->socket, header, strlen (header), n_more ? ZMQ_SNDMORE : 0);
  for (guint i = 0; i < n_more; i++)
    zmq_send (peer->socket, "1234", 4, i + 1 < n_more ? ZMQ_SNDMORE : 0);
}

/* Well-formed results that are not what their kind promises. */
static guint
send_wrong_kinds (Peer *peer)
{
  g_autoptr (JsonObject) data = space_data (), no_space = json_object_new ();
  g_autoptr (JsonObject) long_space = json_object_new ();
  g_autofree char *text = g_strnfill (300, 's');
  SeedTensor good = embedding_of (4), wrong_name = good, wrong_type = good, wrong_shape = good;
  SeedTensor empty = embedding_of (0);
  SeedResult results[7];

  json_object_set_string_member (long_space, "space", text);
  wrong_name.name = "vector";
  wrong_type.dtype = SEED_DTYPE_I32;
  wrong_shape.n_dims = 2;
  wrong_shape.shape[1] = 1;
  results[0] = new_result ("n", 0, &good, no_space);
  results[1] = new_result ("n", 1, &good, long_space);
  results[2] = new_result ("n", 2, &wrong_name, data);
  results[3] = new_result ("n", 3, &wrong_type, data);
  results[4] = new_result ("n", 4, &wrong_shape, data);
  results[5] = new_result ("n", 5, &empty, data);
  results[6] = new_result ("n", 6, NULL, data);
  for (guint i = 0; i < G_N_ELEMENTS (results); i++)
    peer_send (peer, &results[i]);
  return G_N_ELEMENTS (results);
}

static void
test_hostile (void)
{
  g_autofree char *many = g_strnfill (60000, '['), *text = NULL, *more = NULL;
  SeedLedgerEntry entry;
  Subscribe subscribe;
  guint sent = 0;
  Peer peer;

  peer_publish (&peer, &subscribe, "");
  for (guint round = 0; round < 10; round++) {
    send_parts (&peer, "", NULL, 0);
    send_parts (&peer, "g/door/embedding/n/", NULL, 0);
    send_parts (&peer, "g/door/embedding/n/", "", 0);
    send_parts (&peer, "g/door/embedding/n/", "{}", 1);
    send_parts (&peer, "g/door/embedding/n/", "\xff\xfe", 3);
    send_parts (&peer, "g/door/embedding/n/", many, 1);
    send_parts (&peer, "../../etc/passwd/", "{}", 0);
    send_parts (&peer, "g/door/embedding/n/", "{}", 200);
    sent += 8 + send_wrong_kinds (&peer);
  }
  peer_send_embedding (&peer, "n", 1000, 4);
  assert_pulled (&subscribe, 1000);
  g_assert_cmpuint (get_stat (subscribe.element, "malformed"), ==, sent);
  entry = get_entry (subscribe.element, "-");
  g_assert_cmpuint (entry.in, ==, sent);
  g_assert_cmpuint (entry.dropped[SEED_DROP_ERROR], ==, sent);
  text = pop_text (subscribe.bus, GST_MESSAGE_WARNING, 0);
  g_assert_nonnull (text);
  g_assert_nonnull (strstr (text, "skipped"));
  for (guint warnings = 1; (more = pop_text (subscribe.bus, GST_MESSAGE_WARNING, 0)); warnings++) {
    g_clear_pointer (&more, g_free);
    g_assert_cmpuint (warnings, <, 10); /* one a second, on however slow a machine */
  }
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

/* A publisher may not make us remember topics without end. */
static void
test_many_topics (void)
{
  Subscribe subscribe;
  Peer peer;

  peer_publish (&peer, &subscribe, "hwm=100000");
  for (guint i = 0; i < 5000; i++) {
    g_autofree char *node = g_strdup_printf ("n%u", i);

    peer_send_embedding (&peer, node, i, 1);
    if (i < 4096)
      assert_pulled (&subscribe, i);
  }
  await_stat (subscribe.element, "malformed", 1);
  peer_send_embedding (&peer, "n0", 5000, 1);
  assert_pulled (&subscribe, 5000);
  g_assert_cmpuint (get_stat (subscribe.element, "malformed"), ==, 5000 - 4096);
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

/* A part beyond the limit costs the publisher its connection; the next one is read again. */
static void
test_oversized (void)
{
  g_autofree char *large = g_strnfill (100000, 'x');
  char subscription[64];
  Subscribe subscribe;
  Peer peer;

  peer_publish (&peer, &subscribe, "max-part-bytes=4096 topics=g/");
  zmq_send (peer.socket, "g/", 2, ZMQ_SNDMORE);
  zmq_send (peer.socket, large, 100000, 0);
  do /* its subscription ends, and begins again */
    g_assert_cmpint (zmq_recv (peer.socket, subscription, sizeof subscription, 0), ==, 3);
  while (subscription[0] != 1);
  peer_send_embedding (&peer, "n", 3, 4);
  assert_pulled (&subscribe, 3);
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

/* Stopping does not wait for a message. */
static void
test_unlock (void)
{
  gint64 begin = g_get_monotonic_time ();

  for (guint i = 0; i < 10; i++) {
    Subscribe subscribe;

    subscribe_start (&subscribe, "tcp://127.0.0.1:9", "");
    if (i % 2)
      gst_element_set_state (subscribe.element, GST_STATE_PAUSED);
    gst_element_set_state (subscribe.element, GST_STATE_NULL);
    subscribe_stop (&subscribe);
  }
  g_assert_cmpint (g_get_monotonic_time () - begin, <, 5 * G_TIME_SPAN_SECOND);
}

/* PAUSED and PLAYING again in mid-stream, then a new start. */
static void
test_states (void)
{
  char subscription[8];
  Subscribe subscribe;
  Peer peer;

  peer_publish (&peer, &subscribe, "");
  peer_send_embedding (&peer, "n", 0, 4);
  assert_pulled (&subscribe, 0);
  gst_element_set_state (subscribe.element, GST_STATE_PAUSED);
  gst_element_set_state (subscribe.element, GST_STATE_PLAYING);
  peer_send_embedding (&peer, "n", 1, 4);
  assert_pulled (&subscribe, 1);
  gst_element_set_state (subscribe.element, GST_STATE_READY);
  g_assert_cmpint (zmq_recv (peer.socket, subscription, sizeof subscription, 0), ==, 1);
  gst_element_set_state (subscribe.element, GST_STATE_PLAYING);
  g_assert_cmpint (zmq_recv (peer.socket, subscription, sizeof subscription, 0), ==, 1);
  peer_send_embedding (&peer, "n", 5, 4); /* a late joiner misses nothing */
  assert_pulled (&subscribe, 5);
  g_assert_cmpuint (get_stat (subscribe.element, "gaps"), ==, 0);
  subscribe_stop (&subscribe);
  zmq_close (peer.socket);
}

static void
test_start_refused (void)
{
  static const char *const bad[][2] = {
    { "endpoint", "nonsense" },
    { "endpoint", "udp://127.0.0.1:1" },
    { "kind", "No Kind" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    GstElement *element = gst_element_factory_make ("seedsubscribe", NULL);
    g_autoptr (GstBus) bus = gst_bus_new ();
    g_autofree char *text = NULL;

    gst_element_set_bus (element, bus);
    g_object_set (element, bad[i][0], bad[i][1], NULL);
    g_assert_cmpint (
        gst_element_set_state (element, GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
    text = pop_text (bus, GST_MESSAGE_ERROR, 0);
    g_assert_nonnull (text);
    g_assert_nonnull (strstr (text, bad[i][1]));
    gst_element_set_state (element, GST_STATE_NULL);
    gst_element_set_bus (element, NULL);
    gst_object_unref (element);
  }
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  g_test_init (&argc, &argv, NULL);
  load_plugin ();
  g_test_add_func ("/subscribe/loopback/embedding", test_loopback_embedding);
  g_test_add_func ("/subscribe/loopback/tokens", test_loopback_tokens);
  g_test_add_func ("/subscribe/loopback/inproc", test_loopback_inproc);
  g_test_add_func ("/subscribe/loopback/ipc", test_loopback_ipc);
  g_test_add_func ("/subscribe/loopback/report", test_loopback_report);
  g_test_add_func ("/subscribe/loopback/anchors", test_loopback_anchors);
  g_test_add_func ("/subscribe/bits", test_bits);
  g_test_add_func ("/subscribe/renegotiation", test_renegotiation);
  g_test_add_func ("/subscribe/gaps", test_gaps);
  g_test_add_func ("/subscribe/restart", test_restart);
  g_test_add_func ("/subscribe/filter", test_filter);
  g_test_add_func ("/subscribe/unpaired", test_unpaired);
  g_test_add_func ("/subscribe/held", test_held);
  g_test_add_func ("/subscribe/hostile", test_hostile);
  g_test_add_func ("/subscribe/many-topics", test_many_topics);
  g_test_add_func ("/subscribe/oversized", test_oversized);
  g_test_add_func ("/subscribe/unlock", test_unlock);
  g_test_add_func ("/subscribe/states", test_states);
  g_test_add_func ("/subscribe/start-refused", test_start_refused);
  return g_test_run ();
}
