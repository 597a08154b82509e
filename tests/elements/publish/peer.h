/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the tests of both elements share: raw ZeroMQ peers that know nothing of the elements, and
 * features with values that tell where they come from. Everything that waits has a limit.
 */
#include <errno.h>
#include <string.h>
#include <zmq.h>

#include <gst/check/gstharness.h>
#include <seed/ledger.h>
#include <seed/stream-meta.h>

#include "publish/wire.h"

#define LIMIT_MS (1000 * SEED_TEST_WAIT_S)

typedef struct {
  guint n_parts;
  zmq_msg_t messages[SEED_WIRE_MAX_PARTS];
  SeedResult result;
  char *topic;
} Received;

static inline void
received_free (Received *received)
{
  seed_result_clear (&received->result);
  for (guint i = 0; i < received->n_parts; i++)
    zmq_msg_close (&received->messages[i]);
  g_free (received->topic);
  g_free (received);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Received, received_free)

static inline void *
peer_context (void)
{
  static void *context;

  if (!context)
    context = zmq_ctx_new ();
  return context;
}

static inline void *
peer_new (int type)
{
  void *socket = zmq_socket (peer_context (), type);
  int linger = 0;

  g_assert_nonnull (socket);
  zmq_setsockopt (socket, ZMQ_LINGER, &linger, sizeof linger);
  return socket;
}

/* A subscriber that takes everything that begins with @prefix. */
static inline void *
peer_subscribe (const char *endpoint, const char *prefix)
{
  void *socket = peer_new (ZMQ_SUB);

  g_assert_cmpint (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, prefix, strlen (prefix)), ==, 0);
  g_assert_cmpint (zmq_connect (socket, endpoint), ==, 0);
  return socket;
}

/* A well-formed message, or NULL when none comes in time. */
static inline Received *
peer_receive (void *socket, int limit_ms)
{
  g_autoptr (Received) received = g_new0 (Received, 1);
  SeedWirePart parts[SEED_WIRE_MAX_PARTS];
  g_autoptr (GError) error = NULL;
  gboolean more = TRUE;

  zmq_setsockopt (socket, ZMQ_RCVTIMEO, &limit_ms, sizeof limit_ms);
  while (more) {
    zmq_msg_t *message = &received->messages[received->n_parts];

    g_assert_cmpuint (received->n_parts, <, SEED_WIRE_MAX_PARTS);
    zmq_msg_init (message);
    if (zmq_msg_recv (message, socket, 0) < 0) {
      g_assert_cmpint (errno, ==, EAGAIN);
      zmq_msg_close (message);
      return NULL;
    }
    parts[received->n_parts].data = zmq_msg_data (message);
    parts[received->n_parts].size = zmq_msg_size (message);
    received->n_parts++;
    more = zmq_msg_more (message);
  }
  seed_wire_parse (parts, received->n_parts, &received->result, &error);
  g_assert_no_error (error);
  received->topic = g_strndup (parts[0].data, parts[0].size);
  return g_steal_pointer (&received);
}

/* The next message of @topic, passing over others. */
static inline Received *
peer_receive_topic (void *socket, const char *topic)
{
  for (guint i = 0; i < 10000; i++) {
    g_autoptr (Received) received = peer_receive (socket, LIMIT_MS);

    g_assert_nonnull (received);
    if (strcmp (received->topic, topic) == 0)
      return g_steal_pointer (&received);
  }
  g_assert_not_reached ();
}

/* Features */

static inline float
feature_value (guint64 frame, gsize i)
{
  return (float) frame + (float) i / 1024;
}

static inline GstMemory *
new_floats (gsize n, guint64 frame)
{
  GstMemory *memory = gst_allocator_alloc (NULL, n * sizeof (float), NULL);
  GstMapInfo map;

  gst_memory_map (memory, &map, GST_MAP_WRITE);
  for (gsize i = 0; i < n; i++)
    ((float *) map.data)[i] = feature_value (frame, i);
  gst_memory_unmap (memory, &map);
  return memory;
}

/* @n frames of streams cam0, cam1, ... in turn, numbered from @frame; @dim values each, and
 * @n_tokens in a second memory when not 0. */
static inline GstBuffer *
new_features (guint n, guint64 frame, gsize dim, gsize n_tokens)
{
  GstBuffer *buffer = gst_buffer_new ();

  gst_buffer_append_memory (buffer, new_floats (n * dim, frame));
  if (n_tokens)
    gst_buffer_append_memory (buffer, new_floats (n * n_tokens, frame + 1000));
  for (guint i = 0; i < n; i++) {
    SeedStreamMeta *meta = seed_buffer_add_stream_meta (buffer);

    g_snprintf (meta->stream, sizeof meta->stream, "cam%u", i);
    meta->frame = frame + i;
    meta->pts = (frame + i) * GST_MSECOND;
    meta->capture_ns = G_GINT64_CONSTANT (1700000000000000000) + (gint64) (frame + i);
    meta->label = (gint32) i - 1;
  }
  return buffer;
}

#define FEATURES(dim, token_dim, grid)                                                             \
  "application/x-seed-features,summary-dim=" #dim ",token-dim=" #token_dim ",grid=" #grid          \
  ",views=1,batch=16,space=clip-b16,node=student"

/* Elements */

static inline GstStructure *
get_stats (gpointer element)
{
  GstStructure *stats;

  g_object_get (element, "stats", &stats, NULL);
  return stats;
}

static inline guint64
get_stat (gpointer element, const char *name)
{
  GstStructure *stats = get_stats (element);
  guint64 value;

  g_assert_true (gst_structure_get_uint64 (stats, name, &value));
  gst_structure_free (stats);
  return value;
}

/* Waits until a number in the statistics is at least @value. */
static inline void
await_stat (gpointer element, const char *name, guint64 value)
{
  gint64 end = g_get_monotonic_time () + LIMIT_MS * 1000;

  while (get_stat (element, name) < value) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (1000);
  }
}

/* The account of a stream, all zero when there is none. */
static inline SeedLedgerEntry
get_entry (gpointer element, const char *stream)
{
  g_autoptr (SeedLedger) ledger = NULL;
  g_autoptr (GArray) entries = NULL;
  SeedLedgerEntry found = { 0 };

  g_object_get (element, "ledger", &ledger, NULL);
  entries = seed_ledger_snapshot (ledger);
  for (guint i = 0; i < entries->len; i++) {
    if (strcmp (g_array_index (entries, SeedLedgerEntry, i).stream, stream) == 0)
      found = g_array_index (entries, SeedLedgerEntry, i);
  }
  found.stream = NULL; /* the ledger may be gone */
  return found;
}

/* The text of the next message of @type on @bus, or NULL. */
static inline char *
pop_text (GstBus *bus, GstMessageType type, GstClockTime limit)
{
  g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (bus, limit, type);
  g_autoptr (GError) error = NULL;

  if (!message)
    return NULL;
  if (type == GST_MESSAGE_WARNING)
    gst_message_parse_warning (message, &error, NULL);
  else
    gst_message_parse_error (message, &error, NULL);
  return g_strdup (error->message);
}

static inline void
load_plugin (void)
{
  GstPlugin *plugin = gst_plugin_load_by_name ("seed");

  g_assert_nonnull (plugin);
  gst_object_unref (plugin);
}
