/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>

#include "publish/health.h"

static void
set_count (JsonObject *object, const char *key, guint64 value)
{
  json_object_set_int_member (object, key, (gint64) MIN (value, (guint64) G_MAXINT64));
}

void
seed_health_set_busy (JsonObject *data, const char *name, SeedLedger *ledger)
{
  JsonObject *object = json_object_new ();
  SeedLedgerBusy busy;

  seed_ledger_get_busy (ledger, &busy);
  set_count (object, "count", busy.count);
  set_count (object, "mean_ns", busy.count ? busy.total_ns / busy.count : 0);
  set_count (object, "p50_ns", busy.p50_ns);
  set_count (object, "p99_ns", busy.p99_ns);
  set_count (object, "max_ns", busy.max_ns);
  json_object_set_object_member (data, name, object);
}

void
seed_health_set_memory (JsonObject *data)
{
  guint64 total, resident = 0;
  FILE *file = fopen ("/proc/self/statm", "re");

  if (!file)
    return;
  if (fscanf (file, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT, &total, &resident) == 2)
    set_count (data, "rss_bytes", resident * (guint64) sysconf (_SC_PAGESIZE));
  fclose (file);
}

/* Reasons that never happened are left out. */
static void
set_entry (JsonObject *object, const SeedLedgerEntry *entry)
{
  JsonObject *dropped = json_object_new ();

  set_count (object, "in", entry->in);
  set_count (object, "out", entry->out);
  for (guint i = 0; i < SEED_N_DROP_REASONS; i++) {
    if (entry->dropped[i] > 0)
      set_count (dropped, seed_drop_reason_name (i), entry->dropped[i]);
  }
  json_object_set_object_member (object, "dropped", dropped);
}

static void
add_entry (SeedLedgerEntry *sum, const SeedLedgerEntry *entry)
{
  sum->in += entry->in;
  sum->out += entry->out;
  for (guint i = 0; i < SEED_N_DROP_REASONS; i++)
    sum->dropped[i] += entry->dropped[i];
}

static void
set_ledger (JsonObject *object, SeedLedger *ledger, gboolean with_streams)
{
  g_autoptr (GArray) entries = seed_ledger_snapshot (ledger);
  JsonObject *streams = json_object_new ();
  SeedLedgerEntry sum = { 0 };

  for (guint i = 0; i < entries->len; i++) {
    const SeedLedgerEntry *entry = &g_array_index (entries, SeedLedgerEntry, i);
    JsonObject *stream = json_object_new ();

    add_entry (&sum, entry);
    set_entry (stream, entry);
    set_count (stream, "in_flight", seed_ledger_entry_in_flight (entry));
    json_object_set_object_member (streams, entry->stream, stream);
  }
  set_entry (object, &sum);
  if (with_streams)
    json_object_set_object_member (object, "streams", streams);
  else
    json_object_unref (streams);
}

static void
add_element (JsonArray *array, GstElement *element, gboolean with_streams)
{
  GParamSpec *spec = g_object_class_find_property (G_OBJECT_GET_CLASS (element), "ledger");
  GstElementFactory *factory = gst_element_get_factory (element);
  g_autoptr (SeedLedger) ledger = NULL;
  g_autofree char *name = NULL;
  JsonObject *object;

  if (!spec || spec->value_type != SEED_TYPE_LEDGER)
    return;
  g_object_get (element, "ledger", &ledger, NULL);
  if (!ledger)
    return;
  name = gst_element_get_name (element);
  object = json_object_new ();
  json_object_set_string_member (object, "element", name);
  json_object_set_string_member (object, "factory", factory ? GST_OBJECT_NAME (factory) : "");
  seed_health_set_busy (object, "busy", ledger);
  set_ledger (object, ledger, with_streams);
  json_array_add_object_element (array, object);
}

typedef struct {
  JsonArray *array;
  gboolean with_streams;
} Walk;

static void
visit (const GValue *item, gpointer data)
{
  const Walk *walk = data;

  add_element (walk->array, g_value_get_object (item), walk->with_streams);
}

static GstObject *
top_level (GstElement *element)
{
  GstObject *object = gst_object_ref (GST_OBJECT (element)), *parent;

  while ((parent = gst_object_get_parent (object))) {
    gst_object_unref (object);
    object = parent;
  }
  return object;
}

void
seed_health_set_elements (JsonObject *data, GstElement *element, gboolean with_streams)
{
  g_autoptr (GstObject) top = top_level (element);
  g_autoptr (GstIterator) elements = NULL;
  Walk walk = { json_array_new (), with_streams };

  if (GST_IS_BIN (top)) {
    elements = gst_bin_iterate_recurse (GST_BIN (top));
    while (gst_iterator_foreach (elements, visit, &walk) == GST_ITERATOR_RESYNC) {
      json_array_unref (walk.array); /* elements came or went: from the beginning */
      walk.array = json_array_new ();
      gst_iterator_resync (elements);
    }
  } else {
    add_element (walk.array, element, with_streams);
  }
  json_object_set_array_member (data, "elements", walk.array);
  json_object_set_boolean_member (data, "streams_omitted", !with_streams);
}
