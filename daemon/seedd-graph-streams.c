/* SPDX-License-Identifier: MIT */
#include "seedd-graph-streams.h"

#include <string.h>

#include "seedd-graph-private.h"
#include "seedd-log.h"

#define MAX_CHANGES 1024u /* of one graph; beyond, they last as long as its process */
#define RETRY_US (G_USEC_PER_SEC / 2)
#define LIMIT_US (30 * G_USEC_PER_SEC)

typedef enum { DONE, REMOVING, ADDING, LOST } Step;

typedef struct {
  char *stream, *node;
  gboolean removed; /* one of the file of that name */
  JsonObject *add;  /* params of stream-add, or NULL */
  Step step;
  gboolean asked; /* its answer is on the way */
  char *reason;   /* why it is not made yet, or lost */
  gint64 due_us, limit_us;
} Change;

struct _SeeddStreams {
  GPtrArray *changes;
  char *sum; /* of the file that the process plays; NULL before the first */
};

static void
change_free (gpointer data)
{
  Change *change = data;

  g_clear_pointer (&change->add, json_object_unref);
  g_free (change->stream);
  g_free (change->node);
  g_free (change->reason);
  g_free (change);
}

SeeddStreams *
seedd_streams_new (void)
{
  SeeddStreams *streams = g_new0 (SeeddStreams, 1);

  streams->changes = g_ptr_array_new_with_free_func (change_free);
  return streams;
}

void
seedd_streams_free (SeeddStreams *streams)
{
  g_ptr_array_unref (streams->changes);
  g_free (streams->sum);
  g_free (streams);
}

void
seedd_streams_forget (SeeddGraph *graph)
{
  g_ptr_array_set_size (graph->streams->changes, 0);
}

/* @node NULL: any */
static Change *
find (const SeeddStreams *streams, const char *stream, const char *node)
{
  for (guint i = 0; i < streams->changes->len; i++) {
    Change *change = g_ptr_array_index (streams->changes, i);

    if (strcmp (change->stream, stream) == 0 && (!node || strcmp (change->node, node) == 0))
      return change;
  }
  return NULL;
}

/* ---- what operators do ---- */

static Change *
find_or_make (SeeddGraph *graph, const char *stream, const char *node)
{
  Change *change = find (graph->streams, stream, node);

  if (change)
    return change;
  if (graph->streams->changes->len >= MAX_CHANGES) {
    seedd_log_about (LOG_WARNING, graph->name, node, stream,
        "too many streams were changed: this change lasts until the graph starts again");
    return NULL;
  }
  change = g_new0 (Change, 1);
  change->stream = g_strdup (stream);
  change->node = g_strdup (node);
  g_ptr_array_add (graph->streams->changes, change);
  return change;
}

static void
copy_member (JsonObject *object, const char *name, JsonNode *node, gpointer to)
{
  json_object_set_member (to, name, json_node_copy (node));
}

static void
note_added (SeeddGraph *graph, JsonObject *params, const char *stream, const char *node)
{
  Change *change = find_or_make (graph, stream, node);

  if (!change)
    return;
  g_clear_pointer (&change->add, json_object_unref);
  change->add = json_object_new ();
  json_object_foreach_member (params, copy_member, change->add);
  json_object_set_string_member (change->add, "node", node);
  change->step = DONE;
}

static void
note_removed (SeeddGraph *graph, const char *stream, const char *node)
{
  Change *change = find (graph->streams, stream, node);

  if (change && !change->removed) {
    g_ptr_array_remove (graph->streams->changes, change);
    return;
  }
  change = find_or_make (graph, stream, node);
  if (!change)
    return;
  g_clear_pointer (&change->add, json_object_unref);
  change->removed = TRUE;
  change->step = DONE;
}

typedef struct {
  SeeddGraph *graph; /* answers all requests before it goes */
  JsonObject *params;
  gboolean add;
  SeeddReply reply;
  gpointer data;
} Order;

/* A stream that waits to be added again: the process does not know it. TRUE when it was forgotten.
 */
static gboolean
forget_pending (const Order *order)
{
  const char *stream = seed_rpc_get_text (order->params, "stream", FALSE, NULL);
  const char *node = seed_rpc_get_text (order->params, "node", FALSE, NULL);
  Change *change = stream ? find (order->graph->streams, stream, node) : NULL;
  g_autoptr (JsonObject) object = NULL;
  g_autoptr (JsonNode) result = NULL;

  if (order->add || !change || !change->add || change->step == DONE)
    return FALSE;
  object = json_object_new ();
  json_object_set_string_member (object, "node", change->node);
  json_object_set_string_member (object, "stream", change->stream);
  result = json_node_init_object (json_node_alloc (), object);
  note_removed (order->graph, change->stream, change->node);
  order->reply (order->data, result, NULL);
  return TRUE;
}

static void
on_order_answered (gpointer data, JsonNode *result, const GError *error)
{
  Order *order = data;
  JsonObject *object =
      result && JSON_NODE_HOLDS_OBJECT (result) ? json_node_get_object (result) : NULL;
  const char *stream = seed_rpc_get_text (object, "stream", FALSE, NULL);
  const char *node = seed_rpc_get_text (object, "node", FALSE, NULL);

  if (stream && node && order->add)
    note_added (order->graph, order->params, stream, node);
  else if (stream && node)
    note_removed (order->graph, stream, node);
  if (!error || !forget_pending (order))
    order->reply (order->data, result, error);
  json_object_unref (order->params);
  g_free (order);
}

void
seedd_streams_request (
    SeeddGraph *graph, const char *method, JsonObject *params, SeeddReply reply, gpointer data)
{
  Order *order = g_new0 (Order, 1);

  order->graph = graph;
  order->params = json_object_ref (params);
  order->add = strcmp (method, "stream-add") == 0;
  order->reply = reply;
  order->data = data;
  seedd_graph_request (graph, method, params, on_order_answered, order);
}

/* ---- another process ---- */

static gboolean
file_has (const SeeddGraph *graph, const char *stream)
{
  const SeedGraph *file = graph->file ? graph->file->graph : NULL;

  for (guint i = 0; file && i < file->streams->len; i++) {
    if (strcmp (((SeedGraphStream *) g_ptr_array_index (file->streams, i))->id, stream) == 0)
      return TRUE;
  }
  return FALSE;
}

/* TRUE when it is another than before. */
static gboolean
note_file (SeeddGraph *graph)
{
  SeeddStreams *streams = graph->streams;
  char *sum = graph->file && graph->file->text
                  ? g_compute_checksum_for_data (
                        G_CHECKSUM_SHA256, (const guchar *) graph->file->text, graph->file->length)
                  : NULL;
  gboolean other = streams->sum && g_strcmp0 (streams->sum, sum) != 0;

  g_free (streams->sum);
  streams->sum = sum;
  return other;
}

void
seedd_streams_note_file (SeeddGraph *graph)
{
  note_file (graph);
}

/* FALSE when nothing of it is left. */
static gboolean
fit_to_file (const SeeddGraph *graph, Change *change, gboolean other_file)
{
  gboolean in_file = file_has (graph, change->stream);

  if (other_file && in_file)
    return FALSE;
  change->removed = change->removed && in_file;
  return change->removed || change->add;
}

void
seedd_streams_restore (SeeddGraph *graph)
{
  GPtrArray *changes = graph->streams->changes;
  gboolean other_file = note_file (graph);
  gint64 now = g_get_monotonic_time ();

  for (guint i = changes->len; i-- > 0;) {
    Change *change = g_ptr_array_index (changes, i);

    if (!fit_to_file (graph, change, other_file)) {
      g_ptr_array_remove_index (changes, i);
      continue;
    }
    change->step = change->removed ? REMOVING : ADDING;
    change->asked = FALSE;
    g_clear_pointer (&change->reason, g_free);
    change->due_us = now;
    change->limit_us = now + LIMIT_US;
  }
}

static void
next_step (SeeddGraph *graph, Change *change)
{
  g_clear_pointer (&change->reason, g_free);
  if (change->step == REMOVING && change->add) {
    change->step = ADDING;
    change->due_us = 0;
    return;
  }
  seedd_log_about (LOG_INFO, graph->name, change->node, change->stream,
      change->add ? "stream added again" : "stream removed again");
  change->step = DONE;
}

static void
not_now (SeeddGraph *graph, Change *change, const char *why)
{
  g_autoptr (JsonObject) details = NULL;
  g_autofree char *text = NULL;

  g_free (change->reason);
  change->reason = g_strdup (why);
  change->due_us = g_get_monotonic_time () + RETRY_US;
  if (change->due_us < change->limit_us)
    return;
  change->step = LOST;
  text = g_strdup_printf ("stream '%s' was %s while the graph ran, which cannot be done again: %s",
      change->stream, change->add ? "added" : "removed", why);
  seedd_log_about (LOG_WARNING, graph->name, change->node, change->stream, text);
  details = json_object_new ();
  json_object_set_string_member (details, "stream", change->stream);
  json_object_set_string_member (details, "stage", change->node);
  seedd_graph_event (graph, "stream-lost", text, details);
}

typedef struct {
  SeeddGraph *graph;
  char *stream, *node;
} Asked;

static void
on_answered (gpointer data, JsonNode *result, const GError *error)
{
  Asked *asked = data;
  Change *change = find (asked->graph->streams, asked->stream, asked->node);

  if (change && change->asked) { /* else it was forgotten meanwhile */
    change->asked = FALSE;
    if (!error || (change->step == REMOVING && error->code == SEED_RPC_ERROR_NO_GRAPH))
      next_step (asked->graph, change);
    else
      not_now (asked->graph, change, error->message);
  }
  g_free (asked->stream);
  g_free (asked->node);
  g_free (asked);
}

static void
ask (SeeddGraph *graph, Change *change)
{
  gboolean add = change->step == ADDING;
  g_autoptr (JsonObject) params = add ? json_object_ref (change->add) : json_object_new ();
  Asked *asked = g_new0 (Asked, 1);

  if (!add) {
    json_object_set_string_member (params, "node", change->node);
    json_object_set_string_member (params, "stream", change->stream);
  }
  asked->graph = graph;
  asked->stream = g_strdup (change->stream);
  asked->node = g_strdup (change->node);
  change->asked = TRUE;
  seedd_graph_request (graph, add ? "stream-add" : "stream-remove", params, on_answered, asked);
}

void
seedd_streams_tick (SeeddGraph *graph)
{
  const GPtrArray *changes = graph->streams->changes;
  gint64 now = g_get_monotonic_time ();

  for (guint i = 0; graph->state == SEEDD_RUNNING && i < changes->len; i++) {
    Change *change = g_ptr_array_index (changes, i);

    if ((change->step == REMOVING || change->step == ADDING) && !change->asked &&
        now >= change->due_us)
      ask (graph, change);
  }
}

/* ---- status ---- */

static const char *
state_of (const Change *change)
{
  return change->step == DONE ? "done" : change->step == LOST ? "lost" : "pending";
}

JsonArray *
seedd_streams_describe (const SeeddGraph *graph)
{
  const GPtrArray *changes = graph->streams->changes;
  JsonArray *array = json_array_new ();

  for (guint i = 0; i < changes->len; i++) {
    const Change *change = g_ptr_array_index (changes, i);
    JsonObject *object = json_object_new ();

    json_object_set_string_member (object, "stream", change->stream);
    json_object_set_string_member (object, "node", change->node);
    json_object_set_string_member (object, "change",
        !change->add      ? "removed"
        : change->removed ? "replaced"
                          : "added");
    json_object_set_string_member (
        object, "state", graph->state == SEEDD_RUNNING ? state_of (change) : "pending");
    if (change->reason)
      json_object_set_string_member (object, "reason", change->reason);
    else
      json_object_set_null_member (object, "reason");
    json_array_add_object_element (array, object);
  }
  return array;
}
