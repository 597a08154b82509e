/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

#include "decode/internal.h"

#define GST_CAT_DEFAULT seed_decode_debug

/* Enough to hide the hand-over between threads, little enough to keep memory and latency small. */
#define QUEUED_FRAMES 4
/* Most sources are down within a few ms; one that hangs goes on doing so on its own. */
#define CLOSE_WAIT_US (500 * 1000)

GPtrArray *
seed_decode_ref_running (SeedDecode *self)
{
  GPtrArray *copy = g_ptr_array_new_with_free_func ((GDestroyNotify) seed_decode_stream_unref);

  GST_OBJECT_LOCK (self);
  for (guint i = 0; self->running && i < self->running->len; i++)
    g_ptr_array_add (copy, seed_decode_stream_ref (g_ptr_array_index (self->running, i)));
  GST_OBJECT_UNLOCK (self);
  return copy;
}

GPtrArray *
seed_decode_read_specs (SeedDecode *self, GError **error)
{
  g_autofree char *uri = NULL, *stream = NULL, *streams = NULL;
  GPtrArray *specs;

  GST_OBJECT_LOCK (self);
  uri = g_strdup (self->uri);
  stream = g_strdup (self->stream);
  streams = g_strdup (self->streams);
  GST_OBJECT_UNLOCK (self);

  if ((uri != NULL) == (streams != NULL)) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
        uri ? "both uri and streams are set; set one of them"
            : "neither uri nor streams is set; set uri for one stream, streams for several");
    return NULL;
  }
  if (streams)
    return seed_stream_specs_parse (streams, error);
  if (!seed_stream_id_is_valid (stream)) {
    g_set_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
        "stream \"%s\" is not a stream id; use 1 to 63 of a-z, 0-9 and -", stream ? stream : "");
    return NULL;
  }
  specs = g_ptr_array_new_with_free_func ((GDestroyNotify) seed_stream_spec_free);
  g_ptr_array_add (specs, seed_stream_spec_new (stream, uri, -1));
  return specs;
}

gboolean
seed_decode_is_live (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = seed_decode_ref_running (self), specs = NULL;

  for (guint i = 0; i < running->len; i++) {
    if (seed_decode_stream_is_live (g_ptr_array_index (running, i)))
      return TRUE;
  }
  if (running->len > 0)
    return FALSE;
  specs = seed_decode_read_specs (self, NULL);
  for (guint i = 0; specs && i < specs->len; i++) {
    if (seed_stream_spec_is_live (g_ptr_array_index (specs, i)))
      return TRUE;
  }
  return FALSE;
}

/* --- the minder ------------------------------------------------------------------------------- */

static void
wake_minder (gpointer data)
{
  SeedDecode *self = data;

  g_mutex_lock (&self->minder_lock);
  self->minder_is_due = TRUE;
  g_cond_signal (&self->minder_cond);
  g_mutex_unlock (&self->minder_lock);
}

/* When the first of the streams is due next: ms, or -1. */
static gint64
work_on_streams (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = seed_decode_ref_running (self);
  gint64 next = -1;

  for (guint i = 0; i < running->len; i++) {
    gint64 due = seed_decode_stream_work (g_ptr_array_index (running, i), GST_BIN (self));

    if (due >= 0)
      next = next < 0 ? due : MIN (next, due);
  }
  return next;
}

static gpointer
mind (gpointer data)
{
  SeedDecode *self = data;

  g_mutex_lock (&self->minder_lock);
  while (!self->minder_stops) {
    gint64 next;

    self->minder_is_due = FALSE;
    g_mutex_unlock (&self->minder_lock);
    next = work_on_streams (self);
    g_mutex_lock (&self->minder_lock);
    while (!self->minder_is_due && !self->minder_stops) {
      if (next < 0)
        g_cond_wait (&self->minder_cond, &self->minder_lock);
      else if (!g_cond_wait_until (&self->minder_cond, &self->minder_lock, next * 1000))
        break;
    }
  }
  g_mutex_unlock (&self->minder_lock);
  return NULL;
}

static void
stop_minder (SeedDecode *self)
{
  g_mutex_lock (&self->minder_lock);
  self->minder_stops = TRUE;
  g_cond_signal (&self->minder_cond);
  g_mutex_unlock (&self->minder_lock);
  g_clear_pointer (&self->minder, g_thread_join);
}

/* --- what happens to streams ------------------------------------------------------------------ */

/* Whether all have ended and none gave a frame: then the task posts an error. */
static gboolean
is_hopeless (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = seed_decode_ref_running (self);

  for (guint i = 0; i < running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (running, i);

    if (!seed_decode_stream_has_ended (stream) || seed_decode_stream_get_kept (stream) > 0)
      return FALSE;
  }
  return TRUE;
}

static void
on_stream_warns (SeedDecodeStream *stream, const char *reason, gboolean tries_again, gpointer data)
{
  SeedDecode *self = data;
  const char *id = seed_decode_stream_get_id (stream);

  if (!tries_again && is_hopeless (self))
    return;
  GST_ELEMENT_WARNING_WITH_DETAILS (self, STREAM, FAILED,
      ("%s: stream \"%s\" failed: %s (%s)", GST_OBJECT_NAME (self), id, reason,
          tries_again ? "it is tried again; other streams go on" : "other streams go on"),
      (NULL),
      ("stream", G_TYPE_STRING, id, "reason", G_TYPE_STRING, reason, "tries-again", G_TYPE_BOOLEAN,
          tries_again, NULL));
}

static void
on_stream_live (gpointer data)
{
  gst_element_post_message (GST_ELEMENT (data), gst_message_new_latency (GST_OBJECT (data)));
}

/* Under the control lock. NULL: the pad has ended. */
static SeedDecodeStream *
start_stream (SeedDecode *self, const SeedStreamSpec *given)
{
  SeedDecodeStreamCallbacks callbacks = { on_stream_warns, wake_minder, on_stream_live, self };
  SeedStreamSpec spec = *given;
  SeedDecodeStream *stream;

  GST_OBJECT_LOCK (self);
  spec.max_fps = spec.max_fps < 0 ? self->max_fps : spec.max_fps;
  GST_OBJECT_UNLOCK (self);
  stream = seed_decode_stream_new (&spec, self->lanes, QUEUED_FRAMES, self->ledger, &callbacks);
  if (!stream)
    return NULL;
  seed_decode_stream_set_state (stream, GST_ELEMENT (self), self->target);
  GST_OBJECT_LOCK (self);
  g_ptr_array_add (self->running, stream);
  GST_OBJECT_UNLOCK (self);
  return stream;
}

void
seed_decode_open_streams (SeedDecode *self)
{
  gboolean in_turns;

  GST_OBJECT_LOCK (self);
  in_turns = self->deterministic;
  self->running = g_ptr_array_new_with_free_func ((GDestroyNotify) seed_decode_stream_unref);
  GST_OBJECT_UNLOCK (self);
  g_mutex_lock (&self->control);
  self->lanes = seed_lanes_new (QUEUED_FRAMES, in_turns);
  self->target = GST_STATE_PAUSED;
  for (guint i = 0; i < self->specs->len; i++)
    start_stream (self, g_ptr_array_index (self->specs, i));
  self->said = g_hash_table_new (NULL, NULL);
  self->is_over = FALSE;
  self->n_delivered = 0;
  seed_outlet_reset (self->outlet);
  self->open = TRUE;
  self->minder_is_due = self->minder_stops = FALSE;
  self->minder = g_thread_new ("seed-decode", mind, self);
  g_mutex_unlock (&self->control);
}

void
seed_decode_close_streams (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = NULL;
  gint64 end = g_get_monotonic_time () + CLOSE_WAIT_US;

  g_mutex_lock (&self->control);
  self->open = FALSE;
  g_mutex_unlock (&self->control);
  stop_minder (self);
  seed_lanes_stop (self->lanes);

  GST_OBJECT_LOCK (self);
  running = g_steal_pointer (&self->running);
  GST_OBJECT_UNLOCK (self);
  for (guint i = 0; i < running->len; i++)
    seed_decode_stream_shut_down (g_ptr_array_index (running, i), GST_BIN (self));
  for (guint i = 0; i < running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (running, i);

    if (!seed_decode_stream_wait_closed (stream, end))
      GST_INFO_OBJECT (self, "%s is slow to close", seed_decode_stream_get_id (stream));
  }
  seed_decode_drop_queued (self);
  g_clear_pointer (&self->lanes, seed_lanes_free);
  g_clear_pointer (&self->said, g_hash_table_unref);
}

void
seed_decode_set_streams_state (SeedDecode *self, GstState state)
{
  g_autoptr (GPtrArray) running = NULL;

  g_mutex_lock (&self->control);
  self->target = state;
  running = seed_decode_ref_running (self);
  for (guint i = 0; i < running->len; i++)
    seed_decode_stream_set_state (g_ptr_array_index (running, i), GST_ELEMENT (self), state);
  g_mutex_unlock (&self->control);
}

void
seed_decode_drain (SeedDecode *self)
{
  g_autoptr (GPtrArray) running = seed_decode_ref_running (self);

  for (guint i = 0; i < running->len; i++)
    seed_decode_stream_end (g_ptr_array_index (running, i), "asked to end", FALSE);
  g_mutex_lock (&self->control);
  if (self->open)
    seed_lanes_finish (self->lanes);
  g_mutex_unlock (&self->control);
}

/* --- adding and removing ---------------------------------------------------------------------- */

static guint
find_spec (const SeedDecode *self, const char *name)
{
  guint i = 0;

  while (i < self->specs->len &&
         !g_str_equal (((SeedStreamSpec *) g_ptr_array_index (self->specs, i))->id, name))
    i++;
  return i;
}

/* A reference, or NULL. */
static SeedDecodeStream *
find_running (SeedDecode *self, const char *name)
{
  SeedDecodeStream *found = NULL;

  GST_OBJECT_LOCK (self);
  for (guint i = 0; !found && self->running && i < self->running->len; i++) {
    SeedDecodeStream *stream = g_ptr_array_index (self->running, i);

    if (g_str_equal (seed_decode_stream_get_id (stream), name))
      found = seed_decode_stream_ref (stream);
  }
  GST_OBJECT_UNLOCK (self);
  return found;
}

/* The notation of the property streams is the judge of names and options. */
static SeedStreamSpec *
make_spec (const char *name, const char *uri, const GstStructure *options, GError **error)
{
  g_autoptr (GstStructure) all =
      options ? gst_structure_copy (options) : gst_structure_new_empty ("stream");
  g_autoptr (GPtrArray) specs = NULL;
  g_autofree char *text = NULL;

  if (!name || !seed_stream_id_is_valid (name)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "\"%s\" is not a stream id; use 1 to 63 of a-z, 0-9 and -", name ? name : "");
    return NULL;
  }
  if (!uri || !gst_uri_is_valid (uri)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "stream \"%s\": its uri is not a URI; for a file write file:///full/path/of/the.mp4", name);
    return NULL;
  }
  gst_structure_set_name (all, "stream");
  gst_structure_set (all, "id", G_TYPE_STRING, name, "uri", G_TYPE_STRING, uri, NULL);
  text = gst_structure_to_string (all);
  specs = seed_stream_specs_parse (text, error);
  return specs ? seed_stream_spec_copy (g_ptr_array_index (specs, 0)) : NULL;
}

/* Under the control lock. */
static gboolean
admit (SeedDecode *self, const SeedStreamSpec *spec, GError **error)
{
  g_autoptr (SeedDecodeStream) leaving = find_running (self, spec->id);

  if (!self->specs) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "the element is not running; set its property streams");
    return FALSE;
  }
  if (find_spec (self, spec->id) < self->specs->len) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "there is a stream \"%s\" already; remove it first, or give another name", spec->id);
    return FALSE;
  }
  if (leaving) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "a stream \"%s\" was removed and is not gone yet; wait for its stream-down", spec->id);
    return FALSE;
  }
  if (self->specs->len >= SEED_STREAMS_MAX) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "there are %d streams already; use several decode stages", SEED_STREAMS_MAX);
    return FALSE;
  }
  return TRUE;
}

GError *
seed_decode_add_stream (
    SeedDecode *self, const char *name, const char *uri, const GstStructure *options)
{
  GError *error = NULL;
  SeedStreamSpec *spec = make_spec (name, uri, options, &error);
  gboolean live = spec && seed_stream_spec_is_live (spec), added = FALSE;

  if (!spec)
    return error;
  g_mutex_lock (&self->control);
  if (admit (self, spec, &error)) {
    added = !self->open || start_stream (self, spec);
    if (!added)
      g_set_error (&error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
          "every stream has ended, and the pad with them; start the element again");
  }
  if (added)
    g_ptr_array_add (self->specs, g_steal_pointer (&spec));
  g_mutex_unlock (&self->control);
  seed_stream_spec_free (spec);
  if (added) {
    wake_minder (self);
    if (live)
      on_stream_live (self);
  }
  return error;
}

GError *
seed_decode_remove_stream (SeedDecode *self, const char *name)
{
  g_autoptr (SeedDecodeStream) stream = NULL;
  GError *error = NULL;
  guint index;

  g_mutex_lock (&self->control);
  index = self->specs && name ? find_spec (self, name) : 0;
  if (!self->specs || !name || index == self->specs->len) {
    g_set_error (&error, SEED_ERROR, SEED_ERROR_NOT_FOUND, "there is no stream \"%s\" to remove",
        name ? name : "");
  } else {
    g_ptr_array_remove_index (self->specs, index);
    stream = find_running (self, name);
  }
  g_mutex_unlock (&self->control);
  if (!stream)
    return error;
  seed_decode_stream_end (stream, "removed", TRUE);
  if (seed_decode_stream_part (stream, SEED_DECODE_REMOVED))
    seed_decode_stream_is_gone (self, stream);
  return NULL;
}

void
seed_decode_stream_is_gone (SeedDecode *self, SeedDecodeStream *stream)
{
  seed_decode_stream_shut_down (stream, GST_BIN (self));
  GST_OBJECT_LOCK (self);
  if (self->running)
    g_ptr_array_remove (self->running, stream);
  GST_OBJECT_UNLOCK (self);
}

GstSample *
seed_decode_snapshot (SeedDecode *self, const char *name)
{
  g_autoptr (SeedDecodeStream) stream = name ? find_running (self, name) : NULL;

  return stream ? seed_decode_stream_snapshot (stream) : NULL;
}
